// SPDX-License-Identifier: MIT
// Owns the back ends that are a pair of ends at the host: a pseudo-terminal, and a pair of named pipes.
#include "base/error.h"
#include "host/chardev/chardev_internal.h"
#include "host/chardev/fd_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

struct pair_chardev {
    struct fd_channel channel;
    int in, out, held; // held: the pty's other side, open so that ours never hangs up
};

static void pair_destroy(struct chardev *chardev)
{
    struct pair_chardev *p = (struct pair_chardev *)chardev;
    fd_channel_disconnect(&p->channel);
    close(p->in);
    if (p->out != p->in)
        close(p->out);
    if (p->held >= 0)
        close(p->held);
    free(p);
}

static const struct chardev_ops pair_ops = {
    .write = fd_channel_write, .room = fd_channel_room, .accept_input = fd_channel_accept_input, .destroy = pair_destroy};

static int make(int in, int out, int held, struct loop *loop, struct chardev **ret, struct error *err)
{
    struct pair_chardev *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, -ENOMEM, "out of memory");
    fd_channel_init(&p->channel, loop, &pair_ops);
    p->in = in;
    p->out = out;
    p->held = held;
    int r = fd_channel_connect(&p->channel, in, out);
    if (r) {
        free(p);
        return error_set(err, r, "out of memory");
    }
    *ret = &p->channel.chardev;
    return 0;
}

int chardev_open_pty(struct keyval_list *options, struct loop *loop, struct chardev **ret, struct error *err)
{
    const char *id = keyval_get(options, "id"), *link = keyval_get(options, "path");
    char name[128];
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) || unlockpt(master) || ptsname_r(master, name, sizeof name)) {
        int code = -errno;
        if (master >= 0)
            close(master);
        return error_set(err, code, "cannot open a pseudo-terminal: %s", strerror(-code));
    }
    int held = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios raw;
    if (held >= 0 && !tcgetattr(held, &raw)) {
        cfmakeraw(&raw);
        tcsetattr(held, TCSAFLUSH, &raw);
    }
    fcntl(master, F_SETFL, O_NONBLOCK);
    int r = held < 0 ? error_set(err, -errno, "cannot open '%s': %s", name, strerror(errno)) : 0;
    if (!r && link && symlink(name, link))
        r = error_set(err, -errno, "cannot make the link '%s': %s", link, strerror(errno));
    if (!r)
        r = make(master, master, held, loop, ret, err);
    if (r) {
        close(master);
        if (held >= 0)
            close(held);
        return r;
    }
    // the sentence that tools look for
    fprintf(stderr, "char device redirected to %s (label %s)\n", name, id ? id : "pty");
    return 0;
}

// As QEMU: path.in and path.out, or one path for both directions.
int chardev_open_pipe(struct keyval_list *options, struct loop *loop, struct chardev **ret, struct error *err)
{
    const char *path = keyval_get(options, "path");
    char name[4096];
    if (!path)
        return error_set(err, -EINVAL, "chardev pipe: path= is missing");
    snprintf(name, sizeof name, "%s.in", path);
    int in = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(name, sizeof name, "%s.out", path);
    int out = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (in < 0 || out < 0) {
        if (in >= 0)
            close(in);
        if (out >= 0)
            close(out);
        in = out = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (in < 0)
            return error_set(err, -errno, "chardev pipe: cannot open '%s': %s", path, strerror(errno));
    }
    int r = make(in, out, -1, loop, ret, err);
    if (r) {
        close(in);
        if (out != in)
            close(out);
    }
    return r;
}
