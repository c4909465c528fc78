// SPDX-License-Identifier: MIT
// FCMP: UCOMIS or COMIS, in the order of operands that lets the first condition on the result be one jump. The packed
// form is made with moves only, so that EFLAGS serve the conditions that follow.
//
// After (u)comis x, y: unordered ZF PF CF, x < y CF, x == y ZF, x > y none.
#include "backends/x64/compile.h"
#include "backends/x64/fp_shape.h"

// Host condition for each, operands in order and exchanged; X64_NO_CC: two tests would be needed.
enum { NO_CC = 0xff };
static const uint8_t in_order[IR_COND_COUNT] = {
    [IR_EQ] = NO_CC, [IR_NE] = NO_CC, [IR_CS] = NO_CC, [IR_CC] = NO_CC, [IR_MI] = NO_CC, [IR_PL] = NO_CC,
    [IR_VS] = X64_P, [IR_VC] = X64_NP, [IR_HI] = NO_CC, [IR_LS] = NO_CC, [IR_GE] = X64_AE, [IR_LT] = X64_B,
    [IR_GT] = X64_A, [IR_LE] = X64_BE,
};
static const uint8_t exchanged[IR_COND_COUNT] = { // b ? a
    [IR_EQ] = NO_CC, [IR_NE] = NO_CC, [IR_CS] = X64_BE, [IR_CC] = X64_A, [IR_MI] = X64_A, [IR_PL] = X64_BE,
    [IR_VS] = X64_P, [IR_VC] = X64_NP, [IR_HI] = X64_B, [IR_LS] = X64_AE, [IR_GE] = NO_CC, [IR_LT] = NO_CC,
    [IR_GT] = NO_CC, [IR_LE] = NO_CC,
};

bool x64_fcmp_cc(bool swapped, enum ir_cond cond, enum x64_cc *ret)
{
    uint8_t cc = (swapped ? exchanged : in_order)[cond];
    if (cc != NO_CC)
        *ret = (enum x64_cc)cc;
    return cc != NO_CC;
}

// dst := packed flags. x86's less and greater change places when the operands did.
static void pack(struct x64_compile *c, unsigned dst, bool swapped)
{
    x64_mov_ri(c->e, dst, swapped ? IR_FLAG_N : IR_FLAG_C);
    x64_mov_ri(c->e, X64_RAX, swapped ? IR_FLAG_C : IR_FLAG_N);
    x64_cmov(c->e, X64_B, false, dst, X64_RAX);
    x64_mov_ri(c->e, X64_RAX, IR_FLAG_Z | IR_FLAG_C);
    x64_cmov(c->e, X64_E, false, dst, X64_RAX);
    x64_mov_ri(c->e, X64_RAX, IR_FLAG_C | IR_FLAG_V);
    x64_cmov(c->e, X64_P, false, dst, X64_RAX);
}

bool x64_lower_fcmp(struct x64_compile *c, const struct ir_insn *insn)
{
    struct x64_shape s;
    if (!x64_fp_shape(insn, x64_type(c, insn->arg[0]), &s) || insn->attr & (IR_FP_FTZ | IR_FP_X86))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]);
    uint32_t conds = 0;
    bool all = x64_conds_in_window(c, c->pos, &conds), swapped = false;
    enum x64_cc cc;
    for (unsigned k = 0; k < IR_COND_COUNT; k++)
        if (conds >> k & 1)
            swapped |= !x64_fcmp_cc(false, (enum ir_cond)k, &cc) && x64_fcmp_cc(true, (enum ir_cond)k, &cc);
    for (unsigned k = 0; k < IR_COND_COUNT; k++)
        if (conds >> k & 1)
            all &= x64_fcmp_cc(swapped, (enum ir_cond)k, &cc);
    uint32_t op = X64_0F | (insn->attr & IR_FP_SIGNALLING ? 0x2f : 0x2e) | (s.wide ? X64_66 : 0);
    x64_v2(c->e, op, swapped ? xb : xa, swapped ? xa : xb);
    c->flags_value = c->pos;
    c->flags_kind = swapped ? X64_FLAGS_FP_SWAPPED : X64_FLAGS_FP;
    if (all) {
        c->values[c->pos].fused = true;
        return true;
    }
    pack(c, x64_def(c, c->pos), swapped);
    return true;
}
