// SPDX-License-Identifier: MIT
// The accelerator as boards see it: making vCPUs and their threads, pausing and resuming, power, interrupt inputs, and
// the calls that frontends' helpers make (accel/guest_api.h) where they concern more than one vCPU.
#include "accel/jit/jit.h"
#include "accel/jit/lockstep.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void request_all(struct accel *accel, uint32_t bits)
{
    for (unsigned i = 0; i < accel->cpu_count; i++)
        vcpu_request(&accel->cpus[i], bits);
}

static void code_written(void *opaque, struct mem_ram *ram, uint64_t offset, uint64_t len)
{
    accel_code_written(opaque, ram, offset, len);
}

static void written(void *opaque, struct mem_ram *ram, uint64_t offset, uint64_t len)
{
    monitor_written(opaque, NULL, ram->host + offset, len);
}

static int make_write_maps(struct accel *accel, struct error *err)
{
    const struct mem_view *view = atomic_load(&accel->mem->view);
    for (size_t i = 0; view && i < view->count; i++) {
        struct mem_ram *ram = view->ranges[i].ram;
        if (!ram || (accel->write_map_count && code_write_slot(accel, ram, 0)))
            continue;
        if (accel->write_map_count == ARRAY_SIZE(accel->write_maps))
            return error_set(err, -E2BIG, "more than %zu RAM blocks", ARRAY_SIZE(accel->write_maps));
        struct write_map *map = &accel->write_maps[accel->write_map_count];
        map->va = calloc((ram->size >> MEM_PAGE_BITS) + 1, sizeof *map->va);
        if (!map->va)
            return error_set(err, -ENOMEM, "out of memory for the map of written pages");
        map->ram = ram;
        accel->write_map_count++;
    }
    return 0;
}

static int make_vcpu(struct accel *accel, unsigned index, const struct guest_cpu_config *config, struct error *err)
{
    struct vcpu *vcpu = &accel->cpus[index];
    size_t size = (accel->isa->ir.layout->size + 63) & ~(size_t)63;
    vcpu->accel = accel;
    vcpu->index = index;
    pthread_mutex_init(&vcpu->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&vcpu->wake, &attr);
    pthread_condattr_destroy(&attr);
    vcpu->env = aligned_alloc(64, size);
    if (!vcpu->env || tlb_create(&vcpu->tlb))
        return error_set(err, -ENOMEM, "out of memory for vCPU %u", index);
    memset(vcpu->env, 0, size);
    vcpu->env->vcpu = vcpu;
    if (accel->config.engine != ACCEL_JIT) {
        vcpu->slots = malloc(IR_MAX_INSNS * sizeof *vcpu->slots);
        if (!vcpu->slots)
            return error_set(err, -ENOMEM, "out of memory for vCPU %u", index);
    }
    if (accel->config.engine == ACCEL_LOCKSTEP && lockstep_create(vcpu))
        return error_set(err, -ENOMEM, "out of memory for the lock-step record of vCPU %u", index);
    return accel->isa->create(vcpu->env, config, err);
}

static int wrap_helpers(struct accel *accel, struct error *err)
{
    accel->guest = accel->isa->ir;
    if (accel->config.engine != ACCEL_LOCKSTEP)
        return 0;
    if (accel->guest.helper_count > LOCKSTEP_HELPERS)
        return error_set(err, -E2BIG, "lock-step knows %d helpers, the guest has %u", LOCKSTEP_HELPERS,
                         accel->guest.helper_count);
    struct ir_helper *helpers = calloc(LOCKSTEP_HELPERS, sizeof *helpers);
    if (!helpers)
        return error_set(err, -ENOMEM, "out of memory for the lock-step helpers");
    lockstep_wrap(&accel->isa->ir, helpers);
    accel->guest.helpers = helpers;
    return 0;
}

int accel_cpu_thread(const struct accel *accel, unsigned cpu)
{
    return atomic_load(&accel->cpus[cpu].thread_id);
}

