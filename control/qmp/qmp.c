// SPDX-License-Identifier: MIT
// Owns one QMP connection ("QEMU Machine Protocol Specification"): greeting, negotiation, requests one after the other,
// replies, and what the machine tells turned into events.
//
// Invariant: while a command is served (busy), what follows waits in pending and then with the chardev, and so does the
// end of the input: who sends all commands at once and hangs up has them all served. What was asked on a connection that
// is gone is answered to nobody.
#include "control/qmp/qmp.h"
#include "base/error.h"
#include "base/types.h"
#include "control/qmp/frame.h"
#include "control/qmp/qmp_internal.h"
#include "host/chardev.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PENDING_MAX = 4096 };

struct qmp {
    struct machine *machine;
    struct chardev *chardev;
    bool pretty;
    struct machine_listener listener;
    bool connected, negotiated;
    bool told_running; // of the events STOP and RESUME

    struct qmp_frame frame;
    uint8_t pending[PENDING_MAX];
    size_t pending_at, pending_len;

    bool busy, served, stale; // served: has run; stale: the connection that asked is gone
    struct json_object *request, *id; // id borrowed from request
    struct json_object *no_args;
    const struct qmp_command *command;
    struct qmp_call call;
    struct machine_call serve, settled;
};

void qmp_fail_as(struct qmp_call *call, const char *class, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(call->error, sizeof call->error, format, args);
    va_end(args);
    call->error_class = class;
}

void qmp_fail(struct qmp_call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(call->error, sizeof call->error, format, args);
    va_end(args);
    call->error_class = "GenericError";
}

struct json_object *qmp_object(const char *key, ...)
{
    struct json_object *object = json_object_new_object();
    va_list args;
    va_start(args, key);
    for (; key; key = va_arg(args, const char *))
        json_object_object_add(object, key, va_arg(args, struct json_object *));
    va_end(args);
    return object;
}

static void send(struct qmp *q, struct json_object *message)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        qmp_print(out, message, q->pretty);
        if (!fclose(out))
            chardev_write(q->chardev, text, size);
        free(text);
    }
    json_object_put(message);
}

// ---- replies -------------------------------------------------------------------------------------------------------

static void reply(struct qmp *q)
{
    struct qmp_call *call = &q->call;
    struct json_object *message;
    if (call->error_class)
        message = qmp_object("error",
                             qmp_object("class", json_object_new_string(call->error_class), "desc",
                                        qmp_text(call->error, strlen(call->error)), NULL),
                             NULL);
    else
        message = qmp_object("return", call->ret ? json_object_get(call->ret) : json_object_new_object(), NULL);
    if (q->id)
        json_object_object_add(message, "id", json_object_get(q->id));
    if (q->stale)
        json_object_put(message);
    else
        send(q, message);
}

static void forget(struct qmp *q)
{
    json_object_put(q->call.ret);
    json_object_put(q->request);
    q->request = q->id = NULL;
    q->call = (struct qmp_call){.machine = q->machine};
}

static void pump(struct qmp *q);

static void settled(void *opaque)
{
    struct qmp *q = opaque;
    if (q->command->flags & QMP_LATE && !q->call.error_class)
        reply(q);
    forget(q);
    q->busy = q->stale = false;
    pump(q);
    if (!q->busy)
        chardev_accept_input(q->chardev);
}

static void serve(void *opaque)
{
    struct qmp *q = opaque;
    q->served = true;
    q->command->run(&q->call);
    if (!(q->command->flags & QMP_LATE) || q->call.error_class)
        reply(q);
    machine_call(q->machine, &q->settled);
}

// ---- requests ------------------------------------------------------------------------------------------------------

// The members a request may have; the command's name, or NULL and an error.
static const char *read_request(struct qmp *q)
{
    struct qmp_call *call = &q->call;
    if (!json_object_is_type(q->request, json_type_object)) {
        qmp_fail(call, "QMP input must be a JSON object");
        return NULL;
    }
    json_object_object_get_ex(q->request, "id", &q->id);
    struct json_object *name = NULL;
    json_object_object_foreach(q->request, key, value)
    {
        if (!strcmp(key, "execute"))
            name = value;
        else if (!strcmp(key, "arguments"))
            call->args = value;
        else if (strcmp(key, "id")) {
            qmp_fail(call, "QMP input member '%.100s' is unexpected", key);
            return NULL;
        }
        if (!strcmp(key, "arguments") && !json_object_is_type(value, json_type_object))
            qmp_fail(call, "QMP input member 'arguments' must be an object");
    }
    if (!call->error_class && !name)
        qmp_fail(call, "QMP input lacks member 'execute'");
    else if (!call->error_class && !json_object_is_type(name, json_type_string))
        qmp_fail(call, "QMP input member 'execute' must be a string");
    if (!call->args)
        call->args = q->no_args;
    return call->error_class ? NULL : json_object_get_string(name);
}

