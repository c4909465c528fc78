// SPDX-License-Identifier: MIT
// Owns the life of a machine: creation, the main thread's loop, stop and continue, reset, and the end.
// Invariant: accel_pause and accel_reset are only called here, on the main thread, without the machine lock;
// everyone else asks through machine_request. The clock runs exactly while the vCPUs may.
#include "machines/machine_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static const struct board *const boards[] = {&board_virt, &board_none};

static const struct board *find_board(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(boards); i++)
        if (!strcmp(boards[i]->name, name))
            return boards[i];
    return NULL;
}

void machine_list_boards(FILE *out)
{
    fprintf(out, "Supported machines are:\n");
    for (size_t i = 0; i < ARRAY_SIZE(boards); i++)
        fprintf(out, "%-20s %s\n", boards[i]->name, boards[i]->description);
}

void machine_list_board_options(const char *board, FILE *out)
{
    const struct board *b = find_board(board);
    fprintf(out, "%s options:\n", board);
    if (b && b->list_options)
        b->list_options(out);
}

void machine_request(struct machine *machine, enum machine_request what)
{
    atomic_fetch_or(&machine->requests, what);
    loop_wake(machine->loop);
}

void machine_quit(struct machine *machine, int status)
{
    int running = -1;
    atomic_compare_exchange_strong(&machine->quit_status, &running, status);
    loop_wake(machine->loop);
}

static void mux_quit(void *opaque)
{
    machine_quit(opaque, MACHINE_POWERED_OFF);
}

static int open_chardev(struct machine *m, struct keyval_list *options, struct error *err)
{
    const char *id = keyval_get(options, "id");
    bool mux = false;
    uint64_t escape = 1;
    if (!id)
        return error_set(err, -EINVAL, "-chardev needs an id=");
    for (size_t i = 0; i < m->chardev_count; i++)
        if (!strcmp(m->chardevs[i].id, id))
            return error_set(err, -EEXIST, "there are two character devices with the id '%s'", id);
    int r = keyval_bool(options, "mux", &mux, err);
    if (!r)
        r = keyval_u64(options, "x-escape", &escape, err);
    struct machine_chardev entry = {.id = id};
    if (!r)
        r = chardev_open(options, m->loop, &entry.chardev, err);
    if (r)
        return r;
    const char *unknown = keyval_unused(options);
    if (unknown) {
        chardev_destroy(entry.chardev);
        return error_set(err, -EINVAL, "chardev '%s' does not know the option '%s'", id, unknown);
    }
    if (mux) {
        struct chardev *below = entry.chardev;
        entry.chardev = NULL;
        r = chardev_mux_create(below, (uint8_t)escape, mux_quit, m, &entry.mux, err);
        if (r)
            return r;
    }
    struct machine_chardev *list = realloc(m->chardevs, (m->chardev_count + 1) * sizeof *list);
    if (!list) {
        chardev_mux_destroy(entry.mux);
        chardev_destroy(entry.chardev);
        return error_set(err, -ENOMEM, "out of memory");
    }
    m->chardevs = list;
    list[m->chardev_count++] = entry;
    return 0;
}

struct chardev *machine_chardev(struct machine *machine, const char *id)
{
    for (size_t i = 0; i < machine->chardev_count; i++) {
        struct machine_chardev *c = &machine->chardevs[i];
        if (strcmp(c->id, id))
            continue;
        if (c->mux)
            return chardev_mux_front(c->mux);
        bool taken = c->taken;
        c->taken = true;
        return taken ? NULL : c->chardev;
    }
    return NULL;
}

int machine_take_chardev(struct machine *machine, const char *id, struct chardev **ret, struct error *err)
{
    struct chardev *found = id ? machine_chardev(machine, id) : NULL;
    if (id && !found)
        return error_set(err, -ENOENT, "there is no character device '%s', or it is already in use", id);
    *ret = found;
    return 0;
}

