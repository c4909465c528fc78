// SPDX-License-Identifier: MIT
// The rewriting walk that the forward passes share: it reads a unit's blocks in reverse postorder and writes
// a new one, so that a pass may replace an instruction, leave it out, or put others before it. What a pass
// does is a bit.
//
// Invariant: in the new unit, definitions come before uses in order of index; a value number in an `args` of
// the new unit is a new one, and block numbers stay the old ones until ir_rewrite puts the new unit in its place.
#ifndef IR_OPT_INTERNAL_H
#define IR_OPT_INTERNAL_H

#include "ir/flow.h"
#include "ir/opt/passes.h"


// Where a table by value ids has the entry of an operand: that of IR_NO_VALUE is before the first, so that there is nothing to
// compare.
static inline int32_t ir_operand_at(uint32_t arg)
{
    return (int32_t)arg;
}

struct ir_rewrite {
    struct ir_unit *unit;
    struct ir_opt *opt;
    struct ir_flow flow;
    unsigned steps;
    struct ir_insn *out;
    uint32_t count, capacity;
    uint32_t *map;      // by old id: new id; ir_operand_at(IR_NO_VALUE) is one more entry
    uint16_t *home;     // by new id: old block number
    uint32_t block;     // old number of the block being written
    uint32_t *table;    // CSE: new ids by hash, direct-mapped
    uint32_t table_mask;
    uint32_t exceptions_from; // no helper since this new id can have cleared FP exceptions
    uint32_t *states;   // by position in rpo: value that each field holds at the block's end
    uint32_t *fields;   // of the block being written
    uint64_t put_fields[4]; // fields put anywhere in the unit
    bool clobbers;          // a helper of the unit writes state
    bool overflow;          // out is full: give up
};

// Scratch of at least size bytes, contents undefined; NULL without memory.
void *ir_opt_reserve(struct ir_opt *opt, size_t size);

// In debug builds (meson's buildtype), ends the program if the pass that just ran left a unit that does not
// verify.
void ir_opt_check(const struct ir_unit *unit);

// Rewrites unit by steps.
void ir_rewrite(struct ir_unit *unit, struct ir_opt *opt, unsigned steps);

uint32_t ir_rewrite_const(struct ir_rewrite *rw, enum ir_type type, uint64_t value);

// Simplifies *insn in place. True if it is equal to the value *ret_value.
bool ir_fold_insn(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value);

// Groups of accesses that share a span, by old id; spans.c.
struct ir_span_group {
    uint32_t base; // old id
    uint32_t mmu;
    int64_t lo, hi;
    uint32_t count, token; // token: new id once emitted
    bool write;
};
enum { IR_NO_GROUP = UINT16_MAX };
// Fills group_of (by old id) and groups (capacity max); returns whether a walk would change
// the unit: a group has more than one access, or there is a nop.
bool ir_find_spans(const struct ir_unit *unit, const struct ir_flow *flow, uint16_t *group_of,
                       struct ir_span_group *groups, uint32_t max);

static inline struct ir_insn ir_insn_make(enum ir_op op, enum ir_type type, uint32_t a, uint32_t b)
{
    return (struct ir_insn){
        .op = (uint16_t)op, .type = (uint8_t)type, .arg = {a, b, IR_NO_VALUE, IR_NO_VALUE}};
}

#endif
