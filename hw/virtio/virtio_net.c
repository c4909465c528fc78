// SPDX-License-Identifier: MIT
// Owns the virtio network card (Virtio 1.2, 5.1): frames between its two queues and the packet channel, and
// the control queue. Invariants: a request is returned to the driver only when its frame was taken, so that
// the queues are the only buffers and nothing waits here; the requests that one received frame fills become
// visible at once.
//
// What the channel's other side does not take or give as it is, host/net does in software, so checksums and
// segmentation are announced whatever that side is; long received segments only where it can profit from
// them.
#include "hw/virtio/virtio_net.h"
#include "base/error.h"
#include "base/loop.h"
#include "host/net.h"
#include "hw/virtio/virtio_net_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECEIVEQ = 0,
    TRANSMITQ = 1,
    CONTROLQ = 2,
    QUEUE_SIZE = 256,
    CONTROLQ_SIZE = 64,
    HEADER_SIZE = 12, // struct virtio_net_hdr, always with num_buffers (VERSION_1)
    NUM_BUFFERS = 10, // its offset
    ROUND = 128,      // requests served before the loop turns to others
    VIRTIO_NET_S_LINK_UP = 1,
    VIRTIO_NET_OK = 0,
    VIRTIO_NET_ERR = 1,
};

_Static_assert(sizeof(struct net_offload) == NUM_BUFFERS, "layout of 5.1.6");

#define VIRTIO_NET_F_CSUM (1ull << 0)
#define VIRTIO_NET_F_GUEST_CSUM (1ull << 1)
#define VIRTIO_NET_F_MTU (1ull << 3)
#define VIRTIO_NET_F_MAC (1ull << 5)
#define VIRTIO_NET_F_GUEST_TSO4 (1ull << 7)
#define VIRTIO_NET_F_GUEST_TSO6 (1ull << 8)
#define VIRTIO_NET_F_HOST_TSO4 (1ull << 11)
#define VIRTIO_NET_F_HOST_TSO6 (1ull << 12)
#define VIRTIO_NET_F_MRG_RXBUF (1ull << 15)
#define VIRTIO_NET_F_STATUS (1ull << 16)
#define VIRTIO_NET_F_CTRL_VQ (1ull << 17)
#define VIRTIO_NET_F_CTRL_RX (1ull << 18)
#define VIRTIO_NET_F_CTRL_VLAN (1ull << 19)
#define VIRTIO_NET_F_CTRL_RX_EXTRA (1ull << 20)
#define VIRTIO_NET_F_CTRL_MAC_ADDR (1ull << 23)

// 5.1.4, little-endian
struct net_device_config {
    uint8_t mac[6];
    uint16_t status, max_virtqueue_pairs, mtu;
} __attribute__((packed));

_Static_assert(sizeof(struct net_device_config) == 12, "layout of 5.1.4");

struct virtio_net {
    struct virtio_device vdev;
    struct net *net;
    struct loop *loop;
    struct loop_call transmit_call, control_call;
    struct net_device_config config;
    uint8_t own_mac[6];
    struct net_filter filter;
    // Scratch. A frame may be answered before its sending has returned, so both ways have their own.
    struct virtq_chain request; // to transmit, or to control
    struct virtq_chain first, more;
    uint8_t frame[NET_FRAME_MAX]; // to transmit
};

static const struct state_field fields[] = {
    VIRTIO_STATE(virtio_net, vdev),
    STATE_ARRAY(32, STATE_BYTES, virtio_net, config.mac, 6),
    STATE_FIELD(33, STATE_U16, virtio_net, config.status),
    NET_FILTER_STATE(34, virtio_net, filter),
};

static bool live(const struct virtio_net *n, unsigned queue)
{
    return n->vdev.status & VIRTIO_DRIVER_OK && !(n->vdev.status & VIRTIO_NEEDS_RESET) &&
           n->vdev.queues[queue].ready;
}

// --- transmission ---

// Whether the frame of the popped request was taken, or dropped for good.
static bool send_chain(struct virtio_net *n)
{
    struct net_offload offload;
    const struct virtq_chain *chain = &n->request;
    if (chain->out_len < HEADER_SIZE) {
        virtio_broken(&n->vdev);
        return true;
    }
    if (chain->out_len - HEADER_SIZE > NET_FRAME_MAX)
        return true;
    virtq_read(chain, 0, &offload, sizeof offload);
    size_t len = virtq_read(chain, HEADER_SIZE, n->frame, sizeof n->frame);
    if (!virtio_accepted(&n->vdev, VIRTIO_NET_F_CSUM)) // then the driver has set nothing (5.1.6.2.1)
        offload = (struct net_offload){0};
    offload.flags &= NET_NEEDS_CSUM;
    return net_send(n->net, &offload, n->frame, len);
}

