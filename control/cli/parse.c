// SPDX-License-Identifier: MIT
// Owns what follows the options one by one: QEMU's defaults for serial line and monitor, and the strings and
// lists that a parsed command line keeps alive.
#include "base/error.h"
#include "base/types.h"
#include "control/cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *cli_keep(struct cli *cli, const char *format, ...)
{
    if (cli->text_count == CLI_MAX_ITEMS)
        return NULL;
    va_list args;
    va_start(args, format);
    char *text;
    int n = vasprintf(&text, format, args);
    va_end(args);
    return n < 0 ? NULL : (cli->texts[cli->text_count++] = text);
}

int cli_add(struct cli *cli, struct keyval_list *lists, size_t *count, const char *option, const char *text,
            const char *implied, struct error *err)
{
    if (*count == CLI_MAX_ITEMS)
        return error_set(err, -EINVAL, "%s: there can be at most %d of them", option, CLI_MAX_ITEMS);
    int r = keyval_parse(text, implied, &lists[*count], err);
    if (r)
        return error_prefix(err, r, "%s", option);
    (*count)++;
    return 0;
}

static int add_monitor(struct cli *cli, const char *chardev, const struct cli_monitor *kind, struct error *err)
{
    if (cli->monitor_count == CLI_MAX_MONITORS)
        return error_set(err, -EINVAL, "there can be at most %d monitors", CLI_MAX_MONITORS);
    struct cli_monitor *monitor = &cli->monitors[cli->monitor_count++];
    *monitor = *kind;
    monitor->chardev = chardev;
    return 0;
}

static int connect_serials(struct cli *cli, struct error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < cli->serial_count; i++) {
        bool monitor;
        r = cli_chardev(cli, cli->serial[i], cli_keep(cli, "serial%zu", i), &cli->machine.serial[i], &monitor,
                        err);
        if (!r && monitor)
            r = add_monitor(cli, cli->machine.serial[i], &(struct cli_monitor){0}, err);
    }
    return r;
}

static int connect_monitors(struct cli *cli, struct error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < cli->monitor_text_count; i++) {
        const char *id;
        bool shared;
        r = cli_chardev(cli, cli->monitor[i], cli_keep(cli, "monitor%zu", i), &id, &shared, err);
        if (!r && id)
            r = add_monitor(cli, id, &cli->monitor_kind[i], err);
    }
    return r;
}

// A debugger's socket is a server that waits for nobody unless it says otherwise.
static int connect_gdb(struct cli *cli, struct error *err)
{
    static const char *const defaults[][2] = {{"server", "on"}, {"wait", "off"}};
    bool shared;
    size_t count = cli->machine.chardev_count;
    if (!cli->gdb)
        return 0;
    int r = cli_chardev(cli, cli->gdb, "gdb", &cli->gdb_chardev, &shared, err);
    if (r)
        return error_prefix(err, r, "-gdb");
    struct keyval_list *list = &cli->chardevs[count];
    const char *backend = cli->machine.chardev_count > count ? keyval_get(list, "backend") : NULL;
    for (size_t i = 0; backend && !strcmp(backend, "socket") && i < ARRAY_SIZE(defaults); i++)
        if (!keyval_get(list, defaults[i][0]) && keyval_add(list, defaults[i][0], defaults[i][1]))
            return error_set(err, -ENOMEM, "out of memory");
    return 0;
}

// Without a word about networks a machine has a card on a user-mode network, as with QEMU.
static int add_network(struct cli *cli, struct error *err)
{
    const struct machine_config *m = &cli->machine;
    if (cli->nodefaults || m->nic_count || m->net_count || m->netdev_count || m->kernel_data || !strcmp(m->board, "none"))
        return 0;
    return cli_add(cli, cli->nics, &cli->machine.nic_count, "-nic", "user", "type", err);
}

// Without -serial or -monitor, the terminal is both, as with QEMU's -nographic; we have no window to put them
// in.
static int add_defaults(struct cli *cli, struct error *err)
{
    if (!cli->nodefaults && !cli->has_serial) {
        cli->serial[cli->serial_count++] =
            cli->has_monitor || cli->daemonize ? cli->daemonize ? "null" : "stdio" : "mon:stdio";
        for (size_t i = 0; i < cli->monitor_text_count; i++)
            if (!strcmp(cli->monitor[i], "stdio"))
                cli->serial[cli->serial_count - 1] = "null";
    }
    return add_network(cli, err);
}

int cli_parse(struct cli *cli, int argc, char *const argv[], FILE *out, enum cli_action *ret_action,
              struct error *err)
{
    enum { TERMINAL_ESCAPE = 1 };
    cli->machine.board = "virt";
    cli->machine.cpu_count = 1;
    cli->machine.engine = ACCEL_JIT;
    cli->machine.tier = ACCEL_TIER_AUTO;
    cli->machine.devices = cli->devices;
    cli->machine.drives = cli->drives;
    cli->machine.chardevs = cli->chardevs;
    cli->machine.fw_cfg = cli->fw_cfg;
    cli->machine.netdevs = cli->netdevs;
    cli->machine.nics = cli->nics;
    cli->machine.nets = cli->nets;
    cli->machine.fsdevs = cli->fsdevs;
    cli->machine.smbios = cli->smbios;
    cli->escape = TERMINAL_ESCAPE;
    cli->out = out;
    if (!cli->program)
        cli->program = "isomer";
    *ret_action = CLI_RUN;
    int r;
    if (argc && !strcmp(argv[0], "run"))
        r = cli_parse_run(cli, argc - 1, argv + 1, err);
    else if (argc && !strcmp(argv[0], "demo"))
        r = cli_parse_demo(cli, argc - 1, argv + 1, ret_action, err);
    else
        r = cli_parse_options(cli, argc, argv, ret_action, err);
    if (r || *ret_action == CLI_EXIT)
        return r;
    if (cli->incoming && cli->loadvm)
        return error_set(err, -EINVAL, "-incoming and -loadvm exclude each other");
    cli->machine.incoming = cli->incoming || cli->loadvm;
    r = add_defaults(cli, err);
    if (!r)
        r = connect_serials(cli, err);
    if (!r)
        r = connect_monitors(cli, err);
    return r ? r : connect_gdb(cli, err);
}

void cli_free(struct cli *cli)
{
    keyval_free(&cli->machine.board_options);
    keyval_free(&cli->machine.semihosting);
    for (size_t i = 0; i < CLI_MAX_ITEMS; i++) {
        keyval_free(&cli->devices[i]);
        keyval_free(&cli->drives[i]);
        keyval_free(&cli->chardevs[i]);
        keyval_free(&cli->fw_cfg[i]);
        keyval_free(&cli->netdevs[i]);
        keyval_free(&cli->nics[i]);
        keyval_free(&cli->nets[i]);
        keyval_free(&cli->fsdevs[i]);
        keyval_free(&cli->smbios[i]);
    }
    for (size_t i = 0; i < cli->text_count; i++)
        free(cli->texts[i]);
}
