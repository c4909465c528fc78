// SPDX-License-Identifier: MIT
// Owns the migration of a machine to somewhere else. Invariant: a machine that has been sent completely stands and stays
// so, and nobody continues it while its last part is on the way; one whose migration fails or is cancelled runs on as before.
//
// Rounds of RAM are sent while the machine runs, no faster than max-bandwidth, until what is left would take no longer than
// downtime-limit to send, or it is clear that rounds do not help. Then the machine stops, and the rest of RAM, CPUs and devices are caught in memory in
// one go on the main thread: whatever stops the receiver stops nobody here.
#include "base/error.h"
#include "control/snapshot/snapshot_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_ROUNDS = 30, PAGE = 4096, PACE_MS = 50 };

int64_t snapshot_host_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int memory_write(void *opaque, const void *data, size_t size, struct error *err)
{
    struct memory *m = opaque;
    if (size > m->capacity - m->size) {
        size_t capacity = (m->size + size) * 3 / 2;
        uint8_t *grown = realloc(m->data, capacity);
        if (!grown)
            return error_set(err, -ENOMEM, "out of memory for %zu MiB of state", capacity >> 20);
        m->data = grown;
        m->capacity = capacity;
    }
    memcpy(m->data + m->size, data, size);
    m->size += size;
    return 0;
}

static void lock(const struct migration *out)
{
    pthread_mutex_lock(machine_lock(out->snapshot->machine));
}

static void unlock(const struct migration *out)
{
    pthread_mutex_unlock(machine_lock(out->snapshot->machine));
}

// ---- its thread ---------------------------------------------------------------------------------------------------

// Waits until size more bytes fit into what max-bandwidth allows, which may change meanwhile.
static int pace(struct migration *out, size_t size, struct error *err)
{
    for (int r = 0;; r = channel_pause(&out->channel, PACE_MS, err)) {
        uint64_t rate = atomic_load(&out->snapshot->max_bandwidth);
        int64_t now = snapshot_host_ns();
        if (r || !rate)
            return r;
        double allowed = (double)(now - out->paced_from) / 1e9 * (double)rate;
        if (rate != out->paced_rate || allowed > (double)out->paced_bytes + (double)rate) { // nothing is saved up
            out->paced_rate = rate;
            out->paced_from = now;
            out->paced_bytes = 0;
            allowed = 0;
        }
        if ((double)out->paced_bytes <= allowed) {
            out->paced_bytes += size;
            return 0;
        }
    }
}

static int send(void *opaque, const void *data, size_t size, struct error *err)
{
    struct migration *out = opaque;
    int r = out->stopped_at ? 0 : pace(out, size, err); // a machine that stands is not kept waiting
    if (r)
        return r;
    atomic_fetch_add(&out->sent, size);
    return channel_write(&out->channel, data, size, err);
}

static int begin(struct migration *out, struct state_writer *to, struct error *err)
{
    struct memory head = {0};
    struct state_writer first = {.write = memory_write, .opaque = &head};
    lock(out); // the list of devices
    int r = machine_save_begin(out->snapshot->machine, &first, &out->save, err);
    if (!r)
        out->state = MIGRATION_ACTIVE;
    out->begun = snapshot_host_ns();
    unlock(out);
    if (!r)
        r = to->write(to->opaque, head.data, head.size, err);
    to->written = head.size;
    free(head.data);
    return r;
}

static int send_rounds(struct migration *out, struct state_writer *to, struct error *err)
{
    for (unsigned n = 0; n < MAX_ROUNDS; n++) {
        uint64_t pages = 0, before = atomic_load(&out->sent);
        int64_t since = snapshot_host_ns();
        int r = machine_save_round(out->save, to, &out->stop, &pages, err);
        if (r)
            return r;
        atomic_fetch_add(&out->pages, pages);
        atomic_fetch_add(&out->rounds, 1);
        double ms = (double)(snapshot_host_ns() - since) / 1e6 + 0.001;
        double bytes_per_ms = (double)(atomic_load(&out->sent) - before) / ms;
        atomic_store(&out->bytes_per_s, (uint64_t)(bytes_per_ms * 1000));
        double limit = (double)atomic_load(&out->snapshot->downtime_limit_ms), left = (double)machine_save_dirty(out->save) * PAGE;
        // A round with little in it says little about speed; 1 MiB is always soon sent.
        if (left <= (1 << 20) || left <= bytes_per_ms * limit || !machine_running(out->snapshot->machine))
            break;
    }
    return 0;
}

