// SPDX-License-Identifier: MIT
// Owns the machine's networks: -netdev, and the cards with their networks of -nic and -net. A card of the
// last two becomes a -device of its own. Nothing moves on a network while the machine is stopped.
//
// QEMU gives a machine a card with a user-mode network when nobody mentions one; here cards come when asked
// for.
#include "machines/nets.h"
#include "host/net/backends.h"
#include "hw/virtio/virtio_net.h"
#include "machines/devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct machine_netdev {
    char *id;
    struct net *net;
    struct device *user; // or NULL
};

// A card to be made, by -nic or -net nic.
struct machine_nic {
    const char *model, *mac;
    char *netdev; // id, or NULL: no cable
};

// The cards there are under the names that -nic and -net know them by; the device each becomes.
static const struct {
    const char *model, *device;
} models[] = {
    {"virtio", "virtio-net-pci"},
    {"virtio-net-pci", "virtio-net-pci"},
    {"virtio-net-device", "virtio-net-device"},
};

static struct machine_netdev *find(struct machine *m, const char *id)
{
    for (size_t i = 0; i < m->netdev_count; i++)
        if (!strcmp(m->netdevs[i].id, id))
            return &m->netdevs[i];
    return NULL;
}

static struct chardev *take_chardev(void *opaque, const char *id)
{
    return machine_chardev(opaque, id);
}

// Opens the network of options ("type") and adds it under id, which is copied.
static int open_netdev(struct machine *m, const char *option, const char *id, struct keyval_list *o,
                       struct error *err)
{
    if (find(m, id))
        return error_set(err, -EEXIST, "there are two networks with the id '%s'", id);
    struct net_env env = {.loop = m->loop, .clock = &m->clock, .chardev = take_chardev, .opaque = m};
    struct machine_netdev *list = realloc(m->netdevs, (m->netdev_count + 1) * sizeof *list);
    if (!list)
        return error_set(err, -ENOMEM, "out of memory");
    m->netdevs = list;
    struct machine_netdev added = {.id = strdup(id)};
    if (!added.id)
        return error_set(err, -ENOMEM, "out of memory");
    int r = net_open(o, &env, &added.net, err);
    if (!r && keyval_unused(o)) {
        net_destroy(added.net);
        r = error_set(err, -EINVAL, "the back end '%s' does not know the option '%s'", keyval_get(o, "type"),
                      keyval_unused(o));
    }
    if (r) {
        free(added.id);
        return error_prefix(err, r, "%s", option);
    }
    net_pause(added.net, m->config.start_stopped);
    list[m->netdev_count++] = added;
    return 0;
}

static int add_nic(struct machine *m, const char *model, const char *mac, const char *netdev,
                   struct error *err)
{
    struct machine_nic *list = realloc(m->nics, (m->nic_count + 1) * sizeof *list);
    if (!list)
        return error_set(err, -ENOMEM, "out of memory");
    m->nics = list;
    struct machine_nic nic = {.model = model, .mac = mac, .netdev = netdev ? strdup(netdev) : NULL};
    if (netdev && !nic.netdev)
        return error_set(err, -ENOMEM, "out of memory");
    list[m->nic_count++] = nic;
    return 0;
}

// Options of -nic and -net nic that say nothing to us.
static void ignore_nic_options(struct keyval_list *o)
{
    static const char *const ignored[] = {"name", "addr", "vectors", "bootindex"};
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        keyval_get(o, ignored[i]);
}

static const char *mac_of(struct keyval_list *o)
{
    const char *mac = keyval_get(o, "mac"), *macaddr = keyval_get(o, "macaddr");
    return mac ? mac : macaddr;
}

static int open_nic(struct machine *m, struct keyval_list *o, size_t number, struct error *err)
{
    const char *type = keyval_get(o, "type"), *model = keyval_get(o, "model"), *mac = mac_of(o);
    const char *id = keyval_get(o, "id");
    char name[32];
    ignore_nic_options(o);
    if (!type)
        return error_set(err, -EINVAL, "-nic needs the name of a back end, or none");
    if (!strcmp(type, "none"))
        return 0;
    snprintf(name, sizeof name, "nic%zu", number);
    int r = open_netdev(m, "-nic", id ? id : name, o, err);
    return r ? r : add_nic(m, model, mac, id ? id : name, err);
}

