// SPDX-License-Identifier: MIT
// Text files of IR tests: sections that begin with a line "== name". Shared by the drivers of this folder.
#ifndef TESTS_IR_FILETEST_H
#define TESTS_IR_FILETEST_H

#include "ir/ir.h"

// The whole file tests/ir/<name>, NUL-terminated, owned by the caller. Fails the test if it cannot be read.
char *filetest_read(const char *name);

struct filetest_section {
    const char *name;
    char *text; // body, NUL-terminated
    unsigned line;
};
// Cuts the next section off *at (which it changes); false at the end.
bool filetest_next(char **at, unsigned *line, struct filetest_section *ret_section);
// Cuts the next line off *at; NULL at the end.
char *filetest_line(char **at);

// The unit's text form, owned by the caller.
char *filetest_print(const struct ir_unit *unit);
// Parses and verifies; fails the test with the sentence and where.
void filetest_unit(const char *text, const char *where, struct ir_unit *ret_unit);

#endif
