// SPDX-License-Identifier: MIT
// What registers hold where blocks begin.
//
// A block that only one earlier place leads to takes over the allocator's state (a snapshot). Where edges meet, the
// first edge lowered decides a map of state fields to registers, and every edge brings about that map: stores dirty
// fields that are not in it, moves, and loads what is missing. At a loop head the map holds the fields that the loop
// uses most; those that the loop writes count as dirty there. A block reached without a map begins with empty
// registers and all state in env.
#include "backends/x64/compile.h"

#include <string.h>

enum { MAP_GENERAL = 8, MAP_VECTOR = 9 }; // registers a map may take: the rest are for temporaries

bool x64_save_snapshot(struct x64_compile *c, uint32_t block)
{
    unsigned s = block % X64_SNAPSHOTS;
    struct x64_snapshot *snap = &c->snapshots[s];
    if (c->block_preds[block] != 1 || x64_lowered(c, block) || c->snapshot_owner[s] != IR_NO_VALUE)
        return false;
    memcpy(snap->regs, c->regs, sizeof(snap->regs));
    for (unsigned r = 0; r < X64_REGS; r++)
        snap->slots[r] = c->regs[r] == IR_NO_VALUE ? -1 : c->cells[c->regs[r]].slot;
    snap->field_count = 0;
    for (unsigned w = 0; w < X64_MAX_FIELDS / 64; w++)
        for (uint64_t bits = c->bound[w]; bits; bits &= bits - 1) {
            uint32_t f = w * 64 + (unsigned)__builtin_ctzll(bits);
            if (snap->field_count == ARRAY_SIZE(snap->fields))
                return false;
            snap->fields[snap->field_count].field = (uint16_t)f;
            snap->fields[snap->field_count].dirty = c->fields[f].dirty;
            snap->fields[snap->field_count++].cell = c->fields[f].cell;
        }
    c->snapshot_owner[s] = block;
    return true;
}

// ---- choosing a map ----------------------------------------------------------------------------------------------

struct interest {
    uint16_t uses[X64_MAX_FIELDS];
    bool put[X64_MAX_FIELDS];  // in the loop
    bool read[X64_MAX_FIELDS]; // before it is put, in the order of the code
};

static void weigh(const struct x64_compile *c, uint32_t first, uint32_t end, struct interest *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (uint32_t i = first; i < end; i++) {
        const struct ir_insn *insn = &c->unit->insns[i];
        if (insn->op != IR_OP_get && insn->op != IR_OP_put)
            continue;
        if (insn->op == IR_OP_get && !ret->put[insn->imm])
            ret->read[insn->imm] = true;
        ret->put[insn->imm] |= insn->op == IR_OP_put;
        ret->uses[insn->imm] += ret->uses[insn->imm] < UINT16_MAX;
    }
}

static int register_of(const struct x64_compile *c, uint32_t field)
{
    uint32_t cell = c->fields[field].cell;
    return cell == IR_NO_VALUE ? -1 : c->cells[cell].reg;
}

static unsigned add_entry(struct x64_compile *c, struct x64_map *map, uint32_t field, bool dirty, uint32_t *taken)
{
    bool vector = x64_in_xmm(c->layout->fields[field].type);
    int at = register_of(c, field);
    if (at < 0 || *taken >> at & 1 || (at >= X64_XMM0) != vector) {
        uint32_t pool = (vector ? x64_vector_pool : x64_general_pool) & ~*taken, unbound = pool;
        for (uint32_t m = pool; m; m &= m - 1) { // rather one that no field is in: it may be wanted next
            unsigned r = (unsigned)__builtin_ctz(m);
            if (c->regs[r] != IR_NO_VALUE && c->cells[c->regs[r]].first_field != X64_NO_FIELD)
                unbound &= ~(1u << r);
        }
        at = __builtin_ctz(unbound ? unbound : pool);
    }
    *taken |= 1u << at;
    map->entries[map->count++] = (struct x64_map_entry){ (uint16_t)field, (uint8_t)at, dirty };
    return 1;
}

static struct x64_map *make_map(struct x64_compile *c, uint32_t block)
{
    if (c->map_count == X64_MAPS)
        return NULL;
    struct x64_map *map = &c->maps[c->map_count];
    struct interest interest;
    uint32_t first = c->unit->blocks[block].first, loop = c->loop_end[block];
    uint32_t end = loop ? loop : first + 96 < c->unit->insn_count ? first + 96 : c->unit->insn_count;
    uint32_t taken = 0, order[X64_MAX_FIELDS];
    unsigned n = 0, room[2] = { MAP_GENERAL, MAP_VECTOR };
    weigh(c, first, end, &interest);
    for (uint32_t f = 0; f < c->layout->count; f++) {
        if (loop ? interest.uses[f] == 0 : !interest.read[f] || register_of(c, f) < 0)
            continue;
        unsigned at = n++;
        for (; at > 0 && interest.uses[order[at - 1]] < interest.uses[f]; at--)
            order[at] = order[at - 1];
        order[at] = f;
    }
    map->count = 0;
    for (unsigned i = 0; i < n && map->count < X64_MAP_ENTRIES; i++) {
        unsigned vector = x64_in_xmm(c->layout->fields[order[i]].type);
        if (c->layout->fields[order[i]].type == IR_F16)
            continue;
        if (room[vector])
            room[vector] -= add_entry(c, map, order[i], c->fields[order[i]].dirty || (loop && interest.put[order[i]]), &taken);
    }
    c->block_map[block] = (int16_t)c->map_count++;
    return map;
}

