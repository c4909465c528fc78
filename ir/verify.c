// SPDX-License-Identifier: MIT
// The verifier: everything the other parts take for granted about a unit, checked in one place. Kinds and
// field forms come from the op tables; what the tables cannot say is in check_details. It allocates and is
// not fast: debug builds and tests run it, the translation path does not.
//
// Rules by number, as the messages name them: 1 shape of blocks, 2 kinds and types, 3 fields of the
// instruction, 4 definitions dominate uses, 5 instruction markers and precise state.
#include "base/error.h"
#include "ir/flow.h"
#include "ir/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct check {
    const struct ir_unit *unit;
    struct error *err;
    uint32_t id; // instruction under test
};

#define FAIL(c, rule, ...) fail((c), (rule), __VA_ARGS__)

static int __attribute__((format(printf, 3, 4)))
fail(const struct check *c, int rule, const char *format, ...)
{
    char text[256];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    const char *op = c->id < c->unit->insn_count && c->unit->insns[c->id].op < IR_OP_COUNT
                         ? ir_ops[c->unit->insns[c->id].op].name
                         : "?";
    return error_set(c->err, -EINVAL, "instruction %u (%s): %s [rule %d]", c->id, op, text, rule);
}

static enum ir_type arg_type(const struct check *c, const struct ir_insn *insn, unsigned n)
{
    return c->unit->insns[insn->arg[n]].type;
}

static bool type_fits(enum ir_kind kind, enum ir_type type, enum ir_type own, enum ir_type first)
{
    switch (kind) {
    case IR_K__:
    case IR_K_V: return type == IR_VOID;
    case IR_K_T:
    case IR_K_ANY:
        return (type >= IR_I1 && type <= IR_I64) || (type >= IR_F16 && type <= IR_F64) || type == IR_V128 ||
               type == IR_FLAGS;
    case IR_K_I: return type >= IR_I1 && type <= IR_I64;
    case IR_K_F: return (type >= IR_F16 && type <= IR_F64) || type == IR_V128;
    case IR_K_VEC: return type == IR_V128;
    case IR_K_FL: return type == IR_FLAGS;
    case IR_K_B: return type == IR_I1;
    case IR_K_W: return type == IR_I32;
    case IR_K_D: return type == IR_I64;
    case IR_K_S: return type == own;
    case IR_K_S0: return type == first;
    }
    return false;
}

static int check_call(struct check *c, const struct ir_insn *insn)
{
    const struct ir_guest *guest = c->unit->guest;
    if (insn->imm >= guest->helper_count)
        return FAIL(c, 3, "helper number %llu out of range", (unsigned long long)insn->imm);
    const struct ir_helper *helper = &guest->helpers[insn->imm];
    if (insn->type != helper->result)
        return FAIL(c, 2, "helper %s gives %s", helper->name, ir_type_name(helper->result));
    for (unsigned i = 0; i < 4; i++) {
        enum ir_type have = insn->arg[i] == IR_NO_VALUE ? IR_VOID : arg_type(c, insn, i);
        if (have != helper->args[i])
            return FAIL(c, 2, "argument %u of helper %s is %s, not %s", i, helper->name,
                        ir_type_name(helper->args[i]), ir_type_name(have));
    }
    return 0;
}

