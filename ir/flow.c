// SPDX-License-Identifier: MIT
// Reverse postorder, predecessors and immediate dominators of a unit's blocks. Linear but for the dominator
// iteration, which settles in two rounds on reducible graphs. No recursion: guests choose the depth.
#include "ir/flow.h"

#include <string.h>

size_t ir_flow_size(const struct ir_unit *unit)
{
    size_t n = unit->block_count;
    return (4 * n + 2 * n + n + 1) * sizeof(uint32_t) + 8;
}

static void order_blocks(const struct ir_unit *unit, struct ir_flow *flow, uint32_t *stack)
{
    uint32_t depth = 0, at = unit->block_count, next[2];
    uint32_t *visited = flow->idom; // successors already taken, plus one; 0 = not seen
    memset(visited, 0, unit->block_count * sizeof *visited);
    memset(flow->order, 0xff, unit->block_count * sizeof *flow->order);
    stack[depth++] = 0;
    visited[0] = 1;
    while (depth) {
        uint32_t b = stack[depth - 1];
        unsigned n = ir_successors(unit, b, next);
        if (visited[b] <= n) {
            uint32_t s =
                next[n - visited[b]++]; // the last successor first, so that the first follows b in rpo
            if (!visited[s]) {
                visited[s] = 1;
                stack[depth++] = s;
            }
        } else {
            flow->rpo[--at] = b;
            depth--;
        }
    }
    flow->count = unit->block_count - at;
    memmove(flow->rpo, flow->rpo + at, flow->count * sizeof *flow->rpo);
    for (uint32_t i = 0; i < flow->count; i++)
        flow->order[flow->rpo[i]] = i;
}

static void list_predecessors(const struct ir_unit *unit, struct ir_flow *flow)
{
    uint32_t next[2], *first = flow->pred_first;
    memset(first, 0, (unit->block_count + 1) * sizeof *first);
    for (uint32_t i = 0; i < flow->count; i++)
        for (unsigned n = ir_successors(unit, flow->rpo[i], next); n--;)
            first[next[n] + 1]++;
    for (uint32_t b = 0; b < unit->block_count; b++)
        first[b + 1] += first[b];
    uint32_t total = first[unit->block_count];
    // Filling moves each start to its end, so it goes backwards from the ends instead.
    for (uint32_t i = flow->count; i--;)
        for (unsigned n = ir_successors(unit, flow->rpo[i], next); n--;)
            flow->pred[--first[next[n] + 1]] = flow->rpo[i];
    // first[b + 1] is the start of b now: shift back.
    memmove(first, first + 1, unit->block_count * sizeof *first);
    first[unit->block_count] = total;
}

static void find_dominators(struct ir_flow *flow)
{
    for (uint32_t i = 1; i < flow->count; i++)
        flow->idom[flow->rpo[i]] = IR_FLOW_UNREACHED;
    flow->idom[flow->rpo[0]] = flow->rpo[0];
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 1; i < flow->count; i++) {
            uint32_t b = flow->rpo[i], best = IR_FLOW_UNREACHED;
            for (uint32_t p = flow->pred_first[b]; p < flow->pred_first[b + 1]; p++) {
                uint32_t a = flow->pred[p];
                if (flow->idom[a] == IR_FLOW_UNREACHED)
                    continue;
                while (best != IR_FLOW_UNREACHED && best != a) {
                    if (flow->order[a] > flow->order[best])
                        a = flow->idom[a];
                    else
                        best = flow->idom[best];
                }
                best = a;
            }
            changed |= flow->idom[b] != best;
            flow->idom[b] = best;
        }
    }
}

void ir_flow_build(const struct ir_unit *unit, void *memory, struct ir_flow *ret_flow)
{
    uint32_t n = unit->block_count, *at = memory;
    ret_flow->rpo = at;
    ret_flow->order = at + n;
    ret_flow->idom = at + 2 * n;
    ret_flow->pred_first = at + 3 * n;
    ret_flow->pred = at + 4 * n + 1;
    if (n == 1 && unit->insns[unit->blocks[0].first + unit->blocks[0].count - 1].op != IR_OP_br &&
        unit->insns[unit->blocks[0].first + unit->blocks[0].count - 1].op != IR_OP_brif) { // many a unit of a guest
        ret_flow->rpo[0] = ret_flow->order[0] = ret_flow->idom[0] = ret_flow->pred_first[0] = ret_flow->pred_first[1] = 0;
        ret_flow->count = 1;
        return;
    }
    order_blocks(unit, ret_flow, ret_flow->pred);
    list_predecessors(unit, ret_flow);
    find_dominators(ret_flow);
}
