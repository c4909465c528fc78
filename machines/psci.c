// SPDX-License-Identifier: MIT
// Owns the answers to PSCI, SMCCC discovery and TRNG calls. One row a function: number, whether the 64-bit
// form exists, handler. Unknown functions in the owned ranges answer NOT_SUPPORTED, as SMCCC asks; nothing
// else is touched.
#include "machines/psci.h"
#include "base/types.h"

#include <errno.h>
#include <string.h>

enum {
    PSCI_SUCCESS = 0,
    PSCI_NOT_SUPPORTED = -1,
    PSCI_INVALID_PARAMETERS = -2,
    PSCI_DENIED = -3,
    PSCI_ALREADY_ON = -4,
    PSCI_INTERNAL_FAILURE = -6,
    PSCI_INVALID_ADDRESS = -9,
    TRNG_INVALID_PARAMETERS = -2,
    TRNG_NO_ENTROPY = -3,
};

enum {
    SMCCC_VERSION = 0x80000000u,
    SMCCC_ARCH_FEATURES = 0x80000001u,
    PSCI_VERSION = 0x84000000u,
    TRNG_VERSION = 0x84000050u,
    SMCCC_64 = 0x40000000u,
    PSCI_1_1 = 0x00010001,
    SMCCC_1_2 = 0x00010002,
    TRNG_1_0 = 0x00010000,
    TRNG_MAX_BITS_32 = 96,
    TRNG_MAX_BITS_64 = 192,
    AFFINITY_ON = 0,
    AFFINITY_OFF = 1,
    MIGRATE_NOT_REQUIRED = 2,
};

struct call {
    struct psci *psci;
    unsigned cpu;
    bool wide; // the SMC64 form: arguments are 64 bits
    uint64_t *x;
};

static uint64_t arg(const struct call *c, unsigned n)
{
    return c->wide ? c->x[n] : (uint32_t)c->x[n];
}

static int64_t answer_version(struct call *c)
{
    return PSCI_1_1;
}

// A suspended vCPU may wake at once ("the call returns when the wake-up event occurs"); Linux takes it as a
// shallow idle state, for which it uses WFI anyway.
static int64_t cpu_suspend(struct call *c)
{
    return PSCI_SUCCESS;
}

static int64_t cpu_off(struct call *c)
{
    accel_cpu_off(c->psci->accel, c->cpu);
    return PSCI_SUCCESS;
}

static bool find_cpu(const struct psci *psci, uint64_t mpidr, unsigned *ret_cpu)
{
    for (unsigned i = 0; i < psci->cpu_count; i++)
        if (psci->mpidr[i] == mpidr) {
            *ret_cpu = i;
            return true;
        }
    return false;
}

static int64_t cpu_on(struct call *c)
{
    unsigned target;
    if (!find_cpu(c->psci, arg(c, 1), &target))
        return PSCI_INVALID_PARAMETERS;
    if (arg(c, 2) & 3)
        return PSCI_INVALID_ADDRESS;
    int r = accel_cpu_start(c->psci->accel, target, arg(c, 2), arg(c, 3));
    return !r ? PSCI_SUCCESS : r == -EALREADY ? PSCI_ALREADY_ON : PSCI_INTERNAL_FAILURE;
}

static int64_t affinity_info(struct call *c)
{
    uint64_t mpidr = arg(c, 1), level = arg(c, 2);
    if (level > 3)
        return PSCI_INVALID_PARAMETERS;
    uint64_t ignore = level == 3 ? 0xffffff : (1ull << (8 * level)) - 1;
    bool any = false;
    for (unsigned i = 0; i < c->psci->cpu_count; i++) {
        if ((c->psci->mpidr[i] & ~ignore) != (mpidr & ~ignore))
            continue;
        any = true;
        if (accel_cpu_on(c->psci->accel, i))
            return AFFINITY_ON;
    }
    return any ? AFFINITY_OFF : PSCI_INVALID_PARAMETERS;
}

static int64_t migrate_info_type(struct call *c)
{
    return MIGRATE_NOT_REQUIRED;
}

static int64_t not_supported(struct call *c)
{
    return PSCI_NOT_SUPPORTED;
}

static int64_t power_request(struct call *c, enum psci_request what)
{
    c->psci->request(c->psci->opaque, what);
    accel_cpu_off(c->psci->accel, c->cpu);
    return PSCI_SUCCESS;
}

static int64_t system_off(struct call *c)
{
    return power_request(c, PSCI_POWER_OFF);
}

static int64_t system_reset(struct call *c)
{
    return power_request(c, PSCI_RESET);
}

