// SPDX-License-Identifier: MIT
// Random streams in the interpreter, on the x64 tier, which runs under several sets of host features, and as
// regions of the optimising tier, against qemu-aarch64: registers, SP, NZCV, FPCR, FPSR, memory, the way a stream
// ends, its PC and the address of a fault. Where the oracle cannot follow (enum stream_regime), and besides, our
// engines are compared with each other. First every row that streams may hold runs alone, in the interpreter and
// under every set of host features, and must come to its end at least once unless it raises an exception; then
// streams.
//
//   streams GUEST      GUEST: the program of guest.c
//
// The seed is fresh and printed. STREAMS=n sets how many streams, SEED=s the first one's seed (the next have
// s + 1 ...), PROFILE=name[,name] which kinds. The optimising tier, which compiles slowly, gets one stream in LLVM=n; 0:
// none. A stream that differs is reported cut down to what makes it differ.
#include "tests/insn/streams/compare.h"
#include "tests/insn/streams/engines.h"
#include "tests/insn/streams/generate.h"

#include "backends/x64/features.h"
#include "frontends/a64/decode.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { ROUNDS_PER_ROW = 24, DEFAULT_STREAMS = 15000, LLVM_SHARE = 32, MAX_REPORTS = 10, PROGRESS = 800 * STREAM_BATCH, NOP = 0xd503201f };

struct host {
    const char *name;
    enum runner_engine engine;
    uint64_t without; // features taken away
    uint64_t only;    // or all that is left
};

static const struct host hosts[] = {
    {"interpreter", RUNNER_INTERPRETER, 0, 0},
    {"x64", RUNNER_X64, 0, 0},
    {"x64, SSE4.2 only", RUNNER_X64, 0, X64_HAS_SSE42},
    {"x64 without BMI2", RUNNER_X64, X64_HAS_BMI2, 0},
    {"x64 without AVX", RUNNER_X64, X64_HAS_AVX, 0},
    {"x64 without FMA", RUNNER_X64, X64_HAS_FMA | X64_HAS_F16C, 0},
    {"x64 without MOVBE, LAHF, LZCNT", RUNNER_X64, X64_HAS_MOVBE | X64_HAS_LAHF | X64_HAS_LZCNT | X64_HAS_AES, 0},
    {"llvm", RUNNER_LLVM, 0, 0},
    {"llvm, SSE4.2 only", RUNNER_LLVM, 0, X64_HAS_SSE42},
};
enum { HOSTS = ARRAY_SIZE(hosts), HOST_X64 = 1, HOST_LLVM = 7, NO_ROW = -1 };

struct session {
    struct oracle *oracle;
    struct stream_batch *batch;
    struct ours *ours[HOSTS];
    struct stream before[STREAM_BATCH];
    uint8_t memory[2][STREAM_IMAGE];
    uint64_t regimes, allowed[COMPARE_ALLOWANCES], runs[HOSTS], ends[STREAM_ENDS], profiles[PROFILE_COUNT], insns;
    int ended[STREAM_BATCH]; // the row of the first instruction where the stream came to its end, else NO_ROW
    uint64_t llvm_share;
    unsigned failures;
};

static bool open_session(struct session *s, const char *guest)
{
    s->oracle = oracle_open(guest);
    if (!s->oracle)
        return false;
    s->batch = oracle_batch(s->oracle);
    stream_image(s->batch->image);
    for (unsigned n = 0; n < HOSTS; n++) {
        s->ours[n] = ours_open(hosts[n].engine, hosts[n].only ? hosts[n].only : ~hosts[n].without);
        if (!s->ours[n] && n < HOST_LLVM)
            return false;
    }
    return true;
}

static void close_session(struct session *s)
{
    for (unsigned n = 0; n < HOSTS; n++)
        if (s->ours[n])
            ours_close(s->ours[n]);
    oracle_close(s->oracle);
}

// The x64 host a stream runs on besides the interpreter: the whole one half the time.
static unsigned host_of(const struct stream *s)
{
    uint64_t dice = (s->seed * 0xff51afd7ed558ccd) >> 32;

    return dice & 1 ? HOST_X64 : HOST_X64 + (dice >> 1) % (HOST_LLVM - HOST_X64);
}

// The hosts of the optimising tier it runs on, as bits: mostly the whole one, if any.
static unsigned llvm_hosts(const struct session *s, const struct stream *stream)
{
    uint64_t dice = stream->seed * 0xff51afd7ed558ccd >> 32;

    if (!s->llvm_share || dice % s->llvm_share)
        return 0;
    return 1u << (HOST_LLVM + (dice / s->llvm_share % 8 == 0));
}

// Runs the stream on a host and leaves the result in after and memory.
static const char *run_host(struct session *s, unsigned host, const struct stream *before, struct stream *after,
                            uint8_t *memory)
{
    *after = *before;
    memcpy(memory, s->batch->image, STREAM_IMAGE);
    s->runs[host]++;
    return ours_run(s->ours[host], after, memory);
}

