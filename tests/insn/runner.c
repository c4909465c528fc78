// SPDX-License-Identifier: MIT
// Owns what it takes to run a unit each way: see the header. The code buffer is emptied for each unit, the jump
// cache holds nothing, so every exit comes back to the caller. Code of the optimising tier has the backend's of the
// same unit to fall back on.
#include "tests/insn/runner.h"

#include "accel/jit/region.h"
#include "accel/jit/tier.h"
#include "backends/optimiser.h"
#include "base/error.h"
#include "base/log.h"
#include "frontends/a64/a64.h"
#include "ir/opt/passes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef OPTIMISER_PATH
#define OPTIMISER_PATH "" // not built
#endif

enum { CODE_SIZE = 1 << 22, SOIL_SIZE = 16384, SLOT = 256, SLOT_WORDS = SLOT / 4 };

// The optimising tier beside the backend. Holds one region.
struct tier {
    const struct optimiser_ops *ops;
    struct optimiser *optimiser;
    struct pool pool;
    struct region region;
    struct backend_exit exits[BACKEND_MAX_EXITS];
    const void *fallback;
    struct log log; // with ISOMER_DUMP set, what is compiled goes to standard error
    unsigned left; // units to compile
    uint64_t hot;
    struct runner_counts counts;
};

struct runner {
    struct runner_config config;
    bool optimise;
    struct ir_unit unit;
    struct ir_opt opt;
    union ir_value *slots;
    size_t slot_count;
    struct backend *backend;
    struct code_buffer code;
    size_t first_used; // what the backend's thunks take
    struct backend_exit exits[BACKEND_MAX_EXITS];
    struct tier tier;
    struct ir_exec_page pages[IR_EXEC_PAGES];
    char message[640];
};

// Leaves rubbish where the trampoline's frame will be, so that a slot read before it is written shows.
static __attribute__((noinline)) void soil_stack(void)
{
    volatile uint64_t rubbish[SOIL_SIZE / 8];

    for (size_t n = 0; n < ARRAY_SIZE(rubbish); n++)
        rubbish[n] = 0xa5a5a5a5a5a5a5a5u + n * 0x0707070707070707u;
}

