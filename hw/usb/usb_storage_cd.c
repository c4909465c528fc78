// SPDX-License-Identifier: MIT
// Owns what a USB CD drive answers beyond a disk (MMC-5, 6.6, 6.7, 6.26; annex E for the mode page): a disc with one data
// track, always in the drive.
#include "hw/usb/usb_storage_internal.h"

#include <string.h>

enum {
    DATA_TRACK = 0x14, // ADR 1, a data track that must not be copied as audio
    LEAD_OUT = 0xaa,
    TOC_FORMAT = 0,
    TOC_SESSIONS = 1,
    MSF = 2,              // of READ TOC's second byte
    LEAD_IN_FRAMES = 150, // before block 0
    FRAMES = 75,          // a second

    FEATURE_PROFILE_LIST = 0,
    FEATURE_CORE = 1,
    FEATURE_REMOVABLE_MEDIUM = 3,
    CURRENT_PERSISTENT = 3, // both bits, version 0
    PROFILE_CD_ROM = 0x08,
    PROFILE_DVD_ROM = 0x10,
    CD_BLOCKS = 400000, // more are no CD
    USB_INTERFACE = 8,

    EVENT_MEDIA = 4,
    MEDIA_PRESENT = 2,
    POLLED = 1,
};

static void put_address(uint8_t *to, uint32_t block, bool msf)
{
    if (!msf) {
        scsi_put(to, block, 4);
        return;
    }
    uint32_t frames = block + LEAD_IN_FRAMES;
    to[0] = 0;
    to[1] = (uint8_t)(frames / FRAMES / 60);
    to[2] = (uint8_t)(frames / FRAMES % 60);
    to[3] = (uint8_t)(frames % FRAMES);
}

static uint8_t *put_track(uint8_t *to, unsigned number, uint32_t block, bool msf)
{
    to[0] = to[3] = 0;
    to[1] = DATA_TRACK;
    to[2] = (uint8_t)number;
    put_address(to + 4, block, msf);
    return to + 8;
}

uint32_t scsi_read_toc(struct scsi_unit *unit, const uint8_t *cdb)
{
    uint8_t *b = unit->buffer, *at = b + 4;
    unsigned format = cdb[2] & 0xf ? cdb[2] & 0xf : cdb[9] >> 6, from = cdb[6];
    bool msf = cdb[1] & MSF;
    if (format > TOC_SESSIONS || (format == TOC_FORMAT && from > 1 && from != LEAD_OUT))
        return 0;
    b[2] = b[3] = 1; // first and last track, or session
    if (format == TOC_SESSIONS || from <= 1)
        at = put_track(at, 1, 0, msf);
    if (format == TOC_FORMAT)
        at = put_track(at, LEAD_OUT, (uint32_t)scsi_blocks(unit), msf);
    scsi_put(b, (uint64_t)(at - b - 2), 2);
    return (uint32_t)(at - b);
}

uint32_t scsi_get_configuration(struct scsi_unit *unit)
{
    uint8_t *b = unit->buffer;
    bool dvd = scsi_blocks(unit) > CD_BLOCKS;
    const uint8_t features[] = {
        0, FEATURE_PROFILE_LIST,     CURRENT_PERSISTENT, 8, 0, PROFILE_DVD_ROM, dvd, 0, 0, PROFILE_CD_ROM, !dvd, 0,
        0, FEATURE_CORE,             CURRENT_PERSISTENT, 4, 0, 0,               0,   USB_INTERFACE,
        0, FEATURE_REMOVABLE_MEDIUM, CURRENT_PERSISTENT, 4, 1, 0,               0,   0};
    memset(b, 0, 8);
    memcpy(b + 8, features, sizeof features);
    scsi_put(b, 4 + sizeof features, 4);
    scsi_put(b + 6, dvd ? PROFILE_DVD_ROM : PROFILE_CD_ROM, 2);
    return 8 + sizeof features;
}

uint32_t scsi_get_event_status(struct scsi_unit *unit, const uint8_t *cdb)
{
    if (!(cdb[1] & POLLED))
        return 0;
    bool media = cdb[4] & 1 << EVENT_MEDIA;
    const uint8_t reply[] = {0, (uint8_t)(media ? 6 : 2), (uint8_t)(media ? EVENT_MEDIA : 0x80), 1 << EVENT_MEDIA,
                             0, MEDIA_PRESENT, 0, 0};
    memcpy(unit->buffer, reply, sizeof reply);
    return media ? 8 : 4;
}

uint32_t scsi_capabilities_page(uint8_t *to)
{
    static const uint8_t page[22] = {0x2a, 20, 0x0b /* reads CD-R, CD-RW, DVD */, 0,
                                     0x70 /* mode 2, sessions */, 0, 0x29 /* a tray with a lock */, 0};
    memcpy(to, page, sizeof page);
    return sizeof page;
}
