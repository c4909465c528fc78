// SPDX-License-Identifier: MIT
// Owns the descriptors of HID devices (HID 1.11, 6.2, appendix B) and the map from Linux's key codes to usages of the
// keyboard page (HID Usage Tables 1.12, 10). Names and numbers of the devices are those of QEMU's, for guests that treat
// them in their own way.
#include "hw/usb/usb_hid_tables.h"

#include <linux/input-event-codes.h>

enum {
    QEMU_VENDOR = 0x0627,
    QEMU_HID = 0x0001,
    CLASS_HID = 3,
    SUBCLASS_NONE = 0,
    SUBCLASS_BOOT = 1,
    PROTOCOL_KEYBOARD = 1,
    PROTOCOL_MOUSE = 2,
    REMOTE_WAKEUP = 1 << 5,
    MA_100 = 50, // units of 2 mA
};

// Items of a report descriptor, 6.2.2: tag, type and size of the data that follows.
enum {
    USAGE_PAGE = 0x05,
    USAGE = 0x09,
    USAGE_MINIMUM = 0x19,
    USAGE_MAXIMUM = 0x29,
    USAGE_MAXIMUM_2 = 0x2a,
    LOGICAL_MINIMUM = 0x15,
    LOGICAL_MAXIMUM = 0x25,
    LOGICAL_MAXIMUM_2 = 0x26,
    PHYSICAL_MINIMUM = 0x35,
    PHYSICAL_MAXIMUM = 0x45,
    PHYSICAL_MAXIMUM_2 = 0x46,
    REPORT_SIZE = 0x75,
    REPORT_COUNT = 0x95,
    INPUT = 0x81,
    OUTPUT = 0x91,
    COLLECTION = 0xa1,
    END_COLLECTION = 0xc0,
    ARRAY = 0,
    CONSTANT = 1,
    VARIABLE = 2,
    RELATIVE = 6,
    PHYSICAL = 0,
    APPLICATION = 1,
    PAGE_DESKTOP = 1,
    PAGE_KEYS = 7,
    PAGE_LEDS = 8,
    PAGE_BUTTONS = 9,
    POINTER = 1,
    MOUSE = 2,
    KEYBOARD = 6,
    X = 0x30,
    Y = 0x31,
    WHEEL = 0x38,
};

// clang-format off
static const uint8_t keyboard_report[] = {
    USAGE_PAGE, PAGE_DESKTOP, USAGE, KEYBOARD, COLLECTION, APPLICATION,
    USAGE_PAGE, PAGE_KEYS, USAGE_MINIMUM, 0xe0, USAGE_MAXIMUM, 0xe7, LOGICAL_MINIMUM, 0, LOGICAL_MAXIMUM, 1,
    REPORT_SIZE, 1, REPORT_COUNT, 8, INPUT, VARIABLE,
    REPORT_SIZE, 8, REPORT_COUNT, 1, INPUT, CONSTANT,
    USAGE_PAGE, PAGE_LEDS, USAGE_MINIMUM, 1, USAGE_MAXIMUM, 5,
    REPORT_SIZE, 1, REPORT_COUNT, 5, OUTPUT, VARIABLE,
    REPORT_SIZE, 3, REPORT_COUNT, 1, OUTPUT, CONSTANT,
    USAGE_PAGE, PAGE_KEYS, USAGE_MINIMUM, 0, USAGE_MAXIMUM_2, 0xff, 0, LOGICAL_MINIMUM, 0, LOGICAL_MAXIMUM_2, 0xff, 0,
    REPORT_SIZE, 8, REPORT_COUNT, 6, INPUT, ARRAY,
    END_COLLECTION,
};

