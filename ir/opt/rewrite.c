// SPDX-License-Identifier: MIT
// The rewriting walk (opt_internal.h): common subexpressions by a direct-mapped hash along dominators, state
// fields forwarded from puts to gets, and the bookkeeping of the new unit. Everything is one visit per
// instruction.
//
// State: `fields` holds, for each field, the value it is known to hold. At a join only what all predecessors
// agree on survives; at a loop head only fields that nothing in the unit puts.
#include "base/error.h"
#include "ir/opt/opt_internal.h"

#include <stdlib.h>
#include <string.h>

void ir_opt_free(struct ir_opt *opt)
{
    free(opt->memory);
    free(opt->insns);
    free(opt->blocks);
    memset(opt, 0, sizeof *opt);
}

void *ir_opt_reserve(struct ir_opt *opt, size_t size)
{
    if (size > opt->size) {
        size_t wanted = size + size / 2;
        void *memory = malloc(wanted);
        if (!memory)
            return NULL;
        free(opt->memory);
        opt->memory = memory;
        opt->size = wanted;
    }
    return opt->memory;
}

void ir_opt_check(const struct ir_unit *unit)
{
#ifdef IR_VERIFY_PASSES
    struct error err = {""};
    if (ir_verify(unit, &err)) {
        fprintf(stderr, "a pass broke the unit: %s\n", err.text);
        ir_print(unit, stderr);
        abort();
    }
#endif
}

static bool reserve_output(struct ir_opt *opt, uint32_t insns, uint32_t blocks)
{
    if (insns > opt->insn_capacity) {
        struct ir_insn *bigger = realloc(opt->insns, insns * sizeof *bigger);
        if (!bigger)
            return false;
        opt->insns = bigger;
        opt->insn_capacity = insns;
    }
    if (blocks > opt->block_capacity) {
        struct ir_block *bigger = realloc(opt->blocks, blocks * sizeof *bigger);
        if (!bigger)
            return false;
        opt->blocks = bigger;
        opt->block_capacity = blocks;
    }
    return true;
}

// ---- common subexpressions -------------------------------------------------------------------------------

// From the fields, not from memory: the instruction has just been put together in registers.
static inline uint32_t hash_insn(const struct ir_insn *insn)
{
    uint64_t head =
        insn->op | (uint64_t)insn->type << 16 | (uint64_t)insn->sub << 24 | (uint64_t)insn->attr << 32;
    uint64_t args = insn->arg[0] | (uint64_t)insn->arg[1] << 32,
             more = insn->arg[2] ^ (uint64_t)insn->arg[3] << 16;
    uint64_t h = (head ^ args * 0x9e3779b97f4a7c15 ^ more) * 0xff51afd7ed558ccd;
    h = (h ^ h >> 32 ^ insn->imm) * 0xc4ceb9fe1a85ec53;
    return (uint32_t)(h >> 32);
}

static inline bool equal(const struct ir_insn *a, const struct ir_insn *b)
{
    return a->op == b->op && a->type == b->type && a->sub == b->sub && a->attr == b->attr &&
           a->imm == b->imm && a->arg[0] == b->arg[0] && a->arg[1] == b->arg[1] && a->arg[2] == b->arg[2] &&
           a->arg[3] == b->arg[3];
}

static inline bool mergeable(const struct ir_rewrite *rw, const struct ir_insn *insn)
{
    if (insn->op == IR_OP_call)
        return !(rw->unit->guest->helpers[insn->imm].flags & ~(uint32_t)IR_HELPER_FP_FLAGS);
    return ir_ops[insn->op].flags & (IR_PURE | IR_FPX);
}

// Whether the value at id, equal to insn, stands for it here. What raises exceptions must not be merged over
// a helper that may have cleared them, so it merges only with its own block's, after the last such helper.
static inline bool reusable(const struct ir_rewrite *rw, const struct ir_insn *insn, uint32_t id)
{
    if (!(ir_ops[insn->op].flags & IR_PURE))
        return rw->home[id] == rw->block && id >= rw->exceptions_from;
    return rw->home[id] == rw->block || ir_flow_dominates(&rw->flow, rw->home[id], rw->block);
}

static inline uint32_t append(struct ir_rewrite *rw, const struct ir_insn *insn)
{
    if (rw->count == rw->capacity) {
        rw->overflow = true;
        return 0;
    }
    rw->out[rw->count] = *insn;
    rw->home[rw->count] = (uint16_t)rw->block;
    return rw->count++;
}

