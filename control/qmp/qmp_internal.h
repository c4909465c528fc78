// SPDX-License-Identifier: MIT
// Private to control/qmp: a command as its handler sees it, and the table of them.
//
//   qmp.c      the connection: negotiation, one command after the other, events      frame.c   the stream cut into values
//   commands.c the table, arguments checked, what changes the machine                print.c   values as text
//   query.c    what is asked about the machine                                       qom.c     the tree of objects
//   migrate.c  moving the machine elsewhere                                          input.c   keys and pointers
#ifndef CONTROL_QMP_QMP_INTERNAL_H
#define CONTROL_QMP_QMP_INTERNAL_H

#include "control/qmp/print.h"
#include "control/qmp/qmp.h"
#include "machines/machine.h"

#include <json-c/json.h>

// One command while it is served. A handler leaves its result in ret (NULL: the empty object), or calls qmp_fail.
struct qmp_call {
    struct machine *machine;
    struct json_object *args; // an object, checked against the row; borrowed
    struct json_object *ret;
    const char *error_class; // NULL: no error
    char error[512];
};

enum {
    QMP_LATE = 1 << 0,      // answered when what it requested has happened
    QMP_UNCHECKED = 1 << 1, // takes any arguments
};

struct qmp_command {
    const char *name;
    // "name:type name?:type", the types being s(tring), i(nteger), b(oolean), a(rray), o(bject); ? for what may lack.
    const char *args;
    unsigned flags;
    void (*run)(struct qmp_call *call); // main thread, machine lock held
    bool (*needs_stop)(const struct qmp_call *call); // whether the vCPUs have to be parked; NULL: no
};

void qmp_fail(struct qmp_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Classes other than GenericError.
void qmp_fail_as(struct qmp_call *call, const char *class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// NULL: there is no such command.
const struct qmp_command *qmp_find(const char *name);
// Whether the arguments fit; otherwise the call has failed.
bool qmp_check_args(struct qmp_call *call, const struct qmp_command *command);
// Of arguments that were checked: NULL or the default where one lacks.
const char *qmp_arg_text(const struct qmp_call *call, const char *name);
int64_t qmp_arg_int(const struct qmp_call *call, const char *name, int64_t missing);

// An object with these members: qmp_object("key", value, ..., NULL).
struct json_object *qmp_object(const char *key, ...) __attribute__((sentinel));
struct json_object *qmp_version(void);

// Handlers of query.c, qom.c, migrate.c and input.c.
void qmp_query_block(struct qmp_call *call), qmp_query_chardev(struct qmp_call *call),
    qmp_query_cpus_fast(struct qmp_call *call), qmp_query_cpu_definitions(struct qmp_call *call),
    qmp_query_events(struct qmp_call *call), qmp_query_kvm(struct qmp_call *call),
    qmp_query_machines(struct qmp_call *call), qmp_query_memory(struct qmp_call *call),
    qmp_query_name(struct qmp_call *call), qmp_query_status(struct qmp_call *call),
    qmp_query_target(struct qmp_call *call), qmp_query_uuid(struct qmp_call *call),
    qmp_query_version(struct qmp_call *call), qmp_query_vnc(struct qmp_call *call),
    qmp_query_nothing(struct qmp_call *call);
void qmp_migrate(struct qmp_call *call), qmp_migrate_cancel(struct qmp_call *call),
    qmp_migrate_incoming(struct qmp_call *call), qmp_migrate_set_parameters(struct qmp_call *call),
    qmp_migrate_set_capabilities(struct qmp_call *call), qmp_query_migrate(struct qmp_call *call),
    qmp_query_migrate_parameters(struct qmp_call *call), qmp_query_migrate_capabilities(struct qmp_call *call);
void qmp_send_key(struct qmp_call *call), qmp_input_send_event(struct qmp_call *call);
void qmp_qom_list(struct qmp_call *call), qmp_qom_get(struct qmp_call *call);

#endif
