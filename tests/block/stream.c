// SPDX-License-Identifier: MIT
// A random stream of operations on an image through the library, against a plain file:
//   stream IMAGE MODEL SEED COUNT [snapshots]
// The model holds what the image is to read as before and afterwards. Exit status 1 and a line where they
// differ. tests/block/images.py judges the image that comes out with qemu-img.
#include "base/error.h"
#include "host/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SNAPSHOTS = 3, STATE = 100000 };

struct stream {
    const char *path;
    struct image *image;
    uint8_t *model, *buf;
    uint64_t size, seed;
    uint8_t *saved[SNAPSHOTS]; // NULL: no such snapshot
    unsigned step;
};

static uint64_t next(struct stream *s)
{
    s->seed += 0x9e3779b97f4a7c15ull;
    uint64_t z = s->seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static void die(struct stream *s, const char *what, int r)
{
    printf("step %u: %s: %s\n", s->step, what, r ? strerror(-r) : "wrong contents");
    exit(1);
}

static void open_it(struct stream *s)
{
    struct error err = {0};
    struct image_options options = {.path = s->path, .format = "qcow2", .unmap = true};
    int r = image_open(&options, &s->image, &err);
    if (r) {
        printf("step %u: %s\n", s->step, err.text);
        exit(1);
    }
}

static void compare(struct stream *s, uint64_t offset, uint64_t len)
{
    int r = image_pread(s->image, offset, s->buf, len);
    if (r || memcmp(s->buf, s->model + offset, len))
        die(s, "read", r);
}

// Long ones, short ones, aligned ones and odd ones.
static void range(struct stream *s, uint64_t *ret_offset, uint64_t *ret_len)
{
    uint64_t max = 1ull << (9 + next(s) % 12), len = next(s) % max + 1, offset = next(s) % s->size;
    if (next(s) % 2) {
        uint64_t unit = 512ull << next(s) % 8;
        offset = offset / unit * unit;
        len = (len + unit - 1) / unit * unit;
    }
    *ret_offset = offset;
    *ret_len = len < s->size - offset ? len : s->size - offset;
}

static void write_some(struct stream *s)
{
    uint64_t offset, len, cut;
    range(s, &offset, &len);
    for (uint64_t i = 0; i < len; i++)
        s->model[offset + i] = (uint8_t)(i & 63 ? s->model[offset + i] + i : next(s));
    cut = next(s) % (len + 1);
    struct iovec iov[2] = {{s->model + offset, cut}, {s->model + offset + cut, len - cut}};
    int r = image_write(s->image, offset, iov, 2);
    if (r)
        die(s, "write", r);
}

// A compressed write replaces a whole cluster.
static void write_packed(struct stream *s)
{
    uint64_t granule = image_granule(s->image), offset = next(s) % s->size / granule * granule;
    uint64_t len = granule < s->size - offset ? granule : s->size - offset;
    memset(s->model + offset, (int)next(s), len);
    for (uint64_t i = 0; i < len / 8; i++)
        s->model[offset + next(s) % len] = (uint8_t)next(s);
    int r = image_write_compressed(s->image, offset, s->model + offset, len);
    if (r)
        die(s, "compressed write", r);
}

static void discard(struct stream *s)
{
    uint64_t offset, len;
    range(s, &offset, &len);
    int r = image_discard(s->image, offset, len);
    if (!r)
        r = image_pread(s->image, offset, s->buf, len);
    if (r)
        die(s, "discard", r);
    for (uint64_t i = 0; i < len; i++)
        if (s->buf[i] && s->buf[i] != s->model[offset + i])
            die(s, "discard", 0);
    memcpy(s->model + offset, s->buf, len);
}

static void zero(struct stream *s)
{
    uint64_t offset, len;
    range(s, &offset, &len);
    int r = image_zero(s->image, offset, len, next(s) % 2);
    if (r)
        die(s, "zero", r);
    memset(s->model + offset, 0, len);
}

static void check(struct stream *s)
{
    struct image_check result;
    struct error err = {0};
    int r = image_check(s->image, IMAGE_REPAIR_NOTHING, NULL, NULL, &result, &err);
    if (r || result.errors)
        die(s, r ? err.text : "check found errors", r);
}

static void reopen(struct stream *s)
{
    int r = image_close(s->image);
    if (r)
        die(s, "close", r);
    open_it(s);
    check(s);
}

static void vmstate(struct stream *s, bool write, uint8_t value)
{
    uint8_t *state = malloc(STATE);
    memset(state, value, STATE);
    int r = write ? image_vmstate_write(s->image, 12345, state, STATE)
                  : image_vmstate_read(s->image, 12345, state, STATE);
    if (r || state[0] != value || memcmp(state, state + 1, STATE - 1))
        die(s, "vmstate", r);
    free(state);
}

static void snapshot(struct stream *s)
{
    unsigned which = next(s) % SNAPSHOTS;
    struct error err = {0};
    char name[] = {'s', (char)('0' + which), 0};
    int r = 0;
    if (!s->saved[which]) {
        struct image_snapshot new = {.vm_state_size = 12345 + STATE, .date_s = 1700000000};
        strcpy(new.name, name);
        vmstate(s, true, (uint8_t)(which + 1));
        r = image_snapshot_create(s->image, &new, &err);
        s->saved[which] = malloc(s->size);
        memcpy(s->saved[which], s->model, s->size);
    } else if (next(s) % 2) {
        r = image_snapshot_apply(s->image, name, &err);
        memcpy(s->model, s->saved[which], s->size);
        if (!r)
            vmstate(s, false, (uint8_t)(which + 1));
    } else {
        r = image_snapshot_delete(s->image, name, &err);
        free(s->saved[which]);
        s->saved[which] = NULL;
    }
    if (r)
        die(s, err.text, r);
    check(s);
    compare(s, 0, s->size);
}

static void step(struct stream *s, bool snapshots)
{
    uint64_t offset, len, what = next(s) % 64;
    if (what < 30) {
        write_some(s);
    } else if (what < 48) {
        range(s, &offset, &len);
        compare(s, offset, len);
    } else if (what < 53) {
        discard(s);
    } else if (what < 58) {
        zero(s);
    } else if (what < 60) {
        write_packed(s);
    } else if (what < 62) {
        int r = image_flush(s->image);
        if (r)
            die(s, "flush", r);
    } else if (what == 62) {
        reopen(s);
    } else if (snapshots) {
        snapshot(s);
    }
}

int main(int argc, char *argv[])
{
    struct stat st;
    int fd = argc > 4 ? open(argv[2], O_RDWR) : -1;
    if (fd < 0 || fstat(fd, &st)) {
        printf("usage: stream IMAGE MODEL SEED COUNT [snapshots]\n");
        return 1;
    }
    struct stream s = {.path = argv[1], .seed = strtoull(argv[3], NULL, 0), .size = (uint64_t)st.st_size};
    s.model = mmap(NULL, s.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    s.buf = malloc(s.size);
    open_it(&s);
    if (s.model == MAP_FAILED || image_size(s.image) != s.size)
        die(&s, "the model has another size", -EINVAL);
    compare(&s, 0, s.size);
    for (unsigned long count = strtoul(argv[4], NULL, 0); s.step < count; s.step++)
        step(&s, argc > 5);
    compare(&s, 0, s.size);
    int r = image_close(s.image);
    if (r)
        die(&s, "close", r);
    for (unsigned i = 0; i < SNAPSHOTS; i++)
        free(s.saved[i]);
    free(s.buf);
    return 0;
}
