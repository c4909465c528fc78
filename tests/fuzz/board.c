// SPDX-License-Identifier: MIT
// The whole board as its vCPUs reach it: physical addresses of every device, firmware calls, devices on PCI
// that master the bus and interrupt through the ITS, time, devices that come and go, the user's keys, and
// saved states between. The first byte says which of two machines it is, with a GICv3 or a GICv2.
#include "base/types.h"
#include "hw/pci/pcie_port.h"
#include "hw/virtio/virtio_input.h"
#include "machines/virt_internal.h"
#include "tests/fuzz/rig.h"
#include "tests/machines/fake_accel.h"
#include "tests/state/saved.h"

enum { STEPS = 300, RAM = 0x40000000, RAM_SIZE = 1 << 20, PORT_SLOT_BUS = 1, FUNCTIONS = 8 };
static const uint64_t ecam = 0x4010000000;

static void add_devices(struct machine_config *config)
{
    static const char *const texts[] = {"pcie-root-port,id=p", "virtio-rng-pci",    "virtio-balloon-pci",
                                        "virtio-keyboard-pci", "virtio-serial-pci", "pvpanic-pci",
                                        "pci-testdev",         "virtio-rng-device", "virtio-balloon-device"};
    static struct keyval_list lists[2][ARRAY_SIZE(texts)];
    struct keyval_list *list = lists[lists[0][0].count != 0]; // a machine keeps its own
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        FUZZ_CHECK(!keyval_parse(texts[i], "driver", &list[i], NULL));
    config->devices = list;
    config->device_count = ARRAY_SIZE(texts) - 1; // one balloon
    config->ram_size = RAM_SIZE;
    config->seeded = true;
}

static uint64_t place(struct fuzz_input *in)
{
    static const struct {
        uint64_t base;
        uint32_t size;
    } rows[] = {
        {0x08000000, 0x10000},    {0x08010000, 0x2000},    {0x08020000, 0x1000},  {0x08080000, 0x20000},
        {0x080a0000, 0x40000},    {0x09000000, 0x1000},    {0x09010000, 0x1000},  {0x09020000, 0x18},
        {0x09030000, 0x1000},     {0x0a000000, 0x4000},    {0x10000000, 0x20000}, {0x3eff0000, 0x1000},
        {0x4010000000, 0x200000}, {0x8000000000, 0x20000}, {RAM, RAM_SIZE},       {0x00000000, 0x10000}};
    uint8_t row = fuzz_u8(in) % ARRAY_SIZE(rows);
    return rows[row].base + fuzz_below(in, rows[row].size);
}

static void access_place(struct machine *m, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    uint64_t len = 1u << (how & 3), addr = place(in), value = 0;
    if (!(how & 4))
        addr &= ~(len - 1);
    if (how & 8) {
        mem_read(m->mem, (struct gpa){addr}, &value, len, true);
    } else {
        value = fuzz_value(in);
        mem_write(m->mem, (struct gpa){addr}, &value, len, true);
    }
}

static void put(struct machine *m, unsigned bus, unsigned slot, unsigned offset, uint32_t value)
{
    mem_write(m->mem, (struct gpa){ecam + (bus << 20 | slot << 15 | offset)}, &value, 4, true);
}

// Slot 0 stands for what is behind the port.
static uint32_t bar_place(unsigned slot, unsigned bar)
{
    return 0x10000000 + (slot << 20) + (bar << 16);
}

static void access_bar(struct machine *m, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in), where = fuzz_u8(in);
    uint64_t len = 1u << (where >> 6), value = 0;
    uint64_t addr = bar_place(how % FUNCTIONS, where % PCI_BARS) + (fuzz_u16(in) & 0x3fff & ~(len - 1));
    if (how & 128) {
        mem_read(m->mem, (struct gpa){addr}, &value, len, true);
    } else {
        value = fuzz_value(in);
        mem_write(m->mem, (struct gpa){addr}, &value, len, true);
    }
}

