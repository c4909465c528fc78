// SPDX-License-Identifier: MIT
// Owns the PL061's registers (Arm DDI 0190 chapter 3). Edges of input lines latch in GPIORIS until GPIOIC
// clears them; level interrupts follow the line. Invariant: outputs and the interrupt agree with the
// registers after every call.
#include "hw/gpio/pl061.h"
#include "base/error.h"
#include "hw/core/primecell.h"

#include <errno.h>
#include <stdlib.h>

enum {
    GPIODATA_END = 0x400, // address bits 9:2 mask the data
    GPIODIR = 0x400,
    GPIOIS = 0x404,
    GPIOIBE = 0x408,
    GPIOIEV = 0x40c,
    GPIOIE = 0x410,
    GPIORIS = 0x414,
    GPIOMIS = 0x418,
    GPIOIC = 0x41c,
    GPIOAFSEL = 0x420,
    PART = 0x061,
};

struct pl061 {
    struct device dev;
    struct irq irq, out[PL061_LINES];
    uint8_t in; // levels of the input side, whatever the direction
    uint8_t data, dir, is, ibe, iev, ie, afsel;
    uint8_t edges;  // latched
    uint8_t driven; // levels last given to out; derived
};

static uint8_t pins(const struct pl061 *g)
{
    return (uint8_t)((g->in & ~g->dir) | (g->data & g->dir));
}

static uint8_t raw_interrupts(const struct pl061 *g)
{
    uint8_t level = (uint8_t)(~(pins(g) ^ g->iev) & g->is & ~g->dir);
    return (uint8_t)((g->edges & ~g->is) | level);
}

static void update(struct pl061 *g)
{
    uint8_t drive = g->data & g->dir, changed = drive ^ g->driven;
    g->driven = drive;
    for (unsigned i = 0; i < PL061_LINES; i++)
        if (changed >> i & 1)
            irq_set(&g->out[i], drive >> i & 1);
    irq_set(&g->irq, raw_interrupts(g) & g->ie);
}

static void set_input(void *opaque, unsigned line, bool level)
{
    struct pl061 *g = opaque;
    uint8_t bit = (uint8_t)(1u << line);
    if (!!(g->in & bit) == level)
        return;
    g->in ^= bit;
    if (!(g->dir & bit) && (g->ibe & bit || !!(g->iev & bit) == level))
        g->edges |= bit & (uint8_t)~g->is;
    update(g);
}

struct irq pl061_input(struct device *dev, unsigned line)
{
    return line < PL061_LINES ? (struct irq){set_input, dev, line} : (struct irq){0};
}

static enum mem_result pl061_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    const struct pl061 *g = opaque;
    uint32_t value = 0;
    uint64_t reg = offset & ~3ull;
    if (reg < GPIODATA_END)
        value = pins(g) & (reg >> 2);
    else
        switch (reg) {
        case GPIODIR: value = g->dir; break;
        case GPIOIS: value = g->is; break;
        case GPIOIBE: value = g->ibe; break;
        case GPIOIEV: value = g->iev; break;
        case GPIOIE: value = g->ie; break;
        case GPIORIS: value = raw_interrupts(g); break;
        case GPIOMIS: value = raw_interrupts(g) & g->ie; break;
        case GPIOAFSEL: value = g->afsel; break;
        default: value = offset >= PRIMECELL_ID ? primecell_id(offset, PART, 0) : 0; break;
        }
    *ret_value = primecell_part(value, offset, size);
    return MEM_OK;
}

static enum mem_result pl061_write(void *opaque, uint64_t offset, unsigned size, uint64_t value64)
{
    struct pl061 *g = opaque;
    uint8_t value = (uint8_t)value64, mask = (uint8_t)(offset >> 2);
    if (offset & 3)
        return MEM_OK;
    if (offset < GPIODATA_END && (mask &= g->dir)) // a line takes data only while it is an output
        g->data = (uint8_t)((g->data & ~mask) | (value & mask));
    else if (offset >= GPIODATA_END)
        switch (offset) {
        case GPIODIR: g->dir = value; break;
        case GPIOIS: g->is = value; break;
        case GPIOIBE: g->ibe = value; break;
        case GPIOIEV: g->iev = value; break;
        case GPIOIE: g->ie = value; break;
        case GPIOIC: g->edges &= (uint8_t)~value; break;
        case GPIOAFSEL: g->afsel = value; break;
        default: return MEM_OK;
        }
    update(g);
    return MEM_OK;
}

static const struct mem_mmio_ops mmio = {pl061_read, pl061_write, 1, 4};

static void pl061_reset(struct device *dev)
{
    struct pl061 *g = (struct pl061 *)dev;
    g->data = g->dir = g->is = g->ibe = g->iev = g->ie = g->afsel = g->edges =
        0; // in belongs to who drives it
    update(g);
}

static void pl061_post_load(struct device *dev)
{
    struct pl061 *g = (struct pl061 *)dev;
    g->driven = (uint8_t) ~(g->data & g->dir); // drive every line again
    update(g);
}

static void pl061_destroy(struct device *dev)
{
    free(dev);
}

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_U8, pl061, in),    STATE_FIELD(2, STATE_U8, pl061, data),
    STATE_FIELD(3, STATE_U8, pl061, dir),   STATE_FIELD(4, STATE_U8, pl061, is),
    STATE_FIELD(5, STATE_U8, pl061, ibe),   STATE_FIELD(6, STATE_U8, pl061, iev),
    STATE_FIELD(7, STATE_U8, pl061, ie),    STATE_FIELD(8, STATE_U8, pl061, afsel),
    STATE_FIELD(9, STATE_U8, pl061, edges),
};

static const struct device_class class =
    DEVICE_CLASS("pl061", 1, fields, pl061_reset, pl061_post_load, pl061_destroy, &mmio, PRIMECELL_SIZE);

int pl061_create(const struct pl061_config *config, struct device **ret_dev, struct error *err)
{
    struct pl061 *g = calloc(1, sizeof *g);
    if (!g)
        return error_set(err, -ENOMEM, "no memory for a PL061");
    device_init(&g->dev, &class, config->path);
    g->irq = config->irq;
    for (unsigned i = 0; i < PL061_LINES; i++)
        g->out[i] = config->out[i];
    device_reset(&g->dev);
    *ret_dev = &g->dev;
    return 0;
}
