// SPDX-License-Identifier: MIT
// Owns the virtio socket device: connections, their credit both ways, and what is to be said of them.
//
// Invariant: no request is held between calls. Bytes from the host are read when the guest has given a buffer and credit,
// never before; bytes to the host wait in the stream, which has room for all that the guest has credit for. What is to be
// said of a connection is a bit each, what answers a packet of none waits in a short list; while that is full no more
// packets are taken. A saved state has no connections: the guest hears of a transport reset (5.10.6.7.1).
#include "hw/virtio/virtio_vsock.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/loop.h"
#include "host/vsock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { RX, TX, EVENT, QUEUES, QUEUE_SIZE = 128, CONNECTIONS = 256, REPLIES = 32, ROUND = 256, PIECE = 64 << 10 };
enum { HOST_CID = 2, FIRST_HOST_PORT = 1 << 30 };

// 5.10.6
enum { VIRTIO_VSOCK_TYPE_STREAM = 1 };
enum vsock_op {
    VIRTIO_VSOCK_OP_INVALID,
    VIRTIO_VSOCK_OP_REQUEST,
    VIRTIO_VSOCK_OP_RESPONSE,
    VIRTIO_VSOCK_OP_RST,
    VIRTIO_VSOCK_OP_SHUTDOWN,
    VIRTIO_VSOCK_OP_RW,
    VIRTIO_VSOCK_OP_CREDIT_UPDATE,
    VIRTIO_VSOCK_OP_CREDIT_REQUEST,
};
enum { VIRTIO_VSOCK_SHUTDOWN_RCV = 1, VIRTIO_VSOCK_SHUTDOWN_SEND = 2 };

struct vsock_header {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));
_Static_assert(sizeof(struct vsock_header) == 44, "5.10.6");

struct connection {
    bool used, open;
    struct vsock_stream *stream; // NULL once only RST is to be sent
    uint32_t guest_port, host_port;
    uint16_t to_send;                     // 1 << enum vsock_op
    uint8_t guest_shut;                   // VIRTIO_VSOCK_SHUTDOWN_*
    bool input;                           // the stream may have something to read
    bool asked;                           // for credit
    uint32_t buf_alloc, fwd_cnt, sent;    // of the guest, and to it
    uint32_t received, told;              // from the guest; of it, what the guest knows to have left us
};

struct virtio_vsock {
    struct virtio_device vdev;
    struct vsock *vsock;
    struct loop *loop;
    struct loop_call serve_call;
    uint32_t guest_cid, next_port;
    bool transport_reset; // the guest is to hear of one
    struct connection connections[CONNECTIONS];
    unsigned turn; // whose connection is next
    struct vsock_header replies[REPLIES];
    unsigned reply_count;
    struct virtq_chain chain; // scratch
    uint8_t piece[PIECE];     // scratch
};

static const struct state_field fields[] = {
    VIRTIO_STATE(virtio_vsock, vdev),
    STATE_FIELD(32, STATE_BOOL, virtio_vsock, transport_reset),
};

static bool live(const struct virtio_vsock *v, unsigned queue)
{
    return v->vdev.status & VIRTIO_DRIVER_OK && !(v->vdev.status & VIRTIO_NEEDS_RESET) && v->vdev.queues[queue].ready;
}

static void wake(struct virtio_vsock *v)
{
    loop_defer(v->loop, &v->serve_call);
}

// --- connections ---

static struct connection *find(struct virtio_vsock *v, uint32_t guest_port, uint32_t host_port)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &v->connections[i];
        if (c->used && c->guest_port == guest_port && c->host_port == host_port)
            return c;
    }
    return NULL;
}

static struct connection *make(struct virtio_vsock *v, uint32_t guest_port, uint32_t host_port)
{
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (!v->connections[i].used) {
            v->connections[i] = (struct connection){.used = true, .guest_port = guest_port, .host_port = host_port};
            return &v->connections[i];
        }
    return NULL;
}

static void drop_stream(struct connection *c)
{
    if (c->stream)
        vsock_close(c->stream);
    c->stream = NULL;
}

static void forget(struct connection *c)
{
    drop_stream(c);
    *c = (struct connection){0};
}

// The connection is over for us; the guest is told.
static void reset_connection(struct connection *c)
{
    drop_stream(c);
    c->to_send = 1 << VIRTIO_VSOCK_OP_RST;
}

static void close_all(struct virtio_vsock *v)
{
    for (unsigned i = 0; i < CONNECTIONS; i++)
        forget(&v->connections[i]);
    v->reply_count = 0;
}

