// SPDX-License-Identifier: MIT
// The file server by its messages: what a client of 9P2000.L relies on, every way out of the folder that we
// could think of, the bounds of what a guest can make it keep, and random messages. Those take FUZZ_SEED and
// FUZZ_ROUNDS.
#include "base/entropy.h"
#include "base/loop.h"
#include "host/fs.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    Tstatfs = 8,
    Tlopen = 12,
    Tlcreate = 14,
    Tsymlink = 16,
    Tmknod = 18,
    Trename = 20,
    Treadlink = 22,
    Tgetattr = 24,
    Tsetattr = 26,
    Txattrwalk = 30,
    Txattrcreate = 32,
    Treaddir = 40,
    Tfsync = 50,
    Tlock = 52,
    Tlink = 70,
    Tmkdir = 72,
    Trenameat = 74,
    Tunlinkat = 76,
    Tversion = 100,
    Tattach = 104,
    Tflush = 108,
    Twalk = 110,
    Tread = 116,
    Twrite = 118,
    Tclunk = 120,
    Tremove = 122,
    Rlerror = 7,
    ROOT = 1,
};

struct bench {
    pthread_mutex_t lock;
    struct loop *loop;
    struct fs *fs;
    char outer[64], path[80]; // path is the shared folder in outer, which holds "secret", too
    uint8_t out[FS_MAX_MESSAGE], in[FS_MAX_MESSAGE];
    uint32_t len, reply_size;
    bool answered, mapped;
};

static void setup(struct bench *b, enum fs_security security, bool readonly)
{
    memset(b, 0, sizeof *b);
    b->reply_size = 8192;
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_lock(&b->lock);
    cr_assert_eq(loop_create(&b->lock, &b->loop, NULL), 0);
    strcpy(b->outer, "/tmp/fs_test.XXXXXX");
    cr_assert(mkdtemp(b->outer));
    snprintf(b->path, sizeof b->path, "%s/shared", b->outer);
    char path[128];
    cr_assert_eq(mkdir(b->path, 0700), 0);
    snprintf(path, sizeof path, "%s/secret", b->outer);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    cr_assert_eq(write(fd, "secret", 6), 6);
    close(fd);
    struct fs_config config = {.path = b->path, .security = security, .readonly = readonly, .loop = b->loop};
    if (fs_open(&config, &b->fs, NULL)) { // no extended attributes here
        config.security = FS_NONE;
        cr_assert_eq(fs_open(&config, &b->fs, NULL), 0);
    }
    b->mapped = config.security == FS_MAPPED;
}

static void teardown(struct bench *b)
{
    char command[160];
    fs_close(b->fs);
    loop_destroy(b->loop);
    pthread_mutex_unlock(&b->lock);
    pthread_mutex_destroy(&b->lock);
    snprintf(command, sizeof command, "rm -rf %s", b->outer);
    cr_assert_eq(system(command), 0);
}

static void done(struct fs_request *request)
{
    *(bool *)request->opaque = true;
}

// Sends what put() collected. 0, or the error of Rlerror as a negative number.
static int send_raw(struct bench *b)
{
    struct fs_request request = {.message = b->out,
                                 .message_len = b->len,
                                 .reply = b->in,
                                 .reply_size = b->reply_size,
                                 .done = done,
                                 .opaque = &b->answered};
    b->answered = false;
    fs_submit(b->fs, &request);
    fs_drain(b->fs);
    cr_assert(b->answered);
    uint32_t size;
    memcpy(&size, b->in, 4);
    cr_assert(request.reply_len <= b->reply_size);
    cr_assert(!request.reply_len || (size == request.reply_len && size >= 7), "size %u, length %u", size,
              request.reply_len);
    int32_t code = 0;
    if (request.reply_len && b->in[4] == Rlerror) {
        cr_assert_eq(size, 11);
        memcpy(&code, b->in + 7, 4);
        cr_assert(code > 0 && code < 4096);
    }
    return -code;
}

