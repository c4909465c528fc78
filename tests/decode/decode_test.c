// SPDX-License-Identifier: MIT
// Decoder, disassembler and random generator against each other and against tests/decode/words.txt.
// Comparison with LLVM over many words is in llvm_test.c.
#include "frontends/a64/decode.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(decode, words)
{
    FILE *f = fopen(getenv("WORDS"), "r");
    char line[256], row[32], text[128], got[128];
    unsigned word, count = 0;

    cr_assert(f);
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%x %31s %127[^\n]", &word, row, text) != 3)
            continue;
        struct a64_insn i;
        bool live = a64_decode(word, &i);
        const char *name = i.row == A64_ROW_COUNT ? "-" : a64_rows[i.row].name;
        cr_expect_str_eq(name, row, "%08x decodes as %s, not %s", word, name, row);
        cr_expect(live == (i.row < A64_ROW_COUNT && a64_rows[i.row].status == A64_LIVE), "%08x", word);
        int len = a64_disasm(word, 0x1000, got, sizeof(got));
        cr_expect_str_eq(got, text, "%08x prints as '%s', not '%s'", word, got, text);
        cr_expect(len == (int)strlen(got));
        count++;
    }
    fclose(f);
    cr_expect(count > 50);
}

Test(decode, fields_are_raw_and_absent_ones_zero)
{
    struct a64_insn i;

    cr_assert(a64_decode(0xa9bf7bfd, &i)); // stp x29, x30, [sp, #-16]!
    cr_expect(i.row == A64_ROW_stp_pre && i.word == 0xa9bf7bfd);
    cr_expect(i.sf == 1 && i.imm7 == 0x7e && i.rt == 29 && i.rt2 == 30 && i.rn == 31);
    cr_expect(i.rd == 0 && i.rm == 0 && i.imm12 == 0);
}

Test(decode, disassembly_is_truncated_and_terminated)
{
    char buf[4] = "xyz";

    cr_expect(a64_disasm(0xd503201f, 0, buf, 2) == 3);
    cr_expect_str_eq(buf, "n");
    cr_expect(a64_disasm(0xd503201f, 0, NULL, 0) == 3);
}

static const struct a64_random_options everything = {~0u, ~0u, ~0u, ~0u, ~0u, NULL, true};

Test(random, every_row_yields_its_own_words)
{
    uint64_t state = 1;

    for (unsigned row = 0; row < A64_ROW_COUNT; row++)
        for (unsigned n = 0; n < 50; n++) {
            struct a64_insn i;
            a64_decode(a64_random_of_row(&state, &everything, row), &i);
            cr_assert(i.row == row, "%s: got 0x%08x", a64_rows[row].name, i.word);
        }
}

Test(random, every_live_row_disassembles)
{
    uint64_t state = 2;

    for (unsigned n = 0; n < 20000; n++) {
        char buf[128];
        uint32_t word = a64_random_insn(&state, &everything);
        int len = a64_disasm(word, 0, buf, sizeof(buf));
        cr_assert(len > 1 && len < (int)sizeof(buf), "%08x: %s", word, buf);
        cr_assert(!strchr(buf, '?') && buf[0] != '.', "%08x: %s", word, buf);
    }
}

Test(random, options_hold)
{
    uint64_t state = 3, again;
    struct a64_random_options o = {.features = 1u << A64_FEATURE_BASE,
                                   .classes = 1u << A64_CLASS_INTEGER | 1u << A64_CLASS_MEMORY,
                                   .gprs = 0x0000000e,
                                   .vregs = 1,
                                   .bases = 1u << 20};

    for (unsigned n = 0; n < 20000; n++) {
        struct a64_insn i;
        again = state;
        uint32_t word = a64_random_insn(&state, &o);
        cr_assert(word == a64_random_insn(&again, &o));
        cr_assert(a64_decode(word, &i));
        const struct a64_row_info *row = &a64_rows[i.row];
        cr_assert(o.classes >> row->class & 1 && row->feature == A64_FEATURE_BASE, "%s", row->name);
        for (unsigned f = 0; f < row->field_count; f++) {
            uint32_t v = word >> row->fields[f].lsb & ((1u << row->fields[f].width) - 1);
            bool base = row->class == A64_CLASS_MEMORY && !strcmp(row->fields[f].name, "rn");
            if (base)
                cr_assert(v == 20, "%08x", word);
            else if (row->fields[f].file == A64_REG_GPR)
                cr_assert(v >= 1 && v <= 3, "%08x %s", word, row->fields[f].name);
        }
    }
    o.classes = 0;
    cr_expect(a64_random_insn(&state, &o) == 0xd503201f);
}

Test(random, unpredictable_forms_only_on_request)
{
    struct a64_random_options o = everything;
    uint64_t state = 4;

    o.gprs = 0x80000003;
    o.bases = 0x3;
    for (unsigned pass = 0; pass < 2; pass++) {
        unsigned unpredictable = 0;
        o.unpredictable = pass;
        for (unsigned n = 0; n < 50000; n++) {
            struct a64_insn i;
            a64_decode(a64_random_insn(&state, &o), &i);
            unpredictable += a64_unpredictable(&i);
        }
        cr_expect(pass ? unpredictable > 100 : unpredictable == 0, "%u", unpredictable);
    }
}

Test(decode, unpredictable)
{
    static const struct {
        uint32_t word;
        bool want;
    } rows[] = {
        {0xa8c10400, true},  // ldp x0, x1, [x0], #16
        {0xa8c107e0, false}, // ldp x0, x1, [sp], #16
        {0xa9400400, false}, // ldp x0, x1, [x0]
        {0xa9400020, true},  // ldp x0, x0, [x1]
        {0xa9000020, false}, // stp x0, x0, [x1]
        {0xf8408400, true},  // ldr x0, [x0], #8
        {0xf84087ff, false}, // ldr xzr, [sp], #8
        {0xc8007c20, true},  // stxr w0, x0, [x1]
        {0xc8027c20, false}, // stxr w2, x0, [x1]
        {0xc85f0420, true},  // ldxr with Rt2 not all ones
    };

    for (unsigned n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
        struct a64_insn i;
        cr_assert(a64_decode(rows[n].word, &i));
        cr_expect(a64_unpredictable(&i) == rows[n].want, "%08x", rows[n].word);
    }
}

Test(random, element_registers_stay_within_the_set)
{
    struct a64_random_options o = everything;
    uint64_t state = 5;

    o.vregs = 0xf;
    for (unsigned n = 0; n < 2000; n++) {
        struct a64_insn i;
        a64_decode(a64_random_of_row(&state, &o, A64_ROW_fmla_e), &i);
        cr_assert(i.m == 0 && i.rm < 4 && i.rd < 4 && i.rn < 4);
    }
}
