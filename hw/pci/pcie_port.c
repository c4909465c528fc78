// SPDX-License-Identifier: MIT
// Owns the root port's PCI Express capability (PCI Express Base 4.0, 7.5.3) and the hot-plug events of its
// slot (6.7.3). Invariant: presence and link state always say whether the bus has a device at 0.0; the
// interrupt condition follows status and enable bits.
#include "hw/pci/pcie_port.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

enum { REDHAT = 0x1b36, ROOT_PORT = 0x000c, BRIDGE = 0x060400 };

// Offsets in the capability.
enum {
    Capabilities = 0x02,
    DeviceCapabilities = 0x04,
    DeviceControl = 0x08,
    DeviceStatus = 0x0a,
    LinkCapabilities = 0x0c,
    LinkControl = 0x10,
    LinkStatus = 0x12,
    SlotCapabilities = 0x14,
    SlotControl = 0x18,
    SlotStatus = 0x1a,
    RootControl = 0x1c,
    DeviceControl2 = 0x28,
    LinkCapabilities2 = 0x2c,
    LinkControl2 = 0x30,
    CAPABILITY_SIZE = 0x3c,
};

enum {
    VERSION = 2,
    TYPE_ROOT_PORT = 4 << 4,
    SLOT_IMPLEMENTED = 1 << 8,
    ROLE_BASED_ERRORS = 1 << 15,
    SPEED_2_5 = 1,
    WIDTH_1 = 1 << 4,
    LINK_ACTIVE_REPORTING = 1 << 20,
    LINK_ACTIVE = 1 << 13,
    PORT_NUMBER_SHIFT = 24,
    // Slot Capabilities
    ATTENTION_BUTTON = 1 << 0,
    POWER_CONTROLLER = 1 << 1,
    POWER_INDICATOR = 1 << 4,
    HOT_PLUG_SURPRISE = 1 << 5,
    HOT_PLUG_CAPABLE = 1 << 6,
    NO_COMMAND_COMPLETED = 1 << 18,
    SLOT_NUMBER_SHIFT = 19,
    // Slot Status, and the enables of its events at the same places of Slot Control
    BUTTON_PRESSED = 1 << 0,
    PRESENCE_CHANGED = 1 << 3,
    PRESENCE = 1 << 6,
    LINK_CHANGED = 1 << 8,
    LINK_CHANGED_ENABLE = 1 << 12, // but for this one
    INTERRUPT_ENABLE = 1 << 5,
    INDICATOR = 3 << 8,
    INDICATOR_OFF = 3 << 8,
    POWER_OFF = 1 << 10,
};

enum { VECTORS = 1 };

struct pcie_port {
    struct pci_device pci;
    struct pci_bus bus;
    unsigned cap;
    bool event;             // the interrupt condition
    bool release_requested; // and not yet answered
    void (*released)(void *opaque, struct pci_bus *bus);
    void *opaque;
};

static const struct state_field fields[] = {
    PCI_STATE(pcie_port, pci),
    STATE_FIELD(16, STATE_BOOL, pcie_port, event),
    STATE_FIELD(17, STATE_BOOL, pcie_port, release_requested),
};

static uint16_t get(const struct pcie_port *p, unsigned reg)
{
    return pci_get16(p->pci.config, p->cap + reg);
}

static void put(struct pcie_port *p, unsigned reg, unsigned value)
{
    pci_put16(p->pci.config, p->cap + reg, (uint16_t)value);
}

// 6.7.3.4: a message when the condition comes, a level while it lasts.
static void update_event(struct pcie_port *p)
{
    uint16_t status = get(p, SlotStatus), control = get(p, SlotControl);
    bool event = control & INTERRUPT_ENABLE && ((status & control & (BUTTON_PRESSED | PRESENCE_CHANGED)) ||
                                                (status & LINK_CHANGED && control & LINK_CHANGED_ENABLE));
    bool comes = event && !p->event;
    p->event = event;
    pci_set_intx(&p->pci, event);
    if (comes)
        msix_notify(&p->pci, 0);
}

static void show_presence(struct pcie_port *p, uint16_t events)
{
    bool there = p->bus.devices[0];
    put(p, LinkStatus, SPEED_2_5 | WIDTH_1 | (there ? LINK_ACTIVE : 0));
    put(p, SlotStatus, (get(p, SlotStatus) & ~PRESENCE) | (there ? PRESENCE : 0) | events);
    update_event(p);
}

void pcie_port_changed(struct pci_device *pdev)
{
    struct pcie_port *p = (struct pcie_port *)pdev;
    p->release_requested = false;
    show_presence(p, PRESENCE_CHANGED | LINK_CHANGED);
}

