// SPDX-License-Identifier: MIT
// Owns the bulk-only transport: command and status wrappers, and what becomes of data when host and unit do not agree on
// how much of it there is (Bulk-Only Transport 1.0, 5 and 6). A unit that has less than the host wants ends with a short
// packet; what the host has too much of is taken and dropped.
#include "hw/usb/usb_storage.h"
#include "base/error.h"
#include "hw/usb/usb_storage_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BULK_IN = 1 | USB_DIR_IN,
    BULK_OUT = 2,
    BULK_ONLY_RESET = 0xff,
    GET_MAX_LUN = 0xfe,
    CBW_SIGNATURE = 0x43425355,
    CSW_SIGNATURE = 0x53425355,
    CBW_SIZE = 31,
    CSW_SIZE = 13,
    FLAG_IN = 0x80,
    STATUS_PASSED = 0,
    STATUS_FAILED = 1,
    STATUS_PHASE_ERROR = 2,
};

enum phase {
    PHASE_COMMAND,
    PHASE_IN,     // the host reads data
    PHASE_OUT,    // the host writes data
    PHASE_STATUS, // a CSW is or will be there
    PHASE_LOST,   // after a bad CBW, until a reset (6.6.1)
};

struct cbw {
    uint32_t signature, tag, length;
    uint8_t flags, lun, cdb_length, cdb[SCSI_CDB];
} __attribute__((packed));
struct csw {
    uint32_t signature, tag, residue;
    uint8_t status;
} __attribute__((packed));
_Static_assert(sizeof(struct cbw) == CBW_SIZE && sizeof(struct csw) == CSW_SIZE, "layouts of 5.1 and 5.2");

struct usb_storage {
    struct usb_device udev;
    struct scsi_unit unit;
    uint8_t phase; // enum phase
    bool mismatch; // of directions, or the unit has more than the host
    uint32_t tag;
    uint32_t left;    // bytes that the host still moves
    uint32_t residue; // dCSWDataResidue: bytes that it did not get, or that nobody used
};

static const struct state_field fields[] = {
    USB_STATE(usb_storage, udev),
    SCSI_UNIT_STATE(16, usb_storage, unit),
    STATE_FIELD(40, STATE_U8, usb_storage, phase),
    STATE_FIELD(41, STATE_BOOL, usb_storage, mismatch),
    STATE_FIELD(42, STATE_U32, usb_storage, tag),
    STATE_FIELD(43, STATE_U32, usb_storage, left),
    STATE_FIELD(44, STATE_U32, usb_storage, residue),
};

static void progressed(struct scsi_unit *unit)
{
    struct usb_storage *s = (struct usb_storage *)((uint8_t *)unit - offsetof(struct usb_storage, unit));
    usb_wakeup(&s->udev, BULK_IN);
    usb_wakeup(&s->udev, BULK_OUT);
}

// --- phases ---

static enum usb_status lose(struct usb_storage *s)
{
    s->phase = PHASE_LOST;
    usb_halt(&s->udev, BULK_IN);
    usb_halt(&s->udev, BULK_OUT);
    return USB_STALL;
}

static enum usb_status take_command(struct usb_storage *s, struct usb_transfer *t)
{
    struct cbw cbw;
    if (t->length != CBW_SIZE || usb_get(t, &cbw, sizeof cbw) != CBW_SIZE || cbw.signature != CBW_SIGNATURE ||
        !cbw.cdb_length || cbw.cdb_length > SCSI_CDB)
        return lose(s);
    memset(cbw.cdb + cbw.cdb_length, 0, SCSI_CDB - cbw.cdb_length);
    bool in = cbw.flags & FLAG_IN;
    s->tag = cbw.tag;
    s->left = s->residue = cbw.length;
    s->phase = !cbw.length ? PHASE_STATUS : in ? PHASE_IN : PHASE_OUT;
    scsi_begin(&s->unit, cbw.cdb, cbw.lun & 0xf);
    s->mismatch = cbw.length ? (in ? scsi_takes(&s->unit) : scsi_gives(&s->unit))
                             : scsi_takes(&s->unit) || scsi_gives(&s->unit);
    if (s->mismatch)
        scsi_cut(&s->unit);
    return USB_OK;
}

