// SPDX-License-Identifier: MIT
// The x86-64 backend's vtable and the order of a compilation: prepare, lower block by block in the order of the IR, place
// the cold code at the buffer's other end, so that what runs lies close together, resolve references. Nothing is appended
// unless all of it fits.
#include "backends/x64/x64.h"

#include "backends/x64/compile.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *scratch(void **at, size_t count, size_t size)
{
    return *at = calloc(count, size);
}

static bool allocate(struct backend *b)
{
    struct x64_compile *c = &b->compile;
    return scratch((void **)&c->values, X64_MAX_INSNS, sizeof(*c->values)) &&
           scratch((void **)&c->cells, X64_MAX_INSNS + X64_JOIN_CELLS, sizeof(*c->cells)) &&
           scratch((void **)&c->next_use, X64_MAX_INSNS, sizeof(*c->next_use)) &&
           scratch((void **)&c->barriers, X64_MAX_INSNS, sizeof(*c->barriers)) &&
           scratch((void **)&c->fields, X64_MAX_FIELDS, sizeof(*c->fields)) &&
           scratch((void **)&c->events, X64_MAX_INSNS, sizeof(*c->events)) &&
           scratch((void **)&c->block_events, IR_MAX_BLOCKS, sizeof(*c->block_events)) &&
           scratch((void **)&c->block_offset, IR_MAX_BLOCKS, sizeof(*c->block_offset)) &&
           scratch((void **)&c->block_order, IR_MAX_BLOCKS, sizeof(*c->block_order)) &&
           scratch((void **)&c->block_rank, IR_MAX_BLOCKS, sizeof(*c->block_rank)) &&
           scratch((void **)&c->block_scratch, IR_MAX_BLOCKS, sizeof(*c->block_scratch)) &&
           scratch((void **)&c->block_preds, IR_MAX_BLOCKS, sizeof(*c->block_preds)) &&
           scratch((void **)&c->snapshots, X64_SNAPSHOTS, sizeof(*c->snapshots)) &&
           scratch((void **)&c->snapshot_owner, X64_SNAPSHOTS, sizeof(*c->snapshot_owner)) &&
           scratch((void **)&c->loop_end, IR_MAX_BLOCKS, sizeof(*c->loop_end)) &&
           scratch((void **)&c->block_map, IR_MAX_BLOCKS, sizeof(*c->block_map)) &&
           scratch((void **)&c->maps, X64_MAPS, sizeof(*c->maps)) &&
           scratch((void **)&c->join_insns, X64_JOIN_CELLS, sizeof(*c->join_insns)) &&
           scratch((void **)&c->sites, X64_MAX_SITES, sizeof(*c->sites)) &&
           scratch((void **)&c->refs.list, X64_MAX_REFS, sizeof(*c->refs.list)) &&
           scratch((void **)&b->cold_buffer, X64_COLD_SIZE, 1);
}

static void destroy(struct backend *b)
{
    if (!b)
        return;
    struct x64_compile *c = &b->compile;
    void *const all[] = { c->values, c->cells, c->next_use, c->barriers, c->fields, c->events, c->block_events, c->block_offset, c->block_order,
                          c->block_rank, c->block_scratch, c->block_preds, c->loop_end, c->block_map, c->maps, c->join_insns, c->sites, c->snapshots, c->snapshot_owner, c->refs.list, b->cold_buffer };
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        free(all[i]);
    free(b);
}

static int create(const struct backend_config *config, struct code_buffer *code, struct backend **ret_backend,
                  struct error *err)
{
    uint64_t has = x64_features_detect(config->feature_mask);
    if (!(has & X64_HAS_SSE42))
        return error_set(err, -ENOTSUP, "the host processor lacks SSE4.2 or CMPXCHG16B");
    if (config->guest->layout->count > X64_MAX_FIELDS || code->size > 1u << 30)
        return error_set(err, -EINVAL, "the x64 backend takes %d state fields and 1 GiB of code", X64_MAX_FIELDS);
    struct backend *b = calloc(1, sizeof(*b));
    if (!b)
        return error_set(err, -ENOMEM, "no memory for the x64 backend");
    b->config = *config;
    b->has = has;
    b->rx = code->rx;
    if (!allocate(b) || x64_emit_thunks(b, code) < 0) {
        destroy(b);
        return error_set(err, -ENOMEM, "no memory for the x64 backend");
    }
    struct x64_compile *c = &b->compile;
    c->backend = b;
    c->layout = config->guest->layout;
    c->has = has;
    c->some_evaluated = config->evaluate_fp || config->evaluate_vectors;
    c->refs.capacity = X64_MAX_REFS;
    for (unsigned f = 0; f < X64_MAX_FIELDS; f++) {
        c->fields[f].cell = IR_NO_VALUE;
        c->fields[f].next_event = X64_NO_POS;
    }
    *ret_backend = b;
    return 0;
}

