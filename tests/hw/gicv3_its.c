// SPDX-License-Identifier: MIT
// LPIs and the ITS that sends them: commands through the queue, messages, what the CPU interface makes of them, and the
// pending tables in memory; hostile tables; save and load; random commands.
#include "tests/hw/its_bench.h"
#include "base/entropy.h"
#include "base/error.h"
#include "hw/core/state.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { INT = 0x03, CLEAR = 0x04, INV = 0x0c, DISCARD = 0x0f, NONE = 1023 };

static struct its_bench *started(void)
{
    struct its_bench *b = malloc(sizeof *b);
    its_bench_make(b);
    its_bench_start(b);
    return b;
}

static void done(struct its_bench *b)
{
    its_bench_free(b);
    free(b);
}

static uint8_t *property(struct its_bench *b, unsigned id)
{
    return (uint8_t *)its_at(b, ITS_PROPERTIES) + id - 8192;
}

static void expect_taken(struct its_bench *b, unsigned cpu, unsigned id)
{
    cr_expect(b->irq[cpu], "no IRQ at CPU %u", cpu);
    cr_expect_eq(icc_get(b, cpu, ICC_HPPIR1), id);
    cr_expect_eq(icc_get(b, cpu, ICC_IAR1), id);
    cr_expect(!its_pending(b, cpu, id));
    icc_put(b, cpu, ICC_EOIR1, id);
}

static void expect_nothing(struct its_bench *b)
{
    for (unsigned i = 0; i < ITS_CPUS; i++) {
        cr_expect(!b->irq[i], "an IRQ at CPU %u", i);
        cr_expect_eq(icc_get(b, i, ICC_IAR1), NONE);
    }
}

Test(gicv3_its, registers)
{
    struct its_bench b;
    its_bench_make(&b);
    cr_expect_eq(its_get(&b, GITS_CTLR, 4), 0x80000000);
    cr_expect_eq(its_get(&b, 4, 4), 0x43b);
    // CIL, 16 bits of collections, DeviceIDs and EventIDs, entries of 8 bytes, physical LPIs
    cr_expect_eq(its_get(&b, GITS_TYPER, 8), 0x1f0001ef71, "%#lx", its_get(&b, GITS_TYPER, 8));
    cr_expect_eq(its_get(&b, 0xffe0, 4), 0x94);
    cr_expect_eq(its_get(&b, 0xffe8, 4), 0x3b);
    cr_expect_eq(its_get(&b, GITS_BASER, 8) >> 48, 0x107);
    cr_expect_eq(its_get(&b, GITS_BASER + 8, 8) >> 48, 0x407);
    its_put(&b, GITS_BASER + 16, 8, ~0ull);
    cr_expect_eq(its_get(&b, GITS_BASER + 16, 8), 0);
    its_put(&b, GITS_BASER, 4, 0x12345678);
    its_put(&b, GITS_BASER + 4, 4, 0xffffffff);
    cr_expect_eq(its_get(&b, GITS_BASER, 8), 0xf9e7ffff12345678);
    its_put(&b, GITS_CBASER, 8, ~0ull);
    cr_expect_eq(its_get(&b, GITS_CBASER, 8), 0xb8effffffffffcff);
    its_put(&b, GITS_CREADR, 8, 0x40);
    cr_expect_eq(its_get(&b, GITS_CREADR, 8), 0);
    its_put(&b, GITS_CTLR, 4, 1);
    cr_expect_eq(its_get(&b, GITS_CTLR, 4), 1);
    its_put(&b, GITS_CBASER, 8, 0);
    its_put(&b, GITS_BASER, 8, 0);
    cr_expect_eq(its_get(&b, GITS_CBASER, 8), 0xb8effffffffffcff, "CBASER was written while enabled");
    cr_expect_eq(its_get(&b, GITS_BASER, 8), 0xf9e7ffff12345678, "BASER was written while enabled");
    device_reset(b.its);
    cr_expect_eq(its_get(&b, GITS_CTLR, 4), 0x80000000);
    its_bench_free(&b);
}