static uint32_t credit_of(const struct connection *c)
{
    uint32_t on_the_way = c->sent - c->fwd_cnt;
    return on_the_way < c->buf_alloc ? c->buf_alloc - on_the_way : 0;
}

// Of the guest's bytes, how many have left us.
static uint32_t forwarded(const struct connection *c)
{
    return c->received - (c->stream ? (uint32_t)vsock_waiting(c->stream) : 0);
}

// When it has closed both ways and nothing waits any more, the connection ends.
static void check_closed(struct connection *c)
{
    const uint8_t both = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;
    if (c->stream && c->guest_shut == both && !vsock_waiting(c->stream))
        reset_connection(c);
}

// --- the host's side ---

static bool on_connect(void *opaque, struct vsock_stream *stream, uint32_t port)
{
    struct virtio_vsock *v = opaque;
    if (!live(v, RX) || !live(v, TX))
        return false;
    while (v->next_port < FIRST_HOST_PORT || find(v, port, v->next_port))
        v->next_port = v->next_port < FIRST_HOST_PORT ? FIRST_HOST_PORT : v->next_port + 1;
    struct connection *c = make(v, port, v->next_port++);
    if (!c)
        return false;
    c->stream = stream;
    c->to_send = 1 << VIRTIO_VSOCK_OP_REQUEST;
    wake(v);
    return true;
}

static void on_readable(void *opaque, struct vsock_stream *stream)
{
    struct virtio_vsock *v = opaque;
    struct connection *c = vsock_user(stream);
    vsock_watch(stream, false); // until it has been read empty
    c->input = true;
    wake(v);
}

static void on_drained(void *opaque, struct vsock_stream *stream)
{
    struct virtio_vsock *v = opaque;
    struct connection *c = vsock_user(stream);
    if (forwarded(c) - c->told >= VSOCK_STREAM_ROOM / 4)
        c->to_send |= 1 << VIRTIO_VSOCK_OP_CREDIT_UPDATE;
    check_closed(c);
    wake(v);
}

static const struct vsock_ops host_ops = {on_connect, on_readable, on_drained};

// --- packets from the guest ---

static void answer_with_reset(struct virtio_vsock *v, const struct vsock_header *h)
{
    v->replies[v->reply_count++] = (struct vsock_header){
        .src_cid = h->dst_cid, .dst_cid = v->guest_cid, .src_port = h->dst_port, .dst_port = h->src_port,
        .type = h->type, .op = VIRTIO_VSOCK_OP_RST};
}

static void take_request(struct virtio_vsock *v, const struct vsock_header *h)
{
    struct connection *c = make(v, h->src_port, h->dst_port);
    if (c)
        c->stream = vsock_connect(v->vsock, h->dst_port, c);
    if (!c || !c->stream) {
        if (c)
            forget(c);
        answer_with_reset(v, h);
        return;
    }
    c->open = true;
    c->buf_alloc = h->buf_alloc;
    c->fwd_cnt = h->fwd_cnt;
    c->to_send = 1 << VIRTIO_VSOCK_OP_RESPONSE;
    vsock_watch(c->stream, true);
}

static void take_data(struct virtio_vsock *v, struct connection *c, const struct vsock_header *h)
{
    if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND || h->len > VSOCK_STREAM_ROOM - vsock_waiting(c->stream)) {
        reset_connection(c);
        return;
    }
    for (uint32_t done = 0; done < h->len;) {
        uint32_t part = h->len - done < PIECE ? h->len - done : PIECE;
        virtq_read(&v->chain, sizeof *h + done, v->piece, part);
        if (!vsock_write(c->stream, v->piece, part)) {
            reset_connection(c);
            return;
        }
        done += part;
    }
    c->received += h->len;
    if (forwarded(c) - c->told >= VSOCK_STREAM_ROOM / 4)
        c->to_send |= 1 << VIRTIO_VSOCK_OP_CREDIT_UPDATE;
}

static void take_of_connection(struct virtio_vsock *v, struct connection *c, const struct vsock_header *h)
{
    c->buf_alloc = h->buf_alloc;
    c->fwd_cnt = h->fwd_cnt;
    c->asked = false;
    if (h->op == VIRTIO_VSOCK_OP_RESPONSE && !c->open) {
        c->open = true;
        vsock_accepted(c->stream, c->host_port, c);
        vsock_watch(c->stream, true);
        return;
    }
    if (h->op == VIRTIO_VSOCK_OP_RST) {
        forget(c);
        return;
    }
    if (!c->open) {
        reset_connection(c);
        return;
    }
    switch (h->op) {
    case VIRTIO_VSOCK_OP_SHUTDOWN:
        c->guest_shut |= h->flags & (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND);
        if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)
            vsock_finish(c->stream);
        check_closed(c);
        break;
    case VIRTIO_VSOCK_OP_RW: take_data(v, c, h); break;
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE: break;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST: c->to_send |= 1 << VIRTIO_VSOCK_OP_CREDIT_UPDATE; break;
    default: reset_connection(c); break;
    }
}

