// SPDX-License-Identifier: MIT
// A virtio network card driven through its registers and queues as a driver would, over a wire that the test
// holds: frames both ways, merged buffers, refusals on either side, control commands, rule breakers, a saved
// state.
#include "base/loop.h"
#include "host/net.h"
#include "hw/core/state.h"
#include "hw/virtio/virtio_mmio.h"
#include "hw/virtio/virtio_net.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum {
    RAM = 0x40000000,
    QUEUE_BYTES = 0x4000, // of RAM a queue: descriptors, 0x1000 avail, 0x2000 used
    DATA = RAM + 0x10000, // buffers, SLOT bytes each
    SLOT = 0x1000,
    SIZE = 8,
    RX = 0,
    TX = 1,
    CTRL = 2,
    NEXT = 1,
    WRITE = 2,
    HEADER = 12,
    CSUM = 1 << 0,
    GUEST_CSUM = 1 << 1,
    GUEST_TSO4 = 1 << 7,
    MRG_RXBUF = 1 << 15,
    CTRL_VLAN = 1 << 19,
};

struct wire {
    struct net net;
    unsigned sent, accepts;
    bool refuse, echo; // echo: the answer comes before send returns
    uint8_t last[NET_FRAME_MAX];
    size_t last_len;
    struct net_offload last_offload;
};

struct bench {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct loop *loop;
    struct device *transport;
    struct virtio_device *vdev;
    struct wire wire;
    bool irq;
};

static bool wire_send(struct net *net, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct wire *w = (struct wire *)net;
    if (w->refuse)
        return false;
    w->sent++;
    memcpy(w->last, frame, len);
    w->last_len = len;
    w->last_offload = *offload;
    if (w->echo)
        cr_expect(net_deliver(net, NULL, frame, len));
    return true;
}

static void wire_accept(struct net *net)
{
    ((struct wire *)net)->accepts++;
}

static const struct net_ops wire_ops = {.send = wire_send, .accept = wire_accept};

static void set_irq(void *opaque, unsigned line, bool level)
{
    *(bool *)opaque = level;
}

static void *at(struct bench *b, uint64_t addr)
{
    return mem_host(b->mem, (struct gpa){addr}, 1);
}

static uint32_t rd(struct bench *b, uint64_t offset, unsigned size)
{
    uint64_t v = 0;
    b->transport->class->mmio->read(b->transport, offset, size, &v);
    return (uint32_t)v;
}

static void wr(struct bench *b, uint64_t offset, uint32_t value)
{
    b->transport->class->mmio->write(b->transport, offset, 4, value);
}

static void setup(struct bench *b)
{
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_lock(&b->lock);
    cr_assert_eq(loop_create(&b->lock, &b->loop, NULL), 0);
    cr_assert_eq(mem_space_create(&b->lock, &b->mem, NULL), 0);
    cr_assert_eq(mem_add_ram(b->mem, "ram", (struct gpa){RAM}, 1 << 20, 0, NULL, NULL), 0);
    free((void *)mem_commit(b->mem));
    b->wire.net = (struct net){.ops = &wire_ops,
                               .takes = NET_TAKES_CSUM | NET_TAKES_TSO4,
                               .may_give = NET_TAKES_CSUM | NET_TAKES_TSO4,
                               .link_up = true};
    struct virtio_net_config config = {.path = "/net",
                                       .mem = b->mem,
                                       .loop = b->loop,
                                       .net = &b->wire.net,
                                       .mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56}};
    cr_assert_eq(virtio_net_create(&config, &b->vdev, NULL), 0);
    struct virtio_mmio_config mmio = {.path = "/mmio", .irq = {.set = set_irq, .opaque = &b->irq}};
    cr_assert_eq(virtio_mmio_create(&mmio, &b->transport, NULL), 0);
    virtio_mmio_plug(b->transport, b->vdev);
}

