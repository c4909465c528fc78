// SPDX-License-Identifier: MIT
// Whole units run by the interpreter: run.txt gives state before ("; in field=value m[address]=value
// budget=-1 page=0x1000"), a unit, and how it is left and the state after ("; out jump pc=0x1008 x0=5 calls=1
// fault=0x10"). Values are hexadecimal, memory words are 64 bits wide. verify.txt holds units that the
// verifier refuses ("; refuse text of the message") or accepts.
#include "base/bits.h"
#include "base/error.h"
#include "ir/ops.h"
#include "tests/ir/filetest.h"
#include "tests/ir/toy_guest.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct toy_state toy;
static uint8_t memory[4096];

static const struct ir_field *field_named(const char *name)
{
    for (unsigned i = 0; i < toy_guest.layout->count; i++)
        if (strcmp(toy_guest.layout->fields[i].name, name) == 0)
            return &toy_guest.layout->fields[i];
    return NULL;
}

static void *place_of(const char *name, unsigned *ret_bytes)
{
    const struct ir_field *field = field_named(name);
    *ret_bytes = field ? ir_type_size(field->type) : 8;
    if (field)
        return (char *)&toy + field->offset;
    if (strncmp(name, "m[", 2) == 0)
        return memory + strtoul(name + 2, NULL, 0);
    *ret_bytes = 4;
    if (strcmp(name, "budget") == 0)
        return &toy.env.budget;
    if (strcmp(name, "fp") == 0)
        return &toy.env.fp_flags;
    if (strcmp(name, "calls") == 0)
        return &toy.calls;
    *ret_bytes = 8;
    if (strcmp(name, "page") == 0)
        return &toy.env.pc_page;
    if (strcmp(name, "pc") == 0)
        return &toy.env.pc;
    if (strcmp(name, "fault") == 0)
        return &toy.fault_va;
    cr_assert_fail("nothing is called %s", name);
    return NULL;
}

// Walks "name=value name=value": sets them, or compares.
static void assignments(char *list, bool compare, const char *where)
{
    for (char *save, *item = strtok_r(list, " ", &save); item; item = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(item, '=');
        cr_assert(equals, "%s: %s", where, item);
        *equals = 0;
        union v128 value = {.d = {0, 0}};
        bool minus = equals[1] == '-';
        const char *digits = equals + 1 + minus;
        size_t n = strlen(digits), cut = n > 18 ? n - 16 : 0; // 0x and more than 16 digits: high half first
        value.d[0] = strtoull(digits + cut, NULL, 16);
        if (cut) {
            char high[20] = "";
            memcpy(high, digits, cut < 18 ? cut : 18);
            value.d[1] = strtoull(high, NULL, 16);
        }
        value.d[0] = minus ? 0 - value.d[0] : value.d[0];
        unsigned bytes;
        uint8_t *place = place_of(item, &bytes);
        if (!compare)
            memcpy(place, &value, bytes);
        else
            cr_expect(memcmp(place, &value, bytes) == 0, "%s: %s is 0x%" PRIx64 ", not %s", where, item,
                      bits_get(*(uint64_t *)place, 0, bytes < 8 ? bytes * 8 : 64), digits);
    }
}

static int exit_named(const char *name)
{
    for (int i = 0; i < IR_EXIT_COUNT; i++)
        if (strcmp(ir_exit_names[i], name) == 0)
            return i;
    cr_assert_fail("no exit is called %s", name);
    return -1;
}

static void run_section(const struct filetest_section *section)
{
    static union ir_value slots[1024];
    struct ir_unit unit = {0};
    char where[128];
    snprintf(where, sizeof where, "run.txt:%u (%s)", section->line, section->name);
    toy_reset(&toy, memory, sizeof memory);
    memset(memory, 0, sizeof memory);
    memset(slots, 0xa5, sizeof slots);
    filetest_unit(section->text, where, &unit);

    char *printed = filetest_print(&unit);
    struct ir_unit copy = {0};
    filetest_unit(printed, where, &copy);
    cr_expect(memcmp(unit.insns, copy.insns, unit.insn_count * sizeof *unit.insns) == 0, "%s: round trip",
              where);
    free(printed);
    ir_unit_free(&copy);

    char *at = section->text, *line;
    bool ran = false;
    while ((line = filetest_line(&at))) {
        if (strncmp(line, "; in ", 5) == 0)
            assignments(line + 5, false, where);
        if (strncmp(line, "; out ", 6) != 0)
            continue;
        char *exit = line + 6, *rest = strchrnul(exit, ' ');
        if (*rest)
            *rest++ = 0;
        int code = ir_interpret(&unit, &toy.env, &toy_runtime, slots);
        cr_expect_eq(code, exit_named(exit), "%s: left with %s", where, ir_exit_names[code]);
        assignments(rest, true, where);
        ran = true;
    }
    cr_expect(ran, "%s: nothing expected", where);
    ir_unit_free(&unit);
}

Test(ir_run, file)
{
    char *file = filetest_read("run.txt"), *at = file;
    struct filetest_section section;
    unsigned line = 0;
    while (filetest_next(&at, &line, &section))
        run_section(&section);
    free(file);
}

Test(ir_verify, file)
{
    char *file = filetest_read("verify.txt"), *at = file;
    struct filetest_section section;
    unsigned line = 0;
    while (filetest_next(&at, &line, &section)) {
        struct ir_unit unit = {0};
        struct error err = {""};
        char *want = strstr(section.text, "; refuse "), message[256] = "";
        if (want)
            sscanf(want, "; refuse %255[^\n]", message);
        cr_expect_eq(ir_parse(section.text, &toy_guest, &unit, &err), 0, "verify.txt:%u: %s", section.line,
                     err.text);
        int r = ir_verify(&unit, &err);
        cr_expect_eq(r != 0, want != NULL, "verify.txt:%u (%s): %s", section.line, section.name,
                     r ? err.text : "was accepted");
        cr_expect(!want || !r || strstr(err.text, message), "verify.txt:%u (%s): says: %s", section.line,
                  section.name, err.text);
        ir_unit_free(&unit);
    }
    free(file);
}

Test(ir_parse, errors_name_the_line)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"b0:\n  %1 = frob.i64 %2\n", "line 2: unknown op frob"},
        {"b0:\n\n  %1 = add.i65 %1, %1\n", "line 3: unknown type i65"},
        {"b0:\n  %1 = add.i64 %7, %7\n", "line 2: no such value"},
        {"b0:\n  %1 = get.i64 y0\n", "no field y0"},
        {"b0:\n  call none\n", "no helper none"},
        {"  nop\n", "before the first block"},
        {"b1:\n  nop\n", "block number out of range"},
        {"b0:\n  %1 = const.i64 1\n  %1 = const.i64 1\n", "line 3: value name"},
        {"b0:\n  %1 = vadd %1, %1\n", "lane size"},
        {"b0:\n  %1 = const.i64 1\n  %2 = ld.i64 %1, {8 sideways}\n", "unknown attribute sideways"},
        {"b0:\n  br b0 b1\n", "comma expected"},
        {"b0:\n  br b0, twice\n", "twice means nothing here"},
        {"b0:\n  %1 = const.i64\n  %2 = add.i64 %1 %1\n", "line 3: comma"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ir_unit unit = {0};
        struct error err = {""};
        cr_expect_eq(ir_parse(cases[i].text, &toy_guest, &unit, &err), -22, "%s", cases[i].text);
        cr_expect(strstr(err.text, cases[i].message), "%s gives: %s", cases[i].text, err.text);
        ir_unit_free(&unit);
    }
}