static void take_packet(struct virtio_vsock *v)
{
    struct vsock_header h;
    if (virtq_read(&v->chain, 0, &h, sizeof h) < sizeof h || h.src_cid != v->guest_cid)
        return; // of nobody whom an answer would reach
    bool ours = h.dst_cid == HOST_CID && h.type == VIRTIO_VSOCK_TYPE_STREAM;
    struct connection *c = ours ? find(v, h.src_port, h.dst_port) : NULL;
    if (c && c->stream && h.op == VIRTIO_VSOCK_OP_RW && h.len > v->chain.out_len - sizeof h)
        reset_connection(c); // not all of it is there
    else if (c && c->stream)
        take_of_connection(v, c, &h);
    else if (c && h.op == VIRTIO_VSOCK_OP_RST)
        forget(c);
    else if (ours && !c && h.op == VIRTIO_VSOCK_OP_REQUEST)
        take_request(v, &h);
    else if (!c && h.op != VIRTIO_VSOCK_OP_RST)
        answer_with_reset(v, &h);
}

static void serve_tx(struct virtio_vsock *v)
{
    bool returned = false;
    for (unsigned i = 0; live(v, TX) && v->reply_count < REPLIES; i++) {
        if (i == ROUND) {
            wake(v);
            break;
        }
        if (!virtio_pop(&v->vdev, TX, &v->chain))
            break;
        take_packet(v);
        virtio_push(&v->vdev, TX, v->chain.head, 0);
        returned = true;
    }
    if (returned)
        virtio_interrupt(&v->vdev, TX);
}

// --- packets to the guest ---

static bool has_data(const struct connection *c)
{
    return c->open && c->stream && c->input && !(c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV);
}

// Who has something to say, from v->turn on.
static struct connection *speaker(struct virtio_vsock *v)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &v->connections[(v->turn + i) % CONNECTIONS];
        if (!c->used)
            continue;
        if (!c->to_send && has_data(c) && !credit_of(c) && !c->asked) {
            c->asked = true;
            c->to_send = 1 << VIRTIO_VSOCK_OP_CREDIT_REQUEST;
        }
        if (c->to_send || (has_data(c) && credit_of(c))) {
            v->turn = (unsigned)(c - v->connections) + 1;
            return c;
        }
    }
    return NULL;
}

// Bytes that were read for the connection into v->piece. 0: its end, or none yet.
static uint32_t read_data(struct virtio_vsock *v, struct connection *c)
{
    uint64_t most = v->chain.in_len - sizeof(struct vsock_header), credit = credit_of(c);
    most = most < credit ? most : credit;
    long n = vsock_read(c->stream, v->piece, most < PIECE ? most : PIECE);
    if (n > 0)
        return (uint32_t)n;
    c->input = false;
    if (n < 0)
        vsock_watch(c->stream, true);
    else
        c->to_send |= 1 << VIRTIO_VSOCK_OP_SHUTDOWN;
    return 0;
}

// A packet of the connection in the popped buffer; false where there is none after all.
static bool say(struct virtio_vsock *v, struct connection *c)
{
    struct vsock_header h = {.src_cid = HOST_CID, .dst_cid = v->guest_cid, .src_port = c->host_port, .dst_port = c->guest_port,
                             .type = VIRTIO_VSOCK_TYPE_STREAM, .op = VIRTIO_VSOCK_OP_RW, .buf_alloc = VSOCK_STREAM_ROOM};
    if (c->to_send) {
        h.op = (uint16_t)__builtin_ctz(c->to_send); // an answer to a request before all else
        c->to_send &= (uint16_t) ~(1u << h.op);
    } else if (!(h.len = read_data(v, c))) {
        return false;
    }
    if (h.op == VIRTIO_VSOCK_OP_SHUTDOWN)
        h.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
    c->told = h.fwd_cnt = forwarded(c);
    c->sent += h.len;
    virtq_write(&v->chain, v->vdev.mem, 0, &h, sizeof h);
    virtq_write(&v->chain, v->vdev.mem, sizeof h, v->piece, h.len);
    virtio_push(&v->vdev, RX, v->chain.head, (uint32_t)sizeof h + h.len);
    if (h.op == VIRTIO_VSOCK_OP_RST)
        forget(c);
    return true;
}

