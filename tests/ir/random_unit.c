// SPDX-License-Identifier: MIT
// The random unit generator, driven by the op tables: kinds choose the operands, field forms choose sub, attr
// and imm. The control flow is decided first (edges forward, and back edges counted down in field w3); values
// are then drawn from the blocks that dominate. A guest instruction is some values and accesses, then its
// puts, as frontends do it.
#include "tests/ir/random_unit.h"

#include "base/bits.h"
#include "ir/ops.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_BLOCKS = 12, MAX_VALUES = 4096, COUNTER = TOY_FIELD_W0 + 3 };

struct maker {
    struct random_source *random;
    struct random_options options;
    struct ir_unit *unit;
    unsigned blocks, block;
    uint32_t next[MAX_BLOCKS][2];
    uint32_t dominators[MAX_BLOCKS];
    uint32_t values[MAX_VALUES]; // in order of definition
    uint8_t homes[MAX_VALUES];   // block of each
    unsigned value_count;
    uint32_t bases[64]; // addresses in bounds
    uint8_t base_homes[64];
    unsigned base_count;
    uint64_t pc;
    bool put_done; // in this instruction: no more ops that fault
    bool restart;
};

uint64_t random_run_seed(void)
{
    const char *text = getenv("ISOMER_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return text ? strtoull(text, NULL, 16) : (uint64_t)now.tv_sec * 1000003 ^ (uint64_t)now.tv_nsec;
}

void random_start(struct random_source *random, uint64_t seed)
{
    random->seed = random->state = seed;
}

uint64_t random_bits(struct random_source *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

unsigned random_below(struct random_source *random, unsigned below)
{
    return (unsigned)((random_bits(random) >> 32) * below >> 32);
}

static bool chance(struct random_source *random, unsigned percent)
{
    return random_below(random, 100) < percent;
}

static uint64_t edgy_float(struct random_source *random, unsigned width)
{
    const unsigned frac = width == 16 ? 10 : width == 32 ? 23 : 52, exp_bits = width - 1 - frac;
    const uint64_t bias = bits_mask(exp_bits - 1), sign = random_bits(random) & 1;
    uint64_t exp = bias + random_below(random, 9) - 4, mant = random_bits(random) & bits_mask(frac);
    switch (random_below(random, 8)) {
    case 0: exp = 0, mant = 0; break;
    case 1: exp = 0; break;
    case 2: exp = bits_mask(exp_bits), mant = 0; break;
    case 3: exp = bits_mask(exp_bits); break;
    case 4: mant = 0; break;
    case 5: exp = random_bits(random) & bits_mask(exp_bits); break;
    }
    return sign << (width - 1) | exp << frac | mant;
}

uint64_t random_edgy(struct random_source *random, enum ir_type type)
{
    if (ir_type_is_float(type))
        return edgy_float(random, ir_type_size(type) * 8);
    uint64_t mask = type == IR_I1 ? 1 : bits_mask(ir_type_size(type) * 8), v = random_bits(random);
    switch (random_below(random, 8)) {
    case 0: v = random_below(random, 4); break;
    case 1: v = 0 - (uint64_t)random_below(random, 4); break;
    case 2: v = 1ull << (v & 63); break;
    case 3: v = (1ull << (v & 63)) - 1; break;
    case 4: v = bits_get(v, 0, 8); break;
    }
    return v & mask;
}

static union v128 edgy_vector(struct random_source *random)
{
    union v128 v;
    switch (random_below(random, 4)) {
    case 0:
        for (unsigned i = 0; i < 4; i++)
            v.s[i] = (uint32_t)random_edgy(random, IR_F32);
        break;
    case 1:
        for (unsigned i = 0; i < 8; i++)
            v.h[i] = (uint16_t)random_edgy(random, chance(random, 50) ? IR_F16 : IR_I16);
        break;
    default:
        for (unsigned i = 0; i < 2; i++)
            v.d[i] = random_edgy(random, chance(random, 50) ? IR_F64 : IR_I64);
    }
    return v;
}

static uint32_t edgy_flags(struct random_source *random)
{
    uint64_t bits = random_bits(random);
    return (bits & 1 ? IR_FLAG_N : 0) | (bits & 2 ? IR_FLAG_Z : 0) | (bits & 4 ? IR_FLAG_C : 0) |
           (bits & 8 ? IR_FLAG_V : 0);
}

void random_toy(struct random_source *random, struct toy_state *toy)
{
    for (unsigned f = 0; f < TOY_FIELD_COUNT; f++) {
        const struct ir_field *field = &toy_guest.layout->fields[f];
        union v128 v = edgy_vector(random);
        if (field->type == IR_FLAGS)
            v.d[0] = edgy_flags(random);
        else if (field->type != IR_V128)
            v.d[0] = random_edgy(random, field->type);
        memcpy((char *)toy + field->offset, &v, ir_type_size(field->type));
    }
    toy->w[3] = random_below(random, 5);
    for (uint64_t i = 0; i < toy->memory_size; i++)
        toy->memory[i] = (uint8_t)random_bits(random);
}

// ---- values ----------------------------------------------------------------------------------------------

static void remember(struct maker *m, uint32_t id)
{
    if (m->value_count < MAX_VALUES && ir_type_of(m->unit, id) != IR_VOID) {
        m->values[m->value_count] = id;
        m->homes[m->value_count++] = (uint8_t)m->block;
    }
}

static bool visible(const struct maker *m, unsigned home)
{
    return m->dominators[m->block] >> home & 1;
}

static uint32_t fresh(struct maker *m, enum ir_type type)
{
    uint32_t id;
    unsigned first = random_below(m->random, TOY_FIELD_COUNT);
    bool constant = type != IR_FLAGS && chance(m->random, 35);
    if (constant && type == IR_V128)
        id = ir_vconst(m->unit, edgy_vector(m->random));
    else if (constant)
        id = ir_const(m->unit, type, random_edgy(m->random, type));
    else {
        while (toy_guest.layout->fields[first].type != type)
            first = (first + 1) % TOY_FIELD_COUNT;
        id = ir_get(m->unit, first);
    }
    remember(m, id);
    return id;
}

// A value of the type that is defined here: an old one, most of the time.
static uint32_t value(struct maker *m, enum ir_type type)
{
    for (unsigned tries = 0; m->value_count && tries < 12; tries++) {
        unsigned back = random_below(m->random, m->value_count < 24 ? m->value_count : 24);
        unsigned at =
            chance(m->random, 80) ? m->value_count - 1 - back : random_below(m->random, m->value_count);
        if (visible(m, m->homes[at]) && ir_type_of(m->unit, m->values[at]) == type)
            return m->values[at];
    }
    return fresh(m, type);
}

static enum ir_type type_among(struct maker *m, uint32_t types)
{
    if (!(m->options.classes & RANDOM_FP16) && types & ~(1u << IR_F16))
        types &= ~(1u << IR_F16);
    if (types >> IR_I64 & 1 && chance(m->random, 40))
        return IR_I64;
    enum ir_type type;
    do
        type = random_below(m->random, IR_TYPE_COUNT);
    while (!(types >> type & 1));
    return type;
}

enum {
    ALL_INTS = 1 << IR_I1 | 1 << IR_I8 | 1 << IR_I16 | 1 << IR_I32 | 1 << IR_I64,
    ALL_FLOATS = 1 << IR_F16 | 1 << IR_F32 | 1 << IR_F64,
};

static uint32_t types_of_kind(const struct maker *m, enum ir_kind kind)
{
    uint32_t any = ALL_INTS;
    any |= m->options.classes & RANDOM_FP ? ALL_FLOATS : 0;
    any |= m->options.classes & RANDOM_VEC ? 1 << IR_V128 : 0;
    any |= m->options.classes & RANDOM_FLAGS ? 1 << IR_FLAGS : 0;
    switch (kind) {
    case IR_K_T:
    case IR_K_ANY: return any;
    case IR_K_I: return ALL_INTS;
    case IR_K_F: return ALL_FLOATS | (m->options.classes & RANDOM_VEC ? 1 << IR_V128 : 0);
    case IR_K_VEC: return 1 << IR_V128;
    case IR_K_FL: return 1 << IR_FLAGS;
    case IR_K_B: return 1 << IR_I1;
    case IR_K_W: return 1 << IR_I32;
    case IR_K_D: return 1 << IR_I64;
    default: return 0;
    }
}

// ---- computing ops ---------------------------------------------------------------------------------------

// The type of arg 0 where neither the own type nor the kind alone decides it; 0 leaves it to the kind.
static uint32_t first_types(const struct ir_insn *insn)
{
    const uint32_t below = (1u << insn->type) - 1, words = 1u << IR_I32 | 1u << IR_I64;
    switch (insn->op) {
    case IR_OP_zext:
    case IR_OP_sext: return ALL_INTS & below;
    case IR_OP_trunc: return ALL_INTS & ~(below | 1u << insn->type);
    case IR_OP_bitcast:
        switch (insn->type) {
        case IR_I16: return 1u << IR_F16;
        case IR_I32: return 1u << IR_F32;
        case IR_I64: return 1u << IR_F64;
        case IR_F16: return 1u << IR_I16;
        case IR_F32: return 1u << IR_I32;
        default: return 1u << IR_I64;
        }
    case IR_OP_fcvt: return ALL_FLOATS & ~(1u << insn->type);
    case IR_OP_fcmp:
    case IR_OP_f2i: return ALL_FLOATS;
    case IR_OP_i2f: return words;
    case IR_OP_icmp: return ALL_INTS;
    case IR_OP_vdup: return (ALL_INTS | ALL_FLOATS) & ~(1u << IR_I1);
    case IR_OP_vzext: return (ALL_INTS | ALL_FLOATS) & ~(1u << IR_I1);
    default: return 0;
    }
}

static void choose_sub(struct maker *m, struct ir_insn *insn, enum ir_type first)
{
    static const uint8_t limits[] = {
        [IR_SUB_CMP] = IR_CMP_COUNT, [IR_SUB_COND] = IR_COND_COUNT, [IR_SUB_BORROW] = 2};
    const struct ir_op_form *form = &ir_op_forms[insn->op];
    unsigned bits = ir_type_size(insn->type) * 8;
    if (form->sub == IR_SUB_LANE || (form->sub == IR_SUB_LANEF && insn->type == IR_V128)) {
        do
            insn->sub =
                (uint8_t)(form->lane_min + random_below(m->random, form->lane_max - form->lane_min + 1u));
        while ((insn->op == IR_OP_vpmull && insn->sub % 3) || (form->attr == IR_ATTR_FP && insn->sub == 1 &&
                !(m->options.classes & RANDOM_FP16) && form->lane_max > 1) ||
               (insn->op == IR_OP_vget && 1u << insn->sub > ir_type_size(insn->type)) ||
               (insn->op == IR_OP_vdup && 1u << insn->sub > ir_type_size(first)));
    } else if (form->sub == IR_SUB_POS) {
        insn->sub = (uint8_t)random_below(m->random, bits);
        insn->imm = 1 + random_below(m->random, bits - insn->sub);
    } else if (form->sub == IR_SUB_CMP || form->sub == IR_SUB_COND || form->sub == IR_SUB_BORROW) {
        insn->sub = (uint8_t)random_below(m->random, limits[form->sub]);
    }
}

static void choose_attr(struct maker *m, struct ir_insn *insn)
{
    struct random_source *r = m->random;
    switch (ir_op_forms[insn->op].attr) {
    case IR_ATTR_POLY: insn->attr = random_below(r, 2); break;
    case IR_ATTR_GET: insn->attr = chance(r, 50) ? IR_MEM_SIGNED : 0; break;
    case IR_ATTR_V: insn->attr = (chance(r, 50) ? IR_V_SIGNED : 0) | (chance(r, 30) ? IR_V_LO64 : 0); break;
    case IR_ATTR_FP:
        insn->attr =
            m->options.fp_mode & (IR_FP_ROUND | IR_FP_DN | IR_FP_FTZ | IR_FP_FTZ16 | IR_FP_AHP | IR_FP_X86);
        if (insn->op == IR_OP_frint || insn->op == IR_OP_f2i || insn->op == IR_OP_vf2i)
            insn->attr = (insn->attr & ~(uint32_t)IR_FP_ROUND) | random_below(r, IR_RNA + 1);
        if (insn->op == IR_OP_frint && chance(r, 50))
            insn->attr |= IR_FP_EXACT;
        if (insn->op == IR_OP_fma)
            insn->attr |= random_below(r, 4) * IR_FP_NEG_PRODUCT;
        if ((insn->op == IR_OP_fcmp || insn->op == IR_OP_fcmpm) && chance(r, 50))
            insn->attr |= IR_FP_SIGNALLING;
        if (insn->op == IR_OP_f2i || insn->op == IR_OP_i2f || insn->op == IR_OP_vf2i ||
            insn->op == IR_OP_vi2f) {
            insn->attr |= chance(r, 50) ? IR_FP_SIGNED : 0;
            insn->attr |= chance(r, 20) ? (1 + random_below(r, 16)) << IR_FP_FBITS_SHIFT : 0;
        }
        if (insn->type == IR_V128 && chance(r, 30))
            insn->attr |= IR_V_LO64;
        break;
    }
    if ((insn->op == IR_OP_vzip || insn->op == IR_OP_vuzp || insn->op == IR_OP_vtrn) && insn->sub == 3)
        insn->attr &= ~(uint32_t)IR_V_LO64;
}

static void choose_imm(struct maker *m, struct ir_insn *insn)
{
    struct random_source *r = m->random;
    switch (ir_op_forms[insn->op].imm) {
    case IR_IMM_CMP: insn->imm = random_below(r, IR_CMP_COUNT); return;
    case IR_IMM_FCMP: insn->imm = random_below(r, IR_FCMP_COUNT); return;
    case IR_IMM_NUM: break;
    default: return;
    }
    switch (insn->op) {
    case IR_OP_extr: insn->imm = random_below(r, ir_type_size(insn->type) * 8); break;
    case IR_OP_vshl: insn->imm = random_below(r, 8u << insn->sub); break;
    case IR_OP_vshr: insn->imm = random_below(r, (8u << insn->sub) + 1); break;
    case IR_OP_vrev: insn->imm = insn->sub + 1 + random_below(r, 3u - insn->sub); break;
    case IR_OP_vext: insn->imm = random_below(r, insn->attr & IR_V_LO64 ? 8 : 16); break;
    case IR_OP_vzip:
    case IR_OP_vuzp:
    case IR_OP_vtrn: insn->imm = random_below(r, 2); break;
    case IR_OP_vgetf: insn->imm = 0; break;
    default: insn->imm = random_below(r, 16u >> insn->sub); break;
    }
}

static uint32_t class_of(enum ir_op op)
{
    if (op >= IR_OP_vaese || op == IR_OP_vpmul || op == IR_OP_vpmull)
        return RANDOM_AES | RANDOM_VEC;
    if (op >= IR_OP_vadd)
        return RANDOM_VEC | (op == IR_OP_vgetf ? RANDOM_FP : 0);
    if (op >= IR_OP_fadd)
        return RANDOM_FP | (op >= IR_OP_vf2i && op <= IR_OP_vfcvtn ? RANDOM_VEC : 0) |
               (op == IR_OP_fcmp ? RANDOM_FLAGS : 0);
    if (op >= IR_OP_flags_add && op <= IR_OP_cond)
        return RANDOM_FLAGS;
    return op == IR_OP_crc32 ? RANDOM_CRC : op == IR_OP_bitcast ? RANDOM_FP : RANDOM_INT;
}

static bool wanted(const struct maker *m, enum ir_op op)
{
    uint32_t class = class_of(op);
    bool computes =
        ir_ops[op].flags & (IR_PURE | IR_FPX) && op != IR_OP_const && op != IR_OP_vconst && op != IR_OP_pc;
    return computes && (class & m->options.classes) == class && !m->options.skip[op];
}

static void compute(struct maker *m)
{
    struct ir_insn insn = {.arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}};
    do
        insn.op = (uint16_t)random_below(m->random, IR_OP_COUNT);
    while (!wanted(m, insn.op));
    const struct ir_op_info *info = &ir_ops[insn.op];
    uint32_t limit = ir_op_forms[insn.op].types, own = types_of_kind(m, info->result);
    own &= ir_op_prints_type(insn.op) && limit ? limit : ~0u;
    own &= insn.op == IR_OP_zext || insn.op == IR_OP_sext ? ~(1u << IR_I1) : ~0u;
    own &= insn.op == IR_OP_trunc ? ~(1u << IR_I64) : ~0u;
    if (!own)
        return;
    insn.type = (uint8_t)type_among(m, own);
    enum ir_type first = insn.type;
    if (info->args[0] != IR_K_S) {
        uint32_t types = first_types(&insn);
        types = types
                    ? types
                    : types_of_kind(m, info->args[0]) & (!ir_op_prints_type(insn.op) && limit ? limit : ~0u);
        if (!(m->options.classes & RANDOM_FP))
            types &= ~(uint32_t)ALL_FLOATS;
        if (!types)
            return;
        first = type_among(m, types);
    }
    choose_sub(m, &insn, first);
    choose_attr(m, &insn);
    choose_imm(m, &insn);
    for (unsigned i = 0; i < 4; i++) {
        enum ir_kind kind = info->args[i];
        if (kind == IR_K__)
            continue;
        enum ir_type type = i == 0 || kind == IR_K_S0 ? first : kind == IR_K_S ? insn.type : IR_I64;
        if (kind == IR_K_B)
            type = IR_I1;
        if (kind == IR_K_ANY && i)
            type = m->options.classes & RANDOM_FP && insn.sub == 3 && chance(m->random, 40) ? IR_F64 : IR_I64;
        insn.arg[i] = value(m, type);
    }
    remember(m, ir_emit(m->unit, insn));
}

// ---- memory, helpers -------------------------------------------------------------------------------------

static uint32_t address(struct maker *m)
{
    uint64_t size = m->options.memory_size;
    unsigned at = m->base_count ? random_below(m->random, m->base_count) : 0;
    uint32_t base;
    if (m->base_count && visible(m, m->base_homes[at]) && chance(m->random, 70)) {
        base = m->bases[at];
    } else {
        uint64_t mask = m->options.calm || !chance(m->random, 5) ? size / 2 - 8 : 2 * size - 1;
        uint32_t from = value(m, IR_I64);
        base = ir_op2(m->unit, IR_OP_and, IR_I64, from, ir_const(m->unit, IR_I64, mask));
        if (m->base_count < ARRAY_SIZE(m->bases)) {
            m->bases[m->base_count] = base;
            m->base_homes[m->base_count++] = (uint8_t)m->block;
        }
    }
    if (chance(m->random, 30))
        return base;
    uint32_t offset =
        ir_const(m->unit, IR_I64, random_below(m->random, 12) * (chance(m->random, 85) ? 8 : 1));
    return ir_op2(m->unit, IR_OP_add, IR_I64, base, offset);
}

static uint32_t memory_attr(struct maker *m, enum ir_type type, bool exact)
{
    unsigned size = (unsigned)__builtin_ctz(ir_type_size(type));
    uint32_t attr = exact || !ir_type_is_int(type) ? size : random_below(m->random, size + 1);
    if (ir_type_is_int(type) && chance(m->random, 40) && ir_mem_bytes(attr) < ir_type_size(type))
        attr |= IR_MEM_SIGNED;
    if (m->options.big_endian && chance(m->random, 10))
        attr |= IR_MEM_BE;
    if (!m->options.calm && chance(m->random, 3))
        attr |= (attr & IR_MEM_SIZE) << IR_MEM_ALIGN_SHIFT;
    return attr;
}

static enum ir_type memory_type(struct maker *m, bool integer)
{
    uint32_t types = ALL_INTS & ~(1u << IR_I1);
    if (!integer && m->options.classes & RANDOM_FP)
        types |= ALL_FLOATS;
    if (!integer && m->options.classes & RANDOM_VEC)
        types |= 1u << IR_V128;
    return type_among(m, types);
}

static void load_or_store(struct maker *m)
{
    enum ir_type type = memory_type(m, false);
    uint32_t attr = memory_attr(m, type, false), addr = address(m);
    if (m->options.classes & RANDOM_ATOMIC && chance(m->random, 10))
        attr |= IR_MEM_ATOMIC;
    if (chance(m->random, 60)) {
        remember(m, ir_load(m->unit, type, attr | (attr & IR_MEM_ATOMIC ? IR_MEM_ACQUIRE : 0), addr));
    } else {
        attr &= ~(uint32_t)IR_MEM_SIGNED;
        ir_store(m->unit, attr | (attr & IR_MEM_ATOMIC ? IR_MEM_RELEASE : 0), addr, value(m, type));
    }
}

static void atomic(struct maker *m)
{
    unsigned pick = random_below(m->random, 5);
    struct ir_insn insn = {.arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}};
    if (pick == 0) {
        insn.op = IR_OP_fence;
        insn.sub = (uint8_t)random_below(m->random, IR_FENCE_COUNT);
        ir_emit(m->unit, insn);
        return;
    }
    insn.type = (uint8_t)memory_type(m, true);
    insn.op = pick < 3 ? IR_OP_cas : IR_OP_rmw;
    if (insn.op == IR_OP_cas && m->options.classes & RANDOM_VEC && chance(m->random, 20))
        insn.type = IR_V128;
    insn.attr = memory_attr(m, insn.type, true) | IR_MEM_ATOMIC | IR_MEM_ACQUIRE | IR_MEM_RELEASE;
    insn.sub = insn.op == IR_OP_rmw ? (uint8_t)random_below(m->random, IR_RMW_COUNT) : 0;
    insn.arg[0] = address(m);
    insn.arg[1] = value(m, insn.type);
    if (insn.op == IR_OP_cas)
        insn.arg[2] = value(m, insn.type);
    if (!m->options.skip[insn.op])
        remember(m, ir_emit(m->unit, insn));
}

