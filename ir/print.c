// SPDX-License-Identifier: MIT
// The text form of a unit, one instruction a line:
//
//     b0:
//       insn 0x40, len=4
//       %1 = get.i64 x0
//       %2 = const.i64 0x10
//       %3 = add.i64 %1, %2
//       %4 = ld.i32 %3, {4 s align4 mmu1}, span=%9
//       put x1, %4
//       exit_pc 0x44, call, ret=0x44
//
// Suffixes after the op are its type (unless the table fixes it), lane size and condition. ir_parse reads it
// back.
#include "ir/ops.h"

#include <inttypes.h>

static void print_suffixes(const struct ir_insn *insn, FILE *out)
{
    const struct ir_op_form *form = &ir_op_forms[insn->op];
    if (ir_op_prints_type(insn->op) && insn->type != IR_VOID)
        fprintf(out, ".%s", ir_type_name(insn->type));
    if (form->sub == IR_SUB_LANE || (form->sub == IR_SUB_LANEF && insn->type == IR_V128))
        fprintf(out, ".x%u", 8u << insn->sub);
    switch (form->sub) {
    case IR_SUB_CMP: fprintf(out, ".%s", ir_cmp_names[insn->sub]); break;
    case IR_SUB_COND: fprintf(out, ".%s", ir_cond_names[insn->sub]); break;
    case IR_SUB_RMW: fprintf(out, ".%s", ir_rmw_names[insn->sub]); break;
    case IR_SUB_FENCE: fprintf(out, ".%s", ir_fence_names[insn->sub]); break;
    case IR_SUB_EXIT: fprintf(out, ".%s", ir_exit_names[insn->sub]); break;
    }
    if (form->imm == IR_IMM_CMP)
        fprintf(out, ".%s", ir_cmp_names[insn->imm]);
    if (form->imm == IR_IMM_FCMP)
        fprintf(out, ".%s", ir_fcmp_names[insn->imm]);
}

static const char *separator(const char **sep)
{
    const char *now = *sep;
    *sep = ", ";
    return now;
}

static void print_offset(uint64_t imm, FILE *out)
{
    int64_t offset = (int64_t)imm;
    fprintf(out, "%s0x%" PRIx64, offset < 0 ? "-" : "", offset < 0 ? 0 - imm : imm);
}

// The part of imm that comes before the arguments: what the op names.
static void print_subject(const struct ir_unit *unit, const struct ir_insn *insn, const char **sep, FILE *out)
{
    const union v128 *v;
    switch (ir_op_forms[insn->op].imm) {
    case IR_IMM_BITS: fprintf(out, "%s0x%" PRIx64, separator(sep), insn->imm); break;
    case IR_IMM_POOL:
        v = &unit->vpool[insn->imm];
        fprintf(out, "%s0x%016" PRIx64 "%016" PRIx64, separator(sep), v->d[1], v->d[0]);
        break;
    case IR_IMM_OFF:
        fprintf(out, "%s", separator(sep));
        print_offset(insn->imm, out);
        break;
    case IR_IMM_FIELD:
        fprintf(out, "%s%s", separator(sep), unit->guest->layout->fields[insn->imm].name);
        break;
    case IR_IMM_HELPER: fprintf(out, "%s%s", separator(sep), unit->guest->helpers[insn->imm].name); break;
    default: break;
    }
}

static bool is_token(const struct ir_insn *insn, unsigned n)
{
    return insn->op != IR_OP_call && ir_arg_optional(insn->op, n);
}

static void print_args(const struct ir_insn *insn, const char **sep, FILE *out)
{
    for (unsigned i = 0; i < 4; i++)
        if (insn->arg[i] != IR_NO_VALUE && !is_token(insn, i))
            fprintf(out, "%s%%%u", separator(sep), insn->arg[i]);
}

static void print_token(const struct ir_insn *insn, const char **sep, FILE *out)
{
    for (unsigned i = 0; i < 4; i++)
        if (insn->arg[i] != IR_NO_VALUE && is_token(insn, i))
            fprintf(out, "%sspan=%%%u", separator(sep), insn->arg[i]);
}