static int check_types(struct check *c, const struct ir_insn *insn)
{
    const struct ir_op_info *info = &ir_ops[insn->op];
    const struct ir_op_form *form = &ir_op_forms[insn->op];
    for (unsigned i = 0; i < 4; i++) {
        if (insn->arg[i] != IR_NO_VALUE && (insn->arg[i] >= c->unit->insn_count || insn->arg[i] == c->id))
            return FAIL(c, 2, "argument %u names no value", i);
        if (insn->arg[i] == IR_NO_VALUE && info->args[i] != IR_K__ && !ir_arg_optional(insn->op, i))
            return FAIL(c, 2, "argument %u is missing", i);
        if (insn->arg[i] != IR_NO_VALUE && info->args[i] == IR_K__)
            return FAIL(c, 2, "argument %u is too many", i);
    }
    if (insn->op == IR_OP_call)
        return check_call(c, insn);
    if (!type_fits(info->result, insn->type, insn->type, IR_VOID))
        return FAIL(c, 2, "cannot give %s", insn->type < IR_TYPE_COUNT ? ir_type_name(insn->type) : "?");
    enum ir_type first = info->args[0] != IR_K__ ? arg_type(c, insn, 0) : IR_VOID;
    for (unsigned i = 0; i < 4; i++)
        if (insn->arg[i] != IR_NO_VALUE && !type_fits(info->args[i], arg_type(c, insn, i), insn->type, first))
            return FAIL(c, 2, "argument %u has the wrong type %s", i, ir_type_name(arg_type(c, insn, i)));
    enum ir_type own = ir_op_prints_type(insn->op) ? insn->type : first;
    if (form->types && !(form->types >> own & 1))
        return FAIL(c, 2, "not for %s", ir_type_name(own));
    if (info->args[0] == IR_K_F && !ir_type_is_float(first))
        return FAIL(c, 2, "scalar operands only");
    return 0;
}

static int check_sub(struct check *c, const struct ir_insn *insn)
{
    static const uint8_t limits[] = {
        [IR_SUB_NONE] = 1,
        [IR_SUB_CMP] = IR_CMP_COUNT,
        [IR_SUB_COND] = IR_COND_COUNT,
        [IR_SUB_RMW] = IR_RMW_COUNT,
        [IR_SUB_FENCE] = IR_FENCE_COUNT,
        [IR_SUB_POS] = 64,
        [IR_SUB_RESTART] = 2,
        [IR_SUB_BORROW] = 2,
        [IR_SUB_WRITE] = 2,
        [IR_SUB_LIKELY] = 3,
        [IR_SUB_HINT] = 3,
        [IR_SUB_EXIT] = IR_EXIT_COUNT,
    };
    const struct ir_op_form *form = &ir_op_forms[insn->op];
    bool lanes = form->sub == IR_SUB_LANE || (form->sub == IR_SUB_LANEF && insn->type == IR_V128);
    if (lanes && (insn->sub < form->lane_min || insn->sub > form->lane_max))
        return FAIL(c, 3, "lane size %u not allowed", insn->sub);
    if (!lanes && form->sub == IR_SUB_LANEF && insn->sub != 0)
        return FAIL(c, 3, "a scalar has no lane size");
    if (form->sub != IR_SUB_LANE && form->sub != IR_SUB_LANEF && insn->sub >= limits[form->sub])
        return FAIL(c, 3, "sub %u not allowed", insn->sub);
    return 0;
}

static int check_attr(struct check *c, const struct ir_insn *insn)
{
    const uint32_t fbits = 127u << IR_FP_FBITS_SHIFT;
    uint32_t known = 0;
    switch (ir_op_forms[insn->op].attr) {
    case IR_ATTR_MEM: known = 0x7fff; break;
    case IR_ATTR_FP: known = 0xffff | fbits; break;
    case IR_ATTR_V: known = IR_V_SIGNED | IR_V_LO64; break;
    case IR_ATTR_GET: known = IR_MEM_SIGNED; break;
    case IR_ATTR_POLY: known = 1; break;
    case IR_ATTR_LEN: known = 0xff; break;
    case IR_ATTR_RET: known = ~0u; break;
    default: break;
    }
    if (insn->attr & ~known)
        return FAIL(c, 3, "attr 0x%x has unknown bits", insn->attr);
    if (ir_op_forms[insn->op].attr == IR_ATTR_FP && (insn->attr & IR_V_LO64) && insn->type != IR_V128)
        return FAIL(c, 3, "lo64 on a scalar");
    if (ir_op_forms[insn->op].attr == IR_ATTR_FP && (insn->attr & IR_FP_ROUND) > IR_RO)
        return FAIL(c, 3, "unknown rounding mode");
    return 0;
}

