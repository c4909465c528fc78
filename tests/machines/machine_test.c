// SPDX-License-Identifier: MIT
// The life of a machine over a fake accelerator: start, stop and continue, reset with fresh contents, the
// guest's power-off and the watchdog, each with the exit status it must give.
#include "base/error.h"
#include "base/loop.h"
#include "machines/machine.h"
#include "tests/machines/fake_accel.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RAM = 0x40000000, GICD_TYPER = 0x08000004 };

struct bench {
    struct machine_config config;
    struct machine *machine;
    struct loop_timer timer;
    struct machine_call call;
    unsigned step, resets;
    char kernel[64];
    bool was_running;
};

// A program of one word at the start of RAM.
static void write_kernel(struct bench *b)
{
    static const uint8_t elf[] = {
        0x7f, 'E',  'L',  'F',  2,  1, 1,  0, 0,  0, 0,    0,    0, 0, 0, 0, 2, 0,  183,  0,    1, 0, 0, 0,
        0,    0,    0x20, 0x40, 0,  0, 0,  0, 64, 0, 0,    0,    0, 0, 0, 0, 0, 0,  0,    0,    0, 0, 0, 0,
        0,    0,    0,    0,    64, 0, 56, 0, 1,  0, 0,    0,    0, 0, 0, 0, 1, 0,  0,    0,    5, 0, 0, 0,
        120,  0,    0,    0,    0,  0, 0,  0, 0,  0, 0x20, 0x40, 0, 0, 0, 0, 0, 0,  0x20, 0x40, 0, 0, 0, 0,
        4,    0,    0,    0,    0,  0, 0,  0, 8,  0, 0,    0,    0, 0, 0, 0, 0, 16, 0,    0,    0, 0, 0, 0,
        0xde, 0xc0, 0xad, 0x0b};
    strcpy(b->kernel, "/tmp/machine_test.XXXXXX");
    int fd = mkstemp(b->kernel);
    cr_assert(fd >= 0 && write(fd, elf, sizeof elf) == sizeof elf);
    close(fd);
}

static void create(struct bench *b)
{
    struct error err = {0};
    b->config.board = "virt";
    b->config.cpu_count = 2;
    b->config.ram_size = 16 << 20;
    b->config.kernel = b->kernel;
    write_kernel(b);
    cr_assert_eq(machine_create(&b->config, &b->machine, &err), 0, "%s", err.text);
}

static int run(struct bench *b)
{
    int status = machine_run(b->machine);
    machine_destroy(b->machine);
    unlink(b->kernel);
    return status;
}

static uint64_t smccc(struct machine *m, uint64_t function)
{
    uint64_t x[18] = {function};
    const struct vcpu_hypercall *h = machine_accel(m)->hypercall;
    h->call(h->opaque, 0, false, x);
    return x[0];
}

static uint32_t word(struct machine *m, uint64_t addr)
{
    uint32_t v = 0;
    mem_read(machine_mem(m), (struct gpa){addr}, &v, sizeof v, true);
    return v;
}

static void check_started(struct bench *b)
{
    struct accel *accel = machine_accel(b->machine);
    cr_expect(accel->on[0]);
    cr_expect_not(accel->on[1]);
    cr_expect_eq(accel->entry[0], RAM + 0x200000);
    cr_expect_eq(accel->arg[0], RAM);
    cr_expect_eq(word(b->machine, GICD_TYPER) & 0x1f, (32 + 256) / 32 - 1, "interrupts as many as QEMU's board has");
    cr_expect_eq(word(b->machine, RAM), 0xedfe0dd0, "a device tree lies at the start of RAM");
    cr_expect_eq(word(b->machine, RAM + 0x200000), 0x0badc0de);
    cr_expect_eq(word(b->machine, RAM + 0x200004), 0, "the rest of the segment is zeros");
}

static void off_step(void *opaque)
{
    struct bench *b = opaque;
    check_started(b);
    smccc(b->machine, 0x84000008);
}

Test(machine, guest_power_off_ends_with_0)
{
    struct bench b = {0};
    create(&b);
    b.call = (struct machine_call){.fn = off_step, .opaque = &b};
    machine_call(b.machine, &b.call);
    cr_expect_eq(run(&b), MACHINE_POWERED_OFF);
}

