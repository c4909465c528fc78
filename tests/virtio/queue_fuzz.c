// SPDX-License-Identifier: MIT
// Random drivers against both kinds of queue: rings of random bytes and of nearly right ones, random sizes
// and places, changes between any two calls. What a pop gives must lie in RAM and keep the order of buffers;
// nothing outside the rings and the given buffers may be written. The seed is fixed; give another, and a
// number of rounds, in FUZZ_SEED and FUZZ_ROUNDS.
#include "base/entropy.h"
#include "hw/virtio/virtqueue.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { RAM = 0x40000000, RAM_SIZE = 1 << 16, ROUNDS = 3000, STEPS = 64 };

struct bench {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct mem_ram *ram;
    struct entropy random;
    struct virtqueue vq;
    bool careful;            // this round's driver seldom breaks a rule
    unsigned long served[2]; // requests, of split and packed rings
};

static uint64_t pick(struct bench *b, uint64_t below)
{
    uint64_t v;
    entropy_fill(&b->random, &v, sizeof v);
    return below ? v % below : v;
}

static bool odd(struct bench *b, unsigned chance)
{
    return !pick(b, b->careful ? 100 * chance : chance);
}

// Mostly in RAM, and often at its edges.
static uint64_t some_address(struct bench *b)
{
    if (odd(b, 16))
        return pick(b, 0);
    if (odd(b, 16))
        return RAM + RAM_SIZE - pick(b, 64);
    return odd(b, 16) ? RAM - pick(b, 64) : RAM + pick(b, RAM_SIZE - 512);
}

// A descriptor for either kind of ring; NEXT, WRITE and INDIRECT as they come.
static void scribble(struct bench *b, uint64_t addr)
{
    struct {
        uint64_t addr;
        uint32_t len;
        uint16_t third, fourth;
    } d = {some_address(b), (uint32_t)pick(b, odd(b, 8) ? 0 : 256), 0, 0};
    uint16_t flags = (uint16_t)pick(b, odd(b, 8) ? 0 : b->careful ? 4 : 8);
    if (!pick(b, 3)) { // a table
        flags = (uint16_t)(odd(b, 4) ? flags : 4);
        d.len = (d.len & ~15u) | 16;
    }
    if (b->vq.packed) {
        bool wrap = odd(b, 8) ? !b->vq.avail_wrap : b->vq.avail_wrap;
        d.third = (uint16_t)pick(b, odd(b, 8) ? 0 : b->vq.size);
        d.fourth = (uint16_t)((pick(b, 2) ? flags : 0) | (wrap ? 1 << 7 : 1 << 15));
    } else {
        d.third = flags;
        d.fourth = (uint16_t)pick(b, odd(b, 8) ? 0 : b->vq.size ? b->vq.size : 1);
    }
    memcpy(b->ram->host + (addr - RAM), &d, sizeof d);
}

static void change_rings(struct bench *b)
{
    struct virtqueue *vq = &b->vq;
    if (!vq->ready || !pick(b, 8)) {
        scribble(b, RAM + (pick(b, RAM_SIZE) & ~15ull));
        return;
    }
    unsigned entry = (unsigned)pick(b, vq->size);
    scribble(b, vq->desc + 16ull * (vq->packed && pick(b, 2) ? vq->last_avail : entry));
    if (vq->packed)
        return;
    uint16_t *avail = (uint16_t *)(b->ram->host + (vq->avail - RAM));
    avail[2 + entry] = (uint16_t)pick(b, odd(b, 8) ? 0 : vq->size);
    avail[1] = (uint16_t)(odd(b, 16) ? pick(b, 0) : vq->last_avail + pick(b, vq->size + 1u));
}

