// SPDX-License-Identifier: MIT
// Owns the commands of the USB disk's SCSI unit (SPC-4, SBC-3): what each asks for, the way of its data to and from the
// block back end, and sense data. Invariant: whatever a CDB or a saved state says, no request leaves the disk.
#include "hw/usb/usb_storage_internal.h"

#include <string.h>

enum {
    TEST_UNIT_READY = 0x00,
    REQUEST_SENSE = 0x03,
    READ_6 = 0x08,
    WRITE_6 = 0x0a,
    INQUIRY = 0x12,
    MODE_SENSE_6 = 0x1a,
    START_STOP_UNIT = 0x1b,
    PREVENT_ALLOW_MEDIUM_REMOVAL = 0x1e,
    READ_CAPACITY_10 = 0x25,
    READ_10 = 0x28,
    WRITE_10 = 0x2a,
    VERIFY_10 = 0x2f,
    SYNCHRONIZE_CACHE_10 = 0x35,
    UNMAP = 0x42,
    READ_TOC = 0x43,
    GET_CONFIGURATION = 0x46,
    GET_EVENT_STATUS_NOTIFICATION = 0x4a,
    MODE_SENSE_10 = 0x5a,
    READ_16 = 0x88,
    WRITE_16 = 0x8a,
    VERIFY_16 = 0x8f,
    SYNCHRONIZE_CACHE_16 = 0x91,
    SERVICE_ACTION_IN_16 = 0x9e,
    READ_CAPACITY_16 = 0x10,
    REPORT_LUNS = 0xa0,
    READ_12 = 0xa8,
    WRITE_12 = 0xaa,
    FUA = 1 << 3,
    BYTCHK = 3 << 1,
    UNMAP_HEADER = 8,
    UNMAP_DESCRIPTOR = 16,
};

struct sense {
    uint8_t key, asc, ascq;
};
static const struct sense no_sense = {0, 0, 0}, medium_not_present = {2, 0x3a, 0}, read_error = {3, 0x11, 0},
                          write_error = {3, 0x0c, 0}, invalid_opcode = {5, 0x20, 0}, lba_out_of_range = {5, 0x21, 0},
                          invalid_field = {5, 0x24, 0}, no_such_unit = {5, 0x25, 0}, bad_parameter = {5, 0x26, 0},
                          write_protected = {7, 0x27, 0};

static void set_sense(struct scsi_unit *u, const struct sense *sense)
{
    u->sense_key = sense->key;
    u->asc = sense->asc;
    u->ascq = sense->ascq;
}

static void fail(struct scsi_unit *u, const struct sense *sense)
{
    set_sense(u, sense);
    u->failed = u->ended = true;
    u->left = 0;
    u->filled = u->taken = 0;
}

// --- the back end ---

static void go_on(struct scsi_unit *u);

static void done(struct block_request *request)
{
    struct scsi_unit *u = request->opaque;
    u->busy = false;
    if (u->stopping)
        return;
    if (request->result)
        fail(u, request->op == BLOCK_READ ? &read_error : &write_error);
    else if (request->op == BLOCK_READ || request->op == BLOCK_WRITE) {
        uint32_t moved = (uint32_t)u->iov.iov_len;
        u->offset += moved;
        u->left -= moved;
        u->filled = request->op == BLOCK_READ ? moved : 0;
        u->taken = 0;
    } else if (request->op == BLOCK_DISCARD) {
        u->unmapped++;
    } else {
        u->flush_after = false;
    }
    go_on(u);
    u->progressed(u);
}

static void submit(struct scsi_unit *u, enum block_op op, uint64_t offset, uint64_t len)
{
    u->request = (struct block_request){.op = op, .offset = offset, .done = done, .opaque = u};
    u->iov = (struct iovec){u->buffer, len};
    if (op == BLOCK_READ || op == BLOCK_WRITE) {
        u->request.iov = &u->iov;
        u->request.iov_count = 1;
    } else {
        u->request.len = len;
    }
    u->busy = true;
    block_submit(u->block, &u->request);
}

static bool on_disk(const struct scsi_unit *u, uint64_t offset, uint64_t len)
{
    uint64_t size = scsi_blocks(u) << scsi_block_bits(u);
    return offset <= size && len <= size - offset;
}

static uint32_t piece(const struct scsi_unit *u)
{
    return u->left < SCSI_BUFFER ? (uint32_t)u->left : SCSI_BUFFER;
}

// The next descriptor of UNMAP's list (SBC-3, 5.28).
static void unmap_next(struct scsi_unit *u)
{
    uint32_t length = u->filled < UNMAP_HEADER ? 0 : (uint32_t)scsi_get(u->buffer + 2, 2);
    uint32_t at = UNMAP_HEADER + u->unmapped * UNMAP_DESCRIPTOR;
    if (u->filled && u->filled < UNMAP_HEADER) {
        fail(u, &bad_parameter);
        return;
    }
    if (at + UNMAP_DESCRIPTOR > u->filled || at + UNMAP_DESCRIPTOR > UNMAP_HEADER + length) {
        u->ended = true;
        return;
    }
    uint64_t lba = scsi_get(u->buffer + at, 8), count = scsi_get(u->buffer + at + 8, 4);
    if (lba > scsi_blocks(u) || !on_disk(u, lba << scsi_block_bits(u), count << scsi_block_bits(u)))
        fail(u, &lba_out_of_range);
    else
        submit(u, BLOCK_DISCARD, lba << scsi_block_bits(u), count << scsi_block_bits(u));
}

