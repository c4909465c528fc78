# SPDX-License-Identifier: MIT
# Writes 4 KiB to a raw disk and flushes, over and over.
# needs: fio
set -e
. "$DATA/fio.inc"
fio_on raw write --rw=write --bs=4k --iodepth=1 --fdatasync=1 --size=4M
