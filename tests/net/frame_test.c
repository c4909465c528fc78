// SPDX-License-Identifier: MIT
// Checksums and cutting of frames against frames that were made elsewhere (RFC 1071's example, a capture's
// header) and against a second, slow checksum; hostile offloads and headers.
#include "host/net/frame.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

// Ethernet and IPv4 or IPv6 and TCP headers without options, no payload.
static const uint8_t head4[54] = {
    0x52, 0x54, 0,    0x12, 0x34, 0x56, 0x52, 0x55, 10, 0, 2,    2,    0x08, 0x00, 0x45, 0, 0, 40,
    0x12, 0x34, 0x40, 0,    64,   6,    0,    0,    10, 0, 2,    15,   10,   0,    2,    2, 0, 80,
    0x12, 0x34, 0xff, 0xff, 0xff, 0xf0, 0,    0,    0,  1, 0x50, 0x19, 1,    0,    0,    0, 0, 0};
static const uint8_t head6[74] = {
    0x52, 0x54, 0,  0x12, 0x34, 0x56, 0x52, 0x55, 10, 0,    2,    2, 0x86, 0xdd, 0x60, 0, 0, 0,  0,
    20,   6,    64, 0xfe, 0xc0, 0,    0,    0,    0,  0,    0,    0, 0,    0,    0,    0, 0, 0,  2,
    0xfe, 0xc0, 0,  0,    0,    0,    0,    0,    0,  0,    0,    0, 0,    0,    0,    3, 0, 80, 0x12,
    0x34, 0,    0,  0,    5,    0,    0,    0,    1,  0x50, 0x18, 1, 0,    0,    0,    0, 0};

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) << 16 | get16(p + 2);
}

// RFC 1071 to the letter: 0xffff where the checksum inside is right.
static unsigned slow_sum(const uint8_t *p, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static bool tcp_checksum_good(const uint8_t *frame, size_t len, bool v6)
{
    const uint8_t *ip = frame + 14, *tcp = ip + (v6 ? 40 : 20);
    size_t tcp_len = len - (size_t)(tcp - frame);
    uint32_t sum = slow_sum(ip + (v6 ? 8 : 12), v6 ? 32 : 8, 6 + (uint32_t)tcp_len);
    return slow_sum(tcp, tcp_len, sum) == 0xffff;
}

static size_t make_frame(uint8_t *frame, bool v6, size_t payload)
{
    size_t head = v6 ? sizeof head6 : sizeof head4;
    memcpy(frame, v6 ? head6 : head4, head);
    for (size_t i = 0; i < payload; i++)
        frame[head + i] = (uint8_t)(i * 7 + (i >> 8));
    unsigned total = (unsigned)((v6 ? 20 : 40) + payload);
    frame[v6 ? 18 : 16] = (uint8_t)(total >> 8);
    frame[v6 ? 19 : 17] = (uint8_t)total;
    unsigned sum = ~slow_sum(frame + 14, 20, 0) & 0xffff;
    if (!v6) {
        frame[24] = (uint8_t)(sum >> 8);
        frame[25] = (uint8_t)sum;
    }
    return head + payload;
}

static struct net_offload offload_of(bool v6, unsigned size)
{
    return (struct net_offload){.flags = NET_NEEDS_CSUM,
                                .gso_type = v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4,
                                .gso_size = (uint16_t)size,
                                .csum_start = v6 ? 54 : 34,
                                .csum_offset = 16};
}

Test(frame, sums_as_the_rfc_does)
{
    static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}; // RFC 1071, 3
    cr_expect_eq(frame_sum(example, sizeof example, 0), 0xddf2);
    uint8_t data[256];
    srand(1);
    for (int round = 0; round < 2000; round++) {
        size_t start = (size_t)rand() % 8, len = (size_t)rand() % (sizeof data - 8);
        uint32_t add = (uint32_t)rand() & 0x3ffff;
        for (size_t i = 0; i < sizeof data; i++)
            data[i] = round % 3 ? (uint8_t)rand() : 0xff;
        unsigned got = frame_sum(data + start, len, add), want = slow_sum(data + start, len, add);
        cr_assert_eq(got, want, "%zu bytes from %zu: %x, %x", len, start, got, want);
    }
}

