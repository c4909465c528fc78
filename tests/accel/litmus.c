// SPDX-License-Identifier: MIT
// Litmus tests of the memory model (Arm ARM B2): short programs on two to four vCPUs, many times over, each time with
// variables of its own. An outcome that the architecture forbids must not be seen. One that it allows and our hosts show
// (store buffering) should be; where it is not, the test only says so, since that depends on the host's load.
//
// A thread is a line of words: X=1 (STR), X:=1 (STLR), r0=X (LDR), r0:=X (LDAR), r1=X@r0 and X=1@r0 (with an address or
// data that depends on r0), dmb, dmb.ld, dmb.st. An outcome is what registers (thread:register) and variables hold at the
// end, all of it.
#include "tests/accel/small.h"
#include "tests/accel/words.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, RAM = 16 << 20, CODE_STEP = 0x1000, BARRIER = SMALL_RAM + 0x10000, FINISHED = SMALL_RAM + 0x10080,
       VARIABLES = SMALL_RAM + 0x100000, RESULTS = SMALL_RAM + 0x800000, RESULTS_STEP = 0x100000, INSTANCE = 128,
       Y_OFFSET = 64, ROUNDS_MAX = 24576 };
_Static_assert(ROUNDS_MAX * INSTANCE <= RESULTS - VARIABLES && ROUNDS_MAX * 16 <= RESULTS_STEP, "they overlap");

enum verdict { FORBIDDEN, SEEN_ON_X86 };
static const struct litmus {
    const char *name;
    enum verdict verdict;
    const char *outcome;
    const char *thread[THREADS];
} tests[] = {
    {"store buffering", SEEN_ON_X86, "0:r0=0 1:r0=0", {"X=1 r0=Y", "Y=1 r0=X"}},
    {"store buffering, barriers", FORBIDDEN, "0:r0=0 1:r0=0", {"X=1 dmb r0=Y", "Y=1 dmb r0=X"}},
    {"store buffering, release and acquire", FORBIDDEN, "0:r0=0 1:r0=0", {"X:=1 r0:=Y", "Y:=1 r0:=X"}},
    {"message passing, barriers", FORBIDDEN, "1:r0=1 1:r1=0", {"X=1 dmb.st Y=1", "r0=Y dmb.ld r1=X"}},
    {"message passing, release and acquire", FORBIDDEN, "1:r0=1 1:r1=0", {"X=1 Y:=1", "r0:=Y r1=X"}},
    {"message passing, address", FORBIDDEN, "1:r0=1 1:r1=0", {"X=1 dmb Y=1", "r0=Y r1=X@r0"}},
    {"load buffering, barriers", FORBIDDEN, "0:r0=1 1:r0=1", {"r0=X dmb Y=1", "r0=Y dmb X=1"}},
    {"load buffering, data", FORBIDDEN, "0:r0=1 1:r0=1", {"r0=X Y=1@r0", "r0=Y X=1@r0"}},
    {"load buffering, release", FORBIDDEN, "0:r0=1 1:r0=1", {"r0=X Y:=1", "r0=Y X:=1"}},
    {"coherence of loads", FORBIDDEN, "1:r0=1 1:r1=0", {"X=1", "r0=X r1=X"}},
    {"coherence of a load and a store", FORBIDDEN, "0:r0=2 X=2", {"r0=X X=1", "X=2"}},
    {"two writes twice, barriers", FORBIDDEN, "X=1 Y=1", {"X=1 dmb.st Y=2", "Y=1 dmb.st X=2"}},
    {"S, barriers", FORBIDDEN, "1:r0=1 X=2", {"X=2 dmb.st Y=1", "r0=Y dmb X=1"}},
    {"R, barriers", FORBIDDEN, "1:r0=0 Y=2", {"X=1 dmb Y=1", "Y=2 dmb r0=X"}},
    {"independent reads, barriers", FORBIDDEN, "2:r0=1 2:r1=0 3:r0=1 3:r1=0",
     {"X=1", "Y=1", "r0=X dmb r1=Y", "r0=Y dmb r1=X"}},
    {"independent reads, acquire", FORBIDDEN, "2:r0=1 2:r1=0 3:r0=1 3:r1=0",
     {"X:=1", "Y:=1", "r0:=X r1:=Y", "r0:=Y r1:=X"}},
    {"write to read causality", FORBIDDEN, "1:r0=1 2:r0=1 2:r1=0", {"X=1", "r0=X dmb Y=1", "r0=Y dmb.ld r1=X", ""}},
};

// Registers of a thread: r0 and r1, constants, and where it is.
enum { R0 = 1, R1, ONE, TWO, TEMP, STATUS, AT_X = 10, AT_Y, RESULT, BARRIER_AT, ARRIVED, BATCHES, LEFT };

static unsigned at(char variable)
{
    return variable == 'X' ? AT_X : AT_Y;
}

