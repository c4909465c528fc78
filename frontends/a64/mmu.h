// SPDX-License-Identifier: MIT
// Stage 1 translation of the EL1&0 regime. Arm ARM (DDI 0487) D5. Thread: the vCPU's own.
#ifndef A64_MMU_H
#define A64_MMU_H

#include "accel/guest_isa.h"

struct a64_cpu;

enum { A64_MMU_EL0, A64_MMU_EL1, A64_MMU_EL1_PAN, A64_MMU_COUNT };

bool a64_isa_walk(struct ir_env *env, uint64_t va, enum guest_access access, unsigned mmu_index,
                  struct guest_mapping *ret_mapping, struct guest_fault *ret_fault);
// Likewise, with the last descriptor (0 with the MMU off) for what a mapping does not say.
bool a64_walk(struct a64_cpu *cpu, uint64_t va, enum guest_access access, unsigned mmu_index,
              struct guest_mapping *ret_mapping, struct guest_fault *ret_fault, uint64_t *ret_descriptor);
unsigned a64_isa_fetch_mmu(uint32_t key);
uint64_t a64_isa_canonical(const struct ir_env *env, uint64_t va);
void a64_isa_context(const struct ir_env *env, struct guest_context *ret_context);
// Width of an ASID: 8 or 16 bits, by TCR.AS.
unsigned a64_asid_bits(const struct a64_cpu *cpu);

#endif
