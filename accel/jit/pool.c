// SPDX-License-Identifier: MIT
// Pages for the code of regions, out of address space that lies behind the code buffer. Pages nobody has are not
// accessible; an optimiser gets them readable and writable, and makes them executable itself.
#include "accel/jit/tier.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

void *pool_take(void *opaque, size_t size)
{
    struct pool *pool = opaque;
    size_t pages = (size + PAGE - 1) / PAGE, run = 0;
    for (size_t p = 0; pages && p < ARRAY_SIZE(pool->used); p++) {
        run = pool->used[p] ? 0 : run + 1;
        if (run < pages)
            continue;
        size_t first = p + 1 - pages;
        void *at = pool->base + first * PAGE;
        if (mprotect(at, pages * PAGE, PROT_READ | PROT_WRITE) < 0)
            return NULL;
        memset(pool->used + first, 1, pages);
        pool->bytes += pages * PAGE;
        return at;
    }
    return NULL;
}

void pool_give(void *opaque, void *at, size_t size)
{
    struct pool *pool = opaque;
    size_t pages = (size + PAGE - 1) / PAGE, first = (size_t)((uint8_t *)at - pool->base) / PAGE;
    for (size_t p = first; p < first + pages; p++)
        assert(pool->used[p]);
    // Fresh pages instead of these, at the same place: nothing of the old code is left to run.
    (void)mmap(at, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    memset(pool->used + first, 0, pages);
    pool->bytes -= pages * PAGE;
}
