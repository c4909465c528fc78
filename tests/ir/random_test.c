// SPDX-License-Identifier: MIT
// Random units: the generator keeps its promises (units verify, end, survive the text form, depend on the
// seed only).
#include "base/error.h"
#include "tests/ir/filetest.h"
#include "tests/ir/random_unit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void run(const struct ir_unit *unit, uint64_t seed, struct toy_state *toy, uint8_t *memory,
                int *ret_code)
{
    union ir_value *slots = calloc(unit->insn_count, sizeof *slots);
    random_toy(toy, memory, 4096, seed);
    *ret_code = ir_interpret(unit, &toy->env, &toy_runtime, slots);
    free(slots);
}

Test(ir_random, units)
{
    static struct toy_state a, b;
    static uint8_t memory_a[4096], memory_b[4096];
    uint64_t first = random_run_seed();
    struct ir_unit unit = {0}, copy = {0};
    for (uint64_t seed = first; seed < first + 400; seed++) {
        struct random_source random;
        struct random_options options = {.classes = RANDOM_ALL, .big_endian = true, .insns = 4 + seed % 30};
        struct error err = {""};
        char text[256] = "";
        int code_a, code_b;
        random_start(&random, seed);
        random_unit(&random, &options, &unit);
        cr_assert_eq(ir_verify(&unit, &err), 0, "ISOMER_SEED=%llx: %s", (unsigned long long)seed, err.text);
        char *printed = filetest_print(&unit);
        cr_assert_eq(ir_parse(printed, &toy_guest, &copy, &err), 0, "ISOMER_SEED=%llx: %s",
                     (unsigned long long)seed, err.text);
        cr_assert(unit.insn_count == copy.insn_count &&
                      memcmp(unit.insns, copy.insns, unit.insn_count * sizeof *unit.insns) == 0,
                  "ISOMER_SEED=%llx: round trip", (unsigned long long)seed);
        run(&unit, seed, &a, memory_a, &code_a);
        run(&copy, seed, &b, memory_b, &code_b);
        cr_assert_eq(code_a, code_b);
        cr_assert(!toy_differs(&a, &b, text, sizeof text), "ISOMER_SEED=%llx: %s", (unsigned long long)seed,
                  text);
        free(printed);
    }
    ir_unit_free(&unit);
    ir_unit_free(&copy);
}
