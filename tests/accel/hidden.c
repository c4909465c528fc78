// SPDX-License-Identifier: MIT
// A mapping that one MMU index must not see although another has it in the TLB: TCR_EL1.E0PD0 and an unprivileged load.
#include "tests/accel/small.h"

#include <criterion/criterion.h>

enum { PROGRAM = SMALL_PROGRAMS, DATA = PROGRAM + 0x1000, VECTOR = PROGRAM + 0x800 + 0x200 };

static const uint32_t program[] = {
    0x91400402, 0x91200003, 0xd518c003,                         // x2 = data; x3 = vectors; msr vbar_el1, x3
    0xd5382044, 0xb2490084, 0xd5182044, 0xd5382045, 0xd5033fdf, // tcr_el1 |= E0PD0; x5 = tcr_el1; isb
    0xd508871f, 0xd5033f9f, 0xd5033fdf,                         // tlbi vmalle1; dsb; isb
    0xf9408046, 0xf9000445, 0xf8400847, 0x14000000,             // ldr x6, [x2, #256]; str x5; ldtr x7, [x2]; b .
};
static const uint32_t vector[] = {
    0xd5385208, 0xf9000848, 0xd2800029, 0xf9000049, 0x14000000, // data[2] = esr_el1; data[0] = 1; b .
};

static void run(enum accel_engine engine, const char *model, uint64_t e0pd0, uint64_t esr)
{
    struct small *small = small_make(&(struct small_config){.engine = engine, .cpus = 1, .ram_size = 4 << 20,
                                                            .model = model});
    small_code(small, PROGRAM, program, sizeof program);
    small_code(small, VECTOR, vector, sizeof vector);
    small_start(small, 0, PROGRAM);
    cr_assert(small_run_until(small, DATA, 1, 60));
    const uint64_t *data = small_at(small, DATA);
    cr_expect_eq(data[1] >> 55 & 1, e0pd0, "%s: TCR_EL1 %#lx", model, data[1]);
    cr_expect_eq(data[2], esr, "%s: ESR_EL1 %#lx", model, data[2]);
    small_destroy(small);
}

Test(hidden, e0pd_makes_it_a_translation_fault_of_level_0)
{
    run(ACCEL_INTERPRETER, "max", 1, 0x96000004);
    run(ACCEL_JIT, "max", 1, 0x96000004);
}

Test(hidden, a_core_without_e0pd_says_permission)
{
    run(ACCEL_INTERPRETER, "cortex-a72", 0, 0x9600000d);
    run(ACCEL_JIT, "cortex-a72", 0, 0x9600000d);
}
