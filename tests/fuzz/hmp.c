// SPDX-License-Identifier: MIT
// Keys that a person might press in the human monitor, the commands of which are served by a machine that
// runs nothing.
#include "control/monitor/monitor.h"
#include "tests/fuzz/machine.h"

static void *open_monitor(struct machine *machine, struct chardev *chardev)
{
    struct monitor *monitor;
    FUZZ_CHECK(!monitor_create(machine, chardev, &monitor, NULL));
    return monitor;
}

static void close_monitor(void *monitor)
{
    monitor_destroy(monitor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_session session = {open_monitor, close_monitor};
    fuzz_machine_run(&session, data, size);
    return 0;
}
