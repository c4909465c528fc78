// SPDX-License-Identifier: MIT
// Writes ACPI Machine Language and static ACPI tables into a growing buffer (ACPI 6.4 chapters 5, 6.4 and 20).
//
// What has a length (scopes, devices, packages, resource templates) is opened and closed; numbers are little-endian.
// Without memory, or with a name that is none, the buffer fails once and for all: look at .failed at the end.
// Ownership: the caller's; start it as {0} and end it with aml_free. Thread: one user at a time.
#ifndef MACHINES_AML_H
#define MACHINES_AML_H

#include "base/types.h"

enum { AML_DEPTH = 8 };

struct aml {
    uint8_t *data;
    size_t size, capacity;
    struct {
        size_t at;   // of the length field
        bool buffer; // a resource template, which ends with a tag
    } open[AML_DEPTH];
    unsigned depth;
    bool failed;
};

void aml_free(struct aml *a);

// Plain bytes and numbers of 1 to 8 bytes, for static tables.
void aml_bytes(struct aml *a, const void *data, size_t len);
void aml_put(struct aml *a, uint64_t value, unsigned size);
void aml_zeros(struct aml *a, size_t len);
void aml_set(struct aml *a, size_t at, uint64_t value, unsigned size);

// A name is a segment of up to four characters, "\\" and segments with dots before it where it is a path.
void aml_scope(struct aml *a, const char *name);
void aml_device(struct aml *a, const char *name);
void aml_method(struct aml *a, const char *name, unsigned args);
void aml_package(struct aml *a, unsigned count);
void aml_resources(struct aml *a); // a template: descriptors until aml_close
void aml_close(struct aml *a);

void aml_name(struct aml *a, const char *name); // the value is written next
void aml_path(struct aml *a, const char *name); // a reference
void aml_int(struct aml *a, uint64_t value);
void aml_string(struct aml *a, const char *text);
void aml_eisa_id(struct aml *a, const char *id); // "PNP0C0C"
void aml_uuid(struct aml *a, const char *uuid);  // a buffer with what ToUUID makes of it
void aml_notify(struct aml *a, const char *device, unsigned value);
void aml_op(struct aml *a, unsigned opcode);     // of one byte, or 0x5bnn
enum { AML_AND = 0x7b, AML_RETURN = 0xa4, AML_IF = 0xa0, AML_ELSE = 0xa1, AML_EQUAL = 0x93, AML_ARG0 = 0x68 };
void aml_block(struct aml *a, unsigned opcode); // AML_IF, AML_ELSE: what is inside, until aml_close

// Resource descriptors.
void aml_memory32(struct aml *a, uint32_t base, uint32_t size);
void aml_interrupt(struct aml *a, uint32_t gsi, bool edge);
void aml_gpio_interrupt(struct aml *a, const char *controller, unsigned pin); // rising edge, wakes
enum aml_space { AML_SPACE_MEMORY, AML_SPACE_IO, AML_SPACE_BUS };
// An address window that the device hands on: [base, base + size) of the bus seen at base + translation. width is 2, 4
// or 8 bytes.
void aml_window(struct aml *a, enum aml_space space, unsigned width, uint64_t base, uint64_t size, uint64_t translation);

#endif
