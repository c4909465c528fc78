// SPDX-License-Identifier: MIT
// The device tree of the virt board, and what a boot adds to it (/chosen). Private to machines/.
#ifndef MACHINES_VIRT_FDT_H
#define MACHINES_VIRT_FDT_H

#include "base/entropy.h"
#include "base/types.h"

struct error;

// Phandles of nodes that others point to.
enum { VIRT_PHANDLE_CLOCK = 0x8000, VIRT_PHANDLE_GIC, VIRT_PHANDLE_MSI, VIRT_PHANDLE_GPIO, VIRT_PHANDLE_CPU };

// What a device's node holds beyond name, compatible and reg.
enum virt_node {
    VIRT_NODE_NONE,   // no node of its own
    VIRT_NODE_SIMPLE, // interrupts level-triggered, clocks where it has any
    VIRT_NODE_UART,
    VIRT_NODE_GPIO,
    VIRT_NODE_FW_CFG,
    VIRT_NODE_VIRTIO_MMIO, // edge-triggered, as QEMU says
    VIRT_NODE_FLASH,
    VIRT_NODE_PCIE, // base and size are the memory window, spi the first of four
    VIRT_NODE_WATCHDOG, // two frames of half the size
};

struct virt_fdt_device {
    const char *name;       // node name before the @
    const char *compatible; // '\0'-separated, ends with an empty string
    const char *clock_names;
    uint64_t base, size;
    int spi; // -1: none
    enum virt_node node;
};

struct virt_fdt_config {
    const struct virt_fdt_device *devices;
    size_t device_count;
    uint64_t ram_base, ram_size;
    unsigned cpu_count;
    const uint64_t *mpidr;
    const char *cpu_compatible;
    unsigned gic_version;                                            // 2 or 3
    uint64_t gic_dist[2], gic_cpu[2], gic_redist[2], gic_redist2[2]; // base, size; size 0: absent
    uint64_t gic_its[2], gic_v2m[2];                                 // likewise
    uint64_t pcie_ecam[2], pcie_pio[2], pcie_high_mmio[2];
    bool pmu;
    const char *stdout_name; // node path, or NULL
    const char *append;      // NULL or the kernel's command line
    uint64_t initrd, initrd_size;
    struct entropy *entropy;
    bool dtb_randomness; // kaslr-seed and rng-seed
};

enum { VIRT_FDT_MAX = 1 << 20 };

// A malloc'ed blob of *ret_size bytes.
int virt_fdt_build(const struct virt_fdt_config *config, void **ret_fdt, uint64_t *ret_size,
                   struct error *err);
// A user's blob (-dtb) with memory, bootargs and initrd filled in. fdt (malloc'ed) is taken in every case.
int virt_fdt_patch(const struct virt_fdt_config *config, void *fdt, uint64_t size, void **ret_fdt,
                   uint64_t *ret_size, struct error *err);

#endif
