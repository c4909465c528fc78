// SPDX-License-Identifier: MIT
// The table walk against hand-made tables: granules, levels, sizes, permissions and every fault with its
// level. Each row writes its descriptors, sets the control registers and walks one address.
#include "frontends/a64/key.h"
#include "frontends/a64/mmu.h"
#include "tests/insn/flat_accel.h"

#include <criterion/criterion.h>
#include <string.h>

enum { BASE = 0x100000, SIZE = 0x400000, T0 = 0x100000, T1 = 0x110000, T2 = 0x120000, T3 = 0x130000 };

// Bits of descriptors
#define TABLE 3ull
#define PAGE 3ull
#define BLOCK 1ull
#define AF (1ull << 10)
#define NG (1ull << 11)
#define USER (1ull << 6)
#define RO (1ull << 7)
#define PXN (1ull << 53)
#define UXN (1ull << 54)
#define DEVICE (1ull << 2) // attribute index 1
#define T_PXN (1ull << 59)
#define T_UXN (1ull << 60)
#define T_NOEL0 (1ull << 61)
#define T_RO (1ull << 62)

// Control: 4K granule, 39-bit halves, 48-bit physical addresses.
#define TCR_4K (25ull | 25ull << 16 | 2ull << 30 | 5ull << 32)
#define TCR_16K (17ull | 17ull << 16 | 2ull << 14 | 1ull << 30 | 5ull << 32)
#define TCR_64K (22ull | 22ull << 16 | 1ull << 14 | 3ull << 30 | 5ull << 32)
#define SCTLR_ON 0x30d50999ull
#define WXN (1ull << 19)
#define EE (1ull << 25)

// Protections of the three indices: EL0, EL1, EL1 with PAN.
#define P(el0, el1, pan) ((el0) | (el1) << 4 | (pan) << 8)
enum { R = GUEST_R, W = GUEST_W, X = GUEST_X };

struct row {
    const char *name;
    uint64_t tcr, sctlr, va;
    struct {
        uint64_t addr, value;
    } mem[4];
    unsigned fault; // enum guest_fault_kind, 0: a mapping
    int level;
    uint64_t pa;
    unsigned page_bits;
    uint32_t prot;
    bool device, global;
};

