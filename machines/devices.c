// SPDX-License-Identifier: MIT
// Owns the table of -device: names, properties and constructors. Properties in the table are what -device
// NAME,help prints; a property that no constructor asks for is an error. A name that ends in "-device" is a
// virtio device, and its row is that of its PCI form ("-pci"), too: constructors know nothing of transports,
// device_place.c reads what they share.
#include "machines/devices.h"
#include "hw/misc/pvpanic_pci.h"
#include "hw/pci/pci_testdev.h"
#include "hw/pci/pcie_port.h"
#include "hw/virtio/virtio_blk.h"
#include "hw/virtio/virtio_rng.h"
#include "machines/nets.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct device_kind {
    const char *name, *help;
    const char *properties; // "name=<type>\n..."
    int (*create)(struct machine *machine, struct keyval_list *options, struct error *err);
    bool pci; // a PCI device that is no virtio one
    bool usb;
};

// QEMU's generic loader: a file or a number to an address, and which vCPU starts there.
static int create_loader(struct machine *m, struct keyval_list *o, struct error *err)
{
    const char *file = keyval_get(o, "file");
    uint64_t addr = 0, data = 0, len = 0, cpu = 0;
    bool raw = false, has_addr = keyval_get(o, "addr"), has_data = keyval_get(o, "data");
    bool big_endian = false;
    int r = keyval_u64(o, "addr", &addr, err);
    if (!r)
        r = keyval_u64(o, "data", &data, err);
    if (!r)
        r = keyval_u64(o, "data-len", &len, err);
    if (!r)
        r = keyval_u64(o, "cpu-num", &cpu, err);
    if (!r)
        r = keyval_bool(o, "force-raw", &raw, err);
    if (!r)
        r = keyval_bool(o, "data-be", &big_endian, err);
    if (r)
        return error_prefix(err, r, "device loader");
    bool sets_cpu = keyval_get(o, "cpu-num");
    if (sets_cpu && cpu)
        return error_set(err, -ENOTSUP, "device loader: only CPU 0 can be given a start address");
    if (has_data && file)
        return error_set(err, -EINVAL, "device loader: file= and data= exclude each other");
    struct loader_entry entry = {.entry = addr};
    if (has_data) {
        if (!has_addr || !len || len > 8)
            return error_set(err, -EINVAL, "device loader: data= needs addr= and data-len= of 1 to 8");
        uint8_t *bytes = malloc(8);
        if (!bytes)
            return error_set(err, -ENOMEM, "out of memory");
        for (unsigned i = 0; i < len; i++)
            bytes[i] = (uint8_t)(data >> (8 * (big_endian ? len - 1 - i : i)));
        r = loader_add(&m->loader, "device loader data", addr, bytes, len, len, err);
    } else if (file) {
        uint8_t *bytes;
        uint64_t size;
        r = loader_read_file("device loader", file, m->config.ram_size, &bytes, &size, err);
        if (r)
            return r;
        if (!raw && loader_identify(bytes, size) == FILE_ELF)
            r = loader_add_elf(&m->loader, file, bytes, size, &entry, err);
        else if (has_addr)
            r = loader_add(&m->loader, file, addr, bytes, size, size, err);
        else {
            free(bytes);
            r = error_set(err, -EINVAL, "device loader: a raw file needs addr=");
        }
    } else if (!sets_cpu || !has_addr) {
        return error_set(err, -EINVAL, "device loader needs file=, data=, or cpu-num= with addr=");
    }
    if (!r && sets_cpu) {
        m->start_given = true;
        m->start_entry = entry.entry;
    }
    return r;
}

static const char *driver_of(struct keyval_list *o)
{
    return keyval_get(o, "driver");
}

static bool is_taken(const struct machine *m, const char *path)
{
    for (size_t i = 0; i < m->device_count; i++)
        if (!strcmp(m->devices[i]->path, path))
            return true;
    return false;
}

// Paths are made of counts, which fall when a device leaves, or of long ids cut short; state goes by them.
static void name_apart(const struct machine *m, struct device *dev)
{
    char path[sizeof dev->path];
    memcpy(path, dev->path, sizeof path);
    for (unsigned i = 1; is_taken(m, dev->path); i++)
        snprintf(dev->path, sizeof dev->path, "%.36s+%u", path, i);
}

