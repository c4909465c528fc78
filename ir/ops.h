// SPDX-License-Identifier: MIT
// How the fields `sub`, `attr` and `imm` of each op are spelled, and which values are legal: the second half
// of the op table, beside ops.def. Printer, parser, verifier and test generators read it; nothing else needs
// to.
#ifndef IR_OPS_H
#define IR_OPS_H

#include "ir/ir.h"

enum ir_sub_form {
    IR_SUB_NONE,
    IR_SUB_LANE,    // .x8 .x16 .x32 .x64
    IR_SUB_LANEF,   // the same, but only when the type is v128
    IR_SUB_CMP,     // .eq .ult ...
    IR_SUB_COND,    // .eq .hi ...
    IR_SUB_RMW,     // .xchg .add ...
    IR_SUB_FENCE,   // .full .load .store
    IR_SUB_POS,     // pos=N
    IR_SUB_RESTART, // restart
    IR_SUB_BORROW,  // borrow
    IR_SUB_WRITE,   // write
    IR_SUB_LIKELY,  // likely / unlikely
    IR_SUB_HINT,    // call / return
    IR_SUB_EXIT,    // .state .halt ...
};

enum ir_attr_form {
    IR_ATTR_NONE,
    IR_ATTR_MEM,  // {32 s mmu1 ...}
    IR_ATTR_FP,   // {rz dn ...}
    IR_ATTR_V,    // {s lo64}
    IR_ATTR_GET,  // {s}
    IR_ATTR_LEN,  // len=N
    IR_ATTR_RET,  // ret=N
    IR_ATTR_POLY, // castagnoli
};

enum ir_imm_form {
    IR_IMM_NONE,
    IR_IMM_BITS,   // value in hexadecimal
    IR_IMM_POOL,   // 128-bit value
    IR_IMM_OFF,    // signed offset from the page
    IR_IMM_FIELD,  // field name
    IR_IMM_LEN,    // len=N
    IR_IMM_NUM,    // #N
    IR_IMM_SPAN,   // [lo, hi)
    IR_IMM_BLOCK,  // bN
    IR_IMM_BLOCKS, // bN, bN
    IR_IMM_HELPER, // helper name
    IR_IMM_CMP,    // .eq .ult ...
    IR_IMM_FCMP,   // .eq .ge .gt
};

struct ir_op_form {
    uint8_t sub, attr, imm;     // the forms above
    uint8_t lane_min, lane_max; // of sub, where it is a lane size
    uint16_t
        types; // bit per enum ir_type allowed as own type (or that of arg 0 if the result is fixed); 0: any
};
extern const struct ir_op_form ir_op_forms[IR_OP_COUNT];

extern const char *const ir_cmp_names[IR_CMP_COUNT];
extern const char *const ir_fcmp_names[IR_FCMP_COUNT];
extern const char *const ir_cond_names[IR_COND_COUNT];
extern const char *const ir_rmw_names[IR_RMW_COUNT];
extern const char *const ir_fence_names[IR_FENCE_COUNT];
extern const char *const ir_exit_names[IR_EXIT_COUNT];

// One named bit (or bit pattern under a mask) of an attr, for the text form; tables end with a NULL name.
struct ir_attr_name {
    const char *name;
    uint32_t mask, value;
};
// Names of the form's attr bits, or NULL for forms without names.
const struct ir_attr_name *ir_attr_names(enum ir_attr_form form);

// Whether the op's own type is spelled out in text (it is not when the table fixes it).
bool ir_op_prints_type(enum ir_op op);
// Whether arg may be IR_NO_VALUE although the table names a kind for it.
bool ir_arg_optional(enum ir_op op, unsigned arg);

#endif
