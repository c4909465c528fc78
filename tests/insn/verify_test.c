// SPDX-License-Identifier: MIT
// Translates pages of random words under random keys and verifies every unit: whatever a guest's memory holds,
// translation gives a well-formed unit that covers what it says. Half of the words come from the decode table
// (every live row, unpredictable forms too), the rest are raw.
#include "base/error.h"
#include "frontends/a64/a64.h"
#include "frontends/a64/cpu_models.h"
#include "frontends/a64/decode.h"
#include "frontends/a64/key.h"

#include <criterion/criterion.h>
#include <string.h>

enum { PAGES = 60, UNITS = 60 };

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void fill(uint8_t page[IR_PAGE_SIZE], uint64_t *s)
{
    const struct a64_random_options options = {.features = ~0u, .classes = ~0u, .gprs = ~0u, .vregs = ~0u,
                                               .bases = ~0u, .unpredictable = true};
    for (unsigned at = 0; at < IR_PAGE_SIZE; at += 4) {
        uint32_t word = next(s) & 1 ? a64_random_insn(s, &options) : (uint32_t)(next(s) >> 16);
        // Branches that stay near make loops and diamonds.
        if (word >> 24 == 0x54 || (word >> 25 & 0x3f) == 0x1a)
            word = (word & ~0x00ffff00u) | (uint32_t)(next(s) % 16 << 5 & 0xff00);
        memcpy(page + at, &word, 4);
    }
}

static uint32_t random_key(uint64_t *s)
{
    uint32_t key = (uint32_t)next(s) & 0x003fffff & ~(A64_KEY_EL | A64_KEY_IL | A64_KEY_STEP);
    key |= next(s) & 1;
    if (next(s) % 16 == 0)
        key |= A64_KEY_IL;
    if (next(s) % 8 == 0)
        key |= A64_KEY_STEP;
    return key;
}

Test(translate, every_unit_verifies)
{
    uint64_t s = 0x1234567;
    uint8_t page[IR_PAGE_SIZE];
    struct ir_unit unit = {0};
    for (unsigned p = 0; p < PAGES; p++) {
        fill(page, &s);
        for (unsigned n = 0; n < UNITS; n++) {
            struct guest_translate request = {
                .cpu_model = &a64_cpu_models[next(&s) % a64_cpu_model_count], .key = random_key(&s), .page = page,
                .offset = next(&s) % 8 ? (uint32_t)next(&s) & 0xffc : (uint32_t)next(&s) & 0xfff,
                .max_insns = next(&s) % 4 ? 64 : 1 + (uint32_t)next(&s) % 300};
            struct error err;
            ir_unit_reset(&unit, &a64_isa.ir);
            cr_assert_eq(a64_isa.translate(&request, &unit), 0);
            int r = ir_verify(&unit, &err);
            if (r)
                ir_print(&unit, stdout);
            cr_assert_eq(r, 0, "page %u unit %u key %#x offset %#x: %s", p, n, request.key, request.offset,
                         err.text);
            cr_assert(unit.guest_insns >= 1 && unit.guest_insns <= request.max_insns);
            cr_assert(unit.guest_bytes >= 1 && request.offset + unit.guest_bytes <= IR_PAGE_SIZE);
        }
    }
    ir_unit_free(&unit);
}

// The same request gives the same unit, whatever was translated before.
Test(translate, is_deterministic)
{
    uint64_t s = 99;
    uint8_t page[IR_PAGE_SIZE];
    struct ir_unit a = {0}, b = {0};
    fill(page, &s);
    for (uint32_t offset = 0; offset < IR_PAGE_SIZE; offset += 64) {
        struct guest_translate request = {.cpu_model = &a64_cpu_models[0], .key = 1, .page = page, .offset = offset,
                                          .max_insns = 64};
        ir_unit_reset(&a, &a64_isa.ir);
        a64_isa.translate(&request, &a);
        ir_unit_reset(&b, &a64_isa.ir);
        request.va_hint = 0x7000;
        a64_isa.translate(&request, &b);
        cr_assert_eq(a.insn_count, b.insn_count);
        cr_assert_eq(memcmp(a.insns, b.insns, a.insn_count * sizeof *a.insns), 0);
    }
    ir_unit_free(&a);
    ir_unit_free(&b);
}
