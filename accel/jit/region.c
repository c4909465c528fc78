// SPDX-License-Identifier: MIT
// Forming regions (region.h): grow from the first part by the hottest place its exits lead to, until nothing hot is
// left or a bound is met.
#include "accel/jit/region.h"

#include "ir/merge.h"

#include <errno.h>

enum { NOWHERE = UINT32_MAX };

static uint64_t heat_of(const struct region_source *s, uint32_t offset)
{
    for (unsigned i = 0; i < s->heat_count; i++)
        if (s->heats[i].offset == offset)
            return s->heats[i].count;
    return 0;
}

static unsigned accesses(const struct ir_unit *unit)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < unit->insn_count; i++)
        n += (ir_ops[unit->insns[i].op].flags & (IR_MEM_R | IR_MEM_W)) != 0;
    return n;
}

static bool fits(const struct region *r, const struct region_source *s)
{
    unsigned insns = 0, memory = 0;
    for (unsigned p = 0; p < r->count; p++) {
        insns += r->units[p].guest_insns;
        memory += accesses(&r->units[p]);
    }
    return insns <= s->max_insns && memory <= s->max_accesses;
}

// ---- parts ---------------------------------------------------------------------------------------------------------

// Translates part p anew so that it ends at `limit` or before.
static int translate(struct region *r, const struct region_source *s, unsigned p, uint32_t limit)
{
    struct region_part *part = &r->parts[p];
    struct ir_unit *unit = &r->units[p];
    struct guest_translate request = {.cpu_model = s->cpu_model, .key = s->key, .offset = part->offset,
                                      .page = s->page, .log = s->log, .va_hint = s->va_page};
    request.max_insns = (limit - part->offset) / s->isa->insn_align;
    if (request.max_insns > REGION_PART_INSNS)
        request.max_insns = REGION_PART_INSNS;
    while (request.max_insns) {
        ir_unit_reset(unit, s->guest);
        if (s->isa->translate(&request, unit))
            return -ENOTSUP; // it goes on in another page
        if (!unit->failed && part->offset + unit->guest_bytes <= limit) {
            part->bytes = unit->guest_bytes;
            return 0;
        }
        request.max_insns = unit->failed ? request.max_insns / 2 : request.max_insns - 1;
    }
    return -EINVAL;
}

// Where the next part behind offset begins.
static uint32_t next_part(const struct region *r, uint32_t offset)
{
    uint32_t limit = IR_PAGE_SIZE;
    for (unsigned p = 0; p < r->count; p++)
        if (r->parts[p].offset > offset && r->parts[p].offset < limit)
            limit = r->parts[p].offset;
    return limit;
}

static unsigned part_around(const struct region *r, uint32_t offset)
{
    unsigned p = 0;
    while (p < r->count && (offset <= r->parts[p].offset || offset >= r->parts[p].offset + r->parts[p].bytes))
        p++;
    return p;
}

static bool begins(const struct region *r, uint32_t offset)
{
    for (unsigned p = 0; p < r->count; p++)
        if (r->parts[p].offset == offset)
            return true;
    return false;
}

// Adds the part that begins at offset, and cuts the one it is in the middle of. Leaves everything as it was on failure.
static int add_part(struct region *r, const struct region_source *s, uint32_t offset)
{
    unsigned cut = part_around(r, offset), p = r->count;
    if (p == REGION_PARTS)
        return -E2BIG;
    uint32_t cut_bytes = cut < p ? r->parts[cut].bytes : 0;
    r->parts[p] = (struct region_part){.offset = offset};
    r->count++;
    int result = translate(r, s, p, next_part(r, offset));
    if (!result && cut < p)
        result = translate(r, s, cut, offset);
    if (!result && !fits(r, s))
        result = -E2BIG;
    if (result) {
        r->count--;
        if (cut < p)
            (void)translate(r, s, cut, r->parts[cut].offset + cut_bytes); // as before
    }
    return result;
}

// Where the code of the loop that goes back to the unit's own entry ends, or NOWHERE without one. Instructions of a
// fresh translation are in the guest's order.
static uint32_t loop_end(const struct ir_unit *unit, uint32_t entry)
{
    uint32_t here = 0, end = NOWHERE;
    for (uint32_t i = 0; i < unit->insn_count; i++) {
        const struct ir_insn *insn = &unit->insns[i];
        if (insn->op == IR_OP_insn)
            here = (uint32_t)insn->imm + insn->attr;
        else if (insn->op == IR_OP_poll && insn->imm == entry)
            end = here;
    }
    return end;
}

// ---- growing -------------------------------------------------------------------------------------------------------

struct choice {
    uint32_t offset;
    uint64_t heat;
};

static void consider(const struct region *r, const struct region_source *s, int64_t offset, struct choice *best)
{
    if (offset < 0 || offset >= IR_PAGE_SIZE || begins(r, (uint32_t)offset))
        return;
    for (unsigned i = 0; i < r->refused_count; i++)
        if (r->refused[i] == offset)
            return;
    uint64_t heat = heat_of(s, (uint32_t)offset);
    if (heat > best->heat)
        *best = (struct choice){(uint32_t)offset, heat};
}

static struct choice hottest_exit(const struct region *r, const struct region_source *s)
{
    struct choice best = {NOWHERE, 0};
    for (unsigned p = 0; p < r->count; p++)
        for (uint32_t i = 0; i < r->units[p].insn_count; i++) {
            const struct ir_insn *insn = &r->units[p].insns[i];
            if (insn->op != IR_OP_exit_pc)
                continue;
            consider(r, s, (int64_t)insn->imm, &best);
            if (insn->sub == IR_JUMP_CALL && (int64_t)insn->imm >= 0 && begins(r, (uint32_t)insn->imm))
                consider(r, s, (int32_t)insn->attr, &best);
        }
    return best;
}

// An edge back polls before it.
static bool loops(const struct ir_unit *unit)
{
    for (uint32_t i = 1; i < unit->insn_count; i++)
        if (unit->insns[i].op == IR_OP_br && unit->insns[i - 1].op == IR_OP_poll)
            return true;
    return false;
}

int region_form(struct region *r, const struct region_source *s)
{
    r->count = 1;
    r->refused_count = 0;
    r->parts[0] = (struct region_part){.offset = s->offset};
    int result = translate(r, s, 0, IR_PAGE_SIZE);
    if (result)
        return result;
    uint32_t end = loop_end(&r->units[0], s->offset);
    if (end != NOWHERE && end < s->offset + r->parts[0].bytes)
        result = translate(r, s, 0, end);
    uint64_t enough = heat_of(s, s->offset) / REGION_SHARE;
    while (!result && r->refused_count < REGION_PARTS) {
        struct choice next = hottest_exit(r, s);
        if (next.offset == NOWHERE || next.heat < enough)
            break;
        if (add_part(r, s, next.offset))
            r->refused[r->refused_count++] = next.offset;
    }
    if (result)
        return result;
    struct ir_merge_part parts[REGION_PARTS];
    r->insns = 0;
    for (unsigned p = 0; p < r->count; p++) {
        parts[p] = (struct ir_merge_part){&r->units[p], 0, r->parts[p].offset};
        r->insns += r->units[p].guest_insns;
    }
    result = ir_merge(parts, r->count, &r->unit);
    r->loops = !result && loops(&r->unit);
    return result;
}

void region_free(struct region *r)
{
    for (unsigned p = 0; p < REGION_PARTS; p++)
        ir_unit_free(&r->units[p]);
    ir_unit_free(&r->unit);
}
