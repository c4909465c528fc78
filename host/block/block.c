// SPDX-License-Identifier: MIT
// Owns the queue before an image and the workers that empty it. Invariants: a request is on exactly one list
// (queued, in a worker's hand, finished), and the finished list is emptied with the machine lock held only.
// Two requests whose granules overlap are never in two hands at once if one of them writes, and keep their
// order. block.lock is taken last: only the loop's own mutex comes after it.
#include "host/block.h"
#include "base/error.h"
#include "base/loop.h"
#include "host/image.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 4 };

struct list {
    struct block_request *first, **last;
};

struct block {
    struct image *image;
    bool sync, discard, stopping;
    enum block_detect detect_zeroes;
    struct loop *loop;
    struct loop_call completion;
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    struct list queued, finished;
    struct block_request *hands[WORKERS]; // what each worker holds
    pthread_t threads[WORKERS];
    unsigned thread_count, waiting; // waiting: workers without work
};

struct worker {
    struct block *block;
    unsigned index;
};

static void list_init(struct list *list)
{
    *list = (struct list){.last = &list->first};
}

static void list_add(struct list *list, struct block_request *request)
{
    request->next = NULL;
    *list->last = request;
    list->last = &request->next;
}

static struct block_request *list_take(struct list *list)
{
    struct block_request *request = list->first;
    if (request && !(list->first = request->next))
        list->last = &list->first;
    return request;
}

static bool all_zero(const struct block_request *request)
{
    for (int i = 0; i < request->iov_count; i++) {
        const uint8_t *p = request->iov[i].iov_base;
        size_t n = request->iov[i].iov_len;
        if (n && (p[0] || memcmp(p, p + 1, n - 1)))
            return false;
    }
    return true;
}

static uint64_t bytes_of(const struct block_request *request)
{
    uint64_t len = request->op == BLOCK_DISCARD || request->op == BLOCK_ZERO ? request->len : 0;
    if (request->op == BLOCK_READ || request->op == BLOCK_WRITE)
        for (int i = 0; i < request->iov_count; i++)
            len += request->iov[i].iov_len;
    return len;
}

static int perform(const struct block *block, const struct block_request *request)
{
    struct image *image = block->image;
    int r = 0;
    switch (request->op) {
    case BLOCK_READ: return image_read(image, request->offset, request->iov, request->iov_count);
    case BLOCK_FLUSH: return image_flush(image);
    case BLOCK_WRITE:
        if (block->detect_zeroes && all_zero(request))
            r = image_zero(image, request->offset, bytes_of(request),
                           block->detect_zeroes == BLOCK_DETECT_UNMAP);
        else
            r = image_write(image, request->offset, request->iov, request->iov_count);
        break;
    case BLOCK_DISCARD: r = block->discard ? image_discard(image, request->offset, request->len) : 0; break;
    case BLOCK_ZERO:
        r = image_zero(image, request->offset, request->len, request->unmap && block->discard);
        break;
    }
    return !r && block->sync ? image_flush(image) : r;
}

static bool conflict(const struct block_request *a, const struct block_request *b)
{
    if (a->op == BLOCK_FLUSH || b->op == BLOCK_FLUSH || (a->op == BLOCK_READ && b->op == BLOCK_READ))
        return false;
    return a->first <= b->last && b->first <= a->last;
}

// The first queued request that no other one stands before.
static struct block_request *take_work(struct block *block)
{
    for (struct block_request **at = &block->queued.first; *at; at = &(*at)->next) {
        struct block_request *request = *at;
        bool free = true;
        for (unsigned i = 0; i < WORKERS && free; i++)
            free = !block->hands[i] || !conflict(request, block->hands[i]);
        for (struct block_request *before = block->queued.first; before != request && free;
             before = before->next)
            free = !conflict(request, before);
        if (!free)
            continue;
        *at = request->next;
        if (!request->next)
            block->queued.last = at;
        return request;
    }
    return NULL;
}

static bool any_in_hand(const struct block *block)
{
    for (unsigned i = 0; i < WORKERS; i++)
        if (block->hands[i])
            return true;
    return false;
}

static void *work(void *opaque)
{
    struct worker worker = *(struct worker *)opaque;
    struct block *block = worker.block;
    free(opaque);
    pthread_mutex_lock(&block->lock);
    for (;;) {
        struct block_request *request = take_work(block);
        if (!request) {
            if (!block->queued.first && !any_in_hand(block))
                pthread_cond_broadcast(&block->idle);
            if (block->stopping)
                break;
            block->waiting++;
            pthread_cond_wait(&block->work, &block->lock);
            block->waiting--;
            continue;
        }
        block->hands[worker.index] = request;
        pthread_mutex_unlock(&block->lock);
        request->result = perform(block, request);
        pthread_mutex_lock(&block->lock);
        block->hands[worker.index] = NULL;
        bool first = !block->finished.first;
        list_add(&block->finished, request);
        if (first)
            loop_defer(block->loop, &block->completion);
        if (block->queued.first && block->waiting) // it may have waited for this one
            pthread_cond_signal(&block->work);
    }
    pthread_mutex_unlock(&block->lock);
    return NULL;
}

static int add_worker(struct block *block)
{
    struct worker *worker = malloc(sizeof *worker);
    if (!worker)
        return ENOMEM;
    *worker = (struct worker){block, block->thread_count};
    int e = pthread_create(&block->threads[block->thread_count], NULL, work, worker);
    if (e)
        free(worker);
    else
        block->thread_count++;
    return e;
}

