// SPDX-License-Identifier: MIT
// A GICv3 with its ITS: registers of every frame, commands and tables in guest memory that say anything,
// messages of devices, the CPU interfaces, saved states. An input may begin from a driver's set-up.
#include "tests/fuzz/rig.h"
#include "tests/hw/its_bench.h"

enum { STEPS = 300 };

struct fuzzed {
    struct its_bench b;
    struct device *devs[ITS_CPUS + 2];
    unsigned dev_count;
};

static void command(struct its_bench *b, struct fuzz_input *in)
{
    static const uint8_t known[] = {0x01, 0x03, 0x04, 0x05, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};
    uint8_t how = fuzz_u8(in);
    uint64_t word[4], at = its_get(b, GITS_CWRITER, 8) % 4096;
    word[0] = known[how % sizeof known] | (uint64_t)fuzz_u8(in) << 32;
    word[1] = (how & 64 ? fuzz_value(in) : fuzz_u8(in) % 32) | (uint64_t)(0x2000 + fuzz_u8(in)) << 32;
    word[2] = how & 128 ? fuzz_u64(in) : 1ull << 63 | (uint64_t)fuzz_u8(in) % 8 << 16 | fuzz_u8(in) % 8;
    if ((how % sizeof known) == 4 && !(how & 128)) // MAPD: where its table is
        word[2] = 1ull << 63 | (ITS_ITT + (fuzz_u8(in) << 16));
    word[3] = how & 128 ? fuzz_value(in) : 0;
    memcpy(its_at(b, ITS_QUEUE + at), word, sizeof word);
    its_put(b, GITS_CWRITER, 8, (at + 32) % 4096);
}

static void scribble(struct its_bench *b, struct fuzz_input *in)
{
    static const uint32_t places[] = {ITS_QUEUE,      ITS_DEVICE_TABLE, ITS_COLLECTION_TABLE,
                                      ITS_PROPERTIES, ITS_PENDING,      ITS_ITT,
                                      ITS_RAM,        ITS_SPARE};
    uint64_t place = places[fuzz_u8(in) % ARRAY_SIZE(places)] + fuzz_u16(in), value = fuzz_value(in);
    memcpy(its_at(b, place), &value, sizeof value);
}

static void step(struct fuzzed *f, struct fuzz_input *in)
{
    struct its_bench *b = &f->b;
    struct gicv3_redist_map redist = gicv3_redist(b->gic, 0);
    uint8_t what = fuzz_u8(in);
    uint64_t value;
    switch (what % 12) {
    case 0:
        if (what >= 240) // which takes long
            rig_save_and_load(f->devs, f->dev_count, 0, in);
        break;
    case 1: rig_access(gicv3_device(b->gic)->class->mmio, gicv3_device(b->gic), GICV3_DIST_SIZE, in); break;
    case 2:
    case 3: rig_access(redist.ops, redist.opaque, redist.size, in); break;
    case 4:
    case 5: rig_access(b->its->class->mmio, b->its, GICV3_ITS_SIZE, in); break;
    case 6:
        gicv3_icc_write(b->gic, fuzz_u8(in) % ITS_CPUS, (enum gicv3_icc)(fuzz_u8(in) % (ICC_IGRPEN1 + 1)),
                        fuzz_value(in));
        break;
    case 7:
        gicv3_icc_read(b->gic, fuzz_u8(in) % ITS_CPUS, (enum gicv3_icc)(fuzz_u8(in) % (ICC_IGRPEN1 + 1)),
                       &value);
        break;
    case 8: gicv3_its_msi(b->its, fuzz_u8(in), fuzz_u8(in) & 64 ? fuzz_u32(in) : fuzz_u8(in) % 32); break;
    case 9: scribble(b, in); break;
    case 10:
        if (what > 240)
            device_reset(f->devs[what % f->dev_count]);
        else
            its_put(b, GITS_CTLR, 4, what >> 7);
        break;
    default: command(b, in); break;
    }
}

static void make(struct fuzzed *f)
{
    its_bench_make(&f->b);
    rig_fence(f->b.ram);
    f->devs[f->dev_count++] = gicv3_device(f->b.gic);
    for (unsigned i = 0; i < ITS_CPUS; i++)
        f->devs[f->dev_count++] = gicv3_cpu_device(f->b.gic, i);
    f->devs[f->dev_count++] = f->b.its;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzzed f;
    struct fuzz_input in = {data, size};
    if (!f.dev_count)
        make(&f);
    pthread_mutex_lock(&f.b.lock);
    mem_ram_clear(f.b.ram);
    for (unsigned i = 0; i < f.dev_count; i++)
        device_reset(f.devs[i]);
    if (!(fuzz_u8(&in) & 1))
        its_bench_start(&f.b);
    for (unsigned i = 0; in.size && i < STEPS; i++)
        step(&f, &in);
    pthread_mutex_unlock(&f.b.lock);
    return 0;
}
