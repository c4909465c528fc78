// SPDX-License-Identifier: MIT
// Semihosting calls of a hostile program: any operation with any parameter block in a little memory of its
// own, and files in a folder that holds a symbolic link out of it. Nothing outside of the folder and of that
// memory is touched.
#include "machines/semihost.h"
#include "base/error.h"
#include "tests/fuzz/rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEPS = 200, MEMORY = 0x10000, MEMORY_SIZE = 0x10000, FILE_MAX = 16 << 20 };

struct bench {
    struct machine *machine;
    struct semihost *s;
    uint8_t memory[MEMORY_SIZE];
};

static bool read_memory(void *opaque, uint64_t va, void *buf, uint64_t len)
{
    struct bench *b = opaque;
    uint64_t at = va - MEMORY;
    if (at > MEMORY_SIZE || len > MEMORY_SIZE - at)
        return false;
    memcpy(buf, b->memory + at, len);
    return true;
}

static bool write_memory(void *opaque, uint64_t va, const void *buf, uint64_t len)
{
    struct bench *b = opaque;
    uint64_t at = va - MEMORY;
    if (at > MEMORY_SIZE || len > MEMORY_SIZE - at)
        return false;
    memcpy(b->memory + at, buf, len);
    return true;
}

static int drop(struct chardev *chardev, const void *buf, size_t len)
{
    return (int)len;
}

static void make(struct bench *b, const char *share, const char *secret, const char *link)
{
    struct machine_config config = {.board = "none"};
    struct rlimit limit = {FILE_MAX, RLIM_INFINITY};
    FUZZ_CHECK(!machine_create(&config, &b->machine, NULL));
    struct guest_cpu_config cpu = {0};
    struct accel_config accel = {.cpu_count = 1, .cpus = &cpu};
    FUZZ_CHECK(!accel_create(&accel, &b->machine->accel, NULL));
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
    int fd = open(secret, O_WRONLY | O_CREAT, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, "secret", 6) == 6 && !close(fd) && !mkdir(share, 0700));
    FUZZ_CHECK(!symlink("..", link));
}

static void look_outside(const char *secret)
{
    char text[8] = {0};
    int fd = open(secret, O_RDONLY);
    FUZZ_CHECK(fd >= 0 && read(fd, text, sizeof text) == 6 && !strcmp(text, "secret"));
    close(fd);
}

// A call's parameter block and the text that it may name, at a place of the input's choice.
static void call(struct bench *b, struct fuzz_input *in)
{
    static const char *const names[] = {"a",   "b", "out/secret", "../secret", ":tt", ":semihosting-features",
                                        "out", "."};
    const struct vcpu_memory memory = {b, read_memory, write_memory};
    const struct vcpu_semihost *port = semihost_port(b->s);
    uint8_t op = fuzz_u8(in), how = fuzz_u8(in);
    uint32_t place = fuzz_u16(in) & 0xffe0;
    uint64_t words[4];
    for (unsigned i = 0; i < 4; i++)
        words[i] = how & 1u << i ? fuzz_value(in) : fuzz_u8(in);
    if (how & 16) { // the first is a pointer to a name, the third its length
        const char *name = names[how >> 5];
        strcpy((char *)b->memory + (place ^ 0x8000), name);
        words[0] = MEMORY + (place ^ 0x8000);
        words[op == 1 ? 2 : 1] = strlen(name);
    } else if (how & 32) { // a transfer
        words[1] = MEMORY + (place ^ 0x4000);
    }
    memcpy(b->memory + place, words, sizeof words);
    port->call(port->opaque, 0, op,
               op == 3 || op == 4      ? words[0]
               : how & 64 && how & 128 ? words[3]
                                       : MEMORY + place,
               &memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char share[80], secret[80], link[96];
    static struct bench b;
    static struct chardev_ops ops = {.write = drop};
    struct fuzz_input in = {data, size};
    struct keyval_list options = {0};
    struct chardev console = {.ops = &ops};
    struct machine_chardev entry = {.id = "console", .chardev = &console};
    if (!b.machine) {
        snprintf(share, sizeof share, "%s/share", rig_folder());
        snprintf(secret, sizeof secret, "%s/secret", rig_folder());
        snprintf(link, sizeof link, "%s/out", share);
        make(&b, share, secret, link);
    }
    b.machine->chardevs = &entry;
    b.machine->chardev_count = 1;
    memset(b.memory, 0x5a, sizeof b.memory);
    FUZZ_CHECK(!keyval_parse("enable=on,chardev=console,arg=a,arg=b", NULL, &options, NULL));
    FUZZ_CHECK(!keyval_add(&options, "folder", share));
    if (fuzz_u8(&in) & 1)
        FUZZ_CHECK(!keyval_add(&options, "readonly", "on"));
    FUZZ_CHECK(!semihost_create(b.machine, &options, 0x40000000, 1 << 20, &b.s, NULL));
    for (unsigned i = 0; in.size && i < STEPS; i++)
        call(&b, &in);
    device_destroy(b.machine->devices[--b.machine->device_count]);
    keyval_free(&options);
    b.machine->chardevs = NULL;
    b.machine->chardev_count = 0;
    look_outside(secret);
    rig_empty(share);
    (void)!symlink("..", link);
    return 0;
}
