// SPDX-License-Identifier: MIT
// A virtqueue as a device sees it: split ring (Virtio 1.2, 2.7) or packed ring (2.8), with indirect
// descriptors and event indices.
//
// Everything in the rings is the guest's and may be hostile: addresses, lengths, loops. The first violation
// breaks the queue for good; its device then asks for a reset (DEVICE_NEEDS_RESET). Host addresses of the
// rings are looked up when the driver enables the queue and stay good because RAM never moves. Thread:
// machine lock held.
#ifndef HW_VIRTIO_VIRTQUEUE_H
#define HW_VIRTIO_VIRTQUEUE_H

#include "base/types.h"
#include "mem/mem.h"

enum { VIRTQUEUE_MAX_SEGMENTS = 1024, VIRTQUEUE_MAX_SIZE = 1024 };

struct virtqueue {
    // Set by the driver through the transport while the queue is not ready.
    uint16_t max_size, size;    // max_size <= VIRTQUEUE_MAX_SIZE
    uint64_t desc, avail, used; // guest-physical; of a packed ring: descriptors, driver area, device area
    bool ready;
    bool broken;

    uint16_t last_avail, used_idx; // of a packed ring: below size
    uint16_t signalled_used;       // used_idx when the driver was last told
    bool signalled_valid;
    bool avail_wrap, used_wrap; // of a packed ring: its wrap counters, which start as true
    bool event_idx;             // VIRTIO_F_EVENT_IDX was accepted
    bool packed;                // VIRTIO_F_RING_PACKED was accepted

    uint8_t *desc_host, *avail_host, *used_host; // derived; NULL while not ready
    // Of a packed ring: how many descriptors the request of each buffer ID has taken. Requests in flight are
    // not saved; a model that keeps one over a save saves its element with it.
    uint16_t counts[VIRTQUEUE_MAX_SIZE];
};

// A piece of a request's buffers in guest RAM.
struct virtq_segment {
    uint64_t addr; // guest-physical
    uint32_t len;
    uint8_t *host;
};

// One request: out segments (device reads) come first, then in segments (device writes).
struct virtq_chain {
    uint16_t head; // names the request to virtqueue_push: first descriptor, or buffer ID
    uint16_t out_count, in_count;
    uint64_t out_len, in_len; // bytes
    struct virtq_segment segments[VIRTQUEUE_MAX_SEGMENTS];
};

void virtqueue_reset(struct virtqueue *vq);
// Looks up the rings; event_idx and packed are set. False: they are not in RAM, misaligned, or of no valid
// size; the queue is then broken.
bool virtqueue_enable(struct virtqueue *vq, struct mem_space *mem);

enum virtq_result { VIRTQ_EMPTY, VIRTQ_GOT, VIRTQ_BROKEN };
enum virtq_result virtqueue_pop(struct virtqueue *vq, struct mem_space *mem, struct virtq_chain *ret_chain);
// Returns a request with the number of bytes written into its in segments.
void virtqueue_push(struct virtqueue *vq, struct mem_space *mem, uint16_t head, uint32_t written);
// Returns several requests at once: the driver sees all of them or none (Virtio 1.2, 5.1.6.4).
struct virtq_used {
    uint16_t head;
    uint32_t written;
};
void virtqueue_push_batch(struct virtqueue *vq, struct mem_space *mem, const struct virtq_used *used,
                          unsigned count);
// Where popping stands; rewinding there makes what was popped since, and not pushed, come again.
struct virtq_mark {
    uint16_t last_avail;
    bool avail_wrap;
};
struct virtq_mark virtqueue_mark(const struct virtqueue *vq);
void virtqueue_rewind(struct virtqueue *vq, struct virtq_mark mark);
// Whether the driver wants to hear of what was pushed since it was last told.
bool virtqueue_wants_interrupt(struct virtqueue *vq);

// Copies between a buffer and the chain's out or in bytes from offset on; returns the bytes that were there.
size_t virtq_read(const struct virtq_chain *chain, uint64_t offset, void *buf, size_t len);
size_t virtq_write(const struct virtq_chain *chain, struct mem_space *mem, uint64_t offset, const void *buf,
                   size_t len);

#endif
