// SPDX-License-Identifier: MIT
// The xHCI controller as a driver meets it: registers, ports, commands, the events of each kind of TD, rings that wrap or
// fill up, hostile rings, and saved states.
#include "hw/core/state.h"
#include "tests/usb/rig.h"

#include <criterion/criterion.h>
#include <linux/input-event-codes.h>
#include <string.h>

enum { EP_INTERRUPT_IN = 7, KEYS = 3 /* DCI of a keyboard's endpoint */, IMAN_AT = XHCI_RTSOFF + 0x20 };

static const struct usb_setup get_device = {USB_DIR_IN, USB_REQ_GET_DESCRIPTOR, USB_DT_DEVICE << 8, 0, 18};

// A keyboard at connector 1 of a running controller, configured; the slot.
static unsigned with_keyboard(struct rig *rig, struct usb_device **ret_udev)
{
    rig_setup(rig, 2, 2);
    *ret_udev = rig_hid(rig, USB_HID_KEYBOARD, 1);
    rig_start(rig, 1);
    unsigned slot = rig_address(rig, 3); // behind the USB 3 ports
    rig_set_configuration(rig, slot);
    cr_assert_eq(rig_configure(rig, slot, KEYS, EP_INTERRUPT_IN), CC_SUCCESS);
    return slot;
}

static void end(struct rig *rig, struct usb_device *udev)
{
    device_destroy(&udev->dev);
    rig_teardown(rig);
}

static void key(struct usb_device *udev, uint16_t code, bool down)
{
    const struct input_event event = {EV_KEY, code, down};
    cr_assert(usb_hid_input.send(&udev->dev, &event, 1));
}

static unsigned endpoint_state(struct rig *rig, unsigned slot, unsigned dci)
{
    return *(uint32_t *)rig_at(rig, RIG_CONTEXTS + 0x1000 * (slot - 1) + dci * XHCI_CONTEXT_SIZE) & 7;
}

Test(xhci, capabilities)
{
    struct rig rig;
    rig_setup(&rig, 3, 2);
    cr_expect_eq(pci_config_read(rig.pdev, 0, 4), 0x000d1b36);
    cr_expect_eq(pci_config_read(rig.pdev, 8, 4) >> 8, 0x0c0330);
    cr_expect_eq(pci_config_read(rig.pdev, 0x60, 1), 0x30);
    cr_expect_eq(rig_read(&rig, 0), 0x01000040);
    cr_expect_eq(pci_bar_read(rig.pdev, 0, 0, 1), 0x40);
    cr_expect_eq(pci_bar_read(rig.pdev, 0, 2, 2), 0x0100);
    cr_expect_eq(rig_read(&rig, 4), 5u << 24 | XHCI_INTERRUPTERS << 8 | XHCI_SLOTS);
    unsigned at = (rig_read(&rig, 0x10) >> 16) * 4, next = (rig_read(&rig, at) >> 8 & 0xff) * 4;
    cr_expect_eq(rig_read(&rig, at) >> 16, 0x0200);
    cr_expect_eq(rig_read(&rig, at + 8) & 0xffff, 3 << 8 | 3);
    cr_expect_eq(rig_read(&rig, at + next) >> 16, 0x0300);
    cr_expect_eq(rig_read(&rig, at + next + 8) & 0xffff, 2 << 8 | 1);
    cr_expect_eq(rig_read(&rig, at + next) >> 8 & 0xff, 0, "the last capability");
    rig_teardown(&rig);
}