static void set_up(struct bench *b)
{
    struct virtqueue *vq = &b->vq;
    b->careful = pick(b, 4);
    virtqueue_reset(vq);
    vq->packed = pick(b, 2);
    vq->event_idx = pick(b, 2);
    vq->size = (uint16_t)(odd(b, 8) ? pick(b, 0) : 1u << pick(b, 6));
    vq->desc = some_address(b) & ~(odd(b, 8) ? 0 : 15ull);
    vq->avail = some_address(b) & ~(odd(b, 8) ? 0 : 3ull);
    vq->used = some_address(b) & ~(odd(b, 8) ? 0 : 3ull);
    if (odd(b, 4) && vq->packed) { // a restored one
        vq->last_avail = (uint16_t)pick(b, 70);
        vq->used_idx = (uint16_t)pick(b, 70);
        vq->avail_wrap = pick(b, 2);
    } else if (!vq->packed && pick(b, 2)) {
        vq->last_avail = (uint16_t)pick(b, 0);
    }
    if (virtqueue_enable(vq, b->mem) && b->careful && !vq->packed) // no descriptors of old
        memset(b->ram->host + (vq->desc - RAM), 0, 16u * vq->size);
}

static struct virtq_chain chain;

static void check(struct bench *b)
{
    uint64_t out = 0, in = 0;
    cr_assert(chain.out_count + chain.in_count <= VIRTQUEUE_MAX_SEGMENTS);
    for (unsigned i = 0; i < (unsigned)chain.out_count + chain.in_count; i++) {
        const struct virtq_segment *s = &chain.segments[i];
        *(i < chain.out_count ? &out : &in) += s->len;
        if (s->len)
            cr_assert(s->host >= b->ram->host && s->host + s->len <= b->ram->host + RAM_SIZE);
    }
    cr_assert_eq(out, chain.out_len);
    cr_assert_eq(in, chain.in_len);
}

static void one_round(struct bench *b)
{
    uint16_t outside[STEPS];
    unsigned count = 0;
    uint8_t data[512];
    set_up(b);
    for (unsigned step = 0; step < STEPS; step++) {
        change_rings(b);
        switch (pick(b, 4)) {
        case 0:
            if (count)
                virtqueue_push(&b->vq, b->mem, outside[--count], (uint32_t)pick(b, 0));
            else
                virtqueue_push(&b->vq, b->mem, (uint16_t)pick(b, 0), 1);
            break;
        case 1: virtqueue_wants_interrupt(&b->vq); break;
        default:
            if (virtqueue_pop(&b->vq, b->mem, &chain) != VIRTQ_GOT)
                break;
            check(b);
            b->served[b->vq.packed]++;
            virtq_read(&chain, pick(b, 600), data, sizeof data);
            virtq_write(&chain, b->mem, pick(b, 600), data, sizeof data);
            outside[count++] = chain.head;
            break;
        }
        if (b->vq.ready && b->vq.packed)
            cr_assert(b->vq.last_avail < b->vq.size && b->vq.used_idx < b->vq.size);
    }
}

Test(queue, random_drivers)
{
    const char *seed = getenv("FUZZ_SEED"), *rounds = getenv("FUZZ_ROUNDS");
    struct bench b = {.vq.max_size = 256};
    unsigned long count = rounds ? strtoul(rounds, NULL, 0) : ROUNDS;
    entropy_init_seeded(&b.random, seed ? strtoull(seed, NULL, 0) : 1);
    pthread_mutex_init(&b.lock, NULL);
    cr_assert_eq(mem_space_create(&b.lock, &b.mem, NULL), 0);
    cr_assert_eq(mem_add_ram(b.mem, "ram", (struct gpa){RAM}, RAM_SIZE, 0, &b.ram, NULL), 0);
    free((void *)mem_commit(b.mem));
    for (unsigned long i = 0; i < count; i++)
        one_round(&b);
    for (unsigned kind = 0; kind < 2; kind++) // or it tries nothing
        cr_expect(b.served[kind] > count / 4, "only %lu requests in %lu rounds", b.served[kind], count);
    mem_space_destroy(b.mem);
    entropy_destroy(&b.random);
    pthread_mutex_destroy(&b.lock);
}
