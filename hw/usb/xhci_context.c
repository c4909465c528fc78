// SPDX-License-Identifier: MIT
// Owns slots and endpoints: what commands do to them (xHCI 1.1, 4.6) and what is written into the driver's device contexts
// about it (6.2). A context in memory is read when a command names it; from then on ours counts.
#include "hw/usb/xhci_internal.h"

#include <string.h>

// 6.2.2, 6.2.3; contexts are arrays of 32-bit words.
enum {
    CONTEXT_WORDS = XHCI_CONTEXT_SIZE / 4,
    SLOT_ROUTE_MASK = 0xfffff, // word 0
    SLOT_ENTRIES_SHIFT = 27,
    SLOT_LATENCY_MASK = 0xffff, // word 1
    SLOT_PORT_SHIFT = 16,
    SLOT_INTERRUPTER_SHIFT = 22, // word 2
    SLOT_ADDRESS_MASK = 0xff,    // word 3
    SLOT_STATE_SHIFT = 27,
    EP_STATE_MASK = 7,                 // word 0
    EP_TYPE_SHIFT = 3,                 // word 1
    EP_MAX_PACKET_MASK = 0xffff << 16, // word 1
    EP_STREAMS_MASK = 0x1f << 10,      // word 0
    EP_TYPE_CONTROL = 4,
    EP_TYPE_ISOCH_OUT = 1,
    EP_TYPE_ISOCH_IN = 5,
    ADD_SLOT = 1 << 0,
    ADD_EP0 = 1 << 1,
};

struct input_control {
    uint32_t drop, add;
};

static bool read_context(struct xhci *x, uint64_t addr, uint32_t words[CONTEXT_WORDS])
{
    return xhci_read(x, addr, words, XHCI_CONTEXT_SIZE);
}

static bool write_context(struct xhci *x, uint64_t addr, const uint32_t words[CONTEXT_WORDS])
{
    return xhci_write(x, addr, words, XHCI_CONTEXT_SIZE);
}

// Of a device context; in an input context, whose first is the control context, everything is one further on.
static uint64_t context_at(uint64_t base, unsigned dci)
{
    return base + (uint64_t)dci * XHCI_CONTEXT_SIZE;
}

static bool read_control(struct xhci *x, uint64_t input, struct input_control *ret)
{
    return xhci_read(x, input, ret, sizeof *ret);
}

struct usb_device *xhci_slot_device(struct xhci *x, unsigned slot)
{
    const struct xhci_slot *s = &x->slots[slot - 1];
    if (s->state == SLOT_DISABLED || s->state == SLOT_ENABLED)
        return NULL;
    struct usb_device *udev = xhci_port_device(x, s->port);
    // Another that was plugged in since has no address yet.
    return udev && udev->address == (s->state == SLOT_DEFAULT ? 0 : slot) ? udev : NULL;
}

// --- what the driver sees ---

static void write_slot_state(struct xhci *x, unsigned slot, unsigned address)
{
    static const uint8_t codes[] = {[SLOT_DEFAULT] = 1, [SLOT_ADDRESSED] = 2, [SLOT_CONFIGURED] = 3, [SLOT_ENABLED] = 0};
    const struct xhci_slot *s = &x->slots[slot - 1];
    uint32_t word = (uint32_t)codes[s->state] << SLOT_STATE_SHIFT | address;
    xhci_write(x, s->context + 12, &word, sizeof word);
}

void xhci_set_endpoint_state(struct xhci *x, unsigned slot, unsigned dci, unsigned state)
{
    struct xhci_endpoint *ep = xhci_endpoint(x, slot, dci);
    uint64_t at = context_at(x->slots[slot - 1].context, dci), dequeue = ep->ring.dequeue | ep->ring.cycle;
    uint32_t word;
    ep->state = (uint8_t)state;
    if (!xhci_read(x, at, &word, sizeof word))
        return;
    word = (word & ~(uint32_t)EP_STATE_MASK) | state;
    if (xhci_write(x, at, &word, sizeof word))
        xhci_write(x, at + 8, &dequeue, sizeof dequeue);
}

