// SPDX-License-Identifier: MIT
// The state of a whole machine as a stream: saved, loaded and saved again it is the same to the byte, whatever the guest has
// done to its devices; another machine refuses it with the reason; and a stream that is damaged, cut or hostile is refused
// and does no harm.
#include "base/bits.h"
#include "machines/machine_state_disk.h"
#include "tests/state/saved.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { RAM = 0x40000000, HEADER = 16, CHUNK = 24 };

static uint64_t dice(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static void put(struct machine *m, uint64_t addr, uint64_t value, unsigned size)
{
    mem_write(machine_mem(m), (struct gpa){addr}, &value, size, true);
}

// Of the USB controller, if there is one: its configuration space, and where its registers are put.
static const uint64_t XHCI_CONFIG = 0x4010000000 + (1 << 15), XHCI = 0x10000000;

// What a guest might do to everything there is; addresses of the board's own devices.
static void disturb(struct machine *m, uint64_t seed)
{
    static const struct {
        uint64_t base, size;
    } places[] = {{0x08000000, 0x1000}, {0x08010000, 0x100}, {0x080a0000, 0x1000}, {0x080b0000, 0x1000}, {0x09000000, 0x60},
                  {0x09010000, 0x20},   {0x09030000, 0x500}, {0x0a003e00, 0x200},  {0x0a003c00, 0x200},
                  {XHCI + 0x40, 0x600}, {XHCI + 0x1000, 0x60}, {XHCI + 0x2000, 0x84}};
    uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
    put(m, XHCI_CONFIG + 0x10, XHCI, 8);
    put(m, XHCI_CONFIG + 4, 6, 2);
    for (int n = 0; n < 4000; n++) {
        unsigned p = (unsigned)(dice(&state) % ARRAY_SIZE(places));
        put(m, places[p].base + (dice(&state) % places[p].size & ~3ull), dice(&state) & dice(&state) & 0xffffffff, 4);
    }
    for (int n = 0; n < 300; n++) { // runs of pages, single pages
        uint64_t page = dice(&state) % 4096, value = dice(&state);
        put(m, RAM + page * 4096 + dice(&state) % 512 * 8, value, 8);
    }
}

static void add_devices(struct machine_config *config)
{
    static const char *const drivers[] = {"virtio-rng-device", "virtio-rng-device", "qemu-xhci", "usb-kbd", "usb-tablet"};
    static struct keyval_list list[ARRAY_SIZE(drivers)]; // the same for all
    for (size_t i = 0; i < ARRAY_SIZE(drivers) && !list[i].count; i++)
        cr_assert_eq(keyval_add(&list[i], "driver", drivers[i]), 0);
    config->devices = list;
    config->device_count = ARRAY_SIZE(drivers);
}

static void check_same(const char *gic, enum state_compression compression, uint64_t seed)
{
    struct machine *a = saved_machine(gic, add_devices), *b = saved_machine(gic, add_devices);
    struct stream first, second;
    struct error err = {0};
    disturb(a, seed);
    disturb(b, seed + 1000); // what is to be overwritten
    saved_save(a, compression, &first);
    cr_assert_eq(saved_load(b, &first, true, &err), 0, "%s", err.text);
    cr_assert_eq(saved_load(b, &first, false, &err), 0, "%s", err.text);
    saved_save(b, compression, &second);
    cr_assert_eq(first.size, second.size);
    for (size_t i = 0; i < first.size; i++)
        cr_assert_eq(first.data[i], second.data[i], "byte %zu of %zu (seed %lu)", i, first.size, (unsigned long)seed);
    free(first.data);
    free(second.data);
    saved_destroy(a);
    saved_destroy(b);
}

Test(stream, same_again)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        check_same(seed & 1 ? "2" : "3", seed & 2 ? STATE_PLAIN : STATE_ZLIB, seed);
    if (machine_state_can_compress(STATE_ZSTD))
        check_same("3", STATE_ZSTD, 9);
}

Test(stream, time_and_requests)
{
    struct machine *a = saved_machine("2", NULL), *b = saved_machine("2", NULL);
    struct stream s;
    struct error err = {0};
    machine_request(a, MACHINE_POWER_OFF | MACHINE_STOP);
    saved_save(a, STATE_PLAIN, &s);
    cr_assert_eq(saved_load(b, &s, false, &err), 0, "%s", err.text);
    pthread_mutex_unlock(machine_lock(b));
    cr_expect_eq(machine_run(b), MACHINE_POWERED_OFF, "what the guest had asked for is served");
    pthread_mutex_lock(machine_lock(b));
    free(s.data);
    saved_destroy(a);
    saved_destroy(b);
}

