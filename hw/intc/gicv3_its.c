// SPDX-License-Identifier: MIT
// Owns the registers of a GICv3 ITS (IHI 0069 12.19). While it is enabled the registers that say where its tables and
// its queue are ignore writes.
#include "base/error.h"
#include "hw/intc/gicv3_its_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    GITS_CTLR = 0x0000,
    GITS_IIDR = 0x0004,
    GITS_TYPER = 0x0008,
    GITS_CBASER = 0x0080,
    GITS_CWRITER = 0x0088,
    GITS_CREADR = 0x0090,
    GITS_BASER = 0x0100,
    GITS_BASER_END = GITS_BASER + 8 * ITS_TABLES,
    GITS_IDS = 0xffd0,
    GITS_PART = 0x94,
    GITS_IIDR_VALUE = 0x0000043b,
    GITS_CTLR_Enabled = 1 << 0,
    GITS_CWRITER_Retry = 1 << 0,
    GITS_CREADR_Stalled = 1 << 0,
};

static const uint64_t GITS_CTLR_Quiescent = 1ull << 31;
static const uint64_t CBASER_MASK = 0xb8effffffffffcff, // Valid, cacheability, address, shareability, Size
    QUEUE_OFFSET_MASK = 0xfffe0,                        // of GITS_CWRITER and GITS_CREADR
    BASER_MASK = 0xf8e0ffffffffffff,                    // all but Type and Entry_Size
    BASER_Page_Size_64K = 2 << 8;

static const uint64_t baser_type[ITS_TABLES] = {[ITS_DEVICES] = 1, [ITS_COLLECTIONS] = 4};

static uint64_t typer(void)
{
    enum { Physical = 1 << 0, ITT_entry_size = (ITS_ENTRY_SIZE - 1) << 4 };
    const uint64_t CIL = 1ull << 36;
    return Physical | ITT_entry_size | (ITS_ID_BITS - 1) << 8 | (ITS_ID_BITS - 1) << 13 |
           (uint64_t)(ITS_ID_BITS - 1) << 32 | CIL;
}

static uint64_t read64(const struct gicv3_its *its, uint64_t offset)
{
    if (offset >= GITS_BASER && offset < GITS_BASER_END) {
        unsigned n = (unsigned)(offset - GITS_BASER) / 8;
        return its->baser[n] | baser_type[n] << 56 | (uint64_t)(ITS_ENTRY_SIZE - 1) << 48;
    }
    switch (offset) {
    case GITS_CTLR: // and GITS_IIDR
        return (its->enabled ? GITS_CTLR_Enabled : GITS_CTLR_Quiescent) | (uint64_t)GITS_IIDR_VALUE << 32;
    case GITS_TYPER: return typer();
    case GITS_CBASER: return its->cbaser;
    case GITS_CWRITER: return its->cwriter;
    case GITS_CREADR: return its->creadr | (its->stalled ? GITS_CREADR_Stalled : 0);
    default: break;
    }
    if (offset >= GITS_IDS && offset < GICV3_ITS_SIZE / 2)
        return gicv3_read_id(offset, GITS_PART) | (uint64_t)gicv3_read_id(offset + 4, GITS_PART) << 32;
    return 0;
}

// Of the doubleword at offset the bits of mask are written.
static void write64(struct gicv3_its *its, uint64_t offset, uint64_t value, uint64_t mask)
{
    if (offset >= GITS_BASER && offset < GITS_BASER_END && !its->enabled) {
        uint64_t *baser = &its->baser[(offset - GITS_BASER) / 8];
        *baser = ((*baser & ~mask) | (value & mask)) & BASER_MASK;
    } else if (offset == GITS_CBASER && !its->enabled) {
        its->cbaser = ((its->cbaser & ~mask) | (value & mask)) & CBASER_MASK;
        its->creadr = 0;
        its->stalled = false;
    } else if (offset == GITS_CWRITER) {
        its->cwriter = ((its->cwriter & ~mask) | (value & mask)) & QUEUE_OFFSET_MASK;
        if (value & mask & GITS_CWRITER_Retry)
            its->stalled = false;
        gicv3_its_run(its);
    } else if (offset == GITS_CTLR && (mask & GITS_CTLR_Enabled)) {
        its->enabled = value & GITS_CTLR_Enabled;
        gicv3_its_run(its);
    }
}

