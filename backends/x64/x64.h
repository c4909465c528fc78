// SPDX-License-Identifier: MIT
// The x86-64 backend (backend.h says how it is used). Needs SSE4.2 and CMPXCHG16B. backend_config.feature_mask is made
// of enum x64_feature (features.h).
#ifndef BACKENDS_X64_X64_H
#define BACKENDS_X64_X64_H

#include "backends/backend.h"

// Ops that ir_eval computes out of line, always or in the cases named, for the documentation. Besides: every f16 op,
// flushing modes and IR_FP_X86, rounding other than the unit's, and exceptional operands and results.
struct x64_evaluated_op {
    uint16_t op; // enum ir_op
    const char *when;
};
extern const struct x64_evaluated_op x64_evaluated_ops[];
extern const unsigned x64_evaluated_op_count;

#endif
