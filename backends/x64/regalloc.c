// SPDX-License-Identifier: MIT
// Register allocation in one forward pass. A backward pass first notes for each use where the value is used next, so
// that eviction takes what is needed latest.
//
// A cell is a register and/or spill slot that holds one SSA value, the values that share its bits, and the state
// fields bound to it: `get` binds, `put` binds and marks dirty. Invariants: a live value's cell has a register, a slot
// or is a constant; a dirty field's cell likewise; a cell bound to fields only is dropped for free when they are
// clean. A value that other blocks use goes to its slot where it must, at the latest on an edge to a join: nothing but
// fields and slots crosses one.
#include "backends/x64/compile.h"

#include <string.h>

// ---- cells -------------------------------------------------------------------------------------------------------

static struct x64_cell *cell_of(struct x64_compile *c, uint32_t value)
{
    return &c->cells[c->values[value].cell];
}

const struct ir_insn *x64_cell_insn(const struct x64_compile *c, uint32_t cell)
{
    return cell < X64_MAX_INSNS ? &c->unit->insns[cell] : &c->join_insns[cell - X64_MAX_INSNS];
}

bool x64_is_const(const struct x64_compile *c, uint32_t cell)
{
    uint16_t op = x64_cell_insn(c, cell)->op;
    return op == IR_OP_const || op == IR_OP_vconst;
}

static uint64_t type_mask(enum ir_type type)
{
    static const uint8_t widths[IR_TYPE_COUNT] = { [IR_I1] = 1, [IR_I8] = 8, [IR_I16] = 16, [IR_I32] = 32,
                                                   [IR_F16] = 16, [IR_F32] = 32 };
    return widths[type] ? (1ull << widths[type]) - 1 : UINT64_MAX;
}

uint64_t x64_const_bits(const struct ir_insn *insn)
{
    return insn->imm & type_mask(insn->type);
}

bool x64_const(const struct x64_compile *c, uint32_t value, uint64_t *ret)
{
    const struct ir_insn *insn = x64_cell_insn(c, c->values[value].cell);
    if (insn->op != IR_OP_const)
        return false;
    *ret = x64_const_bits(insn) & type_mask(x64_type(c, value)); // an alias may be narrower
    return true;
}

bool x64_zero_above(const struct x64_compile *c, uint32_t value)
{
    unsigned width = c->cells[c->values[value].cell].width;
    return width && width <= 1u << x64_type_log2(x64_type(c, value));
}

void x64_set_width(struct x64_compile *c, uint32_t value, unsigned bytes)
{
    c->cells[c->values[value].cell].width = (uint8_t)bytes;
}

bool x64_junk(const struct x64_compile *c, uint32_t value)
{
    return x64_type(c, value) == IR_I32 && x64_cell_insn(c, c->values[value].cell)->type == IR_I64;
}

bool x64_imm32(const struct x64_compile *c, uint32_t value, int32_t *ret)
{
    uint64_t v;
    if (!x64_const(c, value, &v))
        return false;
    if (x64_type(c, value) != IR_I64)
        v = (uint64_t)(int32_t)v;
    *ret = (int32_t)v;
    return (int64_t)v == (int32_t)v;
}

bool x64_needed(const struct x64_compile *c, const struct x64_cell *cell)
{
    return cell->last_use > c->pos;
}

bool x64_dies(const struct x64_compile *c, uint32_t value)
{
    const struct x64_cell *cell = &c->cells[c->values[value].cell];
    return !x64_needed(c, cell);
}

void x64_release_slot(struct x64_compile *c, struct x64_cell *cell)
{
    if (cell->slot >= 0 && cell->home < 0)
        c->slots_used[cell->slot / 64] &= ~(1ull << (cell->slot % 64));
    cell->slot = -1;
}

static struct x64_mem slot_at(const struct x64_cell *cell)
{
    return x64_frame_at(X64_FRAME_SLOTS + 16 * cell->slot);
}

static void take_slot(struct x64_compile *c, struct x64_cell *cell)
{
    for (unsigned w = 0; w < X64_SLOTS / 64; w++) {
        if (~c->slots_used[w] == 0)
            continue;
        unsigned bit = (unsigned)__builtin_ctzll(~c->slots_used[w]);
        c->slots_used[w] |= 1ull << bit;
        cell->slot = (int16_t)(w * 64 + bit);
        return;
    }
    c->too_large = true;
    cell->slot = 0;
}

