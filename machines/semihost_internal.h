// SPDX-License-Identifier: MIT
// Shared by the files of semihosting: its state, and a call under way.
#ifndef MACHINES_SEMIHOST_INTERNAL_H
#define MACHINES_SEMIHOST_INTERNAL_H

#include "machines/semihost.h"

enum { SEMIHOST_HANDLES = 32, SEMIHOST_PATH = 1024, SEMIHOST_TRANSFER = 1 << 20, SEMIHOST_CHUNK = 4096 };

enum handle_kind { HANDLE_FREE, HANDLE_IN, HANDLE_OUT, HANDLE_ERR, HANDLE_FEATURES, HANDLE_FILE };

struct semihost {
    struct device dev;
    struct vcpu_semihost port;
    struct machine *machine;
    pthread_mutex_t lock;
    struct chardev *chardev; // or NULL
    int folder;              // descriptor, -1: no files
    bool readonly;
    uint32_t error; // of the last call that failed
    uint64_t ram_base, ram_size;
    char *command_line;
    struct {
        uint32_t kind; // enum handle_kind
        int fd;        // of a FILE; else -1
        uint64_t at; // of FEATURES
    } handles[SEMIHOST_HANDLES]; // a guest's handle is its number here plus one
};

// A call: the words of its parameter block, and where they came from.
struct semihost_call {
    struct semihost *s;
    const struct vcpu_memory *memory;
    unsigned cpu;
    uint64_t param, word[4];
};

#define SEMIHOST_FAILED UINT64_MAX
uint64_t semihost_fail(struct semihost_call *c, int error); // SEMIHOST_FAILED

// semihost_file.c; parameters are in c->word.
uint64_t semihost_open(struct semihost_call *c);
uint64_t semihost_close(struct semihost_call *c);
uint64_t semihost_write(struct semihost_call *c);
uint64_t semihost_read(struct semihost_call *c);
uint64_t semihost_seek(struct semihost_call *c);
uint64_t semihost_flen(struct semihost_call *c);
uint64_t semihost_istty(struct semihost_call *c);
uint64_t semihost_remove(struct semihost_call *c);
void semihost_close_all(struct semihost *s);
// After the kinds were loaded: closes the files of before, and forgets handles that no saved state has.
void semihost_handles_loaded(struct semihost *s);
// semihost.c: text of the guest's for the console.
void semihost_print(struct semihost *s, bool err, const void *text, size_t len);

#endif
