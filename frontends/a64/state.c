// SPDX-License-Identifier: MIT
// Owns the IR's view of the A64 state (field table and weights) and the parts of PSTATE that move together.
// Weights say what a host register is worth: the registers of the procedure call standard, the stack pointer,
// flags.
#include "frontends/a64/state.h"

#define X(n, weight) {"x" #n, IR_I64, weight, offsetof(struct a64_cpu, x[n])}
#define V(n) {"v" #n, IR_V128, 40, offsetof(struct a64_cpu, v[n])}

static const struct ir_field fields[A64_F_COUNT] = {
    X(0, 255), X(1, 250), X(2, 240), X(3, 230), X(4, 200), X(5, 180), X(6, 160), X(7, 150), X(8, 190), X(9,
     150),
    X(10, 140), X(11, 130), X(12, 120), X(13, 110), X(14, 100), X(15, 100), X(16, 110), X(17, 100), X(18, 60),
    X(19, 220), X(20, 210), X(21, 190), X(22, 170), X(23, 150), X(24, 130), X(25, 110), X(26, 100), X(27, 90),
    X(28, 90), X(29, 160), X(30, 170),
    [A64_F_SP] = {"sp", IR_I64, 245, offsetof(struct a64_cpu, sp)},
    [A64_F_SP_EL0] = {"sp_el0", IR_I64, 20, offsetof(struct a64_cpu, sp_el[0])},
    [A64_F_SP_EL1] = {"sp_el1", IR_I64, 0, offsetof(struct a64_cpu, sp_el[1])},
    [A64_F_NZCV] = {"nzcv", IR_FLAGS, 235, offsetof(struct a64_cpu, nzcv)},
    [A64_F_DAIF] = {"daif", IR_I32, 10, offsetof(struct a64_cpu, daif)},
    [A64_F_EXCL_ADDR] = {"excl_addr", IR_I64, 10, offsetof(struct a64_cpu, excl_addr)},
    [A64_F_EXCL_LO] = {"excl_lo", IR_I64, 10, offsetof(struct a64_cpu, excl_lo)},
    [A64_F_EXCL_HI] = {"excl_hi", IR_I64, 5, offsetof(struct a64_cpu, excl_hi)},
    [A64_F_EXCL_SIZE] = {"excl_size", IR_I32, 10, offsetof(struct a64_cpu, excl_size)},
    [A64_F_QC] = {"qc", IR_V128, 10, offsetof(struct a64_cpu, qc)},
    [A64_F_V0] = V(0), V(1), V(2), V(3), V(4), V(5), V(6), V(7), V(8), V(9), V(10), V(11), V(12), V(13),
     V(14), V(15),
    V(16), V(17), V(18), V(19), V(20), V(21), V(22), V(23), V(24), V(25), V(26), V(27), V(28), V(29),
     V(30), V(31),
#define R(name, ...)
#define M(name, ...)
#define F(name, ...) [A64_F_##name] = {#name, IR_I64, 5, offsetof(struct a64_cpu, sys[A64_SR_##name])},
#include "frontends/a64/sysreg.def"
#undef R
#undef F
#undef M
};

const struct ir_state_layout a64_layout = {fields, A64_F_COUNT, sizeof(struct a64_cpu)};

uint32_t a64_nzcv_unpack(uint32_t p)
{
    return (p & IR_FLAG_N ? 1u << 31 : 0) | (p & IR_FLAG_Z ? 1u << 30 : 0) | (p & IR_FLAG_C ? 1u << 29 : 0) |
           (p & IR_FLAG_V ? 1u << 28 : 0);
}

uint32_t a64_nzcv_pack(uint32_t spsr)
{
    return (spsr >> 31 & 1 ? IR_FLAG_N : 0) | (spsr >> 30 & 1 ? IR_FLAG_Z
        : 0) | (spsr >> 29 & 1 ? IR_FLAG_C : 0) |
           (spsr >> 28 & 1 ? IR_FLAG_V : 0);
}

uint32_t a64_pstate(const struct a64_cpu *cpu)
{
    return a64_nzcv_unpack(cpu->nzcv) | (uint32_t)cpu->ss << 21 | (uint32_t)cpu->il << 20 | cpu->daif |
           (uint32_t)cpu->el << 2 | cpu->spsel;
}

static unsigned sp_in_use(const struct a64_cpu *cpu)
{
    return cpu->spsel ? cpu->el : 0;
}

uint64_t *a64_sp_slot(struct a64_cpu *cpu, unsigned el)
{
    return sp_in_use(cpu) == el ? &cpu->sp : &cpu->sp_el[el];
}

void a64_set_el(struct a64_cpu *cpu, unsigned el, bool spsel)
{
    cpu->sp_el[sp_in_use(cpu)] = cpu->sp;
    cpu->el = el;
    cpu->spsel = spsel;
    cpu->sp = cpu->sp_el[sp_in_use(cpu)];
}
