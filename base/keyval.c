// SPDX-License-Identifier: MIT
// Owns QEMU's option-list language: splitting at single commas, ",," as an escape, bare flags and their "no"
// form. Invariant: every key and value points into list->text or to a string that keyval_add borrowed.
#include "base/keyval.h"
#include "base/error.h"
#include "base/types.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Cuts the next word off *text in place: up to a single comma, with doubled commas made one.
static char *next_word(char **text)
{
    char *start = *text, *in = start, *out = start;
    while (*in && !(in[0] == ',' && in[1] != ',')) {
        if (*in == ',')
            in++;
        *out++ = *in++;
    }
    bool more = *in == ',';
    *out = 0;
    *text = more ? in + 1 : NULL;
    return start;
}

int keyval_add(struct keyval_list *list, const char *key, const char *value)
{
    struct keyval *items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->count++] = (struct keyval){.key = key, .value = value};
    return 0;
}

static int add_word(struct keyval_list *list, char *word, const char *implied, struct error *err)
{
    char *equals = strchr(word, '=');
    if (equals) {
        *equals = 0;
        if (!*word)
            return error_set(err, -EINVAL, "'=%s' lacks a name before the '='", equals + 1);
        return keyval_add(list, word, equals + 1);
    }
    if (implied)
        return keyval_add(list, implied, word);
    if (!*word)
        return 0;
    int r = keyval_add(list, word, "on");
    if (!r)
        list->items[list->count - 1].bare = true;
    return r;
}

int keyval_parse(const char *text, const char *implied, struct keyval_list *ret_list, struct error *err)
{
    struct keyval_list list = {.text = strdup(text)};
    if (!list.text)
        return error_set(err, -ENOMEM, "out of memory");
    char *rest = list.text;
    while (rest) {
        int r = add_word(&list, next_word(&rest), implied, err);
        implied = NULL;
        if (r) {
            keyval_free(&list);
            return r;
        }
    }
    *ret_list = list;
    return 0;
}

void keyval_free(struct keyval_list *list)
{
    free(list->items);
    free(list->text);
    *list = (struct keyval_list){0};
}

const char *keyval_get(struct keyval_list *list, const char *key)
{
    const char *found = NULL;
    for (size_t i = 0; i < list->count; i++) {
        struct keyval *item = &list->items[i];
        bool off = item->bare && !strncmp(item->key, "no", 2) && !strcmp(item->key + 2, key);
        if (off || !strcmp(item->key, key)) {
            item->used = true;
            found = off ? "off" : item->value;
        }
    }
    return found;
}

const char *keyval_unused(const struct keyval_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].used)
            return list->items[i].key;
    return NULL;
}

int keyval_parse_u64(const char *what, const char *text, uint64_t *ret_value, struct error *err)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (!isdigit((unsigned char)text[0]) || *end || errno)
        return error_set(err, -EINVAL, "%s: '%s' is not a number", what, text);
    *ret_value = value;
    return 0;
}

int keyval_parse_size(const char *what, const char *text, uint64_t unit, uint64_t *ret_value,
                      struct error *err)
{
    static const char suffixes[] = "BKMGTPE";
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (!isdigit((unsigned char)text[0]) || errno)
        return error_set(err, -EINVAL, "%s: '%s' is not a size", what, text);
    if (*end) {
        const char *suffix = strchr(suffixes, toupper((unsigned char)*end));
        if (!suffix || (end[1] && strcasecmp(end + 1, "B") && strcasecmp(end + 1, "iB")))
            return error_set(err, -EINVAL, "%s: '%s' is not a size (suffixes are K, M, G and T)", what, text);
        unit = 1ull << (10 * (suffix - suffixes));
    }
    if (value && unit > UINT64_MAX / value)
        return error_set(err, -EINVAL, "%s: '%s' is too large", what, text);
    *ret_value = value * unit;
    return 0;
}

static int parse_bool(const char *what, const char *text, bool *ret_value, struct error *err)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true", "n", "y"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcmp(text, words[i])) {
            *ret_value = i & 1;
            return 0;
        }
    return error_set(err, -EINVAL, "%s: '%s' is neither 'on' nor 'off'", what, text);
}

int keyval_bool(struct keyval_list *list, const char *key, bool *value, struct error *err)
{
    const char *text = keyval_get(list, key);
    return text ? parse_bool(key, text, value, err) : 0;
}

int keyval_u64(struct keyval_list *list, const char *key, uint64_t *value, struct error *err)
{
    const char *text = keyval_get(list, key);
    return text ? keyval_parse_u64(key, text, value, err) : 0;
}

int keyval_size(struct keyval_list *list, const char *key, uint64_t unit, uint64_t *value, struct error *err)
{
    const char *text = keyval_get(list, key);
    return text ? keyval_parse_size(key, text, unit, value, err) : 0;
}