Test(xhci, ports)
{
    struct rig rig;
    struct rig_event event;
    rig_setup(&rig, 2, 2);
    rig_start(&rig, 1);
    const unsigned portsc = RIG_PORTSC + 16 * 3;
    cr_expect_eq(rig_read(&rig, portsc), PORTSC_PP | PLS_RX_DETECT << PORTSC_PLS_SHIFT);
    struct usb_device *udev = rig_hid(&rig, USB_HID_MOUSE, 2);
    cr_assert(rig_event(&rig, &event));
    cr_expect(event.type == TRB_PORT_STATUS_CHANGE && event.parameter == 4ull << 24);
    cr_expect_eq(rig.messages, 1);
    uint32_t status = rig_read(&rig, portsc);
    cr_expect_eq(status & (PORTSC_CCS | PORTSC_PED | PORTSC_CSC), PORTSC_CCS | PORTSC_CSC);
    cr_expect_eq((status & PORTSC_SPEED_MASK) >> PORTSC_SPEED_SHIFT, USB_SPEED_HIGH);
    rig_write(&rig, portsc, PORTSC_PP | PORTSC_CSC | PORTSC_PR);
    status = rig_read(&rig, portsc);
    cr_expect_eq(status & (PORTSC_CSC | PORTSC_PRC | PORTSC_PED | PORTSC_PLS_MASK), PORTSC_PRC | PORTSC_PED);
    cr_expect(rig_event(&rig, &event) && event.parameter == 4ull << 24);
    device_destroy(&udev->dev);
    cr_expect(rig_event(&rig, &event) && event.parameter == 4ull << 24);
    cr_expect_eq(rig_read(&rig, portsc) & (PORTSC_CCS | PORTSC_PED | PORTSC_CSC), PORTSC_CSC);
    cr_expect_not(rig_event(&rig, &event));
    rig_teardown(&rig);
}

Test(xhci, control_transfers)
{
    struct rig rig;
    struct usb_device *udev;
    unsigned slot = with_keyboard(&rig, &udev);
    struct usb_setup setup = get_device;
    uint32_t actual;
    const uint8_t *data = rig_at(&rig, RIG_DATA);
    for (int i = 0; i < 40; i++) { // more than the rings hold
        cr_assert_eq(rig_control(&rig, slot, setup, &actual), CC_SUCCESS, "transfer %d", i);
        cr_assert(actual == 18 && data[0] == 18 && data[8] == 0x27 && data[9] == 0x06);
    }
    setup.wLength = 200;
    setup.wValue = USB_DT_CONFIG << 8;
    cr_expect_eq(rig_control(&rig, slot, setup, &actual), CC_SUCCESS);
    cr_expect_eq(actual, 9 + 9 + 9 + 7, "a short packet");
    setup.wValue = 77 << 8;
    cr_expect_eq(rig_control(&rig, slot, setup, NULL), CC_STALL);
    cr_expect_eq(endpoint_state(&rig, slot, 1), EP_HALTED);
    rig_recover(&rig, slot, 1);
    cr_expect_eq(rig_control(&rig, slot, get_device, NULL), CC_SUCCESS);
    // The LEDs, as immediate data.
    struct rig_ring *ring = rig_endpoint(&rig, slot, 1);
    const struct usb_setup leds = {USB_TYPE_CLASS | USB_RECIP_INTERFACE, 9, 2 << 8, 0, 1};
    uint64_t packet;
    memcpy(&packet, &leds, sizeof packet);
    rig_queue(&rig, ring, packet, 8, TRB_SETUP_STAGE << TRB_TYPE_SHIFT | TRB_IDT);
    rig_queue(&rig, ring, 2, 1, TRB_DATA_STAGE << TRB_TYPE_SHIFT | TRB_IDT);
    rig_doorbell(&rig, slot, 1);
    cr_expect_eq(rig_transfer_event(&rig).type, 0, "the status stage is not there yet");
    rig_queue(&rig, ring, 0, 0, TRB_STATUS_STAGE << TRB_TYPE_SHIFT | TRB_IOC | TRB_DIR_IN);
    rig_doorbell(&rig, slot, 1);
    cr_expect_eq(rig_transfer_event(&rig).code, CC_SUCCESS);
    end(&rig, udev);
}

