// SPDX-License-Identifier: MIT
// The optimising tier's thread (tier.h): takes what got hot, forms a region, has it compiled, installs it; and gives the
// memory of dead regions back once every vCPU has left translated code.
//
// A region is made from a copy of its page. It is installed only if, with its lines marked as holding code, the page
// still reads the same: from then on a store to one of them kills it. The unit it stands for lives on throughout, so
// that the page keeps its write protection meanwhile.
#include "accel/jit/tier.h"

#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    THRESHOLD = 10000, // executions of a unit until a region is asked for
    THRESHOLD_OPT = 1000,
    THRESHOLD_ONE_PASS = 64, // likewise, where compiling costs little
    BACK_OFF = 4, // asking again takes so many times more
    MAX_HEAT = 1 << 28,
    MAX_INSNS = 256,
    MAX_ACCESSES = 64,
    ATTEMPTS = 3,       // each half the size of the one before
    MAX_FALLBACKS = 16, // of a region, before it is given up
    MAX_DEATHS = 32,    // of regions of one page by stores to it
    NICENESS = 5,
    RATE_PERCENT = 50, // of one processor, spent compiling
};
static const int64_t max_credit = 2000000000; // ns of compiling saved up

struct tier {
    struct accel *accel;
    pthread_t thread;
    bool started;
    bool waits;     // vCPUs wait for what they ask
    int32_t threshold;
    char *module;
    const struct optimiser_ops *ops; // NULL: one-pass regions, or not loaded yet
    struct optimiser *optimiser;
    struct pool pool;

    // under jit.lock
    pthread_cond_t work, done;
    bool stop, busy, broken;
    struct tier_queue queue;
    struct unit *retired; // by next_in_chunk: dead, perhaps still run
    struct tier_counts counts;

    // the thread's own
    struct region region;
    struct ir_opt opt;
    uint8_t page[IR_PAGE_SIZE];
    struct region_heat heats[IR_PAGE_SIZE];
    int64_t credit;
    uint64_t credit_at;
};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// ---- counting ------------------------------------------------------------------------------------------------------

static int32_t heat_left(const struct unit *unit)
{
    return __atomic_load_n(&unit->heat, __ATOMIC_RELAXED);
}

static void set_heat(struct unit *unit, int64_t start)
{
    unit->heat_start = (int32_t)(start < MAX_HEAT ? start : MAX_HEAT);
    __atomic_store_n(&unit->heat, unit->heat_start, __ATOMIC_RELAXED);
}

static uint64_t executions(const struct unit *unit)
{
    return unit->heat_past + (uint64_t)((int64_t)unit->heat_start - heat_left(unit));
}

void tier_count(struct accel *accel, struct unit *unit)
{
    set_heat(unit, accel->jit.tier->threshold);
    if (accel->config.engine == ACCEL_JIT)
        accel->jit.scratch.heat = &unit->heat;
}

// Never asks again, or not for long.
static void cool(struct unit *unit)
{
    unit->heat_past = executions(unit);
    set_heat(unit, MAX_HEAT);
}

// Starts the units anew that ran out at `at`: itself, or units with a loop there. The most executions of one of them,
// or 0.
static uint64_t collect(struct unit *at)
{
    uint64_t most = 0;
    for (struct unit *u = at->page->units; u; u = u->next_in_page) {
        if (u->region || u->key != at->key || at->offset < u->offset || at->offset >= u->offset + u->bytes ||
            heat_left(u) >= 0)
            continue;
        uint64_t count = executions(u);
        u->heat_past = count;
        set_heat(u, (int64_t)u->heat_start * BACK_OFF);
        most = count > most ? count : most;
    }
    return most;
}

// ---- asking --------------------------------------------------------------------------------------------------------

static bool idle(const struct tier *tier)
{
    return !tier->queue.count && !tier->busy;
}

