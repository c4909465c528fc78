// SPDX-License-Identifier: MIT
// Slow paths of guest memory: translation through the tagged TLB and the guest's tables, permission, alignment and
// watchpoint checks, MMIO, accesses that cross pages, atomics. Fills the inline tables that translated code reads.
//
// A host address found here is good until the vCPU's next safepoint. Own thread only.
#include "accel/jit/jit.h"

#include "base/bits.h"

#include <string.h>

static const uint64_t page_mask = ~(uint64_t)(IR_PAGE_SIZE - 1);

static bool fault(struct vcpu *vcpu, enum guest_fault_kind kind, enum guest_access access, uint64_t va, int level)
{
    vcpu->fault = (struct guest_fault){.kind = kind, .access = access, .level = (int8_t)level, .va = va};
    return false;
}

const struct guest_mapping *access_mapping(struct vcpu *vcpu, uint64_t va, enum guest_access access, unsigned mmu)
{
    const struct guest_isa *isa = vcpu->accel->isa;
    uint64_t canonical = isa->canonical(vcpu->env, va);
    bool kept = !vcpu->context_pending && !vcpu->context->id.flat;
    const struct guest_mapping *map = kept ? tlb_find(vcpu->tlb, canonical, vcpu->context->id.asid) : NULL;
    if (map)
        return map;
    struct guest_mapping walked;
    memset(&walked, 0, sizeof walked);
    vcpu->stats.walks++;
    if (!isa->walk(vcpu->env, va, access, mmu, &walked, &vcpu->fault))
        return NULL;
    if (!kept) {
        vcpu->loose = walked;
        return &vcpu->loose;
    }
    return tlb_insert(vcpu->tlb, &walked);
}

static bool watched_page(const struct vcpu *vcpu, uint64_t page)
{
    for (unsigned o = 0; o < VCPU_WATCH_OWNERS; o++)
        for (unsigned i = 0; i < vcpu->watch_count[o]; i++) {
            const struct vcpu_watch *w = &vcpu->watch[o][i];
            if ((w->va & page_mask) <= page && page <= ((w->va + w->len - 1) & page_mask))
                return true;
        }
    return false;
}

// Caches the translation for translated code when the access may go straight to RAM.
static void fill_inline(struct vcpu *vcpu, uint64_t va, enum guest_access access, unsigned mmu, struct xlat *x)
{
    uint64_t tag = va & page_mask;
    uint64_t host_page = (uint64_t)(uintptr_t)x->host & page_mask;
    if (vcpu->context_pending || (access != GUEST_EXEC && (x->map->device || vcpu->lockstep)))
        return;
    if (access != GUEST_EXEC && accel_without(vcpu->accel, ACCEL_INLINE_MEMORY))
        return;
    if (access != GUEST_EXEC && x->range->rom && atomic_load(&x->range->rom->state) != MEM_ROM_PLAIN)
        return;
    if (vcpu->watch_any && access != GUEST_EXEC &&
        watched_page(vcpu, vcpu->accel->isa->canonical(vcpu->env, va) & page_mask))
        return;
    vcpu->stats.fills++;
    struct ir_tlb_entry *e = context_entry(vcpu, mmu, va);
    uint64_t addend = host_page - tag;
    if (e->addend != addend || (e->read != tag && e->write != tag && e->exec != tag)) {
        e->read = e->write = e->exec = IR_TLB_INVALID;
        __atomic_store_n(&e->addend, addend, __ATOMIC_RELAXED);
    }
    unsigned prot = x->map->prot >> (mmu * 4) & 7;
    if (access == GUEST_EXEC) {
        e->exec = tag;
        return;
    }
    if (prot & GUEST_R)
        e->read = tag;
    if (access != GUEST_WRITE || !x->write_ok || vcpu->accel->config.exact_exclusives)
        return;
    _Atomic uint64_t *slot = code_write_slot(vcpu->accel, x->range->ram, x->offset >> MEM_PAGE_BITS);
    uint64_t seen = atomic_load(slot), mine = tag | 2;
    while (seen != mine && seen != 1 && !atomic_compare_exchange_weak(slot, &seen, seen ? 1 : mine)) {
        // another vCPU said where it has the page
    }
    atomic_store(&e->write, tag);
    if (!atomic_load(&x->range->ram->dirty[x->offset >> MEM_PAGE_BITS])) // after the tag: see accel_withdraw_writes
        atomic_store(&x->range->ram->dirty[x->offset >> MEM_PAGE_BITS], 1);
    if (atomic_load(&x->range->ram->code_lines[x->offset >> MEM_PAGE_BITS]))
        e->write = IR_TLB_INVALID;
}

