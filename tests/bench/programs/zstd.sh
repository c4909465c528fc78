# SPDX-License-Identifier: MIT
# Packs a log at level 7 and unpacks it again.
# needs: zstd
set -e
zstd -q -7 --single-thread -c <"$DATA/log.txt" >text.zst
cat text.zst
zstd -q -dc text.zst | tail -n 3
