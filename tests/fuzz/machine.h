// SPDX-License-Identifier: MIT
// A whole machine over the fake accelerator for targets of the control layer: virt with two CPUs and a few
// devices, a character device whose input is the fuzzer's, and a run that ends when the input has been taken.
//
// Where a migration could go is stubbed out: an input must not run programs or open files and sockets.
#ifndef TESTS_FUZZ_MACHINE_H
#define TESTS_FUZZ_MACHINE_H

#include "machines/machine.h"
#include "tests/fuzz/fuzz.h"

struct chardev;

struct fuzz_session {
    // Attaches to the machine's chardev what is fuzzed, and detaches it. Machine lock held.
    void *(*open)(struct machine *machine, struct chardev *chardev);
    void (*close)(void *what);
};

// Runs one machine and gives its chardev the input; a byte 0 hangs up and connects again.
void fuzz_machine_run(const struct fuzz_session *session, const uint8_t *data, size_t size);

#endif
