// SPDX-License-Identifier: MIT
// Owns machines and streams for tests of saved state; see the header.
#include "tests/state/saved.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stream_write(void *opaque, const void *data, size_t size, struct error *err)
{
    struct stream *s = opaque;
    if (size > s->capacity - s->size) {
        s->capacity = (s->size + size) * 2;
        s->data = realloc(s->data, s->capacity);
        cr_assert(s->data);
    }
    memcpy(s->data + s->size, data, size);
    s->size += size;
    return 0;
}

int stream_read(void *opaque, void *data, size_t size, struct error *err)
{
    struct stream *s = opaque;
    if (size > s->size - s->at)
        return error_set(err, -EPIPE, "the saved state ends early");
    memcpy(data, s->data + s->at, size);
    s->at += size;
    return 0;
}

struct machine *saved_machine(const char *gic, void (*change)(struct machine_config *config))
{
    struct machine_config config = {.board = "virt", .cpu_count = 2, .ram_size = 16 << 20, .cpu = "cortex-a72"};
    struct machine *m;
    struct error err = {0};
    cr_assert_eq(keyval_add(&config.board_options, "gic-version", gic), 0);
    if (change)
        change(&config);
    cr_assert_eq(machine_create(&config, &m, &err), 0, "%s", err.text);
    pthread_mutex_lock(machine_lock(m));
    return m;
}

void saved_destroy(struct machine *m)
{
    struct keyval_list options = machine_config(m)->board_options;
    pthread_mutex_unlock(machine_lock(m));
    machine_destroy(m);
    keyval_free(&options);
}

void saved_save(struct machine *m, enum state_compression compression, struct stream *ret)
{
    struct error err = {0};
    struct machine_save *save;
    struct state_writer to = {.write = stream_write, .opaque = ret, .compression = (uint8_t)compression, .aligned = true};
    *ret = (struct stream){0};
    cr_assert_eq(machine_save_begin(m, &to, &save, &err), 0, "%s", err.text);
    cr_assert_eq(machine_save_rest(save, &to, false, &err), 0, "%s", err.text);
    cr_assert_eq(to.written, ret->size);
    machine_save_end(save);
}

int saved_load(struct machine *m, struct stream *from, bool only_check, struct error *err)
{
    struct machine_load *load;
    struct state_reader reader = {.read = stream_read, .opaque = from};
    bool was_running = true;
    from->at = 0;
    cr_assert_eq(machine_load_begin(m, &load, err), 0);
    int r = machine_load_stream(load, &reader, only_check, err);
    if (!r && !only_check)
        r = machine_load_apply(load, &was_running, err);
    machine_load_end(load);
    cr_assert(r || only_check || !was_running);
    return r;
}
