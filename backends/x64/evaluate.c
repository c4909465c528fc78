// SPDX-License-Identifier: MIT
// Operations computed out of line by ir_eval: the few that are not worth host code, and the exceptional operands of
// those that have it. The operation's description lies behind the unit's cold code.
#include "backends/x64/compile.h"
#include "backends/x64/x64.h"

int x64_eval_helper(struct ir_env *env, const struct backend_eval_site *site, const union ir_value *args,
                    union ir_value *ret)
{
    enum ir_type types[4];
    union ir_value value = { .v = { .d = { 0, 0 } } }; // ret overlaps nothing, but ir_eval may read args late
    for (unsigned i = 0; i < 4; i++)
        types[i] = (enum ir_type)site->types[i];
    ir_eval(&site->insn, types, args, &value, &env->fp_flags);
    *ret = value;
    return 0;
}

void x64_call_eval(struct x64_compile *c, const struct ir_insn *insn)
{
    struct backend_eval_site site = { .insn = *insn };
    for (unsigned k = 0; k < 4 && insn->arg[k] != IR_NO_VALUE; k++) {
        site.types[k] = (uint8_t)x64_type(c, insn->arg[k]);
        x64_store_value(c, insn->arg[k], x64_frame_at(X64_FRAME_ARGS + 16 * (int32_t)k));
    }
    if (c->site_count == X64_MAX_SITES) {
        c->too_large = true;
        return;
    }
    c->sites[c->site_count] = site;
    x64_room(c->e);
    x64_u8(c->e, 0x48); // lea rax, [rip + site]
    x64_u8(c->e, 0x8d);
    x64_u8(c->e, 0x05);
    x64_rel32(c->e, X64_REF_SITE, c->site_count++, 0);
    x64_call(c->e, X64_REF_CODE, x64_thunk_at(c, X64_T_EVAL));
}

void x64_lower_eval(struct x64_compile *c, const struct ir_insn *insn)
{
    x64_call_eval(c, insn);
    if (insn->type == IR_VOID)
        return;
    if (x64_in_xmm(insn->type))
        x64_def_xmm(c, c->pos);
    else
        x64_def(c, c->pos);
    x64_load_value(c, c->pos, x64_frame_at(X64_FRAME_RET));
}

// ---- for the documentation ---------------------------------------------------------------------------------------

const struct x64_evaluated_op x64_evaluated_ops[] = {
    { IR_OP_clz, "i8, i16, i1" },
    { IR_OP_popcnt, "without POPCNT" },
    { IR_OP_crc32, "the 0x04C11DB7 polynomial without PCLMULQDQ" },
    { IR_OP_fmulx, "always: 0 * inf must raise nothing, and is rare" },
    { IR_OP_fma, "without FMA" },
    { IR_OP_fcmpm, "a quiet order or a signalling equality without AVX" },
    { IR_OP_frint, "to odd; ties away in vectors" },
    { IR_OP_frecpe, "always: ARM's table" },
    { IR_OP_frsqrte, "always: ARM's table" },
    { IR_OP_frecpx, "always: rare" },
    { IR_OP_frecps, "always: inf * 0 must raise nothing" },
    { IR_OP_frsqrts, "always: inf * 0 must raise nothing" },
    { IR_OP_f2i, "ties away with fraction bits" },
    { IR_OP_vf2i, "unsigned f64 lanes, fraction bits, ties away" },
    { IR_OP_vi2f, "f64 lanes with fraction bits" },
    { IR_OP_fcvt, "f16" },
    { IR_OP_vfcvtl, "f16 lanes" },
    { IR_OP_vfcvtn, "f16 lanes, to odd" },
    { IR_OP_vshlv, "8- and 16-bit lanes; without AVX2" },
    { IR_OP_vmin, "64-bit lanes" },
    { IR_OP_vmax, "64-bit lanes" },
    { IR_OP_vqadd, "64-bit lanes" },
    { IR_OP_vqsub, "64-bit lanes" },
    { IR_OP_vhadd, "signed, 32- and 64-bit lanes" },
    { IR_OP_vrhadd, "signed, 32- and 64-bit lanes" },
    { IR_OP_vhsub, "always" },
    { IR_OP_vabd, "64-bit lanes" },
    { IR_OP_vqxtn, "64-bit lanes" },
    { IR_OP_vqxtun, "64-bit lanes" },
    { IR_OP_vpmul, "always" },
    { IR_OP_vpmull, "byte lanes; without PCLMULQDQ" },
    { IR_OP_vaese, "without AES" },
    { IR_OP_vaesd, "without AES" },
    { IR_OP_vaesmc, "without AES" },
    { IR_OP_vaesimc, "without AES" },
    { IR_OP_vsha1r, "without SHA" },
    { IR_OP_vsha256r, "without SHA" },
    { IR_OP_vsha256s0, "without SHA" },
    { IR_OP_vsha256s1, "without SHA" },
};
const unsigned x64_evaluated_op_count = ARRAY_SIZE(x64_evaluated_ops);
