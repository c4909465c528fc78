// SPDX-License-Identifier: MIT
// Computing ops for random units, driven by the op tables: kinds choose the operands, field forms choose sub, attr and
// imm.
#include "tests/ir/random_maker.h"

#include "ir/ops.h"

// The type of arg 0 where neither the own type nor the kind alone decides it; 0 leaves it to the kind.
static uint32_t first_types(const struct ir_insn *insn)
{
    const uint32_t below = (1u << insn->type) - 1, words = 1u << IR_I32 | 1u << IR_I64;
    switch (insn->op) {
    case IR_OP_zext:
    case IR_OP_sext: return MAKER_INTS & below;
    case IR_OP_trunc: return MAKER_INTS & ~(below | 1u << insn->type);
    case IR_OP_bitcast:
        switch (insn->type) {
        case IR_I16: return 1u << IR_F16;
        case IR_I32: return 1u << IR_F32;
        case IR_I64: return 1u << IR_F64;
        case IR_F16: return 1u << IR_I16;
        case IR_F32: return 1u << IR_I32;
        default: return 1u << IR_I64;
        }
    case IR_OP_fcvt: return MAKER_FLOATS & ~(1u << insn->type);
    case IR_OP_fcmp:
    case IR_OP_f2i: return MAKER_FLOATS;
    case IR_OP_i2f: return words;
    case IR_OP_icmp: return MAKER_INTS;
    case IR_OP_vdup: return (MAKER_INTS | MAKER_FLOATS) & ~(1u << IR_I1);
    case IR_OP_vzext: return (MAKER_INTS | MAKER_FLOATS) & ~(1u << IR_I1);
    default: return 0;
    }
}

static void choose_sub(struct maker *m, struct ir_insn *insn, enum ir_type first)
{
    static const uint8_t limits[] = {
        [IR_SUB_CMP] = IR_CMP_COUNT, [IR_SUB_COND] = IR_COND_COUNT, [IR_SUB_BORROW] = 2};
    const struct ir_op_form *form = &ir_op_forms[insn->op];
    unsigned bits = ir_type_size(insn->type) * 8;
    if (form->sub == IR_SUB_LANE || (form->sub == IR_SUB_LANEF && insn->type == IR_V128)) {
        do
            insn->sub =
                (uint8_t)(form->lane_min + random_below(m->random, form->lane_max - form->lane_min + 1u));
        while ((insn->op == IR_OP_vpmull && insn->sub % 3) || (form->attr == IR_ATTR_FP && insn->sub == 1 &&
                !(m->options.classes & RANDOM_FP16) && form->lane_max > 1) ||
               (insn->op == IR_OP_vget && 1u << insn->sub > ir_type_size(insn->type)) ||
               (insn->op == IR_OP_vdup && 1u << insn->sub > ir_type_size(first)));
    } else if (form->sub == IR_SUB_POS) {
        insn->sub = (uint8_t)random_below(m->random, bits);
        insn->imm = 1 + random_below(m->random, bits - insn->sub);
    } else if (form->sub == IR_SUB_CMP || form->sub == IR_SUB_COND || form->sub == IR_SUB_BORROW) {
        insn->sub = (uint8_t)random_below(m->random, limits[form->sub]);
    }
}

static void choose_attr(struct maker *m, struct ir_insn *insn)
{
    struct random_source *r = m->random;
    switch (ir_op_forms[insn->op].attr) {
    case IR_ATTR_POLY: insn->attr = random_below(r, 2); break;
    case IR_ATTR_GET: insn->attr = random_chance(r, 50) ? IR_MEM_SIGNED : 0; break;
    case IR_ATTR_V: insn->attr = (random_chance(r, 50) ? IR_V_SIGNED : 0) | (random_chance(r, 30) ? IR_V_LO64 : 0); break;
    case IR_ATTR_FP:
        insn->attr =
            m->options.fp_mode & (IR_FP_ROUND | IR_FP_DN | IR_FP_FTZ | IR_FP_FTZ16 | IR_FP_AHP | IR_FP_X86);
        if (insn->op == IR_OP_frint || insn->op == IR_OP_f2i || insn->op == IR_OP_vf2i)
            insn->attr = (insn->attr & ~(uint32_t)IR_FP_ROUND) | random_below(r, IR_RNA + 1);
        if (insn->op == IR_OP_frint && random_chance(r, 50))
            insn->attr |= IR_FP_EXACT;
        if (insn->op == IR_OP_fma)
            insn->attr |= random_below(r, 4) * IR_FP_NEG_PRODUCT;
        if ((insn->op == IR_OP_fcmp || insn->op == IR_OP_fcmpm) && random_chance(r, 50))
            insn->attr |= IR_FP_SIGNALLING;
        if (insn->op == IR_OP_f2i || insn->op == IR_OP_i2f || insn->op == IR_OP_vf2i ||
            insn->op == IR_OP_vi2f) {
            insn->attr |= random_chance(r, 50) ? IR_FP_SIGNED : 0;
            insn->attr |= random_chance(r, 20) ? (1 + random_below(r, 16)) << IR_FP_FBITS_SHIFT : 0;
        }
        if (insn->type == IR_V128 && random_chance(r, 30))
            insn->attr |= IR_V_LO64;
        break;
    }
    if ((insn->op == IR_OP_vzip || insn->op == IR_OP_vuzp || insn->op == IR_OP_vtrn) && insn->sub == 3)
        insn->attr &= ~(uint32_t)IR_V_LO64;
}

