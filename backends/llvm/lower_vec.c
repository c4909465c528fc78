// SPDX-License-Identifier: MIT
// Integer vector arithmetic as LLVM's vector instructions, 128 bits at a time, so that no lane ever becomes a scalar.
// Where LLVM has no operation, the x86 intrinsic is named if the host has it. IR_V_LO64 clears the high half at the end;
// operations whose result depends on more than the same lanes say so.
#include "backends/llvm/vec.h"
#include "backends/x64/features.h"

LLVMTypeRef region_lanes_type(const struct region *r, unsigned sub)
{
    return LLVMVectorType(region_int(r, sub), 16u >> sub);
}

LLVMValueRef region_lanes(struct region *r, LLVMValueRef v, unsigned sub)
{
    return sub == 3 ? v : LLVMBuildBitCast(r->builder, v, region_lanes_type(r, sub), "");
}

LLVMValueRef region_whole(struct region *r, LLVMValueRef v)
{
    return LLVMTypeOf(v) == r->v2i64 ? v : LLVMBuildBitCast(r->builder, v, r->v2i64, "");
}

LLVMValueRef region_splat(const struct region *r, LLVMTypeRef vector, uint64_t lane)
{
    LLVMValueRef lanes[16], k = region_k(r, LLVMGetElementType(vector), lane);
    unsigned count = LLVMGetVectorSize(vector);
    for (unsigned i = 0; i < count; i++)
        lanes[i] = k;
    return LLVMConstVector(lanes, count);
}

LLVMValueRef region_shuffle(struct region *r, LLVMValueRef a, LLVMValueRef b, const int *from, unsigned count)
{
    LLVMValueRef mask[16];
    for (unsigned i = 0; i < count; i++)
        mask[i] = from[i] == REGION_ANY ? LLVMGetPoison(r->i32) : region_k(r, r->i32, (unsigned)from[i]);
    return LLVMBuildShuffleVector(r->builder, a, b, LLVMConstVector(mask, count), "");
}

LLVMValueRef region_zero_high(struct region *r, LLVMValueRef v)
{
    static const int from[] = { 0, 2 };
    return region_shuffle(r, v, LLVMConstNull(r->v2i64), from, 2);
}

// ---- lanewise ----------------------------------------------------------------------------------------------------

static LLVMValueRef call2(struct region *r, const char *name, LLVMValueRef a, LLVMValueRef b)
{
    LLVMValueRef args[2] = { a, b };
    return region_intrinsic(r, name, LLVMTypeOf(a), args, 2);
}

static LLVMValueRef call_no_poison(struct region *r, const char *name, LLVMValueRef a)
{
    return call2(r, name, a, region_k(r, r->i1, 0));
}

static LLVMValueRef shift_right(struct region *r, LLVMValueRef a, LLVMValueRef by, bool is_signed)
{
    return is_signed ? LLVMBuildAShr(r->builder, a, by, "") : LLVMBuildLShr(r->builder, a, by, "");
}

static LLVMValueRef shift_constant(struct region *r, const struct ir_insn *insn, LLVMValueRef a)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    unsigned n = 8u << insn->sub, by = (unsigned)insn->imm;
    bool is_signed = insn->attr & IR_V_SIGNED;
    if (insn->op == IR_OP_vshl)
        return LLVMBuildShl(r->builder, a, region_splat(r, type, by), "");
    if (by >= n && !is_signed)
        return LLVMConstNull(type);
    return shift_right(r, a, region_splat(r, type, by >= n ? n - 1 : by), is_signed);
}

// Each lane by the signed low byte of b's; LLVM's shifts are poison past the width, so selects choose.
static LLVMValueRef shift_variable(struct region *r, const struct ir_insn *insn, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef at = r->builder;
    LLVMTypeRef type = LLVMTypeOf(a);
    unsigned n = 8u << insn->sub;
    bool is_signed = insn->attr & IR_V_SIGNED;
    LLVMValueRef width = region_splat(r, type, n), zero = LLVMConstNull(type);
    if (n > 8) {
        LLVMValueRef up = region_splat(r, type, n - 8);
        b = LLVMBuildAShr(at, LLVMBuildShl(at, b, up, ""), up, "");
    }
    LLVMValueRef down = LLVMBuildNeg(at, b, ""), right;
    LLVMValueRef fits = LLVMBuildICmp(at, LLVMIntULT, b, width, "");
    LLVMValueRef left = LLVMBuildSelect(at, fits, LLVMBuildShl(at, a, b, ""), zero, "");
    if (is_signed) {
        down = call2(r, "llvm.umin", down, region_splat(r, type, n - 1));
        right = shift_right(r, a, down, true);
    } else {
        LLVMValueRef fits_down = LLVMBuildICmp(at, LLVMIntULT, down, width, "");
        right = LLVMBuildSelect(at, fits_down, shift_right(r, a, down, false), zero, "");
    }
    return LLVMBuildSelect(at, LLVMBuildICmp(at, LLVMIntSLT, b, zero, ""), right, left, "");
}

