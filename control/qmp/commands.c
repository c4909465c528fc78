// SPDX-License-Identifier: MIT
// Owns the table of QMP's commands and those of them that change the machine. A command is in the table when it does
// what QEMU's does, or when tools send it to learn that this machine has no such thing: then it fails with a sentence.
#include "base/error.h"
#include "base/types.h"
#include "control/monitor/monitor.h"
#include "control/qmp/qmp_internal.h"

#include <stdlib.h>
#include <string.h>

// ---- arguments -----------------------------------------------------------------------------------------------------

const char *qmp_arg_text(const struct qmp_call *call, const char *name)
{
    struct json_object *value;
    return json_object_object_get_ex(call->args, name, &value) ? json_object_get_string(value) : NULL;
}

int64_t qmp_arg_int(const struct qmp_call *call, const char *name, int64_t missing)
{
    struct json_object *value;
    return json_object_object_get_ex(call->args, name, &value) ? json_object_get_int64(value) : missing;
}

// One word of a row's args, "name:type" or "name?:type".
struct parameter {
    char name[32];
    bool optional;
    char type;
};

static bool next_parameter(const char **at, struct parameter *ret)
{
    while (**at == ' ')
        (*at)++;
    size_t len = strcspn(*at, "?:");
    if (!**at || len >= sizeof ret->name)
        return false;
    memcpy(ret->name, *at, len);
    ret->name[len] = 0;
    *at += len;
    ret->optional = **at == '?';
    *at += ret->optional;
    ret->type = (*at)[1];
    *at += 2;
    return true;
}

static const struct {
    char letter;
    json_type type;
    const char *name;
} types[] = {{'s', json_type_string, "string"},
             {'i', json_type_int, "integer"},
             {'b', json_type_boolean, "boolean"},
             {'a', json_type_array, "array"},
             {'o', json_type_object, "object"}};

static bool check_type(struct qmp_call *call, const struct parameter *p, struct json_object *value)
{
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (types[i].letter == p->type && !json_object_is_type(value, types[i].type)) {
            qmp_fail(call, "Invalid parameter type for '%s', expected: %s", p->name, types[i].name);
            return false;
        }
    return true;
}

static bool knows(const char *args, const char *name)
{
    struct parameter p;
    while (next_parameter(&args, &p))
        if (!strcmp(p.name, name))
            return true;
    return false;
}

bool qmp_check_args(struct qmp_call *call, const struct qmp_command *command)
{
    struct parameter p;
    for (const char *at = command->args; next_parameter(&at, &p);) {
        struct json_object *value;
        if (json_object_object_get_ex(call->args, p.name, &value)) {
            if (!check_type(call, &p, value))
                return false;
        } else if (!p.optional) {
            qmp_fail(call, "Parameter '%s' is missing", p.name);
            return false;
        }
    }
    json_object_object_foreach(call->args, key, value)
    {
        (void)value;
        if (!(command->flags & QMP_UNCHECKED) && !knows(command->args, key)) {
            qmp_fail(call, "Parameter '%.100s' is unexpected", key);
            return false;
        }
    }
    return true;
}

// ---- the machine's life --------------------------------------------------------------------------------------------

static void run_cont(struct qmp_call *call)
{
    struct error err = {0};
    if (machine_run_state(call->machine) == MACHINE_STATE_SHUT_DOWN)
        qmp_fail(call, "Resetting the Virtual Machine is required");
    else if (machine_may_run(call->machine, &err))
        qmp_fail(call, "%s", err.text);
    else
        machine_request(call->machine, MACHINE_CONT);
}

static void run_stop(struct qmp_call *call)
{
    machine_request(call->machine, MACHINE_STOP);
}

static void run_quit(struct qmp_call *call)
{
    machine_request(call->machine, MACHINE_QUIT);
}

static void run_reset(struct qmp_call *call)
{
    machine_request(call->machine, MACHINE_HARD_RESET);
}

static void run_powerdown(struct qmp_call *call)
{
    machine_power_key(call->machine);
}

static void run_wakeup(struct qmp_call *call)
{
    qmp_fail(call, "Unable to wake up: guest is not in suspended state");
}

// ---- the human monitor ---------------------------------------------------------------------------------------------

static bool human_needs_stop(const struct qmp_call *call)
{
    return monitor_needs_stop(qmp_arg_text(call, "command-line"));
}

static void run_human(struct qmp_call *call)
{
    int64_t cpu = qmp_arg_int(call, "cpu-index", 0);
    struct monitor_session session = {.cpu = (unsigned)cpu};
    char *text = NULL;
    size_t len = 0;
    if (cpu < 0 || cpu >= machine_config(call->machine)->cpu_count) {
        qmp_fail(call, "Parameter 'cpu-index' expects a CPU number");
        return;
    }
    FILE *out = open_memstream(&text, &len);
    if (!out) {
        qmp_fail(call, "out of memory");
        return;
    }
    monitor_session_command(&session, call->machine, qmp_arg_text(call, "command-line"), out);
    fclose(out);
    char *lines = malloc(2 * len + 1); // QEMU's monitor ends lines as terminals do
    size_t n = 0;
    for (size_t i = 0; lines && i < len; i++) {
        if (text[i] == '\n')
            lines[n++] = '\r';
        lines[n++] = text[i];
    }
    if (lines)
        call->ret = qmp_text(lines, n);
    if (!call->ret)
        qmp_fail(call, "out of memory");
    free(lines);
    free(text);
}