// We offer no capability, so none can be wanted.
static void negotiate(struct qmp *q)
{
    struct json_object *wanted = NULL;
    if (q->negotiated)
        qmp_fail_as(&q->call, "CommandNotFound", "Capabilities negotiation is already complete, command ignored");
    else if (qmp_check_args(&q->call, q->command) && json_object_object_get_ex(q->call.args, "enable", &wanted) &&
             json_object_array_length(wanted))
        qmp_fail(&q->call, "Capability %.100s is not available",
                 json_object_to_json_string(json_object_array_get_idx(wanted, 0)));
    else
        q->negotiated = !q->call.error_class;
    reply(q);
    forget(q);
}

static void begin(struct qmp *q)
{
    struct qmp_call *call = &q->call;
    const char *name = read_request(q);
    q->command = name ? qmp_find(name) : NULL;
    if (q->command && !strcmp(name, "qmp_capabilities")) {
        negotiate(q);
        return;
    }
    if (name && !q->negotiated)
        qmp_fail_as(call, "CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");
    else if (name && !q->command)
        qmp_fail_as(call, "CommandNotFound", "The command %.100s has not been found", name);
    else if (name)
        qmp_check_args(call, q->command);
    if (call->error_class) {
        reply(q);
        forget(q);
        return;
    }
    q->busy = true;
    q->served = false;
    q->serve.stopped = q->command->needs_stop && q->command->needs_stop(call);
    machine_call(q->machine, &q->serve);
}

static void refuse(struct qmp *q, const char *why)
{
    qmp_fail(&q->call, "%s", why);
    reply(q);
    forget(q);
}

