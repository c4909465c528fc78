// SPDX-License-Identifier: MIT
// accel/guest_api.h for streams that touch registers only: no call may happen but those of exception entry.
#include "accel/guest_api.h"

#include <stdlib.h>

int vcpu_load(struct ir_env *env, uint64_t va, uint32_t memop, union ir_value *ret_value) { abort(); }
int vcpu_store(struct ir_env *env, uint64_t va, uint32_t memop, const union ir_value *value) { abort(); }
int vcpu_zero(struct ir_env *env, uint64_t va, uint64_t len, unsigned mmu_index, bool *ret_done)
{
    abort();
}
int vcpu_set_fault(struct ir_env *env, const struct guest_fault *fault) { abort(); }
enum mem_result vcpu_phys_read(struct ir_env *env, struct gpa addr, unsigned size, uint64_t *ret_value)
{
    abort();
}
void vcpu_context_pending(struct ir_env *env)
{
}

void vcpu_context_changed(struct ir_env *env) {}
void vcpu_tlbi(struct ir_env *env, const struct guest_tlbi *tlbi) { abort(); }
void vcpu_tlb_sync(struct ir_env *env) { abort(); }
void vcpu_send_event(struct ir_env *env) { abort(); }
bool vcpu_test_event(struct ir_env *env) { abort(); }
void vcpu_check_interrupts(struct ir_env *env) {}
void vcpu_set_watch(struct ir_env *env, enum vcpu_watch_owner owner, const struct vcpu_watch *watch,
                    unsigned count)
{
    abort();
}
const struct vcpu_ports *vcpu_ports(const struct ir_env *env) { return NULL; }
const struct vcpu_hypercall *vcpu_hypercall(const struct ir_env *env) { return NULL; }
const struct log *vcpu_log(const struct ir_env *env) { return NULL; }
