// SPDX-License-Identifier: MIT
// Owns the shape of the SMBIOS tables (DMTF DSP0134 3.0) and the properties of -smbios: one row of a table a property,
// with its place in the structure.
//
// The maker's names are QEMU's, since guests tell by them that they run in a virtual machine (systemd-detect-virt).
#include "machines/smbios.h"
#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BIOS = 0,
    SYSTEM = 1,
    BASEBOARD = 2,
    CHASSIS = 3,
    PROCESSOR = 4,
    OEM_STRINGS = 11,
    MEMORY_ARRAY = 16,
    MEMORY_DEVICE = 17,
    MEMORY_MAPPED = 19,
    BOOT_INFO = 32,
    END_OF_TABLE = 127,
    MAX_STRINGS = 255,
    MAX_TEXT = 1 << 20, // bytes of a file of path=
};
#define NO_HANDLE 0xffff
#define NO_ERROR_INFO 0xfffe

// Structures in their order: handle of the first one, bytes without strings, and whether it is there unasked.
static const struct shape {
    uint8_t type, length;
    uint16_t handle;
    bool always;
} shapes[] = {
    {BIOS, 0x18, 0x000, false},         {SYSTEM, 0x1b, 0x100, true},         {BASEBOARD, 0x0f, 0x200, false},
    {CHASSIS, 0x16, 0x300, true},       {PROCESSOR, 0x30, 0x400, true},      {OEM_STRINGS, 0x05, 0xe00, false},
    {MEMORY_ARRAY, 0x17, 0x1000, true}, {MEMORY_DEVICE, 0x28, 0x1100, true}, {MEMORY_MAPPED, 0x1f, 0x1300, true},
    {BOOT_INFO, 0x0b, 0x2000, true},    {END_OF_TABLE, 0x04, 0x7f00, true},
};

enum kind { TEXT, U16, UUID, RELEASE, FLAG };
static const struct property {
    uint8_t type;
    const char *key;
    enum kind kind;
    uint8_t at;
    const char *value; // where nothing else is said; TEXT only
} properties[] = {
    {BIOS, "vendor", TEXT, 0x04, NULL},
    {BIOS, "version", TEXT, 0x05, NULL},
    {BIOS, "date", TEXT, 0x08, NULL},
    {BIOS, "release", RELEASE, 0x14, NULL},
    {BIOS, "uefi", FLAG, 0x13, NULL},
    {SYSTEM, "manufacturer", TEXT, 0x04, "QEMU"},
    {SYSTEM, "product", TEXT, 0x05, "QEMU Virtual Machine"},
    {SYSTEM, "version", TEXT, 0x06, NULL},
    {SYSTEM, "serial", TEXT, 0x07, NULL},
    {SYSTEM, "uuid", UUID, 0x08, NULL},
    {SYSTEM, "sku", TEXT, 0x19, NULL},
    {SYSTEM, "family", TEXT, 0x1a, NULL},
    {BASEBOARD, "manufacturer", TEXT, 0x04, "QEMU"},
    {BASEBOARD, "product", TEXT, 0x05, NULL},
    {BASEBOARD, "version", TEXT, 0x06, NULL},
    {BASEBOARD, "serial", TEXT, 0x07, NULL},
    {BASEBOARD, "asset", TEXT, 0x08, NULL},
    {BASEBOARD, "location", TEXT, 0x0a, NULL},
    {CHASSIS, "manufacturer", TEXT, 0x04, "QEMU"},
    {CHASSIS, "version", TEXT, 0x06, NULL},
    {CHASSIS, "serial", TEXT, 0x07, NULL},
    {CHASSIS, "asset", TEXT, 0x08, NULL},
    {CHASSIS, "sku", TEXT, 0x15, NULL},
    {PROCESSOR, "sock_pfx", TEXT, 0x04, "CPU 0"},
    {PROCESSOR, "manufacturer", TEXT, 0x07, "QEMU"},
    {PROCESSOR, "version", TEXT, 0x10, NULL},
    {PROCESSOR, "max-speed", U16, 0x14, NULL},
    {PROCESSOR, "current-speed", U16, 0x16, NULL},
    {PROCESSOR, "serial", TEXT, 0x20, NULL},
    {PROCESSOR, "asset", TEXT, 0x21, NULL},
    {PROCESSOR, "part", TEXT, 0x22, NULL},
    {MEMORY_DEVICE, "loc_pfx", TEXT, 0x10, "DIMM 0"},
    {MEMORY_DEVICE, "bank", TEXT, 0x11, NULL},
    {MEMORY_DEVICE, "manufacturer", TEXT, 0x17, "QEMU"},
    {MEMORY_DEVICE, "serial", TEXT, 0x18, NULL},
    {MEMORY_DEVICE, "asset", TEXT, 0x19, NULL},
    {MEMORY_DEVICE, "part", TEXT, 0x1a, NULL},
    {MEMORY_DEVICE, "speed", U16, 0x15, NULL},
};

