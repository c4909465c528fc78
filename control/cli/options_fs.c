// SPDX-License-Identifier: MIT
// Owns the options of shared host folders: -fsdev, and -virtfs, which is a -fsdev and its device in one.
#include "base/error.h"
#include "control/cli/options.h"

#include <errno.h>
#include <string.h>

static int on_folder(struct cli *cli, const char *option, const char *arg, enum cli_action *action,
                     struct error *err)
{
    if (cli_asks_for_help(arg)) {
        fprintf(cli->out,
                "local  a folder of the host (path=FOLDER, security_model=none|mapped-xattr|passthrough, "
                "readonly=on|off, multidevs=remap|forbid|warn)\n");
        *action = CLI_EXIT;
        return 0;
    }
    return cli_add(cli, cli->fsdevs, &cli->machine.fsdev_count, option, arg, "fsdriver", err);
}

int cli_on_fsdev(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return on_folder(cli, "-fsdev", arg, action, err);
}

int cli_on_virtfs(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    int r = on_folder(cli, "-virtfs", arg, action, err);
    if (r || *action == CLI_EXIT)
        return r;
    return keyval_add(&cli->fsdevs[cli->machine.fsdev_count - 1], "virtfs", "on")
               ? error_set(err, -ENOMEM, "out of memory")
               : 0;
}
