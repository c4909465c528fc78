// SPDX-License-Identifier: MIT
// Owns the human monitor's commands about a machine's state, in QEMU's words.
#include "base/error.h"
#include "control/snapshot/snapshot_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static struct snapshot *of(struct machine *machine, FILE *out)
{
    struct snapshot *s = machine_snapshot(machine);
    if (!s)
        fprintf(out, "Error: this machine's state cannot be saved or loaded\n");
    return s;
}

static void complain(FILE *out, int r, const struct error *err)
{
    if (r)
        fprintf(out, "Error: %s\n", err->text);
}

void snapshot_hmp_migrate(struct machine *machine, const char *args, FILE *out)
{
    struct snapshot *s = of(machine, out);
    struct error err = {0};
    bool detached = !strncmp(args, "-d ", 3);
    if (!s)
        return;
    args += detached ? 3 : 0;
    args += strspn(args, " ");
    int r = *args ? snapshot_migrate(s, args, &err) : error_set(&err, -EINVAL, "migrate needs an address");
    s->attached = !r && !detached;
    complain(out, r, &err);
}

void snapshot_hmp_begin(struct machine *machine)
{
    struct snapshot *s = machine_snapshot(machine);
    if (s)
        s->attached = false;
}

bool snapshot_hmp_waits(struct machine *machine, struct machine_call *done)
{
    struct snapshot *s = machine_snapshot(machine);
    bool waits = s && s->attached && snapshot_migrate_wait(s, done);
    if (s)
        s->attached = false;
    return waits;
}

void snapshot_hmp_waited(struct machine *machine, FILE *out)
{
    struct migration_status status;
    snapshot_migrate_status(machine_snapshot(machine), &status);
    if (status.state == MIGRATION_FAILED || status.state == MIGRATION_CANCELLED)
        fprintf(out, "Error: %s\n", *status.error ? status.error : migration_state_name(status.state));
}

void snapshot_hmp_migrate_cancel(struct machine *machine, const char *args, FILE *out)
{
    struct snapshot *s = of(machine, out);
    if (s)
        snapshot_migrate_cancel(s);
}

void snapshot_hmp_migrate_incoming(struct machine *machine, const char *args, FILE *out)
{
    struct snapshot *s = of(machine, out);
    struct error err = {0};
    if (s)
        complain(out, snapshot_incoming(s, args, &err), &err);
}

void snapshot_hmp_migrate_set_parameter(struct machine *machine, const char *args, FILE *out)
{
    struct snapshot *s = of(machine, out);
    struct error err = {0};
    char name[64];
    size_t size = strcspn(args, " ");
    if (!s)
        return;
    snprintf(name, sizeof name, "%.*s", (int)(size < sizeof name ? size : 0), args);
    args += size;
    complain(out, parameters_set_text(s, name, args + strspn(args, " "), &err), &err);
}

void snapshot_hmp_info_migrate_parameters(struct machine *machine, const char *args, FILE *out)
{
    struct snapshot *s = of(machine, out);
    struct migration_parameters p;
    if (!s)
        return;
    snapshot_get_parameters(s, &p);
    fprintf(out, "max-bandwidth: %" PRIu64 " bytes/second\ndowntime-limit: %" PRIu64 " ms\nmultifd-compression: %s\n",
            p.max_bandwidth, p.downtime_limit_ms, migration_compression_name(p.compression));
}

void snapshot_hmp_info_migrate(struct machine *machine, const char *args, FILE *out)
{
    struct snapshot *s = of(machine, out);
    struct migration_status status;
    struct migration_parameters p;
    if (!s)
        return;
    snapshot_migrate_status(s, &status);
    if (status.state == MIGRATION_NONE)
        return;
    snapshot_get_parameters(s, &p);
    fprintf(out, "Migration status: %s%s%s%s\n", migration_state_name(status.state), *status.error ? " (" : "",
            status.error, *status.error ? ")" : "");
    if (status.incoming)
        return;
    fprintf(out, "total time: %" PRIu64 " ms\n", status.total_ms);
    if (status.state == MIGRATION_COMPLETED)
        fprintf(out, "downtime: %" PRIu64 " ms\n", status.downtime_ms);
    fprintf(out, "transferred ram: %" PRIu64 " kbytes\nremaining ram: %" PRIu64 " kbytes\ntotal ram: %" PRIu64
                 " kbytes\nnormal: %" PRIu64 " pages\ndirty sync count: %" PRIu64 "\ncompression: %s\n",
            status.ram_transferred >> 10, status.ram_remaining >> 10, status.ram_total >> 10, status.normal_pages,
            status.rounds, migration_compression_name(p.compression));
}

static void with_name(struct machine *machine, const char *args, FILE *out,
                      int (*fn)(struct snapshot *, const char *, struct error *))
{
    struct snapshot *s = of(machine, out);
    struct error err = {0};
    if (s)
        complain(out, *args ? fn(s, args, &err) : error_set(&err, -EINVAL, "a snapshot needs a name"), &err);
}

void snapshot_hmp_savevm(struct machine *machine, const char *args, FILE *out)
{
    with_name(machine, args, out, snapshot_save);
}

void snapshot_hmp_loadvm(struct machine *machine, const char *args, FILE *out)
{
    with_name(machine, args, out, snapshot_load);
}

void snapshot_hmp_delvm(struct machine *machine, const char *args, FILE *out)
{
    with_name(machine, args, out, snapshot_delete);
}

void snapshot_hmp_info_snapshots(struct machine *machine, const char *args, FILE *out)
{
    struct snapshot *s = of(machine, out);
    struct error err = {0};
    if (s)
        complain(out, snapshot_list(s, out, &err), &err);
}
