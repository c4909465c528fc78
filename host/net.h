// SPDX-License-Identifier: MIT
// The packet channel between a NIC model and the host's side of it (user-mode network, socket, tap). The back
// end embeds struct net and fills ops; the NIC attaches a sink.
//
// A packet is one Ethernet frame without its checksum (FCS), in one piece, with a struct net_offload that
// says what the sender left to do: fill in a checksum, cut a long TCP segment. Each side says what it takes;
// net_send and net_deliver do the rest in software (host/net/frame.h).
//
// Ownership: whoever opened the back end destroys it, after the NIC detached. Thread: every call and every
// callback holds the machine lock; nothing here blocks. A network may lose packets: none of this is part of a
// saved state.
#ifndef HOST_NET_H
#define HOST_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct net;

enum {
    NET_FRAME_MIN = 14,
    NET_FRAME_MAX = 14 + 2 * 4 + 65535, // with two VLAN tags and the longest IPv4 packet
    NET_MAC_BYTES = 6,
};

// What is left to do to a frame. The layout is that of struct virtio_net_hdr (Virtio 1.2, 5.1.6) up to
// num_buffers and of Linux's tun device, little-endian.
enum { NET_NEEDS_CSUM = 1, NET_DATA_VALID = 2 };
enum { NET_GSO_NONE = 0, NET_GSO_TCPV4 = 1, NET_GSO_TCPV6 = 4 };
struct net_offload {
    uint8_t flags;    // NET_NEEDS_CSUM: csum_* are to be obeyed; NET_DATA_VALID: checksums need no look
    uint8_t gso_type; // NET_GSO_: a TCP segment to be cut into pieces of gso_size bytes
    uint16_t hdr_len, gso_size;
    uint16_t csum_start, csum_offset; // the sum of all from csum_start on goes to csum_start + csum_offset
};

// What a side takes as it is.
enum {
    NET_TAKES_CSUM = 1 << 0, // NET_NEEDS_CSUM
    NET_TAKES_TSO4 = 1 << 1, // NET_GSO_TCPV4; without NET_TAKES_CSUM: with its checksum filled in
    NET_TAKES_TSO6 = 1 << 2,
};

struct net_ops {
    // Whether there is room for the pieces of the longest segment; no is followed by net_can_send. May be
    // NULL: always.
    bool (*ready)(struct net *net);
    // Takes a frame on its way out of the machine. False: there is no room now, net_can_send follows.
    bool (*send)(struct net *net, const struct net_offload *offload, const uint8_t *frame, size_t len);
    // The sink takes packets again after it said no, or the machine runs again.
    void (*accept)(struct net *net);
    // What the NIC takes has changed (net->sink_takes). May be NULL.
    void (*takes_changed)(struct net *net);
    // One line about the connection. May be NULL.
    void (*info)(struct net *net, FILE *out);
    void (*destroy)(struct net *net); // frees the back end
};

// What a NIC gives.
struct net_sink {
    // Takes a frame. False: no room now; it is offered again after net_accept.
    bool (*receive)(void *opaque, const struct net_offload *offload, const uint8_t *frame, size_t len);
    void (*can_send)(void *opaque); // after net_send said no
    void (*link)(void *opaque);     // net->link_up has changed
};

struct net {
    const struct net_ops *ops;
    const struct net_sink *sink; // NULL: nobody listens, what comes is dropped
    void *sink_opaque;
    const char *kind;    // "user"
    unsigned takes;      // NET_TAKES_ of send
    unsigned may_give;   // NET_TAKES_ that a NIC may say it takes and profit from
    unsigned sink_takes; // NET_TAKES_ of receive
    bool link_up;
    bool paused;             // the machine stands still: nothing moves
    bool held;               // receive said no
    bool blocked;            // send said no
    uint64_t sent, received; // frames
    uint64_t dropped;        // either way
};

// For NICs. net may be NULL: no cable.
void net_attach(struct net *net, const struct net_sink *sink, void *opaque); // sink NULL detaches
void net_set_takes(struct net *net, unsigned takes);
// Sends a frame, whose checksum may be filled in where it lies. False: not taken, can_send follows. An
// offload that does not fit the frame makes it dropped.
bool net_send(struct net *net, const struct net_offload *offload, uint8_t *frame, size_t len);
// Room again after receive said no. Cheap when it did not.
void net_accept(struct net *net);

// For back ends.
// Passes a frame to the NIC. False: keep it until accept is called. offload may be NULL (nothing left to do).
bool net_deliver(struct net *net, const struct net_offload *offload, const uint8_t *frame, size_t len);
void net_can_send(struct net *net); // send has room again
void net_set_link(struct net *net, bool up);

// For the machine.
void net_pause(struct net *net, bool paused);
static inline void net_destroy(struct net *net)
{
    if (net)
        net->ops->destroy(net);
}

#endif