// ---- devices and display -------------------------------------------------------------------------------------------

static void run_screendump(struct qmp_call *call)
{
    qmp_fail(call, "There is no console to take a screendump from");
}

// As the command line writes it: a comma doubled, a truth as on or off.
static void put_option(FILE *out, const char *key, struct json_object *value)
{
    bool truth = json_object_is_type(value, json_type_boolean);
    fprintf(out, ",%s=", key);
    for (const char *c = truth ? json_object_get_boolean(value) ? "on" : "off" : json_object_get_string(value); *c; c++)
        fprintf(out, *c == ',' ? ",," : "%c", *c);
}

static bool is_option(const char *key, struct json_object *value)
{
    return *key && !key[strcspn(key, ",=")] && !json_object_is_type(value, json_type_object) &&
           !json_object_is_type(value, json_type_array) && !json_object_is_type(value, json_type_null);
}

static void run_device_add(struct qmp_call *call)
{
    struct keyval_list options;
    struct error err = {0};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out) {
        qmp_fail(call, "out of memory");
        return;
    }
    json_object_object_foreach(call->args, key, value)
    {
        if (is_option(key, value))
            put_option(out, key, value);
        else
            qmp_fail(call, "Parameter '%.100s' is not an option of a device", key);
    }
    fclose(out);
    if (!call->error_class &&
        (keyval_parse(text + 1, NULL, &options, &err) || machine_device_add(call->machine, &options, &err)))
        qmp_fail(call, "%s", err.text);
    free(text);
}

static void run_device_del(struct qmp_call *call)
{
    struct error err = {0};
    if (machine_device_del(call->machine, qmp_arg_text(call, "id"), &err))
        qmp_fail_as(call, "DeviceNotFound", "%s", err.text);
}

// ---- the table -----------------------------------------------------------------------------------------------------

static void query_commands(struct qmp_call *call);

static const struct qmp_command commands[] = {
    {"qmp_capabilities", "enable?:a", 0, NULL}, // served by the connection
    {"query-commands", "", 0, query_commands},
    {"cont", "", QMP_LATE, run_cont},
    {"stop", "", QMP_LATE, run_stop},
    {"quit", "", 0, run_quit},
    {"system_reset", "", 0, run_reset},
    {"system_powerdown", "", 0, run_powerdown},
    {"system_wakeup", "", 0, run_wakeup},
    {"human-monitor-command", "command-line:s cpu-index?:i", QMP_LATE, run_human, human_needs_stop},
    {"send-key", "keys:a hold-time?:i", 0, qmp_send_key},
    {"input-send-event", "device?:s head?:i events:a", 0, qmp_input_send_event},
    {"screendump", "filename:s device?:s head?:i format?:s", 0, run_screendump},
    {"device_add", "driver:s id?:s bus?:s", QMP_UNCHECKED, run_device_add},
    {"device_del", "id:s", 0, run_device_del},
    {"migrate", "uri:s detach?:b", 0, qmp_migrate},
    {"migrate_cancel", "", 0, qmp_migrate_cancel},
    {"migrate-incoming", "uri:s", 0, qmp_migrate_incoming},
    {"migrate-set-capabilities", "capabilities:a", 0, qmp_migrate_set_capabilities},
    {"migrate-set-parameters", "max-bandwidth?:i downtime-limit?:i multifd-compression?:s", 0, qmp_migrate_set_parameters},
    {"query-block", "", 0, qmp_query_block},
    {"query-block-jobs", "", 0, qmp_query_nothing},
    {"query-chardev", "", 0, qmp_query_chardev},
    {"query-cpu-definitions", "", 0, qmp_query_cpu_definitions},
    {"query-cpus-fast", "", 0, qmp_query_cpus_fast},
    {"query-events", "", 0, qmp_query_events},
    {"query-iothreads", "", 0, qmp_query_nothing},
    {"query-kvm", "", 0, qmp_query_kvm},
    {"query-machines", "", 0, qmp_query_machines},
    {"query-memory-devices", "", 0, qmp_query_nothing},
    {"query-memory-size-summary", "", 0, qmp_query_memory},
    {"query-migrate", "", 0, qmp_query_migrate},
    {"query-migrate-capabilities", "", 0, qmp_query_migrate_capabilities},
    {"query-migrate-parameters", "", 0, qmp_query_migrate_parameters},
    {"query-name", "", 0, qmp_query_name},
    {"query-status", "", 0, qmp_query_status},
    {"query-target", "", 0, qmp_query_target},
    {"query-uuid", "", 0, qmp_query_uuid},
    {"query-version", "", 0, qmp_query_version},
    {"query-vnc", "", 0, qmp_query_vnc},
    {"qom-list", "path:s", 0, qmp_qom_list},
    {"qom-get", "path:s property:s", 0, qmp_qom_get},
};

const struct qmp_command *qmp_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

static void query_commands(struct qmp_call *call)
{
    call->ret = json_object_new_array();
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        json_object_array_add(call->ret, qmp_object("name", json_object_new_string(commands[i].name), NULL));
}
