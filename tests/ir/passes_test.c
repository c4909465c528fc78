// SPDX-License-Identifier: MIT
// Passes: passes.txt holds units, the pass to run and the unit expected (value names do not matter); then
// each pass and the whole pipeline on random units, which must run as they did before.
#include "base/error.h"
#include "ir/opt/passes.h"
#include "tests/ir/filetest.h"
#include "tests/ir/random_unit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    void (*run)(struct ir_unit *unit, struct ir_opt *opt);
} passes[] = {
    {"fold", ir_opt_fold},   {"cse", ir_opt_cse},       {"state", ir_opt_state},
    {"dead", ir_opt_dead},   {"share_spans", ir_opt_share_spans}, {"compact", ir_compact},
    {"optimise", ir_optimise},
};

Test(ir_passes, file)
{
    char *file = filetest_read("passes.txt"), *at = file;
    struct filetest_section section;
    struct ir_opt opt = {0};
    unsigned line = 0, sections = 0;
    while (filetest_next(&at, &line, &section)) {
        struct ir_unit unit = {0}, wanted = {0};
        struct error err = {""};
        char where[128], name[32] = "";
        snprintf(where, sizeof where, "passes.txt:%u (%s)", section.line, section.name);
        char *expect = strstr(section.text, "; expect");
        cr_assert(expect, "%s: no expectation", where);
        *expect = 0;
        filetest_unit(section.text, where, &unit);
        filetest_unit(expect + strlen("; expect"), where, &wanted);
        for (char *pass = section.text; (pass = strstr(pass, "; pass ")); pass++) {
            sscanf(pass, "; pass %31s", name);
            unsigned p = 0;
            while (p < ARRAY_SIZE(passes) && strcmp(passes[p].name, name))
                p++;
            cr_assert_lt(p, ARRAY_SIZE(passes), "%s: no pass %s", where, name);
            passes[p].run(&unit, &opt);
        }
        cr_assert(name[0], "%s: no pass named", where);
        char *have = filetest_print(&unit), *want = filetest_print(&wanted);
        cr_expect_eq(ir_verify(&unit, &err), 0, "%s: %s", where, err.text);
        cr_expect(strcmp(have, want) == 0, "%s: gives\n%swanted\n%s", where, have, want);
        free(have);
        free(want);
        ir_unit_free(&unit);
        ir_unit_free(&wanted);
        sections++;
    }
    cr_expect_gt(sections, 10);
    ir_opt_free(&opt);
    free(file);
}

struct outcome {
    struct toy_state toy;
    uint8_t memory[4096];
    int code;
};

static void run(const struct ir_unit *unit, uint64_t seed, struct outcome *ret)
{
    union ir_value *slots = malloc(unit->insn_count * sizeof *slots);
    memset(slots, 0x5a, unit->insn_count * sizeof *slots);
    random_toy(&ret->toy, ret->memory, sizeof ret->memory, seed);
    ret->code = ir_interpret(unit, &ret->toy.env, &toy_runtime, slots);
    free(slots);
}

// One unit, run from three states, before and after each pass.
static void check_seed(uint64_t seed, struct ir_opt *opt)
{
    static struct outcome before[3], after;
    struct ir_unit unit = {0}, copy = {0};
    struct random_source random;
    struct random_options options = {.classes = RANDOM_ALL, .big_endian = true, .insns = 2 + seed % 40};
    struct error err = {""};
    char text[256];
    random_start(&random, seed);
    if (random_below(&random, 3) == 0)
        options.classes &= (uint32_t)random_bits(&random) | RANDOM_INT;
    random_unit(&random, &options, &unit);
    for (unsigned i = 0; i < 3; i++)
        run(&unit, seed + i * 77, &before[i]);
    char *printed = filetest_print(&unit);
    for (unsigned p = 0; p < ARRAY_SIZE(passes); p++) {
        const char *name = passes[p].name;
        cr_assert_eq(ir_parse(printed, &toy_guest, &copy, &err), 0);
        passes[p].run(&copy, opt);
        char *now = filetest_print(&copy);
        cr_assert_eq(ir_verify(&copy, &err), 0, "ISOMER_SEED=%llx %s: %s\n%s\n%s", (unsigned long long)seed,
                     name, err.text, printed, now);
        for (unsigned i = 0; i < 3; i++) {
            run(&copy, seed + i * 77, &after);
            cr_assert_eq(after.code, before[i].code, "ISOMER_SEED=%llx %s: left with %d, not %d\n%s\n%s",
                         (unsigned long long)seed, name, after.code, before[i].code, printed, now);
            cr_assert(!toy_differs(&after.toy, &before[i].toy, text, sizeof text),
                      "ISOMER_SEED=%llx %s: %s\n%s\n%s", (unsigned long long)seed, name, text, printed, now);
        }
        free(now);
    }
    free(printed);
    ir_unit_free(&unit);
    ir_unit_free(&copy);
}

Test(ir_passes, random)
{
    uint64_t seed = random_run_seed();
    const char *count = getenv("ISOMER_COUNT");
    struct ir_opt opt = {0};
    for (unsigned n = count ? (unsigned)atoi(count) : 300; n--; seed++)
        check_seed(seed, &opt);
    ir_opt_free(&opt);
}
