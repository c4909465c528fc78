// SPDX-License-Identifier: MIT
// JSON as QEMU prints it, which scripts that look for words in it rely on: ", " and ": " between, nothing else; or
// with line ends and four spaces a level.
#ifndef CONTROL_QMP_PRINT_H
#define CONTROL_QMP_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct json_object;

// The value and a line end.
void qmp_print(FILE *out, struct json_object *value, bool pretty);

// A JSON string of any bytes: those that are not UTF-8 become question marks. NULL without memory.
struct json_object *qmp_text(const char *text, size_t len);

#endif
