// SPDX-License-Identifier: MIT
// Owns networks over a Linux tap device (Documentation/networking/tuntap.rst), made here by name or handed
// over as a descriptor. Where the device carries a header (IFF_VNET_HDR), checksums and long segments pass as
// they are. Invariant: at most one received frame waits for the NIC; meanwhile the device is not read.
#include "base/error.h"
#include "base/loop.h"
#include "host/net/net_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HEADER_SIZE = sizeof(struct net_offload), ROUND = 64 };

struct net_tap {
    struct net net;
    struct loop *loop;
    int fd;
    struct loop_fd watch;
    char name[IFNAMSIZ];
    bool header;
    bool waiting;
    size_t in_len;
    struct net_offload in_offload;
    uint8_t in[NET_FRAME_MAX];
};

static bool deliver(struct net_tap *t)
{
    t->waiting = !net_deliver(&t->net, &t->in_offload, t->in, t->in_len);
    return !t->waiting;
}

static void on_event(void *opaque, int fd, unsigned events)
{
    struct net_tap *t = opaque;
    if (events & LOOP_OUT) {
        loop_fd_events(t->loop, &t->watch, t->watch.events & LOOP_IN);
        net_can_send(&t->net);
    }
    if (events & LOOP_HUP) { // the device is gone
        loop_fd_events(t->loop, &t->watch, 0);
        net_set_link(&t->net, false);
    }
    for (int i = 0; i < ROUND && t->watch.events & LOOP_IN; i++) {
        struct iovec iov[2] = {{&t->in_offload, HEADER_SIZE}, {t->in, sizeof t->in}};
        ssize_t n = t->header ? readv(fd, iov, 2) : read(fd, t->in, sizeof t->in);
        if (n <= (t->header ? HEADER_SIZE : 0))
            break;
        t->in_len = (size_t)n - (t->header ? HEADER_SIZE : 0);
        if (!deliver(t))
            loop_fd_events(t->loop, &t->watch, t->watch.events & LOOP_OUT);
    }
}

static void accept_frames(struct net *net)
{
    struct net_tap *t = (struct net_tap *)net;
    if ((!t->waiting || deliver(t)) && net->link_up)
        loop_fd_events(t->loop, &t->watch, t->watch.events | LOOP_IN);
}

static bool send_frame(struct net *net, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct net_tap *t = (struct net_tap *)net;
    struct iovec iov[2] = {{(void *)offload, HEADER_SIZE}, {(uint8_t *)frame, len}};
    if (!net->link_up)
        return true;
    ssize_t n = t->header ? writev(t->fd, iov, 2) : write(t->fd, frame, len);
    if (n >= 0 || errno != EAGAIN)
        return true;
    loop_fd_events(t->loop, &t->watch, t->watch.events | LOOP_OUT);
    return false;
}

static void takes_changed(struct net *net)
{
    struct net_tap *t = (struct net_tap *)net;
    unsigned takes = net->sink_takes;
    unsigned long flags = !(takes & NET_TAKES_CSUM) ? 0
                                                    : TUN_F_CSUM | (takes & NET_TAKES_TSO4 ? TUN_F_TSO4 : 0) |
                                                          (takes & NET_TAKES_TSO6 ? TUN_F_TSO6 : 0);
    if (t->header)
        (void)ioctl(t->fd, TUNSETOFFLOAD, flags); // refused: net_deliver does it
}

static void info(struct net *net, FILE *out)
{
    struct net_tap *t = (struct net_tap *)net;
    fprintf(out, "ifname=%s,fd=%d", t->name, t->fd);
}

static void destroy(struct net *net)
{
    struct net_tap *t = (struct net_tap *)net;
    loop_fd_remove(t->loop, &t->watch);
    close(t->fd);
    free(t);
}

static const struct net_ops ops = {.send = send_frame,
                                   .accept = accept_frames,
                                   .takes_changed = takes_changed,
                                   .info = info,
                                   .destroy = destroy};

// The tap device behind *ret_fd and its flags in *ret_request.
static int attach(const char *ifname, const char *fd_text, int *ret_fd, struct ifreq *ret_request,
                  struct error *err)
{
    struct ifreq request = {0};
    uint64_t number;
    if (fd_text) {
        int r = keyval_parse_u64("fd", fd_text, &number, err);
        if (r)
            return r;
        if (number > INT32_MAX || ioctl((int)number, TUNGETIFF, &request) || !(request.ifr_flags & IFF_TAP))
            return error_set(err, -EBADF, "tap: descriptor %s is not an open tap device", fd_text);
        *ret_fd = (int)number;
        *ret_request = request;
        return 0;
    }
    if (ifname && strlen(ifname) >= sizeof request.ifr_name)
        return error_set(err, -EINVAL, "tap: the name '%s' is too long", ifname);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", ifname ? ifname : "tap%d");
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, -errno, "tap: cannot open /dev/net/tun: %s", strerror(errno));
    if (ioctl(fd, TUNSETIFF, &request)) {
        int r = error_set(err, -errno, "tap: cannot attach to '%s': %s", ifname ? ifname : "a new device",
                          strerror(errno));
        close(fd);
        return r;
    }
    *ret_fd = fd;
    *ret_request = request;
    return 0;
}

int net_open_tap(struct keyval_list *o, const struct net_env *env, struct net **ret, struct error *err)
{
    static const char *const scripts[] = {"script", "downscript"};
    static const char *const missing[] = {"br", "helper", "vhost", "vhostfd", "queues", "fds", "vhostfds"};
    const char *ifname = keyval_get(o, "ifname"), *fd_text = keyval_get(o, "fd");
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        const char *script = keyval_get(o, scripts[i]);
        if (script && strcmp(script, "no"))
            return error_set(err, -ENOTSUP, "tap: %s= is not supported (only %s=no)", scripts[i], scripts[i]);
    }
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        const char *value = keyval_get(o, missing[i]);
        if (value && strcmp(value, "off"))
            return error_set(err, -ENOTSUP, "tap: %s= is not supported", missing[i]);
    }
    struct ifreq request = {0};
    int fd = -1, r = attach(ifname, fd_text, &fd, &request, err);
    if (r)
        return r;
    struct net_tap *t = calloc(1, sizeof *t);
    if (t) {
        t->loop = env->loop;
        t->fd = fd;
        t->watch = (struct loop_fd){.callback = on_event, .opaque = t, .fd = fd, .events = LOOP_IN};
    }
    if (!t || loop_fd_add(t->loop, &t->watch)) {
        free(t);
        close(fd);
        return error_set(err, -ENOMEM, "out of memory");
    }
    int size = HEADER_SIZE;
    t->header = request.ifr_flags & IFF_VNET_HDR && !ioctl(fd, TUNSETVNETHDRSZ, &size);
    unsigned all = t->header ? NET_TAKES_CSUM | NET_TAKES_TSO4 | NET_TAKES_TSO6 : 0;
    t->net = (struct net){.ops = &ops, .takes = all, .may_give = all, .link_up = true};
    memcpy(t->name, request.ifr_name, sizeof t->name);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    takes_changed(&t->net);
    *ret = &t->net;
    return 0;
}
