// SPDX-License-Identifier: MIT
// Jumps between pages lead where the running context's translation says at that moment: units of one page are linked to
// those of the next, and then what the next page is changes in every way it can. VA and VA + 4 KiB are mapped by tables of
// the test; the caller on the first calls the second three times, changes it, and starts over.
#include "tests/accel/small.h"

#include <criterion/criterion.h>
#include <string.h>

enum { L1 = SMALL_RAM + 0x1000, L2 = SMALL_RAM + 0x10000, L3 = SMALL_RAM + 0x11000, OTHER_L1 = SMALL_RAM + 0x12000,
       OTHER_L2 = SMALL_RAM + 0x13000, OTHER_L3 = SMALL_RAM + 0x14000, CALLER = SMALL_RAM + 0x20000,
       TARGET = SMALL_RAM + 0x21000, OTHER_TARGET = SMALL_RAM + 0x22000, AREA = SMALL_RAM + 0x30000 };
enum { TABLE = 3, PAGE = 0xf03 /* inner shareable, accessed, of its ASID, read-write at EL1 */, INDEX = 5, ROUNDS = 60 };
static const uint64_t va = 0x80005000;

static void map(struct small *small, uint64_t l1, uint64_t l2, uint64_t l3, uint64_t target)
{
    *(uint64_t *)small_at(small, l1 + 8) = SMALL_RAM | 0x701;
    *(uint64_t *)small_at(small, l1 + 16) = l2 | TABLE;
    *(uint64_t *)small_at(small, l2) = l3 | TABLE;
    *(uint64_t *)small_at(small, l3 + 8 * INDEX) = CALLER | PAGE;
    *(uint64_t *)small_at(small, l3 + 8 * (INDEX + 1)) = target | PAGE;
}

// Loads x1, x2, x5, x6, x7, x8 from behind itself, x3 := 0, and goes to x1.
static void put_start(struct small *small, uint64_t addr, const uint64_t x[6])
{
    static const uint32_t start[] = {0x58000141, 0x58000162, 0x58000185, 0x580001a6, 0x580001c7, 0x580001e8, // ldr
                                     0xd2800003, 0xd280000c | ROUNDS << 5, 0xd61f0020, 0xd503201f}; // mov x12; br x1
    small_code(small, addr, start, sizeof start);
    memcpy(small_at(small, addr + sizeof start), x, 6 * sizeof *x);
}

enum { CHANGE = 6, STR = 0xf9000046 /* str x6, [x2] */, DSB_ISHST = 0xd5033a9f, DSB = 0xd5033b9f, ISB = 0xd5033fdf,
       NOP = 0xd503201f };
enum change_kind { MAPPING, WORD, ROOT };
static const struct {
    const char *name;
    enum change_kind kind;
    uint32_t code[CHANGE];
} changes[] = {
    {"remapped, tlbi vae1", MAPPING, {STR, DSB_ISHST, 0xd5088727, DSB, ISB, NOP}},
    {"remapped, tlbi vale1", MAPPING, {STR, DSB_ISHST, 0xd50887a7, DSB, ISB, NOP}},
    {"remapped, tlbi vaae1is", MAPPING, {STR, DSB_ISHST, 0xd5088367, DSB, ISB, NOP}},
    {"remapped, tlbi aside1", MAPPING, {STR, DSB_ISHST, 0xd5088747, DSB, ISB, NOP}},
    {"remapped, tlbi vmalle1", MAPPING, {STR, DSB_ISHST, 0xd508871f, DSB, ISB, NOP}},
    {"its code changed", WORD, {0xb9000046 /* str w6, [x2] */, 0xd50b7b22 /* dc cvau, x2 */, DSB, 0xd50b7522 /* ic ivau, x2 */,
                                DSB, ISB}},
    {"another address space", ROOT, {0xd5182006 /* msr ttbr0_el1, x6 */, ISB, NOP, NOP, NOP, NOP}},
};
static const uint32_t adds_1[] = {0x91000463, 0xd65f03c0}, adds_100[] = {0x91019063, 0xd65f03c0}; // add x3, x3, #n; ret

