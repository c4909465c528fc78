// SPDX-License-Identifier: MIT
// Translates exclusive, acquire and release accesses. The monitor is the address, size and value of the last
// exclusive load; a store-exclusive is a compare-and-swap of that value, so a plain store that restored the
// old value in between goes unseen, unless the runtime lets it fail (accel_config.exact_exclusives). Arm ARM (DDI 0487) B2.9.
#include "frontends/a64/tr.h"

enum { ACQUIRE = IR_MEM_ACQUIRE, RELEASE = IR_MEM_RELEASE };

// Exclusives need natural alignment of the whole access, whatever SCTLR.A says.
static uint32_t exclusive_attr(const struct a64_tr *t, unsigned size, uint32_t ordering)
{
    return a64_memop(t, size, A64_ORDERED) | IR_MEM_EXCLUSIVE | IR_MEM_ATOMIC | ordering;
}

static void set_monitor(struct a64_tr *t, uint32_t addr, unsigned size, uint32_t lo)
{
    ir_put(t->u, A64_F_EXCL_ADDR, addr);
    ir_put(t->u, A64_F_EXCL_SIZE, a64_imm(t, false, 1u << size));
    ir_put(t->u, A64_F_EXCL_LO, lo);
}

static uint32_t lane64(struct a64_tr *t, uint32_t v, unsigned lane)
{
    return ir_emit(t->u, (struct ir_insn){.op = IR_OP_vget, .type = IR_I64, .sub = 3, .imm = lane,
                                          .arg = {v, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}});
}

static uint32_t join64(struct a64_tr *t, uint32_t lo, uint32_t hi)
{
    return ir_vop(t->u, IR_OP_vset, 3, 0, 1, ir_op1(t->u, IR_OP_vzext, IR_V128, lo), hi, IR_NO_VALUE);
}

static bool load_exclusive(struct a64_tr *t, const struct a64_insn *i, uint32_t ordering)
{
    uint32_t addr = a64_base(t, i->rn);
    uint32_t v = ir_load(t->u, IR_I64, exclusive_attr(t, i->size, ordering), addr);

    set_monitor(t, addr, i->size, v);
    a64_set_reg(t, i->rt, true, v);
    return true;
}

A64_TR(ldxr) { return load_exclusive(t, i, 0); }
A64_TR(ldaxr) { return load_exclusive(t, i, ACQUIRE); }

// A pair is one access of twice the size; which half is the first register's depends on endianness.
static bool load_pair(struct a64_tr *t, const struct a64_insn *i, uint32_t ordering)
{
    unsigned size = 3 + i->sf, swap = t->key & A64_KEY_BE ? 1 : 0;
    uint32_t addr = a64_base(t, i->rn), a, b;
    uint32_t v = ir_load(t->u, i->sf ? IR_V128 : IR_I64, exclusive_attr(t, size, ordering), addr);

    if (i->sf) {
        uint32_t lo = lane64(t, v, 0), hi = lane64(t, v, 1);
        set_monitor(t, addr, size, lo);
        ir_put(t->u, A64_F_EXCL_HI, hi);
        a = swap ? hi : lo;
        b = swap ? lo : hi;
    } else {
        set_monitor(t, addr, size, v);
        a = a64_bits_op(t, IR_OP_ubfx, IR_I64, swap ? 32 : 0, 32, v, IR_NO_VALUE);
        b = a64_bits_op(t, IR_OP_ubfx, IR_I64, swap ? 0 : 32, 32, v, IR_NO_VALUE);
    }
    a64_set_reg(t, i->rt, true, a);
    a64_set_reg(t, i->rt2, true, b);
    return true;
}

A64_TR(ldxp) { return load_pair(t, i, 0); }
A64_TR(ldaxp) { return load_pair(t, i, ACQUIRE); }

// ---- store-exclusive --------------------------------------------------------------------------------------

struct store {
    uint32_t addr, fail, done;
};

// Compares the monitor; leaves the block for a match open.
static struct store open_store(struct a64_tr *t, const struct a64_insn *i, unsigned size)
{
    struct store s = {.addr = a64_base(t, i->rn)};
    uint32_t match = ir_new_block(t->u);

    s.fail = ir_new_block(t->u);
    s.done = ir_new_block(t->u);
    uint32_t same_addr = ir_icmp(t->u, IR_CEQ, ir_get(t->u, A64_F_EXCL_ADDR), s.addr);
    uint32_t same_size =
        ir_icmp(t->u, IR_CEQ, ir_get(t->u, A64_F_EXCL_SIZE), a64_imm(t, false, 1u << size));
    ir_brif(t->u, ir_op2(t->u, IR_OP_and, IR_I1, same_addr, same_size), match, s.fail);
    ir_start_block(t->u, match);
    return s;
}

