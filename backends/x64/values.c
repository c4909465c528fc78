// SPDX-License-Identifier: MIT
// Values in the form C sees them (union ir_value), in the trampoline's frame: arguments and results of helpers, slow
// accesses and evaluated operations.
#include "backends/x64/compile.h"

void x64_store_value(struct x64_compile *c, uint32_t value, struct x64_mem m)
{
    enum ir_type type = x64_type(c, value);
    uint32_t id = c->values[value].cell;
    if (c->cells[id].reg < 0 && x64_is_const(c, id)) { // takes no register: cold code may not
        const struct ir_insn *k = x64_cell_insn(c, id);
        union v128 bits = { .d = { 0, 0 } };
        if (k->op == IR_OP_vconst)
            bits = c->unit->vpool[k->imm];
        else
            x64_const(c, value, &bits.d[0]);
        if (type == IR_F32 || type == IR_F16 || type == IR_I32) // lane 0 of a constant vector
            bits.d[0] &= type == IR_F16 ? UINT16_MAX : UINT32_MAX;
        for (unsigned i = 0; i < (type == IR_V128 ? 2 : 1); i++, m.disp += 8) {
            if ((int64_t)bits.d[i] == (int32_t)bits.d[i]) {
                x64_mov_mi(c->e, 3, m, (int32_t)bits.d[i]);
            } else {
                x64_mov_ri(c->e, X64_RAX, bits.d[i]);
                x64_store(c->e, 3, m, X64_RAX);
            }
        }
        return;
    }
    if (!c->cells[id].vector) {
        unsigned r = x64_use(c, value);
        if (type == IR_FLAGS) {
            x64_mov_rr(c->e, false, X64_RAX, r);
            x64_alu_ri(c->e, X64_AND, false, X64_RAX, IR_FLAG_NZCV);
            r = X64_RAX;
        } else if (x64_junk(c, value)) {
            x64_mov_rr(c->e, false, X64_RAX, r);
            r = X64_RAX;
        }
        x64_store(c->e, 3, m, r);
        return;
    }
    unsigned x = x64_use_xmm(c, value);
    switch (x64_type_log2(type)) {
    case 1:
        x64_mov_mi(c->e, 3, m, 0);
        x64_v2m(c->e, X64_0F3A | X64_66 | 0x15 | X64_IMM1, x, m);
        x64_u8(c->e, 0);
        break;
    case 2:
        x64_v2(c->e, X64_MOVD_RX, x, X64_RAX);
        x64_store(c->e, 3, m, X64_RAX);
        break;
    case 3:
        x64_v2m(c->e, X64_MOVSD_ST, x, m);
        break;
    default:
        x64_v2m(c->e, X64_MOVUPS_ST, x, m);
    }
}

void x64_load_value(struct x64_compile *c, uint32_t value, struct x64_mem m)
{
    struct x64_cell *cell = &c->cells[c->values[value].cell];
    enum ir_type type = x64_type(c, value);
    unsigned size = x64_type_log2(type);
    if (!cell->vector) {
        x64_load(c->e, size, false, true, (unsigned)cell->reg, m);
        return;
    }
    unsigned x = (unsigned)cell->reg - X64_XMM0;
    x64_v2m(c->e, size == 2 ? X64_MOVSS_LD : X64_MOVSD_LD, x, m);
    if (size == 4) { // by halves, as C stores it: the whole would wait until both stores are done
        m.disp += 8;
        x64_v3m(c->e, X64_0F | 0x16, x, x, m); // movhps
    }
}
