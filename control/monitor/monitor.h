// SPDX-License-Identifier: MIT
// The human monitor: QEMU's HMP commands over a character device. Several may be attached to one machine.
// Thread: create and destroy on the main thread with the machine lock held; it works from the event loop.
#ifndef CONTROL_MONITOR_MONITOR_H
#define CONTROL_MONITOR_MONITOR_H

#include "machines/machine.h"

struct chardev;
struct monitor;

// chardev is borrowed and outlives the monitor. 0 or -ENOMEM.
int monitor_create(struct machine *machine, struct chardev *chardev, struct monitor **ret_monitor,
                   struct error *err);
void monitor_destroy(struct monitor *monitor); // NULL is allowed

// One command as text ("info status"); its output goes to out. Machine lock held, vCPUs parked where the
// command needs it (monitor_needs_stop). For QMP's human-monitor-command.
void monitor_command(struct machine *machine, const char *line, FILE *out);
bool monitor_needs_stop(const char *line);

// The same for one who has chosen a CPU with "cpu N" before, or does it with this command.
struct monitor_session {
    unsigned cpu;
};
void monitor_session_command(struct monitor_session *session, struct machine *machine, const char *line, FILE *out);

#endif