Test(stream, rounds)
{
    struct machine *a = saved_machine("2", NULL), *b = saved_machine("2", NULL);
    struct stream s = {0};
    struct state_writer to = {.write = stream_write, .opaque = &s};
    struct machine_save *save;
    struct error err = {0};
    uint64_t pages, word = 0;
    put(a, RAM + 0x5000, 1, 8);
    put(a, RAM + 0x6000, 1, 8);
    cr_assert_eq(machine_save_begin(a, &to, &save, &err), 0);
    cr_assert_eq(machine_save_round(save, &to, NULL, &pages, &err), 0);
    cr_expect_eq(pages, 2);
    cr_expect_eq(machine_save_dirty(save), 0);
    put(a, RAM + 0x5000, 2, 8); // changes
    put(a, RAM + 0x6000, 0, 8); // becomes zero
    put(a, RAM + 0x7000, 3, 8); // comes
    cr_expect_eq(machine_save_dirty(save), 3);
    cr_assert_eq(machine_save_round(save, &to, NULL, &pages, &err), 0);
    cr_expect_eq(pages, 2);
    put(a, RAM + 0x5008, 4, 8);
    cr_assert_eq(machine_save_rest(save, &to, false, &err), 0);
    machine_save_end(save);
    cr_assert_eq(saved_load(b, &s, false, &err), 0, "%s", err.text);
    static const uint64_t wanted[][2] = {{0x5000, 2}, {0x5008, 4}, {0x6000, 0}, {0x7000, 3}};
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        mem_read(machine_mem(b), (struct gpa){RAM + wanted[i][0]}, &word, 8, true);
        cr_expect_eq(word, wanted[i][1], "at %lx", (unsigned long)wanted[i][0]);
    }
    free(s.data);
    saved_destroy(a);
    saved_destroy(b);
}

// ---- requests under way ----------------------------------------------------------------------------------------------

static struct disk {
    char path[32];
    struct keyval_list drive, device;
} disks[2];
static unsigned disk_count;

// A disk on which every write takes its time.
static void add_disk(struct machine_config *config)
{
    struct disk *d = &disks[disk_count++];
    strcpy(d->path, "/tmp/isomer-state-XXXXXX");
    int fd = mkstemp(d->path);
    cr_assert(fd >= 0 && !ftruncate(fd, 1 << 20));
    close(fd);
    cr_assert(!keyval_add(&d->drive, "file", d->path) && !keyval_add(&d->drive, "format", "raw") &&
              !keyval_add(&d->drive, "cache", "writethrough") && !keyval_add(&d->drive, "if", "none") &&
              !keyval_add(&d->drive, "id", "d") && !keyval_add(&d->device, "driver", "virtio-blk-device") &&
              !keyval_add(&d->device, "drive", "d"));
    config->drives = &d->drive;
    config->devices = &d->device;
    config->drive_count = config->device_count = 1;
}

static void remove_disks(void)
{
    for (unsigned i = 0; i < disk_count; i++) {
        unlink(disks[i].path);
        keyval_free(&disks[i].drive);
        keyval_free(&disks[i].device);
    }
}

enum { DISK = 0x0a003e00, RING = RAM + 0x100000, REQUESTS = 128 }; // more than the device has outside at once

static void start_disk(struct machine *m)
{
    static const uint32_t words[][2] = {{0x70, 3}, {0x24, 1}, {0x20, 1}, {0x70, 11}, {0x38, 2 * REQUESTS}, {0x80, RING},
                                        {0x90, RING + 0x2000}, {0xa0, RING + 0x3000}, {0x44, 1}, {0x70, 15}};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        put(m, DISK + words[i][0], words[i][1], 4);
}

// Writes of the same sector, one after the other: a descriptor for header and data and one for the status.
static void send_requests(struct machine *m)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        uint64_t desc = RING + i * 32, buffer = RING + 0x10000 + i * 0x400;
        put(m, desc, buffer, 8);
        put(m, buffer, 1, 4); // VIRTIO_BLK_T_OUT
        put(m, desc + 8, 528 | 1ull << 32 | (uint64_t)(2 * i + 1) << 48, 8); // NEXT
        put(m, desc + 16, buffer + 528, 8);
        put(m, desc + 24, 1 | 2ull << 32, 8); // WRITE
        put(m, RING + 0x2004 + i * 2, 2 * i, 2);
    }
    put(m, RING + 0x2002, REQUESTS, 2);
    put(m, DISK + 0x50, 0, 4);
}