static void on_value(struct qmp *q)
{
    struct json_tokener *tokener = json_tokener_new_ex(QMP_DEPTH_MAX + 1);
    if (!tokener) {
        refuse(q, "out of memory");
        return;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
    q->request = json_tokener_parse_ex(tokener, q->frame.text, (int)q->frame.len);
    bool good = json_tokener_get_error(tokener) == json_tokener_success &&
                json_tokener_get_parse_end(tokener) == q->frame.len;
    json_tokener_free(tokener);
    if (good)
        begin(q);
    else
        refuse(q, "Invalid JSON syntax");
}

static void pump(struct qmp *q)
{
    while (!q->busy && q->pending_at < q->pending_len) {
        switch (qmp_frame_byte(&q->frame, q->pending[q->pending_at++])) {
        case QMP_INPUT_NONE: break;
        case QMP_INPUT_VALUE: on_value(q); break;
        case QMP_INPUT_BAD: refuse(q, "Invalid JSON syntax"); break;
        case QMP_INPUT_TOO_LONG: refuse(q, "JSON message size limit exceeded"); break;
        case QMP_INPUT_TOO_DEEP: refuse(q, "JSON nesting depth limit exceeded"); break;
        case QMP_INPUT_NO_MEMORY: refuse(q, "out of memory"); break;
        }
    }
    if (q->pending_at == q->pending_len)
        q->pending_at = q->pending_len = 0;
}

// ---- what the machine tells ----------------------------------------------------------------------------------------

static void emit(struct qmp *q, const char *name, struct json_object *data)
{
    struct timespec now; // the host's: whoever listens compares it with clocks of the host
    clock_gettime(CLOCK_REALTIME, &now);
    struct json_object *time = qmp_object("seconds", json_object_new_int64(now.tv_sec), "microseconds",
                                          json_object_new_int64(now.tv_nsec / 1000), NULL);
    struct json_object *event = qmp_object("timestamp", time, "event", json_object_new_string(name), NULL);
    if (data)
        json_object_object_add(event, "data", data);
    if (q->connected && q->negotiated)
        send(q, event);
    else
        json_object_put(event);
}

static struct json_object *cause_data(const struct machine_event *event)
{
    static const struct {
        const char *name;
        bool guest;
    } causes[] = {
        [MACHINE_BY_HOST_ERROR] = {"host-error", false},   [MACHINE_BY_HOST_QUIT] = {"host-qmp-quit", false},
        [MACHINE_BY_HOST_RESET] = {"host-qmp-system-reset", false},
        [MACHINE_BY_HOST_SIGNAL] = {"host-signal", false}, [MACHINE_BY_HOST_UI] = {"host-ui", false},
        [MACHINE_BY_GUEST_SHUTDOWN] = {"guest-shutdown", true},
        [MACHINE_BY_GUEST_RESET] = {"guest-reset", true},  [MACHINE_BY_GUEST_PANIC] = {"guest-panic", true},
    };
    return qmp_object("guest", json_object_new_boolean(causes[event->cause].guest), "reason",
                      json_object_new_string(causes[event->cause].name), NULL);
}

static const char *panic_action(const struct machine *machine)
{
    switch (machine_config(machine)->on_panic) {
    case MACHINE_PANIC_PAUSES: return "pause";
    case MACHINE_PANIC_ENDS: return "poweroff";
    case MACHINE_PANIC_IS_NOTED: break;
    }
    return "run";
}

static const char *watchdog_action(const struct machine *machine)
{
    static const char *const names[] = {
        [MACHINE_WATCHDOG_RESET] = "reset",       [MACHINE_WATCHDOG_SHUTDOWN] = "shutdown",
        [MACHINE_WATCHDOG_POWEROFF] = "poweroff", [MACHINE_WATCHDOG_PAUSE] = "pause",
        [MACHINE_WATCHDOG_NONE] = "none"};
    return names[machine_config(machine)->on_watchdog];
}

static struct json_object *device_data(const char *id)
{
    char path[160];
    snprintf(path, sizeof path, "/machine/peripheral/%.120s", id);
    return qmp_object("device", qmp_text(id, strlen(id)), "path", qmp_text(path, strlen(path)), NULL);
}

static void on_machine(void *opaque, const struct machine_event *event)
{
    struct qmp *q = opaque;
    bool was_running = q->told_running;
    switch (event->kind) {
    case MACHINE_STOPPED:
        q->told_running = false;
        if (was_running)
            emit(q, "STOP", NULL);
        break;
    case MACHINE_RESUMED:
        q->told_running = true;
        if (!was_running)
            emit(q, "RESUME", NULL);
        break;
    case MACHINE_WAS_RESET: emit(q, "RESET", cause_data(event)); break;
    case MACHINE_SHUT_DOWN: emit(q, "SHUTDOWN", cause_data(event)); break;
    case MACHINE_POWER_KEY: emit(q, "POWERDOWN", NULL); break;
    case MACHINE_GUEST_PANIC:
        emit(q, "GUEST_PANICKED",
             qmp_object("action", json_object_new_string(panic_action(q->machine)), NULL));
        break;
    case MACHINE_WATCHDOG:
        emit(q, "WATCHDOG", qmp_object("action", json_object_new_string(watchdog_action(q->machine)), NULL));
        break;
    case MACHINE_DEVICE_GONE: emit(q, "DEVICE_DELETED", device_data(event->device)); break;
    case MACHINE_ENDING: // what waits for its own consequence has met it
        if (q->busy && q->served && q->command->flags & QMP_LATE && !q->call.error_class)
            reply(q);
        break;
    }
}

// ---- the character device ------------------------------------------------------------------------------------------

static void hang_up(struct qmp *q)
{
    q->connected = q->negotiated = false;
    q->stale = q->busy;
    q->pending_at = q->pending_len = 0;
    qmp_frame_reset(&q->frame);
}

static void pick_up(struct qmp *q)
{
    hang_up(q);
    q->connected = true;
    send(q, qmp_object("QMP",
                       qmp_object("version", qmp_version(), "capabilities", json_object_new_array(), NULL), NULL));
}

static void on_channel(void *opaque, enum chardev_event event)
{
    struct qmp *q = opaque;
    if (event == CHARDEV_OPENED)
        pick_up(q);
    else if (event == CHARDEV_CLOSED)
        hang_up(q);
}

static size_t can_receive(void *opaque)
{
    const struct qmp *q = opaque;
    return q->busy || q->pending_len ? 0 : sizeof q->pending;
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct qmp *q = opaque;
    if (!q->connected) // a device that does not tell of connections
        pick_up(q);
    len = len < sizeof q->pending ? len : sizeof q->pending;
    memcpy(q->pending, buf, len);
    q->pending_len = len;
    pump(q);
}

static const struct chardev_sink sink = {can_receive, receive, on_channel};

int qmp_create(struct machine *machine, struct chardev *chardev, bool pretty, struct qmp **ret_qmp, struct error *err)
{
    struct qmp *q = calloc(1, sizeof *q);
    if (!q || !(q->no_args = json_object_new_object())) {
        free(q);
        return error_set(err, -ENOMEM, "out of memory");
    }
    q->machine = q->call.machine = machine;
    q->chardev = chardev;
    q->pretty = pretty;
    q->told_running = !machine_config(machine)->start_stopped;
    q->listener = (struct machine_listener){.notify = on_machine, .opaque = q};
    q->serve = (struct machine_call){.fn = serve, .opaque = q};
    q->settled = (struct machine_call){.fn = settled, .opaque = q};
    machine_listen(machine, &q->listener);
    chardev_attach(chardev, &sink, q);
    *ret_qmp = q;
    return 0;
}

void qmp_destroy(struct qmp *q)
{
    if (!q)
        return;
    chardev_attach(q->chardev, NULL, NULL);
    machine_unlisten(q->machine, &q->listener);
    forget(q);
    json_object_put(q->no_args);
    qmp_frame_reset(&q->frame);
    free(q);
}
