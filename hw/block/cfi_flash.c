// SPDX-License-Identifier: MIT
// Owns the command state of a bank of flash and its array.
//
// Commands are taken from the low byte of a write, whatever its width, and go to all chips of the bank alike, as drivers
// of interleaved chips send them; a status or an identifier is read from all chips, each in its 16 bits of the bus.
// Programming can only clear bits (JESD68 and the data sheet); an erase sets a sector's. Operations are done before the
// next access, so that the status is always ready and there is nothing to suspend.
// Invariants: mem_rom.state is TRAPS exactly while the bank shows something else than its array; at most one request to
// the drive is under way, and what changed meanwhile lies in [dirty_from, dirty_to).
#include "hw/block/cfi_flash.h"
#include "base/bits.h"
#include "base/error.h"
#include "host/block.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    // commands
    READ_ARRAY = 0xff,
    READ_ARRAY_AMD = 0xf0, // the reset of command set 0002, which probes send
    READ_IDENTIFIER = 0x90,
    READ_QUERY = 0x98,
    READ_STATUS = 0x70,
    CLEAR_STATUS = 0x50,
    WORD_PROGRAM = 0x40,
    WORD_PROGRAM_ALIAS = 0x10,
    BLOCK_ERASE = 0x20,
    BLOCK_LOCK = 0x60,
    WRITE_TO_BUFFER = 0xe8,
    CONFIRM = 0xd0,

    // status register
    SR_READY = 0x80,
    SR_ERASE_ERROR = 0x20,
    SR_PROGRAM_ERROR = 0x10,
    SR_LOCKED = 0x02,

    MANUFACTURER = 0x89, // Intel
    CHIP_BITS = 16,
    BUFFER_BITS = 11,                             // log2 of a chip's write buffer, bytes
    BUFFER = CFI_FLASH_CHIPS << BUFFER_BITS,      // of the bank
    CFI_TABLE = 0x40,
};

// What the next write is.
enum step { STEP_COMMAND, STEP_PROGRAM, STEP_ERASE_CONFIRM, STEP_LOCK, STEP_COUNT, STEP_DATA, STEP_CONFIRM };
// What a read gives.
enum show { SHOW_ARRAY, SHOW_STATUS, SHOW_IDENTIFIER, SHOW_QUERY };

struct cfi_flash {
    struct device dev;
    struct mem_rom rom;
    struct mem_space *mem;
    struct mem_ram *ram; // NULL until mapped
    struct block *block;
    uint64_t size, sector;
    bool readonly;
    uint8_t cfi[CFI_TABLE];

    uint8_t step, show, status;
    uint32_t left;             // words still to come into the buffer
    uint64_t buffer_base;      // in the bank
    uint8_t buffer[BUFFER];    // erased where nothing was written
    bool buffer_used;          // buffer_base is set

    struct block_request request;
    struct iovec iov;
    bool busy, flushing;
    uint64_t dirty_from, dirty_to;
};

// --- contents ---

static void write_back(struct cfi_flash *f);

static void written_back(struct block_request *request)
{
    struct cfi_flash *f = request->opaque;
    f->busy = false;
    if (request->result)
        f->status |= SR_PROGRAM_ERROR; // of an operation that looked done already; this is the next chance to say so
    write_back(f);
}

// Starts what is to be done next about the drive: changed bytes, then a flush.
static void write_back(struct cfi_flash *f)
{
    if (f->busy || !f->block)
        return;
    if (f->dirty_from < f->dirty_to) {
        f->iov = (struct iovec){f->ram->host + f->dirty_from, f->dirty_to - f->dirty_from};
        f->request = (struct block_request){.op = BLOCK_WRITE, .offset = f->dirty_from, .iov = &f->iov, .iov_count = 1};
        f->dirty_from = f->size;
        f->dirty_to = 0;
        f->flushing = true;
    } else if (f->flushing) {
        f->request = (struct block_request){.op = BLOCK_FLUSH};
        f->flushing = false;
    } else {
        return;
    }
    f->request.done = written_back;
    f->request.opaque = f;
    f->busy = true;
    block_submit(f->block, &f->request);
}

static void changed(struct cfi_flash *f, uint64_t from, uint64_t to)
{
    f->dirty_from = from < f->dirty_from ? from : f->dirty_from;
    f->dirty_to = to > f->dirty_to ? to : f->dirty_to;
    write_back(f);
}

