// SPDX-License-Identifier: MIT
// Owns the options that say what machine it is and what runs it: accelerator, board, processors, memory,
// clocks, and what becomes of a guest's end.
#include "base/error.h"
#include "base/types.h"
#include "control/cli/options.h"

#include <errno.h>
#include <string.h>

static int set_engine(struct cli *cli, const char *name, struct error *err)
{
    static const struct {
        const char *name;
        enum accel_engine engine;
    } engines[] = {{"tcg", ACCEL_JIT},
                   {"jit", ACCEL_JIT},
                   {"auto", ACCEL_JIT},
                   {"interp", ACCEL_INTERPRETER},
                   {"lockstep", ACCEL_LOCKSTEP}};
    // machine accel= takes a list in order of preference, "kvm:tcg"
    while (*name) {
        size_t len = strcspn(name, ":");
        for (size_t i = 0; i < ARRAY_SIZE(engines); i++)
            if (strlen(engines[i].name) == len && !memcmp(engines[i].name, name, len)) {
                cli->machine.engine = engines[i].engine;
                return 0;
            }
        if (!name[len])
            return error_set(err, -EINVAL, "-accel: there is no accelerator '%s' (try -accel help)", name);
        name += len + 1;
    }
    return error_set(err, -EINVAL, "-accel needs a name");
}

static int set_tier(struct cli *cli, const char *name, struct error *err)
{
    static const char *const tiers[] = {[ACCEL_TIER_FAST] = "fast", [ACCEL_TIER_AUTO] = "auto",
                                        [ACCEL_TIER_OPT] = "opt"};
    if (!name)
        cli->machine.tier = cli->machine.engine == ACCEL_JIT ? ACCEL_TIER_AUTO : ACCEL_TIER_FAST;
    for (size_t i = 0; name && i < ARRAY_SIZE(tiers); i++)
        if (!strcmp(name, tiers[i])) {
            cli->machine.tier = (enum accel_tier)i;
            return 0;
        }
    return name ? error_set(err, -EINVAL, "-accel: tier=%s is none of fast, auto, opt", name) : 0;
}

static int set_without(struct cli *cli, const char *names, struct error *err)
{
    cli->machine.without = 0;
    while (names && *names) {
        unsigned len = (unsigned)strcspn(names, ":");
        uint32_t bit = accel_technique_bit(names, len);
        if (!bit)
            return error_set(err, -EINVAL, "-accel: without=%.*s is no technique (try -accel help)", (int)len, names);
        cli->machine.without |= bit;
        names += len + (names[len] == ':');
    }
    return 0;
}

// Exact ones are the business of the one-pass tier.
static int set_exclusives(struct cli *cli, const char *how, bool tier_said, struct error *err)
{
    cli->machine.exact_exclusives = how && !strcmp(how, "exact");
    if (how && !cli->machine.exact_exclusives && strcmp(how, "fast"))
        return error_set(err, -EINVAL, "-accel: exclusives=%s is neither fast nor exact", how);
    if (cli->machine.exact_exclusives && tier_said && cli->machine.tier != ACCEL_TIER_FAST)
        return error_set(err, -EINVAL, "-accel: exclusives=exact needs tier=fast");
    if (cli->machine.exact_exclusives)
        cli->machine.tier = ACCEL_TIER_FAST;
    return 0;
}

static void list_accels(struct cli *cli)
{
    fprintf(cli->out, "Accelerators supported:\n"
                      "auto      the best one here: jit\n"
                      "tcg       the JIT, by the name that QEMU's users write\n"
                      "jit       translation to host code\n"
                      "interp    the reference interpreter\n"
                      "lockstep  the JIT checked against the interpreter\n"
                      "Properties of jit and lockstep:\n"
                      "tier=fast|auto|opt   whether hot code is compiled again: no; in the background; at once.\n"
                      "                     auto for jit, fast for lockstep unless said\n"
                      "exclusives=fast|exact  whether a store-exclusive compares values, or fails after any write to the\n"
                      "                     granule by another; exact is slow, and for interp, too\n"
                      "tb-size=SIZE         memory for code, in MiB\n"
                      "perf-map=on          write /tmp/perf-PID.map for perf\n"
                      "one-pass-regions=on  compile hot code without LLVM, for tests\n"
                      "Techniques that jit can do without, for measurements (without=NAME[:NAME...]):\n");
    for (unsigned i = 0; i < ACCEL_TECHNIQUES; i++)
        fprintf(cli->out, "%-16s%s\n", accel_techniques[i].name, accel_techniques[i].text);
}

