// SPDX-License-Identifier: MIT
// Owns what virt's firmware tells operating systems: the board's table turned into ACPI's, and SMBIOS. Both go through
// fw_cfg, after everything else has been made and mapped.
#include "hw/fw_cfg/fw_cfg.h"
#include "machines/acpi.h"
#include "machines/smbios.h"
#include "machines/virt_internal.h"

// What is mapped is what is there.
static struct acpi_window window(struct machine *m, enum virt_slot slot)
{
    return mem_find(m->mem, (struct gpa){virt_map[slot].base})
               ? (struct acpi_window){virt_map[slot].base, virt_map[slot].size}
               : (struct acpi_window){0};
}

static struct acpi_window either(struct machine *m, enum virt_slot first, enum virt_slot second)
{
    struct acpi_window w = window(m, first);
    return w.size ? w : window(m, second);
}

static int add_file(struct machine *m, const char *name, const struct aml *data, struct error *err)
{
    return fw_cfg_add_file(virt_of(m)->fw_cfg, name, data->data, (uint32_t)data->size, err);
}

static int add_acpi(struct machine *m, struct error *err)
{
    struct virt *v = virt_of(m);
    struct virt_fdt_device devices[VIRT_FDT_DEVICES];
    struct acpi_config c = {.devices = devices,
                            .cpu_count = m->config.cpu_count,
                            .mpidr = v->mpidr,
                            .gic_version = v->gic_version,
                            .gic_dist = virt_map[VIRT_GIC_DIST].base,
                            .gic_cpu = virt_map[VIRT_GIC_CPU].base,
                            .redist = {{virt_map[VIRT_GIC_REDIST].base, virt_map[VIRT_GIC_REDIST].size}},
                            .its = window(m, VIRT_GIC_ITS),
                            .v2m = window(m, VIRT_GIC_V2M),
                            .v2m_spi = (unsigned)virt_map[VIRT_GIC_V2M].spi,
                            .v2m_count = VIRT_V2M_COUNT,
                            .ecam = either(m, VIRT_HIGH_PCIE_ECAM, VIRT_PCIE_ECAM),
                            .pci_spi = virt_map[VIRT_PCIE_MMIO].spi,
                            .mmio32 = window(m, VIRT_PCIE_MMIO),
                            .mmio64 = window(m, VIRT_HIGH_PCIE_MMIO),
                            .io = window(m, VIRT_PCIE_PIO)};
    if ((uint64_t)c.cpu_count * 0x20000 > c.redist[0].size)
        c.redist[1] = (struct acpi_window){virt_map[VIRT_GIC_REDIST2].base, virt_map[VIRT_GIC_REDIST2].size};
    virt_describe(m, devices, &c.device_count);
    struct acpi_files files;
    int r = acpi_build(&c, &files, err);
    if (!r)
        r = add_file(m, "etc/acpi/tables", &files.tables, err);
    if (!r)
        r = add_file(m, "etc/acpi/rsdp", &files.rsdp, err);
    if (!r)
        r = add_file(m, "etc/table-loader", &files.loader, err);
    acpi_free(&files);
    return r;
}

static int add_smbios(struct machine *m, struct error *err)
{
    struct smbios_config c = {.options = m->config.smbios,
                              .option_count = m->config.smbios_count,
                              .ram_base = virt_map[VIRT_RAM].base,
                              .ram_size = m->config.ram_size,
                              .cpu_count = m->config.cpu_count,
                              .cpu = virt_of(m)->cpu_model,
                              .product_version = "virt-7.2"};
    struct aml tables, anchor;
    int r = smbios_build(&c, &tables, &anchor, err);
    if (!r)
        r = add_file(m, "etc/smbios/smbios-tables", &tables, err);
    if (!r)
        r = add_file(m, "etc/smbios/smbios-anchor", &anchor, err);
    aml_free(&tables);
    aml_free(&anchor);
    return r;
}

int virt_add_tables(struct machine *m, struct error *err)
{
    int r = virt_of(m)->acpi ? add_acpi(m, err) : 0;
    return r ? r : add_smbios(m, err);
}