// Whether an access to a ROM device is of its RAM. *ret_ok is false when the instruction must begin anew, the device
// having been made to look at accesses first (vcpu_rom_leaves_plain).
static bool rom_is_ram(struct vcpu *vcpu, struct mem_rom *rom, enum guest_access access, uint64_t va, bool *ret_ok)
{
    uint32_t state = atomic_load(&rom->state), plain = MEM_ROM_PLAIN;
    if (access != GUEST_WRITE)
        return access == GUEST_EXEC || state != MEM_ROM_TRAPS;
    if (vcpu->lockstep) // which caches nothing that is to be withdrawn
        atomic_compare_exchange_strong(&rom->state, &plain, MEM_ROM_READS);
    else if (state < MEM_ROM_READS) {
        vcpu->rom = rom;
        *ret_ok = fault(vcpu, GUEST_FAULT_AGAIN, access, va, 0);
    }
    return false;
}

void vcpu_rom_leaves_plain(struct vcpu *vcpu)
{
    uint32_t state = MEM_ROM_PLAIN;
    atomic_compare_exchange_strong(&vcpu->rom->state, &state, MEM_ROM_LEAVING);
    vcpu_leave_code(vcpu);
    accel_memory_map_changed(vcpu->accel, NULL);
    vcpu_enter_code(vcpu);
    state = MEM_ROM_LEAVING; // another vCPU may have been here, and the device may have gone on since
    atomic_compare_exchange_strong(&vcpu->rom->state, &state, MEM_ROM_READS);
}

bool access_translate(struct vcpu *vcpu, uint64_t va, enum guest_access access, unsigned mmu, struct xlat *ret)
{
    const struct guest_mapping *map = access_mapping(vcpu, va, access, mmu);
    if (!map)
        return false;
    if (map->hidden >> mmu & 1)
        return fault(vcpu, GUEST_FAULT_TRANSLATION, access, va, 0);
    if (!(map->prot >> (mmu * 4) & (1u << access)))
        return fault(vcpu, GUEST_FAULT_PERMISSION, access, va, map->level);
    uint64_t pa = map->pa.v + (va & bits_mask(map->page_bits));
    const struct mem_range *range = mem_find(vcpu->accel->mem, (struct gpa){pa});
    if (!range)
        return fault(vcpu, GUEST_FAULT_EXTERNAL, access, va, map->level);
    *ret = (struct xlat){.range = range, .offset = pa - range->base, .map = map};
    bool ok = true;
    if (!range->ram || (range->rom && !rom_is_ram(vcpu, range->rom, access, va, &ok)))
        return ok;
    ret->offset += range->ram_offset;
    ret->host = range->ram->host + ret->offset;
    ret->write_ok = !(range->flags & MEM_READONLY) &&
                    !atomic_load(&range->ram->code_lines[ret->offset >> MEM_PAGE_BITS]);
    bool whole_page = (pa & page_mask) >= range->base && (pa | ~page_mask) - range->base < range->size;
    if (whole_page)
        fill_inline(vcpu, va, access, mmu, ret);
    return true;
}

static bool check_watch(struct vcpu *vcpu, uint64_t va, unsigned size, enum guest_access access, unsigned mmu)
{
    if (!vcpu->watch_any)
        return true;
    uint64_t at = vcpu->accel->isa->canonical(vcpu->env, va);
    for (unsigned o = 0; o < VCPU_WATCH_OWNERS; o++)
        for (unsigned i = 0; i < vcpu->watch_count[o]; i++) {
            const struct vcpu_watch *w = &vcpu->watch[o][i];
            if (at < w->va + w->len && w->va < at + size && (w->access >> access & 1) && (w->mmu_mask >> mmu & 1)) {
                vcpu->env->exit_arg = o;
                return fault(vcpu, GUEST_FAULT_WATCHPOINT, access, va, 0);
            }
        }
    return true;
}

