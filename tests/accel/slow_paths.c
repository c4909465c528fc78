// SPDX-License-Identifier: MIT
// Slow paths of memory, called as translated code calls them on a stopped machine with its MMU off: writes to pages with
// code are reported after the bytes changed, watchpoints see both halves of an atomic, and what the MMU's being off makes
// of addresses is not remembered; what is kept of walks goes with every invalidation that concerns it; inline tables grow
// and shrink, and write tags are withdrawn from them at any size.
#include "tests/accel/small.h"

#include "frontends/a64/mmu.h"
#include "frontends/a64/regs.h"
#include "frontends/a64/state.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { WORD = SMALL_RAM + 0x3000, ATTR8 = 3, ROUNDS = 1500 };

static struct small *small;
static struct ir_env *env;
static struct vcpu *vcpu;

static void set_up(void)
{
    small = small_create(ACCEL_JIT, 1, 1 << 20, 0);
    env = accel_env(small->accel, 0);
    vcpu = &small->accel->cpus[0];
    context_switch(vcpu);
}
static void tear_down(void)
{
    small_destroy(small);
}
TestSuite(slow_paths, .init = set_up, .fini = tear_down);

// ---- order of a write and what it invalidates --------------------------------------------------------------------------

struct observer {
    struct code_page page;
    const uint64_t *word;
    _Atomic bool quit;
    _Atomic uint64_t expected; // what the word must be when the page changes next, 0: not armed
    uint64_t early;            // times it was not that yet
};

static void *observe(void *opaque)
{
    struct observer *o = opaque;
    while (!o->quit) {
        uint64_t expected = o->expected;
        uint64_t before = __atomic_load_n(&o->page.changes, __ATOMIC_SEQ_CST);
        if (!expected)
            continue;
        uint64_t word = 0;
        for (unsigned n = 0; n < 100000 && !o->quit; n++) {
            if (__atomic_load_n(&o->page.changes, __ATOMIC_SEQ_CST) == before && o->expected == expected)
                continue;
            word = __atomic_load_n(o->word, __ATOMIC_SEQ_CST);
            o->early += word < expected;
            break;
        }
    }
    return NULL;
}

static void by_cas(uint64_t value)
{
    union ir_value old = {.i = value - 1}, next = {.i = value}, seen;
    cr_assert_eq(jit_runtime.cas(env, WORD, ATTR8, &old, &next, &seen), 0);
}
static void by_rmw(uint64_t value)
{
    union ir_value one = {.i = 1}, seen;
    cr_assert_eq(jit_runtime.rmw(env, WORD, ATTR8, IR_RMW_ADD, &one, &seen), 0);
}
static void by_store(uint64_t value)
{
    cr_assert_eq(jit_runtime.store(env, WORD, ATTR8, &(union ir_value){.i = value}), 0);
}
static void by_zero(uint64_t value)
{
    bool done;
    *(uint64_t *)small_at(small, WORD) = UINT64_MAX;
    cr_assert_eq(vcpu_zero(env, WORD, 64, 1, &done), 0);
    cr_assert(done);
    *(uint64_t *)small_at(small, WORD) = value;
}

static const struct {
    const char *name;
    void (*write)(uint64_t value);
} writers[] = {{"cas", by_cas}, {"rmw", by_rmw}, {"store", by_store}};

static void put_page(struct code_page *page)
{
    struct jit *jit = &small->accel->jit;
    *page = (struct code_page){.host = small_at(small, WORD & ~0xfffull), .ram = small->ram, .ram_page = 3};
    jit->pages[((uintptr_t)page->host >> MEM_PAGE_BITS) % PAGE_HASH] = page;
}

static void take_page(const struct code_page *page)
{
    small->accel->jit.pages[((uintptr_t)page->host >> MEM_PAGE_BITS) % PAGE_HASH] = NULL;
}

