// SPDX-License-Identifier: MIT
// Owns the fids of a session: their table, their paths, and the bounds of what a guest can make us keep.
// Invariant: path_bytes, xattr_bytes and open_count are the sums over the table.
#include "host/fs/fs_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define P9_NOFID (~0u)

static struct fid **bucket(struct fs *fs, uint32_t id)
{
    return &fs->fids[id * 2654435761u >> 22];
}

_Static_assert(FS_FID_BUCKETS == 1 << 10, "bucket() makes 10 bits");

struct fid *fid_find(struct fs *fs, uint32_t id)
{
    for (struct fid *fid = *bucket(fs, id); fid; fid = fid->next)
        if (fid->id == id)
            return fid;
    return NULL;
}

int fid_create(struct fs *fs, uint32_t id, const char *path, uint32_t uid, struct fid **ret_fid)
{
    if (id == P9_NOFID || fid_find(fs, id))
        return -EBADF;
    if (fs->fid_count >= FS_MAX_FIDS || fs->path_bytes + strlen(path) + 1 > FS_MAX_PATH_BYTES)
        return -ENFILE;
    struct fid *fid = calloc(1, sizeof *fid);
    char *copy = strdup(path);
    if (!fid || !copy) {
        free(fid);
        free(copy);
        return -ENOMEM;
    }
    *fid = (struct fid){.id = id, .uid = uid, .path = copy, .fd = -1};
    struct fid **last = bucket(fs, id); // so that a restored table is in the order of the saved one
    while (*last)
        last = &(*last)->next;
    *last = fid;
    fs->fid_count++;
    fs->path_bytes += strlen(copy) + 1;
    *ret_fid = fid;
    return 0;
}

int fid_set_path(struct fs *fs, struct fid *fid, const char *path)
{
    size_t old = strlen(fid->path) + 1, new = strlen(path) + 1;
    if (fs->path_bytes - old + new > FS_MAX_PATH_BYTES)
        return -ENFILE;
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    free(fid->path);
    fid->path = copy;
    fs->path_bytes += new - old;
    return 0;
}

void fid_opened(struct fs *fs, struct fid *fid, int fd, bool is_dir, int flags)
{
    fid->fd = fd;
    fid->is_dir = is_dir;
    fid->flags = flags & FID_FLAGS;
    fs->open_count++;
}

void fid_close(struct fs *fs, struct fid *fid)
{
    if (fid->fd >= 0) {
        close(fid->fd);
        fs->open_count--;
    }
    fid->fd = -1;
    free(fid->xattr);
    fid->xattr = NULL;
    fs->xattr_bytes -= fid->xattr_size;
    fid->xattr_size = fid->xattr_filled = 0;
}

void fid_destroy(struct fs *fs, struct fid *fid)
{
    struct fid **link = bucket(fs, fid->id);
    while (*link != fid)
        link = &(*link)->next;
    *link = fid->next;
    fid_close(fs, fid);
    fs->fid_count--;
    fs->path_bytes -= strlen(fid->path) + 1;
    free(fid->path);
    free(fid);
}

void fids_clear(struct fs *fs)
{
    for (unsigned i = 0; i < FS_FID_BUCKETS; i++)
        while (fs->fids[i])
            fid_destroy(fs, fs->fids[i]);
}

void fids_renamed(struct fs *fs, const char *from, const char *to)
{
    size_t len = strlen(from);
    for (unsigned i = 0; i < FS_FID_BUCKETS; i++)
        for (struct fid *fid = fs->fids[i]; fid; fid = fid->next) {
            char path[PATH_MAX];
            if (strncmp(fid->path, from, len) || (fid->path[len] && fid->path[len] != '/'))
                continue;
            // One that cannot follow keeps a name under which nothing is found.
            if ((size_t)snprintf(path, sizeof path, "%s%s", to, fid->path + len) < sizeof path)
                fid_set_path(fs, fid, path);
        }
}

int path_join(const char *dir, const char *name, char ret_path[PATH_MAX])
{
    int n = snprintf(ret_path, PATH_MAX, "%s%s%s", dir, *dir ? "/" : "", name);
    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

void path_up(char *path)
{
    char *slash = strrchr(path, '/');
    *(slash ? slash : path) = 0;
}
