// SPDX-License-Identifier: MIT
// Moves of vector lanes: permutations as shuffles with constant masks, made by the rules of ir_eval; between scalars and
// lanes; between lanes of different sizes. The caller clears the high half for IR_V_LO64.
#include "backends/llvm/vec.h"

static bool low(const struct ir_insn *insn)
{
    return insn->attr & IR_V_LO64;
}

static LLVMValueRef permuted(struct region *r, const struct ir_insn *insn, LLVMValueRef a, LLVMValueRef b)
{
    unsigned sub = insn->op == IR_OP_vext ? 0 : insn->sub, all = 16u >> sub, n = low(insn) ? all / 2 : all;
    unsigned imm = (unsigned)insn->imm;
    int from[16];
    for (unsigned i = 0; i < all; i++) {
        unsigned at;
        switch (insn->op) {
        case IR_OP_vrev: at = i ^ ((1u << (imm - sub)) - 1); break;
        case IR_OP_vdupl: at = imm; break;
        case IR_OP_vzip: at = (i & 1 ? all : 0) + i / 2 + imm * n / 2; break;
        case IR_OP_vuzp: at = (i < n / 2 ? 0 : all) + i % (n / 2) * 2 + imm; break;
        case IR_OP_vtrn: at = (i & 1 ? all : 0) + (i & ~1u) + imm; break;
        default: at = i + imm < n ? i + imm : all + i + imm - n; break; // vext
        }
        from[i] = i < n ? (int)at : REGION_ANY;
    }
    a = region_lanes(r, a, sub);
    return region_shuffle(r, a, b ? region_lanes(r, b, sub) : a, from, all);
}

// Out of reach of the table becomes 0x80 and more, which PSHUFB makes 0.
static LLVMValueRef looked_up(struct region *r, LLVMValueRef table, LLVMValueRef index)
{
    LLVMTypeRef bytes = region_lanes_type(r, 0);
    LLVMValueRef args[2] = { region_lanes(r, index, 0), region_splat(r, bytes, 0x70) };
    args[1] = region_intrinsic(r, "llvm.uadd.sat", bytes, args, 2);
    args[0] = region_lanes(r, table, 0);
    return region_intrinsic(r, "llvm.x86.ssse3.pshuf.b.128", NULL, args, 2);
}

// ---- scalars -----------------------------------------------------------------------------------------------------

// The low bits of a scalar as an integer lane.
static LLVMValueRef as_lane(struct region *r, LLVMValueRef scalar, unsigned sub)
{
    return LLVMBuildIntCast2(r->builder, region_bits(r, scalar), region_int(r, sub), false, "");
}

static LLVMValueRef set_lane(struct region *r, LLVMValueRef v, unsigned sub, unsigned lane, LLVMValueRef scalar)
{
    return LLVMBuildInsertElement(r->builder, region_lanes(r, v, sub), as_lane(r, scalar, sub),
                                  region_k(r, r->i32, lane), "");
}

static LLVMValueRef get_lane(struct region *r, const struct ir_insn *insn, LLVMValueRef v)
{
    LLVMValueRef lane = LLVMBuildExtractElement(r->builder, region_lanes(r, v, insn->sub),
                                                region_k(r, r->i32, insn->imm), "");
    return LLVMBuildIntCast2(r->builder, lane, region_type(r, (enum ir_type)insn->type), insn->attr & IR_MEM_SIGNED, "");
}

static LLVMValueRef get_float(struct region *r, const struct ir_insn *insn, LLVMValueRef v)
{
    LLVMTypeRef type = region_type(r, (enum ir_type)insn->type);
    LLVMTypeRef lanes = LLVMVectorType(type, 16 / ir_type_size((enum ir_type)insn->type));
    return LLVMBuildExtractElement(r->builder, LLVMBuildBitCast(r->builder, v, lanes, ""), region_k(r, r->i32, 0), "");
}

static LLVMValueRef from_scalar(struct region *r, const struct ir_insn *insn, LLVMValueRef scalar)
{
    unsigned sub = (unsigned)__builtin_ctz(ir_type_size(region_arg_type(r, insn, 0)));
    LLVMTypeRef type = LLVMTypeOf(scalar);
    if (type != r->f32 && type != r->f64)
        return set_lane(r, LLVMConstNull(r->v2i64), sub, 0, scalar);
    LLVMTypeRef lanes = LLVMVectorType(type, 16u >> sub);
    return LLVMBuildInsertElement(r->builder, LLVMConstNull(lanes), scalar, region_k(r, r->i32, 0), "");
}

