// SPDX-License-Identifier: MIT
// Regions in a running machine: made of hot loops, killed by stores to them, while other vCPUs run them. Compiled by the
// one-pass backend, so that what is tried is forming, installing and invalidating.
#include "tests/accel/small.h"

#include "accel/jit/tier.h"

#include <criterion/criterion.h>

// MANY rounds take minutes: regions are made long before, however slow the host.
enum { PROGRAM = SMALL_PROGRAMS, DATA = PROGRAM + 0x1000, LOOPS = 20000, MANY = 1000000 };

static struct small *make(enum accel_engine engine, unsigned cpus, enum accel_tier tier)
{
    return small_make(&(struct small_config){.engine = engine, .cpus = cpus, .ram_size = 4 << 20, .tier = tier,
                                             .one_pass_regions = true});
}

static uint64_t word(const struct small *small, uint64_t addr)
{
    return *(const uint64_t *)small_at(small, addr);
}

// Adds 1 to x3 LOOPS times a round; rounds at DATA, x3 at DATA + 8.
static const uint32_t sum[] = {
    0x91400402, 0xd2800003, 0xd2800006,                                     // x2 = data; x3 = x6 = 0
    0xd289c404,                                                             // mov x4, #20000
    0x91000463, 0xf1000484, 0x54ffffc1,                                     // add x3, #1; subs x4, #1; b.ne
    0x910004c6, 0xf9000443, 0xf9000046, 0x17fffff9,                         // add x6, #1; str x3; str x6; b to the mov
};

static void run_sum(enum accel_engine engine, enum accel_tier tier, uint64_t rounds)
{
    struct small *small = make(engine, 1, tier);
    small_code(small, PROGRAM, sum, sizeof sum);
    small_start(small, 0, PROGRAM);
    uint64_t until = rounds;
    do {
        cr_assert(small_run_until(small, DATA, until, 60));
        until = word(small, DATA) + rounds;
    } while (!tier_counts(small->accel).made && until < MANY);
    uint64_t n = word(small, DATA), x3 = word(small, DATA + 8);
    cr_expect(x3 == n * LOOPS || x3 == (n + 1) * LOOPS, "%llu after %llu rounds", (unsigned long long)x3,
              (unsigned long long)n);
    cr_expect_gt(tier_counts(small->accel).made, 0);
    small_destroy(small);
}

Test(tier, a_hot_loop_becomes_a_region)
{
    run_sum(ACCEL_JIT, ACCEL_TIER_AUTO, 200);
    run_sum(ACCEL_JIT, ACCEL_TIER_OPT, 50);
}

Test(tier, lockstep_compares_regions)
{
    run_sum(ACCEL_LOCKSTEP, ACCEL_TIER_OPT, 2);
}

// So many rounds, and more until so many regions died: how many the tier's threads get to depends on the host's load.
static struct tier_counts run_until_died(struct small *small, uint64_t rounds, uint64_t died)
{
    struct tier_counts counts;
    uint64_t n = rounds;
    do {
        cr_assert(small_run_until(small, DATA, n, 60), "only %llu rounds", (unsigned long long)word(small, DATA));
        counts = tier_counts(small->accel);
        n = word(small, DATA) + rounds;
    } while (counts.died < died && n < MANY);
    return counts;
}

// As sum, but the first instruction of the loop is rewritten after each round: adds 1 and 2 in turn.
static const uint32_t rewrite_head[] = {
    0x91400402, 0x91010008, 0x52818009, 0xd2800003, 0xd2800006,             // x2 = data; x8 = the loop; w9 = #1 ^ #2
    0xd289c404, 0x1400000a,                                                 // mov x4, #20000; b to the loop
};
static const uint32_t rewrite_loop[] = {
    0x91000463, 0xf1000484, 0x54ffffc1,                                     // add x3, #1; subs x4, #1; b.ne
    0xb9400107, 0x4a0900e7, 0xb9000107, 0xd50b7b28, 0xd5033b9f, 0xd50b7528, // *x8 ^= w9; dc cvau; dsb; ic ivau
    0xd5033b9f, 0xd5033fdf, 0x910004c6, 0xf9000443, 0xf9000046, 0x17ffffe7, // dsb; isb; x6 += 1; str; str; b
};

static void run_rewrite(enum accel_tier tier, uint64_t deaths)
{
    struct small *small = make(ACCEL_JIT, 1, tier);
    small_code(small, PROGRAM, rewrite_head, sizeof rewrite_head);
    small_code(small, PROGRAM + 0x40, rewrite_loop, sizeof rewrite_loop);
    small_start(small, 0, PROGRAM);
    struct tier_counts counts = run_until_died(small, 100, deaths);
    uint64_t n = word(small, DATA), x3 = word(small, DATA + 8);
    n += x3 != LOOPS * (n + n / 2); // paused between its two stores
    cr_expect_eq(x3, LOOPS * (n + n / 2), "%llu after %llu rounds", (unsigned long long)x3, (unsigned long long)n);
    cr_expect_geq(counts.made, deaths);
    cr_expect_geq(counts.died, deaths, "%llu died, %llu made, %llu rounds", (unsigned long long)counts.died, (unsigned long long)counts.made, (unsigned long long)word(small, DATA));
    small_destroy(small);
}

