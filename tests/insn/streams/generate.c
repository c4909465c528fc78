// SPDX-License-Identifier: MIT
// Owns what random streams look like: which rows, which registers, and how operands are tamed so that most streams
// run to their end. Branches go forward, but for one counted loop; bases of addresses point into the data or, seldom,
// at its edges and holes.
//
// Registers with a part to play are kept out of the others' hands: see enum reserved.
#include "tests/insn/streams/generate.h"

#include "base/bits.h"
#include "frontends/a64/decode.h"
#include "tests/insn/random_state.h"

#include <string.h>

const char *const profile_names[PROFILE_COUNT] = {"integer", "memory", "fp", "simd", "mixed"};

enum { NOP = 0xd503201f, CLREX = 0xd5033f5f, REGIME_ONE_IN = 8 };

enum reserved {
    BASE_FIRST = 19, // to 24: bases of addresses
    ALIGNED_BASE = 24,
    INDEX = 25,      // a small offset, with rubbish above bit 31 where plan.narrow_index
    POINTER = 26,    // address of a later instruction of the stream
    LOOP = 27,       // how often the loop repeats
    CONTROL = 28,    // bits that FPCR and FPSR hold
    DATA_REGS = 0xe007ffff,
    BASE_REGS = 0x3fu << BASE_FIRST | 1u << 31,
};

// How often each class is drawn.
static const uint8_t weights[PROFILE_COUNT][A64_CLASS_COUNT] = {
    [PROFILE_INTEGER] = {[A64_CLASS_INTEGER] = 24, [A64_CLASS_BRANCH] = 4, [A64_CLASS_SYSTEM] = 1},
    [PROFILE_MEMORY] = {[A64_CLASS_MEMORY] = 16, [A64_CLASS_INTEGER] = 8, [A64_CLASS_BRANCH] = 2,
                        [A64_CLASS_SYSTEM] = 1},
    [PROFILE_FP] = {[A64_CLASS_FP] = 24, [A64_CLASS_INTEGER] = 2, [A64_CLASS_SYSTEM] = 1},
    [PROFILE_SIMD] = {[A64_CLASS_SIMD] = 24, [A64_CLASS_CRYPTO] = 2, [A64_CLASS_SYSTEM] = 1},
    [PROFILE_MIXED] = {[A64_CLASS_INTEGER] = 12, [A64_CLASS_MEMORY] = 12, [A64_CLASS_FP] = 8, [A64_CLASS_SIMD] = 12,
                       [A64_CLASS_CRYPTO] = 1, [A64_CLASS_BRANCH] = 4, [A64_CLASS_SYSTEM] = 1},
};

bool stream_allows(unsigned row)
{
    if (a64_rows[row].status != A64_LIVE)
        return false;
    switch (row) {
    case A64_ROW_svc:  // QEMU makes it a system call
    case A64_ROW_wfi:  // QEMU's user emulation raises SIGILL
    case A64_ROW_sysl: // no operation exists at EL0
        return false;
    default:
        return true;
    }
}

bool stream_ends(unsigned row)
{
    return a64_rows[row].class == A64_CLASS_EXCEPTION || row == A64_ROW_msr_spsel || row == A64_ROW_msr_daifset ||
           row == A64_ROW_msr_daifclr;
}

_Static_assert(STREAM_COUNT_DOWN == (0xd1000400 | LOOP << 5 | LOOP), "sub x27, x27, #1");

// ---- operands -----------------------------------------------------------------------------------------------------

struct plan {
    struct rng *rng;
    unsigned count;    // instructions
    unsigned pointed;  // the one POINTER leads to
    unsigned loop_end; // index of the loop's branch, or 0
    unsigned kind;     // of the stream's exclusives
    bool narrow_index; // INDEX is to be used as a W register
};

static uint32_t with(uint32_t word, unsigned lsb, unsigned width, uint64_t value)
{
    return (uint32_t)bits_set(word, lsb, width, value & bits_mask(width));
}

