// SPDX-License-Identifier: MIT
// Owns the encoding of AML (ACPI 6.4 chapter 20.2) and of resource descriptors (6.4).
// Package lengths always take three bytes, so that they can be filled in when the package closes.
#include "machines/aml.h"

#include <stdlib.h>
#include <string.h>

enum { PACKAGE_LENGTH = 3, PACKAGE_MAX = 1 << 20, BUFFER_SIZE_FIELD = 3 };

void aml_free(struct aml *a)
{
    free(a->data);
    *a = (struct aml){0};
}

void aml_bytes(struct aml *a, const void *data, size_t len)
{
    if (a->size + len > a->capacity && !a->failed) {
        size_t capacity = (a->size + len) * 2;
        uint8_t *grown = realloc(a->data, capacity);
        a->failed = !grown;
        if (grown) {
            a->data = grown;
            a->capacity = capacity;
        }
    }
    if (a->failed || !len)
        return;
    memcpy(a->data + a->size, data, len);
    a->size += len;
}

void aml_put(struct aml *a, uint64_t value, unsigned size)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    aml_bytes(a, bytes, size);
}

void aml_zeros(struct aml *a, size_t len)
{
    while (len--)
        aml_put(a, 0, 1);
}

void aml_set(struct aml *a, size_t at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size && at + i < a->size; i++)
        a->data[at + i] = (uint8_t)(value >> (8 * i));
}

void aml_op(struct aml *a, unsigned opcode)
{
    if (opcode > 0xff)
        aml_put(a, opcode >> 8, 1);
    aml_put(a, opcode & 0xff, 1);
}

// --- names ---

static void segment(struct aml *a, const char *text, size_t len)
{
    char name[4] = {'_', '_', '_', '_'};
    if (!len || len > sizeof name)
        a->failed = true;
    else
        memcpy(name, text, len);
    aml_bytes(a, name, sizeof name);
}

void aml_path(struct aml *a, const char *name)
{
    enum { DUAL = 0x2e, MULTI = 0x2f };
    unsigned count = 1;
    if (*name == '\\') {
        aml_bytes(a, name, 1);
        name++;
    }
    for (const char *c = name; *c; c++)
        count += *c == '.';
    if (count == 2)
        aml_put(a, DUAL, 1);
    if (count > 2) {
        aml_put(a, MULTI, 1);
        aml_put(a, count, 1);
    }
    while (count--) {
        size_t len = strcspn(name, ".");
        segment(a, name, len);
        name += len + 1;
    }
}

// --- what has a length ---

static void open_package(struct aml *a, unsigned opcode, bool buffer)
{
    aml_op(a, opcode);
    if (a->depth == AML_DEPTH) {
        a->failed = true;
        return;
    }
    a->open[a->depth].at = a->size;
    a->open[a->depth++].buffer = buffer;
    aml_zeros(a, PACKAGE_LENGTH);
}

void aml_scope(struct aml *a, const char *name)
{
    open_package(a, 0x10, false);
    aml_path(a, name);
}

void aml_device(struct aml *a, const char *name)
{
    open_package(a, 0x5b82, false);
    aml_path(a, name);
}

void aml_method(struct aml *a, const char *name, unsigned args)
{
    enum { SERIALIZED = 8 };
    open_package(a, 0x14, false);
    aml_path(a, name);
    aml_put(a, args | SERIALIZED, 1);
}

void aml_block(struct aml *a, unsigned opcode)
{
    open_package(a, opcode, false);
}

void aml_package(struct aml *a, unsigned count)
{
    open_package(a, 0x12, false);
    aml_put(a, count, 1);
}

void aml_resources(struct aml *a)
{
    enum { WORD_PREFIX = 0x0b };
    open_package(a, 0x11, true);
    aml_put(a, WORD_PREFIX, 1);
    aml_put(a, 0, 2);
}

void aml_close(struct aml *a)
{
    if (a->failed || !a->depth) {
        a->failed = true;
        return;
    }
    a->depth--;
    size_t at = a->open[a->depth].at;
    if (a->open[a->depth].buffer) {
        enum { END_TAG = 0x79 };
        aml_put(a, END_TAG, 1);
        aml_put(a, 0, 1); // a checksum of zero counts as right
        aml_set(a, at + PACKAGE_LENGTH + 1, a->size - at - PACKAGE_LENGTH - BUFFER_SIZE_FIELD, 2);
    }
    size_t len = a->size - at; // counts itself
    if (len >= PACKAGE_MAX)
        a->failed = true;
    aml_set(a, at, (PACKAGE_LENGTH - 1) << 6 | (len & 15), 1);
    aml_set(a, at + 1, len >> 4, PACKAGE_LENGTH - 1);
}

// --- values ---

void aml_name(struct aml *a, const char *name)
{
    aml_op(a, 0x08);
    aml_path(a, name);
}