int machine_add_device(struct machine *machine, struct device *dev, struct error *err)
{
    struct device **list = realloc(machine->devices, (machine->device_count + 1) * sizeof *list);
    if (!list) {
        device_destroy(dev);
        return error_set(err, -ENOMEM, "out of memory");
    }
    machine->devices = list;
    list[machine->device_count++] = dev;
    return 0;
}

// Signals that end the process reach the loop as data, so that terminals and files are left in order.
static void on_signal(void *opaque, int fd, unsigned events)
{
    struct machine *m = opaque;
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) == sizeof info) {
        fprintf(stderr, "isomer: terminating on signal %u\n", info.ssi_signo);
        machine_quit(m, MACHINE_KILLED + (int)info.ssi_signo);
    }
}

static int watch_signals(struct machine *m, struct error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, &m->old_signals);
    sigdelset(&set, SIGPIPE); // blocked, never read: a write to a closed pipe is just EPIPE
    m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (m->signal_fd < 0)
        return error_set(err, -errno, "cannot watch signals: %s", strerror(errno));
    m->signal_watch =
        (struct loop_fd){.callback = on_signal, .opaque = m, .fd = m->signal_fd, .events = LOOP_IN};
    return loop_fd_add(m->loop, &m->signal_watch);
}

static int create_parts(struct machine *m, struct error *err)
{
    int r = loop_create(&m->lock, &m->loop, err);
    if (!r)
        r = watch_signals(m, err);
    if (!r)
        r = mem_space_create(&m->lock, &m->mem, err);
    for (size_t i = 0; !r && i < m->config.chardev_count; i++)
        r = open_chardev(m, &m->config.chardevs[i], err);
    for (size_t i = 0; !r && i < m->config.drive_count; i++)
        r = machine_open_drive(m, &m->config.drives[i], err);
    if (!r)
        r = m->board->create(m, err);
    if (r)
        return r;
    const char *unknown = keyval_unused(&m->config.board_options);
    if (unknown)
        return error_set(err, -EINVAL, "machine '%s' does not know the option '%s'", m->board->name, unknown);
    return 0;
}

int machine_create(struct machine_config *config, struct machine **ret_machine, struct error *err)
{
    const struct board *board = find_board(config->board);
    if (!board)
        return error_set(err, -EINVAL, "there is no machine '%s' (try -machine help)", config->board);
    struct machine *m = calloc(1, sizeof *m);
    if (!m)
        return error_set(err, -ENOMEM, "out of memory");
    m->config = *config;
    m->board = board;
    m->signal_fd = -1;
    m->seconds_at_start = (uint32_t)time(NULL);
    if (!m->config.cpu)
        m->config.cpu = board->default_cpu;
    if (!m->config.ram_size)
        m->config.ram_size = board->default_ram;
    atomic_init(&m->quit_status, -1);
    pthread_mutex_init(&m->lock, NULL);
    clock_init(&m->clock, NULL, NULL);
    if (config->seeded)
        entropy_init_seeded(&m->entropy, config->seed);
    else
        entropy_init(&m->entropy);
    pthread_mutex_lock(&m->lock);
    int r = create_parts(m, err);
    pthread_mutex_unlock(&m->lock);
    if (r) {
        machine_destroy(m);
        return r;
    }
    *ret_machine = m;
    return 0;
}

// Main thread without the lock, in this group: the changes of the machine's life.
static void let_run(struct machine *m)
{
    if (atomic_exchange(&m->running, true))
        return;
    clock_start(&m->clock);
    if (m->accel)
        accel_resume(m->accel);
}

static void stop(struct machine *m)
{
    if (!atomic_exchange(&m->running, false))
        return;
    if (m->accel) {
        accel_pause(m->accel);
        accel_cancel_step(m->accel); // the debugger hears of this stop instead
    }
    clock_stop(&m->clock);
}

