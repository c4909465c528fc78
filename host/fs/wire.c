// SPDX-License-Identifier: MIT
// Owns the fields of 9P messages: little-endian numbers, strings of a 16-bit length, and the checks of names.
#include "host/fs/fs_internal.h"

#include <errno.h>
#include <string.h>

uint64_t p9_get(struct p9_reader *in, unsigned bytes)
{
    uint64_t value = 0;
    if ((size_t)(in->end - in->at) < bytes) {
        in->bad = true;
        in->at = in->end;
        return 0;
    }
    memcpy(&value, in->at, bytes);
    in->at += bytes;
    return value;
}

int p9_get_text(struct p9_reader *in, char *buf, size_t size)
{
    size_t len = p9_get(in, 2);
    buf[0] = 0;
    if (in->bad || (size_t)(in->end - in->at) < len) {
        in->bad = true;
        return -EINVAL;
    }
    const uint8_t *text = in->at;
    in->at += len;
    if (len >= size)
        return -ENAMETOOLONG;
    if (memchr(text, 0, len))
        return -EINVAL;
    memcpy(buf, text, len);
    buf[len] = 0;
    return 0;
}

int p9_get_name(struct p9_reader *in, char name[NAME_MAX + 1])
{
    int r = p9_get_text(in, name, NAME_MAX + 1);
    if (r)
        return r;
    if (!*name || strchr(name, '/'))
        return -ENOENT;
    return strcmp(name, ".") && strcmp(name, "..") ? 0 : -EEXIST;
}

void p9_put_bytes(struct p9_writer *out, const void *bytes, size_t len)
{
    if (len > out->size - out->len) {
        out->full = true;
        return;
    }
    memcpy(out->base + out->len, bytes, len);
    out->len += (uint32_t)len;
}

void p9_put(struct p9_writer *out, uint64_t value, unsigned bytes)
{
    p9_put_bytes(out, &value, bytes);
}

void p9_put_text(struct p9_writer *out, const char *text)
{
    size_t len = strlen(text);
    p9_put(out, len, 2);
    p9_put_bytes(out, text, len);
}