// Architectural warm reset is type 0; vendor types have bit 31 set and none exists.
static int64_t system_reset2(struct call *c)
{
    return (uint32_t)c->x[1] ? PSCI_INVALID_PARAMETERS : power_request(c, PSCI_RESET);
}

static int64_t smccc_version(struct call *c)
{
    return SMCCC_1_2;
}

static int64_t trng_version(struct call *c)
{
    return TRNG_1_0;
}

static int64_t trng_uuid(struct call *c)
{
    static const uint32_t uuid[4] = {0x6f8d5f3a, 0x4c1e4b7a, 0x9a2b1d70, 0x0c6e51a4};
    for (int i = 1; i < 4; i++)
        c->x[i] = uuid[i];
    return uuid[0];
}

// The bits come right-aligned: the highest register holds the lowest bits, unused high bits are zero.
static int64_t trng_rnd(struct call *c)
{
    unsigned bits = arg(c, 1) > TRNG_MAX_BITS_64 ? 0 : (unsigned)arg(c, 1);
    unsigned unit = c->wide ? 64 : 32;
    if (!bits || bits > (c->wide ? TRNG_MAX_BITS_64 : TRNG_MAX_BITS_32))
        return TRNG_INVALID_PARAMETERS;
    uint64_t word[3] = {0}; // word[0] holds the lowest bits
    for (unsigned i = 0; i * unit < bits; i++) {
        unsigned left = bits - i * unit;
        if (entropy_fill(c->psci->entropy, &word[i], unit / 8))
            return TRNG_NO_ENTROPY;
        if (left < unit)
            word[i] &= (1ull << left) - 1;
    }
    for (int i = 0; i < 3; i++)
        c->x[3 - i] = word[i];
    return PSCI_SUCCESS;
}

static int64_t psci_features(struct call *c);
static int64_t arch_features(struct call *c);
static int64_t trng_features(struct call *c);

static const struct function {
    uint32_t number; // of the SMC32 form
    bool wide;       // an SMC64 form exists
    bool narrow;     // an SMC32 form exists
    int64_t (*handle)(struct call *c);
} functions[] = {
    {SMCCC_VERSION, false, true, smccc_version}, {SMCCC_ARCH_FEATURES, false, true, arch_features},
    {PSCI_VERSION, false, true, answer_version}, {0x84000001, true, true, cpu_suspend},
    {0x84000002, false, true, cpu_off},          {0x84000003, true, true, cpu_on},
    {0x84000004, true, true, affinity_info},     {0x84000006, false, true, migrate_info_type},
    {0x84000008, false, true, system_off},       {0x84000009, false, true, system_reset},
    {0x8400000a, false, true, psci_features},    {0x84000012, true, true, system_reset2},
    {TRNG_VERSION, false, true, trng_version},   {0x84000051, false, true, trng_features},
    {0x84000052, false, true, trng_uuid},        {0x84000053, true, true, trng_rnd},
};

static const struct function *find_function(uint32_t number)
{
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
        const struct function *f = &functions[i];
        if (f->number == (number & ~SMCCC_64) && (number & SMCCC_64 ? f->wide : f->narrow))
            return f;
    }
    return NULL;
}

// Feature queries answer 0 (present, no flags) for each function of the table.
static int64_t features_of(uint32_t number, uint32_t from, uint32_t to)
{
    uint32_t base = number & ~SMCCC_64;
    return base >= from && base <= to && find_function(number) ? PSCI_SUCCESS : PSCI_NOT_SUPPORTED;
}

static int64_t psci_features(struct call *c)
{
    uint32_t number = (uint32_t)c->x[1];
    return number == SMCCC_VERSION ? PSCI_SUCCESS : features_of(number, PSCI_VERSION, 0x8400001f);
}

static int64_t arch_features(struct call *c)
{
    return features_of((uint32_t)c->x[1], SMCCC_VERSION, SMCCC_ARCH_FEATURES);
}

static int64_t trng_features(struct call *c)
{
    return features_of((uint32_t)c->x[1], TRNG_VERSION, 0x84000053);
}

bool psci_call(void *opaque, unsigned cpu, bool is_smc, uint64_t x[18])
{
    struct psci *psci = opaque;
    if (is_smc != psci->smc)
        return false;
    uint32_t number = (uint32_t)x[0];
    const struct function *function = find_function(number);
    struct call c = {.psci = psci, .cpu = cpu, .wide = number & SMCCC_64, .x = x};
    int64_t result = function ? function->handle(&c) : not_supported(&c);
    x[0] = (uint64_t)result; // sign-extended in either form, as KVM and QEMU do
    return true;
}
