// SPDX-License-Identifier: MIT
// Owns compressed clusters: raw deflate with a window of 4 KiB, or zstd. What is unpacked is never longer
// than a cluster, whatever the file claims. Compressed clusters share host clusters; each counts as a
// reference.
#include "host/block/qcow2_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { WINDOW_BITS = -12, MEMORY_LEVEL = 9 };

static int unpack_zlib(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in,
                  .avail_in = (uInt)in_len,
                  .next_out = out,
                  .avail_out = (uInt)out_len};
    if (inflateInit2(&z, WINDOW_BITS) != Z_OK)
        return -ENOMEM;
    int r = inflate(&z, Z_FINISH);
    bool whole = !z.avail_out && (r == Z_STREAM_END || r == Z_BUF_ERROR || r == Z_OK);
    inflateEnd(&z);
    return whole ? 0 : -EIO;
}

static int unpack_zstd(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!context)
        return -ENOMEM;
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27);
    ZSTD_inBuffer input = {in, in_len, 0};
    ZSTD_outBuffer output = {out, out_len, 0};
    int r = 0;
    while (output.pos < output.size && !r) {
        size_t in_before = input.pos, out_before = output.pos;
        size_t left = ZSTD_decompressStream(context, &output, &input);
        if (ZSTD_isError(left) || (input.pos == in_before && output.pos == out_before))
            r = -EIO;
    }
    ZSTD_freeDCtx(context);
    return r;
}

static void copy_out(const uint8_t *from, const struct iovec *iov, int count)
{
    for (int i = 0; i < count; i++) {
        memcpy(iov[i].iov_base, from, iov[i].iov_len);
        from += iov[i].iov_len;
    }
}

int qcow2_read_packed(struct qcow2 *s, uint64_t entry, uint64_t skip, const struct iovec *iov, int count)
{
    uint64_t offset, len;
    qcow2_packed_place(s, entry, &offset, &len);
    pthread_mutex_lock(&s->lock);
    bool known = s->plain && s->plain_entry == entry;
    if (known)
        copy_out(s->plain + skip, iov, count);
    int r = known || (offset && offset < s->end) ? 0 : qcow2_corrupt(s);
    pthread_mutex_unlock(&s->lock);
    if (known || r)
        return r;
    uint8_t *packed = malloc(len), *plain = malloc(s->cluster_size);
    r = packed && plain ? host_file_read(s->file, offset, packed, len) : -ENOMEM;
    if (!r)
        r = (s->zstd ? unpack_zstd : unpack_zlib)(packed, len, plain, s->cluster_size);
    if (!r) {
        copy_out(plain + skip, iov, count);
        pthread_mutex_lock(&s->lock);
        uint8_t *old = s->plain;
        s->plain = plain;
        s->plain_entry = entry;
        pthread_mutex_unlock(&s->lock);
        plain = old;
    }
    free(plain);
    free(packed);
    return r;
}

// The bytes that came out, or 0 where it does not get shorter.
static size_t pack(const struct qcow2 *s, const uint8_t *in, uint8_t *out)
{
    size_t room = s->cluster_size - 1;
    if (s->zstd) {
        size_t n = ZSTD_compress(out, room, in, s->cluster_size, ZSTD_CLEVEL_DEFAULT);
        return ZSTD_isError(n) ? 0 : n;
    }
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in,
                  .avail_in = (uInt)s->cluster_size,
                  .next_out = out,
                  .avail_out = (uInt)room};
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return 0;
    bool whole = deflate(&z, Z_FINISH) == Z_STREAM_END;
    deflateEnd(&z);
    return whole ? room - z.avail_out : 0;
}

// Behind the last compressed cluster if it fits there or the next host cluster follows, else in a new one.
static int find_room(struct qcow2 *s, size_t len, uint64_t *ret_offset)
{
    uint64_t at = s->pack_offset, room = at ? -at & (s->cluster_size - 1) : 0, place = 0;
    uint64_t shared = at >> s->cluster_bits;
    int r = 0;
    if (len > room)
        r = qcow2_alloc(s, 1, &place, NULL);
    if (r)
        return r;
    bool follows = room && (len <= room || place == at + room);
    if (follows)
        r = qcow2_refcount_add(s, shared, 1);
    if (r == -ERANGE) { // counts of one bit: nothing can be shared
        follows = false;
        r = place ? 0 : qcow2_alloc(s, 1, &place, NULL);
    }
    if (r)
        return r;
    *ret_offset = follows ? at : place;
    s->pack_offset = *ret_offset + len;
    if (!(s->pack_offset & (s->cluster_size - 1)))
        s->pack_offset = 0;
    return 0;
}

static int link_packed(struct qcow2 *s, uint64_t offset, uint64_t place, size_t len)
{
    struct qcow2_table *table;
    unsigned x = 62 - (s->cluster_bits - 8);
    uint64_t sectors = ((place + len - 1) >> 9) - (place >> 9);
    int r = place >> x ? -EFBIG : qcow2_l2_writable(s, offset, &table);
    if (r)
        return r;
    uint8_t *slot = table->data + 8 * (offset >> s->cluster_bits & ((1ull << s->l2_bits) - 1));
    uint64_t old = qcow2_be64(slot);
    qcow2_put64(slot, QCOW2_COMPRESSED | sectors << x | place);
    qcow2_free_entry(s, old);
    return 0;
}

int qcow2_write_packed(struct image *image, uint64_t offset, const void *buf, size_t len)
{
    struct qcow2 *s = image->state;
    uint8_t *plain = calloc(1, s->cluster_size), *packed = malloc(s->cluster_size);
    int r = plain && packed ? 0 : -ENOMEM;
    size_t n = 0;
    if (!r) {
        memcpy(plain, buf, len);
        n = pack(s, plain, packed);
    }
    if (!r && !n) {
        struct iovec iov = {(void *)(uintptr_t)buf, len};
        r = qcow2_write(image, offset, &iov, 1, len);
    } else if (!r) {
        uint64_t place;
        pthread_mutex_lock(&s->lock);
        s->plain_entry = 0;
        r = find_room(s, n, &place);
        if (!r)
            r = host_file_write(s->file, place, packed, n);
        if (!r)
            r = link_packed(s, offset, place, n);
        pthread_mutex_unlock(&s->lock);
    }
    free(packed);
    free(plain);
    return r;
}
