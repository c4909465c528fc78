// SPDX-License-Identifier: MIT
// Flags and arithmetic on the same operands, in every order the frontends and passes leave them in: compiled code
// against the interpreter, from the states that tell carries, signs and zeros apart. The operands die at different
// places, since what a flags op needs may not be gone when it is lowered. The stack is soiled, so that a spill slot
// read before it is written shows.
#include "backends/x64/features.h"
#include "base/error.h"
#include "tests/backend/toy_jit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint8_t memory_a[TOY_JIT_MEMORY], memory_b[TOY_JIT_MEMORY];
static struct toy_state a, b;

// Lines that may stand between. %1 and %2 are the operands, %3 a carry, %8 an address in bounds.
// The last: a subtraction of 1 that passes made an addition of -1.
enum { KINDS = 5, NEGATED = 4 };
static const char *const kinds[KINDS] = { "add", "sub", "adc", "sbc", "sub" };
static const char *const fillers[] = { "", "  put x9, %1\n", "  %40 = ld.i64 %8, {8}\n", "  %41 = get.i64 x12\n" };
// How the operands come to be: kept in a field, computed and dying here, a constant.
static const char *const operands[][2] = {
    { "  %1 = get.i64 x0\n", "  %2 = get.i64 x1\n" },
    { "  %1 = get.i64 x0\n", "  %50 = get.i64 x1\n  %51 = get.i64 x2\n  %2 = xor.i64 %50, %51\n" },
    { "  %50 = get.i64 x0\n  %51 = get.i64 x2\n  %1 = xor.i64 %50, %51\n", "  %2 = get.i64 x1\n" },
    { "  %50 = get.i64 x0\n  %51 = get.i64 x2\n  %1 = xor.i64 %50, %51\n",
      "  %52 = get.i64 x1\n  %53 = get.i64 x3\n  %2 = xor.i64 %52, %53\n" },
    { "  %1 = get.i64 x0\n", "  %2 = const.i64 0x1\n" },
};
// What follows: the flags in a field, a condition into a field, a branch, a select; alone and together.
static const char *const uses[] = {
    "  put flags, %5\n  exit_pc 0x4\n",
    "  %60 = cond.cs %5\n  put i1, %60\n  exit_pc 0x4\n",
    "  %60 = cond.vs %5\n  %61 = get.i64 x5\n  %62 = select.i64 %60, %6, %61\n  put x6, %62\n  exit_pc 0x4\n",
    "  put flags, %5\n  %60 = cond.hi %5\n  brif %60, b1, b2\nb1:\n  exit_pc 0x8\nb2:\n  exit_pc 0xc\n",
    "  %60 = cond.lt %5\n  brif %60, b1, b2\nb1:\n  put flags, %5\n  exit_pc 0x8\nb2:\n  exit_pc 0xc\n",
};

static void set_up(struct toy_state *toy, uint8_t *memory, unsigned state)
{
    static const uint64_t edges[] = { 0, 1, ~0ull, 1ull << 63, (1ull << 63) - 1, 0xffffffffull, 0x80000000ull };
    toy_reset(toy, memory, TOY_JIT_MEMORY);
    for (unsigned i = 0; i < TOY_X; i++)
        toy->x[i] = 0x1000 + 77 * i;
    toy->x[0] = edges[state % ARRAY_SIZE(edges)];
    toy->x[1] = edges[state / ARRAY_SIZE(edges) % ARRAY_SIZE(edges)];
    toy->x[2] = 5, toy->x[3] = 3, toy->x[8] = 64;
    toy->i1 = state & 1;
    toy->env.pc_page = 0x10000;
}

static void compare(struct toy_jit *jit, const char *text)
{
    static struct ir_unit unit;
    static union ir_value slots[128];
    struct backend_unit compiled;
    struct error err = { "" };
    char why[512] = "";
    cr_assert_eq(ir_parse(text, &toy_guest, &unit, &err), 0, "%s\n%s", err.text, text);
    cr_assert_eq(ir_verify(&unit, &err), 0, "%s\n%s", err.text, text);
    toy_jit_compile(jit, &unit, &compiled);
    for (unsigned state = 0; state < 49; state += 5) {
        set_up(&a, memory_a, state);
        set_up(&b, memory_b, state);
        toy_jit_tables(jit, &b, 1, 1);
        int wanted = ir_interpret(&unit, &a.env, &toy_runtime, slots);
        toy_jit_soil_stack();
        int got = x64_backend.enter(jit->backend, &b.env, compiled.entry);
        bool differs = toy_jit_differs(&a, &b, why, sizeof why);
        cr_assert(got == wanted && !differs, "state %u: exit %d for %d, %s\n%s", state, got, wanted, why, text);
    }
}

// order: 0 flags first, 1 arithmetic first, 2 flags, arithmetic, arithmetic. late: a used again, b used again, x0 read
// again (its register then outlives the value in it).
static void one(struct toy_jit *jit, unsigned kind, unsigned order, unsigned operand, unsigned filler, unsigned use,
                unsigned late)
{
    char text[2048], flags[96], arithmetic[128];
    const char *carry = kind == 2 || kind == 3 ? ", %3" : "";
    snprintf(flags, sizeof flags, "  %%5 = flags_%s %%1, %%2%s\n", kinds[kind], carry);
    if (kind == NEGATED)
        snprintf(arithmetic, sizeof arithmetic, "  %%30 = const.i64 0xffffffffffffffff\n  %%6 = add.i64 %%1, %%30\n");
    else
        snprintf(arithmetic, sizeof arithmetic, "  %%6 = %s.i64 %%1, %%2%s\n", kinds[kind], carry);
    snprintf(text, sizeof text, "b0:\n  insn 0x0, len=4\n%s%s  %%3 = get.i1 i1\n  %%8 = get.i64 x8\n%s%s%s%s%s%s%s%s%s",
             operands[operand][0], operands[operand][1], order == 1 ? arithmetic : flags, fillers[filler],
             order == 1 ? flags : arithmetic, order == 2 ? "  %7 = add.i64 %6, %2\n  put x10, %7\n" : "",
             late & 1 ? "  put x13, %1\n" : "", late & 2 ? "  put x14, %2\n" : "", late & 4 ? "  %70 = get.i64 x0\n  put x15, %70\n" : "", "  put x7, %6\n", uses[use]);
    compare(jit, text);
}

static void run(uint64_t features)
{
    struct toy_jit jit = { 0 };
    toy_jit_create(&jit, features);
    for (unsigned n = 0; n < KINDS * 3 * 4 * 8; n++)
        for (unsigned operand = 0; operand < ARRAY_SIZE(operands); operand++)
            for (unsigned use = 0; use < ARRAY_SIZE(uses); use++)
                one(&jit, n % KINDS, n / KINDS % 3, operand, n / KINDS / 3 % 4, use, n / KINDS / 12);
    toy_jit_destroy(&jit);
}

Test(backend_flags, every_order) { run(UINT64_MAX); }
Test(backend_flags, every_order_on_sse) { run(X64_HAS_SSE42); }