static void transmit(void *opaque)
{
    struct virtio_net *n = opaque;
    struct virtqueue *vq = &n->vdev.queues[TRANSMITQ];
    bool returned = false;
    net_accept(n->net); // after a reset: what waited is lost
    for (unsigned i = 0; live(n, TRANSMITQ); i++) {
        if (i == ROUND) {
            loop_defer(n->loop, &n->transmit_call);
            break;
        }
        struct virtq_mark mark = virtqueue_mark(vq);
        if (!virtio_pop(&n->vdev, TRANSMITQ, &n->request))
            break;
        if (!send_chain(n)) {
            virtqueue_rewind(vq, mark); // can_send comes back to it
            break;
        }
        virtio_push(&n->vdev, TRANSMITQ, n->request.head, 0);
        returned = true;
    }
    if (returned)
        virtio_interrupt(&n->vdev, TRANSMITQ);
}

static void can_send(void *opaque)
{
    struct virtio_net *n = opaque;
    loop_defer(n->loop, &n->transmit_call);
}

// --- reception ---

// Writes header and frame into as many requests as it takes. False: there are not enough yet.
static bool fill(struct virtio_net *n, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct virtqueue *vq = &n->vdev.queues[RECEIVEQ];
    struct virtq_mark mark = virtqueue_mark(vq);
    struct virtq_used used[QUEUE_SIZE];
    bool mergeable = virtio_accepted(&n->vdev, VIRTIO_NET_F_MRG_RXBUF);
    uint8_t header[HEADER_SIZE] = {0};
    memcpy(header, offload, sizeof *offload);
    header[NUM_BUFFERS] = 1;
    unsigned count = 0;
    for (size_t done = 0; done < len || !count; count++) {
        struct virtq_chain *chain = count ? &n->more : &n->first;
        if (count == vq->size || (count && !mergeable)) {
            n->net->dropped++; // it never fits
            virtqueue_rewind(vq, mark);
            return true;
        }
        if (!virtio_pop(&n->vdev, RECEIVEQ, chain)) {
            virtqueue_rewind(vq, mark);
            return n->vdev.status & VIRTIO_NEEDS_RESET;
        }
        size_t head = count ? 0 : HEADER_SIZE;
        if (chain->in_len < head + (count ? 1 : 0)) {
            virtio_broken(&n->vdev);
            return true;
        }
        virtq_write(chain, n->vdev.mem, 0, header, head);
        size_t part = virtq_write(chain, n->vdev.mem, head, frame + done, len - done);
        used[count] = (struct virtq_used){chain->head, (uint32_t)(head + part)};
        done += part;
    }
    if (count > 1) {
        uint16_t num_buffers = (uint16_t)count;
        virtq_write(&n->first, n->vdev.mem, NUM_BUFFERS, &num_buffers, sizeof num_buffers);
    }
    virtqueue_push_batch(vq, n->vdev.mem, used, count);
    virtio_interrupt(&n->vdev, RECEIVEQ);
    return true;
}

static bool receive(void *opaque, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct virtio_net *n = opaque;
    if (!live(n, RECEIVEQ) || // a card that is not set up hears nothing
        !net_filter_passes(&n->filter, n->config.mac, virtio_accepted(&n->vdev, VIRTIO_NET_F_CTRL_VLAN),
                           frame, len))
        return true;
    return fill(n, offload, frame, len);
}

static void link_changed(void *opaque)
{
    struct virtio_net *n = opaque;
    uint16_t status = !n->net || n->net->link_up ? VIRTIO_NET_S_LINK_UP : 0;
    if (status == n->config.status)
        return;
    n->config.status = status;
    virtio_config_changed(&n->vdev);
}

static const struct net_sink sink = {.receive = receive, .can_send = can_send, .link = link_changed};

// --- control ---

static void control(void *opaque)
{
    struct virtio_net *n = opaque;
    bool returned = false;
    for (unsigned i = 0; live(n, CONTROLQ); i++) {
        if (i == ROUND) {
            loop_defer(n->loop, &n->control_call);
            break;
        }
        if (!virtio_pop(&n->vdev, CONTROLQ, &n->request))
            break;
        if (n->request.out_len < 2 || !n->request.in_len) { // no command, or no room for the answer (5.1.6.5)
            virtio_broken(&n->vdev);
            return;
        }
        bool good = net_filter_command(&n->filter, n->config.mac, &n->request);
        uint8_t ack = good ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
        virtq_write(&n->request, n->vdev.mem, 0, &ack, 1);
        virtio_push(&n->vdev, CONTROLQ, n->request.head, 1);
        returned = true;
    }
    if (returned)
        virtio_interrupt(&n->vdev, CONTROLQ);
}

// --- the device ---

