// SPDX-License-Identifier: MIT
// Owns the commands that stand for a person at the machine: send-key and input-send-event. Keys and motion go to whatever
// input device the machine has; the power key is the board's. What the guest does not listen to is lost, as with a real
// keyboard.
#include "base/types.h"
#include "control/monitor/key_names.h"
#include "control/qmp/qmp_internal.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEYS = 32, DEFAULT_HOLD_MS = 100, NS_PER_MS = 1000000 };

static const char *text_of(struct json_object *object, const char *name)
{
    struct json_object *value; // NULL for null, which is no string
    return json_object_object_get_ex(object, name, &value) && json_object_is_type(value, json_type_string)
               ? json_object_get_string(value)
               : NULL;
}

static bool number_of(struct json_object *object, const char *name, int64_t *ret)
{
    struct json_object *value;
    if (!json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, json_type_int))
        return false;
    *ret = json_object_get_int64(value);
    return true;
}

// A KeyValue; 0: no key that we know.
static uint16_t key_of(struct json_object *value)
{
    const char *type = text_of(value, "type"), *name = text_of(value, "data");
    int64_t number;
    if (type && !strcmp(type, "qcode") && name)
        return key_by_name(name, strlen(name));
    if (type && !strcmp(type, "number") && number_of(value, "data", &number) && number > 0)
        return key_by_number((uint64_t)number);
    return 0;
}

void qmp_send_key(struct qmp_call *call)
{
    struct json_object *list = NULL;
    uint16_t keys[MAX_KEYS];
    bool all_known = true, all_power = true;
    int64_t hold = qmp_arg_int(call, "hold-time", DEFAULT_HOLD_MS);
    json_object_object_get_ex(call->args, "keys", &list);
    size_t count = json_object_array_length(list);
    if (!count)
        return;
    if (count > MAX_KEYS) {
        qmp_fail(call, "There can be at most %d keys at a time", MAX_KEYS);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        keys[i] = key_of(json_object_array_get_idx(list, i));
        all_known &= !!keys[i];
        all_power &= keys[i] == KEY_POWER;
    }
    if (all_power) {
        machine_power_key(call->machine);
        return;
    }
    if (!machine_has_input(call->machine, EV_KEY, KEY_A)) {
        qmp_fail(call, "This machine has no keyboard; of keys it has 'power'");
        return;
    }
    if (!all_known) {
        qmp_fail(call, "Parameter 'keys' holds what is no key");
        return;
    }
    hold = hold < 0 ? 0 : hold > INT32_MAX ? INT32_MAX : hold;
    int r = machine_press_keys(call->machine, keys, (unsigned)count, hold * NS_PER_MS);
    if (r == -ENODEV)
        qmp_fail(call, "The machine's keyboard has not all of these keys");
    else if (r)
        qmp_fail(call, "Too many keys wait to be pressed");
}

// --- input-send-event ---

static const struct button {
    const char *name;
    uint16_t type, code;
    int32_t value; // of a wheel
} buttons[] = {{"left", EV_KEY, BTN_LEFT, 0},       {"middle", EV_KEY, BTN_MIDDLE, 0},
               {"right", EV_KEY, BTN_RIGHT, 0},     {"side", EV_KEY, BTN_SIDE, 0},
               {"extra", EV_KEY, BTN_EXTRA, 0},     {"wheel-up", EV_REL, REL_WHEEL, 1},
               {"wheel-down", EV_REL, REL_WHEEL, -1}};

static bool button_event(const char *name, bool down, struct input_event *ret)
{
    for (size_t i = 0; name && i < ARRAY_SIZE(buttons); i++)
        if (!strcmp(buttons[i].name, name)) {
            bool wheel = buttons[i].type == EV_REL;
            *ret = (struct input_event){buttons[i].type, buttons[i].code,
                                        wheel ? (uint32_t)(down ? buttons[i].value : 0) : down};
            return true;
        }
    return false;
}

static bool axis_event(struct json_object *data, bool absolute, struct input_event *ret)
{
    const char *axis = text_of(data, "axis");
    int64_t value;
    if (!axis || (strcmp(axis, "x") && strcmp(axis, "y")) || !number_of(data, "value", &value) || value < INT32_MIN ||
        value > INT32_MAX)
        return false;
    bool y = *axis == 'y';
    *ret = absolute ? (struct input_event){EV_ABS, y ? ABS_Y : ABS_X, (uint32_t)value}
                    : (struct input_event){EV_REL, y ? REL_Y : REL_X, (uint32_t)value};
    return true;
}

static bool parse_event(struct json_object *object, struct input_event *ret)
{
    const char *type = text_of(object, "type");
    struct json_object *data = NULL, *down = NULL, *key = NULL;
    if (!type || !json_object_object_get_ex(object, "data", &data))
        return false;
    if (!strcmp(type, "rel") || !strcmp(type, "abs"))
        return axis_event(data, *type == 'a', ret);
    if (!json_object_object_get_ex(data, "down", &down) || !json_object_is_type(down, json_type_boolean))
        return false;
    bool pressed = json_object_get_boolean(down);
    if (!strcmp(type, "btn"))
        return button_event(text_of(data, "button"), pressed, ret);
    uint16_t code = !strcmp(type, "key") && json_object_object_get_ex(data, "key", &key) ? key_of(key) : 0;
    *ret = (struct input_event){EV_KEY, code, pressed};
    return code;
}

static bool is_key(const struct input_event *e)
{
    return e->type == EV_KEY && e->code < BTN_MISC;
}

static bool is_motion(const struct input_event *e)
{
    return e->type == EV_ABS || (e->type == EV_REL && e->code != REL_WHEEL);
}

// Motion decides which of the pointing devices it is, so it comes first.
static void motion_first(struct input_event *events, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j && is_motion(&events[j]) && !is_motion(&events[j - 1]); j--) {
            struct input_event e = events[j];
            events[j] = events[j - 1];
            events[j - 1] = e;
        }
}

static void send_group(struct qmp_call *call, struct input_event *events, size_t count)
{
    if (is_key(events) && events->code == KEY_POWER) {
        if (events->value)
            machine_power_key(call->machine);
        return;
    }
    motion_first(events, count);
    if (machine_input(call->machine, events, (unsigned)count) == -ENODEV)
        qmp_fail(call, "This machine has no input device for such an event");
}

void qmp_input_send_event(struct qmp_call *call)
{
    struct json_object *list = NULL;
    json_object_object_get_ex(call->args, "events", &list);
    size_t count = json_object_array_length(list);
    struct input_event *events = calloc(count + 1, sizeof *events);
    if (!events) {
        qmp_fail(call, "out of memory");
        return;
    }
    for (size_t i = 0; i < count && !call->error_class; i++)
        if (!parse_event(json_object_array_get_idx(list, i), &events[i]))
            qmp_fail(call, "Parameter 'events' holds what is no event that we know");
    // Keys are told one by one, what a pointer does at a time together.
    for (size_t i = 0, end; i < count && !call->error_class; i = end) {
        for (end = i + 1; end < count && !is_key(&events[i]) && !is_key(&events[end]);)
            end++;
        send_group(call, &events[i], end - i);
    }
    free(events);
}