static void teardown(struct bench *b)
{
    device_destroy(&b->vdev->dev);
    device_destroy(b->transport);
    mem_space_destroy(b->mem);
    loop_destroy(b->loop);
    pthread_mutex_unlock(&b->lock);
    pthread_mutex_destroy(&b->lock);
}

static uint64_t ring(unsigned queue)
{
    return RAM + (uint64_t)queue * QUEUE_BYTES;
}

static void start_driver(struct bench *b, uint32_t features)
{
    wr(b, 0x70, 0);
    wr(b, 0x70, 3);
    wr(b, 0x24, 1);
    wr(b, 0x20, 1); // VERSION_1
    wr(b, 0x24, 0);
    wr(b, 0x20, features);
    wr(b, 0x70, 11);
    cr_assert_eq(rd(b, 0x70, 4), 11);
    for (unsigned q = RX; q <= CTRL; q++) {
        memset(at(b, ring(q)), 0, QUEUE_BYTES);
        wr(b, 0x30, q);
        wr(b, 0x38, SIZE);
        wr(b, 0x80, (uint32_t)ring(q));
        wr(b, 0x90, (uint32_t)ring(q) + 0x1000);
        wr(b, 0xa0, (uint32_t)ring(q) + 0x2000);
        wr(b, 0x44, 1);
    }
    wr(b, 0x70, 15);
}

static void put_desc(struct bench *b, unsigned queue, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
                     uint16_t next)
{
    uint8_t *d = (uint8_t *)at(b, ring(queue)) + 16 * i;
    memcpy(d, &addr, 8);
    memcpy(d + 8, &len, 4);
    memcpy(d + 12, &flags, 2);
    memcpy(d + 14, &next, 2);
}

static void offer(struct bench *b, unsigned queue, uint16_t head)
{
    uint16_t *avail = at(b, ring(queue) + 0x1000);
    avail[2 + avail[1] % SIZE] = head;
    avail[1]++;
}

static unsigned used(struct bench *b, unsigned queue)
{
    return ((uint16_t *)at(b, ring(queue) + 0x2000))[1];
}

// The n-th element of a used ring: its head, or its length.
static uint32_t used_element(struct bench *b, unsigned queue, unsigned n, unsigned word)
{
    return ((uint32_t *)at(b, ring(queue) + 0x2004))[2 * (n % SIZE) + word];
}

// Gives the device count receive buffers of len bytes: descriptors and slots from first on.
static void give_buffers(struct bench *b, unsigned first, unsigned count, uint32_t len)
{
    for (unsigned i = first; i < first + count; i++) {
        put_desc(b, RX, i, DATA + (uint64_t)i * SLOT, len, WRITE, 0);
        offer(b, RX, (uint16_t)i);
    }
    wr(b, 0x50, RX);
}

// Sends len bytes of frame with this descriptor, whose buffer is slot SIZE + i.
static void transmit(struct bench *b, unsigned i, const struct net_offload *offload, const void *frame,
                     size_t len)
{
    uint64_t addr = DATA + (uint64_t)(SIZE + i) * SLOT;
    memset(at(b, addr), 0, HEADER);
    if (offload)
        memcpy(at(b, addr), offload, sizeof *offload);
    memcpy((uint8_t *)at(b, addr) + HEADER, frame, len);
    put_desc(b, TX, i, addr, HEADER + (uint32_t)len, 0, 0);
    offer(b, TX, (uint16_t)i);
    wr(b, 0x50, TX);
    loop_once(b->loop, 0);
}

// The answer to a control command: 0, 1, or -1 for none.
static int command(struct bench *b, const void *data, size_t len)
{
    uint64_t addr = DATA + (uint64_t)(2 * SIZE) * SLOT;
    memcpy(at(b, addr), data, len);
    *(uint8_t *)at(b, addr + SLOT) = 0x55;
    put_desc(b, CTRL, 0, addr, (uint32_t)len, NEXT, 1);
    put_desc(b, CTRL, 1, addr + SLOT, 1, WRITE, 0);
    unsigned before = used(b, CTRL);
    offer(b, CTRL, 0);
    wr(b, 0x50, CTRL);
    return used(b, CTRL) == (uint16_t)(before + 1) ? *(uint8_t *)at(b, addr + SLOT) : -1;
}

