// SPDX-License-Identifier: MIT
// The optimising tier's thread (tier.h): takes what got hot, has regions made of it within a budget of processor time, and
// gives the memory of dead regions back once every vCPU has left translated code.
#include "accel/jit/tier_internal.h"

#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    THRESHOLD = 10000, // executions of a unit until a region is asked for
    THRESHOLD_SAMPLED = 1000,
    THRESHOLD_OPT = 1000,
    THRESHOLD_ONE_PASS = 64, // likewise, where compiling costs little
    NICENESS = 5,
    RATE_PERCENT = 50, // of one processor, spent compiling, where vCPUs could use all of them
};
static const int64_t max_credit = 2000000000; // ns of compiling saved up

void tier_region_died(struct accel *accel, struct unit *region)
{
    struct tier *tier = accel->jit.tier;
    tier->counts.died++;
    if (!tier->ops)
        return; // its chunk frees it
    region->next_in_chunk = tier->retired;
    tier->retired = region;
    pthread_cond_signal(&tier->work);
}

// Frees dead regions once nobody can be in one. jit.lock held, given up meanwhile.
static void free_retired(struct tier *tier)
{
    struct accel *accel = tier->accel;
    struct unit *list = tier->retired;
    tier->retired = NULL;
    accel->jit.evictions++; // exit records that vCPUs hold are not to be linked
    pthread_mutex_unlock(&accel->jit.lock);
    safepoint_wait_outside(accel, NULL);
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
    for (struct unit *u = list, *next; u; u = next) {
        next = u->next_in_chunk;
        make_drop(tier, u);
    }
    pthread_mutex_lock(&accel->jit.lock);
}

// Compiling may take a part of the time that passes, saved up to a bound. How long to wait, in ns; 0: go on.
static uint64_t must_wait(struct tier *tier)
{
    uint64_t now = tier_now_ns(CLOCK_MONOTONIC);
    tier->credit += (int64_t)((now - tier->credit_at) * tier->rate / 100);
    tier->credit_at = now;
    if (tier->credit > max_credit)
        tier->credit = max_credit;
    return tier->waits || tier->credit >= 0 ? 0 : (uint64_t)-tier->credit * 100 / tier->rate + 1;
}

static void wait_for_work(struct tier *tier, uint64_t ns)
{
    struct timespec until;
    uint64_t at = tier_now_ns(CLOCK_MONOTONIC) + ns;
    until.tv_sec = (time_t)(at / 1000000000u);
    until.tv_nsec = (long)(at % 1000000000u);
    if (ns)
        pthread_cond_timedwait(&tier->work, &tier->accel->jit.lock, &until);
    else
        pthread_cond_wait(&tier->work, &tier->accel->jit.lock);
}

// Loads and creates the optimiser. Without one, nothing is ever compiled.
static bool start_optimiser(struct tier *tier)
{
    struct accel *accel = tier->accel;
    struct error err = {""};
    if (tier->module)
        tier->ops = module_load(tier->module, &err);
    if (!tier->ops)
        goto fail;
    const struct optimiser_config config = {
        .guest = &accel->guest, .log = accel->log, .stubs = accel->jit.ops->stubs(accel->jit.backend),
        .memory = {&tier->pool, pool_take, pool_give}, .feature_mask = accel->config.host_feature_mask};
    if (!tier->ops->create(&config, &tier->optimiser, &err))
        return true;
fail:
    log_printf(accel->log, ~0u, "no optimising tier: %s\n", err.text);
    return false;
}

// The optimiser is large, and many a machine ends before it is needed. False when the thread is to end.
static bool wait_for_first(struct tier *tier)
{
    pthread_mutex_lock(&tier->accel->jit.lock);
    while (!tier->stop && !tier->queue.count && !tier->retired)
        wait_for_work(tier, 0);
    bool stop = tier->stop;
    pthread_mutex_unlock(&tier->accel->jit.lock);
    return !stop;
}

static void *thread_main(void *opaque)
{
    struct tier *tier = opaque;
    struct jit *jit = &tier->accel->jit;
    if (!wait_for_first(tier))
        return NULL;
    bool ready = tier->accel->config.one_pass_regions || start_optimiser(tier);
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
    tier->credit = max_credit / 2;
    tier->credit_at = tier_now_ns(CLOCK_MONOTONIC);
    pthread_mutex_lock(&jit->lock);
    tier->broken = !ready;
    while (!tier->stop) {
        struct tier_job job;
        uint64_t wait;
        if (tier->retired) {
            free_retired(tier);
        } else if (!tier->queue.count || tier->broken) {
            tier->queue.count = 0;
            pthread_cond_broadcast(&tier->done);
            wait_for_work(tier, 0);
        } else if ((wait = must_wait(tier))) {
            wait_for_work(tier, wait);
        } else {
            heat_refresh(tier);
            queue_take(&tier->queue, &job);
            if (tier->samples && !job.weight) {
                tier->counts.cooled++;
                sample_job_done(tier, &job, false);
                continue;
            }
            tier->busy = true;
            pthread_mutex_unlock(&jit->lock);
            uint64_t begin = tier_now_ns(CLOCK_THREAD_CPUTIME_ID);
            bool made = make_region(tier, &job);
            tier->credit -= (int64_t)(tier_now_ns(CLOCK_THREAD_CPUTIME_ID) - begin);
            pthread_mutex_lock(&jit->lock);
            tier->busy = false;
            if (made)
                tier->counts.wait_ns += tier_now_ns(CLOCK_MONOTONIC) - job.asked;
            if (tier->samples)
                sample_job_done(tier, &job, made);
        }
    }
    pthread_mutex_unlock(&jit->lock);
    return NULL;
}

