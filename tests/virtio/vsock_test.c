// SPDX-License-Identifier: MIT
// The socket device by its queues on one side and Unix sockets on the other.
#include "base/loop.h"
#include "host/vsock.h"
#include "hw/core/state.h"
#include "hw/virtio/virtio_vsock.h"
#include "tests/virtio/driver.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { RX, TX, EVENT, CID = 7, HOST = 2, STREAM = 1 };
enum { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };

struct packet {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
    char data[512];
} __attribute__((packed));
enum { HEADER = offsetof(struct packet, data) };

struct bench {
    struct driver d;
    struct loop *loop;
    char folder[32], path[48];
};

static void setup(struct bench *b)
{
    memset(b, 0, sizeof *b);
    driver_setup(&b->d);
    cr_assert_eq(loop_create(&b->d.lock, &b->loop, NULL), 0);
    strcpy(b->folder, "/tmp/vsock-test-XXXXXX");
    cr_assert(mkdtemp(b->folder));
    snprintf(b->path, sizeof b->path, "%s/v", b->folder);
    struct virtio_vsock_config config = {.path = "/vsock", .mem = b->d.mem, .loop = b->loop, .guest_cid = CID};
    cr_assert_eq(vsock_create(b->path, b->loop, &config.vsock, NULL), 0);
    cr_assert_eq(virtio_vsock_create(&config, &b->d.vdev, NULL), 0);
    cr_expect_eq(virtio_config_read(b->d.vdev, 0, 4), CID);
    cr_expect_eq(virtio_config_read(b->d.vdev, 4, 4), 0);
    driver_start(&b->d, 0, 3);
}

static void teardown(struct bench *b)
{
    char path[64];
    device_destroy(&b->d.vdev->dev);
    cr_expect_eq(access(b->path, F_OK), -1, "the socket is removed");
    snprintf(path, sizeof path, "%s_80", b->path);
    unlink(path);
    cr_expect_eq(rmdir(b->folder), 0);
    loop_destroy(b->loop);
    driver_teardown(&b->d);
}

static void pump(struct bench *b)
{
    for (unsigned i = 0; i < 20; i++)
        loop_once(b->loop, 0);
}

static int host_socket(struct bench *b, const char *suffix, bool server)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s%s", b->path, suffix);
    if (server)
        cr_assert(!bind(fd, (struct sockaddr *)&a, sizeof a) && !listen(fd, 4));
    else
        cr_assert(!connect(fd, (struct sockaddr *)&a, sizeof a));
    return fd;
}

static void send_packet(struct bench *b, struct packet p, const char *data)
{
    p.src_cid = p.src_cid ? p.src_cid : CID;
    p.dst_cid = p.dst_cid ? p.dst_cid : HOST;
    p.type = p.type ? p.type : STREAM;
    p.buf_alloc = p.buf_alloc ? p.buf_alloc : 1 << 20;
    if (data) {
        strcpy(p.data, data);
        p.len = p.len ? p.len : (uint32_t)strlen(data);
    }
    driver_out(&b->d, TX, &p, HEADER + (uint32_t)(data ? strlen(data) : 0));
    pump(b);
    while (driver_used(&b->d, TX, NULL, 0)) {
    }
}

// The next packet for the guest, for which a buffer of some bytes is given; op 0: none.
static struct packet receive(struct bench *b, uint32_t size)
{
    struct packet p = {0};
    if (!driver_used(&b->d, RX, &p, sizeof p)) {
        driver_in(&b->d, RX, size);
        pump(b);
        driver_used(&b->d, RX, &p, sizeof p);
    }
    return p;
}

static void expect(struct bench *b, uint16_t op, const char *data)
{
    struct packet p = receive(b, sizeof p);
    cr_expect_eq(p.op, op, "op %u, wanted %u", p.op, op);
    if (data)
        cr_expect(p.len == strlen(data) && !memcmp(p.data, data, p.len), "'%.*s', wanted '%s'", (int)p.len, p.data, data);
}

static void hears(int fd, const char *text)
{
    char buf[128];
    ssize_t n = read(fd, buf, sizeof buf);
    cr_expect(n == (ssize_t)strlen(text) && !memcmp(buf, text, strlen(text)), "%zd bytes, wanted '%s'", n, text);
}

static bool is_closed(int fd)
{
    char byte;
    return read(fd, &byte, 1) == 0;
}

