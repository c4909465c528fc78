// SPDX-License-Identifier: MIT
// A whole machine: memory, devices, vCPUs, the event loop, and its life from power-on to power-off.
//
// Ownership: machine_create copies what it needs from the configuration; strings in it outlive the machine.
// Threads: create, run and destroy on one thread, the main thread, which must not hold the machine lock.
// Calls marked (any) may come from any thread, with or without the lock. Everything else needs the machine
// lock, which the event loop's callbacks (chardev sinks, timers) hold.
#ifndef MACHINES_MACHINE_H
#define MACHINES_MACHINE_H

#include "accel/accel.h"
#include "base/keyval.h"
#include "base/log.h"
#include "hw/core/input.h"

#include <stdio.h>

struct chardev;
struct error;
struct loop;
struct machine;

enum { MACHINE_MAX_SERIALS = 4 };

// How a run ended: the process's exit status. A guest-chosen status (test devices) is passed through as it
// is.
enum machine_outcome {
    MACHINE_POWERED_OFF = 0, // also: reset under -no-reboot, quit in a monitor
    MACHINE_FAILED = 1,      // could not start, or the host failed us
    MACHINE_GUEST_PANICKED = 3, // and then ended by itself, or -action panic=exit-failure ended it
    MACHINE_HUNG = 4,         // -watchdog-timeout expired
    MACHINE_TIERS_DIFFER = 5, // -accel lockstep found a difference
    MACHINE_KILLED = 128,     // + the signal's number
};

enum machine_panic { MACHINE_PANIC_IS_NOTED, MACHINE_PANIC_PAUSES, MACHINE_PANIC_ENDS };
// What a watchdog device's expiry does; the names are QEMU's.
enum machine_watchdog {
    MACHINE_WATCHDOG_RESET,
    MACHINE_WATCHDOG_SHUTDOWN, // presses the power key
    MACHINE_WATCHDOG_POWEROFF,
    MACHINE_WATCHDOG_PAUSE,
    MACHINE_WATCHDOG_NONE,
};

struct machine_config {
    const char *board; // "virt", "none"
    struct keyval_list board_options;
    const char *cpu; // "cortex-a72,pauth-impdef=on"; NULL: the board's default
    unsigned cpu_count;
    uint64_t ram_size; // bytes; 0: the board's default
    enum accel_engine engine;
    size_t code_cache_size; // bytes, 0: default
    enum accel_tier tier;
    bool one_pass_regions;
    bool perf_map;
    uint32_t without; // as accel_config
    bool exact_exclusives; // as accel_config
    const char *kernel, *initrd, *append, *dtb, *bios;
    const uint8_t *kernel_data; // a kernel in memory, borrowed, where kernel is NULL
    size_t kernel_size;         // bytes
    struct keyval_list *devices, *drives, *chardevs, *fw_cfg, *smbios;
    size_t device_count, drive_count, chardev_count, fw_cfg_count, smbios_count;
    struct keyval_list *netdevs, *nics, *nets; // -netdev, -nic, -net
    size_t netdev_count, nic_count, net_count;
    struct keyval_list *fsdevs; // -fsdev, and -virtfs with virtfs=on
    size_t fsdev_count;
    bool no_acpi;
    struct keyval_list semihosting; // of -semihosting-config; empty: off
    const char *serial[MACHINE_MAX_SERIALS]; // chardev ids; NULL: nothing connected
    bool snapshot;                           // writes to disks are thrown away
    bool no_reboot, no_shutdown, start_stopped;
    bool incoming; // nothing is loaded or started: a saved state comes (machine_state.h)
    enum machine_panic on_panic;
    enum machine_watchdog on_watchdog;
    unsigned watchdog_timeout; // seconds without progress, 0: off
    bool seeded;               // repeatable randomness from seed
    uint64_t seed;
    const char *name; // for people, or NULL
    const struct log *log;
};

int machine_create(struct machine_config *config, struct machine **ret_machine, struct error *err);
// Runs until the machine ends; the exit status.
int machine_run(struct machine *machine);
void machine_destroy(struct machine *machine); // NULL is allowed

