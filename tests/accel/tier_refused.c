// SPDX-License-Identifier: MIT
// What the tier does around an optimiser that makes nothing, or nothing of use: trying again with less, ending while it is
// at work, giving up regions that only fall back. The optimisers are the test's own. What the tier's thread is told here is written before it starts and read after it ended.
#include "tests/accel/small.h"

#include "accel/jit/tier.h"
#include "frontends/a64/a64.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { PROGRAM = SMALL_PROGRAMS, DATA = PROGRAM + 0x1000, NOPS = 150 };

struct fake {
    struct guest_isa isa;  // a64_isa with our destroy
    _Atomic unsigned calls;
    _Atomic bool destroyed, freed_before; // the optimiser; a vCPU's state was freed before it
};
static struct fake fake; // neither create of an optimiser nor destroy of a vCPU gets a pointer from its user

static int create(const struct optimiser_config *config, struct optimiser **ret_optimiser, struct error *err)
{
    *ret_optimiser = (struct optimiser *)&fake;
    return 0;
}

static void destroy(struct optimiser *optimiser)
{
    fake.destroyed = true;
}

static int too_big(struct optimiser *optimiser, const struct optimiser_request *request, struct optimiser_region *region)
{
    fake.calls++;
    return -E2BIG;
}

static void release(struct optimiser *optimiser, void *handle)
{
}

static const struct optimiser_ops refusing = {
    .name = "refusing", .create = create, .destroy = destroy, .compile = too_big, .release = release};

static void destroy_vcpu(struct ir_env *env)
{
    fake.freed_before |= !fake.destroyed;
    a64_isa.destroy(env);
}

// A loop of NOPS nops that counts its rounds at DATA: too long for the second attempt, which then finds no loop.
static void load_loop(struct small *small)
{
    uint32_t words[NOPS + 5] = {0x91400402, 0xd2800006, [2] = 0x910004c6, 0xf9000046}; // x2 = data; x6 = 0; x6++; str
    for (unsigned i = 4; i < NOPS + 4; i++)
        words[i] = 0xd503201f;
    words[NOPS + 4] = 0x14000000 | (-(NOPS + 2) & 0x3ffffff); // b to the third
    small_code(small, PROGRAM, words, sizeof words);
}

static struct optimiser_memory pool; // as fake

static int create_falling(const struct optimiser_config *config, struct optimiser **ret_optimiser, struct error *err)
{
    pool = config->memory;
    return create(config, ret_optimiser, err);
}

// mov rax, fallback; jmp [rax]
static int fall_back(struct optimiser *optimiser, const struct optimiser_request *request, struct optimiser_region *region)
{
    uint8_t code[] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x20};
    memcpy(code + 2, &request->fallback, 8);
    uint8_t *at = pool.take(pool.opaque, sizeof code);
    memcpy(at, code, sizeof code);
    mprotect(at, 4096, PROT_READ | PROT_EXEC);
    fake.calls++;
    *region = (struct optimiser_region){.entry = at, .code_size = sizeof code, .handle = at};
    return 0;
}

static void release_falling(struct optimiser *optimiser, void *handle)
{
    pool.give(pool.opaque, handle, 4096);
}

static const struct optimiser_ops falling = {
    .name = "falling", .create = create_falling, .destroy = destroy, .compile = fall_back, .release = release_falling};

static struct small *start(const struct optimiser_ops *optimiser)
{
    fake.isa = a64_isa;
    fake.isa.destroy = destroy_vcpu;
    struct small *small = small_make(&(struct small_config){.engine = ACCEL_JIT, .cpus = 1, .ram_size = 4 << 20,
                                                            .tier = ACCEL_TIER_AUTO, .optimiser = optimiser, .isa = &fake.isa});
    load_loop(small);
    small_start(small, 0, PROGRAM);
    return small;
}

Test(tier_refused, a_region_too_big_is_tried_smaller_and_given_up)
{
    struct small *small = start(&refusing);
    for (uint64_t n = 1; n < 100000 && !tier_counts(small->accel).straight; n++)
        cr_assert(small_run_until(small, DATA, n * 20000, 60));
    cr_expect_gt(tier_counts(small->accel).straight, 0);
    cr_expect_gt(fake.calls, 0);
    small_destroy(small);
}

Test(tier_refused, the_compile_thread_ends_before_what_it_uses)
{
    struct small *small = start(&refusing);
    for (uint64_t n = 1; n < 100000 && !fake.calls; n++)
        cr_assert(small_run_until(small, DATA, n * 20000, 60));
    small_destroy(small);
    cr_expect(fake.destroyed);
    cr_expect_not(fake.freed_before);
}

Test(tier_refused, a_region_that_falls_back_runs_on_and_is_given_up)
{
    struct small *small = start(&falling);
    for (uint64_t n = 1; n < 100000 && !tier_counts(small->accel).given_up; n++)
        cr_assert(small_run_until(small, DATA, n * 20000, 60));
    cr_expect_gt(tier_counts(small->accel).given_up, 0);
    cr_expect_leq(tier_counts(small->accel).made, fake.calls);
    small_destroy(small);
}