static int check_imm(struct check *c, const struct ir_insn *insn)
{
    const struct ir_unit *unit = c->unit;
    uint32_t lo = (uint32_t)insn->imm, hi = (uint32_t)(insn->imm >> 32);
    switch (ir_op_forms[insn->op].imm) {
    case IR_IMM_NONE: return insn->imm ? FAIL(c, 3, "imm must be 0") : 0;
    case IR_IMM_POOL: return insn->imm < unit->vpool_count ? 0 : FAIL(c, 3, "no such vector constant");
    case IR_IMM_FIELD: return insn->imm < unit->guest->layout->count ? 0 : FAIL(c, 3, "no such field");
    case IR_IMM_BLOCK: return insn->imm < unit->block_count ? 0 : FAIL(c, 3, "no such block");
    case IR_IMM_BLOCKS:
        return lo < unit->block_count && hi < unit->block_count ? 0 : FAIL(c, 3, "no such block");
    case IR_IMM_SPAN: return (int32_t)lo < (int32_t)hi ? 0 : FAIL(c, 3, "empty span");
    case IR_IMM_CMP: return insn->imm < IR_CMP_COUNT ? 0 : FAIL(c, 3, "no such comparison");
    case IR_IMM_FCMP: return insn->imm < IR_FCMP_COUNT ? 0 : FAIL(c, 3, "no such comparison");
    case IR_IMM_LEN:
        return insn->imm >= 1 && insn->sub + insn->imm <= ir_type_size(insn->type) * 8
                   ? 0
                   : FAIL(c, 3, "bits %u+%llu do not fit the type", insn->sub, (unsigned long long)insn->imm);
    default: return 0;
    }
}

// Bounds of a plain number in imm: the first value not allowed.
static uint64_t number_limit(const struct ir_insn *insn)
{
    unsigned lane_bits = 8u << insn->sub;
    switch (insn->op) {
    case IR_OP_extr: return ir_type_size(insn->type) * 8;
    case IR_OP_vshl: return lane_bits;
    case IR_OP_vshr: return lane_bits + 1;
    case IR_OP_vdupl:
    case IR_OP_vget:
    case IR_OP_vset: return 16u >> insn->sub;
    case IR_OP_vgetf: return 1;
    case IR_OP_vrev:
    case IR_OP_vsha1r: return 4;
    case IR_OP_vext: return insn->attr & IR_V_LO64 ? 8 : 16;
    case IR_OP_vzip:
    case IR_OP_vuzp:
    case IR_OP_vtrn: return 2;
    default: return UINT64_MAX;
    }
}

