// SPDX-License-Identifier: MIT
// Owns the Unix sockets behind a socket device; see the header. A client that has yet to say what it wants is a stream
// without a port, of which there are few at a time.
#include "host/vsock.h"
#include "base/error.h"
#include "base/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUEST_MAX = 32, NEWCOMERS = 16 };

enum stage { SAYS_PORT, WAITS, FLOWS };

struct vsock_stream {
    struct vsock *vsock;
    struct vsock_stream *next, **link;
    void *user;
    int fd;
    struct loop_fd watch;
    bool added;
    enum stage stage;
    char request[REQUEST_MAX];
    size_t request_len;
    bool wanted;   // the device wants to hear of input
    bool finished; // no more is written
    bool broken;
    uint8_t *waiting; // VSOCK_STREAM_ROOM bytes, made when first needed
    size_t waiting_len;
};

struct vsock {
    struct loop *loop;
    const struct vsock_ops *ops;
    void *opaque;
    int server;
    struct loop_fd watch;
    bool added, bound;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    struct vsock_stream *streams;
    unsigned newcomers;
};

static void set_events(struct vsock_stream *s)
{
    unsigned events = s->waiting_len ? LOOP_OUT : 0;
    if (s->stage == SAYS_PORT || (s->stage == FLOWS && s->wanted))
        events |= LOOP_IN;
    loop_fd_events(s->vsock->loop, &s->watch, events);
}

// Bytes that went; what cannot go any more counts.
static size_t push(struct vsock_stream *s, const uint8_t *buf, size_t len)
{
    size_t done = 0;
    while (done < len && !s->broken) {
        ssize_t n = send(s->fd, buf + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            s->broken = errno != EAGAIN;
        if (n < 0 && errno == EAGAIN)
            break;
    }
    return s->broken ? len : done;
}

static void on_stream(void *opaque, int fd, unsigned events);

static struct vsock_stream *make_stream(struct vsock *vsock, int fd, enum stage stage)
{
    struct vsock_stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *s = (struct vsock_stream){.vsock = vsock, .fd = fd, .stage = stage, .next = vsock->streams, .link = &vsock->streams};
    s->watch = (struct loop_fd){.callback = on_stream, .opaque = s, .fd = fd, .events = LOOP_IN};
    if (loop_fd_add(vsock->loop, &s->watch)) {
        free(s);
        return NULL;
    }
    if (s->next)
        s->next->link = &s->next;
    vsock->streams = s;
    vsock->newcomers += stage == SAYS_PORT;
    return s;
}

void vsock_close(struct vsock_stream *s)
{
    loop_fd_remove(s->vsock->loop, &s->watch);
    s->vsock->newcomers -= s->stage == SAYS_PORT;
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    close(s->fd);
    free(s->waiting);
    free(s);
}

// "CONNECT 1234": the port, or -1.
static int64_t requested_port(const char *line)
{
    static const char verb[] = "CONNECT ";
    char *end;
    if (strncmp(line, verb, sizeof verb - 1) || line[sizeof verb - 1] < '0' || line[sizeof verb - 1] > '9')
        return -1;
    unsigned long long port = strtoull(line + sizeof verb - 1, &end, 10);
    return *end || port > UINT32_MAX ? -1 : (int64_t)port;
}

// A byte at a time, since what follows the line is the guest's.
static void hear_port(struct vsock_stream *s)
{
    ssize_t n;
    char byte;
    while ((n = recv(s->fd, &byte, 1, MSG_DONTWAIT)) == 1 && byte != '\n' && s->request_len < REQUEST_MAX - 1)
        s->request[s->request_len++] = byte;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    int64_t port = n == 1 && byte == '\n' ? requested_port(s->request) : -1;
    if (port >= 0) {
        s->vsock->newcomers--;
        s->stage = WAITS;
        set_events(s);
    }
    if (port < 0 || !s->vsock->ops || !s->vsock->ops->connect(s->vsock->opaque, s, (uint32_t)port))
        vsock_close(s);
}

static void flush(struct vsock_stream *s)
{
    size_t n = push(s, s->waiting, s->waiting_len);
    memmove(s->waiting, s->waiting + n, s->waiting_len - n);
    s->waiting_len -= n;
    if (!s->waiting_len && s->finished)
        shutdown(s->fd, SHUT_WR);
    set_events(s);
}

static void on_stream(void *opaque, int fd, unsigned events)
{
    struct vsock_stream *s = opaque;
    struct vsock *vsock = s->vsock;
    if (s->stage == SAYS_PORT) {
        hear_port(s);
        return;
    }
    if (s->waiting_len && events & (LOOP_OUT | LOOP_HUP)) {
        flush(s);
        if (s->stage == FLOWS && vsock->ops)
            vsock->ops->drained(vsock->opaque, s); // it may have closed the stream: nothing follows
        return;
    }
    if (s->stage == FLOWS && s->wanted && vsock->ops)
        vsock->ops->readable(vsock->opaque, s);
}

static void on_client(void *opaque, int fd, unsigned events)
{
    struct vsock *vsock = opaque;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client >= 0 && (vsock->newcomers >= NEWCOMERS || !make_stream(vsock, client, SAYS_PORT)))
        close(client);
}

