// SPDX-License-Identifier: MIT
// Random drivers against a USB controller with a keyboard, a tablet and a disk: registers, TRBs and contexts of every
// kind, doorbells, input, devices that come and go, passing time, and saved states with flipped bytes. It begins with
// devices that work, again and again, so that random transfers reach them. Asserts, sanitizers and bounded time judge. The
// seed is fixed; give another, and a number of rounds, in FUZZ_SEED and FUZZ_ROUNDS.
#include "base/entropy.h"
#include "base/error.h"
#include "host/block.h"
#include "hw/core/state.h"
#include "hw/usb/usb_storage.h"
#include "tests/usb/rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEVICES = 3, DISK = 64 << 10, STEPS = 300, EP_INTERRUPT_IN = 7, EP_BULK_OUT = 2, EP_BULK_IN = 6 };

struct bench {
    struct rig rig;
    struct entropy random;
    struct block *block;
    struct usb_device *udevs[DEVICES];
    unsigned slots[DEVICES];
    char path[64];
};

static uint64_t pick(struct bench *b, uint64_t below)
{
    uint64_t v;
    entropy_fill(&b->random, &v, sizeof v);
    return below ? v % below : v;
}

static uint64_t some_value(struct bench *b)
{
    switch (pick(b, 4)) {
    case 0: return pick(b, 64);
    case 1: return 1ull << pick(b, 64);
    case 2: return RIG_RAM + (pick(b, RIG_RAM_SIZE) & ~15ull) + pick(b, 2);
    default: return pick(b, 0);
    }
}

static unsigned some_slot(struct bench *b)
{
    return pick(b, 8) ? b->slots[pick(b, DEVICES)] : (unsigned)pick(b, XHCI_SLOTS + 2);
}

static void make_device(struct bench *b, unsigned n)
{
    const struct usb_storage_config disk = {.path = "/disk", .block = b->block};
    if (n < 2)
        b->udevs[n] = rig_hid(&b->rig, n ? USB_HID_TABLET : USB_HID_KEYBOARD, n + 1);
    else {
        cr_assert_eq(usb_storage_create(&disk, &b->udevs[n], NULL), 0);
        cr_assert(usb_attach(xhci_connector(b->rig.pdev, n + 1), b->udevs[n]));
    }
}

// A controller and devices as a good driver leaves them.
static void restart(struct bench *b)
{
    rig_start(&b->rig, 1 + (unsigned)pick(b, 3));
    for (unsigned n = 0; n < DEVICES; n++) {
        b->slots[n] = rig_address(&b->rig, b->udevs[n]->speed == USB_SPEED_SUPER ? n + 1 : 4 + n);
        rig_set_configuration(&b->rig, b->slots[n]);
        if (n < 2) {
            rig_configure(&b->rig, b->slots[n], 3, EP_INTERRUPT_IN);
        } else {
            rig_configure(&b->rig, b->slots[n], 3, EP_BULK_IN);
            rig_configure(&b->rig, b->slots[n], 4, EP_BULK_OUT);
        }
    }
}

static void write_register(struct bench *b)
{
    static const uint32_t blocks[] = {RIG_OPERATIONAL, RIG_PORTSC, XHCI_RTSOFF, XHCI_DBOFF, 0};
    unsigned block = (unsigned)pick(b, 5), offset = blocks[block] + (unsigned)pick(b, 64) * 4;
    uint64_t value = some_value(b);
    if (pick(b, 4))
        pci_bar_write(b->rig.pdev, 0, offset, 4, (uint32_t)value);
    else if (pick(b, 2))
        pci_bar_write(b->rig.pdev, 0, offset & ~7u, 8, value);
    else
        pci_bar_read(b->rig.pdev, 0, offset, 1u << pick(b, 4));
}

