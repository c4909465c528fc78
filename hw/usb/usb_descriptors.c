// SPDX-License-Identifier: MIT
// Owns the making of standard descriptors. Each device has one configuration with one interface; the strings are those of
// the model and the device's serial number. Sizes are bounded by the tables: at most 16 endpoints of 13 bytes.
#include "hw/usb/usb_descriptors.h"

#include <string.h>

enum {
    DEVICE_SIZE = 18,
    CONFIG_SIZE = 9,
    INTERFACE_SIZE = 9,
    ENDPOINT_SIZE = 7,
    ENDPOINT_COMP_SIZE = 6,
    QUALIFIER_SIZE = 10,
    BOS_SIZE = 5,
    CAP_USB2_SIZE = 7,
    CAP_SUPER_SIZE = 10,

    CAP_USB2_EXTENSION = 2,
    CAP_SUPERSPEED = 3,
    SPEEDS_ALL = 0xe,      // wSpeedsSupported: full, high, super
    LOWEST_SPEED_FULL = 1, // bFunctionalitySupport

    STRING_LANGUAGES = 0,
    STRING_MANUFACTURER = 1,
    STRING_PRODUCT = 2,
    STRING_SERIAL = 3,
    ENGLISH_US = 0x0409,
    STRING_MAX = 126, // characters of 16 bits
    CONFIGURED = 0x80, // always set in bmAttributes
};

struct writer {
    uint8_t *data;
    uint32_t size;
};

static void put8(struct writer *w, unsigned value)
{
    w->data[w->size++] = (uint8_t)value;
}

static void put16(struct writer *w, unsigned value)
{
    put8(w, value);
    put8(w, value >> 8);
}

static unsigned bcd_usb(const struct usb_device *udev)
{
    return udev->speed == USB_SPEED_SUPER ? 0x300 : 0x200;
}

// bMaxPacketSize0; of SuperSpeed its logarithm.
static unsigned max_packet_0(const struct usb_device *udev)
{
    return udev->speed == USB_SPEED_SUPER ? 9 : udev->speed == USB_SPEED_LOW ? 8 : 64;
}

static void put_device(struct writer *w, const struct usb_device *udev)
{
    const struct usb_model *m = udev->model;
    put8(w, DEVICE_SIZE);
    put8(w, USB_DT_DEVICE);
    put16(w, bcd_usb(udev));
    put8(w, 0); // class, subclass and protocol are the interface's
    put8(w, 0);
    put8(w, 0);
    put8(w, max_packet_0(udev));
    put16(w, m->vendor);
    put16(w, m->product);
    put16(w, m->release);
    put8(w, STRING_MANUFACTURER);
    put8(w, STRING_PRODUCT);
    put8(w, STRING_SERIAL);
    put8(w, 1); // configurations
}

static void put_endpoint(struct writer *w, const struct usb_endpoint_table *e, enum usb_speed speed)
{
    put8(w, ENDPOINT_SIZE);
    put8(w, USB_DT_ENDPOINT);
    put8(w, e->address);
    put8(w, e->attributes);
    put16(w, e->at[speed].max_packet);
    put8(w, e->at[speed].interval);
    if (speed != USB_SPEED_SUPER)
        return;
    put8(w, ENDPOINT_COMP_SIZE);
    put8(w, USB_DT_SS_ENDPOINT_COMP);
    put8(w, e->at[speed].burst);
    put8(w, 0);
    put16(w, e->attributes == USB_ENDPOINT_INTERRUPT ? e->at[speed].max_packet : 0); // wBytesPerInterval
}

static void put_config(struct writer *w, const struct usb_device *udev)
{
    const struct usb_model *m = udev->model;
    put8(w, CONFIG_SIZE);
    put8(w, USB_DT_CONFIG);
    put16(w, 0); // wTotalLength, below
    put8(w, 1);  // interfaces
    put8(w, 1);  // its number
    put8(w, 0);
    put8(w, CONFIGURED | m->attributes);
    put8(w, udev->speed == USB_SPEED_SUPER ? m->max_power / 4 : m->max_power); // there in units of 8 mA
    put8(w, INTERFACE_SIZE);
    put8(w, USB_DT_INTERFACE);
    put8(w, 0);
    put8(w, 0);
    put8(w, m->endpoint_count);
    put8(w, m->interface_class);
    put8(w, m->subclass);
    put8(w, m->protocol);
    put8(w, 0);
    for (unsigned i = 0; i < m->class_descriptor_size; i++)
        put8(w, m->class_descriptor[i]);
    for (unsigned i = 0; i < m->endpoint_count; i++)
        put_endpoint(w, &m->endpoints[i], udev->speed);
    w->data[2] = (uint8_t)w->size;
    w->data[3] = (uint8_t)(w->size >> 8);
}

static void put_qualifier(struct writer *w)
{
    put8(w, QUALIFIER_SIZE);
    put8(w, USB_DT_DEVICE_QUALIFIER);
    put16(w, 0x200);
    put8(w, 0);
    put8(w, 0);
    put8(w, 0);
    put8(w, 64);
    put8(w, 1);
    put8(w, 0);
}

static void put_bos(struct writer *w)
{
    put8(w, BOS_SIZE);
    put8(w, USB_DT_BOS);
    put16(w, BOS_SIZE + CAP_USB2_SIZE + CAP_SUPER_SIZE);
    put8(w, 2);
    put8(w, CAP_USB2_SIZE);
    put8(w, USB_DT_DEVICE_CAPABILITY);
    put8(w, CAP_USB2_EXTENSION);
    put16(w, 0); // no link power management
    put16(w, 0);
    put8(w, CAP_SUPER_SIZE);
    put8(w, USB_DT_DEVICE_CAPABILITY);
    put8(w, CAP_SUPERSPEED);
    put8(w, 0);
    put16(w, SPEEDS_ALL);
    put8(w, LOWEST_SPEED_FULL);
    put8(w, 0); // exit latencies of U1 and U2
    put16(w, 0);
}

static void put_string(struct writer *w, const char *text)
{
    size_t len = strnlen(text, STRING_MAX);
    put8(w, 2 + 2 * (unsigned)len);
    put8(w, USB_DT_STRING);
    for (size_t i = 0; i < len; i++)
        put16(w, (uint8_t)text[i]);
}

static void put_string_of(struct writer *w, const struct usb_device *udev, unsigned index)
{
    switch (index) {
    case STRING_LANGUAGES:
        put8(w, 4);
        put8(w, USB_DT_STRING);
        put16(w, ENGLISH_US);
        break;
    case STRING_MANUFACTURER: put_string(w, udev->model->manufacturer_name); break;
    case STRING_PRODUCT: put_string(w, udev->model->product_name); break;
    case STRING_SERIAL: put_string(w, udev->serial); break;
    default: break;
    }
}

uint32_t usb_get_descriptor(const struct usb_device *udev, unsigned type, unsigned index, uint8_t *data)
{
    struct writer w = {.data = data};
    if (type == USB_DT_STRING)
        put_string_of(&w, udev, index);
    else if (index)
        return 0;
    else if (type == USB_DT_DEVICE)
        put_device(&w, udev);
    else if (type == USB_DT_CONFIG)
        put_config(&w, udev);
    else if (type == USB_DT_DEVICE_QUALIFIER && udev->speed == USB_SPEED_HIGH)
        put_qualifier(&w);
    else if (type == USB_DT_BOS && udev->speed == USB_SPEED_SUPER)
        put_bos(&w);
    return w.size;
}
