// SPDX-License-Identifier: MIT
// Owns transfers (xHCI 1.1, 3.2.11, 4.9 to 4.11): gathers the TD at an endpoint's dequeue pointer, has the device carry it
// out, and tells the driver. A TD that is not complete in memory yet, or that the device does not answer yet, stays where
// it is and is looked at again after a doorbell or a wake-up; how much of it was moved is the endpoint's progress. A TD of
// a control endpoint is all its stages.
#include "hw/usb/xhci_internal.h"

#include <string.h>

enum { INTERRUPTER_SHIFT = 22, SETUP_SIZE = 8, EDTLA_MASK = 0xffffff, IMMEDIATE_MAX = 8 };

enum td_found { TD_NONE, TD_READY, TD_BAD };

static uint32_t trb_length(const struct xhci_trb *trb)
{
    return trb->status & TRB_LENGTH_MASK;
}

static bool has_data(const struct xhci_trb *trb)
{
    return xhci_trb_type(trb) == TRB_NORMAL || xhci_trb_type(trb) == TRB_DATA_STAGE;
}

static unsigned interrupter_of(const struct xhci_trb *trb)
{
    unsigned v = trb->status >> INTERRUPTER_SHIFT;
    return v < XHCI_INTERRUPTERS ? v : 0;
}

// --- gathering ---

// Whether a TRB may be there, and by *ret_last whether it ends the TD.
static bool accept(const struct xhci_td *td, bool control, const struct xhci_trb *trb, bool *status_seen, bool *ret_last)
{
    unsigned type = xhci_trb_type(trb);
    bool chain = trb->control & TRB_CHAIN;
    *ret_last = !chain;
    if (type == TRB_NO_OP)
        return td->count == 1;
    if (!control)
        return type == TRB_NORMAL || type == TRB_EVENT_DATA;
    if (td->count == 1) {
        *ret_last = false;
        return type == TRB_SETUP_STAGE && trb->control & TRB_IDT && trb_length(trb) == SETUP_SIZE;
    }
    *status_seen |= type == TRB_STATUS_STAGE;
    *ret_last = *status_seen && !chain;
    return type == TRB_DATA_STAGE || type == TRB_NORMAL || type == TRB_EVENT_DATA || type == TRB_STATUS_STAGE;
}

static enum td_found collect(struct xhci *x, const struct xhci_ring *from, bool control)
{
    struct xhci_td *td = &x->td;
    struct xhci_ring ring = *from;
    bool status_seen = false, last = false;
    td->count = 0;
    while (!last) {
        struct xhci_trb *trb = &td->trbs[td->count];
        int found = td->count == XHCI_TD_MAX ? -1 : xhci_next_trb(x, &ring, &td->addrs[td->count], trb);
        if (found <= 0)
            return found ? TD_BAD : TD_NONE;
        td->count++;
        if (!accept(td, control, trb, &status_seen, &last))
            return TD_BAD;
    }
    td->next = ring;
    return TD_READY;
}

// Where the data is; false where some of it is not in memory.
static bool map_data(struct xhci *x, bool in)
{
    struct xhci_td *td = &x->td;
    td->slices = td->length = 0;
    for (unsigned i = 0; i < td->count; i++) {
        const struct xhci_trb *trb = &td->trbs[i];
        uint32_t len = trb_length(trb);
        if (!has_data(trb) || !len)
            continue;
        void *host;
        if (trb->control & TRB_IDT && !in) {
            host = memcpy(td->immediate[td->slices], &trb->parameter, IMMEDIATE_MAX);
            len = len < IMMEDIATE_MAX ? len : IMMEDIATE_MAX;
        } else {
            host = xhci_map(x, trb->parameter, len);
        }
        if (!host)
            return false;
        td->slice[td->slices] = (struct xhci_slice){{trb->parameter}, len};
        td->iov[td->slices++] = (struct iovec){host, len};
        td->length += len;
    }
    return true;
}

// The device has written bytes from to to of the data.
static void data_written(struct xhci *x, uint32_t from, uint32_t to)
{
    const struct xhci_td *td = &x->td;
    for (unsigned i = 0; i < td->slices && to; i++) {
        uint32_t len = td->slice[i].len, end = to < len ? to : len;
        if (from < end)
            mem_wrote(x->mem, (struct gpa){td->slice[i].addr.v + from}, end - from);
        from = from > len ? from - len : 0;
        to = to > len ? to - len : 0;
    }
}