static struct xhci_trb some_trb(struct bench *b)
{
    static const uint8_t setups[][8] = {{0x80, 6, 0, 1, 0, 0, 18},  {0x80, 6, 0, 2, 0, 0, 255}, {0x81, 6, 0, 0x22, 0, 0, 99},
                                        {0x21, 9, 0, 2, 0, 0, 1},   {0x21, 10, 0, 9},           {0, 9, 1},
                                        {0x21, 0xff},               {2, 1, 0, 0, 0x81},         {2, 3, 0, 0, 2}};
    struct xhci_trb trb = {.parameter = RIG_DATA + pick(b, 0x1000),
                           .status = (uint32_t)pick(b, 600),
                           .control = (uint32_t)(1 + pick(b, 8)) << TRB_TYPE_SHIFT |
                                      (uint32_t)(pick(b, 0) & (TRB_ISP | TRB_CHAIN | TRB_IOC | TRB_BEI))};
    if (!pick(b, 8))
        trb.parameter = some_value(b);
    if (!pick(b, 8))
        trb.status = (uint32_t)pick(b, 0);
    if (!pick(b, 16))
        trb.control = (uint32_t)pick(b, 0);
    if (xhci_trb_type(&trb) == TRB_SETUP_STAGE) {
        memcpy(&trb.parameter, setups[pick(b, ARRAY_SIZE(setups))], 8);
        trb.parameter ^= pick(b, 4) ? 0 : 1ull << pick(b, 64);
        trb.status = 8;
        trb.control |= TRB_IDT;
    }
    trb.control &= ~(uint32_t)TRB_CYCLE;
    return trb;
}

static void queue_transfers(struct bench *b)
{
    unsigned slot = some_slot(b), dci = pick(b, 4) ? 1 + (unsigned)pick(b, 4) : (unsigned)pick(b, 33);
    if (slot && slot <= XHCI_SLOTS && dci && dci <= XHCI_ENDPOINTS) {
        struct rig_ring *ring = rig_endpoint(&b->rig, slot, dci);
        for (uint64_t n = ring->base ? pick(b, 6) : 0; n; n--) {
            struct xhci_trb trb = some_trb(b);
            rig_queue(&b->rig, ring, trb.parameter, trb.status, trb.control);
        }
    }
    rig_write(&b->rig, XHCI_DBOFF + 4 * slot, dci);
}

static void queue_command(struct bench *b)
{
    unsigned type = (unsigned)(9 + pick(b, 16));
    uint64_t parameter = pick(b, 4) ? RIG_INPUT : some_value(b);
    uint32_t *input = rig_at(&b->rig, RIG_INPUT);
    for (uint64_t n = pick(b, 3); n; n--)
        input[pick(b, 40)] = (uint32_t)(pick(b, 2) ? some_value(b) : 1ull << pick(b, 32));
    if (type == TRB_SET_TR_DEQUEUE)
        parameter = RIG_TRANSFERS + (pick(b, 0x4000) & ~15ull) + pick(b, 2);
    rig_queue(&b->rig, &b->rig.commands, parameter, 0,
              type << TRB_TYPE_SHIFT | some_slot(b) << 24 | (uint32_t)pick(b, 6) << 16 | (uint32_t)pick(b, 2) << 9);
    rig_write(&b->rig, XHCI_DBOFF, 0);
}

// A command for the disk with its data and status.
static void disk_command(struct bench *b)
{
    static const uint8_t opcodes[] = {0, 3, 8, 0xa, 0x12, 0x1a, 0x25, 0x28, 0x2a, 0x35, 0x42, 0x5a, 0x88, 0x8a, 0x9e, 0xa0};
    uint8_t *cbw = rig_at(&b->rig, RIG_DATA + 0x8000);
    uint32_t len = (uint32_t)pick(b, 3000);
    unsigned slot = b->slots[2], data = pick(b, 2) ? 3 : 4;
    entropy_fill(&b->random, cbw, 31);
    memcpy(cbw, "USBC", 4);
    memcpy(cbw + 8, &len, 4);
    cbw[12] = data == 3 ? 0x80 : 0;
    cbw[13] = 0;
    cbw[14] = (uint8_t)(1 + pick(b, 17));
    cbw[15] = opcodes[pick(b, ARRAY_SIZE(opcodes))];
    memset(cbw + 16, 0, pick(b, 14));
    if (!rig_endpoint(&b->rig, slot, 3)->base || !rig_endpoint(&b->rig, slot, 4)->base)
        return;
    rig_transfer(&b->rig, slot, 4, RIG_DATA + 0x8000, 31);
    rig_transfer(&b->rig, slot, data, RIG_DATA, (uint32_t)pick(b, 4000));
    rig_transfer(&b->rig, slot, 3, RIG_DATA + 0x9000, 13);
}

