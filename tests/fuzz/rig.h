// SPDX-License-Identifier: MIT
// What devices under fuzz stand in: a little RAM, an event loop, a clock that stands until it is moved,
// seeded randomness, interrupt lines, and a folder of the host. One rig a process, made by the first call and
// cleaned by each; the machine lock is held from then on.
#ifndef TESTS_FUZZ_RIG_H
#define TESTS_FUZZ_RIG_H

#include "base/clock.h"
#include "base/entropy.h"
#include "base/loop.h"
#include "hw/core/device.h"
#include "mem/mem.h"
#include "tests/fuzz/fuzz.h"

enum { RIG_RAM = 0x40000000, RIG_RAM_SIZE = 0x40000, RIG_LINES = 8 };

struct rig {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct mem_ram *ram;
    struct loop *loop;
    struct clock clock;
    int64_t now; // ns, of the clock
    struct entropy entropy;
    bool level[RIG_LINES];
};

struct rig *rig_get(void);
struct irq rig_irq(struct rig *rig, unsigned line);
// Moves the clock and lets timers and deferred calls run.
void rig_pass(struct rig *rig, uint64_t ns);

// Moves a block of RAM, which nobody has used yet, to where only pages that nobody may touch are around it:
// what goes beyond RAM is noticed. For blocks that live as long as the process.
void rig_fence(struct mem_ram *ram);

// A file in memory, opened by the path; content is all zeros. The descriptor stays open.
int rig_file(size_t size, char ret_path[64]);
// A folder below the system's temporary one, removed with all it has when the process ends.
const char *rig_folder(void);
void rig_empty(const char *folder);

// Saves a device and loads it again, as many of its bytes changed as the input says; resets it where that is
// refused.
void rig_save_and_load(struct device *const *devs, size_t count, int64_t now, struct fuzz_input *in);
// One access to a register file, of a size that it takes and at an offset below size: a read, or a write of
// *value.
void rig_access(const struct mem_mmio_ops *ops, void *opaque, uint64_t size, struct fuzz_input *in);

#endif
