// SPDX-License-Identifier: MIT
// Owns the vocabulary of the translators: registers, extension, conditions, exits.
#include "frontends/a64/tr.h"

#include "frontends/a64/regs.h"

uint32_t a64_reg(struct a64_tr *t, unsigned n, bool sf)
{
    if (n == 31)
        return a64_imm(t, sf, 0);
    uint32_t v = ir_get(t->u, A64_F_X0 + n);
    return sf ? v : ir_op1(t->u, IR_OP_trunc, IR_I32, v);
}

uint32_t a64_reg_sp(struct a64_tr *t, unsigned n, bool sf)
{
    uint32_t v = ir_get(t->u, A64_F_X0 + n);

    return sf ? v : ir_op1(t->u, IR_OP_trunc, IR_I32, v);
}
_Static_assert(A64_F_SP == A64_F_X0 + 31, "number 31 is SP in the _sp forms");

static uint32_t widen(struct a64_tr *t, bool sf, uint32_t value)
{
    return sf ? value : ir_op1(t->u, IR_OP_zext, IR_I64, value);
}

void a64_set_reg(struct a64_tr *t, unsigned n, bool sf, uint32_t value)
{
    if (n != 31)
        ir_put(t->u, A64_F_X0 + n, widen(t, sf, value));
}

void a64_set_reg_sp(struct a64_tr *t, unsigned n, bool sf, uint32_t value)
{
    if (n == 31)
        t->sp_aligned = false;
    ir_put(t->u, A64_F_X0 + n, widen(t, sf, value));
}

uint32_t a64_vec(struct a64_tr *t, unsigned n)
{
    return ir_get(t->u, A64_F_V0 + n);
}

void a64_set_vec(struct a64_tr *t, unsigned n, uint32_t value)
{
    ir_put(t->u, A64_F_V0 + n, value);
}

uint32_t a64_extend(struct a64_tr *t, unsigned rm, unsigned option, unsigned shift, bool sf)
{
    static const enum ir_type types[4] = {IR_I8, IR_I16, IR_I32, IR_I64};
    enum ir_type from = types[option & 3], to = a64_type(sf);
    uint32_t v = a64_reg(t, rm, sf);

    if (from < to) {
        v = ir_op1(t->u, IR_OP_trunc, from, v);
        v = ir_op1(t->u, option & 4 ? IR_OP_sext : IR_OP_zext, to, v);
    }
    return shift ? ir_op2(t->u, IR_OP_shl, to, v, a64_imm(t, sf, shift)) : v;
}

uint32_t a64_condition(struct a64_tr *t, unsigned cond)
{
    _Static_assert(IR_EQ == 0 && IR_CS == 2 && IR_MI == 4 && IR_VS == 6 && IR_HI == 8 && IR_GE == 10 &&
                       IR_GT == 12,
                   "enum ir_cond has A64's order");
    return ir_cond(t->u, (enum ir_cond)cond, ir_get(t->u, A64_F_NZCV));
}

uint32_t a64_pc(struct a64_tr *t, int64_t off)
{
    return ir_emit(t->u, (struct ir_insn){.op = IR_OP_pc, .type = IR_I64, .imm = (uint64_t)off,
                                          .arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}});
}

uint32_t a64_bits_op(struct a64_tr *t, enum ir_op op, enum ir_type type, unsigned pos, unsigned len,
                     uint32_t a, uint32_t b)
{
    return ir_emit(t->u, (struct ir_insn){.op = op, .type = type, .sub = pos, .imm = len,
                                          .arg = {a, b, IR_NO_VALUE, IR_NO_VALUE}});
}

static void emit_void(struct a64_tr *t, enum ir_op op, unsigned sub, uint32_t attr, uint64_t imm, uint32_t a)
{
    ir_emit(t->u, (struct ir_insn){.op = op, .type = IR_VOID, .sub = sub, .attr = attr, .imm = imm,
                                   .arg = {a, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}});
}

void a64_fence(struct a64_tr *t, enum ir_fence kind)
{
    emit_void(t, IR_OP_fence, kind, 0, 0, IR_NO_VALUE);
}