static bool check_alignment(struct vcpu *vcpu, uint64_t va, uint32_t attr, enum guest_access access)
{
    unsigned align = (attr & IR_MEM_ALIGN) >> IR_MEM_ALIGN_SHIFT;
    if (va & bits_mask(align) & (align ? ~0ull : 0))
        return fault(vcpu, GUEST_FAULT_ALIGNMENT, access, va, 0);
    return true;
}

// Whether an access of size bytes at va to what x names is refused for being unaligned device memory.
static bool check_device(struct vcpu *vcpu, const struct xlat *x, uint64_t va, unsigned size,
                         enum guest_access access)
{
    if (x->map->device && (va & (size - 1)))
        return fault(vcpu, GUEST_FAULT_ALIGNMENT, access, va, 0);
    return true;
}

static bool mmio(struct vcpu *vcpu, const struct xlat *x, uint64_t va, unsigned size, bool write, uint8_t *bytes)
{
    struct mem_space *mem = vcpu->accel->mem;
    vcpu->stats.mmio++;
    for (unsigned done = 0; done < size;) {
        unsigned step = size - done > 8 ? 8 : size - done;
        while ((x->offset + done) & (step - 1))
            step /= 2;
        uint64_t value = 0;
        enum mem_result r;
        if (write) {
            memcpy(&value, bytes + done, step);
            r = mem_mmio_write(mem, x->range, x->offset + done, step, value, false);
        } else {
            r = mem_mmio_read(mem, x->range, x->offset + done, step, &value, false);
            memcpy(bytes + done, &value, step);
        }
        if (r != MEM_OK)
            return fault(vcpu, GUEST_FAULT_EXTERNAL, write ? GUEST_WRITE : GUEST_READ, va + done, x->map->level);
        done += step;
    }
    return true;
}

// Guest memory changes under us: other vCPUs and devices write it. An aligned access of a power of two is one host access,
// so that single-copy atomicity holds; 16 bytes are two of 8, and what is not aligned may tear.
void access_load_host(uint8_t *to, const uint8_t *host, unsigned size)
{
    switch ((uintptr_t)host & (size - 1) ? 0 : size) {
    case 1: *to = __atomic_load_n(host, __ATOMIC_RELAXED); break;
    case 2: {
        uint16_t v = __atomic_load_n((const uint16_t *)(const void *)host, __ATOMIC_RELAXED);
        memcpy(to, &v, 2);
        break;
    }
    case 4: {
        uint32_t v = __atomic_load_n((const uint32_t *)(const void *)host, __ATOMIC_RELAXED);
        memcpy(to, &v, 4);
        break;
    }
    case 8: {
        uint64_t v = __atomic_load_n((const uint64_t *)(const void *)host, __ATOMIC_RELAXED);
        memcpy(to, &v, 8);
        break;
    }
    case 16:
        access_load_host(to, host, 8);
        access_load_host(to + 8, host + 8, 8);
        break;
    default: memcpy(to, host, size); break;
    }
}

void access_store_host(uint8_t *host, const uint8_t *from, unsigned size)
{
    switch ((uintptr_t)host & (size - 1) ? 0 : size) {
    case 1: __atomic_store_n(host, *from, __ATOMIC_RELAXED); break;
    case 2: {
        uint16_t v;
        memcpy(&v, from, 2);
        __atomic_store_n((uint16_t *)(void *)host, v, __ATOMIC_RELAXED);
        break;
    }
    case 4: {
        uint32_t v;
        memcpy(&v, from, 4);
        __atomic_store_n((uint32_t *)(void *)host, v, __ATOMIC_RELAXED);
        break;
    }
    case 8: {
        uint64_t v;
        memcpy(&v, from, 8);
        __atomic_store_n((uint64_t *)(void *)host, v, __ATOMIC_RELAXED);
        break;
    }
    case 16:
        access_store_host(host, from, 8);
        access_store_host(host + 8, from + 8, 8);
        break;
    default: memcpy(host, from, size); break;
    }
}

