// SPDX-License-Identifier: MIT
// Random guests against every device: register accesses of all sizes, input lines, passing time, resets, and
// saved states with flipped bytes. Asserts, sanitizers and the few invariants checked here judge. The seed is
// fixed; give another, and a number of rounds, in FUZZ_SEED and FUZZ_ROUNDS.
#include "base/entropy.h"
#include "base/error.h"
#include "hw/core/state.h"
#include "tests/hw/device_bench.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct guest {
    struct bench b;
    struct entropy random;
};

static uint64_t pick(struct guest *g, uint64_t below)
{
    uint64_t v;
    entropy_fill(&g->random, &v, sizeof v);
    return below ? v % below : v;
}

// Values a guest might write: small, one bit, all ones, anything.
static uint64_t some_value(struct guest *g)
{
    switch (pick(g, 5)) {
    case 0: return pick(g, 64);
    case 1: return 1ull << pick(g, 64);
    case 2: return -pick(g, 3);
    case 3: return pick(g, 0) & pick(g, 0);
    default: return pick(g, 0);
    }
}

static void access_mmio(struct guest *g)
{
    struct bench *b = &g->b;
    unsigned r = (unsigned)pick(g, b->region_count), size = 1u << pick(g, 4);
    uint64_t size_of = b->regions[r].size, offset = pick(g, size_of), value = some_value(g);
    if (pick(g, 4))
        offset = (offset & 0x1f000) | (offset & 0xfff & pick(g, 0)); // registers crowd at the low end
    offset = offset % size_of & ~(size - 1ull);
    const struct mem_mmio_ops *ops = b->regions[r].ops;
    if (size < ops->min_size || size > ops->max_size)
        size = 4, offset &= ~3ull;
    if (size < 8)
        value &= (1ull << size * 8) - 1;
    b->cpu = (unsigned)pick(g, BENCH_CPUS + 1);
    if (pick(g, 3)) {
        ops->write(b->regions[r].opaque, offset, size, value);
    } else {
        value = 0;
        if (ops->read(b->regions[r].opaque, offset, size, &value) == MEM_OK && size < 8)
            cr_assert_eq(value >> size * 8, 0, "a read of %u bytes gives more", size);
    }
}

static void save_and_load(struct guest *g)
{
    struct bench *b = &g->b;
    struct state_buf buf = {0};
    struct error err;
    for (unsigned i = 0; i < b->dev_count; i++)
        cr_assert_eq(state_save(b->devs[i], clock_now(&b->clock), &buf, &err), 0);
    unsigned flips = (unsigned)pick(g, 4);
    for (unsigned i = 0; i < flips; i++)
        buf.data[pick(g, buf.size)] ^= (uint8_t)(1u << pick(g, 8));
    size_t size = pick(g, 8) ? buf.size : pick(g, buf.size);
    int code = state_load(b->devs, b->dev_count, clock_now(&b->clock), buf.data, size, &err);
    cr_assert(code == 0 || flips || size < buf.size, "%s", err.text);
    state_buf_free(&buf);
    if (code)
        for (unsigned i = 0; i < b->dev_count; i++)
            device_reset(b->devs[i]);
}

static void round_of(struct guest *g)
{
    struct bench *b = &g->b;
    switch (pick(g, 64)) {
    case 0:
        if (!pick(g, 16))
            device_reset(b->devs[pick(g, b->dev_count)]);
        break;
    case 1:
        if (!pick(g, 8))
            save_and_load(g);
        break;
    case 2 ... 7:
        b->now += (int64_t)(1ull << pick(g, 40));
        b->now &= INT64_MAX >> 1;
        loop_once(b->loop, 0);
        break;
    case 8 ... 11: {
        uint8_t text[40];
        size_t room = chardev_can_deliver(&b->chardev);
        entropy_fill(&g->random, text, sizeof text);
        chardev_deliver(&b->chardev, text, room < sizeof text ? room : sizeof text);
        chardev_notify(&b->chardev, (enum chardev_event)pick(g, 3));
        break;
    }
    case 12 ... 23:
        if (b->line_count)
            irq_set(&b->lines[pick(g, b->line_count)], pick(g, 2));
        break;
    default:
        if (b->ports && (!b->region_count || pick(g, 2)))
            bench_access_ports(b, (unsigned)pick(g, 160), (unsigned)pick(g, BENCH_CPUS + 1), pick(g, 2),
                               some_value(g));
        else
            access_mmio(g);
        break;
    }
    bench_check(b);
}

static void fuzz(enum bench_kind kind)
{
    const char *seed = getenv("FUZZ_SEED"), *rounds = getenv("FUZZ_ROUNDS");
    struct guest g;
    entropy_init_seeded(&g.random, seed ? strtoull(seed, NULL, 0) : 1);
    bench_make(&g.b, kind);
    for (unsigned long n = rounds ? strtoul(rounds, NULL, 0) : 30000; n; n--)
        round_of(&g);
    bench_free(&g.b);
    entropy_destroy(&g.random);
}

Test(fuzz, pl011)
{
    fuzz(BENCH_PL011);
}
Test(fuzz, pl031)
{
    fuzz(BENCH_PL031);
}
Test(fuzz, watchdog)
{
    fuzz(BENCH_GWDT);
}
Test(fuzz, pl061)
{
    fuzz(BENCH_PL061);
}
Test(fuzz, gicv2)
{
    fuzz(BENCH_GICV2);
}
Test(fuzz, gicv3)
{
    fuzz(BENCH_GICV3);
}
Test(fuzz, generic_timer)
{
    fuzz(BENCH_TIMER);
}