static uint8_t frame[NET_FRAME_MAX];

static const uint8_t *frame_to(const char *mac)
{
    memset(frame, 0, sizeof frame);
    memcpy(frame, mac, 6);
    for (size_t i = 14; i < sizeof frame; i++)
        frame[i] = (uint8_t)(i * 3 + (i >> 8));
    return frame;
}

#define OWN "\x52\x54\0\x12\x34\x56"

Test(virtio_net, carries_frames_both_ways)
{
    struct bench b;
    setup(&b);
    cr_expect_eq(rd(&b, 8, 4), 1);
    cr_expect_eq(rd(&b, 0x100, 4), 0x12005452);
    cr_expect_eq(rd(&b, 0x104, 2), 0x5634);
    cr_expect_eq(rd(&b, 0x106, 2), 1, "link up");
    wr(&b, 0x14, 0);
    cr_expect_eq(rd(&b, 0x10, 4) & (1 << 3 | 1 << 22), 0, "neither MTU nor MQ");
    cr_expect(net_deliver(&b.wire.net, NULL, frame_to(OWN), 100), "a card that is not set up hears nothing");
    start_driver(&b, 0);
    give_buffers(&b, 0, 2, 2048);
    cr_expect(net_deliver(&b.wire.net, NULL, frame_to(OWN), 100));
    cr_expect_eq(used(&b, RX), 1);
    cr_expect_eq(used_element(&b, RX, 0, 1), HEADER + 100);
    cr_expect_arr_eq((uint8_t *)at(&b, DATA) + HEADER, frame, 100);
    cr_expect_eq(((uint16_t *)at(&b, DATA))[5], 1, "num_buffers");
    cr_expect(b.irq);
    transmit(&b, 3, NULL, frame_to("abcdef"), 1514);
    cr_expect_eq(b.wire.sent, 1);
    cr_expect_eq(b.wire.last_len, 1514);
    cr_expect_arr_eq(b.wire.last, frame, 1514);
    cr_expect_eq(used(&b, TX), 1);
    cr_expect_eq(used_element(&b, TX, 0, 0), 3);
    wr(&b, 0x64, 1);
    net_set_link(&b.wire.net, false);
    cr_expect_eq(rd(&b, 0x106, 2), 0);
    cr_expect_eq(rd(&b, 0x60, 4), 2, "configuration changed");
    teardown(&b);
}

Test(virtio_net, an_answer_may_come_before_the_sending_returns)
{
    struct bench b;
    setup(&b);
    start_driver(&b, 0);
    give_buffers(&b, 4, 4, 2048);
    b.wire.echo = true;
    transmit(&b, 1, NULL, frame_to(OWN), 60);
    cr_expect_eq(used_element(&b, TX, 0, 0), 1, "it is the sender's request that comes back");
    cr_expect_eq(used_element(&b, RX, 0, 0), 4);
    teardown(&b);
}

