// SPDX-License-Identifier: MIT
// What joins regions and units: linked exits both ways, pages of code, polls, helpers that leave, the check of FP
// status at the entry.
#include "tests/backend/llvm_engine.h"

#include "base/error.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t memory[TOY_JIT_MEMORY];
static struct toy_state toy;
static struct llvm_engine engine;

static void parse(const char *text, struct ir_unit *unit)
{
    struct error err = { "" };
    cr_assert_eq(ir_parse(text, &toy_guest, unit, &err), 0, "%s", err.text);
}

static const void *region_of(const char *text, const void *const *fallback)
{
    struct ir_unit unit = { 0 };
    struct optimiser_region region;
    parse(text, &unit);
    llvm_engine_compile(&engine, &unit, fallback, &region);
    ir_unit_free(&unit);
    return region.entry;
}

static const void *unit_of(const char *text, struct backend_exit *exits)
{
    struct ir_unit unit = { 0 };
    struct backend_unit compiled;
    parse(text, &unit);
    cr_assert_eq(x64_backend.compile(engine.jit.backend, &unit, &engine.jit.code, exits, &compiled), 0);
    ir_unit_free(&unit);
    return compiled.entry;
}

static void start(void)
{
    llvm_engine_create(&engine, UINT64_MAX);
    toy_reset(&toy, memory, sizeof memory);
    toy_jit_tables(&engine.jit, &toy, 0, 0);
    toy.env.pc_page = 0x7000;
    toy.env.key = 5;
}

static int enter(const void *entry)
{
    return x64_backend.enter(engine.jit.backend, &toy.env, entry);
}

#define STEP(n, exit)                                                                                                 \
    "b0:\n  insn 0x0, len=4\n  %1 = get.i64 x0\n  %2 = const.i64 " #n "\n  %3 = add.i64 %1, %2\n  put x0, %3\n"       \
    "  %5 = get.i64 x1\n  " exit "\n"

Test(llvm_chain, exits_link_to_units_and_back)
{
    static struct backend_exit exits[BACKEND_MAX_EXITS];
    start();
    const void *region = region_of(STEP(1, "exit_pc 0x40"), NULL), *unit = unit_of(STEP(100, "exit_pc 0x80"), exits);
    cr_expect_eq(engine.exits[0].pc_offset, 0x40);
    cr_expect_eq(engine.exits[0].patch, 0);
    cr_expect_eq(enter(region), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x7040);
    cr_expect_eq(toy.env.link_exit, &engine.exits[0]);
    x64_backend.link(engine.jit.backend, &engine.jit.code, &engine.exits[0], unit);
    cr_expect_eq(enter(region), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x7080);
    cr_expect_eq(toy.env.link_exit, &exits[0]);
    cr_expect_eq(toy.x[0], 102);
    x64_backend.unlink(engine.jit.backend, &engine.jit.code, &engine.exits[0]);
    cr_expect_eq(enter(region), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.link_exit, &engine.exits[0]);
    cr_expect_eq(toy.x[0], 103);
    llvm_engine_destroy(&engine);
}

Test(llvm_chain, indirect_exits_look_up_page_and_instruction_and_poll)
{
    static struct backend_exit exits[BACKEND_MAX_EXITS];
    start();
    const void *region = region_of(STEP(1, "exit_ind %5"), NULL), *unit = unit_of(STEP(100, "exit_pc 0x44"), exits);
    toy.x[1] = 0x9008;
    cr_expect_eq(enter(region), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x9008);
    cr_expect_null(toy.env.link_exit);
    toy_jit_knows(&engine.jit, 0x9008, 5, unit);
    cr_expect_eq(enter(region), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x9044);
    cr_expect_eq(toy.env.pc_page, 0x9000);
    cr_expect_eq(toy.x[0], 102);
    static const uint64_t others[] = { 0x900c, 0x9009, 0x900a, 0x8008, 0x9008 + ((uint64_t)IR_EXEC_PAGES << IR_PAGE_BITS) };
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        toy.env.pc_page = 0x7000;
        toy.x[1] = others[i];
        cr_expect_eq(enter(region), IR_EXIT_JUMP);
        cr_expect_eq(toy.env.pc, others[i]);
    }
    toy.x[1] = 0x9008;
    toy.env.key = 6;
    cr_expect_eq(enter(region), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x9008);
    toy.env.key = 5;
    toy.env.pc_page = 0x7000;
    toy.env.budget = -1;
    cr_expect_eq(enter(region), IR_EXIT_POLL);
    cr_expect_eq(toy.env.pc, 0x9008);
    llvm_engine_destroy(&engine);
}

