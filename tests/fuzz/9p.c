// SPDX-License-Identifier: MIT
// Messages of 9P2000.L to the server of a shared folder (host/fs.h), in place of a client's: of any bytes, of
// fields with a few fids and names, and sessions restored from bytes. Beside the folder lies a file that no
// message may reach, in the folder a symbolic link that leads there.
#include "host/fs.h"
#include "tests/fuzz/rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MESSAGE_MAX = 8192, Tversion = 100, Tattach = 104, ROOT = 1, FILE_MAX = 16 << 20 };

struct bench {
    struct fs *fs;
    uint8_t out[MESSAGE_MAX], in[MESSAGE_MAX];
    uint32_t len;
    bool answered;
    uint8_t session[4096];
    size_t session_size;
};

static void done(struct fs_request *request)
{
    *(bool *)request->opaque = true;
}

static void send(struct bench *b, uint32_t room)
{
    // Exactly as large as they say, so that a byte beside them is noticed.
    uint8_t *message = malloc(b->len + 1), *reply = malloc(room + 1);
    struct fs_request request = {.message = message,
                                 .message_len = b->len,
                                 .reply = reply,
                                 .reply_size = room,
                                 .done = done,
                                 .opaque = &b->answered};
    uint32_t size;
    memcpy(message, b->out, b->len);
    b->answered = false;
    fs_submit(b->fs, &request);
    fs_drain(b->fs);
    FUZZ_CHECK(b->answered && request.reply_len <= room);
    if (request.reply_len) {
        memcpy(&size, reply, 4);
        FUZZ_CHECK(size == request.reply_len && size >= 7);
    }
    free(message);
    free(reply);
}

static void put(struct bench *b, uint64_t value, unsigned bytes)
{
    memcpy(b->out + b->len, &value, bytes);
    b->len += bytes;
}

static void put_text(struct bench *b, const char *text)
{
    size_t len = strlen(text);
    put(b, len, 2);
    memcpy(b->out + b->len, text, len);
    b->len += (uint32_t)len;
}

static void begin(struct bench *b, uint8_t type)
{
    b->len = 4;
    put(b, type, 1);
    put(b, 1, 2);
}

static void end_and_send(struct bench *b, uint32_t room)
{
    memcpy(b->out, &b->len, 4);
    send(b, room);
}

static void attach(struct bench *b)
{
    begin(b, Tversion);
    put(b, MESSAGE_MAX, 4);
    put_text(b, "9P2000.L");
    end_and_send(b, MESSAGE_MAX);
    begin(b, Tattach);
    put(b, ROOT, 4);
    put(b, ~0u, 4);
    put_text(b, "");
    put_text(b, "");
    put(b, 0, 4);
    end_and_send(b, MESSAGE_MAX);
}

// Fields as the input lists them: numbers of 1 to 8 bytes, names, counted bytes.
static void fields(struct bench *b, struct fuzz_input *in)
{
    static const char *const names[] = {"a", "b",      "out",       "..",  ".",
                                        "",  "user.x", "../secret", "a/b", "system.posix_acl_access"};
    uint8_t how = fuzz_u8(in);
    begin(b, fuzz_u8(in));
    for (unsigned i = 0, count = how & 15; i < count && b->len < MESSAGE_MAX - 600; i++) {
        uint8_t field = fuzz_u8(in);
        size_t len;
        if (field < 0x60) {
            put(b, field & 15, 4); // mostly fids
        } else if (field < 0xa0) {
            put_text(b, names[field % ARRAY_SIZE(names)]);
        } else if (field < 0xc0) {
            const uint8_t *bytes = fuzz_bytes(in, field & 31, &len);
            put(b, len, field & 1 ? 4 : 2);
            memcpy(b->out + b->len, bytes, len);
            b->len += (uint32_t)len;
        } else {
            put(b, fuzz_value(in), 1u << (field & 3));
        }
    }
    end_and_send(b, how & 16 ? fuzz_u16(in) % MESSAGE_MAX : MESSAGE_MAX);
}

static void any_bytes(struct bench *b, struct fuzz_input *in)
{
    size_t len, want = fuzz_u16(in) % MESSAGE_MAX;
    const uint8_t *bytes = fuzz_bytes(in, want, &len);
    memcpy(b->out, bytes, len);
    b->len = (uint32_t)len;
    send(b, MESSAGE_MAX);
}

static void restore(struct bench *b, struct fuzz_input *in)
{
    uint8_t edits = fuzz_u8(in) % 8;
    size_t size = fs_save(b->fs, b->session, sizeof b->session), len;
    FUZZ_CHECK(size <= sizeof b->session);
    for (unsigned i = 0; i < edits; i++) {
        size_t at = fuzz_below(in, sizeof b->session - 8);
        const uint8_t *bytes = fuzz_bytes(in, fuzz_u8(in) % 8, &len);
        memcpy(b->session + at % (size + 1), bytes, len);
    }
    if (edits == 7)
        size = fuzz_u16(in) % sizeof b->session;
    fs_reset(b->fs);
    fs_restore(b->fs, b->session, size);
}

static void look_outside(const char *secret)
{
    char text[8] = {0};
    struct stat st;
    int fd = open(secret, O_RDONLY);
    FUZZ_CHECK(fd >= 0 && read(fd, text, sizeof text) == 6 && !strcmp(text, "secret"));
    FUZZ_CHECK(!fstat(fd, &st) && (st.st_mode & 0777) == 0600 && st.st_nlink == 1);
    close(fd);
}

static struct fs *open_share(struct rig *rig, const char *share, const char *secret)
{
    struct rlimit limit = {FILE_MAX, RLIM_INFINITY};
    struct fs *fs;
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
    umask(0022);
    int fd = open(secret, O_WRONLY | O_CREAT, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, "secret", 6) == 6 && !close(fd));
    FUZZ_CHECK(!mkdir(share, 0700));
    struct fs_config config = {.path = share, .security = FS_MAPPED, .loop = rig->loop};
    if (fs_open(&config, &fs, NULL)) { // no extended attributes here
        config.security = FS_NONE;
        FUZZ_CHECK(!fs_open(&config, &fs, NULL));
    }
    return fs;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { STEPS = 200 };
    static char share[80], secret[80], link[96];
    static struct bench b;
    struct rig *rig = rig_get();
    struct fuzz_input in = {data, size};
    if (!b.fs) {
        snprintf(share, sizeof share, "%s/share", rig_folder());
        snprintf(secret, sizeof secret, "%s/secret", rig_folder());
        snprintf(link, sizeof link, "%s/out", share);
        b.fs = open_share(rig, share, secret);
    }
    FUZZ_CHECK(!symlink("..", link));
    attach(&b);
    for (unsigned i = 0; in.size && i < STEPS; i++) {
        uint8_t what = fuzz_u8(&in);
        if (what < 0xe0)
            fields(&b, &in);
        else if (what < 0xf0)
            any_bytes(&b, &in);
        else if (what < 0xf8)
            restore(&b, &in);
        else
            attach(&b);
    }
    fs_reset(b.fs);
    look_outside(secret);
    rig_empty(share);
    return 0;
}
