// SPDX-License-Identifier: MIT
// Internal to backends/x64: what the files that lower floating point share.
#ifndef BACKENDS_X64_FP_SHAPE_H
#define BACKENDS_X64_FP_SHAPE_H

#include "backends/x64/compile.h"

struct x64_shape {
    bool vector, wide /* f64 lanes */, low /* IR_V_LO64 */;
};

// The host's rounding is the op's, and nothing is flushed.
bool x64_fp_host_mode(const struct x64_compile *c, uint32_t attr);
// False for what has no host form (f16).
bool x64_fp_shape(const struct ir_insn *insn, enum ir_type type, struct x64_shape *ret);
uint32_t x64_fp_op(struct x64_shape s, uint32_t opcode); // with the prefix for ps, pd, ss or sd
// x, or for low vectors its copy in temp with zeros above.
unsigned x64_fp_operand(struct x64_compile *c, struct x64_shape s, unsigned x, unsigned temp);
// Jumps to cold when x has a NaN or, if tiny, a magnitude of the smallest normal number.
void x64_fp_check(struct x64_compile *c, struct x64_shape s, unsigned x, bool tiny, uint32_t cold);
// The cold code of the current instruction: computed in software into its register.
void x64_fp_cold(struct x64_compile *c, const struct ir_insn *insn);
void x64_fp_round_away(struct x64_compile *c, struct x64_shape s, unsigned x); // T2 := x to integral, ties away
bool x64_lower_fcmp(struct x64_compile *c, const struct ir_insn *insn);
bool x64_fcmp_cc(bool swapped, enum ir_cond cond, enum x64_cc *ret); // false: not one host condition
bool x64_lower_fp_convert(struct x64_compile *c, const struct ir_insn *insn);

#endif