void x64_spill(struct x64_compile *c, uint32_t id)
{
    struct x64_cell *cell = &c->cells[id];
    if (cell->slot >= 0)
        return;
    if (cell->home >= 0) {
        cell->slot = cell->home;
    } else {
        take_slot(c, cell);
        if (id < X64_MAX_INSNS && c->values[id].global && c->global_count < X64_SLOTS) {
            cell->home = cell->slot;
            c->globals[c->global_count++] = id;
        }
    }
    if (cell->vector)
        x64_v2m(c->e, X64_MOVUPS_ST, (unsigned)cell->reg - X64_XMM0, slot_at(cell));
    else
        x64_store(c->e, 3, slot_at(cell), (unsigned)cell->reg);
}

void x64_unbind_field(struct x64_compile *c, uint32_t field)
{
    struct x64_field *f = &c->fields[field];
    if (f->cell == IR_NO_VALUE)
        return;
    uint16_t *link = &c->cells[f->cell].first_field;
    while (*link != field)
        link = &c->fields[*link].next;
    *link = f->next;
    f->cell = IR_NO_VALUE;
    f->dirty = false;
    c->dirty[field / 64] &= ~(1ull << (field % 64));
    c->bound[field / 64] &= ~(1ull << (field % 64));
}

void x64_bind_field(struct x64_compile *c, uint32_t field, uint32_t cell, bool dirty)
{
    struct x64_field *f = &c->fields[field];
    f->cell = cell;
    f->next = c->cells[cell].first_field;
    f->dirty = dirty;
    c->cells[cell].first_field = (uint16_t)field;
    c->bound[field / 64] |= 1ull << (field % 64);
    if (dirty)
        c->dirty[field / 64] |= 1ull << (field % 64);
}

void x64_store_field(struct x64_compile *c, uint32_t field)
{
    const struct ir_field *f = &c->layout->fields[field];
    uint32_t id = c->fields[field].cell;
    struct x64_cell *cell = &c->cells[id];
    unsigned size = x64_type_log2(f->type);
    struct x64_mem m = x64_env(f->offset);
    if (cell->reg < 0 && !cell->vector && x64_is_const(c, id)) {
        uint64_t bits = x64_const_bits(x64_cell_insn(c, id));
        if (size < 3 || (int64_t)bits == (int32_t)bits) {
            x64_mov_mi(c->e, size, m, (int32_t)bits);
            return;
        }
        x64_mov_ri(c->e, X64_RAX, bits);
        x64_store(c->e, 3, m, X64_RAX);
        return;
    }
    if (cell->vector) {
        unsigned r = X64_XMM_T2;
        if (cell->reg >= 0)
            r = (unsigned)cell->reg - X64_XMM0;
        else if (cell->slot >= 0)
            x64_v2m(c->e, X64_MOVUPS_LD, r, slot_at(cell));
        else { // a constant, through a general register: a unit's constants have no place in memory
            const struct ir_insn *k = x64_cell_insn(c, id);
            union v128 bits = { .d = { k->imm, 0 } };
            if (k->op == IR_OP_vconst)
                bits = c->unit->vpool[k->imm];
            for (unsigned i = 0; i < (size == 4 ? 2 : 1); i++) {
                x64_mov_ri(c->e, X64_RAX, bits.d[i]);
                x64_store(c->e, size == 4 ? 3 : size, x64_env(f->offset + 8 * i), X64_RAX);
            }
            return;
        }
        static const uint32_t ops[5] = { 0, 0, X64_MOVSS_ST, X64_MOVSD_ST, X64_MOVUPS_ST };
        if (size == 1) {
            x64_v2m(c->e, X64_0F3A | X64_66 | 0x15 | X64_IMM1, r, m); // pextrw
            x64_u8(c->e, 0);
        } else {
            x64_v2m(c->e, ops[size], r, m);
        }
        return;
    }
    unsigned r = X64_RAX;
    if (cell->reg >= 0)
        r = (unsigned)cell->reg;
    else
        x64_load(c->e, 3, false, true, r, slot_at(cell));
    x64_store(c->e, size, m, r);
}

void x64_store_dirty(struct x64_compile *c)
{
    for (unsigned w = 0; w < X64_MAX_FIELDS / 64; w++)
        for (uint64_t bits = c->dirty[w]; bits; bits &= bits - 1)
            x64_store_field(c, w * 64 + (unsigned)__builtin_ctzll(bits));
}

static void drop_if_unneeded(struct x64_compile *c, struct x64_cell *cell)
{
    if (cell->first_field != X64_NO_FIELD || x64_needed(c, cell))
        return;
    if (cell->reg >= 0)
        c->regs[cell->reg] = IR_NO_VALUE;
    cell->reg = -1;
    x64_release_slot(c, cell);
}

