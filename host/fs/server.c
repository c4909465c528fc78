// SPDX-License-Identifier: MIT
// Owns the server's life: opening the folder, the worker thread, and what every 9P2000.L message has in
// common (ericvh.github.io/9p-rfc, diod's protocol.md for the .L part). Invariant: a request is on exactly
// one list or in the worker's hand, and the finished list is emptied with the machine lock held only.
#include "base/error.h"
#include "host/fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { HEADER = 7, RLERROR = 7, RLERROR_SIZE = HEADER + 4 };

static const struct message {
    uint8_t type;
    bool changes; // something on the host: refused where the folder is read-only
    p9_handler *handle;
} messages[] = {
    {8, false, p9_statfs},  {12, false, p9_lopen},     {14, true, p9_lcreate},     {16, true, p9_symlink},
    {18, true, p9_mknod},   {20, true, p9_rename},     {22, false, p9_readlink},   {24, false, p9_getattr},
    {26, true, p9_setattr}, {30, false, p9_xattrwalk}, {32, true, p9_xattrcreate}, {40, false, p9_readdir},
    {50, false, p9_fsync},  {52, false, p9_lock},      {54, false, p9_getlock},    {70, true, p9_link},
    {72, true, p9_mkdir},   {74, true, p9_renameat},   {76, true, p9_unlinkat},    {100, false, p9_version},
    {102, false, p9_auth},  {104, false, p9_attach},   {108, false, p9_flush},     {110, false, p9_walk},
    {116, false, p9_read},  {118, true, p9_write},     {120, false, p9_clunk},     {122, false, p9_remove},
};

static int handle(struct fs *fs, unsigned type, struct p9_reader *in, struct p9_writer *out)
{
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        if (messages[i].type != type)
            continue;
        if (messages[i].changes && fs->readonly)
            return -EROFS;
        int r = messages[i].handle(fs, in, out);
        return r ? r : in->bad ? -EINVAL : out->full ? -EMSGSIZE : 0;
    }
    return -EOPNOTSUPP;
}

static void serve(struct fs *fs, struct fs_request *request)
{
    struct p9_reader in = {request->message, request->message + request->message_len, false};
    struct p9_writer out = {request->reply, HEADER, request->reply_size, false};
    request->reply_len = 0;
    if (request->reply_size < RLERROR_SIZE)
        return;
    uint32_t size = (uint32_t)p9_get(&in, 4);
    unsigned type = (unsigned)p9_get(&in, 1), tag = (unsigned)p9_get(&in, 2);
    int r = -EINVAL;
    if (!in.bad && size <= request->message_len && size >= HEADER) {
        in.end = request->message + size;
        r = handle(fs, type, &in, &out);
    }
    if (r) {
        type = RLERROR - 1;
        out = (struct p9_writer){request->reply, HEADER, request->reply_size, false};
        p9_put(&out, (uint32_t)-r, 4);
    }
    request->reply_len = out.len;
    out.len = 0;
    p9_put(&out, request->reply_len, 4);
    p9_put(&out, type + 1, 1);
    p9_put(&out, tag, 2);
}

static void list_init(struct fs_list *list)
{
    *list = (struct fs_list){.last = &list->first};
}

static void list_add(struct fs_list *list, struct fs_request *request)
{
    request->next = NULL;
    *list->last = request;
    list->last = &request->next;
}

static struct fs_request *list_take(struct fs_list *list)
{
    struct fs_request *request = list->first;
    if (request && !(list->first = request->next))
        list->last = &list->first;
    return request;
}

static void *work(void *opaque)
{
    struct fs *fs = opaque;
    pthread_mutex_lock(&fs->lock);
    for (;;) {
        struct fs_request *request = list_take(&fs->queued);
        if (!request) {
            pthread_cond_broadcast(&fs->idle);
            if (fs->stopping)
                break;
            pthread_cond_wait(&fs->work, &fs->lock);
            continue;
        }
        fs->busy = true;
        pthread_mutex_unlock(&fs->lock);
        serve(fs, request);
        pthread_mutex_lock(&fs->lock);
        fs->busy = false;
        bool first = !fs->finished.first;
        list_add(&fs->finished, request);
        if (first)
            loop_defer(fs->loop, &fs->completion);
    }
    pthread_mutex_unlock(&fs->lock);
    return NULL;
}

static void complete(void *opaque)
{
    struct fs *fs = opaque;
    struct fs_request *request;
    pthread_mutex_lock(&fs->lock);
    while ((request = list_take(&fs->finished))) {
        pthread_mutex_unlock(&fs->lock);
        request->done(request);
        pthread_mutex_lock(&fs->lock);
    }
    pthread_mutex_unlock(&fs->lock);
}

