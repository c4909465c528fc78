// SPDX-License-Identifier: MIT
// Internal to backends/x64: the backend object, one compilation's state, and what the lowering files share.
//
// Register convention inside units: r12 = struct ir_env *; rsp = the trampoline's frame (enum x64_frame), 8 below a
// multiple of 16, as after a call (optimiser.h); rax, rcx, rdx and xmm13..15 are scratch within one operation;
// everything else is allocated. No register is preserved by units. Values in host registers: integers narrower than 64 bits are zero-extended, except that bits
// above 32 of an i32 may be junk where x64_junk says so; scalars in xmm have junk above; flags are in packed
// form (ir/types.h) in the low 16 bits, bits that are not named being junk.
#ifndef BACKENDS_X64_COMPILE_H
#define BACKENDS_X64_COMPILE_H

#include "backends/backend.h"
#include "backends/optimiser.h"
#include "backends/x64/emit.h"
#include "backends/x64/features.h"

#include <assert.h>

enum { X64_ENV = X64_R12, X64_XMM0 = 16, X64_REGS = 32, X64_XMM_T1 = 13, X64_XMM_T2 = 14 };

// Offsets from rsp inside units.
enum x64_frame {
    X64_FRAME_ARGS = 8,    // 4 × union ir_value, 16-aligned
    X64_FRAME_RET = 72,    // union ir_value
    X64_FRAME_MXCSR = 88,  // host's, guest's
    X64_FRAME_SAVE = 104,  // thunks: 9 general registers, 16 vector registers
    X64_FRAME_SLOTS = X64_FRAME_SAVE + 80 + 16 * 16,
    X64_SLOTS = 256,       // spill slots of 16 bytes
    X64_FRAME_SIZE = X64_FRAME_SLOTS + 16 * X64_SLOTS + 8,
};

enum { X64_MAX_INSNS = 8192, X64_MAX_FIELDS = 256, X64_MAX_REFS = 16384, X64_COLD_SIZE = 1 << 17,
       X64_NO_POS = UINT32_MAX };

// Shared code at the start of the buffer, by offset.
enum x64_thunk {
    X64_T_ENTER, X64_T_EXIT /* code in eax */, X64_T_EXIT_STUB, X64_T_EXIT_MISS,
    X64_T_EXIT_UNLINKED, X64_T_EXIT_FAR, X64_T_EXIT_POLL_AT, X64_T_EXIT_HOT_AT,
    X64_T_LOAD, X64_T_STORE, X64_T_CAS, X64_T_RMW, X64_T_EVAL,
    X64_T_LOAD_V, X64_T_STORE_V, X64_T_CAS_V, X64_T_RMW_V, // likewise, keeping vector registers
    X64_T_FP_SYNC,
    X64_T_COUNT,
};

// Constants beside the thunks, 16 bytes each.
enum x64_constant {
    X64_C_ROUND, // MXCSR by enum ir_round, 4 of them
    X64_C_ABS32, X64_C_ABS64, X64_C_SIGN32, X64_C_SIGN64, X64_C_MIN32, X64_C_MIN64, X64_C_TWICE_MIN64, X64_C_ONES, X64_C_ONE32,
    X64_C_ONE64, X64_C_B01, X64_C_B0F, X64_C_B7F, X64_C_B80, X64_C_H00FF, X64_C_BREV_LO, X64_C_BREV_HI, X64_C_POP4, X64_C_CLZ4,
    X64_C_REV16, X64_C_REV32, X64_C_REV64, X64_C_WREV32, X64_C_WREV64, X64_C_TBL_BIAS, X64_C_SHIFTROWS, X64_C_ISHIFTROWS,
    X64_C_H0001, X64_C_UZP8_EVEN, X64_C_UZP8_ODD, X64_C_UZP16_EVEN, X64_C_UZP16_ODD, X64_C_LO64,
    X64_C_EXP_32, X64_C_EXP_64, X64_C_S00FF, X64_C_D00FF, X64_C_SFFFF, X64_C_BELOW_2P31, X64_C_HALF32, X64_C_HALF64,
    X64_C_CRC32, X64_C_2P32_32, X64_C_2P63_32, X64_C_2P32_64, X64_C_2P63_64,
    X64_C_COUNT,
};

