// SPDX-License-Identifier: MIT
// Which code belongs together: from a hot place in a page of guest code, the units that its direct exits lead to and
// that are about as hot, translated again from a copy of the page and joined into one.
//
// A part begins at a place where a unit of its own began, and ends where another part begins, so that nothing is
// translated twice. A place that a loop goes back to is cut off behind the loop. Everything is a function of the
// source: no lock, no vCPU, any thread.
#ifndef ACCEL_JIT_REGION_H
#define ACCEL_JIT_REGION_H

#include "accel/guest_isa.h"
#include "ir/opt/passes.h"

enum { REGION_PARTS = 24, REGION_PART_INSNS = 64, REGION_SHARE = 16 };

// How often the unit at offset ran.
struct region_heat {
    uint32_t offset;
    uint64_t count;
};

struct region_source {
    const struct guest_isa *isa;
    const struct ir_guest *guest;
    const void *cpu_model;
    const struct log *log;
    uint32_t key, offset;  // where the region begins
    const uint8_t *page;   // IR_PAGE_SIZE bytes
    uint64_t va_page;      // for traces only
    const struct region_heat *heats; // of the page's units under key
    unsigned heat_count;
    unsigned max_insns, max_accesses; // of the guest's, whole region
};

struct region_part {
    uint32_t offset, bytes;
};

// Buffers kept from region to region. A zeroed one is empty.
struct region {
    struct ir_unit unit; // the parts joined, not optimised
    struct region_part parts[REGION_PARTS];
    unsigned count, insns;
    bool loops; // control can stay in it
    struct ir_unit units[REGION_PARTS]; // of the parts
    uint32_t refused[REGION_PARTS];     // places that did not fit
    unsigned refused_count;
};

// 0, or a negative errno when even the first part cannot be made.
int region_form(struct region *region, const struct region_source *source);
void region_free(struct region *region);

#endif
