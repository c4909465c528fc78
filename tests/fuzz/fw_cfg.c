// SPDX-License-Identifier: MIT
// The firmware configuration device: its registers, and DMA by structures in guest memory that the input
// writes (QEMU docs/specs/fw_cfg.rst). Nothing outside of RAM is written, and saved states of any bytes load
// or are refused.
#include "hw/fw_cfg/fw_cfg.h"
#include "tests/fuzz/rig.h"

enum { STEPS = 400, DMA_HIGH = 0x10, DMA_LOW = 0x14, SELECTOR = 8 };

static void dma(struct rig *rig, const struct mem_mmio_ops *ops, struct device *dev, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    uint64_t place = how & 1 ? fuzz_u64(in) : RIG_RAM + fuzz_below(in, RIG_RAM_SIZE);
    uint32_t control = (uint32_t)(how >> 3) | (uint32_t)fuzz_u16(in) << 16, length = (uint32_t)fuzz_value(in);
    uint64_t to = how & 2 ? fuzz_u64(in) : RIG_RAM + fuzz_below(in, RIG_RAM_SIZE);
    uint64_t block[2] = {__builtin_bswap32(control) | (uint64_t)__builtin_bswap32(length) << 32,
                         __builtin_bswap64(to)};
    uint64_t at = place - RIG_RAM;
    if (at <= RIG_RAM_SIZE - sizeof block)
        memcpy(rig->ram->host + at, block, sizeof block);
    if (how & 4) {
        ops->write(dev, DMA_HIGH, 8, __builtin_bswap64(place));
    } else {
        ops->write(dev, DMA_HIGH, 4, __builtin_bswap32((uint32_t)(place >> 32)));
        ops->write(dev, DMA_LOW, 4, __builtin_bswap32((uint32_t)place));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct rig *rig = rig_get();
    struct device *dev;
    struct fw_cfg_config config = {.path = "/fw_cfg", .mem = rig->mem};
    uint8_t content[300];
    FUZZ_CHECK(!fw_cfg_create(&config, &dev, NULL));
    memset(content, 0xa5, sizeof content);
    fw_cfg_add_u64(dev, FW_CFG_RAM_SIZE, 1 << 20);
    for (unsigned files = fuzz_u8(&in) % 8; files; files--) {
        char name[60] = "opt/";
        size_t len;
        const uint8_t *bytes = fuzz_bytes(&in, fuzz_u8(&in) % 60, &len);
        memcpy(name + 4, bytes, len < 55 ? len : 55);
        fw_cfg_add_file(dev, name, content, fuzz_u16(&in) % sizeof content, NULL);
    }
    device_reset(dev);
    for (unsigned i = 0; in.size && i < STEPS; i++)
        switch (fuzz_u8(&in) & 7) {
        case 0: rig_save_and_load(&dev, 1, 0, &in); break;
        case 1: dev->class->mmio->write(dev, SELECTOR, 2, __builtin_bswap16(fuzz_u8(&in) % 0x30)); break;
        case 2:
        case 3: rig_access(dev->class->mmio, dev, FW_CFG_SIZE, &in); break;
        default: dma(rig, dev->class->mmio, dev, &in); break;
        }
    device_destroy(dev);
    return 0;
}
