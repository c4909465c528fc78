// SPDX-License-Identifier: MIT
// The split virtqueue against a driver that keeps the rules and against hostile ones: each hostile row is a
// ring that must break the queue, and nothing else.
#include "hw/virtio/virtqueue.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum {
    RAM = 0x40000000,
    RAM_SIZE = 1 << 20,
    DESC = RAM,
    AVAIL = RAM + 0x1000,
    USED = RAM + 0x2000,
    BUF = RAM + 0x3000,
    TABLE = RAM + 0x8000,
    SIZE = 8,
    NEXT = 1,
    WRITE = 2,
    INDIRECT = 4,
};

struct bench {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct virtqueue vq;
};

static void setup(struct bench *b)
{
    pthread_mutex_init(&b->lock, NULL);
    cr_assert_eq(mem_space_create(&b->lock, &b->mem, NULL), 0);
    cr_assert_eq(mem_add_ram(b->mem, "ram", (struct gpa){RAM}, RAM_SIZE, 0, NULL, NULL), 0);
    free((void *)mem_commit(b->mem));
    b->vq = (struct virtqueue){.max_size = 256, .size = SIZE, .desc = DESC, .avail = AVAIL, .used = USED};
}

static void *at(struct bench *b, uint64_t addr)
{
    return mem_host(b->mem, (struct gpa){addr}, 1);
}

static void put_desc(struct bench *b, uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
                     uint16_t next)
{
    uint8_t *d = (uint8_t *)at(b, table) + 16 * i;
    memcpy(d, &addr, 8);
    memcpy(d + 8, &len, 4);
    memcpy(d + 12, &flags, 2);
    memcpy(d + 14, &next, 2);
}

static void offer(struct bench *b, uint16_t head)
{
    uint16_t *avail = at(b, AVAIL);
    avail[2 + avail[1] % SIZE] = head;
    avail[1]++;
}

static void teardown(struct bench *b)
{
    mem_space_destroy(b->mem);
    pthread_mutex_destroy(&b->lock);
}

static struct virtq_chain chain;

Test(virtqueue, a_request_goes_there_and_back)
{
    struct bench b;
    setup(&b);
    cr_assert(virtqueue_enable(&b.vq, b.mem));
    cr_expect_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_EMPTY);
    put_desc(&b, DESC, 3, BUF, 4, NEXT, 5);
    put_desc(&b, DESC, 5, BUF + 0x100, 3, NEXT | WRITE, 6);
    put_desc(&b, DESC, 6, BUF + 0x200, 5, WRITE, 0);
    memcpy(at(&b, BUF), "abcd", 4);
    offer(&b, 3);
    cr_assert_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_GOT);
    cr_expect_eq(chain.head, 3);
    cr_expect_eq(chain.out_len, 4);
    cr_expect_eq(chain.in_len, 8);
    char text[8] = "";
    cr_expect_eq(virtq_read(&chain, 1, text, 8), 3);
    cr_expect_str_eq(text, "bcd");
    cr_expect_eq(virtq_write(&chain, b.mem, 2, "XYZ", 3), 3);
    cr_expect_arr_eq(at(&b, BUF + 0x102), "X", 1);
    cr_expect_arr_eq(at(&b, BUF + 0x200), "YZ", 2);
    virtqueue_push(&b.vq, b.mem, chain.head, 5);
    const uint32_t *used = at(&b, USED);
    cr_expect_eq(used[0] >> 16, 1);
    cr_expect_eq(used[1], 3);
    cr_expect_eq(used[2], 5);
    cr_expect(virtqueue_wants_interrupt(&b.vq));
    *(uint16_t *)at(&b, AVAIL) = 1;
    cr_expect_not(virtqueue_wants_interrupt(&b.vq));
    cr_expect_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_EMPTY);
    teardown(&b);
}

Test(virtqueue, indices_wrap)
{
    struct bench b;
    setup(&b);
    cr_assert(virtqueue_enable(&b.vq, b.mem));
    put_desc(&b, DESC, 0, BUF, 1, 0, 0);
    for (unsigned i = 0; i < 70000; i++) {
        offer(&b, 0);
        cr_assert_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_GOT);
        virtqueue_push(&b.vq, b.mem, 0, 0);
    }
    cr_expect_eq(b.vq.used_idx, 70000 % 65536);
    teardown(&b);
}

Test(virtqueue, event_index_asks_once)
{
    struct bench b;
    setup(&b);
    b.vq.event_idx = true;
    cr_assert(virtqueue_enable(&b.vq, b.mem));
    put_desc(&b, DESC, 0, BUF, 1, 0, 0);
    uint16_t *used_event = (uint16_t *)at(&b, AVAIL + 4 + 2 * SIZE),
             *avail_event = at(&b, USED + 4 + 8 * SIZE);
    bool wanted[4];
    *used_event = 2; // tell me after the third
    for (unsigned i = 0; i < 4; i++) {
        offer(&b, 0);
        cr_assert_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_GOT);
        cr_expect_eq(*avail_event, i + 1);
        virtqueue_push(&b.vq, b.mem, 0, 0);
        wanted[i] = virtqueue_wants_interrupt(&b.vq);
    }
    cr_expect(wanted[0]); // nothing was signalled before: be safe
    cr_expect_not(wanted[1]);
    cr_expect(wanted[2]);
    cr_expect_not(wanted[3]);
    teardown(&b);
}

