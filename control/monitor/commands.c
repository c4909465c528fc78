// SPDX-License-Identifier: MIT
// Owns the monitor's commands: one row each, as QEMU names them. Output is text for people; tools that parse
// QEMU's find the same words in the same places where that costs nothing.
#include "base/error.h"
#include "base/types.h"
#include "control/monitor/key_names.h"
#include "control/monitor/monitor.h"
#include "control/snapshot/snapshot.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct command {
    const char *name, *alias;
    const char *arguments, *help;
    bool stopped; // needs the vCPUs parked
    void (*run)(struct machine *machine, const char *args, FILE *out);
    // In place of run, for what depends on the chosen CPU.
    void (*run_at)(struct monitor_session *session, struct machine *machine, const char *args, FILE *out);
};

static void run_quit(struct machine *m, const char *args, FILE *out)
{
    machine_request(m, MACHINE_QUIT);
}

static void run_stop(struct machine *m, const char *args, FILE *out)
{
    machine_request(m, MACHINE_STOP);
}

static void run_cont(struct machine *m, const char *args, FILE *out)
{
    struct error err = {0};
    if (machine_run_state(m) == MACHINE_STATE_SHUT_DOWN)
        fprintf(out, "Error: Resetting the Virtual Machine is required\n");
    else if (machine_may_run(m, &err))
        fprintf(out, "Error: %s\n", err.text);
    else
        machine_request(m, MACHINE_CONT);
}

static void run_reset(struct machine *m, const char *args, FILE *out)
{
    machine_request(m, MACHINE_HARD_RESET);
}

static void run_powerdown(struct machine *m, const char *args, FILE *out)
{
    machine_power_key(m);
}

static void run_balloon(struct machine *m, const char *args, FILE *out)
{
    char *end;
    errno = 0;
    unsigned long long mib = strtoull(args, &end, 0);
    if (!isdigit((unsigned char)*args) || *end || errno || mib > UINT64_MAX >> 20)
        fprintf(out, "balloon: '%s' is not a number of MiB\n", args);
    else if (machine_balloon(m, (uint64_t)mib << 20))
        fprintf(out, "Error: No balloon device has been activated\n");
}

static void info_balloon(struct machine *m, const char *args, FILE *out)
{
    uint64_t bytes;
    if (machine_balloon_size(m, &bytes))
        fprintf(out, "Error: No balloon device has been activated\n");
    else
        fprintf(out, "balloon: actual=%" PRIu64 "\n", bytes >> 20);
}

static void info_status(struct machine *m, const char *args, FILE *out)
{
    enum machine_run_state state = machine_run_state(m);
    fprintf(out, "VM status: %s", machine_running(m) ? "running" : "paused");
    if (state != MACHINE_STATE_RUNNING && state != MACHINE_STATE_PAUSED)
        fprintf(out, " (%s)", machine_run_state_name(state));
    fputc('\n', out);
}

static void info_version(struct machine *m, const char *args, FILE *out)
{
    fprintf(out, "7.2.0 (Isomer " ISOMER_VERSION ")\n");
}

static void info_name(struct machine *m, const char *args, FILE *out)
{
    const char *name = machine_config(m)->name;
    if (name)
        fprintf(out, "%s\n", name);
}

static void info_mtree(struct machine *m, const char *args, FILE *out)
{
    machine_print_map(m, out);
}

static void info_qtree(struct machine *m, const char *args, FILE *out)
{
    machine_print_devices(m, out);
}

static void info_block(struct machine *m, const char *args, FILE *out)
{
    machine_print_drives(m, out);
}

static void info_network(struct machine *m, const char *args, FILE *out)
{
    machine_print_nets(m, out);
}

static void info_usernet(struct machine *m, const char *args, FILE *out)
{
    machine_print_connections(m, out);
}

static void run_hostfwd(struct machine *m, const char *args, bool add, FILE *out)
{
    struct error err = {0};
    if (machine_hostfwd(m, args, add, &err))
        fprintf(out, "%s\n", err.text);
}

static void run_hostfwd_add(struct machine *m, const char *args, FILE *out)
{
    run_hostfwd(m, args, true, out);
}

static void run_hostfwd_remove(struct machine *m, const char *args, FILE *out)
{
    run_hostfwd(m, args, false, out);
}

static void info_chardev(struct machine *m, const char *args, FILE *out)
{
    machine_print_chardevs(m, out);
}

static void info_jit(struct machine *m, const char *args, FILE *out)
{
    if (machine_accel(m))
        accel_print_stats(machine_accel(m), out);
}

static unsigned count_cpus(struct machine *m)
{
    return machine_accel(m) ? machine_config(m)->cpu_count : 0;
}

