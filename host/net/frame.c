// SPDX-License-Identifier: MIT
// Owns checksums and the cutting of long TCP segments. Invariant: frame_segment emits at most payload /
// FRAME_GSO_MIN frames (frame_offload_fits refuses smaller pieces), so that a hostile offload costs no more
// than it is worth.
#include "host/net/frame.h"

#include <string.h>

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_QINQ = 0x88a8,
    IPV4_MIN = 20,
    IPV6_BYTES = 40,
    TCP_MIN = 20,
    TCP_CSUM = 16,
    UDP_CSUM = 6,
    TCP_FIN = 0x01,
    TCP_PSH = 0x08,
    TCP_CWR = 0x80,
};

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put32(uint8_t *p, uint32_t value)
{
    put16(p, value >> 16);
    put16(p + 2, value & 0xffff);
}

static bool parse_ipv4(const uint8_t *frame, size_t len, struct frame_layout *l)
{
    if (len - l->l3 < IPV4_MIN || frame[l->l3] >> 4 != 4)
        return false;
    size_t header = (frame[l->l3] & 15) * 4u, total = get16(frame + l->l3 + 2);
    if (header < IPV4_MIN || total < header || total > len - l->l3)
        return false;
    l->l4 = l->l3 + header;
    l->end = l->l3 + total;
    l->protocol = frame[l->l3 + 9];
    l->fragment = get16(frame + l->l3 + 6) & 0x3fff; // MF or an offset
    return true;
}

static bool parse_ipv6(const uint8_t *frame, size_t len, struct frame_layout *l)
{
    if (len - l->l3 < IPV6_BYTES || frame[l->l3] >> 4 != 6)
        return false;
    size_t payload = get16(frame + l->l3 + 4);
    if (payload > len - l->l3 - IPV6_BYTES)
        return false;
    l->l4 = l->l3 + IPV6_BYTES;
    l->end = l->l4 + payload;
    l->protocol = frame[l->l3 + 6];
    l->v6 = true;
    return true;
}

bool frame_parse(const uint8_t *frame, size_t len, struct frame_layout *ret_layout)
{
    struct frame_layout l = {.l3 = NET_FRAME_MIN};
    if (len < NET_FRAME_MIN)
        return false;
    unsigned type = get16(frame + 12);
    for (int tags = 0; tags < 2 && (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ); tags++) {
        if (len - l.l3 < 4)
            return false;
        type = get16(frame + l.l3 + 2);
        l.l3 += 4;
    }
    if (!(type == ETHERTYPE_IPV4 && parse_ipv4(frame, len, &l)) &&
        !(type == ETHERTYPE_IPV6 && parse_ipv6(frame, len, &l)))
        return false;
    l.payload = l.l4;
    if (l.protocol == FRAME_TCP && !l.fragment) {
        if (l.end - l.l4 < TCP_MIN)
            return false;
        l.payload += (frame[l.l4 + 12] >> 4) * 4u;
        if (l.payload < l.l4 + TCP_MIN || l.payload > l.end)
            return false;
    }
    *ret_layout = l;
    return true;
}

