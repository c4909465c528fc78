// SPDX-License-Identifier: MIT
// What accel offers to a frontend's helpers. Every call runs on the vCPU's own thread, from a helper or from one of
// the guest_isa functions, and takes the struct ir_env at the head of the vCPU's state.
#ifndef ACCEL_GUEST_API_H
#define ACCEL_GUEST_API_H

#include "accel/guest_isa.h"
#include "mem/mem.h"

// Memory of the guest as an instruction would access it: MMU, alignment, watchpoints, MMIO. IR_EXIT_NONE or an exit
// code to return from the helper at once, with the fault recorded.
int vcpu_load(struct ir_env *env, uint64_t va, uint32_t memop, union ir_value *ret_value);
int vcpu_store(struct ir_env *env, uint64_t va, uint32_t memop, const union ir_value *value);
// Zeroes len bytes that do not cross a 4 KiB page, as one write. *ret_done is false, and nothing has happened, where the
// page is not plain RAM: the caller stores instead.
int vcpu_zero(struct ir_env *env, uint64_t va, uint64_t len, unsigned mmu_index, bool *ret_done);

// Records a fault found by a helper itself; returns IR_EXIT_FAULT to be returned in turn.
int vcpu_set_fault(struct ir_env *env, const struct guest_fault *fault);

// Guest-physical access by the table walker: size 4 or 8, naturally aligned, host order.
enum mem_result vcpu_phys_read(struct ir_env *env, struct gpa addr, unsigned size, uint64_t *ret_value);

// Cache of walks short of their last step, exact: a step is found only in the context it was kept in, and not after any
// invalidation except one by address that says last_level. Nothing is kept while a context is pending or flat.
bool vcpu_walk_find(struct ir_env *env, uint64_t root, uint64_t va, struct guest_walk_step *ret_step);
void vcpu_walk_keep(struct ir_env *env, const struct guest_walk_step *step);

// A control register that takes part in guest_isa.context was written: until the switch, cached translations may be
// used still, but what is found by new walks is not kept.
void vcpu_context_pending(struct ir_env *env);
// The switch itself, at the context synchronisation event (ISB, exception entry and return).
void vcpu_context_changed(struct ir_env *env);
// Drops translations. A broadcast is only waited for at vcpu_tlb_sync (DSB).
void vcpu_tlbi(struct ir_env *env, const struct guest_tlbi *tlbi);
void vcpu_tlb_sync(struct ir_env *env);
void vcpu_send_event(struct ir_env *env);       // SEV: wakes every vCPU waiting for an event and sets its event flag
bool vcpu_test_event(struct ir_env *env);       // reads and clears this vCPU's event flag
// Something that take_interrupt looks at has changed (masks): look again before the next unit.
void vcpu_check_interrupts(struct ir_env *env);

// Ranges that no access may touch unnoticed. Replaces the previous set of this owner; count 0 removes it.
enum vcpu_watch_owner { VCPU_WATCH_GUEST, VCPU_WATCH_DEBUGGER, VCPU_WATCH_OWNERS };
struct vcpu_watch {
    uint64_t va, len; // canonical
    uint8_t access;   // GUEST_R | GUEST_W
    uint8_t mmu_mask; // bit n: accesses of MMU index n
};
void vcpu_set_watch(struct ir_env *env, enum vcpu_watch_owner owner, const struct vcpu_watch *watch, unsigned count);

const struct vcpu_ports *vcpu_ports(const struct ir_env *env);
const struct vcpu_hypercall *vcpu_hypercall(const struct ir_env *env);
const struct log *vcpu_log(const struct ir_env *env);

#endif