// Has the oracle run the first count streams of the batch, and our engines know them.
static bool run_oracle(struct session *s, unsigned count)
{
    s->batch->count = count;
    memcpy(s->before, s->batch->streams, count * sizeof *s->before);
    for (unsigned h = 0; h < HOSTS; h++)
        if (s->ours[h])
            ours_load(s->ours[h], s->before, count);
    return oracle_run(s->oracle);
}

// Compares stream n of the batch, which the oracle has run, with a host. Prints to out unless NULL.
static bool agrees(struct session *s, unsigned n, unsigned host, FILE *out)
{
    struct stream after;
    uint8_t *memory = s->memory[0];
    const char *wrong = run_host(s, host, &s->before[n], &after, memory);

    unsigned allowed = compare_allow(&s->batch->streams[n], s->batch->memory[n], &after, memory);
    for (unsigned k = 0; host == 0 && k < COMPARE_ALLOWANCES; k++)
        s->allowed[k] += allowed >> k & 1;
    bool equal = !wrong && compare_equal(&after, memory, &s->batch->streams[n], s->batch->memory[n]);
    if (out && wrong)
        fprintf(out, "  %s\n", wrong);
    if (out && !equal)
        compare_print(out, &after, memory, "oracle", &s->batch->streams[n], s->batch->memory[n]);
    return equal;
}

// The interpreter and the x64 host agree to the byte, whatever the oracle says.
static bool peers_agree(struct session *s, unsigned n, unsigned host, FILE *out)
{
    struct stream a, b;
    const char *wrong = run_host(s, 0, &s->before[n], &a, s->memory[0]);
    const char *wrong_too = run_host(s, host, &s->before[n], &b, s->memory[1]);
    bool equal = !wrong && !wrong_too && compare_equal(&a, s->memory[0], &b, s->memory[1]);

    if (out && !equal)
        compare_print(out, &b, s->memory[1], "interpreter", &a, s->memory[0]);
    return equal;
}

// Everything a stream is compared by on a host other than the interpreter, or on that. The optimising tier is compared
// with the interpreter alone, so that nothing is compiled twice.
static bool good(struct session *s, unsigned n, unsigned host)
{
    if (host >= HOST_LLVM)
        return peers_agree(s, n, host, NULL);
    return (s->before[n].regime || agrees(s, n, host, NULL)) && (host == 0 || peers_agree(s, n, host, NULL));
}

// ---- reports --------------------------------------------------------------------------------------------------------

static bool run_alone(struct session *s, const struct stream *stream)
{
    s->batch->streams[0] = *stream;
    return run_oracle(s, 1);
}

static bool still_differs(struct session *s, const struct stream *stream, unsigned host)
{
    return run_alone(s, stream) && !good(s, 0, host);
}

// Takes away what is not needed for the difference.
static void cut(struct session *s, struct stream *stream, unsigned host)
{
    for (unsigned n = stream->count; n-- > 0;) {
        struct stream shorter = *stream;
        shorter.code[n] = NOP;
        if (stream->code[n] != STREAM_COUNT_DOWN && still_differs(s, &shorter, host))
            *stream = shorter;
    }
}

static void report(struct session *s, struct stream stream, unsigned host)
{
    if (++s->failures > MAX_REPORTS)
        return;
    printf("SEED=%" PRIu64 " differs: %s\n", stream.seed, hosts[host].name);
    if (still_differs(s, &stream, host))
        cut(s, &stream, host);
    else
        printf("  not when it runs again, alone\n");
    run_alone(s, &stream);
    for (unsigned n = 0; n < stream.count; n++) {
        char text[96];
        a64_disasm(stream.code[n], stream_address(&stream, n), text, sizeof text);
        if (stream.code[n] != NOP)
            printf("  %2u: %08" PRIx32 "  %s\n", n, stream.code[n], text);
    }
    printf("  fpcr %08" PRIx32 " fpsr %08" PRIx32 " nzcv %08" PRIx32 " regime %" PRIx32 " base %#" PRIx64 "\n",
           stream.state.fpcr, stream.state.fpsr, stream.state.nzcv, stream.regime, stream_address(&stream, 0));
    if (!stream.regime)
        agrees(s, 0, host, stdout);
    if (host)
        peers_agree(s, 0, host, stdout);
    fflush(stdout);
}

// ---- phases ---------------------------------------------------------------------------------------------------------

static int row_to_its_end(const struct session *s, unsigned n)
{
    struct a64_insn insn;

    return s->batch->streams[n].state.end == STREAM_FELL_OFF && a64_decode(s->before[n].code[0], &insn) ? (int)insn.row
                                                                                                        : NO_ROW;
}

