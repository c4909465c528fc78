// SPDX-License-Identifier: MIT
// A USB controller on a bus of its own with a driver's rings in memory, for tests: commands, transfers and events the way
// a driver has them. All criterion checks are of what a test does not ask about.
#ifndef TESTS_USB_RIG_H
#define TESTS_USB_RIG_H

#include "base/clock.h"
#include "base/loop.h"
#include "hw/usb/usb_hid.h"
#include "hw/usb/xhci.h"
#include "hw/usb/xhci_internal.h"

enum {
    RIG_RAM = 0x40000000,
    RIG_RAM_SIZE = 4 << 20,
    RIG_DCBAA = RIG_RAM,
    RIG_COMMANDS = RIG_RAM + 0x1000,
    RIG_ERST = RIG_RAM + 0x2000,
    RIG_EVENTS = RIG_RAM + 0x3000, // segments 4 KiB apart
    RIG_INPUT = RIG_RAM + 0x8000,
    RIG_CONTEXTS = RIG_RAM + 0x10000,  // of slots, 4 KiB each
    RIG_TRANSFERS = RIG_RAM + 0x40000, // rings, 512 bytes each
    RIG_DATA = RIG_RAM + 0x200000,
    RIG_RING = 16, // TRBs of a ring, the last is a link
    RIG_SEGMENT = 16,
    RIG_MESSAGE = 0x1234,
    RIG_OPERATIONAL = XHCI_CAPLENGTH,
    RIG_PORTSC = XHCI_CAPLENGTH + XHCI_PORTS,
};

struct rig_ring {
    uint64_t base;
    unsigned at;
    bool cycle;
};

struct rig {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct loop *loop;
    struct clock clock;
    int64_t now;
    struct pci_bus bus;
    struct pci_device *pdev;
    unsigned messages; // MSI-X that came
    bool pin;
    struct rig_ring commands, events; // of events: where we read
    unsigned segments;
    struct rig_ring transfers[XHCI_SLOTS * XHCI_ENDPOINTS];
    bool keep_erdp; // events are read but not acknowledged
};

struct rig_event {
    unsigned type, code, slot, dci;
    uint64_t parameter;
    uint32_t length;
    bool event_data;
};

void rig_setup(struct rig *rig, unsigned ports_2, unsigned ports_3);
void rig_teardown(struct rig *rig); // the controller; devices are destroyed before
struct usb_device *rig_hid(struct rig *rig, enum usb_hid_kind kind, unsigned connector);

uint32_t rig_read(struct rig *rig, unsigned offset);
void rig_write(struct rig *rig, unsigned offset, uint32_t value);
void *rig_at(struct rig *rig, uint64_t addr);
// Resets and starts the controller, with event rings of that many segments and one interrupter.
void rig_start(struct rig *rig, unsigned segments);
void rig_turn(struct rig *rig); // lets the event loop do what is due

bool rig_event(struct rig *rig, struct rig_event *ret);
// Queues a TRB; its address. Nothing is told.
uint64_t rig_queue(struct rig *rig, struct rig_ring *ring, uint64_t parameter, uint32_t status, uint32_t control);
// A command and its completion; other events before it are dropped.
struct rig_event rig_command(struct rig *rig, unsigned type, uint64_t parameter, uint32_t more_control);
struct rig_ring *rig_endpoint(struct rig *rig, unsigned slot, unsigned dci);
void rig_doorbell(struct rig *rig, unsigned slot, unsigned dci);

// Resets the port (from 1), enables a slot and addresses the device there; the slot.
unsigned rig_address(struct rig *rig, unsigned port);
// Configures an endpoint of EP Type type. The completion code.
unsigned rig_configure(struct rig *rig, unsigned slot, unsigned dci, unsigned type);
// A control transfer with its data at RIG_DATA; the code of its last event, and how many bytes came.
unsigned rig_control(struct rig *rig, unsigned slot, struct usb_setup setup, uint32_t *ret_actual);
void rig_set_configuration(struct rig *rig, unsigned slot);
// One TD; queued and told.
void rig_transfer(struct rig *rig, unsigned slot, unsigned dci, uint64_t addr, uint32_t len);
// The next transfer event, other events dropped; type 0: none comes.
struct rig_event rig_transfer_event(struct rig *rig);
// After Stall: Reset Endpoint, Set TR Dequeue to where the ring is written next.
void rig_recover(struct rig *rig, unsigned slot, unsigned dci);

#endif
