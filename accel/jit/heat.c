// SPDX-License-Identifier: MIT
// Counting how often units run, and asking for regions where one ran out (tier.h). A unit's heat counts down in its
// code; each time it runs out it starts again, higher, so that what cannot be made better costs less and less. Where
// samples say which pages count, others do not have their counters for long.
#include "accel/jit/tier_internal.h"

enum {
    BACK_OFF = 4, // asking again takes so many times more
    MAX_HEAT = 1 << 28,
    FALLBACK_HEAT = 10000,
    MAX_FALLBACKS = 16, // of a region, each of so many executions, before it is given up
    FALLBACKS_LAST = 1000000000, // ns without one after which they count anew
    GIVEN_UP = 4000,             // ms for which samples there do not matter then
    MAX_DEATHS = 32,    // of regions of one page by stores to it
};

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

uint64_t heat_executions(const struct unit *unit)
{
    return unit->heat_past + (uint64_t)((int64_t)unit->heat_start - heat_left(unit));
}

void tier_count(struct accel *accel, struct unit *unit)
{
    struct tier *tier = accel->jit.tier;
    pthread_mutex_lock(&accel->jit.lock);
    bool counts = !tier->samples || (unit->page->heat.counts && unit->page->heat.key == unit->key);
    pthread_mutex_unlock(&accel->jit.lock);
    if (!counts)
        return;
    set_heat(unit, tier->threshold);
    if (accel->config.engine == ACCEL_JIT)
        accel->jit.scratch.heat = &unit->heat;
}

void heat_watch(struct unit *unit)
{
    unit->heat_past = heat_executions(unit);
    set_heat(unit, FALLBACK_HEAT);
}

// Lets the unit run longer before it asks again. Its executions so far.
static uint64_t back_off(struct unit *unit)
{
    unit->heat_past = heat_executions(unit);
    set_heat(unit, (int64_t)unit->heat_start * BACK_OFF);
    return unit->heat_past;
}

void heat_cool(struct unit *unit)
{
    unit->heat_past = heat_executions(unit);
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
        uint64_t count;
        if (u->hidden_by)
            heat_watch(u), count = u->heat_past;
        else
            count = back_off(u);
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
                           .pc = vcpu->env->pc, .heat = heat, .asked = tier_now_ns(CLOCK_MONOTONIC),
                           .cpu_model = vcpu->accel->isa->cpu_model(vcpu->env)};
    if (tier->broken || unit->page->region_deaths > MAX_DEATHS)
        return false;
    if (tier->samples && !(job.weight = sample_weight(unit->page, unit->key)))
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

// The region's code falls back to the unit again and again. jit.lock held.
static void fell_back(struct accel *accel, struct unit *region)
{
    struct unit *behind = region->region->stands_for;
    uint64_t now = tier_now_ns(CLOCK_MONOTONIC);
    if (now - region->region->fallback_at > FALLBACKS_LAST)
        region->region->fallbacks = 0;
    region->region->fallback_at = now;
    if (++region->region->fallbacks <= MAX_FALLBACKS)
        return;
    accel->jit.tier->counts.given_up++;
    region->page->region_deaths++;
    sample_quiet(region->page, region->offset, GIVEN_UP);
    unit_kill(accel, region);
    if (!behind->dead)
        heat_cool(behind);
}

// Whether the unit ran often enough for its page, which counts, to be asked for.
static bool matters(const struct unit *unit, uint64_t heat)
{
    struct page_heat *page = &unit->page->heat;
    if (!page->counts || page->key != unit->key)
        return false;
    for (const struct unit *u = unit->page->units; u; u = u->next_in_page)
        if (!u->region && !u->hidden_by && u->key == unit->key && heat_executions(u) > page->most)
            page->most = heat_executions(u);
    return heat >= page->most / REGION_SHARE;
}

// Counters that nobody waits for any more. jit.lock held.
static void drop_counters(struct accel *accel, const struct unit *at)
{
    for (struct unit *u = at->page->units, *next; u; u = next) {
        next = u->next_in_page;
        if (u->heat_start && !u->region && !u->hidden_by && u->key == at->key)
            unit_kill(accel, u);
    }
}

bool tier_hot(struct vcpu *vcpu, struct unit *unit)
{
    struct accel *accel = vcpu->accel;
    const struct tier *tier = accel->jit.tier;
    bool waited = false;
    pthread_mutex_lock(&accel->jit.lock);
    uint64_t heat = unit->dead ? 0 : collect(unit);
    if (heat && unit->region)
        fell_back(accel, unit);
    else if (heat && (!tier->samples || matters(unit, heat)))
        waited = ask(vcpu, unit, heat);
    else if (heat && !unit->page->heat.counts)
        drop_counters(accel, unit);
    bool gone = unit->dead;
    pthread_mutex_unlock(&accel->jit.lock);
    return waited || gone;
}

bool tier_tick(struct vcpu *vcpu, struct unit *unit)
{
    struct jit *jit = &vcpu->accel->jit;
    if (unit->region || __atomic_fetch_sub(&unit->heat, 1, __ATOMIC_RELAXED) > 0)
        return false;
    pthread_mutex_lock(&jit->lock);
    bool waited = ask(vcpu, unit, back_off(unit));
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

void heat_refresh(struct tier *tier)
{
    for (unsigned i = 0; i < tier->queue.count; i++) {
        struct tier_job *job = &tier->queue.jobs[i];
        const struct unit *unit = unit_lookup(&tier->accel->jit, job->host_page, job->offset, job->key);
        uint64_t count = unit && !unit->region ? heat_executions(unit) : 0;
        job->heat = count > job->heat ? count : job->heat;
        if (unit && tier->samples)
            job->weight = sample_weight(unit->page, unit->key);
    }
}