struct pieces {
    unsigned count, refuse_at;
    size_t payload;
    bool v6, good;
    const uint8_t *whole;
};

static bool take(void *opaque, const uint8_t *frame, size_t len)
{
    struct pieces *p = opaque;
    size_t head = p->v6 ? sizeof head6 : sizeof head4, tcp = p->v6 ? 54 : 34;
    if (p->count == p->refuse_at)
        return false;
    p->good &= tcp_checksum_good(frame, len, p->v6) &&
               !memcmp(frame + head, p->whole + head + p->payload, len - head);
    p->good &= get32(frame + tcp + 4) == get32(p->whole + tcp + 4) + (uint32_t)p->payload;
    if (p->v6) {
        p->good &= get16(frame + 18) == len - 54;
    } else {
        p->good &= get16(frame + 16) == len - 14 && slow_sum(frame + 14, 20, 0) == 0xffff &&
                   get16(frame + 18) == 0x1234 + p->count;
        bool fin = frame[47] & 1; // and PSH: only at the end
        p->good &= fin == (p->payload + len - head == 5000) && !!(frame[47] & 8) == fin;
    }
    p->payload += len - head;
    p->count++;
    return true;
}

Test(frame, a_long_segment_becomes_short_ones)
{
    static uint8_t frame[NET_FRAME_MAX], whole[NET_FRAME_MAX];
    for (int v6 = 0; v6 < 2; v6++) {
        size_t len = make_frame(frame, v6, 5000);
        struct net_offload o = offload_of(v6, 1460);
        memcpy(whole, frame, len);
        struct pieces p = {.refuse_at = 99, .v6 = v6, .good = true, .whole = whole};
        cr_assert(frame_offload_fits(&o, frame, len));
        cr_expect_eq(frame_segment(&o, frame, len, take, &p), 4);
        cr_expect_eq(p.payload, 5000);
        cr_expect(p.good);
        p = (struct pieces){.refuse_at = 2, .v6 = v6, .good = true, .whole = whole};
        cr_expect_eq(frame_segment(&o, frame, len, take, &p), 2, "stops where there is no room");
        o.gso_size = 5000;
        p = (struct pieces){.refuse_at = 99, .v6 = v6, .good = true, .whole = whole};
        cr_expect_eq(frame_segment(&o, frame, len, take, &p), 1, "nothing to cut");
        cr_expect(p.good);
    }
}

Test(frame, a_checksum_is_filled_in)
{
    uint8_t frame[200];
    struct frame_layout l;
    for (int v6 = 0; v6 < 2; v6++) {
        size_t len = make_frame(frame, v6, 33);
        cr_assert(frame_parse(frame, len, &l));
        unsigned pseudo = frame_pseudo_sum(frame, &l);
        struct net_offload o = offload_of(v6, 0);
        o.gso_type = NET_GSO_NONE;
        frame[o.csum_start + 16] = (uint8_t)(pseudo >> 8);
        frame[o.csum_start + 17] = (uint8_t)pseudo;
        cr_assert(frame_offload_fits(&o, frame, len));
        frame_fill_checksum(&o, frame, len);
        cr_expect(tcp_checksum_good(frame, len, v6));
    }
}

Test(frame, hostile_offloads_do_not_fit)
{
    static uint8_t frame[NET_FRAME_MAX];
    size_t len = make_frame(frame, false, 3000);
    static const struct {
        const char *name;
        size_t offset;
        uint16_t value;
        bool wide;
    } rows[] = {
#define ROW(member_, value_, wide_) {#member_, offsetof(struct net_offload, member_), value_, wide_}
        ROW(flags, 0, false),           ROW(gso_type, 2, false),       ROW(gso_type, 0x81, false),
        ROW(gso_type, 4, false),        ROW(gso_size, 0, true),        ROW(gso_size, 47, true),
        ROW(csum_start, 0, true),       ROW(csum_start, 0xffff, true), ROW(csum_start, 33, true),
        ROW(csum_offset, 0xffff, true), ROW(csum_offset, 6, true),     ROW(csum_start, 3053, true),
    };
    struct net_offload good = offload_of(false, 1460);
    cr_assert(frame_offload_fits(&good, frame, len));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct net_offload o = good;
        memcpy((uint8_t *)&o + rows[i].offset, &rows[i].value, rows[i].wide ? 2 : 1);
        cr_expect_not(frame_offload_fits(&o, frame, len), "%s = %u", rows[i].name, rows[i].value);
    }
    struct net_offload plain = {.flags = NET_NEEDS_CSUM, .csum_start = 3000, .csum_offset = 53};
    cr_expect_not(frame_offload_fits(&plain, frame, 3054), "one byte behind the end");
    plain.csum_offset = 52;
    cr_expect(frame_offload_fits(&plain, frame, 3054));
}

