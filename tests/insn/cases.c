// SPDX-License-Identifier: MIT
// Runs the text files of this folder: short A64 programs with the state before and after, under the IR
// interpreter, the x64 backend and the optimising tier.
//
//   case NAME                a new case: reset state (EL1h, MMU off, memory zero), code at 0x10000
//   set REG=VALUE ...        registers by the debugger's names, or irq, counter, normal, budget
//   mem ADDRESS VALUE ...    64-bit words from ADDRESS
//   WORD  assembly           the next instruction; only the word is read
//   run N                    N units; an expect that comes first runs one
//   expect REG=VALUE ...     registers, or exit, interrupt, irqpc, port and the counters of flat_accel.h
//   expectmem ADDRESS VALUE ...
#include "tests/insn/flat_accel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CODE = 0x10000, SIZE = 0x60000 };

struct run {
    struct flat *flat;
    const char *file, *engine;
    char name[128];
    unsigned line, words, cases, failures;
    bool ran, failed;
};

static void fail(struct run *r, const char *what, uint64_t got, uint64_t wanted)
{
    printf("%s:%u: %s: %s, %s is %#" PRIx64 ", not %#" PRIx64 "\n", r->file, r->line, r->name, r->engine, what, got,
           wanted);
    if (!r->failed)
        r->failures++;
    r->failed = true;
}

static void run_units(struct run *r, unsigned units)
{
    r->ran = true;
    flat_flush(r->flat);
    for (unsigned n = 0; n < units; n++) {
        // No unit runs past the last word of the case.
        uint64_t left = CODE + 4 * r->words - r->flat->cpu->env.pc;
        if (flat_run(r->flat, left / 4 - 1 < r->words ? (unsigned)left / 4 : 1, 1, 1) < 0)
            fail(r, "verifier's verdict", 1, 0);
    }
}

static bool debug_value(struct flat *f, const char *name, uint64_t *value, bool set)
{
    for (unsigned n = 0; n < a64_isa.debug_reg_count; n++) {
        uint64_t buf[2] = {*value, 0};
        if (strcasecmp(a64_isa.debug_regs[n].name, name))
            continue;
        if (set)
            return a64_isa.debug_set(&f->cpu->env, n, buf);
        buf[0] = 0;
        if (!a64_isa.debug_get(&f->cpu->env, n, buf))
            return false;
        *value = buf[0];
        return true;
    }
    return false;
}

static bool set_one(struct run *r, const char *name, uint64_t value)
{
    struct flat *f = r->flat;
    if (!strcmp(name, "irq"))
        atomic_store(&f->cpu->env.irq_pending, (uint32_t)value);
    else if (!strcmp(name, "counter"))
        f->counter = value;
    else if (!strcmp(name, "normal"))
        f->config.normal_memory = value;
    else if (!strcmp(name, "budget"))
        atomic_store(&f->cpu->env.budget, (int32_t)value);
    else
        return debug_value(f, name, &value, true);
    return true;
}

static const char *const exit_names[] = {"none",  "jump", "poll",       "fault",
                                         "state", "halt", "wait_event", "yield"};

static bool get_one(struct run *r, const char *name, uint64_t *ret)
{
    struct flat *f = r->flat;
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"tlbis", f->tlbis},
        {"tlb_syncs", f->tlb_syncs},
        {"context_changes", f->context_changes},
        {"hypercalls", f->hypercalls},
        {"events_sent", f->events_sent},
        {"tlbi_kind", f->last_tlbi.kind},
        {"tlbi_va", f->last_tlbi.va},
        {"tlbi_asid", f->last_tlbi.asid},
        {"tlbi_broadcast", f->last_tlbi.broadcast},
        {"watches", f->watches},
        {"watch_va", f->last_watch.va},
        {"watch_len", f->last_watch.len},
        {"watch_access", f->last_watch.access},
        {"watch_mmu", f->last_watch.mmu_mask},
        {"port", f->last_port_reg},
        {"exit", (uint64_t)f->last_exit},
    };
    for (unsigned n = 0; n < ARRAY_SIZE(counters); n++)
        if (!strcmp(counters[n].name, name)) {
            *ret = counters[n].value;
            return true;
        }
    if (!strcmp(name, "interrupt")) {
        *ret = a64_isa.take_interrupt(&f->cpu->env);
        return true;
    }
    return debug_value(f, strcmp(name, "irqpc") ? name : "pc", ret, false);
}

static bool parse_value(const char *text, uint64_t *ret)
{
    char *end;
    for (unsigned n = 0; n < ARRAY_SIZE(exit_names); n++)
        if (!strcmp(exit_names[n], text)) {
            *ret = n;
            return true;
        }
    *ret = strtoull(text, &end, 0);
    return end != text && !*end;
}

