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

// The ops that come here, and when; tools/gen_calls_doc.py reads it. A region with one that the one-pass backend computes
// inline would be slower than its units, and is refused; `rare` ones are slow there as well, or seldom run.
static const struct evaluated_op {
    uint16_t op; // enum ir_op
    bool rare;
    const char *when;
} evaluated_ops[] = {
    { IR_OP_crc32, true, "the 0x04C11DB7 polynomial" },
    { IR_OP_fmulx, true, "as all FP arithmetic" },
    { IR_OP_fma, false, "without FMA" },
    { IR_OP_frint, false, "to odd" },
    { IR_OP_frecpe, true, "always: ARM's table" },
    { IR_OP_frsqrte, true, "always: ARM's table" },
    { IR_OP_frecpx, true, "always: rare" },
    { IR_OP_frecps, true, "without FMA" },
    { IR_OP_frsqrts, true, "without FMA" },
    { IR_OP_fcvt, false, "between f16 and f64; f16 without F16C" },
    { IR_OP_vfcvtl, false, "64-bit vectors; f16 lanes without F16C" },
    { IR_OP_vfcvtn, false, "64-bit vectors, to odd; f16 lanes without F16C" },
    { IR_OP_vshlv, true, "without AVX2: LLVM would leave FP exceptions" },
    { IR_OP_vpmull, false, "64-bit lanes without PCLMULQDQ" },
    { IR_OP_vaese, false, "without AES" },
    { IR_OP_vaesd, false, "without AES" },
    { IR_OP_vaesmc, false, "without AES" },
    { IR_OP_vaesimc, false, "without AES" },
    { IR_OP_vsha1r, false, "without SHA" },
    { IR_OP_vsha256r, false, "without SHA" },
    { IR_OP_vsha256s0, false, "without SHA" },
    { IR_OP_vsha256s1, false, "without SHA" },
};

static bool rare_anyway(const struct ir_insn *insn)
{
    for (unsigned i = 0; i < ARRAY_SIZE(evaluated_ops); i++)
        if (evaluated_ops[i].op == insn->op && evaluated_ops[i].rare)
            return true;
    return insn->type == IR_F16;
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