Test(xhci, interrupt_transfers)
{
    struct rig rig;
    struct usb_device *udev;
    unsigned slot = with_keyboard(&rig, &udev);
    const uint8_t *report = rig_at(&rig, RIG_DATA);
    rig_transfer(&rig, slot, KEYS, RIG_DATA, 8);
    cr_expect_eq(rig_transfer_event(&rig).type, 0, "no key, no report");
    key(udev, KEY_LEFTSHIFT, true);
    key(udev, KEY_B, true);
    struct rig_event event = rig_transfer_event(&rig);
    cr_expect(event.code == CC_SUCCESS && event.slot == slot && event.dci == KEYS && !event.length);
    cr_expect_arr_eq(report, ((const uint8_t[]){2, 0, 0, 0, 0, 0, 0, 0}), 8, "one key at a time");
    rig_transfer(&rig, slot, KEYS, RIG_DATA, 10);
    event = rig_transfer_event(&rig);
    cr_expect(event.code == CC_SHORT_PACKET && event.length == 2);
    cr_expect_arr_eq(report, ((const uint8_t[]){2, 0, 5, 0, 0, 0, 0, 0}), 8);
    key(udev, KEY_B, false);
    rig_transfer(&rig, slot, KEYS, RIG_DATA, 4);
    cr_expect_eq(rig_transfer_event(&rig).code, CC_BABBLE);
    cr_expect_eq(endpoint_state(&rig, slot, KEYS), EP_HALTED);
    end(&rig, udev);
}

Test(xhci, chains_and_event_data)
{
    struct rig rig;
    struct usb_device *udev;
    unsigned slot = with_keyboard(&rig, &udev);
    struct rig_ring *ring = rig_endpoint(&rig, slot, KEYS);
    const uint32_t normal = TRB_NORMAL << TRB_TYPE_SHIFT | TRB_CHAIN;
    rig_queue(&rig, ring, RIG_DATA, 3, normal);
    uint64_t second = rig_queue(&rig, ring, RIG_DATA + 0x1000, 100, normal | TRB_ISP);
    rig_queue(&rig, ring, 0xfeed, 0, TRB_EVENT_DATA << TRB_TYPE_SHIFT | TRB_IOC);
    rig_doorbell(&rig, slot, KEYS);
    key(udev, KEY_A, true);
    struct rig_event event = rig_transfer_event(&rig);
    cr_expect(event.code == CC_SHORT_PACKET && event.parameter == second && event.length == 95 && !event.event_data);
    event = rig_transfer_event(&rig);
    cr_expect(event.code == CC_SHORT_PACKET && event.parameter == 0xfeed && event.length == 8 && event.event_data);
    cr_expect_eq(((uint8_t *)rig_at(&rig, RIG_DATA))[2], 4, "the third byte is before the seam");
    end(&rig, udev);
}

Test(xhci, stopping)
{
    struct rig rig;
    struct usb_device *udev;
    struct rig_event event;
    unsigned slot = with_keyboard(&rig, &udev);
    const uint32_t which = slot << 24 | KEYS << 16;
    rig_transfer(&rig, slot, KEYS, RIG_DATA, 8);
    uint64_t first = rig_endpoint(&rig, slot, KEYS)->base;
    rig_queue(&rig, &rig.commands, 0, 0, TRB_STOP_ENDPOINT << TRB_TYPE_SHIFT | which);
    rig_write(&rig, XHCI_DBOFF, 0);
    cr_expect(rig_event(&rig, &event) && event.type == TRB_TRANSFER_EVENT && event.code == CC_STOPPED &&
              event.parameter == first && event.length == 8);
    cr_expect(rig_event(&rig, &event) && event.type == TRB_COMMAND_COMPLETION && event.code == CC_SUCCESS);
    cr_expect_eq(endpoint_state(&rig, slot, KEYS), EP_STOPPED);
    key(udev, KEY_A, true);
    cr_expect_eq(rig_transfer_event(&rig).type, 0);
    cr_expect_eq(rig_command(&rig, TRB_STOP_ENDPOINT, 0, which).code, CC_CONTEXT_STATE);
    cr_expect_eq(rig_command(&rig, TRB_RESET_ENDPOINT, 0, which).code, CC_CONTEXT_STATE);
    rig_doorbell(&rig, slot, KEYS);
    cr_expect_eq(rig_transfer_event(&rig).code, CC_SUCCESS, "it goes on where it was");
    cr_expect_eq(rig_command(&rig, TRB_STOP_ENDPOINT, 0, slot << 24 | 9 << 16).code, CC_ENDPOINT_NOT_ENABLED);
    cr_expect_eq(rig_command(&rig, TRB_STOP_ENDPOINT, 0, 31u << 24 | 3 << 16).code, CC_SLOT_NOT_ENABLED);
    cr_expect_eq(rig_command(&rig, TRB_RESET_DEVICE, 0, slot << 24).code, CC_SUCCESS);
    cr_expect_eq(endpoint_state(&rig, slot, KEYS), EP_DISABLED);
    cr_expect_eq(rig_command(&rig, TRB_DISABLE_SLOT, 0, slot << 24).code, CC_SUCCESS);
    cr_expect_eq(rig_command(&rig, 60, 0, 0).code, CC_TRB);
    end(&rig, udev);
}

