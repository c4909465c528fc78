// SPDX-License-Identifier: MIT
// Private to host/fs/: the server's state, the fids, the folder, and the two ends of a message.
// Thread: all of it belongs to the worker while a request is in its hand, and to nobody else before the
// server was drained.
#ifndef HOST_FS_FS_INTERNAL_H
#define HOST_FS_FS_INTERNAL_H

#include "base/loop.h"
#include "host/fs.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
    FS_FID_BUCKETS = 1024,
    FS_MAX_FIDS = 1 << 16,
    FS_MAX_PATH_BYTES = 32 << 20, // of all fids together
    FS_MAX_XATTR_BYTES = 4 << 20, // of all fids together
    FS_MAX_XATTR = 1 << 16,       // bytes, as Linux's XATTR_SIZE_MAX
    FS_MAX_DEVICES = 64,          // told apart by FS_REMAP
    FS_IO_HEADER = 11,            // size, type, tag and count of Rread and Rreaddir
};

// What of an open file's flags would be needed to open it again.
enum { FID_FLAGS = O_ACCMODE | O_APPEND | O_DSYNC | (O_SYNC & ~O_DSYNC) };

enum fid_kind { FID_PATH, FID_XATTR_READ, FID_XATTR_WRITE };

struct fid {
    uint32_t id, uid; // uid: who attached
    enum fid_kind kind;
    char *path; // from the root of the export, "" is the root itself; never starts or ends with '/'
    int fd;     // of an open file or folder, -1
    bool is_dir;
    int flags; // it was opened with, FID_FLAGS of them
    uint8_t *xattr;
    uint32_t xattr_size, xattr_filled; // bytes
    int xattr_flags;
    char xattr_name[NAME_MAX + 1];
    struct fid *next;
};

struct fs_list {
    struct fs_request *first, **last;
};

struct fs {
    int root;
    dev_t root_dev;
    enum fs_security security;
    enum fs_multidevs multidevs;
    bool readonly;
    uint32_t msize;
    struct fid *fids[FS_FID_BUCKETS];
    unsigned fid_count, open_count, max_open;
    size_t path_bytes, xattr_bytes;
    dev_t devices[FS_MAX_DEVICES];
    unsigned device_count;
    uint8_t *scratch; // FS_MAX_XATTR bytes

    struct loop *loop;
    struct loop_call completion;
    pthread_t worker;
    pthread_mutex_t lock; // of the lists; taken last
    pthread_cond_t work, idle;
    struct fs_list queued, finished;
    bool busy, stopping;
};

// --- wire.c: little-endian fields; reading past the end makes the reader bad and gives zeros.
struct p9_reader {
    const uint8_t *at, *end;
    bool bad;
};
struct p9_writer {
    uint8_t *base;
    uint32_t len, size; // bytes
    bool full;          // something did not fit
};

uint64_t p9_get(struct p9_reader *in, unsigned bytes);
// A string without NUL of at most size - 1 bytes. 0, -ENAMETOOLONG or -EINVAL.
int p9_get_text(struct p9_reader *in, char *buf, size_t size);
// The name of an entry of a folder: never empty, ".", ".." or with a slash.
int p9_get_name(struct p9_reader *in, char name[NAME_MAX + 1]);
void p9_put(struct p9_writer *out, uint64_t value, unsigned bytes);
void p9_put_bytes(struct p9_writer *out, const void *bytes, size_t len);
void p9_put_text(struct p9_writer *out, const char *text);

// --- fids.c
struct fid *fid_find(struct fs *fs, uint32_t id);
// A new fid with a copy of the path. 0, -EBADF (in use or NOFID), -ENFILE, -ENOMEM.
int fid_create(struct fs *fs, uint32_t id, const char *path, uint32_t uid, struct fid **ret_fid);
// 0, or -ENFILE, -ENOMEM with the fid as it was.
int fid_set_path(struct fs *fs, struct fid *fid, const char *path);
void fid_opened(struct fs *fs, struct fid *fid, int fd, bool is_dir, int flags); // takes the descriptor
void fid_close(struct fs *fs, struct fid *fid); // its descriptor and attribute buffer
void fid_destroy(struct fs *fs, struct fid *fid);
void fids_clear(struct fs *fs);
// Fids at or below the path from follow it to its new name.
void fids_renamed(struct fs *fs, const char *from, const char *to);
// dir and name as one path of at most PATH_MAX - 1 bytes. 0 or -ENAMETOOLONG.
int path_join(const char *dir, const char *name, char ret_path[PATH_MAX]);
// Cuts the last component off; the root stays the root.
void path_up(char *path);

// --- folder.c: the only calls that turn a path into something of the host.
// A descriptor or a negative errno. Symbolic links are never followed, not even as the last component; O_PATH
// shows one.
int folder_open(const struct fs *fs, const char *path, int flags);
// The folder that holds the path's last component, as O_PATH. The root is "." in itself.
int folder_parent(const struct fs *fs, const char *path, const char **ret_name);
// Owner, mode and kind as the guest sees them.
int folder_stat(const struct fs *fs, const char *path, struct stat *ret_st);
int folder_stat_fd(const struct fs *fs, int fd, struct stat *ret_st); // fd is not O_PATH
// A readable descriptor of a plain file or folder, and of nothing whose opening has effects. -EOPNOTSUPP for
// the rest.
int folder_open_plain(const struct fs *fs, const char *path);
// FS_MAPPED: keeps metadata; a mask of MAP_ says which.
enum { MAP_MODE = 1, MAP_UID = 2, MAP_GID = 4, MAP_RDEV = 8 };
int folder_map(int fd, unsigned which, const struct stat *st);
// After an entry was made: its owner and mode, as the security model keeps them. fd may be O_PATH except with
// FS_MAPPED.
int folder_own(const struct fs *fs, int fd, mode_t mode, uint32_t uid, uint32_t gid);
int folder_chmod(int path_fd, mode_t mode);
#define FOLDER_MAP_PREFIX "user.virtfs."

// --- the messages; each handler reads its fields and writes those of the answer. 0 or a negative errno.
typedef int p9_handler(struct fs *fs, struct p9_reader *in, struct p9_writer *out);
p9_handler p9_version, p9_auth, p9_attach, p9_flush, p9_walk, p9_clunk, p9_remove, p9_statfs; // session_ops.c
p9_handler p9_lopen, p9_lcreate, p9_read, p9_write, p9_readdir, p9_fsync, p9_lock, p9_getlock; // file_ops.c
p9_handler p9_symlink, p9_mknod, p9_mkdir, p9_link, p9_rename, p9_renameat, p9_unlinkat,
    p9_readlink;                                                 // name_ops.c
p9_handler p9_getattr, p9_setattr, p9_xattrwalk, p9_xattrcreate; // attr_ops.c
int p9_xattr_commit(struct fs *fs, struct fid *fid);             // attr_ops.c: at clunk
int p9_unlink(struct fs *fs, const char *path, bool dir);        // name_ops.c
// The fid of a message, which must be a path. NULL and -EBADF in *ret otherwise.
struct fid *p9_path_fid(struct fs *fs, uint32_t id, int *ret);
void p9_put_qid(struct fs *fs, struct p9_writer *out, const struct stat *st);
uint64_t p9_qid_path(struct fs *fs, dev_t dev, ino_t ino);
uint8_t p9_qid_type(mode_t mode);
int p9_put_qid_of(struct fs *fs, struct p9_writer *out, const char *path);

#endif
