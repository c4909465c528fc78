// SPDX-License-Identifier: MIT
// What a person or a tool does with a machine's state: migrations to and from a file, a command or a socket, and
// snapshots in disk images. One object a machine; it registers itself with the machine (machine_snapshot).
//
// Threads: create and destroy on the main thread without the machine lock; destroy after the machine's last run.
// Everything else with the lock held, on the main thread.
#ifndef CONTROL_SNAPSHOT_SNAPSHOT_H
#define CONTROL_SNAPSHOT_SNAPSHOT_H

#include "machines/machine_state.h"

struct snapshot;

int snapshot_create(struct machine *machine, struct snapshot **ret_snapshot, struct error *err);
void snapshot_destroy(struct snapshot *snapshot); // ends what is under way; NULL is allowed

// ---- migration out ------------------------------------------------------------------------------------------------
enum migration_state {
    MIGRATION_NONE, MIGRATION_SETUP, MIGRATION_ACTIVE, MIGRATION_COMPLETED, MIGRATION_FAILED, MIGRATION_CANCELLED,
};

// Names and meanings of QEMU's query-migrate.
struct migration_status {
    enum migration_state state;
    uint64_t ram_total, ram_transferred, ram_remaining; // bytes
    uint64_t normal_pages, rounds;
    uint64_t total_ms, setup_ms, downtime_ms;
    uint64_t bytes_per_s; // of the last round
    bool incoming;        // it is this machine's arrival, and nothing but the state counts
    char error[512]; // FAILED: why
};

// Begins; the machine runs on until little is left to send, then stands and stays so. -EBUSY while another is under way.
int snapshot_migrate(struct snapshot *snapshot, const char *uri, struct error *err);
void snapshot_migrate_cancel(struct snapshot *snapshot);
void snapshot_migrate_status(struct snapshot *snapshot, struct migration_status *ret_status);
const char *migration_state_name(enum migration_state state);
bool snapshot_migrating(const struct snapshot *snapshot);
// Has call made (machine_call) when the migration that is under way has ended. One at a time: false when there is none
// under way, or someone waits already.
bool snapshot_migrate_wait(struct snapshot *snapshot, struct machine_call *call);

struct migration_parameters {
    uint64_t max_bandwidth;     // bytes a second while the machine runs, 0: no limit
    uint64_t downtime_limit_ms; // what is left is small enough when it is sent in this time
    enum state_compression compression;
};
void snapshot_get_parameters(const struct snapshot *snapshot, struct migration_parameters *ret);
// All or none. -EINVAL or -ENOTSUP and a sentence.
int snapshot_set_parameters(struct snapshot *snapshot, const struct migration_parameters *parameters, struct error *err);
const char *migration_compression_name(enum state_compression compression);
int migration_parse_compression(const char *text, enum state_compression *ret, struct error *err);

// ---- migration in -------------------------------------------------------------------------------------------------
// For a machine of config.incoming. Listens or opens at once, receives in the background; then the machine runs unless -S
// or the saved one stood. A failure ends the run with MACHINE_FAILED and a sentence. "defer" waits for another call. uri is copied.
int snapshot_incoming(struct snapshot *snapshot, const char *uri, struct error *err);

// ---- snapshots in disks -------------------------------------------------------------------------------------------
// vCPUs parked. Into and from the first disk that can hold them. After a failed load the machine is reset and stands.
int snapshot_save(struct snapshot *snapshot, const char *name, struct error *err);
int snapshot_load(struct snapshot *snapshot, const char *name, struct error *err);
// -loadvm, before the machine runs: a failure ends the run with MACHINE_FAILED and a sentence. name lives on.
void snapshot_start_from(struct snapshot *snapshot, const char *name);
int snapshot_delete(struct snapshot *snapshot, const char *name, struct error *err);
int snapshot_list(struct snapshot *snapshot, FILE *out, struct error *err);

// ---- the monitor's commands (QEMU's) ------------------------------------------------------------------------------
void snapshot_hmp_migrate(struct machine *machine, const char *args, FILE *out);
void snapshot_hmp_migrate_cancel(struct machine *machine, const char *args, FILE *out);
void snapshot_hmp_migrate_incoming(struct machine *machine, const char *args, FILE *out);
void snapshot_hmp_migrate_set_parameter(struct machine *machine, const char *args, FILE *out);
void snapshot_hmp_savevm(struct machine *machine, const char *args, FILE *out);
void snapshot_hmp_loadvm(struct machine *machine, const char *args, FILE *out);
void snapshot_hmp_delvm(struct machine *machine, const char *args, FILE *out);
void snapshot_hmp_info_snapshots(struct machine *machine, const char *args, FILE *out);
void snapshot_hmp_info_migrate(struct machine *machine, const char *args, FILE *out);
void snapshot_hmp_info_migrate_parameters(struct machine *machine, const char *args, FILE *out);
// Before a command of a monitor that can wait: a migration begun elsewhere (QMP, GDB) is not its own.
void snapshot_hmp_begin(struct machine *machine);
// After it: whether done is called later, when a migration that the command waits for has ended.
bool snapshot_hmp_waits(struct machine *machine, struct machine_call *done);
// And then: why the migration did not succeed, if it did not.
void snapshot_hmp_waited(struct machine *machine, FILE *out);

#endif
