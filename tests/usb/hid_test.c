// SPDX-License-Identifier: MIT
// USB keyboard, mouse and tablet without a controller: reports of what was done to them, requests of their class, and a
// bus that they may wake up.
#include "base/clock.h"
#include "base/loop.h"
#include "hw/usb/usb_hid.h"

#include <criterion/criterion.h>
#include <linux/input-event-codes.h>
#include <string.h>

struct bench {
    pthread_mutex_t lock;
    struct loop *loop;
    struct clock clock;
    int64_t now;
    struct usb_port port;
    struct usb_device *udev;
    unsigned wakeups;
};

static int64_t bench_time(void *opaque)
{
    return ((struct bench *)opaque)->now;
}

static void wakeup(struct usb_port *port, uint8_t endpoint)
{
    ((struct bench *)port->opaque)->wakeups += endpoint == 0x81;
}

static void changed(struct usb_port *port)
{
}

static const struct usb_port_ops port_ops = {wakeup, changed};

static enum usb_status request(struct bench *b, struct usb_setup setup, uint8_t *data, uint32_t *length)
{
    uint8_t own[USB_CONTROL_MAX] = {0};
    uint32_t own_length = setup.wLength;
    return usb_control(b->udev, &setup, data ? data : own, length ? length : &own_length);
}

static void setup(struct bench *b, enum usb_hid_kind kind, uint32_t speeds, bool full_speed)
{
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_lock(&b->lock);
    clock_init(&b->clock, bench_time, b);
    clock_start(&b->clock);
    cr_assert_eq(loop_create(&b->lock, &b->loop, NULL), 0);
    const struct usb_hid_config config = {
        .path = "/hid", .kind = kind, .full_speed = full_speed, .clock = &b->clock, .loop = b->loop};
    cr_assert_eq(usb_hid_create(&config, &b->udev, NULL), 0);
    b->port = (struct usb_port){.ops = &port_ops, .opaque = b, .speeds = speeds};
    cr_assert(usb_attach(&b->port, b->udev));
    cr_assert_eq(request(b, (struct usb_setup){0, USB_REQ_SET_CONFIGURATION, 1, 0, 0}, NULL, NULL), USB_OK);
}

static void teardown(struct bench *b)
{
    device_destroy(&b->udev->dev);
    cr_expect_null(b->port.udev, "it leaves its port");
    loop_destroy(b->loop);
    clock_destroy(&b->clock);
    pthread_mutex_unlock(&b->lock);
    pthread_mutex_destroy(&b->lock);
}

static bool send(struct bench *b, uint16_t type, uint16_t code, int32_t value)
{
    const struct input_event event = {type, code, (uint32_t)value};
    return usb_hid_input.send(&b->udev->dev, &event, 1);
}

// The next report has these bytes, or with a size of 0 there is none.
static void expect(struct bench *b, const uint8_t *wanted, unsigned size)
{
    uint8_t data[16] = {0};
    const struct iovec iov = {data, sizeof data};
    struct usb_transfer t = {.endpoint = 0x81, .iov = &iov, .iov_count = 1, .length = sizeof data};
    enum usb_status status = usb_transfer(b->udev, &t);
    cr_expect_eq(status, size ? USB_OK : USB_NAK);
    cr_expect_eq(t.actual, size);
    cr_expect(!size || !memcmp(data, wanted, size), "%x %x %x %x %x %x %x %x", data[0], data[1], data[2], data[3], data[4], data[5],
              data[6], data[7]);
}
#define EXPECT(b_, ...) expect(b_, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static const uint32_t ALL = 1u << USB_SPEED_FULL | 1u << USB_SPEED_HIGH;

Test(hid, keyboard)
{
    struct bench b;
    setup(&b, USB_HID_KEYBOARD, ALL, false);
    cr_expect_eq(b.udev->speed, USB_SPEED_HIGH);
    expect(&b, NULL, 0);
    cr_assert(send(&b, EV_KEY, KEY_A, 1) && send(&b, EV_KEY, KEY_A, 0) && send(&b, EV_KEY, KEY_LEFTCTRL, 1));
    cr_expect_eq(b.wakeups, 3);
    EXPECT(&b, 0, 0, 4, 0, 0, 0, 0, 0);
    EXPECT(&b, 0, 0, 0, 0, 0, 0, 0, 0);
    EXPECT(&b, 1, 0, 0, 0, 0, 0, 0, 0);
    expect(&b, NULL, 0);
    teardown(&b);
}

Test(hid, roll_over)
{
    struct bench b;
    setup(&b, USB_HID_KEYBOARD, ALL, true);
    cr_expect_eq(b.udev->speed, USB_SPEED_FULL);
    const uint16_t keys[] = {KEY_A, KEY_B, KEY_C, KEY_D, KEY_E, KEY_F, KEY_G};
    uint8_t held[8] = {0};
    for (unsigned i = 0; i < 7; i++) {
        cr_assert(send(&b, EV_KEY, keys[i], 1));
        if (i < 6)
            held[2 + i] = (uint8_t)(4 + i);
        else
            memset(held + 2, 1, 6);
        expect(&b, held, 8);
    }
    cr_assert(send(&b, EV_KEY, KEY_A, 0) && send(&b, EV_KEY, KEY_RIGHTALT, 1));
    EXPECT(&b, 0, 0, 5, 6, 7, 8, 9, 10);
    EXPECT(&b, 0x40, 0, 5, 6, 7, 8, 9, 10);
    expect(&b, NULL, 0);
    cr_expect_not(usb_hid_input.has(&b.udev->dev, EV_KEY, BTN_LEFT));
    for (int i = 0; i < 64; i++)
        cr_assert(send(&b, EV_KEY, KEY_A, i & 1));
    cr_expect_not(send(&b, EV_KEY, KEY_A, 0), "the guest takes none");
    teardown(&b);
}