static void call(struct maker *m)
{
    uint32_t helper = random_below(m->random, TOY_HELPER_COUNT), a = IR_NO_VALUE, b = IR_NO_VALUE;
    if (helper == TOY_HELPER_TRAP && (m->options.calm || m->put_done))
        return;
    if (toy_guest.helpers[helper].args[0] != IR_VOID)
        a = value(m, IR_I64);
    if (toy_guest.helpers[helper].args[1] != IR_VOID)
        b = value(m, IR_I64);
    if (helper == TOY_HELPER_TRAP && chance(m->random, 80))
        a = ir_op2(m->unit, IR_OP_and, IR_I64, a, ir_const(m->unit, IR_I64, ~1ull));
    remember(m, ir_call(m->unit, helper, a, b, IR_NO_VALUE, IR_NO_VALUE));
}

// ---- instructions and blocks -----------------------------------------------------------------------------

static void marker(struct maker *m)
{
    struct ir_insn insn = {.op = IR_OP_insn, .attr = 4, .imm = m->pc,
                           .arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}};
    m->restart = !m->options.calm && chance(m->random, 4);
    insn.sub = m->restart;
    ir_emit(m->unit, insn);
    m->pc += 4;
    m->put_done = false;
}

static void put(struct maker *m)
{
    uint32_t id;
    unsigned field = random_below(m->random, TOY_FIELD_COUNT);
    enum ir_type type = toy_guest.layout->fields[field].type;
    bool vector = type == IR_V128, flags = type == IR_FLAGS, real = ir_type_is_float(type);
    uint32_t classes = m->options.classes;
    if (field == COUNTER || (vector && !(classes & RANDOM_VEC)) || (flags && !(classes & RANDOM_FLAGS)) ||
        (real && !(classes & RANDOM_FP)) || (type == IR_F16 && !(classes & RANDOM_FP16)))
        field = random_below(m->random, 8);
    id = value(m, toy_guest.layout->fields[field].type);
    ir_put(m->unit, field, id);
    m->put_done = !m->restart;
}

