// SPDX-License-Identifier: MIT
// Owns the making of a machine from its configuration, and its unmaking: character devices, signals, drives, board.
// What happens in between is in lifecycle.c.
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

bool machine_get_board(size_t index, struct machine_board_info *ret_info)
{
    if (index >= ARRAY_SIZE(boards))
        return false;
    const struct board *b = boards[index];
    *ret_info = (struct machine_board_info){b->name, b->description, b->default_cpu, b->cpu_max};
    return true;
}

static void mux_quit(void *opaque)
{
    machine_quit(opaque, MACHINE_POWERED_OFF);
}

static void test_quit(void *opaque, int status)
{
    machine_quit(opaque, status);
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
    chardev_on_quit(entry.chardev, test_quit, m);
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
    for (size_t i = 0; !r && i < m->config.fsdev_count; i++)
        r = machine_open_fsdev(m, &m->config.fsdevs[i], err);
    if (!r)
        r = machine_open_nets(m, err);
    if (!r)
        r = m->board->create(m, err);
    if (r)
        return r;
    const char *unknown = keyval_unused(&m->config.board_options);
    if (unknown)
        return error_set(err, -EINVAL, "machine '%s' does not know the option '%s'", m->board->name, unknown);
    return 0;
}

// A SIGPIPE that waits here, since a write to a closed pipe was answered with EPIPE, must not end the process now.
static void unwatch_signals(struct machine *m)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    loop_fd_remove(m->loop, &m->signal_watch);
    close(m->signal_fd);
    if (!sigismember(&m->old_signals, SIGPIPE))
        while (sigtimedwait(&pipe, NULL, &(struct timespec){0}) == SIGPIPE)
            continue;
    pthread_sigmask(SIG_SETMASK, &m->old_signals, NULL);
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
    machine_forget_plugged(m);
    machine_forget_keys(m);
    machine_close_nets(m);
    machine_close_drives(m);
    machine_close_fsdevs(m);
    machine_serial_watch_destroy(m);
    for (size_t i = m->chardev_count; i-- > 0;) {
        chardev_mux_destroy(m->chardevs[i].mux);
        chardev_destroy(m->chardevs[i].chardev);
    }
    if (m->signal_fd >= 0)
        unwatch_signals(m);
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
    machine_tell(machine, &(struct machine_event){.kind = MACHINE_POWER_KEY});
    if (machine->board->power_key)
        machine->board->power_key(machine);
}

enum machine_run_state machine_run_state(const struct machine *machine)
{
    if (machine->config.incoming)
        return MACHINE_STATE_INMIGRATE;
    return machine_running(machine) ? MACHINE_STATE_RUNNING : machine->stopped_by;
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
    .name = "none", .description = "empty machine", .default_cpu = "max", .cpu_max = 1, .create = none_create};