// A message from a form: 1 2 4 8 are numbers of so many bytes, s is a string, b a length and its bytes.
static int call(struct bench *b, unsigned type, const char *form, ...)
{
    va_list args;
    va_start(args, form);
    b->len = 7;
    for (; *form; form++) {
        if (*form == 's') {
            const char *text = va_arg(args, const char *);
            uint16_t len = (uint16_t)strlen(text);
            memcpy(b->out + b->len, &len, 2);
            memcpy(b->out + b->len + 2, text, len);
            b->len += 2u + len;
        } else if (*form == 'b') {
            uint32_t len = va_arg(args, unsigned);
            memcpy(b->out + b->len, &len, 4);
            memcpy(b->out + b->len + 4, va_arg(args, const void *), len);
            b->len += 4 + len;
        } else {
            uint64_t value = *form == '8' ? va_arg(args, uint64_t) : va_arg(args, unsigned);
            memcpy(b->out + b->len, &value, (size_t)(*form - '0'));
            b->len += (uint32_t)(*form - '0');
        }
    }
    va_end(args);
    memcpy(b->out, &b->len, 4);
    b->out[4] = (uint8_t)type;
    b->out[5] = 0x34;
    b->out[6] = 0x12;
    int r = send_raw(b);
    cr_assert(b->in[4] == (r ? Rlerror : type + 1) && b->in[5] == 0x34 && b->in[6] == 0x12);
    return r;
}

static uint64_t field(struct bench *b, unsigned at, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, b->in + at, bytes);
    return value;
}

static void attach(struct bench *b)
{
    cr_assert_eq(call(b, Tversion, "4s", 8192, "9P2000.L"), 0);
    cr_assert_eq(field(b, 7, 4), 8192);
    cr_assert_eq(call(b, Tattach, "44ss4", ROOT, ~0u, "root", "", 0), 0);
    cr_assert_eq(b->in[7], 0x80);
}

static int create(struct bench *b, unsigned fid, const char *name, const char *text)
{
    int r = call(b, Twalk, "442", ROOT, fid, 0);
    if (!r)
        r = call(b, Tlcreate, "4s444", fid, name, 2u, 0644u, 0u);
    return r ? r : call(b, Twrite, "48b", fid, 0ull, (unsigned)strlen(text), text);
}

static void host_path(struct bench *b, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", b->path, name);
}

Test(fs, files_go_there_and_back)
{
    struct bench b;
    char path[128];
    struct stat st;
    setup(&b, FS_NONE, false);
    attach(&b);
    cr_expect_eq(create(&b, 2, "file", "hello"), 0);
    cr_expect_eq(call(&b, Tfsync, "44", 2, 0), 0);
    cr_expect_eq(call(&b, Tread, "484", 2, 1ull, 100), 0);
    cr_expect_eq(field(&b, 7, 4), 4);
    cr_expect_arr_eq(b.in + 11, "ello", 4);
    cr_expect_eq(call(&b, Tread, "484", 2, 5ull, 100), 0);
    cr_expect_eq(field(&b, 7, 4), 0);
    host_path(&b, "file", path);
    cr_assert_eq(lstat(path, &st), 0);
    cr_expect(st.st_mode == (S_IFREG | 0644) && st.st_size == 5);
    cr_expect_eq(call(&b, Tmkdir, "4s44", ROOT, "dir", 0751, 0), 0);
    cr_expect_eq(call(&b, Trenameat, "4s4s", ROOT, "file", ROOT, "other"), 0);
    cr_expect_eq(call(&b, Tgetattr, "48", 2, ~0ull), 0, "an open fid outlives a rename");
    cr_expect_eq(call(&b, Twalk, "442ss", ROOT, 3, 2, "dir", "nothing"), 0, "a walk that fails on its way");
    cr_expect_eq(field(&b, 7, 2), 1);
    cr_expect_eq(call(&b, Tclunk, "4", 3), -EBADF, "makes no fid");
    cr_expect_eq(call(&b, Twalk, "442s", ROOT, 3, 1, "nothing"), -ENOENT);
    cr_expect_eq(call(&b, Twalk, "442s", ROOT, 3, 1, "dir"), 0);
    cr_expect_eq(call(&b, Trename, "44s", 2, 3, "inner"), 0);
    cr_expect_eq(call(&b, Trenameat, "4s4s", ROOT, "dir", ROOT, "moved"), 0);
    cr_expect_eq(call(&b, Twalk, "442s", 3, 4, 1, "inner"), 0, "fids follow the folder above them");
    cr_expect_eq(call(&b, Tlopen, "44", 3, 0), 0);
    cr_expect_eq(call(&b, Treaddir, "484", 3, 0ull, 1000), 0);
    cr_expect(memmem(b.in + 11, field(&b, 7, 4), "inner", 5));
    cr_expect_eq(call(&b, Treaddir, "484", 3, 0ull, 10), -EINVAL, "no room for one entry");
    cr_expect_eq(call(&b, Tunlinkat, "4s4", ROOT, "moved", 0), -EISDIR);
    cr_expect_eq(call(&b, Tunlinkat, "4s4", ROOT, "moved", 0x200), -ENOTEMPTY);
    cr_expect_eq(call(&b, Tremove, "4", 4), 0);
    cr_expect_eq(call(&b, Tunlinkat, "4s4", ROOT, "moved", 0x200), 0);
    cr_expect_eq(call(&b, Tgetattr, "48", 2, ~0ull), 0, "an open file outlives its name");
    cr_expect_eq(call(&b, Tstatfs, "4", ROOT), 0);
    cr_expect_eq(call(&b, Tflush, "2", 7), 0);
    cr_expect_eq(call(&b, Tclunk, "4", 2), 0);
    teardown(&b);
}

