// SPDX-License-Identifier: MIT
// Helpers for tests of whole machines' state: machines that run nothing, and streams in memory.
#ifndef TESTS_STATE_SAVED_H
#define TESTS_STATE_SAVED_H

#include "base/error.h"
#include "machines/machine_state.h"

struct stream {
    uint8_t *data;
    size_t size, capacity;
    size_t at; // of the reader
};

int stream_write(void *opaque, const void *data, size_t size, struct error *err);
int stream_read(void *opaque, void *data, size_t size, struct error *err);

// A machine of the board virt with 2 CPUs, 16 MiB and this interrupt controller; its lock is held from now on. change may
// alter the configuration first.
struct machine *saved_machine(const char *gic, void (*change)(struct machine_config *config));
void saved_destroy(struct machine *machine);
// The whole machine at once.
void saved_save(struct machine *machine, enum state_compression compression, struct stream *ret);
int saved_load(struct machine *machine, struct stream *from, bool only_check, struct error *err);

#endif
