// SPDX-License-Identifier: MIT
// One function a pass. Each leaves a unit that verifies and means the same; debug builds verify after each. Passes run
// in time linear in the unit (CSE by hashing), allocate nothing that outlives them, and keep value ids compact:
// dead instructions become nop, ir_compact removes them.
#ifndef IR_OPT_PASSES_H
#define IR_OPT_PASSES_H

#include "ir/ir.h"

// Scratch reused from unit to unit by one thread. A zeroed struct is ready; ir_opt_free releases it.
struct ir_opt {
    void *memory;
    size_t size;
};
void ir_opt_free(struct ir_opt *opt);

void ir_opt_fold(struct ir_unit *unit, struct ir_opt *opt);         // constants, algebra, copies, narrow extracts
void ir_opt_cse(struct ir_unit *unit, struct ir_opt *opt);          // equal pure values along dominators
void ir_opt_state(struct ir_unit *unit, struct ir_opt *opt);        // forward puts to gets, drop dead puts, across blocks
void ir_opt_dead(struct ir_unit *unit, struct ir_opt *opt);         // dead values and flags
void ir_opt_share_spans(struct ir_unit *unit, struct ir_opt *opt);  // one address translation for several accesses
void ir_compact(struct ir_unit *unit, struct ir_opt *opt);

// The fast tier's pipeline, in order; the cost matters (cold code).
void ir_optimise(struct ir_unit *unit, struct ir_opt *opt);

#endif
