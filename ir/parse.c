// SPDX-License-Identifier: MIT
// The parser of the text form (see print.c): what ir_print writes, and what a person writes in a test. Blank
// lines and comments from ; to the end of a line are skipped; value names may be any numbers, blocks must be
// b0, b1, ... in order of number but in any order of place. The result is not verified.
//
// Two passes over the text: the first gives value names their instruction index, the second builds.
#include "base/error.h"
#include "ir/ops.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = IR_MAX_INSNS, WORD = 48 };

struct parser {
    const struct ir_guest *guest;
    struct ir_unit *unit;
    struct error *err;
    const char *at, *end; // of the line
    unsigned line;
    uint32_t *ids; // by value name: id + 1, or 0
};

static int __attribute__((format(printf, 2, 3))) bad(struct parser *p, const char *format, ...)
{
    char text[200];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return error_set(p->err, -EINVAL, "line %u: %s", p->line, text);
}

static void skip_space(struct parser *p)
{
    while (p->at < p->end && isspace((unsigned char)*p->at))
        p->at++;
}

static bool eat(struct parser *p, const char *text)
{
    size_t n = strlen(text);
    skip_space(p);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, text, n))
        return false;
    p->at += n;
    return true;
}

// A run of letters, digits and underscores; empty if there is none.
static void word(struct parser *p, char ret[WORD])
{
    size_t n = 0;
    skip_space(p);
    while (p->at < p->end && (isalnum((unsigned char)*p->at) || *p->at == '_') && n < WORD - 1)
        ret[n++] = *p->at++;
    ret[n] = 0;
}

static bool number(struct parser *p, uint64_t *ret)
{
    skip_space(p);
    bool minus = eat(p, "-");
    if (p->at == p->end || !isdigit((unsigned char)*p->at))
        return false;
    char *stop;
    uint64_t v = strtoull(p->at, &stop, 0);
    p->at = stop;
    *ret = minus ? 0 - v : v;
    return true;
}

// Index of name in a table of count names, or -1.
static int find(const char *name, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (names[i] && strcmp(name, names[i]) == 0)
            return (int)i;
    return -1;
}

static int find_op(const char *name)
{
    for (int i = 0; i < IR_OP_COUNT; i++)
        if (strcmp(name, ir_ops[i].name) == 0)
            return i;
    return -1;
}

static int find_type(const char *name)
{
    for (int i = IR_I1; i < IR_TYPE_COUNT; i++)
        if (strcmp(name, ir_type_name((enum ir_type)i)) == 0)
            return i;
    return -1;
}

// Sets *ret to the table's index of the word after a dot.
static int dotted(struct parser *p, const char *const *names, unsigned count, int *ret)
{
    char name[WORD];
    if (!eat(p, "."))
        return bad(p, "a suffix is missing");
    word(p, name);
    *ret = find(name, names, count);
    return *ret < 0 ? bad(p, "unknown suffix .%s", name) : 0;
}

static int parse_lane(struct parser *p, struct ir_insn *insn)
{
    char name[WORD];
    if (!eat(p, ".x"))
        return bad(p, "lane size (.x8 .x16 .x32 .x64) is missing");
    word(p, name);
    int bits = atoi(name);
    insn->sub = bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3;
    return bits == 8 << insn->sub ? 0 : bad(p, "unknown lane size %s", name);
}

