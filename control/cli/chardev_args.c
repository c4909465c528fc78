// SPDX-License-Identifier: MIT
// Owns QEMU's short forms of character devices, as -serial and -monitor take them, by turning them into the
// lists that -chardev takes.
#include "base/error.h"
#include "base/types.h"
#include "control/cli/cli.h"

#include <errno.h>
#include <string.h>

static int add_pair(struct keyval_list *list, const char *key, const char *value, struct error *err)
{
    return value && !keyval_add(list, key, value) ? 0 : error_set(err, -ENOMEM, "out of memory");
}

// "host:port[,options]" or "path[,options]": the options are parsed as a list of their own.
static int socket_address(struct cli *cli, const char *address, bool is_unix, struct keyval_list *list,
                          struct error *err)
{
    size_t len = strcspn(address, ",");
    const char *rest = address[len] ? address + len + 1 : "";
    int r = keyval_parse(rest, NULL, list, err);
    if (!r)
        r = add_pair(list, "backend", "socket", err);
    if (r)
        return r;
    if (is_unix)
        return add_pair(list, "path", cli_keep(cli, "%.*s", (int)len, address), err);
    const char *colon = memrchr(address, ':', len);
    if (!colon)
        return error_set(err, -EINVAL, "'tcp:%s' lacks a port", address);
    size_t host_len = (size_t)(colon - address);
    r = add_pair(list, "host", cli_keep(cli, "%.*s", (int)host_len, address), err);
    return r ? r : add_pair(list, "port", cli_keep(cli, "%.*s", (int)(len - host_len - 1), colon + 1), err);
}

static bool starts(const char *text, const char *prefix, const char **ret_rest)
{
    size_t n = strlen(prefix);
    *ret_rest = text + n;
    return !strncmp(text, prefix, n);
}

static int simple(const char *text, struct cli *cli, struct keyval_list *list, struct error *err)
{
    const char *rest;
    if (starts(text, "tcp:", &rest))
        return socket_address(cli, rest, false, list, err);
    if (starts(text, "telnet:", &rest))
        return error_set(err, -ENOTSUP, "telnet character devices are not supported; use tcp:");
    if (starts(text, "unix:", &rest))
        return socket_address(cli, rest, true, list, err);
    static const struct {
        const char *prefix, *backend, *key;
    } forms[] = {{"file:", "file", "path"}, {"pipe:", "pipe", "path"}, {"/dev/", "serial", "path"}};
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
        if (starts(text, forms[i].prefix, &rest)) {
            int r = add_pair(list, "backend", forms[i].backend, err);
            return r ? r : add_pair(list, forms[i].key, rest, err);
        }
    static const char *const plain[] = {"stdio", "null", "pty"};
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
        if (!strcmp(text, plain[i]))
            return add_pair(list, "backend", plain[i], err);
    return error_set(err, -EINVAL, "'%s' is not a character device we know", text);
}

// A terminal that several want becomes one multiplexed device: the id of the one that has it already, or
// NULL.
static const char *stdio_in_use(struct cli *cli)
{
    for (size_t i = 0; i < cli->machine.chardev_count; i++) {
        const char *backend = keyval_get(&cli->chardevs[i], "backend"),
                   *mux = keyval_get(&cli->chardevs[i], "mux");
        if (backend && !strcmp(backend, "stdio") && mux && !strcmp(mux, "on"))
            return keyval_get(&cli->chardevs[i], "id");
    }
    return NULL;
}

int cli_chardev(struct cli *cli, const char *text, const char *id, const char **ret_id, bool *ret_monitor,
                struct error *err)
{
    const char *rest;
    *ret_monitor = false;
    if (!strcmp(text, "none")) {
        *ret_id = NULL;
        return 0;
    }
    if (starts(text, "chardev:", &rest)) {
        *ret_id = rest;
        return 0;
    }
    bool mux = starts(text, "mon:", &rest);
    if (mux)
        text = rest;
    if (!strcmp(text, "stdio") && (*ret_id = stdio_in_use(cli)))
        return 0;
    if (cli->machine.chardev_count == CLI_MAX_ITEMS)
        return error_set(err, -EINVAL, "there can be at most %d character devices", CLI_MAX_ITEMS);
    struct keyval_list *list = &cli->chardevs[cli->machine.chardev_count++];
    int r = simple(text, cli, list, err);
    if (!r)
        r = add_pair(list, "id", id, err);
    if (!r && mux)
        r = add_pair(list, "mux", "on", err);
    if (!r && mux && !strcmp(text, "stdio"))
        r = add_pair(list, "signal", "off", err);
    if (!r && mux)
        r = add_pair(list, "x-escape", cli_keep(cli, "%u", cli->escape), err);
    *ret_id = id;
    *ret_monitor = mux;
    return r;
}