Test(llvm_chain, loops_leave_at_polls_with_state_true)
{
    start();
    const void *region = region_of("b0:\n  br b1\nb1:\n  insn 0x4, len=4\n  %2 = get.i64 x0\n  %3 = get.i64 x1\n  %4 = add.i64 %2, %3\n"
                                   "  put x0, %4\n  %6 = const.i64 77\n  %7 = flags_sub %4, %6\n  put flags, %7\n"
                                   "  %9 = cond.eq %7\n  brif %9, b2, b3\nb2:\n  exit_pc 0x40\nb3:\n  poll 0x4\n  br b1\n", NULL);
    toy.x[1] = 7;
    cr_expect_eq(enter(region), IR_EXIT_JUMP);
    cr_expect_eq(toy.x[0], 77);
    cr_expect_eq(toy.flags & IR_FLAG_NZCV, IR_FLAG_Z | IR_FLAG_C);
    toy.x[0] = 0;
    toy.env.budget = -1;
    cr_expect_eq(enter(region), IR_EXIT_POLL);
    cr_expect_eq(toy.x[0], 7);
    cr_expect_eq(toy.env.pc, 0x7004);
    cr_expect_eq(toy.flags & IR_FLAG_NZCV, IR_FLAG_N);
    llvm_engine_destroy(&engine);
}

// A region that holds inexact for known is entered only when it is.
Test(llvm_chain, fp_regions_start_behind_the_check)
{
    static struct backend_exit exits[BACKEND_MAX_EXITS];
    static const void *fallback;
    static const char divide[] = "b0:\n  insn 0x0, len=4\n  %1 = get.f64 d0\n  %2 = get.f64 d1\n  %3 = fdiv.f64 %1, %2\n"
                                 "  put d2, %3\n  exit_pc 0x4\n";
    const double one = 1, three = 3, zero = 0;
    double got;
    start();
    fallback = unit_of(divide, exits);
    const void *region = region_of(divide, &fallback);
    unsigned before = __builtin_ia32_stmxcsr();
    memcpy(&toy.d[0], &one, 8);
    memcpy(&toy.d[1], &three, 8);
    for (int i = 0; i < 2; i++) { // through the fallback, then by itself
        enter(region);
        memcpy(&got, &toy.d[2], 8);
        cr_expect_eq(got, one / three);
        cr_expect_eq(toy.env.fp_flags, IR_FP_IXC);
    }
    memcpy(&toy.d[1], &zero, 8);
    enter(region);
    cr_expect_eq(toy.env.fp_flags, IR_FP_IXC | IR_FP_DZC);
    toy.env.fp_flags = 0;
    memcpy(&toy.d[0], &zero, 8);
    enter(region);
    cr_expect_eq(toy.env.fp_flags, IR_FP_IOC);
    cr_expect_eq(toy.d[2], 0x7ff8000000000000ull);
    cr_expect_eq(__builtin_ia32_stmxcsr(), before);
    llvm_engine_destroy(&engine);
}

// Exceptions that units left in the host's control word survive a region without FP, and reach a helper's view.
Test(llvm_chain, exceptions_of_units_survive_regions)
{
    static struct backend_exit exits[BACKEND_MAX_EXITS];
    start();
    const void *unit = unit_of("b0:\n  insn 0x0, len=4\n  %1 = get.f64 d0\n  %2 = get.f64 d1\n  %3 = fdiv.f64 %1, %2\n"
                               "  put d2, %3\n  exit_pc 0x40\n", exits);
    const void *region = region_of("b0:\n  insn 0x40, len=4\n  call clear_fp\n  exit_pc 0x44\n", NULL);
    const double one = 1, three = 3;
    memcpy(&toy.d[0], &one, 8);
    memcpy(&toy.d[1], &three, 8);
    x64_backend.link(engine.jit.backend, &engine.jit.code, &exits[0], region);
    enter(unit);
    cr_expect_eq(toy.env.pc, 0x7044);
    cr_expect_eq(toy.env.fp_flags, 0);
    llvm_engine_destroy(&engine);
}

