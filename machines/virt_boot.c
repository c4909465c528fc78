// SPDX-License-Identifier: MIT
// Owns what virt puts into memory before the first instruction: firmware or kernel, initrd, device tree, and
// where each goes (Linux Documentation/arch/arm64/booting.rst; places as QEMU chooses them).
#include "frontends/a64/a64.h"
#include "machines/virt_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOOT_ALIGN = 2 << 20, INITRD_LOW = 128 << 20 };

static uint64_t align_up(uint64_t v, uint64_t to)
{
    return (v + to - 1) & ~(to - 1);
}

void virt_describe(struct machine *m, struct virt_fdt_device *devices, size_t *ret_count)
{
    struct virt *v = virt_of(m);
    *ret_count = 0;
    for (size_t i = 0; i < VIRT_SLOTS; i++) {
        const struct virt_device *row = &virt_map[i];
        if (!v->present[i] || row->node == VIRT_NODE_NONE)
            continue;
        for (unsigned n = 0; n < row->count; n++)
            devices[(*ret_count)++] = (struct virt_fdt_device){.name = row->name,
                                                               .compatible = row->compatible,
                                                               .clock_names = row->clock_names,
                                                               .base = row->base + n * row->size,
                                                               .size = row->size,
                                                               .spi = row->spi < 0 ? -1 : row->spi + (int)n,
                                                               .node = row->node};
    }
}

static int build_fdt(struct machine *m, void **ret_fdt, uint64_t *ret_size, struct error *err)
{
    struct virt *v = virt_of(m);
    struct virt_fdt_device devices[VIRT_FDT_DEVICES];
    char compatible[80] = "arm,armv8", stdout_name[32];
    if (!strncmp(v->cpu_model, "cortex-", 7) || !strncmp(v->cpu_model, "neoverse-", 9))
        snprintf(compatible, sizeof compatible, "arm,%s", v->cpu_model);
    snprintf(stdout_name, sizeof stdout_name, "/pl011@%" PRIx64, virt_map[VIRT_UART].base);
    struct virt_fdt_config c = {
        .devices = devices,
        .ram_base = virt_map[VIRT_RAM].base,
        .ram_size = m->config.ram_size,
        .cpu_count = m->config.cpu_count,
        .mpidr = v->mpidr,
        .cpu_compatible = compatible,
        .gic_version = v->gic_version,
        .append = m->config.append,
        .initrd = v->initrd,
        .initrd_size = v->initrd_size,
        .entropy = &m->entropy,
        .dtb_randomness = v->dtb_randomness,
        .stdout_name = v->present[VIRT_UART] ? stdout_name : NULL,
        .gic_dist = {virt_map[VIRT_GIC_DIST].base, virt_map[VIRT_GIC_DIST].size},
        .gic_cpu = {virt_map[VIRT_GIC_CPU].base, virt_map[VIRT_GIC_CPU].size},
        .gic_redist = {virt_map[VIRT_GIC_REDIST].base, virt_map[VIRT_GIC_REDIST].size},
        .pcie_ecam = {virt_map[virt_ecam_slot(v)].base, virt_map[virt_ecam_slot(v)].size},
        .pcie_pio = {virt_map[VIRT_PCIE_PIO].base, virt_map[VIRT_PCIE_PIO].size}};
    if (v->highmem && v->highmem_mmio) {
        c.pcie_high_mmio[0] = virt_map[VIRT_HIGH_PCIE_MMIO].base;
        c.pcie_high_mmio[1] = virt_map[VIRT_HIGH_PCIE_MMIO].size;
    }
    if (v->v2m) {
        c.gic_v2m[0] = virt_map[VIRT_GIC_V2M].base;
        c.gic_v2m[1] = virt_map[VIRT_GIC_V2M].size;
    }
    if ((uint64_t)m->config.cpu_count * 0x20000 > virt_map[VIRT_GIC_REDIST].size) {
        c.gic_redist2[0] = virt_map[VIRT_GIC_REDIST2].base;
        c.gic_redist2[1] = virt_map[VIRT_GIC_REDIST2].size;
    }
    if (v->its) {
        c.gic_its[0] = virt_map[VIRT_GIC_ITS].base;
        c.gic_its[1] = virt_map[VIRT_GIC_ITS].size;
    }
    virt_describe(m, devices, &c.device_count);
    if (!m->config.dtb)
        return virt_fdt_build(&c, ret_fdt, ret_size, err);
    uint8_t *user;
    uint64_t user_size;
    int r = loader_read_file("-dtb", m->config.dtb, VIRT_FDT_MAX, &user, &user_size, err);
    return r ? r : virt_fdt_patch(&c, user, user_size, ret_fdt, ret_size, err);
}

static int dump(const char *path, const void *fdt, uint64_t size, struct error *err)
{
    FILE *f = fopen(path, "wb");
    bool good = f && fwrite(fdt, 1, size, f) == size;
    if (f && fclose(f))
        good = false;
    return good ? 0 : error_set(err, -EIO, "dumpdtb: cannot write '%s': %s", path, strerror(errno));
}

