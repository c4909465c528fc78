// SPDX-License-Identifier: MIT
// Random drivers against virtio devices: requests of random bytes and lengths, configuration accesses,
// notifications, events of the host, resets and saved states with flipped bytes. Asserts, sanitizers and
// bounds checked by the tests' own ends judge. The seed is fixed; give another, and a number of rounds, in
// FUZZ_SEED and FUZZ_ROUNDS.
#include "base/entropy.h"
#include "base/loop.h"
#include "host/chardev.h"
#include "host/fs.h"
#include "hw/core/state.h"
#include "hw/virtio/virtio_9p.h"
#include "hw/virtio/virtio_balloon.h"
#include "hw/virtio/virtio_console.h"
#include "hw/virtio/virtio_input.h"
#include "hw/virtio/virtio_rng.h"
#include "hw/virtio/virtio_vsock.h"
#include "host/vsock.h"
#include "tests/virtio/driver.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { STEPS = 200 };

struct bench {
    struct driver d;
    struct entropy random;
    struct loop *loop;
    struct fs *fs;
    struct chardev ends[2];
    unsigned queues; // of the device that are used
    char folder[64];
};

static uint64_t pick(struct bench *b, uint64_t below)
{
    uint64_t v;
    entropy_fill(&b->random, &v, sizeof v);
    return below ? v % below : v;
}

static int end_write(struct chardev *chardev, const void *buf, size_t len)
{
    return (int)len;
}

static size_t end_room(struct chardev *chardev)
{
    return chardev->alone ? 0 : 100; // as slow as it is lonely: that costs no field
}

static const struct chardev_ops end_ops = {.write = end_write, .room = end_room};

static void make_console(struct bench *b)
{
    struct virtio_console_config config = {.path = "/v", .mem = b->d.mem, .max_ports = 3};
    cr_assert_eq(virtio_console_create(&config, &b->d.vdev, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct virtio_port_config port = {
            .number = -1, .console = !i, .name = "port", .chardev = &b->ends[i]};
        b->ends[i] = (struct chardev){.ops = &end_ops};
        cr_assert_eq(virtio_console_add_port(b->d.vdev, &port, NULL), 0);
    }
    b->queues = 8;
}

static void make_balloon(struct bench *b)
{
    struct virtio_balloon_config config = {.path = "/v", .mem = b->d.mem, .deflate_on_oom = true};
    cr_assert_eq(virtio_balloon_create(&config, &b->d.vdev, NULL), 0);
    b->queues = 3;
}

static void make_input(struct bench *b)
{
    struct virtio_input_config config = {
        .path = "/v", .mem = b->d.mem, .kind = (enum virtio_input_kind)pick(b, 3)};
    cr_assert_eq(virtio_input_create(&config, &b->d.vdev, NULL), 0);
    b->queues = 2;
}

static void make_rng(struct bench *b)
{
    struct virtio_rng_config config = {.path = "/v", .mem = b->d.mem, .entropy = &b->random};
    cr_assert_eq(virtio_rng_create(&config, &b->d.vdev, NULL), 0);
    b->queues = 1;
}

static void make_9p(struct bench *b)
{
    struct virtio_9p_config config = {.path = "/v", .mem = b->d.mem, .fs = b->fs, .mount_tag = "tag"};
    cr_assert_eq(virtio_9p_create(&config, &b->d.vdev, NULL), 0);
    b->queues = 1;
}

// Its guest is told of in random bytes that are small numbers as a rule.
static void make_vsock(struct bench *b)
{
    char path[80];
    struct virtio_vsock_config config = {.path = "/v", .mem = b->d.mem, .loop = b->loop, .guest_cid = 3};
    snprintf(path, sizeof path, "%s/v", b->folder);
    cr_assert_eq(vsock_create(path, b->loop, &config.vsock, NULL), 0);
    cr_assert_eq(virtio_vsock_create(&config, &b->d.vdev, NULL), 0);
    b->queues = 3;
}

static void knock(struct bench *b)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s/v", b->folder);
    if (!connect(fd, (struct sockaddr *)&a, sizeof a)) {
        cr_assert_gt(write(fd, "CONNECT 1\nand so on", 10 + pick(b, 9)), 0);
        loop_once(b->loop, 0);
        loop_once(b->loop, 0);
    }
    close(fd);
}

// A packet with a header that means something, most of the time.
static void vsock_packet(struct bench *b)
{
    struct {
        uint64_t src_cid, dst_cid;
        uint32_t src_port, dst_port, len;
        uint16_t type, op;
        uint32_t flags, buf_alloc, fwd_cnt;
        uint8_t data[64];
    } __attribute__((packed)) p = {.src_cid = 3, .dst_cid = 2, .src_port = 1, .type = 1};
    p.dst_port = (1u << 30) + (uint32_t)pick(b, 4);
    p.op = (uint16_t)pick(b, 9);
    p.len = (uint32_t)pick(b, 80);
    p.flags = (uint32_t)pick(b, 4);
    p.buf_alloc = (uint32_t)pick(b, pick(b, 2) ? 10 : 0);
    p.fwd_cnt = (uint32_t)pick(b, 20);
    driver_out(&b->d, 1, &p, 44 + (uint32_t)pick(b, 64));
}

