// SPDX-License-Identifier: MIT
// Control flow of a unit: reverse postorder, predecessors and dominators, computed into memory the caller
// provides (Cooper, Harvey, Kennedy: "A Simple, Fast Dominance Algorithm"). Valid until blocks or terminators
// change.
#ifndef IR_FLOW_H
#define IR_FLOW_H

#include "ir/ir.h"

enum { IR_FLOW_UNREACHED = UINT32_MAX };

struct ir_flow {
    uint32_t count;      // reachable blocks
    uint32_t *rpo;       // block numbers in reverse postorder
    uint32_t *order;     // by block: position in rpo, or IR_FLOW_UNREACHED
    uint32_t *idom;      // by block: immediate dominator; the entry's is itself
    uint32_t *pred;      // predecessors (reachable ones), pred[pred_first[b]] .. pred[pred_first[b + 1] - 1]
    uint32_t *pred_first;
};

// Bytes that ir_flow_build needs, for any control flow among the unit's blocks.
size_t ir_flow_size(const struct ir_unit *unit);
void ir_flow_build(const struct ir_unit *unit, void *memory, struct ir_flow *ret_flow);

// Both blocks reachable; a block dominates itself.
static inline bool ir_flow_dominates(const struct ir_flow *flow, uint32_t a, uint32_t b)
{
    if (flow->order[a] == IR_FLOW_UNREACHED)
        return false;
    while (flow->order[b] > flow->order[a])
        b = flow->idom[b];
    return a == b;
}

#endif