void x64_flush(struct x64_compile *c)
{
    x64_store_dirty(c);
    for (unsigned w = 0; w < X64_MAX_FIELDS / 64; w++) {
        for (uint64_t bits = c->dirty[w]; bits; bits &= bits - 1)
            c->fields[w * 64 + (unsigned)__builtin_ctzll(bits)].dirty = false;
        c->dirty[w] = 0;
    }
}

void x64_forget_fields(struct x64_compile *c)
{
    for (unsigned w = 0; w < X64_MAX_FIELDS / 64; w++)
        for (uint64_t bits = c->bound[w]; bits; bits &= bits - 1) {
            uint32_t f = w * 64 + (unsigned)__builtin_ctzll(bits);
            struct x64_cell *cell = &c->cells[c->fields[f].cell];
            x64_unbind_field(c, f);
            drop_if_unneeded(c, cell);
        }
}

// Frees a register. Clean fields are simply dropped; dirty ones are written; a needed value goes to its slot.
static void evict(struct x64_compile *c, unsigned reg)
{
    uint32_t id = c->regs[reg];
    struct x64_cell *cell = &c->cells[id];
    while (cell->first_field != X64_NO_FIELD) {
        uint32_t f = cell->first_field;
        if (c->fields[f].dirty)
            x64_store_field(c, f);
        x64_unbind_field(c, f);
    }
    if (x64_needed(c, cell) && !x64_is_const(c, id))
        x64_spill(c, id);
    cell->reg = -1;
    c->regs[reg] = IR_NO_VALUE;
    drop_if_unneeded(c, cell);
}

void x64_evict_all(struct x64_compile *c, uint32_t mask)
{
    for (uint32_t m = mask & (x64_general_pool | x64_vector_pool); m; m &= m - 1) {
        unsigned r = (unsigned)__builtin_ctz(m);
        if (c->regs[r] != IR_NO_VALUE)
            evict(c, r);
    }
}

static uint32_t cell_distance(const struct x64_compile *c, const struct x64_cell *cell)
{
    uint32_t next = x64_needed(c, cell) ? cell->next_use : X64_NO_POS;
    bool dirty = false;
    for (uint32_t f = cell->first_field; f != X64_NO_FIELD; f = c->fields[f].next) {
        uint32_t event = c->fields[f].next_event;
        if (event == X64_NO_POS && x64_hot(c, f))
            event = c->block_end; // when the loop comes round
        if (!c->fields[f].next_is_put && event < next)
            next = event;
        dirty |= c->fields[f].dirty;
    }
    if (next == X64_NO_POS)
        return dirty ? X64_NO_POS - 1 : X64_NO_POS;
    return next;
}

static unsigned take_reg(struct x64_compile *c, uint32_t pool, uint32_t avoid)
{
    unsigned best = 0;
    uint32_t best_distance = 0;
    bool found = false;
    for (uint32_t m = pool & ~c->pinned & ~avoid; m; m &= m - 1) {
        unsigned r = (unsigned)__builtin_ctz(m);
        if (c->regs[r] == IR_NO_VALUE)
            return r;
        uint32_t d = cell_distance(c, &c->cells[c->regs[r]]);
        if (!found || d > best_distance)
            best = r, best_distance = d, found = true;
    }
    assert(found);
    evict(c, best);
    return best;
}

static void occupy(struct x64_compile *c, unsigned reg, uint32_t cell)
{
    c->regs[reg] = cell;
    c->cells[cell].reg = (int8_t)reg;
    c->pinned |= 1u << reg;
}

void x64_load_const_xmm(struct x64_compile *c, unsigned xmm, uint32_t id)
{
    const struct ir_insn *insn = x64_cell_insn(c, id);
    uint64_t lo = insn->imm, hi = 0;
    if (insn->op == IR_OP_vconst)
        lo = c->unit->vpool[insn->imm].d[0], hi = c->unit->vpool[insn->imm].d[1];
    if (lo == 0 && hi == 0) {
        x64_v3(c->e, X64_PXOR, xmm, xmm, xmm);
        return;
    }
    if ((lo & hi) == UINT64_MAX) {
        x64_v2m(c->e, X64_MOVUPS_LD, xmm, x64_constant(c, X64_C_ONES));
        return;
    }
    x64_mov_ri(c->e, X64_RAX, lo);
    x64_v2(c->e, X64_MOVD_XR | X64_W, xmm, X64_RAX);
    if (hi == lo) {
        x64_v3(c->e, X64_0F | X64_66 | 0x6c, xmm, xmm, xmm); // punpcklqdq
    } else if (hi) {
        x64_mov_ri(c->e, X64_RAX, hi);
        if (c->e->avx)
            x64_vex_rr(c->e, X64_0F3A | X64_66 | 0x22 | X64_W | X64_IMM1, xmm, xmm, X64_RAX); // pinsrq
        else
            x64_rr(c->e, X64_0F3A | X64_66 | 0x22 | X64_W | X64_IMM1, xmm, X64_RAX);
        x64_u8(c->e, 1);
    }
}