static void complete(void *opaque)
{
    struct block *block = opaque;
    pthread_mutex_lock(&block->lock);
    struct block_request *request;
    while ((request = list_take(&block->finished))) {
        pthread_mutex_unlock(&block->lock);
        request->done(request);
        pthread_mutex_lock(&block->lock);
    }
    pthread_mutex_unlock(&block->lock);
}

void block_submit(struct block *block, struct block_request *request)
{
    uint64_t granule = image_granule(block->image), len = bytes_of(request);
    request->first = request->offset / granule;
    request->last = (request->offset + (len ? len - 1 : 0)) / granule;
    pthread_mutex_lock(&block->lock);
    list_add(&block->queued, request);
    if (block->waiting)
        pthread_cond_signal(&block->work);
    else if (block->thread_count < WORKERS)
        add_worker(block); // without it the request waits for the first that becomes free
    pthread_mutex_unlock(&block->lock);
}

// A completion may submit the next request, so this ends with the first round that leaves nothing behind.
void block_drain(struct block *block)
{
    bool more;
    do {
        pthread_mutex_lock(&block->lock);
        while (block->queued.first || any_in_hand(block))
            pthread_cond_wait(&block->idle, &block->lock);
        more = block->finished.first;
        pthread_mutex_unlock(&block->lock);
        complete(block);
    } while (more);
}

static int open_image(const struct block_config *config, struct image **ret_image, struct error *err)
{
    struct image_options options = {.path = config->path,
                                    .format = config->format,
                                    .readonly = config->readonly || config->snapshot,
                                    .unlocked = config->unlocked,
                                    .direct = config->direct,
                                    .unsafe = config->unsafe,
                                    .unmap = config->discard};
    struct image *image;
    int r = image_open(&options, &image, err);
    if (!r && config->snapshot && !config->readonly) {
        struct image *overlay;
        r = image_open_overlay(image, &overlay, err);
        if (r)
            image_close(image);
        image = overlay;
    }
    if (!r)
        *ret_image = image;
    return r;
}

static void release(struct block *block)
{
    image_close(block->image);
    pthread_cond_destroy(&block->idle);
    pthread_cond_destroy(&block->work);
    pthread_mutex_destroy(&block->lock);
    free(block);
}

int block_open(const struct block_config *config, struct block **ret_block, struct error *err)
{
    struct block *block = calloc(1, sizeof *block);
    if (!block)
        return error_set(err, -ENOMEM, "out of memory");
    int r = open_image(config, &block->image, err);
    if (r) {
        free(block);
        return r;
    }
    block->sync = config->sync;
    block->discard = config->discard || config->snapshot;
    block->detect_zeroes = config->detect_zeroes;
    block->loop = config->loop;
    block->completion = (struct loop_call){.callback = complete, .opaque = block};
    list_init(&block->queued);
    list_init(&block->finished);
    pthread_mutex_init(&block->lock, NULL);
    pthread_cond_init(&block->work, NULL);
    pthread_cond_init(&block->idle, NULL);
    pthread_mutex_lock(&block->lock);
    int e = add_worker(block);
    pthread_mutex_unlock(&block->lock);
    if (e) {
        release(block);
        return error_set(err, -e, "cannot start a disk thread: %s", strerror(e));
    }
    *ret_block = block;
    return 0;
}

void block_close(struct block *block)
{
    if (!block)
        return;
    block_drain(block);
    pthread_mutex_lock(&block->lock);
    block->stopping = true;
    pthread_cond_broadcast(&block->work);
    pthread_mutex_unlock(&block->lock);
    for (unsigned i = 0; i < block->thread_count; i++)
        pthread_join(block->threads[i], NULL);
    loop_defer_cancel(block->loop, &block->completion);
    release(block);
}

uint64_t block_size(const struct block *block)
{
    return image_size(block->image);
}

uint64_t block_granule(const struct block *block)
{
    return image_granule(block->image);
}

bool block_readonly(const struct block *block)
{
    return image_readonly(block->image);
}

bool block_discards(const struct block *block)
{
    return block->discard && !image_readonly(block->image);
}

const char *block_format(const struct block *block)
{
    return image_format(block->image);
}

const char *block_note(const struct block *block)
{
    return image_note(block->image);
}

int block_flush(struct block *block)
{
    block_drain(block);
    return image_flush(block->image);
}

int block_snapshot_list(struct block *block, struct image_snapshot **ret_list, size_t *ret_count,
                        struct error *err)
{
    block_drain(block);
    return image_snapshot_list(block->image, ret_list, ret_count, err);
}

int block_snapshot_create(struct block *block, struct image_snapshot *snapshot, struct error *err)
{
    block_drain(block);
    return image_snapshot_create(block->image, snapshot, err);
}

int block_snapshot_apply(struct block *block, const char *id_or_name, struct error *err)
{
    block_drain(block);
    return image_snapshot_apply(block->image, id_or_name, err);
}

int block_snapshot_delete(struct block *block, const char *id_or_name, struct error *err)
{
    block_drain(block);
    return image_snapshot_delete(block->image, id_or_name, err);
}

int block_vmstate_write(struct block *block, uint64_t offset, const void *buf, size_t len)
{
    block_drain(block);
    return image_vmstate_write(block->image, offset, buf, len);
}

int block_vmstate_read(struct block *block, uint64_t offset, void *buf, size_t len)
{
    block_drain(block);
    return image_vmstate_read(block->image, offset, buf, len);
}

int block_snapshot_read_vmstate(struct block *block, const char *id_or_name, uint64_t offset, void *buf, size_t len)
{
    block_drain(block);
    return image_snapshot_read_vmstate(block->image, id_or_name, offset, buf, len);
}