Test(virtio_net, a_long_frame_fills_merged_buffers_at_once)
{
    struct bench b;
    setup(&b);
    start_driver(&b, MRG_RXBUF);
    give_buffers(&b, 0, 2, 1000);
    cr_expect_not(net_deliver(&b.wire.net, NULL, frame_to(OWN), 2500), "there is not enough yet");
    cr_expect_eq(used(&b, RX), 0);
    cr_expect_eq(b.wire.accepts, 1, "attaching");
    give_buffers(&b, 2, 1, 1000);
    cr_expect_eq(b.wire.accepts, 2, "the wire is asked again");
    cr_expect(net_deliver(&b.wire.net, NULL, frame, 2500));
    cr_expect_eq(used(&b, RX), 3);
    cr_expect_eq(((uint16_t *)at(&b, DATA))[5], 3);
    static const uint32_t lengths[] = {1000, 1000, 512};
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(used_element(&b, RX, i, 0), i);
        cr_expect_eq(used_element(&b, RX, i, 1), lengths[i]);
    }
    cr_expect_arr_eq((uint8_t *)at(&b, DATA) + HEADER, frame, 988);
    cr_expect_arr_eq(at(&b, DATA + SLOT), frame + 988, 1000);
    cr_expect_arr_eq(at(&b, DATA + 2 * SLOT), frame + 1988, 512);
    teardown(&b);
}

Test(virtio_net, a_frame_that_never_fits_is_dropped)
{
    struct bench b;
    setup(&b);
    start_driver(&b, 0);
    give_buffers(&b, 0, 2, 1000);
    cr_expect(net_deliver(&b.wire.net, NULL, frame_to(OWN), 2500));
    cr_expect_eq(b.wire.net.dropped, 1);
    cr_expect_eq(used(&b, RX), 0);
    cr_expect(net_deliver(&b.wire.net, NULL, frame, 500), "the buffers are there still");
    cr_expect_eq(used_element(&b, RX, 0, 0), 0);
    start_driver(&b, MRG_RXBUF);
    give_buffers(&b, 0, SIZE, 20);
    cr_expect(net_deliver(&b.wire.net, NULL, frame, 1000), "more than the whole queue");
    cr_expect_eq(b.wire.net.dropped, 2);
    cr_expect_not(rd(&b, 0x70, 4) & 64);
    teardown(&b);
}

Test(virtio_net, what_the_wire_refuses_stays_in_the_queue)
{
    struct bench b;
    setup(&b);
    start_driver(&b, 0);
    b.wire.refuse = true;
    transmit(&b, 0, NULL, frame_to("abcdef"), 60);
    transmit(&b, 1, NULL, frame_to("ghijkl"), 61);
    cr_expect_eq(used(&b, TX), 0);
    b.wire.refuse = false;
    net_can_send(&b.wire.net);
    loop_once(b.loop, 0);
    cr_expect_eq(used(&b, TX), 2);
    cr_expect_eq(b.wire.sent, 2);
    cr_expect_eq(b.wire.last_len, 61);
    net_pause(&b.wire.net, true);
    transmit(&b, 2, NULL, frame, 60);
    cr_expect_eq(used(&b, TX), 2, "the machine stands still");
    net_pause(&b.wire.net, false);
    loop_once(b.loop, 0);
    cr_expect_eq(used(&b, TX), 3);
    teardown(&b);
}

Test(virtio_net, offloads_count_only_when_negotiated)
{
    struct bench b;
    struct net_offload o = {.flags = NET_NEEDS_CSUM | NET_DATA_VALID, .csum_start = 34, .csum_offset = 16};
    setup(&b);
    start_driver(&b, 0);
    transmit(&b, 0, &o, frame_to("abcdef"), 60);
    cr_expect_eq(b.wire.last_offload.flags, 0);
    start_driver(&b, CSUM);
    transmit(&b, 0, &o, frame, 60);
    cr_expect_eq(b.wire.last_offload.flags, NET_NEEDS_CSUM);
    cr_expect_eq(b.wire.last_offload.csum_start, 34);
    o.csum_start = 50;
    transmit(&b, 1, &o, frame, 60);
    cr_expect_eq(b.wire.sent, 2, "it does not fit");
    cr_expect_eq(used(&b, TX), 2, "but comes back");
    cr_expect_eq(b.wire.net.sink_takes, 0);
    start_driver(&b, GUEST_CSUM | GUEST_TSO4);
    cr_expect_eq(b.wire.net.sink_takes, NET_TAKES_CSUM | NET_TAKES_TSO4);
    wr(&b, 0x70, 0);
    cr_expect_eq(b.wire.net.sink_takes, 0);
    start_driver(&b, GUEST_TSO4);
    cr_expect_eq(b.wire.net.sink_takes, 0, "nothing without GUEST_CSUM");
    teardown(&b);
}

