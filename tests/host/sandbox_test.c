// SPDX-License-Identifier: MIT
// The sandbox, tried by children: what a machine needs works in it, what an intruder needs does not, on the thread that
// entered it, on one that was there before, and on one that is made later.
#include "host/sandbox.h"
#include "base/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    char folder[64], disk[96], other[96], fresh[96], serve[96], inside[128];
    bool has_landlock, serving;
};

static void make_file(const char *path)
{
    FILE *f = fopen(path, "w");
    cr_assert(f && fputs("text", f) >= 0 && !fclose(f));
}

static void make_place(struct place *p)
{
    snprintf(p->folder, sizeof p->folder, "/tmp/sandbox-test-XXXXXX");
    cr_assert(mkdtemp(p->folder));
    snprintf(p->disk, sizeof p->disk, "%s/disk", p->folder);
    snprintf(p->other, sizeof p->other, "%s/other", p->folder);
    snprintf(p->fresh, sizeof p->fresh, "%s/fresh", p->folder);
    snprintf(p->serve, sizeof p->serve, "%s/serve", p->folder);
    snprintf(p->inside, sizeof p->inside, "%s/inside", p->serve);
    make_file(p->disk);
    make_file(p->other);
    cr_assert(!mkdir(p->serve, 0700));
}

static void remove_place(const struct place *p)
{
    const char *const files[] = {p->disk, p->other, p->fresh, p->inside};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(files[i]);
    rmdir(p->serve);
    cr_assert(!rmdir(p->folder));
}

static int complaints(const char *who, const char *what, bool wanted, bool got)
{
    if (wanted != got)
        fprintf(stderr, "%s: %s %s\n", who, what, got ? "is possible" : "is not possible");
    return wanted != got;
}

static bool can_open(const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool can_fork(void)
{
    pid_t child = fork();
    if (!child)
        _exit(0);
    return child > 0;
}

static bool can_socket(int family)
{
    int fd = socket(family, SOCK_DGRAM, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool can_make_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED && !mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int attempts(const struct place *p, const char *who)
{
    char *const words[] = {"true", NULL};
    struct rlimit limit;
    int bad = 0;
    bool creates = p->serving && !p->has_landlock; // then nothing tells one folder from the other
    bad += complaints(who, "writing to the disk", true, can_open(p->disk, O_RDWR));
    bad += complaints(who, "reading a library", true, can_open("/proc/self/maps", O_RDONLY));
    bad += complaints(who, "making code", true, can_make_code());
    bad += complaints(who, "an internet socket", true, can_socket(AF_INET));
    bad += complaints(who, "asking for a limit", true, !getrlimit(RLIMIT_NOFILE, &limit));
    bad += complaints(who, "setting a limit", false, !setrlimit(RLIMIT_NOFILE, &limit));
    bad += complaints(who, "reading another file", !p->has_landlock, can_open(p->other, O_RDONLY));
    bad += complaints(who, "writing to another file", !p->has_landlock, can_open(p->other, O_RDWR));
    bad += complaints(who, "making a file", creates, can_open(p->fresh, O_CREAT | O_WRONLY));
    bad += complaints(who, "making a file for the guest", p->serving, can_open(p->inside, O_CREAT | O_WRONLY));
    bad += complaints(who, "a process", false, can_fork());
    bad += complaints(who, "another program", false, execve("/bin/true", words, NULL) == 0);
    bad += complaints(who, "a netlink socket", false, can_socket(AF_NETLINK));
    bad += complaints(who, "a signal to our parent", false, !kill(getppid(), 0));
    bad += complaints(who, "a mount namespace", false, !syscall(SYS_unshare, 0x20000000));
    bad += complaints(who, "bpf", false, syscall(SYS_bpf, 0, NULL, 0) >= 0 || errno != EPERM);
    return bad;
}

struct worker {
    const struct place *place;
    const char *who;
    sem_t start;
    int bad;
};

static void *work(void *opaque)
{
    struct worker *w = opaque;
    while (sem_wait(&w->start))
        ;
    w->bad = attempts(w->place, w->who);
    return NULL;
}

static int in_sandbox(struct place *p)
{
    struct worker before = {p, "a thread from before", .bad = 0}, after = {p, "a thread of later", .bad = 0};
    struct sandbox_path paths[] = {{p->disk, SANDBOX_WRITE}, {p->folder, SANDBOX_REMOVE}, {p->serve, SANDBOX_SERVE}};
    struct sandbox_config config = {.paths = paths, .path_count = p->serving ? 3 : 2};
    struct error err;
    char missing[200];
    pthread_t thread;
    sem_init(&before.start, 0, 0);
    sem_init(&after.start, 0, 1);
    if (pthread_create(&thread, NULL, work, &before))
        return 100;
    if (sandbox_enter(&config, missing, sizeof missing, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 101;
    }
    p->has_landlock = !*missing;
    if (*missing)
        fprintf(stderr, "%s\n", missing);
    int bad = attempts(p, "the one who entered");
    sem_post(&before.start);
    pthread_join(thread, NULL);
    if (pthread_create(&thread, NULL, work, &after))
        return 102;
    pthread_join(thread, NULL);
    bad += before.bad + after.bad + complaints("the one who entered", "removing a file", true, !unlink(p->other));
    return bad;
}

static void try_it(bool serving)
{
    struct place place = {.serving = serving};
    int status;
    make_place(&place);
    pid_t child = fork();
    if (!child)
        _exit(in_sandbox(&place));
    cr_assert_eq(waitpid(child, &status, 0), child);
    remove_place(&place);
    cr_assert(WIFEXITED(status), "the child was ended by signal %d", WTERMSIG(status));
    cr_assert_eq(WEXITSTATUS(status), 0);
}

Test(sandbox, a_machine)
{
    try_it(false);
}

Test(sandbox, a_machine_that_serves_a_folder)
{
    try_it(true);
}
