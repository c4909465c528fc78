// SPDX-License-Identifier: MIT
// Private to virt*.c: the board's memory map by name and its own state.
#ifndef MACHINES_VIRT_INTERNAL_H
#define MACHINES_VIRT_INTERNAL_H

#include "hw/core/msi.h"
#include "machines/machine_internal.h"
#include "machines/psci.h"
#include "machines/virt_fdt.h"

struct arm_generic_timer;
struct arm_ports;
struct pci_device;
struct pcie_host;
struct virtio_device;

enum virt_slot {
    VIRT_FLASH,
    VIRT_GIC_DIST,
    VIRT_GIC_CPU,
    VIRT_GIC_V2M,
    VIRT_GIC_ITS,
    VIRT_GIC_REDIST,
    VIRT_UART,
    VIRT_RTC,
    VIRT_FW_CFG,
    VIRT_GPIO,
    VIRT_SECURE_UART,
    VIRT_SMMU,
    VIRT_WATCHDOG,
    VIRT_VIRTIO,
    VIRT_PLATFORM_BUS,
    VIRT_PCIE_MMIO,
    VIRT_PCIE_PIO,
    VIRT_PCIE_ECAM,
    VIRT_RAM,
    VIRT_GIC_REDIST2,
    VIRT_HIGH_PCIE_ECAM,
    VIRT_HIGH_PCIE_MMIO,
    VIRT_SLOTS,
};

enum { VIRT_VIRTIO_COUNT = 32, VIRT_SPI_COUNT = 256, VIRT_MAX_CPUS = 512, VIRT_MAX_PORTS = 32 };
enum { VIRT_V2M_COUNT = 64, VIRT_FDT_DEVICES = VIRT_SLOTS + VIRT_VIRTIO_COUNT };

struct virt_device {
    enum virt_slot slot;
    const char *name;
    uint64_t base, size; // of one instance, bytes; instances follow each other
    unsigned count;
    int spi; // of the first instance; -1: none
    const char *compatible, *clock_names;
    enum virt_node node;
    // Makes and maps one instance; NULL: reserved, or made elsewhere.
    int (*create)(struct machine *machine, const struct virt_device *row, unsigned instance,
                  struct error *err);
};

extern const struct virt_device virt_map[VIRT_SLOTS];

struct virt {
    unsigned gic_version;
    bool highmem, highmem_ecam, highmem_mmio, dtb_randomness, its_wanted;
    const char *dumpdtb;
    char cpu_model[64];
    const char *cpu_options;
    uint64_t *mpidr;
    struct device *gic; // the distributor; owned by machine.devices
    struct device *its; // NULL: none; owned by machine.devices. Takes messages written to GITS_TRANSLATER
    struct irq spi[VIRT_SPI_COUNT];
    struct irq *cpu_irq, *cpu_fiq; // wires from the GIC to the vCPUs
    struct arm_generic_timer **timers;
    struct arm_ports *ports;
    struct psci psci;
    struct vcpu_hypercall hypercall;
    struct device *gpio;
    struct device *v2m; // takes PCI's messages with a GICv2; NULL: not there
    struct pcie_host *pcie;
    struct virt_port {
        const char *id;
        struct pci_device *pdev;
    } pci_ports[VIRT_MAX_PORTS];
    unsigned pci_port_count;
    struct loop_timer power_key; // lets the button go
    struct device *virtio[VIRT_VIRTIO_COUNT]; // transports
    bool virtio_used[VIRT_VIRTIO_COUNT];
    bool present[VIRT_SLOTS]; // has been created: gets a node

    bool has_entry; // otherwise no vCPU starts
    uint64_t entry, boot_arg;
    uint64_t initrd, initrd_size;
    size_t dtb_piece; // index in machine.loader, or SIZE_MAX
    struct mem_ram *ram, *flash[2]; // flash: NULL where there is none
    struct device *fw_cfg;
    struct semihost *semihost;
    bool acpi;                      // firmware gets tables
    bool firmware;                  // is in the first bank: it starts, and loads kernels itself
};

static inline struct virt *virt_of(struct machine *machine)
{
    return machine->board_state;
}

// Reads what the command line wants loaded and decides where the first vCPU starts.
int virt_load(struct machine *machine, struct error *err);
// Writes it all to memory, with fresh randomness in the device tree.
int virt_start(struct machine *machine, struct error *err);
// The flash banks and what is in them; before the vCPUs are created.
int virt_create_flash(struct machine *machine, struct error *err);
// GIC, timers and the ports between them and the vCPUs; before the vCPUs are created.
int virt_create_interrupts(struct machine *machine, struct error *err);
// Adds dev to the machine and maps its registers at the row's address.
int virt_map_device(struct machine *machine, const struct virt_device *row, unsigned instance,
                    struct device *dev, struct error *err);
// PCIe (virt_pci.c)
int virt_create_v2m(struct machine *machine, const struct virt_device *row, unsigned instance,
                    struct error *err);
int virt_create_pcie(struct machine *machine, const struct virt_device *row, unsigned instance,
                     struct error *err);
int virt_plug_pci(struct machine *machine, struct pci_device *pdev, struct error *err);
int virt_plug_virtio_pci(struct machine *machine, struct virtio_device *vdev, struct error *err);
enum virt_slot virt_ecam_slot(const struct virt *v);
struct msi_port virt_msi_port(struct machine *machine);
int virt_plug_watchdog(struct machine *machine, struct error *err);
// What is there, for the device tree and ACPI: at most VIRT_FDT_DEVICES entries.
void virt_describe(struct machine *machine, struct virt_fdt_device *devices, size_t *ret_count);
// ACPI and SMBIOS tables into fw_cfg, when all devices are there and the memory map is.
int virt_add_tables(struct machine *machine, struct error *err);
int virt_create_fw_cfg(struct machine *machine, const struct virt_device *row, unsigned instance,
                       struct error *err);

#endif
