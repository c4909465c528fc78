// SPDX-License-Identifier: MIT
// Owns the options that name disks in other ways than -drive: -hda to -hdd and -blockdev. Both end up in the
// list of drives; a -blockdev node for a file that a later one builds on becomes part of that one.
#include "base/error.h"
#include "control/cli/options.h"

#include <errno.h>
#include <string.h>

int cli_on_disk(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    int r = cli_add(cli, cli->drives, &cli->machine.drive_count, "-hda", "if=virtio", NULL, err);
    if (!r)
        r = keyval_add(&cli->drives[cli->machine.drive_count - 1], "file", arg); // a comma means nothing here
    return r;
}

static bool is_file(const char *driver)
{
    return driver && (!strcmp(driver, "file") || !strcmp(driver, "host_device"));
}

// Puts the file of the node that it names in the place of the name, with the node's properties.
static int join(struct cli *cli, struct keyval_list *list, const char *node, struct error *err)
{
    size_t count = cli->machine.drive_count, found = 0;
    for (; found < count - 1; found++) {
        const char *name = keyval_get(&cli->drives[found], "node-name");
        if (name && !strcmp(name, node) && is_file(keyval_get(&cli->drives[found], "driver")))
            break;
    }
    if (found == count - 1)
        return error_set(err, -ENOENT, "-blockdev: there is no file node '%s'", node);
    struct keyval_list *below = &cli->drives[found];
    int r = 0;
    for (size_t i = 0; i < below->count && !r; i++) {
        const char *key = below->items[i].key, *value = below->items[i].value;
        if (!strcmp(key, "driver") || !strcmp(key, "node-name") || !strcmp(key, "format") ||
            !strcmp(key, "if") || !strcmp(key, "id") || !strcmp(key, "filename"))
            continue;
        bool path = !strcmp(key, "file"), own = !path && keyval_get(list, key);
        const char *kept = own ? NULL : cli_keep(cli, "%s", value),
                   *kept_key = own ? NULL : cli_keep(cli, "%s", key);
        if (!own)
            r = kept && kept_key ? keyval_add(list, kept_key, kept)
                                 : error_set(err, -ENOMEM, "-blockdev: too many options");
    }
    struct keyval_list last = *list;
    keyval_free(below);
    memmove(below, below + 1, (count - 2 - found) * sizeof *below);
    cli->drives[count - 2] = last;
    cli->drives[count - 1] = (struct keyval_list){0};
    cli->machine.drive_count--;
    return r;
}

int cli_on_blockdev(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    if (arg[0] == '{')
        return error_set(err, -ENOTSUP,
                         "-blockdev: JSON is not supported; write it as driver=...,node-name=...");
    int r = cli_add(cli, cli->drives, &cli->machine.drive_count, "-blockdev", arg, "driver", err);
    if (r)
        return r;
    struct keyval_list *list = &cli->drives[cli->machine.drive_count - 1];
    const char *node = keyval_get(list, "node-name"), *driver = keyval_get(list, "driver");
    if (!driver || !node)
        return error_set(err, -EINVAL, "-blockdev needs a driver= and a node-name=");
    r = keyval_add(list, "if", "none");
    if (!r)
        r = keyval_add(list, "id", node);
    if (!r && is_file(driver)) {
        const char *file = keyval_get(list, "filename");
        if (!file)
            return error_set(err, -EINVAL, "-blockdev: driver=%s needs a filename=", driver);
        r = keyval_add(list, "file", file);
        return r ? r : keyval_add(list, "format", "raw");
    }
    const char *below = keyval_get(list, "file");
    if (r || !below)
        return r;
    return join(cli, list, below, err);
}
