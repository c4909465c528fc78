// SPDX-License-Identifier: MIT
// Owns the snapshot form of a vCPU: the guest's registers by their stable numbers (struct guest_state_reg), and what
// accel knows besides. A vCPU that waits for an interrupt needs no word of its own: parking ends the wait, which the
// architecture allows, and the guest's loop waits again.
#include "accel/jit/jit.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>

enum { RECORD_HEADER = 8 };
enum { CPU_POWERED = 1, CPU_EVENT = 2 }; // below GUEST_STATE_FIRST

size_t accel_cpu_state_size(const struct accel *accel, unsigned cpu)
{
    const struct guest_isa *isa = accel->isa;
    size_t size = 2 * (RECORD_HEADER + 1);
    for (unsigned n = 0; n < isa->state_reg_count; n++)
        if (isa->state_has(accel->cpus[cpu].env, n))
            size += RECORD_HEADER + isa->state_regs[n].bytes;
    return size;
}

static uint8_t *put(uint8_t *at, uint32_t id, uint8_t bytes)
{
    memset(at, 0, RECORD_HEADER);
    memcpy(at, &id, 4);
    at[4] = bytes;
    return at + RECORD_HEADER;
}

void accel_cpu_save(struct accel *accel, unsigned cpu, uint8_t *buf)
{
    const struct guest_isa *isa = accel->isa;
    struct vcpu *vcpu = &accel->cpus[cpu];
    pthread_mutex_lock(&accel->lock);
    vcpu_apply_power(vcpu);
    buf = put(buf, CPU_POWERED, 1);
    *buf++ = vcpu->powered;
    pthread_mutex_unlock(&accel->lock);
    buf = put(buf, CPU_EVENT, 1);
    *buf++ = (uint8_t)atomic_load(&vcpu->event);
    for (unsigned n = 0; n < isa->state_reg_count; n++) {
        if (!isa->state_has(vcpu->env, n))
            continue;
        buf = put(buf, isa->state_regs[n].id, isa->state_regs[n].bytes);
        isa->state_get(vcpu->env, n, buf);
        buf += isa->state_regs[n].bytes;
    }
}

// Nothing cached is found before the vCPU's next unit.
static void drop_caches(struct vcpu *vcpu)
{
    pthread_mutex_lock(&vcpu->lock);
    vcpu->queue_len = TLBI_QUEUE + 1;
    pthread_mutex_unlock(&vcpu->lock);
    vcpu_request(vcpu, REQ_TLBI | REQ_CODE);
}

// The record's value. NULL: it is not register id of that many bytes.
static const uint8_t *take(const uint8_t **at, size_t *left, uint32_t id, uint8_t bytes)
{
    const uint8_t *value = *at + RECORD_HEADER;
    uint32_t found;
    if (*left < RECORD_HEADER + (size_t)bytes)
        return NULL;
    memcpy(&found, *at, 4);
    if (found != id || (*at)[4] != bytes)
        return NULL;
    *at += RECORD_HEADER + bytes;
    *left -= RECORD_HEADER + bytes;
    return value;
}

static int load_registers(struct vcpu *vcpu, const uint8_t *at, size_t left, struct error *err)
{
    const struct guest_isa *isa = vcpu->accel->isa;
    const uint8_t *powered = take(&at, &left, CPU_POWERED, 1);
    const uint8_t *event = powered ? take(&at, &left, CPU_EVENT, 1) : NULL;
    if (!event || *powered > 1 || *event > 1)
        return error_set(err, -EINVAL, "the state of CPU %u does not say whether it is on", vcpu->index);
    for (unsigned n = 0; n < isa->state_reg_count; n++) {
        const struct guest_state_reg *reg = &isa->state_regs[n];
        if (!isa->state_has(vcpu->env, n))
            continue;
        const uint8_t *value = take(&at, &left, reg->id, reg->bytes);
        if (!value)
            return error_set(err, -EINVAL, "the state of CPU %u lacks register %s, or its CPU model has others",
                             vcpu->index, reg->name);
        if (!isa->state_set(vcpu->env, n, value))
            return error_set(err, -EINVAL, "register %s of CPU %u has a value that it cannot hold", reg->name,
                             vcpu->index);
    }
    if (left)
        return error_set(err, -EINVAL, "the state of CPU %u has registers that this CPU model has not", vcpu->index);
    vcpu->powered = *powered;
    atomic_store(&vcpu->event, *event);
    return 0;
}

int accel_cpu_load(struct accel *accel, unsigned cpu, const uint8_t *data, size_t size, struct error *err)
{
    struct vcpu *vcpu = &accel->cpus[cpu];
    const struct guest_isa *isa = accel->isa;
    drop_caches(vcpu);
    pthread_mutex_lock(&accel->lock);
    vcpu->powered = vcpu->start_pending = vcpu->off_pending = false;
    atomic_store(&vcpu->env->irq_pending, 0);
    atomic_store(&vcpu->event, 0);
    isa->reset(vcpu->env);
    int r = load_registers(vcpu, data, size, err);
    if (r)
        isa->reset(vcpu->env);
    else
        isa->state_loaded(vcpu->env);
    pthread_mutex_unlock(&accel->lock);
    return r;
}