int devices_plug_virtio(struct machine *m, struct virtio_device *vdev, struct error *err)
{
    name_apart(m, &vdev->dev);
    int r = machine_add_device(m, &vdev->dev, err);
    if (!r && m->split_rings_only)
        vdev->features &= ~VIRTIO_F_RING_PACKED;
    if (!r && !m->board->plug_virtio)
        r = error_set(err, -ENODEV, "machine '%s' has no place for a virtio device", m->board->name);
    return r ? r : m->board->plug_virtio(m, vdev, err);
}

int devices_add_virtio_blk(struct machine *m, struct machine_drive *drive, const char *serial,
                           struct error *err)
{
    char path[48];
    snprintf(path, sizeof path, "/virtio-blk/%.30s", drive->id);
    if (drive->taken)
        return error_set(err, -EBUSY, "drive '%s' belongs to another device already", drive->id);
    struct virtio_blk_config config = {
        .path = path, .mem = m->mem, .block = drive->block, .serial = serial ? serial : drive->serial,
        .queues = (unsigned)drive->queues};
    struct virtio_device *vdev;
    int r = virtio_blk_create(&config, &vdev, err);
    if (r)
        return r;
    drive->taken = true;
    drive->user = &vdev->dev;
    return devices_plug_virtio(m, vdev, err);
}

void devices_accept(struct keyval_list *o, const char *const *names)
{
    for (; *names; names++)
        keyval_get(o, *names);
}

int devices_take_drive(struct machine *m, struct keyval_list *o, struct machine_drive **ret_drive, struct error *err)
{
    const char *id = keyval_get(o, "drive");
    if (!id)
        return error_set(err, -EINVAL, "device %s needs drive=", driver_of(o));
    struct machine_drive *drive = machine_find_drive(m, id);
    if (!drive)
        return error_set(err, -ENOENT, "device %s: there is no drive '%s'", driver_of(o), id);
    if (drive->taken)
        return error_set(err, -EBUSY, "drive '%s' belongs to another device already", id);
    *ret_drive = drive;
    return 0;
}

static int create_virtio_blk(struct machine *m, struct keyval_list *o, struct error *err)
{
    static const char *const ignored[] = {"bootindex", "queue-size",      "write-cache", "config-wce",
                                          "scsi",      "request-merging", "iothread",    NULL};
    devices_accept(o, ignored);
    struct machine_drive *drive;
    int r = devices_take_drive(m, o, &drive, err);
    if (r)
        return r;
    drive->queues = 0; // an earlier device of the drive may have had some
    r = keyval_u64(o, "num-queues", &drive->queues, err);
    if (!r && drive->queues > VIRTIO_BLK_MAX_QUEUES)
        r = error_set(err, -EINVAL, "device %s: num-queues is at most %d", driver_of(o), VIRTIO_BLK_MAX_QUEUES);
    return r ? r : devices_add_virtio_blk(m, drive, keyval_get(o, "serial"), err);
}

static int create_virtio_rng(struct machine *m, struct keyval_list *o, struct error *err)
{
    static const char *const ignored[] = {"rng", "max-bytes", "period", NULL};
    devices_accept(o, ignored);
    char path[48];
    snprintf(path, sizeof path, "/virtio-rng/%zu", m->device_count);
    struct virtio_rng_config config = {.path = path, .mem = m->mem, .entropy = &m->entropy};
    struct virtio_device *vdev;
    int r = virtio_rng_create(&config, &vdev, err);
    return r ? r : devices_plug_virtio(m, vdev, err);
}

static int create_watchdog(struct machine *m, struct keyval_list *o, struct error *err)
{
    if (!m->board->plug_watchdog)
        return error_set(err, -ENODEV, "machine '%s' has no place for a watchdog", m->board->name);
    return m->board->plug_watchdog(m, err);
}

int devices_plug_pci(struct machine *m, struct pci_device *pdev, struct error *err)
{
    int r = machine_add_device(m, &pdev->dev, err);
    if (!r && !m->board->plug_pci)
        r = error_set(err, -ENODEV, "machine '%s' has no PCI bus", m->board->name);
    return r ? r : m->board->plug_pci(m, pdev, err);
}

static int create_pvpanic(struct machine *m, struct keyval_list *o, struct error *err)
{
    struct pci_device *pdev;
    const struct pvpanic_pci_config config = {
        .multifunction = m->place.multifunction, .panicked = machine_guest_panicked, .opaque = m};
    int r = pvpanic_pci_create(&config, &pdev, err);
    return r ? r : devices_plug_pci(m, pdev, err);
}

