// SPDX-License-Identifier: MIT
// QMP, QEMU's machine protocol: JSON over a character device. Several may be attached to one machine, each with its own
// negotiation; events go to all that have negotiated.
//
// Ownership: machine and chardev are borrowed and outlive the monitor. Thread: create and destroy on the main thread
// with the machine lock held; it works from the event loop.
#ifndef CONTROL_QMP_QMP_H
#define CONTROL_QMP_QMP_H

#include <stdbool.h>

struct chardev;
struct error;
struct machine;
struct qmp;

// pretty: replies over several lines. 0 or -ENOMEM.
int qmp_create(struct machine *machine, struct chardev *chardev, bool pretty, struct qmp **ret_qmp, struct error *err);
void qmp_destroy(struct qmp *qmp); // NULL is allowed

#endif
