// SPDX-License-Identifier: MIT
// Owns the root hub's ports (xHCI 1.1, 4.19, 5.4.8): what is attached, reset, link states, and the changes that the driver
// is told of. The first ports are the USB 3 ones, as QEMU has them; port n of each protocol is at connector n. Power is
// always on.
#include "hw/usb/xhci_internal.h"

enum { OFFSET_PORTSC = 0, EVENT_PORT_SHIFT = 24 };

unsigned xhci_port_count(const struct xhci *x)
{
    return x->ports_2 + x->ports_3;
}

static bool is_usb_3(const struct xhci *x, unsigned index)
{
    return index < x->ports_3;
}

static struct usb_port *connector_of(struct xhci *x, unsigned index)
{
    return &x->connectors[is_usb_3(x, index) ? index : index - x->ports_3];
}

// Index of the port that shows the connector's device.
static unsigned port_of(const struct xhci *x, const struct usb_port *connector)
{
    unsigned n = (unsigned)(connector - x->connectors);
    return connector->udev && connector->udev->speed == USB_SPEED_SUPER ? n : x->ports_3 + n;
}

struct usb_device *xhci_port_device(struct xhci *x, unsigned port)
{
    if (!port || port > xhci_port_count(x))
        return NULL;
    struct usb_port *connector = connector_of(x, port - 1);
    return connector->udev && port_of(x, connector) == port - 1 ? connector->udev : NULL;
}

void xhci_port_notify(struct xhci *x)
{
    for (unsigned i = 0; xhci_running(x) && i < xhci_port_count(x); i++) {
        const struct xhci_trb event = {.parameter = (uint64_t)(i + 1) << EVENT_PORT_SHIFT,
                                       .status = (uint32_t)CC_SUCCESS << 24,
                                       .control = TRB_PORT_STATUS_CHANGE << TRB_TYPE_SHIFT};
        if (!x->ports[i].notify || !xhci_event_room(x, 0, 1))
            continue;
        x->ports[i].notify = false;
        xhci_event(x, 0, &event);
    }
}

// A change that was there already is not told again (4.19.2).
static void changed(struct xhci *x, unsigned index, uint32_t change)
{
    struct xhci_port *port = &x->ports[index];
    if (port->portsc & change)
        return;
    port->portsc |= change;
    x->usbsts |= USBSTS_PCD;
    // While the controller is halted the driver finds it in the register.
    port->notify = xhci_running(x);
    xhci_port_notify(x);
}

static void set_link(struct xhci *x, unsigned index, unsigned state)
{
    uint32_t *portsc = &x->ports[index].portsc;
    *portsc = (*portsc & ~(uint32_t)PORTSC_PLS_MASK) | state << PORTSC_PLS_SHIFT;
}

static unsigned link_state(const struct xhci *x, unsigned index)
{
    return (x->ports[index].portsc & PORTSC_PLS_MASK) >> PORTSC_PLS_SHIFT;
}

// What a port without changes looks like now; a USB 3 link trains by itself.
static uint32_t status_of(struct xhci *x, unsigned index)
{
    const struct usb_device *udev = xhci_port_device(x, index + 1);
    if (!udev)
        return PORTSC_PP | PLS_RX_DETECT << PORTSC_PLS_SHIFT;
    uint32_t status = PORTSC_PP | PORTSC_CCS | (uint32_t)udev->speed << PORTSC_SPEED_SHIFT;
    return status | (is_usb_3(x, index) ? PORTSC_PED | PLS_U0 << PORTSC_PLS_SHIFT : PLS_POLLING << PORTSC_PLS_SHIFT);
}

static void connector_changed(struct usb_port *connector)
{
    struct xhci *x = connector->opaque;
    if (connector->udev)
        usb_bus_reset(connector->udev);
    for (unsigned i = 0; i < xhci_port_count(x); i++) {
        if (connector_of(x, i) != connector)
            continue;
        uint32_t before = x->ports[i].portsc, now = status_of(x, i);
        if (!((before ^ now) & PORTSC_CCS))
            continue;
        x->ports[i].portsc = now | (before & (PORTSC_CHANGES | PORTSC_WAKES));
        changed(x, i, PORTSC_CSC);
    }
    xhci_kick_all(x); // transfers that were waiting for the device fail
}

