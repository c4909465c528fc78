// SPDX-License-Identifier: MIT
// The public face of the ARM64 frontend: everything else in this folder is its own.
#ifndef FRONTENDS_A64_A64_H
#define FRONTENDS_A64_A64_H

#include "accel/guest_isa.h"

extern const struct guest_isa a64_isa;

#endif