// ---- bringing it about -------------------------------------------------------------------------------------------

static void move_register(struct x64_compile *c, unsigned to, unsigned from)
{
    if (to >= X64_XMM0)
        x64_vmov(c->e, to - X64_XMM0, from - X64_XMM0);
    else
        x64_mov_rr(c->e, true, to, from);
}

// Parallel moves: from[r] is the register whose content r shall have, r itself for none.
static void shuffle(struct x64_compile *c, uint8_t from[X64_REGS], uint32_t targets)
{
    for (uint32_t left = targets; left;) {
        uint32_t sources = 0, before = left;
        for (uint32_t m = left; m; m &= m - 1)
            sources |= 1u << from[__builtin_ctz(m)];
        for (uint32_t m = left & ~sources; m; m &= m - 1) { // nobody waits for what these hold
            unsigned r = (unsigned)__builtin_ctz(m);
            move_register(c, r, from[r]);
            left &= ~(1u << r);
        }
        if (left != before || !left)
            continue;
        // Only cycles are left: one register's content steps aside.
        unsigned r = (unsigned)__builtin_ctz(left), aside = r >= X64_XMM0 ? X64_XMM0 + X64_XMM_T2 : X64_RAX;
        move_register(c, aside, r);
        for (uint32_t m = left; m; m &= m - 1)
            if (from[__builtin_ctz(m)] == r)
                from[__builtin_ctz(m)] = (uint8_t)aside;
    }
}

static void load_entry(struct x64_compile *c, const struct x64_map_entry *entry)
{
    static const uint32_t ops[5] = { 0, 0, X64_MOVSS_LD, X64_MOVSD_LD, X64_MOVUPS_LD };
    const struct ir_field *f = &c->layout->fields[entry->field];
    uint32_t cell = c->fields[entry->field].cell;
    unsigned size = x64_type_log2(f->type);
    if (entry->reg >= X64_XMM0) {
        if (cell != IR_NO_VALUE)
            x64_load_const_xmm(c, entry->reg - X64_XMM0, cell);
        else
            x64_v2m(c->e, ops[size], entry->reg - X64_XMM0, x64_env(f->offset));
    } else if (cell != IR_NO_VALUE) {
        x64_mov_ri(c->e, entry->reg, x64_const_bits(x64_cell_insn(c, cell)));
    } else {
        x64_load(c->e, size, false, false, entry->reg, x64_env(f->offset));
    }
}

// Values that live on go to their slots, on this edge only. Those defined in blocks from the target on do not: the way
// from there to a use makes them anew.
static void spill_globals(struct x64_compile *c, uint32_t target)
{
    for (unsigned r = 0; r < X64_REGS; r++) {
        uint32_t id = c->regs[r];
        if (id >= X64_MAX_INSNS || !c->values[id].global || c->cells[id].slot >= 0 || x64_is_const(c, id) ||
            !x64_needed(c, &c->cells[id]) || c->values[id].rank >= c->block_rank[target])
            continue;
        x64_spill(c, id);
        c->cells[id].slot = -1;
    }
}

static void conform(struct x64_compile *c, uint32_t target, const struct x64_map *map)
{
    spill_globals(c, target);
    uint64_t kept[X64_MAX_FIELDS / 64] = { 0 };
    for (unsigned i = 0; map && i < map->count; i++)
        if (map->entries[i].dirty)
            kept[map->entries[i].field / 64] |= 1ull << (map->entries[i].field % 64);
    for (unsigned w = 0; w < X64_MAX_FIELDS / 64; w++)
        for (uint64_t bits = c->dirty[w] & ~kept[w]; bits; bits &= bits - 1)
            x64_store_field(c, w * 64 + (unsigned)__builtin_ctzll(bits));
    if (!map)
        return;
    uint8_t from[X64_REGS];
    uint32_t targets = 0;
    for (unsigned i = 0; i < map->count; i++) {
        int at = register_of(c, map->entries[i].field);
        if (at >= 0 && at != map->entries[i].reg) {
            from[map->entries[i].reg] = (uint8_t)at;
            targets |= 1u << map->entries[i].reg;
        }
    }
    shuffle(c, from, targets);
    for (unsigned i = 0; i < map->count; i++)
        if (register_of(c, map->entries[i].field) < 0)
            load_entry(c, &map->entries[i]);
}

