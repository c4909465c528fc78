// SPDX-License-Identifier: MIT
// Owns the shape of virt's device tree, which is QEMU's: node names, order of cells, interrupt triggers.
// (Devicetree Specification 0.4; Linux Documentation/devicetree/bindings.)
// libfdt's calls are chained through struct tree: the first error sticks and later calls do nothing.
#include "machines/virt_fdt.h"
#include "base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GIC_SPI = 0,
    GIC_PPI = 1,
    EDGE = 1,
    LEVEL = 4,
    KEY_POWER = 116,
    GPIO_POWER_LINE = 3,
    GIC_CPU_MASK_SHIFT = 8,
};

struct tree {
    void *fdt;
    int error;
    const struct virt_fdt_config *config;
};

static void begin(struct tree *t, const char *format, ...)
{
    char name[64];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (!t->error)
        t->error = fdt_begin_node(t->fdt, name);
}

static void end(struct tree *t)
{
    if (!t->error)
        t->error = fdt_end_node(t->fdt);
}

static void bytes(struct tree *t, const char *name, const void *data, size_t len)
{
    if (!t->error)
        t->error = fdt_property(t->fdt, name, data, (int)len);
}

static void text(struct tree *t, const char *name, const char *value)
{
    bytes(t, name, value, strlen(value) + 1);
}

static void flag(struct tree *t, const char *name)
{
    bytes(t, name, NULL, 0);
}

// A list of strings, each terminated, the last followed by an empty one.
static void strings(struct tree *t, const char *name, const char *list)
{
    const char *p = list;
    while (*p)
        p += strlen(p) + 1;
    bytes(t, name, list, (size_t)(p - list));
}

static void cells(struct tree *t, const char *name, unsigned count, ...)
{
    fdt32_t cell[24];
    va_list args;
    va_start(args, count);
    for (unsigned i = 0; i < count && i < 24; i++)
        cell[i] = cpu_to_fdt32(va_arg(args, uint32_t));
    va_end(args);
    bytes(t, name, cell, count * sizeof *cell);
}

#define HI(v) ((uint32_t)((v) >> 32))
#define LO(v) ((uint32_t)(v))

static void reg64(struct tree *t, uint64_t base, uint64_t size)
{
    cells(t, "reg", 4, HI(base), LO(base), HI(size), LO(size));
}

static void add_chosen(struct tree *t)
{
    const struct virt_fdt_config *c = t->config;
    begin(t, "chosen");
    if (c->append)
        text(t, "bootargs", c->append);
    if (c->initrd_size) {
        cells(t, "linux,initrd-start", 2, HI(c->initrd), LO(c->initrd));
        cells(t, "linux,initrd-end", 2, HI(c->initrd + c->initrd_size), LO(c->initrd + c->initrd_size));
    }
    if (c->stdout_name)
        text(t, "stdout-path", c->stdout_name);
    uint8_t seed[40];
    if (c->dtb_randomness && !entropy_fill(c->entropy, seed, sizeof seed)) {
        bytes(t, "kaslr-seed", seed, 8);
        bytes(t, "rng-seed", seed + 8, 32);
    }
    end(t);
}

static void add_memory(struct tree *t)
{
    begin(t, "memory@%" PRIx64, t->config->ram_base);
    text(t, "device_type", "memory");
    reg64(t, t->config->ram_base, t->config->ram_size);
    end(t);
}

// The topology has one socket and, like QEMU's default, one cluster that holds every core.
static void add_cpu_map(struct tree *t)
{
    begin(t, "cpu-map");
    begin(t, "socket0");
    begin(t, "cluster0");
    for (unsigned i = 0; i < t->config->cpu_count; i++) {
        begin(t, "core%u", i);
        cells(t, "cpu", 1, VIRT_PHANDLE_CPU + i);
        end(t);
    }
    end(t);
    end(t);
    end(t);
}

static void add_cpus(struct tree *t)
{
    const struct virt_fdt_config *c = t->config;
    begin(t, "cpus");
    cells(t, "#address-cells", 1, 1);
    cells(t, "#size-cells", 1, 0);
    add_cpu_map(t);
    for (unsigned i = 0; i < c->cpu_count; i++) {
        begin(t, "cpu@%x", (unsigned)c->mpidr[i]);
        text(t, "device_type", "cpu");
        text(t, "compatible", c->cpu_compatible);
        text(t, "enable-method", "psci");
        cells(t, "reg", 1, LO(c->mpidr[i]));
        cells(t, "phandle", 1, VIRT_PHANDLE_CPU + i);
        end(t);
    }
    end(t);
}

