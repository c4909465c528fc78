// SPDX-License-Identifier: MIT
// Owns the table of semihosting calls, the console, and the end that a program asks for. Calls that take a parameter block
// get its 64-bit words; every word of the guest's is checked where it is used.
#include "machines/semihost_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TEXT = 1 << 16, ADP_APPLICATION_EXIT = 0x20026, NANOSECONDS = 1000000000, CENTISECOND = 10000000 };

uint64_t semihost_fail(struct semihost_call *c, int error)
{
    c->s->error = (uint32_t)error;
    return SEMIHOST_FAILED;
}

void semihost_print(struct semihost *s, bool err, const void *text, size_t len)
{
    if (s->chardev) {
        pthread_mutex_lock(&s->machine->lock);
        chardev_write(s->chardev, text, len);
        pthread_mutex_unlock(&s->machine->lock);
        return;
    }
    FILE *out = err ? stderr : stdout;
    fwrite(text, 1, len, out);
    fflush(out);
}

static uint64_t write_char(struct semihost_call *c)
{
    uint8_t byte;
    if (!c->memory->read(c->memory->opaque, c->param, &byte, 1))
        return semihost_fail(c, EFAULT);
    semihost_print(c->s, false, &byte, 1);
    return 0;
}

static uint64_t write_string(struct semihost_call *c)
{
    char text[MAX_TEXT];
    size_t len = 0;
    while (len < sizeof text && c->memory->read(c->memory->opaque, c->param + len, &text[len], 1) && text[len])
        len++;
    semihost_print(c->s, false, text, len);
    return 0;
}

static uint64_t no_input(struct semihost_call *c)
{
    return SEMIHOST_FAILED;
}

static uint64_t is_error(struct semihost_call *c)
{
    return (int64_t)c->word[0] < 0;
}

static uint64_t centiseconds(struct semihost_call *c)
{
    return (uint64_t)clock_now(&c->s->machine->clock) / CENTISECOND;
}

static uint64_t seconds(struct semihost_call *c)
{
    return c->s->machine->seconds_at_start + (uint64_t)clock_now(&c->s->machine->clock) / NANOSECONDS;
}

static uint64_t last_error(struct semihost_call *c)
{
    return (uint64_t)c->s->error;
}

static uint64_t unsupported(struct semihost_call *c)
{
    return semihost_fail(c, ENOSYS);
}

static uint64_t command_line(struct semihost_call *c)
{
    uint64_t len = strlen(c->s->command_line);
    if (c->word[1] <= len || !c->memory->write(c->memory->opaque, c->word[0], c->s->command_line, len + 1) ||
        !c->memory->write(c->memory->opaque, c->param + 8, &len, 8))
        return semihost_fail(c, EFAULT);
    return 0;
}

// The upper half of RAM: heap from below, stack from above.
static uint64_t heap_info(struct semihost_call *c)
{
    uint64_t end = c->s->ram_base + c->s->ram_size, middle = c->s->ram_base + c->s->ram_size / 2;
    const uint64_t info[4] = {middle, end, end, middle};
    return c->memory->write(c->memory->opaque, c->word[0], info, sizeof info) ? 0 : semihost_fail(c, EFAULT);
}

static uint64_t leave(struct semihost_call *c)
{
    machine_quit(c->s->machine, c->word[0] == ADP_APPLICATION_EXIT ? (int)(c->word[1] & 0xff) : MACHINE_FAILED);
    accel_cpu_off(c->s->machine->accel, c->cpu);
    return 0;
}

static uint64_t elapsed(struct semihost_call *c)
{
    int64_t now = clock_now(&c->s->machine->clock);
    return c->memory->write(c->memory->opaque, c->param, &now, 8) ? 0 : semihost_fail(c, EFAULT);
}

static uint64_t tick_frequency(struct semihost_call *c)
{
    return NANOSECONDS;
}

static const struct operation {
    uint8_t op, words; // of the parameter block
    uint64_t (*call)(struct semihost_call *c);
} operations[] = {
    {0x01, 3, semihost_open},   {0x02, 1, semihost_close},  {0x03, 0, write_char},      {0x04, 0, write_string},
    {0x05, 3, semihost_write},  {0x06, 3, semihost_read},   {0x07, 0, no_input},        {0x08, 1, is_error},
    {0x09, 1, semihost_istty},  {0x0a, 2, semihost_seek},   {0x0c, 1, semihost_flen},   {0x0d, 3, unsupported},
    {0x0e, 2, semihost_remove}, {0x0f, 4, unsupported},     {0x10, 0, centiseconds},    {0x11, 0, seconds},
    {0x12, 2, unsupported},     {0x13, 0, last_error},      {0x15, 2, command_line},    {0x16, 1, heap_info},
    {0x18, 2, leave},           {0x20, 2, leave},           {0x30, 0, elapsed},         {0x31, 0, tick_frequency},
};

