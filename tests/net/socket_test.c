// SPDX-License-Identifier: MIT
// Networks over sockets: QEMU's framing byte for byte, back-pressure from one machine's NIC to the other's,
// and peers that break the framing or leave.
#include "base/error.h"
#include "base/loop.h"
#include "host/net/backends.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct side {
    struct net *net;
    struct keyval_list options;
    bool refuse, link_told;
    unsigned frames, wakes;
    size_t bytes;
    bool in_order;
    uint8_t last[NET_FRAME_MAX];
};

struct bench {
    pthread_mutex_t lock;
    struct loop *loop;
    struct side a, b;
};

static bool receive(void *opaque, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct side *s = opaque;
    unsigned number;
    if (s->refuse)
        return false;
    memcpy(&number, frame, sizeof number);
    s->in_order &= number == s->frames;
    s->frames++;
    s->bytes += len;
    memcpy(s->last, frame, len);
    return true;
}

static void can_send(void *opaque)
{
    ((struct side *)opaque)->wakes++;
}

static void link_changed(void *opaque)
{
    ((struct side *)opaque)->link_told = true;
}

static const struct net_sink sink = {.receive = receive, .can_send = can_send, .link = link_changed};

static void open_side(struct bench *b, struct side *s, const char *text)
{
    struct error err = {0};
    struct net_env env = {.loop = b->loop};
    *s = (struct side){.in_order = true};
    cr_assert_eq(keyval_parse(text, "type", &s->options, NULL), 0);
    cr_assert_eq(net_open(&s->options, &env, &s->net, &err), 0, "%s", err.text);
    net_attach(s->net, &sink, s);
}

static void close_side(struct side *s)
{
    if (s->net) {
        net_attach(s->net, NULL, NULL);
        net_destroy(s->net);
    }
    keyval_free(&s->options);
    *s = (struct side){0};
}

static void setup(struct bench *b)
{
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_lock(&b->lock);
    cr_assert_eq(loop_create(&b->lock, &b->loop, NULL), 0);
}

static void teardown(struct bench *b)
{
    close_side(&b->a);
    close_side(&b->b);
    loop_destroy(b->loop);
    pthread_mutex_unlock(&b->lock);
    pthread_mutex_destroy(&b->lock);
}

// Both ends of a socket pair as networks.
static void join(struct bench *b, int type)
{
    int ends[2];
    char text[64];
    setup(b);
    cr_assert_eq(socketpair(AF_UNIX, type, 0, ends), 0);
    snprintf(text, sizeof text, "socket,id=a,fd=%d", ends[0]);
    open_side(b, &b->a, text);
    snprintf(text, sizeof text, "socket,id=b,fd=%d", ends[1]);
    open_side(b, &b->b, text);
}

// One end as a network, the other raw.
static int join_raw(struct bench *b)
{
    int ends[2];
    char text[64];
    setup(b);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    snprintf(text, sizeof text, "stream,id=a,addr.type=fd,addr.str=%d", ends[0]);
    open_side(b, &b->a, text);
    return ends[1];
}

static uint8_t frame[NET_FRAME_MAX];

static bool send_number(struct side *s, unsigned number, size_t len)
{
    struct net_offload none = {0};
    memcpy(frame, &number, sizeof number);
    return net_send(s->net, &none, frame, len);
}

static void turn(struct bench *b)
{
    for (int i = 0; i < 50; i++)
        loop_once(b->loop, 0);
}

static void check_back_pressure(int type, unsigned most)
{
    static struct bench b;
    join(&b, type);
    cr_expect(b.a.net->link_up);
    b.b.refuse = true;
    unsigned sent = 0;
    while (sent < most && send_number(&b.a, sent, 1514)) {
        sent++;
        if (sent % 16 == 0)
            turn(&b);
    }
    cr_expect_lt(sent, most, "at some time there is no room");
    cr_expect_eq(b.b.frames, 0);
    cr_expect_eq(b.a.wakes, 0);
    b.b.refuse = false;
    net_accept(b.b.net);
    turn(&b);
    cr_expect_eq(b.b.frames, sent, "all that was taken arrives");
    cr_expect_eq(b.b.bytes, 1514ul * sent);
    cr_expect(b.b.in_order);
    cr_expect_eq(b.a.wakes, 1);
    cr_expect(send_number(&b.a, sent, 60));
    turn(&b);
    cr_expect_eq(b.b.frames, sent + 1);
    teardown(&b);
}

