// SPDX-License-Identifier: MIT
// What joins units: patched direct exits, pages of code, polls, the code buffer's end.
#include "tests/backend/toy_jit.h"

#include "base/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t memory[TOY_JIT_MEMORY];
static struct toy_state toy;
static struct toy_jit jit;

struct piece {
    struct backend_exit exits[BACKEND_MAX_EXITS];
    struct backend_unit unit;
};

// Compiles text behind what is there already.
static int add(const char *text, struct piece *piece)
{
    struct error err = { "" };
    struct ir_unit unit = { 0 };
    cr_assert_eq(ir_parse(text, &toy_guest, &unit, &err), 0, "%s", err.text);
    int r = x64_backend.compile(jit.backend, &unit, &jit.code, piece->exits, &piece->unit);
    ir_unit_free(&unit);
    return r;
}

static void start(void)
{
    toy_jit_create(&jit, UINT64_MAX);
    toy_reset(&toy, memory, sizeof memory);
    toy_jit_tables(&jit, &toy, 0, 0);
    toy.env.pc_page = 0x7000;
    toy.env.key = 5;
}

static int enter(const struct piece *piece)
{
    return x64_backend.enter(jit.backend, &toy.env, piece->unit.entry);
}

// x0 := x0 + step, then on to pc_page + next.
static void make_step(struct piece *piece, int step, const char *exit)
{
    char text[256];
    snprintf(text, sizeof text, "b0:\n  insn 0x0, len=4\n  %%1 = get.i64 x0\n  %%2 = const.i64 %d\n"
             "  %%3 = add.i64 %%1, %%2\n  put x0, %%3\n  %%5 = get.i64 x1\n  %s\n", step, exit);
    cr_assert_eq(add(text, piece), 0);
}

Test(backend_chain, direct_exits_link_and_unlink)
{
    static struct piece one, two;
    start();
    make_step(&one, 1, "exit_pc 0x40");
    make_step(&two, 100, "exit_pc 0x80");
    cr_assert_eq(one.unit.exit_count, 1);
    cr_expect_eq(one.exits[0].pc_offset, 0x40);
    cr_expect_eq(enter(&one), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x7040);
    cr_expect_eq(toy.env.link_exit, &one.exits[0]);
    cr_expect_eq(toy.x[0], 1);
    x64_backend.link(jit.backend, &jit.code, &one.exits[0], two.unit.entry);
    cr_expect_eq(enter(&one), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x7080);
    cr_expect_eq(toy.env.link_exit, &two.exits[0]);
    cr_expect_eq(toy.x[0], 102);
    x64_backend.unlink(jit.backend, &jit.code, &one.exits[0]);
    cr_expect_eq(enter(&one), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.link_exit, &one.exits[0]);
    cr_expect_eq(toy.x[0], 103);
    toy_jit_destroy(&jit);
}

Test(backend_chain, indirect_exits_look_up_page_and_instruction)
{
    static struct piece one, two;
    start();
    make_step(&one, 1, "exit_ind %5");
    make_step(&two, 100, "exit_pc 0x44");
    toy.x[1] = 0x9008;
    cr_expect_eq(enter(&one), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x9008);
    cr_expect_null(toy.env.link_exit);
    cr_expect_eq(toy.env.pc_page, 0x7000);
    toy_jit_knows(&jit, 0x9008, 5, two.unit.entry);
    cr_expect_eq(enter(&one), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x9044);
    cr_expect_eq(toy.env.pc_page, 0x9000);
    cr_expect_eq(toy.x[0], 102);
    static const uint64_t others[] = { 0x900c, 0x9004, 0x9009, 0x900a, 0x8008, 0xa008, 0x9008 + ((uint64_t)IR_EXEC_PAGES << IR_PAGE_BITS),
                                       0x9008 | 1ull << 63 };
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        toy.env.pc_page = 0x7000;
        toy.x[1] = others[i];
        cr_expect_eq(enter(&one), IR_EXIT_JUMP);
        cr_expect_eq(toy.env.pc, others[i]);
        cr_expect_null(toy.env.link_exit);
    }
    toy.x[1] = 0x9008;
    toy.env.key = 6;
    cr_expect_eq(enter(&one), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x9008);
    toy.env.key = 5;
    toy.env.budget = -1; // a request waits
    cr_expect_eq(enter(&one), IR_EXIT_POLL);
    cr_expect_eq(toy.env.pc, 0x9008);
    toy_jit_destroy(&jit);
}

