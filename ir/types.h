// SPDX-License-Identifier: MIT
// Types, condition codes and packed attributes of the IR. Everything here is plain data shared by frontends, passes,
// interpreter and backends; nothing is specific to a guest or a host.
#ifndef IR_TYPES_H
#define IR_TYPES_H

#include "base/types.h"

enum ir_type {
    IR_VOID,
    IR_I1,
    IR_I8,
    IR_I16,
    IR_I32,
    IR_I64,
    IR_I128, // reserved
    IR_F16,
    IR_F32,
    IR_F64,
    IR_F80, // reserved
    IR_V128,
    IR_V256, // reserved
    IR_FLAGS,
    IR_TYPE_COUNT
};

// Bytes of a value in memory; IR_I1 counts 1, IR_FLAGS 4, IR_VOID 0.
unsigned ir_type_size(enum ir_type type);
const char *ir_type_name(enum ir_type type);

static inline bool ir_type_is_int(enum ir_type t)
{
    return t >= IR_I1 && t <= IR_I128;
}
static inline bool ir_type_is_float(enum ir_type t)
{
    return t >= IR_F16 && t <= IR_F80;
}

// A value outside translated code: interpreter slots, helper arguments and results, memory slow paths.
// Integers narrower than 64 bits are zero-extended; flags are in packed form (enum ir_flag_bits below).
union ir_value {
    uint64_t i;
    union v128 v;
};

// Flags in packed form, one 32-bit word: as `lahf; seto al` leaves them in EAX on an x64 host, with C always in carry
// polarity of the operation that made it. Other bits, P and A among them, are unspecified unless an op says otherwise.
enum ir_flag_bits {
    IR_FLAG_V = 1u << 0,
    IR_FLAG_C = 1u << 8,
    IR_FLAG_P = 1u << 10,
    IR_FLAG_A = 1u << 12,
    IR_FLAG_Z = 1u << 14,
    IR_FLAG_N = 1u << 15,
    IR_FLAG_NZCV = IR_FLAG_N | IR_FLAG_Z | IR_FLAG_C | IR_FLAG_V,
};

// Conditions on a flags value (op cond). C set means "carry" as the flags value defines it; for flags_sub C means
// "no borrow", so CS is unsigned >=.
enum ir_cond {
    IR_EQ, IR_NE, // Z
    IR_CS, IR_CC, // C
    IR_MI, IR_PL, // N
    IR_VS, IR_VC, // V
    IR_HI, IR_LS, // C && !Z
    IR_GE, IR_LT, // N == V
    IR_GT, IR_LE, // !Z && N == V
    IR_COND_COUNT
};

// Integer comparisons (op icmp, vcmp). The inverse is cmp ^ 1.
enum ir_cmp { IR_CEQ, IR_CNE, IR_CULT, IR_CUGE, IR_CULE, IR_CUGT, IR_CSLT, IR_CSGE, IR_CSLE, IR_CSGT, IR_CMP_COUNT };

// FP comparisons giving a mask (op fcmpm). All are false on unordered operands.
enum ir_fcmp { IR_FEQ, IR_FGE, IR_FGT, IR_FCMP_COUNT };

// ---- attr of memory ops --------------------------------------------------------------------------------------
enum ir_memop {
    IR_MEM_SIZE = 7u,            // log2 of the bytes accessed, 0..4
    IR_MEM_SIGNED = 1u << 3,     // integer loads: sign-extend to the result type, else zero-extend
    IR_MEM_BE = 1u << 4,         // big-endian
    IR_MEM_ALIGN_SHIFT = 5,      // 3 bits: log2 of the required alignment; 0 = none. A miss is an alignment fault
    IR_MEM_ALIGN = 7u << 5,
    IR_MEM_ACQUIRE = 1u << 8,
    IR_MEM_RELEASE = 1u << 9,
    IR_MEM_MMU_SHIFT = 10,       // 3 bits: MMU index, the guest's translation regime
    IR_MEM_MMU = 7u << 10,
    IR_MEM_EXCLUSIVE = 1u << 13, // part of a load-exclusive/store-exclusive pair (alignment fault rules)
    IR_MEM_ATOMIC = 1u << 14,    // single-copy atomic at full size when aligned (i128 pairs as v128)
};
static inline unsigned ir_mem_bytes(uint32_t attr)
{
    return 1u << (attr & IR_MEM_SIZE);
}
static inline unsigned ir_mem_mmu(uint32_t attr)
{
    return (attr & IR_MEM_MMU) >> IR_MEM_MMU_SHIFT;
}

enum ir_rmw { IR_RMW_XCHG, IR_RMW_ADD, IR_RMW_AND, IR_RMW_OR, IR_RMW_XOR, IR_RMW_SMAX, IR_RMW_SMIN, IR_RMW_UMAX,
              IR_RMW_UMIN, IR_RMW_COUNT };

enum ir_fence { IR_FENCE_FULL, IR_FENCE_LOAD /* earlier loads before later loads and stores */,
                IR_FENCE_STORE /* earlier stores before later stores */, IR_FENCE_COUNT };

// ---- attr of FP and vector ops -------------------------------------------------------------------------------
enum ir_round { IR_RN, IR_RP /* +inf */, IR_RM /* -inf */, IR_RZ, IR_RNA /* nearest, ties away */, IR_RO /* odd */ };
enum ir_fp_attr {
    IR_FP_ROUND = 7u,           // enum ir_round
    IR_FP_DN = 1u << 3,         // every NaN result is the default NaN
    IR_FP_FTZ = 1u << 4,        // f32/f64: subnormal inputs and outputs are flushed (ARM FZ)
    IR_FP_FTZ16 = 1u << 5,      // likewise f16
    IR_FP_AHP = 1u << 6,        // f16 is ARM's alternative half precision
    IR_FP_NEG_PRODUCT = 1u << 7, // fma: -(a*b)
    IR_FP_NEG_ADDEND = 1u << 8,  // fma: -c
    IR_FP_EXACT = 1u << 9,       // frint: raise inexact
    IR_FP_SIGNALLING = 1u << 10, // compares: quiet NaNs raise invalid too
    IR_FP_SIGNED = 1u << 11,     // f2i, i2f: the integer is signed
    IR_FP_X86 = 1u << 12,        // NaN rule and tininess of SSE instead of ARM's
    IR_V_SIGNED = 1u << 11,      // integer vector ops: lanes are signed
    IR_V_LO64 = 1u << 15,        // v128 ops: only lanes of the low 64 bits take part; the result's high half is 0
    IR_FP_FBITS_SHIFT = 16,      // 7 bits: fraction bits of the fixed-point side of f2i, i2f
};

#endif
