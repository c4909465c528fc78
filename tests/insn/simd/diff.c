// SPDX-License-Identifier: MIT
// FP, Advanced SIMD and cryptographic instructions against libunicorn, or QEMU where ISOMER_STREAM_GUEST is
// set: single instructions of every live row, then random streams, from random states biased to edge values
// under random FPCR. General and vector registers, NZCV and FPSR must agree. A stream that differs is cut to
// its first instruction that does.
//
// ISOMER_SEED repeats a run, ISOMER_SCALE multiplies its length, ISOMER_ROW restricts it to rows that begin
// so, ISOMER_ENGINE to one of simd_engine_names. In millions of instructions libunicorn 2.0.1 was not seen to
// depart from the Arm manual; where it does, an exception with the manual's section belongs in fail().
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "frontends/a64/decode.h"
#include "ir/env.h"
#include "tests/insn/random_state.h"
#include "tests/insn/simd/engine.h"

enum { PER_ROW = 20, STREAMS = 600, MAX_REPORTS = 40, CLASSES = 1 << A64_CLASS_FP | 1 << A64_CLASS_SIMD |
       1 << A64_CLASS_CRYPTO };

static bool tested(unsigned row)
{
    const char *only = getenv("ISOMER_ROW");

    return a64_rows[row].status == A64_LIVE && CLASSES >> a64_rows[row].class & 1 &&
           (!only || !strncmp(a64_rows[row].name, only, strlen(only)));
}

// ---- states -------------------------------------------------------------------------------------

static void random_state(struct rng *rng, struct simd_state *state)
{
    for (unsigned n = 0; n < 31; n++)
        state->x[n] = random_integer(rng);
    random_vectors(rng, state->v);
    state->nzcv = rng_below(rng, 16) << 28;
    state->fpcr = random_fpcr(rng);
    state->fpsr = random_fpsr(rng);
}

// ---- comparison ---------------------------------------------------------------------------------

static void print_difference(const char *engine, uint32_t word, const struct simd_state *before,
                             const struct simd_state *ours, const struct simd_state *oracle)
{
    char text[128];
    struct a64_insn insn;

    a64_decode(word, &insn);
    a64_disasm(word, 0, text, sizeof text);
    printf("%s: %08" PRIx32 " %s (%s) fpcr %08" PRIx32 "\n", engine, word, text, a64_rows[insn.row].name,
           before->fpcr);
    for (unsigned n = 0; n < 31; n++)
        if (ours->x[n] != oracle->x[n])
            printf("  x%u: %016" PRIx64 " oracle %016" PRIx64 "\n", n, ours->x[n], oracle->x[n]);
    for (unsigned n = 0; n < 32; n++)
        if (memcmp(&ours->v[n], &oracle->v[n], 16))
            printf("  v%u: %016" PRIx64 ".%016" PRIx64 " oracle %016" PRIx64 ".%016" PRIx64 "\n", n,
                   ours->v[n].d[1], ours->v[n].d[0], oracle->v[n].d[1], oracle->v[n].d[0]);
    if (ours->nzcv != oracle->nzcv || ours->fpsr != oracle->fpsr)
        printf("  nzcv %08" PRIx32 " oracle %08" PRIx32 ", fpsr %08" PRIx32 " oracle %08" PRIx32 "\n",
               ours->nzcv, oracle->nzcv, ours->fpsr, oracle->fpsr);
    for (unsigned n = 0; n < 4; n++) {
        const uint8_t fields[4] = {insn.rd, insn.rn, insn.rm, insn.ra};
        printf("  %s v%u was %016" PRIx64 ".%016" PRIx64 "\n", &"rd\0rn\0rm\0ra"[3 * n], fields[n],
               before->v[fields[n]].d[1], before->v[fields[n]].d[0]);
    }
}

static bool equal(const struct simd_state *a, const struct simd_state *b)
{
    return !memcmp(a->x, b->x, sizeof a->x) && !memcmp(a->v, b->v, sizeof a->v) && a->nzcv == b->nzcv &&
           a->fpsr == b->fpsr;
}

