// SPDX-License-Identifier: MIT
// Owns the packed virtqueue (Virtio 1.2, 2.8). Invariant: last_avail and used_idx are below the ring's size,
// no chain is longer than the ring, and a buffer ID is below its size before it is used.
#include "hw/virtio/virtqueue_internal.h"

#include <string.h>

enum {
    VIRTQ_DESC_F_AVAIL = 1 << 7,
    VIRTQ_DESC_F_USED = 1 << 15,
    RING_EVENT_FLAGS_ENABLE = 0,
    RING_EVENT_FLAGS_DISABLE = 1,
    RING_EVENT_FLAGS_DESC = 2,
    EVENT_SIZE = 4, // off_wrap, flags
    EVENT_FLAGS = 2,
    DESC_ID = 12, // offsets in a descriptor
    DESC_FLAGS = 14,
    DESC_LEN = 8,
    OFF_WRAP = 1 << 15,
};

struct packed_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t id, flags;
};

static uint8_t *slot(const struct virtqueue *vq, unsigned index)
{
    return vq->desc_host + (size_t)index * VIRTQ_DESC_SIZE;
}

bool virtq_packed_enable(struct virtqueue *vq, struct mem_space *mem)
{
    if (vq->desc & 15 || vq->avail & 3 || vq->used & 3 || vq->last_avail >= vq->size ||
        vq->used_idx >= vq->size)
        return false;
    vq->desc_host = mem_host(mem, (struct gpa){vq->desc}, (uint64_t)VIRTQ_DESC_SIZE * vq->size);
    vq->avail_host = mem_host(mem, (struct gpa){vq->avail}, EVENT_SIZE);
    vq->used_host = mem_host(mem, (struct gpa){vq->used}, EVENT_SIZE);
    return vq->desc_host && vq->avail_host && vq->used_host;
}

static bool is_available(const struct virtqueue *vq)
{
    uint16_t flags = virtq_load16(slot(vq, vq->last_avail) + DESC_FLAGS);
    return !!(flags & VIRTQ_DESC_F_AVAIL) == vq->avail_wrap &&
           !!(flags & VIRTQ_DESC_F_USED) != vq->avail_wrap;
}

// Asks to be notified of the next descriptor (2.8.10).
static void ask_for_notification(struct virtqueue *vq, struct mem_space *mem)
{
    virtq_store16(vq->used_host, (uint16_t)(vq->last_avail | (vq->avail_wrap ? OFF_WRAP : 0)));
    virtq_store16(vq->used_host + EVENT_FLAGS,
                  vq->event_idx ? RING_EVENT_FLAGS_DESC : RING_EVENT_FLAGS_ENABLE);
    mem_wrote(mem, (struct gpa){vq->used}, EVENT_SIZE);
}

// A copy, so that the guest cannot change it between check and use.
static struct packed_desc read_desc(const uint8_t *at)
{
    struct packed_desc d;
    memcpy(&d, at, sizeof d);
    return d;
}

// A table's descriptors are used in order; of their flags only WRITE counts (2.8.7).
static bool follow_table(struct virtq_chain *chain, struct mem_space *mem, const struct packed_desc *d)
{
    unsigned count = d->len / VIRTQ_DESC_SIZE;
    if (d->flags & VIRTQ_DESC_F_NEXT || !count || d->len % VIRTQ_DESC_SIZE || count > VIRTQUEUE_MAX_SEGMENTS)
        return false;
    const uint8_t *table = mem_host(mem, (struct gpa){d->addr}, d->len);
    for (unsigned i = 0; table && i < count; i++) {
        struct packed_desc inner = read_desc(table + (size_t)i * VIRTQ_DESC_SIZE);
        if (inner.flags & VIRTQ_DESC_F_INDIRECT ||
            !virtq_add_segment(chain, mem, inner.addr, inner.len, inner.flags & VIRTQ_DESC_F_WRITE))
            return false;
    }
    return table;
}

