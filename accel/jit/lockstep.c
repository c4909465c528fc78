// SPDX-License-Identifier: MIT
// Lock-step: each unit runs compiled on the live machine while every load, store, atomic and helper call is recorded;
// then the interpreter runs the same IR from the saved state against the record. What it would load, store, call and
// leave behind must be what the compiled code did. The first difference is printed and stops the machine.
//
// In this mode inline tables stay empty of data tags, so that all accesses come through the runtime; units are not
// linked; and the budget is negative, so that a poll leaves the unit in both runs. Only regions may go round their loops,
// until so many events are recorded.
#include "accel/jit/lockstep.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum event_kind { EV_LOAD, EV_STORE, EV_CAS, EV_RMW, EV_HELPER };
static const char *const kind_names[] = {"load", "store", "cas", "rmw", "helper"};

struct event {
    uint8_t kind; // enum event_kind
    uint32_t what; // memop, or the helper's number
    int code;
    uint64_t va;
    union ir_value in[4], out;
    uint32_t before, after; // state images of a helper that reads or writes, NO_IMAGE otherwise
    uint64_t pc;            // as a helper left it
};
enum { NO_IMAGE = UINT32_MAX, MAX_EVENTS = 1 << 16, REGION_EVENTS = 200 };

struct lockstep {
    bool replaying;
    struct event *events;
    uint32_t count, capacity, at;
    uint8_t *images;
    uint32_t image_count, image_capacity;
    size_t image_size;
    struct ir_env *scratch; // the interpreter's state
    char difference[256];   // empty while there is none
    bool loops;             // a region is running: the budget ends with the event REGION_EVENTS
    uint64_t units, regions, interrupted;
};

// ---- the record ----------------------------------------------------------------------------------------------------

// In both runs, before event number n: a region that goes round and round leaves at its next poll.
static void spend(const struct lockstep *ls, struct ir_env *env, uint32_t n)
{
    if (ls->loops && n >= REGION_EVENTS)
        atomic_store(&env->budget, -1);
}

static struct event *record(struct lockstep *ls, enum event_kind kind, uint32_t what, uint64_t va)
{
    if (ls->count == ls->capacity) {
        uint32_t n = ls->capacity ? ls->capacity * 2 : 256;
        struct event *grown = n <= MAX_EVENTS ? realloc(ls->events, n * sizeof *grown) : NULL;
        if (!grown)
            abort(); // a unit makes at most a few accesses an instruction
        ls->events = grown;
        ls->capacity = n;
    }
    struct event *e = &ls->events[ls->count++];
    memset(e, 0, sizeof *e);
    e->kind = kind;
    e->what = what;
    e->va = va;
    e->before = e->after = NO_IMAGE;
    return e;
}

// Copies the words that other threads write, too: requests and interrupts. No run is judged by them.
static __attribute__((noinline)) void lockstep_copy_state(void *to, const struct ir_env *env, size_t size)
{
    memcpy(to, env, size);
}

static uint32_t take_image(struct lockstep *ls, const struct ir_env *env)
{
    if (ls->image_count == ls->image_capacity) {
        uint32_t n = ls->image_capacity ? ls->image_capacity * 2 : 8;
        uint8_t *grown = realloc(ls->images, n * ls->image_size);
        if (!grown)
            abort();
        ls->images = grown;
        ls->image_capacity = n;
    }
    lockstep_copy_state(ls->images + ls->image_count * ls->image_size, env, ls->image_size);
    return ls->image_count++;
}

static const struct ir_env *image(const struct lockstep *ls, uint32_t n)
{
    return (const void *)(ls->images + n * ls->image_size);
}

