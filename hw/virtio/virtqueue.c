// SPDX-License-Identifier: MIT
// Owns what split and packed virtqueues share: their life, the choice between them, and the buffers of a
// request. Invariant: no buffer is used before its address was found to lie in RAM.
#include "hw/virtio/virtqueue_internal.h"

#include <string.h>

void virtqueue_reset(struct virtqueue *vq)
{
    uint16_t max = vq->max_size;
    memset(vq, 0, sizeof *vq);
    vq->max_size = vq->size = max;
    vq->avail_wrap = vq->used_wrap = true;
}

bool virtqueue_enable(struct virtqueue *vq, struct mem_space *mem)
{
    bool good = vq->size && vq->size <= vq->max_size && vq->size <= VIRTQUEUE_MAX_SIZE;
    vq->desc_host = vq->avail_host = vq->used_host = NULL;
    vq->ready = good && (vq->packed ? virtq_packed_enable : virtq_split_enable)(vq, mem);
    vq->broken = !vq->ready;
    return vq->ready;
}

enum virtq_result virtqueue_pop(struct virtqueue *vq, struct mem_space *mem, struct virtq_chain *ret_chain)
{
    if (vq->broken)
        return VIRTQ_BROKEN;
    if (!vq->ready)
        return VIRTQ_EMPTY;
    return (vq->packed ? virtq_packed_pop : virtq_split_pop)(vq, mem, ret_chain);
}

void virtqueue_push_batch(struct virtqueue *vq, struct mem_space *mem, const struct virtq_used *used,
                          unsigned count)
{
    if (vq->ready && !vq->broken && count)
        (vq->packed ? virtq_packed_push : virtq_split_push)(vq, mem, used, count);
}

void virtqueue_push(struct virtqueue *vq, struct mem_space *mem, uint16_t head, uint32_t written)
{
    virtqueue_push_batch(vq, mem, &(struct virtq_used){head, written}, 1);
}

struct virtq_mark virtqueue_mark(const struct virtqueue *vq)
{
    return (struct virtq_mark){vq->last_avail, vq->avail_wrap};
}

void virtqueue_rewind(struct virtqueue *vq, struct virtq_mark mark)
{
    vq->last_avail = mark.last_avail;
    vq->avail_wrap = mark.avail_wrap;
}

bool virtqueue_wants_interrupt(struct virtqueue *vq)
{
    if (!vq->ready || vq->broken)
        return false;
    atomic_thread_fence(memory_order_seq_cst); // what we pushed before what they ask for
    return (vq->packed ? virtq_packed_wants_interrupt : virtq_split_wants_interrupt)(vq);
}

bool virtq_add_segment(struct virtq_chain *chain, struct mem_space *mem, uint64_t addr, uint32_t len, bool in)
{
    unsigned count = chain->out_count + chain->in_count;
    if (count == VIRTQUEUE_MAX_SEGMENTS || (!in && chain->in_count))
        return false;
    struct virtq_segment *s = &chain->segments[count];
    *s = (struct virtq_segment){.addr = addr, .len = len};
    if (len && !(s->host = mem_host(mem, (struct gpa){addr}, len)))
        return false;
    if (in) {
        chain->in_count++;
        chain->in_len += len;
    } else {
        chain->out_count++;
        chain->out_len += len;
    }
    return true;
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
