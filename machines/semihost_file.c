// SPDX-License-Identifier: MIT
// Owns the guest's file handles. A handle is the console, the list of features, or a regular file below the folder that
// the user named: openat2 refuses every path and link that leads out of it.
#include "machines/semihost_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Magic, then feature bits: SYS_EXIT_EXTENDED, and standard error apart from standard output.
static const uint8_t features[] = {'S', 'H', 'F', 'B', 3};

static int free_handle(const struct semihost *s)
{
    for (int i = 0; i < SEMIHOST_HANDLES; i++)
        if (s->handles[i].kind == HANDLE_FREE)
            return i;
    return -1;
}

static int find(const struct semihost_call *c)
{
    uint64_t n = c->word[0];
    return n && n <= SEMIHOST_HANDLES && c->s->handles[n - 1].kind != HANDLE_FREE ? (int)n - 1 : -1;
}

static int read_path(const struct semihost_call *c, uint64_t at, uint64_t len, char path[SEMIHOST_PATH])
{
    if (len >= SEMIHOST_PATH)
        return -ENAMETOOLONG;
    if (len && !c->memory->read(c->memory->opaque, at, path, len))
        return -EFAULT;
    path[len] = 0;
    return strlen(path) == len && len ? 0 : -EINVAL;
}

static int open_below(const struct semihost *s, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
                           .mode = flags & O_CREAT ? 0644 : 0,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    struct stat st;
    if (s->folder < 0 || (s->readonly && (flags & O_ACCMODE) != O_RDONLY))
        return -EACCES;
    int fd = (int)syscall(SYS_openat2, s->folder, path, &how, sizeof how);
    if (fd < 0)
        return -errno;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode))
        return fd;
    close(fd);
    return -EACCES;
}

uint64_t semihost_open(struct semihost_call *c)
{
    // As fopen's r, r+, w, w+, a, a+, each with and without b.
    static const int flags[] = {O_RDONLY, O_RDWR, O_WRONLY | O_CREAT | O_TRUNC, O_RDWR | O_CREAT | O_TRUNC,
                                O_WRONLY | O_CREAT | O_APPEND, O_RDWR | O_CREAT | O_APPEND};
    struct semihost *s = c->s;
    char path[SEMIHOST_PATH];
    uint64_t mode = c->word[1];
    int n = free_handle(s), r = read_path(c, c->word[0], c->word[2], path), fd = -1;
    enum handle_kind kind = HANDLE_FILE;
    if (r || mode >= 12 || n < 0)
        return semihost_fail(c, r ? -r : n < 0 ? EMFILE : EINVAL);
    if (!strcmp(path, ":tt"))
        kind = mode < 4 ? HANDLE_IN : mode < 8 ? HANDLE_OUT : HANDLE_ERR;
    else if (!strcmp(path, ":semihosting-features"))
        kind = HANDLE_FEATURES;
    else if ((fd = open_below(s, path, flags[mode / 2])) < 0)
        return semihost_fail(c, -fd);
    s->handles[n].kind = kind;
    s->handles[n].fd = fd;
    s->handles[n].at = 0;
    return (uint64_t)n + 1;
}

static void close_handle(struct semihost *s, int n)
{
    if (s->handles[n].fd >= 0)
        close(s->handles[n].fd);
    s->handles[n].fd = -1;
    s->handles[n].kind = HANDLE_FREE;
}

void semihost_close_all(struct semihost *s)
{
    for (int i = 0; i < SEMIHOST_HANDLES; i++)
        close_handle(s, i);
}

void semihost_handles_loaded(struct semihost *s)
{
    for (int i = 0; i < SEMIHOST_HANDLES; i++) {
        uint32_t kind = s->handles[i].kind;
        close_handle(s, i);
        s->handles[i].kind = kind < HANDLE_FILE ? kind : HANDLE_FREE;
    }
}

uint64_t semihost_close(struct semihost_call *c)
{
    int n = find(c);
    if (n < 0)
        return semihost_fail(c, EBADF);
    close_handle(c->s, n);
    return 0;
}