// jit.lock held, which this gives up and takes again when the vCPU waits.
static bool ask(struct vcpu *vcpu, const struct unit *unit, uint64_t heat)
{
    struct jit *jit = &vcpu->accel->jit;
    struct tier *tier = jit->tier;
    struct tier_job job = {.host_page = unit->page->host, .offset = unit->offset, .key = unit->key,
                           .pc = vcpu->env->pc, .heat = heat,
                           .cpu_model = vcpu->accel->isa->cpu_model(vcpu->env)};
    if (tier->broken || unit->page->region_deaths > MAX_DEATHS)
        return false;
    tier->counts.asked += queue_put(&tier->queue, &job);
    pthread_cond_signal(&tier->work);
    if (!tier->waits)
        return false;
    pthread_mutex_unlock(&jit->lock);
    vcpu_leave_code(vcpu);
    pthread_mutex_lock(&jit->lock);
    while (!idle(tier))
        pthread_cond_wait(&tier->done, &jit->lock);
    pthread_mutex_unlock(&jit->lock);
    vcpu_enter_code(vcpu);
    pthread_mutex_lock(&jit->lock);
    return true;
}

bool tier_hot(struct vcpu *vcpu, struct unit *unit)
{
    struct accel *accel = vcpu->accel;
    bool waited = false;
    pthread_mutex_lock(&accel->jit.lock);
    uint64_t heat = collect(unit);
    if (heat && unit->region && ++unit->region->fallbacks > MAX_FALLBACKS) {
        struct unit *behind = unit->region->stands_for;
        unit_kill(accel, unit);
        cool(behind);
        accel->jit.tier->counts.given_up++;
    } else if (heat && !unit->region) {
        waited = ask(vcpu, unit, heat);
    }
    pthread_mutex_unlock(&accel->jit.lock);
    return waited;
}

bool tier_tick(struct vcpu *vcpu, struct unit *unit)
{
    struct jit *jit = &vcpu->accel->jit;
    if (unit->region || __atomic_fetch_sub(&unit->heat, 1, __ATOMIC_RELAXED) > 0)
        return false;
    pthread_mutex_lock(&jit->lock);
    uint64_t heat = executions(unit);
    unit->heat_past = heat;
    set_heat(unit, (int64_t)unit->heat_start * BACK_OFF);
    bool waited = ask(vcpu, unit, heat);
    pthread_mutex_unlock(&jit->lock);
    return waited;
}

uint32_t tier_max_insns(const struct accel *accel, const struct code_page *page, uint32_t offset, uint32_t key)
{
    uint32_t max = UNIT_INSNS;
    for (const struct unit *u = page->units; u; u = u->next_in_page)
        if (u->region && u->key == key && u->offset > offset &&
            (u->offset - offset) / accel->isa->insn_align < max)
            max = (u->offset - offset) / accel->isa->insn_align;
    return max ? max : 1;
}

// ---- making a region -----------------------------------------------------------------------------------------------

// Everything about a job that is read from the tables.
static bool read_source(struct tier *tier, const struct tier_job *job, struct region_source *ret_source,
                        uint64_t *ret_flushes)
{
    struct accel *accel = tier->accel;
    struct jit *jit = &accel->jit;
    unsigned heats = 0;
    pthread_mutex_lock(&jit->lock);
    const struct code_page *page = code_find_page(jit, job->host_page);
    const struct unit *unit = unit_lookup(jit, job->host_page, job->offset, job->key);
    bool live = page && unit && !unit->region;
    for (const struct unit *u = live ? page->units : NULL; u && heats < ARRAY_SIZE(tier->heats); u = u->next_in_page) {
        if (u->region || u->key != job->key)
            continue;
        uint64_t count = executions(u);
        if (u == unit || u->hidden_by) // a loop of another unit began here; a region counts nothing
            count = count > job->heat ? count : job->heat;
        tier->heats[heats++] = (struct region_heat){u->offset, count};
    }
    if (live)
        memcpy(tier->page, page->host, sizeof tier->page);
    *ret_flushes = jit->flushes;
    pthread_mutex_unlock(&jit->lock);
    *ret_source = (struct region_source){
        .isa = accel->isa, .guest = &accel->guest, .cpu_model = job->cpu_model, .log = accel->log, .key = job->key,
        .offset = job->offset, .page = tier->page, .va_page = job->pc & ~(uint64_t)(IR_PAGE_SIZE - 1),
        .heats = tier->heats, .heat_count = heats, .max_insns = MAX_INSNS, .max_accesses = MAX_ACCESSES};
    return live;
}