// --- telling ---

static void tell(struct xhci *x, unsigned slot, unsigned dci, unsigned n, unsigned code, uint32_t length)
{
    const struct xhci_trb *trb = &x->td.trbs[n];
    bool event_data = xhci_trb_type(trb) == TRB_EVENT_DATA;
    const struct xhci_trb event = {.parameter = event_data ? trb->parameter : x->td.addrs[n],
                                   .status = code << 24 | length,
                                   .control = slot << 24 | dci << 16 | TRB_TRANSFER_EVENT << TRB_TYPE_SHIFT |
                                              (event_data ? TRB_EVENT_ED : 0) | (trb->control & TRB_BEI)};
    xhci_event(x, interrupter_of(trb), &event);
}

// The events of a TD of which actual bytes were moved (4.10.1, 4.11.5.2). With an error it ends at the TRB that the device
// stopped at, and that one always has its event.
static void report(struct xhci *x, unsigned slot, unsigned dci, uint32_t actual, unsigned code)
{
    const struct xhci_td *td = &x->td;
    uint32_t left = actual, moved = 0;
    bool failed = code != CC_SUCCESS, is_short = false, told_short = false;
    for (unsigned n = 0; n < td->count; n++) {
        const struct xhci_trb *trb = &td->trbs[n];
        unsigned type = xhci_trb_type(trb);
        uint32_t len = trb_length(trb), residual = 0;
        bool wanted = trb->control & TRB_IOC, here = false;
        if (has_data(trb)) {
            uint32_t chunk = left < len ? left : len;
            left -= chunk;
            moved += chunk;
            residual = len - chunk;
            here = failed && !left && (residual || n + 1 == td->count);
            is_short |= residual && !failed;
            wanted |= is_short && trb->control & TRB_ISP;
            wanted &= !told_short;
        } else if (type == TRB_STATUS_STAGE) {
            is_short = false;
            here = failed;
        }
        if (here) {
            tell(x, slot, dci, n, code, residual);
            return;
        }
        if (wanted)
            tell(x, slot, dci, n, is_short ? CC_SHORT_PACKET : CC_SUCCESS,
                 type == TRB_EVENT_DATA ? moved & EDTLA_MASK : residual);
        if (type == TRB_EVENT_DATA)
            moved = 0;
        else
            told_short |= wanted && is_short;
    }
    if (failed)
        tell(x, slot, dci, td->count - 1, code, 0);
}

static unsigned events_of_td(const struct xhci_td *td)
{
    unsigned count = 1;
    for (unsigned n = 0; n < td->count; n++)
        count += !!(td->trbs[n].control & TRB_IOC);
    return count;
}

void xhci_report_stopped(struct xhci *x, unsigned slot, unsigned dci)
{
    const struct xhci_endpoint *ep = xhci_endpoint(x, slot, dci);
    const struct xhci_td *td = &x->td;
    if (collect(x, &ep->ring, dci == 1) != TD_READY)
        return;
    uint32_t before = ep->progress;
    for (unsigned n = 0; n < td->count; n++) {
        uint32_t len = has_data(&td->trbs[n]) ? trb_length(&td->trbs[n]) : 0;
        if (before < len || n + 1 == td->count) {
            tell(x, slot, dci, n, CC_STOPPED, before < len ? len - before : 0);
            return;
        }
        before -= len;
    }
}

// --- carrying out ---

static const uint8_t completions[] = {
    [USB_OK] = CC_SUCCESS, [USB_STALL] = CC_STALL, [USB_BABBLE] = CC_BABBLE, [USB_NAK] = CC_INVALID};

// Returns the completion; *ret_actual is how much of the data stage was moved.
static unsigned run_control(struct xhci *x, struct usb_device *udev, uint32_t *ret_actual)
{
    struct xhci_td *td = &x->td;
    struct usb_setup setup;
    uint8_t data[USB_CONTROL_MAX];
    memcpy(&setup, &td->trbs[0].parameter, sizeof setup);
    bool in = setup.bmRequestType & USB_DIR_IN;
    if (!map_data(x, in))
        return CC_INVALID;
    struct usb_transfer t = {.iov = td->iov, .iov_count = td->slices, .length = td->length};
    uint32_t length = setup.wLength;
    if (!in && (length > USB_CONTROL_MAX || usb_get(&t, data, length) < length))
        return CC_STALL;
    enum usb_status status = usb_control(udev, &setup, data, &length);
    if (status == USB_OK && in) {
        usb_put(&t, data, length);
        data_written(x, 0, t.actual);
    }
    *ret_actual = status == USB_OK ? t.actual : 0;
    return completions[status];
}

