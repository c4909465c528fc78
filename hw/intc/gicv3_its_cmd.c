// SPDX-License-Identifier: MIT
// Owns an ITS's tables and commands (IHI 0069 5.2, 5.3). Tables and queue are read and written where the guest put
// them, in RAM only: what lies elsewhere stalls the queue, as a bus error would. A command that names what is not mapped,
// or is out of range, is ignored, and the queue goes on (one of the behaviours the architecture leaves open).
//
// Work is bounded: one run handles each command of the queue once, and a command looks at one entry of each table, save
// MOVALL, which looks at two pending tables; what a run changed is scanned once, at its end.
//
// Our formats of the entries, 8 bytes each, bit 63 says valid:
//   device      ITT address in place [51:8], [4:0] bits of EventID less one
//   collection  [15:0] processor number
//   event       [47:32] collection, [23:0] INTID
#include "hw/intc/gicv3_its_internal.h"

enum its_command {
    ITS_MOVI = 0x01,
    ITS_INT = 0x03,
    ITS_CLEAR = 0x04,
    ITS_SYNC = 0x05,
    ITS_MAPD = 0x08,
    ITS_MAPC = 0x09,
    ITS_MAPTI = 0x0a,
    ITS_MAPI = 0x0b,
    ITS_INV = 0x0c,
    ITS_INVALL = 0x0d,
    ITS_MOVALL = 0x0e,
    ITS_DISCARD = 0x0f,
};

enum outcome {
    DONE,
    IGNORED, // no such entry, or it says invalid
    STALLED, // not in RAM
};

static const uint64_t VALID = 1ull << 63, BASER_Indirect = 1ull << 62, ITT_ADDRESS = 0x000fffffffffff00;

// --- tables ---

static enum outcome load(const struct gicv3_its *its, uint64_t addr, uint64_t *ret_value)
{
    const uint64_t *host = mem_host(its->gic->mem, (struct gpa){addr}, ITS_ENTRY_SIZE);
    if (!host)
        return STALLED;
    *ret_value = __atomic_load_n(host, __ATOMIC_RELAXED);
    return DONE;
}

static enum outcome store(const struct gicv3_its *its, uint64_t addr, uint64_t value)
{
    uint64_t *host = mem_host(its->gic->mem, (struct gpa){addr}, ITS_ENTRY_SIZE);
    if (!host)
        return STALLED;
    if (__atomic_exchange_n(host, value, __ATOMIC_RELAXED) != value)
        mem_wrote(its->gic->mem, (struct gpa){addr}, ITS_ENTRY_SIZE);
    return DONE;
}

struct table {
    uint64_t base;          // of the table, or of its first level
    uint64_t page_entries;  // a page
    uint64_t count;         // entries that it can have
    bool valid, two_levels;
};

static struct table table_of(const struct gicv3_its *its, unsigned which)
{
    uint64_t baser = its->baser[which], pages = (baser & 0xff) + 1;
    unsigned page_bits = (baser >> 8 & 3) == 0 ? 12 : (baser >> 8 & 3) == 1 ? 14 : 16;
    struct table t = {.page_entries = (1ull << page_bits) / ITS_ENTRY_SIZE,
                      .valid = baser & VALID,
                      .two_levels = baser & BASER_Indirect};
    // With pages of 64 KiB the address has 52 bits, the uppermost of them in [15:12].
    t.base = page_bits == 16 ? (baser & 0xffffffff0000) | (baser & 0xf000) << 36 : baser & 0xfffffffff000;
    t.count = pages * t.page_entries * (t.two_levels ? t.page_entries : 1);
    if (t.count > 1ull << ITS_ID_BITS)
        t.count = 1ull << ITS_ID_BITS;
    return t;
}

static bool in_table(const struct gicv3_its *its, unsigned which, uint64_t index)
{
    struct table t = table_of(its, which);
    return t.valid && index < t.count;
}