static bool open_code(struct runner *r)
{
    struct backend_config config = {.guest = &a64_isa.ir, .runtime = r->config.runtime,
                                    .feature_mask = r->config.features ? r->config.features : ~0ull};
    struct error err;
    int fd = memfd_create("runner", 0);

    if (fd < 0 || ftruncate(fd, CODE_SIZE))
        return false;
    r->code.size = CODE_SIZE;
    r->code.rw = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    r->code.rx = mmap(NULL, CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    close(fd);
    if (x64_backend.create(&config, &r->code, &r->backend, &err))
        return false;
    r->first_used = r->code.used;
    return true;
}

// ---- the optimising tier's surroundings -----------------------------------------------------------------------------

static bool open_tier(struct runner *r)
{
    struct tier *t = &r->tier;
    struct error err;

    if (!*OPTIMISER_PATH)
        return false;
    t->ops = module_load(OPTIMISER_PATH, &err);
    if (!t->ops)
        fprintf(stderr, "%s\n", err.text), abort(); // else nothing would be tested, in silence
    t->left = UINT32_MAX;
    t->log = (struct log){stderr, getenv("ISOMER_DUMP") ? LOG_OUT_ASM : 0};
    t->pool.base = mmap(NULL, REGION_POOL, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct optimiser_config config = {.guest = &a64_isa.ir, .log = &t->log, .stubs = x64_backend.stubs(r->backend),
                                      .memory = {&t->pool, pool_take, pool_give},
                                      .feature_mask = r->config.features ? r->config.features : ~0ull};
    return t->pool.base != MAP_FAILED && !t->ops->create(&config, &t->optimiser, &err);
}

static void close_tier(struct tier *t)
{
    if (t->optimiser)
        t->ops->destroy(t->optimiser);
    if (t->pool.base)
        munmap(t->pool.base, REGION_POOL);
    region_free(&t->region);
}

// ---- units ----------------------------------------------------------------------------------------------------------

struct runner *runner_create(const struct runner_config *config)
{
    struct runner *r = calloc(1, sizeof *r);

    r->config = *config;
    r->optimise = true;
    memset(r->pages, 0xff, sizeof r->pages);
    if ((config->engine != RUNNER_INTERPRETER && !open_code(r)) || (config->engine == RUNNER_LLVM && !open_tier(r))) {
        runner_destroy(r);
        return NULL;
    }
    return r;
}

void runner_destroy(struct runner *r)
{
    close_tier(&r->tier);
    if (r->backend)
        x64_backend.destroy(r->backend);
    if (r->code.rw)
        munmap(r->code.rw, r->code.size);
    if (r->code.rx)
        munmap((void *)(uintptr_t)r->code.rx, r->code.size);
    ir_opt_free(&r->opt);
    ir_unit_free(&r->unit);
    free(r->slots);
    free(r);
}

void runner_optimise(struct runner *r, bool on)
{
    r->optimise = on;
}

void runner_regions(struct runner *r, unsigned count, uint64_t hot)
{
    r->tier.left = count;
    r->tier.hot = hot;
}

struct runner_counts runner_counts(const struct runner *r)
{
    return r->tier.counts;
}

const char *runner_message(const struct runner *r)
{
    return r->message;
}

static int check(struct runner *r, struct ir_unit *unit, bool optimise, uint32_t offset)
{
    struct error err;
    int bad = ir_verify(unit, &err);

    if (!bad && optimise) {
        ir_optimise(unit, &r->opt);
        bad = ir_verify(unit, &err);
    }
    if (bad)
        snprintf(r->message, sizeof r->message, "unit at +%#x does not verify: %s", offset, err.text);
    return bad ? -1 : 0;
}

static int build(struct runner *r, const struct guest_translate *request)
{
    ir_unit_reset(&r->unit, &a64_isa.ir);
    a64_isa.translate(request, &r->unit);
    return check(r, &r->unit, r->optimise || r->config.engine != RUNNER_INTERPRETER, request->offset);
}

static int interpret(struct runner *r, struct ir_env *env)
{
    if (r->slot_count < r->unit.insn_count) {
        r->slot_count = 2 * r->unit.insn_count;
        r->slots = realloc(r->slots, r->slot_count * sizeof *r->slots);
    }
    return ir_interpret(&r->unit, env, r->config.runtime, r->slots);
}

// The unit at the request as the backend's code.
static int compile(struct runner *r, struct guest_translate *request, const void **ret_entry)
{
    struct backend_unit unit;

    for (;; request->max_insns /= 2) {
        if (build(r, request))
            return -1;
        r->code.used = r->first_used;
        r->code.cold = r->code.size;
        int e = x64_backend.compile(r->backend, &r->unit, &r->code, r->exits, &unit);
        *ret_entry = unit.entry;
        if (!e)
            return 0;
        if (e != -E2BIG || request->max_insns <= 1) {
            snprintf(r->message, sizeof r->message, "unit at +%#x does not compile: %d", request->offset, e);
            return -1;
        }
    }
}

// The region that begins at the request. 1 when there is none: part of it lies in the next page.
static int build_region(struct runner *r, const struct guest_translate *request)
{
    struct tier *t = &r->tier;
    struct region_heat heats[SLOT_WORDS];
    uint32_t slot = request->offset & ~(SLOT - 1u);
    struct region_source source = {
        .isa = &a64_isa, .guest = &a64_isa.ir, .cpu_model = request->cpu_model, .log = &t->log, .key = request->key,
        .offset = request->offset, .page = request->page, .heats = heats, .max_insns = 256, .max_accesses = 64};

    for (unsigned n = 0; n < SLOT_WORDS; n++)
        if (t->hot >> n & 1)
            heats[source.heat_count++] = (struct region_heat){slot + 4 * n, 1};
    int e = region_form(&t->region, &source);
    if (e && e != -ENOTSUP) {
        snprintf(r->message, sizeof r->message, "no region at +%#x: %d", request->offset, e);
        return -1;
    }
    return e ? 1 : check(r, &t->region.unit, true, request->offset);
}

// As code of the optimising tier; `entry` is the backend's.
static int run_optimised(struct runner *r, struct ir_env *env, const struct guest_translate *request, const void *entry)
{
    struct tier *t = &r->tier;
    struct optimiser_request ask = {.unit = t->hot ? &t->region.unit : &r->unit, .exits = t->exits,
                                    .fallback = &t->fallback, .name = "region", .anything = true, .stays_inside = t->counts.regions % 8};
    struct optimiser_region made;
    int e = t->hot ? build_region(r, request) : 0;

    t->fallback = entry;
    if (e >= 0 && !e)
        e = t->ops->compile(t->optimiser, &ask, &made);
    if (e == 1 || e == -ENOTSUP || e == -E2BIG) {
        t->counts.refused++;
        soil_stack();
        return x64_backend.enter(r->backend, env, entry);
    }
    if (e) {
        if (e != -1)
            snprintf(r->message, sizeof r->message, "region at +%#x does not compile: %d", request->offset, e);
        return -1;
    }
    t->counts.regions++;
    t->counts.parts += t->hot ? t->region.count : 1;
    soil_stack();
    e = x64_backend.enter(r->backend, env, made.entry);
    t->ops->release(t->optimiser, made.handle);
    return e;
}

int runner_run(struct runner *r, struct ir_env *env, struct guest_translate *request)
{
    const void *entry;

    env->exec_pages = r->pages;
    env->code_base = r->code.rx;
    if (r->config.engine == RUNNER_INTERPRETER)
        return build(r, request) ? -1 : interpret(r, env);
    if (compile(r, request, &entry))
        return -1;
    if (r->config.engine == RUNNER_LLVM && r->tier.left) {
        r->tier.left--;
        return run_optimised(r, env, request, entry);
    }
    soil_stack();
    return x64_backend.enter(r->backend, env, entry);
}
