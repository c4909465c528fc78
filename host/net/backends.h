// SPDX-License-Identifier: MIT
// The host's ends of packet channels: user-mode network (libslirp), sockets to another machine, tap.
//
// Options are QEMU's -netdev lists ("user,id=n,hostfwd=tcp::2222-:22"). The caller owns the result and frees
// it with net_destroy. Thread: machine lock held, except that opening may happen before the loop runs.
// Failures are a negative errno and a sentence.
#ifndef HOST_NET_BACKENDS_H
#define HOST_NET_BACKENDS_H

#include "base/keyval.h"
#include "host/net.h"

struct chardev;
struct clock;
struct error;
struct loop;

// What a back end lives on; borrowed.
struct net_env {
    struct loop *loop;
    struct clock *clock; // the machine's
    // The character device of that id for guestfwd, NULL where there is none or it is in use.
    struct chardev *(*chardev)(void *opaque, const char *id);
    void *opaque;
};

// The back end that options name ("type", the first word). Keys it does not know are left unused in the list.
int net_open(struct keyval_list *options, const struct net_env *env, struct net **ret_net, struct error *err);
// One line a back end.
void net_list_backends(FILE *out);

// Forwarding of a user-mode network, as hostfwd= writes it: "tcp:[ADDRESS]:PORT-[ADDRESS]:PORT"; what removes
// it stops before the '-'. -ENOTSUP for other back ends.
int net_add_hostfwd(struct net *net, const char *text, struct error *err);
int net_remove_hostfwd(struct net *net, const char *text, struct error *err);
// What a user-mode network is connected to, several lines; nothing for other back ends.
void net_print_connections(struct net *net, FILE *out);

#endif