Test(gicv3_its, redistributor_registers)
{
    struct its_bench b;
    its_bench_make(&b);
    uint64_t typer = 0;
    struct device *dist = gicv3_device(b.gic);
    cr_assert_eq(dist->class->mmio->read(dist, 4, 4, &typer), MEM_OK);
    cr_expect_eq(typer & 0xfa0000, 0x7a0000, "GICD_TYPER %#lx", typer);
    cr_expect(gicr_get(&b, 2, 8, 8) & 1);
    cr_expect_eq(gicr_get(&b, 2, 0, 4), 6);
    gicr_put(&b, 2, 0x70, 8, ~0ull);
    gicr_put(&b, 2, 0x78, 8, ~0ull);
    cr_expect_eq(gicr_get(&b, 2, 0x70, 8), 0x070fffffffffff9f);
    cr_expect_eq(gicr_get(&b, 2, 0x78, 8), 0x070fffffffff0f80);
    gicr_put(&b, 2, 0, 4, 1);
    cr_expect_eq(gicr_get(&b, 2, 0, 4), 7);
    gicr_put(&b, 2, 0x74, 4, 0);
    cr_expect_eq(gicr_get(&b, 2, 0x70, 8), 0x070fffffffffff9f, "PROPBASER was written while enabled");
    gicr_put(&b, 2, 0, 4, 0);
    gicr_put(&b, 2, 0x74, 4, 0);
    cr_expect_eq(gicr_get(&b, 2, 0x70, 8), 0xffffff9f);
    its_bench_free(&b);
}

Test(gicv3_its, a_message_becomes_an_interrupt)
{
    struct its_bench *b = started();
    its_mapti(b, 1, 3, 8200, 2);
    gicv3_its_msi(b->its, 1, 3);
    cr_expect(its_pending(b, 2, 8200));
    cr_expect(b->irq[2] && !b->irq[0] && !b->irq[1] && !b->irq[3] && !b->fiq[2]);
    cr_expect_eq(icc_get(b, 2, ICC_IAR0), NONE);
    cr_expect_eq(icc_get(b, 2, ICC_IAR1), 8200);
    cr_expect(!b->irq[2]);
    cr_expect_eq(icc_get(b, 2, ICC_RPR), 0xa0);
    gicv3_its_msi(b->its, 1, 3); // again while it is handled: pending, not yet preempting
    cr_expect(!b->irq[2] && its_pending(b, 2, 8200));
    icc_put(b, 2, ICC_EOIR1, 8200);
    cr_expect_eq(icc_get(b, 2, ICC_RPR), 0xff);
    expect_taken(b, 2, 8200);
    expect_nothing(b);
    done(b);
}

Test(gicv3_its, the_register_is_a_message_of_device_0)
{
    struct its_bench *b = started();
    its_mapd(b, 0, 4, ITS_ITT + 0x10000, true);
    its_mapti(b, 0, 5, 8195, 1);
    its_put(b, GICV3_ITS_TRANSLATER, 4, 5);
    expect_taken(b, 1, 8195);
    its_put(b, GICV3_ITS_TRANSLATER, 2, 5);
    expect_taken(b, 1, 8195);
    done(b);
}

