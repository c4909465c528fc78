# SPDX-License-Identifier: MIT
# AES-256 in CBC and CTR mode over 16 MiB.
# needs: openssl
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
for mode in cbc ctr; do
    openssl enc -aes-256-$mode -K $key -iv 0f0e0d0c0b0a09080706050403020100 -in "$DATA/bulk.bin" -out $mode
    tail -c 4096 $mode
done
