// SPDX-License-Identifier: MIT
// A tap on the first serial line, which tells two things about the guest that no device does: that it has
// written nothing for -watchdog-timeout seconds, and that it announced a panic (Linux on a board without a panic
// device says so on its console only). Time is the machine's, so a stopped machine is not hung.
//
// A panic changes nothing by itself unless -action panic= asks for it; it is kept until the next reset, and a run
// that ends by itself meanwhile ends with MACHINE_GUEST_PANICKED.
#include "machines/machine_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char panic_text[] = "Kernel panic - not syncing";
enum { LINE_HEAD = 96 }; // bytes of a line looked at: a time stamp and panic_text fit

struct serial_watch {
    struct chardev chardev; // what the serial line writes to
    struct chardev *below;  // where it goes on, or NULL
    struct machine *machine;
    struct loop_timer timer; // armed with a timeout only
    char line[LINE_HEAD + 1];
    size_t line_len;
};

static void wind(struct serial_watch *w)
{
    unsigned timeout = w->machine->config.watchdog_timeout;
    if (timeout)
        loop_timer_arm(&w->timer, clock_now(&w->machine->clock) + timeout * 1000000000ll);
}

static void expired(void *opaque)
{
    struct serial_watch *w = opaque;
    fprintf(stderr, "isomer: the guest has written nothing for %u s\n", w->machine->config.watchdog_timeout);
    machine_quit(w->machine, w->machine->panicked ? MACHINE_GUEST_PANICKED : MACHINE_HUNG);
}

// Whether the line is the announcement, perhaps behind a time stamp: what a program of the guest quotes in the middle
// of a line is none.
static bool announces_panic(const char *line)
{
    if (*line == '[') {
        const char *end = strchr(line, ']');
        if (!end || end[1] != ' ')
            return false;
        line = end + 2;
    }
    return !strncmp(line, panic_text, sizeof panic_text - 1);
}

static void read_lines(struct serial_watch *w, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n') {
            w->line[w->line_len] = 0;
            if (announces_panic(w->line))
                machine_guest_panicked(w->machine);
            w->line_len = 0;
        } else if (w->line_len < LINE_HEAD && text[i] != '\r') {
            w->line[w->line_len++] = text[i];
        }
    }
}

static int tap_write(struct chardev *chardev, const void *buf, size_t len)
{
    struct serial_watch *w = (struct serial_watch *)chardev;
    wind(w);
    int written = chardev_write(w->below, buf, len);
    if (written > 0)
        read_lines(w, buf, (size_t)written);
    return written;
}

static void tap_accept_input(struct chardev *chardev)
{
    chardev_accept_input(((struct serial_watch *)chardev)->below);
}

static const struct chardev_ops tap_ops = {.write = tap_write, .accept_input = tap_accept_input};

static size_t below_can_receive(void *opaque)
{
    return chardev_can_deliver(opaque);
}

static void below_receive(void *opaque, const uint8_t *buf, size_t len)
{
    chardev_deliver(opaque, buf, len);
}

static void below_event(void *opaque, enum chardev_event event)
{
    chardev_notify(opaque, event);
}

static const struct chardev_sink below_sink = {below_can_receive, below_receive, below_event};

int machine_watch_serial(struct machine *machine, struct chardev **chardev, struct error *err)
{
    struct serial_watch *w = calloc(1, sizeof *w);
    int r = w ? loop_timer_init(machine->loop, &w->timer, &machine->clock, expired, w) : -ENOMEM;
    if (r) {
        free(w);
        return error_set(err, r, "out of memory");
    }
    w->chardev.ops = &tap_ops;
    w->below = *chardev;
    w->machine = machine;
    machine->serial_watch = w;
    chardev_attach(w->below, &below_sink, &w->chardev);
    *chardev = &w->chardev;
    wind(w);
    return 0;
}

void machine_serial_watch_destroy(struct machine *machine)
{
    struct serial_watch *w = machine->serial_watch;
    if (!w)
        return;
    chardev_attach(w->below, NULL, NULL);
    loop_timer_destroy(&w->timer);
    free(w);
    machine->serial_watch = NULL;
}
