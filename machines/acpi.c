// SPDX-License-Identifier: MIT
// Owns the static ACPI tables (ACPI 6.4 chapter 5; Arm's SBBR says which there must be) and the commands for fw_cfg's
// table loader. Pointers in the tables are offsets into the file until firmware has run the commands, checksums zero.
#include "machines/acpi.h"
#include "base/error.h"

#include <errno.h>
#include <string.h>

#define TABLES "etc/acpi/tables"
#define RSDP "etc/acpi/rsdp"

enum {
    SPI_FIRST = 32,
    HEADER = 36,
    CHECKSUM = 9, // in a table's header
    MAX_TABLES = 16,
    PMU_INTERRUPT = 23,
};

struct build {
    const struct acpi_config *config;
    struct aml *t; // the file of tables
    struct aml *loader;
    size_t starts[MAX_TABLES];
    unsigned count;
};

// --- loader commands: 128 bytes each, the first word says which ---

enum { COMMAND = 128, FILE_NAME = 56, ALLOCATE = 1, ADD_POINTER = 2, ADD_CHECKSUM = 3, ZONE_HIGH = 1, ZONE_LOW = 2 };

static void file_name(struct aml *l, const char *name)
{
    aml_bytes(l, name, strlen(name));
    aml_zeros(l, FILE_NAME - strlen(name));
}

static void end_command(struct aml *l)
{
    aml_zeros(l, (COMMAND - l->size % COMMAND) % COMMAND);
}

static void allocate(struct aml *l, const char *file, unsigned align, unsigned zone)
{
    aml_put(l, ALLOCATE, 4);
    file_name(l, file);
    aml_put(l, align, 4);
    aml_put(l, zone, 1);
    end_command(l);
}

// To the number of size bytes at offset of file, the address of the tables is added.
static void add_pointer(struct aml *l, const char *file, size_t offset, unsigned size)
{
    aml_put(l, ADD_POINTER, 4);
    file_name(l, file);
    file_name(l, TABLES);
    aml_put(l, offset, 4);
    aml_put(l, size, 1);
    end_command(l);
}

static void add_checksum(struct aml *l, const char *file, size_t offset, size_t start, size_t len)
{
    aml_put(l, ADD_CHECKSUM, 4);
    file_name(l, file);
    aml_put(l, offset, 4);
    aml_put(l, start, 4);
    aml_put(l, len, 4);
    end_command(l);
}

// --- tables ---

static void begin(struct build *b, const char *signature, unsigned revision)
{
    struct aml *t = b->t;
    aml_zeros(t, -t->size & 7);
    if (b->count < MAX_TABLES)
        b->starts[b->count++] = t->size;
    aml_bytes(t, signature, 4);
    aml_put(t, 0, 4); // length
    aml_put(t, revision, 1);
    aml_put(t, 0, 1); // checksum
    aml_bytes(t, "ISOMER", 6);
    aml_bytes(t, "ISOMVIRT", 8);
    aml_put(t, 1, 4);
    aml_bytes(t, "ISOM", 4);
    aml_put(t, 1, 4);
}

static void end(struct build *b)
{
    size_t start = b->starts[b->count - 1], len = b->t->size - start;
    aml_set(b->t, start + 4, len, 4);
    add_checksum(b->loader, TABLES, start + CHECKSUM, start, len);
}

// A generic address: memory, width bits.
static void address(struct aml *t, uint64_t base, unsigned width, unsigned access)
{
    aml_put(t, 0, 1);
    aml_put(t, width, 1);
    aml_put(t, 0, 1);
    aml_put(t, access, 1);
    aml_put(t, base, 8);
}

static void add_dsdt(struct build *b)
{
    begin(b, "DSDT", 2);
    acpi_dsdt(b->t, b->config);
    end(b);
}

static void add_fadt(struct build *b)
{
    enum { LENGTH = 276, FLAGS = 112, ARM_BOOT = 129, MINOR = 131, X_DSDT = 140, VENDOR = 268 };
    enum { HW_REDUCED = 1 << 20, PSCI = 1, PSCI_BY_HVC = 2 };
    size_t dsdt = b->starts[0];
    begin(b, "FACP", 6);
    size_t start = b->starts[b->count - 1];
    aml_zeros(b->t, LENGTH - HEADER);
    aml_set(b->t, start + FLAGS, HW_REDUCED, 4);
    aml_set(b->t, start + ARM_BOOT, PSCI | PSCI_BY_HVC, 2);
    aml_set(b->t, start + MINOR, 0, 1);
    aml_set(b->t, start + X_DSDT, dsdt, 8);
    if (b->t->size >= start + LENGTH)
        memcpy(b->t->data + start + VENDOR, "ISOMER", 6);
    add_pointer(b->loader, TABLES, start + X_DSDT, 8);
    end(b);
}