static enum outcome entry_address(const struct gicv3_its *its, unsigned which, uint64_t index, uint64_t *ret_addr)
{
    struct table t = table_of(its, which);
    if (!t.valid || index >= t.count)
        return IGNORED;
    uint64_t base = t.base;
    if (t.two_levels) {
        uint64_t first;
        if (load(its, t.base + index / t.page_entries * ITS_ENTRY_SIZE, &first))
            return STALLED;
        if (!(first & VALID))
            return IGNORED;
        base = first & 0x000fffffffffffff & ~(t.page_entries * ITS_ENTRY_SIZE - 1);
        index %= t.page_entries;
    }
    *ret_addr = base + index * ITS_ENTRY_SIZE;
    return DONE;
}

// An entry that is valid.
static enum outcome find_entry(const struct gicv3_its *its, unsigned which, uint64_t index, uint64_t *ret_entry)
{
    uint64_t addr, entry;
    enum outcome r = entry_address(its, which, index, &addr);
    if (!r)
        r = load(its, addr, &entry);
    if (r)
        return r;
    *ret_entry = entry;
    return entry & VALID ? DONE : IGNORED;
}

// Where the entry of an event is, be it valid or not.
static enum outcome event_address(const struct gicv3_its *its, uint32_t device, uint32_t event, uint64_t *ret_addr)
{
    uint64_t entry;
    enum outcome r = find_entry(its, ITS_DEVICES, device, &entry);
    if (r)
        return r;
    if (event >= 2ull << (entry & 0x1f) || event >= 1u << ITS_ID_BITS)
        return IGNORED;
    *ret_addr = (entry & ITT_ADDRESS) + (uint64_t)event * ITS_ENTRY_SIZE;
    return DONE;
}

static enum outcome find_cpu(const struct gicv3_its *its, uint64_t collection, struct gicv3_cpu **ret_cpu)
{
    uint64_t entry;
    enum outcome r = find_entry(its, ITS_COLLECTIONS, collection, &entry);
    if (r)
        return r;
    if ((entry & 0xffff) >= its->gic->cpu_count)
        return IGNORED;
    *ret_cpu = &its->gic->cpus[entry & 0xffff];
    return DONE;
}

struct event {
    uint64_t addr; // of its entry
    unsigned intid;
    struct gicv3_cpu *cpu;
};

static enum outcome find_event(const struct gicv3_its *its, uint32_t device, uint32_t event, struct event *ret_event)
{
    struct event e;
    uint64_t entry;
    enum outcome r = event_address(its, device, event, &e.addr);
    if (!r)
        r = load(its, e.addr, &entry);
    if (!r && !(entry & VALID))
        r = IGNORED;
    if (!r)
        r = find_cpu(its, entry >> 32 & 0xffff, &e.cpu);
    if (r)
        return r;
    e.intid = entry & 0xffffff;
    *ret_event = e;
    return DONE;
}

void gicv3_its_event(struct gicv3_its *its, uint32_t device, uint32_t event)
{
    struct event e;
    if (its->enabled && find_event(its, device, event, &e) == DONE)
        gicv3_lpi_set(e.cpu, e.intid);
}

// --- commands ---

struct command {
    enum its_command kind;
    bool valid;
    uint32_t device, event, intid;
    unsigned size, collection;
    uint64_t address;      // of an ITT
    uint64_t cpu, to_cpu;  // processor numbers
};

static struct command decode(const uint64_t word[4])
{
    return (struct command){.kind = (enum its_command)(word[0] & 0xff),
                            .valid = word[2] & VALID,
                            .device = (uint32_t)(word[0] >> 32),
                            .event = (uint32_t)word[1],
                            .intid = (uint32_t)(word[1] >> 32),
                            .size = word[1] & 0x1f,
                            .collection = word[2] & 0xffff,
                            .address = word[2] & ITT_ADDRESS,
                            .cpu = word[2] >> 16 & 0x7ffffffff,
                            .to_cpu = word[3] >> 16 & 0x7ffffffff};
}

static enum outcome map_device(struct gicv3_its *its, const struct command *c)
{
    uint64_t addr;
    if (c->size >= ITS_ID_BITS)
        return IGNORED;
    enum outcome r = entry_address(its, ITS_DEVICES, c->device, &addr);
    return r ? r : store(its, addr, c->valid ? VALID | c->address | c->size : 0);
}

