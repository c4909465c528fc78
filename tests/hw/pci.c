// SPDX-License-Identifier: MIT
// The PCI core through its host bridge, as a guest reaches it: configuration space and its write masks, BAR
// sizing and decoding, INTx, MSI-X, saved states; and the GICv2m frame that messages end in.
#include "base/error.h"
#include "hw/core/state.h"
#include "hw/intc/gicv2m.h"
#include "hw/pci/pci_testdev.h"
#include "hw/pci/pcie_host.h"
#include "hw/pci/pcie_port.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

enum { ECAM = 0x3f000000, PIO = 0x3eff0000, MMIO = 0x10000000, MMIO_SIZE = 0x2eff0000, SLOT = 5 };
static const uint64_t HIGH = 0x8000000000;
enum { MEM_BAR = 0, VECTORS_BAR = 1, IO_BAR = 2, WIDE_BAR = 4, VECTORS = 3 };

struct toy {
    struct pci_device pci;
    uint64_t last[PCI_BARS]; // offset of the last access, + 1
};

struct bench {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct pcie_host *host;
    struct toy toy;
    bool intx[PCI_INTX_LINES];
    unsigned messages;
    uint32_t device_id, data;
    uint64_t addr;
};

static const struct state_field fields[] = {PCI_STATE(toy, pci)};

static void toy_reset(struct device *dev)
{
    pci_reset((struct pci_device *)dev);
}

static void toy_loaded(struct device *dev)
{
    pci_restored((struct pci_device *)dev);
}

static void toy_destroy(struct device *dev)
{
    pci_detach((struct pci_device *)dev);
}

static const struct device_class toy_class =
    DEVICE_CLASS("toy", 1, fields, toy_reset, toy_loaded, toy_destroy, NULL, 0);

static enum mem_result toy_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    *(uint64_t *)opaque = offset + 1;
    *ret_value = 0x1122334455667788 >> (8 - size) * 8;
    return MEM_OK;
}

static enum mem_result toy_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    *(uint64_t *)opaque = offset + 1;
    return MEM_OK;
}

static const struct mem_mmio_ops toy_ops = {toy_read, toy_write, 1, 8};
static const struct mem_mmio_ops words_only = {toy_read, toy_write, 4, 4};

static void set_line(void *opaque, unsigned line, bool level)
{
    ((bool *)opaque)[line] = level;
}

static void take_message(void *opaque, uint32_t device_id, uint64_t addr, uint32_t data)
{
    struct bench *b = opaque;
    b->messages++;
    b->device_id = device_id;
    b->addr = addr;
    b->data = data;
}

static void toy_init(struct toy *t)
{
    static const struct pci_identity identity = {0x1234, 0x5678, 0xabcd, 0xef01, 0xff0102, 7, .intx = true};
    memset(t, 0, sizeof *t);
    pci_init(&t->pci, &toy_class, "/toy", &identity, NULL);
    pci_add_bar(&t->pci, MEM_BAR, &(struct pci_bar){.size = 0x1000, .ops = &toy_ops, .opaque = &t->last[0]});
    pci_add_bar(&t->pci, IO_BAR,
                &(struct pci_bar){.size = 32, .io = true, .ops = &words_only, .opaque = &t->last[IO_BAR]});
    pci_add_bar(&t->pci, WIDE_BAR,
                &(struct pci_bar){.size = 8ull << 30,
                                  .wide = true,
                                  .prefetchable = true,
                                  .ops = &toy_ops,
                                  .opaque = &t->last[WIDE_BAR]});
    msix_init(&t->pci, VECTORS_BAR, VECTORS);
    device_reset(&t->pci.dev);
}

static void map_window(struct bench *b, uint64_t base, uint64_t size, enum pcie_window window)
{
    cr_assert_eq(mem_add_mmio(b->mem, "window", (struct gpa){base}, size, &pcie_window_ops,
                              pcie_host_window(b->host, window), 0, NULL),
                 0);
}