static unsigned answers(struct machine *m)
{
    uint16_t used = 0;
    mem_read(machine_mem(m), (struct gpa){RING + 0x3002}, &used, 2, true);
    return used;
}

Test(stream, requests_are_saved_answered)
{
    struct machine *a = saved_machine("2", add_disk), *b = saved_machine("2", add_disk);
    struct stream s;
    struct error err = {0};
    start_disk(a);
    send_requests(a);
    saved_save(a, STATE_PLAIN, &s);
    cr_assert_eq(saved_load(b, &s, false, &err), 0, "%s", err.text);
    cr_expect_eq(answers(b), REQUESTS, "%u of the requests were answered when the machine was saved", answers(b));
    free(s.data);
    saved_destroy(a);
    saved_destroy(b);
    remove_disks();
}

Test(stream, requests_end_before_a_load)
{
    struct machine *a = saved_machine("2", add_disk), *b = saved_machine("2", add_disk);
    struct stream s, again;
    struct error err = {0};
    start_disk(a);
    saved_save(a, STATE_PLAIN, &s);
    start_disk(b);
    send_requests(b);
    cr_assert_eq(saved_load(b, &s, false, &err), 0, "%s", err.text);
    saved_save(b, STATE_PLAIN, &again);
    cr_expect_eq(answers(b), 0, "%u requests were answered in a machine that had made none", answers(b));
    cr_expect(s.size == again.size && !memcmp(s.data, again.data, s.size));
    free(s.data);
    free(again.data);
    saved_destroy(a);
    saved_destroy(b);
    remove_disks();
}

// Nothing that was on its way comes later, into memory and disks that are restored.
Test(stream, requests_do_not_outlive_a_load)
{
    struct machine *m = saved_machine("2", add_disk);
    struct error err = {0};
    start_disk(m);
    send_requests(m);
    machine_disks_apply(m, "none", &err);
    cr_expect_eq(answers(m), REQUESTS);
    saved_destroy(m);
    remove_disks();
}

// ---- what does not fit -----------------------------------------------------------------------------------------------

static void more_cpus(struct machine_config *c)
{
    c->cpu_count = 4;
}
static void more_ram(struct machine_config *c)
{
    c->ram_size = 32 << 20;
}
static void other_cpu(struct machine_config *c)
{
    c->cpu = "cortex-a53";
}

Test(stream, other_machines)
{
    static const struct {
        const char *gic;
        void (*change)(struct machine_config *config);
        const char *text;
    } others[] = {{"2", more_cpus, "the saved machine has cpus=2, this one has cpus=4"},
                  {"2", more_ram, "the saved machine has ram=16777216, this one has ram=33554432"},
                  {"2", other_cpu, "the saved machine has cpu=cortex-a72, this one has cpu=cortex-a53"},
                  {"3", NULL, "the saved machine has device /virt/gic=gicv2, this one has device /virt/gic=gicv3"},
                  {"2", add_devices, "the saved machine has no 'device /virtio-rng/"}};
    struct machine *a = saved_machine("2", NULL);
    struct stream s;
    saved_save(a, STATE_PLAIN, &s);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        struct machine *b = saved_machine(others[i].gic, others[i].change);
        struct error err = {0};
        cr_expect_eq(saved_load(b, &s, false, &err), -EINVAL);
        cr_expect_eq(strncmp(err.text, others[i].text, strlen(others[i].text)), 0, "%s", err.text);
        saved_destroy(b);
    }
    free(s.data);
    saved_destroy(a);
}

static void add_ports(struct machine_config *config)
{
    static struct keyval_list list[2];
    static const char *const ids[2] = {"rp1", "rp2"};
    for (int i = 0; i < 2 && !list[i].count; i++)
        cr_assert(!keyval_add(&list[i], "driver", "pcie-root-port") && !keyval_add(&list[i], "id", ids[i]));
    config->devices = list;
    config->device_count = 2;
}

