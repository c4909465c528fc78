// SPDX-License-Identifier: MIT
// Owns the process: reads the command line, makes the machine and what controls it, runs it, and turns the
// outcome into an exit status. All state hangs off this function's stack.
#include "base/error.h"
#include "control/cli/cli.h"
#include "control/gdb/gdb.h"
#include "control/img/img.h"
#include "control/monitor/monitor.h"
#include "control/qmp/qmp.h"
#include "control/snapshot/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int complain(const struct error *err)
{
    fprintf(stderr, "isomer: %s\n", err->text);
    return MACHINE_FAILED;
}

static int open_log(const struct cli *cli, struct log *log, struct error *err)
{
    *log = (struct log){.out = stderr};
    if (cli->log_mask) {
        int r = log_parse_mask(cli->log_mask, &log->mask, err);
        if (r)
            return error_prefix(err, r, "-d");
    }
    if (cli->log_file) {
        log->out = fopen(cli->log_file, "w");
        if (!log->out)
            return error_set(err, -errno, "-D: cannot open '%s': %s", cli->log_file, strerror(errno));
    }
    return 0;
}

static int write_pid(const char *path, struct error *err)
{
    FILE *f = fopen(path, "w");
    if (!f || fprintf(f, "%ld\n", (long)getpid()) < 0 || fclose(f))
        return error_set(err, -EIO, "-pidfile: cannot write '%s': %s", path, strerror(errno));
    return 0;
}

// -daemonize: the parent stays until the machine is up, so that its exit status tells of failures, and then
// leaves. Returns in the child with the pipe to report through, or -1 without -daemonize; the parent never
// returns.
static int go_to_background(bool daemonize)
{
    int ends[2];
    if (!daemonize || pipe2(ends, O_CLOEXEC))
        return -1;
    pid_t child = fork();
    if (child > 0) {
        char up = 0;
        close(ends[1]);
        bool good = read(ends[0], &up, 1) == 1;
        _exit(good ? 0 : MACHINE_FAILED);
    }
    close(ends[0]);
    setsid();
    return ends[1];
}

static void report_up(int pipe_end, int null)
{
    if (pipe_end < 0)
        return;
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
    (void)!write(pipe_end, "", 1);
    close(pipe_end);
}

// Of each index one at most is there.
struct monitors {
    struct monitor *human[CLI_MAX_MONITORS];
    struct qmp *qmp[CLI_MAX_MONITORS];
};

static int open_monitors(struct cli *cli, struct machine *machine, struct monitors *monitors, struct error *err)
{
    int r = 0;
    pthread_mutex_lock(machine_lock(machine));
    for (size_t i = 0; !r && i < cli->monitor_count; i++) {
        const struct cli_monitor *m = &cli->monitors[i];
        struct chardev *chardev = machine_chardev(machine, m->chardev);
        if (!chardev)
            r = error_set(err, -ENOENT, "a monitor wants the character device '%s', which is not there or in use",
                          m->chardev);
        else if (m->control)
            r = qmp_create(machine, chardev, m->pretty, &monitors->qmp[i], err);
        else
            r = monitor_create(machine, chardev, &monitors->human[i], err);
    }
    pthread_mutex_unlock(machine_lock(machine));
    return r;
}

static int open_gdb(const char *id, struct machine *machine, struct gdb **ret_gdb, struct error *err)
{
    pthread_mutex_lock(machine_lock(machine));
    struct gdb_config config = {.machine = machine, .chardev = machine_chardev(machine, id)};
    pthread_mutex_unlock(machine_lock(machine));
    if (!config.chardev)
        return error_set(err, -ENOENT, "-gdb wants the character device '%s', which is not there or in use",
                         id);
    int r = gdb_create(&config, ret_gdb, err);
    return r ? error_prefix(err, r, "-gdb") : 0;
}

// A machine that does not begin at the beginning.
static int begin_saved(struct cli *cli, struct snapshot *snapshot, struct error *err)
{
    int r = cli->incoming ? snapshot_incoming(snapshot, cli->incoming, err) : 0;
    if (r)
        return error_prefix(err, r, "-incoming");
    if (cli->loadvm)
        snapshot_start_from(snapshot, cli->loadvm);
    return 0;
}

static void close_monitors(struct machine *machine, struct monitors *monitors)
{
    pthread_mutex_lock(machine_lock(machine));
    for (size_t i = 0; i < CLI_MAX_MONITORS; i++) {
        monitor_destroy(monitors->human[i]);
        qmp_destroy(monitors->qmp[i]);
    }
    pthread_mutex_unlock(machine_lock(machine));
}

static int run_machine(struct cli *cli, struct error *err)
{
    struct machine *machine;
    struct monitors monitors = {0};
    struct gdb *gdb = NULL;
    struct snapshot *snapshot = NULL;
    int parent = go_to_background(cli->daemonize), null = parent < 0 ? -1 : open("/dev/null", O_RDWR);
    int r = machine_create(&cli->machine, &machine, err);
    if (r)
        return complain(err);
    r = snapshot_create(machine, &snapshot, err);
    if (!r)
        r = open_monitors(cli, machine, &monitors, err);
    if (!r)
        r = begin_saved(cli, snapshot, err);
    if (!r && cli->gdb_chardev)
        r = open_gdb(cli->gdb_chardev, machine, &gdb, err);
    if (!r && cli->pid_file)
        r = write_pid(cli->pid_file, err);
    if (!r)
        r = cli_enter_sandbox(cli, err);
    if (!r)
        report_up(parent, null);
    int status = r ? complain(err) : machine_run(machine);
    snapshot_destroy(snapshot);
    gdb_destroy(gdb);
    close_monitors(machine, &monitors);
    machine_destroy(machine);
    if (cli->pid_file)
        unlink(cli->pid_file);
    return status;
}

int main(int argc, char *argv[])
{
    struct error err = {0};
    struct log log;
    enum cli_action action;
    if (argc > 1 && !strcmp(argv[1], "img"))
        return img_main(argc - 2, argv + 2, stdout);
    struct cli *cli = calloc(1, sizeof *cli);
    if (!cli)
        return MACHINE_FAILED;
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;
    cli->program = slash ? slash + 1 : argc ? argv[0] : "isomer";
    int status;
    if (cli_parse(cli, argc - 1, argv + 1, stdout, &action, &err)) {
        status = complain(&err);
    } else if (action == CLI_EXIT) {
        status = fflush(stdout) ? MACHINE_FAILED : 0;
    } else if (open_log(cli, &log, &err)) {
        status = complain(&err);
    } else {
        cli->machine.log = &log;
        status = run_machine(cli, &err);
        if (log.out && log.out != stderr)
            fclose(log.out);
    }
    cli_free(cli);
    free(cli);
    return status;
}
