// SPDX-License-Identifier: MIT
// A virtio disk driven through its registers as a driver would: start-up, transfers, errors, reset in flight.
#include "base/clock.h"
#include "base/loop.h"
#include "host/block.h"
#include "hw/core/state.h"
#include "hw/virtio/virtio_blk.h"
#include "hw/virtio/virtio_mmio.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RAM = 0x40000000, DESC = RAM, AVAIL = RAM + 0x1000, USED = RAM + 0x2000, HEADER = RAM + 0x3000,
       STATUS = RAM + 0x3100, DATA = RAM + 0x4000, SIZE = 8, SECTORS = 16 };

struct bench {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct loop *loop;
    struct block *block;
    struct device *transport;
    struct virtio_device *vdev;
    bool irq;
    char path[64];
};

static void set_irq(void *opaque, unsigned line, bool level)
{
    *(bool *)opaque = level;
}

static void *at(struct bench *b, uint64_t addr)
{
    return mem_host(b->mem, (struct gpa){addr}, 1);
}

static uint32_t rd(struct bench *b, uint64_t offset, unsigned size)
{
    uint64_t v = 0;
    b->transport->class->mmio->read(b->transport, offset, size, &v);
    return (uint32_t)v;
}

static void wr(struct bench *b, uint64_t offset, uint32_t value)
{
    b->transport->class->mmio->write(b->transport, offset, 4, value);
}

static void setup(struct bench *b, bool readonly)
{
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_lock(&b->lock);
    strcpy(b->path, "/tmp/virtio_blk_test.XXXXXX");
    int fd = mkstemp(b->path);
    cr_assert(fd >= 0 && !ftruncate(fd, SECTORS * 512));
    cr_assert_eq(pwrite(fd, "sector three", 12, 3 * 512), 12);
    close(fd);
    cr_assert_eq(loop_create(&b->lock, &b->loop, NULL), 0);
    cr_assert_eq(mem_space_create(&b->lock, &b->mem, NULL), 0);
    cr_assert_eq(mem_add_ram(b->mem, "ram", (struct gpa){RAM}, 1 << 20, 0, NULL, NULL), 0);
    free((void *)mem_commit(b->mem));
    struct block_config block = {.path = b->path, .readonly = readonly, .discard = !readonly, .loop = b->loop};
    cr_assert_eq(block_open_raw(&block, &b->block, NULL), 0);
    struct virtio_blk_config blk = {.path = "/blk", .mem = b->mem, .block = b->block, .serial = "serial-1"};
    cr_assert_eq(virtio_blk_create(&blk, &b->vdev, NULL), 0);
    struct virtio_mmio_config mmio = {.path = "/mmio", .irq = {.set = set_irq, .opaque = &b->irq}};
    cr_assert_eq(virtio_mmio_create(&mmio, &b->transport, NULL), 0);
    virtio_mmio_plug(b->transport, b->vdev);
}

static void teardown(struct bench *b)
{
    device_destroy(&b->vdev->dev);
    device_destroy(b->transport);
    block_close(b->block);
    mem_space_destroy(b->mem);
    loop_destroy(b->loop);
    pthread_mutex_unlock(&b->lock);
    pthread_mutex_destroy(&b->lock);
    unlink(b->path);
}

static void start_driver_with(struct bench *b, unsigned entries)
{
    wr(b, 0x70, 0);
    wr(b, 0x70, 3);
    wr(b, 0x24, 1);
    wr(b, 0x20, 1); // VERSION_1
    wr(b, 0x24, 0);
    wr(b, 0x20, 1 << 28);
    wr(b, 0x70, 11);
    cr_assert_eq(rd(b, 0x70, 4), 11);
    wr(b, 0x30, 0);
    wr(b, 0x38, entries);
    wr(b, 0x80, DESC);
    wr(b, 0x90, AVAIL);
    wr(b, 0xa0, USED);
    wr(b, 0x44, 1);
    wr(b, 0x70, 15);
}

static void start_driver(struct bench *b)
{
    start_driver_with(b, SIZE);
}

static void put_desc(struct bench *b, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
    uint8_t *d = (uint8_t *)at(b, DESC) + 16 * i;
    memcpy(d, &addr, 8);
    memcpy(d + 8, &len, 4);
    memcpy(d + 12, &flags, 2);
    memcpy(d + 14, &next, 2);
}

