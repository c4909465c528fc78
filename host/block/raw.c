// SPDX-License-Identifier: MIT
// Owns raw disk files: the lock against a second writer, the queue to the worker thread and back.
// Invariant: a request is on exactly one list (queued, in the worker's hand, finished) and the finished list
// is emptied with the machine lock held only. block.lock is taken last: only the loop's own mutex comes after
// it.
#include "base/error.h"
#include "base/loop.h"
#include "host/block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct list {
    struct block_request *first, **last;
};

struct block {
    int fd;
    uint64_t size;
    bool readonly, sync, stopping;
    struct loop *loop;
    struct loop_call completion;
    pthread_t worker;
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    struct list queued, finished;
    bool busy; // the worker has a request in its hand
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

// Transfers everything or fails; a short read behind the file's end gives zeros.
static int transfer(const struct block *block, const struct block_request *request)
{
    uint64_t offset = request->offset;
    for (int i = 0; i < request->iov_count; i++) {
        uint8_t *base = request->iov[i].iov_base;
        size_t left = request->iov[i].iov_len;
        while (left) {
            ssize_t n = request->op == BLOCK_READ ? pread(block->fd, base, left, (off_t)offset)
                                                  : pwrite(block->fd, base, left, (off_t)offset);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return -errno;
            if (n == 0) {
                if (request->op == BLOCK_WRITE)
                    return -EIO;
                memset(base, 0, left);
                n = (ssize_t)left;
            }
            base += n;
            left -= (size_t)n;
            offset += (uint64_t)n;
        }
    }
    return 0;
}

static int vectored(const struct block *block, const struct block_request *request)
{
    enum { HOST_MAX = 1024 };
    size_t total = 0;
    for (int i = 0; i < request->iov_count; i++)
        total += request->iov[i].iov_len;
    if (request->iov_count <= HOST_MAX) {
        ssize_t n = request->op == BLOCK_READ
                        ? preadv(block->fd, request->iov, request->iov_count, (off_t)request->offset)
                        : pwritev(block->fd, request->iov, request->iov_count, (off_t)request->offset);
        if (n == (ssize_t)total)
            return 0;
    }
    return transfer(block, request); // piece by piece, with the errors
}

static int punch(const struct block *block, const struct block_request *request, int mode)
{
    int r = fallocate(block->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)request->offset, (off_t)request->len);
    return r ? -errno : 0;
}

// A host that cannot punch holes writes zeros.
static int write_zeros(const struct block *block, const struct block_request *request)
{
    static const uint8_t zeros[65536];
    for (uint64_t done = 0; done < request->len;) {
        uint64_t part = request->len - done < sizeof zeros ? request->len - done : sizeof zeros;
        ssize_t n = pwrite(block->fd, zeros, part, (off_t)(request->offset + done));
        if (n <= 0 && errno != EINTR)
            return n ? -errno : -EIO;
        if (n > 0)
            done += (uint64_t)n;
    }
    return 0;
}

static int perform(const struct block *block, const struct block_request *request)
{
    int r = 0;
    switch (request->op) {
    case BLOCK_READ: return vectored(block, request);
    case BLOCK_WRITE: r = vectored(block, request); break;
    case BLOCK_FLUSH: return fdatasync(block->fd) ? -errno : 0;
    case BLOCK_DISCARD: // a hint: a host that cannot just keeps the data
        r = punch(block, request, FALLOC_FL_PUNCH_HOLE);
        return r == -EOPNOTSUPP || r == -ENODEV ? 0 : r;
    case BLOCK_ZERO:
        r = punch(block, request, FALLOC_FL_PUNCH_HOLE);
        if (r == -EOPNOTSUPP || r == -ENODEV)
            r = write_zeros(block, request);
        break;
    }
    return !r && block->sync && fdatasync(block->fd) ? -errno : r;
}

static void *work(void *opaque)
{
    struct block *block = opaque;
    pthread_mutex_lock(&block->lock);
    for (;;) {
        struct block_request *request = list_take(&block->queued);
        if (!request) {
            pthread_cond_broadcast(&block->idle);
            if (block->stopping)
                break;
            pthread_cond_wait(&block->work, &block->lock);
            continue;
        }
        block->busy = true;
        pthread_mutex_unlock(&block->lock);
        request->result = perform(block, request);
        pthread_mutex_lock(&block->lock);
        block->busy = false;
        bool first = !block->finished.first;
        list_add(&block->finished, request);
        if (first)
            loop_defer(block->loop, &block->completion);
    }
    pthread_mutex_unlock(&block->lock);
    return NULL;
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
    pthread_mutex_lock(&block->lock);
    list_add(&block->queued, request);
    pthread_cond_signal(&block->work);
    pthread_mutex_unlock(&block->lock);
}

void block_drain(struct block *block)
{
    pthread_mutex_lock(&block->lock);
    while (block->queued.first || block->busy)
        pthread_cond_wait(&block->idle, &block->lock);
    pthread_mutex_unlock(&block->lock);
    complete(block);
}

static int lock_file(int fd, const struct block_config *config, struct error *err)
{
    struct flock lock = {.l_type = config->readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
    if (config->unlocked || !fcntl(fd, F_OFD_SETLK, &lock))
        return 0;
    if (errno != EAGAIN && errno != EACCES)
        return 0; // a file system without locks
    return error_set(err, -EBUSY, "'%s' is in use by another process that writes it", config->path);
}

static int measure(int fd, const char *path, uint64_t *ret_size, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st))
        return error_set(err, -errno, "cannot open '%s': %s", path, strerror(errno));
    if (S_ISREG(st.st_mode)) {
        *ret_size = (uint64_t)st.st_size;
        return 0;
    }
    if (S_ISBLK(st.st_mode) && !ioctl(fd, BLKGETSIZE64, ret_size))
        return 0;
    return error_set(err, -EINVAL, "'%s' is neither a file nor a block device", path);
}

static int start(struct block *block, struct error *err)
{
    list_init(&block->queued);
    list_init(&block->finished);
    block->completion = (struct loop_call){.callback = complete, .opaque = block};
    pthread_mutex_init(&block->lock, NULL);
    pthread_cond_init(&block->work, NULL);
    pthread_cond_init(&block->idle, NULL);
    int e = pthread_create(&block->worker, NULL, work, block);
    return e ? error_set(err, -e, "cannot start a disk thread: %s", strerror(e)) : 0;
}

int block_open_raw(const struct block_config *config, struct block **ret_block, struct error *err)
{
    int fd = open(config->path, (config->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, -errno, "cannot open '%s': %s", config->path, strerror(errno));
    uint64_t size;
    int r = measure(fd, config->path, &size, err);
    if (!r)
        r = lock_file(fd, config, err);
    struct block *block = r ? NULL : calloc(1, sizeof *block);
    if (!r && !block)
        r = error_set(err, -ENOMEM, "out of memory");
    if (!r) {
        block->fd = fd;
        block->size = size;
        block->readonly = config->readonly;
        block->sync = config->sync;
        block->loop = config->loop;
        r = start(block, err);
    }
    if (r) {
        close(fd);
        free(block);
        return r;
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
    pthread_cond_signal(&block->work);
    pthread_mutex_unlock(&block->lock);
    pthread_join(block->worker, NULL);
    loop_defer_cancel(block->loop, &block->completion);
    pthread_cond_destroy(&block->idle);
    pthread_cond_destroy(&block->work);
    pthread_mutex_destroy(&block->lock);
    close(block->fd);
    free(block);
}

uint64_t block_size(const struct block *block)
{
    return block->size;
}

bool block_readonly(const struct block *block)
{
    return block->readonly;
}