// (any) Asks the main thread for a change of the machine's life.
enum machine_request {
    MACHINE_STOP = 1 << 0,
    MACHINE_CONT = 1 << 1,
    MACHINE_RESET = 1 << 2,      // by the guest: -no-reboot ends the run
    MACHINE_HARD_RESET = 1 << 3, // by the user: never ends the run
    MACHINE_POWER_OFF = 1 << 4,  // by the guest: -no-shutdown stops instead
    MACHINE_QUIT = 1 << 5,
    MACHINE_VCPU_STOPPED = 1 << 6, // by the accelerator
    MACHINE_PANIC = 1 << 7,        // the guest has: -action panic= says what comes of it
    MACHINE_WATCHDOG_EXPIRED = 1 << 8,
};
void machine_request(struct machine *machine, enum machine_request what);
// (any) Ends the run with this status; the first one wins.
void machine_quit(struct machine *machine, int status);

// What listeners hear, on the main thread with the machine lock held, after it has happened.
enum machine_event_kind {
    MACHINE_STOPPED,
    MACHINE_RESUMED,
    MACHINE_WAS_RESET,   // cause
    MACHINE_SHUT_DOWN,   // cause; once a run that ends, and at each power-off under -no-shutdown
    MACHINE_POWER_KEY,   // was pressed
    MACHINE_GUEST_PANIC,
    MACHINE_WATCHDOG, // a watchdog device expired
    MACHINE_DEVICE_GONE, // device: the guest has let go of it; told by the vCPU's thread
    MACHINE_ENDING,
};
enum machine_cause {
    MACHINE_BY_HOST_ERROR,
    MACHINE_BY_HOST_QUIT,
    MACHINE_BY_HOST_RESET,
    MACHINE_BY_HOST_SIGNAL,
    MACHINE_BY_HOST_UI,
    MACHINE_BY_GUEST_SHUTDOWN,
    MACHINE_BY_GUEST_RESET,
    MACHINE_BY_GUEST_PANIC,
};
struct machine_event {
    enum machine_event_kind kind;
    bool debug; // STOPPED by a vCPU, for the debugger: cpu and reason say which and why
    unsigned cpu;
    int reason; // enum accel_stop
    int status; // ENDING: the exit status
    enum machine_cause cause;
    const char *device; // its id
};
struct machine_listener {
    void (*notify)(void *opaque, const struct machine_event *event);
    void *opaque;
    struct machine_listener *next; // private
};
// The listener is the caller's memory and stays until machine_unlisten. A notify may request, not listen or
// unlisten.
void machine_listen(struct machine *machine, struct machine_listener *listener);
void machine_unlisten(struct machine *machine, struct machine_listener *listener);

// Machine lock held: runs fn on the main thread, after the requests made so far were served, with the machine
// lock held and, where stopped is set, every vCPU parked. The struct is the caller's and stays alive until fn
// was called.
struct machine_call {
    void (*fn)(void *opaque);
    void *opaque;
    bool stopped;
    struct machine_call *next; // private
};
void machine_call(struct machine *machine, struct machine_call *call);

// Adds a device as -device does, to a machine that exists: one on PCI, behind a port, or on a USB bus. Takes options in
// every case. The guest is told.
int machine_device_add(struct machine *machine, struct keyval_list *options, struct error *err);
// Asks the guest to let go of a device behind a PCI port; it is destroyed when the guest has. One on a USB bus is pulled
// out at once.
int machine_device_del(struct machine *machine, const char *id, struct error *err);

// The memory balloon (virtio-balloon): how much of its RAM the guest should keep, and how much it says it keeps. -ENODEV
// without one.
int machine_balloon(struct machine *machine, uint64_t bytes);
int machine_balloon_size(struct machine *machine, uint64_t *ret_bytes);
// Hands the guest input events that belong together (Linux's types, codes and values), to the input device that has the
// first one. -ENODEV where none has, -EAGAIN where the guest does not take them.
int machine_input(struct machine *machine, const struct input_event *events, unsigned count);
bool machine_has_input(const struct machine *machine, uint16_t type, uint16_t code);
// Presses keys (Linux's codes) one after the other and lets go of them hold_ns later, after what was pressed before. As
// machine_input, of all keys; -EAGAIN also where too many wait for their time.
int machine_press_keys(struct machine *machine, const uint16_t *codes, unsigned count, int64_t hold_ns);

