// SPDX-License-Identifier: MIT
// The life of a vCPU thread: park, attend to requests, find the unit at the PC, run it, deal with how it ended.
//
// Everything the rest of the machine wants from a vCPU arrives as a request bit and is done here, between units: this
// loop is the vCPU's safepoint.
#include "accel/jit/jit.h"
#include "accel/jit/lockstep.h"
#include "accel/jit/tier.h"

#include "base/log.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static bool must_park(const struct vcpu *vcpu)
{
    const struct accel *accel = vcpu->accel;
    return accel->pause_count || !vcpu->powered || (accel->step_cpu >= 0 && accel->step_cpu != (int)vcpu->index);
}

void vcpu_apply_power(struct vcpu *vcpu)
{
    struct accel *accel = vcpu->accel;
    if (vcpu->off_pending) {
        vcpu->off_pending = false;
        vcpu->powered = false;
    }
    if (vcpu->start_pending) {
        vcpu->start_pending = false;
        vcpu->powered = true;
        accel->isa->reset(vcpu->env);
        accel->isa->start_at(vcpu->env, vcpu->start_entry, vcpu->start_arg);
        tlb_invalidate(vcpu->tlb, &(struct guest_tlbi){.kind = GUEST_TLBI_ALL});
        context_forget_all(vcpu);
    }
}

// Waits while the machine is paused or the vCPU is off. false: the thread ends.
static bool park(struct vcpu *vcpu)
{
    struct accel *accel = vcpu->accel;
    pthread_mutex_lock(&accel->lock);
    for (;;) {
        vcpu_apply_power(vcpu);
        if (accel->quit || !must_park(vcpu))
            break;
        vcpu->parked = true;
        atomic_store(&vcpu->activity, VCPU_SLEEPS);
        pthread_cond_broadcast(&accel->changed);
        pthread_cond_wait(&accel->changed, &accel->lock);
    }
    vcpu->parked = false;
    bool quit = accel->quit;
    pthread_mutex_unlock(&accel->lock);
    if (!quit)
        tier_wake(vcpu);
    return !quit;
}

void vcpu_drain_tlbi(struct vcpu *vcpu)
{
    struct guest_tlbi queue[TLBI_QUEUE];
    pthread_mutex_lock(&vcpu->lock);
    unsigned n = vcpu->queue_len;
    for (unsigned i = 0; i < n && i < TLBI_QUEUE; i++)
        queue[i] = vcpu->queue[i];
    vcpu->queue_len = 0;
    pthread_mutex_unlock(&vcpu->lock);
    if (n > TLBI_QUEUE) {
        queue[0] = (struct guest_tlbi){.kind = GUEST_TLBI_ALL};
        n = 1;
    }
    for (unsigned i = 0; i < n; i++) {
        tlb_invalidate(vcpu->tlb, &queue[i]);
        context_invalidate(vcpu, &queue[i]);
    }
}

// Attends to everything that was asked. false: the thread ends.
static bool attend(struct vcpu *vcpu)
{
    for (;;) {
        vcpu_leave_code(vcpu);
        atomic_store(&vcpu->env->budget, INT32_MAX);
        uint32_t requests = atomic_exchange(&vcpu->requests, 0);
        if ((requests & REQ_PARK) && !park(vcpu))
            return false;
        vcpu_enter_code(vcpu);
        if (requests & REQ_CODE) // first: the tables of pages may be gone
            context_forget_code(vcpu);
        if (requests & REQ_TLBI)
            vcpu_drain_tlbi(vcpu);
        context_switch(vcpu);
        if (requests & REQ_SAMPLE)
            tier_sample(vcpu);
        if (!atomic_load(&vcpu->requests))
            return true;
    }
}

static void trace_fault(const struct vcpu *vcpu)
{
    log_printf(vcpu->accel->log, LOG_INT, "cpu %u: fault kind %u access %u level %d at va %016llx, pc %016llx\n",
               vcpu->index, vcpu->fault.kind, vcpu->fault.access, vcpu->fault.level,
               (unsigned long long)vcpu->fault.va, (unsigned long long)vcpu->env->pc);
}

static void deliver(struct vcpu *vcpu)
{
    vcpu->stats.faults++;
    if (log_on(vcpu->accel->log, LOG_INT))
        trace_fault(vcpu);
    vcpu->accel->isa->deliver_fault(vcpu->env, &vcpu->fault);
}

static void stop_for_debugger(struct vcpu *vcpu, enum accel_stop reason)
{
    struct accel *accel = vcpu->accel;
    pthread_mutex_lock(&accel->lock);
    accel->pause_count++;
    accel->step_cpu = -1;
    vcpu->step = false;
    for (unsigned i = 0; i < accel->cpu_count; i++)
        vcpu_request(&accel->cpus[i], REQ_PARK);
    pthread_mutex_unlock(&accel->lock);
    if (accel->config.events.stopped)
        accel->config.events.stopped(accel->config.events.opaque, vcpu->index, reason);
}

