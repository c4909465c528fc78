// SPDX-License-Identifier: MIT
// Owns the SYS operations: TLB maintenance, address translation, cache maintenance by address and zeroing.
// Arm ARM (DDI 0487) C5.3 (cache), C5.4 (AT), C5.5 (TLBI). Caches are coherent here: maintenance by set and
// way or of the whole instruction cache has nothing to do; by address it only takes the faults it must.
#include "accel/guest_api.h"
#include "frontends/a64/exception.h"
#include "frontends/a64/mmu.h"
#include "frontends/a64/sysreg.h"

#include <string.h>

#define WRITE(name) int a64_write_##name(struct a64_cpu *cpu, enum a64_sr sr, uint64_t value)

// Rows keep the order of op2: ALL, VA, ASID, VA all ASIDs, VA last level, VA all ASIDs last level.
WRITE(tlbi)
{
    bool broadcast = sr < A64_SR_TLBI_VMALLE1;
    unsigned form = sr - (broadcast ? A64_SR_TLBI_VMALLE1IS : A64_SR_TLBI_VMALLE1);
    static const uint8_t kinds[6] = {GUEST_TLBI_ALL, GUEST_TLBI_VA, GUEST_TLBI_ASID, GUEST_TLBI_VA_ALL_ASID,
                                     GUEST_TLBI_VA, GUEST_TLBI_VA_ALL_ASID};
    struct guest_tlbi tlbi = {
        .kind = kinds[form],
        .broadcast = broadcast,
        .last_level = form >= 4,
        .asid = bits_get(value, 48, a64_asid_bits(cpu)),
        .va = bits_sext(value << 12, 56),
    };

    vcpu_tlbi(&cpu->env, &tlbi);
    cpu->tlbi_pending |= broadcast;
    return IR_EXIT_NONE;
}

// ---- address translation ----------------------------------------------------------------------------------

WRITE(at)
{
    bool el0 = sr == A64_SR_AT_S1E0R || sr == A64_SR_AT_S1E0W;
    bool write = sr == A64_SR_AT_S1E1W || sr == A64_SR_AT_S1E0W;
    unsigned index = el0 ? A64_MMU_EL0 : A64_MMU_EL1;
    enum guest_access access = write ? GUEST_WRITE : GUEST_READ;
    struct guest_mapping map;
    struct guest_fault fault;
    uint64_t desc;

    a64_context_sync(cpu);
    bool ok = a64_walk(cpu, value, access, index, &map, &fault, &desc);
    if (ok && !(map.prot >> 4 * index & 1u << access)) {
        fault = (struct guest_fault){.kind = GUEST_FAULT_PERMISSION, .level = map.level};
        ok = false;
    }
    if (!ok && fault.kind == GUEST_FAULT_EXTERNAL) {
        // An external abort on the walk is a synchronous data abort of the AT instruction.
        fault.access = GUEST_READ;
        fault.cache_op = true;
        fault.va = value;
        return vcpu_set_fault(&cpu->env, &fault);
    }
    if (!ok) {
        cpu->sys[A64_SR_PAR_EL1] = 1ull << 11 | (uint64_t)a64_fault_status(&fault) << 1 | 1;
        return IR_EXIT_NONE;
    }
    // ATTR is MAIR's, SH the descriptor's; Device is Outer Shareable. With the MMU off: Device-nGnRnE.
    uint64_t va = a64_isa_canonical(&cpu->env, value);
    uint64_t pa = map.pa.v + (va & bits_mask(map.page_bits) & ~bits_mask(12));
    uint64_t attr = desc ? cpu->sys[A64_SR_MAIR_EL1] >> 8 * bits_get(desc, 2, 3) & 0xff : 0;
    uint64_t sh = map.device ? 2 : bits_get(desc, 8, 2);
    cpu->sys[A64_SR_PAR_EL1] = attr << 56 | (pa & bits_mask(48)) | 1ull << 11 | sh << 7;
    return IR_EXIT_NONE;
}

// ---- caches -----------------------------------------------------------------------------------------------

static unsigned data_index(const struct a64_cpu *cpu)
{
    return cpu->el == 0 ? A64_MMU_EL0 : A64_MMU_EL1;
}

// Cache maintenance translates its address and needs read permission (at EL0); a miss is reported as by a
// write.
static int touch(struct a64_cpu *cpu, uint64_t va, enum guest_access need)
{
    unsigned index = data_index(cpu);
    struct guest_mapping map;
    struct guest_fault fault;

    if (a64_isa_walk(&cpu->env, va, GUEST_READ, index, &map, &fault)) {
        if (map.prot >> 4 * index & 1u << need)
            return IR_EXIT_NONE;
        fault = (struct guest_fault){.kind = GUEST_FAULT_PERMISSION, .level = map.level};
    }
    fault.access = GUEST_WRITE;
    fault.cache_op = true;
    fault.va = va;
    return vcpu_set_fault(&cpu->env, &fault);
}

WRITE(dc_va)
{
    return touch(cpu, value, sr == A64_SR_DC_IVAC ? GUEST_WRITE : GUEST_READ);
}

WRITE(ic_ivau)
{
    return touch(cpu, value, GUEST_READ);
}

// A translation or permission fault of the block reports the address in the register (D17.2.40 FAR_EL1), not the
// block's.
static int zero_fault(struct a64_cpu *cpu, uint64_t value, unsigned index)
{
    struct guest_mapping map;
    struct guest_fault fault;

    if (a64_isa_walk(&cpu->env, value, GUEST_WRITE, index, &map, &fault)) {
        if (map.prot >> 4 * index & GUEST_W)
            return IR_EXIT_FAULT; // of another kind: as accel recorded it
        fault = (struct guest_fault){.kind = GUEST_FAULT_PERMISSION, .access = GUEST_WRITE, .level = map.level};
    }
    fault.va = value;
    return vcpu_set_fault(&cpu->env, &fault);
}

// Zeroes an aligned block of 4 << DCZID.BS bytes: at once where it is plain RAM, else by stores. Device memory
// gives an alignment fault.
WRITE(dc_zva)
{
    uint64_t size = 4ull << bits_get(cpu->model->dczid, 0, 4), va = value & ~(size - 1);
    unsigned index = data_index(cpu);
    const union ir_value zero = {0};
    bool done;

    int code = vcpu_zero(&cpu->env, va, size, index, &done);
    if (code == IR_EXIT_FAULT)
        return zero_fault(cpu, value, index);
    if (code || done)
        return code;
    struct guest_mapping map;
    struct guest_fault fault;
    if (a64_isa_walk(&cpu->env, va, GUEST_WRITE, index, &map, &fault) && map.device) {
        fault = (struct guest_fault){.kind = GUEST_FAULT_ALIGNMENT, .access = GUEST_WRITE, .va = value};
        return vcpu_set_fault(&cpu->env, &fault);
    }
    for (uint64_t at = 0; at < size && !code; at += 8)
        code = vcpu_store(&cpu->env, va + at, 3 | index << IR_MEM_MMU_SHIFT, &zero);
    return code;
}
