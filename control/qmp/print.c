// SPDX-License-Identifier: MIT
// Owns the text form of replies and events. Values are ours, or a peer's that passed the depth limit of its frame.
#include "control/qmp/print.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

enum { COMPACT = -1, INDENT = 4 };

static void separate(FILE *out, bool first, int level)
{
    if (level == COMPACT)
        fputs(first ? "" : ", ", out);
    else
        fprintf(out, "%s\r\n%*s", first ? "" : ",", level * INDENT, "");
}

static void put(FILE *out, struct json_object *value, int level);

static void put_key(FILE *out, const char *key)
{
    struct json_object *text = json_object_new_string(key);
    fputs(text ? json_object_to_json_string_ext(text, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE) : "\"\"",
          out);
    fputs(": ", out);
    json_object_put(text);
}

static void put_object(FILE *out, struct json_object *object, int level)
{
    int inner = level == COMPACT ? COMPACT : level + 1;
    bool first = true;
    fputc('{', out);
    struct json_object_iterator at = json_object_iter_begin(object), end = json_object_iter_end(object);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        separate(out, first, inner);
        put_key(out, json_object_iter_peek_name(&at));
        put(out, json_object_iter_peek_value(&at), inner);
        first = false;
    }
    if (!first && level != COMPACT)
        separate(out, true, level);
    fputc('}', out);
}

static void put_array(FILE *out, struct json_object *array, int level)
{
    int inner = level == COMPACT ? COMPACT : level + 1;
    size_t count = json_object_array_length(array);
    fputc('[', out);
    for (size_t i = 0; i < count; i++) {
        separate(out, i == 0, inner);
        put(out, json_object_array_get_idx(array, i), inner);
    }
    if (count && level != COMPACT)
        separate(out, true, level);
    fputc(']', out);
}

static void put(FILE *out, struct json_object *value, int level)
{
    if (json_object_is_type(value, json_type_object))
        put_object(out, value, level);
    else if (json_object_is_type(value, json_type_array))
        put_array(out, value, level);
    else
        fputs(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), out);
}

void qmp_print(FILE *out, struct json_object *value, bool pretty)
{
    put(out, value, pretty ? 0 : COMPACT);
    fputs("\r\n", out);
}

// The length of the UTF-8 sequence that text begins with (RFC 3629), 0 if there is none.
static size_t sequence(const unsigned char *text, size_t len)
{
    static const struct {
        unsigned char first, last, low, high; // of the first byte; of the second one
        size_t len;
    } rows[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (text[0] < rows[i].first || text[0] > rows[i].last || len < rows[i].len)
            continue;
        if (rows[i].len > 1 && (text[1] < rows[i].low || text[1] > rows[i].high))
            continue;
        size_t n = 2;
        while (n < rows[i].len && (text[n] & 0xc0) == 0x80)
            n++;
        return n >= rows[i].len ? rows[i].len : 0;
    }
    return 0;
}

struct json_object *qmp_text(const char *text, size_t len)
{
    char *copy = malloc(len + 1);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < len;) {
        size_t n = sequence((const unsigned char *)text + i, len - i);
        if (n)
            memcpy(copy + i, text + i, n);
        else
            copy[i] = '?';
        i += n ? n : 1;
    }
    struct json_object *string = json_object_new_string_len(copy, (int)len);
    free(copy);
    return string;
}
