// SPDX-License-Identifier: MIT
// The state of a whole machine as a stream of bytes, and back: configuration, RAM, vCPUs, devices, time.
//
// A stream begins with 8 bytes "ISOMERVM", u32 version, u32 zero; all integers are little-endian. Chunks follow:
//   u16 type length, u16 path length, u16 version, u16 flags (1: required), u64 payload length, u32 CRC-32 of the
//   payload, u32 CRC-32 of header and names with this field zero; type, path, payload
// in this order:
//   machine  text, one "name=value" a line: what the machine is made of. Whoever loads it must be made of the same.
//   ram      path: the block. u64 first page of 4096 bytes, u32 pages, u8 form (enum in machine_state_internal.h), u8 zero,
//            u16 bytes of zero, those, data; plain data begins at a multiple of 4096 in the stream. A page may come
//            again, the last one counts; one that never comes is zero.
//   cpu      path: the number. As accel_cpu_save gives it.
//   device   chunks of hw/core/state.h, one a device, the machine's own ("/machine") first.
//   end      nothing
// A reader skips chunks it does not know unless they are required. A stream may be hostile: lengths are bounded and
// checked, and what does not fit is refused with a sentence.
//
// Times are machine-clock values: the clock goes on from where it was saved.
#ifndef MACHINES_MACHINE_STATE_H
#define MACHINES_MACHINE_STATE_H

#include "machines/machine.h"

enum state_compression { STATE_PLAIN, STATE_ZLIB, STATE_ZSTD };

// Where a stream goes. write takes all or fails with a negative errno and a sentence.
struct state_writer {
    int (*write)(void *opaque, const void *data, size_t size, struct error *err);
    void *opaque;
    uint64_t written;       // bytes
    uint8_t compression;    // enum state_compression, of RAM
    bool aligned;           // plain pages are to lie at multiples of 4096: for files
};
// Where it comes from. read gives all or fails with a negative errno and a sentence; what ends early is -EPIPE.
struct state_reader {
    int (*read)(void *opaque, void *data, size_t size, struct error *err);
    void *opaque;
};

// False where this build lacks it.
bool machine_state_can_compress(enum state_compression compression);

// ---- saving: begin, any number of rounds, the rest; then the stream is complete -------------------------------------------
struct machine_save; // what is to be sent of RAM

int machine_save_begin(struct machine *machine, struct state_writer *to, struct machine_save **ret_save, struct error *err);
void machine_save_end(struct machine_save *save); // NULL is allowed
// Main thread aside, any thread without the machine lock; the machine may run. Sends the pages that have changed since
// the last round, in the first one all that are not zero, and returns the number of those in *ret_pages. stop ends it
// early with -ECANCELED when it becomes true.
int machine_save_round(struct machine_save *save, struct state_writer *to, const _Atomic bool *stop, uint64_t *ret_pages,
                       struct error *err);
// Pages that would be sent now, bytes of all RAM.
uint64_t machine_save_dirty(const struct machine_save *save);
uint64_t machine_ram_bytes(struct machine *machine);
// Main thread, machine lock held, vCPUs parked: quiesces devices and drives and sends all that is left. The clock stands
// meanwhile. running: what whoever loads it is told of whether the machine ran.
int machine_save_rest(struct machine_save *save, struct state_writer *to, bool running, struct error *err);

// ---- loading ---------------------------------------------------------------------------------------------------------------
struct machine_load;

// Main thread, lock held (or nothing runs yet), vCPUs parked: quiesces devices and drives, so that disks may change.
int machine_load_begin(struct machine *machine, struct machine_load **ret_load, struct error *err);
void machine_load_end(struct machine_load *load); // NULL is allowed
// Any thread, vCPUs parked. Reads a whole stream, checks all but the insides of device and CPU state, and puts RAM in
// place unless only_check. What it fails after may have changed RAM.
int machine_load_stream(struct machine_load *load, struct state_reader *from, bool only_check, struct error *err);
// Main thread, lock held, vCPUs parked, after a successful stream: time, vCPUs, devices. After a failure the machine is in no
// state to run. *ret_was_running: whether the machine ran when it was saved.
int machine_load_apply(struct machine_load *load, bool *ret_was_running, struct error *err);

// The same, after a load has failed that had begun to put state in place: the machine is reset and stands.
void machine_load_failed(struct machine *machine);

// What saves and loads this machine on behalf of its users (control/snapshot/), or NULL. Borrowed.
struct snapshot;
void machine_set_snapshot(struct machine *machine, struct snapshot *snapshot);
struct snapshot *machine_snapshot(const struct machine *machine);

// Main thread, lock held: a machine of config.incoming has its state, and runs from now on unless -S was given or the
// saved one stood.
void machine_arrived(struct machine *machine, bool was_running);

#endif
