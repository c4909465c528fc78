// SPDX-License-Identifier: MIT
// Trace output (-d CATEGORY,... -D FILE). A log belongs to a machine; whoever traces is handed the pointer.
// Thread: any; each log_printf call reaches the file as one piece.
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct error;

enum log_category {
    LOG_IN_ASM = 1u << 0,  // guest instructions of each new unit
    LOG_IR = 1u << 1,      // IR as the frontend built it
    LOG_IR_OPT = 1u << 2,  // IR after the passes
    LOG_OUT_ASM = 1u << 3, // host code
    LOG_EXEC = 1u << 4,    // each unit entered from the dispatcher
    LOG_INT = 1u << 5,     // exceptions taken and returned from
    LOG_MMU = 1u << 6,     // table walks, TLB maintenance
    LOG_UNIMP = 1u << 7,   // what the guest asked for and is not built
    LOG_GUEST_ERRORS = 1u << 8,
};

struct log {
    FILE *out;
    uint32_t mask; // enum log_category
};

static inline bool log_on(const struct log *log, uint32_t category)
{
    return __builtin_expect(log && (log->mask & category), 0);
}

void log_printf(const struct log *log, uint32_t category, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Between these two no other thread's lines get into the trace: for what takes several calls, or writes to log->out.
void log_begin(const struct log *log);
void log_end(const struct log *log);

// Parses "in_asm,int,..." into *ret_mask. On an unknown word: -EINVAL and a sentence that lists the words.
int log_parse_mask(const char *text, uint32_t *ret_mask, struct error *err);

#endif