static void submit(struct bench *b, uint32_t type, uint64_t sector, uint32_t len, bool in)
{
    uint32_t header[4] = {type, 0, (uint32_t)sector, (uint32_t)(sector >> 32)};
    memcpy(at(b, HEADER), header, sizeof header);
    *(uint8_t *)at(b, STATUS) = 0xff;
    put_desc(b, 0, HEADER, 16, 1, len ? 1 : 2);
    put_desc(b, 1, DATA, len, in ? 3 : 1, 2);
    put_desc(b, 2, STATUS, 1, 2, 0);
    uint16_t *avail = at(b, AVAIL);
    avail[2 + avail[1] % SIZE] = 0;
    avail[1]++;
    wr(b, 0x50, 0);
}

// The status byte, after the completion came.
static unsigned request(struct bench *b, uint32_t type, uint64_t sector, uint32_t len, bool in)
{
    uint16_t before = ((uint16_t *)at(b, USED))[1];
    submit(b, type, sector, len, in);
    for (int i = 0; i < 100 && ((uint16_t *)at(b, USED))[1] == before; i++)
        loop_once(b->loop, 10000000);
    cr_expect_eq(((uint16_t *)at(b, USED))[1], (uint16_t)(before + 1));
    cr_expect(b->irq);
    wr(b, 0x64, rd(b, 0x60, 4));
    cr_expect_not(b->irq);
    return *(uint8_t *)at(b, STATUS);
}

Test(virtio_blk, serves_a_driver)
{
    struct bench b;
    setup(&b, false);
    cr_expect_eq(rd(&b, 0, 4), 0x74726976);
    cr_expect_eq(rd(&b, 4, 4), 2);
    cr_expect_eq(rd(&b, 8, 4), 2);
    cr_expect_eq(rd(&b, 0x100, 4), SECTORS);
    start_driver(&b);
    cr_expect_eq(request(&b, 0, 3, 512, true), 0);
    cr_expect_str_eq(at(&b, DATA), "sector three");
    memcpy(at(&b, DATA), "written", 8);
    cr_expect_eq(request(&b, 1, 15, 512, false), 0);
    memset(at(&b, DATA), 0, 512);
    cr_expect_eq(request(&b, 0, 15, 512, true), 0);
    cr_expect_str_eq(at(&b, DATA), "written");
    cr_expect_eq(request(&b, 4, 0, 0, false), 0, "flush");
    cr_expect_eq(request(&b, 8, 0, 20, true), 0, "get id");
    cr_expect_str_eq(at(&b, DATA), "serial-1");
    cr_expect_eq(request(&b, 0, 16, 512, true), 1, "behind the end");
    cr_expect_eq(request(&b, 0, 15, 1024, true), 1, "over the end");
    cr_expect_eq(request(&b, 0, ~0ull, 512, true), 1, "sector wraps");
    cr_expect_eq(request(&b, 0, 0, 100, true), 1, "part of a sector");
    cr_expect_eq(request(&b, 77, 0, 0, true), 2, "unknown type");
    uint64_t range[2] = {15, 1};
    memcpy(at(&b, DATA), range, 16);
    cr_expect_eq(request(&b, 13, 0, 16, false), 0, "write zeroes");
    cr_expect_eq(request(&b, 0, 15, 512, true), 0);
    cr_expect_eq(*(uint8_t *)at(&b, DATA), 0);
    range[0] = 16;
    memcpy(at(&b, DATA), range, 16);
    cr_expect_eq(request(&b, 11, 0, 16, false), 1, "discard behind the end");
    teardown(&b);
}

Test(virtio_blk, readonly_refuses_writes)
{
    struct bench b;
    setup(&b, true);
    wr(&b, 0x14, 0);
    cr_expect(rd(&b, 0x10, 4) & 1 << 5);
    start_driver(&b);
    cr_expect_eq(request(&b, 1, 0, 512, false), 1);
    cr_expect_eq(request(&b, 0, 3, 512, true), 0);
    teardown(&b);
}

Test(virtio_blk, a_second_writer_is_kept_out)
{
    struct bench b;
    setup(&b, false);
    struct block_config config = {.path = b.path, .loop = b.loop};
    struct block *other;
    cr_expect_eq(block_open_raw(&config, &other, NULL), -EBUSY);
    config.readonly = true;
    cr_expect_eq(block_open_raw(&config, &other, NULL), -EBUSY);
    teardown(&b);
}