static void info_cpus(struct monitor_session *session, struct machine *m, const char *args, FILE *out)
{
    for (unsigned i = 0; i < count_cpus(m); i++)
        fprintf(out, "%c CPU #%u: %s thread_id=%d\n", i == session->cpu ? '*' : ' ', i,
                accel_cpu_on(machine_accel(m), i) ? "on" : "off", accel_cpu_thread(machine_accel(m), i));
}

static void run_cpu(struct monitor_session *session, struct machine *m, const char *args, FILE *out)
{
    char *end;
    unsigned long n = strtoul(args, &end, 10);
    if (!isdigit((unsigned char)*args) || *end || n >= count_cpus(m))
        fprintf(out, "cpu: the machine has CPUs 0 to %u\n", count_cpus(m) ? count_cpus(m) - 1 : 0);
    else
        session->cpu = (unsigned)n;
}

static void print_registers(struct machine *m, unsigned cpu, FILE *out)
{
    const struct guest_isa *isa = machine_isa(m);
    struct ir_env *env = accel_env(machine_accel(m), cpu);
    unsigned column = 0;
    fprintf(out, "\nCPU#%u\n", cpu);
    for (unsigned i = 0; env && i < isa->debug_reg_count; i++) {
        const struct guest_debug_reg *reg = &isa->debug_regs[i];
        uint64_t value[2] = {0, 0};
        if (strcmp(reg->group, "general") || reg->bits > 64 || !isa->debug_get(env, i, value))
            continue;
        char name[16];
        snprintf(name, sizeof name, "%s", reg->name);
        for (char *c = name; *c; c++)
            *c = (char)toupper((unsigned char)*c);
        if (isdigit((unsigned char)name[1]) && !name[2]) // X0 as X00, so that columns line up
            memmove(name + 2, name + 1, 2), name[1] = '0';
        fprintf(out, "%4s=%0*" PRIx64 "%s", name, reg->bits / 4, value[0], ++column % 4 ? " " : "\n");
    }
    if (column % 4)
        fputc('\n', out);
}

static void info_registers(struct monitor_session *session, struct machine *m, const char *args, FILE *out)
{
    bool all = !strcmp(args, "-a");
    unsigned first = all ? 0 : isdigit((unsigned char)*args) ? (unsigned)strtoul(args, NULL, 10) : session->cpu;
    for (unsigned i = first; i < count_cpus(m) && (all || i == first); i++)
        print_registers(m, i, out);
}

// "/8xw 0x1000": count, format (x d u o c i s), size (b h w g).
struct dump {
    unsigned count, size;
    char format;
    uint64_t addr;
};

static bool parse_dump(const char *args, struct dump *d, FILE *out)
{
    *d = (struct dump){.count = 1, .size = 4, .format = 'x'};
    if (*args == '/') {
        args++;
        if (isdigit((unsigned char)*args))
            d->count = (unsigned)strtoul(args, (char **)&args, 10);
        for (; *args && *args != ' '; args++) {
            static const char sizes[] = "bhwg", formats[] = "xduoc";
            const char *size = strchr(sizes, *args);
            if (size)
                d->size = 1u << (size - sizes);
            else if (strchr(formats, *args))
                d->format = *args;
            else {
                fprintf(out, "invalid char in format: '%c'\n", *args);
                return false;
            }
        }
    }
    while (*args == ' ')
        args++;
    char *end;
    errno = 0;
    d->addr = strtoull(args, &end, 0);
    if (!isdigit((unsigned char)*args) || *end || errno) {
        fprintf(out, "'%s' is not an address\n", args);
        return false;
    }
    if (d->format == 'c')
        d->size = 1;
    return true;
}

static void print_item(FILE *out, const struct dump *d, uint64_t value)
{
    int64_t sign = (int64_t)(value << (64 - 8 * d->size)) >> (64 - 8 * d->size);
    switch (d->format) {
    case 'd': fprintf(out, " %" PRId64, sign); break;
    case 'u': fprintf(out, " %" PRIu64, value); break;
    case 'o': fprintf(out, " 0%" PRIo64, value); break;
    case 'c': fprintf(out, isprint((int)value) ? " '%c'" : " '\\x%02x'", (int)value); break;
    default: fprintf(out, " 0x%0*" PRIx64, (int)(2 * d->size), value); break;
    }
}

static void dump_memory(struct machine *m, unsigned cpu, const char *args, FILE *out, bool physical)
{
    enum { MAX = 4096, LINE = 16 };
    struct dump d;
    if (!parse_dump(args, &d, out))
        return;
    unsigned per_line = LINE / d.size;
    for (unsigned i = 0; i < d.count && i < MAX; i++) {
        uint64_t addr = d.addr + (uint64_t)i * d.size, value = 0;
        if (i % per_line == 0)
            fprintf(out, "%s%016" PRIx64 ":", i ? "\n" : "", addr);
        bool bad = physical
                       ? mem_read(machine_mem(m), (struct gpa){addr}, &value, d.size, true) != MEM_OK
                       : !machine_accel(m) || accel_debug_read(machine_accel(m), cpu, addr, &value, d.size);
        if (bad) {
            fprintf(out, " cannot access memory\n");
            return;
        }
        print_item(out, &d, value);
    }
    fputc('\n', out);
}

