// SPDX-License-Identifier: MIT
// Owns the list of system calls that a running machine may make, and the seccomp program made of it (seccomp(2)): a walk
// along the list, the rest fails with EPERM. What glibc tries first and has a fallback for fails with ENOSYS.
//
// There is no execve, no fork, no ptrace, no mount; a signal can only be sent to ourselves, and files be opened to write
// only when the machine needs that.
#include "base/error.h"
#include "base/types.h"
#include "host/sandbox/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define HOST_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define HOST_ARCH AUDIT_ARCH_AARCH64
#endif

// Allowed with any arguments.
static const uint16_t plain[] = {
    // memory
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_msync, SYS_mincore, SYS_brk, SYS_membarrier,
    // threads and time
    SYS_futex, SYS_exit, SYS_exit_group, SYS_set_robust_list, SYS_rseq, SYS_sched_yield, SYS_sched_getaffinity,
    SYS_getpriority, SYS_setpriority, SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres,
    SYS_gettimeofday, SYS_getrandom, SYS_getrusage, SYS_times, SYS_restart_syscall,
    // signals, of which only our own thread is asked
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait, SYS_sigaltstack,
    // who we are
    SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_uname, SYS_sysinfo,
    // descriptors
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_preadv2,
    SYS_pwritev2, SYS_lseek, SYS_close, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_fsync, SYS_fdatasync, SYS_fallocate,
    SYS_ftruncate, SYS_sync_file_range, SYS_copy_file_range, SYS_fadvise64, SYS_flock, SYS_dup, SYS_dup3, SYS_fcntl,
    SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_eventfd2, SYS_pipe2,
    SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime, SYS_signalfd4, SYS_getdents64, SYS_getcwd,
    SYS_readlinkat, SYS_faccessat, SYS_faccessat2, SYS_unlinkat, SYS_fstatfs, SYS_statfs,
    // a child that there was before
    SYS_wait4, SYS_waitid,
    // sockets that exist, and new ones of the kinds below
    SYS_accept, SYS_accept4, SYS_bind, SYS_connect, SYS_listen, SYS_shutdown, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg,
    SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt,
#ifdef SYS_poll // the elder calls of hosts that have them
    SYS_poll, SYS_select, SYS_epoll_wait, SYS_dup2, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_unlink, SYS_pipe,
    SYS_time, SYS_arch_prctl,
#endif
};

// For folders that the guest is given, besides.
static const uint16_t serving[] = {
    SYS_openat,     SYS_openat2,   SYS_mkdirat,    SYS_mknodat,    SYS_renameat2,    SYS_linkat,       SYS_symlinkat,
    SYS_fchmod,     SYS_fchmodat,  SYS_fchown,     SYS_fchownat,   SYS_utimensat,    SYS_truncate,     SYS_fsetxattr,
    SYS_fgetxattr,  SYS_flistxattr, SYS_fremovexattr, SYS_setxattr, SYS_getxattr,    SYS_listxattr,    SYS_removexattr,
    SYS_lsetxattr,  SYS_lgetxattr, SYS_llistxattr, SYS_lremovexattr, SYS_fchdir,     SYS_umask,
#ifdef SYS_open
    SYS_open,       SYS_renameat,
#endif
};

// Allowed when an argument's bits under mask are value; bits 63..32 have to be zero with WIDE.
enum { WIDE = 1 };
struct conditional {
    uint16_t number;
    uint8_t argument, wide;
    uint32_t mask, value;
};

enum { OPENS_TO_WRITE = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY), ANY = ~0 };

static const struct conditional conditional[] = {
    {SYS_openat, 2, 0, OPENS_TO_WRITE, O_RDONLY},
#ifdef SYS_open
    {SYS_open, 1, 0, OPENS_TO_WRITE, O_RDONLY},
#endif
    {SYS_clone, 0, 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM},
    {SYS_prctl, 0, 0, ANY, PR_SET_NAME},
    {SYS_prctl, 0, 0, ANY, PR_GET_NAME},
    {SYS_prlimit64, 2, WIDE, ANY, 0}, // asks, and sets nothing
    {SYS_socket, 0, 0, ANY, AF_UNIX},
    {SYS_socket, 0, 0, ANY, AF_INET},
    {SYS_socket, 0, 0, ANY, AF_INET6},
    {SYS_socketpair, 0, 0, ANY, AF_UNIX},
    {SYS_ioctl, 1, 0, ANY, TCGETS},
    {SYS_ioctl, 1, 0, ANY, TCSETS},
    {SYS_ioctl, 1, 0, ANY, TCSETSW},
    {SYS_ioctl, 1, 0, ANY, TCSETSF},
    {SYS_ioctl, 1, 0, ANY, TCSBRK},
    {SYS_ioctl, 1, 0, ANY, TIOCGWINSZ},
    {SYS_ioctl, 1, 0, ANY, TIOCMGET},
    {SYS_ioctl, 1, 0, ANY, TIOCMSET},
    {SYS_ioctl, 1, 0, ANY, FIONREAD},
    {SYS_ioctl, 1, 0, ANY, FIONBIO},
};