static unsigned run_data(struct xhci *x, struct usb_device *udev, unsigned dci, struct xhci_endpoint *ep,
                         uint32_t *ret_actual)
{
    struct xhci_td *td = &x->td;
    bool in = dci & 1;
    if (!map_data(x, in))
        return CC_INVALID;
    uint32_t before = ep->progress < td->length ? ep->progress : td->length;
    struct usb_transfer t = {.endpoint = (uint8_t)(dci / 2 | (in ? USB_DIR_IN : 0)),
                             .iov = td->iov,
                             .iov_count = td->slices,
                             .length = td->length,
                             .actual = before};
    enum usb_status status = usb_transfer(udev, &t);
    if (in)
        data_written(x, before, t.actual);
    ep->progress = t.actual;
    *ret_actual = t.actual;
    return completions[status];
}

// False where the TD stays, for now or for good.
static bool run_td(struct xhci *x, unsigned slot, unsigned dci)
{
    struct xhci_endpoint *ep = xhci_endpoint(x, slot, dci);
    struct usb_device *udev = xhci_slot_device(x, slot);
    uint32_t actual = ep->progress;
    unsigned code = CC_SUCCESS;
    if (xhci_trb_type(&x->td.trbs[0]) != TRB_NO_OP)
        code = !udev      ? CC_USB_TRANSACTION
               : dci == 1 ? run_control(x, udev, &actual)
                          : run_data(x, udev, dci, ep, &actual);
    if (code == CC_INVALID) // the device has nothing yet, or the controller has halted
        return false;
    report(x, slot, dci, actual, code);
    ep->progress = 0;
    if (code != CC_SUCCESS) { // the dequeue pointer stays at what failed
        xhci_set_endpoint_state(x, slot, dci, EP_HALTED);
        return false;
    }
    ep->ring = x->td.next;
    return true;
}

static void run_endpoint(struct xhci *x, unsigned slot, unsigned dci, unsigned *budget)
{
    struct xhci_endpoint *ep = xhci_endpoint(x, slot, dci);
    const uint32_t bit = 1u << dci;
    x->kicked[slot - 1] &= ~bit;
    while (xhci_running(x) && ep->state == EP_RUNNING) {
        enum td_found found = *budget ? collect(x, &ep->ring, dci == 1) : TD_NONE;
        if (!*budget) {
            x->kicked[slot - 1] |= bit;
            loop_defer(x->loop, &x->work);
        }
        *budget -= x->td.count < *budget ? x->td.count : *budget;
        if (found == TD_NONE || !xhci_running(x))
            return;
        if (found == TD_BAD) {
            if (x->td.count)
                tell(x, slot, dci, x->td.count - 1, CC_TRB, 0);
            xhci_set_endpoint_state(x, slot, dci, EP_ERROR);
            return;
        }
        if (!xhci_event_room(x, interrupter_of(&x->td.trbs[x->td.count - 1]), events_of_td(&x->td))) {
            x->kicked[slot - 1] |= bit;
            return;
        }
        if (!run_td(x, slot, dci))
            return;
    }
}

void xhci_run_transfers(struct xhci *x)
{
    unsigned budget = XHCI_ROUND;
    for (unsigned slot = 1; slot <= XHCI_SLOTS; slot++)
        for (uint32_t left = x->kicked[slot - 1]; left; left &= left - 1)
            run_endpoint(x, slot, (unsigned)__builtin_ctz(left), &budget);
}

void xhci_ring_doorbell(struct xhci *x, unsigned slot, unsigned dci)
{
    unsigned budget = XHCI_ROUND;
    if (!slot || slot > XHCI_SLOTS || !dci || dci > XHCI_ENDPOINTS || !x->slots[slot - 1].state)
        return;
    if (xhci_endpoint(x, slot, dci)->state == EP_STOPPED)
        xhci_set_endpoint_state(x, slot, dci, EP_RUNNING);
    if (xhci_endpoint(x, slot, dci)->state == EP_RUNNING)
        run_endpoint(x, slot, dci, &budget);
}
