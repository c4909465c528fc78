// SPDX-License-Identifier: MIT
// Owns the virt board: one table of devices at QEMU's addresses and interrupts, which drives mapping, wiring
// and the device tree. Firmware and kernels built for QEMU's virt find everything where they expect it.
#include "backends/backend.h"
#include "frontends/a64/a64.h"
#include "hw/char/pl011.h"
#include "hw/gpio/pl061.h"
#include "hw/intc/arm_ports.h"
#include "hw/intc/gicv3.h"
#include "hw/rtc/pl031.h"
#include "hw/timer/arm_generic_timer.h"
#include "hw/virtio/virtio_mmio.h"
#include "machines/devices.h"
#include "machines/semihost.h"
#include "machines/virt_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int create_uart(struct machine *m, const struct virt_device *row, unsigned instance,
                       struct error *err);
static int create_rtc(struct machine *m, const struct virt_device *row, unsigned instance, struct error *err);
static int create_gpio(struct machine *m, const struct virt_device *row, unsigned instance,
                       struct error *err);
static int create_virtio(struct machine *m, const struct virt_device *row, unsigned instance,
                         struct error *err);

#define PRIMECELL(name) name "\0arm,primecell\0"
#define KiB(n) ((uint64_t)(n) << 10)
#define MiB(n) ((uint64_t)(n) << 20)
#define GiB(n) ((uint64_t)(n) << 30)

// clang-format off
const struct virt_device virt_map[VIRT_SLOTS] = {
    {VIRT_FLASH,          "flash",       0x00000000, MiB(128), 1, -1, "cfi-flash\0", NULL, VIRT_NODE_FLASH, NULL},
    {VIRT_GIC_DIST,       "intc",        0x08000000, KiB(64),  1, -1, NULL, NULL, VIRT_NODE_NONE, NULL},
    {VIRT_GIC_CPU,        "gic-cpu",     0x08010000, KiB(64),  1, -1, NULL, NULL, VIRT_NODE_NONE, NULL},
    {VIRT_GIC_V2M,        "v2m",         0x08020000, KiB(4),   1, 48, NULL, NULL, VIRT_NODE_NONE, virt_create_v2m},
    {VIRT_GIC_ITS,        "its",         0x08080000, KiB(128), 1, -1, NULL, NULL, VIRT_NODE_NONE, NULL},
    {VIRT_GIC_REDIST,     "gic-redist",  0x080a0000, 0xf60000, 1, -1, NULL, NULL, VIRT_NODE_NONE, NULL},
    {VIRT_UART,           "pl011",       0x09000000, KiB(4),   1,  1, PRIMECELL("arm,pl011"), "uartclk\0apb_pclk\0", VIRT_NODE_UART, create_uart},
    {VIRT_RTC,            "pl031",       0x09010000, KiB(4),   1,  2, PRIMECELL("arm,pl031"), "apb_pclk\0", VIRT_NODE_SIMPLE, create_rtc},
    {VIRT_FW_CFG,         "fw-cfg",      0x09020000, 0x18,     1, -1, "qemu,fw-cfg-mmio\0", NULL, VIRT_NODE_FW_CFG, virt_create_fw_cfg},
    {VIRT_GPIO,           "pl061",       0x09030000, KiB(4),   1,  7, PRIMECELL("arm,pl061"), "apb_pclk\0", VIRT_NODE_GPIO, create_gpio},
    {VIRT_SECURE_UART,    "secure-uart", 0x09040000, KiB(4),   1,  8, NULL, NULL, VIRT_NODE_NONE, NULL},
    {VIRT_SMMU,           "smmuv3",      0x09050000, KiB(128), 1, 74, NULL, NULL, VIRT_NODE_NONE, NULL},
    {VIRT_WATCHDOG,       "watchdog",    0x090e0000, KiB(128), 1, 10, "arm,sbsa-gwdt\0", NULL, VIRT_NODE_WATCHDOG, NULL}, // ours: QEMU has nothing there
    {VIRT_VIRTIO,         "virtio_mmio", 0x0a000000, 0x200, VIRT_VIRTIO_COUNT, 16, "virtio,mmio\0", NULL, VIRT_NODE_VIRTIO_MMIO, create_virtio},
    {VIRT_PLATFORM_BUS,   "platform-bus",0x0c000000, MiB(32),  1, 112, NULL, NULL, VIRT_NODE_NONE, NULL},
    {VIRT_PCIE_MMIO,      "pcie",        0x10000000, 0x2eff0000, 1, 3, "pci-host-ecam-generic\0", NULL, VIRT_NODE_PCIE, virt_create_pcie},
    {VIRT_PCIE_PIO,       "pcie-pio",    0x3eff0000, KiB(64),  1, -1, NULL, NULL, VIRT_NODE_NONE, NULL},
    {VIRT_PCIE_ECAM,      "pcie-ecam",   0x3f000000, MiB(16),  1, -1, NULL, NULL, VIRT_NODE_NONE, NULL},
    {VIRT_RAM,            "ram",         0x40000000, GiB(255), 1, -1, NULL, NULL, VIRT_NODE_NONE, NULL},
    // The high windows follow RAM; these are their places while RAM ends below 256 GiB.
    {VIRT_GIC_REDIST2,    "gic-redist2", 0x4000000000, MiB(64),  1, -1, NULL, NULL, VIRT_NODE_NONE, NULL},
    {VIRT_HIGH_PCIE_ECAM, "pcie-ecam2",  0x4010000000, MiB(256), 1, -1, NULL, NULL, VIRT_NODE_NONE, NULL},
    {VIRT_HIGH_PCIE_MMIO, "pcie-mmio2",  0x8000000000, GiB(512), 1, -1, NULL, NULL, VIRT_NODE_NONE, NULL},
};
// clang-format on