Test(slow_paths, code_is_invalidated_after_the_write)
{
    for (size_t w = 0; w < ARRAY_SIZE(writers); w++) {
        struct observer o = {.word = small_at(small, WORD)};
        pthread_t thread;
        put_page(&o.page);
        *(uint64_t *)small_at(small, WORD) = 0;
        pthread_create(&thread, NULL, observe, &o);
        for (uint64_t i = 1; i <= ROUNDS; i++) {
            o.expected = i;
            for (unsigned n = 0; n < 200; n++)
                __builtin_ia32_pause();
            atomic_store(&small->ram->code_lines[3], 1);
            writers[w].write(i);
        }
        o.quit = true;
        pthread_join(thread, NULL);
        cr_expect_eq(o.early, 0, "%s: %llu times before", writers[w].name, (unsigned long long)o.early);
        cr_expect_eq(o.page.changes, ROUNDS, "%s: %llu", writers[w].name, (unsigned long long)o.page.changes);
        take_page(&o.page);
    }
}

// A write that found no code to mind on the way, but there was some when it was done.
Test(slow_paths, zeroing_reports_code)
{
    struct code_page page;
    put_page(&page);
    by_zero(1);
    cr_expect_eq(page.changes, 0);
    atomic_store(&small->ram->code_lines[3], 1);
    by_zero(2);
    cr_expect_eq(page.changes, 1);
    take_page(&page);
}

// ---- watchpoints -------------------------------------------------------------------------------------------------------

enum op { LOAD, STORE, CAS, RMW, STORE_EXCLUSIVE, LOAD_EXCLUSIVE, OPS };
enum { NO = -1 };

// What each operation meets first under a watch of reads, of writes, of both.
static const struct {
    const char *name;
    int met[3];
} watch_rows[OPS] = {
    [LOAD] = {"load", {GUEST_READ, NO, GUEST_READ}},
    [STORE] = {"store", {NO, GUEST_WRITE, GUEST_WRITE}},
    [CAS] = {"cas", {GUEST_READ, GUEST_WRITE, GUEST_READ}},
    [RMW] = {"rmw", {GUEST_READ, GUEST_WRITE, GUEST_READ}},
    [STORE_EXCLUSIVE] = {"store-exclusive", {NO, GUEST_WRITE, GUEST_WRITE}},
    [LOAD_EXCLUSIVE] = {"load-exclusive", {GUEST_READ, NO, GUEST_READ}},
};

static int run_op(enum op op)
{
    union ir_value a = {.i = 0}, b = {.i = 5}, seen;
    const uint32_t exclusive = ATTR8 | IR_MEM_EXCLUSIVE | IR_MEM_ATOMIC;
    switch (op) {
    case LOAD: return jit_runtime.load(env, WORD, ATTR8, &seen);
    case STORE: return jit_runtime.store(env, WORD, ATTR8, &b);
    case CAS: return jit_runtime.cas(env, WORD, ATTR8 | IR_MEM_ATOMIC, &a, &b, &seen);
    case RMW: return jit_runtime.rmw(env, WORD, ATTR8 | IR_MEM_ATOMIC, IR_RMW_ADD, &b, &seen);
    case STORE_EXCLUSIVE: return jit_runtime.cas(env, WORD, exclusive, &a, &b, &seen);
    default: return jit_runtime.load(env, WORD, exclusive, &seen);
    }
}

Test(slow_paths, watchpoints_see_atomics)
{
    for (unsigned op = 0; op < OPS; op++)
        for (unsigned w = 0; w < 3; w++) {
            const struct vcpu_watch watch = {.va = WORD + 4, .len = 1, .access = (uint8_t)(w + 1), .mmu_mask = 0xff};
            *(uint64_t *)small_at(small, WORD) = 0;
            vcpu_set_watch(env, VCPU_WATCH_GUEST, &watch, 1);
            int code = run_op(op), met = watch_rows[op].met[w];
            cr_expect_eq(code, met == NO ? IR_EXIT_NONE : IR_EXIT_FAULT, "%s under %u", watch_rows[op].name, w + 1);
            if (code && met != NO)
                cr_expect(vcpu->fault.kind == GUEST_FAULT_WATCHPOINT && vcpu->fault.access == met, "%s under %u",
                          watch_rows[op].name, w + 1);
            if (met != NO)
                cr_expect_eq(*(uint64_t *)small_at(small, WORD), 0, "%s under %u wrote", watch_rows[op].name, w + 1);
        }
}

