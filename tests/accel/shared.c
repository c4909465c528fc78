// SPDX-License-Identifier: MIT
// Four vCPUs at one thing: counters by every kind of atomic update lose nothing, WFE hears SEV and goes on without it,
// and while others run, code that one rewrites and a page that one maps elsewhere are new everywhere as soon as it has
// said so.
#include "tests/accel/small.h"
#include "tests/accel/words.h"

#include <criterion/criterion.h>
#include <string.h>

enum { CPUS = 4, RAM = 8 << 20, STEP = 0x1000, COUNTER = SMALL_RAM + 0x20000, LOCK = COUNTER + 0x40, FINISHED = COUNTER + 0x80,
       WRONG = COUNTER + 0xc0, TOKEN = COUNTER + 0x100, FUNCTION = SMALL_RAM + 0x30000 };

static struct small *make(void)
{
    return small_create(ACCEL_JIT, CPUS, RAM, 0);
}

static uint64_t word(struct small *small, uint64_t addr)
{
    return *(uint64_t *)small_at(small, addr);
}

static void start(struct small *small, unsigned cpu, const struct words *w)
{
    cr_assert_lt(w->count, WORDS_MAX);
    small_code(small, SMALL_PROGRAMS + cpu * STEP, w->word, (size_t)w->count * 4);
    small_start(small, cpu, SMALL_PROGRAMS + cpu * STEP);
}

// One more at FINISHED, and rest.
static void put_end(struct words *w)
{
    put_value(w, 9, FINISHED);
    put_increment(w, 9, 5, 6);
    put(w, W_WFE);
    put(w, w_b(-1));
}

// ---- counters ------------------------------------------------------------------------------------------------------

enum { TIMES = 20000 };
enum update { EXCLUSIVE, ORDERED_EXCLUSIVE, PAIR, LOCKED, UPDATES };

// *x1 += 1. x2 is the lock, x3 one.
static void put_update(struct words *w, enum update how)
{
    switch (how) {
    case EXCLUSIVE:
        put(w, w_ldxr(5, 1));
        put(w, w_add(5, 5, 1));
        put(w, w_stxr(6, 5, 1));
        put(w, w_cbnz_w(6, -3));
        break;
    case ORDERED_EXCLUSIVE: put_increment(w, 1, 5, 6); break;
    case PAIR: // the second half counts down
        put(w, w_ldxp(5, 7, 1));
        put(w, w_add(5, 5, 1));
        put(w, w_sub(7, 7, 1));
        put(w, w_stxp(6, 5, 7, 1));
        put(w, w_cbnz_w(6, -4));
        break;
    default:
        put(w, w_ldaxr(5, 2));
        put(w, w_cbnz(5, 3));
        put(w, w_stxr(6, 3, 2));
        put(w, w_cbz(6, 3)); // a status is 32 bits, and the rest of the register zero
        put(w, W_YIELD);
        put(w, w_b(-5));
        put(w, w_ldr(5, 1, 0)); // ours now
        put(w, w_add(5, 5, 1));
        put(w, w_str(5, 1, 0));
        put(w, w_stlr(31, 2));
        break;
    }
}

static void count(enum update how)
{
    struct small *small = make();
    for (unsigned i = 0; i < CPUS; i++) {
        struct words w = {.count = 0};
        put_value(&w, 1, COUNTER);
        put_value(&w, 2, LOCK);
        put_value(&w, 3, 1);
        put_value(&w, 4, TIMES);
        int again = w.count;
        put_update(&w, how);
        put(&w, w_sub(4, 4, 1));
        put(&w, w_cbnz(4, again - w.count));
        put_end(&w);
        start(small, i, &w);
    }
    cr_assert(small_run_until(small, FINISHED, CPUS, 60), "update %d hangs", how);
    cr_expect_eq(word(small, COUNTER), CPUS * TIMES, "update %d: %lu", how, word(small, COUNTER));
    if (how == PAIR)
        cr_expect_eq(word(small, COUNTER + 8), (uint64_t)-CPUS * TIMES, "the second half: %lx", word(small, COUNTER + 8));
    small_destroy(small);
}

