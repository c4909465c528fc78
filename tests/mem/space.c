// SPDX-License-Identifier: MIT
// The memory space: overlap, aliases, how device accesses are split, locking, and reports of writes to code
// lines.
#include "base/error.h"
#include "mem/mem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trace {
    char text[512];
};

static enum mem_result trace_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct trace *t = opaque;
    size_t n = strlen(t->text);
    snprintf(t->text + n, sizeof t->text - n, "r%u@%llx ", size, (unsigned long long)offset);
    *ret_value = 0x1111111111111111ull * (offset & 15);
    return offset == 0xf00 ? MEM_REFUSED : MEM_OK;
}

static enum mem_result trace_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct trace *t = opaque;
    size_t n = strlen(t->text);
    snprintf(t->text + n, sizeof t->text - n, "w%u@%llx=%llx ", size, (unsigned long long)offset,
             (unsigned long long)value);
    return MEM_OK;
}

static const struct mem_mmio_ops ops_1_8 = {trace_read, trace_write, 1, 8};
static const struct mem_mmio_ops ops_4 = {trace_read, trace_write, 4, 4};

static pthread_mutex_t lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

static struct mem_space *space_new(void)
{
    struct mem_space *space;
    cr_assert_eq(mem_space_create(&lock, &space, NULL), 0);
    return space;
}

Test(mem, overlap_is_an_error_naming_both)
{
    struct mem_space *space = space_new();
    struct error err;
    struct mem_ram *ram;
    cr_assert_eq(mem_add_ram(space, "ram", (struct gpa){0x40000000}, 0x10000, 0, &ram, &err), 0);
    cr_assert_eq(mem_add_ram(space, "low", (struct gpa){0x3ffff000}, 0x2000, 0, NULL, &err), -EEXIST);
    cr_assert(strstr(err.text, "low") && strstr(err.text, "ram"), "%s", err.text);
    cr_assert_eq(mem_add_mmio(space, "uart", (struct gpa){0x4000ffff}, 1, &ops_4, NULL, 0, &err), -EEXIST);
    cr_assert_eq(mem_add_mmio(space, "uart", (struct gpa){0x40010000}, 0x1000, &ops_4, NULL, 0, &err), 0);
    cr_assert_eq(mem_add_mmio(space, "wrap", (struct gpa){~0ull}, 2, &ops_4, NULL, 0, &err), -EINVAL);
    cr_assert_eq(mem_add_mmio(space, "none", (struct gpa){0}, 0, &ops_4, NULL, 0, &err), -EINVAL);
    cr_assert_eq(mem_add_ram(space, "odd", (struct gpa){0x800}, 0x1000, 0, NULL, &err), -EINVAL);
    cr_assert_eq(mem_add_alias(space, "big", (struct gpa){0}, ram, 0x1000, 0x10000, 0, &err), -EINVAL);
    cr_assert_null(mem_find(space, (struct gpa){0x40000000}), "nothing shows before the commit");
    mem_commit(space);
    cr_assert_str_eq(mem_find(space, (struct gpa){0x4000ffff})->name, "ram");
    cr_assert_str_eq(mem_find(space, (struct gpa){0x40010000})->name, "uart");
    cr_assert_null(mem_find(space, (struct gpa){0x3fffffff}));
    cr_assert_null(mem_find(space, (struct gpa){0x40011000}));

    mem_remove(space, (struct gpa){0x40010000});
    for (unsigned i = 0; i < 100; i++) { // a moving BAR
        cr_assert_eq(
            mem_add_mmio(space, "bar", (struct gpa){0x50000000 + i * 0x1000}, 0x1000, &ops_4, NULL, 0, &err),
            0);
        free((void *)mem_commit(space));
        mem_remove(space, (struct gpa){0x50000000 + i * 0x1000});
    }
    cr_assert_str_eq(mem_find(space, (struct gpa){0x50000000 + 99 * 0x1000})->name, "bar");
    cr_assert_null(mem_find(space, (struct gpa){0x40010000}));
    mem_space_destroy(space);
}

Test(mem, alias_and_rom)
{
    struct mem_space *space = space_new();
    struct mem_ram *ram;
    cr_assert_eq(mem_add_ram(space, "ram", (struct gpa){0x100000}, 0x4000, 0, &ram, NULL), 0);
    cr_assert_eq(mem_add_alias(space, "rom", (struct gpa){0}, ram, 0x1000, 0x2000, MEM_READONLY, NULL), 0);
    mem_commit(space);
    uint64_t v = 0x1122334455667788;
    cr_assert_eq(mem_write(space, (struct gpa){0x101ffc}, &v, 8, false), MEM_OK);
    v = 0;
    cr_assert_eq(mem_read(space, (struct gpa){0xffc}, &v, 8, false), MEM_OK);
    cr_assert_eq(v, 0x1122334455667788);
    cr_assert_eq(mem_write(space, (struct gpa){0xffc}, "\0\0\0\0\0\0\0", 8, false), MEM_OK);
    cr_assert_eq(memcmp(ram->host + 0x1ffc, &v, 8), 0, "ROM must not change");
    cr_assert_null(mem_host(space, (struct gpa){0}, 8));
    cr_assert_eq(mem_host(space, (struct gpa){0x100010}, 0x3ff0), ram->host + 0x10);
    cr_assert_null(mem_host(space, (struct gpa){0x100010}, 0x3ff1));
    cr_assert_null(mem_host(space, (struct gpa){0x100010}, ~0ull));
    cr_assert_eq(mem_read(space, (struct gpa){0x1ffc}, &v, 8, false), MEM_NOTHING_THERE);
    mem_space_destroy(space);
}

