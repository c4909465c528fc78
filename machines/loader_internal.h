// SPDX-License-Identifier: MIT
// Shared by the loader's files only: reading little-endian fields of untrusted files.
#ifndef MACHINES_LOADER_INTERNAL_H
#define MACHINES_LOADER_INTERNAL_H

#include <stdint.h>

// size bytes at p as a little-endian number; the caller has checked that they exist.
uint64_t loader_get(const uint8_t *p, unsigned size);

#endif
