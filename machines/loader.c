// SPDX-License-Identifier: MIT
// Owns the pieces that a machine starts from, and the reading of kernels: the arm64 Image header (Linux
// Documentation/arch/arm64/booting.rst), gzip, EFI zboot, and raw files. ELF is in loader_elf.c.
// Invariant: pieces never overlap, and no length from a file is used before it was checked against the file's
// size.
#include "machines/loader.h"
#include "base/error.h"
#include "machines/loader_internal.h"
#include "mem/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    IMAGE_HEADER_SIZE = 64,
    IMAGE_TEXT_OFFSET = 8,
    IMAGE_SIZE = 16,
    IMAGE_FLAGS = 24,
    IMAGE_MAGIC = 56,
    IMAGE_OLD_TEXT_OFFSET = 0x80000, // kernels before 3.17 left image_size zero
    ZBOOT_PAYLOAD_OFFSET = 8,
    ZBOOT_PAYLOAD_SIZE = 12,
    ZBOOT_METHOD = 24,
    X86_HEADER_MAGIC = 0x202,
    ARM32_MAGIC = 0x24,
    KERNEL_ALIGN = 2 << 20,
};

uint64_t loader_get(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;
    for (unsigned i = size; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

int loader_read_file(const char *what, const char *path, uint64_t limit, uint8_t **ret_data,
                     uint64_t *ret_size, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) {
        int code = -errno;
        if (fd >= 0)
            close(fd);
        return error_set(err, code, "%s: cannot open '%s': %s", what, path, strerror(-code));
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        close(fd);
        return error_set(err, -EINVAL, "%s: '%s' is not a regular file", what, path);
    }
    uint64_t size = (uint64_t)st.st_size, done = 0;
    if (size > limit) {
        close(fd);
        return error_set(err, -EFBIG,
                         "%s: '%s' (%" PRIu64 " bytes) is larger than the %" PRIu64 " bytes it must fit",
                         what, path, size, limit);
    }
    uint8_t *data = malloc(size + 1);
    while (data && done < size) {
        ssize_t n = read(fd, data + done, size - done);
        if (n <= 0)
            break;
        done += (uint64_t)n;
    }
    close(fd);
    if (!data || done != size) {
        free(data);
        return error_set(err, -EIO, "%s: cannot read '%s'", what, path);
    }
    *ret_data = data;
    *ret_size = size;
    return 0;
}

static bool has(const uint8_t *data, uint64_t size, uint64_t offset, const char *bytes, size_t len)
{
    return size >= offset + len && !memcmp(data + offset, bytes, len);
}

enum file_kind loader_identify(const uint8_t *data, uint64_t size)
{
    if (has(data, size, IMAGE_MAGIC, "ARM\x64", 4))
        return FILE_ARM64_IMAGE;
    if (has(data, size, 0, "\x1f\x8b", 2) || has(data, size, 4, "zimg", 4))
        return FILE_ARM64_IMAGE_GZ;
    if (has(data, size, 0,
            "\x7f"
            "ELF",
            4))
        return FILE_ELF;
    if (has(data, size, 0, "\xd0\x0d\xfe\xed", 4))
        return FILE_DTB;
    if (has(data, size, 0, "070701", 6) || has(data, size, 0, "070702", 6) ||
        has(data, size, 0, "\x28\xb5\x2f\xfd", 4) ||
        has(data, size, 0,
            "\xfd"
            "7zXZ",
            5))
        return FILE_CPIO;
    if (has(data, size, X86_HEADER_MAGIC, "HdrS", 4))
        return FILE_X86_KERNEL;
    if (has(data, size, ARM32_MAGIC, "\x18\x28\x6f\x01", 4))
        return FILE_ARM32_KERNEL;
    return FILE_RAW;
}

// Inflates a gzip stream; the result may have at most limit bytes. partial: a full buffer is good enough.
static int gunzip(const char *path, const uint8_t *data, uint64_t size, uint64_t limit, bool partial,
                  uint8_t **ret_data, uint64_t *ret_size, struct error *err)
{
    enum { GZIP_WINDOW = 15 + 16, STEP = 1 << 24 };
    z_stream z = {0};
    uint64_t room = 0, done = 0, taken = 0;
    uint8_t *out = NULL;
    int r = inflateInit2(&z, GZIP_WINDOW);
    while (r == Z_OK) {
        if (done == room) {
            if (room >= limit)
                break;
            room = room + STEP < limit ? room + STEP : limit;
            uint8_t *more = realloc(out, room);
            if (!more) {
                r = Z_MEM_ERROR;
                break;
            }
            out = more;
        }
        z.next_in = (uint8_t *)data + taken;
        z.avail_in = size - taken > STEP ? STEP : (uInt)(size - taken);
        z.next_out = out + done;
        z.avail_out = (uInt)(room - done);
        r = inflate(&z, Z_NO_FLUSH);
        taken = (uint64_t)(z.next_in - data);
        done = (uint64_t)(z.next_out - out);
        if (r == Z_BUF_ERROR || (r == Z_OK && taken == size && done < room))
            r = Z_DATA_ERROR;
    }
    inflateEnd(&z);
    if (r == Z_STREAM_END || (r == Z_OK && partial)) {
        *ret_data = out;
        *ret_size = done;
        return 0;
    }
    free(out);
    if (r == Z_OK)
        return error_set(err, -EFBIG, "'%s' is larger than RAM when decompressed", path);
    return error_set(err, r == Z_MEM_ERROR ? -ENOMEM : -EINVAL,
                     "the gzip data of '%s' is truncated or damaged", path);
}

int loader_identify_file(const char *path, enum file_kind *ret_kind, struct error *err)
{
    enum { HEAD = 4096 };
    uint8_t head[HEAD];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, -errno, "cannot open '%s': %s", path, strerror(errno));
    ssize_t n = read(fd, head, sizeof head);
    close(fd);
    if (n < 0)
        return error_set(err, -EIO, "cannot read '%s'", path);
    enum file_kind kind = loader_identify(head, (uint64_t)n);
    if (kind == FILE_ARM64_IMAGE_GZ && has(head, (uint64_t)n, 0, "\x1f\x8b", 2)) {
        uint8_t *data, *plain;
        uint64_t size, plain_size;
        int r = loader_read_file("file", path, UINT32_MAX, &data, &size, err);
        if (r)
            return r;
        r = gunzip(path, data, size, HEAD, true, &plain, &plain_size, err);
        free(data);
        if (r)
            return r;
        enum file_kind inner = loader_identify(plain, plain_size);
        free(plain);
        if (inner != FILE_ARM64_IMAGE)
            kind = inner == FILE_CPIO ? FILE_CPIO : FILE_RAW;
    }
    *ret_kind = kind;
    return 0;
}

