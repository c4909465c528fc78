// SPDX-License-Identifier: MIT
// Saves, loads, prints and compares devices from their field tables.
//
// The stream is a sequence of chunks, one a device, all integers little-endian:
//   u16 type length, u16 path length, u16 version, u16 flags (1: required), u64 payload length, type, path,
//   payload
// and the payload a sequence of fields: u16 id, u8 kind, u8 zero, u32 count, count elements.
// A reader skips unknown chunks that are not required and refuses everything else it does not know. The
// stream may be hostile: every length is checked against what is left. Thread: all vCPUs at a safepoint,
// machine lock held.
#ifndef HW_CORE_STATE_H
#define HW_CORE_STATE_H

#include "hw/core/device.h"

#include <stdio.h>

struct error;

enum { STATE_REQUIRED = 1 };

// A growing byte buffer, owned by the caller; start it as {0}.
struct state_buf {
    uint8_t *data;
    size_t size, capacity;
};

void state_buf_free(struct state_buf *buf);

// Appends dev's chunk. now is what STATE_TIME fields are saved relative to (0: as they are). 0 or -ENOMEM.
int state_save(const struct device *dev, int64_t now, struct state_buf *buf, struct error *err);
// Loads all chunks into the devices of the same paths and then calls their post_load. Every device needs its
// chunk. -EINVAL and a sentence for what does not fit; the devices are then in an undefined state, to be
// reset or destroyed.
int state_load(struct device *const *devs, size_t count, int64_t now, const void *data, size_t size,
               struct error *err);
// One line a field: "path name = value".
void state_print(const struct device *dev, FILE *out);
// The first field that differs between two devices of one class, or NULL.
const struct state_field *state_compare(const struct device *a, const struct device *b);

#endif