// The host's side of the folder holds links out of it; the guest makes more.
Test(fs, nothing_leads_out)
{
    static const char *const names[] = {"..", ".", "", "a/b", "../secret", "/etc/passwd", "/"};
    struct bench b;
    char path[128];
    struct stat st;
    setup(&b, FS_NONE, false);
    host_path(&b, "planted", path);
    cr_assert_eq(symlink("..", path), 0);
    host_path(&b, "planted-file", path);
    cr_assert_eq(symlink("../secret", path), 0);
    host_path(&b, "absolute", path);
    cr_assert_eq(symlink(b.outer, path), 0);
    attach(&b);
    cr_assert_eq(call(&b, Tmkdir, "4s44", ROOT, "dir", 0755, 0), 0);
    cr_assert_eq(call(&b, Twalk, "442s", ROOT, 2, 1, "dir"), 0);
    cr_expect_eq(call(&b, Twalk, "442ssss", 2, 3, 4, "..", "..", "..", "secret"), 0);
    cr_expect_eq(field(&b, 7, 2), 3, "the root is its own parent");
    cr_expect_eq(call(&b, Tsymlink, "4ss4", ROOT, "made", "..", 0), 0);
    cr_expect_eq(call(&b, Tsymlink, "4ss4", ROOT, "made-file", "../secret", 0), 0);
    static const char *const links[] = {"planted", "absolute", "made"}, *const files[] = {"planted-file",
                                                                                          "made-file"};
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(call(&b, Twalk, "442ss", ROOT, 3, 2, links[i], "secret"), 0);
        cr_expect_eq(field(&b, 7, 2), 1, "a link is not a folder");
        cr_expect_eq(call(&b, Twalk, "442s", ROOT, 3, 1, links[i]), 0);
        cr_expect_eq(b.in[9], 2, "it is a link");
        cr_expect(call(&b, Tlopen, "44", 3, 0) < 0);
        cr_expect(call(&b, Tmkdir, "4s44", 3, "x", 0755, 0) < 0);
        cr_expect(call(&b, Tlcreate, "4s444", 3, "x", 2, 0644, 0) < 0);
        cr_expect(call(&b, Tunlinkat, "4s4", 3, "secret", 0) < 0);
        cr_expect(call(&b, Tlink, "44s", 3, 2, "x") < 0);
        cr_expect_eq(call(&b, Tclunk, "4", 3), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        cr_expect_eq(call(&b, Twalk, "442s", ROOT, 3, 1, files[i]), 0);
        cr_expect(call(&b, Tlopen, "44", 3, 2) < 0);
        cr_expect(call(&b, Tsetattr, "4444488888", 3, 8, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull) < 0,
                  "truncate");
        cr_expect(call(&b, Tsetattr, "4444488888", 3, 1, 0777, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull) < 0,
                  "chmod");
        cr_expect(call(&b, Txattrwalk, "44s", 3, 4, "user.x") < 0);
        cr_expect_eq(call(&b, Treadlink, "4", 3), 0);
        cr_expect_arr_eq(b.in + 9, "../secret", 9);
        cr_expect_eq(call(&b, Tclunk, "4", 3), 0);
        cr_expect_eq(call(&b, Twalk, "442", ROOT, 3, 0), 0);
        cr_expect(call(&b, Tlcreate, "4s444", 3, files[i], 01002, 0644, 0) < 0, "creation over a link");
        cr_expect_eq(call(&b, Tclunk, "4", 3), 0);
    }
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        cr_expect(call(&b, Tmkdir, "4s44", ROOT, names[i], 0755, 0) < 0, "%s", names[i]);
        cr_expect(call(&b, Tsymlink, "4ss4", ROOT, names[i], "x", 0) < 0, "%s", names[i]);
        cr_expect(call(&b, Tmknod, "4s4444", ROOT, names[i], 0100644, 0, 0, 0) < 0, "%s", names[i]);
        cr_expect(call(&b, Trenameat, "4s4s", ROOT, "dir", ROOT, names[i]) < 0, "%s", names[i]);
        cr_expect(call(&b, Trenameat, "4s4s", ROOT, names[i], ROOT, "x") < 0, "%s", names[i]);
        cr_expect(call(&b, Tunlinkat, "4s4", ROOT, names[i], 0x200) < 0, "%s", names[i]);
        cr_expect(call(&b, Tlink, "44s", ROOT, 2, names[i]) < 0, "%s", names[i]);
    }
    cr_expect_eq(call(&b, Tremove, "4", ROOT), -EBUSY);
    snprintf(path, sizeof path, "%s/secret", b.outer);
    cr_assert_eq(stat(path, &st), 0);
    cr_expect(st.st_size == 6 && st.st_mode == (S_IFREG | 0600) && st.st_nlink == 1);
    teardown(&b);
}