// Whether a frame to this address reaches the driver.
static bool hears(struct bench *b, const uint8_t *bytes)
{
    unsigned before = used(b, RX);
    cr_expect(net_deliver(&b->wire.net, NULL, bytes, 64));
    return used(b, RX) != before;
}

static bool hears_vlan(struct bench *b, unsigned id)
{
    uint8_t *bytes = (uint8_t *)frame_to(OWN);
    bytes[12] = 0x81;
    bytes[13] = 0;
    bytes[14] = (uint8_t)(id >> 8);
    bytes[15] = (uint8_t)id;
    return hears(b, bytes);
}

Test(virtio_net, filters_as_it_is_told)
{
    struct bench b;
    setup(&b);
    start_driver(&b, MRG_RXBUF | CTRL_VLAN);
    give_buffers(&b, 0, SIZE, 200);
    cr_expect(hears(&b, frame_to("another")));
    cr_expect_eq(command(&b, "\0\0\0", 3), 0, "promiscuous off");
    cr_expect_not(hears(&b, frame_to("\2other")));
    cr_expect(hears(&b, frame_to(OWN)));
    cr_expect(hears(&b, frame_to("\xff\xff\xff\xff\xff\xff")));
    cr_expect_not(hears(&b, frame_to("\1multi")));
    cr_expect_eq(command(&b, "\1\0\1\0\0\0\2other\1\0\0\0\1multi", 22), 0, "address table");
    cr_expect(hears(&b, frame_to("\2other")));
    cr_expect(hears(&b, frame_to("\1multi")));
    cr_expect_not(hears(&b, frame_to("\1multX")));
    cr_expect_eq(command(&b, "\0\5\1", 3), 0, "no broadcast");
    cr_expect_not(hears(&b, frame_to("\xff\xff\xff\xff\xff\xff")));
    cr_expect_eq(command(&b, "\1\1\2third", 8), 0, "own address");
    cr_expect(hears(&b, frame_to("\2third")));
    cr_expect_not(hears(&b, frame_to(OWN)));
    cr_expect_eq(rd(&b, 0x100, 1), 2);
    cr_expect_eq(command(&b, "\1\1" OWN, 8), 0);
    cr_expect_not(hears_vlan(&b, 0x123));
    cr_expect_eq(command(&b, "\2\0\x23\1", 4), 0, "add VLAN");
    wr(&b, 0x64, 1);
    give_buffers(&b, 0, SIZE - 2, 200);
    cr_expect(hears_vlan(&b, 0x123));
    cr_expect_eq(command(&b, "\2\1\x23\1", 4), 0, "delete VLAN");
    cr_expect_not(hears_vlan(&b, 0x123));
    wr(&b, 0x70, 0);
    cr_expect_eq(rd(&b, 0x100, 1), 0x52, "a reset brings the address back");
    teardown(&b);
}

Test(virtio_net, bad_commands_are_refused)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {"\0\0", 2},
        {"\0\6\1", 3},
        {"\1\0\1\0\0", 5},
        {"\1\0\1\0\0\0abcde", 11},
        {"\1\0\xff\xff\xff\xff", 6},
        {"\1\0\0\0\0\0\xff\xff\xff\x3f", 10},
        {"\1\1abcde", 7},
        {"\1\2abcdef", 8},
        {"\2\0\0\x10", 4},
        {"\2\0\1", 3},
        {"\2\2\1\0", 4},
        {"\4\0\1\0", 4},
        {"\xff\0", 2},
    };
    struct bench b;
    setup(&b);
    start_driver(&b, MRG_RXBUF | CTRL_VLAN);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(command(&b, rows[i].bytes, rows[i].len), 1, "row %zu", i);
    uint8_t many[6 + 65 * 6 + 4] = {1, 0, 65};
    cr_expect_eq(command(&b, "\0\0\0", 3), 0);
    cr_expect_eq(command(&b, many, sizeof many), 0, "more addresses than there is room for");
    give_buffers(&b, 0, 1, 200);
    cr_expect(hears(&b, frame_to("\2other")), "then all pass");
    teardown(&b);
}

