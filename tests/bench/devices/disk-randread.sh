# SPDX-License-Identifier: MIT
# Reads 4 KiB here and there of a raw disk, 32 at once.
# needs: fio
set -e
. "$DATA/fio.inc"
fio_on raw read --rw=randread --bs=4k --iodepth=32 --size=256M --io_size=32M
