// SPDX-License-Identifier: MIT
// The packed virtqueue against a driver that keeps the rules, written here from Virtio 1.2, 2.8, and against
// hostile ones: each hostile row is a ring that must break the queue, and nothing else.
#include "hw/virtio/virtqueue.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum {
    RAM = 0x40000000,
    RAM_SIZE = 1 << 20,
    DESC = RAM,
    DRIVER = RAM + 0x1000,
    DEVICE = RAM + 0x2000,
    BUF = RAM + 0x3000,
    TABLE = RAM + 0x8000,
    SIZE = 6, // no power of two
    NEXT = 1,
    WRITE = 2,
    INDIRECT = 4,
    AVAIL = 1 << 7,
    USED = 1 << 15,
    EVENTS_DISABLE = 1,
    EVENTS_DESC = 2,
};

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t id, flags;
};

struct bench {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct virtqueue vq;
    // the driver's side
    unsigned next, next_used;
    bool wrap, used_wrap;
};

static void setup(struct bench *b)
{
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    cr_assert_eq(mem_space_create(&b->lock, &b->mem, NULL), 0);
    cr_assert_eq(mem_add_ram(b->mem, "ram", (struct gpa){RAM}, RAM_SIZE, 0, NULL, NULL), 0);
    free((void *)mem_commit(b->mem));
    b->vq.max_size = 256;
    virtqueue_reset(&b->vq);
    b->vq.size = SIZE;
    b->vq.desc = DESC;
    b->vq.avail = DRIVER;
    b->vq.used = DEVICE;
    b->vq.packed = true;
    b->wrap = b->used_wrap = true;
    cr_assert(virtqueue_enable(&b->vq, b->mem));
}

static void *at(struct bench *b, uint64_t addr)
{
    return mem_host(b->mem, (struct gpa){addr}, 1);
}

static void teardown(struct bench *b)
{
    mem_space_destroy(b->mem);
    pthread_mutex_destroy(&b->lock);
}

// Puts a descriptor into the next slot; the chain's flags AVAIL and USED as the driver's wrap counter says.
static void put(struct bench *b, uint64_t addr, uint32_t len, uint16_t flags, uint16_t id)
{
    struct desc d = {addr, len, id, (uint16_t)(flags | (b->wrap ? AVAIL : USED))};
    memcpy((uint8_t *)at(b, DESC) + 16 * b->next, &d, sizeof d);
    if (++b->next == SIZE) {
        b->next = 0;
        b->wrap = !b->wrap;
    }
}

// The used element that the driver finds next, past a request of count descriptors; false when there is none.
static bool used(struct bench *b, unsigned count, struct desc *ret)
{
    memcpy(ret, (uint8_t *)at(b, DESC) + 16 * b->next_used, sizeof *ret);
    if (!!(ret->flags & AVAIL) != b->used_wrap || !!(ret->flags & USED) != b->used_wrap)
        return false;
    b->next_used += count;
    if (b->next_used >= SIZE) {
        b->next_used -= SIZE;
        b->used_wrap = !b->used_wrap;
    }
    return true;
}

static struct virtq_chain chain;

Test(packed, a_request_goes_there_and_back)
{
    struct bench b;
    struct desc d;
    setup(&b);
    cr_expect_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_EMPTY);
    memcpy(at(&b, BUF), "abcd", 4);
    put(&b, BUF, 4, NEXT, 0);
    put(&b, BUF + 0x100, 3, NEXT | WRITE, 0);
    put(&b, BUF + 0x200, 5, WRITE, 5);
    cr_assert_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_GOT);
    cr_expect_eq(chain.head, 5);
    cr_expect_eq(chain.out_len, 4);
    cr_expect_eq(chain.in_len, 8);
    char text[8] = "";
    cr_expect_eq(virtq_read(&chain, 1, text, 8), 3);
    cr_expect_str_eq(text, "bcd");
    cr_expect_eq(virtq_write(&chain, b.mem, 2, "XYZ", 3), 3);
    cr_expect_not(used(&b, 3, &d));
    virtqueue_push(&b.vq, b.mem, chain.head, 5);
    cr_assert(used(&b, 3, &d));
    cr_expect_eq(d.id, 5);
    cr_expect_eq(d.len, 5);
    cr_expect(d.flags & WRITE);
    cr_expect(virtqueue_wants_interrupt(&b.vq));
    ((uint16_t *)at(&b, DRIVER))[1] = EVENTS_DISABLE;
    cr_expect_not(virtqueue_wants_interrupt(&b.vq));
    virtqueue_push(&b.vq, b.mem, chain.head, 5);
    cr_expect_not(used(&b, 3, &d), "a request is returned once");
    teardown(&b);
}