static LLVMValueRef halved(struct region *r, const struct ir_insn *insn, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef at = r->builder;
    LLVMValueRef differ = LLVMBuildXor(at, a, b, "");
    LLVMValueRef half = shift_right(r, differ, region_splat(r, LLVMTypeOf(a), 1), insn->attr & IR_V_SIGNED);
    switch (insn->op) {
    case IR_OP_vhadd: return LLVMBuildAdd(at, LLVMBuildAnd(at, a, b, ""), half, "");
    case IR_OP_vrhadd: return LLVMBuildSub(at, LLVMBuildOr(at, a, b, ""), half, "");
    default: return LLVMBuildSub(at, half, LLVMBuildAnd(at, LLVMBuildNot(at, a, ""), b, ""), "");
    }
}

// PAVG: LLVM knows it as the truncated sum of wider lanes only.
static LLVMValueRef average(struct region *r, const struct ir_insn *insn, LLVMValueRef a, LLVMValueRef b)
{
    if (insn->op != IR_OP_vrhadd || insn->attr & IR_V_SIGNED || insn->sub > 1)
        return halved(r, insn, a, b);
    LLVMBuilderRef at = r->builder;
    LLVMTypeRef type = LLVMTypeOf(a), wide = LLVMVectorType(region_int(r, insn->sub + 1u), 16u >> insn->sub);
    LLVMValueRef one = region_splat(r, wide, 1);
    LLVMValueRef sum = LLVMBuildAdd(at, LLVMBuildZExt(at, a, wide, ""), LLVMBuildZExt(at, b, wide, ""), "");
    return LLVMBuildTrunc(at, LLVMBuildLShr(at, LLVMBuildAdd(at, sum, one, ""), one, ""), type, "");
}

static LLVMValueRef compared(struct region *r, const struct ir_insn *insn, LLVMValueRef a, LLVMValueRef b)
{
    static const LLVMIntPredicate predicates[IR_CMP_COUNT] = {
        [IR_CEQ] = LLVMIntEQ, [IR_CNE] = LLVMIntNE, [IR_CULT] = LLVMIntULT, [IR_CUGE] = LLVMIntUGE,
        [IR_CULE] = LLVMIntULE, [IR_CUGT] = LLVMIntUGT, [IR_CSLT] = LLVMIntSLT, [IR_CSGE] = LLVMIntSGE,
        [IR_CSLE] = LLVMIntSLE, [IR_CSGT] = LLVMIntSGT,
    };
    return LLVMBuildSExt(r->builder, LLVMBuildICmp(r->builder, predicates[insn->imm], a, b, ""), LLVMTypeOf(a), "");
}

// Products of polynomials over GF(2): one shifted copy of a for each of the 8 bits of b's lanes.
static LLVMValueRef poly_product(struct region *r, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef at = r->builder;
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef zero = LLVMConstNull(type), sum = zero;
    for (unsigned bit = 0; bit < 8; bit++) {
        LLVMValueRef set = LLVMBuildAnd(at, b, region_splat(r, type, 1u << bit), "");
        LLVMValueRef copy = LLVMBuildShl(at, a, region_splat(r, type, bit), "");
        copy = LLVMBuildSelect(at, LLVMBuildICmp(at, LLVMIntEQ, set, zero, ""), zero, copy, "");
        sum = LLVMBuildXor(at, sum, copy, "");
    }
    return sum;
}

// PMULLW on even and odd bytes; LLVM would use registers of 256 bits.
static LLVMValueRef byte_product(struct region *r, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef at = r->builder;
    LLVMTypeRef words = region_lanes_type(r, 1);
    LLVMValueRef eight = region_splat(r, words, 8);
    a = LLVMBuildBitCast(at, a, words, ""), b = LLVMBuildBitCast(at, b, words, "");
    LLVMValueRef even = LLVMBuildAnd(at, LLVMBuildMul(at, a, b, ""), region_splat(r, words, 0xff), "");
    LLVMValueRef odd = LLVMBuildMul(at, LLVMBuildLShr(at, a, eight, ""), LLVMBuildLShr(at, b, eight, ""), "");
    return LLVMBuildOr(at, even, LLVMBuildShl(at, odd, eight, ""), "");
}

