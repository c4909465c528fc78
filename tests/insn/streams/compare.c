// SPDX-License-Identifier: MIT
// Owns the table of allowances and the comparison. An allowance covers no more than the registers or bytes it names.
#include "tests/insn/streams/compare.h"

#include "frontends/a64/decode.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum allowance { ALLOW_PARTIAL_STORE, ALLOW_PARTIAL_LOAD, ALLOW_FAR_ADDRESS, ALLOW_ZVA_PC,
                 ALLOW_ZVA_ADDRESS, ALLOWANCES };

const struct compare_allowance compare_allowances[ALLOWANCES] = {
    [ALLOW_PARTIAL_STORE] = {"a store that aborts may have written those of its bytes that do not abort; QEMU splits "
                             "16-byte and structure stores otherwise than we do",
                             "D1.3, \"Definition of a precise exception and imprecise exception\""},
    [ALLOW_PARTIAL_LOAD] = {"the registers that an aborting load of several SIMD registers names become UNKNOWN; QEMU "
                            "writes those loaded before the abort",
                            "D1.3, \"Definition of a precise exception and imprecise exception\""},
    [ALLOW_FAR_ADDRESS] = {"QEMU bug: the address of an abort that the host cannot form (2^47 and above) is reported "
                           "as 0, or without its tag",
                           "D17.2.40 FAR_EL1 (holds the address that the instruction presented)"},
    [ALLOW_ZVA_PC] = {"QEMU bug: an abort of DC ZVA is reported at the first instruction of QEMU's translation block",
                      "D1.3, \"Preferred exception return address\": that of the instruction that generated the abort"},
    [ALLOW_ZVA_ADDRESS] = {"QEMU bug: an abort of DC ZVA reports the address of the block, not that in the register",
                           "D17.2.40 FAR_EL1 (data cache and other DC instructions)"},
};
const char *const stream_end_names[STREAM_ENDS] = {"fell off",   "undefined", "breakpoint", "translation",
                                                   "permission", "alignment", "lost"};
_Static_assert((int)ALLOWANCES == (int)COMPARE_ALLOWANCES, "the header counts them");

enum { DC_ZVA = 0xd50b7420, ZVA_BLOCK = 64, REACH = 64 }; // bytes around the address of an abort that the instruction may have touched

// Offset in the image of a guest address, or STREAM_IMAGE.
static unsigned image_offset(uint64_t address)
{
    uint64_t at = address - STREAM_DATA;
    unsigned index = 0;

    if (at >= STREAM_PAGES * STREAM_PAGE || stream_pages[at / STREAM_PAGE] < STREAM_READ_ONLY)
        return STREAM_IMAGE;
    for (unsigned n = 0; n < at / STREAM_PAGE; n++)
        index += stream_pages[n] >= STREAM_READ_ONLY;
    return index * STREAM_PAGE + at % STREAM_PAGE;
}

static bool stores(const struct a64_row_info *row)
{
    return row->name[0] == 's' && row->name[1] == 't';
}

static uint32_t word_at(const struct stream *s, uint64_t pc)
{
    return s->code[(pc - stream_address(s, 0)) / 4 % STREAM_WORDS];
}

static unsigned allow_partial_store(const struct stream *oracle, const uint8_t *oracle_memory, uint8_t *memory)
{
    uint64_t address = oracle->state.address;
    unsigned used = 0;

    for (uint64_t at = address - REACH; at < address + REACH; at++) {
        unsigned n = image_offset(at);
        if (n == STREAM_IMAGE || memory[n] == oracle_memory[n])
            continue;
        memory[n] = oracle_memory[n];
        used = 1u << ALLOW_PARTIAL_STORE;
    }
    return used;
}

static unsigned allow_partial_load(const struct stream_state *st, const struct a64_insn *i, struct stream_state *ours)
{
    unsigned count = a64_rows[i->row].feature == A64_FEATURE_SIMD ? 4 : 1, used = 0;

    for (unsigned n = 0; n <= count; n++) {
        unsigned v = n == count ? (count == 1 ? i->rt2 : i->rt) : (i->rt + n) % 32;
        used |= memcmp(&ours->v[v], &st->v[v], sizeof ours->v[v]) ? 1u << ALLOW_PARTIAL_LOAD : 0;
        ours->v[v] = st->v[v];
    }
    return used;
}

static unsigned allow_partial(const struct stream *oracle, const uint8_t *oracle_memory, struct stream *ours,
                              uint8_t *memory)
{
    struct a64_insn i;

    a64_decode(word_at(oracle, oracle->state.pc), &i);
    const struct a64_row_info *row = &a64_rows[i.row];
    if (row->class != A64_CLASS_MEMORY)
        return 0;
    if (stores(row))
        return allow_partial_store(oracle, oracle_memory, memory);
    if (row->feature != A64_FEATURE_SIMD && row->feature != A64_FEATURE_FP)
        return 0;
    return allow_partial_load(&oracle->state, &i, &ours->state);
}

