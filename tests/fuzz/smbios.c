// SPDX-License-Identifier: MIT
// What -smbios says, one option a line: tables come of it, or a sentence. Options that name files are left
// out, since an input should depend on nothing else.
#include "machines/smbios.h"
#include "base/error.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_OPTIONS = 16 };

// Structures follow each other to the end, each with its strings and the empty one that ends them
// (SMBIOS 3.0, 6.1).
static void check_tables(const struct aml *tables)
{
    size_t at = 0;
    while (at < tables->size) {
        FUZZ_CHECK(tables->size - at >= 4 && tables->data[at + 1] >= 4);
        at += tables->data[at + 1];
        do {
            FUZZ_CHECK(tables->size - at >= 2);
            at++;
        } while (tables->data[at - 1] || tables->data[at]);
        at++;
    }
    FUZZ_CHECK(at == tables->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1), *rest = text, *line;
    struct keyval_list options[MAX_OPTIONS] = {0};
    struct aml tables = {0}, anchor = {0};
    struct error err = {0};
    size_t count = 0;
    int r = 0;
    memcpy(text, data, size);
    while (!r && count < MAX_OPTIONS && (line = strsep(&rest, "\n"))) {
        r = keyval_parse(line, NULL, &options[count++], &err);
        if (!r && (keyval_get(&options[count - 1], "path") || keyval_get(&options[count - 1], "file")))
            r = -1;
    }
    if (!r) {
        struct smbios_config c = {.options = options,
                                  .option_count = count,
                                  .ram_base = 0x40000000,
                                  .ram_size = 64 << 20,
                                  .cpu_count = 2,
                                  .cpu = "cortex-a72",
                                  .product_version = "virt-7.2"};
        if (!smbios_build(&c, &tables, &anchor, &err))
            check_tables(&tables);
        else
            FUZZ_CHECK(err.text[0]);
        aml_free(&tables);
        aml_free(&anchor);
    }
    for (size_t i = 0; i < count; i++)
        keyval_free(&options[i]);
    free(text);
    return 0;
}
