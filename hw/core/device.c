// SPDX-License-Identifier: MIT
// Owns what is the same for every device model: naming, reset and destruction through the class.
#include "hw/core/device.h"

#include <stdio.h>

void device_init(struct device *dev, const struct device_class *class, const char *path)
{
    dev->class = class;
    snprintf(dev->path, sizeof dev->path, "%s", path ? path : class->type);
}

void device_reset(struct device *dev)
{
    if (dev->class->reset)
        dev->class->reset(dev);
}

void device_destroy(struct device *dev)
{
    if (dev)
        dev->class->destroy(dev);
}
