// SPDX-License-Identifier: MIT
// Owns the virtio block device (Virtio 1.2, 5.2): requests of its queues, their checking, and their way
// through the block back end. Queues share the requests in flight. Invariant: at most IN_FLIGHT requests are
// outside; a reset waits for them, so that nothing writes to guest memory after the driver was told that the
// device is reset. Requests in flight are not part of the state: a machine is saved only after the back end
// has drained.
#include "hw/virtio/virtio_blk.h"
#include "base/error.h"
#include "host/block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_SIZE = 256, IN_FLIGHT = 64, SECTOR_BITS = 9, ID_BYTES = 20, HEADER_SIZE = 16 };

enum {
    VIRTIO_BLK_T_IN = 0,
    VIRTIO_BLK_T_OUT = 1,
    VIRTIO_BLK_T_FLUSH = 4,
    VIRTIO_BLK_T_GET_ID = 8,
    VIRTIO_BLK_T_DISCARD = 11,
    VIRTIO_BLK_T_WRITE_ZEROES = 13,
    VIRTIO_BLK_S_OK = 0,
    VIRTIO_BLK_S_IOERR = 1,
    VIRTIO_BLK_S_UNSUPP = 2,
};

#define VIRTIO_BLK_F_SEG_MAX (1ull << 2)
#define VIRTIO_BLK_F_RO (1ull << 5)
#define VIRTIO_BLK_F_BLK_SIZE (1ull << 6)
#define VIRTIO_BLK_F_FLUSH (1ull << 9)
#define VIRTIO_BLK_F_TOPOLOGY (1ull << 10)
#define VIRTIO_BLK_F_MQ (1ull << 12)
#define VIRTIO_BLK_F_DISCARD (1ull << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES (1ull << 14)

// 5.2.4, little-endian
struct blk_device_config {
    uint64_t capacity; // sectors of 512 bytes
    uint32_t size_max, seg_max;
    uint16_t cylinders;
    uint8_t heads, sectors;
    uint32_t blk_size;
    uint8_t physical_block_exp, alignment_offset;
    uint16_t min_io_size;
    uint32_t opt_io_size;
    uint8_t writeback, unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap, unused1[3];
} __attribute__((packed));

_Static_assert(sizeof(struct blk_device_config) == 60, "layout of 5.2.4");

struct virtio_blk;

struct blk_request {
    struct block_request block;
    struct virtio_blk *owner;
    uint32_t type;
    unsigned queue;
    struct virtq_chain chain;
    struct iovec iov[VIRTQUEUE_MAX_SEGMENTS];
    struct blk_request *next_free;
};

struct virtio_blk {
    struct virtio_device vdev;
    struct virtio_class class;
    struct block *block;
    struct blk_device_config config;
    char serial[ID_BYTES];
    struct blk_request *requests, *free;
    uint32_t starved; // bit of each queue that was left with requests because all of ours were outside
    bool stopping;
};

static const struct state_field fields[] = {
    VIRTIO_STATE(virtio_blk, vdev),
    STATE_FIELD(32, STATE_U32, virtio_blk, starved),
};

// Gives the request back with a status in the last in byte (5.2.6).
static void finish(struct virtio_blk *blk, struct blk_request *request, uint8_t status)
{
    const struct virtq_chain *chain = &request->chain;
    uint64_t data = chain->in_len - 1;
    virtq_write(chain, blk->vdev.mem, data, &status, 1);
    bool read = request->type == VIRTIO_BLK_T_IN || request->type == VIRTIO_BLK_T_GET_ID;
    uint32_t written = 1 + (read && status == VIRTIO_BLK_S_OK ? (uint32_t)data : 0);
    virtio_push(&blk->vdev, request->queue, chain->head, written);
    request->next_free = blk->free;
    blk->free = request;
}

static void serve_queue(struct virtio_blk *blk, unsigned queue);