// "name=value" of a set or expect line.
static void assignment(struct run *r, char *word, bool expect)
{
    char *eq = strchr(word, '=');
    uint64_t wanted, got = 0;
    if (eq)
        *eq = 0;
    if (!eq || !parse_value(eq + 1, &wanted)) {
        fail(r, "unreadable word", 1, 0);
        return;
    }
    if (!(expect ? get_one(r, word, &got) : set_one(r, word, wanted)))
        fail(r, word, 0, 1);
    else if (expect && got != wanted)
        fail(r, word, got, wanted);
}

static void memory(struct run *r, char *save, bool expect)
{
    uint64_t addr = 0, value;
    char *word = strtok_r(NULL, " ", &save);
    if (!word || !parse_value(word, &addr))
        fail(r, "address", 0, 1);
    for (; (word = strtok_r(NULL, " ", &save)) && parse_value(word, &value); addr += 8) {
        void *at = flat_at(r->flat, addr, 8);
        uint64_t got = 0;
        if (at && !expect)
            memcpy(at, &value, 8);
        else if (at)
            memcpy(&got, at, 8);
        if (!at || (expect && got != value))
            fail(r, "memory word", got, value);
    }
}

static void begin(struct run *r, const char *name)
{
    r->cases++;
    r->words = 0;
    r->ran = r->failed = false;
    snprintf(r->name, sizeof r->name, "%.120s", name);
    flat_reset(r->flat);
    memset(r->flat->mem, 0, SIZE);
    memset(&r->flat->last_tlbi, 0, sizeof r->flat->last_tlbi);
    r->flat->config.normal_memory = false;
    r->flat->cpu->env.pc = CODE;
    r->flat->cpu->context_dirty = 0;
    atomic_store(&r->flat->cpu->env.irq_pending, 0);
    atomic_store(&r->flat->cpu->env.budget, 0);
}

static void read_line(struct run *r, char *line)
{
    char *save, *word;
    line[strcspn(line, "\n")] = 0;
    if (!strncmp(line, "case ", 5)) {
        begin(r, line + 5);
        return;
    }
    word = strtok_r(line, " ", &save);
    if (!word || *word == '#')
        return;
    if (!strcmp(word, "set")) {
        while ((word = strtok_r(NULL, " ", &save)))
            assignment(r, word, false);
    } else if (!strcmp(word, "expect")) {
        if (!r->ran)
            run_units(r, 1);
        while ((word = strtok_r(NULL, " ", &save)))
            assignment(r, word, true);
    } else if (!strcmp(word, "run")) {
        word = strtok_r(NULL, " ", &save);
        run_units(r, word ? (unsigned)atoi(word) : 1);
    } else if (!strcmp(word, "mem")) {
        memory(r, save, false);
    } else if (!strcmp(word, "expectmem")) {
        if (!r->ran)
            run_units(r, 1);
        memory(r, save, true);
    } else {
        uint32_t code = (uint32_t)strtoul(word, NULL, 16);
        flat_code(r->flat, CODE + 4 * r->words++, &code, 1);
    }
}

// Every case of the files; false when a file cannot be read.
static bool run_files(struct run *r, char **files, int count)
{
    for (int n = 0; n < count; n++) {
        char line[512];
        FILE *in = fopen(files[n], "r");
        if (!in) {
            printf("%s: %s\n", files[n], strerror(errno));
            return false;
        }
        r->file = files[n];
        for (r->line = 1; fgets(line, sizeof line, in); r->line++)
            read_line(r, line);
        fclose(in);
    }
    return true;
}

int main(int argc, char **argv)
{
    static const char *const engines[] = {
        [RUNNER_INTERPRETER] = "interpreter", [RUNNER_X64] = "x64", [RUNNER_LLVM] = "llvm"};
    unsigned failures = 0;

    for (unsigned engine = 0; engine < RUNNER_ENGINES; engine++) {
        struct run r = {.engine = engines[engine],
                        .flat = flat_create(&(struct flat_config){.engine = engine, .base = CODE, .size = SIZE})};
        if (!r.flat) {
            printf("%s: not in this build\n", r.engine);
            failures += engine != RUNNER_LLVM;
            continue;
        }
        if (!run_files(&r, argv + 1, argc - 1))
            return 1;
        struct runner_counts made = runner_counts(r.flat->runner);
        printf("%s: %u cases, %u fail\n", r.engine, r.cases, r.failures);
        failures += r.failures + !r.cases + (engine == RUNNER_LLVM && made.regions < r.cases);
        flat_destroy(r.flat);
    }
    return failures != 0;
}