static unsigned use_cell(struct x64_compile *c, uint32_t id, bool vector)
{
    struct x64_cell *cell = &c->cells[id];
    if (cell->reg < 0) {
        unsigned r = take_reg(c, vector ? x64_vector_pool : x64_general_pool, 0);
        occupy(c, r, id);
        if (x64_is_const(c, id)) {
            if (vector)
                x64_load_const_xmm(c, r - X64_XMM0, id);
            else
                x64_mov_ri(c->e, r, x64_const_bits(x64_cell_insn(c, id)));
        } else if (vector) {
            x64_v2m(c->e, X64_MOVUPS_LD, r - X64_XMM0, slot_at(cell));
        } else {
            x64_load(c->e, 3, false, true, r, slot_at(cell));
        }
    }
    c->pinned |= 1u << cell->reg;
    return (unsigned)cell->reg;
}

unsigned x64_use(struct x64_compile *c, uint32_t value)
{
    assert(!x64_value_in_xmm(c, value));
    return use_cell(c, c->values[value].cell, false);
}

unsigned x64_use_xmm(struct x64_compile *c, uint32_t value)
{
    assert(x64_value_in_xmm(c, value));
    return use_cell(c, c->values[value].cell, true) - X64_XMM0;
}

static void init_cell(struct x64_compile *c, uint32_t value, bool vector)
{
    const struct x64_value *v = &c->values[value];
    c->cells[value] = (struct x64_cell){ -1, vector, -1, -1, v->last_use, v->first_use, X64_NO_FIELD };
    c->values[value].cell = value;
}

static unsigned def_in(struct x64_compile *c, uint32_t value, bool vector)
{
    init_cell(c, value, vector);
    unsigned r = take_reg(c, vector ? x64_vector_pool : x64_general_pool, 0);
    occupy(c, r, value);
    return r;
}

unsigned x64_def(struct x64_compile *c, uint32_t value)
{
    return def_in(c, value, false);
}

unsigned x64_def_xmm(struct x64_compile *c, uint32_t value)
{
    return def_in(c, value, true) - X64_XMM0;
}

// May the register of a be overwritten now? Its fields must be clean, or be put again before anything can look.
static bool may_take_over(struct x64_compile *c, struct x64_cell *cell)
{
    if (cell->reg < 0 || x64_needed(c, cell))
        return false;
    for (uint32_t f = cell->first_field; f != X64_NO_FIELD; f = c->fields[f].next) {
        const struct x64_field *field = &c->fields[f];
        if (field->next_event == X64_NO_POS ? field->dirty || x64_hot(c, f) : !field->next_is_put)
            return false;
        if (field->dirty && c->barriers[field->next_event] != c->barriers[c->pos])
            return false;
    }
    return true;
}

static unsigned def_over(struct x64_compile *c, uint32_t value, uint32_t a, bool vector)
{
    uint32_t id = c->values[a].cell;
    struct x64_cell *cell = &c->cells[id];
    if (!may_take_over(c, cell))
        return def_in(c, value, vector);
    while (cell->first_field != X64_NO_FIELD)
        x64_unbind_field(c, cell->first_field);
    unsigned r = (unsigned)cell->reg;
    cell->reg = -1;
    x64_release_slot(c, cell);
    init_cell(c, value, vector);
    occupy(c, r, value);
    return r;
}

unsigned x64_def_over(struct x64_compile *c, uint32_t value, uint32_t a)
{
    return def_over(c, value, a, false);
}

unsigned x64_def_over_xmm(struct x64_compile *c, uint32_t value, uint32_t a)
{
    return def_over(c, value, a, true) - X64_XMM0;
}

unsigned x64_temp(struct x64_compile *c, uint32_t avoid)
{
    unsigned r = take_reg(c, x64_general_pool, avoid);
    c->pinned |= 1u << r;
    return r;
}