static void short_header(struct bench *b)
{
    put_desc(b, TX, 0, DATA, HEADER - 1, 0, 0);
    offer(b, TX, 0);
    wr(b, 0x50, TX);
    loop_once(b->loop, 0);
}

static void command_without_answer(struct bench *b)
{
    put_desc(b, CTRL, 0, DATA, 3, 0, 0);
    offer(b, CTRL, 0);
    wr(b, 0x50, CTRL);
}

static void short_command(struct bench *b)
{
    command(b, "\0", 1);
}

static void receive_buffer_without_room_for_the_header(struct bench *b)
{
    give_buffers(b, 0, 1, HEADER - 1);
    net_deliver(&b->wire.net, NULL, frame_to(OWN), 60);
}

static void merged_buffer_without_bytes(struct bench *b)
{
    give_buffers(b, 0, 1, HEADER);
    give_buffers(b, 1, 1, 0);
    net_deliver(&b->wire.net, NULL, frame_to(OWN), 60);
}

static void receive_buffer_to_be_read(struct bench *b)
{
    put_desc(b, RX, 0, DATA, 2000, 0, 0);
    offer(b, RX, 0);
    net_deliver(&b->wire.net, NULL, frame_to(OWN), 60);
}

static void receive_buffer_outside(struct bench *b)
{
    put_desc(b, RX, 0, 0x1000, 2000, WRITE, 0);
    offer(b, RX, 0);
    net_deliver(&b->wire.net, NULL, frame_to(OWN), 60);
}

static void transmit_loop(struct bench *b)
{
    put_desc(b, TX, 0, DATA, 100, NEXT, 0);
    offer(b, TX, 0);
    wr(b, 0x50, TX);
    loop_once(b->loop, 0);
}

Test(virtio_net, rule_breakers_need_a_reset)
{
    static const struct {
        const char *name;
        void (*run)(struct bench *b);
    } rows[] = {
#define ROW(name_) {#name_, name_}
        ROW(short_header),
        ROW(command_without_answer),
        ROW(short_command),
        ROW(receive_buffer_without_room_for_the_header),
        ROW(merged_buffer_without_bytes),
        ROW(receive_buffer_to_be_read),
        ROW(receive_buffer_outside),
        ROW(transmit_loop),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench b;
        setup(&b);
        start_driver(&b, MRG_RXBUF);
        rows[i].run(&b);
        cr_expect(rd(&b, 0x70, 4) & 64, "%s", rows[i].name);
        start_driver(&b, MRG_RXBUF);
        transmit(&b, 0, NULL, frame_to("abcdef"), 60);
        cr_expect_eq(b.wire.sent, 1, "%s: it works again", rows[i].name);
        teardown(&b);
    }
}

Test(virtio_net, a_huge_request_is_dropped)
{
    struct bench b;
    setup(&b);
    start_driver(&b, 0);
    for (unsigned i = 0; i < 3; i++)
        put_desc(&b, TX, i, RAM, 0x40000, i < 2 ? NEXT : 0, (uint16_t)(i + 1));
    offer(&b, TX, 0);
    wr(&b, 0x50, TX);
    loop_once(b.loop, 0);
    cr_expect_eq(b.wire.sent, 0);
    cr_expect_eq(used(&b, TX), 1);
    teardown(&b);
}

