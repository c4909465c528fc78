// SPDX-License-Identifier: MIT
// Random loops of loads and stores whose addresses step, run as regions of the optimising tier and by the interpreter:
// registers, flags, memory, and where and why the loop was left must be the same. Pages that are neighbours by address
// lie apart in memory; some are read-only, some unmapped, some devices, and one holds the loop itself.
// ISOMER_SEED=hex repeats a run, ISOMER_LOOPS=n makes it long.
#include "frontends/a64/key.h"
#include "tests/insn/flat_accel.h"
#include "tests/ir/random_unit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum {
    BASE = 0x100000, SIZE = 0x100000, TABLE_1 = BASE, TABLE_2 = BASE + 0x1000, TABLE_3 = BASE + 0x2000, CODE = BASE + 0x3000,
    PAGES = 16, DATA = 0x140000, PHYSICAL = 0x180000, WORDS = 40, LOOPS = 16, RUNS = 5,
    POINTERS = 4, INDEX = 4, INDICES = 3, VALUE = 8, VALUES = 6, COUNTER = 16, // registers
};
#define ENTRY 3ull
#define AF (1ull << 10)
#define READ_ONLY (1ull << 7)
#define DEVICE (1ull << 2) // attribute index 1
#define CONTROL 0x30d50999ull
#define TCR_4K (25ull | 25ull << 16 | 2ull << 30 | 5ull << 32)

struct code {
    struct random_source random;
    uint32_t words[WORDS];
    unsigned count;
};

static unsigned below(struct code *c, unsigned n)
{
    return random_below(&c->random, n);
}

static void emit(struct code *c, uint32_t word)
{
    c->words[c->count++] = word;
}

// ---- instructions --------------------------------------------------------------------------------------------------

enum { V = 1 << 26, LOAD = 1 << 22 };

// Size and register file of a load or store of one register.
static uint32_t access_of(struct code *c)
{
    static const uint32_t forms[] = {0x38000000, 0x78000000, 0xb8000000, 0xf8000000, 0xbc000000, 0xfc000000, 0x3c800000};
    return forms[below(c, 7)] | (below(c, 2) ? LOAD : 0) | (VALUE + below(c, VALUES));
}

static uint32_t imm9(struct code *c)
{
    static const int steps[] = {1, 2, 3, 4, 8, 8, 16, 16, 32, 64, -1, -4, -8, -16, -16, 255, -256};
    return ((uint32_t)steps[below(c, 17)] & 0x1ff) << 12;
}

static void emit_access(struct code *c)
{
    uint32_t rn = below(c, POINTERS) << 5, rm = (INDEX + below(c, INDICES)) << 16;
    static const uint32_t extends[] = {2u << 13, 6u << 13, 3u << 13}; // UXTW, SXTW, LSL
    switch (below(c, 8)) {
    case 0:
    case 1: emit(c, access_of(c) | 0x400 | imm9(c) | rn); break; // post-indexed
    case 2: emit(c, access_of(c) | 0xc00 | imm9(c) | rn); break; // pre-indexed
    case 3: emit(c, access_of(c) | imm9(c) | rn); break;
    case 4:
    case 5: emit(c, access_of(c) | 0x200800 | rm | extends[below(c, 3)] | below(c, 2) << 12 | rn); break;
    case 6: // pairs, of x and q registers, post-indexed and not
        emit(c, (below(c, 2) ? 0xa8800000 : 0xac800000) | (below(c, 2) ? LOAD : 0) | ((below(c, 5) - 2u) & 0x7f) << 15 |
                (VALUE + 1 + below(c, VALUES - 1)) << 10 | rn | VALUE);
        break;
    default: emit(c, 0x88dffc00 | (below(c, 2) << 30) | rn | (VALUE + below(c, VALUES))); break; // LDAR
    }
}

static void emit_step(struct code *c)
{
    static const unsigned steps[] = {1, 2, 4, 8, 16, 24, 64, 256, 2048, 4000};
    uint32_t reg = below(c, 2) ? below(c, POINTERS) : INDEX + below(c, INDICES);
    uint32_t form = reg < INDEX || below(c, 2) ? 0x91000000 : 0x11000000; // 64 bits or 32
    emit(c, form | (below(c, 3) ? 0 : 1u << 30) | steps[below(c, 10)] << 10 | reg << 5 | reg);
}

