// SPDX-License-Identifier: MIT
// Flags values, conditions, comparisons and select.
//
// A flags op whose operands an arithmetic op just took costs nothing: EFLAGS hold it. It is packed into a register
// (lahf, seto) only if something other than the conditions that follow at once uses it. An i1 that only branches and
// selects use, while EFLAGS stand, never gets a register ("fused"). The window in which EFLAGS stand is that of
// instructions for which x64_keeps_eflags holds.
#include "backends/x64/compile.h"
#include "backends/x64/fp_shape.h"

void x64_clobber_flags(struct x64_compile *c)
{
    c->flags_value = c->flags_bool = c->arith = IR_NO_VALUE;
}

bool x64_keeps_eflags(const struct ir_insn *insn)
{
    switch (insn->op) {
    case IR_OP_nop: case IR_OP_insn: case IR_OP_const: case IR_OP_vconst: case IR_OP_get: case IR_OP_put:
    case IR_OP_pc: case IR_OP_zext: case IR_OP_not: case IR_OP_bitcast:
        return insn->op != IR_OP_not || insn->type >= IR_I32;
    case IR_OP_trunc:
        return insn->type == IR_I32;
    default:
        return false;
    }
}

// Uses of value from here on that EFLAGS can serve: conditions on a flags value, branches and selects on an i1.
static uint32_t uses_in_window(const struct x64_compile *c, uint32_t value, bool flags, uint32_t *ret_conds)
{
    const struct ir_insn *insns = c->unit->insns;
    uint32_t n = 0;
    for (uint32_t i = c->pos + 1; i < c->block_end && i < c->pos + 24; i++) {
        const struct ir_insn *insn = &insns[i];
        if (insn->op == IR_OP_cond && flags && insn->arg[0] == value) {
            n++;
            if (ret_conds)
                *ret_conds |= 1u << insn->sub;
        } else if (insn->op == IR_OP_select || insn->op == IR_OP_brif) {
            uint32_t b = insn->arg[0];
            if (flags ? insns[b].op != IR_OP_cond || insns[b].arg[0] != value || b < value : b != value)
                return n;
            if (!flags) {
                n++;
                for (unsigned k = 1; k < 3; k++) // as an operand it needs a register
                    if (insn->op == IR_OP_select && insn->arg[k] == value)
                        n -= 1;
            }
        } else if (insn->op == IR_OP_cond && !flags) {
            return n;
        } else if (!x64_keeps_eflags(insn) && !c->values[i].done) {
            return n;
        }
    }
    return n;
}

static bool fusable(const struct x64_compile *c, uint32_t value)
{
    return uses_in_window(c, value, false, NULL) == c->values[value].uses;
}

bool x64_conds_in_window(const struct x64_compile *c, uint32_t value, uint32_t *ret_conds)
{
    return uses_in_window(c, value, true, ret_conds) == c->values[value].uses;
}

// ---- which arithmetic op makes which flags -----------------------------------------------------------------------

static bool same_value(const struct x64_compile *c, uint32_t a, uint32_t b)
{
    return a == b || (c->values[a].cell == c->values[b].cell && x64_type(c, a) == x64_type(c, b));
}

// a + -k for the flags of a - k: passes turn subtractions of constants into additions.
static bool negated(const struct x64_compile *c, const struct ir_insn *add, const struct ir_insn *flags)
{
    int32_t k, minus;
    return add->op == IR_OP_add && flags->op == IR_OP_flags_sub && add->type == x64_type(c, flags->arg[0]) &&
           add->type >= IR_I32 && x64_imm32(c, flags->arg[1], &k) && x64_imm32(c, add->arg[1], &minus) &&
           k != INT32_MIN && minus == -k && same_value(c, add->arg[0], flags->arg[0]);
}

