// SPDX-License-Identifier: MIT
// The tagged TLB of one vCPU: what table walks found, keyed by virtual page, page size and ASID or global. Exact:
// an invalidation drops what it names and nothing else. Whole ASIDs and the whole TLB go by generation numbers.
// Own thread only.
#include "accel/jit/jit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int tlb_create(struct tlb **ret_tlb)
{
    struct tlb *tlb = aligned_alloc(64, sizeof *tlb);
    if (!tlb)
        return -ENOMEM;
    memset(tlb, 0, sizeof *tlb);
    tlb->asid_gen = calloc(TLB_ASIDS, sizeof *tlb->asid_gen);
    if (!tlb->asid_gen) {
        free(tlb);
        return -ENOMEM;
    }
    tlb->walk_gen = 1;
    *ret_tlb = tlb;
    return 0;
}

void tlb_destroy(struct tlb *tlb)
{
    if (!tlb)
        return;
    free(tlb->asid_gen);
    free(tlb);
}

static unsigned set_of(uint64_t va, unsigned page_bits)
{
    uint64_t n = va >> page_bits;
    return (n ^ n >> 10 ^ page_bits) % TLB_SETS;
}

// Never 0: no mapping is smaller than 4 KiB.
static uint64_t tag_of(uint64_t va, unsigned page_bits)
{
    return (va >> page_bits << page_bits) | page_bits;
}

// Of an entry with a tag.
static bool is_live(const struct tlb *tlb, const struct tlb_entry *e)
{
    return e->all_gen == tlb->all_gen &&
           (e->map.global || e->asid_gen == tlb->asid_gen[e->map.asid % TLB_ASIDS]);
}

const struct guest_mapping *tlb_find(const struct tlb *tlb, uint64_t va, uint32_t asid)
{
    for (uint64_t sizes = tlb->sizes; sizes; sizes &= sizes - 1) {
        unsigned bits = (unsigned)__builtin_ctzll(sizes);
        const struct tlb_set *set = &tlb->sets[set_of(va, bits)];
        const uint64_t tag = tag_of(va, bits);
        for (unsigned way = 0; way < TLB_WAYS; way++) {
            const struct tlb_entry *e = &set->ways[way];
            if (set->tags[way] == tag && (e->map.global || e->map.asid == asid) && is_live(tlb, e))
                return &e->map;
        }
    }
    return NULL;
}

static void note(struct tlb_filter *seen, const struct guest_mapping *map)
{
    if (map->page_bits >= 30) {
        uint64_t count = 1ull << (map->page_bits - 30);
        for (uint64_t i = 0; i < count && i < 64; i++)
            seen->huge |= 1ull << (((map->va >> 30) + i) % 64);
        return;
    }
    uint64_t first = map->va >> 21, last = (map->va + (1ull << map->page_bits) - 1) >> 21;
    for (uint64_t n = first; n <= last; n++)
        seen->bits[n % FILTER_BITS / 64] |= 1ull << (n % 64);
}

static bool maybe(const struct tlb_filter *seen, uint64_t va)
{
    return (seen->huge >> ((va >> 30) % 64) & 1) || (seen->bits[(va >> 21) % FILTER_BITS / 64] >> ((va >> 21) % 64) & 1);
}

bool tlb_maybe_large(const struct tlb *tlb, uint64_t va)
{
    return maybe(&tlb->large, va);
}

bool tlb_maybe_global(const struct tlb *tlb, uint64_t va)
{
    return maybe(&tlb->global, va);
}

const struct guest_mapping *tlb_insert(struct tlb *tlb, const struct guest_mapping *map)
{
    unsigned s = set_of(map->va, map->page_bits);
    unsigned way = 0;
    while (way < TLB_WAYS && tlb->sets[s].tags[way] && is_live(tlb, &tlb->sets[s].ways[way]))
        way++;
    if (way == TLB_WAYS)
        way = tlb->next_way[s]++ % TLB_WAYS;
    struct tlb_entry *e = &tlb->sets[s].ways[way];
    e->map = *map;
    e->all_gen = tlb->all_gen;
    e->asid_gen = tlb->asid_gen[map->asid % TLB_ASIDS];
    tlb->sets[s].tags[way] = tag_of(map->va, map->page_bits);
    tlb->sizes |= 1ull << map->page_bits;
    if (map->page_bits > IR_PAGE_BITS)
        note(&tlb->large, map);
    if (map->global)
        note(&tlb->global, map);
    return &e->map;
}

static void drop_page(struct tlb *tlb, const struct guest_tlbi *tlbi)
{
    for (uint64_t sizes = tlb->sizes; sizes; sizes &= sizes - 1) {
        unsigned bits = (unsigned)__builtin_ctzll(sizes);
        struct tlb_set *set = &tlb->sets[set_of(tlbi->va, bits)];
        const uint64_t tag = tag_of(tlbi->va, bits);
        for (unsigned way = 0; way < TLB_WAYS; way++) {
            const struct guest_mapping *map = &set->ways[way].map;
            if (set->tags[way] == tag &&
                (map->global || tlbi->kind == GUEST_TLBI_VA_ALL_ASID || map->asid == tlbi->asid))
                set->tags[way] = 0;
        }
    }
}

static unsigned walk_slot(uint64_t va)
{
    uint64_t n = va >> 21;
    return (n ^ n >> 8 ^ n >> 18) % TLB_WALKS;
}

bool tlb_walk_find(const struct tlb *tlb, const struct guest_context *context, uint64_t root, uint64_t va,
                   struct guest_walk_step *ret_step)
{
    const struct tlb_walk *w = &tlb->walks[walk_slot(va)];
    if (w->gen != tlb->walk_gen || w->step.root != root || w->asid != context->asid || w->digest != context->digest ||
        (w->step.va ^ va) >> w->step.va_bits)
        return false;
    *ret_step = w->step;
    return true;
}

void tlb_walk_keep(struct tlb *tlb, const struct guest_context *context, const struct guest_walk_step *step)
{
    tlb->walks[walk_slot(step->va)] =
        (struct tlb_walk){.step = *step, .digest = context->digest, .asid = context->asid, .gen = tlb->walk_gen};
}

void tlb_invalidate(struct tlb *tlb, const struct guest_tlbi *tlbi)
{
    if (!tlbi->last_level || tlbi->kind == GUEST_TLBI_ALL || tlbi->kind == GUEST_TLBI_ASID)
        tlb->walk_gen++;
    switch ((enum guest_tlbi_kind)tlbi->kind) {
    case GUEST_TLBI_ALL:
        tlb->all_gen++;
        tlb->sizes = 0;
        memset(&tlb->large, 0, sizeof tlb->large);
        memset(&tlb->global, 0, sizeof tlb->global);
        break;
    case GUEST_TLBI_ASID: tlb->asid_gen[tlbi->asid % TLB_ASIDS]++; break;
    case GUEST_TLBI_VA:
    case GUEST_TLBI_VA_ALL_ASID: drop_page(tlb, tlbi); break;
    }
}
