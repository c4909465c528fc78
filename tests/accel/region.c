// SPDX-License-Identifier: MIT
// Forming regions from A64 code in a page, and the queue they wait in.
#include "accel/jit/queue.h"
#include "accel/jit/region.h"
#include "base/error.h"
#include "base/log.h"
#include "frontends/a64/isa.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { ADD = 0x91000400, SUBS = 0xf1000421, NOP = 0xd503201f, RET = 0xd65f03c0, LOAD = 0xf9400041, BR = 0xd61f0000 };

static uint32_t b(int from, int to)
{
    return 0x14000000 | ((uint32_t)((to - from) / 4) & 0x3ffffff);
}
static uint32_t bl(int from, int to)
{
    return 0x80000000 | b(from, to);
}
static uint32_t b_ne(int from, int to)
{
    return 0x54000001 | ((uint32_t)((to - from) / 4) & 0x7ffff) << 5;
}

struct scene {
    uint8_t page[IR_PAGE_SIZE];
    struct ir_env *env;
    struct region region;
    struct region_heat heats[8];
    struct region_source source;
};

static const struct log no_log;

static struct scene *make_scene(uint32_t offset)
{
    struct scene *s = calloc(1, sizeof *s);
    struct guest_cpu_config config = {.model = "cortex-a72", .count = 1, .log = &no_log};
    struct error err = {""};
    s->env = aligned_alloc(64, (a64_isa.ir.layout->size + 63) & ~(size_t)63);
    memset(s->env, 0, a64_isa.ir.layout->size);
    cr_assert_eq(a64_isa.create(s->env, &config, &err), 0, "%s", err.text);
    a64_isa.reset(s->env);
    for (uint32_t at = 0; at < IR_PAGE_SIZE; at += 4)
        memcpy(s->page + at, &(uint32_t){NOP}, 4);
    s->source = (struct region_source){.isa = &a64_isa, .guest = &a64_isa.ir, .cpu_model = a64_isa.cpu_model(s->env),
                                       .log = &no_log, .key = s->env->key, .offset = offset, .page = s->page,
                                       .heats = s->heats, .max_insns = 256, .max_accesses = 64};
    return s;
}

static void free_scene(struct scene *s)
{
    region_free(&s->region);
    a64_isa.destroy(s->env);
    free(s->env);
    free(s);
}

static void word(struct scene *s, uint32_t at, uint32_t value)
{
    memcpy(s->page + at, &value, 4);
}

static void heat(struct scene *s, uint32_t offset, uint64_t count)
{
    s->heats[s->source.heat_count++] = (struct region_heat){offset, count};
}

static void form(struct scene *s)
{
    struct error err = {""};
    cr_assert_eq(region_form(&s->region, &s->source), 0);
    cr_assert_eq(ir_verify(&s->region.unit, &err), 0, "%s", err.text);
}

static unsigned count_op(const struct scene *s, enum ir_op op)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < s->region.unit.insn_count; i++)
        n += s->region.unit.insns[i].op == op;
    return n;
}

static void expect_parts(const struct scene *s, const struct region_part *parts, unsigned count)
{
    cr_expect_eq(s->region.count, count, "%u parts", s->region.count);
    for (unsigned i = 0; i < count && i < s->region.count; i++)
        cr_expect(s->region.parts[i].offset == parts[i].offset && s->region.parts[i].bytes == parts[i].bytes,
                  "part %u is %x+%x", i, s->region.parts[i].offset, s->region.parts[i].bytes);
}
#define EXPECT_PARTS(s, ...)                                                                                         \
    expect_parts(s, (const struct region_part[]){__VA_ARGS__},                                                       \
                 sizeof((const struct region_part[]){__VA_ARGS__}) / sizeof(struct region_part))

Test(region, a_loop_ends_behind_its_jump_back)
{
    struct scene *s = make_scene(0x100);
    word(s, 0x100, ADD);
    word(s, 0x104, SUBS);
    word(s, 0x108, b_ne(0x108, 0x100));
    heat(s, 0x100, 1000);
    form(s);
    EXPECT_PARTS(s, {0x100, 12});
    cr_expect_eq(s->region.insns, 3);
    free_scene(s);
}

Test(region, a_loop_over_two_units)
{
    struct scene *s = make_scene(0x100);
    word(s, 0x100, ADD);
    word(s, 0x104, b(0x104, 0x400));
    word(s, 0x400, SUBS);
    word(s, 0x404, b_ne(0x404, 0x100));
    word(s, 0x408, BR);
    heat(s, 0x100, 1000);
    heat(s, 0x400, 1000);
    form(s);
    EXPECT_PARTS(s, {0x100, 8}, {0x400, 12});
    cr_expect_eq(count_op(s, IR_OP_exit_pc), 0);
    cr_expect_eq(count_op(s, IR_OP_poll), 1);
    free_scene(s);
}