int loader_add(struct loader *loader, const char *name, uint64_t addr, uint8_t *data, uint64_t data_size,
               uint64_t size, struct error *err)
{
    int r = 0;
    if (size < data_size)
        size = data_size;
    if (addr + size < addr)
        r = error_set(err, -EINVAL, "'%s' at 0x%" PRIx64 " does not fit below the end of the address space",
                      name, addr);
    for (size_t i = 0; !r && i < loader->count; i++) {
        const struct loader_piece *p = &loader->pieces[i];
        if (addr < p->addr + p->size && p->addr < addr + size)
            r = error_set(err, -EEXIST,
                          "'%s' at 0x%" PRIx64 "-0x%" PRIx64 " overlaps '%s' at 0x%" PRIx64 "-0x%" PRIx64,
                          name, addr, addr + size, p->name, p->addr, p->addr + p->size);
    }
    struct loader_piece *pieces = r ? NULL : realloc(loader->pieces, (loader->count + 1) * sizeof *pieces);
    if (!pieces) {
        free(data);
        return r ? r : error_set(err, -ENOMEM, "out of memory");
    }
    loader->pieces = pieces;
    struct loader_piece *p = &pieces[loader->count++];
    *p = (struct loader_piece){.addr = addr, .size = size, .data = data, .data_size = data_size};
    snprintf(p->name, sizeof p->name, "%s", name);
    return 0;
}

// An Image goes to a 2 MiB boundary plus its text_offset. The first 2 MiB of RAM stay free, as on QEMU's
// virt.
static int add_image(struct loader *loader, const char *path, uint8_t *data, uint64_t size, uint64_t ram_base,
                     uint64_t ram_size, struct loader_entry *ret_entry, struct error *err)
{
    uint64_t text_offset = loader_get(data + IMAGE_TEXT_OFFSET, 8);
    uint64_t image_size = loader_get(data + IMAGE_SIZE, 8);
    uint64_t flags = loader_get(data + IMAGE_FLAGS, 8);
    int r = 0;
    if (!image_size)
        text_offset = IMAGE_OLD_TEXT_OFFSET;
    if (flags & 1)
        r = error_set(err, -EINVAL, "kernel '%s' is big-endian, which this machine does not run", path);
    else if (text_offset >= ram_size || image_size > ram_size || size > ram_size)
        r = error_set(err, -EFBIG, "kernel '%s' does not fit into %" PRIu64 " MiB of RAM", path,
                      ram_size >> 20);
    if (r) {
        free(data);
        return r;
    }
    if (image_size < size)
        image_size = size;
    uint64_t base = ram_base + text_offset + (text_offset < 4096 ? KERNEL_ALIGN : 0);
    if (base + image_size > ram_base + ram_size)
        base = ram_base + text_offset; // tight RAM: use the first 2 MiB too
    if (base + image_size > ram_base + ram_size) {
        free(data);
        return error_set(err, -EFBIG, "kernel '%s' does not fit into %" PRIu64 " MiB of RAM", path,
                         ram_size >> 20);
    }
    r = loader_add(loader, path, base, data, size, image_size, err);
    if (!r)
        *ret_entry =
            (struct loader_entry){.entry = base, .low = base, .high = base + image_size, .linux_image = true};
    return r;
}