void fs_submit(struct fs *fs, struct fs_request *request)
{
    pthread_mutex_lock(&fs->lock);
    list_add(&fs->queued, request);
    pthread_cond_signal(&fs->work);
    pthread_mutex_unlock(&fs->lock);
}

void fs_drain(struct fs *fs)
{
    pthread_mutex_lock(&fs->lock);
    while (fs->queued.first || fs->busy)
        pthread_cond_wait(&fs->idle, &fs->lock);
    pthread_mutex_unlock(&fs->lock);
    complete(fs);
}

void fs_reset(struct fs *fs)
{
    fs_drain(fs);
    fids_clear(fs);
    fs->msize = FS_MIN_MESSAGE;
}

// For the worker a file that grows past the process's limit is EFBIG, not the end of it. Other signals reach it: the
// sandbox has one for every thread.
static int start(struct fs *fs, struct error *err)
{
    sigset_t limit, old;
    list_init(&fs->queued);
    list_init(&fs->finished);
    fs->completion = (struct loop_call){.callback = complete, .opaque = fs};
    pthread_mutex_init(&fs->lock, NULL);
    pthread_cond_init(&fs->work, NULL);
    pthread_cond_init(&fs->idle, NULL);
    sigemptyset(&limit);
    sigaddset(&limit, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &limit, &old);
    int e = pthread_create(&fs->worker, NULL, work, fs);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return e ? error_set(err, -e, "cannot start a file thread: %s", strerror(e)) : 0;
}

// Files that a guest may keep open: the rest of the process needs some of its descriptors, too.
static unsigned open_limit(void)
{
    enum { OURS = 256, LEAST = 64, MOST = 4096 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur <= OURS + LEAST)
        return LEAST;
    return limit.rlim_cur - OURS < MOST ? (unsigned)(limit.rlim_cur - OURS) : MOST;
}

static int check(struct fs *fs, const struct fs_config *config, struct error *err)
{
    struct stat st;
    char byte;
    int fd = folder_open(fs, "", O_PATH);
    if (fd < 0)
        return error_set(err, fd,
                         "'%s' cannot be shared: this host has no openat2, which keeps a guest inside it",
                         config->path);
    close(fd);
    if (fstat(fs->root, &st))
        return error_set(err, -errno, "cannot open '%s': %s", config->path, strerror(errno));
    if (fs->security == FS_MAPPED && fgetxattr(fs->root, FOLDER_MAP_PREFIX "uid", &byte, 0) < 0 &&
        errno == EOPNOTSUPP)
        return error_set(
            err, -ENOTSUP,
            "the file system of '%s' has no extended attributes, which a mapped security model needs",
            config->path);
    fs->root_dev = fs->devices[0] = st.st_dev;
    fs->device_count = 1;
    return 0;
}

int fs_open(const struct fs_config *config, struct fs **ret_fs, struct error *err)
{
    int root = open(config->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_set(err, -errno, "cannot open the folder '%s': %s", config->path, strerror(errno));
    struct fs *fs = calloc(1, sizeof *fs);
    uint8_t *scratch = malloc(FS_MAX_XATTR);
    int r = fs && scratch ? 0 : error_set(err, -ENOMEM, "out of memory");
    if (!r) {
        *fs = (struct fs){.root = root,
                          .security = config->security,
                          .multidevs = config->multidevs,
                          .readonly = config->readonly,
                          .msize = FS_MIN_MESSAGE,
                          .max_open = open_limit(),
                          .scratch = scratch,
                          .loop = config->loop};
        r = check(fs, config, err);
    }
    if (!r)
        r = start(fs, err);
    if (r) {
        close(root);
        free(scratch);
        free(fs);
        return r;
    }
    *ret_fs = fs;
    return 0;
}

void fs_close(struct fs *fs)
{
    if (!fs)
        return;
    fs_reset(fs);
    pthread_mutex_lock(&fs->lock);
    fs->stopping = true;
    pthread_cond_signal(&fs->work);
    pthread_mutex_unlock(&fs->lock);
    pthread_join(fs->worker, NULL);
    loop_defer_cancel(fs->loop, &fs->completion);
    pthread_cond_destroy(&fs->idle);
    pthread_cond_destroy(&fs->work);
    pthread_mutex_destroy(&fs->lock);
    close(fs->root);
    free(fs->scratch);
    free(fs);
}
