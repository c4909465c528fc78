// SPDX-License-Identifier: MIT
// How long the optimising tier takes for regions: compiles each unit of a text file (IR text form over the A64 guest,
// units separated by lines "== name", as `-d ir_opt` prints regions) and prints IR ops, bytes of code and microseconds
// of processor time a unit, and the sums. A tool, run by hand; no test.
// usage: llvm_compile FILE [rounds [only this name]]; OPTIMISER=another module; STAYS_INSIDE=1: see
// optimiser_request.stays_inside
#include "backends/optimiser.h"
#include "base/error.h"
#include "base/log.h"
#include "frontends/a64/a64.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { MEMORY = 64 << 20 };

struct arena {
    uint8_t *at;
    size_t used;
};

static void *take(void *opaque, size_t size)
{
    struct arena *arena = opaque;
    void *at = arena->at + arena->used;
    arena->used += size;
    return arena->used <= MEMORY ? at : NULL;
}

static void give(void *opaque, void *at, size_t size)
{
    struct arena *arena = opaque;
    if ((uint8_t *)at + size == arena->at + arena->used)
        arena->used -= size;
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

struct sums {
    unsigned made, refused, ops;
    size_t bytes;
    double us;
};

static void one(const struct optimiser_ops *ops, struct optimiser *o, const char *name, const char *text, bool show,
                bool inside, struct sums *sums)
{
    static struct backend_exit exits[BACKEND_MAX_EXITS];
    static const void *const fallback;
    struct error err = {""};
    struct ir_unit unit = {0};
    struct optimiser_region region = {0};
    if (ir_parse(text, &a64_isa.ir, &unit, &err) || ir_verify(&unit, &err)) {
        fprintf(stderr, "%s: %s\n", name, err.text);
        sums->refused++;
        ir_unit_free(&unit);
        return;
    }
    struct optimiser_request request = {.unit = &unit, .exits = exits, .fallback = &fallback, .name = name, .stays_inside = inside};
    double begin = now_us();
    int r = ops->compile(o, &request, &region);
    double us = now_us() - begin;
    sums->us += us;
    if (!r) {
        sums->made++;
        sums->ops += unit.insn_count;
        sums->bytes += region.code_size;
        ops->release(o, region.handle);
    } else {
        sums->refused++;
    }
    if (show)
        printf("%-20s %6u ops %4u blocks %7zu bytes %9.0f us%s\n", name, unit.insn_count, unit.block_count,
               region.code_size, us, r ? "  refused" : "");
    ir_unit_free(&unit);
}

static char *read_file(const char *path)
{
    FILE *in = fopen(path, "r");
    if (!in)
        return NULL;
    fseek(in, 0, SEEK_END);
    size_t size = (size_t)ftell(in);
    rewind(in);
    char *text = calloc(1, size + 1);
    if (text && fread(text, 1, size, in) != size)
        text[0] = 0;
    fclose(in);
    return text;
}

int main(int argc, char **argv)
{
    char *text = argc >= 2 ? read_file(argv[1]) : NULL;
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
    const char *path = getenv("OPTIMISER");
    void *module = dlopen(path ? path : OPTIMISER_PATH, RTLD_NOW | RTLD_LOCAL);
    optimiser_entry *entry;
    void *symbol = module ? dlsym(module, OPTIMISER_ENTRY) : NULL;
    if (!text || !symbol)
        return 2;
    memcpy(&entry, &symbol, sizeof entry);
    const struct optimiser_ops *ops = entry();
    struct arena arena = {mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 0};
    struct backend_stubs stubs;
    memset(&stubs, 0x40, sizeof stubs); // never run
    struct error err = {""};
    struct log log = {stderr, getenv("ISOMER_DUMP") ? UINT32_MAX : 0};
    struct optimiser_config config = {.guest = &a64_isa.ir, .log = &log, .stubs = &stubs, .memory = {&arena, take, give},
                                      .feature_mask = UINT64_MAX};
    struct optimiser *o;
    if (ops->create(&config, &o, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    struct sums sums = {0};
    for (unsigned i = 0; i < rounds; i++) {
        for (char *at = strstr(text, "== "); at;) {
            char *name = at + 3, *end = strchr(name, '\n'), *next = strstr(name, "\n== ");
            *end = 0;
            if (next)
                *next = 0;
            if (argc <= 3 || !strcmp(name, argv[3]))
                one(ops, o, name, end + 1, i + 1 == rounds, getenv("STAYS_INSIDE"), &sums);
            *end = '\n';
            if (next)
                *next = '\n';
            at = next ? next + 1 : NULL;
        }
    }
    ops->destroy(o);
    printf("%u made, %u refused; each of those made: %.1f IR ops, %.0f bytes, %.0f us\n", sums.made, sums.refused,
           (double)sums.ops / sums.made, (double)sums.bytes / sums.made, sums.us / sums.made);
    free(text);
    return 0;
}
