// SPDX-License-Identifier: MIT
// Writes to a disk until it is killed, and says what was flushed; afterwards finds out whether that is there:
//   kill write IMAGE FORMAT LOG SEED     until killed
//   kill verify IMAGE FORMAT LOG         exit status 1 and a line for what is missing
// The disk is a row of blocks; each write of a block carries a number that grows. The log is a file in shared
// memory, which outlives the process: for each block the last change that a finished flush covers, and the
// last zeroing or discard that was begun.
#include "base/error.h"
#include "base/loop.h"
#include "host/block.h"
#include "host/image.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 4096, FLIGHT = 12 };
// Marks of a number: the change was a discard, after which the block may hold anything old, or a zeroing.
static const uint64_t DISCARDED = 1ull << 63, ZEROED = 1ull << 62, NUMBER = (1ull << 62) - 1;

struct writer;

struct operation {
    struct block_request request;
    struct iovec iov;
    struct writer *writer;
    uint64_t number, block, blocks;
    uint64_t *covers; // for a flush: what was written when it was submitted
    bool busy;
    uint8_t data[BLOCK * 64];
};

struct writer {
    struct block *block;
    struct loop *loop;
    uint64_t *log, *begun;
    uint64_t *completed, seed, number;
    bool taken[BLOCKS]; // a request for it is under way
    struct operation operations[FLIGHT];
};

static uint64_t next(struct writer *w)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 7;
    w->seed ^= w->seed << 17;
    return w->seed;
}

static void start(struct operation *o);

static void done(struct block_request *request)
{
    struct operation *o = request->opaque;
    struct writer *w = o->writer;
    if (request->result) {
        fprintf(stderr, "request failed: %s\n", strerror(-request->result));
        _exit(2);
    }
    if (request->op == BLOCK_FLUSH)
        for (unsigned i = 0; i < BLOCKS; i++)
            if ((o->covers[i] & NUMBER) > (w->log[i] & NUMBER))
                __atomic_store_n(&w->log[i], o->covers[i], __ATOMIC_RELAXED);
    for (uint64_t i = o->block; i < o->block + o->blocks; i++) {
        w->completed[i] = o->number | (request->op == BLOCK_ZERO      ? ZEROED
                                       : request->op == BLOCK_DISCARD ? DISCARDED
                                                                      : 0);
        w->taken[i] = false;
    }
    start(o);
}

static void start(struct operation *o)
{
    struct writer *w = o->writer;
    uint64_t what = next(w) % 16;
    o->request = (struct block_request){.done = done, .opaque = o};
    o->blocks = 0;
    if (what < 2) {
        o->request.op = BLOCK_FLUSH;
        memcpy(o->covers, w->completed, BLOCKS * 8);
        block_submit(w->block, &o->request);
        return;
    }
    uint64_t most = 1 + next(w) % 64;
    do
        o->block = next(w) % BLOCKS;
    while (w->taken[o->block]);
    while (o->blocks < most && o->block + o->blocks < BLOCKS && !w->taken[o->block + o->blocks])
        w->taken[o->block + o->blocks++] = true;
    o->number = ++w->number;
    o->request.offset = o->block * BLOCK;
    if (what < 4) {
        o->request.op = what == 2 ? BLOCK_ZERO : BLOCK_DISCARD;
        o->request.unmap = true;
        o->request.len = o->blocks * BLOCK;
        for (uint64_t i = 0; i < o->blocks; i++)
            __atomic_store_n(&w->begun[o->block + i], o->number, __ATOMIC_SEQ_CST);
    } else {
        o->request.op = BLOCK_WRITE;
        for (uint64_t i = 0; i < o->blocks * BLOCK; i += 8)
            memcpy(o->data + i, &o->number, 8);
        o->iov = (struct iovec){o->data, o->blocks * BLOCK};
        o->request.iov = &o->iov;
        o->request.iov_count = 1;
    }
    block_submit(w->block, &o->request);
}

static int write_until_killed(const char *path, const char *format, uint64_t *log, uint64_t seed)
{
    struct error err = {0};
    struct writer *w = calloc(1, sizeof *w);
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    w->log = log;
    w->begun = log + BLOCKS;
    w->seed = seed * 2654435761u + 88172645463325252ull;
    w->completed = calloc(BLOCKS, 8);
    for (unsigned i = 0; i < BLOCKS; i++) // a later run goes on where the earlier one was killed
        w->number = (log[i] & NUMBER) > w->number ? log[i] & NUMBER : w->number;
    w->number += 1000000;
    loop_create(&lock, &w->loop, &err);
    struct block_config config = {.path = path, .format = format, .discard = true, .loop = w->loop};
    if (block_open(&config, &w->block, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    for (unsigned i = 0; i < FLIGHT; i++) {
        w->operations[i].writer = w;
        w->operations[i].covers = calloc(BLOCKS, 8);
        start(&w->operations[i]);
    }
    return loop_run(w->loop);
}

static int verify(const char *path, const char *format, const uint64_t *log)
{
    struct error err = {0};
    struct image *image;
    struct image_options options = {.path = path, .format = format, .readonly = true};
    uint64_t data[BLOCK / 8], flushed = 0;
    if (image_open(&options, &image, &err)) {
        printf("%s\n", err.text);
        return 1;
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        uint64_t wanted = log[i] & NUMBER;
        bool zero = log[i] & ZEROED || log[BLOCKS + i] > wanted;
        if (image_pread(image, (uint64_t)i * BLOCK, data, BLOCK)) {
            printf("block %u cannot be read\n", i);
            return 1;
        }
        // Newer than what was flushed is fine: it was on its way, and a part of it may have arrived.
        for (const uint64_t *at = data; at < data + BLOCK / 8; at += 512 / 8) {
            bool torn = memcmp(at, at + 1, 512 - 8);
            if (!torn && (at[0] >= wanted || log[i] & DISCARDED || (zero && !at[0])))
                continue;
            printf("block %u holds write %llu%s, flushed was %llu\n", i, (unsigned long long)at[0],
                   torn ? " and others" : "", (unsigned long long)wanted);
            return 1;
        }
        flushed += wanted != 0;
    }
    image_close(image);
    printf("%llu blocks were flushed and are there\n", (unsigned long long)flushed);
    return 0;
}

int main(int argc, char *argv[])
{
    int fd = argc > 4 ? open(argv[4], O_RDWR | O_CREAT, 0600) : -1;
    if (fd < 0 || ftruncate(fd, 2 * BLOCKS * 8))
        return 1;
    uint64_t *log = mmap(NULL, 2 * BLOCKS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (log == MAP_FAILED)
        return 1;
    if (!strcmp(argv[1], "write"))
        return write_until_killed(argv[2], argv[3], log, strtoull(argv[5], NULL, 0));
    return verify(argv[2], argv[3], log);
}
