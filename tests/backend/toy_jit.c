// SPDX-License-Identifier: MIT
// The toy guest under the x64 backend; see the header.
#include "tests/backend/toy_jit.h"

#include "backends/optimiser.h"
#include "base/error.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CODE_SIZE = 1 << 22 };

void toy_jit_create(struct toy_jit *jit, uint64_t feature_mask)
{
    int fd = memfd_create("toy_jit", 0);
    cr_assert(fd >= 0 && ftruncate(fd, CODE_SIZE) == 0);
    jit->code = (struct code_buffer){ .size = CODE_SIZE };
    jit->code.rw = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    jit->code.rx = mmap(NULL, CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    close(fd);
    struct backend_config config = { .guest = &toy_guest, .runtime = &toy_runtime, .feature_mask = feature_mask };
    struct error err = { "" };
    cr_assert_eq(x64_backend.create(&config, &jit->code, &jit->backend, &err), 0, "%s", err.text);
    jit->first_used = jit->code.used;
}

void toy_jit_destroy(struct toy_jit *jit)
{
    x64_backend.destroy(jit->backend);
    munmap(jit->code.rw, jit->code.size);
    munmap((void *)(uintptr_t)jit->code.rx, jit->code.size);
}

void toy_jit_tables(struct toy_jit *jit, struct toy_state *toy, uint32_t readable, uint32_t writable)
{
    for (unsigned i = 0; i < TOY_JIT_TLB; i++) {
        uint64_t page = (uint64_t)i * IR_PAGE_SIZE;
        bool inside = page < toy->memory_size;
        jit->tlb[i].read = inside && (readable >> i & 1) ? page : IR_TLB_INVALID;
        jit->tlb[i].write = inside && (writable >> i & 1) ? page : IR_TLB_INVALID;
        jit->tlb[i].exec = IR_TLB_INVALID;
        jit->tlb[i].addend = (uint64_t)(uintptr_t)toy->memory;
    }
    memset(jit->pages, 0xff, sizeof jit->pages);
    for (unsigned i = 0; i < IR_MMU_INDICES; i++)
        toy->env.mmu[i] = (struct ir_tlb_table){ jit->tlb, (TOY_JIT_TLB - 1) << 5 };
    toy->env.exec_pages = jit->pages;
    toy->env.code_base = jit->code.rx;
}

void toy_jit_knows(struct toy_jit *jit, uint64_t pc, uint32_t key, const void *unit)
{
    const uint64_t page = pc & ~(uint64_t)(IR_PAGE_SIZE - 1);
    const uint8_t *miss = x64_backend.stubs(jit->backend)->miss;
    for (unsigned i = 0; i < IR_CODE_SLOTS; i++)
        jit->entries[i] = (uint32_t)(miss - jit->code.rx);
    jit->entries[(pc - page) / IR_CODE_ALIGN] = (uint32_t)((const uint8_t *)unit - jit->code.rx);
    memset(jit->pages, 0xff, sizeof jit->pages);
    jit->pages[(page >> IR_PAGE_BITS) % IR_EXEC_PAGES] = (struct ir_exec_page){ page, jit->entries, key, NULL };
}

void toy_jit_compile(struct toy_jit *jit, const struct ir_unit *unit, struct backend_unit *ret_unit)
{
    jit->code.used = jit->first_used;
    jit->code.cold = jit->code.size;
    int code = x64_backend.compile(jit->backend, unit, &jit->code, jit->exits, ret_unit);
    cr_assert_eq(code, 0, "compile: %d", code);
}

bool toy_jit_differs(struct toy_state *a, struct toy_state *b, char *text, size_t size)
{
    a->flags &= IR_FLAG_NZCV;
    b->flags &= IR_FLAG_NZCV;
    return toy_differs(a, b, text, size);
}

__attribute__((noinline)) void toy_jit_soil_stack(void)
{
    volatile unsigned char rubbish[8192]; // more than the frame of the x64 backend
    for (size_t i = 0; i < sizeof rubbish; i++)
        rubbish[i] = (unsigned char)(0xa5 + i * 7);
}