Test(xhci, unplugged)
{
    struct rig rig;
    struct usb_device *udev;
    unsigned slot = with_keyboard(&rig, &udev);
    rig_transfer(&rig, slot, KEYS, RIG_DATA, 8);
    device_destroy(&udev->dev);
    cr_expect_eq(rig_transfer_event(&rig).code, CC_USB_TRANSACTION);
    udev = rig_hid(&rig, USB_HID_KEYBOARD, 1);
    cr_expect_eq(rig_control(&rig, slot, get_device, NULL), CC_USB_TRANSACTION, "another device has no address");
    end(&rig, udev);
}

Test(xhci, remote_wakeup)
{
    struct rig rig;
    struct rig_event event;
    struct usb_device *udev;
    unsigned slot = with_keyboard(&rig, &udev);
    const unsigned portsc = RIG_PORTSC + 16 * 2;
    const uint32_t changes = PORTSC_CSC | PORTSC_PRC | PORTSC_PLC;
    const struct usb_setup wake = {USB_RECIP_DEVICE, USB_REQ_SET_FEATURE, 1, 0, 0};
    cr_assert_eq(rig_control(&rig, slot, wake, NULL), CC_SUCCESS);
    rig_write(&rig, portsc, PORTSC_PP | changes);
    rig_write(&rig, portsc, PORTSC_PP | PORTSC_LWS | PLS_U3 << PORTSC_PLS_SHIFT);
    cr_expect_eq(rig_read(&rig, portsc) & PORTSC_PLS_MASK, PLS_U3 << PORTSC_PLS_SHIFT);
    while (rig_event(&rig, &event))
        ;
    key(udev, KEY_A, true);
    cr_expect(rig_event(&rig, &event) && event.type == TRB_PORT_STATUS_CHANGE);
    cr_expect_eq(rig_read(&rig, portsc) & (PORTSC_PLS_MASK | changes), PLS_RESUME << PORTSC_PLS_SHIFT | PORTSC_PLC);
    rig_write(&rig, portsc, PORTSC_PP | PORTSC_PLC);
    rig_write(&rig, portsc, PORTSC_PP | PORTSC_LWS | PLS_U0 << PORTSC_PLS_SHIFT);
    cr_expect_eq(rig_read(&rig, portsc) & (PORTSC_PLS_MASK | changes), PORTSC_PLC);
    rig_transfer(&rig, slot, KEYS, RIG_DATA, 8);
    cr_expect_eq(rig_transfer_event(&rig).code, CC_SUCCESS);
    end(&rig, udev);
}

Test(xhci, event_ring_full)
{
    struct rig rig;
    struct rig_event event;
    enum { COMMANDS = 40 };
    rig_setup(&rig, 1, 1);
    rig_start(&rig, 2);
    rig.keep_erdp = true;
    unsigned completed = 0, full = 0, rounds = 0;
    for (unsigned sent = 0; completed < COMMANDS && rounds < 100; rounds++) {
        for (unsigned i = 0; i < RIG_RING - 2 && sent < COMMANDS && sent - completed < RIG_RING - 2; i++, sent++)
            rig_queue(&rig, &rig.commands, sent, 0, TRB_NO_OP_COMMAND << TRB_TYPE_SHIFT);
        rig_write(&rig, XHCI_DBOFF, 0);
        rig_turn(&rig);
        while (rig_event(&rig, &event)) {
            completed += event.type == TRB_COMMAND_COMPLETION;
            if (event.type == TRB_HOST_CONTROLLER) {
                cr_expect_eq(event.code, CC_EVENT_RING_FULL);
                full++;
                uint64_t erdp = RIG_EVENTS + 0x1000 * (rig.events.at / RIG_SEGMENT) + rig.events.at % RIG_SEGMENT * 16;
                pci_bar_write(rig.pdev, 0, IMAN_AT + 0x18, 8, erdp | ERDP_EHB);
            }
        }
    }
    cr_expect_eq(completed, COMMANDS, "none is lost");
    cr_expect_geq(full, 1);
    rig_teardown(&rig);
}