Test(gicv3_its, ignored)
{
    struct its_bench *b = started();
    its_mapti(b, 1, 0, 8192, 0);
    gicv3_its_msi(b->its, 2, 0);                // no such device
    gicv3_its_msi(b->its, 1, 1);                // no such event
    gicv3_its_msi(b->its, 1, 32);               // more than the device has
    gicv3_its_msi(b->its, 1, 0xffffffff);
    gicv3_its_msi(b->its, 0xffffffff, 0);
    gicv3_its_msi(b->its, ITS_DEVICE_LIMIT, 0); // beyond the table
    its_mapti(b, 1, 2, 8191, 0);                // not an LPI
    gicv3_its_msi(b->its, 1, 2);
    its_mapti(b, 1, 2, 65536, 0);
    gicv3_its_msi(b->its, 1, 2);
    its_mapi(b, 1, 2, 0); // event 2 as INTID
    gicv3_its_msi(b->its, 1, 2);
    its_mapti(b, 1, 2, 8193, 9); // a collection that is not mapped
    gicv3_its_msi(b->its, 1, 2);
    its_mapti(b, 1, 2, 8193, 60000); // beyond the table
    gicv3_its_msi(b->its, 1, 2);
    its_mapc(b, 9, ITS_CPUS, true); // no such processor
    gicv3_its_msi(b->its, 1, 2);
    its_command(b, 0xff, ~0ull, ~0ull, ~0ull); // no such command
    its_put(b, GITS_CTLR, 4, 0);
    gicv3_its_msi(b->its, 1, 0);
    its_put(b, GITS_CTLR, 4, 1);
    expect_nothing(b);
    gicv3_its_msi(b->its, 1, 0);
    expect_taken(b, 0, 8192);
    its_mapc(b, 0, 0, false);
    gicv3_its_msi(b->its, 1, 0);
    its_mapc(b, 0, 0, true);
    its_mapd(b, 1, 5, ITS_ITT, false);
    gicv3_its_msi(b->its, 1, 0);
    expect_nothing(b);
    done(b);
}

Test(gicv3_its, an_event_that_is_its_own_intid)
{
    struct its_bench *b = started();
    its_mapd(b, 7, 14, ITS_SPARE, true);
    its_mapi(b, 7, 8192 + 77, 3);
    gicv3_its_msi(b->its, 7, 8192 + 77);
    expect_taken(b, 3, 8192 + 77);
    done(b);
}

Test(gicv3_its, configuration_counts_once_invalidated)
{
    struct its_bench *b = started();
    its_mapti(b, 1, 0, 8192, 0);
    its_mapti(b, 1, 1, 8193, 0);
    *property(b, 8192) = 0xa0; // disabled
    gicv3_its_msi(b->its, 1, 0);
    expect_nothing(b);
    cr_expect(its_pending(b, 0, 8192));
    *property(b, 8192) = 0xa1;
    its_event(b, INV, 1, 0);
    cr_expect(b->irq[0]);
    *property(b, 8192) = 0xa0;
    its_invall(b, 0);
    expect_nothing(b);
    *property(b, 8192) = 0xa1;
    gicr_put(b, 0, 0xa0, 8, 8192); // GICR_INVLPIR
    cr_expect(b->irq[0]);
    gicv3_its_msi(b->its, 1, 1);
    cr_expect_eq(icc_get(b, 0, ICC_HPPIR1), 8192);
    *property(b, 8193) = 0x81;
    gicr_put(b, 0, 0xb0, 8, 0); // GICR_INVALLR
    cr_expect_eq(icc_get(b, 0, ICC_IAR1), 8193);
    cr_expect_eq(gicr_get(b, 0, 0xc0, 4), 0);
    done(b);
}