// Whether the configuration has the operation evaluated although there is host code for it.
static bool evaluated(const struct backend_config *config, const struct ir_insn *insn)
{
    uint16_t flags = ir_ops[insn->op].flags;
    return (config->evaluate_fp && (flags & IR_FPX) && insn->type != IR_FLAGS) ||
           (config->evaluate_vectors && (flags & IR_PURE) && insn->type == IR_V128 && insn->op != IR_OP_vconst);
}

void x64_lower(struct x64_compile *c, uint32_t pos)
{
    const struct ir_insn *insn = &c->unit->insns[pos];
    c->pos = pos;
    x64_begin_insn(c);
    if (c->some_evaluated && evaluated(&c->backend->config, insn)) {
        x64_clobber_flags(c);
        x64_lower_eval(c, insn);
    } else if (!x64_lower_int(c, insn) && !x64_lower_flags(c, insn) && !x64_lower_mem(c, insn) &&
        !x64_lower_atomic(c, insn) && !x64_lower_control(c, insn) && !x64_lower_fp(c, insn) && !x64_lower_vec(c, insn)) {
        x64_clobber_flags(c);
        x64_lower_eval(c, insn);
    }
    x64_end_insn(c);
}

struct places {
    uint32_t cold, sites;
};

static uint32_t position_of(const struct x64_compile *c, uint8_t kind, uint32_t target, struct places at)
{
    switch (kind) {
    case X64_REF_HOT: return c->hot.origin + target;
    case X64_REF_COLD: return at.cold + target;
    case X64_REF_SITE: return at.sites + target * (uint32_t)sizeof(struct backend_eval_site);
    case X64_REF_BLOCK: return c->hot.origin + c->block_offset[target];
    default: return target;
    }
}

static void resolve(struct x64_compile *c, struct code_buffer *code, struct places places)
{
    for (uint32_t i = 0; i < c->refs.count; i++) {
        const struct x64_ref *ref = &c->refs.list[i];
        uint32_t at = (ref->cold ? places.cold : c->hot.origin) + ref->at;
        uint32_t distance = position_of(c, ref->kind, ref->target, places) - (at + 4 + ref->tail);
        memcpy(code->rw + at, &distance, 4);
    }
    for (uint32_t i = 0; i < c->exit_count; i++)
        c->exits[i].stub += places.cold;
}

enum { BREAKPOINT = 0xcc };

// Of the unit's own PC. Its first instruction may be in another block than the first, where a loop goes back to it; but
// before all others.
static uint32_t first_offset(const struct ir_unit *unit)
{
    for (uint32_t i = 0; i < unit->insn_count; i++)
        if (unit->insns[i].op == IR_OP_insn)
            return (uint32_t)unit->insns[i].imm;
    return 0;
}

