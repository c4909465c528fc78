// SPDX-License-Identifier: MIT
// Private to the USB disk: the SCSI unit behind the transport. The transport begins a command, moves what the unit has or
// takes through its buffer, and reads how it ended. Data of reads and writes passes the buffer piece by piece; at most one
// request is at the back end.
#ifndef HW_USB_USB_STORAGE_INTERNAL_H
#define HW_USB_USB_STORAGE_INTERNAL_H

#include "hw/core/device.h"
#include "host/block.h"

enum { SCSI_BUFFER = 1 << 16, SCSI_CDB = 16, SCSI_SERIAL = 36 };

enum scsi_kind {
    SCSI_NONE,       // no data
    SCSI_REPLY,      // the buffer holds it
    SCSI_READ,       // from the disk
    SCSI_WRITE,      // to the disk
    SCSI_PARAMETERS, // a list in the buffer, UNMAP's
};

struct scsi_unit {
    struct block *block;
    char serial[SCSI_SERIAL + 1];
    bool removable, cdrom;
    void (*progressed)(struct scsi_unit *unit); // there is more to move, or the command has ended
    struct block_request request;
    struct iovec iov;
    bool busy, stopping; // a request is at the back end; its answer is not wanted any more

    // The command under way, all of it state.
    uint8_t kind;
    bool ended, failed, flush_after;
    uint64_t offset;   // bytes: where on the disk the next piece is
    uint64_t left;     // bytes that have not passed the back end
    uint32_t filled;   // of the buffer
    uint32_t taken;    // of that, by whom it is for
    uint32_t wanted;   // PARAMETERS: length of the list
    uint16_t unmapped; // descriptors of it that are done
    uint8_t sense_key, asc, ascq; // of the last failure
    uint8_t buffer[SCSI_BUFFER];
};

// For the field table of the device, whose ids from first_ to first_ + 15 it takes.
#define SCSI_UNIT_STATE(first_, type_, member_)                                                              \
    STATE_FIELD((first_), STATE_U8, type_, member_.kind),                                                    \
        STATE_FIELD((first_) + 1, STATE_BOOL, type_, member_.ended),                                         \
        STATE_FIELD((first_) + 2, STATE_BOOL, type_, member_.failed),                                        \
        STATE_FIELD((first_) + 3, STATE_BOOL, type_, member_.flush_after),                                   \
        STATE_FIELD((first_) + 4, STATE_U64, type_, member_.offset),                                         \
        STATE_FIELD((first_) + 5, STATE_U64, type_, member_.left),                                           \
        STATE_FIELD((first_) + 6, STATE_U32, type_, member_.filled),                                         \
        STATE_FIELD((first_) + 7, STATE_U32, type_, member_.taken),                                          \
        STATE_FIELD((first_) + 8, STATE_U32, type_, member_.wanted),                                         \
        STATE_FIELD((first_) + 9, STATE_U16, type_, member_.unmapped),                                       \
        STATE_FIELD((first_) + 10, STATE_U8, type_, member_.sense_key),                                      \
        STATE_FIELD((first_) + 11, STATE_U8, type_, member_.asc),                                            \
        STATE_FIELD((first_) + 12, STATE_U8, type_, member_.ascq),                                           \
        STATE_ARRAY((first_) + 13, STATE_BYTES, type_, member_.buffer, SCSI_BUFFER)

// Begins a command; progressed is not called from within.
void scsi_begin(struct scsi_unit *unit, const uint8_t *cdb, unsigned lun);
static inline bool scsi_gives(const struct scsi_unit *unit)
{
    return unit->kind == SCSI_REPLY || unit->kind == SCSI_READ;
}
static inline bool scsi_takes(const struct scsi_unit *unit)
{
    return unit->kind == SCSI_WRITE || unit->kind == SCSI_PARAMETERS;
}
// Bytes at *ret_at that it gives now (then scsi_moved says how many were taken), or that it takes; 0: none for now.
uint32_t scsi_ready(struct scsi_unit *unit, uint8_t **ret_at);
void scsi_moved(struct scsi_unit *unit, uint32_t count);
// Whether there is data of the command that has not been moved.
bool scsi_expects(const struct scsi_unit *unit);
// The rest of the data will not be moved: the transport has no more room, or no more data.
void scsi_cut(struct scsi_unit *unit);
void scsi_stop(struct scsi_unit *unit); // forgets the command; waits for what is at the back end
void scsi_restored(struct scsi_unit *unit);

// usb_storage_replies.c: what commands that only ask are answered, in the unit's buffer; the size, or 0 where the CDB asks
// for what there is not.
uint32_t scsi_inquiry(struct scsi_unit *unit, const uint8_t *cdb);
uint32_t scsi_mode_sense(struct scsi_unit *unit, const uint8_t *cdb);
uint32_t scsi_sense_data(struct scsi_unit *unit);
uint32_t scsi_capacity_10(struct scsi_unit *unit);
uint32_t scsi_capacity_16(struct scsi_unit *unit);
uint32_t scsi_report_luns(struct scsi_unit *unit);

// usb_storage_cd.c: the same of a CD drive; the last writes a mode page.
uint32_t scsi_read_toc(struct scsi_unit *unit, const uint8_t *cdb);
uint32_t scsi_get_configuration(struct scsi_unit *unit);
uint32_t scsi_get_event_status(struct scsi_unit *unit, const uint8_t *cdb);
uint32_t scsi_capabilities_page(uint8_t *to);

static inline uint64_t scsi_get(const uint8_t *from, unsigned size) // big-endian
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | from[i];
    return value;
}

static inline void scsi_put(uint8_t *to, uint64_t value, unsigned size)
{
    for (unsigned i = size; i-- > 0; value >>= 8)
        to[i] = (uint8_t)value;
}

enum { SCSI_DISK_BITS = 9, SCSI_CD_BITS = 11 }; // logarithm of the block size

static inline unsigned scsi_block_bits(const struct scsi_unit *unit)
{
    return unit->cdrom ? SCSI_CD_BITS : SCSI_DISK_BITS;
}

static inline uint64_t scsi_blocks(const struct scsi_unit *unit)
{
    return block_size(unit->block) >> scsi_block_bits(unit);
}

#endif
