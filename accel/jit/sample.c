// SPDX-License-Identifier: MIT
// Where time goes, by samples (tier.h). A thread of its own, the ticker, asks every vCPU that runs translated code about
// once a millisecond to come to its next safepoint; most of those are polls of loops, so the places seen there are loops
// in proportion to their time. The ticker sleeps while all vCPUs do: they wake it.
//
// Samples are gathered by page and key, and halved every so often. A page with enough of them is made to count: its units
// are translated anew, with counters, until regions have been made of it or nothing came of that; then the counters go
// again, and samples in the lines that led to it do not matter for a while, the longer the less has come of it.
#include "accel/jit/tier_internal.h"

#include "base/error.h"

#include <string.h>

enum {
    MS = 1000000,
    TICK = MS, TICK_SPREAD = TICK / 2, // ns: between 0.75 and 1.25 ms, or it would keep step with the guest's timer
    ONE = 256,                              // what a sample weighs
    NEEDED = 3 * ONE,
    LEAST = ONE / 2, // what a page weighs that is no longer worth a region
    HALF_LIFE = 100000000,
    COUNTING = 20000000, // how long a page may count without asking for a region
    QUIET = 10, QUIET_GROWTH = 4, MAX_QUIET = 4000, // ms
};

// ---- the ticker ----------------------------------------------------------------------------------------------------

static bool all_sleep(const struct accel *accel)
{
    for (unsigned i = 0; i < accel->cpu_count; i++)
        if (atomic_load(&accel->cpus[i].activity) != VCPU_SLEEPS)
            return false;
    return true;
}

void tier_wake(struct vcpu *vcpu)
{
    struct tier *tier = vcpu->accel->jit.tier;
    atomic_store(&vcpu->activity, VCPU_AWAKE);
    if (!tier || !atomic_exchange(&tier->ticker.sleeps, false))
        return;
    pthread_mutex_lock(&tier->ticker.lock);
    pthread_cond_signal(&tier->ticker.wake);
    pthread_mutex_unlock(&tier->ticker.lock);
}

// Between ticks, or until somebody wakes up. ticker.lock held.
static void wait_for_tick(struct tier *tier)
{
    struct ticker *t = &tier->ticker;
    struct timespec until;
    t->random = t->random * 6364136223846793005u + 1442695040888963407u;
    uint64_t at = t->last + TICK - TICK_SPREAD / 2 + (t->random >> 33) % TICK_SPREAD;
    until.tv_sec = (time_t)(at / 1000000000u);
    until.tv_nsec = (long)(at % 1000000000u);
    while (!t->stop && tier_now_ns(CLOCK_MONOTONIC) < at)
        pthread_cond_timedwait(&t->wake, &t->lock, &until);
}

static void wait_while_all_sleep(struct tier *tier)
{
    struct ticker *t = &tier->ticker;
    atomic_store(&t->sleeps, true); // before looking: who wakes up looks after it has said so
    if (all_sleep(tier->accel))
        while (!t->stop && atomic_load(&t->sleeps))
            pthread_cond_wait(&t->wake, &t->lock);
    atomic_store(&t->sleeps, false);
    t->last = tier_now_ns(CLOCK_MONOTONIC);
}

static void tick(struct tier *tier)
{
    uint64_t now = tier_now_ns(CLOCK_MONOTONIC), passed = now - tier->ticker.last;
    tier->ticker.last = now;
    atomic_fetch_add(&tier->ticks, 1);
    for (unsigned i = 0; i < tier->accel->cpu_count; i++) {
        struct vcpu *vcpu = &tier->accel->cpus[i];
        switch (atomic_load(&vcpu->activity)) {
        case VCPU_AWAKE: atomic_fetch_add(&tier->time[TIER_RUNTIME], passed); break;
        case VCPU_IN_UNITS:
            atomic_fetch_add(&vcpu->sampled, passed);
            vcpu_request(vcpu, REQ_SAMPLE);
            break;
        default: break;
        }
    }
}

