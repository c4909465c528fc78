// SPDX-License-Identifier: MIT
// Owns the option table: one row an option with its argument, help text and handler. Options of QEMU's that
// we know and do not have are rows too, so that the answer names them. Order of the table is the order of -h.
#include "base/error.h"
#include "base/types.h"
#include "control/cli/cli.h"
#include "host/chardev/backends.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define QEMU_COMPATIBLE "7.2.0"

struct option {
    const char *name;
    const char *argument; // NULL: takes none
    const char *help;     // NULL: an alias, not listed
    int (*handle)(struct cli *cli, const char *arg, enum cli_action *action, struct error *err);
    const char *refusal; // instead of a handler: why it is not supported
};

static void print_version(const char *program, FILE *out)
{
    if (!strncmp(program, "qemu-system-", 12))
        fprintf(out, "QEMU emulator version " QEMU_COMPATIBLE " (Isomer " ISOMER_VERSION ")\n");
    else
        fprintf(out, "Isomer version " ISOMER_VERSION "\n");
}

static bool asks_for_help(const char *text)
{
    return !strcmp(text, "help") || !strcmp(text, "?");
}

static int on_version(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    print_version(cli->program, cli->out);
    *action = CLI_EXIT;
    return 0;
}

static int on_help(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    cli_usage(cli->program, cli->out);
    *action = CLI_EXIT;
    return 0;
}

static int set_engine(struct cli *cli, const char *name, struct error *err)
{
    static const struct {
        const char *name;
        enum accel_engine engine;
    } engines[] = {{"tcg", ACCEL_JIT},
                   {"jit", ACCEL_JIT},
                   {"auto", ACCEL_JIT},
                   {"interp", ACCEL_INTERPRETER},
                   {"lockstep", ACCEL_LOCKSTEP}};
    // machine accel= takes a list in order of preference, "kvm:tcg"
    while (*name) {
        size_t len = strcspn(name, ":");
        for (size_t i = 0; i < ARRAY_SIZE(engines); i++)
            if (strlen(engines[i].name) == len && !memcmp(engines[i].name, name, len)) {
                cli->machine.engine = engines[i].engine;
                return 0;
            }
        if (!name[len])
            return error_set(err, -EINVAL, "-accel: there is no accelerator '%s' (try -accel help)", name);
        name += len + 1;
    }
    return error_set(err, -EINVAL, "-accel needs a name");
}

static int set_tier(struct cli *cli, const char *name, struct error *err)
{
    static const char *const tiers[] = {[ACCEL_TIER_FAST] = "fast", [ACCEL_TIER_AUTO] = "auto",
                                        [ACCEL_TIER_OPT] = "opt"};
    for (size_t i = 0; name && i < ARRAY_SIZE(tiers); i++)
        if (!strcmp(name, tiers[i])) {
            cli->machine.tier = (enum accel_tier)i;
            return 0;
        }
    return name ? error_set(err, -EINVAL, "-accel: tier=%s is none of fast, auto, opt", name) : 0;
}

static void list_accels(struct cli *cli)
{
    fprintf(cli->out, "Accelerators supported:\n"
                      "auto      the best one here: jit\n"
                      "tcg       the JIT, by the name that QEMU's users write\n"
                      "jit       translation to host code\n"
                      "interp    the reference interpreter\n"
                      "lockstep  the JIT checked against the interpreter\n");
}