// Adds an instruction (args and blocks as the invariant says) to the new unit, simplified by the walk's steps. Returns
// its value or that of an equal one; *insn is what became of it.
static uint32_t emit(struct ir_rewrite *rw, struct ir_insn *insn)
{
    uint32_t value;
    if ((rw->steps & IR_STEP_FOLD) && ir_fold_insn(rw, insn, &value))
        return value;
    if (!(rw->steps & IR_STEP_CSE) || !mergeable(rw, insn))
        return append(rw, insn);
    uint32_t *slot = &rw->table[hash_insn(insn) & rw->table_mask];
    if (*slot != IR_NO_VALUE && equal(&rw->out[*slot], insn) && reusable(rw, insn, *slot))
        return *slot;
    return *slot = append(rw, insn);
}

uint32_t ir_rewrite_const(struct ir_rewrite *rw, enum ir_type type, uint64_t value)
{
    struct ir_insn insn = ir_insn_make(IR_OP_const, type, IR_NO_VALUE, IR_NO_VALUE);
    insn.imm = value & (type == IR_I1 ? 1 : ~0ull >> (64 - ir_type_size(type) * 8));
    return emit(rw, &insn);
}

// ---- state -----------------------------------------------------------------------------------------------

static void scan_puts(struct ir_rewrite *rw)
{
    memset(rw->put_fields, 0, sizeof rw->put_fields);
    rw->clobbers = false;
    if (rw->flow.count == 1)
        return;
    for (uint32_t i = 0; i < rw->unit->insn_count; i++) {
        const struct ir_insn *insn = &rw->unit->insns[i];
        if (insn->op == IR_OP_put)
            rw->put_fields[insn->imm >> 6] |= 1ull << (insn->imm & 63);
        if (insn->op == IR_OP_call)
            rw->clobbers |= rw->unit->guest->helpers[insn->imm].flags & IR_HELPER_WRITES;
    }
}

static void forget(struct ir_rewrite *rw)
{
    memset(rw->fields, 0xff, rw->unit->guest->layout->count * sizeof *rw->fields);
}

static void enter_block(struct ir_rewrite *rw, uint32_t position)
{
    const uint32_t n = rw->unit->guest->layout->count;
    const struct ir_flow *flow = &rw->flow;
    uint32_t first = flow->pred_first[rw->block], end = flow->pred_first[rw->block + 1];
    bool started = false, loop = position == 0 && end > first;
    rw->fields = rw->states + (size_t)position * n;
    for (uint32_t p = first; p < end && position; p++) {
        uint32_t from = flow->order[flow->pred[p]];
        const uint32_t *other = rw->states + (size_t)from * n;
        if (from >= position) {
            loop = true;
        } else if (!started) {
            memcpy(rw->fields, other, n * sizeof *other);
            started = true;
        } else {
            for (uint32_t f = 0; f < n; f++)
                rw->fields[f] = rw->fields[f] == other[f] ? other[f] : IR_NO_VALUE;
        }
    }
    if (!started || (loop && rw->clobbers)) {
        forget(rw);
        return;
    }
    for (uint32_t f = 0; loop && f < n; f++) {
        uint32_t v = rw->fields[f];
        if (v != IR_NO_VALUE && ((rw->put_fields[f >> 6] >> (f & 63) & 1) ||
                                 !ir_flow_dominates(flow, rw->home[v], rw->block)))
            rw->fields[f] = IR_NO_VALUE;
    }
}

// Handles get, put and call under IR_STEP_STATE; true if the instruction needs no place in the new unit.
static inline bool forward_state(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    if (insn->op == IR_OP_get) {
        uint32_t *field = &rw->fields[insn->imm];
        if (*field == IR_NO_VALUE)
            *field = emit(rw, insn);
        *ret_value = *field;
        return true;
    }
    if (insn->op == IR_OP_put) {
        if (rw->fields[insn->imm] == insn->arg[0])
            return true;
        rw->fields[insn->imm] = insn->arg[0];
    } else if (insn->op == IR_OP_call && (rw->unit->guest->helpers[insn->imm].flags & IR_HELPER_WRITES)) {
        forget(rw);
    }
    return false;
}

