// SPDX-License-Identifier: MIT
// Owns the virt board's watchdog, which is there when -device sbsa_gwdt asks for it, and what comes of its expiry.
#include "hw/misc/sbsa_gwdt.h"
#include "machines/virt_internal.h"

#include <errno.h>

static void expired(void *opaque, unsigned line, bool level)
{
    if (level)
        machine_watchdog_expired(opaque);
}

int virt_plug_watchdog(struct machine *m, struct error *err)
{
    const struct virt_device *row = &virt_map[VIRT_WATCHDOG];
    if (virt_of(m)->present[VIRT_WATCHDOG])
        return error_set(err, -EEXIST, "this machine has room for one watchdog");
    struct sbsa_gwdt_config config = {.path = "/virt/watchdog",
                                      .ws0 = virt_of(m)->spi[row->spi],
                                      .ws1 = {.set = expired, .opaque = m},
                                      .clock = &m->clock,
                                      .loop = m->loop};
    struct device *dev;
    int r = sbsa_gwdt_create(&config, &dev, err);
    return r ? r : virt_map_device(m, row, 0, dev, err);
}
