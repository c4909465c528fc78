// SPDX-License-Identifier: MIT
// Semihosting: what a bare program asks of its debugger by HLT #0xf000, answered by the machine itself (Arm "Semihosting
// for AArch32 and AArch64" 3.0). Private to machines/.
//
// The guest's console is a character device or the host's standard output. Files are those of one folder that the user
// named, and nothing that leads out of it; without one there are none. Thread: calls come from vCPU threads, one at a
// time by a lock of its own; output to a character device takes the machine lock.
//
// A saved state holds the handles of the console and of the features. Files are the host's, who may have lost them by then:
// while the guest has one open, the machine cannot be saved.
#ifndef MACHINES_SEMIHOST_H
#define MACHINES_SEMIHOST_H

#include "accel/ports.h"
#include "machines/machine_internal.h"

struct semihost;

// What -semihosting-config says: enable=, target=, chardev=, userspace=, arg=, folder=, readonly=. *ret_semihost is NULL
// when it is not enabled; else one of the machine's devices, which owns it. RAM is where HEAPINFO says that heap and stack
// may be.
int semihost_create(struct machine *machine, struct keyval_list *options, uint64_t ram_base, uint64_t ram_size,
                    struct semihost **ret_semihost, struct error *err);
// The port of the vCPUs; lives as long as it does. NULL for NULL.
const struct vcpu_semihost *semihost_port(const struct semihost *semihost);

#endif