static void check(unsigned n)
{
    struct small *small = small_create(ACCEL_JIT, 1, 4 << 20, 0);
    static const uint32_t calls[] = {0x94000400, 0x940003ff, 0x940003fe}; // bl to the next page's beginning
    static const uint32_t rest[] = {0xaa0503e9, 0xaa0603e5, 0xaa0903e6, 0xd100058c, 0xb5fffe6c, // x5 <-> x6; again, x12 times
                                    0xf9000503, 0xd2800029, 0xf9000109, 0x14000000}; // x3 to [x8, #8], 1 to [x8]; b .
    const uint64_t x[][6] = {
        [MAPPING] = {va, L3 + 8 * (INDEX + 1), TARGET | PAGE, OTHER_TARGET | PAGE, (va >> 12) + 1, AREA},
        [WORD] = {va, TARGET, adds_1[0], adds_100[0], 0, AREA},
        [ROOT] = {va, 0, L1 | 1ull << 48, OTHER_L1 | 2ull << 48, 0, AREA},
    };
    map(small, L1, L2, L3, TARGET);
    map(small, OTHER_L1, OTHER_L2, OTHER_L3, OTHER_TARGET);
    small_code(small, TARGET, adds_1, sizeof adds_1);
    small_code(small, OTHER_TARGET, adds_100, sizeof adds_100);
    small_code(small, CALLER, calls, sizeof calls);
    small_code(small, CALLER + sizeof calls, changes[n].code, sizeof changes[n].code);
    small_code(small, CALLER + sizeof calls + sizeof changes[n].code, rest, sizeof rest);
    put_start(small, SMALL_PROGRAMS, x[changes[n].kind]);
    small_start(small, 0, SMALL_PROGRAMS);
    cr_expect(small_run_until(small, AREA, 1, 20), "%s: hangs", changes[n].name);
    uint64_t sum = *(uint64_t *)small_at(small, AREA + 8);
    cr_expect_eq(sum, ROUNDS / 2 * 3 * 101, "%s: %llu", changes[n].name, (unsigned long long)sum);
    cr_expect_gt(small->accel->jit.links_made, 2, "%s: not linked", changes[n].name);
    small_destroy(small);
}

Test(links, follow_the_page)
{
    for (unsigned n = 0; n < ARRAY_SIZE(changes); n++)
        check(n);
}

// Another CPU maps the page elsewhere and broadcasts that: after its DSB the listener gets there. It says the round's number
// at AREA, the listener what it has seen at AREA + 8, and how often it came to the wrong page at AREA + 16.
Test(links, follow_what_another_cpu_maps)
{
    static const uint32_t listener[] = {
        0x94000400, 0xc8dffd04, 0xeb05009f, 0x54ffffa0, // bl next page; ldar x4, [x8]; cmp x4, x5; b.eq to the bl
        0xaa0403e5, 0xd5033fdf, 0xd2800003, 0x940003f9, // mov x5, x4; isb; mov x3, #0; bl next page
        0x92400089, 0x91000529, 0xeb09007f, 0x9a8604c6, // cmp x3, (x4 & 1) + 1; cinc x6, x6, ne
        0xf9000906, 0x91002109, 0xc89ffd24, 0x17fffff1, // str x6, [x8, #16]; stlr x4, [x8 + 8]; b to the beginning
    };
    static const uint32_t shooter[] = {
        0xd2800004, 0x91000484, 0xf9000045, 0xd5033a9f, // mov x4, #0; add x4, x4, #1; str x5, [x2]; dsb ishst
        0xd5088367, 0xd5033b9f, 0xc89ffd04, 0x91002109, // tlbi vaae1is, x7; dsb ish; stlr x4, [x8]; add x9, x8, #8
        0xc8dffd2a, 0xeb04015f, 0x54ffffc1,             // ldar x10, [x9]; cmp x10, x4; b.ne to the ldar
        0xaa0503e9, 0xaa0603e5, 0xaa0903e6, 0x17fffff3, // x5 <-> x6; b to the add
    };
    static const uint32_t is_1[] = {0xd2800023, 0xd65f03c0}, is_2[] = {0xd2800043, 0xd65f03c0}; // mov x3, #n; ret
    enum { SHOOTER = SMALL_RAM + 0x40000, SECOND = SMALL_PROGRAMS + 0x1000, TIMES = 300 };
    struct small *small = small_create(ACCEL_JIT, 2, 4 << 20, 0);
    const uint64_t l3 = L3 + 8 * (INDEX + 1);
    map(small, L1, L2, L3, TARGET);
    small_code(small, TARGET, is_1, sizeof is_1);
    small_code(small, OTHER_TARGET, is_2, sizeof is_2);
    small_code(small, CALLER, listener, sizeof listener);
    small_code(small, SHOOTER, shooter, sizeof shooter);
    put_start(small, SMALL_PROGRAMS, (const uint64_t[6]){va, l3, 0, 0, 0, AREA});
    put_start(small, SECOND, (const uint64_t[6]){SHOOTER, l3, OTHER_TARGET | PAGE, TARGET | PAGE, (va >> 12) + 1, AREA});
    small_start(small, 0, SMALL_PROGRAMS);
    small_start(small, 1, SECOND);
    cr_expect(small_run_until(small, AREA + 8, TIMES, 30), "hangs");
    cr_expect_eq(*(uint64_t *)small_at(small, AREA + 16), 0);
    small_destroy(small);
}
