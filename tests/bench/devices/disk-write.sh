# SPDX-License-Identifier: MIT
# Writes a raw disk from start to end, 1 MiB at a time, four at once.
# needs: fio
set -e
. "$DATA/fio.inc"
fio_on raw write --rw=write --bs=1M --iodepth=4 --size=256M --loops=2