static int parse_suffixes(struct parser *p, struct ir_insn *insn)
{
    static const uint8_t fixed[] = {[IR_K_VEC] = IR_V128, [IR_K_FL] = IR_FLAGS, [IR_K_B] = IR_I1,
                                    [IR_K_W] = IR_I32,    [IR_K_D] = IR_I64,    [IR_K_ANY] = IR_VOID};
    const struct ir_op_form *form = &ir_op_forms[insn->op];
    char name[WORD];
    int r = 0, n = 0;
    insn->type = fixed[ir_ops[insn->op].result];
    if (ir_op_prints_type(insn->op) && eat(p, ".")) {
        word(p, name);
        int type = find_type(name);
        if (type < 0)
            return bad(p, "unknown type %s", name);
        insn->type = (uint8_t)type;
    }
    if (form->sub == IR_SUB_LANE || (form->sub == IR_SUB_LANEF && insn->type == IR_V128))
        r = parse_lane(p, insn);
    switch (form->sub) {
    case IR_SUB_CMP: r = dotted(p, ir_cmp_names, IR_CMP_COUNT, &n), insn->sub = (uint8_t)n; break;
    case IR_SUB_COND: r = dotted(p, ir_cond_names, IR_COND_COUNT, &n), insn->sub = (uint8_t)n; break;
    case IR_SUB_RMW: r = dotted(p, ir_rmw_names, IR_RMW_COUNT, &n), insn->sub = (uint8_t)n; break;
    case IR_SUB_FENCE: r = dotted(p, ir_fence_names, IR_FENCE_COUNT, &n), insn->sub = (uint8_t)n; break;
    case IR_SUB_EXIT: r = dotted(p, ir_exit_names, IR_EXIT_COUNT, &n), insn->sub = (uint8_t)n; break;
    }
    if (!r && form->imm == IR_IMM_CMP)
        r = dotted(p, ir_cmp_names, IR_CMP_COUNT, &n), insn->imm = (uint64_t)n;
    if (!r && form->imm == IR_IMM_FCMP)
        r = dotted(p, ir_fcmp_names, IR_FCMP_COUNT, &n), insn->imm = (uint64_t)n;
    return r;
}

