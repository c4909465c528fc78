// SPDX-License-Identifier: MIT
// Owns networks over stream sockets, QEMU's "socket" and "stream": each frame travels behind its length, 32
// bits big-endian. A server takes one peer at a time and another after it left.
//
// Invariants: a length past NET_FRAME_MAX ends the connection; reading stops while the NIC takes nothing;
// what cannot be written yet waits in a queue of QUEUE_SIZE bytes, of which QUEUE_ROOM are free before a long
// segment is begun.
#include "base/error.h"
#include "base/loop.h"
#include "host/net/address.h"
#include "host/net/net_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LENGTH_SIZE = 4, IN_SIZE = 256 << 10, QUEUE_SIZE = 1 << 20, QUEUE_ROOM = 256 << 10 };

struct net_stream {
    struct net net;
    struct loop *loop;
    int peer, server; // -1: none
    struct loop_fd peer_watch, accept_watch;
    char path[sizeof((struct sockaddr_un *)0)->sun_path]; // to remove at the end
    char name[160];
    uint8_t *in, *queue;
    size_t in_start, in_len, queue_start, queue_len;
};

static void leave(struct net_stream *s)
{
    if (s->peer < 0)
        return;
    loop_fd_remove(s->loop, &s->peer_watch);
    close(s->peer);
    s->peer = -1;
    s->in_start = s->in_len = s->queue_start = s->queue_len = 0;
    net_set_link(&s->net, false);
    net_can_send(&s->net); // to be dropped
    if (s->server >= 0)
        loop_fd_events(s->loop, &s->accept_watch, LOOP_IN);
}

// Delivers the whole frames that have come in. Whether reading may go on.
static bool deliver(struct net_stream *s)
{
    while (s->in_len >= LENGTH_SIZE) {
        const uint8_t *p = s->in + s->in_start;
        size_t len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (len > NET_FRAME_MAX) {
            leave(s);
            return false;
        }
        if (s->in_len < LENGTH_SIZE + len)
            break;
        if (!net_deliver(&s->net, NULL, p + LENGTH_SIZE, len))
            return false;
        s->in_start += LENGTH_SIZE + len;
        s->in_len -= LENGTH_SIZE + len;
    }
    return true;
}

static void read_more(struct net_stream *s)
{
    memmove(s->in, s->in + s->in_start, s->in_len);
    s->in_start = 0;
    ssize_t n = recv(s->peer, s->in + s->in_len, IN_SIZE - s->in_len, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        leave(s);
        return;
    }
    s->in_len += n > 0 ? (size_t)n : 0;
    if (!deliver(s) && s->peer >= 0)
        loop_fd_events(s->loop, &s->peer_watch, s->peer_watch.events & LOOP_OUT);
}

static void accept_frames(struct net *net)
{
    struct net_stream *s = (struct net_stream *)net;
    if (s->peer >= 0 && deliver(s))
        loop_fd_events(s->loop, &s->peer_watch, s->peer_watch.events | LOOP_IN);
}

static void drain(struct net_stream *s)
{
    ssize_t n = send(s->peer, s->queue + s->queue_start, s->queue_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        leave(s);
        return;
    }
    if (n > 0) {
        s->queue_start += (size_t)n;
        s->queue_len -= (size_t)n;
    }
    if (!s->queue_len)
        loop_fd_events(s->loop, &s->peer_watch, s->peer_watch.events & LOOP_IN);
    if (QUEUE_SIZE - s->queue_len >= QUEUE_ROOM)
        net_can_send(&s->net);
}

static void on_peer(void *opaque, int fd, unsigned events)
{
    struct net_stream *s = opaque;
    if (events & LOOP_OUT && s->queue_len)
        drain(s);
    if (s->peer >= 0 && events & (LOOP_IN | LOOP_HUP)) {
        if (s->peer_watch.events & LOOP_IN)
            read_more(s);
        else if (events & LOOP_HUP)
            leave(s);
    }
}

