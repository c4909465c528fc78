// SPDX-License-Identifier: MIT
// What a debugger may send to the stub, GDB or LLDB or neither: packets with the right checksum, one a line
// of the input, and lines of bytes as they are, which begin with '!'. Lines that begin with '~' are what else
// happens: a vCPU stops, the machine ends, the connection breaks.
#include "control/gdb/gdb.h"
#include "tests/fuzz/fuzz.h"
#include "tests/gdb/fake.h"

#include "accel/accel.h"

struct bench {
    struct machine machine;
    struct fake_channel channel;
    struct gdb *gdb;
};

static void feed(struct bench *b, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    while (len) {
        size_t part = chardev_can_deliver(&b->channel.chardev);
        FUZZ_CHECK(part); // the stub takes what comes, for ever
        part = part < len ? part : len;
        chardev_deliver(&b->channel.chardev, p, part);
        fake_machine_turn(&b->machine);
        p += part;
        len -= part;
    }
}

static void send_packet(struct bench *b, const uint8_t *payload, size_t len)
{
    uint8_t sum = 0;
    char tail[4];
    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + payload[i]);
    snprintf(tail, sizeof tail, "#%02x", sum);
    feed(b, "$", 1);
    feed(b, payload, len);
    feed(b, tail, 3);
}

static void event(struct bench *b, const uint8_t *line, size_t len)
{
    uint8_t what = len > 1 ? line[1] : 0, detail = len > 2 ? line[2] : 0;
    switch (what & 7) {
    case 0:
        if (b->machine.running) {
            b->machine.accel.hit_va = FAKE_BASE + detail;
            b->machine.accel.hit_access = detail & 1 ? GUEST_WRITE : GUEST_READ;
            fake_machine_hit(&b->machine, detail % FAKE_CPUS, (detail >> 2) % (ACCEL_STOP_STEP + 1));
        }
        break;
    case 1: chardev_notify(&b->channel.chardev, CHARDEV_CLOSED); break;
    case 2: chardev_notify(&b->channel.chardev, CHARDEV_OPENED); break;
    case 3: feed(b, "\x03", 1); break;
    case 4: feed(b, "-", 1); break;
    case 5: machine_request(&b->machine, detail & 1 ? MACHINE_STOP : MACHINE_CONT); break;
    case 6: b->machine.accel.off[detail % FAKE_CPUS] = detail & 128; break;
    default: fake_machine_end(&b->machine, detail); break;
    }
    fake_machine_turn(&b->machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench b;
    struct fuzz_input in = {data, size};
    fake_machine_init(&b.machine);
    fake_channel_init(&b.channel);
    const struct gdb_config config = {.machine = &b.machine, .chardev = &b.channel.chardev};
    FUZZ_CHECK(!gdb_create(&config, &b.gdb, NULL));
    chardev_notify(&b.channel.chardev, CHARDEV_OPENED);
    fake_machine_turn(&b.machine);
    while (in.size) {
        const uint8_t *end = memchr(in.data, '\n', in.size), *line;
        size_t len, whole = end ? (size_t)(end - in.data) : in.size;
        line = fuzz_bytes(&in, whole, &len);
        fuzz_u8(&in);
        b.channel.len = 0; // whose reader is never slow
        b.channel.start = SIZE_MAX;
        if (len && line[0] == '~')
            event(&b, line, len);
        else if (len && line[0] == '!')
            feed(&b, line + 1, len - 1);
        else
            send_packet(&b, line, len);
    }
    chardev_notify(&b.channel.chardev, CHARDEV_CLOSED);
    fake_machine_turn(&b.machine);
    FUZZ_CHECK(!b.machine.accel.breaks && !b.machine.accel.watches); // who goes leaves none behind
    gdb_destroy(b.gdb);
    FUZZ_CHECK(!b.machine.listener);
    pthread_mutex_destroy(&b.machine.lock);
    return 0;
}
