// SPDX-License-Identifier: MIT
// Owns virt's PCIe: the host bridge and where its windows lie, the routes of messages (MSI) by address, and
// what is plugged into its bus.
#include "hw/intc/gicv2m.h"
#include "hw/intc/gicv3_its.h"
#include "hw/pci/pcie_host.h"
#include "hw/pci/pcie_port.h"
#include "hw/virtio/virtio_pci.h"
#include "machines/virt_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// A message that no interrupt controller takes is the memory write that it is on a real bus. To RAM only: a
// function that wrote to a device's registers could be made to call itself.
static void write_memory(struct machine *m, uint64_t addr, uint32_t data)
{
    void *host = mem_host(m->mem, (struct gpa){addr}, sizeof data);
    if (!host)
        return;
    memcpy(host, &data, sizeof data);
    mem_wrote(m->mem, (struct gpa){addr}, sizeof data);
}

// Each interrupt controller that takes messages has its line here: its address decides.
static void route_msi(void *opaque, uint32_t device_id, uint64_t addr, uint32_t data)
{
    struct machine *m = opaque;
    struct virt *v = virt_of(m);
    if (v->v2m && addr == virt_map[VIRT_GIC_V2M].base + GICV2M_MSI_SETSPI_NS)
        gicv2m_msi(v->v2m, data);
    else if (v->its && addr == virt_map[VIRT_GIC_ITS].base + GICV3_ITS_TRANSLATER)
        gicv3_its_msi(v->its, device_id, data);
    else
        write_memory(m, addr, data);
}

struct msi_port virt_msi_port(struct machine *m)
{
    return (struct msi_port){route_msi, m};
}

int virt_create_v2m(struct machine *m, const struct virt_device *row, unsigned instance, struct error *err)
{
    struct virt *v = virt_of(m);
    if (v->gic_version != 2)
        return 0;
    struct gicv2m_config config = {.path = "/virt/v2m",
                                   .first_spi = (unsigned)row->spi,
                                   .spi_count = VIRT_V2M_COUNT,
                                   .spis = &v->spi[row->spi]};
    int r = gicv2m_create(&config, &v->v2m, err);
    return r ? r : virt_map_device(m, row, instance, v->v2m, err);
}

enum virt_slot virt_ecam_slot(const struct virt *v)
{
    return v->highmem && v->highmem_ecam ? VIRT_HIGH_PCIE_ECAM : VIRT_PCIE_ECAM;
}

static int map_window(struct machine *m, enum virt_slot slot, enum pcie_window window, struct error *err)
{
    const struct virt_device *row = &virt_map[slot];
    return mem_add_mmio(m->mem, row->name, (struct gpa){row->base}, row->size, &pcie_window_ops,
                        pcie_host_window(virt_of(m)->pcie, window), 0, err);
}

int virt_create_pcie(struct machine *m, const struct virt_device *row, unsigned instance, struct error *err)
{
    struct virt *v = virt_of(m);
    struct pcie_host_config config = {
        .path = "/virt/pcie",
        .msi = virt_msi_port(m),
        .window_base = {[PCIE_WINDOW_MEMORY] = virt_map[VIRT_PCIE_MMIO].base,
                        [PCIE_WINDOW_HIGH_MEMORY] = virt_map[VIRT_HIGH_PCIE_MMIO].base}};
    for (unsigned i = 0; i < PCI_INTX_LINES; i++)
        config.intx[i] = v->spi[(unsigned)row->spi + i];
    int r = pcie_host_create(&config, &v->pcie, err);
    if (r)
        return r;
    struct device *dev = pcie_host_device(v->pcie);
    const struct virt_device *ecam = &virt_map[virt_ecam_slot(v)];
    r = machine_add_device(m, dev, err);
    if (!r)
        r = mem_add_mmio(m->mem, ecam->name, (struct gpa){ecam->base}, ecam->size, dev->class->mmio, dev, 0,
                         err);
    if (!r)
        r = map_window(m, VIRT_PCIE_PIO, PCIE_WINDOW_IO, err);
    if (!r)
        r = map_window(m, VIRT_PCIE_MMIO, PCIE_WINDOW_MEMORY, err);
    if (!r && v->highmem && v->highmem_mmio)
        r = map_window(m, VIRT_HIGH_PCIE_MMIO, PCIE_WINDOW_HIGH_MEMORY, err);
    v->present[row->slot] = !r;
    return r;
}

static struct pci_device *find_port(struct virt *v, const char *id)
{
    for (unsigned i = 0; i < v->pci_port_count; i++)
        if (!strcmp(v->pci_ports[i].id, id))
            return v->pci_ports[i].pdev;
    return NULL;
}

static int add_port(struct virt *v, struct pci_device *pdev, const char *id, struct error *err)
{
    if (find_port(v, id))
        return error_set(err, -EEXIST, "there are two PCI ports with the id '%s'", id);
    if (v->pci_port_count == VIRT_MAX_PORTS)
        return error_set(err, -ENOSPC, "this machine has room for %d PCI ports", VIRT_MAX_PORTS);
    v->pci_ports[v->pci_port_count++] = (struct virt_port){id, pdev};
    return 0;
}

int virt_plug_pci(struct machine *m, struct pci_device *pdev, struct error *err)
{
    struct virt *v = virt_of(m);
    const char *name = m->place.bus;
    struct pci_bus *bus = pcie_host_bus(v->pcie);
    struct pci_device *port = name ? find_port(v, name) : NULL;
    if (name && !port)
        return error_set(err, -ENOENT, "there is no PCI bus '%s' (pcie.0, or the id of a pcie-root-port)",
                         name);
    if (port && m->place.devfn >= 8)
        return error_set(err, -EINVAL, "PCI bus '%s' has slot 0 only", name);
    if (port && m->place.devfn < 0 && pcie_port_bus(port)->devices[0])
        return error_set(err, -EBUSY, "PCI bus '%s' has a device already", name);
    int r = pci_attach(port ? pcie_port_bus(port) : bus, pdev, m->place.devfn, err);
    if (r)
        return r;
    char where[16];
    snprintf(where, sizeof where, "%02x.%x", pdev->devfn >> 3, pdev->devfn & 7);
    snprintf(pdev->dev.path, sizeof pdev->dev.path, "%.24s/%s", port ? port->dev.path : "/virt/pci", where);
    return pcie_port_bus(pdev) && m->place.id ? add_port(v, pdev, m->place.id, err) : 0;
}

int virt_plug_virtio_pci(struct machine *m, struct virtio_device *vdev, struct error *err)
{
    struct virtio_pci_config config = {
        .vdev = vdev, .vectors = m->place.vectors, .multifunction = m->place.multifunction};
    struct pci_device *pdev;
    int r = virtio_pci_create(&config, &pdev, err);
    if (!r)
        r = machine_add_device(m, &pdev->dev, err);
    return r ? r : virt_plug_pci(m, pdev, err);
}
