// SPDX-License-Identifier: MIT
// The snapshot form of device state: what a stream may not be, each with its sentence, and the conversion of
// times.
#include "hw/core/state.h"
#include "base/clock.h"
#include "base/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct toy {
    struct device dev;
    bool flag;
    uint16_t half;
    uint8_t bytes[3];
    struct {
        uint32_t a;
        uint64_t b;
    } pair[2];
    int64_t when;
    unsigned loads;
};

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_BOOL, toy, flag),      STATE_FIELD(2, STATE_U16, toy, half),
    STATE_ARRAY(3, STATE_BYTES, toy, bytes, 3), STATE_EACH(4, STATE_U64, toy, pair, b, 2),
    STATE_FIELD(7, STATE_TIME, toy, when),
};

static void toy_loaded(struct device *dev)
{
    ((struct toy *)dev)->loads++;
}

static const struct device_class toy_class = DEVICE_CLASS("toy", 2, fields, NULL, toy_loaded, NULL, NULL, 0);

static void toy_init(struct toy *t, const char *path)
{
    memset(t, 0, sizeof *t);
    device_init(&t->dev, &toy_class, path);
}

enum { VERSION = 4, PAYLOAD = 16 + 3 + 2 }; // offsets in the stream of a toy at "/t"

Test(state, round_trip)
{
    struct toy a, b;
    struct state_buf buf = {0};
    toy_init(&a, "/t");
    toy_init(&b, "/t");
    a.flag = true;
    a.half = 0x1234;
    memcpy(a.bytes, "xyz", 3);
    a.pair[0].a = 77;
    a.pair[1].b = 0x123456789abcdef0;
    a.when = 1500;
    cr_assert_eq(state_save(&a.dev, 1000, &buf, NULL), 0);
    struct device *devs[] = {&b.dev};
    struct error err;
    cr_assert_eq(state_load(devs, 1, 9000, buf.data, buf.size, &err), 0, "%s", err.text);
    cr_assert_eq(b.when, 9500, "times move with the clock");
    cr_assert_eq(b.loads, 1);
    cr_assert_eq(b.pair[0].a, 0, "not in the table");
    cr_assert_str_eq(state_compare(&a.dev, &b.dev)->name, "when");
    b.when = 1500;
    cr_assert_null(state_compare(&a.dev, &b.dev));
    b.pair[1].b++;
    cr_assert_str_eq(state_compare(&a.dev, &b.dev)->name, "pair.b");

    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    state_print(&a.dev, out);
    fclose(out);
    cr_assert_str_eq(text,
                     "/t flag = 1\n/t half = 1234\n/t bytes = 78 79 7a\n/t pair.b = 0 123456789abcdef0\n"
                     "/t when = 1500\n");
    free(text);
    state_buf_free(&buf);
}

Test(state, never_stays_never)
{
    struct toy a;
    struct state_buf buf = {0};
    toy_init(&a, "/t");
    struct device *devs[] = {&a.dev};
    a.when = CLOCK_NEVER;
    cr_assert_eq(state_save(&a.dev, 1000, &buf, NULL), 0);
    a.when = 0;
    cr_assert_eq(state_load(devs, 1, 7, buf.data, buf.size, NULL), 0);
    cr_assert_eq(a.when, CLOCK_NEVER);
    state_buf_free(&buf);
}

// One byte of the saved stream of a toy changed (or the stream cut), and what the sentence then says.
static const struct {
    int at, value, cut;
    const char *says;
} broken[] = {
    {0, 0, 1, "ends within a chunk"},
    {0, 0, 30, "ends within a chunk"},
    {0, 200, 0, "ends within a chunk"},
    {15, 0x7f, 0, "ends within a chunk"},
    {8, 5, 0, "ends within a field"},
    {16, 'T', 0, "is a toy here and a Toy"},
    {20, 'u', 0, "needs a toy at /u"},
    {VERSION, 3, 0, "version 3, newer than 2"},
    {PAYLOAD, 9, 0, "unknown field 9"},
    {PAYLOAD + 2, STATE_U8, 0, "flag of /t has another type"},
    {PAYLOAD + 4, 2, 0, "flag of /t has another type or length"},
    {PAYLOAD + 8, 2, 0, "flag of /t is neither true nor false"},
};

Test(state, broken_streams_are_refused)
{
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        struct toy a;
        struct state_buf buf = {0};
        struct error err = {""};
        toy_init(&a, "/t");
        struct device *devs[] = {&a.dev};
        cr_assert_eq(state_save(&a.dev, 0, &buf, NULL), 0);
        if (!broken[i].cut)
            buf.data[broken[i].at] = (uint8_t)broken[i].value;
        int code = state_load(devs, 1, 0, buf.data, buf.size - (size_t)broken[i].cut, &err);
        cr_expect_eq(code, -EINVAL, "row %zu", i);
        cr_expect(strstr(err.text, broken[i].says), "row %zu says: %s", i, err.text);
        cr_expect_eq(a.loads, 0, "row %zu", i);
        state_buf_free(&buf);
    }
}

// A field in the place of another, which would keep what it is: as many fields as there should be.
Test(state, a_field_comes_once)
{
    enum { FLAG = 8 + 1, HALF = 8 + 2, REST = PAYLOAD + FLAG + HALF }; // bytes of the first two fields
    struct toy a;
    struct state_buf buf = {0};
    struct error err = {""};
    toy_init(&a, "/t");
    struct device *devs[] = {&a.dev};
    cr_assert_eq(state_save(&a.dev, 0, &buf, NULL), 0);
    memmove(buf.data + PAYLOAD + FLAG, buf.data + PAYLOAD, FLAG);
    memmove(buf.data + PAYLOAD + 2 * FLAG, buf.data + REST, buf.size - REST);
    buf.data[8] = (uint8_t)(buf.data[8] + FLAG - HALF);
    cr_expect_eq(state_load(devs, 1, 0, buf.data, buf.size + FLAG - HALF, &err), -EINVAL);
    cr_expect_str_eq(err.text, "the state of /t has the field flag twice");
    state_buf_free(&buf);
}

Test(state, which_chunks)
{
    struct toy a, b;
    struct error err;
    struct state_buf one = {0}, two = {0};
    toy_init(&a, "/t");
    toy_init(&b, "/b");
    struct device *devs[] = {&a.dev, &b.dev};
    cr_assert_eq(state_save(&a.dev, 0, &one, NULL), 0);
    cr_assert_eq(state_load(devs, 2, 0, one.data, one.size, &err), -EINVAL);
    cr_assert(strstr(err.text, "no state for /b"), "%s", err.text);
    cr_assert_eq(state_save(&a.dev, 0, &two, NULL), 0);
    cr_assert_eq(state_save(&a.dev, 0, &two, NULL), 0);
    cr_assert_eq(state_load(devs, 1, 0, two.data, two.size, &err), -EINVAL);
    cr_assert(strstr(err.text, "/t twice"), "%s", err.text);
    two.size = one.size;
    cr_assert_eq(state_save(&b.dev, 0, &two, NULL), 0);
    two.data[one.size + 6] = 0; // no longer required
    cr_assert_eq(state_load(devs, 1, 0, two.data, two.size, &err), 0, "%s", err.text);
    two.data[one.size + 6] = STATE_REQUIRED;
    cr_assert_eq(state_load(devs, 1, 0, two.data, two.size, &err), -EINVAL);
    state_buf_free(&one);
    state_buf_free(&two);
}