Test(gicv3_its, priorities)
{
    struct its_bench *b = started();
    struct device *dist = gicv3_device(b->gic);
    const struct mem_mmio_ops *ops = dist->class->mmio;
    struct irq spi = gicv3_spi_irq(b->gic, 0);
    for (unsigned i = 0; i < 3; i++)
        its_mapti(b, 1, i, 8192 + i, 0);
    *property(b, 8193) = 0x87; // 0x80: bits below the priority do not count
    *property(b, 8194) = 0x81;
    for (unsigned i = 0; i < 3; i++)
        gicv3_its_msi(b->its, 1, i);
    icc_put(b, 0, ICC_PMR, 0x80);
    cr_expect(!b->irq[0]);
    icc_put(b, 0, ICC_PMR, 0xff);
    // An SPI of the same priority goes first, one that is worse does not.
    cr_assert_eq(ops->write(dist, 0x84, 4, 1), MEM_OK);
    cr_assert_eq(ops->write(dist, 0x104, 4, 1), MEM_OK);
    cr_assert_eq(ops->write(dist, 0x420, 1, 0x88), MEM_OK);
    irq_set(&spi, true);
    cr_expect_eq(icc_get(b, 0, ICC_HPPIR1), 8193);
    cr_assert_eq(ops->write(dist, 0x420, 1, 0x80), MEM_OK);
    cr_expect_eq(icc_get(b, 0, ICC_HPPIR1), 32);
    irq_set(&spi, false);
    expect_taken(b, 0, 8193);
    expect_taken(b, 0, 8194);
    // The LPI of priority 0xa0 is preempted by one of 0x80.
    cr_expect_eq(icc_get(b, 0, ICC_IAR1), 8192);
    gicv3_its_msi(b->its, 1, 1);
    expect_taken(b, 0, 8193);
    cr_expect_eq(icc_get(b, 0, ICC_RPR), 0xa0);
    icc_put(b, 0, ICC_EOIR1, 8192);
    // Group 1 off, at the distributor and at the CPU.
    gicv3_its_msi(b->its, 1, 0);
    icc_put(b, 0, ICC_IGRPEN1, 0);
    cr_expect(!b->irq[0]);
    icc_put(b, 0, ICC_IGRPEN1, 1);
    cr_expect(b->irq[0]);
    cr_assert_eq(ops->write(dist, 0, 4, 1), MEM_OK);
    cr_expect(!b->irq[0]);
    done(b);
}

Test(gicv3_its, split_end_of_interrupt_has_nothing_to_deactivate)
{
    struct its_bench *b = started();
    its_mapti(b, 1, 0, 8192, 0);
    icc_put(b, 0, ICC_CTLR, 2);
    for (unsigned i = 0; i < 2; i++) {
        gicv3_its_msi(b->its, 1, 0);
        cr_expect_eq(icc_get(b, 0, ICC_IAR1), 8192);
        icc_put(b, 0, ICC_EOIR1, 8192);
    }
    icc_put(b, 0, ICC_DIR, 8192);
    cr_expect_eq(icc_get(b, 0, ICC_RPR), 0xff);
    done(b);
}

Test(gicv3_its, events_by_command)
{
    struct its_bench *b = started();
    its_mapti(b, 1, 4, 8199, 1);
    its_event(b, INT, 1, 4);
    cr_expect(b->irq[1]);
    its_event(b, CLEAR, 1, 4);
    cr_expect(!its_pending(b, 1, 8199));
    expect_nothing(b);
    its_event(b, INT, 1, 4);
    its_event(b, DISCARD, 1, 4);
    cr_expect(!its_pending(b, 1, 8199));
    gicv3_its_msi(b->its, 1, 4);
    expect_nothing(b);
    done(b);
}

Test(gicv3_its, moves)
{
    struct its_bench *b = started();
    for (unsigned i = 0; i < 3; i++)
        its_mapti(b, 1, i, 8192 + i, 0);
    gicv3_its_msi(b->its, 1, 0);
    its_movi(b, 1, 0, 3);
    cr_expect(!b->irq[0] && b->irq[3]);
    expect_taken(b, 3, 8192);
    gicv3_its_msi(b->its, 1, 0);
    expect_taken(b, 3, 8192);
    gicv3_its_msi(b->its, 1, 1);
    gicv3_its_msi(b->its, 1, 2);
    its_movall(b, 0, 2);
    cr_expect(!b->irq[0]);
    expect_taken(b, 2, 8193);
    expect_taken(b, 2, 8194);
    gicv3_its_msi(b->its, 1, 1); // the collection is where it was
    its_movall(b, 0, 0);
    its_movall(b, 0, ITS_CPUS);
    expect_taken(b, 0, 8193);
    gicr_put(b, 1, 0, 4, 0); // a CPU that takes no LPIs is given none
    gicv3_its_msi(b->its, 1, 1);
    its_movi(b, 1, 1, 1);
    its_movall(b, 0, 1);
    expect_taken(b, 0, 8193);
    done(b);
}