// Begins what the command has to do next at the back end, or ends it.
static void go_on(struct scsi_unit *u)
{
    if (u->busy || u->ended)
        return;
    switch (u->kind) {
    case SCSI_READ:
        if (u->taken < u->filled)
            return;
        if (!u->left)
            break;
        if (on_disk(u, u->offset, u->left))
            submit(u, BLOCK_READ, u->offset, piece(u));
        else
            fail(u, &lba_out_of_range);
        return;
    case SCSI_WRITE:
        if (!u->left)
            break;
        if (u->filled < piece(u))
            return;
        if (on_disk(u, u->offset, u->left))
            submit(u, BLOCK_WRITE, u->offset, piece(u));
        else
            fail(u, &lba_out_of_range);
        return;
    case SCSI_PARAMETERS:
        if (u->filled >= u->wanted)
            unmap_next(u);
        return;
    case SCSI_REPLY:
        if (u->taken < u->filled)
            return;
        break;
    default: break;
    }
    if (u->flush_after)
        submit(u, BLOCK_FLUSH, 0, 0);
    else
        u->ended = true;
}

// --- moving data ---

uint32_t scsi_ready(struct scsi_unit *u, uint8_t **ret_at)
{
    go_on(u); // after a restore nothing is at the back end
    if (u->busy || u->ended)
        return 0;
    if (scsi_gives(u)) {
        *ret_at = u->buffer + u->taken;
        return u->filled - u->taken;
    }
    *ret_at = u->buffer + u->filled;
    return (u->kind == SCSI_WRITE ? piece(u) : u->kind == SCSI_PARAMETERS ? u->wanted : u->filled) - u->filled;
}

void scsi_moved(struct scsi_unit *u, uint32_t count)
{
    *(scsi_gives(u) ? &u->taken : &u->filled) += count;
    go_on(u);
}

bool scsi_expects(const struct scsi_unit *u)
{
    if (u->ended)
        return false;
    switch (u->kind) {
    case SCSI_REPLY: return u->taken < u->filled;
    case SCSI_READ: return u->taken < u->filled || u->left;
    case SCSI_WRITE: return u->filled < u->left; // what is at the back end is in both
    case SCSI_PARAMETERS: return u->filled < u->wanted;
    default: return false;
    }
}

void scsi_cut(struct scsi_unit *u)
{
    if (u->ended)
        return;
    u->kind = SCSI_NONE;
    u->left = u->busy && u->request.iov_count ? u->iov.iov_len : 0;
    if (!u->busy)
        u->filled = u->taken = 0;
    go_on(u);
}

void scsi_stop(struct scsi_unit *u)
{
    u->stopping = true;
    while (u->busy)
        block_drain(u->block);
    u->stopping = false;
    u->kind = SCSI_NONE;
    u->ended = true;
    u->failed = u->flush_after = false;
    u->left = 0;
    u->filled = u->taken = u->wanted = 0;
}

void scsi_restored(struct scsi_unit *u)
{
    const uint64_t within = (1ull << scsi_block_bits(u)) - 1; // commands and pieces are of whole blocks
    if (u->kind > SCSI_PARAMETERS || u->offset & within || u->left & within || u->filled > SCSI_BUFFER || u->taken > u->filled || u->wanted > SCSI_BUFFER ||
        (u->kind == SCSI_WRITE && u->filled > piece(u)) || (u->kind == SCSI_PARAMETERS && u->filled > u->wanted))
        scsi_stop(u);
}

// --- commands ---

static void transfer(struct scsi_unit *u, enum scsi_kind kind, uint64_t lba, uint64_t count, bool fua)
{
    if (!scsi_blocks(u))
        fail(u, &medium_not_present);
    else if (lba > scsi_blocks(u) || count > scsi_blocks(u) - lba)
        fail(u, &lba_out_of_range);
    else if (kind == SCSI_WRITE && block_readonly(u->block))
        fail(u, &write_protected);
    else {
        u->kind = (uint8_t)(count ? kind : SCSI_NONE);
        u->offset = lba << scsi_block_bits(u);
        u->left = count << scsi_block_bits(u);
        u->flush_after = fua && kind == SCSI_WRITE;
    }
}

static void reply(struct scsi_unit *u, uint32_t size, uint32_t allocation)
{
    if (!size) {
        fail(u, &invalid_field);
        return;
    }
    u->filled = size < allocation ? size : allocation;
    u->kind = u->filled ? SCSI_REPLY : SCSI_NONE;
}