// With SANDBOX_WRITE: what is opened may be written to, nothing is made.
static const struct conditional writing[] = {
    {SYS_openat, 2, 0, O_CREAT | (O_TMPFILE & ~O_DIRECTORY), 0},
};

struct program {
    struct sock_filter code[1024];
    size_t len;
};

static void add(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    if (p->len < ARRAY_SIZE(p->code))
        p->code[p->len++] = (struct sock_filter)BPF_JUMP(code, k, jt, jf);
}

enum { LOAD = BPF_LD | BPF_W | BPF_ABS, EQUAL = BPF_JMP | BPF_JEQ | BPF_K, AND = BPF_ALU | BPF_AND | BPF_K, RETURN = BPF_RET | BPF_K };

static void load_number(struct program *p)
{
    add(p, LOAD, offsetof(struct seccomp_data, nr), 0, 0);
}

static void allow(struct program *p, const uint16_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add(p, EQUAL, numbers[i], 0, 1);
        add(p, RETURN, SECCOMP_RET_ALLOW, 0, 0);
    }
}

static void allow_if(struct program *p, const struct conditional *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct conditional *c = &rows[i];
        uint32_t low = (uint32_t)offsetof(struct seccomp_data, args) + 8 * c->argument; // little-endian hosts
        uint8_t after = c->wide ? 7 : 5; // instructions of a row behind its first
        add(p, EQUAL, c->number, 0, after);
        if (c->wide) {
            add(p, LOAD, low + 4, 0, 0);
            add(p, EQUAL, 0, 0, 4); // to load_number
        }
        add(p, LOAD, low, 0, 0);
        add(p, AND, c->mask, 0, 0);
        add(p, EQUAL, c->value, 0, 1);
        add(p, RETURN, SECCOMP_RET_ALLOW, 0, 0);
        load_number(p);
    }
}

int sandbox_limit_calls(bool files, bool write, struct error *err)
{
    enum { X32 = 0x40000000 };
    const struct conditional self = {SYS_tgkill, 0, 0, (uint32_t)ANY, (uint32_t)getpid()};
    static const uint16_t newer[] = {SYS_clone3};
    struct program *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, -ENOMEM, "out of memory");
    add(p, LOAD, offsetof(struct seccomp_data, arch), 0, 0);
    add(p, EQUAL, HOST_ARCH, 1, 0);
    add(p, RETURN, SECCOMP_RET_KILL_PROCESS, 0, 0);
    load_number(p);
    add(p, BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1);
    add(p, RETURN, SECCOMP_RET_ERRNO | EPERM, 0, 0);
    allow(p, plain, ARRAY_SIZE(plain));
    if (files)
        allow(p, serving, ARRAY_SIZE(serving));
    allow_if(p, conditional, ARRAY_SIZE(conditional));
    if (write)
        allow_if(p, writing, ARRAY_SIZE(writing));
    allow_if(p, &self, 1);
    for (size_t i = 0; i < ARRAY_SIZE(newer); i++) {
        add(p, EQUAL, newer[i], 0, 1);
        add(p, RETURN, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
    }
    add(p, RETURN, SECCOMP_RET_ERRNO | EPERM, 0, 0);
    struct sock_fprog program = {.len = (unsigned short)p->len, .filter = p->code};
    int r = 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        r = error_set(err, -errno, "cannot give up new privileges: %s", strerror(errno));
    else {
        long bad = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
        if (bad < 0)
            r = error_set(err, -errno, "cannot set the filter of system calls: %s", strerror(errno));
        else if (bad > 0)
            r = error_set(err, -ESRCH, "thread %ld has another filter of system calls already", bad);
    }
    free(p);
    return r;
}