// On the main thread, vCPUs parked.
static void catch_rest(void *opaque)
{
    struct migration *out = opaque;
    struct state_writer to = {.write = memory_write, .opaque = &out->last,
                              .compression = (uint8_t)out->compression};
    if (machine_running(out->snapshot->machine)) // someone let it go on again
        out->last_result = error_set(&out->last_error, -EBUSY, "the machine was continued");
    else
        out->last_result = machine_save_rest(out->save, &to, out->was_running, &out->last_error);
    machine_set_leaving(out->snapshot->machine, !out->last_result);
    out->last_done = true;
    pthread_cond_signal(&out->changed);
}

static int stop_and_catch(struct migration *out, struct error *err)
{
    lock(out);
    out->was_running = machine_running(out->snapshot->machine);
    out->stopped_at = snapshot_host_ns();
    out->last_call = (struct machine_call){.fn = catch_rest, .opaque = out, .stopped = true};
    if (out->was_running)
        machine_request(out->snapshot->machine, MACHINE_STOP);
    machine_call(out->snapshot->machine, &out->last_call);
    while (!out->last_done && !out->ending) // a cancel does not shorten this: the stop has been asked for
        pthread_cond_wait(&out->changed, machine_lock(out->snapshot->machine));
    int r = out->last_done ? out->last_result : -ECANCELED;
    if (!out->last_done)
        error_set(err, -ECANCELED, "cancelled");
    else if (r)
        *err = out->last_error;
    unlock(out);
    return r;
}

static int send_all(struct migration *out, struct error *err)
{
    struct state_writer to = {.write = send, .opaque = out, .compression = (uint8_t)out->compression};
    int r = channel_connect(&out->channel, out->uri, err);
    to.aligned = out->channel.file;
    if (!r)
        r = begin(out, &to, err);
    if (!r)
        r = send_rounds(out, &to, err);
    if (!r)
        r = stop_and_catch(out, err);
    return r ? r : to.write(to.opaque, out->last.data, out->last.size, err);
}

static void settle(struct migration *out, int r, const struct error *err)
{
    struct machine *m = out->snapshot->machine;
    lock(out);
    int64_t now = snapshot_host_ns();
    out->state = !r ? MIGRATION_COMPLETED : out->cancelled ? MIGRATION_CANCELLED : MIGRATION_FAILED;
    out->total_ms = (uint64_t)(now - out->started) / 1000000;
    out->downtime_ms = out->stopped_at ? (uint64_t)(now - out->stopped_at) / 1000000 : 0;
    if (r)
        memcpy(out->error, err->text, sizeof out->error);
    machine_set_leaving(m, false);
    if (r && out->was_running && !machine_running(m))
        machine_request(m, MACHINE_CONT);
    if (out->waiter)
        machine_call(m, out->waiter);
    out->waiter = NULL;
    unlock(out);
}

static void *migrate(void *opaque)
{
    struct migration *out = opaque;
    struct error err = {0}, late = {0};
    int r = send_all(out, &err);
    int closed = channel_finish(&out->channel, !r, &late);
    settle(out, r ? r : closed, r ? &err : &late);
    return NULL;
}

// ---- from outside -------------------------------------------------------------------------------------------------

static void reap(struct migration *out)
{
    pthread_join(out->thread, NULL);
    out->joinable = false;
    machine_save_end(out->save);
    channel_destroy(&out->channel);
    pthread_cond_destroy(&out->changed);
    free(out->last.data);
    free(out->uri);
    out->save = NULL;
    out->uri = NULL;
    out->last = (struct memory){0};
}