Test(frame, hostile_headers_stay_within_the_frame)
{
    struct frame_layout l;
    srand(2);
    for (int v6 = 0; v6 < 2; v6++)
        for (int round = 0; round < 20000; round++) {
            size_t len = (size_t)rand() % 120;
            uint8_t whole[200], *exact = malloc(len + 1); // an overrun is the sanitizer's
            make_frame(whole, v6, 100);
            for (int i = 0; i < 3; i++)
                whole[12 + rand() % 60] = (uint8_t)rand();
            memcpy(exact, whole, len);
            if (frame_parse(exact, len, &l)) {
                cr_assert(l.l3 <= l.l4 && l.l4 <= l.payload && l.payload <= l.end && l.end <= len);
                frame_pseudo_sum(exact, &l);
                if (l.protocol == FRAME_TCP && !l.fragment)
                    frame_fill_tcp_checksum(exact, &l);
            }
            free(exact);
        }
}

// --- the channel ---

struct end {
    struct net net;
    unsigned frames, long_frames, refuse;
    bool checksums_good;
};

static bool end_send(struct net *net, const struct net_offload *o, const uint8_t *frame, size_t len)
{
    struct end *e = (struct end *)net;
    if (e->refuse)
        return false;
    e->frames++;
    e->long_frames += o->gso_type != NET_GSO_NONE;
    if (!(o->flags & NET_NEEDS_CSUM))
        e->checksums_good &= tcp_checksum_good(frame, len, false);
    return true;
}

static void end_accept(struct net *net) {}

static const struct net_ops end_ops = {.send = end_send, .accept = end_accept};
static unsigned woken;

static void can_send(void *opaque)
{
    woken++;
}

static const struct net_sink sender = {.can_send = can_send};

Test(channel, does_what_the_other_side_does_not_take)
{
    static uint8_t frame[NET_FRAME_MAX];
    static const struct {
        unsigned takes, frames, long_frames;
    } rows[] = {
        {0, 4, 0},
        {NET_TAKES_CSUM, 4, 0},
        {NET_TAKES_TSO4, 1, 1},
        {NET_TAKES_TSO6, 4, 0},
        {NET_TAKES_TSO4 | NET_TAKES_CSUM, 1, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct end e = {.net = {.ops = &end_ops, .takes = rows[i].takes}, .checksums_good = true};
        struct net_offload o = offload_of(false, 1460);
        size_t len = make_frame(frame, false, 5000);
        cr_expect(net_send(&e.net, &o, frame, len));
        cr_expect_eq(e.frames, rows[i].frames, "row %zu: %u frames", i, e.frames);
        cr_expect_eq(e.long_frames, rows[i].long_frames);
        cr_expect(e.checksums_good, "row %zu", i);
    }
}

Test(channel, refusal_is_followed_by_a_call)
{
    struct end e = {.net = {.ops = &end_ops}, .refuse = 1};
    uint8_t frame[60] = {0};
    struct net_offload none = {0};
    net_attach(&e.net, &sender, NULL);
    cr_expect_not(net_send(&e.net, &none, frame, sizeof frame));
    net_can_send(&e.net);
    net_can_send(&e.net);
    cr_expect_eq(woken, 1);
    e.refuse = 0;
    net_pause(&e.net, true);
    cr_expect_not(net_send(&e.net, &none, frame, sizeof frame), "the machine stands still");
    cr_expect_eq(e.frames, 0);
    net_pause(&e.net, false);
    cr_expect_eq(woken, 2);
    cr_expect(net_send(&e.net, &none, frame, 13), "too short: dropped");
    cr_expect_eq(e.net.dropped, 1);
}