static void setup(struct bench *b)
{
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    struct pcie_host_config config = {
        .path = "/pcie", .msi = {take_message, b}, .window_base = {0, MMIO, HIGH}};
    for (unsigned i = 0; i < PCI_INTX_LINES; i++)
        config.intx[i] = (struct irq){set_line, b->intx, i};
    cr_assert_eq(pcie_host_create(&config, &b->host, NULL), 0);
    cr_assert_eq(mem_space_create(&b->lock, &b->mem, NULL), 0);
    struct device *dev = pcie_host_device(b->host);
    cr_assert_eq(mem_add_mmio(b->mem, "ecam", (struct gpa){ECAM}, 16 << 20, dev->class->mmio, dev, 0, NULL),
                 0);
    map_window(b, PIO, 0x10000, PCIE_WINDOW_IO);
    map_window(b, MMIO, MMIO_SIZE, PCIE_WINDOW_MEMORY);
    map_window(b, HIGH, 512ull << 30, PCIE_WINDOW_HIGH_MEMORY);
    free((void *)mem_commit(b->mem));
    toy_init(&b->toy);
    cr_assert_eq(pci_attach(pcie_host_bus(b->host), &b->toy.pci, (int)pci_devfn(SLOT, 0), NULL), 0);
}

static void teardown(struct bench *b)
{
    device_destroy(&b->toy.pci.dev);
    device_destroy(pcie_host_device(b->host));
    mem_space_destroy(b->mem);
    pthread_mutex_destroy(&b->lock);
}

static uint64_t rd(struct bench *b, uint64_t addr, unsigned size)
{
    uint64_t v = 0;
    cr_assert_eq(mem_read(b->mem, (struct gpa){addr}, &v, size, false), MEM_OK,
                 "an access to PCI never faults");
    return v;
}

static void wr(struct bench *b, uint64_t addr, unsigned size, uint64_t value)
{
    cr_assert_eq(mem_write(b->mem, (struct gpa){addr}, &value, size, false), MEM_OK);
}

static uint64_t cfg(unsigned slot, unsigned reg)
{
    return ECAM + (slot << 15) + reg;
}

static void place_bars(struct bench *b, uint16_t command)
{
    wr(b, cfg(SLOT, 0x10), 4, MMIO + 0x100000);
    wr(b, cfg(SLOT, 0x14), 4, MMIO + 0x200000);
    wr(b, cfg(SLOT, 0x18), 4, 0x40);
    wr(b, cfg(SLOT, 0x20), 4, (uint32_t)(HIGH + (16ull << 30)));
    wr(b, cfg(SLOT, 0x24), 4, (HIGH + (16ull << 30)) >> 32);
    wr(b, cfg(SLOT, PCI_COMMAND), 2, command);
}

Test(pci, what_a_guest_scans)
{
    struct bench b;
    setup(&b);
    cr_expect_eq(rd(&b, cfg(0, 0), 4), 0x00081b36, "the bridge itself");
    cr_expect_eq(rd(&b, cfg(0, 8), 4) >> 16, 0x0600);
    cr_expect_eq(rd(&b, cfg(SLOT, 0), 4), 0x56781234);
    cr_expect_eq(rd(&b, cfg(SLOT, 8), 4), 0xff010207);
    cr_expect_eq(rd(&b, cfg(SLOT, 0x2c), 4), 0xef01abcd);
    cr_expect_eq(rd(&b, cfg(SLOT, 0x3d), 1), 1);
    cr_expect_eq(rd(&b, cfg(SLOT, 0), 8), 0x56781234ull | (uint64_t)PCI_STATUS_CAP_LIST << 48);
    cr_expect_eq(rd(&b, cfg(SLOT + 1, 0), 4), 0xffffffff, "an empty slot");
    cr_expect_eq(rd(&b, cfg(SLOT, 0x1000), 2), 0xffff, "function 1");
    cr_expect_eq(rd(&b, cfg(SLOT, 0) + (1 << 20), 4), 0xffffffff, "bus 1");
    cr_expect_eq(rd(&b, cfg(SLOT, 0x100), 4), 0xffffffff, "no extended space");
    wr(&b, cfg(SLOT, 0x100), 4, 5);
    wr(&b, cfg(SLOT + 1, 4), 4, 5);
    unsigned cap = (unsigned)rd(&b, cfg(SLOT, 0x34), 1);
    cr_expect_eq(rd(&b, cfg(SLOT, cap), 1), PCI_CAP_MSIX);
    cr_expect_eq(rd(&b, cfg(SLOT, cap + 2), 2), VECTORS - 1);
    cr_expect_eq(rd(&b, cfg(SLOT, cap + 4), 4), VECTORS_BAR);
    cr_expect_eq(rd(&b, cfg(SLOT, cap + 8), 4), MSIX_PBA | VECTORS_BAR);
    teardown(&b);
}