Test(vsock, a_guest_connects)
{
    struct bench b;
    setup(&b);
    send_packet(&b, (struct packet){.src_port = 1000, .dst_port = 80, .op = REQUEST}, NULL);
    expect(&b, RST, NULL);
    int server = host_socket(&b, "_80", true);
    send_packet(&b, (struct packet){.src_port = 1000, .dst_port = 80, .op = REQUEST}, NULL);
    expect(&b, RESPONSE, NULL);
    int peer = accept4(server, NULL, NULL, SOCK_NONBLOCK);
    cr_assert(peer >= 0);
    send_packet(&b, (struct packet){.src_port = 1000, .dst_port = 80, .op = RW}, "hello");
    hears(peer, "hello");
    cr_assert_eq(write(peer, "world", 5), 5);
    pump(&b);
    struct packet p = receive(&b, sizeof p);
    cr_expect(p.op == RW && p.len == 5 && !memcmp(p.data, "world", 5));
    cr_expect(p.src_cid == HOST && p.dst_cid == CID && p.src_port == 80 && p.dst_port == 1000 && p.fwd_cnt == 5);
    cr_expect(p.buf_alloc == VSOCK_STREAM_ROOM && p.type == STREAM);
    send_packet(&b, (struct packet){.src_port = 1000, .dst_port = 80, .op = CREDIT_REQUEST}, NULL);
    expect(&b, CREDIT_UPDATE, NULL);
    // The host's end closes one way, then the guest both.
    shutdown(peer, SHUT_WR);
    pump(&b);
    p = receive(&b, sizeof p);
    cr_expect(p.op == SHUTDOWN && p.flags == 2);
    send_packet(&b, (struct packet){.src_port = 1000, .dst_port = 80, .op = RW}, "last");
    hears(peer, "last");
    send_packet(&b, (struct packet){.src_port = 1000, .dst_port = 80, .op = SHUTDOWN, .flags = 3}, NULL);
    cr_expect(is_closed(peer));
    expect(&b, RST, NULL);
    send_packet(&b, (struct packet){.src_port = 1000, .dst_port = 80, .op = RW}, "gone");
    expect(&b, RST, NULL);
    close(peer);
    close(server);
    teardown(&b);
}

Test(vsock, the_host_connects)
{
    struct bench b;
    setup(&b);
    static const char *const bad[] = {"\n", "CONNECT\n", "CONNECT x\n", "CONNECT 1 \n", "CONNECT 4294967296\n", "GET / HTTP/1.1\n",
                                      "CONNECT 00000000000000000000000000000000000001\n"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int client = host_socket(&b, "", false);
        cr_assert_eq(write(client, bad[i], strlen(bad[i])), (ssize_t)strlen(bad[i]));
        pump(&b);
        char byte;
        cr_expect_leq(read(client, &byte, 1), 0, "%s", bad[i]);
        close(client);
    }
    int client = host_socket(&b, "", false);
    cr_assert_eq(write(client, "CONNECT 9", 9), 9);
    pump(&b);
    cr_assert_eq(write(client, "9\nearly", 7), 7);
    pump(&b);
    struct packet p = receive(&b, sizeof p);
    cr_expect(p.op == REQUEST && p.dst_port == 99 && p.src_port >= 1 << 30);
    uint32_t port = p.src_port;
    char said[32];
    cr_expect_eq(read(client, said, sizeof said), -1, "nobody has accepted");
    send_packet(&b, (struct packet){.src_port = 99, .dst_port = port, .op = RESPONSE}, NULL);
    snprintf(said, sizeof said, "OK %u\n", port);
    hears(client, said);
    expect(&b, RW, "early");
    send_packet(&b, (struct packet){.src_port = 99, .dst_port = port, .op = RST}, NULL);
    cr_expect(is_closed(client));
    close(client);
    client = host_socket(&b, "", false);
    cr_assert_eq(write(client, "CONNECT 5\n", 10), 10);
    pump(&b);
    p = receive(&b, sizeof p);
    cr_expect(p.op == REQUEST && p.src_port != port);
    send_packet(&b, (struct packet){.src_port = 5, .dst_port = p.src_port, .op = RST}, NULL);
    cr_expect(is_closed(client), "refused");
    close(client);
    teardown(&b);
}

