// SPDX-License-Identifier: MIT
// The backward pass before allocation: uses, the next use behind each use, next events of state fields, the order of
// blocks and which of them head loops.
#include "backends/x64/compile.h"

#include <string.h>

// Blocks that a branch calls unlikely are lowered last, out of the way of the others.
static void move_unlikely(struct x64_compile *c)
{
    const struct ir_unit *u = c->unit;
    uint32_t n = 0, moved = 0;
    for (uint32_t b = 0; b < u->block_count; b++)
        c->block_rank[b] = 0;
    for (uint32_t b = 0; b < u->block_count; b++) {
        const struct ir_insn *last = &u->insns[u->blocks[b].first + u->blocks[b].count - 1];
        if (u->blocks[b].count == 0 || last->op != IR_OP_brif || last->sub == IR_LIKELY_UNKNOWN)
            continue;
        uint32_t away = (uint32_t)(last->sub == IR_LIKELY_NOT_TAKEN ? last->imm : last->imm >> 32);
        if (away && c->block_preds[away] == 1)
            c->block_rank[away] = 1;
    }
    for (uint32_t k = 0; k < u->block_count; k++) {
        uint32_t b = c->block_order[k];
        if (c->block_rank[b])
            c->block_scratch[moved++] = b;
        else
            c->block_order[n++] = b;
    }
    for (uint32_t k = 0; k < moved; k++)
        c->block_order[n++] = c->block_scratch[k];
    for (uint32_t k = n = 0; k < u->block_count; k++) // empty blocks have no place
        c->block_rank[c->block_order[k]] = u->blocks[c->block_order[k]].count ? n++ : UINT32_MAX;
}

static void order_blocks(struct x64_compile *c)
{
    const struct ir_unit *u = c->unit;
    for (uint32_t b = 0; b < u->block_count; b++) {
        uint32_t at = b;
        while (at > 0 && u->blocks[c->block_order[at - 1]].first > u->blocks[b].first) {
            c->block_order[at] = c->block_order[at - 1];
            at--;
        }
        c->block_order[at] = b;
        c->block_preds[b] = 0;
        c->loop_end[b] = 0;
        c->block_map[b] = -1;
    }
    for (uint32_t b = 0; b < u->block_count; b++) {
        uint32_t next[2];
        if (u->blocks[b].count == 0)
            continue;
        unsigned n = ir_successors(u, b, next);
        uint32_t end = u->blocks[b].first + u->blocks[b].count;
        for (unsigned i = 0; i < n; i++) {
            c->block_preds[next[i]] += 1;
            uint32_t head = u->blocks[next[i]].first;
            if (head < end && end > c->loop_end[next[i]])
                c->loop_end[next[i]] = end;
            if (head < end && c->loop_count++ < X64_LOOPS) {
                c->loops[c->loop_count - 1].first = head;
                c->loops[c->loop_count - 1].end = end;
            }
        }
    }
    c->block_preds[0] += 1;
    move_unlikely(c);
}

void x64_clear_events(struct x64_compile *c)
{
    for (uint32_t i = 0; i < c->touched_count; i++) {
        c->fields[c->touched[i]].next_event = X64_NO_POS;
        c->fields[c->touched[i]].next_is_put = false;
    }
    c->touched_count = 0;
}

// How long a value lives that is used at pos in another block: round each loop that it entered from outside.
static uint32_t live_until(const struct x64_compile *c, uint32_t value, uint32_t pos)
{
    if (c->loop_count > X64_LOOPS)
        return X64_NO_POS;
    for (bool again = true; again;) {
        again = false;
        for (uint32_t k = 0; k < c->loop_count; k++)
            if (value < c->loops[k].first && c->loops[k].first <= pos && pos < c->loops[k].end)
                pos = c->loops[k].end, again = true;
    }
    return pos;
}

// Does this use take an integer of `width` bytes from a vector register as well as from a general one?
static void note_vector_use(struct x64_compile *c, const struct ir_insn *user, unsigned k, uint32_t value)
{
    if (user->op != IR_OP_st && user->op != IR_OP_bitcast && user->op != IR_OP_vzext)
        return;
    enum ir_type type = x64_type(c, value);
    if (type != IR_I32 && type != IR_I64)
        return;
    if (user->op == IR_OP_vzext || (user->op == IR_OP_bitcast && x64_in_xmm(user->type)))
        c->values[value].float_uses++;
    else if (user->op == IR_OP_st && k == 1 && !(user->attr & (IR_MEM_BE | IR_MEM_RELEASE)) &&
             (user->attr & IR_MEM_SIZE) == x64_type_log2(type))
        c->values[value].store_uses++;
}

// After all uses: where will the value live?
static bool lives_in_xmm(const struct x64_compile *c, const struct ir_insn *insn, const struct x64_value *v)
{
    if (!v->uses || v->float_uses + v->store_uses != v->uses || (insn->type != IR_I32 && insn->type != IR_I64))
        return false;
    unsigned size = x64_type_log2(insn->type);
    if (insn->op == IR_OP_ld)
        return v->float_uses && (insn->attr & (IR_MEM_SIZE | IR_MEM_SIGNED | IR_MEM_BE)) == size;
    if (insn->op == IR_OP_vget)
        return insn->imm == 0 && insn->sub == size;
    return insn->op == IR_OP_bitcast && x64_in_xmm(x64_type(c, insn->arg[0]));
}

