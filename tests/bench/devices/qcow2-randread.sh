# SPDX-License-Identifier: MIT
# Reads 4 KiB here and there of a full qcow2 image, 32 at once.
# needs: fio
set -e
. "$DATA/fio.inc"
fio_on full read --rw=randread --bs=4k --iodepth=32 --size=256M --io_size=32M
