// SPDX-License-Identifier: MIT
// Owns the disassembler's walk over the assembly templates of the decode table: text is copied, {kind:field}
// calls the operand printer of that kind (operands.c). Not meant to be fast.
#include "frontends/a64/disasm.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *kind;
    a64_put_operand *put;
} operands[] = {
#define A64_OPERAND(kind, file) {#kind, a64_put_##kind},
#include "frontends/a64/operands.def"
#undef A64_OPERAND
};

void a64_put(struct a64_text *t, const char *format, ...)
{
    va_list args;
    size_t room = t->len < t->size ? t->size - t->len : 0;

    va_start(args, format);
    t->len += vsnprintf(room ? t->buf + t->len : NULL, room, format, args);
    va_end(args);
}

static uint32_t field_of(const struct a64_insn *insn, const char *name, size_t len, unsigned *ret_width)
{
    const struct a64_row_info *row = &a64_rows[insn->row];

    for (unsigned i = 0; i < row->field_count; i++) {
        const struct a64_field *f = &row->fields[i];
        if (strlen(f->name) == len && !memcmp(f->name, name, len)) {
            *ret_width = f->width;
            return insn->word >> f->lsb & (uint32_t)((1ull << f->width) - 1);
        }
    }
    *ret_width = 0;
    return 0;
}

// template points behind the brace; returns the position behind the closing one.
static const char *put_operand(struct a64_text *t, const char *template)
{
    size_t kind_len = strcspn(template, ":}");
    const char *field = template + kind_len, *end = strchr(template, '}');
    unsigned width = 0;
    uint32_t value = *field == ':' ? field_of(t->insn, field + 1, end - field - 1, &width) : 0;

    for (size_t i = 0; i < sizeof(operands) / sizeof(operands[0]); i++)
        if (strlen(operands[i].kind) == kind_len && !memcmp(operands[i].kind, template, kind_len))
            operands[i].put(t, value, width);
    return end + 1;
}

int a64_disasm(uint32_t word, uint64_t pc, char *buf, size_t size)
{
    struct a64_insn insn;
    struct a64_text t = {.insn = &insn, .pc = pc, .buf = buf, .size = size};

    if (size)
        buf[0] = 0;
    if (!a64_decode(word, &insn)) {
        if (insn.row == A64_ROW_COUNT)
            a64_put(&t, ".inst 0x%08" PRIx32 " // unallocated", word);
        else
            a64_put(&t, ".inst 0x%08" PRIx32 " // %s (%s)", word, a64_rows[insn.row].name,
                    a64_rows[insn.row].later_feature);
        return t.len;
    }
    for (const char *p = a64_alias(&insn); *p;) {
        size_t text = strcspn(p, "{");
        a64_put(&t, "%.*s", (int)text, p);
        p += text;
        if (*p)
            p = put_operand(&t, p + 1);
    }
    return t.len;
}
