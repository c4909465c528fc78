// SPDX-License-Identifier: MIT
// The PCI transport, driven as a driver does it: capabilities found by walking the list, negotiation, queues,
// MSI-X and INTx, the access capability; then a hostile guest at random. FUZZ_SEED and FUZZ_ROUNDS choose
// another one.
#include "base/entropy.h"
#include "hw/core/state.h"
#include "hw/pci/pci_testdev.h"
#include "hw/pci/pcie_host.h"
#include "hw/pci/pcie_port.h"
#include "hw/virtio/virtio_pci.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { RAM = 0x40000000, DESC = RAM, AVAIL = RAM + 0x1000, USED = RAM + 0x2000, DATA = RAM + 0x3000 };
enum {
    ECAM = 0x3f000000,
    MMIO = 0x10000000,
    REGISTERS = MMIO + 0x4000,
    VECTORS = MMIO + 0x8000,
    SLOT = 1,
    SIZE = 8
};
enum { COMMON = 1, NOTIFY, ISR, DEVICE, ACCESS, BLOCKS };

// A device of two queues that gives every buffer back with its first byte plus one, and remembers what it was
// told.
struct echo {
    struct virtio_device vdev;
    uint8_t config[12];
    unsigned stops;
    struct virtq_chain chain;
};

struct bench {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct pcie_host *host;
    struct echo *echo;
    struct pci_device *pdev;
    bool intx;
    unsigned messages, last_data;
    uint64_t block[BLOCKS]; // guest addresses; ACCESS: offset in configuration space
    uint32_t length[BLOCKS], multiplier;
};

static const struct state_field fields[] = {VIRTIO_STATE(echo, vdev),
                                            STATE_ARRAY(32, STATE_BYTES, echo, config, 12)};

static uint32_t config_read(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    uint32_t v = 0;
    memcpy(&v, ((struct echo *)vdev)->config + offset, size);
    return v;
}

static void config_write(struct virtio_device *vdev, unsigned offset, unsigned size, uint32_t value)
{
    memcpy(((struct echo *)vdev)->config + offset, &value, size);
}

static void queue_notify(struct virtio_device *vdev, unsigned queue)
{
    struct echo *e = (struct echo *)vdev;
    while (virtio_pop(vdev, queue, &e->chain)) {
        uint8_t byte = 0;
        virtq_read(&e->chain, 0, &byte, 1);
        byte++;
        virtio_push(vdev, queue, e->chain.head, (uint32_t)virtq_write(&e->chain, vdev->mem, 0, &byte, 1));
    }
    virtio_interrupt(vdev, queue);
}

static void stop(struct virtio_device *vdev)
{
    ((struct echo *)vdev)->stops++;
}

static void reset(struct device *dev)
{
    virtio_reset((struct virtio_device *)dev);
}

static void post_load(struct device *dev)
{
    virtio_restored((struct virtio_device *)dev);
}

static void destroy(struct device *dev)
{
    free(dev);
}

static const uint16_t queue_sizes[] = {64, 32};
static const struct virtio_class virtio_class = {.id = 2,
                                                 .queue_count = 2,
                                                 .queue_sizes = queue_sizes,
                                                 .config_size = 12,
                                                 .config_read = config_read,
                                                 .config_write = config_write,
                                                 .queue_notify = queue_notify,
                                                 .stop = stop};
static const struct device_class class = DEVICE_CLASS("echo", 1, fields, reset, post_load, destroy, NULL, 0);

static void set_line(void *opaque, unsigned line, bool level)
{
    if (line == SLOT % 4)
        *(bool *)opaque = level;
}

static void take_message(void *opaque, uint32_t device_id, uint64_t addr, uint32_t data)
{
    struct bench *b = opaque;
    b->messages++;
    b->last_data = data;
}

static uint64_t rd(struct bench *b, uint64_t addr, unsigned size)
{
    uint64_t v = 0;
    cr_assert_eq(mem_read(b->mem, (struct gpa){addr}, &v, size, false), MEM_OK);
    return v;
}

static void wr(struct bench *b, uint64_t addr, unsigned size, uint64_t value)
{
    cr_assert_eq(mem_write(b->mem, (struct gpa){addr}, &value, size, false), MEM_OK);
}

static uint64_t cfg(unsigned reg)
{
    return ECAM + (SLOT << 15) + reg;
}

static uint64_t common(struct bench *b, unsigned offset)
{
    return b->block[COMMON] + offset;
}