static LLVMValueRef duplicated(struct region *r, const struct ir_insn *insn, LLVMValueRef scalar)
{
    static const int zeros[16] = { 0 };
    LLVMValueRef v = LLVMGetPoison(region_lanes_type(r, insn->sub));
    v = LLVMBuildInsertElement(r->builder, v, as_lane(r, scalar, insn->sub), region_k(r, r->i32, 0), "");
    return region_shuffle(r, v, v, zeros, 16u >> insn->sub);
}

// ---- widths ------------------------------------------------------------------------------------------------------

// The low half's lanes at twice the size.
static LLVMValueRef widened(struct region *r, const struct ir_insn *insn, LLVMValueRef v)
{
    static const int first[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    LLVMTypeRef wide = region_lanes_type(r, insn->sub + 1u);
    v = region_lanes(r, v, insn->sub);
    v = region_shuffle(r, v, v, first, 8u >> insn->sub);
    return insn->attr & IR_V_SIGNED ? LLVMBuildSExt(r->builder, v, wide, "") : LLVMBuildZExt(r->builder, v, wide, "");
}

static LLVMValueRef clamped(struct region *r, LLVMValueRef v, const char *how, uint64_t limit)
{
    LLVMValueRef args[2] = { v, region_splat(r, LLVMTypeOf(v), limit) };
    return region_intrinsic(r, how, LLVMTypeOf(v), args, 2);
}

static LLVMValueRef narrowed(struct region *r, const struct ir_insn *insn, LLVMValueRef v)
{
    static const int from[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    unsigned sub = insn->sub, half = 4u << sub, count = 16u >> sub;
    uint64_t unsigned_max = (1ull << half) - 1, signed_max = unsigned_max >> 1;
    if (low(insn))
        v = region_zero_high(r, v);
    v = region_lanes(r, v, sub);
    if (insn->op == IR_OP_vqxtun)
        v = clamped(r, clamped(r, v, "llvm.smax", 0), "llvm.smin", unsigned_max);
    else if (insn->op == IR_OP_vqxtn && insn->attr & IR_V_SIGNED)
        v = clamped(r, clamped(r, v, "llvm.smax", ~signed_max), "llvm.smin", signed_max);
    else if (insn->op == IR_OP_vqxtn)
        v = clamped(r, v, "llvm.umin", unsigned_max);
    LLVMTypeRef narrow = LLVMVectorType(region_int(r, sub - 1u), count);
    v = LLVMBuildTrunc(r->builder, v, narrow, "");
    return region_shuffle(r, v, LLVMConstNull(narrow), from, 2 * count);
}

bool region_lower_lanes(struct region *r, const struct ir_insn *insn, LLVMValueRef *ret)
{
    LLVMValueRef a = region_arg(r, insn, 0), b = insn->arg[1] == IR_NO_VALUE ? NULL : region_arg(r, insn, 1);
    switch (insn->op) {
    case IR_OP_vrev: case IR_OP_vdupl: case IR_OP_vzip: case IR_OP_vuzp: case IR_OP_vtrn: case IR_OP_vext:
        *ret = permuted(r, insn, a, b);
        return true;
    case IR_OP_vtbl: *ret = looked_up(r, a, b); return true;
    case IR_OP_vdup: *ret = duplicated(r, insn, a); return true;
    case IR_OP_vget: *ret = get_lane(r, insn, a); return true;
    case IR_OP_vgetf: *ret = get_float(r, insn, a); return true;
    case IR_OP_vset: *ret = set_lane(r, a, insn->sub, (unsigned)insn->imm, b); return true;
    case IR_OP_vzext: *ret = from_scalar(r, insn, a); return true;
    case IR_OP_vlow: *ret = region_zero_high(r, a); return true;
    case IR_OP_vxtl: *ret = widened(r, insn, a); return true;
    case IR_OP_vmull: *ret = LLVMBuildMul(r->builder, widened(r, insn, a), widened(r, insn, b), ""); return true;
    case IR_OP_vxtn: case IR_OP_vqxtn: case IR_OP_vqxtun: *ret = narrowed(r, insn, a); return true;
    default: return false;
    }
}