// Tells the channel what the driver takes.
static void apply_features(struct virtio_net *n)
{
    unsigned takes = 0;
    if (n->vdev.status & VIRTIO_DRIVER_OK && virtio_accepted(&n->vdev, VIRTIO_NET_F_GUEST_CSUM))
        takes = NET_TAKES_CSUM | (virtio_accepted(&n->vdev, VIRTIO_NET_F_GUEST_TSO4) ? NET_TAKES_TSO4 : 0) |
                (virtio_accepted(&n->vdev, VIRTIO_NET_F_GUEST_TSO6) ? NET_TAKES_TSO6 : 0);
    net_set_takes(n->net, takes);
}

static void queue_notify(struct virtio_device *vdev, unsigned queue)
{
    struct virtio_net *n = (struct virtio_net *)vdev;
    switch (queue) {
    case RECEIVEQ:
        apply_features(n); // DRIVER_OK notifies every queue
        net_accept(n->net);
        break;
    case TRANSMITQ: loop_defer(n->loop, &n->transmit_call); break;
    default: control(n); break;
    }
}

static uint32_t config_read(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    uint32_t value = 0;
    memcpy(&value, (uint8_t *)&((struct virtio_net *)vdev)->config + offset, size);
    return value;
}

static void stop(struct virtio_device *vdev)
{
    struct virtio_net *n = (struct virtio_net *)vdev;
    net_set_takes(n->net, 0);
    net_filter_reset(&n->filter);
    memcpy(n->config.mac, n->own_mac, sizeof n->own_mac);
    loop_defer(n->loop, &n->transmit_call);
}

static void reset(struct device *dev)
{
    virtio_reset((struct virtio_device *)dev);
}

static void post_load(struct device *dev)
{
    struct virtio_net *n = (struct virtio_net *)dev;
    virtio_restored(&n->vdev);
    net_filter_restored(&n->filter);
    apply_features(n);
    link_changed(n);
    loop_defer(n->loop, &n->transmit_call);
    net_accept(n->net);
}

static void destroy(struct device *dev)
{
    struct virtio_net *n = (struct virtio_net *)dev;
    net_attach(n->net, NULL, NULL);
    loop_defer_cancel(n->loop, &n->transmit_call);
    loop_defer_cancel(n->loop, &n->control_call);
    free(n);
}

static const uint16_t queue_sizes[] = {QUEUE_SIZE, QUEUE_SIZE, CONTROLQ_SIZE};
static const struct virtio_class virtio_class = {
    .id = 1,
    .queue_count = 3,
    .queue_sizes = queue_sizes,
    .config_size = sizeof(struct net_device_config),
    .config_read = config_read,
    .queue_notify = queue_notify,
    .stop = stop,
};
static const struct device_class class =
    DEVICE_CLASS("virtio-net", 1, fields, reset, post_load, destroy, NULL, 0);

static uint64_t offered(const struct virtio_net_config *config)
{
    unsigned gives = config->net ? config->net->may_give : 0;
    uint64_t features = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX |
                        VIRTIO_NET_F_CTRL_VLAN | VIRTIO_NET_F_CTRL_RX_EXTRA | VIRTIO_NET_F_CTRL_MAC_ADDR;
    if (config->mtu)
        features |= VIRTIO_NET_F_MTU;
    features |= VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6;
    if (gives & NET_TAKES_CSUM)
        features |= VIRTIO_NET_F_GUEST_CSUM | (gives & NET_TAKES_TSO4 ? VIRTIO_NET_F_GUEST_TSO4 : 0) |
                    (gives & NET_TAKES_TSO6 ? VIRTIO_NET_F_GUEST_TSO6 : 0);
    return features;
}

int virtio_net_create(const struct virtio_net_config *config, struct virtio_device **ret_vdev,
                      struct error *err)
{
    struct virtio_net *n = calloc(1, sizeof *n);
    if (!n)
        return error_set(err, -ENOMEM, "out of memory");
    virtio_init(&n->vdev, &class, &virtio_class, config->path, config->mem, offered(config));
    n->net = config->net;
    n->loop = config->loop;
    n->transmit_call = (struct loop_call){.callback = transmit, .opaque = n};
    n->control_call = (struct loop_call){.callback = control, .opaque = n};
    memcpy(n->own_mac, config->mac, sizeof n->own_mac);
    memcpy(n->config.mac, config->mac, sizeof n->own_mac);
    n->config.max_virtqueue_pairs = 1;
    n->config.mtu = config->mtu;
    n->config.status = !n->net || n->net->link_up ? VIRTIO_NET_S_LINK_UP : 0;
    net_filter_reset(&n->filter);
    net_attach(n->net, &sink, n);
    *ret_vdev = &n->vdev;
    return 0;
}
