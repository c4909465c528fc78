// SPDX-License-Identifier: MIT
// Every virtio device on virtio-mmio, with split and packed rings. An input names the device and the features
// that its driver accepts, then what happens: requests offered as a driver would, rings and registers written
// as none would, events of the host, saved states, restarts. Requests to a disk or a folder are in flight
// until the input lets them finish.
#include "host/block.h"
#include "host/chardev.h"
#include "host/fs.h"
#include "host/net.h"
#include "hw/virtio/virtio_9p.h"
#include "hw/virtio/virtio_balloon.h"
#include "hw/virtio/virtio_blk.h"
#include "hw/virtio/virtio_console.h"
#include "hw/virtio/virtio_input.h"
#include "hw/virtio/virtio_mmio.h"
#include "hw/virtio/virtio_net.h"
#include "hw/virtio/virtio_rng.h"
#include "hw/virtio/virtio_vsock.h"
#include "host/vsock.h"
#include "tests/fuzz/rig.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    QUEUES = 8,
    ENTRIES = 16,
    PLACE = 0x1000, // bytes of RAM for a queue's rings
    DESC = 0,
    AVAIL = 0x400,
    USED = 0x800, // in its place
    BUFFERS = QUEUES * PLACE,
    DISK = 64 << 10,
    NEXT = 1,
    WRITE = 2,
    INDIRECT = 4,
    PACKED_AVAIL = 1 << 7,
    PACKED_USED = 1 << 15,
};
enum {
    QueueSel = 0x30,
    QueueNum = 0x38,
    QueueReady = 0x44,
    QueueNotify = 0x50,
    Status = 0x70,
    DriverFeatures = 0x20,
    DriverFeaturesSel = 0x24,
    QueueDescLow = 0x80,
    QueueDriverLow = 0x90,
    QueueDeviceLow = 0xa0
};

struct wire {
    struct net net;
    unsigned refuse; // so many frames
};

struct bench {
    struct rig *rig;
    struct device *transport;
    struct virtio_device *vdev;
    struct chardev ends[2];
    struct wire wire;
    unsigned next[QUEUES], entries[QUEUES];
    uint32_t buffer; // offset of the next
};

// Back ends with threads, made once.
static struct block *disk;
static struct fs *fs;
static int disk_fd;

// ---- the host's side

static int end_write(struct chardev *chardev, const void *buf, size_t len)
{
    return (int)len;
}

static size_t end_room(struct chardev *chardev)
{
    return chardev->alone ? 0 : 100;
}

static const struct chardev_ops end_ops = {.write = end_write, .room = end_room};

static bool wire_send(struct net *net, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct wire *w = (struct wire *)net;
    FUZZ_CHECK(len <= NET_FRAME_MAX);
    if (!w->refuse)
        return true;
    w->refuse--;
    return false;
}

static void wire_accept(struct net *net) {}

static const struct net_ops wire_ops = {.send = wire_send, .accept = wire_accept};

static void make_blk(struct bench *b, uint8_t kind)
{
    static char path[64];
    if (!disk) {
        disk_fd = rig_file(DISK, path);
        struct block_config config = {.path = path, .format = "raw", .discard = true, .loop = b->rig->loop};
        FUZZ_CHECK(!block_open(&config, &disk, NULL));
    }
    FUZZ_CHECK(!ftruncate(disk_fd, 0) && !ftruncate(disk_fd, DISK));
    struct virtio_blk_config config = {
        .path = "/v", .mem = b->rig->mem, .block = disk, .serial = "s", .queues = 2};
    FUZZ_CHECK(!virtio_blk_create(&config, &b->vdev, NULL));
}

static void make_net(struct bench *b, uint8_t kind)
{
    b->wire = (struct wire){.net = {.ops = &wire_ops, .takes = kind & 7, .may_give = 7, .link_up = true}};
    struct virtio_net_config config = {.path = "/v",
                                       .mem = b->rig->mem,
                                       .loop = b->rig->loop,
                                       .net = &b->wire.net,
                                       .mac = {0x52, 0x54, 0, 1, 2, 3},
                                       .mtu = kind & 8 ? 1400 : 0};
    FUZZ_CHECK(!virtio_net_create(&config, &b->vdev, NULL));
}

