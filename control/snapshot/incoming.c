// SPDX-License-Identifier: MIT
// Owns the arrival of a machine's state from somewhere else. A thread receives it, RAM straight into place, since nothing
// of this machine has run; the rest is put in place by the main thread when it is complete.
#include "base/error.h"
#include "control/snapshot/snapshot_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void fail(struct incoming *in, const struct error *err)
{
    pthread_mutex_lock(machine_lock(in->snapshot->machine));
    bool stop = in->stop;
    pthread_mutex_unlock(machine_lock(in->snapshot->machine));
    if (stop)
        return;
    fprintf(stderr, "isomer: -incoming: %s\n", err->text);
    machine_quit(in->snapshot->machine, MACHINE_FAILED);
}

// On the main thread, vCPUs parked.
static void apply(void *opaque)
{
    struct incoming *in = opaque;
    struct error err = {0};
    bool was_running;
    if (machine_load_apply(in->load, &was_running, &err)) {
        fprintf(stderr, "isomer: -incoming: %s\n", err.text);
        machine_quit(in->snapshot->machine, MACHINE_FAILED);
        return;
    }
    in->arrived = true;
    machine_arrived(in->snapshot->machine, was_running);
}

static void *receive(void *opaque)
{
    struct incoming *in = opaque;
    struct error err = {0};
    struct state_reader from = {.read = channel_read, .opaque = &in->channel};
    int r = channel_accept(&in->channel, &err);
    if (!r)
        r = machine_load_stream(in->load, &from, false, &err);
    channel_finish(&in->channel, false, NULL);
    if (r) {
        fail(in, &err);
        return NULL;
    }
    pthread_mutex_lock(machine_lock(in->snapshot->machine));
    in->apply = (struct machine_call){.fn = apply, .opaque = in, .stopped = true};
    if (!in->stop)
        machine_call(in->snapshot->machine, &in->apply);
    pthread_mutex_unlock(machine_lock(in->snapshot->machine));
    return NULL;
}

int snapshot_incoming(struct snapshot *s, const char *uri, struct error *err)
{
    struct incoming *in = &s->in;
    if (!machine_config(s->machine)->incoming || in->opened)
        return error_set(err, -EBUSY, "this machine does not wait for a saved state");
    if (!strcmp(uri, "defer"))
        return 0;
    in->snapshot = s;
    in->uri = strdup(uri);
    int r = in->uri ? channel_create(&in->channel, err) : error_set(err, -ENOMEM, "out of memory");
    if (r) {
        free(in->uri);
        in->uri = NULL;
        return r;
    }
    r = channel_listen(&in->channel, in->uri, err);
    if (!r)
        r = machine_load_begin(s->machine, &in->load, err);
    if (!r) {
        int e = pthread_create(&in->thread, NULL, receive, in);
        r = e ? error_set(err, -e, "cannot start a thread to receive: %s", strerror(e)) : 0;
    }
    in->opened = in->joinable = !r;
    if (r) {
        channel_finish(&in->channel, false, NULL);
        channel_destroy(&in->channel);
        machine_load_end(in->load);
        free(in->uri);
        in->load = NULL;
        in->uri = NULL;
    }
    return r;
}

void incoming_end(struct snapshot *s)
{
    struct incoming *in = &s->in;
    if (!in->joinable)
        return;
    pthread_mutex_lock(machine_lock(s->machine));
    in->stop = true;
    pthread_mutex_unlock(machine_lock(s->machine));
    channel_cancel(&in->channel);
    pthread_join(in->thread, NULL);
    channel_destroy(&in->channel);
    machine_load_end(in->load);
    free(in->uri);
    in->joinable = false;
}
