// SPDX-License-Identifier: MIT
// Owns the table of character back ends: the names that -chardev knows and who opens each.
#include "base/error.h"
#include "base/types.h"
#include "host/chardev/chardev_internal.h"

#include <errno.h>
#include <string.h>

static const struct {
    const char *name, *help;
    int (*open)(struct keyval_list *options, struct loop *loop, struct chardev **ret, struct error *err);
} backends[] = {
    {"stdio", "the terminal or pipe we were started from (signal=on|off)", chardev_open_stdio},
    {"file", "output to a file (path=FILE, append=on|off)", chardev_open_file},
    {"pty", "a pseudo-terminal of its own (path=LINK to it)", chardev_open_pty},
    {"pipe", "named pipes PATH.in and PATH.out (path=PATH)", chardev_open_pipe},
    {"socket", "TCP or Unix socket (host=,port= or path=, server=on|off, wait=on|off)", chardev_open_socket},
    {"testdev", "ends the run: a guest that writes Nq makes it status N * 2 + 1", chardev_open_testdev},
    {"null", "nothing: output is dropped, input never comes", chardev_open_null},
};

int chardev_open(struct keyval_list *options, struct loop *loop, struct chardev **ret_chardev,
                 struct error *err)
{
    const char *name = keyval_get(options, "backend");
    for (size_t i = 0; name && i < ARRAY_SIZE(backends); i++)
        if (!strcmp(backends[i].name, name))
            return backends[i].open(options, loop, ret_chardev, err);
    return error_set(err, -EINVAL, "there is no character device back end '%s'", name ? name : "");
}

void chardev_list_backends(FILE *out)
{
    fprintf(out, "Available chardev backend types:\n");
    for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
        fprintf(out, "  %-10s %s\n", backends[i].name, backends[i].help);
}