// Fetches through the MMU and translates. NULL when a fault was delivered instead.
static struct unit *make_unit(struct vcpu *vcpu, uint32_t max_insns)
{
    struct ir_env *env = vcpu->env;
    const struct guest_isa *isa = vcpu->accel->isa;
    struct xlat x;
    vcpu->fault = (struct guest_fault){.access = GUEST_EXEC, .va = env->pc};
    if (env->pc & (isa->insn_align - 1)) {
        vcpu->fault.kind = GUEST_FAULT_ALIGNMENT;
    } else if (access_translate(vcpu, env->pc, GUEST_EXEC, isa->fetch_mmu(env->key), &x)) {
        if (x.host) {
            struct unit *unit = unit_find(vcpu, &x, env->pc, max_insns);
            if (!unit && !atomic_load(&vcpu->requests))
                log_printf(vcpu->accel->log, LOG_GUEST_ERRORS, "cpu %u: cannot translate at %016llx\n", vcpu->index,
                           (unsigned long long)env->pc);
            return unit;
        }
        vcpu->fault.kind = GUEST_FAULT_EXTERNAL;
    }
    deliver(vcpu);
    return NULL;
}

// The unit at env.pc, or NULL when a fault was delivered or the debugger stops here.
static struct unit *next_unit(struct vcpu *vcpu, struct backend_exit *exit, uint64_t evictions)
{
    struct ir_env *env = vcpu->env;
    const struct accel *accel = vcpu->accel;
    bool debugged = vcpu->step || atomic_load_explicit(&vcpu->accel->breakpoints, memory_order_relaxed);
    if (debugged && !vcpu->step && debug_breakpoint_at(accel, env->pc)) {
        stop_for_debugger(vcpu, ACCEL_STOP_BREAKPOINT);
        return NULL;
    }
    bool single = vcpu->step || (debugged && debug_breakpoint_in(accel, env->pc & ~0xfffull, IR_PAGE_SIZE));
    struct unit *unit = single ? NULL : unit_known(vcpu, env->pc);
    if (!unit && !(unit = make_unit(vcpu, single ? 1 : UNIT_INSNS)))
        return NULL;
    if (!single && !debugged && accel->config.engine == ACCEL_JIT) {
        if (!vcpu->context_pending && !accel_without(accel, ACCEL_JUMP_CACHE))
            context_note_exec(vcpu->context, env->pc & ~(uint64_t)(IR_PAGE_SIZE - 1), unit->table);
        if (exit && !accel_without(accel, ACCEL_CHAINING))
            unit_link(vcpu, exit, unit, evictions);
    }
    return unit;
}

static int run_lockstep(struct vcpu *vcpu, struct unit *unit)
{
    bool differs;
    int code = lockstep_run(vcpu, unit, &differs);
    if (differs)
        stop_for_debugger(vcpu, ACCEL_STOP_LOCKSTEP_DIFFERENCE);
    return code;
}

static int run_code(struct vcpu *vcpu, const struct unit *unit)
{
    const struct jit *jit = &vcpu->accel->jit;
    vcpu->env->region_left = 0;
    atomic_store_explicit(&vcpu->activity, VCPU_IN_UNITS, memory_order_relaxed);
    int code = jit->ops->enter(jit->backend, vcpu->env, unit->entry);
    atomic_store_explicit(&vcpu->activity, VCPU_AWAKE, memory_order_relaxed);
    return code;
}

static int run_unit(struct vcpu *vcpu, struct unit *unit)
{
    struct accel *accel = vcpu->accel;
    struct ir_env *env = vcpu->env;
    env->pc_page = env->pc & ~(uint64_t)(IR_PAGE_SIZE - 1);
    env->link_exit = NULL;
    vcpu->stats.enters++;
    if (log_on(accel->log, LOG_EXEC))
        log_printf(accel->log, LOG_EXEC, "cpu %u: %016llx key %08x\n", vcpu->index, (unsigned long long)env->pc,
                   env->key);
    switch (accel->config.engine) {
    case ACCEL_JIT: return run_code(vcpu, unit);
    case ACCEL_LOCKSTEP: return run_lockstep(vcpu, unit);
    default: return ir_interpret(unit->ir, env, &jit_runtime, vcpu->slots);
    }
}

// All end with an interrupt or a request; the latter two also with an event, which the second takes, and after a while.
// Interrupts that pended before the third began do not count: they are masked, and others come as requests.
enum wait_kind { FOR_INTERRUPT, FOR_EVENT, FOR_A_WHILE };

static bool awake(struct vcpu *vcpu, enum wait_kind kind)
{
    if (atomic_load(&vcpu->requests) & ~(uint32_t)(REQ_SAFE | REQ_SAMPLE))
        return true;
    if (kind != FOR_INTERRUPT && atomic_load(&vcpu->event))
        return true;
    return kind != FOR_A_WHILE && vcpu->accel->isa->wakes(vcpu->env);
}

