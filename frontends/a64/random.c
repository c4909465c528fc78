// SPDX-License-Identifier: MIT
// Owns the random-instruction generator: a word of a row is its fixed bits, its should-be bits and random
// fields; a word whose condition fails, or that another row owns, is drawn again. Registers follow the
// caller's sets; other fields are uniform most of the time and else an edge value, since edges of immediates
// are where translators err.
#include "frontends/a64/decode.h"

#include <string.h>

enum {
    NOP = 0xd503201f,
    TRIES_PER_WORD = 4096, // the rarest condition holds for about 1 word in 100
};

static uint64_t next(uint64_t *state)
{
    uint64_t x = *state ? *state : 0x9e3779b97f4a7c15ull;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dull;
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (next(state) >> 32) * n >> 32;
}

static uint32_t pick_register(uint64_t *state, uint32_t allowed)
{
    uint32_t n = below(state, __builtin_popcount(allowed));

    while (n--)
        allowed &= allowed - 1;
    return __builtin_ctz(allowed);
}

static uint32_t pick_value(uint64_t *state, unsigned width)
{
    uint32_t top = 1u << (width - 1), all = top | (top - 1);

    if (width >= 4 && below(state, 4) == 0) {
        const uint32_t edges[] = {0, 1, top - 1, top, all, all - 1, 1u << below(state, width)};
        return edges[below(state, sizeof(edges) / sizeof(edges[0]))];
    }
    return next(state) >> 32 & all;
}

static bool is_base(const struct a64_row_info *row, const struct a64_field *f)
{
    return row->class == A64_CLASS_MEMORY && !strcmp(f->name, "rn");
}

static uint32_t field_value(uint64_t *state, const struct a64_random_options *o,
                            const struct a64_row_info *row, const struct a64_field *f)
{
    uint32_t allowed = is_base(row, f) ? o->bases : f->file == A64_REG_GPR ? o->gprs : o->vregs;
    uint32_t width_mask = f->width >= 5 ? ~0u : (1u << (1u << f->width)) - 1;

    // A field narrower than 5 bits can only name the low registers.
    if ((f->file != A64_REG_NONE || is_base(row, f)) && allowed & width_mask)
        return pick_register(state, allowed & width_mask);
    return pick_value(state, f->width);
}

// By-element rows number their register m:rm, except for halfwords, where m belongs to the index.
static bool element_register_allowed(const struct a64_random_options *o, const struct a64_insn *insn)
{
    const struct a64_row_info *row = &a64_rows[insn->row];

    for (unsigned i = 0; i < row->field_count; i++)
        if (!strcmp(row->fields[i].name, "rm") && row->fields[i].width == 4 && insn->size != 1)
            return !o->vregs || o->vregs >> (insn->m << 4 | insn->rm) & 1;
    return true;
}

static bool acceptable(const struct a64_random_options *o, const struct a64_insn *insn)
{
    return (o->unpredictable || !a64_unpredictable(insn)) && element_register_allowed(o, insn);
}

uint32_t a64_random_of_row(uint64_t *state, const struct a64_random_options *options, enum a64_row index)
{
    const struct a64_row_info *row = &a64_rows[index];

    for (unsigned attempt = 0; attempt < TRIES_PER_WORD; attempt++) {
        uint32_t word = row->value | row->should_value;
        for (unsigned i = 0; i < row->field_count; i++)
            word |= field_value(state, options, row, &row->fields[i]) << row->fields[i].lsb;
        struct a64_insn insn;
        a64_decode(word, &insn);
        if (insn.row == index && acceptable(options, &insn))
            return word;
    }
    return NOP;
}

static bool allowed(const struct a64_random_options *o, unsigned index)
{
    const struct a64_row_info *row = &a64_rows[index];

    return row->status == A64_LIVE && o->features >> row->feature & 1 && o->classes >> row->class & 1 &&
           (!o->rows || o->rows[index]);
}

uint32_t a64_random_insn(uint64_t *state, const struct a64_random_options *options)
{
    uint16_t rows[A64_ROW_COUNT];
    unsigned count = 0;

    for (unsigned i = 0; i < A64_ROW_COUNT; i++)
        if (allowed(options, i))
            rows[count++] = i;
    return count ? a64_random_of_row(state, options, rows[below(state, count)]) : NOP;
}
