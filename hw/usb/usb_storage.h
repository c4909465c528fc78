// SPDX-License-Identifier: MIT
// A USB disk: the SCSI transparent command set over bulk-only transport (USB Mass Storage Class, Bulk-Only Transport 1.0),
// over a block back end. One logical unit with blocks of 512 bytes, of a CD 2,048. Thread: machine lock held.
#ifndef HW_USB_USB_STORAGE_H
#define HW_USB_USB_STORAGE_H

#include "hw/usb/usb.h"

struct block;
struct error;

struct usb_storage_config {
    const char *path;
    struct block *block; // borrowed; outlives the device
    const char *serial;  // up to 36 characters, or NULL
    bool removable;
    bool cdrom; // a CD drive with the disc in it
};

// A device yet to be attached. 0 or -ENOMEM. Its destruction waits for requests in flight.
int usb_storage_create(const struct usb_storage_config *config, struct usb_device **ret_udev, struct error *err);

#endif
