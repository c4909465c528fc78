// SPDX-License-Identifier: MIT
// Private to gicv3_its*.c: the state of an ITS. Everything is under gicv3.lock.
#ifndef HW_INTC_GICV3_ITS_INTERNAL_H
#define HW_INTC_GICV3_ITS_INTERNAL_H

#include "hw/intc/gicv3_internal.h"
#include "hw/intc/gicv3_its.h"

enum {
    ITS_ID_BITS = 16, // of DeviceIDs, EventIDs and collection numbers
    ITS_ENTRY_SIZE = 8,
    ITS_COMMAND_SIZE = 32,
    ITS_DEVICES = 0, // GITS_BASER0
    ITS_COLLECTIONS, // GITS_BASER1
    ITS_TABLES,
};

struct gicv3_its {
    struct device dev;
    struct gicv3 *gic;
    bool enabled; // GITS_CTLR.Enabled
    bool stalled; // GITS_CREADR.Stalled
    uint64_t cbaser, cwriter, creadr;
    uint64_t baser[ITS_TABLES];
};

// Runs the commands that wait, at most the whole queue once.
void gicv3_its_run(struct gicv3_its *its);
// Makes the LPI of an event pending.
void gicv3_its_event(struct gicv3_its *its, uint32_t device, uint32_t event);

// Bytes of the command queue.
static inline uint64_t gicv3_its_queue_size(const struct gicv3_its *its)
{
    return ((its->cbaser & 0xff) + 1) << 12;
}

#endif
