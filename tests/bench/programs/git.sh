# SPDX-License-Identifier: MIT
# A small repository: add, commit, rename, diff, repack, check, log.
# needs: git
set -e
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a \
    GIT_COMMITTER_EMAIL=a@example.org GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git init -q -b main .
git config core.fsync none
git config gc.auto 0
cp -R "$DATA/tree" .
git add .
git commit -q -m first
for f in tree/ember/*; do sed 's/took=1/took=2/' "$f" >edited; mv edited "$f"; done
git mv tree/marble moved
git commit -q -a -m second
git diff --stat -M HEAD~1 HEAD
git diff HEAD~1 HEAD
git repack -a -d -q --threads=1
git fsck 2>/dev/null
git log --format='%H %T %s' --numstat
