// SPDX-License-Identifier: MIT
// The cutting of QMP's stream into values, and their text form.
#include "control/qmp/frame.h"
#include "control/qmp/print.h"

#include <criterion/criterion.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

// What feeding the text completed: a letter each (V value, B bad, L too long, D too deep), values in brackets behind.
static void expect(const char *text, const char *wanted)
{
    static const char letters[] = {[QMP_INPUT_VALUE] = 'V', [QMP_INPUT_BAD] = 'B', [QMP_INPUT_TOO_LONG] = 'L',
                                   [QMP_INPUT_TOO_DEEP] = 'D', [QMP_INPUT_NO_MEMORY] = 'M'};
    struct qmp_frame frame = {0};
    char *got;
    size_t len;
    FILE *out = open_memstream(&got, &len);
    for (; *text; text++) {
        enum qmp_input what = qmp_frame_byte(&frame, (uint8_t)*text);
        if (what != QMP_INPUT_NONE)
            fputc(letters[what], out);
        if (what == QMP_INPUT_VALUE)
            fprintf(out, "(%s)", frame.text);
    }
    fclose(out);
    cr_assert_str_eq(got, wanted);
    free(got);
    qmp_frame_reset(&frame);
}

Test(frame, values)
{
    expect("{}", "V({})");
    expect(" \t\r\n{} \n{}[]", "V({})V({})V([])");
    expect("{\"a\": [1, {\"b\": \"}]\"}]}", "V({\"a\": [1, {\"b\": \"}]\"}]})");
    expect("{\"a\": \"\\\"}\"}", "V({\"a\": \"\\\"}\"})");
    expect("{'a': '\"}'}", "V({'a': '\"}'})");
    expect("{\n\"a\":\n1}", "V({\n\"a\":\n1})");
    expect("{\"a\": 1", "");
}

Test(frame, errors_end_with_the_line)
{
    expect("x{}\n{}", "BV({})");
    expect("}\n{}", "BV({})");
    expect("{\"a\n{}", "BV({})");
    expect("\x80\xff\n\n[]", "BV([])");
}

Test(frame, bounds)
{
    struct qmp_frame frame = {0};
    unsigned errors = 0;
    cr_assert_eq(qmp_frame_byte(&frame, '{'), QMP_INPUT_NONE);
    for (size_t i = 0; i < 4 * (size_t)QMP_VALUE_MAX; i++) {
        enum qmp_input what = qmp_frame_byte(&frame, ' ');
        cr_assert(what == QMP_INPUT_NONE || what == QMP_INPUT_TOO_LONG);
        errors += what == QMP_INPUT_TOO_LONG;
        cr_assert_leq(frame.capacity, 2 * QMP_VALUE_MAX);
    }
    cr_assert_eq(errors, 1);
    cr_assert_eq(qmp_frame_byte(&frame, '\n'), QMP_INPUT_NONE);
    errors = 0;
    for (size_t i = 0; i < 1000; i++)
        errors += qmp_frame_byte(&frame, '[') == QMP_INPUT_TOO_DEEP;
    cr_assert_eq(errors, 1);
    qmp_frame_byte(&frame, '\n');
    for (size_t i = 0; i < QMP_DEPTH_MAX; i++)
        cr_assert_eq(qmp_frame_byte(&frame, '['), QMP_INPUT_NONE);
    for (size_t i = 0; i < QMP_DEPTH_MAX - 1; i++)
        cr_assert_eq(qmp_frame_byte(&frame, ']'), QMP_INPUT_NONE);
    cr_assert_eq(qmp_frame_byte(&frame, ']'), QMP_INPUT_VALUE);
    qmp_frame_reset(&frame);
}

static void prints(const char *json, bool pretty, const char *wanted)
{
    struct json_object *value = json_tokener_parse(json);
    char *got;
    size_t len;
    FILE *out = open_memstream(&got, &len);
    qmp_print(out, value, pretty);
    fclose(out);
    cr_assert_str_eq(got, wanted);
    free(got);
    json_object_put(value);
}

Test(print, as_qemu_does)
{
    prints("{\"return\":{},\"id\":[1,null,true,\"a\\\"b/\"]}", false,
           "{\"return\": {}, \"id\": [1, null, true, \"a\\\"b/\"]}\r\n");
    prints("{\"a\":[],\"b\":[1,{}],\"c\":{\"d\":-1}}", true,
           "{\r\n    \"a\": [],\r\n    \"b\": [\r\n        1,\r\n        {}\r\n    ],\r\n    \"c\": {\r\n"
           "        \"d\": -1\r\n    }\r\n}\r\n");
}

static void cleans(const char *bytes, const char *wanted)
{
    struct json_object *text = qmp_text(bytes, strlen(bytes));
    cr_assert_str_eq(json_object_get_string(text), wanted);
    json_object_put(text);
}

Test(print, bytes_that_are_no_text)
{
    cleans("", "");
    cleans("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
    cleans("\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80");
    cleans("a\xff" "b\xc0\x80\xc3", "a?b???");
    cleans("\xed\xa0\x80\xf4\x90\x80\x80", "???????");
}
