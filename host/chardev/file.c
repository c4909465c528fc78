// SPDX-License-Identifier: MIT
// Owns the back ends without a reader: a file that collects the output, and the null device.
#include "base/error.h"
#include "host/chardev/chardev_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct file_chardev {
    struct chardev chardev;
    int fd;
};

// A regular file takes what it is given; a full disk drops the rest.
static int file_write(struct chardev *chardev, const void *buf, size_t len)
{
    struct file_chardev *f = (struct file_chardev *)chardev;
    ssize_t n = write(f->fd, buf, len);
    return n < 0 ? -errno : (int)n;
}

static void file_destroy(struct chardev *chardev)
{
    struct file_chardev *f = (struct file_chardev *)chardev;
    close(f->fd);
    free(f);
}

static const struct chardev_ops file_ops = {.write = file_write, .destroy = file_destroy};

int chardev_open_file(struct keyval_list *options, struct loop *loop, struct chardev **ret, struct error *err)
{
    const char *path = keyval_get(options, "path");
    bool append = false;
    if (!path)
        return error_set(err, -EINVAL, "chardev file: path= is missing");
    int r = keyval_bool(options, "append", &append, err);
    if (r)
        return r;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
    if (fd < 0)
        return error_set(err, -errno, "chardev file: cannot open '%s': %s", path, strerror(errno));
    struct file_chardev *f = calloc(1, sizeof *f);
    if (!f) {
        close(fd);
        return error_set(err, -ENOMEM, "out of memory");
    }
    *f = (struct file_chardev){.chardev.ops = &file_ops, .fd = fd};
    *ret = &f->chardev;
    return 0;
}

static int null_write(struct chardev *chardev, const void *buf, size_t len)
{
    return (int)len;
}

static void null_destroy(struct chardev *chardev)
{
    free(chardev);
}

static const struct chardev_ops null_ops = {.write = null_write, .destroy = null_destroy};

int chardev_open_null(struct keyval_list *options, struct loop *loop, struct chardev **ret, struct error *err)
{
    struct chardev *c = calloc(1, sizeof *c);
    if (!c)
        return error_set(err, -ENOMEM, "out of memory");
    c->ops = &null_ops;
    *ret = c;
    return 0;
}
