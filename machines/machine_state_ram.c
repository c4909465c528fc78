// SPDX-License-Identifier: MIT
// Owns RAM in a machine's stream: which pages go, in runs, and where they come to. Invariant: a page that changed after it
// was read here is marked, and so goes again.
//
// Marks are taken before the vCPUs lose their right to write unseen, and pages are read after that (mem/mem.h). RAM is read
// by words, since vCPUs may write it meanwhile.
#include "machines/machine_state_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

bool machine_state_can_compress(enum state_compression compression)
{
    return compression <= STATE_ZSTD;
}

// ---- compression --------------------------------------------------------------------------------------------------

static size_t packed_bound(size_t size)
{
    size_t bound = compressBound(size);
    bound = ZSTD_compressBound(size) > bound ? ZSTD_compressBound(size) : bound;
    return bound;
}

// The size of the compressed data, or 0 where that is no gain.
static size_t pack(struct machine_save *save, enum state_compression how, size_t size)
{
    if (how == STATE_ZLIB) {
        uLongf len = save->packed_size;
        return !compress2(save->packed, &len, save->stage, size, 1) && len < size ? len : 0;
    }
    if (how == STATE_ZSTD) {
        size_t len = ZSTD_compress(save->packed, save->packed_size, save->stage, size, 1);
        return !ZSTD_isError(len) && len < size ? len : 0;
    }
    return 0;
}

static bool unpack(enum ram_form form, const void *data, size_t size, uint8_t *to, size_t wanted)
{
    if (form == RAM_ZLIB) {
        uLongf len = wanted;
        return uncompress(to, &len, data, size) == Z_OK && len == wanted;
    }
    if (form == RAM_ZSTD)
        return ZSTD_decompress(to, wanted, data, size) == wanted;
    return false;
}

// ---- saving -------------------------------------------------------------------------------------------------------

int ram_save_begin(struct machine_save *save, struct error *err)
{
    struct mem_space *mem = save->machine->mem;
    save->packed_size = packed_bound(RAM_RUN * MEM_PAGE_SIZE);
    save->stage = aligned_alloc(64, RAM_RUN * MEM_PAGE_SIZE);
    save->packed = malloc(save->packed_size);
    bool good = save->stage && save->packed;
    for (struct mem_ram *ram; good && (ram = mem_ram_nth(mem, save->block_count));) {
        if (save->block_count == RAM_BLOCKS)
            return error_set(err, -E2BIG, "this machine has more than %d blocks of RAM", RAM_BLOCKS);
        struct ram_sender *sender = &save->blocks[save->block_count++];
        sender->ram = ram;
        sender->pages = calloc(mem_bitmap_words(ram) + 1, sizeof *sender->pages);
        good = sender->pages;
    }
    return good ? 0 : error_set(err, -ENOMEM, "out of memory to save RAM");
}

void ram_save_end(struct machine_save *save)
{
    for (size_t i = 0; i < save->block_count; i++)
        free(save->blocks[i].pages);
    free(save->stage);
    free(save->packed);
}

static bool read_page(uint8_t *to, const uint8_t *host)
{
    uint64_t any = 0;
    for (size_t i = 0; i < MEM_PAGE_SIZE; i += 8) {
        uint64_t word = __atomic_load_n((const uint64_t *)(const void *)(host + i), __ATOMIC_RELAXED);
        memcpy(to + i, &word, 8);
        any |= word;
    }
    return any;
}

static int send_run(struct machine_save *save, struct state_writer *to, const struct mem_ram *ram, uint64_t first,
                    uint32_t count, bool zero, struct error *err)
{
    uint8_t head[RAM_HEADER + MEM_PAGE_SIZE] = {0};
    size_t size = zero ? 0 : (size_t)count * MEM_PAGE_SIZE, packed = pack(save, to->compression, size), pad = 0;
    enum ram_form form = zero ? RAM_ZERO : packed ? to->compression == STATE_ZLIB ? RAM_ZLIB : RAM_ZSTD : RAM_PLAIN;
    if (form == RAM_PLAIN && to->aligned)
        pad = -(to->written + CHUNK_HEADER + strlen("ram") + strlen(ram->name) + RAM_HEADER) & (MEM_PAGE_SIZE - 1);
    put_le(head, first, 8);
    put_le(head + 8, count, 4);
    put_le(head + 12, form, 1);
    put_le(head + 14, pad, 2);
    return chunk_write(to, "ram", ram->name, head, RAM_HEADER + pad, packed ? save->packed : save->stage,
                       packed ? packed : size, err);
}

static bool is_set(const uint64_t *pages, uint64_t page)
{
    return pages[page / 64] >> (page % 64) & 1;
}

// The run of pages from first on that are to go and are all zeros, or all not; contents are then staged.
static uint32_t gather(struct machine_save *save, struct ram_sender *s, uint64_t first, bool *ret_zero)
{
    uint64_t end = s->ram->size >> MEM_PAGE_BITS;
    uint32_t count = 0;
    for (uint64_t page = first; page < end && count < RAM_RUN && is_set(s->pages, page); page++) {
        bool zero = !read_page(save->stage + (size_t)count * MEM_PAGE_SIZE, s->ram->host + (page << MEM_PAGE_BITS));
        if (!count)
            *ret_zero = zero;
        else if (zero != *ret_zero)
            break;
        s->pages[page / 64] &= ~(1ull << (page % 64));
        count++;
    }
    return count;
}

