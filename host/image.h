// SPDX-License-Identifier: MIT
// Disk images as files that are read and written in the calling thread: raw and qcow2, with their chain of
// backing files. host/block.h puts a queue and worker threads before one; `isomer img` uses them as they are.
//
// Format and backing files. A format that is stated is believed. Without one the file is probed: qcow2 by its
// magic, the other formats we know by name are refused, anything else is raw - and a raw image that was only
// probed refuses writes that would give it the head of another format. A backing file whose format the image
// does not state is probed too; if it is qcow2, it may not name a backing file of its own, since a guest
// could have written that head.
//
// Lengths and offsets are bytes. Functions return 0 or a negative errno; those with a struct error leave a
// sentence there. Thread: reads, writes, zeroing, discards and flushes may run at the same time as long as no
// two touch the same granule and one of them writes; everything else needs the image to itself.
#ifndef HOST_IMAGE_H
#define HOST_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct error;
struct image;

struct image_options {
    const char *path;
    const char *format; // "raw", "qcow2", or NULL: probed
    bool readonly;
    bool unlocked;        // no lock against a second writer
    bool direct;          // around the host's page cache (O_DIRECT) where the file system can
    bool unsafe;          // a flush does not wait for the medium
    bool unmap;           // discarded data is given back to the host
    bool no_backing;      // the backing file stays closed; what it would give reads as zeros
    bool as_is;           // for checks: a corrupt image opens, a dirty one is not repaired
    const char *snapshot; // id or name of an internal snapshot to read instead; needs readonly
};

int image_open(const struct image_options *options, struct image **ret_image, struct error *err);
// A throw-away qcow2 image over base, in a file without a name. Takes base over on success.
int image_open_overlay(struct image *base, struct image **ret_image, struct error *err);
int image_close(struct image *image); // writes what is pending; the error of that. NULL is fine

uint64_t image_size(const struct image *image);
// Writes to different granules do not disturb each other: qcow2's cluster, 1 for raw.
uint64_t image_granule(const struct image *image);
bool image_readonly(const struct image *image);
const char *image_format(const struct image *image);
// What was asked for and could not be had, as a sentence, or NULL.
const char *image_note(const struct image *image);

// -EINVAL outside the image, -EPERM on a read-only one.
int image_read(struct image *image, uint64_t offset, const struct iovec *iov, int count);
int image_write(struct image *image, uint64_t offset, const struct iovec *iov, int count);
int image_flush(struct image *image);
int image_discard(struct image *image, uint64_t offset, uint64_t len); // a hint
int image_zero(struct image *image, uint64_t offset, uint64_t len, bool unmap);
// The same for one buffer.
int image_pread(struct image *image, uint64_t offset, void *buf, size_t len);
int image_pwrite(struct image *image, uint64_t offset, const void *buf, size_t len);
// A whole granule (or what of it lies before the end), compressed. -ENOTSUP where the format cannot.
int image_write_compressed(struct image *image, uint64_t offset, const void *buf, size_t len);
// How much from offset on, up to len, surely reads as zeros (*ret_zero) or has to be read.
int image_status(struct image *image, uint64_t offset, uint64_t len, bool *ret_zero, uint64_t *ret_len);
// Smaller than before only with shrink.
int image_resize(struct image *image, uint64_t size, bool shrink, struct error *err);

struct image_create {
    const char *path;
    const char *format;
    uint64_t size; // UINT64_MAX: the backing file's
    const char *backing, *backing_format;
    uint64_t cluster_size; // 0: 64 KiB
    unsigned version;      // 0: 3
    unsigned refcount_bits;
    bool lazy_refcounts, zstd;
};
int image_create(const struct image_create *create, struct error *err);

struct image_info {
    const char *format;
    uint64_t size, cluster_size; // cluster_size 0: the format has none
    uint64_t allocated;          // on the host's disk
    unsigned version, refcount_bits;
    bool lazy_refcounts, dirty, corrupt, zstd;
    const char *backing, *backing_format; // as written in the image; the image's memory
};
void image_get_info(const struct image *image, struct image_info *ret_info);

struct image_check {
    uint64_t errors, leaks, errors_fixed, leaks_fixed;
    uint64_t clusters, allocated, compressed; // guest clusters
    uint64_t end;                             // behind the last cluster in use
};
enum image_repair { IMAGE_REPAIR_NOTHING, IMAGE_REPAIR_LEAKS, IMAGE_REPAIR_ALL };
// say (may be NULL) is called for the first findings. -ENOTSUP: the format has nothing to check.
int image_check(struct image *image, enum image_repair repair, void (*say)(void *opaque, const char *text),
                void *opaque, struct image_check *ret_check, struct error *err);

struct image_snapshot {
    char id[24], name[256];
    uint64_t disk_size, vm_state_size, vm_clock_ns;
    uint32_t date_s, date_ns; // seconds since 1970
};
// *ret_list is the caller's to free.
int image_snapshot_list(struct image *image, struct image_snapshot **ret_list, size_t *ret_count,
                        struct error *err);
// name, date_s, date_ns, vm_state_size and vm_clock_ns are the caller's; the rest is filled in.
int image_snapshot_create(struct image *image, struct image_snapshot *snapshot, struct error *err);
int image_snapshot_apply(struct image *image, const char *name, struct error *err);
int image_snapshot_delete(struct image *image, const char *name, struct error *err);
// The area for a machine's state that goes with the next snapshot, or came with the one that was applied.
int image_vmstate_write(struct image *image, uint64_t offset, const void *buf, size_t len);
int image_vmstate_read(struct image *image, uint64_t offset, void *buf, size_t len);
// The state that came with this snapshot, whichever is applied. Nothing else may use the image meanwhile.
int image_snapshot_read_vmstate(struct image *image, const char *name, uint64_t offset, void *buf, size_t len);

#endif
