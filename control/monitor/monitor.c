// SPDX-License-Identifier: MIT
// Owns one human monitor: line editing, the prompt, and running one command at a time on the main thread.
// Invariant: while a command runs (busy), input waits in the chardev; a command that changes the machine's
// life is finished only when the change has happened, so that the next one sees it.
#include "control/monitor/monitor.h"
#include "base/error.h"
#include "control/snapshot/snapshot.h"
#include "host/chardev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1024 };

struct monitor {
    struct machine *machine;
    struct chardev *chardev;
    struct machine_call call, settled;
    struct monitor_session session;
    char line[LINE_MAX_BYTES], last[LINE_MAX_BYTES];
    size_t len;
    unsigned escape; // inside an escape sequence: 1 after ESC, 2 after ESC [
    bool busy, greeted, after_return;
    bool waited; // the command's end is a migration's
};

#define PROMPT "(qemu) "

static void put(struct monitor *mon, const char *text, size_t len)
{
    for (size_t start = 0; start < len;) { // line ends as a raw terminal needs them
        const char *newline = memchr(text + start, '\n', len - start);
        size_t part = newline ? (size_t)(newline - text) - start : len - start;
        chardev_write(mon->chardev, text + start, part);
        if (newline)
            chardev_write(mon->chardev, "\r\n", 2);
        start += part + (newline ? 1 : 0);
    }
}

static void say(struct monitor *mon, const char *text)
{
    put(mon, text, strlen(text));
}

static void greet(struct monitor *mon)
{
    if (!mon->greeted)
        say(mon, "Isomer " ISOMER_VERSION " (QEMU 7.2.0) monitor - type 'help' for more information\n");
    mon->greeted = true;
    say(mon, PROMPT);
}

// After the requests that the command made were served.
static void settled(void *opaque)
{
    struct monitor *mon = opaque;
    char *text = NULL;
    size_t size = 0;
    FILE *out = mon->waited ? open_memstream(&text, &size) : NULL;
    if (out) {
        snapshot_hmp_waited(mon->machine, out);
        fclose(out);
        put(mon, text, size);
        free(text);
    }
    mon->busy = mon->waited = false;
    say(mon, PROMPT);
    chardev_accept_input(mon->chardev);
}

static void run(void *opaque)
{
    struct monitor *mon = opaque;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    snapshot_hmp_begin(mon->machine);
    if (out) {
        monitor_session_command(&mon->session, mon->machine, mon->line, out);
        fclose(out);
        put(mon, text, size);
        free(text);
    }
    mon->len = 0;
    mon->waited = snapshot_hmp_waits(mon->machine, &mon->settled);
    if (!mon->waited)
        machine_call(mon->machine, &mon->settled);
}

static void enter(struct monitor *mon)
{
    mon->line[mon->len] = 0;
    say(mon, "\n");
    if (mon->len)
        memcpy(mon->last, mon->line, mon->len + 1);
    mon->busy = true;
    mon->call = (struct machine_call){.fn = run, .opaque = mon, .stopped = monitor_needs_stop(mon->line)};
    mon->settled = (struct machine_call){.fn = settled, .opaque = mon};
    machine_call(mon->machine, &mon->call);
}

static void erase(struct monitor *mon, size_t count)
{
    for (; count && mon->len; count--) {
        mon->len--;
        say(mon, "\b \b");
    }
}

static void recall(struct monitor *mon)
{
    erase(mon, mon->len);
    mon->len = strlen(mon->last);
    memcpy(mon->line, mon->last, mon->len);
    put(mon, mon->line, mon->len);
}

static void key(struct monitor *mon, uint8_t byte)
{
    enum { CTRL_C = 3, BACKSPACE = 8, CTRL_U = 21, ESC = 27, DEL = 127 };
    bool second_half = byte == '\n' && mon->after_return; // of a carriage return, line feed pair
    mon->after_return = byte == '\r';
    if (mon->escape == 1) {
        mon->escape = byte == '[' ? 2 : 0;
    } else if (mon->escape == 2) {
        if (byte == 'A')
            recall(mon);
        mon->escape = byte >= '@' ? 0 : 2;
    } else if (byte == '\r' || byte == '\n') {
        if (!second_half)
            enter(mon);
    } else if (byte == BACKSPACE || byte == DEL) {
        erase(mon, 1);
    } else if (byte == CTRL_U || byte == CTRL_C) {
        erase(mon, mon->len);
    } else if (byte == ESC) {
        mon->escape = 1;
    } else if (byte >= ' ' && mon->len < LINE_MAX_BYTES - 1) {
        mon->line[mon->len++] = (char)byte;
        put(mon, (const char *)&byte, 1);
    }
}

// One byte at a time: what follows a line stays with the chardev until its command is done.
static size_t can_receive(void *opaque)
{
    return !((struct monitor *)opaque)->busy;
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        key(opaque, buf[i]);
}

static void event(void *opaque, enum chardev_event what)
{
    struct monitor *mon = opaque;
    if (what == CHARDEV_OPENED) {
        mon->len = 0;
        greet(mon);
    }
}

static const struct chardev_sink sink = {can_receive, receive, event};

int monitor_create(struct machine *machine, struct chardev *chardev, struct monitor **ret_monitor,
                   struct error *err)
{
    struct monitor *mon = calloc(1, sizeof *mon);
    if (!mon)
        return error_set(err, -ENOMEM, "out of memory");
    mon->machine = machine;
    mon->chardev = chardev;
    chardev_attach(chardev, &sink, mon);
    *ret_monitor = mon;
    return 0;
}

void monitor_destroy(struct monitor *monitor)
{
    if (!monitor)
        return;
    chardev_attach(monitor->chardev, NULL, NULL);
    free(monitor);
}
