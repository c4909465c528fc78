// SPDX-License-Identifier: MIT
// Owns the opening of migration addresses, and transfers that a cancel can end: descriptors that may block are made
// non-blocking and waited for together with an event. Invariants: the process's signals do not reach the command, and no
// command can hold up a cancel: it is told to end and, where it does not, killed.
#include "control/snapshot/channel.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { TERM_MS = 500 }; // for a command to end when it is told to

int channel_create(struct channel *c, struct error *err)
{
    *c = (struct channel){.fd = -1, .listener = -1, .child_fd = -1};
    c->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return c->cancel_fd < 0 ? error_set(err, -errno, "no descriptor for a migration: %s", strerror(errno)) : 0;
}

void channel_cancel(struct channel *c)
{
    uint64_t one = 1;
    (void)!write(c->cancel_fd, &one, sizeof one);
}

// Waits until fd is ready for events. -ECANCELED when cancelled first.
static int wait_for(const struct channel *c, int fd, short events, struct error *err)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = c->cancel_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return error_set(err, -errno, "cannot wait for the peer: %s", strerror(errno));
    return fds[1].revents ? error_set(err, -ECANCELED, "cancelled") : 0;
}

int channel_pause(const struct channel *c, int ms, struct error *err)
{
    struct pollfd fd = {.fd = c->cancel_fd, .events = POLLIN};
    return poll(&fd, 1, ms) > 0 ? error_set(err, -ECANCELED, "cancelled") : 0;
}

static int set_nonblocking(int fd)
{
    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// ---- addresses ----------------------------------------------------------------------------------------------------

static int open_file(struct channel *c, const char *path, bool write, struct error *err)
{
    c->file = true;
    c->fd = write ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : open(path, O_RDONLY | O_CLOEXEC);
    return c->fd < 0 ? error_set(err, -errno, "cannot open '%s': %s", path, strerror(errno)) : 0;
}

static int run_command(struct channel *c, const char *command, bool write, struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return error_set(err, -errno, "no pipe for '%s': %s", command, strerror(errno));
    char *const argv[] = {"sh", "-c", (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[write ? 0 : 1], write ? 0 : 1);
    if (!write)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    int e = posix_spawn(&c->child, "/bin/sh", &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    close(ends[write ? 0 : 1]);
    c->fd = ends[write ? 1 : 0];
    if (e) {
        c->child = 0;
        return error_set(err, -e, "cannot run '%s': %s%s", command, strerror(e),
                         e == EPERM ? " (-sandbox off lets the machine start programs)" : "");
    }
    c->child_fd = pidfd_open(c->child, 0);
    if (c->child_fd < 0)
        return error_set(err, -errno, "cannot watch '%s': %s", command, strerror(errno));
    return set_nonblocking(c->fd) ? error_set(err, -errno, "cannot use the pipe of '%s'", command) : 0;
}

// Connects a socket that does not block. 0 or a positive errno; a cancel is ECANCELED.
static int connect_to(const struct channel *c, int fd, const struct sockaddr *address, socklen_t size)
{
    int e = 0;
    socklen_t e_size = sizeof e;
    if (!connect(fd, address, size))
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (wait_for(c, fd, POLLOUT, NULL))
        return ECANCELED;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &e_size) ? errno : e;
}

// A bound or connected socket. 0 or a positive errno.
static int use_address(const struct channel *c, int fd, const struct sockaddr *address, socklen_t size, bool listens)
{
    int on = 1;
    if (!listens)
        return connect_to(c, fd, address, size);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return bind(fd, address, size) || listen(fd, 1) ? errno : 0;
}

static int open_unix(const struct channel *c, const char *path, bool listens, int *ret_fd, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, -ENAMETOOLONG, "the path '%s' is too long for a socket", path);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listens)
        unlink(path);
    int e = fd < 0 ? errno : use_address(c, fd, (struct sockaddr *)&address, sizeof address, listens);
    if (e) {
        if (fd >= 0)
            close(fd);
        return error_set(err, -e, "cannot %s 'unix:%s': %s", listens ? "listen on" : "connect to", path, strerror(e));
    }
    *ret_fd = fd;
    return 0;
}

// "HOST:PORT"; an IPv6 address stands in brackets, an empty host is any or this one.
static int open_tcp(const struct channel *c, const char *text, bool listens, int *ret_fd, struct error *err)
{
    const char *colon = strrchr(text, ':');
    char host[256] = "";
    size_t size = colon ? (size_t)(colon - text) : sizeof host;
    if (size >= sizeof host || !colon[1] || strchr(colon, ','))
        return error_set(err, -EINVAL, "'tcp:%s' is not tcp:HOST:PORT", text);
    if (text[0] == '[' && size >= 2 && text[size - 1] == ']')
        text++, size -= 2;
    memcpy(host, text, size);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = listens ? AI_PASSIVE : 0};
    struct addrinfo *found;
    const char *name = !*host || !strcmp(host, "0") ? NULL : host;
    int e = getaddrinfo(name, colon + 1, &hints, &found), failed = 0, fd = -1;
    if (e)
        return error_set(err, -EINVAL, "'tcp:%s': %s", text, gai_strerror(e));
    for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        failed = fd < 0 ? errno : use_address(c, fd, a->ai_addr, a->ai_addrlen, listens);
        if (failed && fd >= 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0)
        return error_set(err, -failed, "cannot %s 'tcp:%s': %s", listens ? "listen on" : "connect to", text,
                         strerror(failed));
    *ret_fd = fd;
    return 0;
}

