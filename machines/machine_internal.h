// SPDX-License-Identifier: MIT
// Private to machines/: the machine's parts, and what a board provides.
//
// Invariant: devices[] is in the order of creation; reset goes through it forwards, destruction backwards.
// Parts that a device borrows (clock, loop, memory) are created before and destroyed after all devices.
#ifndef MACHINES_MACHINE_INTERNAL_H
#define MACHINES_MACHINE_INTERNAL_H

#include "base/clock.h"
#include "base/entropy.h"
#include "base/error.h"
#include "base/loop.h"
#include "host/chardev/backends.h"
#include "hw/core/device.h"
#include "machines/loader.h"
#include "machines/machine.h"

#include <signal.h>

struct block;
struct virtio_device;

struct board {
    const char *name, *description;
    const char *default_cpu;
    uint64_t default_ram; // bytes
    // Builds everything; on failure what was made is left in *machine for machine_destroy.
    int (*create)(struct machine *machine, struct error *err);
    // Machine stopped, devices and vCPUs reset: puts the start-up contents into memory and starts the first
    // vCPU.
    int (*start)(struct machine *machine, struct error *err);
    // Gives a virtio device a place; vdev is in machine.devices already. NULL: no such bus.
    int (*plug_virtio)(struct machine *machine, struct virtio_device *vdev, struct error *err);
    void (*power_key)(struct machine *machine); // machine lock held; may be NULL
    void (*destroy)(struct machine *machine);   // the board's own state
    void (*list_options)(FILE *out);
};

struct machine_chardev {
    const char *id;
    struct chardev *chardev;
    struct chardev_mux *mux; // or NULL; then chardev is NULL
    bool taken;
};

struct machine_drive {
    const char *id, *serial;
    struct block *block;
    bool automatic; // makes its own disk device
    bool taken;
    uint64_t queues; // of its disk device; 0: one
};

struct machine {
    struct machine_config config;
    const struct board *board;
    void *board_state;

    pthread_mutex_t lock;
    struct loop *loop;
    struct clock clock;
    struct entropy entropy;
    uint32_t seconds_at_start; // host's time of day at creation, since 1970
    struct mem_space *mem;
    struct accel *accel;
    struct loader loader;
    bool start_given; // by -device loader,cpu-num=0
    uint64_t start_entry;

    struct machine_chardev *chardevs;
    size_t chardev_count;
    struct machine_drive *drives;
    size_t drive_count;
    struct device **devices;
    size_t device_count;
    _Atomic uint32_t requests;  // enum machine_request
    _Atomic int quit_status;    // -1: keep running
    _Atomic bool running;       // vCPUs are let run
    struct machine_call *calls; // first in, first out

    struct machine_listener *listeners;
    _Atomic unsigned debug_stops;      // vCPUs that stopped for the debugger; accel counts a pause for each
    _Atomic uint64_t first_debug_stop; // 0: none, else 1 + (reason << 32 | cpu)

    struct loop_fd signal_watch;
    int signal_fd;
    sigset_t old_signals;
    struct serial_watch *serial_watch; // or NULL
    bool panicked; // since the last reset; main loop and serial line, machine lock held
};

extern const struct board board_virt, board_none;

// Adds dev to the machine (its path set by the caller); destroys it and fails when there is no memory. NULL
// dev is not allowed.
int machine_add_device(struct machine *machine, struct device *dev, struct error *err);

// accel_events.stopped of the machine's accelerator; opaque is the machine.
void machine_vcpu_stopped(void *opaque, unsigned cpu, int reason);

// The chardev for a device: *ret is NULL when id is NULL.
int machine_take_chardev(struct machine *machine, const char *id, struct chardev **ret, struct error *err);

// Puts the watch (serial_watch.c) between a serial line and *chardev, which may be NULL.
int machine_watch_serial(struct machine *machine, struct chardev **chardev, struct error *err);
void machine_serial_watch_destroy(struct machine *machine);

// Opens what a -drive entry describes; if=virtio and no if= also makes the disk device, once the board is
// there.
int machine_open_drive(struct machine *machine, struct keyval_list *options, struct error *err);
int machine_add_drive_devices(struct machine *machine, struct error *err);
struct machine_drive *machine_find_drive(struct machine *machine, const char *id);
void machine_close_drives(struct machine *machine);

#endif
