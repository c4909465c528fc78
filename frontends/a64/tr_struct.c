// SPDX-License-Identifier: MIT
// Translates the loads and stores of SIMD structures: LD1..LD4 and ST1..ST4 of whole registers, lanes, and
// replicated. Whole registers move as 16 or 8 bytes at a time and are (de)interleaved in registers; an access
// that is aligned to its element but not to 16 bytes is fine in Normal memory, which is where structures
// live. All loads of an instruction come before its first register write. Arm ARM (DDI 0487) C7.2, C4.1.96.
#include "frontends/a64/tr.h"

enum { MAX_REGS = 4 };

// attr of a 1 << size byte piece whose alignment rule is that of its elements; byte order is the caller's
// business.
static uint32_t piece_attr(const struct a64_tr *t, unsigned size, unsigned element)
{
    uint32_t attr = a64_memop(t, size, A64_NORMAL) & ~(IR_MEM_ALIGN | IR_MEM_BE);

    return attr | (t->key & A64_KEY_ALIGN ? element << IR_MEM_ALIGN_SHIFT : 0);
}

static uint32_t swap_bytes(struct a64_tr *t, unsigned element, uint32_t v)
{
    return t->key & A64_KEY_BE && element
               ? ir_vop(t->u, IR_OP_vrev, 0, 0, element, v, IR_NO_VALUE, IR_NO_VALUE)
               : v;
}

static void load_pieces(struct a64_tr *t, const struct a64_insn *i, uint32_t base, unsigned bytes,
                        uint32_t *ret)
{
    for (unsigned at = 0; at < bytes; at += 16) {
        uint32_t addr = a64_offset(t, base, at), v;
        if (bytes - at >= 16)
            v = ir_load(t->u, IR_V128, piece_attr(t, 4, i->size), addr);
        else
            v = ir_op1(t->u, IR_OP_vzext, IR_V128, ir_load(t->u, IR_I64, piece_attr(t, 3, i->size), addr));
        ret[at / 16] = swap_bytes(t, i->size, v);
    }
}

static uint32_t low64(struct a64_tr *t, uint32_t v)
{
    return ir_emit(t->u, (struct ir_insn){.op = IR_OP_vget, .type = IR_I64, .sub = 3,
                                          .arg = {v, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}});
}

static void store_pieces(struct a64_tr *t, const struct a64_insn *i, uint32_t base, unsigned bytes,
                         const uint32_t *m)
{
    for (unsigned at = 0; at < bytes; at += 16) {
        uint32_t addr = a64_offset(t, base, at), v = swap_bytes(t, i->size, m[at / 16]);
        if (bytes - at >= 16)
            ir_store(t->u, piece_attr(t, 4, i->size), addr, v);
        else
            ir_store(t->u, piece_attr(t, 3, i->size), addr, low64(t, v));
    }
}

static void write_back(struct a64_tr *t, const struct a64_insn *i, uint32_t base, unsigned bytes)
{
    if (!i->p)
        return;
    if (i->rm == 31)
        a64_writeback(t, i->rn, base, bytes);
    else
        a64_set_reg_sp(t, i->rn, true, ir_op2(t->u, IR_OP_add, IR_I64, base, a64_reg(t, i->rm, true)));
}

// ---- LD1 and ST1 of one to four registers -----------------------------------------------------------------

static bool load_plain(struct a64_tr *t, const struct a64_insn *i, unsigned n)
{
    uint32_t base = a64_base(t, i->rn), v[MAX_REGS];
    unsigned size = i->q ? 16 : 8;

    for (unsigned k = 0; k < n; k++)
        load_pieces(t, i, a64_offset(t, base, k * size), size, &v[k]);
    write_back(t, i, base, n * size);
    for (unsigned k = 0; k < n; k++)
        a64_set_vec(t, (i->rt + k) % 32, v[k]);
    return true;
}

static bool store_plain(struct a64_tr *t, const struct a64_insn *i, unsigned n)
{
    uint32_t base = a64_base(t, i->rn);
    unsigned size = i->q ? 16 : 8;

    for (unsigned k = 0; k < n; k++) {
        uint32_t v = a64_vec(t, (i->rt + k) % 32);
        store_pieces(t, i, a64_offset(t, base, k * size), size, &v);
    }
    write_back(t, i, base, n * size);
    return true;
}

A64_TR(ld1x1) { return load_plain(t, i, 1); }
A64_TR(ld1x2) { return load_plain(t, i, 2); }
A64_TR(ld1x3) { return load_plain(t, i, 3); }
A64_TR(ld1x4) { return load_plain(t, i, 4); }
A64_TR(st1x1) { return store_plain(t, i, 1); }
A64_TR(st1x2) { return store_plain(t, i, 2); }
A64_TR(st1x3) { return store_plain(t, i, 3); }
A64_TR(st1x4) { return store_plain(t, i, 4); }

