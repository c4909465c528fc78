// SPDX-License-Identifier: MIT
// Reading of the text files that IR tests are written in.
#include "tests/ir/filetest.h"

#include "base/error.h"
#include "tests/ir/toy_guest.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

char *filetest_read(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", FILETEST_DIR, name);
    FILE *in = fopen(path, "r");
    cr_assert(in, "cannot open %s", path);
    size_t size = 0, capacity = 1 << 20;
    char *text = malloc(capacity);
    size = fread(text, 1, capacity - 1, in);
    cr_assert_lt(size, capacity - 1, "%s is too long", path);
    fclose(in);
    text[size] = 0;
    return text;
}

char *filetest_line(char **at)
{
    char *line = *at;
    if (!*line)
        return NULL;
    char *stop = strchrnul(line, '\n');
    *at = *stop ? stop + 1 : stop;
    *stop = 0;
    return line;
}

bool filetest_next(char **at, unsigned *line, struct filetest_section *ret_section)
{
    char *text;
    do {
        text = filetest_line(at);
        ++*line;
    } while (text && strncmp(text, "== ", 3) != 0);
    if (!text)
        return false;
    ret_section->name = text + 3;
    ret_section->line = *line;
    ret_section->text = *at;
    char *next = strstr(*at, "\n== ");
    char *stop = next ? next + 1 : *at + strlen(*at);
    for (char *c = *at; c < stop; c++)
        *line += *c == '\n';
    if (next)
        *next = 0;
    *at = stop;
    return true;
}

char *filetest_print(const struct ir_unit *unit)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ir_print(unit, out);
    fclose(out);
    return text;
}

void filetest_unit(const char *text, const char *where, struct ir_unit *ret_unit)
{
    struct error err = {""};
    cr_assert_eq(ir_parse(text, &toy_guest, ret_unit, &err), 0, "%s: %s\n%s", where, err.text, text);
    cr_assert_eq(ir_verify(ret_unit, &err), 0, "%s: %s\n%s", where, err.text, text);
}