static int build_ir(struct tier *tier, const struct region_source *source, uint64_t pc)
{
    struct accel *accel = tier->accel;
    struct ir_unit *unit = &tier->region.unit;
    int r = region_form(&tier->region, source);
    if (r)
        return r;
    if (!tier->region.loops && !tier->waits)
        return -EDOM;
#ifndef NDEBUG
    struct error err;
    if (ir_verify(unit, &err) < 0) {
        fprintf(stderr, "isomer: internal error in the region at %016llx: %s\n", (unsigned long long)pc, err.text);
        ir_print(unit, stderr);
        abort();
    }
#endif
    ir_optimise(unit, &tier->opt);
    if (log_on(accel->log, LOG_IR_OPT)) {
        log_begin(accel->log);
        log_printf(accel->log, LOG_IR_OPT, "optimised IR of the region at %016llx, %u parts:\n",
                   (unsigned long long)pc, tier->region.count);
        ir_print(unit, accel->log->out);
        log_end(accel->log);
    }
    return 0;
}

static struct unit *new_region(const struct tier *tier, const struct tier_job *job)
{
    struct unit *unit = calloc(1, sizeof *unit + BACKEND_MAX_EXITS * sizeof *unit->exits);
    struct unit_region *region = calloc(1, sizeof *region);
    if (!unit || !region) {
        free(unit);
        free(region);
        return NULL;
    }
    unit->region = region;
    unit->host_page = job->host_page;
    unit->key = job->key;
    unit->offset = job->offset;
    unit->bytes = tier->region.parts[0].bytes;
    region->part_count = tier->region.count;
    memcpy(region->parts, tier->region.parts, region->part_count * sizeof *region->parts);
    return unit;
}

static int compile(struct tier *tier, struct unit *unit, uint64_t pc)
{
    struct accel *accel = tier->accel;
    struct optimiser_region made = {0};
    char name[32];
    snprintf(name, sizeof name, "region_%llx", (unsigned long long)pc);
    struct optimiser_request request = {.unit = &tier->region.unit, .exits = unit->exits,
                                        .fallback = &unit->region->fallback, .name = name};
    int r = tier->ops->compile(tier->optimiser, &request, &made);
    if (r)
        return r;
    unit->entry = made.entry;
    unit->exit_count = made.exit_count;
    unit->region->handle = made.handle;
    unit->region->code_size = made.code_size;
    if (log_on(accel->log, LOG_OUT_ASM))
        log_printf(accel->log, LOG_OUT_ASM, "%s: %zu bytes at %p\n", name, made.code_size, made.entry);
    if (accel->jit.perf_map)
        fprintf(accel->jit.perf_map, "%llx %zx %s\n", (unsigned long long)(uintptr_t)made.entry, made.code_size, name);
    return 0;
}

// By the backend, into the code buffer; translate_lock is held from here until the region is installed.
static int compile_one_pass(struct tier *tier, struct unit *unit, uint64_t pc)
{
    struct jit *jit = &tier->accel->jit;
    pthread_mutex_lock(&jit->translate_lock);
    struct ir_unit scratch = jit->scratch;
    jit->scratch = tier->region.unit;
    int r = unit_compile(tier->accel, NULL, unit, pc);
    tier->region.unit = jit->scratch;
    jit->scratch = scratch;
    if (r)
        pthread_mutex_unlock(&jit->translate_lock);
    return r;
}

// ---- installing ----------------------------------------------------------------------------------------------------

// Units that run past the beginning of a region would keep a loop there to themselves.
static void kill_straddlers(struct accel *accel, const struct unit *region)
{
    for (struct unit *u = region->page->units, *next; u; u = next) {
        next = u->next_in_page;
        if (!u->dead && !u->region && !u->hidden_by && u->key == region->key && u->offset < region->offset &&
            region->offset < u->offset + u->bytes)
            unit_kill(accel, u);
    }
}

