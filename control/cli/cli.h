// SPDX-License-Identifier: MIT
// The command line: QEMU's option language turned into a machine configuration and what the control layer
// itself does (monitors, pid file, debugger port). Parsing opens nothing and starts nothing.
//
// Ownership: struct cli owns its lists; strings borrow argv or the lists. Thread: main thread.
#ifndef CONTROL_CLI_CLI_H
#define CONTROL_CLI_CLI_H

#include "machines/machine.h"

enum { CLI_MAX_ITEMS = 64, CLI_MAX_MONITORS = 8 };

// What to do instead of, or before, running a machine.
enum cli_action { CLI_RUN, CLI_EXIT };

// What a running machine keeps, see control/cli/sandbox.c. As needed unless -sandbox says otherwise.
enum cli_sandbox { CLI_SANDBOX_AS_NEEDED, CLI_SANDBOX_ON, CLI_SANDBOX_OFF };

struct cli_monitor {
    const char *chardev;
    bool control, pretty; // QMP; over several lines
};

struct cli {
    struct machine_config machine;
    struct keyval_list devices[CLI_MAX_ITEMS], drives[CLI_MAX_ITEMS], chardevs[CLI_MAX_ITEMS],
        fw_cfg[CLI_MAX_ITEMS], netdevs[CLI_MAX_ITEMS], nics[CLI_MAX_ITEMS], nets[CLI_MAX_ITEMS],
        fsdevs[CLI_MAX_ITEMS], smbios[CLI_MAX_ITEMS];
    struct cli_monitor monitors[CLI_MAX_MONITORS];
    size_t monitor_count;
    const char *program; // name we were called by, without folders
    const char *gdb, *log_mask, *log_file, *pid_file;
    const char *incoming, *loadvm;
    const char *gdb_chardev;                 // id; NULL: no debugger port
    const char *serial[MACHINE_MAX_SERIALS]; // as written
    size_t serial_count;
    const char *monitor[CLI_MAX_MONITORS]; // as written
    struct cli_monitor monitor_kind[CLI_MAX_MONITORS];
    size_t monitor_text_count;
    bool nographic, nodefaults, daemonize, has_serial, has_monitor;
    enum cli_sandbox sandbox;
    uint8_t escape;             // of a multiplexed terminal
    char *texts[CLI_MAX_ITEMS]; // strings made here
    size_t text_count;
    FILE *out; // where help goes
};

// Reads the arguments after the program's name. *ret_action says whether a probe (help, version) was answered
// and the process should end with success. -EINVAL and a sentence for what is not understood.
int cli_parse(struct cli *cli, int argc, char *const argv[], FILE *out, enum cli_action *ret_action,
              struct error *err);
void cli_free(struct cli *cli);

// The loop over the option table; cli_parse adds defaults and checks.
int cli_parse_options(struct cli *cli, int argc, char *const argv[], enum cli_action *action,
                      struct error *err);

// "isomer run FILE...": recognises each file and fills the configuration.
int cli_parse_run(struct cli *cli, int argc, char *const argv[], struct error *err);
// "isomer demo [OPTION...]": the built-in guest program.
int cli_parse_demo(struct cli *cli, int argc, char *const argv[], enum cli_action *action, struct error *err);

// QEMU's short forms of a serial line or monitor ("stdio", "mon:stdio", "tcp:host:port,server=on,wait=off",
// "chardev:id") as a character device. *ret_id is NULL for "none". *ret_monitor: a monitor shares it.
int cli_chardev(struct cli *cli, const char *text, const char *id, const char **ret_id, bool *ret_monitor,
                struct error *err);

// Everything is open, and nothing has run. What this kernel lacks is said on standard error.
int cli_enter_sandbox(struct cli *cli, struct error *err);

// The list that -h prints.
void cli_usage(const char *program, FILE *out);

// A copy of the text, kept until cli_free; NULL without memory or room.
const char *cli_keep(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The next free list of a kind, parsed from text.
int cli_add(struct cli *cli, struct keyval_list *lists, size_t *count, const char *option, const char *text,
            const char *implied, struct error *err);

#endif