static void emit_value(struct code *c)
{
    uint32_t d = VALUE + below(c, VALUES), n = (VALUE + below(c, VALUES)) << 5, m = (VALUE + below(c, VALUES)) << 16;
    static const uint32_t forms[] = {0x8b000000, 0x0b000000, 0xca000000, 0xab000000, 0x4e208400, 0x6e201c00};
    emit(c, forms[below(c, 6)] | d | n | m);
}

static void emit_some(struct code *c)
{
    unsigned kind = below(c, 8);
    if (kind < 4)
        emit_access(c);
    else if (kind < 6)
        emit_step(c);
    else
        emit_value(c);
}

// From CODE on: the loop, then something that uses what it left.
static unsigned make_loop(struct code *c)
{
    static const uint32_t tests[] = {0xf100001f, 0x7100001f, 0xf27c001f}; // cmp x, cmp w, tst x with #16
    uint32_t out[WORDS], outs = 0;
    c->count = 0;
    for (unsigned n = 2 + below(c, 6); n--;) {
        if (below(c, 6) == 0) {
            out[outs++] = c->count;
            emit(c, 0xb4000000 | (VALUE + below(c, VALUES))); // CBZ
        }
        if (below(c, 4) == 0) { // over one or two
            emit(c, tests[below(c, 3)] | (VALUE + below(c, VALUES)) << 5);
            unsigned skipped = 1 + below(c, 2);
            emit(c, 0x54000000 | (skipped + 1) << 5 | below(c, 14));
            while (skipped--)
                emit_some(c);
        }
        emit_some(c);
    }
    emit_access(c);
    emit(c, 0xf1000400 | COUNTER << 5 | COUNTER);
    uint32_t back = c->count;
    emit(c, 0x54000001 | (-back & 0x7ffff) << 5);
    while (outs--)
        c->words[out[outs]] |= (c->count - out[outs]) << 5;
    emit_value(c);
    emit_value(c);
    return c->count;
}

// ---- machines --------------------------------------------------------------------------------------------------------

static uint64_t physical(unsigned page)
{
    return PHYSICAL + 2 * (PAGES - 1 - page) * IR_PAGE_SIZE;
}

static void put(struct flat *f, uint64_t at, uint64_t value)
{
    memcpy(flat_at(f, at, 8), &value, 8);
}

static struct flat *machine(enum runner_engine engine)
{
    struct flat *f = flat_create(&(struct flat_config){.engine = engine, .base = BASE, .size = SIZE, .stop_on_fault = true});
    if (!f)
        return NULL;
    put(f, TABLE_1, TABLE_2 | ENTRY);
    put(f, TABLE_2, TABLE_3 | ENTRY);
    put(f, TABLE_3 + 8 * (CODE >> 12 & 511), CODE | ENTRY | AF);
    struct a64_cpu *cpu = f->cpu;
    cpu->sys[A64_SR_TCR_EL1] = TCR_4K;
    cpu->sys[A64_SR_TTBR0_EL1] = TABLE_1;
    cpu->sys[A64_SR_MAIR_EL1] = 0x00ff; // attributes 0: memory, 1: device
    cpu->sys[A64_SR_CPACR_EL1] = 3u << 20;
    return f;
}

