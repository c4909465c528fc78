// SPDX-License-Identifier: MIT
// Owns -sandbox: what of a command line has to stay reachable by name once the machine is set up. Everything else is open
// by then.
//
// "on" leaves the files of the command line and no new programs. Without the option a machine that nobody can command has
// the same; where there is a monitor or a debugger, files that its commands may name stay in reach, and only programs and the
// other system calls that no machine needs are out of it.
#include "host/sandbox.h"
#include "base/error.h"
#include "control/cli/options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// QEMU's single refusals are all part of "on"; permissions cannot be had.
int cli_on_sandbox(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    static const char *const parts[] = {"obsolete", "elevateprivileges", "spawn", "resourcecontrol"};
    struct keyval_list list;
    int r = keyval_parse(arg, "enable", &list, err);
    if (r)
        return error_prefix(err, r, "-sandbox");
    bool on = false;
    r = keyval_bool(&list, "enable", &on, err);
    cli->sandbox = on ? CLI_SANDBOX_ON : CLI_SANDBOX_OFF;
    for (size_t i = 0; !r && i < sizeof parts / sizeof *parts; i++) {
        const char *value = keyval_get(&list, parts[i]);
        if (value && strcmp(value, "deny") && on)
            r = error_set(err, -ENOTSUP, "%s=%s is not supported (only deny)", parts[i], value);
    }
    if (!r && keyval_unused(&list))
        r = error_set(err, -EINVAL, "there is no option '%s'", keyval_unused(&list));
    keyval_free(&list);
    return r ? error_prefix(err, r, "-sandbox") : 0;
}

// The folder of path, by cli_keep.
static const char *folder_of(struct cli *cli, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    return cli_keep(cli, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

// A sanitizer makes system calls of its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { UNASKED = false };
#else
enum { UNASKED = true };
#endif

// A network that starts a program for each connection (guestfwd=…-cmd:PROGRAM) needs what the sandbox takes away.
static bool starts_programs(const struct keyval_list *lists, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < lists[i].count; k++)
            if (!strcmp(lists[i].items[k].key, "guestfwd") && strstr(lists[i].items[k].value, "-cmd:"))
                return true;
    return false;
}

int cli_enter_sandbox(struct cli *cli, struct error *err)
{
    bool unasked = cli->sandbox == CLI_SANDBOX_AS_NEEDED;
    if (cli->sandbox == CLI_SANDBOX_OFF || (unasked && !UNASKED))
        return 0;
    if (unasked && (starts_programs(cli->netdevs, cli->machine.netdev_count) || starts_programs(cli->nics, cli->machine.nic_count))) {
        fprintf(stderr, "isomer: no sandbox, since guestfwd=…-cmd: starts programs\n");
        return 0;
    }
    enum { MAX = 6 * CLI_MAX_ITEMS + 4 };
    struct sandbox_path paths[MAX];
    size_t n = 0;
    char program[PATH_MAX], missing[256];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    if (len > 0) { // the optimiser's module is beside the program
        program[len] = 0;
        paths[n++] = (struct sandbox_path){folder_of(cli, program), SANDBOX_READ};
    }
    if (cli->pid_file)
        paths[n++] = (struct sandbox_path){folder_of(cli, cli->pid_file), SANDBOX_REMOVE};
    for (size_t i = 0; i < cli->machine.chardev_count; i++) { // a server's socket is removed at the end
        const char *path = keyval_get(&cli->chardevs[i], "path");
        if (path)
            paths[n++] = (struct sandbox_path){folder_of(cli, path), SANDBOX_REMOVE};
    }
    if (cli->incoming && !strncmp(cli->incoming, "unix:", 5)) // so is the one that a machine's state comes by
        paths[n++] = (struct sandbox_path){folder_of(cli, cli->incoming + 5), SANDBOX_REMOVE};
    for (size_t i = 0; i < cli->machine.drive_count; i++) {
        const char *path = keyval_get(&cli->drives[i], "file");
        if (path)
            paths[n++] = (struct sandbox_path){path, SANDBOX_WRITE};
    }
    for (size_t i = 0; i < cli->machine.device_count; i++) {
        const char *path = keyval_get(&cli->devices[i], "socket"); // of a socket device, a server's as well
        if (path)
            paths[n++] = (struct sandbox_path){folder_of(cli, path), SANDBOX_REMOVE};
    }
    for (size_t i = 0; i < cli->machine.fsdev_count; i++) {
        const char *path = keyval_get(&cli->fsdevs[i], "path");
        if (path)
            paths[n++] = (struct sandbox_path){path, SANDBOX_SERVE};
    }
    struct keyval_list *const cards[] = {cli->netdevs, cli->nics};
    const size_t counts[] = {cli->machine.netdev_count, cli->machine.nic_count};
    for (size_t k = 0; k < sizeof cards / sizeof *cards; k++)
        for (size_t i = 0; i < counts[k]; i++) {
            const char *path = keyval_get(&cards[k][i], "tftp");
            if (path)
                paths[n++] = (struct sandbox_path){path, SANDBOX_READ};
        }
    const char *programs = keyval_get(&cli->machine.semihosting, "folder");
    if (programs)
        paths[n++] = (struct sandbox_path){programs, SANDBOX_SERVE};
    for (size_t i = 0; i < n; i++)
        if (!paths[i].path)
            return error_set(err, -ENOMEM, "-sandbox: out of memory");
    struct sandbox_config config = {.paths = paths, .path_count = n,
                                    .any_file = unasked && (cli->monitor_count || cli->gdb_chardev)};
    int r = sandbox_enter(&config, missing, sizeof missing, err);
    if (r)
        return error_prefix(err, r, "-sandbox (off does without it)");
    if (*missing)
        fprintf(stderr, "isomer: -sandbox: %s\n", missing);
    return 0;
}
