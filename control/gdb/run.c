// SPDX-License-Identifier: MIT
// Owns resuming and stopping as the debugger sees them: vCont and its elders, stop replies, and threads, which are
// vCPUs of process 1 numbered from 1. A step runs one vCPU while the others stay parked.
#include "control/gdb/gdb_internal.h"

#include <string.h>

enum { PROCESS = 1 };

// "-1", "0", "N", "pP", "pP.N" with hexadecimal numbers.
bool gdb_get_thread(const struct gdb *gdb, const char **at, enum gdb_thread_kind *ret_kind, unsigned *ret_cpu)
{
    uint64_t n;
    if (**at == 'p') {
        (*at)++;
        if (!strncmp(*at, "-1", 2))
            *at += 2;
        else if (!gdb_get_u64(at, &n) || n > PROCESS)
            return false;
        if (**at != '.') {
            *ret_kind = GDB_THREAD_ALL;
            return true;
        }
        (*at)++;
    }
    if (!strncmp(*at, "-1", 2)) {
        *at += 2;
        *ret_kind = GDB_THREAD_ALL;
        return true;
    }
    if (!gdb_get_u64(at, &n) || n > gdb->cpu_count)
        return false;
    *ret_kind = n ? GDB_THREAD_ONE : GDB_THREAD_ANY;
    if (n)
        *ret_cpu = (unsigned)n - 1;
    return true;
}

void gdb_put_thread(struct gdb *gdb, unsigned cpu)
{
    if (gdb->multiprocess)
        gdb_put(&gdb->reply, "p%x.%x", PROCESS, cpu + 1);
    else
        gdb_put(&gdb->reply, "%x", cpu + 1);
}

static uint64_t pc_of(const struct gdb *gdb, unsigned cpu)
{
    return accel_env(gdb->accel, cpu)->pc;
}

static void note_watch(struct gdb *gdb, unsigned cpu)
{
    static const char *const names[GDB_POINT_TYPES] = {
        [GDB_WATCH_WRITE] = "watch", [GDB_WATCH_READ] = "rwatch", [GDB_WATCH_ACCESS] = "awatch"};
    uint64_t va;
    enum guest_access access;
    accel_watch_hit(gdb->accel, cpu, &va, &access);
    const struct gdb_point *point = gdb_find_watch(gdb, va, access == GUEST_WRITE, &gdb->stop_va);
    gdb->stop_point = point ? names[point->type] : NULL;
    gdb->stop_has_va = true;
}

void gdb_note_stop(struct gdb *gdb, const struct machine_event *event)
{
    gdb->stop_point = NULL;
    gdb->stop_has_va = false;
    gdb->stop_signal = event->debug ? GDB_SIGNAL_TRAP : GDB_SIGNAL_INT;
    if (!event->debug)
        return;
    gdb->cpu = gdb->stop_cpu = event->cpu < gdb->cpu_count ? event->cpu : 0;
    if (event->reason == ACCEL_STOP_WATCHPOINT) {
        note_watch(gdb, gdb->stop_cpu);
    } else if (event->reason == ACCEL_STOP_BREAKPOINT) {
        const struct gdb_point *point = gdb_find_break(gdb, pc_of(gdb, gdb->stop_cpu));
        if (point && point->type == GDB_SW_BREAK && gdb->swbreak)
            gdb->stop_point = "swbreak";
        else if (point && point->type == GDB_HW_BREAK && gdb->hwbreak)
            gdb->stop_point = "hwbreak";
    }
}

// Registers the debugger asks for after each stop: their values spare it the question.
static void put_expedited(struct gdb *gdb)
{
    static const char *const names[] = {"pc", "sp"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        uint8_t value[16];
        int reg = gdb_find_reg(gdb, names[i]);
        if (reg < 0 || !gdb->isa->debug_get(accel_env(gdb->accel, gdb->stop_cpu), (unsigned)reg, value))
            continue;
        gdb_put(&gdb->reply, "%02x:", reg);
        gdb_put_hex(&gdb->reply, value, gdb->isa->debug_regs[reg].bits / 8);
        gdb_put(&gdb->reply, ";");
    }
}

void gdb_put_stop(struct gdb *gdb)
{
    gdb_put(&gdb->reply, "T%02xthread:", gdb->stop_signal);
    gdb_put_thread(gdb, gdb->stop_cpu);
    gdb_put(&gdb->reply, ";");
    put_expedited(gdb);
    if (gdb->stop_point && gdb->stop_has_va)
        gdb_put(&gdb->reply, "%s:%llx;", gdb->stop_point, (unsigned long long)gdb->stop_va);
    else if (gdb->stop_point)
        gdb_put(&gdb->reply, "%s:;", gdb->stop_point);
}

// ---- resuming ------------------------------------------------------------------------------------------------------

static void let_run(struct gdb *gdb)
{
    gdb->resumed = true;
    gdb->no_reply = true;
    machine_request(gdb->machine, MACHINE_CONT);
}

static void step(struct gdb *gdb, unsigned cpu)
{
    if (!accel_cpu_on(gdb->accel, cpu)) { // it would never report back
        gdb->cpu = gdb->stop_cpu = cpu;
        gdb->stop_signal = GDB_SIGNAL_TRAP;
        gdb->stop_point = NULL;
        gdb_put_stop(gdb);
        return;
    }
    accel_step(gdb->accel, cpu);
    let_run(gdb);
}

