// SPDX-License-Identifier: MIT
// Owns the reading of socket addresses for networks.
#include "host/net/address.h"
#include "base/error.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

static int look_up(const char *host, const char *port, int type, bool passive, struct net_address *ret,
                   struct error *err)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = type, .ai_flags = passive ? AI_PASSIVE : 0},
                    *list;
    snprintf(ret->name, sizeof ret->name, "%s:%s", host ? host : "", port);
    int e = getaddrinfo(host && *host ? host : NULL, port, &hints, &list);
    if (e)
        return error_set(err, -EINVAL, "cannot look up '%s': %s", ret->name, gai_strerror(e));
    memcpy(&ret->u, list->ai_addr, list->ai_addrlen);
    ret->len = list->ai_addrlen;
    freeaddrinfo(list);
    return 0;
}

int net_address_inet(const char *what, const char *text, int type, bool passive, struct net_address *ret,
                     struct error *err)
{
    const char *colon = strrchr(text, ':');
    char host[128];
    if (!colon || !colon[1] || (size_t)(colon - text) >= sizeof host)
        return error_set(err, -EINVAL, "%s: '%s' is not of the form [HOST]:PORT", what, text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    return look_up(host, colon + 1, type, passive, ret, err);
}

static int unix_address(const char *path, struct net_address *ret, struct error *err)
{
    if (strlen(path) >= sizeof ret->u.un.sun_path)
        return error_set(err, -EINVAL, "the socket path '%s' is too long", path);
    ret->u.un.sun_family = AF_UNIX;
    strcpy(ret->u.un.sun_path, path);
    ret->len = sizeof ret->u.un;
    snprintf(ret->name, sizeof ret->name, "%s", path);
    return 0;
}

int net_address_fd(const char *what, const char *text, int *ret_fd, int *ret_type, struct error *err)
{
    uint64_t fd;
    int type;
    socklen_t size = sizeof type;
    int r = keyval_parse_u64(what, text, &fd, err);
    if (r)
        return r;
    if (fd > INT32_MAX || getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &size))
        return error_set(err, -EBADF, "%s: descriptor %s is not an open socket", what, text);
    *ret_fd = (int)fd;
    *ret_type = type;
    return 0;
}

static const char *get(struct keyval_list *o, const char *prefix, const char *name)
{
    char key[32];
    snprintf(key, sizeof key, "%s.%s", prefix, name);
    return keyval_get(o, key);
}

int net_address_options(struct keyval_list *o, const char *prefix, int type, bool passive,
                        struct net_address *ret, int *ret_fd, struct error *err)
{
    const char *kind = get(o, prefix, "type"), *host = get(o, prefix, "host"), *port = get(o, prefix, "port");
    const char *path = get(o, prefix, "path"), *str = get(o, prefix, "str");
    *ret = (struct net_address){0};
    *ret_fd = -1;
    get(o, prefix, "ipv4"); // that it is
    if (!kind)
        return -ENOENT;
    if (!strcmp(kind, "inet"))
        return port ? look_up(host, port, type, passive, ret, err)
                    : error_set(err, -EINVAL, "%s.type=inet needs %s.port=", prefix, prefix);
    if (!strcmp(kind, "unix"))
        return path ? unix_address(path, ret, err)
                    : error_set(err, -EINVAL, "%s.type=unix needs %s.path=", prefix, prefix);
    if (strcmp(kind, "fd"))
        return error_set(err, -EINVAL, "%s.type=%s is not inet, unix or fd", prefix, kind);
    int got;
    if (!str)
        return error_set(err, -EINVAL, "%s.type=fd needs %s.str=", prefix, prefix);
    int r = net_address_fd(prefix, str, ret_fd, &got, err);
    if (!r && got != type)
        r = error_set(err, -EINVAL, "descriptor %s is a socket of another type", str);
    return r;
}
