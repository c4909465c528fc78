// SPDX-License-Identifier: MIT
// Owns the controller as a whole: its making as a PCI function, reset, its state, and its way to guest memory. Work that
// a doorbell leaves over, and all that a device wakes up, is done by a deferred call, so that no device is called from
// within itself and no guest keeps the machine lock.
#include "hw/usb/xhci.h"
#include "base/error.h"
#include "hw/usb/xhci_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    REDHAT = 0x1b36,
    XHCI = 0x000d,
    REDHAT_QUMRANET = 0x1af4,
    SUBSYSTEM = 0x1100,
    NEC = 0x1033,
    UPD720200 = 0x0194,
    NEC_REVISION = 3,
    CLASS_XHCI = 0x0c0330,
    REVISION = 1,
    SBRN = 0x60, // 5.2.3: serial bus release number
    USB_3_0 = 0x30,

    MICROFRAME_NS = 125000,
    MFINDEX_BITS = 14,
};

static const struct state_field fields[] = {
    PCI_STATE(xhci, pci),
    STATE_FIELD(16, STATE_U32, xhci, usbcmd),
    STATE_FIELD(17, STATE_U32, xhci, usbsts),
    STATE_FIELD(18, STATE_U32, xhci, dnctrl),
    STATE_FIELD(19, STATE_U32, xhci, config),
    STATE_FIELD(20, STATE_U64, xhci, dcbaap),
    STATE_FIELD(21, STATE_U64, xhci, command.dequeue),
    STATE_FIELD(22, STATE_BOOL, xhci, command.cycle),
    STATE_FIELD(23, STATE_BOOL, xhci, command_running),
    STATE_FIELD(24, STATE_TIME, xhci, started),
    STATE_EACH(25, STATE_U32, xhci, ports, portsc, 2 * XHCI_MAX_PORTS),
    STATE_EACH(26, STATE_BOOL, xhci, ports, notify, 2 * XHCI_MAX_PORTS),
    STATE_EACH(27, STATE_U8, xhci, slots, state, XHCI_SLOTS),
    STATE_EACH(28, STATE_U8, xhci, slots, port, XHCI_SLOTS),
    STATE_EACH(29, STATE_U64, xhci, slots, context, XHCI_SLOTS),
    STATE_EACH(30, STATE_U8, xhci, endpoints, state, XHCI_SLOTS *XHCI_ENDPOINTS),
    STATE_EACH(31, STATE_U8, xhci, endpoints, type, XHCI_SLOTS *XHCI_ENDPOINTS),
    STATE_EACH(32, STATE_U64, xhci, endpoints, ring.dequeue, XHCI_SLOTS *XHCI_ENDPOINTS),
    STATE_EACH(33, STATE_BOOL, xhci, endpoints, ring.cycle, XHCI_SLOTS *XHCI_ENDPOINTS),
    STATE_EACH(34, STATE_U32, xhci, endpoints, progress, XHCI_SLOTS *XHCI_ENDPOINTS),
    STATE_EACH(35, STATE_U32, xhci, interrupters, iman, XHCI_INTERRUPTERS),
    STATE_EACH(36, STATE_U32, xhci, interrupters, imod, XHCI_INTERRUPTERS),
    STATE_EACH(37, STATE_U32, xhci, interrupters, erstsz, XHCI_INTERRUPTERS),
    STATE_EACH(38, STATE_U64, xhci, interrupters, erstba, XHCI_INTERRUPTERS),
    STATE_EACH(39, STATE_U64, xhci, interrupters, erdp, XHCI_INTERRUPTERS),
    STATE_EACH(40, STATE_U32, xhci, interrupters, enqueue, XHCI_INTERRUPTERS),
    STATE_EACH(41, STATE_BOOL, xhci, interrupters, cycle, XHCI_INTERRUPTERS),
    STATE_EACH(42, STATE_BOOL, xhci, interrupters, full, XHCI_INTERRUPTERS),
    STATE_EACH(43, STATE_U64, xhci, segments, base, XHCI_INTERRUPTERS *XHCI_SEGMENTS),
    STATE_EACH(44, STATE_U32, xhci, segments, size, XHCI_INTERRUPTERS *XHCI_SEGMENTS),
};

// --- guest memory ---

void *xhci_map(struct xhci *x, uint64_t addr, uint32_t len)
{
    bool master = pci_get16(x->pci.config, PCI_COMMAND) & PCI_COMMAND_MASTER;
    void *host = master ? mem_host(x->mem, (struct gpa){addr}, len) : NULL;
    if (!host) {
        x->usbsts |= USBSTS_HSE;
        xhci_run(x, false);
    }
    return host;
}

bool xhci_read(struct xhci *x, uint64_t addr, void *buf, uint32_t len)
{
    const void *host = xhci_map(x, addr, len);
    if (host)
        memcpy(buf, host, len);
    return host;
}

bool xhci_write(struct xhci *x, uint64_t addr, const void *buf, uint32_t len)
{
    void *host = xhci_map(x, addr, len);
    if (!host)
        return false;
    memcpy(host, buf, len);
    mem_wrote(x->mem, (struct gpa){addr}, len);
    return true;
}

