// SPDX-License-Identifier: MIT
// Owns our side of a stream: a flat accel whose page tables give EL0 the pages of stream_pages, at the addresses the
// oracle has them, and the translation of how a stream ended into enum stream_end. A region of the optimising tier runs
// on to the word that ends the stream, so that its exception counts as having come to the end.
#include "base/bits.h"
#include "frontends/a64/key.h"
#include "frontends/a64/regs.h"
#include "frontends/a64/sysreg.h"
#include "tests/fp/operands.h"
#include "tests/insn/flat_accel.h"
#include "tests/insn/streams/engines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TABLE_1 = 0x40020000, TABLE_2 = TABLE_1 + 0x1000, TABLE_3 = TABLE_2 + 0x1000, SIZE = 0x23000,
    CODE_PAGES = STREAM_CODE_SIZE / STREAM_PAGE, MAX_UNITS = 4000, BUDGET = 1 << 20, EXIT_SYNDROME = 0x7770,
    REGIONS = 4, // of the optimising tier in a stream: compiling is slow
};

#define CONTROL (0x30d00800 | SCTLR_M | SCTLR_NTWE | SCTLR_NTWI | SCTLR_UCI | SCTLR_UCT | SCTLR_DZE)

// Descriptors: valid page or table, access flag, EL0 may access, read-only.
enum { VALID = 3, ACCESSED = 1 << 10, USER = 1 << 6, READ_ONLY = 1 << 7 };

struct ours {
    struct flat *flat;
    enum runner_engine engine;
    char message[128];
};

// Pages that are neighbours by address are none in memory, so that what runs over an edge shows.
static uint64_t physical(unsigned page)
{
    return STREAM_DATA + (STREAM_PAGES - 1 - page) * STREAM_PAGE;
}

static void put64(struct flat *f, uint64_t at, uint64_t value)
{
    memcpy(flat_at(f, at, 8), &value, 8);
}

static void map_pages(struct flat *f)
{
    static const unsigned user[] = {[STREAM_READ_ONLY] = USER | READ_ONLY, [STREAM_READ_WRITE] = USER};

    put64(f, TABLE_1 + 8, TABLE_2 | VALID);
    put64(f, TABLE_2, TABLE_3 | VALID);
    for (unsigned n = 0; n < STREAM_PAGES; n++) {
        unsigned kind = stream_pages[n];
        if (kind != STREAM_HOLE)
            put64(f, TABLE_3 + 8 * n, physical(n) | VALID | ACCESSED |
                  (kind == STREAM_NO_ACCESS ? 0 : user[kind]));
    }
    for (unsigned n = 0; n < CODE_PAGES; n++) {
        uint64_t va = STREAM_CODE + n * STREAM_PAGE;
        put64(f, TABLE_3 + 8 * (va >> 12 & 511), va | VALID | ACCESSED | USER | READ_ONLY);
    }
}

struct ours *ours_open(enum runner_engine engine, uint64_t features)
{
    struct flat_config config = {.engine = engine, .features = features, .model = "cortex-a57", .base = STREAM_DATA,
                                 .size = SIZE, .stop_on_fault = true};
    struct flat *f = flat_create(&config);

    if (!f)
        return NULL;
    struct ours *o = calloc(1, sizeof *o);
    o->flat = f;
    o->engine = engine;
    map_pages(f);
    uint64_t *sys = f->cpu->sys;
    sys[A64_SR_TCR_EL1] = 25 | 25ull << 16 | 2ull << 30 | 2ull << 32 | TCR_TBI0 | TCR_EPD1;
    sys[A64_SR_TTBR0_EL1] = TABLE_1;
    sys[A64_SR_MAIR_EL1] = 0xff;
    return o;
}

void ours_close(struct ours *o)
{
    flat_destroy(o->flat);
    free(o);
}

uint64_t ours_fills(const struct ours *o)
{
    return o->flat->fills;
}

struct runner_counts ours_counts(const struct ours *o)
{
    return runner_counts(o->flat->runner);
}

static void copy_image(struct flat *f, uint8_t *image, bool out)
{
    for (unsigned n = 0; n < STREAM_PAGES; n++) {
        void *at = flat_at(f, physical(n), STREAM_PAGE);
        if (stream_pages[n] < STREAM_READ_ONLY)
            continue;
        memcpy(out ? image : at, out ? at : image, STREAM_PAGE);
        image += STREAM_PAGE;
    }
}

static void load_state(struct a64_cpu *cpu, const struct stream_state *from)
{
    a64_set_el(cpu, 0, false);
    memcpy(cpu->x, from->x, sizeof cpu->x);
    memcpy(cpu->v, from->v, sizeof cpu->v);
    cpu->sp = from->sp;
    cpu->nzcv = a64_nzcv_pack(from->nzcv);
    cpu->daif = 0;
    cpu->excl_size = A64_EXCL_NONE;
    cpu->event_local = 0;
    cpu->fpcr = from->fpcr;
    a64_write_fpsr(cpu, A64_SR_FPSR, from->fpsr);
    a64_key_update(cpu);
    cpu->env.budget = BUDGET;
    cpu->env.pc = from->pc;
}

static void save_state(struct a64_cpu *cpu, struct stream_state *to)
{
    memcpy(to->x, cpu->x, sizeof cpu->x);
    memcpy(to->v, cpu->v, sizeof cpu->v);
    to->sp = *a64_sp_slot(cpu, 0);
    to->nzcv = a64_nzcv_unpack(cpu->nzcv);
    to->fpcr = cpu->fpcr;
    to->fpsr = (uint32_t)a64_read_fpsr(cpu, A64_SR_FPSR);
    to->pc = cpu->env.pc;
    to->address = 0;
}