// ---- leaving ----------------------------------------------------------------------------------------------

// IR block of the instruction at a page offset, if it is in the unit and starts a block.
static int32_t block_at(const struct a64_tr *t, int64_t offset)
{
    if (offset < t->start || offset >= t->start + 4 * (int64_t)t->count)
        return A64_NO_BLOCK;
    return t->block[(offset - t->start) / 4];
}

static void go(struct a64_tr *t, int64_t target, enum ir_jump_hint hint)
{
    int32_t block = block_at(t, target);

    if (target <= t->offset && !(t->key & A64_KEY_STEP))
        emit_void(t, IR_OP_poll, 0, 0, (uint64_t)target, IR_NO_VALUE);
    if (t->key & A64_KEY_STEP) // the key has changed: no chaining
        emit_void(t, IR_OP_exit_stop, IR_EXIT_STATE, 0, 0, a64_pc(t, target));
    else if (block != A64_NO_BLOCK && hint == IR_JUMP_PLAIN)
        ir_br(t->u, block);
    else
        emit_void(t, IR_OP_exit_pc, hint, hint == IR_JUMP_CALL ? t->offset + 4 : 0, (uint64_t)target,
                  IR_NO_VALUE);
}

void a64_goto(struct a64_tr *t, int64_t target, enum ir_jump_hint hint)
{
    go(t, target, hint);
    t->ended = true;
}

// A forward edge inside the unit goes straight to the block; every other edge gets a block of its own.
static uint32_t edge(const struct a64_tr *t, int64_t target)
{
    int32_t block = block_at(t, target);

    return block != A64_NO_BLOCK && target > t->offset ? (uint32_t)block : ir_new_block(t->u);
}

static void fill_edge(struct a64_tr *t, uint32_t block, int64_t target)
{
    if (block == (uint32_t)block_at(t, target))
        return;
    ir_start_block(t->u, block);
    go(t, target, IR_JUMP_PLAIN);
}

void a64_branch_if(struct a64_tr *t, uint32_t cond, int64_t target)
{
    int64_t next = t->offset + 4;
    uint32_t taken = edge(t, target), fall = edge(t, next);

    ir_brif(t->u, cond, taken, fall);
    fill_edge(t, taken, target);
    if (fall != taken)
        fill_edge(t, fall, next);
    t->ended = true;
}

void a64_exit_indirect(struct a64_tr *t, uint32_t pc, enum ir_jump_hint hint)
{
    emit_void(t, IR_OP_exit_ind, hint, hint == IR_JUMP_CALL ? t->offset + 4 : 0, 0, pc);
    t->ended = true;
}

void a64_exit_state(struct a64_tr *t)
{
    emit_void(t, IR_OP_exit_stop, IR_EXIT_STATE, 0, 0, a64_pc(t, t->offset + 4));
    t->ended = true;
}

void a64_raise(struct a64_tr *t, uint32_t esr, int64_t return_offset)
{
    uint32_t args[2] = {ir_const(t->u, IR_I32, esr), a64_pc(t, return_offset)};

    a64_exit_indirect(t, ir_call(t->u, A64_HELPER_exception, args[0], args[1], IR_NO_VALUE, IR_NO_VALUE),
                      IR_JUMP_PLAIN);
}

uint32_t a64_branch_address(struct a64_tr *t, uint32_t target)
{
    bool tbi0 = t->key & A64_KEY_TBI0, tbi1 = t->key & A64_KEY_TBI1;

    // At EL0 and EL1, bit 55 of the address chooses between TBI0 and TBI1; it is the sign of what is cleaned.
    if (!tbi0 && !tbi1)
        return target;
    uint32_t clean = a64_bits_op(t, IR_OP_sbfx, IR_I64, 0, 56, target, IR_NO_VALUE);
    if (tbi0 && tbi1)
        return clean;
    uint32_t upper = ir_icmp(t->u, IR_CSLT, clean, ir_const(t->u, IR_I64, 0));
    return ir_op3(t->u, IR_OP_select, IR_I64, upper, tbi1 ? clean : target, tbi0 ? clean : target);
}
