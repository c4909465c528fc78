// SPDX-License-Identifier: MIT
// Internal to backends/llvm: the optimiser object, one compilation's state, and what the lowering files share.
//
// A region is one LLVM function of the calling convention preserve_none, void (env, a, b): env in r12, the other two
// meaning something to stubs only. IR values map to LLVM values: i1..i64 as such, f16 as i16, f32 and f64 as float and
// double, v128 as <2 x i64>, flags symbolically (struct region_flags). State fields live in allocas, which LLVM turns
// into registers; env is written where the region is left and nowhere else.
#ifndef BACKENDS_LLVM_LLVM_H
#define BACKENDS_LLVM_LLVM_H

#include "backends/optimiser.h"
#include "ir/flow.h"

#include <llvm-c/Core.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

// Calling conventions of llvm/IR/CallingConv.h, which the C API has no names for.
enum { REGION_PRESERVE_ALL = 15, REGION_PRESERVE_NONE = 21 };

enum region_stub {
    REGION_EXIT_FP, REGION_JUMP, REGION_JUMP_FP, REGION_LEAVE, REGION_LEAVE_FP, REGION_FP_CHECK, // tail
    REGION_LOAD, REGION_STORE, REGION_CAS, REGION_RMW, REGION_EVAL, REGION_FP_SYNC,              // call
    REGION_STUBS
};

struct region_memory; // memory of one region (jit.c)

struct optimiser {
    struct optimiser_config config;
    uint64_t has; // enum x64_feature
    LLVMTargetMachineRef machine;
    LLVMPassBuilderOptionsRef pass_options;
    LLVMOrcLLJITRef jit;
    char tune[32];           // the host's name, for instruction scheduling
    uint32_t next_region;
    struct region_memory *building; // the region whose object is being linked
    struct region_memory *kept;     // by next: of shared functions
    char *shared_names;             // NULL: none yet (shared.c)
    size_t object_size;
    bool broken;                    // LLVM gave up in the middle of something: nothing of it is touched any more
};

// What a flags value was made from. N and so on of a by kind; BITS: n z c v in a, b, c, d as i1.
enum region_flags_kind {
    REGION_PACKED, // a: i32 in the form of enum ir_flag_bits, junk elsewhere. 0: what allocas start with
    REGION_SUB32, REGION_SUB64, REGION_ADD32, REGION_ADD64, REGION_LOGIC32, REGION_LOGIC64, // a and b
    REGION_FCMP32, REGION_FCMP64, // a and b, the bits of floats
    REGION_DYNAMIC, // kind in c: i32, one of those above; a and b are i64
    REGION_BITS,
};
struct region_flags {
    uint8_t kind;
    LLVMValueRef a, b, c, d;
};

enum { REGION_FIELDS = 256, REGION_WORDS = REGION_FIELDS / 64 };
struct region_set {
    uint64_t bits[REGION_WORDS]; // by field
};

struct region_field {
    LLVMValueRef slot;           // alloca; of flags the operand a
    LLVMValueRef slot_b, kind;   // of flags
    uint32_t known;              // of flags: the value put last, IR_NO_VALUE unknown
};

struct region_chunk;

enum { REGION_LOOPS = 32, REGION_NO_LOOP = -1 };
struct region_loop {
    uint32_t head, size; // blocks
    bool innermost;
    struct region_chunk *chunk; // NULL: lowered once
};

// Where a value of an innermost loop may be after k turns: in [v + k * down + lo, v + k * up + hi] (reach.c).
struct region_reach {
    int64_t up, down, lo, hi; // down <= 0 <= up
    uint64_t grain;           // bits that it may change, and all above the lowest
};

// Reaches that hold as long as a 32-bit value, or a field, does not leave what its widening keeps.
enum { REGION_LIMITS = 8 };
struct region_limit {
    uint32_t value;
    bool is_signed;
    struct region_reach reach;
};
struct region_limits {
    struct region_limit list[REGION_LIMITS];
    unsigned count;
};

// Accesses off one base in a loop with a fast copy (chunks.c): [base + lo, base + hi) and what base reaches.
enum { REGION_PAGES = 8 };
struct region_pages {
    uint32_t base;
    unsigned mmu;
    struct region_reach reach;
    int64_t lo, hi;
    bool reads, writes;
    unsigned align;               // bytes; 0, 1: any
    int64_t align_at;             // base + this has that alignment
    LLVMValueRef first, aligned;  // the lowest address; 0 where aligned
    LLVMValueRef addend;          // ptr
};
struct region_chunk {
    int loop;
    unsigned count;
    struct region_pages pages[REGION_PAGES];
    struct region_limits limits;
    LLVMBasicBlockRef decide; // where the loop's back edges lead
};

