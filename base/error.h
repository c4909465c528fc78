// SPDX-License-Identifier: MIT
// A set-up function that fails returns a negative errno and leaves one sentence for the user here.
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>

struct error {
    char text[512];
};

// Stores the formatted sentence (no newline, no trailing full stop) in *err when err is not NULL.
// Returns code unchanged, so that a caller can write: return error_set(err, -EINVAL, "...").
int error_set(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

// Puts "what: " before the sentence already in *err, for a caller that knows the context. Returns code.
int error_prefix(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
