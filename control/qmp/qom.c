// SPDX-License-Identifier: MIT
// Owns the tree of objects that QMP's qom-list and qom-get show, as far as tools look: the containers of QEMU's tree, and
// below /machine/unattached the vCPUs first and then the devices, each with its type.
#include "base/types.h"
#include "control/qmp/qmp_internal.h"

#include <stdlib.h>
#include <string.h>

struct child {
    const char *parent, *name, *type;
};

// The fixed part of the tree.
static const struct child children[] = {
    {"/", "machine", "child<virt-machine>"},
    {"/", "objects", "child<container>"},
    {"/", "chardevs", "child<container>"},
    {"/machine", "unattached", "child<container>"},
    {"/machine", "peripheral", "child<container>"},
    {"/machine", "peripheral-anon", "child<container>"},
};

// The type of the index-th object below /machine/unattached; false behind the last one.
static bool unattached(const struct machine *m, size_t index, char *ret_type, size_t size)
{
    size_t cpus = machine_accel((struct machine *)m) ? machine_config(m)->cpu_count : 0;
    struct machine_device_info device;
    if (index < cpus) {
        const char *model = machine_config(m)->cpu;
        snprintf(ret_type, size, "%.*s-arm-cpu", (int)strcspn(model, ","), model);
        return true;
    }
    if (!machine_get_device(m, index - cpus, &device))
        return false;
    snprintf(ret_type, size, "%s", device.type);
    return true;
}

// The type of what is at path.
static bool type_of(const struct qmp_call *call, const char *path, char *ret_type, size_t size)
{
    static const char prefix[] = "/machine/unattached/device[";
    if (!strncmp(path, prefix, sizeof prefix - 1)) {
        char *end;
        const char *digits = path + sizeof prefix - 1;
        unsigned long index = strtoul(digits, &end, 10);
        return *digits >= '0' && *digits <= '9' && !strcmp(end, "]") && unattached(call->machine, index, ret_type, size);
    }
    if (!strcmp(path, "/")) {
        snprintf(ret_type, size, "container");
        return true;
    }
    if (!strcmp(path, "/machine")) {
        snprintf(ret_type, size, "%s-machine", machine_config(call->machine)->board);
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
        size_t len = strlen(children[i].parent) > 1 ? strlen(children[i].parent) : 0;
        if (!strncmp(path, children[i].parent, len) && path[len] == '/' && !strcmp(path + len + 1, children[i].name)) {
            snprintf(ret_type, size, "container");
            return true;
        }
    }
    return false;
}

static void add(struct qmp_call *call, const char *name, const char *type)
{
    json_object_array_add(call->ret, qmp_object("name", json_object_new_string(name), "type",
                                                json_object_new_string(type), NULL));
}

static bool find(struct qmp_call *call, char *ret_type, size_t size)
{
    const char *path = qmp_arg_text(call, "path");
    if (type_of(call, path, ret_type, size))
        return true;
    qmp_fail_as(call, "DeviceNotFound", "Device '%.200s' not found", path);
    return false;
}

void qmp_qom_list(struct qmp_call *call)
{
    const char *path = qmp_arg_text(call, "path");
    char type[80], name[40], child[96];
    if (!find(call, type, sizeof type))
        return;
    call->ret = json_object_new_array();
    add(call, "type", "string");
    for (size_t i = 0; i < ARRAY_SIZE(children); i++)
        if (!strcmp(path, children[i].parent)) {
            snprintf(child, sizeof child, "child<%s-machine>", machine_config(call->machine)->board);
            add(call, children[i].name, i ? children[i].type : child);
        }
    for (size_t i = 0; !strcmp(path, "/machine/unattached") && unattached(call->machine, i, type, sizeof type); i++) {
        snprintf(name, sizeof name, "device[%zu]", i);
        snprintf(child, sizeof child, "child<%s>", type);
        add(call, name, child);
    }
}

void qmp_qom_get(struct qmp_call *call)
{
    char type[80];
    const char *property = qmp_arg_text(call, "property");
    if (!find(call, type, sizeof type))
        return;
    if (!strcmp(property, "type"))
        call->ret = json_object_new_string(type);
    else
        qmp_fail(call, "Property '%.80s.%.100s' not found", type, property);
}
