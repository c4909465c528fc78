// SPDX-License-Identifier: MIT
// A GICv3 of four CPUs with an ITS and RAM for their tables; commands go in through the queue in guest memory, as a
// driver's do. Everything asserts that it went well.
#ifndef TESTS_HW_ITS_BENCH_H
#define TESTS_HW_ITS_BENCH_H

#include "hw/intc/gicv3.h"
#include "hw/intc/gicv3_its.h"

enum {
    ITS_CPUS = 4,
    ITS_RAM = 0x40000000,
    ITS_RAM_SIZE = 0x400000,
    ITS_QUEUE = ITS_RAM + 0x10000, // 4 KiB
    ITS_DEVICE_TABLE = ITS_RAM + 0x20000,
    ITS_COLLECTION_TABLE = ITS_RAM + 0x30000,
    ITS_PROPERTIES = ITS_RAM + 0x40000,
    ITS_PENDING = ITS_RAM + 0x80000, // 64 KiB a CPU
    ITS_ITT = ITS_RAM + 0x100000,    // 64 KiB a device
    ITS_SPARE = ITS_RAM + 0x200000,
    ITS_DEVICE_LIMIT = 512, // of the flat device table that its_bench_start makes
};

// Offsets in the ITS's frames.
enum { GITS_CTLR = 0, GITS_TYPER = 8, GITS_CBASER = 0x80, GITS_CWRITER = 0x88, GITS_CREADR = 0x90, GITS_BASER = 0x100 };

struct its_bench {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct mem_ram *ram;
    struct gicv3 *gic;
    struct device *its;
    bool irq[ITS_CPUS], fiq[ITS_CPUS];
};

void its_bench_make(struct its_bench *b);
void its_bench_free(struct its_bench *b);
// What a driver does first: tables, queue, LPIs 8192-9215 enabled at priority 0xa0, CPU interfaces on, collection n at
// CPU n, device 1 with 32 events.
void its_bench_start(struct its_bench *b);

void *its_at(struct its_bench *b, uint64_t addr);
uint64_t its_get(struct its_bench *b, uint64_t offset, unsigned size);
void its_put(struct its_bench *b, uint64_t offset, unsigned size, uint64_t value);
uint64_t gicr_get(struct its_bench *b, unsigned cpu, uint64_t offset, unsigned size);
void gicr_put(struct its_bench *b, unsigned cpu, uint64_t offset, unsigned size, uint64_t value);
uint64_t icc_get(struct its_bench *b, unsigned cpu, enum gicv3_icc reg);
void icc_put(struct its_bench *b, unsigned cpu, enum gicv3_icc reg, uint64_t value);
// Puts a command at CWRITER and moves that on. its_command expects that it was taken.
void its_queue_command(struct its_bench *b, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3);
void its_command(struct its_bench *b, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3);
bool its_pending(struct its_bench *b, unsigned cpu, unsigned id);

static inline void its_mapd(struct its_bench *b, uint64_t device, unsigned bits, uint64_t itt, bool valid)
{
    its_command(b, device << 32 | 0x08, bits - 1u, (uint64_t)valid << 63 | itt, 0);
}
static inline void its_mapc(struct its_bench *b, unsigned collection, uint64_t cpu, bool valid)
{
    its_command(b, 0x09, 0, (uint64_t)valid << 63 | cpu << 16 | collection, 0);
}
static inline void its_mapti(struct its_bench *b, uint64_t device, uint32_t event, uint64_t id, unsigned collection)
{
    its_command(b, device << 32 | 0x0a, id << 32 | event, collection, 0);
}
static inline void its_mapi(struct its_bench *b, uint64_t device, uint32_t event, unsigned collection)
{
    its_command(b, device << 32 | 0x0b, event, collection, 0);
}
static inline void its_movi(struct its_bench *b, uint64_t device, uint32_t event, unsigned collection)
{
    its_command(b, device << 32 | 0x01, event, collection, 0);
}
static inline void its_movall(struct its_bench *b, uint64_t from, uint64_t to)
{
    its_command(b, 0x0e, 0, from << 16, to << 16);
}
static inline void its_invall(struct its_bench *b, unsigned collection)
{
    its_command(b, 0x0d, 0, collection, 0);
}
// INT (0x03), CLEAR (0x04), INV (0x0c) or DISCARD (0x0f) of an event.
static inline void its_event(struct its_bench *b, unsigned command, uint64_t device, uint32_t event)
{
    its_command(b, device << 32 | command, event, 0, 0);
}

#endif