// A value of such a loop that is used behind it. Blocks of the loop and others are lowered in any order.
struct region_escape {
    uint8_t loop; // plus 1; 0: none
    LLVMValueRef value, slot[4]; // in the loop, as lowered last; allocas
    struct region_flags flags;
};

// A page that accesses of a loop keep to (streams.c).
struct region_stream {
    uint64_t key;
    LLVMValueRef tag, addend; // allocas, i64
};
enum { REGION_STREAMS = 8 };

// What a block knows when it ends, for a successor that only it leads to.
struct region_block {
    LLVMBasicBlockRef entry;     // where edges to it lead
    LLVMBasicBlockRef slow_entry; // meanwhile, see chunks.c
    int loop;                    // the smallest around it, REGION_NO_LOOP none
    struct region_set dirty_in;  // fields whose value in env may be old
    uint32_t known;              // of the flags field
    int64_t insn_offset;         // of the last guest instruction in it
    bool inexact_known;          // the inexact exception is in env.fp_flags
};

struct region {
    struct optimiser *optimiser;
    const struct optimiser_request *request;
    const struct ir_unit *unit;
    const struct ir_state_layout *layout;
    struct backend_exit *exits;
    uint32_t exit_count;
    bool too_many_exits;
    bool diagnosed;     // LLVM found an error
    const struct ir_insn *evaluated; // an op that should not be, NULL none
    bool uses_fp;       // host FP operations: see struct backend_stubs
    struct ir_flow flow;
    void *memory;       // of all arrays below
    size_t memory_size;
    void *flow_memory;

    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMTypeRef i1, i8, i16, i32, i64, i128, f32, f64, ptr, v2i64, void_type, tail_type;
    LLVMValueRef function, env;
    LLVMValueRef args, result;          // allocas for helpers: union ir_value[4] and one more
    LLVMValueRef stubs[REGION_STUBS];
    LLVMModuleRef shared;               // functions made for this region and others, NULL: none
    LLVMValueRef unlikely, likely;      // branch weights
    // Fields and our own stack lie outside tbaa_machine, which is what slow accesses touch; the others are kinds of it.
    // Scratch is where operands and results of slow accesses and evaluations lie, and all that the latter touch.
    LLVMValueRef tbaa_machine, tbaa_env, tbaa_table, tbaa_guest, tbaa_field, tbaa_local, tbaa_scratch;
    unsigned md_prof, md_tbaa, md_invariant;

    LLVMValueRef *values;               // by instruction
    struct region_flags *flags;         // likewise
    struct region_block *blocks;
    struct region_field fields[REGION_FIELDS];
    struct region_set used;             // fields the unit gets or puts
    struct region_set deferred;         // fields that puts in loops leave out of env
    struct region_loop loops[REGION_LOOPS];
    unsigned loop_count;
    uint8_t *loop_bodies;               // REGION_LOOPS by block
    uint16_t *block_of;                 // by instruction
    uint32_t *stack;                    // scratch, by block
    struct region_stream streams[REGION_STREAMS];
    unsigned stream_count;
    uint8_t *stream_of;                 // by instruction: its stream plus 1, 0 none; in chunks of the chunk's pages
    struct region_chunk chunks[REGION_LOOPS + 1];
    unsigned chunk_count;
    struct region_chunk *fast;          // whose copy is being lowered, or NULL
    struct region_escape *escapes;      // by instruction

    uint32_t pos, block;                // being lowered
    int64_t insn_offset;                // of the guest instruction, from pc_page
    struct region_set dirty;
    bool inexact_known;
    bool cold;                          // what is built seldom runs: small rather than fast
    LLVMBasicBlockRef leave;            // stores what is dirty now and leaves with leave_code; NULL: none made yet
    LLVMValueRef leave_code;            // its phi
    LLVMBasicBlockRef restart;          // likewise, to the one-pass unit at restart_offset
    int64_t restart_offset;
    int64_t entry_offset;               // of the region's first guest instruction
};

