// SPDX-License-Identifier: MIT
// Owns character devices over TCP and Unix sockets: a server takes one client at a time and another after it
// left; a client connects when it is opened. Invariant: output without a peer is dropped.
#include "base/error.h"
#include "host/chardev/chardev_internal.h"
#include "host/chardev/fd_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct socket_chardev {
    struct fd_channel channel;
    int peer, server; // -1: none
    struct loop_fd accept_watch;
    bool opened_unsaid;                                   // connected before there was a sink to tell
    char path[sizeof((struct sockaddr_un *)0)->sun_path]; // to remove at the end
};

static void leave(struct fd_channel *channel)
{
    enum { FLUSH_MS = 200 }; // a peer that only stopped sending still reads
    struct socket_chardev *s = (struct socket_chardev *)channel;
    fd_channel_flush(channel, FLUSH_MS);
    fd_channel_disconnect(channel);
    if (s->peer >= 0)
        close(s->peer);
    s->peer = -1;
    s->opened_unsaid = false;
    chardev_notify(&channel->chardev, CHARDEV_CLOSED);
    if (s->server >= 0)
        loop_fd_events(channel->loop, &s->accept_watch, LOOP_IN);
}

static int join(struct socket_chardev *s, int fd)
{
    int one = 1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->peer = fd;
    s->opened_unsaid = !s->channel.chardev.sink;
    s->channel.chardev.alone = false;
    int r = fd_channel_connect(&s->channel, fd, fd);
    if (!r && !s->opened_unsaid)
        chardev_notify(&s->channel.chardev, CHARDEV_OPENED);
    return r;
}

static void on_accept(void *opaque, int fd, unsigned events)
{
    struct socket_chardev *s = opaque;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0)
        return;
    loop_fd_events(s->channel.loop, &s->accept_watch, 0); // the next one waits in the backlog
    if (join(s, peer))
        leave(&s->channel);
}

static void socket_accept_input(struct chardev *chardev)
{
    struct socket_chardev *s = (struct socket_chardev *)chardev;
    if (s->opened_unsaid) {
        s->opened_unsaid = false;
        chardev_notify(chardev, CHARDEV_OPENED);
    }
    fd_channel_accept_input(chardev);
}

static void socket_destroy(struct chardev *chardev)
{
    enum { FLUSH_MS = 1000 };
    struct socket_chardev *s = (struct socket_chardev *)chardev;
    fd_channel_flush(&s->channel, FLUSH_MS);
    fd_channel_disconnect(&s->channel);
    if (s->peer >= 0)
        close(s->peer);
    if (s->server >= 0) {
        loop_fd_remove(s->channel.loop, &s->accept_watch);
        close(s->server);
    }
    if (*s->path)
        unlink(s->path);
    free(s);
}

static const struct chardev_ops socket_ops = {
    .write = fd_channel_write, .room = fd_channel_room, .accept_input = socket_accept_input, .destroy = socket_destroy};

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } u;
    socklen_t len;
    char name[160]; // for sentences
};

static int unix_address(const char *path, struct address *a, struct error *err)
{
    if (strlen(path) >= sizeof a->u.un.sun_path)
        return error_set(err, -EINVAL, "the socket path '%s' is too long", path);
    a->u.un.sun_family = AF_UNIX;
    strcpy(a->u.un.sun_path, path);
    a->len = sizeof a->u.un;
    snprintf(a->name, sizeof a->name, "%s", path);
    return 0;
}

static int tcp_address(const char *host, const char *port, bool server, struct address *a, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = server ? AI_PASSIVE : 0}, *list;
    snprintf(a->name, sizeof a->name, "%s:%s", host ? host : "", port);
    int e = getaddrinfo(host && *host ? host : NULL, port, &hints, &list);
    if (e)
        return error_set(err, -EINVAL, "cannot look up '%s': %s", a->name, gai_strerror(e));
    memcpy(&a->u, list->ai_addr, list->ai_addrlen);
    a->len = list->ai_addrlen;
    freeaddrinfo(list);
    return 0;
}