static bool makes(const struct x64_compile *c, uint32_t arith, const struct ir_insn *flags)
{
    const struct ir_insn *a = &c->unit->insns[arith];
    if (negated(c, a, flags))
        return true;
    if (flags->op == IR_OP_flags_logic)
        return (a->op == IR_OP_and || a->op == IR_OP_or || a->op == IR_OP_xor || a->op == IR_OP_andn) &&
               same_value(c, flags->arg[0], arith);
    static const uint16_t wanted[] = { IR_OP_add, IR_OP_sub, IR_OP_adc, IR_OP_sbc };
    if (a->op != wanted[flags->op - IR_OP_flags_add] || a->type != x64_type(c, flags->arg[0]))
        return false;
    for (unsigned k = 0; k < 3 && flags->arg[k] != IR_NO_VALUE; k++)
        if (!same_value(c, a->arg[k], flags->arg[k]))
            return false;
    return true;
}

static bool is_flags_op(uint16_t op)
{
    return op >= IR_OP_flags_add && op <= IR_OP_flags_logic;
}

// The flags op near it that wants an op's EFLAGS, or NULL.
static const struct ir_insn *flags_near(const struct x64_compile *c, const struct ir_insn *insn)
{
    const struct ir_insn *insns = c->unit->insns;
    uint32_t self = (uint32_t)(insn - insns);
    for (uint32_t i = self + 1; i < c->block_end && i < self + 6; i++) {
        if (is_flags_op(insns[i].op) && makes(c, self, &insns[i]))
            return &insns[i];
        if (is_flags_op(insns[i].op) || !x64_keeps_eflags(&insns[i]))
            break;
    }
    // The flags op may have come first and asked for this one early.
    for (uint32_t i = self; i-- > 0 && i + 6 > self;)
        if (is_flags_op(insns[i].op))
            return makes(c, self, &insns[i]) ? &insns[i] : NULL;
    return NULL;
}

bool x64_flags_follow(const struct x64_compile *c, const struct ir_insn *insn)
{
    return flags_near(c, insn) != NULL;
}

bool x64_wanted_as_sub(const struct x64_compile *c, const struct ir_insn *insn)
{
    const struct ir_insn *flags = flags_near(c, insn);
    return flags && negated(c, insn, flags);
}

// The op whose EFLAGS stand made these flags.
static bool made(const struct x64_compile *c, const struct ir_insn *flags)
{
    return c->arith != IR_NO_VALUE && makes(c, c->arith, flags) &&
           c->arith_is_sub == negated(c, &c->unit->insns[c->arith], flags);
}

// The arithmetic op right behind a flags op, which may be done first to make the flags. Moving it needs its operands
// to have no use in between.
static bool hoist_arith(struct x64_compile *c, const struct ir_insn *flags)
{
    uint32_t self = c->pos;
    for (uint32_t i = self + 1; i < c->block_end && i < self + 5; i++) {
        const struct ir_insn *insn = &c->unit->insns[i];
        if (insn->op == IR_OP_put || insn->op == IR_OP_nop) {
            if (insn->op == IR_OP_put && insn->arg[0] != self)
                return false;
            continue;
        }
        if (insn->op == IR_OP_const) {
            if (!c->values[i].done)
                x64_lower(c, i);
            c->values[i].done = true;
            c->pos = self;
            x64_begin_insn(c); // pins our operands again
            continue;
        }
        if (flags->op == IR_OP_flags_logic || insn->op < IR_OP_add || insn->op > IR_OP_sbc || !makes(c, i, flags) ||
            c->values[i].done || !x64_flags_follow(c, insn)) // else its operands would be gone, and no flags made
            return false;
        x64_lower(c, i);
        c->values[i].done = true;
        c->pos = self;
        x64_begin_insn(c);
        return c->arith == i && made(c, flags);
    }
    return false;
}

// ---- making flags ------------------------------------------------------------------------------------------------

void x64_set_carry(struct x64_compile *c, unsigned reg, bool inverted)
{
    x64_rr(c->e, X64_0F | 0xba | X64_IMM1, 4, reg); // bt
    x64_u8(c->e, 0);
    if (inverted) {
        x64_room(c->e);
        x64_u8(c->e, 0xf5); // cmc
    }
}

