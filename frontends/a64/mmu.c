// SPDX-License-Identifier: MIT
// Owns the table walk: granules of 4, 16 and 64 KiB, hierarchical attributes, faults with their levels, and
// what names a translation context. Permissions are handed over for all MMU indices at once; checking them is
// accel's. Arm ARM (DDI 0487) D5.2 (VMSAv8-64), D5.4 (permissions), D5.5 (memory region attributes).
#include "frontends/a64/mmu.h"

#include "accel/guest_api.h"
#include "frontends/a64/key.h"
#include "frontends/a64/regs.h"
#include "frontends/a64/state.h"

enum { GRANULE_4K = 12, GRANULE_16K = 14, GRANULE_64K = 16 };

#define DESC_VALID (1ull << 0)
#define DESC_TABLE (1ull << 1) // at level 3: a page
#define DESC_AF (1ull << 10)
#define DESC_NG (1ull << 11)
#define DESC_PXN (1ull << 53)
#define DESC_UXN (1ull << 54)
#define TABLE_PXN (1ull << 59)
#define TABLE_UXN (1ull << 60)
#define TABLE_AP_NO_EL0 (1ull << 61)
#define TABLE_AP_RO (1ull << 62)
#define DESC_AP_EL0 (1ull << 6)
#define DESC_AP_RO (1ull << 7)

unsigned a64_asid_bits(const struct a64_cpu *cpu)
{
    return cpu->sys[A64_SR_TCR_EL1] & TCR_AS ? 16 : 8;
}

static bool tbi(uint64_t tcr, uint64_t va)
{
    return tcr & (bit_get(va, 55) ? TCR_TBI1 : TCR_TBI0);
}

uint64_t a64_isa_canonical(const struct ir_env *env, uint64_t va)
{
    return tbi(a64_cpu_const(env)->sys[A64_SR_TCR_EL1], va) ? (uint64_t)bits_sext(va, 56) : va;
}

