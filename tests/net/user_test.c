// SPDX-License-Identifier: MIT
// The user-mode network: what is done to frames on their way to and from libslirp, the option language, and
// libslirp itself answering a guest that is this test.
#include "base/clock.h"
#include "base/error.h"
#include "base/loop.h"
#include "host/net/frame.h"
#include "host/net/user.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

// An IPv4 packet of len bytes of payload behind its header, which holds header bytes of TCP or UDP.
static size_t make_ipv4(uint8_t *frame, uint8_t protocol, const void *header, size_t header_len, size_t len)
{
    static const uint8_t head[34] = {0x52, 0x55, 10,   0, 2, 2,  0x52, 0x54, 0,    0x12, 0x34, 0x56,
                                     0x08, 0x00, 0x45, 0, 0, 0,  0x12, 0x34, 0x40, 0,    64,   0,
                                     0,    0,    10,   0, 2, 15, 10,   0,    2,    2};
    memcpy(frame, head, sizeof head);
    for (size_t i = 0; i < len; i++)
        frame[34 + i] = (uint8_t)(i * 5 + (i >> 8));
    memcpy(frame + 34, header, header_len);
    frame[23] = protocol;
    put16(frame + 16, (unsigned)(20 + len));
    put16(frame + 24, ~(unsigned)frame_sum(frame + 14, 20, 0) & 0xffff);
    return 34 + len;
}

static bool checksum_good(const uint8_t *frame, size_t len)
{
    struct frame_layout l;
    return frame_parse(frame, len, &l) &&
           frame_sum(frame + l.l4, l.end - l.l4, frame_pseudo_sum(frame, &l)) == 0xffff;
}