static int compile(struct backend *b, const struct ir_unit *unit, struct code_buffer *code,
                   struct backend_exit *exits, struct backend_unit *ret_unit)
{
    struct x64_compile *c = &b->compile;
    if (unit->failed || unit->insn_count > X64_MAX_INSNS || unit->block_count == 0)
        return -E2BIG;
    size_t start = (code->used + 15) & ~(size_t)15;
    if (start + 64 > code->cold)
        return -ENOSPC;
    bool avx = (b->has & X64_HAS_AVX) != 0;
    c->unit = unit;
    c->exits = exits;
    c->exit_count = c->site_count = 0;
    c->too_large = false;
    c->refs.count = 0;
    c->refs.full = false;
    c->hot = (struct x64_emit){ .start = code->rw + start, .p = code->rw + start, .end = code->rw + code->cold,
                                .origin = (uint32_t)start, .avx = avx, .refs = &c->refs };
    c->cold = (struct x64_emit){ .start = b->cold_buffer, .p = b->cold_buffer, .end = b->cold_buffer + X64_COLD_SIZE,
                                 .cold = true, .avx = avx, .refs = &c->refs };
    c->e = &c->hot;
    c->pinned = 0;
    c->insn_offset = 0;
    x64_prepare(c);
    if (unit->heat)
        x64_emit_heat(c, first_offset(unit));
    for (uint32_t k = 0; k < unit->block_count; k++) {
        uint32_t block = c->block_order[k];
        if (unit->blocks[block].count == 0)
            continue;
        c->block = block;
        x64_begin_block(c, block);
        c->block_offset[block] = x64_pos(&c->hot);
        for (uint32_t i = unit->blocks[block].first; i < c->block_end; i++)
            if (unit->insns[i].op == IR_OP_insn)
                c->insn_offset = (uint32_t)unit->insns[i].imm;
            else if (!c->values[i].done)
                x64_lower(c, i);
        if (c->too_large || c->refs.full || c->cold.full || c->exit_count > BACKEND_MAX_EXITS)
            return -E2BIG;
        if (c->hot.full)
            return -ENOSPC;
    }
    size_t hot_end = start + x64_pos(&c->hot), cold_size = x64_pos(&c->cold);
    size_t sites_size = c->site_count * sizeof(*c->sites);
    if (hot_end + cold_size + sites_size + 32 > code->cold)
        return -ENOSPC;
    uint32_t sites = (uint32_t)(code->cold - sites_size) & ~7u, cold_at = (uint32_t)(sites - cold_size) & ~15u;
    memcpy(code->rw + cold_at, b->cold_buffer, cold_size);
    memset(code->rw + cold_at + cold_size, BREAKPOINT, sites - (cold_at + cold_size));
    memcpy(code->rw + sites, c->sites, sites_size);
    resolve(c, code, (struct places){ cold_at, sites });
    *ret_unit = (struct backend_unit){ code->rx + start, hot_end - start, code->rx + cold_at, code->cold - cold_at,
                                       c->exit_count };
    code->used = hot_end;
    code->cold = cold_at;
    return 0;
}

static int enter(struct backend *b, struct ir_env *env, const void *entry)
{
    int (*run)(struct ir_env *, const void *);
    const void *at = b->rx + b->thunks[X64_T_ENTER];
    memcpy(&run, &at, sizeof(run));
    return run(env, entry);
}

static void patch(struct code_buffer *code, const struct backend_exit *exit, uint32_t target)
{
    // The displacement is 4-byte aligned: other threads run the old jump or the new one.
    _Atomic uint32_t *at = (_Atomic uint32_t *)(void *)(code->rw + exit->patch + 1);
    atomic_store_explicit(at, target - (exit->patch + 5), memory_order_release);
}

static void link_exit(struct backend *b, struct code_buffer *code, struct backend_exit *exit, const void *entry)
{
    (void)b;
    if (exit->patch == 0)
        atomic_store_explicit(&exit->target, entry, memory_order_release);
    else
        patch(code, exit, (uint32_t)((const uint8_t *)entry - code->rx));
    if (exit->guard) // who sees it may still see the jump as it was
        atomic_store_explicit((_Atomic uint32_t *)(void *)(code->rw + exit->guard), exit->bound, memory_order_release);
}

static void unlink_exit(struct backend *b, struct code_buffer *code, struct backend_exit *exit)
{
    if (exit->patch == 0)
        atomic_store_explicit(&exit->target, b->stubs.exit_unlinked, memory_order_release);
    else
        patch(code, exit, exit->stub);
}

static const struct backend_stubs *stubs(struct backend *b)
{
    return &b->stubs;
}

static void disassemble(const void *code, size_t size, FILE *out)
{
    const uint8_t *p = code;
    for (size_t i = 0; i < size; i++)
        fprintf(out, "%02x%s", p[i], i % 32 == 31 || i + 1 == size ? "\n" : " ");
}

const struct backend_ops x64_backend = {
    .name = "x64", .create = create, .destroy = destroy, .compile = compile, .enter = enter, .link = link_exit,
    .unlink = unlink_exit, .disassemble = disassemble, .stubs = stubs,
};