static LLVMValueRef lanewise(struct region *r, const struct ir_insn *insn, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef at = r->builder;
    bool is_signed = insn->attr & IR_V_SIGNED;
    switch (insn->op) {
    case IR_OP_vadd: return LLVMBuildAdd(at, a, b, "");
    case IR_OP_vsub: return LLVMBuildSub(at, a, b, "");
    case IR_OP_vmul: return insn->sub ? LLVMBuildMul(at, a, b, "") : byte_product(r, a, b);
    case IR_OP_vneg: return LLVMBuildNeg(at, a, "");
    case IR_OP_vabs: return call_no_poison(r, "llvm.abs", a);
    case IR_OP_vshl:
    case IR_OP_vshr: return shift_constant(r, insn, a);
    case IR_OP_vshlv: // without AVX2 LLVM shifts by conversions from floating point, which leave exceptions in MXCSR
        return r->optimiser->has & X64_HAS_AVX2 ? shift_variable(r, insn, a, b) : NULL;
    case IR_OP_vcmp: return compared(r, insn, a, b);
    case IR_OP_vmin: return call2(r, is_signed ? "llvm.smin" : "llvm.umin", a, b);
    case IR_OP_vmax: return call2(r, is_signed ? "llvm.smax" : "llvm.umax", a, b);
    case IR_OP_vqadd: return call2(r, is_signed ? "llvm.sadd.sat" : "llvm.uadd.sat", a, b);
    case IR_OP_vqsub: return call2(r, is_signed ? "llvm.ssub.sat" : "llvm.usub.sat", a, b);
    case IR_OP_vhadd:
    case IR_OP_vrhadd:
    case IR_OP_vhsub: return average(r, insn, a, b);
    case IR_OP_vabd:
        return LLVMBuildSub(at, call2(r, is_signed ? "llvm.smax" : "llvm.umax", a, b),
                            call2(r, is_signed ? "llvm.smin" : "llvm.umin", a, b), "");
    case IR_OP_vclz: return call_no_poison(r, "llvm.ctlz", a);
    case IR_OP_vpopcnt: return region_intrinsic(r, "llvm.ctpop", LLVMTypeOf(a), &a, 1);
    default: return NULL;
    }
}

static LLVMValueRef bitwise(struct region *r, const struct ir_insn *insn, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
    LLVMBuilderRef at = r->builder;
    switch (insn->op) {
    case IR_OP_vand: return LLVMBuildAnd(at, a, b, "");
    case IR_OP_vor: return LLVMBuildOr(at, a, b, "");
    case IR_OP_vxor: return LLVMBuildXor(at, a, b, "");
    case IR_OP_vandn: return LLVMBuildAnd(at, a, LLVMBuildNot(at, b, ""), "");
    case IR_OP_vnot: return LLVMBuildNot(at, a, "");
    case IR_OP_vbsl:
        return LLVMBuildOr(at, LLVMBuildAnd(at, a, b, ""), LLVMBuildAnd(at, LLVMBuildNot(at, a, ""), c, ""), "");
    default:
        a = region_lanes(r, a, 0);
        return region_intrinsic(r, "llvm.bitreverse", LLVMTypeOf(a), &a, 1);
    }
}

// ---- AES, SHA and carry-less products -----------------------------------------------------------------------------------

static LLVMValueRef aes(struct region *r, const char *name, LLVMValueRef a)
{
    LLVMValueRef args[2] = { a, LLVMConstNull(r->v2i64) }; // a key of zeros
    return region_intrinsic(r, name, NULL, args, 2);
}

// The round that AESE and AESMC, or AESD and AESIMC, make up together is one instruction; what the first alone gives is
// mostly dead then.
static LLVMValueRef whole_round(struct region *r, const struct ir_insn *insn, enum ir_op first, const char *name)
{
    const struct ir_insn *from = &r->unit->insns[insn->arg[0]];
    if (from->op != first || from->attr & IR_V_LO64)
        return NULL;
    return aes(r, name, LLVMBuildXor(r->builder, region_arg(r, from, 0), region_arg(r, from, 1), ""));
}

static LLVMValueRef crypto(struct region *r, const struct ir_insn *insn, LLVMValueRef a, LLVMValueRef b)
{
    LLVMValueRef round;
    if (!(r->optimiser->has & X64_HAS_AES))
        return NULL;
    switch (insn->op) {
    case IR_OP_vaese: return aes(r, "llvm.x86.aesni.aesenclast", LLVMBuildXor(r->builder, a, b, ""));
    case IR_OP_vaesd: return aes(r, "llvm.x86.aesni.aesdeclast", LLVMBuildXor(r->builder, a, b, ""));
    case IR_OP_vaesmc: // or undo what AESENC does before MixColumns
        round = whole_round(r, insn, IR_OP_vaese, "llvm.x86.aesni.aesenc");
        return round ? round : aes(r, "llvm.x86.aesni.aesenc", aes(r, "llvm.x86.aesni.aesdeclast", a));
    default:
        round = whole_round(r, insn, IR_OP_vaesd, "llvm.x86.aesni.aesdec");
        return round ? round : region_intrinsic(r, "llvm.x86.aesni.aesimc", NULL, &a, 1);
    }
}