// Takes an endpoint from the driver's context and writes it back as running.
static unsigned enable_endpoint(struct xhci *x, unsigned slot, unsigned dci, uint64_t input)
{
    uint32_t c[CONTEXT_WORDS];
    if (!read_context(x, context_at(input, dci + 1), c))
        return CC_TRB;
    unsigned type = c[1] >> EP_TYPE_SHIFT & 7;
    // An odd index is an IN endpoint or the control one; so are the types above 3.
    bool fits = dci == 1 ? type == EP_TYPE_CONTROL : type & 3 && !!(type & 4) == (dci & 1);
    if (!fits || type == EP_TYPE_ISOCH_OUT || type == EP_TYPE_ISOCH_IN || c[0] & EP_STREAMS_MASK)
        return CC_PARAMETER;
    uint64_t dequeue = (uint64_t)c[3] << 32 | c[2];
    *xhci_endpoint(x, slot, dci) = (struct xhci_endpoint){
        .state = EP_RUNNING, .type = (uint8_t)type, .ring = {dequeue & ~15ull, dequeue & 1}};
    c[0] = (c[0] & ~(uint32_t)EP_STATE_MASK) | EP_RUNNING;
    return write_context(x, context_at(x->slots[slot - 1].context, dci), c) ? CC_SUCCESS : CC_TRB;
}

static void disable_endpoint(struct xhci *x, unsigned slot, unsigned dci)
{
    if (xhci_endpoint(x, slot, dci)->state != EP_DISABLED)
        xhci_set_endpoint_state(x, slot, dci, EP_DISABLED);
    *xhci_endpoint(x, slot, dci) = (struct xhci_endpoint){0};
    x->kicked[slot - 1] &= ~(1u << dci);
}

static void forget_endpoints(struct xhci *x, unsigned slot)
{
    memset(xhci_endpoint(x, slot, 1), 0, XHCI_ENDPOINTS * sizeof(struct xhci_endpoint));
    x->kicked[slot - 1] = 0;
}

// --- slots ---

unsigned xhci_enable_slot(struct xhci *x, unsigned *ret_slot)
{
    *ret_slot = 0;
    for (unsigned i = 0; i < XHCI_SLOTS && i < x->config; i++)
        if (!x->slots[i].state) {
            x->slots[i] = (struct xhci_slot){.state = SLOT_ENABLED};
            *ret_slot = i + 1;
            return CC_SUCCESS;
        }
    return CC_NO_SLOTS;
}

unsigned xhci_disable_slot(struct xhci *x, unsigned slot)
{
    struct xhci_slot *s = &x->slots[slot - 1];
    if (s->state != SLOT_ENABLED) {
        s->state = SLOT_ENABLED; // which the driver reads as disabled
        write_slot_state(x, slot, 0);
    }
    forget_endpoints(x, slot);
    *s = (struct xhci_slot){0};
    return CC_SUCCESS;
}

static unsigned take_slot(struct xhci *x, unsigned slot, uint64_t input, const uint32_t *c, bool block_set_address)
{
    struct xhci_slot *s = &x->slots[slot - 1];
    unsigned port = c[1] >> SLOT_PORT_SHIFT & 0xff;
    struct usb_device *udev = xhci_port_device(x, port);
    if (c[0] & SLOT_ROUTE_MASK || !port || port > xhci_port_count(x))
        return CC_TRB; // there are no hubs
    for (unsigned i = 0; i < XHCI_SLOTS; i++)
        if (i != slot - 1 && x->slots[i].state && x->slots[i].state != SLOT_ENABLED && x->slots[i].port == port)
            return CC_TRB;
    uint64_t context;
    if (!udev)
        return CC_USB_TRANSACTION;
    if (!xhci_read(x, x->dcbaap + 8 * slot, &context, sizeof context))
        return CC_TRB;
    forget_endpoints(x, slot);
    *s = (struct xhci_slot){.state = SLOT_DEFAULT, .port = (uint8_t)port, .context = context & ~63ull};
    unsigned code = write_context(x, s->context, c) ? enable_endpoint(x, slot, 1, input) : CC_TRB;
    if (code == CC_SUCCESS && !block_set_address) {
        udev->address = (uint8_t)slot;
        s->state = SLOT_ADDRESSED;
    }
    if (code == CC_SUCCESS)
        write_slot_state(x, slot, block_set_address ? 0 : slot);
    else
        *s = (struct xhci_slot){.state = SLOT_ENABLED};
    return code;
}

