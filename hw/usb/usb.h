// SPDX-License-Identifier: MIT
// What USB devices and host controllers share (USB 2.0, 5 and 9; USB 3.2, 8.12): ports, transfers, and a device model
// made of a table of descriptors and a few functions. The core (usb.c) answers the standard requests from that table; a
// model has its class's requests and the endpoints other than 0.
//
// A controller brings each transfer to the device at once. A device that cannot serve it yet answers USB_NAK, having moved
// as much as it could, and calls usb_wakeup when it has more; the controller then brings the rest. So nothing is under way
// between calls, and neither side has transfers to take back. Thread: machine lock held.
#ifndef HW_USB_USB_H
#define HW_USB_USB_H

#include "hw/core/device.h"

#include <sys/uio.h>

// The numbers are those of xHCI's default Protocol Speed IDs (xHCI 1.1, 7.2.2.1.1).
enum usb_speed { USB_SPEED_NONE, USB_SPEED_FULL, USB_SPEED_LOW, USB_SPEED_HIGH, USB_SPEED_SUPER, USB_SPEEDS };

enum usb_status {
    USB_OK,     // done, perhaps short
    USB_NAK,    // nothing more for now
    USB_STALL,  // the endpoint is halted, or the request is not known
    USB_BABBLE, // the device has more than the transfer takes
};

// bmRequestType, bRequest (USB 2.0, 9.3, 9.4)
enum {
    USB_DIR_IN = 0x80,
    USB_TYPE_MASK = 0x60,
    USB_TYPE_STANDARD = 0x00,
    USB_TYPE_CLASS = 0x20,
    USB_RECIP_MASK = 0x1f,
    USB_RECIP_DEVICE = 0,
    USB_RECIP_INTERFACE = 1,
    USB_RECIP_ENDPOINT = 2,

    USB_REQ_GET_STATUS = 0,
    USB_REQ_CLEAR_FEATURE = 1,
    USB_REQ_SET_FEATURE = 3,
    USB_REQ_SET_ADDRESS = 5,
    USB_REQ_GET_DESCRIPTOR = 6,
    USB_REQ_GET_CONFIGURATION = 8,
    USB_REQ_SET_CONFIGURATION = 9,
    USB_REQ_GET_INTERFACE = 10,
    USB_REQ_SET_INTERFACE = 11,
    USB_REQ_SET_SEL = 48,
    USB_REQ_SET_ISOCH_DELAY = 49,

    USB_DT_DEVICE = 1,
    USB_DT_CONFIG = 2,
    USB_DT_STRING = 3,
    USB_DT_INTERFACE = 4,
    USB_DT_ENDPOINT = 5,
    USB_DT_DEVICE_QUALIFIER = 6,
    USB_DT_BOS = 15,
    USB_DT_DEVICE_CAPABILITY = 16,
    USB_DT_SS_ENDPOINT_COMP = 48,

    USB_ENDPOINT_BULK = 2, // bmAttributes of an endpoint
    USB_ENDPOINT_INTERRUPT = 3,

    USB_CONTROL_MAX = 1024, // bytes of a control transfer's data stage that a device takes or gives
};

struct usb_setup {
    uint8_t bmRequestType, bRequest;
    uint16_t wValue, wIndex, wLength;
};

// One transfer to or from an endpoint other than 0, in host memory that is good for the length of the call.
struct usb_transfer {
    uint8_t endpoint; // bEndpointAddress, USB_DIR_IN included
    const struct iovec *iov;
    unsigned iov_count;
    uint32_t length, actual; // bytes in iov; moved so far
};

// --- descriptors ---

struct usb_endpoint_table {
    uint8_t address, attributes;
    // By speed; a maximal packet of 0 says that the device does not run at it. Of SuperSpeed also bMaxBurst.
    struct {
        uint16_t max_packet;
        uint8_t interval, burst;
    } at[USB_SPEEDS];
};

