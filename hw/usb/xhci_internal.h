// SPDX-License-Identifier: MIT
// Private to the xHCI model: its state, and the names of registers, contexts and TRBs (xHCI 1.1, 5 and 6).
//
// Invariants: everything that the guest writes into memory is read once, then judged; each walk along a ring is bounded
// (XHCI_MAX_LINKS, XHCI_TD_MAX, XHCI_ROUND); a transfer or a command is begun only when its events have room in the event
// ring. What waits for room, or for a device, is found again from the rings: nothing is under way outside the state.
#ifndef HW_USB_XHCI_INTERNAL_H
#define HW_USB_XHCI_INTERNAL_H

#include "base/clock.h"
#include "base/loop.h"
#include "hw/usb/xhci.h"

enum {
    XHCI_SLOTS = 32, // a controller without hubs has no use for more than it has ports
    XHCI_ENDPOINTS = 31, // of a slot: Device Context Index 1 to 31
    XHCI_INTERRUPTERS = 16,
    XHCI_SEGMENTS_LOG = 3, // of an event ring
    XHCI_SEGMENTS = 1 << XHCI_SEGMENTS_LOG,
    XHCI_MAX_LINKS = 32,  // that follow one another
    XHCI_TD_MAX = 1024,   // TRBs of a TD
    XHCI_ROUND = 4096,    // TRBs of transfers at a time, then others have their turn
    XHCI_COMMANDS = 256,  // the same of commands
    XHCI_TRB_SIZE = 16,
    XHCI_CONTEXT_SIZE = 32,
};

// Where register blocks are in the BAR.
enum {
    XHCI_CAPLENGTH = 0x40,
    XHCI_PORTS = 0x400, // from the operational registers on
    XHCI_RTSOFF = 0x1000,
    XHCI_DBOFF = 0x2000,
    XHCI_BAR_SIZE = 0x4000,
    XHCI_MSIX_BAR = 4,
};

// 5.4.1, 5.4.2
enum {
    USBCMD_RS = 1 << 0,
    USBCMD_HCRST = 1 << 1,
    USBCMD_INTE = 1 << 2,
    USBCMD_HSEE = 1 << 3,
    USBCMD_LHCRST = 1 << 7,
    USBCMD_CSS = 1 << 8,
    USBCMD_CRS = 1 << 9,
    USBCMD_EWE = 1 << 10,
    USBSTS_HCH = 1 << 0,
    USBSTS_HSE = 1 << 2,
    USBSTS_EINT = 1 << 3,
    USBSTS_PCD = 1 << 4,
    USBSTS_SRE = 1 << 10,
};

// 5.4.5
enum {
    CRCR_RCS = 1 << 0,
    CRCR_CS = 1 << 1,
    CRCR_CA = 1 << 2,
    CRCR_CRR = 1 << 3,
};

// 5.5.2
enum {
    IMAN_IP = 1 << 0,
    IMAN_IE = 1 << 1,
    ERDP_DESI = 7,
    ERDP_EHB = 1 << 3,
};

// 5.4.8
enum {
    PORTSC_CCS = 1 << 0,
    PORTSC_PED = 1 << 1,
    PORTSC_PR = 1 << 4,
    PORTSC_PLS_SHIFT = 5,
    PORTSC_PLS_MASK = 0xf << PORTSC_PLS_SHIFT,
    PORTSC_PP = 1 << 9,
    PORTSC_SPEED_SHIFT = 10,
    PORTSC_SPEED_MASK = 0xf << PORTSC_SPEED_SHIFT,
    PORTSC_PIC_MASK = 3 << 14,
    PORTSC_LWS = 1 << 16,
    PORTSC_CSC = 1 << 17,
    PORTSC_PEC = 1 << 18,
    PORTSC_WRC = 1 << 19,
    PORTSC_OCC = 1 << 20,
    PORTSC_PRC = 1 << 21,
    PORTSC_PLC = 1 << 22,
    PORTSC_CEC = 1 << 23,
    PORTSC_CHANGES = 0x7f << 17,
    PORTSC_WAKES = 7 << 25, // WCE, WDE, WOE
    PLS_U0 = 0,
    PLS_U3 = 3,
    PLS_DISABLED = 4,
    PLS_RX_DETECT = 5,
    PLS_POLLING = 7,
    PLS_RESUME = 15,
};
#define PORTSC_WPR (1u << 31)

// 6.4.6
enum xhci_trb_type {
    TRB_NORMAL = 1,
    TRB_SETUP_STAGE,
    TRB_DATA_STAGE,
    TRB_STATUS_STAGE,
    TRB_ISOCH,
    TRB_LINK,
    TRB_EVENT_DATA,
    TRB_NO_OP,
    TRB_ENABLE_SLOT,
    TRB_DISABLE_SLOT,
    TRB_ADDRESS_DEVICE,
    TRB_CONFIGURE_ENDPOINT,
    TRB_EVALUATE_CONTEXT,
    TRB_RESET_ENDPOINT,
    TRB_STOP_ENDPOINT,
    TRB_SET_TR_DEQUEUE,
    TRB_RESET_DEVICE,
    TRB_GET_PORT_BANDWIDTH = 21,
    TRB_NO_OP_COMMAND = 23,
    TRB_TRANSFER_EVENT = 32,
    TRB_COMMAND_COMPLETION = 33,
    TRB_PORT_STATUS_CHANGE = 34,
    TRB_HOST_CONTROLLER = 37,
    TRB_MFINDEX_WRAP = 39,
};