int cli_on_accel(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    struct keyval_list list;
    int r = keyval_parse(arg, "accel", &list, err);
    if (r)
        return r;
    const char *name = keyval_get(&list, "accel"), *thread = keyval_get(&list, "thread");
    if (name && cli_asks_for_help(name)) {
        list_accels(cli);
        *action = CLI_EXIT;
        keyval_free(&list);
        return 0;
    }
    uint64_t size = 0;
    if (!name)
        r = error_set(err, -EINVAL, "-accel needs a name");
    if (!r)
        r = set_engine(cli, name, err);
    if (!r)
        r = keyval_size(&list, "tb-size", 1 << 20, &size, err);
    if (!r && thread && strcmp(thread, "multi") && strcmp(thread, "single"))
        r = error_set(err, -EINVAL, "-accel: thread=%s is neither single nor multi", thread);
    if (!r)
        r = set_tier(cli, keyval_get(&list, "tier"), err);
    if (!r)
        r = set_exclusives(cli, keyval_get(&list, "exclusives"), keyval_get(&list, "tier") != NULL, err);
    if (!r)
        r = keyval_bool(&list, "one-pass-regions", &cli->machine.one_pass_regions, err);
    if (!r)
        r = keyval_bool(&list, "perf-map", &cli->machine.perf_map, err);
    if (!r)
        r = set_without(cli, keyval_get(&list, "without"), err);
    keyval_get(&list, "split-wx"); // always so here
    keyval_get(&list, "one-insn-per-tb");
    if (!r && keyval_unused(&list))
        r = error_set(err, -EINVAL, "-accel does not know the option '%s'", keyval_unused(&list));
    cli->machine.code_cache_size = size;
    keyval_free(&list);
    return r;
}

int cli_on_machine(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    struct keyval_list *list = &cli->machine.board_options;
    if (cli_asks_for_help(arg)) {
        machine_list_boards(cli->out);
        *action = CLI_EXIT;
        return 0;
    }
    keyval_free(list);
    int r = keyval_parse(arg, "type", list, err);
    if (r)
        return r;
    const char *type = keyval_get(list, "type"), *accel = keyval_get(list, "accel");
    if (type)
        cli->machine.board = type;
    if (keyval_get(list, "?") || keyval_get(list, "help")) {
        machine_list_board_options(cli->machine.board, cli->out);
        *action = CLI_EXIT;
        return 0;
    }
    return accel ? set_engine(cli, accel, err) : 0;
}

int cli_on_cpu(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    if (cli_asks_for_help(arg)) {
        machine_list_cpus(cli->out);
        *action = CLI_EXIT;
    }
    cli->machine.cpu = arg;
    return 0;
}

int cli_on_memory(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    struct keyval_list list;
    int r = keyval_parse(arg, "size", &list, err);
    if (r)
        return r;
    const char *size = keyval_get(&list, "size");
    keyval_get(&list, "slots");
    keyval_get(&list, "maxmem");
    r = size ? keyval_parse_size("-m", size, 1 << 20, &cli->machine.ram_size, err)
             : error_set(err, -EINVAL, "-m needs a size");
    if (!r && keyval_unused(&list))
        r = error_set(err, -EINVAL, "-m does not know the option '%s'", keyval_unused(&list));
    if (!r && !cli->machine.ram_size)
        r = error_set(err, -EINVAL, "-m: a machine needs some memory");
    keyval_free(&list);
    return r;
}

// Sockets, cores and threads multiply where cpus= is not given.
int cli_on_smp(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    static const char *const factors[] = {"sockets", "dies", "clusters", "cores", "threads"};
    struct keyval_list list;
    int r = keyval_parse(arg, "cpus", &list, err);
    if (r)
        return r;
    uint64_t cpus = 0, product = 1, max = 0;
    for (size_t i = 0; !r && i < ARRAY_SIZE(factors); i++) {
        uint64_t factor = 1;
        r = keyval_u64(&list, factors[i], &factor, err);
        product *= factor < 4096 ? factor : 4096;
    }
    if (!r)
        r = keyval_u64(&list, "cpus", &cpus, err);
    if (!r)
        r = keyval_u64(&list, "maxcpus", &max, err);
    if (!r && keyval_unused(&list))
        r = error_set(err, -EINVAL, "-smp does not know the option '%s'", keyval_unused(&list));
    if (!keyval_get(&list, "cpus"))
        cpus = product;
    if (!r && (!cpus || cpus > 4096))
        r = error_set(err, -EINVAL, "-smp: %s is not a possible number of CPUs", arg);
    if (!r && max && max < cpus)
        r = error_set(err, -EINVAL, "-smp: maxcpus=%u is less than the %u CPUs there are", (unsigned)max,
                      (unsigned)cpus);
    cli->machine.cpu_count = (unsigned)cpus;
    keyval_free(&list);
    return r;
}

