// SPDX-License-Identifier: MIT
// Builds the SMBIOS tables of a machine as -smbios options ask and writes them as dmidecode reads them: smbios_dump FILE CPUS
// MEBIBYTES [OPTION...]. For smbios_test.py.
#include "base/error.h"
#include "machines/smbios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 16, TABLES = 32, ADDRESS = 16, CHECKSUM = 5, ANCHOR = 24 };

int main(int argc, char *argv[])
{
    struct keyval_list options[MAX_OPTIONS];
    struct aml tables, anchor;
    struct error err;
    if (argc < 4 || argc - 4 > MAX_OPTIONS)
        return 2;
    struct smbios_config c = {.options = options,
                              .option_count = (size_t)argc - 4,
                              .ram_base = 0x40000000,
                              .ram_size = strtoull(argv[3], NULL, 10) << 20,
                              .cpu_count = (unsigned)atoi(argv[2]),
                              .cpu = "cortex-a72",
                              .product_version = "virt-7.2"};
    int r = 0;
    for (size_t i = 0; !r && i < c.option_count; i++)
        r = keyval_parse(argv[4 + i], NULL, &options[i], &err);
    if (!r)
        r = smbios_build(&c, &tables, &anchor, &err);
    if (r) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    uint8_t sum = 0, head[TABLES] = {0};
    for (size_t i = 0; i < anchor.size; i++)
        sum = (uint8_t)(sum + anchor.data[i]);
    if (sum || anchor.size != ANCHOR)
        return 3;
    memcpy(head, anchor.data, ANCHOR);
    head[ADDRESS] = TABLES; // as firmware would, the checksum with it
    head[CHECKSUM] = (uint8_t)(head[CHECKSUM] - TABLES);
    FILE *out = fopen(argv[1], "wb");
    bool good = out && fwrite(head, 1, TABLES, out) == TABLES && fwrite(tables.data, 1, tables.size, out) == tables.size;
    for (size_t i = 0; i < c.option_count; i++)
        keyval_free(&options[i]);
    aml_free(&tables);
    aml_free(&anchor);
    return good && !fclose(out) ? 0 : 4;
}