static void done(struct block_request *block_request)
{
    struct blk_request *request = block_request->opaque;
    struct virtio_blk *blk = request->owner;
    if (block_request->op == BLOCK_READ)
        for (unsigned i = 0; i < request->chain.in_count; i++) {
            const struct virtq_segment *s = &request->chain.segments[request->chain.out_count + i];
            if (s->len)
                mem_wrote(blk->vdev.mem, (struct gpa){s->addr}, s->len);
        }
    if (blk->stopping) {
        request->next_free = blk->free;
        blk->free = request;
        return;
    }
    finish(blk, request, block_request->result ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
    virtio_interrupt(&blk->vdev, request->queue);
    for (uint32_t starved = blk->starved; starved && blk->free; starved &= starved - 1) {
        unsigned queue = (unsigned)__builtin_ctz(starved);
        blk->starved &= ~(1u << queue);
        serve_queue(blk, queue);
    }
}

// The data segments between header and status as host pieces. Returns their number.
static int data_pieces(struct blk_request *request, bool in, uint64_t skip, uint64_t len)
{
    const struct virtq_chain *chain = &request->chain;
    const struct virtq_segment *s = in ? chain->segments + chain->out_count : chain->segments;
    int count = 0;
    for (unsigned i = 0; len && i < (in ? chain->in_count : chain->out_count); i++) {
        if (skip >= s[i].len) {
            skip -= s[i].len;
            continue;
        }
        uint64_t part = s[i].len - skip < len ? s[i].len - skip : len;
        request->iov[count++] = (struct iovec){s[i].host + skip, part};
        len -= part;
        skip = 0;
    }
    return count;
}

static bool in_disk(const struct virtio_blk *blk, uint64_t sector, uint64_t bytes)
{
    uint64_t sectors = (bytes + 511) >> SECTOR_BITS, capacity = blk->config.capacity;
    return !(bytes & 511) && sector <= capacity && sectors <= capacity - sector;
}

static uint8_t submit_transfer(struct virtio_blk *blk, struct blk_request *request, uint64_t sector)
{
    bool in = request->type == VIRTIO_BLK_T_IN;
    uint64_t len = in ? request->chain.in_len - 1 : request->chain.out_len - HEADER_SIZE;
    if (!in_disk(blk, sector, len) || (!in && block_readonly(blk->block)))
        return VIRTIO_BLK_S_IOERR;
    request->block.op = in ? BLOCK_READ : BLOCK_WRITE;
    request->block.offset = sector << SECTOR_BITS;
    request->block.iov = request->iov;
    request->block.iov_count = data_pieces(request, in, in ? 0 : HEADER_SIZE, len);
    block_submit(blk->block, &request->block);
    return 0;
}

// One segment a request, as max_discard_seg and max_write_zeroes_seg say (5.2.6).
static uint8_t submit_range(struct virtio_blk *blk, struct blk_request *request)
{
    struct {
        uint64_t sector;
        uint32_t sectors, flags;
    } range;
    enum { UNMAP = 1 };
    bool discard = request->type == VIRTIO_BLK_T_DISCARD;
    if (request->chain.out_len != HEADER_SIZE + sizeof range)
        return VIRTIO_BLK_S_UNSUPP;
    virtq_read(&request->chain, HEADER_SIZE, &range, sizeof range);
    if (range.flags & ~(uint32_t)(discard ? 0 : UNMAP))
        return VIRTIO_BLK_S_UNSUPP;
    uint64_t len = (uint64_t)range.sectors << SECTOR_BITS;
    if (!in_disk(blk, range.sector, len) || block_readonly(blk->block))
        return VIRTIO_BLK_S_IOERR;
    request->block.op = discard ? BLOCK_DISCARD : BLOCK_ZERO;
    request->block.unmap = range.flags & UNMAP;
    request->block.offset = range.sector << SECTOR_BITS;
    request->block.len = len;
    block_submit(blk->block, &request->block);
    return 0;
}

// True when the request went to the back end; otherwise *ret_status is the answer.
static bool start_request(struct virtio_blk *blk, struct blk_request *request, uint8_t *ret_status)
{
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    virtq_read(&request->chain, 0, &header, sizeof header);
    request->type = header.type;
    request->block = (struct block_request){.done = done, .opaque = request};
    switch (header.type) {
    case VIRTIO_BLK_T_IN:
    case VIRTIO_BLK_T_OUT: *ret_status = submit_transfer(blk, request, header.sector); break;
    case VIRTIO_BLK_T_DISCARD:
        if (!block_discards(blk->block)) { // was not offered
            *ret_status = VIRTIO_BLK_S_UNSUPP;
            return false;
        }
        *ret_status = submit_range(blk, request);
        break;
    case VIRTIO_BLK_T_WRITE_ZEROES: *ret_status = submit_range(blk, request); break;
    case VIRTIO_BLK_T_FLUSH:
        request->block.op = BLOCK_FLUSH;
        block_submit(blk->block, &request->block);
        *ret_status = 0;
        break;
    case VIRTIO_BLK_T_GET_ID:
        virtq_write(&request->chain, blk->vdev.mem, 0, blk->serial,
                    request->chain.in_len - 1 < ID_BYTES ? request->chain.in_len - 1 : ID_BYTES);
        *ret_status = VIRTIO_BLK_S_OK;
        return false;
    default: *ret_status = VIRTIO_BLK_S_UNSUPP; return false;
    }
    return !*ret_status;
}

static void serve_queue(struct virtio_blk *blk, unsigned queue)
{
    bool answered = false;
    for (;;) {
        struct blk_request *request = blk->free;
        if (!request) {
            blk->starved |= 1u << queue;
            break;
        }
        if (!virtio_pop(&blk->vdev, queue, &request->chain))
            break;
        if (request->chain.out_len < HEADER_SIZE || request->chain.in_len < 1) {
            virtio_broken(&blk->vdev);
            break;
        }
        blk->free = request->next_free;
        request->queue = queue;
        uint8_t status;
        if (!start_request(blk, request, &status)) {
            finish(blk, request, status);
            answered = true;
        }
    }
    if (answered)
        virtio_interrupt(&blk->vdev, queue);
}

static void queue_notify(struct virtio_device *vdev, unsigned queue)
{
    serve_queue((struct virtio_blk *)vdev, queue);
}

static uint32_t config_read(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    uint32_t value = 0;
    memcpy(&value, (const uint8_t *)&((struct virtio_blk *)vdev)->config + offset, size);
    return value;
}

static void stop(struct virtio_device *vdev)
{
    struct virtio_blk *blk = (struct virtio_blk *)vdev;
    blk->stopping = true;
    block_drain(blk->block);
    blk->stopping = false;
    blk->starved = 0;
}

static void reset(struct device *dev)
{
    virtio_reset((struct virtio_device *)dev);
}

static void post_load(struct device *dev)
{
    virtio_restored((struct virtio_device *)dev);
}

static bool any_outside(const struct virtio_blk *blk)
{
    unsigned idle = 0;
    for (const struct blk_request *request = blk->free; request; request = request->next_free)
        idle++;
    return idle < IN_FLIGHT;
}

static void quiesce(struct device *dev)
{
    struct virtio_blk *blk = (struct virtio_blk *)dev;
    while (any_outside(blk))
        block_drain(blk->block); // a completion lets out what waited for it
}

static void destroy(struct device *dev)
{
    struct virtio_blk *blk = (struct virtio_blk *)dev;
    stop(&blk->vdev);
    free(blk->requests);
    free(blk);
}

static const uint16_t queue_sizes[VIRTIO_BLK_MAX_QUEUES] = {[0 ... VIRTIO_BLK_MAX_QUEUES - 1] = QUEUE_SIZE};
static const struct virtio_class virtio_class = {
    .id = 2,
    .queue_sizes = queue_sizes,
    .config_size = sizeof(struct blk_device_config),
    .config_read = config_read,
    .queue_notify = queue_notify,
    .stop = stop,
};
static const struct device_class class =
    DEVICE_CLASS_QUIESCED("virtio-blk", 2, fields, reset, post_load, destroy, NULL, 0, quiesce);

int virtio_blk_create(const struct virtio_blk_config *config, struct virtio_device **ret_vdev,
                      struct error *err)
{
    struct virtio_blk *blk = calloc(1, sizeof *blk);
    struct blk_request *requests = calloc(IN_FLIGHT, sizeof *requests);
    if (!blk || !requests) {
        free(blk);
        free(requests);
        return error_set(err, -ENOMEM, "out of memory");
    }
    bool readonly = block_readonly(config->block);
    bool discards = block_discards(config->block);
    unsigned queues = config->queues ? config->queues : 1;
    uint64_t features = VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH |
                        VIRTIO_BLK_F_TOPOLOGY | (readonly ? VIRTIO_BLK_F_RO : VIRTIO_BLK_F_WRITE_ZEROES) |
                        (discards ? VIRTIO_BLK_F_DISCARD : 0) | (queues > 1 ? VIRTIO_BLK_F_MQ : 0);
    blk->class = virtio_class;
    blk->class.queue_count = queues;
    virtio_init(&blk->vdev, &class, &blk->class, config->path, config->mem, features);
    enum { MAX_RANGE = 1 << 22, PAGE_EXP = 3 }; // sectors: 2 GiB; what the host's files are made of: 4 KiB
    uint32_t granule = (uint32_t)(block_granule(config->block) >> SECTOR_BITS);
    uint32_t best = granule > 1u << PAGE_EXP ? granule : 1u << PAGE_EXP;
    blk->block = config->block;
    blk->config = (struct blk_device_config){.capacity = block_size(config->block) >> SECTOR_BITS,
                                             .seg_max = QUEUE_SIZE - 2,
                                             .blk_size = 512,
                                             .physical_block_exp = PAGE_EXP,
                                             .min_io_size = 1 << PAGE_EXP,
                                             .opt_io_size = best,
                                             .writeback = 1,
                                             .num_queues = (uint16_t)queues,
                                             .max_discard_sectors = MAX_RANGE,
                                             .max_discard_seg = 1,
                                             .discard_sector_alignment = best,
                                             .max_write_zeroes_sectors = MAX_RANGE,
                                             .max_write_zeroes_seg = 1,
                                             .write_zeroes_may_unmap = discards};
    if (config->serial)
        memcpy(blk->serial, config->serial, strnlen(config->serial, ID_BYTES));
    blk->requests = requests;
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        requests[i].owner = blk;
        requests[i].next_free = blk->free;
        blk->free = &requests[i];
    }
    *ret_vdev = &blk->vdev;
    return 0;
}