static void run_x(struct monitor_session *session, struct machine *m, const char *args, FILE *out)
{
    dump_memory(m, session->cpu, args, out, false);
}

static void run_xp(struct machine *m, const char *args, FILE *out)
{
    dump_memory(m, 0, args, out, true);
}

static void run_device_add(struct machine *m, const char *args, FILE *out)
{
    struct keyval_list options;
    struct error err = {0};
    if (keyval_parse(args, "driver", &options, &err) || machine_device_add(m, &options, &err))
        fprintf(out, "Error: %s\n", err.text);
}

static void run_device_del(struct machine *m, const char *args, FILE *out)
{
    struct error err = {0};
    if (machine_device_del(m, args, &err))
        fprintf(out, "Error: %s\n", err.text);
}

// Names or scan codes with '-' between them, and for how many milliseconds.
static void run_sendkey(struct machine *m, const char *args, FILE *out)
{
    enum { MAX_KEYS = 16, DEFAULT_HOLD_MS = 100, NS_PER_MS = 1000000 };
    uint16_t keys[MAX_KEYS];
    unsigned count = 0;
    size_t all = strcspn(args, " ");
    unsigned long hold = args[all] ? strtoul(args + all, NULL, 0) : DEFAULT_HOLD_MS;
    for (const char *at = args, *end = args + all; at < end; at += at < end) {
        size_t len = strcspn(at, "- ");
        bool number = len > 2 && !strncmp(at, "0x", 2);
        uint16_t key = number ? key_by_number(strtoul(at, NULL, 16)) : key_by_name(at, len);
        if (!key || count == MAX_KEYS) {
            fprintf(out, "Error: '%.*s' is %s\n", (int)len, at, key ? "one key too many" : "no key");
            return;
        }
        keys[count++] = key;
        at += len;
    }
    int r = machine_press_keys(m, keys, count, (int64_t)(hold < INT32_MAX ? hold : INT32_MAX) * NS_PER_MS);
    if (r)
        fprintf(out, "Error: %s\n", r == -ENODEV ? "this machine has no such key" : "too many keys wait to be pressed");
}

static void run_help(struct machine *m, const char *args, FILE *out);
static void run_info(struct monitor_session *session, struct machine *m, const char *args, FILE *out);

// clang-format off
static const struct command commands[] = {
    {"help", "?", "[command]", "show the help", false, run_help},
    {"info", NULL, "[subcommand]", "show various information about the system state", false, .run_at = run_info},
    {"balloon", NULL, "MiB", "say how much of its RAM the guest should keep", false, run_balloon},
    {"cont", "c", "", "resume emulation", false, run_cont},
    {"delvm", NULL, "tag", "delete a VM snapshot from its tag", true, snapshot_hmp_delvm},
    {"loadvm", NULL, "tag", "restore a VM snapshot from its tag", true, snapshot_hmp_loadvm},
    {"migrate", NULL, "[-d] uri", "migrate to URI (using -d to not wait for completion)", false, snapshot_hmp_migrate},
    {"migrate_cancel", NULL, "", "cancel the current VM migration", false, snapshot_hmp_migrate_cancel},
    {"migrate_incoming", NULL, "uri", "continue an incoming migration from an -incoming defer", false, snapshot_hmp_migrate_incoming},
    {"migrate_set_parameter", NULL, "parameter value", "set the parameter for migration", false, snapshot_hmp_migrate_set_parameter},
    {"savevm", NULL, "tag", "save a VM snapshot", true, snapshot_hmp_savevm},
    {"stop", "s", "", "stop emulation", false, run_stop},
    {"quit", "q", "", "quit the emulator", false, run_quit},
    {"system_powerdown", NULL, "", "send system power down event", false, run_powerdown},
    {"sendkey", NULL, "keys [hold_ms]", "send keys to the VM (e.g. 'sendkey ctrl-alt-f1', default hold time=100 ms)", false, run_sendkey},
    {"system_reset", NULL, "", "reset the system", false, run_reset},
    {"device_add", NULL, "driver[,prop=value][,...]", "add device, like -device on the command line", false,
     run_device_add},
    {"device_del", NULL, "device", "remove device", false, run_device_del},
    {"cpu", NULL, "index", "set the default CPU", false, .run_at = run_cpu},
    {"hostfwd_add", NULL, "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport", "forward a port of the host", false, run_hostfwd_add},
    {"hostfwd_remove", NULL, "[netdev_id] [tcp|udp]:[hostaddr]:hostport", "no longer forward a port", false, run_hostfwd_remove},
    {"x", NULL, "/fmt addr", "virtual memory dump starting at 'addr'", true, .run_at = run_x},
    {"xp", NULL, "/fmt addr", "physical memory dump starting at 'addr'", true, run_xp},
};