unsigned a64_isa_fetch_mmu(uint32_t key)
{
    return a64_key_el(key) == 0 ? A64_MMU_EL0 : A64_MMU_EL1;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

void a64_isa_context(const struct ir_env *env, struct guest_context *ret)
{
    const struct a64_cpu *cpu = a64_cpu_const(env);
    uint64_t tcr = cpu->sys[A64_SR_TCR_EL1], sctlr = cpu->sys[A64_SR_SCTLR_EL1];
    uint64_t ttbr0 = cpu->sys[A64_SR_TTBR0_EL1], ttbr1 = cpu->sys[A64_SR_TTBR1_EL1];

    *ret = (struct guest_context){0};
    // Without the MMU only the tags of addresses matter.
    ret->digest = mix(1, sctlr & SCTLR_M ? tcr : tcr & (TCR_TBI0 | TCR_TBI1));
    ret->flat = !(sctlr & SCTLR_M);
    if (ret->flat)
        return;
    ret->digest = mix(mix(ret->digest, sctlr & (SCTLR_M | SCTLR_WXN | SCTLR_EE)), cpu->sys[A64_SR_MAIR_EL1]);
    ret->root[0] = ttbr0 & bits_mask(48);
    ret->root[1] = ttbr1 & bits_mask(48);
    ret->asid = bits_get(tcr & TCR_A1 ? ttbr1 : ttbr0, 48, a64_asid_bits(cpu));
}

// ---- the walk ---------------------------------------------------------------------------------------------

struct walk {
    struct a64_cpu *cpu;
    struct guest_fault *fault;
    uint64_t va;
    uint8_t hidden;      // MMU indices from which TCR.E0PDn hides this half
    unsigned granule;    // log2 bytes
    unsigned input_bits; // 64 - TnSZ
    unsigned output_bits;
    int level;
    uint64_t table;      // address of the current table
    uint64_t inherited;  // OR of the TABLE_* bits
};

static bool fail(struct walk *w, enum guest_fault_kind kind, int level)
{
    w->fault->kind = kind;
    w->fault->level = level;
    return false;
}

static uint8_t hidden_from(const struct a64_cpu *cpu, uint64_t va)
{
    return cpu->sys[A64_SR_TCR_EL1] & (bit_get(va, 55) ? TCR_E0PD1 : TCR_E0PD0) ? 1u << A64_MMU_EL0 : 0;
}

static unsigned granule_of(const struct a64_cpu *cpu, uint64_t tcr, bool upper)
{
    // TG0: 0 4K, 1 64K, 2 16K. TG1: 1 16K, 2 4K, 3 64K. Reserved and unsupported values behave as 4K.
    static const uint8_t tg0[4] = {GRANULE_4K, GRANULE_64K, GRANULE_16K, GRANULE_4K};
    static const uint8_t tg1[4] = {GRANULE_4K, GRANULE_16K, GRANULE_4K, GRANULE_64K};
    unsigned granule = upper ? tg1[bits_get(tcr, 30, 2)] : tg0[bits_get(tcr, 14, 2)];

    return granule == GRANULE_16K && !cpu->model->granule_16k ? GRANULE_4K : granule;
}

static unsigned physical_bits(const struct a64_cpu *cpu, uint64_t tcr)
{
    static const uint8_t bits[8] = {32, 36, 40, 42, 44, 48, 48, 48};
    unsigned ips = bits[bits_get(tcr, 32, 3)];

    return ips < cpu->model->pa_bits ? ips : cpu->model->pa_bits;
}

// Finds the first table. Address bits above the range, or a disabled half, are translation faults at level 0.
static bool begin(struct walk *w)
{
    struct a64_cpu *cpu = w->cpu;
    uint64_t tcr = cpu->sys[A64_SR_TCR_EL1];
    bool upper = bit_get(w->va, 55);
    unsigned tsz = bits_get(tcr, upper ? 16 : 0, 6);
    uint64_t ttbr = cpu->sys[upper ? A64_SR_TTBR1_EL1 : A64_SR_TTBR0_EL1];

    w->granule = granule_of(cpu, tcr, upper);
    w->output_bits = physical_bits(cpu, tcr);
    w->input_bits = 64 - (tsz < 16 ? 16 : tsz > 39 ? 39 : tsz);
    uint64_t canonical = tbi(tcr, w->va) ? (uint64_t)bits_sext(w->va, 56) : w->va;
    if (canonical >> w->input_bits != (upper ? bits_mask(64 - w->input_bits) : 0))
        return fail(w, GUEST_FAULT_TRANSLATION, 0);
    if (tcr & (upper ? TCR_EPD1 : TCR_EPD0))
        return fail(w, GUEST_FAULT_TRANSLATION, 0);
    unsigned stride = w->granule - 3;
    unsigned levels = (w->input_bits - w->granule + stride - 1) / stride;
    w->level = 4 - (int)levels;
    unsigned low = 3 + w->input_bits - ((levels - 1) * stride + w->granule); // log2 size of the first table
    uint64_t base = ttbr & bits_mask(48);
    if (base >> w->output_bits)
        return fail(w, GUEST_FAULT_ADDRESS_SIZE, 0);
    w->table = base & ~bits_mask(low < 4 ? 4 : low);
    w->inherited = 0;
    return true;
}

static bool read_descriptor(struct walk *w, uint64_t *ret)
{
    unsigned stride = w->granule - 3;
    unsigned shift = w->granule + (3 - w->level) * stride;
    unsigned top = shift + stride < w->input_bits ? shift + stride : w->input_bits;
    uint64_t index = bits_get(w->va, shift, top - shift);

    if (vcpu_phys_read(&w->cpu->env, (struct gpa){w->table + index * 8}, 8, ret) != MEM_OK) {
        w->fault->on_walk = true;
        return fail(w, GUEST_FAULT_EXTERNAL, w->level);
    }
    if (w->cpu->sys[A64_SR_SCTLR_EL1] & SCTLR_EE)
        *ret = __builtin_bswap64(*ret);
    return true;
}

static bool is_leaf(const struct walk *w, uint64_t desc, bool *ret_valid)
{
    bool block_allowed = w->level == 2 || (w->level == 1 && w->granule == GRANULE_4K);

    *ret_valid = desc & DESC_VALID && (desc & DESC_TABLE || (w->level < 3 && block_allowed));
    return w->level == 3 || !(desc & DESC_TABLE);
}

static uint32_t protection(const struct walk *w, uint64_t desc)
{
    bool user = desc & DESC_AP_EL0 && !(w->inherited & TABLE_AP_NO_EL0);
    bool write = !(desc & DESC_AP_RO) && !(w->inherited & TABLE_AP_RO);
    bool wxn = w->cpu->sys[A64_SR_SCTLR_EL1] & SCTLR_WXN;
    bool uxn = desc & DESC_UXN || w->inherited & TABLE_UXN || (wxn && user && write);
    bool pxn = desc & DESC_PXN || w->inherited & TABLE_PXN || (wxn && write) || (user && write);
    uint32_t el0 = (user ? GUEST_R | (write ? GUEST_W : 0) : 0) | (uxn ? 0 : GUEST_X);
    uint32_t el1 = GUEST_R | (write ? GUEST_W : 0) | (pxn ? 0 : GUEST_X);
    uint32_t pan = user ? el1 & GUEST_X : el1;

    return el0 << 4 * A64_MMU_EL0 | el1 << 4 * A64_MMU_EL1 | pan << 4 * A64_MMU_EL1_PAN;
}

static bool finish(struct walk *w, uint64_t desc, struct guest_mapping *ret)
{
    unsigned bits = w->granule + (3 - w->level) * (w->granule - 3);
    uint64_t out = desc & bits_mask(48) & ~bits_mask(bits);
    uint64_t mair = w->cpu->sys[A64_SR_MAIR_EL1] >> 8 * bits_get(desc, 2, 3) & 0xff;
    struct guest_context context;

    if (out >> w->output_bits)
        return fail(w, GUEST_FAULT_ADDRESS_SIZE, w->level);
    if (!(desc & DESC_AF))
        return fail(w, GUEST_FAULT_ACCESS_FLAG, w->level);
    a64_isa_context(&w->cpu->env, &context);
    *ret = (struct guest_mapping){
        .va = a64_isa_canonical(&w->cpu->env, w->va) & ~bits_mask(bits),
        .pa = {out},
        .page_bits = bits,
        .level = w->level,
        .global = !(desc & DESC_NG),
        .device = !(mair & 0xf0),
        .asid = context.asid,
        .prot = protection(w, desc),
        .hidden = w->hidden,
    };
    return true;
}

// Stage 1 off: a flat map, Device for data; addresses beyond the physical size fault.
static bool flat(struct walk *w, struct guest_mapping *ret)
{
    uint64_t va = a64_isa_canonical(&w->cpu->env, w->va);

    if (va >> w->cpu->model->pa_bits)
        return fail(w, GUEST_FAULT_ADDRESS_SIZE, 0);
    *ret = (struct guest_mapping){
        .va = va & ~bits_mask(IR_PAGE_BITS),
        .pa = {va & ~bits_mask(IR_PAGE_BITS)},
        .page_bits = IR_PAGE_BITS,
        .global = true,
        .device = true,
        .prot = 0x777,
    };
    return true;
}

bool a64_walk(struct a64_cpu *cpu, uint64_t va, enum guest_access access, unsigned mmu_index,
              struct guest_mapping *ret_mapping, struct guest_fault *ret_fault, uint64_t *ret_descriptor)
{
    struct walk w = {.cpu = cpu, .fault = ret_fault, .va = va, .hidden = hidden_from(cpu, va)};

    *ret_fault = (struct guest_fault){.access = access, .va = va};
    *ret_descriptor = 0;
    if (!(cpu->sys[A64_SR_SCTLR_EL1] & SCTLR_M))
        return flat(&w, ret_mapping);
    if (w.hidden >> mmu_index & 1)
        return fail(&w, GUEST_FAULT_TRANSLATION, 0);
    if (!begin(&w))
        return false;
    const uint64_t root = w.table;
    struct guest_walk_step step;
    if (vcpu_walk_find(&cpu->env, root, va, &step)) {
        w.table = step.table;
        w.inherited = step.attrs;
        w.level = 3;
    }
    for (;;) {
        uint64_t desc;
        bool valid;
        if (!read_descriptor(&w, &desc))
            return false;
        *ret_descriptor = desc;
        bool leaf = is_leaf(&w, desc, &valid);
        if (!valid)
            return fail(&w, GUEST_FAULT_TRANSLATION, w.level);
        if (leaf)
            return finish(&w, desc, ret_mapping);
        w.inherited |= desc & (TABLE_PXN | TABLE_UXN | TABLE_AP_NO_EL0 | TABLE_AP_RO);
        w.table = desc & bits_mask(48) & ~bits_mask(w.granule);
        if (w.table >> w.output_bits)
            return fail(&w, GUEST_FAULT_ADDRESS_SIZE, w.level);
        if (++w.level == 3)
            vcpu_walk_keep(&cpu->env, &(struct guest_walk_step){.root = root, .va = va, .table = w.table,
                           .attrs = w.inherited, .va_bits = 2 * w.granule - 3});
    }
}

bool a64_isa_walk(struct ir_env *env, uint64_t va, enum guest_access access, unsigned mmu_index,
                  struct guest_mapping *ret_mapping, struct guest_fault *ret_fault)
{
    uint64_t descriptor;

    return a64_walk(a64_cpu_of(env), va, access, mmu_index, ret_mapping, ret_fault, &descriptor);
}