static int on_accel(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    struct keyval_list list;
    int r = keyval_parse(arg, "accel", &list, err);
    if (r)
        return r;
    const char *name = keyval_get(&list, "accel"), *thread = keyval_get(&list, "thread");
    if (name && asks_for_help(name)) {
        list_accels(cli);
        *action = CLI_EXIT;
        keyval_free(&list);
        return 0;
    }
    uint64_t size = 0;
    if (!name)
        r = error_set(err, -EINVAL, "-accel needs a name");
    if (!r)
        r = set_engine(cli, name, err);
    if (!r)
        r = keyval_size(&list, "tb-size", 1 << 20, &size, err);
    if (!r && thread && strcmp(thread, "multi") && strcmp(thread, "single"))
        r = error_set(err, -EINVAL, "-accel: thread=%s is neither single nor multi", thread);
    if (!r)
        r = set_tier(cli, keyval_get(&list, "tier"), err);
    if (!r)
        r = keyval_bool(&list, "one-pass-regions", &cli->machine.one_pass_regions, err);
    if (!r)
        r = keyval_bool(&list, "perf-map", &cli->machine.perf_map, err);
    if (!r)
        r = keyval_bool(&list, "no-chain", &cli->machine.no_chain, err);
    keyval_get(&list, "split-wx"); // always so here
    keyval_get(&list, "one-insn-per-tb");
    if (!r && keyval_unused(&list))
        r = error_set(err, -EINVAL, "-accel does not know the option '%s'", keyval_unused(&list));
    cli->machine.code_cache_size = size;
    keyval_free(&list);
    return r;
}

static int on_machine(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    struct keyval_list *list = &cli->machine.board_options;
    if (asks_for_help(arg)) {
        machine_list_boards(cli->out);
        *action = CLI_EXIT;
        return 0;
    }
    keyval_free(list);
    int r = keyval_parse(arg, "type", list, err);
    if (r)
        return r;
    const char *type = keyval_get(list, "type"), *accel = keyval_get(list, "accel");
    if (type)
        cli->machine.board = type;
    if (keyval_get(list, "?") || keyval_get(list, "help")) {
        machine_list_board_options(cli->machine.board, cli->out);
        *action = CLI_EXIT;
        return 0;
    }
    return accel ? set_engine(cli, accel, err) : 0;
}

static int on_cpu(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    if (asks_for_help(arg)) {
        machine_list_cpus(cli->out);
        *action = CLI_EXIT;
    }
    cli->machine.cpu = arg;
    return 0;
}

static int on_memory(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    struct keyval_list list;
    int r = keyval_parse(arg, "size", &list, err);
    if (r)
        return r;
    const char *size = keyval_get(&list, "size");
    keyval_get(&list, "slots");
    keyval_get(&list, "maxmem");
    r = size ? keyval_parse_size("-m", size, 1 << 20, &cli->machine.ram_size, err)
             : error_set(err, -EINVAL, "-m needs a size");
    if (!r && keyval_unused(&list))
        r = error_set(err, -EINVAL, "-m does not know the option '%s'", keyval_unused(&list));
    if (!r && !cli->machine.ram_size)
        r = error_set(err, -EINVAL, "-m: a machine needs some memory");
    keyval_free(&list);
    return r;
}

// Sockets, cores and threads multiply where cpus= is not given.
static int on_smp(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    static const char *const factors[] = {"sockets", "dies", "clusters", "cores", "threads"};
    struct keyval_list list;
    int r = keyval_parse(arg, "cpus", &list, err);
    if (r)
        return r;
    uint64_t cpus = 0, product = 1, max = 0;
    for (size_t i = 0; !r && i < ARRAY_SIZE(factors); i++) {
        uint64_t factor = 1;
        r = keyval_u64(&list, factors[i], &factor, err);
        product *= factor < 4096 ? factor : 4096;
    }
    if (!r)
        r = keyval_u64(&list, "cpus", &cpus, err);
    if (!r)
        r = keyval_u64(&list, "maxcpus", &max, err);
    if (!r && keyval_unused(&list))
        r = error_set(err, -EINVAL, "-smp does not know the option '%s'", keyval_unused(&list));
    if (!keyval_get(&list, "cpus"))
        cpus = product;
    if (!r && (!cpus || cpus > 4096))
        r = error_set(err, -EINVAL, "-smp: %s is not a possible number of CPUs", arg);
    cli->machine.cpu_count = (unsigned)cpus;
    keyval_free(&list);
    return r;
}

#define STRING_OPTION(name_, place_)                                                                         \
    static int on_##name_(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)      \
    {                                                                                                        \
        cli->place_ = arg;                                                                                   \
        return 0;                                                                                            \
    }
