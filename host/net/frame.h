// SPDX-License-Identifier: MIT
// What is inside an Ethernet frame, as far as checksums and long TCP segments need it: IPv4 (RFC 791), IPv6
// (RFC 8200), TCP (RFC 9293), the Internet checksum (RFC 1071).
//
// Frames come from guests and peers and may be anything; no function here reads or writes outside of len.
// Thread: any.
#ifndef HOST_NET_FRAME_H
#define HOST_NET_FRAME_H

#include "host/net.h"

enum { FRAME_TCP = 6, FRAME_UDP = 17, FRAME_GSO_MIN = 48 };

// Offsets within a frame.
struct frame_layout {
    size_t l3;      // IP header
    size_t l4;      // what IP carries
    size_t payload; // of TCP; else l4
    size_t end;     // of the IP packet; what follows is padding
    uint8_t protocol;
    bool v6, fragment;
};

// False: no whole IP packet, or a TCP header that does not fit. IPv6 extension headers are not followed:
// protocol then is theirs.
bool frame_parse(const uint8_t *frame, size_t len, struct frame_layout *ret_layout);

// The folded ones' complement sum of len bytes, added to start.
uint16_t frame_sum(const uint8_t *data, size_t len, uint64_t start);
// The folded sum of the pseudo header: what a sender leaves in the checksum field with NET_NEEDS_CSUM.
uint16_t frame_pseudo_sum(const uint8_t *frame, const struct frame_layout *layout);
// Fills in the checksum of TCP, whatever stands there.
void frame_fill_tcp_checksum(uint8_t *frame, const struct frame_layout *layout);

// Whether the offload fits this frame.
bool frame_offload_fits(const struct net_offload *offload, const uint8_t *frame, size_t len);
// Obeys csum_start and csum_offset of an offload that fits.
void frame_fill_checksum(const struct net_offload *offload, uint8_t *frame, size_t len);

// Cuts a frame whose offload (gso_type) fits into segments with all checksums filled in; emit gets each and
// says whether to go on. Returns the number that emit took.
size_t frame_segment(const struct net_offload *offload, uint8_t *frame, size_t len,
                     bool (*emit)(void *opaque, const uint8_t *frame, size_t len), void *opaque);

#endif