// Runs what the batch holds everywhere. hosts_mask: bit per host besides those that host_of and llvm_hosts give.
static bool run_batch(struct session *s, unsigned count, unsigned hosts_mask)
{
    struct stream differing[STREAM_BATCH];
    unsigned where[STREAM_BATCH], differ = 0;

    if (!run_oracle(s, count)) {
        printf("the oracle has ended\n");
        return false;
    }
    for (unsigned n = 0; n < count; n++) {
        unsigned mask = hosts_mask | 1u << host_of(&s->before[n]) | llvm_hosts(s, &s->before[n]);
        s->regimes += s->before[n].regime != 0;
        s->ends[s->batch->streams[n].state.end]++;
        s->ended[n] = row_to_its_end(s, n);
        s->insns += s->before[n].count;
        for (unsigned h = 0; h < HOSTS; h++) {
            if (!(mask >> h & 1) || !s->ours[h])
                continue;
            if (good(s, n, h))
                continue;
            differing[differ] = s->before[n];
            where[differ++] = h;
            break;
        }
    }
    for (unsigned n = 0; n < differ; n++)
        report(s, differing[n], where[n]);
    return true;
}

static bool run_rows(struct session *s, uint64_t seed)
{
    unsigned rows = 0, missing = 0;

    for (unsigned row = 0; row < A64_ROW_COUNT; row++) {
        bool ended = false;
        if (!stream_allows(row))
            continue;
        for (unsigned n = 0; n < ROUNDS_PER_ROW; n++)
            stream_of_row(&s->batch->streams[n], seed + row * ROUNDS_PER_ROW + n, row, n);
        if (!run_batch(s, ROUNDS_PER_ROW, (1u << HOST_LLVM) - 1))
            return false;
        for (unsigned n = 0; n < ROUNDS_PER_ROW; n++)
            ended |= s->ended[n] == (int)row;
        rows++;
        ended |= stream_ends(row);
        missing += !ended;
        if (!ended)
            printf("row %s never came to its end\n", a64_rows[row].name);
    }
    printf("%u rows alone, %u never to their end, %u differences\n", rows, missing, s->failures);
    s->failures += missing;
    return true;
}

static bool run_streams(struct session *s, uint64_t seed, uint64_t count, unsigned profiles)
{
    for (uint64_t done = 0; done < count;) {
        unsigned n = 0;
        for (; n < STREAM_BATCH && done < count; n++, done++)
            s->profiles[stream_generate(&s->batch->streams[n], seed + done, profiles, n)]++;
        if (!run_batch(s, n, 1))
            return false;
        if (s->failures > MAX_REPORTS)
            break;
        if (done % PROGRESS == 0) {
            printf("%" PRIu64 " streams, %u differences\n", done, s->failures);
            fflush(stdout);
        }
    }
    return true;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 0) : otherwise;
}

static unsigned allowed_profiles(void)
{
    const char *text = getenv("PROFILE");
    unsigned mask = 0;

    for (unsigned n = 0; n < PROFILE_COUNT; n++)
        if (!text || strstr(text, profile_names[n]))
            mask |= 1u << n;
    return mask;
}

static void summary(const struct session *s, uint64_t seed)
{
    printf("streams:");
    for (unsigned n = 0; n < PROFILE_COUNT; n++)
        printf(" %s %" PRIu64, profile_names[n], s->profiles[n]);
    printf("; %" PRIu64 " without the oracle; %" PRIu64 " instructions\nends:", s->regimes, s->insns);
    for (unsigned n = 0; n < STREAM_ENDS; n++)
        printf(" %s %" PRIu64, stream_end_names[n], s->ends[n]);
    printf("\n");
    for (unsigned n = 0; n < HOSTS; n++) {
        if (!s->ours[n])
            continue;
        struct runner_counts made = ours_counts(s->ours[n]);
        printf("%s: %" PRIu64 " runs, inline table filled %" PRIu64 " times\n", hosts[n].name, s->runs[n],
               ours_fills(s->ours[n]));
        if (n >= HOST_LLVM)
            printf("  %" PRIu64 " regions of %" PRIu64 " parts, %" PRIu64 " refused\n", made.regions, made.parts,
                   made.refused);
    }
    for (unsigned n = 0; n < COMPARE_ALLOWANCES; n++)
        printf("allowed %" PRIu64 " times: %s. Arm ARM %s\n", s->allowed[n], compare_allowances[n].what,
               compare_allowances[n].manual);
    printf("SEED=%" PRIu64 ": %u differences\n", seed, s->failures);
}

int main(int argc, char **argv)
{
    static struct session s;
    uint64_t fresh = 0, count = number("STREAMS", DEFAULT_STREAMS);
    const char *rows = getenv("ROWS");

    if (getrandom(&fresh, 6, 0) != 6)
        return 1;
    uint64_t seed = number("SEED", fresh);
    s.llvm_share = number("LLVM", LLVM_SHARE);
    printf("SEED=%" PRIu64 " STREAMS=%" PRIu64 "\n", seed, count);
    fflush(stdout);
    if (!allowed_profiles()) {
        printf("PROFILE names no kind of stream\n");
        return 1;
    }
    if (argc < 2 || !open_session(&s, argv[1])) {
        printf("cannot start the engines\n");
        return 1;
    }
    bool ran = ((rows && !strcmp(rows, "0")) || run_rows(&s, seed)) && run_streams(&s, seed, count, allowed_profiles());
    summary(&s, seed);
    close_session(&s);
    return !ran || s.failures;
}
