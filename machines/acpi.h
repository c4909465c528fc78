// SPDX-License-Identifier: MIT
// The virt board's ACPI tables, as firmware takes them from fw_cfg: one file of tables, the root pointer, and the
// list of what firmware is to do with them once it has placed them. Private to machines/.
#ifndef MACHINES_ACPI_H
#define MACHINES_ACPI_H

#include "machines/aml.h"
#include "machines/virt_fdt.h"

struct acpi_window {
    uint64_t base, size; // size 0: there is none
};

struct acpi_config {
    const struct virt_fdt_device *devices; // what the device tree would hold
    size_t device_count;
    unsigned cpu_count;
    const uint64_t *mpidr;
    bool pmu;
    unsigned gic_version;                       // 2 or 3
    uint64_t gic_dist, gic_cpu;                 // bases
    struct acpi_window redist[2], its;          // of a GICv3
    struct acpi_window v2m;                     // of a GICv2
    unsigned v2m_spi, v2m_count;                // first SPI and how many
    struct acpi_window ecam, mmio32, mmio64, io; // of the PCI host bridge; ecam.size 0: no bridge
    int pci_spi;                                // the first of four
};

struct acpi_files {
    struct aml tables, rsdp, loader;
};

// 0 or -ENOMEM with a sentence. The files are the caller's, to be freed with acpi_free in every case.
int acpi_build(const struct acpi_config *config, struct acpi_files *ret_files, struct error *err);
void acpi_free(struct acpi_files *files);
// Private to acpi*.c: the body of the DSDT.
void acpi_dsdt(struct aml *a, const struct acpi_config *config);

#endif
