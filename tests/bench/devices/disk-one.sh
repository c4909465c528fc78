# SPDX-License-Identifier: MIT
# Reads 4 KiB here and there of a raw disk, one after the other: how long a request takes.
# needs: fio
set -e
. "$DATA/fio.inc"
fio_on raw read --rw=randread --bs=4k --iodepth=1 --size=256M --io_size=16M
