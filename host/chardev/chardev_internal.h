// SPDX-License-Identifier: MIT
// The constructors of the back ends, for the table in open.c only.
#ifndef HOST_CHARDEV_CHARDEV_INTERNAL_H
#define HOST_CHARDEV_CHARDEV_INTERNAL_H

#include "host/chardev/backends.h"

int chardev_open_stdio(struct keyval_list *options, struct loop *loop, struct chardev **ret,
                       struct error *err);
int chardev_open_file(struct keyval_list *options, struct loop *loop, struct chardev **ret,
                      struct error *err);
int chardev_open_null(struct keyval_list *options, struct loop *loop, struct chardev **ret,
                      struct error *err);
int chardev_open_pty(struct keyval_list *options, struct loop *loop, struct chardev **ret, struct error *err);
int chardev_open_pipe(struct keyval_list *options, struct loop *loop, struct chardev **ret,
                      struct error *err);
int chardev_open_socket(struct keyval_list *options, struct loop *loop, struct chardev **ret,
                        struct error *err);
int chardev_open_testdev(struct keyval_list *options, struct loop *loop, struct chardev **ret,
                         struct error *err);

#endif