Test(hid, mouse)
{
    struct bench b;
    setup(&b, USB_HID_MOUSE, ALL, false);
    cr_assert(send(&b, EV_REL, REL_X, 300) && send(&b, EV_REL, REL_Y, -5) && send(&b, EV_REL, REL_X, -100));
    EXPECT(&b, 0, 127, 251, 0);
    EXPECT(&b, 0, 73, 0, 0);
    expect(&b, NULL, 0);
    cr_assert(send(&b, EV_KEY, BTN_LEFT, 1) && send(&b, EV_KEY, BTN_LEFT, 0) && send(&b, EV_REL, REL_WHEEL, -1) &&
              send(&b, EV_KEY, BTN_EXTRA, 1));
    EXPECT(&b, 1, 0, 0, 0);
    EXPECT(&b, 0, 0, 0, 0);
    EXPECT(&b, 0, 0, 0, 255);
    EXPECT(&b, 16, 0, 0, 0);
    const struct usb_setup boot = {USB_TYPE_CLASS | USB_RECIP_INTERFACE, 11, 0, 0, 0};
    cr_assert_eq(request(&b, boot, NULL, NULL), USB_OK);
    cr_assert(send(&b, EV_REL, REL_Y, 9));
    EXPECT(&b, 16, 0, 9);
    teardown(&b);
}

Test(hid, tablet)
{
    struct bench b;
    setup(&b, USB_HID_TABLET, ALL, false);
    const struct input_event both[] = {{EV_ABS, ABS_X, 0x1234}, {EV_ABS, ABS_Y, 0x9999}, {EV_KEY, BTN_RIGHT, 1}};
    cr_assert(usb_hid_input.send(&b.udev->dev, both, 3));
    cr_assert(send(&b, EV_ABS, ABS_X, 5) && send(&b, EV_ABS, ABS_X, 6));
    EXPECT(&b, 2, 0x34, 0x12, 0xff, 0x7f, 0);
    EXPECT(&b, 2, 6, 0, 0xff, 0x7f, 0);
    expect(&b, NULL, 0);
    cr_expect_not(usb_hid_input.has(&b.udev->dev, EV_REL, REL_X));
    const struct usb_setup boot = {USB_TYPE_CLASS | USB_RECIP_INTERFACE, 11, 0, 0, 0};
    cr_expect_eq(request(&b, boot, NULL, NULL), USB_STALL, "it has no boot protocol");
    teardown(&b);
}

Test(hid, requests)
{
    struct bench b;
    uint8_t data[USB_CONTROL_MAX];
    uint32_t length;
    setup(&b, USB_HID_KEYBOARD, ALL, false);
    const struct usb_setup report = {USB_DIR_IN | USB_RECIP_INTERFACE, USB_REQ_GET_DESCRIPTOR, 0x2200, 0, 999},
                           hid = {USB_DIR_IN | USB_RECIP_INTERFACE, USB_REQ_GET_DESCRIPTOR, 0x2100, 0, 99},
                           idle = {USB_TYPE_CLASS | USB_RECIP_INTERFACE, 10, 25 << 8, 0, 0},
                           state = {USB_DIR_IN | USB_TYPE_CLASS | USB_RECIP_INTERFACE, 1, 0x0100, 0, 8},
                           other = {USB_DIR_IN | USB_TYPE_CLASS | USB_RECIP_INTERFACE, 1, 0x0100, 1, 8},
                           halt = {USB_RECIP_ENDPOINT, USB_REQ_SET_FEATURE, 0, 0x81, 0};
    cr_expect_eq(request(&b, report, data, &length), USB_OK);
    uint32_t report_size = length;
    cr_expect_eq(request(&b, hid, data, &length), USB_OK);
    cr_expect(length == 9 && data[7] == report_size && data[6] == 0x22);
    cr_expect_eq(request(&b, idle, NULL, NULL), USB_OK);
    unsigned before = b.wakeups;
    loop_once(b.loop, 0);
    cr_expect_eq(b.wakeups, before);
    b.now += 100000000; // 25 times 4 ms
    loop_once(b.loop, 0);
    cr_expect_eq(b.wakeups, before + 1);
    EXPECT(&b, 0, 0, 0, 0, 0, 0, 0, 0);
    expect(&b, NULL, 0);
    cr_assert(send(&b, EV_KEY, KEY_Z, 1));
    cr_expect_eq(request(&b, state, data, &length), USB_OK);
    cr_expect(length == 8 && data[2] == 0x1d);
    cr_expect_eq(request(&b, other, data, &length), USB_STALL);
    cr_expect_eq(request(&b, halt, NULL, NULL), USB_OK);
    struct usb_transfer t = {.endpoint = 0x81};
    cr_expect_eq(usb_transfer(b.udev, &t), USB_STALL);
    t.endpoint = 0x82;
    cr_expect_eq(usb_transfer(b.udev, &t), USB_STALL);
    usb_bus_reset(b.udev);
    cr_expect_not(send(&b, EV_KEY, KEY_Z, 1), "it is not configured");
    teardown(&b);
}
