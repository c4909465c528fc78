// SPDX-License-Identifier: MIT
// Owns who sits where on a PCI bus, and which BAR answers a bus address. BARs are decoded from configuration
// space at each access, so nothing follows the guest's programming and nothing can be left stale.
#include "base/error.h"
#include "hw/pci/pci.h"

#include <errno.h>

enum { HEADER_MULTIFUNCTION = 0x80 };

static bool slot_free(const struct pci_bus *bus, unsigned slot)
{
    for (unsigned i = 0; i < 8; i++)
        if (bus->devices[pci_devfn(slot, i)])
            return false;
    return true;
}

static int choose(const struct pci_bus *bus)
{
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
        if (slot_free(bus, slot))
            return (int)pci_devfn(slot, 0);
    return -1;
}

int pci_attach(struct pci_bus *bus, struct pci_device *pdev, int devfn, struct error *err)
{
    if (devfn == PCI_ANY_SLOT)
        devfn = choose(bus);
    if (devfn < 0)
        return error_set(err, -ENOSPC, "the PCI bus has no free slot");
    if (devfn >= PCI_FUNCTIONS)
        return error_set(err, -EINVAL, "the PCI bus has slots 0 to 1f, not %x", (unsigned)devfn >> 3);
    unsigned slot = (unsigned)devfn >> 3, function = (unsigned)devfn & 7;
    const struct pci_device *there = bus->devices[devfn], *first = bus->devices[pci_devfn(slot, 0)];
    if (there)
        return error_set(err, -EBUSY, "PCI address %x.%x belongs to %s already", slot, function,
                         there->dev.path);
    if (function && first && !(first->initial[PCI_HEADER_TYPE] & HEADER_MULTIFUNCTION))
        return error_set(err, -EINVAL, "PCI slot %x needs multifunction=on at %x.0 before it takes %x.%x",
                         slot, slot, slot, function);
    bus->devices[devfn] = pdev;
    if (bus->end <= (unsigned)devfn)
        bus->end = (unsigned)devfn + 1;
    pdev->bus = bus;
    pdev->devfn = (uint8_t)devfn;
    return 0;
}

void pci_detach(struct pci_device *pdev)
{
    if (!pdev->bus)
        return;
    pci_set_intx(pdev, false);
    pdev->bus->devices[pdev->devfn] = NULL;
    pdev->bus = NULL;
}

static bool decodes(const struct pci_device *pdev, unsigned index, bool io, uint64_t *ret_base)
{
    const struct pci_bar *bar = &pdev->bars[index];
    unsigned at = PCI_BASE_ADDRESS_0 + 4 * index;
    if (!bar->size || bar->io != io ||
        !(pci_get16(pdev->config, PCI_COMMAND) & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
        return false;
    uint64_t base = pci_get32(pdev->config, at);
    if (bar->wide)
        base |= (uint64_t)pci_get32(pdev->config, at + 4) << 32;
    *ret_base = base & ~(bar->size - 1);
    return true;
}

unsigned pci_bus_number(const struct pci_bus *bus)
{
    return bus->bridge ? bus->bridge->config[PCI_SECONDARY_BUS] : 0;
}

struct pci_bus *pci_bus_of_number(struct pci_bus *root, unsigned number)
{
    if (!number)
        return root;
    for (unsigned i = 0; i < root->end; i++) {
        struct pci_bus *bus = root->devices[i] ? root->devices[i]->secondary : NULL;
        if (bus && pci_bus_number(bus) == number)
            return bus;
    }
    return NULL;
}

static bool within(uint64_t addr, uint64_t base, uint64_t limit)
{
    return addr >= base && addr <= limit;
}

// Whether a bridge forwards an address (PCI-to-PCI Bridge 1.2, 4): an inverted window is closed.
static bool forwards(const struct pci_device *bridge, bool io, uint64_t addr)
{
    const uint8_t *c = bridge->config;
    uint16_t command = pci_get16(c, PCI_COMMAND);
    if (io)
        return command & PCI_COMMAND_IO &&
               within(addr, (c[PCI_IO_BASE] & 0xf0u) << 8, (c[PCI_IO_LIMIT] & 0xf0u) << 8 | 0xfff);
    uint64_t base = (uint64_t)(pci_get16(c, PCI_PREF_MEMORY_BASE) & 0xfff0u) << 16,
             limit = (uint64_t)(pci_get16(c, PCI_PREF_MEMORY_LIMIT) & 0xfff0u) << 16 | 0xfffff;
    base |= (uint64_t)pci_get32(c, PCI_PREF_BASE_UPPER32) << 32;
    limit |= (uint64_t)pci_get32(c, PCI_PREF_LIMIT_UPPER32) << 32;
    return command & PCI_COMMAND_MEMORY &&
           (within(addr, base, limit) ||
            within(addr, (uint64_t)(pci_get16(c, PCI_MEMORY_BASE) & 0xfff0u) << 16,
                   (uint64_t)(pci_get16(c, PCI_MEMORY_LIMIT) & 0xfff0u) << 16 | 0xfffff));
}

struct pci_device *pci_bus_find(struct pci_bus *bus, bool io, uint64_t addr, unsigned size, unsigned *ret_bar,
                                uint64_t *ret_offset)
{
    for (unsigned i = 0; i < bus->end; i++) {
        struct pci_device *pdev = bus->devices[i];
        uint64_t base;
        for (unsigned bar = 0; pdev && bar < PCI_BARS; bar++)
            if (decodes(pdev, bar, io, &base) && addr >= base && addr - base < pdev->bars[bar].size &&
                size <= pdev->bars[bar].size - (addr - base)) {
                *ret_bar = bar;
                *ret_offset = addr - base;
                return pdev;
            }
        if (pdev && pdev->secondary && forwards(pdev, io, addr)) {
            pdev = pci_bus_find(pdev->secondary, io, addr, size, ret_bar, ret_offset);
            if (pdev)
                return pdev;
        }
    }
    return NULL;
}
