// SPDX-License-Identifier: MIT
// Owns the messages of attributes: getattr, setattr, extended attributes. Invariant: a guest sees and changes
// only extended attributes of the name space "user.", and never those that hold mapped metadata.
#include "host/fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define GETATTR_BASIC 0x7ffull

enum {
    SETATTR_MODE = 1 << 0,
    SETATTR_UID = 1 << 1,
    SETATTR_GID = 1 << 2,
    SETATTR_SIZE = 1 << 3,
    SETATTR_ATIME = 1 << 4,
    SETATTR_MTIME = 1 << 5,
    SETATTR_ATIME_SET = 1 << 7,
    SETATTR_MTIME_SET = 1 << 8,
};

static void put_time(struct p9_writer *out, const struct timespec *t)
{
    p9_put(out, (uint64_t)t->tv_sec, 8);
    p9_put(out, (uint64_t)t->tv_nsec, 8);
}

int p9_getattr(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    struct stat st;
    struct fid *fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    p9_get(in, 8); // what is wanted: all we have is cheap
    if (!fid)
        return r;
    r = fid->fd >= 0 ? folder_stat_fd(fs, fid->fd, &st) : folder_stat(fs, fid->path, &st);
    if (r)
        return r;
    p9_put(out, GETATTR_BASIC, 8);
    p9_put_qid(fs, out, &st);
    p9_put(out, st.st_mode, 4);
    p9_put(out, st.st_uid, 4);
    p9_put(out, st.st_gid, 4);
    p9_put(out, st.st_nlink, 8);
    p9_put(out, st.st_rdev, 8);
    p9_put(out, (uint64_t)st.st_size, 8);
    p9_put(out, (uint64_t)st.st_blksize, 8);
    p9_put(out, (uint64_t)st.st_blocks, 8);
    put_time(out, &st.st_atim);
    put_time(out, &st.st_mtim);
    put_time(out, &st.st_ctim);
    for (unsigned i = 0; i < 4; i++) // birth time, generation, data version: not told
        p9_put(out, 0, 8);
    return 0;
}

struct change {
    uint32_t valid, mode, uid, gid;
    uint64_t size;
    struct timespec times[2];
};

static int change_owner_and_mode(struct fs *fs, const char *path, const struct change *c)
{
    if (!(c->valid & (SETATTR_MODE | SETATTR_UID | SETATTR_GID)))
        return 0;
    struct stat st;
    int r = folder_stat(fs, path, &st), fd = -1;
    if (r)
        return r;
    if (fs->security == FS_MAPPED) {
        unsigned which = (c->valid & SETATTR_MODE ? MAP_MODE : 0) | (c->valid & SETATTR_UID ? MAP_UID : 0) |
                         (c->valid & SETATTR_GID ? MAP_GID : 0);
        st.st_mode = (st.st_mode & S_IFMT) | (c->mode & 07777);
        st.st_uid = c->uid;
        st.st_gid = c->gid;
        fd = folder_open_plain(fs, path);
        r = fd < 0 ? fd : folder_map(fd, which, &st);
    } else {
        fd = folder_open(fs, path, O_PATH);
        r = fd < 0 ? fd : 0;
        if (!r && c->valid & (SETATTR_UID | SETATTR_GID) &&
            fchownat(fd, "", c->valid & SETATTR_UID ? c->uid : (uid_t)-1,
                     c->valid & SETATTR_GID ? c->gid : (gid_t)-1, AT_EMPTY_PATH) &&
            fs->security == FS_PASSTHROUGH)
            r = -errno;
        if (!r && c->valid & SETATTR_MODE)
            r = S_ISLNK(st.st_mode) ? -EOPNOTSUPP : folder_chmod(fd, c->mode & 07777);
    }
    if (fd >= 0)
        close(fd);
    return r;
}

static int change_size(struct fs *fs, const struct fid *fid, uint64_t size)
{
    struct stat st;
    if (size > INT64_MAX)
        return -EFBIG;
    if (fid->fd >= 0 && !ftruncate(fid->fd, (off_t)size))
        return 0;
    int r = folder_stat(fs, fid->path, &st);
    if (!r && !S_ISREG(st.st_mode))
        r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    if (r)
        return r;
    int fd = folder_open(fs, fid->path, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fd;
    r = ftruncate(fd, (off_t)size) ? -errno : 0;
    close(fd);
    return r;
}

static int change_times(struct fs *fs, const char *path, const struct change *c)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    static const uint32_t now[2] = {SETATTR_ATIME, SETATTR_MTIME},
                          given[2] = {SETATTR_ATIME_SET, SETATTR_MTIME_SET};
    if (!(c->valid & (SETATTR_ATIME | SETATTR_MTIME)))
        return 0;
    for (unsigned i = 0; i < 2; i++)
        if (c->valid & now[i]) {
            if (c->valid & given[i] && (uint64_t)c->times[i].tv_nsec > 999999999)
                return -EINVAL;
            times[i] = c->valid & given[i] ? c->times[i] : (struct timespec){.tv_nsec = UTIME_NOW};
        }
    const char *name;
    int dir = folder_parent(fs, path, &name);
    if (dir < 0)
        return dir;
    int r = utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
    close(dir);
    return r;
}