// ERSTSZ says how long the table is that ERSTBA is pointed at, and nothing about the ring in use.
Test(xhci, event_ring_size_changes_under_way)
{
    struct rig rig;
    struct rig_event event;
    rig_setup(&rig, 1, 1);
    rig_start(&rig, 2);
    for (unsigned sent = 0; sent < 5 * RIG_SEGMENT; sent++) {
        rig_write(&rig, IMAN_AT + 8, sent >= RIG_SEGMENT + 2 ? sent % 2 * 0xffff : 2);
        rig_queue(&rig, &rig.commands, sent, 0, TRB_NO_OP_COMMAND << TRB_TYPE_SHIFT);
        rig_write(&rig, XHCI_DBOFF, 0);
        cr_assert(rig_event(&rig, &event));
        cr_expect_eq(event.type, TRB_COMMAND_COMPLETION);
    }
    rig_teardown(&rig);
}

Test(xhci, hostile_rings)
{
    struct rig rig;
    struct usb_device *udev;
    unsigned slot = with_keyboard(&rig, &udev);
    struct rig_ring *ring = rig_endpoint(&rig, slot, KEYS);
    struct xhci_trb *trbs = rig_at(&rig, ring->base);
    // A link to itself.
    trbs[0] = (struct xhci_trb){ring->base, 0, TRB_LINK << TRB_TYPE_SHIFT | TRB_CYCLE};
    rig_doorbell(&rig, slot, KEYS);
    cr_expect_eq(endpoint_state(&rig, slot, KEYS), EP_ERROR);
    // TDs without end: the doorbell returns, and so does each turn of the loop.
    cr_expect_eq(rig_command(&rig, TRB_SET_TR_DEQUEUE, ring->base | 1, slot << 24 | KEYS << 16).code, CC_SUCCESS);
    trbs[0] = (struct xhci_trb){0, 0, TRB_NO_OP << TRB_TYPE_SHIFT | TRB_CYCLE};
    trbs[1] = (struct xhci_trb){ring->base, 0, TRB_LINK << TRB_TYPE_SHIFT | TRB_CYCLE};
    rig_doorbell(&rig, slot, KEYS);
    for (int i = 0; i < 10; i++)
        rig_turn(&rig);
    cr_expect_eq(rig_command(&rig, TRB_STOP_ENDPOINT, 0, slot << 24 | KEYS << 16).code, CC_SUCCESS);
    // A TD of more TRBs than may be.
    cr_expect_eq(rig_command(&rig, TRB_SET_TR_DEQUEUE, ring->base | 1, slot << 24 | KEYS << 16).code, CC_SUCCESS);
    trbs[0] = (struct xhci_trb){RIG_DATA, 1, TRB_NORMAL << TRB_TYPE_SHIFT | TRB_CHAIN | TRB_CYCLE};
    rig_doorbell(&rig, slot, KEYS);
    cr_expect_eq(rig_transfer_event(&rig).code, CC_TRB);
    // Memory that is none: a host system error.
    rig_command(&rig, TRB_SET_TR_DEQUEUE, ring->base | 1, slot << 24 | KEYS << 16);
    trbs[0] = (struct xhci_trb){0x10, 8, TRB_NORMAL << TRB_TYPE_SHIFT | TRB_CYCLE};
    rig_doorbell(&rig, slot, KEYS);
    cr_expect_eq(rig_read(&rig, RIG_OPERATIONAL + 4) & (USBSTS_HSE | USBSTS_HCH), USBSTS_HSE | USBSTS_HCH);
    rig_start(&rig, 1);
    rig_address(&rig, 3);
    end(&rig, udev);
}

