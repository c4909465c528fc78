// SPDX-License-Identifier: MIT
// Owns the messages of open files and folders: open, create, read, write, list, sync. Invariant: only plain
// files and folders are ever opened; whatever else lies in the folder is seen, not touched.
#include "host/fs/fs_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEPT_FLAGS = FID_FLAGS | O_TRUNC, IO_UNIT_HEADER = 24 };

// Linux's numbers of open flags, as the protocol has them, are those of the hosts we run on.
_Static_assert(O_TRUNC == 01000 && O_APPEND == 02000 && O_EXCL == 0200 && O_DSYNC == 010000,
               "9P2000.L flags");

static int room_for_one_more(const struct fs *fs)
{
    return fs->open_count < fs->max_open ? 0 : -EMFILE;
}

static void put_opened(struct fs *fs, struct p9_writer *out, const struct stat *st)
{
    p9_put_qid(fs, out, st);
    p9_put(out, fs->msize - IO_UNIT_HEADER, 4);
}

int p9_lopen(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    struct stat st;
    struct fid *fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    int flags = (int)p9_get(in, 4) & KEPT_FLAGS;
    if (!fid || in->bad)
        return r ? r : -EINVAL;
    if (fid->fd >= 0)
        return -EBUSY;
    bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
    r = folder_stat(fs, fid->path, &st);
    if (!r && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        r = S_ISLNK(st.st_mode) ? -ELOOP : -ENXIO;
    if (!r && writes)
        r = S_ISDIR(st.st_mode) ? -EISDIR : fs->readonly ? -EROFS : 0;
    if (!r)
        r = room_for_one_more(fs);
    if (r)
        return r;
    int fd =
        folder_open(fs, fid->path, flags | O_NONBLOCK | O_NOCTTY | (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
    if (fd < 0)
        return fd;
    r = folder_stat_fd(fs, fd, &st);
    if (!r && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        r = -ENXIO; // it was replaced meanwhile
    if (r) {
        close(fd);
        return r;
    }
    fid_opened(fs, fid, fd, S_ISDIR(st.st_mode), flags);
    put_opened(fs, out, &st);
    return 0;
}

int p9_lcreate(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    char name[NAME_MAX + 1], path[PATH_MAX];
    struct fid *fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    int bad_name = p9_get_name(in, name);
    int wanted = (int)p9_get(in, 4), flags = (wanted & (KEPT_FLAGS | O_EXCL)) | O_CREAT;
    mode_t mode = S_IFREG | ((mode_t)p9_get(in, 4) & 07777);
    uint32_t gid = (uint32_t)p9_get(in, 4);
    if (!fid || in->bad || bad_name)
        return r ? r : bad_name ? bad_name : -EINVAL;
    if (fid->fd >= 0)
        return -EBUSY;
    r = path_join(fid->path, name, path);
    if (!r)
        r = room_for_one_more(fs);
    if (r)
        return r;
    int dir = folder_open(fs, fid->path, O_PATH | O_DIRECTORY);
    if (dir < 0)
        return dir;
    // Whether we made it decides whether it gets an owner; O_EXCL tells.
    flags |= O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = openat(dir, name, flags | O_EXCL, 0600);
    bool made = fd >= 0;
    if (fd < 0 && errno == EEXIST && !(flags & O_EXCL))
        fd = openat(dir, name, flags & ~O_CREAT);
    struct stat st;
    r = fd < 0 ? -errno : 0;
    if (made)
        r = folder_own(fs, fd, mode, fid->uid, gid);
    if (!r)
        r = folder_stat_fd(fs, fd, &st);
    if (!r && !S_ISREG(st.st_mode))
        r = -ENXIO;
    if (!r)
        r = fid_set_path(fs, fid, path);
    if (r) {
        if (made)
            unlinkat(dir, name, 0);
        if (fd >= 0)
            close(fd);
    } else {
        fid_opened(fs, fid, fd, false, flags);
        put_opened(fs, out, &st);
    }
    close(dir);
    return r;
}

static uint32_t room_for_data(const struct fs *fs, const struct p9_writer *out, uint32_t count)
{
    uint32_t room = (out->size < fs->msize ? out->size : fs->msize) - FS_IO_HEADER;
    return count < room ? count : room;
}

static void put_count(struct p9_writer *out, uint32_t count)
{
    p9_put(out, count, 4);
    out->len += count; // the data is there already
}

int p9_read(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    struct fid *fid = fid_find(fs, (uint32_t)p9_get(in, 4));
    uint64_t offset = p9_get(in, 8);
    uint32_t count = (uint32_t)p9_get(in, 4);
    if (!fid || in->bad)
        return fid ? -EINVAL : -EBADF;
    count = room_for_data(fs, out, count);
    uint8_t *data = out->base + FS_IO_HEADER;
    if (fid->kind == FID_XATTR_READ) {
        uint64_t left = offset < fid->xattr_size ? fid->xattr_size - offset : 0;
        count = left < count ? (uint32_t)left : count;
        if (count)
            memcpy(data, fid->xattr + offset, count);
        put_count(out, count);
        return 0;
    }
    if (fid->fd < 0 || fid->is_dir || fid->kind != FID_PATH)
        return -EBADF;
    if (offset > (uint64_t)INT64_MAX - count)
        return -EINVAL;
    ssize_t n = pread(fid->fd, data, count, (off_t)offset);
    if (n < 0)
        return -errno;
    put_count(out, (uint32_t)n);
    return 0;
}

int p9_write(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    struct fid *fid = fid_find(fs, (uint32_t)p9_get(in, 4));
    uint64_t offset = p9_get(in, 8);
    uint32_t count = (uint32_t)p9_get(in, 4);
    if (!fid || in->bad || count > (size_t)(in->end - in->at))
        return fid ? -EINVAL : -EBADF;
    if (fid->kind == FID_XATTR_WRITE) {
        if (offset != fid->xattr_filled || count > fid->xattr_size - fid->xattr_filled)
            return -EINVAL;
        if (count)
            memcpy(fid->xattr + offset, in->at, count);
        fid->xattr_filled += count;
        p9_put(out, count, 4);
        return 0;
    }
    if (fid->fd < 0 || fid->is_dir || fid->kind != FID_PATH)
        return -EBADF;
    if (offset > (uint64_t)INT64_MAX - count)
        return -EINVAL;
    ssize_t n = pwrite(fid->fd, in->at, count, (off_t)offset);
    if (n < 0)
        return -errno;
    p9_put(out, (uint64_t)n, 4);
    return 0;
}

// The layout of getdents64's answer.
struct host_dirent {
    uint64_t ino;
    int64_t next;
    uint16_t size;
    uint8_t type;
    char name[];
} __attribute__((packed));

// A mapped plain file may be anything to the guest; ".." of the root is the root.
static void put_entry(struct fs *fs, struct p9_writer *out, const struct fid *fid, const struct stat *dir,
                      const struct host_dirent *entry)
{
    uint8_t type = fs->security == FS_MAPPED && entry->type == DT_REG ? DT_UNKNOWN : entry->type;
    uint64_t ino = !*fid->path && !strcmp(entry->name, "..") ? dir->st_ino : entry->ino;
    p9_put(out, p9_qid_type((mode_t)DTTOIF(entry->type)), 1);
    p9_put(out, 0, 4);
    p9_put(out, p9_qid_path(fs, dir->st_dev, ino), 8);
    p9_put(out, (uint64_t)entry->next, 8);
    p9_put(out, type, 1);
    p9_put_text(out, entry->name);
}

int p9_readdir(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    struct stat st;
    struct fid *fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    uint64_t offset = p9_get(in, 8);
    uint32_t count = (uint32_t)p9_get(in, 4);
    if (!fid || in->bad)
        return r ? r : -EINVAL;
    if (fid->fd < 0 || !fid->is_dir)
        return -EBADF;
    if (fstat(fid->fd, &st) || lseek(fid->fd, (off_t)offset, SEEK_SET) < 0)
        return -errno;
    struct p9_writer entries = {out->base + FS_IO_HEADER, 0, room_for_data(fs, out, count), false};
    enum { CHUNK = 1 << 15 }; // of scratch
    while (!entries.full) {
        long n = syscall(SYS_getdents64, fid->fd, fs->scratch, CHUNK);
        if (n < 0)
            return -errno;
        if (!n)
            break;
        for (long at = 0; at < n && !entries.full;) {
            const struct host_dirent *entry = (const void *)(fs->scratch + at);
            uint32_t before = entries.len;
            put_entry(fs, &entries, fid, &st, entry);
            if (entries.full)
                entries.len = before; // it comes with the next call, which starts behind the one before
            at += entry->size;
        }
    }
    if (!entries.len && entries.full)
        return -EINVAL;
    put_count(out, entries.len);
    return 0;
}

int p9_fsync(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    struct fid *fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    bool data_only = p9_get(in, 4);
    if (!fid)
        return r;
    if (fid->fd < 0)
        return -EBADF;
    return (data_only ? fdatasync(fid->fd) : fsync(fid->fd)) ? -errno : 0;
}

// Locks are the guest's own affair: its kernel keeps them, and nobody else is told.
int p9_lock(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    enum { SUCCESS = 0 };
    int r = 0;
    if (!p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r))
        return r;
    p9_put(out, SUCCESS, 1);
    return 0;
}

int p9_getlock(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    enum { UNLOCKED = 2 };
    int r = 0;
    char client[NAME_MAX + 1];
    if (!p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r))
        return r;
    p9_get(in, 1);
    uint64_t start = p9_get(in, 8), length = p9_get(in, 8), process = p9_get(in, 4);
    r = p9_get_text(in, client, sizeof client);
    if (r)
        return r;
    p9_put(out, UNLOCKED, 1);
    p9_put(out, start, 8);
    p9_put(out, length, 8);
    p9_put(out, process, 4);
    p9_put_text(out, client);
    return 0;
}
