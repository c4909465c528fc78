// SPDX-License-Identifier: MIT
// Option lists as QEMU's command line writes them: "first,key=value,flag,noflag,text=a,,b". A doubled comma
// is a comma. A list remembers which keys were asked for, so that the rest can be reported as unknown.
//
// Ownership: a parsed list owns its strings until keyval_free. Thread: none of its own; one user at a time.
#ifndef BASE_KEYVAL_H
#define BASE_KEYVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct keyval {
    const char *key;
    const char *value;
    bool bare; // written without '=': value is "on", or "off" and key stripped for a leading "no"
    bool used;
};

struct keyval_list {
    struct keyval *items;
    size_t count;
    char *text; // storage of the strings
};

// implied is the key of a first word without '=', or NULL. 0, -EINVAL with a sentence, or -ENOMEM.
int keyval_parse(const char *text, const char *implied, struct keyval_list *ret_list, struct error *err);
void keyval_free(struct keyval_list *list);
// Adds a pair; both strings are borrowed and outlive the list. 0 or -ENOMEM.
int keyval_add(struct keyval_list *list, const char *key, const char *value);

// The last value of key, marked used; NULL when it is not there. A bare "nokey" answers as key=off.
const char *keyval_get(struct keyval_list *list, const char *key);
// As keyval_get, with a value that must be on/off/yes/no/true/false. Untouched and 0 when absent.
int keyval_bool(struct keyval_list *list, const char *key, bool *value, struct error *err);
// Decimal or 0x number. Untouched and 0 when absent.
int keyval_u64(struct keyval_list *list, const char *key, uint64_t *value, struct error *err);
// Number of bytes with an optional suffix K M G T (powers of 1024); without one it counts units of unit
// bytes.
int keyval_size(struct keyval_list *list, const char *key, uint64_t unit, uint64_t *value, struct error *err);
// The key that nobody asked for, or NULL.
const char *keyval_unused(const struct keyval_list *list);

// The same conversions for text that is not in a list; what names it in the sentence.
int keyval_parse_u64(const char *what, const char *text, uint64_t *ret_value, struct error *err);
int keyval_parse_size(const char *what, const char *text, uint64_t unit, uint64_t *ret_value,
                      struct error *err);

#endif
