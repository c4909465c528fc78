// SPDX-License-Identifier: MIT
// Owns the making of an ITS with memory around it, and the driver's side of its command queue; see the header.
#include "tests/hw/its_bench.h"
#include "base/error.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void set_output(void *opaque, unsigned line, bool level)
{
    ((bool *)opaque)[line] = level;
}

void its_bench_make(struct its_bench *b)
{
    struct irq irq[ITS_CPUS], fiq[ITS_CPUS];
    struct error err = {""};
    memset(b, 0, sizeof *b);
    for (unsigned i = 0; i < ITS_CPUS; i++) {
        irq[i] = (struct irq){set_output, b->irq, i};
        fiq[i] = (struct irq){set_output, b->fiq, i};
    }
    pthread_mutex_init(&b->lock, NULL);
    cr_assert_eq(mem_space_create(&b->lock, &b->mem, &err), 0);
    cr_assert_eq(mem_add_ram(b->mem, "ram", (struct gpa){ITS_RAM}, ITS_RAM_SIZE, 0, &b->ram, &err), 0);
    struct gicv3_config config = {
        .path = "/gic", .cpu_count = ITS_CPUS, .spi_count = 64, .irq = irq, .fiq = fiq, .mem = b->mem};
    cr_assert_eq(gicv3_create(&config, &b->gic, &err), 0, "%s", err.text);
    const struct gicv3_its_config its = {.path = "/its", .gic = b->gic};
    cr_assert_eq(gicv3_its_create(&its, &b->its, &err), 0, "%s", err.text);
    // Where the guest may aim a table at it: it must not answer there.
    cr_assert_eq(mem_add_mmio(b->mem, "its", (struct gpa){0x08080000}, GICV3_ITS_SIZE, b->its->class->mmio, b->its,
                              MEM_UNLOCKED, &err), 0);
    free((void *)mem_commit(b->mem));
}

void its_bench_free(struct its_bench *b)
{
    device_destroy(b->its);
    device_destroy(gicv3_device(b->gic));
    mem_space_destroy(b->mem);
}

void *its_at(struct its_bench *b, uint64_t addr)
{
    return b->ram->host + (addr - ITS_RAM);
}

static uint64_t get(const struct mem_mmio_ops *ops, void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    cr_assert_eq(ops->read(opaque, offset, size, &value), MEM_OK);
    return value;
}

uint64_t its_get(struct its_bench *b, uint64_t offset, unsigned size)
{
    return get(b->its->class->mmio, b->its, offset, size);
}

void its_put(struct its_bench *b, uint64_t offset, unsigned size, uint64_t value)
{
    cr_assert_eq(b->its->class->mmio->write(b->its, offset, size, value), MEM_OK);
}

uint64_t gicr_get(struct its_bench *b, unsigned cpu, uint64_t offset, unsigned size)
{
    struct gicv3_redist_map map = gicv3_redist(b->gic, 0);
    return get(map.ops, map.opaque, cpu * GICV3_REDIST_SIZE + offset, size);
}

void gicr_put(struct its_bench *b, unsigned cpu, uint64_t offset, unsigned size, uint64_t value)
{
    struct gicv3_redist_map map = gicv3_redist(b->gic, 0);
    cr_assert_eq(map.ops->write(map.opaque, cpu * GICV3_REDIST_SIZE + offset, size, value), MEM_OK);
}

uint64_t icc_get(struct its_bench *b, unsigned cpu, enum gicv3_icc reg)
{
    uint64_t value = 0;
    cr_assert(gicv3_icc_read(b->gic, cpu, reg, &value));
    return value;
}

void icc_put(struct its_bench *b, unsigned cpu, enum gicv3_icc reg, uint64_t value)
{
    cr_assert(gicv3_icc_write(b->gic, cpu, reg, value));
}

void its_queue_command(struct its_bench *b, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3)
{
    uint64_t at = its_get(b, GITS_CWRITER, 8), word[4] = {w0, w1, w2, w3};
    memcpy(its_at(b, ITS_QUEUE + at), word, sizeof word);
    its_put(b, GITS_CWRITER, 8, (at + 32) % 4096);
}

void its_command(struct its_bench *b, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3)
{
    its_queue_command(b, w0, w1, w2, w3);
    cr_assert_eq(its_get(b, GITS_CREADR, 8), its_get(b, GITS_CWRITER, 8));
}

bool its_pending(struct its_bench *b, unsigned cpu, unsigned id)
{
    return ((uint8_t *)its_at(b, ITS_PENDING + cpu * 0x10000))[id / 8] >> id % 8 & 1;
}

void its_bench_start(struct its_bench *b)
{
    const struct mem_mmio_ops *dist = gicv3_device(b->gic)->class->mmio;
    cr_assert_eq(dist->write(gicv3_device(b->gic), 0, 4, 3), MEM_OK);
    memset(its_at(b, ITS_PROPERTIES), 0xa1, 1024);
    for (unsigned i = 0; i < ITS_CPUS; i++) {
        gicr_put(b, i, 0x70, 8, ITS_PROPERTIES | 15);
        gicr_put(b, i, 0x78, 8, ITS_PENDING + i * 0x10000);
        gicr_put(b, i, 0, 4, 1);
        icc_put(b, i, ICC_PMR, 0xff);
        icc_put(b, i, ICC_IGRPEN1, 1);
    }
    its_put(b, GITS_BASER, 8, 1ull << 63 | ITS_DEVICE_TABLE);
    its_put(b, GITS_BASER + 8, 8, 1ull << 63 | ITS_COLLECTION_TABLE);
    its_put(b, GITS_CBASER, 8, 1ull << 63 | ITS_QUEUE);
    its_put(b, GITS_CWRITER, 8, 0);
    its_put(b, GITS_CTLR, 4, 1);
    for (unsigned i = 0; i < ITS_CPUS; i++)
        its_mapc(b, i, i, true);
    its_mapd(b, 1, 5, ITS_ITT, true);
}