Test(virtio_net, its_state_goes_on_elsewhere)
{
    struct bench a, b;
    struct state_buf saved = {0}, again = {0};
    setup(&a);
    setup(&b);
    start_driver(&a, MRG_RXBUF | CTRL_VLAN | GUEST_CSUM);
    give_buffers(&a, 0, 4, 200);
    cr_expect_eq(command(&a, "\0\0\0", 3), 0);
    cr_expect_eq(command(&a, "\1\0\1\0\0\0\2other\1\0\0\0\1multi", 22), 0);
    cr_expect_eq(command(&a, "\2\0\x23\1", 4), 0);
    cr_expect(hears(&a, frame_to(OWN)));
    cr_assert_eq(state_save(&a.vdev->dev, 0, &saved, NULL), 0);
    memcpy(at(&b, RAM), at(&a, RAM), 1 << 20);
    struct device *devs[] = {&b.vdev->dev};
    cr_assert_eq(state_load(devs, 1, 0, saved.data, saved.size, NULL), 0);
    cr_expect_null(state_compare(&a.vdev->dev, &b.vdev->dev));
    cr_assert_eq(state_save(&b.vdev->dev, 0, &again, NULL), 0);
    cr_expect(again.size == saved.size && !memcmp(again.data, saved.data, saved.size));
    cr_expect_eq(b.wire.net.sink_takes, NET_TAKES_CSUM);
    cr_expect_not(hears(&b, frame_to("\2third")));
    cr_expect(hears(&b, frame_to("\2other")));
    cr_expect(hears_vlan(&b, 0x123));
    cr_expect_eq(used(&b, RX), 3);
    state_buf_free(&saved);
    state_buf_free(&again);
    teardown(&a);
    teardown(&b);
}

// Rings and buffers that any guest may have made; the sanitizers judge.
Test(virtio_net, random_rings_do_no_harm)
{
    enum { ROUNDS = 3000 };
    struct bench b;
    setup(&b);
    srand(4711);
    for (int round = 0; round < ROUNDS; round++) {
        if (round % 8 == 0)
            start_driver(&b,
                         (rand() & 1 ? MRG_RXBUF : 0) | CSUM | 1 << 11 | CTRL_VLAN | GUEST_CSUM | GUEST_TSO4);
        unsigned queue = (unsigned)rand() % 3;
        for (unsigned i = 0; i < SIZE; i++) {
            uint64_t addr = RAM + (rand() % 4 ? 0x10000 : 0) + (uint64_t)rand() % 0xf0000;
            uint32_t len = rand() % 8 ? (uint32_t)rand() % 3000 : (uint32_t)rand() % 80000;
            put_desc(&b, queue, i, addr, len, (uint16_t)(rand() & (rand() % 16 ? 3 : 7)),
                     (uint16_t)(rand() % (SIZE + 1)));
        }
        for (int i = 0; i < 64; i++)
            ((uint8_t *)at(&b, DATA))[rand() % 0xf0000] = (uint8_t)rand();
        for (int i = rand() % 4; i >= 0; i--)
            offer(&b, queue, (uint16_t)(rand() % SIZE));
        b.wire.refuse = rand() % 4 == 0;
        b.wire.echo = false;
        wr(&b, 0x50, queue);
        loop_once(b.loop, 0);
        net_can_send(&b.wire.net);
        size_t len = NET_FRAME_MIN + (size_t)rand() % (rand() % 4 ? 1500 : 65000);
        net_deliver(&b.wire.net, NULL, frame_to(OWN), len);
        net_accept(&b.wire.net);
    }
    wr(&b, 0x70, 0);
    start_driver(&b, 0);
    b.wire.refuse = false;
    unsigned before = b.wire.sent;
    transmit(&b, 0, NULL, frame_to("abcdef"), 60);
    cr_expect_eq(b.wire.sent, before + 1, "it works still");
    teardown(&b);
}
