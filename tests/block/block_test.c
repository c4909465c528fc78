// SPDX-License-Identifier: MIT
// The queue before an image and what an image promises besides its contents: order, locks, guesses,
// throw-away writes, snapshots from the machine's side, and single hostile fields.
#include "base/error.h"
#include "base/loop.h"
#include "host/block.h"
#include "host/image.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 1 << 20 };

struct bench {
    pthread_mutex_t lock;
    struct loop *loop;
    char folder[64], path[96], below[96];
    unsigned done;
    int result;
};

static void setup(struct bench *b)
{
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_lock(&b->lock);
    strcpy(b->folder, "/tmp/block_test.XXXXXX");
    cr_assert(mkdtemp(b->folder));
    snprintf(b->path, sizeof b->path, "%s/image", b->folder);
    snprintf(b->below, sizeof b->below, "%s/below", b->folder);
    cr_assert_eq(loop_create(&b->lock, &b->loop, NULL), 0);
}

static void teardown(struct bench *b)
{
    loop_destroy(b->loop);
    pthread_mutex_unlock(&b->lock);
    pthread_mutex_destroy(&b->lock);
    unlink(b->path);
    unlink(b->below);
    rmdir(b->folder);
}

static void create(const char *path, const char *format, const char *below, const char *below_format)
{
    struct image_create c = {
        .path = path, .format = format, .size = SIZE, .backing = below, .backing_format = below_format};
    struct error err = {0};
    cr_assert_eq(image_create(&c, &err), 0, "%s", err.text);
}

static struct block *open_block(struct bench *b, struct block_config config)
{
    struct error err = {0};
    struct block *block = NULL;
    config.loop = b->loop;
    cr_assert_eq(block_open(&config, &block, &err), 0, "%s", err.text);
    return block;
}

static void done(struct block_request *request)
{
    struct bench *b = request->opaque;
    b->done++;
    b->result = b->result ? b->result : request->result;
}

static int transfer(struct bench *b, struct block *block, enum block_op op, uint64_t offset, void *buf,
                    size_t len)
{
    struct iovec iov = {buf, len};
    struct block_request request = {.op = op,
                                    .offset = offset,
                                    .len = len,
                                    .iov = &iov,
                                    .iov_count = 1,
                                    .done = done,
                                    .opaque = b,
                                    .unmap = true};
    b->result = 0;
    block_submit(block, &request);
    block_drain(block);
    return b->result;
}

Test(block, requests_that_overlap_keep_their_order)
{
    enum { COUNT = 200, LEN = 3000 };
    struct bench b;
    setup(&b);
    create(b.path, "qcow2", NULL, NULL);
    struct block *block = open_block(&b, (struct block_config){.path = b.path, .format = "qcow2"});
    static uint8_t data[COUNT][LEN], back[LEN];
    static struct iovec iov[COUNT];
    static struct block_request requests[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        memset(data[i], (int)i, LEN);
        iov[i] = (struct iovec){data[i], LEN};
        requests[i] = (struct block_request){
            .op = BLOCK_WRITE, .offset = 100 * i, .iov = &iov[i], .iov_count = 1, .done = done, .opaque = &b};
        block_submit(block, &requests[i]);
    }
    block_drain(block);
    cr_expect_eq(b.done, COUNT);
    cr_expect_eq(b.result, 0);
    for (unsigned i = 0; i + 1 < COUNT; i++) { // of each write only its first 100 bytes are left
        cr_assert_eq(transfer(&b, block, BLOCK_READ, 100 * i, back, 100), 0);
        cr_assert(back[0] == (uint8_t)i && !memcmp(back, back + 1, 99), "write %u", i);
    }
    block_close(block);
    teardown(&b);
}