static void sleep_in_wait(struct vcpu *vcpu, enum wait_kind kind)
{
    vcpu_leave_code(vcpu);
    atomic_store(&vcpu->activity, VCPU_SLEEPS);
    pthread_mutex_lock(&vcpu->lock);
    if (kind != FOR_INTERRUPT) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 100000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        if (!awake(vcpu, kind))
            pthread_cond_timedwait(&vcpu->wake, &vcpu->lock, &until);
        if (kind == FOR_EVENT)
            atomic_store(&vcpu->event, 0);
    } else {
        while (!awake(vcpu, kind))
            pthread_cond_wait(&vcpu->wake, &vcpu->lock);
    }
    pthread_mutex_unlock(&vcpu->lock);
    tier_wake(vcpu);
    vcpu_enter_code(vcpu);
}

// WFI and WFE. A WFE gives up after a while: the architecture lets it wake at any time, and spinning guests rely on
// event streams that a counter would provide.
static void wait_for_interrupt(struct vcpu *vcpu, bool for_event)
{
    if (for_event && atomic_exchange(&vcpu->event, 0))
        return;
    sleep_in_wait(vcpu, for_event ? FOR_EVENT : FOR_INTERRUPT);
}

// YIELD, and WFE with the exclusive monitor set, which is how a guest waits for a lock: a store to it is no event here.
// Where vCPUs crowd, dozens of such waiters would leave the one that works little of the host, so they rest in between.
static void yield(struct vcpu *vcpu)
{
    enum { YIELDS_A_REST = 4 };
    if (vcpu->accel->crowded && !vcpu->step && ++vcpu->yields % YIELDS_A_REST == 0)
        sleep_in_wait(vcpu, FOR_A_WHILE);
    else
        sched_yield();
}

static void after(struct vcpu *vcpu, int code)
{
    switch (code) {
    case IR_EXIT_FAULT:
        if (vcpu->fault.kind == GUEST_FAULT_WATCHPOINT && vcpu->env->exit_arg == VCPU_WATCH_DEBUGGER)
            stop_for_debugger(vcpu, ACCEL_STOP_WATCHPOINT);
        else
            deliver(vcpu);
        break;
    case IR_EXIT_HALT:
    case IR_EXIT_WAIT_EVENT:
        if (!vcpu->step)
            wait_for_interrupt(vcpu, code == IR_EXIT_WAIT_EVENT);
        break;
    case IR_EXIT_YIELD: yield(vcpu); break;
    default: break;
    }
}

// Sees to the unit if it just ran out of executions. True when the vCPU has been outside code meanwhile.
static bool may_be_hot(struct vcpu *vcpu, struct unit *unit, bool hot)
{
    if (hot)
        return tier_hot(vcpu, unit);
    return vcpu->lockstep && vcpu->accel->jit.tier && tier_tick(vcpu, unit);
}

void *vcpu_main(void *opaque)
{
    struct vcpu *vcpu = opaque;
    struct accel *accel = vcpu->accel;
    struct ir_env *env = vcpu->env;
    struct backend_exit *exit = NULL;
    uint64_t evictions = 0;
    bool hot = false;
    atomic_store(&vcpu->thread_id, gettid());
    atomic_fetch_or(&vcpu->requests, REQ_PARK);
    while (attend(vcpu)) {
        exit = NULL; // whoever had the vCPU parked may have put it elsewhere
        do {
            uint64_t before = atomic_load(&accel->jit.evictions); // of which no unit found from here on is part
            if (atomic_load_explicit(&env->irq_pending, memory_order_relaxed) && !vcpu->step &&
                accel->isa->take_interrupt(env)) {
                vcpu->stats.interrupts++;
                exit = NULL;
            }
            struct unit *unit = next_unit(vcpu, exit, evictions);
            exit = NULL;
            if (!unit) {
                if (vcpu->step) // an exception instead of the instruction: stop at its vector
                    stop_for_debugger(vcpu, ACCEL_STOP_STEP);
                break;
            }
            if (may_be_hot(vcpu, unit, hot)) {
                hot = false;
                break;
            }
            evictions = before;
            int code = run_unit(vcpu, unit);
            hot = code == IR_EXIT_HOT;
            vcpu->stats.exits[code < IR_EXIT_COUNT ? code : 0]++;
            exit = (struct backend_exit *)(uintptr_t)env->link_exit;
            if (code != IR_EXIT_JUMP) {
                exit = NULL;
                if (code == IR_EXIT_FAULT && vcpu->fault.kind == GUEST_FAULT_AGAIN) {
                    vcpu_rom_leaves_plain(vcpu);
                    break;
                }
                after(vcpu, code);
            }
            if (vcpu->step)
                stop_for_debugger(vcpu, ACCEL_STOP_STEP);
        } while (!atomic_load(&vcpu->requests) && atomic_load(&env->budget) >= 0);
    }
    return NULL;
}
