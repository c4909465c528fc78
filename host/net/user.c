// SPDX-License-Identifier: MIT
// Owns user-mode networks: a libslirp instance on the machine's event loop, its timers on the machine's
// clock, and the frames that wait for a guest without receive buffers.
//
// Invariants: while frames wait (or the machine is paused) slirp is not served, so that what the guest cannot
// take stays in the host's sockets; what its own packets make slirp answer meanwhile is kept up to QUEUE_MAX
// bytes and then lost, as on a wire. slirp is never entered from its own callbacks: a NIC's receive sends
// nothing (host/net.h).
#include "base/clock.h"
#include "base/error.h"
#include "base/loop.h"
#include "host/chardev.h"
#include "host/net/net_internal.h"
#include "host/net/user.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 4 << 20, DNS_SEARCH_MAX = 16, NS_PER_MS = 1000000 };

struct waiting_frame {
    struct waiting_frame *next;
    struct net_offload offload;
    size_t len;
    uint8_t bytes[];
};

// One port of the guest's network that is a character device: one connection, and bytes back while slirp has
// room.
struct user_guestfwd {
    struct user_guestfwd *next;
    struct net_user *user;
    struct chardev *chardev; // borrowed
    struct in_addr addr;
    int port;
};

struct net_user {
    struct net net;
    Slirp *slirp;
    struct loop *loop;
    struct clock *clock;
    struct loop_poller poller;
    bool filled, in_slirp;
    struct waiting_frame *waiting, **waiting_tail;
    size_t waiting_bytes;
    struct user_guestfwd *guestfwds;
    struct in_addr network, mask;
    bool restricted;
    uint8_t scratch[NET_FRAME_MAX];
};

struct user_timer {
    struct loop_timer timer;
    SlirpTimerCb callback;
    void *opaque;
};

// --- frames to the guest ---

static void give(void *opaque, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct net_user *user = opaque;
    if (!user->waiting && net_deliver(&user->net, offload, frame, len))
        return;
    struct waiting_frame *f = user->waiting_bytes + len <= QUEUE_MAX ? malloc(sizeof *f + len) : NULL;
    if (!f) {
        user->net.dropped++;
        return;
    }
    *f = (struct waiting_frame){.offload = *offload, .len = len};
    memcpy(f->bytes, frame, len);
    *user->waiting_tail = f;
    user->waiting_tail = &f->next;
    user->waiting_bytes += len;
}

static void drop_first(struct net_user *user)
{
    struct waiting_frame *f = user->waiting;
    user->waiting = f->next;
    user->waiting_bytes -= f->len;
    if (!user->waiting)
        user->waiting_tail = &user->waiting;
    free(f);
}

static void accept_frames(struct net *net)
{
    struct net_user *user = (struct net_user *)net;
    while (user->waiting &&
           net_deliver(net, &user->waiting->offload, user->waiting->bytes, user->waiting->len))
        drop_first(user);
    loop_wake(user->loop); // slirp is served again
}

static ssize_t on_packet(const void *buf, size_t len, void *opaque)
{
    struct net_user *user = opaque;
    if (len >= NET_FRAME_MIN && len <= NET_FRAME_MAX) {
        memcpy(user->scratch, buf, len);
        user_prepare(user->scratch, len, give, user);
    }
    return (ssize_t)len;
}

// --- frames from the guest ---

static bool send_frame(struct net *net, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct net_user *user = (struct net_user *)net;
    assert(!user->in_slirp);
    user->in_slirp = true;
    uint8_t small[256]; // holds any SYN
    if (len <= sizeof small) {
        memcpy(small, frame, len);
        user_raise_mss(small, len, net->sink_takes);
        frame = small;
    }
    slirp_input(user->slirp, frame, (int)len);
    user->in_slirp = false;
    return true;
}

// --- slirp on the loop ---

static int add_poll(int fd, int events, void *opaque)
{
    struct net_user *user = opaque;
    short wanted = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
                           (events & SLIRP_POLL_PRI ? POLLPRI : 0));
    return loop_poll_add(user->loop, fd, wanted);
}