// ---- interleaving -----------------------------------------------------------------------------------------
// m: memory order, as 16-byte pieces; r: registers. With q clear only the low halves of registers count and
// the last piece may be half full.

static uint32_t permute(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, unsigned part, uint32_t a,
                        uint32_t b)
{
    return ir_vop(t->u, op, i->size, 0, part, a, b, IR_NO_VALUE);
}

// Bytes of src[0..n) picked by index (byte number over all sources), for each byte of the result; 0xff gives
// 0.
static uint32_t gather(struct a64_tr *t, const uint32_t *src, unsigned n, const uint8_t index[16])
{
    uint32_t sum = IR_NO_VALUE;

    for (unsigned k = 0; k < n; k++) {
        union v128 table;
        bool used = false;
        for (unsigned b = 0; b < 16; b++) {
            bool here = index[b] != 0xff && index[b] / 16 == k;
            table.b[b] = here ? index[b] % 16 : 0xff;
            used |= here;
        }
        if (!used)
            continue;
        uint32_t v = ir_vop(t->u, IR_OP_vtbl, 0, 0, 0, src[k], ir_vconst(t->u, table), IR_NO_VALUE);
        sum = sum == IR_NO_VALUE ? v : ir_vop(t->u, IR_OP_vor, 0, 0, 0, sum, v, IR_NO_VALUE);
    }
    return sum;
}

static void split3(struct a64_tr *t, const struct a64_insn *i, const uint32_t *m, uint32_t *r)
{
    unsigned es = 1u << i->size, bytes = i->q ? 16 : 8;

    for (unsigned k = 0; k < 3; k++) {
        uint8_t index[16];
        for (unsigned b = 0; b < 16; b++)
            index[b] = b < bytes ? (b / es * 3 + k) * es + b % es : 0xff;
        r[k] = gather(t, m, i->q ? 3 : 2, index);
    }
}

static void join3(struct a64_tr *t, const struct a64_insn *i, const uint32_t *r, uint32_t *m)
{
    unsigned es = 1u << i->size, bytes = i->q ? 48 : 24;

    for (unsigned k = 0; k * 16 < bytes; k++) {
        uint8_t index[16];
        for (unsigned b = 0; b < 16; b++) {
            unsigned at = k * 16 + b, element = at / es;
            index[b] = at < bytes ? element % 3 * 16 + element / 3 * es + at % es : 0xff;
        }
        m[k] = gather(t, r, 3, index);
    }
}

static void split(struct a64_tr *t, const struct a64_insn *i, unsigned n, const uint32_t *m, uint32_t *r)
{
    if (n == 3) {
        split3(t, i, m, r);
        return;
    }
    if (n == 2) {
        for (unsigned k = 0; k < 2; k++)
            r[k] = permute(t, i, IR_OP_vuzp, k, m[0], m[i->q ? 1 : 0]);
    } else {
        for (unsigned k = 0; k < 2; k++) {
            uint32_t a = permute(t, i, IR_OP_vuzp, k, m[0], m[1]);
            uint32_t b = i->q ? permute(t, i, IR_OP_vuzp, k, m[2], m[3]) : a;
            r[k] = permute(t, i, IR_OP_vuzp, 0, a, b);
            r[k + 2] = permute(t, i, IR_OP_vuzp, 1, a, b);
        }
    }
    for (unsigned k = 0; k < n && !i->q; k++)
        r[k] = ir_op1(t->u, IR_OP_vlow, IR_V128, r[k]);
}

static void join(struct a64_tr *t, const struct a64_insn *i, unsigned n, const uint32_t *r, uint32_t *m)
{
    if (n == 3) {
        join3(t, i, r, m);
    } else if (n == 2) {
        for (unsigned k = 0; k < (i->q ? 2u : 1u); k++)
            m[k] = permute(t, i, IR_OP_vzip, k, r[0], r[1]);
    } else {
        for (unsigned k = 0; k < (i->q ? 2u : 1u); k++) {
            uint32_t a = permute(t, i, IR_OP_vzip, k, r[0], r[2]),
                     b = permute(t, i, IR_OP_vzip, k, r[1], r[3]);
            m[2 * k] = permute(t, i, IR_OP_vzip, 0, a, b);
            m[2 * k + 1] = permute(t, i, IR_OP_vzip, 1, a, b);
        }
    }
}

static bool load_multi(struct a64_tr *t, const struct a64_insn *i, unsigned n)
{
    unsigned bytes = n * (i->q ? 16 : 8);
    uint32_t base = a64_base(t, i->rn), m[MAX_REGS], r[MAX_REGS];

    load_pieces(t, i, base, bytes, m);
    split(t, i, n, m, r);
    write_back(t, i, base, bytes);
    for (unsigned k = 0; k < n; k++)
        a64_set_vec(t, (i->rt + k) % 32, r[k]);
    return true;
}