static void host_event(struct bench *b)
{
    uint8_t data[64] = {0};
    struct chardev *end = &b->ends[pick(b, 2)];
    size_t room = end->ops ? chardev_can_deliver(end) : 0;
    if (end->ops && pick(b, 2))
        chardev_notify(end, (enum chardev_event)pick(b, 4));
    else if (room)
        chardev_deliver(end, data, room < sizeof data ? room : sizeof data);
    if (!strcmp(b->d.vdev->dev.class->type, "virtio-input")) {
        struct input_event e = {(uint16_t)pick(b, 4), (uint16_t)pick(b, 600), 1};
        virtio_input_send(b->d.vdev, &e, 1);
    }
    if (!strcmp(b->d.vdev->dev.class->type, "virtio-vsock")) {
        if (pick(b, 2))
            knock(b);
        else
            vsock_packet(b);
    }
    if (!strcmp(b->d.vdev->dev.class->type, "virtio-balloon")) {
        uint64_t stats[VIRTIO_BALLOON_STATS];
        virtio_balloon_stats(b->d.vdev, stats);
        virtio_balloon_set_target(b->d.vdev, (uint32_t)pick(b, 0));
    }
}

static void restore(struct bench *b)
{
    struct state_buf saved = {0};
    struct device *dev = &b->d.vdev->dev;
    if (dev->class->quiesce)
        dev->class->quiesce(dev);
    cr_assert_eq(state_save(dev, 0, &saved, NULL), 0);
    for (unsigned i = (unsigned)pick(b, 4); i; i--)
        saved.data[pick(b, saved.size)] ^= (uint8_t)(1 << pick(b, 8));
    if (state_load(&dev, 1, 0, saved.data, saved.size, NULL))
        device_reset(dev);
    state_buf_free(&saved);
}

static void step(struct bench *b)
{
    struct virtio_device *vdev = b->d.vdev;
    uint8_t data[512];
    unsigned queue = (unsigned)pick(b, b->queues), len = (unsigned)pick(b, pick(b, 4) ? 16 : sizeof data + 1);
    switch (pick(b, 12)) {
    case 0: virtio_config_read(vdev, pick(b, 300), 1u << pick(b, 3)); break;
    case 1: virtio_config_write(vdev, pick(b, 300), 1u << pick(b, 3), (uint32_t)pick(b, 0)); break;
    case 2:
    case 3: host_event(b); break;
    case 4: virtio_queue_notify(vdev, (unsigned)pick(b, 70)); break;
    case 5:
        if (!pick(b, 4))
            restore(b);
        break;
    case 6:
    case 7: driver_in(&b->d, queue, len); break;
    default:
        for (unsigned i = 0; i < len; i++)
            data[i] = (uint8_t)(pick(b, 2) ? pick(b, 8) : 0);
        driver_out(&b->d, queue, data, len);
        break;
    }
    loop_once(b->loop, 0);
}

static void run(struct bench *b, void (*make)(struct bench *b))
{
    uint64_t offered;
    driver_setup(&b->d);
    cr_assert_eq(loop_create(&b->d.lock, &b->loop, NULL), 0);
    if (make == make_9p) {
        struct fs_config config = {.path = b->folder, .loop = b->loop};
        cr_assert_eq(fs_open(&config, &b->fs, NULL), 0);
    }
    make(b);
    offered = b->d.vdev->features & ~VIRTIO_F_RING_PACKED & ~VIRTIO_F_EVENT_IDX;
    for (unsigned life = 0; life < 3; life++) {
        memset(b->d.next, 0, sizeof b->d.next);
        memset(b->d.seen, 0, sizeof b->d.seen);
        for (unsigned q = 0; q < b->queues; q++)
            memset(driver_at(&b->d, q, 0), 0, 0x3000);
        driver_start(&b->d, pick(b, 0) & offered, b->queues);
        for (unsigned i = 0; i < STEPS; i++)
            step(b);
        virtio_set_status(b->d.vdev, 0);
    }
    device_destroy(&b->d.vdev->dev);
    fs_close(b->fs);
    b->fs = NULL;
    memset(b->ends, 0, sizeof b->ends);
    loop_destroy(b->loop);
    driver_teardown(&b->d);
}

Test(devices, random_drivers)
{
    static void (*const kinds[])(struct bench * b) = {make_console, make_balloon, make_input, make_rng,
                                                      make_9p,      make_vsock};
    const char *seed = getenv("FUZZ_SEED"), *rounds = getenv("FUZZ_ROUNDS");
    unsigned long count = rounds ? strtoul(rounds, NULL, 0) / 100 : 20;
    static struct bench b;
    entropy_init_seeded(&b.random, seed ? strtoull(seed, NULL, 0) : 1);
    strcpy(b.folder, "/tmp/device_fuzz.XXXXXX");
    cr_assert(mkdtemp(b.folder));
    for (unsigned long i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            if (kinds[k] != make_vsock || i % 4 == 0) // whose calls of the host take their time
                run(&b, kinds[k]);
    rmdir(b.folder);
    entropy_destroy(&b.random);
}