int virt_map_device(struct machine *m, const struct virt_device *row, unsigned instance, struct device *dev,
                    struct error *err)
{
    int r = machine_add_device(m, dev, err);
    if (!r)
        r = mem_add_mmio(m->mem, row->name, (struct gpa){row->base + instance * row->size},
                         dev->class->mmio_size, dev->class->mmio, dev, 0, err);
    if (!r)
        virt_of(m)->present[row->slot] = true;
    return r;
}

static int create_uart(struct machine *m, const struct virt_device *row, unsigned instance, struct error *err)
{
    struct chardev *chardev;
    int r = machine_take_chardev(m, m->config.serial[0], &chardev, err);
    if (!r)
        r = machine_watch_serial(m, &chardev, err);
    struct pl011_config config = {.path = "/virt/uart0",
                                  .irq = virt_of(m)->spi[row->spi],
                                  .chardev = chardev,
                                  .clock = &m->clock,
                                  .loop = m->loop};
    struct device *dev;
    if (!r)
        r = pl011_create(&config, &dev, err);
    return r ? r : virt_map_device(m, row, instance, dev, err);
}

static int create_rtc(struct machine *m, const struct virt_device *row, unsigned instance, struct error *err)
{
    struct pl031_config config = {.path = "/virt/rtc",
                                  .irq = virt_of(m)->spi[row->spi],
                                  .clock = &m->clock,
                                  .loop = m->loop,
                                  .start = m->seconds_at_start};
    struct device *dev;
    int r = pl031_create(&config, &dev, err);
    return r ? r : virt_map_device(m, row, instance, dev, err);
}

enum { POWER_LINE = 3 };

static void release_power_key(void *opaque)
{
    struct irq line = pl061_input(virt_of(opaque)->gpio, POWER_LINE);
    irq_set(&line, false);
}

static int create_gpio(struct machine *m, const struct virt_device *row, unsigned instance, struct error *err)
{
    struct pl061_config config = {.path = "/virt/gpio", .irq = virt_of(m)->spi[row->spi]};
    int r = pl061_create(&config, &virt_of(m)->gpio, err);
    if (!r && loop_timer_init(m->loop, &virt_of(m)->power_key, &m->clock, release_power_key, m))
        r = error_set(err, -ENOMEM, "out of memory");
    return r ? r : virt_map_device(m, row, instance, virt_of(m)->gpio, err);
}

static int create_virtio(struct machine *m, const struct virt_device *row, unsigned instance,
                         struct error *err)
{
    struct virt *v = virt_of(m);
    char path[48];
    snprintf(path, sizeof path, "/virt/virtio-mmio%u", instance);
    struct virtio_mmio_config config = {.path = path, .irq = v->spi[row->spi + (int)instance]};
    int r = virtio_mmio_create(&config, &v->virtio[instance], err);
    return r ? r : virt_map_device(m, row, instance, v->virtio[instance], err);
}

