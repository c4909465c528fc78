// SPDX-License-Identifier: MIT
// Joined units against their parts run one after the other: random parts with exits to one another, calls and returns
// among them, and the same state, memory, exit and PC afterwards; before and after the passes.
#include "base/error.h"
#include "ir/merge.h"
#include "ir/opt/passes.h"
#include "tests/ir/filetest.h"
#include "tests/ir/random_unit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 6, PAGE = 0x10000, ACCESSES = 40 };
static const uint64_t memory_size = 4096;

struct set {
    struct ir_unit units[PARTS];
    struct ir_merge_part parts[PARTS];
    uint32_t count;
};

static const struct ir_insn no_op = {.arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}};

// Replaces the terminator of block b by one that leaves for pc: directly, as a call, or as a return.
static void leave_for(struct ir_unit *unit, uint32_t b, int64_t pc, enum ir_jump_hint hint, int64_t back)
{
    uint32_t last = unit->blocks[b].first + unit->blocks[b].count - 1;
    struct ir_insn exit = no_op;
    exit.op = IR_OP_exit_pc;
    exit.sub = (uint8_t)hint;
    exit.imm = (uint64_t)pc;
    exit.attr = hint == IR_JUMP_CALL ? (uint32_t)back : 0;
    if (hint != IR_JUMP_RETURN) {
        unit->insns[last] = exit;
        return;
    }
    struct ir_insn br = no_op, value = no_op;
    br.op = IR_OP_br;
    br.imm = ir_new_block(unit);
    unit->insns[last] = br;
    ir_start_block(unit, (uint32_t)br.imm);
    value.op = IR_OP_pc;
    value.type = IR_I64;
    value.imm = (uint64_t)pc;
    exit.op = IR_OP_exit_ind;
    exit.imm = 0;
    exit.arg[0] = ir_emit(unit, value);
    value.op = IR_OP_poll; // the interpreter's exit_ind does not
    value.type = IR_VOID;
    ir_emit(unit, value);
    ir_emit(unit, exit);
}

static int64_t some_entry(const struct set *set, struct random_source *random)
{
    const struct ir_merge_part *p = &set->parts[random_below(random, set->count)];
    return p->base + p->entry;
}

static void make_part(struct set *set, uint32_t n, struct random_source *random)
{
    struct ir_unit *unit = &set->units[n];
    struct ir_merge_part *part = &set->parts[n];
    for (uint32_t i = 0; i < unit->insn_count; i++)
        if (unit->insns[i].op == IR_OP_insn || unit->insns[i].op == IR_OP_poll)
            unit->insns[i].imm += part->entry;
    uint32_t blocks = unit->block_count;
    for (uint32_t b = 0; b < blocks; b++) {
        const struct ir_insn *last = &unit->insns[unit->blocks[b].first + unit->blocks[b].count - 1];
        if (!(ir_ops[last->op].flags & IR_TERM) || last->op == IR_OP_br || last->op == IR_OP_brif)
            continue;
        int64_t pc = some_entry(set, random) - part->base;
        if (random_below(random, 8) == 0)
            pc += 4; // into the middle
        if (random_below(random, 8))
            leave_for(unit, b, pc, random_below(random, 3), some_entry(set, random) - part->base);
    }
}

static void make_set(struct set *set, struct random_source *random)
{
    struct random_options options = {.classes = RANDOM_ALL & ~RANDOM_ATOMIC, .insns = 6, .memory_size = memory_size};
    set->count = 1 + random_below(random, PARTS);
    int64_t at = random_below(random, 64) * 4;
    for (uint32_t n = 0; n < set->count; n++) {
        random_unit(random, &options, &set->units[n]);
        int64_t base = n ? (int64_t)(random_below(random, 3) * 4096) - 4096 : 0;
        set->parts[n] = (struct ir_merge_part){&set->units[n], base, (uint32_t)at};
        at += set->units[n].guest_bytes;
    }
    for (uint32_t n = set->count; n-- > 1;) { // the seed is not always the first in the page
        uint32_t other = 1 + random_below(random, n);
        struct ir_merge_part t = set->parts[n];
        set->parts[n] = set->parts[other];
        set->parts[other] = t;
        struct ir_unit u = set->units[n];
        set->units[n] = set->units[other];
        set->units[other] = u;
    }
    for (uint32_t n = 0; n < set->count; n++) {
        set->parts[n].unit = &set->units[n];
        make_part(set, n, random);
    }
}

// ---- running -------------------------------------------------------------------------------------------------------

// Loops end because the budget does: after so many loads and polls see it gone.
static int counting_load(struct ir_env *env, uint64_t va, uint32_t attr, union ir_value *ret_value)
{
    struct toy_state *toy = (struct toy_state *)env;
    if (++env->insn_count >= ACCESSES)
        env->budget = -1;
    return toy_runtime.load((struct ir_env *)toy, va, attr, ret_value);
}

