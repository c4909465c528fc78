// SPDX-License-Identifier: MIT
// Internal to backends/llvm: what the files that lower vectors and floating point share. A v128 is <2 x i64> between
// operations; inside one it is cast to the lanes it works on.
#ifndef BACKENDS_LLVM_VEC_H
#define BACKENDS_LLVM_VEC_H

#include "backends/llvm/llvm.h"

// ---- lower_vec.c -------------------------------------------------------------------------------------------------
LLVMTypeRef region_lanes_type(const struct region *r, unsigned sub);              // 16 bytes of lanes of 1 << sub
LLVMValueRef region_lanes(struct region *r, LLVMValueRef v, unsigned sub);
LLVMValueRef region_whole(struct region *r, LLVMValueRef v);                      // back to <2 x i64>
LLVMValueRef region_splat(const struct region *r, LLVMTypeRef vector, uint64_t lane); // constant
LLVMValueRef region_zero_high(struct region *r, LLVMValueRef v);                  // <2 x i64>
// Lanes of (a:b) by index; REGION_ANY: whatever.
enum { REGION_ANY = -1 };
LLVMValueRef region_shuffle(struct region *r, LLVMValueRef a, LLVMValueRef b, const int *from, unsigned count);

// ---- lower_lanes.c -----------------------------------------------------------------------------------------------
bool region_lower_lanes(struct region *r, const struct ir_insn *insn, LLVMValueRef *ret);

#endif