static void ended_by_fault(struct flat *f, struct stream_state *to)
{
    static const uint8_t ends[] = {[GUEST_FAULT_TRANSLATION] = STREAM_TRANSLATION,
                                   [GUEST_FAULT_PERMISSION] = STREAM_PERMISSION,
                                   [GUEST_FAULT_ALIGNMENT] = STREAM_ALIGNMENT};

    to->end = f->fault.kind < sizeof ends && ends[f->fault.kind] ? ends[f->fault.kind] : STREAM_LOST;
    to->address = f->fault.va & bits_mask(56);
}

static void ended_by_exception(const struct a64_cpu *cpu, uint64_t until, struct stream_state *to)
{
    uint64_t esr = cpu->sys[A64_SR_ESR_EL1];

    to->pc = cpu->sys[A64_SR_ELR_EL1];
    switch (esr >> 26) {
    case EC_UNKNOWN:
    case EC_FP_ACCESS:
    case EC_SYSREG: to->end = STREAM_UNDEFINED; break;
    case EC_BRK: to->end = to->pc == until && (esr & 0xffff) == EXIT_SYNDROME ? STREAM_FELL_OFF : STREAM_BREAKPOINT; break;
    case EC_PC_ALIGN:
        to->end = STREAM_ALIGNMENT;
        to->address = cpu->sys[A64_SR_FAR_EL1];
        break;
    case EC_SP_ALIGN: to->end = STREAM_ALIGNMENT; break;
    default: to->end = STREAM_LOST; break;
    }
}

static void set_regime(struct a64_cpu *cpu, uint32_t regime)
{
    cpu->sys[A64_SR_CPACR_EL1] = regime & STREAM_FP_TRAPPED ? 0 : 3u << 20;
    cpu->sys[A64_SR_SCTLR_EL1] = CONTROL | (regime & STREAM_BIG_ENDIAN ? SCTLR_E0E : 0) |
                                 (regime & STREAM_ALIGNED ? SCTLR_A : 0) |
                                 (regime & STREAM_SP_ALIGNED ? SCTLR_SA0 : 0);
}

// Some pages are in the inline table from the start.
static void prepare_table(struct flat *f, struct rng *rng)
{
    union ir_value value;

    flat_flush(f);
    f->fill_one_in = 1;
    for (unsigned n = 0; n < STREAM_PAGES; n++)
        if (stream_pages[n] >= STREAM_READ_ONLY && rng_below(rng, 3) == 0)
            vcpu_load(&f->cpu->env, STREAM_DATA + n * STREAM_PAGE, 0, &value);
    f->fill_one_in = 1 + rng_below(rng, 3);
    f->dice = rng_next(rng);
}

// Where parts of regions may begin: anywhere, in places, or units stay alone.
static uint64_t hot_words(struct rng *rng)
{
    unsigned choice = rng_below(rng, 8);

    return choice == 0 ? 0 : choice < 4 ? rng_next(rng) | 1 : ~0ull;
}

void ours_load(struct ours *o, const struct stream *streams, unsigned count)
{
    memset(flat_at(o->flat, STREAM_CODE, STREAM_CODE_SIZE), 0, STREAM_CODE_SIZE);
    for (unsigned n = 0; n < count; n++)
        flat_code(o->flat, stream_address(&streams[n], 0), streams[n].code, STREAM_WORDS);
}

const char *ours_run(struct ours *o, struct stream *s, uint8_t memory[STREAM_IMAGE])
{
    struct flat *f = o->flat;
    struct a64_cpu *cpu = f->cpu;
    struct rng rng = {(s->seed ^ 0x0ddba11) * 0xc4ceb9fe1a85ec53};
    uint64_t until = stream_address(s, s->count);
    unsigned longest = rng_below(&rng, 3) ? STREAM_INSNS : 1 + rng_below(&rng, 8), units = 0;
    int code = IR_EXIT_JUMP;

    runner_optimise(f->runner, rng_below(&rng, 2));
    runner_regions(f->runner, REGIONS, hot_words(&rng));
    copy_image(f, memory, false);
    set_regime(cpu, s->regime);
    load_state(cpu, &s->state);
    prepare_table(f, &rng);
    while (code > IR_EXIT_NONE && code != IR_EXIT_FAULT && cpu->env.pc != until && !cpu->el && units++ < MAX_UNITS) {
        uint64_t left = (until - cpu->env.pc + 3) / 4;
        code = flat_run(f, left < longest ? (unsigned)left : longest, 1, until);
    }
    save_state(cpu, &s->state);
    copy_image(f, memory, true);
    s->state.end = STREAM_FELL_OFF;
    if (code == IR_EXIT_FAULT)
        ended_by_fault(f, &s->state);
    else if (cpu->el)
        ended_by_exception(cpu, until, &s->state);
    else if (code < 0 || cpu->env.pc != until)
        s->state.end = STREAM_LOST;
    if (s->state.end != STREAM_LOST)
        return NULL;
    snprintf(o->message, sizeof o->message, "lost at %#llx with exit %d, ESR %#llx",
             (unsigned long long)s->state.pc, code, (unsigned long long)cpu->sys[A64_SR_ESR_EL1]);
    return code < 0 ? runner_message(f->runner) : o->message;
}