static void add_psci(struct tree *t)
{
    begin(t, "psci");
    strings(t, "compatible", "arm,psci-1.0\0arm,psci-0.2\0arm,psci\0");
    text(t, "method", "hvc");
    cells(t, "cpu_suspend", 1, 0xc4000001u);
    cells(t, "cpu_off", 1, 0x84000002u);
    cells(t, "cpu_on", 1, 0xc4000003u);
    cells(t, "migrate", 1, 0xc4000005u);
    end(t);
}

// With GICv2 a PPI's flags carry a mask of the CPUs it reaches.
static uint32_t ppi_flags(const struct virt_fdt_config *c)
{
    unsigned count = c->cpu_count > 8 ? 8 : c->cpu_count;
    return LEVEL | (c->gic_version == 2 ? ((1u << count) - 1) << GIC_CPU_MASK_SHIFT : 0);
}

static void add_timer(struct tree *t)
{
    enum { SECURE = 13, NONSECURE = 14, VIRTUAL = 11, HYP = 10 };
    uint32_t f = ppi_flags(t->config);
    begin(t, "timer");
    strings(t, "compatible", "arm,armv8-timer\0arm,armv7-timer\0");
    flag(t, "always-on");
    cells(t, "interrupts", 12, GIC_PPI, SECURE, f, GIC_PPI, NONSECURE, f, GIC_PPI, VIRTUAL, f, GIC_PPI, HYP,
          f);
    end(t);
}

static void add_pmu(struct tree *t)
{
    begin(t, "pmu");
    text(t, "compatible", "arm,armv8-pmuv3");
    cells(t, "interrupts", 3, GIC_PPI, 7, ppi_flags(t->config));
    end(t);
}

static void add_gic(struct tree *t)
{
    const struct virt_fdt_config *c = t->config;
    const uint64_t *d = c->gic_dist, *r = c->gic_version == 2 ? c->gic_cpu : c->gic_redist,
                   *s = c->gic_redist2;
    begin(t, "intc@%" PRIx64, d[0]);
    text(t, "compatible", c->gic_version == 2 ? "arm,cortex-a15-gic" : "arm,gic-v3");
    cells(t, "#interrupt-cells", 1, 3);
    flag(t, "interrupt-controller");
    cells(t, "#address-cells", 1, 2);
    cells(t, "#size-cells", 1, 2);
    flag(t, "ranges");
    if (c->gic_version == 3)
        cells(t, "#redistributor-regions", 1, s[1] ? 2 : 1);
    cells(t, "reg", s[1] ? 12 : 8, HI(d[0]), LO(d[0]), HI(d[1]), LO(d[1]), HI(r[0]), LO(r[0]), HI(r[1]),
          LO(r[1]), HI(s[0]), LO(s[0]), HI(s[1]), LO(s[1]));
    cells(t, "phandle", 1, VIRT_PHANDLE_GIC);
    if (c->gic_its[1]) {
        begin(t, "its@%" PRIx64, c->gic_its[0]);
        text(t, "compatible", "arm,gic-v3-its");
        flag(t, "msi-controller");
        cells(t, "#msi-cells", 1, 1);
        reg64(t, c->gic_its[0], c->gic_its[1]);
        cells(t, "phandle", 1, VIRT_PHANDLE_MSI);
        end(t);
    }
    if (c->gic_v2m[1]) {
        begin(t, "v2m@%" PRIx64, c->gic_v2m[0]);
        text(t, "compatible", "arm,gic-v2m-frame");
        flag(t, "msi-controller");
        reg64(t, c->gic_v2m[0], c->gic_v2m[1]);
        cells(t, "phandle", 1, VIRT_PHANDLE_MSI);
        end(t);
    }
    end(t);
}

static void add_clock(struct tree *t)
{
    begin(t, "apb-pclk");
    text(t, "compatible", "fixed-clock");
    cells(t, "#clock-cells", 1, 0);
    cells(t, "clock-frequency", 1, 24000000);
    text(t, "clock-output-names", "clk24mhz");
    cells(t, "phandle", 1, VIRT_PHANDLE_CLOCK);
    end(t);
}

static void add_gpio_keys(struct tree *t)
{
    begin(t, "gpio-keys");
    text(t, "compatible", "gpio-keys");
    begin(t, "poweroff");
    text(t, "label", "GPIO Key Poweroff");
    cells(t, "linux,code", 1, KEY_POWER);
    cells(t, "gpios", 3, VIRT_PHANDLE_GPIO, GPIO_POWER_LINE, 0);
    end(t);
    end(t);
}

