// SPDX-License-Identifier: MIT
// Owns the way from a guest's path to the host's files. Invariant: every path is resolved by openat2 below
// the root without following any symbolic link, so nothing outside is reached whatever the guest, or somebody
// on the host, renames meanwhile; calls on a single name never follow it either.
#include "host/fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

int folder_open(const struct fs *fs, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
                   (fs->multidevs == FS_FORBID ? RESOLVE_NO_XDEV : 0),
    };
    enum { ATTEMPTS = 100 }; // EAGAIN: something was renamed meanwhile
    long fd = -1;
    for (int i = 0; i < ATTEMPTS; i++) {
        fd = syscall(SYS_openat2, fs->root, *path ? path : ".", &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return fd >= 0 ? (int)fd : -errno;
}

int folder_parent(const struct fs *fs, const char *path, const char **ret_name)
{
    char dir[PATH_MAX] = "";
    const char *slash = strrchr(path, '/');
    if (slash)
        memcpy(dir, path, (size_t)(slash - path)); // the rest is zeros
    *ret_name = slash ? slash + 1 : *path ? path : ".";
    return folder_open(fs, dir, O_PATH | O_DIRECTORY);
}

int folder_open_plain(const struct fs *fs, const char *path)
{
    struct stat st;
    int fd = folder_open(fs, path, O_PATH);
    if (fd < 0)
        return fd;
    int r = fstat(fd, &st) ? -errno : 0;
    close(fd);
    if (r)
        return r;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return -EOPNOTSUPP;
    return folder_open(fs, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

static bool map_get(int fd, const char *name, void *value, size_t size)
{
    uint8_t buf[8];
    if (fgetxattr(fd, name, buf, size) != (ssize_t)size)
        return false;
    memcpy(value, buf, size);
    return true;
}

// A folder is a folder whatever its attributes say, and nothing else is.
static void apply_map(int fd, struct stat *st)
{
    uint32_t value;
    uint64_t rdev;
    if (map_get(fd, FOLDER_MAP_PREFIX "uid", &value, 4))
        st->st_uid = value;
    if (map_get(fd, FOLDER_MAP_PREFIX "gid", &value, 4))
        st->st_gid = value;
    if (map_get(fd, FOLDER_MAP_PREFIX "mode", &value, 4)) {
        bool kind_fits = !S_ISDIR(st->st_mode) && !S_ISDIR(value) && value & S_IFMT;
        st->st_mode = (kind_fits ? value & S_IFMT : st->st_mode & S_IFMT) | (value & 07777);
    }
    if (map_get(fd, FOLDER_MAP_PREFIX "rdev", &rdev, 8))
        st->st_rdev = rdev;
}

int folder_stat_fd(const struct fs *fs, int fd, struct stat *ret_st)
{
    struct stat st;
    if (fstat(fd, &st))
        return -errno;
    if (fs->security == FS_MAPPED)
        apply_map(fd, &st);
    *ret_st = st;
    return 0;
}

int folder_stat(const struct fs *fs, const char *path, struct stat *ret_st)
{
    struct stat st;
    int fd = folder_open(fs, path, O_PATH);
    if (fd < 0)
        return fd;
    int r = fstat(fd, &st) ? -errno : 0;
    close(fd);
    if (!r && fs->security == FS_MAPPED && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
        fd = folder_open(fs, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (fd >= 0) {
            apply_map(fd, &st);
            close(fd);
        }
    }
    if (!r)
        *ret_st = st;
    return r;
}

int folder_map(int fd, unsigned which, const struct stat *st)
{
    const uint32_t mode = st->st_mode, uid = st->st_uid, gid = st->st_gid;
    const uint64_t rdev = st->st_rdev;
    const struct {
        unsigned bit;
        const char *name;
        const void *value;
        size_t size;
    } rows[] = {
        {MAP_UID, FOLDER_MAP_PREFIX "uid", &uid, 4},
        {MAP_GID, FOLDER_MAP_PREFIX "gid", &gid, 4},
        {MAP_MODE, FOLDER_MAP_PREFIX "mode", &mode, 4},
        {MAP_RDEV, FOLDER_MAP_PREFIX "rdev", &rdev, 8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (which & rows[i].bit && fsetxattr(fd, rows[i].name, rows[i].value, rows[i].size, 0))
            return -errno;
    return 0;
}

int folder_chmod(int path_fd, mode_t mode)
{
    enum { FCHMODAT2 = 452 }; // Linux 6.6; before it, by the descriptor's name in /proc
    if (!syscall(FCHMODAT2, path_fd, "", mode, AT_EMPTY_PATH))
        return 0;
    if (errno != ENOSYS && errno != EPERM)
        return -errno;
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", path_fd);
    return fchmodat(AT_FDCWD, name, mode, 0) ? -errno : 0;
}

int folder_own(const struct fs *fs, int fd, mode_t mode, uint32_t uid, uint32_t gid)
{
    if (fs->security == FS_MAPPED) {
        const struct stat st = {.st_mode = mode, .st_uid = uid, .st_gid = gid};
        return folder_map(fd, MAP_MODE | MAP_UID | MAP_GID, &st);
    }
    if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) && fs->security == FS_PASSTHROUGH)
        return -errno;
    return S_ISLNK(mode) ? 0 : folder_chmod(fd, mode & 07777);
}
