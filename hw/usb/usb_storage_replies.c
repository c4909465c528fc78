// SPDX-License-Identifier: MIT
// Owns the answers of commands that only ask about the unit: INQUIRY with its vital product data, MODE SENSE, READ
// CAPACITY, REQUEST SENSE, REPORT LUNS (SPC-4, 6 and 7; SBC-3, 5 and 6).
#include "hw/usb/usb_storage_internal.h"

#include <stdio.h>
#include <string.h>

enum {
    VERSION_SPC_3 = 5,
    INQUIRY_SIZE = 36,
    VPD_SUPPORTED_PAGES = 0x00,
    VPD_UNIT_SERIAL_NUMBER = 0x80,
    VPD_DEVICE_IDENTIFICATION = 0x83,
    VPD_BLOCK_LIMITS = 0xb0,
    VPD_BLOCK_DEVICE_CHARACTERISTICS = 0xb1,
    VPD_LOGICAL_BLOCK_PROVISIONING = 0xb2,
    UNMAP_DESCRIPTORS = 255,
    NON_ROTATING = 1,
    PHYSICAL_BITS = 12, // 4 KiB, what the host's files are made of
    PERIPHERAL_CD = 5,

    MODE_CACHING = 0x08,
    MODE_CONTROL = 0x0a,
    MODE_CAPABILITIES = 0x2a,
    MODE_ALL = 0x3f,
    MODE_SENSE_6 = 0x1a,
    WRITE_PROTECTED = 0x80,
    DPOFUA = 0x10,
    WRITE_CACHE_ENABLED = 1 << 2,
    SENSE_SIZE = 18,
    SENSE_CURRENT_FIXED = 0x70,
};

// --- INQUIRY ---

static void put_text(uint8_t *to, const char *text, unsigned width)
{
    memset(to, ' ', width);
    for (unsigned i = 0; i < width && text[i]; i++)
        to[i] = (uint8_t)text[i];
}

static uint32_t block_limits(struct scsi_unit *unit, uint8_t *page)
{
    bool unmap = block_discards(unit->block);
    scsi_put(page + 6, 1u << (PHYSICAL_BITS - scsi_block_bits(unit)), 2); // optimal granularity
    if (unmap) {
        scsi_put(page + 20, UINT32_MAX, 4);
        scsi_put(page + 24, UNMAP_DESCRIPTORS, 4);
        scsi_put(page + 28, block_granule(unit->block) >> scsi_block_bits(unit), 4);
    }
    return 0x3c;
}

// Length of the page's contents, which begin at page + 4; 0: there is no such page.
static uint32_t vital_product_data(struct scsi_unit *unit, unsigned number, uint8_t *page)
{
    static const uint8_t pages[] = {VPD_SUPPORTED_PAGES,
                                    VPD_UNIT_SERIAL_NUMBER,
                                    VPD_DEVICE_IDENTIFICATION,
                                    VPD_BLOCK_LIMITS,
                                    VPD_BLOCK_DEVICE_CHARACTERISTICS,
                                    VPD_LOGICAL_BLOCK_PROVISIONING};
    const unsigned of_both = 3; // the others are a disk's
    size_t serial = strlen(unit->serial);
    if (unit->cdrom && number >= VPD_BLOCK_LIMITS)
        return 0;
    switch (number) {
    case VPD_SUPPORTED_PAGES:
        memcpy(page + 4, pages, sizeof pages);
        return unit->cdrom ? of_both : sizeof pages;
    case VPD_UNIT_SERIAL_NUMBER: memcpy(page + 4, unit->serial, serial); return (uint32_t)serial;
    case VPD_DEVICE_IDENTIFICATION:
        page[4] = 2; // ASCII
        page[5] = 1; // of the unit, a vendor's identifier
        page[7] = (uint8_t)(8 + serial);
        put_text(page + 8, "QEMU", 8);
        memcpy(page + 16, unit->serial, serial);
        return (uint32_t)(12 + serial);
    case VPD_BLOCK_LIMITS: return block_limits(unit, page);
    case VPD_BLOCK_DEVICE_CHARACTERISTICS: scsi_put(page + 4, NON_ROTATING, 2); return 0x3c;
    case VPD_LOGICAL_BLOCK_PROVISIONING:
        page[5] = block_discards(unit->block) ? 0x80 : 0; // LBPU
        page[6] = block_discards(unit->block) ? 2 : 0;    // thin
        return 4;
    default: return 0;
    }
}

