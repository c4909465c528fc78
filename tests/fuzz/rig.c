// SPDX-License-Identifier: MIT
// Owns the rig; see the header.
#include "tests/fuzz/rig.h"
#include "hw/core/state.h"

#include <ftw.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t rig_time(void *opaque)
{
    return ((struct rig *)opaque)->now;
}

void rig_fence(struct mem_ram *ram)
{
    enum { AROUND = 4 << 20 };
    uint8_t *place =
        mmap(NULL, ram->size + 2 * AROUND, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    FUZZ_CHECK(place != MAP_FAILED && !mprotect(place + AROUND, ram->size, PROT_READ | PROT_WRITE));
    munmap(ram->host, ram->size);
    ram->host = place + AROUND;
}

static void make(struct rig *r)
{
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_lock(&r->lock);
    FUZZ_CHECK(!loop_create(&r->lock, &r->loop, NULL));
    clock_init(&r->clock, rig_time, r);
    clock_start(&r->clock);
    FUZZ_CHECK(!mem_space_create(&r->lock, &r->mem, NULL));
    FUZZ_CHECK(!mem_add_ram(r->mem, "ram", (struct gpa){RIG_RAM}, RIG_RAM_SIZE, 0, &r->ram, NULL));
    rig_fence(r->ram);
    free((void *)mem_commit(r->mem));
}

struct rig *rig_get(void)
{
    static struct rig rig;
    if (!rig.mem)
        make(&rig);
    else
        entropy_destroy(&rig.entropy);
    entropy_init_seeded(&rig.entropy, 1);
    memset(rig.ram->host, 0, RIG_RAM_SIZE);
    memset(rig.level, 0, sizeof rig.level);
    return &rig;
}

static void set_level(void *opaque, unsigned line, bool level)
{
    ((struct rig *)opaque)->level[line] = level;
}

struct irq rig_irq(struct rig *r, unsigned line)
{
    return (struct irq){set_level, r, line % RIG_LINES};
}

void rig_pass(struct rig *r, uint64_t ns)
{
    r->now = (int64_t)((uint64_t)r->now + ns) & INT64_MAX >> 1;
    loop_once(r->loop, 0);
}

int rig_file(size_t size, char ret_path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && !ftruncate(fd, (off_t)size));
    snprintf(ret_path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return ftw->level ? remove(path) : 0;
}

// A folder that its own guest may not read: the owner's bits go first.
static int open_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return S_ISDIR(st->st_mode) && ftw->level ? chmod(path, 0700) : 0;
}

void rig_empty(const char *folder)
{
    nftw(folder, open_one, 16, FTW_PHYS);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_folder(void)
{
    rig_empty(rig_folder());
    rmdir(rig_folder());
}

const char *rig_folder(void)
{
    static char folder[64];
    if (!folder[0]) {
        strcpy(folder, "/tmp/fuzz.XXXXXX");
        FUZZ_CHECK(mkdtemp(folder));
        atexit(remove_folder);
    }
    return folder;
}

void rig_save_and_load(struct device *const *devs, size_t count, int64_t now, struct fuzz_input *in)
{
    struct state_buf saved = {0};
    for (size_t i = 0; i < count; i++) {
        if (devs[i]->class->quiesce)
            devs[i]->class->quiesce(devs[i]);
        FUZZ_CHECK(!state_save(devs[i], now, &saved, NULL));
    }
    unsigned edits = fuzz_u8(in) % 8;
    for (unsigned i = 0; i < edits; i++) {
        size_t at = fuzz_below(in, (uint32_t)saved.size), len, room = saved.size - at;
        const uint8_t *bytes = fuzz_bytes(in, 1u + fuzz_u8(in) % 8, &len);
        memcpy(saved.data + at, bytes, len < room ? len : room);
    }
    size_t size = saved.size;
    if (edits == 7) // cut short
        size = fuzz_below(in, (uint32_t)size);
    int r = state_load(devs, count, now, saved.data, size, NULL);
    FUZZ_CHECK(!r || edits);
    for (size_t i = 0; r && i < count; i++)
        device_reset(devs[i]);
    state_buf_free(&saved);
}

void rig_access(const struct mem_mmio_ops *ops, void *opaque, uint64_t bytes, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    unsigned size = 1u << (how & 3);
    uint64_t offset = fuzz_below(in, bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes), value = 0;
    if (size < ops->min_size || size > ops->max_size)
        size = 4;
    offset &= ~(size - 1ull);
    if (offset + size > bytes)
        return;
    if (how & 4) {
        if (ops->read(opaque, offset, size, &value) == MEM_OK && size < 8)
            FUZZ_CHECK(!(value >> size * 8));
    } else {
        value = fuzz_value(in);
        ops->write(opaque, offset, size, size < 8 ? value & ((1ull << size * 8) - 1) : value);
    }
}
