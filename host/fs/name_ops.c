// SPDX-License-Identifier: MIT
// Owns the messages that change names: links, folders, special files, renaming, removal. Invariant: a
// symbolic link is data; with FS_MAPPED it is a plain file that holds its text. A special file exists as
// metadata or not at all.
#include "host/fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// What the messages that make an entry begin with: a folder's fid and a name.
struct place {
    struct fid *fid;
    int dir; // O_PATH
    char name[NAME_MAX + 1], path[PATH_MAX];
};

static int get_place(struct fs *fs, struct p9_reader *in, struct place *p)
{
    int r = 0;
    p->dir = -1;
    p->fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    int bad_name = p9_get_name(in, p->name);
    if (!r)
        r = bad_name;
    return r ? r : path_join(p->fid->path, p->name, p->path);
}

static int open_place(struct fs *fs, struct p9_reader *in, struct place *p)
{
    if (in->bad)
        return -EINVAL;
    p->dir = folder_open(fs, p->fid->path, O_PATH | O_DIRECTORY);
    return p->dir < 0 ? p->dir : 0;
}

// A plain file of ours that stands for something else.
static int make_stand_in(const struct place *p, const struct stat *st, const char *text)
{
    int fd = openat(p->dir, p->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    size_t len = text ? strlen(text) : 0;
    ssize_t n = len ? write(fd, text, len) : 0;
    int r = n < 0             ? -errno
            : (size_t)n < len ? -ENOSPC
                              : folder_map(fd, MAP_MODE | MAP_UID | MAP_GID | MAP_RDEV, st);
    close(fd);
    if (r)
        unlinkat(p->dir, p->name, 0);
    return r;
}

// Owner and mode of the entry just made; removes it where that fails.
static int own(struct fs *fs, const struct place *p, mode_t mode, uint32_t gid)
{
    int fd = fs->security == FS_MAPPED ? folder_open_plain(fs, p->path) : folder_open(fs, p->path, O_PATH);
    int r = fd < 0 ? fd : folder_own(fs, fd, mode, p->fid->uid, gid);
    if (fd >= 0)
        close(fd);
    if (r)
        unlinkat(p->dir, p->name, S_ISDIR(mode) ? AT_REMOVEDIR : 0);
    return r;
}

static int finish(struct fs *fs, struct p9_writer *out, const struct place *p, int r)
{
    if (p->dir >= 0)
        close(p->dir);
    return r ? r : p9_put_qid_of(fs, out, p->path);
}

int p9_symlink(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    struct place p;
    char text[PATH_MAX];
    int r = get_place(fs, in, &p), bad_text = p9_get_text(in, text, sizeof text);
    uint32_t gid = (uint32_t)p9_get(in, 4);
    if (!r)
        r = bad_text;
    if (!r)
        r = open_place(fs, in, &p);
    if (!r && fs->security == FS_MAPPED) {
        const struct stat st = {.st_mode = S_IFLNK | 0777, .st_uid = p.fid->uid, .st_gid = gid};
        r = *text ? make_stand_in(&p, &st, text) : -ENOENT;
    } else if (!r) {
        r = symlinkat(text, p.dir, p.name) ? -errno : own(fs, &p, S_IFLNK | 0777, gid);
    }
    return finish(fs, out, &p, r);
}

int p9_mknod(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    struct place p;
    int r = get_place(fs, in, &p);
    mode_t mode = (mode_t)p9_get(in, 4);
    unsigned major = (unsigned)p9_get(in, 4), minor = (unsigned)p9_get(in, 4);
    uint32_t gid = (uint32_t)p9_get(in, 4);
    if (!(mode & S_IFMT))
        mode |= S_IFREG;
    if (!r && (S_ISDIR(mode) || S_ISLNK(mode)))
        r = -EINVAL;
    if (!r && fs->security != FS_MAPPED && !S_ISREG(mode))
        r = -EPERM;
    if (!r)
        r = open_place(fs, in, &p);
    if (!r && fs->security == FS_MAPPED) {
        bool device = S_ISCHR(mode) || S_ISBLK(mode);
        const struct stat st = {.st_mode = mode & (S_IFMT | 07777),
                                .st_uid = p.fid->uid,
                                .st_gid = gid,
                                .st_rdev = device ? makedev(major, minor) : 0};
        r = make_stand_in(&p, &st, NULL);
    } else if (!r) {
        r = mknodat(p.dir, p.name, S_IFREG | 0600, 0) ? -errno : own(fs, &p, mode, gid);
    }
    return finish(fs, out, &p, r);
}

int p9_mkdir(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    struct place p;
    int r = get_place(fs, in, &p);
    mode_t mode = S_IFDIR | ((mode_t)p9_get(in, 4) & 07777);
    uint32_t gid = (uint32_t)p9_get(in, 4);
    if (!r)
        r = open_place(fs, in, &p);
    if (!r)
        r = mkdirat(p.dir, p.name, 0700) ? -errno : own(fs, &p, mode, gid);
    return finish(fs, out, &p, r);
}

int p9_link(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    char name[NAME_MAX + 1], path[PATH_MAX];
    const char *old_name;
    struct fid *folder = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    struct fid *old = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    int bad_name = p9_get_name(in, name);
    if (!r)
        r = bad_name;
    if (!r)
        r = path_join(folder->path, name, path);
    if (r || in->bad)
        return r ? r : -EINVAL;
    if (!*old->path)
        return -EPERM;
    int old_dir = folder_parent(fs, old->path, &old_name);
    if (old_dir < 0)
        return old_dir;
    int dir = folder_open(fs, folder->path, O_PATH | O_DIRECTORY);
    r = dir < 0 ? dir : linkat(old_dir, old_name, dir, name, 0) ? -errno : 0;
    if (dir >= 0)
        close(dir);
    close(old_dir);
    return r;
}

static int rename_to(struct fs *fs, const char *from, const char *to)
{
    const char *from_name, *to_name;
    if (!*from || !*to)
        return -EBUSY;
    int from_dir = folder_parent(fs, from, &from_name);
    if (from_dir < 0)
        return from_dir;
    int to_dir = folder_parent(fs, to, &to_name);
    int r = to_dir < 0 ? to_dir : renameat(from_dir, from_name, to_dir, to_name) ? -errno : 0;
    if (to_dir >= 0)
        close(to_dir);
    close(from_dir);
    if (!r)
        fids_renamed(fs, from, to);
    return r;
}

int p9_rename(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    struct place p;
    struct fid *fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    int bad_place = get_place(fs, in, &p);
    if (!r)
        r = bad_place;
    char from[PATH_MAX];
    if (r || in->bad)
        return r ? r : -EINVAL;
    strcpy(from, fid->path); // the fid's own is renamed on the way
    return rename_to(fs, from, p.path);
}

int p9_renameat(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    struct place from, to;
    int r = get_place(fs, in, &from), bad_to = get_place(fs, in, &to);
    if (!r)
        r = bad_to;
    return r ? r : in->bad ? -EINVAL : rename_to(fs, from.path, to.path);
}

int p9_unlink(struct fs *fs, const char *path, bool dir)
{
    const char *name;
    if (!*path)
        return -EBUSY;
    int parent = folder_parent(fs, path, &name);
    if (parent < 0)
        return parent;
    int r = unlinkat(parent, name, dir ? AT_REMOVEDIR : 0) ? -errno : 0;
    close(parent);
    return r;
}

int p9_unlinkat(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    enum { REMOVEDIR = 0x200 };
    struct place p;
    int r = get_place(fs, in, &p);
    uint32_t flags = (uint32_t)p9_get(in, 4);
    if (r || in->bad || flags & ~(uint32_t)REMOVEDIR)
        return r ? r : -EINVAL;
    return p9_unlink(fs, p.path, flags & REMOVEDIR);
}

int p9_readlink(struct fs *fs, struct p9_reader *in, struct p9_writer *out)
{
    int r = 0;
    struct stat st;
    char text[PATH_MAX];
    struct fid *fid = p9_path_fid(fs, (uint32_t)p9_get(in, 4), &r);
    if (!fid)
        return r;
    int fd = folder_open(fs, fid->path, O_PATH);
    if (fd < 0)
        return fd;
    ssize_t n = readlinkat(fd, "", text, sizeof text - 1);
    r = n < 0 ? -errno : 0;
    close(fd);
    if (r && fs->security == FS_MAPPED) { // not a link of the host's: perhaps a stand-in
        fd = folder_open_plain(fs, fid->path);
        if (fd < 0)
            return fd;
        r = folder_stat_fd(fs, fd, &st);
        if (!r)
            r = S_ISLNK(st.st_mode) ? 0 : -EINVAL;
        n = r ? 0 : pread(fd, text, sizeof text - 1, 0);
        if (n < 0)
            r = -errno;
        close(fd);
    }
    if (r)
        return r;
    text[n] = 0;
    p9_put_text(out, text);
    return 0;
}
