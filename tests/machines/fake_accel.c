// SPDX-License-Identifier: MIT
// Owns the fake accelerator's answers. Invariant: it has the real one's rules for start, off and pause, no
// threads.
#include "tests/machines/fake_accel.h"
#include "base/error.h"
#include "frontends/a64/a64.h"

#include <errno.h>
#include <stdlib.h>

static const char *const cpu_names[] = {"cortex-a53", "cortex-a72", "max", NULL};
const struct guest_isa a64_isa = {.cpu_names = cpu_names};

int accel_create(const struct accel_config *config, struct accel **ret_accel, struct error *err)
{
    struct accel *a = calloc(1, sizeof *a);
    a->cpu_count = config->cpu_count;
    a->paused = 1;
    a->hypercall = config->cpus[0].hypercall;
    a->ports = config->cpus[0].ports;
    a->mem = config->mem;
    *ret_accel = a;
    return 0;
}

void accel_destroy(struct accel *accel)
{
    free(accel);
}

int accel_cpu_start(struct accel *accel, unsigned cpu, uint64_t entry, uint64_t arg)
{
    if (accel->on[cpu])
        return -EALREADY;
    accel->on[cpu] = true;
    accel->entry[cpu] = entry;
    accel->arg[cpu] = arg;
    return 0;
}

void accel_cpu_off(struct accel *accel, unsigned cpu)
{
    accel->on[cpu] = false;
}

int accel_cpu_thread(const struct accel *accel, unsigned cpu)
{
    return 1000 + (int)cpu;
}

int accel_current_cpu(const struct accel *accel)
{
    return -1;
}

bool accel_cpu_on(const struct accel *accel, unsigned cpu)
{
    return accel->on[cpu];
}

void accel_pause(struct accel *accel)
{
    accel->paused++;
}

void accel_resume(struct accel *accel)
{
    if (--accel->paused == 0 && accel->on_resume)
        accel->on_resume(accel);
}

void accel_run_only(struct accel *accel, unsigned cpu)
{
}

void accel_cancel_step(struct accel *accel) {}

void accel_reset(struct accel *accel)
{
    for (unsigned i = 0; i < FAKE_CPUS; i++)
        accel->on[i] = false;
}

void accel_set_irq(struct accel *accel, unsigned cpu, enum vcpu_irq irq, bool level)
{
    accel->irqs[cpu] = (accel->irqs[cpu] & ~(1u << irq)) | (uint32_t)level << irq;
}

void accel_code_written(struct accel *accel, struct mem_ram *ram, uint64_t offset, uint64_t len) {}

void accel_withdraw_writes(struct accel *accel) {}

size_t accel_cpu_state_size(const struct accel *accel, unsigned cpu)
{
    return 1;
}

void accel_cpu_save(struct accel *accel, unsigned cpu, uint8_t *buf)
{
    *buf = accel->on[cpu];
}

int accel_cpu_load(struct accel *accel, unsigned cpu, const uint8_t *data, size_t size, struct error *err)
{
    if (size != 1 || *data > 1)
        return error_set(err, -EINVAL, "the state of CPU %u is no state", cpu);
    accel->on[cpu] = *data;
    return 0;
}

struct ir_env *accel_env(struct accel *accel, unsigned cpu)
{
    return NULL;
}

int accel_debug_read(struct accel *accel, unsigned cpu, uint64_t va, void *buf, size_t len)
{
    return -EFAULT;
}

void accel_print_stats(struct accel *accel, FILE *out) {}

int accel_debug_write(struct accel *accel, unsigned cpu, uint64_t va, const void *buf, size_t len)
{
    return -EFAULT;
}

int accel_breakpoint(struct accel *accel, uint64_t va, bool insert)
{
    return 0;
}

int accel_watchpoint(struct accel *accel, uint64_t va, uint64_t len, unsigned access, bool insert)
{
    return 0;
}

void accel_watch_hit(struct accel *accel, unsigned cpu, uint64_t *ret_va, enum guest_access *ret_access) {}

void accel_step(struct accel *accel, unsigned cpu) {}