Test(pci, only_what_is_writable_changes)
{
    struct bench b;
    setup(&b);
    uint8_t before[PCI_CONFIG_SIZE];
    memcpy(before, b.toy.pci.config, sizeof before);
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
        wr(&b, cfg(SLOT, i), 1, 0xff);
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
        cr_expect_eq(b.toy.pci.config[i], before[i] | b.toy.pci.writable[i], "byte %x", i);
    cr_expect_eq(rd(&b, cfg(SLOT, PCI_COMMAND), 2), 0x547);
    cr_expect_eq(rd(&b, cfg(SLOT, PCI_INTERRUPT_LINE), 1), 0xff);
    device_reset(&b.toy.pci.dev);
    cr_expect_arr_eq(b.toy.pci.config, before, sizeof before);
    teardown(&b);
}

Test(pci, bars_are_sized_by_all_ones)
{
    struct bench b;
    setup(&b);
    for (unsigned i = 0; i < PCI_BARS; i++)
        wr(&b, cfg(SLOT, 0x10 + 4 * i), 4, 0xffffffff);
    wr(&b, cfg(SLOT, 0x30), 4, 0xffffffff);
    const uint32_t wanted[] = {0xfffff000, 0xfffff000, 0xffffffe1, 0, 0xc, 0xfffffffe, 0, 0};
    for (unsigned i = 0; i < 6; i++)
        cr_expect_eq(rd(&b, cfg(SLOT, 0x10 + 4 * i), 4), wanted[i], "BAR %u", i);
    cr_expect_eq(rd(&b, cfg(SLOT, 0x30), 4), 0, "no option ROM");
    teardown(&b);
}

Test(pci, bars_answer_where_they_are_put)
{
    struct bench b;
    setup(&b);
    place_bars(&b, 0);
    cr_expect_eq(rd(&b, MMIO + 0x100000, 4), 0xffffffff, "memory is off");
    wr(&b, cfg(SLOT, PCI_COMMAND), 2, PCI_COMMAND_MEMORY);
    cr_expect_eq(rd(&b, MMIO + 0x100008, 8), 0x1122334455667788);
    cr_expect_eq(b.toy.last[MEM_BAR], 9);
    cr_expect_eq(rd(&b, MMIO + 0x0ffffc, 4), 0xffffffff, "below");
    cr_expect_eq(rd(&b, MMIO + 0x101000, 4), 0xffffffff, "above");
    cr_expect_eq(rd(&b, HIGH + (16ull << 30) + (5ull << 30), 1), 0x11);
    cr_expect_eq(b.toy.last[WIDE_BAR], (5ull << 30) + 1);
    cr_expect_eq(rd(&b, PIO + 0x44, 4), 0xffffffff, "I/O is off");
    wr(&b, cfg(SLOT, PCI_COMMAND), 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    cr_expect_eq(rd(&b, PIO + 0x44, 4), 0x11223344);
    cr_expect_eq(b.toy.last[IO_BAR], 5);
    cr_expect_eq(rd(&b, PIO + 0x44, 1), 0xff, "a size that the device refuses is no fault");
    cr_expect_eq(rd(&b, PIO + 0x48, 8), 0x1122334411223344, "a wider one is split");
    wr(&b, cfg(SLOT, 0x18), 4, 0);
    cr_expect_eq(rd(&b, PIO, 4), 0x11223344, "address 0 is one");
    wr(&b, cfg(SLOT, 0x10), 4, MMIO + 0x300000);
    cr_expect_eq(rd(&b, MMIO + 0x100000, 4), 0xffffffff, "moved");
    cr_expect_eq(rd(&b, MMIO + 0x300ffe, 2), 0x1122);
    teardown(&b);
}

Test(pci, bars_may_be_put_anywhere)
{
    struct bench b;
    setup(&b);
    place_bars(&b, 7);
    static const uint32_t places[] = {0, 0xfffff000, ECAM, 0x40000000, 0x08000000, MMIO + MMIO_SIZE - 0x1000};
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        wr(&b, cfg(SLOT, 0x10), 4, places[i]);
        wr(&b, cfg(SLOT, 0x20), 4, places[i]);
        wr(&b, cfg(SLOT, 0x24), 4, 0xffffffff);
        rd(&b, MMIO, 8);
        rd(&b, MMIO + MMIO_SIZE - 8, 8);
        cr_expect_eq(rd(&b, cfg(SLOT, 0), 2), 0x1234, "the ECAM stays");
    }
    cr_expect_eq(b.toy.last[MEM_BAR], 0x1000 - 8 + 1, "the window's last page");
    wr(&b, cfg(SLOT, 0x10), 4, MMIO + 0x200000); // over the vectors
    cr_expect_eq(rd(&b, MMIO + 0x200000, 4), 0x11223344, "the lower BAR wins");
    teardown(&b);
}