// A driver's set-up of one queue of a virtio device, with one buffer for the device to fill or read; on MMIO,
// or on PCI, where the common configuration is at the start of a BAR (Virtio 1.2, 4.1.4, 4.2.2).
static void drive(struct machine *m, struct fuzz_input *in)
{
    enum {
        DESC = RAM + 0x10000,
        AVAIL = DESC + 0x1000,
        USED = DESC + 0x2000,
        BUFFER = DESC + 0x3000,
        ENTRIES = 8
    };
    uint8_t how = fuzz_u8(in), queue = fuzz_u8(in) & 7;
    uint32_t base = 0x0a003e00 - (how >> 4 & 1) * 0x200u;
    const struct {
        uint64_t addr;
        uint32_t len;
        uint16_t flags, next;
    } desc = {BUFFER, fuzz_u8(in), how & 2, 0};
    const uint16_t avail[3] = {0, 1, 0};
    const uint32_t mmio[][2] = {{0x70, 0},     {0x70, 3},       {0x24, 1},    {0x20, 1},     {0x70, 11},
                                {0x30, queue}, {0x38, ENTRIES}, {0x80, DESC}, {0x90, AVAIL}, {0xa0, USED},
                                {0x44, 1},     {0x70, 15},      {0x50, queue}};
    const struct {
        uint8_t offset, size;
        uint32_t value;
    } pci[] = {{0x14, 1, 0},     {0x14, 1, 3},       {0x08, 4, 1},     {0x0c, 4, 1},    {0x14, 1, 11},
               {0x16, 2, queue}, {0x18, 2, ENTRIES}, {0x1a, 2, queue}, {0x20, 4, DESC}, {0x28, 4, AVAIL},
               {0x30, 4, USED},  {0x1c, 2, 1},       {0x14, 1, 15}};
    mem_write(m->mem, (struct gpa){DESC}, &desc, sizeof desc, true);
    mem_write(m->mem, (struct gpa){AVAIL}, avail, sizeof avail, true);
    if (how & 1) {
        for (size_t i = 0; i < ARRAY_SIZE(mmio); i++)
            mem_write(m->mem, (struct gpa){base + mmio[i][0]}, &mmio[i][1], 4, true);
    } else {
        for (size_t i = 0; i < ARRAY_SIZE(pci); i++)
            mem_write(m->mem, (struct gpa){bar_place(how >> 4 & 7, how >> 2 & 1 ? 4 : 0) + pci[i].offset},
                      &pci[i].value, pci[i].size, true);
    }
}

// Registers of the interrupt controller and the timers that a vCPU reaches as its own.
static void access_ports(struct machine *m, struct fuzz_input *in)
{
    static const uint32_t bases[] = {VCPU_REG_A64(3, 0, 4, 6, 0), VCPU_REG_A64(3, 0, 12, 8, 0),
                                     VCPU_REG_A64(3, 0, 12, 12, 0), VCPU_REG_A64(3, 3, 14, 0, 0)};
    const struct vcpu_ports *port = m->accel->ports;
    uint8_t how = fuzz_u8(in), which = fuzz_u8(in);
    uint64_t value = fuzz_value(in);
    pthread_mutex_unlock(&m->lock);
    if (how & 2)
        port->reg_read(port->opaque, how & 1, 1, bases[which >> 6] + which % 32, &value);
    else
        port->reg_write(port->opaque, how & 1, 1, bases[which >> 6] + which % 32, value);
    pthread_mutex_lock(&m->lock);
}