static enum outcome map_collection(struct gicv3_its *its, const struct command *c)
{
    uint64_t addr;
    if (c->valid && c->cpu >= its->gic->cpu_count)
        return IGNORED;
    enum outcome r = entry_address(its, ITS_COLLECTIONS, c->collection, &addr);
    return r ? r : store(its, addr, c->valid ? VALID | c->cpu : 0);
}

static enum outcome map_event(struct gicv3_its *its, const struct command *c, uint32_t intid)
{
    uint64_t addr;
    if (intid < GIC_FIRST_LPI || intid >= GICV3_ID_COUNT || !in_table(its, ITS_COLLECTIONS, c->collection))
        return IGNORED;
    enum outcome r = event_address(its, c->device, c->event, &addr);
    return r ? r : store(its, addr, VALID | (uint64_t)c->collection << 32 | intid);
}

static enum outcome move_event(struct gicv3_its *its, const struct command *c)
{
    struct event e;
    struct gicv3_cpu *to;
    enum outcome r = find_event(its, c->device, c->event, &e);
    if (!r)
        r = find_cpu(its, c->collection, &to);
    if (!r)
        r = store(its, e.addr, VALID | (uint64_t)c->collection << 32 | e.intid);
    if (!r)
        gicv3_lpi_move(e.cpu, to, e.intid);
    return r;
}

static enum outcome move_all(struct gicv3_its *its, const struct command *c)
{
    if (c->cpu >= its->gic->cpu_count || c->to_cpu >= its->gic->cpu_count)
        return IGNORED;
    gicv3_lpi_move_all(&its->gic->cpus[c->cpu], &its->gic->cpus[c->to_cpu]);
    return DONE;
}

static enum outcome invalidate_all(struct gicv3_its *its, const struct command *c)
{
    struct gicv3_cpu *cpu;
    enum outcome r = find_cpu(its, c->collection, &cpu);
    if (!r)
        cpu->lpi_stale = true;
    return r;
}

static enum outcome change_event(struct gicv3_its *its, const struct command *c)
{
    struct event e;
    enum outcome r = find_event(its, c->device, c->event, &e);
    if (r)
        return r;
    switch (c->kind) {
    case ITS_INT: gicv3_lpi_set(e.cpu, e.intid); break;
    case ITS_INV: e.cpu->lpi_stale = true; break;
    case ITS_DISCARD:
        r = store(its, e.addr, 0);
        gicv3_lpi_clear(e.cpu, e.intid);
        break;
    default: gicv3_lpi_clear(e.cpu, e.intid); break;
    }
    return r;
}

static enum outcome run_command(struct gicv3_its *its, const struct command *c)
{
    switch (c->kind) {
    case ITS_MAPD: return map_device(its, c);
    case ITS_MAPC: return map_collection(its, c);
    case ITS_MAPTI: return map_event(its, c, c->intid);
    case ITS_MAPI: return map_event(its, c, c->event);
    case ITS_MOVI: return move_event(its, c);
    case ITS_MOVALL: return move_all(its, c);
    case ITS_INVALL: return invalidate_all(its, c);
    case ITS_INT:
    case ITS_CLEAR:
    case ITS_INV:
    case ITS_DISCARD: return change_event(its, c);
    case ITS_SYNC: // every command has its effect before the next is read
    default: return IGNORED;
    }
}

void gicv3_its_run(struct gicv3_its *its)
{
    uint64_t size = gicv3_its_queue_size(its), base = its->cbaser & 0x000ffffffffff000;
    if (!its->enabled || !(its->cbaser & VALID) || its->cwriter >= size || its->creadr >= size)
        return;
    while (its->creadr != its->cwriter && !its->stalled) {
        uint64_t word[4];
        enum outcome r = DONE;
        for (unsigned i = 0; !r && i < 4; i++)
            r = load(its, base + its->creadr + i * 8, &word[i]);
        if (!r) {
            struct command command = decode(word);
            r = run_command(its, &command);
        }
        if (r == STALLED)
            its->stalled = true; // CREADR stays at the command
        else
            its->creadr = (its->creadr + ITS_COMMAND_SIZE) % size;
    }
    gicv3_lpi_settle(its->gic);
}
