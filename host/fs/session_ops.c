// SPDX-License-Identifier: MIT
// Owns the messages of a session and of fids as such: version, attach, walk, clunk and remove, statfs.
// Invariant: a walk that fails part of the way makes no fid.
#include "host/fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

enum { MAX_WALK = 16, QID_SIZE = 13, V9FS_MAGIC = 0x01021997 };

struct fid *p9_path_fid(struct fs *fs, uint32_t id, int *ret)
{
    struct fid *fid = fid_find(fs, id);
    if (fid && fid->kind == FID_PATH)
        return fid;
    *ret = -EBADF;
    return NULL;
}

uint8_t p9_qid_type(mode_t mode)
{
    enum { QTDIR = 0x80, QTSYMLINK = 0x02 };
    return S_ISDIR(mode) ? QTDIR : S_ISLNK(mode) ? QTSYMLINK : 0;
}

// With FS_REMAP the upper byte tells devices apart; the exported folder's own is 0.
uint64_t p9_qid_path(struct fs *fs, dev_t dev, ino_t ino)
{
    unsigned i = 0;
    if (fs->multidevs != FS_REMAP || dev == fs->root_dev)
        return ino;
    while (i < fs->device_count && fs->devices[i] != dev)
        i++;
    if (i == fs->device_count && i < FS_MAX_DEVICES)
        fs->devices[fs->device_count++] = dev;
    return (uint64_t)i << 56 ^ ino;
}

void p9_put_qid(struct fs *fs, struct p9_writer *out, const struct stat *st)
{
    uint64_t version =
        (uint64_t)st->st_mtim.tv_sec ^ (uint64_t)st->st_mtim.tv_nsec ^ (uint64_t)st->st_size << 8;
    p9_put(out, p9_qid_type(st->st_mode), 1);
    p9_put(out, version, 4);
    p9_put(out, p9_qid_path(fs, st->st_dev, st->st_ino), 8);
}

int p9_put_qid_of(struct fs *fs, struct p9_writer *out, const char *path)
{
    struct stat st;
    int r = folder_stat(fs, path, &st);
    if (!r)
        p9_put_qid(fs, out, &st);
    return r;
}

int p9_version(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    char version[32];
    uint64_t msize = p9_get(in, 4);
    int r = p9_get_text(in, version, sizeof version);
    if (r == -EINVAL)
        return r;
    fids_clear(fs);
    if (msize < FS_MIN_MESSAGE)
        return -EMSGSIZE;
    fs->msize = msize < FS_MAX_MESSAGE ? (uint32_t)msize : FS_MAX_MESSAGE;
    p9_put(out, fs->msize, 4);
    p9_put_text(out, r || strcmp(version, "9P2000.L") ? "unknown" : version);
    return 0;
}

int p9_auth(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    return -EOPNOTSUPP;
}

int p9_attach(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    char user[NAME_MAX + 1], tree[PATH_MAX];
    uint32_t id = (uint32_t)p9_get(in, 4);
    p9_get(in, 4); // afid
    int r = p9_get_text(in, user, sizeof user);
    if (!r)
        r = p9_get_text(in, tree, sizeof tree); // there is only one
    uint32_t uid = (uint32_t)p9_get(in, 4);
    struct fid *fid;
    if (r || in->bad)
        return r ? r : -EINVAL;
    r = fid_create(fs, id, "", uid, &fid);
    if (!r && (r = p9_put_qid_of(fs, out, "")))
        fid_destroy(fs, fid);
    return r;
}

// Messages are served one at a time: what is to be flushed has been answered.
int p9_flush(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    p9_get(in, 2);
    return 0;
}

// One step; path is changed in place. *ret_st is what is there then.
static int step(struct fs *fs, char path[PATH_MAX], const char *name, struct stat *ret_st)
{
    char next[PATH_MAX];
    int r = 0;
    strcpy(next, path);
    if (!*name || strchr(name, '/'))
        return -ENOENT;
    if (!strcmp(name, ".."))
        path_up(next);
    else if (strcmp(name, "."))
        r = path_join(path, name, next);
    if (!r)
        r = folder_stat(fs, next, ret_st);
    if (!r)
        strcpy(path, next);
    return r;
}

int p9_walk(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    struct fid *fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    uint32_t new_id = (uint32_t)p9_get(in, 4);
    unsigned count = (unsigned)p9_get(in, 2), done = 0;
    if (!fid || in->bad || count > MAX_WALK)
        return r ? r : -EINVAL;
    if (fid->fd >= 0 && (count || new_id == fid->id))
        return -EBUSY; // an open fid does not walk
    char path[PATH_MAX];
    strcpy(path, fid->path);
    uint32_t count_at = out->len;
    p9_put(out, 0, 2);
    for (; done < count; done++) {
        char name[NAME_MAX + 1];
        struct stat st;
        r = p9_get_text(in, name, sizeof name);
        if (!r)
            r = step(fs, path, name, &st);
        if (r)
            break;
        p9_put_qid(fs, out, &st);
    }
    if (in->bad || (r && !done))
        return r ? r : -EINVAL;
    if (out->full)
        return -EMSGSIZE;
    memcpy(out->base + count_at, &(uint16_t){(uint16_t)done}, 2);
    if (done < count)
        return 0;
    return new_id == fid->id ? fid_set_path(fs, fid, path) : fid_create(fs, new_id, path, fid->uid, &fid);
}

int p9_clunk(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    struct fid *fid = fid_find(fs, (uint32_t)p9_get(in, 4));
    if (!fid)
        return -EBADF;
    int r = fid->kind == FID_XATTR_WRITE ? p9_xattr_commit(fs, fid) : 0;
    fid_destroy(fs, fid);
    return r;
}

// The fid is gone whether or not the file is.
int p9_remove(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    struct fid *fid = fid_find(fs, (uint32_t)p9_get(in, 4));
    if (!fid)
        return -EBADF;
    struct stat st;
    int r = fs->readonly ? -EROFS : fid->kind == FID_PATH ? folder_stat(fs, fid->path, &st) : -EBADF;
    if (!r)
        r = p9_unlink(fs, fid->path, S_ISDIR(st.st_mode));
    fid_destroy(fs, fid);
    return r;
}

int p9_statfs(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    struct statfs st;
    struct fid *fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    int fd = fid ? folder_open(fs, fid->path, O_PATH) : r;
    if (fd < 0)
        return fd;
    r = fstatfs(fd, &st) ? -errno : 0;
    close(fd);
    if (r)
        return r;
    uint64_t id;
    memcpy(&id, &st.f_fsid, sizeof id);
    p9_put(out, V9FS_MAGIC, 4);
    p9_put(out, (uint64_t)st.f_bsize, 4);
    p9_put(out, st.f_blocks, 8);
    p9_put(out, st.f_bfree, 8);
    p9_put(out, st.f_bavail, 8);
    p9_put(out, st.f_files, 8);
    p9_put(out, st.f_ffree, 8);
    p9_put(out, id, 8);
    p9_put(out, (uint64_t)st.f_namelen, 4);
    return 0;
}
