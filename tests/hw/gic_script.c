// SPDX-License-Identifier: MIT
// Owns the reading of GIC scenarios (the language is in gic_script.h).
#include "tests/hw/gic_script.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fail(const char *name, const char *word, const char *what, uint64_t got)
{
    fprintf(stderr, "%s: at '%s': %s, got 0x%llx\n", name, word, what, (unsigned long long)got);
    return false;
}

static bool access_mmio(const struct mem_mmio_ops *ops, void *opaque, uint64_t base, unsigned size,
                        const char *at, const char *name, const char *word)
{
    char *end;
    uint64_t offset = base + strtoull(at, &end, 16), value = strtoull(end + 1, NULL, 16), got = 0;
    if (*end == '=')
        return ops->write(opaque, offset, size, value) == MEM_OK ||
               fail(name, word, "the write is refused", value);
    if (ops->read(opaque, offset, size, &got) != MEM_OK)
        return fail(name, word, "the read is refused", 0);
    return got == value || fail(name, word, "another value", got);
}

static bool step(const struct gic_script *s, const char *name, const char *word)
{
    const char *at = word;
    char *end;
    bool want = true;
    if (*at == '!')
        want = false, at++;
    if (*at == 'd') {
        unsigned size = isdigit((unsigned char)at[1]) ? (unsigned)(at[1] - '0') : 4;
        return access_mmio(s->dist->class->mmio, s->dist, 0, size, strchr(at, ':') + 1, name, word);
    }
    char kind = *at;
    unsigned cpu = (unsigned)strtoul(isdigit((unsigned char)kind) ? at : at + 1, &end, 10);
    switch (kind) {
    case '@': *s->current_cpu = cpu; return true;
    case 'r':
    case 'c': return access_mmio(s->cpu_ops, s->cpu_opaque, cpu * s->cpu_stride, 4, end + 1, name, word);
    case 's': {
        struct irq line = s->spi(s->irq_opaque, cpu);
        irq_set(&line, *end == '+');
        return true;
    }
    case 'p': {
        struct irq line = s->ppi(s->irq_opaque, cpu, (unsigned)strtoul(end + 1, &end, 10));
        irq_set(&line, *end == '+');
        return true;
    }
    case 'i':
        return s->irq_out[cpu] == want || fail(name, word, "the IRQ output is otherwise", s->irq_out[cpu]);
    case 'f':
        return s->fiq_out[cpu] == want || fail(name, word, "the FIQ output is otherwise", s->fiq_out[cpu]);
    default: break;
    }
    char reg[16] = "";
    const char *op = strpbrk(end + 1, "=?");
    if (*end != '.' || !op || op - end > 16)
        return fail(name, word, "the test cannot be read", 0);
    memcpy(reg, end + 1, (size_t)(op - end - 1));
    uint64_t value = strtoull(op + 1, NULL, 16), got = value;
    if (!s->reg(s->reg_opaque, cpu, reg, *op == '=', &got))
        return fail(name, word, "no such register", 0);
    return *op == '=' || got == value || fail(name, word, "another value", got);
}

bool gic_script_run(const struct gic_script *s, const char *name, const char *text)
{
    char *copy = strdup(text), *save = NULL;
    bool held = true;
    for (char *word = strtok_r(copy, " \n", &save); word && held; word = strtok_r(NULL, " \n", &save))
        held = step(s, name, word);
    free(copy);
    return held;
}
