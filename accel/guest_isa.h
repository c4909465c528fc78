// SPDX-License-Identifier: MIT
// What a frontend provides to whatever runs its vCPUs: state layout, translation of guest code to IR, table walk,
// exceptions and interrupts. One const struct guest_isa per guest ISA; no call keeps a pointer it was not given to keep.
// All calls about a vCPU run on that vCPU's thread, or while it is stopped.
#ifndef ACCEL_GUEST_ISA_H
#define ACCEL_GUEST_ISA_H

#include "accel/ports.h"
#include "ir/ir.h"

struct error;
struct log;

enum guest_access { GUEST_READ, GUEST_WRITE, GUEST_EXEC };
enum { GUEST_R = 1 << GUEST_READ, GUEST_W = 1 << GUEST_WRITE, GUEST_X = 1 << GUEST_EXEC };

enum guest_fault_kind {
    GUEST_FAULT_NONE,
    GUEST_FAULT_ADDRESS_SIZE,
    GUEST_FAULT_TRANSLATION,
    GUEST_FAULT_ACCESS_FLAG,
    GUEST_FAULT_PERMISSION,
    GUEST_FAULT_ALIGNMENT,
    GUEST_FAULT_EXTERNAL,   // nothing answers at the physical address, or a device refused
    GUEST_FAULT_UNSUPPORTED_EXCLUSIVE, // exclusive or atomic on memory that cannot do it
    GUEST_FAULT_WATCHPOINT,
    GUEST_FAULT_TLB_CONFLICT,
    GUEST_FAULT_AGAIN, // none: the instruction is to be begun anew; seen by accel only
};

struct guest_fault {
    uint8_t kind;   // enum guest_fault_kind
    uint8_t access; // enum guest_access
    int8_t level;   // of the table walk, where that means something
    bool on_walk;   // EXTERNAL: the table walk itself was refused
    bool cache_op;  // by a cache maintenance or address translation instruction
    uint64_t va;    // as the instruction presented it, tag bits included
};

// A translation as the guest's tables give it. prot holds four bits an MMU index (index 0 in bits 3..0): GUEST_R/W/X.
struct guest_mapping {
    uint64_t va;       // first byte of the mapping (canonical, without tag bits)
    struct gpa pa;     // of that byte
    uint8_t page_bits; // log2 of the mapping's size, 12 or more
    int8_t level;      // of the walk, for permission faults
    bool global;       // matches every ASID
    bool device;       // device memory: unaligned access faults, always the slow path
    uint32_t asid;
    uint32_t prot;
    uint8_t hidden;    // bit an MMU index: it sees nothing here, a translation fault of level 0 instead of permission
};

// Where a walk stands before its last table: what accel may keep of it, see vcpu_walk_keep.
struct guest_walk_step {
    uint64_t root;   // of the tables walked
    uint64_t va;     // one byte of what the last table maps
    uint64_t table;  // the last table
    uint64_t attrs;  // what the tables so far say about all below them
    uint8_t va_bits; // log2 of the bytes that the last table maps
};

// Names a translation context: everything that decides what a virtual address means. Two vCPU states with equal
// contexts may share inline tables and pages of code.
struct guest_context {
    uint64_t root[2]; // table roots, without ASID bits
    uint64_t digest;  // of control registers that change translation (TCR, SCTLR.M, MAIR ...)
    uint32_t asid, vmid;
    bool flat;       // translation is off: no mapping is kept, and none that was kept before holds
};

enum guest_tlbi_kind { GUEST_TLBI_ALL, GUEST_TLBI_ASID, GUEST_TLBI_VA, GUEST_TLBI_VA_ALL_ASID };
struct guest_tlbi {
    uint8_t kind;   // enum guest_tlbi_kind
    bool broadcast; // reaches the other vCPUs too
    bool last_level;
    uint32_t asid;
    uint64_t va;    // canonical; one byte of the page to drop
};

// One request to translate. page points to the 4096 bytes of the page that holds the first instruction; next_page is
// NULL unless translate asked for it by returning GUEST_NEED_NEXT_PAGE.
struct guest_translate {
    const void *cpu_model; // what guest_isa.cpu_model gave: features that decide decoding
    uint32_t key;          // env.key
    uint32_t offset;       // of the first instruction in the page
    const uint8_t *page, *next_page;
    uint32_t max_insns;    // at least 1
    const struct log *log; // in_asm, unimp
    uint64_t va_hint;      // guest virtual page, for traces only
};
enum { GUEST_NEED_NEXT_PAGE = 1 };

