// SPDX-License-Identifier: MIT
// Owns what is the same for every USB device: attaching, the standard requests (USB 2.0, 9.4) and halted endpoints. What
// a driver sends is checked here, so that a model sees endpoints that its table has, and only while it is configured.
#include "hw/usb/usb.h"
#include "hw/usb/usb_descriptors.h"

#include <stdio.h>
#include <string.h>

enum {
    FEATURE_ENDPOINT_HALT = 0,
    FEATURE_DEVICE_REMOTE_WAKEUP = 1,
    FEATURE_U1_ENABLE = 48,
    FEATURE_LTM_ENABLE = 50,
    STATUS_SELF_POWERED = 1 << 0,
    STATUS_REMOTE_WAKEUP = 1 << 1,
    ATTRIBUTE_SELF_POWERED = 1 << 6,
    CONFIGURATION = 1, // the one that each device has
};

void usb_device_init(struct usb_device *udev, const struct device_class *class, const char *path,
                     const struct usb_model *model, const struct usb_device_ops *ops, const char *serial)
{
    device_init(&udev->dev, class, path);
    udev->model = model;
    udev->ops = ops;
    snprintf(udev->serial, sizeof udev->serial, "%s", serial);
}

static uint32_t halt_bit(uint8_t endpoint)
{
    return 1u << ((endpoint & 0xf) + (endpoint & USB_DIR_IN ? 16 : 0));
}

static const struct usb_endpoint_table *find_endpoint(const struct usb_device *udev, uint8_t address)
{
    for (unsigned i = 0; i < udev->model->endpoint_count; i++)
        if (udev->model->endpoints[i].address == address)
            return &udev->model->endpoints[i];
    return NULL;
}

bool usb_runs_at(const struct usb_device *udev, enum usb_speed speed)
{
    return udev->model->endpoints[0].at[speed].max_packet;
}

void usb_bus_reset(struct usb_device *udev)
{
    udev->address = udev->configuration = 0;
    udev->remote_wakeup = false;
    udev->halted = 0;
    if (udev->ops->bus_reset)
        udev->ops->bus_reset(udev);
}

void usb_device_restored(struct usb_device *udev)
{
    udev->configuration &= CONFIGURATION;
    udev->address &= 0x7f;
}

bool usb_attach(struct usb_port *port, struct usb_device *udev)
{
    for (unsigned speed = USB_SPEEDS; speed-- > USB_SPEED_FULL;)
        if (port->speeds & 1u << speed && usb_runs_at(udev, speed)) {
            udev->speed = speed;
            udev->port = port;
            port->udev = udev;
            port->ops->changed(port);
            return true;
        }
    return false;
}

void usb_detach(struct usb_device *udev)
{
    struct usb_port *port = udev->port;
    if (!port)
        return;
    udev->port = NULL;
    port->udev = NULL;
    port->ops->changed(port);
}

void usb_wakeup(struct usb_device *udev, uint8_t endpoint)
{
    if (udev->port)
        udev->port->ops->wakeup(udev->port, endpoint);
}

// --- standard requests ---

static enum usb_status get_status(struct usb_device *udev, const struct usb_setup *s, uint8_t *data, uint32_t *length)
{
    uint8_t status = 0, address = (uint8_t)s->wIndex;
    switch (s->bmRequestType & USB_RECIP_MASK) {
    case USB_RECIP_DEVICE:
        status = (uint8_t)((udev->model->attributes & ATTRIBUTE_SELF_POWERED ? STATUS_SELF_POWERED : 0) |
                           (udev->remote_wakeup ? STATUS_REMOTE_WAKEUP : 0));
        break;
    case USB_RECIP_INTERFACE: break;
    case USB_RECIP_ENDPOINT:
        if (address & 0xf && !find_endpoint(udev, address))
            return USB_STALL;
        status = udev->halted & halt_bit(address) ? 1 : 0;
        break;
    default: return USB_STALL;
    }
    data[0] = status;
    data[1] = 0;
    *length = 2;
    return USB_OK;
}

static enum usb_status set_feature(struct usb_device *udev, const struct usb_setup *s, bool on)
{
    uint8_t address = (uint8_t)s->wIndex;
    switch (s->bmRequestType & USB_RECIP_MASK) {
    case USB_RECIP_DEVICE:
        if (s->wValue == FEATURE_DEVICE_REMOTE_WAKEUP)
            udev->remote_wakeup = on;
        else if (udev->speed != USB_SPEED_SUPER || s->wValue < FEATURE_U1_ENABLE || s->wValue > FEATURE_LTM_ENABLE)
            return USB_STALL;
        return USB_OK;
    case USB_RECIP_INTERFACE: // function suspend (USB 3.2, 9.4.9)
        return udev->speed == USB_SPEED_SUPER && !s->wValue ? USB_OK : USB_STALL;
    case USB_RECIP_ENDPOINT:
        if (s->wValue != FEATURE_ENDPOINT_HALT || (address & 0xf && !find_endpoint(udev, address)))
            return USB_STALL;
        if (on && address & 0xf)
            udev->halted |= halt_bit(address);
        else
            udev->halted &= ~halt_bit(address);
        if (!on)
            usb_wakeup(udev, address);
        return USB_OK;
    default: return USB_STALL;
    }
}