static void add_device(struct tree *t, const struct virt_fdt_device *d)
{
    begin(t, "%s@%" PRIx64, d->name, d->base);
    strings(t, "compatible", d->compatible);
    if (d->node == VIRT_NODE_FLASH || d->node == VIRT_NODE_WATCHDOG) { // two banks, or frames, of half the size
        uint64_t half = d->size / 2, second = d->base + half;
        cells(t, "reg", 8, HI(d->base), LO(d->base), HI(half), LO(half), HI(second), LO(second), HI(half),
              LO(half));
        if (d->node == VIRT_NODE_FLASH)
            cells(t, "bank-width", 1, 4);
    } else {
        reg64(t, d->base, d->size);
    }
    if (d->spi >= 0)
        cells(t, "interrupts", 3, GIC_SPI, (uint32_t)d->spi, d->node == VIRT_NODE_VIRTIO_MMIO ? EDGE : LEVEL);
    if (d->clock_names) {
        unsigned clocks = d->node == VIRT_NODE_UART ? 2 : 1;
        cells(t, "clocks", clocks, VIRT_PHANDLE_CLOCK, VIRT_PHANDLE_CLOCK);
        strings(t, "clock-names", d->clock_names);
    }
    if (d->node == VIRT_NODE_FW_CFG || d->node == VIRT_NODE_VIRTIO_MMIO)
        flag(t, "dma-coherent");
    if (d->node == VIRT_NODE_GPIO) {
        cells(t, "#gpio-cells", 1, 2);
        flag(t, "gpio-controller");
        cells(t, "phandle", 1, VIRT_PHANDLE_GPIO);
    }
    end(t);
    if (d->node == VIRT_NODE_GPIO)
        add_gpio_keys(t);
}

// Slots and pins to four SPIs, swizzled: unit address, pin, then the GIC's address (two cells) and interrupt.
static void add_interrupt_map(struct tree *t, uint32_t spi)
{
    enum { SLOTS = 4, PINS = 4, CELLS = 10 };
    fdt32_t map[SLOTS * PINS * CELLS];
    unsigned n = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        for (uint32_t pin = 0; pin < PINS; pin++) {
            const uint32_t row[CELLS] = {
                slot << 11, 0, 0, pin + 1, VIRT_PHANDLE_GIC, 0, 0, GIC_SPI, spi + (slot + pin) % PINS, LEVEL};
            for (unsigned i = 0; i < CELLS; i++)
                map[n++] = cpu_to_fdt32(row[i]);
        }
    bytes(t, "interrupt-map", map, sizeof map);
    cells(t, "interrupt-map-mask", 4, (SLOTS - 1) << 11, 0, 0, 7);
}

static void add_pcie(struct tree *t, const struct virt_fdt_device *d)
{
    enum { IO = 0x01000000, MEMORY = 0x02000000, MEMORY64 = 0x03000000 };
    const struct virt_fdt_config *c = t->config;
    const uint64_t *ecam = c->pcie_ecam, *pio = c->pcie_pio, *high = c->pcie_high_mmio;
    begin(t, "%s@%" PRIx64, d->name, d->base);
    strings(t, "compatible", d->compatible);
    text(t, "device_type", "pci");
    cells(t, "#address-cells", 1, 3);
    cells(t, "#size-cells", 1, 2);
    cells(t, "linux,pci-domain", 1, 0);
    cells(t, "bus-range", 2, 0, (uint32_t)(ecam[1] >> 20) - 1);
    flag(t, "dma-coherent");
    if (c->gic_v2m[1] || c->gic_its[1])
        cells(t, "msi-map", 4, 0, VIRT_PHANDLE_MSI, 0, 0x10000);
    reg64(t, ecam[0], ecam[1]);
    cells(t, "ranges", high[1] ? 21 : 14, IO, 0, 0, HI(pio[0]), LO(pio[0]), HI(pio[1]), LO(pio[1]), MEMORY,
          HI(d->base), LO(d->base), HI(d->base), LO(d->base), HI(d->size), LO(d->size), MEMORY64, HI(high[0]),
          LO(high[0]), HI(high[0]), LO(high[0]), HI(high[1]), LO(high[1]));
    cells(t, "#interrupt-cells", 1, 1);
    add_interrupt_map(t, (uint32_t)d->spi);
    end(t);
}

