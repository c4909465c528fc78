// SPDX-License-Identifier: MIT
// Fixed work, timed by the clock of the machine it runs on: the guest half of tools/bench. Each kernel stresses one
// thing an emulator does (integer code, indirect branches, FP, vectors, memory, the kernel's entry paths), is
// seeded the same way every time and returns a checksum that must not depend on who runs it.
//
//     guestbench REPS [KERNEL...]    prints "KERNEL name best S first S sum HEX" for each
//     guestbench mark LABEL          prints "ISOMER-MARK LABEL S", S being the monotonic clock
//     guestbench nop                 does nothing: what the exec kernel executes
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Keeps the compiler from seeing through a repetition of work on memory.
#define FORGET_MEMORY() __asm__ volatile("" ::: "memory")

struct bench {
    uint64_t random; // state of the generator
    const char *self; // how to execute this program again
};

static double monotonic(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// xorshift64*: good enough to defeat prediction, cheap enough not to be measured
static uint64_t next_random(struct bench *b)
{
    b->random ^= b->random >> 12;
    b->random ^= b->random << 25;
    b->random ^= b->random >> 27;
    return b->random * 0x2545f4914f6cdd1dull;
}

static void *must(void *p)
{
    if (p == NULL || p == MAP_FAILED) {
        fputs("guestbench: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// ---- integer code and branches ----

static uint64_t run_int(struct bench *b)
{
    uint32_t h = (uint32_t)next_random(b);
    for (uint32_t i = 0; i < 60000000u; i++) {
        h = (h ^ i) * 0x01000193u;
        h = (h << 7) | (h >> 25);
        h += i >> 3;
    }
    return h;
}

static uint64_t run_crc(struct bench *b)
{
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = (c >> 1) ^ (c & 1 ? 0x82f63b78u : 0);
        table[i] = c;
    }
    size_t size = 64 << 10;
    uint8_t *data = must(malloc(size));
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)next_random(b);
    uint32_t crc = 0xffffffffu;
    for (int round = 0; round < 300; round++)
        for (size_t i = 0; i < size; i++)
            crc = table[(crc ^ data[i]) & 0xff] ^ (crc >> 8);
    free(data);
    return crc;
}

static int by_value(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static uint64_t run_qsort(struct bench *b)
{
    size_t count = 400000;
    uint32_t *values = must(malloc(count * sizeof *values));
    for (size_t i = 0; i < count; i++)
        values[i] = (uint32_t)next_random(b);
    qsort(values, count, sizeof *values, by_value);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i += 1000)
        sum = sum * 31 + values[i];
    free(values);
    return sum;
}

static uint64_t run_sieve(struct bench *b)
{
    (void)b;
    size_t limit = 8000000;
    uint8_t *composite = must(calloc(limit, 1));
    for (size_t p = 2; p * p < limit; p++) {
        if (composite[p])
            continue;
        for (size_t multiple = p * p; multiple < limit; multiple += p)
            composite[multiple] = 1;
    }
    uint64_t primes = 0;
    for (size_t i = 2; i < limit; i++)
        primes += !composite[i];
    free(composite);
    return primes;
}

// A byte-code machine with a jump per instruction: what language interpreters do all day.
static uint64_t run_interp(struct bench *b)
{
    enum { LENGTH = 4096 };
    static const void *const handler[] = {&&add, &&xor, &&shift, &&mul, &&mix, &&fold, &&end};
    uint8_t program[LENGTH];
    for (int i = 0; i < LENGTH - 1; i++)
        program[i] = (uint8_t)(next_random(b) % 6);
    program[LENGTH - 1] = 6;
    uint64_t x = 1, y = 2, z = 3;
    for (int round = 0; round < 6000; round++) {
        const uint8_t *pc = program;
        goto *handler[*pc++];
    add:
        x += y;
        goto *handler[*pc++];
    xor:
        y ^= x;
        goto *handler[*pc++];
    shift:
        z += x >> 5;
        goto *handler[*pc++];
    mul:
        x = x * 5 + 1;
        goto *handler[*pc++];
    mix:
        y += z;
        goto *handler[*pc++];
    fold:
        z ^= y << 3;
        goto *handler[*pc++];
    end:;
    }
    return x ^ y ^ z;
}

static __attribute__((noinline)) uint32_t fibonacci(uint32_t n)
{
    if (n < 2)
        return n;
    return fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t run_call(struct bench *b)
{
    (void)b;
    return fibonacci(36);
}

// ---- floating point and vectors ----

static uint64_t run_matmul(struct bench *b)
{
    enum { N = 256 };
    double(*left)[N] = must(malloc(sizeof(double[N][N])));
    double(*right)[N] = must(malloc(sizeof(double[N][N])));
    double(*product)[N] = must(calloc(N, sizeof(double[N])));
    (void)b;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            left[i][j] = i + 0.5 * j;
            right[i][j] = i - 0.25 * j;
        }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            for (int j = 0; j < N; j++)
                product[i][j] += left[i][k] * right[k][j];
    uint64_t sum = 0;
    for (int i = 0; i < N; i++)
        sum = sum * 31 + bits_of(product[i][(i * 7) % N]);
    free(left);
    free(right);
    free(product);
    return sum;
}

static uint64_t run_mandel(struct bench *b)
{
    (void)b;
    uint64_t steps = 0;
    for (int row = 0; row < 200; row++)
        for (int column = 0; column < 200; column++) {
            double cr = column / 100.0 - 1.5, ci = row / 100.0 - 1.0, zr = 0, zi = 0;
            int step = 0;
            for (; step < 300 && zr * zr + zi * zi < 4.0; step++) {
                double real = zr * zr - zi * zi + cr;
                zi = 2.0 * zr * zi + ci;
                zr = real;
            }
            steps += (uint64_t)step;
        }
    return steps;
}

struct body {
    double position[3], velocity[3], mass;
};

static void attract(struct body *a, struct body *b, double dt)
{
    double delta[3], square = 0;
    for (int axis = 0; axis < 3; axis++) {
        delta[axis] = a->position[axis] - b->position[axis];
        square += delta[axis] * delta[axis];
    }
    double pull = dt / (square * sqrt(square));
    for (int axis = 0; axis < 3; axis++) {
        a->velocity[axis] -= delta[axis] * b->mass * pull;
        b->velocity[axis] += delta[axis] * a->mass * pull;
    }
}

static uint64_t run_nbody(struct bench *b)
{
    enum { BODIES = 5 };
    struct body bodies[BODIES];
    (void)b;
    for (int i = 0; i < BODIES; i++) {
        bodies[i].mass = 1.0 + i * 0.5;
        for (int axis = 0; axis < 3; axis++) {
            bodies[i].position[axis] = i * 2.75 + axis * (1 + i % 2);
            bodies[i].velocity[axis] = (axis - i) * 0.015;
        }
    }
    for (int step = 0; step < 200000; step++) {
        for (int i = 0; i < BODIES; i++)
            for (int j = i + 1; j < BODIES; j++)
                attract(&bodies[i], &bodies[j], 0.001);
        for (int i = 0; i < BODIES; i++)
            for (int axis = 0; axis < 3; axis++)
                bodies[i].position[axis] += 0.001 * bodies[i].velocity[axis];
    }
    uint64_t sum = 0;
    for (int i = 0; i < BODIES; i++)
        sum = sum * 31 + bits_of(bodies[i].position[i % 3]);
    return sum;
}

static uint64_t run_simd_f32(struct bench *b)
{
    enum { N = 4096 };
    static float a[N], c[N], d[N];
    (void)b;
    for (int i = 0; i < N; i++) {
        a[i] = (float)i * 0.5f;
        c[i] = (float)(N - i);
        d[i] = 0;
    }
    for (int round = 0; round < 6000; round++) {
        for (int i = 0; i < N; i++)
            d[i] = d[i] * 0.5f + a[i] * c[i];
        FORGET_MEMORY();
    }
    uint64_t sum = 0;
    for (int i = 0; i < N; i++)
        sum = sum * 31 + bits_of(d[i]);
    return sum;
}

static uint64_t run_simd_u8(struct bench *b)
{
    enum { N = 8192 };
    static uint8_t a[N], c[N], d[N];
    for (int i = 0; i < N; i++) {
        a[i] = (uint8_t)next_random(b);
        c[i] = (uint8_t)next_random(b);
        d[i] = 0;
    }
    for (int round = 0; round < 12000; round++) {
        for (int i = 0; i < N; i++) {
            uint8_t difference = a[i] > c[i] ? a[i] - c[i] : c[i] - a[i];
            d[i] = (uint8_t)((d[i] + difference + 1) >> 1);
        }
        FORGET_MEMORY();
    }
    uint64_t sum = 0;
    for (int i = 0; i < N; i++)
        sum = sum * 31 + d[i];
    return sum;
}

// ---- memory ----

static uint64_t run_chase(struct bench *b)
{
    size_t count = 1 << 20;
    uint32_t *next = must(malloc(count * sizeof *next));
    for (size_t i = 0; i < count; i++)
        next[i] = (uint32_t)i;
    for (size_t i = count - 1; i > 0; i--) { // Sattolo: a single cycle through every element
        size_t j = next_random(b) % i;
        uint32_t swap = next[i];
        next[i] = next[j];
        next[j] = swap;
    }
    uint32_t at = 0;
    for (int step = 0; step < 8000000; step++)
        at = next[at];
    free(next);
    return at;
}

static uint64_t run_memcpy(struct bench *b)
{
    size_t size = 8 << 20;
    char *to = must(malloc(size)), *from = must(malloc(size));
    memset(to, 1, size);
    for (size_t i = 0; i < size; i += 4096)
        memset(from + i, (int)(next_random(b) & 0x7f), 4096);
    for (int round = 0; round < 60; round++) {
        memcpy(to, from, size);
        FORGET_MEMORY();
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i += 511)
        sum = sum * 31 + (uint8_t)to[i];
    free(to);
    free(from);
    return sum;
}

static uint64_t run_str(struct bench *b)
{
    char text[256];
    uint64_t sum = 0;
    (void)b;
    for (int i = 0; i < 400000; i++) {
        int length = snprintf(text, sizeof text, "record-%d/%s/%x", i, "fields", i * 11);
        const char *slash = strchr(text, '/');
        sum += (uint64_t)length + strlen(text) + (uint64_t)(slash - text) + (strstr(text, "lds/3") != NULL);
    }
    return sum;
}

static uint64_t run_malloc(struct bench *b)
{
    enum { SLOTS = 256 };
    uint8_t *slots[SLOTS] = {0};
    uint64_t sum = 0;
    for (int i = 0; i < 2000000; i++) {
        uint64_t r = next_random(b);
        size_t slot = r % SLOTS;
        if (slots[slot] != NULL)
            sum += slots[slot][0];
        free(slots[slot]);
        slots[slot] = must(malloc(16 + ((r >> 16) & 511)));
        slots[slot][0] = (uint8_t)i;
    }
    for (int i = 0; i < SLOTS; i++)
        free(slots[i]);
    return sum;
}

// ---- the system ----

static uint64_t run_syscall(struct bench *b)
{
    uint64_t good = 0;
    (void)b;
    for (int i = 0; i < 1500000; i++)
        good += syscall(SYS_getppid) >= 0;
    return good;
}

static uint64_t run_pagefault(struct bench *b)
{
    uint64_t pages = 0;
    (void)b;
    for (int round = 0; round < 12; round++) {
        size_t size = 32 << 20;
        uint8_t *area = must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        for (size_t i = 0; i < size; i += 4096) {
            pages += area[i] == 0;
            area[i] = 1;
        }
        munmap(area, size);
    }
    return pages;
}

// Passes a byte to and fro; each side answers with the byte plus one.
static uint64_t volley(int in, int out, uint8_t byte, bool serve, int count)
{
    uint64_t passed = 0;
    for (int i = 0; i < count; i++) {
        if (serve && write(out, &byte, 1) != 1)
            break;
        if (read(in, &byte, 1) != 1)
            break;
        byte++;
        if (!serve && write(out, &byte, 1) != 1)
            break;
        passed += byte;
    }
    return passed;
}

static uint64_t run_pipe(struct bench *b)
{
    enum { ROUNDS = 50000 };
    int there[2], back[2];
    (void)b;
    if (pipe(there) != 0 || pipe(back) != 0)
        return 0;
    pid_t child = fork();
    if (child == 0) {
        volley(there[0], back[1], 0, false, ROUNDS);
        _exit(0);
    }
    uint64_t sum = child > 0 ? volley(back[0], there[1], 0, true, ROUNDS) : 0;
    for (int i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
    waitpid(child, NULL, 0);
    return sum;
}

static uint64_t children(const char *self, int count)
{
    uint64_t good = 0;
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) {
            if (self != NULL)
                execl(self, self, "nop", (char *)NULL);
            _exit(self != NULL ? 1 : 0);
        }
        int status = 1;
        good += child > 0 && waitpid(child, &status, 0) == child && status == 0;
    }
    return good;
}

static uint64_t run_fork(struct bench *b)
{
    (void)b;
    return children(NULL, 400);
}

static uint64_t run_exec(struct bench *b) { return children(b->self, 150); }

struct contended {
    atomic_ulong counter;
    pthread_mutex_t lock;
    uint64_t guarded;
};

static void *contend(void *argument)
{
    struct contended *c = argument;
    for (int i = 0; i < 1500000; i++) {
        atomic_fetch_add(&c->counter, 1);
        if (i % 8 == 0) {
            pthread_mutex_lock(&c->lock);
            c->guarded += 3;
            pthread_mutex_unlock(&c->lock);
        }
    }
    return NULL;
}

static uint64_t run_atomic(struct bench *b)
{
    struct contended c = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[2];
    (void)b;
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, contend, &c) != 0)
            return 0;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return atomic_load(&c.counter) * 31 + c.guarded;
}

