// SPDX-License-Identifier: MIT
// Owns the order in which a machine is saved and loaded (machine_state.h), and the state that is no device's: time, the
// requests that a guest has made and nobody has served, whether the machine runs, seeded randomness.
//
// Order of a save: vCPUs are parked, devices quiesce, drives are drained, and then nothing but fields and RAM is state;
// of a load: RAM, time, vCPUs, and the devices last, whose lines reach the vCPUs' inputs.
#include "host/block.h"
#include "machines/machine_state_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// The machine itself as a device, for its field table.
struct machine_fields {
    struct device dev;
    int64_t clock; // ns
    uint32_t requests;
    bool running, panicked, seeded;
    uint64_t entropy[4];
};

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_I64, machine_fields, clock),    STATE_FIELD(2, STATE_U32, machine_fields, requests),
    STATE_FIELD(3, STATE_BOOL, machine_fields, running), STATE_FIELD(4, STATE_BOOL, machine_fields, panicked),
    STATE_FIELD(5, STATE_BOOL, machine_fields, seeded),  STATE_ARRAY(6, STATE_U64, machine_fields, entropy, 4),
};
static const struct device_class class = DEVICE_CLASS("machine", 1, fields, NULL, NULL, NULL, NULL, 0);

// What a guest asked for by a call that does not return, while it was not served.
enum { GUEST_REQUESTS = MACHINE_RESET | MACHINE_POWER_OFF };

struct machine_load {
    struct machine *machine;
    struct state_buf chunk, devices;
    struct state_buf *cpus; // one a vCPU
    char *config;           // what the machine is made of, from when the lock was held
    bool complete;
};

static unsigned cpu_count(const struct machine *m)
{
    return m->accel ? m->config.cpu_count : 0;
}

void machine_set_snapshot(struct machine *m, struct snapshot *snapshot)
{
    m->snapshot = snapshot;
}

struct snapshot *machine_snapshot(const struct machine *m)
{
    return m->snapshot;
}

void machine_arrived(struct machine *m, bool was_running)
{
    m->config.incoming = false;
    if (!m->config.start_stopped && was_running)
        machine_request(m, MACHINE_CONT);
}

// ---- saving -------------------------------------------------------------------------------------------------------

int machine_save_begin(struct machine *m, struct state_writer *to, struct machine_save **ret_save, struct error *err)
{
    struct machine_save *save = calloc(1, sizeof *save);
    char *text = config_text(m);
    int r = save && text ? 0 : error_set(err, -ENOMEM, "out of memory");
    if (!r) {
        save->machine = m;
        r = ram_save_begin(save, err);
    }
    if (!r)
        r = stream_begin(to, err);
    if (!r)
        r = chunk_write(to, "machine", "", NULL, 0, text, strlen(text), err);
    if (save)
        save->config = text;
    else
        free(text);
    if (r)
        machine_save_end(save);
    else
        *ret_save = save;
    return r;
}

void machine_save_end(struct machine_save *save)
{
    if (!save)
        return;
    ram_save_end(save);
    free(save->config);
    free(save);
}

int machine_save_round(struct machine_save *save, struct state_writer *to, const _Atomic bool *stop, uint64_t *ret_pages,
                       struct error *err)
{
    return ram_save(save, to, true, stop, ret_pages, err);
}

uint64_t machine_save_dirty(const struct machine_save *save)
{
    uint64_t count = 0;
    for (size_t i = 0; i < save->block_count; i++)
        count += mem_dirty_count(save->blocks[i].ram);
    return count;
}

uint64_t machine_ram_bytes(struct machine *m)
{
    uint64_t bytes = 0;
    struct mem_ram *ram;
    for (size_t i = 0; (ram = mem_ram_nth(m->mem, i)); i++)
        bytes += ram->size;
    return bytes;
}

void machine_quiesce(struct machine *m)
{
    for (size_t i = 0; i < m->device_count; i++)
        if (m->devices[i]->class->quiesce)
            m->devices[i]->class->quiesce(m->devices[i]);
    for (size_t i = 0; i < m->drive_count; i++)
        block_drain(m->drives[i].block);
}

static int can_save(struct machine *m, struct error *err)
{
    int r = 0;
    for (size_t i = 0; !r && i < m->device_count; i++)
        if (m->devices[i]->class->can_save)
            r = m->devices[i]->class->can_save(m->devices[i], err);
    return r;
}

