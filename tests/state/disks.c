// SPDX-License-Identifier: MIT
// A machine's disks when a snapshot is loaded: also those that take no part in it are quiet before RAM is
// replaced.
#include "host/image.h"
#include "machines/machine_state_disk.h"
#include "tests/state/saved.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RAM = 0x40000000,
    DESC = RAM,
    AVAIL = RAM + 0x1000,
    USED = RAM + 0x2000,
    HEADER = RAM + 0x3000,
    DATA = RAM + 0x4000,
    DISK = 0x0a003e00,
    SIZE = 1 << 20
};

static char written[64], read_only[64];

static void add_disks(struct machine_config *config)
{
    static struct keyval_list drives[2], device;
    char text[128];
    snprintf(text, sizeof text, "if=none,id=written,format=qcow2,file=%s", written);
    cr_assert_eq(keyval_parse(text, NULL, &drives[0], NULL), 0);
    snprintf(text, sizeof text, "if=none,id=cd,format=raw,readonly=on,file=%s", read_only);
    cr_assert_eq(keyval_parse(text, NULL, &drives[1], NULL), 0);
    cr_assert_eq(keyval_parse("driver=virtio-blk-device,drive=cd", NULL, &device, NULL), 0);
    config->drives = drives;
    config->drive_count = 2;
    config->devices = &device;
    config->device_count = 1;
}

static void put(struct machine *m, uint64_t addr, uint64_t value, unsigned size)
{
    cr_assert_eq(mem_write(machine_mem(m), (struct gpa){addr}, &value, size, true), MEM_OK);
}

static uint32_t get(struct machine *m, uint64_t addr, unsigned size)
{
    uint32_t value = 0;
    cr_assert_eq(mem_read(machine_mem(m), (struct gpa){addr}, &value, size, true), MEM_OK);
    return value;
}

static void put_desc(struct machine *m, unsigned i, uint64_t addr, uint32_t len, uint16_t flags)
{
    put(m, DESC + 16 * i, addr, 8);
    put(m, DESC + 16 * i + 8, len | (uint64_t)flags << 32 | (uint64_t)(i + 1) << 48, 8);
}

// Starts the driver and asks for the first sector.
static void start_read(struct machine *m)
{
    static const struct {
        uint16_t reg;
        uint32_t value;
    } steps[] = {{0x70, 3},    {0x24, 1},     {0x20, 1},    {0x70, 11}, {0x30, 0}, {0x38, 8},
                 {0x80, DESC}, {0x90, AVAIL}, {0xa0, USED}, {0x44, 1},  {0x70, 15}};
    cr_assert_eq(get(m, DISK + 8, 4), 2, "the disk is where it is expected");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        put(m, DISK + steps[i].reg, steps[i].value, 4);
    put_desc(m, 0, HEADER, 16, 1);
    put_desc(m, 1, DATA, 512, 3);
    put_desc(m, 2, DATA + 512, 1, 2);
    put(m, AVAIL + 2, 1, 2);
    put(m, DISK + 0x50, 0, 4);
}

Test(disks, all_are_quiet_before_a_snapshot_is_loaded)
{
    struct error err = {0};
    struct image_create image = {.path = written, .format = "qcow2", .size = SIZE};
    strcpy(written, "/tmp/disks_test.XXXXXX");
    strcpy(read_only, "/tmp/disks_test.XXXXXX");
    close(mkstemp(written));
    int fd = mkstemp(read_only);
    cr_assert(fd >= 0 && !ftruncate(fd, SIZE));
    close(fd);
    cr_assert_eq(image_create(&image, &err), 0, "%s", err.text);
    struct machine *m = saved_machine("2", add_disks);
    cr_assert_eq(machine_disks_create(m, "s", 0, &err), 0, "%s", err.text);
    start_read(m);
    cr_assert_eq(get(m, USED + 2, 2), 0, "it is under way");
    cr_assert_eq(machine_disks_apply(m, "s", &err), 0, "%s", err.text);
    cr_expect_eq(get(m, USED + 2, 2), 1, "it is done");
    saved_destroy(m);
    unlink(written);
    unlink(read_only);
}