// Words from instruction k to the target of a forward branch, never to the loop's branch alone.
static unsigned forward(const struct plan *p, unsigned k)
{
    unsigned room = p->count - k, skip = 1 + rng_below(p->rng, room < 6 ? room : 6);

    return p->loop_end && k + skip == p->loop_end ? skip + 1 : skip;
}

// NZCV, FPCR and FPSR; DC ZVA.
static uint32_t tame_system(const struct plan *p, const struct a64_insn *i)
{
    static const uint32_t registers[3] = {0xd51b4200, 0xd51b4400, 0xd51b4420};
    unsigned n = rng_below(p->rng, 3);

    if (i->row == A64_ROW_sys)
        return 0xd50b7420 | (BASE_FIRST + rng_below(p->rng, 6));
    if (i->row == A64_ROW_mrs)
        return registers[n] | 1u << 21 | i->rt;
    return registers[n] | (n ? CONTROL : i->rt);
}

// Exclusives of one size and kind a stream: pairing different ones is CONSTRAINED UNPREDICTABLE (Arm ARM B2.9.5).
static bool exclusive_of_another_kind(const struct plan *p, const struct a64_insn *i)
{
    switch (i->row) {
    case A64_ROW_stxr: case A64_ROW_stlxr: case A64_ROW_ldxr: case A64_ROW_ldaxr: return p->kind != i->size;
    case A64_ROW_stxp: case A64_ROW_stlxp: case A64_ROW_ldxp: case A64_ROW_ldaxp: return p->kind != 4u + i->sf;
    default: return false;
    }
}

static uint32_t tame_ordered(const struct plan *p, uint32_t word)
{
    return rng_below(p->rng, 16) ? with(word, 5, 5, ALIGNED_BASE) : word;
}

static uint32_t tame(const struct plan *p, uint32_t word, unsigned k)
{
    struct a64_insn i;

    a64_decode(word, &i);
    switch (i.row) {
    case A64_ROW_b: case A64_ROW_bl: return with(word, 0, 26, forward(p, k));
    case A64_ROW_b_cond: case A64_ROW_cbz: case A64_ROW_cbnz: return with(word, 5, 19, forward(p, k));
    case A64_ROW_tbz: case A64_ROW_tbnz: return with(word, 5, 14, forward(p, k));
    case A64_ROW_br: case A64_ROW_blr: case A64_ROW_ret: return k < p->pointed ? with(word, 5, 5, POINTER) : NOP;
    case A64_ROW_hlt: return with(word, 5, 16, 1); // 0xf000 is semihosting
    case A64_ROW_ldr_lit: case A64_ROW_ldrsw_lit: case A64_ROW_ldr_lit_v: case A64_ROW_prfm_lit:
        return with(word, 5, 19, rng_below(p->rng, STREAM_WORDS - 3) - (uint64_t)k);
    case A64_ROW_stxr: case A64_ROW_stlxr: case A64_ROW_stxp: case A64_ROW_stlxp: case A64_ROW_ldxr:
    case A64_ROW_ldaxr: case A64_ROW_ldxp: case A64_ROW_ldaxp:
        return exclusive_of_another_kind(p, &i) ? CLREX : tame_ordered(p, word);
    case A64_ROW_ldar: case A64_ROW_stlr: return tame_ordered(p, word);
    case A64_ROW_str_reg: case A64_ROW_ldr_reg: case A64_ROW_ldrs_reg: case A64_ROW_str_reg_v:
    case A64_ROW_ldr_reg_v: case A64_ROW_prfm_reg:
        return with(p->narrow_index ? word & ~(1u << 13) : word, 16, 5, INDEX);
    case A64_ROW_str_imm: case A64_ROW_ldr_imm: case A64_ROW_ldrs_imm:
        return rng_below(p->rng, 64) ? with(word, 10, 12, i.imm12 & (0xff >> i.size)) : word;
    case A64_ROW_str_imm_v: case A64_ROW_ldr_imm_v:
        return rng_below(p->rng, 64) ? with(word, 10, 12, i.imm12 & (0xff >> (i.opc << 2 | i.size))) : word;
    case A64_ROW_sys: case A64_ROW_mrs: case A64_ROW_msr_reg: return tame_system(p, &i);
    default:
        // Structures: post-index by the register or by the size.
        if (i.p && a64_rows[i.row].class == A64_CLASS_MEMORY && a64_rows[i.row].feature == A64_FEATURE_SIMD)
            return with(word, 16, 5, p->narrow_index || rng_below(p->rng, 2) ? 31 : INDEX);
        return word;
    }
}