Test(pci, intx_is_swizzled_and_masked)
{
    struct bench b;
    setup(&b);
    struct toy other;
    toy_init(&other);
    cr_assert_eq(pci_attach(pcie_host_bus(b.host), &other.pci, (int)pci_devfn(SLOT + 4, 0), NULL), 0);
    pci_set_intx(&b.toy.pci, true);
    cr_expect(b.intx[SLOT % 4] && !b.intx[0] && !b.intx[2] && !b.intx[3]);
    cr_expect(rd(&b, cfg(SLOT, PCI_STATUS), 2) & PCI_STATUS_INTERRUPT);
    pci_set_intx(&other.pci, true);
    pci_set_intx(&b.toy.pci, false);
    cr_expect(b.intx[SLOT % 4], "shared");
    cr_expect_not(rd(&b, cfg(SLOT, PCI_STATUS), 2) & PCI_STATUS_INTERRUPT);
    wr(&b, cfg(SLOT + 4, PCI_COMMAND), 2, PCI_COMMAND_INTX_DISABLE);
    cr_expect_not(b.intx[SLOT % 4]);
    cr_expect(rd(&b, cfg(SLOT + 4, PCI_STATUS), 2) & PCI_STATUS_INTERRUPT, "the condition still shows");
    wr(&b, cfg(SLOT + 4, PCI_COMMAND), 2, 0);
    cr_expect(b.intx[SLOT % 4]);
    wr(&b, cfg(SLOT + 4, other.pci.msix.cap + 2), 2, 0x8000);
    cr_expect_not(b.intx[SLOT % 4], "MSI-X takes its place");
    wr(&b, cfg(SLOT + 4, other.pci.msix.cap + 2), 2, 0);
    cr_expect(b.intx[SLOT % 4]);
    device_destroy(&other.pci.dev);
    cr_expect_not(b.intx[SLOT % 4], "gone");
    teardown(&b);
}