static bool starts(const char *uri, const char *scheme, const char **ret_rest)
{
    size_t size = strlen(scheme);
    *ret_rest = uri + size;
    return !strncmp(uri, scheme, size);
}

static int unknown(const char *uri, struct error *err)
{
    return error_set(err, -EINVAL, "'%s' is no place for a machine's state (file:, exec:, unix: or tcp:)", uri);
}

int channel_check(const char *uri, struct error *err)
{
    static const char *const schemes[] = {"file:", "exec:", "unix:", "tcp:"};
    const char *rest;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (starts(uri, schemes[i], &rest))
            return 0;
    return unknown(uri, err);
}

int channel_connect(struct channel *c, const char *uri, struct error *err)
{
    const char *rest;
    if (starts(uri, "file:", &rest))
        return open_file(c, rest, true, err);
    if (starts(uri, "exec:", &rest))
        return run_command(c, rest, true, err);
    if (starts(uri, "unix:", &rest))
        return open_unix(c, rest, false, &c->fd, err);
    return starts(uri, "tcp:", &rest) ? open_tcp(c, rest, false, &c->fd, err) : unknown(uri, err);
}

int channel_listen(struct channel *c, const char *uri, struct error *err)
{
    const char *rest;
    if (starts(uri, "file:", &rest))
        return open_file(c, rest, false, err);
    if (starts(uri, "exec:", &rest))
        return run_command(c, rest, false, err);
    if (starts(uri, "unix:", &rest)) {
        int r = open_unix(c, rest, true, &c->listener, err);
        c->path = r ? NULL : rest;
        return r;
    }
    return starts(uri, "tcp:", &rest) ? open_tcp(c, rest, true, &c->listener, err) : unknown(uri, err);
}

int channel_accept(struct channel *c, struct error *err)
{
    if (c->fd >= 0)
        return 0;
    int r = wait_for(c, c->listener, POLLIN, err);
    if (r)
        return r;
    c->fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return c->fd < 0 ? error_set(err, -errno, "no peer came: %s", strerror(errno)) : 0;
}

// ---- transfers ----------------------------------------------------------------------------------------------------

int channel_write(void *opaque, const void *data, size_t size, struct error *err)
{
    const struct channel *c = opaque;
    for (const char *from = data; size;) {
        ssize_t n = write(c->fd, from, size);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return error_set(err, -errno, errno == EPIPE ? "the receiver has gone" : "cannot write: %s",
                             strerror(errno));
        int r = c->file && n >= 0 ? 0 : wait_for(c, c->fd, POLLOUT, err);
        if (r)
            return r;
        from += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int channel_read(void *opaque, void *data, size_t size, struct error *err)
{
    const struct channel *c = opaque;
    for (char *to = data; size;) {
        ssize_t n = read(c->fd, to, size);
        if (!n)
            return error_set(err, -EPIPE, "the saved state ends early");
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return error_set(err, -errno, "cannot read the saved state: %s", strerror(errno));
        int r = n < 0 ? wait_for(c, c->fd, POLLIN, err) : 0;
        if (r)
            return r;
        to += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

// Whether the command has ended, after ms milliseconds at most; -1: without end. 0, -ETIMEDOUT, or -ECANCELED.
static int wait_for_child(const struct channel *c, int ms, bool heed_cancel)
{
    struct pollfd fds[2] = {{.fd = c->child_fd, .events = POLLIN}, {.fd = heed_cancel ? c->cancel_fd : -1, .events = POLLIN}};
    int n;
    while ((n = poll(fds, 2, ms)) < 0 && errno == EINTR) {
        // again
    }
    return fds[0].revents ? 0 : n ? -ECANCELED : -ETIMEDOUT;
}

static int end_child(struct channel *c, bool complete, struct error *err)
{
    int status = 0, r = complete ? wait_for_child(c, -1, true) : -ECANCELED;
    if (r && wait_for_child(c, 0, false)) {
        kill(c->child, SIGTERM);
        if (c->child_fd < 0 || wait_for_child(c, TERM_MS, false))
            kill(c->child, SIGKILL);
    }
    while (waitpid(c->child, &status, 0) < 0 && errno == EINTR) {
        // again
    }
    if (c->child_fd >= 0)
        close(c->child_fd);
    if (complete && r)
        return error_set(err, -ECANCELED, "cancelled");
    return complete && status ? error_set(err, -EIO, "the command has failed") : 0;
}

int channel_finish(struct channel *c, bool complete, struct error *err)
{
    int r = 0;
    bool unsynced = complete && c->file && fsync(c->fd) && errno != EINVAL && errno != EROFS && errno != EBADF;
    if (unsynced)
        r = error_set(err, -errno, "the saved state is not safe on its medium: %s", strerror(errno));
    if (c->fd >= 0 && close(c->fd) && !r && complete)
        r = error_set(err, -errno, "cannot write: %s", strerror(errno));
    if (c->child) {
        int ended = end_child(c, complete, err);
        r = r ? r : ended;
    }
    if (c->listener >= 0)
        close(c->listener);
    if (c->path)
        unlink(c->path);
    *c = (struct channel){.fd = -1, .listener = -1, .child_fd = -1, .cancel_fd = c->cancel_fd};
    return r;
}

void channel_destroy(struct channel *c)
{
    if (c->cancel_fd >= 0)
        close(c->cancel_fd);
    c->cancel_fd = -1;
}