Test(user, lets_slirp_send_long_segments)
{
    static const struct {
        uint8_t flags, options[8];
        unsigned takes, mss;
        int at;
    } rows[] = {
        {2, {2, 4, 0x05, 0xb4, 1, 1, 1, 0}, NET_TAKES_TSO4, 1460 * USER_LARGE_PIECES, 2},
        {0x12, {1, 2, 4, 0x05, 0xb4, 1, 1, 0}, NET_TAKES_TSO4, 1460 * USER_LARGE_PIECES, 3},
        {2, {2, 4, 0x05, 0xb3, 1, 1, 1, 0}, NET_TAKES_TSO4, 1459, 2},
        {2, {2, 4, 0x05, 0xb4, 1, 1, 1, 0}, NET_TAKES_TSO6, 1460, 2},
        {0x10, {2, 4, 0x05, 0xb4, 1, 1, 1, 0}, NET_TAKES_TSO4, 1460, 2},
        {2, {0, 1, 2, 4, 0x05, 0xb4, 1, 1}, NET_TAKES_TSO4, 1460, 4},
        {2, {3, 200, 2, 4, 0x05, 0xb4, 1, 1}, NET_TAKES_TSO4, 1460, 4},
        {2, {3, 0, 2, 4, 0x05, 0xb4, 1, 1}, NET_TAKES_TSO4, 1460, 4},
        {2, {1, 1, 1, 1, 1, 1, 2, 4}, NET_TAKES_TSO4, 0x0204, 6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t frame[100],
            tcp[28] = {0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x70, rows[i].flags, 0xff, 0xff};
        memcpy(tcp + 20, rows[i].options, 8);
        size_t len = make_ipv4(frame, FRAME_TCP, tcp, sizeof tcp, sizeof tcp);
        struct frame_layout l;
        cr_assert(frame_parse(frame, len, &l));
        frame_fill_tcp_checksum(frame, &l);
        user_raise_mss(frame, len, rows[i].takes);
        cr_expect_eq(get16(frame + 54 + rows[i].at), rows[i].mss, "row %zu", i);
        cr_expect(checksum_good(frame, len), "row %zu", i);
    }
}

struct given {
    unsigned count;
    struct net_offload offload;
    uint8_t payload[8192];
    size_t bytes, longest;
    bool good;
};

static void give(void *opaque, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct given *g = opaque;
    struct frame_layout l;
    g->good &= frame_parse(frame, len, &l) && frame_sum(frame + 14, 20, 0) == 0xffff;
    g->good &= (get16(frame + 20) & 0x1fff) * 8u == (g->bytes & 0xfff8);
    memcpy(g->payload + g->bytes, frame + l.l4, l.end - l.l4);
    g->bytes += l.end - l.l4;
    g->longest = len > g->longest ? len : g->longest;
    g->offload = *offload;
    g->count++;
}

Test(user, cuts_what_is_longer_than_the_guest_takes)
{
    static uint8_t frame[8192], original[8192];
    uint8_t udp[8] = {0, 53, 0x30, 0x39, 0x0f, 0xa8, 0, 0}, tcp[20] = {0, 80, 0x30, 0x39};
    struct given g = {.good = true};
    size_t len = make_ipv4(frame, FRAME_UDP, udp, sizeof udp, 4008);
    memcpy(original, frame, len);
    user_prepare(frame, len, give, &g);
    cr_expect_eq(g.count, 3);
    cr_expect_eq(g.longest, 1514);
    cr_expect(g.good);
    cr_expect_eq(g.bytes, 4008);
    cr_expect_arr_eq(g.payload, original + 34, 4008);
    tcp[12] = 0x50;
    g = (struct given){.good = true};
    len = make_ipv4(frame, FRAME_TCP, tcp, sizeof tcp, 20 + 1460);
    user_prepare(frame, len, give, &g);
    cr_expect_eq(g.offload.gso_type, NET_GSO_NONE);
    cr_expect_eq(g.offload.flags, NET_DATA_VALID);
    g = (struct given){.good = true};
    len = make_ipv4(frame, FRAME_TCP, tcp, sizeof tcp, 20 + 1461);
    user_prepare(frame, len, give, &g);
    cr_expect_eq(g.count, 1);
    cr_expect_eq(g.offload.gso_type, NET_GSO_TCPV4);
    cr_expect_eq(g.offload.gso_size, 1460);
    cr_expect(frame_offload_fits(&g.offload, frame, len));
    frame_fill_checksum(&g.offload, frame, len);
    cr_expect(checksum_good(frame, len), "what was left of the checksum is the pseudo header's sum");
}

Test(user, reads_forwardings)
{
    static const struct {
        const char *text;
        bool udp, good;
        const char *host, *guest;
        int host_port, guest_port;
    } rows[] = {
        {"tcp::2222-:22", false, true, "0.0.0.0", "0.0.0.0", 2222, 22},
        {"udp:127.0.0.1:5-10.0.2.15:6", true, true, "127.0.0.1", "10.0.2.15", 5, 6},
        {"::0-:1", false, true, "0.0.0.0", "0.0.0.0", 0, 1},
        {"tcp::65536-:22", false, false, "", "", 0, 0},
        {"tcp::22-:0", false, false, "", "", 0, 0},
        {"tcp::-1-:22", false, false, "", "", 0, 0},
        {"tcp:127.0.0.1.1:1-:22", false, false, "", "", 0, 0},
        {"tcp:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1-:22", false, false, "", "", 0, 0},
        {"sctp::1-:22", false, false, "", "", 0, 0},
        {"tcp::1", false, false, "", "", 0, 0},
        {"", false, false, "", "", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct user_forward f;
        int r = user_read_hostfwd(rows[i].text, false, &f, NULL);
        cr_expect_eq(!r, rows[i].good, "%s", rows[i].text);
        if (r)
            continue;
        char host[INET_ADDRSTRLEN], guest[INET_ADDRSTRLEN];
        cr_expect_str_eq(inet_ntop(AF_INET, &f.host, host, sizeof host), rows[i].host);
        cr_expect_str_eq(inet_ntop(AF_INET, &f.guest, guest, sizeof guest), rows[i].guest);
        cr_expect(f.host_port == rows[i].host_port && f.guest_port == rows[i].guest_port &&
                  f.udp == rows[i].udp);
    }
}

// --- with libslirp ---

struct bench {
    pthread_mutex_t lock;
    struct loop *loop;
    struct clock clock;
    struct keyval_list options;
    struct net *net;
    bool refuse;
    unsigned frames;
    uint8_t last[NET_FRAME_MAX];
    size_t last_len;
};

static bool receive(void *opaque, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct bench *b = opaque;
    if (b->refuse)
        return false;
    b->frames++;
    memcpy(b->last, frame, len);
    b->last_len = len;
    return true;
}

static void nothing(void *opaque) {}

static const struct net_sink sink = {.receive = receive, .can_send = nothing, .link = nothing};

static void setup(struct bench *b, const char *options)
{
    struct error err = {0};
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_lock(&b->lock);
    clock_init(&b->clock, NULL, NULL);
    cr_assert_eq(loop_create(&b->lock, &b->loop, NULL), 0);
    cr_assert_eq(keyval_parse(options, "type", &b->options, NULL), 0);
    struct net_env env = {.loop = b->loop, .clock = &b->clock};
    cr_assert_eq(net_open(&b->options, &env, &b->net, &err), 0, "%s", err.text);
    clock_start(&b->clock);
    net_attach(b->net, &sink, b);
}

static void teardown(struct bench *b)
{
    net_attach(b->net, NULL, NULL);
    net_destroy(b->net);
    keyval_free(&b->options);
    loop_destroy(b->loop);
    clock_destroy(&b->clock);
    pthread_mutex_unlock(&b->lock);
    pthread_mutex_destroy(&b->lock);
}

static void ask_arp(struct bench *b)
{
    uint8_t frame[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0,    0x12, 0x34, 0x56, 0x08, 0x06,
                         0,    1,    8,    0,    6,    4,    0,    1,    0x52, 0x54, 0,    0x12, 0x34, 0x56,
                         10,   0,    2,    15,   0,    0,    0,    0,    0,    0,    10,   0,    2,    2};
    struct net_offload none = {0};
    cr_expect(net_send(b->net, &none, frame, sizeof frame));
}

Test(user, answers_and_waits_for_the_guest)
{
    static struct bench b;
    setup(&b, "user,id=n,ipv6=off");
    ask_arp(&b);
    cr_expect_eq(b.frames, 1);
    cr_expect_eq(get16(b.last + 20), 2, "an ARP reply");
    cr_expect_arr_eq(b.last + 28, "\x0a\0\2\2", 4);
    b.refuse = true;
    ask_arp(&b);
    ask_arp(&b);
    loop_once(b.loop, 0);
    cr_expect_eq(b.frames, 1);
    b.refuse = false;
    net_accept(b.net);
    cr_expect_eq(b.frames, 3, "nothing was lost");
    cr_expect_eq(b.net->dropped, 0);
    net_pause(b.net, true);
    struct net_offload none = {0};
    cr_expect_not(net_send(b.net, &none, b.last, 60));
    net_pause(b.net, false);
    ask_arp(&b);
    cr_expect_eq(b.frames, 4);
    teardown(&b);
}

Test(user, a_guest_that_never_takes_costs_bounded_memory)
{
    static struct bench b;
    setup(&b, "user,id=n,ipv6=off");
    b.refuse = true;
    for (int i = 0; i < 200000; i++)
        ask_arp(&b);
    cr_expect_gt(b.net->dropped, 0);
    teardown(&b);
}