// -net: cards and back ends without ids are one wire; we have room for one of each on it.
static int open_nets(struct machine *m, struct error *err)
{
    static const char wire[] = "net0";
    size_t cards = 0, ends = 0;
    int r = 0;
    for (size_t i = 0; !r && i < m->config.net_count; i++) {
        struct keyval_list *o = &m->config.nets[i];
        const char *type = keyval_get(o, "type");
        if (!type)
            return error_set(err, -EINVAL, "-net needs nic, none, or the name of a back end");
        if (!strcmp(type, "none"))
            continue;
        if (strcmp(type, "nic")) {
            ends++;
            ignore_nic_options(o);
            keyval_get(o, "id");
            r = ends > 1 ? 0 : open_netdev(m, "-net", wire, o, err);
            continue;
        }
        const char *netdev = keyval_get(o, "netdev"), *model = keyval_get(o, "model"), *mac = mac_of(o);
        ignore_nic_options(o);
        cards += !netdev;
        if (keyval_unused(o))
            return error_set(err, -EINVAL, "-net nic does not know the option '%s'", keyval_unused(o));
        r = add_nic(m, model, mac, netdev ? netdev : wire, err);
    }
    if (!r && (cards > 1 || ends > 1))
        return error_set(
            err, -ENOTSUP,
            "-net connects one card and one back end; use -nic or -netdev with -device for more");
    for (size_t i = 0; !r && cards && !ends && i < m->nic_count; i++)
        if (m->nics[i].netdev && !strcmp(m->nics[i].netdev, wire)) { // a card without a cable
            free(m->nics[i].netdev);
            m->nics[i].netdev = NULL;
        }
    return r;
}

static void on_event(void *opaque, const struct machine_event *event)
{
    struct machine *m = opaque;
    if (event->kind == MACHINE_STOPPED || event->kind == MACHINE_RESUMED)
        for (size_t i = 0; i < m->netdev_count; i++)
            net_pause(m->netdevs[i].net, event->kind == MACHINE_STOPPED);
}

int machine_open_nets(struct machine *m, struct error *err)
{
    int r = 0;
    m->net_listener = (struct machine_listener){.notify = on_event, .opaque = m};
    machine_listen(m, &m->net_listener);
    for (size_t i = 0; !r && i < m->config.netdev_count; i++) {
        const char *id = keyval_get(&m->config.netdevs[i], "id");
        r = id ? open_netdev(m, "-netdev", id, &m->config.netdevs[i], err)
               : error_set(err, -EINVAL, "-netdev needs an id=");
    }
    for (size_t i = 0; !r && i < m->config.nic_count; i++)
        r = open_nic(m, &m->config.nics[i], i, err);
    return r ? r : open_nets(m, err);
}

int machine_add_nics(struct machine *m, struct error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < m->nic_count; i++) {
        const struct machine_nic *nic = &m->nics[i];
        const char *device = NULL, *model = nic->model ? nic->model : models[0].model;
        for (size_t k = 0; k < ARRAY_SIZE(models); k++)
            if (!strcmp(models[k].model, model))
                device = models[k].device;
        if (!device)
            return error_set(err, -EINVAL, "there is no network card '%s' (try -nic model=help)", model);
        struct keyval_list o = {0};
        r = keyval_add(&o, "driver", device);
        if (!r && nic->netdev)
            r = keyval_add(&o, "netdev", nic->netdev);
        if (!r && nic->mac)
            r = keyval_add(&o, "mac", nic->mac);
        r = r ? error_set(err, r, "out of memory") : devices_add(m, &o, err);
        keyval_free(&o);
    }
    return r;
}

void machine_close_nets(struct machine *m)
{
    machine_unlisten(m, &m->net_listener);
    for (size_t i = m->netdev_count; i-- > 0;) {
        net_destroy(m->netdevs[i].net);
        free(m->netdevs[i].id);
    }
    for (size_t i = 0; i < m->nic_count; i++)
        free(m->nics[i].netdev);
    free(m->netdevs);
    free(m->nics);
    m->netdevs = NULL;
    m->nics = NULL;
    m->netdev_count = m->nic_count = 0;
}

static int read_mac(const char *text, uint8_t mac[6], struct error *err)
{
    unsigned b[6];
    int end = 0;
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 ||
        text[end])
        return error_set(err, -EINVAL, "mac=%s is not six bytes xx:xx:xx:xx:xx:xx", text);
    if (b[0] & 1)
        return error_set(err, -EINVAL, "mac=%s is a multicast address, which no card can have", text);
    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)b[i];
    return 0;
}

