// SPDX-License-Identifier: MIT
// Forms units: which instructions belong to one, where its blocks start, and the loop that hands each
// instruction to its translator. A unit is contiguous: it follows the fall-through of conditional branches
// and goes on after an unconditional one only where an earlier branch of the unit leads; branches that stay
// inside become IR edges.
//
// Invariant: the scan and the emission decode the same words, so t->count and t->block describe what is
// emitted.
#include "frontends/a64/tr.h"

#include "base/bits.h"
#include "frontends/a64/regs.h"

typedef bool translator(struct a64_tr *t, const struct a64_insn *insn);

// Every live row has one: the linker sees to it.
static translator *const translators[A64_ROW_COUNT] = {
#define X(name) [A64_ROW_##name] = a64_tr_##name,
    A64_ROWS(X)
#undef X
};

static uint32_t word_at(const uint8_t *page, uint32_t offset)
{
    const uint8_t *p = page + offset;

    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

// How an instruction ends or bends the flow: where a direct branch leads, and whether the next one can
// follow.
struct flow {
    bool branches;   // to target, within the page
    bool falls;
    int64_t target;
};

static struct flow flow_of(const struct a64_insn *i, uint32_t offset)
{
    switch (i->row) {
    case A64_ROW_b: return (struct flow){true, false, offset + bits_sext(i->imm26, 26) * 4};
    case A64_ROW_b_cond: return (struct flow){true, i->cond < 14, offset + bits_sext(i->imm19, 19) * 4};
    case A64_ROW_cbz:
    case A64_ROW_cbnz: return (struct flow){true, true, offset + bits_sext(i->imm19, 19) * 4};
    case A64_ROW_tbz:
    case A64_ROW_tbnz: return (struct flow){true, true, offset + bits_sext(i->imm14, 14) * 4};
    case A64_ROW_bl:
    case A64_ROW_br:
    case A64_ROW_blr:
    case A64_ROW_ret:
    case A64_ROW_eret:
    case A64_ROW_svc:
    case A64_ROW_hvc:
    case A64_ROW_smc:
    case A64_ROW_brk:
    case A64_ROW_hlt:
    case A64_ROW_wfi:
    case A64_ROW_wfe:
    case A64_ROW_yield:
    case A64_ROW_isb:
    case A64_ROW_msr_spsel:
    case A64_ROW_COUNT: return (struct flow){false, false, 0};
    default: return (struct flow){false, a64_rows[i->row].status == A64_LIVE, 0};
    }
}

// Decodes into insns, fills t->count and marks the instructions where a block starts (t->block = 0, else A64_NO_BLOCK).
static void scan(struct a64_tr *t, unsigned max, struct a64_insn *insns)
{
    bool leads[A64_MAX_UNIT + 1] = {false}; // a branch leads here
    bool starts[A64_MAX_UNIT + 1] = {false};
    unsigned n = 0;

    for (bool open = true; n < max && (open || leads[n]); n++) {
        uint32_t offset = t->start + 4 * n;
        a64_decode(word_at(t->request->page, offset), &insns[n]);
        struct flow flow = flow_of(&insns[n], offset);
        int64_t index = (flow.target - t->start) / 4;
        if (flow.branches && max > 1 && flow.target >= t->start && index < max)
            leads[index] = true;
        if (flow.branches)
            starts[n + 1] = true;
        open = flow.falls;
    }
    t->count = n;
    for (unsigned k = 0; k < n; k++)
        t->block[k] = leads[k] || starts[k] ? 0 : A64_NO_BLOCK;
}

static void make_blocks(struct a64_tr *t)
{
    uint32_t entry = ir_new_block(t->u);

    for (unsigned k = 0; k < t->count; k++)
        if (t->block[k] != A64_NO_BLOCK)
            t->block[k] = ir_new_block(t->u);
    ir_start_block(t->u, entry);
}

static void mark(struct a64_tr *t)
{
    ir_emit(t->u, (struct ir_insn){.op = IR_OP_insn, .type = IR_VOID, .attr = 4, .imm = t->offset,
                                   .arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}});
}

// The log line comes when the instruction runs: what is only translated was perhaps never meant to.
static void undefined(struct a64_tr *t, const struct a64_insn *i)
{
    if (i->row != A64_ROW_udf)
        ir_call(t->u, A64_HELPER_unimplemented, ir_const(t->u, IR_I32, i->word), a64_pc(t, t->offset),
                IR_NO_VALUE, IR_NO_VALUE);
    a64_raise(t, ESR(EC_UNKNOWN, 0), t->offset);
}

