// SPDX-License-Identifier: MIT
// "isomer img": makes, copies, checks and describes disk images, in qemu-img's words. Thread: main thread.
#ifndef CONTROL_IMG_IMG_H
#define CONTROL_IMG_IMG_H

#include <stdio.h>

// The arguments behind "img". The exit status: 0; 1 and a sentence on standard error; and for check 2 where
// errors were found, 3 where only leaks were, 63 where the format has no check.
int img_main(int argc, char *const argv[], FILE *out);

#endif
