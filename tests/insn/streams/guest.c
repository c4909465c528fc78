// SPDX-License-Identifier: MIT
// Runs under qemu-aarch64: executes the streams of a struct stream_batch, file descriptor 3, once for each byte
// read from standard input, and answers with a byte. Everything happens in the handler of the signals that end
// streams: it takes the finished stream's state out of the signal frame and puts the next one's in, so that a stream
// can own every register. Built with the cross compiler; Linux on A64 only.
#include "tests/insn/streams/stream.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static struct stream_batch *batch;
static unsigned next; // the stream to start
static int running;   // whether next - 1 is in flight

static uint8_t *page(unsigned n)
{
    return (uint8_t *)(uintptr_t)(STREAM_DATA + n * STREAM_PAGE);
}

static void restore_image(int read_only)
{
    const uint8_t *from = batch->image;

    for (unsigned n = 0; n < STREAM_PAGES; n++) {
        if (stream_pages[n] < STREAM_READ_ONLY)
            continue;
        if (stream_pages[n] == STREAM_READ_WRITE) {
            memcpy(page(n), from, STREAM_PAGE);
        } else if (read_only) {
            mprotect(page(n), STREAM_PAGE, PROT_READ | PROT_WRITE);
            memcpy(page(n), from, STREAM_PAGE);
            mprotect(page(n), STREAM_PAGE, PROT_READ);
        }
        from += STREAM_PAGE;
    }
}

static void save_image(uint8_t *to)
{
    for (unsigned n = 0; n < STREAM_PAGES; n++)
        if (stream_pages[n] >= STREAM_READ_ONLY) {
            memcpy(to, page(n), STREAM_PAGE);
            to += STREAM_PAGE;
        }
}

static enum stream_end end_of(const struct stream *s, int sig, const siginfo_t *info, uint64_t pc)
{
    switch (sig) {
    case SIGILL: return STREAM_UNDEFINED;
    case SIGTRAP: return pc == stream_address(s, s->count) ? STREAM_FELL_OFF : STREAM_BREAKPOINT;
    case SIGSEGV: return info->si_code == SEGV_MAPERR ? STREAM_TRANSLATION : STREAM_PERMISSION;
    case SIGBUS: return info->si_code == BUS_ADRALN ? STREAM_ALIGNMENT : STREAM_LOST;
    default: return STREAM_LOST;
    }
}

static void take(struct stream *s, int sig, const siginfo_t *info, const mcontext_t *m)
{
    const struct fpsimd_context *fp = (const void *)m->__reserved;
    struct stream_state *to = &s->state;

    memcpy(to->x, m->regs, sizeof to->x);
    memcpy(to->v, fp->vregs, sizeof to->v);
    to->sp = m->sp;
    to->pc = m->pc;
    to->nzcv = (uint32_t)m->pstate & 0xf0000000u;
    to->fpcr = fp->fpcr;
    to->fpsr = fp->fpsr;
    to->end = end_of(s, sig, info, m->pc);
    to->address = sig == SIGSEGV || sig == SIGBUS ? (uintptr_t)info->si_addr : 0;
}

static void put(const struct stream *s, mcontext_t *m)
{
    struct fpsimd_context *fp = (void *)m->__reserved;
    const struct stream_state *from = &s->state;

    memcpy(m->regs, from->x, sizeof from->x);
    memcpy(fp->vregs, from->v, sizeof from->v);
    m->sp = from->sp;
    m->pc = from->pc;
    m->pstate = (m->pstate & ~0xf0000000ull) | from->nzcv;
    fp->fpcr = from->fpcr;
    fp->fpsr = from->fpsr;
}

static int begin_batch(void)
{
    char byte;

    if (read(0, &byte, 1) != 1)
        return 0;
    mprotect((void *)(uintptr_t)STREAM_CODE, STREAM_CODE_SIZE, PROT_READ | PROT_WRITE);
    memset((void *)(uintptr_t)STREAM_CODE, 0, STREAM_CODE_SIZE);
    for (unsigned n = 0; n < batch->count; n++) {
        const struct stream *s = &batch->streams[n];
        char *at = (char *)(uintptr_t)stream_address(s, 0);
        memcpy(at, s->code, sizeof s->code);
        __builtin___clear_cache(at, at + sizeof s->code);
    }
    mprotect((void *)(uintptr_t)STREAM_CODE, STREAM_CODE_SIZE, PROT_READ | PROT_EXEC);
    restore_image(1);
    next = 0;
    return 1;
}

static void handler(int sig, siginfo_t *info, void *context)
{
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;

    if (running) {
        take(&batch->streams[next - 1], sig, info, m);
        save_image(batch->memory[next - 1]);
    }
    if (running && next == batch->count) {
        running = 0;
        if (write(1, "", 1) != 1)
            _exit(1);
    }
    if (!running && !begin_batch())
        _exit(0);
    running = 1;
    if (next)
        restore_image(0);
    put(&batch->streams[next++], m);
}

static int map(void *at, size_t size, int prot)
{
    return mmap(at, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED;
}

int main(void)
{
    static const int signals[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS};
    static uint8_t stack[1 << 16] __attribute__((aligned(16)));
    static const int prots[] = {[STREAM_NO_ACCESS] = PROT_NONE, [STREAM_READ_ONLY] = PROT_READ,
                                [STREAM_READ_WRITE] = PROT_READ | PROT_WRITE};
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    batch = mmap(NULL, sizeof *batch, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
    if (batch == MAP_FAILED || map((void *)(uintptr_t)STREAM_CODE, STREAM_CODE_SIZE, PROT_READ))
        return 1;
    for (unsigned n = 0; n < STREAM_PAGES; n++)
        if (stream_pages[n] != STREAM_HOLE && map(page(n), STREAM_PAGE, prots[stream_pages[n]]))
            return 1;
    sigaltstack(&alternate, NULL);
    for (unsigned n = 0; n < sizeof signals / sizeof signals[0]; n++)
        sigaction(signals[n], &action, NULL);
    __asm__ volatile("brk #0");
    return 1;
}
