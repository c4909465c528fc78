// SPDX-License-Identifier: MIT
// The op tables as data: ops.def expanded, the spelling and ranges of the fields, and the names used by the
// text form. Invariant: one row an op, checked by tests/ir; no code here decides anything.
#include "ir/ops.h"

#include <string.h>

#define KIND(k) IR_K_##k
#define PURE IR_PURE
#define COMM IR_COMM
#define FPX IR_FPX
#define FAULT IR_FAULT
#define TERM IR_TERM
#define MEM_R IR_MEM_R
#define MEM_W IR_MEM_W
#define ST_R IR_ST_R
#define ST_W IR_ST_W
#define BAR IR_BAR

const struct ir_op_info ir_ops[IR_OP_COUNT] = {
#define OP(name, result, a0, a1, a2, a3, flags, text)                                                        \
    [IR_OP_##name] = {#name, KIND(result), {KIND(a0), KIND(a1), KIND(a2), KIND(a3)}, (flags), text},
#include "ir/ops.def"
#undef OP
};

enum {
    I16 = 1 << IR_I16,
    I32 = 1 << IR_I32,
    I64 = 1 << IR_I64,
    IW = I32 | I64,
    INTS = 1 << IR_I1 | 1 << IR_I8 | I16 | IW,
    BYTES = 1 << IR_I8 | I16 | IW, // integers that memory holds
    FLOATS = 1 << IR_F16 | 1 << IR_F32 | 1 << IR_F64,
    MEMORY = BYTES | FLOATS | 1 << IR_V128,
    SCALARS = INTS | FLOATS,
    ATOMIC = BYTES | 1 << IR_V128,
};

#define ROW(op, sub, attr, imm, lo, hi, types)                                                               \
    [IR_OP_##op] = {IR_SUB_##sub, IR_ATTR_##attr, IR_IMM_##imm, (lo), (hi), (types)}
#define INT_ROW(op, types) ROW(op, NONE, NONE, NONE, 0, 0, types)
#define FP_ROW(op) ROW(op, LANEF, FP, NONE, 1, 3, 0)
#define V_ROW(op, lo, hi) ROW(op, LANE, V, NONE, lo, hi, 0)
#define VI_ROW(op, lo, hi) ROW(op, LANE, V, NUM, lo, hi, 0)
#define VB_ROW(op) ROW(op, NONE, V, NONE, 0, 0, 0)

const struct ir_op_form ir_op_forms[IR_OP_COUNT] = {
    ROW(nop, NONE, NONE, NONE, 0, 0, 0),
    ROW(insn, RESTART, LEN, OFF, 0, 0, 0),
    ROW(const, NONE, NONE, BITS, 0, 0, SCALARS),
    ROW(vconst, NONE, NONE, POOL, 0, 0, 0),
    ROW(pc, NONE, NONE, OFF, 0, 0, 0),
    ROW(get, NONE, NONE, FIELD, 0, 0, 0),
    ROW(put, NONE, NONE, FIELD, 0, 0, 0),

    INT_ROW(add, INTS),
    INT_ROW(sub, INTS),
    INT_ROW(adc, INTS),
    INT_ROW(sbc, INTS),
    INT_ROW(mul, INTS),
    INT_ROW(umulh, I64),
    INT_ROW(smulh, I64),
    INT_ROW(udiv, IW),
    INT_ROW(sdiv, IW),
    INT_ROW(neg, INTS),
    INT_ROW(not, INTS),
    INT_ROW(and, INTS),
    INT_ROW(or, INTS),
    INT_ROW(xor, INTS),
    INT_ROW(andn, INTS),
    INT_ROW(shl, BYTES),
    INT_ROW(shr, BYTES),
    INT_ROW(sar, BYTES),
    INT_ROW(ror, BYTES),
    INT_ROW(clz, IW),
    INT_ROW(ctz, IW),
    INT_ROW(popcnt, IW),
    INT_ROW(bswap, I16 | IW),
    INT_ROW(bitrev, IW),
    INT_ROW(zext, INTS),
    INT_ROW(sext, INTS),
    INT_ROW(trunc, INTS),
    ROW(ubfx, POS, NONE, LEN, 0, 0, BYTES),
    ROW(sbfx, POS, NONE, LEN, 0, 0, BYTES),
    ROW(bfi, POS, NONE, LEN, 0, 0, BYTES),
    ROW(extr, NONE, NONE, NUM, 0, 0, BYTES),
    ROW(icmp, CMP, NONE, NONE, 0, 0, INTS),
    ROW(select, NONE, NONE, NONE, 0, 0, 0),
    ROW(crc32, LANE, POLY, NONE, 0, 3, 0),
    ROW(bitcast, NONE, NONE, NONE, 0, 0, I16 | IW | FLOATS),

    INT_ROW(flags_add, IW),
    ROW(flags_sub, BORROW, NONE, NONE, 0, 0, IW),
    INT_ROW(flags_adc, IW),
    INT_ROW(flags_sbc, IW),
    INT_ROW(flags_logic, IW),
    INT_ROW(flags_pack, 0),
    INT_ROW(flags_unpack, 0),
    ROW(cond, COND, NONE, NONE, 0, 0, 0),

    ROW(ld, NONE, MEM, NONE, 0, 0, MEMORY),
    ROW(st, NONE, MEM, NONE, 0, 0, 0),
    ROW(cas, NONE, MEM, NONE, 0, 0, ATOMIC),
    ROW(rmw, RMW, MEM, NONE, 0, 0, BYTES),
    ROW(span, WRITE, MEM, SPAN, 0, 0, 0),
    ROW(fence, FENCE, NONE, NONE, 0, 0, 0),

    ROW(poll, NONE, NONE, OFF, 0, 0, 0),
    ROW(br, NONE, NONE, BLOCK, 0, 0, 0),
    ROW(brif, LIKELY, NONE, BLOCKS, 0, 0, 0),
    ROW(exit_pc, HINT, RET, OFF, 0, 0, 0),
    ROW(exit_ind, HINT, RET, NONE, 0, 0, 0),
    ROW(exit_stop, EXIT, NONE, NONE, 0, 0, 0),
    ROW(call, NONE, NONE, HELPER, 0, 0, 0),

    FP_ROW(fadd),
    FP_ROW(fsub),
    FP_ROW(fmul),
    FP_ROW(fmulx),
    FP_ROW(fdiv),
    FP_ROW(fsqrt),
    FP_ROW(fma),
    FP_ROW(fmin),
    FP_ROW(fmax),
    FP_ROW(fminnm),
    FP_ROW(fmaxnm),
    FP_ROW(fneg),
    FP_ROW(fabs),
    FP_ROW(frint),
    FP_ROW(frecpe),
    FP_ROW(frsqrte),
    ROW(frecpx, NONE, FP, NONE, 0, 0, FLOATS),
    FP_ROW(frecps),
    FP_ROW(frsqrts),
    ROW(fcmpm, LANEF, FP, FCMP, 1, 3, 0),
    ROW(fcmp, NONE, FP, NONE, 0, 0, FLOATS),
    ROW(fcvt, NONE, FP, NONE, 0, 0, FLOATS),
    ROW(f2i, NONE, FP, NONE, 0, 0, IW),
    ROW(i2f, NONE, FP, NONE, 0, 0, FLOATS),
    ROW(vf2i, LANE, FP, NONE, 1, 3, 0),
    ROW(vi2f, LANE, FP, NONE, 1, 3, 0),
    ROW(vfcvtl, LANE, FP, NONE, 1, 2, 0),
    ROW(vfcvtn, LANE, FP, NONE, 2, 3, 0),

    V_ROW(vadd, 0, 3),
    V_ROW(vsub, 0, 3),
    V_ROW(vmul, 0, 2),
    V_ROW(vneg, 0, 3),
    V_ROW(vabs, 0, 3),
    VB_ROW(vand),
    VB_ROW(vor),
    VB_ROW(vxor),
    VB_ROW(vandn),
    VB_ROW(vnot),
    VB_ROW(vbsl),
    VI_ROW(vshl, 0, 3),
    VI_ROW(vshr, 0, 3),
    V_ROW(vshlv, 0, 3),
    ROW(vcmp, LANE, V, CMP, 0, 3, 0),
    V_ROW(vmin, 0, 3),
    V_ROW(vmax, 0, 3),
    V_ROW(vqadd, 0, 3),
    V_ROW(vqsub, 0, 3),
    V_ROW(vhadd, 0, 3),
    V_ROW(vrhadd, 0, 3),
    V_ROW(vhsub, 0, 3),
    V_ROW(vabd, 0, 3),
    V_ROW(vclz, 0, 2),
    V_ROW(vpopcnt, 0, 0),
    VB_ROW(vbitrev),
    VI_ROW(vrev, 0, 2),
    V_ROW(vdup, 0, 3),
    VI_ROW(vdupl, 0, 3),
    ROW(vget, LANE, GET, NUM, 0, 3, BYTES),
    ROW(vgetf, NONE, NONE, NUM, 0, 0, FLOATS),
    VI_ROW(vset, 0, 3),
    ROW(vzext, NONE, NONE, NONE, 0, 0, BYTES | FLOATS),
    ROW(vlow, NONE, NONE, NONE, 0, 0, 0),
    ROW(vext, NONE, V, NUM, 0, 0, 0),
    VI_ROW(vzip, 0, 3),
    VI_ROW(vuzp, 0, 3),
    VI_ROW(vtrn, 0, 3),
    VB_ROW(vtbl),
    V_ROW(vxtl, 0, 2),
    V_ROW(vxtn, 1, 3),
    V_ROW(vqxtn, 1, 3),
    V_ROW(vqxtun, 1, 3),
    V_ROW(vmull, 0, 2),
    VB_ROW(vpmul),
    V_ROW(vpmull, 0, 3),
    V_ROW(vaddv, 0, 3),
    VB_ROW(vaese),
    VB_ROW(vaesd),
    VB_ROW(vaesmc),
    VB_ROW(vaesimc),
    ROW(vsha1r, NONE, NONE, NUM, 0, 0, 0),
    ROW(vsha256r, NONE, NONE, NONE, 0, 0, 0),
    ROW(vsha256s0, NONE, NONE, NONE, 0, 0, 0),
    ROW(vsha256s1, NONE, NONE, NONE, 0, 0, 0),
};

const char *const ir_cmp_names[IR_CMP_COUNT] = {
    [IR_CEQ] = "eq",   [IR_CNE] = "ne",   [IR_CULT] = "ult", [IR_CUGE] = "uge", [IR_CULE] = "ule",
    [IR_CUGT] = "ugt", [IR_CSLT] = "slt", [IR_CSGE] = "sge", [IR_CSLE] = "sle", [IR_CSGT] = "sgt",
};
const char *const ir_fcmp_names[IR_FCMP_COUNT] = {[IR_FEQ] = "eq", [IR_FGE] = "ge", [IR_FGT] = "gt"};
const char *const ir_cond_names[IR_COND_COUNT] = {
    [IR_EQ] = "eq", [IR_NE] = "ne", [IR_CS] = "cs", [IR_CC] = "cc", [IR_MI] = "mi",
    [IR_PL] = "pl", [IR_VS] = "vs", [IR_VC] = "vc", [IR_HI] = "hi", [IR_LS] = "ls",
    [IR_GE] = "ge", [IR_LT] = "lt", [IR_GT] = "gt", [IR_LE] = "le",
};
const char *const ir_rmw_names[IR_RMW_COUNT] = {
    [IR_RMW_XCHG] = "xchg", [IR_RMW_ADD] = "add",   [IR_RMW_AND] = "and",
    [IR_RMW_OR] = "or",     [IR_RMW_XOR] = "xor",   [IR_RMW_SMAX] = "smax",
    [IR_RMW_SMIN] = "smin", [IR_RMW_UMAX] = "umax", [IR_RMW_UMIN] = "umin",
};
const char *const ir_fence_names[IR_FENCE_COUNT] = {
    [IR_FENCE_FULL] = "full", [IR_FENCE_LOAD] = "load", [IR_FENCE_STORE] = "store"};
const char *const ir_exit_names[IR_EXIT_COUNT] = {
    [IR_EXIT_NONE] = "none",
    [IR_EXIT_JUMP] = "jump",
    [IR_EXIT_POLL] = "poll",
    [IR_EXIT_FAULT] = "fault",
    [IR_EXIT_STATE] = "state",
    [IR_EXIT_HALT] = "halt",
    [IR_EXIT_WAIT_EVENT] = "wait_event",
    [IR_EXIT_YIELD] = "yield",
    [IR_EXIT_HOT] = "hot",
};

static const struct ir_attr_name mem_names[] = {
    {"s", IR_MEM_SIGNED, IR_MEM_SIGNED},          {"be", IR_MEM_BE, IR_MEM_BE},
    {"align2", IR_MEM_ALIGN, 1u << 5},            {"align4", IR_MEM_ALIGN, 2u << 5},
    {"align8", IR_MEM_ALIGN, 3u << 5},            {"align16", IR_MEM_ALIGN, 4u << 5},
    {"align32", IR_MEM_ALIGN, 5u << 5},           {"align64", IR_MEM_ALIGN, 6u << 5},
    {"acq", IR_MEM_ACQUIRE, IR_MEM_ACQUIRE},      {"rel", IR_MEM_RELEASE, IR_MEM_RELEASE},
    {"mmu1", IR_MEM_MMU, 1u << IR_MEM_MMU_SHIFT}, {"mmu2", IR_MEM_MMU, 2u << IR_MEM_MMU_SHIFT},
    {"mmu3", IR_MEM_MMU, 3u << IR_MEM_MMU_SHIFT}, {"mmu4", IR_MEM_MMU, 4u << IR_MEM_MMU_SHIFT},
    {"mmu5", IR_MEM_MMU, 5u << IR_MEM_MMU_SHIFT}, {"mmu6", IR_MEM_MMU, 6u << IR_MEM_MMU_SHIFT},
    {"mmu7", IR_MEM_MMU, 7u << IR_MEM_MMU_SHIFT}, {"excl", IR_MEM_EXCLUSIVE, IR_MEM_EXCLUSIVE},
    {"atomic", IR_MEM_ATOMIC, IR_MEM_ATOMIC},     {NULL, 0, 0},
};
static const struct ir_attr_name fp_names[] = {
    {"rp", IR_FP_ROUND, IR_RP},
    {"rm", IR_FP_ROUND, IR_RM},
    {"rz", IR_FP_ROUND, IR_RZ},
    {"rna", IR_FP_ROUND, IR_RNA},
    {"ro", IR_FP_ROUND, IR_RO},
    {"dn", IR_FP_DN, IR_FP_DN},
    {"ftz", IR_FP_FTZ, IR_FP_FTZ},
    {"ftz16", IR_FP_FTZ16, IR_FP_FTZ16},
    {"ahp", IR_FP_AHP, IR_FP_AHP},
    {"negmul", IR_FP_NEG_PRODUCT, IR_FP_NEG_PRODUCT},
    {"negadd", IR_FP_NEG_ADDEND, IR_FP_NEG_ADDEND},
    {"exact", IR_FP_EXACT, IR_FP_EXACT},
    {"signalling", IR_FP_SIGNALLING, IR_FP_SIGNALLING},
    {"s", IR_FP_SIGNED, IR_FP_SIGNED},
    {"x86", IR_FP_X86, IR_FP_X86},
    {"lo64", IR_V_LO64, IR_V_LO64},
    {NULL, 0, 0},
};
static const struct ir_attr_name v_names[] = {
    {"s", IR_V_SIGNED, IR_V_SIGNED}, {"lo64", IR_V_LO64, IR_V_LO64}, {NULL, 0, 0}};
static const struct ir_attr_name get_names[] = {{"s", IR_MEM_SIGNED, IR_MEM_SIGNED}, {NULL, 0, 0}};

const struct ir_attr_name *ir_attr_names(enum ir_attr_form form)
{
    switch (form) {
    case IR_ATTR_MEM: return mem_names;
    case IR_ATTR_FP: return fp_names;
    case IR_ATTR_V: return v_names;
    case IR_ATTR_GET: return get_names;
    default: return NULL;
    }
}

bool ir_op_prints_type(enum ir_op op)
{
    uint8_t k = ir_ops[op].result;
    return k == IR_K_T || k == IR_K_I || k == IR_K_F;
}

bool ir_arg_optional(enum ir_op op, unsigned arg)
{
    return (op == IR_OP_ld && arg == 1) || (op == IR_OP_st && arg == 2) || op == IR_OP_call;
}

static const uint8_t type_sizes[IR_TYPE_COUNT] = {
    [IR_I1] = 1,   [IR_I8] = 1,  [IR_I16] = 2, [IR_I32] = 4,  [IR_I64] = 8,   [IR_I128] = 16,
    [IR_F16] = 2,  [IR_F32] = 4, [IR_F64] = 8, [IR_F80] = 16, [IR_V128] = 16, [IR_V256] = 32,
    [IR_FLAGS] = 4};
static const char *const type_names[IR_TYPE_COUNT] = {
    [IR_VOID] = "void", [IR_I1] = "i1",   [IR_I8] = "i8",   [IR_I16] = "i16", [IR_I32] = "i32",
    [IR_I64] = "i64",   [IR_I128] = "i128", [IR_F16] = "f16", [IR_F32] = "f32", [IR_F64] = "f64",
    [IR_F80] = "f80",   [IR_V128] = "v128", [IR_V256] = "v256", [IR_FLAGS] = "flags"};

unsigned ir_type_size(enum ir_type type)
{
    return type_sizes[type];
}

const char *ir_type_name(enum ir_type type)
{
    return type_names[type];
}
