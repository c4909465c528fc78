// SPDX-License-Identifier: MIT
// Owns what users may set about migrations (migrate-set-parameters), by QEMU's names. Bandwidth and downtime count for the
// migration under way as well; the compression for later ones.
#include "base/error.h"
#include "base/types.h"
#include "control/snapshot/snapshot_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { DOWNTIME_MAX_MS = 2000000 }; // QEMU's

static const char *const compressions[] = {[STATE_PLAIN] = "none", [STATE_ZLIB] = "zlib", [STATE_ZSTD] = "zstd"};

const char *migration_compression_name(enum state_compression compression)
{
    return compressions[compression];
}

int migration_parse_compression(const char *text, enum state_compression *ret, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(compressions); i++)
        if (!strcmp(text, compressions[i])) {
            *ret = (enum state_compression)i;
            return 0;
        }
    return error_set(err, -EINVAL, "multifd-compression is none, zlib or zstd");
}

void snapshot_get_parameters(const struct snapshot *s, struct migration_parameters *ret)
{
    *ret = (struct migration_parameters){.max_bandwidth = atomic_load(&s->max_bandwidth),
                                         .downtime_limit_ms = atomic_load(&s->downtime_limit_ms),
                                         .compression = s->compression};
}

int snapshot_set_parameters(struct snapshot *s, const struct migration_parameters *p, struct error *err)
{
    if (p->max_bandwidth > INT64_MAX)
        return error_set(err, -EINVAL, "max-bandwidth is a number of bytes a second, 0 for no limit");
    if (!p->downtime_limit_ms || p->downtime_limit_ms > DOWNTIME_MAX_MS)
        return error_set(err, -EINVAL, "downtime-limit is a number of milliseconds from 1 to %d", DOWNTIME_MAX_MS);
    if (!machine_state_can_compress(p->compression))
        return error_set(err, -ENOTSUP, "this Isomer was built without zstd");
    atomic_store(&s->max_bandwidth, p->max_bandwidth);
    atomic_store(&s->downtime_limit_ms, p->downtime_limit_ms);
    s->compression = p->compression;
    return 0;
}

int parameters_set_text(struct snapshot *s, const char *name, const char *value, struct error *err)
{
    struct migration_parameters p;
    int r;
    snapshot_get_parameters(s, &p);
    if (!strcmp(name, "max-bandwidth")) // the human monitor's unit
        r = keyval_parse_size(name, value, 1 << 20, &p.max_bandwidth, err);
    else if (!strcmp(name, "downtime-limit"))
        r = keyval_parse_u64(name, value, &p.downtime_limit_ms, err);
    else if (!strcmp(name, "multifd-compression"))
        r = migration_parse_compression(value, &p.compression, err);
    else
        r = error_set(err, -EINVAL, "the parameters are max-bandwidth, downtime-limit and multifd-compression");
    return r ? r : snapshot_set_parameters(s, &p, err);
}
