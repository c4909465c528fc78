// SPDX-License-Identifier: MIT
// Units: finding, translating, linking and killing them, and the code buffer they live in.
//
// The buffer is filled in chunks, in a ring. A full chunk makes room by killing the units of the next one: they are
// unlinked and leave their tables, every vCPU leaves translated code, and only then is their memory used again.
#include "accel/jit/jit.h"
#include "accel/jit/lockstep.h"
#include "accel/jit/tier.h"

#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { DEFAULT_CODE_SIZE = 256 << 20, MIN_CODE_SIZE = 1 << 20 };
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 // Linux 6.1
#endif

static size_t code_room(size_t size)
{
    return 2 * size + REGION_POOL + 2 * CODE_HUGE;
}

static uint8_t *align_huge(uint8_t *at)
{
    return at + (-(uintptr_t)at & (CODE_HUGE - 1));
}

// Regions' code comes behind the buffer, so that it reaches the buffer by short jumps. Both views begin at a multiple of
// CODE_HUGE; the address space before them is left unused.
static int map_code(struct code_buffer *code, size_t size, void **ret_room, void **ret_pool, struct error *err)
{
    int fd = memfd_create("isomer-code", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
        int e = errno;
        if (fd >= 0)
            close(fd);
        return error_set(err, -e, "cannot make a code buffer of %zu MiB: %s", size >> 20, strerror(e));
    }
    uint8_t *room = mmap(NULL, code_room(size), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *rw = room, *rx = room;
    if (room != MAP_FAILED) {
        rw = mmap(align_huge(room), size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
        rx = mmap(align_huge(room + CODE_HUGE + size), size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0);
    }
    int e = errno;
    close(fd);
    if (rw == MAP_FAILED || rx == MAP_FAILED)
        return error_set(err, -e, "cannot map the code buffer: %s", strerror(e));
    *code = (struct code_buffer){.rw = rw, .rx = rx, .size = size};
    *ret_pool = (uint8_t *)rx + size;
    *ret_room = room;
    return 0;
}

// Backs what has been filled of the buffer by large host pages, where the host has them: units are too many for its
// instruction TLB otherwise.
static void back_by_huge_pages(struct jit *jit, size_t at)
{
    size_t slot = at / CODE_HUGE;
    if (jit->huge[slot / 64] >> slot % 64 & 1)
        return;
    jit->huge[slot / 64] |= (uint64_t)1 << slot % 64;
    (void)madvise((void *)(jit->code.rx + slot * CODE_HUGE), CODE_HUGE, MADV_COLLAPSE);
    (void)madvise(jit->code.rw + slot * CODE_HUGE, CODE_HUGE, MADV_COLLAPSE);
}

static size_t chunk_end(const struct jit *jit, size_t total)
{
    return jit->code_base + (total - jit->code_base) / CODE_CHUNKS * (jit->chunk + 1);
}

static size_t code_total(const struct accel *accel)
{
    size_t size = accel->config.code_cache_size ? accel->config.code_cache_size : DEFAULT_CODE_SIZE;
    return size < MIN_CODE_SIZE ? MIN_CODE_SIZE : size & ~(size_t)0xfff;
}

static uint32_t passes_without(const struct accel *accel)
{
    return (accel_without(accel, ACCEL_FOLD) ? IR_STEP_FOLD : 0) | (accel_without(accel, ACCEL_CSE) ? IR_STEP_CSE : 0) |
           (accel_without(accel, ACCEL_STATE) ? IR_STEP_STATE : 0) |
           (accel_without(accel, ACCEL_SPANS) ? IR_STEP_SPANS : 0);
}

int jit_create(struct accel *accel, struct error *err)
{
    struct jit *jit = &accel->jit;
    pthread_mutex_init(&jit->lock, NULL);
    pthread_mutex_init(&jit->translate_lock, NULL);
    if (accel->config.engine == ACCEL_INTERPRETER)
        return 0;
    int r = map_code(&jit->code, code_total(accel), &jit->code_room, &jit->pool_memory, err);
    if (r)
        return r;
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
    jit->ops = accel->config.backend;
    struct backend_config config = {.guest = &accel->guest,
                                    .runtime = accel->config.engine == ACCEL_LOCKSTEP ? &lockstep_runtime : &jit_runtime,
                                    .log = accel->log,
                                    .feature_mask = accel->config.host_feature_mask,
                                    .marked_exclusives = accel->config.exact_exclusives,
                                    .evaluate_fp = accel_without(accel, ACCEL_INLINE_FP),
                                    .evaluate_vectors = accel_without(accel, ACCEL_INLINE_VECTORS)};
    jit->opt.without = passes_without(accel);
    r = jit->ops->create(&config, &jit->code, &jit->backend, err);
    if (r)
        return r;
    jit->tables = mmap(NULL, (size_t)CODE_TABLES * CODE_TABLE_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (jit->tables == MAP_FAILED) {
        jit->tables = NULL;
        return error_set(err, -errno, "cannot map the tables of units: %s", strerror(errno));
    }
    (void)madvise(jit->tables, (size_t)CODE_TABLES * CODE_TABLE_SIZE, MADV_HUGEPAGE);
    jit->miss = (uint32_t)((const uint8_t *)jit->ops->stubs(jit->backend)->miss - jit->code.rx);
    jit->code_base = (jit->code.used + 4095) & ~(size_t)4095;
    jit->code.used = jit->code_base;
    jit->code.cold = jit->code.size = chunk_end(jit, code_total(accel));
    if (accel->config.perf_map) {
        char name[64];
        snprintf(name, sizeof name, "/tmp/perf-%d.map", (int)getpid());
        jit->perf_map = fopen(name, "w");
    }
    return accel->config.tier == ACCEL_TIER_FAST ? 0 : tier_create(accel, err);
}

void unit_free(struct unit *unit)
{
    if (unit->ir) {
        ir_unit_free(unit->ir);
        free(unit->ir);
    }
    free(unit->region);
    free(unit);
}

static void free_tables(struct code_page *page)
{
    for (struct code_table *t = page->tables, *next; t; t = next) {
        next = t->next;
        free(t);
    }
    page->tables = NULL;
}

void jit_destroy(struct accel *accel)
{
    struct jit *jit = &accel->jit;
    tier_destroy(accel);
    for (unsigned c = 0; c < CODE_CHUNKS; c++)
        for (struct unit *u = jit->chunk_units[c], *next; u; u = next) {
            next = u->next_in_chunk;
            unit_free(u);
        }
    for (unsigned i = 0; i < PAGE_HASH; i++)
        for (struct code_page *p = jit->pages[i], *next; p; p = next) {
            next = p->next;
            free_tables(p);
            free(p);
        }
    if (jit->tables)
        munmap(jit->tables, (size_t)CODE_TABLES * CODE_TABLE_SIZE);
    if (jit->backend)
        jit->ops->destroy(jit->backend);
    if (jit->code.rw)
        munmap(jit->code_room, code_room(code_total(accel)));
    if (jit->perf_map)
        fclose(jit->perf_map);
    ir_unit_free(&jit->scratch);
    ir_opt_free(&jit->opt);
}

static struct unit *_Atomic *hash_slot(struct jit *jit, const uint8_t *host_page, uint32_t offset, uint32_t key)
{
    // Neighbours in a page are neighbours here: what is looked up together shares cache lines.
    uint64_t h = (uint64_t)(uintptr_t)host_page * 0x9e3779b97f4a7c15ull ^ key * 0x85ebca6bull;
    return &jit->hash[((h >> 32) + (offset >> 4)) % UNIT_HASH];
}

struct unit *unit_lookup(struct jit *jit, const uint8_t *host_page, uint32_t offset, uint32_t key)
{
    struct unit *u = atomic_load_explicit(hash_slot(jit, host_page, offset, key), memory_order_acquire);
    while (u && (u->host_page != host_page || u->offset != offset || u->key != key))
        u = atomic_load_explicit(&u->next_hash, memory_order_acquire);
    return u;
}

static void unlink_exit(struct jit *jit, struct backend_exit *exit)
{
    jit->ops->unlink(jit->backend, &jit->code, exit);
    *exit->from_incoming = exit->next_incoming;
    if (exit->next_incoming)
        exit->next_incoming->from_incoming = exit->from_incoming;
    exit->linked = NULL;
}

static void set_entry(const struct unit *unit, uint32_t offset)
{
    if (unit->table && unit->offset % IR_CODE_ALIGN == 0)
        atomic_store_explicit(&unit->table->entries[unit->offset / IR_CODE_ALIGN], offset, memory_order_relaxed);
}

// Nothing but its page's list leads to the unit afterwards.
static void withdraw(struct accel *accel, struct unit *unit)
{
    struct jit *jit = &accel->jit;
    set_entry(unit, jit->miss);
    while (unit->incoming)
        unlink_exit(jit, unit->incoming);
    struct unit *_Atomic *h = hash_slot(jit, unit->host_page, unit->offset, unit->key);
    while (*h != unit)
        h = &(*h)->next_hash;
    *h = unit->next_hash;
}

static void put_in_table(struct jit *jit, struct unit *unit)
{
    struct unit *_Atomic *slot = hash_slot(jit, unit->host_page, unit->offset, unit->key);
    unit->next_hash = *slot;
    atomic_store_explicit(slot, unit, memory_order_release);
    set_entry(unit, (uint32_t)((const uint8_t *)unit->entry - jit->code.rx));
}

void unit_publish(struct jit *jit, struct unit *unit)
{
    put_in_table(jit, unit);
    unit->next_in_page = unit->page->units;
    unit->page->units = unit;
}

void unit_replace(struct accel *accel, struct unit *unit, struct unit *region)
{
    unit->hidden_by = region;
    withdraw(accel, unit);
    region->region->stands_for = unit;
    region->table = unit->table;
    unit_publish(&accel->jit, region);
}

void unit_kill(struct accel *accel, struct unit *unit)
{
    struct jit *jit = &accel->jit;
    if (unit->dead)
        return;
    if (unit->hidden_by)
        unit_kill(accel, unit->hidden_by);
    if (unit->dead) // with its region
        return;
    unit->dead = true;
    jit->units_killed++;
    withdraw(accel, unit);
    for (uint32_t i = 0; i < unit->exit_count; i++)
        if (unit->exits[i].linked)
            unlink_exit(jit, &unit->exits[i]);
    struct unit **p = &unit->page->units;
    while (*p != unit)
        p = &(*p)->next_in_page;
    *p = unit->next_in_page;
    if (unit->region) {
        unit->region->stands_for->hidden_by = NULL;
        put_in_table(jit, unit->region->stands_for);
        if (unit->region->stands_for->only_behind)
            unit_kill(accel, unit->region->stands_for);
        tier_region_died(accel, unit);
    }
}

// Kills the units of a chunk and waits until nobody runs them. translate_lock held, at a safepoint.
static void recycle_chunk(struct accel *accel, struct vcpu *self, unsigned chunk)
{
    struct jit *jit = &accel->jit;
    pthread_mutex_lock(&jit->lock);
    struct unit *list = jit->chunk_units[chunk];
    jit->chunk_units[chunk] = NULL;
    for (struct unit *u = list; u; u = u->next_in_chunk)
        unit_kill(accel, u);
    jit->evictions++; // last: who reads the new count finds none of them any more
    pthread_mutex_unlock(&jit->lock);
    for (unsigned i = 0; i < accel->cpu_count; i++)
        if (&accel->cpus[i] != self)
            vcpu_request(&accel->cpus[i], REQ_CODE); // which it sees to before it runs code again
    if (self)
        context_forget_code(self);
    safepoint_wait_outside(accel, self);
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
    for (struct unit *u = list, *next; u; u = next) {
        next = u->next_in_chunk;
        unit_free(u);
    }
}

static void next_chunk(struct accel *accel, struct vcpu *self)
{
    struct jit *jit = &accel->jit;
    jit->chunk = (jit->chunk + 1) % CODE_CHUNKS;
    recycle_chunk(accel, self, jit->chunk);
    size_t end = chunk_end(jit, code_total(accel));
    jit->code.used = end - (code_total(accel) - jit->code_base) / CODE_CHUNKS;
    jit->code.cold = jit->code.size = end;
}

// Every unit and every table. translate_lock held, at a safepoint.
static void flush(struct accel *accel, struct vcpu *self)
{
    struct jit *jit = &accel->jit;
    pthread_mutex_lock(&jit->lock);
    jit->flushes++;
    pthread_mutex_unlock(&jit->lock);
    for (unsigned c = 0; c < CODE_CHUNKS; c++)
        recycle_chunk(accel, self, c);
    pthread_mutex_lock(&jit->lock);
    for (unsigned i = 0; i < PAGE_HASH; i++)
        for (struct code_page *p = jit->pages[i]; p; p = p->next)
            free_tables(p);
    jit->tables_used = 0;
    pthread_mutex_unlock(&jit->lock);
}

void jit_flush(struct accel *accel, struct vcpu *self)
{
    pthread_mutex_lock(&accel->jit.translate_lock);
    flush(accel, self);
    pthread_mutex_unlock(&accel->jit.translate_lock);
}

// NULL when out of memory. translate_lock held, at a safepoint.
static struct code_table *get_table(struct accel *accel, struct vcpu *self, struct code_page *page, uint32_t key)
{
    struct jit *jit = &accel->jit;
    struct code_table *table = page->tables;
    while (table && table->key != key)
        table = table->next;
    if (table)
        return table;
    if (jit->tables_used == CODE_TABLES)
        flush(accel, self);
    if (!(table = malloc(sizeof *table)))
        return NULL;
    *table = (struct code_table){page, key, jit->tables + (size_t)jit->tables_used++ * IR_CODE_SLOTS, page->tables};
    for (unsigned i = 0; i < IR_CODE_SLOTS; i++)
        atomic_store_explicit(&table->entries[i], jit->miss, memory_order_relaxed);
    page->tables = table;
    return table;
}

static struct code_page *get_page(struct jit *jit, const struct xlat *at, uint8_t *host)
{
    pthread_mutex_lock(&jit->lock);
    struct code_page *page = code_find_page(jit, host);
    if (!page && (page = calloc(1, sizeof *page))) {
        struct code_page **head = &jit->pages[((uintptr_t)host >> MEM_PAGE_BITS) % PAGE_HASH];
        *page = (struct code_page){.host = host, .ram = at->range->ram, .ram_page = at->offset >> MEM_PAGE_BITS,
                                   .next = *head};
        *head = page;
    }
    pthread_mutex_unlock(&jit->lock);
    return page;
}

static void trace_ir(const struct accel *accel, enum log_category category, const char *what, uint64_t pc)
{
    if (!log_on(accel->log, category))
        return;
    log_begin(accel->log);
    log_printf(accel->log, category, "%s of %016llx:\n", what, (unsigned long long)pc);
    ir_print(&accel->jit.scratch, accel->log->out);
    log_end(accel->log);
}

static void build_ir(struct accel *accel, struct vcpu *vcpu, const struct code_page *page, uint32_t offset,
                     uint64_t pc, uint32_t max_insns)
{
    struct jit *jit = &accel->jit;
    struct guest_translate request = {
        .cpu_model = accel->isa->cpu_model(vcpu->env), .key = vcpu->env->key, .offset = offset, .page = page->host,
        .max_insns = max_insns, .log = accel->log, .va_hint = pc & ~(uint64_t)(IR_PAGE_SIZE - 1)};
    do {
        request.max_insns = max_insns;
        ir_unit_reset(&jit->scratch, &accel->guest);
        accel->isa->translate(&request, &jit->scratch);
        max_insns /= 2;
    } while (jit->scratch.failed && max_insns);
    trace_ir(accel, LOG_IR, "IR", pc);
#ifndef NDEBUG
    struct error err;
    if (ir_verify(&jit->scratch, &err) < 0) {
        fprintf(stderr, "isomer: internal error in the unit at %016llx: %s\n", (unsigned long long)pc, err.text);
        ir_print(&jit->scratch, stderr);
        abort();
    }
#endif
    ir_optimise(&jit->scratch, &jit->opt);
    trace_ir(accel, LOG_IR_OPT, "optimised IR", pc);
}

static struct ir_unit *keep_ir(struct jit *jit)
{
    struct ir_unit *copy = malloc(sizeof *copy);
    if (!copy)
        return NULL;
    *copy = jit->scratch;
    jit->scratch = (struct ir_unit){0};
    return copy;
}

int unit_compile(struct accel *accel, struct vcpu *self, struct unit *unit, uint64_t pc)
{
    struct jit *jit = &accel->jit;
    struct backend_unit made = {0};
    int r = jit->ops->compile(jit->backend, &jit->scratch, &jit->code, unit->exits, &made);
    if (r == -ENOSPC) {
        next_chunk(accel, self);
        r = jit->ops->compile(jit->backend, &jit->scratch, &jit->code, unit->exits, &made);
    }
    if (r)
        return r;
    back_by_huge_pages(jit, jit->code.used);
    back_by_huge_pages(jit, jit->code.cold);
    unit->entry = made.entry;
    unit->exit_count = made.exit_count;
    if (log_on(accel->log, LOG_OUT_ASM)) {
        log_begin(accel->log);
        log_printf(accel->log, LOG_OUT_ASM, "host code of %016llx, %zu bytes and %zu cold ones:\n", (unsigned long long)pc,
                   made.code_size, made.cold_size);
        jit->ops->disassemble(made.entry, made.code_size, accel->log->out);
        jit->ops->disassemble(made.cold, made.cold_size, accel->log->out);
        log_end(accel->log);
    }
    if (jit->perf_map) {
        const char *kind = unit->region ? "region" : "guest";
        fprintf(jit->perf_map, "%llx %zx %s_%llx\n", (unsigned long long)(uintptr_t)made.entry, made.code_size, kind,
                (unsigned long long)pc);
        fprintf(jit->perf_map, "%llx %zx %s_cold_%llx\n", (unsigned long long)(uintptr_t)made.cold, made.cold_size, kind,
                (unsigned long long)pc);
    }
    return 0;
}

static void trace_guest(struct accel *accel, struct vcpu *vcpu, const struct unit *unit, uint64_t pc)
{
    log_begin(accel->log);
    log_printf(accel->log, LOG_IN_ASM, "unit at %016llx, key %08x:\n", (unsigned long long)pc, unit->key);
    for (uint32_t done = 0; done < unit->bytes;) {
        struct guest_translate request = {.cpu_model = accel->isa->cpu_model(vcpu->env), .key = unit->key,
                                          .offset = unit->offset + done, .page = unit->page->host,
                                          .va_hint = pc & ~(uint64_t)(IR_PAGE_SIZE - 1)};
        char text[128];
        unsigned len = accel->isa->disassemble(&request, text, sizeof text);
        log_printf(accel->log, LOG_IN_ASM, "  %016llx  %s\n", (unsigned long long)(pc + done), text);
        done += len ? len : 4;
    }
    log_end(accel->log);
}

// How many exit records the unit in scratch needs at most: their addresses are baked into its code.
static unsigned count_exits(const struct jit *jit)
{
    unsigned n = 0;
    for (uint32_t i = 0; jit->ops && i < jit->scratch.insn_count; i++)
        n += jit->scratch.insns[i].op == IR_OP_exit_pc;
    return n;
}

// One attempt; *ret_unit is NULL when the page changed under it. translate_lock held.
static int translate(struct accel *accel, struct vcpu *vcpu, struct code_page *page, uint32_t offset, uint64_t pc,
                     uint32_t max_insns, struct unit **ret_unit)
{
    struct jit *jit = &accel->jit;
    *ret_unit = NULL;
    unsigned first = offset >> MEM_CODE_LINE_BITS;
    unsigned last = (offset + max_insns * 4 - 1) >> MEM_CODE_LINE_BITS;
    last = last > 63 ? 63 : last;
    pthread_mutex_lock(&jit->lock);
    uint64_t changes = page->changes;
    pthread_mutex_unlock(&jit->lock);
    code_protect_page(accel, vcpu, page, (~0ull << first) & (~0ull >> (63 - last)));
    build_ir(accel, vcpu, page, offset, pc, max_insns);
    bool keep = accel->config.engine != ACCEL_JIT;
    struct unit *unit = calloc(1, sizeof *unit + count_exits(jit) * sizeof *unit->exits);
    struct code_table *table = jit->ops ? get_table(accel, vcpu, page, vcpu->env->key) : NULL;
    if (!unit || jit->scratch.failed || (jit->ops && !table)) {
        free(unit);
        return -ENOMEM;
    }
    unit->page = page;
    unit->table = table;
    unit->host_page = page->host;
    unit->key = vcpu->env->key;
    unit->offset = offset;
    unit->bytes = jit->scratch.guest_bytes;
    unit->entry = unit;
    if (jit->tier)
        tier_count(accel, unit);
    int r = jit->ops ? unit_compile(accel, vcpu, unit, pc) : 0;
    if (r) {
        free(unit);
        return r;
    }
    if (keep)
        unit->ir = keep_ir(jit);
    for (uint32_t i = 0; i < unit->exit_count; i++)
        unit->exits[i].owner = unit;
    if (log_on(accel->log, LOG_IN_ASM))
        trace_guest(accel, vcpu, unit, pc);

    pthread_mutex_lock(&jit->lock);
    unit->next_in_chunk = jit->chunk_units[jit->chunk];
    jit->chunk_units[jit->chunk] = unit;
    if (page->changes == changes) {
        unit_publish(jit, unit);
        jit->units_made++;
        jit->guest_bytes += unit->bytes;
        *ret_unit = unit;
    } else {
        unit->dead = true;
    }
    pthread_mutex_unlock(&jit->lock);
    return 0;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct unit *unit_known(struct vcpu *vcpu, uint64_t pc)
{
    const struct ir_env *env = vcpu->env;
    const struct ir_tlb_table *t = &env->mmu[vcpu->accel->isa->fetch_mmu(env->key)];
    const struct ir_tlb_entry *e = (const void *)((const char *)t->entries + ((pc >> (IR_PAGE_BITS - 5)) & t->mask));
    uint64_t page = pc & ~(uint64_t)(IR_PAGE_SIZE - 1);
    vcpu->stats.lookups++;
    if (e->exec != page)
        return NULL;
    return unit_lookup(&vcpu->accel->jit, (const uint8_t *)(uintptr_t)(page + e->addend), pc - page, env->key);
}

struct unit *unit_find(struct vcpu *vcpu, const struct xlat *at, uint64_t pc, uint32_t max_insns)
{
    struct accel *accel = vcpu->accel;
    struct jit *jit = &accel->jit;
    uint32_t offset = at->offset % MEM_PAGE_SIZE;
    uint8_t *host = at->host - offset;
    vcpu->stats.translations++;
    struct unit *unit = unit_lookup(jit, host, offset, vcpu->env->key);
    if (unit && max_insns == UNIT_INSNS)
        return unit;

    struct xlat copy = *at; // the mapping may go while this vCPU counts as at a safepoint; the RAM stays
    vcpu_leave_code(vcpu);
    pthread_mutex_lock(&jit->translate_lock);
    uint64_t begin = now_ns();
    struct code_page *page = get_page(jit, &copy, host);
    pthread_mutex_lock(&jit->lock);
    unit = unit_lookup(jit, host, offset, vcpu->env->key);
    while (unit && max_insns != UNIT_INSNS && (unit->region || unit->bytes > accel->isa->insn_align)) {
        unit_kill(accel, unit); // a debugger wants it shorter
        unit = unit_lookup(jit, host, offset, vcpu->env->key);
    }
    if (page && jit->tier && max_insns == UNIT_INSNS)
        max_insns = tier_max_insns(accel, page, offset, vcpu->env->key);
    pthread_mutex_unlock(&jit->lock);
    while (page && !unit && max_insns) {
        int r = translate(accel, vcpu, page, offset, pc, max_insns, &unit);
        if (r == -E2BIG)
            max_insns /= 2;
        else if (r)
            break;
    }
    jit->translate_ns += now_ns() - begin;
    pthread_mutex_unlock(&jit->translate_lock);
    vcpu_enter_code(vcpu);
    // What was invalidated meanwhile may be the very translation that led here.
    return atomic_load(&vcpu->requests) & (REQ_TLBI | REQ_CODE) ? NULL : unit;
}

void unit_link(struct vcpu *vcpu, struct backend_exit *exit, struct unit *to, uint64_t evictions)
{
    struct jit *jit = &vcpu->accel->jit;
    pthread_mutex_lock(&jit->lock);
    if (jit->evictions == evictions) {
        const struct unit *from = exit->owner;
        if (to->hidden_by)
            to = to->hidden_by;
        const uint32_t bound = (uint32_t)(uintptr_t)to->table->entries;
        bool fits = exit->guard ? exit->bound == BACKEND_UNBOUND || exit->bound == bound : from->page == to->page;
        if (!from->dead && !to->dead && !exit->linked && fits && from->key == to->key) {
            exit->bound = bound;
            jit->ops->link(jit->backend, &jit->code, exit, to->entry);
            exit->linked = to;
            exit->next_incoming = to->incoming;
            exit->from_incoming = &to->incoming;
            if (to->incoming)
                to->incoming->from_incoming = &exit->next_incoming;
            to->incoming = exit;
            jit->links_made++;
        }
    }
    pthread_mutex_unlock(&jit->lock);
}
