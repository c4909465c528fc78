// SPDX-License-Identifier: MIT
// The machine's SMBIOS tables, as firmware takes them from fw_cfg, and what -smbios says about them. Private to machines/.
#ifndef MACHINES_SMBIOS_H
#define MACHINES_SMBIOS_H

#include "base/keyval.h"
#include "machines/aml.h"

struct error;

struct smbios_config {
    struct keyval_list *options; // of -smbios, each with its type=
    size_t option_count;
    uint64_t ram_base, ram_size; // bytes
    unsigned cpu_count;
    const char *cpu; // model
    const char *product_version;
};

// The tables and the entry point (3.0, its address left to firmware). 0, or a negative errno with a sentence for what an
// option says wrong. Both are the caller's, to be freed with aml_free in every case.
int smbios_build(const struct smbios_config *config, struct aml *ret_tables, struct aml *ret_anchor, struct error *err);

#endif
