// SPDX-License-Identifier: MIT
// A USB disk behind a controller: commands in their wrappers, data in pieces of any size, hosts and units that do not
// agree, errors, resets with a request in flight, and a state saved in the middle of a transfer.
#include "base/error.h"
#include "host/block.h"
#include "hw/core/state.h"
#include "hw/usb/usb_storage.h"
#include "tests/usb/rig.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EP_BULK_OUT = 2, EP_BULK_IN = 6, IN = 3, OUT = 4 /* DCIs */, SECTORS = 1024, CBW = RIG_DATA + 0x100000,
       CSW = RIG_DATA + 0x100100, PASSED = 0, FAILED = 1, PHASE_ERROR = 2 };

struct bench {
    struct rig rig;
    struct block *block;
    struct usb_device *udev;
    unsigned slot;
    char path[64];
    uint8_t *content;
};

static void setup_as(struct bench *b, bool readonly, bool start, bool cdrom)
{
    rig_setup(&b->rig, 2, 2);
    strcpy(b->path, "/tmp/usb_storage_test.XXXXXX");
    b->content = malloc(SECTORS * 512);
    for (unsigned i = 0; i < SECTORS * 512; i++)
        b->content[i] = (uint8_t)(i * 7 + (i >> 9));
    int fd = mkstemp(b->path);
    cr_assert(fd >= 0 && write(fd, b->content, SECTORS * 512) == SECTORS * 512);
    close(fd);
    const struct block_config block = {.path = b->path, .readonly = readonly, .discard = !readonly, .loop = b->rig.loop};
    cr_assert_eq(block_open_raw(&block, &b->block, NULL), 0);
    const struct usb_storage_config config = {.path = "/disk", .block = b->block, .serial = "serial-number-1", .cdrom = cdrom};
    cr_assert_eq(usb_storage_create(&config, &b->udev, NULL), 0);
    cr_assert(usb_attach(xhci_connector(b->rig.pdev, 1), b->udev));
    cr_assert_eq(b->udev->speed, USB_SPEED_SUPER);
    if (!start)
        return;
    rig_start(&b->rig, 1);
    b->slot = rig_address(&b->rig, 1);
    rig_set_configuration(&b->rig, b->slot);
    cr_assert_eq(rig_configure(&b->rig, b->slot, IN, EP_BULK_IN), CC_SUCCESS);
    cr_assert_eq(rig_configure(&b->rig, b->slot, OUT, EP_BULK_OUT), CC_SUCCESS);
}

static void setup(struct bench *b, bool readonly, bool start)
{
    setup_as(b, readonly, start, false);
}

static void teardown(struct bench *b)
{
    device_destroy(&b->udev->dev);
    block_close(b->block);
    rig_teardown(&b->rig);
    unlink(b->path);
    free(b->content);
}

// Waits for the disk, which answers from another thread.
static struct rig_event wait_event(struct bench *b)
{
    struct rig_event event = rig_transfer_event(&b->rig);
    for (int i = 0; !event.type && i < 1000; i++) {
        loop_once(b->rig.loop, 10000000);
        event = rig_transfer_event(&b->rig);
    }
    cr_assert(event.type, "the disk does not answer");
    return event;
}

static struct rig_event bulk(struct bench *b, unsigned dci, uint64_t addr, uint32_t len)
{
    rig_transfer(&b->rig, b->slot, dci, addr, len);
    return wait_event(b);
}

static void send_command(struct bench *b, const uint8_t *cdb, unsigned cdb_len, bool in, uint32_t len)
{
    uint8_t *cbw = rig_at(&b->rig, CBW);
    memset(cbw, 0, 31);
    memcpy(cbw, "USBCtag0", 8);
    memcpy(cbw + 8, &len, 4);
    cbw[12] = in ? 0x80 : 0;
    cbw[14] = (uint8_t)cdb_len;
    memcpy(cbw + 15, cdb, cdb_len);
    cr_assert_eq(bulk(b, OUT, CBW, 31).code, CC_SUCCESS);
}