static void program(struct cfi_flash *f, uint64_t offset, const uint8_t *bytes, uint64_t len)
{
    if (f->readonly) {
        f->status |= SR_PROGRAM_ERROR | SR_LOCKED;
        return;
    }
    uint8_t now[BUFFER];
    memcpy(now, f->ram->host + offset, len);
    for (uint64_t i = 0; i < len; i++)
        now[i] &= bytes[i];
    mem_ram_write(f->mem, f->ram, offset, now, len);
    changed(f, offset, offset + len);
}

static void erase(struct cfi_flash *f, uint64_t offset)
{
    if (f->readonly) {
        f->status |= SR_ERASE_ERROR | SR_LOCKED;
        return;
    }
    uint8_t erased[MEM_PAGE_SIZE];
    memset(erased, 0xff, sizeof erased);
    offset &= ~(f->sector - 1);
    for (uint64_t done = 0; done < f->sector; done += sizeof erased)
        mem_ram_write(f->mem, f->ram, offset + done, erased, sizeof erased);
    changed(f, offset, offset + f->sector);
}

// --- reads ---

static uint16_t identifier(const struct cfi_flash *f, uint64_t word)
{
    switch (word & 0xff) {
    case 0: return MANUFACTURER;
    case 1: return (uint16_t)(f->cfi[0x27] - 1); // as Intel numbers them: 0x18 for 32 MiB chips
    case 2: return f->readonly;                // whether the block is locked
    default: return 0;
    }
}

// What each chip puts on its bits of the bus.
static uint16_t chip_word(const struct cfi_flash *f, uint64_t word)
{
    switch ((enum show)f->show) {
    case SHOW_IDENTIFIER: return identifier(f, word);
    case SHOW_QUERY: return word < CFI_TABLE ? f->cfi[word] : 0;
    default: return f->status;
    }
}

static enum mem_result flash_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    const struct cfi_flash *f = opaque;
    uint64_t value = 0;
    if (f->show == SHOW_ARRAY) {
        memcpy(&value, f->ram->host + offset, size);
    } else {
        uint32_t bus = chip_word(f, offset / CFI_FLASH_BUS);
        bus |= bus << CHIP_BITS;
        value = (bus >> (offset % CFI_FLASH_BUS * 8)) & bits_mask(size * 8);
    }
    *ret_value = value;
    return MEM_OK;
}

// --- writes ---

static void go(struct cfi_flash *f, enum step step, enum show show)
{
    f->step = step;
    f->show = show;
    atomic_store(&f->rom.state, show == SHOW_ARRAY ? MEM_ROM_READS : MEM_ROM_TRAPS);
}

static void command(struct cfi_flash *f, uint8_t value)
{
    switch (value) {
    case WORD_PROGRAM:
    case WORD_PROGRAM_ALIAS: go(f, STEP_PROGRAM, SHOW_STATUS); break;
    case BLOCK_ERASE: go(f, STEP_ERASE_CONFIRM, SHOW_STATUS); break;
    case BLOCK_LOCK: go(f, STEP_LOCK, SHOW_STATUS); break;
    case WRITE_TO_BUFFER:
        f->buffer_used = false;
        memset(f->buffer, 0xff, sizeof f->buffer);
        go(f, STEP_COUNT, SHOW_STATUS);
        break;
    case READ_STATUS: go(f, STEP_COMMAND, SHOW_STATUS); break;
    case READ_IDENTIFIER: go(f, STEP_COMMAND, SHOW_IDENTIFIER); break;
    case READ_QUERY: go(f, STEP_COMMAND, SHOW_QUERY); break;
    case CLEAR_STATUS: f->status = SR_READY; break;
    case READ_ARRAY:
    case READ_ARRAY_AMD: go(f, STEP_COMMAND, SHOW_ARRAY); break;
    default: break; // not of this command set: what is shown stays
    }
}

// A sequence that is not what the data sheet asks for is a command sequence error: both error bits.
static void sequence_error(struct cfi_flash *f)
{
    f->status |= SR_ERASE_ERROR | SR_PROGRAM_ERROR;
    go(f, STEP_COMMAND, SHOW_STATUS);
}

