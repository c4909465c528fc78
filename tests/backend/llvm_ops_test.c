// SPDX-License-Identifier: MIT
// The rows of tests/ir/ops.txt through the optimising tier, many to a region: operands come from guest memory, so that
// nothing is folded, results go back there, and the interpreter, which other tests hold to the table, says what is right.
#include "tests/backend/llvm_engine.h"
#include "tests/ir/filetest.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 48, OUT = 2 * IR_PAGE_SIZE }; // operands from 0 on, results from OUT on, 16 bytes each

static _Alignas(64) uint8_t memory_a[TOY_JIT_MEMORY], memory_b[TOY_JIT_MEMORY];
static struct toy_state a, b;
static struct llvm_engine engine;

struct batch {
    FILE *text;
    char *buffer;
    size_t size;
    unsigned rows, operands, ids, first_line;
};

static void hex_bytes(const char *digits, size_t count, uint8_t *at)
{
    unsigned nibble = 0;
    memset(at, 0, 16);
    for (size_t i = count; i-- > 0 && nibble < 32;) {
        if (digits[i] == '_')
            continue;
        unsigned v = (unsigned)(digits[i] <= '9' ? digits[i] - '0' : digits[i] - 'a' + 10);
        at[nibble / 2] |= (uint8_t)(v << (nibble % 2 * 4));
        nibble++;
    }
}

static unsigned bytes_of(const char *type)
{
    return strcmp(type, "v128") == 0 ? 16 : strcmp(type, "flags") == 0 ? 4 : strcmp(type, "i1") == 0 ? 1 :
           (unsigned)atoi(type + 1) / 8;
}

// Loads the operand; gives the id of its value.
static unsigned load_operand(struct batch *batch, const char *type, const char *digits, size_t count)
{
    unsigned at = 16 * batch->operands++, address = ++batch->ids, value = ++batch->ids;
    bool flags = strcmp(type, "flags") == 0, bit = strcmp(type, "i1") == 0;
    hex_bytes(digits, count, memory_a + at);
    if (flags)
        memory_a[at + 3] = (uint8_t)(memory_a[at] << 4), memory_a[at] = 0;
    fprintf(batch->text, "  %%%u = const.i64 0x%x\n  %%%u = ld.%s %%%u, {%u}\n", address, at, value,
            flags ? "i32" : bit ? "i8" : type, address, bytes_of(type));
    if (flags || bit) {
        unsigned loaded = value;
        value = ++batch->ids;
        fprintf(batch->text, "  %%%u = %s %%%u\n", value, flags ? "flags_pack" : "trunc.i1", loaded);
    }
    return value;
}

static void add_row(struct batch *batch, const char *row)
{
    char rest[512];
    size_t length = 0;
    for (const char *at = row; *at && length < sizeof rest - 16;) {
        char type[8];
        int n = 0;
        if (at == row || at[-1] != ' ' || sscanf(at, "%7[a-z0-9]:0x%n", type, &n) != 1 || n == 0) {
            rest[length++] = *at++;
            continue;
        }
        size_t count = strspn(at + n, "0123456789abcdef_");
        length += (size_t)snprintf(rest + length, sizeof rest - length, "%%%u", load_operand(batch, type, at + n, count));
        at += (size_t)n + count;
    }
    fprintf(batch->text, "  %%%u = %.*s\n", ++batch->ids, (int)length, rest);
    unsigned result = batch->ids, address = ++batch->ids;
    fprintf(batch->text, "  %%%u = const.i64 0x%x\n  ; result %%%u %%%u\n", address, OUT + 16 * batch->rows++, address, result);
}

static void start_batch(struct batch *batch, unsigned line)
{
    memset(batch, 0, sizeof *batch);
    memset(memory_a, 0, sizeof memory_a);
    batch->first_line = line;
    batch->text = open_memstream(&batch->buffer, &batch->size);
    fprintf(batch->text, "b0:\n  insn 0x0, len=4\n");
}

