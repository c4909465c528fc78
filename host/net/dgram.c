// SPDX-License-Identifier: MIT
// Owns networks over datagram sockets, QEMU's "dgram" and "socket,udp=": a frame a datagram. Invariant: at
// most one received frame waits for the NIC; meanwhile the socket is not read.
#include "base/error.h"
#include "base/loop.h"
#include "host/net/address.h"
#include "host/net/net_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUND = 64 }; // datagrams taken before the loop turns to others

struct net_dgram {
    struct net net;
    struct loop *loop;
    int fd;
    struct loop_fd watch;
    struct net_address remote; // len 0: the socket is connected
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    size_t waiting; // bytes of in that the NIC has not taken
    uint8_t in[NET_FRAME_MAX + 1];
};

static void on_event(void *opaque, int fd, unsigned events)
{
    struct net_dgram *d = opaque;
    if (events & LOOP_OUT) {
        loop_fd_events(d->loop, &d->watch, d->watch.events & LOOP_IN);
        net_can_send(&d->net);
    }
    // An error (nobody listens at the other end) is taken by recv and means nothing.
    for (int i = 0; events & (LOOP_IN | LOOP_HUP) && i < ROUND && d->watch.events & LOOP_IN; i++) {
        ssize_t n = recv(fd, d->in, sizeof d->in, MSG_DONTWAIT);
        if (n < 0)
            break;
        if (!net_deliver(&d->net, NULL, d->in, (size_t)n)) {
            d->waiting = (size_t)n;
            loop_fd_events(d->loop, &d->watch, d->watch.events & LOOP_OUT);
        }
    }
}

static void accept_frames(struct net *net)
{
    struct net_dgram *d = (struct net_dgram *)net;
    if (d->waiting && !net_deliver(net, NULL, d->in, d->waiting))
        return;
    d->waiting = 0;
    loop_fd_events(d->loop, &d->watch, d->watch.events | LOOP_IN);
}

static bool send_frame(struct net *net, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct net_dgram *d = (struct net_dgram *)net;
    ssize_t n = d->remote.len
                    ? sendto(d->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL, &d->remote.u.any, d->remote.len)
                    : send(d->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0 || errno != EAGAIN)
        return true; // sent, or lost
    loop_fd_events(d->loop, &d->watch, d->watch.events | LOOP_OUT);
    return false;
}

static void info(struct net *net, FILE *out)
{
    struct net_dgram *d = (struct net_dgram *)net;
    if (d->remote.len)
        fprintf(out, "to %s", d->remote.name);
    else
        fprintf(out, "descriptor %d", d->fd);
}

static void destroy(struct net *net)
{
    struct net_dgram *d = (struct net_dgram *)net;
    loop_fd_remove(d->loop, &d->watch);
    close(d->fd);
    if (*d->path)
        unlink(d->path);
    free(d);
}

static const struct net_ops ops = {
    .send = send_frame, .accept = accept_frames, .info = info, .destroy = destroy};

// Takes fd, on failure too.
static int create(int fd, const struct net_address *remote, const struct net_env *env, struct net **ret,
                  struct error *err)
{
    struct net_dgram *d = calloc(1, sizeof *d);
    if (d) {
        d->net = (struct net){.ops = &ops, .link_up = true};
        d->loop = env->loop;
        d->fd = fd;
        d->watch = (struct loop_fd){.callback = on_event, .opaque = d, .fd = fd, .events = LOOP_IN};
    }
    if (!d || loop_fd_add(d->loop, &d->watch)) {
        free(d);
        close(fd);
        return error_set(err, -ENOMEM, "out of memory");
    }
    if (remote)
        d->remote = *remote;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *ret = &d->net;
    return 0;
}

int net_dgram_over(int fd, const struct net_env *env, struct net **ret, struct error *err)
{
    return create(fd, NULL, env, ret, err);
}

static int bind_and_create(const struct net_address *local, const struct net_address *remote,
                           const struct net_env *env, struct net **ret, struct error *err)
{
    int fd = socket(remote->u.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0)
        return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
    struct stat st;
    if (local->u.any.sa_family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    else if (!lstat(local->u.un.sun_path, &st) && S_ISSOCK(st.st_mode)) // left by an earlier run
        unlink(local->u.un.sun_path);
    if (bind(fd, &local->u.any, local->len)) {
        int r = error_set(err, -errno, "cannot bind to '%s': %s", local->name, strerror(errno));
        close(fd);
        return r;
    }
    int r = create(fd, remote, env, ret, err);
    if (!r && local->u.any.sa_family == AF_UNIX)
        strcpy(((struct net_dgram *)*ret)->path, local->u.un.sun_path);
    return r;
}

int net_dgram_udp(const char *to, const char *from, const struct net_env *env, struct net **ret,
                  struct error *err)
{
    struct net_address local, remote;
    if (!from)
        return error_set(err, -EINVAL, "socket: udp= needs localaddr=");
    int r = net_address_inet("udp", to, SOCK_DGRAM, false, &remote, err);
    if (!r)
        r = net_address_inet("localaddr", from, SOCK_DGRAM, true, &local, err);
    return r ? r : bind_and_create(&local, &remote, env, ret, err);
}

int net_open_dgram(struct keyval_list *o, const struct net_env *env, struct net **ret, struct error *err)
{
    struct net_address local, remote;
    int fd, none;
    int r = net_address_options(o, "local", SOCK_DGRAM, true, &local, &fd, err);
    if (!r && fd >= 0)
        return net_dgram_over(fd, env, ret, err);
    if (!r)
        r = net_address_options(o, "remote", SOCK_DGRAM, false, &remote, &none, err);
    if (r == -ENOENT)
        return error_set(err, -EINVAL,
                         "dgram needs local.type=fd, or local.type= and remote.type= of inet or unix");
    if (r)
        return r;
    if (none >= 0 || local.u.any.sa_family != remote.u.any.sa_family)
        return error_set(err, -EINVAL, "dgram: local.type= and remote.type= must be the same, inet or unix");
    return bind_and_create(&local, &remote, env, ret, err);
}