static const struct row rows[] = {
    {"4K page", TCR_4K, SCTLR_ON, 0x40201234,
     {{T0 + 8, T1 | TABLE}, {T1 + 8, T2 | TABLE}, {T2 + 8, 0x80005000 | PAGE | AF | USER}},
     0, 3, 0x80005000, 12, P(R | W | X, R | W, 0), false, true},
    {"4K page, read-only for both, not global", TCR_4K, SCTLR_ON, 0x40201234,
     {{T0 + 8, T1 | TABLE}, {T1 + 8, T2 | TABLE}, {T2 + 8, 0x80005000 | PAGE | AF | USER | RO | NG}},
     0, 3, 0x80005000, 12, P(R | X, R | X, X), false, false},
    {"kernel page", TCR_4K, SCTLR_ON, 0x40201234,
     {{T0 + 8, T1 | TABLE}, {T1 + 8, T2 | TABLE}, {T2 + 8, 0x80005000 | PAGE | AF | UXN | DEVICE}},
     0, 3, 0x80005000, 12, P(0, R | W | X, R | W | X), true, true},
    {"execute-only for EL0", TCR_4K, SCTLR_ON, 0x40201234,
     {{T0 + 8, T1 | TABLE}, {T1 + 8, T2 | TABLE}, {T2 + 8, 0x80005000 | PAGE | AF | RO | PXN}},
     0, 3, 0x80005000, 12, P(X, R, R), false, true},
    {"2M block", TCR_4K, SCTLR_ON, 0x40345678,
     {{T0 + 8, T1 | TABLE}, {T1 + 8, 0x80200000 | BLOCK | AF}}, 0, 2, 0x80200000, 21, P(X, R | W | X,
      R | W | X), false, true},
    {"1G block", TCR_4K, SCTLR_ON, 0x40345678, {{T0 + 8, 0xc0000000 | BLOCK | AF}},
     0, 1, 0xc0000000, 30, P(X, R | W | X, R | W | X), false, true},
    {"upper half", TCR_4K, SCTLR_ON, 0xffffff8040345678, {{T3 + 8, 0xc0000000 | BLOCK | AF}},
     0, 1, 0xc0000000, 30, P(X, R | W | X, R | W | X), false, true},
    {"WXN takes execution from what is writable", TCR_4K, SCTLR_ON | WXN, 0x40345678, {{T0 + 8,
     0xc0000000 | BLOCK | AF | USER}},
     0, 1, 0xc0000000, 30, P(R | W, R | W, 0), false, true},
    {"table attributes: read-only, no EL0, no execution", TCR_4K, SCTLR_ON, 0x40345678,
     {{T0 + 8, T1 | TABLE | T_RO | T_NOEL0 | T_PXN | T_UXN}, {T1 + 8, 0x80200000 | BLOCK | AF | USER}},
     0, 2, 0x80200000, 21, P(0, R, R), false, true},
    {"big-endian tables", TCR_4K, SCTLR_ON | EE, 0x40345678, {{T0 + 8, 0x010400c000000000}},
     0, 1, 0xc0000000, 30, P(X, R | W | X, R | W | X), false, true},
    {"64K page", TCR_64K, SCTLR_ON, 0x20012345,
     {{T0 + 8, T1 | TABLE}, {T1 + 8, 0x80050000 | PAGE | AF}}, 0, 3, 0x80050000, 16, P(X, R | W | X,
      R | W | X), false, true},
    {"512M block of the 64K granule", TCR_64K, SCTLR_ON, 0x20012345, {{T0 + 8, 0xa0000000 | BLOCK | AF}},
     0, 2, 0xa0000000, 29, P(X, R | W | X, R | W | X), false, true},
    {"16K page", TCR_16K, SCTLR_ON, 0x02005678,
     {{T0, T1 | TABLE}, {T1 + 8, T2 | TABLE}, {T2 + 8, 0x80004000 | PAGE | AF}},
     0, 3, 0x80004000, 14, P(X, R | W | X, R | W | X), false, true},
    {"32M block of the 16K granule", TCR_16K, SCTLR_ON, 0x02005678, {{T0, T1 | TABLE}, {T1 + 8,
     0x82000000 | BLOCK | AF}},
     0, 2, 0x82000000, 25, P(X, R | W | X, R | W | X), false, true},
    {"TBI drops the tag", TCR_4K | 1ull << 37, SCTLR_ON, 0x5500000040345678, {{T0 + 8,
     0xc0000000 | BLOCK | AF}},
     0, 1, 0xc0000000, 30, P(X, R | W | X, R | W | X), false, true},

    {"tag without TBI", TCR_4K, SCTLR_ON, 0x5500000040345678, {{T0 + 8, 0xc0000000 | BLOCK | AF}},
     GUEST_FAULT_TRANSLATION, 0},
    {"address above the range", TCR_4K, SCTLR_ON, 0x8000000000, {{0}}, GUEST_FAULT_TRANSLATION, 0},
    {"EPD0", TCR_4K | 1ull << 7, SCTLR_ON, 0x40345678, {{T0 + 8, 0xc0000000 | BLOCK | AF}},
     GUEST_FAULT_TRANSLATION, 0},
    {"EPD1", TCR_4K | 1ull << 23, SCTLR_ON, 0xffffff8040345678, {{T3 + 8, 0xc0000000 | BLOCK | AF}},
     GUEST_FAULT_TRANSLATION, 0},
    {"invalid at level 1", TCR_4K, SCTLR_ON, 0x40201234, {{T0 + 8, 0}}, GUEST_FAULT_TRANSLATION, 1},
    {"invalid at level 2", TCR_4K, SCTLR_ON, 0x40201234, {{T0 + 8, T1 | TABLE}}, GUEST_FAULT_TRANSLATION, 2},
    {"invalid at level 3", TCR_4K, SCTLR_ON, 0x40201234, {{T0 + 8, T1 | TABLE}, {T1 + 8, T2 | TABLE}},
     GUEST_FAULT_TRANSLATION, 3},
    {"block bit pattern at level 3", TCR_4K, SCTLR_ON, 0x40201234,
     {{T0 + 8, T1 | TABLE}, {T1 + 8, T2 | TABLE}, {T2 + 8, 0x80005000 | BLOCK | AF}},
      GUEST_FAULT_TRANSLATION, 3},
    {"block at level 1 of the 16K granule", TCR_16K, SCTLR_ON, 0x02005678, {{T0, 0x80000000 | BLOCK | AF}},
     GUEST_FAULT_TRANSLATION, 1},
    {"access flag clear", TCR_4K, SCTLR_ON, 0x40345678, {{T0 + 8, 0xc0000000 | BLOCK}},
     GUEST_FAULT_ACCESS_FLAG, 1},
    {"output beyond the physical size", (TCR_4K & ~(7ull << 32)), SCTLR_ON, 0x40345678,
     {{T0 + 8, 0x1c0000000 | BLOCK | AF}}, GUEST_FAULT_ADDRESS_SIZE, 1},
    {"table beyond the physical size", (TCR_4K & ~(7ull << 32)), SCTLR_ON, 0x40345678,
     {{T0 + 8, 0x1c0000000 | TABLE}}, GUEST_FAULT_ADDRESS_SIZE, 1},
    {"table where nothing answers", TCR_4K, SCTLR_ON, 0x40345678, {{T0 + 8, 0x90000000 | TABLE}},
     GUEST_FAULT_EXTERNAL, 2},
};

static struct flat *machine(const struct row *row)
{
    struct flat *f = flat_create(&(struct flat_config){.base = BASE, .size = SIZE});
    struct a64_cpu *cpu = f->cpu;
    for (unsigned n = 0; n < ARRAY_SIZE(row->mem); n++)
        if (row->mem[n].addr)
            memcpy(flat_at(f, row->mem[n].addr, 8), &row->mem[n].value, 8);
    cpu->sys[A64_SR_TCR_EL1] = row->tcr;
    cpu->sys[A64_SR_SCTLR_EL1] = row->sctlr;
    cpu->sys[A64_SR_TTBR0_EL1] = T0 | 7ull << 48;
    cpu->sys[A64_SR_TTBR1_EL1] = T3 | 9ull << 48;
    cpu->sys[A64_SR_MAIR_EL1] = 0x04ff; // attribute 0: Normal write-back, 1: Device-nGnRE
    a64_key_update(cpu);
    return f;
}