static void choose_imm(struct maker *m, struct ir_insn *insn)
{
    struct random_source *r = m->random;
    switch (ir_op_forms[insn->op].imm) {
    case IR_IMM_CMP: insn->imm = random_below(r, IR_CMP_COUNT); return;
    case IR_IMM_FCMP: insn->imm = random_below(r, IR_FCMP_COUNT); return;
    case IR_IMM_NUM: break;
    default: return;
    }
    switch (insn->op) {
    case IR_OP_extr: insn->imm = random_below(r, ir_type_size(insn->type) * 8); break;
    case IR_OP_vshl: insn->imm = random_below(r, 8u << insn->sub); break;
    case IR_OP_vshr: insn->imm = random_below(r, (8u << insn->sub) + 1); break;
    case IR_OP_vrev: insn->imm = insn->sub + 1 + random_below(r, 3u - insn->sub); break;
    case IR_OP_vext: insn->imm = random_below(r, insn->attr & IR_V_LO64 ? 8 : 16); break;
    case IR_OP_vzip:
    case IR_OP_vuzp:
    case IR_OP_vtrn: insn->imm = random_below(r, 2); break;
    case IR_OP_vsha1r: insn->imm = random_below(r, 4); break;
    case IR_OP_vgetf: insn->imm = 0; break;
    default: insn->imm = random_below(r, 16u >> insn->sub); break;
    }
}

static uint32_t class_of(enum ir_op op)
{
    if (op >= IR_OP_vaese || op == IR_OP_vpmul || op == IR_OP_vpmull)
        return RANDOM_AES | RANDOM_VEC;
    if (op >= IR_OP_vadd)
        return RANDOM_VEC | (op == IR_OP_vgetf ? RANDOM_FP : 0);
    if (op >= IR_OP_fadd)
        return RANDOM_FP | (op >= IR_OP_vf2i && op <= IR_OP_vfcvtn ? RANDOM_VEC : 0) |
               (op == IR_OP_fcmp ? RANDOM_FLAGS : 0);
    if (op >= IR_OP_flags_add && op <= IR_OP_cond)
        return RANDOM_FLAGS;
    return op == IR_OP_crc32 ? RANDOM_CRC : op == IR_OP_bitcast ? RANDOM_FP : RANDOM_INT;
}

static bool wanted(const struct maker *m, enum ir_op op)
{
    uint32_t class = class_of(op);
    bool computes =
        ir_ops[op].flags & (IR_PURE | IR_FPX) && op != IR_OP_const && op != IR_OP_vconst && op != IR_OP_pc;
    return computes && (class & m->options.classes) == class && !m->options.skip[op];
}

void maker_compute(struct maker *m)
{
    struct ir_insn insn = {.arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}};
    do
        insn.op = (uint16_t)random_below(m->random, IR_OP_COUNT);
    while (!wanted(m, insn.op));
    const struct ir_op_info *info = &ir_ops[insn.op];
    uint32_t limit = ir_op_forms[insn.op].types, own = maker_types(m, info->result);
    own &= ir_op_prints_type(insn.op) && limit ? limit : ~0u;
    own &= insn.op == IR_OP_zext || insn.op == IR_OP_sext ? ~(1u << IR_I1) : ~0u;
    own &= insn.op == IR_OP_trunc ? ~(1u << IR_I64) : ~0u;
    if (!own)
        return;
    insn.type = (uint8_t)maker_type(m, own);
    enum ir_type first = insn.type;
    if (info->args[0] != IR_K_S) {
        uint32_t types = first_types(&insn);
        types = types
                    ? types
                    : maker_types(m, info->args[0]) & (!ir_op_prints_type(insn.op) && limit ? limit : ~0u);
        if (!(m->options.classes & RANDOM_FP))
            types &= ~(uint32_t)MAKER_FLOATS;
        if (!types)
            return;
        first = maker_type(m, types);
    }
    choose_sub(m, &insn, first);
    choose_attr(m, &insn);
    choose_imm(m, &insn);
    for (unsigned i = 0; i < 4; i++) {
        enum ir_kind kind = info->args[i];
        if (kind == IR_K__)
            continue;
        enum ir_type type = i == 0 || kind == IR_K_S0 ? first : kind == IR_K_S ? insn.type : IR_I64;
        if (kind == IR_K_B)
            type = IR_I1;
        if (kind == IR_K_ANY && i)
            type = m->options.classes & RANDOM_FP && insn.sub == 3 && random_chance(m->random, 40) ? IR_F64 : IR_I64;
        insn.arg[i] = maker_value(m, type);
    }
    maker_remember(m, ir_emit(m->unit, insn));
}
