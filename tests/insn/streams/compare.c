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
                             "B2.2.1, D1.3.7 (memory accesses of an instruction that aborts)"},
    [ALLOW_PARTIAL_LOAD] = {"the registers that an aborting load of several SIMD registers names become UNKNOWN; QEMU "
                            "writes those loaded before the abort",
                            "D1.3.7 (registers of an instruction that aborts)"},
    [ALLOW_FAR_ADDRESS] = {"QEMU bug: the address of an abort that the host cannot form (2^47 and above) is reported "
                           "as 0, or without its tag",
                           "D17.2.40 FAR_EL1 (holds the address that the instruction presented)"},
    [ALLOW_ZVA_PC] = {"QEMU bug: an abort of DC ZVA is reported at the first instruction of QEMU's translation block",
                      "D1.3.1 (preferred return address: of the instruction that generated the abort)"},
    [ALLOW_ZVA_ADDRESS] = {"QEMU bug: an abort of DC ZVA reports the address of the block, not that in the register",
                           "D17.2.40 FAR_EL1 (data cache and other DC instructions)"},
};
const unsigned compare_allowance_count = ALLOWANCES;

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

static void allow_partial(const struct stream *oracle, const uint8_t *oracle_memory, struct stream *ours, uint8_t *memory)
{
    const struct stream_state *st = &oracle->state;
    struct a64_insn i;

    a64_decode(word_at(oracle, st->pc), &i);
    const struct a64_row_info *row = &a64_rows[i.row];
    if (row->class != A64_CLASS_MEMORY)
        return;
    for (uint64_t at = st->address - REACH; stores(row) && at < st->address + REACH; at++)
        if (image_offset(at) < STREAM_IMAGE)
            memory[image_offset(at)] = oracle_memory[image_offset(at)];
    if (stores(row) || (row->feature != A64_FEATURE_SIMD && row->feature != A64_FEATURE_FP))
        return;
    for (unsigned n = 0; n < 4; n++)
        ours->state.v[(i.rt + n) % 32] = st->v[(i.rt + n) % 32];
    if (row->feature == A64_FEATURE_FP)
        ours->state.v[i.rt2] = st->v[i.rt2];
}

void compare_allow(const struct stream *oracle, const uint8_t *oracle_memory, struct stream *ours, uint8_t *memory)
{
    const struct stream_state *st = &oracle->state;

    if (st->end < STREAM_TRANSLATION || st->end > STREAM_ALIGNMENT || st->end != ours->state.end)
        return;
    if (ours->state.address >> 47)
        ours->state.address = st->address;
    if ((word_at(ours, ours->state.pc) & ~31u) == DC_ZVA) {
        if (st->pc < ours->state.pc)
            ours->state.pc = st->pc;
        if (st->address == (ours->state.address & ~(uint64_t)(ZVA_BLOCK - 1)))
            ours->state.address = st->address;
    } else if (ours->state.pc == st->pc && !(st->pc & 3)) {
        allow_partial(oracle, oracle_memory, ours, memory);
    }
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
    static const char *const ends[STREAM_ENDS] = {"fell off",    "undefined",  "breakpoint", "translation",
                                                  "permission", "alignment", "lost"};
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
                ends[a->end], a->pc, a->address, name, ends[b->end], b->pc, b->address);
    print_memory(out, memory, name, oracle_memory);
}
