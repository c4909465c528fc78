# SPDX-License-Identifier: MIT
# Writes an empty qcow2 image full, 1 MiB at a time, four at once: all of it is allocated.
# needs: fio
set -e
. "$DATA/fio.inc"
fio_on empty write --rw=write --bs=1M --iodepth=4 --size=256M
