// SPDX-License-Identifier: MIT
// Owns the interrupters: event rings with their segment tables (xHCI 1.1, 4.9.4), and when they interrupt (4.17). A place
// in an event ring is counted in TRBs from the first segment's first. Moderation (IMOD) is stored and does nothing: a
// virtual interrupt is not worth delaying.
#include "hw/usb/xhci_internal.h"

enum { SEGMENT_MIN = 16, SEGMENT_MAX = 4096 }; // 6.5

struct segment_entry {
    uint64_t base;
    uint32_t size, reserved;
};

// ERSTSZ counts when ERSTBA is written; from then on the ring is the segments that have a size.
static uint32_t ring_size(const struct xhci *x, unsigned v)
{
    uint32_t size = 0;
    for (unsigned s = 0; s < XHCI_SEGMENTS; s++)
        size += x->segments[v * XHCI_SEGMENTS + s].size;
    return size;
}

static uint64_t place_to_addr(const struct xhci *x, unsigned v, uint32_t place)
{
    const struct xhci_segment *s = &x->segments[v * XHCI_SEGMENTS];
    for (; place >= s->size; s++)
        place -= s->size;
    return s->base + (uint64_t)place * XHCI_TRB_SIZE;
}

// False where the address is not in the ring.
static bool addr_to_place(const struct xhci *x, unsigned v, uint64_t addr, uint32_t *ret_place)
{
    uint32_t first = 0;
    for (unsigned n = 0; n < XHCI_SEGMENTS; n++) {
        const struct xhci_segment *s = &x->segments[v * XHCI_SEGMENTS + n];
        if (addr >= s->base && (addr - s->base) / XHCI_TRB_SIZE < s->size) {
            *ret_place = first + (uint32_t)((addr - s->base) / XHCI_TRB_SIZE);
            return true;
        }
        first += s->size;
    }
    return false;
}

// How many events fit; one place always stays free.
static uint32_t room(const struct xhci *x, unsigned v)
{
    const struct xhci_interrupter *i = &x->interrupters[v];
    uint32_t size = ring_size(x, v), dequeue;
    if (!size || !addr_to_place(x, v, i->erdp & ~15ull, &dequeue))
        return 0;
    return (dequeue + size - i->enqueue - 1) % size;
}

static void put(struct xhci *x, unsigned v, const struct xhci_trb *event)
{
    struct xhci_interrupter *i = &x->interrupters[v];
    struct xhci_trb trb = *event;
    trb.control = (trb.control & ~(uint32_t)(TRB_CYCLE | TRB_BEI)) | i->cycle;
    if (!xhci_write_trb(x, place_to_addr(x, v, i->enqueue), &trb))
        return;
    if (++i->enqueue == ring_size(x, v)) {
        i->enqueue = 0;
        i->cycle = !i->cycle;
    }
}

void xhci_update_interrupts(struct xhci *x)
{
    bool enabled = x->usbcmd & USBCMD_INTE, msix = msix_enabled(&x->pci), pin = false;
    for (unsigned v = 0; enabled && v < XHCI_INTERRUPTERS; v++) {
        struct xhci_interrupter *i = &x->interrupters[v];
        if ((i->iman & (IMAN_IP | IMAN_IE)) != (IMAN_IP | IMAN_IE))
            continue;
        pin |= !v; // the pin has the first one only
        if (!msix)
            continue;
        i->iman &= ~(uint32_t)IMAN_IP;
        msix_notify(&x->pci, v);
    }
    pci_set_intx(&x->pci, pin && !msix);
}

static void raise(struct xhci *x, unsigned v)
{
    struct xhci_interrupter *i = &x->interrupters[v];
    if (i->erdp & ERDP_EHB)
        return; // the handler is busy and will see it
    i->erdp |= ERDP_EHB;
    i->iman |= IMAN_IP;
    x->usbsts |= USBSTS_EINT;
    xhci_update_interrupts(x);
}

bool xhci_event_room(struct xhci *x, unsigned v, unsigned count)
{
    struct xhci_interrupter *i = &x->interrupters[v];
    uint32_t size = ring_size(x, v), free = room(x, v);
    if (!size)
        return true; // events to an interrupter without a ring are lost
    // One more is kept to say that the ring is full. A TD may ask for more events than its ring has places.
    if (free > count || free == size - 1)
        return true;
    if (!i->full && free) {
        const struct xhci_trb full = {.status = (uint32_t)CC_EVENT_RING_FULL << 24,
                                      .control = TRB_HOST_CONTROLLER << TRB_TYPE_SHIFT};
        i->full = true;
        put(x, v, &full);
        raise(x, v);
    }
    return false;
}

void xhci_event(struct xhci *x, unsigned v, const struct xhci_trb *event)
{
    if (!room(x, v))
        return;
    put(x, v, event);
    if (!(event->control & TRB_BEI))
        raise(x, v);
}

void xhci_event_ring_reset(struct xhci *x, unsigned v)
{
    struct xhci_interrupter *i = &x->interrupters[v];
    struct xhci_segment *s = &x->segments[v * XHCI_SEGMENTS];
    i->enqueue = 0;
    i->cycle = true;
    i->full = false;
    for (unsigned n = 0; n < XHCI_SEGMENTS; n++)
        s[n] = (struct xhci_segment){0};
    for (unsigned n = 0; n < i->erstsz && n < XHCI_SEGMENTS; n++) {
        struct segment_entry entry;
        if (!xhci_read(x, (i->erstba & ~63ull) + n * sizeof entry, &entry, sizeof entry))
            return;
        entry.size &= 0xffff;
        if (entry.size < SEGMENT_MIN || entry.size > SEGMENT_MAX) {
            x->usbsts |= USBSTS_HSE;
            xhci_run(x, false);
            return;
        }
        s[n] = (struct xhci_segment){entry.base & ~63ull, entry.size};
    }
}

void xhci_write_erdp(struct xhci *x, unsigned v, uint64_t value)
{
    struct xhci_interrupter *i = &x->interrupters[v];
    uint64_t busy = i->erdp & ~value & ERDP_EHB;
    i->erdp = (value & ~(uint64_t)ERDP_EHB) | busy;
    i->full = false;
    uint32_t dequeue;
    if (!busy && addr_to_place(x, v, i->erdp & ~15ull, &dequeue) && dequeue != i->enqueue)
        raise(x, v); // there is more in it
    if (xhci_running(x))
        loop_defer(x->loop, &x->work); // there may be room for what was waiting
}

void xhci_event_restored(struct xhci *x)
{
    for (unsigned v = 0; v < XHCI_INTERRUPTERS; v++) {
        uint32_t size;
        for (unsigned s = 0; s < XHCI_SEGMENTS; s++) {
            struct xhci_segment *segment = &x->segments[v * XHCI_SEGMENTS + s];
            segment->base &= ~63ull;
            if (segment->size > SEGMENT_MAX)
                segment->size = SEGMENT_MAX;
        }
        x->interrupters[v].erstsz &= 0xffff;
        size = ring_size(x, v);
        if (x->interrupters[v].enqueue >= size)
            x->interrupters[v].enqueue = 0;
    }
}
