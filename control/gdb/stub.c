// SPDX-License-Identifier: MIT
// Owns the connection with the debugger and its relation to the machine's life: who let it run, who is owed a stop
// reply, and packets that wait until the vCPUs are parked. Everything runs on the event loop with the machine lock.
#include "base/error.h"
#include "control/gdb/gdb_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void write_bytes(struct gdb *gdb, const void *bytes, size_t len)
{
    chardev_write(gdb->config.chardev, bytes, len);
}

void gdb_send(struct gdb *gdb)
{
    gdb->frame_len = gdb_frame(&gdb->reply, gdb->frame);
    write_bytes(gdb, gdb->frame, gdb->frame_len);
    gdb_reply_clear(&gdb->reply);
}

void gdb_ok(struct gdb *gdb)
{
    gdb_put(&gdb->reply, "OK");
}

void gdb_error(struct gdb *gdb, unsigned code)
{
    gdb_reply_clear(&gdb->reply);
    gdb_put(&gdb->reply, "E%02x", code);
}

static bool dispatch(struct gdb *gdb, const struct gdb_command *table, const char *packet)
{
    for (; table->prefix; table++) {
        size_t n = strlen(table->prefix);
        if (strncmp(packet, table->prefix, n) || (table->whole && packet[n]))
            continue;
        table->serve(gdb, packet + n);
        return true;
    }
    return false;
}

// vCPUs parked. A packet nobody knows gets the empty reply.
static void serve(struct gdb *gdb)
{
    const char *packet = (const char *)gdb->parser.data;
    gdb_reply_clear(&gdb->reply);
    gdb->no_reply = false;
    if (!dispatch(gdb, gdb_query_commands, packet) && !dispatch(gdb, gdb_data_commands, packet))
        dispatch(gdb, gdb_run_commands, packet);
    if (gdb->reply.full)
        gdb_error(gdb, GDB_E_ROOM);
    if (!gdb->no_reply)
        gdb_send(gdb);
    gdb->no_ack = gdb->no_ack_next;
}

static void ask_to_stop(struct gdb *gdb)
{
    if (gdb->stop_asked)
        return;
    gdb->stop_asked = true;
    machine_request(gdb->machine, MACHINE_STOP);
}

static void on_packet(struct gdb *gdb)
{
    if (!gdb->no_ack)
        write_bytes(gdb, "+", 1);
    if (gdb->resumed && !gdb->stop_asked) { // it runs by the debugger's own wish: only Ctrl-C makes sense
        gdb_error(gdb, GDB_E_PROTOCOL);
        gdb_send(gdb);
    } else if (gdb->stop_asked || machine_running(gdb->machine)) {
        gdb->held = true;
        gdb->borrowed |= !gdb->stop_asked;
        ask_to_stop(gdb);
    } else {
        serve(gdb);
    }
}

static void on_interrupt(struct gdb *gdb)
{
    if (!gdb->resumed)
        return;
    if (machine_running(gdb->machine))
        ask_to_stop(gdb);
    else
        gdb->interrupt = true;
}

static void pump(struct gdb *gdb)
{
    while (!gdb->held && gdb->pending_at < gdb->pending_len) {
        switch (gdb_parse(&gdb->parser, gdb->pending[gdb->pending_at++])) {
        case GDB_INPUT_PACKET: on_packet(gdb); break;
        case GDB_INPUT_INTERRUPT: on_interrupt(gdb); break;
        case GDB_INPUT_BAD:
            if (!gdb->no_ack)
                write_bytes(gdb, "-", 1);
            break;
        case GDB_INPUT_NACK:
            if (!gdb->no_ack)
                write_bytes(gdb, gdb->frame, gdb->frame_len);
            break;
        case GDB_INPUT_ACK:
        case GDB_INPUT_NONE: break;
        }
    }
    if (gdb->pending_at == gdb->pending_len)
        gdb->pending_at = gdb->pending_len = 0;
}

// ---- what the machine tells ----------------------------------------------------------------------------------------

static void on_stopped(struct gdb *gdb, const struct machine_event *event)
{
    gdb->stop_asked = false;
    if (gdb->dropping) {
        gdb->dropping = false;
        gdb_remove_points(gdb);
        if (!gdb->connected)
            machine_request(gdb->machine, MACHINE_CONT);
    }
    if (!gdb->connected)
        return;
    if (event->debug)
        gdb->borrowed = false;
    gdb_note_stop(gdb, event);
    if (gdb->resumed) {
        gdb->resumed = gdb->interrupt = false;
        gdb_reply_clear(&gdb->reply);
        gdb_put_stop(gdb);
        gdb_send(gdb);
    }
    if (gdb->held) {
        gdb->held = false;
        serve(gdb);
    }
    pump(gdb);
    chardev_accept_input(gdb->config.chardev);
    if (gdb->borrowed && !gdb->held) {
        gdb->borrowed = false;
        if (!gdb->resumed)
            machine_request(gdb->machine, MACHINE_CONT);
    }
}