static bool store_multi(struct a64_tr *t, const struct a64_insn *i, unsigned n)
{
    unsigned bytes = n * (i->q ? 16 : 8);
    uint32_t base = a64_base(t, i->rn), m[MAX_REGS], r[MAX_REGS];

    for (unsigned k = 0; k < n; k++)
        r[k] = a64_vec(t, (i->rt + k) % 32);
    join(t, i, n, r, m);
    store_pieces(t, i, base, bytes, m);
    write_back(t, i, base, bytes);
    return true;
}

A64_TR(ld2_multi) { return load_multi(t, i, 2); }
A64_TR(ld3_multi) { return load_multi(t, i, 3); }
A64_TR(ld4_multi) { return load_multi(t, i, 4); }
A64_TR(st2_multi) { return store_multi(t, i, 2); }
A64_TR(st3_multi) { return store_multi(t, i, 3); }
A64_TR(st4_multi) { return store_multi(t, i, 4); }

// ---- single lanes and replication -------------------------------------------------------------------------

struct lane {
    unsigned size, index;
};

static struct lane lane_of(const struct a64_insn *i)
{
    if (i->scale == 2 && i->size == 1)
        return (struct lane){3, i->q};
    return (struct lane){i->scale, (i->q << 3 | i->s << 2 | i->size) >> i->scale};
}

static bool load_lane(struct a64_tr *t, const struct a64_insn *i, unsigned n)
{
    struct lane lane = lane_of(i);
    uint32_t base = a64_base(t, i->rn), e[MAX_REGS];

    for (unsigned k = 0; k < n; k++)
        e[k] =
            ir_load(t->u, IR_I64, a64_memop(t, lane.size, A64_NORMAL), a64_offset(t, base, k << lane.size));
    write_back(t, i, base, n << lane.size);
    for (unsigned k = 0; k < n; k++) {
        unsigned reg = (i->rt + k) % 32;
        a64_set_vec(t, reg,
                    ir_vop(t->u, IR_OP_vset, lane.size, 0, lane.index, a64_vec(t, reg), e[k], IR_NO_VALUE));
    }
    return true;
}

static bool store_lane(struct a64_tr *t, const struct a64_insn *i, unsigned n)
{
    struct lane lane = lane_of(i);
    uint32_t base = a64_base(t, i->rn);

    for (unsigned k = 0; k < n; k++) {
        uint32_t v = ir_emit(t->u, (struct ir_insn){.op = IR_OP_vget,
                                                    .type = IR_I64,
                                                    .sub = lane.size,
                                                    .imm = lane.index,
                                                    .arg = {a64_vec(t, (i->rt + k) % 32), IR_NO_VALUE,
                                                            IR_NO_VALUE, IR_NO_VALUE}});
        ir_store(t->u, a64_memop(t, lane.size, A64_NORMAL), a64_offset(t, base, k << lane.size), v);
    }
    write_back(t, i, base, n << lane.size);
    return true;
}

static bool load_replicate(struct a64_tr *t, const struct a64_insn *i, unsigned n)
{
    uint32_t base = a64_base(t, i->rn), e[MAX_REGS];

    for (unsigned k = 0; k < n; k++)
        e[k] = ir_load(t->u, IR_I64, a64_memop(t, i->size, A64_NORMAL), a64_offset(t, base, k << i->size));
    write_back(t, i, base, n << i->size);
    for (unsigned k = 0; k < n; k++)
        a64_set_vec(
            t, (i->rt + k) % 32,
            ir_vop(t->u, IR_OP_vdup, i->size, i->q ? 0 : IR_V_LO64, 0, e[k], IR_NO_VALUE, IR_NO_VALUE));
    return true;
}

A64_TR(ld1_lane) { return load_lane(t, i, 1); }
A64_TR(ld2_lane) { return load_lane(t, i, 2); }
A64_TR(ld3_lane) { return load_lane(t, i, 3); }
A64_TR(ld4_lane) { return load_lane(t, i, 4); }
A64_TR(st1_lane) { return store_lane(t, i, 1); }
A64_TR(st2_lane) { return store_lane(t, i, 2); }
A64_TR(st3_lane) { return store_lane(t, i, 3); }
A64_TR(st4_lane) { return store_lane(t, i, 4); }
A64_TR(ld1r) { return load_replicate(t, i, 1); }
A64_TR(ld2r) { return load_replicate(t, i, 2); }
A64_TR(ld3r) { return load_replicate(t, i, 3); }
A64_TR(ld4r) { return load_replicate(t, i, 4); }