struct session {
    struct simd_engine *engines[SIMD_UNICORN], *oracle;
    unsigned failures;
    bool failed[A64_ROW_COUNT];
};

// Runs the stream in every engine. True if all agree with the oracle.
static bool agree(struct session *s, const uint32_t *code, unsigned count, const struct simd_state *before,
                  bool report)
{
    struct simd_state oracle = *before;
    const char *wrong = simd_engine_run(s->oracle, code, count, &oracle);
    bool good = true;

    cr_assert(!wrong, "oracle: %s at %08" PRIx32, wrong, code[count - 1]);
    for (unsigned n = 0; n < SIMD_UNICORN; n++) {
        struct simd_state ours = *before;
        if (!s->engines[n])
            continue;
        wrong = simd_engine_run(s->engines[n], code, count, &ours);
        if (wrong && report)
            printf("%s: %s\n", simd_engine_names[n], wrong);
        if (!wrong && equal(&ours, &oracle))
            continue;
        good = false;
        if (report)
            print_difference(simd_engine_names[n], code[count - 1], before, &ours, &oracle);
    }
    return good;
}

// Cuts a stream that differs to its first instruction that does, run alone from where the oracle was.
static void fail(struct session *s, const uint32_t *code, unsigned count, const struct simd_state *start)
{
    unsigned n = 1;
    struct simd_state before = *start;
    struct a64_insn insn;

    while (n < count && agree(s, code, n, start, false))
        n++;
    if (n > 1)
        simd_engine_run(s->oracle, code, n - 1, &before);
    a64_decode(code[n - 1], &insn);
    s->failures++;
    if (s->failed[insn.row] || s->failures > MAX_REPORTS)
        return;
    s->failed[insn.row] = true;
    if (agree(s, &code[n - 1], 1, &before, true))
        printf("%s: %u instructions up to %s differ, the last alone does not\n", __func__, n,
               a64_rows[insn.row].name);
}

static struct session *open_session(void)
{
    struct session *s = calloc(1, sizeof *s);
    const char *only = getenv("ISOMER_ENGINE");

    for (unsigned n = 0; n < SIMD_UNICORN; n++)
        if (!only || !strcmp(only, simd_engine_names[n]))
            s->engines[n] = simd_engine_open(n);
    s->oracle = simd_engine_open(getenv("ISOMER_STREAM_GUEST") ? SIMD_QEMU : SIMD_UNICORN);
    cr_assert(s->oracle, "no oracle");
    cr_assert(only || s->engines[SIMD_INTERPRETER], "no engine");
    return s;
}

static void close_session(struct session *s)
{
    for (unsigned n = 0; n < SIMD_UNICORN; n++)
        if (s->engines[n])
            simd_engine_close(s->engines[n]);
    simd_engine_close(s->oracle);
    free(s);
}

static const struct a64_random_options any = {.features = ~0u, .classes = CLASSES, .gprs = ~0u, .vregs = ~0u,
                                              .bases = ~0u};

Test(simd, every_row_alone)
{
    struct rng rng = rng_start("simd rows", 1);
    struct session *s = open_session();
    unsigned rows = 0, missing = 0;

    for (unsigned row = 0; row < A64_ROW_COUNT; row++) {
        unsigned run = 0;
        for (unsigned n = 0; tested(row) && n < rng_rounds(PER_ROW); n++) {
            uint64_t words = rng_next(&rng) | 1;
            uint32_t word = a64_random_of_row(&words, &any, row);
            struct simd_state before;
            struct a64_insn insn;
            random_state(&rng, &before);
            run += a64_decode(word, &insn) && insn.row == row;
            if (!agree(s, &word, 1, &before, false))
                fail(s, &word, 1, &before);
        }
        rows += tested(row);
        missing += tested(row) && !run;
        if (tested(row) && !run)
            printf("row %s was never executed\n", a64_rows[row].name);
    }
    printf("%u rows, %u never executed, %u differences\n", rows, missing, s->failures);
    cr_expect(rows && !missing, "%u rows without an instruction", missing);
    cr_expect_eq(s->failures, 0, "%u differences", s->failures);
    close_session(s);
}