// 6.4.5
enum xhci_completion {
    CC_INVALID = 0,
    CC_SUCCESS = 1,
    CC_BABBLE = 3,
    CC_USB_TRANSACTION = 4,
    CC_TRB = 5,
    CC_STALL = 6,
    CC_NO_SLOTS = 9,
    CC_SLOT_NOT_ENABLED = 11,
    CC_ENDPOINT_NOT_ENABLED = 12,
    CC_SHORT_PACKET = 13,
    CC_PARAMETER = 17,
    CC_CONTEXT_STATE = 19,
    CC_EVENT_RING_FULL = 21,
    CC_COMMAND_RING_STOPPED = 24,
    CC_STOPPED = 26,
};

// Bits of a TRB's control word; the place of others says which TRBs have them.
enum {
    TRB_CYCLE = 1 << 0,
    TRB_TOGGLE_CYCLE = 1 << 1, // link
    TRB_ISP = 1 << 2,
    TRB_EVENT_ED = 1 << 2, // transfer event
    TRB_CHAIN = 1 << 4,
    TRB_IOC = 1 << 5,
    TRB_IDT = 1 << 6,
    TRB_BEI = 1 << 9, // block event interrupt
    TRB_BSR = 1 << 9, // address device
    TRB_DC = 1 << 9,  // configure endpoint
    TRB_TYPE_SHIFT = 10,
    TRB_DIR_IN = 1 << 16, // data and status stage
    TRB_LENGTH_MASK = 0x1ffff,
};

struct xhci_trb {
    uint64_t parameter;
    uint32_t status, control;
};
_Static_assert(sizeof(struct xhci_trb) == XHCI_TRB_SIZE, "layout of 4.11.1");

static inline unsigned xhci_trb_type(const struct xhci_trb *trb)
{
    return trb->control >> TRB_TYPE_SHIFT & 0x3f;
}

enum xhci_slot_state { SLOT_DISABLED, SLOT_DEFAULT, SLOT_ADDRESSED, SLOT_CONFIGURED, SLOT_ENABLED }; // the last is ours
enum xhci_endpoint_state { EP_DISABLED, EP_RUNNING, EP_HALTED, EP_STOPPED, EP_ERROR };

// A consumer's place in a ring of TRBs.
struct xhci_ring {
    uint64_t dequeue;
    bool cycle;
};

struct xhci_slot {
    uint8_t state; // enum xhci_slot_state
    uint8_t port;  // from 1; valid from SLOT_DEFAULT on
    uint64_t context;
};

struct xhci_endpoint {
    uint8_t state; // enum xhci_endpoint_state
    uint8_t type;  // 6.2.3, EP Type
    struct xhci_ring ring;
    uint32_t progress; // bytes of the TD at dequeue that were moved already
};

struct xhci_segment {
    uint64_t base;
    uint32_t size; // TRBs
};

struct xhci_interrupter {
    uint32_t iman, imod, erstsz;
    uint64_t erstba, erdp;
    uint32_t enqueue; // TRBs from the first of the first segment on
    bool cycle, full; // full: and the driver was told
};

struct xhci_port {
    uint32_t portsc;
    bool notify; // a change is to be told
};

struct xhci_slice {
    struct gpa addr;
    uint32_t len;
};

// The TD in hand.
struct xhci_td {
    unsigned count, slices;
    uint32_t length;       // bytes of the slices
    struct xhci_ring next; // behind it
    uint64_t addrs[XHCI_TD_MAX];
    struct xhci_trb trbs[XHCI_TD_MAX];
    struct xhci_slice slice[XHCI_TD_MAX]; // what the device's data goes to or comes from, in guest memory
    struct iovec iov[XHCI_TD_MAX];        // the same here
    uint8_t immediate[XHCI_TD_MAX][8];
};

struct xhci {
    struct pci_device pci;
    struct mem_space *mem;
    struct clock *clock;
    struct loop *loop;
    unsigned ports_2, ports_3;
    struct usb_port connectors[XHCI_MAX_PORTS];

    uint32_t usbcmd, usbsts, dnctrl, config;
    uint64_t dcbaap;
    struct xhci_ring command;
    bool command_running; // CRCR.CRR
    int64_t started;      // clock at which MFINDEX was 0
    struct xhci_port ports[2 * XHCI_MAX_PORTS]; // first those of USB 3
    struct xhci_slot slots[XHCI_SLOTS];
    struct xhci_endpoint endpoints[XHCI_SLOTS * XHCI_ENDPOINTS];
    struct xhci_interrupter interrupters[XHCI_INTERRUPTERS];
    struct xhci_segment segments[XHCI_INTERRUPTERS * XHCI_SEGMENTS]; // of the event rings