static unsigned read_status(struct bench *b, uint32_t wanted_residue)
{
    const uint8_t *csw = rig_at(&b->rig, CSW);
    uint32_t residue;
    cr_assert_eq(bulk(b, IN, CSW, 13).code, CC_SUCCESS);
    memcpy(&residue, csw + 8, 4);
    cr_expect(!memcmp(csw, "USBStag0", 8));
    cr_expect_eq(residue, wanted_residue);
    return csw[12];
}

// A command whose data is one TD; its status.
static unsigned command(struct bench *b, const uint8_t *cdb, unsigned cdb_len, bool in, uint32_t len, uint32_t residue)
{
    send_command(b, cdb, cdb_len, in, len);
    if (len)
        bulk(b, in ? IN : OUT, RIG_DATA, len);
    return read_status(b, residue);
}

static void check_sense(struct bench *b, unsigned key, unsigned asc)
{
    const uint8_t cdb[6] = {0x03, 0, 0, 0, 18, 0}, *sense = rig_at(&b->rig, RIG_DATA);
    cr_expect_eq(command(b, cdb, 6, true, 18, 0), PASSED);
    cr_expect(sense[2] == key && sense[12] == asc, "sense %x/%x, not %x/%x", sense[2], sense[12], key, asc);
}

static void rw_10(uint8_t cdb[10], bool write, uint32_t lba, unsigned count)
{
    memcpy(cdb, ((const uint8_t[]){write ? 0x2a : 0x28, 0, 0, 0, (uint8_t)(lba >> 8), (uint8_t)lba, 0,
                                   (uint8_t)(count >> 8), (uint8_t)count, 0}),
           10);
}

Test(storage, what_it_is)
{
    struct bench b;
    setup(&b, false, true);
    const uint8_t *data = rig_at(&b.rig, RIG_DATA);
    cr_expect_eq(command(&b, (const uint8_t[6]){0x12, 0, 0, 0, 36}, 6, true, 36, 0), PASSED);
    cr_expect(!data[0] && data[4] == 31 && !memcmp(data + 8, "QEMU    QEMU HARDDISK", 21));
    cr_expect_eq(command(&b, (const uint8_t[6]){0x12, 1, 0x80, 0, 255}, 6, true, 255, 255 - 19), PASSED);
    cr_expect(data[3] == 15 && !memcmp(data + 4, "serial-number-1", 15));
    for (unsigned page = 0; page < 256; page++) {
        bool there = page == 0 || page == 0x80 || page == 0x83 || (page >= 0xb0 && page <= 0xb2);
        send_command(&b, (const uint8_t[6]){0x12, 1, (uint8_t)page, 0, 96}, 6, true, 96);
        uint32_t missing = bulk(&b, IN, RIG_DATA, 96).length;
        cr_expect_eq(read_status(&b, missing), there ? PASSED : FAILED);
        cr_expect(missing == (there ? 96u - 4 - data[3] : 96u), "page %x", page);
    }
    cr_expect_eq(command(&b, (const uint8_t[10]){0x25}, 10, true, 8, 0), PASSED);
    cr_expect_arr_eq(data, ((const uint8_t[]){0, 0, 3, 255, 0, 0, 2, 0}), 8);
    cr_expect_eq(command(&b, (const uint8_t[16]){0x9e, 0x10, [13] = 32}, 16, true, 32, 0), PASSED);
    cr_expect(data[6] == 3 && data[7] == 255 && data[10] == 2 && data[14] == 0x80);
    cr_expect_eq(command(&b, (const uint8_t[6]){0x1a, 0, 0x3f, 0, 192}, 6, true, 192, 192 - 44), PASSED);
    cr_expect(data[0] == 43 && !(data[2] & 0x80) && data[3] == 8 && data[12] == 8 && data[14] & 4);
    cr_expect_eq(command(&b, (const uint8_t[10]){0x5a, 8, 8, [8] = 192}, 10, true, 192, 192 - 28), PASSED);
    cr_expect_eq(command(&b, (const uint8_t[12]){0xa0, [9] = 16}, 12, true, 16, 0), PASSED);
    cr_expect_eq(data[3], 8);
    cr_expect_eq(command(&b, (const uint8_t[6]){0}, 6, false, 0, 0), PASSED);
    cr_expect_eq(command(&b, (const uint8_t[10]){0x35}, 10, false, 0, 0), PASSED);
    cr_expect_eq(command(&b, (const uint8_t[6]){0xc1}, 6, false, 0, 0), FAILED);
    check_sense(&b, 5, 0x20);
    check_sense(&b, 0, 0);
    teardown(&b);
}