static void wait_until_parked(struct accel *accel)
{
    pthread_mutex_lock(&accel->lock);
    for (unsigned i = 0; i < accel->cpu_count; i++)
        while (!accel->cpus[i].parked)
            pthread_cond_wait(&accel->changed, &accel->lock);
    pthread_mutex_unlock(&accel->lock);
}

int accel_create(const struct accel_config *config, struct accel **ret_accel, struct error *err)
{
    struct accel *accel = calloc(1, sizeof *accel);
    if (!accel)
        return error_set(err, -ENOMEM, "out of memory for the accelerator");
    accel->config = *config;
    accel->isa = config->isa;
    accel->mem = config->mem;
    accel->log = config->log;
    accel->pause_count = 1;
    accel->step_cpu = -1;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    accel->crowded = processors > 0 && config->cpu_count > 2 * (unsigned long)processors;
    pthread_mutex_init(&accel->lock, NULL);
    pthread_cond_init(&accel->changed, NULL);
    accel->cpus = calloc(config->cpu_count, sizeof *accel->cpus);
    int r = accel->cpus ? make_write_maps(accel, err) : error_set(err, -ENOMEM, "out of memory for the vCPUs");
    struct guest_cpu_config *cpus = calloc(config->cpu_count, sizeof *cpus);
    if (!r && !cpus)
        r = error_set(err, -ENOMEM, "out of memory for the vCPUs");
    if (!r)
        memcpy(cpus, config->cpus, config->cpu_count * sizeof *cpus);
    accel->config.cpus = cpus;
    for (unsigned i = 0; !r && i < config->cpu_count; i++) {
        r = make_vcpu(accel, i, &cpus[i], err);
        accel->cpu_count = i + 1;
    }
    if (!r)
        r = wrap_helpers(accel, err);
    if (!r)
        r = jit_create(accel, err);
    accel->mem->watcher = (struct mem_watcher){.code_written = code_written, .opaque = accel,
                                                 .written = config->exact_exclusives ? written : NULL};
    for (unsigned i = 0; !r && i < accel->cpu_count; i++) {
        int e = pthread_create(&accel->cpus[i].thread, NULL, vcpu_main, &accel->cpus[i]);
        if (e)
            r = error_set(err, -e, "cannot start the thread of vCPU %u: %s", i, strerror(e));
        else
            accel->cpus[i].thread_started = true;
    }
    if (r) {
        accel_destroy(accel);
        return r;
    }
    wait_until_parked(accel);
    *ret_accel = accel;
    return 0;
}

int accel_current_cpu(const struct accel *accel)
{
    pthread_t self = pthread_self();
    for (unsigned i = 0; i < accel->cpu_count; i++)
        if (accel->cpus[i].thread_started && pthread_equal(accel->cpus[i].thread, self))
            return (int)i;
    return -1;
}

void accel_destroy(struct accel *accel)
{
    if (!accel)
        return;
    pthread_mutex_lock(&accel->lock);
    accel->quit = true;
    pthread_cond_broadcast(&accel->changed);
    pthread_mutex_unlock(&accel->lock);
    for (unsigned i = 0; i < accel->cpu_count; i++)
        if (accel->cpus[i].thread_started) {
            vcpu_request(&accel->cpus[i], REQ_PARK);
            pthread_join(accel->cpus[i].thread, NULL);
        }
    jit_destroy(accel); // its thread may still be at the contexts of vCPUs
    for (unsigned i = 0; i < accel->cpu_count; i++) {
        struct vcpu *vcpu = &accel->cpus[i];
        context_free(vcpu);
        tlb_destroy(vcpu->tlb);
        free(vcpu->slots);
        lockstep_destroy(vcpu);
        if (vcpu->env)
            accel->isa->destroy(vcpu->env);
        free(vcpu->env);
    }
    accel->mem->watcher = (struct mem_watcher){0};
    for (unsigned i = 0; i < accel->write_map_count; i++)
        free(accel->write_maps[i].va);
    free(atomic_load(&accel->breakpoints));
    if (accel->guest.helpers != accel->isa->ir.helpers)
        free((void *)accel->guest.helpers);
    free((void *)accel->config.cpus);
    free(accel->cpus);
    free(accel);
}

