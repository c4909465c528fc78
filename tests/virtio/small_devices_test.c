// SPDX-License-Identifier: MIT
// Balloon and input devices by their queues and configuration.
#include "hw/core/state.h"
#include "hw/virtio/virtio_balloon.h"
#include "hw/virtio/virtio_input.h"
#include "tests/virtio/driver.h"

#include <linux/input-event-codes.h>

enum { INFLATE, DEFLATE, STATS, F_STATS = 1 << 1 };

Test(balloon, gives_pages_back_and_keeps_statistics)
{
    struct driver d = {0};
    driver_setup(&d);
    struct virtio_balloon_config config = {.path = "/balloon", .mem = d.mem, .deflate_on_oom = true};
    cr_assert_eq(virtio_balloon_create(&config, &d.vdev, NULL), 0);
    cr_expect_eq(d.vdev->features & 6, 6);
    driver_start(&d, F_STATS, 3);
    uint8_t *page = driver_at(&d, 5, 0), *next = driver_at(&d, 5, 0x1000);
    memset(page, 0x55, 0x1000);
    memset(next, 0x55, 0x1000);
    const uint32_t pfns[] = {(DRIVER_RAM + 5 * DRIVER_PLACE) >> 12, 0, ~0u, (DRIVER_RAM >> 12) - 1};
    driver_out(&d, INFLATE, pfns, sizeof pfns);
    cr_expect(driver_used(&d, INFLATE, NULL, 0));
    cr_expect(page[0] == 0 && page[0xfff] == 0 && next[0] == 0x55);
    driver_out(&d, INFLATE, pfns, 3); // not one whole number
    driver_out(&d, DEFLATE, pfns, sizeof pfns);
    cr_expect(driver_used(&d, DEFLATE, NULL, 0));
    cr_expect_not(d.vdev->status & VIRTIO_NEEDS_RESET);
    d.vdev->isr = 0;
    virtio_balloon_set_target(d.vdev, 1000);
    cr_expect_eq(d.vdev->isr, VIRTIO_ISR_CONFIG);
    cr_expect_eq(virtio_config_read(d.vdev, 0, 4), 1000);
    virtio_config_write(d.vdev, 4, 4, 900);
    cr_expect_eq(virtio_balloon_actual(d.vdev), 900);
    struct {
        uint16_t tag;
        uint64_t value;
    } __attribute__((packed)) sent[3] = {{4, 12345}, {99, 1}, {9, 7}};
    uint64_t stats[VIRTIO_BALLOON_STATS];
    virtio_balloon_stats(d.vdev, stats);
    cr_expect_eq(stats[4], ~0ull);
    driver_out(&d, STATS, sent, sizeof sent);
    cr_expect_not(driver_used(&d, STATS, NULL, 0), "it is kept until somebody asks");
    virtio_balloon_stats(d.vdev, stats);
    cr_expect(stats[4] == 12345 && stats[9] == 7 && stats[0] == ~0ull);
    cr_expect(driver_used(&d, STATS, NULL, 0));
    device_reset(&d.vdev->dev);
    cr_expect(virtio_balloon_actual(d.vdev) == 0 && virtio_config_read(d.vdev, 0, 4) == 1000);
    device_destroy(&d.vdev->dev);
    driver_teardown(&d);
}

static void input_setup(struct driver *d, enum virtio_input_kind kind)
{
    memset(d, 0, sizeof *d);
    driver_setup(d);
    struct virtio_input_config config = {.path = "/input", .mem = d->mem, .kind = kind};
    cr_assert_eq(virtio_input_create(&config, &d->vdev, NULL), 0);
    driver_start(d, 0, 2);
}

static unsigned config_size(struct driver *d, uint8_t select, uint8_t subsel)
{
    virtio_config_write(d->vdev, 0, 1, select);
    virtio_config_write(d->vdev, 1, 1, subsel);
    return virtio_config_read(d->vdev, 2, 1);
}

Test(input, says_what_it_has)
{
    struct driver d;
    input_setup(&d, VIRTIO_INPUT_TABLET);
    cr_expect_eq(config_size(&d, 1, 0), strlen("Virtio Tablet"));
    cr_expect_eq(virtio_config_read(d.vdev, 8, 4), 0x74726956); // "Virt"
    cr_expect_eq(config_size(&d, 0x11, EV_ABS), 1);
    cr_expect_eq(virtio_config_read(d.vdev, 8, 1), 3);
    cr_expect_eq(config_size(&d, 0x12, ABS_Y), 20);
    cr_expect_eq(virtio_config_read(d.vdev, 12, 4), 0x7fff);
    cr_expect_eq(config_size(&d, 0x12, ABS_Z), 0);
    cr_expect_eq(config_size(&d, 0x11, EV_LED), 0);
    cr_expect_eq(config_size(&d, 0x77, 0xff), 0);
    cr_expect_eq(virtio_config_read(d.vdev, 136, 1), 0, "past the end");
    cr_expect(virtio_input_has(d.vdev, EV_KEY, BTN_LEFT) && !virtio_input_has(d.vdev, EV_KEY, KEY_A));
    device_destroy(&d.vdev->dev);
    driver_teardown(&d);
}

Test(input, events_come_in_whole_groups)
{
    struct driver d;
    struct input_event e, keys[] = {{EV_KEY, KEY_A, 1}, {EV_KEY, KEY_B, 1}};
    struct state_buf saved = {0};
    input_setup(&d, VIRTIO_INPUT_KEYBOARD);
    cr_expect(virtio_input_send(d.vdev, keys, 2));
    cr_expect_not(driver_used(&d, 0, NULL, 0), "there is no buffer yet");
    cr_assert_eq(state_save(&d.vdev->dev, 0, &saved, NULL), 0);
    unsigned more = 0;
    while (virtio_input_send(d.vdev, keys, 2))
        cr_assert(++more < 1000);
    cr_expect_eq(more, 256 / 3 - 1, "what waits has a bound");
    struct device *dev = &d.vdev->dev;
    cr_assert_eq(state_load(&dev, 1, 0, saved.data, saved.size, NULL), 0);
    for (unsigned i = 0; i < 4; i++)
        driver_in(&d, 0, sizeof e);
    static const uint16_t types[] = {EV_KEY, EV_KEY, EV_SYN}, codes[] = {KEY_A, KEY_B, SYN_REPORT};
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(driver_used(&d, 0, &e, sizeof e), sizeof e);
        cr_expect(e.type == types[i] && e.code == codes[i]);
    }
    cr_expect_not(driver_used(&d, 0, NULL, 0));
    driver_out(&d, 1, &e, sizeof e);
    cr_expect(driver_used(&d, 1, NULL, 0), "LED states are taken");
    device_reset(&d.vdev->dev);
    cr_expect_not(virtio_input_send(d.vdev, keys, 2), "nobody listens");
    state_buf_free(&saved);
    device_destroy(&d.vdev->dev);
    driver_teardown(&d);
}
