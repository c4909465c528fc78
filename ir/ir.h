// SPDX-License-Identifier: MIT
// The common IR: units of typed SSA instructions over a guest's declared state.
//
// A unit is a list of blocks; a block is a contiguous run of instructions that ends in one TERM op. An instruction's
// index in unit.insns is its value id; args hold ids. A value may be used in any later instruction of its own block
// and in blocks that its block dominates; there are no phis: what varies around a loop lives in state fields, which
// passes and tiers keep in registers. Block 0 is the entry. Invariants are checked by ir_verify.
//
// Units are owned by whoever created them and used by one thread at a time. Translation is deterministic and holds
// no absolute guest virtual address: code addresses are offsets from env.pc_page.
#ifndef IR_IR_H
#define IR_IR_H

#include "ir/env.h"
#include "ir/types.h"

#include <stdio.h>

struct error;

enum ir_op {
#define OP(name, ...) IR_OP_##name,
#include "ir/ops.def"
#undef OP
    IR_OP_COUNT
};
_Static_assert(IR_OP_COUNT < 150, "the IR stays small");

enum ir_op_flags {
    IR_PURE = 1 << 0, IR_COMM = 1 << 1, IR_FPX = 1 << 2, IR_FAULT = 1 << 3, IR_TERM = 1 << 4, IR_MEM_R = 1 << 5,
    IR_MEM_W = 1 << 6, IR_ST_R = 1 << 7, IR_ST_W = 1 << 8, IR_BAR = 1 << 9,
};

// Operand and result classes of ops.def.
enum ir_kind { IR_K__, IR_K_V, IR_K_T, IR_K_I, IR_K_F, IR_K_VEC, IR_K_FL, IR_K_B, IR_K_W, IR_K_D, IR_K_S, IR_K_S0,
               IR_K_ANY };

struct ir_op_info {
    const char *name;
    uint8_t result;  // enum ir_kind
    uint8_t args[4]; // enum ir_kind
    uint16_t flags;  // enum ir_op_flags
    const char *semantics;
};
extern const struct ir_op_info ir_ops[IR_OP_COUNT];

enum ir_jump_hint { IR_JUMP_PLAIN, IR_JUMP_CALL, IR_JUMP_RETURN };
enum ir_likely { IR_LIKELY_UNKNOWN, IR_LIKELY_TAKEN, IR_LIKELY_NOT_TAKEN };

enum { IR_NO_VALUE = UINT32_MAX, IR_MAX_INSNS = 1 << 16, IR_MAX_BLOCKS = 1 << 12 };

struct ir_insn {
    uint16_t op;    // enum ir_op
    uint8_t type;   // enum ir_type of the result, IR_VOID for none
    uint8_t sub;    // lane size, condition, comparison, position … see the op's row
    uint32_t attr;  // enum ir_memop or ir_fp_attr
    uint32_t arg[4]; // value ids or IR_NO_VALUE
    uint64_t imm;
};
_Static_assert(sizeof(struct ir_insn) == 32, "two instructions a cache line");

struct ir_block {
    uint32_t first, count; // run in unit.insns; the last one is the terminator
};

// ---- what a frontend declares ----------------------------------------------------------------------------------

// A state field: a typed variable of the guest at a fixed offset of its state struct. Fields never overlap, and are
// read and written whole. Offsets are from the struct ir_env at the head.
struct ir_field {
    const char *name; // "x0", "nzcv": used by the text form, traces and the debugger
    uint8_t type;     // enum ir_type
    uint8_t weight;   // 0..255: how much it pays to keep the field in a host register
    uint32_t offset;
};
struct ir_state_layout {
    const struct ir_field *fields; // in order of field number
    uint32_t count;                // at most 256
    size_t size;                   // of the whole state struct
};

// Effects of a helper. Without a bit, the helper does not do it; a helper with none is pure.
enum ir_helper_flags {
    IR_HELPER_READS = 1 << 0,        // reads state fields: all are stored before the call
    IR_HELPER_WRITES = 1 << 1,       // writes state fields: none is cached over the call
    IR_HELPER_EXITS = 1 << 2,        // may return an exit code (a fault, a stop); env.pc is true at the call
    IR_HELPER_KEEPS_SPANS = 1 << 3,  // span tokens survive it
    IR_HELPER_FP_FLAGS = 1 << 4,     // ORs into env.fp_flags only (with no other bit: otherwise pure)
    IR_HELPER_IMPURE = 1 << 5,       // has an outside effect or result: never removed or merged
};

// A helper gets the state and its arguments; it stores its result, if any, and returns IR_EXIT_NONE or, if declared,
// an exit code, in which case the unit is left at once with env.pc as the helper left it.
typedef int ir_helper_fn(struct ir_env *env, const union ir_value *args, union ir_value *ret_value);

struct ir_helper {
    const char *name;
    ir_helper_fn *fn;
    uint32_t flags;   // enum ir_helper_flags
    uint8_t result;   // enum ir_type
    uint8_t args[4];  // enum ir_type, IR_VOID past the end
};

// All that IR needs to know of a guest.
struct ir_guest {
    const char *name;
    const struct ir_state_layout *layout;
    const struct ir_helper *helpers;
    uint32_t helper_count;
};

