// SPDX-License-Identifier: MIT
// Owns the machine's drives: -drive and -blockdev options turned into open block back ends, and the disk
// devices of if=virtio.
#include "base/error.h"
#include "base/types.h"
#include "host/block.h"
#include "machines/devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct choice {
    const char *key;
    const char *const *words; // what may be said; NULL: anything, it makes no difference here
};

static const char *const interfaces[] = {"none", "virtio", "pflash", NULL};
static const char *const engines[] = {"threads", "native", "io_uring", NULL};
static const char *const media[] = {"disk", "cdrom", NULL};
static const char *const errors[] = {"report", "enospc", NULL};
static const char *const off[] = {"off", "false", "no", NULL};
static const char *const protocols[] = {"file", "host_device", NULL};
static const char *const locking[] = {"on", "off", "auto", NULL};
static const char *const discards[] = {"ignore", "off", "unmap", "on", NULL};
static const char *const detections[] = {"off", "on", "unmap", NULL};
// How transfers are carried out is our own affair, and a failed one is always reported to the guest.
static const struct choice choices[] = {{"if", interfaces},         {"aio", engines},
                                        {"file.aio", engines},      {"media", media},
                                        {"werror", errors},         {"rerror", errors},
                                        {"copy-on-read", off},      {"index", NULL},
                                        {"file.driver", protocols}, {"file.locking", locking},
                                        {"locking", locking},       {"discard", discards},
                                        {"file.discard", discards}, {"detect-zeroes", detections},
                                        {"file.node-name", NULL},   {"node-name", NULL},
                                        {"auto-read-only", NULL},   {"file.auto-read-only", NULL}};

static int check_choices(struct keyval_list *o, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
        const char *value = keyval_get(o, choices[i].key);
        const char *const *known = choices[i].words;
        while (value && known && *known && strcmp(value, *known))
            known++;
        if (value && known && !*known)
            return error_set(err, -EINVAL, "%s=%s is not supported", choices[i].key, value);
    }
    return 0;
}

static const struct cache_mode {
    const char *name;
    bool direct, unsafe, sync;
} cache_modes[] = {{"writeback", false, false, false},
                   {"none", true, false, false},
                   {"writethrough", false, false, true},
                   {"directsync", true, false, true},
                   {"unsafe", false, true, false}};

static int read_cache(struct keyval_list *o, struct block_config *config, struct error *err)
{
    const char *mode = keyval_get(o, "cache");
    size_t i = 0;
    while (mode && i < ARRAY_SIZE(cache_modes) && strcmp(cache_modes[i].name, mode))
        i++;
    if (i == ARRAY_SIZE(cache_modes))
        return error_set(err, -EINVAL, "cache=%s is not supported", mode);
    config->direct = cache_modes[i].direct;
    config->unsafe = cache_modes[i].unsafe;
    config->sync = cache_modes[i].sync;
    bool writeback = !config->sync;
    int r = keyval_bool(o, "cache.direct", &config->direct, err);
    if (!r)
        r = keyval_bool(o, "cache.no-flush", &config->unsafe, err);
    if (!r)
        r = keyval_bool(o, "file.cache.direct", &config->direct, err);
    if (!r)
        r = keyval_bool(o, "file.cache.no-flush", &config->unsafe, err);
    if (!r)
        r = keyval_bool(o, "cache.writeback", &writeback, err);
    config->sync = !writeback;
    return r;
}

static bool says(struct keyval_list *o, const char *key, const char *word)
{
    const char *value = keyval_get(o, key);
    return value && !strcmp(value, word);
}

static int read_config(struct keyval_list *o, struct block_config *config, struct error *err)
{
    int r = check_choices(o, err);
    if (!r)
        r = read_cache(o, config, err);
    if (!r)
        r = keyval_bool(o, "readonly", &config->readonly, err);
    if (!r)
        r = keyval_bool(o, "read-only", &config->readonly, err);
    if (!r)
        r = keyval_bool(o, "snapshot", &config->snapshot, err);
    config->readonly |= says(o, "media", "cdrom");
    const char *format = keyval_get(o, "format"), *driver = keyval_get(o, "driver");
    config->format = format ? format : driver;
    config->unlocked = says(o, "file.locking", "off") || says(o, "locking", "off");
    config->discard = says(o, "discard", "unmap") || says(o, "discard", "on");
    config->detect_zeroes = says(o, "detect-zeroes", "unmap") ? BLOCK_DETECT_UNMAP
                            : says(o, "detect-zeroes", "on")  ? BLOCK_DETECT_ON
                                                              : BLOCK_DETECT_OFF;
    if (!r && config->detect_zeroes == BLOCK_DETECT_UNMAP && !config->discard)
        r = error_set(err, -EINVAL, "detect-zeroes=unmap needs discard=unmap");
    return r;
}

int machine_open_drive(struct machine *m, struct keyval_list *o, struct error *err)
{
    const char *file = keyval_get(o, "file"), *name = keyval_get(o, "file.filename"),
               *id = keyval_get(o, "id");
    struct block_config config = {
        .path = file ? file : name, .loop = m->loop, .snapshot = m->config.snapshot};
    if (!config.path)
        return error_set(err, -EINVAL, "-drive needs file=");
    const char *interface = keyval_get(o, "if");
    // A flash bank may be named by either; of other drives index= says nothing here.
    const char *number = says(o, "if", "pflash") && keyval_get(o, "index") ? "index" : "unit";
    bool has_unit = keyval_get(o, number);
    uint64_t unit = 0;
    int r = read_config(o, &config, err);
    if (!r)
        r = keyval_u64(o, number, &unit, err);
    struct machine_drive drive = {.id = id ? id : config.path,
                                  .serial = keyval_get(o, "serial"),
                                  .automatic = !interface || !strcmp(interface, "virtio"),
                                  .cdrom = says(o, "media", "cdrom"),
                                  .pflash = interface && !strcmp(interface, "pflash"),
                                  .unit = has_unit ? (int)(unit < 255 ? unit : 255) : -1};
    if (r)
        return error_prefix(err, r, "-drive");
    if (keyval_unused(o))
        return error_set(err, -EINVAL, "-drive does not know the option '%s'", keyval_unused(o));
    if (id && machine_find_drive(m, id))
        return error_set(err, -EEXIST, "there are two drives with the id '%s'", id);
    r = block_open(&config, &drive.block, err);
    if (r)
        return error_prefix(err, r, "-drive");
    if (block_note(drive.block))
        fprintf(stderr, "isomer: -drive: '%s': %s\n", config.path, block_note(drive.block));
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