static int read_address(struct keyval_list *o, bool server, struct address *a, struct error *err)
{
    const char *path = keyval_get(o, "path"), *host = keyval_get(o, "host"), *port = keyval_get(o, "port");
    *a = (struct address){0};
    if (path)
        return unix_address(path, a, err);
    if (!port)
        return error_set(err, -EINVAL, "chardev socket needs path= or port=");
    return tcp_address(host, port, server, a, err);
}

// A socket that nobody listens on any more is in the way of a new server.
static void remove_stale(const struct address *a)
{
    struct stat st;
    if (a->u.any.sa_family != AF_UNIX || lstat(a->u.un.sun_path, &st) || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, &a->u.any, a->len) && errno == ECONNREFUSED)
        unlink(a->u.un.sun_path);
    if (fd >= 0)
        close(fd);
}

// The machine keeps SIGINT and SIGTERM blocked for its loop, which does not run yet: look for them here.
static int wait_for_client(int server, const struct address *a, struct error *err)
{
    enum { LOOK_MS = 100 };
    for (;;) {
        struct pollfd p = {.fd = server, .events = POLLIN};
        if (poll(&p, 1, LOOK_MS) > 0) {
            int peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
            return peer >= 0
                       ? peer
                       : error_set(err, -errno, "nobody connected to '%s': %s", a->name, strerror(errno));
        }
        sigset_t pending;
        sigpending(&pending);
        if (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM))
            return error_set(err, -EINTR, "interrupted while waiting for a connection on '%s'", a->name);
    }
}

static int listen_on(struct socket_chardev *s, const struct address *a, bool wait, struct error *err)
{
    int one = 1;
    s->server = socket(a->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->server < 0)
        return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
    remove_stale(a);
    setsockopt(s->server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s->server, &a->u.any, a->len) || listen(s->server, 1))
        return error_set(err, -errno, "cannot listen on '%s': %s", a->name, strerror(errno));
    if (a->u.any.sa_family == AF_UNIX)
        strcpy(s->path, a->u.un.sun_path);
    if (wait) {
        fprintf(stderr, "isomer: waiting for a connection on %s\n", a->name);
        int peer = wait_for_client(s->server, a, err);
        if (peer < 0)
            return peer;
        int r = join(s, peer);
        if (r)
            return error_set(err, r, "out of memory");
    }
    fcntl(s->server, F_SETFL, O_NONBLOCK);
    s->accept_watch =
        (struct loop_fd){.callback = on_accept, .opaque = s, .fd = s->server, .events = wait ? 0 : LOOP_IN};
    int r = loop_fd_add(s->channel.loop, &s->accept_watch);
    return r ? error_set(err, r, "out of memory") : 0;
}

static int connect_to(struct socket_chardev *s, const struct address *a, struct error *err)
{
    int fd = socket(a->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
    if (connect(fd, &a->u.any, a->len)) {
        int code = -errno;
        close(fd);
        return error_set(err, code, "cannot connect to '%s': %s", a->name, strerror(-code));
    }
    int r = join(s, fd);
    return r ? error_set(err, r, "out of memory") : 0;
}

int chardev_open_socket(struct keyval_list *options, struct loop *loop, struct chardev **ret,
                        struct error *err)
{
    static const char *const ignored[] = {"nodelay", "delay", "ipv4", "ipv6"};
    bool server = false, wait = true;
    struct address address;
    int r = keyval_bool(options, "server", &server, err);
    if (!r)
        r = keyval_bool(options, "wait", &wait, err);
    if (!r)
        r = read_address(options, server, &address, err);
    if (r)
        return r;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        keyval_get(options, ignored[i]);
    struct socket_chardev *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, -ENOMEM, "out of memory");
    fd_channel_init(&s->channel, loop, &socket_ops);
    s->channel.hangup = leave;
    s->peer = s->server = -1;
    s->channel.chardev.alone = true;
    r = server ? listen_on(s, &address, wait, err) : connect_to(s, &address, err);
    if (r) {
        fd_channel_disconnect(&s->channel);
        if (s->peer >= 0)
            close(s->peer);
        if (s->server >= 0)
            close(s->server);
        free(s);
        return r;
    }
    *ret = &s->channel.chardev;
    return 0;
}
