// SPDX-License-Identifier: MIT
// Owns the lists that people read about a machine: memory map, devices, drives, character devices.
#include "host/block.h"
#include "hw/core/state.h"
#include "machines/machine_internal.h"

#include <inttypes.h>

void machine_print_map(struct machine *machine, FILE *out)
{
    const struct mem_view *view = machine->mem ? atomic_load(&machine->mem->view) : NULL;
    fprintf(out, "memory\n");
    for (size_t i = 0; view && i < view->count; i++) {
        const struct mem_range *r = &view->ranges[i];
        fprintf(out, "  %016" PRIx64 "-%016" PRIx64 " %s %s\n", r->base, r->base + r->size - 1,
                !r->ram ? "mmio" : r->flags & MEM_READONLY ? "rom " : "ram ", r->name);
    }
}

void machine_print_devices(struct machine *machine, FILE *out)
{
    for (size_t i = 0; i < machine->device_count; i++) {
        fprintf(out, "%s (%s)\n", machine->devices[i]->path, machine->devices[i]->class->type);
        state_print(machine->devices[i], out);
    }
}

void machine_print_drives(struct machine *machine, FILE *out)
{
    for (size_t i = 0; i < machine->drive_count; i++) {
        const struct machine_drive *d = &machine->drives[i];
        fprintf(out, "%s: %" PRIu64 " bytes, %s%s%s\n", d->id, block_size(d->block), block_format(d->block),
                block_readonly(d->block) ? ", read-only" : "", d->taken ? "" : ", not in use");
    }
}

void machine_print_chardevs(struct machine *machine, FILE *out)
{
    for (size_t i = 0; i < machine->chardev_count; i++)
        fprintf(out, "%s%s\n", machine->chardevs[i].id, machine->chardevs[i].mux ? " (multiplexed)" : "");
}