// The data phase is over as far as the host is concerned.
static void end_data(struct usb_storage *s)
{
    s->phase = PHASE_STATUS;
    if (!scsi_expects(&s->unit))
        return;
    s->mismatch = true;
    scsi_cut(&s->unit);
}

static enum usb_status give_data(struct usb_storage *s, struct usb_transfer *t)
{
    while (t->actual < t->length && s->left) {
        uint8_t *at;
        uint32_t ready = scsi_ready(&s->unit, &at), room = t->length - t->actual;
        if (!ready && !s->unit.ended && scsi_gives(&s->unit))
            return USB_NAK;
        if (!ready) { // there is no more: a short packet
            end_data(s);
            return USB_OK;
        }
        ready = ready < s->left ? ready : s->left;
        ready = ready < room ? ready : room;
        usb_put(t, at, ready);
        s->left -= ready;
        s->residue -= ready;
        scsi_moved(&s->unit, ready);
    }
    if (!s->left)
        end_data(s);
    return USB_OK;
}

static enum usb_status take_data(struct usb_storage *s, struct usb_transfer *t)
{
    while (t->actual < t->length && s->left) {
        uint8_t *at, dropped[512];
        uint32_t ready = scsi_ready(&s->unit, &at), room = t->length - t->actual;
        bool drop = s->unit.ended || !scsi_takes(&s->unit);
        if (!ready && !drop && s->unit.busy)
            return USB_NAK;
        if (!ready) {
            ready = sizeof dropped;
            at = dropped;
            drop = true;
        }
        ready = ready < s->left ? ready : s->left;
        ready = ready < room ? ready : room;
        usb_get(t, at, ready);
        s->left -= ready;
        if (drop)
            continue;
        s->residue -= ready;
        scsi_moved(&s->unit, ready);
    }
    if (!s->left)
        end_data(s);
    return USB_OK;
}

static enum usb_status give_status(struct usb_storage *s, struct usb_transfer *t)
{
    uint8_t *at;
    scsi_ready(&s->unit, &at); // what a restore interrupted goes on
    if (!s->unit.ended)
        return USB_NAK;
    if (t->length < CSW_SIZE)
        return USB_BABBLE;
    const struct csw csw = {.signature = CSW_SIGNATURE,
                            .tag = s->tag,
                            .residue = s->residue,
                            .status = s->mismatch      ? STATUS_PHASE_ERROR
                                      : s->unit.failed ? STATUS_FAILED
                                                       : STATUS_PASSED};
    usb_put(t, &csw, sizeof csw);
    s->phase = PHASE_COMMAND;
    usb_wakeup(&s->udev, BULK_OUT);
    return USB_OK;
}

static enum usb_status transfer(struct usb_device *udev, struct usb_transfer *t)
{
    struct usb_storage *s = (struct usb_storage *)udev;
    bool in = t->endpoint == BULK_IN;
    switch (s->phase) {
    case PHASE_COMMAND: return in ? USB_NAK : take_command(s, t);
    case PHASE_IN: return in ? give_data(s, t) : USB_NAK;
    case PHASE_OUT: return in ? USB_NAK : take_data(s, t);
    case PHASE_STATUS: return in ? give_status(s, t) : USB_NAK;
    default: return lose(s);
    }
}

static void forget_command(struct usb_storage *s)
{
    scsi_stop(&s->unit);
    s->phase = PHASE_COMMAND;
    s->mismatch = false;
    s->tag = s->left = s->residue = 0;
}

