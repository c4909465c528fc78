// SPDX-License-Identifier: MIT
// Operations computed out of line by ir_eval, through the stub: those without host code here, and exceptional operands
// and results of those that have it. The operation's description is a constant beside the region's code.
#include "backends/llvm/llvm.h"

#include <string.h>

static LLVMValueRef site_of(struct region *r, const struct ir_insn *insn)
{
    struct backend_eval_site site;
    memset(&site, 0, sizeof site);
    site.insn = *insn;
    for (unsigned k = 0; k < 4 && insn->arg[k] != IR_NO_VALUE; k++)
        site.types[k] = (uint8_t)region_arg_type(r, insn, k);
    for (unsigned k = 0; k < 4; k++) // ids mean nothing there; equal operations share a site
        if (insn->arg[k] != IR_NO_VALUE)
            site.insn.arg[k] = k;
    LLVMValueRef bytes = LLVMConstStringInContext(r->context, (const char *)&site, sizeof site, true);
    LLVMValueRef global = LLVMAddGlobal(r->module, LLVMTypeOf(bytes), "site");
    LLVMSetInitializer(global, bytes);
    LLVMSetGlobalConstant(global, true);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
    LLVMSetAlignment(global, 8);
    return global;
}

static LLVMValueRef arg_at(struct region *r, unsigned k)
{
    LLVMValueRef index = region_k(r, r->i64, k * sizeof(union ir_value));
    return LLVMBuildInBoundsGEP2(r->builder, r->i8, r->args, &index, 1, "");
}

LLVMValueRef region_eval(struct region *r, const struct ir_insn *insn)
{
    for (unsigned k = 0; k < 4 && insn->arg[k] != IR_NO_VALUE; k++) {
        enum ir_type type = region_arg_type(r, insn, k);
        LLVMValueRef at = arg_at(r, k), value;
        if (type == IR_FLAGS) {
            value = region_flags_pack(r, &r->flags[insn->arg[k]]);
            value = LLVMBuildAnd(r->builder, value, region_k(r, r->i32, IR_FLAG_NZCV), "");
        } else {
            value = region_bits(r, region_arg(r, insn, k));
        }
        if (type != IR_V128 && LLVMTypeOf(value) != r->i64)
            value = LLVMBuildZExt(r->builder, value, r->i64, "");
        region_store_value(r, type == IR_V128 ? IR_V128 : IR_I64, value, at, r->tbaa_scratch);
    }
    LLVMValueRef args[3] = { r->env, site_of(r, insn), r->args };
    region_call_stub(r, REGION_EVAL, args, 3);
    return region_load_value(r, (enum ir_type)insn->type, region_env_at(r, offsetof(struct ir_env, slow_value)), r->tbaa_scratch);
}

// Of the ops that come here those that the one-pass backend computes inline make a region slower than its units.
static bool rare_anyway(const struct ir_insn *insn)
{
    switch (insn->op) {
    case IR_OP_crc32:
    case IR_OP_fmulx:
    case IR_OP_frecpe:
    case IR_OP_frsqrte:
    case IR_OP_frecpx:
    case IR_OP_frecps:
    case IR_OP_frsqrts:
    case IR_OP_vshlv:
    case IR_OP_vpmul: return true;
    default: return insn->type == IR_F16;
    }
}

void region_lower_eval(struct region *r, const struct ir_insn *insn)
{
    if (!rare_anyway(insn))
        r->evaluated = insn;
    LLVMValueRef value = region_eval(r, insn);
    if (insn->type == IR_FLAGS)
        r->flags[r->pos] = (struct region_flags){ REGION_PACKED, value, NULL, NULL, NULL };
    else
        r->values[r->pos] = value;
}