// ---- states ---------------------------------------------------------------------------------------------------------

static uint64_t page_at(unsigned n)
{
    return STREAM_DATA + n * STREAM_PAGE;
}

// Where an address may point: well inside, or near the end of a page that another kind of page follows.
static uint64_t random_base(struct rng *rng, bool wild)
{
    unsigned inside = 1 + rng_below(rng, 2);
    uint64_t near = rng_below(rng, 160) - 80ull;

    if (!wild || rng_below(rng, 3))
        return rng_below(rng, 4) ? page_at(inside) + 1200 + rng_below(rng, 1600) : page_at(2) + near;
    return page_at(1 + rng_below(rng, STREAM_PAGES - 1)) + near;
}

static void random_start(struct rng *rng, struct stream_state *st, unsigned wild_one_in)
{
    for (unsigned n = 0; n < 31; n++)
        st->x[n] = random_integer(rng);
    for (unsigned n = BASE_FIRST; n <= ALIGNED_BASE; n++) {
        st->x[n] = random_base(rng, rng_below(rng, wild_one_in) == 0);
        if (n == ALIGNED_BASE && rng_below(rng, 32))
            st->x[n] &= ~15ull;
        if (rng_below(rng, 8) == 0)
            st->x[n] |= rng_next(rng) << 56;
    }
    st->sp = random_base(rng, false) & ~15ull;
    st->x[INDEX] = rng_below(rng, 64) - (rng_below(rng, 4) ? 0ull : 64ull);
    st->x[LOOP] = 1 + rng_below(rng, 4);
    st->x[CONTROL] = random_fpcr(rng) | random_fpsr(rng);
    random_vectors(rng, st->v);
    st->nzcv = rng_below(rng, 16) << 28;
    st->fpcr = random_fpcr(rng);
    st->fpsr = random_fpsr(rng);
    st->end = 0;
    st->address = 0;
}

void stream_image(uint8_t image[STREAM_IMAGE])
{
    struct rng rng = {0x15073};

    for (unsigned n = 0; n < STREAM_IMAGE; n += 8) {
        uint64_t value = random_integer(&rng);
        memcpy(image + n, &value, 8);
    }
}

// ---- streams --------------------------------------------------------------------------------------------------------

static unsigned pick_class(struct rng *rng, enum profile profile)
{
    unsigned sum = 0, n = 0;

    for (unsigned c = 0; c < A64_CLASS_COUNT; c++)
        sum += weights[profile][c];
    for (unsigned at = rng_below(rng, sum); at >= weights[profile][n]; n++)
        at -= weights[profile][n];
    return n;
}

static uint32_t random_word(struct plan *p, struct a64_random_options *options, enum profile profile, unsigned k)
{
    uint8_t rows[A64_ROW_COUNT];
    uint64_t words = rng_next(p->rng) | 1;
    bool may_end = rng_below(p->rng, 160) == 0;
    unsigned class = may_end ? A64_CLASS_EXCEPTION : pick_class(p->rng, profile);

    for (unsigned row = 0; row < A64_ROW_COUNT; row++)
        rows[row] = stream_allows(row) && (may_end || !stream_ends(row));
    options->rows = rows;
    options->classes = 1u << class | (may_end ? 1u << A64_CLASS_SYSTEM : 0);
    uint32_t word = tame(p, a64_random_insn(&words, options), k);
    struct a64_insn insn;
    a64_decode(word, &insn);
    return a64_unpredictable(&insn) ? NOP : word;
}

// A counted loop over some of the stream: the last two of its instructions count and go back.
static void make_loop(struct plan *p, struct stream *s)
{
    const uint32_t back = 0xb5000000 | LOOP;
    unsigned length = 1 + rng_below(p->rng, p->loop_end);

    s->code[p->loop_end - 1] = STREAM_COUNT_DOWN;
    s->code[p->loop_end] = with(back, 5, 19, 0 - (uint64_t)length);
}

