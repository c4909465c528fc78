// SPDX-License-Identifier: MIT
// Without any one technique, and without all, a program computes the same.
#include "tests/accel/small.h"

#include <criterion/criterion.h>

#include <string.h>

enum { PROGRAM = SMALL_PROGRAMS, DATA = PROGRAM + 0x1000, ROUNDS = 300 };

// Each round calls a routine through a register: x3 += x6, v0.d[0] += 1.0, and stores both.
static const uint32_t program[] = {
    0x91400402, 0xd2800003, 0xd2800006,             // x2 = data; x3 = x6 = 0
    0xd2a00601, 0xd5181041, 0xd5033fdf, 0x2f00e400, // cpacr_el1.FPEN = 3; isb; v0 = 0
    0x1e6e1001, 0x10000105,                         // fmov d1, #1.0; adr x5, the routine
    0xd63f00a0, 0xf9000443, 0xfd000840, 0x910004c6, // blr x5; str x3; str d0; x6 += 1
    0xf9000046, 0x17fffffb, 0xd503201f,             // str x6; b to the blr; nop
    0x8b060063, 0x1e612800, 0x6e211c00, 0x6e211c00, // add x3, x3, x6; fadd d0, d0, d1; v0 ^= v1, twice
    0xd65f03c0,                                     // ret
};

static void run(uint32_t without)
{
    struct small *small = small_make(&(struct small_config){.engine = ACCEL_JIT, .cpus = 1, .ram_size = 4 << 20,
                                                            .without = without});
    small_code(small, PROGRAM, program, sizeof program);
    small_start(small, 0, PROGRAM);
    cr_assert(small_run_until(small, DATA, ROUNDS, 60), "without %#x", without);
    const uint64_t *data = small_at(small, DATA);
    uint64_t n = data[0];
    double d0;
    memcpy(&d0, &data[2], sizeof d0);
    cr_expect(data[1] == n * (n - 1) / 2 || data[1] == n * (n + 1) / 2, "without %#x: %lu after %lu", without, data[1], n);
    cr_expect(d0 == (double)n || d0 == (double)n + 1, "without %#x: %g after %lu", without, d0, n);
    small_destroy(small);
}

Test(technique, none_changes_what_is_computed)
{
    for (unsigned i = 0; i < ACCEL_TECHNIQUES; i++)
        run(1u << i);
    run((1u << ACCEL_TECHNIQUES) - 1);
}

Test(technique, names_lead_to_their_bits)
{
    for (unsigned i = 0; i < ACCEL_TECHNIQUES; i++)
        cr_expect_eq(accel_technique_bit(accel_techniques[i].name, (unsigned)strlen(accel_techniques[i].name)), 1u << i);
    cr_expect_eq(accel_technique_bit("chain", 5), 0);
}
