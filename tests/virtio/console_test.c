// SPDX-License-Identifier: MIT
// The virtio console by its queues: control messages, bytes both ways, a slow host and a slow guest, and the
// test device that ends a run.
#include "base/keyval.h"
#include "base/loop.h"
#include "host/chardev/backends.h"
#include "hw/core/state.h"
#include "hw/virtio/virtio_console.h"
#include "tests/virtio/driver.h"

#include <criterion/criterion.h>
#include <errno.h>

// A host's end that takes what a test lets it.
struct end {
    struct chardev chardev;
    char text[65536];
    size_t len, limit;
};

static int end_write(struct chardev *chardev, const void *buf, size_t len)
{
    struct end *e = (struct end *)chardev;
    cr_assert(len <= sizeof e->text - e->len);
    memcpy(e->text + e->len, buf, len);
    e->len += len;
    return (int)len;
}

static size_t end_room(struct chardev *chardev)
{
    struct end *e = (struct end *)chardev;
    return e->limit > e->len ? e->limit - e->len : 0;
}

static const struct chardev_ops end_ops = {.write = end_write, .room = end_room};

enum { RX0, TX0, CONTROL_RX, CONTROL_TX, RX1, TX1, MULTIPORT = 1 << 1 };

struct bench {
    struct driver d;
    struct end console, stream;
};

static void setup(struct bench *b, uint64_t features)
{
    memset(b, 0, sizeof *b);
    driver_setup(&b->d);
    b->console.chardev.ops = b->stream.chardev.ops = &end_ops;
    b->console.limit = b->stream.limit = sizeof b->stream.text;
    struct virtio_console_config config = {.path = "/console", .mem = b->d.mem, .max_ports = 31};
    cr_assert_eq(virtio_console_create(&config, &b->d.vdev, NULL), 0);
    struct virtio_port_config port = {.number = -1, .console = true, .chardev = &b->console.chardev};
    cr_assert_eq(virtio_console_add_port(b->d.vdev, &port, NULL), 0);
    port = (struct virtio_port_config){.number = -1, .name = "a name", .chardev = &b->stream.chardev};
    cr_assert_eq(virtio_console_add_port(b->d.vdev, &port, NULL), 0);
    driver_start(&b->d, features, features & MULTIPORT ? 6 : 2);
}

static void teardown(struct bench *b)
{
    device_destroy(&b->d.vdev->dev);
    driver_teardown(&b->d);
}

static void control(struct bench *b, uint32_t id, uint16_t event, uint16_t value)
{
    struct {
        uint32_t id;
        uint16_t event, value;
    } message = {id, event, value};
    driver_out(&b->d, CONTROL_TX, &message, sizeof message);
}

// The next message from the device as "id event value text".
static const char *heard(struct bench *b, char text[80])
{
    struct {
        uint32_t id;
        uint16_t event, value;
        char name[64];
    } message = {0};
    if (!driver_used(&b->d, CONTROL_RX, &message, sizeof message))
        return "nothing";
    snprintf(text, 80, "%u %u %u %s", message.id, message.event, message.value, message.name);
    return text;
}

Test(console, ports_announce_themselves)
{
    struct bench b;
    char text[80];
    setup(&b, MULTIPORT);
    cr_expect_eq(virtio_config_read(b.d.vdev, 4, 4), 31);
    control(&b, 0, 0, 1);
    cr_expect_str_eq(heard(&b, text), "nothing", "there is no buffer yet");
    for (unsigned i = 0; i < 8; i++)
        driver_in(&b.d, CONTROL_RX, 72);
    cr_expect_str_eq(heard(&b, text), "0 1 1 ");
    cr_expect_str_eq(heard(&b, text), "1 1 1 ");
    control(&b, 0, 3, 1);
    cr_expect_str_eq(heard(&b, text), "0 4 1 ");
    cr_expect_str_eq(heard(&b, text), "0 6 1 ");
    control(&b, 1, 3, 1);
    cr_expect_str_eq(heard(&b, text), "1 6 1 ");
    cr_expect_str_eq(heard(&b, text), "1 7 1 a name");
    chardev_notify(&b.stream.chardev, CHARDEV_CLOSED);
    cr_expect_str_eq(heard(&b, text), "1 6 0 ");
    chardev_notify(&b.stream.chardev, CHARDEV_OPENED);
    cr_expect_str_eq(heard(&b, text), "1 6 1 ");
    control(&b, 2, 3, 1); // no such port
    control(&b, ~0u, 6, 1);
    control(&b, 1, 99, 1); // no such event
    driver_out(&b.d, CONTROL_TX, "abc", 3);
    cr_expect_str_eq(heard(&b, text), "nothing");
    cr_expect_not(b.d.vdev->status & VIRTIO_NEEDS_RESET);
    teardown(&b);
}

