// SPDX-License-Identifier: MIT
// The state of one A64 vCPU: what translated code reaches as IR fields, banked registers, system registers
// and the vCPU's configuration. EL0 and EL1 exist; tables are keyed by EL so that EL2 and EL3 have their
// place.
//
// Invariants: `sp` is the stack pointer in use and its bank slot is stale; every other bank slot is true.
// env.key is what a64_key_update() makes of the rest. Source: Arm ARM (DDI 0487) D1.
#ifndef A64_STATE_H
#define A64_STATE_H

#include "accel/guest_isa.h"
#include "base/bits.h"
#include "frontends/a64/cpu_models.h"
#include "ir/env.h"

enum { A64_EL_COUNT = 2 }; // EL0, EL1

// One number per row of sysreg.def, in order of encoding; sys[] is indexed by it.
enum a64_sr {
#define R(name, ...) A64_SR_##name,
#define F(name, ...) A64_SR_##name,
#define M(name, ...) A64_SR_##name,
#include "frontends/a64/sysreg.def"
#undef R
#undef F
#undef M
    A64_SR_COUNT
};

// PSTATE.DAIF as SPSR and the DAIF register lay it out.
enum {
    A64_DAIF_F = 1u << 6,
    A64_DAIF_I = 1u << 7,
    A64_DAIF_A = 1u << 8,
    A64_DAIF_D = 1u << 9,
    A64_DAIF = 15u << 6
};

enum { A64_EXCL_NONE = 0 }; // excl_size of a clear monitor; else 1..16 bytes

// The running instruction, or the one that has just completed, is the one that PSTATE.SS allowed.
enum a64_stepped { A64_NOT_STEPPED, A64_STEPPED, A64_STEPPED_EXCLUSIVE };

struct a64_cpu {
    struct ir_env env;
    uint64_t x[31];
    uint64_t sp;                            // the one in use
    uint64_t sp_el[A64_EL_COUNT];           // banked, SP_EL0 and SP_EL1
    uint32_t nzcv;                          // packed as enum ir_flag_bits
    uint32_t daif;                          // A64_DAIF bits
    uint64_t excl_addr, excl_lo, excl_hi;   // exclusive monitor: address and value loaded
    uint32_t excl_size;                     // bytes, A64_EXCL_NONE when clear
    uint32_t tlbi_pending;                  // a broadcast TLBI has not been waited for
    union v128 v[32];
    union v128 qc;                          // FPSR.QC is set when any bit is
    uint64_t sys[A64_SR_COUNT];
    uint8_t el;
    uint8_t spsel;
    uint8_t il;
    uint8_t ss;                             // PSTATE.SS
    uint8_t stepped;                        // enum a64_stepped
    uint8_t context_dirty;                  // vcpu_context_changed is due at the next synchronisation
    uint8_t event_local;                    // SEVL
    uint8_t watching;                       // accel holds watchpoints of the guest's
    uint32_t fpcr;
    uint32_t cycle_running;
    uint64_t cycle_offset; // PMCCNTR = counter - cycle_offset while it runs, else the value itself
    const struct a64_cpu_model *model;
    const struct vcpu_ports *ports;
    const struct vcpu_hypercall *hypercall;
    const struct vcpu_semihost *semihost;
    const struct log *log;
    unsigned index, count;
    bool gic_sysregs;
};

static inline struct a64_cpu *a64_cpu_of(struct ir_env *env)
{
    return (struct a64_cpu *)env;
}
static inline const struct a64_cpu *a64_cpu_const(const struct ir_env *env)
{
    return (const struct a64_cpu *)env;
}

// Numbers of the IR state fields.
enum a64_field_id {
    A64_F_X0,
    A64_F_SP = A64_F_X0 + 31,
    A64_F_SP_EL0,
    A64_F_SP_EL1,
    A64_F_NZCV,
    A64_F_DAIF,
    A64_F_EXCL_ADDR,
    A64_F_EXCL_LO,
    A64_F_EXCL_HI,
    A64_F_EXCL_SIZE,
    A64_F_QC,
    A64_F_V0,
    A64_F_SYS = A64_F_V0 + 32 - 1,
#define R(name, ...)
#define M(name, ...)
#define F(name, ...) A64_F_##name,
#include "frontends/a64/sysreg.def"
#undef R
#undef F
#undef M
    A64_F_COUNT
};
_Static_assert(A64_F_COUNT <= 256, "the IR numbers at most 256 fields");

extern const struct ir_state_layout a64_layout;

// PSTATE as SPSR_ELx holds it.
uint32_t a64_pstate(const struct a64_cpu *cpu);
// NZCV in bits 31..28 from and to the packed form.
uint32_t a64_nzcv_unpack(uint32_t packed);
uint32_t a64_nzcv_pack(uint32_t spsr);
// Changes EL and SPSel and swaps the stack pointer; env.key is the caller's to recompute.
void a64_set_el(struct a64_cpu *cpu, unsigned el, bool spsel);
uint64_t *a64_sp_slot(struct a64_cpu *cpu, unsigned el); // where the value of SP_ELx is now

#endif
