// SPDX-License-Identifier: MIT
// A machine's saved state as hostile bytes (machine_load_stream, machine_load_apply). The input changes a
// stream that this machine has saved: bytes of a chunk's header or payload, chunks left out, sent twice, in
// another place, cut short, and whole chunks of its own; checksums are made right again unless it says
// otherwise. A state that is taken must be one that the machine can go on with: its devices are used, and it
// is saved and loaded again.
#include "tests/fuzz/fuzz.h"
#include "tests/state/saved.h"

#include "base/types.h"
#include "machines/machine_internal.h"
#include "machines/machine_state_internal.h"

#include <zlib.h>

enum { EDITS_MAX = 24, CHUNKS_MAX = 200, STREAM_MAX = 4 << 20 };

struct piece {
    uint8_t *data; // header, names, payload
    size_t size;
};

struct bench {
    struct machine *machine;
    struct piece chunks[CHUNKS_MAX]; // of the good stream
    unsigned count;
};

static void add_devices(struct machine_config *config)
{
    static const char *const drivers[] = {"virtio-balloon-device", "virtio-serial-device", "virtio-rng-pci",
                                          "pcie-root-port", "pvpanic-pci"};
    static struct keyval_list lists[ARRAY_SIZE(drivers)];
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
        FUZZ_CHECK(!keyval_add(&lists[i], "driver", drivers[i]));
    config->devices = lists;
    config->device_count = ARRAY_SIZE(drivers);
    config->ram_size = 1 << 20;
    config->seeded = true;
}

static size_t names_size(const uint8_t *chunk)
{
    return (size_t)get_le(chunk, 2) + get_le(chunk + 2, 2);
}

static void make(struct bench *b)
{
    struct stream stream;
    b->machine = saved_machine("3", add_devices);
    for (size_t i = 0; i < b->machine->device_count; i++)
        device_reset(b->machine->devices[i]);
    saved_save(b->machine, STATE_ZLIB, &stream);
    for (size_t at = STREAM_HEADER; at < stream.size; b->count++) {
        size_t size = CHUNK_HEADER + names_size(stream.data + at) + get_le(stream.data + at + 8, 8);
        FUZZ_CHECK(b->count < CHUNKS_MAX && size <= stream.size - at);
        b->chunks[b->count] = (struct piece){malloc(size), size};
        memcpy(b->chunks[b->count].data, stream.data + at, size);
        at += size;
    }
    free(stream.data);
}

// The checksums of a chunk, as far as it is whole.
static void fix(struct piece *p)
{
    if (p->size < CHUNK_HEADER)
        return;
    size_t names = names_size(p->data);
    if (names > p->size - CHUNK_HEADER)
        return;
    put_le(p->data + 8, p->size - CHUNK_HEADER - names, 8);
    put_le(p->data + 16, crc32(0, p->data + CHUNK_HEADER + names, (uInt)(p->size - CHUNK_HEADER - names)), 4);
    put_le(p->data + 20, 0, 4);
    put_le(p->data + 20, crc32(0, p->data, (uInt)(CHUNK_HEADER + names)), 4);
}

static void copy(struct piece *to, const struct piece *from)
{
    free(to->data);
    *to = (struct piece){malloc(from->size + 1), from->size};
    memcpy(to->data, from->data, from->size);
}

// A chunk of ram of the input's making.
static void own_ram(struct piece *p, struct fuzz_input *in)
{
    static const char type[] = "ram", path[] = "ram";
    size_t len;
    uint8_t how = fuzz_u8(in);
    uint64_t first = fuzz_value(in);
    uint32_t pages = (uint32_t)fuzz_value(in);
    const uint8_t *bytes = fuzz_bytes(in, fuzz_u16(in) % 600, &len);
    size_t names = sizeof type - 1 + sizeof path - 1, pad = how & 8 ? 0 : how >> 4;
    free(p->data);
    *p = (struct piece){calloc(1, CHUNK_HEADER + names + RAM_HEADER + pad + len + 1),
                        CHUNK_HEADER + names + RAM_HEADER + pad + len};
    put_le(p->data, sizeof type - 1, 2);
    put_le(p->data + 2, sizeof path - 1, 2);
    put_le(p->data + 4, 1, 2);
    put_le(p->data + 6, 1, 2);
    memcpy(p->data + CHUNK_HEADER, type, 3);
    memcpy(p->data + CHUNK_HEADER + 3, path, 3);
    uint8_t *head = p->data + CHUNK_HEADER + names;
    put_le(head, first, 8);
    put_le(head + 8, pages, 4);
    head[12] = how % (RAM_FORMS + 1);
    put_le(head + 14, pad, 2);
    memcpy(head + RAM_HEADER + pad, bytes, len);
}