static void fill_buffer(struct cfi_flash *f, uint64_t offset, unsigned size, uint64_t value)
{
    uint64_t base = offset & ~(uint64_t)(BUFFER - 1);
    if (!f->buffer_used) {
        f->buffer_base = base;
        f->buffer_used = true;
    }
    if (base != f->buffer_base) { // a buffer is written to one stretch of the array
        sequence_error(f);
        return;
    }
    memcpy(f->buffer + (offset - base), &value, size);
    if (f->left)
        f->left--;
    else
        f->step = STEP_CONFIRM;
}

static enum mem_result flash_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct cfi_flash *f = opaque;
    uint8_t low = (uint8_t)value, bytes[8];
    memcpy(bytes, &value, sizeof bytes);
    switch ((enum step)f->step) {
    case STEP_COMMAND: command(f, low); break;
    case STEP_PROGRAM:
        program(f, offset, bytes, size);
        go(f, STEP_COMMAND, SHOW_STATUS);
        break;
    case STEP_ERASE_CONFIRM:
        if (low == CONFIRM) {
            erase(f, offset);
            go(f, STEP_COMMAND, SHOW_STATUS);
        } else {
            sequence_error(f);
        }
        break;
    case STEP_LOCK: go(f, STEP_COMMAND, SHOW_STATUS); break; // locks of single blocks are not offered
    case STEP_COUNT:
        f->left = value & 0xffff; // one less than there are
        if (f->left >= BUFFER / CFI_FLASH_BUS)
            sequence_error(f);
        else
            go(f, STEP_DATA, SHOW_STATUS);
        break;
    case STEP_DATA: fill_buffer(f, offset, size, value); break;
    case STEP_CONFIRM:
        if (low == CONFIRM) {
            program(f, f->buffer_base, f->buffer, BUFFER);
            go(f, STEP_COMMAND, SHOW_STATUS);
        } else {
            sequence_error(f);
        }
        break;
    }
    return MEM_OK;
}

static const struct mem_mmio_ops ops = {.read = flash_read, .write = flash_write, .min_size = 1, .max_size = 4};

// --- the device ---

static void fill_cfi(struct cfi_flash *f)
{
    uint64_t blocks = f->size / f->sector, chip_sector = f->sector / CFI_FLASH_CHIPS;
    const uint8_t region[4] = {(uint8_t)(blocks - 1), (uint8_t)((blocks - 1) >> 8), (uint8_t)(chip_sector >> 8),
                               (uint8_t)(chip_sector >> 16)};
    enum { QUERY = 0x10, COMMAND_SET = 0x13, PRIMARY = 0x15, VCC_MIN = 0x1b, TIMES = 0x1f, SIZE = 0x27, PRI = 0x31 };
    memcpy(f->cfi + QUERY, "QRY", 3);
    f->cfi[COMMAND_SET] = 1; // Intel
    f->cfi[PRIMARY] = PRI;
    f->cfi[VCC_MIN] = 0x27; // 2.7 V to 3.6 V
    f->cfi[VCC_MIN + 1] = 0x36;
    memcpy(f->cfi + TIMES, "\x07\x07\x0a\x00\x04\x04\x04\x00", 8); // log2: us a word and a buffer, ms an erase; factors
    f->cfi[SIZE] = (uint8_t)__builtin_ctzll(f->size / CFI_FLASH_CHIPS);
    f->cfi[SIZE + 1] = 2; // x16 and x8
    f->cfi[SIZE + 3] = BUFFER_BITS;
    f->cfi[SIZE + 5] = 1; // region
    memcpy(f->cfi + SIZE + 6, region, sizeof region);
    memcpy(f->cfi + PRI, "PRI10", 5); // no features: nothing can be suspended or locked
}

static void flash_reset(struct device *dev)
{
    struct cfi_flash *f = (struct cfi_flash *)dev;
    f->step = STEP_COMMAND;
    f->show = SHOW_ARRAY;
    f->status = SR_READY;
    f->left = 0;
    f->buffer_base = 0;
    f->buffer_used = false;
    memset(f->buffer, 0xff, sizeof f->buffer);
    atomic_store(&f->rom.state, MEM_ROM_PLAIN);
}

static void contents_read(struct block_request *request)
{
    *(bool *)request->opaque = true;
}

