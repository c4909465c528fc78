// SPDX-License-Identifier: MIT
// Compares the decode table with LLVM's disassembler, word by word: which words are allocated on v8.0 with the
// features we announce, which words a later architecture version allocates (they must be a row), and what the
// instruction is called. Words are uniform, random ones of every row, and single-bit flips of those. A difference
// that no line of differences.txt explains fails; so does a line that explained nothing in a long run.
//
// Environment: DIFFERENCES path of the table; WORDS how many (default 1000000); SEED; VERBOSE prints every unexplained
// difference, not one of each sort.
#include "tests/decode/differences.h"

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
    PC = 0x10000,
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

// Cuts to the mnemonic: LLVM prints "\tadd\tx0, ...".
static void mnemonic(char *text)
{
    size_t lead = strspn(text, " \t");

    memmove(text, text + lead, strlen(text + lead) + 1);
    text[strcspn(text, " \t")] = 0;
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
    snprintf(what, sizeof(what), "%s row %s: ours '%s', LLVM '%s'", difference_kind_names[kind], row, ours, theirs);
    if (r->verbose)
        printf("0x%08" PRIx32 ": %s\n", insn->word, what);
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
            printf("0x%08" PRIx32 ": %s\n", insn->word, what);
    }
}

static void compare(struct run *r, uint32_t word)
{
    struct a64_insn insn;
    char ours[128] = "", theirs[256] = "";
    bool live = a64_decode(word, &insn), llvm = llvm_disasm(r->v8, word, theirs, sizeof(theirs));

    r->words++;
    r->live += live;
    mnemonic(theirs);
    if (live) {
        a64_disasm(word, PC, ours, sizeof(ours));
        mnemonic(ours);
    }
    if (live && !llvm)
        differ(r, DIFFERENCE_OURS, &insn, ours, "");
    else if (!live && llvm)
        differ(r, DIFFERENCE_LLVM, &insn, "", theirs);
    else if (live && strcmp(ours, theirs))
        differ(r, DIFFERENCE_NAME, &insn, ours, theirs);
    else if (!live) {
        bool known = llvm_disasm(r->all, word, theirs, sizeof(theirs));
        mnemonic(theirs);
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
    const struct a64_random_options any = {~0u, ~0u, ~0u, ~0u, ~0u, NULL};

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

    printf("%" PRIu64 " words, %" PRIu64 " live; differences: %" PRIu64 " explained, %" PRIu64 " not\n", r.words,
           r.live, r.explained, r.unexplained);
    for (unsigned i = 0; i < r.report_count; i++)
        printf("%8" PRIu64 " %s\n", r.reports[i].count, r.reports[i].what);
    unsigned unused = differences_unused(r.differences, r.words >= LONG_RUN);
    differences_free(r.differences);
    LLVMDisasmDispose(r.v8);
    LLVMDisasmDispose(r.all);
    return r.unexplained || (unused && r.words >= LONG_RUN);
}
