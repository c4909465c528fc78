// SPDX-License-Identifier: MIT
// Files that a user hands over as a kernel: ELF, arm64 Image, gzip or EFI zboot around one, raw
// (machines/loader.h). Whatever is in them, the loader gives an entry or a sentence, keeps to RAM's size, and
// writes only into RAM.
#include "machines/loader.h"
#include "base/error.h"
#include "mem/mem.h"
#include "tests/fuzz/rig.h"

#include <unistd.h>
#include <zlib.h>

enum { RAM = 0x40000000, RAM_SIZE = 4 << 20, SMALL_RAM = 1 << 20 };

enum wrapping { PLAIN, GZIP, ZBOOT, SHAPES };

// What the input is about, inside of compression: a mutation of compressed bytes seldom gets past the
// checksum.
static uint8_t *wrap(enum wrapping how, const struct fuzz_input *in, uint64_t *ret_size)
{
    enum { HEAD = 64, GZIP_WINDOW = 15 + 16 };
    size_t room = HEAD + in->size + in->size / 1000 + 128;
    uint8_t *out = calloc(1, room);
    FUZZ_CHECK(out);
    if (how == PLAIN) {
        memcpy(out, in->data, in->size);
        *ret_size = in->size;
        return realloc(out, in->size + 1);
    }
    size_t head = how == ZBOOT ? HEAD : 0;
    z_stream z = {.next_in = (uint8_t *)in->data,
                  .avail_in = (uInt)in->size,
                  .next_out = out + head,
                  .avail_out = (uInt)(room - head)};
    FUZZ_CHECK(deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    FUZZ_CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    if (how == ZBOOT) {
        const uint32_t place[2] = {HEAD, (uint32_t)z.total_out};
        memcpy(out, "MZ\0\0zimg", 8);
        memcpy(out + 8, place, sizeof place);
        memcpy(out + 24, "gzip", 5);
    }
    *ret_size = head + z.total_out;
    deflateEnd(&z);
    return realloc(out, *ret_size);
}

// What "run FILE" asks first.
static void identify(const uint8_t *file, uint64_t len)
{
    static char path[64];
    static int fd = -1;
    enum file_kind kind;
    struct error err = {0};
    if (fd < 0)
        fd = rig_file(0, path);
    FUZZ_CHECK(!ftruncate(fd, 0) && pwrite(fd, file, len, 0) == (ssize_t)len);
    if (loader_identify_file(path, &kind, &err))
        FUZZ_CHECK(err.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    uint8_t flags = fuzz_u8(&in);
    uint64_t ram_size = flags & 128 ? SMALL_RAM : RAM_SIZE, len;
    struct mem_space *mem;
    struct loader loader = {0};
    struct loader_entry entry = {0};
    struct error err = {0};
    FUZZ_CHECK(!mem_space_create(&lock, &mem, NULL));
    FUZZ_CHECK(!mem_add_ram(mem, "ram", (struct gpa){RAM}, ram_size, 0, NULL, NULL));
    free((void *)mem_commit(mem));
    uint8_t *file = wrap(flags % SHAPES, &in, &len);
    identify(file, len);
    int r = loader_add_kernel_data(&loader, "a/file", file, len, RAM, ram_size, &entry, &err);
    FUZZ_CHECK(r || loader.count);
    FUZZ_CHECK(!r || err.text[0]);
    if (!r) {
        FUZZ_CHECK(entry.low < entry.high);
        for (size_t i = 0; i < loader.count; i++)
            FUZZ_CHECK(loader.pieces[i].data_size <= loader.pieces[i].size);
        loader_write(&loader, mem, &err);
    }
    loader_free(&loader);
    mem_space_destroy(mem);
    return 0;
}
