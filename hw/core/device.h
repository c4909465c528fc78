// SPDX-License-Identifier: MIT
// What every device model shares: identity, reset, and a table that describes its state.
//
// A device gets offsets, irq lines, a chardev, a clock; it never knows its base address, its interrupt
// controller, a CPU or the board. The state table is the single source of save, load, print, compare and
// fuzz; a device without one does not compile (DEVICE_CLASS needs it). All calls hold the machine lock unless
// a device says otherwise.
#ifndef HW_CORE_DEVICE_H
#define HW_CORE_DEVICE_H

#include "base/types.h"
#include "mem/mem.h"

// A wire into an interrupt controller (or a GPIO input). Level-triggered: set(true) while asserted.
struct irq {
    void (*set)(void *opaque, unsigned line, bool level);
    void *opaque;
    unsigned line;
};

static inline void irq_set(const struct irq *irq, bool level)
{
    if (irq->set)
        irq->set(irq->opaque, irq->line, level);
}

enum state_kind { STATE_BOOL, STATE_U8, STATE_U16, STATE_U32, STATE_U64, STATE_I64, STATE_BYTES, STATE_TIME };

// One field of a device's state. id is stable for ever; count is the number of elements (bytes for
// STATE_BYTES). STATE_TIME is an int64_t of machine-clock nanoseconds, saved relative to the clock at save.
struct state_field {
    uint16_t id;
    uint8_t kind; // enum state_kind
    const char *name;
    uint32_t offset, count;
    uint32_t
        stride; // bytes from one element to the next where they are members of an array of structs; 0: packed
};

#define STATE_FIELD(id_, kind_, type_, member_)                                                              \
    {                                                                                                        \
        .id = (id_), .kind = (kind_), .name = #member_, .offset = offsetof(struct type_, member_),           \
        .count = 1                                                                                           \
    }
#define STATE_ARRAY(id_, kind_, type_, member_, count_)                                                      \
    {                                                                                                        \
        .id = (id_), .kind = (kind_), .name = #member_, .offset = offsetof(struct type_, member_),           \
        .count = (count_)                                                                                    \
    }
// The member of each struct of the array array_ (count_ of them).
#define STATE_EACH(id_, kind_, type_, array_, member_, count_)                                               \
    {                                                                                                        \
        .id = (id_), .kind = (kind_), .name = #array_ "." #member_,                                          \
        .offset = offsetof(struct type_, array_[0].member_), .count = (count_),                              \
        .stride = sizeof(((struct type_ *)0)->array_[0])                                                     \
    }

struct device;
struct error;

struct device_class {
    const char *type;                 // "pl011": also the chunk type in a snapshot
    uint16_t version;                 // of the field table
    const struct state_field *fields; // offsets are from the struct device at the head of the model
    size_t field_count;
    void (*reset)(struct device *dev);     // to the datasheet's reset values; irq lines are lowered
    void (*post_load)(struct device *dev); // after a restore: recompute irq levels and timers; may be NULL
    void (*destroy)(struct device *dev);   // frees the model
    const struct mem_mmio_ops *mmio;       // register file, NULL if it has none; opaque is the device
    uint64_t mmio_size;                    // bytes
    // Before a save, vCPUs parked: completes or takes back what is under way outside the fields (requests at a back
    // end, packets half delivered), so that nothing but the fields and RAM is state. Block back ends are drained
    // afterwards, so a device that only waits for them needs none. May be NULL.
    void (*quiesce)(struct device *dev);
    // Before a save: whether the fields will be all of its state, or a negative errno and a sentence. NULL: they will.
    int (*can_save)(struct device *dev, struct error *err);
};

// First member of every device model.
struct device {
    const struct device_class *class;
    char path[48]; // instance path, set by the board ("/virt/uart0")
};

// path is copied; NULL names the device after its type.
void device_init(struct device *dev, const struct device_class *class, const char *path);
void device_reset(struct device *dev);
void device_destroy(struct device *dev); // NULL is allowed

#define DEVICE_CLASS(type_, version_, fields_, reset_, post_load_, destroy_, mmio_, mmio_size_)              \
    {                                                                                                        \
        .type = (type_), .version = (version_), .fields = (fields_), .field_count = ARRAY_SIZE(fields_),     \
        .reset = (reset_), .post_load = (post_load_), .destroy = (destroy_), .mmio = (mmio_),                \
        .mmio_size = (mmio_size_)                                                                            \
    }
// The same with a quiesce.
#define DEVICE_CLASS_QUIESCED(type_, version_, fields_, reset_, post_load_, destroy_, mmio_, mmio_size_, quiesce_)  \
    {                                                                                                        \
        .type = (type_), .version = (version_), .fields = (fields_), .field_count = ARRAY_SIZE(fields_),     \
        .reset = (reset_), .post_load = (post_load_), .destroy = (destroy_), .mmio = (mmio_),                \
        .mmio_size = (mmio_size_), .quiesce = (quiesce_)                                                     \
    }

#endif
