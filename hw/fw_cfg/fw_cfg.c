// SPDX-License-Identifier: MIT
// Owns the fw_cfg device: data at 0 (1 to 8 bytes, a byte stream), selector at 8 (big-endian), DMA address at
// 16 (big-endian; the write of its low half starts the transfer). Invariant: offset <= size of the selected
// item; reads behind the end give zeros. Items are read-only for the guest, as QEMU's are except for files
// that say otherwise.
#include "hw/fw_cfg/fw_cfg.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    ITEMS = FW_CFG_FILE_FIRST + FW_CFG_FILES,
    DATA = 0,
    SELECTOR = 8,
    DMA_HIGH = 16,
    DMA_LOW = 20,
    DMA_ERROR = 1,
    DMA_READ = 2,
    DMA_SKIP = 4,
    DMA_SELECT = 8,
    DMA_WRITE = 16,
    ID_TRADITIONAL = 1,
    ID_DMA = 2,
};

#define DMA_SIGNATURE 0x51454d5520434647ull // "QEMU CFG"

struct item {
    uint8_t *data;
    uint32_t size;
};

struct fw_cfg {
    struct device dev;
    struct mem_space *mem;
    uint16_t selected;
    uint32_t offset;
    uint64_t dma_addr;
    struct item items[ITEMS];
    char names[FW_CFG_FILES][FW_CFG_NAME];
    unsigned file_count;
};

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_U16, fw_cfg, selected),
    STATE_FIELD(2, STATE_U32, fw_cfg, offset),
    STATE_FIELD(3, STATE_U64, fw_cfg, dma_addr),
};

static const struct item *selected(const struct fw_cfg *f)
{
    static const struct item none;
    return f->selected < ITEMS ? &f->items[f->selected] : &none;
}

static void select_item(struct fw_cfg *f, uint16_t key)
{
    enum { WRITE_CHANNEL = 0x4000 }; // a request to write: no item can be written
    f->selected = key & (uint16_t)~WRITE_CHANNEL;
    f->offset = 0;
}

static uint64_t read_bytes(struct fw_cfg *f, unsigned size)
{
    const struct item *item = selected(f);
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = f->offset < item->size ? item->data[f->offset++] : 0;
        value |= (uint64_t)byte << (8 * i); // lowest address first, whatever the width
    }
    return value;
}

struct dma_access {
    uint32_t control, length;
    uint64_t address;
};

// The part of the item from the offset on, zeros behind it.
static bool dma_read(struct fw_cfg *f, uint64_t address, uint32_t length)
{
    const struct item *item = selected(f);
    uint32_t have = item->size - f->offset < length ? item->size - f->offset : length;
    if (have && mem_write(f->mem, (struct gpa){address}, item->data + f->offset, have, true) != MEM_OK)
        return false;
    f->offset += have;
    static const uint8_t zeros[4096];
    for (uint32_t done = have; done < length;) {
        uint32_t part = length - done < sizeof zeros ? length - done : sizeof zeros;
        if (mem_write(f->mem, (struct gpa){address + done}, zeros, part, true) != MEM_OK)
            return false;
        done += part;
    }
    return true;
}

static void dma(struct fw_cfg *f)
{
    struct dma_access a;
    struct gpa at = {f->dma_addr};
    f->dma_addr = 0;
    if (!mem_host(f->mem, at, sizeof a) || mem_read(f->mem, at, &a, sizeof a, true) != MEM_OK)
        return; // nowhere to say that it failed
    uint32_t control = __builtin_bswap32(a.control), length = __builtin_bswap32(a.length);
    uint64_t address = __builtin_bswap64(a.address);
    uint32_t result = 0;
    if (control & DMA_SELECT)
        select_item(f, (uint16_t)(control >> 16));
    if (control & DMA_READ) {
        // Only RAM takes part, so that a transfer cannot reach a device, this one included.
        if (length && (!mem_host(f->mem, (struct gpa){address}, length) || !dma_read(f, address, length)))
            result = DMA_ERROR;
    } else if (control & DMA_WRITE) {
        result = DMA_ERROR;
    } else if (control & DMA_SKIP) {
        uint32_t left = selected(f)->size - f->offset;
        f->offset += length < left ? length : left;
    }
    a.control = __builtin_bswap32(result);
    mem_write(f->mem, at, &a.control, sizeof a.control, true);
}

static enum mem_result mmio_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct fw_cfg *f = opaque;
    *ret_value = 0;
    if (offset < SELECTOR)
        *ret_value = read_bytes(f, size);
    else if (offset >= DMA_HIGH) { // the signature tells that DMA exists
        uint64_t signature = __builtin_bswap64(DMA_SIGNATURE) >> (8 * (offset - DMA_HIGH));
        *ret_value = size < 8 ? signature & ((1ull << (8 * size)) - 1) : signature;
    }
    return MEM_OK;
}

static enum mem_result mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct fw_cfg *f = opaque;
    if (offset == SELECTOR && size == 2) {
        select_item(f, __builtin_bswap16((uint16_t)value));
    } else if (offset == DMA_HIGH && size == 8) {
        f->dma_addr = __builtin_bswap64(value);
        dma(f);
    } else if (offset == DMA_HIGH && size == 4) {
        f->dma_addr = (uint64_t)__builtin_bswap32((uint32_t)value) << 32;
    } else if (offset == DMA_LOW && size == 4) {
        f->dma_addr |= __builtin_bswap32((uint32_t)value);
        dma(f);
    }
    return MEM_OK;
}