static int check_details(struct check *c, const struct ir_insn *insn)
{
    enum ir_type first = insn->arg[0] != IR_NO_VALUE ? arg_type(c, insn, 0) : IR_VOID;
    enum ir_type value = insn->op == IR_OP_st ? arg_type(c, insn, 1) : (enum ir_type)insn->type;
    if (ir_op_forms[insn->op].imm == IR_IMM_NUM && insn->imm >= number_limit(insn))
        return FAIL(c, 3, "imm %llu out of range", (unsigned long long)insn->imm);
    switch (insn->op) {
    case IR_OP_get:
        return insn->type == c->unit->guest->layout->fields[insn->imm].type
                   ? 0
                   : FAIL(c, 2, "not the field's type");
    case IR_OP_put:
        return first == c->unit->guest->layout->fields[insn->imm].type ? 0
                                                                       : FAIL(c, 2, "not the field's type");
    case IR_OP_zext:
    case IR_OP_sext: return first < insn->type ? 0 : FAIL(c, 2, "does not widen");
    case IR_OP_trunc: return first > insn->type ? 0 : FAIL(c, 2, "does not narrow");
    case IR_OP_bitcast:
        return ir_type_size(first) == ir_type_size(insn->type) &&
                       ir_type_is_int(first) != ir_type_is_int(insn->type)
                   ? 0
                   : FAIL(c, 2, "types do not pair");
    case IR_OP_fcvt: return first != insn->type ? 0 : FAIL(c, 2, "converts to the same type");
    case IR_OP_f2i:
    case IR_OP_i2f: {
        enum ir_type i = insn->op == IR_OP_f2i ? (enum ir_type)insn->type : first;
        return i == IR_I32 || i == IR_I64 ? 0 : FAIL(c, 2, "i32 or i64 only");
    }
    case IR_OP_vzip:
    case IR_OP_vuzp:
    case IR_OP_vtrn:
        return insn->sub == 3 && (insn->attr & IR_V_LO64) ? FAIL(c, 3, "one lane cannot be permuted") : 0;
    case IR_OP_vrev: return insn->imm > insn->sub ? 0 : FAIL(c, 3, "container not larger than the lane");
    case IR_OP_vpmull:
        return insn->sub == 0 || insn->sub == 3 ? 0 : FAIL(c, 3, "lane size %u not allowed", insn->sub);
    case IR_OP_vset:
    case IR_OP_vdup: {
        enum ir_type t = insn->op == IR_OP_vdup ? first : arg_type(c, insn, 1);
        bool ok = t >= IR_I8 && t <= IR_F64 && ir_type_size(t) >= 1u << insn->sub;
        return ok ? 0 : FAIL(c, 2, "lane from %s", ir_type_name(t));
    }
    case IR_OP_vget: return 1u << insn->sub <= ir_type_size(insn->type) ? 0 : FAIL(c, 2, "lane does not fit");
    case IR_OP_ld:
    case IR_OP_st:
    case IR_OP_cas:
    case IR_OP_rmw: {
        unsigned have =
            value == IR_V128 || ir_type_is_int(value) || ir_type_is_float(value) ? ir_type_size(value) : 0;
        bool ok = ir_type_is_int(value) ? value != IR_I1 && ir_mem_bytes(insn->attr) <= have
                                        : ir_mem_bytes(insn->attr) == have;
        return ok && (insn->attr & IR_MEM_SIZE) <= 4
                   ? 0
                   : FAIL(c, 2, "%u bytes of %s", ir_mem_bytes(insn->attr), ir_type_name(value));
    }
    default: return 0;
    }
}

static int check_insn(struct check *c, uint32_t id)
{
    const struct ir_insn *insn = &c->unit->insns[id];
    c->id = id;
    if (insn->op >= IR_OP_COUNT || insn->type >= IR_TYPE_COUNT)
        return FAIL(c, 2, "no such op or type");
    int r = check_types(c, insn);
    r = r ? r : check_sub(c, insn);
    r = r ? r : check_attr(c, insn);
    r = r ? r : check_imm(c, insn);
    return r ? r : check_details(c, insn);
}

static int check_shape(struct check *c)
{
    const struct ir_unit *unit = c->unit;
    if (unit->failed)
        return error_set(c->err, -EINVAL, "the unit failed while it was built [rule 1]");
    if (unit->block_count == 0 || unit->insn_count == 0)
        return error_set(c->err, -EINVAL, "the unit is empty [rule 1]");
    for (uint32_t b = 0; b < unit->block_count; b++) {
        const struct ir_block *block = &unit->blocks[b];
        if (block->count == 0 || block->first > unit->insn_count ||
            block->count > unit->insn_count - block->first)
            return error_set(c->err, -EINVAL, "block b%u is empty or out of range [rule 1]", b);
        for (uint32_t i = 0; i < block->count; i++) {
            c->id = block->first + i;
            const struct ir_insn *insn = &unit->insns[c->id];
            if (insn->op >= IR_OP_COUNT)
                return FAIL(c, 2, "no such op");
            if (!(ir_ops[insn->op].flags & IR_TERM) != (i != block->count - 1))
                return FAIL(c, 1, i == block->count - 1 ? "block b%u does not end in a terminator"
                                                        : "terminator inside block b%u", b);
        }
    }
    return 0;
}

