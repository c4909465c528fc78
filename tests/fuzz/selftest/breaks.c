// SPDX-License-Identifier: MIT
// A target that breaks on inputs that are near its corpus, not in it: shows that the driver finds such and
// fails.
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_CHECK(size < 4 || data[2] != 0xff);
    return 0;
}
