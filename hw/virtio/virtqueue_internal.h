// SPDX-License-Identifier: MIT
// Private to virtqueue*.c: what the two kinds of ring share.
#ifndef HW_VIRTIO_VIRTQUEUE_INTERNAL_H
#define HW_VIRTIO_VIRTQUEUE_INTERNAL_H

#include "hw/virtio/virtqueue.h"

#include <stdatomic.h>

enum {
    VIRTQ_DESC_F_NEXT = 1,
    VIRTQ_DESC_F_WRITE = 2,
    VIRTQ_DESC_F_INDIRECT = 4,
    VIRTQ_DESC_SIZE = 16,
};

// Ring fields are naturally aligned little-endian; the host is little-endian.
static inline uint16_t virtq_load16(const uint8_t *p)
{
    return atomic_load_explicit((const _Atomic uint16_t *)p, memory_order_acquire);
}

static inline void virtq_store16(uint8_t *p, uint16_t value)
{
    atomic_store_explicit((_Atomic uint16_t *)p, value, memory_order_release);
}

static inline enum virtq_result virtq_broken(struct virtqueue *vq)
{
    vq->broken = true;
    return VIRTQ_BROKEN;
}

static inline void virtq_chain_init(struct virtq_chain *chain)
{
    chain->head = 0;
    chain->out_count = chain->in_count = 0;
    chain->out_len = chain->in_len = 0;
}

// Adds a buffer in RAM; false where it is not, where there are too many, or where an out buffer follows an in
// buffer.
bool virtq_add_segment(struct virtq_chain *chain, struct mem_space *mem, uint64_t addr, uint32_t len,
                       bool in);

// The two sets of functions behind those of virtqueue.h; size is valid and the queue enabled.
bool virtq_split_enable(struct virtqueue *vq, struct mem_space *mem);
enum virtq_result virtq_split_pop(struct virtqueue *vq, struct mem_space *mem, struct virtq_chain *ret_chain);
void virtq_split_push(struct virtqueue *vq, struct mem_space *mem, const struct virtq_used *used,
                      unsigned count);
bool virtq_split_wants_interrupt(struct virtqueue *vq);
bool virtq_packed_enable(struct virtqueue *vq, struct mem_space *mem);
enum virtq_result virtq_packed_pop(struct virtqueue *vq, struct mem_space *mem,
                                   struct virtq_chain *ret_chain);
void virtq_packed_push(struct virtqueue *vq, struct mem_space *mem, const struct virtq_used *used,
                       unsigned count);
bool virtq_packed_wants_interrupt(struct virtqueue *vq);

#endif