// 4.6.5
unsigned xhci_address_device(struct xhci *x, unsigned slot, uint64_t input, bool block_set_address)
{
    struct xhci_slot *s = &x->slots[slot - 1];
    struct input_control control;
    uint32_t c[CONTEXT_WORDS];
    if (!read_control(x, input, &control) || !read_context(x, context_at(input, 1), c))
        return CC_TRB;
    if (control.drop || (control.add & 3) != (ADD_SLOT | ADD_EP0))
        return CC_TRB;
    if (s->state != SLOT_ENABLED && (block_set_address || s->state != SLOT_DEFAULT))
        return CC_CONTEXT_STATE;
    return take_slot(x, slot, input, c, block_set_address);
}

unsigned xhci_reset_device(struct xhci *x, unsigned slot)
{
    struct xhci_slot *s = &x->slots[slot - 1];
    if (s->state == SLOT_DEFAULT || s->state == SLOT_ENABLED)
        return CC_CONTEXT_STATE;
    struct usb_device *udev = xhci_slot_device(x, slot);
    if (udev)
        udev->address = 0;
    for (unsigned dci = 2; dci <= XHCI_ENDPOINTS; dci++)
        disable_endpoint(x, slot, dci);
    s->state = SLOT_DEFAULT;
    write_slot_state(x, slot, 0);
    return CC_SUCCESS;
}

// --- endpoints ---

static unsigned take_endpoints(struct xhci *x, unsigned slot, uint64_t input, const struct input_control *control)
{
    for (unsigned dci = 2; dci <= XHCI_ENDPOINTS; dci++) {
        if ((control->drop | control->add) & 1u << dci)
            disable_endpoint(x, slot, dci);
        unsigned code = control->add & 1u << dci ? enable_endpoint(x, slot, dci, input) : CC_SUCCESS;
        if (code != CC_SUCCESS)
            return code;
    }
    return CC_SUCCESS;
}

static bool any_endpoint(struct xhci *x, unsigned slot)
{
    for (unsigned dci = 2; dci <= XHCI_ENDPOINTS; dci++)
        if (xhci_endpoint(x, slot, dci)->state != EP_DISABLED)
            return true;
    return false;
}

static void update_entries(struct xhci *x, unsigned slot)
{
    unsigned last = XHCI_ENDPOINTS;
    uint32_t word;
    while (last > 1 && xhci_endpoint(x, slot, last)->state == EP_DISABLED)
        last--;
    if (!xhci_read(x, x->slots[slot - 1].context, &word, sizeof word))
        return;
    word = (word & ((1u << SLOT_ENTRIES_SHIFT) - 1)) | last << SLOT_ENTRIES_SHIFT;
    xhci_write(x, x->slots[slot - 1].context, &word, sizeof word);
}

// 4.6.6
unsigned xhci_configure_endpoint(struct xhci *x, unsigned slot, uint64_t input, bool deconfigure)
{
    struct xhci_slot *s = &x->slots[slot - 1];
    struct input_control control = {.drop = ~3u};
    if (s->state != SLOT_ADDRESSED && s->state != SLOT_CONFIGURED)
        return CC_CONTEXT_STATE;
    if (!deconfigure && !read_control(x, input, &control))
        return CC_TRB;
    if (control.drop & 3 || (!deconfigure && (control.add & 3) != ADD_SLOT))
        return CC_TRB;
    unsigned code = take_endpoints(x, slot, input, &control);
    s->state = any_endpoint(x, slot) ? SLOT_CONFIGURED : SLOT_ADDRESSED;
    update_entries(x, slot);
    write_slot_state(x, slot, slot);
    return code;
}