// Waits for len bytes of the drive.
static int read_drive(struct cfi_flash *f, uint64_t offset, void *to, uint64_t len)
{
    bool done = false;
    struct iovec iov = {to, len};
    struct block_request request = {
        .op = BLOCK_READ, .offset = offset, .iov = &iov, .iov_count = 1, .done = contents_read, .opaque = &done};
    block_submit(f->block, &request);
    while (!done)
        block_drain(f->block);
    return request.result;
}

// The array came from the saved state: what the drive has otherwise follows. A drive that cannot be read is written whole.
static void drive_follows(struct cfi_flash *f)
{
    uint8_t piece[MEM_PAGE_SIZE];
    uint64_t from = f->size, to = 0;
    while (f->busy) // what was written before comes first
        block_drain(f->block);
    for (uint64_t at = 0; at < f->size; at += sizeof piece) {
        uint64_t len = f->size - at < sizeof piece ? f->size - at : sizeof piece;
        if (!read_drive(f, at, piece, len) && !memcmp(piece, f->ram->host + at, len))
            continue;
        from = at < from ? at : from;
        to = at + len;
    }
    if (from < to)
        changed(f, from, to);
}

static void flash_post_load(struct device *dev)
{
    struct cfi_flash *f = (struct cfi_flash *)dev;
    if (f->step > STEP_CONFIRM || f->show > SHOW_QUERY || f->left >= BUFFER / CFI_FLASH_BUS ||
        f->buffer_base > f->size - BUFFER || f->buffer_base % BUFFER)
        flash_reset(dev); // no state that this device saves
    atomic_store(&f->rom.state, f->show == SHOW_ARRAY && f->step == STEP_COMMAND ? MEM_ROM_PLAIN : MEM_ROM_TRAPS);
    if (f->ram && f->block && !f->readonly)
        drive_follows(f);
}

static void flash_destroy(struct device *dev)
{
    struct cfi_flash *f = (struct cfi_flash *)dev;
    while (f->busy)
        block_drain(f->block);
    free(f);
}

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_U8, cfi_flash, step),         STATE_FIELD(2, STATE_U8, cfi_flash, show),
    STATE_FIELD(3, STATE_U8, cfi_flash, status),       STATE_FIELD(4, STATE_U32, cfi_flash, left),
    STATE_FIELD(5, STATE_U64, cfi_flash, buffer_base), STATE_FIELD(6, STATE_BOOL, cfi_flash, buffer_used),
    STATE_ARRAY(7, STATE_BYTES, cfi_flash, buffer, BUFFER),
};

static const struct device_class class =
    DEVICE_CLASS("cfi-flash", 1, fields, flash_reset, flash_post_load, flash_destroy, &ops, 0);

int cfi_flash_create(const struct cfi_flash_config *config, struct device **ret_dev, struct error *err)
{
    uint64_t have = config->block ? block_size(config->block) : config->size;
    if (have > config->size || (have < config->size && !config->readonly))
        return error_set(err, -EINVAL, "a flash bank has %" PRIu64 " bytes, and its drive %" PRIu64, config->size, have);
    struct cfi_flash *f = calloc(1, sizeof *f);
    if (!f)
        return error_set(err, -ENOMEM, "out of memory");
    device_init(&f->dev, &class, config->path);
    f->mem = config->mem;
    f->block = config->block;
    f->size = config->size;
    f->sector = config->sector;
    f->readonly = config->readonly;
    f->dirty_from = f->size;
    fill_cfi(f);
    flash_reset(&f->dev);
    *ret_dev = &f->dev;
    return 0;
}

int cfi_flash_map(struct device *dev, const char *name, struct gpa base, struct mem_ram **ret_ram, struct error *err)
{
    struct cfi_flash *f = (struct cfi_flash *)dev;
    int r = mem_add_rom_device(f->mem, name, base, f->size, &ops, f, &f->rom, &f->ram, err);
    if (r)
        return r;
    uint64_t have = f->block ? block_size(f->block) : 0;
    if (have) {
        r = read_drive(f, 0, f->ram->host, have);
        if (r)
            return error_set(err, r, "cannot read the contents of %s: %s", name, strerror(-r));
    }
    memset(f->ram->host + have, 0xff, f->size - have);
    if (ret_ram)
        *ret_ram = f->ram;
    return 0;
}
