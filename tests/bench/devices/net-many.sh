# SPDX-License-Identifier: MIT
# Eight TCP streams at once from the guest to the host.
# needs: iperf3
set -e
. "$DATA/iperf3.inc"
iperf3_for 256 -P 8