Test(storage, reading_and_writing)
{
    struct bench b;
    uint8_t cdb[10], *data;
    setup(&b, false, true);
    data = rig_at(&b.rig, RIG_DATA);
    rw_10(cdb, false, 3, 700); // more than one piece, one TD
    cr_expect_eq(command(&b, cdb, 10, true, 700 * 512, 0), PASSED);
    cr_expect_arr_eq(data, b.content + 3 * 512, 700 * 512);
    memset(data, 0, 700 * 512);
    send_command(&b, cdb, 10, true, 700 * 512); // TDs that meet neither sectors nor pieces
    for (uint32_t at = 0, part = 1000; at < 700 * 512; at += part, part = 700 * 512 - at < 50000 ? 700 * 512 - at : 50000)
        cr_assert_eq(bulk(&b, IN, RIG_DATA + at, part).code, CC_SUCCESS);
    cr_expect_eq(read_status(&b, 0), PASSED);
    cr_expect_arr_eq(data, b.content + 3 * 512, 700 * 512);
    for (unsigned i = 0; i < 300 * 512; i++)
        data[i] = (uint8_t)(i * 13 + 1);
    rw_10(cdb, true, 100, 300);
    cdb[1] = 8; // FUA
    send_command(&b, cdb, 10, false, 300 * 512);
    cr_assert_eq(bulk(&b, OUT, RIG_DATA, 65536 + 77).code, CC_SUCCESS);
    cr_assert_eq(bulk(&b, OUT, RIG_DATA + 65536 + 77, 300 * 512 - 65536 - 77).code, CC_SUCCESS);
    cr_expect_eq(read_status(&b, 0), PASSED);
    uint8_t *back = malloc(SECTORS * 512);
    int fd = open(b.path, O_RDONLY);
    cr_assert_eq(read(fd, back, SECTORS * 512), SECTORS * 512);
    close(fd);
    memcpy(b.content + 100 * 512, data, 300 * 512);
    cr_expect_arr_eq(back, b.content, SECTORS * 512);
    // UNMAP of sectors 8 to 15.
    memcpy(data, ((const uint8_t[24]){[1] = 22, [3] = 16, [15] = 8, [19] = 8}), 24);
    cr_expect_eq(command(&b, (const uint8_t[10]){0x42, [8] = 24}, 10, false, 24, 0), PASSED);
    memcpy(data, ((const uint8_t[24]){[1] = 22, [3] = 16, [14] = 4, [19] = 8}), 24);
    cr_expect_eq(command(&b, (const uint8_t[10]){0x42, [8] = 24}, 10, false, 24, 0), FAILED);
    check_sense(&b, 5, 0x21);
    free(back);
    teardown(&b);
}

