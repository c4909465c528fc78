// SPDX-License-Identifier: MIT
// Finding and loading the optimiser (tier.h), isomer-llvm.so.
#include "accel/jit/tier.h"
#include "base/error.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// From the folder of the program: beside it, in a build folder, installed.
static const char *const places[] = {"isomer-llvm.so", "backends/llvm/isomer-llvm.so", "../" ISOMER_LIBDIR "/isomer/isomer-llvm.so"};

char *module_find(void)
{
    char program[PATH_MAX], path[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return NULL;
    program[n] = 0;
    char *slash = strrchr(program, '/');
    if (!slash)
        return NULL;
    slash[1] = 0;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        snprintf(path, sizeof path, "%s%s", program, places[i]);
        if (!access(path, R_OK))
            return strdup(path);
    }
    return NULL;
}

const struct optimiser_ops *module_load(const char *path, struct error *err)
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) {
        error_set(err, -ENOENT, "%s", dlerror());
        return NULL;
    }
    void *symbol = dlsym(module, OPTIMISER_ENTRY);
    if (!symbol) {
        error_set(err, -ENOENT, "%s lacks %s", path, OPTIMISER_ENTRY);
        return NULL;
    }
    optimiser_entry *entry;
    memcpy(&entry, &symbol, sizeof entry);
    return entry();
}
