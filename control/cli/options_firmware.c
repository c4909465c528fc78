// SPDX-License-Identifier: MIT
// Owns the options that tell firmware something: -fw_cfg files and SMBIOS tables; and how
// bare programs reach the host.
#include "base/error.h"
#include "control/cli/options.h"

int cli_on_fw_cfg(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return cli_add(cli, cli->fw_cfg, &cli->machine.fw_cfg_count, "-fw_cfg", arg, "name", err);
}

int cli_on_smbios(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    return cli_add(cli, cli->smbios, &cli->machine.smbios_count, "-smbios", arg, NULL, err);
}

int cli_on_semihosting(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    keyval_free(&cli->machine.semihosting);
    return keyval_parse(arg ? arg : "enable=on", "enable", &cli->machine.semihosting, err);
}
