// SPDX-License-Identifier: MIT
// QEMU's firmware configuration device, memory-mapped: numbered items and named files for firmware and
// kernels (QEMU docs/specs/fw_cfg.rst). Thread: machine lock held.
#ifndef HW_FW_CFG_FW_CFG_H
#define HW_FW_CFG_FW_CFG_H

#include "hw/core/device.h"

struct error;

enum { FW_CFG_SIZE = 0x18, FW_CFG_FILES = 64, FW_CFG_NAME = 56 };

// Items with fixed numbers.
enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
};

struct fw_cfg_config {
    const char *path;
    struct mem_space *mem; // for DMA, borrowed
};

int fw_cfg_create(const struct fw_cfg_config *config, struct device **ret_dev, struct error *err);
// Contents are copied. Replaces an item that was there. 0 or -ENOMEM.
int fw_cfg_add(struct device *dev, enum fw_cfg_key key, const void *data, uint32_t size);
int fw_cfg_add_u16(struct device *dev, enum fw_cfg_key key, uint16_t value);
int fw_cfg_add_u32(struct device *dev, enum fw_cfg_key key, uint32_t value);
int fw_cfg_add_u64(struct device *dev, enum fw_cfg_key key, uint64_t value);
// -EEXIST, -ENOSPC or -ENAMETOOLONG with a sentence.
int fw_cfg_add_file(struct device *dev, const char *name, const void *data, uint32_t size, struct error *err);

#endif
