// SPDX-License-Identifier: MIT
// What every PCI function shares: configuration space, BARs, capabilities, INTx and MSI-X (PCI Local Bus 3.0,
// 6), and the bus that functions sit on. A model embeds struct pci_device, describes itself before the
// machine starts, and gives an ops table for each BAR; whoever owns the bus (pcie_host.h) brings it the
// guest's accesses.
//
// The guest may program anything: BARs that overlap or lie outside the windows are never reached, or the
// function with the lower number answers. What nobody claims reads as all ones. Thread: machine lock held.
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include "hw/core/device.h"
#include "hw/core/msi.h"
#include "hw/pci/msix.h"

struct error;

// Type 0 header
enum pci_register {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION_ID = 0x08,
    PCI_CLASS_CODE = 0x09,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BASE_ADDRESS_0 = 0x10,
    PCI_PRIMARY_BUS = 0x18, // type 1 from here
    PCI_SECONDARY_BUS = 0x19,
    PCI_SUBORDINATE_BUS = 0x1a,
    PCI_IO_BASE = 0x1c,
    PCI_IO_LIMIT = 0x1d,
    PCI_MEMORY_BASE = 0x20,
    PCI_MEMORY_LIMIT = 0x22,
    PCI_PREF_MEMORY_BASE = 0x24,
    PCI_PREF_MEMORY_LIMIT = 0x26,
    PCI_PREF_BASE_UPPER32 = 0x28,
    PCI_PREF_LIMIT_UPPER32 = 0x2c,
    PCI_IO_BASE_UPPER16 = 0x30,
    PCI_BRIDGE_CONTROL = 0x3e, // to here
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_CAPABILITIES_POINTER = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
    PCI_CONFIG_SIZE = 0x100, // conventional; there is no extended space
};

enum {
    PCI_COMMAND_IO = 1 << 0,
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_MASTER = 1 << 2,
    PCI_COMMAND_INTX_DISABLE = 1 << 10,
    PCI_STATUS_INTERRUPT = 1 << 3,
    PCI_STATUS_CAP_LIST = 1 << 4,
    PCI_CAP_VENDOR = 0x09,
    PCI_CAP_EXPRESS = 0x10,
    PCI_CAP_MSIX = 0x11,
};

enum { PCI_BARS = 6, PCI_SLOTS = 32, PCI_FUNCTIONS = 256, PCI_INTX_LINES = 4, PCI_ANY_SLOT = -1 };

static inline unsigned pci_devfn(unsigned slot, unsigned function)
{
    return slot << 3 | function;
}

struct pci_bar {
    uint64_t size;               // bytes, a power of two, at least 16; 0: no BAR
    bool io, wide, prefetchable; // wide: 64 bits, takes the next BAR's place, too
    const struct mem_mmio_ops *ops;
    void *opaque;
};

struct pci_device;
struct pci_bus;

struct pci_ops {
    // The guest reads, or has written, size bytes of configuration space. Either may be NULL.
    void (*config_read)(struct pci_device *pdev, unsigned offset, unsigned size);
    void (*config_written)(struct pci_device *pdev, unsigned offset, unsigned size);
};

struct pci_identity {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code; // 24 bits
    uint8_t revision;
    bool intx; // has an INTA# pin
    bool multifunction;
    bool bridge; // a type 1 header, PCI-to-PCI Bridge 1.2, 3.2
};

// First member of every PCI model.
struct pci_device {
    struct device dev;
    const struct pci_ops *ops; // or NULL
    struct pci_bus *bus;       // NULL: not attached
    uint8_t devfn;
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t initial[PCI_CONFIG_SIZE];  // after reset
    uint8_t writable[PCI_CONFIG_SIZE]; // bits the guest may change
    uint8_t cleared[PCI_CONFIG_SIZE];  // bits that a written one clears
    struct pci_bus *secondary;         // behind a bridge, or NULL
    unsigned capabilities_end;
    struct pci_bar bars[PCI_BARS];
    struct msix msix;
    bool intx; // the model's interrupt condition
};

