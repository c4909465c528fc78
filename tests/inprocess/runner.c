// SPDX-License-Identifier: MIT
// Runs Criterion's tests one after the other in this process. Criterion's own runner gives each test a process
// and a memory arena at an address that ThreadSanitizer does not allow, so no test would start under it; linked
// into a test program, this file stands in for that runner by defining the functions that the test macros call.
// Used in thread-sanitizer builds only: a test that crashes ends the program, and a test that expects a signal
// or an exit code is left out with a line that says so.
#include <criterion/criterion.h>
#include <criterion/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

// The linker's names for the ends of the section in which Test() leaves a pointer to each test. Absent in programs
// that bring their own main and only need what assertions call.
extern struct criterion_test *const __start_cr_tst[] __attribute__((weak));
extern struct criterion_test *const __stop_cr_tst[] __attribute__((weak));
// The same of TestSuite(), absent where a program has none.
extern struct criterion_suite *const __start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *const __stop_cr_sts[] __attribute__((weak));

static struct {
    const struct criterion_test *test;
    const struct criterion_suite *suite; // NULL if the test's was not declared
    jmp_buf leave;
    bool failed, skipped;
} now;

void criterion_send_assert(struct criterion_assert_stats *stats)
{
    if (stats->passed)
        return;
    now.failed = true;
    printf("%s:%u: assertion failed: %s\n", stats->file, stats->line, stats->message ? stats->message : "");
}

void cri_asserts_passed_incr(void) {}

void criterion_abort_test(void)
{
    now.failed = true;
    longjmp(now.leave, 1);
}

void criterion_skip_test(const char *format, ...)
{
    va_list arguments;
    now.skipped = true;
    if (format != NULL) {
        va_start(arguments, format);
        fputs("skip: ", stdout);
        vprintf(format, arguments);
        fputs("\n", stdout);
        va_end(arguments);
    }
    longjmp(now.leave, 1);
}

void criterion_internal_test_setup(void)
{
    if (now.suite != NULL && now.suite->data->init != NULL)
        now.suite->data->init();
    if (now.test->data->init != NULL)
        now.test->data->init();
}

void criterion_internal_test_main(void (*function)(void))
{
    if (setjmp(now.leave) == 0)
        function();
}

void criterion_internal_test_teardown(void)
{
    if (now.test->data->fini != NULL)
        now.test->data->fini();
    if (now.suite != NULL && now.suite->data->fini != NULL)
        now.suite->data->fini();
}

static const struct criterion_suite *suite_of(const struct criterion_test *test)
{
    for (struct criterion_suite *const *at = __start_cr_sts; at < __stop_cr_sts; at++)
        if (*at != NULL && (*at)->data != NULL && strcmp((*at)->name, test->category) == 0)
            return *at;
    return NULL;
}

__attribute__((weak)) int main(void)
{
    unsigned ran = 0, failed = 0;
    for (struct criterion_test *const *at = __start_cr_tst; at < __stop_cr_tst; at++) {
        const struct criterion_test *test = *at;
        if (test == NULL || test->data->disabled)
            continue;
        if (test->data->signal != 0 || test->data->exit_code != 0 || test->data->kind_ != CR_TEST_NORMAL) {
            printf("left out: %s.%s needs a process of its own\n", test->category, test->name);
            continue;
        }
        now.test = test;
        now.suite = suite_of(test);
        now.failed = now.skipped = false;
        test->test();
        ran += !now.skipped;
        failed += now.failed;
        if (now.failed)
            printf("FAIL: %s.%s\n", test->category, test->name);
        fflush(stdout);
    }
    printf("%u tests in one process, %u failed\n", ran, failed);
    return failed != 0;
}
