// SPDX-License-Identifier: MIT
// Owns HID devices: what was done to them and is still to be reported, reports, and the class's requests (HID 1.11, 7.2).
// Invariant: presses reach the guest one by one and in order, so that none is lost to a slow driver; motion that is not
// reported yet adds up.
#include "hw/usb/usb_hid.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/loop.h"
#include "hw/usb/usb_hid_tables.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

enum {
    GET_REPORT = 1,
    GET_IDLE = 2,
    GET_PROTOCOL = 3,
    SET_REPORT = 9,
    SET_IDLE = 10,
    SET_PROTOCOL = 11,
    REPORT_PROTOCOL = 1, // 7.2.5; 0 is the boot protocol
    REPORT_INPUT = 1,    // report types, 7.2.1
    REPORT_OUTPUT = 2,

    PENDING = 64,
    KEYS = 16,       // held down at a time, modifiers aside
    REPORTED = 6,    // of them
    ROLL_OVER = 1,   // usage of all of them when there are more
    RELEASED = 0x100,
    REPORT_MAX = 8,
    WAY_MAX = 127,
    IDLE_UNIT_NS = 4000000,
};

// What a report is to show: a key (usage, RELEASED), or a pointer's buttons and where it went.
struct step {
    uint16_t key;
    uint8_t buttons;
    int32_t x, y, wheel; // a tablet's x and y are places, else all are ways
};

struct usb_hid {
    struct usb_device udev;
    enum usb_hid_kind kind;
    struct clock *clock;
    struct loop_timer idle_timer;
    struct step pending[PENDING]; // first to come first
    uint8_t pending_count;
    uint8_t buttons;  // as they were left by what is pending
    struct step last; // what was reported last: buttons, and a tablet's place
    uint8_t modifiers, keys[KEYS], key_count;
    uint8_t protocol, idle, leds;
    int64_t idle_due; // when the last report is said again; CLOCK_NEVER: not before a change
};

static const struct state_field fields[] = {
    USB_STATE(usb_hid, udev),
    STATE_EACH(16, STATE_U16, usb_hid, pending, key, PENDING),
    STATE_EACH(17, STATE_U8, usb_hid, pending, buttons, PENDING),
    STATE_EACH(18, STATE_U32, usb_hid, pending, x, PENDING),
    STATE_EACH(19, STATE_U32, usb_hid, pending, y, PENDING),
    STATE_EACH(20, STATE_U32, usb_hid, pending, wheel, PENDING),
    STATE_FIELD(21, STATE_U8, usb_hid, pending_count),
    STATE_FIELD(22, STATE_U8, usb_hid, buttons),
    STATE_FIELD(23, STATE_U8, usb_hid, last.buttons),
    STATE_FIELD(24, STATE_U32, usb_hid, last.x),
    STATE_FIELD(25, STATE_U32, usb_hid, last.y),
    STATE_FIELD(26, STATE_U8, usb_hid, modifiers),
    STATE_ARRAY(27, STATE_BYTES, usb_hid, keys, KEYS),
    STATE_FIELD(28, STATE_U8, usb_hid, key_count),
    STATE_FIELD(29, STATE_U8, usb_hid, protocol),
    STATE_FIELD(30, STATE_U8, usb_hid, idle),
    STATE_FIELD(31, STATE_U8, usb_hid, leds),
    STATE_FIELD(32, STATE_TIME, usb_hid, idle_due),
};

// --- what is done to the device ---

static bool has(const struct device *dev, uint16_t type, uint16_t code)
{
    const struct usb_hid *hid = (const struct usb_hid *)dev;
    if (hid->kind == USB_HID_KEYBOARD)
        return type == EV_KEY && usb_hid_usage(code);
    if (type == EV_KEY)
        return code >= BTN_LEFT && code < BTN_LEFT + USB_HID_BUTTONS;
    if (type == EV_ABS)
        return hid->kind == USB_HID_TABLET && (code == ABS_X || code == ABS_Y);
    return type == EV_REL && (code == REL_WHEEL || (hid->kind == USB_HID_MOUSE && (code == REL_X || code == REL_Y)));
}

