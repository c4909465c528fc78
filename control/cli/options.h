// SPDX-License-Identifier: MIT
// Private to options*.c: the handlers of options that take more than a place to put their argument. Each gets
// the argument (NULL for an option without one), changes cli, and sets *action where the option is a probe.
// Returns 0, or a negative errno and a sentence for the user. Main thread.
#ifndef CONTROL_CLI_OPTIONS_H
#define CONTROL_CLI_OPTIONS_H

#include "control/cli/cli.h"

typedef int cli_option(struct cli *cli, const char *arg, enum cli_action *action, struct error *err);

// "help" and "?", which every option with a list takes.
bool cli_asks_for_help(const char *text);

cli_option cli_on_accel, cli_on_machine, cli_on_cpu, cli_on_memory, cli_on_smp, cli_on_rtc, cli_on_action,
    cli_on_watchdog, cli_on_seed;
cli_option cli_on_blockdev, cli_on_disk;
cli_option cli_on_device, cli_on_drive, cli_on_chardev, cli_on_fw_cfg, cli_on_serial, cli_on_monitor,
    cli_on_mon, cli_on_qmp, cli_on_qmp_pretty, cli_on_echr, cli_on_gdb_default;
cli_option cli_on_netdev, cli_on_nic, cli_on_net, cli_on_sandbox;
cli_option cli_on_fsdev, cli_on_virtfs, cli_on_smbios, cli_on_semihosting;

#endif