// ---- the walk --------------------------------------------------------------------------------------------

struct span_tables {
    uint16_t *group_of;
    struct ir_span_group *groups;
};

// The token of the access's group, emitted before the group's first access; IR_NO_VALUE if it goes alone.
static uint32_t use_span(struct ir_rewrite *rw, const struct span_tables *spans, uint32_t old_id)
{
    if (spans->group_of[old_id] == IR_NO_GROUP)
        return IR_NO_VALUE;
    struct ir_span_group *group = &spans->groups[spans->group_of[old_id]];
    if (group->count < 2)
        return IR_NO_VALUE;
    if (group->token == IR_NO_VALUE) {
        struct ir_insn span = ir_insn_make(IR_OP_span, IR_I64, rw->map[group->base], IR_NO_VALUE);
        span.imm = (uint32_t)group->lo | (uint64_t)(uint32_t)group->hi << 32;
        span.attr = group->mmu;
        span.sub = group->write;
        group->token = append(rw, &span);
    }
    return group->token;
}

// Copies the instruction with its operands renumbered.
static inline void renumber(const struct ir_rewrite *rw, const struct ir_insn *from, struct ir_insn *to)
{
    to->op = from->op;
    to->type = from->type;
    to->sub = from->sub;
    to->attr = from->attr;
    to->imm = from->imm;
    for (unsigned i = 0; i < 4; i++)
        to->arg[i] = rw->map[ir_operand_at(from->arg[i])];
}

static inline void rewrite_insn(struct ir_rewrite *rw, uint32_t id)
{
    const struct ir_insn *from = &rw->unit->insns[id];
    struct ir_insn insn;
    uint32_t value = IR_NO_VALUE;
    if (from->op == IR_OP_nop)
        return;
    if (from->op == IR_OP_insn) { // one in five: none of the steps has to do with it
        rw->map[id] = append(rw, from);
        return;
    }
    renumber(rw, from, &insn);
    if ((rw->steps & IR_STEP_STATE) && forward_state(rw, &insn, &value))
        rw->map[id] = value;
    else
        rw->map[id] = emit(rw, &insn);
    if (insn.op == IR_OP_call &&
        (rw->unit->guest->helpers[insn.imm].flags & (IR_HELPER_WRITES | IR_HELPER_IMPURE)))
        rw->exceptions_from = rw->count;
}

// The same for walks that only compact and share spans: straight into the new unit.
static inline void copy_insn(struct ir_rewrite *rw, const struct span_tables *spans, uint32_t id)
{
    const struct ir_insn *from = &rw->unit->insns[id];
    if (from->op == IR_OP_nop)
        return;
    uint32_t token = IR_NO_VALUE;
    bool access = from->op == IR_OP_ld || from->op == IR_OP_st;
    if (access && (rw->steps & IR_STEP_SPANS))
        token = use_span(rw, spans, id);
    if (rw->count == rw->capacity) {
        rw->overflow = true;
        return;
    }
    struct ir_insn *to = &rw->out[rw->count];
    renumber(rw, from, to);
    if (token != IR_NO_VALUE)
        to->arg[from->op == IR_OP_st ? 2 : 1] = token;
    rw->home[rw->count] = (uint16_t)rw->block;
    rw->map[id] = rw->count++;
}

static void renumber_targets(const struct ir_flow *flow, struct ir_insn *last)
{
    if (last->op == IR_OP_br)
        last->imm = flow->order[last->imm];
    else if (last->op == IR_OP_brif)
        last->imm = flow->order[(uint32_t)last->imm] | (uint64_t)flow->order[last->imm >> 32] << 32;
}

static void swap_buffers(struct ir_rewrite *rw)
{
    struct ir_unit *unit = rw->unit;
    struct ir_opt *opt = rw->opt;
    struct ir_insn *insns = unit->insns;
    struct ir_block *blocks = unit->blocks;
    uint32_t insn_capacity = unit->insn_capacity, block_capacity = unit->block_capacity;
    unit->insns = opt->insns;
    unit->insn_capacity = opt->insn_capacity;
    unit->insn_count = rw->count;
    unit->blocks = opt->blocks;
    unit->block_capacity = opt->block_capacity;
    unit->block_count = rw->flow.count;
    opt->insns = insns;
    opt->insn_capacity = insn_capacity;
    opt->blocks = blocks;
    opt->block_capacity = block_capacity;
}

