// SPDX-License-Identifier: MIT
// Owns the panic device: BAR 0 begins with a byte that reads as the events it takes, and takes them. Of the events there
// is only the panic itself; that a crash kernel is about to run would be another.
#include "hw/misc/pvpanic_pci.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

enum {
    REDHAT = 0x1b36,
    PVPANIC = 0x0011,
    REDHAT_QUMRANET = 0x1af4,
    SUBSYSTEM = 0x1100,
    CLASS_SYSTEM_OTHER = 0x088000,
    REVISION = 1,

    EVENTS = 0,
    PVPANIC_PANICKED = 1 << 0,
    BAR_SIZE = 16,
};

struct pvpanic {
    struct pci_device pci;
    void (*panicked)(void *opaque);
    void *opaque;
};

static const struct state_field fields[] = {PCI_STATE(pvpanic, pci)};

static enum mem_result pvpanic_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    *ret_value = offset == EVENTS ? PVPANIC_PANICKED : 0;
    return MEM_OK;
}

static enum mem_result pvpanic_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pvpanic *p = opaque;
    if (offset == EVENTS && value & PVPANIC_PANICKED)
        p->panicked(p->opaque);
    return MEM_OK;
}

static const struct mem_mmio_ops ops = {pvpanic_read, pvpanic_write, 1, 1};

static void pvpanic_reset(struct device *dev)
{
    pci_reset((struct pci_device *)dev);
}

static void pvpanic_post_load(struct device *dev)
{
    pci_restored((struct pci_device *)dev);
}

static void pvpanic_destroy(struct device *dev)
{
    pci_detach((struct pci_device *)dev);
    free(dev);
}

static const struct device_class class =
    DEVICE_CLASS("pvpanic-pci", 1, fields, pvpanic_reset, pvpanic_post_load, pvpanic_destroy, NULL, 0);

int pvpanic_pci_create(const struct pvpanic_pci_config *config, struct pci_device **ret_pdev, struct error *err)
{
    const struct pci_identity identity = {.vendor = REDHAT,
                                          .device = PVPANIC,
                                          .subsystem_vendor = REDHAT_QUMRANET,
                                          .subsystem = SUBSYSTEM,
                                          .class_code = CLASS_SYSTEM_OTHER,
                                          .revision = REVISION,
                                          .multifunction = config->multifunction};
    struct pvpanic *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, -ENOMEM, "out of memory");
    p->panicked = config->panicked;
    p->opaque = config->opaque;
    pci_init(&p->pci, &class, config->path, &identity, NULL);
    const struct pci_bar bar = {.size = BAR_SIZE, .ops = &ops, .opaque = p};
    pci_add_bar(&p->pci, 0, &bar);
    device_reset(&p->pci.dev);
    *ret_pdev = &p->pci;
    return 0;
}