static void copy_cell(struct x64_compile *c, uint32_t value, uint32_t id, bool vector)
{
    unsigned from = use_cell(c, id, vector), to = def_in(c, value, vector);
    if (vector)
        x64_vmov(c->e, to - X64_XMM0, from - X64_XMM0);
    else
        x64_mov_rr(c->e, x64_type(c, value) != IR_I32, to, from);
}

static void alias_cell(struct x64_compile *c, uint32_t value, uint32_t id)
{
    struct x64_cell *cell = &c->cells[id];
    struct x64_value *v = &c->values[value];
    if (v->global && !x64_is_const(c, id)) { // its slot must not depend on what other blocks do with the cell
        copy_cell(c, value, id, cell->vector);
        return;
    }
    v->cell = id;
    uint32_t last = v->last_use;
    if (cell->next_use == X64_NO_POS || cell->next_use <= c->pos || v->first_use < cell->next_use)
        cell->next_use = v->first_use;
    if (last > cell->last_use)
        cell->last_use = last;
}

void x64_alias(struct x64_compile *c, uint32_t value, uint32_t of)
{
    alias_cell(c, value, c->values[of].cell);
}

// ---- state fields ------------------------------------------------------------------------------------------------

static void note_event(struct x64_compile *c, uint32_t field)
{
    uint32_t next = c->next_use[c->pos][3];
    c->fields[field].next_event = next == X64_NO_POS ? X64_NO_POS : next >> 1;
    c->fields[field].next_is_put = next != X64_NO_POS && (next & 1);
}

void x64_get_field(struct x64_compile *c, uint32_t value, uint32_t field)
{
    note_event(c, field);
    if (c->fields[field].cell != IR_NO_VALUE) {
        alias_cell(c, value, c->fields[field].cell);
        return;
    }
    const struct ir_field *f = &c->layout->fields[field];
    unsigned size = x64_type_log2(f->type);
    if (x64_in_xmm(f->type)) {
        unsigned x = x64_def_xmm(c, value);
        static const uint32_t ops[5] = { 0, 0, X64_MOVSS_LD, X64_MOVSD_LD, X64_MOVUPS_LD };
        if (size == 1) {
            x64_load(c->e, 1, false, false, X64_RAX, x64_env(f->offset));
            x64_v2(c->e, X64_MOVD_XR, x, X64_RAX);
        } else {
            x64_v2m(c->e, ops[size], x, x64_env(f->offset));
        }
        x64_set_width(c, value, 1u << size);
    } else {
        x64_load(c->e, size, false, false, x64_def(c, value), x64_env(f->offset));
    }
    x64_bind_field(c, field, value, false);
}

void x64_put_field(struct x64_compile *c, uint32_t field, uint32_t value)
{
    note_event(c, field);
    uint32_t id = c->values[value].cell, old = c->fields[field].cell;
    if (c->cells[id].reg < 0 && !x64_is_const(c, id))
        use_cell(c, id, c->cells[id].vector);
    if (old != IR_NO_VALUE) {
        x64_unbind_field(c, field);
        if (old != id)
            drop_if_unneeded(c, &c->cells[old]);
    }
    x64_bind_field(c, field, id, true);
}

// ---- instructions ------------------------------------------------------------------------------------------------

void x64_begin_insn(struct x64_compile *c)
{
    const struct ir_insn *insn = &c->unit->insns[c->pos];
    for (unsigned k = 0; k < 4 && insn->arg[k] != IR_NO_VALUE; k++) {
        const struct x64_cell *cell = cell_of(c, x64_operand(c, insn, k));
        if (cell->reg >= 0)
            c->pinned |= 1u << cell->reg;
    }
}

void x64_end_insn(struct x64_compile *c)
{
    const struct ir_insn *insn = &c->unit->insns[c->pos];
    for (unsigned k = 0; k < 4 && insn->arg[k] != IR_NO_VALUE; k++) {
        uint32_t a = x64_operand(c, insn, k);
        struct x64_cell *cell = cell_of(c, a);
        cell->next_use = c->next_use[c->pos][k];
        if (!c->values[a].fused)
            drop_if_unneeded(c, cell);
    }
    struct x64_value *v = &c->values[c->pos];
    if (insn->type != IR_VOID && v->uses == 0 && !v->fused)
        drop_if_unneeded(c, &c->cells[v->cell]);
    c->pinned = 0;
}

void x64_def_const(struct x64_compile *c, uint32_t value)
{
    init_cell(c, value, x64_in_xmm(x64_type(c, value)));
}