static const uint8_t mouse_report[] = {
    USAGE_PAGE, PAGE_DESKTOP, USAGE, MOUSE, COLLECTION, APPLICATION, USAGE, POINTER, COLLECTION, PHYSICAL,
    USAGE_PAGE, PAGE_BUTTONS, USAGE_MINIMUM, 1, USAGE_MAXIMUM, USB_HID_BUTTONS, LOGICAL_MINIMUM, 0, LOGICAL_MAXIMUM, 1,
    REPORT_SIZE, 1, REPORT_COUNT, USB_HID_BUTTONS, INPUT, VARIABLE,
    REPORT_SIZE, 8 - USB_HID_BUTTONS, REPORT_COUNT, 1, INPUT, CONSTANT,
    USAGE_PAGE, PAGE_DESKTOP, USAGE, X, USAGE, Y, USAGE, WHEEL, LOGICAL_MINIMUM, 0x81, LOGICAL_MAXIMUM, 0x7f,
    REPORT_SIZE, 8, REPORT_COUNT, 3, INPUT, RELATIVE,
    END_COLLECTION, END_COLLECTION,
};

static const uint8_t tablet_report[] = {
    USAGE_PAGE, PAGE_DESKTOP, USAGE, MOUSE, COLLECTION, APPLICATION, USAGE, POINTER, COLLECTION, PHYSICAL,
    USAGE_PAGE, PAGE_BUTTONS, USAGE_MINIMUM, 1, USAGE_MAXIMUM, USB_HID_BUTTONS, LOGICAL_MINIMUM, 0, LOGICAL_MAXIMUM, 1,
    REPORT_SIZE, 1, REPORT_COUNT, USB_HID_BUTTONS, INPUT, VARIABLE,
    REPORT_SIZE, 8 - USB_HID_BUTTONS, REPORT_COUNT, 1, INPUT, CONSTANT,
    USAGE_PAGE, PAGE_DESKTOP, USAGE, X, USAGE, Y, LOGICAL_MINIMUM, 0, LOGICAL_MAXIMUM_2, 0xff, 0x7f,
    PHYSICAL_MINIMUM, 0, PHYSICAL_MAXIMUM_2, 0xff, 0x7f, REPORT_SIZE, 16, REPORT_COUNT, 2, INPUT, VARIABLE,
    USAGE, WHEEL, LOGICAL_MINIMUM, 0x81, LOGICAL_MAXIMUM, 0x7f, PHYSICAL_MINIMUM, 0, PHYSICAL_MAXIMUM, 0,
    REPORT_SIZE, 8, REPORT_COUNT, 1, INPUT, RELATIVE,
    END_COLLECTION, END_COLLECTION,
};
// clang-format on
_Static_assert(INPUT_ABS_MAX == 0x7fff, "the tablet's logical maximum");

#define HID_DESCRIPTOR(report_)                                                                              \
    {                                                                                                        \
        USB_HID_DESCRIPTOR_SIZE, USB_DT_HID, 0x11, 0x01, 0, 1, USB_DT_HID_REPORT, sizeof(report_), 0         \
    }
static const uint8_t keyboard_hid[] = HID_DESCRIPTOR(keyboard_report), mouse_hid[] = HID_DESCRIPTOR(mouse_report),
                     tablet_hid[] = HID_DESCRIPTOR(tablet_report);

// Intervals: in ms up to full speed, at high speed 2^(n - 1) microframes: 8 ms for keys, 1 ms for motion.
#define ENDPOINT_FULL(packet_) .at[USB_SPEED_FULL] = {packet_, 10, 0}
#define ENDPOINTS(name_, packet_, high_interval_)                                                            \
    static const struct usb_endpoint_table name_##_high[] = {                                                \
        {.address = USB_HID_ENDPOINT,                                                                        \
         .attributes = USB_ENDPOINT_INTERRUPT,                                                               \
         ENDPOINT_FULL(packet_),                                                                             \
         .at[USB_SPEED_HIGH] = {packet_, high_interval_, 0}}};                                               \
    static const struct usb_endpoint_table name_##_full[] = {                                                \
        {.address = USB_HID_ENDPOINT, .attributes = USB_ENDPOINT_INTERRUPT, ENDPOINT_FULL(packet_)}}
