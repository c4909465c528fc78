// SPDX-License-Identifier: MIT
// Which loads and stores can share one address translation: those of one block off the same base value by
// constant offsets, all within a page's length, with no safepoint or barrier between. The walk then puts a
// span token before the first of each group of two or more. Accesses with ordering, alignment or exclusive
// rules keep their own way.
#include "ir/opt/opt_internal.h"

enum { OPEN_GROUPS = 8, CHAIN = 4, SPAN_MAX = IR_PAGE_SIZE };

// Where an address comes from: value = base + offset, by additions of constants.
static uint32_t address_base(const struct ir_insn *insns, uint32_t value, int64_t *ret_offset)
{
    int64_t offset = 0;
    for (unsigned i = 0; i < CHAIN; i++) {
        const struct ir_insn *insn = &insns[value];
        if (insn->op != IR_OP_add || insns[insn->arg[1]].op != IR_OP_const)
            break;
        offset = (int64_t)((uint64_t)offset + insns[insn->arg[1]].imm);
        value = insn->arg[0];
    }
    *ret_offset = offset;
    return value;
}

static bool ends_spans(const struct ir_unit *unit, const struct ir_insn *insn)
{
    if (insn->op == IR_OP_call)
        return !(unit->guest->helpers[insn->imm].flags & IR_HELPER_KEEPS_SPANS);
    return insn->op == IR_OP_poll || insn->op == IR_OP_fence;
}

static bool plain_access(const struct ir_insn *insn)
{
    const uint32_t special =
        IR_MEM_ALIGN | IR_MEM_ACQUIRE | IR_MEM_RELEASE | IR_MEM_EXCLUSIVE | IR_MEM_ATOMIC;
    return (insn->op == IR_OP_ld && insn->arg[1] == IR_NO_VALUE && !(insn->attr & special)) ||
           (insn->op == IR_OP_st && insn->arg[2] == IR_NO_VALUE && !(insn->attr & special));
}

// Whether [lo, hi) fits the group, which it then widens.
static bool joins(struct ir_span_group *group, uint32_t base, uint32_t mmu, int64_t lo, int64_t hi)
{
    if (group->base != base || group->mmu != mmu)
        return false;
    int64_t new_lo = lo < group->lo ? lo : group->lo, new_hi = hi > group->hi ? hi : group->hi;
    if (new_hi - new_lo > SPAN_MAX)
        return false;
    group->lo = new_lo;
    group->hi = new_hi;
    return true;
}

bool ir_find_spans(const struct ir_unit *unit, const struct ir_flow *flow, uint16_t *group_of,
                       struct ir_span_group *groups, uint32_t max)
{
    uint32_t count = 0;
    bool work = false;
    for (uint32_t i = 0; i < flow->count; i++) {
        const struct ir_block *block = &unit->blocks[flow->rpo[i]];
        uint32_t open = count; // first group of the running segment
        for (uint32_t id = block->first; id < block->first + block->count; id++) {
            const struct ir_insn *insn = &unit->insns[id];
            int64_t offset;
            group_of[id] = IR_NO_GROUP;
            if (ends_spans(unit, insn))
                open = count;
            if (!plain_access(insn)) {
                work |= insn->op == IR_OP_nop;
                continue;
            }
            uint32_t base = address_base(unit->insns, insn->arg[0], &offset), g;
            int64_t end = offset + ir_mem_bytes(insn->attr);
            if (offset < INT32_MIN / 2 || end > INT32_MAX / 2)
                continue;
            for (g = open; g < count && !joins(&groups[g], base, insn->attr & IR_MEM_MMU, offset, end); g++) {
            }
            if (g == count) {
                if (count == max || count == IR_NO_GROUP)
                    continue;
                groups[count++] =
                    (struct ir_span_group){base, insn->attr & IR_MEM_MMU, offset, end, 0, IR_NO_VALUE, false};
                open = count - open > OPEN_GROUPS ? count - OPEN_GROUPS : open;
            }
            work |= groups[g].count++ > 0;
            groups[g].write |= insn->op == IR_OP_st;
            group_of[id] = (uint16_t)g;
        }
    }
    return work;
}
