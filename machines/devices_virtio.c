// SPDX-License-Identifier: MIT
// Owns the -device rows of virtio consoles: the device with its ports, and each port on it.
#include "hw/virtio/virtio_console.h"
#include "machines/devices.h"

#include <errno.h>
#include <string.h>

int devices_create_virtio_serial(struct machine *m, struct keyval_list *o, struct error *err)
{
    uint64_t max = VIRTIO_CONSOLE_PORTS;
    int r = keyval_u64(o, "max_ports", &max, err);
    if (!r && (!max || max > VIRTIO_CONSOLE_PORTS))
        r = error_set(err, -EINVAL, "max_ports=%s is not 1 to %d", keyval_get(o, "max_ports"),
                      VIRTIO_CONSOLE_PORTS);
    if (!r && m->serial_bus_count == MACHINE_MAX_SERIAL_BUSES)
        r = error_set(err, -ENOSPC, "there can be at most %d virtio consoles", MACHINE_MAX_SERIAL_BUSES);
    if (r)
        return r;
    char path[48];
    snprintf(path, sizeof path, "/virtio-console/%u", m->serial_bus_count);
    struct virtio_console_config config = {.path = path, .mem = m->mem, .max_ports = (unsigned)max};
    struct virtio_device *vdev;
    r = virtio_console_create(&config, &vdev, err);
    if (!r)
        r = devices_plug_virtio(m, vdev, err);
    if (!r)
        m->serial_buses[m->serial_bus_count++] =
            (struct machine_serial_bus){.id = keyval_get(o, "id"), .vdev = vdev};
    return r;
}

// bus= is the console's id and ".0", as QEMU names it; without it, the first console there is.
static int find_bus(struct machine *m, const char *driver, const char *bus, struct virtio_device **ret,
                    struct error *err)
{
    for (unsigned i = 0; i < m->serial_bus_count; i++) {
        const char *id = m->serial_buses[i].id;
        size_t len = id ? strlen(id) : 0;
        if (!bus || (id && !strncmp(bus, id, len) && (!bus[len] || !strcmp(bus + len, ".0")))) {
            *ret = m->serial_buses[i].vdev;
            return 0;
        }
    }
    if (bus)
        return error_set(err, -ENOENT, "device %s: there is no virtio console '%s'", driver, bus);
    return error_set(err, -ENOENT, "device %s needs a virtio-serial-device before it", driver);
}

static int create_port(struct machine *m, struct keyval_list *o, bool console, struct error *err)
{
    const char *driver = keyval_get(o, "driver");
    struct virtio_device *bus = NULL;
    uint64_t number = 0;
    struct virtio_port_config config = {.number = -1, .name = keyval_get(o, "name"), .console = console};
    int r = find_bus(m, driver, keyval_get(o, "bus"), &bus, err);
    if (!r)
        r = keyval_u64(o, "nr", &number, err);
    if (!r && keyval_get(o, "nr"))
        config.number = number < INT32_MAX ? (int)number : INT32_MAX;
    if (!r)
        r = machine_take_chardev(m, keyval_get(o, "chardev"), &config.chardev, err);
    return r ? r : virtio_console_add_port(bus, &config, err);
}

int devices_create_virtconsole(struct machine *m, struct keyval_list *o, struct error *err)
{
    return create_port(m, o, true, err);
}

int devices_create_virtserialport(struct machine *m, struct keyval_list *o, struct error *err)
{
    return create_port(m, o, false, err);
}
