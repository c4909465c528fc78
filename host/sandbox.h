// SPDX-License-Identifier: MIT
// Gives up, for every thread of the process and for good, what a running machine does not need: system calls by a seccomp
// filter (what is not listed fails with EPERM), and files by Landlock where the kernel has it.
//
// Thread: the main thread, after set-up and before guest code runs; the other threads wait at a place where a signal may
// interrupt them.
#ifndef HOST_SANDBOX_H
#define HOST_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

struct error;

// What may still be opened by name. Reading what programs and libraries need is always granted.
enum sandbox_use {
    SANDBOX_READ,   // a file, or what is in a folder and below
    SANDBOX_WRITE,  // a file for reading and writing
    SANDBOX_REMOVE, // files in a folder, only to be removed
    SANDBOX_SERVE,  // anything within a folder: one that the guest is given
};
struct sandbox_path {
    const char *path;
    enum sandbox_use use;
};

struct sandbox_config {
    const struct sandbox_path *paths; // those that do not exist are passed over
    size_t path_count;
    bool any_file; // who commands the machine may name files that nobody can know yet: none is out of reach
};

// 0 and, in ret_missing (as much as fits, perhaps ""), a sentence for what this kernel does not have; or a negative
// errno, after which part of it may be in force.
int sandbox_enter(const struct sandbox_config *config, char *ret_missing, size_t missing_size, struct error *err);

#endif
