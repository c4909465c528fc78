// SPDX-License-Identifier: MIT
// Internal to backends/x64: what the files that lower integer vectors share.
#ifndef BACKENDS_X64_VEC_H
#define BACKENDS_X64_VEC_H

#include "backends/x64/compile.h"

// The one host instruction for an op, or 0.
uint32_t x64_vec_op(uint16_t op, unsigned sub, uint32_t attr);
void x64_vec_done(struct x64_compile *c, const struct ir_insn *insn, unsigned dst); // IR_V_LO64, and defined
void x64_splat32(struct x64_compile *c, unsigned x, uint32_t word); // clobbers rax
bool x64_lower_vshift(struct x64_compile *c, const struct ir_insn *insn); // lower_vec_shift.c
bool x64_lower_vshlv(struct x64_compile *c, const struct ir_insn *insn);
bool x64_lower_crypto(struct x64_compile *c, const struct ir_insn *insn); // lower_crypto.c
bool x64_lower_lanes(struct x64_compile *c, const struct ir_insn *insn);

#endif