int p9_setattr(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    struct change c;
    struct fid *fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    c.valid = (uint32_t)p9_get(in, 4);
    c.mode = (uint32_t)p9_get(in, 4);
    c.uid = (uint32_t)p9_get(in, 4);
    c.gid = (uint32_t)p9_get(in, 4);
    c.size = p9_get(in, 8);
    for (unsigned i = 0; i < 2; i++) {
        c.times[i].tv_sec = (time_t)p9_get(in, 8);
        c.times[i].tv_nsec = (long)p9_get(in, 8);
    }
    if (!fid || in->bad)
        return r ? r : -EINVAL;
    r = change_owner_and_mode(fs, fid->path, &c);
    if (!r && c.valid & SETATTR_SIZE)
        r = change_size(fs, fid, c.size);
    return r ? r : change_times(fs, fid->path, &c);
}

static bool visible(const char *name)
{
    return !strncmp(name, "user.", 5) && strncmp(name, FOLDER_MAP_PREFIX, sizeof FOLDER_MAP_PREFIX - 1);
}

// The guest's part of a list of names in place; returns its length.
static ssize_t filter_names(char *names, ssize_t len)
{
    ssize_t kept = 0;
    for (ssize_t at = 0; at < len;) {
        size_t n = strlen(names + at) + 1;
        if (visible(names + at)) {
            memmove(names + kept, names + at, n);
            kept += (ssize_t)n;
        }
        at += (ssize_t)n;
    }
    return kept;
}

// Into scratch. The size or a negative errno.
static ssize_t fetch(struct fs *fs, const char *path, const char *name)
{
    if (*name && !visible(name))
        return -EOPNOTSUPP;
    int fd = folder_open_plain(fs, path);
    if (fd < 0)
        return fd == -EOPNOTSUPP ? (*name ? -ENODATA : 0) : fd;
    ssize_t n = *name ? fgetxattr(fd, name, fs->scratch, FS_MAX_XATTR)
                      : flistxattr(fd, (char *)fs->scratch, FS_MAX_XATTR);
    if (n < 0)
        n = -errno;
    else if (!*name)
        n = filter_names((char *)fs->scratch, n);
    close(fd);
    return n;
}

static int hold(struct fs *fs, struct fid *fid, enum fid_kind kind, uint32_t size)
{
    if (fs->xattr_bytes + size > FS_MAX_XATTR_BYTES)
        return -ENOSPC;
    fid->xattr = malloc(size ? size : 1);
    if (!fid->xattr)
        return -ENOMEM;
    fid->kind = kind;
    fid->xattr_size = size;
    fid->xattr_filled = 0;
    fs->xattr_bytes += size;
    return 0;
}

int p9_xattrwalk(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    char name[NAME_MAX + 1];
    struct fid *fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r), *new;
    uint32_t new_id = (uint32_t)p9_get(in, 4);
    int bad_name = p9_get_text(in, name, sizeof name);
    if (!fid || bad_name)
        return r ? r : bad_name;
    ssize_t n = fetch(fs, fid->path, name);
    if (n < 0)
        return (int)n;
    r = fid_create(fs, new_id, fid->path, fid->uid, &new);
    if (r)
        return r;
    r = hold(fs, new, FID_XATTR_READ, (uint32_t)n);
    if (r) {
        fid_destroy(fs, new);
        return r;
    }
    memcpy(new->xattr, fs->scratch, (size_t)n);
    p9_put(out, (uint64_t)n, 8);
    return 0;
}

int p9_xattrcreate(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    char name[NAME_MAX + 1];
    struct fid *fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    int bad_name = p9_get_text(in, name, sizeof name);
    uint64_t size = p9_get(in, 8);
    int flags = (int)p9_get(in, 4);
    if (!fid || bad_name || in->bad)
        return r ? r : bad_name ? bad_name : -EINVAL;
    if (fid->fd >= 0)
        return -EBUSY;
    if (!visible(name))
        return -EOPNOTSUPP;
    if (size > FS_MAX_XATTR)
        return -E2BIG;
    if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    strcpy(fid->xattr_name, name);
    fid->xattr_flags = flags;
    return hold(fs, fid, FID_XATTR_WRITE, (uint32_t)size);
}

// An attribute of no bytes is one to remove: the protocol has no other way to say so.
int p9_xattr_commit(struct fs *fs, struct fid *fid)
{
    if (fid->xattr_filled != fid->xattr_size)
        return -EINVAL;
    int fd = folder_open_plain(fs, fid->path);
    if (fd < 0)
        return fd == -EOPNOTSUPP ? -EPERM : fd;
    int r = fid->xattr_size ? fsetxattr(fd, fid->xattr_name, fid->xattr, fid->xattr_size, fid->xattr_flags)
                            : fremovexattr(fd, fid->xattr_name);
    r = r ? -errno : 0;
    close(fd);
    return r;
}