static void plug(struct machine *m, const char *driver, const char *bus, const char *id)
{
    struct keyval_list o = {0};
    struct error err = {0};
    cr_assert(!keyval_add(&o, "driver", driver) && (!bus || !keyval_add(&o, "bus", bus)) && !keyval_add(&o, "id", id));
    cr_assert_eq(machine_device_add(m, &o, &err), 0, "%s", err.text);
}

// Asks for the device behind the port 00:SLOT.0, which the guest lets go.
static void unplug(struct machine *m, const char *id, unsigned slot)
{
    enum { CAPABILITIES = 0x34, PCI_EXPRESS = 0x10, SLOT_CONTROL = 0x18, OFF_AND_DARK = 0x700 };
    const uint64_t ecam = 0x4010000000 + (slot << 15);
    uint8_t at = CAPABILITIES - 1, kind = 0;
    cr_assert_eq(machine_device_del(m, id, NULL), 0);
    for (int i = 0; i < 16 && kind != PCI_EXPRESS; i++) {
        cr_assert_eq(mem_read(machine_mem(m), (struct gpa){ecam + at + 1}, &at, 1, true), MEM_OK);
        cr_assert_eq(mem_read(machine_mem(m), (struct gpa){ecam + at}, &kind, 1, true), MEM_OK);
    }
    put(m, ecam + at + SLOT_CONTROL, OFF_AND_DARK, 2);
}

// Devices that came after others had left have names of their own.
Test(stream, came_and_gone)
{
    static const char *const drivers[] = {"virtio-rng-pci", "virtio-net-pci", "virtio-keyboard-pci", "virtio-serial-pci"};
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
        struct machine *m = saved_machine("2", add_ports);
        struct stream s;
        struct error err = {0};
        plug(m, drivers[i], "rp1", "a");
        plug(m, drivers[i], "rp2", "b");
        unplug(m, "a", 1);
        plug(m, drivers[i], "rp1", "c");
        saved_save(m, STATE_PLAIN, &s);
        cr_expect_eq(saved_load(m, &s, false, &err), 0, "%s: %s", drivers[i], err.text);
        free(s.data);
        saved_destroy(m);
    }
}

// USB devices come and go, and their names are those of their ports.
Test(stream, usb)
{
    struct machine *m = saved_machine("2", add_devices), *other;
    struct stream s;
    struct error err = {0};
    uint32_t id = 0;
    cr_assert_eq(mem_read(machine_mem(m), (struct gpa){XHCI_CONFIG}, &id, sizeof id, true), MEM_OK);
    cr_expect_eq(id, 0x000d1b36, "the controller is where it is disturbed");
    plug(m, "usb-mouse", NULL, "a");
    plug(m, "usb-kbd", NULL, "b");
    cr_expect_eq(machine_device_del(m, "a", &err), 0, "%s", err.text);
    cr_expect_eq(machine_device_del(m, "a", NULL), -ENOENT);
    disturb(m, 5);
    saved_save(m, STATE_PLAIN, &s);
    other = saved_machine("2", add_devices);
    cr_expect(saved_load(other, &s, true, &err) < 0, "there is no second keyboard");
    plug(other, "usb-mouse", NULL, "x");
    plug(other, "usb-kbd", NULL, "b");
    cr_expect_eq(machine_device_del(other, "x", NULL), 0);
    cr_expect_eq(saved_load(other, &s, false, &err), 0, "%s", err.text);
    plug(other, "usb-mouse", NULL, "c");
    free(s.data);
    saved_destroy(other);
    saved_destroy(m);
}

// ---- damage ----------------------------------------------------------------------------------------------------------

Test(stream, cut)
{
    struct machine *a = saved_machine("3", NULL);
    struct stream s;
    disturb(a, 3);
    saved_save(a, STATE_ZLIB, &s);
    size_t whole = s.size;
    for (s.size = 0; s.size < whole; s.size += s.size < 2000 ? 1 : whole / 61) {
        struct error err = {0};
        cr_assert(saved_load(a, &s, true, &err) && *err.text, "cut to %zu of %zu", s.size, whole);
    }
    free(s.data);
    saved_destroy(a);
}

Test(stream, flipped)
{
    struct machine *a = saved_machine("3", NULL);
    struct stream s;
    uint64_t state = 11;
    saved_save(a, STATE_PLAIN, &s);
    for (size_t n = 0; n < 3000; n++) {
        size_t at = n < 1500 ? n % s.size : dice(&state) % s.size;
        uint8_t bit = (uint8_t)(1u << (dice(&state) % 8));
        struct error err = {0};
        s.data[at] ^= bit;
        cr_assert(saved_load(a, &s, true, &err) && *err.text, "bit %x of byte %zu", bit, at);
        s.data[at] ^= bit;
    }
    free(s.data);
    saved_destroy(a);
}