static const struct command infos[] = {
    {"balloon", NULL, "", "show how much of its RAM the guest keeps", false, info_balloon},
    {"block", NULL, "", "show the disks", false, info_block},
    {"chardev", NULL, "", "show the character devices", false, info_chardev},
    {"cpus", NULL, "", "show the CPUs", false, .run_at = info_cpus},
    {"jit", NULL, "", "show translation counters", true, info_jit},
    {"migrate", NULL, "", "show migration status", false, snapshot_hmp_info_migrate},
    {"migrate_parameters", NULL, "", "show what is set about migrations", false, snapshot_hmp_info_migrate_parameters},
    {"mtree", NULL, "", "show memory tree", false, info_mtree},
    {"name", NULL, "", "show the machine's name", false, info_name},
    {"network", NULL, "", "show the networks", false, info_network},
    {"qtree", NULL, "", "show the devices and their state", false, info_qtree},
    {"registers", NULL, "[-a|cpu]", "show the cpu registers", true, .run_at = info_registers},
    {"snapshots", NULL, "", "show the currently saved VM snapshots", true, snapshot_hmp_info_snapshots},
    {"status", NULL, "", "show whether the machine runs", false, info_status},
    {"usernet", NULL, "", "show the connections of user-mode networks", false, info_usernet},
    {"version", NULL, "", "show the version", false, info_version},
};
// clang-format on

static void print_command(const char *prefix, const struct command *c, FILE *out)
{
    fprintf(out, "%s%s%s%s %s -- %s\n", prefix, c->name, c->alias ? "|" : "", c->alias ? c->alias : "",
            c->arguments, c->help);
}

static const char *rest_of(const char *line, size_t len)
{
    line += len;
    while (*line == ' ')
        line++;
    return line;
}

// The command that line starts with. "x/4xw addr" is QEMU's spelling: the slash ends the word.
static const struct command *find(const struct command *list, size_t count, const char *line,
                                  const char **ret_args)
{
    size_t len = strcspn(line, " /");
    for (size_t i = 0; i < count; i++) {
        const struct command *c = &list[i];
        if ((strlen(c->name) == len && !memcmp(c->name, line, len)) ||
            (c->alias && strlen(c->alias) == len && !memcmp(c->alias, line, len))) {
            *ret_args = rest_of(line, len);
            return c;
        }
    }
    return NULL;
}

static void run_help(struct machine *m, const char *args, FILE *out)
{
    const char *rest;
    const struct command *one = *args ? find(commands, ARRAY_SIZE(commands), args, &rest) : NULL;
    if (one && one->run_at == run_info)
        args = "info";
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (!*args || one == &commands[i])
            print_command("", &commands[i], out);
    if (one && one->run_at == run_info)
        for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
            print_command("info ", &infos[i], out);
}

static void run(const struct command *c, struct monitor_session *session, struct machine *m, const char *args,
                FILE *out)
{
    if (c->run_at)
        c->run_at(session, m, args, out);
    else
        c->run(m, args, out);
}

static void run_info(struct monitor_session *session, struct machine *m, const char *args, FILE *out)
{
    const char *rest;
    const struct command *c = find(infos, ARRAY_SIZE(infos), args, &rest);
    if (c)
        run(c, session, m, rest, out);
    else if (*args)
        fprintf(out, "unknown command: 'info %s'\n", args);
    else
        run_help(m, "info", out);
}

static const struct command *look_up(const char *line, const char **ret_args)
{
    return find(commands, ARRAY_SIZE(commands), line, ret_args);
}

bool monitor_needs_stop(const char *line)
{
    const char *args, *rest;
    line = rest_of(line, 0);
    const struct command *c = look_up(line, &args);
    if (c && c->run_at == run_info)
        c = find(infos, ARRAY_SIZE(infos), args, &rest);
    return c && c->stopped;
}

void monitor_command(struct machine *machine, const char *line, FILE *out)
{
    struct monitor_session session = {0};
    monitor_session_command(&session, machine, line, out);
}

void monitor_session_command(struct monitor_session *session, struct machine *machine, const char *line, FILE *out)
{
    const char *args;
    line = rest_of(line, 0);
    if (!*line)
        return;
    const struct command *c = look_up(line, &args);
    if (c)
        run(c, session, machine, args, out);
    else
        fprintf(out, "unknown command: '%.*s'\n", (int)strcspn(line, " "), line);
}