static void make_console(struct bench *b, uint8_t kind)
{
    struct virtio_console_config config = {.path = "/v", .mem = b->rig->mem, .max_ports = 3};
    FUZZ_CHECK(!virtio_console_create(&config, &b->vdev, NULL));
    for (unsigned i = 0; i < 2; i++) {
        b->ends[i] = (struct chardev){.ops = &end_ops};
        struct virtio_port_config port = {
            .number = -1, .console = !i, .name = "port", .chardev = &b->ends[i]};
        FUZZ_CHECK(!virtio_console_add_port(b->vdev, &port, NULL));
    }
}

static void make_9p(struct bench *b, uint8_t kind)
{
    if (!fs) {
        struct fs_config config = {.path = rig_folder(), .loop = b->rig->loop};
        FUZZ_CHECK(!fs_open(&config, &fs, NULL));
    }
    struct virtio_9p_config config = {.path = "/v", .mem = b->rig->mem, .fs = fs, .mount_tag = "tag"};
    FUZZ_CHECK(!virtio_9p_create(&config, &b->vdev, NULL));
}

static void make_rng(struct bench *b, uint8_t kind)
{
    struct virtio_rng_config config = {.path = "/v", .mem = b->rig->mem, .entropy = &b->rig->entropy};
    FUZZ_CHECK(!virtio_rng_create(&config, &b->vdev, NULL));
}

static void make_balloon(struct bench *b, uint8_t kind)
{
    struct virtio_balloon_config config = {.path = "/v", .mem = b->rig->mem, .deflate_on_oom = kind & 1};
    FUZZ_CHECK(!virtio_balloon_create(&config, &b->vdev, NULL));
}

static void make_input(struct bench *b, uint8_t kind)
{
    struct virtio_input_config config = {
        .path = "/v", .mem = b->rig->mem, .kind = (enum virtio_input_kind)(kind % 3)};
    FUZZ_CHECK(!virtio_input_create(&config, &b->vdev, NULL));
}

static struct sockaddr_un vsock_address(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/v", rig_folder());
    return a;
}

static void make_vsock(struct bench *b, uint8_t kind)
{
    struct virtio_vsock_config config = {.path = "/v", .mem = b->rig->mem, .loop = b->rig->loop, .guest_cid = 3};
    FUZZ_CHECK(!vsock_create(vsock_address().sun_path, b->rig->loop, &config.vsock, NULL));
    FUZZ_CHECK(!virtio_vsock_create(&config, &b->vdev, NULL));
}

// Somebody at the host says something and, as a rule, stays for a while.
static void knock(struct bench *b, bool again, const uint8_t *bytes, size_t len)
{
    static int fd = -1;
    const struct sockaddr_un a = vsock_address();
    if (fd < 0 || again) {
        if (fd >= 0)
            close(fd);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fd, (const struct sockaddr *)&a, sizeof a) || send(fd, "CONNECT 1\n", 10, MSG_NOSIGNAL) < 0)
            return;
    }
    if (send(fd, bytes, len, MSG_NOSIGNAL) < 0)
        return;
    rig_pass(b->rig, 1000);
}

static void (*const makers[])(struct bench *b, uint8_t kind) = {make_blk, make_net,     make_console, make_9p,
                                                                make_rng, make_balloon, make_input, make_vsock};

static void host_event(struct bench *b, struct fuzz_input *in)
{
    const char *type = b->vdev->dev.class->type;
    uint8_t what = fuzz_u8(in);
    size_t len;
    const uint8_t *bytes = fuzz_bytes(in, fuzz_u16(in) % 2000, &len);
    struct chardev *end = &b->ends[what & 1];
    if (end->ops && what & 2) {
        chardev_notify(end, (enum chardev_event)(what >> 2 & 3));
    } else if (end->ops) {
        size_t room = chardev_can_deliver(end);
        chardev_deliver(end, bytes, len < room ? len : room);
    } else if (b->wire.net.ops) {
        struct net_offload offload = {.flags = what >> 4 & 3,
                                      .gso_type = what >> 6,
                                      .gso_size = 100,
                                      .csum_start = 34,
                                      .csum_offset = 16};
        switch (what & 7) {
        case 0: b->wire.refuse = what >> 3; break;
        case 1: net_can_send(&b->wire.net); break;
        case 2: net_set_link(&b->wire.net, what & 8); break;
        case 3: net_pause(&b->wire.net, what & 8); break;
        default: net_deliver(&b->wire.net, what & 8 ? &offload : NULL, bytes, len); break;
        }
    } else if (!strcmp(type, "virtio-input")) {
        struct input_event events[8] = {{0}};
        memcpy(events, bytes, len < sizeof events ? len : sizeof events);
        virtio_input_send(b->vdev, events, 1 + what % 8);
    } else if (!strcmp(type, "virtio-vsock")) {
        knock(b, what & 1, bytes, len);
    } else if (!strcmp(type, "virtio-balloon")) {
        uint64_t stats[VIRTIO_BALLOON_STATS];
        virtio_balloon_stats(b->vdev, stats);
        virtio_balloon_set_target(b->vdev, what & 1 ? fuzz_u32(in) : what);
    }
}