static int poll_events(int index, void *opaque)
{
    struct net_user *user = opaque;
    short got = loop_poll_events(user->loop, index);
    return (got & POLLIN ? SLIRP_POLL_IN : 0) | (got & POLLOUT ? SLIRP_POLL_OUT : 0) |
           (got & POLLPRI ? SLIRP_POLL_PRI : 0) | (got & POLLERR ? SLIRP_POLL_ERR : 0) |
           (got & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static void on_fill(void *opaque, int64_t *wait_ns)
{
    struct net_user *user = opaque;
    user->filled = !user->waiting && !user->net.paused;
    if (!user->filled)
        return;
    uint32_t timeout_ms = UINT32_MAX;
    slirp_pollfds_fill(user->slirp, &timeout_ms, add_poll, user);
    if (timeout_ms != UINT32_MAX && (int64_t)timeout_ms * NS_PER_MS < *wait_ns)
        *wait_ns = (int64_t)timeout_ms * NS_PER_MS;
}

static void on_served(void *opaque)
{
    struct net_user *user = opaque;
    if (!user->filled)
        return;
    user->filled = false;
    user->in_slirp = true;
    slirp_pollfds_poll(user->slirp, 0, poll_events, user);
    user->in_slirp = false;
    for (struct user_guestfwd *g = user->guestfwds; g; g = g->next)
        if (slirp_socket_can_recv(user->slirp, g->addr, g->port))
            chardev_accept_input(g->chardev);
}

static void on_guest_error(const char *text, void *opaque)
{
    ((struct net_user *)opaque)->net.dropped++;
}

static int64_t get_clock(void *opaque)
{
    return clock_now(((struct net_user *)opaque)->clock);
}

static void on_timer(void *opaque)
{
    struct user_timer *t = opaque;
    t->callback(t->opaque);
}

static void *new_timer(SlirpTimerCb callback, void *cb_opaque, void *opaque)
{
    struct net_user *user = opaque;
    struct user_timer *t = calloc(1, sizeof *t);
    if (!t || loop_timer_init(user->loop, &t->timer, user->clock, on_timer, t)) {
        free(t);
        return NULL;
    }
    t->callback = callback;
    t->opaque = cb_opaque;
    return t;
}

static void free_timer(void *timer, void *opaque)
{
    struct user_timer *t = timer;
    if (t)
        loop_timer_destroy(&t->timer);
    free(t);
}

static void arm_timer(void *timer, int64_t expire_ms, void *opaque)
{
    struct user_timer *t = timer;
    if (t)
        loop_timer_arm(&t->timer, expire_ms * NS_PER_MS);
}

static void on_poll_fd(int fd, void *opaque) {}

static void on_notify(void *opaque)
{
    loop_wake(((struct net_user *)opaque)->loop);
}

static const SlirpCb callbacks = {.send_packet = on_packet,
                                  .guest_error = on_guest_error,
                                  .clock_get_ns = get_clock,
                                  .timer_new = new_timer,
                                  .timer_free = free_timer,
                                  .timer_mod = arm_timer,
                                  .register_poll_fd = on_poll_fd,
                                  .unregister_poll_fd = on_poll_fd,
                                  .notify = on_notify};

// --- forwarding ---

static ssize_t guestfwd_write(const void *buf, size_t len, void *opaque)
{
    struct user_guestfwd *g = opaque;
    return chardev_write(g->chardev, buf, len);
}

static size_t guestfwd_can_receive(void *opaque)
{
    struct user_guestfwd *g = opaque;
    return g->user->net.paused ? 0 : slirp_socket_can_recv(g->user->slirp, g->addr, g->port);
}

static void guestfwd_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct user_guestfwd *g = opaque;
    slirp_socket_recv(g->user->slirp, g->addr, g->port, buf, (int)len);
}

static const struct chardev_sink guestfwd_sink = {guestfwd_can_receive, guestfwd_receive, NULL};

static int add_hostfwd(void *opaque, const char *text, struct error *err)
{
    struct net_user *user = opaque;
    struct user_forward f;
    int r = user_read_hostfwd(text, false, &f, err);
    if (!r && slirp_add_hostfwd(user->slirp, f.udp, f.host, f.host_port, f.guest, f.guest_port))
        r = error_set(err, -errno, "hostfwd: cannot listen on '%s': %s", text, strerror(errno));
    return r;
}

struct opening {
    struct net_user *user;
    const struct net_env *env;
};

static int add_guestfwd(void *opaque, const char *text, struct error *err)
{
    struct opening *opening = opaque;
    struct net_user *user = opening->user;
    struct in_addr addr;
    int port;
    const char *to;
    int r = user_read_guestfwd(text, &addr, &port, &to, err);
    if (r)
        return r;
    if ((addr.s_addr & user->mask.s_addr) != user->network.s_addr)
        return error_set(err, -EINVAL, "guestfwd: the address in '%s' is not within the network (net=)",
                         text);
    if (!strncmp(to, "cmd:", 4))
        return slirp_add_exec(user->slirp, to + 4, &addr, port)
                   ? error_set(err, -EADDRINUSE, "guestfwd: the address and port in '%s' are taken", text)
                   : 0;
    if (strncmp(to, "chardev:", 8))
        return error_set(err, -ENOTSUP, "guestfwd: '%s' is neither chardev:ID nor cmd:COMMAND", to);
    struct chardev *chardev =
        opening->env->chardev ? opening->env->chardev(opening->env->opaque, to + 8) : NULL;
    if (!chardev)
        return error_set(err, -ENOENT, "guestfwd: there is no character device '%s', or it is in use",
                         to + 8);
    struct user_guestfwd *g = calloc(1, sizeof *g);
    if (!g)
        return error_set(err, -ENOMEM, "out of memory");
    *g = (struct user_guestfwd){
        .next = user->guestfwds, .user = user, .chardev = chardev, .addr = addr, .port = port};
    if (slirp_add_guestfwd(user->slirp, guestfwd_write, g, &addr, port)) {
        free(g);
        return error_set(err, -EADDRINUSE, "guestfwd: the address and port in '%s' are taken", text);
    }
    user->guestfwds = g;
    chardev_attach(chardev, &guestfwd_sink, g);
    return 0;
}

static void info(struct net *net, FILE *out)
{
    struct net_user *user = (struct net_user *)net;
    char network[INET_ADDRSTRLEN], mask[INET_ADDRSTRLEN];
    fprintf(out, "net=%s,netmask=%s,restrict=%s", inet_ntop(AF_INET, &user->network, network, sizeof network),
            inet_ntop(AF_INET, &user->mask, mask, sizeof mask), user->restricted ? "on" : "off");
}

static void destroy(struct net *net)
{
    struct net_user *user = (struct net_user *)net;
    for (struct user_guestfwd *g = user->guestfwds, *next; g; g = next) {
        next = g->next;
        chardev_attach(g->chardev, NULL, NULL);
        free(g);
    }
    loop_poller_remove(user->loop, &user->poller);
    if (user->slirp)
        slirp_cleanup(user->slirp);
    while (user->waiting)
        drop_first(user);
    free(user);
}

static const struct net_ops ops = {
    .send = send_frame, .accept = accept_frames, .info = info, .destroy = destroy};

int net_open_user(struct keyval_list *options, const struct net_env *env, struct net **ret, struct error *err)
{
    SlirpConfig config;
    const char *dns_search[DNS_SEARCH_MAX + 1];
    int r = user_read_options(options, &config, dns_search, DNS_SEARCH_MAX, err);
    if (r)
        return r;
    struct net_user *user = calloc(1, sizeof *user);
    if (!user)
        return error_set(err, -ENOMEM, "out of memory");
    user->net = (struct net){.ops = &ops,
                             .takes = NET_TAKES_TSO4 | NET_TAKES_TSO6,
                             .may_give = NET_TAKES_CSUM | NET_TAKES_TSO4 | NET_TAKES_TSO6,
                             .link_up = true};
    user->loop = env->loop;
    user->clock = env->clock;
    user->waiting_tail = &user->waiting;
    user->network = config.vnetwork;
    user->mask = config.vnetmask;
    user->restricted = config.restricted;
    user->poller = (struct loop_poller){.fill = on_fill, .served = on_served, .opaque = user};
    loop_poller_add(user->loop, &user->poller);
    user->slirp = slirp_new(&config, &callbacks, user);
    if (!user->slirp) {
        r = error_set(err, -EINVAL, "libslirp refuses the options of the user-mode network");
    } else {
        r = net_each_value(options, "hostfwd", add_hostfwd, user, err);
        struct opening opening = {user, env};
        if (!r)
            r = net_each_value(options, "guestfwd", add_guestfwd, &opening, err);
    }
    if (r) {
        destroy(&user->net);
        return r;
    }
    *ret = &user->net;
    return 0;
}

static struct net_user *user_of(struct net *net)
{
    return net && net->ops == &ops ? (struct net_user *)net : NULL;
}

int net_add_hostfwd(struct net *net, const char *text, struct error *err)
{
    struct net_user *user = user_of(net);
    if (!user)
        return error_set(err, -ENOTSUP, "only a user-mode network forwards ports");
    int r = add_hostfwd(user, text, err);
    if (!r)
        loop_wake(user->loop);
    return r;
}

int net_remove_hostfwd(struct net *net, const char *text, struct error *err)
{
    struct net_user *user = user_of(net);
    struct user_forward f;
    if (!user)
        return error_set(err, -ENOTSUP, "only a user-mode network forwards ports");
    int r = user_read_hostfwd(text, true, &f, err);
    if (!r && slirp_remove_hostfwd(user->slirp, f.udp, f.host, f.host_port))
        r = error_set(err, -ENOENT, "hostfwd: nothing is forwarded from '%s'", text);
    return r;
}

void net_print_connections(struct net *net, FILE *out)
{
    struct net_user *user = user_of(net);
    char *text = user ? slirp_connection_info(user->slirp) : NULL;
    if (text)
        fputs(text, out);
    free(text); // glib's g_malloc is malloc (glib 2.46)
}