static void print_numbers(const struct ir_insn *insn, const char **sep, FILE *out)
{
    const struct ir_op_form *form = &ir_op_forms[insn->op];
    if (form->sub == IR_SUB_POS)
        fprintf(out, "%spos=%u", separator(sep), insn->sub);
    switch (form->imm) {
    case IR_IMM_LEN: fprintf(out, "%slen=%" PRIu64, separator(sep), insn->imm); break;
    case IR_IMM_NUM: fprintf(out, "%s#%" PRIu64, separator(sep), insn->imm); break;
    case IR_IMM_BLOCK: fprintf(out, "%sb%" PRIu64, separator(sep), insn->imm); break;
    case IR_IMM_BLOCKS:
        fprintf(out, "%sb%u, b%u", separator(sep), (uint32_t)insn->imm, (uint32_t)(insn->imm >> 32));
        break;
    case IR_IMM_SPAN:
        fprintf(out, "%s[%d, %d)", separator(sep), (int32_t)insn->imm, (int32_t)(insn->imm >> 32));
        break;
    default: break;
    }
}

static void print_attr(const struct ir_insn *insn, const char **sep, FILE *out)
{
    const struct ir_op_form *form = &ir_op_forms[insn->op];
    const struct ir_attr_name *names = ir_attr_names(form->attr);
    unsigned fbits = form->attr == IR_ATTR_FP ? insn->attr >> IR_FP_FBITS_SHIFT : 0;
    switch (form->attr) {
    case IR_ATTR_LEN: fprintf(out, "%slen=%u", separator(sep), insn->attr); break;
    case IR_ATTR_RET:
        if (insn->attr)
            fprintf(out, "%sret=0x%x", separator(sep), insn->attr);
        break;
    case IR_ATTR_POLY:
        if (insn->attr & 1)
            fprintf(out, "%scastagnoli", separator(sep));
        break;
    }
    if (!names || (insn->attr == 0 && form->attr != IR_ATTR_MEM))
        return;
    const char *gap = "";
    fprintf(out, "%s{", separator(sep));
    if (form->attr == IR_ATTR_MEM) {
        fprintf(out, "%u", ir_mem_bytes(insn->attr));
        gap = " ";
    }
    for (; names->name; names++) {
        if ((insn->attr & names->mask) == names->value) {
            fprintf(out, "%s%s", gap, names->name);
            gap = " ";
        }
    }
    if (fbits)
        fprintf(out, "%sfbits%u", gap, fbits);
    fprintf(out, "}");
}

static void print_marks(const struct ir_insn *insn, const char **sep, FILE *out)
{
    const char *word = NULL;
    switch (ir_op_forms[insn->op].sub) {
    case IR_SUB_RESTART: word = insn->sub & 1 ? "restart" : NULL; break;
    case IR_SUB_BORROW: word = insn->sub & 1 ? "borrow" : NULL; break;
    case IR_SUB_WRITE: word = insn->sub & 1 ? "write" : NULL; break;
    case IR_SUB_LIKELY:
        word = insn->sub == IR_LIKELY_TAKEN ? "likely" : insn->sub == IR_LIKELY_NOT_TAKEN ? "unlikely" : NULL;
        break;
    case IR_SUB_HINT:
        word = insn->sub == IR_JUMP_CALL ? "call" : insn->sub == IR_JUMP_RETURN ? "return" : NULL;
        break;
    }
    if (word)
        fprintf(out, "%s%s", separator(sep), word);
}

static void print_insn(const struct ir_unit *unit, uint32_t id, FILE *out)
{
    const struct ir_insn *insn = &unit->insns[id];
    const char *sep = " ";
    fprintf(out, "  ");
    if (insn->type != IR_VOID)
        fprintf(out, "%%%u = ", id);
    fprintf(out, "%s", ir_ops[insn->op].name);
    print_suffixes(insn, out);
    print_subject(unit, insn, &sep, out);
    print_args(insn, &sep, out);
    print_numbers(insn, &sep, out);
    print_attr(insn, &sep, out);
    print_token(insn, &sep, out);
    print_marks(insn, &sep, out);
    fprintf(out, "\n");
}

void ir_print(const struct ir_unit *unit, FILE *out)
{
    for (uint32_t b = 0; b < unit->block_count; b++) {
        fprintf(out, "b%u:\n", b);
        for (uint32_t i = 0; i < unit->blocks[b].count; i++)
            print_insn(unit, unit->blocks[b].first + i, out);
    }
}
