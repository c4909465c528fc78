// SPDX-License-Identifier: MIT
// The machine's network cards. Private to machines/.
#ifndef MACHINES_NETS_H
#define MACHINES_NETS_H

#include "machines/machine_internal.h"

#define NETS_PROPERTIES "host_mtu=<uint16>\nmac=<str>\nnetdev=<str>\n"

// A virtio network card from the properties above.
int nets_create_virtio_net(struct machine *machine, struct keyval_list *options, struct error *err);

#endif
