// SPDX-License-Identifier: MIT
// Differential test of the optimising tier: random units run by the interpreter and as regions, entered through the x64
// trampoline, leave the same state, memory and exit. A seed that fails prints itself: ISOMER_SEED repeats it.
#include "backends/x64/features.h"
#include "tests/backend/llvm_engine.h"
#include "tests/ir/random_unit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static _Alignas(64) uint8_t memory_a[TOY_JIT_MEMORY], memory_b[TOY_JIT_MEMORY];
static struct toy_state a, b;
static struct llvm_engine engine;
static struct ir_unit unit;

static void set_up(struct toy_state *toy, uint8_t *memory, uint64_t seed, uint32_t fp_mode)
{
    random_toy(toy, memory, TOY_JIT_MEMORY, seed);
    toy->env.fp_mode = fp_mode;
    toy->env.fp_flags = IR_FP_IXC; // what regions assume
}

static void run_one(uint64_t seed, uint32_t classes, uint32_t fp_mode)
{
    static union ir_value slots[8192];
    struct random_source random;
    random_start(&random, seed);
    struct random_options options = { .classes = classes, .memory_size = TOY_JIT_MEMORY, .big_endian = (seed & 3) == 0,
                                      .insns = getenv("ISOMER_SMALL") ? 1 + seed % 3 : 4 + seed % 30, .fp_mode = fp_mode };
    random_unit(&random, &options, &unit);
    cr_assert(!unit.failed && unit.insn_count <= ARRAY_SIZE(slots));
    set_up(&a, memory_a, seed, fp_mode);
    set_up(&b, memory_b, seed, fp_mode);
    toy_jit_tables(&engine.jit, &b, (uint32_t)random_bits(&random), (uint32_t)random_bits(&random));
    struct optimiser_region region;
    const void *fallback = NULL;
    llvm_engine_compile(&engine, &unit, &fallback, &region);
    int code_a = ir_interpret(&unit, &a.env, &toy_runtime, slots);
    int code_b = x64_backend.enter(engine.jit.backend, &b.env, region.entry);
    char text[512] = "";
    bool polled = code_a == IR_EXIT_JUMP && code_b == IR_EXIT_POLL && a.env.budget < 0; // indirect exits poll
    bool differs = toy_jit_differs(&a, &b, text, sizeof text);
    cr_assert(!differs && (code_a == code_b || polled), "ISOMER_SEED=%llx classes %x: exit %d against %d, %s",
              (unsigned long long)seed, classes, code_a, code_b, text);
    engine.ops->release(engine.optimiser, region.handle);
}

static void run_many(uint32_t classes, uint64_t features, unsigned default_count)
{
    uint64_t first = random_run_seed();
    const char *count = getenv("ISOMER_UNITS");
    unsigned long n = count ? strtoul(count, NULL, 0) : default_count;
    llvm_engine_create(&engine, features);
    for (uint64_t seed = first; seed < first + n; seed++) {
        if (getenv("ISOMER_TRACE"))
            fprintf(stderr, "seed %llx\n", (unsigned long long)seed);
        run_one(seed, classes, IR_RN | (seed % 5 == 0 ? IR_FP_DN : 0));
    }
    size_t kept = engine.pool.bytes; // functions that regions share
    run_one(first, classes, IR_RN | (first % 5 == 0 ? IR_FP_DN : 0));
    cr_expect_eq(engine.pool.bytes, kept, "released regions give their memory back");
    llvm_engine_destroy(&engine);
}

static const uint32_t integer = RANDOM_INT | RANDOM_FLAGS | RANDOM_CRC;
static const uint32_t control = RANDOM_INT | RANDOM_FLAGS | RANDOM_MEM | RANDOM_ATOMIC | RANDOM_CALL | RANDOM_BRANCH;
static const uint64_t sse_only = X64_HAS_SSE42;

Test(llvm_diff, integers) { run_many(integer, UINT64_MAX, 15); }
Test(llvm_diff, integers_on_sse) { run_many(integer, sse_only, 5); }
Test(llvm_diff, memory) { run_many(integer | RANDOM_MEM, UINT64_MAX, 15); }
Test(llvm_diff, atomics) { run_many(integer | RANDOM_MEM | RANDOM_ATOMIC, UINT64_MAX, 10); }
Test(llvm_diff, control) { run_many(control, UINT64_MAX, 15); }
Test(llvm_diff, fp) { run_many(RANDOM_INT | RANDOM_FLAGS | RANDOM_FP | RANDOM_FP16, UINT64_MAX, 15); }
Test(llvm_diff, fp_without_fma) { run_many(RANDOM_FLAGS | RANDOM_FP, UINT64_MAX & ~(uint64_t)X64_HAS_FMA, 5); }
Test(llvm_diff, fp_on_sse) { run_many(RANDOM_FLAGS | RANDOM_FP | RANDOM_FP16, sse_only, 5); }
Test(llvm_diff, vectors_on_avx) { run_many(RANDOM_INT | RANDOM_VEC | RANDOM_AES, sse_only | X64_HAS_AVX, 5); }
Test(llvm_diff, vectors_on_sse) { run_many(RANDOM_INT | RANDOM_VEC | RANDOM_AES, sse_only, 5); }
Test(llvm_diff, vectors) { run_many(RANDOM_INT | RANDOM_VEC | RANDOM_AES, UINT64_MAX, 15); }
Test(llvm_diff, everything) { run_many(RANDOM_ALL, UINT64_MAX, 15); }
Test(llvm_diff, everything_on_sse) { run_many(RANDOM_ALL, sse_only, 5); }

// Units that were found to go wrong, as long as the generator makes the same of their seeds.
Test(llvm_diff, found)
{
    llvm_engine_create(&engine, UINT64_MAX);
    run_one(0x6619276f36d2a, RANDOM_ALL, IR_RN); // LLVM's code generation went in circles over hoisted constants
    llvm_engine_destroy(&engine);
}