static void add_root(struct tree *t)
{
    begin(t, "");
    cells(t, "interrupt-parent", 1, VIRT_PHANDLE_GIC);
    text(t, "model", "linux,dummy-virt");
    cells(t, "#size-cells", 1, 2);
    cells(t, "#address-cells", 1, 2);
    text(t, "compatible", "linux,dummy-virt");
    add_chosen(t);
    add_memory(t);
    add_cpus(t);
    add_psci(t);
    add_timer(t);
    if (t->config->pmu)
        add_pmu(t);
    add_gic(t);
    add_clock(t);
    for (size_t i = 0; i < t->config->device_count; i++)
        if (t->config->devices[i].node == VIRT_NODE_PCIE)
            add_pcie(t, &t->config->devices[i]);
        else if (t->config->devices[i].node != VIRT_NODE_NONE)
            add_device(t, &t->config->devices[i]);
    end(t);
}

int virt_fdt_build(const struct virt_fdt_config *config, void **ret_fdt, uint64_t *ret_size,
                   struct error *err)
{
    struct tree t = {.fdt = calloc(1, VIRT_FDT_MAX), .config = config};
    if (!t.fdt)
        return error_set(err, -ENOMEM, "out of memory");
    t.error = fdt_create(t.fdt, VIRT_FDT_MAX);
    if (!t.error)
        t.error = fdt_finish_reservemap(t.fdt);
    add_root(&t);
    if (!t.error)
        t.error = fdt_finish(t.fdt);
    if (t.error) {
        free(t.fdt);
        return error_set(err, -E2BIG, "cannot build the device tree: %s", fdt_strerror(t.error));
    }
    *ret_fdt = t.fdt;
    *ret_size = fdt_totalsize(t.fdt);
    return 0;
}

static int subnode(void *fdt, const char *name)
{
    int node = fdt_subnode_offset(fdt, 0, name);
    return node >= 0 ? node : fdt_add_subnode(fdt, 0, name);
}

static int patch_memory(const struct virt_fdt_config *c, void *fdt)
{
    fdt64_t reg[2] = {cpu_to_fdt64(c->ram_base), cpu_to_fdt64(c->ram_size)};
    int node = fdt_node_offset_by_prop_value(fdt, -1, "device_type", "memory", sizeof "memory");
    if (node < 0) {
        char name[32];
        snprintf(name, sizeof name, "memory@%" PRIx64, c->ram_base);
        node = subnode(fdt, name);
        if (node < 0)
            return node;
        int r = fdt_setprop_string(fdt, node, "device_type", "memory");
        if (r)
            return r;
    }
    return fdt_setprop(fdt, node, "reg", reg, sizeof reg);
}

static int patch_chosen(const struct virt_fdt_config *c, void *fdt)
{
    int node = subnode(fdt, "chosen");
    int r = node < 0 ? node : 0;
    if (!r && c->append)
        r = fdt_setprop_string(fdt, node, "bootargs", c->append);
    if (!r && c->initrd_size)
        r = fdt_setprop_u64(fdt, node, "linux,initrd-start", c->initrd);
    if (!r && c->initrd_size)
        r = fdt_setprop_u64(fdt, node, "linux,initrd-end", c->initrd + c->initrd_size);
    return r;
}

int virt_fdt_patch(const struct virt_fdt_config *config, void *fdt, uint64_t size, void **ret_fdt,
                   uint64_t *ret_size, struct error *err)
{
    enum { OLDEST = 16, OLDEST_HEADER = FDT_V16_SIZE }; // as Linux; libfdt 1.6 does not survive every damaged one that is older
    void *copy = NULL;
    int r = size > VIRT_FDT_MAX ? -FDT_ERR_NOSPACE : size < OLDEST_HEADER ? -FDT_ERR_TRUNCATED : 0;
    if (!r && fdt_magic(fdt) == FDT_MAGIC && fdt_version(fdt) < OLDEST)
        r = -FDT_ERR_BADVERSION;
    if (!r)
        r = fdt_check_full(fdt, size);
    if (!r && !(copy = calloc(1, size + 65536)))
        r = -FDT_ERR_NOSPACE;
    if (!r)
        r = fdt_open_into(fdt, copy, (int)size + 65536);
    if (!r)
        r = patch_memory(config, copy);
    if (!r)
        r = patch_chosen(config, copy);
    if (!r)
        r = fdt_pack(copy);
    free(fdt);
    if (r) {
        free(copy);
        return error_set(err, -EINVAL, "-dtb: not a usable device tree: %s", fdt_strerror(r));
    }
    *ret_fdt = copy;
    *ret_size = fdt_totalsize(copy);
    return 0;
}