// After len bytes at x were written past the inline table. Code is looked for only now: a page may have been translated
// since its lines were last looked at, and another vCPU must not translate the old bytes after it was.
static void wrote(struct vcpu *vcpu, const struct xlat *x, uint64_t len)
{
    access_mark_dirty(x->range->ram, x->offset >> MEM_PAGE_BITS);
    if (atomic_load_explicit(&x->range->ram->code_lines[x->offset >> MEM_PAGE_BITS], memory_order_relaxed))
        code_invalidate(vcpu->accel, vcpu, x->range->ram, x->offset, len);
}

static bool read_part(struct vcpu *vcpu, const struct xlat *x, uint64_t va, unsigned size, uint8_t *bytes)
{
    if (!x->host)
        return mmio(vcpu, x, va, size, false, bytes);
    access_load_host(bytes, x->host, size);
    return true;
}

// Also where there is code: the new bytes are compared with the old.
static void write_exactly(struct vcpu *vcpu, const struct xlat *x, const uint8_t *bytes, unsigned size)
{
    uint8_t old[16];
    monitor_enter(vcpu->accel, x->host, size);
    access_load_host(old, x->host, size);
    access_store_host(x->host, bytes, size);
    monitor_written(vcpu->accel, vcpu, x->host, size);
    monitor_leave(vcpu->accel, x->host, size);
    if (memcmp(old, bytes, size))
        wrote(vcpu, x, size);
}

static bool write_part(struct vcpu *vcpu, const struct xlat *x, uint64_t va, unsigned size, uint8_t *bytes)
{
    if (!x->host)
        return mmio(vcpu, x, va, size, true, bytes);
    if (x->range->flags & MEM_READONLY)
        return true;
    if (vcpu->accel->config.exact_exclusives) {
        write_exactly(vcpu, x, bytes, size);
    } else if (x->write_ok) {
        access_store_host(x->host, bytes, size);
        wrote(vcpu, x, size);
    } else {
        code_store(vcpu->accel, vcpu, x->range->ram, x->offset, bytes, size);
    }
    return true;
}

// Any access of 1..16 bytes that may cross a page: both parts are translated before either is done.
static bool access_bytes(struct vcpu *vcpu, uint64_t va, unsigned size, unsigned mmu, bool write, uint8_t *bytes)
{
    enum guest_access access = write ? GUEST_WRITE : GUEST_READ;
    bool (*part)(struct vcpu *, const struct xlat *, uint64_t, unsigned, uint8_t *) = write ? write_part : read_part;
    struct xlat x, y;
    unsigned first = IR_PAGE_SIZE - (va & (IR_PAGE_SIZE - 1));
    if (!check_watch(vcpu, va, size, access, mmu) || !access_translate(vcpu, va, access, mmu, &x) ||
        !check_device(vcpu, &x, va, size, access))
        return false;
    if (first >= size)
        return part(vcpu, &x, va, size, bytes);
    struct guest_mapping first_map = *x.map;
    x.map = &first_map;
    return access_translate(vcpu, va + first, access, mmu, &y) && check_device(vcpu, &y, va, size, access) &&
           part(vcpu, &x, va, first, bytes) && part(vcpu, &y, va + first, size - first, bytes + first);
}

// A load-exclusive under exact exclusives. It is aligned, so it is in one page.
static bool load_marked(struct vcpu *vcpu, uint64_t va, unsigned size, unsigned mmu, uint8_t *bytes)
{
    struct xlat x;
    if (!check_watch(vcpu, va, size, GUEST_READ, mmu) || !access_translate(vcpu, va, GUEST_READ, mmu, &x) ||
        !check_device(vcpu, &x, va, size, GUEST_READ))
        return false;
    if (!x.host) // a store-exclusive there faults
        return mmio(vcpu, &x, va, size, false, bytes);
    monitor_enter(vcpu->accel, x.host, size);
    access_load_host(bytes, x.host, size);
    monitor_mark(vcpu, x.host);
    monitor_leave(vcpu->accel, x.host, size);
    return true;
}