static int send_block(struct machine_save *save, struct ram_sender *s, struct state_writer *to, const _Atomic bool *stop,
                      uint64_t *ret_pages, struct error *err)
{
    uint64_t pages = s->ram->size >> MEM_PAGE_BITS;
    for (uint64_t page = 0; page < pages;) {
        if (!s->pages[page / 64]) {
            page = (page / 64 + 1) * 64;
            continue;
        }
        if (stop && atomic_load(stop))
            return error_set(err, -ECANCELED, "cancelled");
        bool zero = false;
        uint32_t count = gather(save, s, page, &zero);
        int r = !count || (zero && !save->first_done) ? 0 : send_run(save, to, s->ram, page, count, zero, err);
        if (r)
            return r;
        *ret_pages += zero ? 0 : count;
        page += count ? count : 1;
    }
    return 0;
}

int ram_save(struct machine_save *save, struct state_writer *to, bool withdraw, const _Atomic bool *stop,
             uint64_t *ret_pages, struct error *err)
{
    uint64_t sent = 0;
    int r = 0;
    for (size_t i = 0; i < save->block_count; i++) {
        struct ram_sender *s = &save->blocks[i];
        mem_dirty_take(s->ram, s->pages);
        if (!save->first_done)
            for (uint64_t page = 0; page < s->ram->size >> MEM_PAGE_BITS; page++)
                s->pages[page / 64] |= 1ull << (page % 64);
    }
    if (withdraw && save->machine->accel)
        accel_withdraw_writes(save->machine->accel);
    for (size_t i = 0; !r && i < save->block_count; i++)
        r = send_block(save, &save->blocks[i], to, stop, &sent, err);
    save->first_done = true;
    if (!r)
        *ret_pages = sent;
    return r;
}

// ---- loading ------------------------------------------------------------------------------------------------------

static struct mem_ram *find_block(struct machine *m, const char *name)
{
    struct mem_ram *ram;
    for (size_t i = 0; (ram = mem_ram_nth(m->mem, i)); i++)
        if (!strcmp(ram->name, name))
            return ram;
    return NULL;
}

void ram_load_begin(struct machine *m)
{
    struct mem_ram *ram;
    for (size_t i = 0; (ram = mem_ram_nth(m->mem, i)); i++) {
        mem_ram_clear(ram);
        if (m->accel)
            accel_code_written(m->accel, ram, 0, ram->size);
    }
}

static void clear_pages(uint8_t *host, uint32_t count)
{
    static const uint8_t zeros[MEM_PAGE_SIZE];
    for (uint32_t i = 0; i < count; i++, host += MEM_PAGE_SIZE)
        if (memcmp(host, zeros, MEM_PAGE_SIZE)) // what is untouched stays so
            memset(host, 0, MEM_PAGE_SIZE);
}

int ram_load(struct machine *m, struct state_reader *from, const struct chunk *chunk, struct state_buf *buf,
             bool only_check, struct error *err)
{
    struct mem_ram *ram = find_block(m, chunk->path);
    int r = chunk_payload(from, chunk, buf, err);
    if (r)
        return r;
    if (!ram)
        return error_set(err, -EINVAL, "the saved machine has RAM '%s', which this one lacks", chunk->path);
    if (buf->size < RAM_HEADER)
        return error_set(err, -EINVAL, "the saved state is damaged: a piece of RAM is too short");
    uint64_t first = get_le(buf->data, 8), pages = ram->size >> MEM_PAGE_BITS;
    uint32_t count = (uint32_t)get_le(buf->data + 8, 4);
    unsigned form = buf->data[12];
    size_t pad = get_le(buf->data + 14, 2), size = (size_t)count * MEM_PAGE_SIZE;
    if (first >= pages || count > pages - first || (form != RAM_ZERO && count > RAM_RUN))
        return error_set(err, -EINVAL, "the saved state is damaged: it has more RAM '%s' than there is", ram->name);
    if (pad > buf->size - RAM_HEADER || form >= RAM_FORMS)
        return error_set(err, -EINVAL, "the saved state is damaged: a piece of RAM is of no known form");
    const uint8_t *data = buf->data + RAM_HEADER + pad;
    size_t data_size = buf->size - RAM_HEADER - pad;
    uint8_t *host = ram->host + (first << MEM_PAGE_BITS);
    if (form == RAM_ZSTD && !machine_state_can_compress(STATE_ZSTD))
        return error_set(err, -ENOTSUP, "the saved state is compressed with zstd, which this Isomer was built without");
    if ((form == RAM_ZERO && data_size) || (form == RAM_PLAIN && data_size != size))
        return error_set(err, -EINVAL, "the saved state is damaged: a piece of RAM has another length than it says");
    if (only_check)
        return 0;
    if (form == RAM_ZERO)
        clear_pages(host, count);
    else if (form == RAM_PLAIN)
        memcpy(host, data, size);
    else if (!unpack((enum ram_form)form, data, data_size, host, size))
        return error_set(err, -EINVAL, "the saved state is damaged: a compressed piece of RAM does not unpack");
    return 0;
}