static void place_bars(struct machine *m, unsigned bus, unsigned device, unsigned slot)
{
    enum { WIDE = 4, TYPE = 7 };
    for (unsigned bar = 0; bar < PCI_BARS; bar++) {
        unsigned offset = PCI_BASE_ADDRESS_0 + 4 * bar;
        uint32_t now = 0;
        put(m, bus, device, offset, bar_place(slot, bar));
        mem_read(m->mem, (struct gpa){ecam + (bus << 20 | device << 15 | offset)}, &now, 4, true);
        if ((now & TYPE) == WIDE && ++bar < PCI_BARS)
            put(m, bus, device, offset + 4, 0);
    }
    put(m, bus, device, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

// As firmware leaves PCI: everything has its place, and may be a master.
static void enumerate(struct machine *m)
{
    for (unsigned slot = 2; slot < FUNCTIONS; slot++)
        place_bars(m, 0, slot, slot);
    put(m, 0, 1, PCI_PRIMARY_BUS, PORT_SLOT_BUS << 16 | PORT_SLOT_BUS << 8);
    put(m, 0, 1, PCI_MEMORY_BASE, bar_place(0, 0) >> 16 | (bar_place(0, 0) & 0xffff0000));
    put(m, 0, 1, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    place_bars(m, PORT_SLOT_BUS, 0, 0);
}

static void call_firmware(struct machine *m, struct fuzz_input *in)
{
    static const uint32_t functions[] = {
        0x84000000, 0x84000001, 0xc4000001, 0x84000002, 0xc4000003, 0x84000003, 0xc4000004,
        0x84000005, 0x84000006, 0xc4000007, 0x84000008, 0x84000009, 0x8400000a, 0xc400000e,
        0x80000000, 0x80000001, 0x84000050, 0x84000051, 0x84000052, 0x84000053, 0xc4000053};
    const struct vcpu_hypercall *port = m->accel->hypercall;
    uint8_t what = fuzz_u8(in);
    uint64_t x[18] = {what < 0xf0 ? functions[what % ARRAY_SIZE(functions)] : fuzz_u32(in)};
    for (unsigned i = 1; i < 4; i++)
        x[i] = fuzz_value(in);
    pthread_mutex_unlock(&m->lock);
    if (port)
        port->call(port->opaque, what & 1, what >> 7, x);
    pthread_mutex_lock(&m->lock);
}

static void plug(struct machine *m, struct fuzz_input *in)
{
    static const char *const texts[] = {"virtio-rng-pci,id=x,bus=p", "pvpanic-pci,id=x,bus=p",
                                        "virtio-mouse-pci,id=x,bus=p", "virtio-rng-device,id=x"};
    struct keyval_list options;
    uint8_t what = fuzz_u8(in);
    if (what & 4) {
        machine_device_del(m, "x", NULL);
    } else {
        FUZZ_CHECK(!keyval_parse(texts[what & 3], "driver", &options, NULL));
        machine_device_add(m, &options, NULL);
    }
}

static void by_user(struct machine *m, struct fuzz_input *in)
{
    uint8_t what = fuzz_u8(in);
    struct input_event events[2] = {{1, what, what >> 7}, {0}};
    if (what < 8)
        machine_power_key(m);
    else if (what < 64)
        machine_balloon(m, (uint64_t)what << 12);
    else
        machine_input(m, events, 2);
}

static void pass_time(struct machine *m, struct fuzz_input *in)
{
    clock_set(&m->clock,
              (int64_t)((uint64_t)clock_now(&m->clock) + (1ull << fuzz_u8(in) % 48)) & INT64_MAX >> 1);
    loop_once(m->loop, 0);
}

static void move(struct machine *m)
{
    struct stream stream;
    struct error err = {0};
    saved_save(m, STATE_ZLIB, &stream);
    if (saved_load(m, &stream, false, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    free(stream.data);
}

static void step(struct machine *m, struct fuzz_input *in)
{
    uint8_t what = fuzz_u8(in);
    size_t len;
    switch (what & 15) {
    case 0: call_firmware(m, in); break;
    case 1: plug(m, in); break;
    case 2: by_user(m, in); break;
    case 3: pass_time(m, in); break;
    case 4:
        if (what == 0xf4) // which takes long
            move(m);
        break;
    case 5: enumerate(m); break;
    case 6:
    case 7: {
        uint64_t offset = fuzz_below(in, RAM_SIZE - 64);
        const uint8_t *bytes = fuzz_bytes(in, what >> 2, &len);
        mem_write(m->mem, (struct gpa){RAM + offset}, bytes, len, true);
        break;
    }
    case 8:
        for (unsigned i = 0; i < 8; i++) // a driver writes registers one after the other
            access_place(m, in);
        break;
    case 9:
    case 10: access_bar(m, in); break;
    case 11: access_ports(m, in); break;
    case 12: drive(m, in); break;
    default: access_place(m, in); break;
    }
}

static struct machine *make(const char *gic)
{
    struct machine *m = saved_machine(gic, add_devices);
    rig_fence(virt_of(m)->ram);
    pthread_mutex_unlock(&m->lock);
    return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct machine *machines[2];
    struct fuzz_input in = {data, size};
    if (!machines[0]) {
        machines[0] = make("3");
        machines[1] = make("2");
    }
    struct machine *m = machines[fuzz_u8(&in) & 1];
    pthread_mutex_lock(&m->lock);
    clock_set(&m->clock, 0);
    for (size_t i = 0; i < m->device_count; i++)
        device_reset(m->devices[i]);
    for (unsigned i = 0; in.size && i < STEPS; i++)
        step(m, &in);
    if (m->plugged_count) // what was left in the port
        machine_released(m, pcie_port_bus(virt_of(m)->pci_ports[0].pdev));
    loop_once(m->loop, 0);
    atomic_store(&m->requests, 0);
    mem_ram_clear(virt_of(m)->ram);
    pthread_mutex_unlock(&m->lock);
    return 0;
}
