// SPDX-License-Identifier: MIT
// The QMP side of migration: the commands that begin, end and watch one. Their members have QEMU's names and units.
#include "base/error.h"
#include "control/qmp/qmp_internal.h"
#include "control/snapshot/snapshot.h"

enum { PAGE = 4096 };

static struct snapshot *snapshot_of(struct qmp_call *call)
{
    struct snapshot *snapshot = machine_snapshot(call->machine);
    if (!snapshot)
        qmp_fail(call, "this machine has no state to migrate");
    return snapshot;
}

void qmp_migrate(struct qmp_call *call)
{
    struct snapshot *snapshot = snapshot_of(call);
    struct error err = {""};
    if (snapshot && snapshot_migrate(snapshot, qmp_arg_text(call, "uri"), &err))
        qmp_fail(call, "%s", err.text);
}

void qmp_migrate_cancel(struct qmp_call *call)
{
    struct snapshot *snapshot = snapshot_of(call);
    if (snapshot)
        snapshot_migrate_cancel(snapshot);
}

static struct json_object *number(uint64_t value)
{
    return json_object_new_int64((int64_t)value);
}

void qmp_query_migrate(struct qmp_call *call)
{
    struct snapshot *snapshot = machine_snapshot(call->machine);
    struct migration_status s = {.state = MIGRATION_NONE};
    if (snapshot)
        snapshot_migrate_status(snapshot, &s);
    if (s.state == MIGRATION_NONE)
        return;
    call->ret = qmp_object("status", json_object_new_string(migration_state_name(s.state)), NULL);
    if (s.state == MIGRATION_FAILED)
        json_object_object_add(call->ret, "error-desc", json_object_new_string(s.error));
    if (s.state == MIGRATION_SETUP || s.state == MIGRATION_FAILED)
        return;
    json_object_object_add(call->ret, "total-time", number(s.total_ms));
    if (s.state == MIGRATION_COMPLETED)
        json_object_object_add(call->ret, "downtime", number(s.downtime_ms));
    json_object_object_add(call->ret, "ram",
                           qmp_object("transferred", number(s.ram_transferred), "remaining", number(s.ram_remaining), "total",
                                      number(s.ram_total), "normal", number(s.normal_pages), "normal-bytes",
                                      number(s.normal_pages * PAGE), "dirty-sync-count", number(s.rounds), "page-size",
                                      number(PAGE), NULL));
}
