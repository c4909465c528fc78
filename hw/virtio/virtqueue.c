// SPDX-License-Identifier: MIT
// Owns the split virtqueue (Virtio 1.2, 2.7). Invariant: no descriptor is used before its address was found
// to lie in RAM, no chain is longer than the queue (2.7.5), and an index from the guest is masked or compared
// before it is used.
#include "hw/virtio/virtqueue.h"

#include <stdatomic.h>
#include <string.h>

enum {
    VIRTQ_DESC_F_NEXT = 1,
    VIRTQ_DESC_F_WRITE = 2,
    VIRTQ_DESC_F_INDIRECT = 4,
    VIRTQ_AVAIL_F_NO_INTERRUPT = 1,
    DESC_SIZE = 16,
    AVAIL_RING = 4, // offset of ring[] in both rings
    USED_ELEM_SIZE = 8,
};

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

// Ring fields are naturally aligned little-endian; the host is little-endian.
static uint16_t load16(const uint8_t *p)
{
    return atomic_load_explicit((const _Atomic uint16_t *)p, memory_order_acquire);
}

static void store16(uint8_t *p, uint16_t value)
{
    atomic_store_explicit((_Atomic uint16_t *)p, value, memory_order_release);
}

static uint64_t avail_size(const struct virtqueue *vq)
{
    return AVAIL_RING + 2ull * vq->size + 2;
}

static uint64_t used_size(const struct virtqueue *vq)
{
    return AVAIL_RING + (uint64_t)USED_ELEM_SIZE * vq->size + 2;
}

void virtqueue_reset(struct virtqueue *vq)
{
    *vq = (struct virtqueue){.max_size = vq->max_size, .size = vq->max_size};
}

bool virtqueue_enable(struct virtqueue *vq, struct mem_space *mem)
{
    bool good = vq->size && vq->size <= vq->max_size && !(vq->size & (vq->size - 1)) && !(vq->desc & 15) &&
                !(vq->avail & 1) && !(vq->used & 3);
    vq->desc_host = good ? mem_host(mem, (struct gpa){vq->desc}, (uint64_t)DESC_SIZE * vq->size) : NULL;
    vq->avail_host = good ? mem_host(mem, (struct gpa){vq->avail}, avail_size(vq)) : NULL;
    vq->used_host = good ? mem_host(mem, (struct gpa){vq->used}, used_size(vq)) : NULL;
    vq->ready = vq->desc_host && vq->avail_host && vq->used_host;
    vq->broken = !vq->ready;
    return vq->ready;
}

static enum virtq_result broken(struct virtqueue *vq)
{
    vq->broken = true;
    return VIRTQ_BROKEN;
}

// A copy, so that the guest cannot change it between check and use.
static struct desc read_desc(const uint8_t *table, unsigned index)
{
    struct desc d;
    memcpy(&d, table + (size_t)index * DESC_SIZE, sizeof d);
    return d;
}

static bool add_segment(struct virtq_chain *chain, struct mem_space *mem, const struct desc *d)
{
    unsigned count = chain->out_count + chain->in_count;
    bool in = d->flags & VIRTQ_DESC_F_WRITE;
    if (count == VIRTQUEUE_MAX_SEGMENTS || (!in && chain->in_count))
        return false;
    struct virtq_segment *s = &chain->segments[count];
    *s = (struct virtq_segment){.addr = d->addr, .len = d->len};
    if (d->len && !(s->host = mem_host(mem, (struct gpa){d->addr}, d->len)))
        return false;
    if (in) {
        chain->in_count++;
        chain->in_len += d->len;
    } else {
        chain->out_count++;
        chain->out_len += d->len;
    }
    return true;
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
            unsigned inner = d.len / DESC_SIZE;
            // 2.7.5.3.1: no nesting, no NEXT beside INDIRECT, and the chain still obeys the queue's size
            if (!indirect_allowed || d.flags & VIRTQ_DESC_F_NEXT || !inner || d.len % DESC_SIZE ||
                inner > VIRTQUEUE_MAX_SEGMENTS)
                return false;
            const uint8_t *inner_table = mem_host(mem, (struct gpa){d.addr}, d.len);
            return inner_table && follow(chain, mem, inner_table, inner, 0, false, queue_size);
        }
        if (!add_segment(chain, mem, &d))
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
        store16(vq->used_host + AVAIL_RING + (size_t)USED_ELEM_SIZE * vq->size, vq->last_avail);
}

