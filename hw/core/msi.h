// SPDX-License-Identifier: MIT
// A message-signalled interrupt on its way from a device to whatever takes it: a write of 32 bits that carries the
// sender's identity beside it, as a bus does (requester ID on PCI, DeviceID for a GICv3 ITS). The board gives each bus
// a port and decides by address where messages go: an ITS, a GICv2m frame, or plain memory. Thread: machine lock held.
#ifndef HW_CORE_MSI_H
#define HW_CORE_MSI_H

#include <stdint.h>

struct msi_port {
    // NULL: messages are lost.
    void (*send)(void *opaque, uint32_t device_id, uint64_t addr, uint32_t data);
    void *opaque;
};

static inline void msi_send(const struct msi_port *port, uint32_t device_id, uint64_t addr, uint32_t data)
{
    if (port->send)
        port->send(port->opaque, device_id, addr, data);
}

#endif
