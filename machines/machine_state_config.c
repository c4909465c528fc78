// SPDX-License-Identifier: MIT
// Owns the description of what a machine is made of, as far as its state depends on it: a list of lines that are equal
// on both sides, or the first that is not is named.
#include "host/block.h"
#include "machines/machine_state_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

char *config_text(struct machine *m)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "board=%s\ncpu=%s\ncpus=%u\nram=%" PRIu64 "\n", m->board->name, m->config.cpu, m->config.cpu_count,
            m->config.ram_size);
    for (size_t i = 0; mem_ram_nth(m->mem, i); i++)
        fprintf(out, "memory %s=%" PRIu64 "\n", mem_ram_nth(m->mem, i)->name, mem_ram_nth(m->mem, i)->size);
    for (size_t i = 0; i < m->drive_count; i++)
        fprintf(out, "bytes of drive %zu=%" PRIu64 "\n", i, block_size(m->drives[i].block));
    for (size_t i = 0; i < m->device_count; i++)
        fprintf(out, "device %s=%s\n", m->devices[i]->path, m->devices[i]->class->type);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

// One line "name=value" of size bytes.
struct line {
    const char *name, *value;
    int name_len, value_len;
};

static bool next_line(const char **at, const char *end, struct line *ret)
{
    if (*at == end)
        return false;
    const char *newline = memchr(*at, '\n', (size_t)(end - *at)), *stop = newline ? newline : end;
    const char *equals = memchr(*at, '=', (size_t)(stop - *at));
    if (!equals || stop - *at > 256)
        return false;
    *ret = (struct line){*at, equals + 1, (int)(equals - *at), (int)(stop - equals - 1)};
    *at = newline ? newline + 1 : end;
    return true;
}

static bool equal(const char *a, int a_len, const char *b, int b_len)
{
    return a_len == b_len && !memcmp(a, b, (size_t)a_len);
}

static int compare(const char *ours, const char *ours_end, const char *theirs, const char *theirs_end, struct error *err)
{
    for (;;) {
        struct line a, b;
        bool have = next_line(&ours, ours_end, &a), had = next_line(&theirs, theirs_end, &b);
        if (!have && !had)
            break;
        if (!had || (have && !equal(a.name, a.name_len, b.name, b.name_len)))
            return have && had ? error_set(err, -EINVAL, "the saved machine has '%.*s' where this one has '%.*s'",
                                           b.name_len, b.name, a.name_len, a.name)
                               : error_set(err, -EINVAL, "the saved machine has no '%.*s', this one has", a.name_len,
                                           a.name);
        if (!have)
            return error_set(err, -EINVAL, "the saved machine has '%.*s', which this one lacks", b.name_len, b.name);
        if (!equal(a.value, a.value_len, b.value, b.value_len))
            return error_set(err, -EINVAL, "the saved machine has %.*s=%.*s, this one has %.*s=%.*s", b.name_len, b.name,
                             b.value_len, b.value, a.name_len, a.name, a.value_len, a.value);
    }
    if (ours != ours_end || theirs != theirs_end)
        return error_set(err, -EINVAL, "the saved state is damaged: it does not say what machine it is of");
    return 0;
}

int config_check(const char *ours, const char *text, size_t size, struct error *err)
{
    return compare(ours, ours + strlen(ours), text, text + size, err);
}