Test(storage, cd)
{
    struct bench b;
    uint8_t cdb[10];
    setup_as(&b, true, true, true);
    const uint8_t *data = rig_at(&b.rig, RIG_DATA);
    cr_expect_eq(command(&b, (const uint8_t[6]){0x12, 0, 0, 0, 36}, 6, true, 36, 0), PASSED);
    cr_expect(data[0] == 5 && data[1] == 0x80 && !memcmp(data + 16, "QEMU CD-ROM", 11));
    cr_expect_eq(command(&b, (const uint8_t[10]){0x25}, 10, true, 8, 0), PASSED);
    cr_expect_arr_eq(data, ((const uint8_t[]){0, 0, 0, 255, 0, 0, 8, 0}), 8);
    rw_10(cdb, false, 7, 3);
    cr_expect_eq(command(&b, cdb, 10, true, 3 * 2048, 0), PASSED);
    cr_expect_arr_eq(data, b.content + 7 * 2048, 3 * 2048);
    cr_expect_eq(command(&b, (const uint8_t[10]){0x43, 2, [8] = 100}, 10, true, 100, 80), PASSED);
    cr_expect_arr_eq(data, ((const uint8_t[]){0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0, 0, 0x14, 0xaa, 0, 0, 0, 5, 31}), 20);
    cr_expect_eq(command(&b, (const uint8_t[10]){0x43, 0, 1, [8] = 12}, 10, true, 12, 0), PASSED);
    cr_expect_arr_eq(data, ((const uint8_t[]){0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0}), 12);
    cr_expect_eq(command(&b, (const uint8_t[10]){0x46, [8] = 8}, 10, true, 8, 0), PASSED);
    cr_expect_eq(data[7], 8, "the profile of a CD");
    cr_expect_eq(command(&b, (const uint8_t[10]){0x4a, 1, [4] = 16, [8] = 8}, 10, true, 8, 0), PASSED);
    cr_expect(data[2] == 4 && data[5] == 2);
    cr_expect_eq(command(&b, (const uint8_t[6]){0x1a, 8, 0x2a, 0, 128}, 6, true, 128, 128 - 26), PASSED);
    cr_expect(data[4] == 0x2a && data[2] & 0x80);
    rw_10(cdb, false, 255, 2);
    cr_expect_eq(command(&b, cdb, 10, true, 4096, 4096), FAILED);
    check_sense(&b, 5, 0x21);
    teardown(&b);
}

Test(storage, disagreement)
{
    struct bench b;
    uint8_t cdb[10];
    setup(&b, true, true);
    rw_10(cdb, false, SECTORS - 1, 2);
    cr_expect_eq(command(&b, cdb, 10, true, 1024, 1024), FAILED);
    check_sense(&b, 5, 0x21);
    rw_10(cdb, true, 0, 2);
    cr_expect_eq(command(&b, cdb, 10, false, 1024, 1024), FAILED);
    check_sense(&b, 7, 0x27);
    rw_10(cdb, false, 0, 4);
    cr_expect_eq(command(&b, cdb, 10, true, 1024, 0), PHASE_ERROR, "the unit has more");
    cr_expect_eq(command(&b, cdb, 10, false, 1024, 1024), PHASE_ERROR, "the other direction");
    cr_expect_eq(command(&b, cdb, 10, true, 0, 0), PHASE_ERROR, "no data wanted");
    cr_expect_eq(command(&b, cdb, 10, true, 5000, 5000 - 2048), PASSED, "the unit has less");
    cr_expect_eq(command(&b, (const uint8_t[6]){0}, 6, false, 700, 700), PASSED);
    teardown(&b);
}

Test(storage, bad_wrapper)
{
    struct bench b;
    setup(&b, false, true);
    cr_expect_eq(bulk(&b, OUT, RIG_DATA, 31).code, CC_STALL, "no signature");
    rig_recover(&b.rig, b.slot, OUT);
    cr_expect_eq(bulk(&b, IN, CSW, 13).code, CC_STALL);
    rig_recover(&b.rig, b.slot, IN);
    const struct usb_setup reset = {USB_TYPE_CLASS | USB_RECIP_INTERFACE, 0xff, 0, 0, 0},
                           clear_in = {USB_RECIP_ENDPOINT, USB_REQ_CLEAR_FEATURE, 0, 0x81, 0},
                           clear_out = {USB_RECIP_ENDPOINT, USB_REQ_CLEAR_FEATURE, 0, 2, 0},
                           max_lun = {USB_DIR_IN | USB_TYPE_CLASS | USB_RECIP_INTERFACE, 0xfe, 0, 0, 1};
    cr_expect_eq(rig_control(&b.rig, b.slot, clear_out, NULL), CC_SUCCESS);
    cr_expect_eq(bulk(&b, OUT, RIG_DATA, 31).code, CC_STALL, "lost until the reset");
    rig_recover(&b.rig, b.slot, OUT);
    cr_expect_eq(rig_control(&b.rig, b.slot, reset, NULL), CC_SUCCESS);
    cr_expect_eq(rig_control(&b.rig, b.slot, clear_in, NULL), CC_SUCCESS);
    cr_expect_eq(rig_control(&b.rig, b.slot, clear_out, NULL), CC_SUCCESS);
    cr_expect_eq(command(&b, (const uint8_t[6]){0}, 6, false, 0, 0), PASSED);
    cr_expect_eq(rig_control(&b.rig, b.slot, max_lun, NULL), CC_SUCCESS);
    cr_expect_eq(*(uint8_t *)rig_at(&b.rig, RIG_DATA), 0);
    teardown(&b);
}

