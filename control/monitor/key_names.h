// SPDX-License-Identifier: MIT
// Keys by the names that monitors use (QEMU's QKeyCode) and by PC scan codes (its "number"), as Linux's key codes.
#ifndef CONTROL_MONITOR_KEY_NAMES_H
#define CONTROL_MONITOR_KEY_NAMES_H

#include <stddef.h>
#include <stdint.h>

// The name is len characters long. 0: there is no such key.
uint16_t key_by_name(const char *name, size_t len);
// A scan code of set 1; bit 7 stands for the prefix E0. 0: there is no such key.
uint16_t key_by_number(uint64_t number);

#endif
