// SPDX-License-Identifier: MIT
// The natural loops of a unit: bodies by back edges to blocks that dominate their source. Loops past REGION_LOOPS are
// not seen, which costs speed only.
#include "backends/llvm/llvm.h"

static bool join(struct region *r, unsigned loop, uint32_t block)
{
    uint8_t *body = r->loop_bodies + (size_t)loop * r->unit->block_count;
    if (body[block])
        return false;
    body[block] = 1;
    r->loops[loop].size++;
    return true;
}

static void add_body(struct region *r, unsigned loop, uint32_t from)
{
    const struct ir_flow *flow = &r->flow;
    uint32_t depth = 0;
    if (join(r, loop, from))
        r->stack[depth++] = from;
    while (depth) {
        uint32_t b = r->stack[--depth];
        for (uint32_t p = flow->pred_first[b]; p < flow->pred_first[b + 1]; p++)
            if (join(r, loop, flow->pred[p]))
                r->stack[depth++] = flow->pred[p];
    }
}

static unsigned loop_at(struct region *r, uint32_t head)
{
    for (unsigned i = 0; i < r->loop_count; i++)
        if (r->loops[i].head == head)
            return i;
    if (r->loop_count == REGION_LOOPS)
        return REGION_LOOPS;
    r->loops[r->loop_count] = (struct region_loop){ .head = head, .innermost = true };
    join(r, r->loop_count, head);
    return r->loop_count++;
}

static int smallest(const struct region *r, uint32_t block)
{
    int best = REGION_NO_LOOP;
    for (int i = 0; i < (int)r->loop_count; i++)
        if (region_in_loop(r, i, block) && (best == REGION_NO_LOOP || r->loops[i].size < r->loops[best].size))
            best = i;
    return best;
}

void region_loops_analyse(struct region *r)
{
    const struct ir_unit *u = r->unit;
    for (uint32_t b = 0; b < u->block_count; b++)
        for (uint32_t i = 0; i < u->blocks[b].count; i++)
            r->block_of[u->blocks[b].first + i] = (uint16_t)b;
    for (uint32_t k = 0; k < r->flow.count; k++) {
        uint32_t b = r->flow.rpo[k], next[2];
        for (unsigned n = ir_successors(u, b, next); n--;) {
            if (!ir_flow_dominates(&r->flow, next[n], b))
                continue;
            unsigned loop = loop_at(r, next[n]);
            if (loop < REGION_LOOPS)
                add_body(r, loop, b);
        }
    }
    for (unsigned i = 0; i < r->loop_count; i++)
        for (unsigned k = 0; k < r->loop_count; k++)
            if (i != k && region_in_loop(r, (int)i, r->loops[k].head))
                r->loops[i].innermost = false;
    for (uint32_t k = 0; k < r->flow.count; k++)
        r->blocks[r->flow.rpo[k]].loop = smallest(r, r->flow.rpo[k]);
}
