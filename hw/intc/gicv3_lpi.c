// SPDX-License-Identifier: MIT
// Owns the LPIs of a redistributor (IHI 0069 5.1, 12.11): the configuration and pending tables, which are in guest
// memory, and the choice of the best pending LPI. Nothing is cached but that choice, which a scan of the pending table
// makes anew. A table that is not wholly in RAM holds no LPIs.
#include "hw/intc/gicv3_internal.h"

enum {
    PROPBASER_IDbits = 0x1f,
    MAX_IDbits = 15, // GICD_TYPER.IDbits
    LPI_ENABLE = 1 << 0,
};

static const uint64_t PROPBASER_ADDRESS = 0x000ffffffffff000, PENDBASER_ADDRESS = 0x000fffffffff0000;
// Address, cacheability and shareability; IDbits in PROPBASER. PTZ of PENDBASER reads as zero: tables are always read.
static const uint64_t PROPBASER_MASK = 0x070fffffffffff9f, PENDBASER_MASK = 0x070fffffffff0f80;

// INTIDs of this CPU: LPIs are those from 8192 on.
static unsigned id_count(const struct gicv3_cpu *c)
{
    unsigned idbits = c->propbaser & PROPBASER_IDbits;
    return c->lpis_enabled ? 2u << (idbits < MAX_IDbits ? idbits : MAX_IDbits) : 0;
}

static bool has(const struct gicv3_cpu *c, unsigned id)
{
    return id >= GIC_FIRST_LPI && id < id_count(c);
}

// One bit an INTID, from INTID 0 on. NULL: there is none.
static uint64_t *pending_table(const struct gicv3_cpu *c)
{
    unsigned ids = id_count(c);
    return ids > GIC_FIRST_LPI ? mem_host(c->gic->mem, (struct gpa){c->pendbaser & PENDBASER_ADDRESS}, ids / 8) : NULL;
}

// One byte an INTID, from INTID 8192 on. NULL: there is none.
static const uint8_t *configuration_table(const struct gicv3_cpu *c)
{
    unsigned ids = id_count(c);
    return ids > GIC_FIRST_LPI
               ? mem_host(c->gic->mem, (struct gpa){c->propbaser & PROPBASER_ADDRESS}, ids - GIC_FIRST_LPI)
               : NULL;
}

static void consider(struct gic_best *best, const uint8_t *configuration, unsigned id)
{
    uint8_t byte = __atomic_load_n(&configuration[id - GIC_FIRST_LPI], __ATOMIC_RELAXED);
    uint8_t priority = byte & GIC_PRIORITY_MASK;
    if ((byte & LPI_ENABLE) && priority < best->priority)
        *best = (struct gic_best){(uint16_t)id, priority, true};
}

static void scan(struct gicv3_cpu *c)
{
    c->lpi_stale = false;
    c->lpi_best = (struct gic_best){GIC_SPURIOUS, GIC_IDLE_PRIORITY, false};
    const uint64_t *pending = pending_table(c);
    const uint8_t *configuration = configuration_table(c);
    if (!pending || !configuration)
        return;
    for (unsigned word = GIC_FIRST_LPI / 64, words = id_count(c) / 64; word < words; word++) {
        uint64_t bits = __atomic_load_n(&pending[word], __ATOMIC_RELAXED);
        for (; bits; bits &= bits - 1)
            consider(&c->lpi_best, configuration, word * 64 + (unsigned)__builtin_ctzll(bits));
    }
}

// Sets or clears a pending bit; whether it was otherwise before.
static bool change(struct gicv3_cpu *c, unsigned id, bool pending)
{
    uint8_t *table = has(c, id) ? (uint8_t *)pending_table(c) : NULL;
    if (!table)
        return false;
    uint8_t bit = (uint8_t)(1u << id % 8), *byte = &table[id / 8];
    uint8_t old = pending ? __atomic_fetch_or(byte, bit, __ATOMIC_RELAXED)
                          : __atomic_fetch_and(byte, (uint8_t)~bit, __ATOMIC_RELAXED);
    if (!!(old & bit) == pending)
        return false;
    mem_wrote(c->gic->mem, (struct gpa){(c->pendbaser & PENDBASER_ADDRESS) + id / 8}, 1);
    return true;
}

