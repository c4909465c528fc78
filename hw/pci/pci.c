// SPDX-License-Identifier: MIT
// Owns the configuration space of a function (PCI Local Bus 3.0, 6.1 to 6.7): what the guest may write,
// sizing of BARs, the list of capabilities, and the interrupt pin. Invariant: bits that are not writable
// always have their initial value, but for the interrupt status; so layout and BAR alignment hold whatever
// the guest or a saved state says.
#include "hw/pci/pci.h"

#include <assert.h>
#include <string.h>

enum {
    FIRST_CAPABILITY = 0x40,
    COMMAND_WRITABLE = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | 1 << 6 /* parity */ |
                       1 << 8 /* SERR */ | PCI_COMMAND_INTX_DISABLE,
    BAR_IO = 1,
    BAR_WIDE = 4,
    BAR_PREFETCHABLE = 8,
    HEADER_MULTIFUNCTION = 0x80,
};

// Windows of a bridge: 4 KiB of I/O with 16 bits of address, 1 MiB of memory, the prefetchable one with 64
// bits.
static void init_bridge(struct pci_device *pdev)
{
    enum { PREF_64 = 1, SERR = 2, PARITY = 1 };
    uint8_t *w = pdev->writable;
    w[PCI_PRIMARY_BUS] = w[PCI_SECONDARY_BUS] = w[PCI_SUBORDINATE_BUS] = 0xff;
    w[PCI_IO_BASE] = w[PCI_IO_LIMIT] = 0xf0;
    for (unsigned at = PCI_MEMORY_BASE; at <= PCI_PREF_MEMORY_LIMIT; at += 2)
        pci_put16(w, at, 0xfff0);
    pci_put16(pdev->initial, PCI_PREF_MEMORY_BASE, PREF_64);
    pci_put16(pdev->initial, PCI_PREF_MEMORY_LIMIT, PREF_64);
    pci_put32(w, PCI_PREF_BASE_UPPER32, ~0u);
    pci_put32(w, PCI_PREF_LIMIT_UPPER32, ~0u);
    w[PCI_BRIDGE_CONTROL] = PARITY | SERR;
}

void pci_init(struct pci_device *pdev, const struct device_class *class, const char *path,
              const struct pci_identity *identity, const struct pci_ops *ops)
{
    device_init(&pdev->dev, class, path);
    pdev->ops = ops;
    uint8_t *c = pdev->initial;
    pci_put16(c, PCI_VENDOR_ID, identity->vendor);
    pci_put16(c, PCI_DEVICE_ID, identity->device);
    pci_put32(c, PCI_REVISION_ID, identity->class_code << 8 | identity->revision);
    c[PCI_HEADER_TYPE] = (uint8_t)((identity->multifunction ? HEADER_MULTIFUNCTION : 0) | identity->bridge);
    c[PCI_INTERRUPT_PIN] = identity->intx;
    if (identity->bridge) {
        init_bridge(pdev);
    } else {
        pci_put16(c, PCI_SUBSYSTEM_VENDOR_ID, identity->subsystem_vendor);
        pci_put16(c, PCI_SUBSYSTEM_ID, identity->subsystem);
    }
    pci_put16(pdev->writable, PCI_COMMAND, COMMAND_WRITABLE);
    pdev->writable[PCI_INTERRUPT_LINE] = 0xff;
    pdev->capabilities_end = FIRST_CAPABILITY;
    memcpy(pdev->config, pdev->initial, sizeof pdev->config);
}

void pci_add_bar(struct pci_device *pdev, unsigned index, const struct pci_bar *bar)
{
    assert(index + bar->wide < PCI_BARS && bar->size >= 16 && !(bar->size & (bar->size - 1)));
    assert(!pdev->bars[index].size && (bar->wide || bar->size <= 1u << 31) && !(bar->io && bar->wide));
    unsigned at = PCI_BASE_ADDRESS_0 + 4 * index;
    uint64_t address_bits = ~(bar->size - 1);
    pdev->bars[index] = *bar;
    pci_put32(pdev->initial, at,
              bar->io ? BAR_IO : (bar->wide ? BAR_WIDE : 0) | (bar->prefetchable ? BAR_PREFETCHABLE : 0));
    pci_put32(pdev->writable, at, (uint32_t)address_bits);
    if (bar->wide)
        pci_put32(pdev->writable, at + 4, (uint32_t)(address_bits >> 32));
    memcpy(pdev->config, pdev->initial, sizeof pdev->config);
}

unsigned pci_add_capability(struct pci_device *pdev, uint8_t id, unsigned size)
{
    unsigned at = pdev->capabilities_end;
    assert(at + size <= PCI_CONFIG_SIZE);
    pdev->capabilities_end = (at + size + 3) & ~3u;
    pdev->initial[at] = id;
    pdev->initial[at + 1] = pdev->initial[PCI_CAPABILITIES_POINTER];
    pdev->initial[PCI_CAPABILITIES_POINTER] = (uint8_t)at;
    pci_put16(pdev->initial, PCI_STATUS, PCI_STATUS_CAP_LIST);
    memcpy(pdev->config, pdev->initial, sizeof pdev->config);
    return at;
}

