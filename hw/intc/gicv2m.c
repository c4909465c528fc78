// SPDX-License-Identifier: MIT
// Owns the registers of a GICv2m frame (SBSA 2.3, appendix E.2). It holds no state: a message is an edge and
// gone.
#include "hw/intc/gicv2m.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

enum {
    MSI_TYPER = 0x008,
    MSI_SETSPI_NS = GICV2M_MSI_SETSPI_NS,
    MSI_IIDR = 0xfcc,
    FIRST_SPI_INTID = 32,
    BASE_SPI_SHIFT = 16,
    SPI_MASK = 0x3ff,
    IIDR = 0x53a << 20, // a product number; no JEP106 implementer
};

struct gicv2m {
    struct device dev;
    unsigned first_spi, spi_count;
    struct irq spis[GICV2M_MAX_SPIS];
    uint32_t messages; // taken since reset, for people
};

static const struct state_field fields[] = {STATE_FIELD(1, STATE_U32, gicv2m, messages)};

void gicv2m_msi(struct device *dev, uint32_t data)
{
    struct gicv2m *m = (struct gicv2m *)dev;
    unsigned spi = (data & SPI_MASK) - FIRST_SPI_INTID - m->first_spi;
    if (spi >= m->spi_count)
        return;
    m->messages++;
    irq_set(&m->spis[spi], true);
    irq_set(&m->spis[spi], false);
}

static enum mem_result mmio_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    const struct gicv2m *m = opaque;
    uint32_t value = 0;
    if ((offset & ~3ull) == MSI_TYPER)
        value = (FIRST_SPI_INTID + m->first_spi) << BASE_SPI_SHIFT | m->spi_count;
    else if ((offset & ~3ull) == MSI_IIDR)
        value = IIDR;
    value >>= (offset & 3) * 8;
    *ret_value = size == 2 ? value & 0xffff : value;
    return MEM_OK;
}

// Whoever writes here need not be a PCI function: the registers take any master's stores.
static enum mem_result mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    if (offset == MSI_SETSPI_NS)
        gicv2m_msi(opaque, (uint32_t)value);
    return MEM_OK;
}

static void reset(struct device *dev)
{
    ((struct gicv2m *)dev)->messages = 0;
}

static void destroy(struct device *dev)
{
    free(dev);
}

static const struct mem_mmio_ops ops = {mmio_read, mmio_write, 2, 4};
static const struct device_class class =
    DEVICE_CLASS("gicv2m", 1, fields, reset, NULL, destroy, &ops, GICV2M_SIZE);

int gicv2m_create(const struct gicv2m_config *config, struct device **ret_dev, struct error *err)
{
    if (!config->spi_count || config->spi_count > GICV2M_MAX_SPIS)
        return error_set(err, -EINVAL, "a GICv2m frame has 1 to %d SPIs, not %u", GICV2M_MAX_SPIS,
                         config->spi_count);
    struct gicv2m *m = calloc(1, sizeof *m);
    if (!m)
        return error_set(err, -ENOMEM, "no memory for a GICv2m frame");
    device_init(&m->dev, &class, config->path);
    m->first_spi = config->first_spi;
    m->spi_count = config->spi_count;
    for (unsigned i = 0; i < config->spi_count; i++)
        m->spis[i] = config->spis[i];
    *ret_dev = &m->dev;
    return 0;
}