static bool send_keys(struct usb_hid *hid, const struct input_event *events, unsigned count)
{
    if (count > PENDING || hid->pending_count + count > PENDING)
        return false;
    for (unsigned i = 0; i < count; i++) {
        uint8_t usage = events[i].type == EV_KEY ? usb_hid_usage(events[i].code) : 0;
        if (usage)
            hid->pending[hid->pending_count++] = (struct step){.key = usage | (events[i].value ? 0 : RELEASED)};
    }
    return true;
}

static int32_t limit(int64_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : (int32_t)value;
}

static void apply(struct usb_hid *hid, struct step *step, const struct input_event *e)
{
    int32_t value = (int32_t)e->value;
    if (e->type == EV_KEY && e->code >= BTN_LEFT && e->code < BTN_LEFT + USB_HID_BUTTONS) {
        uint8_t bit = (uint8_t)(1 << (e->code - BTN_LEFT));
        step->buttons = value ? step->buttons | bit : step->buttons & (uint8_t)~bit;
    } else if (e->type == EV_ABS && hid->kind == USB_HID_TABLET) {
        *(e->code == ABS_X ? &step->x : &step->y) = limit(value, 0, INPUT_ABS_MAX);
    } else if (e->type == EV_REL && (e->code == REL_WHEEL || hid->kind == USB_HID_MOUSE)) {
        int32_t *axis = e->code == REL_WHEEL ? &step->wheel : e->code == REL_X ? &step->x : &step->y;
        *axis = limit((int64_t)*axis + value, INT16_MIN, INT16_MAX);
    }
}

static bool send_motion(struct usb_hid *hid, const struct input_event *events, unsigned count)
{
    const struct step *before = hid->pending_count ? &hid->pending[hid->pending_count - 1] : &hid->last;
    struct step step = {.buttons = hid->buttons};
    if (hid->kind == USB_HID_TABLET) {
        step.x = before->x;
        step.y = before->y;
    }
    for (unsigned i = 0; i < count; i++)
        apply(hid, &step, &events[i]);
    // Motion joins motion: behind the last report that showed the same buttons there is no need for another.
    struct step *last = hid->pending_count ? &hid->pending[hid->pending_count - 1] : NULL;
    const struct step *older = hid->pending_count > 1 ? last - 1 : &hid->last;
    if (last && step.buttons == hid->buttons && older->buttons == last->buttons) {
        bool ways = hid->kind == USB_HID_MOUSE;
        last->x = ways ? limit((int64_t)last->x + step.x, INT16_MIN, INT16_MAX) : step.x;
        last->y = ways ? limit((int64_t)last->y + step.y, INT16_MIN, INT16_MAX) : step.y;
        last->wheel = limit((int64_t)last->wheel + step.wheel, INT16_MIN, INT16_MAX);
        return true;
    }
    if (hid->pending_count == PENDING)
        return false;
    hid->pending[hid->pending_count++] = step;
    hid->buttons = step.buttons;
    return true;
}

static bool send(struct device *dev, const struct input_event *events, unsigned count)
{
    struct usb_hid *hid = (struct usb_hid *)dev;
    if (!hid->udev.configuration)
        return false;
    bool taken = hid->kind == USB_HID_KEYBOARD ? send_keys(hid, events, count) : send_motion(hid, events, count);
    if (taken)
        usb_wakeup(&hid->udev, USB_HID_ENDPOINT);
    return taken;
}

const struct input_ops usb_hid_input = {has, send};

// --- reports ---

static void press(struct usb_hid *hid, uint16_t key)
{
    uint8_t usage = (uint8_t)key;
    bool down = !(key & RELEASED);
    if (usage >= USB_HID_MODIFIERS) {
        uint8_t bit = (uint8_t)(1 << (usage & 7));
        hid->modifiers = down ? hid->modifiers | bit : hid->modifiers & (uint8_t)~bit;
        return;
    }
    unsigned at = 0;
    while (at < hid->key_count && hid->keys[at] != usage)
        at++;
    if (down && at == hid->key_count && at < KEYS)
        hid->keys[hid->key_count++] = usage;
    else if (!down && at < hid->key_count)
        memmove(&hid->keys[at], &hid->keys[at + 1], --hid->key_count - at);
}