// ---- units -------------------------------------------------------------------------------------------------------

struct ir_unit {
    const struct ir_guest *guest;
    struct ir_insn *insns;
    uint32_t insn_count, insn_capacity;
    struct ir_block *blocks;
    uint32_t block_count, block_capacity;
    union v128 *vpool;
    uint32_t vpool_count, vpool_capacity;
    uint32_t fp_mode;     // FP control the unit assumes (as env.fp_mode)
    uint32_t guest_insns; // how many guest instructions it covers
    uint32_t guest_bytes; // from the entry, contiguous
    uint32_t current;     // block being filled
    int32_t *heat;        // what compiled code counts down at its entry and polls (IR_EXIT_HOT), or NULL
    bool failed;          // out of memory or over a limit while building; the unit is useless
};

// Empties the unit for reuse, keeping its buffers. A zeroed struct is an empty unit.
void ir_unit_reset(struct ir_unit *unit, const struct ir_guest *guest);
void ir_unit_free(struct ir_unit *unit);

// ---- building ----------------------------------------------------------------------------------------------------
// Blocks are created first (ir_new_block) and filled in the order of ir_start_block calls; block numbers are those of
// creation. Builders never fail visibly: past a limit they set unit->failed and return value 0.

uint32_t ir_new_block(struct ir_unit *unit);
void ir_start_block(struct ir_unit *unit, uint32_t block);
uint32_t ir_emit(struct ir_unit *unit, struct ir_insn insn);

uint32_t ir_const(struct ir_unit *unit, enum ir_type type, uint64_t value);
uint32_t ir_vconst(struct ir_unit *unit, union v128 value);
// Index of value in the unit's constant pool, for op vconst; a recent equal one is reused.
uint32_t ir_pool_add(struct ir_unit *unit, const union v128 *value);
uint32_t ir_get(struct ir_unit *unit, uint32_t field);
void ir_put(struct ir_unit *unit, uint32_t field, uint32_t value);
uint32_t ir_op1(struct ir_unit *unit, enum ir_op op, enum ir_type type, uint32_t a);
uint32_t ir_op2(struct ir_unit *unit, enum ir_op op, enum ir_type type, uint32_t a, uint32_t b);
uint32_t ir_op3(struct ir_unit *unit, enum ir_op op, enum ir_type type, uint32_t a, uint32_t b, uint32_t c);
// Vector form: lane size sub, attr, imm.
uint32_t ir_vop(struct ir_unit *unit, enum ir_op op, unsigned sub, uint32_t attr, uint64_t imm, uint32_t a,
                uint32_t b, uint32_t c);
uint32_t ir_icmp(struct ir_unit *unit, enum ir_cmp cmp, uint32_t a, uint32_t b);
uint32_t ir_cond(struct ir_unit *unit, enum ir_cond cond, uint32_t flags);
uint32_t ir_load(struct ir_unit *unit, enum ir_type type, uint32_t attr, uint32_t addr);
void ir_store(struct ir_unit *unit, uint32_t attr, uint32_t addr, uint32_t value);
uint32_t ir_call(struct ir_unit *unit, uint32_t helper, uint32_t a, uint32_t b, uint32_t c, uint32_t d);
void ir_br(struct ir_unit *unit, uint32_t block);
void ir_brif(struct ir_unit *unit, uint32_t cond, uint32_t then_block, uint32_t else_block);

static inline enum ir_type ir_type_of(const struct ir_unit *unit, uint32_t value)
{
    return (enum ir_type)unit->insns[value].type;
}
// Number of successors of a block (0..2), written to ret_blocks.
unsigned ir_successors(const struct ir_unit *unit, uint32_t block, uint32_t ret_blocks[2]);

// ---- checking, text, running ---------------------------------------------------------------------------------------

// 0, or -EINVAL with a sentence that names the instruction. Rules: types and kinds; definitions dominate uses; one
// terminator a block; insn markers open each guest instruction; no put before a FAULT op of the same instruction
// unless it is marked restartable; block numbers, fields, helpers in range; LO64 only on v128.
int ir_verify(const struct ir_unit *unit, struct error *err);

// Prints the unit in text form; ir_parse reads the same form back (tests are written in it).
void ir_print(const struct ir_unit *unit, FILE *out);
int ir_parse(const char *text, const struct ir_guest *guest, struct ir_unit *ret_unit, struct error *err);

// Runs the unit on env until it is left. Returns an enum ir_exit with env.pc set (IR_EXIT_JUMP for exit_pc and
// exit_ind). slots: scratch for insn_count values, owned by the caller. The reference semantics of every op.
int ir_interpret(const struct ir_unit *unit, struct ir_env *env, const struct ir_runtime *runtime,
                 union ir_value *slots);

// Computes a pure or FPX op on values alone: the interpreter's core, used by constant folding and cold paths too.
// Returns false for ops that need state, memory or control. fp_flags accumulates exceptions.
bool ir_eval(const struct ir_insn *insn, const enum ir_type arg_types[4], const union ir_value args[4],
             union ir_value *ret_value, uint32_t *fp_flags);

#endif
