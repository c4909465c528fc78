// SPDX-License-Identifier: MIT
// Owns the operand printers of SIMD&FP registers, register lists and lanes.
#include "frontends/a64/disasm.h"
#include "frontends/a64/imm.h"

#include <inttypes.h>
#include <string.h>

#define OPERAND(kind) void a64_put_##kind(struct a64_text *t, uint32_t value, unsigned width)

static const char scalar_names[5] = {'b', 'h', 's', 'd', 'q'};
static const char arrangements[4][2][4] = {{"8b", "16b"}, {"4h", "8h"}, {"2s", "4s"}, {"1d", "2d"}};

static void put_scalar(struct a64_text *t, uint32_t n, unsigned scale)
{
    a64_put(t, "%c%" PRIu32, scale < 5 ? scalar_names[scale] : '?', n);
}

// Scale of the element: log2 of its bytes. ftype and the opc of FCVT count S, D, -, H.
static unsigned ftype_scale(unsigned ftype)
{
    return ftype == 0 ? 2 : ftype == 1 ? 3 : 1;
}

static unsigned immh_scale(const struct a64_insn *i)
{
    return 31 - __builtin_clz(i->immh | 1);
}

static unsigned imm5_scale(const struct a64_insn *i)
{
    return __builtin_ctz(i->imm5 | 16);
}

OPERAND(S)
{
    put_scalar(t, value, 2);
}
OPERAND(D)
{
    put_scalar(t, value, 3);
}
OPERAND(Q)
{
    put_scalar(t, value, 4);
}
OPERAND(F)
{
    put_scalar(t, value, ftype_scale(t->insn->ftype));
}
OPERAND(Fopc)
{
    put_scalar(t, value, ftype_scale(t->insn->opc));
}
OPERAND(Z)
{
    put_scalar(t, value, t->insn->size);
}
OPERAND(Zl)
{
    put_scalar(t, value, t->insn->size + 1);
}
OPERAND(Zf)
{
    put_scalar(t, value, 2 + t->insn->sz);
}
OPERAND(Zi)
{
    put_scalar(t, value, immh_scale(t->insn));
}
OPERAND(Zil)
{
    put_scalar(t, value, immh_scale(t->insn) + 1);
}
OPERAND(Z5)
{
    put_scalar(t, value, imm5_scale(t->insn));
}

OPERAND(Vp)
{
    put_scalar(t, value, 2 + t->insn->opc);
}
OPERAND(Vt)
{
    put_scalar(t, value, t->insn->opc << 2 | t->insn->size);
}

static void put_list(struct a64_text *t, uint32_t first, unsigned count, const char *suffix)
{
    a64_put(t, "{ ");
    for (unsigned i = 0; i < count; i++)
        a64_put(t, "%sv%" PRIu32 ".%s", i ? ", " : "", (first + i) % 32, suffix);
    a64_put(t, " }");
}

static const char *arrangement(const struct a64_insn *i)
{
    return arrangements[i->size][i->q];
}

OPERAND(V1)
{
    put_list(t, value, 1, arrangement(t->insn));
}
OPERAND(V2)
{
    put_list(t, value, 2, arrangement(t->insn));
}
OPERAND(V3)
{
    put_list(t, value, 3, arrangement(t->insn));
}
OPERAND(V4)
{
    put_list(t, value, 4, arrangement(t->insn));
}

static unsigned lane_scale(const struct a64_insn *i)
{
    return i->scale == 2 && i->size == 1 ? 3 : i->scale;
}

static void put_lanes(struct a64_text *t, uint32_t first, unsigned count)
{
    const char suffix[2] = {scalar_names[lane_scale(t->insn)], 0};

    put_list(t, first, count, suffix);
}

OPERAND(L1)
{
    put_lanes(t, value, 1);
}
OPERAND(L2)
{
    put_lanes(t, value, 2);
}
OPERAND(L3)
{
    put_lanes(t, value, 3);
}
OPERAND(L4)
{
    put_lanes(t, value, 4);
}

OPERAND(lane)
{
    const struct a64_insn *i = t->insn;

    a64_put(t, "[%u]", (i->q << 3 | i->s << 2 | i->size) >> lane_scale(i));
}

// Bytes that a structure load or store moves; it is the post-index increment where rm is 31.
static unsigned transfer_size(const struct a64_insn *i)
{
    unsigned opcode = i->word >> 12 & 15;

    if (i->word >> 24 & 1) {
        unsigned count = (i->word >> 13 & 1) * 2 + (i->word >> 21 & 1) + 1;
        return count << (opcode >= 12 ? i->size : lane_scale(i));
    }
    unsigned count = opcode < 4 ? 4 : opcode == 7 ? 1 : opcode < 8 ? 3 : 2;
    return count << (3 + i->q);
}

OPERAND(vpost)
{
    if (!t->insn->p)
        return;
    if (value == 31)
        a64_put(t, ", #%u", transfer_size(t->insn));
    else
        a64_put(t, ", x%" PRIu32, value);
}

static void put_vector(struct a64_text *t, uint32_t n, unsigned scale, unsigned q)
{
    a64_put(t, "v%" PRIu32 ".%s", n, scale < 4 ? arrangements[scale][q] : "?");
}

