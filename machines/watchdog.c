// SPDX-License-Identifier: MIT
// Owns -watchdog-timeout: a tap on the first serial line that ends the run when a running guest has written
// nothing for so long. Time is the machine's, so a stopped machine is not hung.
#include "machines/machine_internal.h"

#include <errno.h>
#include <stdlib.h>

struct machine_watchdog {
    struct chardev chardev; // what the serial line writes to
    struct chardev *below;  // where it goes on, or NULL
    struct machine *machine;
    struct loop_timer timer;
};

static void wind(struct machine_watchdog *w)
{
    loop_timer_arm(&w->timer,
                   clock_now(&w->machine->clock) + w->machine->config.watchdog_timeout * 1000000000ll);
}

static void expired(void *opaque)
{
    struct machine_watchdog *w = opaque;
    fprintf(stderr, "isomer: the guest has written nothing for %u s\n", w->machine->config.watchdog_timeout);
    machine_quit(w->machine, MACHINE_HUNG);
}

static int tap_write(struct chardev *chardev, const void *buf, size_t len)
{
    struct machine_watchdog *w = (struct machine_watchdog *)chardev;
    wind(w);
    return chardev_write(w->below, buf, len);
}

static void tap_accept_input(struct chardev *chardev)
{
    chardev_accept_input(((struct machine_watchdog *)chardev)->below);
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
    if (!machine->config.watchdog_timeout)
        return 0;
    struct machine_watchdog *w = calloc(1, sizeof *w);
    int r = w ? loop_timer_init(machine->loop, &w->timer, &machine->clock, expired, w) : -ENOMEM;
    if (r) {
        free(w);
        return error_set(err, r, "out of memory");
    }
    w->chardev.ops = &tap_ops;
    w->below = *chardev;
    w->machine = machine;
    machine->watchdog = w;
    chardev_attach(w->below, &below_sink, &w->chardev);
    *chardev = &w->chardev;
    wind(w);
    return 0;
}

void machine_watchdog_destroy(struct machine *machine)
{
    struct machine_watchdog *w = machine->watchdog;
    if (!w)
        return;
    chardev_attach(w->below, NULL, NULL);
    loop_timer_destroy(&w->timer);
    free(w);
    machine->watchdog = NULL;
}