static int address(const char *path, const char *suffix, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    return snprintf(ret->sun_path, sizeof ret->sun_path, "%s%s", path, suffix) < (int)sizeof ret->sun_path ? 0 : -ENAMETOOLONG;
}

// A socket that nobody listens on any more is in the way.
static void remove_stale(const struct sockaddr_un *a)
{
    struct stat st;
    if (lstat(a->sun_path, &st) || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof *a) && errno == ECONNREFUSED)
        unlink(a->sun_path);
    if (fd >= 0)
        close(fd);
}

int vsock_create(const char *path, struct loop *loop, struct vsock **ret_vsock, struct error *err)
{
    struct sockaddr_un a;
    struct vsock *vsock = calloc(1, sizeof *vsock);
    if (!vsock)
        return error_set(err, -ENOMEM, "out of memory");
    vsock->loop = loop;
    vsock->server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // Room for what is put behind it: "_" and ten digits.
    int r = address(path, "_4294967295", &a);
    if (r)
        r = error_set(err, r, "the socket's path '%s' is too long", path);
    else if (vsock->server < 0)
        r = error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
    if (!r) {
        address(path, "", &a);
        remove_stale(&a);
        if (bind(vsock->server, (const struct sockaddr *)&a, sizeof a))
            r = error_set(err, -errno, "cannot listen on '%s': %s", path, strerror(errno));
        vsock->bound = !r;
        memcpy(vsock->path, a.sun_path, sizeof vsock->path);
    }
    if (!r && listen(vsock->server, NEWCOMERS))
        r = error_set(err, -errno, "cannot listen on '%s': %s", path, strerror(errno));
    vsock->watch = (struct loop_fd){.callback = on_client, .opaque = vsock, .fd = vsock->server, .events = LOOP_IN};
    if (!r && loop_fd_add(loop, &vsock->watch))
        r = error_set(err, -ENOMEM, "out of memory");
    vsock->added = !r;
    if (r)
        vsock_destroy(vsock);
    else
        *ret_vsock = vsock;
    return r;
}

void vsock_destroy(struct vsock *vsock)
{
    if (!vsock)
        return;
    while (vsock->streams)
        vsock_close(vsock->streams);
    if (vsock->added)
        loop_fd_remove(vsock->loop, &vsock->watch);
    if (vsock->bound)
        unlink(vsock->path);
    if (vsock->server >= 0)
        close(vsock->server);
    free(vsock);
}

void vsock_attach(struct vsock *vsock, const struct vsock_ops *ops, void *opaque)
{
    vsock->ops = ops;
    vsock->opaque = opaque;
}

// A connect to a Unix socket is done or refused at once; a full backlog counts as nobody there.
struct vsock_stream *vsock_connect(struct vsock *vsock, uint32_t port, void *user)
{
    struct sockaddr_un a;
    char suffix[16];
    snprintf(suffix, sizeof suffix, "_%u", port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct vsock_stream *s = NULL;
    if (fd >= 0 && !address(vsock->path, suffix, &a) && !connect(fd, (const struct sockaddr *)&a, sizeof a))
        s = make_stream(vsock, fd, FLOWS);
    if (!s && fd >= 0)
        close(fd);
    if (!s)
        return NULL;
    s->user = user;
    set_events(s);
    return s;
}

void vsock_accepted(struct vsock_stream *s, uint32_t host_port, void *user)
{
    char line[24];
    int len = snprintf(line, sizeof line, "OK %u\n", host_port);
    s->stage = FLOWS;
    s->user = user;
    vsock_write(s, line, (size_t)len);
}

void *vsock_user(const struct vsock_stream *s)
{
    return s->user;
}

bool vsock_write(struct vsock_stream *s, const void *buf, size_t len)
{
    size_t done = s->waiting_len ? 0 : push(s, buf, len);
    if (s->broken || s->finished)
        return false;
    if (done == len)
        return true;
    if (!s->waiting)
        s->waiting = malloc(VSOCK_STREAM_ROOM);
    if (!s->waiting || len - done > VSOCK_STREAM_ROOM - s->waiting_len)
        return false;
    memcpy(s->waiting + s->waiting_len, (const uint8_t *)buf + done, len - done);
    s->waiting_len += len - done;
    set_events(s);
    return true;
}

size_t vsock_waiting(const struct vsock_stream *s)
{
    return s->waiting_len;
}

long vsock_read(struct vsock_stream *s, void *buf, size_t len)
{
    ssize_t n = recv(s->fd, buf, len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return -1;
    return n < 0 ? 0 : n;
}

void vsock_watch(struct vsock_stream *s, bool readable)
{
    if (s->wanted == readable)
        return;
    s->wanted = readable;
    set_events(s);
}

void vsock_finish(struct vsock_stream *s)
{
    if (!s->finished && !s->waiting_len)
        shutdown(s->fd, SHUT_WR);
    s->finished = true;
}