// What is in flight ends now.
static void finish(struct bench *b)
{
    if (disk)
        block_drain(disk);
    if (fs)
        fs_drain(fs);
    rig_pass(b->rig, 1000);
}

// ---- the driver

static void put(struct bench *b, uint64_t offset, uint64_t value)
{
    b->transport->class->mmio->write(b->transport, offset, 4, (uint32_t)value);
}

static uint8_t *at(struct bench *b, unsigned queue, unsigned offset)
{
    return b->rig->ram->host + queue * PLACE + offset;
}

static void start(struct bench *b, uint64_t features)
{
    put(b, Status, 0);
    put(b, Status, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    features = (features | VIRTIO_F_VERSION_1) & b->vdev->features;
    for (unsigned i = 0; i < 2; i++) {
        put(b, DriverFeaturesSel, i);
        put(b, DriverFeatures, features >> 32 * i);
    }
    put(b, Status, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    memset(b->next, 0, sizeof b->next);
    for (unsigned q = 0; q < QUEUES && q < b->vdev->class->queue_count; q++) {
        unsigned most = b->vdev->queues[q].max_size;
        b->entries[q] = most < ENTRIES ? most : ENTRIES;
        if (!most)
            continue;
        memset(at(b, q, 0), 0, PLACE);
        put(b, QueueSel, q);
        put(b, QueueNum, b->entries[q]);
        put(b, QueueDescLow, RIG_RAM + q * PLACE + DESC);
        put(b, QueueDriverLow, RIG_RAM + q * PLACE + AVAIL);
        put(b, QueueDeviceLow, RIG_RAM + q * PLACE + USED);
        put(b, QueueReady, 1);
    }
    put(b, Status, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
}

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t third, fourth; // split: flags, next; packed: id, flags
};

static void put_desc(struct bench *b, unsigned queue, const struct desc *d, unsigned flags, bool last)
{
    unsigned size = b->entries[queue], i = b->next[queue]++, entry = i % size;
    struct desc out = *d;
    flags |= last ? 0 : NEXT;
    if (b->vdev->queues[queue].packed) {
        out.third = (uint16_t)entry;
        out.fourth = (uint16_t)(flags | (i / size % 2 ? PACKED_USED : PACKED_AVAIL));
    } else {
        out.third = (uint16_t)flags;
        out.fourth = (uint16_t)((entry + 1) % size);
    }
    memcpy(at(b, queue, DESC + 16 * entry), &out, sizeof out);
}

// One that there is.
static unsigned some_queue(const struct bench *b, uint8_t how)
{
    unsigned queue = how % QUEUES;
    return queue < b->vdev->class->queue_count && b->entries[queue] ? queue : 0;
}

// A request: bytes for the device in pieces, then room for its answer, at fresh places of RAM.
static void offer(struct bench *b, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    unsigned queue = some_queue(b, how), outs = how >> 3 & 3, ins = how >> 5 & 3;
    unsigned head = b->next[queue] % b->entries[queue];
    bool notify = !(how & 128);
    for (unsigned i = 0; i < outs + ins; i++) {
        size_t len = 0, want = fuzz_u8(in);
        if (want >= 0xf0)
            want = (want & 15) << 8;
        if (b->buffer + want > RIG_RAM_SIZE)
            b->buffer = BUFFERS;
        struct desc d = {.addr = RIG_RAM + b->buffer, .len = (uint32_t)want};
        if (i < outs) {
            const uint8_t *bytes = fuzz_bytes(in, want, &len);
            memcpy(b->rig->ram->host + b->buffer, bytes, len);
        }
        b->buffer += (uint32_t)(want + 15) & ~15u;
        put_desc(b, queue, &d, i < outs ? 0 : WRITE, i + 1 == outs + ins);
    }
    uint16_t *avail = (uint16_t *)(void *)at(b, queue, AVAIL);
    if (!b->vdev->queues[queue].packed && outs + ins)
        avail[2 + avail[1]++ % b->entries[queue]] = (uint16_t)head;
    if (notify)
        put(b, QueueNotify, queue);
}

// A descriptor of any kind, an indirect table of descriptors as likely as not.
static void scribble(struct bench *b, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    unsigned queue = some_queue(b, how);
    struct desc d = {.addr = how & 8 ? fuzz_u64(in) : RIG_RAM + fuzz_below(in, RIG_RAM_SIZE),
                     .len = (uint32_t)fuzz_value(in)};
    put_desc(b, queue, &d, fuzz_u8(in) & (NEXT | WRITE | INDIRECT), true);
    uint16_t *avail = (uint16_t *)(void *)at(b, queue, AVAIL);
    if (how & 16)
        avail[2 + avail[1]++ % b->entries[queue]] =
            how & 32 ? fuzz_u16(in) : (uint16_t)((b->next[queue] - 1) % b->entries[queue]);
}

static void write_ram(struct bench *b, struct fuzz_input *in)
{
    size_t len, offset = fuzz_below(in, RIG_RAM_SIZE);
    const uint8_t *bytes = fuzz_bytes(in, 1 + fuzz_u8(in) % 32, &len);
    memcpy(b->rig->ram->host + offset, bytes, len < RIG_RAM_SIZE - offset ? len : RIG_RAM_SIZE - offset);
}

static void save_and_load(struct bench *b, struct fuzz_input *in)
{
    struct device *dev = &b->vdev->dev;
    if (disk)
        block_drain(disk);
    rig_save_and_load(&dev, 1, 0, in);
    for (unsigned q = 0; q < QUEUES; q++)
        b->next[q] = b->vdev->queues[q].last_avail;
}

static void step(struct bench *b, struct fuzz_input *in)
{
    switch (fuzz_u8(in) % 16) {
    case 0: write_ram(b, in); break;
    case 1:
    case 2: rig_access(b->transport->class->mmio, b->transport, VIRTIO_MMIO_SIZE, in); break;
    case 3: put(b, QueueNotify, fuzz_u8(in)); break;
    case 4: host_event(b, in); break;
    case 5:
        if (!(fuzz_u8(in) & 3)) // which takes long
            save_and_load(b, in);
        break;
    case 6: start(b, fuzz_u64(in)); break;
    case 7:
    case 8: scribble(b, in); break;
    case 9: finish(b); break;
    default: offer(b, in); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { STEPS = 400 };
    struct fuzz_input in = {data, size};
    struct bench b = {.rig = rig_get(), .buffer = BUFFERS};
    uint8_t which = fuzz_u8(&in);
    makers[which % ARRAY_SIZE(makers)](&b, which / ARRAY_SIZE(makers));
    struct virtio_mmio_config config = {.path = "/t", .irq = rig_irq(b.rig, 0)};
    FUZZ_CHECK(!virtio_mmio_create(&config, &b.transport, NULL));
    virtio_mmio_plug(b.transport, b.vdev);
    device_reset(b.transport);
    device_reset(&b.vdev->dev);
    start(&b, fuzz_u64(&in));
    for (unsigned i = 0; in.size && i < STEPS; i++) {
        step(&b, &in);
        for (unsigned q = 0; q < b.vdev->class->queue_count; q++) {
            const struct virtqueue *vq = &b.vdev->queues[q];
            FUZZ_CHECK(!vq->ready || (vq->size && vq->size <= vq->max_size));
            FUZZ_CHECK(!vq->ready || !vq->packed || (vq->last_avail < vq->size && vq->used_idx < vq->size));
        }
    }
    put(&b, Status, 0);
    finish(&b);
    device_destroy(&b.vdev->dev);
    device_destroy(b.transport);
    if (fs && makers[which % ARRAY_SIZE(makers)] == make_9p) {
        fs_reset(fs);
        rig_empty(rig_folder());
    }
    return 0;
}
