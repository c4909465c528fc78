// SPDX-License-Identifier: MIT
// Frames with what a sender left to do, through net_send and net_deliver (host/net/frame.h): checksums are
// filled in and segments cut within the frame, and no piece is longer than a frame may be. The other side
// takes what the input says.
#include "host/net/frame.h"
#include "tests/fuzz/fuzz.h"

struct wire {
    struct net net;
    unsigned refuse_after; // frames
    unsigned taken;
};

static void look_at(const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    volatile uint8_t sum = 0;
    FUZZ_CHECK(len >= NET_FRAME_MIN && len <= NET_FRAME_MAX);
    // A long segment may come with its checksum filled in, to a side that takes those only.
    FUZZ_CHECK((offload->gso_type && !(offload->flags & NET_NEEDS_CSUM)) ||
               frame_offload_fits(offload, frame, len));
    for (size_t i = 0; i < len; i++) // every byte is there
        sum = (uint8_t)(sum + frame[i]);
}

static bool wire_send(struct net *net, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct wire *w = (struct wire *)net;
    look_at(offload, frame, len);
    return w->taken++ < w->refuse_after;
}

static void wire_accept(struct net *net) {}

static bool nic_receive(void *opaque, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    look_at(offload, frame, len);
    return true;
}

static void nic_can_send(void *opaque) {}

static void nic_link(void *opaque) {}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct net_ops ops = {.send = wire_send, .accept = wire_accept};
    static const struct net_sink sink = {.receive = nic_receive, .can_send = nic_can_send, .link = nic_link};
    struct fuzz_input in = {data, size};
    uint8_t flags = fuzz_u8(&in);
    struct wire w = {.net = {.ops = &ops, .takes = flags & 7, .may_give = 7, .link_up = true},
                     .refuse_after = 1u << (flags >> 6)};
    struct net_offload o = {.flags = fuzz_u8(&in),
                            .gso_type = fuzz_u8(&in),
                            .hdr_len = fuzz_u16(&in),
                            .gso_size = fuzz_u16(&in),
                            .csum_start = fuzz_u16(&in),
                            .csum_offset = fuzz_u16(&in)};
    // A frame in memory of its own size, so that a byte beside it is noticed; longer than the input where
    // that says so.
    size_t given, len = in.size + (flags & 8 ? fuzz_u16(&in) : 0);
    const uint8_t *bytes = fuzz_bytes(&in, len, &given);
    uint8_t *frame = calloc(1, len + 1), *again = realloc(NULL, len + 1);
    memcpy(frame, bytes, given);
    memcpy(again, frame, len + 1);
    net_attach(&w.net, &sink, NULL);
    net_set_takes(&w.net, flags >> 3 & 7);
    net_send(&w.net, &o, frame, len);
    memcpy(frame, again, len + 1);
    net_deliver(&w.net, flags & 16 ? NULL : &o, frame, len);
    FUZZ_CHECK(!memcmp(frame, again, len + 1)); // what comes in is not ours to change
    struct frame_layout layout;
    if (frame_parse(frame, len, &layout))
        FUZZ_CHECK(layout.l3 <= layout.l4 && layout.l4 <= layout.payload && layout.payload <= layout.end &&
                   layout.end <= len);
    free(frame);
    free(again);
    return 0;
}