static unsigned allow_zva(const struct stream_state *st, struct stream_state *ours)
{
    unsigned used = 0;

    if (st->pc < ours->pc) {
        ours->pc = st->pc;
        used |= 1u << ALLOW_ZVA_PC;
    }
    if (st->address != ours->address && st->address == (ours->address & ~(uint64_t)(ZVA_BLOCK - 1))) {
        ours->address = st->address;
        used |= 1u << ALLOW_ZVA_ADDRESS;
    }
    return used;
}

unsigned compare_allow(const struct stream *oracle, const uint8_t *oracle_memory, struct stream *ours, uint8_t *memory)
{
    const struct stream_state *st = &oracle->state;
    unsigned used = 0;

    if (st->end < STREAM_TRANSLATION || st->end > STREAM_ALIGNMENT || st->end != ours->state.end)
        return 0;
    if (ours->state.address >> 47 && ours->state.address != st->address) {
        ours->state.address = st->address;
        used |= 1u << ALLOW_FAR_ADDRESS;
    }
    if ((word_at(ours, ours->state.pc) & ~31u) == DC_ZVA)
        used |= allow_zva(st, &ours->state);
    else if (ours->state.pc == st->pc && !(st->pc & 3))
        used |= allow_partial(oracle, oracle_memory, ours, memory);
    return used;
}

static bool states_equal(const struct stream_state *a, const struct stream_state *b)
{
    return !memcmp(a->x, b->x, sizeof a->x) && !memcmp(a->v, b->v, sizeof a->v) && a->sp == b->sp && a->pc == b->pc &&
           a->nzcv == b->nzcv && a->fpcr == b->fpcr && a->fpsr == b->fpsr && a->end == b->end &&
           (a->address == b->address || a->end < STREAM_TRANSLATION);
}

bool compare_equal(const struct stream *a, const uint8_t *a_memory, const struct stream *b, const uint8_t *b_memory)
{
    return states_equal(&a->state, &b->state) && !memcmp(a_memory, b_memory, STREAM_IMAGE);
}

static void print_memory(FILE *out, const uint8_t *a, const char *name, const uint8_t *b)
{
    unsigned at = 0, count = 0;

    for (unsigned n = STREAM_IMAGE; n-- > 0;)
        if (a[n] != b[n]) {
            at = n;
            count++;
        }
    if (count)
        fprintf(out, "  %u bytes of memory, first image+%#x: %02x %s %02x\n", count, at, a[at], name, b[at]);
}

void compare_print(FILE *out, const struct stream *ours, const uint8_t *memory, const char *name,
                   const struct stream *oracle, const uint8_t *oracle_memory)
{
    const struct stream_state *a = &ours->state, *b = &oracle->state;

    for (unsigned n = 0; n < 31; n++)
        if (a->x[n] != b->x[n])
            fprintf(out, "  x%u: %016" PRIx64 " %s %016" PRIx64 "\n", n, a->x[n], name, b->x[n]);
    for (unsigned n = 0; n < 32; n++)
        if (memcmp(&a->v[n], &b->v[n], 16))
            fprintf(out, "  v%u: %016" PRIx64 ".%016" PRIx64 " %s %016" PRIx64 ".%016" PRIx64 "\n", n, a->v[n].d[1],
                    a->v[n].d[0], name, b->v[n].d[1], b->v[n].d[0]);
    if (a->sp != b->sp || a->nzcv != b->nzcv)
        fprintf(out, "  sp %" PRIx64 " nzcv %08" PRIx32 ", %s %" PRIx64 " %08" PRIx32 "\n", a->sp, a->nzcv, name, b->sp,
                b->nzcv);
    if (a->fpcr != b->fpcr || a->fpsr != b->fpsr)
        fprintf(out, "  fpcr %08" PRIx32 " fpsr %08" PRIx32 ", %s %08" PRIx32 " %08" PRIx32 "\n", a->fpcr, a->fpsr,
                name, b->fpcr, b->fpsr);
    if (a->pc != b->pc || a->end != b->end || a->address != b->address)
        fprintf(out, "  ended: %s pc %" PRIx64 " address %" PRIx64 ", %s: %s pc %" PRIx64 " address %" PRIx64 "\n",
                stream_end_names[a->end], a->pc, a->address, name, stream_end_names[b->end], b->pc, b->address);
    print_memory(out, memory, name, oracle_memory);
}