    uint32_t kicked[XHCI_SLOTS]; // bit of each DCI that may have work
    bool command_kicked;
    struct loop_call work;   // looks at all that was kicked
    struct loop_timer wrap;  // of MFINDEX
    struct xhci_td td;       // scratch
};

// --- xhci.c ---
// All guest memory goes through these, RAM only. A failure is a host system error (4.10.2.6): the controller halts.
bool xhci_read(struct xhci *x, uint64_t addr, void *buf, uint32_t len);
bool xhci_write(struct xhci *x, uint64_t addr, const void *buf, uint32_t len);
void *xhci_map(struct xhci *x, uint64_t addr, uint32_t len); // NULL: failed
bool xhci_read_trb(struct xhci *x, uint64_t addr, struct xhci_trb *ret_trb);
bool xhci_write_trb(struct xhci *x, uint64_t addr, const struct xhci_trb *trb);
static inline bool xhci_running(const struct xhci *x)
{
    return !(x->usbsts & USBSTS_HCH);
}
void xhci_run(struct xhci *x, bool run);
void xhci_controller_reset(struct xhci *x);
uint32_t xhci_mfindex(const struct xhci *x);
void xhci_arm_wrap(struct xhci *x);
void xhci_kick_all(struct xhci *x); // everything that runs is looked at later
// The TRB at the ring's place, links followed; 1, 0 where the producer has not come yet, or -1 after a host system error
// or more links than there may be. ring stands behind it then.
int xhci_next_trb(struct xhci *x, struct xhci_ring *ring, uint64_t *ret_addr, struct xhci_trb *ret_trb);

// --- xhci_regs.c ---
extern const struct mem_mmio_ops xhci_ops;

// --- xhci_event.c ---
// Whether count events fit; if not, all that was kicked is tried again once the driver has made room.
bool xhci_event_room(struct xhci *x, unsigned interrupter, unsigned count);
// Cycle bit aside; TRB_BEI in it, which an event does not have, keeps it from interrupting.
void xhci_event(struct xhci *x, unsigned interrupter, const struct xhci_trb *event);
void xhci_event_ring_reset(struct xhci *x, unsigned interrupter);
void xhci_write_erdp(struct xhci *x, unsigned interrupter, uint64_t value);
void xhci_update_interrupts(struct xhci *x);
void xhci_event_restored(struct xhci *x);

// --- xhci_port.c ---
extern const struct usb_port_ops xhci_port_ops;
unsigned xhci_port_count(const struct xhci *x);
// The device at a port (from 1) of the root hub, or NULL.
struct usb_device *xhci_port_device(struct xhci *x, unsigned port);
void xhci_port_reset_all(struct xhci *x); // with the controller
void xhci_port_notify(struct xhci *x);    // tells the changes that are still to be told
uint32_t xhci_port_read(const struct xhci *x, unsigned index, unsigned offset);
void xhci_port_write(struct xhci *x, unsigned index, unsigned offset, uint32_t value);
void xhci_port_restored(struct xhci *x);

// --- xhci_command.c ---
void xhci_run_commands(struct xhci *x);

// --- xhci_context.c ---
// What commands do to slots and endpoints; each returns its enum xhci_completion.
unsigned xhci_enable_slot(struct xhci *x, unsigned *ret_slot);
unsigned xhci_disable_slot(struct xhci *x, unsigned slot);
unsigned xhci_address_device(struct xhci *x, unsigned slot, uint64_t input, bool block_set_address);
unsigned xhci_configure_endpoint(struct xhci *x, unsigned slot, uint64_t input, bool deconfigure);
unsigned xhci_evaluate_context(struct xhci *x, unsigned slot, uint64_t input);
unsigned xhci_reset_endpoint(struct xhci *x, unsigned slot, unsigned dci);
unsigned xhci_stop_endpoint(struct xhci *x, unsigned slot, unsigned dci);
unsigned xhci_set_tr_dequeue(struct xhci *x, unsigned slot, unsigned dci, uint64_t dequeue);
unsigned xhci_reset_device(struct xhci *x, unsigned slot);
// The device that a slot (from 1) speaks to, or NULL.
struct usb_device *xhci_slot_device(struct xhci *x, unsigned slot);
void xhci_set_endpoint_state(struct xhci *x, unsigned slot, unsigned dci, unsigned state);

static inline struct xhci_endpoint *xhci_endpoint(struct xhci *x, unsigned slot, unsigned dci)
{
    return &x->endpoints[(slot - 1) * XHCI_ENDPOINTS + dci - 1];
}

// --- xhci_transfer.c ---
void xhci_ring_doorbell(struct xhci *x, unsigned slot, unsigned dci);
void xhci_run_transfers(struct xhci *x); // of all endpoints that were kicked
// The TD that the driver stopped, if there is one, gets its event (4.6.9).
void xhci_report_stopped(struct xhci *x, unsigned slot, unsigned dci);

#endif
