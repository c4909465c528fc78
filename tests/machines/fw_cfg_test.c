// SPDX-License-Identifier: MIT
// fw_cfg through its registers: selector and data, the file directory, DMA with good and hostile descriptors.
#include "base/error.h"
#include "hw/fw_cfg/fw_cfg.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RAM = 0x40000000, RAM_SIZE = 1 << 16, CONTROL = RAM + 0x100, BUF = RAM + 0x1000 };

struct bench {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct device *dev;
};

static void setup(struct bench *b)
{
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_lock(&b->lock);
    cr_assert_eq(mem_space_create(&b->lock, &b->mem, NULL), 0);
    cr_assert_eq(mem_add_ram(b->mem, "ram", (struct gpa){RAM}, RAM_SIZE, 0, NULL, NULL), 0);
    free((void *)mem_commit(b->mem));
    struct fw_cfg_config config = {.path = "/fw", .mem = b->mem};
    cr_assert_eq(fw_cfg_create(&config, &b->dev, NULL), 0);
}

static void teardown(struct bench *b)
{
    device_destroy(b->dev);
    mem_space_destroy(b->mem);
    pthread_mutex_unlock(&b->lock);
    pthread_mutex_destroy(&b->lock);
}

static void wr(struct bench *b, uint64_t offset, unsigned size, uint64_t value)
{
    b->dev->class->mmio->write(b->dev, offset, size, value);
}

static uint64_t rd(struct bench *b, uint64_t offset, unsigned size)
{
    uint64_t v = 0;
    b->dev->class->mmio->read(b->dev, offset, size, &v);
    return v;
}

static uint32_t dma(struct bench *b, uint32_t control, uint32_t len, uint64_t addr)
{
    struct {
        uint32_t control, len;
        uint64_t addr;
    } a = {htobe32(control), htobe32(len), htobe64(addr)};
    memcpy(mem_host(b->mem, (struct gpa){CONTROL}, sizeof a), &a, sizeof a);
    wr(b, 16, 8, htobe64(CONTROL));
    memcpy(&a, mem_host(b->mem, (struct gpa){CONTROL}, sizeof a), sizeof a);
    return be32toh(a.control);
}

Test(fw_cfg, selector_and_data)
{
    struct bench b;
    setup(&b);
    wr(&b, 8, 2, htobe16(FW_CFG_SIGNATURE));
    cr_expect_eq(rd(&b, 0, 4), 'Q' | 'E' << 8 | 'M' << 16 | 'U' << 24);
    cr_expect_eq(rd(&b, 0, 1), 0, "behind the end");
    wr(&b, 8, 2, htobe16(FW_CFG_ID));
    cr_expect_eq(rd(&b, 0, 1), 3);
    wr(&b, 8, 2, 0xffff);
    cr_expect_eq(rd(&b, 0, 8), 0, "no such item");
    cr_expect_eq(be64toh(rd(&b, 16, 8)), 0x51454d5520434647);
    fw_cfg_add_u64(b.dev, FW_CFG_RAM_SIZE, 0x1122334455667788);
    wr(&b, 8, 2, htobe16(FW_CFG_RAM_SIZE));
    cr_expect_eq(rd(&b, 0, 2), 0x7788);
    cr_expect_eq(rd(&b, 0, 4), 0x33445566);
    teardown(&b);
}

Test(fw_cfg, files_are_sorted_and_found)
{
    struct bench b;
    struct error err = {0};
    setup(&b);
    cr_assert_eq(fw_cfg_add_file(b.dev, "opt/b", "BB", 2, &err), 0);
    cr_assert_eq(fw_cfg_add_file(b.dev, "opt/c", "CCC", 3, &err), 0);
    cr_assert_eq(fw_cfg_add_file(b.dev, "opt/a", "A", 1, &err), 0);
    cr_expect_eq(fw_cfg_add_file(b.dev, "opt/a", "A", 1, &err), -EEXIST);
    cr_expect_eq(
        fw_cfg_add_file(b.dev, "0123456789012345678901234567890123456789012345678901234567", "", 0, &err),
        -ENAMETOOLONG);
    cr_assert_eq(dma(&b, FW_CFG_FILE_DIR << 16 | 8 | 2, 4 + 3 * 64, BUF), 0);
    const uint8_t *dir = mem_host(b.mem, (struct gpa){BUF}, 4 + 3 * 64);
    cr_expect_eq(be32toh(*(uint32_t *)dir), 3);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *e = dir + 4 + 64 * i;
        char name[8], text[4] = "";
        snprintf(name, sizeof name, "opt/%c", 'a' + i);
        cr_expect_str_eq((const char *)e + 8, name);
        cr_expect_eq(be32toh(*(uint32_t *)e), i + 1);
        wr(&b, 8, 2, *(uint16_t *)(e + 4));
        for (unsigned j = 0; j <= i; j++)
            text[j] = (char)rd(&b, 0, 1);
        cr_expect_eq(text[i], 'A' + (char)i);
    }
    teardown(&b);
}

Test(fw_cfg, dma)
{
    struct bench b;
    setup(&b);
    uint8_t *buf = mem_host(b.mem, (struct gpa){BUF}, 16);
    cr_expect_eq(dma(&b, FW_CFG_SIGNATURE << 16 | 8 | 2, 2, BUF), 0);
    cr_expect_arr_eq(buf, "QE", 2);
    memset(buf, 0xff, 8);
    cr_expect_eq(dma(&b, 2, 6, BUF), 0, "goes on where it was, zeros at the end");
    cr_expect_arr_eq(buf, "MU\0\0\0\0\xff", 7);
    cr_expect_eq(dma(&b, FW_CFG_SIGNATURE << 16 | 8 | 4, 3, 0), 0, "skip");
    cr_expect_eq(rd(&b, 0, 1), 'U');
    cr_expect_eq(dma(&b, FW_CFG_SIGNATURE << 16 | 8 | 4, 0xffffffff, 0), 0, "skip too far");
    cr_expect_eq(rd(&b, 0, 1), 0);
    cr_expect_eq(dma(&b, FW_CFG_SIGNATURE << 16 | 8 | 16, 4, BUF), 1, "write is refused");
    cr_expect_eq(dma(&b, FW_CFG_SIGNATURE << 16 | 8 | 2, 4, 0x1000), 1, "no RAM there");
    cr_expect_eq(dma(&b, FW_CFG_SIGNATURE << 16 | 8 | 2, 4, RAM + RAM_SIZE - 2), 1, "over the end of RAM");
    cr_expect_eq(dma(&b, FW_CFG_SIGNATURE << 16 | 8 | 2, 0xffffffff, RAM), 1, "longer than RAM");
    cr_expect_eq(dma(&b, FW_CFG_SIGNATURE << 16 | 8 | 2, 8, ~0ull - 3), 1, "wraps");
    wr(&b, 16, 8, htobe64(0x10));      // no descriptor there: nothing happens
    wr(&b, 16, 8, htobe64(~0ull - 4)); // nor there
    wr(&b, 16, 4, 0);
    wr(&b, 20, 4, htobe32(CONTROL)); // in two halves
    teardown(&b);
}