// State of the shared part, for a model's field table (ids 1 to 15 are taken by it).
#define PCI_STATE(type_, member_)                                                                            \
    STATE_ARRAY(1, STATE_BYTES, type_, member_.config, PCI_CONFIG_SIZE),                                     \
        STATE_ARRAY(2, STATE_BYTES, type_, member_.msix.table, MSIX_TABLE_SIZE),                             \
        STATE_ARRAY(3, STATE_U64, type_, member_.msix.pending, MSIX_MAX / 64),                               \
        STATE_FIELD(4, STATE_BOOL, type_, member_.intx)

// Description; before attaching.
void pci_init(struct pci_device *pdev, const struct device_class *class, const char *path,
              const struct pci_identity *identity, const struct pci_ops *ops);
void pci_add_bar(struct pci_device *pdev, unsigned index, const struct pci_bar *bar);
// The offset of a capability of size bytes, its header filled in; the rest is the caller's, in initial[].
unsigned pci_add_capability(struct pci_device *pdev, uint8_t id, unsigned size);
void pci_reset(struct pci_device *pdev);    // for a model's reset
void pci_restored(struct pci_device *pdev); // for a model's post_load

// The interrupt pin's condition; driven while neither masked nor replaced by MSI-X.
void pci_set_intx(struct pci_device *pdev, bool level);
// A message from this function; lost unless it may be a bus master.
void pci_send_msi(struct pci_device *pdev, uint64_t addr, uint32_t data);

// size is 1, 2 or 4 and offset aligned to it.
uint32_t pci_config_read(struct pci_device *pdev, unsigned offset, unsigned size);
void pci_config_write(struct pci_device *pdev, unsigned offset, unsigned size, uint32_t value);
// An access within a BAR, wherever it is mapped: all ones where nothing answers. size is 1, 2, 4 or 8.
uint64_t pci_bar_read(struct pci_device *pdev, unsigned bar, uint64_t offset, unsigned size);
void pci_bar_write(struct pci_device *pdev, unsigned bar, uint64_t offset, unsigned size, uint64_t value);

static inline uint16_t pci_get16(const uint8_t *config, unsigned offset)
{
    return (uint16_t)(config[offset] | config[offset + 1] << 8);
}

static inline void pci_put16(uint8_t *config, unsigned offset, uint16_t value)
{
    config[offset] = (uint8_t)value;
    config[offset + 1] = (uint8_t)(value >> 8);
}

static inline uint32_t pci_get32(const uint8_t *config, unsigned offset)
{
    return pci_get16(config, offset) | (uint32_t)pci_get16(config, offset + 2) << 16;
}

static inline void pci_put32(uint8_t *config, unsigned offset, uint32_t value)
{
    pci_put16(config, offset, (uint16_t)value);
    pci_put16(config, offset + 2, (uint16_t)(value >> 16));
}

// --- the bus ---

struct pci_bus {
    struct pci_device *bridge; // NULL: the root bus, whose fields intx and msi serve the buses below
    struct irq intx[PCI_INTX_LINES];
    struct msi_port msi;
    struct pci_device *devices[PCI_FUNCTIONS]; // by devfn, borrowed
    unsigned end;                              // no device from this devfn on
};

// devfn, or PCI_ANY_SLOT for the first free slot. -EBUSY, -ENOSPC or -EINVAL with a sentence.
int pci_attach(struct pci_bus *bus, struct pci_device *pdev, int devfn, struct error *err);
// For a model's destroy; harmless for one that is not attached.
void pci_detach(struct pci_device *pdev);
// Buses below the root: its number, as the guest has set it, and the bus of a number, NULL where there is
// none.
unsigned pci_bus_number(const struct pci_bus *bus);
struct pci_bus *pci_bus_of_number(struct pci_bus *root, unsigned number);
// The function and BAR that claim size bytes at a bus address, or NULL.
struct pci_device *pci_bus_find(struct pci_bus *bus, bool io, uint64_t addr, unsigned size, unsigned *ret_bar,
                                uint64_t *ret_offset);

#endif
