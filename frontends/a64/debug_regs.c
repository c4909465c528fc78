// SPDX-License-Identifier: MIT
// Owns the debugger's view of registers: numbers and names as GDB's org.gnu.gdb.aarch64 features have them,
// then the system registers of the table (readable; writable where they are plain storage).
#include "frontends/a64/isa.h"
#include "frontends/a64/key.h"
#include "frontends/a64/regs.h"
#include "frontends/a64/sysreg.h"

#include <string.h>

#define X(n) {"x" #n, "general", 64}
#define V(n) {"v" #n, "vector", 128}

const struct guest_debug_reg a64_debug_regs[A64_DEBUG_REG_COUNT] = {
    X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13), X(14), X(15),
     X(16), X(17),
    X(18), X(19), X(20), X(21), X(22), X(23), X(24), X(25), X(26), X(27), X(28), X(29), X(30),
    {"sp", "general", 64}, {"pc", "general", 64}, {"cpsr", "general", 32},
    V(0), V(1), V(2), V(3), V(4), V(5), V(6), V(7), V(8), V(9), V(10), V(11), V(12), V(13), V(14), V(15),
     V(16), V(17),
    V(18), V(19), V(20), V(21), V(22), V(23), V(24), V(25), V(26), V(27), V(28), V(29), V(30), V(31),
    {"fpsr", "float", 32}, {"fpcr", "float", 32},
#define R(name, op0, ...) {#name, (op0) == 1 ? "operation" : "system", 64},
#define F(name, ...) {#name, "system", 64},
#define M(name, ...) {#name, "system", 64},
#include "frontends/a64/sysreg.def"
#undef R
#undef F
#undef M
};
_Static_assert(A64_DEBUG_FPSR == A64_DEBUG_V + 32, "vector registers are contiguous");

bool a64_isa_debug_get(struct ir_env *env, unsigned reg, void *ret)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    uint64_t v;

    if (reg >= A64_DEBUG_REG_COUNT)
        return false;
    if (reg >= A64_DEBUG_V && reg < A64_DEBUG_FPSR) {
        memcpy(ret, &cpu->v[reg - A64_DEBUG_V], 16);
        return true;
    }
    switch (reg) {
    case 31: v = cpu->sp; break;
    case 32: v = env->pc; break;
    case 33: v = a64_pstate(cpu); break;
    case A64_DEBUG_FPSR: v = a64_read_fpsr(cpu, A64_SR_FPSR); break;
    case A64_DEBUG_FPCR: v = cpu->fpcr; break;
    default: v = reg < 31 ? cpu->x[reg] : a64_sysreg_peek(cpu, (enum a64_sr)(reg - A64_DEBUG_SYS)); break;
    }
    memcpy(ret, &v, a64_debug_regs[reg].bits / 8);
    return true;
}

static void set_pstate(struct a64_cpu *cpu, uint32_t v)
{
    unsigned el = v >> 2 & 3;

    cpu->nzcv = a64_nzcv_pack(v);
    cpu->daif = v & A64_DAIF;
    cpu->ss = v & PSTATE_SS ? 1 : 0;
    cpu->il = v & PSTATE_IL ? 1 : 0;
    if (el < A64_EL_COUNT && !(el == 0 && v & 1))
        a64_set_el(cpu, el, v & 1);
    a64_key_update(cpu);
}

static bool set_system(struct a64_cpu *cpu, enum a64_sr sr, uint64_t v)
{
    const struct a64_sysreg *r = &a64_sysregs[sr];

    if (r->flags & (A64_SRF_OP | A64_SRF_GIC) || r->model_offset || r->write == a64_write_port)
        return false;
    if (r->write)
        return r->write(cpu, sr, v) == IR_EXIT_NONE;
    cpu->sys[sr] = (v & r->writable) | (r->reset & ~r->writable);
    return true;
}

bool a64_isa_debug_set(struct ir_env *env, unsigned reg, const void *value)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    uint64_t v = 0;

    if (reg >= A64_DEBUG_REG_COUNT)
        return false;
    if (reg >= A64_DEBUG_V && reg < A64_DEBUG_FPSR) {
        memcpy(&cpu->v[reg - A64_DEBUG_V], value, 16);
        return true;
    }
    memcpy(&v, value, a64_debug_regs[reg].bits / 8);
    switch (reg) {
    case 31: cpu->sp = v; break;
    case 32: env->pc = v; break;
    case 33: set_pstate(cpu, (uint32_t)v); break;
    case A64_DEBUG_FPSR: a64_write_fpsr(cpu, A64_SR_FPSR, v); break;
    case A64_DEBUG_FPCR: a64_write_fpcr(cpu, A64_SR_FPCR, v); break;
    default:
        if (reg >= 31)
            return set_system(cpu, (enum a64_sr)(reg - A64_DEBUG_SYS), v);
        cpu->x[reg] = v;
    }
    return true;
}
