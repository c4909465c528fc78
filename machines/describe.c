// SPDX-License-Identifier: MIT
// Owns the lists that people read about a machine: memory map, devices, drives, character devices.
#include "host/block.h"
#include "hw/core/state.h"
#include "machines/machine_internal.h"

#include <inttypes.h>

const char *machine_run_state_name(enum machine_run_state state)
{
    static const char *const names[] = {
        [MACHINE_STATE_PRELAUNCH] = "prelaunch", [MACHINE_STATE_RUNNING] = "running",
        [MACHINE_STATE_PAUSED] = "paused",       [MACHINE_STATE_SHUT_DOWN] = "shutdown",
        [MACHINE_STATE_PANICKED] = "guest-panicked", [MACHINE_STATE_DEBUG] = "debug",
        [MACHINE_STATE_WATCHDOG] = "watchdog",   [MACHINE_STATE_INMIGRATE] = "inmigrate"};
    return names[state];
}

bool machine_get_drive(const struct machine *machine, size_t index, struct machine_drive_info *ret_info)
{
    if (index >= machine->drive_count)
        return false;
    const struct machine_drive *d = &machine->drives[index];
    *ret_info = (struct machine_drive_info){.id = d->id,
                                            .file = index < machine->config.drive_count
                                                        ? keyval_get(&machine->config.drives[index], "file")
                                                        : NULL,
                                            .format = block_format(d->block),
                                            .size = block_size(d->block),
                                            .readonly = block_readonly(d->block),
                                            .used = d->taken};
    return true;
}

bool machine_get_chardev(const struct machine *machine, size_t index, struct machine_chardev_info *ret_info)
{
    if (index >= machine->chardev_count)
        return false;
    const struct machine_chardev *c = &machine->chardevs[index];
    *ret_info = (struct machine_chardev_info){
        .id = c->id, .backend = keyval_get(&machine->config.chardevs[index], "backend"), .used = c->taken || c->mux};
    return true;
}

bool machine_get_device(const struct machine *machine, size_t index, struct machine_device_info *ret_info)
{
    if (index >= machine->device_count)
        return false;
    *ret_info = (struct machine_device_info){.type = machine->devices[index]->class->type,
                                             .path = machine->devices[index]->path};
    return true;
}

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