Test(shared, counters)
{
    for (enum update how = 0; how < UPDATES; how++)
        count(how);
}

// ---- events --------------------------------------------------------------------------------------------------------

enum { TURNS = 1000 };

// A token goes round: each waits by WFE until it is its turn, and passes it on, with SEV or without.
static void pass_token(bool exclusive, bool send)
{
    struct small *small = make();
    for (unsigned i = 0; i < CPUS; i++) {
        struct words w = {.count = 0};
        put_value(&w, 1, TOKEN);
        put_value(&w, 4, i); // the token's value at our turn
        put_value(&w, 3, TURNS);
        int turn = w.count;
        put(&w, W_SEVL);
        int wait = w.count;
        put(&w, W_WFE);
        put(&w, exclusive ? w_ldaxr(5, 1) : w_ldar(5, 1));
        put(&w, w_cmp(5, 4));
        put(&w, w_b_cond(W_NE, wait - w.count));
        put(&w, w_add(5, 5, 1));
        put(&w, w_stlr(5, 1));
        if (send) {
            put(&w, W_DSB_ISH);
            put(&w, W_SEV);
        }
        put(&w, w_add(4, 4, CPUS));
        put(&w, w_cmp(4, 3));
        put(&w, w_b_cond(W_HS, 2));
        put(&w, w_b(turn - w.count));
        put_end(&w);
        start(small, i, &w);
    }
    cr_expect(small_run_until(small, FINISHED, CPUS, 60), "the token stays at %lu (%s)", word(small, TOKEN),
              send ? "SEV" : exclusive ? "monitor" : "time");
    cr_expect_eq(word(small, TOKEN), TURNS);
    small_destroy(small);
}

Test(shared, wait_for_event)
{
    pass_token(false, true);
    pass_token(true, true);
    pass_token(true, false);
}

// A waiter must not need its time-out when SEV comes: SEV between the look at the flag and WFE counts.
// (The ring above would only become slow, so this one is told by the event register alone.)
Test(shared, an_event_is_not_lost_before_the_wait)
{
    struct small *small = make();
    struct words w = {.count = 0};
    put_value(&w, 3, 50000);
    put(&w, W_SEV);
    put(&w, W_WFE);
    put(&w, w_sub(3, 3, 1));
    put(&w, w_cbnz(3, -3));
    put_end(&w);
    start(small, 0, &w);
    cr_expect(small_run_until(small, FINISHED, 1, 4), "50,000 pairs of SEV and WFE take over 4 s"); // time-outs: over 5 s
    small_destroy(small);
}

// ---- what one changes under the others -----------------------------------------------------------------------------

// Each of the page's versions waits for every CPU to leave its loop.
enum { CODE_VERSIONS = 1000, PAGE_VERSIONS = 50 };

// x4 counts up from 1; after each change of what x10 points to the version is published at x1.
static void put_writer(struct words *w, const uint32_t *change, unsigned count)
{
    int again = w->count;
    put(w, w_add(4, 4, 1));
    for (unsigned i = 0; i < count; i++)
        put(w, change[i]);
    put(w, w_stlr(4, 1));
    put(w, w_cmp(4, 3));
    put(w, w_b_cond(W_NE, again - w->count));
    put_end(w);
}

// Takes the version, then looks (into x5): older than the version is wrong.
static void put_reader(struct words *w, unsigned versions, const uint32_t *look, unsigned count)
{
    put_value(w, 1, TOKEN);
    put_value(w, 2, WRONG);
    put_value(w, 3, versions);
    put_value(w, 7, 0);
    int again = w->count;
    put(w, w_ldar(4, 1));
    for (unsigned i = 0; i < count; i++)
        put(w, look[i]);
    put(w, w_cmp(5, 4));
    put(w, w_b_cond(W_HS, 2));
    put(w, w_add(7, 7, 1));
    put(w, w_cmp(4, 3));
    put(w, w_b_cond(W_NE, again - w->count));
    put(w, w_cbz(7, 2));
    put(w, w_str(7, 2, 0));
    put_end(w);
}

