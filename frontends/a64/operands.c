// SPDX-License-Identifier: MIT
// Owns the operand printers of general registers, immediates, optional parts and addresses. Syntax is that of
// the Arm ARM; where the manual allows both, as LLVM prints it.
#include "frontends/a64/disasm.h"
#include "frontends/a64/imm.h"

#include <inttypes.h>

#define OPERAND(kind) void a64_put_##kind(struct a64_text *t, uint32_t value, unsigned width)

static const char cond_names[16][3] = {"eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc",
                                       "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"};
static const char ext_names[8][5] = {"uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx"};

static void put_gpr(struct a64_text *t, uint32_t n, bool x, bool sp)
{
    if (n == 31)
        a64_put(t, sp ? (x ? "sp" : "wsp") : (x ? "xzr" : "wzr"));
    else
        a64_put(t, "%c%" PRIu32, x ? 'x' : 'w', n);
}

OPERAND(X)
{
    put_gpr(t, value, true, false);
}
OPERAND(W)
{
    put_gpr(t, value, false, false);
}
OPERAND(R)
{
    put_gpr(t, value, t->insn->sf, false);
}
OPERAND(XS)
{
    put_gpr(t, value, true, true);
}
OPERAND(RS)
{
    put_gpr(t, value, t->insn->sf, true);
}
OPERAND(Rx)
{
    put_gpr(t, value, (t->insn->option & 3) == 3, false);
}
OPERAND(Re)
{
    put_gpr(t, value, t->insn->sf && (t->insn->option & 3) == 3, false);
}
OPERAND(Rz)
{
    put_gpr(t, value, t->insn->size == 3, false);
}
OPERAND(Rw)
{
    put_gpr(t, value, !t->insn->w, false);
}
OPERAND(Rb)
{
    put_gpr(t, value, t->insn->b5, false);
}

OPERAND(n)
{
    a64_put(t, "%" PRIu32, value);
}
OPERAND(u)
{
    a64_put(t, "#%" PRIu32, value);
}
OPERAND(x)
{
    a64_put(t, "#0x%" PRIx32, value);
}
OPERAND(s)
{
    a64_put(t, "#%" PRId64, bits_sext(value, width));
}
OPERAND(pc)
{
    a64_put(t, "0x%" PRIx64, t->pc + bits_sext(value, width) * 4);
}

static int64_t adr_offset(const struct a64_insn *i)
{
    return bits_sext((uint64_t)i->immhi << 2 | i->immlo, 21);
}

OPERAND(adr)
{
    a64_put(t, "0x%" PRIx64, t->pc + adr_offset(t->insn));
}
OPERAND(adrp)
{
    a64_put(t, "0x%" PRIx64, (t->pc & ~(uint64_t)0xfff) + adr_offset(t->insn) * 4096);
}
OPERAND(tbit)
{
    a64_put(t, "#%u", t->insn->b5 << 5 | t->insn->b40);
}

OPERAND(bimm)
{
    uint64_t mask = 0;

    a64_bit_masks(t->insn->n, t->insn->imms, t->insn->immr, true, t->insn->sf ? 64 : 32, &mask, NULL);
    a64_put(t, "#0x%" PRIx64, mask);
}

OPERAND(movn)
{
    uint64_t v = ~((uint64_t)t->insn->imm16 << 16 * t->insn->hw);

    a64_put(t, "#%" PRId64, t->insn->sf ? (int64_t)v : (int64_t)(int32_t)v);
}

OPERAND(movz)
{
    uint64_t v = (uint64_t)t->insn->imm16 << 16 * t->insn->hw;

    a64_put(t, "#%" PRId64, t->insn->sf ? (int64_t)v : (int64_t)(int32_t)v);
}

OPERAND(bfilsb)
{
    a64_put(t, "#%u", (t->insn->sf ? 64 : 32) - t->insn->immr);
}
OPERAND(bfiwidth)
{
    a64_put(t, "#%u", t->insn->imms + 1);
}
OPERAND(bfxwidth)
{
    a64_put(t, "#%u", t->insn->imms - t->insn->immr + 1);
}
OPERAND(cond)
{
    a64_put(t, "%s", cond_names[value]);
}
OPERAND(ncond)
{
    a64_put(t, "%s", cond_names[value ^ 1]);
}
OPERAND(hint)
{
    a64_put(t, "#%u", t->insn->crm << 3 | t->insn->op2);
}

