// SPDX-License-Identifier: MIT
// Owns the back end by which a test program ends the run (kvm-unit-tests' chr-testdev): what the guest writes
// is a sequence of commands, each an optional decimal number and a letter; "q" ends the run with status
// number * 2 + 1, as QEMU does. White space stands anywhere; other letters do nothing.
#include "base/error.h"
#include "host/chardev/chardev_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

struct test_chardev {
    struct chardev chardev;
    uint32_t number;
    void (*quit)(void *opaque, int status);
    void *opaque;
};

static int test_write(struct chardev *chardev, const void *buf, size_t len)
{
    struct test_chardev *t = (struct test_chardev *)chardev;
    const uint8_t *text = buf;
    for (size_t i = 0; i < len; i++) {
        if (isspace(text[i]))
            continue;
        if (isdigit(text[i])) {
            t->number = t->number * 10 + text[i] - '0';
            continue;
        }
        if (text[i] == 'q' && t->quit)
            t->quit(t->opaque, (int)((t->number << 1 | 1) & 0xff));
        t->number = 0;
    }
    return (int)len;
}

static void test_destroy(struct chardev *chardev)
{
    free(chardev);
}

static const struct chardev_ops test_ops = {.write = test_write, .destroy = test_destroy};

int chardev_open_testdev(struct keyval_list *options, struct loop *loop, struct chardev **ret,
                         struct error *err)
{
    struct test_chardev *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, -ENOMEM, "out of memory");
    t->chardev.ops = &test_ops;
    *ret = &t->chardev;
    return 0;
}

void chardev_on_quit(struct chardev *chardev, void (*quit)(void *opaque, int status), void *opaque)
{
    struct test_chardev *t = (struct test_chardev *)chardev;
    if (chardev->ops != &test_ops)
        return;
    t->quit = quit;
    t->opaque = opaque;
}