Test(tier, a_store_to_its_code_kills_a_region)
{
    run_rewrite(ACCEL_TIER_OPT, 6);
    run_rewrite(ACCEL_TIER_AUTO, 3);
}

// Spins over a branch; when that has become a nop, puts it back and counts a round.
static const uint32_t spin_head[] = {
    0x91400402, 0x91010008, 0xb9400109, 0xf9000442, 0xd2800006, // x2 = data; x8 = the branch; w9 = *x8; says so at DATA + 8
    0x1400000b,                                                 // b to it
};
static const uint32_t spin_loop[] = {
    0x14000009, 0x910004c6, 0xb9000109, 0xd50b7b28, 0xd5033b9f, 0xd50b7528, // b over; x6 += 1; *x8 = w9; clean it
    0xd5033b9f, 0xd5033fdf, 0xf9000046, 0x91000463, 0x17fffff6,             // dsb; isb; str x6; add x3, #1; b to the b
};
// Waits long enough for a region to be made, makes the branch a nop, waits for the next round. At PROGRAM + 0x200.
static const uint32_t poke[] = {
    0xd1080001, 0x91400422, 0x91010028, 0x528403e9, 0x72baa069, // x2 = data; x8 = the branch; w9 = nop
    0xf9400045, 0xd2a00804, 0xf1000484, 0x54ffffe1,             // x5 = rounds; 4194304 times nothing
    0xb9000109, 0xd5033b9f, 0xf9400046, 0xeb0500df, 0x54ffffc0, // *x8 = w9; dsb; while rounds == x5
    0x17fffff7,
};

static void run_poke(enum accel_tier tier, uint64_t rounds, uint64_t deaths)
{
    struct small *small = make(ACCEL_JIT, 2, tier);
    small_code(small, PROGRAM, spin_head, sizeof spin_head);
    small_code(small, PROGRAM + 0x40, spin_loop, sizeof spin_loop);
    small_code(small, PROGRAM + 0x200, poke, sizeof poke);
    small_start(small, 0, PROGRAM);
    cr_assert(small_run_until(small, DATA + 8, 1, 60));
    small_start(small, 1, PROGRAM + 0x200);
    struct tier_counts counts = run_until_died(small, rounds, deaths);
    cr_expect_geq(counts.died, deaths, "%llu died, %llu made, %llu rounds", (unsigned long long)counts.died, (unsigned long long)counts.made, (unsigned long long)word(small, DATA));
    small_destroy(small);
}

Test(tier, another_cpu_changes_a_region_that_runs)
{
    run_poke(ACCEL_TIER_OPT, 60, 4);
    run_poke(ACCEL_TIER_AUTO, 10, 3);
}

Test(tier, flushing_drops_regions)
{
    struct small *small = make(ACCEL_JIT, 1, ACCEL_TIER_OPT);
    small_code(small, PROGRAM, sum, sizeof sum);
    small_start(small, 0, PROGRAM);
    for (unsigned i = 1; i <= 5; i++) {
        const uint64_t done = word(small, DATA); // it may be far ahead
        cr_expect(small_run_until(small, DATA, done + 10, 60));
        cr_expect_eq(accel_breakpoint(small->accel, PROGRAM + 0x800, true), 0);
        cr_expect_eq(tier_counts(small->accel).died, tier_counts(small->accel).made);
        cr_expect_eq(accel_breakpoint(small->accel, PROGRAM + 0x800, false), 0);
    }
    cr_expect_geq(tier_counts(small->accel).made, 5);
    small_destroy(small);
}

// Writes a word, then waits for an interrupt that never comes.
static const uint32_t halt[] = {
    0x91400402, 0xd2800026, 0xf9000046, 0xd503207f, 0x17ffffff, // x2 = data; *x2 = 1; wfi; b to it
};

static uint64_t ticks(const struct small *small)
{
    return tier_counts(small->accel).ticks;
}

Test(tier, nothing_ticks_while_all_cpus_sleep)
{
    struct small *small = make(ACCEL_JIT, 2, ACCEL_TIER_AUTO);
    small_code(small, PROGRAM, halt, sizeof halt);
    small_start(small, 0, PROGRAM);
    small_start(small, 1, PROGRAM);
    cr_assert(small_run_until(small, DATA, 1, 60));
    accel_resume(small->accel);
    uint64_t before, after = ticks(small);
    do { // until they sleep
        before = after;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        after = ticks(small);
    } while (after != before && after < 10000);
    cr_expect_lt(after, 10000);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    cr_expect_eq(ticks(small), after);
    accel_pause(small->accel);
    small_destroy(small);
}