// Requests of one to four descriptors over a ring of six, returned out of order: counters wrap at every
// offset.
Test(packed, counters_wrap)
{
    struct bench b;
    struct desc d;
    setup(&b);
    for (unsigned i = 0; i < 5000; i++) {
        unsigned first = 1 + i % 3, second = 1 + i / 3 % 3;
        for (unsigned n = 0; n < first; n++)
            put(&b, BUF, 1, n + 1 < first ? NEXT : 0, 1);
        for (unsigned n = 0; n < second; n++)
            put(&b, BUF, 2, n + 1 < second ? NEXT : 0, 2);
        struct virtq_mark mark = virtqueue_mark(&b.vq);
        cr_assert_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_GOT);
        virtqueue_rewind(&b.vq, mark);
        cr_assert_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_GOT);
        cr_assert_eq(chain.head, 1);
        cr_assert_eq(chain.out_count, first);
        cr_assert_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_GOT);
        cr_assert_eq(chain.head, 2);
        cr_assert_eq(chain.out_count, second);
        cr_assert_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_EMPTY);
        virtqueue_push_batch(&b.vq, b.mem, (struct virtq_used[]){{2, 20}, {1, 10}}, 2);
        cr_assert(used(&b, second, &d));
        cr_assert(d.id == 2 && d.len == 20);
        cr_assert(used(&b, first, &d));
        cr_assert(d.id == 1 && d.len == 10);
        cr_assert_not(used(&b, 1, &d));
    }
    teardown(&b);
}

Test(packed, indirect_tables)
{
    struct bench b;
    setup(&b);
    const struct desc table[] = {
        {BUF, 4, 77, 0}, {BUF + 0x10, 8, 78, WRITE | NEXT}, {BUF + 0x20, 2, 79, WRITE}};
    memcpy(at(&b, TABLE), table, sizeof table);
    put(&b, TABLE, sizeof table, INDIRECT, 3);
    cr_assert_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_GOT);
    cr_expect_eq(chain.head, 3);
    cr_expect_eq(chain.out_len, 4);
    cr_expect_eq(chain.in_len, 10);
    cr_expect_eq(b.vq.last_avail, 1);
    teardown(&b);
}

Test(packed, event_index_asks_once)
{
    struct bench b;
    struct desc d;
    setup(&b);
    b.vq.event_idx = true;
    uint16_t *driver = at(&b, DRIVER), *device = at(&b, DEVICE);
    driver[1] = EVENTS_DESC;
    unsigned asked = 0;
    for (unsigned i = 0; i < 600;
         i++) { // tell me of every seventh: the event moves through all places and laps
        cr_assert_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_EMPTY);
        cr_expect_eq(device[0], i % SIZE | (i / SIZE % 2 ? 0 : 1 << 15));
        cr_expect_eq(device[1], EVENTS_DESC);
        unsigned event = i / 7 * 7 + 6;
        driver[0] = (uint16_t)(event % SIZE | (event / SIZE % 2 ? 0 : 1 << 15));
        put(&b, BUF, 1, 0, 0);
        cr_assert_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_GOT);
        virtqueue_push(&b.vq, b.mem, 0, 0);
        cr_assert(used(&b, 1, &d));
        bool wants = virtqueue_wants_interrupt(&b.vq);
        if (i) // nothing was signalled before the first: be safe
            cr_expect_eq(wants, i % 7 == 6, "request %u", i);
        asked += wants;
    }
    cr_expect_eq(asked, 1 + 600 / 7);
    teardown(&b);
}

