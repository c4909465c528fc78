// SPDX-License-Identifier: MIT
// The standard descriptors of a device (USB 2.0, 9.6; USB 3.2, 9.6), made from its model's table for the speed that it
// runs at. Thread: machine lock held.
#ifndef HW_USB_USB_DESCRIPTORS_H
#define HW_USB_USB_DESCRIPTORS_H

#include "hw/usb/usb.h"

// Writes one into data, which has room for USB_CONTROL_MAX bytes; its size, or 0 where there is no such descriptor.
uint32_t usb_get_descriptor(const struct usb_device *udev, unsigned type, unsigned index, uint8_t *data);

#endif