static void press(struct bench *b)
{
    struct input_event events[4];
    unsigned n = (unsigned)pick(b, 2);
    for (unsigned i = 0; i < 4; i++)
        events[i] = (struct input_event){(uint16_t)pick(b, 4), (uint16_t)pick(b, 0x130), (uint32_t)some_value(b)};
    usb_hid_input.has(&b->udevs[n]->dev, events[0].type, events[0].code);
    usb_hid_input.send(&b->udevs[n]->dev, events, (unsigned)pick(b, 5));
}

static void save_and_load(struct bench *b)
{
    struct state_buf buf = {0};
    struct device *devs[DEVICES + 1] = {&b->rig.pdev->dev};
    struct error err;
    for (unsigned n = 0; n < DEVICES; n++)
        devs[n + 1] = &b->udevs[n]->dev;
    snprintf(devs[2]->path, sizeof devs[2]->path, "/tablet");
    devs[DEVICES]->class->quiesce(devs[DEVICES]);
    for (unsigned n = 0; n <= DEVICES; n++)
        cr_assert_eq(state_save(devs[n], b->rig.now, &buf, &err), 0);
    unsigned flips = (unsigned)pick(b, 6);
    for (unsigned i = 0; i < flips; i++)
        buf.data[pick(b, buf.size)] ^= (uint8_t)(1u << pick(b, 8));
    int r = state_load(devs, DEVICES + 1, b->rig.now, buf.data, buf.size, &err);
    cr_assert(!r || flips, "%s", err.text);
    state_buf_free(&buf);
    if (!r)
        return;
    for (unsigned n = 0; n <= DEVICES; n++)
        device_reset(devs[n]);
    restart(b);
}

static void step(struct bench *b)
{
    struct rig_event event;
    switch (pick(b, 32)) {
    case 0 ... 4: write_register(b); break;
    case 5 ... 14: queue_transfers(b); break;
    case 15 ... 17: queue_command(b); break;
    case 18 ... 21: disk_command(b); break;
    case 22 ... 23: press(b); break;
    case 24: b->rig.now += (int64_t)pick(b, 1ull << 32); break;
    case 25: {
        uint64_t at = RIG_RAM + (pick(b, RIG_DATA - RIG_RAM) & ~7ull), value = some_value(b);
        memcpy(rig_at(&b->rig, at), &value, sizeof value);
        break;
    }
    case 26:
        if (!pick(b, 20))
            save_and_load(b);
        break;
    case 27:
        if (!pick(b, 20)) {
            unsigned n = (unsigned)pick(b, DEVICES);
            device_destroy(&b->udevs[n]->dev);
            make_device(b, n);
        }
        break;
    default:
        rig_turn(&b->rig);
        for (int n = 0; n < 8 && b->rig.events.base && rig_event(&b->rig, &event);)
            n++;
        break;
    }
}

Test(usb, fuzz)
{
    static struct bench b;
    const char *seed = getenv("FUZZ_SEED"), *rounds = getenv("FUZZ_ROUNDS");
    rig_setup(&b.rig, DEVICES, DEVICES);
    entropy_init_seeded(&b.random, seed ? strtoull(seed, NULL, 0) : 1);
    strcpy(b.path, "/tmp/usb_fuzz.XXXXXX");
    int fd = mkstemp(b.path);
    cr_assert(fd >= 0 && !ftruncate(fd, DISK));
    close(fd);
    const struct block_config block = {.path = b.path, .discard = true, .loop = b.rig.loop};
    cr_assert_eq(block_open_raw(&block, &b.block, NULL), 0);
    for (unsigned n = 0; n < DEVICES; n++)
        make_device(&b, n);
    for (unsigned long n = rounds ? strtoul(rounds, NULL, 0) : 300; n; n--) {
        restart(&b);
        for (unsigned i = 0; i < STEPS; i++)
            step(&b);
    }
    for (unsigned n = 0; n < DEVICES; n++)
        device_destroy(&b.udevs[n]->dev);
    block_close(b.block);
    rig_teardown(&b.rig);
    unlink(b.path);
}
