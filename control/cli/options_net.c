// SPDX-License-Identifier: MIT
// Owns the options that connect the machine to networks: -netdev, -nic and the older -net.
#include "base/error.h"
#include "control/cli/options.h"

#include <string.h>

int cli_on_netdev(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    if (cli_asks_for_help(arg)) {
        fprintf(cli->out, "Available netdev backend types:\n");
        machine_list_netdevs(cli->out);
        *action = CLI_EXIT;
        return 0;
    }
    return cli_add(cli, cli->netdevs, &cli->machine.netdev_count, "-netdev", arg, "type", err);
}

// Adds the list and answers model=help.
static int add(struct cli *cli, struct keyval_list *lists, size_t *count, const char *option, const char *arg,
               enum cli_action *action, struct error *err)
{
    int r = cli_add(cli, lists, count, option, arg, "type", err);
    const char *model = r ? NULL : keyval_get(&lists[*count - 1], "model");
    if (model && cli_asks_for_help(model)) {
        machine_list_nics(cli->out);
        *action = CLI_EXIT;
    }
    return r;
}

int cli_on_nic(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return add(cli, cli->nics, &cli->machine.nic_count, "-nic", arg, action, err);
}

int cli_on_net(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return add(cli, cli->nets, &cli->machine.net_count, "-net", arg, action, err);
}
