// SPDX-License-Identifier: MIT
// Owns snapshots of a machine in its disks.
#include "base/error.h"
#include "control/snapshot/snapshot_internal.h"

#include <errno.h>

static int no_disk(struct error *err)
{
    return error_set(err, -ENOTSUP, "no disk of this machine can hold a snapshot");
}

int snapshot_save(struct snapshot *s, const char *name, struct error *err)
{
    return no_disk(err);
}

int snapshot_load(struct snapshot *s, const char *name, struct error *err)
{
    return no_disk(err);
}

int snapshot_delete(struct snapshot *s, const char *name, struct error *err)
{
    return no_disk(err);
}

int snapshot_list(struct snapshot *s, FILE *out, struct error *err)
{
    fprintf(out, "There is no snapshot available.\n");
    return 0;
}

static void start(void *opaque)
{
    struct snapshot *s = opaque;
    struct error err = {0};
    if (!snapshot_load(s, s->start_from, &err))
        return;
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