static void edit(struct bench *b, struct piece *pieces, struct fuzz_input *in)
{
    uint8_t what = fuzz_u8(in);
    struct piece *p = &pieces[fuzz_u8(in) % b->count], *other;
    size_t len, at;
    const uint8_t *bytes;
    switch (what % 8) {
    case 0: p->size = 0; break;
    case 1: copy(p, &b->chunks[fuzz_u8(in) % b->count]); break;
    case 2: p->size = fuzz_below(in, (uint32_t)p->size + 1); break;
    case 3: own_ram(p, in); break;
    case 4:
        other = &pieces[fuzz_u8(in) % b->count];
        if (other != p) {
            struct piece keep = *p;
            *p = *other;
            *other = keep;
        }
        break;
    default: // bytes over those that are there, near the beginning or anywhere
        at = what & 8 ? fuzz_u8(in) : fuzz_u32(in);
        bytes = fuzz_bytes(in, 1 + (what >> 4), &len);
        at = p->size ? at % p->size : 0;
        memcpy(p->data + at, bytes, len < p->size - at ? len : p->size - at);
        break;
    }
    if (!(what & 128))
        fix(p);
}

// What a guest does afterwards: it reads and writes registers of everything.
static void use(struct machine *m)
{
    static const uint64_t places[] = {0x08000000, 0x080a0000,   0x080b0000,   0x09000000,
                                      0x09010000, 0x09020000,   0x09030000,   0x0a003e00,
                                      0x0a003c00, 0x4010000000, 0x4010008000, 0x10000000};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        for (unsigned offset = 0; offset < 0x120; offset += 4) {
            uint32_t value;
            mem_read(m->mem, (struct gpa){places[i] + offset}, &value, 4, true);
            mem_write(m->mem, (struct gpa){places[i] + offset}, &value, 4, true);
        }
    loop_once(m->loop, 0);
}

static void again(struct machine *m)
{
    struct stream stream;
    struct error err = {0};
    saved_save(m, STATE_PLAIN, &stream);
    if (saved_load(m, &stream, false, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    free(stream.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench b;
    struct fuzz_input in = {data, size};
    struct piece pieces[CHUNKS_MAX] = {{0}};
    struct stream stream = {.data = malloc(STREAM_MAX), .capacity = STREAM_MAX};
    struct error err = {0};
    if (!b.machine)
        make(&b);
    for (unsigned i = 0; i < b.count; i++)
        copy(&pieces[i], &b.chunks[i]);
    uint8_t how = fuzz_u8(&in);
    for (unsigned i = 0; i < EDITS_MAX && in.size; i++)
        edit(&b, pieces, &in);
    memcpy(stream.data, "ISOMERVM\1\0\0\0\0\0\0\0", STREAM_HEADER);
    stream.size = STREAM_HEADER;
    for (unsigned i = 0; i < b.count && pieces[i].size <= STREAM_MAX - stream.size; i++) {
        memcpy(stream.data + stream.size, pieces[i].data, pieces[i].size);
        stream.size += pieces[i].size;
    }
    if (how & 1)
        stream.data[how >> 4] ^= how;
    struct machine_load *load;
    struct state_reader reader = {.read = stream_read, .opaque = &stream};
    bool was_running;
    FUZZ_CHECK(!machine_load_begin(b.machine, &load, NULL));
    int r = machine_load_stream(load, &reader, how & 2, &err);
    if (!r && !(how & 2))
        r = machine_load_apply(load, &was_running, &err);
    machine_load_end(load);
    FUZZ_CHECK(!r || err.text[0]);
    if (!r && !(how & 2)) {
        use(b.machine);
        if (!(how & 4))
            again(b.machine);
    }
    for (size_t i = 0; i < b.machine->device_count; i++)
        device_reset(b.machine->devices[i]);
    for (unsigned i = 0; i < b.count; i++)
        free(pieces[i].data);
    free(stream.data);
    return 0;
}
