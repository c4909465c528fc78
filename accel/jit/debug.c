// SPDX-License-Identifier: MIT
// What a debugger needs of vCPUs: breakpoints by guest virtual address, watchpoints, single steps, memory as a vCPU
// sees it. Breakpoints never touch guest memory: pages that hold one run an instruction a unit, unlinked.
#include "accel/jit/jit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool debug_breakpoint_in(const struct accel *accel, uint64_t pc, uint64_t len)
{
    const uint64_t *list = atomic_load(&accel->breakpoints);
    for (uint64_t i = 1; list && i <= list[0]; i++)
        if (list[i] - pc < len)
            return true;
    return false;
}

bool debug_breakpoint_at(const struct accel *accel, uint64_t pc)
{
    return debug_breakpoint_in(accel, pc, 1);
}

int accel_breakpoint(struct accel *accel, uint64_t va, bool insert)
{
    uint64_t *old = atomic_load(&accel->breakpoints);
    uint64_t n = old ? old[0] : 0;
    bool present = debug_breakpoint_at(accel, va);
    if (insert == present)
        return insert ? 0 : -ENOENT;
    uint64_t *list = calloc(n + 2, sizeof *list);
    if (!list)
        return -ENOMEM;
    for (uint64_t i = 1; i <= n; i++)
        if (old[i] != va)
            list[++list[0]] = old[i];
    if (insert)
        list[++list[0]] = va;
    bool none = !list[0];
    atomic_store(&accel->breakpoints, none ? NULL : list);
    free(old);
    if (none)
        free(list);
    jit_flush(accel, NULL);
    return 0;
}

void vcpu_set_watch(struct ir_env *env, enum vcpu_watch_owner owner, const struct vcpu_watch *watch, unsigned count)
{
    struct vcpu *vcpu = vcpu_of(env);
    count = count > MAX_WATCH ? MAX_WATCH : count;
    if (count)
        memcpy(vcpu->watch[owner], watch, count * sizeof *watch);
    vcpu->watch_count[owner] = count;
    bool any = vcpu->watch_count[VCPU_WATCH_GUEST] || vcpu->watch_count[VCPU_WATCH_DEBUGGER];
    if (any || vcpu->watch_any)
        context_forget_all(vcpu);
    vcpu->watch_any = any;
}

int accel_watchpoint(struct accel *accel, uint64_t va, uint64_t len, unsigned access, bool insert)
{
    for (unsigned c = 0; c < accel->cpu_count; c++) {
        struct vcpu *vcpu = &accel->cpus[c];
        struct vcpu_watch list[MAX_WATCH];
        unsigned n = 0;
        bool found = false;
        for (unsigned i = 0; i < vcpu->watch_count[VCPU_WATCH_DEBUGGER]; i++) {
            const struct vcpu_watch *w = &vcpu->watch[VCPU_WATCH_DEBUGGER][i];
            if (w->va == va && w->len == len && w->access == access)
                found = true;
            else
                list[n++] = *w;
        }
        if (!insert && !found)
            return -ENOENT;
        if (insert && n == MAX_WATCH)
            return -ENOSPC;
        if (insert)
            list[n++] = (struct vcpu_watch){.va = va, .len = len, .access = (uint8_t)access, .mmu_mask = 0xff};
        vcpu_set_watch(vcpu->env, VCPU_WATCH_DEBUGGER, list, n);
    }
    return 0;
}

void accel_watch_hit(struct accel *accel, unsigned cpu, uint64_t *ret_va, enum guest_access *ret_access)
{
    const struct vcpu *vcpu = &accel->cpus[cpu];
    *ret_va = accel->isa->canonical(vcpu->env, vcpu->fault.va);
    *ret_access = vcpu->fault.access;
}

void accel_step(struct accel *accel, unsigned cpu)
{
    pthread_mutex_lock(&accel->lock);
    accel->cpus[cpu].step = true;
    accel->step_cpu = (int)cpu;
    pthread_mutex_unlock(&accel->lock);
}

void accel_run_only(struct accel *accel, unsigned cpu)
{
    pthread_mutex_lock(&accel->lock);
    accel->step_cpu = (int)cpu;
    pthread_mutex_unlock(&accel->lock);
}

void accel_cancel_step(struct accel *accel)
{
    pthread_mutex_lock(&accel->lock);
    if (accel->step_cpu >= 0)
        accel->cpus[accel->step_cpu].step = false;
    accel->step_cpu = -1;
    pthread_mutex_unlock(&accel->lock);
}

static int debug_access(struct accel *accel, unsigned cpu, uint64_t va, void *buf, size_t len, bool write)
{
    struct vcpu *vcpu = &accel->cpus[cpu];
    const struct guest_isa *isa = accel->isa;
    for (uint8_t *bytes = buf; len;) {
        size_t step = IR_PAGE_SIZE - (va & (IR_PAGE_SIZE - 1));
        step = step > len ? len : step;
        struct guest_mapping map = {0};
        struct guest_fault fault;
        bool pending = vcpu->context_pending; // meanwhile nothing is kept: a debugger may have set control registers
        vcpu->context_pending = true;
        bool mapped = isa->walk(vcpu->env, va, GUEST_READ, isa->fetch_mmu(vcpu->env->key), &map, &fault);
        vcpu->context_pending = pending;
        if (!mapped)
            return -EFAULT;
        struct gpa pa = {map.pa.v + (va & ((1ull << map.page_bits) - 1))};
        const struct mem_range *range = mem_find(accel->mem, pa);
        if (!range || !range->ram)
            return -EFAULT;
        enum mem_result r = write ? mem_write(accel->mem, pa, bytes, step, false)
                                  : mem_read(accel->mem, pa, bytes, step, false);
        if (r != MEM_OK)
            return -EFAULT;
        va += step;
        bytes += step;
        len -= step;
    }
    return 0;
}

int accel_debug_read(struct accel *accel, unsigned cpu, uint64_t va, void *buf, size_t len)
{
    return debug_access(accel, cpu, va, buf, len, false);
}

int accel_debug_write(struct accel *accel, unsigned cpu, uint64_t va, const void *buf, size_t len)
{
    return debug_access(accel, cpu, va, (void *)(uintptr_t)buf, len, true);
}
