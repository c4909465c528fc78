// SPDX-License-Identifier: MIT
// Owns the driver's side of a controller under test; see the header.
#include "tests/usb/rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { RING_BYTES = 512, RUNTIME = XHCI_RTSOFF + 0x20, EP_CONTROL = 4, TRB_BYTES = 1 << 16 };

static int64_t rig_time(void *opaque)
{
    return ((struct rig *)opaque)->now;
}

static void take_message(void *opaque, uint32_t device_id, uint64_t addr, uint32_t data)
{
    ((struct rig *)opaque)->messages += data == RIG_MESSAGE;
}

static void set_pin(void *opaque, unsigned line, bool level)
{
    ((struct rig *)opaque)->pin = level;
}

void rig_setup(struct rig *rig, unsigned ports_2, unsigned ports_3)
{
    memset(rig, 0, sizeof *rig);
    pthread_mutex_init(&rig->lock, NULL);
    pthread_mutex_lock(&rig->lock);
    clock_init(&rig->clock, rig_time, rig);
    clock_start(&rig->clock);
    cr_assert_eq(loop_create(&rig->lock, &rig->loop, NULL), 0);
    cr_assert_eq(mem_space_create(&rig->lock, &rig->mem, NULL), 0);
    cr_assert_eq(mem_add_ram(rig->mem, "ram", (struct gpa){RIG_RAM}, RIG_RAM_SIZE, 0, NULL, NULL), 0);
    free((void *)mem_commit(rig->mem));
    rig->bus.msi = (struct msi_port){take_message, rig};
    for (unsigned i = 0; i < PCI_INTX_LINES; i++)
        rig->bus.intx[i] = (struct irq){set_pin, rig, i};
    const struct xhci_config config = {.path = "/xhci",
                                       .mem = rig->mem,
                                       .clock = &rig->clock,
                                       .loop = rig->loop,
                                       .ports_2 = ports_2,
                                       .ports_3 = ports_3,
                                       .vectors = XHCI_VECTORS_AUTO};
    cr_assert_eq(xhci_create(&config, &rig->pdev, NULL), 0);
    cr_assert_eq(pci_attach(&rig->bus, rig->pdev, 8, NULL), 0);
}

void rig_teardown(struct rig *rig)
{
    device_destroy(&rig->pdev->dev);
    mem_space_destroy(rig->mem);
    loop_destroy(rig->loop);
    clock_destroy(&rig->clock);
    pthread_mutex_unlock(&rig->lock);
    pthread_mutex_destroy(&rig->lock);
}

struct usb_device *rig_hid(struct rig *rig, enum usb_hid_kind kind, unsigned connector)
{
    const struct usb_hid_config config = {.path = "/hid", .kind = kind, .clock = &rig->clock, .loop = rig->loop};
    struct usb_device *udev;
    cr_assert_eq(usb_hid_create(&config, &udev, NULL), 0);
    cr_assert(usb_attach(xhci_connector(rig->pdev, connector), udev));
    return udev;
}

uint32_t rig_read(struct rig *rig, unsigned offset)
{
    return (uint32_t)pci_bar_read(rig->pdev, 0, offset, 4);
}

void rig_write(struct rig *rig, unsigned offset, uint32_t value)
{
    pci_bar_write(rig->pdev, 0, offset, 4, value);
}

void *rig_at(struct rig *rig, uint64_t addr)
{
    return mem_host(rig->mem, (struct gpa){addr}, 1);
}

static void write_64(struct rig *rig, unsigned offset, uint64_t value)
{
    pci_bar_write(rig->pdev, 0, offset, 8, value);
}

static void start_ring(struct rig *rig, struct rig_ring *ring, uint64_t base, bool link)
{
    *ring = (struct rig_ring){base, 0, true};
    memset(rig_at(rig, base), 0, RIG_RING * XHCI_TRB_SIZE);
    if (link) {
        struct xhci_trb *last = (struct xhci_trb *)rig_at(rig, base) + RIG_RING - 1;
        *last = (struct xhci_trb){base, 0, TRB_LINK << TRB_TYPE_SHIFT | TRB_TOGGLE_CYCLE};
    }
}