Test(xhci, interrupts_and_time)
{
    struct rig rig;
    struct rig_event event;
    rig_setup(&rig, 1, 1);
    rig_start(&rig, 1);
    rig.keep_erdp = true;
    for (int i = 0; i < 3; i++)
        rig_command(&rig, TRB_NO_OP_COMMAND, 0, 0);
    cr_expect_eq(rig.messages, 1, "the handler is busy until it says so");
    pci_bar_write(rig.pdev, 0, IMAN_AT + 0x18, 8, (RIG_EVENTS + 16) | ERDP_EHB);
    cr_expect_eq(rig.messages, 2, "there is more");
    rig_write(&rig, IMAN_AT, 0);
    pci_bar_write(rig.pdev, 0, IMAN_AT + 0x18, 8, (RIG_EVENTS + 48) | ERDP_EHB);
    rig_command(&rig, TRB_NO_OP_COMMAND, 0, 0);
    cr_expect(rig.messages == 2 && rig_read(&rig, IMAN_AT) == IMAN_IP);
    rig_write(&rig, IMAN_AT, IMAN_IE);
    cr_expect_eq(rig.messages, 3);
    // Without MSI-X: the pin, until the driver clears IP.
    pci_config_write(rig.pdev, rig.pdev->msix.cap + 2, 2, 0);
    pci_bar_write(rig.pdev, 0, IMAN_AT + 0x18, 8, (RIG_EVENTS + 64) | ERDP_EHB);
    rig_command(&rig, TRB_NO_OP_COMMAND, 0, 0);
    cr_expect(rig.pin);
    rig_write(&rig, IMAN_AT, IMAN_IE | IMAN_IP);
    cr_expect_not(rig.pin);
    rig.now += 125000 * 77;
    cr_expect_eq(rig_read(&rig, XHCI_RTSOFF), 77);
    rig.keep_erdp = false;
    rig_write(&rig, RIG_OPERATIONAL, USBCMD_RS | USBCMD_INTE | USBCMD_EWE);
    rig.now += 125000ll << 14;
    rig_turn(&rig);
    cr_expect(rig_event(&rig, &event) && event.type == TRB_MFINDEX_WRAP);
    rig_teardown(&rig);
}

// A machine with a transfer that waits for a key goes on elsewhere.
Test(xhci, saved_state)
{
    struct rig rig, other;
    struct usb_device *udev, *other_udev;
    struct state_buf first = {0}, second = {0};
    unsigned slot = with_keyboard(&rig, &udev);
    rig_transfer(&rig, slot, KEYS, RIG_DATA, 8);
    rig_setup(&other, 2, 2);
    other_udev = rig_hid(&other, USB_HID_KEYBOARD, 1);
    memcpy(rig_at(&other, RIG_RAM), rig_at(&rig, RIG_RAM), RIG_RAM_SIZE);
    cr_assert_eq(state_save(&rig.pdev->dev, 0, &first, NULL), 0);
    cr_assert_eq(state_save(&udev->dev, 0, &first, NULL), 0);
    struct device *devs[] = {&other.pdev->dev, &other_udev->dev};
    cr_assert_eq(state_load(devs, 2, 0, first.data, first.size, NULL), 0);
    cr_assert_eq(state_save(devs[0], 0, &second, NULL), 0);
    cr_assert_eq(state_save(devs[1], 0, &second, NULL), 0);
    cr_assert_eq(first.size, second.size);
    cr_expect_arr_eq(first.data, second.data, first.size);
    memcpy(other.transfers, rig.transfers, sizeof rig.transfers);
    other.events = rig.events;
    other.commands = rig.commands;
    other.segments = rig.segments;
    key(other_udev, KEY_A, true);
    cr_expect_eq(rig_transfer_event(&other).code, CC_SUCCESS);
    cr_expect_eq(rig_control(&other, slot, get_device, NULL), CC_SUCCESS);
    state_buf_free(&first);
    state_buf_free(&second);
    end(&other, other_udev);
    end(&rig, udev);
}