Test(gicv3_its, pending_table_is_read_when_enabled)
{
    struct its_bench *b = started();
    gicr_put(b, 1, 0, 4, 0);
    its_mapti(b, 1, 0, 8192, 1);
    gicv3_its_msi(b->its, 1, 0);
    cr_expect(!its_pending(b, 1, 8192), "an LPI pends at a CPU that has none enabled");
    ((uint8_t *)its_at(b, ITS_PENDING + 0x10000))[8207 / 8] = 1u << 8207 % 8;
    ((uint8_t *)its_at(b, ITS_PENDING + 0x10000))[0] = 0xff; // INTIDs below 8192 are none of ours
    gicr_put(b, 1, 0, 4, 1);
    cr_expect(b->irq[1]);
    gicr_put(b, 1, 0, 4, 0);
    cr_expect(!b->irq[1]);
    gicr_put(b, 1, 0, 4, 1);
    expect_taken(b, 1, 8207);
    expect_nothing(b);
    gicr_put(b, 1, 0, 4, 0);
    gicr_put(b, 1, 0x70, 8, ITS_PROPERTIES | 12); // 13 bits: INTIDs to 8191
    gicr_put(b, 1, 0, 4, 1);
    gicv3_its_msi(b->its, 1, 0);
    cr_expect(!its_pending(b, 1, 8192));
    done(b);
}

Test(gicv3_its, tables_of_two_levels)
{
    struct its_bench *b = started();
    its_put(b, GITS_CTLR, 4, 0);
    its_put(b, GITS_BASER, 8, 3ull << 62 | ITS_SPARE); // pages of 4 KiB: 512 entries each
    its_put(b, GITS_CTLR, 4, 1);
    uint64_t *first = its_at(b, ITS_SPARE);
    first[5] = 1ull << 63 | (ITS_SPARE + 0x10000);
    its_mapd(b, 5 * 512 + 9, 3, ITS_ITT + 0x20000, true);
    its_mapti(b, 5 * 512 + 9, 7, 8300, 1);
    cr_expect(((uint64_t *)its_at(b, ITS_SPARE + 0x10000))[9] >> 63);
    gicv3_its_msi(b->its, 5 * 512 + 9, 7);
    expect_taken(b, 1, 8300);
    its_mapd(b, 6 * 512 + 9, 3, ITS_ITT + 0x20000, true); // no second level: ignored
    its_mapti(b, 6 * 512 + 9, 7, 8301, 1);
    gicv3_its_msi(b->its, 6 * 512 + 9, 7);
    expect_nothing(b);
    first[6] = 1ull << 63 | 0x8080000; // not in RAM
    gicv3_its_msi(b->its, 6 * 512 + 9, 7);
    expect_nothing(b);
    its_queue_command(b, (6ull * 512 + 9) << 32 | 0x08, 2, 1ull << 63 | ITS_ITT, 0);
    cr_expect_eq(its_get(b, GITS_CREADR, 8) & 1, 1);
    done(b);
}