static int create_pci_testdev(struct machine *m, struct keyval_list *o, struct error *err)
{
    struct pci_device *pdev;
    int r = pci_testdev_create(NULL, m->place.multifunction, &pdev, err);
    return r ? r : devices_plug_pci(m, pdev, err);
}

// QEMU's chassis and the windows that it reserves make no difference here.
static int create_root_port(struct machine *m, struct keyval_list *o, struct error *err)
{
    static const char *const ignored[] = {"chassis",        "io-reserve",  "mem-reserve", "pref32-reserve",
                                          "pref64-reserve", "bus-reserve", NULL};
    devices_accept(o, ignored);
    uint64_t port = 0, slot = 0;
    int r = keyval_u64(o, "port", &port, err);
    if (!r)
        r = keyval_u64(o, "slot", &slot, err);
    if (r)
        return error_prefix(err, r, "device pcie-root-port");
    if (port > 0xff || slot > PCIE_PORT_MAX_SLOT)
        return error_set(err, -EINVAL, "device pcie-root-port: port= is up to 255, slot= up to %d",
                         PCIE_PORT_MAX_SLOT);
    if (m->place.bus)
        return error_set(err, -EINVAL, "device pcie-root-port: it belongs on bus pcie.0");
    struct pcie_port_config config = {.port = (uint8_t)port,
                                      .slot = (uint16_t)slot,
                                      .multifunction = m->place.multifunction,
                                      .released = machine_released,
                                      .opaque = m};
    struct pci_device *pdev;
    r = pcie_port_create(&config, &pdev, err);
    return r ? r : devices_plug_pci(m, pdev, err);
}

#define USB_PROPERTIES "bus=<str>\nport=<uint32>\nserial=<str>\n"

static const struct device_kind kinds[] = {
    {"virtio-blk-device", "virtio disk", "drive=<str>\nnum-queues=<uint16>\nserial=<str>\n", create_virtio_blk},
    {"virtio-net-device", "virtio network card", NETS_PROPERTIES, nets_create_virtio_net},
    {"virtio-9p-device", "shared host folder", "fsdev=<str>\nmount_tag=<str>\n", devices_create_virtio_9p},
    {"virtio-serial-device", "virtio console with ports", "max_ports=<uint32>\n", devices_create_virtio_serial},
    {"virtconsole", "terminal on a virtio console", "bus=<str>\nchardev=<str>\nname=<str>\nnr=<uint32>\n",
     devices_create_virtconsole},
    {"virtserialport", "port of a virtio console", "bus=<str>\nchardev=<str>\nname=<str>\nnr=<uint32>\n",
     devices_create_virtserialport},
    {"virtio-balloon-device", "memory balloon", "deflate-on-oom=<bool>\n", devices_create_virtio_balloon},
    {"vhost-vsock-device", "sockets between guest and host", "guest-cid=<uint32>\nsocket=<str>\n", devices_create_vsock},
    {"virtio-keyboard-device", "virtio keyboard", "", devices_create_virtio_keyboard},
    {"virtio-mouse-device", "virtio mouse", "", devices_create_virtio_mouse},
    {"virtio-tablet-device", "virtio tablet", "", devices_create_virtio_tablet},
    {"virtio-rng-device", "virtio entropy source", "", create_virtio_rng},
    {"pvpanic-pci", "tells of a guest's panic", "", create_pvpanic, .pci = true},
    {"sbsa_gwdt", "watchdog of Arm's base system architecture", "", create_watchdog},
    {"loader", "puts a file or a number into memory",
     "addr=<uint64>\ncpu-num=<uint32>\ndata=<uint64>\ndata-be=<bool>\ndata-len=<uint8>\nfile=<str>\nforce-"
     "raw=<bool>\n",
     create_loader},
    {"pcie-root-port", "a PCIe port to plug devices into", "chassis=<uint8>\nport=<uint8>\nslot=<uint16>\n",
     create_root_port, .pci = true},
    {"qemu-xhci", "USB controller (xHCI)", "p2=<uint32>\np3=<uint32>\n", devices_create_xhci, .pci = true},
    {"nec-usb-xhci", "USB controller (xHCI), NEC's", "p2=<uint32>\np3=<uint32>\n", devices_create_xhci, .pci = true},
    {"usb-kbd", "USB keyboard", USB_PROPERTIES "usb_version=<uint32>\n", devices_create_usb_kbd, .usb = true},
    {"usb-mouse", "USB mouse", USB_PROPERTIES "usb_version=<uint32>\n", devices_create_usb_mouse, .usb = true},
    {"usb-tablet", "USB tablet", USB_PROPERTIES "usb_version=<uint32>\n", devices_create_usb_tablet, .usb = true},
    {"usb-storage", "USB disk", USB_PROPERTIES "drive=<str>\nremovable=<bool>\n", devices_create_usb_storage, .usb = true},
    {"pci-testdev", "counts accesses through PCI windows", "", create_pci_testdev, .pci = true},
};