// ---- module.c ----------------------------------------------------------------------------------------------------
// Fills the module with a function of that name; 0 or a negative errno.
int region_build(struct region *r, const char *symbol);
extern const char *const region_stub_names[REGION_STUBS];
void region_free(struct region *r);
LLVMModuleRef region_new_module(struct region *r, const char *name);
LLVMValueRef region_new_function(struct region *r, const char *name, LLVMTypeRef type, unsigned convention); // in r->module
void region_declare_stubs(struct region *r); // likewise

// ---- shared.c ----------------------------------------------------------------------------------------------------
enum { REGION_SHARED_NAME = 80 };
struct region_shared_frame {
    LLVMModuleRef module;
    LLVMValueRef function, env, args;
    LLVMBasicBlockRef at;
    LLVMValueRef stubs[REGION_STUBS];
};
// Declared in the region's module; NULL where nobody has built it: begin, the body, end, and find again.
LLVMValueRef region_shared_find(struct region *r, const char *name, LLVMTypeRef type);
LLVMValueRef region_shared_begin(struct region *r, const char *name, LLVMTypeRef type, struct region_shared_frame *keep);
void region_shared_end(struct region *r, const struct region_shared_frame *keep);
const char *region_shared_first(const struct region *r);  // the name of one of those in r->shared
int region_shared_keep(struct region *r, void *handle);   // r->shared is linked; 0 or -ENOMEM
void region_lower_block(struct region *r, LLVMBasicBlockRef at); // r->block

// ---- jit.c -------------------------------------------------------------------------------------------------------
int region_jit_create(struct optimiser *o, struct error *err);
void region_jit_destroy(struct optimiser *o);
// Links the object (owned) and gives the addresses; 0 or a negative errno.
int region_link(struct optimiser *o, LLVMMemoryBufferRef object, const char *symbol, struct optimiser_region *ret);
void region_release(struct optimiser *o, void *handle);
void region_retain(struct optimiser *o, void *handle); // until region_jit_destroy

// ---- build.c: shorthand ------------------------------------------------------------------------------------------
LLVMTypeRef region_type(const struct region *r, enum ir_type type);
LLVMTypeRef region_int(const struct region *r, unsigned log2); // of 1 << log2 bytes
LLVMValueRef region_k(const struct region *r, LLVMTypeRef type, uint64_t value);
LLVMValueRef region_env_at(struct region *r, size_t offset);
LLVMValueRef region_env_load(struct region *r, LLVMTypeRef type, size_t offset, unsigned align);
void region_env_store(struct region *r, LLVMValueRef value, size_t offset, unsigned align);
LLVMValueRef region_tag(struct region *r, LLVMValueRef access, LLVMValueRef tbaa); // returns access
LLVMValueRef region_pc(struct region *r, int64_t offset); // pc_page + offset
LLVMBasicBlockRef region_new_block(struct region *r, const char *name);
void region_at(struct region *r, LLVMBasicBlockRef block);
void region_branch(struct region *r, LLVMValueRef cond, LLVMBasicBlockRef yes, LLVMBasicBlockRef no, LLVMValueRef weights);
LLVMValueRef region_phi(struct region *r, LLVMTypeRef type, LLVMValueRef a, LLVMBasicBlockRef from_a, LLVMValueRef b,
                        LLVMBasicBlockRef from_b);
// An intrinsic overloaded on `type` (NULL: on nothing).
LLVMValueRef region_intrinsic(struct region *r, const char *name, LLVMTypeRef type, LLVMValueRef *args, unsigned count);
LLVMValueRef region_call_stub(struct region *r, enum region_stub stub, LLVMValueRef *args, unsigned count);
void region_tail(struct region *r, LLVMValueRef target, LLVMValueRef a, LLVMValueRef b); // ends the block
// Between IR types and what lies in a union ir_value or a state field at `at`.
LLVMValueRef region_load_value(struct region *r, enum ir_type type, LLVMValueRef at, LLVMValueRef tbaa);
void region_store_value(struct region *r, enum ir_type type, LLVMValueRef value, LLVMValueRef at, LLVMValueRef tbaa);
LLVMValueRef region_bits(struct region *r, LLVMValueRef value); // f32, f64 as integers; others as they are
static inline LLVMValueRef region_arg(const struct region *r, const struct ir_insn *insn, unsigned k)
{
    return r->values[insn->arg[k]];
}
static inline enum ir_type region_arg_type(const struct region *r, const struct ir_insn *insn, unsigned k)
{
    return (enum ir_type)r->unit->insns[insn->arg[k]].type;
}