static int parse_pool(struct parser *p, struct ir_insn *insn)
{
    union v128 v = {.d = {0, 0}};
    if (!eat(p, "0x"))
        return bad(p, "128-bit hexadecimal constant expected");
    for (; p->at < p->end && isxdigit((unsigned char)*p->at); p->at++) {
        int c = tolower((unsigned char)*p->at);
        v.d[1] = v.d[1] << 4 | v.d[0] >> 60;
        v.d[0] = v.d[0] << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    uint32_t last = ir_vconst(p->unit, v);
    if (p->unit->failed)
        return bad(p, "too many constants");
    insn->imm = p->unit->insns[last].imm;
    p->unit->insn_count--; // the instruction itself is emitted by the caller
    p->unit->blocks[p->unit->current].count--;
    return 0;
}

// An operand that is a word naming something of the guest.
static int parse_name(struct parser *p, struct ir_insn *insn)
{
    const struct ir_state_layout *layout = p->guest->layout;
    char name[WORD];
    word(p, name);
    if (ir_op_forms[insn->op].imm == IR_IMM_FIELD) {
        for (insn->imm = 0; insn->imm < layout->count; insn->imm++)
            if (strcmp(layout->fields[insn->imm].name, name) == 0)
                return 0;
        return bad(p, "no field %s", name);
    }
    for (insn->imm = 0; insn->imm < p->guest->helper_count; insn->imm++)
        if (strcmp(p->guest->helpers[insn->imm].name, name) == 0)
            return 0;
    return bad(p, "no helper %s", name);
}

static int parse_value(struct parser *p, uint32_t *ret)
{
    uint64_t name;
    if (!number(p, &name) || name >= MAX_NAME || !p->ids[name])
        return bad(p, "no such value");
    *ret = p->ids[name] - 1;
    return 0;
}

static int parse_attr(struct parser *p, struct ir_insn *insn)
{
    const struct ir_attr_name *names = ir_attr_names(ir_op_forms[insn->op].attr);
    char name[WORD];
    if (!names)
        return bad(p, "the op has no attributes");
    while (!eat(p, "}")) {
        word(p, name);
        int bytes = atoi(name);
        const struct ir_attr_name *n = names;
        while (n->name && strcmp(n->name, name))
            n++;
        if (n->name)
            insn->attr = (insn->attr & ~n->mask) | n->value;
        else if (ir_op_forms[insn->op].attr == IR_ATTR_MEM && bytes > 0 && bytes <= 16 &&
                 !(bytes & (bytes - 1)))
            insn->attr |= (uint32_t)__builtin_ctz((unsigned)bytes);
        else if (ir_op_forms[insn->op].attr == IR_ATTR_FP && strncmp(name, "fbits", 5) == 0)
            insn->attr |= (uint32_t)(atoi(name + 5) & 127) << IR_FP_FBITS_SHIFT;
        else
            return bad(p, "unknown attribute %s", name);
    }
    return 0;
}

static int parse_span(struct parser *p, struct ir_insn *insn)
{
    uint64_t lo, hi;
    if (!number(p, &lo) || !eat(p, ",") || !number(p, &hi) || !eat(p, ")"))
        return bad(p, "[lo, hi) expected");
    insn->imm = (uint32_t)lo | hi << 32;
    return 0;
}

// "b3" or "b3, b4".
static int parse_blocks(struct parser *p, struct ir_insn *insn)
{
    uint64_t first, second;
    if (!number(p, &first))
        return bad(p, "block number expected");
    insn->imm = (uint32_t)first;
    if (ir_op_forms[insn->op].imm != IR_IMM_BLOCKS)
        return 0;
    if (!eat(p, ",") || !eat(p, "b") || !number(p, &second))
        return bad(p, "second block expected");
    insn->imm |= second << 32;
    return 0;
}

// key=number and single words.
static int parse_mark(struct parser *p, struct ir_insn *insn)
{
    const struct ir_op_form *form = &ir_op_forms[insn->op];
    char name[WORD];
    uint64_t n = 0;
    word(p, name);
    if (eat(p, "=") && !number(p, &n))
        return bad(p, "number expected after %s=", name);
    if (strcmp(name, "pos") == 0 && form->sub == IR_SUB_POS)
        insn->sub = (uint8_t)n;
    else if (strcmp(name, "len") == 0 && form->imm == IR_IMM_LEN)
        insn->imm = n;
    else if (strcmp(name, "len") == 0 && form->attr == IR_ATTR_LEN)
        insn->attr = (uint32_t)n;
    else if (strcmp(name, "ret") == 0 && form->attr == IR_ATTR_RET)
        insn->attr = (uint32_t)n;
    else if (strcmp(name, "castagnoli") == 0 && form->attr == IR_ATTR_POLY)
        insn->attr = 1;
    else if ((strcmp(name, "restart") == 0 && form->sub == IR_SUB_RESTART) ||
             (strcmp(name, "borrow") == 0 && form->sub == IR_SUB_BORROW) ||
             (strcmp(name, "write") == 0 && form->sub == IR_SUB_WRITE))
        insn->sub = 1;
    else if (form->sub == IR_SUB_LIKELY && strcmp(name, "likely") == 0)
        insn->sub = IR_LIKELY_TAKEN;
    else if (form->sub == IR_SUB_LIKELY && strcmp(name, "unlikely") == 0)
        insn->sub = IR_LIKELY_NOT_TAKEN;
    else if (form->sub == IR_SUB_HINT && strcmp(name, "call") == 0)
        insn->sub = IR_JUMP_CALL;
    else if (form->sub == IR_SUB_HINT && strcmp(name, "return") == 0)
        insn->sub = IR_JUMP_RETURN;
    else
        return bad(p, "%s means nothing here", name[0] ? name : "this");
    return 0;
}

static int parse_operand(struct parser *p, struct ir_insn *insn, unsigned *args, bool first)
{
    enum ir_imm_form form = ir_op_forms[insn->op].imm;
    if (eat(p, "span=%"))
        return parse_value(p, &insn->arg[insn->op == IR_OP_st ? 2 : 1]);
    if (eat(p, "%"))
        return *args < 4 ? parse_value(p, &insn->arg[(*args)++]) : bad(p, "too many arguments");
    if (eat(p, "{"))
        return parse_attr(p, insn);
    if (eat(p, "["))
        return parse_span(p, insn);
    if (eat(p, "#"))
        return number(p, &insn->imm) ? 0 : bad(p, "number expected");
    if ((form == IR_IMM_BLOCK || form == IR_IMM_BLOCKS) && p->at + 1 < p->end && *p->at == 'b' &&
        isdigit((unsigned char)p->at[1]))
        return p->at++, parse_blocks(p, insn);
    if (first && form == IR_IMM_POOL)
        return parse_pool(p, insn);
    if (first && (form == IR_IMM_FIELD || form == IR_IMM_HELPER))
        return parse_name(p, insn);
    if (first && (form == IR_IMM_BITS || form == IR_IMM_OFF))
        return number(p, &insn->imm) ? 0 : bad(p, "number expected");
    return parse_mark(p, insn);
}

static int parse_insn(struct parser *p)
{
    struct ir_insn insn = {.arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}};
    char name[WORD];
    uint64_t ignored;
    unsigned args = 0;
    if (eat(p, "%") && (!number(p, &ignored) || !eat(p, "=")))
        return bad(p, "%%N = expected");
    word(p, name);
    int op = find_op(name), r;
    if (op < 0)
        return bad(p, "unknown op %s", name);
    insn.op = (uint16_t)op;
    r = parse_suffixes(p, &insn);
    skip_space(p);
    for (bool first = true; !r && p->at < p->end; first = false) {
        if (!first && !eat(p, ","))
            return bad(p, "comma expected at \"%.*s\"", (int)(p->end - p->at), p->at);
        r = parse_operand(p, &insn, &args, first);
        skip_space(p);
    }
    if (r)
        return r;
    ir_emit(p->unit, insn);
    return p->unit->failed ? bad(p, "no block, or too many instructions") : 0;
}

