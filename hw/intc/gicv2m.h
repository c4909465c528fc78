// SPDX-License-Identifier: MIT
// A GICv2m frame: a page of registers that turns message-signalled interrupts into edges of SPIs (Arm DEN
// 0029A, Server Base System Architecture 2.3, appendix E). Thread: machine lock held.
#ifndef HW_INTC_GICV2M_H
#define HW_INTC_GICV2M_H

#include "hw/core/device.h"

struct error;

enum { GICV2M_SIZE = 0x1000, GICV2M_MSI_SETSPI_NS = 0x040, GICV2M_MAX_SPIS = 128 };

struct gicv2m_config {
    const char *path;
    unsigned first_spi, spi_count; // spi 0 is INTID 32; at most GICV2M_MAX_SPIS
    const struct irq *spis;        // spi_count inputs of the GIC, copied
};

// 0, -EINVAL or -ENOMEM.
int gicv2m_create(const struct gicv2m_config *config, struct device **ret_dev, struct error *err);
// A message to MSI_SETSPI_NS. Numbers that are not the frame's are ignored.
void gicv2m_msi(struct device *dev, uint32_t data);

#endif
