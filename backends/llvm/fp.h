// SPDX-License-Identifier: MIT
// Internal to backends/llvm: what the files that lower floating point share (lower_fp.c says by which scheme).
#ifndef BACKENDS_LLVM_FP_H
#define BACKENDS_LLVM_FP_H

#include "backends/llvm/vec.h"

// How an operation's lanes are worked on: a single one as a scalar, others as 16 bytes.
struct region_fp {
    bool vector;       // v128 in the IR
    bool low;          // only the low half takes part: f32, as a low half of f64 is a scalar
    unsigned sub;      // 2: f32, 3: f64
    unsigned count;    // lanes worked on
    LLVMTypeRef type;  // of floats
    LLVMTypeRef bits;  // the same of integers
};

// False for f16.
bool region_fp_form(const struct region *r, const struct ir_insn *insn, enum ir_type type, struct region_fp *ret);
LLVMValueRef region_fp_in(struct region *r, const struct region_fp *f, LLVMValueRef value);  // IR value to f->type
LLVMValueRef region_fp_out(struct region *r, const struct region_fp *f, LLVMValueRef value); // f->type or f->bits back
// A constant in all lanes.
LLVMValueRef region_fp_constant(const struct region *r, const struct region_fp *f, double value);

// Masks by lane. What takes no part (region_fp.low) is zero in results and can be anything in operands.
LLVMValueRef region_fp_any(struct region *r, LLVMValueRef mask); // i1
LLVMValueRef region_fp_any_unordered(struct region *r, const struct region_fp *f, LLVMValueRef a, LLVMValueRef b); // operands
LLVMValueRef region_fp_mask_zero(struct region *r, LLVMValueRef v);
LLVMValueRef region_fp_mask_infinite(struct region *r, const struct region_fp *f, LLVMValueRef v); // a result; or NaN
// Of a result: NaN, infinity, zero, subnormal, the smallest normal number; of ordinary values only some of the very
// smallest and largest.
LLVMValueRef region_fp_mask_doubtful(struct region *r, const struct region_fp *f, LLVMValueRef v);

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
