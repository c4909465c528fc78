// SPDX-License-Identifier: MIT
// Runs a fuzz target without libFuzzer: every file of a corpus, then mutations of them for a time:
//   fuzz-TARGET [--seconds N] [--seed S] [CORPUS-FOLDER or FILE]...
// A child does the work; the input under way lies in memory that it shares with its parent, which writes it
// to crash-TARGET and says so when the child ends badly. Mutations are few and simple, and blind: that finds
// what is near the corpus. Exit status: 0, 1 for a finding, 2 for a command line that makes no sense.
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <libgen.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_MAX = 1 << 16, SEEDS_MAX = 4096, HANG_SECONDS = 60, MEMORY_MAX_MIB = 2048 };

struct seed {
    uint8_t *data;
    size_t size;
};

struct shared { // with the parent
    size_t size;
    unsigned long runs;
    long peak_mib;
    uint8_t data[INPUT_MAX];
};

struct replay {
    struct seed *seeds;
    size_t seed_count;
    uint64_t random;
    struct shared *shared;
    unsigned hang_seconds;
};

static uint64_t next(struct replay *r, uint64_t below)
{
    uint64_t z = r->random += 0x9e3779b97f4a7c15ull; // splitmix64
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (z ^ z >> 31) % below;
}

static void take_file(struct replay *r, const char *path)
{
    FILE *f = fopen(path, "rb");
    struct seed seed = {.data = malloc(INPUT_MAX)};
    if (!f || !seed.data || r->seed_count == SEEDS_MAX) {
        fprintf(stderr, "cannot take '%s'\n", path);
        exit(2);
    }
    seed.size = fread(seed.data, 1, INPUT_MAX, f);
    fclose(f);
    r->seeds[r->seed_count++] = seed;
}

static void take(struct replay *r, const char *path)
{
    struct dirent **names;
    struct stat st;
    if (!stat(path, &st) && !S_ISDIR(st.st_mode)) {
        take_file(r, path);
        return;
    }
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0) {
        fprintf(stderr, "there is no '%s'\n", path);
        exit(2);
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            take_file(r, file);
        free(names[i]);
    }
    free(names);
}

// One change of the input in *s.
static void mutate(struct replay *r, struct shared *s)
{
    static const uint64_t odd[] = {0,      1,          0x7f,       0x80,       0xff,       0x7fff,
                                   0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 63, ~0ull};
    size_t at = s->size ? next(r, s->size) : 0, len = 1 + next(r, next(r, 4) ? 8 : 512);
    const struct seed *other = &r->seeds[next(r, r->seed_count)];
    switch (next(r, 8)) {
    case 0: // bytes of chance behind the end or in the midst
    case 1: // a piece of another input
        if (s->size + len > INPUT_MAX)
            return;
        memmove(s->data + at + len, s->data + at, s->size - at);
        s->size += len;
        for (size_t i = 0, from = next(r, 2) && other->size > len ? next(r, other->size - len) : SIZE_MAX;
             i < len; i++)
            s->data[at + i] = from != SIZE_MAX ? other->data[from + i] : (uint8_t)next(r, 256);
        break;
    case 2: // a piece less
        if (at + len > s->size)
            return;
        memmove(s->data + at, s->data + at + len, s->size - at - len);
        s->size -= len;
        break;
    case 3: // an odd number
        if (at + 8 <= s->size)
            memcpy(s->data + at, &odd[next(r, sizeof odd / sizeof odd[0])], (size_t)1 << next(r, 4));
        break;
    case 4: // one end or the other
        if (s->size)
            s->size = at;
        break;
    case 5:
        if (s->size)
            s->data[at] ^= (uint8_t)(1u << next(r, 8));
        break;
    default:
        if (s->size)
            s->data[at] = (uint8_t)next(r, 256);
        break;
    }
}

static void run(struct replay *r)
{
    alarm(r->hang_seconds);
    LLVMFuzzerTestOneInput(r->shared->data, r->shared->size);
    r->shared->runs++;
}

static void work(struct replay *r, double seconds)
{
    struct timespec now, start;
    struct shared *s = r->shared;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (size_t i = 0; i < r->seed_count; i++) {
        s->size = r->seeds[i].size;
        memcpy(s->data, r->seeds[i].data, s->size);
        run(r);
    }
    for (now = start;
         (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) * 1e-9 < seconds;) {
        const struct seed *from = &r->seeds[next(r, r->seed_count)];
        s->size = from->size;
        memcpy(s->data, from->data, s->size);
        for (uint64_t n = 1 + next(r, next(r, 4) ? 4 : 64); n; n--)
            mutate(r, s);
        run(r);
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    s->peak_mib = usage.ru_maxrss >> 10;
}

static int judge(const struct replay *r, const char *target, int status)
{
    const struct shared *s = r->shared;
    if (WIFEXITED(status) && !WEXITSTATUS(status) && s->peak_mib <= MEMORY_MAX_MIB) {
        printf("%s: %lu inputs, %ld MiB at most\n", target, s->runs, s->peak_mib);
        return 0;
    }
    char path[256];
    snprintf(path, sizeof path, "crash-%s", target);
    FILE *f = fopen(path, "wb");
    if (f) {
        fwrite(s->data, 1, s->size, f);
        fclose(f);
    }
    if (s->peak_mib > MEMORY_MAX_MIB)
        printf("%s: %ld MiB of memory\n", target, s->peak_mib);
    else
        printf("%s: input %lu ends the target (%s %d); it is in %s\n", target, s->runs,
               WIFSIGNALED(status) ? "signal" : "status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), path);
    return 1;
}

int main(int argc, char *argv[])
{
    const char *patience = getenv("ISOMER_PATIENCE"), *target = basename(argv[0]);
    struct replay r = {.seeds = calloc(SEEDS_MAX, sizeof *r.seeds), .random = 1};
    double seconds = 0;
    r.shared = mmap(NULL, sizeof *r.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    r.hang_seconds = HANG_SECONDS * (patience ? (unsigned)atoi(patience) : 1);
    if (!r.seeds || r.shared == MAP_FAILED)
        return 2;
    r.seeds[r.seed_count++] = (struct seed){calloc(1, 1), 0}; // the empty input
    for (int i = 1; i < argc; i++) {
        bool option = !strncmp(argv[i], "--", 2) && i + 1 < argc;
        if (option && !strcmp(argv[i], "--seconds"))
            seconds = atof(argv[++i]);
        else if (option && !strcmp(argv[i], "--seed"))
            r.random = strtoull(argv[++i], NULL, 0);
        else
            take(&r, argv[i]);
    }
    printf("%s: %zu inputs in the corpus, seed %llu\n", target, r.seed_count, (unsigned long long)r.random);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        work(&r, seconds);
        exit(0); // leaks are looked for now
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 2;
    int verdict = judge(&r, target, status);
    for (size_t i = 0; i < r.seed_count; i++)
        free(r.seeds[i].data);
    free(r.seeds);
    return verdict;
}