struct guest_cpu_config {
    const char *model;     // "cortex-a72"; lives as long as the vCPU
    const char *options;   // rest of -cpu after the first comma, or NULL
    unsigned index, count; // this vCPU and how many there are
    const struct vcpu_ports *ports;
    const struct vcpu_hypercall *hypercall;
    const struct vcpu_semihost *semihost; // NULL: the instruction is undefined
    bool gic_sysregs;      // GICv3 CPU interface present
    const struct log *log;
};

// A register as a debugger sees it.
struct guest_debug_reg {
    const char *name, *group; // group: "general", "float", "vector", "system", "operation" (nothing to see)
    uint16_t bits;            // 32, 64 or 128
};

// A register of the architectural state, as snapshots hold it: id is stable for ever and not below GUEST_STATE_FIRST
// (smaller ones are accel's own).
struct guest_state_reg {
    uint32_t id;
    uint8_t bytes; // 1, 2, 4, 8 or 16, little-endian
    const char *name;
};
enum { GUEST_STATE_FIRST = 0x100 };

struct guest_isa {
    struct ir_guest ir;  // name, state layout, helpers
    unsigned mmu_count;  // MMU indices used
    unsigned insn_align; // bytes: 4 for A64, 1 for x86

    // env points to ir.layout->size zeroed bytes. Afterwards the vCPU is in its reset state.
    int (*create)(struct ir_env *env, const struct guest_cpu_config *config, struct error *err);
    void (*destroy)(struct ir_env *env);
    void (*reset)(struct ir_env *env);
    // Puts a reset vCPU at entry with one argument register set: a loader or a CPU-on call.
    void (*start_at)(struct ir_env *env, uint64_t entry, uint64_t arg);
    const void *(*cpu_model)(const struct ir_env *env);

    // Builds a unit that starts at offset in page. Ends before max_insns, at a page end, or where control leaves.
    // Returns 0 or GUEST_NEED_NEXT_PAGE. Deterministic; any thread.
    int (*translate)(const struct guest_translate *request, struct ir_unit *unit);
    // One instruction at pc as text, for traces and the debugger. Returns its length in bytes.
    unsigned (*disassemble)(const struct guest_translate *request, char *buf, size_t size);

    // Walks the guest's tables for va (tag bits included) in the current context. On success *ret_mapping holds the
    // mapping with protections for every MMU index of the regime; permission is NOT checked here. Otherwise the fault.
    bool (*walk)(struct ir_env *env, uint64_t va, enum guest_access access, unsigned mmu_index,
                 struct guest_mapping *ret_mapping, struct guest_fault *ret_fault);
    // MMU index that instruction fetch uses under env.key, and va without its tag bits, canonical.
    unsigned (*fetch_mmu)(uint32_t key);
    uint64_t (*canonical)(const struct ir_env *env, uint64_t va);
    // The context of the current control registers.
    void (*context)(const struct ir_env *env, struct guest_context *ret_context);

    // Makes the guest take the exception for a fault of the instruction at env.pc.
    void (*deliver_fault)(struct ir_env *env, const struct guest_fault *fault);
    // Takes a pending interrupt that is not masked: true if taken, env.pc at the vector.
    bool (*take_interrupt)(struct ir_env *env);
    // Whether an asserted input ends a WFI, masked or not.
    bool (*wakes)(const struct ir_env *env);

    // Debugger's view. get and set return false for an unknown number; value is little-endian, bits / 8 bytes.
    const struct guest_debug_reg *debug_regs;
    unsigned debug_reg_count;
    bool (*debug_get)(struct ir_env *env, unsigned reg, void *ret_value);
    bool (*debug_set)(struct ir_env *env, unsigned reg, const void *value);
    const char *gdb_feature_prefix; // "org.gnu.gdb.aarch64"

    // The architectural state, while the vCPU is stopped. has: this vCPU has that register. A load is a reset, a set of
    // every register, and loaded; set takes any value, and is false for one that no vCPU holds. What the registers do
    // not say (exclusive monitors) is clear afterwards. The machine's clock shows its time already.
    const struct guest_state_reg *state_regs;
    unsigned state_reg_count;
    bool (*state_has)(const struct ir_env *env, unsigned n);
    void (*state_get)(struct ir_env *env, unsigned n, void *ret_value);
    bool (*state_set)(struct ir_env *env, unsigned n, const void *value);
    void (*state_loaded)(struct ir_env *env);

    const char *const *cpu_names; // NULL-terminated list for -cpu help
};

#endif
