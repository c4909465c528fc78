// SPDX-License-Identifier: MIT
// The devices that -device can add to a machine. Private to machines/.
#ifndef MACHINES_DEVICES_H
#define MACHINES_DEVICES_H

#include "machines/machine_internal.h"

// Makes the device that options name ("driver") and adds it. Unknown devices and properties are errors.
int devices_add(struct machine *machine, struct keyval_list *options, struct error *err);

// Adds a virtio device to the machine, which owns it from then on, and gives it a place.
int devices_plug_virtio(struct machine *machine, struct virtio_device *vdev, struct error *err);

// dev is about to be destroyed: nobody finds it any more, and what it took may be taken again.
void devices_forget_virtio(struct machine *machine, const struct device *dev);

// Rows of the table whose constructors are elsewhere.
typedef int devices_create(struct machine *machine, struct keyval_list *options, struct error *err);
devices_create devices_create_virtio_9p; // fsdevs.c
devices_create devices_create_virtio_serial, devices_create_virtconsole,
    devices_create_virtserialport, devices_create_virtio_balloon, devices_create_vsock, devices_create_virtio_keyboard,
    devices_create_virtio_mouse, devices_create_virtio_tablet; // devices_virtio.c
devices_create devices_create_xhci, devices_create_usb_kbd, devices_create_usb_mouse,
    devices_create_usb_tablet, devices_create_usb_storage; // devices_usb.c

// The same of a PCI function.
int devices_plug_pci(struct machine *machine, struct pci_device *pdev, struct error *err);
// As devices_forget_virtio, of a USB controller (devices_usb.c).
void devices_forget_usb(struct machine *machine, const struct device *dev);
// Marks properties as known that make no difference here; NULL ends names.
void devices_accept(struct keyval_list *options, const char *const *names);
// The drive that the property drive= names, if it is free.
int devices_take_drive(struct machine *machine, struct keyval_list *options, struct machine_drive **ret_drive,
                       struct error *err);

// A virtio disk over an open drive.
int devices_add_virtio_blk(struct machine *machine, struct machine_drive *drive, const char *serial,
                           struct error *err);

// Where a device goes (device_place.c): reads the properties that every device of a transport has. Each sets
// the whole place; device_place_any_pci is for devices that no -device names, as of -drive.
int device_place_pci(struct device_place *ret_place, struct keyval_list *options, struct error *err);
int device_place_mmio(struct device_place *ret_place, struct keyval_list *options, struct error *err);
void device_place_any_pci(struct device_place *ret_place);
extern const char device_place_pci_properties[]; // as in the table of devices

#endif
