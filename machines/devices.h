// SPDX-License-Identifier: MIT
// The devices that -device can add to a machine. Private to machines/.
#ifndef MACHINES_DEVICES_H
#define MACHINES_DEVICES_H

#include "machines/machine_internal.h"

// Makes the device that options name ("driver") and adds it. Unknown devices and properties are errors.
int devices_add(struct machine *machine, struct keyval_list *options, struct error *err);

// A virtio disk over an open drive.
int devices_add_virtio_blk(struct machine *machine, struct machine_drive *drive, const char *serial,
                           struct error *err);

#endif