Test(mem, device_access_is_split)
{
    static const struct {
        uint64_t addr;
        unsigned size;
        const char *trace;
        enum mem_result result;
    } rows[] = {
        {0x1000, 8, "r8@0 ", MEM_OK},        {0x1001, 8, "r1@1 r2@2 r4@4 r1@8 ", MEM_OK},
        {0x1ffc, 4, "r4@ffc ", MEM_OK},      {0x1ffe, 4, "", MEM_REFUSED},
        {0x1f00, 1, "r1@f00 ", MEM_REFUSED}, {0x2000, 8, "r4@0 r4@4 ", MEM_OK},
        {0x2000, 2, "", MEM_REFUSED},        {0x2002, 4, "", MEM_REFUSED},
    };
    struct mem_space *space = space_new();
    struct trace t;
    cr_assert_eq(mem_add_mmio(space, "any", (struct gpa){0x1000}, 0x1000, &ops_1_8, &t, 0, NULL), 0);
    cr_assert_eq(mem_add_mmio(space, "word", (struct gpa){0x2000}, 0x1000, &ops_4, &t, 0, NULL), 0);
    mem_commit(space);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct mem_range *range = mem_find(space, (struct gpa){rows[i].addr});
        uint64_t value = 0;
        t.text[0] = 0;
        enum mem_result result =
            mem_mmio_read(space, range, rows[i].addr - range->base, rows[i].size, &value, false);
        cr_expect_eq(result, rows[i].result, "row %zu: %d", i, result);
        cr_expect_str_eq(t.text, rows[i].trace, "row %zu", i);
    }
    t.text[0] = 0;
    cr_assert_eq(mem_write(space, (struct gpa){0x2ff8}, "\1\2\3\4\5\6\7\10", 8, false), MEM_OK);
    cr_assert_str_eq(t.text, "w4@ff8=4030201 w4@ffc=8070605 ");
    uint64_t v = 0;
    t.text[0] = 0;
    cr_assert_eq(mem_read(space, (struct gpa){0x1ffc}, &v, 8, false), MEM_OK,
                 "crosses from one device to the next");
    cr_assert_str_eq(t.text, "r4@ffc r4@0 ");
    mem_space_destroy(space);
}

static enum mem_result held_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    // An error-checking mutex: EDEADLK when this thread holds it.
    int code = pthread_mutex_lock(&lock);
    if (!code)
        pthread_mutex_unlock(&lock);
    *ret_value = code == EDEADLK;
    return MEM_OK;
}

Test(mem, lock_is_held_for_locked_devices_only)
{
    static const struct mem_mmio_ops ops = {held_read, trace_write, 1, 8};
    struct mem_space *space = space_new();
    cr_assert_eq(mem_add_mmio(space, "locked", (struct gpa){0}, 8, &ops, NULL, 0, NULL), 0);
    cr_assert_eq(mem_add_mmio(space, "own", (struct gpa){8}, 8, &ops, NULL, MEM_UNLOCKED, NULL), 0);
    mem_commit(space);
    uint8_t held = 0;
    mem_read(space, (struct gpa){0}, &held, 1, false);
    cr_assert(held);
    mem_read(space, (struct gpa){8}, &held, 1, false);
    cr_assert_not(held);
    pthread_mutex_lock(&lock);
    mem_read(space, (struct gpa){0}, &held, 1, true);
    cr_assert(held);
    pthread_mutex_unlock(&lock);
    mem_space_destroy(space);
}

struct report {
    unsigned count;
    uint64_t offset, len;
};

static void code_written(void *opaque, struct mem_ram *ram, uint64_t offset, uint64_t len)
{
    struct report *r = opaque;
    *r = (struct report){r->count + 1, offset, len};
}

Test(mem, writes_to_code_lines_are_reported)
{
    struct mem_space *space = space_new();
    struct mem_ram *ram;
    struct report r = {0};
    cr_assert_eq(mem_add_ram(space, "ram", (struct gpa){0x100000}, 0x4000, 0, &ram, NULL), 0);
    mem_commit(space);
    space->watcher = (struct mem_watcher){.code_written = code_written, .opaque = &r};
    atomic_store(&ram->code_lines[1], 1ull << 2 | 1ull << 63); // 0x1080-0x10bf, 0x1fc0-0x1fff
    static const struct {
        uint64_t offset, len;
        bool reported;
    } rows[] = {
        {0x107f, 1, false},     {0x107f, 2, true},      {0x10bf, 1, true}, {0x10c0, 8, false},
        {0x1fbc, 8, true},      {0x2000, 8, false},     {0x1ff8, 9, true}, {0x0000, 0x1000, false},
        {0x0000, 0x4000, true}, {0x10c0, 0xf00, false},
    };
    static uint8_t buf[0x4000];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        memset(buf, (int)i + 1, sizeof buf);
        r.count = 0;
        cr_assert_eq(mem_write(space, (struct gpa){0x100000 + rows[i].offset}, buf, rows[i].len, false),
                     MEM_OK);
        cr_expect_eq(r.count, rows[i].reported, "row %zu", i);
        if (r.count)
            cr_expect(r.offset == rows[i].offset && r.len == rows[i].len, "row %zu", i);
    }
    r.count = 0;
    cr_assert_eq(mem_write(space, (struct gpa){0x101080}, ram->host + 0x1080, 64, false), MEM_OK);
    cr_assert_eq(r.count, 0, "a write that changes nothing is not reported");
    mem_wrote(space, (struct gpa){0x101000}, 0x81);
    cr_assert_eq(r.count, 1, "DMA is");
    cr_assert_eq(atomic_load(&ram->dirty[1]), 1);
    mem_space_destroy(space);
}