Test(fs, what_is_no_file_is_never_opened)
{
    struct bench b;
    char path[128];
    setup(&b, FS_PASSTHROUGH, false);
    attach(&b);
    host_path(&b, "fifo", path);
    cr_assert_eq(mkfifo(path, 0666), 0);
    cr_assert_eq(call(&b, Twalk, "442s", ROOT, 2, 1, "fifo"), 0);
    cr_expect_eq(call(&b, Tlopen, "44", 2, 0), -ENXIO);
    cr_expect_eq(call(&b, Tlopen, "44", 2, 1), -ENXIO);
    cr_expect(call(&b, Tmknod, "4s4444", ROOT, "null", 0020666, 1, 3, 0) == -EPERM);
    cr_expect(call(&b, Tmknod, "4s4444", ROOT, "pipe", 0010666, 0, 0, 0) == -EPERM);
    teardown(&b);
}

Test(fs, mapped_metadata)
{
    struct bench b;
    char path[128];
    struct stat st;
    uint32_t value = 0;
    setup(&b, FS_MAPPED, false);
    if (!b.mapped) {
        teardown(&b);
        return;
    }
    attach(&b);
    cr_expect_eq(call(&b, Tmknod, "4s4444", ROOT, "null", 0020640, 1, 3, 7), 0);
    host_path(&b, "null", path);
    cr_assert_eq(lstat(path, &st), 0);
    cr_expect_eq(st.st_mode, S_IFREG | 0600);
    cr_expect_eq(getxattr(path, "user.virtfs.mode", &value, 4), 4);
    cr_expect_eq(value, 0020640);
    cr_assert_eq(call(&b, Twalk, "442s", ROOT, 2, 1, "null"), 0);
    cr_assert_eq(call(&b, Tgetattr, "48", 2, ~0ull), 0);
    cr_expect_eq(field(&b, 28, 4), 0020640);
    cr_expect_eq(field(&b, 36, 4), 7);
    cr_expect_eq(call(&b, Tlopen, "44", 2, 0), -ENXIO);
    cr_expect_eq(call(&b, Txattrwalk, "44s", 2, 3, "user.virtfs.mode"), -EOPNOTSUPP);
    cr_expect_eq(call(&b, Txattrcreate, "4s84", 2, "user.virtfs.mode", 4ull, 0), -EOPNOTSUPP);
    cr_expect_eq(call(&b, Txattrcreate, "4s84", 2, "security.capability", 4ull, 0), -EOPNOTSUPP);
    cr_expect_eq(call(&b, Txattrwalk, "44s", 2, 3, ""), 0);
    cr_expect_eq(field(&b, 7, 8), 0, "what holds metadata is not listed");
    cr_expect_eq(call(&b, Tsymlink, "4ss4", ROOT, "link", "/etc/passwd", 0), 0);
    cr_expect_eq(b.in[7], 2);
    host_path(&b, "link", path);
    cr_assert_eq(lstat(path, &st), 0);
    cr_expect(S_ISREG(st.st_mode));
    value = S_IFDIR | 0777; // a file that says it were a folder
    cr_assert_eq(setxattr(path, "user.virtfs.mode", &value, 4, 0), 0);
    cr_assert_eq(call(&b, Twalk, "442s", ROOT, 4, 1, "link"), 0);
    cr_expect_eq(b.in[9], 0);
    teardown(&b);
}

