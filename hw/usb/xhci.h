// SPDX-License-Identifier: MIT
// An xHCI 1.0 USB host controller (Intel, "eXtensible Host Controller Interface") as a PCI function with the identity and
// the register layout of QEMU's qemu-xhci, or the identity of its nec-usb-xhci. Its connectors take devices of hw/usb/usb.h; one that has a USB 2 and a USB 3
// port shows a device at that of its speed. No hubs, streams or isochronous endpoints. Thread: machine lock held.
#ifndef HW_USB_XHCI_H
#define HW_USB_XHCI_H

#include "hw/pci/pci.h"
#include "hw/usb/usb.h"

struct clock;
struct loop;

enum { XHCI_MAX_PORTS = 15, XHCI_VECTORS_AUTO = ~0u };

struct xhci_config {
    const char *path;
    struct mem_space *mem;
    struct clock *clock; // of MFINDEX
    struct loop *loop;
    unsigned ports_2, ports_3; // each up to XHCI_MAX_PORTS, not both 0
    unsigned vectors;          // of MSI-X; 0: INTx only; AUTO: one an interrupter
    bool multifunction;
    bool nec; // with the identity of NEC's uPD720200, as nec-usb-xhci
};

// A function yet to be attached to a bus. 0 or -ENOMEM. Devices that are attached when it is destroyed are detached.
int xhci_create(const struct xhci_config *config, struct pci_device **ret_pdev, struct error *err);
bool xhci_is(const struct device *dev);
// Connectors have the numbers from 1. NULL behind the last.
struct usb_port *xhci_connector(struct pci_device *pdev, unsigned number);

#endif