// ---- the MMU on and off ------------------------------------------------------------------------------------------------

static void turn_mmu(bool on)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    cpu->sys[A64_SR_MAIR_EL1] = 0xff;
    cpu->sys[A64_SR_TCR_EL1] = 0x200803519;
    cpu->sys[A64_SR_TTBR0_EL1] = SMALL_RAM + 0x1000;
    cpu->sys[A64_SR_SCTLR_EL1] = (cpu->sys[A64_SR_SCTLR_EL1] & ~1ull) | on;
    vcpu_context_changed(env);
}

// The table's block leads from the first GiB to the second's memory, so an address means one thing with the MMU on and
// another with it off; there is no invalidation in between.
Test(slow_paths, translations_do_not_outlive_the_mmu)
{
    union ir_value seen;
    *(uint64_t *)small_at(small, SMALL_RAM + 0x1000 + 2 * 8) = SMALL_RAM | 0x701;     // 0x8000'0000: RAM
    *(uint64_t *)small_at(small, SMALL_RAM + 0x1000 + 1 * 8) = 0x80000000ull | 0x701; // RAM's own address: nothing
    *(uint64_t *)small_at(small, WORD) = 77;
    for (unsigned i = 0; i < 3; i++) {
        turn_mmu(false);
        cr_expect_eq(jit_runtime.load(env, WORD, ATTR8 | 1 << IR_MEM_MMU_SHIFT, &seen), 0, "off, %u", i);
        cr_expect_eq(seen.i, 77);
        cr_expect_eq(jit_runtime.load(env, WORD + 0x40000000ull, ATTR8 | 1 << IR_MEM_MMU_SHIFT, &seen), IR_EXIT_FAULT);
        turn_mmu(true);
        cr_expect_eq(jit_runtime.load(env, WORD, ATTR8 | 1 << IR_MEM_MMU_SHIFT, &seen), IR_EXIT_FAULT, "on, %u", i);
        cr_expect_eq(jit_runtime.load(env, WORD + 0x40000000ull, ATTR8 | 1 << IR_MEM_MMU_SHIFT, &seen), 0, "on, %u", i);
        cr_expect_eq(seen.i, 77);
    }
}

// ---- kept steps of walks -----------------------------------------------------------------------------------------------

enum { L2 = SMALL_RAM + 0x4000, L3_OLD = SMALL_RAM + 0x5000, L3_NEW = SMALL_RAM + 0x6000 };
#define MAPPED 0x80000000ull

static void put_word(uint64_t addr, uint64_t value)
{
    *(uint64_t *)small_at(small, addr) = value;
}

static uint64_t load_mapped(uint64_t offset)
{
    union ir_value seen = {.i = 0};
    cr_expect_eq(jit_runtime.load(env, MAPPED + offset, ATTR8 | 1 << IR_MEM_MMU_SHIFT, &seen), 0);
    return seen.i;
}

// Two pages lead to WORD's page through the old table, and to the one after it through the new.
static void put_tables(void)
{
    put_word(SMALL_RAM + 0x1000 + 2 * 8, L2 | 3);
    put_word(L2, L3_OLD | 3);
    for (unsigned i = 0; i < 2; i++) {
        put_word(L3_OLD + i * 8, (WORD & ~0xfffull) | 0xf03); // page, accessed, shareable, not global
        put_word(L3_NEW + i * 8, ((WORD & ~0xfffull) + 0x5000) | 0xf03);
    }
    put_word(WORD, 77);
    put_word(WORD + 0x5000, 88);
}

static const struct {
    const char *name;
    struct guest_tlbi tlbi;
    bool keeps; // the way to the last table may be kept
} step_rows[] = {
    {"all", {.kind = GUEST_TLBI_ALL}, false},
    {"ASID", {.kind = GUEST_TLBI_ASID, .asid = 0}, false},
    {"address", {.kind = GUEST_TLBI_VA, .asid = 0, .va = MAPPED}, false},
    {"address, every ASID", {.kind = GUEST_TLBI_VA_ALL_ASID, .va = MAPPED}, false},
    {"address, last level", {.kind = GUEST_TLBI_VA, .asid = 0, .va = MAPPED, .last_level = true}, true},
    {"address, every ASID, last level", {.kind = GUEST_TLBI_VA_ALL_ASID, .va = MAPPED, .last_level = true}, true},
};

