// SPDX-License-Identifier: MIT
// Private to machine_state*.c: chunks of a machine's stream, and what a save and a load keep.
#ifndef MACHINES_MACHINE_STATE_INTERNAL_H
#define MACHINES_MACHINE_STATE_INTERNAL_H

#include "hw/core/state.h"
#include "machines/machine_internal.h"
#include "machines/machine_state.h"

enum {
    STREAM_VERSION = 1,
    STREAM_HEADER = 16,
    CHUNK_HEADER = 24,
    CHUNK_NAME_MAX = 64,       // bytes of a type or a path
    CHUNK_MAX = 64 << 20,      // bytes of a payload
    RAM_HEADER = 16,
    RAM_RUN = 256,             // pages with contents in one chunk
};

// What follows the header of a ram chunk: nothing, for pages of zeros; the pages; the pages compressed.
enum ram_form { RAM_ZERO, RAM_PLAIN, RAM_ZLIB, RAM_ZSTD, RAM_FORMS };

struct chunk {
    char type[CHUNK_NAME_MAX + 1], path[CHUNK_NAME_MAX + 1];
    uint16_t version, flags;
    uint64_t length;
    uint32_t crc; // of the payload
};

void put_le(uint8_t *to, uint64_t value, unsigned size);
uint64_t get_le(const uint8_t *from, unsigned size);

// ---- machine_state_chunk.c
int stream_begin(struct state_writer *to, struct error *err);
int stream_check(struct state_reader *from, struct error *err);
// The payload comes in two parts, of which either may be empty.
int chunk_write(struct state_writer *to, const char *type, const char *path, const void *head, size_t head_size,
                const void *data, size_t size, struct error *err);
// A header that is what it was when it was written. The payload is read next.
int chunk_read(struct state_reader *from, struct chunk *ret_chunk, struct error *err);
// Reads size bytes of the payload, of which *left are to come, and adds them to *crc.
int chunk_part(struct state_reader *from, void *to, size_t size, uint64_t *left, uint32_t *crc, struct error *err);
// The whole payload into buf, whose contents are replaced; checked against the CRC.
int chunk_payload(struct state_reader *from, const struct chunk *chunk, struct state_buf *buf, struct error *err);
int buf_reserve(struct state_buf *buf, size_t size); // room for size bytes at least: 0 or -ENOMEM

// ---- machine_state_ram.c
struct ram_sender {
    struct mem_ram *ram;
    uint64_t *pages; // to send
};

enum { RAM_BLOCKS = 16 };

struct machine_save {
    struct machine *machine;
    char *config; // what the stream begins with
    struct ram_sender blocks[RAM_BLOCKS];
    size_t block_count;
    bool first_done;
    uint8_t *stage, *packed; // RAM_RUN pages; compressed
    size_t packed_size;
};

int ram_save_begin(struct machine_save *save, struct error *err);
void ram_save_end(struct machine_save *save);
// Takes the marks and sends. withdraw: vCPUs run.
int ram_save(struct machine_save *save, struct state_writer *to, bool withdraw, const _Atomic bool *stop,
             uint64_t *ret_pages, struct error *err);
// One ram chunk. only_check: into nowhere.
int ram_load(struct machine *machine, struct state_reader *from, const struct chunk *chunk, struct state_buf *buf,
             bool only_check, struct error *err);
void ram_load_begin(struct machine *machine);

// ---- machine_state.c
// Devices and drives have nothing under way afterwards. Main thread, lock held, vCPUs parked.
void machine_quiesce(struct machine *machine);

// ---- machine_state_config.c
// The text of the machine chunk, to be freed; NULL without memory.
char *config_text(struct machine *machine);
// Whether text, not terminated, is what ours is; else a sentence that names the first difference. Any thread.
int config_check(const char *ours, const char *text, size_t size, struct error *err);

#endif
