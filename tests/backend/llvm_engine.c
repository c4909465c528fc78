// SPDX-License-Identifier: MIT
// See the header. OPTIMISER_PATH is where the build puts the module.
#include "tests/backend/llvm_engine.h"

#include "base/error.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/mman.h>

void llvm_engine_create(struct llvm_engine *engine, uint64_t feature_mask)
{
    struct error err = { "" };
    toy_jit_create(&engine->jit, feature_mask);
    engine->ops = module_load(OPTIMISER_PATH, &err);
    cr_assert(engine->ops, "%s", err.text);
    engine->pool = (struct pool){ 0 };
    engine->pool.base = mmap(NULL, REGION_POOL, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert(engine->pool.base != MAP_FAILED);
    engine->log = (struct log){ stderr, getenv("ISOMER_DUMP") ? UINT32_MAX : 0 };
    struct optimiser_config config = { .guest = &toy_guest, .stubs = x64_backend.stubs(engine->jit.backend),
                                       .log = &engine->log, .memory = { &engine->pool, pool_take, pool_give },
                                       .feature_mask = feature_mask };
    cr_assert_eq(engine->ops->create(&config, &engine->optimiser, &err), 0, "%s", err.text);
}

void llvm_engine_destroy(struct llvm_engine *engine)
{
    engine->ops->destroy(engine->optimiser);
    munmap(engine->pool.base, REGION_POOL);
    toy_jit_destroy(&engine->jit);
}

void llvm_engine_compile(struct llvm_engine *engine, const struct ir_unit *unit, const void *const *fallback,
                         struct optimiser_region *ret_region)
{
    struct optimiser_request request = { .unit = unit, .exits = engine->exits, .fallback = fallback, .name = "toy",
                                         .anything = true, .stays_inside = !engine->leaves };
    int r = engine->ops->compile(engine->optimiser, &request, ret_region);
    cr_assert_eq(r, 0, "compile: %d", r);
}