int cli_on_rtc(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    struct keyval_list list;
    int r = keyval_parse(arg, NULL, &list, err);
    if (r)
        return r;
    const char *base = keyval_get(&list, "base"), *clock = keyval_get(&list, "clock");
    keyval_get(&list, "driftfix");
    if (base && strcmp(base, "utc"))
        r = error_set(err, -ENOTSUP, "-rtc: base=%s is not supported (only utc)", base);
    else if (clock && strcmp(clock, "host") && strcmp(clock, "vm") && strcmp(clock, "rt"))
        r = error_set(err, -EINVAL, "-rtc: clock=%s is not one of host, rt and vm", clock);
    else if (keyval_unused(&list))
        r = error_set(err, -EINVAL, "-rtc does not know the option '%s'", keyval_unused(&list));
    keyval_free(&list);
    return r;
}

// QEMU's: what becomes of an event.
int cli_on_action(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    struct machine_config *m = &cli->machine;
    static const struct row {
        const char *event, *what;
        enum { PANIC, REBOOT, SHUTDOWN, WATCHDOG } kind;
        int value;
    } rows[] = {
        {"panic", "none", PANIC, MACHINE_PANIC_IS_NOTED},   {"panic", "pause", PANIC, MACHINE_PANIC_PAUSES},
        {"panic", "shutdown", PANIC, MACHINE_PANIC_ENDS},   {"panic", "exit-failure", PANIC, MACHINE_PANIC_ENDS},
        {"reboot", "reset", REBOOT, false},                 {"reboot", "shutdown", REBOOT, true},
        {"shutdown", "poweroff", SHUTDOWN, false},          {"shutdown", "pause", SHUTDOWN, true},
        {"watchdog", "reset", WATCHDOG, MACHINE_WATCHDOG_RESET},
        {"watchdog", "shutdown", WATCHDOG, MACHINE_WATCHDOG_SHUTDOWN},
        {"watchdog", "poweroff", WATCHDOG, MACHINE_WATCHDOG_POWEROFF},
        {"watchdog", "pause", WATCHDOG, MACHINE_WATCHDOG_PAUSE},
        {"watchdog", "none", WATCHDOG, MACHINE_WATCHDOG_NONE},
    };
    struct keyval_list list;
    int r = keyval_parse(arg, NULL, &list, err);
    if (r)
        return r;
    static const char *const events[] = {"panic", "reboot", "shutdown", "watchdog"};
    for (size_t e = 0; !r && e < sizeof events / sizeof *events; e++) {
        const char *what = keyval_get(&list, events[e]);
        const struct row *row = rows, *end = rows + sizeof rows / sizeof *rows;
        while (what && row < end && (strcmp(row->event, events[e]) || strcmp(row->what, what)))
            row++;
        if (!what)
            continue;
        if (row == end)
            r = error_set(err, -EINVAL, "-action: %s cannot be answered by '%s'", events[e], what);
        else if (row->kind == PANIC)
            m->on_panic = (enum machine_panic)row->value;
        else if (row->kind == WATCHDOG)
            m->on_watchdog = (enum machine_watchdog)row->value;
        else
            *(row->kind == REBOOT ? &m->no_reboot : &m->no_shutdown) = row->value;
    }
    if (!r && keyval_unused(&list))
        r = error_set(err, -EINVAL, "-action does not know the event '%s'", keyval_unused(&list));
    keyval_free(&list);
    return r;
}

int cli_on_watchdog(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    uint64_t value;
    int r = keyval_parse_u64("-watchdog-timeout", arg, &value, err);
    if (!r)
        cli->machine.watchdog_timeout = value > UINT32_MAX ? UINT32_MAX : (unsigned)value;
    return r;
}

int cli_on_seed(struct cli *cli, const char *arg, enum cli_action *action, struct error *err)
{
    cli->machine.seeded = true;
    return keyval_parse_u64("-seed", arg, &cli->machine.seed, err);
}
