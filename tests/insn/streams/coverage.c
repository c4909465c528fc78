// SPDX-License-Identifier: MIT
// Every live row of the decode tables runs in the interpreter, on the x64 tier and on the optimising tier. Rows that
// streams may hold run here alone, to their end, and all engines must agree; the others, which raise exceptions or need
// EL1, must stand in a case of the files given, which insn-cases runs on all. Fails for a row with neither. No oracle.
//
//   coverage CASES...
#include "tests/insn/streams/compare.h"
#include "tests/insn/streams/engines.h"
#include "tests/insn/streams/generate.h"

#include "backends/x64/features.h"
#include "frontends/a64/decode.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 12, HOSTS = 4, HOST_LLVM = 3, LLVM_ROUNDS = 1 /* it compiles slowly */, INEXACT = 1 << 4 };

struct coverage {
    bool in_case[A64_ROW_COUNT];
    struct ours *ours[HOSTS]; // the interpreter, x64, x64 with the least a host may have, LLVM
    uint8_t image[STREAM_IMAGE], memory[2][STREAM_IMAGE];
    unsigned differences;
};

// A line of code begins with the word in eight hexadecimal digits.
static bool code_word(const char *line, uint32_t *ret)
{
    unsigned digits = 0;

    while (isxdigit((unsigned char)line[digits]))
        digits++;
    *ret = (uint32_t)strtoul(line, NULL, 16);
    return digits == 8 && line[8] == ' ';
}

static bool read_cases(struct coverage *c, const char *path)
{
    FILE *in = fopen(path, "r");
    char line[512];
    uint32_t word;
    struct a64_insn insn;

    if (!in)
        return false;
    while (fgets(line, sizeof line, in))
        if (code_word(line, &word) && a64_decode(word, &insn))
            c->in_case[insn.row] = true;
    fclose(in);
    return true;
}

static void run(struct coverage *c, unsigned host, struct stream *s, uint8_t *memory)
{
    memcpy(memory, c->image, STREAM_IMAGE);
    ours_load(c->ours[host], s, 1);
    const char *wrong = ours_run(c->ours[host], s, memory);
    if (wrong) {
        printf("%08x: %s\n", s->code[0], wrong);
        c->differences++;
    }
}

// Whether the row ran to its end on every engine, with the same results.
static bool runs_alone(struct coverage *c, unsigned row)
{
    bool ran = false;

    for (unsigned n = 0; stream_allows(row) && n < ROUNDS; n++) {
        struct stream start, first, other;
        struct a64_insn insn;
        stream_of_row(&start, 1 + row * ROUNDS + n, row, 0);
        if (n < LLVM_ROUNDS)
            start.state.fpsr |= INEXACT; // without it, a region with FP falls back on the backend's code
        first = start;
        run(c, 0, &first, c->memory[0]);
        for (unsigned h = 1; h < HOSTS; h++) {
            other = start;
            if (!c->ours[h] || (h == HOST_LLVM && n >= LLVM_ROUNDS))
                continue;
            run(c, h, &other, c->memory[1]);
            if (compare_equal(&first, c->memory[0], &other, c->memory[1]))
                continue;
            printf("%s: %08x differs between the engines\n", a64_rows[row].name, start.code[0]);
            compare_print(stdout, &other, c->memory[1], "interpreter", &first, c->memory[0]);
            c->differences++;
        }
        ran |= first.state.end == STREAM_FELL_OFF && a64_decode(start.code[0], &insn) && insn.row == row;
    }
    return ran;
}

int main(int argc, char **argv)
{
    static struct coverage c;
    unsigned alone = 0, cases = 0, neither = 0;

    for (int n = 1; n < argc; n++)
        if (!read_cases(&c, argv[n])) {
            printf("cannot read %s\n", argv[n]);
            return 1;
        }
    c.ours[0] = ours_open(RUNNER_INTERPRETER, 0);
    c.ours[1] = ours_open(RUNNER_X64, 0);
    c.ours[2] = ours_open(RUNNER_X64, X64_HAS_SSE42);
    c.ours[HOST_LLVM] = ours_open(RUNNER_LLVM, 0); // NULL in a build without it
    for (unsigned h = 0; h < HOST_LLVM; h++)
        if (!c.ours[h]) {
            printf("engine %u does not start\n", h);
            return 1;
        }
    stream_image(c.image);
    for (unsigned row = 0; row < A64_ROW_COUNT; row++) {
        if (a64_rows[row].status != A64_LIVE)
            continue;
        if (runs_alone(&c, row))
            alone++;
        else if (c.in_case[row])
            cases++;
        else
            printf("row %s is not executed by any test\n", a64_rows[row].name), neither++;
    }
    printf("%u live rows: %u run alone, %u in cases, %u nowhere; %u differences between engines\n",
           alone + cases + neither, alone, cases, neither, c.differences);
    for (unsigned h = 0; h < HOSTS; h++)
        if (c.ours[h])
            ours_close(c.ours[h]);
    return neither || c.differences;
}