// The groups that tools/bench averages over stand in tools/isotools/benchstats.py; a test compares the names.
static const struct {
    const char *name;
    uint64_t (*run)(struct bench *b);
} kernels[] = {
    {"int", run_int},           {"crc", run_crc},           {"qsort", run_qsort},     {"sieve", run_sieve},
    {"interp", run_interp},     {"call", run_call},         {"matmul", run_matmul},   {"mandel", run_mandel},
    {"nbody", run_nbody},       {"simd_f32", run_simd_f32}, {"simd_u8", run_simd_u8}, {"chase", run_chase},
    {"memcpy", run_memcpy},     {"str", run_str},           {"malloc", run_malloc},   {"syscall", run_syscall},
    {"pagefault", run_pagefault}, {"pipe", run_pipe},       {"fork", run_fork},       {"exec", run_exec},
    {"atomic", run_atomic},
};

// Returns false if two repetitions computed different things.
static bool measure(const char *name, uint64_t (*run)(struct bench *), const char *self, int reps)
{
    double best = 0, first = 0;
    uint64_t sum = 0;
    bool stable = true;
    for (int rep = 0; rep < reps; rep++) {
        struct bench b = {.random = 0x9e3779b97f4a7c15ull, .self = self};
        double start = monotonic();
        uint64_t got = run(&b);
        double took = monotonic() - start;
        if (rep > 0 && got != sum) {
            stable = false;
            printf("UNSTABLE %s: %llx, then %llx\n", name, (unsigned long long)sum, (unsigned long long)got);
        }
        sum = got;
        if (rep == 0)
            first = took;
        if (rep == 0 || took < best)
            best = took;
    }
    printf("KERNEL %-9s best %.5f first %.5f sum %llx\n", name, best, first, (unsigned long long)sum);
    fflush(stdout);
    return stable;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "nop") == 0)
        return 0;
    if (argc == 3 && strcmp(argv[1], "mark") == 0) {
        printf("ISOMER-MARK %s %.6f\n", argv[2], monotonic());
        return 0;
    }
    int reps = argc > 1 ? atoi(argv[1]) : 3;
    if (reps < 1) {
        fputs("usage: guestbench REPS [KERNEL...] | mark LABEL | nop\n", stderr);
        return 2;
    }
    int failures = 0;
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        bool wanted = argc <= 2;
        for (int a = 2; a < argc; a++)
            wanted |= strcmp(argv[a], kernels[i].name) == 0;
        if (wanted)
            failures += !measure(kernels[i].name, kernels[i].run, argv[0], reps);
    }
    return failures != 0;
}