static bool reads_the_same(const struct tier *tier, const struct unit *region)
{
    for (unsigned i = 0; i < region->region->part_count; i++) {
        const struct region_part *p = &region->region->parts[i];
        if (memcmp(region->host_page + p->offset, tier->page + p->offset, p->bytes))
            return false;
    }
    return true;
}

// jit.lock held.
static bool install(struct tier *tier, struct unit *region, uint64_t flushes)
{
    struct accel *accel = tier->accel;
    struct jit *jit = &accel->jit;
    struct unit *unit = unit_lookup(jit, region->host_page, region->offset, region->key);
    if (!unit || unit->region || jit->flushes != flushes || atomic_load(&accel->breakpoints))
        return false;
    region->page = unit->page;
    atomic_fetch_or(&unit->page->ram->code_lines[unit->page->ram_page], code_unit_lines(region));
    atomic_thread_fence(memory_order_seq_cst);
    if (!reads_the_same(tier, region))
        return false;
    region->region->fallback = unit->entry;
    for (uint32_t i = 0; i < region->exit_count; i++)
        region->exits[i].owner = region;
    unit_replace(accel, unit, region);
    kill_straddlers(accel, region);
    // Its parts may run in it only from now on: they can ask again if not.
    for (unsigned i = 0; i < region->region->part_count; i++)
        queue_drop(&tier->queue, region->host_page, region->region->parts[i].offset, region->key);
    tier->counts.made++;
    tier->counts.parts += region->region->part_count;
    tier->counts.insns += tier->region.insns;
    tier->counts.code_bytes += region->region->code_size;
    return true;
}

static bool finish(struct tier *tier, struct unit *region, uint64_t flushes)
{
    struct jit *jit = &tier->accel->jit;
    pthread_mutex_lock(&jit->lock);
    bool done = install(tier, region, flushes);
    tier->counts.stale += !done;
    if (!tier->ops) {
        region->next_in_chunk = jit->chunk_units[jit->chunk];
        jit->chunk_units[jit->chunk] = region;
        region->dead |= !done;
    }
    pthread_mutex_unlock(&jit->lock);
    if (!tier->ops)
        pthread_mutex_unlock(&jit->translate_lock);
    return done;
}

static void drop(struct tier *tier, struct unit *region)
{
    if (region->region->handle)
        tier->ops->release(tier->optimiser, region->region->handle);
    unit_free(region);
}

// Nothing will come of the unit: it need not ask again soon. jit.lock held.
static void refuse(struct tier *tier, const struct tier_job *job, int error)
{
    struct unit *unit = unit_lookup(&tier->accel->jit, job->host_page, job->offset, job->key);
    if (unit && !unit->region)
        cool(unit);
    tier->counts.unsupported += error == -ENOTSUP;
    tier->counts.straight += error == -EDOM;
    tier->counts.failed += error != -ENOTSUP && error != -EDOM;
}

static void keep_ir(struct tier *tier, struct unit *region)
{
    region->ir = malloc(sizeof *region->ir);
    if (!region->ir)
        abort(); // under lock-step only
    *region->ir = tier->region.unit;
    tier->region.unit = (struct ir_unit){0};
}

static void run_job(struct tier *tier, const struct tier_job *job)
{
    struct region_source source;
    struct jit *jit = &tier->accel->jit;
    uint64_t flushes, begin = now_ns(CLOCK_THREAD_CPUTIME_ID), form_ns = 0, compile_ns = 0;
    bool live = read_source(tier, job, &source, &flushes);
    struct unit *region = NULL;
    int r = live ? -E2BIG : 0;
    for (unsigned attempt = 0; r == -E2BIG && attempt < ATTEMPTS; attempt++) {
        r = build_ir(tier, &source, job->pc);
        uint64_t formed = now_ns(CLOCK_THREAD_CPUTIME_ID);
        form_ns += formed - begin;
        if (!r)
            r = (region = new_region(tier, job)) ? 0 : -ENOMEM;
        if (!r)
            r = tier->ops ? compile(tier, region, job->pc) : compile_one_pass(tier, region, job->pc);
        if (r && region)
            unit_free(region);
        begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
        compile_ns += begin - formed;
        source.max_insns /= 2;
        source.max_accesses /= 2;
    }
    pthread_mutex_lock(&jit->lock);
    tier->counts.form_ns += form_ns;
    tier->counts.compile_ns += compile_ns;
    tier->counts.stale += !live;
    if (r)
        refuse(tier, job, r);
    pthread_mutex_unlock(&jit->lock);
    if (r || !live)
        return;
    if (tier->accel->config.engine == ACCEL_LOCKSTEP)
        keep_ir(tier, region);
    if (!finish(tier, region, flushes) && tier->ops)
        drop(tier, region);
}

