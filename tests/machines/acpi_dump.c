// SPDX-License-Identifier: MIT
// Builds the ACPI tables of one machine and does to them what the loader commands say, as firmware would: acpi_dump CPUS
// GIC FEATURES... FOLDER, where a feature is pci, its or v2m. Each table ends in a file of FOLDER, named by its signature and
// found through the pointers from the RSDP on, with its checksum looked at. For acpi_test.py.
#include "base/error.h"
#include "machines/acpi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRESS = 0x10000, MAX_CPUS = 512 }; // where the file of tables is said to lie
static uint64_t mpidr[MAX_CPUS];

static const struct virt_fdt_device devices[] = {
    {"flash", NULL, NULL, 0, 128 << 20, -1, VIRT_NODE_FLASH},
    {"pl011", NULL, NULL, 0x09000000, 0x1000, 1, VIRT_NODE_UART},
    {"pl031", NULL, NULL, 0x09010000, 0x1000, 2, VIRT_NODE_SIMPLE},
    {"fw-cfg", NULL, NULL, 0x09020000, 0x18, -1, VIRT_NODE_FW_CFG},
    {"pl061", NULL, NULL, 0x09030000, 0x1000, 7, VIRT_NODE_GPIO},
    {"virtio_mmio", NULL, NULL, 0x0a000000, 0x200, 16, VIRT_NODE_VIRTIO_MMIO},
    {"virtio_mmio", NULL, NULL, 0x0a000200, 0x200, 17, VIRT_NODE_VIRTIO_MMIO},
};

static uint64_t get(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;
    while (size--)
        v = v << 8 | p[size];
    return v;
}

static void fail(const char *what)
{
    fprintf(stderr, "acpi_dump: %s\n", what);
    exit(1);
}

static uint8_t *within(struct aml *file, uint64_t at, uint64_t len)
{
    if (at > file->size || len > file->size - at)
        fail("a command or pointer reaches outside its file");
    return file->data + at;
}

static void run_command(struct acpi_files *f, const uint8_t *c)
{
    bool root = !strcmp((const char *)c + 4, "etc/acpi/rsdp");
    struct aml *file = root ? &f->rsdp : &f->tables;
    if (!root && strcmp((const char *)c + 4, "etc/acpi/tables"))
        fail("a command names an unknown file");
    switch (get(c, 4)) {
    case 1: // allocate
        if (get(c + 60, 4) & (get(c + 60, 4) - 1) || !get(c + 60, 4))
            fail("an alignment is no power of two");
        break;
    case 2: { // add pointer
        unsigned size = c[120];
        uint8_t *at = within(file, get(c + 116, 4), size);
        if (size != 4 && size != 8)
            fail("a pointer has an odd size");
        within(&f->tables, get(at, size), 36);
        uint64_t value = get(at, size) + ADDRESS;
        memcpy(at, &value, size);
        break;
    }
    case 3: { // add checksum
        uint8_t *at = within(file, get(c + 60, 4), 1), sum = 0;
        const uint8_t *from = within(file, get(c + 64, 4), get(c + 68, 4));
        for (uint64_t i = 0; i < get(c + 68, 4); i++)
            sum = (uint8_t)(sum + from[i]);
        *at = (uint8_t)(*at - sum);
        break;
    }
    default: fail("an unknown command");
    }
}

static const uint8_t *dump(struct aml *tables, uint64_t address, const char *folder)
{
    const uint8_t *t = within(tables, address - ADDRESS, 36);
    uint64_t len = get(t + 4, 4);
    uint8_t sum = 0;
    within(tables, address - ADDRESS, len);
    for (uint64_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + t[i]);
    if (sum)
        fail("a checksum is wrong");
    char path[512];
    snprintf(path, sizeof path, "%s/%.4s.dat", folder, (const char *)t);
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(t, 1, len, out) != len || fclose(out))
        fail("cannot write");
    return t;
}

int main(int argc, char *argv[])
{
    struct acpi_config c = {.devices = devices,
                            .device_count = ARRAY_SIZE(devices),
                            .mpidr = mpidr,
                            .gic_dist = 0x08000000,
                            .gic_cpu = 0x08010000,
                            .mmio32 = {0x10000000, 0x2eff0000},
                            .mmio64 = {0x8000000000, 0x8000000000},
                            .io = {0x3eff0000, 0x10000},
                            .pci_spi = 3};
    if (argc < 4)
        return 2;
    c.cpu_count = (unsigned)atoi(argv[1]) % (MAX_CPUS + 1);
    c.gic_version = (unsigned)atoi(argv[2]);
    for (unsigned i = 0; i < c.cpu_count; i++)
        mpidr[i] = i / 16 << 8 | i % 16;
    for (int i = 3; i < argc - 1; i++) {
        if (!strcmp(argv[i], "pci"))
            c.ecam = (struct acpi_window){0x4010000000, 0x10000000};
        if (!strcmp(argv[i], "its"))
            c.its = (struct acpi_window){0x08080000, 0x20000};
        if (!strcmp(argv[i], "v2m")) {
            c.v2m = (struct acpi_window){0x08020000, 0x1000};
            c.v2m_spi = 48;
            c.v2m_count = 64;
        }
    }
    c.redist[0] = (struct acpi_window){0x080a0000, 0xf60000};
    if (c.cpu_count > 123)
        c.redist[1] = (struct acpi_window){0x4000000000, 0x4000000};
    struct acpi_files f;
    struct error err;
    if (acpi_build(&c, &f, &err))
        fail(err.text);
    for (size_t at = 0; at < f.loader.size; at += 128)
        run_command(&f, within(&f.loader, at, 128));
    uint8_t sum = 0;
    for (unsigned i = 0; i < 36; i++)
        sum = (uint8_t)(sum + within(&f.rsdp, 0, 36)[i]);
    if (sum || memcmp(f.rsdp.data, "RSD PTR ", 8))
        fail("the root pointer is wrong");
    const uint8_t *xsdt = dump(&f.tables, get(f.rsdp.data + 24, 8), argv[argc - 1]);
    for (uint64_t at = 36; at < get(xsdt + 4, 4); at += 8) {
        const uint8_t *t = dump(&f.tables, get(xsdt + at, 8), argv[argc - 1]);
        if (!memcmp(t, "FACP", 4))
            dump(&f.tables, get(t + 140, 8), argv[argc - 1]);
    }
    acpi_free(&f);
    return 0;
}
