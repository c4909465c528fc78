// SPDX-License-Identifier: MIT
// Owns the limits on files: a Landlock ruleset (Documentation/userspace-api/landlock.rst of Linux) that handles every
// right the kernel knows and grants what is listed.
//
// A thread can restrict only itself, and the threads of the machine exist already: each is sent a signal whose handler
// does it. Threads that they make later inherit it.
#include "base/error.h"
#include "host/sandbox/sandbox_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE // ABI 3
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV // ABI 5
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ull << 15)
#endif

enum { RIGHTS_READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR };
// Those that a rule about a file may name.
#define RIGHTS_OF_FILES                                                                                              \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                     \
     LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV)

static uint64_t known_rights(int abi)
{
    uint64_t all = (1ull << 13) - 1; // of ABI 1
    if (abi >= 2)
        all |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        all |= LANDLOCK_ACCESS_FS_TRUNCATE;
    if (abi >= 5)
        all |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
    return all;
}

static uint64_t rights_of(enum sandbox_use use)
{
    switch (use) {
    case SANDBOX_READ: return RIGHTS_READ;
    case SANDBOX_WRITE:
        return LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;
    case SANDBOX_REMOVE: return LANDLOCK_ACCESS_FS_REMOVE_FILE;
    case SANDBOX_SERVE: return ~(uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_IOCTL_DEV);
    }
    return 0;
}

static int grant(int ruleset, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
    struct stat st;
    if (rule.parent_fd < 0)
        return 0; // what is not there need not be granted
    rule.allowed_access = !fstat(rule.parent_fd, &st) && !S_ISDIR(st.st_mode) ? rights & RIGHTS_OF_FILES : rights;
    int r = rule.allowed_access ? (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) : 0;
    r = r ? -errno : 0;
    close(rule.parent_fd);
    return r;
}

static int make_ruleset(const struct sandbox_config *config, int abi)
{
    // Libraries and what they read: the optimiser's module is loaded when there is something for it to do.
    static const char *const always[] = {"/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/resolv.conf", "/etc/hosts",
                                         "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/localtime",
                                         "/proc", "/sys/devices/system/cpu", "/dev/null", "/dev/urandom"};
    uint64_t known = known_rights(abi);
    struct landlock_ruleset_attr attr = {.handled_access_fs = known};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    int r = ruleset < 0 ? -errno : 0;
    for (size_t i = 0; !r && i < sizeof always / sizeof *always; i++)
        r = grant(ruleset, always[i], RIGHTS_READ & known);
    for (size_t i = 0; !r && i < config->path_count; i++)
        r = grant(ruleset, config->paths[i].path, rights_of(config->paths[i].use) & known);
    if (r && ruleset >= 0)
        close(ruleset);
    return r ? r : ruleset;
}

// ---- every thread --------------------------------------------------------------------------------------------------

struct order {
    int ruleset;
    _Atomic int error; // of the last thread that could not
    _Atomic unsigned done;
};

static void restrict_self(struct order *order)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, order->ruleset, 0))
        atomic_store(&order->error, errno);
    atomic_fetch_add(&order->done, 1);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
    int saved = errno;
    if (info->si_code == SI_QUEUE && info->si_pid == getpid())
        restrict_self(info->si_value.sival_ptr);
    errno = saved;
}

// Waits until thread tid has obeyed.
static int order_thread(struct order *order, int signal, pid_t tid)
{
    enum { LOOK_NS = 100000, PATIENCE = 50000 }; // 5 s
    siginfo_t info = {.si_signo = signal, .si_code = SI_QUEUE};
    unsigned before = atomic_load(&order->done);
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = order;
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, signal, &info))
        return errno == ESRCH ? 0 : -errno; // it has ended
    for (int i = 0; atomic_load(&order->done) == before; i++) {
        if (i == PATIENCE)
            return -ETIMEDOUT;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    return 0;
}

struct threads {
    pid_t *ids;
    size_t count;
};

static bool listed(const struct threads *t, pid_t id)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->ids[i] == id)
            return true;
    return false;
}

// Orders the threads that were not yet. *ret_new: there were some.
static int order_new(struct order *order, int signal, struct threads *seen, bool *ret_new)
{
    DIR *dir = opendir("/proc/self/task");
    int r = dir ? 0 : -errno;
    *ret_new = false;
    for (struct dirent *entry; !r && (entry = readdir(dir));) {
        pid_t id = atoi(entry->d_name);
        if (id <= 0 || id == gettid() || listed(seen, id))
            continue;
        pid_t *ids = realloc(seen->ids, (seen->count + 1) * sizeof *ids);
        if (!ids) {
            r = -ENOMEM;
            break;
        }
        seen->ids = ids;
        ids[seen->count++] = id;
        *ret_new = true;
        r = order_thread(order, signal, id);
    }
    if (dir)
        closedir(dir);
    return r;
}

static int restrict_all(int ruleset)
{
    int signal = SIGRTMAX - 1;
    struct order *order = calloc(1, sizeof *order);
    struct threads seen = {0};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
    sigfillset(&action.sa_mask);
    int r = order ? 0 : -ENOMEM;
    if (!r && sigaction(signal, &action, &old))
        r = -errno;
    if (r) {
        free(order);
        return r;
    }
    order->ruleset = ruleset;
    for (bool more = true; !r && more;) // until no thread has appeared
        r = order_new(order, signal, &seen, &more);
    if (!r)
        restrict_self(order);
    if (!r)
        r = -atomic_load(&order->error);
    if (r != -ETIMEDOUT) { // else the signal may yet arrive, and has to find both
        sigaction(signal, &old, NULL);
        free(order);
    }
    free(seen.ids);
    return r;
}

int sandbox_limit_files(const struct sandbox_config *config, struct error *err)
{
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1)
        return -ENOSYS;
    int ruleset = make_ruleset(config, abi);
    if (ruleset < 0)
        return error_set(err, ruleset, "cannot say which files may be used: %s", strerror(-ruleset));
    int r = restrict_all(ruleset);
    close(ruleset);
    return r ? error_set(err, r, "cannot keep all threads from files: %s", strerror(-r)) : 0;
}