static unsigned processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

int tier_create(struct accel *accel, struct error *err)
{
    struct jit *jit = &accel->jit;
    char *module = accel->config.optimiser || accel->config.one_pass_regions ? NULL : module_find();
    if (!module && !accel->config.optimiser && !accel->config.one_pass_regions) {
        log_printf(accel->log, ~0u, "no optimising tier: no module beside the program\n");
        return 0;
    }
    struct tier *tier = calloc(1, sizeof *tier);
    if (!tier)
        return error_set(err, -ENOMEM, "out of memory for the optimising tier");
    tier->accel = accel;
    tier->module = module;
    tier->ops = accel->config.optimiser;
    tier->waits = accel->config.tier == ACCEL_TIER_OPT;
    tier->samples = !tier->waits && accel->config.engine == ACCEL_JIT;
    bool cheap = accel->config.one_pass_regions;
    tier->threshold = tier->samples ? THRESHOLD_SAMPLED : !tier->waits ? THRESHOLD : cheap ? THRESHOLD_ONE_PASS : THRESHOLD_OPT;
    tier->rate = processors() > accel->cpu_count ? 100 : RATE_PERCENT;
    tier->pool.base = jit->pool_memory;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&tier->work, &attr);
    pthread_cond_init(&tier->done, &attr);
    pthread_condattr_destroy(&attr);
    jit->tier = tier;
    int e = pthread_create(&tier->thread, NULL, thread_main, tier);
    if (e)
        return error_set(err, -e, "cannot start the optimising tier's thread: %s", strerror(e));
    tier->started = true;
    return tier->samples ? ticker_start(tier, err) : 0;
}

static void drop_live_regions(struct tier *tier)
{
    struct jit *jit = &tier->accel->jit;
    for (unsigned i = 0; i < PAGE_HASH; i++)
        for (struct code_page *p = jit->pages[i]; p; p = p->next)
            for (struct unit *u = p->units, *next; u; u = next) {
                next = u->next_in_page;
                if (u->region && u->region->handle)
                    make_drop(tier, u);
            }
}

void tier_destroy(struct accel *accel)
{
    struct tier *tier = accel->jit.tier;
    if (!tier)
        return;
    ticker_stop(tier);
    pthread_mutex_lock(&accel->jit.lock);
    tier->stop = true;
    pthread_cond_signal(&tier->work);
    pthread_mutex_unlock(&accel->jit.lock);
    if (tier->started)
        pthread_join(tier->thread, NULL);
    for (struct unit *u = tier->retired, *next; u; u = next) {
        next = u->next_in_chunk;
        make_drop(tier, u);
    }
    if (tier->ops)
        drop_live_regions(tier);
    if (tier->optimiser)
        tier->ops->destroy(tier->optimiser);
    region_free(&tier->region);
    ir_opt_free(&tier->opt);
    pthread_cond_destroy(&tier->work);
    pthread_cond_destroy(&tier->done);
    free(tier->module);
    free(tier);
    accel->jit.tier = NULL;
}

struct tier_counts tier_counts(struct accel *accel)
{
    struct tier_counts counts = {0};
    pthread_mutex_lock(&accel->jit.lock);
    if (accel->jit.tier)
        counts = accel->jit.tier->counts;
    for (unsigned i = 0; accel->jit.tier && i < TIER_TIMES; i++)
        counts.ns[i] = atomic_load(&accel->jit.tier->time[i]);
    if (accel->jit.tier)
        counts.ticks = atomic_load(&accel->jit.tier->ticks);
    pthread_mutex_unlock(&accel->jit.lock);
    return counts;
}

void tier_print(struct accel *accel, FILE *out)
{
    const struct tier *tier = accel->jit.tier;
    if (!tier)
        return;
    const struct tier_counts c = tier_counts(accel);
    fprintf(out, "regions: %llu made of %llu parts, %llu instructions, %llu bytes of code, %llu died, %llu given up\n",
            (unsigned long long)c.made, (unsigned long long)c.parts, (unsigned long long)c.insns,
            (unsigned long long)c.code_bytes, (unsigned long long)c.died, (unsigned long long)c.given_up);
    fprintf(out, "regions not made: %llu without a loop, %llu stale, %llu not supported, %llu failed, %llu pushed out; "
            "%llu asked, %u wait\n", (unsigned long long)c.straight,
            (unsigned long long)c.stale, (unsigned long long)c.unsupported, (unsigned long long)c.failed,
            (unsigned long long)tier->queue.dropped, (unsigned long long)c.asked, tier->queue.count);
    fprintf(out, "regions took %.3f s to form, %.3f s to compile, %.0f ms each from asking to running; %zu KiB of memory\n",
            (double)c.form_ns * 1e-9, (double)c.compile_ns * 1e-9, c.made ? (double)c.wait_ns * 1e-6 / (double)c.made : 0,
            tier->pool.bytes >> 10);
    if (!tier->samples)
        return;
    fprintf(out, "samples: %llu ticks, %llu times a page counted, %llu regions too late\n", (unsigned long long)c.ticks,
            (unsigned long long)c.counted, (unsigned long long)c.cooled);
    static const char *const names[TIER_TIMES] = {"the runtime", "the fast tier", "regions"};
    fprintf(out, "vCPU time by samples:");
    for (unsigned i = 0; i < TIER_TIMES; i++)
        fprintf(out, "%s %.2f s in %s", i ? "," : "", (double)c.ns[i] * 1e-9, names[i]);
    fputc('\n', out);
}