static void guest_insn(struct maker *m)
{
    uint32_t classes = m->options.classes;
    marker(m);
    for (unsigned n = 1 + random_below(m->random, 4); n--;) {
        unsigned pick = random_below(m->random, 100);
        if (m->restart && pick > 70)
            put(m);
        if (pick < 25 && classes & RANDOM_MEM)
            load_or_store(m);
        else if (pick < 30 && classes & RANDOM_ATOMIC)
            atomic(m);
        else if (pick < 34 && classes & RANDOM_CALL)
            call(m);
        else
            compute(m);
    }
    for (unsigned n = 1 + random_below(m->random, 3); n--;)
        put(m);
}

static void exit_unit(struct maker *m)
{
    struct ir_insn insn = {
        .op = IR_OP_exit_pc, .imm = m->pc, .arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}};
    unsigned pick = random_below(m->random, 4);
    if (pick < 2 && !m->options.calm) {
        insn.op = pick ? IR_OP_exit_ind : IR_OP_exit_stop;
        insn.arg[0] = value(m, IR_I64);
        insn.sub = pick ? 0 : IR_EXIT_HALT;
        insn.imm = 0;
    }
    ir_emit(m->unit, insn);
}

static void end_block(struct maker *m)
{
    const uint32_t *next = m->next[m->block];
    if (next[0] == IR_NO_VALUE) {
        exit_unit(m);
    } else if (next[1] == IR_NO_VALUE) {
        ir_br(m->unit, next[0]);
    } else if (next[1] <= m->block) { // counted back edge; the counter bounds all loops together
        uint32_t left =
            ir_op2(m->unit, IR_OP_sub, IR_I32, ir_get(m->unit, COUNTER), ir_const(m->unit, IR_I32, 1));
        ir_put(m->unit, COUNTER, left);
        if (!m->options.calm)
            ir_emit(m->unit, (struct ir_insn){.op = IR_OP_poll, .imm = m->pc, .arg = {-1u, -1u, -1u, -1u}});
        ir_brif(m->unit, ir_icmp(m->unit, IR_CSGT, left, ir_const(m->unit, IR_I32, 0)), next[1], next[0]);
    } else {
        ir_brif(m->unit, value(m, IR_I1), next[0], next[1]);
    }
}

