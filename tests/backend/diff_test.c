// SPDX-License-Identifier: MIT
// Differential test: random units run by the interpreter and as compiled code leave the same state, memory and exit.
// Host features are masked in turn, inline tables filled at random so that hot and cold paths both run.
// ISOMER_SEED repeats a run, ISOMER_UNITS is its length.
#include "tests/backend/toy_jit.h"
#include "backends/x64/features.h"
#include "tests/ir/random_unit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static _Alignas(64) uint8_t memory_a[TOY_JIT_MEMORY], memory_b[TOY_JIT_MEMORY];
static struct toy_state a, b;

static const uint64_t sse_only = X64_HAS_SSE42;

static void set_up(struct toy_state *toy, uint8_t *memory, uint64_t seed, uint32_t fp_mode)
{
    random_toy(toy, memory, TOY_JIT_MEMORY, seed);
    toy->env.fp_mode = fp_mode;
}

// With ISOMER_DUMP set, every unit as text to stderr and its code to the file named.
static void dump(const struct ir_unit *unit, const struct backend_unit *compiled)
{
    const char *path = getenv("ISOMER_DUMP");
    FILE *out = path ? fopen(path, "wb") : NULL;
    if (!out)
        return;
    ir_print(unit, stderr);
    fwrite(compiled->entry, 1, compiled->code_size, out);
    fclose(out);
}

static const uint32_t crypto = RANDOM_VEC | RANDOM_AES;

static void run_one(struct toy_jit *jit, uint64_t seed, uint32_t classes)
{
    static struct ir_unit unit;
    static union ir_value slots[8192];
    struct random_source random;
    random_start(&random, seed);
    static const uint8_t rounds[] = { IR_RN, IR_RN, IR_RN, IR_RP, IR_RM, IR_RZ };
    uint32_t fp_mode = rounds[seed % 6] | (seed % 5 == 0 ? IR_FP_DN : 0) | (seed % 11 == 0 ? IR_FP_FTZ : 0);
    struct random_options options = { .classes = classes, .insns = getenv("ISOMER_SMALL") ? 1 + seed % 3 : 4 + seed % 30, .memory_size = TOY_JIT_MEMORY,
                                      .big_endian = (seed & 3) == 0, .fp_mode = fp_mode };
    for (unsigned op = 0; classes == crypto && op < IR_OP_vaese; op++) // chains of rounds
        options.skip[op] = op != IR_OP_vxor && op != IR_OP_vext;
    random_unit(&random, &options, &unit);
    cr_assert(!unit.failed && unit.insn_count <= ARRAY_SIZE(slots));
    set_up(&a, memory_a, seed, fp_mode);
    set_up(&b, memory_b, seed, fp_mode);
    toy_jit_tables(jit, &b, (uint32_t)random_bits(&random), (uint32_t)random_bits(&random));
    struct backend_unit compiled;
    toy_jit_compile(jit, &unit, &compiled);
    dump(&unit, &compiled);
    int code_a = ir_interpret(&unit, &a.env, &toy_runtime, slots);
    toy_jit_soil_stack();
    int code_b = x64_backend.enter(jit->backend, &b.env, compiled.entry);
    char text[512] = "";
    bool polled = code_a == IR_EXIT_JUMP && code_b == IR_EXIT_POLL && a.env.budget < 0; // indirect exits poll
    bool differs = toy_jit_differs(&a, &b, text, sizeof text);
    if ((code_a != code_b && !polled) || differs) {
        cr_assert_fail("ISOMER_SEED=%llx classes %x: exit %d against %d, %s", (unsigned long long)seed, classes, code_a,
                       code_b, text);
    }
}

static void note(uint64_t seed)
{
    if (getenv("ISOMER_TRACE"))
        fprintf(stderr, "seed %llx\n", (unsigned long long)seed);
}

static void run_many(uint32_t classes, uint64_t features)
{
    struct toy_jit jit = { 0 };
    uint64_t first = random_run_seed();
    const char *count = getenv("ISOMER_UNITS");
    unsigned long n = count ? strtoul(count, NULL, 0) : 400;
    toy_jit_create(&jit, features);
    for (uint64_t seed = first; seed < first + n; seed++)
        note(seed), run_one(&jit, seed, classes);
    toy_jit_destroy(&jit);
}

static const uint32_t integer = RANDOM_INT | RANDOM_FLAGS | RANDOM_CRC;
static const uint32_t control = RANDOM_INT | RANDOM_FLAGS | RANDOM_MEM | RANDOM_ATOMIC | RANDOM_CALL | RANDOM_BRANCH;

Test(backend_diff, integers) { run_many(integer, UINT64_MAX); }
Test(backend_diff, integers_on_sse) { run_many(integer, sse_only); }
Test(backend_diff, memory) { run_many(integer | RANDOM_MEM, UINT64_MAX); }
Test(backend_diff, atomics) { run_many(integer | RANDOM_MEM | RANDOM_ATOMIC, UINT64_MAX); }
Test(backend_diff, control) { run_many(control, UINT64_MAX); }
Test(backend_diff, control_on_sse) { run_many(control, sse_only | X64_HAS_LAHF); }
Test(backend_diff, fp) { run_many(RANDOM_INT | RANDOM_FLAGS | RANDOM_FP | RANDOM_FP16, UINT64_MAX); }
Test(backend_diff, fp_on_sse) { run_many(RANDOM_INT | RANDOM_FLAGS | RANDOM_FP, sse_only); }
Test(backend_diff, vectors) { run_many(RANDOM_INT | RANDOM_VEC | RANDOM_AES, UINT64_MAX); }
Test(backend_diff, vectors_on_sse) { run_many(RANDOM_INT | RANDOM_VEC | RANDOM_AES, sse_only); }
Test(backend_diff, rounds) { run_many(crypto, UINT64_MAX); }
Test(backend_diff, everything) { run_many(RANDOM_ALL, UINT64_MAX); }
Test(backend_diff, everything_on_sse) { run_many(RANDOM_ALL, sse_only); }
