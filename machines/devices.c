// SPDX-License-Identifier: MIT
// Owns the table of -device: names, properties and constructors. Properties in the table are what -device NAME,help
// prints; a property that no constructor asks for is an error.
#include "machines/devices.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct device_kind {
    const char *name, *help;
    const char *properties; // "name=<type>\n..."
    int (*create)(struct machine *machine, struct keyval_list *options, struct error *err);
};

// QEMU's generic loader: a file or a number to an address, and which vCPU starts there.
static int create_loader(struct machine *m, struct keyval_list *o, struct error *err)
{
    const char *file = keyval_get(o, "file");
    uint64_t addr = 0, data = 0, len = 0, cpu = 0;
    bool raw = false, has_addr = keyval_get(o, "addr"), has_data = keyval_get(o, "data");
    bool big_endian = false;
    int r = keyval_u64(o, "addr", &addr, err);
    if (!r)
        r = keyval_u64(o, "data", &data, err);
    if (!r)
        r = keyval_u64(o, "data-len", &len, err);
    if (!r)
        r = keyval_u64(o, "cpu-num", &cpu, err);
    if (!r)
        r = keyval_bool(o, "force-raw", &raw, err);
    if (!r)
        r = keyval_bool(o, "data-be", &big_endian, err);
    if (r)
        return error_prefix(err, r, "device loader");
    bool sets_cpu = keyval_get(o, "cpu-num");
    if (sets_cpu && cpu)
        return error_set(err, -ENOTSUP, "device loader: only CPU 0 can be given a start address");
    if (has_data && file)
        return error_set(err, -EINVAL, "device loader: file= and data= exclude each other");
    struct loader_entry entry = {.entry = addr};
    if (has_data) {
        if (!has_addr || !len || len > 8)
            return error_set(err, -EINVAL, "device loader: data= needs addr= and data-len= of 1 to 8");
        uint8_t *bytes = malloc(8);
        if (!bytes)
            return error_set(err, -ENOMEM, "out of memory");
        for (unsigned i = 0; i < len; i++)
            bytes[i] = (uint8_t)(data >> (8 * (big_endian ? len - 1 - i : i)));
        r = loader_add(&m->loader, "device loader data", addr, bytes, len, len, err);
    } else if (file) {
        uint8_t *bytes;
        uint64_t size;
        r = loader_read_file("device loader", file, m->config.ram_size, &bytes, &size, err);
        if (r)
            return r;
        if (!raw && loader_identify(bytes, size) == FILE_ELF)
            r = loader_add_elf(&m->loader, file, bytes, size, &entry, err);
        else if (has_addr)
            r = loader_add(&m->loader, file, addr, bytes, size, size, err);
        else {
            free(bytes);
            r = error_set(err, -EINVAL, "device loader: a raw file needs addr=");
        }
    } else if (!sets_cpu || !has_addr) {
        return error_set(err, -EINVAL, "device loader needs file=, data=, or cpu-num= with addr=");
    }
    if (!r && sets_cpu) {
        m->start_given = true;
        m->start_entry = entry.entry;
    }
    return r;
}

static const struct device_kind kinds[] = {
    {"loader", "puts a file or a number into memory",
     "addr=<uint64>\ncpu-num=<uint32>\ndata=<uint64>\ndata-be=<bool>\ndata-len=<uint8>\nfile=<str>\nforce-raw=<bool>\n",
     create_loader},
};

static const struct device_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    return NULL;
}

int devices_add(struct machine *machine, struct keyval_list *options, struct error *err)
{
    const char *name = keyval_get(options, "driver");
    const struct device_kind *kind = find_kind(name);
    if (!kind)
        return error_set(err, -EINVAL, "there is no device '%s' (try -device help)", name);
    keyval_get(options, "id");
    int r = kind->create(machine, options, err);
    if (!r && keyval_unused(options))
        r = error_set(err, -EINVAL, "device '%s' does not know the property '%s'", name, keyval_unused(options));
    return r;
}

void machine_list_devices(FILE *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        fprintf(out, "name \"%s\", desc \"%s\"\n", kinds[i].name, kinds[i].help);
}

bool machine_list_device_options(const char *device, FILE *out)
{
    const struct device_kind *kind = find_kind(device);
    if (kind)
        fprintf(out, "%s options:\n%s", device, kind->properties);
    return kind;
}
