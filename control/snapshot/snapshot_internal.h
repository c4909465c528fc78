// SPDX-License-Identifier: MIT
// Private to snapshot/: the parts of struct snapshot and who may touch them.
#ifndef CONTROL_SNAPSHOT_SNAPSHOT_INTERNAL_H
#define CONTROL_SNAPSHOT_SNAPSHOT_INTERNAL_H

#include "control/snapshot/channel.h"
#include "control/snapshot/snapshot.h"

// Bytes in memory as a state_writer, owned by who starts it as {0}.
struct memory {
    uint8_t *data;
    size_t size, capacity;
};
int memory_write(void *opaque, const void *data, size_t size, struct error *err);

// One migration out. Its thread sends RAM while the machine runs; the last part is made on the main thread into memory,
// with the machine stopped, and sent by the thread. Fields without a note are the machine lock's.
struct migration {
    struct snapshot *snapshot;
    enum migration_state state;
    char *uri;
    enum state_compression compression;
    pthread_t thread;
    bool joinable;
    bool cancelled;
    _Atomic bool stop; // any thread: give up
    struct channel channel;
    _Atomic uint64_t sent, pages, rounds; // of RAM and all, for those who ask
    _Atomic uint64_t bytes_per_s;         // of the last round
    uint64_t paced_rate, paced_bytes;     // its thread's: sent since paced_from at a limit of paced_rate bytes a second
    int64_t paced_from;                   // host ns
    int64_t started, begun, stopped_at;   // host ns; begun: the first round
    uint64_t total_ms, downtime_ms;
    char error[512];
    // the last part
    struct machine_save *save;
    struct machine_call last_call;
    pthread_cond_t changed;
    bool last_done, was_running;
    bool ending; // the machine's loop is over: nobody will make it
    int last_result;
    struct error last_error;
    struct memory last;
    struct machine_call *waiter;
};

struct incoming {
    struct snapshot *snapshot;
    pthread_t thread;
    bool joinable, opened, stop;
    struct channel channel;
    char *uri;    // the channel's until the end
    bool arrived;
    struct machine_load *load;
    struct machine_call apply;
};

struct snapshot {
    struct machine *machine;
    struct migration out;
    struct incoming in;
    enum state_compression compression;
    _Atomic uint64_t max_bandwidth, downtime_limit_ms;
    const char *start_from; // -loadvm
    struct machine_call start;
    bool attached; // a command waits for the migration it began
};

int64_t snapshot_host_ns(void);
// One parameter as the human monitor has it.
int parameters_set_text(struct snapshot *snapshot, const char *name, const char *value, struct error *err);
void migration_end(struct snapshot *snapshot); // without the lock
void incoming_end(struct snapshot *snapshot);  // without the lock

#endif
