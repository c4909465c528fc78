// SPDX-License-Identifier: MIT
// Owns the machine and the feeding of its chardev; see the header.
#include "tests/fuzz/machine.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/types.h"
#include "control/snapshot/channel.h"
#include "control/snapshot/snapshot.h"
#include "host/chardev.h"
#include "machines/machine_internal.h"

#include <errno.h>
#include <unistd.h>

enum {
    IDLE_FREE = 100,
    IDLE_MAX = 10000
}; // turns of the loop for one command; after FREE they take a millisecond

struct feeder {
    struct chardev chardev;
    struct fuzz_input in;
    struct machine *machine;
    struct loop_call call;
    unsigned idle;
};

static int take_output(struct chardev *chardev, const void *buf, size_t len)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < len; i++) // every byte is there
        sum = (uint8_t)(sum + ((const uint8_t *)buf)[i]);
    return (int)len;
}

// Feeds what is taken at once, then comes again when the loop has turned: commands are served between.
static void feed(void *opaque)
{
    struct feeder *f = opaque;
    size_t room = chardev_can_deliver(&f->chardev), len;
    bool more = f->in.size || !room; // behind the last byte: until that is served
    f->idle = room ? 0 : f->idle + 1;
    FUZZ_CHECK(f->idle < IDLE_MAX);
    if (f->idle > IDLE_FREE) { // a migration's thread is at work
        pthread_mutex_unlock(&f->machine->lock);
        usleep(1000);
        pthread_mutex_lock(&f->machine->lock);
    }
    if (room && f->in.size && !*f->in.data) {
        fuzz_u8(&f->in);
        chardev_notify(&f->chardev, CHARDEV_CLOSED);
        chardev_notify(&f->chardev, CHARDEV_OPENED);
    } else if (room && f->in.size) {
        const uint8_t *zero = memchr(f->in.data, 0, f->in.size);
        size_t part = zero ? (size_t)(zero - f->in.data) : f->in.size;
        const uint8_t *bytes = fuzz_bytes(&f->in, part < room ? part : room, &len);
        chardev_deliver(&f->chardev, bytes, len);
    }
    if (more)
        loop_defer(f->machine->loop, &f->call);
    else
        machine_quit(f->machine, MACHINE_POWERED_OFF);
}

static struct machine *make(void)
{
    static const char *const texts[] = {"virtio-balloon-device", "virtio-keyboard-device",
                                        "virtio-rng-pci,id=r", "pcie-root-port,id=p"};
    static struct keyval_list devices[ARRAY_SIZE(texts)]; // of the one machine there is
    struct error err = {0};
    struct machine *m;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        keyval_free(&devices[i]);
        FUZZ_CHECK(!keyval_parse(texts[i], "driver", &devices[i], NULL));
    }
    struct machine_config config = {.board = "virt",
                                    .cpu = "cortex-a72",
                                    .cpu_count = 2,
                                    .ram_size = 8 << 20,
                                    .seeded = true,
                                    .devices = devices,
                                    .device_count = ARRAY_SIZE(texts),
                                    .name = "fuzz",
                                    .no_shutdown = true};
    FUZZ_CHECK(!machine_create(&config, &m, &err));
    m->config.dtb = "made"; // keeps resets from making it again, which takes longer than all the rest
    return m;
}

// A machine that has run is as good as new, unless it has other devices now.
static struct machine *as_new(struct machine *m, size_t device_count)
{
    if (m && (m->device_count != device_count || m->plugged_count)) {
        machine_destroy(m);
        m = NULL;
    }
    if (!m)
        return make();
    atomic_store(&m->quit_status, -1);
    atomic_store(&m->requests, 0);
    m->stopped_by = MACHINE_STATE_PRELAUNCH;
    m->shutdown_told = false;
    m->calls = NULL; // of a monitor that is gone
    return m;
}

void fuzz_machine_run(const struct fuzz_session *session, const uint8_t *data, size_t size)
{
    static const struct chardev_ops ops = {.write = take_output};
    static struct machine *machine;
    static size_t device_count;
    struct feeder f = {.chardev.ops = &ops, .in = {data, size}};
    struct snapshot *snapshot;
    f.machine = machine = as_new(machine, device_count);
    device_count = machine->device_count;
    FUZZ_CHECK(!snapshot_create(machine, &snapshot, NULL));
    pthread_mutex_lock(&machine->lock);
    void *what = session->open(machine, &f.chardev);
    chardev_notify(&f.chardev, CHARDEV_OPENED);
    f.call = (struct loop_call){.callback = feed, .opaque = &f};
    loop_defer(machine->loop, &f.call);
    pthread_mutex_unlock(&machine->lock);
    machine_run(machine);
    pthread_mutex_lock(&machine->lock);
    loop_defer_cancel(machine->loop, &f.call);
    session->close(what);
    pthread_mutex_unlock(&machine->lock);
    snapshot_destroy(snapshot);
}

// ---- in place of control/snapshot/channel.c

static int nowhere(struct error *err)
{
    return error_set(err, -EINVAL, "there is nowhere to go");
}

int channel_create(struct channel *channel, struct error *err)
{
    *channel = (struct channel){.fd = -1, .listener = -1, .cancel_fd = -1, .child_fd = -1};
    return 0;
}

int channel_check(const char *uri, struct error *err)
{
    return strchr(uri, ':') ? 0 : nowhere(err);
}

int channel_connect(struct channel *channel, const char *uri, struct error *err)
{
    return nowhere(err);
}

int channel_listen(struct channel *channel, const char *uri, struct error *err)
{
    return nowhere(err);
}

int channel_accept(struct channel *channel, struct error *err)
{
    return nowhere(err);
}

int channel_write(void *opaque, const void *data, size_t size, struct error *err)
{
    return nowhere(err);
}

int channel_read(void *opaque, void *data, size_t size, struct error *err)
{
    return nowhere(err);
}

int channel_pause(const struct channel *channel, int ms, struct error *err)
{
    return nowhere(err);
}

void channel_cancel(struct channel *channel) {}

int channel_finish(struct channel *channel, bool complete, struct error *err)
{
    return 0;
}

void channel_destroy(struct channel *channel) {}
