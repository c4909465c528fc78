// SPDX-License-Identifier: MIT
// What runs streams: qemu-aarch64 as the oracle, in batches, and our translators over the flat accel, under the
// interpreter, the x64 backend or the optimising tier. One thread.
#ifndef TESTS_STREAM_ENGINES_H
#define TESTS_STREAM_ENGINES_H

#include "tests/insn/runner.h"
#include "tests/insn/streams/stream.h"

struct oracle;
// Starts qemu-aarch64 with the guest program at path. NULL where it cannot run.
struct oracle *oracle_open(const char *guest);
void oracle_close(struct oracle *oracle);
// The batch to fill in: count, image and streams.
struct stream_batch *oracle_batch(struct oracle *oracle);
// Runs the batch in place. False when QEMU has ended.
bool oracle_run(struct oracle *oracle);

struct ours;
// NULL where this host cannot run the engine. features: mask of enum x64_feature, 0 for all.
struct ours *ours_open(enum runner_engine engine, uint64_t features);
void ours_close(struct ours *ours);
// Puts the code of a batch in place; what is in no stream is zero, since streams read code as data now and then.
void ours_load(struct ours *ours, const struct stream *streams, unsigned count);
// Runs one of them in place on memory, an image, in place. s->seed chooses the lengths of units, what the inline
// table holds and when it is filled, (interpreter) whether units are optimised, and (optimising tier) where parts of
// regions begin. NULL, or what went wrong in words that live until the next call.
const char *ours_run(struct ours *ours, struct stream *s, uint8_t memory[STREAM_IMAGE]);
// Accesses that went the slow path and filled the inline table since it was opened.
uint64_t ours_fills(const struct ours *ours);
struct runner_counts ours_counts(const struct ours *ours);

#endif
