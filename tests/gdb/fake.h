// SPDX-License-Identifier: MIT
// A machine, an accelerator and a CPU for tests of the debugger stub: a few registers, a page of memory, and a life
// that a test moves on by hand.
#ifndef TESTS_GDB_FAKE_H
#define TESTS_GDB_FAKE_H

#include "host/chardev.h"
#include "machines/machine.h"

enum { FAKE_CPUS = 3, FAKE_BASE = 0x1000, FAKE_SIZE = 0x2000 };

struct accel {
    struct ir_env env[FAKE_CPUS];
    uint64_t x[FAKE_CPUS][2], sp[FAKE_CPUS], v0[FAKE_CPUS][2], sys[FAKE_CPUS];
    uint8_t memory[FAKE_SIZE]; // virtual addresses from FAKE_BASE
    int step_cpu;              // -1
    int only_cpu;              // -1: all run
    bool off[FAKE_CPUS];
    int breaks, watches;       // inserted
    uint64_t hit_va;
    enum guest_access hit_access;
};

struct machine {
    struct machine_config config;
    struct accel accel;
    pthread_mutex_t lock;
    struct machine_listener *listener;
    uint32_t requests;
    bool running;
    int quit_status; // -1
};

void fake_machine_init(struct machine *machine);
// Serves what was requested, as the main loop would.
void fake_machine_turn(struct machine *machine);
// A vCPU stops while the machine runs.
void fake_machine_hit(struct machine *machine, unsigned cpu, int reason);
void fake_machine_end(struct machine *machine, int status);

// A chardev that collects what is written as text: acks as they are, each packet as $ and its payload, "!" where a
// checksum is wrong.
struct fake_channel {
    struct chardev chardev;
    char out[1 << 16];
    size_t len, start; // start: of a packet not yet complete
};
void fake_channel_init(struct fake_channel *channel);

#endif
