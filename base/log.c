// SPDX-License-Identifier: MIT
// Owns the names of trace categories and the formatting of trace lines.
#include "base/log.h"
#include "base/error.h"
#include "base/types.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bit;
} categories[] = {
    {"in_asm", LOG_IN_ASM}, {"ir", LOG_IR},   {"ir_opt", LOG_IR_OPT}, {"out_asm", LOG_OUT_ASM}, {"exec", LOG_EXEC},
    {"int", LOG_INT},       {"mmu", LOG_MMU}, {"unimp", LOG_UNIMP},   {"guest_errors", LOG_GUEST_ERRORS},
};

void log_printf(const struct log *log, uint32_t category, const char *format, ...)
{
    if (!log_on(log, category) || !log->out)
        return;
    va_list args;
    va_start(args, format);
    vfprintf(log->out, format, args);
    va_end(args);
}

void log_begin(const struct log *log)
{
    if (log && log->out)
        flockfile(log->out);
}

void log_end(const struct log *log)
{
    if (log && log->out)
        funlockfile(log->out);
}

int log_parse_mask(const char *text, uint32_t *ret_mask, struct error *err)
{
    uint32_t mask = 0;
    while (*text) {
        size_t len = strcspn(text, ",");
        size_t i = 0;
        while (i < ARRAY_SIZE(categories) &&
               (strlen(categories[i].name) != len || memcmp(categories[i].name, text, len)))
            i++;
        if (i == ARRAY_SIZE(categories))
            return error_set(err, -EINVAL,
                             "unknown trace category '%.*s' (known: in_asm ir ir_opt out_asm exec int mmu unimp "
                             "guest_errors)",
                             (int)len, text);
        mask |= categories[i].bit;
        text += len + (text[len] == ',');
    }
    *ret_mask = mask;
    return 0;
}
