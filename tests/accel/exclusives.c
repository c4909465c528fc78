// SPDX-License-Identifier: MIT
// Exclusive monitors, exact and not (accel_config.exact_exclusives): one vCPU loads exclusively, another does something to
// memory, the first stores exclusively. The variable is zero before and after whatever is done, so that a store-exclusive
// that compares values notices nothing of it.
#include "tests/accel/small.h"
#include "tests/accel/words.h"

#include <criterion/criterion.h>
#include <string.h>

enum { RAM = 16 << 20, CODE_STEP = 0x1000, VARIABLE = SMALL_RAM + 0x100000, MAIL = SMALL_RAM + 0x200000, ANSWER = 64,
       FAILURES = MAIL + 0x1000, FINISHED = MAIL + 0x2000, ROUNDS = 20, CPUS = 4 };
enum { ZR = 31, VALUE = 1, OTHER, STATUS, AT = 10, MAIL_AT, FAILED, LEFT, ROUND, RESULT };

static const struct deed {
    const char *name;
    bool clears; // an exact monitor
    uint32_t words[4];
} deeds[] = {
    {"nothing", false, {W_YIELD}},
    {"a load-exclusive", false, {0xc85f7c00 | AT << 5 | OTHER}},
    {"a store behind the granule", false, {0xf9000000 | 64 / 8 << 10 | AT << 5 | OTHER}},
    {"the same value", true, {0xf9000000 | AT << 5 | ZR}},
    {"another value and back", true, {0xf9000000 | AT << 5 | OTHER, 0xf9000000 | AT << 5 | ZR}},
    {"a byte and back", true, {0x39000000 | AT << 5 | OTHER, 0x39000000 | AT << 5 | ZR}},
    {"a store to the granule's end", true, {0xf9000000 | 56 / 8 << 10 | AT << 5 | OTHER}},
    {"a store-release", true, {0xc89ffc00 | AT << 5 | ZR}},
    {"a pair", true, {0xa9000000 | ZR << 10 | AT << 5 | ZR}},
    {"a vector", true, {0x3d800000 | AT << 5}},
    {"an unaligned store into it", true, {0xf8000000 | (-4 & 0x1ff) << 12 | AT << 5 | ZR}},
    {"a zeroed block", true, {0xd50b7420 | AT}},
    {"a store-exclusive", true, {0xc85f7c00 | AT << 5 | OTHER, 0xc8007c00 | STATUS << 16 | AT << 5 | ZR}},
};

static void put_ends(struct words *w, int loop)
{
    put(w, w_add(ROUND, ROUND, 1));
    put(w, w_sub(LEFT, LEFT, 1));
    put(w, w_cbnz(LEFT, loop - w->count));
    put_value(w, RESULT, FAILURES);
    put(w, w_str(FAILED, RESULT, 0));
    put(w, W_DMB_ISH);
    put_value(w, RESULT, FINISHED);
    put_increment(w, RESULT, VALUE, STATUS);
    put(w, w_b(0));
}

static void put_begins(struct words *w)
{
    put_value(w, VALUE, 3 << 20);
    put(w, 0xd5181040 | VALUE); // msr cpacr_el1: vectors
    put(w, W_ISB);
    put(w, 0x4f000400); // movi v0.4s, #0
    put_value(w, AT, VARIABLE);
    put_value(w, MAIL_AT, MAIL);
    put_value(w, LEFT, ROUNDS);
    put_value(w, ROUND, 1);
    put_value(w, FAILED, 0);
    put_value(w, OTHER, 0x5a);
}

// Waits until *[n + offset] is the round.
static void put_wait(struct words *w, unsigned offset)
{
    put(w, w_ldr(VALUE, MAIL_AT, offset));
    put(w, w_cmp(VALUE, ROUND));
    put(w, w_b_cond(W_NE, -2));
    put(w, W_DMB_ISH);
}

static void put_tell(struct words *w, unsigned offset)
{
    put(w, W_DMB_ISH);
    put(w, w_str(ROUND, MAIL_AT, offset));
}

static void start_exclusive(struct small *small)
{
    struct words w = {.count = 0};
    put_begins(&w);
    int loop = w.count;
    put(&w, w_ldxr(VALUE, AT));
    put_tell(&w, 0);
    put_wait(&w, ANSWER);
    put(&w, w_stxr(STATUS, ZR, AT));
    put(&w, w_add_reg(FAILED, FAILED, STATUS));
    put_ends(&w, loop);
    small_code(small, SMALL_PROGRAMS, w.word, (size_t)w.count * 4);
    small_start(small, 0, SMALL_PROGRAMS);
}

