// SPDX-License-Identifier: MIT
// Owns the order of giving things up, and what is said of it.
#include "host/sandbox.h"
#include "host/sandbox/sandbox_internal.h"

#include <errno.h>
#include <stdio.h>

int sandbox_enter(const struct sandbox_config *config, char *ret_missing, size_t missing_size, struct error *err)
{
    bool serve = false, write = false;
    for (size_t i = 0; i < config->path_count; i++) {
        serve |= config->paths[i].use == SANDBOX_SERVE;
        write |= config->paths[i].use == SANDBOX_WRITE;
    }
    *ret_missing = 0;
    if (config->any_file)
        return sandbox_limit_calls(true, true, err);
    int r = sandbox_limit_files(config, err);
    if (r && r != -ENOSYS)
        return r;
    snprintf(ret_missing, missing_size, "%s",
             r ? "this kernel has no Landlock, so that every file the user may read can be read" : "");
    return sandbox_limit_calls(serve, write, err);
}