static void *ticker_main(void *opaque)
{
    struct tier *tier = opaque;
    struct ticker *t = &tier->ticker;
    pthread_mutex_lock(&t->lock);
    t->last = tier_now_ns(CLOCK_MONOTONIC);
    while (!t->stop) {
        if (all_sleep(tier->accel)) {
            wait_while_all_sleep(tier);
            continue;
        }
        wait_for_tick(tier);
        tick(tier);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

int ticker_start(struct tier *tier, struct error *err)
{
    struct ticker *t = &tier->ticker;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, &attr);
    pthread_condattr_destroy(&attr);
    t->made = true;
    int e = pthread_create(&t->thread, NULL, ticker_main, tier);
    if (e)
        return error_set(err, -e, "cannot start the thread that samples: %s", strerror(e));
    t->started = true;
    return 0;
}

void ticker_stop(struct tier *tier)
{
    struct ticker *t = &tier->ticker;
    if (!t->made)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    if (t->started)
        pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
}

// ---- pages ---------------------------------------------------------------------------------------------------------

static void age(struct page_heat *heat, uint64_t now)
{
    uint64_t halves = (now - heat->at) / HALF_LIFE;
    heat->weight = halves < 32 ? heat->weight >> halves : 0;
    heat->at += halves * HALF_LIFE;
}

uint32_t sample_weight(struct code_page *page, uint32_t key)
{
    age(&page->heat, tier_now_ns(CLOCK_MONOTONIC));
    return page->heat.key == key && page->heat.weight >= LEAST ? page->heat.weight : 0;
}

// Kills the page's units that count, or that do not, but those that stand behind regions.
static void kill_units(struct accel *accel, struct code_page *page, bool counting)
{
    for (struct unit *u = page->units, *next; u; u = next) {
        next = u->next_in_page;
        if (!u->region && !u->hidden_by && u->key == page->heat.key && !u->heat_start == !counting)
            unit_kill(accel, u);
    }
}

static void begin_counting(struct accel *accel, struct code_page *page, uint64_t now)
{
    page->heat.counts = true;
    page->heat.made = false;
    page->heat.since = now;
    page->heat.most = 0;
    kill_units(accel, page, false);
    accel->jit.tier->counts.counted++;
}

void sample_end_counting(struct accel *accel, struct code_page *page)
{
    struct page_heat *heat = &page->heat;
    uint64_t now = tier_now_ns(CLOCK_MONOTONIC);
    if (!heat->counts)
        return;
    heat->counts = false;
    kill_units(accel, page, true);
    for (unsigned line = 0; line < ARRAY_SIZE(heat->quiet); line++) {
        if (!(heat->lines >> line & 1))
            continue;
        uint32_t step = heat->quiet[line].step * QUIET_GROWTH;
        if (heat->made || !step || now / MS > heat->quiet[line].until + 2 * MAX_QUIET)
            step = QUIET;
        sample_quiet(page, line << MEM_CODE_LINE_BITS, step < MAX_QUIET ? step : MAX_QUIET);
    }
    heat->weight = 0;
    heat->lines = 0;
}

void sample_quiet(struct code_page *page, uint32_t offset, uint32_t ms)
{
    uint32_t line = offset >> MEM_CODE_LINE_BITS;
    page->heat.quiet[line].step = ms;
    page->heat.quiet[line].until = (uint32_t)(tier_now_ns(CLOCK_MONOTONIC) / MS) + ms;
}

void sample_job_done(struct tier *tier, const struct tier_job *job, bool made)
{
    struct code_page *page = code_find_page(&tier->accel->jit, job->host_page);
    if (!page || page->heat.key != job->key || !page->heat.counts)
        return;
    page->heat.made |= made;
    if (!queue_has_page(&tier->queue, job->host_page, job->key))
        sample_end_counting(tier->accel, page);
}

static void seen(struct tier *tier, struct code_page *page, uint32_t offset, uint32_t key)
{
    struct page_heat *heat = &page->heat;
    uint64_t now = tier_now_ns(CLOCK_MONOTONIC);
    uint32_t line = offset >> MEM_CODE_LINE_BITS;
    age(heat, now);
    if (!heat->weight && !heat->counts)
        heat->lines = 0;
    if (heat->key != key) {
        if (heat->counts)
            return;
        if (heat->weight >= ONE) {
            heat->weight -= ONE;
            return;
        }
        heat->key = key;
        heat->weight = 0;
        heat->lines = 0;
        heat->at = now;
    }
    if (now / MS >= heat->quiet[line].until) {
        heat->weight += ONE;
        heat->lines |= 1ull << line;
    }
    if (!heat->counts && heat->weight >= NEEDED)
        begin_counting(tier->accel, page, now);
    else if (heat->counts && now - heat->since > COUNTING && !tier->busy &&
             !queue_has_page(&tier->queue, page->host, key))
        sample_end_counting(tier->accel, page);
}

// The page in RAM that the vCPU executes, or NULL when the inline table does not know.
static uint8_t *executed_page(const struct vcpu *vcpu)
{
    const struct ir_env *env = vcpu->env;
    const struct ir_tlb_table *t = &env->mmu[vcpu->accel->isa->fetch_mmu(env->key)];
    const struct ir_tlb_entry *e = (const void *)((const char *)t->entries + ((env->pc >> (IR_PAGE_BITS - 5)) & t->mask));
    uint64_t page = env->pc & ~(uint64_t)(IR_PAGE_SIZE - 1);
    return e->exec == page ? (uint8_t *)(uintptr_t)(page + e->addend) : NULL; // NOLINT(performance-no-int-to-ptr)
}

void tier_sample(struct vcpu *vcpu)
{
    struct jit *jit = &vcpu->accel->jit;
    struct tier *tier = jit->tier;
    bool in_region = vcpu->env->region_left;
    atomic_fetch_add(&tier->time[in_region ? TIER_IN_REGIONS : TIER_IN_UNITS], atomic_exchange(&vcpu->sampled, 0));
    uint8_t *host = in_region || atomic_load(&vcpu->accel->breakpoints) ? NULL : executed_page(vcpu);
    if (!host)
        return;
    pthread_mutex_lock(&jit->lock);
    struct code_page *page = tier->broken ? NULL : code_find_page(jit, host);
    if (page)
        seen(tier, page, (uint32_t)(vcpu->env->pc % IR_PAGE_SIZE), vcpu->env->key);
    pthread_mutex_unlock(&jit->lock);
}
