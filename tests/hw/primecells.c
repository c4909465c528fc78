// SPDX-License-Identifier: MIT
// Register scenarios for PL011, PL031 and PL061 as text. One step a word, numbers in hex but for t and lines:
//   OFF=V OFF?V   write or check a register;  b:OFF?V a byte access
//   irq? !irq?    the interrupt output;  t+NS  let machine time pass and the event loop run
//   rx:TEXT       the chardev delivers TEXT as far as the device takes it;  rx?N it takes N bytes;  brk a
//   break tx:TEXT       checks what was sent since the last tx in3+ in3- out3? !out3?   PL061 lines
#include "base/clock.h"
#include "base/error.h"
#include "base/loop.h"
#include "host/chardev.h"
#include "hw/char/pl011.h"
#include "hw/core/state.h"
#include "hw/gpio/pl061.h"
#include "hw/misc/sbsa_gwdt.h"
#include "hw/rtc/pl031.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench {
    struct chardev chardev;
    struct device *dev;
    pthread_mutex_t lock;
    struct clock clock;
    struct loop *loop;
    int64_t now;
    bool irq, out[PL061_LINES];
    char sent[64];
};

static int64_t bench_time(void *opaque)
{
    return ((struct bench *)opaque)->now;
}

static int bench_write(struct chardev *chardev, const void *buf, size_t len)
{
    struct bench *b = (struct bench *)chardev;
    strncat(b->sent, buf, len < sizeof b->sent - strlen(b->sent) - 1 ? len : 0);
    return (int)len;
}

static const struct chardev_ops chardev_ops = {bench_write, NULL, NULL};

static void set_output(void *opaque, unsigned line, bool level)
{
    ((bool *)opaque)[line] = level;
}

static int make_pl011(struct bench *b)
{
    struct pl011_config config = {"/uart0", &b->chardev, {set_output, &b->irq, 0}, &b->clock, b->loop};
    return pl011_create(&config, &b->dev, NULL);
}

static int make_pl031(struct bench *b)
{
    struct pl031_config config = {"/rtc", 1000, {set_output, &b->irq, 0}, &b->clock, b->loop};
    return pl031_create(&config, &b->dev, NULL);
}

static int make_pl061(struct bench *b)
{
    struct pl061_config config = {"/gpio", {set_output, &b->irq, 0}};
    for (unsigned i = 0; i < PL061_LINES; i++)
        config.out[i] = (struct irq){set_output, b->out, i};
    return pl061_create(&config, &b->dev, NULL);
}

static int make_gwdt(struct bench *b)
{
    struct sbsa_gwdt_config config = {"/watchdog", {set_output, &b->irq, 0}, {set_output, b->out, 0}, &b->clock, b->loop};
    return sbsa_gwdt_create(&config, &b->dev, NULL);
}

static void bench_make(struct bench *b, int (*make)(struct bench *))
{
    memset(b, 0, sizeof *b);
    b->chardev.ops = &chardev_ops;
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_lock(&b->lock);
    clock_init(&b->clock, bench_time, b);
    clock_start(&b->clock);
    cr_assert_eq(loop_create(&b->lock, &b->loop, NULL), 0);
    cr_assert_eq(make(b), 0);
}

static void bench_free(struct bench *b)
{
    device_destroy(b->dev);
    loop_destroy(b->loop);
    clock_destroy(&b->clock);
}

static bool access_register(struct bench *b, const char *word)
{
    unsigned size = 4;
    if (!strncmp(word, "b:", 2))
        size = 1, word += 2;
    char *end;
    uint64_t offset = strtoull(word, &end, 16), value = strtoull(end + 1, NULL, 16), got = 0;
    if (*end == '=')
        return b->dev->class->mmio->write(b->dev, offset, size, value) == MEM_OK;
    b->dev->class->mmio->read(b->dev, offset, size, &got);
    if (got != value)
        fprintf(stderr, "got 0x%llx: ", (unsigned long long)got);
    return *end == '?' && got == value;
}

static bool step(struct bench *b, const char *word)
{
    bool want = *word != '!';
    word += !want;
    if (!strcmp(word, "irq?"))
        return b->irq == want;
    if (!strncmp(word, "t+", 2)) {
        b->now += strtoll(word + 2, NULL, 10);
        loop_once(b->loop, 0);
        return true;
    }
    if (!strncmp(word, "rx?", 3))
        return chardev_can_deliver(&b->chardev) == strtoul(word + 3, NULL, 10);
    if (!strncmp(word, "rx:", 3)) {
        for (word += 3; *word && chardev_can_deliver(&b->chardev); word++)
            chardev_deliver(&b->chardev, (const uint8_t *)word, 1);
        return true;
    }
    if (!strcmp(word, "brk")) {
        chardev_notify(&b->chardev, CHARDEV_BREAK);
        return true;
    }
    if (!strncmp(word, "tx:", 3)) {
        bool same = !strcmp(word + 3, b->sent);
        b->sent[0] = 0;
        return same;
    }
    if (!strncmp(word, "in", 2)) {
        struct irq line = pl061_input(b->dev, (unsigned)(word[2] - '0'));
        irq_set(&line, word[3] == '+');
        return true;
    }
    if (!strncmp(word, "out", 3))
        return b->out[word[3] - '0'] == want;
    return access_register(b, word);
}

