// SPDX-License-Identifier: MIT
// Counters of the accelerator as text, for "info jit".
#include "accel/jit/lockstep.h"
#include "accel/jit/tier.h"

#include <stddef.h>

static const struct {
    const char *name;
    size_t offset;
} rows[] = {
    {"units entered from the dispatcher", offsetof(struct vcpu_stats, enters)},
    {"unit lookups", offsetof(struct vcpu_stats, lookups)},
    {"unit lookups past the inline table", offsetof(struct vcpu_stats, translations)},
    {"exits: successor", offsetof(struct vcpu_stats, exits[IR_EXIT_JUMP])},
    {"exits: poll", offsetof(struct vcpu_stats, exits[IR_EXIT_POLL])},
    {"exits: fault", offsetof(struct vcpu_stats, exits[IR_EXIT_FAULT])},
    {"exits: hot", offsetof(struct vcpu_stats, exits[IR_EXIT_HOT])},
    {"exits: state change", offsetof(struct vcpu_stats, exits[IR_EXIT_STATE])},
    {"exits: halt", offsetof(struct vcpu_stats, exits[IR_EXIT_HALT])},
    {"exits: wait for event", offsetof(struct vcpu_stats, exits[IR_EXIT_WAIT_EVENT])},
    {"interrupts taken", offsetof(struct vcpu_stats, interrupts)},
    {"faults delivered", offsetof(struct vcpu_stats, faults)},
    {"inline table fills", offsetof(struct vcpu_stats, fills)},
    {"table walks", offsetof(struct vcpu_stats, walks)},
    {"slow loads", offsetof(struct vcpu_stats, slow_loads)},
    {"slow stores", offsetof(struct vcpu_stats, slow_stores)},
    {"MMIO accesses", offsetof(struct vcpu_stats, mmio)},
    {"context switches", offsetof(struct vcpu_stats, context_switches)},
    {"contexts made", offsetof(struct vcpu_stats, context_misses)},
    {"context flushes", offsetof(struct vcpu_stats, flushes)},
};

static void print_name(FILE *out, const char *name)
{
    fprintf(out, "%-36s", name);
}

void accel_print_stats(struct accel *accel, FILE *out)
{
    const struct jit *jit = &accel->jit;
    fprintf(out, "units: %llu made of %llu guest bytes, %llu killed, %llu links, %llu chunk evictions, %.3f s\n",
            (unsigned long long)jit->units_made, (unsigned long long)jit->guest_bytes,
            (unsigned long long)jit->units_killed, (unsigned long long)jit->links_made,
            (unsigned long long)jit->evictions, (double)jit->translate_ns * 1e-9);
    tier_print(accel, out);
    for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
        print_name(out, rows[r].name);
        for (unsigned i = 0; i < accel->cpu_count; i++)
            fprintf(out, " %12llu",
                    (unsigned long long)*(const uint64_t *)((const char *)&accel->cpus[i].stats + rows[r].offset));
        fputc('\n', out);
    }
    if (accel->config.engine != ACCEL_LOCKSTEP)
        return;
    print_name(out, "units compared");
    for (unsigned i = 0; i < accel->cpu_count; i++)
        fprintf(out, " %12llu", (unsigned long long)lockstep_units(&accel->cpus[i]));
    fputc('\n', out);
    print_name(out, "regions compared");
    for (unsigned i = 0; i < accel->cpu_count; i++)
        fprintf(out, " %12llu", (unsigned long long)lockstep_regions(&accel->cpus[i]));
    fputc('\n', out);
}
