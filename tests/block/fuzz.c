// SPDX-License-Identifier: MIT
// Mutated qcow2 images against the opener and everything behind it: whatever the file says, calls return,
// with an error or not, and memory stays bounded:
//   fuzz FOLDER SEED SECONDS [ITERATION]
// With ITERATION only that one is run. A hang ends by SIGALRM, a crash by itself; the last line said which
// iteration it was.
#include "base/error.h"
#include "host/image.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { KINDS = 5, SIZE = 1 << 20, HANG_SECONDS = 60 };

struct seed_image {
    uint8_t *bytes;
    size_t size;
};

static uint64_t next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15ull;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static void must(int r, const struct error *err)
{
    if (r) {
        printf("cannot prepare: %s\n", err->text);
        exit(1);
    }
}

// A good image of each kind, with something of everything in it.
static void make(const char *path, unsigned kind, struct seed_image *ret)
{
    static const struct image_create kinds[KINDS] = {{.cluster_size = 512},
                                                     {.cluster_size = 4096, .refcount_bits = 64},
                                                     {.cluster_size = 512, .version = 2},
                                                     {.cluster_size = 4096, .zstd = true},
                                                     {.cluster_size = 1024, .lazy_refcounts = true}};
    struct error err = {0};
    struct image_create create = kinds[kind];
    struct image *image;
    uint8_t buf[4096];
    create.path = path;
    create.format = "qcow2";
    create.size = SIZE;
    must(image_create(&create, &err), &err);
    struct image_options options = {.path = path, .format = "qcow2", .unmap = true};
    must(image_open(&options, &image, &err), &err);
    for (unsigned i = 0; i < 3; i++) {
        struct image_snapshot snapshot = {.vm_state_size = 100};
        snprintf(snapshot.name, sizeof snapshot.name, "s%u", i);
        memset(buf, (int)i + 1, sizeof buf);
        must(image_pwrite(image, i * 100000, buf, sizeof buf), &err);
        must(image_write_compressed(image, 32768 + i * 65536, buf, image_granule(image)), &err);
        must(image_zero(image, 600000 + i * 20000, 20000, true), &err);
        must(image_vmstate_write(image, 0, buf, 100), &err);
        must(image_snapshot_create(image, &snapshot, &err), &err);
    }
    must(image_pwrite(image, 300000, buf, sizeof buf), &err);
    must(image_close(image), &err);
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st))
        exit(1);
    ret->size = (size_t)st.st_size;
    ret->bytes = malloc(ret->size);
    if (read(fd, ret->bytes, ret->size) != (ssize_t)ret->size)
        exit(1);
    close(fd);
}

static void mutate(uint8_t *bytes, size_t *size, uint64_t *state)
{
    static const uint64_t odd[] = {0,          1,          2,          0x200,      0x1ff, 0xffff,
                                   0x7fffffff, 0xffffffff, 1ull << 62, 1ull << 63, ~0ull};
    for (unsigned n = 1 + next(state) % 6; n; n--) {
        // Half the time in the header, else anywhere; tables are most of the file.
        size_t at = next(state) % 2 ? next(state) % 120 : next(state) % *size;
        uint64_t what = next(state) % 6, value = odd[next(state) % (sizeof odd / sizeof odd[0])];
        if (what == 0) {
            bytes[at] = (uint8_t)next(state);
        } else if (what == 1) {
            bytes[at] ^= (uint8_t)(1u << next(state) % 8);
        } else if (what == 2 && at >= 128 && *size > 4096) {
            *size -= next(state) % (*size / 2);
        } else if (at / 8 * 8 + 8 <=
                   *size) { // a field: an odd value, another field, or another place in the file
            if (what == 3)
                value = next(state) % *size & ~511ull;
            if (what == 4)
                memcpy(&value, bytes + next(state) % (*size / 8) * 8, 8);
            else
                value = __builtin_bswap64(value | (next(state) % 2 ? 1ull << 63 : 0));
            memcpy(bytes + at / 8 * 8, &value, next(state) % 4 ? 8 : 4);
        }
    }
}

