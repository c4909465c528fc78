// SPDX-License-Identifier: MIT
// Snapshots of a machine in its disk images: each writable disk keeps its contents, the first one the machine's state, too.
// Main thread, machine lock held, vCPUs parked. 0 or a negative errno and a sentence.
#ifndef MACHINES_MACHINE_STATE_DISK_H
#define MACHINES_MACHINE_STATE_DISK_H

#include "machines/machine_state.h"

struct machine_disk_snapshot {
    char id[24], name[256];
    uint64_t state_size; // bytes; 0: of the disk alone
    int64_t clock;       // ns of the machine's clock
    int64_t date;        // seconds since 1970
};

// Whether all disks can take part: there is one, and none is written that cannot.
int machine_disks_check(struct machine *machine, struct error *err);
// *ret_list is the caller's to free. Without a disk that can hold any, there are none.
int machine_disks_list(struct machine *machine, struct machine_disk_snapshot **ret_list, size_t *ret_count,
                       struct error *err);
int machine_disks_find(struct machine *machine, const char *name, struct machine_disk_snapshot *ret, struct error *err);
// Whether every disk that takes part has the snapshot: what can be known before the first is changed.
int machine_disks_all_have(struct machine *machine, const char *name, struct error *err);
// Takes the snapshot that the state written before belongs to; id and date are filled in.
int machine_disks_create(struct machine *machine, const char *name, uint64_t state_size, struct error *err);
int machine_disks_apply(struct machine *machine, const char *name, struct error *err);
int machine_disks_delete(struct machine *machine, const char *name, struct error *err);
int machine_disks_write_state(struct machine *machine, uint64_t offset, const void *data, size_t size, struct error *err);
// Of this snapshot, whether it was applied or not.
int machine_disks_read_state(struct machine *machine, const char *name, uint64_t offset, void *data, size_t size,
                             struct error *err);

#endif
