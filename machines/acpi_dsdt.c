// SPDX-License-Identifier: MIT
// Owns the DSDT: the devices that cannot be found by looking, from the board's table, in AML. Identifiers are those which
// Linux and EDK2 know from QEMU's virt (ARMH0011 and so on).
#include "machines/acpi.h"

#include <stdio.h>

enum { SPI_FIRST = 32, POWER_PIN = 3, PCI_PINS = 4, PCI_SLOTS = 32, NOTIFY_BUTTON = 0x80 };

static void name_int(struct aml *a, const char *name, uint64_t value)
{
    aml_name(a, name);
    aml_int(a, value);
}

static void name_string(struct aml *a, const char *name, const char *text)
{
    aml_name(a, name);
    aml_string(a, text);
}

static void open_resources(struct aml *a, const char *name)
{
    aml_name(a, name);
    aml_resources(a);
}

static void add_cpus(struct aml *a, const struct acpi_config *c)
{
    char name[8];
    for (unsigned i = 0; i < c->cpu_count; i++) {
        snprintf(name, sizeof name, "C%03X", i & 0xfff);
        aml_device(a, name);
        name_string(a, "_HID", "ACPI0007");
        name_int(a, "_UID", i);
        aml_close(a);
    }
}

static const struct kind {
    enum virt_node node;
    const char *prefix, *hid;
    bool coherent;
} kinds[] = {
    {VIRT_NODE_UART, "COM", "ARMH0011", false},
    {VIRT_NODE_GPIO, "GPO", "ARMH0061", false},
    {VIRT_NODE_FW_CFG, "FWC", "QEMU0002", true},
    {VIRT_NODE_VIRTIO_MMIO, "VR", "LNRO0005", true},
    {VIRT_NODE_FLASH, "FLS", "LNRO0015", false},
};

// The button raises a line of the GPIO block, whose event tells it to the system.
static void add_power_event(struct aml *a)
{
    open_resources(a, "_AEI");
    aml_gpio_interrupt(a, "GPO0", POWER_PIN);
    aml_close(a);
    aml_method(a, "_E03", 0);
    aml_notify(a, "\\_SB.PWRB", NOTIFY_BUTTON);
    aml_close(a);
}

static void add_device(struct aml *a, const struct kind *k, unsigned n, uint64_t base, uint64_t size, int spi)
{
    char name[8];
    if (k->prefix[2])
        snprintf(name, sizeof name, "%s%X", k->prefix, n & 15);
    else
        snprintf(name, sizeof name, "%s%02X", k->prefix, n & 255);
    aml_device(a, name);
    name_string(a, "_HID", k->hid);
    name_int(a, "_UID", n);
    if (k->coherent)
        name_int(a, "_CCA", 1);
    open_resources(a, "_CRS");
    aml_memory32(a, (uint32_t)base, (uint32_t)size);
    if (spi >= 0)
        aml_interrupt(a, SPI_FIRST + (uint32_t)spi, k->node == VIRT_NODE_VIRTIO_MMIO);
    aml_close(a);
    if (k->node == VIRT_NODE_GPIO)
        add_power_event(a);
    aml_close(a);
}

static void add_devices(struct aml *a, const struct acpi_config *c)
{
    unsigned counts[ARRAY_SIZE(kinds)] = {0};
    for (size_t i = 0; i < c->device_count; i++) {
        const struct virt_fdt_device *d = &c->devices[i];
        size_t k = 0;
        while (k < ARRAY_SIZE(kinds) && kinds[k].node != d->node)
            k++;
        if (k == ARRAY_SIZE(kinds))
            continue;
        if (d->node == VIRT_NODE_FLASH) { // two banks
            for (unsigned n = 0; n < 2; n++)
                add_device(a, &kinds[k], counts[k]++, d->base + n * d->size / 2, d->size / 2, d->spi);
            continue;
        }
        if (d->node == VIRT_NODE_GPIO) {
            aml_device(a, "PWRB");
            name_string(a, "_HID", "PNP0C0C");
            name_int(a, "_UID", 0);
            aml_close(a);
        }
        add_device(a, &kinds[k], counts[k]++, d->base, d->size, d->spi);
    }
}