// What is known of an SSA value. A value may share the cell (register, slot) of another.
struct x64_value {
    uint32_t cell;      // the value whose cell holds it
    uint32_t uses;      // of it, by other instructions
    uint32_t last_use;  // position, behind the loops that it lives round; 0 = none
    uint32_t first_use;
    bool global;        // used in another block
    bool done;          // lowered ahead of its place
    bool fused;         // an i1 held in EFLAGS only: cond or icmp
    uint8_t cc;         // of a fused icmp; fused conds take theirs from the flags
    bool address;       // an addition of a constant that only addresses of loads and stores are: part of their operands
    bool in_xmm;        // an integer that only vector registers want: loaded to be FP, or FP to be stored
    uint32_t float_uses, store_uses; // that take an integer from a vector register
    uint32_t rank;      // of the block that defines it
};

struct x64_cell {
    int8_t reg;          // 0..15 general, 16..31 vector, -1 none
    bool vector;
    int16_t slot;        // spill slot that holds it where we are, -1 none
    int16_t home;        // slot of a value that other blocks use, once it has one
    uint32_t last_use;   // over all values that share it
    uint32_t next_use;   // an estimate, for eviction
    uint16_t first_field; // bound state fields, X64_NO_FIELD none
    uint8_t width;       // of a vector register: bytes beyond which it holds zeros, 0 where not known
};
enum { X64_NO_FIELD = 0xffff };

struct x64_field {
    uint32_t cell;       // bound cell, IR_NO_VALUE none
    uint16_t next;       // next field of the same cell
    bool dirty;
    uint32_t next_event; // next get or put in this block, X64_NO_POS none
    bool next_is_put;
};

// The allocator's state at the end of a block, for the successors that only it leads to.
struct x64_snapshot {
    uint32_t regs[X64_REGS];
    int16_t slots[X64_REGS]; // of the cells in regs
    uint16_t field_count;
    struct { uint16_t field; bool dirty; uint32_t cell; } fields[40];
};

// Where a block with several predecessors finds state fields.
enum { X64_MAPS = 256, X64_MAP_ENTRIES = 17, X64_JOIN_CELLS = X64_MAPS * X64_MAP_ENTRIES };
struct x64_map_entry {
    uint16_t field;
    uint8_t reg;
    bool dirty;
};
struct x64_map {
    uint32_t count;
    struct x64_map_entry entries[X64_MAP_ENTRIES];
};

enum { X64_MAX_SITES = 1024, X64_LOOPS = 32 };

enum x64_flags_kind { X64_FLAGS_INT, X64_FLAGS_FP, X64_FLAGS_FP_SWAPPED };

struct x64_compile {
    struct backend *backend;
    const struct ir_unit *unit;
    const struct ir_state_layout *layout;
    uint64_t has; // enum x64_feature
    struct x64_emit hot, cold;
    struct x64_emit *e; // where code goes now
    struct x64_refs refs;
    struct backend_exit *exits;
    uint32_t exit_count;
    struct backend_eval_site *sites; // placed behind the cold code
    uint32_t site_count;
    bool too_large;
    bool some_evaluated; // the configuration wants operations evaluated that have host code

    uint32_t pos;   // instruction being lowered
    uint32_t block, block_end;
    uint32_t insn_offset; // of the guest instruction, from pc_page
    uint32_t regs[X64_REGS]; // cell in each register, IR_NO_VALUE free
    uint32_t pinned;         // registers of the current instruction
    uint64_t slots_used[X64_SLOTS / 64];
    uint64_t dirty[X64_MAX_FIELDS / 64];
    uint64_t bound[X64_MAX_FIELDS / 64];

    // EFLAGS: what they hold, if anything.
    uint32_t flags_value; // a flags value, or IR_NO_VALUE
    uint8_t flags_kind;   // enum x64_flags_kind
    bool flags_c_inverted; // CF is the complement of the value's C
    uint32_t flags_bool;  // a fused i1 (icmp), or IR_NO_VALUE
    bool arith_is_sub;    // arith is the addition of -k, done as the subtraction of k
    uint32_t arith;       // add, sub, adc, sbc, and, or, xor whose EFLAGS are still there, or IR_NO_VALUE