struct build {
    const struct smbios_config *config;
    struct aml *out;
    size_t start; // of the structure being written
    unsigned strings, structures;
    struct aml text; // its strings
};

static void set(struct build *b, size_t at, uint64_t value, unsigned size)
{
    aml_set(b->out, b->start + at, value, size);
}

static int add_text(struct build *b, size_t at, const char *text, size_t len, struct error *err)
{
    if (!len)
        return 0; // number 0: no string
    if (b->strings == MAX_STRINGS)
        return error_set(err, -E2BIG, "-smbios: a structure has at most %d strings", MAX_STRINGS);
    if (memchr(text, 0, len))
        return error_set(err, -EINVAL, "-smbios: a string holds no zero byte");
    aml_bytes(&b->text, text, len);
    aml_put(&b->text, 0, 1);
    set(b, at, ++b->strings, 1);
    return 0;
}

// --- what is said on the command line ---

static struct keyval_list *option_of(const struct build *b, unsigned type, size_t n)
{
    for (size_t i = 0; i < b->config->option_count; i++) {
        const char *said = keyval_get(&b->config->options[i], "type");
        if (said && strtoul(said, NULL, 0) == type && !n--)
            return &b->config->options[i];
    }
    return NULL;
}

static const char *said(const struct build *b, unsigned type, const char *key)
{
    const char *value = NULL, *next;
    struct keyval_list *o;
    for (size_t n = 0; (o = option_of(b, type, n)); n++)
        if ((next = keyval_get(o, key)))
            value = next;
    return value;
}

static int set_uuid(struct build *b, size_t at, const char *text, struct error *err)
{
    static const uint8_t place[16] = {6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34};
    bool good = strlen(text) == 36;
    for (unsigned i = 0; good && i < 36; i++)
        good = i == 8 || i == 13 || i == 18 || i == 23 ? text[i] == '-' : isxdigit((unsigned char)text[i]);
    if (!good)
        return error_set(err, -EINVAL, "-smbios: uuid=%s is not of the form 12345678-1234-1234-1234-123456789abc", text);
    for (unsigned i = 0; i < 16; i++) {
        const char digits[3] = {text[place[i]], text[place[i] + 1]};
        set(b, at + i, strtoul(digits, NULL, 16), 1);
    }
    return 0;
}

static int set_property(struct build *b, const struct property *p, const char *value, struct error *err)
{
    uint64_t number = 0;
    unsigned major, minor;
    int r = 0;
    switch (p->kind) {
    case TEXT: return add_text(b, p->at, value, strlen(value), err);
    case UUID: return set_uuid(b, p->at, value, err);
    case U16:
        r = keyval_parse_u64(p->key, value, &number, err);
        if (r)
            return error_prefix(err, r, "-smbios");
        set(b, p->at, number > 0xffff ? 0xffff : number, 2);
        return 0;
    case RELEASE:
        if (sscanf(value, "%3u.%3u", &major, &minor) != 2 || major > 255 || minor > 255)
            return error_set(err, -EINVAL, "-smbios: release=%s is not of the form MAJOR.MINOR", value);
        set(b, p->at, major, 1);
        set(b, p->at + 1u, minor, 1);
        return 0;
    case FLAG: {
        enum { UEFI = 1 << 3, VIRTUAL = 1 << 4 };
        set(b, p->at, VIRTUAL | (strcmp(value, "on") ? 0 : UEFI), 1);
        return 0;
    }
    }
    return 0;
}

static int set_properties(struct build *b, unsigned type, struct error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < ARRAY_SIZE(properties); i++) {
        const struct property *p = &properties[i];
        const char *value = p->type == type ? said(b, type, p->key) : NULL;
        if (!value && p->type == type)
            value = type == SYSTEM && !strcmp(p->key, "version")      ? b->config->product_version
                    : type == PROCESSOR && !strcmp(p->key, "version") ? b->config->cpu
                                                                      : p->value;
        if (value)
            r = set_property(b, p, value, err);
    }
    return r;
}

