// SPDX-License-Identifier: MIT
// Owns the memory balloon (Virtio 1.2, 5.5). Invariant: only whole pages of RAM that the driver named are
// given back to the host; whoever reads one afterwards finds zeros, which is what a page in the balloon may
// hold (5.5.6). The statistics buffer is the one request that is kept between calls, and is part of the
// state.
#include "hw/virtio/virtio_balloon.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { INFLATE, DEFLATE, STATS, QUEUES, QUEUE_SIZE = 128, PFN_BITS = 12, MAX_PFNS = 1 << 16 };

#define VIRTIO_BALLOON_F_STATS_VQ (1ull << 1)
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM (1ull << 2)

// 5.5.4
struct balloon_device_config {
    uint32_t num_pages, actual;
};

struct virtio_balloon {
    struct virtio_device vdev;
    struct balloon_device_config config;
    uint64_t stats[VIRTIO_BALLOON_STATS];
    bool stats_held; // the driver's buffer is here: giving it back asks for statistics
    uint16_t stats_head;
    struct virtq_chain chain; // scratch
};

static const struct state_field fields[] = {
    VIRTIO_STATE(virtio_balloon, vdev),
    STATE_FIELD(32, STATE_U32, virtio_balloon, config.num_pages),
    STATE_FIELD(33, STATE_U32, virtio_balloon, config.actual),
    STATE_ARRAY(34, STATE_U64, virtio_balloon, stats, VIRTIO_BALLOON_STATS),
    STATE_FIELD(35, STATE_BOOL, virtio_balloon, stats_held),
    STATE_FIELD(36, STATE_U16, virtio_balloon, stats_head),
    STATE_ARRAY(37, STATE_U16, virtio_balloon, vdev.queues[STATS].counts, VIRTQUEUE_MAX_SIZE),
};

// Translated code of the page is withdrawn first; the page is zeros from then on.
static void give_back(struct virtio_balloon *b, uint32_t pfn)
{
    uint64_t addr = (uint64_t)pfn << PFN_BITS;
    void *host = mem_host(b->vdev.mem, (struct gpa){addr}, 1 << PFN_BITS);
    if (!host || madvise(host, 1 << PFN_BITS, MADV_DONTNEED))
        return;
    mem_wrote(b->vdev.mem, (struct gpa){addr}, 1 << PFN_BITS);
}

// A page that comes back needs nothing: it is filled when it is touched.
static void serve_pages(struct virtio_balloon *b, unsigned queue)
{
    bool answered = false;
    while (virtio_pop(&b->vdev, queue, &b->chain)) {
        uint32_t pfns[256];
        uint64_t len =
            b->chain.out_len < MAX_PFNS * sizeof *pfns ? b->chain.out_len : MAX_PFNS * sizeof *pfns;
        for (uint64_t at = 0; queue == INFLATE && at + sizeof *pfns <= len; at += sizeof pfns) {
            size_t n = virtq_read(&b->chain, at, pfns, sizeof pfns) / sizeof *pfns;
            for (size_t i = 0; i < n; i++)
                give_back(b, pfns[i]);
        }
        virtio_push(&b->vdev, queue, b->chain.head, 0);
        answered = true;
    }
    if (answered)
        virtio_interrupt(&b->vdev, queue);
}

static void take_stats(struct virtio_balloon *b)
{
    struct {
        uint16_t tag;
        uint64_t value;
    } __attribute__((packed)) stat;
    while (virtio_pop(&b->vdev, STATS, &b->chain)) {
        if (b->stats_held) // a driver has one; the older goes back
            virtio_push(&b->vdev, STATS, b->stats_head, 0);
        b->stats_held = true;
        b->stats_head = b->chain.head;
        for (unsigned i = 0; i < 4 * VIRTIO_BALLOON_STATS; i++)
            if (virtq_read(&b->chain, i * sizeof stat, &stat, sizeof stat) == sizeof stat &&
                stat.tag < VIRTIO_BALLOON_STATS)
                b->stats[stat.tag] = stat.value;
    }
}

static void queue_notify(struct virtio_device *vdev, unsigned queue)
{
    struct virtio_balloon *b = (struct virtio_balloon *)vdev;
    if (queue == STATS)
        take_stats(b);
    else
        serve_pages(b, queue);
}

static uint32_t config_read(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    uint32_t value = 0;
    memcpy(&value, (const uint8_t *)&((struct virtio_balloon *)vdev)->config + offset, size);
    return value;
}

static void config_write(struct virtio_device *vdev, unsigned offset, unsigned size, uint32_t value)
{
    if (offset == offsetof(struct balloon_device_config, actual) && size == 4)
        ((struct virtio_balloon *)vdev)->config.actual = value;
}

void virtio_balloon_set_target(struct virtio_device *vdev, uint32_t pages)
{
    struct virtio_balloon *b = (struct virtio_balloon *)vdev;
    if (b->config.num_pages == pages)
        return;
    b->config.num_pages = pages;
    virtio_config_changed(vdev);
}

uint32_t virtio_balloon_actual(const struct virtio_device *vdev)
{
    return ((const struct virtio_balloon *)vdev)->config.actual;
}

void virtio_balloon_stats(struct virtio_device *vdev, uint64_t ret_stats[VIRTIO_BALLOON_STATS])
{
    struct virtio_balloon *b = (struct virtio_balloon *)vdev;
    memcpy(ret_stats, b->stats, sizeof b->stats);
    if (!b->stats_held || vdev->status & VIRTIO_NEEDS_RESET)
        return;
    b->stats_held = false;
    virtio_push(vdev, STATS, b->stats_head, 0);
    virtio_interrupt(vdev, STATS);
}

static void forget_stats(struct virtio_balloon *b)
{
    memset(b->stats, 0xff, sizeof b->stats);
    b->stats_held = false;
}

// The target stays: it is the host's wish. The balloon does not: a guest that starts anew has all its memory.
static void stop(struct virtio_device *vdev)
{
    struct virtio_balloon *b = (struct virtio_balloon *)vdev;
    b->config.actual = 0;
    forget_stats(b);
}

static void reset(struct device *dev)
{
    virtio_reset((struct virtio_device *)dev);
}

static void post_load(struct device *dev)
{
    virtio_restored((struct virtio_device *)dev);
}

static void destroy(struct device *dev)
{
    free(dev);
}

static const uint16_t queue_sizes[QUEUES] = {QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE};
static const struct virtio_class virtio_class = {
    .id = 5,
    .queue_count = QUEUES,
    .queue_sizes = queue_sizes,
    .config_size = sizeof(struct balloon_device_config),
    .config_read = config_read,
    .config_write = config_write,
    .queue_notify = queue_notify,
    .stop = stop,
};
static const struct device_class class =
    DEVICE_CLASS("virtio-balloon", 1, fields, reset, post_load, destroy, NULL, 0);

int virtio_balloon_create(const struct virtio_balloon_config *config, struct virtio_device **ret_vdev,
                          struct error *err)
{
    struct virtio_balloon *b = calloc(1, sizeof *b);
    if (!b)
        return error_set(err, -ENOMEM, "out of memory");
    virtio_init(&b->vdev, &class, &virtio_class, config->path, config->mem,
                VIRTIO_BALLOON_F_STATS_VQ | (config->deflate_on_oom ? VIRTIO_BALLOON_F_DEFLATE_ON_OOM : 0));
    forget_stats(b);
    *ret_vdev = &b->vdev;
    return 0;
}