Test(block, a_longer_disk_does_not_show_the_state_behind_it)
{
    struct bench b;
    struct image *image;
    struct error err = {0};
    uint8_t state[4096], back[4096];
    setup(&b);
    struct image_create c = {.path = b.path, .format = "qcow2", .size = SIZE, .cluster_size = 512};
    cr_assert_eq(image_create(&c, &err), 0, "%s", err.text);
    struct image_options options = {.path = b.path, .format = "qcow2"};
    cr_assert_eq(image_open(&options, &image, &err), 0, "%s", err.text);
    memset(state, 0x5a, sizeof state);
    cr_assert_eq(image_vmstate_write(image, 0, state, sizeof state), 0);
    cr_assert_eq(image_resize(image, 2 * SIZE, false, &err), 0, "%s", err.text);
    cr_assert_eq(image_pread(image, SIZE, back, sizeof back), 0);
    cr_expect(!back[0] && !memcmp(back, back + 1, sizeof back - 1));
    struct image_check check;
    cr_assert_eq(image_check(image, IMAGE_REPAIR_NOTHING, NULL, NULL, &check, &err), 0, "%s", err.text);
    cr_expect_eq(check.errors + check.leaks, 0);
    cr_expect_eq(image_close(image), 0);
    teardown(&b);
}

static struct block *again_block;

static void done_and_again(struct block_request *request)
{
    struct bench *b = request->opaque;
    if (++b->done < 5)
        block_submit(again_block, request);
}

// As a disk does that had no room for the guest's next request: a drained machine is saved, and a request that was in
// flight then would be lost.
Test(block, a_drain_takes_what_completions_submit)
{
    struct bench b;
    setup(&b);
    create(b.path, "raw", NULL, NULL);
    again_block = open_block(&b, (struct block_config){.path = b.path, .format = "raw"});
    struct block_request request = {.op = BLOCK_FLUSH, .done = done_and_again, .opaque = &b};
    block_submit(again_block, &request);
    block_drain(again_block);
    cr_expect_eq(b.done, 5);
    while (b.done < 5)
        block_drain(again_block);
    block_close(again_block);
    teardown(&b);
}

Test(block, files_of_a_chain_are_locked)
{
    struct bench b;
    setup(&b);
    create(b.below, "raw", NULL, NULL);
    create(b.path, "qcow2", b.below, "raw");
    struct block *block = open_block(&b, (struct block_config){.path = b.path, .format = "qcow2"}), *other;
    struct block_config config = {.path = b.below, .format = "raw", .loop = b.loop};
    cr_expect_eq(block_open(&config, &other, NULL), -EBUSY, "a writer of the backing file");
    config.readonly = true;
    other = open_block(&b, config); // readers share
    block_close(other);
    config.path = b.path;
    config.format = "qcow2";
    cr_expect_eq(block_open(&config, &other, NULL), -EBUSY, "a reader of what is written");
    config.unlocked = true;
    other = open_block(&b, config);
    block_close(other);
    block_close(block);
    teardown(&b);
}

Test(block, a_guessed_format_cannot_be_changed_from_within)
{
    struct bench b;
    setup(&b);
    create(b.path, "raw", NULL, NULL);
    uint8_t sector[512] = "QFI\xfb\0\0\0\3";
    struct block *block = open_block(&b, (struct block_config){.path = b.path});
    cr_expect_str_eq(block_format(block), "raw");
    cr_expect_eq(transfer(&b, block, BLOCK_WRITE, 0, sector, sizeof sector), -EPERM);
    cr_expect_eq(transfer(&b, block, BLOCK_WRITE, 512, sector, sizeof sector), 0);
    sector[0] = 'X';
    cr_expect_eq(transfer(&b, block, BLOCK_WRITE, 0, sector, sizeof sector), 0);
    block_close(block);
    block = open_block(&b, (struct block_config){.path = b.path, .format = "raw"});
    sector[0] = 'Q';
    cr_expect_eq(transfer(&b, block, BLOCK_WRITE, 0, sector, sizeof sector), 0,
                 "stated, so it is its own affair");
    block_close(block);
    teardown(&b);
}

Test(block, throw_away_writes)
{
    struct bench b;
    setup(&b);
    create(b.path, "raw", NULL, NULL);
    uint8_t buf[8192], back[8192];
    memset(buf, 0x11, sizeof buf);
    struct block *block =
        open_block(&b, (struct block_config){.path = b.path, .format = "raw", .snapshot = true});
    cr_expect_not(block_readonly(block));
    cr_expect_eq(transfer(&b, block, BLOCK_WRITE, SIZE - sizeof buf, buf, sizeof buf), 0);
    cr_expect_eq(transfer(&b, block, BLOCK_READ, SIZE - sizeof buf, back, sizeof back), 0);
    cr_expect_arr_eq(buf, back, sizeof buf);
    cr_expect_eq(transfer(&b, block, BLOCK_FLUSH, 0, NULL, 0), 0);
    block_close(block);
    int fd = open(b.path, O_RDONLY);
    cr_expect_eq(pread(fd, back, sizeof back, SIZE - (off_t)sizeof back), sizeof back);
    close(fd);
    cr_expect(back[0] == 0 && !memcmp(back, back + 1, sizeof back - 1), "the file is as it was");
    teardown(&b);
}

