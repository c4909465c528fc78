// SPDX-License-Identifier: MIT
// Owns the table of CPU models. Rows hold the values of the Technical Reference Manuals where they describe
// something that is built; PFR0 says EL0 and EL1 in AArch64 state only and no GIC (isa.c adds the GIC field),
// DFR0 says PMUv3, 6 breakpoints and 4 watchpoints.
#include "frontends/a64/cpu_models.h"

#include "frontends/a64/decode.h"

#include <string.h>

enum {
    BUILT = 1u << A64_FEATURE_BASE | 1u << A64_FEATURE_FP | 1u << A64_FEATURE_SIMD | 1u << A64_FEATURE_CRC32 |
            1u << A64_FEATURE_AES | 1u << A64_FEATURE_PMULL | 1u << A64_FEATURE_SHA1 |
            1u << A64_FEATURE_SHA256,
};

// EL1 = EL0 = AArch64 only; AdvSIMD and FP present without half precision arithmetic.
#define PFR0 0x11u
// ISAR0: AES + PMULL, SHA1, SHA256, CRC32.
#define ISAR0 0x11120u
// DFR0: debug architecture v8, PMUv3, 6 breakpoints, 4 watchpoints, 2 context-aware breakpoints.
#define DFR0 0x10305106u
#define MVFR0 0x10110222u
#define MVFR1 0x12111111u
#define MVFR2 0x43u
// CTR: 64-byte lines, 4-word granules, PIPT instruction cache.
#define CTR 0x8444c004u
// RES1 bits, with nTWE, nTWI, SA0 and SA set.
#define SCTLR_RESET 0x30d50998u

const struct a64_cpu_model a64_cpu_models[] = {
    {
        .name = "cortex-a53", .midr = 0x410fd034, .revidr = 0x100, .ctr = 0x84448004, .clidr = 0x0a200023,
            .dczid = 4,
        .ccsidr = {0x700fe01a, 0x201fe00a, 0x707fe07a}, .pfr0 = PFR0, .dfr0 = DFR0, .isar0 = ISAR0,
        .mmfr0 = 0x00001122, .mvfr0 = MVFR0, .mvfr1 = MVFR1, .mvfr2 = MVFR2, .sctlr_reset = SCTLR_RESET,
        .pa_bits = 40, .core_sysregs = true, .features = BUILT,
    },
    {
        .name = "cortex-a57", .midr = 0x411fd070, .ctr = CTR, .clidr = 0x0a200023, .dczid = 4,
        .ccsidr = {0x701fe00a, 0x201fe012, 0x70ffe07a}, .pfr0 = PFR0, .dfr0 = DFR0, .isar0 = ISAR0,
        .mmfr0 = 0x00001124, .mvfr0 = MVFR0, .mvfr1 = MVFR1, .mvfr2 = MVFR2, .sctlr_reset = SCTLR_RESET,
        .pa_bits = 44, .core_sysregs = true, .features = BUILT,
    },
    {
        .name = "cortex-a72", .midr = 0x410fd083, .ctr = CTR, .clidr = 0x0a200023, .dczid = 4,
        .ccsidr = {0x701fe00a, 0x201fe012, 0x707fe07a}, .pfr0 = PFR0, .dfr0 = DFR0, .isar0 = ISAR0,
        .mmfr0 = 0x00001124, .mvfr0 = MVFR0, .mvfr1 = MVFR1, .mvfr2 = MVFR2, .sctlr_reset = SCTLR_RESET,
        .pa_bits = 44, .core_sysregs = true, .features = BUILT,
    },
    {
        // Implementer 0, "software emulation": everything that is built, E0PD (MMFR2) among it. PFR0.CSV3: what faults
        // gives nothing to speculate with, as its mapping is in no table of its MMU index.
        .name = "max", .midr = 0x000f0510, .ctr = CTR, .clidr = 0x0a200023, .dczid = 4,
        .ccsidr = {0x701fe00a, 0x201fe012, 0x70ffe07a}, .pfr0 = PFR0 | 1ull << 60, .dfr0 = DFR0, .isar0 = ISAR0,
        .mmfr0 = 0x00101125, .mmfr2 = 1ull << 60, .mvfr0 = MVFR0, .mvfr1 = MVFR1, .mvfr2 = MVFR2, .sctlr_reset = SCTLR_RESET,
        .pa_bits = 48, .granule_16k = true, .features = BUILT,
    },
};
const unsigned a64_cpu_model_count = sizeof(a64_cpu_models) / sizeof(a64_cpu_models[0]);

const char *const a64_cpu_model_names[] = {"cortex-a53", "cortex-a57", "cortex-a72", "max", NULL};

const struct a64_cpu_model *a64_cpu_model_find(const char *name)
{
    for (unsigned i = 0; i < a64_cpu_model_count; i++)
        if (!strcmp(a64_cpu_models[i].name, name))
            return &a64_cpu_models[i];
    return NULL;
}
