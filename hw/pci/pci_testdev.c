// SPDX-License-Identifier: MIT
// Owns the PCI test device (QEMU docs/specs/pci-testdev.rst). Each BAR begins with the header of the test
// that was started last; writes that the header asks for are counted. The three tests differ in how a
// hypervisor would take the write; here each is the same device access, and the wildcard test takes any
// value.
#include "hw/pci/pci_testdev.h"
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REDHAT = 0x1b36,
    TESTDEV = 0x0005,
    REDHAT_QUMRANET = 0x1af4,
    SUBSYSTEM = 0x1100,
    CLASS_OTHER = 0x00ff00
};
enum { TESTS = 3, WILDCARD = 1, NONE = 0xff, MEMORY_SIZE = 4096, IO_SIZE = 256, DATA = 0xfa, WIDTH = 1 };

static const char *const names[TESTS] = {"no-eventfd", "wildcard-eventfd", "datamatch-eventfd"};

struct header {
    uint8_t test;
    uint8_t width_type;
    uint8_t pad0[2];
    uint32_t offset, data, count;
    char name[48];
};

struct testdev;

struct side {
    struct testdev *owner;
    bool io;
};

struct testdev {
    struct pci_device pci;
    struct side sides[2];
    uint8_t test; // the one that was started, or NONE
    bool io;      // on which side
    uint32_t count;
};

static const struct state_field fields[] = {
    PCI_STATE(testdev, pci),
    STATE_FIELD(16, STATE_U8, testdev, test),
    STATE_FIELD(17, STATE_BOOL, testdev, io),
    STATE_FIELD(18, STATE_U32, testdev, count),
};

// Where the writes of the started test go, in its BAR.
static uint32_t place(const struct testdev *t)
{
    return (t->io ? IO_SIZE : MEMORY_SIZE) / 2 + t->test;
}

static enum mem_result read_header(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    const struct side *side = opaque;
    const struct testdev *t = side->owner;
    *ret_value = 0;
    if (t->test == NONE || side->io != t->io || offset + size > sizeof(struct header))
        return MEM_OK;
    struct header h = {
        .test = t->test, .width_type = WIDTH, .offset = place(t), .data = DATA, .count = t->count};
    snprintf(h.name, sizeof h.name, "%s-%s", t->io ? "portio" : "mmio", names[t->test]);
    memcpy(ret_value, (const uint8_t *)&h + offset, size);
    return MEM_OK;
}

static enum mem_result write_test(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    const struct side *side = opaque;
    struct testdev *t = side->owner;
    if (offset == offsetof(struct header, test)) {
        t->test = (value & 0xff) < TESTS ? (uint8_t)value : NONE;
        t->io = side->io;
        t->count = 0;
    } else if (t->test != NONE && side->io == t->io && offset == place(t) && size == WIDTH &&
               (t->test == WILDCARD || value == DATA)) {
        t->count++;
    }
    return MEM_OK;
}

static const struct mem_mmio_ops ops = {read_header, write_test, 1, 4};

static void reset(struct device *dev)
{
    struct testdev *t = (struct testdev *)dev;
    pci_reset(&t->pci);
    t->test = NONE;
    t->io = false;
    t->count = 0;
}

static void post_load(struct device *dev)
{
    struct testdev *t = (struct testdev *)dev;
    if (t->test >= TESTS)
        t->test = NONE;
    pci_restored(&t->pci);
}

static void destroy(struct device *dev)
{
    pci_detach((struct pci_device *)dev);
    free(dev);
}

static const struct device_class class =
    DEVICE_CLASS("pci-testdev", 1, fields, reset, post_load, destroy, NULL, 0);

int pci_testdev_create(const char *path, bool multifunction, struct pci_device **ret_pdev, struct error *err)
{
    const struct pci_identity identity = {.vendor = REDHAT,
                                          .device = TESTDEV,
                                          .subsystem_vendor = REDHAT_QUMRANET,
                                          .subsystem = SUBSYSTEM,
                                          .class_code = CLASS_OTHER,
                                          .multifunction = multifunction};
    struct testdev *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, -ENOMEM, "out of memory");
    pci_init(&t->pci, &class, path, &identity, NULL);
    for (unsigned i = 0; i < 2; i++) {
        t->sides[i] = (struct side){t, i};
        const struct pci_bar bar = {
            .size = i ? IO_SIZE : MEMORY_SIZE, .io = i, .ops = &ops, .opaque = &t->sides[i]};
        pci_add_bar(&t->pci, i, &bar);
    }
    device_reset(&t->pci.dev);
    *ret_pdev = &t->pci;
    return 0;
}