// Takes from a way what fits a report.
static int8_t take_way(int32_t *way)
{
    int32_t part = limit(*way, -WAY_MAX, WAY_MAX);
    *way -= part;
    return (int8_t)part;
}

static void pop(struct usb_hid *hid)
{
    memmove(hid->pending, hid->pending + 1, --hid->pending_count * sizeof *hid->pending);
}

static unsigned report_size(const struct usb_hid *hid)
{
    const struct usb_hid_table *table = &usb_hid_tables[hid->kind];
    return hid->protocol == REPORT_PROTOCOL || !table->boot_report_size ? table->report_size : table->boot_report_size;
}

static void key_report(struct usb_hid *hid, uint8_t *report)
{
    if (hid->pending_count) {
        press(hid, hid->pending[0].key);
        pop(hid);
    }
    memset(report, 0, REPORT_MAX);
    report[0] = hid->modifiers;
    for (unsigned i = 0; i < REPORTED; i++)
        report[2 + i] = hid->key_count > REPORTED ? ROLL_OVER : i < hid->key_count ? hid->keys[i] : 0;
}

static void motion_report(struct usb_hid *hid, uint8_t *report)
{
    int8_t x = 0, y = 0, wheel = 0;
    if (hid->pending_count) {
        struct step *step = &hid->pending[0];
        hid->last.buttons = step->buttons;
        wheel = take_way(&step->wheel);
        if (hid->kind == USB_HID_MOUSE) {
            x = take_way(&step->x);
            y = take_way(&step->y);
        } else {
            hid->last.x = step->x;
            hid->last.y = step->y;
        }
        if (!step->wheel && (hid->kind == USB_HID_TABLET || (!step->x && !step->y)))
            pop(hid);
    }
    report[0] = hid->last.buttons;
    if (hid->kind == USB_HID_MOUSE) {
        memcpy(report + 1, (const int8_t[]){x, y, wheel}, 3);
        return;
    }
    const uint16_t place[] = {(uint16_t)hid->last.x, (uint16_t)hid->last.y};
    memcpy(report + 1, place, sizeof place);
    report[5] = (uint8_t)wheel;
}

static unsigned next_report(struct usb_hid *hid, uint8_t report[REPORT_MAX])
{
    if (hid->kind == USB_HID_KEYBOARD)
        key_report(hid, report);
    else
        motion_report(hid, report);
    return report_size(hid);
}

// 7.2.4
static void restart_idle(struct usb_hid *hid)
{
    hid->idle_due = hid->idle ? clock_now(hid->clock) + hid->idle * (int64_t)IDLE_UNIT_NS : CLOCK_NEVER;
    loop_timer_arm(&hid->idle_timer, hid->idle_due);
}

static void idle_over(void *opaque)
{
    usb_wakeup(opaque, USB_HID_ENDPOINT);
}

static enum usb_status transfer(struct usb_device *udev, struct usb_transfer *t)
{
    struct usb_hid *hid = (struct usb_hid *)udev;
    uint8_t report[REPORT_MAX];
    if (!hid->pending_count && (hid->idle_due == CLOCK_NEVER || clock_now(hid->clock) < hid->idle_due))
        return USB_NAK;
    if (t->length < report_size(hid))
        return USB_BABBLE;
    usb_put(t, report, next_report(hid, report));
    restart_idle(hid);
    return USB_OK;
}

// --- requests ---

static enum usb_status get_descriptor(struct usb_hid *hid, unsigned type, uint8_t *data, uint32_t *length)
{
    const struct usb_hid_table *table = &usb_hid_tables[hid->kind];
    switch (type) {
    case USB_DT_HID:
        *length = USB_HID_DESCRIPTOR_SIZE;
        memcpy(data, table->high.class_descriptor, *length);
        return USB_OK;
    case USB_DT_HID_REPORT:
        *length = table->report_descriptor_size;
        memcpy(data, table->report_descriptor, *length);
        return USB_OK;
    default: return USB_STALL;
    }
}

static enum usb_status get_byte(uint8_t value, uint8_t *data, uint32_t *length)
{
    data[0] = value;
    *length = 1;
    return USB_OK;
}

