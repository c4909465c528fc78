// SPDX-License-Identifier: MIT
// Marks of written pages: a copy of RAM that is kept true by them alone, while two vCPUs write, is RAM's equal in the end.
// With them compiled, interpreted, in regions, and writing to a page that holds code.
#include "base/error.h"
#include "tests/accel/small.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RAM_SIZE = 4 << 20, AREA = 0x40100000, PAGES = 64, RESERVE = 0x40300000 };

// x0: own area. Writes a counter to a word of each of PAGES pages, round and round; in every round a page that an
// exclusive gets first, an instruction's neighbour in the program's page, and a zeroed cache line.
static const uint32_t program[] = {
    0xd53800a0,             // mrs x0, mpidr_el1
    0x92400c00,             // and x0, x0, #0xf
    0xd2a80201,             // mov x1, #0x40100000
    0x8b005021,             // add x1, x1, x0, lsl #20
    0x10000006,             // adr x6, .
    0x91000442,             // loop: add x2, x2, #1
    0xaa0103e3,             // mov x3, x1
    0xd2800804,             // mov x4, #64
    0xf9000062,             // page: str x2, [x3]
    0x91400463,             // add x3, x3, #1, lsl #12
    0xd1000484,             // sub x4, x4, #1
    0xb5ffffa4,             // cbnz x4, page
    0xc85f7c65, 0xc8077c65, // ldxr x5, [x3]; stxr w7, x5, [x3]: the right to write, and nothing changed
    0xf9000462,             // str x2, [x3, #8]
    0xf90040c2,             // str x2, [x6, #128]
    0x91400463,             // add x3, x3, #1, lsl #12
    0xd50b7423,             // dc zva, x3
    0xf9000062,             // str x2, [x3]
    0x17fffff2,             // b loop
};

static void copy(struct small *s, uint8_t *to, uint64_t *bitmap)
{
    for (uint64_t page = 0; page < RAM_SIZE >> MEM_PAGE_BITS; page++) {
        if (!(bitmap[page / 64] >> (page % 64) & 1))
            continue;
        for (unsigned i = 0; i < MEM_PAGE_SIZE; i += 8) {
            uint64_t word = __atomic_load_n((uint64_t *)(s->ram->host + page * MEM_PAGE_SIZE + i), __ATOMIC_RELAXED);
            memcpy(to + page * MEM_PAGE_SIZE + i, &word, 8);
        }
    }
    memset(bitmap, 0, mem_bitmap_words(s->ram) * sizeof *bitmap);
}

static void check(const struct small_config *config)
{
    struct small *s = small_make(config);
    uint8_t *image = malloc(RAM_SIZE);
    uint64_t *bitmap = calloc(mem_bitmap_words(s->ram), sizeof *bitmap), seen = 0;
    const struct timespec nap = {.tv_nsec = 2000000};
    for (unsigned i = 0; i < config->cpus; i++) {
        small_code(s, SMALL_PROGRAMS + i * 0x1000, program, sizeof program);
        small_start(s, i, SMALL_PROGRAMS + i * 0x1000);
    }
    cr_assert(small_run_until(s, AREA, 10, 20)); // everything has been written once, and may be unseen
    accel_resume(s->accel);
    mem_dirty_take(s->ram, bitmap);
    memset(bitmap, 0xff, mem_bitmap_words(s->ram) * sizeof *bitmap);
    for (int n = 0; n < 30; n++) {
        accel_withdraw_writes(s->accel);
        copy(s, image, bitmap);
        nanosleep(&nap, NULL);
        seen += mem_dirty_take(s->ram, bitmap);
    }
    accel_pause(s->accel);
    seen += mem_dirty_take(s->ram, bitmap);
    copy(s, image, bitmap);
    for (uint64_t page = 0; page < RAM_SIZE >> MEM_PAGE_BITS; page++)
        cr_assert_eq(memcmp(image + page * MEM_PAGE_SIZE, s->ram->host + page * MEM_PAGE_SIZE, MEM_PAGE_SIZE), 0,
                     "page %lu was written unseen", (unsigned long)page);
    cr_expect(seen > 60, "the program wrote little: %lu pages", (unsigned long)seen);
    cr_expect_eq(atomic_load(&s->ram->dirty[(RESERVE - SMALL_RAM) >> MEM_PAGE_BITS]), 0, "a page nobody writes is clean");
    free(image);
    free(bitmap);
    small_destroy(s);
}

Test(dirty, jit)
{
    check(&(struct small_config){.engine = ACCEL_JIT, .cpus = 2, .ram_size = RAM_SIZE});
}
Test(dirty, interpreter)
{
    check(&(struct small_config){.engine = ACCEL_INTERPRETER, .cpus = 2, .ram_size = RAM_SIZE});
}
Test(dirty, regions)
{
    check(&(struct small_config){
        .engine = ACCEL_JIT, .cpus = 2, .ram_size = RAM_SIZE, .tier = ACCEL_TIER_OPT, .one_pass_regions = true});
}
