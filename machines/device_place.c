// SPDX-License-Identifier: MIT
// Owns the properties of -device that a transport has rather than a device: where it is plugged in, and how.
// What QEMU knows and we do not do is refused, unless it asks for what is the case here anyway.
#include "machines/devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char device_place_pci_properties[] =
    "addr=<slot>[.<function>]\nbus=<str>\ndisable-legacy=<on|auto>\nmultifunction=<bool>\nvectors=<uint32>\n";

// Off is what we do.
static const char *const off_only[] = {"disable-modern", "ats", "iommu_platform", "modern-pio-notify",
                                       "page-per-vq",    "aer", "failover",       NULL};
// Without meaning here: option ROMs and what ACPI calls a slot.
static const char *const ignored[] = {"rombar", "acpi-index", NULL};

static int refuse_on(struct keyval_list *o, const char *const *names, struct error *err)
{
    for (; *names; names++) {
        bool on = false;
        int r = keyval_bool(o, *names, &on, err);
        if (r)
            return r;
        if (on)
            return error_set(err, -ENOTSUP, "%s=on is not supported", *names);
    }
    return 0;
}

// "5" or "5.1", both hexadecimal.
static int parse_addr(const char *text, int *ret_devfn, struct error *err)
{
    char *end;
    unsigned long slot = strtoul(text, &end, 16), function = 0;
    bool good = end != text;
    if (good && *end == '.') {
        const char *second = end + 1;
        function = strtoul(second, &end, 16);
        good = end != second;
    }
    if (!good || *end || slot > 31 || function > 7)
        return error_set(err, -EINVAL, "addr=%s is no PCI address (SLOT or SLOT.FUNCTION, up to 1f.7)", text);
    *ret_devfn = (int)(slot << 3 | function);
    return 0;
}

static int read_pci(struct device_place *place, struct keyval_list *o, struct error *err)
{
    const char *bus = keyval_get(o, "bus"), *addr = keyval_get(o, "addr"), *rom = keyval_get(o, "romfile"),
               *legacy = keyval_get(o, "disable-legacy");
    uint64_t vectors = place->vectors;
    bool no_legacy = true;
    for (const char *const *name = ignored; *name; name++)
        keyval_get(o, *name);
    int r = refuse_on(o, off_only, err);
    if (!r)
        r = keyval_bool(o, "multifunction", &place->multifunction, err);
    if (!r)
        r = keyval_u64(o, "vectors", &vectors, err);
    if (!r && legacy && strcmp(legacy, "auto"))
        r = keyval_bool(o, "disable-legacy", &no_legacy, err);
    if (!r && addr)
        r = parse_addr(addr, &place->devfn, err);
    if (r)
        return r;
    if (bus && strcmp(bus, "pcie.0"))
        place->bus = bus;
    if (rom && *rom)
        return error_set(err, -ENOTSUP, "option ROMs are not supported (romfile=%s)", rom);
    if (!no_legacy)
        return error_set(err, -ENOTSUP, "there is no legacy interface (disable-legacy=off)");
    if (vectors != place->vectors && vectors > UINT16_MAX)
        return error_set(err, -EINVAL, "vectors=%llu are too many", (unsigned long long)vectors);
    place->vectors = (unsigned)vectors;
    return 0;
}

void device_place_any_pci(struct device_place *ret_place)
{
    *ret_place = (struct device_place){.pci = true, .devfn = -1, .slot = -1, .vectors = ~0u};
}

int device_place_pci(struct device_place *ret_place, struct keyval_list *o, struct error *err)
{
    device_place_any_pci(ret_place);
    ret_place->id = keyval_get(o, "id");
    int r = read_pci(ret_place, o, err);
    if (r)
        error_prefix(err, r, "device %s", keyval_get(o, "driver"));
    return r;
}

int device_place_mmio(struct device_place *ret_place, struct keyval_list *o, struct error *err)
{
    static const char prefix[] = "virtio-mmio-bus.";
    *ret_place = (struct device_place){.devfn = -1, .slot = -1};
    const char *bus = keyval_get(o, "bus");
    if (!bus)
        return 0;
    char *end;
    unsigned long slot = strtoul(bus + strnlen(bus, sizeof prefix - 1), &end, 10);
    if (strncmp(bus, prefix, sizeof prefix - 1) || !bus[sizeof prefix - 1] || *end || slot > 1000)
        return error_set(err, -ENOENT, "device %s: there is no virtio bus '%s'", keyval_get(o, "driver"),
                         bus);
    ret_place->slot = (int)slot;
    return 0;
}
