// SPDX-License-Identifier: MIT
// State fields inside a region: those that innermost loops use, and flags, are in allocas, read from env at the entry and
// written to env where the region is left; the others stay in env, where LLVM forwards them.
//
// A field is dirty where env may hold an old value of it, on any path: what a forward pass over the blocks finds before
// lowering. Only puts in innermost loops wait so (`waits`); others are stored at once. Flags are kept as the operands they were made from, in three allocas: which operation, and two operands; the
// packed form is made only where it is stored, which is mostly in cold code.
#include "backends/llvm/llvm.h"

#include <string.h>

enum { DEFERRED = 12 };

static void add_field(struct region_set *set, uint32_t field)
{
    set->bits[field / 64] |= 1ull << (field % 64);
}

static uint32_t helper_flags(const struct region *r, const struct ir_insn *insn)
{
    return r->unit->guest->helpers[insn->imm].flags;
}

static void remove_field(struct region_set *set, uint32_t field)
{
    set->bits[field / 64] &= ~(1ull << (field % 64));
}

static enum ir_type type_of(const struct region *r, uint32_t field)
{
    return (enum ir_type)r->layout->fields[field].type;
}

// Whether a put leaves env alone: in innermost loops of fields that are worth a register there, or where the block puts
// the field again. Elsewhere one store now is cheaper than one in each cold block until it is made. Flags always wait.
static bool waits(const struct region *r, uint32_t pos)
{
    const struct ir_insn *insn = &r->unit->insns[pos];
    const struct ir_block *block = &r->unit->blocks[r->block_of[pos]];
    int loop = r->blocks[r->block_of[pos]].loop;
    if (type_of(r, (uint32_t)insn->imm) == IR_FLAGS)
        return true;
    if (loop != REGION_NO_LOOP && r->loops[loop].innermost && region_has_field(&r->deferred, (uint32_t)insn->imm))
        return true;
    for (uint32_t i = pos + 1; i < block->first + block->count; i++)
        if (r->unit->insns[i].op == IR_OP_put && r->unit->insns[i].imm == insn->imm)
            return true;
    return false;
}

// Whether the alloca holds the field from the entry on. Of others env is true but between puts of one block.
static bool kept(const struct region *r, uint32_t field)
{
    return type_of(r, field) == IR_FLAGS || region_has_field(&r->deferred, field);
}

// The fields that innermost loops use most.
static void choose_deferred(struct region *r)
{
    uint32_t uses[REGION_FIELDS] = { 0 };
    for (uint32_t i = 0; i < r->unit->insn_count; i++) {
        const struct ir_insn *insn = &r->unit->insns[i];
        int loop = r->blocks[r->block_of[i]].loop;
        if ((insn->op == IR_OP_get || insn->op == IR_OP_put) && loop != REGION_NO_LOOP && r->loops[loop].innermost)
            uses[insn->imm]++;
    }
    for (unsigned vectors = 0; vectors < 2; vectors++) {
        for (unsigned n = 0; n < DEFERRED; n++) {
            uint32_t best = REGION_FIELDS;
            for (uint32_t f = 0; f < r->layout->count; f++)
                if ((type_of(r, f) == IR_V128) == vectors && uses[f] && (best == REGION_FIELDS || uses[f] > uses[best]))
                    best = f;
            if (best == REGION_FIELDS)
                break;
            add_field(&r->deferred, best);
            uses[best] = 0;
        }
    }
}

// What the instruction does to the set of dirty fields; mirrors the lowering.
static void step(const struct region *r, uint32_t pos, struct region_set *dirty)
{
    const struct ir_insn *insn = &r->unit->insns[pos];
    if (insn->op == IR_OP_put && waits(r, pos))
        add_field(dirty, (uint32_t)insn->imm);
    else if (insn->op == IR_OP_put)
        remove_field(dirty, (uint32_t)insn->imm);
    else if (insn->op == IR_OP_call && (helper_flags(r, insn) & (IR_HELPER_READS | IR_HELPER_WRITES)))
        *dirty = (struct region_set){ 0 };
}

static bool step_inexact(const struct region *r, const struct ir_insn *insn, bool known)
{
    return known && !(insn->op == IR_OP_call && (helper_flags(r, insn) & IR_HELPER_WRITES));
}