static void say_reply(struct virtio_vsock *v)
{
    virtq_write(&v->chain, v->vdev.mem, 0, &v->replies[0], sizeof v->replies[0]);
    virtio_push(&v->vdev, RX, v->chain.head, sizeof v->replies[0]);
    memmove(v->replies, v->replies + 1, --v->reply_count * sizeof v->replies[0]);
}

static void serve_rx(struct virtio_vsock *v)
{
    bool sent = false;
    for (unsigned i = 0; live(v, RX); i++) {
        struct connection *c = v->reply_count ? NULL : speaker(v);
        if (!c && !v->reply_count)
            break;
        if (i == ROUND) {
            wake(v);
            break;
        }
        struct virtq_mark mark = virtqueue_mark(&v->vdev.queues[RX]);
        if (!virtio_pop(&v->vdev, RX, &v->chain))
            break;
        if (v->chain.in_len < sizeof(struct vsock_header)) {
            virtio_broken(&v->vdev);
            break;
        }
        if (!c)
            say_reply(v);
        else if (!say(v, c)) {
            virtqueue_rewind(&v->vdev.queues[RX], mark);
            continue;
        }
        sent = true;
    }
    if (sent)
        virtio_interrupt(&v->vdev, RX);
}

static void serve_events(struct virtio_vsock *v)
{
    const uint32_t transport_reset = 0; // 5.10.6.7
    if (!v->transport_reset || !live(v, EVENT) || !virtio_pop(&v->vdev, EVENT, &v->chain))
        return;
    size_t n = virtq_write(&v->chain, v->vdev.mem, 0, &transport_reset, sizeof transport_reset);
    virtio_push(&v->vdev, EVENT, v->chain.head, (uint32_t)n);
    virtio_interrupt(&v->vdev, EVENT);
    v->transport_reset = false;
}

static void serve(void *opaque)
{
    struct virtio_vsock *v = opaque;
    serve_events(v);
    serve_rx(v); // makes room for replies
    serve_tx(v);
    serve_rx(v);
}

// --- the device ---

static void queue_notify(struct virtio_device *vdev, unsigned queue)
{
    wake((struct virtio_vsock *)vdev);
}

static uint32_t config_read(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    const uint64_t cid = ((const struct virtio_vsock *)vdev)->guest_cid;
    uint32_t value = 0;
    memcpy(&value, (const uint8_t *)&cid + offset, size);
    return value;
}

static void stop(struct virtio_device *vdev)
{
    struct virtio_vsock *v = (struct virtio_vsock *)vdev;
    close_all(v);
    v->transport_reset = false;
}

static void reset(struct device *dev)
{
    virtio_reset((struct virtio_device *)dev);
}

static void post_load(struct device *dev)
{
    struct virtio_vsock *v = (struct virtio_vsock *)dev;
    close_all(v);
    virtio_restored(&v->vdev);
    v->transport_reset |= live(v, RX);
    wake(v);
}

static void destroy(struct device *dev)
{
    struct virtio_vsock *v = (struct virtio_vsock *)dev;
    loop_defer_cancel(v->loop, &v->serve_call);
    close_all(v);
    vsock_destroy(v->vsock);
    free(v);
}

static const uint16_t queue_sizes[QUEUES] = {QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE};
static const struct virtio_class virtio_class = {
    .id = 19,
    .queue_count = QUEUES,
    .queue_sizes = queue_sizes,
    .config_size = 8,
    .config_read = config_read,
    .queue_notify = queue_notify,
    .stop = stop,
};
static const struct device_class class = DEVICE_CLASS("virtio-vsock", 1, fields, reset, post_load, destroy, NULL, 0);

int virtio_vsock_create(const struct virtio_vsock_config *config, struct virtio_device **ret_vdev, struct error *err)
{
    struct virtio_vsock *v = calloc(1, sizeof *v);
    if (!v) {
        vsock_destroy(config->vsock);
        return error_set(err, -ENOMEM, "out of memory");
    }
    virtio_init(&v->vdev, &class, &virtio_class, config->path, config->mem, 0);
    v->vsock = config->vsock;
    v->loop = config->loop;
    v->guest_cid = config->guest_cid;
    v->serve_call = (struct loop_call){.callback = serve, .opaque = v};
    vsock_attach(v->vsock, &host_ops, v);
    *ret_vdev = &v->vdev;
    return 0;
}
