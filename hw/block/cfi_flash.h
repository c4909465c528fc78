// SPDX-License-Identifier: MIT
// A bank of NOR flash: chips of 16 bits side by side on a bus of 32, found by the Common Flash Interface (JEDEC JESD68)
// and programmed with Intel's command set 0001 (Intel StrataFlash memory, buffered writes). Two chips make a bank.
//
// The array is a ROM device's RAM (mem/mem.h): a bank to which nothing was ever written reads as fast as memory.
// Contents may belong to a drive: they are read from it when the bank is made, and what the guest changes is written
// to it at once, in the background. Thread: machine lock held.
#ifndef HW_BLOCK_CFI_FLASH_H
#define HW_BLOCK_CFI_FLASH_H

#include "hw/core/device.h"

struct block;
struct error;

enum { CFI_FLASH_CHIPS = 2, CFI_FLASH_BUS = 4 }; // chips a bank, bytes of the bus

struct cfi_flash_config {
    const char *path;
    uint64_t size, sector; // bytes of the bank and of what one erase clears in it; powers of two, size / sector <= 65536
    struct mem_space *mem; // borrowed
    struct block *block;   // or NULL: contents start erased and are lost at the end; borrowed
    bool readonly;         // every block is locked: erase and program fail
};

// 0 or a negative errno. A drive is to have the bank's size; a smaller one is taken where it is read-only, and the rest
// is erased.
int cfi_flash_create(const struct cfi_flash_config *config, struct device **ret_dev, struct error *err);
// Puts the bank into the address space and reads its contents.
int cfi_flash_map(struct device *dev, const char *name, struct gpa base, struct mem_ram **ret_ram, struct error *err);

#endif
