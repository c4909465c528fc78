// SPDX-License-Identifier: MIT
// The names of techniques (technique.h).
#include "accel/technique.h"

#include <string.h>

const struct accel_technique_row accel_techniques[ACCEL_TECHNIQUES] = {
    [ACCEL_CHAINING] = {"chaining", "direct exits jump to the next unit"},
    [ACCEL_JUMP_CACHE] = {"jump-cache", "indirect exits find the next unit in translated code"},
    [ACCEL_INLINE_MEMORY] = {"inline-memory", "translated code looks up the page of an access itself"},
    [ACCEL_CONTEXTS] = {"contexts", "what is known of an address space outlives a change of table roots"},
    [ACCEL_CARRY] = {"carry", "new contexts begin with what still holds of an older one's jumps"},
    [ACCEL_WALK_CACHE] = {"walk-cache", "table walks begin at the last table"},
    [ACCEL_FOLD] = {"fold", "constants folded, algebra simplified"},
    [ACCEL_CSE] = {"cse", "equal values computed once"},
    [ACCEL_STATE] = {"state", "state fields kept in values between instructions"},
    [ACCEL_SPANS] = {"spans", "one lookup for accesses of one page"},
    [ACCEL_INLINE_FP] = {"inline-fp", "floating point by the host's instructions"},
    [ACCEL_INLINE_VECTORS] = {"inline-vectors", "vectors by the host's instructions"},
};

uint32_t accel_technique_bit(const char *name, unsigned len)
{
    for (unsigned i = 0; i < ACCEL_TECHNIQUES; i++)
        if (strlen(accel_techniques[i].name) == len && !memcmp(accel_techniques[i].name, name, len))
            return 1u << i;
    return 0;
}