static int save_cpus(struct machine *m, struct state_writer *to, struct error *err)
{
    int r = 0;
    for (unsigned i = 0; !r && i < cpu_count(m); i++) {
        char path[16];
        size_t size = accel_cpu_state_size(m->accel, i);
        uint8_t *state = malloc(size);
        if (!state)
            return error_set(err, -ENOMEM, "out of memory");
        snprintf(path, sizeof path, "%u", i);
        accel_cpu_save(m->accel, i, state);
        r = chunk_write(to, "cpu", path, NULL, 0, state, size, err);
        free(state);
    }
    return r;
}

static int save_devices(struct machine *m, bool running, struct state_writer *to, struct error *err)
{
    struct machine_fields own = {.clock = clock_now(&m->clock),
                                 .requests = atomic_load(&m->requests) & GUEST_REQUESTS,
                                 .running = running,
                                 .panicked = m->panicked,
                                 .seeded = m->entropy.seeded};
    struct state_buf buf = {0};
    memcpy(own.entropy, m->entropy.state, sizeof own.entropy);
    device_init(&own.dev, &class, "/machine");
    int r = state_save(&own.dev, 0, &buf, err);
    for (size_t i = 0; !r && i < m->device_count; i++)
        r = state_save(m->devices[i], own.clock, &buf, err);
    if (!r)
        r = chunk_write(to, "device", "", NULL, 0, buf.data, buf.size, err);
    state_buf_free(&buf);
    return r;
}

// Devices come and go while RAM is sent; whoever loads the state was told of those at the beginning.
static int check_unchanged(struct machine *m, const char *config, const char *what, struct error *err)
{
    char *now = config_text(m);
    int r = now ? 0 : error_set(err, -ENOMEM, "out of memory");
    if (!r && strcmp(now, config))
        r = error_set(err, -EBUSY, "a device came or went while the machine was being %s", what);
    free(now);
    return r;
}

int machine_save_rest(struct machine_save *save, struct state_writer *to, bool running, struct error *err)
{
    struct machine *m = save->machine;
    uint64_t pages;
    clock_stop(&m->clock);
    machine_quiesce(m);
    int r = check_unchanged(m, save->config, "saved", err);
    if (!r)
        r = can_save(m, err);
    if (!r)
        r = ram_save(save, to, false, NULL, &pages, err);
    if (!r)
        r = save_cpus(m, to, err);
    if (!r)
        r = save_devices(m, running, to, err);
    if (!r)
        r = chunk_write(to, "end", "", NULL, 0, NULL, 0, err);
    if (atomic_load(&m->running))
        clock_start(&m->clock);
    return r;
}

// ---- loading ------------------------------------------------------------------------------------------------------

int machine_load_begin(struct machine *m, struct machine_load **ret_load, struct error *err)
{
    struct machine_load *load = calloc(1, sizeof *load);
    struct state_buf *cpus = calloc(cpu_count(m) + 1, sizeof *cpus);
    char *config = config_text(m);
    if (!load || !cpus || !config) {
        free(load);
        free(cpus);
        free(config);
        return error_set(err, -ENOMEM, "out of memory");
    }
    machine_quiesce(m); // what is under way would else end in the state that is loaded
    load->machine = m;
    load->cpus = cpus;
    load->config = config;
    *ret_load = load;
    return 0;
}

void machine_load_end(struct machine_load *load)
{
    if (!load)
        return;
    for (unsigned i = 0; i < cpu_count(load->machine); i++)
        state_buf_free(&load->cpus[i]);
    state_buf_free(&load->chunk);
    state_buf_free(&load->devices);
    free(load->cpus);
    free(load->config);
    free(load);
}

static int load_cpu(struct machine_load *load, struct state_reader *from, const struct chunk *chunk, struct error *err)
{
    char *end;
    unsigned long cpu = strtoul(chunk->path, &end, 10);
    if (*end || end == chunk->path || cpu >= cpu_count(load->machine))
        return error_set(err, -EINVAL, "the saved machine has CPU '%s', which this one lacks", chunk->path);
    if (load->cpus[cpu].size)
        return error_set(err, -EINVAL, "the saved state holds CPU %lu twice", cpu);
    return chunk_payload(from, chunk, &load->cpus[cpu], err);
}

static int load_chunk(struct machine_load *load, struct state_reader *from, const struct chunk *chunk, bool only_check,
                      struct error *err)
{
    if (!strcmp(chunk->type, "ram"))
        return ram_load(load->machine, from, chunk, &load->chunk, only_check, err);
    if (!strcmp(chunk->type, "cpu"))
        return load_cpu(load, from, chunk, err);
    if (!strcmp(chunk->type, "device"))
        return load->devices.size ? error_set(err, -EINVAL, "the saved state holds the devices twice")
                                  : chunk_payload(from, chunk, &load->devices, err);
    if (chunk->flags & STATE_REQUIRED)
        return error_set(err, -EINVAL, "the saved state needs '%s', which this Isomer does not know", chunk->type);
    return chunk_payload(from, chunk, &load->chunk, err);
}

