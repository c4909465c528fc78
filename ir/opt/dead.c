// SPDX-License-Identifier: MIT
// Dead code, backwards over the blocks in postorder: values nobody uses and puts that are overwritten before
// anything can see them. Puts are seen by gets, by exits and polls, by helpers that read state or may exit,
// and by every op that may fault (state is precise; the slow paths store it). Dead instructions become nops.
//
// FPX ops stay: their exceptions are state. Over back edges everything is live.
#include "ir/opt/opt_internal.h"

#include <string.h>

enum { WORDS = 4 }; // 256 fields

struct walk {
    struct ir_unit *unit;
    bool puts, values; // what to remove
    uint8_t *used;     // by ir_operand_at
    uint64_t live[WORDS];
};

static bool sees_state(const struct ir_unit *unit, const struct ir_insn *insn)
{
    if (insn->op == IR_OP_call)
        return unit->guest->helpers[insn->imm].flags & (IR_HELPER_READS | IR_HELPER_EXITS);
    return ir_ops[insn->op].flags & IR_FAULT;
}

static bool removable(const struct ir_unit *unit, const struct ir_insn *insn)
{
    if (insn->op == IR_OP_call)
        return !unit->guest->helpers[insn->imm].flags;
    return (ir_ops[insn->op].flags & IR_PURE) || insn->op == IR_OP_get || insn->op == IR_OP_span;
}

static void kill(struct ir_insn *insn)
{
    *insn = (struct ir_insn){.op = IR_OP_nop, .arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}};
}

static inline void visit(struct walk *w, uint32_t id)
{
    struct ir_insn *insn = &w->unit->insns[id];
    uint64_t bit = 1ull << (insn->imm & 63), *word = &w->live[insn->imm >> 6 & (WORDS - 1)];
    if (insn->op == IR_OP_put) {
        if (w->puts && !(*word & bit)) {
            kill(insn);
            return;
        }
        *word &= ~bit;
    } else if (w->values && !w->used[id] && removable(w->unit, insn)) {
        kill(insn);
        return;
    } else if (insn->op == IR_OP_get) {
        *word |= bit;
    } else if (sees_state(w->unit, insn)) {
        memset(w->live, 0xff, sizeof w->live);
    }
    for (unsigned i = 0; i < 4; i++)
        w->used[ir_operand_at(insn->arg[i])] = 1;
}

// What no path reaches uses nothing any more; the block stays for the numbering until a rewriting pass drops
// it.
static void empty_unreached(struct ir_unit *unit, const struct ir_flow *flow)
{
    for (uint32_t b = 0; b < unit->block_count; b++) {
        const struct ir_block *block = &unit->blocks[b];
        if (flow->order[b] != IR_FLOW_UNREACHED)
            continue;
        for (uint32_t id = block->first; id < block->first + block->count; id++)
            kill(&unit->insns[id]);
        unit->insns[block->first + block->count - 1].op = IR_OP_br; // to block 0
    }
}

static void sweep(struct ir_unit *unit, struct ir_opt *opt, bool puts, bool values)
{
    size_t flow_size = (ir_flow_size(unit) + 15) & ~(size_t)15;
    size_t live_size = unit->block_count * sizeof(uint64_t[WORDS]);
    char *at = unit->failed ? NULL : ir_opt_reserve(opt, flow_size + live_size + unit->insn_count + 1);
    if (!at)
        return;
    struct ir_flow flow;
    ir_flow_build(unit, at, &flow);
    if (flow.count < unit->block_count)
        empty_unreached(unit, &flow);
    uint64_t(*live_in)[WORDS] = (uint64_t(*)[WORDS])(at + flow_size);
    struct walk w = {
        .unit = unit, .puts = puts, .values = values, .used = (uint8_t *)at + flow_size + live_size + 1};
    memset(w.used, !values, unit->insn_count);
    for (uint32_t i = flow.count; i--;) {
        uint32_t b = flow.rpo[i], next[2];
        const struct ir_block *block = &unit->blocks[b];
        unsigned n = ir_successors(unit, b, next);
        memset(w.live, n ? 0 : 0xff, sizeof w.live);
        while (n--)
            for (unsigned word = 0; word < WORDS; word++)
                w.live[word] |= flow.order[next[n]] > i ? live_in[next[n]][word] : ~0ull;
        for (uint32_t id = block->first + block->count; id-- > block->first;)
            visit(&w, id);
        memcpy(live_in[b], w.live, sizeof w.live);
    }
    ir_opt_check(unit);
}

void ir_opt_dead(struct ir_unit *unit, struct ir_opt *opt)
{
    sweep(unit, opt, false, true);
}

void ir_opt_state(struct ir_unit *unit, struct ir_opt *opt)
{
    ir_rewrite(unit, opt, IR_STEP_STATE);
    sweep(unit, opt, true, false);
}

void ir_optimise(struct ir_unit *unit, struct ir_opt *opt)
{
    ir_rewrite(unit, opt, (IR_STEP_FOLD | IR_STEP_CSE | IR_STEP_STATE) & ~opt->without);
    sweep(unit, opt, !(opt->without & IR_STEP_STATE), true);
    if (!(opt->without & IR_STEP_SPANS))
        ir_rewrite(unit, opt, IR_STEP_SPANS);
}
