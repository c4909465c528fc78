// SPDX-License-Identifier: MIT
// Owns the option language of user-mode networks, which is QEMU's, and its defaults: 10.0.2.0/24 with the
// gateway at .2, the name server at .3 and the first guest at .15; fec0::/64.
#include "base/error.h"
#include "base/types.h"
#include "host/net/net_internal.h"
#include "host/net/user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int read_address(const char *what, const char *text, struct in_addr *ret, struct error *err)
{
    return inet_pton(AF_INET, text, ret) == 1
               ? 0
               : error_set(err, -EINVAL, "%s: '%s' is not an IPv4 address", what, text);
}

// "10.0.2.0/24", "10.0.2.0/255.255.255.0", or an address whose class says the mask.
static int read_network(const char *text, struct in_addr *ret_net, struct in_addr *ret_mask,
                        struct error *err)
{
    char address[32];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    snprintf(address, sizeof address, "%.*s", len < sizeof address ? (int)len : 0, text);
    struct in_addr net, mask;
    int r = read_address("net", address, &net, err);
    if (r)
        return r;
    uint64_t bits = 0;
    if (!slash) {
        uint32_t first = ntohl(net.s_addr) >> 24;
        mask.s_addr = htonl(first < 128 ? 0xff000000 : first < 192 ? 0xffff0000 : 0xffffff00);
    } else if (strchr(slash, '.')) {
        r = read_address("net", slash + 1, &mask, err);
    } else {
        r = keyval_parse_u64("net", slash + 1, &bits, err);
        if (!r && (bits < 4 || bits > 31))
            r = error_set(err, -EINVAL, "net: /%s is not the size of a network", slash + 1);
        if (!r)
            mask.s_addr = htonl(~0u << (32 - bits));
    }
    if (r)
        return r;
    ret_net->s_addr = net.s_addr & mask.s_addr;
    *ret_mask = mask;
    return 0;
}

// Address number last of the network, unless key says another one of it.
static int read_within(struct keyval_list *o, const char *key, const SlirpConfig *c, uint32_t last,
                       struct in_addr *ret, struct error *err)
{
    const char *text = keyval_get(o, key);
    if (!text) {
        ret->s_addr = c->vnetwork.s_addr | (htonl(last) & ~c->vnetmask.s_addr);
        return 0;
    }
    int r = read_address(key, text, ret, err);
    if (!r && (ret->s_addr & c->vnetmask.s_addr) != c->vnetwork.s_addr)
        r = error_set(err, -EINVAL, "%s: %s is not within the network (net=)", key, text);
    return r;
}

static int read_ipv4(struct keyval_list *o, SlirpConfig *c, struct error *err)
{
    const char *net = keyval_get(o, "net");
    int r = read_network(net ? net : "10.0.2.0/24", &c->vnetwork, &c->vnetmask, err);
    if (!r)
        r = read_within(o, "host", c, 2, &c->vhost, err);
    if (!r)
        r = read_within(o, "dhcpstart", c, 15, &c->vdhcp_start, err);
    if (!r)
        r = read_within(o, "dns", c, 3, &c->vnameserver, err);
    if (!r && (c->vhost.s_addr == c->vdhcp_start.s_addr || c->vhost.s_addr == c->vnameserver.s_addr ||
               c->vnameserver.s_addr == c->vdhcp_start.s_addr))
        r = error_set(err, -EINVAL, "host=, dns= and dhcpstart= must be different addresses");
    return r;
}

static int read_ipv6(struct keyval_list *o, const char *key, const char *otherwise, struct in6_addr *ret,
                     struct error *err)
{
    const char *text = keyval_get(o, key);
    return inet_pton(AF_INET6, text ? text : otherwise, ret) == 1
               ? 0
               : error_set(err, -EINVAL, "%s: '%s' is not an IPv6 address", key, text);
}

static int read_ipv6_network(struct keyval_list *o, SlirpConfig *c, struct error *err)
{
    uint64_t bits = 64;
    int r = read_ipv6(o, "ipv6-prefix", "fec0::", &c->vprefix_addr6, err);
    if (!r)
        r = keyval_u64(o, "ipv6-prefixlen", &bits, err);
    if (!r && (bits < 1 || bits > 126))
        r = error_set(err, -EINVAL, "ipv6-prefixlen: a prefix has 1 to 126 bits");
    c->vprefix_len = (uint8_t)bits;
    struct in6_addr with = c->vprefix_addr6;
    char text[INET6_ADDRSTRLEN];
    with.s6_addr[15] |= 2;
    if (!r)
        r = read_ipv6(o, "ipv6-host", inet_ntop(AF_INET6, &with, text, sizeof text), &c->vhost6, err);
    with.s6_addr[15] |= 3;
    return r ? r
             : read_ipv6(o, "ipv6-dns", inet_ntop(AF_INET6, &with, text, sizeof text), &c->vnameserver6, err);
}

struct names {
    const char **list;
    unsigned count, max;
};

