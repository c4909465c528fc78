// SPDX-License-Identifier: MIT
// Joins units into one: direct exits that lead to the beginning of another part become edges, calls among them, and a
// return compares its target with the places that joined calls return to. What the result does is what the parts do
// when they are run one after the other.
//
// Every cycle of the result polls: an edge to an address that is not past the end of the part it leaves polls before
// it, unless the part does so itself; and so does a joined return.
#ifndef IR_MERGE_H
#define IR_MERGE_H

#include "ir/ir.h"

struct ir_merge_part {
    const struct ir_unit *unit; // before optimisation or after
    int64_t base;               // of its page, from the page of the first part; 0 when it is the same
    uint32_t entry;             // offset of its first instruction in its page
};

// The most places one return is compared with.
enum { IR_MERGE_RETURNS = 4 };

// Makes *ret_unit (zeroed or an old unit) of the parts; its entry is that of the first. Parts have distinct entries.
// 0; -EINVAL when they are of different guests or FP modes; -E2BIG past a limit of units.
int ir_merge(const struct ir_merge_part *parts, uint32_t count, struct ir_unit *ret_unit);

#endif
