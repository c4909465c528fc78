// SPDX-License-Identifier: MIT
// See the header. OPTIMISER_PATH is where the build puts the module.
#include "tests/backend/llvm_engine.h"

#include "base/error.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *take(void *opaque, size_t size)
{
    struct llvm_engine *engine = opaque;
    size_t pages = size / IR_PAGE_SIZE, run = 0;
    for (size_t i = 0; i < LLVM_ENGINE_PAGES; i++) {
        run = engine->taken[i] ? 0 : run + 1;
        if (run == pages) {
            memset(engine->taken + i + 1 - pages, 1, pages);
            return engine->memory + (i + 1 - pages) * IR_PAGE_SIZE;
        }
    }
    return NULL;
}

static void give(void *opaque, void *at, size_t size)
{
    struct llvm_engine *engine = opaque;
    size_t first = (size_t)((uint8_t *)at - engine->memory) / IR_PAGE_SIZE;
    for (size_t i = 0; i < size / IR_PAGE_SIZE; i++) {
        cr_assert(engine->taken[first + i], "page given back twice");
        engine->taken[first + i] = 0;
    }
}

void llvm_engine_create(struct llvm_engine *engine, uint64_t feature_mask)
{
    struct error err = { "" };
    toy_jit_create(&engine->jit, feature_mask);
    engine->module = dlopen(OPTIMISER_PATH, RTLD_NOW | RTLD_LOCAL);
    cr_assert(engine->module, "%s", dlerror());
    optimiser_entry *entry;
    void *symbol = dlsym(engine->module, OPTIMISER_ENTRY);
    cr_assert(symbol);
    memcpy(&entry, &symbol, sizeof entry);
    engine->ops = entry();
    engine->memory = mmap(NULL, LLVM_ENGINE_PAGES * IR_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(engine->memory != MAP_FAILED);
    memset(engine->taken, 0, sizeof engine->taken);
    engine->log = (struct log){ stderr, getenv("ISOMER_DUMP") ? UINT32_MAX : 0 };
    struct optimiser_config config = { .guest = &toy_guest, .stubs = x64_backend.stubs(engine->jit.backend),
                                       .log = &engine->log, .memory = { engine, take, give },
                                       .feature_mask = feature_mask };
    cr_assert_eq(engine->ops->create(&config, &engine->optimiser, &err), 0, "%s", err.text);
}

void llvm_engine_destroy(struct llvm_engine *engine)
{
    engine->ops->destroy(engine->optimiser);
    munmap(engine->memory, LLVM_ENGINE_PAGES * IR_PAGE_SIZE);
    toy_jit_destroy(&engine->jit);
}

void llvm_engine_compile(struct llvm_engine *engine, const struct ir_unit *unit, const void *const *fallback,
                         struct optimiser_region *ret_region)
{
    struct optimiser_request request = { .unit = unit, .exits = engine->exits, .fallback = fallback, .name = "toy",
                                         .anything = true };
    int r = engine->ops->compile(engine->optimiser, &request, ret_region);
    cr_assert_eq(r, 0, "compile: %d", r);
}

unsigned llvm_engine_pages(const struct llvm_engine *engine)
{
    unsigned n = 0;
    for (unsigned i = 0; i < LLVM_ENGINE_PAGES; i++)
        n += engine->taken[i];
    return n;
}
