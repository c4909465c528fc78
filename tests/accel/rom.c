// SPDX-License-Identifier: MIT
// A ROM device read as RAM until it is written: the write is seen by the reads right behind it, in the same unit and on
// another vCPU, although translated code read the page without asking before.
#include "tests/accel/small.h"

#include "base/error.h"

#include <criterion/criterion.h>

enum { FLASH = 0x60000000, FLASH_SIZE = 1 << 16, AREA = SMALL_RAM + 0x30000, OTHER = SMALL_PROGRAMS + 0x1000 };
enum { COMMAND = 0x98, ARRAY = 0x11111111, ANSWER = 0x22222222 };
enum { FIRST = 8, SECOND = 16 }; // in AREA: what was read before and after

struct device {
    struct mem_rom rom;
    struct mem_ram *ram;
    unsigned writes;
};

static enum mem_result device_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    *ret_value = ANSWER;
    return MEM_OK;
}

static enum mem_result device_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct device *d = opaque;
    d->writes++;
    cr_assert_neq(atomic_load(&d->rom.state), MEM_ROM_PLAIN);
    atomic_store(&d->rom.state, value == COMMAND ? MEM_ROM_TRAPS : MEM_ROM_READS);
    return MEM_OK;
}

static const struct mem_mmio_ops ops = {device_read, device_write, 1, 4};

static void map_device(struct small *small, void *opaque)
{
    struct device *d = opaque;
    struct error err;
    cr_assert_eq(mem_add_rom_device(small->mem, "flash", (struct gpa){FLASH}, FLASH_SIZE, &ops, d, &d->rom, &d->ram, &err),
                 0, "%s", err.text);
    memset(d->ram->host, 0x11, FLASH_SIZE);
}

static struct small *create(struct device *d, enum accel_engine engine, unsigned cpus)
{
    const struct small_config config = {
        .engine = engine, .cpus = cpus, .ram_size = 4 << 20, .map = map_device, .map_opaque = d};
    return small_make(&config);
}

static uint32_t result(const struct small *small, unsigned at)
{
    return *(uint32_t *)small_at(small, AREA + at);
}

// x1 and x6: FLASH; x2: AREA; w5: the value written
#define SET_UP 0xd2ac0001, 0xd2ac0006, 0xd2a80062
#define DONE 0xd2800027, 0xf9000047, 0x14000000 // 1 to [x2]; b .

static void check_next_read(enum accel_engine engine)
{
    static const uint32_t program[] = {
        SET_UP,     0x52801305,             // mov w5, #0x98
        0xb9400023, 0xb9400424, 0x14000001, // ldr w3, [x1]; ldr w4, [x1, #4]; b to the next
        0xb9400023, 0xb90000c5, 0xb9400424, // ldr w3, [x1]; str w5, [x6]; ldr w4, [x1, #4]
        0xb9000843, 0xb9001044, DONE,       // both to AREA
    };
    struct device device = {0};
    struct small *small = create(&device, engine, 1);
    small_code(small, SMALL_PROGRAMS, program, sizeof program);
    small_start(small, 0, SMALL_PROGRAMS);
    cr_assert(small_run_until(small, AREA, 1, 20));
    cr_expect_eq(result(small, FIRST), ARRAY);
    cr_expect_eq(result(small, SECOND), ANSWER);
    cr_expect_eq(device.writes, 1, "written %u times", device.writes);
    small_destroy(small);
}

Test(rom, next_read_of_the_unit)
{
    check_next_read(ACCEL_JIT);
    check_next_read(ACCEL_INTERPRETER);
    check_next_read(ACCEL_LOCKSTEP);
}

Test(rom, reads_are_of_ram_again)
{
    static const uint32_t program[] = {
        SET_UP,     0x52801305, 0xb90000c5, 0xb9400023, // str w5, [x6]; ldr w3, [x1]
        0x52801fe5, 0xb90000c5, 0xb9400424,             // mov w5, #0xff; str w5, [x6]; ldr w4, [x1, #4]
        0xb9000843, 0xb9001044, DONE,
    };
    struct device device = {0};
    struct small *small = create(&device, ACCEL_JIT, 1);
    small_code(small, SMALL_PROGRAMS, program, sizeof program);
    small_start(small, 0, SMALL_PROGRAMS);
    cr_assert(small_run_until(small, AREA, 1, 20));
    cr_expect_eq(result(small, FIRST), ANSWER);
    cr_expect_eq(result(small, SECOND), ARRAY);
    cr_expect_eq(device.writes, 2);
    small_destroy(small);
}

// One vCPU reads flash and counts; the other, when it has counted 1000, commands the device and says so.
Test(rom, reads_of_another_vcpu)
{
    static const uint32_t reader[] = {
        SET_UP,     0xd2800009,                         // mov x9, #0
        0xb9400023, 0x91000529, 0xf9000c49, 0xb9402048, // ldr w3, [x1]; add x9, x9, #1; str x9, [x2, #24]; ldr w8, [x2, #32]
        0x34ffff88, 0xd5033bbf, 0xb9400024,             // cbz w8, back to the first ldr; dmb ish; ldr w4, [x1]
        0xb9000843, 0xb9001044, DONE,
    };
    static const uint32_t writer[] = {
        SET_UP,     0x52801305,                         // mov w5, #0x98
        0xf9400c49, 0xf10fa13f, 0x54ffffc3, 0xb9000025, // ldr x9, [x2, #24]; cmp x9, #1000; b.lo back; str w5, [x1]
        0xd5033bbf, 0x52800028, 0xb9002048, 0x14000000, // dmb ish; mov w8, #1; str w8, [x2, #32]; b .
    };
    for (unsigned round = 0; round < 5; round++) {
        struct device device = {0};
        struct small *small = create(&device, ACCEL_JIT, 2);
        small_code(small, SMALL_PROGRAMS, reader, sizeof reader);
        small_code(small, OTHER, writer, sizeof writer);
        small_start(small, 0, SMALL_PROGRAMS);
        small_start(small, 1, OTHER);
        cr_assert(small_run_until(small, AREA, 1, 20));
        cr_expect_eq(result(small, SECOND), ANSWER);
        cr_expect_eq(device.writes, 1);
        small_destroy(small);
    }
}