static void start_doer(struct small *small, const struct deed *deed)
{
    struct words w = {.count = 0};
    put_begins(&w);
    int loop = w.count;
    put_wait(&w, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(deed->words) && deed->words[i]; i++)
        put(&w, deed->words[i]);
    put_tell(&w, ANSWER);
    put(&w, w_add(ROUND, ROUND, 1));
    put(&w, w_sub(LEFT, LEFT, 1));
    put(&w, w_cbnz(LEFT, loop - w.count));
    put(&w, w_b(0));
    small_code(small, SMALL_PROGRAMS + CODE_STEP, w.word, (size_t)w.count * 4);
    small_start(small, 1, SMALL_PROGRAMS + CODE_STEP);
}

static struct small *machine(enum accel_engine engine, bool exact)
{
    return small_make(&(struct small_config){.engine = engine, .cpus = CPUS, .ram_size = RAM, .tier = ACCEL_TIER_FAST,
                                             .exact_exclusives = exact});
}

static void try_all(enum accel_engine engine, bool exact)
{
    for (size_t i = 0; i < ARRAY_SIZE(deeds); i++) {
        struct small *small = machine(engine, exact);
        start_exclusive(small);
        start_doer(small, &deeds[i]);
        cr_assert(small_run_until(small, FINISHED, 1, 60), "%s: hangs", deeds[i].name);
        const uint64_t *failures = small_at(small, FAILURES);
        cr_expect_eq(*failures, exact && deeds[i].clears ? ROUNDS : 0, "%s: %llu of %d store-exclusives fail", deeds[i].name,
                     (unsigned long long)*failures, ROUNDS);
        small_destroy(small);
    }
}

Test(exclusives, exact_compiled) { try_all(ACCEL_JIT, true); }
Test(exclusives, exact_interpreted) { try_all(ACCEL_INTERPRETER, true); }
Test(exclusives, exact_in_lockstep) { try_all(ACCEL_LOCKSTEP, true); }
Test(exclusives, by_value) { try_all(ACCEL_JIT, false); }

// A device's write between the two; the test itself is the device.
static unsigned failures_with_dma(bool exact)
{
    struct small *small = machine(ACCEL_JIT, exact);
    start_exclusive(small);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint64_t zero = 0;
        cr_assert(small_run_until(small, MAIL, round, 60));
        cr_assert_eq(mem_write(small->mem, (struct gpa){VARIABLE + 8}, &zero, 8, false), MEM_OK);
        cr_assert_eq(mem_write(small->mem, (struct gpa){MAIL + ANSWER}, &round, 8, false), MEM_OK);
    }
    cr_assert(small_run_until(small, FINISHED, 1, 60));
    unsigned failures = (unsigned)*(const uint64_t *)small_at(small, FAILURES);
    small_destroy(small);
    return failures;
}

Test(exclusives, dma)
{
    cr_expect_eq(failures_with_dma(true), ROUNDS);
    cr_expect_eq(failures_with_dma(false), 0);
}

// Who fails makes room for somebody who does not: counters of all vCPUs in one granule, and one that they share.
Test(exclusives, progress)
{
    enum { INCREMENTS = 3000 };
    struct small *small = machine(ACCEL_JIT, true);
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        struct words w = {.count = 0};
        put_value(&w, AT, VARIABLE + 8 * cpu);
        put_value(&w, MAIL_AT, VARIABLE + 8 * CPUS);
        put_value(&w, LEFT, INCREMENTS);
        int loop = w.count;
        put_increment(&w, AT, VALUE, STATUS);
        put_increment(&w, MAIL_AT, VALUE, STATUS);
        put(&w, w_sub(LEFT, LEFT, 1));
        put(&w, w_cbnz(LEFT, loop - w.count));
        put_value(&w, RESULT, FINISHED);
        put_increment(&w, RESULT, VALUE, STATUS);
        put(&w, w_b(0));
        small_code(small, SMALL_PROGRAMS + cpu * CODE_STEP, w.word, (size_t)w.count * 4);
        small_start(small, cpu, SMALL_PROGRAMS + cpu * CODE_STEP);
    }
    cr_assert(small_run_until(small, FINISHED, CPUS, 60), "it hangs");
    const uint64_t *counters = small_at(small, VARIABLE);
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        cr_expect_eq(counters[cpu], INCREMENTS);
    cr_expect_eq(counters[CPUS], CPUS * INCREMENTS);
    small_destroy(small);
}
