// SPDX-License-Identifier: MIT
// Owns the option table: one row an option with its argument, help text and what it does. Options of QEMU's that
// we know and do not have are rows too, so that the answer names them. Order of the table is the order of -h.
#include "base/error.h"
#include "base/types.h"
#include "control/cli/options.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define QEMU_COMPATIBLE "7.2.0"

enum option_kind {
    OPTION_CALL,      // handle
    OPTION_TEXT,      // the argument itself, to place
    OPTION_FLAG,      // true, to place
    OPTION_IGNORED,   // what it asks for is so anyway
    OPTION_ONLY_NONE, // what a headless machine does not have: "none" is what we do anyway
    OPTION_REFUSED,   // why says what is missing
};

struct option {
    const char *name;
    const char *argument; // NULL: takes none
    const char *help;     // NULL: an alias, not listed
    enum option_kind kind;
    size_t place; // in struct cli
    cli_option *handle;
    const char *why;
};

#define CALL(handler) OPTION_CALL, .handle = handler
#define TEXT(member) OPTION_TEXT, .place = offsetof(struct cli, member)
#define FLAG(member) OPTION_FLAG, .place = offsetof(struct cli, member)
#define IGNORED OPTION_IGNORED
#define ONLY_NONE OPTION_ONLY_NONE
#define REFUSED(reason) OPTION_REFUSED, .why = reason

bool cli_asks_for_help(const char *text)
{
    return !strcmp(text, "help") || !strcmp(text, "?");
}