static void reset_step(void *opaque)
{
    struct bench *b = opaque;
    static const uint32_t garbage = 0x55555555;
    check_started(b);
    if (b->resets++ == 3) {
        machine_request(b->machine, MACHINE_QUIT);
        return;
    }
    mem_write(machine_mem(b->machine), (struct gpa){RAM}, &garbage, 4, true);
    mem_write(machine_mem(b->machine), (struct gpa){RAM + 0x200000}, &garbage, 4, true);
    mem_write(machine_mem(b->machine), (struct gpa){RAM + 0x200004}, &garbage, 4, true);
    accel_cpu_start(machine_accel(b->machine), 1, RAM, 0);
    smccc(b->machine, 0x84000009);
    machine_call(b->machine, &b->call);
}

// What a network writes to a closed connection.
static void pipe_step(void *opaque)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    cr_expect_eq(write(ends[1], "", 1), -1);
    cr_expect_eq(errno, EPIPE);
    close(ends[1]);
    off_step(opaque);
}

Test(machine, a_closed_pipe_ends_nothing)
{
    struct bench b = {0};
    create(&b);
    b.call = (struct machine_call){.fn = pipe_step, .opaque = &b};
    machine_call(b.machine, &b.call);
    cr_expect_eq(run(&b), 0);
}

Test(machine, reset_loads_everything_again)
{
    struct bench b = {0};
    create(&b);
    b.call = (struct machine_call){.fn = reset_step, .opaque = &b};
    machine_call(b.machine, &b.call);
    cr_expect_eq(run(&b), 0);
    cr_expect_eq(b.resets, 4);
}

static void reboot_step(void *opaque)
{
    struct bench *b = opaque;
    smccc(b->machine, 0x84000009);
}

Test(machine, no_reboot_ends_with_0)
{
    struct bench b = {.config.no_reboot = true};
    create(&b);
    b.call = (struct machine_call){.fn = reboot_step, .opaque = &b};
    machine_call(b.machine, &b.call);
    cr_expect_eq(run(&b), 0);
}

static void shutdown_step(void *opaque)
{
    struct bench *b = opaque;
    switch (b->step++) {
    case 0: smccc(b->machine, 0x84000008); break;
    case 1:
        b->was_running = machine_running(b->machine);
        machine_quit(b->machine, 77);
        return;
    }
    machine_call(b->machine, &b->call);
}

Test(machine, no_shutdown_stops_and_the_first_status_wins)
{
    struct bench b = {.config.no_shutdown = true, .was_running = true};
    create(&b);
    b.call = (struct machine_call){.fn = shutdown_step, .opaque = &b};
    machine_call(b.machine, &b.call);
    cr_expect_eq(run(&b), 77);
    cr_expect_not(b.was_running);
}

static void stop_step(void *opaque)
{
    struct bench *b = opaque;
    struct accel *accel = machine_accel(b->machine);
    static const struct {
        bool running;
        enum machine_request next;
    } rows[] = {{false, MACHINE_CONT}, {true, MACHINE_STOP},       {false, MACHINE_HARD_RESET},
                {false, MACHINE_CONT}, {true, MACHINE_HARD_RESET}, {true, MACHINE_QUIT}};
    cr_expect_eq(machine_running(b->machine), rows[b->step].running, "step %u", b->step);
    cr_expect_eq(accel->paused, rows[b->step].running ? 0 : 1, "step %u", b->step);
    machine_request(b->machine, rows[b->step].next);
    if (++b->step < sizeof rows / sizeof *rows)
        machine_call(b->machine, &b->call);
}

Test(machine, stop_cont_and_reset_keep_count)
{
    struct bench b = {.config.start_stopped = true};
    create(&b);
    b.call = (struct machine_call){.fn = stop_step, .opaque = &b};
    machine_call(b.machine, &b.call);
    cr_expect_eq(run(&b), 0);
    cr_expect_eq(b.step, 6);
}

Test(machine, a_silent_guest_is_hung)
{
    struct bench b = {.config.watchdog_timeout = 1};
    create(&b);
    cr_expect_eq(run(&b), MACHINE_HUNG);
}

Test(machine, two_machines_in_one_process)
{
    struct bench a = {0}, b = {0};
    create(&a);
    create(&b);
    a.call = (struct machine_call){.fn = off_step, .opaque = &a};
    b.call = (struct machine_call){.fn = off_step, .opaque = &b};
    machine_call(a.machine, &a.call);
    machine_call(b.machine, &b.call);
    cr_expect_eq(run(&a), 0);
    cr_expect_eq(run(&b), 0);
}
