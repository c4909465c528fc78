// SPDX-License-Identifier: MIT
// Functions that the cold code of many regions calls: packing flags, settling doubtful FP results. The first region that
// wants one builds it in a module of its own beside the region's, which is linked first and kept; later regions find its
// name with the optimiser and only declare it. They keep all registers (preserve_all).
#include "backends/llvm/llvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Names in o->shared_names are each between two spaces.
static bool known(const struct optimiser *o, const char *name)
{
    char text[REGION_SHARED_NAME + 2];
    snprintf(text, sizeof text, " %s ", name);
    return o->shared_names && strstr(o->shared_names, text);
}

LLVMValueRef region_shared_find(struct region *r, const char *name, LLVMTypeRef type)
{
    LLVMValueRef fn = LLVMGetNamedFunction(r->module, name);
    if (fn || (!known(r->optimiser, name) && !(r->shared && LLVMGetNamedFunction(r->shared, name))))
        return fn;
    fn = LLVMAddFunction(r->module, name, type);
    LLVMSetFunctionCallConv(fn, REGION_PRESERVE_ALL);
    return fn;
}

LLVMValueRef region_shared_begin(struct region *r, const char *name, LLVMTypeRef type, struct region_shared_frame *keep)
{
    *keep = (struct region_shared_frame){ .module = r->module, .function = r->function, .env = r->env, .args = r->args,
                                          .at = LLVMGetInsertBlock(r->builder) };
    memcpy(keep->stubs, r->stubs, sizeof keep->stubs);
    if (!r->shared)
        r->shared = region_new_module(r, "shared");
    r->module = r->shared;
    region_declare_stubs(r);
    r->function = region_new_function(r, name, type, REGION_PRESERVE_ALL);
    region_at(r, region_new_block(r, ""));
    return r->function;
}

void region_shared_end(struct region *r, const struct region_shared_frame *keep)
{
    r->module = keep->module;
    memcpy(r->stubs, keep->stubs, sizeof keep->stubs);
    r->function = keep->function, r->env = keep->env, r->args = keep->args;
    region_at(r, keep->at);
}

// Adds the names of what the module defines to the list; true if there was memory for it.
static bool remember(struct optimiser *o, LLVMModuleRef module)
{
    for (LLVMValueRef fn = LLVMGetFirstFunction(module); fn; fn = LLVMGetNextFunction(fn)) {
        size_t length, old = o->shared_names ? strlen(o->shared_names) : 0;
        const char *name = LLVMGetValueName2(fn, &length);
        if (LLVMIsDeclaration(fn))
            continue;
        char *grown = realloc(o->shared_names, old + length + 3);
        if (!grown)
            return false;
        o->shared_names = grown;
        snprintf(grown + old, length + 3, old ? "%s " : " %s ", name);
    }
    return true;
}

const char *region_shared_first(const struct region *r)
{
    LLVMValueRef fn = LLVMGetFirstFunction(r->shared);
    size_t length;
    while (LLVMIsDeclaration(fn))
        fn = LLVMGetNextFunction(fn);
    return LLVMGetValueName2(fn, &length);
}

int region_shared_keep(struct region *r, void *handle)
{
    region_retain(r->optimiser, handle);
    return remember(r->optimiser, r->shared) ? 0 : -ENOMEM;
}