Test(virtio_blk, reset_waits_for_requests)
{
    struct bench b;
    setup(&b, false);
    start_driver(&b);
    submit(&b, 0, 3, 512, true);
    wr(&b, 0x70, 0);
    cr_expect_eq(rd(&b, 0x70, 4), 0);
    memset(at(&b, DATA), 0x55, 512);
    loop_once(b.loop, 0);
    cr_expect_eq(*(uint8_t *)at(&b, DATA), 0x55, "nothing is written after the reset");
    cr_expect_eq(((uint16_t *)at(&b, USED))[1], 0);
    cr_expect_not(b.irq);
    memset(at(&b, AVAIL), 0, 64);
    start_driver(&b);
    cr_expect_eq(request(&b, 0, 3, 512, true), 0, "it works again");
    teardown(&b);
}

// As before a save: more than we take at once are in the queue, and none is left between it and the disk.
Test(virtio_blk, quiet_is_when_all_have_come_back)
{
    enum { REQUESTS = 128 };
    struct bench b;
    setup(&b, false);
    start_driver_with(&b, 2 * REQUESTS);
    memcpy(at(&b, HEADER), (uint32_t[4]){4}, 16); // flush
    uint16_t *avail = at(&b, AVAIL), *used = at(&b, USED);
    for (unsigned i = 0; i < REQUESTS; i++) {
        put_desc(&b, 2 * i, HEADER, 16, 1, (uint16_t)(2 * i + 1));
        put_desc(&b, 2 * i + 1, STATUS + i, 1, 2, 0);
        avail[2 + i] = (uint16_t)(2 * i);
    }
    avail[1] = REQUESTS;
    wr(&b, 0x50, 0);
    if (b.vdev->dev.class->quiesce)
        b.vdev->dev.class->quiesce(&b.vdev->dev);
    block_drain(b.block);
    cr_expect_eq(b.vdev->queues[0].last_avail, REQUESTS);
    cr_expect_eq(used[1], REQUESTS);
    teardown(&b);
}

Test(virtio_blk, a_broken_driver_needs_a_reset)
{
    struct bench b;
    setup(&b, false);
    start_driver(&b);
    put_desc(&b, 0, HEADER, 16, 0, 0); // no status byte
    ((uint16_t *)at(&b, AVAIL))[1] = 1;
    wr(&b, 0x50, 0);
    cr_expect(rd(&b, 0x70, 4) & 64);
    cr_expect_eq(rd(&b, 0x60, 4), 2);
    wr(&b, 0x50, 0);
    wr(&b, 0x70, 0);
    cr_expect_eq(rd(&b, 0x70, 4), 0);
    teardown(&b);
}

// A saved state that says of a queue that is not there: it is ready, and has requests that wait for a free one of ours.
Test(virtio_blk, a_restored_queue_that_is_not_there_is_not_served)
{
    enum { FIELD = 8, QUEUE = 5 };
    static const uint8_t ready[FIELD] = {9, 0, STATE_BOOL, 0, VIRTIO_MAX_QUEUES};
    struct bench b;
    struct state_buf buf = {0};
    setup(&b, false);
    start_driver(&b);
    cr_assert_eq(state_save(&b.vdev->dev, 0, &buf, NULL), 0);
    uint8_t *field = memmem(buf.data, buf.size, ready, FIELD);
    cr_assert(field);
    field[FIELD + QUEUE] = 1;
    buf.data[buf.size - 4] = 1 << QUEUE; // the table's last field
    struct device *devs[] = {&b.vdev->dev};
    cr_assert_eq(state_load(devs, 1, 0, buf.data, buf.size, NULL), 0);
    cr_expect_eq(request(&b, 0, 3, 512, true), 0);
    state_buf_free(&buf);
    teardown(&b);
}

Test(virtio_blk, features_must_be_offered_and_modern)
{
    struct bench b;
    setup(&b, false);
    wr(&b, 0x70, 3);
    wr(&b, 0x24, 0);
    wr(&b, 0x20, 1 << 28);
    wr(&b, 0x70, 11);
    cr_expect_eq(rd(&b, 0x70, 4), 3, "no VERSION_1");
    wr(&b, 0x24, 1);
    wr(&b, 0x20, 0x80000001);
    wr(&b, 0x70, 11);
    cr_expect_eq(rd(&b, 0x70, 4), 3, "not offered");
    teardown(&b);
}