bool snapshot_migrating(const struct snapshot *s)
{
    return s->out.state == MIGRATION_SETUP || s->out.state == MIGRATION_ACTIVE;
}

int snapshot_migrate(struct snapshot *s, const char *uri, struct error *err)
{
    struct migration *out = &s->out;
    if (snapshot_migrating(s))
        return error_set(err, -EBUSY, "a migration is under way already");
    if (machine_config(s->machine)->incoming)
        return error_set(err, -EBUSY, "this machine waits for a saved state itself");
    int r = channel_check(uri, err);
    if (r)
        return r;
    if (out->joinable)
        reap(out); // it has said that it is through
    *out = (struct migration){
        .snapshot = s, .started = snapshot_host_ns(), .uri = strdup(uri), .compression = s->compression};
    if (!out->uri)
        return error_set(err, -ENOMEM, "out of memory");
    r = channel_create(&out->channel, err);
    if (r) {
        free(out->uri);
        out->uri = NULL;
        return r;
    }
    pthread_cond_init(&out->changed, NULL);
    out->state = MIGRATION_SETUP;
    int e = pthread_create(&out->thread, NULL, migrate, out);
    if (!e) {
        out->joinable = true;
        return 0;
    }
    out->state = MIGRATION_NONE;
    channel_destroy(&out->channel);
    pthread_cond_destroy(&out->changed);
    free(out->uri);
    out->uri = NULL;
    return error_set(err, -e, "cannot start a thread to migrate: %s", strerror(e));
}

static void give_up(struct migration *out)
{
    out->cancelled = true;
    atomic_store(&out->stop, true);
    channel_cancel(&out->channel);
}

void snapshot_migrate_cancel(struct snapshot *s)
{
    if (snapshot_migrating(s))
        give_up(&s->out);
}

void migration_end(struct snapshot *s)
{
    struct migration *out = &s->out;
    lock(out);
    if (out->joinable) {
        give_up(out);
        out->waiter = NULL;
        out->ending = true;
        pthread_cond_signal(&out->changed);
    }
    unlock(out);
    if (out->joinable)
        reap(out);
}

void snapshot_migrate_status(struct snapshot *s, struct migration_status *ret)
{
    const struct migration *out = &s->out;
    *ret = (struct migration_status){.state = out->state,
                                     .ram_total = machine_ram_bytes(s->machine),
                                     .ram_transferred = atomic_load(&out->sent),
                                     .normal_pages = atomic_load(&out->pages),
                                     .rounds = atomic_load(&out->rounds),
                                     .bytes_per_s = atomic_load(&out->bytes_per_s),
                                     .setup_ms = out->begun ? (uint64_t)(out->begun - out->started) / 1000000 : 0,
                                     .total_ms = out->total_ms,
                                     .downtime_ms = out->downtime_ms};
    memcpy(ret->error, out->error, sizeof ret->error);
    if (out->state == MIGRATION_NONE && s->in.opened) {
        ret->state = s->in.arrived ? MIGRATION_COMPLETED : MIGRATION_ACTIVE;
        ret->incoming = true;
    }
    if (snapshot_migrating(s)) {
        ret->total_ms = (uint64_t)(snapshot_host_ns() - out->started) / 1000000;
        ret->ram_remaining = out->save ? machine_save_dirty(out->save) * PAGE : ret->ram_total;
    }
}

const char *migration_state_name(enum migration_state state)
{
    static const char *const names[] = {
        [MIGRATION_NONE] = "none",           [MIGRATION_SETUP] = "setup",   [MIGRATION_ACTIVE] = "active",
        [MIGRATION_COMPLETED] = "completed", [MIGRATION_FAILED] = "failed", [MIGRATION_CANCELLED] = "cancelled"};
    return names[state];
}

bool snapshot_migrate_wait(struct snapshot *s, struct machine_call *call)
{
    if (!snapshot_migrating(s) || s->out.waiter)
        return false;
    s->out.waiter = call;
    return true;
}