// The control word, which holds the cycle bit, is the producer's last and the consumer's first.
bool xhci_read_trb(struct xhci *x, uint64_t addr, struct xhci_trb *ret_trb)
{
    const uint8_t *host = xhci_map(x, addr, XHCI_TRB_SIZE);
    if (!host)
        return false;
    const uint32_t *control = (const uint32_t *)(host + offsetof(struct xhci_trb, control));
    ret_trb->control = __atomic_load_n(control, __ATOMIC_ACQUIRE);
    memcpy(ret_trb, host, offsetof(struct xhci_trb, control));
    return true;
}

bool xhci_write_trb(struct xhci *x, uint64_t addr, const struct xhci_trb *trb)
{
    uint8_t *host = xhci_map(x, addr, XHCI_TRB_SIZE);
    if (!host)
        return false;
    memcpy(host, trb, offsetof(struct xhci_trb, control));
    __atomic_store_n((uint32_t *)(host + offsetof(struct xhci_trb, control)), trb->control, __ATOMIC_RELEASE);
    mem_wrote(x->mem, (struct gpa){addr}, XHCI_TRB_SIZE);
    return true;
}

int xhci_next_trb(struct xhci *x, struct xhci_ring *ring, uint64_t *ret_addr, struct xhci_trb *ret_trb)
{
    struct xhci_trb trb;
    for (unsigned links = 0; links <= XHCI_MAX_LINKS; links++) {
        if (!xhci_read_trb(x, ring->dequeue, &trb))
            return -1;
        if ((trb.control & TRB_CYCLE) != ring->cycle)
            return 0;
        if (xhci_trb_type(&trb) != TRB_LINK) {
            *ret_addr = ring->dequeue;
            *ret_trb = trb;
            ring->dequeue += XHCI_TRB_SIZE;
            return 1;
        }
        ring->dequeue = trb.parameter & ~15ull;
        ring->cycle ^= !!(trb.control & TRB_TOGGLE_CYCLE);
    }
    return -1;
}

// --- time ---

uint32_t xhci_mfindex(const struct xhci *x)
{
    int64_t since = clock_now(x->clock) - x->started;
    return xhci_running(x) && since > 0 ? (uint32_t)(since / MICROFRAME_NS) & ((1 << MFINDEX_BITS) - 1) : 0;
}

void xhci_arm_wrap(struct xhci *x)
{
    const int64_t period = (int64_t)MICROFRAME_NS << MFINDEX_BITS;
    int64_t now = clock_now(x->clock), deadline = CLOCK_NEVER;
    if (xhci_running(x) && x->usbcmd & USBCMD_EWE && x->started <= now)
        deadline = now + period - (now - x->started) % period;
    loop_timer_arm(&x->wrap, deadline);
}

static void wrapped(void *opaque)
{
    struct xhci *x = opaque;
    const struct xhci_trb event = {.status = (uint32_t)CC_SUCCESS << 24, .control = TRB_MFINDEX_WRAP << TRB_TYPE_SHIFT};
    if (xhci_event_room(x, 0, 1))
        xhci_event(x, 0, &event);
    xhci_arm_wrap(x);
}

// --- life ---

static void work(void *opaque)
{
    struct xhci *x = opaque;
    if (!xhci_running(x))
        return;
    xhci_port_notify(x);
    if (x->command_kicked)
        xhci_run_commands(x);
    xhci_run_transfers(x);
}

void xhci_kick_all(struct xhci *x)
{
    for (unsigned i = 0; i < XHCI_SLOTS * XHCI_ENDPOINTS; i++)
        if (x->endpoints[i].state == EP_RUNNING)
            x->kicked[i / XHCI_ENDPOINTS] |= 1u << (i % XHCI_ENDPOINTS + 1);
    x->command_kicked = x->command_running;
    loop_defer(x->loop, &x->work);
}

void xhci_run(struct xhci *x, bool run)
{
    if (run == xhci_running(x))
        return;
    if (run) {
        x->usbsts &= ~(uint32_t)USBSTS_HCH;
        x->started = clock_now(x->clock);
        xhci_kick_all(x);
    } else {
        x->usbcmd &= ~(uint32_t)USBCMD_RS;
        x->usbsts |= USBSTS_HCH;
        x->command_running = false;
    }
    xhci_arm_wrap(x);
}

void xhci_controller_reset(struct xhci *x)
{
    x->usbcmd = x->dnctrl = x->config = 0;
    x->usbsts = USBSTS_HCH;
    x->dcbaap = 0;
    x->command = (struct xhci_ring){0};
    x->command_running = x->command_kicked = false;
    x->started = 0;
    memset(x->slots, 0, sizeof x->slots);
    memset(x->endpoints, 0, sizeof x->endpoints);
    memset(x->interrupters, 0, sizeof x->interrupters);
    memset(x->segments, 0, sizeof x->segments);
    memset(x->kicked, 0, sizeof x->kicked);
    xhci_port_reset_all(x);
    xhci_arm_wrap(x);
    xhci_update_interrupts(x);
}