static void add_gicc(struct build *b, unsigned cpu)
{
    const struct acpi_config *c = b->config;
    struct aml *t = b->t;
    enum { GICC = 11, LENGTH = 80, ENABLED = 1 };
    aml_put(t, GICC, 1);
    aml_put(t, LENGTH, 1);
    aml_put(t, 0, 2);
    aml_put(t, cpu, 4); // interface number
    aml_put(t, cpu, 4); // UID, as the DSDT's
    aml_put(t, ENABLED, 4);
    aml_put(t, 0, 4); // no parking protocol
    aml_put(t, c->pmu ? PMU_INTERRUPT : 0, 4);
    aml_put(t, 0, 8);
    aml_put(t, c->gic_version == 2 ? c->gic_cpu : 0, 8);
    aml_put(t, 0, 8); // GICV
    aml_put(t, 0, 8); // GICH
    aml_put(t, 0, 4); // maintenance interrupt
    aml_put(t, 0, 8); // redistributor: they stand in regions
    aml_put(t, c->mpidr[cpu], 8);
    aml_put(t, 0, 4);
}

static void add_madt(struct build *b)
{
    const struct acpi_config *c = b->config;
    struct aml *t = b->t;
    enum { GICD = 12, GIC_MSI_FRAME = 13, GICR = 14, GIC_ITS = 15, OWN_SPIS = 1 };
    begin(b, "APIC", 4);
    aml_put(t, 0, 8); // no local interrupt controller by address, no flags
    for (unsigned i = 0; i < c->cpu_count; i++)
        add_gicc(b, i);
    aml_put(t, GICD | 24 << 8, 4);
    aml_put(t, 0, 4);
    aml_put(t, c->gic_dist, 8);
    aml_put(t, 0, 4);
    aml_put(t, c->gic_version, 4);
    for (unsigned i = 0; c->gic_version == 3 && i < ARRAY_SIZE(c->redist); i++)
        if (c->redist[i].size) {
            aml_put(t, GICR | 16 << 8, 4);
            aml_put(t, c->redist[i].base, 8);
            aml_put(t, c->redist[i].size, 4);
        }
    if (c->its.size) {
        aml_put(t, GIC_ITS | 20 << 8, 4);
        aml_put(t, 0, 4);
        aml_put(t, c->its.base, 8);
        aml_put(t, 0, 4);
    }
    if (c->v2m.size) {
        aml_put(t, GIC_MSI_FRAME | 24 << 8, 4);
        aml_put(t, 0, 4);
        aml_put(t, c->v2m.base, 8);
        aml_put(t, OWN_SPIS, 4);
        aml_put(t, c->v2m_count, 2);
        aml_put(t, SPI_FIRST + c->v2m_spi, 2);
    }
    end(b);
}

static void add_gtdt(struct build *b)
{
    // Of secure EL1, EL1, virtual and EL2: level-triggered; always on.
    static const uint8_t interrupts[] = {29, 30, 27, 26};
    enum { ALWAYS_ON = 4 };
    begin(b, "GTDT", 2);
    aml_put(b->t, UINT64_MAX, 8); // no counter in memory
    aml_put(b->t, 0, 4);
    for (size_t i = 0; i < sizeof interrupts; i++) {
        aml_put(b->t, interrupts[i], 4);
        aml_put(b->t, ALWAYS_ON, 4);
    }
    aml_put(b->t, UINT64_MAX, 8);
    aml_put(b->t, 0, 8); // no platform timers
    end(b);
}

static void add_console(struct build *b)
{
    enum { PL011 = 3, GIC_INTERRUPT = 8, BAUD_9600 = 3, STOP_1 = 1, HARDWARE_FLOW = 2, DWORD = 3 };
    const struct acpi_config *c = b->config;
    const struct virt_fdt_device *uart = NULL;
    struct aml *t = b->t;
    for (size_t i = 0; i < c->device_count && !uart; i++)
        uart = c->devices[i].node == VIRT_NODE_UART ? &c->devices[i] : NULL;
    if (!uart)
        return;
    begin(b, "SPCR", 2);
    aml_put(t, PL011, 4);
    address(t, uart->base, 32, DWORD);
    aml_put(t, GIC_INTERRUPT, 1);
    aml_put(t, 0, 1); // PC-AT interrupt
    aml_put(t, SPI_FIRST + (unsigned)uart->spi, 4);
    aml_put(t, BAUD_9600, 1);
    aml_put(t, 0, 1); // parity
    aml_put(t, STOP_1, 1);
    aml_put(t, HARDWARE_FLOW, 1);
    aml_put(t, 0, 1); // a VT100
    aml_put(t, 0, 1);
    aml_put(t, 0xffffffff, 4); // no PCI device
    aml_zeros(t, 12);
    end(b);

    begin(b, "DBG2", 0);
    enum { INFO = 44, NAMESPACE_AT = 22 + 12 + 4, SERIAL = 0x8000 };
    static const char namespace[] = "\\_SB.COM0";
    aml_put(t, INFO, 4); // of the one device
    aml_put(t, 1, 4);
    aml_put(t, 0, 1);
    aml_put(t, NAMESPACE_AT + sizeof namespace, 2);
    aml_put(t, 1, 1); // registers
    aml_put(t, sizeof namespace, 2);
    aml_put(t, NAMESPACE_AT, 2);
    aml_put(t, 0, 4); // no data of a vendor
    aml_put(t, SERIAL, 2);
    aml_put(t, PL011, 2);
    aml_put(t, 0, 2);
    aml_put(t, 22, 2);
    aml_put(t, 22 + 12, 2);
    address(t, uart->base, 32, DWORD);
    aml_put(t, (uint32_t)uart->size, 4);
    aml_bytes(t, namespace, sizeof namespace);
    end(b);
}

