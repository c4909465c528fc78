// SPDX-License-Identifier: MIT
// Owns snapshots of a machine in its disks (savevm, loadvm, delvm): the machine's stream in the place that the first image
// has for it. Invariant: the stream is read through and checked, and each disk asked for its part, before anything of this
// machine or its disks is replaced.
#include "base/error.h"
#include "control/snapshot/snapshot_internal.h"
#include "machines/machine_state_disk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// A stream in a disk, in pieces of a size that images like.
struct disk_stream {
    struct machine *machine;
    const char *name; // of the snapshot to read
    uint64_t at, size;    // of what was written; of what there is to read
    size_t filled, taken; // of piece
    uint8_t piece[1 << 20];
};

static int flush(struct disk_stream *s, struct error *err)
{
    int r = s->filled ? machine_disks_write_state(s->machine, s->at, s->piece, s->filled, err) : 0;
    s->at += s->filled;
    s->filled = 0;
    return r;
}

static int write_disk(void *opaque, const void *data, size_t size, struct error *err)
{
    struct disk_stream *s = opaque;
    for (const uint8_t *from = data; size;) {
        size_t room = sizeof s->piece - s->filled, part = size < room ? size : room;
        memcpy(s->piece + s->filled, from, part);
        s->filled += part;
        from += part;
        size -= part;
        int r = s->filled == sizeof s->piece ? flush(s, err) : 0;
        if (r)
            return r;
    }
    return 0;
}

static int read_disk(void *opaque, void *data, size_t size, struct error *err)
{
    struct disk_stream *s = opaque;
    for (uint8_t *to = data; size;) {
        if (s->taken == s->filled) {
            uint64_t left = s->size - s->at;
            s->taken = 0;
            s->filled = left < sizeof s->piece ? left : sizeof s->piece;
            int r = s->filled ? machine_disks_read_state(s->machine, s->name, s->at, s->piece, s->filled, err)
                              : error_set(err, -EPIPE, "the saved state ends early");
            if (r)
                return r;
            s->at += s->filled;
        }
        size_t have = s->filled - s->taken, part = size < have ? size : have;
        memcpy(to, s->piece + s->taken, part);
        s->taken += part;
        to += part;
        size -= part;
    }
    return 0;
}

static int save_state(struct snapshot *s, struct disk_stream *stream, struct error *err)
{
    struct state_writer to = {.write = write_disk, .opaque = stream, .aligned = true};
    struct machine_save *save;
    stream->machine = s->machine;
    int r = machine_save_begin(s->machine, &to, &save, err);
    if (r)
        return r;
    r = machine_save_rest(save, &to, machine_running(s->machine), err);
    machine_save_end(save);
    return r ? r : flush(stream, err);
}

int snapshot_save(struct snapshot *s, const char *name, struct error *err)
{
    struct machine_disk_snapshot old;
    if (snapshot_migrating(s))
        return error_set(err, -EBUSY, "a migration is under way");
    if (machine_config(s->machine)->incoming)
        return error_set(err, -EBUSY, "this machine waits for a saved state itself");
    int r = machine_disks_check(s->machine, err);
    struct disk_stream *stream = r ? NULL : calloc(1, sizeof *stream);
    if (!r && !stream)
        r = error_set(err, -ENOMEM, "out of memory");
    if (!r)
        r = save_state(s, stream, err);
    if (!r && !machine_disks_find(s->machine, name, &old, NULL))
        r = machine_disks_delete(s->machine, old.name, err); // the new one takes its place
    if (!r)
        r = machine_disks_create(s->machine, name, stream->at, err);
    free(stream);
    return r;
}

static int read_state(struct machine_load *load, struct disk_stream *stream, bool only_check, struct error *err)
{
    struct state_reader from = {.read = read_disk, .opaque = stream};
    stream->at = stream->filled = stream->taken = 0;
    return machine_load_stream(load, &from, only_check, err);
}

