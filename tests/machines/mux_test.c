// SPDX-License-Identifier: MIT
// The multiplexer over a back end that the test drives: focus, escape commands, input that waits, break,
// quit.
#include "host/chardev/backends.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct end { // a front's sink
    char got[1024];
    size_t len, room;
    unsigned breaks, opened, closed;
};

struct below {
    struct chardev chardev;
    char out[2048];
    size_t len;
};

static size_t can_receive(void *opaque)
{
    return ((struct end *)opaque)->room;
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct end *e = opaque;
    cr_assert_leq(len, e->room, "no more than there is room for");
    memcpy(e->got + e->len, buf, len);
    e->len += len;
    e->room -= len;
}

static void event(void *opaque, enum chardev_event what)
{
    struct end *e = opaque;
    e->breaks += what == CHARDEV_BREAK;
    e->opened += what == CHARDEV_OPENED;
    e->closed += what == CHARDEV_CLOSED;
}

static const struct chardev_sink sink = {can_receive, receive, event};

static int below_write(struct chardev *chardev, const void *buf, size_t len)
{
    struct below *b = (struct below *)chardev;
    memcpy(b->out + b->len, buf, len);
    b->len += len;
    return (int)len;
}

static const struct chardev_ops below_ops = {.write = below_write};

static void quit(void *opaque)
{
    (*(unsigned *)opaque)++;
}

// Types text as far as it is taken; the number of bytes taken.
static size_t type(struct below *b, const char *text)
{
    size_t len = strlen(text), done = 0;
    while (done < len && chardev_can_deliver(&b->chardev)) {
        size_t room = chardev_can_deliver(&b->chardev), part = len - done < room ? len - done : room;
        chardev_deliver(&b->chardev, (const uint8_t *)text + done, part);
        done += part;
    }
    return done;
}

struct bench {
    struct below below;
    struct chardev_mux *mux;
    struct chardev *fronts[2];
    struct end ends[2];
    unsigned quits;
};

static void setup(struct bench *b)
{
    memset(b, 0, sizeof *b);
    b->below.chardev.ops = &below_ops;
    cr_assert_eq(chardev_mux_create(&b->below.chardev, 1, quit, &b->quits, &b->mux, NULL), 0);
    for (int i = 0; i < 2; i++) {
        b->fronts[i] = chardev_mux_front(b->mux);
        b->ends[i].room = 1000;
        chardev_attach(b->fronts[i], &sink, &b->ends[i]);
    }
}

Test(mux, table)
{
    static const struct {
        const char *typed, *first, *second;
        unsigned quits, breaks;
    } rows[] = {
        {"hello", "hello", "", 0, 0},        {"a\001\001b", "a\001b", "", 0, 0},
        {"a\001cb", "a", "b", 0, 0},         {"a\001cb\001cc", "ac", "b", 0, 0},
        {"a\001bz", "az", "", 0, 1},         {"\001x", "", "", 1, 0},
        {"\001qz", "z", "", 0, 0},           {"\001", "", "", 0, 0},
        {"\001c\001c\001cq", "", "q", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench b;
        setup(&b);
        type(&b.below, rows[i].typed);
        cr_expect_str_eq(b.ends[0].got, rows[i].first, "row %zu", i);
        cr_expect_str_eq(b.ends[1].got, rows[i].second, "row %zu", i);
        cr_expect_eq(b.quits, rows[i].quits, "row %zu", i);
        cr_expect_eq(b.ends[0].breaks, rows[i].breaks, "row %zu", i);
        chardev_mux_destroy(b.mux);
    }
}

Test(mux, output_of_all_fronts_and_help)
{
    struct bench b;
    setup(&b);
    chardev_write(b.fronts[0], "one ", 4);
    chardev_write(b.fronts[1], "two", 3);
    cr_expect_str_eq(b.below.out, "one two");
    type(&b.below, "\001h");
    cr_expect(strstr(b.below.out, "C-a x    exit emulator"));
    type(&b.below, "\001c");
    cr_expect_eq(b.ends[1].opened, 1);
    cr_expect_eq(b.ends[0].closed, 1);
    chardev_mux_destroy(b.mux);
}

Test(mux, a_stuck_front_loses_nothing)
{
    struct bench b;
    char text[601];
    for (int i = 0; i < 600; i++)
        text[i] = (char)('a' + i % 26);
    text[600] = 0;
    setup(&b);
    b.ends[0].room = 0;
    size_t taken = type(&b.below, text);
    cr_expect_lt(taken, 600, "it is bounded");
    cr_expect_eq(b.ends[0].len, 0);
    while (taken < 600) {
        b.ends[0].room = 7;
        chardev_accept_input(b.fronts[0]);
        taken += type(&b.below, text + taken);
    }
    b.ends[0].room = 1000;
    chardev_accept_input(b.fronts[0]);
    cr_expect_str_eq(b.ends[0].got, text);
    chardev_mux_destroy(b.mux);
}