#define FLAG_OPTION(name_, place_)                                                                           \
    static int on_##name_(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)      \
    {                                                                                                        \
        cli->place_ = true;                                                                                  \
        return 0;                                                                                            \
    }
STRING_OPTION(kernel, machine.kernel)
STRING_OPTION(initrd, machine.initrd)
STRING_OPTION(append, machine.append)
STRING_OPTION(dtb, machine.dtb)
STRING_OPTION(bios, machine.bios)
STRING_OPTION(name, machine.name)
STRING_OPTION(gdb, gdb)
STRING_OPTION(log_mask, log_mask)
STRING_OPTION(log_file, log_file)
STRING_OPTION(pid_file, pid_file)
FLAG_OPTION(nographic, nographic)
FLAG_OPTION(nodefaults, nodefaults)
FLAG_OPTION(no_reboot, machine.no_reboot)
FLAG_OPTION(no_shutdown, machine.no_shutdown)
FLAG_OPTION(stopped, machine.start_stopped)
FLAG_OPTION(daemonize, daemonize)

static int on_nothing(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return 0;
}

static int on_gdb_default(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    cli->gdb = "tcp::1234";
    return 0;
}

static int on_device(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    if (asks_for_help(arg)) {
        machine_list_devices(cli->out);
        *action = CLI_EXIT;
        return 0;
    }
    int r = cli_add(cli, cli->devices, &cli->machine.device_count, "-device", arg, "driver", err);
    if (r)
        return r;
    struct keyval_list *list = &cli->devices[cli->machine.device_count - 1];
    const char *driver = keyval_get(list, "driver");
    if (!driver)
        return error_set(err, -EINVAL, "-device needs the name of a device (try -device help)");
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].bare && asks_for_help(list->items[i].key)) {
            *action = CLI_EXIT;
            return machine_list_device_options(driver, cli->out)
                       ? 0
                       : error_set(err, -EINVAL, "there is no device '%s' (try -device help)", driver);
        }
    return 0;
}

static int on_drive(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return cli_add(cli, cli->drives, &cli->machine.drive_count, "-drive", arg, NULL, err);
}

static int on_chardev(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    if (asks_for_help(arg)) {
        chardev_list_backends(cli->out);
        *action = CLI_EXIT;
        return 0;
    }
    return cli_add(cli, cli->chardevs, &cli->machine.chardev_count, "-chardev", arg, "backend", err);
}

static int on_fw_cfg(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return cli_add(cli, cli->fw_cfg, &cli->machine.fw_cfg_count, "-fw_cfg", arg, "name", err);
}

static int on_serial(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    if (cli->serial_count == MACHINE_MAX_SERIALS)
        return error_set(err, -EINVAL, "-serial: a machine has at most %d serial lines", MACHINE_MAX_SERIALS);
    cli->serial[cli->serial_count++] = arg;
    cli->has_serial = true;
    return 0;
}

static int on_monitor(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    if (cli->monitor_text_count == CLI_MAX_MONITORS)
        return error_set(err, -EINVAL, "-monitor: there can be at most %d monitors", CLI_MAX_MONITORS);
    cli->monitor[cli->monitor_text_count++] = arg;
    cli->has_monitor = true;
    return 0;
}

static int on_mon(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    struct keyval_list list;
    int r = keyval_parse(arg, "chardev", &list, err);
    if (r)
        return r;
    const char *id = keyval_get(&list, "chardev"), *mode = keyval_get(&list, "mode");
    keyval_get(&list, "pretty");
    if (!id)
        r = error_set(err, -EINVAL, "-mon needs a chardev=");
    else if (mode && !strcmp(mode, "control"))
        r = error_set(err, -ENOTSUP, "-mon: mode=control (QMP) is not supported yet");
    else if (cli->monitor_count == CLI_MAX_MONITORS)
        r = error_set(err, -EINVAL, "-mon: there can be at most %d monitors", CLI_MAX_MONITORS);
    else
        cli->monitors[cli->monitor_count++] = (struct cli_monitor){.chardev = cli_keep(cli, "%s", id)};
    cli->has_monitor = true;
    keyval_free(&list);
    return r;
}