Test(mmu, walks)
{
    for (const struct row *row = rows; row < rows + ARRAY_SIZE(rows); row++) {
        struct flat *f = machine(row);
        struct guest_mapping map = {0};
        struct guest_fault fault = {0};
        bool ok = a64_isa.walk(&f->cpu->env, row->va, GUEST_READ, 1, &map, &fault);
        if (row->fault) {
            cr_expect(!ok && fault.kind == row->fault && fault.level == row->level && fault.va == row->va,
                      "%s: %s, kind %u level %d", row->name, ok ? "a mapping" : "a fault", fault.kind,
                          fault.level);
        } else {
            uint64_t va = a64_isa.canonical(&f->cpu->env, row->va) & ~bits_mask(row->page_bits);
            cr_expect(ok, "%s: fault %u at level %d", row->name, fault.kind, fault.level);
            cr_expect(map.pa.v == row->pa && map.va == va && map.page_bits == row->page_bits &&
                map.level == row->level,
                      "%s: pa %#lx va %#lx bits %u level %d", row->name, map.pa.v, map.va, map.page_bits,
                          map.level);
            cr_expect(map.prot == row->prot, "%s: protections %#x, not %#x", row->name, map.prot, row->prot);
            cr_expect(map.device == row->device && map.global == row->global, "%s: device %d global %d",
                row->name,
                      map.device, map.global);
        }
        flat_destroy(f);
    }
}

// E0PD hides a half from EL0 whatever its tables say, and from EL0 only.
Test(mmu, e0pd_hides_a_half_from_el0)
{
    struct row row = rows[0];
    for (unsigned half = 0; half < 2; half++) {
        row.tcr = TCR_4K | 1ull << (55 + half);
        struct flat *f = machine(&row);
        struct guest_mapping map = {0};
        struct guest_fault fault = {0};
        bool el0 = a64_isa.walk(&f->cpu->env, row.va, GUEST_READ, A64_MMU_EL0, &map, &fault);
        cr_expect_eq(el0, half == 1);
        if (!el0)
            cr_expect(fault.kind == GUEST_FAULT_TRANSLATION && fault.level == 0);
        cr_expect(a64_isa.walk(&f->cpu->env, row.va, GUEST_READ, A64_MMU_EL1, &map, &fault));
        cr_expect_eq(map.hidden, half == 0 ? 1u << A64_MMU_EL0 : 0);
        flat_destroy(f);
    }
}

Test(mmu, asid_is_that_of_the_chosen_ttbr)
{
    struct row row = rows[0];
    const struct {
        uint64_t tcr;
        unsigned asid;
    } cases[] = {{0, 7}, {1ull << 22, 9}, {1ull << 36, 7}, {1ull << 36 | 1ull << 22, 9}};
    for (unsigned n = 0; n < ARRAY_SIZE(cases); n++) {
        row.tcr = TCR_4K | cases[n].tcr;
        struct flat *f = machine(&row);
        struct guest_context context;
        a64_isa.context(&f->cpu->env, &context);
        cr_expect_eq(context.asid, cases[n].asid);
        cr_expect_eq(context.root[0], T0);
        cr_expect_eq(context.root[1], T3);
        flat_destroy(f);
    }
}

Test(mmu, asid_has_8_bits_unless_tcr_as)
{
    struct row row = rows[0];
    struct flat *f = machine(&row);
    struct guest_context context;
    f->cpu->sys[A64_SR_TTBR0_EL1] = T0 | 0x1234ull << 48;
    a64_isa.context(&f->cpu->env, &context);
    cr_expect_eq(context.asid, 0x34);
    f->cpu->sys[A64_SR_TCR_EL1] |= 1ull << 36;
    a64_isa.context(&f->cpu->env, &context);
    cr_expect_eq(context.asid, 0x1234);
    flat_destroy(f);
}

Test(mmu, a_core_without_the_16K_granule_uses_4K)
{
    struct flat *f = flat_create(&(struct flat_config){.model = "cortex-a72", .base = BASE, .size = SIZE});
    struct guest_mapping map;
    struct guest_fault fault;
    uint64_t block = 0xc0000000 | BLOCK | AF;
    f->cpu->sys[A64_SR_TCR_EL1] = TCR_4K | 2ull << 14;
    f->cpu->sys[A64_SR_SCTLR_EL1] = SCTLR_ON;
    f->cpu->sys[A64_SR_TTBR0_EL1] = T0;
    memcpy(flat_at(f, T0 + 8, 8), &block, 8);
    cr_assert(a64_isa.walk(&f->cpu->env, 0x40345678, GUEST_READ, 1, &map, &fault));
    cr_expect_eq(map.page_bits, 30);
    flat_destroy(f);
}