static void run_change(struct small *small, const char *what)
{
    cr_expect(small_run_until(small, FINISHED, CPUS, 60), "%s: hangs at version %lu", what, word(small, TOKEN));
    cr_expect_eq(word(small, WRONG), 0, "%s: something old was seen %lu times", what, word(small, WRONG));
    small_destroy(small);
}

Test(shared, code_that_another_cpu_rewrites)
{
    const uint32_t change[] = {
        0x2a041548,       // orr w8, w10, w4, lsl #5: movz x5, #version
        w_str_w(8, 11),   // the function's first word
        0xd50b7b2b,       // dc cvau, x11
        W_DSB_ISH,
        0xd50b752b,       // ic ivau, x11
        W_DSB_ISH,
        W_ISB,
    };
    const uint32_t look[] = {W_ISB, w_blr(11)};
    const uint32_t function[] = {w_movz(5, 0, 0), W_RET};
    struct small *small = make();
    small_code(small, FUNCTION, function, sizeof function);
    for (unsigned i = 0; i < CPUS; i++) {
        struct words w = {.count = 0};
        put_value(&w, 11, FUNCTION);
        if (i) {
            put_reader(&w, CODE_VERSIONS, look, ARRAY_SIZE(look));
        } else {
            put_value(&w, 1, TOKEN);
            put_value(&w, 3, CODE_VERSIONS);
            put_value(&w, 4, 0);
            put_value(&w, 10, w_movz(5, 0, 0));
            put_writer(&w, change, ARRAY_SIZE(change));
        }
        start(small, i, &w);
    }
    run_change(small, "code");
}

// Two pages take turns behind one address; the one that comes next holds the version already.
Test(shared, a_page_that_another_cpu_maps_elsewhere)
{
    enum { L1 = SMALL_RAM + 0x1000, L2 = SMALL_RAM + 0x40000, L3 = SMALL_RAM + 0x41000, PAGES = SMALL_RAM + 0x50000,
           TABLE = 3, PAGE = 0xf03, INDEX = 5 };
    const uint64_t va = 0x80005000;
    const uint32_t change[] = {
        w_str(4, 10, 0),            // the version to the page that is not mapped
        w_add(8, 10, 0xf00),        // its descriptor
        w_add(8, 8, 3),
        W_DMB_ISHST,
        w_str(8, 11, 0),
        0xd5033a9f,                 // dsb ishst
        0xd508836c,                 // tlbi vaae1is, x12
        W_DSB_ISH,
        w_eor_reg(10, 10, 13),      // the other page
    };
    const uint32_t look[] = {w_ldr(5, 11, 0)};
    struct small *small = make();
    *(uint64_t *)small_at(small, L1 + 16) = L2 | TABLE;
    *(uint64_t *)small_at(small, L2) = L3 | TABLE;
    *(uint64_t *)small_at(small, L3 + 8 * INDEX) = PAGES | PAGE;
    for (unsigned i = 0; i < CPUS; i++) {
        struct words w = {.count = 0};
        if (i) {
            put_value(&w, 11, va);
            put_reader(&w, PAGE_VERSIONS, look, ARRAY_SIZE(look));
        } else {
            put_value(&w, 1, TOKEN);
            put_value(&w, 3, PAGE_VERSIONS);
            put_value(&w, 4, 0);
            put_value(&w, 10, PAGES + 0x1000);
            put_value(&w, 11, L3 + 8 * INDEX);
            put_value(&w, 12, va >> 12);
            put_value(&w, 13, 0x1000);
            put_writer(&w, change, ARRAY_SIZE(change));
        }
        start(small, i, &w);
    }
    run_change(small, "page");
}