static int check_complete(const struct machine_load *load, struct error *err)
{
    for (unsigned i = 0; i < cpu_count(load->machine); i++)
        if (!load->cpus[i].size)
            return error_set(err, -EINVAL, "the saved state has no CPU %u", i);
    return load->devices.size ? 0 : error_set(err, -EINVAL, "the saved state has no devices");
}

int machine_load_stream(struct machine_load *load, struct state_reader *from, bool only_check, struct error *err)
{
    struct chunk chunk;
    load->complete = false;
    load->devices.size = 0;
    for (unsigned i = 0; i < cpu_count(load->machine); i++)
        load->cpus[i].size = 0;
    int r = stream_check(from, err);
    if (!r)
        r = chunk_read(from, &chunk, err);
    if (!r && strcmp(chunk.type, "machine"))
        r = error_set(err, -EINVAL, "the saved state does not begin with what machine it is of");
    if (!r)
        r = chunk_payload(from, &chunk, &load->chunk, err);
    if (!r)
        r = config_check(load->config, (const char *)load->chunk.data, load->chunk.size, err);
    if (!r && !only_check)
        ram_load_begin(load->machine);
    while (!r) {
        r = chunk_read(from, &chunk, err);
        if (!r && chunk.version != 1)
            r = error_set(err, -EINVAL, "the saved state has a '%s' of version %u; this Isomer reads 1", chunk.type,
                          chunk.version);
        if (!r && !strcmp(chunk.type, "end"))
            break;
        if (!r)
            r = load_chunk(load, from, &chunk, only_check, err);
    }
    if (!r)
        r = check_complete(load, err);
    load->complete = !r;
    return r;
}

void machine_load_failed(struct machine *m)
{
    if (m->accel)
        accel_reset(m->accel); // nothing runs until the requests are served
    machine_request(m, MACHINE_HARD_RESET | MACHINE_STOP);
}

static void set_own(struct machine *m, const struct machine_fields *own)
{
    m->panicked = own->panicked;
    if (m->entropy.seeded && own->seeded)
        memcpy(m->entropy.state, own->entropy, sizeof m->entropy.state);
    atomic_fetch_or(&m->requests, own->requests & GUEST_REQUESTS);
}

// The machine's own chunk is the first of the devices': read alone, the others being no business of this table.
static int load_own(const struct state_buf *devices, struct machine_fields *own, size_t *ret_size, struct error *err)
{
    enum { HEADER = 16 };
    struct device *dev = &own->dev;
    device_init(dev, &class, "/machine");
    if (devices->size < HEADER)
        return error_set(err, -EINVAL, "the saved state ends within the devices");
    uint64_t names = get_le(devices->data, 2) + get_le(devices->data + 2, 2), length = get_le(devices->data + 8, 8);
    if (names > devices->size - HEADER || length > devices->size - HEADER - names)
        return error_set(err, -EINVAL, "the saved state ends within the devices");
    *ret_size = HEADER + names + length;
    return state_load(&dev, 1, 0, devices->data, *ret_size, err);
}

int machine_load_apply(struct machine_load *load, bool *ret_was_running, struct error *err)
{
    struct machine *m = load->machine;
    struct machine_fields own = {0};
    size_t own_size = 0;
    struct mem_ram *ram;
    if (!load->complete)
        return error_set(err, -EINVAL, "there is no complete saved state");
    int r = check_unchanged(m, load->config, "loaded", err);
    if (!r)
        r = load_own(&load->devices, &own, &own_size, err);
    if (!r && (own.clock < 0 || own.clock > INT64_MAX / 4))
        r = error_set(err, -EINVAL, "the saved state has the time %" PRId64 ", which no machine shows", own.clock);
    if (r)
        return r;
    clock_stop(&m->clock);
    clock_set(&m->clock, own.clock);
    for (size_t i = 0; m->accel && (ram = mem_ram_nth(m->mem, i)); i++)
        accel_code_written(m->accel, ram, 0, ram->size);
    for (unsigned i = 0; !r && i < cpu_count(m); i++)
        r = accel_cpu_load(m->accel, i, load->cpus[i].data, load->cpus[i].size, err);
    if (!r)
        r = state_load(m->devices, m->device_count, own.clock, load->devices.data + own_size,
                       load->devices.size - own_size, err);
    if (!r)
        set_own(m, &own);
    if (!r)
        *ret_was_running = own.running;
    if (atomic_load(&m->running))
        clock_start(&m->clock);
    return r;
}