Test(block, cache_modes_and_zeros)
{
    static const struct block_config modes[] = {
        {.direct = true}, {.sync = true}, {.direct = true, .sync = true}, {.unsafe = true}};
    static const char *const formats[] = {"raw", "qcow2"};
    struct bench b;
    setup(&b);
    uint8_t *buf = aligned_alloc(4096, 65536), *back = aligned_alloc(4096, 65536);
    memset(buf, 0x33, 65536);
    for (unsigned i = 0; i < 8; i++) {
        create(b.path, formats[i % 2], NULL, NULL);
        struct block_config config = modes[i / 2];
        config.path = b.path;
        config.format = formats[i % 2];
        config.discard = true;
        config.detect_zeroes = BLOCK_DETECT_UNMAP;
        struct block *block = open_block(&b, config);
        // Aligned as O_DIRECT likes it, and not.
        cr_expect_eq(transfer(&b, block, BLOCK_WRITE, 65536, buf, 65536), 0);
        cr_expect_eq(transfer(&b, block, BLOCK_WRITE, 200 * 512, buf + 1, 512 * 3), 0);
        cr_expect_eq(transfer(&b, block, BLOCK_READ, 65536, back, 65536), 0);
        cr_expect_arr_eq(buf, back, 65536);
        cr_expect_eq(transfer(&b, block, BLOCK_READ, 201 * 512, back + 3, 1024), 0);
        cr_expect_arr_eq(buf, back + 3, 1024);
        memset(back, 0, 65536);
        cr_expect_eq(transfer(&b, block, BLOCK_WRITE, 65536, back, 65536), 0, "zeros, seen and unmapped");
        cr_expect_eq(transfer(&b, block, BLOCK_READ, 65536, buf, 65536), 0);
        cr_expect_arr_eq(buf, back, 65536);
        memset(buf, 0x33, 65536);
        cr_expect_eq(transfer(&b, block, BLOCK_FLUSH, 0, NULL, 0), 0);
        block_close(block);
        struct stat st;
        cr_expect(!stat(b.path, &st) && st.st_blocks * 512 < 512 * 1024, "space was given back");
    }
    free(buf);
    free(back);
    teardown(&b);
}

Test(block, snapshots_with_a_state)
{
    struct bench b;
    setup(&b);
    create(b.path, "qcow2", NULL, NULL);
    struct block *block = open_block(&b, (struct block_config){.path = b.path, .format = "qcow2"});
    struct image_snapshot snapshot = {.name = "first", .vm_state_size = 10 << 20, .vm_clock_ns = 5}, *list;
    uint8_t *state = malloc(10 << 20), *back = malloc(10 << 20), buf[512] = "before", read[512];
    for (unsigned i = 0; i < 10 << 20; i++)
        state[i] = (uint8_t)(i * 7 >> 3);
    struct error err = {0};
    size_t count;
    cr_assert_eq(transfer(&b, block, BLOCK_WRITE, 512, buf, 512), 0);
    cr_assert_eq(block_vmstate_write(block, 0, state, 10 << 20), 0);
    cr_assert_eq(block_snapshot_create(block, &snapshot, &err), 0, "%s", err.text);
    cr_expect_str_eq(snapshot.id, "1");
    strcpy((char *)buf, "after");
    cr_assert_eq(transfer(&b, block, BLOCK_WRITE, 512, buf, 512), 0);
    block_close(block);
    block = open_block(&b, (struct block_config){.path = b.path, .format = "qcow2"});
    cr_assert_eq(block_snapshot_list(block, &list, &count, &err), 0);
    cr_assert_eq(count, 1);
    cr_expect(list[0].vm_state_size == 10 << 20 && list[0].vm_clock_ns == 5 &&
              !strcmp(list[0].name, "first"));
    free(list);
    cr_expect_eq(block_snapshot_apply(block, "nosuch", &err), -ENOENT);
    cr_assert_eq(block_snapshot_apply(block, "first", &err), 0, "%s", err.text);
    cr_assert_eq(block_vmstate_read(block, 0, back, 10 << 20), 0);
    cr_expect(!memcmp(state, back, 10 << 20));
    cr_assert_eq(transfer(&b, block, BLOCK_READ, 512, read, 512), 0);
    cr_expect_str_eq((char *)read, "before");
    cr_expect_eq(block_size(block), SIZE);
    cr_assert_eq(block_snapshot_delete(block, "first", &err), 0, "%s", err.text);
    block_close(block);
    create(b.below, "raw", NULL, NULL);
    block = open_block(&b, (struct block_config){.path = b.below, .format = "raw"});
    cr_expect_eq(block_snapshot_create(block, &snapshot, &err), -ENOTSUP);
    block_close(block);
    free(state);
    free(back);
    teardown(&b);
}

