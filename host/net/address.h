// SPDX-License-Identifier: MIT
// Addresses of the sockets that networks run over, as QEMU's options write them. Private to host/net/.
// Looking up a name may block: for set-up only.
#ifndef HOST_NET_ADDRESS_H
#define HOST_NET_ADDRESS_H

#include "base/keyval.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

struct error;

struct net_address {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } u;
    socklen_t len;
    char name[160]; // for sentences
};

// "host:port", ":port"; what names the option. passive: for bind, no host is every address.
int net_address_inet(const char *what, const char *text, int type, bool passive, struct net_address *ret,
                     struct error *err);
// The options PREFIX.type=inet|unix|fd with PREFIX.host, .port, .path, .str. *ret_fd is -1 unless type is fd.
// -ENOENT without a sentence: there is no PREFIX.type.
int net_address_options(struct keyval_list *options, const char *prefix, int type, bool passive,
                        struct net_address *ret, int *ret_fd, struct error *err);
// A descriptor number that is open and a socket.
int net_address_fd(const char *what, const char *text, int *ret_fd, int *ret_type, struct error *err);

#endif