static void reverse(uint8_t *bytes, unsigned size)
{
    for (unsigned i = 0; i < size / 2; i++) {
        uint8_t t = bytes[i];
        bytes[i] = bytes[size - 1 - i];
        bytes[size - 1 - i] = t;
    }
}

static void finish_load(union ir_value *value, uint32_t attr)
{
    unsigned size = ir_mem_bytes(attr);
    if (attr & IR_MEM_BE)
        reverse(value->v.b, size);
    if (size < 8)
        value->i = attr & IR_MEM_SIGNED ? (uint64_t)bits_sext(value->i, size * 8) : value->i & bits_mask(size * 8);
}

static const uint8_t *inline_hit(const struct ir_env *env, uint64_t va, uint32_t attr, bool write)
{
    const struct ir_tlb_table *t = &env->mmu[ir_mem_mmu(attr)];
    const struct ir_tlb_entry *e = (const void *)((const char *)t->entries + ((va >> (IR_PAGE_BITS - 5)) & t->mask));
    unsigned align = (attr & IR_MEM_ALIGN) >> IR_MEM_ALIGN_SHIFT;
    uint64_t last = va + ir_mem_bytes(attr) - 1;
    if ((va & ((1u << align) - 1)) || (last & page_mask) != (va & page_mask) ||
        (write ? e->write : e->read) != (va & page_mask))
        return NULL;
    return (const uint8_t *)(uintptr_t)(va + e->addend);
}

int vcpu_load(struct ir_env *env, uint64_t va, uint32_t attr, union ir_value *ret_value)
{
    unsigned size = ir_mem_bytes(attr);
    ret_value->v = (union v128){0};
    bool marks = attr & IR_MEM_EXCLUSIVE && vcpu_of(env)->accel->config.exact_exclusives;
    const uint8_t *host = marks ? NULL : inline_hit(env, va, attr, false);
    if (host) {
        access_load_host(ret_value->v.b, host, size);
    } else {
        struct vcpu *vcpu = vcpu_of(env);
        vcpu->stats.slow_loads++;
        if (!check_alignment(vcpu, va, attr, GUEST_READ) ||
            !(marks ? load_marked(vcpu, va, size, ir_mem_mmu(attr), ret_value->v.b)
                    : access_bytes(vcpu, va, size, ir_mem_mmu(attr), false, ret_value->v.b)))
            return IR_EXIT_FAULT;
    }
    finish_load(ret_value, attr);
    if (attr & IR_MEM_ACQUIRE)
        atomic_thread_fence(memory_order_acquire);
    return IR_EXIT_NONE;
}

int vcpu_store(struct ir_env *env, uint64_t va, uint32_t attr, const union ir_value *value)
{
    unsigned size = ir_mem_bytes(attr);
    union v128 bytes = value->v;
    if (attr & IR_MEM_BE)
        reverse(bytes.b, size);
    if (attr & IR_MEM_RELEASE)
        atomic_thread_fence(memory_order_release);
    uint8_t *host = (uint8_t *)(uintptr_t)inline_hit(env, va, attr, true);
    if (host) {
        access_store_host(host, bytes.b, size);
    } else {
        struct vcpu *vcpu = vcpu_of(env);
        vcpu->stats.slow_stores++;
        if (!check_alignment(vcpu, va, attr, GUEST_WRITE) ||
            !access_bytes(vcpu, va, size, ir_mem_mmu(attr), true, bytes.b))
            return IR_EXIT_FAULT;
    }
    if (attr & IR_MEM_RELEASE)
        atomic_thread_fence(memory_order_seq_cst);
    return IR_EXIT_NONE;
}

// ---- atomics -------------------------------------------------------------------------------------------------------