static void emit_flags(struct x64_compile *c, const struct ir_insn *insn)
{
    uint32_t a = insn->arg[0], b = insn->arg[1];
    bool w = x64_type(c, a) == IR_I64;
    int32_t imm;
    unsigned ra = x64_use(c, a);
    switch (insn->op) {
    case IR_OP_flags_logic:
        x64_test_rr(c->e, w, ra, ra);
        break;
    case IR_OP_flags_sub:
        if (x64_imm32(c, b, &imm)) {
            if (imm == 0)
                x64_test_rr(c->e, w, ra, ra);
            else
                x64_alu_ri(c->e, X64_CMP, w, ra, imm);
        } else {
            x64_alu_rr(c->e, X64_CMP, w, ra, x64_use(c, b));
        }
        break;
    case IR_OP_flags_add:
        if (x64_imm32(c, b, &imm)) {
            x64_mov_rr(c->e, true, X64_RAX, ra);
            x64_alu_ri(c->e, X64_ADD, w, X64_RAX, imm);
        } else {
            unsigned rb = x64_use(c, b);
            x64_mov_rr(c->e, true, X64_RAX, ra);
            x64_alu_rr(c->e, X64_ADD, w, X64_RAX, rb);
        }
        break;
    default: {
        bool subtract = insn->op == IR_OP_flags_sbc;
        unsigned rb = x64_use(c, b), rc = x64_use(c, insn->arg[2]);
        x64_mov_rr(c->e, true, X64_RAX, ra);
        x64_set_carry(c, rc, subtract);
        x64_alu_rr(c->e, subtract ? X64_SBB : X64_ADC, w, X64_RAX, rb);
    }
    }
}

// ah := low byte of EFLAGS, al := OF; EFLAGS stay.
static void emit_lahf(struct x64_compile *c)
{
    x64_room(c->e);
    if (x64_has(c, X64_HAS_LAHF)) {
        x64_u8(c->e, 0x9f);
    } else {
        x64_u8(c->e, 0x9c); // pushfq
        x64_u8(c->e, 0x59); // pop rcx
        x64_u8(c->e, 0x88); // mov ah, cl
        x64_u8(c->e, 0xcc);
    }
    x64_setcc(c->e, X64_O, X64_RAX);
}

// EFLAGS := packed form in eax.
static void emit_sahf(struct x64_compile *c)
{
    x64_room(c->e);
    x64_u8(c->e, 0x04); // add al, 0x7f: OF
    x64_u8(c->e, 0x7f);
    if (x64_has(c, X64_HAS_LAHF)) {
        x64_u8(c->e, 0x9e);
        return;
    }
    x64_u8(c->e, 0x9c); // pushfq
    x64_u8(c->e, 0x59); // pop rcx
    x64_u8(c->e, 0x88); // mov cl, ah
    x64_u8(c->e, 0xe1);
    x64_u8(c->e, 0x51); // push rcx
    x64_u8(c->e, 0x9d); // popfq
}

static void complement_carry(struct x64_compile *c)
{
    x64_room(c->e);
    x64_u8(c->e, 0xf5);
    c->flags_c_inverted = !c->flags_c_inverted;
}

static void lower_flags_op(struct x64_compile *c, const struct ir_insn *insn)
{
    bool there = made(c, insn) || hoist_arith(c, insn);
    if (!there)
        emit_flags(c, insn);
    uint32_t conds = 0, arith = there ? c->arith : IR_NO_VALUE;
    x64_clobber_flags(c);
    c->arith = arith;
    c->flags_value = c->pos;
    c->flags_kind = X64_FLAGS_INT;
    c->flags_c_inverted = (insn->op == IR_OP_flags_sub && !(insn->sub & 1)) || insn->op == IR_OP_flags_sbc;
    if (x64_conds_in_window(c, c->pos, &conds)) {
        c->values[c->pos].fused = true;
        return;
    }
    emit_lahf(c);
    unsigned dst = x64_def(c, c->pos);
    if (c->flags_c_inverted) // adding to C inverts it; the carry ends in bits 9 to 11, which LAHF makes 1, P and 0
        x64_lea(c->e, false, dst, x64_at(X64_RAX, IR_FLAG_C));
    else
        x64_mov_rr(c->e, false, dst, X64_RAX);
}