// RFC 1071: words are summed in the host's order, which swaps the result's bytes and nothing else.
uint16_t frame_sum(const uint8_t *data, size_t len, uint64_t start)
{
    uint64_t sum = 0;
    for (; len >= 32; data += 32, len -= 32) {
        uint32_t words[8];
        memcpy(words, data, sizeof words);
        for (int i = 0; i < 8; i++)
            sum += words[i];
    }
    for (; len >= 2; data += 2, len -= 2) {
        uint16_t word;
        memcpy(&word, data, 2);
        sum += word;
    }
    if (len)
        sum += *data;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    sum = ((sum & 0xff) << 8 | sum >> 8) + start;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint16_t frame_pseudo_sum(const uint8_t *frame, const struct frame_layout *l)
{
    uint64_t start = l->protocol + (uint64_t)(l->end - l->l4);
    return l->v6 ? frame_sum(frame + l->l3 + 8, 32, start) : frame_sum(frame + l->l3 + 12, 8, start);
}

void frame_fill_tcp_checksum(uint8_t *frame, const struct frame_layout *l)
{
    put16(frame + l->l4 + TCP_CSUM, 0);
    put16(frame + l->l4 + TCP_CSUM,
          ~(unsigned)frame_sum(frame + l->l4, l->end - l->l4, frame_pseudo_sum(frame, l)) & 0xffff);
}

bool frame_offload_fits(const struct net_offload *o, const uint8_t *frame, size_t len)
{
    if (o->flags & NET_NEEDS_CSUM &&
        (o->csum_start < NET_FRAME_MIN || (size_t)o->csum_start + o->csum_offset + 2 > len))
        return false;
    if (o->gso_type == NET_GSO_NONE)
        return true;
    struct frame_layout l;
    return (o->gso_type == NET_GSO_TCPV4 || o->gso_type == NET_GSO_TCPV6) && o->flags & NET_NEEDS_CSUM &&
           o->gso_size >= FRAME_GSO_MIN && frame_parse(frame, len, &l) && l.protocol == FRAME_TCP &&
           !l.fragment && l.v6 == (o->gso_type == NET_GSO_TCPV6) && o->csum_start == l.l4 &&
           o->csum_offset == TCP_CSUM;
}

void frame_fill_checksum(const struct net_offload *o, uint8_t *frame, size_t len)
{
    // The field holds the sum of the pseudo header already.
    unsigned sum = ~(unsigned)frame_sum(frame + o->csum_start, len - o->csum_start, 0) & 0xffff;
    // UDP sends 0 as its negative: 0 says that there is none (RFC 768).
    put16(frame + o->csum_start + o->csum_offset, sum || o->csum_offset != UDP_CSUM ? sum : 0xffff);
}

// Makes the headers, copied from the whole, those of the piece that starts at done.
static void fix_headers(uint8_t *piece, const struct frame_layout *l, const uint8_t *frame, size_t done,
                        unsigned number, bool last)
{
    uint8_t *ip = piece + l->l3, *tcp = piece + l->l4;
    if (l->v6) {
        put16(ip + 4, (unsigned)(l->end - l->l4));
    } else {
        put16(ip + 2, (unsigned)(l->end - l->l3));
        put16(ip + 4, get16(frame + l->l3 + 4) + number);
        put16(ip + 10, 0);
        put16(ip + 10, ~(unsigned)frame_sum(ip, l->l4 - l->l3, 0) & 0xffff);
    }
    put32(tcp + 4, get32(frame + l->l4 + 4) + (uint32_t)done);
    tcp[13] &= (uint8_t) ~((last ? 0 : TCP_FIN | TCP_PSH) | (number ? TCP_CWR : 0));
    frame_fill_tcp_checksum(piece, l);
}

size_t frame_segment(const struct net_offload *o, uint8_t *frame, size_t len,
                     bool (*emit)(void *opaque, const uint8_t *frame, size_t len), void *opaque)
{
    struct frame_layout l;
    if (!frame_parse(frame, len, &l))
        return 0;
    size_t payload = l.end - l.payload, taken = 0;
    if (payload <= o->gso_size) { // nothing to cut
        frame_fill_tcp_checksum(frame, &l);
        return emit(opaque, frame, l.end);
    }
    uint8_t piece[NET_FRAME_MAX];
    for (size_t done = 0; done < payload; done += o->gso_size, taken++) {
        size_t part = payload - done < o->gso_size ? payload - done : o->gso_size;
        memcpy(piece, frame, l.payload);
        memcpy(piece + l.payload, frame + l.payload + done, part);
        struct frame_layout of_piece = l;
        of_piece.end = l.payload + part;
        fix_headers(piece, &of_piece, frame, done, (unsigned)taken, done + part == payload);
        if (!emit(opaque, piece, of_piece.end))
            break;
    }
    return taken;
}