// Where an atomic may be done, which the caller reports with wrote(). A store-exclusive only writes; of the others a watch
// of reads is met first.
static bool atomic_translate(struct vcpu *vcpu, uint64_t va, uint32_t attr, struct xlat *ret)
{
    unsigned size = ir_mem_bytes(attr), mmu = ir_mem_mmu(attr);
    if (va & (size - 1))
        return fault(vcpu, GUEST_FAULT_ALIGNMENT, GUEST_WRITE, va, 0);
    if (!(attr & IR_MEM_EXCLUSIVE) && !check_watch(vcpu, va, size, GUEST_READ, mmu))
        return false;
    if (!check_watch(vcpu, va, size, GUEST_WRITE, mmu) || !access_translate(vcpu, va, GUEST_WRITE, mmu, ret))
        return false;
    if (!ret->host || (ret->range->flags & MEM_READONLY))
        return fault(vcpu, GUEST_FAULT_UNSUPPORTED_EXCLUSIVE, GUEST_WRITE, va, ret->map->level);
    return true;
}

static bool cas_host(uint8_t *host, unsigned size, union v128 *expected, const union v128 *desired)
{
    switch (size) {
    case 1: return __atomic_compare_exchange_n(host, expected->b, desired->b[0], 0, 5, 5);
    case 2: return __atomic_compare_exchange_n((uint16_t *)(void *)host, expected->h, desired->h[0], 0, 5, 5);
    case 4: return __atomic_compare_exchange_n((uint32_t *)(void *)host, expected->s, desired->s[0], 0, 5, 5);
    case 8: return __atomic_compare_exchange_n((uint64_t *)(void *)host, expected->d, desired->d[0], 0, 5, 5);
    default: {
        __int128 e, d;
        memcpy(&e, expected, 16);
        memcpy(&d, desired, 16);
        __int128 old = __sync_val_compare_and_swap((__int128 *)(void *)host, e, d);
        memcpy(expected, &old, 16);
        return old == e;
    }
    }
}

static int jit_cas(struct ir_env *env, uint64_t va, uint32_t attr, const union ir_value *expected,
                   const union ir_value *desired, union ir_value *ret_old)
{
    unsigned size = ir_mem_bytes(attr);
    struct xlat x;
    if (!atomic_translate(vcpu_of(env), va, attr, &x))
        return IR_EXIT_FAULT;
    union v128 e = expected->v, d = desired->v;
    if (attr & IR_MEM_BE) {
        reverse(e.b, size);
        reverse(d.b, size);
    }
    struct vcpu *vcpu = vcpu_of(env);
    monitor_enter(vcpu->accel, x.host, size);
    if (attr & IR_MEM_EXCLUSIVE && vcpu->accel->config.exact_exclusives && !monitor_use(vcpu, x.host)) {
        monitor_leave(vcpu->accel, x.host, size);
        e.b[0] ^= 1; // anything but what was expected
    } else {
        bool swapped = cas_host(x.host, size, &e, &d);
        if (swapped)
            monitor_written(vcpu->accel, vcpu, x.host, size);
        monitor_leave(vcpu->accel, x.host, size);
        if (swapped && memcmp(&e, &d, size))
            wrote(vcpu, &x, size);
    }
    union ir_value old = {.i = 0};
    memcpy(&old, &e, size);
    finish_load(&old, attr);
    *ret_old = old;
    return IR_EXIT_NONE;
}

static uint64_t rmw_result(enum ir_rmw kind, uint64_t old, uint64_t operand, unsigned size)
{
    int64_t so = bits_sext(old, size * 8), sx = bits_sext(operand, size * 8);
    uint64_t uo = old & bits_mask(size * 8), ux = operand & bits_mask(size * 8);
    switch (kind) {
    case IR_RMW_ADD: return old + operand;
    case IR_RMW_AND: return old & operand;
    case IR_RMW_OR: return old | operand;
    case IR_RMW_XOR: return old ^ operand;
    case IR_RMW_SMAX: return so > sx ? old : operand;
    case IR_RMW_SMIN: return so < sx ? old : operand;
    case IR_RMW_UMAX: return uo > ux ? old : operand;
    case IR_RMW_UMIN: return uo < ux ? old : operand;
    default: return operand;
    }
}

