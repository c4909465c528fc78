// SPDX-License-Identifier: MIT
// Owns what QMP tells about the machine. Members that QEMU's schema requires are there; of the optional ones those that
// mean something here.
#include "base/types.h"
#include "control/qmp/qmp_internal.h"

#include <string.h>

static struct json_object *text(const char *s)
{
    return qmp_text(s ? s : "", s ? strlen(s) : 0);
}

static struct json_object *number(uint64_t n)
{
    return json_object_new_int64((int64_t)n);
}

static struct json_object *yes(bool b)
{
    return json_object_new_boolean(b);
}

struct json_object *qmp_version(void)
{
    return qmp_object("qemu", qmp_object("micro", number(0), "minor", number(2), "major", number(7), NULL), "package",
                      text("Isomer " ISOMER_VERSION), NULL);
}

void qmp_query_version(struct qmp_call *call)
{
    call->ret = qmp_version();
}

void qmp_query_nothing(struct qmp_call *call)
{
    call->ret = json_object_new_array();
}

void qmp_query_status(struct qmp_call *call)
{
    call->ret = qmp_object("status", text(machine_run_state_name(machine_run_state(call->machine))), "singlestep",
                           yes(false), "running", yes(machine_running(call->machine)), NULL);
}

void qmp_query_name(struct qmp_call *call)
{
    const char *name = machine_config(call->machine)->name;
    if (name)
        call->ret = qmp_object("name", text(name), NULL);
}

void qmp_query_uuid(struct qmp_call *call)
{
    call->ret = qmp_object("UUID", text("00000000-0000-0000-0000-000000000000"), NULL);
}

void qmp_query_kvm(struct qmp_call *call)
{
    call->ret = qmp_object("enabled", yes(false), "present", yes(false), NULL);
}

void qmp_query_vnc(struct qmp_call *call)
{
    call->ret = qmp_object("enabled", yes(false), NULL);
}

void qmp_query_target(struct qmp_call *call)
{
    call->ret = qmp_object("arch", text("aarch64"), NULL);
}

void qmp_query_memory(struct qmp_call *call)
{
    call->ret = qmp_object("base-memory", number(machine_config(call->machine)->ram_size), "plugged-memory", number(0),
                           NULL);
}

void qmp_query_events(struct qmp_call *call)
{
    static const char *const events[] = {"SHUTDOWN", "POWERDOWN", "RESET", "STOP", "RESUME", "GUEST_PANICKED",
                                         "WATCHDOG", "DEVICE_DELETED"};
    call->ret = json_object_new_array();
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        json_object_array_add(call->ret, qmp_object("name", text(events[i]), NULL));
}

// One socket, a core of one thread for each.
void qmp_query_cpus_fast(struct qmp_call *call)
{
    struct accel *accel = machine_accel(call->machine);
    call->ret = json_object_new_array();
    for (unsigned i = 0; accel && i < machine_config(call->machine)->cpu_count; i++) {
        char path[64];
        snprintf(path, sizeof path, "/machine/unattached/device[%u]", i);
        struct json_object *props = qmp_object("core-id", number(i), "thread-id", number(0), "socket-id", number(0), NULL);
        json_object_array_add(call->ret,
                              qmp_object("thread-id", number((uint64_t)accel_cpu_thread(accel, i)), "props", props,
                                         "qom-path", text(path), "cpu-index", number(i), "target", text("aarch64"),
                                         NULL));
    }
}

void qmp_query_cpu_definitions(struct qmp_call *call)
{
    call->ret = json_object_new_array();
    for (const char *const *name = machine_isa(call->machine)->cpu_names; *name; name++) {
        char type[64];
        snprintf(type, sizeof type, "%.40s-arm-cpu", *name);
        json_object_array_add(call->ret, qmp_object("name", text(*name), "typename", text(type), "static", yes(false),
                                                    "deprecated", yes(false), NULL));
    }
}

void qmp_query_machines(struct qmp_call *call)
{
    struct machine_board_info info;
    call->ret = json_object_new_array();
    for (size_t i = 0; machine_get_board(i, &info); i++) {
        struct json_object *board = qmp_object("hotpluggable-cpus", yes(false), "name", text(info.name),
                                               "numa-mem-supported", yes(false), "cpu-max", number(info.cpu_max),
                                               "deprecated", yes(false), NULL);
        if (info.default_cpu) {
            char type[64];
            snprintf(type, sizeof type, "%.40s-arm-cpu", info.default_cpu);
            json_object_object_add(board, "default-cpu-type", text(type));
        }
        json_object_array_add(call->ret, board);
    }
}

void qmp_query_chardev(struct qmp_call *call)
{
    struct machine_chardev_info info;
    call->ret = json_object_new_array();
    for (size_t i = 0; machine_get_chardev(call->machine, i, &info); i++)
        json_object_array_add(call->ret, qmp_object("frontend-open", yes(info.used), "filename", text(info.backend),
                                                    "label", text(info.id), NULL));
}

static struct json_object *medium(const struct machine_drive_info *info)
{
    static const char *const rates[] = {"iops", "iops_rd", "iops_wr", "bps", "bps_rd", "bps_wr", "backing_file_depth",
                                        "write_threshold"};
    struct json_object *image = qmp_object("virtual-size", number(info->size), "filename", text(info->file), "format",
                                           text(info->format), "dirty-flag", yes(false), NULL);
    struct json_object *cache =
        qmp_object("no-flush", yes(false), "direct", yes(false), "writeback", yes(true), NULL);
    struct json_object *ret =
        qmp_object("file", text(info->file), "image", image, "drv", text(info->format), "ro", yes(info->readonly),
                   "encrypted", yes(false), "detect_zeroes", text("off"), "cache", cache, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
        json_object_object_add(ret, rates[i], number(0));
    return ret;
}

void qmp_query_block(struct qmp_call *call)
{
    struct machine_drive_info info;
    call->ret = json_object_new_array();
    for (size_t i = 0; machine_get_drive(call->machine, i, &info); i++)
        json_object_array_add(call->ret, qmp_object("io-status", text("ok"), "device", text(info.id), "locked",
                                                    yes(false), "removable", yes(false), "inserted", medium(&info),
                                                    "type", text("unknown"), NULL));
}