Test(simd, random_streams)
{
    struct rng rng = rng_start("simd streams", 2);
    struct session *s = open_session();
    uint8_t rows[A64_ROW_COUNT];
    struct a64_random_options options = any;

    for (unsigned row = 0; row < A64_ROW_COUNT; row++)
        rows[row] = tested(row);
    options.rows = rows;
    // Every other stream has few registers: results feed each other and die unread.
    const uint32_t vregs[2] = {~0u, 0x80000007u}, gprs[2] = {~0u, 0x80000003u};
    for (unsigned n = 0; n < rng_rounds(STREAMS); n++) {
        uint32_t code[SIMD_MAX_STREAM];
        unsigned count = 1 + rng_below(&rng, SIMD_MAX_STREAM);
        uint64_t words = rng_next(&rng) | 1;
        struct simd_state before;
        options.vregs = vregs[n & 1];
        options.gprs = gprs[n & 1];
        for (unsigned k = 0; k < count; k++)
            code[k] = a64_random_insn(&words, &options);
        random_state(&rng, &before);
        if (!agree(s, code, count, &before, false))
            fail(s, code, count, &before);
    }
    cr_expect_eq(s->failures, 0, "%u differences", s->failures);
    close_session(s);
}

// A word of the row whose fields that name no register hold the bits of form, in order; registers are random.
static uint32_t word_of_form(const struct a64_row_info *row, uint32_t form, struct rng *rng,
                             uint32_t *ret_left)
{
    uint32_t word = row->value | row->should_value;

    for (unsigned n = 0; n < row->field_count; n++) {
        const struct a64_field *f = &row->fields[n];
        uint32_t value = f->file == A64_REG_NONE ? form : (uint32_t)rng_next(rng);
        word |= (value & (uint32_t)bits_mask(f->width)) << f->lsb;
        form = f->file == A64_REG_NONE ? form >> f->width : form;
    }
    *ret_left = form;
    return word;
}

Test(simd, every_form)
{
    struct rng rng = rng_start("simd forms", 4);
    struct session *s = open_session();
    unsigned forms = 0;

    for (unsigned row = 0; row < A64_ROW_COUNT; row++) {
        uint32_t left = 0;
        for (uint32_t form = 0; tested(row) && !left; form++) {
            uint32_t word = word_of_form(&a64_rows[row], form, &rng, &left);
            struct simd_state before;
            struct a64_insn insn;
            if (left || !a64_decode(word, &insn) || insn.row != row)
                continue;
            random_state(&rng, &before);
            forms++;
            if (!agree(s, &word, 1, &before, false))
                fail(s, &word, 1, &before);
        }
    }
    printf("%u forms, %u differences\n", forms, s->failures);
    cr_expect_eq(s->failures, 0, "%u differences", s->failures);
    close_session(s);
}

// CPACR_EL1.FPEN = 0: every row is an exception of class 7 and does nothing else (Arm ARM D17.2.37, "Access
// to SVE, Advanced SIMD or floating-point functionality").
Test(simd, access_traps)
{
    struct rng rng = rng_start("simd traps", 3);
    struct session *s = open_session();

    for (unsigned row = 0; row < A64_ROW_COUNT; row++) {
        uint64_t words = rng_next(&rng) | 1;
        if (!tested(row))
            continue;
        uint32_t word = a64_random_of_row(&words, &any, row);
        for (unsigned n = 0; n < SIMD_UNICORN; n++) {
            const char *wrong = s->engines[n] ? simd_engine_trap(s->engines[n], word, 0x1fe00000u) : NULL;
            cr_expect(!wrong, "%s, %s: %s", a64_rows[row].name, simd_engine_names[n], wrong);
        }
    }
    close_session(s);
}

// A write of FPCR goes through the dispatcher, where the host's rounding mode is set, and not to the next
// unit.
Test(simd, fpcr_write_leaves)
{
    struct session *s = open_session();

    for (unsigned n = 0; n < SIMD_UNICORN; n++)
        if (s->engines[n])
            cr_expect_eq(simd_engine_exit(s->engines[n], 0xd51b4400u /* msr fpcr, x0 */), IR_EXIT_STATE);
    close_session(s);
}