// The same for every engine: a function of the seed.
static void set_up(struct flat *f, uint64_t seed, const struct code *code)
{
    struct code c = {.count = 0};
    struct a64_cpu *cpu = f->cpu;
    random_start(&c.random, seed);
    unsigned odd_pages = below(&c, 4) ? 12 : 1;
    for (unsigned n = 0; n < PAGES; n++) {
        uint64_t entry = physical(n) | ENTRY | AF;
        unsigned kind = below(&c, odd_pages * 3);
        if (odd_pages > 1)
            entry = kind == 0 ? 0 : kind == 1 ? entry | READ_ONLY : kind == 2 ? entry | DEVICE : entry;
        put(f, TABLE_3 + 8 * ((DATA >> 12 & 511) + n), entry);
        uint64_t *words = flat_at(f, physical(n), IR_PAGE_SIZE);
        for (unsigned w = 0; w < IR_PAGE_SIZE / 8; w++)
            words[w] = below(&c, 64) ? random_bits(&c.random) : 0;
    }
    cpu->sys[A64_SR_SCTLR_EL1] = CONTROL & ~(below(&c, 3) ? 0xaull : 8ull); // sometimes with alignment checks
    a64_key_update(cpu);
    flat_flush(f);
    flat_code(f, CODE, code->words, code->count);
    bool aligned = below(&c, 2);
    for (unsigned n = 0; n < 31; n++)
        cpu->x[n] = random_bits(&c.random);
    for (unsigned n = 0; n < POINTERS; n++)
        cpu->x[n] = DATA + below(&c, PAGES * IR_PAGE_SIZE) / (aligned ? 16 : 1) * (aligned ? 16 : 1);
    for (unsigned n = INDEX; n < INDEX + INDICES; n++) {
        static const uint64_t values[] = {0, 0, 16, 4096, -16ull, -4096ull, 0xfffffff0, 0x100000000, 0x7ffffff8};
        cpu->x[n] = values[below(&c, 9)] + (aligned ? 0 : below(&c, 3));
        if (below(&c, 2)) // that sum is among the data, and where the index wraps it leaves them
            cpu->x[n - INDEX] -= below(&c, 2) ? (uint32_t)cpu->x[n] : (uint64_t)(int32_t)cpu->x[n];
    }
    for (unsigned n = 0; n < 32; n++)
        cpu->v[n] = (union v128){.d = {random_bits(&c.random), random_bits(&c.random)}};
    cpu->x[COUNTER] = 1 + below(&c, 4) * below(&c, 400);
    cpu->nzcv = below(&c, 16) << 28;
    cpu->env.pc = CODE;
    cpu->env.fp_flags = 0;
    f->fill_one_in = below(&c, 4) ? 1 : 3;
    f->dice = seed;
    atomic_store(&cpu->env.budget, 1 << 20);
}

static int run(struct flat *f, unsigned words)
{
    uint64_t end = CODE + 4 * words;
    int code = IR_EXIT_JUMP;
    for (unsigned n = 0; n < 100000 && f->cpu->env.pc != end && (code == IR_EXIT_JUMP || code == IR_EXIT_POLL); n++)
        code = flat_run(f, words - (unsigned)(f->cpu->env.pc - CODE) / 4, 1, end);
    return code;
}

// ---- the test ----------------------------------------------------------------------------------------------------------

static bool same(struct flat *a, struct flat *b, int code_a, int code_b)
{
    return code_a == code_b && a->cpu->env.pc == b->cpu->env.pc && !((a->cpu->nzcv ^ b->cpu->nzcv) & IR_FLAG_NZCV) &&
           !memcmp(a->cpu->x, b->cpu->x, sizeof a->cpu->x) && !memcmp(a->cpu->v, b->cpu->v, sizeof a->cpu->v) &&
           !memcmp(a->mem, b->mem, SIZE) &&
           (code_a != IR_EXIT_FAULT || (a->fault.va == b->fault.va && a->fault.kind == b->fault.kind));
}

static void check_loop(struct flat *reference, struct flat *tested, uint64_t seed)
{
    struct code code = {.count = 0};
    random_start(&code.random, seed);
    unsigned words = make_loop(&code);
    for (unsigned n = 0; n < RUNS; n++) {
        set_up(reference, seed + n, &code);
        set_up(tested, seed + n, &code);
        int a = run(reference, words), b = run(tested, words);
        cr_assert(same(reference, tested, a, b), "ISOMER_SEED=%llx: run %u: exit %d at %#llx against %d at %#llx",
                  (unsigned long long)seed, n, a, (unsigned long long)reference->cpu->env.pc, b,
                  (unsigned long long)tested->cpu->env.pc);
    }
}

Test(loops, of_random_accesses)
{
    uint64_t seed = random_run_seed();
    const char *count = getenv("ISOMER_LOOPS");
    struct flat *reference = machine(RUNNER_INTERPRETER), *tested = machine(RUNNER_LLVM);
    for (unsigned n = count ? (unsigned)strtoul(count, NULL, 0) : LOOPS; tested && n--; seed += 0x100)
        check_loop(reference, tested, seed);
    flat_destroy(reference);
    if (tested)
        flat_destroy(tested);
}