Test(console, bytes_go_both_ways)
{
    struct bench b;
    uint8_t buf[2048];
    setup(&b, 0); // a driver of one console
    driver_out(&b.d, TX0, "hello", 5);
    cr_expect_eq(b.console.len, 5);
    cr_expect_arr_eq(b.console.text, "hello", 5);
    cr_expect(driver_used(&b.d, TX0, NULL, 0));
    cr_expect_eq(chardev_can_deliver(&b.console.chardev), 0, "there is no buffer");
    driver_in(&b.d, RX0, 4);
    cr_expect(chardev_can_deliver(&b.console.chardev) >= 10);
    chardev_deliver(&b.console.chardev, (const uint8_t *)"0123456789", 10);
    cr_expect_eq(driver_used(&b.d, RX0, buf, sizeof buf), 4);
    cr_expect_arr_eq(buf, "0123", 4);
    cr_expect_eq(chardev_can_deliver(&b.console.chardev), 0, "some waits still");
    driver_in(&b.d, RX0, 100);
    cr_expect_eq(driver_used(&b.d, RX0, buf, sizeof buf), 6);
    cr_expect_arr_eq(buf, "456789", 6);
    virtio_config_write(b.d.vdev, 8, 4, '!');
    cr_expect_eq(b.console.text[5], '!', "emergency write");
    teardown(&b);
}

Test(console, a_slow_host_makes_the_guest_wait)
{
    struct bench b;
    char data[3000];
    struct state_buf saved = {0};
    setup(&b, MULTIPORT);
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7);
    b.stream.limit = 1000;
    driver_out(&b.d, TX1, data, 3000);
    driver_out(&b.d, TX1, "after", 5);
    cr_expect_eq(b.stream.len, 1000);
    cr_expect_not(driver_used(&b.d, TX1, NULL, 0), "it is not taken");
    b.stream.limit = 2500;
    chardev_notify(&b.stream.chardev, CHARDEV_DRAINED);
    cr_expect_eq(b.stream.len, 2500);
    // A machine that is saved here goes on where this one stands.
    cr_assert_eq(state_save(&b.d.vdev->dev, 0, &saved, NULL), 0);
    device_reset(&b.d.vdev->dev);
    b.stream.limit = sizeof b.stream.text;
    chardev_notify(&b.stream.chardev, CHARDEV_DRAINED);
    cr_expect_eq(b.stream.len, 2500, "after a reset nothing is left");
    struct device *dev = &b.d.vdev->dev;
    cr_assert_eq(state_load(&dev, 1, 0, saved.data, saved.size, NULL), 0);
    cr_expect_eq(b.stream.len, 3005, "a host that was never full says nothing of room");
    cr_expect_arr_eq(b.stream.text, data, 3000);
    cr_expect_arr_eq(b.stream.text + 3000, "after", 5);
    cr_expect(driver_used(&b.d, TX1, NULL, 0) && driver_used(&b.d, TX1, NULL, 0));
    state_buf_free(&saved);
    teardown(&b);
}

Test(console, a_closed_port_takes_no_input)
{
    struct bench b;
    setup(&b, MULTIPORT);
    driver_in(&b.d, RX1, 100);
    cr_expect_eq(chardev_can_deliver(&b.stream.chardev), 0);
    control(&b, 1, 6, 1);
    cr_expect(chardev_can_deliver(&b.stream.chardev));
    control(&b, 1, 6, 0);
    cr_expect_eq(chardev_can_deliver(&b.stream.chardev), 0);
    teardown(&b);
}

Test(console, ports_have_numbers)
{
    struct bench b;
    struct virtio_port_config port = {.number = 1};
    setup(&b, MULTIPORT);
    cr_expect_eq(virtio_console_add_port(b.d.vdev, &port, NULL), -EBUSY);
    port.number = 31;
    cr_expect_eq(virtio_console_add_port(b.d.vdev, &port, NULL), -EINVAL);
    port.number = -1;
    for (unsigned i = 2; i < 31; i++)
        cr_expect_eq(virtio_console_add_port(b.d.vdev, &port, NULL), 0);
    cr_expect_eq(virtio_console_add_port(b.d.vdev, &port, NULL), -ENOSPC);
    teardown(&b);
}

static void quit(void *opaque, int status)
{
    *(int *)opaque = status;
}

Test(console, testdev_ends_the_run)
{
    static const struct {
        const char *text;
        int status;
    } rows[] = {{"0q", 1},   {"7q", 15},  {" 1 2 q", 25}, {"q", 1}, {"127q", 255},
                {"128q", 1}, {"5x3q", 7}, {"5", -1},      {"", -1}, {"4x", -1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct keyval_list options;
        struct chardev *chardev;
        int status = -1;
        cr_assert_eq(keyval_parse("testdev,id=x", "backend", &options, NULL), 0);
        cr_assert_eq(chardev_open(&options, NULL, &chardev, NULL), 0);
        chardev_on_quit(chardev, quit, &status);
        for (const char *c = rows[i].text; *c; c++) // in as many pieces as it likes
            cr_expect_eq(chardev_write(chardev, c, 1), 1);
        cr_expect_eq(status, rows[i].status, "'%s' gives %d", rows[i].text, status);
        chardev_destroy(chardev);
        keyval_free(&options);
    }
}