Test(gicv3_its, a_table_outside_ram_stalls_the_queue)
{
    struct its_bench *b = started();
    its_mapd(b, 2, 5, 0x08080000, true); // our own registers
    uint64_t at = its_get(b, GITS_CREADR, 8);
    its_queue_command(b, 2ull << 32 | 0x0a, 8200ull << 32, 0, 0);
    cr_expect_eq(its_get(b, GITS_CREADR, 8), at | 1);
    its_queue_command(b, 0x05, 0, 0, 0);
    cr_expect_eq(its_get(b, GITS_CREADR, 8), at | 1);
    memset(its_at(b, ITS_QUEUE + at), 0, 32);
    its_put(b, GITS_CWRITER, 8, its_get(b, GITS_CWRITER, 8) | 1); // Retry
    cr_expect_eq(its_get(b, GITS_CREADR, 8), at + 64);
    cr_expect_eq(its_get(b, GITS_CWRITER, 8), at + 64);
    gicv3_its_msi(b->its, 2, 0);
    expect_nothing(b);
    its_put(b, GITS_CTLR, 4, 0);
    its_put(b, GITS_CBASER, 8, 1ull << 63 | 0x08080000);
    its_put(b, GITS_CTLR, 4, 1);
    cr_expect_eq(its_get(b, GITS_CREADR, 8), 1);
    done(b);
}

Test(gicv3_its, the_queue_is_a_ring)
{
    struct its_bench *b = started();
    its_mapti(b, 1, 0, 8192, 0);
    for (unsigned i = 0; i < 300; i++) {
        its_event(b, INT, 1, 0);
        cr_assert_eq(icc_get(b, 0, ICC_IAR1), 8192);
        icc_put(b, 0, ICC_EOIR1, 8192);
    }
    uint64_t at = its_get(b, GITS_CREADR, 8);
    its_put(b, GITS_CWRITER, 8, 4096); // beyond the queue
    cr_expect_eq(its_get(b, GITS_CREADR, 8), at);
    done(b);
}

Test(gicv3_its, save_load_save)
{
    struct its_bench *a = started(), b;
    its_bench_make(&b);
    for (unsigned i = 0; i < 4; i++)
        its_mapti(a, 1, i, 8192 + i, i);
    gicv3_its_msi(a->its, 1, 1);
    gicv3_its_msi(a->its, 1, 3);
    cr_expect_eq(icc_get(a, 3, ICC_IAR1), 8195);
    memcpy(b.ram->host, a->ram->host, ITS_RAM_SIZE);
    struct device *from[ITS_CPUS + 2] = {a->its, gicv3_device(a->gic)}, *to[ITS_CPUS + 2] = {b.its, gicv3_device(b.gic)};
    for (unsigned i = 0; i < ITS_CPUS; i++) {
        from[2 + i] = gicv3_cpu_device(a->gic, i);
        to[2 + i] = gicv3_cpu_device(b.gic, i);
    }
    struct state_buf one = {0}, two = {0};
    struct error err;
    for (unsigned i = 0; i < ITS_CPUS + 2; i++)
        cr_assert_eq(state_save(from[i], 0, &one, &err), 0);
    cr_assert_eq(state_load(to, ITS_CPUS + 2, 0, one.data, one.size, &err), 0, "%s", err.text);
    for (unsigned i = 0; i < ITS_CPUS + 2; i++)
        cr_assert_eq(state_save(to[i], 0, &two, &err), 0);
    cr_assert_eq(one.size, two.size);
    cr_expect_eq(memcmp(one.data, two.data, one.size), 0);
    cr_expect_arr_eq(a->irq, b.irq, sizeof a->irq);
    expect_taken(&b, 1, 8193);
    icc_put(&b, 3, ICC_EOIR1, 8195);
    gicv3_its_msi(b.its, 1, 2);
    expect_taken(&b, 2, 8194);
    state_buf_free(&one);
    state_buf_free(&two);
    done(a);
    its_bench_free(&b);
}

// --- random guests ---

static uint64_t draw(struct entropy *random, uint64_t below)
{
    uint64_t v;
    entropy_fill(random, &v, sizeof v);
    return below ? v % below : v;
}

// Small numbers mostly, so that things meet.
static uint64_t some(struct entropy *random, uint64_t usual)
{
    return draw(random, 12) ? draw(random, usual) : draw(random, 0);
}

static uint64_t some_address(struct entropy *random)
{
    switch (draw(random, 16)) {
    case 0: return draw(random, 0);
    case 1: return 0x08080000;
    case 2: return ITS_RAM + ITS_RAM_SIZE - 0x100;
    default: return ITS_RAM + draw(random, ITS_RAM_SIZE);
    }
}