static void print_version(const char *program, FILE *out)
{
    if (!strncmp(program, "qemu-system-", 12))
        fprintf(out, "QEMU emulator version " QEMU_COMPATIBLE " (Isomer " ISOMER_VERSION ")\n");
    else
        fprintf(out, "Isomer version " ISOMER_VERSION "\n");
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

// clang-format off
static const struct option options[] = {
    {"h", NULL, "print this help", CALL(on_help)},
    {"help", NULL, NULL, CALL(on_help)},
    {"version", NULL, "print the version", CALL(on_version)},
    {"machine", "[type=]NAME[,PROP=VALUE...]", "the board (-machine help lists them)", CALL(cli_on_machine)},
    {"M", "NAME", NULL, CALL(cli_on_machine)},
    {"cpu", "MODEL[,FEATURE...]", "the CPU model (-cpu help lists them)", CALL(cli_on_cpu)},
    {"accel", "NAME[,PROP=VALUE...]", "what runs the CPUs (-accel help lists them)", CALL(cli_on_accel)},
    {"smp", "[cpus=]N", "number of CPUs", CALL(cli_on_smp)},
    {"m", "[size=]SIZE", "RAM, in MiB or with a suffix K, M, G, T", CALL(cli_on_memory)},
    {"kernel", "FILE", "kernel: arm64 Image (plain, gzip, EFI zboot) or ELF", TEXT(machine.kernel)},
    {"initrd", "FILE", "initial RAM disk", TEXT(machine.initrd)},
    {"append", "TEXT", "the kernel's command line", TEXT(machine.append)},
    {"dtb", "FILE", "device tree to use instead of the board's own", TEXT(machine.dtb)},
    {"bios", "FILE", "firmware, mapped at address 0; also the name of one that Debian installs", TEXT(machine.bios)},
    {"device", "NAME[,PROP=VALUE...]", "add a device (-device help lists them)", CALL(cli_on_device)},
    {"drive", "file=FILE,if=none,id=ID...", "define a disk", CALL(cli_on_drive)},
    {"blockdev", "[driver=]DRIVER,node-name=ID,...", "define a disk for a -device", CALL(cli_on_blockdev)},
    {"hda", "FILE", "a disk of the board's usual kind", CALL(cli_on_disk)},
    {"hdb", "FILE", NULL, CALL(cli_on_disk)},
    {"hdc", "FILE", NULL, CALL(cli_on_disk)},
    {"hdd", "FILE", NULL, CALL(cli_on_disk)},
    {"snapshot", NULL, "writes to disks are thrown away", FLAG(machine.snapshot)},
    {"fsdev", "local,path=FOLDER,id=ID...", "define a host folder to share (-fsdev help)", CALL(cli_on_fsdev)},
    {"virtfs", "local,path=FOLDER,mount_tag=TAG...", "share a host folder over 9P", CALL(cli_on_virtfs)},
    {"fw_cfg", "[name=]NAME,file=FILE|string=TEXT", "an entry for the firmware", CALL(cli_on_fw_cfg)},
    {"smbios", "type=N,PROP=VALUE...", "what SMBIOS tables say (types 0-4, 11, 17)", CALL(cli_on_smbios)},
    {"chardev", "BACKEND,id=ID...", "define a character device (-chardev help)", CALL(cli_on_chardev)},
    {"serial", "DEV", "a serial line: [mon:]stdio, pty, tcp:..., unix:..., file:..., null, none, chardev:ID", CALL(cli_on_serial)},
    {"monitor", "DEV", "where a monitor goes, as -serial", CALL(cli_on_monitor)},
    {"qmp", "DEV", "where a QMP monitor goes, as -serial", CALL(cli_on_qmp)},
    {"qmp-pretty", "DEV", "the same, replies over several lines", CALL(cli_on_qmp_pretty)},
    {"mon", "[chardev=]ID[,mode=readline|control][,pretty=on|off]", "a monitor on a character device", CALL(cli_on_mon)},
    {"echr", "N", "the terminal's escape character (1: Ctrl-A)", CALL(cli_on_echr)},
    {"nographic", NULL, "no display; serial line and monitor share the terminal", FLAG(nographic)},
    {"display", "none", "no display", ONLY_NONE},
    {"nodefaults", NULL, "no device that was not asked for", FLAG(nodefaults)},
    {"no-user-config", NULL, "accepted: there is no configuration file", IGNORED},
    {"no-reboot", NULL, "a guest's reset ends the run", FLAG(machine.no_reboot)},
    {"no-shutdown", NULL, "a guest's power-off stops the machine but not us", FLAG(machine.no_shutdown)},
    {"S", NULL, "wait for 'cont' before the first instruction", FLAG(machine.start_stopped)},
    {"s", NULL, "short for -gdb tcp::1234", CALL(cli_on_gdb_default)},
    {"semihosting", NULL, "answer a bare program's calls to its debugger", CALL(cli_on_semihosting)},
    {"semihosting-config", "enable=on[,chardev=ID][,folder=DIR][,arg=TEXT...]", "the same, saying how", CALL(cli_on_semihosting)},
    {"gdb", "DEV", "wait for a debugger on DEV", TEXT(gdb)},
    {"d", "CATEGORY,...", "trace (-d help lists the categories)", TEXT(log_mask)},
    {"D", "FILE", "where the trace goes (standard error)", TEXT(log_file)},
    {"incoming", "URI", "wait for a machine's saved state: file:PATH, exec:COMMAND, unix:PATH, tcp:HOST:PORT, defer", TEXT(incoming)},
    {"loadvm", "TAG", "start from a snapshot in a disk", TEXT(loadvm)},
    {"name", "TEXT", "the machine's name", TEXT(machine.name)},
    {"rtc", "[base=utc][,clock=host|vm]", "the real-time clock", CALL(cli_on_rtc)},
    {"pidfile", "FILE", "write our process number there", TEXT(pid_file)},
    {"sandbox", "on|off", "give up system calls and files that a running machine does not need", CALL(cli_on_sandbox)},
    {"daemonize", NULL, "go to the background", FLAG(daemonize)},
    {"action", "EVENT=WHAT,...", "panic=none|pause|shutdown|exit-failure, reboot=reset|shutdown, shutdown=poweroff|pause, watchdog=reset|shutdown|poweroff|pause|none", CALL(cli_on_action)},
    {"watchdog-timeout", "SECONDS", "end with status 4 when the guest writes nothing for so long", CALL(cli_on_watchdog)},
    {"seed", "N", "repeatable randomness", CALL(cli_on_seed)},
    {"parallel", "none", "accepted", ONLY_NONE},
    {"netdev", "BACKEND,id=ID...", "define a network (-netdev help)", CALL(cli_on_netdev)},
    {"nic", "none|BACKEND[,model=MODEL][,mac=ADDRESS]...", "a network card and its network", CALL(cli_on_nic)},
    {"net", "none|nic[,model=MODEL]|BACKEND...", "the older form of -nic: a card, or what it is connected to", CALL(cli_on_net)},
    {"vga", "none", "accepted", ONLY_NONE},
    {"vnc", "none", "accepted", ONLY_NONE},
    {"boot", "ORDER", "accepted", IGNORED},
    {"no-acpi", NULL, "no ACPI tables, as -machine acpi=off", FLAG(machine.no_acpi)},
    {"icount", "ARGS", NULL, REFUSED("deterministic time is not supported yet")},
    {"cdrom", "FILE", NULL, REFUSED("use -drive if=virtio instead")},
    {"add-fd", "ARGS", NULL, REFUSED("passed descriptors are not supported")},
    {"object", "ARGS", NULL, REFUSED("objects are not supported yet")},
    {"global", "ARGS", NULL, REFUSED("global properties are not supported yet")},
    {"enable-kvm", NULL, NULL, REFUSED("KVM is not supported yet")},
    {"usb", NULL, "accepted: a USB controller is a -device (qemu-xhci)", IGNORED},
    {"tpmdev", "ARGS", NULL, REFUSED("a TPM is not supported")},
    {"audiodev", "ARGS", NULL, REFUSED("sound is not supported yet")},
    {"plugin", "ARGS", NULL, REFUSED("plugins are not supported yet")},
    {"runas", "USER", NULL, REFUSED("start us as that user instead")},
    {"chroot", "DIR", NULL, REFUSED("is not supported")},
};
// clang-format on

void cli_usage(const char *program, FILE *out)
{
    fprintf(out, "Usage: %s [OPTION...]\n       %s run FILE... [OPTION...]\n       %s demo [OPTION...]\n       %s img COMMAND...\n\n",
            program, program, program, program);
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

static int apply(struct cli *cli, const struct option *option, const char *arg, enum cli_action *action,
                 struct error *err)
{
    void *place = (char *)cli + option->place;
    switch (option->kind) {
    case OPTION_CALL: return option->handle(cli, arg, action, err);
    case OPTION_TEXT: *(const char **)place = arg; return 0;
    case OPTION_FLAG: *(bool *)place = true; return 0;
    case OPTION_ONLY_NONE:
        return strcmp(arg, "none")
                   ? error_set(err, -ENOTSUP, "-%s %s is not supported (only none)", option->name, arg)
                   : 0;
    case OPTION_REFUSED: return error_set(err, -ENOTSUP, "option '-%s': %s", option->name, option->why);
    case OPTION_IGNORED: break;
    }
    return 0;
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
        if (option->argument && i + 1 >= argc && option->kind != OPTION_REFUSED)
            return error_set(err, -EINVAL, "option '-%s' needs an argument (%s)", option->name,
                             option->argument);
        int r = apply(cli, option, option->argument && i + 1 < argc ? argv[++i] : NULL, action, err);
        if (r || *action == CLI_EXIT)
            return r;
    }
    return 0;
}