// Loops whose accesses cross pages that are in the table and pages that are not, against the interpreter.
Test(llvm_chain, streams_follow_their_pages)
{
    static const char text[] =
        "b0:\n  br b1\nb1:\n  insn 0x4, len=4\n  %2 = get.i64 x0\n  %3 = ld.i64 %2, {8}\n  %4 = get.i64 x2\n  %5 = add.i64 %3, %4\n"
        "  put x2, %5\n  insn 0x8, len=4\n  %8 = get.i64 x1\n  st %8, %5, {4}\n  %10 = const.i64 4\n  %11 = add.i64 %8, %10\n"
        "  %12 = ld.i64 %11, {2 s}\n  insn 0xc, len=4\n  %14 = add.i64 %2, %10\n  put x0, %14\n  %16 = const.i64 12\n"
        "  %17 = add.i64 %8, %16\n  put x1, %17\n  put x3, %12\n  %20 = get.i64 x4\n  %21 = const.i64 1\n  %22 = sub.i64 %20, %21\n"
        "  put x4, %22\n  %24 = flags_sub %20, %21\n  put flags, %24\n  %26 = cond.hi %24\n  brif %26, b2, b3\n"
        "b2:\n  poll 0x4\n  br b1\nb3:\n  exit_pc 0x40\n";
    static uint8_t other[TOY_JIT_MEMORY];
    static struct toy_state want;
    static union ir_value slots[64];
    struct ir_unit unit = { 0 };
    start();
    parse(text, &unit);
    const void *region = region_of(text, NULL);
    for (unsigned pages = 0; pages < 256; pages++) {
        for (unsigned i = 0; i < sizeof memory; i++)
            memory[i] = other[i] = (uint8_t)(i * 37 + pages);
        toy_reset(&toy, memory, sizeof memory);
        toy_reset(&want, other, sizeof other);
        toy_jit_tables(&engine.jit, &toy, pages & 15, pages >> 4);
        toy.env.pc_page = want.env.pc_page = 0x7000;
        toy.x[0] = want.x[0] = 0x7fb;
        toy.x[1] = want.x[1] = pages & 1 ? 0x500 : 0x503; // the last turns fault
        toy.x[4] = want.x[4] = 1500;
        int code = enter(region);
        cr_expect_eq(code, ir_interpret(&unit, &want.env, &toy_runtime, slots));
        char difference[512] = "";
        cr_expect(!toy_jit_differs(&want, &toy, difference, sizeof difference), "pages %x: %s", pages, difference);
    }
    ir_unit_free(&unit);
    llvm_engine_destroy(&engine);
}

// Only page 2 of the memory is in the inline table: the load at 0x8 hits, that at 0xc misses and begins anew in its unit.
Test(llvm_chain, accesses_that_miss_leave_for_the_unit_of_their_instruction)
{
    static struct backend_exit exits[BACKEND_MAX_EXITS];
    static const void *fallback;
    start();
    toy_jit_tables(&engine.jit, &toy, 1u << 2, 0);
    fallback = unit_of("b0:\n  insn 0x4, len=4\n  %1 = const.i64 0x111\n  put x5, %1\n  exit_pc 0x84\n", exits);
    engine.leaves = true;
    const void *region =
        region_of("b0:\n  insn 0x4, len=4\n  %1 = get.i64 x0\n  %2 = ld.i64 %1, {8}\n  put x1, %2\n"
                  "  insn 0x8, len=4\n  %5 = get.i64 x2\n  %6 = ld.i64 %5, {8}\n  put x3, %6\n  exit_pc 0x40\n", &fallback);
    toy.x[0] = toy.x[2] = 2 * IR_PAGE_SIZE;
    memory[2 * IR_PAGE_SIZE] = 0x5a;
    cr_expect_eq(enter(region), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x7040);
    cr_expect_eq(toy.x[3], 0x5a);
    toy.x[2] = IR_PAGE_SIZE;
    toy.x[1] = toy.x[3] = 0;
    cr_expect_eq(enter(region), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x7008, "%llx", (unsigned long long)toy.env.pc);
    cr_expect_eq(toy.x[1], 0x5a);
    cr_expect_eq(toy.x[3], 0);
    cr_expect_eq(toy.x[5], 0);
    toy.x[0] = IR_PAGE_SIZE; // the region's own instruction: not by the jump cache
    cr_expect_eq(enter(region), IR_EXIT_JUMP);
    cr_expect_eq(toy.env.pc, 0x7084);
    cr_expect_eq(toy.x[5], 0x111);
    llvm_engine_destroy(&engine);
}
