// SPDX-License-Identifier: MIT
// What a virtio network card lets through to its driver, and the control commands that say so
// (Virtio 1.2, 5.1.6.5.1 to 5.1.6.5.3). Thread: machine lock held.
#ifndef HW_VIRTIO_VIRTIO_NET_FILTER_H
#define HW_VIRTIO_VIRTIO_NET_FILTER_H

#include "hw/virtio/virtio.h"

enum { NET_FILTER_MACS = 64, NET_FILTER_VLAN_WORDS = 4096 / 32 };

struct net_filter {
    bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
    bool unicast_overflow, multicast_overflow; // more addresses than there is room for: all pass
    uint8_t macs[NET_FILTER_MACS * 6];         // unicast first
    uint16_t unicast_count, mac_count;
    uint32_t vlans[NET_FILTER_VLAN_WORDS];
};

#define NET_FILTER_STATE(first_id_, type_, member_)                                                          \
    STATE_FIELD((first_id_) + 0, STATE_BOOL, type_, member_.promisc),                                        \
        STATE_FIELD((first_id_) + 1, STATE_BOOL, type_, member_.allmulti),                                   \
        STATE_FIELD((first_id_) + 2, STATE_BOOL, type_, member_.alluni),                                     \
        STATE_FIELD((first_id_) + 3, STATE_BOOL, type_, member_.nomulti),                                    \
        STATE_FIELD((first_id_) + 4, STATE_BOOL, type_, member_.nouni),                                      \
        STATE_FIELD((first_id_) + 5, STATE_BOOL, type_, member_.nobcast),                                    \
        STATE_FIELD((first_id_) + 6, STATE_BOOL, type_, member_.unicast_overflow),                           \
        STATE_FIELD((first_id_) + 7, STATE_BOOL, type_, member_.multicast_overflow),                         \
        STATE_ARRAY((first_id_) + 8, STATE_BYTES, type_, member_.macs, NET_FILTER_MACS * 6),                 \
        STATE_FIELD((first_id_) + 9, STATE_U16, type_, member_.unicast_count),                               \
        STATE_FIELD((first_id_) + 10, STATE_U16, type_, member_.mac_count),                                  \
        STATE_ARRAY((first_id_) + 11, STATE_U32, type_, member_.vlans, NET_FILTER_VLAN_WORDS)

void net_filter_reset(struct net_filter *filter);    // everything passes
void net_filter_restored(struct net_filter *filter); // a loaded state may claim anything
// vlans: the driver took VLAN filtering. frame has at least an Ethernet header.
bool net_filter_passes(const struct net_filter *filter, const uint8_t mac[6], bool vlans,
                       const uint8_t *frame, size_t len);
// One control command in a chain's out bytes: class, command, data. mac is the card's and may be set. False:
// the command is not known or does not hold what it says.
bool net_filter_command(struct net_filter *filter, uint8_t mac[6], const struct virtq_chain *chain);

#endif