// What waits has gone on counting, or has not.
static void refresh_heat(struct tier *tier)
{
    for (unsigned i = 0; i < tier->queue.count; i++) {
        struct tier_job *job = &tier->queue.jobs[i];
        const struct unit *unit = unit_lookup(&tier->accel->jit, job->host_page, job->offset, job->key);
        uint64_t count = unit && !unit->region ? executions(unit) : 0;
        job->heat = count > job->heat ? count : job->heat;
    }
}

// ---- the thread ----------------------------------------------------------------------------------------------------

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
        drop(tier, u);
    }
    pthread_mutex_lock(&accel->jit.lock);
}

// Compiling may take a part of the time that passes, saved up to a bound. How long to wait, in ns; 0: go on.
static uint64_t must_wait(struct tier *tier)
{
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    tier->credit += (int64_t)((now - tier->credit_at) * RATE_PERCENT / 100);
    tier->credit_at = now;
    if (tier->credit > max_credit)
        tier->credit = max_credit;
    return tier->waits || tier->credit >= 0 ? 0 : (uint64_t)-tier->credit * 100 / RATE_PERCENT + 1;
}

static void wait_for_work(struct tier *tier, uint64_t ns)
{
    struct timespec until;
    uint64_t at = now_ns(CLOCK_MONOTONIC) + ns;
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

static void *thread_main(void *opaque)
{
    struct tier *tier = opaque;
    struct jit *jit = &tier->accel->jit;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
    bool ready = tier->accel->config.one_pass_regions || start_optimiser(tier);
    tier->credit = max_credit / 2;
    tier->credit_at = now_ns(CLOCK_MONOTONIC);
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
            refresh_heat(tier);
            queue_take(&tier->queue, &job);
            tier->busy = true;
            pthread_mutex_unlock(&jit->lock);
            uint64_t begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
            run_job(tier, &job);
            tier->credit -= (int64_t)(now_ns(CLOCK_THREAD_CPUTIME_ID) - begin);
            pthread_mutex_lock(&jit->lock);
            tier->busy = false;
        }
    }
    pthread_mutex_unlock(&jit->lock);
    return NULL;
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
    bool cheap = accel->config.one_pass_regions;
    tier->threshold = !tier->waits ? THRESHOLD : cheap ? THRESHOLD_ONE_PASS : THRESHOLD_OPT;
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
    return 0;
}

static void drop_live_regions(struct tier *tier)
{
    struct jit *jit = &tier->accel->jit;
    for (unsigned i = 0; i < PAGE_HASH; i++)
        for (struct code_page *p = jit->pages[i]; p; p = p->next)
            for (struct unit *u = p->units, *next; u; u = next) {
                next = u->next_in_page;
                if (u->region && u->region->handle)
                    drop(tier, u);
            }
}

void tier_destroy(struct accel *accel)
{
    struct tier *tier = accel->jit.tier;
    if (!tier)
        return;
    pthread_mutex_lock(&accel->jit.lock);
    tier->stop = true;
    pthread_cond_signal(&tier->work);
    pthread_mutex_unlock(&accel->jit.lock);
    if (tier->started)
        pthread_join(tier->thread, NULL);
    for (struct unit *u = tier->retired, *next; u; u = next) {
        next = u->next_in_chunk;
        drop(tier, u);
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
    fprintf(out, "regions took %.3f s to form, %.3f s to compile; %zu KiB of memory\n", (double)c.form_ns * 1e-9,
            (double)c.compile_ns * 1e-9, tier->pool.bytes >> 10);
}
