// SPDX-License-Identifier: MIT
// Cuts a stream of bytes into JSON values, without understanding more of them than where one ends. Pure data, no input
// or output; any bytes may be fed to it, and what a value may cost is bounded.
#ifndef CONTROL_QMP_FRAME_H
#define CONTROL_QMP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QMP_VALUE_MAX = 256 << 10, // bytes of one value
    QMP_DEPTH_MAX = 32,        // arrays and objects within each other
};

// What a byte completed. After an error input is dropped up to the end of the line.
enum qmp_input {
    QMP_INPUT_NONE,
    QMP_INPUT_VALUE, // text, len: an object or array with balanced brackets, a zero after the end
    QMP_INPUT_BAD,
    QMP_INPUT_TOO_LONG,
    QMP_INPUT_TOO_DEEP,
    QMP_INPUT_NO_MEMORY,
};

// Start it as {0}. text is owned by the frame and valid until the next byte.
struct qmp_frame {
    char *text;
    size_t len, capacity;
    unsigned depth;
    char quote; // of the string we are in, or 0
    bool escaped, dropping;
};

enum qmp_input qmp_frame_byte(struct qmp_frame *frame, uint8_t byte);
// Forgets what is incomplete, and gives back memory.
void qmp_frame_reset(struct qmp_frame *frame);

#endif
