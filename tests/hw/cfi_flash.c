// SPDX-License-Identifier: MIT
// A bank of flash through its registers, as text: one step a word, numbers in hex, offsets in bytes.
//   OFF=V OFF?V   write or check 32 bits;  b:OFF=V h:OFF?V  8 or 16 of them
//   ram:OFF?V     what a fetch or DMA sees there, 32 bits;  state?N  enum mem_rom_state
// Further below: contents kept on a drive, the state table, and random accesses.
#include "base/entropy.h"
#include "base/error.h"
#include "host/block.h"
#include "hw/block/cfi_flash.h"
#include "hw/core/state.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BASE = 0x4000000, SIZE = 4 << 20, SECTOR = 256 << 10 };

// A drive in memory, whose requests wait until they are let go.
struct block {
    uint8_t data[SIZE];
    uint64_t size;
    bool readonly;
    struct block_request *waiting;
    unsigned writes, flushes;
    int error; // of every request
};

uint64_t block_size(const struct block *block)
{
    return block->size;
}

bool block_readonly(const struct block *block)
{
    return block->readonly;
}

void block_submit(struct block *block, struct block_request *request)
{
    cr_assert_null(block->waiting);
    block->waiting = request;
}

void block_drain(struct block *block)
{
    struct block_request *r = block->waiting;
    block->waiting = NULL;
    if (!r)
        return;
    r->result = block->error;
    if (r->result) {
    } else if (r->op == BLOCK_FLUSH) {
        block->flushes++;
    } else {
        cr_assert(r->iov_count == 1 && r->offset + r->iov->iov_len <= block->size);
        if (r->op == BLOCK_READ)
            memcpy(r->iov->iov_base, block->data + r->offset, r->iov->iov_len);
        else
            memcpy(block->data + r->offset, r->iov->iov_base, r->iov->iov_len);
        block->writes += r->op == BLOCK_WRITE;
    }
    r->done(r);
}

struct bench {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct device *dev;
};

static void bench_make(struct bench *b, struct block *block, bool readonly)
{
    pthread_mutex_init(&b->lock, NULL);
    cr_assert_eq(mem_space_create(&b->lock, &b->mem, NULL), 0);
    struct cfi_flash_config config = {
        .path = "/flash", .size = SIZE, .sector = SECTOR, .mem = b->mem, .block = block, .readonly = readonly};
    struct error err;
    cr_assert_eq(cfi_flash_create(&config, &b->dev, &err), 0, "%s", err.text);
    cr_assert_eq(cfi_flash_map(b->dev, "flash", (struct gpa){BASE}, NULL, &err), 0, "%s", err.text);
    free((void *)mem_commit(b->mem));
}

static void bench_free(struct bench *b)
{
    device_destroy(b->dev);
    mem_space_destroy(b->mem);
}

static const struct mem_range *bank(struct bench *b)
{
    return mem_find(b->mem, (struct gpa){BASE});
}

static bool step(struct bench *b, const char *word)
{
    unsigned size = 4;
    bool ram = !strncmp(word, "ram:", 4);
    if (!strncmp(word, "state?", 6))
        return atomic_load(&bank(b)->rom->state) == strtoul(word + 6, NULL, 16);
    if (word[1] == ':') {
        size = *word == 'b' ? 1 : 2;
        word += 2;
    }
    char *end;
    uint64_t offset = strtoull(word + 4 * ram, &end, 16), value = strtoull(end + 1, NULL, 16), got = 0;
    if (*end == '=')
        return mem_mmio_write(b->mem, bank(b), offset, size, value, false) == MEM_OK;
    if (ram)
        mem_read(b->mem, (struct gpa){BASE + offset}, &got, size, false);
    else if (mem_mmio_read(b->mem, bank(b), offset, size, &got, false) != MEM_OK)
        return false;
    if (got != value)
        fprintf(stderr, "got 0x%llx: ", (unsigned long long)got);
    return *end == '?' && got == value;
}