static enum usb_status control(struct usb_device *udev, const struct usb_setup *s, uint8_t *data, uint32_t *length)
{
    struct usb_hid *hid = (struct usb_hid *)udev;
    bool in = s->bmRequestType & USB_DIR_IN, boot = usb_hid_tables[hid->kind].boot_report_size;
    if ((s->bmRequestType & USB_RECIP_MASK) != USB_RECIP_INTERFACE || s->wIndex)
        return USB_STALL;
    if ((s->bmRequestType & USB_TYPE_MASK) == USB_TYPE_STANDARD)
        return in ? get_descriptor(hid, s->wValue >> 8, data, length) : USB_STALL;
    if ((s->bmRequestType & USB_TYPE_MASK) != USB_TYPE_CLASS)
        return USB_STALL;
    switch (s->bRequest | (in ? 0x100 : 0)) {
    case GET_REPORT | 0x100:
        if (s->wValue >> 8 != REPORT_INPUT)
            return USB_STALL;
        *length = next_report(hid, data);
        return USB_OK;
    case GET_IDLE | 0x100: return get_byte(hid->idle, data, length);
    case GET_PROTOCOL | 0x100: return boot ? get_byte(hid->protocol, data, length) : USB_STALL;
    case SET_REPORT:
        if (s->wValue >> 8 != REPORT_OUTPUT || hid->kind != USB_HID_KEYBOARD || !*length)
            return USB_STALL;
        hid->leds = data[0];
        return USB_OK;
    case SET_IDLE:
        hid->idle = (uint8_t)(s->wValue >> 8);
        restart_idle(hid);
        return USB_OK;
    case SET_PROTOCOL:
        if (!boot || s->wValue > REPORT_PROTOCOL)
            return USB_STALL;
        hid->protocol = (uint8_t)s->wValue;
        return USB_OK;
    default: return USB_STALL;
    }
}

// --- life ---

static void bus_reset(struct usb_device *udev)
{
    struct usb_hid *hid = (struct usb_hid *)udev;
    hid->pending_count = hid->key_count = hid->modifiers = hid->buttons = 0;
    hid->last = (struct step){0};
    hid->protocol = REPORT_PROTOCOL;
    hid->idle = hid->leds = 0;
    restart_idle(hid);
}

static const struct usb_device_ops ops = {control, transfer, bus_reset};

static void reset(struct device *dev)
{
    usb_bus_reset((struct usb_device *)dev);
}

// A saved state may hold anything.
static void post_load(struct device *dev)
{
    struct usb_hid *hid = (struct usb_hid *)dev;
    usb_device_restored(&hid->udev);
    if (hid->pending_count > PENDING)
        hid->pending_count = 0;
    if (hid->key_count > KEYS)
        hid->key_count = 0;
    hid->protocol &= 1;
    loop_timer_arm(&hid->idle_timer, hid->idle_due);
}

static void destroy(struct device *dev)
{
    struct usb_hid *hid = (struct usb_hid *)dev;
    usb_detach(&hid->udev);
    loop_timer_destroy(&hid->idle_timer);
    free(hid);
}

static const struct device_class class = DEVICE_CLASS("usb-hid", 1, fields, reset, post_load, destroy, NULL, 0);

int usb_hid_create(const struct usb_hid_config *config, struct usb_device **ret_udev, struct error *err)
{
    const struct usb_hid_table *table = &usb_hid_tables[config->kind];
    struct usb_hid *hid = calloc(1, sizeof *hid);
    if (!hid)
        return error_set(err, -ENOMEM, "out of memory");
    hid->kind = config->kind;
    hid->clock = config->clock;
    int r = loop_timer_init(config->loop, &hid->idle_timer, config->clock, idle_over, hid);
    if (r) {
        free(hid);
        return error_set(err, r, "out of memory");
    }
    usb_device_init(&hid->udev, &class, config->path, config->full_speed ? &table->full : &table->high, &ops,
                    config->serial ? config->serial : "1");
    device_reset(&hid->udev.dev);
    *ret_udev = &hid->udev;
    return 0;
}
