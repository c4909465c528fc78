// SPDX-License-Identifier: MIT
// Owns the machine's shared folders: -fsdev and -virtfs options turned into file servers, and the 9P devices
// over them.
#include "host/fs.h"
#include "hw/virtio/virtio_9p.h"
#include "machines/devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int parse_security(struct keyval_list *o, struct fs_config *config, struct error *err)
{
    static const struct {
        const char *name;
        enum fs_security security;
    } rows[] = {{"none", FS_NONE},
                {"passthrough", FS_PASSTHROUGH},
                {"mapped-xattr", FS_MAPPED},
                {"mapped", FS_MAPPED}};
    const char *text = keyval_get(o, "security_model");
    if (!text)
        return error_set(err, -EINVAL, "security_model= is missing (none, mapped-xattr or passthrough)");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (!strcmp(text, rows[i].name)) {
            config->security = rows[i].security;
            return 0;
        }
    return error_set(err, -ENOTSUP, "security_model=%s is not supported (none, mapped-xattr or passthrough)",
                     text);
}

static int parse_multidevs(struct keyval_list *o, struct fs_config *config, struct error *err)
{
    static const char *const names[] = {"warn", "remap", "forbid"}; // enum fs_multidevs
    const char *text = keyval_get(o, "multidevs");
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (!text || !strcmp(text, names[i])) {
            config->multidevs = (enum fs_multidevs)i;
            return 0;
        }
    return error_set(err, -EINVAL, "multidevs=%s is not one of remap, forbid and warn", text);
}

// What -fsdev and -virtfs share.
static int open_folder(struct machine *m, struct keyval_list *o, const char *id, struct error *err)
{
    const char *driver = keyval_get(o, "fsdriver");
    struct fs_config config = {.path = keyval_get(o, "path"), .loop = m->loop};
    if (!driver || strcmp(driver, "local"))
        return error_set(err, -ENOTSUP, "the file system driver '%s' is not supported (only local)",
                         driver ? driver : "");
    if (!config.path)
        return error_set(err, -EINVAL, "path= is missing");
    for (size_t i = 0; i < m->fsdev_count; i++)
        if (!strcmp(m->fsdevs[i].id, id))
            return error_set(err, -EEXIST, "there are two of the id '%s'", id);
    int r = parse_security(o, &config, err);
    if (!r)
        r = parse_multidevs(o, &config, err);
    if (!r)
        r = keyval_bool(o, "readonly", &config.readonly, err);
    const char *writeout = keyval_get(o, "writeout");
    if (!r && writeout)
        r = error_set(err, -ENOTSUP, "writeout= is not supported");
    if (!r && keyval_unused(o))
        r = error_set(err, -EINVAL, "there is no option '%s'", keyval_unused(o));
    struct machine_fsdev fsdev = {.id = id};
    if (!r)
        r = fs_open(&config, &fsdev.fs, err);
    if (r)
        return r;
    struct machine_fsdev *list = realloc(m->fsdevs, (m->fsdev_count + 1) * sizeof *list);
    if (!list) {
        fs_close(fsdev.fs);
        return error_set(err, -ENOMEM, "out of memory");
    }
    m->fsdevs = list;
    list[m->fsdev_count++] = fsdev;
    return 0;
}

// A list with a mount tag is a -virtfs, which brings its own device; its id is made of the tag where it has
// none.
int machine_open_fsdev(struct machine *m, struct keyval_list *o, struct error *err)
{
    const char *id = keyval_get(o, "id"), *tag = keyval_get(o, "mount_tag");
    bool virtfs = keyval_get(o, "virtfs");
    const char *option = virtfs ? "-virtfs" : "-fsdev";
    if (virtfs && !tag)
        return error_set(err, -EINVAL, "-virtfs: mount_tag= is missing");
    if (!virtfs && tag)
        return error_set(err, -EINVAL, "-fsdev: mount_tag= belongs to the device");
    if (!id && !virtfs)
        return error_set(err, -EINVAL, "-fsdev: id= is missing");
    int r = open_folder(m, o, id ? id : tag, err);
    if (r)
        return error_prefix(err, r, "%s", option);
    m->fsdevs[m->fsdev_count - 1].mount_tag = tag;
    return 0;
}

static int add_9p(struct machine *m, struct machine_fsdev *fsdev, const char *tag, struct error *err)
{
    char path[48];
    snprintf(path, sizeof path, "/virtio-9p/%.30s", fsdev->id);
    if (fsdev->taken)
        return error_set(err, -EBUSY, "folder '%s' belongs to another device already", fsdev->id);
    struct virtio_9p_config config = {.path = path, .mem = m->mem, .fs = fsdev->fs, .mount_tag = tag};
    struct virtio_device *vdev;
    int r = virtio_9p_create(&config, &vdev, err);
    if (r)
        return r;
    fsdev->taken = true;
    fsdev->user = &vdev->dev;
    return devices_plug_virtio(m, vdev, err);
}

int devices_create_virtio_9p(struct machine *m, struct keyval_list *o, struct error *err)
{
    const char *id = keyval_get(o, "fsdev"), *tag = keyval_get(o, "mount_tag");
    if (!id || !tag)
        return error_set(err, -EINVAL, "device %s needs fsdev= and mount_tag=", keyval_get(o, "driver"));
    for (size_t i = 0; i < m->fsdev_count; i++)
        if (!strcmp(m->fsdevs[i].id, id))
            return add_9p(m, &m->fsdevs[i], tag, err);
    return error_set(err, -ENOENT, "device %s: there is no fsdev '%s'", keyval_get(o, "driver"), id);
}

int machine_add_fs_devices(struct machine *m, struct error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < m->fsdev_count; i++)
        if (m->fsdevs[i].mount_tag && !m->fsdevs[i].taken)
            r = add_9p(m, &m->fsdevs[i], m->fsdevs[i].mount_tag, err);
    return r;
}

void machine_close_fsdevs(struct machine *m)
{
    for (size_t i = m->fsdev_count; i-- > 0;)
        fs_close(m->fsdevs[i].fs);
    free(m->fsdevs);
    m->fsdevs = NULL;
    m->fsdev_count = 0;
}
