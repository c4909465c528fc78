// SPDX-License-Identifier: MIT
// Private to user*.c: the options of a user-mode network, and what is done to its frames.
#ifndef HOST_NET_USER_H
#define HOST_NET_USER_H

#include "host/net/backends.h"

#include <slirp/libslirp.h>

// Reads everything but the forwardings. Strings are the option list's; dns_search is the caller's memory of
// max entries and a NULL.
int user_read_options(struct keyval_list *options, SlirpConfig *config, const char **dns_search, unsigned max,
                      struct error *err);

struct user_forward {
    bool udp;
    struct in_addr host, guest;
    int host_port, guest_port;
};

// "tcp:[ADDRESS]:PORT-[ADDRESS]:PORT"; with remove, only what stands before the '-'.
int user_read_hostfwd(const char *text, bool remove, struct user_forward *ret, struct error *err);
// "tcp:ADDRESS:PORT-TO": *ret_to points at TO in text.
int user_read_guestfwd(const char *text, struct in_addr *ret_addr, int *ret_port, const char **ret_to,
                       struct error *err);

// TCP segments of USER_LARGE_PIECES pieces travel as one. Lets slirp send them: raises the maximum segment
// size in a guest's SYN, where it was the usual one of Ethernet.
enum { USER_MTU = 1500, USER_LARGE_PIECES = 22, USER_SLIRP_MTU = 65521 };
void user_raise_mss(uint8_t *frame, size_t len, unsigned sink_takes);

// Gives what slirp sent on, with what its receiver needs to know: long segments to be cut, fragments of long
// datagrams. frame may be changed.
void user_prepare(uint8_t *frame, size_t len,
                  void (*give)(void *opaque, const struct net_offload *offload, const uint8_t *frame,
                               size_t len),
                  void *opaque);

#endif
