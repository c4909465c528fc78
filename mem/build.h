// SPDX-License-Identifier: MIT
// Private to mem/: the regions a space was given, before they become a view. Invariant: disjoint, unsorted;
// RAM blocks and names outlive every view, so both live until the space is destroyed.
#ifndef MEM_BUILD_H
#define MEM_BUILD_H

#include "mem/mem.h"

struct mem_region {
    struct mem_range range;
    struct mem_region *next;
    bool removed; // kept for its name
    char name[32];
};

struct mem_block {
    struct mem_ram ram;
    struct mem_block *next;
};

struct mem_build {
    struct mem_region *regions;
    struct mem_block *blocks;
};

#endif