static int on_echr(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    uint64_t value;
    int r = keyval_parse_u64("-echr", arg, &value, err);
    if (!r && value > 255)
        r = error_set(err, -EINVAL, "-echr: %s is not a character's number", arg);
    if (!r)
        cli->escape = (uint8_t)value;
    return r;
}

// Things that a headless machine does not have: "none" is what we do anyway.
static int only_none(const char *option, const char *arg, struct error *err)
{
    return strcmp(arg, "none") ? error_set(err, -ENOTSUP, "%s %s is not supported (only none)", option, arg)
                               : 0;
}

static int on_display(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return only_none("-display", arg, err);
}

static int on_vnc(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return only_none("-vnc", arg, err);
}

static int on_vga(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return only_none("-vga", arg, err);
}

static int on_parallel(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return only_none("-parallel", arg, err);
}

static int on_net(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return only_none("-net", arg, err);
}

static int on_nic(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return only_none("-nic", arg, err);
}

static int on_netdev(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    if (!asks_for_help(arg))
        return error_set(err, -ENOTSUP, "-netdev is not supported yet");
    fprintf(cli->out, "Available netdev backend types:\n");
    *action = CLI_EXIT;
    return 0;
}

static int on_rtc(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    struct keyval_list list;
    int r = keyval_parse(arg, NULL, &list, err);
    if (r)
        return r;
    const char *base = keyval_get(&list, "base"), *clock = keyval_get(&list, "clock");
    keyval_get(&list, "driftfix");
    if (base && strcmp(base, "utc"))
        r = error_set(err, -ENOTSUP, "-rtc: base=%s is not supported (only utc)", base);
    else if (clock && strcmp(clock, "host") && strcmp(clock, "vm") && strcmp(clock, "rt"))
        r = error_set(err, -EINVAL, "-rtc: clock=%s is not one of host, rt and vm", clock);
    else if (keyval_unused(&list))
        r = error_set(err, -EINVAL, "-rtc does not know the option '%s'", keyval_unused(&list));
    keyval_free(&list);
    return r;
}

// QEMU's: what becomes of an event.
static int on_action(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    struct machine_config *m = &cli->machine;
    static const struct row {
        const char *event, *what;
        enum { PANIC, REBOOT, SHUTDOWN } kind;
        int value;
    } rows[] = {
        {"panic", "none", PANIC, MACHINE_PANIC_IS_NOTED},   {"panic", "pause", PANIC, MACHINE_PANIC_PAUSES},
        {"panic", "shutdown", PANIC, MACHINE_PANIC_ENDS},   {"panic", "exit-failure", PANIC, MACHINE_PANIC_ENDS},
        {"reboot", "reset", REBOOT, false},                 {"reboot", "shutdown", REBOOT, true},
        {"shutdown", "poweroff", SHUTDOWN, false},          {"shutdown", "pause", SHUTDOWN, true},
    };
    struct keyval_list list;
    int r = keyval_parse(arg, NULL, &list, err);
    if (r)
        return r;
    static const char *const events[] = {"panic", "reboot", "shutdown"};
    for (size_t e = 0; !r && e < sizeof events / sizeof *events; e++) {
        const char *what = keyval_get(&list, events[e]);
        const struct row *row = rows, *end = rows + sizeof rows / sizeof *rows;
        while (what && row < end && (strcmp(row->event, events[e]) || strcmp(row->what, what)))
            row++;
        if (!what)
            continue;
        if (row == end)
            r = error_set(err, -EINVAL, "-action: %s cannot be answered by '%s'", events[e], what);
        else if (row->kind == PANIC)
            m->on_panic = (enum machine_panic)row->value;
        else
            *(row->kind == REBOOT ? &m->no_reboot : &m->no_shutdown) = row->value;
    }
    if (!r && keyval_unused(&list))
        r = error_set(err, -EINVAL, "-action does not know the event '%s'", keyval_unused(&list));
    keyval_free(&list);
    return r;
}