static bool run(struct bench *b, const char *name, const char *text)
{
    char *copy = strdup(text), *save = NULL, *word;
    for (word = strtok_r(copy, " ", &save); word && step(b, word); word = strtok_r(NULL, " ", &save))
        ;
    if (word)
        fprintf(stderr, "%s: fails at '%s'\n", name, word);
    free(copy);
    return !word;
}

static const struct {
    const char *name;
    bool readonly;
    const char *steps;
} scenarios[] = {
    {"erased and plain", false, "state?0 0?ffffffff 3ffffc?ffffffff ram:0?ffffffff"},
    {"query", false,
     "154=980098 state?3 40?510051 44?520052 48?590059 4c?10001 50?0 54?310031 9c?150015 a0?20002 a8?b000b b0?10001 "
     "b4?f000f b8?0 bc?0 c0?20002 c4?500050 cc?490049 h:40?51 h:42?51 b:40?51 b:41?0 0=ff00ff state?2 40?ffffffff"},
    {"query ends with the AMD reset, too", false, "0=98 40?510051 0=f0 40?ffffffff"},
    {"identifiers", false, "0=900090 0?890089 4?140014 8?0 40000?890089 0=ff 0?ffffffff"},
    {"a word", false, "100=400040 100=12345678 state?3 100?800080 0=700070 0?800080 0=ff00ff 100?12345678 104?ffffffff"},
    {"bits are only cleared", false, "0=40 0=f0f0f0f0 0=10 0=ff00ff00 0=ff 0?f000f000"},
    {"bytes and half-words", false, "0=40 b:1=5a 0=40 h:4=1234 0=ff 0?ffff5aff 4?ffff1234"},
    {"erase one sector", false,
     "0=40 3fffc=0 0=40 40000=0 0=40 7fffc=0 0=40 80000=0 40010=200020 40010=d000d0 0?800080 0=ff 40000?ffffffff "
     "7fffc?ffffffff 3fffc?0 80000?0"},
    {"erase without a confirmation", false, "0=40 0=0 0=20 0=ff 0?b000b0 0=50 0?800080 0=ff 0?0"},
    {"buffer", false,
     "1000=e800e8 1000?800080 1000=30003 1000=11111111 1004=22222222 1008=33333333 100c=44444444 state?3 ram:1000?ffffffff "
     "1000=d000d0 1000?800080 1000=ff00ff 1000?11111111 1004?22222222 1008?33333333 100c?44444444 1010?ffffffff"},
    {"buffer in any order", false, "0=e8 0=1 2004=2 2000=1 0=d0 0=ff 2000?1 2004?2 0?ffffffff"},
    {"buffer without a confirmation", false, "0=e8 0=0 0=1234 0=70 0?b000b0 0=ff 0?ffffffff"},
    {"buffer across its boundary", false, "0=e8 0=1 ffc=1 1000=2 0?b000b0 0=50 0=ff ffc?ffffffff 1000?ffffffff"},
    {"buffer of too many words", false, "0=e8 0=400 0?b000b0 0=50 0=e8 0=3ff 0?800080"},
    {"locked", true, "0=40 0=0 0?920092 0=50 0=20 0=d0 0?a200a2 0=50 0=90 8?10001 0=ff 0?ffffffff"},
    {"single locks do nothing", false, "0=60 0=1 0?800080 0=40 0=0 0=ff 0?0"},
    {"unknown commands", false, "0=33 0?ffffffff 0=70 0=33 0?800080"},
};

Test(cfi_flash, scenarios)
{
    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        struct bench b;
        bench_make(&b, NULL, scenarios[i].readonly);
        cr_expect(run(&b, scenarios[i].name, scenarios[i].steps), "%s", scenarios[i].name);
        bench_free(&b);
    }
}