static enum mem_result its_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct gicv3_its *its = opaque;
    *ret_value = 0;
    if (size < 4)
        return MEM_OK;
    pthread_mutex_lock(&its->gic->lock);
    uint64_t value = read64(its, offset & ~7ull);
    pthread_mutex_unlock(&its->gic->lock);
    *ret_value = size == 8 ? value : (uint32_t)(value >> (offset & 4) * 8);
    return MEM_OK;
}

static enum mem_result its_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct gicv3_its *its = opaque;
    pthread_mutex_lock(&its->gic->lock);
    if (offset == GICV3_ITS_TRANSLATER && (size == 2 || size == 4))
        gicv3_its_event(its, 0, (uint32_t)value);
    else if (size == 4)
        write64(its, offset & ~7ull, value << (offset & 4) * 8, 0xffffffffull << (offset & 4) * 8);
    else if (size == 8)
        write64(its, offset, value, ~0ull);
    pthread_mutex_unlock(&its->gic->lock);
    return MEM_OK;
}

static const struct mem_mmio_ops its_ops = {its_read, its_write, 1, 8};

void gicv3_its_msi(struct device *dev, uint32_t device_id, uint32_t event_id)
{
    struct gicv3_its *its = (struct gicv3_its *)dev;
    pthread_mutex_lock(&its->gic->lock);
    gicv3_its_event(its, device_id, event_id);
    pthread_mutex_unlock(&its->gic->lock);
}

// --- the device ---

static void its_reset(struct device *dev)
{
    struct gicv3_its *its = (struct gicv3_its *)dev;
    pthread_mutex_lock(&its->gic->lock);
    its->enabled = its->stalled = false;
    its->cbaser = its->cwriter = its->creadr = 0;
    for (unsigned i = 0; i < ITS_TABLES; i++)
        its->baser[i] = BASER_Page_Size_64K;
    pthread_mutex_unlock(&its->gic->lock);
}

static void its_post_load(struct device *dev)
{
    struct gicv3_its *its = (struct gicv3_its *)dev;
    pthread_mutex_lock(&its->gic->lock);
    its->cbaser &= CBASER_MASK;
    its->cwriter &= QUEUE_OFFSET_MASK;
    its->creadr &= QUEUE_OFFSET_MASK;
    for (unsigned i = 0; i < ITS_TABLES; i++)
        its->baser[i] &= BASER_MASK;
    pthread_mutex_unlock(&its->gic->lock);
}

static void its_destroy(struct device *dev)
{
    free(dev);
}

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_BOOL, gicv3_its, enabled),
    STATE_FIELD(2, STATE_BOOL, gicv3_its, stalled),
    STATE_FIELD(3, STATE_U64, gicv3_its, cbaser),
    STATE_FIELD(4, STATE_U64, gicv3_its, cwriter),
    STATE_FIELD(5, STATE_U64, gicv3_its, creadr),
    STATE_ARRAY(6, STATE_U64, gicv3_its, baser, ITS_TABLES),
};

static const struct device_class its_class =
    DEVICE_CLASS("gicv3-its", 1, fields, its_reset, its_post_load, its_destroy, &its_ops, GICV3_ITS_SIZE);

int gicv3_its_create(const struct gicv3_its_config *config, struct device **ret_dev, struct error *err)
{
    if (!config->gic->mem)
        return error_set(err, -EINVAL, "an ITS needs a GICv3 with LPIs");
    struct gicv3_its *its = calloc(1, sizeof *its);
    if (!its)
        return error_set(err, -ENOMEM, "no memory for an ITS");
    its->gic = config->gic;
    device_init(&its->dev, &its_class, config->path);
    device_reset(&its->dev);
    *ret_dev = &its->dev;
    return 0;
}