static void loop(struct bench *b)
{
    put_desc(b, DESC, 0, BUF, 1, NEXT, 1);
    put_desc(b, DESC, 1, BUF, 1, NEXT, 0);
    offer(b, 0);
}
static void next_out_of_table(struct bench *b)
{
    put_desc(b, DESC, 0, BUF, 1, NEXT, SIZE);
    offer(b, 0);
}
static void head_out_of_table(struct bench *b)
{
    offer(b, SIZE);
}
static void too_many_offered(struct bench *b)
{
    ((uint16_t *)at(b, AVAIL))[1] = SIZE + 1;
}
static void no_ram_there(struct bench *b)
{
    put_desc(b, DESC, 0, 0x1000, 1, 0, 0);
    offer(b, 0);
}
static void end_of_ram(struct bench *b)
{
    put_desc(b, DESC, 0, RAM + RAM_SIZE - 4, 5, 0, 0);
    offer(b, 0);
}
static void address_wraps(struct bench *b)
{
    put_desc(b, DESC, 0, ~0ull, 0xffffffff, WRITE, 0);
    offer(b, 0);
}
static void out_after_in(struct bench *b)
{
    put_desc(b, DESC, 0, BUF, 1, NEXT | WRITE, 1);
    put_desc(b, DESC, 1, BUF, 1, 0, 0);
    offer(b, 0);
}
static void indirect_nested(struct bench *b)
{
    put_desc(b, DESC, 0, TABLE, 16, INDIRECT, 0);
    put_desc(b, TABLE, 0, TABLE, 16, INDIRECT, 0);
    offer(b, 0);
}
static void indirect_odd_length(struct bench *b)
{
    put_desc(b, DESC, 0, TABLE, 17, INDIRECT, 0);
    offer(b, 0);
}
static void indirect_empty(struct bench *b)
{
    put_desc(b, DESC, 0, TABLE, 0, INDIRECT, 0);
    offer(b, 0);
}
static void indirect_with_next(struct bench *b)
{
    put_desc(b, DESC, 0, TABLE, 16, INDIRECT | NEXT, 1);
    put_desc(b, TABLE, 0, BUF, 1, 0, 0);
    offer(b, 0);
}
static void indirect_loop(struct bench *b)
{
    put_desc(b, DESC, 0, TABLE, 32, INDIRECT, 0);
    put_desc(b, TABLE, 0, BUF, 1, NEXT, 1);
    put_desc(b, TABLE, 1, BUF, 1, NEXT, 0);
    offer(b, 0);
}
static void indirect_huge(struct bench *b)
{
    put_desc(b, DESC, 0, TABLE, 0xfffffff0, INDIRECT, 0);
    offer(b, 0);
}
static void indirect_outside(struct bench *b)
{
    put_desc(b, DESC, 0, RAM + RAM_SIZE, 16, INDIRECT, 0);
    offer(b, 0);
}

Test(virtqueue, hostile_rings_break_the_queue)
{
    static const struct {
        const char *name;
        void (*prepare)(struct bench *b);
    } rows[] = {
#define ROW(name_) {#name_, name_}
        ROW(loop),
        ROW(next_out_of_table),
        ROW(head_out_of_table),
        ROW(too_many_offered),
        ROW(no_ram_there),
        ROW(end_of_ram),
        ROW(address_wraps),
        ROW(out_after_in),
        ROW(indirect_nested),
        ROW(indirect_odd_length),
        ROW(indirect_empty),
        ROW(indirect_with_next),
        ROW(indirect_loop),
        ROW(indirect_huge),
        ROW(indirect_outside),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench b;
        setup(&b);
        cr_assert(virtqueue_enable(&b.vq, b.mem));
        rows[i].prepare(&b);
        cr_expect_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_BROKEN, "%s", rows[i].name);
        cr_expect_eq(virtqueue_pop(&b.vq, b.mem, &chain), VIRTQ_BROKEN, "%s stays broken", rows[i].name);
        virtqueue_push(&b.vq, b.mem, 0, 1);
        cr_expect_eq(*(uint32_t *)at(&b, USED), 0, "%s: nothing is returned", rows[i].name);
        teardown(&b);
    }
}

Test(virtqueue, bad_rings_are_not_enabled)
{
    static const struct virtqueue rows[] = {
        {.max_size = 8, .size = 0, .desc = DESC, .avail = AVAIL, .used = USED},
        {.max_size = 8, .size = 7, .desc = DESC, .avail = AVAIL, .used = USED},
        {.max_size = 8, .size = 16, .desc = DESC, .avail = AVAIL, .used = USED},
        {.max_size = 8, .size = 8, .desc = DESC + 8, .avail = AVAIL, .used = USED},
        {.max_size = 8, .size = 8, .desc = DESC, .avail = AVAIL + 1, .used = USED},
        {.max_size = 8, .size = 8, .desc = DESC, .avail = AVAIL, .used = USED + 2},
        {.max_size = 8, .size = 8, .desc = RAM + RAM_SIZE - 16, .avail = AVAIL, .used = USED},
        {.max_size = 8, .size = 8, .desc = DESC, .avail = 0, .used = USED},
        {.max_size = 8, .size = 8, .desc = DESC, .avail = AVAIL, .used = ~0ull & ~3ull},
    };
    struct bench b;
    setup(&b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        b.vq = rows[i];
        cr_expect_not(virtqueue_enable(&b.vq, b.mem), "row %zu", i);
        cr_expect(b.vq.broken);
    }
    teardown(&b);
}