// Replaces *data by what it decompresses to.
static int unpack(const char *path, uint8_t **data, uint64_t *size, uint64_t limit, struct error *err)
{
    const uint8_t *payload = *data;
    uint64_t payload_size = *size;
    if (has(*data, *size, 4, "zimg", 4)) {
        if (*size < IMAGE_HEADER_SIZE)
            return error_set(err, -EINVAL, "kernel '%s' is truncated", path);
        uint64_t offset = loader_get(*data + ZBOOT_PAYLOAD_OFFSET, 4);
        payload_size = loader_get(*data + ZBOOT_PAYLOAD_SIZE, 4);
        if (!has(*data, *size, ZBOOT_METHOD, "gzip", 5))
            return error_set(
                err, -EINVAL,
                "kernel '%s' is an EFI zboot image compressed with '%.8s'; only gzip is supported", path,
                (const char *)*data + ZBOOT_METHOD);
        if (offset > *size || payload_size > *size - offset)
            return error_set(err, -EINVAL, "kernel '%s' is truncated", path);
        payload += offset;
    }
    uint8_t *plain;
    uint64_t plain_size;
    int r = gunzip(path, payload, payload_size, limit, false, &plain, &plain_size, err);
    if (r)
        return r;
    free(*data);
    *data = plain;
    *size = plain_size;
    return 0;
}

int loader_add_kernel_data(struct loader *loader, const char *path, uint8_t *data, uint64_t size, uint64_t ram_base,
                           uint64_t ram_size, struct loader_entry *ret_entry, struct error *err)
{
    int r = 0;
    enum file_kind kind = loader_identify(data, size);
    if (kind == FILE_ARM64_IMAGE_GZ) {
        r = unpack(path, &data, &size, ram_size, err);
        kind = r ? FILE_RAW : loader_identify(data, size);
    }
    if (r) {
        free(data);
        return r;
    }
    if (kind == FILE_ARM64_IMAGE && size >= IMAGE_HEADER_SIZE)
        return add_image(loader, path, data, size, ram_base, ram_size, ret_entry, err);
    if (kind == FILE_ELF)
        return loader_add_elf(loader, path, data, size, ret_entry, err);
    free(data);
    if (kind == FILE_X86_KERNEL)
        return error_set(err, -EINVAL, "kernel '%s' is built for x86; this machine is ARM64", path);
    if (kind == FILE_ARM32_KERNEL)
        return error_set(err, -EINVAL, "kernel '%s' is built for 32-bit ARM; this machine is ARM64", path);
    return error_set(err, -EINVAL,
                     "'%s' is not a kernel (neither an arm64 Image, plain or gzip, nor an ELF file)", path);
}

int loader_add_kernel(struct loader *loader, const char *path, uint64_t ram_base, uint64_t ram_size,
                      struct loader_entry *ret_entry, struct error *err)
{
    uint8_t *data;
    uint64_t size;
    int r = loader_read_file("-kernel", path, ram_size, &data, &size, err);
    return r ? r : loader_add_kernel_data(loader, path, data, size, ram_base, ram_size, ret_entry, err);
}

int loader_read_kernel(const char *path, uint64_t limit, uint8_t **ret_data, uint64_t *ret_size, struct error *err)
{
    int r = loader_read_file("-kernel", path, limit, ret_data, ret_size, err);
    if (r || !has(*ret_data, *ret_size, 0, "\x1f\x8b", 2))
        return r;
    r = unpack(path, ret_data, ret_size, limit, err);
    if (r)
        free(*ret_data);
    return r;
}

int loader_write(const struct loader *loader, struct mem_space *mem, struct error *err)
{
    for (size_t i = 0; i < loader->count; i++) {
        const struct loader_piece *p = &loader->pieces[i];
        uint64_t done = 0;
        while (done < p->size) {
            const struct mem_range *range = mem_find(mem, (struct gpa){p->addr + done});
            if (!range || !range->ram)
                return error_set(err, -EFAULT, "'%s' at 0x%" PRIx64 "-0x%" PRIx64 " does not lie in RAM",
                                 p->name, p->addr, p->addr + p->size);
            uint64_t in = p->addr + done - range->base;
            uint64_t len = range->size - in < p->size - done ? range->size - in : p->size - done;
            uint8_t *to = range->ram->host + range->ram_offset + in;
            uint64_t copy = done >= p->data_size ? 0 : p->data_size - done < len ? p->data_size - done : len;
            if (copy)
                memcpy(to, p->data + done, copy);
            memset(to + copy, 0, len - copy);
            mem_wrote(mem, (struct gpa){p->addr + done}, len);
            done += len;
        }
    }
    return 0;
}

void loader_free(struct loader *loader)
{
    for (size_t i = 0; i < loader->count; i++)
        free(loader->pieces[i].data);
    free(loader->pieces);
    *loader = (struct loader){0};
}