int nets_create_virtio_net(struct machine *m, struct keyval_list *o, struct error *err)
{
    static const char *const ignored[] = {"bootindex", "rx_queue_size", "tx_queue_size",
                                          "tx",        "speed",         "duplex"};
    enum { MTU_MIN = 68, MTU_MAX = 65535 };
    const char *driver = keyval_get(o, "driver"), *id = keyval_get(o, "netdev"), *mac = keyval_get(o, "mac");
    uint64_t mtu = 0;
    bool multiqueue = false;
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        keyval_get(o, ignored[i]);
    int r = keyval_u64(o, "host_mtu", &mtu, err);
    if (!r)
        r = keyval_bool(o, "mq", &multiqueue, err);
    if (!r && mtu && (mtu < MTU_MIN || mtu > MTU_MAX))
        r = error_set(err, -EINVAL, "host_mtu must be %d to %d", MTU_MIN, MTU_MAX);
    if (!r && multiqueue)
        r = error_set(err, -ENOTSUP, "mq=on: several pairs of queues are not supported");
    char path[48];
    snprintf(path, sizeof path, "/virtio-net/%zu", m->device_count);
    struct virtio_net_config config = {.path = path, .mem = m->mem, .loop = m->loop, .mtu = (uint16_t)mtu};
    const uint8_t own[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56}; // QEMU's
    memcpy(config.mac, own, sizeof own);
    if (!r && mac)
        r = read_mac(mac, config.mac, err);
    else
        config.mac[5] = (uint8_t)(config.mac[5] + m->default_macs++);
    if (r)
        return error_prefix(err, r, "device %s", driver);
    struct machine_netdev *netdev = id ? find(m, id) : NULL;
    if (id && !netdev)
        return error_set(err, -ENOENT, "device %s: there is no network '%s'", driver, id);
    if (netdev && netdev->user)
        return error_set(err, -EBUSY, "network '%s' belongs to another device already", id);
    config.net = netdev ? netdev->net : NULL;
    struct virtio_device *vdev;
    r = virtio_net_create(&config, &vdev, err);
    if (r)
        return r;
    if (netdev)
        netdev->user = &vdev->dev;
    return devices_plug_virtio(m, vdev, err);
}

void machine_release_net(struct machine *m, const struct device *user)
{
    for (size_t i = 0; i < m->netdev_count; i++)
        if (m->netdevs[i].user == user)
            m->netdevs[i].user = NULL;
}

void machine_print_nets(struct machine *m, FILE *out)
{
    for (size_t i = 0; i < m->netdev_count; i++) {
        const struct machine_netdev *d = &m->netdevs[i];
        fprintf(out, "%s: type=%s,", d->id, d->net->kind);
        if (d->net->ops->info)
            d->net->ops->info(d->net, out);
        fprintf(out, "\n  %s, link %s, %llu frames sent, %llu received, %llu dropped\n",
                d->user ? d->user->path : "not in use", d->net->link_up ? "up" : "down",
                (unsigned long long)d->net->sent, (unsigned long long)d->net->received,
                (unsigned long long)d->net->dropped);
    }
}

void machine_print_connections(struct machine *m, FILE *out)
{
    for (size_t i = 0; i < m->netdev_count; i++)
        if (!strcmp(m->netdevs[i].net->kind, "user")) {
            fprintf(out, "%s:\n", m->netdevs[i].id);
            net_print_connections(m->netdevs[i].net, out);
        }
}

int machine_hostfwd(struct machine *m, const char *text, bool add, struct error *err)
{
    const char *space = strchr(text, ' ');
    struct machine_netdev *netdev = NULL;
    for (size_t i = 0; i < m->netdev_count && !netdev; i++) {
        struct machine_netdev *d = &m->netdevs[i];
        bool named = space && strlen(d->id) == (size_t)(space - text) && !strncmp(d->id, text, strlen(d->id));
        if (space ? named : !strcmp(d->net->kind, "user"))
            netdev = d;
    }
    if (!netdev)
        return error_set(err, -ENOENT, "there is no such user-mode network");
    text = space ? space + 1 + strspn(space + 1, " ") : text;
    return add ? net_add_hostfwd(netdev->net, text, err) : net_remove_hostfwd(netdev->net, text, err);
}

void machine_list_netdevs(FILE *out)
{
    net_list_backends(out);
}

void machine_list_nics(FILE *out)
{
    fprintf(out, "Available NIC models:\n");
    for (size_t i = 0; i < ARRAY_SIZE(models); i++)
        fprintf(out, "%s\n", models[i].model);
}
