// SPDX-License-Identifier: MIT
// Owns the object that a machine's migrations and snapshots belong to.
#include "base/error.h"
#include "control/snapshot/snapshot_internal.h"

#include <errno.h>
#include <stdlib.h>

int snapshot_create(struct machine *machine, struct snapshot **ret_snapshot, struct error *err)
{
    struct snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, -ENOMEM, "out of memory");
    s->machine = machine;
    atomic_store(&s->downtime_limit_ms, 300);
    s->out.snapshot = s->in.snapshot = s;
    machine_set_snapshot(machine, s);
    *ret_snapshot = s;
    return 0;
}

void snapshot_destroy(struct snapshot *s)
{
    if (!s)
        return;
    migration_end(s);
    incoming_end(s);
    machine_set_snapshot(s->machine, NULL);
    free(s);
}