Test(backend_chain, exits_to_other_pages_are_linked_to_a_table)
{
    static struct piece one, two, three;
    start();
    make_step(&one, 1, "exit_pc 0x1008");
    make_step(&two, 100, "exit_pc 0x44");
    make_step(&three, 1000, "exit_pc 0x48");
    cr_expect_eq(one.unit.exit_count, 1);
    struct backend_exit *exit = &one.exits[0];
    cr_expect_eq(exit->bound, BACKEND_UNBOUND);
    cr_expect_eq(enter(&one), IR_EXIT_JUMP); // unbound: the dispatcher is to link it
    cr_expect_eq(toy.env.pc, 0x8008);
    cr_expect_eq(toy.env.link_exit, exit);
    toy_jit_knows(&jit, 0x8008, 5, two.unit.entry);
    cr_expect_eq(enter(&one), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x8008);
    cr_expect_eq(toy.env.link_exit, exit);
    exit->bound = (uint32_t)(uintptr_t)jit.entries;
    x64_backend.link(jit.backend, &jit.code, exit, three.unit.entry);
    toy.env.pc_page = 0x7000;
    cr_expect_eq(enter(&one), IR_EXIT_JUMP); // linked: the table is not looked at
    cr_expect_eq(toy.env.pc, 0x8048);
    cr_expect_eq(toy.x[0], 1 + 1 + 1001);
    toy.env.pc_page = 0x107000; // the same code elsewhere: the page there is not known
    cr_expect_eq(enter(&one), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x108008);
    cr_expect_null(toy.env.link_exit);
    toy_jit_knows(&jit, 0x108008, 5, two.unit.entry); // the same page there
    toy.env.pc_page = 0x107000;
    cr_expect_eq(enter(&one), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x108048);
    jit.pages[0x108 % IR_EXEC_PAGES].va = 0x8000;
    static _Alignas(4096) _Atomic uint32_t other[IR_CODE_SLOTS]; // another page at the address
    other[2] = jit.entries[2];
    jit.pages[8] = (struct ir_exec_page){ 0x8000, other, 5, NULL };
    toy.env.pc_page = 0x7000;
    cr_expect_eq(enter(&one), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x8044);
    toy_jit_knows(&jit, 0x8008, 5, two.unit.entry);
    x64_backend.unlink(jit.backend, &jit.code, exit);
    toy.env.pc_page = 0x7000;
    cr_expect_eq(enter(&one), IR_EXIT_JUMP); // it may be linked again, so the dispatcher is told
    cr_expect_eq(toy.env.pc, 0x8008);
    cr_expect_eq(toy.env.link_exit, exit);
    toy_jit_destroy(&jit);
}

