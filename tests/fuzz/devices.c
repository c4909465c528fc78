// SPDX-License-Identifier: MIT
// The board's own devices, each alone: registers of all sizes, registers that vCPUs reach as system
// registers, input lines, bytes from a terminal, time, resets, saved states. The first byte names the device.
#include "hw/block/cfi_flash.h"
#include "tests/fuzz/rig.h"
#include "tests/hw/device_bench.h"

enum { STEPS = 400, FLASH = 0x1000000, FLASH_SIZE = 1 << 20, FLASH_SECTOR = 1 << 16 };

static void typed(struct bench *b, struct fuzz_input *in)
{
    size_t room = chardev_can_deliver(&b->chardev), len;
    const uint8_t *bytes = fuzz_bytes(in, fuzz_u8(in) % 40, &len);
    chardev_deliver(&b->chardev, bytes, len < room ? len : room);
}

static void step(struct bench *b, struct fuzz_input *in)
{
    uint8_t what = fuzz_u8(in);
    switch (what & 15) {
    case 0:
        if (what >= 192) // which takes long
            rig_save_and_load(b->devs, b->dev_count, clock_now(&b->clock), in);
        break;
    case 1: device_reset(b->devs[what % b->dev_count]); break;
    case 2:
        b->now = (int64_t)((uint64_t)b->now + (1ull << fuzz_u8(in) % 48)) & INT64_MAX >> 1;
        loop_once(b->loop, 0);
        break;
    case 3:
        if (b->chardev.sink)
            typed(b, in);
        break;
    case 4: chardev_notify(&b->chardev, (enum chardev_event)(what >> 4 & 3)); break;
    case 5:
    case 6:
        if (b->line_count)
            irq_set(&b->lines[fuzz_u8(in) % b->line_count], what >> 7);
        break;
    case 7:
    case 8:
    case 9:
        if (b->ports) {
            uint8_t which = fuzz_u8(in);
            bench_access_ports(b, which, what >> 4 & 3, what >> 6 & 1, fuzz_value(in));
            break;
        }
        // fall through
    default:
        b->cpu = what >> 4 & 3;
        if (b->region_count)
            rig_access(b->regions[what >> 7 && b->region_count > 1].ops,
                       b->regions[what >> 7 && b->region_count > 1].opaque,
                       b->regions[what >> 7 && b->region_count > 1].size, in);
        break;
    }
    bench_check(b);
}

// A bank of flash, through the memory that it is: reads where the device answers, writes, saved states.
static void flash(struct fuzz_input *in)
{
    struct mem_space *mem;
    struct device *dev;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    FUZZ_CHECK(!mem_space_create(&lock, &mem, NULL));
    struct cfi_flash_config config = {.path = "/flash",
                                      .size = FLASH_SIZE,
                                      .sector = FLASH_SECTOR,
                                      .mem = mem,
                                      .readonly = fuzz_u8(in) & 1};
    FUZZ_CHECK(!cfi_flash_create(&config, &dev, NULL));
    FUZZ_CHECK(!cfi_flash_map(dev, "flash", (struct gpa){FLASH}, NULL, NULL));
    free((void *)mem_commit(mem));
    const struct mem_range *range = mem_find(mem, (struct gpa){FLASH});
    for (unsigned i = 0; in->size && i < STEPS; i++) {
        static const uint8_t commands[] = {0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90,
                                           0x98, 0xd0, 0xe8, 0xf0, 0xff, 0x01, 0x2f, 0x00};
        uint8_t what = fuzz_u8(in);
        if ((what & 15) == 0)
            rig_save_and_load(&dev, 1, 0, in);
        else if ((what & 15) == 1)
            device_reset(dev);
        else if ((what & 15) < 6) // a command to both chips
            range->ops->write(range->opaque, (uint64_t)fuzz_u16(in) << 2, 4, commands[what >> 4] * 0x10001u);
        else
            rig_access(range->ops, range->opaque, FLASH_SIZE, in);
    }
    device_destroy(dev);
    mem_space_destroy(mem);
    pthread_mutex_unlock(&lock);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct bench b;
    unsigned kind = fuzz_u8(&in) % (BENCH_KINDS + 1);
    if (kind == BENCH_KINDS) {
        flash(&in);
        return 0;
    }
    bench_make(&b, (enum bench_kind)kind);
    for (unsigned i = 0; i < b.dev_count; i++)
        device_reset(b.devs[i]);
    for (unsigned i = 0; in.size && i < STEPS; i++)
        step(&b, &in);
    bench_free(&b);
    return 0;
}