static void reset(struct device *dev)
{
    struct xhci *x = (struct xhci *)dev;
    pci_reset(&x->pci);
    xhci_controller_reset(x);
}

// A saved state may hold anything.
static void post_load(struct device *dev)
{
    struct xhci *x = (struct xhci *)dev;
    for (unsigned i = 0; i < XHCI_SLOTS; i++) {
        struct xhci_slot *slot = &x->slots[i];
        if (slot->state > SLOT_ENABLED || !slot->port || slot->port > xhci_port_count(x))
            slot->state = slot->state == SLOT_ENABLED ? SLOT_ENABLED : SLOT_DISABLED;
        slot->context &= ~63ull;
    }
    for (unsigned i = 0; i < XHCI_SLOTS * XHCI_ENDPOINTS; i++) {
        struct xhci_endpoint *ep = &x->endpoints[i];
        bool usable = x->slots[i / XHCI_ENDPOINTS].state && x->slots[i / XHCI_ENDPOINTS].state != SLOT_ENABLED;
        if (ep->state > EP_ERROR || !usable)
            ep->state = EP_DISABLED;
        ep->type &= 7;
        ep->ring.dequeue &= ~15ull;
    }
    x->command.dequeue &= ~15ull;
    if (x->started < 0)
        x->started = 0;
    memset(x->kicked, 0, sizeof x->kicked);
    xhci_event_restored(x);
    xhci_port_restored(x);
    pci_restored(&x->pci);
    xhci_arm_wrap(x);
    xhci_kick_all(x);
}

static void destroy(struct device *dev)
{
    struct xhci *x = (struct xhci *)dev;
    for (unsigned i = 0; i < XHCI_MAX_PORTS; i++)
        if (x->connectors[i].udev)
            x->connectors[i].udev->port = NULL;
    loop_defer_cancel(x->loop, &x->work);
    loop_timer_destroy(&x->wrap);
    pci_detach(&x->pci);
    free(x);
}

static const struct device_class class = DEVICE_CLASS("qemu-xhci", 1, fields, reset, post_load, destroy, NULL, 0);
static const struct device_class nec_class =
    DEVICE_CLASS("nec-usb-xhci", 1, fields, reset, post_load, destroy, NULL, 0);

bool xhci_is(const struct device *dev)
{
    return dev->class == &class || dev->class == &nec_class;
}

struct usb_port *xhci_connector(struct pci_device *pdev, unsigned number)
{
    struct xhci *x = (struct xhci *)pdev;
    unsigned count = x->ports_2 > x->ports_3 ? x->ports_2 : x->ports_3;
    return number && number <= count ? &x->connectors[number - 1] : NULL;
}

static void describe(struct xhci *x, const struct xhci_config *config)
{
    const struct pci_identity identity = {.vendor = config->nec ? NEC : REDHAT,
                                          .device = config->nec ? UPD720200 : XHCI,
                                          .subsystem_vendor = REDHAT_QUMRANET,
                                          .subsystem = SUBSYSTEM,
                                          .class_code = CLASS_XHCI,
                                          .revision = config->nec ? NEC_REVISION : REVISION,
                                          .intx = true,
                                          .multifunction = config->multifunction};
    const struct pci_bar bar = {.size = XHCI_BAR_SIZE, .wide = true, .ops = &xhci_ops, .opaque = x};
    unsigned vectors = config->vectors < XHCI_INTERRUPTERS ? config->vectors : XHCI_INTERRUPTERS;
    pci_init(&x->pci, config->nec ? &nec_class : &class, config->path, &identity, NULL);
    pci_add_bar(&x->pci, 0, &bar);
    if (vectors)
        msix_init(&x->pci, XHCI_MSIX_BAR, vectors);
    x->pci.initial[SBRN] = USB_3_0;
}

int xhci_create(const struct xhci_config *config, struct pci_device **ret_pdev, struct error *err)
{
    struct xhci *x = calloc(1, sizeof *x);
    if (!x)
        return error_set(err, -ENOMEM, "out of memory");
    x->mem = config->mem;
    x->clock = config->clock;
    x->loop = config->loop;
    x->ports_2 = config->ports_2;
    x->ports_3 = config->ports_3;
    x->work = (struct loop_call){.callback = work, .opaque = x};
    int r = loop_timer_init(config->loop, &x->wrap, config->clock, wrapped, x);
    if (r) {
        free(x);
        return error_set(err, r, "out of memory");
    }
    const uint32_t usb_2 = 1u << USB_SPEED_FULL | 1u << USB_SPEED_LOW | 1u << USB_SPEED_HIGH,
                   usb_3 = 1u << USB_SPEED_SUPER;
    for (unsigned i = 0; i < XHCI_MAX_PORTS; i++)
        x->connectors[i] = (struct usb_port){.ops = &xhci_port_ops,
                                             .opaque = x,
                                             .speeds = (i < x->ports_2 ? usb_2 : 0) | (i < x->ports_3 ? usb_3 : 0)};
    describe(x, config);
    device_reset(&x->pci.dev);
    *ret_pdev = &x->pci;
    return 0;
}
