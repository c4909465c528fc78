// SPDX-License-Identifier: MIT
// Owns the options that give the machine devices and connect it: -device, -drive and their kin, serial lines,
// monitors, the debugger's port.
#include "base/error.h"
#include "control/cli/options.h"
#include "host/chardev/backends.h"

#include <errno.h>
#include <string.h>

int cli_on_device(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    if (cli_asks_for_help(arg)) {
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
        if (list->items[i].bare && cli_asks_for_help(list->items[i].key)) {
            *action = CLI_EXIT;
            return machine_list_device_options(driver, cli->out)
                       ? 0
                       : error_set(err, -EINVAL, "there is no device '%s' (try -device help)", driver);
        }
    return 0;
}

int cli_on_drive(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return cli_add(cli, cli->drives, &cli->machine.drive_count, "-drive", arg, NULL, err);
}

int cli_on_chardev(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    if (cli_asks_for_help(arg)) {
        chardev_list_backends(cli->out);
        *action = CLI_EXIT;
        return 0;
    }
    return cli_add(cli, cli->chardevs, &cli->machine.chardev_count, "-chardev", arg, "backend", err);
}

int cli_on_serial(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    if (cli->serial_count == MACHINE_MAX_SERIALS)
        return error_set(err, -EINVAL, "-serial: a machine has at most %d serial lines", MACHINE_MAX_SERIALS);
    cli->serial[cli->serial_count++] = arg;
    cli->has_serial = true;
    return 0;
}

static int add_monitor(struct cli *cli, const char *arg, struct cli_monitor kind, struct error *err)
{
    if (cli->monitor_text_count == CLI_MAX_MONITORS)
        return error_set(err, -EINVAL, "there can be at most %d monitors", CLI_MAX_MONITORS);
    cli->monitor_kind[cli->monitor_text_count] = kind;
    cli->monitor[cli->monitor_text_count++] = arg;
    cli->has_monitor = true;
    return 0;
}

int cli_on_monitor(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return add_monitor(cli, arg, (struct cli_monitor){0}, err);
}

int cli_on_qmp(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return add_monitor(cli, arg, (struct cli_monitor){.control = true}, err);
}

int cli_on_qmp_pretty(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return add_monitor(cli, arg, (struct cli_monitor){.control = true, .pretty = true}, err);
}

int cli_on_mon(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    struct keyval_list list;
    int r = keyval_parse(arg, "chardev", &list, err);
    if (r)
        return r;
    const char *id = keyval_get(&list, "chardev"), *mode = keyval_get(&list, "mode");
    struct cli_monitor monitor = {.control = mode && !strcmp(mode, "control")};
    r = keyval_bool(&list, "pretty", &monitor.pretty, err);
    if (r)
        error_prefix(err, r, "-mon");
    else if (!id)
        r = error_set(err, -EINVAL, "-mon needs a chardev=");
    else if (mode && !monitor.control && strcmp(mode, "readline"))
        r = error_set(err, -EINVAL, "-mon: mode=%s is neither readline nor control", mode);
    else if (keyval_unused(&list))
        r = error_set(err, -EINVAL, "-mon does not know the option '%s'", keyval_unused(&list));
    else if (cli->monitor_count == CLI_MAX_MONITORS)
        r = error_set(err, -EINVAL, "-mon: there can be at most %d monitors", CLI_MAX_MONITORS);
    else {
        monitor.chardev = cli_keep(cli, "%s", id);
        cli->monitors[cli->monitor_count++] = monitor;
    }
    cli->has_monitor = true;
    keyval_free(&list);
    return r;
}

int cli_on_echr(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    uint64_t value;
    int r = keyval_parse_u64("-echr", arg, &value, err);
    if (!r && value > 255)
        r = error_set(err, -EINVAL, "-echr: %s is not a character's number", arg);
    if (!r)
        cli->escape = (uint8_t)value;
    return r;
}

int cli_on_gdb_default(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    cli->gdb = "tcp::1234";
    return 0;
}
