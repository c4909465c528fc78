// SPDX-License-Identifier: MIT
// What each kind of HID device is made of: descriptors, and the usages of keys. Read-only data.
#ifndef HW_USB_USB_HID_TABLES_H
#define HW_USB_USB_HID_TABLES_H

#include "hw/usb/usb_hid.h"

enum {
    USB_DT_HID = 0x21,
    USB_DT_HID_REPORT = 0x22,
    USB_HID_DESCRIPTOR_SIZE = 9,
    USB_HID_ENDPOINT = 1 | USB_DIR_IN,
    USB_HID_MODIFIERS = 0xe0, // usages of the 8 modifier keys begin here
    USB_HID_BUTTONS = 5,      // BTN_LEFT to BTN_EXTRA
};

struct usb_hid_table {
    struct usb_model high, full; // the same device, up to high speed and up to full speed
    const uint8_t *report_descriptor;
    unsigned report_descriptor_size;
    unsigned report_size, boot_report_size; // bytes; 0: no boot protocol
};

extern const struct usb_hid_table usb_hid_tables[]; // by enum usb_hid_kind

// The usage (HID Usage Tables, page 7) of one of Linux's KEY_ codes, 0: none.
uint8_t usb_hid_usage(uint16_t code);

#endif