// 4.6.7: of the slot the exit latency and the interrupter, of endpoint 0 the packet size.
unsigned xhci_evaluate_context(struct xhci *x, unsigned slot, uint64_t input)
{
    const struct xhci_slot *s = &x->slots[slot - 1];
    struct input_control control;
    uint32_t in[CONTEXT_WORDS], out[CONTEXT_WORDS];
    if (s->state == SLOT_ENABLED)
        return CC_CONTEXT_STATE;
    if (!read_control(x, input, &control) || control.drop || control.add & ~(uint32_t)(ADD_SLOT | ADD_EP0))
        return CC_TRB;
    if (control.add & ADD_SLOT) {
        if (!read_context(x, context_at(input, 1), in) || !read_context(x, s->context, out))
            return CC_TRB;
        const uint32_t interrupter = ~0u << SLOT_INTERRUPTER_SHIFT;
        out[1] = (out[1] & ~(uint32_t)SLOT_LATENCY_MASK) | (in[1] & SLOT_LATENCY_MASK);
        out[2] = (out[2] & ~interrupter) | (in[2] & interrupter);
        if (!write_context(x, s->context, out))
            return CC_TRB;
    }
    if (control.add & ADD_EP0) {
        if (!read_context(x, context_at(input, 2), in) || !read_context(x, context_at(s->context, 1), out))
            return CC_TRB;
        out[1] = (out[1] & ~(uint32_t)EP_MAX_PACKET_MASK) | (in[1] & (uint32_t)EP_MAX_PACKET_MASK);
        if (!write_context(x, context_at(s->context, 1), out))
            return CC_TRB;
    }
    return CC_SUCCESS;
}

static unsigned check_endpoint(struct xhci *x, unsigned slot, unsigned dci)
{
    if (!dci)
        return CC_TRB;
    return xhci_endpoint(x, slot, dci)->state == EP_DISABLED ? CC_ENDPOINT_NOT_ENABLED : CC_SUCCESS;
}

unsigned xhci_reset_endpoint(struct xhci *x, unsigned slot, unsigned dci)
{
    unsigned code = check_endpoint(x, slot, dci);
    if (code != CC_SUCCESS)
        return code;
    if (xhci_endpoint(x, slot, dci)->state != EP_HALTED)
        return CC_CONTEXT_STATE;
    xhci_set_endpoint_state(x, slot, dci, EP_STOPPED);
    return CC_SUCCESS;
}

unsigned xhci_stop_endpoint(struct xhci *x, unsigned slot, unsigned dci)
{
    unsigned code = check_endpoint(x, slot, dci);
    if (code != CC_SUCCESS)
        return code;
    if (xhci_endpoint(x, slot, dci)->state != EP_RUNNING)
        return CC_CONTEXT_STATE;
    xhci_report_stopped(x, slot, dci);
    xhci_set_endpoint_state(x, slot, dci, EP_STOPPED);
    x->kicked[slot - 1] &= ~(1u << dci);
    return CC_SUCCESS;
}

unsigned xhci_set_tr_dequeue(struct xhci *x, unsigned slot, unsigned dci, uint64_t dequeue)
{
    unsigned code = check_endpoint(x, slot, dci);
    if (code != CC_SUCCESS)
        return code;
    struct xhci_endpoint *ep = xhci_endpoint(x, slot, dci);
    if (ep->state != EP_STOPPED && ep->state != EP_ERROR)
        return CC_CONTEXT_STATE;
    ep->ring = (struct xhci_ring){dequeue & ~15ull, dequeue & 1};
    ep->progress = 0;
    xhci_set_endpoint_state(x, slot, dci, EP_STOPPED);
    return CC_SUCCESS;
}
