// SPDX-License-Identifier: MIT
// Private to the disassembler: what an operand printer gets. A printer appends to the text; value and width
// are those of the template's field, 0 where it names none.
#ifndef A64_DISASM_H
#define A64_DISASM_H

#include "frontends/a64/decode.h"

struct a64_text {
    const struct a64_insn *insn;
    uint64_t pc;
    char *buf;
    size_t size, len; // len as if untruncated
};

typedef void a64_put_operand(struct a64_text *t, uint32_t value, unsigned width);

void a64_put(struct a64_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define A64_OPERAND(kind, file) a64_put_operand a64_put_##kind;
#include "frontends/a64/operands.def"
#undef A64_OPERAND

#endif
