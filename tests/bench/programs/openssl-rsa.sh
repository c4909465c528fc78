# SPDX-License-Identifier: MIT
# needs: openssl
# Signatures of PKCS #1 v1.5, which have no random part, and primality tests of the same modular arithmetic.
set -e
for i in 1 2 3 4 5 6; do
    echo "message $i" >message
    openssl dgst -sha256 -sign "$DATA/key.pem" message | od -An -tx1
done
# 2^521 - 1, 2^607 - 1, 2^1279 - 1 are primes
openssl prime -hex 1FF$(printf '%0128d' 0 | tr 0 F) 7FFFFFFF$(printf '%0144d' 0 | tr 0 F) \
    7FFFFFFF$(printf '%0312d' 0 | tr 0 F)