enum transport { NO_TRANSPORT, VIRTIO_MMIO, ON_PCI, ON_USB };

// The length of a virtio kind's name without "-device"; 0: not one.
static size_t virtio_stem(const struct device_kind *kind)
{
    size_t len = strlen(kind->name), suffix = strlen("-device");
    return len > suffix && !strcmp(kind->name + len - suffix, "-device") ? len - suffix : 0;
}

static const struct device_kind *find_kind(const char *name, enum transport *ret_transport)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t stem = virtio_stem(&kinds[i]);
        bool same = !strcmp(kinds[i].name, name);
        // QEMU's "virtio-net" is the PCI form as well.
        if (!same && !(stem && !strncmp(kinds[i].name, name, stem) && (!name[stem] || !strcmp(name + stem, "-pci"))))
            continue;
        *ret_transport = !same || kinds[i].pci ? ON_PCI
                         : kinds[i].usb        ? ON_USB
                         : stem                ? VIRTIO_MMIO
                                               : NO_TRANSPORT;
        return &kinds[i];
    }
    return NULL;
}

int devices_add(struct machine *machine, struct keyval_list *options, struct error *err)
{
    const char *name = keyval_get(options, "driver");
    enum transport transport;
    const struct device_kind *kind = find_kind(name, &transport);
    if (!kind)
        return error_set(err, -EINVAL, "there is no device '%s' (try -device help)", name);
    keyval_get(options, "id");
    size_t first = machine->device_count;
    int r = 0;
    if (transport == ON_PCI)
        r = device_place_pci(&machine->place, options, err);
    else if (transport == VIRTIO_MMIO)
        r = device_place_mmio(&machine->place, options, err);
    else if (transport == ON_USB)
        machine->place = (struct device_place){.id = keyval_get(options, "id")};
    bool comes_and_goes = transport == ON_USB || (transport == ON_PCI && machine->place.bus);
    if (!r && machine->hot && !comes_and_goes)
        r = error_set(
            err, -ENOTSUP,
            "device '%s' can be added to this machine only with bus= and the id of a pcie-root-port", name);
    bool packed = true;
    if (!r && (transport == ON_PCI || transport == VIRTIO_MMIO) && virtio_stem(kind))
        r = keyval_bool(options, "packed", &packed, err);
    machine->split_rings_only = !packed;
    if (!r)
        r = kind->create(machine, options, err);
    machine->split_rings_only = false;
    if (!r && keyval_unused(options))
        r = error_set(err, -EINVAL, "device '%s' does not know the property '%s'", name,
                      keyval_unused(options));
    if (!r && comes_and_goes)
        r = machine_note_plugged(machine, first, err);
    return r;
}

void machine_list_devices(FILE *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const struct device_kind *kind = &kinds[i];
        int stem = (int)virtio_stem(kind);
        fprintf(out, "name \"%s\", %sdesc \"%s\"\n", kind->name,
                kind->pci   ? "bus PCI, "
                : kind->usb ? "bus usb-bus, "
                            : "",
                kind->help);
        if (stem)
            fprintf(out, "name \"%.*s-pci\", bus PCI, desc \"%s\"\n", stem, kind->name, kind->help);
    }
}

bool machine_list_device_options(const char *device, FILE *out)
{
    enum transport transport;
    const struct device_kind *kind = find_kind(device, &transport);
    if (kind)
        fprintf(out, "%s options:\n%s%s", device, transport == ON_PCI ? device_place_pci_properties : "",
                kind->properties);
    return kind;
}
