// SPDX-License-Identifier: MIT
// Linking: objects go through ORC's RTDyld layer, which asks here for memory, so that code and its constants lie in one
// piece of optimiser_memory. A piece is writable until its object is linked and then readable and executable; what the
// object did not need of it goes back.
#include "backends/llvm/llvm.h"

#include "base/error.h"

#include <llvm-c/OrcEE.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

struct region_memory {
    struct optimiser *optimiser;
    uint8_t *at;
    size_t size, used, code_size;
    LLVMOrcResourceTrackerRef tracker;
    struct region_memory *next; // of optimiser.kept
    bool failed;
};

static uint8_t *carve(struct region_memory *m, size_t size, unsigned align)
{
    size_t start = (m->used + align - 1) & ~(size_t)(align - 1);
    if (!m->at || start + size > m->size) {
        m->failed = true;
        return NULL;
    }
    m->used = start + size;
    return m->at + start;
}

// ---- callbacks of the layer: one context an object ----------------------------------------------------------------

static void *create_context(void *opaque)
{
    struct optimiser *o = opaque;
    struct region_memory *m = o->building;
    const struct optimiser_memory *from = &o->config.memory;
    m->size = (o->object_size + PAGE - 1) & ~(size_t)(PAGE - 1);
    m->at = from->take(from->opaque, m->size);
    return m;
}

static void notify_terminating(void *opaque)
{
    (void)opaque;
}

static uint8_t *allocate_code(void *opaque, uintptr_t size, unsigned align, unsigned id, const char *name)
{
    struct region_memory *m = opaque;
    uint8_t *at = carve(m, size, align < 16 ? 16 : align);
    m->code_size += size;
    return at;
}

static uint8_t *allocate_data(void *opaque, uintptr_t size, unsigned align, unsigned id, const char *name,
                              LLVMBool read_only)
{
    return carve(opaque, size, align < 16 ? 16 : align);
}

static LLVMBool finalize(void *opaque, char **ret_message)
{
    struct region_memory *m = opaque;
    const struct optimiser_memory *from = &m->optimiser->config.memory;
    size_t needed = (m->used + PAGE - 1) & ~(size_t)(PAGE - 1);
    if (m->failed || mprotect(m->at, needed, PROT_READ | PROT_EXEC) < 0) {
        *ret_message = strdup("no memory for a region");
        return true;
    }
    if (needed < m->size)
        from->give(from->opaque, m->at + needed, m->size - needed);
    m->size = needed;
    return false;
}

static void destroy(void *opaque)
{
    struct region_memory *m = opaque;
    const struct optimiser_memory *to = &m->optimiser->config.memory;
    if (m->at) {
        mprotect(m->at, m->size, PROT_READ | PROT_WRITE);
        to->give(to->opaque, m->at, m->size);
    }
    m->at = NULL;
}

static LLVMOrcObjectLayerRef create_layer(void *opaque, LLVMOrcExecutionSessionRef session, const char *triple)
{
    return LLVMOrcCreateRTDyldObjectLinkingLayerWithMCJITMemoryManagerLikeCallbacks(
        session, opaque, create_context, notify_terminating, allocate_code, allocate_data, finalize, destroy);
}

// ---- the session ---------------------------------------------------------------------------------------------------

static int failed(LLVMErrorRef e, struct error *err, const char *what)
{
    char *message = LLVMGetErrorMessage(e);
    int r = error_set(err, -EINVAL, "%s: %s", what, message);
    LLVMDisposeErrorMessage(message);
    return r;
}

static LLVMErrorRef define_stubs(struct optimiser *o)
{
    const struct backend_stubs *s = o->config.stubs;
    const void *const at[REGION_STUBS] = {
        [REGION_EXIT_FP] = s->exit_fp, [REGION_JUMP] = s->jump, [REGION_JUMP_FP] = s->jump_fp, [REGION_LEAVE] = s->leave,
        [REGION_LEAVE_FP] = s->leave_fp, [REGION_FP_CHECK] = s->fp_check, [REGION_LOAD] = s->load,
        [REGION_STORE] = s->store, [REGION_CAS] = s->cas, [REGION_RMW] = s->rmw, [REGION_EVAL] = s->eval,
        [REGION_FP_SYNC] = s->fp_sync,
    };
    LLVMOrcCSymbolMapPair pairs[REGION_STUBS];
    for (unsigned i = 0; i < REGION_STUBS; i++) {
        pairs[i].Name = LLVMOrcLLJITMangleAndIntern(o->jit, region_stub_names[i]);
        pairs[i].Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)at[i];
        pairs[i].Sym.Flags = (LLVMJITSymbolFlags){ LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable, 0 };
    }
    return LLVMOrcJITDylibDefine(LLVMOrcLLJITGetMainJITDylib(o->jit), LLVMOrcAbsoluteSymbols(pairs, REGION_STUBS));
}

int region_jit_create(struct optimiser *o, struct error *err)
{
    LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
    LLVMOrcLLJITBuilderSetObjectLinkingLayerCreator(builder, create_layer, o);
    LLVMErrorRef e = LLVMOrcCreateLLJIT(&o->jit, builder);
    if (e) {
        o->jit = NULL;
        return failed(e, err, "LLVM's JIT");
    }
    e = define_stubs(o);
    return e ? failed(e, err, "LLVM's JIT") : 0;
}

void region_jit_destroy(struct optimiser *o)
{
    for (struct region_memory *m = o->kept, *next; m; m = next) {
        next = m->next;
        region_release(o, m);
    }
    if (o->jit)
        LLVMConsumeError(LLVMOrcDisposeLLJIT(o->jit));
}

int region_link(struct optimiser *o, LLVMMemoryBufferRef object, const char *symbol, struct optimiser_region *ret)
{
    struct region_memory *m = calloc(1, sizeof *m);
    if (!m) {
        LLVMDisposeMemoryBuffer(object);
        return -ENOMEM;
    }
    m->optimiser = o;
    m->tracker = LLVMOrcJITDylibCreateResourceTracker(LLVMOrcLLJITGetMainJITDylib(o->jit));
    o->building = m;
    o->object_size = LLVMGetBufferSize(object) + PAGE;
    LLVMOrcExecutorAddress at = 0;
    LLVMErrorRef e = LLVMOrcLLJITAddObjectFileWithRT(o->jit, m->tracker, object);
    if (!e)
        e = LLVMOrcLLJITLookup(o->jit, &at, symbol);
    if (e || m->failed) {
        LLVMConsumeError(e);
        region_release(o, m);
        return -ENOSPC;
    }
    ret->entry = (const void *)(uintptr_t)at;
    ret->code_size = m->code_size;
    ret->handle = m;
    return 0;
}

void region_release(struct optimiser *o, void *handle)
{
    struct region_memory *m = handle;
    LLVMConsumeError(LLVMOrcResourceTrackerRemove(m->tracker));
    LLVMOrcReleaseResourceTracker(m->tracker);
    free(m);
}

void region_retain(struct optimiser *o, void *handle)
{
    struct region_memory *m = handle;
    m->next = o->kept;
    o->kept = m;
}