static void find_blocks(struct bench *b)
{
    for (unsigned cap = (unsigned)rd(b, cfg(0x34), 1); cap; cap = (unsigned)rd(b, cfg(cap + 1), 1)) {
        unsigned type = (unsigned)rd(b, cfg(cap + 3), 1);
        if (rd(b, cfg(cap), 1) != 9)
            continue;
        cr_assert(type < BLOCKS && !b->block[type], "one of each");
        b->block[type] = type == ACCESS ? cap : REGISTERS + rd(b, cfg(cap + 8), 4);
        b->length[type] = (uint32_t)rd(b, cfg(cap + 12), 4);
        if (type != ACCESS)
            cr_assert_eq(rd(b, cfg(cap + 4), 1), 4);
        if (type == NOTIFY)
            b->multiplier = (uint32_t)rd(b, cfg(cap + 16), 4);
    }
}

static void setup(struct bench *b, unsigned vectors)
{
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    struct pcie_host_config host = {.path = "/pcie", .msi = {take_message, b}, .window_base = {0, MMIO}};
    for (unsigned i = 0; i < PCI_INTX_LINES; i++)
        host.intx[i] = (struct irq){set_line, &b->intx, i};
    cr_assert_eq(pcie_host_create(&host, &b->host, NULL), 0);
    cr_assert_eq(mem_space_create(&b->lock, &b->mem, NULL), 0);
    struct device *dev = pcie_host_device(b->host);
    cr_assert_eq(mem_add_mmio(b->mem, "ecam", (struct gpa){ECAM}, 16 << 20, dev->class->mmio, dev, 0, NULL),
                 0);
    cr_assert_eq(mem_add_mmio(b->mem, "mmio", (struct gpa){MMIO}, 1 << 24, &pcie_window_ops,
                              pcie_host_window(b->host, PCIE_WINDOW_MEMORY), 0, NULL),
                 0);
    cr_assert_eq(mem_add_ram(b->mem, "ram", (struct gpa){RAM}, 1 << 20, 0, NULL, NULL), 0);
    free((void *)mem_commit(b->mem));
    b->echo = calloc(1, sizeof *b->echo);
    virtio_init(&b->echo->vdev, &class, &virtio_class, "/echo", b->mem, 1);
    struct virtio_pci_config config = {.path = "/pci1", .vdev = &b->echo->vdev, .vectors = vectors};
    cr_assert_eq(virtio_pci_create(&config, &b->pdev, NULL), 0);
    cr_assert_eq(pci_attach(pcie_host_bus(b->host), b->pdev, PCI_ANY_SLOT, NULL), 0);
    cr_assert_eq(b->pdev->devfn, SLOT << 3);
    wr(b, cfg(0x14), 4, VECTORS);
    wr(b, cfg(0x20), 4, REGISTERS);
    wr(b, cfg(4), 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void teardown(struct bench *b)
{
    device_destroy(&b->pdev->dev);
    device_destroy(&b->echo->vdev.dev);
    device_destroy(pcie_host_device(b->host));
    mem_space_destroy(b->mem);
    pthread_mutex_destroy(&b->lock);
}

static void put_ring(struct bench *b)
{
    uint64_t desc[4] = {DATA, 1 | 1ull << 32 | 1ull << 48, DATA + 1, 1 | 2ull << 32};
    cr_assert_eq(mem_write(b->mem, (struct gpa){DESC}, desc, sizeof desc, true), MEM_OK);
}

static void start_driver(struct bench *b)
{
    find_blocks(b);
    wr(b, common(b, 0x14), 1, 0);
    wr(b, common(b, 0x14), 1, 3);
    for (unsigned i = 0; i < 2; i++) {
        wr(b, common(b, 0x08), 4, i);
        wr(b, common(b, 0x0c), 4, 1);
    }
    wr(b, common(b, 0x14), 1, 11);
    cr_assert_eq(rd(b, common(b, 0x14), 1), 11);
    wr(b, common(b, 0x16), 2, 1);
    wr(b, common(b, 0x18), 2, SIZE);
    wr(b, common(b, 0x20), 8, DESC);
    wr(b, common(b, 0x28), 4, AVAIL);
    wr(b, common(b, 0x30), 4, USED);
    wr(b, common(b, 0x1c), 2, 1);
    wr(b, common(b, 0x14), 1, 15);
    put_ring(b);
}

static void notify(struct bench *b)
{
    uint16_t *avail = mem_host(b->mem, (struct gpa){AVAIL}, 64);
    avail[2 + avail[1] % SIZE] = 0;
    avail[1]++;
    wr(b, b->block[NOTIFY] + rd(b, common(b, 0x1e), 2) * b->multiplier, 2, 1);
}

Test(virtio_pci, serves_a_driver_with_intx)
{
    struct bench b;
    setup(&b, 0);
    cr_expect_eq(rd(&b, cfg(0), 4), 0x10421af4);
    cr_expect_eq(rd(&b, cfg(8), 4), 0x01000001);
    start_driver(&b);
    cr_expect_eq(b.length[DEVICE], 12);
    cr_expect(b.length[COMMON] >= 0x38 && b.block[ISR] && b.block[ACCESS]);
    cr_expect_eq(rd(&b, common(&b, 0x12), 2), 2, "num_queues");
    cr_expect_eq(rd(&b, common(&b, 0x1c), 2), 1, "queue_enable");
    cr_expect_eq(rd(&b, common(&b, 0x20), 8), DESC);
    cr_expect_eq(rd(&b, common(&b, 0x10), 2), 0xffff, "there are no vectors");
    wr(&b, DATA, 1, 41);
    notify(&b);
    cr_expect_eq(rd(&b, DATA + 1, 1), 42);
    cr_expect_eq(rd(&b, USED + 2, 2), 1);
    cr_expect(b.intx);
    cr_expect_eq(rd(&b, b.block[ISR], 1), 1);
    cr_expect_not(b.intx, "reading acknowledges");
    cr_expect_eq(rd(&b, b.block[ISR], 1), 0);
    virtio_config_changed(&b.echo->vdev);
    cr_expect(b.intx);
    cr_expect_eq(rd(&b, common(&b, 0x15), 1), 1, "config_generation");
    cr_expect_eq(rd(&b, b.block[ISR], 1), 2);
    wr(&b, common(&b, 0x14), 1, 0);
    cr_expect_eq(rd(&b, common(&b, 0x14), 1), 0);
    cr_expect_eq(rd(&b, common(&b, 0x16), 2), 0);
    cr_expect_eq(b.messages, 0);
    teardown(&b);
}

Test(virtio_pci, serves_a_driver_with_msix)
{
    struct bench b;
    setup(&b, VIRTIO_PCI_VECTORS_AUTO);
    cr_assert_eq(b.pdev->msix.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        wr(&b, VECTORS + 16 * i + 8, 4, 100 + i);
        wr(&b, VECTORS + 16 * i + 12, 4, 0);
    }
    wr(&b, cfg(b.pdev->msix.cap + 2), 2, 0x8000);
    start_driver(&b);
    wr(&b, common(&b, 0x10), 2, 3);
    cr_expect_eq(rd(&b, common(&b, 0x10), 2), 0xffff, "no such vector");
    wr(&b, common(&b, 0x10), 2, 0);
    cr_expect_eq(rd(&b, common(&b, 0x10), 2), 0);
    wr(&b, common(&b, 0x1a), 2, 2);
    cr_expect_eq(rd(&b, common(&b, 0x1a), 2), 2);
    notify(&b);
    cr_expect(b.messages == 1 && b.last_data == 102 && !b.intx);
    virtio_config_changed(&b.echo->vdev);
    cr_expect(b.messages == 2 && b.last_data == 100);
    wr(&b, common(&b, 0x14), 1, 0);
    wr(&b, common(&b, 0x16), 2, 1);
    cr_expect_eq(rd(&b, common(&b, 0x1a), 2), 0xffff, "a reset takes the vectors");
    teardown(&b);
}

Test(virtio_pci, registers_have_their_widths)
{
    struct bench b;
    setup(&b, 2);
    start_driver(&b);
    wr(&b, common(&b, 0x16), 1, 0);
    cr_expect_eq(rd(&b, common(&b, 0x16), 2), 1, "half of queue_select");
    wr(&b, common(&b, 0x14), 4, 0);
    cr_expect_eq(rd(&b, common(&b, 0x14), 1), 15, "device_status has one byte");
    wr(&b, common(&b, 0x18), 2, 4);
    wr(&b, common(&b, 0x20), 4, 0);
    wr(&b, common(&b, 0x1c), 2, 0);
    cr_expect_eq(rd(&b, common(&b, 0x18), 2), SIZE, "a queue in use stays as it is");
    cr_expect_eq(rd(&b, common(&b, 0x20), 4), DESC);
    cr_expect_eq(rd(&b, common(&b, 0x1c), 2), 1);
    wr(&b, common(&b, 0x16), 2, 2);
    cr_expect_eq(rd(&b, common(&b, 0x18), 2), 0, "no such queue");
    wr(&b, common(&b, 0x1c), 2, 1);
    wr(&b, b.block[NOTIFY] + 4 * 900, 2, 1);
    wr(&b, b.block[DEVICE] + 8, 4, 0x44332211);
    cr_expect_eq(rd(&b, b.block[DEVICE] + 9, 1), 0x22);
    cr_expect_eq(rd(&b, b.block[DEVICE] + 8, 8), 0x44332211, "only what there is");
    wr(&b, b.block[DEVICE] + 12, 4, ~0u);
    cr_expect_eq(rd(&b, common(&b, 0), 4), 0);
    wr(&b, common(&b, 0), 4, 1);
    cr_expect_eq(rd(&b, common(&b, 4), 4), 5, "VERSION_1 and RING_PACKED");
    wr(&b, common(&b, 0), 4, 2);
    cr_expect_eq(rd(&b, common(&b, 4), 4), 0);
    teardown(&b);
}

Test(virtio_pci, works_through_configuration_space)
{
    struct bench b;
    setup(&b, 2);
    find_blocks(&b);
    unsigned cap = (unsigned)b.block[ACCESS];
    wr(&b, cfg(4), 2, 0); // BARs off, as firmware may leave them
    wr(&b, cfg(cap + 4), 1, 4);
    wr(&b, cfg(cap + 8), 4, 0x14);
    wr(&b, cfg(cap + 12), 4, 1);
    wr(&b, cfg(cap + 16), 4, 3);
    cr_expect_eq(b.echo->vdev.status, 3);
    cr_expect_eq(rd(&b, cfg(cap + 16), 4), 3);
    wr(&b, cfg(cap + 8), 4, 0x12);
    wr(&b, cfg(cap + 12), 4, 2);
    cr_expect_eq(rd(&b, cfg(cap + 16), 2), 2);
    static const uint32_t bad[][3] = {{6, 0, 4},          {255, 0, 4},    {0, 0, 4},          {4, 0x14, 3},
                                      {4, 0x15, 2},       {4, 0x4000, 4}, {4, 0xfffffffc, 4}, {4, 0, 0},
                                      {4, 0, 0xffffffff}, {5, 0, 4}};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        wr(&b, cfg(cap + 4), 1, bad[i][0]);
        wr(&b, cfg(cap + 8), 4, bad[i][1]);
        wr(&b, cfg(cap + 12), 4, bad[i][2]);
        rd(&b, cfg(cap + 16), 4);
        wr(&b, cfg(cap + 16), 4, 0);
    }
    cr_expect_eq(b.echo->vdev.status, 3);
    teardown(&b);
}

Test(virtio_pci, a_function_that_is_no_master_stops)
{
    struct bench b;
    setup(&b, 2);
    start_driver(&b);
    wr(&b, cfg(4), 2, PCI_COMMAND_MEMORY);
    cr_expect_eq(rd(&b, common(&b, 0x14), 1), 11);
    notify(&b);
    cr_expect_eq(rd(&b, USED + 2, 2), 0);
    device_reset(&b.echo->vdev.dev);
    device_reset(&b.pdev->dev);
    cr_expect_eq(rd(&b, cfg(4), 2), 0);
    cr_expect_eq(rd(&b, common(&b, 0x14), 1), 0xff);
    teardown(&b);
}

// --- hostile guests ---

enum { PORT_SLOT = 2, FUZZ_DEVICES = 5 };

struct fuzz {
    struct bench b;
    struct pci_device *port, *behind; // a root port and a device behind it, which comes and goes
    struct entropy random;
};

static uint64_t any(struct fuzz *f, uint64_t below)
{
    uint64_t v;
    entropy_fill(&f->random, &v, sizeof v);
    return v % below;
}

static uint64_t some_value(struct fuzz *f)
{
    switch (any(f, 5)) {
    case 0: return any(f, 16);
    case 1: return 1ull << any(f, 64);
    case 2: return RAM + (any(f, 0x4000) & ~15ull);
    case 3: return -any(f, 3);
    default: return any(f, ~0ull);
    }
}

static uint64_t some_address(struct fuzz *f)
{
    switch (any(f, 8)) {
    case 6: return ECAM + (PORT_SLOT << 15) + any(f, 0x110);
    case 7: return ECAM + (any(f, 4) << 20) + any(f, 0x110);
    case 0: return ECAM + any(f, 16 << 20);
    case 1: return cfg((unsigned)any(f, 0x110));
    case 2: return VECTORS + any(f, 0x1000);
    case 3: return REGISTERS + any(f, 0x4010);
    case 4: return REGISTERS + any(f, 0x38);
    default: return MMIO + any(f, 1 << 24);
    }
}

static void save_and_load(struct fuzz *f)
{
    struct state_buf buf = {0};
    struct device *devs[FUZZ_DEVICES] = {pcie_host_device(f->b.host), &f->b.pdev->dev, &f->b.echo->vdev.dev,
                                         &f->port->dev, &f->behind->dev};
    for (unsigned i = 0; i < FUZZ_DEVICES; i++)
        cr_assert_eq(state_save(devs[i], 0, &buf, NULL), 0);
    for (uint64_t flips = any(f, 4); flips; flips--)
        buf.data[any(f, buf.size)] ^= (uint8_t)(1u << any(f, 8));
    if (state_load(devs, FUZZ_DEVICES, 0, buf.data, buf.size, NULL))
        for (unsigned i = 0; i < FUZZ_DEVICES; i++)
            device_reset(devs[i]);
    state_buf_free(&buf);
}

static void let_go(void *opaque, struct pci_bus *bus)
{
    struct fuzz *f = opaque;
    pci_detach(f->behind);
    pcie_port_changed(f->port);
}

static void come_or_go(struct fuzz *f)
{
    if (f->behind->bus) {
        pcie_port_request_release(f->port);
    } else {
        cr_assert_eq(pci_attach(pcie_port_bus(f->port), f->behind, PCI_ANY_SLOT, NULL), 0);
        pcie_port_changed(f->port);
    }
}

static void setup_fuzz(struct fuzz *f)
{
    struct pcie_port_config config = {.path = "/port", .slot = 1, .released = let_go, .opaque = f};
    setup(&f->b, VIRTIO_PCI_VECTORS_AUTO);
    cr_assert_eq(pcie_port_create(&config, &f->port, NULL), 0);
    cr_assert_eq(pci_attach(pcie_host_bus(f->b.host), f->port, (int)pci_devfn(PORT_SLOT, 0), NULL), 0);
    cr_assert_eq(pci_testdev_create("/behind", false, &f->behind, NULL), 0);
    come_or_go(f);
}

static void round_of(struct fuzz *f)
{
    struct bench *b = &f->b;
    unsigned size = 1u << any(f, 4);
    uint64_t addr = some_address(f);
    switch (any(f, 64)) {
    case 0: save_and_load(f); break;
    case 1: device_reset(any(f, 2) ? &b->pdev->dev : &b->echo->vdev.dev); break;
    case 2:
        wr(b, cfg(0x14), 4, VECTORS);
        wr(b, cfg(0x20), 8, REGISTERS);
        wr(b, cfg(4), 2, 6);
        break;
    case 3:
        memset(b->block, 0, sizeof b->block);
        wr(b, cfg(0x14), 4, VECTORS);
        wr(b, cfg(0x20), 8, REGISTERS);
        wr(b, cfg(4), 2, 6);
        start_driver(b);
        break;
    case 4 ... 8: wr(b, RAM + any(f, 0x4000), size, some_value(f)); break;
    case 9: virtio_config_changed(&b->echo->vdev); break;
    case 10: come_or_go(f); break;
    case 11: // as firmware leaves a bridge
        wr(b, ECAM + (PORT_SLOT << 15) + PCI_PRIMARY_BUS, 4, 0x00010100);
        wr(b, ECAM + (PORT_SLOT << 15) + PCI_MEMORY_BASE, 4, 0x10f01000);
        wr(b, ECAM + (PORT_SLOT << 15) + PCI_COMMAND, 2, 7);
        wr(b, ECAM + (1 << 20) + 0x10, 4, MMIO + 0x100000);
        wr(b, ECAM + (1 << 20) + PCI_COMMAND, 2, 7);
        break;
    case 12 ... 24: rd(b, addr, size); break;
    default: wr(b, addr, size, some_value(f)); break;
    }
    // What the guest cannot change:
    cr_assert_eq(rd(b, cfg(0), 4), 0x10421af4);
    cr_assert_eq(rd(b, cfg(0x3d), 1), 1);
}

Test(virtio_pci, survives_any_guest)
{
    const char *seed = getenv("FUZZ_SEED"), *rounds = getenv("FUZZ_ROUNDS");
    static struct fuzz f;
    entropy_init_seeded(&f.random, seed ? strtoull(seed, NULL, 0) : 1);
    setup_fuzz(&f);
    for (unsigned long n = rounds ? strtoul(rounds, NULL, 0) : 40000; n; n--)
        round_of(&f);
    device_destroy(&f.behind->dev);
    device_destroy(&f.port->dev);
    teardown(&f.b);
    entropy_destroy(&f.random);
}