// Might the value become a displacement? It does if no instruction but loads and stores proves to use it.
static bool may_be_displacement(const struct x64_compile *c, const struct ir_insn *insn)
{
    if (insn->op != IR_OP_add || insn->type != IR_I64)
        return false;
    const struct ir_insn *k = &c->unit->insns[insn->arg[1]];
    return k->op == IR_OP_const && (int64_t)k->imm >= -(1 << 30) && (int64_t)k->imm < 1 << 30;
}

static inline void note_address_uses(struct x64_compile *c, const struct ir_insn *insn)
{
    bool access = insn->op == IR_OP_ld || insn->op == IR_OP_st;
    for (unsigned k = access; k < 4 && insn->arg[k] != IR_NO_VALUE; k++)
        c->values[insn->arg[k]].address = false;
}

static void scan_block(struct x64_compile *c, uint32_t block, uint32_t *value_next)
{
    const struct ir_unit *u = c->unit;
    uint32_t first = u->blocks[block].first, end = first + u->blocks[block].count;
    x64_clear_events(c);
    c->block_events[block] = c->event_count;
    for (uint32_t i = end; i-- > first;) {
        const struct ir_insn *insn = &u->insns[i];
        struct x64_value *v = &c->values[i];
        v->first_use = value_next[i];
        v->rank = c->block_rank[block];
        v->in_xmm = lives_in_xmm(c, insn, v);
        v->done = v->address;
        if (insn->op == IR_OP_get || insn->op == IR_OP_put) {
            const struct x64_field *field = &c->fields[insn->imm];
            // The low bit says whether the next event is a put.
            c->next_use[i][3] = field->next_event == X64_NO_POS ? X64_NO_POS
                                                                : field->next_event << 1 | field->next_is_put;
            x64_set_event(c, (uint32_t)insn->imm, i, insn->op == IR_OP_put);
            c->events[c->event_count++] = i;
        }
        for (unsigned k = 0; k < 4; k++) {
            if (insn->arg[k] == IR_NO_VALUE || v->address)
                break;
            uint32_t a = x64_operand(c, insn, k);
            struct x64_value *av = &c->values[a];
            av->uses++;
            note_vector_use(c, insn, k, a);
            c->next_use[i][k] = X64_NO_POS;
            if (a < first || a >= end) {
                uint32_t until = live_until(c, a, i);
                av->global = true;
                av->last_use = until > av->last_use ? until : av->last_use;
                continue;
            }
            c->next_use[i][k] = value_next[a];
            if (av->last_use < i)
                av->last_use = i;
            value_next[a] = i;
        }
    }
}

void x64_prepare(struct x64_compile *c)
{
    const struct ir_unit *u = c->unit;
    uint32_t *value_next = c->barriers; // borrowed until the barriers are counted
    for (uint32_t i = 0; i < u->insn_count; i++) {
        c->values[i] = (struct x64_value){ .cell = i };
        c->values[i].address = may_be_displacement(c, &u->insns[i]);
        note_address_uses(c, &u->insns[i]);
        c->cells[i] = (struct x64_cell){ -1, false, -1, -1, 0, 0, X64_NO_FIELD, 0 };
        value_next[i] = X64_NO_POS;
    }
    for (unsigned w = 0; w < X64_MAX_FIELDS / 64; w++) // what the last unit left
        for (uint64_t bits = c->bound[w]; bits; bits &= bits - 1)
            c->fields[w * 64 + (unsigned)__builtin_ctzll(bits)].cell = IR_NO_VALUE;
    x64_clear_events(c);
    c->event_count = c->loop_count = c->global_count = 0;
    order_blocks(c);
    for (uint32_t k = u->block_count; k-- > 0;)
        if (u->blocks[c->block_order[k]].count)
            scan_block(c, c->block_order[k], value_next);
    c->map_count = c->join_count = c->hot_end = 0;
    memset(c->hot_fields, 0, sizeof(c->hot_fields));
    uint32_t n = 0;
    for (uint32_t i = 0; i < u->insn_count; i++) {
        c->barriers[i] = n;
        uint16_t flags = ir_ops[u->insns[i].op].flags;
        n += (flags & (IR_FAULT | IR_TERM)) != 0 || u->insns[i].op == IR_OP_call;
    }
    memset(c->slots_used, 0, sizeof(c->slots_used));
    memset(c->dirty, 0, sizeof(c->dirty));
    memset(c->bound, 0, sizeof(c->bound));
    for (unsigned r = 0; r < X64_REGS; r++)
        c->regs[r] = IR_NO_VALUE;
    for (unsigned s = 0; s < X64_SNAPSHOTS; s++)
        c->snapshot_owner[s] = IR_NO_VALUE;
}