// ---- power, pause, interrupts --------------------------------------------------------------------------------------

int accel_cpu_start(struct accel *accel, unsigned cpu, uint64_t entry, uint64_t arg)
{
    if (cpu >= accel->cpu_count)
        return -EINVAL;
    struct vcpu *vcpu = &accel->cpus[cpu];
    pthread_mutex_lock(&accel->lock);
    int r = (vcpu->powered && !vcpu->off_pending) || vcpu->start_pending ? -EALREADY : 0;
    if (!r) {
        vcpu->start_pending = true;
        vcpu->start_entry = entry;
        vcpu->start_arg = arg;
        if (accel->pause_count && vcpu->parked) // a debugger sees it where it will start
            vcpu_apply_power(vcpu);
        pthread_cond_broadcast(&accel->changed);
    }
    pthread_mutex_unlock(&accel->lock);
    if (!r)
        vcpu_request(vcpu, REQ_PARK);
    return r;
}

void accel_cpu_off(struct accel *accel, unsigned cpu)
{
    if (cpu >= accel->cpu_count)
        return;
    pthread_mutex_lock(&accel->lock);
    accel->cpus[cpu].off_pending = true;
    pthread_mutex_unlock(&accel->lock);
    vcpu_request(&accel->cpus[cpu], REQ_PARK);
}

bool accel_cpu_on(const struct accel *accel, unsigned cpu)
{
    if (cpu >= accel->cpu_count)
        return false;
    struct accel *a = (struct accel *)(uintptr_t)accel;
    pthread_mutex_lock(&a->lock);
    const struct vcpu *vcpu = &a->cpus[cpu];
    bool on = vcpu->start_pending || (vcpu->powered && !vcpu->off_pending);
    pthread_mutex_unlock(&a->lock);
    return on;
}

void accel_pause(struct accel *accel)
{
    pthread_mutex_lock(&accel->lock);
    accel->pause_count++;
    pthread_mutex_unlock(&accel->lock);
    request_all(accel, REQ_PARK);
    wait_until_parked(accel);
}

void accel_resume(struct accel *accel)
{
    pthread_mutex_lock(&accel->lock);
    if (accel->pause_count && --accel->pause_count == 0)
        pthread_cond_broadcast(&accel->changed);
    pthread_mutex_unlock(&accel->lock);
    request_all(accel, REQ_PARK);
}

void accel_reset(struct accel *accel)
{
    pthread_mutex_lock(&accel->lock);
    for (unsigned i = 0; i < accel->cpu_count; i++) {
        struct vcpu *vcpu = &accel->cpus[i];
        vcpu->powered = vcpu->start_pending = vcpu->off_pending = false;
        atomic_store(&vcpu->env->irq_pending, 0);
        atomic_store(&vcpu->event, 0);
        accel->isa->reset(vcpu->env);
        pthread_mutex_lock(&vcpu->lock);
        vcpu->queue_len = TLBI_QUEUE + 1;
        pthread_mutex_unlock(&vcpu->lock);
        vcpu_request(vcpu, REQ_TLBI | REQ_CODE);
    }
    pthread_mutex_unlock(&accel->lock);
}

void accel_set_irq(struct accel *accel, unsigned cpu, enum vcpu_irq irq, bool level)
{
    struct vcpu *vcpu = &accel->cpus[cpu];
    uint32_t bit = 1u << irq;
    if (!level) {
        atomic_fetch_and(&vcpu->env->irq_pending, ~bit);
        return;
    }
    if (!(atomic_fetch_or(&vcpu->env->irq_pending, bit) & bit))
        vcpu_request(vcpu, REQ_IRQ);
}