struct usb_model {
    uint16_t vendor, product, release; // release: bcdDevice
    const char *manufacturer_name, *product_name;
    uint8_t interface_class, subclass, protocol;
    uint8_t attributes, max_power;   // of the configuration; power in units of 2 mA
    const uint8_t *class_descriptor; // between the interface's and its endpoints'; NULL: none
    unsigned class_descriptor_size;
    const struct usb_endpoint_table *endpoints;
    unsigned endpoint_count;
};

struct usb_device;

struct usb_device_ops {
    // A request that is not the core's: data has wLength bytes of an OUT, or room for USB_CONTROL_MAX of an IN, where
    // *length is how much of it there is. USB_OK or USB_STALL.
    enum usb_status (*control)(struct usb_device *udev, const struct usb_setup *setup, uint8_t *data, uint32_t *length);
    enum usb_status (*transfer)(struct usb_device *udev, struct usb_transfer *transfer);
    void (*bus_reset)(struct usb_device *udev); // a port's reset and a new configuration; may be NULL
};

// First member of every USB device model.
struct usb_device {
    struct device dev;
    const struct usb_model *model;
    const struct usb_device_ops *ops;
    struct usb_port *port; // NULL: not attached
    enum usb_speed speed;
    char serial[64];
    uint8_t address, configuration;
    bool remote_wakeup;
    uint32_t halted; // bit n: OUT endpoint n, bit 16 + n: IN endpoint n
};

// State of the shared part, for a model's field table (ids 1 to 15 are taken by it).
#define USB_STATE(type_, member_)                                                                            \
    STATE_FIELD(1, STATE_U8, type_, member_.address), STATE_FIELD(2, STATE_U8, type_, member_.configuration), \
        STATE_FIELD(3, STATE_BOOL, type_, member_.remote_wakeup),                                            \
        STATE_FIELD(4, STATE_U32, type_, member_.halted)

// model and ops outlive the device; serial is copied. For a model's create.
void usb_device_init(struct usb_device *udev, const struct device_class *class, const char *path,
                     const struct usb_model *model, const struct usb_device_ops *ops, const char *serial);
void usb_device_restored(struct usb_device *udev); // for a model's post_load
// The device on the bus's reset: no address, no configuration. For a port's reset and for a model's reset.
void usb_bus_reset(struct usb_device *udev);
// Whether the model runs at a speed.
bool usb_runs_at(const struct usb_device *udev, enum usb_speed speed);

// --- ports ---

struct usb_port_ops {
    // The device has something for (IN) or room at (OUT) an endpoint. Called back later, never from within this call.
    void (*wakeup)(struct usb_port *port, uint8_t endpoint);
    void (*changed)(struct usb_port *port); // port->udev was set or cleared
};

// A place for a device. The controller's memory.
struct usb_port {
    const struct usb_port_ops *ops;
    void *opaque;
    uint32_t speeds; // bit of each enum usb_speed that the port has
    struct usb_device *udev;
};

// Attaches at the fastest speed that port and device share; false where there is none.
bool usb_attach(struct usb_port *port, struct usb_device *udev);
void usb_detach(struct usb_device *udev); // harmless for one that is not attached
void usb_wakeup(struct usb_device *udev, uint8_t endpoint);

// --- transfers ---

// A control transfer to endpoint 0. data has room for USB_CONTROL_MAX bytes and holds those of an OUT, whose length is in
// *length; of an IN, *length becomes what there is, at most wLength. USB_OK or USB_STALL.
enum usb_status usb_control(struct usb_device *udev, const struct usb_setup *setup, uint8_t *data, uint32_t *length);
enum usb_status usb_transfer(struct usb_device *udev, struct usb_transfer *transfer);
// For models: moves up to len bytes into (put) or out of (get) the transfer where it stands; how many were moved.
uint32_t usb_put(struct usb_transfer *transfer, const void *data, uint32_t len);
uint32_t usb_get(struct usb_transfer *transfer, void *data, uint32_t len);
// For models: halts an endpoint until the driver clears that.
void usb_halt(struct usb_device *udev, uint8_t endpoint);

#endif
