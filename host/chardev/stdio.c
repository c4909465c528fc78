// SPDX-License-Identifier: MIT
// Owns the terminal (or pipe) that the process was started from: raw mode while a machine uses it, and its
// restoration when the channel is destroyed, which every orderly end of a run does, signals included.
#include "base/error.h"
#include "host/chardev/chardev_internal.h"
#include "host/chardev/fd_channel.h"

#include <errno.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

struct stdio_chardev {
    struct fd_channel channel;
    bool was_tty, announced;
    struct termios old;
};

static void stdio_destroy(struct chardev *chardev)
{
    enum { FLUSH_MS = 2000 };
    struct stdio_chardev *s = (struct stdio_chardev *)chardev;
    fd_channel_flush(&s->channel, FLUSH_MS);
    if (s->was_tty)
        tcsetattr(STDIN_FILENO, TCSANOW, &s->old);
    fd_channel_disconnect(&s->channel);
    free(s);
}

// The terminal is there from the first: say so to the first sink.
static void stdio_accept_input(struct chardev *chardev)
{
    struct stdio_chardev *s = (struct stdio_chardev *)chardev;
    if (!s->announced) {
        s->announced = true;
        chardev_notify(chardev, CHARDEV_OPENED);
    }
    fd_channel_accept_input(chardev);
}

static const struct chardev_ops stdio_ops = {
    .write = fd_channel_write, .room = fd_channel_room, .accept_input = stdio_accept_input, .destroy = stdio_destroy};

int chardev_open_stdio(struct keyval_list *options, struct loop *loop, struct chardev **ret,
                       struct error *err)
{
    bool signals = true;
    int r = keyval_bool(options, "signal", &signals, err);
    if (r)
        return r;
    struct stdio_chardev *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, -ENOMEM, "out of memory");
    fd_channel_init(&s->channel, loop, &stdio_ops);
    r = fd_channel_connect(&s->channel, STDIN_FILENO, STDOUT_FILENO);
    if (r) {
        free(s);
        return error_set(err, r, "cannot use standard input");
    }
    // Output processing stays as it was, so that our own messages keep their line ends.
    if (isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &s->old)) {
        struct termios raw = s->old;
        raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
        raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | (signals ? 0 : ISIG));
        raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        s->was_tty = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    *ret = &s->channel.chardev;
    return 0;
}