void accel_code_written(struct accel *accel, struct mem_ram *ram, uint64_t offset, uint64_t len)
{
    code_invalidate(accel, NULL, ram, offset, len);
}

void accel_memory_map_changed(struct accel *accel, const struct mem_view *old_view)
{
    for (unsigned i = 0; i < accel->cpu_count; i++) {
        struct vcpu *vcpu = &accel->cpus[i];
        pthread_mutex_lock(&vcpu->lock);
        vcpu->queue_len = TLBI_QUEUE + 1;
        pthread_mutex_unlock(&vcpu->lock);
        vcpu_request(vcpu, REQ_TLBI | REQ_CODE);
    }
    safepoint_wait(accel, NULL);
    free((void *)old_view);
}

struct ir_env *accel_env(struct accel *accel, unsigned cpu)
{
    return cpu < accel->cpu_count ? accel->cpus[cpu].env : NULL;
}

// ---- calls of helpers ----------------------------------------------------------------------------------------------

void vcpu_context_pending(struct ir_env *env)
{
    vcpu_of(env)->context_pending = true;
}

void vcpu_context_changed(struct ir_env *env)
{
    context_switch(vcpu_of(env));
}

static void queue_tlbi(struct vcpu *vcpu, const struct guest_tlbi *tlbi)
{
    pthread_mutex_lock(&vcpu->lock);
    if (vcpu->queue_len < TLBI_QUEUE)
        vcpu->queue[vcpu->queue_len++] = *tlbi;
    else
        vcpu->queue_len = TLBI_QUEUE + 1;
    pthread_mutex_unlock(&vcpu->lock);
    vcpu_request(vcpu, REQ_TLBI);
}

void vcpu_tlbi(struct ir_env *env, const struct guest_tlbi *tlbi)
{
    struct vcpu *self = vcpu_of(env);
    tlb_invalidate(self->tlb, tlbi);
    context_invalidate(self, tlbi);
    if (!tlbi->broadcast || self->accel->cpu_count == 1)
        return;
    self->tlbi_outstanding = true;
    for (unsigned i = 0; i < self->accel->cpu_count; i++)
        if (&self->accel->cpus[i] != self)
            queue_tlbi(&self->accel->cpus[i], tlbi);
}

void vcpu_tlb_sync(struct ir_env *env)
{
    struct vcpu *self = vcpu_of(env);
    if (!self->tlbi_outstanding)
        return;
    self->tlbi_outstanding = false;
    safepoint_wait(self->accel, self);
}

void vcpu_send_event(struct ir_env *env)
{
    struct accel *accel = vcpu_of(env)->accel;
    for (unsigned i = 0; i < accel->cpu_count; i++) {
        struct vcpu *vcpu = &accel->cpus[i];
        if (!atomic_exchange(&vcpu->event, 1) && !atomic_load(&vcpu->in_code)) {
            pthread_mutex_lock(&vcpu->lock);
            pthread_cond_broadcast(&vcpu->wake);
            pthread_mutex_unlock(&vcpu->lock);
        }
    }
}

bool vcpu_test_event(struct ir_env *env)
{
    return atomic_exchange(&vcpu_of(env)->event, 0);
}

void vcpu_check_interrupts(struct ir_env *env)
{
    if (atomic_load(&env->irq_pending))
        atomic_store(&env->budget, -1);
}

const struct vcpu_ports *vcpu_ports(const struct ir_env *env)
{
    const struct vcpu *vcpu = vcpu_of(env);
    return vcpu->accel->config.cpus[vcpu->index].ports;
}

const struct vcpu_hypercall *vcpu_hypercall(const struct ir_env *env)
{
    const struct vcpu *vcpu = vcpu_of(env);
    return vcpu->accel->config.cpus[vcpu->index].hypercall;
}

const struct log *vcpu_log(const struct ir_env *env)
{
    return vcpu_of(env)->accel->log;
}
