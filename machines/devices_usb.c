// SPDX-License-Identifier: MIT
// Owns the -device rows of USB: controllers, whose id names a bus, and what is plugged into one. A device goes where bus=
// and port= say, or to the first free connector that has its speed.
#include "hw/usb/usb_hid.h"
#include "hw/usb/usb_storage.h"
#include "hw/usb/xhci.h"
#include "machines/devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PORTS = 4 };

int devices_create_xhci(struct machine *m, struct keyval_list *o, struct error *err)
{
    static const char *const ignored[] = {"streams", "conditional-intr-mapping", "msi", NULL};
    uint64_t ports_2 = DEFAULT_PORTS, ports_3 = DEFAULT_PORTS;
    devices_accept(o, ignored);
    const char *driver = keyval_get(o, "driver"), *id = keyval_get(o, "id");
    int r = keyval_u64(o, "p2", &ports_2, err);
    if (!r)
        r = keyval_u64(o, "p3", &ports_3, err);
    if (r)
        return error_prefix(err, r, "device %s", driver);
    if (ports_2 > XHCI_MAX_PORTS || ports_3 > XHCI_MAX_PORTS || !(ports_2 + ports_3))
        return error_set(err, -EINVAL, "device %s: p2= and p3= are up to %d, and not both 0", driver, XHCI_MAX_PORTS);
    if (m->usb_bus_count == MACHINE_MAX_USB_BUSES)
        return error_set(err, -ENOSPC, "there can be at most %d USB controllers", MACHINE_MAX_USB_BUSES);
    const struct xhci_config config = {.mem = m->mem,
                                       .clock = &m->clock,
                                       .loop = m->loop,
                                       .ports_2 = (unsigned)ports_2,
                                       .ports_3 = (unsigned)ports_3,
                                       .vectors = m->place.vectors,
                                       .multifunction = m->place.multifunction,
                                       .nec = !strcmp(driver, "nec-usb-xhci")};
    struct pci_device *pdev;
    r = xhci_create(&config, &pdev, err);
    if (!r)
        r = devices_plug_pci(m, pdev, err);
    if (!r)
        m->usb_buses[m->usb_bus_count++] = (struct machine_usb_bus){id, pdev};
    return r;
}

// bus= is the controller's id and ".0", as QEMU names it.
static bool bus_is(const struct machine_usb_bus *bus, const char *name)
{
    size_t len = bus->id ? strlen(bus->id) : 0;
    return !name || (bus->id && !strncmp(name, bus->id, len) && (!name[len] || !strcmp(name + len, ".0")));
}

static bool takes(const struct usb_port *port, const struct usb_device *udev)
{
    for (unsigned speed = USB_SPEED_FULL; !port->udev && speed < USB_SPEEDS; speed++)
        if (port->speeds & 1u << speed && usb_runs_at(udev, speed))
            return true;
    return false;
}

static int find_connector(struct machine *m, struct keyval_list *o, const struct usb_device *udev,
                          struct pci_device **ret_pdev, unsigned *ret_number, struct error *err)
{
    const char *driver = keyval_get(o, "driver"), *bus = keyval_get(o, "bus");
    uint64_t number = 0;
    bool known = false;
    int r = keyval_u64(o, "port", &number, err);
    if (r)
        return error_prefix(err, r, "device %s", driver);
    for (unsigned i = 0; i < m->usb_bus_count; i++) {
        struct pci_device *pdev = m->usb_buses[i].pdev;
        if (!bus_is(&m->usb_buses[i], bus))
            continue;
        known = true;
        if (keyval_get(o, "port") && (number > XHCI_MAX_PORTS || !xhci_connector(pdev, (unsigned)number)))
            return error_set(err, -ENOENT, "device %s: USB bus has no port '%s'", driver, keyval_get(o, "port"));
        for (unsigned n = 1; xhci_connector(pdev, n); n++)
            if ((!number || n == number) && takes(xhci_connector(pdev, n), udev)) {
                *ret_pdev = pdev;
                *ret_number = n;
                return 0;
            }
    }
    if (!known && bus)
        return error_set(err, -ENOENT, "device %s: there is no USB bus '%s'", driver, bus);
    if (!known)
        return error_set(err, -ENOENT, "device %s needs a USB controller before it (-device qemu-xhci)", driver);
    return error_set(err, -EBUSY, "device %s: there is no free USB port that it fits", driver);
}

// Gives the device its place and name; the machine owns it in every case.
static int plug(struct machine *m, struct keyval_list *o, struct usb_device *udev, struct error *err)
{
    struct pci_device *pdev = NULL;
    unsigned number = 0;
    int r = machine_add_device(m, &udev->dev, err);
    if (!r)
        r = find_connector(m, o, udev, &pdev, &number, err);
    if (r)
        return r;
    snprintf(udev->dev.path, sizeof udev->dev.path, "%.38s/usb%u", pdev->dev.path, number);
    usb_attach(xhci_connector(pdev, number), udev);
    return 0;
}

static int create_hid(struct machine *m, struct keyval_list *o, enum usb_hid_kind kind, struct error *err)
{
    static const char *const ignored[] = {"display", "head", "msos-desc", NULL};
    uint64_t version = 2;
    devices_accept(o, ignored);
    int r = keyval_u64(o, "usb_version", &version, err);
    if (!r && version != 1 && version != 2)
        r = error_set(err, -EINVAL, "device %s: usb_version= is 1 or 2", keyval_get(o, "driver"));
    const struct usb_hid_config config = {.serial = keyval_get(o, "serial"),
                                          .kind = kind,
                                          .full_speed = version == 1,
                                          .clock = &m->clock,
                                          .loop = m->loop};
    struct usb_device *udev;
    if (!r)
        r = usb_hid_create(&config, &udev, err);
    if (!r)
        r = plug(m, o, udev, err);
    return r ? r : machine_add_input(m, &udev->dev, &usb_hid_input, err);
}

int devices_create_usb_kbd(struct machine *m, struct keyval_list *o, struct error *err)
{
    return create_hid(m, o, USB_HID_KEYBOARD, err);
}

int devices_create_usb_mouse(struct machine *m, struct keyval_list *o, struct error *err)
{
    return create_hid(m, o, USB_HID_MOUSE, err);
}

int devices_create_usb_tablet(struct machine *m, struct keyval_list *o, struct error *err)
{
    return create_hid(m, o, USB_HID_TABLET, err);
}

int devices_create_usb_storage(struct machine *m, struct keyval_list *o, struct error *err)
{
    static const char *const ignored[] = {"bootindex", "write-cache", "msos-desc", "share-rw", NULL};
    devices_accept(o, ignored);
    const char *serial = keyval_get(o, "serial");
    struct machine_drive *drive;
    struct usb_device *udev;
    struct usb_storage_config config = {0};
    int r = keyval_bool(o, "removable", &config.removable, err);
    if (!r)
        r = devices_take_drive(m, o, &drive, err);
    if (r)
        return r;
    config.block = drive->block;
    config.cdrom = drive->cdrom;
    config.serial = serial ? serial : drive->serial;
    r = usb_storage_create(&config, &udev, err);
    if (r)
        return r;
    drive->taken = true;
    drive->user = &udev->dev;
    return plug(m, o, udev, err);
}

void devices_forget_usb(struct machine *m, const struct device *dev)
{
    for (unsigned i = 0; i < m->usb_bus_count; i++)
        if (&m->usb_buses[i].pdev->dev == dev) {
            memmove(&m->usb_buses[i], &m->usb_buses[i + 1], (--m->usb_bus_count - i) * sizeof m->usb_buses[0]);
            return;
        }
}