static void enqueue(struct net_stream *s, const uint8_t *buf, size_t len)
{
    if (s->queue_start + s->queue_len + len > QUEUE_SIZE) {
        memmove(s->queue, s->queue + s->queue_start, s->queue_len);
        s->queue_start = 0;
    }
    memcpy(s->queue + s->queue_start + s->queue_len, buf, len);
    s->queue_len += len;
}

static bool ready(struct net *net)
{
    struct net_stream *s = (struct net_stream *)net;
    return s->peer < 0 || QUEUE_SIZE - s->queue_len >= QUEUE_ROOM;
}

static bool send_frame(struct net *net, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct net_stream *s = (struct net_stream *)net;
    uint8_t length[LENGTH_SIZE] = {0, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    size_t total = LENGTH_SIZE + len, done = 0;
    if (s->peer < 0)
        return true; // nobody is there
    if (QUEUE_SIZE - s->queue_len < total)
        return false;
    if (!s->queue_len) {
        struct iovec iov[2] = {{length, LENGTH_SIZE}, {(uint8_t *)frame, len}};
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
        ssize_t n = sendmsg(s->peer, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return true; // the loop hears of the hang-up
        done = n > 0 ? (size_t)n : 0;
    }
    if (done < LENGTH_SIZE) {
        enqueue(s, length + done, LENGTH_SIZE - done);
        done = LENGTH_SIZE;
    }
    if (done < total)
        enqueue(s, frame + (done - LENGTH_SIZE), total - done);
    if (s->queue_len)
        loop_fd_events(s->loop, &s->peer_watch, s->peer_watch.events | LOOP_OUT);
    return true;
}

static int join(struct net_stream *s, int fd)
{
    int one = 1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->peer_watch = (struct loop_fd){.callback = on_peer, .opaque = s, .fd = fd, .events = LOOP_IN};
    int r = loop_fd_add(s->loop, &s->peer_watch);
    if (r)
        return r;
    s->peer = fd;
    net_set_link(&s->net, true);
    return 0;
}

static void on_accept(void *opaque, int fd, unsigned events)
{
    struct net_stream *s = opaque;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0)
        return;
    loop_fd_events(s->loop, &s->accept_watch, 0); // the next one waits in the backlog
    if (join(s, peer)) {
        close(peer);
        loop_fd_events(s->loop, &s->accept_watch, LOOP_IN);
    }
}

static void info(struct net *net, FILE *out)
{
    struct net_stream *s = (struct net_stream *)net;
    fprintf(out, "%s %s%s", s->server >= 0 ? "listening on" : "connected to", s->name,
            s->server >= 0 && s->peer >= 0 ? ", with a peer"
            : s->peer < 0                  ? ", no peer"
                                           : "");
}

static void destroy(struct net *net)
{
    struct net_stream *s = (struct net_stream *)net;
    leave(s);
    if (s->server >= 0) {
        loop_fd_remove(s->loop, &s->accept_watch);
        close(s->server);
    }
    if (*s->path)
        unlink(s->path);
    free(s->in);
    free(s->queue);
    free(s);
}

static const struct net_ops ops = {
    .ready = ready, .send = send_frame, .accept = accept_frames, .info = info, .destroy = destroy};

static struct net_stream *create(const struct net_env *env, const char *name)
{
    struct net_stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->net.ops = &ops;
    s->loop = env->loop;
    s->peer = s->server = -1;
    snprintf(s->name, sizeof s->name, "%s", name);
    s->in = malloc(IN_SIZE);
    s->queue = malloc(QUEUE_SIZE);
    if (s->in && s->queue)
        return s;
    destroy(&s->net);
    return NULL;
}

int net_stream_over(int fd, const struct net_env *env, struct net **ret, struct error *err)
{
    char name[32];
    snprintf(name, sizeof name, "descriptor %d", fd);
    struct net_stream *s = create(env, name);
    if (!s || join(s, fd)) {
        if (s)
            destroy(&s->net);
        return error_set(err, -ENOMEM, "out of memory");
    }
    *ret = &s->net;
    return 0;
}

// A socket that nobody listens on any more is in the way of a new server.
static void remove_stale(const struct net_address *a)
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

static int listen_on(struct net_stream *s, const struct net_address *a, struct error *err)
{
    int one = 1;
    s->server = socket(a->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->server < 0)
        return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
    s->accept_watch =
        (struct loop_fd){.callback = on_accept, .opaque = s, .fd = s->server, .events = LOOP_IN};
    if (loop_fd_add(s->loop, &s->accept_watch))
        return error_set(err, -ENOMEM, "out of memory");
    remove_stale(a);
    setsockopt(s->server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s->server, &a->u.any, a->len) || listen(s->server, 1))
        return error_set(err, -errno, "cannot listen on '%s': %s", a->name, strerror(errno));
    if (a->u.any.sa_family == AF_UNIX)
        strcpy(s->path, a->u.un.sun_path);
    return 0;
}

