// SPDX-License-Identifier: MIT
// The GDB remote stub: serves one debugger on a character device, a thread for each vCPU.
//
// Ownership: the stub borrows everything of its configuration; the chardev and machine outlive it. Thread: create and
// destroy on the main thread without the machine lock; everything else happens in callbacks of the event loop, which
// hold it. The stub never waits for vCPUs: it asks the machine to stop and goes on when told that it has.
#ifndef CONTROL_GDB_GDB_H
#define CONTROL_GDB_GDB_H

struct chardev;
struct error;
struct gdb;
struct machine;

struct gdb_config {
    struct machine *machine;
    struct chardev *chardev;
};

// 0; -ENOTSUP when the machine has no CPUs, -ENOMEM.
int gdb_create(const struct gdb_config *config, struct gdb **ret_gdb, struct error *err);
// Tells a waiting debugger that the connection ends. NULL is allowed.
void gdb_destroy(struct gdb *gdb);

#endif