OPERAND(V)
{
    put_vector(t, value, t->insn->size, t->insn->q);
}
OPERAND(Vl)
{
    put_vector(t, value, t->insn->size + 1, 1);
}
OPERAND(Vlp)
{
    put_vector(t, value, t->insn->size + 1, t->insn->q);
}
OPERAND(Vf)
{
    put_vector(t, value, 2 + t->insn->sz, t->insn->q);
}
OPERAND(Vfl)
{
    put_vector(t, value, 2 + t->insn->sz, 1);
}
OPERAND(Vfn)
{
    put_vector(t, value, 1 + t->insn->sz, t->insn->q);
}
OPERAND(Vpair)
{
    put_vector(t, value, 2 + t->insn->sz, t->insn->sz);
}
OPERAND(Vb)
{
    put_vector(t, value, 0, t->insn->q);
}
OPERAND(Vs)
{
    put_vector(t, value, 2, t->insn->q);
}
OPERAND(Vd1)
{
    put_vector(t, value, 3, t->insn->q);
}
OPERAND(v16b)
{
    put_vector(t, value, 0, 1);
}
OPERAND(v8h)
{
    put_vector(t, value, 1, 1);
}
OPERAND(v4s)
{
    put_vector(t, value, 2, 1);
}
OPERAND(v2d)
{
    put_vector(t, value, 3, 1);
}
OPERAND(v1q)
{
    a64_put(t, "v%" PRIu32 ".1q", value);
}
OPERAND(Vi)
{
    put_vector(t, value, immh_scale(t->insn), t->insn->q);
}
OPERAND(Vil)
{
    put_vector(t, value, immh_scale(t->insn) + 1, 1);
}
OPERAND(V5)
{
    put_vector(t, value, imm5_scale(t->insn), t->insn->q);
}

OPERAND(Vd)
{
    if (t->insn->q)
        put_vector(t, value, 3, 1);
    else
        put_scalar(t, value, 3);
}

OPERAND(Vm)
{
    unsigned cmode = t->insn->cmode;

    put_vector(t, value, cmode == 14 ? 0 : cmode >> 2 == 2 ? 1 : 2, t->insn->q);
}

OPERAND(Vlist)
{
    put_list(t, value, t->insn->len + 1, "16b");
}

static void put_element(struct a64_text *t, uint32_t n, unsigned scale, unsigned index)
{
    a64_put(t, "v%" PRIu32 ".%c[%u]", n, scalar_names[scale], index);
}

OPERAND(Ve)
{
    const struct a64_insn *i = t->insn;

    if (i->size == 1)
        put_element(t, value, 1, i->h << 2 | i->l << 1 | i->m);
    else
        put_element(t, i->m << 4 | value, 2, i->h << 1 | i->l);
}

OPERAND(Vfe)
{
    const struct a64_insn *i = t->insn;

    put_element(t, i->m << 4 | value, 2 + i->sz, i->sz ? i->h : i->h << 1 | i->l);
}

OPERAND(E5)
{
    put_element(t, value, imm5_scale(t->insn), t->insn->imm5 >> (imm5_scale(t->insn) + 1));
}
OPERAND(E4)
{
    put_element(t, value, imm5_scale(t->insn), t->insn->imm4 >> imm5_scale(t->insn));
}
OPERAND(Vtop)
{
    put_element(t, value, 3, 1);
}

OPERAND(two)
{
    a64_put(t, value ? "2" : "");
}
OPERAND(fbits)
{
    a64_put(t, "#%" PRIu32, 64 - value);
}
OPERAND(esize)
{
    a64_put(t, "#%u", 8u << value);
}

static unsigned immh_immb(const struct a64_insn *i)
{
    return i->immh << 3 | i->immb;
}

OPERAND(shr)
{
    a64_put(t, "#%u", (16u << immh_scale(t->insn)) - immh_immb(t->insn));
}
OPERAND(shl)
{
    a64_put(t, "#%u", immh_immb(t->insn) - (8u << immh_scale(t->insn)));
}

static double vfp_value(unsigned imm8)
{
    uint64_t bits = a64_vfp_expand_imm(imm8, 64);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static unsigned modified_imm8(const struct a64_insn *i)
{
    return i->abc << 5 | i->defgh;
}

OPERAND(fimm)
{
    a64_put(t, "#%.8f", vfp_value(value));
}
OPERAND(fimmv)
{
    a64_put(t, "#%.8f", vfp_value(modified_imm8(t->insn)));
}
OPERAND(immd)
{
    a64_put(t, "#0x%016" PRIx64, a64_simd_expand_imm(1, 14, modified_imm8(t->insn)));
}

OPERAND(immv)
{
    unsigned cmode = t->insn->cmode, shift = cmode < 8 ? cmode >> 1 : cmode >> 1 & 1;

    a64_put(t, "#%u", modified_imm8(t->insn));
    if (cmode >> 1 == 6)
        a64_put(t, ", msl #%d", cmode & 1 ? 16 : 8);
    else if (cmode < 12 && shift)
        a64_put(t, ", lsl #%u", 8 * shift);
}
