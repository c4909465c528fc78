// SPDX-License-Identifier: MIT
// Owns the table of -device: names, properties and constructors. Properties in the table are what -device
// NAME,help prints; a property that no constructor asks for is an error.
#include "machines/devices.h"
#include "hw/virtio/virtio_blk.h"
#include "hw/virtio/virtio_rng.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct device_kind {
    const char *name, *help;
    const char *properties; // "name=<type>\n..."
    int (*create)(struct machine *machine, struct keyval_list *options, struct error *err);
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

static int plug(struct machine *m, struct virtio_device *vdev, struct error *err)
{
    int r = machine_add_device(m, &vdev->dev, err);
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
    return plug(m, vdev, err);
}

// Properties of QEMU's that make no difference here.
static void accept(struct keyval_list *o, const char *const *names)
{
    for (; *names; names++)
        keyval_get(o, *names);
}

static int create_virtio_blk(struct machine *m, struct keyval_list *o, struct error *err)
{
    static const char *const ignored[] = {"bootindex", "queue-size",      "write-cache", "config-wce",
                                          "scsi",      "request-merging", "iothread",    NULL};
    accept(o, ignored);
    const char *id = keyval_get(o, "drive");
    if (!id)
        return error_set(err, -EINVAL, "device virtio-blk-device needs drive=");
    struct machine_drive *drive = machine_find_drive(m, id);
    if (!drive)
        return error_set(err, -ENOENT, "device virtio-blk-device: there is no drive '%s'", id);
    int r = keyval_u64(o, "num-queues", &drive->queues, err);
    if (!r && drive->queues > VIRTIO_BLK_MAX_QUEUES)
        r = error_set(err, -EINVAL, "device virtio-blk-device: num-queues is at most %d", VIRTIO_BLK_MAX_QUEUES);
    return r ? r : devices_add_virtio_blk(m, drive, keyval_get(o, "serial"), err);
}

static int create_virtio_rng(struct machine *m, struct keyval_list *o, struct error *err)
{
    static const char *const ignored[] = {"rng", "max-bytes", "period", NULL};
    accept(o, ignored);
    char path[48];
    snprintf(path, sizeof path, "/virtio-rng/%zu", m->device_count);
    struct virtio_rng_config config = {.path = path, .mem = m->mem, .entropy = &m->entropy};
    struct virtio_device *vdev;
    int r = virtio_rng_create(&config, &vdev, err);
    return r ? r : plug(m, vdev, err);
}

static const struct device_kind kinds[] = {
    {"virtio-blk-device", "virtio disk", "drive=<str>\nnum-queues=<uint16>\nserial=<str>\n", create_virtio_blk},
    {"virtio-rng-device", "virtio entropy source", "", create_virtio_rng},
    {"loader", "puts a file or a number into memory",
     "addr=<uint64>\ncpu-num=<uint32>\ndata=<uint64>\ndata-be=<bool>\ndata-len=<uint8>\nfile=<str>\nforce-"
     "raw=<bool>\n",
     create_loader},
};

static const struct device_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    return NULL;
}

int devices_add(struct machine *machine, struct keyval_list *options, struct error *err)
{
    const char *name = keyval_get(options, "driver");
    const struct device_kind *kind = find_kind(name);
    if (!kind)
        return error_set(err, -EINVAL, "there is no device '%s' (try -device help)", name);
    keyval_get(options, "id");
    int r = kind->create(machine, options, err);
    if (!r && keyval_unused(options))
        r = error_set(err, -EINVAL, "device '%s' does not know the property '%s'", name,
                      keyval_unused(options));
    return r;
}

void machine_list_devices(FILE *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        fprintf(out, "name \"%s\", desc \"%s\"\n", kinds[i].name, kinds[i].help);
}

bool machine_list_device_options(const char *device, FILE *out)
{
    const struct device_kind *kind = find_kind(device);
    if (kind)
        fprintf(out, "%s options:\n%s", device, kind->properties);
    return kind;
}
