// SPDX-License-Identifier: MIT
// Owns which disks take part in a machine's snapshots: every one that can be written. Invariant: a snapshot is on all of
// them or, where one fails, on none.
#include "machines/machine_state_disk.h"
#include "host/block.h"
#include "host/image.h"
#include "machines/machine_state_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool takes_part(const struct machine_drive *drive)
{
    return !block_readonly(drive->block) && !strcmp(block_format(drive->block), "qcow2");
}

// The disk that holds the machine's state, or NULL.
static struct machine_drive *holder(struct machine *m)
{
    for (size_t i = 0; i < m->drive_count; i++)
        if (takes_part(&m->drives[i]))
            return &m->drives[i];
    return NULL;
}

int machine_disks_check(struct machine *m, struct error *err)
{
    for (size_t i = 0; i < m->drive_count; i++)
        if (!block_readonly(m->drives[i].block) && !takes_part(&m->drives[i]))
            return error_set(err, -ENOTSUP, "disk '%s' is writable and cannot hold a snapshot (only format=qcow2 can)",
                             m->drives[i].id);
    return holder(m) ? 0 : error_set(err, -ENOTSUP, "no disk of this machine can hold a snapshot (format=qcow2)");
}

int machine_disks_list(struct machine *m, struct machine_disk_snapshot **ret_list, size_t *ret_count, struct error *err)
{
    struct machine_drive *drive = holder(m);
    struct image_snapshot *found = NULL;
    size_t count = 0;
    int r = drive ? block_snapshot_list(drive->block, &found, &count, err) : 0;
    struct machine_disk_snapshot *list = r ? NULL : calloc(count + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++) {
        memcpy(list[i].id, found[i].id, sizeof list[i].id);
        memcpy(list[i].name, found[i].name, sizeof list[i].name);
        list[i].state_size = found[i].vm_state_size;
        list[i].clock = (int64_t)found[i].vm_clock_ns;
        list[i].date = found[i].date_s;
    }
    free(found);
    if (r)
        return r;
    if (!list)
        return error_set(err, -ENOMEM, "out of memory");
    *ret_list = list;
    *ret_count = count;
    return 0;
}

int machine_disks_find(struct machine *m, const char *name, struct machine_disk_snapshot *ret, struct error *err)
{
    struct machine_disk_snapshot *list;
    size_t count, i = 0;
    int r = machine_disks_list(m, &list, &count, err);
    if (r)
        return r;
    while (i < count && strcmp(list[i].name, name))
        i++;
    if (i == count) // QEMU takes an id as well
        for (i = 0; i < count && strcmp(list[i].id, name);)
            i++;
    if (i < count)
        *ret = list[i];
    free(list);
    return i < count ? 0 : error_set(err, -ENOENT, "there is no snapshot '%s'", name);
}

static bool has(const struct machine_drive *drive, const char *name, int *ret_result, struct error *err)
{
    struct image_snapshot *list = NULL;
    size_t count = 0;
    bool found = false;
    *ret_result = block_snapshot_list(drive->block, &list, &count, err);
    for (size_t i = 0; !*ret_result && i < count; i++)
        found |= (!strcmp(list[i].name, name) || !strcmp(list[i].id, name)) && list[i].disk_size == block_size(drive->block);
    free(list);
    return found;
}

int machine_disks_all_have(struct machine *m, const char *name, struct error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < m->drive_count; i++)
        if (takes_part(&m->drives[i]) && !has(&m->drives[i], name, &r, err) && !r)
            r = error_set(err, -ENOENT, "disk '%s' has no snapshot '%s' of its size", m->drives[i].id, name);
    return r;
}

static int for_all(struct machine *m, const char *name, bool apply, struct error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < m->drive_count; i++) {
        const struct machine_drive *drive = &m->drives[i];
        if (!takes_part(drive))
            continue;
        r = apply ? block_snapshot_apply(drive->block, name, err) : block_snapshot_delete(drive->block, name, err);
        if (r)
            r = error_prefix(err, r, "disk '%s'", drive->id);
    }
    return r;
}

// A disk that takes no part may still be reading: into the RAM of before, not into the one to be loaded.
int machine_disks_apply(struct machine *m, const char *name, struct error *err)
{
    machine_quiesce(m); // what is under way belongs to the disks and the memory that are left behind
    return for_all(m, name, true, err);
}

int machine_disks_delete(struct machine *m, const char *name, struct error *err)
{
    return for_all(m, name, false, err);
}

int machine_disks_create(struct machine *m, const char *name, uint64_t state_size, struct error *err)
{
    struct timespec now;
    struct image_snapshot wanted = {.vm_state_size = state_size, .vm_clock_ns = (uint64_t)clock_now(&m->clock)};
    clock_gettime(CLOCK_REALTIME, &now);
    wanted.date_s = (uint32_t)now.tv_sec;
    wanted.date_ns = (uint32_t)now.tv_nsec;
    if (strlen(name) >= sizeof wanted.name)
        return error_set(err, -ENAMETOOLONG, "the name of a snapshot has at most %zu bytes", sizeof wanted.name - 1);
    memcpy(wanted.name, name, strlen(name) + 1);
    for (size_t i = 0; i < m->drive_count; i++) {
        struct image_snapshot snapshot = wanted;
        if (!takes_part(&m->drives[i]))
            continue;
        snapshot.vm_state_size = &m->drives[i] == holder(m) ? state_size : 0;
        int r = block_snapshot_create(m->drives[i].block, &snapshot, err);
        for (size_t done = 0; r && done < i; done++)
            if (takes_part(&m->drives[done]))
                block_snapshot_delete(m->drives[done].block, name, NULL);
        if (r)
            return error_prefix(err, r, "disk '%s'", m->drives[i].id);
    }
    return 0;
}

int machine_disks_write_state(struct machine *m, uint64_t offset, const void *data, size_t size, struct error *err)
{
    const struct machine_drive *drive = holder(m);
    int r = drive ? block_vmstate_write(drive->block, offset, data, size) : -ENODEV;
    return r < 0 ? error_set(err, r, "cannot write the state to the disk: %s", strerror(-r)) : 0;
}

int machine_disks_read_state(struct machine *m, const char *name, uint64_t offset, void *data, size_t size,
                             struct error *err)
{
    const struct machine_drive *drive = holder(m);
    int r = drive ? block_snapshot_read_vmstate(drive->block, name, offset, data, size) : -ENODEV;
    return r < 0 ? error_set(err, r, "cannot read the state from the disk: %s", strerror(-r)) : 0;
}
