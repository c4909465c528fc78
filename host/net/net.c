// SPDX-License-Identifier: MIT
// Owns what lies between the two sides of a packet channel: doing in software what the receiving side does
// not take, counting, and the pause. Invariant: a frame is refused as a whole or not at all; the later pieces
// of a cut segment that find no room are dropped, as a switch would.
#include "host/net/frame.h"

#include <string.h>

struct pass {
    struct net *net;
    bool (*give)(struct net *net, const struct net_offload *offload, const uint8_t *frame, size_t len);
};

static const struct net_offload plain;

static bool emit(void *opaque, const uint8_t *frame, size_t len)
{
    const struct pass *pass = opaque;
    return pass->give(pass->net, &plain, frame, len);
}

static unsigned takes_of_gso(unsigned gso_type)
{
    return gso_type == NET_GSO_TCPV4 ? NET_TAKES_TSO4 : NET_TAKES_TSO6;
}

// Makes the frame what a side with these NET_TAKES_ takes, and gives it. The offload fits the frame.
static bool adapt(struct net *net, unsigned takes, const struct net_offload *o, uint8_t *frame, size_t len,
                  bool (*give)(struct net *, const struct net_offload *, const uint8_t *, size_t))
{
    struct pass pass = {net, give};
    if (o->gso_type != NET_GSO_NONE && !(takes & takes_of_gso(o->gso_type)))
        return frame_segment(o, frame, len, emit, &pass);
    if (!(o->flags & NET_NEEDS_CSUM) || takes & NET_TAKES_CSUM)
        return give(net, o, frame, len);
    struct net_offload done = {.gso_type = o->gso_type, .gso_size = o->gso_size, .hdr_len = o->hdr_len};
    struct frame_layout l;
    if (o->gso_type == NET_GSO_NONE)
        frame_fill_checksum(o, frame, len);
    else if (frame_parse(frame, len, &l))
        frame_fill_tcp_checksum(frame, &l); // what a driver leaves in the field differs for long segments
    return give(net, &done, frame, len);
}

void net_attach(struct net *net, const struct net_sink *sink, void *opaque)
{
    if (!net)
        return;
    net->sink = sink;
    net->sink_opaque = opaque;
    net_set_takes(net, 0);
    net->held = true; // what waited for somebody to listen
    net_accept(net);
}

void net_set_takes(struct net *net, unsigned takes)
{
    if (!net || net->sink_takes == takes)
        return;
    net->sink_takes = takes;
    if (net->ops->takes_changed)
        net->ops->takes_changed(net);
}

static bool send_one(struct net *net, const struct net_offload *o, const uint8_t *frame, size_t len)
{
    bool taken = net->ops->send(net, o, frame, len);
    net->sent += taken;
    return taken;
}

bool net_send(struct net *net, const struct net_offload *offload, uint8_t *frame, size_t len)
{
    if (!net)
        return true;
    if (len < NET_FRAME_MIN || len > NET_FRAME_MAX || !frame_offload_fits(offload, frame, len)) {
        net->dropped++;
        return true;
    }
    bool ready = !net->paused && (!net->ops->ready || net->ops->ready(net));
    bool taken = ready && adapt(net, net->takes, offload, frame, len, send_one);
    net->blocked |= !taken;
    return taken;
}

void net_can_send(struct net *net)
{
    if (!net->blocked || net->paused)
        return;
    net->blocked = false;
    if (net->sink)
        net->sink->can_send(net->sink_opaque);
}

static bool deliver_one(struct net *net, const struct net_offload *o, const uint8_t *frame, size_t len)
{
    bool taken = net->sink->receive(net->sink_opaque, o, frame, len);
    net->received += taken;
    return taken;
}

bool net_deliver(struct net *net, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    if (!net->sink || len < NET_FRAME_MIN || len > NET_FRAME_MAX) {
        net->dropped++;
        return true;
    }
    if (net->paused) {
        net->held = true;
        return false;
    }
    const struct net_offload *o = offload ? offload : &plain;
    bool taken;
    if (o->flags & NET_NEEDS_CSUM || o->gso_type != NET_GSO_NONE) {
        if (!frame_offload_fits(o, frame, len)) {
            net->dropped++;
            return true;
        }
        unsigned wants = NET_TAKES_CSUM | (o->gso_type != NET_GSO_NONE ? takes_of_gso(o->gso_type) : 0);
        if ((net->sink_takes & wants) == wants) {
            taken = deliver_one(net, o, frame, len);
        } else {
            uint8_t copy[NET_FRAME_MAX];
            memcpy(copy, frame, len);
            taken = adapt(net, net->sink_takes, o, copy, len, deliver_one);
        }
    } else {
        taken = deliver_one(net, net->sink_takes & NET_TAKES_CSUM ? o : &plain, frame, len);
    }
    net->held |= !taken;
    return taken;
}

void net_accept(struct net *net)
{
    if (!net || !net->held || net->paused)
        return;
    net->held = false;
    net->ops->accept(net);
}

void net_set_link(struct net *net, bool up)
{
    if (net->link_up == up)
        return;
    net->link_up = up;
    if (net->sink)
        net->sink->link(net->sink_opaque);
}

void net_pause(struct net *net, bool paused)
{
    net->paused = paused;
    if (paused)
        return;
    net->held = true;
    net_accept(net);
    net_can_send(net);
}