static int connect_to(struct net_stream *s, const struct net_address *a, struct error *err)
{
    int fd = socket(a->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
    int r = 0;
    if (connect(fd, &a->u.any, a->len))
        r = error_set(err, -errno, "cannot connect to '%s': %s", a->name, strerror(errno));
    else if (join(s, fd))
        r = error_set(err, -ENOMEM, "out of memory");
    if (r)
        close(fd);
    return r;
}

static int open_stream(const struct net_address *a, bool server, const struct net_env *env, struct net **ret,
                       struct error *err)
{
    struct net_stream *s = create(env, a->name);
    if (!s)
        return error_set(err, -ENOMEM, "out of memory");
    int r = server ? listen_on(s, a, err) : connect_to(s, a, err);
    if (r)
        destroy(&s->net);
    else
        *ret = &s->net;
    return r;
}

int net_open_stream(struct keyval_list *o, const struct net_env *env, struct net **ret, struct error *err)
{
    bool server = false;
    struct net_address address;
    int fd, r = keyval_bool(o, "server", &server, err);
    if (!r && keyval_get(o, "reconnect"))
        r = error_set(err, -ENOTSUP, "stream: reconnect= is not supported");
    if (r)
        return r;
    r = net_address_options(o, "addr", SOCK_STREAM, server, &address, &fd, err);
    if (r == -ENOENT)
        return error_set(err, -EINVAL, "stream needs addr.type=inet, unix or fd");
    if (r)
        return r;
    if (fd >= 0 && server)
        return error_set(err, -ENOTSUP, "stream: a listening descriptor is not supported");
    return fd >= 0 ? net_stream_over(fd, env, ret, err) : open_stream(&address, server, env, ret, err);
}

int net_open_socket(struct keyval_list *o, const struct net_env *env, struct net **ret, struct error *err)
{
    const char *listen = keyval_get(o, "listen"), *connect = keyval_get(o, "connect"),
               *fd = keyval_get(o, "fd");
    const char *udp = keyval_get(o, "udp"), *mcast = keyval_get(o, "mcast"),
               *local = keyval_get(o, "localaddr");
    if (!!listen + !!connect + !!fd + !!udp + !!mcast != 1)
        return error_set(err, -EINVAL, "socket needs one of listen=, connect=, fd= and udp=");
    if (mcast)
        return error_set(err, -ENOTSUP, "socket: mcast= is not supported");
    if (udp)
        return net_dgram_udp(udp, local, env, ret, err);
    if (fd) {
        int number, type, r = net_address_fd("fd", fd, &number, &type, err);
        if (r)
            return r;
        return type == SOCK_STREAM ? net_stream_over(number, env, ret, err)
                                   : net_dgram_over(number, env, ret, err);
    }
    struct net_address address;
    int r = net_address_inet(listen ? "listen" : "connect", listen ? listen : connect, SOCK_STREAM, listen,
                             &address, err);
    return r ? r : open_stream(&address, listen, env, ret, err);
}