static uint64_t get(const uint8_t *from, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, from, size);
    return value;
}

// Makes both checksums of the chunk right again. Returns where the next one begins, or 0.
static size_t mend(struct stream *s, size_t at)
{
    if (s->size - at < CHUNK)
        return 0;
    uint8_t *c = s->data + at;
    uint64_t names = get(c, 2) + get(c + 2, 2), length = get(c + 8, 8), left = s->size - at - CHUNK;
    if (names > left || length > left - names)
        return 0;
    uint32_t crc = (uint32_t)crc32(0, c + CHUNK + names, (uInt)length);
    memcpy(c + 16, &crc, 4);
    memset(c + 20, 0, 4);
    crc = (uint32_t)crc32(0, c, (uInt)(CHUNK + names));
    memcpy(c + 20, &crc, 4);
    return at + CHUNK + names + length;
}

// Streams whose checksums are right and whose contents are not: nothing but a sentence may come of them.
Test(stream, hostile)
{
    const char *seed = getenv("FUZZ_SEED"), *rounds = getenv("FUZZ_ROUNDS");
    struct machine *a = saved_machine("3", add_devices);
    struct stream good[2], bad = {0};
    uint64_t state = seed ? strtoull(seed, NULL, 0) | 1 : 5;
    unsigned refused = 0, taken = 0;
    disturb(a, 4);
    saved_save(a, STATE_PLAIN, &good[0]);
    saved_save(a, STATE_ZLIB, &good[1]);
    for (unsigned long n = rounds ? strtoul(rounds, NULL, 0) : 120; n; n--) {
        const struct stream *from = &good[n & 1];
        struct error err = {0};
        bad.size = 0;
        stream_write(&bad, from->data, from->size, NULL);
        size_t starts[600], count = 0;
        for (size_t at = HEADER; at && at < bad.size && count < ARRAY_SIZE(starts); at = mend(&bad, at))
            starts[count++] = at;
        for (unsigned flips = (unsigned)(dice(&state) % 6 + 1); flips; flips--) {
            // Half of them near the beginning of a chunk, where lengths are; more in the last ones, which are not RAM.
            size_t chunk = dice(&state) % 2 ? count - 1 - dice(&state) % (count < 5 ? count : 5) : dice(&state) % count;
            size_t end = chunk + 1 < count ? starts[chunk + 1] : bad.size, reach = end - starts[chunk];
            reach = dice(&state) % 2 && reach > 64 ? 64 : reach;
            bad.data[starts[chunk] + dice(&state) % reach] ^= (uint8_t)(1u << (dice(&state) % 8));
        }
        for (size_t i = 0; i < count; i++)
            mend(&bad, starts[i]);
        if (saved_load(a, &bad, false, &err)) {
            cr_assert(*err.text);
            refused++;
        } else {
            taken++;
            disturb(a, n);
        }
    }
    cr_expect(refused > 10 && taken > 10, "%u refused, %u taken: the test sees one side only", refused, taken);
    free(good[0].data);
    free(good[1].data);
    free(bad.data);
    saved_destroy(a);
}

Test(stream, unknown_chunks)
{
    struct machine *a = saved_machine("2", NULL);
    struct stream s, t = {0};
    struct error err = {0};
    saved_save(a, STATE_PLAIN, &s);
    size_t after = mend(&s, HEADER);
    for (unsigned required = 0; required < 2; required++) {
        uint8_t chunk[CHUNK + 4 + 8] = {4, 0, 0, 0, 1, 0, (uint8_t)required, 0, 8};
        memcpy(chunk + CHUNK, "more", 4);
        t.size = 0;
        stream_write(&t, s.data, after, NULL);
        stream_write(&t, chunk, sizeof chunk, NULL);
        stream_write(&t, s.data + after, s.size - after, NULL);
        mend(&t, after);
        int r = saved_load(a, &t, true, &err);
        cr_expect_eq(r, required ? -EINVAL : 0, "%s", err.text);
    }
    cr_expect_str_eq(err.text, "the saved state needs 'more', which this Isomer does not know");
    free(s.data);
    free(t.data);
    saved_destroy(a);
}