Test(cfi_flash, reset_shows_the_array)
{
    struct bench b;
    bench_make(&b, NULL, false);
    cr_assert(run(&b, "before", "0=40 0=0 0=98 40?510051"));
    device_reset(b.dev);
    cr_assert(run(&b, "after", "state?0 0?0 40?ffffffff 0=20 0=d0 0=ff 0?ffffffff"));
    bench_free(&b);
}

Test(cfi_flash, bus_writes_that_are_not_a_vcpus_are_dropped)
{
    struct bench b;
    uint32_t word = 0x980098;
    bench_make(&b, NULL, false);
    cr_assert_eq(mem_write(b.mem, (struct gpa){BASE}, &word, sizeof word, false), MEM_OK);
    cr_assert_null(mem_host(b.mem, (struct gpa){BASE}, 4));
    cr_assert(run(&b, "dropped", "state?0 0?ffffffff 40?ffffffff"));
    bench_free(&b);
}

static struct block *drive_make(uint64_t size, bool readonly)
{
    struct block *drive = calloc(1, sizeof *drive);
    drive->size = size;
    drive->readonly = readonly;
    memset(drive->data, 0xa5, sizeof drive->data);
    return drive;
}

Test(cfi_flash, changes_reach_the_drive)
{
    struct bench b;
    struct block *drive = drive_make(SIZE, false);
    bench_make(&b, drive, false);
    cr_assert(run(&b, "read", "0?a5a5a5a5 3ffffc?a5a5a5a5"));
    cr_assert(run(&b, "first", "100=40 100=1"));
    cr_assert_not_null(drive->waiting, "written at once");
    cr_assert(run(&b, "meanwhile", "40000=20 40000=d0 40004=40 40004=77"));
    block_drain(drive);
    cr_expect_eq(drive->writes, 1);
    device_destroy(b.dev); // waits
    cr_expect_null(drive->waiting);
    cr_expect_eq(drive->flushes, 1, "when all is written");
    static const uint8_t erased[8] = {0xff, 0xff, 0xff, 0xff, 0x77, 0, 0, 0};
    cr_expect_arr_eq(drive->data + 0x40000, erased, 8);
    cr_expect_eq(drive->data[0x100], 1);
    cr_expect_eq(drive->data[0x104], 0xa5);
    mem_space_destroy(b.mem);
    free(drive);
}

Test(cfi_flash, a_drive_that_fails_shows_in_the_status)
{
    struct bench b;
    struct block *drive = drive_make(SIZE, false);
    bench_make(&b, drive, false);
    drive->error = -ENOSPC;
    cr_assert(run(&b, "not known yet", "100=40 100=1 100?800080"));
    block_drain(drive);
    cr_expect(run(&b, "known", "100=70 100?900090 100=50 100=70 100?800080"));
    device_destroy(b.dev);
    mem_space_destroy(b.mem);
    free(drive);
}

Test(cfi_flash, sizes_of_drives)
{
    struct bench b;
    struct error err;
    struct block *small = drive_make(SIZE / 2, true), *big = drive_make(SIZE, true);
    bench_make(&b, small, true);
    cr_expect(run(&b, "the rest is erased", "1ffffc?a5a5a5a5 200000?ffffffff"));
    struct cfi_flash_config config = {.path = "/f", .size = SIZE / 2, .sector = SECTOR, .mem = b.mem, .block = big};
    struct device *dev;
    cr_expect_eq(cfi_flash_create(&config, &dev, &err), -EINVAL);
    cr_expect_str_eq(err.text, "a flash bank has 2097152 bytes, and its drive 4194304");
    config.size = SIZE;
    config.block = small;
    cr_expect_eq(cfi_flash_create(&config, &dev, &err), -EINVAL, "what is written would have no place");
    bench_free(&b);
    free(small);
    free(big);
}

