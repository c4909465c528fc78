// SPDX-License-Identifier: MIT
// Owns devices that come and go while the machine runs: which parts make up each that sits behind a PCI port,
// adding, asking the guest to let go, and removal once it has. Parts are destroyed in reverse order of their
// making. A device on a USB bus is a single part, which the guest is not asked for; a controller takes its own along.
#include "base/error.h"
#include "hw/pci/pcie_port.h"
#include "hw/usb/xhci.h"
#include "machines/devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct machine_plugged *find_plugged(struct machine *m, const char *id)
{
    for (size_t i = 0; i < m->plugged_count; i++)
        if (m->plugged[i].id && !strcmp(m->plugged[i].id, id))
            return &m->plugged[i];
    return NULL;
}

int machine_note_plugged(struct machine *m, size_t first, struct error *err)
{
    // The function is what was made last.
    const struct pci_device *pdev = (const struct pci_device *)m->devices[m->device_count - 1];
    struct machine_plugged entry = {.id = m->place.id, .port = m->place.pci ? pdev->bus->bridge : NULL};
    if (entry.id && find_plugged(m, entry.id))
        return error_set(err, -EEXIST, "there are two devices with the id '%s'", entry.id);
    for (size_t i = first; i < m->device_count; i++) {
        if (entry.part_count == ARRAY_SIZE(entry.parts))
            return error_set(err, -E2BIG, "this device cannot be behind a PCI port");
        entry.parts[entry.part_count++] = m->devices[i];
    }
    struct machine_plugged *list = realloc(m->plugged, (m->plugged_count + 1) * sizeof *list);
    if (!list)
        return error_set(err, -ENOMEM, "out of memory");
    m->plugged = list;
    list[m->plugged_count++] = entry;
    return 0;
}

static void unplug_all_usb(struct machine *m, struct pci_device *pdev);

static void destroy_part(struct machine *m, struct device *dev)
{
    if (xhci_is(dev))
        unplug_all_usb(m, (struct pci_device *)dev);
    for (size_t i = 0; i < m->drive_count; i++)
        if (m->drives[i].user == dev)
            m->drives[i].taken = false;
    machine_release_net(m, dev);
    machine_forget_input(m, dev);
    devices_forget_virtio(m, dev);
    devices_forget_usb(m, dev);
    for (size_t i = 0; i < m->device_count; i++)
        if (m->devices[i] == dev) {
            memmove(&m->devices[i], &m->devices[i + 1], (--m->device_count - i) * sizeof(struct device *));
            break;
        }
    device_destroy(dev);
}

static void unplug(struct machine *m, struct machine_plugged *at)
{
    struct machine_plugged entry = *at;
    memmove(at, at + 1, (size_t)(&m->plugged[--m->plugged_count] - at) * sizeof entry);
    while (entry.part_count)
        destroy_part(m, entry.parts[--entry.part_count]);
    if (entry.id)
        machine_tell(m, &(struct machine_event){.kind = MACHINE_DEVICE_GONE, .device = entry.id});
    keyval_free(&entry.options);
}

static void unplug_all_usb(struct machine *m, struct pci_device *pdev)
{
    for (unsigned n = 1; xhci_connector(pdev, n); n++) {
        const struct usb_device *udev = xhci_connector(pdev, n)->udev;
        size_t i = 0;
        while (udev && i < m->plugged_count && m->plugged[i].parts[0] != &udev->dev)
            i++;
        if (udev && i < m->plugged_count)
            unplug(m, &m->plugged[i]);
    }
}

void machine_released(void *opaque, struct pci_bus *bus)
{
    struct machine *m = opaque;
    for (;;) { // a controller's devices go with it
        size_t i = 0;
        while (i < m->plugged_count && m->plugged[i].port != bus->bridge)
            i++;
        if (i == m->plugged_count)
            break;
        unplug(m, &m->plugged[i]);
    }
    pcie_port_changed(bus->bridge);
}

void machine_forget_plugged(struct machine *m)
{
    for (size_t i = 0; i < m->plugged_count; i++)
        keyval_free(&m->plugged[i].options);
    free(m->plugged);
}

int machine_device_add(struct machine *m, struct keyval_list *options, struct error *err)
{
    size_t before = m->device_count, plugged = m->plugged_count;
    int r = keyval_get(options, "driver") ? 0 : error_set(err, -EINVAL, "device_add needs a driver");
    m->hot = true;
    if (!r)
        r = devices_add(m, options, err);
    m->hot = false;
    if (r) {
        m->plugged_count = plugged;
        while (m->device_count > before)
            destroy_part(m, m->devices[m->device_count - 1]);
        keyval_free(options);
        return r;
    }
    struct machine_plugged *entry = &m->plugged[plugged];
    entry->options = *options;
    for (unsigned i = 0; i < entry->part_count; i++)
        device_reset(entry->parts[i]);
    if (entry->port)
        pcie_port_changed(entry->port);
    return 0;
}

int machine_device_del(struct machine *m, const char *id, struct error *err)
{
    struct machine_plugged *entry = find_plugged(m, id);
    if (!entry)
        return error_set(err, -ENOENT, "there is no device '%s' that can be taken out", id);
    if (entry->port)
        pcie_port_request_release(entry->port);
    else
        unplug(m, entry);
    return 0;
}
