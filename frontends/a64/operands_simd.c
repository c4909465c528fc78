// SPDX-License-Identifier: MIT
// Owns the operand printers of SIMD&FP registers, register lists and lanes.
#include "frontends/a64/disasm.h"
#include "frontends/a64/imm.h"

#include <inttypes.h>

#define OPERAND(kind) void a64_put_##kind(struct a64_text *t, uint32_t value, unsigned width)

static const char scalar_names[5] = {'b', 'h', 's', 'd', 'q'};
static const char arrangements[4][2][4] = {{"8b", "16b"}, {"4h", "8h"}, {"2s", "4s"}, {"1d", "2d"}};

static void put_scalar(struct a64_text *t, uint32_t n, unsigned scale)
{
    a64_put(t, "%c%" PRIu32, scale < 5 ? scalar_names[scale] : '?', n);
}

OPERAND(Vp) { put_scalar(t, value, 2 + t->insn->opc); }
OPERAND(Vt) { put_scalar(t, value, t->insn->opc << 2 | t->insn->size); }

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

OPERAND(V1) { put_list(t, value, 1, arrangement(t->insn)); }
OPERAND(V2) { put_list(t, value, 2, arrangement(t->insn)); }
OPERAND(V3) { put_list(t, value, 3, arrangement(t->insn)); }
OPERAND(V4) { put_list(t, value, 4, arrangement(t->insn)); }

static unsigned lane_scale(const struct a64_insn *i)
{
    return i->scale == 2 && i->size == 1 ? 3 : i->scale;
}

static void put_lanes(struct a64_text *t, uint32_t first, unsigned count)
{
    const char suffix[2] = {scalar_names[lane_scale(t->insn)], 0};

    put_list(t, first, count, suffix);
}

OPERAND(L1) { put_lanes(t, value, 1); }
OPERAND(L2) { put_lanes(t, value, 2); }
OPERAND(L3) { put_lanes(t, value, 3); }
OPERAND(L4) { put_lanes(t, value, 4); }

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
