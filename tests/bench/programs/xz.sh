# SPDX-License-Identifier: MIT
# Packs half a megabyte of a log and unpacks it again.
# needs: xz
set -e
head -c 500000 "$DATA/log.txt" >text
xz -T1 -4 text
cat text.xz
xz -dc text.xz | tail -n 3