enum virtq_result virtqueue_pop(struct virtqueue *vq, struct mem_space *mem, struct virtq_chain *ret_chain)
{
    if (vq->broken)
        return VIRTQ_BROKEN;
    if (!vq->ready)
        return VIRTQ_EMPTY;
    uint16_t waiting = (uint16_t)(load16(vq->avail_host + 2) - vq->last_avail);
    if (!waiting) {
        set_avail_event(vq);
        atomic_thread_fence(memory_order_seq_cst); // the event index is visible before we look again
        waiting = (uint16_t)(load16(vq->avail_host + 2) - vq->last_avail);
        if (!waiting)
            return VIRTQ_EMPTY;
    }
    if (waiting > vq->size)
        return broken(vq);
    uint16_t head = load16(vq->avail_host + AVAIL_RING + 2 * (size_t)(vq->last_avail & (vq->size - 1)));
    ret_chain->head = head;
    ret_chain->out_count = ret_chain->in_count = 0;
    ret_chain->out_len = ret_chain->in_len = 0;
    if (head >= vq->size || !follow(ret_chain, mem, vq->desc_host, vq->size, head, true, vq->size))
        return broken(vq);
    vq->last_avail++;
    set_avail_event(vq);
    return VIRTQ_GOT;
}

void virtqueue_push_batch(struct virtqueue *vq, struct mem_space *mem, const struct virtq_used *used,
                          unsigned count)
{
    if (!vq->ready || vq->broken)
        return;
    for (unsigned i = 0; i < count; i++) {
        uint32_t element[2] = {used[i].head, used[i].written};
        uint64_t at = AVAIL_RING + (uint64_t)USED_ELEM_SIZE * ((vq->used_idx + i) & (vq->size - 1u));
        memcpy(vq->used_host + at, element, sizeof element);
        mem_wrote(mem, (struct gpa){vq->used + at}, sizeof element);
    }
    vq->used_idx = (uint16_t)(vq->used_idx + count);
    store16(vq->used_host + 2, vq->used_idx);
    mem_wrote(mem, (struct gpa){vq->used}, AVAIL_RING);
}

void virtqueue_push(struct virtqueue *vq, struct mem_space *mem, uint16_t head, uint32_t written)
{
    virtqueue_push_batch(vq, mem, &(struct virtq_used){head, written}, 1);
}

struct virtq_mark virtqueue_mark(const struct virtqueue *vq)
{
    return (struct virtq_mark){vq->last_avail};
}

void virtqueue_rewind(struct virtqueue *vq, struct virtq_mark mark)
{
    vq->last_avail = mark.last_avail;
}

bool virtqueue_wants_interrupt(struct virtqueue *vq)
{
    if (!vq->ready || vq->broken)
        return false;
    atomic_thread_fence(memory_order_seq_cst); // our index before their event index
    if (!vq->event_idx)
        return !(load16(vq->avail_host) & VIRTQ_AVAIL_F_NO_INTERRUPT);
    uint16_t old = vq->signalled_used, event = load16(vq->avail_host + AVAIL_RING + 2 * (size_t)vq->size);
    bool valid = vq->signalled_valid;
    vq->signalled_used = vq->used_idx;
    vq->signalled_valid = true;
    return !valid || (uint16_t)(vq->used_idx - event - 1) < (uint16_t)(vq->used_idx - old);
}

// The part of segments [first, first + count) that starts offset bytes in; one host piece a step.
static size_t copy(const struct virtq_segment *segments, unsigned count, struct mem_space *mem,
                   uint64_t offset, uint8_t *buf, size_t len, bool to_guest)
{
    size_t done = 0;
    for (unsigned i = 0; i < count && done < len; i++) {
        const struct virtq_segment *s = &segments[i];
        if (offset >= s->len) {
            offset -= s->len;
            continue;
        }
        size_t part = s->len - offset < len - done ? (size_t)(s->len - offset) : len - done;
        if (to_guest) {
            memcpy(s->host + offset, buf + done, part);
            mem_wrote(mem, (struct gpa){s->addr + offset}, part);
        } else {
            memcpy(buf + done, s->host + offset, part);
        }
        done += part;
        offset = 0;
    }
    return done;
}

size_t virtq_read(const struct virtq_chain *chain, uint64_t offset, void *buf, size_t len)
{
    return copy(chain->segments, chain->out_count, NULL, offset, buf, len, false);
}

size_t virtq_write(const struct virtq_chain *chain, struct mem_space *mem, uint64_t offset, const void *buf,
                   size_t len)
{
    return copy(chain->segments + chain->out_count, chain->in_count, mem, offset, (uint8_t *)buf, len, true);
}