void x64_edge(struct x64_compile *c, uint32_t block)
{
    struct x64_map *map = c->block_map[block] >= 0 ? &c->maps[c->block_map[block]] : NULL;
    if (!map && !x64_lowered(c, block) && c->block_preds[block] > 1)
        map = make_map(c, block);
    conform(c, block, map);
}

bool x64_edge_is_free(struct x64_compile *c, uint32_t block)
{
    if (c->block_map[block] >= 0 || (!x64_lowered(c, block) && c->block_preds[block] > 1))
        return false;
    for (unsigned w = 0; w < X64_MAX_FIELDS / 64; w++)
        if (c->dirty[w])
            return false;
    for (unsigned r = 0; r < X64_REGS; r++)
        if (c->regs[r] < X64_MAX_INSNS && c->values[c->regs[r]].global && c->cells[c->regs[r]].slot < 0)
            return false;
    return true;
}

// ---- beginning ---------------------------------------------------------------------------------------------------

static void forget_registers(struct x64_compile *c)
{
    for (unsigned r = 0; r < X64_REGS; r++) {
        if (c->regs[r] != IR_NO_VALUE)
            c->cells[c->regs[r]].reg = -1;
        c->regs[r] = IR_NO_VALUE;
    }
}

static void restore_snapshot(struct x64_compile *c, const struct x64_snapshot *snap)
{
    for (unsigned r = 0; r < X64_REGS; r++) {
        uint32_t id = snap->regs[r];
        if (id == IR_NO_VALUE)
            continue;
        c->regs[r] = id;
        c->cells[id].reg = (int8_t)r;
        if (id < X64_MAX_INSNS && c->values[id].global)
            c->cells[id].slot = snap->slots[r];
        else // a slot would be of a path not taken
            x64_release_slot(c, &c->cells[id]);
    }
    for (unsigned i = 0; i < snap->field_count; i++)
        x64_bind_field(c, snap->fields[i].field, snap->fields[i].cell, snap->fields[i].dirty);
}

// Cells of their own stand for what the map's registers hold.
static void enter_map(struct x64_compile *c, const struct x64_map *map)
{
    for (unsigned i = 0; i < map->count; i++) {
        const struct x64_map_entry *entry = &map->entries[i];
        uint32_t k = c->join_count++, id = X64_MAX_INSNS + k;
        enum ir_type type = c->layout->fields[entry->field].type;
        // An i32 may have come with junk above: as an i64 it counts as such.
        c->join_insns[k] = (struct ir_insn){ .op = IR_OP_nop, .type = type == IR_I32 ? IR_I64 : (uint8_t)type };
        c->cells[id] = (struct x64_cell){ (int8_t)entry->reg, entry->reg >= X64_XMM0, -1, -1, 0, 0, X64_NO_FIELD };
        c->regs[entry->reg] = id;
        x64_bind_field(c, entry->field, id, entry->dirty);
    }
}

static void find_hot(struct x64_compile *c, uint32_t block)
{
    if (c->unit->blocks[block].first >= c->hot_end)
        memset(c->hot_fields, 0, sizeof(c->hot_fields));
    if (!c->loop_end[block] || c->block_map[block] < 0)
        return;
    const struct x64_map *map = &c->maps[c->block_map[block]];
    memset(c->hot_fields, 0, sizeof(c->hot_fields));
    c->hot_end = c->loop_end[block];
    for (unsigned i = 0; i < map->count; i++)
        c->hot_fields[map->entries[i].field / 64] |= 1ull << (map->entries[i].field % 64);
}

void x64_begin_block(struct x64_compile *c, uint32_t block)
{
    const struct ir_unit *u = c->unit;
    for (unsigned w = 0; w < X64_MAX_FIELDS / 64; w++)
        for (uint64_t bits = c->bound[w]; bits; bits &= bits - 1)
            x64_unbind_field(c, w * 64 + (unsigned)__builtin_ctzll(bits));
    forget_registers(c);
    unsigned s = block % X64_SNAPSHOTS;
    x64_clear_events(c);
    uint32_t first = u->blocks[block].first;
    c->pos = first;
    c->block_end = first + u->blocks[block].count;
    for (uint32_t k = c->block_events[block]; k < c->event_count && c->events[k] >= first && c->events[k] < c->block_end; k++) {
        const struct ir_insn *insn = &u->insns[c->events[k]];
        x64_set_event(c, (uint32_t)insn->imm, c->events[k], insn->op == IR_OP_put);
    }
    c->flags_value = c->flags_bool = c->arith = IR_NO_VALUE;
    find_hot(c, block);
    for (uint32_t i = 0; i < c->global_count; i++)
        c->cells[c->globals[i]].slot = c->cells[c->globals[i]].home;
    if (c->snapshot_owner[s] == block) {
        c->snapshot_owner[s] = IR_NO_VALUE;
        restore_snapshot(c, &c->snapshots[s]);
    } else if (c->block_map[block] >= 0) {
        enter_map(c, &c->maps[c->block_map[block]]);
    }
}
