// SPDX-License-Identifier: MIT
// Owns the 9P transport device: takes messages from the one queue to the host's file server and brings the
// answers back. Invariant: a message is copied out of guest memory before the server sees it, and only a live
// queue is written when it is answered; at most IN_FLIGHT messages are outside. A reset waits for them and
// ends the session.
#include "hw/virtio/virtio_9p.h"
#include "base/error.h"
#include "host/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_SIZE = 128, IN_FLIGHT = 16, SESSION = 256 << 10 };

#define VIRTIO_9P_MOUNT_TAG (1ull << 0)

struct virtio_9p;

struct p9_request {
    struct fs_request fs;
    struct virtio_9p *owner;
    uint8_t *buffer; // FS_MAX_MESSAGE bytes of message, then as many of answer
    struct virtq_chain chain;
    struct p9_request *next_free;
};

struct virtio_9p {
    struct virtio_device vdev;
    struct fs *fs;
    struct {
        uint16_t tag_len;
        char tag[VIRTIO_9P_TAG_MAX + 1];
    } config;
    struct p9_request *requests, *free;
    bool starved; // the queue was left with messages because all of our requests were outside
    bool stopping;
    unsigned outside;         // requests at the server
    uint32_t session_len;     // bytes; as of the last time it was quiesced
    uint8_t session[SESSION]; // what the server keeps for the guest
};

static const struct state_field fields[] = {
    VIRTIO_STATE(virtio_9p, vdev),
    STATE_FIELD(32, STATE_BOOL, virtio_9p, starved),
    STATE_FIELD(33, STATE_U32, virtio_9p, session_len),
    STATE_ARRAY(34, STATE_BYTES, virtio_9p, session, SESSION),
};

static void serve_queue(struct virtio_9p *p9);

static void done(struct fs_request *fs_request)
{
    struct p9_request *request = fs_request->opaque;
    struct virtio_9p *p9 = request->owner;
    request->next_free = p9->free;
    p9->free = request;
    p9->outside--;
    if (p9->stopping)
        return;
    virtq_write(&request->chain, p9->vdev.mem, 0, fs_request->reply, fs_request->reply_len);
    virtio_push(&p9->vdev, 0, request->chain.head, fs_request->reply_len);
    virtio_interrupt(&p9->vdev, 0);
    if (p9->starved) {
        p9->starved = false;
        serve_queue(p9);
    }
}

static uint32_t at_most(uint64_t len)
{
    return len < FS_MAX_MESSAGE ? (uint32_t)len : FS_MAX_MESSAGE;
}

static void serve_queue(struct virtio_9p *p9)
{
    for (;;) {
        struct p9_request *request = p9->free;
        if (!request) {
            p9->starved = true;
            return;
        }
        if (!virtio_pop(&p9->vdev, 0, &request->chain))
            return;
        p9->free = request->next_free;
        uint32_t len = at_most(request->chain.out_len);
        request->fs = (struct fs_request){.message = request->buffer,
                                          .message_len = len,
                                          .reply = request->buffer + FS_MAX_MESSAGE,
                                          .reply_size = at_most(request->chain.in_len),
                                          .done = done,
                                          .opaque = request};
        virtq_read(&request->chain, 0, request->buffer, len);
        p9->outside++;
        fs_submit(p9->fs, &request->fs);
    }
}

static void queue_notify(struct virtio_device *vdev, unsigned queue)
{
    serve_queue((struct virtio_9p *)vdev);
}

static uint32_t config_read(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    uint32_t value = 0;
    memcpy(&value, (const uint8_t *)&((struct virtio_9p *)vdev)->config + offset, size);
    return value;
}

static void stop(struct virtio_device *vdev)
{
    struct virtio_9p *p9 = (struct virtio_9p *)vdev;
    p9->stopping = true;
    fs_reset(p9->fs);
    p9->stopping = false;
    p9->starved = false;
    p9->session_len = 0;
    memset(p9->session, 0, sizeof p9->session);
}

static void reset(struct device *dev)
{
    virtio_reset((struct virtio_device *)dev);
}

static void quiesce(struct device *dev)
{
    struct virtio_9p *p9 = (struct virtio_9p *)dev;
    while (p9->outside)
        fs_drain(p9->fs); // an answer may let the next request out
    memset(p9->session, 0, sizeof p9->session);
    p9->session_len = (uint32_t)fs_save(p9->fs, p9->session, sizeof p9->session);
}

static void post_load(struct device *dev)
{
    struct virtio_9p *p9 = (struct virtio_9p *)dev;
    p9->stopping = true;
    fs_restore(p9->fs, p9->session, p9->session_len < SESSION ? p9->session_len : SESSION);
    p9->stopping = false;
    virtio_restored(&p9->vdev);
}

static void free_requests(struct virtio_9p *p9)
{
    for (unsigned i = 0; p9->requests && i < IN_FLIGHT; i++)
        free(p9->requests[i].buffer);
    free(p9->requests);
}

static void destroy(struct device *dev)
{
    struct virtio_9p *p9 = (struct virtio_9p *)dev;
    stop(&p9->vdev);
    free_requests(p9);
    free(p9);
}

static const uint16_t queue_sizes[] = {QUEUE_SIZE};
static const struct virtio_class virtio_class = {
    .id = 9,
    .queue_count = 1,
    .queue_sizes = queue_sizes,
    .config_size = 2 + VIRTIO_9P_TAG_MAX,
    .config_read = config_read,
    .queue_notify = queue_notify,
    .stop = stop,
};
static const struct device_class class =
    DEVICE_CLASS_QUIESCED("virtio-9p", 1, fields, reset, post_load, destroy, NULL, 0, quiesce);

int virtio_9p_create(const struct virtio_9p_config *config, struct virtio_device **ret_vdev,
                     struct error *err)
{
    size_t len = strlen(config->mount_tag);
    if (!len || len > VIRTIO_9P_TAG_MAX)
        return error_set(err, -EINVAL, "mount_tag=%s has not 1 to %d characters", config->mount_tag,
                         VIRTIO_9P_TAG_MAX);
    struct virtio_9p *p9 = calloc(1, sizeof *p9);
    if (!p9)
        return error_set(err, -ENOMEM, "out of memory");
    p9->requests = calloc(IN_FLIGHT, sizeof *p9->requests);
    bool good = p9->requests;
    for (unsigned i = 0; good && i < IN_FLIGHT; i++) {
        struct p9_request *request = &p9->requests[i];
        good = (request->buffer = malloc(2 * (size_t)FS_MAX_MESSAGE));
        request->owner = p9;
        request->next_free = p9->free;
        p9->free = request;
    }
    if (!good) {
        free_requests(p9);
        free(p9);
        return error_set(err, -ENOMEM, "out of memory");
    }
    virtio_init(&p9->vdev, &class, &virtio_class, config->path, config->mem, VIRTIO_9P_MOUNT_TAG);
    p9->fs = config->fs;
    p9->config.tag_len = (uint16_t)len;
    memcpy(p9->config.tag, config->mount_tag, len);
    *ret_vdev = &p9->vdev;
    return 0;
}