Test(region, what_is_cold_stays_outside)
{
    struct scene *s = make_scene(0x100);
    word(s, 0x100, b_ne(0x100, 0x800));
    word(s, 0x104, b(0x104, 0x900));
    word(s, 0x800, BR);
    word(s, 0x900, BR);
    heat(s, 0x100, 1600);
    heat(s, 0x800, 99);
    heat(s, 0x900, 101);
    form(s);
    EXPECT_PARTS(s, {0x100, 8}, {0x900, 4});
    cr_expect_eq(count_op(s, IR_OP_exit_pc), 1);
    free_scene(s);
}

Test(region, a_call_and_its_return)
{
    struct scene *s = make_scene(0x100);
    word(s, 0x100, bl(0x100, 0x200));
    word(s, 0x104, SUBS);
    word(s, 0x108, b_ne(0x108, 0x100));
    word(s, 0x10c, BR);
    word(s, 0x200, ADD);
    word(s, 0x204, RET);
    heat(s, 0x100, 1000);
    heat(s, 0x104, 1000);
    heat(s, 0x200, 3000);
    form(s);
    EXPECT_PARTS(s, {0x100, 4}, {0x200, 8}, {0x104, 12});
    cr_expect_eq(count_op(s, IR_OP_exit_ind), 2);
    cr_expect_eq(count_op(s, IR_OP_icmp), 1);
    cr_expect_eq(count_op(s, IR_OP_exit_pc), 0);
    free_scene(s);
}

Test(region, parts_do_not_overlap)
{
    struct scene *s = make_scene(0x100); // 0x100..0x13c, and a jump from behind into its middle
    word(s, 0x13c, b_ne(0x13c, 0x300));
    word(s, 0x140, BR);
    word(s, 0x300, b(0x300, 0x120));
    heat(s, 0x100, 1000);
    heat(s, 0x300, 500);
    heat(s, 0x120, 500);
    form(s);
    EXPECT_PARTS(s, {0x100, 0x20}, {0x300, 4}, {0x120, 0x24});
    cr_expect_eq(s->region.insns, 8 + 1 + 9);
    free_scene(s);
}

Test(region, bounds_hold)
{
    struct scene *s = make_scene(0x100);
    for (uint32_t at = 0x100; at < 0x100 + 8 * 0x40; at += 0x40) {
        word(s, at, LOAD);
        word(s, at + 4, LOAD);
        word(s, at + 8, b(at + 8, at + 0x40));
        heat(s, at, 1000);
    }
    s->source.max_accesses = 7;
    form(s);
    cr_expect_eq(s->region.count, 3);
    cr_expect_eq(s->region.insns, 9);
    s->source.max_accesses = 64;
    s->source.max_insns = 13;
    form(s);
    cr_expect_eq(s->region.count, 4);
    free_scene(s);
}

// ---- the queue -----------------------------------------------------------------------------------------------------

static struct tier_job job(unsigned n, uint64_t heat)
{
    return (struct tier_job){.offset = n, .heat = heat};
}

Test(queue, holds_each_place_once_and_gives_the_hottest)
{
    struct tier_queue queue = {0};
    struct tier_job got;
    cr_expect(queue_put(&queue, &(struct tier_job){.offset = 1, .heat = 10}));
    cr_expect(queue_put(&queue, &(struct tier_job){.offset = 2, .heat = 20}));
    cr_expect(!queue_put(&queue, &(struct tier_job){.offset = 1, .heat = 30}));
    cr_expect(queue_put(&queue, &(struct tier_job){.offset = 1, .key = 1, .heat = 5}));
    cr_expect_eq(queue.repeated, 1);
    cr_expect(queue_take(&queue, &got) && got.offset == 1 && got.heat == 30);
    cr_expect(queue_take(&queue, &got) && got.offset == 2);
    cr_expect(queue_take(&queue, &got) && got.key == 1);
    cr_expect(!queue_take(&queue, &got));
}

Test(queue, is_bounded_and_drops_the_coldest)
{
    struct tier_queue queue = {0};
    struct tier_job got;
    for (unsigned i = 0; i < TIER_QUEUE; i++) {
        struct tier_job j = job(i, 100 + i);
        cr_assert(queue_put(&queue, &j));
    }
    struct tier_job cold = job(1000, 50), hot = job(1001, 1000);
    cr_expect(!queue_put(&queue, &cold));
    cr_expect(queue_put(&queue, &hot));
    cr_expect_eq(queue.count, TIER_QUEUE);
    cr_expect_eq(queue.dropped, 2);
    cr_expect(queue_take(&queue, &got) && got.offset == 1001);
    uint64_t last = UINT64_MAX;
    while (queue_take(&queue, &got)) {
        cr_expect(got.heat <= last && got.heat > 100);
        last = got.heat;
    }
}
