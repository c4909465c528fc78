// SPDX-License-Identifier: MIT
// Owns the -device rows of virtio consoles, with each port on one, of sockets, of the balloon and of input devices; and
// what the control layer wants of these.
#include "hw/virtio/virtio_balloon.h"
#include "hw/virtio/virtio_console.h"
#include "hw/virtio/virtio_input.h"
#include "hw/virtio/virtio_vsock.h"
#include "host/vsock.h"
#include "machines/devices.h"

#include <errno.h>
#include <string.h>

void devices_forget_virtio(struct machine *m, const struct device *dev)
{
    for (size_t i = 0; i < m->fsdev_count; i++)
        if (m->fsdevs[i].user == dev)
            m->fsdevs[i].taken = false;
    for (unsigned i = 0; i < m->serial_bus_count; i++)
        if (&m->serial_buses[i].vdev->dev == dev)
            m->serial_buses[i--] = m->serial_buses[--m->serial_bus_count];
    if (m->balloon && &m->balloon->dev == dev)
        m->balloon = NULL;
}

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

int devices_create_virtio_balloon(struct machine *m, struct keyval_list *o, struct error *err)
{
    struct virtio_balloon_config config = {.path = "/virtio-balloon", .mem = m->mem};
    if (m->balloon)
        return error_set(err, -EBUSY, "there is a virtio balloon already");
    int r = keyval_bool(o, "deflate-on-oom", &config.deflate_on_oom, err);
    struct virtio_device *vdev;
    if (!r)
        r = virtio_balloon_create(&config, &vdev, err);
    if (!r)
        r = devices_plug_virtio(m, vdev, err);
    if (!r)
        m->balloon = vdev;
    return r;
}

// By QEMU's name, though it is not the host's kernel that does the work: the host's end are Unix sockets.
int devices_create_vsock(struct machine *m, struct keyval_list *o, struct error *err)
{
    enum { FIRST_CID = 3 };
    const char *driver = keyval_get(o, "driver"), *path = keyval_get(o, "socket");
    uint64_t cid = 0;
    int r = keyval_u64(o, "guest-cid", &cid, err);
    if (!r && (cid < FIRST_CID || cid >= UINT32_MAX))
        r = error_set(err, -EINVAL, "device %s needs guest-cid= of %d to %u", driver, FIRST_CID, UINT32_MAX - 1);
    if (!r && !path)
        r = error_set(err, -EINVAL, "device %s needs socket=, the path of the Unix socket that leads to the guest", driver);
    if (r)
        return r;
    char name[48];
    snprintf(name, sizeof name, "/virtio-vsock/%u", (unsigned)cid);
    struct virtio_vsock_config config = {.path = name, .mem = m->mem, .loop = m->loop, .guest_cid = (uint32_t)cid};
    struct virtio_device *vdev;
    r = vsock_create(path, m->loop, &config.vsock, err);
    if (!r)
        r = virtio_vsock_create(&config, &vdev, err);
    return r ? r : devices_plug_virtio(m, vdev, err);
}

enum { BALLOON_PAGE = 4096 };

int machine_balloon(struct machine *machine, uint64_t bytes)
{
    if (!machine->balloon)
        return -ENODEV;
    uint64_t ram = machine->config.ram_size;
    virtio_balloon_set_target(machine->balloon,
                              (uint32_t)((ram - (bytes < ram ? bytes : ram)) / BALLOON_PAGE));
    return 0;
}

int machine_balloon_size(struct machine *machine, uint64_t *ret_bytes)
{
    if (!machine->balloon)
        return -ENODEV;
    uint64_t ram = machine->config.ram_size,
             away = virtio_balloon_actual(machine->balloon) * (uint64_t)BALLOON_PAGE;
    *ret_bytes = ram - (away < ram ? away : ram);
    return 0;
}

static int create_input(struct machine *m, enum virtio_input_kind kind, struct error *err)
{
    char path[48];
    snprintf(path, sizeof path, "/virtio-input/%u", m->input_count);
    struct virtio_input_config config = {.path = path, .mem = m->mem, .kind = kind};
    struct virtio_device *vdev;
    int r = virtio_input_create(&config, &vdev, err);
    if (!r)
        r = devices_plug_virtio(m, vdev, err);
    return r ? r : machine_add_input(m, &vdev->dev, &virtio_input_ops, err);
}

int devices_create_virtio_keyboard(struct machine *m, struct keyval_list *o, struct error *err)
{
    return create_input(m, VIRTIO_INPUT_KEYBOARD, err);
}

int devices_create_virtio_mouse(struct machine *m, struct keyval_list *o, struct error *err)
{
    return create_input(m, VIRTIO_INPUT_MOUSE, err);
}

int devices_create_virtio_tablet(struct machine *m, struct keyval_list *o, struct error *err)
{
    return create_input(m, VIRTIO_INPUT_TABLET, err);
}
