// SPDX-License-Identifier: MIT
// Compares the decode table with LLVM's disassembler, word by word: which words are allocated on v8.0 with
// the features we announce, which words a later architecture version allocates (they must be a row), and how
// the instruction and its operands read. Words are uniform, random ones of every row, and single-bit flips of
// those. A difference that no line of differences.txt explains fails; so does a line that explained nothing
// in a long run.
//
// Environment: DIFFERENCES path of the table; WORDS how many (default 1000000); SEED; VERBOSE prints every
// unexplained difference, not one of each sort.
#include "tests/decode/differences.h"

#include <ctype.h>
#include <inttypes.h>
#include <llvm-c/Disassembler.h>
#include <llvm-c/Target.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    LONG_RUN = 10000000, // words after which an unused line of differences.txt is an error
    MAX_REPORTS = 60,
    PC = 0, // LLVM prints offsets where we print addresses
};

// The features announced to the guest, no more. LLVM's v8a implies none of the optional ones.
static const char announced[] = "+v8a,+fp-armv8,+neon,+crc,+aes,+sha2";

struct report {
    char what[160];
    uint64_t count;
};

struct run {
    LLVMDisasmContextRef v8, all;
    struct differences *differences;
    struct report reports[MAX_REPORTS];
    unsigned report_count;
    uint64_t words, explained, unexplained, live;
    bool verbose;
};

static bool llvm_disasm(LLVMDisasmContextRef llvm, uint32_t word, char *buf, size_t size)
{
    uint8_t bytes[4] = {word, word >> 8, word >> 16, word >> 24};

    return LLVMDisasmInstruction(llvm, bytes, 4, PC, buf, size) == 4;
}

// Rewrites text so that only what differs in meaning differs: lower case, one space for white space, numbers
// as 64-bit hexadecimal (LLVM prints many in decimal, and offsets signed). Numbers inside words and fractions
// are left alone.
static void normalise(char *text, size_t size)
{
    char out[256];
    size_t n = 0;
    char before = ' ';

    for (const char *p = text + strspn(text, " \t"); *p && n + 20 < sizeof(out);) {
        char *end = NULL;
        if (before == ' ' || before == '#')
            strtoull(p + (*p == '-'), &end, 0);
        if (end && end != p + (*p == '-') && *end != '.') {
            n -= before == '#';
            n += sprintf(out + n, "%" PRIx64, (uint64_t)strtoull(p, NULL, 0));
            p = end;
            before = '0';
            continue;
        }
        before = *p == '\t' ? ' ' : tolower((unsigned char)*p);
        out[n++] = before;
        p++;
    }
    out[n] = 0;
    snprintf(text, size, "%s", out);
}

static bool same_mnemonic(const char *a, const char *b)
{
    size_t n = strcspn(a, " ");

    return n == strcspn(b, " ") && !strncmp(a, b, n);
}

static void differ(struct run *r, enum difference_kind kind, const struct a64_insn *insn, const char *ours,
                   const char *theirs)
{
    char what[160];
    const char *row = insn->row == A64_ROW_COUNT ? "-" : a64_rows[insn->row].name;

    if (differences_explain(r->differences, kind, insn, ours, theirs)) {
        r->explained++;
        return;
    }
    r->unexplained++;
    int cut = strcspn(ours, " "), their_cut = strcspn(theirs, " ");
    snprintf(what, sizeof(what), "%s row %s: ours '%.*s', LLVM '%.*s'", difference_kind_names[kind], row, cut,
             ours, their_cut, theirs);
    if (r->verbose)
        printf("0x%08" PRIx32 ": %s\n    ours '%s'\n    LLVM '%s'\n", insn->word, what, ours, theirs);
    for (unsigned i = 0; i < r->report_count; i++)
        if (!strcmp(r->reports[i].what, what)) {
            r->reports[i].count++;
            return;
        }
    if (r->report_count < MAX_REPORTS) {
        struct report *report = &r->reports[r->report_count++];
        strcpy(report->what, what);
        report->count = 1;
        if (!r->verbose)
            printf("0x%08" PRIx32 ": %s: '%s', '%s'\n", insn->word, what, ours, theirs);
    }
}

static void compare(struct run *r, uint32_t word)
{
    struct a64_insn insn;
    char ours[128] = "", theirs[256] = "";
    bool live = a64_decode(word, &insn), llvm = llvm_disasm(r->v8, word, theirs, sizeof(theirs));

    r->words++;
    r->live += live;
    normalise(theirs, sizeof(theirs));
    if (live) {
        a64_disasm(word, PC, ours, sizeof(ours));
        normalise(ours, sizeof(ours));
    }
    if (live && !llvm)
        differ(r, DIFFERENCE_OURS, &insn, ours, "");
    else if (!live && llvm)
        differ(r, DIFFERENCE_LLVM, &insn, "", theirs);
    else if (live && strcmp(ours, theirs))
        differ(r, same_mnemonic(ours, theirs) ? DIFFERENCE_TEXT : DIFFERENCE_NAME, &insn, ours, theirs);
    else if (!live) {
        bool known = llvm_disasm(r->all, word, theirs, sizeof(theirs));
        normalise(theirs, sizeof(theirs));
        if (known != (insn.row < A64_ROW_COUNT))
            differ(r, known ? DIFFERENCE_UNLISTED : DIFFERENCE_LATER, &insn, "", known ? theirs : "");
    }
}

static uint64_t env_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 0) : otherwise;
}

int main(void)
{
    struct run r = {.verbose = getenv("VERBOSE")};
    uint64_t seed = 0, target = env_number("WORDS", 1000000);
    const struct a64_random_options any = {~0u, ~0u, ~0u, ~0u, ~0u, NULL, true};

    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        seed = 1;
    seed = env_number("SEED", seed);
    printf("SEED=0x%" PRIx64 " WORDS=%" PRIu64 "\n", seed, target);

    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64Disassembler();
    r.v8 = LLVMCreateDisasmCPUFeatures("aarch64", "", announced, NULL, 0, NULL, NULL);
    r.all = LLVMCreateDisasmCPUFeatures("aarch64", "", "+all", NULL, 0, NULL, NULL);
    r.differences = differences_load(getenv("DIFFERENCES"));
    if (!r.v8 || !r.all || !r.differences)
        return 1;

    while (r.words < target)
        for (unsigned row = 0; row < A64_ROW_COUNT; row++) {
            uint32_t word = a64_random_of_row(&seed, &any, row);
            compare(&r, word);
            for (unsigned n = 0; n < 4; n++)
                compare(&r, word ^ 1u << (a64_random_of_row(&seed, &any, A64_ROW_b) & 31));
            for (unsigned n = 0; n < 5; n++)
                compare(&r, (seed = seed * 6364136223846793005 + 1442695040888963407) >> 32);
        }

    printf("%" PRIu64 " words, %" PRIu64 " live; differences: %" PRIu64 " explained, %" PRIu64 " not\n",
           r.words, r.live, r.explained, r.unexplained);
    for (unsigned i = 0; i < r.report_count; i++)
        printf("%8" PRIu64 " %s\n", r.reports[i].count, r.reports[i].what);
    unsigned unused = differences_unused(r.differences, r.words >= LONG_RUN);
    differences_free(r.differences);
    LLVMDisasmDispose(r.v8);
    LLVMDisasmDispose(r.all);
    return r.unexplained || (unused && r.words >= LONG_RUN);
}