Test(fs, extended_attributes)
{
    struct bench b;
    setup(&b, FS_NONE, false);
    attach(&b);
    cr_assert_eq(create(&b, 2, "file", "x"), 0);
    cr_assert_eq(call(&b, Twalk, "442s", ROOT, 3, 1, "file"), 0);
    cr_assert_eq(call(&b, Txattrcreate, "4s84", 3, "user.a", 5ull, 0), 0);
    cr_expect_eq(call(&b, Twrite, "48b", 3, 0ull, 3, "abc"), 0);
    cr_expect_eq(call(&b, Twrite, "48b", 3, 3ull, 3, "def"), -EINVAL, "more than announced");
    cr_expect_eq(call(&b, Twrite, "48b", 3, 3ull, 2, "de"), 0);
    int r = call(&b, Tclunk, "4", 3);
    cr_expect(!r || r == -EOPNOTSUPP);
    cr_assert_eq(call(&b, Twalk, "442s", ROOT, 3, 1, "file"), 0);
    if (!r) {
        cr_expect_eq(call(&b, Txattrwalk, "44s", 3, 4, "user.a"), 0);
        cr_expect_eq(field(&b, 7, 8), 5);
        cr_expect_eq(call(&b, Tread, "484", 4, 1ull, 100), 0);
        cr_expect_arr_eq(b.in + 11, "bcde", 4);
        cr_expect_eq(call(&b, Tread, "484", 4, ~0ull, 100), 0);
        cr_expect_eq(field(&b, 7, 4), 0);
    }
    cr_expect_eq(call(&b, Txattrcreate, "4s84", 3, "user.a", 1ull << 20, 0), -E2BIG);
    cr_expect_eq(call(&b, Txattrcreate, "4s84", 3, "user.a", 10ull, 0), 0);
    cr_expect_eq(call(&b, Tclunk, "4", 3), -EINVAL, "less than announced");
    cr_expect_eq(call(&b, Tclunk, "4", 3), -EBADF);
    teardown(&b);
}

Test(fs, readonly_changes_nothing)
{
    struct bench b;
    setup(&b, FS_NONE, true);
    attach(&b);
    cr_expect_eq(call(&b, Tmkdir, "4s44", ROOT, "dir", 0755, 0), -EROFS);
    cr_expect_eq(call(&b, Tlcreate, "4s444", ROOT, "file", 2, 0644, 0), -EROFS);
    cr_expect_eq(call(&b, Tremove, "4", ROOT), -EROFS);
    teardown(&b);
}

