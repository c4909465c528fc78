// SPDX-License-Identifier: MIT
// A debugger changes breakpoints and watchpoints while vCPUs are parked: what it throws away must not be found through
// what a vCPU still remembers.
#include "tests/accel/small.h"

#include <criterion/criterion.h>

enum { AREA = SMALL_RAM + 0x30000 };

// x1 := AREA, then counts up there, two pages taking turns.
static const uint32_t count[] = {0xd2a80061, 0xf9400022, 0x91000442, 0xf9000022, // mov x1; ldr x2, [x1]; add x2, x2, #1; str
                                 0x140003fc};                                   // b the next page
static const uint32_t back[] = {0x17fffc01};                                    // b the ldr

static unsigned known_pages(const struct small *small)
{
    const struct context *ctx = small->accel->cpus[0].context;
    unsigned n = 0;
    for (unsigned i = 0; i < IR_EXEC_PAGES; i++)
        n += ctx->exec_pages[i].key != IR_NO_KEY;
    return n;
}

Test(debugged, watchpoint_after_breakpoints)
{
    struct small *small = small_create(ACCEL_JIT, 1, 4 << 20, 0);
    small_code(small, SMALL_PROGRAMS, count, sizeof count);
    small_code(small, SMALL_PROGRAMS + 0x1000, back, sizeof back);
    *(uint64_t *)small_at(small, AREA) = 0;
    small_start(small, 0, SMALL_PROGRAMS);
    cr_assert(small_run_until(small, AREA, 1000, 20));
    cr_assert_gt(known_pages(small), 1, "the program's two pages at least");

    cr_assert_eq(accel_breakpoint(small->accel, SMALL_RAM, true), 0); // frees all tables of units
    cr_assert_eq(accel_breakpoint(small->accel, SMALL_RAM, false), 0);
    cr_assert_eq(accel_watchpoint(small->accel, AREA + 0x1000, 8, GUEST_W, true), 0); // empties the inline tables
    cr_expect_eq(known_pages(small), 0, "their tables are gone");
    cr_assert_eq(accel_watchpoint(small->accel, AREA + 0x1000, 8, GUEST_W, false), 0);

    uint64_t now = *(uint64_t *)small_at(small, AREA);
    cr_expect(small_run_until(small, AREA, now + 1000, 20), "does not go on");
    small_destroy(small);
}