static int add_file(struct build *b, const char *path, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = malloc(MAX_TEXT);
    ssize_t n = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && text ? read(fd, text, MAX_TEXT) : -1;
    int r = 0;
    if (n < 0)
        r = error_set(err, -EIO, "-smbios: cannot read '%s'", path);
    else if (st.st_size > n)
        r = error_set(err, -EFBIG, "-smbios: '%s' is larger than %d bytes", path, MAX_TEXT);
    else
        r = add_text(b, 4, text, (size_t)n, err);
    if (fd >= 0)
        close(fd);
    free(text);
    return r;
}

// Every value= and path= is a string of its own.
static int set_oem_strings(struct build *b, struct error *err)
{
    int r = 0;
    struct keyval_list *o;
    for (size_t n = 0; (o = option_of(b, OEM_STRINGS, n)); n++)
        for (size_t i = 0; !r && i < o->count; i++) {
            if (!strcmp(o->items[i].key, "value"))
                r = add_text(b, 4, o->items[i].value, strlen(o->items[i].value), err);
            else if (!strcmp(o->items[i].key, "path"))
                r = add_file(b, o->items[i].value, err);
            else
                continue;
            o->items[i].used = true;
        }
    return r;
}

// --- what the machine is ---

static void set_memory(struct build *b, unsigned type)
{
    const struct smbios_config *c = b->config;
    uint64_t mib = c->ram_size >> 20, kib = c->ram_size >> 10, first = c->ram_base >> 10;
    if (type == MEMORY_ARRAY) {
        set(b, 0x04, 1, 1); // location: other
        set(b, 0x05, 3, 1); // system memory
        set(b, 0x06, 6, 1); // multi-bit ECC
        set(b, 0x07, kib < 0x80000000 ? kib : 0x80000000, 4);
        set(b, 0x0b, NO_ERROR_INFO, 2);
        set(b, 0x0d, 1, 2);
        set(b, 0x0f, kib < 0x80000000 ? 0 : c->ram_size, 8);
    } else if (type == MEMORY_DEVICE) {
        set(b, 0x04, 0x1000, 2);
        set(b, 0x06, NO_ERROR_INFO, 2);
        set(b, 0x08, 0xffffffff, 4); // widths are not known
        set(b, 0x0c, mib < 0x7fff ? mib : 0x7fff, 2);
        set(b, 0x0e, 9, 1);      // DIMM
        set(b, 0x12, 7, 1);      // RAM
        set(b, 0x13, 1 << 1, 2); // of another kind
        set(b, 0x1c, mib < 0x7fff ? 0 : mib, 4);
    } else {
        bool wide = first + kib - 1 >= 0xffffffff;
        set(b, 0x04, wide ? 0xffffffff : first, 4);
        set(b, 0x08, wide ? 0xffffffff : first + kib - 1, 4);
        set(b, 0x0c, 0x1000, 2);
        set(b, 0x0e, 1, 1);
        set(b, 0x0f, wide ? c->ram_base : 0, 8);
        set(b, 0x17, wide ? c->ram_base + c->ram_size - 1 : 0, 8);
    }
}

static void set_processor(struct build *b)
{
    unsigned cores = b->config->cpu_count, few = cores < 0xff ? cores : 0xff;
    set(b, 0x05, 3, 1);      // a central processor
    set(b, 0x06, 0xfe, 1);   // family: see below
    set(b, 0x18, 0x41, 1);   // populated and enabled
    set(b, 0x19, 1, 1);      // no socket to speak of
    set(b, 0x1a, NO_HANDLE, 2);
    set(b, 0x1c, NO_HANDLE, 2);
    set(b, 0x1e, NO_HANDLE, 2);
    set(b, 0x23, few, 1);
    set(b, 0x24, few, 1);
    set(b, 0x25, few, 1);
    set(b, 0x26, 1 << 2, 2);  // 64-bit
    set(b, 0x28, 0x101, 2);   // Armv8
    set(b, 0x2a, cores, 2);
    set(b, 0x2c, cores, 2);
    set(b, 0x2e, cores, 2);
}