// Main thread, lock held: from now on a machine that stands is not continued (-EBUSY of machine_may_run says so to who asks;
// requests for it are passed over), because its state is on its way to somewhere else; with away false it may be again.
void machine_set_leaving(struct machine *machine, bool away);
// Whether MACHINE_CONT has a chance, or the sentence why not: -EBUSY while its state leaves.
int machine_may_run(const struct machine *machine, struct error *err);

// Presses the board's power button.
void machine_power_key(struct machine *machine);
bool machine_running(const struct machine *machine);
// Why the machine does not run, or that it does. Main thread. The names are QEMU's.
enum machine_run_state {
    MACHINE_STATE_PRELAUNCH, // nothing ran since the start or the last reset
    MACHINE_STATE_RUNNING,
    MACHINE_STATE_PAUSED,
    MACHINE_STATE_SHUT_DOWN, // the guest powered off under -no-shutdown
    MACHINE_STATE_PANICKED,
    MACHINE_STATE_DEBUG,
    MACHINE_STATE_WATCHDOG,
    MACHINE_STATE_INMIGRATE, // its state is still to come
};
enum machine_run_state machine_run_state(const struct machine *machine);
const char *machine_run_state_name(enum machine_run_state state);

// For the control layer.
struct chardev *machine_chardev(struct machine *machine, const char *id); // NULL: no such chardev
pthread_mutex_t *machine_lock(struct machine *machine);
struct accel *machine_accel(struct machine *machine); // NULL for the board "none"
struct mem_space *machine_mem(struct machine *machine);
const struct machine_config *machine_config(const struct machine *machine);
const struct guest_isa *machine_isa(const struct machine *machine);
// The parts of a machine one by one; false behind the last one. Strings live as long as the machine.
struct machine_drive_info {
    const char *id, *file, *format;
    uint64_t size; // bytes
    bool readonly, used;
};
bool machine_get_drive(const struct machine *machine, size_t index, struct machine_drive_info *ret_info);
struct machine_chardev_info {
    const char *id, *backend;
    bool used;
};
bool machine_get_chardev(const struct machine *machine, size_t index, struct machine_chardev_info *ret_info);
struct machine_device_info {
    const char *type, *path;
};
bool machine_get_device(const struct machine *machine, size_t index, struct machine_device_info *ret_info);
struct machine_board_info {
    const char *name, *description, *default_cpu;
    unsigned cpu_max;
};
bool machine_get_board(size_t index, struct machine_board_info *ret_info);

// Lists for people: memory map, devices with their state.
void machine_print_map(struct machine *machine, FILE *out);
void machine_print_devices(struct machine *machine, FILE *out);
void machine_print_drives(struct machine *machine, FILE *out);
void machine_print_chardevs(struct machine *machine, FILE *out);
void machine_print_nets(struct machine *machine, FILE *out);
void machine_print_connections(struct machine *machine, FILE *out); // of user-mode networks
// Forwards a port of the host, or (add false) no longer; text is QEMU's, "[ID ]tcp:[ADDRESS]:PORT-[ADDRESS]:PORT".
int machine_hostfwd(struct machine *machine, const char *text, bool add, struct error *err);

// The text of the probes: "help" lists, one line an entry.
void machine_list_boards(FILE *out);
void machine_list_board_options(const char *board, FILE *out);
void machine_list_cpus(FILE *out);
void machine_list_devices(FILE *out);
void machine_list_netdevs(FILE *out);
void machine_list_nics(FILE *out);
// Properties of one device; false when there is no such device.
bool machine_list_device_options(const char *device, FILE *out);

#endif