// Rule 4: a use in the same block comes later; in another, the definition's block dominates.
static int check_uses(struct check *c, const struct ir_flow *flow, uint32_t *home_of)
{
    const struct ir_unit *unit = c->unit;
    memset(home_of, 0xff, unit->insn_count * sizeof *home_of);
    for (uint32_t b = 0; b < unit->block_count; b++)
        for (uint32_t i = 0; i < unit->blocks[b].count; i++)
            home_of[unit->blocks[b].first + i] = b;
    for (uint32_t b = 0; b < unit->block_count; b++) {
        if (flow->order[b] == IR_FLOW_UNREACHED)
            continue;
        const struct ir_block *block = &unit->blocks[b];
        for (c->id = block->first; c->id < block->first + block->count; c->id++) {
            for (unsigned i = 0; i < 4; i++) {
                uint32_t arg = unit->insns[c->id].arg[i];
                if (arg == IR_NO_VALUE)
                    continue;
                uint32_t home = home_of[arg];
                bool ok = home == b ? arg < c->id : home != IR_NO_VALUE && ir_flow_dominates(flow, home, b);
                if (!ok)
                    return FAIL(c, 4, "%%%u is not defined on every path here", arg);
            }
        }
    }
    return 0;
}

// Rule 5, as a forward "may" analysis: what some path to here leaves behind.
enum {
    NO_MARKER = 1, // no instruction marker yet
    EXACT = 2,     // inside an instruction that is not restartable
    WRITTEN = 4,   // and it has put a field
};

static int walk_markers(struct check *c, uint32_t b, uint8_t *state)
{
    const struct ir_block *block = &c->unit->blocks[b];
    for (c->id = block->first; c->id < block->first + block->count; c->id++) {
        const struct ir_insn *insn = &c->unit->insns[c->id];
        uint16_t flags = ir_ops[insn->op].flags;
        if (insn->op == IR_OP_insn)
            *state = insn->sub & 1 ? 0 : EXACT;
        if ((*state & NO_MARKER) && (flags & (IR_FAULT | IR_ST_W)))
            return FAIL(c, 5, "before the first instruction marker");
        if ((*state & WRITTEN) && (flags & IR_FAULT) && insn->op != IR_OP_poll)
            return FAIL(c, 5, "may fault after a put of the same instruction");
        if (insn->op == IR_OP_put && (*state & EXACT))
            *state |= WRITTEN;
    }
    return 0;
}

static int check_markers(struct check *c, const struct ir_flow *flow, uint8_t *entry)
{
    bool changed = true;
    entry[0] = NO_MARKER;
    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < flow->count; i++) {
            uint32_t next[2], b = flow->rpo[i];
            uint8_t state = entry[b];
            int r = walk_markers(c, b, &state);
            if (r)
                return r;
            for (unsigned n = ir_successors(c->unit, b, next); n--;) {
                changed |= (state & ~entry[next[n]]) != 0;
                entry[next[n]] |= state;
            }
        }
    }
    return 0;
}

int ir_verify(const struct ir_unit *unit, struct error *err)
{
    struct check c = {unit, err, 0};
    int r = check_shape(&c);
    for (uint32_t id = 0; !r && id < unit->insn_count; id++)
        r = check_insn(&c, id);
    if (r)
        return r;
    size_t size = ir_flow_size(unit), homes = unit->insn_count * sizeof(uint32_t);
    char *memory = calloc(1, size + homes + unit->block_count);
    if (!memory)
        return error_set(err, -ENOMEM, "out of memory");
    struct ir_flow flow;
    ir_flow_build(unit, memory, &flow);
    r = check_uses(&c, &flow, (uint32_t *)(memory + size));
    r = r ? r : check_markers(&c, &flow, (uint8_t *)memory + size + homes);
    free(memory);
    return r;
}