// *ret_harm: this machine is not what it was.
static int load(struct snapshot *s, const char *name, bool *ret_harm, struct error *err)
{
    struct machine_disk_snapshot found;
    struct machine_load *load;
    bool was_running;
    *ret_harm = false;
    if (snapshot_migrating(s))
        return error_set(err, -EBUSY, "a migration is under way");
    int r = machine_disks_check(s->machine, err);
    if (!r)
        r = machine_disks_find(s->machine, name, &found, err);
    if (!r && !found.state_size)
        r = error_set(err, -EINVAL, "the snapshot '%s' is of the disk alone", name);
    struct disk_stream *stream = r ? NULL : calloc(1, sizeof *stream);
    if (!r && !stream)
        r = error_set(err, -ENOMEM, "out of memory");
    if (!r)
        r = machine_load_begin(s->machine, &load, err); // before the disks change under requests
    if (r) {
        free(stream);
        return r;
    }
    stream->machine = s->machine;
    stream->name = found.name;
    stream->size = found.state_size;
    r = machine_disks_all_have(s->machine, found.name, err);
    if (!r)
        r = read_state(load, stream, true, err);
    *ret_harm = !r;
    if (!r)
        r = machine_disks_apply(s->machine, found.name, err);
    if (!r)
        r = read_state(load, stream, false, err);
    if (!r)
        r = machine_load_apply(load, &was_running, err);
    machine_load_end(load);
    free(stream);
    return r;
}

int snapshot_load(struct snapshot *s, const char *name, struct error *err)
{
    bool harm;
    if (machine_config(s->machine)->incoming)
        return error_set(err, -EBUSY, "this machine waits for a saved state itself");
    int r = load(s, name, &harm, err);
    if (!r || !harm)
        return r;
    machine_load_failed(s->machine);
    return error_prefix(err, r, "the machine is reset and stands, with its disks as in the snapshot");
}

int snapshot_delete(struct snapshot *s, const char *name, struct error *err)
{
    struct machine_disk_snapshot found;
    int r = machine_disks_check(s->machine, err);
    if (!r)
        r = machine_disks_find(s->machine, name, &found, err);
    return r ? r : machine_disks_delete(s->machine, found.name, err);
}

int snapshot_list(struct snapshot *s, FILE *out, struct error *err)
{
    struct machine_disk_snapshot *list;
    size_t count;
    int r = machine_disks_list(s->machine, &list, &count, err);
    if (r)
        return r;
    if (!count)
        fprintf(out, "There is no snapshot available.\n");
    else
        fprintf(out, "List of snapshots present on all disks:\n%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE",
                "VM CLOCK", "ICOUNT");
    for (size_t i = 0; i < count; i++) {
        char date[32], clock[32], size[32];
        time_t when = (time_t)list[i].date;
        struct tm tm;
        uint64_t s_of = (uint64_t)list[i].clock / 1000000000;
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", localtime_r(&when, &tm));
        snprintf(clock, sizeof clock, "%02" PRIu64 ":%02u:%02u.%03u", s_of / 3600, (unsigned)(s_of / 60 % 60),
                 (unsigned)(s_of % 60), (unsigned)((uint64_t)list[i].clock / 1000000 % 1000));
        snprintf(size, sizeof size, "%.3g MiB", (double)list[i].state_size / (1 << 20));
        fprintf(out, "%-10s%-16s %8s %19s %12s %10s\n", list[i].id, list[i].name, size, date, clock, "--");
    }
    free(list);
    return 0;
}

static void start(void *opaque)
{
    struct snapshot *s = opaque;
    struct error err = {0};
    bool harm;
    if (!load(s, s->start_from, &harm, &err)) {
        machine_arrived(s->machine, true);
        return;
    }
    fprintf(stderr, "isomer: -loadvm: %s\n", err.text);
    machine_quit(s->machine, MACHINE_FAILED);
}

void snapshot_start_from(struct snapshot *s, const char *name)
{
    s->start_from = name;
    s->start = (struct machine_call){.fn = start, .opaque = s, .stopped = true};
    pthread_mutex_lock(machine_lock(s->machine));
    machine_call(s->machine, &s->start);
    pthread_mutex_unlock(machine_lock(s->machine));
}
