// SPDX-License-Identifier: MIT
// Shared by the commands of "isomer img": options as getopt's letters collect them. Private to control/img.
#ifndef CONTROL_IMG_IMG_INTERNAL_H
#define CONTROL_IMG_IMG_INTERNAL_H

#include "base/keyval.h"
#include "host/image.h"

#include <stdio.h>

enum { IMG_OK = 0, IMG_FAILED = 1, IMG_ERRORS = 2, IMG_LEAKS = 3, IMG_NO_CHECK = 63 };

struct img {
    const char *values[128];  // of the options, by letter
    bool given[128];          // options without a value, too
    struct keyval_list extra; // -o
    const char *names[3];     // arguments that are no options
    int name_count;
    FILE *out;
};

int img_convert(struct img *img, struct error *err);
// Fills what -o, -b, -F and the format say; the size stays. Lists that other users own are borrowed.
int img_creation(struct img *img, const char *format, struct image_create *create, struct error *err);

#endif