Test(pci, msix_sends_masks_and_remembers)
{
    struct bench b;
    setup(&b);
    place_bars(&b, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    const uint64_t table = MMIO + 0x200000, control = cfg(SLOT, b.toy.pci.msix.cap + 2);
    cr_expect_eq(rd(&b, table + 12, 4), 1, "masked after reset");
    wr(&b, table + 16, 8, 0x1234567808020042); // the low two bits are none of the address
    wr(&b, table + 24, 4, 99);
    wr(&b, table + 28, 4, 0xfffffffe);
    cr_expect_eq(rd(&b, table + 28, 4), 0);
    msix_notify(&b.toy.pci, 1);
    cr_expect_eq(b.messages, 0, "off");
    wr(&b, control, 2, 0xc000);
    msix_notify(&b.toy.pci, 1);
    cr_expect_eq(b.messages, 0, "the function is masked");
    cr_expect_eq(rd(&b, table + MSIX_PBA, 8), 2);
    wr(&b, table + MSIX_PBA, 4, 0xff);
    wr(&b, control, 2, 0x8000);
    cr_expect_eq(b.messages, 1);
    cr_expect(b.addr == 0x1234567808020040 && b.data == 99 && b.device_id == SLOT << 3);
    cr_expect_eq(rd(&b, table + MSIX_PBA, 4), 0);
    wr(&b, table + 28, 4, 1);
    msix_notify(&b.toy.pci, 1);
    msix_notify(&b.toy.pci, 1);
    cr_expect_eq(b.messages, 1, "the vector is masked");
    wr(&b, table + 28, 4, 0);
    cr_expect_eq(b.messages, 2, "once");
    msix_notify(&b.toy.pci, VECTORS);
    msix_notify(&b.toy.pci, 0xffff);
    wr(&b, table + 16 * VECTORS, 4, 5);
    cr_expect_eq(rd(&b, table + 16 * VECTORS, 4), 0, "behind the table");
    wr(&b, cfg(SLOT, PCI_COMMAND), 2, PCI_COMMAND_MEMORY);
    msix_notify(&b.toy.pci, 1);
    cr_expect_eq(b.messages, 2, "not a bus master");
    teardown(&b);
}

Test(pci, a_saved_state_cannot_change_the_layout)
{
    struct bench b, c;
    setup(&b);
    setup(&c);
    place_bars(&b, 7);
    memset(b.toy.pci.msix.table, 0xff, sizeof b.toy.pci.msix.table);
    memset(b.toy.pci.msix.pending, 0xff, sizeof b.toy.pci.msix.pending);
    b.toy.pci.config[0] = 0xee;
    b.toy.pci.config[0x10] |= 0xf5;
    b.toy.pci.config[0x34] = 0xff;
    b.toy.pci.intx = true;
    struct state_buf buf = {0};
    struct device *devs[] = {&c.toy.pci.dev};
    cr_assert_eq(state_save(&b.toy.pci.dev, 0, &buf, NULL), 0);
    cr_assert_eq(state_load(devs, 1, 0, buf.data, buf.size, NULL), 0);
    state_buf_free(&buf);
    cr_expect_eq(rd(&c, cfg(SLOT, 0), 4), 0x56781234);
    cr_expect_eq(rd(&c, cfg(SLOT, 0x10), 4), MMIO + 0x100000);
    cr_expect_eq(rd(&c, cfg(SLOT, 0x34), 1), b.toy.pci.initial[0x34]);
    cr_expect_eq(rd(&c, MMIO + 0x200000 + MSIX_PBA, 8), (1 << VECTORS) - 1);
    cr_expect(c.intx[SLOT % 4]);
    teardown(&b);
    teardown(&c);
}

Test(pci, slots_are_given_out_once)
{
    struct bench b;
    struct error err = {0};
    static struct toy toys[PCI_SLOTS + 1];
    setup(&b);
    struct pci_bus *bus = pcie_host_bus(b.host);
    for (unsigned i = 0; i <= PCI_SLOTS; i++)
        toy_init(&toys[i]);
    cr_expect_eq(pci_attach(bus, &toys[0].pci, (int)pci_devfn(SLOT, 0), &err), -EBUSY);
    cr_expect_str_eq(err.text, "PCI address 5.0 belongs to /toy already");
    cr_expect_eq(pci_attach(bus, &toys[0].pci, (int)pci_devfn(SLOT, 1), &err), -EINVAL);
    cr_expect_eq(pci_attach(bus, &toys[0].pci, 256, &err), -EINVAL);
    for (unsigned i = 0; i < PCI_SLOTS - 2; i++)
        cr_expect_eq(pci_attach(bus, &toys[i].pci, PCI_ANY_SLOT, &err), 0);
    cr_expect_eq(toys[0].pci.devfn, pci_devfn(1, 0));
    cr_expect_eq(toys[PCI_SLOTS - 3].pci.devfn, pci_devfn(31, 0));
    cr_expect_eq(pci_attach(bus, &toys[PCI_SLOTS].pci, PCI_ANY_SLOT, &err), -ENOSPC);
    for (unsigned i = 0; i < PCI_SLOTS - 2; i++)
        device_destroy(&toys[i].pci.dev);
    cr_expect_eq(pci_attach(bus, &toys[0].pci, PCI_ANY_SLOT, &err), 0, "free again");
    device_destroy(&toys[0].pci.dev);
    teardown(&b);
}

// --- root ports ---

enum { PORT_SLOT = 7 };

struct port_bench {
    struct bench b;
    struct pci_device *port;
    struct toy below;
    unsigned released;
};

static void count_release(void *opaque, struct pci_bus *bus)
{
    ((struct port_bench *)opaque)->released++;
}

// A port at 07.0 with bus 3 behind it, and a toy on that.
static void setup_port(struct port_bench *p)
{
    setup(&p->b);
    p->released = 0;
    struct pcie_port_config config = {
        .path = "/port", .port = 1, .slot = 9, .released = count_release, .opaque = p};
    cr_assert_eq(pcie_port_create(&config, &p->port, NULL), 0);
    cr_assert_eq(pci_attach(pcie_host_bus(p->b.host), p->port, (int)pci_devfn(PORT_SLOT, 0), NULL), 0);
    toy_init(&p->below);
    cr_assert_eq(pci_attach(pcie_port_bus(p->port), &p->below.pci, PCI_ANY_SLOT, NULL), 0);
    device_reset(&p->port->dev);
    wr(&p->b, cfg(PORT_SLOT, PCI_PRIMARY_BUS), 4, 0x00030300);
}

static void teardown_port(struct port_bench *p)
{
    device_destroy(&p->below.pci.dev);
    device_destroy(&p->port->dev);
    teardown(&p->b);
}

static uint64_t cfg_below(unsigned reg)
{
    return ECAM + (3 << 20) + reg;
}

Test(pci, a_port_forwards_what_is_in_its_windows)
{
    struct port_bench p;
    setup_port(&p);
    struct bench *b = &p.b;
    cr_expect_eq(rd(b, cfg(PORT_SLOT, 0), 4), 0x000c1b36);
    cr_expect_eq(rd(b, cfg(PORT_SLOT, 0x0e), 1), 1);
    cr_expect_eq(rd(b, cfg_below(0), 4), 0x56781234);
    cr_expect_eq(rd(b, cfg_below(0) + (1 << 20), 4), 0xffffffff, "bus 4");
    wr(b, cfg_below(0x10), 4, MMIO + 0x500000);
    wr(b, cfg_below(0x20), 8, HIGH + (8ull << 30));
    wr(b, cfg_below(0x18), 4, 0x2040);
    wr(b, cfg_below(4), 2, 7);
    wr(b, cfg(PORT_SLOT, PCI_IO_BASE), 2, 0x2020);
    wr(b, cfg(PORT_SLOT, PCI_MEMORY_BASE), 4, (MMIO + 0x500000) | (MMIO + 0x500000) >> 16);
    wr(b, cfg(PORT_SLOT, PCI_PREF_MEMORY_BASE), 4, 0xfff00000);
    wr(b, cfg(PORT_SLOT, PCI_PREF_BASE_UPPER32), 8, 0x8300000080);
    cr_expect_eq(rd(b, cfg(PORT_SLOT, PCI_PREF_MEMORY_BASE), 4), 0xfff10001, "64 bits");
    cr_expect_eq(rd(b, MMIO + 0x500000, 4), 0xffffffff, "the bridge forwards nothing yet");
    wr(b, cfg(PORT_SLOT, PCI_COMMAND), 2, 7);
    cr_expect_eq(rd(b, MMIO + 0x500000, 4), 0x11223344);
    cr_expect_eq(rd(b, HIGH + (9ull << 30), 4), 0x11223344);
    cr_expect_eq(rd(b, PIO + 0x2040, 4), 0x11223344);
    wr(b, cfg(PORT_SLOT, PCI_MEMORY_BASE), 4, 0x1000fff0);
    wr(b, cfg(PORT_SLOT, PCI_IO_BASE), 2, 0x10f0);
    cr_expect_eq(rd(b, MMIO + 0x500000, 4), 0xffffffff, "base above limit");
    cr_expect_eq(rd(b, PIO + 0x2040, 4), 0xffffffff);
    wr(b, cfg(PORT_SLOT, PCI_PRIMARY_BUS), 4, 0);
    cr_expect_eq(rd(b, cfg(0, 0), 4), 0x00081b36, "bus 0 stays the root's");
    teardown_port(&p);
}

Test(pci, interrupts_come_through_a_port)
{
    struct port_bench p;
    setup_port(&p);
    struct bench *b = &p.b;
    wr(b, cfg_below(4), 2, PCI_COMMAND_MASTER);
    pci_set_intx(&p.below.pci, true);
    cr_expect(b->intx[PORT_SLOT % 4]);
    pci_set_intx(&p.below.pci, false);
    cr_expect_not(b->intx[PORT_SLOT % 4]);
    wr(b, cfg_below(p.below.pci.msix.cap + 2), 2, 0x8000);
    p.below.pci.msix.table[12] = 0;
    msix_notify(&p.below.pci, 0);
    cr_expect_eq(b->messages, 0, "the port is no bus master");
    wr(b, cfg(PORT_SLOT, PCI_COMMAND), 2, PCI_COMMAND_MASTER);
    msix_notify(&p.below.pci, 0);
    cr_expect(b->messages == 1 && b->device_id == 3 << 8);
    teardown_port(&p);
}

Test(pci, a_slot_tells_of_coming_and_going)
{
    enum { SLTCTL = 0x18, SLTSTA = 0x1a, ENABLE_ALL = 0x1029, PDS = 0x40, POWERED_OFF = 0x700 };
    struct port_bench p;
    setup_port(&p);
    struct bench *b = &p.b;
    unsigned cap = (unsigned)rd(b, cfg(PORT_SLOT, 0x34), 1);
    while (rd(b, cfg(PORT_SLOT, cap), 1) != PCI_CAP_EXPRESS)
        cap = (unsigned)rd(b, cfg(PORT_SLOT, cap + 1), 1);
    cr_expect_eq(rd(b, cfg(PORT_SLOT, cap + 2), 2), 0x142);
    cr_expect_eq(rd(b, cfg(PORT_SLOT, cap + 0x14), 4) >> 19, 9);
    cr_expect_eq(rd(b, cfg(PORT_SLOT, cap + SLTSTA), 2), PDS);
    wr(b, cfg(PORT_SLOT, cap + SLTCTL), 2, ENABLE_ALL);
    cr_expect_not(b->intx[PORT_SLOT % 4]);
    pcie_port_request_release(p.port);
    cr_expect(b->intx[PORT_SLOT % 4]);
    cr_expect_eq(rd(b, cfg(PORT_SLOT, cap + SLTSTA), 2), PDS | 1);
    wr(b, cfg(PORT_SLOT, cap + SLTSTA), 2, 1);
    cr_expect_not(b->intx[PORT_SLOT % 4]);
    wr(b, cfg(PORT_SLOT, cap + SLTCTL), 2, ENABLE_ALL | 0x400);
    cr_expect_eq(p.released, 0, "the indicator is on yet");
    wr(b, cfg(PORT_SLOT, cap + SLTCTL), 2, ENABLE_ALL | POWERED_OFF);
    wr(b, cfg(PORT_SLOT, cap + SLTCTL), 2, ENABLE_ALL | POWERED_OFF);
    cr_expect_eq(p.released, 1, "once");
    pci_detach(&p.below.pci);
    pcie_port_changed(p.port);
    cr_expect(b->intx[PORT_SLOT % 4]);
    cr_expect_eq(rd(b, cfg(PORT_SLOT, cap + SLTSTA), 2), 0x108);
    cr_expect_eq(rd(b, cfg(PORT_SLOT, cap + 0x12), 2) & 1 << 13, 0, "no link");
    wr(b, cfg(PORT_SLOT, cap + SLTSTA), 2, 0xffff);
    cr_expect_eq(rd(b, cfg(PORT_SLOT, cap + SLTSTA), 2), 0);
    cr_expect_eq(rd(b, cfg_below(0), 4), 0xffffffff);
    wr(b, cfg(PORT_SLOT, PCI_COMMAND), 2, 6);
    wr(b, cfg(PORT_SLOT, p.port->msix.cap + 2), 2, 0x8000);
    p.port->msix.table[12] = 0;
    cr_assert_eq(pci_attach(pcie_port_bus(p.port), &p.below.pci, PCI_ANY_SLOT, NULL), 0);
    pcie_port_changed(p.port);
    cr_expect(b->messages == 1 && !b->intx[PORT_SLOT % 4]);
    teardown_port(&p);
}

// --- pci-testdev, as kvm-unit-tests works it ---

static unsigned run_tests(struct bench *b, uint64_t bar, char *ret_names)
{
    enum { TEST = 0, WIDTH = 1, OFFSET = 4, DATA = 8, COUNT = 12, NAME = 16, WRITES = 16 };
    unsigned passed = 0;
    for (;; passed++) {
        wr(b, bar + TEST, 1, passed);
        unsigned width = (unsigned)rd(b, bar + WIDTH, 1);
        if (width != 1 && width != 2 && width != 4)
            return passed;
        cr_assert_eq(rd(b, bar + COUNT, 4), 0);
        uint64_t place = bar + rd(b, bar + OFFSET, 4), data = rd(b, bar + DATA, 4);
        for (unsigned i = 0; i < WRITES; i++)
            wr(b, place, width, data);
        wr(b, place + 8, width, data);
        cr_expect_eq(rd(b, bar + COUNT, 4), WRITES);
        wr(b, place, width, data + 1);
        cr_expect_eq(rd(b, bar + COUNT, 4), WRITES + (passed == 1), "only the wildcard takes any value");
        size_t len = strlen(ret_names);
        for (unsigned i = 0; (ret_names[len + i] = (char)rd(b, bar + NAME + i, 1)); i++) {
        }
        strcat(ret_names, " ");
    }
}

Test(pci, the_test_device_counts)
{
    struct bench b;
    struct pci_device *pdev;
    char names[200] = "";
    setup(&b);
    cr_assert_eq(pci_testdev_create("/testdev", false, &pdev, NULL), 0);
    cr_assert_eq(pci_attach(pcie_host_bus(b.host), pdev, (int)pci_devfn(2, 0), NULL), 0);
    cr_expect_eq(rd(&b, cfg(2, 0), 4), 0x00051b36);
    wr(&b, cfg(2, 0x10), 4, MMIO);
    wr(&b, cfg(2, 0x14), 4, 0x1000);
    wr(&b, cfg(2, PCI_COMMAND), 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
    cr_expect_eq(run_tests(&b, MMIO, names), 3);
    cr_expect_eq(run_tests(&b, PIO + 0x1000, names), 3);
    cr_expect_str_eq(names, "mmio-no-eventfd mmio-wildcard-eventfd mmio-datamatch-eventfd "
                            "portio-no-eventfd portio-wildcard-eventfd portio-datamatch-eventfd ");
    cr_expect_eq(rd(&b, MMIO + 12, 4), 0, "the other side shows no test");
    device_destroy(&pdev->dev);
    teardown(&b);
}

// --- GICv2m ---

struct edges {
    unsigned rises[8];
    bool level[8];
};

static void count_edge(void *opaque, unsigned line, bool level)
{
    struct edges *e = opaque;
    e->rises[line] += level && !e->level[line];
    e->level[line] = level;
}

Test(gicv2m, messages_are_edges_of_its_spis)
{
    struct edges e = {0};
    struct irq spis[8];
    struct device *dev;
    for (unsigned i = 0; i < 8; i++)
        spis[i] = (struct irq){count_edge, &e, i};
    struct gicv2m_config config = {.path = "/v2m", .first_spi = 48, .spi_count = 8, .spis = spis};
    cr_assert_eq(gicv2m_create(&config, &dev, NULL), 0);
    uint64_t v;
    dev->class->mmio->read(dev, 0x008, 4, &v);
    cr_expect_eq(v, 80 << 16 | 8);
    dev->class->mmio->read(dev, 0x040, 4, &v);
    cr_expect_eq(v, 0, "write-only");
    dev->class->mmio->write(dev, 0x040, 4, 83);
    gicv2m_msi(dev, 83);
    gicv2m_msi(dev, 87);
    static const uint32_t others[] = {0, 3, 79, 88, 1023, ~0u};
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
        gicv2m_msi(dev, others[i]);
    for (unsigned i = 0; i < 8; i++)
        cr_expect(e.rises[i] == (i == 3 ? 2 : i == 7 ? 1 : 0) && !e.level[i], "SPI %u", i);
    device_destroy(dev);
    config.spi_count = 0;
    cr_expect_eq(gicv2m_create(&config, &dev, NULL), -EINVAL);
}
