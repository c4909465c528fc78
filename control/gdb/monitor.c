// SPDX-License-Identifier: MIT
// Owns the debugger's "monitor" command: lines go to the human monitor where there is one; without it the stub knows
// the few that IDEs send. Output goes back in packets of its own before the command's reply.
#include "control/gdb/gdb_internal.h"

#include <stdlib.h>
#include <string.h>

static void print(void *to, const char *text, size_t len)
{
    enum { TEXT_A_PACKET = 1024 };
    struct gdb *gdb = to;
    while (len) {
        size_t part = len < TEXT_A_PACKET ? len : TEXT_A_PACKET;
        gdb_reply_clear(&gdb->reply);
        gdb_put(&gdb->reply, "O");
        gdb_put_hex(&gdb->reply, text, part);
        gdb_send(gdb);
        text += part;
        len -= part;
    }
}

static void print_registers(struct gdb *gdb, FILE *out)
{
    struct ir_env *env = accel_env(gdb->accel, gdb->cpu);
    fprintf(out, "CPU#%u\n", gdb->cpu);
    unsigned column = 0;
    for (unsigned i = 0; i < gdb->core_regs; i++) {
        const struct guest_debug_reg *reg = &gdb->isa->debug_regs[i];
        uint64_t value = 0;
        if (reg->bits > 64 || !gdb->isa->debug_get(env, i, &value))
            continue;
        fprintf(out, "%5s=%0*llx%s", reg->name, reg->bits / 4, (unsigned long long)value, ++column % 4 ? " " : "\n");
    }
    fprintf(out, "\n");
}

static void print_status(struct gdb *gdb, FILE *out)
{
    fprintf(out, "VM status: %s\n", gdb->borrowed ? "running" : "paused");
}

static void print_jit(struct gdb *gdb, FILE *out)
{
    accel_print_stats(gdb->accel, out);
}

static void power_key(struct gdb *gdb, FILE *out)
{
    machine_power_key(gdb->machine);
}

static void quit(struct gdb *gdb, FILE *out)
{
    machine_quit(gdb->machine, MACHINE_POWERED_OFF);
}

static void help(struct gdb *gdb, FILE *out);

static const struct {
    const char *line;
    void (*run)(struct gdb *gdb, FILE *out);
    enum machine_request request; // where there is nothing to run
} commands[] = {
    {"stop", NULL, 0}, // packets are served by a stopped machine; what is left is not to continue
    {"cont", NULL, MACHINE_CONT},
    {"c", NULL, MACHINE_CONT},
    {"system_reset", NULL, MACHINE_HARD_RESET},
    {"system_powerdown", power_key},
    {"quit", quit},
    {"info registers", print_registers},
    {"info status", print_status},
    {"info jit", print_jit},
    {"help", help},
};

static void help(struct gdb *gdb, FILE *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        fprintf(out, "%s\n", commands[i].line);
}

static void own_command(struct gdb *gdb, const char *line, FILE *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(line, commands[i].line))
            continue;
        if (commands[i].run)
            commands[i].run(gdb, out);
        else if (commands[i].request)
            machine_request(gdb->machine, commands[i].request);
        return;
    }
    fprintf(out, "there is no command '%s' (try help)\n", line);
}

void gdb_monitor(struct gdb *gdb, const char *line)
{
    if (!strcmp(line, "stop"))
        gdb->borrowed = false;
    if (gdb->config.command) {
        gdb->config.command(gdb->config.command_opaque, line, print, gdb);
        return;
    }
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return;
    own_command(gdb, line, out);
    if (!fclose(out))
        print(gdb, text, len);
    free(text);
}