static bool run(struct bench *b, const char *name, const char *text)
{
    char *copy = strdup(text), *save = NULL, *word;
    for (word = strtok_r(copy, " ", &save); word && step(b, word); word = strtok_r(NULL, " ", &save))
        ;
    if (word)
        fprintf(stderr, "%s: fails at '%s'\n", name, word);
    free(copy);
    return !word;
}

static const struct {
    const char *name;
    int (*make)(struct bench *);
    const char *steps;
} scenarios[] = {
    {"pl011 reset", make_pl011,
     "18?97 30?300 34?12 38?0 3c?0 40?0 2c?0 fe0?11 fe4?10 fe8?14 fec?0 ff0?d ff4?f0 "
     "ff8?5 ffc?b1 0?0 b:fe4?10 b:fe1?0"},
    {"pl011 output", make_pl011,
     "30=301 0=48 0=169 tx:Hi 3c?20 !irq? 38=20 irq? 40?20 44=20 !irq? 3c?0 0=21 irq? tx:!"},
    {"pl011 masks of registers", make_pl011,
     "24=ffffffff 24?ffff 28=ffffffff 28?3f 2c=ffffffff 2c?ff 30=ffffffff "
     "30?ff87 34=ffffffff 34?3f 38=ffffffff 38?7ff 48=ffffffff 48?7 20=fff "
     "20?ff 18=0 500=1 500?0"},
    {"pl011 no FIFO", make_pl011, "38=10 rx?1 rx:ab irq? 18?c7 rx?0 0?61 !irq? 18?97 rx?1 rx:b 0?62"},
    {"pl011 FIFO trigger", make_pl011,
     "2c=70 38=10 rx?16 rx:abcdefg !irq? 3c?0 rx:h irq? 3c?10 0?61 !irq? 3c?0"},
    {"pl011 FIFO 1/8 and 7/8", make_pl011,
     "2c=70 34=0 38=10 rx:a !irq? rx:b irq? 34=20 0?61 rx:cdefghijklmn !irq? "
     "rx:o irq?"},
    {"pl011 full FIFO", make_pl011, "2c=70 rx:0123456789abcdefXYZ 18?c7 rx?0 0?30 18?87 rx?1 3c?10"},
    {"pl011 FIFO emptied by FEN", make_pl011, "2c=70 rx:abc 2c=60 18?97 rx?1 3c?0"},
    {"pl011 receive timeout at 115200", make_pl011,
     "24=d 28=1 2c=70 38=40 rx:a t+270000 !irq? t+10000 irq? 3c?50 0?61 "
     "!irq? 3c?0"},
    {"pl011 timeout restarts", make_pl011,
     "24=d 28=1 2c=70 38=40 rx:a t+270000 rx:b t+270000 !irq? t+10000 irq?"},
    {"pl011 timeout comes again", make_pl011,
     "2c=70 38=40 rx:ab t+300000 irq? 44=50 !irq? 0?61 t+300000 irq? 0?62 !irq? "
     "t+9000000 !irq?"},
    {"pl011 break", make_pl011, "2c=70 38=200 brk irq? 0?400 4?4 4=ff 4?0 44=200 !irq?"},
    {"pl011 loopback", make_pl011, "2c=70 30=381 rx?0 0=41 tx: 18?80 0?41 30=f81 18?93 3c?2e 30=3381 18?194"},
    {"pl011 overrun", make_pl011, "30=381 38=400 0=1 0=2 irq? 0?1 0=3 0?803 4?8"},
    {"pl031 time", make_pl031,
     "0?3e8 t+999999999 0?3e8 t+1 0?3e9 8=5f000000 0?5f000000 8?5f000000 t+3000000000 "
     "0?5f000003 c?1 fe0?31 fe4?10 fe8?14 ff0?d b:1?0"},
    {"pl031 alarm", make_pl031,
     "4=3ea 10=1 !irq? t+1999999999 !irq? t+1 irq? 14?1 18?1 1c=1 !irq? 14?0 t+1000000000 "
     "14?0"},
    {"pl031 masked alarm", make_pl031, "4=3ea t+5000000000 14?0"},
    {"pl031 alarm now", make_pl031, "10=1 4=3e8 irq? 1c=1 !irq? 8=77 4=77 irq? 10=0 !irq? 14?1"},
    {"watchdog expires", make_gwdt,
     "fcc?1043b 10fcc?1043b 0?0 8=64 8?64 0=1 0?1 10?64 t+1600 !irq? t+16 irq? !out0? 0?3 t+1600 !out0? t+16 out0? 0?7 "
     "t+999999 0?7"},
    {"watchdog refreshed", make_gwdt, "8=64 0=1 t+1600 10000=0 t+1600 !irq? 10?c8 t+16 irq? 10000=0 !irq? 0?1"},
    {"watchdog disabled", make_gwdt, "8=64 t+9999 !irq? 0=1 t+1616 irq? 0=0 !irq? t+99999 !irq? 0?0"},
    {"watchdog compare", make_gwdt, "8=64 0=1 10=1000 14=0 t+3200 !irq? t+62352 irq? c=ffffffff c?ffff !irq? 14?ffff"},
    {"watchdog far off", make_gwdt, "0=1 14=ffffffff t+99999999 !irq? 10=ffffffff t+99999999 !irq? 0?1"},
    {"watchdog without offset", make_gwdt, "0=1 t+16 irq? t+16 out0? 0?7 0=1 !out0? 0?1"},
    {"pl061 data", make_pl061,
     "fe0?61 fe4?10 fe8?4 400=f 3fc=ff out0? out3? !out4? 3fc?f in5+ 3fc?2f 80?20 7c?f "
     "4=0 !out0? out1? 3fc?2e 400=0 !out1? 3fc?20 400=f out1?"},
    {"pl061 rising edge", make_pl061,
     "40c=8 410=8 in3+ irq? 414?8 418?8 in3- irq? 41c=8 !irq? 414?0 in3+ irq?"},
    {"pl061 falling edge", make_pl061, "410=8 in3+ !irq? 414?0 in3- irq?"},
    {"pl061 both edges", make_pl061, "408=8 in3+ 414?8 418?0 !irq? 410=8 irq? 41c=ff !irq? in3- irq?"},
    {"pl061 level", make_pl061, "404=1 40c=1 410=1 !irq? in0+ irq? 41c=1 irq? in0- !irq? 40c=0 irq?"},
    {"pl061 outputs do not interrupt", make_pl061, "400=1 408=1 410=1 in0+ in0- !irq? 3fc=1 !irq?"},
};