static int add_name(void *opaque, const char *value, struct error *err)
{
    struct names *names = opaque;
    if (names->count == names->max)
        return error_set(err, -EINVAL, "dnssearch: there can be at most %u of them", names->max);
    names->list[names->count++] = value;
    return 0;
}

int user_read_options(struct keyval_list *o, SlirpConfig *c, const char **dns_search, unsigned max,
                      struct error *err)
{
    static const char *const missing[] = {"smb", "smbserver", "ipv6-net"};
    bool v4 = true, v6 = true, restricted = false;
    for (size_t i = 0; i < ARRAY_SIZE(missing); i++)
        if (keyval_get(o, missing[i]))
            return error_set(err, -ENOTSUP, "%s= is not supported", missing[i]);
    bool has_v4 = keyval_get(o, "ipv4"), has_v6 = keyval_get(o, "ipv6");
    int r = keyval_bool(o, "ipv4", &v4, err);
    if (!r)
        r = keyval_bool(o, "ipv6", &v6, err);
    if (!r)
        r = keyval_bool(o, "restrict", &restricted, err);
    if (r)
        return r;
    if (!has_v4 && has_v6 && v6) // asking for one only is asking for that one
        v4 = false;
    if (!has_v6 && has_v4 && v4)
        v6 = false;
    if (!v4 && !v6)
        return error_set(err, -EINVAL, "a network without IPv4 and IPv6 carries nothing");
    *c = (SlirpConfig){.version = 4, .restricted = restricted, .in_enabled = v4, .in6_enabled = v6};
    c->if_mtu = c->if_mru = USER_SLIRP_MTU;
    c->vhostname = keyval_get(o, "hostname");
    c->tftp_server_name = keyval_get(o, "tftp-server-name");
    c->tftp_path = keyval_get(o, "tftp");
    c->bootfile = keyval_get(o, "bootfile");
    c->vdomainname = keyval_get(o, "domainname");
    if (c->vdomainname && strlen(c->vdomainname) > 255)
        return error_set(err, -EINVAL, "domainname: a name has at most 255 characters");
    struct names names = {dns_search, 0, max};
    r = net_each_value(o, "dnssearch", add_name, &names, err);
    dns_search[names.count] = NULL;
    if (names.count)
        c->vdnssearch = dns_search;
    if (!r)
        r = read_ipv4(o, c, err);
    return r ? r : read_ipv6_network(o, c, err);
}

// The text up to a delimiter, which *text then stands behind; NULL without one or room.
static const char *cut(const char **text, char delimiter, char *buf, size_t size)
{
    const char *end = strchr(*text, delimiter);
    if (!end || (size_t)(end - *text) >= size)
        return NULL;
    memcpy(buf, *text, (size_t)(end - *text));
    buf[end - *text] = 0;
    *text = end + 1;
    return buf;
}

static bool read_port(const char *text, int *ret)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || port > 65535)
        return false;
    *ret = (int)port;
    return true;
}

static bool read_protocol(const char **text, bool *ret_udp)
{
    char word[8];
    const char *protocol = cut(text, ':', word, sizeof word);
    if (!protocol || (*protocol && strcmp(protocol, "tcp") && strcmp(protocol, "udp")))
        return false;
    *ret_udp = !strcmp(protocol, "udp");
    return true;
}

int user_read_hostfwd(const char *text, bool remove, struct user_forward *ret, struct error *err)
{
    struct user_forward f = {.host.s_addr = INADDR_ANY, .guest.s_addr = INADDR_ANY};
    const char *rest = text;
    char address[32], port[16];
    bool good = read_protocol(&rest, &f.udp) && cut(&rest, ':', address, sizeof address) &&
                (!*address || inet_pton(AF_INET, address, &f.host) == 1);
    if (good && remove)
        good = read_port(rest, &f.host_port);
    else if (good)
        good = cut(&rest, '-', port, sizeof port) && read_port(port, &f.host_port) &&
               cut(&rest, ':', address, sizeof address) &&
               (!*address || inet_pton(AF_INET, address, &f.guest) == 1) && read_port(rest, &f.guest_port) &&
               f.guest_port;
    if (!good)
        return error_set(err, -EINVAL, "hostfwd: '%s' is not of the form [tcp|udp]:[ADDRESS]:PORT%s", text,
                         remove ? "" : "-[ADDRESS]:PORT");
    *ret = f;
    return 0;
}

int user_read_guestfwd(const char *text, struct in_addr *ret_addr, int *ret_port, const char **ret_to,
                       struct error *err)
{
    const char *rest = text;
    char address[32], port[16];
    bool udp;
    if (!read_protocol(&rest, &udp) || udp || !cut(&rest, ':', address, sizeof address) ||
        inet_pton(AF_INET, address, ret_addr) != 1 || !cut(&rest, '-', port, sizeof port) ||
        !read_port(port, ret_port) || !*ret_port)
        return error_set(err, -EINVAL,
                         "guestfwd: '%s' is not of the form [tcp]:ADDRESS:PORT-chardev:ID or -cmd:COMMAND",
                         text);
    *ret_to = rest;
    return 0;
}
