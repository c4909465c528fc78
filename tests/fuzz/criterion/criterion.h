// SPDX-License-Identifier: MIT
// Stands for Criterion in fuzz targets, so that they can use the rigs of other tests: an assertion that fails
// ends the process, which is what a fuzzer looks for. Sentences of assertions are dropped.
#ifndef TESTS_FUZZ_CRITERION_CRITERION_H
#define TESTS_FUZZ_CRITERION_CRITERION_H

#include "tests/fuzz/fuzz.h"

#define cr_assert(condition, ...) FUZZ_CHECK(condition)
#define cr_assert_not(condition, ...) FUZZ_CHECK(!(condition))
#define cr_assert_eq(a, b, ...) FUZZ_CHECK((a) == (b))
#define cr_assert_lt(a, b, ...) FUZZ_CHECK((a) < (b))
#define cr_expect(condition, ...) FUZZ_CHECK(condition)

#endif