Test(storage, reset_in_flight)
{
    struct bench b;
    uint8_t cdb[10];
    setup(&b, false, true);
    rw_10(cdb, false, 0, 200);
    for (int i = 0; i < 20; i++) {
        send_command(&b, cdb, 10, true, 200 * 512);
        rig_write(&b.rig, RIG_PORTSC, PORTSC_PP | PORTSC_PR);
        rig_turn(&b.rig);
        rig_command(&b.rig, TRB_DISABLE_SLOT, 0, b.slot << 24);
        b.slot = rig_address(&b.rig, 1);
        rig_set_configuration(&b.rig, b.slot);
        cr_assert_eq(rig_configure(&b.rig, b.slot, IN, EP_BULK_IN), CC_SUCCESS);
        cr_assert_eq(rig_configure(&b.rig, b.slot, OUT, EP_BULK_OUT), CC_SUCCESS);
    }
    cr_expect_eq(command(&b, cdb, 10, true, 200 * 512, 0), PASSED);
    teardown(&b);
}

// Saved with half of a long read delivered, and with half of a write taken.
static void check_moved(bool write)
{
    struct bench a, b;
    uint8_t cdb[10];
    struct state_buf saved = {0}, again = {0};
    setup(&a, false, true);
    rw_10(cdb, write, 5, 600);
    send_command(&a, cdb, 10, !write, 600 * 512);
    cr_assert_eq(bulk(&a, write ? OUT : IN, RIG_DATA, 100000).code, CC_SUCCESS);
    a.udev->dev.class->quiesce(&a.udev->dev);
    cr_assert_eq(state_save(&a.rig.pdev->dev, 0, &saved, NULL), 0);
    cr_assert_eq(state_save(&a.udev->dev, 0, &saved, NULL), 0);
    setup(&b, false, false);
    memcpy(rig_at(&b.rig, RIG_RAM), rig_at(&a.rig, RIG_RAM), RIG_RAM_SIZE);
    struct device *devs[] = {&b.rig.pdev->dev, &b.udev->dev};
    struct error err = {0};
    cr_assert_eq(state_load(devs, 2, 0, saved.data, saved.size, &err), 0, "%s", err.text);
    cr_assert_eq(state_save(devs[0], 0, &again, NULL), 0);
    cr_assert_eq(state_save(devs[1], 0, &again, NULL), 0);
    cr_assert_eq(saved.size, again.size);
    cr_expect(!memcmp(saved.data, again.data, saved.size));
    memcpy(b.rig.transfers, a.rig.transfers, sizeof a.rig.transfers);
    b.rig.events = a.rig.events;
    b.rig.commands = a.rig.commands;
    b.rig.segments = a.rig.segments;
    b.slot = a.slot;
    cr_assert_eq(bulk(&b, write ? OUT : IN, RIG_DATA + 100000, 600 * 512 - 100000).code, CC_SUCCESS);
    cr_expect_eq(read_status(&b, 0), PASSED);
    if (!write)
        cr_expect(!memcmp(rig_at(&b.rig, RIG_DATA), b.content + 5 * 512, 600 * 512));
    state_buf_free(&saved);
    state_buf_free(&again);
    teardown(&b);
    teardown(&a);
}

Test(storage, saved_state)
{
    check_moved(false);
    check_moved(true);
}
