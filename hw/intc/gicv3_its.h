// SPDX-License-Identifier: MIT
// The interrupt translation service of a GICv3 (IHI 0069 5.2, 5.3, 12.18, 12.19): turns {DeviceID, EventID} of a message
// into an LPI at a redistributor, by tables in guest memory that software fills with commands. 16 bits of DeviceID,
// EventID and collection number; redistributors are named by processor number (GITS_TYPER.PTA is 0).
//
// Two frames of 64 KiB: control registers, then the one register that messages are written to.
//
// Thread: any, without the machine lock; the ITS works under its GIC's mutex (map it MEM_UNLOCKED).
#ifndef HW_INTC_GICV3_ITS_H
#define HW_INTC_GICV3_ITS_H

#include "hw/core/device.h"

struct error;
struct gicv3;

enum {
    GICV3_ITS_SIZE = 0x20000,
    GICV3_ITS_TRANSLATER = 0x10040, // offset of GITS_TRANSLATER: where a device sends its EventID
};

struct gicv3_its_config {
    const char *path;  // instance path
    struct gicv3 *gic; // has LPIs (gicv3_config.mem); borrowed, outlives the ITS
};

// 0, -EINVAL or -ENOMEM. The class has the registers of both frames. A write to GITS_TRANSLATER that comes through them
// is one of DeviceID 0: bus masters say who they are by gicv3_its_msi.
int gicv3_its_create(const struct gicv3_its_config *config, struct device **ret_dev, struct error *err);

// A message of a device: makes the LPI pending that {device_id, event_id} is mapped to. What is not mapped is ignored,
// as is everything while the guest has not enabled the ITS.
void gicv3_its_msi(struct device *its, uint32_t device_id, uint32_t event_id);

#endif