static size_t aligned(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

// Lays the walk's tables out in scratch. False without memory.
static bool prepare(struct ir_rewrite *rw, struct span_tables *spans)
{
    const struct ir_unit *unit = rw->unit;
    const uint32_t n = unit->insn_count, fields = unit->guest->layout->count;
    rw->capacity = 2 * n + 64;
    if (rw->capacity > IR_MAX_INSNS)
        rw->capacity = IR_MAX_INSNS;
    if (!reserve_output(rw->opt, rw->capacity, unit->block_count))
        return false;
    uint32_t slots = 64;
    while (slots < 2 * n)
        slots *= 2;
    slots = rw->steps & IR_STEP_CSE ? slots : 0;
    size_t flow = aligned(ir_flow_size(unit)), map = aligned((n + 1) * sizeof(uint32_t));
    size_t home = aligned(rw->capacity * sizeof(uint16_t)), table = aligned(slots * sizeof(uint32_t));
    size_t states =
        rw->steps & IR_STEP_STATE ? aligned((size_t)unit->block_count * fields * sizeof(uint32_t)) : 0;
    size_t groups = rw->steps & IR_STEP_SPANS ? aligned(n * sizeof(uint16_t)) : 0;
    size_t group_list = rw->steps & IR_STEP_SPANS ? n * sizeof(struct ir_span_group) : 0;
    char *at = ir_opt_reserve(rw->opt, flow + map + home + table + states + groups + group_list);
    if (!at)
        return false;
    rw->out = rw->opt->insns;
    ir_flow_build(unit, at, &rw->flow);
    rw->map = (uint32_t *)(at += flow) + 1;
    rw->map[ir_operand_at(IR_NO_VALUE)] = IR_NO_VALUE;
    rw->home = (uint16_t *)(at += map);
    rw->table = (uint32_t *)(at += home);
    rw->table_mask = slots - 1;
    memset(rw->table, 0xff, slots * sizeof(uint32_t));
    rw->states = (uint32_t *)(at += table);
    spans->group_of = (uint16_t *)(at += states);
    spans->groups = (struct ir_span_group *)(at + groups);
    return true;
}

void ir_rewrite(struct ir_unit *unit, struct ir_opt *opt, unsigned steps)
{
    struct ir_rewrite rw = {.unit = unit, .opt = opt, .steps = steps};
    struct span_tables spans;
    if (unit->failed || !prepare(&rw, &spans))
        return;
    if (steps & IR_STEP_STATE)
        scan_puts(&rw);
    if ((steps & IR_STEP_SPANS) && !ir_find_spans(unit, &rw.flow, spans.group_of, spans.groups, unit->insn_count) &&
        steps == IR_STEP_SPANS)
        return;
    for (uint32_t i = 0; i < rw.flow.count; i++) {
        const struct ir_block *block = &unit->blocks[rw.flow.rpo[i]];
        rw.block = rw.flow.rpo[i];
        opt->blocks[i].first = rw.count;
        if (steps & IR_STEP_STATE)
            enter_block(&rw, i);
        if (steps & (IR_STEP_FOLD | IR_STEP_CSE | IR_STEP_STATE))
            for (uint32_t id = block->first; id < block->first + block->count; id++)
                rewrite_insn(&rw, id);
        else
            for (uint32_t id = block->first; id < block->first + block->count; id++)
                copy_insn(&rw, &spans, id);
        opt->blocks[i].count = rw.count - opt->blocks[i].first;
        if (rw.overflow)
            return;
        renumber_targets(&rw.flow, &rw.out[rw.count - 1]);
    }
    swap_buffers(&rw);
    ir_opt_check(unit);
}

void ir_opt_fold(struct ir_unit *unit, struct ir_opt *opt)
{
    ir_rewrite(unit, opt, IR_STEP_FOLD);
}

void ir_opt_cse(struct ir_unit *unit, struct ir_opt *opt)
{
    ir_rewrite(unit, opt, IR_STEP_CSE);
}

void ir_opt_share_spans(struct ir_unit *unit, struct ir_opt *opt)
{
    ir_rewrite(unit, opt, IR_STEP_SPANS);
}

void ir_compact(struct ir_unit *unit, struct ir_opt *opt)
{
    ir_rewrite(unit, opt, 0);
}