// Of the memory-mapped slots the last free one, as QEMU does.
static int virt_plug_virtio(struct machine *m, struct virtio_device *vdev, struct error *err)
{
    struct virt *v = virt_of(m);
    int slot = m->place.slot;
    if (m->place.pci)
        return virt_plug_virtio_pci(m, vdev, err);
    if (slot >= VIRT_VIRTIO_COUNT || (slot >= 0 && v->virtio_used[slot]))
        return error_set(err, -EBUSY, "virtio-mmio-bus.%d is not there, or in use", slot);
    for (int i = VIRT_VIRTIO_COUNT - 1; i >= 0 && slot < 0; i--)
        if (!v->virtio_used[i])
            slot = i;
    if (slot < 0)
        return error_set(err, -ENOSPC, "this machine has room for %d virtio devices", VIRT_VIRTIO_COUNT);
    v->virtio_used[slot] = true;
    virtio_mmio_plug(v->virtio[slot], vdev);
    return 0;
}

// Options of QEMU's virt that we know and do not support: on is refused, off is what we do.
static const char *const unsupported[] = {"secure", "virtualization", "mte", "ras", "compact-highmem"};
// Accepted because their value makes no difference here, or are asked for elsewhere.
static const char *const ignored[] = {"acpi",
                                      "iommu",
                                      "dump-guest-core",
                                      "mem-merge",
                                      "usb",
                                      "graphics",
                                      "highmem-redists",
                                      "default-bus-bypass-iommu",
                                      "x-oem-id",
                                      "x-oem-table-id"};

static int parse_gic_version(struct virt *v, const char *text, struct error *err)
{
    if (!text)
        return 0;
    if (!strcmp(text, "3") || !strcmp(text, "max"))
        v->gic_version = 3;
    else if (!strcmp(text, "2"))
        v->gic_version = 2;
    else if (!strcmp(text, "host"))
        return error_set(err, -EINVAL, "gic-version=host needs KVM; use 2, 3 or max");
    else
        return error_set(err, -EINVAL, "gic-version=%s is not one of 2, 3, max and host", text);
    return 0;
}