static void put_word(struct words *w, const char *word)
{
    const char *equals = strchr(word, '=');
    if (!equals) {
        put(w, !strcmp(word, "dmb") ? W_DMB_ISH : !strcmp(word, "dmb.ld") ? W_DMB_ISHLD : W_DMB_ISHST);
        return;
    }
    bool ordered = equals[-1] == ':';
    const char *on = strchr(word, '@');
    if (on)
        put(w, w_eor_reg(TEMP, R0 + (on[2] - '0'), R0 + (on[2] - '0')));
    if (word[0] == 'r') {
        unsigned to = R0 + (unsigned)(word[1] - '0'), from = at(equals[1]);
        put(w, on ? w_ldr_reg(to, from, TEMP) : ordered ? w_ldar(to, from) : w_ldr(to, from, 0));
        return;
    }
    unsigned value = equals[1] == '1' ? ONE : TWO;
    if (on)
        put(w, w_add_reg(TEMP, TEMP, value));
    put(w, ordered ? w_stlr(value, at(word[0])) : w_str(on ? TEMP : value, at(word[0]), 0));
}

static void put_body(struct words *w, const char *text)
{
    char copy[64], *save = NULL;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        put_word(w, word);
}

// Instances in batches; before each the threads wait for each other.
static void put_thread(struct small *small, const char *text, unsigned thread, unsigned threads, unsigned batches,
                       unsigned batch)
{
    struct words w = {.count = 0};
    put_value(&w, AT_X, VARIABLES);
    put_value(&w, RESULT, RESULTS + thread * RESULTS_STEP);
    put_value(&w, BARRIER_AT, BARRIER);
    put_value(&w, ARRIVED, 0);
    put_value(&w, BATCHES, batches);
    put_value(&w, ONE, 1);
    put_value(&w, TWO, 2);
    int again = w.count;
    put(&w, w_add(ARRIVED, ARRIVED, threads));
    put_increment(&w, BARRIER_AT, TEMP, STATUS);
    put(&w, w_ldar(TEMP, BARRIER_AT));
    put(&w, w_cmp(TEMP, ARRIVED));
    put(&w, w_b_cond(W_HS, 3));
    put(&w, W_YIELD);
    put(&w, w_b(-4));
    put_value(&w, LEFT, batch);
    int instance = w.count;
    put(&w, w_add(AT_Y, AT_X, Y_OFFSET));
    put_body(&w, text);
    put(&w, w_str(R0, RESULT, 0));
    put(&w, w_str(R1, RESULT, 8));
    put(&w, w_add(AT_X, AT_X, INSTANCE));
    put(&w, w_add(RESULT, RESULT, 16));
    put(&w, w_sub(LEFT, LEFT, 1));
    put(&w, w_cbnz(LEFT, instance - w.count));
    put(&w, w_sub(BATCHES, BATCHES, 1));
    put(&w, w_cbnz(BATCHES, again - w.count));
    put_value(&w, BARRIER_AT, FINISHED);
    put_increment(&w, BARRIER_AT, TEMP, STATUS);
    put(&w, W_WFE);
    put(&w, w_b(-1));
    cr_assert_lt(w.count, WORDS_MAX);
    small_code(small, SMALL_PROGRAMS + thread * CODE_STEP, w.word, (size_t)w.count * 4);
    small_start(small, thread, SMALL_PROGRAMS + thread * CODE_STEP);
}

static bool matches(struct small *small, const char *outcome, unsigned round)
{
    for (const char *p = outcome; p; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL) {
        const uint64_t *variable = small_at(small, VARIABLES + (uint64_t)round * INSTANCE + (p[0] == 'Y' ? Y_OFFSET : 0));
        uint64_t value = *variable;
        if (p[1] == ':') {
            const uint64_t *r = small_at(small, RESULTS + (uint64_t)(p[0] - '0') * RESULTS_STEP + round * 16);
            value = r[p[3] - '0'];
        }
        if (value != (uint64_t)(strchr(p, '=')[1] - '0'))
            return false;
    }
    return true;
}

static unsigned count_outcomes(const struct litmus *test, const struct small_config *config)
{
    unsigned threads = 2;
    while (threads < THREADS && test->thread[threads])
        threads++;
    // More threads than the host may have processors: longer batches, so that turns overlap.
    unsigned batch = threads > 2 ? 1024 : 128, batches = threads > 2 ? 24 : 160;
    struct small *small = small_make(config);
    memset(small_at(small, VARIABLES), 0, SMALL_RAM + RAM - VARIABLES);
    for (unsigned i = 0; i < threads; i++)
        put_thread(small, test->thread[i], i, threads, batches, batch);
    cr_assert(small_run_until(small, FINISHED, threads, 60), "%s: hangs", test->name);
    unsigned seen = 0;
    for (unsigned round = 0; round < batch * batches; round++)
        seen += matches(small, test->outcome, round);
    small_destroy(small);
    return seen;
}

static void run_all(const struct small_config *config)
{
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        unsigned seen = 0, tries = tests[i].verdict == FORBIDDEN ? 1 : 4;
        while (!seen && tries--)
            seen = count_outcomes(&tests[i], config);
        if (tests[i].verdict == FORBIDDEN)
            cr_expect_eq(seen, 0, "%s: %s was seen %u times", tests[i].name, tests[i].outcome, seen);
        else
            fprintf(stderr, "%s: %s, which is allowed, was seen %u times\n", tests[i].name, tests[i].outcome, seen);
    }
}

Test(litmus, compiled)
{
    run_all(&(struct small_config){.engine = ACCEL_JIT, .cpus = THREADS, .ram_size = RAM, .tier = ACCEL_TIER_FAST});
}

Test(litmus, regions)
{
    run_all(&(struct small_config){
        .engine = ACCEL_JIT, .cpus = THREADS, .ram_size = RAM, .tier = ACCEL_TIER_OPT, .one_pass_regions = true});
}
