// SPDX-License-Identifier: MIT
// Joining units (merge.h). Instructions and blocks of the parts are copied one after the other, so that a value's number
// moves by a constant; a terminator that becomes an edge is replaced in its place by a branch to a block of its own at
// the end, which polls, compares, and goes on.
//
// A value may be used in a block its own block dominates, and joining adds ways into a part only at its entry, which
// dominates all of it: definitions go on dominating their uses.
#include "ir/merge.h"

#include <errno.h>

enum { MAX_SITES = 64 };

struct merge {
    const struct ir_merge_part *parts;
    uint32_t count;
    struct ir_unit *to;
    int64_t returns[MAX_SITES]; // where joined calls return to, without repetition
    uint32_t return_count;
};

static int64_t entry_of(const struct ir_merge_part *part)
{
    return part->base + part->entry;
}

static int64_t end_of(const struct ir_merge_part *part)
{
    return entry_of(part) + part->unit->guest_bytes;
}

// Which part begins at pc; count if none does.
static uint32_t part_at(const struct merge *m, int64_t pc)
{
    uint32_t p = 0;
    while (p < m->count && entry_of(&m->parts[p]) != pc)
        p++;
    return p;
}

static uint32_t first_block(const struct merge *m, uint32_t part)
{
    uint32_t block = 1;
    for (uint32_t p = 0; p < part; p++)
        block += m->parts[p].unit->block_count;
    return block;
}

static const struct ir_insn no_op = {.arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}};

static const struct ir_insn *terminator(const struct ir_unit *unit, uint32_t block)
{
    return &unit->insns[unit->blocks[block].first + unit->blocks[block].count - 1];
}

static void note_return(struct merge *m, int64_t pc)
{
    for (uint32_t i = 0; i < m->return_count; i++)
        if (m->returns[i] == pc)
            return;
    if (m->return_count < MAX_SITES && part_at(m, pc) < m->count)
        m->returns[m->return_count++] = pc;
}

static void find_returns(struct merge *m)
{
    for (uint32_t p = 0; p < m->count; p++) {
        const struct ir_merge_part *part = &m->parts[p];
        for (uint32_t b = 0; b < part->unit->block_count; b++) {
            const struct ir_insn *last = terminator(part->unit, b);
            if (last->op == IR_OP_exit_pc && last->sub == IR_JUMP_CALL &&
                part_at(m, part->base + (int64_t)last->imm) < m->count)
                note_return(m, part->base + (int32_t)last->attr);
        }
    }
}

// ---- copying -----------------------------------------------------------------------------------------------------

static void move_insn(const struct merge *m, const struct ir_merge_part *part, struct ir_insn *insn, uint32_t values,
                      uint32_t blocks)
{
    for (unsigned i = 0; i < 4; i++)
        if (insn->arg[i] != IR_NO_VALUE)
            insn->arg[i] += values;
    switch (insn->op) {
    case IR_OP_insn:
    case IR_OP_pc:
    case IR_OP_poll: insn->imm += (uint64_t)part->base; break;
    case IR_OP_exit_pc:
        insn->imm += (uint64_t)part->base;
        if (insn->sub == IR_JUMP_CALL)
            insn->attr += (uint32_t)part->base;
        break;
    case IR_OP_exit_ind:
        if (insn->sub == IR_JUMP_CALL)
            insn->attr += (uint32_t)part->base;
        break;
    case IR_OP_br: insn->imm += blocks; break;
    case IR_OP_brif: insn->imm += (uint64_t)blocks << 32 | blocks; break;
    case IR_OP_vconst: insn->imm = ir_pool_add(m->to, &part->unit->vpool[insn->imm]); break;
    default: break;
    }
}

static void copy_part(const struct merge *m, const struct ir_merge_part *part, uint32_t blocks)
{
    const struct ir_unit *from = part->unit;
    struct ir_unit *to = m->to;
    uint32_t values = to->insn_count;
    for (uint32_t b = 0; b < from->block_count; b++) {
        ir_start_block(to, blocks + b);
        to->blocks[blocks + b].first = from->blocks[b].first + values;
    }
    // Instructions keep their places; the count of the block that happens to be current is set right below.
    for (uint32_t i = 0; i < from->insn_count; i++) {
        struct ir_insn insn = from->insns[i];
        move_insn(m, part, &insn, values, blocks);
        ir_emit(to, insn);
    }
    for (uint32_t b = 0; b < from->block_count && !to->failed; b++)
        to->blocks[blocks + b].count = from->blocks[b].count;
    to->guest_insns += from->guest_insns;
    to->guest_bytes += from->guest_bytes;
}

