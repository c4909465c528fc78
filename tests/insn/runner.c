// SPDX-License-Identifier: MIT
// Owns what it takes to run a unit either way: see the header. The code buffer is emptied for each unit, the jump
// cache holds nothing, so every exit comes back to the caller.
#include "tests/insn/runner.h"

#include "backends/backend.h"
#include "base/error.h"
#include "frontends/a64/a64.h"
#include "ir/opt/passes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CODE_SIZE = 1 << 22, SOIL_SIZE = 16384 };

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
    struct ir_jump_entry jump;
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

struct runner *runner_create(const struct runner_config *config)
{
    struct runner *r = calloc(1, sizeof *r);

    r->config = *config;
    r->optimise = true;
    r->jump = (struct ir_jump_entry){.va = 1, .key_gen = UINT64_MAX};
    if (config->engine == RUNNER_X64 && !open_code(r)) {
        runner_destroy(r);
        return NULL;
    }
    return r;
}

void runner_destroy(struct runner *r)
{
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

const char *runner_message(const struct runner *r)
{
    return r->message;
}

static int build(struct runner *r, const struct guest_translate *request)
{
    struct error err;

    ir_unit_reset(&r->unit, &a64_isa.ir);
    a64_isa.translate(request, &r->unit);
    int bad = ir_verify(&r->unit, &err);
    if (!bad && (r->optimise || r->config.engine == RUNNER_X64)) {
        ir_optimise(&r->unit, &r->opt);
        bad = ir_verify(&r->unit, &err);
    }
    if (bad)
        snprintf(r->message, sizeof r->message, "unit at +%#x does not verify: %s", request->offset, err.text);
    return bad ? -1 : 0;
}

static int interpret(struct runner *r, struct ir_env *env)
{
    if (r->slot_count < r->unit.insn_count) {
        r->slot_count = 2 * r->unit.insn_count;
        r->slots = realloc(r->slots, r->slot_count * sizeof *r->slots);
    }
    return ir_interpret(&r->unit, env, r->config.runtime, r->slots);
}

int runner_run(struct runner *r, struct ir_env *env, struct guest_translate *request)
{
    struct backend_unit unit;

    env->jump_cache = &r->jump;
    env->jump_mask = 0;
    for (;; request->max_insns /= 2) {
        if (build(r, request))
            return -1;
        if (r->config.engine == RUNNER_INTERPRETER)
            return interpret(r, env);
        r->code.used = r->first_used;
        int e = x64_backend.compile(r->backend, &r->unit, &r->code, r->exits, &unit);
        if (!e)
            break;
        if (e != -E2BIG || request->max_insns <= 1) {
            snprintf(r->message, sizeof r->message, "unit at +%#x does not compile: %d", request->offset, e);
            return -1;
        }
    }
    soil_stack();
    return x64_backend.enter(r->backend, env, unit.entry);
}
