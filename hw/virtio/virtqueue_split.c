// SPDX-License-Identifier: MIT
// Owns the split virtqueue (Virtio 1.2, 2.7). Invariant: no chain is longer than the queue (2.7.5), and an
// index from the guest is masked or compared before it is used.
#include "hw/virtio/virtqueue_internal.h"

#include <string.h>

enum {
    VIRTQ_AVAIL_F_NO_INTERRUPT = 1,
    AVAIL_RING = 4, // offset of ring[] in both rings
    USED_ELEM_SIZE = 8,
};

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

static uint64_t avail_size(const struct virtqueue *vq)
{
    return AVAIL_RING + 2ull * vq->size + 2;
}

static uint64_t used_size(const struct virtqueue *vq)
{
    return AVAIL_RING + (uint64_t)USED_ELEM_SIZE * vq->size + 2;
}

bool virtq_split_enable(struct virtqueue *vq, struct mem_space *mem)
{
    if (vq->size & (vq->size - 1) || vq->desc & 15 || vq->avail & 1 || vq->used & 3)
        return false;
    vq->desc_host = mem_host(mem, (struct gpa){vq->desc}, (uint64_t)VIRTQ_DESC_SIZE * vq->size);
    vq->avail_host = mem_host(mem, (struct gpa){vq->avail}, avail_size(vq));
    vq->used_host = mem_host(mem, (struct gpa){vq->used}, used_size(vq));
    return vq->desc_host && vq->avail_host && vq->used_host;
}

// A copy, so that the guest cannot change it between check and use.
static struct desc read_desc(const uint8_t *table, unsigned index)
{
    struct desc d;
    memcpy(&d, table + (size_t)index * VIRTQ_DESC_SIZE, sizeof d);
    return d;
}

// Follows a chain in a table of size descriptors.
static bool follow(struct virtq_chain *chain, struct mem_space *mem, const uint8_t *table, unsigned size,
                   unsigned index, bool indirect_allowed, unsigned queue_size)
{
    for (unsigned steps = 0; steps < size; steps++) {
        if (index >= size)
            return false;
        struct desc d = read_desc(table, index);
        if (d.flags & VIRTQ_DESC_F_INDIRECT) {
            unsigned inner = d.len / VIRTQ_DESC_SIZE;
            // 2.7.5.3.1: no nesting, no NEXT beside INDIRECT, and the chain still obeys the queue's size
            if (!indirect_allowed || d.flags & VIRTQ_DESC_F_NEXT || !inner || d.len % VIRTQ_DESC_SIZE ||
                inner > VIRTQUEUE_MAX_SEGMENTS)
                return false;
            const uint8_t *inner_table = mem_host(mem, (struct gpa){d.addr}, d.len);
            return inner_table && follow(chain, mem, inner_table, inner, 0, false, queue_size);
        }
        if (!virtq_add_segment(chain, mem, d.addr, d.len, d.flags & VIRTQ_DESC_F_WRITE))
            return false;
        if (!(d.flags & VIRTQ_DESC_F_NEXT))
            return true;
        index = d.next;
    }
    return false; // a loop
}

// Tells the driver up to where we have seen its ring (2.7.10).
static void set_avail_event(struct virtqueue *vq)
{
    if (vq->event_idx)
        virtq_store16(vq->used_host + AVAIL_RING + (size_t)USED_ELEM_SIZE * vq->size, vq->last_avail);
}

enum virtq_result virtq_split_pop(struct virtqueue *vq, struct mem_space *mem, struct virtq_chain *ret_chain)
{
    uint16_t waiting = (uint16_t)(virtq_load16(vq->avail_host + 2) - vq->last_avail);
    if (!waiting) {
        set_avail_event(vq);
        atomic_thread_fence(memory_order_seq_cst); // the event index is visible before we look again
        waiting = (uint16_t)(virtq_load16(vq->avail_host + 2) - vq->last_avail);
        if (!waiting)
            return VIRTQ_EMPTY;
    }
    if (waiting > vq->size)
        return virtq_broken(vq);
    uint16_t head = virtq_load16(vq->avail_host + AVAIL_RING + 2 * (size_t)(vq->last_avail & (vq->size - 1)));
    virtq_chain_init(ret_chain);
    ret_chain->head = head;
    if (head >= vq->size || !follow(ret_chain, mem, vq->desc_host, vq->size, head, true, vq->size))
        return virtq_broken(vq);
    vq->last_avail++;
    set_avail_event(vq);
    return VIRTQ_GOT;
}

void virtq_split_push(struct virtqueue *vq, struct mem_space *mem, const struct virtq_used *used,
                      unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t element[2] = {used[i].head, used[i].written};
        uint64_t at = AVAIL_RING + (uint64_t)USED_ELEM_SIZE * ((vq->used_idx + i) & (vq->size - 1u));
        memcpy(vq->used_host + at, element, sizeof element);
        mem_wrote(mem, (struct gpa){vq->used + at}, sizeof element);
    }
    vq->used_idx = (uint16_t)(vq->used_idx + count);
    virtq_store16(vq->used_host + 2, vq->used_idx);
    mem_wrote(mem, (struct gpa){vq->used}, AVAIL_RING);
}

bool virtq_split_wants_interrupt(struct virtqueue *vq)
{
    if (!vq->event_idx)
        return !(virtq_load16(vq->avail_host) & VIRTQ_AVAIL_F_NO_INTERRUPT);
    uint16_t old = vq->signalled_used,
             event = virtq_load16(vq->avail_host + AVAIL_RING + 2 * (size_t)vq->size);
    bool valid = vq->signalled_valid;
    vq->signalled_used = vq->used_idx;
    vq->signalled_valid = true;
    return !valid || (uint16_t)(vq->used_idx - event - 1) < (uint16_t)(vq->used_idx - old);
}