Test(vsock, credit_bounds_both_ways)
{
    struct bench b;
    setup(&b);
    int server = host_socket(&b, "_80", true);
    send_packet(&b, (struct packet){.src_port = 1, .dst_port = 80, .op = REQUEST, .buf_alloc = 10}, NULL);
    expect(&b, RESPONSE, NULL);
    int peer = accept4(server, NULL, NULL, SOCK_NONBLOCK);
    cr_assert_eq(write(peer, "0123456789abcdef", 16), 16);
    pump(&b);
    expect(&b, RW, "0123456789");
    expect(&b, CREDIT_REQUEST, NULL);
    cr_expect_eq(receive(&b, 512).op, 0);
    send_packet(&b, (struct packet){.src_port = 1, .dst_port = 80, .op = CREDIT_UPDATE, .buf_alloc = 10, .fwd_cnt = 8}, NULL);
    expect(&b, RW, "abcdef");
    // The other way, a peer that does not read: what its socket takes, then our room, and not a byte more.
    char data[401];
    memset(data, 'x', 400);
    data[400] = 0;
    unsigned sent = 0;
    struct packet p = {0};
    driver_in(&b.d, RX, 512);
    while (p.op != RST && sent < 100000) {
        send_packet(&b, (struct packet){.src_port = 1, .dst_port = 80, .op = RW, .buf_alloc = 100}, data);
        sent++;
        while (p.op != RST && driver_used(&b.d, RX, &p, sizeof p)) {
            driver_in(&b.d, RX, 512);
            pump(&b);
        }
    }
    cr_expect_eq(p.op, RST, "there is no bound");
    cr_expect_geq(sent, VSOCK_STREAM_ROOM / 400);
    cr_expect_not(b.d.vdev->status & VIRTIO_NEEDS_RESET);
    close(peer);
    close(server);
    teardown(&b);
}

Test(vsock, hostile_packets)
{
    struct bench b;
    setup(&b);
    struct packet p = {.src_cid = CID, .dst_cid = HOST, .type = STREAM, .op = RW};
    driver_out(&b.d, TX, &p, HEADER - 1);
    send_packet(&b, (struct packet){.src_cid = 99, .op = REQUEST}, NULL);
    cr_expect_eq(receive(&b, 512).op, 0, "nobody is answered");
    send_packet(&b, (struct packet){.dst_cid = 3, .op = REQUEST}, NULL);
    expect(&b, RST, NULL);
    send_packet(&b, (struct packet){.type = 9, .op = REQUEST}, NULL);
    expect(&b, RST, NULL);
    send_packet(&b, (struct packet){.op = 77}, NULL);
    expect(&b, RST, NULL);
    send_packet(&b, (struct packet){.op = RST}, NULL);
    cr_expect_eq(receive(&b, 512).op, 0);
    int server = host_socket(&b, "_80", true);
    send_packet(&b, (struct packet){.src_port = 1, .dst_port = 80, .op = REQUEST}, NULL);
    expect(&b, RESPONSE, NULL);
    send_packet(&b, (struct packet){.src_port = 1, .dst_port = 80, .op = RW, .len = 5000}, "more was promised");
    expect(&b, RST, NULL);
    for (unsigned i = 0; i < 2; i++) { // the second time there is one already
        send_packet(&b, (struct packet){.src_port = 1, .dst_port = 80, .op = REQUEST}, NULL);
        expect(&b, i ? RST : RESPONSE, NULL);
    }
    // Replies that nobody fetches: the device takes no more packets, and goes on when they are.
    for (unsigned i = 0; i < 60; i++) {
        p = (struct packet){.src_cid = CID, .dst_cid = HOST, .src_port = i, .type = STREAM, .op = CREDIT_UPDATE};
        driver_out(&b.d, TX, &p, HEADER);
    }
    pump(&b);
    unsigned taken = 0, resets = 0;
    while (driver_used(&b.d, TX, NULL, 0))
        taken++;
    cr_expect_lt(taken, 60);
    for (unsigned i = 0; i < 70; i++)
        resets += receive(&b, 512).op == RST;
    cr_expect_eq(resets, 60);
    driver_in(&b.d, RX, 8);
    send_packet(&b, (struct packet){.op = 77}, NULL);
    close(server);
    teardown(&b);
}

Test(vsock, a_restored_guest_hears_of_a_reset)
{
    struct bench b;
    setup(&b);
    struct state_buf saved = {0};
    struct device *dev = &b.d.vdev->dev;
    int server = host_socket(&b, "_80", true);
    send_packet(&b, (struct packet){.src_port = 1, .dst_port = 80, .op = REQUEST}, NULL);
    expect(&b, RESPONSE, NULL);
    int peer = accept4(server, NULL, NULL, SOCK_NONBLOCK);
    cr_assert_eq(state_save(dev, 0, &saved, NULL), 0);
    cr_assert_eq(state_load(&dev, 1, 0, saved.data, saved.size, NULL), 0);
    cr_expect(is_closed(peer));
    pump(&b);
    uint32_t event = 99;
    driver_in(&b.d, EVENT, sizeof event);
    pump(&b);
    cr_expect_eq(driver_used(&b.d, EVENT, &event, sizeof event), sizeof event);
    cr_expect_eq(event, 0, "VIRTIO_VSOCK_EVENT_TRANSPORT_RESET");
    state_buf_free(&saved);
    close(peer);
    close(server);
    teardown(&b);
}