enum virtq_result virtq_packed_pop(struct virtqueue *vq, struct mem_space *mem, struct virtq_chain *ret_chain)
{
    if (!is_available(vq)) {
        ask_for_notification(vq, mem);
        atomic_thread_fence(memory_order_seq_cst); // they see what we ask before we look again
        if (!is_available(vq))
            return VIRTQ_EMPTY;
    }
    unsigned at = vq->last_avail, taken = 0;
    struct packed_desc d;
    virtq_chain_init(ret_chain);
    do {
        if (taken++ == vq->size)
            return virtq_broken(vq); // a chain without an end
        d = read_desc(slot(vq, at));
        at = at + 1 == vq->size ? 0 : at + 1;
        bool good;
        if (d.flags & VIRTQ_DESC_F_INDIRECT)
            good = taken == 1 && follow_table(ret_chain, mem, &d);
        else
            good = virtq_add_segment(ret_chain, mem, d.addr, d.len, d.flags & VIRTQ_DESC_F_WRITE);
        if (!good)
            return virtq_broken(vq);
    } while (d.flags & VIRTQ_DESC_F_NEXT);
    if (d.id >= vq->size)
        return virtq_broken(vq);
    ret_chain->head = d.id; // the last descriptor's (2.8.6)
    vq->counts[d.id] = (uint16_t)taken;
    vq->avail_wrap ^= at <= vq->last_avail;
    vq->last_avail = (uint16_t)at;
    return VIRTQ_GOT;
}

// Past count descriptors of the ring (2.8.1).
static void skip_used(struct virtqueue *vq, uint16_t count)
{
    vq->used_idx = (uint16_t)(vq->used_idx + count);
    if (vq->used_idx < vq->size)
        return;
    vq->used_idx = (uint16_t)(vq->used_idx - vq->size);
    vq->signalled_used = (uint16_t)(vq->signalled_used - vq->size); // moves with the ring's origin
    vq->used_wrap = !vq->used_wrap;
}

// The driver looks at the first one's flags first, so these are written last.
void virtq_packed_push(struct virtqueue *vq, struct mem_space *mem, const struct virtq_used *used,
                       unsigned count)
{
    uint8_t *first = NULL;
    uint16_t first_flags = 0;
    uint64_t first_addr = 0;
    for (unsigned i = 0; i < count; i++) {
        uint16_t id = used[i].head, taken = id < vq->size ? vq->counts[id] : 0;
        if (!taken || taken > vq->size)
            continue; // not one that is outside
        vq->counts[id] = 0;
        uint8_t *d = slot(vq, vq->used_idx);
        uint64_t addr = vq->desc + (uint64_t)vq->used_idx * VIRTQ_DESC_SIZE;
        uint16_t flags = (uint16_t)((vq->used_wrap ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : 0) |
                                    (used[i].written ? VIRTQ_DESC_F_WRITE : 0));
        memcpy(d + DESC_ID, &id, sizeof id);
        memcpy(d + DESC_LEN, &used[i].written, sizeof used[i].written);
        if (first) {
            virtq_store16(d + DESC_FLAGS, flags);
            mem_wrote(mem, (struct gpa){addr}, VIRTQ_DESC_SIZE);
        } else {
            first = d;
            first_flags = flags;
            first_addr = addr;
        }
        skip_used(vq, taken);
    }
    if (first) {
        virtq_store16(first + DESC_FLAGS, first_flags);
        mem_wrote(mem, (struct gpa){first_addr}, VIRTQ_DESC_SIZE);
    }
}

bool virtq_packed_wants_interrupt(struct virtqueue *vq)
{
    uint16_t old = vq->signalled_used, used = vq->used_idx;
    bool valid = vq->signalled_valid;
    vq->signalled_used = used;
    vq->signalled_valid = true;
    uint16_t flags = virtq_load16(vq->avail_host + EVENT_FLAGS) & 3;
    if (flags != RING_EVENT_FLAGS_DESC || !vq->event_idx)
        return flags != RING_EVENT_FLAGS_DISABLE;
    uint16_t off_wrap = virtq_load16(vq->avail_host), event = off_wrap & (OFF_WRAP - 1);
    if (!valid || event >= vq->size)
        return true;
    if (!!(off_wrap & OFF_WRAP) != vq->used_wrap)
        event = (uint16_t)(event - vq->size);
    return (uint16_t)(used - event - 1) < (uint16_t)(used - old);
}
