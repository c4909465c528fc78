// SPDX-License-Identifier: MIT
// Owns the framing of a machine's stream (machine_state.h): chunks with checksums. Invariant: no length is believed
// before the header's checksum has vouched for it, and none beyond CHUNK_MAX.
#include "machines/machine_state_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const char magic[8] = "ISOMERVM";

void put_le(uint8_t *to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

uint64_t get_le(const uint8_t *from, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static int put(struct state_writer *to, const void *data, size_t size, struct error *err)
{
    int r = size ? to->write(to->opaque, data, size, err) : 0;
    if (!r)
        to->written += size;
    return r;
}

int stream_begin(struct state_writer *to, struct error *err)
{
    uint8_t header[STREAM_HEADER] = {0};
    memcpy(header, magic, sizeof magic);
    put_le(header + 8, STREAM_VERSION, 4);
    return put(to, header, sizeof header, err);
}

int stream_check(struct state_reader *from, struct error *err)
{
    uint8_t header[STREAM_HEADER];
    int r = from->read(from->opaque, header, sizeof header, err);
    if (r)
        return r;
    if (memcmp(header, magic, sizeof magic))
        return error_set(err, -EINVAL, "this is not the state of an Isomer machine");
    uint32_t version = (uint32_t)get_le(header + 8, 4);
    if (version != STREAM_VERSION || get_le(header + 12, 4))
        return error_set(err, -EINVAL, "the saved state has format %u; this Isomer reads %d", version, STREAM_VERSION);
    return 0;
}

static uint32_t crc_of(uint32_t crc, const void *data, size_t size)
{
    return (uint32_t)crc32_z(crc, data, size);
}

int chunk_write(struct state_writer *to, const char *type, const char *path, const void *head, size_t head_size,
                const void *data, size_t size, struct error *err)
{
    size_t type_size = strlen(type), path_size = strlen(path);
    uint8_t header[CHUNK_HEADER + 2 * CHUNK_NAME_MAX] = {0};
    if (head_size + size > CHUNK_MAX)
        return error_set(err, -EFBIG, "the state of '%s' %s is too large", type, path);
    put_le(header, type_size, 2);
    put_le(header + 2, path_size, 2);
    put_le(header + 4, 1, 2);
    put_le(header + 6, STATE_REQUIRED, 2);
    put_le(header + 8, head_size + size, 8);
    put_le(header + 16, crc_of(crc_of(0, head, head_size), data, size), 4);
    memcpy(header + CHUNK_HEADER, type, type_size);
    memcpy(header + CHUNK_HEADER + type_size, path, path_size);
    size_t all = CHUNK_HEADER + type_size + path_size;
    put_le(header + 20, crc_of(0, header, all), 4);
    int r = put(to, header, all, err);
    if (!r)
        r = put(to, head, head_size, err);
    return r ? r : put(to, data, size, err);
}

int chunk_read(struct state_reader *from, struct chunk *ret_chunk, struct error *err)
{
    uint8_t header[CHUNK_HEADER + 2 * CHUNK_NAME_MAX];
    struct chunk c = {0};
    int r = from->read(from->opaque, header, CHUNK_HEADER, err);
    if (r)
        return r;
    size_t type_size = get_le(header, 2), path_size = get_le(header + 2, 2);
    if (!type_size || type_size > CHUNK_NAME_MAX || path_size > CHUNK_NAME_MAX)
        return error_set(err, -EINVAL, "the saved state is damaged: no chunk begins where one should");
    r = from->read(from->opaque, header + CHUNK_HEADER, type_size + path_size, err);
    if (r)
        return r;
    uint32_t wanted = (uint32_t)get_le(header + 20, 4);
    put_le(header + 20, 0, 4);
    if (crc_of(0, header, CHUNK_HEADER + type_size + path_size) != wanted)
        return error_set(err, -EINVAL, "the saved state is damaged: the header of a chunk has another checksum");
    memcpy(c.type, header + CHUNK_HEADER, type_size);
    memcpy(c.path, header + CHUNK_HEADER + type_size, path_size);
    c.version = (uint16_t)get_le(header + 4, 2);
    c.flags = (uint16_t)get_le(header + 6, 2);
    c.length = get_le(header + 8, 8);
    c.crc = (uint32_t)get_le(header + 16, 4);
    if (c.length > CHUNK_MAX)
        return error_set(err, -EINVAL, "the saved state has a chunk of more than %d MiB", CHUNK_MAX >> 20);
    *ret_chunk = c;
    return 0;
}

int chunk_part(struct state_reader *from, void *to, size_t size, uint64_t *left, uint32_t *crc, struct error *err)
{
    if (size > *left)
        return error_set(err, -EINVAL, "the saved state is damaged: a chunk is too short for what it says");
    int r = size ? from->read(from->opaque, to, size, err) : 0;
    if (r)
        return r;
    *left -= size;
    *crc = crc_of(*crc, to, size);
    return 0;
}

int buf_reserve(struct state_buf *buf, size_t size)
{
    if (size <= buf->capacity)
        return 0;
    uint8_t *grown = realloc(buf->data, size);
    if (!grown)
        return -ENOMEM;
    buf->data = grown;
    buf->capacity = size;
    return 0;
}

int chunk_payload(struct state_reader *from, const struct chunk *chunk, struct state_buf *buf, struct error *err)
{
    uint64_t left = chunk->length;
    uint32_t crc = 0;
    buf->size = 0;
    while (left) { // in steps, so that a length alone takes no memory
        size_t step = left < 1 << 20 ? left : 1 << 20;
        if (buf_reserve(buf, buf->size + step))
            return error_set(err, -ENOMEM, "out of memory for saved state");
        int r = chunk_part(from, buf->data + buf->size, step, &left, &crc, err);
        if (r)
            return r;
        buf->size += step;
    }
    if (crc != chunk->crc)
        return error_set(err, -EINVAL, "the saved state is damaged: the %s chunk has another checksum", chunk->type);
    return 0;
}