// ---- reading flags -----------------------------------------------------------------------------------------------

static const uint8_t cond_cc[IR_COND_COUNT] = { // with CF the complement of C, as x86's own subtraction
    [IR_EQ] = X64_E, [IR_NE] = X64_NE, [IR_CS] = X64_AE, [IR_CC] = X64_B, [IR_MI] = X64_S, [IR_PL] = X64_NS,
    [IR_VS] = X64_O, [IR_VC] = X64_NO, [IR_HI] = X64_A, [IR_LS] = X64_BE, [IR_GE] = X64_GE, [IR_LT] = X64_L,
    [IR_GT] = X64_G, [IR_LE] = X64_LE,
};

// The condition on flags that EFLAGS hold; false if they cannot say it.
static bool cc_in_eflags(struct x64_compile *c, uint32_t flags, enum ir_cond cond, enum x64_cc *ret)
{
    if (c->flags_value != flags)
        return false;
    if (c->flags_kind != X64_FLAGS_INT)
        return x64_fcmp_cc(c->flags_kind == X64_FLAGS_FP_SWAPPED, cond, ret);
    if (!c->flags_c_inverted && (cond == IR_HI || cond == IR_LS)) {
        complement_carry(c);
        c->arith = IR_NO_VALUE;
    }
    *ret = (enum x64_cc)cond_cc[cond];
    if (!c->flags_c_inverted && (cond == IR_CS || cond == IR_CC))
        *ret = cond == IR_CS ? X64_B : X64_AE;
    return true;
}

// From the packed form in a register.
static enum x64_cc cc_of_packed(struct x64_compile *c, unsigned reg, enum ir_cond cond)
{
    static const struct { uint32_t mask; uint8_t cc; } bits[] = {
        [IR_EQ] = { IR_FLAG_Z, X64_NE }, [IR_NE] = { IR_FLAG_Z, X64_E }, [IR_CS] = { IR_FLAG_C, X64_NE },
        [IR_CC] = { IR_FLAG_C, X64_E }, [IR_MI] = { IR_FLAG_N, X64_NE }, [IR_PL] = { IR_FLAG_N, X64_E },
        [IR_VS] = { IR_FLAG_V, X64_NE }, [IR_VC] = { IR_FLAG_V, X64_E },
    };
    x64_clobber_flags(c);
    if (cond <= IR_VC) {
        x64_test_ri(c->e, reg, bits[cond].mask);
        return (enum x64_cc)bits[cond].cc;
    }
    x64_mov_rr(c->e, false, X64_RAX, reg);
    if (cond == IR_HI || cond == IR_LS) {
        x64_alu_ri(c->e, X64_AND, false, X64_RAX, IR_FLAG_C | IR_FLAG_Z);
        x64_alu_ri(c->e, X64_CMP, false, X64_RAX, IR_FLAG_C);
        return cond == IR_HI ? X64_E : X64_NE;
    }
    emit_sahf(c);
    return (enum x64_cc)cond_cc[cond];
}

static void keep_bool(struct x64_compile *c, enum x64_cc cc)
{
    unsigned dst = x64_def(c, c->pos);
    x64_setcc(c->e, cc, dst);
    x64_extend(c->e, 0, false, false, dst, dst);
}