void pcie_port_request_release(struct pci_device *pdev)
{
    struct pcie_port *p = (struct pcie_port *)pdev;
    p->release_requested = true;
    show_presence(p, BUTTON_PRESSED);
}

static void config_written(struct pci_device *pdev, unsigned offset, unsigned size)
{
    struct pcie_port *p = (struct pcie_port *)pdev;
    update_event(p);
    uint16_t control = get(p, SlotControl);
    // Slot powered off and indicator dark: whoever stood before it may open it now.
    if (p->release_requested && control & POWER_OFF && (control & INDICATOR) == INDICATOR_OFF) {
        p->release_requested = false;
        if (p->released)
            p->released(p->opaque, &p->bus);
    }
}

static const struct pci_ops pci_ops = {NULL, config_written};

static void reset(struct device *dev)
{
    struct pcie_port *p = (struct pcie_port *)dev;
    pci_reset(&p->pci);
    p->release_requested = p->event = false;
    show_presence(p, 0);
}

static void post_load(struct device *dev)
{
    struct pcie_port *p = (struct pcie_port *)dev;
    pci_restored(&p->pci);
    show_presence(p, 0);
}

static void destroy(struct device *dev)
{
    pci_detach((struct pci_device *)dev);
    free(dev);
}

static const struct device_class class =
    DEVICE_CLASS("pcie-root-port", 1, fields, reset, post_load, destroy, NULL, 0);

static void add_express(struct pcie_port *p, const struct pcie_port_config *config)
{
    unsigned cap = p->cap = pci_add_capability(&p->pci, PCI_CAP_EXPRESS, CAPABILITY_SIZE);
    uint8_t *initial = p->pci.initial + cap, *writable = p->pci.writable + cap,
            *cleared = p->pci.cleared + cap;
    pci_put16(initial, Capabilities, VERSION | TYPE_ROOT_PORT | SLOT_IMPLEMENTED);
    pci_put32(initial, DeviceCapabilities, ROLE_BASED_ERRORS);
    pci_put16(writable, DeviceControl, 0x000f); // error reporting
    pci_put32(initial, LinkCapabilities,
              SPEED_2_5 | WIDTH_1 | LINK_ACTIVE_REPORTING | (uint32_t)config->port << PORT_NUMBER_SHIFT);
    pci_put16(writable, LinkControl, 0x00c0); // common clock, extended synch
    pci_put16(initial, LinkStatus, SPEED_2_5 | WIDTH_1);
    pci_put32(initial, SlotCapabilities,
              ATTENTION_BUTTON | POWER_CONTROLLER | POWER_INDICATOR | HOT_PLUG_SURPRISE | HOT_PLUG_CAPABLE |
                  NO_COMMAND_COMPLETED | (uint32_t)config->slot << SLOT_NUMBER_SHIFT);
    pci_put16(writable, SlotControl,
              BUTTON_PRESSED | PRESENCE_CHANGED | INTERRUPT_ENABLE | INDICATOR | POWER_OFF |
                  LINK_CHANGED_ENABLE);
    pci_put16(cleared, SlotStatus, BUTTON_PRESSED | PRESENCE_CHANGED | LINK_CHANGED);
    pci_put16(writable, RootControl, 0x000f); // system errors, PME interrupt
    pci_put32(initial, LinkCapabilities2, SPEED_2_5 << 1);
}

int pcie_port_create(const struct pcie_port_config *config, struct pci_device **ret_pdev, struct error *err)
{
    const struct pci_identity identity = {.vendor = REDHAT,
                                          .device = ROOT_PORT,
                                          .class_code = BRIDGE,
                                          .intx = true,
                                          .multifunction = config->multifunction,
                                          .bridge = true};
    if (config->slot > PCIE_PORT_MAX_SLOT)
        return error_set(err, -EINVAL, "slot=%u is too big (at most %d)", config->slot, PCIE_PORT_MAX_SLOT);
    struct pcie_port *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, -ENOMEM, "out of memory");
    pci_init(&p->pci, &class, config->path, &identity, &pci_ops);
    add_express(p, config);
    msix_init(&p->pci, 0, VECTORS);
    p->bus.bridge = &p->pci;
    p->pci.secondary = &p->bus;
    p->released = config->released;
    p->opaque = config->opaque;
    reset(&p->pci.dev);
    *ret_pdev = &p->pci;
    return 0;
}

struct pci_bus *pcie_port_bus(struct pci_device *pdev)
{
    return pdev->dev.class == &class ? &((struct pcie_port *)pdev)->bus : NULL;
}
