# SPDX-License-Identifier: MIT
# One TCP stream from the guest to the host, over the user-mode network.
# needs: iperf3
set -e
. "$DATA/iperf3.inc"
iperf3_for 256
