// SPDX-License-Identifier: MIT
// Owns the table of network back ends.
#include "base/error.h"
#include "base/types.h"
#include "host/net/net_internal.h"

#include <errno.h>
#include <string.h>

static const struct {
    const char *name;
    net_constructor *open;
} backends[] = {
    {"user", net_open_user},   {"socket", net_open_socket}, {"stream", net_open_stream},
    {"dgram", net_open_dgram}, {"tap", net_open_tap},
};

int net_open(struct keyval_list *options, const struct net_env *env, struct net **ret_net, struct error *err)
{
    const char *type = keyval_get(options, "type");
    if (!type)
        return error_set(err, -EINVAL, "a network needs the name of a back end");
    for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
        if (strcmp(backends[i].name, type))
            continue;
        int r = backends[i].open(options, env, ret_net, err);
        if (r)
            return r;
        (*ret_net)->kind = backends[i].name;
        return 0;
    }
    return error_set(err, -EINVAL, "there is no network back end '%s' (try -netdev help)", type);
}

void net_list_backends(FILE *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
        fprintf(out, "%s\n", backends[i].name);
}

int net_each_value(struct keyval_list *options, const char *key,
                   int (*fn)(void *opaque, const char *value, struct error *err), void *opaque,
                   struct error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < options->count; i++)
        if (!strcmp(options->items[i].key, key)) {
            options->items[i].used = true;
            r = fn(opaque, options->items[i].value, err);
        }
    return r;
}