static void reset(struct device *dev)
{
    struct fw_cfg *f = (struct fw_cfg *)dev;
    select_item(f, FW_CFG_SIGNATURE);
    f->dma_addr = 0;
}

// A saved offset may not fit the item that this machine has.
static void post_load(struct device *dev)
{
    struct fw_cfg *f = (struct fw_cfg *)dev;
    if (f->offset > selected(f)->size)
        f->offset = selected(f)->size;
}

static void destroy(struct device *dev)
{
    struct fw_cfg *f = (struct fw_cfg *)dev;
    for (unsigned i = 0; i < ITEMS; i++)
        free(f->items[i].data);
    free(f);
}

static const struct mem_mmio_ops ops = {.read = mmio_read, .write = mmio_write, .min_size = 1, .max_size = 8};
static const struct device_class class =
    DEVICE_CLASS("fw-cfg", 1, fields, reset, post_load, destroy, &ops, FW_CFG_SIZE);

int fw_cfg_add(struct device *dev, enum fw_cfg_key key, const void *data, uint32_t size)
{
    struct fw_cfg *f = (struct fw_cfg *)dev;
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, data, size);
    free(f->items[key].data);
    f->items[key] = (struct item){copy, size};
    return 0;
}

int fw_cfg_add_u16(struct device *dev, enum fw_cfg_key key, uint16_t value)
{
    return fw_cfg_add(dev, key, &value, sizeof value);
}

int fw_cfg_add_u32(struct device *dev, enum fw_cfg_key key, uint32_t value)
{
    return fw_cfg_add(dev, key, &value, sizeof value);
}

int fw_cfg_add_u64(struct device *dev, enum fw_cfg_key key, uint64_t value)
{
    return fw_cfg_add(dev, key, &value, sizeof value);
}

// The directory: a count, then entries of size, key, a reserved word and the name, all big-endian, sorted by
// name.
static int update_directory(struct fw_cfg *f)
{
    struct entry {
        uint32_t size;
        uint16_t select, reserved;
        char name[FW_CFG_NAME];
    } entry;
    enum { COUNT = 4 };
    uint8_t dir[COUNT + FW_CFG_FILES * sizeof entry];
    uint32_t count = __builtin_bswap32(f->file_count);
    memcpy(dir, &count, COUNT);
    for (unsigned i = 0; i < f->file_count; i++) {
        entry = (struct entry){.size = __builtin_bswap32(f->items[FW_CFG_FILE_FIRST + i].size),
                               .select = __builtin_bswap16((uint16_t)(FW_CFG_FILE_FIRST + i))};
        memcpy(entry.name, f->names[i], FW_CFG_NAME);
        memcpy(dir + COUNT + i * sizeof entry, &entry, sizeof entry);
    }
    return fw_cfg_add(&f->dev, FW_CFG_FILE_DIR, dir, (uint32_t)(COUNT + f->file_count * sizeof entry));
}

int fw_cfg_add_file(struct device *dev, const char *name, const void *data, uint32_t size, struct error *err)
{
    struct fw_cfg *f = (struct fw_cfg *)dev;
    unsigned at = 0;
    if (!*name || strlen(name) >= FW_CFG_NAME)
        return error_set(err, -ENAMETOOLONG, "fw_cfg: the name '%s' is not of 1 to %d characters", name,
                         FW_CFG_NAME - 1);
    if (f->file_count == FW_CFG_FILES)
        return error_set(err, -ENOSPC, "fw_cfg: there is room for %d files", FW_CFG_FILES);
    while (at < f->file_count && strcmp(f->names[at], name) < 0)
        at++;
    if (at < f->file_count && !strcmp(f->names[at], name))
        return error_set(err, -EEXIST, "fw_cfg: there are two files '%s'", name);
    unsigned behind = f->file_count - at;
    memmove(f->names[at + 1], f->names[at], behind * sizeof f->names[0]);
    memmove(&f->items[FW_CFG_FILE_FIRST + at + 1], &f->items[FW_CFG_FILE_FIRST + at],
            behind * sizeof f->items[0]);
    memset(f->names[at], 0, FW_CFG_NAME);
    strcpy(f->names[at], name);
    f->items[FW_CFG_FILE_FIRST + at] = (struct item){0};
    f->file_count++;
    int r = fw_cfg_add(dev, (enum fw_cfg_key)(FW_CFG_FILE_FIRST + at), data, size);
    if (!r)
        r = update_directory(f);
    return r ? error_set(err, r, "out of memory") : 0;
}

int fw_cfg_create(const struct fw_cfg_config *config, struct device **ret_dev, struct error *err)
{
    struct fw_cfg *f = calloc(1, sizeof *f);
    if (!f)
        return error_set(err, -ENOMEM, "out of memory");
    device_init(&f->dev, &class, config->path);
    f->mem = config->mem;
    int r = fw_cfg_add(&f->dev, FW_CFG_SIGNATURE, "QEMU", 4);
    if (!r)
        r = fw_cfg_add_u32(&f->dev, FW_CFG_ID, ID_TRADITIONAL | ID_DMA);
    if (!r)
        r = update_directory(f);
    if (r) {
        destroy(&f->dev);
        return error_set(err, r, "out of memory");
    }
    *ret_dev = &f->dev;
    return 0;
}
