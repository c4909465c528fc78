// SPDX-License-Identifier: MIT
// Numbers and prototypes of the helpers in helpers.def. They run on the vCPU's thread, called by translated
// code.
#ifndef A64_HELPERS_H
#define A64_HELPERS_H

#include "ir/ir.h"

enum a64_helper {
#define HELPER(name, ...) A64_HELPER_##name,
#include "frontends/a64/helpers.def"
#undef HELPER
    A64_HELPER_COUNT
};

#define HELPER(name, ...)                                                                                    \
    int a64_help_##name(struct ir_env *env, const union ir_value *args, union ir_value *ret);
#include "frontends/a64/helpers.def"
#undef HELPER

extern const struct ir_helper a64_helpers[A64_HELPER_COUNT];

enum a64_pstate_op { A64_PSTATE_SPSEL, A64_PSTATE_DAIFSET, A64_PSTATE_DAIFCLR };

#endif
