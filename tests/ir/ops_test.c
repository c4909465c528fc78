// SPDX-License-Identifier: MIT
// Each op against ops.txt: the interpreter and ir_eval both give the expected value and FP exceptions, the
// text form survives a round trip, and no op of ops.def is without a case in ops.txt or run.txt.
#include "ir/ops.h"
#include "tests/ir/filetest.h"
#include "tests/ir/toy_guest.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// A 128-bit hexadecimal number.
static union v128 parse_wide(const char *text, char **stop)
{
    union v128 v = {.d = {0, 0}};
    const char *c = strncmp(text, "0x", 2) == 0 ? text + 2 : text;
    for (; strchr("0123456789abcdef_", *c) && *c; c++) {
        if (*c == '_')
            continue;
        v.d[1] = v.d[1] << 4 | v.d[0] >> 60;
        v.d[0] = v.d[0] << 4 | (uint64_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
    }
    *stop = (char *)c;
    return v;
}

static uint32_t pack(uint64_t nzcv)
{
    return (nzcv & 8 ? IR_FLAG_N : 0) | (nzcv & 4 ? IR_FLAG_Z : 0) | (nzcv & 2 ? IR_FLAG_C : 0) |
           (nzcv & 1 ? IR_FLAG_V : 0);
}

// Writes the unit that computes "op TYPE:VALUE, TYPE:VALUE, rest".
static void unit_text(const char *row, FILE *out)
{
    char rest[512];
    size_t length = 0;
    unsigned next = 1;
    fprintf(out, "b0:\n  insn 0x0, len=4\n");
    for (const char *at = row; *at && length < sizeof rest - 8;) {
        char type[8], *stop;
        int n = 0;
        bool starts = at > row && at[-1] == ' ';
        if (!starts || sscanf(at, "%7[a-z0-9]:0%n", type, &n) != 1 || n == 0) {
            rest[length++] = *at++;
            continue;
        }
        union v128 v = parse_wide(at + n - 1, &stop);
        at = stop;
        if (strcmp(type, "v128") == 0)
            fprintf(out, "  %%%u = vconst 0x%016" PRIx64 "%016" PRIx64 "\n", next, v.d[1], v.d[0]);
        else if (strcmp(type, "flags") == 0)
            fprintf(out, "  %%%u = const.i32 0x%" PRIx64 "\n  %%%u = flags_pack %%%u\n", next + 100,
                    v.d[0] << 28, next, next + 100);
        else
            fprintf(out, "  %%%u = const.%s 0x%" PRIx64 "\n", next, type, v.d[0]);
        length += (size_t)snprintf(rest + length, sizeof rest - length, "%%%u", next++);
    }
    fprintf(out, "  %%99 = %.*s\n  exit_pc 0x4\n", (int)length, rest);
}

static void check_row(const char *row, const char *want, unsigned line)
{
    static struct toy_state toy;
    union ir_value slots[64] = {0}, again = {0};
    struct ir_unit unit = {0};
    char *text, where[64], *stop;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    unit_text(row, out);
    fclose(out);
    snprintf(where, sizeof where, "ops.txt:%u", line);
    filetest_unit(text, where, &unit);

    union v128 value = parse_wide(want, &stop);
    uint32_t exceptions = strstr(stop, "fp=") ? (uint32_t)strtoul(strstr(stop, "fp=") + 3, NULL, 0) : 0;
    uint32_t id = unit.insn_count - 2;
    const struct ir_insn *insn = &unit.insns[id];
    if (insn->type == IR_FLAGS)
        value.d[0] = pack(value.d[0]);

    toy_reset(&toy, NULL, 0);
    toy.env.pc_page = 0x5000;
    cr_expect_eq(ir_interpret(&unit, &toy.env, &toy_runtime, slots), IR_EXIT_JUMP);
    cr_expect(slots[id].v.d[0] == value.d[0] && (insn->type != IR_V128 || slots[id].v.d[1] == value.d[1]),
              "%s: %s gives %016" PRIx64 "_%016" PRIx64, where, row, slots[id].v.d[1], slots[id].v.d[0]);
    cr_expect_eq(toy.env.fp_flags, exceptions, "%s: %s raises 0x%x", where, row, toy.env.fp_flags);

    enum ir_type types[4] = {0};
    union ir_value args[4] = {0};
    for (unsigned i = 0; i < 4 && insn->arg[i] != IR_NO_VALUE; i++) {
        types[i] = ir_type_of(&unit, insn->arg[i]);
        args[i] = slots[insn->arg[i]];
    }
    uint32_t raised = 0;
    if (ir_eval(insn, types, args, &again, &raised)) {
        cr_expect(memcmp(&again.v, &value, insn->type == IR_V128 ? 16 : 8) == 0, "%s: ir_eval differs",
                  where);
        cr_expect_eq(raised, exceptions, "%s: ir_eval raises 0x%x", where, raised);
    }

    char *printed = filetest_print(&unit);
    struct ir_unit copy = {0};
    filetest_unit(printed, where, &copy);
    char *twice = filetest_print(&copy);
    cr_expect_str_eq(printed, twice);
    cr_expect(memcmp(unit.insns, copy.insns, unit.insn_count * sizeof *unit.insns) == 0, "%s: round trip",
              where);
    free(printed);
    free(twice);
    free(text);
    ir_unit_free(&unit);
    ir_unit_free(&copy);
}

Test(ir_ops, table)
{
    char *file = filetest_read("ops.txt"), *at = file, *row;
    for (unsigned line = 1; (row = filetest_line(&at)); line++) {
        char *comment = strchr(row, ';');
        if (comment)
            *comment = 0;
        char *arrow = strstr(row, " => ");
        if (!arrow) {
            cr_expect_eq(strspn(row, " "), strlen(row), "ops.txt:%u has no =>", line);
            continue;
        }
        *arrow = 0;
        check_row(row, arrow + 4, line);
    }
    free(file);
}

// Whether text has op as the name of an instruction.
static bool has_case(const char *text, const char *op)
{
    size_t n = strlen(op);
    for (const char *at = text; (at = strstr(at, op)); at += n)
        if ((at == text || strchr(" \n", at[-1])) && strchr(". \n", at[n]))
            return true;
    return false;
}

Test(ir_ops, every_op_has_a_case)
{
    char *values = filetest_read("ops.txt"), *runs = filetest_read("run.txt");
    for (unsigned op = 0; op < IR_OP_COUNT; op++) {
        cr_expect(has_case(values, ir_ops[op].name) || has_case(runs, ir_ops[op].name), "no case of %s",
                  ir_ops[op].name);
        cr_expect(ir_ops[op].semantics && ir_ops[op].semantics[0]);
    }
    free(values);
    free(runs);
}
