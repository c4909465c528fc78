// SPDX-License-Identifier: MIT
// PSCI, SMCCC and TRNG calls against a fake accelerator, one row a call.
#include "machines/psci.h"
#include "tests/machines/fake_accel.h"

#include <criterion/criterion.h>

static enum psci_request last_request;
static int requests;

static void on_request(void *opaque, enum psci_request what)
{
    last_request = what;
    requests++;
}

static uint64_t call(struct psci *psci, uint64_t fn, uint64_t a1, uint64_t a2, uint64_t a3)
{
    uint64_t x[18] = {fn, a1, a2, a3};
    cr_assert(psci_call(psci, 0, false, x));
    return x[0];
}

#define ERR(n) ((uint64_t)(int64_t)(n))

Test(psci, table)
{
    static struct accel accel = {.cpu_count = 4, .on = {true}};
    struct entropy entropy;
    entropy_init_seeded(&entropy, 1);
    static const uint64_t mpidr[] = {0, 1, 0x100, 0x101};
    struct psci psci = {
        .accel = &accel, .entropy = &entropy, .mpidr = mpidr, .cpu_count = 4, .request = on_request};
    static const struct {
        const char *what;
        uint64_t fn, a1, a2, a3, result;
    } rows[] = {
        {"version", 0x84000000, 0, 0, 0, 0x10001},
        {"smccc version", 0x80000000, 0, 0, 0, 0x10002},
        {"features: cpu_on", 0x8400000a, 0xc4000003, 0, 0, 0},
        {"features: smccc version", 0x8400000a, 0x80000000, 0, 0, 0},
        {"features: none", 0x8400000a, 0x84000010, 0, 0, ERR(-1)},
        {"features: no 64-bit form", 0x8400000a, 0xc4000008, 0, 0, ERR(-1)},
        {"arch features: version", 0x80000001, 0x80000000, 0, 0, 0},
        {"arch features: workaround", 0x80000001, 0x80008000, 0, 0, ERR(-1)},
        {"migrate", 0x84000006, 0, 0, 0, 2},
        {"affinity: on", 0xc4000004, 0, 0, 0, 0},
        {"affinity: off", 0xc4000004, 1, 0, 0, 1},
        {"affinity: cluster", 0xc4000004, 0, 1, 0, 0},
        {"affinity: other cluster", 0xc4000004, 0x100, 1, 0, 1},
        {"affinity: nobody", 0xc4000004, 0x300, 0, 0, ERR(-2)},
        {"affinity: level", 0xc4000004, 0, 4, 0, ERR(-2)},
        {"on: nobody", 0xc4000003, 7, 0x40000000, 0, ERR(-2)},
        {"on: odd entry", 0xc4000003, 1, 0x40000001, 0, ERR(-9)},
        {"on", 0xc4000003, 0x101, 0x40001000, 99, 0},
        {"on: twice", 0xc4000003, 0x101, 0x40001000, 99, ERR(-4)},
        {"on: itself", 0xc4000003, 0, 0x40001000, 0, ERR(-4)},
        {"suspend", 0xc4000001, 0, 0, 0, 0},
        {"unknown in range", 0x84000013, 0, 0, 0, ERR(-1)},
        {"unknown elsewhere", 0xc6000001, 0, 0, 0, ERR(-1)},
        {"trng version", 0x84000050, 0, 0, 0, 0x10000},
        {"trng features", 0x84000051, 0xc4000053, 0, 0, 0},
        {"trng features: none", 0x84000051, 0x84000054, 0, 0, ERR(-1)},
        {"trng: none", 0xc4000053, 0, 0, 0, ERR(-2)},
        {"trng: too many", 0xc4000053, 193, 0, 0, ERR(-2)},
        {"trng: too many, 32", 0x84000053, 97, 0, 0, ERR(-2)},
        {"trng", 0xc4000053, 192, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(call(&psci, rows[i].fn, rows[i].a1, rows[i].a2, rows[i].a3), rows[i].result, "%s",
                     rows[i].what);
    cr_expect(accel.on[3]);
    cr_expect_eq(accel.entry[3], 0x40001000);
    cr_expect_eq(accel.arg[3], 99);
    entropy_destroy(&entropy);
}

Test(psci, power)
{
    static struct accel accel = {.cpu_count = 1, .on = {true}};
    static const uint64_t mpidr[] = {0};
    struct psci psci = {.accel = &accel, .mpidr = mpidr, .cpu_count = 1, .request = on_request};
    call(&psci, 0x84000008, 0, 0, 0);
    cr_expect_eq(last_request, PSCI_POWER_OFF);
    cr_expect_not(accel.on[0]);
    call(&psci, 0x84000009, 0, 0, 0);
    cr_expect_eq(last_request, PSCI_RESET);
    call(&psci, 0x84000012, 0, 0, 0);
    cr_expect_eq(requests, 3);
    cr_expect_eq(call(&psci, 0x84000012, 0x80000001, 0, 0), ERR(-2));
    cr_expect_eq(requests, 3);
    accel.on[0] = true;
    call(&psci, 0x84000002, 0, 0, 0);
    cr_expect_not(accel.on[0]);
}

Test(psci, trng_bits_are_right_aligned)
{
    struct entropy entropy;
    entropy_init_seeded(&entropy, 2);
    struct psci psci = {.entropy = &entropy};
    uint64_t x[18] = {0xc4000053, 70};
    psci_call(&psci, 0, false, x);
    cr_expect_eq(x[0], 0);
    cr_expect_eq(x[1], 0);
    cr_expect_eq(x[2] & ~0x3full, 0);
    cr_expect_neq(x[3], 0);
    uint64_t y[18] = {0x84000053, 33};
    psci_call(&psci, 0, false, y);
    cr_expect_eq(y[1], 0);
    cr_expect_eq(y[2] & ~1ull, 0);
    cr_expect_eq(y[3] >> 32, 0);
    entropy_destroy(&entropy);
}

Test(psci, other_conduit_is_left_alone)
{
    struct psci psci = {0};
    uint64_t x[18] = {0x84000000};
    cr_expect_not(psci_call(&psci, 0, true, x));
    cr_expect_eq(x[0], 0x84000000);
}