Test(primecells, scenarios)
{
    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        struct bench b;
        bench_make(&b, scenarios[i].make);
        cr_expect(run(&b, scenarios[i].name, scenarios[i].steps), "%s", scenarios[i].name);
        bench_free(&b);
    }
}

Test(primecells, save_load_save)
{
    static const struct {
        int (*make)(struct bench *);
        const char *before, *after;
    } rows[] = {
        {make_pl011, "2c=70 24=d 38=7ff 34=3 rx:hello t+100 0?68", "irq? 0?65 24?d t+290000 3c?50"},
        {make_pl031, "t+5000000000 4=3ef 10=1 8=3e9", "0?3e9 4?3ef t+6000000000 irq?"},
        {make_gwdt, "8=64 c=1 0=1 t+3000 14=0 t+16 0?3", "irq? 0?3 8?64 c?1 10?120 14?1"},
        {make_pl061, "400=f0 3fc=50 408=1 410=3 in0+ 40c=2", "out4? !out5? out6? irq? 414?1 3fc?51"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bench a, b;
        struct state_buf one = {0}, two = {0};
        struct error err;
        bench_make(&a, rows[i].make);
        bench_make(&b, rows[i].make);
        cr_assert(run(&a, "before", rows[i].before));
        cr_assert_eq(state_save(a.dev, clock_now(&a.clock), &one, &err), 0);
        clock_set(&b.clock, 77000000000); // another machine time; devices' times follow
        clock_set(&b.clock, clock_now(&a.clock));
        cr_assert_eq(state_load(&b.dev, 1, clock_now(&b.clock), one.data, one.size, &err), 0, "%s", err.text);
        cr_assert_null(state_compare(a.dev, b.dev));
        cr_assert_eq(state_save(b.dev, clock_now(&b.clock), &two, &err), 0);
        cr_assert(one.size == two.size && !memcmp(one.data, two.data, one.size));
        cr_expect(run(&b, b.dev->path, rows[i].after));
        state_buf_free(&one);
        state_buf_free(&two);
        bench_free(&a);
        bench_free(&b);
    }
}
