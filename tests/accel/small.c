// SPDX-License-Identifier: MIT
// A machine of RAM and A64 vCPUs only: builds it, loads programs and lets them run until they say they are done. Owns the
// page table and the prologue that switches the MMU on; see the header.
#include "tests/accel/small.h"

#include "base/error.h"
#include "base/log.h"
#include "frontends/a64/isa.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TABLE = SMALL_RAM + 0x1000 };

static const uint32_t prologue[] = {
    0xd2801fe1, 0xd518a201,                         // mov x1, #0xff; msr mair_el1, x1
    0xd286a321, 0xf2a01001, 0xf2c00041, 0xd5182041, // x1 = 0x2'0080'3519; msr tcr_el1, x1
    0xd2a80001, 0xf2820001, 0xd5182001,             // x1 = TABLE; msr ttbr0_el1, x1
    0xd5033fdf, 0xd5381001, 0xb2400021, 0xd5181001, // isb; sctlr_el1 |= 1
    0xd5033fdf, 0xd61f0000,                         // isb; br x0
};

static const struct log no_log;

void *small_at(const struct small *small, uint64_t addr)
{
    return small->ram->host + (addr - SMALL_RAM);
}

void small_code(struct small *small, uint64_t addr, const uint32_t *words, size_t bytes)
{
    memcpy(small_at(small, addr), words, bytes);
}

static bool no_register(void *opaque, unsigned cpu, unsigned el, uint32_t reg, uint64_t *ret_value)
{
    return false;
}
static bool no_register_write(void *opaque, unsigned cpu, unsigned el, uint32_t reg, uint64_t value)
{
    return false;
}
static uint64_t no_counter(void *opaque)
{
    return 0;
}
static const struct vcpu_ports ports = {
    .reg_read = no_register, .reg_write = no_register_write, .counter = no_counter, .counter_hz = 1000000};

static bool no_call(void *opaque, unsigned cpu, bool is_smc, uint64_t x[18])
{
    return false;
}
static const struct vcpu_hypercall hypercall = {.call = no_call};

struct small *small_create(enum accel_engine engine, unsigned cpus, uint64_t ram_size, size_t code_size)
{
    return small_make(&(struct small_config){.engine = engine, .cpus = cpus, .ram_size = ram_size,
                                             .code_size = code_size, .tier = ACCEL_TIER_FAST});
}

struct small *small_make(const struct small_config *from)
{
    const unsigned cpus = from->cpus;
    struct small *small = calloc(1, sizeof *small);
    struct guest_cpu_config config[8];
    struct error err = {""};
    pthread_mutex_init(&small->lock, NULL);
    cr_assert_eq(mem_space_create(&small->lock, &small->mem, &err), 0, "%s", err.text);
    cr_assert_eq(mem_add_ram(small->mem, "ram", (struct gpa){SMALL_RAM}, from->ram_size, 0, &small->ram, &err), 0);
    if (from->map)
        from->map(small, from->map_opaque);
    free((void *)mem_commit(small->mem));
    small_code(small, SMALL_RAM, prologue, sizeof prologue);
    *(uint64_t *)small_at(small, TABLE + 8) = SMALL_RAM | 0x701; // inner shareable, accessed, read-write at EL1
    for (unsigned i = 0; i < cpus; i++)
        config[i] = (struct guest_cpu_config){.model = from->model ? from->model : "cortex-a72", .index = i,
                                              .count = cpus, .ports = &ports, .hypercall = &hypercall,
                                              .log = &no_log};
    const struct accel_config accel = {
        .engine = from->engine, .tier = from->tier, .backend = &x64_backend, .isa = from->isa ? from->isa : &a64_isa,
        .mem = small->mem, .log = &no_log, .cpu_count = cpus, .cpus = config, .code_cache_size = from->code_size,
        .without = from->without, .exact_exclusives = from->exact_exclusives,
        .optimiser = from->optimiser, .one_pass_regions = from->one_pass_regions, .host_feature_mask = ~0ull};
    cr_assert_eq(accel_create(&accel, &small->accel, &err), 0, "%s", err.text);
    return small;
}

void small_destroy(struct small *small)
{
    accel_destroy(small->accel);
    mem_space_destroy(small->mem);
    free(small);
}

void small_start(struct small *small, unsigned cpu, uint64_t program)
{
    cr_assert_eq(accel_cpu_start(small->accel, cpu, SMALL_RAM, program), 0);
}

bool small_run_until(struct small *small, uint64_t addr, uint64_t value, double seconds)
{
    const uint64_t *word = small_at(small, addr);
    const struct timespec nap = {.tv_nsec = 1000000};
    struct timespec begin, now;
    bool reached;
    accel_resume(small->accel);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        nanosleep(&nap, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        reached = __atomic_load_n(word, __ATOMIC_ACQUIRE) >= value;
    } while (!reached && (double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) * 1e-9 < seconds);
    accel_pause(small->accel);
    return reached;
}
