// SPDX-License-Identifier: MIT
// Runs the scripts of tests/bench/programs/ and times each from fork to its end: the part of tools/bench that works with
// real programs, in the guest (statically linked, in a chroot) and on the host. What a script writes to its standard
// output is hashed; standard error goes through. Prints the same lines as guestbench.c:
//
//     progbench REPS DATA NAME...    "KERNEL name best S first S sum HEX", "FAILED name why" or "UNSTABLE name: ..."
//
// after "READY", which says that prepare.sh has run.
//
// Every repetition runs in an empty folder below /tmp with an environment that holds nothing of the caller's. A script
// that takes longer than LIMIT_SECONDS is ended with all it started. One whose program measures for itself leaves the time
// in a file `seconds` of that folder.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 240, PATH_ROOM = 512 };

struct outcome {
    double seconds;
    uint64_t digest; // FNV-1a of what it printed
    uint64_t bytes; // how much that was
    int status; // of waitpid
    bool late;
};

static double monotonic(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

static void child(const char *script, const char *data, const char *scratch, int output)
{
    char home[PATH_ROOM], where[PATH_ROOM];
    snprintf(home, sizeof home, "HOME=%s", scratch);
    snprintf(where, sizeof where, "DATA=%s", data);
    char *const environment[] = {
        home, where, (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C", (char *)"TZ=UTC",
        (char *)"PYTHONHASHSEED=0", (char *)"PYTHONPYCACHEPREFIX=/tmp/pycache", (char *)"PERL_HASH_SEED=0", NULL,
    };
    char *const arguments[] = {(char *)"sh", (char *)script, NULL};
    setpgid(0, 0);
    if (chdir(scratch) != 0 || dup2(output, STDOUT_FILENO) < 0)
        _exit(126);
    close(output);
    execve("/bin/sh", arguments, environment);
    _exit(126);
}

// Takes the script's output until it closes or time is up.
static void collect(int from, struct outcome *o, double deadline)
{
    uint8_t buffer[65536];
    struct pollfd wait = {.fd = from, .events = POLLIN};
    o->digest = 0xcbf29ce484222325ull;
    for (;;) {
        double left = deadline - monotonic();
        if (left <= 0 || poll(&wait, 1, (int)(left * 1000) + 1) == 0) {
            o->late = true;
            return;
        }
        ssize_t got = read(from, buffer, sizeof buffer);
        if (got <= 0)
            return;
        o->bytes += (uint64_t)got;
        for (ssize_t i = 0; i < got; i++)
            o->digest = (o->digest ^ buffer[i]) * 0x100000001b3ull;
    }
}

// What the script wrote to `seconds` in its folder, else `otherwise`.
static double own_time(const char *scratch, double otherwise)
{
    char path[PATH_ROOM];
    double seconds;
    snprintf(path, sizeof path, "%s/seconds", scratch);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return otherwise;
    bool good = fscanf(file, "%lf", &seconds) == 1 && seconds > 0;
    fclose(file);
    return good ? seconds : otherwise;
}

static bool run(const char *script, const char *data, struct outcome *ret)
{
    char scratch[] = "/tmp/progbench-XXXXXX";
    int ends[2];
    struct outcome o = {0};
    if (mkdtemp(scratch) == NULL || pipe(ends) != 0)
        return false;
    fflush(stdout);
    double start = monotonic();
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child(script, data, scratch, ends[1]);
    }
    close(ends[1]);
    if (pid > 0) {
        collect(ends[0], &o, start + LIMIT_SECONDS);
        if (o.late)
            kill(-pid, SIGKILL);
        waitpid(pid, &o.status, 0);
        o.seconds = own_time(scratch, monotonic() - start);
    }
    close(ends[0]);
    nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    *ret = o;
    return pid > 0;
}

static void explain(const char *name, const struct outcome *o)
{
    if (o->late)
        printf("FAILED %s not finished after %d s\n", name, LIMIT_SECONDS);
    else if (WIFSIGNALED(o->status))
        printf("FAILED %s ended by signal %d\n", name, WTERMSIG(o->status));
    else
        printf("FAILED %s exit status %d\n", name, WEXITSTATUS(o->status));
}

static bool measure(const char *name, const char *data, int reps)
{
    char script[PATH_ROOM];
    double best = 0, first = 0;
    struct outcome o, reference = {0};
    snprintf(script, sizeof script, "%s/%s.sh", data, name);
    for (int rep = 0; rep < reps; rep++) {
        if (!run(script, data, &o)) {
            printf("FAILED %s could not be started\n", name);
            return false;
        }
        if (o.late || o.status != 0) {
            explain(name, &o);
            return false;
        }
        if (rep == 0) {
            reference = o;
            best = first = o.seconds;
        }
        if (o.digest != reference.digest || o.bytes != reference.bytes) {
            printf("UNSTABLE %s: %llx, then %llx\n", name, (unsigned long long)reference.digest,
                   (unsigned long long)o.digest);
            return false;
        }
        best = o.seconds < best ? o.seconds : best;
    }
    printf("KERNEL %-14s best %.5f first %.5f sum %llx%04llx\n", name, best, first,
           (unsigned long long)reference.digest, (unsigned long long)reference.bytes);
    fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    int reps = argc > 3 ? atoi(argv[1]) : 0;
    if (reps < 1) {
        fputs("usage: progbench REPS DATA NAME...\n", stderr);
        return 2;
    }
    struct outcome ready;
    char prepare[PATH_ROOM];
    snprintf(prepare, sizeof prepare, "%s/prepare.sh", argv[2]);
    run(prepare, argv[2], &ready);
    puts("READY");
    int failures = 0;
    for (int a = 3; a < argc; a++)
        failures += !measure(argv[a], argv[2], reps);
    return failures != 0;
}
