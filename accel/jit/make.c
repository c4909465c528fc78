// SPDX-License-Identifier: MIT
// Making a region: forms it, has it compiled, installs it (tier.h).
//
// A region is made from a copy of its page. It is installed only if, with its lines marked as holding code, the page
// still reads the same: from then on a store to one of them kills it. The unit it stands for lives on throughout, so
// that the page keeps its write protection meanwhile.
#include "accel/jit/tier_internal.h"

#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_INSNS = 256,
    MAX_ACCESSES = 64,
    ATTEMPTS = 3, // each half the size of the one before
};

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
        uint64_t count = heat_executions(u);
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
                                        .fallback = &unit->region->fallback, .name = name,
                                        .stays_inside = accel->config.engine == ACCEL_LOCKSTEP};
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

// What the region falls back to: its first instruction, so that whoever is there comes back to the region when the loop
// does. NULL when there is none to be had; the unit at hand does then. translate_lock held.
static struct unit *make_behind(struct tier *tier, const struct tier_job *job)
{
    struct accel *accel = tier->accel;
    struct jit *jit = &accel->jit;
    struct guest_translate request = {
        .cpu_model = job->cpu_model, .key = job->key, .offset = job->offset, .page = tier->page, .max_insns = 1,
        .log = accel->log, .va_hint = job->pc & ~(uint64_t)(IR_PAGE_SIZE - 1)};
    ir_unit_reset(&jit->scratch, &accel->guest);
    if (accel->isa->translate(&request, &jit->scratch) || jit->scratch.failed)
        return NULL;
    ir_optimise(&jit->scratch, &jit->opt);
    struct unit *unit = calloc(1, sizeof *unit + BACKEND_MAX_EXITS * sizeof *unit->exits);
    if (!unit)
        return NULL;
    unit->host_page = job->host_page;
    unit->key = job->key;
    unit->offset = job->offset;
    unit->bytes = jit->scratch.guest_bytes;
    unit->only_behind = true;
    heat_watch(unit);
    jit->scratch.heat = &unit->heat;
    if (unit_compile(accel, NULL, unit, job->pc)) {
        free(unit);
        return NULL;
    }
    for (uint32_t i = 0; i < unit->exit_count; i++)
        unit->exits[i].owner = unit;
    return unit;
}

// Puts behind in the place of unit.
static void exchange(struct accel *accel, struct unit *unit, struct unit *behind)
{
    behind->page = unit->page;
    behind->table = unit->table;
    unit_kill(accel, unit);
    unit_publish(&accel->jit, behind);
}

// jit.lock held.
static bool install(struct tier *tier, struct unit *region, struct unit *behind, uint64_t flushes)
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
    if (behind)
        exchange(accel, unit, behind);
    else
        behind = unit;
    region->region->fallback = behind->entry;
    for (uint32_t i = 0; i < region->exit_count; i++)
        region->exits[i].owner = region;
    unit_replace(accel, behind, region);
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

// The chunk being filled frees it.
static void give_to_chunk(struct jit *jit, struct unit *unit, bool live)
{
    unit->next_in_chunk = jit->chunk_units[jit->chunk];
    jit->chunk_units[jit->chunk] = unit;
    unit->dead |= !live;
}

static bool finish(struct tier *tier, const struct tier_job *job, struct unit *region, uint64_t flushes)
{
    struct jit *jit = &tier->accel->jit;
    if (tier->ops)
        pthread_mutex_lock(&jit->translate_lock);
    struct unit *behind = tier->ops && tier->accel->config.engine == ACCEL_JIT ? make_behind(tier, job) : NULL;
    pthread_mutex_lock(&jit->lock);
    bool done = install(tier, region, behind, flushes);
    tier->counts.stale += !done;
    if (behind)
        give_to_chunk(jit, behind, done);
    if (!tier->ops)
        give_to_chunk(jit, region, done);
    pthread_mutex_unlock(&jit->lock);
    pthread_mutex_unlock(&jit->translate_lock);
    return done;
}

void make_drop(struct tier *tier, struct unit *region)
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
        heat_cool(unit);
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

bool make_region(struct tier *tier, const struct tier_job *job)
{
    struct region_source source;
    struct jit *jit = &tier->accel->jit;
    uint64_t flushes, begin = tier_now_ns(CLOCK_THREAD_CPUTIME_ID), form_ns = 0, compile_ns = 0;
    bool live = read_source(tier, job, &source, &flushes);
    struct unit *region = NULL;
    int r = live ? -E2BIG : 0;
    for (unsigned attempt = 0; r == -E2BIG && attempt < ATTEMPTS; attempt++) {
        r = build_ir(tier, &source, job->pc);
        uint64_t formed = tier_now_ns(CLOCK_THREAD_CPUTIME_ID);
        form_ns += formed - begin;
        if (!r)
            r = (region = new_region(tier, job)) ? 0 : -ENOMEM;
        if (!r)
            r = tier->ops ? compile(tier, region, job->pc) : compile_one_pass(tier, region, job->pc);
        if (r && region) {
            unit_free(region);
            region = NULL;
        }
        begin = tier_now_ns(CLOCK_THREAD_CPUTIME_ID);
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
        return false;
    if (tier->accel->config.engine == ACCEL_LOCKSTEP)
        keep_ir(tier, region);
    bool made = finish(tier, job, region, flushes);
    if (!made && tier->ops)
        make_drop(tier, region);
    return made;
}