void aml_int(struct aml *a, uint64_t value)
{
    static const struct {
        uint64_t max;
        uint8_t prefix, size;
    } forms[] = {{0xff, 0x0a, 1}, {0xffff, 0x0b, 2}, {0xffffffff, 0x0c, 4}, {UINT64_MAX, 0x0e, 8}};
    unsigned i = 0;
    if (value < 2) {
        aml_put(a, value, 1); // ZeroOp, OneOp
        return;
    }
    while (value > forms[i].max)
        i++;
    aml_put(a, forms[i].prefix, 1);
    aml_put(a, value, forms[i].size);
}

void aml_string(struct aml *a, const char *text)
{
    enum { STRING_PREFIX = 0x0d };
    aml_put(a, STRING_PREFIX, 1);
    aml_bytes(a, text, strlen(text) + 1);
}

static unsigned hex(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

void aml_eisa_id(struct aml *a, const char *id)
{
    enum { DWORD_PREFIX = 0x0c };
    unsigned letters = (id[0] & 31u) << 10 | (id[1] & 31u) << 5 | (id[2] & 31u);
    unsigned number = hex(id[3]) << 12 | hex(id[4]) << 8 | hex(id[5]) << 4 | hex(id[6]);
    aml_put(a, DWORD_PREFIX, 1);
    aml_put(a, __builtin_bswap32(letters << 16 | number), 4);
}

void aml_uuid(struct aml *a, const char *uuid)
{
    // The first three groups are numbers, least byte first.
    static const uint8_t place[16] = {6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34};
    enum { BYTE_PREFIX = 0x0a };
    open_package(a, 0x11, false);
    aml_put(a, BYTE_PREFIX, 1);
    aml_put(a, sizeof place, 1);
    for (size_t i = 0; i < sizeof place; i++)
        aml_put(a, hex(uuid[place[i]]) << 4 | hex(uuid[place[i] + 1]), 1);
    aml_close(a);
}

void aml_notify(struct aml *a, const char *device, unsigned value)
{
    aml_op(a, 0x86);
    aml_path(a, device);
    aml_int(a, value);
}

// --- resources ---

void aml_memory32(struct aml *a, uint32_t base, uint32_t size)
{
    enum { MEMORY32_FIXED = 0x86, LENGTH = 9, WRITABLE = 1 };
    aml_put(a, MEMORY32_FIXED, 1);
    aml_put(a, LENGTH, 2);
    aml_put(a, WRITABLE, 1);
    aml_put(a, base, 4);
    aml_put(a, size, 4);
}

void aml_interrupt(struct aml *a, uint32_t gsi, bool edge)
{
    enum { EXTENDED_INTERRUPT = 0x89, LENGTH = 6, CONSUMER = 1, EDGE = 2 };
    aml_put(a, EXTENDED_INTERRUPT, 1);
    aml_put(a, LENGTH, 2);
    aml_put(a, CONSUMER | (edge ? EDGE : 0), 1); // active high, not shared
    aml_put(a, 1, 1);
    aml_put(a, gsi, 4);
}

void aml_gpio_interrupt(struct aml *a, const char *controller, unsigned pin)
{
    enum { GPIO = 0x8c, HEADER = 23, CONSUMER = 1, EDGE = 1, WAKES = 1 << 4, PULL_UP = 1 };
    size_t name = strlen(controller) + 1;
    aml_put(a, GPIO, 1);
    aml_put(a, HEADER - 3 + 2 + name, 2);
    aml_put(a, 1, 1);        // revision
    aml_put(a, 0, 1);        // an interrupt
    aml_put(a, CONSUMER, 2);
    aml_put(a, EDGE | WAKES, 2); // active high, exclusive
    aml_put(a, PULL_UP, 1);
    aml_put(a, 0, 2); // drive strength
    aml_put(a, 0, 2); // debounce
    aml_put(a, HEADER, 2); // where the pins are, the controller's name, and nothing of a vendor
    aml_put(a, 0, 1);
    aml_put(a, HEADER + 2, 2);
    aml_put(a, HEADER + 2 + name, 2);
    aml_put(a, 0, 2);
    aml_put(a, pin, 2);
    aml_bytes(a, controller, name);
}

void aml_window(struct aml *a, enum aml_space space, unsigned width, uint64_t base, uint64_t size, uint64_t translation)
{
    enum { WORD = 0x88, DWORD = 0x87, QWORD = 0x8a, FIXED = 0x0c, WRITABLE = 1, ENTIRE_RANGE = 3 };
    aml_put(a, width == 2 ? WORD : width == 4 ? DWORD : QWORD, 1);
    aml_put(a, 3 + 5 * width, 2);
    aml_put(a, space, 1);
    aml_put(a, FIXED, 1); // a producer; minimum and maximum are what they are
    aml_put(a, space == AML_SPACE_MEMORY ? WRITABLE : space == AML_SPACE_IO ? ENTIRE_RANGE : 0, 1);
    aml_put(a, 0, width); // granularity
    aml_put(a, base, width);
    aml_put(a, base + size - 1, width);
    aml_put(a, translation, width);
    aml_put(a, size, width);
}