static void use(struct image *image, uint64_t *state)
{
    struct image_snapshot *list = NULL, new = {.name = "new"};
    struct image_check check;
    uint8_t buf[8192];
    size_t count = 0;
    uint64_t size = image_size(image), run;
    bool zero;
    memset(buf, 0x5a, sizeof buf);
    for (unsigned i = 0; i < 60 && size > sizeof buf; i++) {
        uint64_t offset = next(state) % (size - sizeof buf), len = 1 + next(state) % sizeof buf;
        switch (next(state) % 6) {
        case 0: image_pwrite(image, offset, buf, len); break;
        case 1: image_discard(image, offset, len); break;
        case 2: image_zero(image, offset, len, true); break;
        case 3: image_status(image, offset, size - offset, &zero, &run); break;
        case 4: image_flush(image); break;
        default: image_pread(image, offset, buf, len); break;
        }
    }
    for (uint64_t at = 0; at + sizeof buf <= size && at < SIZE; at += sizeof buf)
        image_pread(image, at, buf, sizeof buf);
    if (next(state) % 2) {
        image_vmstate_read(image, 0, buf, 100);
        image_vmstate_write(image, 5000, buf, 100);
        image_snapshot_apply(image, "s1", NULL);
        image_snapshot_create(image, &new, NULL);
        image_snapshot_delete(image, "s0", NULL);
    }
    image_snapshot_list(image, &list, &count, NULL);
    free(list);
    image_check(image, (enum image_repair)(next(state) % 3), NULL, NULL, &check, NULL);
    image_resize(image, size + 512 * 100, false, NULL);
}

static void iterate(const char *path, const struct seed_image *seeds, uint64_t seed, uint64_t iteration)
{
    uint64_t state = seed * 1000003 + iteration;
    const struct seed_image *from = &seeds[next(&state) % KINDS];
    size_t size = from->size;
    uint8_t *bytes = malloc(size);
    memcpy(bytes, from->bytes, size);
    mutate(bytes, &size, &state);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        exit(1);
    close(fd);
    free(bytes);
    struct image_options options = {.path = path, .format = "qcow2", .unmap = true, .no_backing = true};
    options.as_is = next(&state) % 4 == 0;
    options.readonly = next(&state) % 4 == 0;
    options.snapshot = options.readonly && next(&state) % 2 ? "s2" : NULL;
    struct image *image;
    alarm(HANG_SECONDS);
    if (!image_open(&options, &image, NULL)) {
        use(image, &state);
        image_close(image);
    }
    alarm(0);
}

int main(int argc, char *argv[])
{
    struct seed_image seeds[KINDS];
    char path[4096], log[4096];
    if (argc < 4)
        return 1;
    struct rlimit limit = {1ull << 30, 1ull << 30}; // of a file: a write far behind the end gives an error
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
    snprintf(path, sizeof path, "%s/image", argv[1]);
    snprintf(log, sizeof log, "%s/iteration", argv[1]);
    for (unsigned i = 0; i < KINDS; i++)
        make(path, i, &seeds[i]);
    uint64_t seed = strtoull(argv[2], NULL, 0), i = argc > 4 ? strtoull(argv[4], NULL, 0) : 0;
    time_t end = time(NULL) + atoi(argv[3]);
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    do {
        char text[32];
        int n = snprintf(text, sizeof text, "%-20llu\n", (unsigned long long)i);
        if (pwrite(fd, text, (size_t)n, 0) != n)
            return 1;
        iterate(path, seeds, seed, i);
        i++;
    } while (argc <= 4 && time(NULL) < end);
    close(fd);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    for (unsigned k = 0; k < KINDS; k++)
        free(seeds[k].bytes);
    printf("%llu images, %ld MiB at most\n", (unsigned long long)i, usage.ru_maxrss >> 10);
    return usage.ru_maxrss >> 10 > 1024;
}
