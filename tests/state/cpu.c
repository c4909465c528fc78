// SPDX-License-Identifier: MIT
// The state of a vCPU: every register comes back, whatever it held; what is not a vCPU's state is refused; and a program
// goes on in another accelerator where it was.
#include "base/error.h"
#include "frontends/a64/cpu_state.h"
#include "tests/accel/small.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD = 8 };

static uint64_t dice(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

// Random values in every record; PSTATE and the small ones stay what a vCPU can hold.
static void randomise(uint8_t *buf, size_t size, uint64_t *state, bool ones)
{
    for (size_t at = 0; at < size; at += RECORD + buf[at + 4]) {
        uint8_t *value = buf + at + RECORD;
        for (unsigned i = 0; i < buf[at + 4]; i++)
            value[i] = ones ? 0xff : (uint8_t)dice(state);
        uint32_t id;
        memcpy(&id, buf + at, 4);
        if (buf[at + 4] == 1)
            *value &= 1;
        if (id == 0x1023) // PSTATE: EL1 or EL0, AArch64
            value[0] = value[0] & 0x20 ? 0xc5 : 0x80;
    }
}

static void check_round_trip(const char *model, bool ones)
{
    struct small *s = small_make(&(struct small_config){.engine = ACCEL_JIT, .cpus = 1, .ram_size = 1 << 20, .model = model});
    size_t size = accel_cpu_state_size(s->accel, 0);
    uint8_t *in = malloc(size), *out = malloc(size), *again = malloc(size);
    uint64_t state = 77;
    struct error err = {0};
    for (int n = 0; n < (ones ? 1 : 200); n++) {
        accel_cpu_save(s->accel, 0, in);
        randomise(in, size, &state, ones);
        cr_assert_eq(accel_cpu_load(s->accel, 0, in, size, &err), 0, "%s", err.text);
        accel_cpu_save(s->accel, 0, out);
        cr_assert_eq(accel_cpu_load(s->accel, 0, out, size, &err), 0, "%s", err.text);
        accel_cpu_save(s->accel, 0, again);
        for (size_t i = 0; i < size; i++)
            cr_assert_eq(out[i], again[i], "byte %zu of the state", i);
        // General and vector registers hold anything.
        for (size_t at = 0; at < size; at += RECORD + in[at + 4]) {
            uint32_t id;
            memcpy(&id, in + at, 4);
            if ((id >= 0x1000 && id < 0x1023) || (id >= 0x1100 && id < 0x1120))
                cr_assert_eq(memcmp(in + at, out + at, RECORD + in[at + 4]), 0, "register %x", id);
        }
    }
    free(in);
    free(out);
    free(again);
    small_destroy(s);
}

Test(cpu, round_trip)
{
    check_round_trip("cortex-a72", false);
    check_round_trip("max", false);
    check_round_trip("cortex-a72", true);
}

Test(cpu, numbers_are_unique)
{
    for (unsigned i = 0; i < A64_STATE_REG_COUNT; i++) {
        cr_assert(a64_state_regs[i].id >= GUEST_STATE_FIRST);
        for (unsigned j = 0; j < i; j++)
            cr_assert_neq(a64_state_regs[i].id, a64_state_regs[j].id, "%s", a64_state_regs[i].name);
    }
}

Test(cpu, refused)
{
    struct small *s = small_create(ACCEL_INTERPRETER, 1, 1 << 20, 0);
    size_t size = accel_cpu_state_size(s->accel, 0);
    uint8_t *buf = malloc(size + 1);
    uint64_t state = 3;
    struct error err = {0};
    accel_cpu_save(s->accel, 0, buf);
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_eq(accel_cpu_load(s->accel, 0, buf, cut, &err), -EINVAL);
    buf[size] = 0;
    cr_assert_eq(accel_cpu_load(s->accel, 0, buf, size + 1, &err), -EINVAL);
    cr_assert_eq(accel_cpu_load(s->accel, 0, buf, size, &err), 0, "%s", err.text);
    for (int n = 0; n < 20000; n++) { // anything may come of it but harm
        uint8_t *at = buf + dice(&state) % size, old = *at;
        *at ^= (uint8_t)(1u << (dice(&state) % 8));
        if (!accel_cpu_load(s->accel, 0, buf, size, &err))
            accel_cpu_save(s->accel, 0, buf);
        else
            *at = old;
    }
    free(buf);
    small_destroy(s);
}

// Counts in x2, adds what it counts to a word, and says so at `done` for each CPU.
static const uint32_t program[] = {
    0xd53800a0,        // mrs x0, mpidr_el1
    0x92400c00,        // and x0, x0, #0xf
    0xd2a80201,        // mov x1, #0x40100000
    0x8b000c21,        // add x1, x1, x0, lsl #3
    0x91000442,        // add x2, x2, #1
    0x8b020063,        // add x3, x3, x2
    0xf9000823,        // str x3, [x1, #16]
    0xf9000022,        // str x2, [x1]
    0x17fffffc,        // b -4
};

static uint64_t word(const struct small *s, uint64_t addr)
{
    return __atomic_load_n((uint64_t *)small_at(s, addr), __ATOMIC_ACQUIRE);
}

static struct small *go_on(struct small *from, enum accel_engine engine)
{
    struct small *to = small_create(engine, 2, 2 << 20, 0);
    struct error err = {0};
    size_t size = accel_cpu_state_size(from->accel, 0);
    uint8_t *state = malloc(size);
    memcpy(to->ram->host, from->ram->host, from->ram->size);
    for (unsigned i = 0; i < 2; i++) {
        accel_cpu_save(from->accel, i, state);
        cr_assert_eq(accel_cpu_load(to->accel, i, state, size, &err), 0, "%s", err.text);
    }
    free(state);
    small_destroy(from);
    return to;
}

Test(cpu, goes_on_elsewhere)
{
    enum { COUNT = 0x40100000, SUM = 0x40100010 };
    static const enum accel_engine engines[] = {ACCEL_JIT, ACCEL_INTERPRETER, ACCEL_JIT, ACCEL_LOCKSTEP, ACCEL_JIT};
    struct small *s = small_create(ACCEL_INTERPRETER, 2, 2 << 20, 0);
    uint64_t before = 0;
    small_code(s, SMALL_PROGRAMS, program, sizeof program);
    small_start(s, 0, SMALL_PROGRAMS);
    small_start(s, 1, SMALL_PROGRAMS);
    for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
        cr_assert(small_run_until(s, COUNT, before + 20, 20) && small_run_until(s, COUNT + 8, 20, 20));
        before = word(s, COUNT);
        s = go_on(s, engines[i]);
        cr_assert_eq(word(s, COUNT), before);
    }
    cr_assert(small_run_until(s, COUNT, before + 1000, 20));
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        uint64_t n = word(s, COUNT + 8 * cpu), sum = word(s, SUM + 8 * cpu);
        cr_expect(sum == n * (n + 1) / 2 || sum == (n + 1) * (n + 2) / 2, "CPU %u: %lu is the sum to %lu", cpu,
                  (unsigned long)sum, (unsigned long)n);
    }
    small_destroy(s);
}