// Stores of results, once their types are known: after each constant address stands its value two before.
static void add_stores(struct ir_unit *unit)
{
    static struct ir_unit with;
    ir_unit_reset(&with, unit->guest);
    ir_start_block(&with, ir_new_block(&with));
    static uint32_t place[8192];
    for (uint32_t i = 0; i < unit->insn_count; i++) {
        struct ir_insn insn = unit->insns[i];
        for (unsigned k = 0; k < 4 && insn.arg[k] != IR_NO_VALUE; k++)
            insn.arg[k] = place[insn.arg[k]];
        if (insn.op == IR_OP_vconst)
            insn.imm = ir_pool_add(&with, &unit->vpool[insn.imm]);
        place[i] = ir_emit(&with, insn);
        if (insn.op != IR_OP_const || insn.imm < OUT || i == 0)
            continue;
        uint32_t value = place[i - 1];
        enum ir_type type = ir_type_of(&with, value);
        if (type == IR_FLAGS)
            value = ir_op1(&with, IR_OP_flags_unpack, IR_I32, value), type = IR_I32;
        if (type == IR_I1)
            value = ir_op1(&with, IR_OP_zext, IR_I8, value), type = IR_I8;
        ir_store(&with, (uint32_t)__builtin_ctz(ir_type_size(type)), place[i], value);
    }
    struct ir_unit old = *unit;
    *unit = with;
    with = old;
}

static void run_batch(struct batch *batch)
{
    static union ir_value slots[8192];
    static struct ir_unit unit;
    char where[64];
    fprintf(batch->text, "  exit_pc 0x4\n");
    fclose(batch->text);
    snprintf(where, sizeof where, "ops.txt:%u", batch->first_line);
    filetest_unit(batch->buffer, where, &unit);
    free(batch->buffer);
    add_stores(&unit);
    cr_assert(!unit.failed && unit.insn_count <= ARRAY_SIZE(slots));
    memcpy(memory_b, memory_a, sizeof memory_a);
    toy_reset(&a, memory_a, sizeof memory_a);
    toy_reset(&b, memory_b, sizeof memory_b);
    toy_jit_tables(&engine.jit, &b, UINT32_MAX, UINT32_MAX);
    a.env.fp_flags = b.env.fp_flags = IR_FP_IXC;
    struct optimiser_region region;
    const void *fallback = NULL;
    llvm_engine_compile(&engine, &unit, &fallback, &region);
    cr_assert_eq(ir_interpret(&unit, &a.env, &toy_runtime, slots), IR_EXIT_JUMP);
    cr_assert_eq(x64_backend.enter(engine.jit.backend, &b.env, region.entry), IR_EXIT_JUMP);
    for (unsigned i = 0; i < batch->rows; i++) {
        const uint8_t *want = memory_a + OUT + 16 * i, *got = memory_b + OUT + 16 * i;
        uint64_t w[2], g[2];
        memcpy(w, want, 16), memcpy(g, got, 16);
        cr_expect(memcmp(want, got, 16) == 0, "row %u from ops.txt:%u: %016llx%016llx instead of %016llx%016llx", i,
                  batch->first_line, (unsigned long long)g[1], (unsigned long long)g[0], (unsigned long long)w[1],
                  (unsigned long long)w[0]);
    }
    cr_expect_eq(a.env.fp_flags, b.env.fp_flags, "exceptions %x instead of %x, rows from ops.txt:%u", b.env.fp_flags,
                 a.env.fp_flags, batch->first_line);
    engine.ops->release(engine.optimiser, region.handle);
}

Test(llvm_ops, table)
{
    char *file = filetest_read("ops.txt"), *at = file, *row;
    struct batch batch;
    unsigned line = 1;
    llvm_engine_create(&engine, UINT64_MAX);
    start_batch(&batch, line);
    for (; (row = filetest_line(&at)); line++) {
        char *comment = strchr(row, ';'), *arrow;
        if (comment)
            *comment = 0;
        if (!(arrow = strstr(row, " => ")))
            continue;
        *arrow = 0;
        add_row(&batch, row);
        if (batch.rows == ROWS) {
            run_batch(&batch);
            start_batch(&batch, line + 1);
        }
    }
    run_batch(&batch);
    free(file);
    llvm_engine_destroy(&engine);
}