static void lower_cond(struct x64_compile *c, const struct ir_insn *insn)
{
    struct x64_value *v = &c->values[c->pos];
    uint32_t flags = insn->arg[0];
    bool fuse = fusable(c, c->pos);
    enum x64_cc cc;
    if (cc_in_eflags(c, flags, insn->sub, &cc)) {
        v->fused = fuse;
        if (!fuse)
            keep_bool(c, cc);
        return;
    }
    cc = cc_of_packed(c, x64_use(c, flags), insn->sub);
    v->fused = fuse;
    if (fuse)
        c->flags_bool = c->pos, v->cc = (uint8_t)cc;
    else
        keep_bool(c, cc);
}

// Whether EFLAGS of an arithmetic op answer a comparison of its result with 0.
static bool zero_flag_of(const struct x64_compile *c, uint32_t arith, enum ir_cmp cmp)
{
    uint16_t op = c->unit->insns[arith].op;
    return cmp <= IR_CNE || ((op == IR_OP_and || op == IR_OP_or || op == IR_OP_xor || op == IR_OP_andn) && cmp >= IR_CSLT);
}

// An `and` that only a comparison with 0 wants, right behind it: a test will do.
bool x64_only_tested(const struct x64_compile *c, const struct ir_insn *insn)
{
    const struct ir_insn *insns = c->unit->insns;
    if (c->values[insn - insns].uses != 1)
        return false;
    const struct ir_insn *next = insn + 1;
    while (next->op == IR_OP_const)
        next++;
    uint64_t k;
    return next->op == IR_OP_icmp && next->sub <= IR_CNE && next->arg[0] == (uint32_t)(insn - insns) &&
           next - insns < (ptrdiff_t)c->block_end && x64_const(c, next->arg[1], &k) && k == 0;
}

static enum x64_cc emit_icmp(struct x64_compile *c, const struct ir_insn *insn)
{
    static const uint8_t ccs[IR_CMP_COUNT] = { X64_E, X64_NE, X64_B, X64_AE, X64_BE, X64_A, X64_L, X64_GE, X64_LE,
                                               X64_G };
    enum ir_type type = x64_type(c, insn->arg[0]);
    bool w = type == IR_I64;
    int32_t imm;
    if (x64_imm32(c, insn->arg[1], &imm) && imm == 0 && c->arith != IR_NO_VALUE &&
        same_value(c, c->arith, insn->arg[0]) && zero_flag_of(c, c->arith, insn->sub))
        return (enum x64_cc)ccs[insn->sub];
    unsigned ra = x64_use(c, insn->arg[0]);
    if (type < IR_I32 && insn->sub >= IR_CSLT) {
        unsigned rb = x64_use(c, insn->arg[1]), shift = type == IR_I1 ? 31 : type == IR_I8 ? 24 : 16;
        x64_mov_rr(c->e, false, X64_RAX, ra);
        x64_mov_rr(c->e, false, X64_RCX, rb);
        x64_shift_ri(c->e, X64_SHL, false, X64_RAX, shift);
        x64_shift_ri(c->e, X64_SHL, false, X64_RCX, shift);
        x64_alu_rr(c->e, X64_CMP, false, X64_RAX, X64_RCX);
    } else if (x64_imm32(c, insn->arg[1], &imm)) {
        if (imm == 0)
            x64_test_rr(c->e, w, ra, ra);
        else
            x64_alu_ri(c->e, X64_CMP, w, ra, imm);
    } else {
        x64_alu_rr(c->e, X64_CMP, w, ra, x64_use(c, insn->arg[1]));
    }
    return (enum x64_cc)ccs[insn->sub];
}

static void lower_icmp(struct x64_compile *c, const struct ir_insn *insn)
{
    struct x64_value *v = &c->values[c->pos];
    enum x64_cc cc = emit_icmp(c, insn);
    x64_clobber_flags(c);
    v->fused = fusable(c, c->pos);
    if (v->fused)
        c->flags_bool = c->pos, v->cc = (uint8_t)cc;
    else
        keep_bool(c, cc);
}