static void set_facts(struct build *b, unsigned type)
{
    switch (type) {
    case BIOS:
        set(b, 0x0a, 1 << 3, 8); // characteristics: not given
        set(b, 0x12, 0, 1);
        set(b, 0x13, 1 << 4, 1); // of a virtual machine
        set(b, 0x16, 0xffff, 2); // no embedded controller
        break;
    case SYSTEM: set(b, 0x18, 6, 1); break; // woken by the power switch
    case BASEBOARD:
        set(b, 0x09, 1, 1); // hosts the processor
        set(b, 0x0b, 0x300, 2);
        set(b, 0x0d, 0x0a, 1); // a motherboard
        break;
    case CHASSIS:
        set(b, 0x05, 1, 1);        // other
        set(b, 0x09, 0x030303, 3); // boot, power and heat: safe
        set(b, 0x0c, 2, 1);        // security unknown
        break;
    case PROCESSOR: set_processor(b); break;
    case MEMORY_ARRAY:
    case MEMORY_DEVICE:
    case MEMORY_MAPPED: set_memory(b, type); break;
    default: break;
    }
}

static int add_structure(struct build *b, const struct shape *s, struct error *err)
{
    b->start = b->out->size;
    b->strings = 0;
    b->text.size = 0;
    aml_put(b->out, s->type, 1);
    aml_put(b->out, s->length, 1);
    aml_put(b->out, s->handle, 2);
    aml_zeros(b->out, s->length - 4u);
    set_facts(b, s->type);
    int r = set_properties(b, s->type, err);
    if (!r && s->type == OEM_STRINGS)
        r = set_oem_strings(b, err);
    aml_bytes(b->out, b->text.data, b->text.size);
    aml_zeros(b->out, b->strings ? 1 : 2);
    b->structures++;
    return r;
}

static int check_options(const struct smbios_config *c, struct error *err)
{
    for (size_t i = 0; i < c->option_count; i++) {
        struct keyval_list *o = &c->options[i];
        const char *type = keyval_get(o, "type");
        uint64_t number = 0;
        if (keyval_get(o, "file"))
            return error_set(err, -ENOTSUP, "-smbios: file= is not supported; use type= and its properties");
        if (!type)
            return error_set(err, -EINVAL, "-smbios needs type=");
        int r = keyval_parse_u64("-smbios: type", type, &number, err);
        if (r)
            return r;
        size_t s = 0;
        while (s < ARRAY_SIZE(shapes) && (shapes[s].type != number || shapes[s].type > MEMORY_DEVICE ||
                                          shapes[s].type == MEMORY_ARRAY))
            s++;
        if (s == ARRAY_SIZE(shapes))
            return error_set(err, -ENOTSUP, "-smbios: type=%s is not one of 0, 1, 2, 3, 4, 11 and 17", type);
    }
    return 0;
}

static void add_anchor(const struct build *b, struct aml *anchor)
{
    enum { LENGTH = 24, CHECKSUM = 5 };
    uint8_t sum = 0;
    aml_bytes(anchor, "_SM3_", 5);
    aml_put(anchor, 0, 1);
    aml_put(anchor, LENGTH, 1);
    aml_put(anchor, 3, 1); // version 3.0
    aml_put(anchor, 0, 2);
    aml_put(anchor, 1, 2); // revision of this structure
    aml_put(anchor, b->out->size, 4);
    aml_put(anchor, 0, 8);
    for (size_t i = 0; i < anchor->size; i++)
        sum = (uint8_t)(sum + anchor->data[i]);
    aml_set(anchor, CHECKSUM, (uint8_t)-sum, 1);
}

int smbios_build(const struct smbios_config *c, struct aml *tables, struct aml *anchor, struct error *err)
{
    struct build b = {.config = c, .out = tables};
    *tables = *anchor = (struct aml){0};
    int r = check_options(c, err);
    for (size_t i = 0; !r && i < ARRAY_SIZE(shapes); i++)
        if (shapes[i].always || option_of(&b, shapes[i].type, 0))
            r = add_structure(&b, &shapes[i], err);
    for (size_t i = 0; !r && i < c->option_count; i++)
        if (keyval_unused(&c->options[i]))
            r = error_set(err, -EINVAL, "-smbios: type=%s does not know the property '%s'",
                          keyval_get(&c->options[i], "type"), keyval_unused(&c->options[i]));
    if (!r)
        add_anchor(&b, anchor);
    if (!r && (tables->failed || anchor->failed || b.text.failed))
        r = error_set(err, -ENOMEM, "out of memory for the SMBIOS tables");
    aml_free(&b.text);
    return r;
}
