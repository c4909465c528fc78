// SPDX-License-Identifier: MIT
// The tagged TLB drops exactly what an invalidation names.
#include "accel/jit/jit.h"

#include <criterion/criterion.h>

static struct tlb *tlb;

static void set_up(void)
{
    cr_assert_eq(tlb_create(&tlb), 0);
}
static void tear_down(void)
{
    tlb_destroy(tlb);
}
TestSuite(tlb, .init = set_up, .fini = tear_down);

static void add(uint64_t va, unsigned bits, uint32_t asid, bool global)
{
    tlb_insert(tlb, &(struct guest_mapping){
                        .va = va, .pa = {va + 0x1000000}, .page_bits = (uint8_t)bits, .asid = asid, .global = global});
}

// "va bits asid global" of the mapping, an invalidation, and what then answers for (probe va, probe asid).
static const struct {
    uint64_t va;
    unsigned bits, asid;
    bool global;
    struct guest_tlbi tlbi;
    uint64_t probe;
    unsigned probe_asid;
    bool hit;
} cases[] = {
    {0x4000, 12, 5, false, {.kind = GUEST_TLBI_VA, .va = 0x4fff, .asid = 5}, 0x4000, 5, false},
    {0x4000, 12, 5, false, {.kind = GUEST_TLBI_VA, .va = 0x4000, .asid = 6}, 0x4000, 5, true},
    {0x4000, 12, 5, false, {.kind = GUEST_TLBI_VA, .va = 0x5000, .asid = 5}, 0x4010, 5, true},
    {0x4000, 12, 5, false, {.kind = GUEST_TLBI_VA_ALL_ASID, .va = 0x4000, .asid = 0}, 0x4000, 5, false},
    {0x4000, 12, 5, false, {.kind = GUEST_TLBI_ASID, .asid = 5}, 0x4000, 5, false},
    {0x4000, 12, 5, false, {.kind = GUEST_TLBI_ASID, .asid = 4}, 0x4000, 5, true},
    {0x4000, 12, 5, false, {.kind = GUEST_TLBI_ASID, .asid = 4}, 0x4000, 4, false},
    {0x4000, 12, 5, true, {.kind = GUEST_TLBI_ASID, .asid = 5}, 0x4000, 5, true},
    {0x4000, 12, 5, true, {.kind = GUEST_TLBI_ASID, .asid = 5}, 0x4000, 77, true},
    {0x4000, 12, 5, true, {.kind = GUEST_TLBI_VA, .va = 0x4000, .asid = 9}, 0x4000, 5, false},
    {0x4000, 12, 5, true, {.kind = GUEST_TLBI_ALL}, 0x4000, 5, false},
    {0x200000, 21, 5, false, {.kind = GUEST_TLBI_VA, .va = 0x3ff000, .asid = 5}, 0x212345, 5, false},
    {0x200000, 21, 5, false, {.kind = GUEST_TLBI_VA, .va = 0x400000, .asid = 5}, 0x3fffff, 5, true},
    {0x40000000, 30, 1, true, {.kind = GUEST_TLBI_VA_ALL_ASID, .va = 0x7fffffff}, 0x40000000, 1, false},
    {0xffff000012340000, 16, 1, true, {.kind = GUEST_TLBI_ASID, .asid = 1}, 0xffff00001234ffff, 3, true},
};

Test(tlb, invalidation_is_exact)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        tlb_invalidate(tlb, &(struct guest_tlbi){.kind = GUEST_TLBI_ALL});
        add(cases[i].va, cases[i].bits, cases[i].asid, cases[i].global);
        tlb_invalidate(tlb, &cases[i].tlbi);
        const struct guest_mapping *map = tlb_find(tlb, cases[i].probe, cases[i].probe_asid);
        cr_expect_eq(map != NULL, cases[i].hit, "case %zu", i);
    }
}

Test(tlb, full_sets_replace_and_stay_right)
{
    for (uint64_t n = 0; n < 3 * TLB_SETS * TLB_WAYS; n++)
        add(n << 12, 12, 1, false);
    unsigned found = 0;
    for (uint64_t n = 0; n < 3 * TLB_SETS * TLB_WAYS; n++) {
        const struct guest_mapping *map = tlb_find(tlb, n << 12, 1);
        if (map) {
            cr_assert_eq(map->pa.v, (n << 12) + 0x1000000);
            found++;
        }
    }
    cr_expect_eq(found, TLB_SETS * TLB_WAYS);
}