// Gives back the pauses of vCPUs that stopped themselves, now that everyone is parked. Whether there were
// any; the first one is reported, the others meet their breakpoint again.
static bool take_debug_stop(struct machine *m, struct machine_event *ret_event)
{
    unsigned count = atomic_exchange(&m->debug_stops, 0);
    uint64_t first = atomic_exchange(&m->first_debug_stop, 0);
    for (unsigned i = 0; i < count; i++)
        accel_resume(m->accel);
    if (!first)
        return false;
    *ret_event = (struct machine_event){.kind = MACHINE_STOPPED,
                                        .debug = true,
                                        .cpu = (uint32_t)(first - 1),
                                        .reason = (int)((first - 1) >> 32)};
    return true;
}

static void notify(struct machine *m, const struct machine_event *event)
{
    pthread_mutex_lock(&m->lock);
    for (struct machine_listener *l = m->listeners; l; l = l->next)
        l->notify(l->opaque, event);
    pthread_mutex_unlock(&m->lock);
}

static void stop_and_tell(struct machine *m)
{
    struct machine_event event = {.kind = MACHINE_STOPPED};
    stop(m);
    take_debug_stop(m, &event);
    if (event.debug && event.reason == ACCEL_STOP_LOCKSTEP_DIFFERENCE)
        machine_quit(m, MACHINE_TIERS_DIFFER);
    notify(m, &event);
}

static int start_from_reset(struct machine *m, struct error *err)
{
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->device_count; i++)
        device_reset(m->devices[i]);
    m->panicked = false;
    pthread_mutex_unlock(&m->lock);
    if (m->accel)
        accel_reset(m->accel);
    pthread_mutex_lock(&m->lock);
    int r = m->board->start ? m->board->start(m, err) : 0;
    pthread_mutex_unlock(&m->lock);
    return r;
}

static void reset(struct machine *m)
{
    struct error err = {0};
    bool was_running = atomic_load(&m->running);
    struct machine_event dropped; // a breakpoint that the reset overtook
    stop(m);
    take_debug_stop(m, &dropped);
    if (start_from_reset(m, &err)) {
        fprintf(stderr, "isomer: %s\n", err.text);
        machine_quit(m, MACHINE_FAILED);
        return;
    }
    notify(m, &(struct machine_event){.kind = MACHINE_WAS_RESET});
    if (was_running)
        let_run(m);
}

static int ended_by_itself(const struct machine *m)
{
    return m->panicked ? MACHINE_GUEST_PANICKED : MACHINE_POWERED_OFF;
}

static void serve(struct machine *m, uint32_t requests)
{
    if (requests & MACHINE_QUIT)
        machine_quit(m, MACHINE_POWERED_OFF);
    if (requests & MACHINE_POWER_OFF) {
        if (m->config.no_shutdown)
            stop_and_tell(m);
        else
            machine_quit(m, ended_by_itself(m));
        return;
    }
    if (requests & MACHINE_RESET && m->config.no_reboot)
        machine_quit(m, ended_by_itself(m));
    else if (requests & (MACHINE_RESET | MACHINE_HARD_RESET))
        reset(m);
    if (requests & MACHINE_STOP || atomic_load(&m->debug_stops))
        stop_and_tell(m);
    if (requests & MACHINE_CONT) {
        let_run(m);
        notify(m, &(struct machine_event){.kind = MACHINE_RESUMED});
    }
}

void machine_vcpu_stopped(void *opaque, unsigned cpu, int reason)
{
    struct machine *m = opaque;
    uint64_t none = 0;
    atomic_compare_exchange_strong(&m->first_debug_stop, &none, 1 + ((uint64_t)reason << 32 | cpu));
    atomic_fetch_add(&m->debug_stops, 1);
    machine_request(m, MACHINE_VCPU_STOPPED);
}

void machine_listen(struct machine *machine, struct machine_listener *listener)
{
    listener->next = machine->listeners;
    machine->listeners = listener;
}

