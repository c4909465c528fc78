// SPDX-License-Identifier: MIT
// Stand-ins for a guest's helpers under lock-step. A helper is a plain function without room for its own number, so
// there is one stand-in for each number.
#include "accel/jit/lockstep.h"

#define EACH_DIGIT(X, n)                                                                                            \
    X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7)                                                 \
    X(n##8) X(n##9) X(n##a) X(n##b) X(n##c) X(n##d) X(n##e) X(n##f)
#define EACH(X)                                                                                                     \
    EACH_DIGIT(X, 0x0) EACH_DIGIT(X, 0x1) EACH_DIGIT(X, 0x2) EACH_DIGIT(X, 0x3)                                     \
    EACH_DIGIT(X, 0x4) EACH_DIGIT(X, 0x5) EACH_DIGIT(X, 0x6) EACH_DIGIT(X, 0x7)                                     \
    EACH_DIGIT(X, 0x8) EACH_DIGIT(X, 0x9) EACH_DIGIT(X, 0xa) EACH_DIGIT(X, 0xb)                                     \
    EACH_DIGIT(X, 0xc) EACH_DIGIT(X, 0xd) EACH_DIGIT(X, 0xe) EACH_DIGIT(X, 0xf)

#define DEFINE(n)                                                                                                   \
    static int stand_in_##n(struct ir_env *env, const union ir_value *args, union ir_value *ret_value)              \
    {                                                                                                               \
        return lockstep_helper(env, n, args, ret_value);                                                            \
    }
EACH(DEFINE)

#define NAME(n) stand_in_##n,
static ir_helper_fn *const stand_ins[LOCKSTEP_HELPERS] = {EACH(NAME)};

void lockstep_wrap(const struct ir_guest *guest, struct ir_helper *helpers)
{
    for (uint32_t i = 0; i < guest->helper_count; i++) {
        helpers[i] = guest->helpers[i];
        helpers[i].fn = stand_ins[i];
    }
}
