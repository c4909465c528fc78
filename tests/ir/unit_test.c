// SPDX-License-Identifier: MIT
// Builders, verifier, printer and interpreter on small units made by hand.
#include "base/error.h"
#include "tests/ir/toy_guest.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct toy_state toy;
static uint8_t memory[4096];
static union ir_value slots[1024];

static void marker(struct ir_unit *unit, uint64_t offset)
{
    ir_emit(unit, (struct ir_insn){.op = IR_OP_insn, .attr = 4, .imm = offset, .arg = {-1u, -1u, -1u, -1u}});
}

static void exit_pc(struct ir_unit *unit, uint64_t offset)
{
    ir_emit(unit, (struct ir_insn){.op = IR_OP_exit_pc, .imm = offset, .arg = {-1u, -1u, -1u, -1u}});
}

static void begin(struct ir_unit *unit)
{
    ir_unit_reset(unit, &toy_guest);
    ir_start_block(unit, ir_new_block(unit));
    marker(unit, 0);
    toy_reset(&toy, memory, sizeof memory);
    memset(memory, 0, sizeof memory);
}

static int run(const struct ir_unit *unit)
{
    struct error err = {""};
    cr_assert_eq(ir_verify(unit, &err), 0, "%s", err.text);
    return ir_interpret(unit, &toy.env, &toy_runtime, slots);
}

// A loop: x1 = sum of 1..x0, as translated code would hold it in state fields.
Test(ir_unit, loop)
{
    struct ir_unit u = {0};
    begin(&u);
    toy.x[0] = 1000;
    toy.env.pc_page = 0x7000;
    uint32_t body = ir_new_block(&u), done = ir_new_block(&u);
    ir_br(&u, body);
    ir_start_block(&u, body);
    marker(&u, 4);
    uint32_t n = ir_get(&u, TOY_FIELD_X0), sum = ir_get(&u, TOY_FIELD_X0 + 1);
    ir_put(&u, TOY_FIELD_X0 + 1, ir_op2(&u, IR_OP_add, IR_I64, sum, n));
    uint32_t less = ir_op2(&u, IR_OP_sub, IR_I64, n, ir_const(&u, IR_I64, 1));
    ir_put(&u, TOY_FIELD_X0, less);
    ir_brif(&u, ir_icmp(&u, IR_CNE, less, ir_const(&u, IR_I64, 0)), body, done);
    ir_start_block(&u, done);
    exit_pc(&u, 8);
    cr_assert_eq(run(&u), IR_EXIT_JUMP);
    cr_expect_eq(toy.x[1], 500500);
    cr_expect_eq(toy.env.pc, 0x7008);
    ir_unit_free(&u);
}

Test(ir_unit, fault_keeps_pc_of_the_instruction)
{
    struct ir_unit u = {0};
    begin(&u);
    ir_put(&u, TOY_FIELD_X0, ir_const(&u, IR_I64, 5));
    marker(&u, 4);
    uint32_t v = ir_load(&u, IR_I64, 3, ir_const(&u, IR_I64, 4090));
    ir_put(&u, TOY_FIELD_X0, v);
    exit_pc(&u, 8);
    cr_assert_eq(run(&u), IR_EXIT_FAULT);
    cr_expect_eq(toy.env.pc, 4);
    cr_expect_eq(toy.x[0], 5);
    cr_expect_eq(toy.fault_va, 4090);
    ir_unit_free(&u);
}

Test(ir_unit, verifier_refuses_put_before_fault)
{
    struct ir_unit u = {0};
    struct error err;
    begin(&u);
    uint32_t a = ir_const(&u, IR_I64, 0);
    ir_put(&u, TOY_FIELD_X0, a);
    ir_store(&u, 3, a, a);
    exit_pc(&u, 4);
    cr_expect_eq(ir_verify(&u, &err), -22);
    cr_expect(strstr(err.text, "[rule 5]"), "%s", err.text);
    u.insns[0].sub = 1; // restartable
    cr_expect_eq(ir_verify(&u, &err), 0);
    ir_unit_free(&u);
}

Test(ir_unit, limits_mark_the_unit)
{
    struct ir_unit u = {0};
    begin(&u);
    for (int i = 0; i < IR_MAX_INSNS + 10; i++)
        ir_const(&u, IR_I64, 0);
    cr_expect(u.failed);
    cr_expect_eq(u.insn_count, IR_MAX_INSNS);
    ir_unit_reset(&u, &toy_guest);
    cr_expect(!u.failed);
    ir_unit_free(&u);
}

Test(ir_unit, prints)
{
    struct ir_unit u = {0};
    char *text;
    size_t size;
    begin(&u);
    uint32_t a = ir_get(&u, TOY_FIELD_X0 + 3);
    uint32_t v = ir_load(&u, IR_I32, 2 | IR_MEM_SIGNED | 2 << IR_MEM_ALIGN_SHIFT | 1 << IR_MEM_MMU_SHIFT, a);
    ir_put(&u, TOY_FIELD_W0, v);
    ir_call(&u, TOY_HELPER_BUMP, a, -1u, -1u, -1u);
    exit_pc(&u, (uint64_t)-4);
    FILE *out = open_memstream(&text, &size);
    ir_print(&u, out);
    fclose(out);
    cr_expect_str_eq(text, "b0:\n  insn 0x0, len=4\n  %1 = get.i64 x3\n  %2 = ld.i32 %1, {4 s align4 mmu1}\n"
                           "  put w0, %2\n  call bump, %1\n  exit_pc -0x4\n");
    free(text);
    ir_unit_free(&u);
}
