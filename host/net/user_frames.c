// SPDX-License-Identifier: MIT
// Owns what happens to frames between a guest and libslirp so that bulk data travels in few and large pieces:
// slirp may send TCP segments longer than the guest's MTU, which the guest gets as one segment "to be cut"
// (GSO); and since slirp then believes in a large MTU, its long IPv4 datagrams are fragmented here (RFC
// 791, 3.2).
//
// Invariant: nothing longer than USER_MTU reaches the guest unless marked as GSO, except IPv6 datagrams,
// which nobody but their sender may fragment.
#include "host/net/frame.h"
#include "host/net/user.h"

#include <string.h>

enum { TCP_SYN = 2, TCP_OPT_END = 0, TCP_OPT_NOP = 1, TCP_OPT_MSS = 2, IPV4_MF = 0x2000, TCP_CSUM = 16 };

static void put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

// What a segment can carry within the guest's MTU.
static unsigned usual_mss(const struct frame_layout *l)
{
    return USER_MTU - (l->v6 ? 60 : 40);
}

void user_raise_mss(uint8_t *frame, size_t len, unsigned sink_takes)
{
    struct frame_layout l;
    if (!(sink_takes & (NET_TAKES_TSO4 | NET_TAKES_TSO6)) || !frame_parse(frame, len, &l) ||
        l.protocol != FRAME_TCP || l.fragment || !(frame[l.l4 + 13] & TCP_SYN) ||
        !(sink_takes & (l.v6 ? NET_TAKES_TSO6 : NET_TAKES_TSO4)))
        return;
    uint8_t *end = frame + l.payload;
    for (uint8_t *p = frame + l.l4 + 20; p < end && *p != TCP_OPT_END;) {
        if (*p == TCP_OPT_NOP) {
            p++;
            continue;
        }
        if (end - p < 2 || p[1] < 2 || p[1] > end - p)
            return;
        if (*p == TCP_OPT_MSS && p[1] == 4) {
            if (((unsigned)p[2] << 8 | p[3]) < usual_mss(&l))
                return;
            put16(p + 2, usual_mss(&l) * USER_LARGE_PIECES);
            frame_fill_tcp_checksum(frame, &l);
            return;
        }
        p += p[1];
    }
}

static void fragment(const uint8_t *frame, const struct frame_layout *l,
                     void (*give)(void *, const struct net_offload *, const uint8_t *, size_t), void *opaque)
{
    static const struct net_offload nothing;
    uint8_t piece[NET_FRAME_MIN + 8 + USER_MTU];
    size_t total = l->end - l->l4, most = (USER_MTU - (l->l4 - l->l3)) & ~(size_t)7;
    for (size_t done = 0; done < total; done += most) {
        size_t part = total - done < most ? total - done : most;
        memcpy(piece, frame, l->l4);
        memcpy(piece + l->l4, frame + l->l4 + done, part);
        uint8_t *ip = piece + l->l3;
        put16(ip + 2, (unsigned)(l->l4 - l->l3 + part));
        put16(ip + 6, (unsigned)(done / 8) | (done + part < total ? IPV4_MF : 0));
        put16(ip + 10, 0);
        put16(ip + 10, ~(unsigned)frame_sum(ip, l->l4 - l->l3, 0) & 0xffff);
        give(opaque, &nothing, piece, l->l4 + part);
    }
}

void user_prepare(uint8_t *frame, size_t len,
                  void (*give)(void *opaque, const struct net_offload *offload, const uint8_t *frame,
                               size_t len),
                  void *opaque)
{
    struct net_offload offload = {0};
    struct frame_layout l;
    if (frame_parse(frame, len, &l) && !l.fragment) {
        if (l.protocol == FRAME_TCP && l.end - l.payload > usual_mss(&l)) {
            offload = (struct net_offload){.flags = NET_NEEDS_CSUM,
                                           .gso_type = l.v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4,
                                           .hdr_len = (uint16_t)l.payload,
                                           .gso_size = (uint16_t)usual_mss(&l),
                                           .csum_start = (uint16_t)l.l4,
                                           .csum_offset = TCP_CSUM};
            put16(frame + l.l4 + TCP_CSUM, frame_pseudo_sum(frame, &l));
        } else if (!l.v6 && l.end - l.l3 > USER_MTU) {
            fragment(frame, &l, give, opaque);
            return;
        } else if (l.protocol == FRAME_TCP || l.protocol == FRAME_UDP) {
            offload.flags = NET_DATA_VALID; // slirp has just made the checksum
        }
    }
    give(opaque, &offload, frame, len);
}