    struct x64_value *values;
    struct x64_cell *cells;
    uint32_t (*next_use)[4]; // by instruction and argument; [3] of get and put: next event of the field
    uint32_t *barriers;      // FAULT, TERM and call ops before each position
    struct x64_field *fields;
    uint16_t touched[X64_MAX_FIELDS]; // fields whose next_event is set
    uint32_t touched_count;
    uint32_t *events;        // gets and puts, of each block from its last
    uint32_t event_count;
    uint32_t *block_events;  // by block: its first of them
    uint32_t *block_offset;  // in hot code
    uint32_t *block_order;   // blocks in the order they are lowered
    uint32_t *block_rank;    // where each comes in that order
    uint32_t *block_scratch;
    uint16_t *block_preds;
    struct x64_snapshot *snapshots; // ring, by block % X64_SNAPSHOTS
    uint32_t *snapshot_owner;       // the block each was made for
    uint32_t *loop_end;      // by block: end of the code of the loop it heads, 0 = none
    int16_t *block_map;      // by block: its map, -1 = none
    struct x64_map *maps;
    struct ir_insn *join_insns; // stand for the cells X64_MAX_INSNS and up
    uint32_t map_count, join_count;
    uint64_t hot_fields[X64_MAX_FIELDS / 64]; // in the map of the loop around
    uint32_t hot_end;
    uint32_t globals[X64_SLOTS]; // cells that have a home
    uint32_t global_count;
    struct { uint32_t first, end; } loops[X64_LOOPS];
    uint32_t loop_count; // past X64_LOOPS: too many to tell
};
enum { X64_SNAPSHOTS = 16 };

struct backend {
    struct backend_config config;
    uint64_t has;
    uint32_t thunks[X64_T_COUNT];
    uint32_t constants; // offset of constant 0
    const uint8_t *rx;
    uint8_t *cold_buffer;
    struct backend_stubs stubs;
    struct x64_compile compile; // scratch, reused
};

// ---- regalloc.c --------------------------------------------------------------------------------------------------
void x64_prepare(struct x64_compile *c); // prepass.c: uses, next uses, barriers, block order, loops
void x64_begin_insn(struct x64_compile *c);          // pins operands that are in registers
void x64_end_insn(struct x64_compile *c);            // frees dead operands, unpins
unsigned x64_use(struct x64_compile *c, uint32_t value);     // general register, pinned
unsigned x64_use_xmm(struct x64_compile *c, uint32_t value); // vector register 0..15, pinned
unsigned x64_def(struct x64_compile *c, uint32_t value);     // a register distinct from those pinned
unsigned x64_def_xmm(struct x64_compile *c, uint32_t value);
// The register of operand a if it is no longer needed, else a fresh one; the caller copies if they differ.
unsigned x64_def_over(struct x64_compile *c, uint32_t value, uint32_t a);
unsigned x64_def_over_xmm(struct x64_compile *c, uint32_t value, uint32_t a);
unsigned x64_temp(struct x64_compile *c, uint32_t avoid); // a free general register, until the instruction's end
void x64_alias(struct x64_compile *c, uint32_t value, uint32_t of);
bool x64_const(const struct x64_compile *c, uint32_t value, uint64_t *ret);
bool x64_imm32(const struct x64_compile *c, uint32_t value, int32_t *ret); // fits a sign-extended immediate
bool x64_zero_above(const struct x64_compile *c, uint32_t value); // its vector register, beyond its type
void x64_set_width(struct x64_compile *c, uint32_t value, unsigned bytes); // likewise, from here on
bool x64_junk(const struct x64_compile *c, uint32_t value);  // an i32 with junk above bit 31
void x64_def_const(struct x64_compile *c, uint32_t value);
bool x64_dies(const struct x64_compile *c, uint32_t value); // not needed after this instruction
void x64_get_field(struct x64_compile *c, uint32_t value, uint32_t field);
void x64_put_field(struct x64_compile *c, uint32_t field, uint32_t value);
void x64_store_dirty(struct x64_compile *c);  // writes dirty fields to env; they stay dirty (cold paths)
void x64_flush(struct x64_compile *c);        // writes them and marks them clean
void x64_forget_fields(struct x64_compile *c); // drops every binding
void x64_evict_all(struct x64_compile *c, uint32_t mask); // frees these registers, values kept in slots
// Log2 of the bytes of a field or value in memory. Of flags, all named bits are in the low half.
static inline unsigned x64_type_log2(enum ir_type type)
{
    static const uint8_t sizes[IR_TYPE_COUNT] = { [IR_I1] = 0, [IR_I8] = 0, [IR_I16] = 1, [IR_F16] = 1, [IR_FLAGS] = 1, [IR_I32] = 2,
                                                  [IR_F32] = 2, [IR_I64] = 3, [IR_F64] = 3, [IR_V128] = 4 };
    return sizes[type];
}
// Memory form of a value: writes it to [m], 8 or 16 bytes, upper bits zero (union ir_value).
void x64_store_value(struct x64_compile *c, uint32_t value, struct x64_mem m);
void x64_load_value(struct x64_compile *c, uint32_t value, struct x64_mem m); // into its (defined) register