// ---- edges ---------------------------------------------------------------------------------------------------------

static bool polls(const struct ir_unit *unit, uint32_t block)
{
    const struct ir_block *b = &unit->blocks[block];
    return b->count > 1 && unit->insns[b->first + b->count - 2].op == IR_OP_poll;
}

// Fills the current block: goes on in the part that begins at pc.
static void go(struct merge *m, int64_t pc, bool poll_first)
{
    if (poll_first) {
        struct ir_insn poll = no_op;
        poll.op = IR_OP_poll;
        poll.imm = (uint64_t)pc;
        ir_emit(m->to, poll);
    }
    ir_br(m->to, first_block(m, part_at(m, pc)));
}

// Makes a fresh block what the terminator `last` of the unit branches to.
static void divert(struct merge *m, uint32_t last)
{
    uint32_t block = ir_new_block(m->to);
    struct ir_insn br = no_op;
    br.op = IR_OP_br;
    br.imm = block;
    m->to->insns[last] = br;
    ir_start_block(m->to, block);
}

static void join_return(struct merge *m, uint32_t last)
{
    struct ir_unit *to = m->to;
    const struct ir_insn leave = to->insns[last];
    divert(m, last);
    for (uint32_t i = 0; i < m->return_count && i < IR_MERGE_RETURNS; i++) {
        uint32_t here = ir_new_block(to), other = ir_new_block(to);
        struct ir_insn pc = no_op;
        pc.op = IR_OP_pc;
        pc.type = IR_I64;
        pc.imm = (uint64_t)m->returns[i];
        ir_brif(to, ir_icmp(to, IR_CEQ, leave.arg[0], ir_emit(to, pc)), here, other);
        ir_start_block(to, here);
        go(m, m->returns[i], true); // as any indirect jump does
        ir_start_block(to, other);
    }
    ir_emit(to, leave);
}

static void join_part(struct merge *m, uint32_t p, uint32_t blocks)
{
    const struct ir_merge_part *from = &m->parts[p];
    struct ir_unit *to = m->to;
    for (uint32_t b = 0; b < from->unit->block_count && !to->failed; b++) {
        const struct ir_block *block = &to->blocks[blocks + b];
        uint32_t last = block->first + block->count - 1;
        const struct ir_insn insn = to->insns[last];
        if (insn.op == IR_OP_exit_pc && part_at(m, (int64_t)insn.imm) < m->count) {
            bool poll = (int64_t)insn.imm < end_of(from) && !polls(to, blocks + b);
            divert(m, last);
            go(m, (int64_t)insn.imm, poll);
        } else if (insn.op == IR_OP_exit_ind && insn.sub == IR_JUMP_RETURN && m->return_count) {
            join_return(m, last);
        }
    }
}

int ir_merge(const struct ir_merge_part *parts, uint32_t count, struct ir_unit *ret_unit)
{
    struct merge m = {.parts = parts, .count = count, .to = ret_unit};
    ir_unit_reset(ret_unit, parts[0].unit->guest);
    ret_unit->fp_mode = parts[0].unit->fp_mode;
    ir_new_block(ret_unit); // an entry that no edge leads to
    for (uint32_t p = 0; p < count; p++) {
        if (parts[p].unit->guest != ret_unit->guest || parts[p].unit->fp_mode != ret_unit->fp_mode)
            return -EINVAL;
        for (uint32_t b = 0; b < parts[p].unit->block_count; b++)
            ir_new_block(ret_unit);
    }
    find_returns(&m);
    ir_start_block(ret_unit, 0);
    ir_br(ret_unit, 1);
    for (uint32_t p = 0; p < count && !ret_unit->failed; p++)
        copy_part(&m, &parts[p], first_block(&m, p));
    for (uint32_t p = 0; p < count && !ret_unit->failed; p++)
        join_part(&m, p, first_block(&m, p));
    return ret_unit->failed ? -E2BIG : 0;
}