ENDPOINTS(keyboard, 8, 7);
ENDPOINTS(mouse, 4, 4);
ENDPOINTS(tablet, 8, 4);

#define MODEL(name_, product_, subclass_, protocol_, endpoints_)                                             \
    {                                                                                                        \
        .vendor = QEMU_VENDOR, .product = QEMU_HID, .manufacturer_name = "QEMU", .product_name = product_,   \
        .interface_class = CLASS_HID, .subclass = subclass_, .protocol = protocol_,                          \
        .attributes = REMOTE_WAKEUP, .max_power = MA_100, .class_descriptor = name_##_hid,                   \
        .class_descriptor_size = USB_HID_DESCRIPTOR_SIZE, .endpoints = endpoints_, .endpoint_count = 1,      \
    }
#define TABLE(name_, product_, subclass_, protocol_, size_, boot_size_)                                      \
    {                                                                                                        \
        .high = MODEL(name_, product_, subclass_, protocol_, name_##_high),                                  \
        .full = MODEL(name_, product_, subclass_, protocol_, name_##_full),                                  \
        .report_descriptor = name_##_report, .report_descriptor_size = sizeof name_##_report,                \
        .report_size = size_, .boot_report_size = boot_size_,                                                \
    }

const struct usb_hid_table usb_hid_tables[] = {
    [USB_HID_KEYBOARD] = TABLE(keyboard, "QEMU USB Keyboard", SUBCLASS_BOOT, PROTOCOL_KEYBOARD, 8, 8),
    [USB_HID_MOUSE] = TABLE(mouse, "QEMU USB Mouse", SUBCLASS_BOOT, PROTOCOL_MOUSE, 4, 3),
    [USB_HID_TABLET] = TABLE(tablet, "QEMU USB Tablet", SUBCLASS_NONE, 0, 6, 0),
};

// clang-format off
static const uint8_t usages[] = {
    [KEY_A] = 0x04, [KEY_B] = 0x05, [KEY_C] = 0x06, [KEY_D] = 0x07, [KEY_E] = 0x08, [KEY_F] = 0x09, [KEY_G] = 0x0a,
    [KEY_H] = 0x0b, [KEY_I] = 0x0c, [KEY_J] = 0x0d, [KEY_K] = 0x0e, [KEY_L] = 0x0f, [KEY_M] = 0x10, [KEY_N] = 0x11,
    [KEY_O] = 0x12, [KEY_P] = 0x13, [KEY_Q] = 0x14, [KEY_R] = 0x15, [KEY_S] = 0x16, [KEY_T] = 0x17, [KEY_U] = 0x18,
    [KEY_V] = 0x19, [KEY_W] = 0x1a, [KEY_X] = 0x1b, [KEY_Y] = 0x1c, [KEY_Z] = 0x1d,
    [KEY_1] = 0x1e, [KEY_2] = 0x1f, [KEY_3] = 0x20, [KEY_4] = 0x21, [KEY_5] = 0x22, [KEY_6] = 0x23, [KEY_7] = 0x24,
    [KEY_8] = 0x25, [KEY_9] = 0x26, [KEY_0] = 0x27,
    [KEY_ENTER] = 0x28, [KEY_ESC] = 0x29, [KEY_BACKSPACE] = 0x2a, [KEY_TAB] = 0x2b, [KEY_SPACE] = 0x2c,
    [KEY_MINUS] = 0x2d, [KEY_EQUAL] = 0x2e, [KEY_LEFTBRACE] = 0x2f, [KEY_RIGHTBRACE] = 0x30, [KEY_BACKSLASH] = 0x31,
    [KEY_SEMICOLON] = 0x33, [KEY_APOSTROPHE] = 0x34, [KEY_GRAVE] = 0x35, [KEY_COMMA] = 0x36, [KEY_DOT] = 0x37,
    [KEY_SLASH] = 0x38, [KEY_CAPSLOCK] = 0x39,
    [KEY_F1] = 0x3a, [KEY_F2] = 0x3b, [KEY_F3] = 0x3c, [KEY_F4] = 0x3d, [KEY_F5] = 0x3e, [KEY_F6] = 0x3f,
    [KEY_F7] = 0x40, [KEY_F8] = 0x41, [KEY_F9] = 0x42, [KEY_F10] = 0x43, [KEY_F11] = 0x44, [KEY_F12] = 0x45,
    [KEY_SYSRQ] = 0x46, [KEY_SCROLLLOCK] = 0x47, [KEY_PAUSE] = 0x48, [KEY_INSERT] = 0x49, [KEY_HOME] = 0x4a,
    [KEY_PAGEUP] = 0x4b, [KEY_DELETE] = 0x4c, [KEY_END] = 0x4d, [KEY_PAGEDOWN] = 0x4e, [KEY_RIGHT] = 0x4f,
    [KEY_LEFT] = 0x50, [KEY_DOWN] = 0x51, [KEY_UP] = 0x52, [KEY_NUMLOCK] = 0x53,
    [KEY_KPSLASH] = 0x54, [KEY_KPASTERISK] = 0x55, [KEY_KPMINUS] = 0x56, [KEY_KPPLUS] = 0x57, [KEY_KPENTER] = 0x58,
    [KEY_KP1] = 0x59, [KEY_KP2] = 0x5a, [KEY_KP3] = 0x5b, [KEY_KP4] = 0x5c, [KEY_KP5] = 0x5d, [KEY_KP6] = 0x5e,
    [KEY_KP7] = 0x5f, [KEY_KP8] = 0x60, [KEY_KP9] = 0x61, [KEY_KP0] = 0x62, [KEY_KPDOT] = 0x63,
    [KEY_102ND] = 0x64, [KEY_COMPOSE] = 0x65, [KEY_POWER] = 0x66, [KEY_KPEQUAL] = 0x67,
    [KEY_F13] = 0x68, [KEY_F14] = 0x69, [KEY_F15] = 0x6a, [KEY_F16] = 0x6b, [KEY_F17] = 0x6c, [KEY_F18] = 0x6d,
    [KEY_F19] = 0x6e, [KEY_F20] = 0x6f, [KEY_F21] = 0x70, [KEY_F22] = 0x71, [KEY_F23] = 0x72, [KEY_F24] = 0x73,
    [KEY_OPEN] = 0x74, [KEY_HELP] = 0x75, [KEY_PROPS] = 0x76, [KEY_FRONT] = 0x77, [KEY_STOP] = 0x78,
    [KEY_AGAIN] = 0x79, [KEY_UNDO] = 0x7a, [KEY_CUT] = 0x7b, [KEY_COPY] = 0x7c, [KEY_PASTE] = 0x7d, [KEY_FIND] = 0x7e,
    [KEY_MUTE] = 0x7f, [KEY_VOLUMEUP] = 0x80, [KEY_VOLUMEDOWN] = 0x81, [KEY_KPCOMMA] = 0x85,
    [KEY_RO] = 0x87, [KEY_KATAKANAHIRAGANA] = 0x88, [KEY_YEN] = 0x89, [KEY_HENKAN] = 0x8a, [KEY_MUHENKAN] = 0x8b,
    [KEY_HANGEUL] = 0x90, [KEY_HANJA] = 0x91, [KEY_KATAKANA] = 0x92, [KEY_HIRAGANA] = 0x93,
    [KEY_LEFTCTRL] = 0xe0, [KEY_LEFTSHIFT] = 0xe1, [KEY_LEFTALT] = 0xe2, [KEY_LEFTMETA] = 0xe3,
    [KEY_RIGHTCTRL] = 0xe4, [KEY_RIGHTSHIFT] = 0xe5, [KEY_RIGHTALT] = 0xe6, [KEY_RIGHTMETA] = 0xe7,
};
// clang-format on

uint8_t usb_hid_usage(uint16_t code)
{
    return code < ARRAY_SIZE(usages) ? usages[code] : 0;
}
