// SPDX-License-Identifier: MIT
// Internal to backends/llvm: what the files that lower floating point share (lower_fp.c says by which scheme).
#ifndef BACKENDS_LLVM_FP_H
#define BACKENDS_LLVM_FP_H

#include "backends/llvm/vec.h"

// How an operation's lanes are worked on: one of them as a scalar, more as a vector of just as many.
struct region_fp {
    bool vector;       // v128 in the IR
    unsigned sub;      // 2: f32, 3: f64
    unsigned count;    // lanes that take part
    LLVMTypeRef type;  // of floats
    LLVMTypeRef bits;  // the same of integers
};

// False for f16.
bool region_fp_form(const struct region *r, const struct ir_insn *insn, enum ir_type type, struct region_fp *ret);
LLVMValueRef region_fp_in(struct region *r, const struct region_fp *f, LLVMValueRef value);  // IR value to f->type
LLVMValueRef region_fp_out(struct region *r, const struct region_fp *f, LLVMValueRef value); // f->type or f->bits back
LLVMValueRef region_fp_any(struct region *r, LLVMValueRef lanes); // of i1
LLVMValueRef region_fp_lanes_unordered(struct region *r, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef region_fp_lanes_zero(struct region *r, LLVMValueRef v);
// NaN, infinity, zero, subnormal, the smallest normal number; of ordinary values only some of the very smallest and
// largest.
LLVMValueRef region_fp_lanes_doubtful(struct region *r, const struct region_fp *f, LLVMValueRef v);
LLVMValueRef region_fp_lanes_infinite(struct region *r, LLVMValueRef v); // or NaN
// An operand or a factor that is constant over all lanes.
LLVMValueRef region_fp_constant(const struct region *r, const struct region_fp *f, double value);

// Cold code: begun where `bad` (i1) holds; what is built between begin and end decides again, and where `worse` (NULL:
// always) holds the operation is done by ir_eval. end gives the result, `value` (of the IR's type) elsewhere.
struct region_fp_cold {
    LLVMBasicBlockRef from, done;
};
struct region_fp_cold region_fp_cold_begin(struct region *r, LLVMValueRef bad);
LLVMValueRef region_fp_cold_end(struct region *r, struct region_fp_cold cold, const struct ir_insn *insn,
                                LLVMValueRef value, LLVMValueRef worse);
LLVMValueRef region_fp_guard(struct region *r, const struct ir_insn *insn, LLVMValueRef value, LLVMValueRef bad);

// ---- lower_fp_convert.c ------------------------------------------------------------------------------------------
bool region_fp_can_convert(const struct region *r, const struct ir_insn *insn); // rounding and modes apart
LLVMValueRef region_fp_convert(struct region *r, const struct ir_insn *insn);
LLVMValueRef region_fp_rounded(struct region *r, enum ir_round round, LLVMValueRef v); // to an integral value

#endif