void region_state_analyse(struct region *r)
{
    const struct ir_unit *u = r->unit;
    for (uint32_t i = 0; i < u->insn_count; i++)
        if (u->insns[i].op == IR_OP_get || u->insns[i].op == IR_OP_put)
            add_field(&r->used, (uint32_t)u->insns[i].imm);
    choose_deferred(r);
    for (uint32_t b = 0; b < u->block_count; b++)
        r->blocks[b].inexact_known = true;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t k = 0; k < r->flow.count; k++) {
            uint32_t b = r->flow.rpo[k], next[2];
            struct region_set dirty = r->blocks[b].dirty_in;
            bool inexact = r->blocks[b].inexact_known;
            for (uint32_t i = u->blocks[b].first; i < u->blocks[b].first + u->blocks[b].count; i++) {
                step(r, i, &dirty);
                inexact = step_inexact(r, &u->insns[i], inexact);
            }
            for (unsigned n = ir_successors(u, b, next); n--;) {
                struct region_block *to = &r->blocks[next[n]];
                struct region_set old = to->dirty_in;
                for (unsigned w = 0; w < REGION_WORDS; w++)
                    to->dirty_in.bits[w] |= dirty.bits[w];
                changed |= memcmp(&old, &to->dirty_in, sizeof old) != 0 || (to->inexact_known && !inexact);
                to->inexact_known &= inexact;
            }
        }
    }
}

static void store_slot(struct region *r, LLVMValueRef value, LLVMValueRef slot)
{
    region_tag(r, LLVMBuildStore(r->builder, value, slot), r->tbaa_local);
}

static LLVMValueRef load_slot(struct region *r, LLVMTypeRef type, LLVMValueRef slot)
{
    return region_tag(r, LLVMBuildLoad2(r->builder, type, slot, ""), r->tbaa_local);
}

static void read_field(struct region *r, uint32_t field)
{
    struct region_field *f = &r->fields[field];
    enum ir_type type = type_of(r, field);
    LLVMValueRef value = region_load_value(r, type, region_env_at(r, r->layout->fields[field].offset), r->tbaa_field);
    f->known = IR_NO_VALUE;
    if (type == IR_FLAGS) {
        value = LLVMBuildZExt(r->builder, value, r->i64, "");
        store_slot(r, region_k(r, r->i64, 0), f->slot_b);
        store_slot(r, region_k(r, r->i32, REGION_PACKED), f->kind);
    }
    store_slot(r, value, f->slot);
}

#define EACH_FIELD(set, field)                                                                                        \
    for (unsigned word_ = 0; word_ < REGION_WORDS; word_++)                                                          \
        for (uint64_t left_ = (set).bits[word_]; left_; left_ &= left_ - 1)                                          \
            for (uint32_t field = word_ * 64 + (unsigned)__builtin_ctzll(left_), once_ = 1; once_; once_ = 0)

void region_state_enter(struct region *r)
{
    EACH_FIELD(r->used, field) {
        struct region_field *f = &r->fields[field];
        bool flags = type_of(r, field) == IR_FLAGS;
        const char *name = r->layout->fields[field].name;
        f->slot = LLVMBuildAlloca(r->builder, flags ? r->i64 : region_type(r, type_of(r, field)), name);
        if (flags) {
            f->slot_b = LLVMBuildAlloca(r->builder, r->i64, name);
            f->kind = LLVMBuildAlloca(r->builder, r->i32, name);
        }
    }
    region_reload(r);
}

void region_state_begin_block(struct region *r)
{
    const struct ir_flow *flow = &r->flow;
    uint32_t first = flow->pred_first[r->block], count = flow->pred_first[r->block + 1] - first;
    uint32_t known = count == 1 && r->block != 0 ? r->blocks[flow->pred[first]].known : IR_NO_VALUE;
    r->dirty = r->blocks[r->block].dirty_in;
    r->inexact_known = r->blocks[r->block].inexact_known;
    r->leave = r->restart = NULL;
    if (known != IR_NO_VALUE)
        region_recall(r, known);
    EACH_FIELD(r->used, field)
        r->fields[field].known = type_of(r, field) == IR_FLAGS ? known : IR_NO_VALUE;
}

// One flags field is followed from block to block; with several, none is.
void region_state_end_block(struct region *r)
{
    unsigned count = 0;
    r->blocks[r->block].known = IR_NO_VALUE;
    EACH_FIELD(r->used, field) {
        if (type_of(r, field) == IR_FLAGS) {
            r->blocks[r->block].known = count++ ? IR_NO_VALUE : r->fields[field].known;
        }
    }
}