static int load_initrd(struct machine *m, uint64_t kernel_end, struct error *err)
{
    struct virt *v = virt_of(m);
    uint64_t base = virt_map[VIRT_RAM].base, size = m->config.ram_size;
    uint64_t at = base + (size / 2 < INITRD_LOW ? size / 2 : INITRD_LOW);
    if (at < kernel_end)
        at = kernel_end;
    at = align_up(at, MEM_PAGE_SIZE);
    uint8_t *data;
    uint64_t len;
    int r = loader_read_file("-initrd", m->config.initrd, size, &data, &len, err);
    if (r)
        return r;
    if (at > base + size || len > base + size - at) {
        free(data);
        return error_set(err, -EFBIG,
                         "-initrd: '%s' (%" PRIu64 " bytes) does not fit into RAM behind the kernel",
                         m->config.initrd, len);
    }
    v->initrd = at;
    v->initrd_size = len;
    return loader_add(&m->loader, "initrd", at, data, len, len, err);
}

// The tree goes behind the initrd for Linux, and to the start of RAM for firmware and bare programs, where
// they look.
static int load_fdt(struct machine *m, const struct loader_entry *kernel, struct error *err)
{
    struct virt *v = virt_of(m);
    uint64_t base = virt_map[VIRT_RAM].base, end = base + m->config.ram_size, at = base;
    void *fdt;
    uint64_t size;
    int r = build_fdt(m, &fdt, &size, err);
    if (r)
        return r;
    if (kernel->linux_image) {
        uint64_t low = m->config.ram_size / 2 < INITRD_LOW ? m->config.ram_size / 2 : INITRD_LOW;
        at = v->initrd_size ? v->initrd + v->initrd_size : base + low;
        at = align_up(at < kernel->high ? kernel->high : at, BOOT_ALIGN);
        if (at + size > end)
            at = (end - size) & ~(uint64_t)(MEM_PAGE_SIZE - 1);
    } else if (kernel->high && kernel->low < base + size && kernel->high > base) {
        at = align_up(kernel->high, BOOT_ALIGN); // a bare program sits at the start of RAM
        if (at + size > end)
            at = (end - size) & ~(uint64_t)(MEM_PAGE_SIZE - 1);
    }
    v->boot_arg = at;
    v->dtb_piece = m->loader.count;
    return loader_add(&m->loader, "device tree", at, fdt, size, size, err);
}

static int load_kernel_data(struct machine *m, struct loader_entry *ret_entry, struct error *err)
{
    uint8_t *copy = malloc(m->config.kernel_size);
    if (!copy)
        return error_set(err, -ENOMEM, "out of memory");
    memcpy(copy, m->config.kernel_data, m->config.kernel_size);
    return loader_add_kernel_data(&m->loader, "kernel", copy, m->config.kernel_size, virt_map[VIRT_RAM].base,
                                  m->config.ram_size, ret_entry, err);
}

int virt_load(struct machine *m, struct error *err)
{
    struct virt *v = virt_of(m);
    struct loader_entry kernel = {0};
    uint64_t base = virt_map[VIRT_RAM].base;
    int r = 0;
    if (v->dumpdtb) {
        void *fdt;
        uint64_t size;
        r = build_fdt(m, &fdt, &size, err);
        if (!r) {
            r = dump(v->dumpdtb, fdt, size, err);
            free(fdt);
        }
        if (!r)
            machine_quit(m, MACHINE_POWERED_OFF);
        return r;
    }
    if (v->firmware)
        ; // which starts what is to be started
    else if (m->config.kernel)
        r = loader_add_kernel(&m->loader, m->config.kernel, base, m->config.ram_size, &kernel, err);
    else if (m->config.kernel_data)
        r = load_kernel_data(m, &kernel, err);
    if (!r && m->config.initrd && !v->firmware)
        r = load_initrd(m, kernel.high, err);
    if (!r)
        r = load_fdt(m, &kernel, err);
    v->has_entry = m->start_given || v->firmware || m->config.kernel || m->config.kernel_data;
    v->entry = m->start_given ? m->start_entry : v->firmware ? virt_map[VIRT_FLASH].base : kernel.entry;
    return r;
}

// A new run of the same contents: only the tree's random seeds differ.
static int refresh_fdt(struct machine *m, struct error *err)
{
    struct virt *v = virt_of(m);
    struct loader_piece *piece = &m->loader.pieces[v->dtb_piece];
    void *fdt;
    uint64_t size;
    int r = build_fdt(m, &fdt, &size, err);
    if (r)
        return r;
    free(piece->data);
    piece->data = fdt;
    piece->data_size = size;
    return 0;
}

int virt_start(struct machine *m, struct error *err)
{
    struct virt *v = virt_of(m);
    int r = 0;
    if (v->dtb_piece == SIZE_MAX)
        return 0;
    if (!m->config.dtb)
        r = refresh_fdt(m, err);
    if (!r)
        r = loader_write(&m->loader, m->mem, err);
    return r || !v->has_entry ? r : accel_cpu_start(m->accel, 0, v->entry, v->boot_arg);
}