// status: i1, the swap failed.
static bool close_store(struct a64_tr *t, const struct a64_insn *i, struct store s, uint32_t status)
{
    if (i->rs != 31)
        ir_put(t->u, A64_F_X0 + i->rs, ir_op1(t->u, IR_OP_zext, IR_I64, status));
    ir_br(t->u, s.done);
    ir_start_block(t->u, s.fail);
    a64_set_reg(t, i->rs, true, a64_imm(t, true, 1));
    ir_br(t->u, s.done);
    ir_start_block(t->u, s.done);
    ir_put(t->u, A64_F_EXCL_SIZE, a64_imm(t, false, A64_EXCL_NONE));
    t->sp_aligned = false;
    return true;
}

static uint32_t swap_value(struct a64_tr *t, enum ir_type type, uint32_t attr, uint32_t addr,
                           uint32_t expected, uint32_t desired)
{
    return ir_emit(t->u, (struct ir_insn){.op = IR_OP_cas, .type = type, .attr = attr,
                                          .arg = {addr, expected, desired, IR_NO_VALUE}});
}

static bool store_exclusive(struct a64_tr *t, const struct a64_insn *i, uint32_t ordering)
{
    static const enum ir_type types[4] = {IR_I8, IR_I16, IR_I32, IR_I64};
    enum ir_type type = types[i->size];
    struct store s = open_store(t, i, i->size);
    uint32_t expected = ir_get(t->u, A64_F_EXCL_LO), desired = a64_reg(t, i->rt, true);

    if (type != IR_I64) {
        expected = ir_op1(t->u, IR_OP_trunc, type, expected);
        desired = ir_op1(t->u, IR_OP_trunc, type, desired);
    }
    uint32_t old = swap_value(t, type, exclusive_attr(t, i->size, ordering), s.addr, expected, desired);
    return close_store(t, i, s, ir_icmp(t->u, IR_CNE, old, expected));
}

A64_TR(stxr) { return store_exclusive(t, i, 0); }
A64_TR(stlxr) { return store_exclusive(t, i, RELEASE); }

static bool store_pair(struct a64_tr *t, const struct a64_insn *i, uint32_t ordering)
{
    unsigned size = 3 + i->sf;
    bool swap = t->key & A64_KEY_BE;
    struct store s = open_store(t, i, size);
    uint32_t a = a64_reg(t, swap ? i->rt2 : i->rt, true), b = a64_reg(t, swap ? i->rt : i->rt2, true);
    uint32_t lo = ir_get(t->u, A64_F_EXCL_LO), attr = exclusive_attr(t, size, ordering);

    if (!i->sf) {
        uint32_t desired = a64_bits_op(t, IR_OP_bfi, IR_I64, 32, 32, a, b);
        uint32_t old = swap_value(t, IR_I64, attr, s.addr, lo, desired);
        return close_store(t, i, s, ir_icmp(t->u, IR_CNE, old, lo));
    }
    uint32_t hi = ir_get(t->u, A64_F_EXCL_HI);
    uint32_t old = swap_value(t, IR_V128, attr, s.addr, join64(t, lo, hi), join64(t, a, b));
    uint32_t x = ir_op2(t->u, IR_OP_xor, IR_I64, lane64(t, old, 0), lo);
    uint32_t y = ir_op2(t->u, IR_OP_xor, IR_I64, lane64(t, old, 1), hi);
    uint32_t diff = ir_op2(t->u, IR_OP_or, IR_I64, x, y);
    return close_store(t, i, s, ir_icmp(t->u, IR_CNE, diff, a64_imm(t, true, 0)));
}

A64_TR(stxp) { return store_pair(t, i, 0); }
A64_TR(stlxp) { return store_pair(t, i, RELEASE); }

// ---- acquire and release ----------------------------------------------------------------------------------

A64_TR(ldar)
{
    uint32_t addr = a64_base(t, i->rn);

    a64_set_reg(t, i->rt, true, ir_load(t->u, IR_I64, a64_memop(t, i->size, A64_ORDERED) | ACQUIRE, addr));
    return true;
}

A64_TR(stlr)
{
    uint32_t addr = a64_base(t, i->rn);

    ir_store(t->u, a64_memop(t, i->size, A64_ORDERED) | RELEASE, addr, a64_reg(t, i->rt, i->size == 3));
    return true;
}

A64_TR(clrex)
{
    ir_put(t->u, A64_F_EXCL_SIZE, a64_imm(t, false, A64_EXCL_NONE));
    return true;
}
