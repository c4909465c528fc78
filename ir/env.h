// SPDX-License-Identifier: MIT
// The head of every guest's CPU state: what translated code, the interpreter and the dispatcher share about a vCPU
// without knowing its guest. A frontend's state struct begins with a struct ir_env. Translated code addresses all of
// it relative to one host register.
//
// Thread: the vCPU's own thread, except `budget`, `irq_pending` and inline-table tags, which others set atomically.
#ifndef IR_ENV_H
#define IR_ENV_H

#include "ir/types.h"

#include <stdatomic.h>

enum { IR_PAGE_BITS = 12, IR_PAGE_SIZE = 1 << IR_PAGE_BITS, IR_MMU_INDICES = 8 };

// One inline-table entry. A tag equals the page-aligned address it was presented with (tag bits included) when plain
// RAM access of that kind is allowed; any of bits 7 to 11 set makes the compare fail and so forces the slow path (bits
// 0 to 6 are compared with the address's own to check alignment).
// host address = guest virtual address + addend.
struct ir_tlb_entry {
    _Atomic uint64_t read, write, exec;
    uint64_t addend; // atomic where another vCPU may look
};
enum { IR_TLB_INVALID = 1 << 11 }; // tag of an empty entry

struct ir_tlb_table {
    struct ir_tlb_entry *entries;
    uint64_t mask; // (number of entries - 1) << 5: a byte offset mask; index = (va >> (12 - 5)) & mask
};

// One page of guest code that the running context knows: where its units begin, if it is run under key. Units are
// found by PC in two steps, the page here and the instruction in its table; a table belongs to the page's memory and a key,
// whatever address it is seen at, and so is shared by contexts and vCPUs.
struct ir_exec_page {
    uint64_t va; // of the page
    // By instruction, IR_CODE_SLOTS of them: offset of the unit from env.code_base, that of the backend's stubs.miss
    // where there is none. Written by any thread.
    const _Atomic uint32_t *entries;
    uint32_t key;     // IR_NO_KEY: nothing is here
    const void *page; // accel's record
};
// PCs that are no multiple of IR_CODE_ALIGN are not found this way.
enum { IR_CODE_ALIGN = 4, IR_CODE_SLOTS = IR_PAGE_SIZE / IR_CODE_ALIGN, IR_EXEC_PAGES = 2048 };
#define IR_NO_KEY UINT32_MAX

// Why control came back to the dispatcher. Negative values never occur; helpers return 0 to go on.
enum ir_exit {
    IR_EXIT_NONE = 0,
    IR_EXIT_JUMP,   // go on at env.pc: unknown or unlinked successor
    IR_EXIT_POLL,   // budget was negative; go on at env.pc after attending to requests
    IR_EXIT_FAULT,  // a memory op faulted: env.pc is the instruction, accel holds the fault
    IR_EXIT_STATE,  // env.pc is next; key, context or interrupt masks may have changed
    IR_EXIT_HALT,   // wait for an interrupt (WFI, HLT), env.pc is next
    IR_EXIT_WAIT_EVENT, // wait for an event or an interrupt (WFE)
    IR_EXIT_YIELD,  // give other vCPUs a chance
    IR_EXIT_HOT,    // the unit's heat counter ran out; go on at env.pc: its own PC or that of a poll in it
    IR_EXIT_COUNT
};

struct ir_env {
    _Atomic int32_t budget;       // negative: leave at the next poll
    uint32_t fp_mode;             // host-neutral FP control of the running unit: IR_FP_ROUND | FTZ | DN ... bits
    uint32_t key;                 // unit key flags, from the frontend (guest_isa.h)
    uint32_t insn_count;          // counting mode
    uint64_t pc_page;             // guest virtual page of the running unit
    uint64_t pc;                  // full PC, true whenever the dispatcher runs and inside helpers that may exit
    uint32_t fp_flags;            // accumulated IEEE exceptions, ARM FPSR bit values; see ir_fp_exceptions
    uint32_t exit_arg;            // detail of the exit, defined by who exits
    struct ir_exec_page *exec_pages; // IR_EXEC_PAGES; index = page number modulo their number
    const uint8_t *code_base;
    struct ir_tlb_table mmu[IR_MMU_INDICES];
    const void *link_exit;        // backend: exit record of the direct exit just taken, or NULL
    _Atomic uint32_t irq_pending; // bit n = input enum vcpu_irq n asserted
    void *vcpu;                   // struct vcpu, owned by accel
    union ir_value slow_value, slow_operand; // of slow accesses that regions make (backends/optimiser.h)
    uint64_t host_scratch[3];     // the backend's own
    uint32_t region_left;         // not 0: a region was left by backend_stubs.leave; for the dispatcher, which clears it
};
_Static_assert(sizeof(struct ir_exec_page) == 32, "units compute with this");

// Accumulated exceptions: ARM FPSR positions.
enum ir_fp_exceptions { IR_FP_IOC = 1, IR_FP_DZC = 2, IR_FP_OFC = 4, IR_FP_UFC = 8, IR_FP_IXC = 16, IR_FP_IDC = 128 };

// Memory as translated code's slow paths and the interpreter reach it; accel implements it. Each returns
// IR_EXIT_NONE with the value done, or an exit code with nothing done (the fault is held by accel).
// Values are in host order, sized by attr (enum ir_memop), already extended as attr says.
struct ir_runtime {
    int (*load)(struct ir_env *env, uint64_t va, uint32_t attr, union ir_value *ret_value);
    int (*store)(struct ir_env *env, uint64_t va, uint32_t attr, const union ir_value *value);
    // Compare-and-swap: *ret_old is what was there; stored when equal to *expected.
    int (*cas)(struct ir_env *env, uint64_t va, uint32_t attr, const union ir_value *expected,
               const union ir_value *desired, union ir_value *ret_old);
    int (*rmw)(struct ir_env *env, uint64_t va, uint32_t attr, enum ir_rmw kind, const union ir_value *operand,
               union ir_value *ret_old);
};

#endif