static uint64_t on_call(void *opaque, unsigned cpu, uint32_t op, uint64_t param, const struct vcpu_memory *memory)
{
    struct semihost *s = opaque;
    struct semihost_call c = {.s = s, .memory = memory, .cpu = cpu, .param = param};
    const struct operation *found = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
        if (operations[i].op == op)
            found = &operations[i];
    pthread_mutex_lock(&s->lock);
    uint64_t result;
    if (!found) {
        log_printf(s->machine->config.log, LOG_UNIMP, "semihosting: no operation 0x%x\n", op);
        result = semihost_fail(&c, ENOSYS);
    } else if (found->words && !memory->read(memory->opaque, param, c.word, found->words * sizeof c.word[0])) {
        result = semihost_fail(&c, EFAULT);
    } else {
        result = found->call(&c);
    }
    pthread_mutex_unlock(&s->lock);
    return result;
}

// --- as a device ---

static void semihost_reset(struct device *dev)
{
    struct semihost *s = (struct semihost *)dev;
    semihost_close_all(s);
    s->error = 0;
}

static void semihost_post_load(struct device *dev)
{
    semihost_handles_loaded((struct semihost *)dev);
}

static int semihost_can_save(struct device *dev, struct error *err)
{
    struct semihost *s = (struct semihost *)dev;
    int files = 0;
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < SEMIHOST_HANDLES; i++)
        files += s->handles[i].kind == HANDLE_FILE;
    pthread_mutex_unlock(&s->lock);
    return files ? error_set(err, -ENOTSUP, "the guest has files of the host open by semihosting, which no saved state can hold")
                 : 0;
}

static void semihost_destroy(struct device *dev)
{
    struct semihost *s = (struct semihost *)dev;
    semihost_close_all(s);
    if (s->folder >= 0)
        close(s->folder);
    pthread_mutex_destroy(&s->lock);
    free(s->command_line);
    free(s);
}

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_U32, semihost, error),
    STATE_EACH(2, STATE_U32, semihost, handles, kind, SEMIHOST_HANDLES),
    STATE_EACH(3, STATE_U64, semihost, handles, at, SEMIHOST_HANDLES),
};

static const struct device_class class = {.type = "semihosting",
                                          .version = 1,
                                          .fields = fields,
                                          .field_count = ARRAY_SIZE(fields),
                                          .reset = semihost_reset,
                                          .post_load = semihost_post_load,
                                          .destroy = semihost_destroy,
                                          .can_save = semihost_can_save};

// --- set-up ---

static int make_command_line(struct semihost *s, const struct machine_config *config, struct keyval_list *o)
{
    size_t size = 0;
    FILE *out = open_memstream(&s->command_line, &size);
    const char *separator = "";
    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < o->count; i++)
        if (!strcmp(o->items[i].key, "arg")) {
            fprintf(out, "%s%s", separator, o->items[i].value);
            separator = " ";
            o->items[i].used = true;
        }
    if (!*separator) // as nothing was said: the program and its arguments
        fprintf(out, "%s%s%s", config->kernel ? config->kernel : "", config->append ? " " : "",
                config->append ? config->append : "");
    return fclose(out) ? -ENOMEM : 0;
}

static int configure(struct machine *m, struct semihost *s, struct keyval_list *o, struct error *err)
{
    const char *target = keyval_get(o, "target"), *folder = keyval_get(o, "folder");
    bool userspace = false;
    int r = keyval_bool(o, "userspace", &userspace, err);
    if (!r)
        r = keyval_bool(o, "readonly", &s->readonly, err);
    if (!r && target && strcmp(target, "native") && strcmp(target, "auto"))
        r = error_set(err, -ENOTSUP, "target=%s is not supported (only native, and auto, which is native)", target);
    if (!r)
        r = machine_take_chardev(m, keyval_get(o, "chardev"), &s->chardev, err);
    if (!r && make_command_line(s, &m->config, o))
        r = error_set(err, -ENOMEM, "out of memory");
    if (!r && keyval_unused(o))
        r = error_set(err, -EINVAL, "there is no option '%s'", keyval_unused(o));
    if (!r && folder && (s->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        r = error_set(err, -errno, "cannot open the folder '%s': %s", folder, strerror(errno));
    s->port.el0 = userspace;
    return r;
}

int semihost_create(struct machine *m, struct keyval_list *o, uint64_t ram_base, uint64_t ram_size,
                    struct semihost **ret_semihost, struct error *err)
{
    bool enable = false;
    *ret_semihost = NULL;
    int r = keyval_bool(o, "enable", &enable, err);
    if (r || !enable)
        return r ? error_prefix(err, r, "-semihosting-config") : 0;
    struct semihost *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, -ENOMEM, "out of memory");
    device_init(&s->dev, &class, "/virt/semihosting");
    s->port = (struct vcpu_semihost){.opaque = s, .call = on_call};
    s->machine = m;
    s->folder = -1;
    s->ram_base = ram_base;
    s->ram_size = ram_size;
    for (int i = 0; i < SEMIHOST_HANDLES; i++)
        s->handles[i].fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    r = machine_add_device(m, &s->dev, err);
    if (r)
        return r;
    *ret_semihost = s;
    r = configure(m, s, o, err);
    return r ? error_prefix(err, r, "-semihosting-config") : 0;
}

const struct vcpu_semihost *semihost_port(const struct semihost *s)
{
    return s ? &s->port : NULL;
}