static void add_mcfg(struct build *b)
{
    const struct acpi_config *c = b->config;
    begin(b, "MCFG", 1);
    aml_put(b->t, 0, 8);
    aml_put(b->t, c->ecam.base, 8);
    aml_put(b->t, 0, 2);
    aml_put(b->t, 0, 1);
    aml_put(b->t, (c->ecam.size >> 20) - 1, 1); // last bus
    aml_put(b->t, 0, 4);
    end(b);
}

// Which ITS takes the messages of the bridge's devices: the one there is, by requester ID (IORT, Arm DEN 0049).
static void add_iort(struct build *b)
{
    enum { FIRST = 48, ITS_GROUP = 0, ITS_LENGTH = 24, ROOT_COMPLEX = 2, RC_LENGTH = 36, MAPPING = 20 };
    enum { COHERENT = 1, CPM_DACS = 3, REVISION = 1 };
    struct aml *t = b->t;
    begin(b, "IORT", 0);
    aml_put(t, 2, 4);
    aml_put(t, FIRST, 4);
    aml_put(t, 0, 4);

    aml_put(t, ITS_GROUP, 1);
    aml_put(t, ITS_LENGTH, 2);
    aml_put(t, 0, 1);
    aml_put(t, 0, 4);
    aml_put(t, 0, 8); // no mappings
    aml_put(t, 1, 4);
    aml_put(t, 0, 4); // its identifier in the MADT

    aml_put(t, ROOT_COMPLEX, 1);
    aml_put(t, RC_LENGTH + MAPPING, 2);
    aml_put(t, REVISION, 1);
    aml_put(t, 0, 4);
    aml_put(t, 1, 4);
    aml_put(t, RC_LENGTH, 4);
    aml_put(t, COHERENT, 4);
    aml_put(t, (uint64_t)CPM_DACS << 24, 4);
    aml_put(t, 0, 4);  // no ATS
    aml_put(t, 0, 4);  // segment
    aml_put(t, 64, 4); // bits of address
    aml_put(t, 0, 4);  // input IDs 0 to 0xffff are output IDs of the ITS
    aml_put(t, 0xffff, 4);
    aml_put(t, 0, 4);
    aml_put(t, FIRST, 4);
    aml_put(t, 0, 4);
    end(b);
}

static void add_roots(struct build *b, struct aml *rsdp)
{
    unsigned count = b->count;
    begin(b, "XSDT", 1);
    size_t start = b->starts[b->count - 1];
    for (unsigned i = 1; i < count; i++) { // the DSDT is the FADT's
        add_pointer(b->loader, TABLES, b->t->size, 8);
        aml_put(b->t, b->starts[i], 8);
    }
    end(b);
    enum { V1_LENGTH = 20, LENGTH = 36, XSDT = 24, V1_CHECKSUM = 8, CHECKSUM_V2 = 32 };
    aml_bytes(rsdp, "RSD PTR ", 8);
    aml_put(rsdp, 0, 1);
    aml_bytes(rsdp, "ISOMER", 6);
    aml_put(rsdp, 2, 1);
    aml_put(rsdp, 0, 4);
    aml_put(rsdp, LENGTH, 4);
    aml_put(rsdp, start, 8);
    aml_put(rsdp, 0, 4);
    add_pointer(b->loader, RSDP, XSDT, 8);
    add_checksum(b->loader, RSDP, V1_CHECKSUM, 0, V1_LENGTH);
    add_checksum(b->loader, RSDP, CHECKSUM_V2, 0, LENGTH);
}

int acpi_build(const struct acpi_config *c, struct acpi_files *f, struct error *err)
{
    *f = (struct acpi_files){0};
    struct build b = {.config = c, .t = &f->tables, .loader = &f->loader};
    allocate(&f->loader, RSDP, 16, ZONE_LOW);
    allocate(&f->loader, TABLES, 64, ZONE_HIGH);
    add_dsdt(&b);
    add_fadt(&b);
    add_madt(&b);
    add_gtdt(&b);
    add_console(&b);
    if (c->ecam.size)
        add_mcfg(&b);
    if (c->ecam.size && c->its.size)
        add_iort(&b);
    add_roots(&b, &f->rsdp);
    if (f->tables.failed || f->rsdp.failed || f->loader.failed)
        return error_set(err, -ENOMEM, "out of memory for the ACPI tables");
    return 0;
}

void acpi_free(struct acpi_files *f)
{
    aml_free(&f->tables);
    aml_free(&f->rsdp);
    aml_free(&f->loader);
}
