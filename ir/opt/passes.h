// SPDX-License-Identifier: MIT
// One function a pass. Each leaves a unit that verifies and means the same; debug builds verify after each.
// Passes run in time linear in the unit (CSE by hashing) and allocate nothing per unit: they work in struct
// ir_opt, which grows to the largest unit seen. Passes that rewrite (fold, cse, state, share_spans, compact)
// put blocks in reverse postorder, drop unreachable ones and nops, and renumber values; ir_opt_dead leaves
// nops where instructions died. Without memory a pass leaves the unit as it was.
//
// No pass merges, moves or removes a load: the address may be a device's.
#ifndef IR_OPT_PASSES_H
#define IR_OPT_PASSES_H

#include "ir/ir.h"

enum ir_rewrite_steps { IR_STEP_FOLD = 1, IR_STEP_CSE = 2, IR_STEP_STATE = 4, IR_STEP_SPANS = 8 };

// Scratch reused from unit to unit by one thread. A zeroed struct is ready; ir_opt_free releases it.
struct ir_opt {
    void *memory; // tables of the running pass
    size_t size;
    struct ir_insn *insns; // the rewritten unit: swapped with the old one's buffers
    uint32_t insn_capacity;
    struct ir_block *blocks;
    uint32_t block_capacity;
    uint32_t without; // enum ir_rewrite_steps that ir_optimise leaves out, to measure what they give
};
void ir_opt_free(struct ir_opt *opt);

void ir_opt_fold(struct ir_unit *unit, struct ir_opt *opt); // constants, algebra, copies, narrow extracts
void ir_opt_cse(struct ir_unit *unit, struct ir_opt *opt);          // equal pure values along dominators
void ir_opt_state(struct ir_unit *unit,
                  struct ir_opt *opt); // forward puts to gets, drop dead puts, across blocks
void ir_opt_dead(struct ir_unit *unit, struct ir_opt *opt);         // dead values and flags
void ir_opt_share_spans(struct ir_unit *unit,
                        struct ir_opt *opt); // one address translation for several accesses
void ir_compact(struct ir_unit *unit, struct ir_opt *opt);

// The fast tier's pipeline, in order; the cost matters (cold code).
void ir_optimise(struct ir_unit *unit, struct ir_opt *opt);

#endif
