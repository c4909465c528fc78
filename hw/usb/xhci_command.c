// SPDX-License-Identifier: MIT
// Owns the command ring (xHCI 1.1, 4.6, 4.9.3): takes command after command, and gives each its completion event. What a
// command does to slots and endpoints is in xhci_context.c.
#include "hw/usb/xhci_internal.h"

#include <string.h>

enum { SLOT_SHIFT = 24, DCI_SHIFT = 16, BANDWIDTH_FREE = 80 }; // percent

// 4.6.15: a byte a port, the first is reserved. Of bandwidth there is always as much as there can be.
static unsigned get_port_bandwidth(struct xhci *x, uint64_t context)
{
    uint8_t free_of[2 * XHCI_MAX_PORTS + 1] = {0};
    memset(free_of + 1, BANDWIDTH_FREE, xhci_port_count(x));
    return xhci_write(x, context & ~15ull, free_of, 1 + xhci_port_count(x)) ? CC_SUCCESS : CC_PARAMETER;
}

static unsigned execute(struct xhci *x, const struct xhci_trb *trb, unsigned *slot)
{
    unsigned type = xhci_trb_type(trb), dci = trb->control >> DCI_SHIFT & 31;
    switch (type) {
    case TRB_ENABLE_SLOT: return xhci_enable_slot(x, slot);
    case TRB_NO_OP_COMMAND: return CC_SUCCESS;
    case TRB_GET_PORT_BANDWIDTH: return get_port_bandwidth(x, trb->parameter);
    default: break;
    }
    if (type < TRB_DISABLE_SLOT || type > TRB_RESET_DEVICE)
        return CC_TRB;
    if (!*slot || *slot > XHCI_SLOTS || !x->slots[*slot - 1].state)
        return CC_SLOT_NOT_ENABLED;
    uint64_t input = trb->parameter & ~15ull;
    switch (type) {
    case TRB_DISABLE_SLOT: return xhci_disable_slot(x, *slot);
    case TRB_ADDRESS_DEVICE: return xhci_address_device(x, *slot, input, trb->control & TRB_BSR);
    case TRB_CONFIGURE_ENDPOINT: return xhci_configure_endpoint(x, *slot, input, trb->control & TRB_DC);
    case TRB_EVALUATE_CONTEXT: return xhci_evaluate_context(x, *slot, input);
    case TRB_RESET_ENDPOINT: return xhci_reset_endpoint(x, *slot, dci);
    case TRB_STOP_ENDPOINT: return xhci_stop_endpoint(x, *slot, dci);
    case TRB_SET_TR_DEQUEUE: return xhci_set_tr_dequeue(x, *slot, dci, trb->parameter);
    default: return xhci_reset_device(x, *slot);
    }
}

void xhci_run_commands(struct xhci *x)
{
    x->command_kicked = false;
    for (unsigned n = 0; xhci_running(x) && x->command_running; n++) {
        // A stopped endpoint has an event of its own.
        if (n == XHCI_COMMANDS || !xhci_event_room(x, 0, 2)) {
            x->command_kicked = true;
            if (n == XHCI_COMMANDS)
                loop_defer(x->loop, &x->work);
            return;
        }
        struct xhci_ring ring = x->command;
        struct xhci_trb trb;
        uint64_t addr;
        int found = xhci_next_trb(x, &ring, &addr, &trb);
        if (found <= 0)
            return;
        x->command = ring;
        unsigned slot = trb.control >> SLOT_SHIFT, code = execute(x, &trb, &slot);
        const struct xhci_trb event = {.parameter = addr,
                                       .status = code << 24,
                                       .control = TRB_COMMAND_COMPLETION << TRB_TYPE_SHIFT | slot << SLOT_SHIFT};
        xhci_event(x, 0, &event);
    }
}