static void finish(struct plan *p, struct stream *s, unsigned slot)
{
    s->slot = slot;
    s->count = p->count;
    s->code[p->count] = STREAM_EXIT;
    for (unsigned n = p->count + 1; n < STREAM_WORDS; n++)
        s->code[n] = (uint32_t)rng_next(p->rng);
    s->state.pc = stream_address(s, 0);
    s->state.x[POINTER] = stream_address(s, p->pointed);
    if (rng_below(p->rng, 64) == 0)
        s->state.x[POINTER] |= 1 + rng_below(p->rng, 3); // a misaligned PC
    if (rng_below(p->rng, 8) == 0)
        s->state.x[POINTER] |= rng_next(p->rng) << 56;
}

enum profile stream_generate(struct stream *s, uint64_t seed, unsigned profiles, unsigned slot)
{
    // Few registers: results feed each other and die unread.
    static const uint32_t register_sets[4] = {~0u, ~0u, 0x80000007u, 0xc00000ffu};
    struct rng rng = {(seed ^ 0x5eed5eed) * 0xd1342543de82ef95};
    struct plan p = {.rng = &rng, .count = 1 + rng_below(&rng, STREAM_INSNS), .kind = rng_below(&rng, 6)};
    struct a64_random_options options = {.features = ~0u, .bases = BASE_REGS};
    unsigned profile;

    do
        profile = rng_below(&rng, PROFILE_COUNT);
    while (!(profiles >> profile & 1));
    options.gprs = register_sets[rng_below(&rng, 4)] & DATA_REGS;
    options.vregs = register_sets[rng_below(&rng, 4)];
    s->seed = seed;
    s->regime = rng_below(&rng, REGIME_ONE_IN) ? 0 : 1 + rng_below(&rng, 15);
    if (s->regime & STREAM_FP_TRAPPED && rng_below(&rng, 4))
        s->regime &= ~(unsigned)STREAM_FP_TRAPPED;
    random_start(&rng, &s->state, 8);
    if (p.count > 3 && rng_below(&rng, 4) == 0)
        p.loop_end = 2 + rng_below(&rng, p.count - 2);
    p.narrow_index = rng_below(&rng, 4) == 0;
    if (p.narrow_index)
        s->state.x[INDEX] = rng_below(&rng, 64) | rng_next(&rng) << 32;
    p.pointed = rng_below(&rng, p.count + 1);
    if (p.loop_end && p.pointed == p.loop_end)
        p.pointed++;
    for (unsigned k = 0; k < p.count; k++)
        s->code[k] = random_word(&p, &options, profile, k);
    if (p.loop_end)
        make_loop(&p, s);
    finish(&p, s, slot);
    return profile;
}

void stream_of_row(struct stream *s, uint64_t seed, unsigned row, unsigned slot)
{
    struct rng rng = {(seed ^ 0x5eed5eed) * 0xd1342543de82ef95};
    struct plan p = {.rng = &rng, .count = 1, .pointed = 1};
    struct a64_random_options options = {.features = ~0u, .classes = ~0u, .bases = BASE_REGS, .gprs = DATA_REGS,
                                         .vregs = ~0u};
    struct a64_insn insn;

    s->seed = seed;
    s->regime = 0;
    random_start(&rng, &s->state, 1000);
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        uint64_t words = rng_next(&rng) | 1;
        s->code[0] = a64_random_of_row(&words, &options, row);
        a64_decode(s->code[0], &insn);
        p.kind = (insn.row == A64_ROW_stxp || insn.row == A64_ROW_stlxp || insn.row == A64_ROW_ldxp ||
                  insn.row == A64_ROW_ldaxp) ? 4u + insn.sf : insn.size;
        s->code[0] = tame(&p, s->code[0], 0);
        a64_decode(s->code[0], &insn);
        if (insn.row == row && !a64_unpredictable(&insn))
            break;
    }
    finish(&p, s, slot);
}
