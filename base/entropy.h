// SPDX-License-Identifier: MIT
// The machine's randomness: the host's (getrandom), or a seeded sequence so that a run can be repeated.
// Thread: any; fill takes the object's own lock only when it is seeded.
#ifndef BASE_ENTROPY_H
#define BASE_ENTROPY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entropy {
    bool seeded;
    uint64_t state[4]; // xoshiro256**, part of a snapshot when seeded
    pthread_mutex_t lock;
};

void entropy_init(struct entropy *entropy);                       // the host's randomness
void entropy_init_seeded(struct entropy *entropy, uint64_t seed); // repeatable, not for keys
void entropy_destroy(struct entropy *entropy);

// 0, or a negative errno when the host has no randomness to give (the buffer is then zero).
int entropy_fill(struct entropy *entropy, void *buf, size_t len);

#endif
