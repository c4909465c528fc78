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
#include "machines/inputs.h"
#include "machines/loader.h"
#include "machines/machine.h"

#include <signal.h>

struct block;
struct fs;
struct pci_bus;
struct pci_device;
struct virtio_device;

// Where the device that is being made goes: what the properties that every device of its bus has came to.
struct device_place {
    bool pci; // else the board's other transport
    const char *id;   // or NULL
    const char *bus;  // id of the port that it is plugged into; NULL: the root bus
    int devfn;        // PCI; -1: the first free slot
    int slot;         // number of the virtio-mmio slot; -1: any
    unsigned vectors; // of MSI-X; ~0u: as many as the device has use for
    bool multifunction;
};

struct board {
    const char *name, *description;
    const char *default_cpu;
    uint64_t default_ram; // bytes
    unsigned cpu_max;
    // Builds everything; on failure what was made is left in *machine for machine_destroy.
    int (*create)(struct machine *machine, struct error *err);
    // Machine stopped, devices and vCPUs reset: puts the start-up contents into memory and starts the first
    // vCPU.
    int (*start)(struct machine *machine, struct error *err);
    // Give a device the place that machine.place names; it is in machine.devices already. NULL: no such bus.
    int (*plug_virtio)(struct machine *machine, struct virtio_device *vdev, struct error *err);
    int (*plug_watchdog)(struct machine *machine, struct error *err); // NULL: has no place for one
    int (*plug_pci)(struct machine *machine, struct pci_device *pdev, struct error *err);
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

// A device behind a PCI port or on a USB bus, which may be taken out.
struct machine_plugged {
    const char *id; // or NULL
    struct pci_device *port; // NULL: on a USB bus
    struct device *parts[4]; // of machine.devices, in order of their making
    unsigned part_count;
    struct keyval_list options; // of one that was added later
};
struct machine_netdev;
struct machine_nic;

struct machine_drive {
    const char *id, *serial;
    struct block *block;
    struct device *user; // the disk device that took it
    bool automatic; // makes its own disk device
    bool pflash;    // belongs to a flash bank
    bool cdrom;     // media=cdrom
    int unit;       // of the bank, -1: any
    bool taken;
    uint64_t queues; // of its disk device; 0: one
};

struct machine_fsdev {
    const char *id, *mount_tag; // mount_tag: makes its own device
    struct fs *fs;
    struct device *user; // the 9P device that took it
    bool taken;
};

enum { MACHINE_MAX_SERIAL_BUSES = 8, MACHINE_MAX_USB_BUSES = 8 };

struct machine_serial_bus {
    const char *id;             // or NULL
    struct virtio_device *vdev; // a virtio console, for its ports
};

struct machine_usb_bus {
    const char *id;          // or NULL
    struct pci_device *pdev; // the controller
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
    struct machine_netdev *netdevs; // nets.c
    struct machine_nic *nics;
    size_t netdev_count, nic_count;
    unsigned default_macs; // given out
    struct machine_listener net_listener;
    struct machine_fsdev *fsdevs;
    size_t fsdev_count;
    struct machine_serial_bus serial_buses[MACHINE_MAX_SERIAL_BUSES];
    unsigned serial_bus_count;
    struct machine_usb_bus usb_buses[MACHINE_MAX_USB_BUSES];
    unsigned usb_bus_count;
    struct virtio_device *balloon; // or NULL
    struct machine_input_device inputs[MACHINE_MAX_INPUTS];
    unsigned input_count;
    struct machine_keys keys;
    struct device **devices;
    size_t device_count;
    struct device_place place;
    bool hot; // a device is added to a machine that exists
    struct machine_plugged *plugged;
    size_t plugged_count;
    bool split_rings_only; // of the -device being made: packed=off
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
    struct snapshot *snapshot;         // machine_state.h; or NULL
    bool panicked; // since the last reset; main loop and serial line, machine lock held
    enum machine_run_state stopped_by; // while not running; main thread
    bool shutdown_told;
    bool leaving; // the state is on its way to somewhere else (machine_set_leaving)
};

extern const struct board board_virt, board_none;

// Adds dev to the machine (its path set by the caller); destroys it and fails when there is no memory. NULL
// dev is not allowed.
int machine_add_device(struct machine *machine, struct device *dev, struct error *err);

// The guest has panicked, for the first time since the last reset: -action panic= says what comes of it. Machine lock held.
void machine_guest_panicked(void *machine);
// -action watchdog= says what comes of it. Machine lock held.
void machine_watchdog_expired(struct machine *machine);

// Tells the listeners. Main thread, machine lock held.
void machine_tell(struct machine *machine, const struct machine_event *event);

// Devices behind PCI ports and on USB buses (hotplug.c): notes that machine.devices from first on are one; destroys what is on a bus that
// the guest let go; frees the list.
int machine_note_plugged(struct machine *machine, size_t first, struct error *err);
void machine_released(void *machine, struct pci_bus *bus);
void machine_forget_plugged(struct machine *machine);

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

// Opens the networks of -netdev, -nic and -net, and, once the board is there, makes the cards of the last two.
int machine_open_nets(struct machine *machine, struct error *err);
int machine_add_nics(struct machine *machine, struct error *err);
void machine_close_nets(struct machine *machine);
// The network of a device that is being taken out is free for another.
void machine_release_net(struct machine *machine, const struct device *user);
// The same for shared folders (fsdevs.c).
int machine_open_fsdev(struct machine *machine, struct keyval_list *options, struct error *err);
int machine_add_fs_devices(struct machine *machine, struct error *err);
void machine_close_fsdevs(struct machine *machine);

#endif