void machine_unlisten(struct machine *machine, struct machine_listener *listener)
{
    for (struct machine_listener **l = &machine->listeners; *l; l = &(*l)->next)
        if (*l == listener) {
            *l = listener->next;
            return;
        }
}

void machine_call(struct machine *machine, struct machine_call *call)
{
    struct machine_call **last = &machine->calls;
    while (*last)
        last = &(*last)->next;
    call->next = NULL;
    *last = call;
    loop_wake(machine->loop);
}

// Lock held before and after.
static void run_call(struct machine *m)
{
    struct machine_call *call = m->calls;
    bool park = call->stopped && m->accel;
    m->calls = call->next;
    if (park) {
        pthread_mutex_unlock(&m->lock);
        accel_pause(m->accel);
        pthread_mutex_lock(&m->lock);
    }
    call->fn(call->opaque);
    if (park) {
        pthread_mutex_unlock(&m->lock);
        accel_resume(m->accel);
        pthread_mutex_lock(&m->lock);
    }
}

int machine_run(struct machine *m)
{
    struct error err = {0};
    if (start_from_reset(m, &err)) {
        fprintf(stderr, "isomer: %s\n", err.text);
        return MACHINE_FAILED;
    }
    if (!m->config.start_stopped)
        let_run(m);
    pthread_mutex_lock(&m->lock);
    while (atomic_load(&m->quit_status) < 0) {
        uint32_t requests = atomic_exchange(&m->requests, 0);
        if (!requests) {
            if (m->calls)
                run_call(m);
            else
                loop_once(m->loop, -1);
            continue;
        }
        pthread_mutex_unlock(&m->lock);
        serve(m, requests);
        pthread_mutex_lock(&m->lock);
    }
    pthread_mutex_unlock(&m->lock);
    stop(m);
    notify(m, &(struct machine_event){.kind = MACHINE_ENDING, .status = atomic_load(&m->quit_status)});
    return atomic_load(&m->quit_status);
}

void machine_destroy(struct machine *m)
{
    if (!m)
        return;
    if (m->accel)
        accel_destroy(m->accel);
    pthread_mutex_lock(&m->lock);
    for (size_t i = m->device_count; i-- > 0;)
        device_destroy(m->devices[i]);
    if (m->board->destroy)
        m->board->destroy(m);
    machine_close_drives(m);
    machine_serial_watch_destroy(m);
    for (size_t i = m->chardev_count; i-- > 0;) {
        chardev_mux_destroy(m->chardevs[i].mux);
        chardev_destroy(m->chardevs[i].chardev);
    }
    if (m->signal_fd >= 0) {
        loop_fd_remove(m->loop, &m->signal_watch);
        close(m->signal_fd);
        pthread_sigmask(SIG_SETMASK, &m->old_signals, NULL);
    }
    pthread_mutex_unlock(&m->lock);
    free(m->chardevs);
    free(m->devices);
    loader_free(&m->loader);
    if (m->mem)
        mem_space_destroy(m->mem);
    if (m->loop)
        loop_destroy(m->loop);
    entropy_destroy(&m->entropy);
    clock_destroy(&m->clock);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void machine_power_key(struct machine *machine)
{
    if (machine->board->power_key)
        machine->board->power_key(machine);
}

bool machine_running(const struct machine *machine)
{
    return atomic_load(&machine->running);
}

pthread_mutex_t *machine_lock(struct machine *machine)
{
    return &machine->lock;
}

struct accel *machine_accel(struct machine *machine)
{
    return machine->accel;
}

struct mem_space *machine_mem(struct machine *machine)
{
    return machine->mem;
}

const struct machine_config *machine_config(const struct machine *machine)
{
    return &machine->config;
}

static int none_create(struct machine *machine, struct error *err)
{
    return 0;
}

const struct board board_none = {
    .name = "none", .description = "empty machine", .default_cpu = "max", .create = none_create};
