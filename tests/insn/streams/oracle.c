// SPDX-License-Identifier: MIT
// Owns the QEMU process: a batch in a file that both map, a byte each way to hand it over. Fixed model: Cortex-A57,
// which has what the rows of the decode tables need and nothing that changes their meaning.
#include "tests/insn/streams/engines.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GUEST_FD = 3 };

struct oracle {
    struct stream_batch *batch;
    pid_t pid;
    int fd, to, from;
};

static void run_qemu(const struct oracle *o, int in, int out, const char *guest)
{
    dup2(in, 0);
    dup2(out, 1);
    if (o->fd == GUEST_FD)
        fcntl(GUEST_FD, F_SETFD, 0);
    else
        dup2(o->fd, GUEST_FD);
    execlp("qemu-aarch64-static", "qemu-aarch64-static", "-cpu", "cortex-a57", guest, (char *)NULL);
    _exit(127);
}

struct oracle *oracle_open(const char *guest)
{
    struct oracle *o = calloc(1, sizeof *o);
    int to[2], from[2];

    o->fd = memfd_create("streams", MFD_CLOEXEC);
    if (o->fd < 0 || ftruncate(o->fd, sizeof *o->batch) || pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
        return NULL;
    o->batch = mmap(NULL, sizeof *o->batch, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 0);
    o->pid = fork();
    if (o->pid == 0)
        run_qemu(o, to[0], from[1], guest);
    close(to[0]);
    close(from[1]);
    o->to = to[1];
    o->from = from[0];
    return o;
}

void oracle_close(struct oracle *o)
{
    close(o->to);
    close(o->from);
    waitpid(o->pid, NULL, 0);
    munmap(o->batch, sizeof *o->batch);
    close(o->fd);
    free(o);
}

struct stream_batch *oracle_batch(struct oracle *o)
{
    return o->batch;
}

bool oracle_run(struct oracle *o)
{
    char byte = 0;

    return o->batch->count == 0 || (write(o->to, &byte, 1) == 1 && read(o->from, &byte, 1) == 1);
}