Test(fs, what_is_kept_has_bounds)
{
    struct bench b;
    unsigned fid = 2;
    setup(&b, FS_NONE, false);
    attach(&b);
    cr_expect_eq(call(&b, Twalk, "442", ROOT, ROOT, 0), 0);
    cr_expect_eq(call(&b, Twalk, "442", ROOT, ~0u, 0), -EBADF);
    int r = 0;
    while (!r && fid < 1 << 17)
        r = call(&b, Twalk, "442", ROOT, fid++, 0);
    cr_expect(r == -ENFILE && fid < (1 << 16) + 3, "%d at %u", r, fid);
    for (fid = 2, r = 0; !r && fid < 6000; fid++)
        r = call(&b, Tlopen, "44", fid, 0);
    cr_expect(r == -EMFILE, "%d at %u", r, fid);
    for (fid = 10000, r = 0; !r && fid < 11000; fid++)
        r = call(&b, Txattrcreate, "4s84", fid, "user.a", 65536ull, 0);
    cr_expect(r == -ENOSPC && fid < 10070, "%d at %u", r, fid);
    attach(&b);
    cr_expect_eq(call(&b, Tlopen, "44", 2, 0), -EBADF, "a new session has no fids");
    cr_expect_eq(call(&b, Tlopen, "44", ROOT, 0), 0);
    cr_expect_eq(call(&b, Tversion, "4s", 4095, "9P2000.L"), -EMSGSIZE);
    cr_expect_eq(call(&b, Tversion, "4s", ~0u, "9P2000.u"), 0);
    cr_expect_eq(field(&b, 7, 4), FS_MAX_MESSAGE);
    cr_expect_arr_eq(b.in + 13, "unknown", 7);
    teardown(&b);
}

// What a snapshot keeps of a session.
Test(fs, a_session_goes_on)
{
    struct bench b;
    uint8_t saved[2000];
    setup(&b, FS_NONE, false);
    attach(&b);
    cr_assert_eq(create(&b, 2, "file", "hello"), 0);
    cr_assert_eq(create(&b, 3, "gone", "hello"), 0);
    cr_assert_eq(call(&b, Tunlinkat, "4s4", ROOT, "gone", 0), 0);
    cr_assert_eq(call(&b, Tmkdir, "4s44", ROOT, "dir", 0755, 0), 0);
    cr_assert_eq(call(&b, Twalk, "442s", ROOT, 4, 1, "dir"), 0);
    cr_assert_eq(call(&b, Twalk, "442s", ROOT, 5, 1, "dir"), 0);
    cr_assert_eq(call(&b, Tlopen, "44", 4, 0), 0);
    size_t len = fs_save(b.fs, saved, sizeof saved);
    cr_assert(len > 50 && len < 200);
    fs_reset(b.fs);
    cr_expect_eq(call(&b, Tgetattr, "48", ROOT, ~0ull), -EBADF);
    fs_restore(b.fs, saved, len);
    cr_expect_eq(call(&b, Tread, "484", 2, 1ull, 100), 0);
    cr_expect_arr_eq(b.in + 11, "ello", 4);
    cr_expect_eq(call(&b, Twrite, "48b", 2, 5ull, 1, "!"), 0);
    cr_expect_eq(call(&b, Tread, "484", 3, 0ull, 100), -EBADF);
    cr_expect_eq(call(&b, Treaddir, "484", 4, 0ull, 100), 0);
    cr_expect_eq(call(&b, Tmkdir, "4s44", 5, "inner", 0755, 0), 0);
    for (size_t cut = 0; cut < len; cut++) { // damaged ones
        fs_restore(b.fs, saved, cut);
        saved[cut] ^= (uint8_t)(1 << cut % 8);
        fs_restore(b.fs, saved, len);
        saved[cut] ^= (uint8_t)(1 << cut % 8);
        cr_expect(fs_save(b.fs, saved + 1000, cut) <= cut);
    }
    static const char bad[] = "\0\x20\0\0"
                              "\7\0\0\0"
                              "\0\0\0\0"
                              "\0"
                              "\0\0\0\0"
                              "\6\0"
                              "../dir";
    fs_restore(b.fs, (const uint8_t *)bad, sizeof bad - 1);
    cr_expect_eq(call(&b, Tgetattr, "48", 7, ~0ull), -EBADF);
    teardown(&b);
}

Test(fs, long_names)
{
    struct bench b;
    char name[300];
    setup(&b, FS_NONE, false);
    attach(&b);
    memset(name, 'n', sizeof name);
    name[256] = 0;
    cr_expect_eq(call(&b, Tmkdir, "4s44", ROOT, name, 0755, 0), -ENAMETOOLONG);
    name[255] = 0;
    unsigned deep = 0;
    cr_assert_eq(call(&b, Twalk, "442", ROOT, 2, 0), 0);
    int r = 0;
    while (!r && deep < 20) {
        r = call(&b, Tmkdir, "4s44", 2, name, 0755, 0);
        if (!r)
            r = call(&b, Twalk, "442s", 2, 2, 1, name);
        deep += !r;
    }
    cr_expect(r == -ENAMETOOLONG && deep == 16, "%d at %u", r, deep);
    teardown(&b);
}