// [SIGNAL;]ADDRESS of the old packets.
static void set_pc(struct gdb *gdb, const char *args)
{
    uint64_t pc;
    int reg = gdb_find_reg(gdb, "pc");
    if (gdb_get_u64(&args, &pc) && reg >= 0)
        gdb->isa->debug_set(accel_env(gdb->accel, gdb->cpu), (unsigned)reg, &pc);
}

static const char *after_signal(const char *args)
{
    const char *semicolon = strchr(args, ';');
    return semicolon ? semicolon + 1 : "";
}

static void on_continue(struct gdb *gdb, const char *args)
{
    set_pc(gdb, args);
    let_run(gdb);
}

static void on_continue_signal(struct gdb *gdb, const char *args)
{
    on_continue(gdb, after_signal(args));
}

static void on_step(struct gdb *gdb, const char *args)
{
    set_pc(gdb, args);
    step(gdb, gdb->cpu);
}

static void on_step_signal(struct gdb *gdb, const char *args)
{
    on_step(gdb, after_signal(args));
}

static void on_vcont_query(struct gdb *gdb, const char *args)
{
    gdb_put(&gdb->reply, "vCont;c;C;s;S");
}

// One ";action[:thread]". false: not understood.
static bool get_action(const struct gdb *gdb, const char **at, char *ret_action, enum gdb_thread_kind *ret_kind,
                       unsigned *ret_cpu)
{
    uint64_t signal;
    if (*(*at)++ != ';' || !strchr("cCsS", **at) || !**at)
        return false;
    *ret_action = *(*at)++;
    if ((*ret_action == 'C' || *ret_action == 'S') && !gdb_get_u64(at, &signal))
        return false;
    *ret_kind = GDB_THREAD_ALL;
    if (**at == ':') {
        (*at)++;
        return gdb_get_thread(gdb, at, ret_kind, ret_cpu);
    }
    return true;
}

// The leftmost action that fits a thread counts, so a step for everyone means the current thread unless an earlier
// action took it. Of continues, either one thread runs alone or all of them do.
static void on_vcont(struct gdb *gdb, const char *args)
{
    bool any = false, stepping = false, all_taken = false, several = false;
    unsigned step_cpu = 0, only = 0;
    while (*args) {
        char action;
        enum gdb_thread_kind kind;
        unsigned cpu = gdb->cpu;
        if (!get_action(gdb, &args, &action, &kind, &cpu)) {
            gdb_error(gdb, GDB_E_ARGUMENT);
            return;
        }
        several |= kind != GDB_THREAD_ONE || (any && cpu != only);
        only = cpu;
        any = true;
        if ((action == 's' || action == 'S') && !stepping && !all_taken) {
            stepping = true;
            step_cpu = cpu;
        }
        all_taken |= kind == GDB_THREAD_ALL;
    }
    if (!any)
        gdb_error(gdb, GDB_E_ARGUMENT);
    else if (stepping)
        step(gdb, step_cpu);
    else {
        if (!several)
            accel_run_only(gdb->accel, only);
        let_run(gdb);
    }
}

static void on_why(struct gdb *gdb, const char *args)
{
    gdb_put_stop(gdb);
}

static void on_thread(struct gdb *gdb, const char *args)
{
    enum gdb_thread_kind kind;
    unsigned cpu = gdb->cpu;
    char what = *args;
    if (!what || !gdb_get_thread(gdb, &(const char *){args + 1}, &kind, &cpu)) {
        gdb_error(gdb, GDB_E_ARGUMENT);
        return;
    }
    if (kind == GDB_THREAD_ONE && (what == 'g' || what == 'c'))
        gdb->cpu = cpu;
    gdb_ok(gdb);
}

static void on_thread_alive(struct gdb *gdb, const char *args)
{
    enum gdb_thread_kind kind;
    unsigned cpu;
    if (gdb_get_thread(gdb, &args, &kind, &cpu))
        gdb_ok(gdb);
    else
        gdb_error(gdb, GDB_E_ARGUMENT);
}

static void on_detach(struct gdb *gdb, const char *args)
{
    gdb_remove_points(gdb);
    gdb->borrowed = false;
    gdb_ok(gdb);
    machine_request(gdb->machine, MACHINE_CONT);
}

static void on_kill(struct gdb *gdb, const char *args)
{
    gdb->no_reply = true;
    machine_quit(gdb->machine, MACHINE_POWERED_OFF);
}

static void on_kill_process(struct gdb *gdb, const char *args)
{
    gdb_ok(gdb);
    machine_quit(gdb->machine, MACHINE_POWERED_OFF);
}

static void on_restart(struct gdb *gdb, const char *args)
{
    gdb->no_reply = true;
    machine_request(gdb->machine, MACHINE_HARD_RESET);
}

static void on_extended(struct gdb *gdb, const char *args)
{
    gdb_ok(gdb);
}

const struct gdb_command gdb_run_commands[] = {
    {"?", true, on_why},
    {"!", true, on_extended},
    {"vCont?", true, on_vcont_query},
    {"vCont", false, on_vcont},
    {"vKill", false, on_kill_process},
    {"vAttach;1", true, on_why},
    {"c", false, on_continue},
    {"C", false, on_continue_signal},
    {"s", false, on_step},
    {"S", false, on_step_signal},
    {"H", false, on_thread},
    {"T", false, on_thread_alive},
    {"D", false, on_detach},
    {"k", true, on_kill},
    {"R", false, on_restart},
    {NULL},
};
