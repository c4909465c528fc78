// SPDX-License-Identifier: MIT
// The host's ends of character channels: terminal, file, pty, sockets, and a multiplexer over any of them.
//
// Options are QEMU's -chardev lists ("socket,id=x,host=…,port=…,server=on,wait=off"). The caller owns the
// result and frees it with chardev_destroy. Thread: machine lock held, except that opening may happen before
// the loop runs.
#ifndef HOST_CHARDEV_BACKENDS_H
#define HOST_CHARDEV_BACKENDS_H

#include "base/keyval.h"
#include "host/chardev.h"

#include <stdio.h>

struct error;
struct loop;

// The back end that options name ("backend", the first word). Keys it does not know are left unused in the
// list.
int chardev_open(struct keyval_list *options, struct loop *loop, struct chardev **ret_chardev,
                 struct error *err);
// Who ends the run when the guest of a testdev asks for it, with the machine lock held; nothing for other back ends.
void chardev_on_quit(struct chardev *chardev, void (*quit)(void *opaque, int status), void *opaque);
// One line a back end.
void chardev_list_backends(FILE *out);

// Several front ends over one back end. Input goes to the front in focus; escape ("Ctrl-A" is 1) then
// h: help, x: quit, c: next front, b: break, escape: itself.
struct chardev_mux;
enum { CHARDEV_MUX_FRONTS = 4 };
// Takes below. quit is called on the loop's thread with the machine lock held.
int chardev_mux_create(struct chardev *below, uint8_t escape, void (*quit)(void *opaque), void *opaque,
                       struct chardev_mux **ret_mux, struct error *err);
void chardev_mux_destroy(struct chardev_mux *mux);
// A new front, owned by the mux; NULL when all are taken. The first one has the focus.
struct chardev *chardev_mux_front(struct chardev_mux *mux);

#endif
