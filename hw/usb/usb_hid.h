// SPDX-License-Identifier: MIT
// USB keyboard, mouse and tablet (Device Class Definition for Human Interface Devices 1.11), moved through struct
// input_ops. Keyboard and mouse know the boot protocol. Thread: machine lock held.
#ifndef HW_USB_USB_HID_H
#define HW_USB_USB_HID_H

#include "hw/core/input.h"
#include "hw/usb/usb.h"

struct clock;
struct error;
struct loop;

enum usb_hid_kind { USB_HID_KEYBOARD, USB_HID_MOUSE, USB_HID_TABLET };

struct usb_hid_config {
    const char *path, *serial;
    enum usb_hid_kind kind;
    bool full_speed; // of USB 1.1, not of high speed
    struct clock *clock; // of the idle rate
    struct loop *loop;
};

// A device yet to be attached. 0 or -ENOMEM.
int usb_hid_create(const struct usb_hid_config *config, struct usb_device **ret_udev, struct error *err);
extern const struct input_ops usb_hid_input;

#endif
