// SPDX-License-Identifier: MIT
// Translating A64 to IR: the state of one unit under construction and the vocabulary the tr_*.c files share.
//
// One function a live row of the decode table: bool a64_tr_<row>(t, insn), true when it emitted the
// instruction, false when the encoding is UNDEFINED here (nothing emitted). Values are ids of t->u. Private
// to frontends/a64.
//
// Invariant: between instructions t->u's current block is open unless t->ended.
#ifndef A64_TR_H
#define A64_TR_H

#include "frontends/a64/decode.h"
#include "frontends/a64/helpers.h"
#include "frontends/a64/key.h"
#include "frontends/a64/state.h"

enum { A64_MAX_UNIT = 256, A64_NO_BLOCK = -1 };

struct a64_tr {
    struct ir_unit *u;
    const struct guest_translate *request;
    const struct a64_cpu_model *model;
    uint32_t key;
    uint32_t start, offset;  // of the unit and of this instruction, bytes in the page
    unsigned count;          // instructions in the unit
    bool ended;              // the current block has its terminator
    bool sp_aligned;         // SP was checked since the last block boundary and moved by multiples of 16 only
    int32_t block[A64_MAX_UNIT]; // IR block of the instruction, where one starts there
};

#define A64_TR(name) bool a64_tr_##name(struct a64_tr *t, const struct a64_insn *i)
#define X(name) A64_TR(name);
A64_ROWS(X)
#undef X

// ---- registers; sf: 64-bit. Number 31 is the zero register, in the _sp forms the stack pointer ------------
uint32_t a64_reg(struct a64_tr *t, unsigned n, bool sf);
uint32_t a64_reg_sp(struct a64_tr *t, unsigned n, bool sf);
void a64_set_reg(struct a64_tr *t, unsigned n, bool sf, uint32_t value);
void a64_set_reg_sp(struct a64_tr *t, unsigned n, bool sf, uint32_t value);
uint32_t a64_vec(struct a64_tr *t, unsigned n);
void a64_set_vec(struct a64_tr *t, unsigned n, uint32_t value);

static inline uint32_t a64_imm(struct a64_tr *t, bool sf, uint64_t value)
{
    return ir_const(t->u, sf ? IR_I64 : IR_I32, value);
}
static inline enum ir_type a64_type(bool sf)
{
    return sf ? IR_I64 : IR_I32;
}
// rm extended by option and shifted left, as add_ext and register offsets use it; the result is 32 or 64 bits
// by sf.
uint32_t a64_extend(struct a64_tr *t, unsigned rm, unsigned option, unsigned shift, bool sf);
// Condition of A64 (0..13) on the current flags; the caller handles AL and NV.
uint32_t a64_condition(struct a64_tr *t, unsigned cond);
// The address of page offset off, as a value.
uint32_t a64_pc(struct a64_tr *t, int64_t off);

// ---- ops with small fields --------------------------------------------------------------------------------
uint32_t a64_bits_op(struct a64_tr *t, enum ir_op op, enum ir_type type, unsigned pos, unsigned len,
                     uint32_t a, uint32_t b);
void a64_fence(struct a64_tr *t, enum ir_fence kind);

// ---- leaving ----------------------------------------------------------------------------------------------
// All end the unit's current block and set t->ended.
void a64_goto(struct a64_tr *t, int64_t target, enum ir_jump_hint hint); // direct; polls when backward
void a64_branch_if(struct a64_tr *t, uint32_t cond, int64_t target);     // else the next instruction
void a64_exit_indirect(struct a64_tr *t, uint32_t pc, enum ir_jump_hint hint);
void a64_exit_state(struct a64_tr *t);  // through the dispatcher to the next instruction
void a64_raise(struct a64_tr *t, uint32_t esr, int64_t return_offset);
// A branch target in a register loses its tag where the key says so.
uint32_t a64_branch_address(struct a64_tr *t, uint32_t target);

// ---- memory -----------------------------------------------------------------------------------------------
enum a64_access { A64_NORMAL, A64_UNPRIVILEGED, A64_ORDERED };
// attr of an access of 1 << size bytes: endianness, alignment, MMU index.
uint32_t a64_memop(const struct a64_tr *t, unsigned size, enum a64_access kind);
// Base register of an address; checks SP alignment for register 31.
uint32_t a64_base(struct a64_tr *t, unsigned rn);
uint32_t a64_offset(struct a64_tr *t, uint32_t base, int64_t offset);
// Writes base + offset back to rn.
void a64_writeback(struct a64_tr *t, unsigned rn, uint32_t base, int64_t offset);

// Attributes of FP ops under this key: what ir_vop and scalar FP ops carry in attr.
static inline uint32_t a64_fp_attr(const struct a64_tr *t)
{
    return a64_key_fp_mode(t->key);
}

int a64_isa_translate(const struct guest_translate *request, struct ir_unit *unit);
unsigned a64_isa_disassemble(const struct guest_translate *request, char *buf, size_t size);

#endif