static void begin_unmap(struct scsi_unit *u, const uint8_t *cdb)
{
    if (!block_discards(u->block))
        fail(u, &invalid_opcode);
    else if (block_readonly(u->block))
        fail(u, &write_protected);
    else {
        u->wanted = (uint32_t)scsi_get(cdb + 7, 2);
        u->kind = u->wanted ? SCSI_PARAMETERS : SCSI_NONE;
    }
}

static void about_medium(struct scsi_unit *u, uint32_t (*answer)(struct scsi_unit *), uint32_t allocation)
{
    if (scsi_blocks(u))
        reply(u, answer(u), allocation);
    else
        fail(u, &medium_not_present);
}

// True for the commands that read, write or check blocks.
static bool begin_transfer(struct scsi_unit *u, const uint8_t *c)
{
    uint32_t count_6 = c[4] ? c[4] : 256;
    bool fua = c[1] & FUA;
    switch (c[0]) {
    case READ_6: transfer(u, SCSI_READ, scsi_get(c + 1, 3) & 0x1fffff, count_6, false); return true;
    case WRITE_6: transfer(u, SCSI_WRITE, scsi_get(c + 1, 3) & 0x1fffff, count_6, false); return true;
    case READ_10: transfer(u, SCSI_READ, scsi_get(c + 2, 4), scsi_get(c + 7, 2), fua); return true;
    case WRITE_10: transfer(u, SCSI_WRITE, scsi_get(c + 2, 4), scsi_get(c + 7, 2), fua); return true;
    case READ_12: transfer(u, SCSI_READ, scsi_get(c + 2, 4), scsi_get(c + 6, 4), fua); return true;
    case WRITE_12: transfer(u, SCSI_WRITE, scsi_get(c + 2, 4), scsi_get(c + 6, 4), fua); return true;
    case READ_16: transfer(u, SCSI_READ, scsi_get(c + 2, 8), scsi_get(c + 10, 4), fua); return true;
    case WRITE_16: transfer(u, SCSI_WRITE, scsi_get(c + 2, 8), scsi_get(c + 10, 4), fua); return true;
    case VERIFY_10:
    case VERIFY_16: // of the medium; comparing with data is not offered
        if (c[1] & BYTCHK)
            fail(u, &invalid_field);
        return true;
    default: return false;
    }
}

// True for what only a CD drive knows.
static bool begin_cd(struct scsi_unit *u, const uint8_t *c)
{
    uint32_t allocation = (uint32_t)scsi_get(c + 7, 2);
    if (!u->cdrom)
        return false;
    switch (c[0]) {
    case READ_TOC: reply(u, scsi_read_toc(u, c), allocation); return true;
    case GET_CONFIGURATION: reply(u, scsi_get_configuration(u), allocation); return true;
    case GET_EVENT_STATUS_NOTIFICATION: reply(u, scsi_get_event_status(u, c), allocation); return true;
    default: return false;
    }
}

static void begin(struct scsi_unit *u, const uint8_t *c)
{
    if (begin_transfer(u, c) || begin_cd(u, c))
        return;
    switch (c[0]) {
    case TEST_UNIT_READY:
        if (!scsi_blocks(u))
            fail(u, &medium_not_present);
        break;
    case REQUEST_SENSE:
        reply(u, scsi_sense_data(u), c[4]);
        set_sense(u, &no_sense);
        break;
    case INQUIRY: reply(u, scsi_inquiry(u, c), (uint32_t)scsi_get(c + 3, 2)); break;
    case MODE_SENSE_6: reply(u, scsi_mode_sense(u, c), c[4]); break;
    case MODE_SENSE_10: reply(u, scsi_mode_sense(u, c), (uint32_t)scsi_get(c + 7, 2)); break;
    case START_STOP_UNIT:
    case PREVENT_ALLOW_MEDIUM_REMOVAL: break;
    case READ_CAPACITY_10: about_medium(u, scsi_capacity_10, UINT32_MAX); break;
    case SERVICE_ACTION_IN_16:
        if ((c[1] & 0x1f) == READ_CAPACITY_16)
            about_medium(u, scsi_capacity_16, (uint32_t)scsi_get(c + 10, 4));
        else
            fail(u, &invalid_field);
        break;
    case SYNCHRONIZE_CACHE_10:
    case SYNCHRONIZE_CACHE_16: u->flush_after = !block_readonly(u->block); break;
    case UNMAP: begin_unmap(u, c); break;
    case REPORT_LUNS: reply(u, scsi_report_luns(u), (uint32_t)scsi_get(c + 6, 4)); break;
    default: fail(u, &invalid_opcode); break;
    }
}

void scsi_begin(struct scsi_unit *u, const uint8_t *cdb, unsigned lun)
{
    u->kind = SCSI_NONE;
    u->ended = u->failed = u->flush_after = false;
    u->left = 0;
    u->filled = u->taken = u->wanted = 0;
    u->unmapped = 0;
    if (cdb[0] != REQUEST_SENSE)
        set_sense(u, &no_sense);
    if (lun)
        fail(u, &no_such_unit);
    else
        begin(u, cdb);
    go_on(u);
}