// For joins.c.
static const uint32_t x64_general_pool = 1u << X64_RBX | 1u << X64_RBP | 1u << X64_RSI | 1u << X64_RDI | 0xfu << X64_R8 |
                                         7u << X64_R13;
static const uint32_t x64_vector_pool = 0x1fffu << X64_XMM0;
const struct ir_insn *x64_cell_insn(const struct x64_compile *c, uint32_t cell); // its type and constant
bool x64_is_const(const struct x64_compile *c, uint32_t cell);
uint64_t x64_const_bits(const struct ir_insn *insn);
void x64_load_const_xmm(struct x64_compile *c, unsigned xmm, uint32_t cell); // clobbers rax
void x64_bind_field(struct x64_compile *c, uint32_t field, uint32_t cell, bool dirty);
void x64_unbind_field(struct x64_compile *c, uint32_t field);
void x64_store_field(struct x64_compile *c, uint32_t field);
void x64_clear_events(struct x64_compile *c);
void x64_spill(struct x64_compile *c, uint32_t cell); // to its slot, unless it is there
bool x64_needed(const struct x64_compile *c, const struct x64_cell *cell); // as a value, after this instruction
void x64_release_slot(struct x64_compile *c, struct x64_cell *cell);
// Sets next_event; x64_clear_events undoes all of them.
static inline void x64_set_event(struct x64_compile *c, uint32_t field, uint32_t pos, bool is_put)
{
    if (c->fields[field].next_event == X64_NO_POS)
        c->touched[c->touched_count++] = (uint16_t)field;
    c->fields[field].next_event = pos;
    c->fields[field].next_is_put = is_put;
}
static inline bool x64_lowered(const struct x64_compile *c, uint32_t block) // or being so
{
    return c->block_rank[block] <= c->block_rank[c->block];
}
static inline bool x64_hot(const struct x64_compile *c, uint32_t field)
{
    return c->hot_fields[field / 64] >> (field % 64) & 1;
}

// ---- joins.c -----------------------------------------------------------------------------------------------------
void x64_begin_block(struct x64_compile *c, uint32_t block);
// Keeps the state for a block that only this point leads to; false if an edge must be made instead.
bool x64_save_snapshot(struct x64_compile *c, uint32_t block);
// Code for the edge to a block, without the jump. The allocator's state stays as it is, for other edges.
void x64_edge(struct x64_compile *c, uint32_t block);
bool x64_edge_is_free(struct x64_compile *c, uint32_t block); // x64_edge would emit nothing

// ---- lowering: each returns false if the op is not its own -------------------------------------------------------
bool x64_lower_int(struct x64_compile *c, const struct ir_insn *insn);
bool x64_lower_crc32(struct x64_compile *c, const struct ir_insn *insn); // for x64_lower_int
bool x64_lower_flags(struct x64_compile *c, const struct ir_insn *insn);
bool x64_lower_mem(struct x64_compile *c, const struct ir_insn *insn);
bool x64_lower_atomic(struct x64_compile *c, const struct ir_insn *insn);
bool x64_lower_control(struct x64_compile *c, const struct ir_insn *insn);
bool x64_lower_fp(struct x64_compile *c, const struct ir_insn *insn);
bool x64_lower_vec(struct x64_compile *c, const struct ir_insn *insn);
void x64_lower_eval(struct x64_compile *c, const struct ir_insn *insn); // out of line through ir_eval
void x64_lower(struct x64_compile *c, uint32_t pos);

// Condition of a fused or stored i1: emits a test if needed, gives the host condition under which it is true.
enum x64_cc x64_test_bool(struct x64_compile *c, uint32_t value);
bool x64_keeps_eflags(const struct ir_insn *insn); // its code changes no EFLAGS
void x64_clobber_flags(struct x64_compile *c);     // notes that the next code does
bool x64_flags_follow(const struct x64_compile *c, const struct ir_insn *insn); // a flags op wants its EFLAGS
bool x64_wanted_as_sub(const struct x64_compile *c, const struct ir_insn *insn); // a + -k, for the flags of a - k
// Which conditions on flags `value` follow while EFLAGS stand; true if nothing else uses it.
bool x64_conds_in_window(const struct x64_compile *c, uint32_t value, uint32_t *ret_conds);
bool x64_only_tested(const struct x64_compile *c, const struct ir_insn *insn);
void x64_set_carry(struct x64_compile *c, unsigned reg, bool inverted); // CF := bit 0 of reg