static void translate_insn(struct a64_tr *t, const struct a64_insn *insn)
{
    bool live = insn->row < A64_ROW_COUNT && a64_rows[insn->row].status == A64_LIVE;
    const struct a64_row_info *row = live ? &a64_rows[insn->row] : NULL;

    if (row && row->class >= A64_CLASS_FP && t->key & A64_KEY_FP_TRAP)
        a64_raise(t, ESR(EC_FP_ACCESS, ISS_COND_AL), t->offset);
    else if (row && (row->feature == A64_FEATURE_FP || row->feature == A64_FEATURE_SIMD) &&
             t->key & A64_KEY_FP_TRAP)
        a64_raise(t, ESR(EC_FP_ACCESS, ISS_COND_AL), t->offset);
    else if (!row || !(t->model->features >> row->feature & 1) || !translators[insn->row](t, insn))
        undefined(t, insn);
}

// Whether something is wrong before any instruction runs: then the unit is one exception.
static bool refuses(const struct a64_tr *t)
{
    return t->offset & 3 || t->key & A64_KEY_IL || (t->key & (A64_KEY_STEP | A64_KEY_SS)) == A64_KEY_STEP;
}

static void translate_refused(struct a64_tr *t)
{
    ir_start_block(t->u, ir_new_block(t->u));
    mark(t);
    // The order is that of the exceptions' priorities.
    if ((t->key & (A64_KEY_STEP | A64_KEY_SS)) == A64_KEY_STEP) {
        uint32_t pc = a64_pc(t, t->offset);
        pc = ir_call(t->u, A64_HELPER_step_take, pc, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE);
        a64_exit_indirect(t, pc, IR_JUMP_PLAIN);
    } else if (t->offset & 3) {
        uint32_t esr = ir_const(t->u, IR_I32, ESR(EC_PC_ALIGN, 0)), pc = a64_pc(t, t->offset);
        pc = ir_call(t->u, A64_HELPER_exception_far, esr, pc, pc, IR_NO_VALUE);
        a64_exit_indirect(t, pc, IR_JUMP_PLAIN);
    } else {
        a64_raise(t, ESR(EC_ILLEGAL, 0), t->offset);
    }
    t->u->guest_insns = 1;
    t->u->guest_bytes = 4 - (t->offset & 3);
}

static bool loads_exclusive(const struct a64_insn *i)
{
    return i->row == A64_ROW_ldxr || i->row == A64_ROW_ldaxr || i->row == A64_ROW_ldxp || i->row == A64_ROW_ldaxp;
}

static void translate_body(struct a64_tr *t, const struct a64_insn *insns)
{
    for (unsigned k = 0; k < t->count; k++) {
        t->offset = t->start + 4 * k;
        if (t->block[k] != A64_NO_BLOCK) {
            if (!t->ended)
                ir_br(t->u, t->block[k]);
            ir_start_block(t->u, t->block[k]);
            t->ended = false;
            t->sp_aligned = false;
        }
        mark(t);
        if (t->key & A64_KEY_BREAK)
            ir_call(t->u, A64_HELPER_breakpoint, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE);
        if (t->key & A64_KEY_STEP)
            ir_call(t->u, A64_HELPER_step_begin, ir_const(t->u, IR_I32, loads_exclusive(&insns[k])), IR_NO_VALUE,
                    IR_NO_VALUE, IR_NO_VALUE);
        translate_insn(t, &insns[k]);
        if (!t->ended)
            continue;
        // It left, expected or not: what follows is reached at the next block only.
        while (k + 1 < t->count && t->block[k + 1] == A64_NO_BLOCK)
            k++;
    }
    if (!t->ended)
        a64_goto(t, t->offset + 4, IR_JUMP_PLAIN);
}

int a64_isa_translate(const struct guest_translate *request, struct ir_unit *unit)
{
    struct a64_tr t = {.u = unit, .request = request, .model = request->cpu_model, .key = request->key,
                       .start = request->offset, .offset = request->offset};
    struct a64_insn insns[A64_MAX_UNIT];
    unsigned in_page = (IR_PAGE_SIZE - request->offset + 3) / 4;
    unsigned max = request->max_insns < in_page ? request->max_insns : in_page;

    max = max < 1 ? 1 : max > A64_MAX_UNIT ? A64_MAX_UNIT : max;
    if (t.key & A64_KEY_STEP)
        max = 1;
    unit->fp_mode = a64_key_fp_mode(t.key);
    if (refuses(&t)) {
        translate_refused(&t);
        return 0;
    }
    scan(&t, max, insns);
    make_blocks(&t);
    translate_body(&t, insns);
    unit->guest_insns = t.count;
    unit->guest_bytes = t.count * 4;
    return 0;
}

unsigned a64_isa_disassemble(const struct guest_translate *request, char *buf, size_t size)
{
    if (request->offset & 3 || request->offset + 4 > IR_PAGE_SIZE) {
        if (size)
            buf[0] = 0;
        return 4 - (request->offset & 3);
    }
    a64_disasm(word_at(request->page, request->offset), request->va_hint + request->offset, buf, size);
    return 4;
}