// Both answer how many bytes were not transferred, and stop at a bound, so that a call ends.
uint64_t semihost_write(struct semihost_call *c)
{
    struct semihost *s = c->s;
    uint8_t chunk[SEMIHOST_CHUNK];
    uint64_t left = c->word[2], most = left < SEMIHOST_TRANSFER ? left : SEMIHOST_TRANSFER, done = 0;
    int n = find(c);
    if (n < 0 || s->handles[n].kind == HANDLE_IN || s->handles[n].kind == HANDLE_FEATURES) {
        semihost_fail(c, EBADF);
        return left;
    }
    while (done < most) {
        size_t part = most - done < sizeof chunk ? most - done : sizeof chunk;
        if (!c->memory->read(c->memory->opaque, c->word[1] + done, chunk, part)) {
            semihost_fail(c, EFAULT);
            break;
        }
        ssize_t wrote = (ssize_t)part;
        if (s->handles[n].kind == HANDLE_FILE)
            wrote = write(s->handles[n].fd, chunk, part);
        else
            semihost_print(s, s->handles[n].kind == HANDLE_ERR, chunk, part);
        if (wrote <= 0) {
            semihost_fail(c, errno);
            break;
        }
        done += (uint64_t)wrote;
    }
    return left - done;
}

static ssize_t read_handle(struct semihost *s, int n, uint8_t *chunk, size_t len)
{
    uint64_t at = s->handles[n].at;
    switch (s->handles[n].kind) {
    case HANDLE_FILE: return read(s->handles[n].fd, chunk, len);
    case HANDLE_FEATURES:
        len = at >= sizeof features ? 0 : len < sizeof features - at ? len : sizeof features - at;
        memcpy(chunk, features + (len ? at : 0), len);
        s->handles[n].at += len;
        return (ssize_t)len;
    default: return 0; // nobody types
    }
}

uint64_t semihost_read(struct semihost_call *c)
{
    uint8_t chunk[SEMIHOST_CHUNK];
    uint64_t left = c->word[2], most = left < SEMIHOST_TRANSFER ? left : SEMIHOST_TRANSFER, done = 0;
    int n = find(c);
    if (n < 0) {
        semihost_fail(c, EBADF);
        return left;
    }
    while (done < most) {
        size_t part = most - done < sizeof chunk ? most - done : sizeof chunk;
        ssize_t got = read_handle(c->s, n, chunk, part);
        if (got < 0)
            semihost_fail(c, errno);
        if (got <= 0)
            break;
        if (!c->memory->write(c->memory->opaque, c->word[1] + done, chunk, (size_t)got)) {
            semihost_fail(c, EFAULT);
            break;
        }
        done += (uint64_t)got;
    }
    return left - done;
}

uint64_t semihost_seek(struct semihost_call *c)
{
    int n = find(c);
    if (n < 0)
        return semihost_fail(c, EBADF);
    if (c->s->handles[n].kind == HANDLE_FEATURES)
        c->s->handles[n].at = c->word[1];
    else if (c->s->handles[n].kind != HANDLE_FILE || lseek(c->s->handles[n].fd, (off_t)c->word[1], SEEK_SET) < 0)
        return semihost_fail(c, EINVAL);
    return 0;
}

uint64_t semihost_flen(struct semihost_call *c)
{
    struct stat st;
    int n = find(c);
    if (n < 0)
        return semihost_fail(c, EBADF);
    if (c->s->handles[n].kind == HANDLE_FEATURES)
        return sizeof features;
    if (c->s->handles[n].kind != HANDLE_FILE || fstat(c->s->handles[n].fd, &st))
        return semihost_fail(c, EINVAL);
    return (uint64_t)st.st_size;
}

uint64_t semihost_istty(struct semihost_call *c)
{
    int n = find(c);
    if (n < 0)
        return semihost_fail(c, EBADF);
    if (c->s->handles[n].kind >= HANDLE_FEATURES)
        return 0;
    return c->s->chardev || isatty((int)c->s->handles[n].kind - HANDLE_IN); // in the order of the host's descriptors
}

// A file is removed by its name in its folder, which is found as files are.
uint64_t semihost_remove(struct semihost_call *c)
{
    char path[SEMIHOST_PATH];
    int r = read_path(c, c->word[0], c->word[1], path), folder = c->s->folder;
    if (r || folder < 0 || c->s->readonly)
        return semihost_fail(c, r ? -r : EACCES);
    char *slash = strrchr(path, '/');
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    if (slash) {
        *slash = 0;
        folder = (int)syscall(SYS_openat2, c->s->folder, path, &how, sizeof how);
    }
    if (folder < 0 || unlinkat(folder, slash ? slash + 1 : path, 0))
        r = errno;
    if (slash && folder >= 0)
        close(folder);
    return r ? semihost_fail(c, r) : 0;
}