uint32_t scsi_inquiry(struct scsi_unit *unit, const uint8_t *cdb)
{
    uint8_t *b = unit->buffer;
    memset(b, 0, 256);
    if (cdb[1] & 1) {
        uint32_t length = vital_product_data(unit, cdb[2], b);
        b[0] = unit->cdrom ? PERIPHERAL_CD : 0;
        b[1] = cdb[2];
        scsi_put(b + 2, length, 2);
        return length ? length + 4 : 0;
    }
    if (cdb[2])
        return 0;
    b[0] = unit->cdrom ? PERIPHERAL_CD : 0;
    b[1] = unit->removable || unit->cdrom ? 0x80 : 0;
    b[2] = VERSION_SPC_3;
    b[3] = 2; // response data format
    b[4] = INQUIRY_SIZE - 5;
    put_text(b + 8, "QEMU", 8);
    put_text(b + 16, unit->cdrom ? "QEMU CD-ROM" : "QEMU HARDDISK", 16);
    put_text(b + 32, "2.5+", 4);
    return INQUIRY_SIZE;
}

// --- MODE SENSE ---

static uint32_t put_page(const struct scsi_unit *unit, uint8_t *to, unsigned page, bool changeable)
{
    static const struct {
        uint8_t page, size;
    } pages[] = {{MODE_CACHING, 20}, {MODE_CONTROL, 12}};
    uint32_t size = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        if (page != MODE_ALL && page != pages[i].page)
            continue;
        to[size] = pages[i].page;
        to[size + 1] = (uint8_t)(pages[i].size - 2);
        if (pages[i].page == MODE_CACHING && !changeable)
            to[size + 2] = WRITE_CACHE_ENABLED;
        size += pages[i].size;
    }
    if (unit->cdrom && !changeable && (page == MODE_ALL || page == MODE_CAPABILITIES))
        size += scsi_capabilities_page(to + size);
    return size;
}

uint32_t scsi_mode_sense(struct scsi_unit *unit, const uint8_t *cdb)
{
    uint8_t *b = unit->buffer;
    bool small = cdb[0] == MODE_SENSE_6, no_descriptor = cdb[1] & 8;
    unsigned header = small ? 4 : 8, descriptor = no_descriptor ? 0 : 8, control = cdb[2] >> 6;
    enum { CHANGEABLE = 1, SAVED = 3 };
    if (control == SAVED || (cdb[3] && cdb[3] != 0xff))
        return 0;
    memset(b, 0, 256);
    uint32_t pages = put_page(unit, b + header + descriptor, cdb[2] & 0x3f, control == CHANGEABLE);
    if (!pages)
        return 0;
    uint32_t size = header + descriptor + pages;
    uint8_t parameter = (uint8_t)((block_readonly(unit->block) ? WRITE_PROTECTED : 0) | DPOFUA);
    uint64_t blocks = scsi_blocks(unit);
    scsi_put(b, small ? size - 1 : size - 2, small ? 1 : 2);
    b[small ? 2 : 3] = parameter;
    b[small ? 3 : 7] = (uint8_t)descriptor;
    if (descriptor) {
        scsi_put(b + header, blocks <= UINT32_MAX ? blocks : UINT32_MAX, 4);
        scsi_put(b + header + 5, 1u << scsi_block_bits(unit), 3);
    }
    return size;
}

// --- the rest ---

uint32_t scsi_sense_data(struct scsi_unit *unit)
{
    uint8_t *b = unit->buffer;
    memset(b, 0, SENSE_SIZE);
    b[0] = SENSE_CURRENT_FIXED;
    b[2] = unit->sense_key;
    b[7] = SENSE_SIZE - 8;
    b[12] = unit->asc;
    b[13] = unit->ascq;
    return SENSE_SIZE;
}

uint32_t scsi_capacity_10(struct scsi_unit *unit)
{
    uint64_t last = scsi_blocks(unit) - 1;
    scsi_put(unit->buffer, last < UINT32_MAX ? last : UINT32_MAX, 4);
    scsi_put(unit->buffer + 4, 1u << scsi_block_bits(unit), 4);
    return 8;
}

uint32_t scsi_capacity_16(struct scsi_unit *unit)
{
    memset(unit->buffer, 0, 32);
    scsi_put(unit->buffer, scsi_blocks(unit) - 1, 8);
    scsi_put(unit->buffer + 8, 1u << scsi_block_bits(unit), 4);
    unit->buffer[13] = (uint8_t)(PHYSICAL_BITS - scsi_block_bits(unit));
    unit->buffer[14] = block_discards(unit->block) ? 0x80 : 0; // LBPME
    return 32;
}

uint32_t scsi_report_luns(struct scsi_unit *unit)
{
    memset(unit->buffer, 0, 16);
    scsi_put(unit->buffer, 8, 4); // one of 8 bytes: LUN 0
    return 16;
}
