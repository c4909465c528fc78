// SPDX-License-Identifier: MIT
// One test that fails and one that leaves by its first assertion: the program must report both.
#include <criterion/criterion.h>
#include <stdlib.h>

Test(inprocess, expects) { cr_expect_eq(1, 2, "as it should"); }

Test(inprocess, leaves)
{
    cr_assert_eq(2, 3);
    abort();
}