Test(cfi_flash, save_load_save)
{
    static const char *const before[] = {"0=98", "0=40", "3000=e8 3000=1 3004=1234", "0=e8 0=0 0=1 0=0", "0=20"};
    static const char *const after[] = {"40?510051", "0=7 0=ff", "3000=5 0=d0 0=ff", "0?b000b0", "0=d0 0?800080"};
    for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
        struct bench a, b;
        struct state_buf one = {0}, two = {0};
        struct error err;
        bench_make(&a, NULL, false);
        bench_make(&b, NULL, false);
        cr_assert(run(&a, "before", before[i]));
        cr_assert_eq(state_save(a.dev, 0, &one, &err), 0);
        cr_assert_eq(state_load(&b.dev, 1, 0, one.data, one.size, &err), 0, "%s", err.text);
        cr_assert_null(state_compare(a.dev, b.dev));
        cr_assert_eq(state_save(b.dev, 0, &two, &err), 0);
        cr_assert(one.size == two.size && !memcmp(one.data, two.data, one.size));
        cr_expect(run(&b, before[i], after[i]));
        state_buf_free(&one);
        state_buf_free(&two);
        bench_free(&a);
        bench_free(&b);
    }
}

Test(cfi_flash, a_load_writes_what_differs_only)
{
    struct bench b;
    struct state_buf state = {0};
    struct error err;
    struct block *drive = drive_make(SIZE, false);
    bench_make(&b, drive, false);
    cr_assert_eq(state_save(b.dev, 0, &state, &err), 0);
    cr_assert_eq(state_load(&b.dev, 1, 0, state.data, state.size, &err), 0);
    cr_expect(!drive->waiting && !drive->writes, "the drive has it all");
    memset(drive->data + SECTOR, 0x11, 8);
    memset(drive->data + 3 * SECTOR, 0x11, 8);
    cr_assert_eq(state_load(&b.dev, 1, 0, state.data, state.size, &err), 0);
    while (drive->waiting)
        block_drain(drive);
    cr_expect(drive->writes == 1 && drive->flushes == 1);
    cr_expect(drive->data[SECTOR] == 0xa5 && drive->data[3 * SECTOR] == 0xa5);
    state_buf_free(&state);
    bench_free(&b);
    free(drive);
}

// Commands and data at random, resets, and saved states with flipped bits. Sanitizers and asserts judge, and that what is
// shown and how reads are routed agree.
Test(cfi_flash, fuzz)
{
    static const uint8_t commands[] = {0xff, 0xf0, 0x90, 0x98, 0x70, 0x50, 0x40, 0x10, 0x20, 0x60, 0xe8, 0xd0};
    const char *seed = getenv("FUZZ_SEED"), *rounds = getenv("FUZZ_ROUNDS");
    struct entropy random;
    struct bench b;
    struct error err;
    entropy_init_seeded(&random, seed ? strtoull(seed, NULL, 0) : 1);
    bench_make(&b, NULL, false);
    for (unsigned long n = rounds ? strtoul(rounds, NULL, 0) : 30000; n; n--) {
        uint32_t r[4];
        uint64_t value = 0;
        entropy_fill(&random, r, sizeof r);
        unsigned size = 1u << (r[0] & 3);
        uint64_t offset = (r[1] & 1 ? r[1] : r[1] & 0xfff) % SIZE & ~(size - 1ull);
        uint32_t data = r[0] & 0x100 ? commands[r[2] % ARRAY_SIZE(commands)] : r[0] & 0x200 ? r[2] & 7 : r[2];
        if (r[3] % 1024 == 0) {
            device_reset(b.dev);
        } else if (r[3] % 1024 < 4) {
            struct state_buf buf = {0};
            cr_assert_eq(state_save(b.dev, 0, &buf, &err), 0);
            buf.data[r[1] % buf.size] ^= (uint8_t)(1u << (r[2] & 7));
            if (state_load(&b.dev, 1, 0, buf.data, buf.size, &err))
                device_reset(b.dev);
            state_buf_free(&buf);
        } else if (r[3] & 4096) {
            mem_mmio_read(b.mem, bank(&b), offset, size, &value, false);
        } else {
            mem_mmio_write(b.mem, bank(&b), offset, size, data, false);
        }
    }
    bench_free(&b);
}