OPERAND(barrier)
{
    static const char domains[4][4] = {"osh", "nsh", "ish", ""};

    if ((value & 3) == 0)
        a64_put(t, "#%" PRIu32, value);
    else if (value >> 2 == 3)
        a64_put(t, (value & 3) == 3 ? "sy" : (value & 3) == 2 ? "st" : "ld");
    else
        a64_put(t, "%s%s", domains[value >> 2], (value & 3) == 3 ? "" : (value & 3) == 2 ? "st" : "ld");
}

OPERAND(sysreg)
{
    const struct a64_insn *i = t->insn;

    a64_put(t, "s%u_%u_c%u_c%u_%u", 2 + i->o0, i->op1, i->crn, i->crm, i->op2);
}

OPERAND(prfop)
{
    static const char types[4][4] = {"pld", "pli", "pst", ""};

    if (value >> 3 == 3 || (value >> 1 & 3) == 3)
        a64_put(t, "#%" PRIu32, value);
    else
        a64_put(t, "%sl%" PRIu32 "%s", types[value >> 3], (value >> 1 & 3) + 1, value & 1 ? "strm" : "keep");
}

OPERAND(bhwx)
{
    a64_put(t, "%c", "bhwx"[value]);
}
OPERAND(bh)
{
    a64_put(t, value == 0 ? "b" : value == 1 ? "h" : "");
}
OPERAND(bhw)
{
    a64_put(t, value == 0 ? "b" : value == 1 ? "h" : "w");
}

OPERAND(lsl12)
{
    if (value)
        a64_put(t, ", lsl #12");
}

OPERAND(lslhw)
{
    if (value)
        a64_put(t, ", lsl #%" PRIu32, value * 16);
}

OPERAND(shift)
{
    static const char names[4][4] = {"lsl", "lsr", "asr", "ror"};

    if (value || t->insn->shift)
        a64_put(t, ", %s #%" PRIu32, names[t->insn->shift], value);
}

// LSL replaces the extension of the full width where SP is involved.
OPERAND(ext)
{
    const struct a64_insn *i = t->insn;
    bool flags = i->word >> 29 & 1;
    bool sp = i->rn == 31 || (!flags && i->rd == 31);

    if (sp && i->option == (i->sf ? 3 : 2)) {
        if (value)
            a64_put(t, ", lsl #%" PRIu32, value);
        return;
    }
    a64_put(t, ", %s", ext_names[i->option]);
    if (value)
        a64_put(t, " #%" PRIu32, value);
}

OPERAND(xopt)
{
    if (value != 31)
        a64_put(t, ", x%" PRIu32, value);
}

static unsigned vector_scale(const struct a64_insn *i)
{
    return i->opc << 2 | i->size;
}

static unsigned pair_scale(const struct a64_insn *i)
{
    return i->row == A64_ROW_ldpsw_off || i->row == A64_ROW_ldpsw_post || i->row == A64_ROW_ldpsw_pre
               ? 2
               : 2 + i->sf;
}

static void put_offset(struct a64_text *t, int64_t offset)
{
    if (offset)
        a64_put(t, ", #%" PRId64, offset);
}

OPERAND(off)
{
    put_offset(t, bits_sext(value, width));
}
OPERAND(uoff)
{
    put_offset(t, (int64_t)value << t->insn->size);
}
OPERAND(uoff8)
{
    put_offset(t, (int64_t)value * 8);
}
OPERAND(vuoff)
{
    put_offset(t, (int64_t)value << vector_scale(t->insn));
}
OPERAND(pairoff)
{
    put_offset(t, bits_sext(value, width) * (1 << pair_scale(t->insn)));
}
OPERAND(vpairoff)
{
    put_offset(t, bits_sext(value, width) * (4 << t->insn->opc));
}
OPERAND(ipairoff)
{
    a64_put(t, "#%" PRId64, bits_sext(value, width) * (1 << pair_scale(t->insn)));
}
OPERAND(ivpairoff)
{
    a64_put(t, "#%" PRId64, bits_sext(value, width) * (4 << t->insn->opc));
}

static void put_index_extension(struct a64_text *t, uint32_t s, unsigned scale)
{
    if (t->insn->option != 3)
        a64_put(t, ", %s", ext_names[t->insn->option]);
    if (s)
        a64_put(t, "%s #%u", t->insn->option == 3 ? ", lsl" : "", scale);
}

OPERAND(xoff)
{
    put_index_extension(t, value, t->insn->size);
}
OPERAND(xoff8)
{
    put_index_extension(t, value, 3);
}
OPERAND(vxoff)
{
    put_index_extension(t, value, vector_scale(t->insn));
}

OPERAND(R5)
{
    put_gpr(t, value, (t->insn->imm5 & 15) == 8, false);
}
OPERAND(Rq)
{
    put_gpr(t, value, t->insn->q, false);
}