// ---- memory (lower_mem.c) ----------------------------------------------------------------------------------------
struct x64_mem x64_table(unsigned mmu, bool mask);
// For the address disp beyond a register's. Leaves EFLAGS NE when the access must take the slow path, and the entry where
// x64_tlb_addend finds it. Clobbers rax, rcx and rdx.
void x64_tlb_lookup(struct x64_compile *c, unsigned addr, int32_t disp, uint32_t attr, bool write);
void x64_tlb_addend(struct x64_compile *c); // rax := the entry's
// Cold code up to the thunk call: dirty fields, operands in order, attr. kind: enum ir_rmw.
void x64_slow_access(struct x64_compile *c, const struct ir_insn *insn, enum x64_thunk thunk, const uint32_t *operands,
                     unsigned count, unsigned kind);
void x64_load_result(struct x64_compile *c, uint32_t value); // from RET, extended already
void x64_bswap(struct x64_compile *c, unsigned size, unsigned reg);

// ---- cold code ---------------------------------------------------------------------------------------------------
// begin gives the cold position to jump to; end jumps back to the hot position (where the hot code is now).
static inline uint32_t x64_cold_begin(struct x64_compile *c)
{
    c->e = &c->cold;
    return x64_pos(&c->cold);
}
static inline void x64_cold_back(struct x64_compile *c, uint32_t hot_pos)
{
    x64_jmp(&c->cold, X64_REF_HOT, hot_pos);
    c->e = &c->hot;
}
static inline uint32_t x64_thunk_at(const struct x64_compile *c, enum x64_thunk t)
{
    return c->backend->thunks[t];
}
static inline struct x64_mem x64_constant(const struct x64_compile *c, enum x64_constant k)
{
    return x64_at_code(c->backend->constants + 16 * (uint32_t)k);
}
static inline struct x64_mem x64_env(size_t offset)
{
    return x64_at(X64_ENV, (int32_t)offset);
}
static inline struct x64_mem x64_frame_at(int32_t offset)
{
    return x64_at(X64_RSP, offset);
}
static inline bool x64_has(const struct x64_compile *c, uint64_t features)
{
    return (c->has & features) == features;
}
static inline enum ir_type x64_type(const struct x64_compile *c, uint32_t value)
{
    return (enum ir_type)c->unit->insns[value].type;
}
// The operand's value in a register; that of a load or store may be x64_displacement away from it.
static inline uint32_t x64_operand(const struct x64_compile *c, const struct ir_insn *insn, unsigned k)
{
    uint32_t a = insn->arg[k];
    return k == 0 && c->values[a].address ? c->unit->insns[a].arg[0] : a;
}
static inline int32_t x64_displacement(const struct x64_compile *c, const struct ir_insn *insn)
{
    uint32_t a = insn->arg[0];
    return c->values[a].address ? (int32_t)c->unit->insns[c->unit->insns[a].arg[1]].imm : 0;
}
static inline bool x64_in_xmm(enum ir_type t)
{
    return ir_type_is_float(t) || t == IR_V128;
}
static inline bool x64_value_in_xmm(const struct x64_compile *c, uint32_t value)
{
    return c->cells[c->values[value].cell].vector;
}

// ---- trampoline.c, evaluate.c ------------------------------------------------------------------------------------
void x64_write_constants(union v128 *to); // X64_C_COUNT of them
void x64_call_eval(struct x64_compile *c, const struct ir_insn *insn); // its result is in the frame's RET
int x64_emit_thunks(struct backend *b, struct code_buffer *code);
void x64_stmxcsr(struct x64_emit *e, struct x64_mem m);
void x64_ldmxcsr(struct x64_emit *e, struct x64_mem m);
// The exceptions of an MXCSR in `reg` go to env.fp_flags at ARM's places. Clobbers reg and temp; env: its register.
void x64_collect_exceptions(struct x64_emit *e, unsigned env, unsigned reg, unsigned temp);
void x64_call_c(struct x64_emit *e, const void *fn); // clobbers rax
void x64_emit_stubs(struct backend *b, struct x64_emit *e); // stubs.c
void x64_emit_jump(const struct backend *b, struct x64_emit *e); // stubs.c: to the unit at the PC in r13
void x64_emit_heat(struct x64_compile *c, uint32_t offset); // lower_control.c; no state is dirty but as cold code knows
int x64_eval_helper(struct ir_env *env, const struct backend_eval_site *site, const union ir_value *args,
                    union ir_value *ret);

#endif
