// SPDX-License-Identifier: MIT
// CPU models: identification registers of the cores that -cpu names, cut down to what is built. Const data.
// Source: the cores' Technical Reference Manuals; Arm ARM (DDI 0487) D17.
#ifndef A64_CPU_MODELS_H
#define A64_CPU_MODELS_H

#include <stdbool.h>
#include <stdint.h>

struct a64_cpu_model {
    const char *name;
    uint64_t midr, revidr, ctr, clidr, dczid;
    uint64_t ccsidr[6]; // by CSSELR value: L1 data, L1 instruction, L2, -, L3, -
    uint64_t pfr0, pfr1, dfr0, isar0, isar1, mmfr0, mmfr1, mmfr2;
    uint64_t mvfr0, mvfr1, mvfr2;
    uint64_t sctlr_reset;
    uint8_t pa_bits;
    bool granule_16k;
    bool core_sysregs;  // the IMPLEMENTATION DEFINED registers of the Cortex-A5x/A72 exist
    uint32_t features;  // bit per enum a64_feature
};

extern const struct a64_cpu_model a64_cpu_models[];
extern const unsigned a64_cpu_model_count;
extern const char *const a64_cpu_model_names[]; // NULL-terminated
const struct a64_cpu_model *a64_cpu_model_find(const char *name);

#endif
