// SPDX-License-Identifier: MIT
// PCI as a guest reaches it: the ECAM and the three windows of a host bridge with some functions on its bus
// and one behind a port, that are sized, moved, laid over each other, masked, saved, loaded and asked to
// leave.
#include "hw/intc/gicv2m.h"
#include "hw/misc/pvpanic_pci.h"
#include "hw/pci/pci_testdev.h"
#include "hw/pci/pcie_host.h"
#include "hw/pci/pcie_port.h"
#include "hw/virtio/virtio_pci.h"
#include "hw/virtio/virtio_rng.h"
#include "tests/fuzz/rig.h"

enum { STEPS = 400, FUNCTIONS = 4, SPIS = 8, ECAM_SIZE = 4 * PCIE_ECAM_BUS_SIZE };
static const uint64_t window_base[PCIE_WINDOWS] = {0, 0x10000000, 0x8000000000};
static const uint64_t window_size[PCIE_WINDOWS] = {0x10000, 0x2eff0000, 0x80000000};

struct bench {
    struct rig *rig;
    struct pcie_host *host;
    struct device *v2m;
    struct virtio_device *rng;
    struct pci_device *functions[FUNCTIONS]; // testdev, panic device, port, virtio behind it
    struct device *devs[FUNCTIONS + 3];
    unsigned dev_count;
};

static void send(void *opaque, uint32_t device_id, uint64_t addr, uint32_t data)
{
    gicv2m_msi(((struct bench *)opaque)->v2m, data);
}

static void panicked(void *opaque) {}

static void released(void *opaque, struct pci_bus *bus) {}

static void make(struct bench *b)
{
    struct pcie_host_config host = {.path = "/pcie", .msi = {.send = send, .opaque = b}};
    struct irq spis[SPIS];
    for (unsigned i = 0; i < SPIS; i++)
        spis[i] = rig_irq(b->rig, i);
    for (unsigned i = 0; i < PCI_INTX_LINES; i++)
        host.intx[i] = rig_irq(b->rig, i);
    memcpy(host.window_base, window_base, sizeof window_base);
    struct gicv2m_config v2m = {.path = "/v2m", .first_spi = 16, .spi_count = SPIS, .spis = spis};
    FUZZ_CHECK(!gicv2m_create(&v2m, &b->v2m, NULL));
    FUZZ_CHECK(!pcie_host_create(&host, &b->host, NULL));
    struct pvpanic_pci_config panic = {.path = "/panic", .panicked = panicked};
    struct pcie_port_config port = {.path = "/port", .port = 1, .slot = 3, .released = released};
    struct virtio_rng_config rng = {.path = "/rng", .mem = b->rig->mem, .entropy = &b->rig->entropy};
    FUZZ_CHECK(!virtio_rng_create(&rng, &b->rng, NULL));
    struct virtio_pci_config carrier = {.path = "/rng-pci", .vdev = b->rng, .vectors = 3};
    FUZZ_CHECK(!pci_testdev_create("/test", false, &b->functions[0], NULL));
    FUZZ_CHECK(!pvpanic_pci_create(&panic, &b->functions[1], NULL));
    FUZZ_CHECK(!pcie_port_create(&port, &b->functions[2], NULL));
    FUZZ_CHECK(!virtio_pci_create(&carrier, &b->functions[3], NULL));
    for (unsigned i = 0; i < 3; i++)
        FUZZ_CHECK(!pci_attach(pcie_host_bus(b->host), b->functions[i], PCI_ANY_SLOT, NULL));
    FUZZ_CHECK(!pci_attach(pcie_port_bus(b->functions[2]), b->functions[3], 0, NULL));
    b->devs[b->dev_count++] = b->v2m;
    b->devs[b->dev_count++] = pcie_host_device(b->host);
    b->devs[b->dev_count++] = &b->rng->dev;
    for (unsigned i = 0; i < FUNCTIONS; i++)
        b->devs[b->dev_count++] = &b->functions[i]->dev;
    for (unsigned i = 0; i < b->dev_count; i++)
        device_reset(b->devs[i]);
}

// The bridge passes bus 1, all memory and messages on, and functions have their BARs, as firmware leaves
// them.
static void enumerate(struct bench *b)
{
    pci_config_write(b->functions[2], PCI_PRIMARY_BUS, 4, 0x010100);
    pci_config_write(b->functions[2], PCI_MEMORY_BASE, 4, 0x10f01000);
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        for (unsigned bar = 0; bar < PCI_BARS; bar++)
            if (b->functions[i]->bars[bar].size)
                pci_config_write(b->functions[i], PCI_BASE_ADDRESS_0 + 4 * bar, 4,
                                 0x10000000 + (i << 16) + (bar << 12));
        pci_config_write(b->functions[i], PCI_COMMAND, 2,
                         PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    }
}

static void config_access(struct bench *b, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    struct pci_device *pdev = b->functions[how % FUNCTIONS];
    unsigned size = 1u << (how >> 2) % 3, offset = fuzz_u8(in) & ~(size - 1);
    if (how & 128) {
        uint32_t value = pci_config_read(pdev, offset, size);
        FUZZ_CHECK(size == 4 || !(value >> size * 8));
    } else {
        uint64_t value = fuzz_value(in);
        pci_config_write(pdev, offset, size, (uint32_t)(size < 4 ? value & ((1u << size * 8) - 1) : value));
    }
}

static void bar_access(struct bench *b, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    struct pci_device *pdev = b->functions[how % FUNCTIONS];
    unsigned bar = (how >> 2) % PCI_BARS, size = 1u << (how >> 5 & 3);
    uint64_t offset = fuzz_u16(in) & ~(size - 1ull);
    if (offset + size > pdev->bars[bar].size)
        return;
    if (how & 128)
        pci_bar_read(pdev, bar, offset, size);
    else
        pci_bar_write(pdev, bar, offset, size, fuzz_value(in));
}

static void step(struct bench *b, struct fuzz_input *in)
{
    struct device *host = pcie_host_device(b->host);
    uint8_t what = fuzz_u8(in), window = what >> 4 & 3;
    switch (what & 15) {
    case 0:
        if (window == 3) // which takes long
            rig_save_and_load(b->devs, b->dev_count, 0, in);
        break;
    case 1: device_reset(b->devs[window + (what >> 6)]); break;
    case 2: pcie_port_request_release(b->functions[2]); break;
    case 3: pcie_port_changed(b->functions[2]); break;
    case 4: msix_notify(b->functions[3], what >> 4); break;
    case 5: pci_set_intx(b->functions[window], what & 64); break;
    case 6: rig_access(b->v2m->class->mmio, b->v2m, GICV2M_SIZE, in); break;
    case 7: enumerate(b); break;
    case 8: rig_access(host->class->mmio, host, ECAM_SIZE, in); break;
    case 9:
        if (window < PCIE_WINDOWS)
            rig_access(&pcie_window_ops, pcie_host_window(b->host, window), window_size[window], in);
        break;
    case 10:
    case 11:
    case 12: bar_access(b, in); break;
    default: config_access(b, in); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct bench b = {.rig = rig_get()};
    make(&b);
    if (fuzz_u8(&in) & 1)
        enumerate(&b);
    for (unsigned i = 0; in.size && i < STEPS; i++)
        step(&b, &in);
    for (unsigned i = b.dev_count; i-- > 0;)
        device_destroy(b.devs[i]);
    return 0;
}