enum x64_cc x64_test_bool(struct x64_compile *c, uint32_t value)
{
    const struct ir_insn *insn = &c->unit->insns[value];
    enum x64_cc cc;
    if (insn->op == IR_OP_cond && cc_in_eflags(c, insn->arg[0], insn->sub, &cc))
        return cc;
    if (c->flags_bool == value)
        return (enum x64_cc)c->values[value].cc;
    unsigned r = x64_use(c, value);
    x64_test_rr(c->e, false, r, r);
    x64_clobber_flags(c);
    return X64_NE;
}

static void lower_select(struct x64_compile *c, const struct ir_insn *insn)
{
    uint32_t yes = insn->arg[1], no = insn->arg[2];
    if (x64_in_xmm(insn->type)) {
        unsigned xy = x64_use_xmm(c, yes), xn = x64_use_xmm(c, no), dst = x64_def_over_xmm(c, c->pos, no);
        if (!c->values[insn->arg[0]].fused)
            x64_use(c, insn->arg[0]);
        x64_vmov(c->e, dst, xn);
        enum x64_cc cc = x64_test_bool(c, insn->arg[0]);
        uint32_t skip = x64_jcc_short(c->e, cc ^ 1);
        x64_vmov(c->e, dst, xy);
        x64_land(c->e, skip);
        return;
    }
    bool w = insn->type == IR_I64;
    unsigned ry = x64_use(c, yes), rn = x64_use(c, no);
    enum x64_cc cc = x64_test_bool(c, insn->arg[0]); // before dst takes a register over; moves keep EFLAGS
    unsigned dst = x64_def_over(c, c->pos, no);
    if (dst != rn)
        x64_mov_rr(c->e, w, dst, rn);
    x64_cmov(c->e, cc, w, dst, ry);
}

// ---- packed form and ARM's word ----------------------------------------------------------------------------------

static void move_bits(struct x64_compile *c, unsigned src, uint32_t mask, int shift)
{
    x64_mov_rr(c->e, false, X64_RCX, src);
    x64_alu_ri(c->e, X64_AND, false, X64_RCX, (int32_t)mask);
    x64_shift_ri(c->e, shift > 0 ? X64_SHL : X64_SHR, false, X64_RCX, (unsigned)(shift > 0 ? shift : -shift));
    x64_alu_rr(c->e, X64_OR, false, X64_RAX, X64_RCX);
}

static void lower_repack(struct x64_compile *c, const struct ir_insn *insn)
{
    bool pack = insn->op == IR_OP_flags_pack;
    unsigned ra = x64_use(c, insn->arg[0]), dst = x64_def(c, c->pos);
    x64_clobber_flags(c);
    x64_mov_rr(c->e, false, X64_RAX, ra);
    if (pack) {
        x64_shift_ri(c->e, X64_SHR, false, X64_RAX, 16);
        x64_alu_ri(c->e, X64_AND, false, X64_RAX, IR_FLAG_N | IR_FLAG_Z);
        move_bits(c, ra, 1u << 29, -21);
        move_bits(c, ra, 1u << 28, -28);
    } else {
        x64_alu_ri(c->e, X64_AND, false, X64_RAX, IR_FLAG_N | IR_FLAG_Z);
        x64_shift_ri(c->e, X64_SHL, false, X64_RAX, 16);
        move_bits(c, ra, IR_FLAG_C, 21);
        move_bits(c, ra, IR_FLAG_V, 28);
    }
    x64_mov_rr(c->e, false, dst, X64_RAX);
}

bool x64_lower_flags(struct x64_compile *c, const struct ir_insn *insn)
{
    switch (insn->op) {
    case IR_OP_flags_add: case IR_OP_flags_sub: case IR_OP_flags_adc: case IR_OP_flags_sbc: case IR_OP_flags_logic:
        lower_flags_op(c, insn);
        return true;
    case IR_OP_flags_pack:
    case IR_OP_flags_unpack: lower_repack(c, insn); break;
    case IR_OP_cond: lower_cond(c, insn); return true;
    case IR_OP_icmp: lower_icmp(c, insn); return true;
    case IR_OP_select: lower_select(c, insn); break;
    default: return false;
    }
    return true;
}