Test(fs, bad_messages)
{
    static const struct {
        uint32_t size, len, room;
    } rows[] = {{0, 0, 8192},   {0, 4, 8192}, {6, 7, 8192}, {7, 7, 8192}, {8, 7, 8192},
                {~0u, 7, 8192}, {11, 11, 11}, {11, 11, 10}, {11, 11, 0},  {0x7fffffff, 100, 8192}};
    struct bench b;
    setup(&b, FS_NONE, false);
    attach(&b);
    for (unsigned type = 0; type < 256; type++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            memset(b.out, 1, 200);
            memcpy(b.out, &rows[i].size, 4);
            b.out[4] = (uint8_t)type;
            b.len = rows[i].len;
            b.reply_size = rows[i].room;
            send_raw(&b);
        }
    teardown(&b);
}

// Messages of random fields with a few fids and names, so that many are right; some are cut or flipped
// afterwards.
static void random_message(struct bench *b, struct entropy *random)
{
    static const uint8_t types[] = {8,  12, 14, 16, 18,  20,  22,  24,  26,  30,  32,  40,  50,  52, 54,
                                    70, 72, 74, 76, 100, 104, 108, 110, 110, 110, 116, 118, 120, 122};
    static const char *const names[] = {"a",      "b",      "c",         "d",       "..",
                                        "secret", "user.x", "../secret", "planted", ""};
    uint8_t dice[64];
    entropy_fill(random, dice, sizeof dice);
    b->len = 7;
    b->out[4] = dice[0] < 4 ? dice[1] : types[dice[1] % sizeof types];
    if (b->out[4] == 100 && dice[2] > 8)
        b->out[4] = 104; // few sessions
    for (unsigned i = 3; i < 20; i++) {
        uint64_t value = dice[i + 20] % 10;
        unsigned width = 4;
        if (dice[i] < 100) {
            const char *name = names[dice[i + 20] % (sizeof names / sizeof *names)];
            value = strlen(name);
            memcpy(b->out + b->len + 2, name, value);
            width = 2;
            memcpy(b->out + b->len, &value, 2);
            b->len += (uint32_t)value;
        } else {
            width = dice[i] < 190 ? 4 : dice[i] < 220 ? 8 : dice[i] < 240 ? 2 : 1;
            if (dice[i] % 16 == 0)
                value = ~0ull << dice[i + 20] % 64;
            memcpy(b->out + b->len, &value, width);
        }
        b->len += width;
    }
    if (dice[50] < 20)
        b->len = dice[51] % b->len;
    memcpy(b->out, &b->len, 4);
    if (dice[52] < 20)
        b->out[dice[53] % 100] ^= (uint8_t)(1 << dice[54] % 8);
    b->reply_size = dice[55] < 20 ? dice[56] : 8192;
}

Test(fs, random_messages)
{
    const char *seed = getenv("FUZZ_SEED"), *rounds = getenv("FUZZ_ROUNDS");
    unsigned long count = rounds ? strtoul(rounds, NULL, 0) : 5000, good = 0;
    struct bench b;
    struct entropy random;
    char path[128], text[16] = "";
    entropy_init_seeded(&random, seed ? strtoull(seed, NULL, 0) : 1);
    setup(&b, FS_MAPPED, false);
    host_path(&b, "planted", path);
    cr_assert_eq(symlink("..", path), 0);
    attach(&b);
    for (unsigned long i = 0; i < count; i++) {
        random_message(&b, &random);
        good += !send_raw(&b);
    }
    cr_expect(good > count / 20, "only %lu of %lu messages did anything", good, count);
    snprintf(path, sizeof path, "%s/secret", b.outer);
    int fd = open(path, O_RDONLY);
    cr_expect_eq(read(fd, text, sizeof text), 6);
    cr_expect_str_eq(text, "secret");
    close(fd);
    entropy_destroy(&random);
    teardown(&b);
}
