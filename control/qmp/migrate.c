// SPDX-License-Identifier: MIT
// The QMP side of migration: the commands that begin, end, watch and set one. Their members have QEMU's names and units.
#include "base/error.h"
#include "base/types.h"
#include "control/qmp/qmp_internal.h"
#include "control/snapshot/snapshot.h"

#include <string.h>

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

void qmp_migrate_incoming(struct qmp_call *call)
{
    struct snapshot *snapshot = snapshot_of(call);
    struct error err = {""};
    if (snapshot && snapshot_incoming(snapshot, qmp_arg_text(call, "uri"), &err))
        qmp_fail(call, "%s", err.text);
}

// ---- what can be set -----------------------------------------------------------------------------------------------

// Of QEMU's parameters those that mean something here: the others are refused as unexpected.
void qmp_migrate_set_parameters(struct qmp_call *call)
{
    struct snapshot *snapshot = snapshot_of(call);
    const char *compression = qmp_arg_text(call, "multifd-compression");
    struct migration_parameters p;
    struct error err = {""};
    if (!snapshot)
        return;
    snapshot_get_parameters(snapshot, &p);
    p.max_bandwidth = (uint64_t)qmp_arg_int(call, "max-bandwidth", (int64_t)p.max_bandwidth);
    p.downtime_limit_ms = (uint64_t)qmp_arg_int(call, "downtime-limit", (int64_t)p.downtime_limit_ms);
    int r = compression ? migration_parse_compression(compression, &p.compression, &err) : 0;
    if (r || snapshot_set_parameters(snapshot, &p, &err))
        qmp_fail(call, "%s", err.text);
}

// QEMU's, of which none can be turned on.
static const char *const capabilities[] = {
    "xbzrle", "rdma-pin-all", "auto-converge", "events", "postcopy-ram", "x-colo", "release-ram", "return-path",
    "pause-before-switchover", "multifd", "dirty-bitmaps", "late-block-activate", "x-ignore-shared", "validate-uuid",
    "background-snapshot", "zero-copy-send", "postcopy-preempt", "switchover-ack", "dirty-limit", "mapped-ram"};

static bool is_capability(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
        if (!strcmp(name, capabilities[i]))
            return true;
    return false;
}

void qmp_migrate_set_capabilities(struct qmp_call *call)
{
    struct json_object *list = NULL, *name, *state;
    json_object_object_get_ex(call->args, "capabilities", &list);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        if (!json_object_is_type(item, json_type_object) || !json_object_object_get_ex(item, "capability", &name) ||
            !json_object_is_type(name, json_type_string) || !json_object_object_get_ex(item, "state", &state) ||
            !json_object_is_type(state, json_type_boolean)) {
            qmp_fail(call, "Each of 'capabilities' has a string 'capability' and a boolean 'state'");
            return;
        }
        const char *text = json_object_get_string(name);
        if (!is_capability(text)) {
            qmp_fail(call, "There is no capability '%.64s'", text);
            return;
        }
        if (json_object_get_boolean(state)) {
            qmp_fail(call, "The capability '%s' is not supported", text);
            return;
        }
    }
}

void qmp_query_migrate_capabilities(struct qmp_call *call)
{
    call->ret = json_object_new_array();
    for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
        json_object_array_add(call->ret, qmp_object("capability", json_object_new_string(capabilities[i]), "state",
                                                    json_object_new_boolean(false), NULL));
}

// ---- how it goes ---------------------------------------------------------------------------------------------------

static struct json_object *number(uint64_t value)
{
    return json_object_new_int64((int64_t)value);
}

void qmp_query_migrate_parameters(struct qmp_call *call)
{
    struct snapshot *snapshot = snapshot_of(call);
    struct migration_parameters p;
    if (!snapshot)
        return;
    snapshot_get_parameters(snapshot, &p);
    call->ret = qmp_object("max-bandwidth", number(p.max_bandwidth), "downtime-limit", number(p.downtime_limit_ms),
                           "multifd-compression", json_object_new_string(migration_compression_name(p.compression)), NULL);
}

static double megabits(uint64_t bytes, uint64_t ms)
{
    return ms ? (double)bytes * 8 / (double)ms / 1000 : 0;
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
    if (s.incoming || s.state == MIGRATION_SETUP || s.state == MIGRATION_FAILED)
        return;
    json_object_object_add(call->ret, "total-time", number(s.total_ms));
    json_object_object_add(call->ret, "setup-time", number(s.setup_ms));
    if (s.state == MIGRATION_COMPLETED)
        json_object_object_add(call->ret, "downtime", number(s.downtime_ms));
    if (s.state == MIGRATION_ACTIVE && s.bytes_per_s)
        json_object_object_add(call->ret, "expected-downtime", number(s.ram_remaining * 1000 / s.bytes_per_s));
    json_object_object_add(call->ret, "ram",
                           qmp_object("transferred", number(s.ram_transferred), "remaining", number(s.ram_remaining), "total",
                                      number(s.ram_total), "normal", number(s.normal_pages), "normal-bytes",
                                      number(s.normal_pages * PAGE), "dirty-sync-count", number(s.rounds), "page-size",
                                      number(PAGE), "mbps",
                                      json_object_new_double(megabits(s.ram_transferred, s.total_ms)), NULL));
}
