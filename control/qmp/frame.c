// SPDX-License-Identifier: MIT
// Owns the cutting of a stream into JSON values (RFC 8259; single quotes as well, which QEMU's users write).
// Invariant: between values depth, quote and escaped are zero.
#include "control/qmp/frame.h"

#include <stdlib.h>
#include <string.h>

static void clear(struct qmp_frame *f)
{
    f->len = 0;
    f->depth = 0;
    f->quote = 0;
    f->escaped = false;
}

void qmp_frame_reset(struct qmp_frame *f)
{
    free(f->text);
    *f = (struct qmp_frame){0};
}

static enum qmp_input fail(struct qmp_frame *f, enum qmp_input why, bool drop_line)
{
    clear(f);
    f->dropping = drop_line;
    return why;
}

static bool append(struct qmp_frame *f, char byte)
{
    enum { FIRST = 256 };
    if (f->len + 2 > f->capacity) {
        size_t capacity = f->capacity ? f->capacity * 2 : FIRST;
        char *text = realloc(f->text, capacity);
        if (!text)
            return false;
        f->text = text;
        f->capacity = capacity;
    }
    f->text[f->len++] = byte;
    f->text[f->len] = 0;
    return true;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

// A byte within a string. A line never ends there.
static enum qmp_input in_string(struct qmp_frame *f, uint8_t byte)
{
    if (byte == '\n')
        return fail(f, QMP_INPUT_BAD, false);
    if (f->escaped)
        f->escaped = false;
    else if (byte == '\\')
        f->escaped = true;
    else if (byte == (uint8_t)f->quote)
        f->quote = 0;
    return QMP_INPUT_NONE;
}

enum qmp_input qmp_frame_byte(struct qmp_frame *f, uint8_t byte)
{
    if (f->dropping) {
        f->dropping = byte != '\n';
        return QMP_INPUT_NONE;
    }
    if (!f->depth) {
        f->len = 0;
        if (is_space(byte))
            return QMP_INPUT_NONE;
        if (byte != '{' && byte != '[')
            return fail(f, QMP_INPUT_BAD, true);
    }
    if (f->len == QMP_VALUE_MAX)
        return fail(f, QMP_INPUT_TOO_LONG, byte != '\n');
    if (!append(f, (char)byte))
        return fail(f, QMP_INPUT_NO_MEMORY, byte != '\n');
    if (f->quote)
        return in_string(f, byte);
    switch (byte) {
    case '"':
    case '\'': f->quote = (char)byte; break;
    case '{':
    case '[':
        if (++f->depth > QMP_DEPTH_MAX)
            return fail(f, QMP_INPUT_TOO_DEEP, true);
        break;
    case '}':
    case ']': return --f->depth ? QMP_INPUT_NONE : QMP_INPUT_VALUE;
    default: break;
    }
    return QMP_INPUT_NONE;
}
