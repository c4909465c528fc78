# SPDX-License-Identifier: MIT
# SHA-256 of 16 MiB, three times over.
# needs: openssl
for i in 1 2 3; do openssl dgst -sha256 -r <"$DATA/bulk.bin"; done