static void no_end(struct bench *b)
{
    for (unsigned i = 0; i < SIZE; i++)
        put(b, BUF, 1, NEXT, 0);
}
static void id_out_of_ring(struct bench *b)
{
    put(b, BUF, 1, 0, SIZE);
}
static void no_ram_there(struct bench *b)
{
    put(b, 0x1000, 1, 0, 0);
}
static void end_of_ram(struct bench *b)
{
    put(b, RAM + RAM_SIZE - 4, 5, 0, 0);
}
static void address_wraps(struct bench *b)
{
    put(b, ~0ull, 0xffffffff, WRITE, 0);
}
static void out_after_in(struct bench *b)
{
    put(b, BUF, 1, NEXT | WRITE, 0);
    put(b, BUF, 1, 0, 0);
}
static void table_within_chain(struct bench *b)
{
    put(b, BUF, 1, NEXT, 0);
    put(b, TABLE, 16, INDIRECT, 0);
}
static void table_nested(struct bench *b)
{
    memcpy(at(b, TABLE), &(struct desc){TABLE, 16, 0, INDIRECT}, 16);
    put(b, TABLE, 16, INDIRECT, 0);
}
static void table_with_next(struct bench *b)
{
    memcpy(at(b, TABLE), &(struct desc){BUF, 1, 0, 0}, 16);
    put(b, TABLE, 16, INDIRECT | NEXT, 0);
    put(b, BUF, 1, 0, 0);
}
static void table_odd(struct bench *b)
{
    put(b, TABLE, 17, INDIRECT, 0);
}
static void table_empty(struct bench *b)
{
    put(b, TABLE, 0, INDIRECT, 0);
}
static void table_huge(struct bench *b)
{
    put(b, TABLE, 0xfffffff0, INDIRECT, 0);
}
static void table_outside(struct bench *b)
{
    put(b, RAM + RAM_SIZE, 16, INDIRECT, 0);
}

Test(packed, hostile_rings_break_the_queue)
{
    static const struct {
        const char *name;
        void (*prepare)(struct bench *b);
    } rows[] = {
#define ROW(name_) {#name_, name_}
        ROW(no_end),          ROW(id_out_of_ring), ROW(no_ram_there),       ROW(end_of_ram),
        ROW(address_wraps),   ROW(out_after_in),   ROW(table_within_chain), ROW(table_nested),
        ROW(table_with_next), ROW(table_odd),      ROW(table_empty),        ROW(table_huge),
        ROW(table_outside),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench b;
        struct desc d;
        setup(&b);
        rows[i].prepare(&b);
        cr_expect_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_BROKEN, "%s", rows[i].name);
        cr_expect_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_BROKEN, "%s stays broken", rows[i].name);
        virtqueue_push(&b.vq, b.mem, 0, 1);
        cr_expect_not(used(&b, 1, &d), "%s: nothing is returned", rows[i].name);
        teardown(&b);
    }
}

Test(packed, bad_rings_are_not_enabled)
{
    static const struct virtqueue rows[] = {
        {.max_size = 8, .size = 0, .desc = DESC, .avail = DRIVER, .used = DEVICE},
        {.max_size = 8, .size = 9, .desc = DESC, .avail = DRIVER, .used = DEVICE},
        {.max_size = 8, .size = 8, .desc = DESC + 8, .avail = DRIVER, .used = DEVICE},
        {.max_size = 8, .size = 8, .desc = DESC, .avail = DRIVER + 2, .used = DEVICE},
        {.max_size = 8, .size = 8, .desc = DESC, .avail = DRIVER, .used = DEVICE + 2},
        {.max_size = 8, .size = 8, .desc = RAM + RAM_SIZE - 16, .avail = DRIVER, .used = DEVICE},
        {.max_size = 8, .size = 8, .desc = DESC, .avail = 0, .used = DEVICE},
        {.max_size = 8, .size = 8, .desc = DESC, .avail = DRIVER, .used = ~0ull & ~3ull},
        {.max_size = 8,
         .size = 8,
         .desc = DESC,
         .avail = DRIVER,
         .used = DEVICE,
         .last_avail = 8}, // of a saved state
        {.max_size = 8, .size = 8, .desc = DESC, .avail = DRIVER, .used = DEVICE, .used_idx = 9},
    };
    struct bench b;
    setup(&b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        b.vq = rows[i];
        b.vq.packed = true;
        cr_expect_not(virtqueue_enable(&b.vq, b.mem), "row %zu", i);
        cr_expect(b.vq.broken);
    }
    teardown(&b);
}