void gicv3_lpi_set(struct gicv3_cpu *c, unsigned id)
{
    const uint8_t *configuration = configuration_table(c);
    if (!change(c, id, true) || !configuration)
        return;
    consider(&c->lpi_best, configuration, id);
    gicv3_update_cpu(c->gic, c);
}

bool gicv3_lpi_clear(struct gicv3_cpu *c, unsigned id)
{
    bool was_pending = change(c, id, false);
    c->lpi_stale |= c->lpi_best.id == id;
    return was_pending;
}

void gicv3_lpi_move(struct gicv3_cpu *from, struct gicv3_cpu *to, unsigned id)
{
    if (from != to && has(to, id) && gicv3_lpi_clear(from, id))
        gicv3_lpi_set(to, id);
}

void gicv3_lpi_move_all(struct gicv3_cpu *from, struct gicv3_cpu *to)
{
    uint64_t *source = pending_table(from), *sink = pending_table(to);
    unsigned ids = id_count(from) < id_count(to) ? id_count(from) : id_count(to);
    if (from == to || !source || !sink)
        return;
    bool moved = false;
    for (unsigned word = GIC_FIRST_LPI / 64; word < ids / 64; word++) {
        if (!__atomic_load_n(&source[word], __ATOMIC_RELAXED))
            continue;
        __atomic_fetch_or(&sink[word], __atomic_exchange_n(&source[word], 0, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
        moved = true;
    }
    if (!moved)
        return;
    mem_wrote(from->gic->mem, (struct gpa){from->pendbaser & PENDBASER_ADDRESS}, ids / 8);
    mem_wrote(to->gic->mem, (struct gpa){to->pendbaser & PENDBASER_ADDRESS}, ids / 8);
    from->lpi_stale = to->lpi_stale = true;
}

void gicv3_lpi_refresh(struct gicv3_cpu *c)
{
    scan(c);
    gicv3_update_cpu(c->gic, c);
}

void gicv3_lpi_settle(struct gicv3 *gic)
{
    for (unsigned i = 0; i < gic->cpu_count; i++)
        if (gic->cpus[i].lpi_stale)
            gicv3_lpi_refresh(&gic->cpus[i]);
}

// --- the redistributor's registers ---

uint32_t gicv3_lpi_read(const struct gicv3_cpu *c, uint64_t offset)
{
    if (!c->gic->mem)
        return 0;
    switch (offset) {
    case GICR_CTLR: return GICR_CTLR_CES | GICR_CTLR_IR | (c->lpis_enabled ? GICR_CTLR_EnableLPIs : 0);
    case GICR_PROPBASER: return (uint32_t)c->propbaser;
    case GICR_PROPBASER + 4: return (uint32_t)(c->propbaser >> 32);
    case GICR_PENDBASER: return (uint32_t)c->pendbaser;
    case GICR_PENDBASER + 4: return (uint32_t)(c->pendbaser >> 32);
    default: return 0; // of GICR_SYNCR, too: never busy
    }
}

static void write_half(uint64_t *reg, uint64_t offset, uint32_t value, uint64_t mask)
{
    unsigned shift = (offset & 4) * 8;
    *reg = ((*reg & ~(0xffffffffull << shift)) | (uint64_t)value << shift) & mask;
}

void gicv3_lpi_write(struct gicv3_cpu *c, uint64_t offset, uint32_t value)
{
    if (!c->gic->mem)
        return;
    switch (offset) {
    case GICR_CTLR:
        if (c->lpis_enabled == !!(value & GICR_CTLR_EnableLPIs))
            return;
        c->lpis_enabled = value & GICR_CTLR_EnableLPIs;
        break;
    case GICR_PROPBASER:
    case GICR_PROPBASER + 4:
        if (!c->lpis_enabled) // unpredictable otherwise: ignored
            write_half(&c->propbaser, offset, value, PROPBASER_MASK);
        return;
    case GICR_PENDBASER:
    case GICR_PENDBASER + 4:
        if (!c->lpis_enabled)
            write_half(&c->pendbaser, offset, value, PENDBASER_MASK);
        return;
    case GICR_INVLPIR:
    case GICR_INVALLR: break;
    default: return;
    }
    gicv3_lpi_refresh(c);
}

void gicv3_lpi_sanitise(struct gicv3_cpu *c)
{
    c->lpis_enabled &= c->gic->mem != NULL;
    c->propbaser &= PROPBASER_MASK;
    c->pendbaser &= PENDBASER_MASK;
    scan(c);
}
