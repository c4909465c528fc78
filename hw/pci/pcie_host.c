// SPDX-License-Identifier: MIT
// Owns the way from the guest's memory accesses to functions: the ECAM's address split and the windows.
#include "hw/pci/pcie_host.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

enum {
    REDHAT = 0x1b36,
    PCIE_HOST = 0x0008,
    REDHAT_QUMRANET = 0x1af4,
    SUBSYSTEM = 0x1100,
    HOST_BRIDGE = 0x060000
};

struct window {
    struct pcie_host *host;
    uint64_t base;
    bool io;
};

struct pcie_host {
    struct pci_device self; // function 00.0
    struct pci_bus bus;
    struct window windows[PCIE_WINDOWS];
};

static uint64_t all_ones(unsigned size)
{
    return size < 8 ? (1ull << size * 8) - 1 : ~0ull;
}

// Offset bits 27:20 bus, 19:12 device and function, 11:0 register.
static struct pci_device *addressed(struct pcie_host *host, uint64_t offset)
{
    struct pci_bus *bus = pci_bus_of_number(&host->bus, (unsigned)(offset / PCIE_ECAM_BUS_SIZE));
    return bus ? bus->devices[offset >> 12 & (PCI_FUNCTIONS - 1)] : NULL;
}

static enum mem_result ecam_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct pci_device *pdev = addressed(opaque, offset);
    *ret_value = pdev ? pci_config_read(pdev, offset & 0xfff, size) : all_ones(size);
    return MEM_OK;
}

static enum mem_result ecam_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_device *pdev = addressed(opaque, offset);
    if (pdev)
        pci_config_write(pdev, offset & 0xfff, size, (uint32_t)value);
    return MEM_OK;
}

static enum mem_result window_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    const struct window *w = opaque;
    unsigned bar;
    uint64_t at;
    struct pci_device *pdev = pci_bus_find(&w->host->bus, w->io, w->base + offset, size, &bar, &at);
    *ret_value = pdev ? pci_bar_read(pdev, bar, at, size) : all_ones(size);
    return MEM_OK;
}

static enum mem_result window_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    const struct window *w = opaque;
    unsigned bar;
    uint64_t at;
    struct pci_device *pdev = pci_bus_find(&w->host->bus, w->io, w->base + offset, size, &bar, &at);
    if (pdev)
        pci_bar_write(pdev, bar, at, size, value);
    return MEM_OK;
}

static const struct mem_mmio_ops ecam_ops = {ecam_read, ecam_write, 1, 4};
const struct mem_mmio_ops pcie_window_ops = {window_read, window_write, 1, 8};

static void reset(struct device *dev)
{
    pci_reset((struct pci_device *)dev);
}

static void post_load(struct device *dev)
{
    pci_restored((struct pci_device *)dev);
}

static void destroy(struct device *dev)
{
    free(dev);
}

static const struct state_field fields[] = {PCI_STATE(pcie_host, self)};
static const struct device_class class =
    DEVICE_CLASS("pcie-host", 1, fields, reset, post_load, destroy, &ecam_ops, PCIE_ECAM_MAX);

int pcie_host_create(const struct pcie_host_config *config, struct pcie_host **ret_host, struct error *err)
{
    static const struct pci_identity identity = {REDHAT,    PCIE_HOST,   REDHAT_QUMRANET,
                                                 SUBSYSTEM, HOST_BRIDGE, .revision = 0};
    struct pcie_host *host = calloc(1, sizeof *host);
    if (!host)
        return error_set(err, -ENOMEM, "out of memory");
    pci_init(&host->self, &class, config->path, &identity, NULL);
    host->bus.msi = config->msi;
    for (unsigned i = 0; i < PCI_INTX_LINES; i++)
        host->bus.intx[i] = config->intx[i];
    for (unsigned i = 0; i < PCIE_WINDOWS; i++)
        host->windows[i] = (struct window){host, config->window_base[i], i == PCIE_WINDOW_IO};
    int r = pci_attach(&host->bus, &host->self, pci_devfn(0, 0), err);
    if (r) {
        free(host);
        return r;
    }
    *ret_host = host;
    return 0;
}

struct device *pcie_host_device(struct pcie_host *host)
{
    return &host->self.dev;
}

struct pci_bus *pcie_host_bus(struct pcie_host *host)
{
    return &host->bus;
}

void *pcie_host_window(struct pcie_host *host, enum pcie_window window)
{
    return &host->windows[window];
}