static int parse_options(struct machine *m, struct error *err)
{
    struct virt *v = virt_of(m);
    struct keyval_list *options = &m->config.board_options;
    int r = parse_gic_version(v, keyval_get(options, "gic-version"), err);
    if (!r)
        r = keyval_bool(options, "highmem", &v->highmem, err);
    if (!r)
        r = keyval_bool(options, "its", &v->its_wanted, err);
    if (!r)
        r = keyval_bool(options, "highmem-ecam", &v->highmem_ecam, err);
    if (!r)
        r = keyval_bool(options, "highmem-mmio", &v->highmem_mmio, err);
    if (!r)
        r = keyval_bool(options, "dtb-randomness", &v->dtb_randomness, err);
    if (!r)
        r = keyval_bool(options, "dtb-kaslr-seed", &v->dtb_randomness, err);
    const char *acpi = keyval_get(options, "acpi");
    v->acpi = !m->config.no_acpi;
    if (!r && acpi && strcmp(acpi, "auto"))
        r = keyval_bool(options, "acpi", &v->acpi, err);
    v->dumpdtb = keyval_get(options, "dumpdtb");
    for (size_t i = 0; !r && i < ARRAY_SIZE(unsupported); i++) {
        bool on = false;
        r = keyval_bool(options, unsupported[i], &on, err);
        if (!r && on)
            r = error_set(err, -ENOTSUP, "machine option '%s=on' is not supported", unsupported[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        keyval_get(options, ignored[i]);
    return r;
}

static int check_size(struct machine *m, struct error *err)
{
    struct virt *v = virt_of(m);
    // The second region of redistributors is above RAM.
    unsigned max = v->gic_version == 2 ? 8
                   : v->highmem        ? VIRT_MAX_CPUS
                                       : (unsigned)(virt_map[VIRT_GIC_REDIST].size / GICV3_REDIST_SIZE);
    uint64_t ram_max = v->highmem ? virt_map[VIRT_RAM].size : GiB(3);
    if (!m->config.cpu_count || m->config.cpu_count > max)
        return error_set(err, -EINVAL, "%u CPUs are too many for a GICv%u (at most %u)%s",
                         m->config.cpu_count, v->gic_version, max,
                         v->gic_version == 2 ? "; gic-version=3 takes more" : v->highmem ? "" : " with highmem=off");
    if (m->config.ram_size > ram_max)
        return error_set(err, -EINVAL, "-m: this machine has room for %" PRIu64 " GiB of RAM%s",
                         ram_max >> 30, v->highmem ? "" : " with highmem=off");
    m->config.ram_size = (m->config.ram_size + MEM_PAGE_SIZE - 1) & ~(uint64_t)(MEM_PAGE_SIZE - 1);
    return 0;
}

// Affinities as QEMU's: clusters of 8 with a GICv2, of 16 with a GICv3 (what one SGI write can reach).
static int number_cpus(struct machine *m, struct error *err)
{
    struct virt *v = virt_of(m);
    unsigned cluster = v->gic_version == 2 ? 8 : 16;
    v->mpidr = calloc(m->config.cpu_count, sizeof *v->mpidr);
    if (!v->mpidr)
        return error_set(err, -ENOMEM, "out of memory");
    for (unsigned i = 0; i < m->config.cpu_count; i++)
        v->mpidr[i] = (uint64_t)(i / cluster) << 8 | i % cluster;
    return 0;
}

static void power_request(void *opaque, enum psci_request what)
{
    machine_request(opaque, what == PSCI_RESET ? MACHINE_RESET : MACHINE_POWER_OFF);
}

static int create_cpus(struct machine *m, struct error *err)
{
    struct virt *v = virt_of(m);
    int r = semihost_create(m, &m->config.semihosting, virt_map[VIRT_RAM].base, m->config.ram_size, &v->semihost, err);
    if (r)
        return r;
    struct guest_cpu_config *cpus = calloc(m->config.cpu_count, sizeof *cpus);
    if (!cpus)
        return error_set(err, -ENOMEM, "out of memory");
    v->psci = (struct psci){.entropy = &m->entropy,
                            .mpidr = v->mpidr,
                            .cpu_count = m->config.cpu_count,
                            .request = power_request,
                            .opaque = m};
    v->hypercall = (struct vcpu_hypercall){.opaque = &v->psci, .call = psci_call};
    for (unsigned i = 0; i < m->config.cpu_count; i++)
        cpus[i] = (struct guest_cpu_config){.model = v->cpu_model,
                                            .options = v->cpu_options,
                                            .index = i,
                                            .count = m->config.cpu_count,
                                            .ports = arm_ports_vcpu(v->ports),
                                            .hypercall = &v->hypercall,
                                            .semihost = semihost_port(v->semihost),
                                            .gic_sysregs = v->gic_version == 3,
                                            .log = m->config.log};
    const struct accel_config config = {.engine = m->config.engine,
                                        .backend = &x64_backend,
                                        .isa = &a64_isa,
                                        .mem = m->mem,
                                        .log = m->config.log,
                                        .cpu_count = m->config.cpu_count,
                                        .cpus = cpus,
                                        .code_cache_size = m->config.code_cache_size,
                                        .tier = m->config.tier,
                                        .one_pass_regions = m->config.one_pass_regions,
                                        .host_feature_mask = ~0ull,
                                        .perf_map = m->config.perf_map,
                                        .without = m->config.without,
                                        .exact_exclusives = m->config.exact_exclusives,
                                        .events = {m, machine_vcpu_stopped}};
    r = accel_create(&config, &m->accel, err);
    free(cpus);
    if (r)
        return r;
    v->psci.accel = m->accel;
    return 0;
}

static int split_cpu(struct machine *m, struct error *err)
{
    struct virt *v = virt_of(m);
    size_t len = strcspn(m->config.cpu, ",");
    if (len >= sizeof v->cpu_model)
        return error_set(err, -EINVAL, "-cpu: there is no CPU '%s'", m->config.cpu);
    memcpy(v->cpu_model, m->config.cpu, len);
    v->cpu_options = m->config.cpu[len] ? m->config.cpu + len + 1 : NULL;
    for (const char *const *name = a64_isa.cpu_names; *name; name++)
        if (!strcmp(*name, v->cpu_model))
            return 0;
    return error_set(err, -EINVAL, "-cpu: there is no CPU '%s' (try -cpu help)", v->cpu_model);
}

static int create_memory(struct machine *m, struct error *err)
{
    struct virt *v = virt_of(m);
    int r = mem_add_ram(m->mem, "ram", (struct gpa){virt_map[VIRT_RAM].base}, m->config.ram_size, 0, &v->ram,
                        err);
    if (!r)
        r = virt_create_flash(m, err);
    if (!r)
        free((void *)mem_commit(m->mem)); // accel looks for the RAM blocks
    return r;
}

static int create_devices(struct machine *m, struct error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < VIRT_SLOTS; i++)
        for (unsigned n = 0; !r && n < virt_map[i].count && virt_map[i].create; n++)
            r = virt_map[i].create(m, &virt_map[i], n, err);
    for (size_t i = 0; !r && i < m->config.device_count; i++)
        r = devices_add(m, &m->config.devices[i], err);
    if (!r)
        r = machine_add_nics(m, err);
    if (!r)
        r = machine_add_drive_devices(m, err);
    return r ? r : machine_add_fs_devices(m, err);
}

static int virt_create(struct machine *m, struct error *err)
{
    struct virt *v = m->board_state = calloc(1, sizeof *v);
    if (!v)
        return error_set(err, -ENOMEM, "out of memory");
    v->gic_version = 2;
    v->highmem = v->highmem_ecam = v->highmem_mmio = v->dtb_randomness = v->its_wanted = true;
    v->dtb_piece = SIZE_MAX;
    int (*const steps[])(struct machine *, struct error *) = {
        parse_options,          check_size,  split_cpu,      number_cpus, create_memory,
        virt_create_interrupts, create_cpus, create_devices, virt_load,
    };
    int r = 0;
    for (size_t i = 0; !r && i < ARRAY_SIZE(steps); i++)
        r = steps[i](m, err);
    if (!r)
        free((void *)mem_commit(m->mem));
    return r ? r : virt_add_tables(m, err);
}

// The power button hangs on GPIO line 3. It stays down for a while: gpio-keys looks at the line when its interrupt
// comes, and waits for the bouncing to end.
static void virt_power_key(struct machine *m)
{
    struct virt *v = virt_of(m);
    if (!v->gpio)
        return;
    struct irq line = pl061_input(v->gpio, POWER_LINE);
    irq_set(&line, true);
    loop_timer_arm(&v->power_key, clock_now(&m->clock) + 100000000);
}

static void virt_destroy(struct machine *m)
{
    struct virt *v = virt_of(m);
    if (!v)
        return;
    if (v->power_key.loop)
        loop_timer_destroy(&v->power_key);
    arm_ports_destroy(v->ports);
    free(v->timers);
    free(v->cpu_irq);
    free(v->cpu_fiq);
    free(v->mpidr);
    free(v);
}

static void virt_list_options(FILE *out)
{
    fprintf(out, "  gic-version=<2|3|max>  Set GIC version\n"
                 "  its=<bool>             Give a GICv3 an interrupt translation service\n"
                 "  highmem=<bool>         Allow RAM and devices above 4 GiB\n"
                 "  highmem-ecam=<bool>    PCI configuration space above RAM\n"
                 "  highmem-mmio=<bool>    A PCI memory window above RAM\n"
                 "  dumpdtb=<file>         Write the device tree to a file and exit\n"
                 "  dtb-randomness=<bool>  Put kaslr-seed and rng-seed into the device tree\n");
    fprintf(out, "  acpi=<on|off|auto>     Give firmware ACPI tables (auto: on)\n"
                 "  pflash0=<id>           Drive that is the first bank of flash; pflash1: the second\n");
}

const struct board board_virt = {
    .name = "virt",
    .description = "QEMU 7.2 ARM Virtual Machine",
    .default_cpu = "cortex-a72",
    .default_ram = MiB(128),
    .cpu_max = VIRT_MAX_CPUS,
    .create = virt_create,
    .start = virt_start,
    .plug_virtio = virt_plug_virtio,
    .plug_pci = virt_plug_pci,
    .plug_watchdog = virt_plug_watchdog,
    .power_key = virt_power_key,
    .destroy = virt_destroy,
    .list_options = virt_list_options,
};

const struct guest_isa *machine_isa(const struct machine *machine)
{
    return &a64_isa;
}

void machine_list_cpus(FILE *out)
{
    fprintf(out, "Available CPUs:\n");
    for (const char *const *name = a64_isa.cpu_names; *name; name++)
        fprintf(out, "  %s\n", *name);
}