static LLVMValueRef sha(struct region *r, const struct ir_insn *insn, LLVMValueRef *v)
{
    static const char *const names[] = { "llvm.x86.sha1rnds4", "llvm.x86.sha256rnds2", "llvm.x86.sha256msg1",
                                         "llvm.x86.sha256msg2" };
    LLVMValueRef args[3];
    unsigned count = insn->op == IR_OP_vsha1r || insn->op == IR_OP_vsha256r ? 3 : 2;
    if (!(r->optimiser->has & X64_HAS_SHA))
        return NULL;
    for (unsigned k = 0; k < count && v[k]; k++)
        args[k] = region_lanes(r, v[k], 2);
    if (insn->op == IR_OP_vsha1r)
        args[2] = region_k(r, r->i8, (unsigned)insn->imm);
    return region_intrinsic(r, names[insn->op - IR_OP_vsha1r], NULL, args, count);
}
_Static_assert(IR_OP_vsha256s1 == IR_OP_vsha1r + 3, "names in the order of the ops");

static LLVMValueRef poly_long(struct region *r, const struct ir_insn *insn, LLVMValueRef a, LLVMValueRef b)
{
    static const int low[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    if (insn->sub == 3) {
        LLVMValueRef args[3] = { a, b, region_k(r, r->i8, 0) };
        return r->optimiser->has & X64_HAS_PCLMUL ? region_intrinsic(r, "llvm.x86.pclmulqdq", NULL, args, 3) : NULL;
    }
    LLVMTypeRef wide = region_lanes_type(r, 1);
    a = region_lanes(r, a, 0), b = region_lanes(r, b, 0);
    a = LLVMBuildZExt(r->builder, region_shuffle(r, a, a, low, 8), wide, "");
    b = LLVMBuildZExt(r->builder, region_shuffle(r, b, b, low, 8), wide, "");
    return poly_product(r, a, b);
}

// ---- the rest ------------------------------------------------------------------------------------------------------

static LLVMValueRef sum_of_lanes(struct region *r, const struct ir_insn *insn, LLVMValueRef a)
{
    if (insn->attr & IR_V_LO64)
        a = region_zero_high(r, a);
    a = region_lanes(r, a, insn->sub);
    LLVMValueRef sum = region_intrinsic(r, "llvm.vector.reduce.add", LLVMTypeOf(a), &a, 1);
    return LLVMBuildInsertElement(r->builder, LLVMConstNull(LLVMTypeOf(a)), sum, region_k(r, r->i32, 0), "");
}

static LLVMValueRef lower(struct region *r, const struct ir_insn *insn)
{
    LLVMValueRef v[3] = { NULL, NULL, NULL }, out;
    for (unsigned k = 0; k < 3 && insn->arg[k] != IR_NO_VALUE; k++)
        v[k] = region_arg(r, insn, k);
    switch (insn->op) {
    case IR_OP_vand: case IR_OP_vor: case IR_OP_vxor: case IR_OP_vandn: case IR_OP_vnot: case IR_OP_vbsl:
    case IR_OP_vbitrev: return bitwise(r, insn, v[0], v[1], v[2]);
    case IR_OP_vaese: case IR_OP_vaesd: case IR_OP_vaesmc: case IR_OP_vaesimc: return crypto(r, insn, v[0], v[1]);
    case IR_OP_vsha1r: case IR_OP_vsha256r: case IR_OP_vsha256s0: case IR_OP_vsha256s1: return sha(r, insn, v);
    case IR_OP_vpmul: return poly_product(r, region_lanes(r, v[0], 0), region_lanes(r, v[1], 0));
    case IR_OP_vpmull: return poly_long(r, insn, v[0], v[1]);
    case IR_OP_vaddv: return sum_of_lanes(r, insn, v[0]);
    default:
        if (region_lower_lanes(r, insn, &out))
            return out;
        return lanewise(r, insn, region_lanes(r, v[0], insn->sub), v[1] ? region_lanes(r, v[1], insn->sub) : NULL);
    }
}

bool region_lower_vec(struct region *r, const struct ir_insn *insn)
{
    if (insn->op < IR_OP_vadd || insn->op > IR_OP_vsha256s1)
        return false;
    LLVMValueRef out = lower(r, insn);
    if (!out)
        return false;
    if (insn->type == IR_V128) {
        out = region_whole(r, out);
        if (insn->attr & IR_V_LO64)
            out = region_zero_high(r, out);
    }
    r->values[r->pos] = out;
    return true;
}
