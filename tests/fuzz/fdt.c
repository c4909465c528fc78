// SPDX-License-Identifier: MIT
// A user's device tree (-dtb), into which memory, command line and initrd are put (virt_fdt_patch). What
// comes out is a tree that can be put in again.
#include "base/entropy.h"
#include "base/error.h"
#include "machines/virt_fdt.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct entropy entropy;
    struct error err = {0};
    uint8_t flags = fuzz_u8(&in);
    entropy_init_seeded(&entropy, 1);
    struct virt_fdt_config c = {.ram_base = 0x40000000,
                                .ram_size = 64 << 20,
                                .cpu_count = 1,
                                .entropy = &entropy,
                                .append = flags & 1 ? "console=ttyAMA0 root=/dev/vda" : NULL,
                                .dtb_randomness = flags & 2};
    if (flags & 4) {
        c.initrd = 0x44000000;
        c.initrd_size = 12345;
    }
    // The file's bytes, and one more, as loader_read_file leaves them.
    uint8_t *file = malloc(in.size + 1);
    void *fdt, *again;
    uint64_t fdt_size, again_size;
    memcpy(file, in.data, in.size);
    if (!virt_fdt_patch(&c, file, in.size, &fdt, &fdt_size, &err)) {
        FUZZ_CHECK(fdt_size <= in.size + 65536);
        uint8_t *copy = malloc(fdt_size + 1);
        memcpy(copy, fdt, fdt_size);
        if (fdt_size <= VIRT_FDT_MAX) {
            FUZZ_CHECK(!virt_fdt_patch(&c, copy, fdt_size, &again, &again_size, &err));
            free(again);
        } else {
            free(copy);
        }
        free(fdt);
    } else {
        FUZZ_CHECK(err.text[0]);
    }
    entropy_destroy(&entropy);
    return 0;
}
