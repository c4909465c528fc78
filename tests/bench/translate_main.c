// SPDX-License-Identifier: MIT
// What the one-pass tier costs and makes: translates the code sections of an AArch64 ELF file one unit behind the
// other, as if a program ran through all of it, and prints nanoseconds of processor time a guest instruction for each
// step and bytes of host code. A tool, run by hand; under callgrind its counts do not depend on who else uses the machine.
// usage: translate FILE [rounds [units at most [file for the hot host code]]]
#include "backends/backend.h"
#include "base/error.h"
#include "base/log.h"
#include "frontends/a64/a64.h"
#include "frontends/a64/cpu_models.h"
#include "frontends/a64/key.h"
#include "ir/opt/passes.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { CODE_SIZE = 512 << 20, UNIT_INSNS = 64 };

enum step { TRANSLATE, OPTIMISE, COMPILE, STEPS };

struct bench {
    struct code_buffer code;
    struct backend *backend;
    struct ir_unit unit;
    struct ir_opt opt;
    uint64_t ns[STEPS], units, insns, ops, ops_left, hot, cold, refused, most;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// Returns the bytes of guest code that the unit covers.
static uint32_t one(struct bench *b, const uint8_t *page, uint32_t offset, unsigned max)
{
    struct backend_exit exits[BACKEND_MAX_EXITS];
    struct backend_unit made = {0};
    struct guest_translate request = {.cpu_model = a64_cpu_model_find("cortex-a72"), .key = A64_KEY_MMU | A64_KEY_TBI0,
                                      .offset = offset, .page = page, .max_insns = max};
    uint64_t t[STEPS + 1] = {now_ns()};
    ir_unit_reset(&b->unit, &a64_isa.ir);
    a64_isa.translate(&request, &b->unit);
    t[1] = now_ns();
    uint32_t ops = b->unit.insn_count, bytes = b->unit.guest_bytes, insns = b->unit.guest_insns;
    int r = b->unit.failed ? -1 : 0;
    if (!r)
        ir_optimise(&b->unit, &b->opt);
    t[2] = now_ns();
    if (!r)
        r = x64_backend.compile(b->backend, &b->unit, &b->code, exits, &made);
    t[3] = now_ns();
    if (r && max > 1)
        return one(b, page, offset, max / 2);
    for (unsigned s = 0; s < STEPS; s++)
        b->ns[s] += t[s + 1] - t[s];
    b->units++;
    b->refused += r != 0;
    b->insns += insns;
    b->ops += ops;
    b->ops_left += b->unit.insn_count;
    b->hot += made.code_size;
    b->cold += made.cold_size;
    return bytes ? bytes : 4;
}

static void code(struct bench *b, const uint8_t *bytes, uint64_t size)
{
    for (uint64_t page = 0; page + IR_PAGE_SIZE <= size; page += IR_PAGE_SIZE) {
        for (uint32_t offset = 0; offset < IR_PAGE_SIZE;) {
            if (b->units == b->most)
                return;
            if (b->code.cold - b->code.used < 1 << 20) // as after an eviction
                b->code.used = 1 << 20, b->code.cold = b->code.size;
            offset += one(b, bytes + page, offset, UNIT_INSNS);
        }
    }
}

static uint8_t *read_file(const char *path, size_t *ret_size)
{
    FILE *in = fopen(path, "rb");
    if (!in)
        return NULL;
    fseek(in, 0, SEEK_END);
    *ret_size = (size_t)ftell(in);
    rewind(in);
    uint8_t *bytes = malloc(*ret_size);
    if (bytes && fread(bytes, 1, *ret_size, in) != *ret_size)
        *ret_size = 0;
    fclose(in);
    return bytes;
}

static void print(const struct bench *b)
{
    static const char *const names[STEPS] = {"guest to IR", "passes", "host code"};
    uint64_t sum = 0;
    for (unsigned s = 0; s < STEPS; s++) {
        printf("%-12s %6.0f ns an instruction\n", names[s], (double)b->ns[s] / (double)b->insns);
        sum += b->ns[s];
    }
    printf("%-12s %6.0f ns an instruction, %.0f ns a unit\n", "together", (double)sum / (double)b->insns,
           (double)sum / (double)b->units);
    printf("%llu units of %.1f instructions, %.1f IR ops (%.1f once optimised), %.1f + %.1f bytes of host code an instruction; "
           "%llu refused\n", (unsigned long long)b->units, (double)b->insns / (double)b->units,
           (double)b->ops / (double)b->units, (double)b->ops_left / (double)b->units, (double)b->hot / (double)b->insns,
           (double)b->cold / (double)b->insns, (unsigned long long)b->refused);
}

int main(int argc, char **argv)
{
    static struct bench b; // large
    static const struct ir_runtime runtime; // never called
    static const struct log log;
    struct error err = {""};
    size_t size = 0;
    uint8_t *file = argc > 1 ? read_file(argv[1], &size) : NULL;
    Elf64_Ehdr head;
    if (size < sizeof head || memcmp(file, ELFMAG, SELFMAG)) {
        fprintf(stderr, "usage: translate ELF-FILE [rounds [units]]\n");
        return 2;
    }
    memcpy(&head, file, sizeof head);
    b.code.rw = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    b.code.rx = b.code.rw;
    b.code.size = CODE_SIZE;
    b.most = argc > 3 ? strtoull(argv[3], NULL, 0) : UINT64_MAX;
    struct backend_config config = {.guest = &a64_isa.ir, .runtime = &runtime, .log = &log, .feature_mask = ~0ull};
    if (x64_backend.create(&config, &b.code, &b.backend, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    for (int round = argc > 2 ? atoi(argv[2]) : 1; round > 0; round--)
        for (unsigned i = 0; i < head.e_shnum; i++) {
            Elf64_Shdr section;
            uint64_t at = head.e_shoff + (uint64_t)i * head.e_shentsize;
            if (at + sizeof section > size)
                continue;
            memcpy(&section, file + at, sizeof section);
            if (section.sh_type == SHT_PROGBITS && section.sh_flags & SHF_EXECINSTR && section.sh_offset < size &&
                section.sh_size <= size - section.sh_offset)
                code(&b, file + section.sh_offset, section.sh_size);
        }
    print(&b);
    FILE *out = argc > 4 ? fopen(argv[4], "wb") : NULL;
    if (out) { // objdump -D -b binary -m i386:x86-64 reads it
        fwrite(b.code.rw, 1, b.code.used, out);
        fclose(out);
    }
    x64_backend.destroy(b.backend);
    ir_unit_free(&b.unit);
    ir_opt_free(&b.opt);
    free(file);
    return 0;
}