Test(backend_chain, heat_counts_down_at_the_entry_and_at_polls)
{
    static struct piece piece;
    static int32_t heat;
    struct error err = { "" };
    struct ir_unit unit = { 0 };
    start();
    cr_assert_eq(ir_parse("b0:\n  insn 0x40, len=4\n  br b1\nb1:\n  insn 0x44, len=4\n  %3 = get.i64 x0\n  %4 = const.i64 1\n"
                          "  %5 = add.i64 %3, %4\n  put x0, %5\n  poll 0x44\n  br b1\n", &toy_guest, &unit, &err), 0, "%s", err.text);
    unit.heat = &heat;
    cr_assert_eq(x64_backend.compile(jit.backend, &unit, &jit.code, piece.exits, &piece.unit), 0);
    cr_expect_eq(enter(&piece), IR_EXIT_HOT);
    cr_expect_eq(toy.env.pc, 0x7040);
    cr_expect_eq(toy.x[0], 0);
    heat = 5;
    cr_expect_eq(enter(&piece), IR_EXIT_HOT);
    cr_expect_eq(toy.env.pc, 0x7044);
    cr_expect_eq(toy.x[0], 5);
    cr_expect_eq(heat, -1);
    // a loop back to the unit's own PC
    cr_assert_eq(ir_parse("b0:\n  br b1\nb1:\n  insn 0x44, len=4\n  poll 0x44\n  br b1\n", &toy_guest, &unit, &err), 0);
    unit.heat = &heat;
    cr_assert_eq(x64_backend.compile(jit.backend, &unit, &jit.code, piece.exits, &piece.unit), 0);
    cr_expect_eq(enter(&piece), IR_EXIT_HOT);
    cr_expect_eq(toy.env.pc, 0x7044);
    ir_unit_free(&unit);
    toy_jit_destroy(&jit);
}

Test(backend_chain, a_full_buffer_is_left_as_it_was)
{
    static struct piece piece;
    start();
    size_t used;
    int r;
    do {
        used = jit.code.used;
        r = add("b0:\n  insn 0x0, len=4\n  %1 = get.i64 x0\n  %2 = ld.i64 %1, {8}\n  put x1, %2\n  exit_pc 0x4\n", &piece);
    } while (r == 0);
    cr_expect_eq(r, -ENOSPC);
    cr_expect_eq(jit.code.used, used);
    jit.code.used = jit.first_used; // evicted
    jit.code.cold = jit.code.size;
    make_step(&piece, 7, "exit_pc 0x4");
    cr_expect_eq(enter(&piece), IR_EXIT_JUMP);
    cr_expect_eq(toy.x[0], 7);
    toy_jit_destroy(&jit);
}

Test(backend_chain, floating_point_exceptions_reach_env)
{
    static struct piece piece;
    start();
    cr_assert_eq(add("b0:\n  insn 0x0, len=4\n  %1 = get.f64 d0\n  %2 = get.f64 d1\n  %3 = fdiv.f64 %1, %2\n  put d2, %3\n"
                     "  exit_pc 0x4\n", &piece), 0);
    const double one = 1, three = 3, zero = 0;
    unsigned before = __builtin_ia32_stmxcsr();
    memcpy(&toy.d[0], &one, 8);
    memcpy(&toy.d[1], &three, 8);
    enter(&piece);
    cr_expect_eq(toy.env.fp_flags, IR_FP_IXC);
    memcpy(&toy.d[1], &zero, 8);
    enter(&piece);
    cr_expect_eq(toy.env.fp_flags, IR_FP_IXC | IR_FP_DZC);
    memcpy(&toy.d[0], &zero, 8);
    enter(&piece);
    cr_expect_eq(toy.env.fp_flags, IR_FP_IXC | IR_FP_DZC | IR_FP_IOC);
    cr_expect_eq(toy.d[2], 0x7ff8000000000000ull);
    cr_expect_eq(__builtin_ia32_stmxcsr(), before);
    toy_jit_destroy(&jit);
}

Test(backend_chain, scaled_addition)
{
    static struct piece piece;
    start();
    cr_assert_eq(add("b0:\n  insn 0x0, len=4\n  %1 = get.i64 x0\n  %2 = get.i64 x1\n  %3 = const.i64 0x3\n"
                     "  %4 = shl.i64 %2, %3\n  %5 = add.i64 %4, %1\n  put x1, %5\n  exit_pc 0x4\n", &piece), 0);
    toy.x[0] = 5;
    toy.x[1] = 100;
    enter(&piece);
    cr_expect_eq(toy.x[1], 805);
    cr_expect_eq(toy.x[0], 5);
    toy_jit_destroy(&jit);
}