static struct ir_runtime counting(void)
{
    struct ir_runtime runtime = toy_runtime;
    runtime.load = counting_load;
    return runtime;
}

static bool backward(const struct ir_merge_part *from, int64_t pc)
{
    return pc < from->base + from->entry + (int64_t)from->unit->guest_bytes;
}

// The meaning of a joined unit: parts one after the other while one begins where the last one left for.
static int run_parts(const struct set *set, struct toy_state *toy, union ir_value *slots, bool *ret_endless)
{
    const struct ir_runtime runtime = counting();
    const struct ir_merge_part *part = &set->parts[0];
    for (unsigned steps = 0; steps < 2000; steps++) {
        toy->env.pc_page = PAGE + (uint64_t)part->base;
        int code = ir_interpret(part->unit, &toy->env, &runtime, slots);
        if (code != IR_EXIT_JUMP)
            return code;
        int64_t pc = (int64_t)toy->env.pc - PAGE;
        const struct ir_merge_part *next = NULL;
        for (uint32_t n = 0; n < set->count; n++)
            if (set->parts[n].base + set->parts[n].entry == pc)
                next = &set->parts[n];
        if (!next)
            return code;
        if (backward(part, pc) && toy->env.budget < 0)
            return IR_EXIT_POLL;
        part = next;
    }
    *ret_endless = true;
    return IR_EXIT_NONE;
}

static void start(struct toy_state *toy, uint8_t *memory, uint64_t seed)
{
    random_toy(toy, memory, memory_size, seed);
    toy->env.pc_page = PAGE;
    toy->env.budget = seed & 3 ? 0 : -1;
}

// Where the two may differ: an indirect exit polls or not, and a joined one may leave by either code.
static bool same_exit(int a, int b)
{
    return a == b || (a == IR_EXIT_POLL && b == IR_EXIT_JUMP) || (a == IR_EXIT_JUMP && b == IR_EXIT_POLL);
}

static bool returns_among(const struct set *set)
{
    for (uint32_t n = 0; n < set->count; n++)
        for (uint32_t i = 0; i < set->units[n].insn_count; i++)
            if (set->units[n].insns[i].op == IR_OP_exit_ind && set->units[n].insns[i].sub == IR_JUMP_RETURN)
                return true;
    return false;
}

static void compare(const struct set *set, const struct ir_unit *joined, uint64_t seed, unsigned *ended)
{
    static struct toy_state a, b;
    static uint8_t memory_a[4096], memory_b[4096];
    const struct ir_runtime runtime = counting();
    bool endless = false;
    char text[256] = "";
    union ir_value *slots = calloc(IR_MAX_INSNS, sizeof *slots);
    start(&a, memory_a, seed);
    start(&b, memory_b, seed);
    int expected = run_parts(set, &a, slots, &endless);
    if (!endless) {
        int code = ir_interpret(joined, &b.env, &runtime, slots);
        // A return that is not compared with where it leads leaves the joined unit; go on as a dispatcher would.
        for (unsigned again = 0; code == IR_EXIT_JUMP && returns_among(set) && again < 2000; again++) {
            int64_t pc = (int64_t)b.env.pc - PAGE;
            uint32_t n = 0;
            while (n < set->count && set->parts[n].base + set->parts[n].entry != pc)
                n++;
            if (n == set->count)
                break;
            struct set rest = *set;
            rest.parts[0] = set->parts[n];
            rest.parts[n] = set->parts[0];
            code = run_parts(&rest, &b, slots, &endless);
        }
        if (!endless) {
            cr_assert(same_exit(expected, code), "ISOMER_SEED=%llx: leaves with %d, its parts with %d",
                      (unsigned long long)seed, code, expected);
            a.env.pc_page = b.env.pc_page;
            cr_assert(!toy_differs(&a, &b, text, sizeof text), "ISOMER_SEED=%llx: %s", (unsigned long long)seed, text);
            (*ended)++;
        }
    }
    free(slots);
}

