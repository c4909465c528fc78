// SPDX-License-Identifier: MIT
// Owns the snapshot form of device state (described in state.h). Invariant: nothing outside the fields of the
// class's table is read or written, and a reader never looks past the end of a chunk.
#include "hw/core/state.h"
#include "base/clock.h"
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_HEADER = 16, FIELD_HEADER = 8, FIELDS_MAX = 256 };

static const uint8_t kind_size[] = {[STATE_BOOL] = 1, [STATE_U8] = 1,  [STATE_U16] = 2,   [STATE_U32] = 4,
                                    [STATE_U64] = 8,  [STATE_I64] = 8, [STATE_BYTES] = 1, [STATE_TIME] = 8};

void state_buf_free(struct state_buf *buf)
{
    free(buf->data);
    *buf = (struct state_buf){0};
}

static int append(struct state_buf *buf, const void *data, size_t size)
{
    if (size > buf->capacity - buf->size) {
        size_t capacity = (buf->size + size) * 2;
        uint8_t *grown = capacity > size ? realloc(buf->data, capacity) : NULL;
        if (!grown)
            return -ENOMEM;
        buf->data = grown;
        buf->capacity = capacity;
    }
    memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    return 0;
}

static void put(uint8_t *to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *from, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static uint8_t *element(const struct device *dev, const struct state_field *f, uint32_t i)
{
    return (uint8_t *)dev + f->offset + (size_t)i * (f->stride ? f->stride : kind_size[f->kind]);
}

// Elements that lie in the stream as they lie in memory.
static bool is_plain(const struct state_field *f)
{
    return f->kind == STATE_BYTES && !f->stride;
}

static uint64_t element_get(const struct device *dev, const struct state_field *f, uint32_t i)
{
    const uint8_t *at = element(dev, f, i);
    uint16_t h;
    uint32_t w;
    uint64_t d;
    switch (kind_size[f->kind]) {
    case 1: return *at;
    case 2: memcpy(&h, at, 2); return h;
    case 4: memcpy(&w, at, 4); return w;
    default: memcpy(&d, at, 8); return d;
    }
}

static void element_set(struct device *dev, const struct state_field *f, uint32_t i, uint64_t value)
{
    uint8_t *at = element(dev, f, i);
    switch (kind_size[f->kind]) {
    case 1: *at = (uint8_t)value; break;
    case 2: memcpy(at, &(uint16_t){(uint16_t)value}, 2); break;
    case 4: memcpy(at, &(uint32_t){(uint32_t)value}, 4); break;
    default: memcpy(at, &value, 8); break;
    }
}

// CLOCK_NEVER stays what it is, and what would leave the range becomes it.
static int64_t time_shift(int64_t time, int64_t by)
{
    int64_t shifted;
    return time == CLOCK_NEVER || __builtin_add_overflow(time, by, &shifted) ? CLOCK_NEVER : shifted;
}

static int save_field(const struct device *dev, const struct state_field *f, int64_t now,
                      struct state_buf *buf)
{
    uint8_t bytes[FIELD_HEADER] = {0};
    put(bytes, f->id, 2);
    put(bytes + 2, f->kind, 1);
    put(bytes + 4, f->count, 4);
    int code = append(buf, bytes, FIELD_HEADER);
    if (!code && is_plain(f))
        return append(buf, element(dev, f, 0), f->count);
    for (uint32_t i = 0; !code && i < f->count; i++) {
        uint64_t value = element_get(dev, f, i);
        if (f->kind == STATE_TIME)
            value = (uint64_t)time_shift((int64_t)value, -now);
        put(bytes, value, kind_size[f->kind]);
        code = append(buf, bytes, kind_size[f->kind]);
    }
    return code;
}

int state_save(const struct device *dev, int64_t now, struct state_buf *buf, struct error *err)
{
    const struct device_class *class = dev->class;
    uint8_t header[CHUNK_HEADER];
    size_t start = buf->size, type_len = strlen(class->type), path_len = strlen(dev->path);
    put(header, type_len, 2);
    put(header + 2, path_len, 2);
    put(header + 4, class->version, 2);
    put(header + 6, STATE_REQUIRED, 2);
    put(header + 8, 0, 8);
    int code = append(buf, header, sizeof header);
    if (!code)
        code = append(buf, class->type, type_len);
    if (!code)
        code = append(buf, dev->path, path_len);
    size_t payload = buf->size;
    for (size_t i = 0; !code && i < class->field_count; i++)
        code = save_field(dev, &class->fields[i], now, buf);
    if (code)
        return error_set(err, code, "no memory to save the state of %s", dev->path);
    put(buf->data + start + 8, buf->size - payload, 8);
    return 0;
}

static const struct state_field *field_by_id(const struct device_class *class, uint16_t id)
{
    for (size_t i = 0; i < class->field_count; i++)
        if (class->fields[i].id == id)
            return &class->fields[i];
    return NULL;
}

static int load_payload(struct device *dev, int64_t now, const uint8_t *at, size_t left, size_t *ret_loaded,
                        struct error *err)
{
    bool seen[FIELDS_MAX] = {false};
    assert(dev->class->field_count <= FIELDS_MAX);
    while (left) {
        if (left < FIELD_HEADER)
            return error_set(err, -EINVAL, "the state of %s ends within a field", dev->path);
        uint16_t id = (uint16_t)get(at, 2);
        uint8_t kind = at[2];
        uint32_t count = (uint32_t)get(at + 4, 4);
        const struct state_field *f = field_by_id(dev->class, id);
        if (!f)
            return error_set(err, -EINVAL, "the state of %s has an unknown field %u", dev->path, id);
        if (kind != f->kind || count != f->count)
            return error_set(err, -EINVAL, "the field %s of %s has another type or length", f->name,
                             dev->path);
        if (seen[f - dev->class->fields])
            return error_set(err, -EINVAL, "the state of %s has the field %s twice", dev->path, f->name);
        seen[f - dev->class->fields] = true;
        unsigned size = kind_size[kind];
        at += FIELD_HEADER;
        left -= FIELD_HEADER;
        if (left / size < count)
            return error_set(err, -EINVAL, "the field %s of %s is cut short", f->name, dev->path);
        ++*ret_loaded;
        if (is_plain(f)) {
            memcpy(element(dev, f, 0), at, count);
            at += count;
            left -= count;
            continue;
        }
        for (uint32_t i = 0; i < count; i++, at += size, left -= size) {
            uint64_t value = get(at, size);
            if (kind == STATE_BOOL && value > 1)
                return error_set(err, -EINVAL, "the field %s of %s is neither true nor false", f->name,
                                 dev->path);
            if (kind == STATE_TIME)
                value = (uint64_t)time_shift((int64_t)value, now);
            element_set(dev, f, i, value);
        }
    }
    return 0;
}

static int load_chunk(struct device *const *devs, size_t count, bool *loaded, int64_t now,
                      const uint8_t *chunk, size_t payload_len, struct error *err)
{
    size_t type_len = get(chunk, 2), path_len = get(chunk + 2, 2);
    unsigned version = (unsigned)get(chunk + 4, 2), flags = (unsigned)get(chunk + 6, 2);
    const char *type = (const char *)chunk + CHUNK_HEADER, *path = type + type_len;
    for (size_t i = 0; i < count; i++) {
        const struct device_class *class = devs[i]->class;
        if (strlen(devs[i]->path) != path_len || memcmp(devs[i]->path, path, path_len))
            continue;
        if (strlen(class->type) != type_len || memcmp(class->type, type, type_len))
            return error_set(err, -EINVAL, "%s is a %s here and a %.*s in the snapshot", devs[i]->path,
                             class->type, (int)type_len, type);
        if (version > class->version)
            return error_set(err, -EINVAL, "the state of %s has version %u, newer than %u", devs[i]->path,
                             version, class->version);
        if (loaded[i])
            return error_set(err, -EINVAL, "the snapshot holds %s twice", devs[i]->path);
        loaded[i] = true;
        size_t fields = 0;
        int code =
            load_payload(devs[i], now, chunk + CHUNK_HEADER + type_len + path_len, payload_len, &fields, err);
        if (!code && version == class->version && fields != class->field_count)
            return error_set(err, -EINVAL, "the state of %s has %zu fields of %zu", devs[i]->path, fields,
                             class->field_count);
        return code;
    }
    if (flags & STATE_REQUIRED)
        return error_set(err, -EINVAL, "the snapshot needs a %.*s at %.*s, which this machine has not",
                         (int)type_len, type, (int)path_len, path);
    return 0;
}

int state_load(struct device *const *devs, size_t count, int64_t now, const void *data, size_t size,
               struct error *err)
{
    bool *loaded = calloc(count + 1, sizeof *loaded);
    if (!loaded)
        return error_set(err, -ENOMEM, "no memory to load a snapshot");
    int code = 0;
    const uint8_t *at = data;
    while (!code && size) {
        uint64_t names = size < CHUNK_HEADER ? 0 : get(at, 2) + get(at + 2, 2);
        if (size < CHUNK_HEADER || names > size - CHUNK_HEADER ||
            get(at + 8, 8) > size - CHUNK_HEADER - names) {
            code = error_set(err, -EINVAL, "the snapshot ends within a chunk");
            break;
        }
        size_t payload_len = get(at + 8, 8), chunk_len = CHUNK_HEADER + names + payload_len;
        code = load_chunk(devs, count, loaded, now, at, payload_len, err);
        at += chunk_len;
        size -= chunk_len;
    }
    for (size_t i = 0; !code && i < count; i++)
        if (!loaded[i])
            code = error_set(err, -EINVAL, "the snapshot has no state for %s", devs[i]->path);
    for (size_t i = 0; !code && i < count; i++)
        if (devs[i]->class->post_load)
            devs[i]->class->post_load(devs[i]);
    free(loaded);
    return code;
}

enum { BYTES_SHOWN = 64 }; // of a buffer

void state_print(const struct device *dev, FILE *out)
{
    for (size_t n = 0; n < dev->class->field_count; n++) {
        const struct state_field *f = &dev->class->fields[n];
        fprintf(out, "%s %s =", dev->path, f->name);
        uint32_t shown = f->kind == STATE_BYTES && f->count > BYTES_SHOWN ? BYTES_SHOWN : f->count;
        for (uint32_t i = 0; i < shown; i++) {
            uint64_t value = element_get(dev, f, i);
            if (f->kind == STATE_I64 || f->kind == STATE_TIME)
                fprintf(out, " %" PRId64, (int64_t)value);
            else
                fprintf(out, " %" PRIx64, value);
        }
        if (shown < f->count)
            fprintf(out, " ... (%u bytes)", f->count);
        fputc('\n', out);
    }
}

const struct state_field *state_compare(const struct device *a, const struct device *b)
{
    for (size_t n = 0; n < a->class->field_count; n++) {
        const struct state_field *f = &a->class->fields[n];
        for (uint32_t i = 0; i < f->count; i++)
            if (element_get(a, f, i) != element_get(b, f, i))
                return f;
    }
    return NULL;
}