static int jit_rmw(struct ir_env *env, uint64_t va, uint32_t attr, enum ir_rmw kind, const union ir_value *operand,
                   union ir_value *ret_old)
{
    unsigned size = ir_mem_bytes(attr);
    struct xlat x;
    if (!atomic_translate(vcpu_of(env), va, attr, &x))
        return IR_EXIT_FAULT;
    struct vcpu *vcpu = vcpu_of(env);
    union v128 old = {0}, next;
    monitor_enter(vcpu->accel, x.host, size);
    access_load_host(old.b, x.host, size);
    union ir_value seen;
    do {
        seen = (union ir_value){.v = old};
        finish_load(&seen, attr & ~(uint32_t)IR_MEM_SIGNED);
        next = (union v128){.d = {rmw_result(kind, seen.i, operand->i, size), 0}};
        if (size == 16) // only exchange exists at this size
            next = operand->v;
        if (attr & IR_MEM_BE)
            reverse(next.b, size);
    } while (!cas_host(x.host, size, &old, &next));
    monitor_written(vcpu->accel, vcpu, x.host, size);
    monitor_leave(vcpu->accel, x.host, size);
    if (memcmp(&old, &next, size))
        wrote(vcpu, &x, size);
    finish_load(&seen, attr);
    *ret_old = seen;
    return IR_EXIT_NONE;
}

const struct ir_runtime jit_runtime = {.load = vcpu_load, .store = vcpu_store, .cas = jit_cas, .rmw = jit_rmw};

static void zero_host(uint8_t *host, uint64_t len)
{
    static const uint8_t zeroes[8];
    for (uint64_t done = 0; done < len; done += 8)
        access_store_host(host + done, zeroes, 8);
}

int vcpu_zero(struct ir_env *env, uint64_t va, uint64_t len, unsigned mmu, bool *ret_done)
{
    struct vcpu *vcpu = vcpu_of(env);
    struct xlat x;
    uint8_t *host = (uint8_t *)(uintptr_t)inline_hit(env, va, mmu << IR_MEM_MMU_SHIFT, true);
    *ret_done = true;
    if (host) {
        zero_host(host, len);
        return IR_EXIT_NONE;
    }
    if (!check_watch(vcpu, va, (unsigned)len, GUEST_WRITE, mmu) || !access_translate(vcpu, va, GUEST_WRITE, mmu, &x))
        return IR_EXIT_FAULT;
    if (!x.host || (x.range->flags & MEM_READONLY)) {
        *ret_done = false;
        return IR_EXIT_NONE;
    }
    monitor_enter(vcpu->accel, x.host, (unsigned)len);
    zero_host(x.host, len);
    monitor_written(vcpu->accel, vcpu, x.host, len);
    monitor_leave(vcpu->accel, x.host, (unsigned)len);
    wrote(vcpu, &x, len);
    return IR_EXIT_NONE;
}

int vcpu_set_fault(struct ir_env *env, const struct guest_fault *f)
{
    vcpu_of(env)->fault = *f;
    return IR_EXIT_FAULT;
}

enum mem_result vcpu_phys_read(struct ir_env *env, struct gpa addr, unsigned size, uint64_t *ret_value)
{
    struct vcpu *vcpu = vcpu_of(env);
    const struct mem_range *range = mem_find(vcpu->accel->mem, addr);
    if (!range)
        return MEM_NOTHING_THERE;
    if (!range->ram)
        return MEM_REFUSED;
    const uint8_t *host = range->ram->host + range->ram_offset + (addr.v - range->base);
    *ret_value = 0;
    if (size == 8)
        *ret_value = __atomic_load_n((const uint64_t *)(const void *)host, __ATOMIC_ACQUIRE);
    else
        memcpy(ret_value, host, size);
    return MEM_OK;
}

bool vcpu_walk_find(struct ir_env *env, uint64_t root, uint64_t va, struct guest_walk_step *ret_step)
{
    struct vcpu *vcpu = vcpu_of(env);
    return !vcpu->context_pending && tlb_walk_find(vcpu->tlb, &vcpu->context->id, root, va, ret_step);
}

void vcpu_walk_keep(struct ir_env *env, const struct guest_walk_step *step)
{
    struct vcpu *vcpu = vcpu_of(env);
    if (!vcpu->context_pending && !accel_without(vcpu->accel, ACCEL_WALK_CACHE))
        tlb_walk_keep(vcpu->tlb, &vcpu->context->id, step);
}