static void on_ending(struct gdb *gdb, int status)
{
    if (!gdb->connected || !gdb->resumed)
        return;
    gdb->resumed = false;
    gdb_reply_clear(&gdb->reply);
    gdb_put(&gdb->reply, gdb->multiprocess ? "W%02x;process:1" : "W%02x", status & 0xff);
    gdb_send(gdb);
}

static void on_machine(void *opaque, const struct machine_event *event)
{
    struct gdb *gdb = opaque;
    switch (event->kind) {
    case MACHINE_STOPPED: on_stopped(gdb, event); break;
    case MACHINE_RESUMED:
        if (gdb->interrupt)
            ask_to_stop(gdb);
        gdb->interrupt = false;
        break;
    case MACHINE_ENDING: on_ending(gdb, event->status); break;
    case MACHINE_WAS_RESET:
    case MACHINE_SHUT_DOWN:
    case MACHINE_POWER_KEY:
    case MACHINE_GUEST_PANIC:
    case MACHINE_WATCHDOG:
    case MACHINE_DEVICE_GONE: break;
    }
}

// ---- the character device ------------------------------------------------------------------------------------------

static void hang_up(struct gdb *gdb)
{
    bool was_resumed = gdb->resumed;
    gdb->connected = gdb->resumed = gdb->held = gdb->borrowed = gdb->interrupt = false;
    gdb->pending_at = gdb->pending_len = 0;
    if (gdb->stop_asked) { // nobody is there any more who would let it run after the stop that is to come
        gdb->dropping = true;
        return;
    }
    if (!gdb->point_count)
        return;
    if (was_resumed || machine_running(gdb->machine)) {
        gdb->dropping = true;
        ask_to_stop(gdb);
    } else {
        gdb_remove_points(gdb);
    }
}

static void pick_up(struct gdb *gdb)
{
    if (gdb->connected)
        hang_up(gdb);
    gdb_parser_reset(&gdb->parser);
    gdb->frame_len = 0;
    gdb->connected = true;
    gdb->no_ack = gdb->no_ack_next = gdb->multiprocess = gdb->swbreak = gdb->hwbreak = gdb->physical = false;
    gdb->cpu = gdb->stop_cpu = 0;
    gdb->stop_signal = GDB_SIGNAL_TRAP;
    gdb->stop_point = NULL;
    if (machine_running(gdb->machine))
        ask_to_stop(gdb);
}

static void on_channel(void *opaque, enum chardev_event event)
{
    struct gdb *gdb = opaque;
    if (event == CHARDEV_OPENED)
        pick_up(gdb);
    else if (event == CHARDEV_CLOSED && gdb->connected)
        hang_up(gdb);
}

static size_t can_receive(void *opaque)
{
    const struct gdb *gdb = opaque;
    return sizeof gdb->pending - gdb->pending_len;
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct gdb *gdb = opaque;
    if (!gdb->connected) // a device that does not tell of connections
        pick_up(gdb);
    size_t room = can_receive(gdb);
    len = len < room ? len : room;
    memcpy(gdb->pending + gdb->pending_len, buf, len);
    gdb->pending_len += len;
    pump(gdb);
}

static const struct chardev_sink sink = {can_receive, receive, on_channel};

int gdb_create(const struct gdb_config *config, struct gdb **ret_gdb, struct error *err)
{
    if (!machine_accel(config->machine))
        return error_set(err, -ENOTSUP, "this machine has no CPUs to debug");
    struct gdb *gdb = calloc(1, sizeof *gdb);
    if (!gdb)
        return error_set(err, -ENOMEM, "out of memory for the debugger stub");
    gdb->config = *config;
    gdb->machine = config->machine;
    gdb->accel = machine_accel(config->machine);
    gdb->isa = machine_isa(config->machine);
    gdb->cpu_count = machine_config(config->machine)->cpu_count;
    gdb->stop_signal = GDB_SIGNAL_TRAP;
    gdb->listener = (struct machine_listener){.notify = on_machine, .opaque = gdb};
    gdb->core_regs = gdb_count_core_regs(gdb->isa);
    if (gdb_make_xml(gdb->isa, &gdb->xml, &gdb->xml_len)) {
        free(gdb);
        return error_set(err, -ENOMEM, "out of memory for the debugger stub");
    }
    pthread_mutex_lock(machine_lock(gdb->machine));
    machine_listen(gdb->machine, &gdb->listener);
    chardev_attach(config->chardev, &sink, gdb);
    pthread_mutex_unlock(machine_lock(gdb->machine));
    *ret_gdb = gdb;
    return 0;
}

void gdb_destroy(struct gdb *gdb)
{
    if (!gdb)
        return;
    pthread_mutex_lock(machine_lock(gdb->machine));
    chardev_attach(gdb->config.chardev, NULL, NULL);
    machine_unlisten(gdb->machine, &gdb->listener);
    pthread_mutex_unlock(machine_lock(gdb->machine));
    free(gdb->xml);
    free(gdb);
}