// Steps to the next line that says something: *at..*end without comment. False at the text's end.
static bool next_line(struct parser *p, const char **text)
{
    while (**text) {
        const char *stop = strchrnul(*text, '\n');
        p->line++;
        p->at = *text;
        p->end = memchr(p->at, ';', (size_t)(stop - p->at));
        p->end = p->end ? p->end : stop;
        *text = *stop ? stop + 1 : stop;
        skip_space(p);
        while (p->end > p->at && isspace((unsigned char)p->end[-1]))
            p->end--;
        if (p->at < p->end)
            return true;
    }
    return false;
}

static bool is_label(const struct parser *p)
{
    return p->end - p->at >= 3 && *p->at == 'b' && isdigit((unsigned char)p->at[1]) && p->end[-1] == ':';
}

static int name_values(struct parser *p, const char *text)
{
    uint32_t id = 0, blocks = 0;
    while (next_line(p, &text)) {
        uint64_t name;
        if (is_label(p)) {
            blocks++;
            continue;
        }
        if (eat(p, "%")) {
            if (!number(p, &name) || name >= MAX_NAME || p->ids[name])
                return bad(p, "value name out of range or taken");
            p->ids[name] = id + 1;
        }
        id++;
    }
    while (blocks--)
        ir_new_block(p->unit);
    p->line = 0;
    return 0;
}

static int parse_lines(struct parser *p, const char *text)
{
    bool started = false;
    while (next_line(p, &text)) {
        uint64_t block;
        int r = 0;
        if (is_label(p)) {
            p->at++;
            if (!number(p, &block) || block >= p->unit->block_count || p->unit->blocks[block].count)
                return bad(p, "block number out of range or taken");
            ir_start_block(p->unit, (uint32_t)block);
            started = true;
        } else {
            r = started ? parse_insn(p) : bad(p, "an instruction before the first block");
        }
        if (r)
            return r;
    }
    return 0;
}

int ir_parse(const char *text, const struct ir_guest *guest, struct ir_unit *ret_unit, struct error *err)
{
    struct parser p = {.guest = guest, .unit = ret_unit, .err = err};
    p.ids = calloc(MAX_NAME, sizeof *p.ids);
    if (!p.ids)
        return error_set(err, -ENOMEM, "out of memory");
    ir_unit_reset(ret_unit, guest);
    int r = name_values(&p, text);
    r = r ? r : parse_lines(&p, text);
    free(p.ids);
    return r;
}