Test(socket, stream_waits_for_the_other_side)
{
    check_back_pressure(SOCK_STREAM, 10000);
}

Test(socket, dgram_waits_for_the_other_side)
{
    check_back_pressure(SOCK_DGRAM, 10000);
}

// A mistyped path must not cost a file; a socket that an earlier run left is in nobody's way.
Test(socket, dgram_takes_the_place_of_sockets_only)
{
    struct bench b;
    struct error err = {0};
    char path[] = "/tmp/socket_test.XXXXXX", text[160];
    setup(&b);
    struct net_env env = {.loop = b.loop};
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    snprintf(text, sizeof text, "dgram,local.type=unix,local.path=%s,remote.type=unix,remote.path=/none", path);
    cr_assert_eq(keyval_parse(text, "type", &b.a.options, NULL), 0);
    cr_expect_lt(net_open(&b.a.options, &env, &b.a.net, &err), 0);
    cr_expect(strstr(err.text, "cannot bind to"), "%s", err.text);
    cr_expect_eq(unlink(path), 0, "it is there yet");
    keyval_free(&b.a.options);
    struct sockaddr_un stale = {.sun_family = AF_UNIX};
    strcpy(stale.sun_path, path);
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&stale, sizeof stale), 0);
    close(fd);
    open_side(&b, &b.a, text);
    teardown(&b);
}

Test(socket, frames_travel_behind_their_length)
{
    struct bench b;
    int peer = join_raw(&b);
    uint8_t got[100];
    cr_expect(send_number(&b.a, 7, 60));
    cr_expect_eq(read(peer, got, sizeof got), 64);
    cr_expect_arr_eq(got, "\0\0\0\x3c\7\0\0\0", 8);
    uint8_t wire[4 + 20] = {0, 0, 0, 20, 0};
    for (size_t i = 0; i < sizeof wire; i++) { // byte by byte
        cr_assert_eq(write(peer, wire + i, 1), 1);
        turn(&b);
        cr_expect_eq(b.a.frames, i == sizeof wire - 1);
    }
    uint8_t two[2 * 24] = {0, 0, 0, 20, 1};
    memcpy(two + 24, "\0\0\0\x14\2", 5);
    cr_assert_eq(write(peer, two, sizeof two), sizeof two);
    turn(&b);
    cr_expect_eq(b.a.frames, 3);
    cr_expect(b.a.in_order);
    close(peer);
    teardown(&b);
}

Test(socket, a_peer_that_breaks_the_framing_is_left)
{
    static const char *const lengths[] = {"\xff\xff\xff\xff", "\0\1\0\x20", "\x80\0\0\0"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct bench b;
        int peer = join_raw(&b);
        cr_assert_eq(write(peer, lengths[i], 4), 4);
        turn(&b);
        cr_expect_not(b.a.net->link_up);
        cr_expect(b.a.link_told);
        cr_expect(send_number(&b.a, 0, 60), "dropped");
        close(peer);
        teardown(&b);
    }
}

Test(socket, a_short_frame_is_dropped)
{
    struct bench b;
    int peer = join_raw(&b);
    cr_assert_eq(write(peer, "\0\0\0\0\0\0\0\1x", 9), 9);
    turn(&b);
    cr_expect_eq(b.a.frames, 0);
    cr_expect(b.a.net->link_up);
    close(peer);
    turn(&b);
    cr_expect_not(b.a.net->link_up);
    teardown(&b);
}

Test(socket, a_server_takes_one_peer_after_the_other)
{
    struct bench b;
    char path[64], text[128];
    setup(&b);
    snprintf(path, sizeof path, "/tmp/socket_test.%d", (int)getpid());
    snprintf(text, sizeof text, "stream,id=a,server=on,addr.type=unix,addr.path=%s", path);
    open_side(&b, &b.a, text);
    cr_expect_not(b.a.net->link_up);
    snprintf(text, sizeof text, "stream,id=b,addr.type=unix,addr.path=%s", path);
    for (unsigned i = 0; i < 3; i++) {
        open_side(&b, &b.b, text);
        turn(&b);
        cr_expect(b.a.net->link_up);
        cr_expect(send_number(&b.b, i, 60));
        turn(&b);
        cr_expect_eq(b.a.frames, i + 1);
        close_side(&b.b);
        turn(&b);
        cr_expect_not(b.a.net->link_up);
    }
    teardown(&b);
    cr_expect_neq(access(path, F_OK), 0, "the socket is gone");
}