static int on_watchdog(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    uint64_t value;
    int r = keyval_parse_u64("-watchdog-timeout", arg, &value, err);
    if (!r)
        cli->machine.watchdog_timeout = value > UINT32_MAX ? UINT32_MAX : (unsigned)value;
    return r;
}

static int on_seed(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    cli->machine.seeded = true;
    return keyval_parse_u64("-seed", arg, &cli->machine.seed, err);
}

// clang-format off
static const struct option options[] = {
    {"h", NULL, "print this help", on_help},
    {"help", NULL, NULL, on_help},
    {"version", NULL, "print the version", on_version},
    {"machine", "[type=]NAME[,PROP=VALUE...]", "the board (-machine help lists them)", on_machine},
    {"M", "NAME", NULL, on_machine},
    {"cpu", "MODEL[,FEATURE...]", "the CPU model (-cpu help lists them)", on_cpu},
    {"accel", "NAME[,PROP=VALUE...]", "what runs the CPUs (-accel help lists them)", on_accel},
    {"smp", "[cpus=]N", "number of CPUs", on_smp},
    {"m", "[size=]SIZE", "RAM, in MiB or with a suffix K, M, G, T", on_memory},
    {"kernel", "FILE", "kernel: arm64 Image (plain, gzip, EFI zboot) or ELF", on_kernel},
    {"initrd", "FILE", "initial RAM disk", on_initrd},
    {"append", "TEXT", "the kernel's command line", on_append},
    {"dtb", "FILE", "device tree to use instead of the board's own", on_dtb},
    {"bios", "FILE", "firmware, mapped at address 0", on_bios},
    {"device", "NAME[,PROP=VALUE...]", "add a device (-device help lists them)", on_device},
    {"drive", "file=FILE,if=none,id=ID...", "define a disk", on_drive},
    {"fw_cfg", "[name=]NAME,file=FILE|string=TEXT", "an entry for the firmware", on_fw_cfg},
    {"chardev", "BACKEND,id=ID...", "define a character device (-chardev help)", on_chardev},
    {"serial", "DEV", "a serial line: [mon:]stdio, pty, tcp:..., unix:..., file:..., null, none, chardev:ID", on_serial},
    {"monitor", "DEV", "where a monitor goes, as -serial", on_monitor},
    {"mon", "[chardev=]ID[,mode=readline]", "a monitor on a character device", on_mon},
    {"echr", "N", "the terminal's escape character (1: Ctrl-A)", on_echr},
    {"nographic", NULL, "no display; serial line and monitor share the terminal", on_nographic},
    {"display", "none", "no display", on_display},
    {"nodefaults", NULL, "no device that was not asked for", on_nodefaults},
    {"no-user-config", NULL, "accepted: there is no configuration file", on_nothing},
    {"no-reboot", NULL, "a guest's reset ends the run", on_no_reboot},
    {"no-shutdown", NULL, "a guest's power-off stops the machine but not us", on_no_shutdown},
    {"S", NULL, "wait for 'cont' before the first instruction", on_stopped},
    {"s", NULL, "short for -gdb tcp::1234", on_gdb_default},
    {"gdb", "DEV", "wait for a debugger on DEV", on_gdb},
    {"d", "CATEGORY,...", "trace (-d help lists the categories)", on_log_mask},
    {"D", "FILE", "where the trace goes (standard error)", on_log_file},
    {"name", "TEXT", "the machine's name", on_name},
    {"rtc", "[base=utc][,clock=host|vm]", "the real-time clock", on_rtc},
    {"pidfile", "FILE", "write our process number there", on_pid_file},
    {"daemonize", NULL, "go to the background", on_daemonize},
    {"action", "EVENT=WHAT,...", "panic=none|pause|shutdown|exit-failure, reboot=reset|shutdown, shutdown=poweroff|pause", on_action},
    {"watchdog-timeout", "SECONDS", "end with status 4 when the guest writes nothing for so long", on_watchdog},
    {"seed", "N", "repeatable randomness", on_seed},
    {"parallel", "none", "accepted", on_parallel},
    {"net", "none", "accepted", on_net},
    {"nic", "none", "accepted", on_nic},
    {"netdev", "help", "network back ends", on_netdev},
    {"vga", "none", "accepted", on_vga},
    {"vnc", "none", "accepted", on_vnc},
    {"boot", "ORDER", "accepted", on_nothing},
    {"no-acpi", NULL, "accepted", on_nothing},
    {"semihosting", NULL, NULL, NULL, "semihosting is not supported"},
    {"semihosting-config", "ARGS", NULL, NULL, "semihosting is not supported"},
    {"qmp", "DEV", NULL, NULL, "QMP is not supported yet"},
    {"icount", "ARGS", NULL, NULL, "deterministic time is not supported yet"},
    {"snapshot", NULL, NULL, NULL, "throw-away disk writes are not supported yet"},
    {"loadvm", "NAME", NULL, NULL, "snapshots are not supported yet"},
    {"incoming", "URI", NULL, NULL, "migration is not supported yet"},
    {"hda", "FILE", NULL, NULL, "use -drive if=virtio instead"},
    {"cdrom", "FILE", NULL, NULL, "use -drive if=virtio instead"},
    {"blockdev", "ARGS", NULL, NULL, "use -drive instead"},
    {"smbios", "ARGS", NULL, NULL, "SMBIOS tables are not supported yet"},
    {"add-fd", "ARGS", NULL, NULL, "passed descriptors are not supported"},
    {"fsdev", "ARGS", NULL, NULL, "host folders are not supported yet"},
    {"virtfs", "ARGS", NULL, NULL, "host folders are not supported yet"},
    {"object", "ARGS", NULL, NULL, "objects are not supported yet"},
    {"global", "ARGS", NULL, NULL, "global properties are not supported yet"},
    {"enable-kvm", NULL, NULL, NULL, "KVM is not supported yet"},
    {"usb", NULL, NULL, NULL, "USB is not supported yet"},
    {"tpmdev", "ARGS", NULL, NULL, "a TPM is not supported"},
    {"audiodev", "ARGS", NULL, NULL, "sound is not supported yet"},
    {"plugin", "ARGS", NULL, NULL, "plugins are not supported yet"},
    {"runas", "USER", NULL, NULL, "start us as that user instead"},
    {"chroot", "DIR", NULL, NULL, "is not supported"},
    {"sandbox", "ARGS", NULL, NULL, "is not supported yet"},
};
// clang-format on

