// SPDX-License-Identifier: MIT
// Owns "isomer img convert": copies what a disk holds into a new image, leaving out what reads as zeros
// anyway or as the backing file's contents.
#include "base/error.h"
#include "control/img/img_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER = 2 << 20 };

struct copy {
    struct image *from, *to;
    bool compress;
    bool zeroed; // the destination reads as zeros where nothing was written
    bool below;  // it has a backing file
    uint8_t *buf, *old;
};

static bool is_zero(const uint8_t *p, size_t n)
{
    return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

static int write_piece(struct copy *c, uint64_t offset, uint8_t *data, size_t len)
{
    if (c->below) {
        int r = image_pread(c->to, offset, c->old, len);
        if (r || !memcmp(c->old, data, len))
            return r;
    } else if (is_zero(data, len)) {
        return c->zeroed ? 0 : image_zero(c->to, offset, len, true);
    }
    return c->compress ? image_write_compressed(c->to, offset, data, len)
                       : image_pwrite(c->to, offset, data, len);
}

static int copy_range(struct copy *c, uint64_t offset, uint64_t len, struct error *err)
{
    uint64_t step = image_granule(c->to) > 65536 ? image_granule(c->to) : 65536;
    if (c->compress)
        step = image_granule(c->to);
    while (len) {
        size_t part = len < BUFFER ? (size_t)len : BUFFER;
        int r = image_pread(c->from, offset, c->buf, part);
        if (r)
            return error_set(err, r, "cannot read at %llu: %s", (unsigned long long)offset, strerror(-r));
        for (size_t at = 0; at < part && !r; at += step)
            r = write_piece(c, offset + at, c->buf + at, part - at < step ? part - at : step);
        if (r)
            return error_set(err, r, "cannot write at %llu: %s", (unsigned long long)offset, strerror(-r));
        offset += part;
        len -= part;
    }
    return 0;
}

// Runs end at multiples of BUFFER, so that compressed clusters stay whole.
static int copy_all(struct copy *c, struct error *err)
{
    uint64_t size = image_size(c->from);
    for (uint64_t offset = 0; offset < size;) {
        bool zero;
        uint64_t run;
        int r = image_status(c->from, offset, size - offset, &zero, &run);
        if (r)
            return error_set(err, r, "cannot read at %llu: %s", (unsigned long long)offset, strerror(-r));
        uint64_t end = offset + run;
        if (end < size)
            end = end / BUFFER * BUFFER > offset ? end / BUFFER * BUFFER : offset / BUFFER * BUFFER + BUFFER;
        if (end > size)
            end = size;
        bool skip = zero && end <= offset + run && c->zeroed && !c->below;
        r = skip ? 0 : copy_range(c, offset, end - offset, err);
        if (r)
            return r;
        offset = end;
    }
    return 0;
}

static int open_destination(struct img *img, struct copy *c, struct error *err)
{
    const char *format = img->values['O'] ? img->values['O'] : "raw";
    struct image_create create = {.path = img->names[1], .size = image_size(c->from)};
    if (img->values['B'])
        img->values['b'] = img->values['B'];
    create.size = (create.size + 511) & ~511ull;
    int r = img->given['n'] ? 0 : img_creation(img, format, &create, err);
    if (!r && !img->given['n'])
        r = image_create(&create, err);
    struct image_options options = {.path = img->names[1], .format = format, .unmap = true};
    const char *cache = img->values['t'];
    options.unsafe = !cache || !strcmp(cache, "unsafe");
    options.direct = cache && (!strcmp(cache, "none") || !strcmp(cache, "directsync"));
    if (!r)
        r = image_open(&options, &c->to, err);
    if (!r && image_size(c->to) < image_size(c->from))
        r = error_set(err, -ENOSPC, "'%s' is smaller than what is to go there", img->names[1]);
    c->below = create.backing;
    c->zeroed = !img->given['n'];
    c->compress = img->given['c'];
    if (!r && c->compress && strcmp(format, "qcow2"))
        r = error_set(err, -ENOTSUP, "a %s image cannot be compressed", format);
    return r;
}

int img_convert(struct img *img, struct error *err)
{
    const char *snapshot = img->values['l'];
    if (snapshot && !strncmp(snapshot, "snapshot.name=", 14))
        snapshot += 14;
    else if (snapshot && !strncmp(snapshot, "snapshot.id=", 12))
        snapshot += 12;
    struct image_options options = {.path = img->names[0],
                                    .format = img->values['f'],
                                    .readonly = true,
                                    .unlocked = img->given['U'],
                                    .snapshot = snapshot};
    struct copy c = {.buf = malloc(BUFFER), .old = malloc(BUFFER)};
    int r = c.buf && c.old ? image_open(&options, &c.from, err) : error_set(err, -ENOMEM, "out of memory");
    if (!r)
        r = open_destination(img, &c, err);
    if (!r)
        r = copy_all(&c, err);
    int closed = image_close(c.to);
    if (!r && closed)
        r = error_set(err, closed, "cannot write '%s': %s", img->names[1], strerror(-closed));
    image_close(c.from);
    free(c.buf);
    free(c.old);
    return r;
}
