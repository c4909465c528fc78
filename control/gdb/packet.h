// SPDX-License-Identifier: MIT
// The packet layer of GDB's remote protocol ("Overview" in its appendix): framing, checksums, escapes. Pure data, no
// input or output; any bytes may be fed to it.
#ifndef CONTROL_GDB_PACKET_H
#define CONTROL_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GDB_PACKET_MAX = 0x4000,          // bytes between $ and #, either way: the PacketSize we announce
    GDB_FRAME_MAX = GDB_PACKET_MAX + 4, // $ ... #xx
};

// What a byte completed.
enum gdb_input {
    GDB_INPUT_NONE,
    GDB_INPUT_PACKET,    // data, len: checksum right, escapes undone, a zero after the end
    GDB_INPUT_BAD,       // a packet with a wrong checksum or too long: to be refused
    GDB_INPUT_ACK,
    GDB_INPUT_NACK,      // the last reply is wanted again
    GDB_INPUT_INTERRUPT, // Ctrl-C
};

struct gdb_parser {
    uint8_t state, sum, wanted;
    bool escaped, too_long;
    size_t len;
    uint8_t data[GDB_PACKET_MAX + 1];
};

void gdb_parser_reset(struct gdb_parser *parser);
enum gdb_input gdb_parse(struct gdb_parser *parser, uint8_t byte);

// A reply being written. What does not fit is cut off and marks it full.
struct gdb_reply {
    bool full;
    size_t len; // of data, escapes included
    uint8_t data[GDB_PACKET_MAX];
};

void gdb_reply_clear(struct gdb_reply *reply);
void gdb_put(struct gdb_reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gdb_put_hex(struct gdb_reply *reply, const void *bytes, size_t len);
// With escapes. False, and nothing added, when the byte does not fit.
bool gdb_put_binary(struct gdb_reply *reply, uint8_t byte);
// The whole frame into frame[GDB_FRAME_MAX]; its length.
size_t gdb_frame(const struct gdb_reply *reply, uint8_t *frame);

// Reads digits from *at (at least one, at most 16) and moves past them.
bool gdb_get_u64(const char **at, uint64_t *ret_value);
// Exactly len bytes from 2 * len digits.
bool gdb_get_bytes(const char **at, void *buf, size_t len);

#endif
