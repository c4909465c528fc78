# SPDX-License-Identifier: MIT
# Reads a full qcow2 image from start to end, 1 MiB at a time, four at once.
# needs: fio
set -e
. "$DATA/fio.inc"
fio_on full read --rw=read --bs=1M --iodepth=4 --size=256M --loops=4