static void enable_messages(struct rig *rig)
{
    unsigned cap = rig->pdev->msix.cap;
    pci_config_write(rig->pdev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    pci_config_write(rig->pdev, cap + 2, 2, 1 << 15);
    pci_bar_write(rig->pdev, XHCI_MSIX_BAR, 0, 4, 0xfee00000);
    pci_bar_write(rig->pdev, XHCI_MSIX_BAR, 8, 4, RIG_MESSAGE);
    pci_bar_write(rig->pdev, XHCI_MSIX_BAR, 12, 4, 0);
}

void rig_start(struct rig *rig, unsigned segments)
{
    enable_messages(rig);
    rig_write(rig, RIG_OPERATIONAL, USBCMD_HCRST);
    cr_assert_eq(rig_read(rig, RIG_OPERATIONAL + 4), USBSTS_HCH);
    memset(rig_at(rig, RIG_RAM), 0, RIG_DATA - RIG_RAM);
    memset(rig->transfers, 0, sizeof rig->transfers);
    rig->segments = segments;
    for (unsigned i = 0; i < segments; i++) {
        uint64_t *entry = (uint64_t *)rig_at(rig, RIG_ERST) + 2 * i;
        entry[0] = RIG_EVENTS + 0x1000 * i;
        entry[1] = RIG_SEGMENT;
    }
    start_ring(rig, &rig->commands, RIG_COMMANDS, true);
    rig->events = (struct rig_ring){RIG_EVENTS, 0, true};
    rig_write(rig, RIG_OPERATIONAL + 0x38, XHCI_SLOTS);
    write_64(rig, RIG_OPERATIONAL + 0x30, RIG_DCBAA);
    write_64(rig, RIG_OPERATIONAL + 0x18, RIG_COMMANDS | CRCR_RCS);
    rig_write(rig, RUNTIME + 8, segments);
    write_64(rig, RUNTIME + 0x18, RIG_EVENTS);
    write_64(rig, RUNTIME + 0x10, RIG_ERST);
    rig_write(rig, RUNTIME, IMAN_IE);
    rig_write(rig, RIG_OPERATIONAL, USBCMD_RS | USBCMD_INTE);
    cr_assert_eq(rig_read(rig, RIG_OPERATIONAL + 4) & USBSTS_HCH, 0);
}

void rig_turn(struct rig *rig)
{
    loop_once(rig->loop, 0);
}

static uint64_t event_addr(const struct rig *rig)
{
    return RIG_EVENTS + 0x1000 * (rig->events.at / RIG_SEGMENT) + rig->events.at % RIG_SEGMENT * XHCI_TRB_SIZE;
}

bool rig_event(struct rig *rig, struct rig_event *ret)
{
    const struct xhci_trb *trb = rig_at(rig, event_addr(rig));
    if ((trb->control & TRB_CYCLE) != rig->events.cycle)
        return false;
    *ret = (struct rig_event){.type = xhci_trb_type(trb),
                              .code = trb->status >> 24,
                              .slot = trb->control >> 24,
                              .dci = trb->control >> 16 & 31,
                              .parameter = trb->parameter,
                              .length = trb->status & 0xffffff,
                              .event_data = trb->control & TRB_EVENT_ED};
    if (++rig->events.at == RIG_SEGMENT * rig->segments) {
        rig->events.at = 0;
        rig->events.cycle = !rig->events.cycle;
    }
    if (!rig->keep_erdp)
        write_64(rig, RUNTIME + 0x18, event_addr(rig) | ERDP_EHB);
    return true;
}

uint64_t rig_queue(struct rig *rig, struct rig_ring *ring, uint64_t parameter, uint32_t status, uint32_t control)
{
    uint64_t addr = ring->base + ring->at * XHCI_TRB_SIZE;
    struct xhci_trb *trb = rig_at(rig, addr);
    *trb = (struct xhci_trb){parameter, status, control | ring->cycle};
    if (++ring->at == RIG_RING - 1) {
        trb[1].control = (trb[1].control & ~(uint32_t)TRB_CYCLE) | ring->cycle;
        ring->at = 0;
        ring->cycle = !ring->cycle;
    }
    return addr;
}

struct rig_event rig_command(struct rig *rig, unsigned type, uint64_t parameter, uint32_t more_control)
{
    struct rig_event event = {0};
    uint64_t addr = rig_queue(rig, &rig->commands, parameter, 0, type << TRB_TYPE_SHIFT | more_control);
    rig_write(rig, XHCI_DBOFF, 0);
    do
        cr_assert(rig_event(rig, &event), "command %u has no completion", type);
    while (event.type != TRB_COMMAND_COMPLETION);
    cr_assert_eq(event.parameter, addr);
    return event;
}

struct rig_ring *rig_endpoint(struct rig *rig, unsigned slot, unsigned dci)
{
    return &rig->transfers[(slot - 1) * XHCI_ENDPOINTS + dci - 1];
}

void rig_doorbell(struct rig *rig, unsigned slot, unsigned dci)
{
    rig_write(rig, XHCI_DBOFF + 4 * slot, dci);
}

static void put_endpoint(struct rig *rig, unsigned slot, unsigned dci, unsigned type)
{
    struct rig_ring *ring = rig_endpoint(rig, slot, dci);
    start_ring(rig, ring, RIG_TRANSFERS + ((uint64_t)(slot - 1) * 32 + dci) * RING_BYTES, true);
    uint32_t *context = rig_at(rig, RIG_INPUT + (dci + 1) * XHCI_CONTEXT_SIZE);
    memset(context, 0, XHCI_CONTEXT_SIZE);
    context[1] = 64u << 16 | type << 3;
    context[2] = (uint32_t)ring->base | ring->cycle;
}

static void put_control(struct rig *rig, uint32_t drop, uint32_t add)
{
    uint32_t *control = rig_at(rig, RIG_INPUT);
    control[0] = drop;
    control[1] = add;
}

unsigned rig_address(struct rig *rig, unsigned port)
{
    rig_write(rig, RIG_PORTSC + 16 * (port - 1), PORTSC_PP | PORTSC_PR);
    struct rig_event event = rig_command(rig, TRB_ENABLE_SLOT, 0, 0);
    cr_assert_eq(event.code, CC_SUCCESS);
    unsigned slot = event.slot;
    uint64_t context = RIG_CONTEXTS + 0x1000 * (slot - 1);
    ((uint64_t *)rig_at(rig, RIG_DCBAA))[slot] = context;
    uint32_t *words = rig_at(rig, RIG_INPUT + XHCI_CONTEXT_SIZE);
    memset(words, 0, XHCI_CONTEXT_SIZE);
    words[0] = 1u << 27;
    words[1] = port << 16;
    put_control(rig, 0, 3);
    put_endpoint(rig, slot, 1, EP_CONTROL);
    cr_assert_eq(rig_command(rig, TRB_ADDRESS_DEVICE, RIG_INPUT, slot << 24).code, CC_SUCCESS);
    return slot;
}

unsigned rig_configure(struct rig *rig, unsigned slot, unsigned dci, unsigned type)
{
    put_control(rig, 0, 1u << dci | 1);
    put_endpoint(rig, slot, dci, type);
    return rig_command(rig, TRB_CONFIGURE_ENDPOINT, RIG_INPUT, slot << 24).code;
}

struct rig_event rig_transfer_event(struct rig *rig)
{
    struct rig_event event = {0};
    rig_turn(rig);
    while (rig_event(rig, &event))
        if (event.type == TRB_TRANSFER_EVENT)
            return event;
    return (struct rig_event){0};
}

unsigned rig_control(struct rig *rig, unsigned slot, struct usb_setup setup, uint32_t *ret_actual)
{
    struct rig_ring *ring = rig_endpoint(rig, slot, 1);
    bool in = setup.bmRequestType & USB_DIR_IN;
    uint64_t packet;
    memcpy(&packet, &setup, sizeof packet);
    rig_queue(rig, ring, packet, 8, TRB_SETUP_STAGE << TRB_TYPE_SHIFT | TRB_IDT);
    if (setup.wLength)
        rig_queue(rig, ring, RIG_DATA, setup.wLength,
                  TRB_DATA_STAGE << TRB_TYPE_SHIFT | TRB_ISP | (in ? TRB_DIR_IN : 0));
    rig_queue(rig, ring, 0, 0, TRB_STATUS_STAGE << TRB_TYPE_SHIFT | TRB_IOC | (in ? 0 : TRB_DIR_IN));
    rig_doorbell(rig, slot, 1);
    struct rig_event event = rig_transfer_event(rig);
    uint32_t actual = setup.wLength;
    if (event.code == CC_SHORT_PACKET) {
        actual -= event.length;
        event = rig_transfer_event(rig);
    }
    if (ret_actual)
        *ret_actual = actual;
    return event.code;
}

void rig_set_configuration(struct rig *rig, unsigned slot)
{
    const struct usb_setup setup = {0, USB_REQ_SET_CONFIGURATION, 1, 0, 0};
    cr_assert_eq(rig_control(rig, slot, setup, NULL), CC_SUCCESS);
}

void rig_transfer(struct rig *rig, unsigned slot, unsigned dci, uint64_t addr, uint32_t len)
{
    for (; len > TRB_BYTES; addr += TRB_BYTES, len -= TRB_BYTES)
        rig_queue(rig, rig_endpoint(rig, slot, dci), addr, TRB_BYTES, TRB_NORMAL << TRB_TYPE_SHIFT | TRB_CHAIN | TRB_ISP);
    rig_queue(rig, rig_endpoint(rig, slot, dci), addr, len, TRB_NORMAL << TRB_TYPE_SHIFT | TRB_IOC | TRB_ISP);
    rig_doorbell(rig, slot, dci);
}

void rig_recover(struct rig *rig, unsigned slot, unsigned dci)
{
    const struct rig_ring *ring = rig_endpoint(rig, slot, dci);
    uint64_t dequeue = (ring->base + ring->at * XHCI_TRB_SIZE) | ring->cycle;
    cr_assert_eq(rig_command(rig, TRB_RESET_ENDPOINT, 0, slot << 24 | dci << 16).code, CC_SUCCESS);
    cr_assert_eq(rig_command(rig, TRB_SET_TR_DEQUEUE, dequeue, slot << 24 | dci << 16).code, CC_SUCCESS);
}