// Edges: every block but the last reaches the next one; others go forward or, counted, back.
static void shape(struct maker *m)
{
    m->blocks = m->options.classes & RANDOM_BRANCH ? 1 + random_below(m->random, MAX_BLOCKS) : 1;
    for (unsigned b = 0; b < m->blocks; b++) {
        uint32_t *next = m->next[b];
        next[0] = next[1] = IR_NO_VALUE;
        if (b == m->blocks - 1)
            continue;
        next[0] = b + 1;
        unsigned pick = random_below(m->random, 4);
        if (pick < 2)
            next[1] = b + 1 + random_below(m->random, m->blocks - b - 1);
        else if (pick == 2 && b)
            next[1] = 1 + random_below(m->random, b);
        m->dominators[b] = ~0u;
    }
    m->dominators[m->blocks - 1] = ~0u;
    m->dominators[0] = 1;
    for (bool changed = true; changed;) {
        changed = false;
        for (unsigned b = 0; b < m->blocks; b++) {
            for (unsigned i = 0; i < 2; i++) {
                uint32_t to = m->next[b][i];
                if (to == IR_NO_VALUE || to == 0)
                    continue;
                uint32_t now = m->dominators[to] & (m->dominators[b] | 1u << to);
                changed |= now != m->dominators[to];
                m->dominators[to] = now;
            }
        }
    }
}

void random_unit(struct random_source *random, const struct random_options *options, struct ir_unit *ret_unit)
{
    struct maker *m = calloc(1, sizeof *m);
    cr_assert(m);
    m->random = random;
    m->options = *options;
    m->unit = ret_unit;
    m->options.memory_size = options->memory_size ? options->memory_size : 4096;
    m->options.insns = options->insns ? options->insns : 12;
    ir_unit_reset(ret_unit, &toy_guest);
    ret_unit->fp_mode = options->fp_mode;
    shape(m);
    for (unsigned b = 0; b < m->blocks; b++)
        ir_new_block(ret_unit);
    for (m->block = 0; m->block < m->blocks; m->block++) {
        ir_start_block(ret_unit, m->block);
        unsigned per_block = m->options.insns / m->blocks;
        for (unsigned n = 1 + random_below(random, per_block ? 2 * per_block : 1); n--;)
            guest_insn(m);
        end_block(m);
    }
    ret_unit->guest_insns = (uint32_t)(m->pc / 4);
    ret_unit->guest_bytes = (uint32_t)m->pc;
    free(m);
}
