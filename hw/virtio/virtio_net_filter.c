// SPDX-License-Identifier: MIT
// Owns the receive filter of a virtio network card. Invariant: unicast_count <= mac_count <= NET_FILTER_MACS.
#include "hw/virtio/virtio_net_filter.h"

#include <string.h>

enum {
    VIRTIO_NET_CTRL_RX = 0,
    VIRTIO_NET_CTRL_RX_PROMISC = 0,
    VIRTIO_NET_CTRL_RX_ALLMULTI = 1,
    VIRTIO_NET_CTRL_RX_ALLUNI = 2,
    VIRTIO_NET_CTRL_RX_NOMULTI = 3,
    VIRTIO_NET_CTRL_RX_NOUNI = 4,
    VIRTIO_NET_CTRL_RX_NOBCAST = 5,
    VIRTIO_NET_CTRL_MAC = 1,
    VIRTIO_NET_CTRL_MAC_TABLE_SET = 0,
    VIRTIO_NET_CTRL_MAC_ADDR_SET = 1,
    VIRTIO_NET_CTRL_VLAN = 2,
    VIRTIO_NET_CTRL_VLAN_ADD = 0,
    VIRTIO_NET_CTRL_VLAN_DEL = 1,
    HEAD = 2, // class and command
    VLAN_IDS = 4096,
};

void net_filter_reset(struct net_filter *f)
{
    *f = (struct net_filter){.promisc = true};
}

void net_filter_restored(struct net_filter *f)
{
    if (f->mac_count > NET_FILTER_MACS)
        f->mac_count = NET_FILTER_MACS;
    if (f->unicast_count > f->mac_count)
        f->unicast_count = f->mac_count;
}

static bool listed(const struct net_filter *f, unsigned first, unsigned end, const uint8_t *address)
{
    for (unsigned i = first; i < end; i++)
        if (!memcmp(f->macs + 6 * i, address, 6))
            return true;
    return false;
}

bool net_filter_passes(const struct net_filter *f, const uint8_t mac[6], bool vlans, const uint8_t *frame,
                       size_t len)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (f->promisc)
        return true;
    if (vlans && len >= 18 && frame[12] == 0x81 && frame[13] == 0x00) {
        unsigned id = ((unsigned)frame[14] << 8 | frame[15]) & (VLAN_IDS - 1);
        if (!(f->vlans[id / 32] >> id % 32 & 1))
            return false;
    }
    if (!memcmp(frame, broadcast, 6))
        return !f->nobcast;
    if (frame[0] & 1)
        return !f->nomulti &&
               (f->allmulti || f->multicast_overflow || listed(f, f->unicast_count, f->mac_count, frame));
    return !f->nouni && (f->alluni || f->unicast_overflow || !memcmp(frame, mac, 6) ||
                         listed(f, 0, f->unicast_count, frame));
}

static bool read_byte(const struct virtq_chain *chain, uint64_t offset, uint8_t *ret)
{
    return virtq_read(chain, offset, ret, 1) == 1;
}

static bool set_rx_mode(struct net_filter *f, unsigned command, bool on)
{
    switch (command) {
    case VIRTIO_NET_CTRL_RX_PROMISC: f->promisc = on; return true;
    case VIRTIO_NET_CTRL_RX_ALLMULTI: f->allmulti = on; return true;
    case VIRTIO_NET_CTRL_RX_ALLUNI: f->alluni = on; return true;
    case VIRTIO_NET_CTRL_RX_NOMULTI: f->nomulti = on; return true;
    case VIRTIO_NET_CTRL_RX_NOUNI: f->nouni = on; return true;
    case VIRTIO_NET_CTRL_RX_NOBCAST: f->nobcast = on; return true;
    default: return false;
    }
}

// One of the two lists, behind those in *f; *offset moves behind it.
static bool read_macs(struct net_filter *f, const struct virtq_chain *chain, uint64_t *offset,
                      bool *ret_overflow)
{
    uint32_t count;
    if (virtq_read(chain, *offset, &count, sizeof count) != sizeof count ||
        chain->out_len - *offset - sizeof count < 6ull * count)
        return false;
    *ret_overflow = count > (uint32_t)(NET_FILTER_MACS - f->mac_count);
    if (!*ret_overflow) {
        virtq_read(chain, *offset + sizeof count, f->macs + 6 * f->mac_count, 6 * count);
        f->mac_count = (uint16_t)(f->mac_count + count);
    }
    *offset += sizeof count + 6ull * count;
    return true;
}

static bool set_mac_table(struct net_filter *f, const struct virtq_chain *chain)
{
    struct net_filter changed = *f;
    uint64_t offset = HEAD;
    changed.mac_count = 0;
    if (!read_macs(&changed, chain, &offset, &changed.unicast_overflow))
        return false;
    changed.unicast_count = changed.mac_count;
    if (!read_macs(&changed, chain, &offset, &changed.multicast_overflow))
        return false;
    *f = changed;
    return true;
}

static bool set_vlan(struct net_filter *f, unsigned command, const struct virtq_chain *chain)
{
    uint16_t id;
    if (command > VIRTIO_NET_CTRL_VLAN_DEL || virtq_read(chain, HEAD, &id, sizeof id) != sizeof id ||
        id >= VLAN_IDS)
        return false;
    uint32_t bit = 1u << id % 32;
    if (command == VIRTIO_NET_CTRL_VLAN_ADD)
        f->vlans[id / 32] |= bit;
    else
        f->vlans[id / 32] &= ~bit;
    return true;
}

bool net_filter_command(struct net_filter *f, uint8_t mac[6], const struct virtq_chain *chain)
{
    uint8_t class, command, on, address[6];
    if (!read_byte(chain, 0, &class) || !read_byte(chain, 1, &command))
        return false;
    switch (class) {
    case VIRTIO_NET_CTRL_RX: return read_byte(chain, HEAD, &on) && set_rx_mode(f, command, on);
    case VIRTIO_NET_CTRL_VLAN: return set_vlan(f, command, chain);
    case VIRTIO_NET_CTRL_MAC:
        if (command == VIRTIO_NET_CTRL_MAC_TABLE_SET)
            return set_mac_table(f, chain);
        if (command != VIRTIO_NET_CTRL_MAC_ADDR_SET || virtq_read(chain, HEAD, address, 6) != 6)
            return false;
        memcpy(mac, address, 6);
        return true;
    default: return false;
    }
}