// --- interrupts ---

static bool drives_intx(const struct pci_device *pdev)
{
    return pdev->intx && pdev->config[PCI_INTERRUPT_PIN] && !msix_enabled(pdev) &&
           !(pci_get16(pdev->config, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
}

// Slots are spread over the four lines, at each bridge anew (PCI-to-PCI Bridge 1.2, 9.1); every function here
// uses INTA#.
static unsigned intx_line(const struct pci_device *pdev)
{
    unsigned line = 0;
    for (; pdev; pdev = pdev->bus->bridge)
        line += pdev->devfn >> 3;
    return line % PCI_INTX_LINES;
}

static bool line_driven(const struct pci_bus *bus, unsigned line)
{
    bool level = false;
    for (unsigned i = 0; i < bus->end; i++) {
        const struct pci_device *pdev = bus->devices[i];
        level |= pdev && intx_line(pdev) == line && drives_intx(pdev);
        if (pdev && pdev->secondary)
            level |= line_driven(pdev->secondary, line);
    }
    return level;
}

// NULL: the function is not attached, or what it is behind is not.
static struct pci_bus *root_of(const struct pci_device *pdev)
{
    struct pci_bus *bus = pdev->bus;
    while (bus && bus->bridge)
        bus = bus->bridge->bus;
    return bus;
}

static void update_intx(struct pci_device *pdev)
{
    pdev->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
    if (pdev->intx)
        pdev->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
    struct pci_bus *root = root_of(pdev);
    if (root)
        irq_set(&root->intx[intx_line(pdev)], line_driven(root, intx_line(pdev)));
}

void pci_set_intx(struct pci_device *pdev, bool level)
{
    if (pdev->intx == level)
        return;
    pdev->intx = level;
    update_intx(pdev);
}

void pci_send_msi(struct pci_device *pdev, uint64_t addr, uint32_t data)
{
    struct pci_bus *root = root_of(pdev);
    for (const struct pci_device *p = pdev; root && p; p = p->bus->bridge)
        if (!(pci_get16(p->config, PCI_COMMAND) & PCI_COMMAND_MASTER))
            return;
    if (root)
        msi_send(&root->msi, pci_bus_number(pdev->bus) << 8 | pdev->devfn, addr, data);
}

void pci_reset(struct pci_device *pdev)
{
    memcpy(pdev->config, pdev->initial, sizeof pdev->config);
    msix_reset(pdev);
    pdev->intx = false;
    update_intx(pdev);
}

void pci_restored(struct pci_device *pdev)
{
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
        uint8_t guests = pdev->writable[i] | pdev->cleared[i];
        pdev->config[i] = (uint8_t)((pdev->config[i] & guests) | (pdev->initial[i] & ~guests));
    }
    msix_restored(pdev);
    update_intx(pdev);
}

// --- accesses ---

uint32_t pci_config_read(struct pci_device *pdev, unsigned offset, unsigned size)
{
    if (offset + size > PCI_CONFIG_SIZE)
        return size < 4 ? (1u << size * 8) - 1 : ~0u;
    if (pdev->ops && pdev->ops->config_read)
        pdev->ops->config_read(pdev, offset, size);
    uint32_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)pdev->config[offset + i] << 8 * i;
    return value;
}

void pci_config_write(struct pci_device *pdev, unsigned offset, unsigned size, uint32_t value)
{
    if (offset + size > PCI_CONFIG_SIZE)
        return;
    for (unsigned i = 0; i < size; i++) {
        uint8_t mask = pdev->writable[offset + i], byte = (uint8_t)(value >> 8 * i);
        pdev->config[offset + i] &= (uint8_t) ~(byte & pdev->cleared[offset + i]);
        pdev->config[offset + i] = (uint8_t)((pdev->config[offset + i] & ~mask) | (byte & mask));
    }
    update_intx(pdev);
    msix_send_pending(pdev);
    if (pdev->ops && pdev->ops->config_written)
        pdev->ops->config_written(pdev, offset, size);
}

static struct mem_range bar_range(const struct pci_device *pdev, unsigned bar)
{
    const struct pci_bar *b = &pdev->bars[bar];
    return (struct mem_range){.size = b->size, .ops = b->ops, .opaque = b->opaque, .name = pdev->dev.path};
}

uint64_t pci_bar_read(struct pci_device *pdev, unsigned bar, uint64_t offset, unsigned size)
{
    struct mem_range range = bar_range(pdev, bar);
    uint64_t value;
    if (mem_mmio_read(NULL, &range, offset, size, &value, true) != MEM_OK)
        return size < 8 ? (1ull << size * 8) - 1 : ~0ull;
    return value;
}

void pci_bar_write(struct pci_device *pdev, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
    struct mem_range range = bar_range(pdev, bar);
    mem_mmio_write(NULL, &range, offset, size, value, true);
}