Test(ir_merge, random)
{
    uint64_t first = random_run_seed();
    const char *count = getenv("ISOMER_COUNT");
    uint64_t rounds = count ? strtoull(count, NULL, 10) : 600;
    struct set *set = calloc(1, sizeof *set);
    struct ir_unit joined = {0};
    struct ir_opt opt = {0};
    unsigned ended = 0;
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        struct random_source random;
        struct error err = {""};
        random_start(&random, seed);
        make_set(set, &random);
        for (uint32_t n = 0; n < set->count; n++)
            cr_assert_eq(ir_verify(&set->units[n], &err), 0, "part %u: %s", n, err.text);
        cr_assert_eq(ir_merge(set->parts, set->count, &joined), 0);
        cr_assert_eq(ir_verify(&joined, &err), 0, "ISOMER_SEED=%llx: %s", (unsigned long long)seed, err.text);
        compare(set, &joined, seed, &ended);
        ir_optimise(&joined, &opt);
        cr_assert_eq(ir_verify(&joined, &err), 0, "ISOMER_SEED=%llx, optimised: %s", (unsigned long long)seed,
                     err.text);
        compare(set, &joined, seed, &ended);
    }
    cr_assert_gt(ended, rounds, "only %u runs ended", ended);
    for (unsigned n = 0; n < PARTS; n++)
        ir_unit_free(&set->units[n]);
    ir_unit_free(&joined);
    ir_opt_free(&opt);
    free(set);
}

// ---- what joining looks like ---------------------------------------------------------------------------------------

static void parse(const char *text, uint32_t bytes, struct ir_unit *unit)
{
    filetest_unit(text, "merge_test.c", unit);
    unit->guest_bytes = bytes;
}

static char *join(const struct ir_merge_part *parts, uint32_t count)
{
    struct ir_unit joined = {0};
    cr_assert_eq(ir_merge(parts, count, &joined), 0);
    char *text = filetest_print(&joined);
    ir_unit_free(&joined);
    return text;
}

static unsigned occurrences(const char *text, const char *what)
{
    unsigned n = 0;
    while ((text = strstr(text, what)) != NULL) {
        n++;
        text++;
    }
    return n;
}

Test(ir_merge, polls_only_backward_edges_and_once)
{
    struct ir_unit a = {0}, b = {0};
    parse("b0:\n  insn 0x100, len=4\n  exit_pc 0x200\n", 4, &a);
    parse("b0:\n  insn 0x200, len=4\n  exit_pc 0x100\n", 4, &b);
    struct ir_merge_part parts[] = {{&a, 0, 0x100}, {&b, 0, 0x200}};
    char *text = join(parts, 2);
    cr_assert_eq(occurrences(text, "poll 0x100"), 1, "%s", text);
    cr_assert_eq(occurrences(text, "poll"), 1, "%s", text);
    cr_assert_eq(occurrences(text, "exit_pc"), 0, "%s", text);
    free(text);
    parse("b0:\n  insn 0x200, len=4\n  poll 0x100\n  exit_pc 0x100\n", 4, &b);
    text = join(parts, 2);
    cr_assert_eq(occurrences(text, "poll"), 1, "%s", text);
    free(text);
    ir_unit_free(&a);
    ir_unit_free(&b);
}

Test(ir_merge, returns_are_compared_with_joined_calls)
{
    struct ir_unit call = {0}, back = {0}, callee = {0};
    parse("b0:\n  insn 0x100, len=4\n  exit_pc 0x200, call, ret=0x104\n", 4, &call);
    parse("b0:\n  insn 0x104, len=4\n  exit_pc 0x300\n", 4, &back);
    parse("b0:\n  insn 0x0, len=4\n  %1 = get.i64 x0\n  exit_ind %1, return\n", 4, &callee);
    callee.insns[0].imm = 0x200;
    struct ir_merge_part parts[] = {{&call, 0, 0x100}, {&back, 0, 0x104}, {&callee, 0, 0x200}};
    char *text = join(parts, 3);
    cr_assert_eq(occurrences(text, "pc 0x104"), 1, "%s", text);
    cr_assert_eq(occurrences(text, "poll 0x104"), 1, "%s", text);
    cr_assert_eq(occurrences(text, "exit_ind"), 1, "%s", text);
    cr_assert_eq(occurrences(text, "exit_pc"), 1, "%s", text);
    free(text);
    parts[1] = parts[2]; // nothing to return to
    text = join(parts, 2);
    cr_assert_eq(occurrences(text, "icmp"), 0, "%s", text);
    free(text);
    ir_unit_free(&call);
    ir_unit_free(&back);
    ir_unit_free(&callee);
}

Test(ir_merge, refuses_parts_of_different_modes)
{
    struct ir_unit a = {0}, b = {0}, joined = {0};
    parse("b0:\n  insn 0x100, len=4\n  exit_pc 0x200\n", 4, &a);
    parse("b0:\n  insn 0x200, len=4\n  exit_pc 0x100\n", 4, &b);
    b.fp_mode = IR_FP_FTZ;
    struct ir_merge_part parts[] = {{&a, 0, 0x100}, {&b, 0, 0x200}};
    cr_assert_eq(ir_merge(parts, 2, &joined), -EINVAL);
    ir_unit_free(&a);
    ir_unit_free(&b);
    ir_unit_free(&joined);
}