LLVMValueRef region_field_now(struct region *r, uint32_t field)
{
    if (kept(r, field))
        return load_slot(r, region_type(r, type_of(r, field)), r->fields[field].slot);
    return region_load_value(r, type_of(r, field), region_env_at(r, r->layout->fields[field].offset), r->tbaa_field);
}

void region_get(struct region *r, uint32_t field)
{
    struct region_field *f = &r->fields[field];
    if (!kept(r, field) && !region_has_field(&r->dirty, field)) {
        LLVMValueRef at = region_env_at(r, r->layout->fields[field].offset);
        r->values[r->pos] = region_load_value(r, type_of(r, field), at, r->tbaa_field);
        return;
    }
    if (type_of(r, field) != IR_FLAGS) {
        r->values[r->pos] = load_slot(r, region_type(r, type_of(r, field)), f->slot);
        return;
    }
    struct region_flags *flags = &r->flags[r->pos];
    if (f->known != IR_NO_VALUE)
        *flags = r->flags[f->known];
    else
        *flags = (struct region_flags){ REGION_DYNAMIC, load_slot(r, r->i64, f->slot), load_slot(r, r->i64, f->slot_b),
                                        load_slot(r, r->i32, f->kind), NULL };
}

static LLVMValueRef widened(struct region *r, LLVMValueRef value)
{
    return LLVMBuildZExt(r->builder, value, r->i64, "");
}

static void put_flags(struct region *r, struct region_field *f, const struct region_flags *flags)
{
    LLVMValueRef kind = region_k(r, r->i32, flags->kind), a = flags->a, b = flags->b;
    if (flags->kind == REGION_BITS)
        kind = region_k(r, r->i32, REGION_PACKED), a = region_flags_pack(r, flags), b = NULL;
    else if (flags->kind == REGION_DYNAMIC)
        kind = flags->c;
    store_slot(r, kind, f->kind);
    store_slot(r, LLVMTypeOf(a) == r->i64 ? a : widened(r, a), f->slot);
    if (!b)
        b = region_k(r, r->i64, 0);
    store_slot(r, LLVMTypeOf(b) == r->i64 ? b : widened(r, b), f->slot_b);
}

static void store_field(struct region *r, uint32_t field)
{
    struct region_field *f = &r->fields[field];
    enum ir_type type = type_of(r, field);
    LLVMValueRef value;
    if (type != IR_FLAGS) {
        value = load_slot(r, region_type(r, type), f->slot);
    } else {
        struct region_flags flags = { REGION_DYNAMIC, NULL, NULL, NULL, NULL };
        if (f->known != IR_NO_VALUE)
            flags = r->flags[f->known];
        else
            flags.a = load_slot(r, r->i64, f->slot), flags.b = load_slot(r, r->i64, f->slot_b),
            flags.c = load_slot(r, r->i32, f->kind);
        value = region_flags_pack(r, &flags);
    }
    region_store_value(r, type, value, region_env_at(r, r->layout->fields[field].offset), r->tbaa_field);
}

void region_put(struct region *r, uint32_t field, uint32_t value)
{
    struct region_field *f = &r->fields[field];
    if (type_of(r, field) == IR_FLAGS) {
        put_flags(r, f, &r->flags[value]);
        f->known = value;
    } else {
        store_slot(r, r->values[value], f->slot);
    }
    if (waits(r, r->pos)) {
        add_field(&r->dirty, field);
    } else {
        store_field(r, field);
        remove_field(&r->dirty, field);
    }
    r->leave = r->restart = NULL;
}

// Flags come last: packing them may be a call.
void region_store_dirty(struct region *r)
{
    for (int flags = 0; flags < 2; flags++) {
        EACH_FIELD(r->dirty, field) {
            if ((type_of(r, field) == IR_FLAGS) == flags)
                store_field(r, field);
        }
    }
}

void region_flush(struct region *r)
{
    region_store_dirty(r);
    r->dirty = (struct region_set){ 0 };
    r->leave = r->restart = NULL;
}

void region_reload(struct region *r)
{
    EACH_FIELD(r->used, field)
        if (kept(r, field))
            read_field(r, field);
}
