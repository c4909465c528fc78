// SPDX-License-Identifier: MIT
// Reads what a machine starts from (kernels, firmware, initrds, raw files) and keeps the pieces, so that a
// reset can write them again. Files are the user's: every malformed one is an error sentence, never a crash.
//
// Ownership: the loader owns its pieces. Thread: main thread only.
#ifndef MACHINES_LOADER_H
#define MACHINES_LOADER_H

#include "base/types.h"

struct error;
struct mem_space;

enum file_kind {
    FILE_RAW,
    FILE_ARM64_IMAGE,
    FILE_ARM64_IMAGE_GZ, // gzip around an Image, or an EFI zboot image with a gzip payload
    FILE_ELF,
    FILE_DTB,
    FILE_CPIO, // newc or a compressed stream: an initrd
    FILE_X86_KERNEL,
    FILE_ARM32_KERNEL,
};

struct loader_piece {
    char name[64];
    uint64_t addr, size; // guest-physical, bytes it occupies (zero-filled behind data)
    uint8_t *data;
    uint64_t data_size;
};

struct loader {
    struct loader_piece *pieces;
    size_t count;
};

// A kernel's or firmware's place, known after it was added.
struct loader_entry {
    uint64_t entry;     // where the first vCPU starts
    uint64_t low, high; // bytes occupied: [low, high)
    bool linux_image;   // an arm64 Image: boot protocol applies
};

// Reads a whole file of at most limit bytes. *ret_data is malloc'ed. what names the option in sentences.
int loader_read_file(const char *what, const char *path, uint64_t limit, uint8_t **ret_data,
                     uint64_t *ret_size, struct error *err);
enum file_kind loader_identify(const uint8_t *data, uint64_t size);
// As loader_identify after looking through compression at most limit bytes deep; for "run FILE".
int loader_identify_file(const char *path, enum file_kind *ret_kind, struct error *err);

// Adds a piece at addr; takes data (malloc'ed) in every case. -EEXIST with a sentence when it overlaps
// another.
int loader_add(struct loader *loader, const char *name, uint64_t addr, uint8_t *data, uint64_t data_size,
               uint64_t size, struct error *err);
// Reads a kernel (Image, gzip Image, zboot, ELF64) into RAM [ram_base, ram_base + ram_size).
int loader_add_kernel(struct loader *loader, const char *path, uint64_t ram_base, uint64_t ram_size,
                      struct loader_entry *ret_entry, struct error *err);
// The same for a kernel in memory; takes data (malloc'ed) in every case.
int loader_add_kernel_data(struct loader *loader, const char *name, uint8_t *data, uint64_t size, uint64_t ram_base,
                           uint64_t ram_size, struct loader_entry *ret_entry, struct error *err);
// Reads a kernel for firmware to start: as it is, but for a gzip around it. *ret_data is malloc'ed.
int loader_read_kernel(const char *path, uint64_t limit, uint8_t **ret_data, uint64_t *ret_size, struct error *err);
// Reads an ELF64 executable for AArch64 wherever its segments say.
int loader_add_elf(struct loader *loader, const char *path, uint8_t *data, uint64_t size,
                   struct loader_entry *ret_entry, struct error *err);

// Writes every piece to memory. -EFAULT with a sentence naming a piece that does not lie in RAM.
int loader_write(const struct loader *loader, struct mem_space *mem, struct error *err);
void loader_free(struct loader *loader);

#endif
