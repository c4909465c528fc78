# SPDX-License-Identifier: MIT
# Reads a raw disk from start to end, 1 MiB at a time, four at once.
# needs: fio
set -e
. "$DATA/fio.inc"
fio_on raw read --rw=read --bs=1M --iodepth=4 --size=256M --loops=4
