// SPDX-License-Identifier: MIT
// Bytes that a tool might send to a QMP monitor, the commands of which are served by a machine that runs
// nothing. The first byte says whether replies are pretty.
#include "control/qmp/qmp.h"
#include "tests/fuzz/machine.h"

static void *open_plain(struct machine *machine, struct chardev *chardev)
{
    struct qmp *qmp;
    FUZZ_CHECK(!qmp_create(machine, chardev, false, &qmp, NULL));
    return qmp;
}

static void *open_pretty(struct machine *machine, struct chardev *chardev)
{
    struct qmp *qmp;
    FUZZ_CHECK(!qmp_create(machine, chardev, true, &qmp, NULL));
    return qmp;
}

static void close_qmp(void *qmp)
{
    qmp_destroy(qmp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_session plain = {open_plain, close_qmp}, pretty = {open_pretty, close_qmp};
    if (size)
        fuzz_machine_run(data[0] & 1 ? &pretty : &plain, data + 1, size - 1);
    return 0;
}