Test(slow_paths, walks_begin_anew_after_invalidation)
{
    for (size_t i = 0; i < ARRAY_SIZE(step_rows); i++) {
        put_tables();
        turn_mmu(true);
        vcpu_tlbi(env, &(struct guest_tlbi){.kind = GUEST_TLBI_ALL});
        cr_expect_eq(load_mapped(0), 77, "%s", step_rows[i].name);
        put_word(L2, L3_NEW | 3);
        vcpu_tlbi(env, &step_rows[i].tlbi);
        uint64_t seen = load_mapped(0), neighbour = load_mapped(0x1000);
        cr_expect_eq(seen, step_rows[i].keeps ? 77 : 88, "%s: %llu", step_rows[i].name, (unsigned long long)seen);
        cr_expect_eq(neighbour, seen, "%s: %llu", step_rows[i].name, (unsigned long long)neighbour);
    }
}

// The same tables under an ASID that has not been used: no way to the last table may be known.
Test(slow_paths, steps_of_walks_belong_to_an_asid)
{
    put_tables();
    turn_mmu(true);
    cr_expect_eq(load_mapped(0), 77);
    put_word(L2, L3_NEW | 3);
    a64_cpu_of(env)->sys[A64_SR_TTBR0_EL1] |= 1ull << 48;
    vcpu_context_changed(env);
    cr_expect_eq(load_mapped(0), 88);
}

// ---- the size of inline tables -----------------------------------------------------------------------------------------

enum { MANY = 9000, FIRST = SMALL_RAM + 0x100000, STORES = ATTR8 | 1 << IR_MEM_MMU_SHIFT };

Test(slow_paths, inline_tables_grow_with_use)
{
    small_destroy(small);
    small = small_create(ACCEL_JIT, 1, 40 << 20, 0);
    env = accel_env(small->accel, 0);
    vcpu = &small->accel->cpus[0];
    context_switch(vcpu);
    turn_mmu(true);
    const struct inline_table *t = &vcpu->context->tables[1];
    union ir_value seen;
    uint64_t fills = 0;
    for (uint64_t round = 0; round < 12; round++) {
        fills = vcpu->stats.fills;
        for (uint64_t i = 0; i < MANY; i++) {
            const uint64_t at = FIRST + i * IR_PAGE_SIZE;
            cr_assert_eq(jit_runtime.store(env, at, STORES, &(union ir_value){.i = round + i}), 0);
            cr_assert_eq(jit_runtime.load(env, at, STORES, &seen), 0);
            cr_assert_eq(seen.i, round + i);
            cr_assert_eq(*(uint64_t *)small_at(small, at), round + i);
        }
    }
    cr_expect_eq(vcpu->stats.fills, fills, "%llu fills still", (unsigned long long)(vcpu->stats.fills - fills));
    cr_expect_eq(t->size, 16384, "%u entries", t->size);
    cr_expect_eq(vcpu->inline_grown, t->size - INLINE_ENTRIES);
    for (uint64_t i = 0; i < MANY; i += 1000) {
        const uint64_t at = FIRST + i * IR_PAGE_SIZE;
        cr_expect_eq(inline_slot(t, at)->write, at);
        context_forget_writes(vcpu, small->ram, (at - SMALL_RAM) >> MEM_PAGE_BITS, i % 2000 ? at : 0);
        cr_expect_eq(inline_slot(t, at)->write, IR_TLB_INVALID);
        cr_expect_eq(inline_slot(t, at)->read, at);
    }
    for (unsigned i = 0; i < 3; i++) {
        vcpu_tlbi(env, &(struct guest_tlbi){.kind = GUEST_TLBI_ALL});
        cr_expect_eq(inline_slot(t, FIRST)->read, IR_TLB_INVALID);
        cr_assert_eq(jit_runtime.load(env, FIRST, STORES, &seen), 0);
    }
    cr_expect_eq(t->size, INLINE_ENTRIES, "%u entries", t->size);
    cr_expect_eq(vcpu->inline_grown, 0);
}
