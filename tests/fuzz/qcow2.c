// SPDX-License-Identifier: MIT
// A qcow2 image of any bytes, or a file whose format is to be found out, and what is done with it: reads,
// writes, snapshots, checks, repairs. The input is a byte of ways to open it, the number of calls, six bytes
// for each, and the image. Whatever the file says, calls return, memory and the file's size stay bounded.
#include "host/image.h"
#include "tests/fuzz/rig.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CALLS_MAX = 32, FILE_MAX = 64 << 20 };

static void call(struct image *image, struct fuzz_input *in)
{
    struct image_snapshot *list = NULL, new = {.name = "new"};
    struct image_check check;
    uint8_t buf[8192];
    size_t count = 0;
    uint8_t what = fuzz_u8(in), detail = fuzz_u8(in);
    uint64_t size = image_size(image), offset = (uint64_t)fuzz_u16(in) << (detail & 7), run,
             len = 1 + fuzz_u16(in) % sizeof buf;
    bool zero;
    char name[3] = {'s', (char)('0' + detail % 3), 0};
    memset(buf, what, sizeof buf);
    switch (what % 16) {
    case 0: image_discard(image, offset, len); break;
    case 1: image_zero(image, offset, len << (detail & 7), detail & 8); break;
    case 2: image_status(image, offset, size > offset ? size - offset : 1, &zero, &run); break;
    case 3: image_flush(image); break;
    case 4: image_vmstate_read(image, offset, buf, len); break;
    case 5: image_vmstate_write(image, offset, buf, len); break;
    case 6: image_snapshot_apply(image, name, NULL); break;
    case 7: image_snapshot_create(image, &new, NULL); break;
    case 8: image_snapshot_delete(image, name, NULL); break;
    case 9:
        if (!image_snapshot_list(image, &list, &count, NULL))
            for (size_t i = 0; i < count; i++)
                FUZZ_CHECK(memchr(list[i].name, 0, sizeof list[i].name) &&
                           memchr(list[i].id, 0, sizeof list[i].id));
        free(list);
        break;
    case 10: image_check(image, (enum image_repair)(detail % 3), NULL, NULL, &check, NULL); break;
    case 11: image_resize(image, size + offset, detail & 1, NULL); break;
    case 12:
        image_write_compressed(image, offset & ~(image_granule(image) - 1), buf,
                               image_granule(image) < sizeof buf ? image_granule(image) : sizeof buf);
        break;
    case 13:
    case 14: image_pwrite(image, offset, buf, len); break;
    default: image_pread(image, offset, buf, len); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    static int fd = -1;
    struct fuzz_input in = {data, size}, calls = {0};
    if (fd < 0) {
        struct rlimit limit = {FILE_MAX, RLIM_INFINITY};
        fd = rig_file(0, path);
        setrlimit(RLIMIT_FSIZE, &limit);
        signal(SIGXFSZ, SIG_IGN);
    }
    uint8_t how = fuzz_u8(&in), count = fuzz_u8(&in) % CALLS_MAX;
    calls.data = fuzz_bytes(&in, count * 6u, &calls.size);
    FUZZ_CHECK(!ftruncate(fd, 0) && pwrite(fd, in.data, in.size, 0) == (ssize_t)in.size);
    struct image_options options = {.path = path,
                                    .format = how & 16 ? NULL : "qcow2",
                                    .unmap = how & 1,
                                    .no_backing = true,
                                    .readonly = how & 2,
                                    .as_is = how & 4,
                                    .snapshot = how & 2 && how & 8 ? "s1" : NULL};
    struct image *image;
    if (image_open(&options, &image, NULL))
        return 0;
    while (count--)
        call(image, &calls);
    image_close(image);
    return 0;
}