static enum usb_status control(struct usb_device *udev, const struct usb_setup *setup, uint8_t *data, uint32_t *length)
{
    struct usb_storage *s = (struct usb_storage *)udev;
    const unsigned interface = USB_TYPE_CLASS | USB_RECIP_INTERFACE;
    if (setup->wIndex)
        return USB_STALL;
    if (setup->bmRequestType == (USB_DIR_IN | interface) && setup->bRequest == GET_MAX_LUN) {
        data[0] = 0;
        *length = 1;
        return USB_OK;
    }
    if (setup->bmRequestType == interface && setup->bRequest == BULK_ONLY_RESET) {
        forget_command(s);
        return USB_OK;
    }
    return USB_STALL;
}

static void bus_reset(struct usb_device *udev)
{
    forget_command((struct usb_storage *)udev);
}

static const struct usb_device_ops ops = {control, transfer, bus_reset};

// --- life ---

static void reset(struct device *dev)
{
    struct usb_storage *s = (struct usb_storage *)dev;
    usb_bus_reset(&s->udev);
    s->unit.sense_key = s->unit.asc = s->unit.ascq = 0;
    s->unit.offset = 0;
    s->unit.unmapped = 0;
}

static void quiesce(struct device *dev)
{
    struct usb_storage *s = (struct usb_storage *)dev;
    while (s->unit.busy) // an answer may let the next request out
        block_drain(s->unit.block);
}

// A saved state may hold anything.
static void post_load(struct device *dev)
{
    struct usb_storage *s = (struct usb_storage *)dev;
    usb_device_restored(&s->udev);
    scsi_restored(&s->unit);
    if (s->phase > PHASE_LOST)
        s->phase = PHASE_LOST;
}

static void destroy(struct device *dev)
{
    struct usb_storage *s = (struct usb_storage *)dev;
    usb_detach(&s->udev);
    scsi_stop(&s->unit);
    free(s);
}

static const struct device_class class =
    DEVICE_CLASS_QUIESCED("usb-storage", 1, fields, reset, post_load, destroy, NULL, 0, quiesce);

static const struct usb_endpoint_table endpoints[] = {
    {.address = BULK_IN,
     .attributes = USB_ENDPOINT_BULK,
     .at = {[USB_SPEED_FULL] = {64, 0, 0}, [USB_SPEED_HIGH] = {512, 0, 0}, [USB_SPEED_SUPER] = {1024, 0, 15}}},
    {.address = BULK_OUT,
     .attributes = USB_ENDPOINT_BULK,
     .at = {[USB_SPEED_FULL] = {64, 0, 0}, [USB_SPEED_HIGH] = {512, 0, 0}, [USB_SPEED_SUPER] = {1024, 0, 15}}},
};
static const struct usb_model model = {.vendor = 0x46f4,
                                       .product = 0x0001,
                                       .manufacturer_name = "QEMU",
                                       .product_name = "QEMU USB HARDDRIVE",
                                       .interface_class = 8, // mass storage
                                       .subclass = 6,        // SCSI transparent
                                       .protocol = 0x50,     // bulk-only
                                       .attributes = 1 << 6, // its own power
                                       .endpoints = endpoints,
                                       .endpoint_count = ARRAY_SIZE(endpoints)};

int usb_storage_create(const struct usb_storage_config *config, struct usb_device **ret_udev, struct error *err)
{
    struct usb_storage *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, -ENOMEM, "out of memory");
    // A serial number has at least 12 characters (4.1.1).
    usb_device_init(&s->udev, &class, config->path, &model, &ops, config->serial ? config->serial : "000000000001");
    snprintf(s->unit.serial, sizeof s->unit.serial, "%.*s", SCSI_SERIAL, s->udev.serial);
    s->unit.block = config->block;
    s->unit.removable = config->removable;
    s->unit.cdrom = config->cdrom;
    s->unit.progressed = progressed;
    device_reset(&s->udev.dev);
    *ret_udev = &s->udev;
    return 0;
}
