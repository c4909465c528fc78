// SPDX-License-Identifier: MIT
// Owns a session's way into a snapshot and back: the message size, and a record for each fid with the path it
// stands for and how its file was open. Extended attributes half read or written are left out, and so is what
// does not fit: the guest is told that such a fid is bad. A file that was removed while open, or is of
// another kind by now, is not open afterwards.
#include "host/fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { CLOSED, OPEN_FILE, OPEN_FOLDER };

size_t fs_save(struct fs *fs, uint8_t *buf, size_t size)
{
    struct p9_writer out = {buf, 0, (uint32_t)(size < UINT32_MAX ? size : UINT32_MAX), false};
    p9_put(&out, fs->msize, 4);
    for (unsigned i = 0; i < FS_FID_BUCKETS; i++)
        for (const struct fid *fid = fs->fids[i]; fid; fid = fid->next) {
            uint32_t before = out.len;
            if (fid->kind != FID_PATH)
                continue;
            p9_put(&out, fid->id, 4);
            p9_put(&out, fid->uid, 4);
            p9_put(&out, fid->fd < 0 ? CLOSED : fid->is_dir ? OPEN_FOLDER : OPEN_FILE, 1);
            p9_put(&out, (uint32_t)fid->flags, 4);
            p9_put_text(&out, fid->path);
            if (out.full) {
                out.len = before;
                return before;
            }
        }
    return out.len;
}

// A path as we make them: components that are names, and one slash between two.
static bool well_formed(const char *path)
{
    while (*path) {
        size_t len = strcspn(path, "/");
        if (!len || len > NAME_MAX || (path[0] == '.' && (len == 1 || (len == 2 && path[1] == '.'))))
            return false;
        path += len;
        if (*path && !*++path)
            return false;
    }
    return true;
}

static void reopen(struct fs *fs, struct fid *fid, unsigned how, int flags)
{
    struct stat st;
    bool is_dir = how == OPEN_FOLDER;
    if (fs->open_count >= fs->max_open || folder_stat(fs, fid->path, &st) ||
        !(is_dir ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)) ||
        ((flags & O_ACCMODE) != O_RDONLY && (fs->readonly || is_dir)))
        return;
    int fd = folder_open(fs, fid->path, flags | O_NONBLOCK | O_NOCTTY | (is_dir ? O_DIRECTORY : 0));
    if (fd >= 0)
        fid_opened(fs, fid, fd, is_dir, flags);
}

void fs_restore(struct fs *fs, const uint8_t *buf, size_t size)
{
    struct p9_reader in = {buf, buf + size, false};
    fs_reset(fs);
    uint32_t msize = (uint32_t)p9_get(&in, 4);
    if (in.bad || msize < FS_MIN_MESSAGE || msize > FS_MAX_MESSAGE)
        return;
    fs->msize = msize;
    while (in.at < in.end) {
        char path[PATH_MAX];
        struct fid *fid;
        uint32_t id = (uint32_t)p9_get(&in, 4), uid = (uint32_t)p9_get(&in, 4);
        unsigned how = (unsigned)p9_get(&in, 1);
        int flags = (int)p9_get(&in, 4) & FID_FLAGS;
        if (p9_get_text(&in, path, sizeof path) || !well_formed(path) || fid_create(fs, id, path, uid, &fid))
            return;
        if (how != CLOSED)
            reopen(fs, fid, how, flags);
    }
}