static enum usb_status set_configuration(struct usb_device *udev, uint16_t value)
{
    if (value > CONFIGURATION)
        return USB_STALL;
    udev->halted = 0;
    if (udev->ops->bus_reset)
        udev->ops->bus_reset(udev);
    udev->configuration = (uint8_t)value;
    return USB_OK;
}

static enum usb_status standard_in(struct usb_device *udev, const struct usb_setup *s, uint8_t *data, uint32_t *length)
{
    switch (s->bRequest) {
    case USB_REQ_GET_STATUS: return get_status(udev, s, data, length);
    case USB_REQ_GET_DESCRIPTOR:
        *length = usb_get_descriptor(udev, s->wValue >> 8, s->wValue & 0xff, data);
        return *length ? USB_OK : USB_STALL;
    case USB_REQ_GET_CONFIGURATION:
        data[0] = udev->configuration;
        *length = 1;
        return USB_OK;
    case USB_REQ_GET_INTERFACE:
        data[0] = 0;
        *length = 1;
        return udev->configuration && !s->wIndex ? USB_OK : USB_STALL;
    default: return USB_STALL;
    }
}

static enum usb_status standard_out(struct usb_device *udev, const struct usb_setup *s)
{
    switch (s->bRequest) {
    case USB_REQ_CLEAR_FEATURE: return set_feature(udev, s, false);
    case USB_REQ_SET_FEATURE: return set_feature(udev, s, true);
    case USB_REQ_SET_ADDRESS:
        udev->address = s->wValue & 0x7f;
        return s->wValue < 128 ? USB_OK : USB_STALL;
    case USB_REQ_SET_CONFIGURATION: return set_configuration(udev, s->wValue);
    case USB_REQ_SET_INTERFACE: return udev->configuration && !s->wIndex && !s->wValue ? USB_OK : USB_STALL;
    case USB_REQ_SET_SEL:
    case USB_REQ_SET_ISOCH_DELAY: return udev->speed == USB_SPEED_SUPER ? USB_OK : USB_STALL;
    default: return USB_STALL;
    }
}

enum usb_status usb_control(struct usb_device *udev, const struct usb_setup *s, uint8_t *data, uint32_t *length)
{
    bool in = s->bmRequestType & USB_DIR_IN;
    if (in)
        *length = 0;
    enum usb_status status = USB_STALL;
    // The one descriptor that is asked of an interface is the class's.
    bool standard = (s->bmRequestType & USB_TYPE_MASK) == USB_TYPE_STANDARD &&
                    !(s->bRequest == USB_REQ_GET_DESCRIPTOR &&
                      (s->bmRequestType & USB_RECIP_MASK) == USB_RECIP_INTERFACE);
    if (standard)
        status = in ? standard_in(udev, s, data, length) : standard_out(udev, s);
    else if (udev->ops->control)
        status = udev->ops->control(udev, s, data, length);
    if (in && *length > s->wLength)
        *length = s->wLength;
    return status;
}

// --- endpoints ---

enum usb_status usb_transfer(struct usb_device *udev, struct usb_transfer *transfer)
{
    if (!udev->configuration || !find_endpoint(udev, transfer->endpoint) || udev->halted & halt_bit(transfer->endpoint))
        return USB_STALL;
    return udev->ops->transfer(udev, transfer);
}

void usb_halt(struct usb_device *udev, uint8_t endpoint)
{
    udev->halted |= halt_bit(endpoint);
}

static uint32_t move(struct usb_transfer *t, uint8_t *data, uint32_t len, bool put)
{
    uint64_t skip = t->actual;
    uint32_t moved = 0;
    for (unsigned i = 0; i < t->iov_count && moved < len; i++) {
        if (skip >= t->iov[i].iov_len) {
            skip -= t->iov[i].iov_len;
            continue;
        }
        uint8_t *at = (uint8_t *)t->iov[i].iov_base + skip;
        uint64_t room = t->iov[i].iov_len - skip;
        uint32_t part = room < len - moved ? (uint32_t)room : len - moved;
        memcpy(put ? at : data + moved, put ? data + moved : at, part);
        moved += part;
        skip = 0;
    }
    t->actual += moved;
    return moved;
}

uint32_t usb_put(struct usb_transfer *transfer, const void *data, uint32_t len)
{
    return move(transfer, (uint8_t *)data, len, true);
}

uint32_t usb_get(struct usb_transfer *transfer, void *data, uint32_t len)
{
    return move(transfer, data, len, false);
}
