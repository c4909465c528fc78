// SPDX-License-Identifier: MIT
// The constructors of the back ends, for the table in open.c, and what their files share.
#ifndef HOST_NET_NET_INTERNAL_H
#define HOST_NET_NET_INTERNAL_H

#include "host/net/backends.h"

typedef int net_constructor(struct keyval_list *options, const struct net_env *env, struct net **ret,
                            struct error *err);
net_constructor net_open_user, net_open_socket, net_open_stream, net_open_dgram, net_open_tap;

// Over a connected socket, which they take: QEMU's stream framing, a frame a datagram.
int net_stream_over(int fd, const struct net_env *env, struct net **ret, struct error *err);
int net_dgram_over(int fd, const struct net_env *env, struct net **ret, struct error *err);
// Over UDP between two addresses.
int net_dgram_udp(const char *to, const char *from, const struct net_env *env, struct net **ret,
                  struct error *err);

// Marks every item of key as used and calls fn with each value, until it fails.
int net_each_value(struct keyval_list *options, const char *key,
                   int (*fn)(void *opaque, const char *value, struct error *err), void *opaque,
                   struct error *err);

#endif