static void some_command(struct its_bench *b, struct entropy *random)
{
    static const uint8_t kinds[] = {0x01, 0x03, 0x03, 0x03, 0x04, 0x05, 0x08, 0x09, 0x0a,
                                    0x0a, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};
    uint64_t kind = draw(random, 20) ? kinds[draw(random, sizeof kinds)] : draw(random, 256);
    uint64_t event = some(random, 32), id = 8192 + some(random, 64);
    uint64_t word1 = kind == 0x08 ? some(random, 16) : (id & 0xffffffff) << 32 | (event & 0xffffffff);
    uint64_t collection = some(random, ITS_CPUS) & 0xffff, valid = draw(random, 8) ? 1ull << 63 : 0;
    uint64_t word2 = kind == 0x08   ? valid | (some_address(random) & 0x000fffffffffff00)
                     : kind == 0x0e ? some(random, ITS_CPUS) << 16
                                    : valid | (some(random, ITS_CPUS) & 0x7ffffffff) << 16 | collection;
    its_queue_command(b, some(random, 4) << 32 | kind, word1, word2, some(random, ITS_CPUS) << 16);
}

static void some_step(struct its_bench *b, struct entropy *random)
{
    unsigned cpu = (unsigned)draw(random, ITS_CPUS);
    switch (draw(random, 16)) {
    case 0: its_put(b, draw(random, GICV3_ITS_SIZE / 8) * 8, 8, draw(random, 0)); break;
    case 1: its_put(b, GITS_CTLR, 4, draw(random, 8) != 0); break;
    case 2: gicr_put(b, cpu, 0, 4, draw(random, 8) != 0); break;
    case 3: gicr_put(b, cpu, draw(random, 2) ? 0x70 : 0x78, 8, some_address(random) | draw(random, 32)); break;
    case 4: // whatever the guest may do to its tables
        *(uint64_t *)its_at(b, ITS_DEVICE_TABLE + draw(random, 16384) * 8) = draw(random, 0);
        break;
    case 5: *property(b, 8192 + (unsigned)draw(random, 64)) = (uint8_t)draw(random, 0); break;
    case 6:
        its_put(b, GITS_CWRITER, 8, its_get(b, GITS_CREADR, 8) | 1);
        break;
    case 7 ... 9: gicv3_its_msi(b->its, (uint32_t)some(random, 4), (uint32_t)some(random, 32)); break;
    case 10 ... 11:
        icc_put(b, cpu, ICC_EOIR1, icc_get(b, cpu, ICC_IAR1));
        break;
    default: some_command(b, random); break;
    }
}

Test(gicv3_its, random_guests)
{
    const char *seed = getenv("FUZZ_SEED"), *rounds = getenv("FUZZ_ROUNDS");
    struct entropy random;
    entropy_init_seeded(&random, seed ? strtoull(seed, NULL, 0) : 1);
    unsigned long left = rounds ? strtoul(rounds, NULL, 0) : 40000, taken = 0;
    while (left) {
        struct its_bench *b = started();
        for (unsigned i = 0; i < 400 && left; i++, left--) {
            // The queue may be anywhere by now; its_queue_command writes to where it was.
            if (its_get(b, GITS_CWRITER, 8) >= 4096)
                its_put(b, GITS_CWRITER, 8, 0);
            some_step(b, &random);
            for (unsigned cpu = 0; cpu < ITS_CPUS; cpu++) {
                uint64_t best = icc_get(b, cpu, ICC_HPPIR1);
                cr_assert(!b->irq[cpu] || best != NONE, "an IRQ without an interrupt");
                cr_assert(!b->fiq[cpu]);
                taken += best >= 8192;
            }
        }
        done(b);
    }
    cr_expect(taken > (rounds ? 0 : 1000), "only %lu LPIs were seen", taken);
}
