// SPDX-License-Identifier: MIT
// What the guest of kill_emulator.py runs: threads that write to one disk in batches, wait until each is flushed, and then say so.
// kill_guest DISK FIRST runs until it is killed; batches are numbered from FIRST on.
//
// A batch of thread t writes blocks of t's own, chosen by the number alone, so that the host knows what was written: each 16
// bytes of a block are { u64 thread << 32 | block, u64 batch }. "@ t n" is printed when batch n is flushed. Even threads
// write around the guest's page cache. The last thread writes and discards blocks of its own, flushes nothing and says nothing.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BLOCK = 4096, THREADS = 5, NOISE = THREADS - 1, BATCH_MAX = 8 };

struct worker {
    pthread_t thread;
    const char *disk;
    uint64_t number, first, blocks; // blocks: of each thread
};

// Steele, Lea and Flood's SplitMix64: kill_emulator.py has the same.
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static void fail(const char *what)
{
    printf("@lost %s\n", what);
    fflush(stdout);
    exit(1);
}

static void write_batch(const struct worker *w, int fd, uint64_t *buffer, uint64_t batch)
{
    uint64_t random = mix(w->number << 48 ^ batch), count = 1 + random % BATCH_MAX;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t block = mix(random + i) % w->blocks * THREADS + w->number;
        for (size_t j = 0; j < BLOCK / 16; j++) {
            buffer[2 * j] = w->number << 32 | block;
            buffer[2 * j + 1] = batch;
        }
        if (pwrite(fd, buffer, BLOCK, (off_t)(block * BLOCK)) != BLOCK)
            fail("a write");
        const uint64_t range[2] = {block * BLOCK, BLOCK};
        if (w->number == NOISE && batch % 4 == 0)
            ioctl(fd, BLKDISCARD, range); // not every disk can
    }
}

static void *work(void *opaque)
{
    struct worker *w = opaque;
    uint64_t *buffer;
    int fd = open(w->disk, O_WRONLY | (w->number % 2 ? 0 : O_DIRECT));
    if (fd < 0 || posix_memalign((void **)&buffer, BLOCK, BLOCK))
        fail("the disk");
    for (uint64_t batch = w->first;; batch++) {
        write_batch(w, fd, buffer, batch);
        if (w->number == NOISE)
            continue;
        if (fdatasync(fd))
            fail("a flush");
        printf("@ %llu %llu\n", (unsigned long long)w->number, (unsigned long long)batch);
        fflush(stdout);
    }
    return NULL;
}

int main(int argc, char *argv[])
{
    struct worker workers[THREADS];
    uint64_t size;
    int fd = argc == 3 ? open(argv[1], O_RDONLY) : -1;
    if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size))
        fail("the disk");
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.disk = argv[1], .number = i, .first = strtoull(argv[2], NULL, 10),
                                     .blocks = size / BLOCK / THREADS};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            fail("a thread");
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    return 0;
}