static void differ(struct lockstep *ls, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void differ(struct lockstep *ls, const char *format, ...)
{
    if (ls->difference[0])
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(ls->difference, sizeof ls->difference, format, args);
    va_end(args);
}

// The recorded event that the interpreter must now repeat, or NULL after a difference.
static struct event *replay(struct lockstep *ls, enum event_kind kind, uint32_t what, uint64_t va)
{
    if (ls->difference[0])
        return NULL;
    if (ls->at == ls->count) {
        differ(ls, "the interpreter does one more %s (%x at %llx)", kind_names[kind], what, (unsigned long long)va);
        return NULL;
    }
    struct event *e = &ls->events[ls->at++];
    if (e->kind != kind || e->what != what || e->va != va) {
        differ(ls, "event %u: compiled code does %s %x at %llx, the interpreter %s %x at %llx", ls->at - 1,
               kind_names[e->kind], e->what, (unsigned long long)e->va, kind_names[kind], what,
               (unsigned long long)va);
        return NULL;
    }
    return e;
}

static bool same_bytes(const union ir_value *a, const union ir_value *b, size_t n)
{
    return !memcmp(a, b, n);
}

static void check_operand(struct lockstep *ls, const struct event *e, unsigned i, const union ir_value *v, size_t n)
{
    if (!same_bytes(&e->in[i], v, n))
        differ(ls, "event %u, %s %x at %llx, operand %u: compiled %016llx%016llx, interpreted %016llx%016llx",
               ls->at - 1, kind_names[e->kind], e->what, (unsigned long long)e->va, i,
               (unsigned long long)e->in[i].v.d[1], (unsigned long long)e->in[i].v.d[0],
               (unsigned long long)v->v.d[1], (unsigned long long)v->v.d[0]);
}

// ---- memory --------------------------------------------------------------------------------------------------------

static struct lockstep *of(const struct ir_env *env)
{
    return vcpu_of(env)->lockstep;
}

static int ls_load(struct ir_env *env, uint64_t va, uint32_t attr, union ir_value *ret_value)
{
    struct lockstep *ls = of(env);
    spend(ls, env, ls->replaying ? ls->at : ls->count);
    if (ls->replaying) {
        struct event *e = replay(ls, EV_LOAD, attr, va);
        if (e)
            *ret_value = e->out;
        return e ? e->code : IR_EXIT_FAULT;
    }
    int code = vcpu_load(env, va, attr, ret_value);
    struct event *e = record(ls, EV_LOAD, attr, va);
    e->code = code;
    e->out = *ret_value;
    return code;
}

static int ls_store(struct ir_env *env, uint64_t va, uint32_t attr, const union ir_value *value)
{
    struct lockstep *ls = of(env);
    spend(ls, env, ls->replaying ? ls->at : ls->count);
    if (ls->replaying) {
        struct event *e = replay(ls, EV_STORE, attr, va);
        if (e)
            check_operand(ls, e, 0, value, ir_mem_bytes(attr));
        return e ? e->code : IR_EXIT_FAULT;
    }
    struct event *e = record(ls, EV_STORE, attr, va);
    memcpy(&e->in[0], value, ir_mem_bytes(attr));
    return e->code = vcpu_store(env, va, attr, value);
}

static int ls_cas(struct ir_env *env, uint64_t va, uint32_t attr, const union ir_value *expected,
                  const union ir_value *desired, union ir_value *ret_old)
{
    struct lockstep *ls = of(env);
    unsigned n = ir_mem_bytes(attr);
    spend(ls, env, ls->replaying ? ls->at : ls->count);
    if (ls->replaying) {
        struct event *e = replay(ls, EV_CAS, attr, va);
        if (!e)
            return IR_EXIT_FAULT;
        check_operand(ls, e, 0, expected, n);
        check_operand(ls, e, 1, desired, n);
        *ret_old = e->out;
        return e->code;
    }
    struct event *e = record(ls, EV_CAS, attr, va);
    memcpy(&e->in[0], expected, n);
    memcpy(&e->in[1], desired, n);
    e->code = jit_runtime.cas(env, va, attr, expected, desired, ret_old);
    e->out = *ret_old;
    return e->code;
}

static int ls_rmw(struct ir_env *env, uint64_t va, uint32_t attr, enum ir_rmw kind, const union ir_value *operand,
                  union ir_value *ret_old)
{
    struct lockstep *ls = of(env);
    uint32_t what = attr | (uint32_t)kind << 24;
    spend(ls, env, ls->replaying ? ls->at : ls->count);
    if (ls->replaying) {
        struct event *e = replay(ls, EV_RMW, what, va);
        if (!e)
            return IR_EXIT_FAULT;
        check_operand(ls, e, 0, operand, ir_mem_bytes(attr));
        *ret_old = e->out;
        return e->code;
    }
    struct event *e = record(ls, EV_RMW, what, va);
    memcpy(&e->in[0], operand, ir_mem_bytes(attr));
    e->code = jit_runtime.rmw(env, va, attr, kind, operand, ret_old);
    e->out = *ret_old;
    return e->code;
}

const struct ir_runtime lockstep_runtime = {.load = ls_load, .store = ls_store, .cas = ls_cas, .rmw = ls_rmw};

// ---- state ---------------------------------------------------------------------------------------------------------

static void compare_fields(struct lockstep *ls, const struct ir_state_layout *layout, const struct ir_env *compiled,
                           const struct ir_env *interpreted, const char *when)
{
    for (uint32_t f = 0; f < layout->count; f++) {
        const struct ir_field *field = &layout->fields[f];
        unsigned size = ir_type_size(field->type);
        union ir_value a = {.i = 0}, b = {.i = 0};
        memcpy(&a, (const char *)compiled + field->offset, size);
        memcpy(&b, (const char *)interpreted + field->offset, size);
        if (field->type == IR_FLAGS) { // other bits of the packed form are unspecified
            a.i &= IR_FLAG_NZCV;
            b.i &= IR_FLAG_NZCV;
        }
        if (!same_bytes(&a, &b, size))
            differ(ls, "%s: %s is %016llx%016llx compiled, %016llx%016llx interpreted", when, field->name,
                   (unsigned long long)(size > 8 ? a.v.d[1] : 0), (unsigned long long)a.i,
                   (unsigned long long)(size > 8 ? b.v.d[1] : 0), (unsigned long long)b.i);
    }
    if (compiled->fp_flags != interpreted->fp_flags)
        differ(ls, "%s: FP exceptions are %x compiled, %x interpreted", when, compiled->fp_flags,
               interpreted->fp_flags);
}

// ---- helpers -------------------------------------------------------------------------------------------------------

int lockstep_helper(struct ir_env *env, unsigned number, const union ir_value *args, union ir_value *ret_value)
{
    struct lockstep *ls = of(env);
    const struct ir_guest *guest = &vcpu_of(env)->accel->isa->ir;
    const struct ir_helper *h = &guest->helpers[number];
    bool reads = h->flags & (IR_HELPER_READS | IR_HELPER_WRITES), writes = h->flags & IR_HELPER_WRITES;
    union ir_value none;
    if (!ret_value)
        ret_value = &none;
    spend(ls, env, ls->replaying ? ls->at : ls->count);
    if (!ls->replaying) {
        uint32_t before = reads ? take_image(ls, env) : NO_IMAGE;
        struct event *e = record(ls, EV_HELPER, number, 0);
        uint32_t index = ls->count - 1;
        for (unsigned i = 0; i < 4 && h->args[i] != IR_VOID; i++)
            memcpy(&e->in[i], &args[i], ir_type_size(h->args[i]));
        int code = h->fn(env, args, ret_value);
        uint32_t after = writes ? take_image(ls, env) : NO_IMAGE;
        e = &ls->events[index];
        e->before = before;
        e->after = after;
        e->code = code;
        e->out = *ret_value;
        e->pc = env->pc;
        return code;
    }
    struct event *e = replay(ls, EV_HELPER, number, 0);
    if (!e)
        return IR_EXIT_STATE;
    for (unsigned i = 0; i < 4 && h->args[i] != IR_VOID; i++)
        check_operand(ls, e, i, &args[i], ir_type_size(h->args[i]));
    if (e->before != NO_IMAGE)
        compare_fields(ls, guest->layout, image(ls, e->before), env, h->name);
    if (e->after != NO_IMAGE)
        memcpy(env, image(ls, e->after), ls->image_size);
    else if (h->flags & IR_HELPER_FP_FLAGS)
        h->fn(env, args, ret_value);
    if (e->code) // state that the helper does not use may be stored only now
        env->pc = e->pc;
    *ret_value = e->out;
    return e->code;
}

// ---- running -------------------------------------------------------------------------------------------------------

int lockstep_create(struct vcpu *vcpu)
{
    struct lockstep *ls = calloc(1, sizeof *ls);
    if (!ls)
        return -ENOMEM;
    vcpu->lockstep = ls;
    ls->image_size = (vcpu->accel->isa->ir.layout->size + 63) & ~(size_t)63;
    ls->scratch = aligned_alloc(64, ls->image_size);
    return ls->scratch ? 0 : -ENOMEM;
}

void lockstep_destroy(struct vcpu *vcpu)
{
    struct lockstep *ls = vcpu->lockstep;
    if (!ls)
        return;
    free(ls->events);
    free(ls->images);
    free(ls->scratch);
    free(ls);
}

uint64_t lockstep_regions(const struct vcpu *vcpu)
{
    return vcpu->lockstep ? vcpu->lockstep->regions : 0;
}

uint64_t lockstep_units(const struct vcpu *vcpu)
{
    return vcpu->lockstep ? vcpu->lockstep->units : 0;
}

static void report(struct vcpu *vcpu, const struct unit *unit, uint64_t pc, int code)
{
    fprintf(stderr, "lock-step difference after %llu units, %s at %016llx, which left with code %d for %016llx after "
            "%u events:\n  %s\n",
            (unsigned long long)vcpu->lockstep->units, unit->region ? "region" : "unit", (unsigned long long)pc, code,
            (unsigned long long)vcpu->env->pc, vcpu->lockstep->count, vcpu->lockstep->difference);
    ir_print(unit->ir, stderr);
}

// Leaves rubbish where the trampoline's frame will be, so that a spill slot read before it is written shows.
static __attribute__((noinline)) void soil_stack(void)
{
    volatile uint64_t rubbish[1024];
    for (size_t i = 0; i < ARRAY_SIZE(rubbish); i++)
        rubbish[i] = 0xa5a5a5a5deadbeefull * (i + 1);
}

int lockstep_run(struct vcpu *vcpu, struct unit *unit, bool *ret_differs)
{
    struct accel *accel = vcpu->accel;
    struct lockstep *ls = vcpu->lockstep;
    struct ir_env *env = vcpu->env;
    const uint64_t pc = env->pc;
    lockstep_copy_state(ls->scratch, env, ls->image_size);
    ls->loops = unit->region;
    atomic_store(&env->budget, ls->loops ? INT32_MAX : -1);
    atomic_store(&ls->scratch->budget, ls->loops ? INT32_MAX : -1);
    ls->count = ls->at = ls->image_count = 0;
    ls->replaying = false;
    soil_stack();
    int code = accel->jit.ops->enter(accel->jit.backend, env, unit->entry);
    if (ls->loops && code == IR_EXIT_POLL && ls->count <= REGION_EVENTS) { // something outside asked for it, at some point
        ls->interrupted++;
        env->link_exit = NULL;
        *ret_differs = false;
        return code;
    }
    ls->replaying = true;
    int interpreted = ir_interpret(unit->ir, ls->scratch, &lockstep_runtime, vcpu->slots);
    ls->replaying = false;
    atomic_store(&env->budget, INT32_MAX);
    env->link_exit = NULL;
    if (code != interpreted && !(code == IR_EXIT_POLL && interpreted == IR_EXIT_JUMP)) // exit_ind polls, or not
        differ(ls, "leaves with code %d compiled, %d interpreted", code, interpreted);
    if (env->pc != ls->scratch->pc)
        differ(ls, "next pc %llx compiled, %llx interpreted", (unsigned long long)env->pc,
               (unsigned long long)ls->scratch->pc);
    if (ls->at != ls->count)
        differ(ls, "the interpreter stops after %u of %u events", ls->at, ls->count);
    compare_fields(ls, accel->isa->ir.layout, env, ls->scratch, "at the end");
    ls->units++;
    ls->regions += unit->region != NULL;
    *ret_differs = ls->difference[0];
    if (*ret_differs)
        report(vcpu, unit, pc, code);
    return code;
}
