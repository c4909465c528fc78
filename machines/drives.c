// SPDX-License-Identifier: MIT
// Owns the machine's drives: -drive options turned into open block back ends, and the disk devices of
// if=virtio.
#include "host/block.h"
#include "machines/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Options of QEMU's that make no difference to a raw file here.
static const char *const ignored[] = {"aio",   "discard", "detect-zeroes", "media",
                                      "index", "werror",  "rerror",        "copy-on-read"};

static int one_of(const char *option, const char *value, const char *const *known, struct error *err)
{
    for (; value && *known; known++)
        if (!strcmp(value, *known))
            return 0;
    return value ? error_set(err, -EINVAL, "%s=%s is not supported", option, value) : 0;
}

// An image format used as a raw disk would be destroyed by the guest.
static int check_format(const char *path, const char *format, struct error *err)
{
    static const struct {
        const char *magic, *name;
    } formats[] = {{"QFI\xfb", "qcow2"}, {"KDMV", "VMDK"}, {"conectix", "VHD"}, {"vhdxfile", "VHDX"}};
    if (format && strcmp(format, "raw"))
        return error_set(err, -ENOTSUP, "-drive: format=%s is not supported (only raw)", format);
    char head[8] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, head, sizeof head);
    if (fd >= 0)
        close(fd);
    for (size_t i = 0; !format && n == sizeof head && i < ARRAY_SIZE(formats); i++)
        if (!memcmp(head, formats[i].magic, strlen(formats[i].magic)))
            return error_set(err, -ENOTSUP, "-drive: '%s' is a %s image; only raw ones are supported", path,
                             formats[i].name);
    return 0;
}

int machine_open_drive(struct machine *m, struct keyval_list *o, struct error *err)
{
    static const char *const interfaces[] = {"none", "virtio", "pflash", NULL};
    static const char *const caches[] = {"none", "writeback", "unsafe", "writethrough", "directsync", NULL};
    const char *file = keyval_get(o, "file"), *id = keyval_get(o, "id"), *interface = keyval_get(o, "if");
    const char *cache = keyval_get(o, "cache");
    struct block_config config = {.path = file, .loop = m->loop};
    bool snapshot = false, has_unit = keyval_get(o, "unit");
    uint64_t unit = 0;
    if (!file)
        return error_set(err, -EINVAL, "-drive needs file=");
    int r = one_of("if", interface, interfaces, err);
    if (!r)
        r = one_of("cache", cache, caches, err);
    if (!r)
        r = keyval_u64(o, "unit", &unit, err);
    if (!r)
        r = keyval_bool(o, "readonly", &config.readonly, err);
    if (!r)
        r = keyval_bool(o, "read-only", &config.readonly, err);
    if (!r)
        r = keyval_bool(o, "snapshot", &snapshot, err);
    const char *lock = keyval_get(o, "file.locking"), *format = keyval_get(o, "format"),
               *serial = keyval_get(o, "serial");
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        keyval_get(o, ignored[i]);
    if (r)
        return error_prefix(err, r, "-drive");
    if (keyval_unused(o))
        return error_set(err, -EINVAL, "-drive does not know the option '%s'", keyval_unused(o));
    if (snapshot)
        return error_set(err, -ENOTSUP, "-drive: snapshot=on is not supported yet");
    if (id && machine_find_drive(m, id))
        return error_set(err, -EEXIST, "there are two drives with the id '%s'", id);
    config.unlocked = lock && !strcmp(lock, "off");
    config.sync = cache && (!strcmp(cache, "writethrough") || !strcmp(cache, "directsync"));
    r = check_format(file, format, err);
    struct machine_drive drive = {
        .id = id ? id : file, .serial = serial, .automatic = !interface || !strcmp(interface, "virtio"),
        .pflash = interface && !strcmp(interface, "pflash"), .unit = has_unit ? (int)(unit < 255 ? unit : 255) : -1};
    if (!r && (r = block_open_raw(&config, &drive.block, err)))
        r = error_prefix(err, r, "-drive");
    if (r)
        return r;
    struct machine_drive *drives = realloc(m->drives, (m->drive_count + 1) * sizeof *drives);
    if (!drives) {
        block_close(drive.block);
        return error_set(err, -ENOMEM, "out of memory");
    }
    m->drives = drives;
    drives[m->drive_count++] = drive;
    return 0;
}

// QEMU's virt puts these on PCI.
static int add_disk(struct machine *m, struct machine_drive *drive, struct error *err)
{
    device_place_any_pci(&m->place);
    return devices_add_virtio_blk(m, drive, NULL, err);
}

int machine_add_drive_devices(struct machine *m, struct error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < m->drive_count; i++)
        if (m->drives[i].automatic && !m->drives[i].taken)
            r = add_disk(m, &m->drives[i], err);
    return r;
}

struct machine_drive *machine_find_drive(struct machine *m, const char *id)
{
    for (size_t i = 0; i < m->drive_count; i++)
        if (!strcmp(m->drives[i].id, id))
            return &m->drives[i];
    return NULL;
}

void machine_close_drives(struct machine *m)
{
    for (size_t i = m->drive_count; i-- > 0;)
        block_close(m->drives[i].block);
    free(m->drives);
    m->drives = NULL;
    m->drive_count = 0;
}