// ---- state.c -----------------------------------------------------------------------------------------------------
void region_state_analyse(struct region *r);     // uses, dirty fields at block entries
void region_state_enter(struct region *r);       // in the entry block: allocas and what they start with
void region_state_begin_block(struct region *r); // r->block
void region_state_end_block(struct region *r);
void region_get(struct region *r, uint32_t field);
void region_put(struct region *r, uint32_t field, uint32_t value);
void region_store_dirty(struct region *r); // to env, here; they count as dirty still
void region_flush(struct region *r);       // likewise, and they are clean
void region_reload(struct region *r);      // after a helper that may have written env
LLVMValueRef region_field_now(struct region *r, uint32_t field); // between blocks; not of flags
static inline bool region_has_field(const struct region_set *set, uint32_t field)
{
    return set->bits[field / 64] >> (field % 64) & 1;
}

// ---- loops.c -----------------------------------------------------------------------------------------------------
void region_loops_analyse(struct region *r);
static inline bool region_in_loop(const struct region *r, int loop, uint32_t block)
{
    return r->loop_bodies[(size_t)loop * r->unit->block_count + block];
}

// ---- reach.c -----------------------------------------------------------------------------------------------------
bool region_is_const(const struct region *r, uint32_t value, uint64_t *ret);
// Whether the i64 moves by small steps in the innermost loop; adds to limits what that takes.
bool region_reach(const struct region *r, int loop, uint32_t value, struct region_limits *limits, struct region_reach *ret);
LLVMValueRef region_reach_value(struct region *r, int loop, uint32_t value); // what it will be in the turn that begins

// ---- chunks.c ----------------------------------------------------------------------------------------------------
void region_chunks_analyse(struct region *r);
void region_chunk_lower(struct region *r, struct region_chunk *c); // the fast copy, and the way to it
LLVMValueRef region_chunk_host(struct region *r, LLVMValueRef va); // of the access at r->pos in the copy
void region_escape(struct region *r);                              // r->pos was lowered
void region_recall(struct region *r, uint32_t value);              // makes it that of this block, if it escaped

// ---- lower_mem.c -------------------------------------------------------------------------------------------------
struct region_entry { // of an inline table
    LLVMValueRef at;
};
struct region_entry region_tlb_entry(struct region *r, LLVMValueRef va, unsigned mmu);
LLVMValueRef region_tlb_tag(struct region *r, const struct region_entry *entry, bool write);
LLVMValueRef region_tlb_addend(struct region *r, const struct region_entry *entry);

// ---- streams.c ---------------------------------------------------------------------------------------------------
void region_streams_analyse(struct region *r);
void region_streams_enter(struct region *r);  // in the entry block
void region_streams_forget(struct region *r); // here, translations may have changed

// ---- lower_*.c: each returns false if the op is not its own, or not in this form ----------------------------------
bool region_lower_int(struct region *r, const struct ir_insn *insn);
bool region_lower_flags(struct region *r, const struct ir_insn *insn);
bool region_lower_mem(struct region *r, const struct ir_insn *insn);
bool region_lower_control(struct region *r, const struct ir_insn *insn);
bool region_lower_vec(struct region *r, const struct ir_insn *insn);
// region_fp_has says beforehand, without building anything, whether the op has a form with host FP operations (then the
// region starts behind fp_check). That form is used only where r->uses_fp and r->inexact_known.
bool region_lower_fp(struct region *r, const struct ir_insn *insn);
bool region_fp_has(const struct region *r, const struct ir_insn *insn);
void region_lower_eval(struct region *r, const struct ir_insn *insn);

// lower_flags.c
LLVMValueRef region_flags_pack(struct region *r, const struct region_flags *flags); // i32, junk in other bits
// lower_eval.c: the result of ir_eval, for cold code too. Of flags: packed.
LLVMValueRef region_eval(struct region *r, const struct ir_insn *insn);
// lower_control.c: leaves with a code (i32), state stored; ends the block.
void region_leave_if(struct region *r, LLVMValueRef code); // goes on if 0
// Leaves to the one-pass tier, which begins the guest instruction anew; ends the block.
void region_restart(struct region *r);
void region_leave_now(struct region *r, LLVMValueRef code);

#endif