// --- PCI ---

// Slots take the four interrupts in turn (PCI-to-PCI bridge specification 9.1).
static void add_routing(struct aml *a, const struct acpi_config *c)
{
    aml_name(a, "_PRT");
    aml_package(a, PCI_SLOTS * PCI_PINS);
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
        for (unsigned pin = 0; pin < PCI_PINS; pin++) {
            aml_package(a, 4);
            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            aml_int(a, 0);
            aml_int(a, SPI_FIRST + (unsigned)c->pci_spi + (slot + pin) % PCI_PINS);
            aml_close(a);
        }
    aml_close(a);
}

static void add_windows(struct aml *a, const struct acpi_config *c)
{
    open_resources(a, "_CRS");
    aml_window(a, AML_SPACE_BUS, 2, 0, c->ecam.size >> 20, 0);
    aml_window(a, AML_SPACE_MEMORY, 4, c->mmio32.base, c->mmio32.size, 0);
    if (c->io.size)
        aml_window(a, AML_SPACE_IO, 4, 0, c->io.size, c->io.base);
    if (c->mmio64.size)
        aml_window(a, AML_SPACE_MEMORY, 8, c->mmio64.base, c->mmio64.size, 0);
    aml_close(a);
}

// What the system may control itself (PCI Firmware Specification 3.2, 4.5): all five things there are, since
// no firmware does. Arguments: UUID, revision, count, capabilities.
static void add_osc(struct aml *a)
{
    enum { CREATE_DWORD = 0x8a, ARG3 = 0x6b, OR = 0x7d, GRANTED = 0x1f, UNKNOWN_UUID = 4 };
    aml_method(a, "_OSC", 4);
    aml_op(a, CREATE_DWORD);
    aml_op(a, ARG3);
    aml_int(a, 0);
    aml_path(a, "CDW1");
    aml_block(a, AML_IF);
    aml_op(a, AML_EQUAL);
    aml_op(a, AML_ARG0);
    aml_uuid(a, "33DB4D5B-1FF7-401C-9657-7441C03DD766");
    aml_op(a, CREATE_DWORD);
    aml_op(a, ARG3);
    aml_int(a, 8);
    aml_path(a, "CDW3");
    aml_op(a, AML_AND);
    aml_path(a, "CDW3");
    aml_int(a, GRANTED);
    aml_path(a, "CDW3");
    aml_close(a);
    aml_block(a, AML_ELSE);
    aml_op(a, OR);
    aml_path(a, "CDW1");
    aml_int(a, UNKNOWN_UUID);
    aml_path(a, "CDW1");
    aml_close(a);
    aml_op(a, AML_RETURN);
    aml_op(a, ARG3);
    aml_close(a);
}

static void add_pci(struct aml *a, const struct acpi_config *c)
{
    aml_device(a, "PCI0");
    name_string(a, "_HID", "PNP0A08");
    name_string(a, "_CID", "PNP0A03");
    name_int(a, "_SEG", 0);
    name_int(a, "_BBN", 0);
    name_int(a, "_UID", 0);
    name_int(a, "_CCA", 1);
    add_routing(a, c);
    aml_method(a, "_CBA", 0);
    aml_op(a, AML_RETURN);
    aml_int(a, c->ecam.base);
    aml_close(a);
    add_windows(a, c);
    add_osc(a);
    aml_close(a);
    // The configuration space itself is claimed outside the bridge, or the system would not trust the MCFG.
    aml_device(a, "RES0");
    name_string(a, "_HID", "PNP0C02");
    open_resources(a, "_CRS");
    aml_window(a, AML_SPACE_MEMORY, 8, c->ecam.base, c->ecam.size, 0);
    aml_close(a);
    aml_close(a);
}

void acpi_dsdt(struct aml *a, const struct acpi_config *c)
{
    aml_scope(a, "\\_SB");
    add_cpus(a, c);
    add_devices(a, c);
    if (c->ecam.size)
        add_pci(a, c);
    aml_close(a);
}