static void device_wakes(struct usb_port *connector, uint8_t endpoint)
{
    struct xhci *x = connector->opaque;
    const struct usb_device *udev = connector->udev;
    unsigned index = port_of(x, connector), dci = (endpoint & 0xfu) * 2 + !!(endpoint & USB_DIR_IN);
    if (link_state(x, index) == PLS_U3 && udev->remote_wakeup) {
        set_link(x, index, is_usb_3(x, index) ? PLS_U0 : PLS_RESUME);
        changed(x, index, PORTSC_PLC);
    }
    for (unsigned s = 0; s < XHCI_SLOTS; s++)
        if (x->slots[s].state && x->slots[s].port == index + 1)
            x->kicked[s] |= 1u << dci;
    loop_defer(x->loop, &x->work);
}

const struct usb_port_ops xhci_port_ops = {device_wakes, connector_changed};

void xhci_port_reset_all(struct xhci *x)
{
    for (unsigned i = 0; i < xhci_port_count(x); i++) {
        struct usb_device *udev = xhci_port_device(x, i + 1);
        if (udev)
            usb_bus_reset(udev);
        uint32_t status = status_of(x, i);
        x->ports[i] = (struct xhci_port){status | (status & PORTSC_CCS ? PORTSC_CSC : 0), false};
    }
}

static void reset_port(struct xhci *x, unsigned index, bool warm)
{
    struct usb_device *udev = xhci_port_device(x, index + 1);
    if (!udev)
        return;
    usb_bus_reset(udev);
    x->ports[index].portsc |= PORTSC_PED;
    set_link(x, index, PLS_U0);
    if (warm)
        changed(x, index, PORTSC_WRC);
    changed(x, index, PORTSC_PRC);
}

static void write_link(struct xhci *x, unsigned index, unsigned state)
{
    unsigned before = link_state(x, index);
    bool connected = x->ports[index].portsc & PORTSC_CCS;
    switch (state) {
    case PLS_U0:
        if (!connected)
            break;
        set_link(x, index, PLS_U0);
        if (before == PLS_U3 || before == PLS_RESUME)
            changed(x, index, PORTSC_PLC);
        break;
    case PLS_U3:
        if (connected && before < PLS_U3)
            set_link(x, index, PLS_U3);
        break;
    case PLS_RESUME:
        if (before == PLS_U3 && !is_usb_3(x, index))
            set_link(x, index, PLS_RESUME);
        break;
    case PLS_RX_DETECT:
        if (before == PLS_DISABLED && is_usb_3(x, index))
            x->ports[index].portsc = status_of(x, index) | (x->ports[index].portsc & (PORTSC_CHANGES | PORTSC_WAKES));
        break;
    default: break;
    }
}

uint32_t xhci_port_read(const struct xhci *x, unsigned index, unsigned offset)
{
    return offset == OFFSET_PORTSC ? x->ports[index].portsc : 0; // power management does nothing
}

void xhci_port_write(struct xhci *x, unsigned index, unsigned offset, uint32_t value)
{
    if (offset != OFFSET_PORTSC)
        return;
    struct xhci_port *port = &x->ports[index];
    port->portsc &= ~(value & PORTSC_CHANGES);
    port->portsc = (port->portsc & ~(uint32_t)(PORTSC_WAKES | PORTSC_PIC_MASK)) |
                   (value & (PORTSC_WAKES | PORTSC_PIC_MASK));
    if (value & PORTSC_WPR && is_usb_3(x, index)) {
        reset_port(x, index, true);
        return;
    }
    if (value & PORTSC_PR) {
        reset_port(x, index, false);
        return;
    }
    if (value & PORTSC_PED && port->portsc & PORTSC_PED) { // written as one: disabled
        port->portsc &= ~(uint32_t)PORTSC_PED;
        set_link(x, index, is_usb_3(x, index) ? PLS_DISABLED : PLS_POLLING);
    }
    if (value & PORTSC_LWS)
        write_link(x, index, (value & PORTSC_PLS_MASK) >> PORTSC_PLS_SHIFT);
}

// What is attached is what the machine has.
void xhci_port_restored(struct xhci *x)
{
    const uint32_t kept = PORTSC_CHANGES | PORTSC_WAKES | PORTSC_PED | PORTSC_PLS_MASK | PORTSC_PIC_MASK;
    for (unsigned i = 0; i < 2 * XHCI_MAX_PORTS; i++) {
        if (i >= xhci_port_count(x)) {
            x->ports[i] = (struct xhci_port){0};
            continue;
        }
        uint32_t status = status_of(x, i), saved = x->ports[i].portsc;
        x->ports[i].portsc = status & PORTSC_CCS ? (status & ~kept) | (saved & kept)
                                                 : status | (saved & (PORTSC_CHANGES | PORTSC_WAKES | PORTSC_PIC_MASK));
    }
}