void cli_usage(const char *program, FILE *out)
{
    fprintf(out, "Usage: %s [OPTION...]\n       %s run FILE... [OPTION...]\n       %s demo [OPTION...]\n\n", program,
            program, program);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct option *o = &options[i];
        if (!o->help)
            continue;
        int n = fprintf(out, "  -%s %s", o->name, o->argument ? o->argument : "");
        fprintf(out, "%*s%s\n", n < 36 ? 36 - n : 1, "", o->help);
    }
}

static const struct option *find_option(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (!strcmp(options[i].name, name))
            return &options[i];
    return NULL;
}

int cli_parse_options(struct cli *cli, int argc, char *const argv[], enum cli_action *action,
                      struct error *err)
{
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (word[0] != '-' || !word[1])
            return error_set(err, -EINVAL, "'%s' is not an option; 'run %s' starts a machine from a file",
                             word, word);
        const char *name = word[1] == '-' ? word + 2 : word + 1;
        const struct option *option = find_option(name);
        if (!option)
            return error_set(err, -EINVAL, "there is no option '%s' (try -h)", word);
        if (!option->handle)
            return error_set(err, -ENOTSUP, "option '-%s': %s", option->name, option->refusal);
        if (option->argument && i + 1 >= argc)
            return error_set(err, -EINVAL, "option '-%s' needs an argument (%s)", option->name,
                             option->argument);
        int r = option->handle(cli, option->argument ? argv[++i] : NULL, action, err);
        if (r || *action == CLI_EXIT)
            return r;
    }
    return 0;
}