// Puts a big-endian number into the image.
static void put(const char *path, uint64_t offset, uint64_t value, unsigned size)
{
    int fd = open(path, O_WRONLY);
    value = __builtin_bswap64(value) >> (64 - 8 * size);
    cr_assert_eq(pwrite(fd, &value, size, (off_t)offset), size);
    close(fd);
}

Test(block, headers_that_ask_for_too_much)
{
    static const struct {
        unsigned offset, size;
        uint64_t value;
    } fields[] = {{8, 8, 1ull << 40}, // with a size, below: a backing name outside
                  {20, 4, 40},        // cluster_bits
                  {24, 8, ~0ull},     // size
                  {36, 4, ~0u},       // l1_size
                  {40, 8, 1ull << 50}, {48, 8, 1ull << 50},
                  {48, 8, 7},          {56, 4, 1 << 20}, // refcount_table_clusters
                  {60, 4, 60000},                        // nb_snapshots
                  {96, 4, 7},                            // refcount_order
                  {100, 4, 8}};                          // header_length
    struct bench b;
    setup(&b);
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct error err = {0};
        struct image *image;
        create(b.path, "qcow2", NULL, NULL);
        put(b.path, fields[i].offset, fields[i].value, fields[i].size);
        if (!i)
            put(b.path, 16, 100, 4);
        struct image_options options = {.path = b.path, .format = "qcow2"};
        cr_expect_lt(image_open(&options, &image, &err), 0, "field %u", i);
        cr_expect(err.text[0]);
    }
    teardown(&b);
}

Test(block, an_entry_that_leads_to_a_table_is_not_written_through)
{
    struct bench b;
    setup(&b);
    create(b.path, "qcow2", NULL, NULL);
    uint8_t buf[512] = "data", head[8];
    struct image_options options = {.path = b.path, .format = "qcow2"};
    struct image *image;
    cr_assert_eq(image_open(&options, &image, NULL), 0);
    cr_assert_eq(image_pwrite(image, 0, buf, sizeof buf), 0);
    cr_assert_eq(image_close(image), 0);
    int fd = open(b.path, O_RDONLY);
    cr_assert_eq(pread(fd, head, 8, 3 << 16), 8); // the L1 table
    uint64_t l2 = 0;
    for (unsigned i = 1; i < 8; i++)
        l2 = l2 << 8 | head[i];
    put(b.path, l2, 1ull << 63 | 65536, 8); // the first cluster is the refcount table
    cr_assert_eq(image_open(&options, &image, NULL), 0);
    cr_expect_eq(image_pwrite(image, 0, buf, sizeof buf), -EIO);
    cr_expect_eq(image_pwrite(image, 500000, buf, sizeof buf), -EIO, "and nothing else is written");
    image_close(image);
    cr_expect_eq(image_open(&options, &image, NULL), -EIO, "it is marked");
    options.readonly = true;
    cr_assert_eq(image_open(&options, &image, NULL), 0);
    cr_expect_eq(image_pread(image, 500000, buf, sizeof buf), 0);
    image_close(image);
    close(fd);
    teardown(&b);
}
