// SPDX-License-Identifier: MIT
// What the cryptographic and checksum instructions compute, as pure functions on register values: the
// interpreter's reference and the fallback of hosts without such instructions. Operands are in the order of
// the Arm manual's assembly (Vd, Vn, Vm). Table look-ups make the time depend on the data; a guest sees that
// as cache timing. Thread: any. Errors: none.
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/types.h"

// AESE, AESD: whiten with the key, then (Inv)ShiftRows and (Inv)SubBytes. AESMC, AESIMC: (Inv)MixColumns.
union v128 crypto_aese(union v128 state, union v128 key);
union v128 crypto_aesd(union v128 state, union v128 key);
union v128 crypto_aesmc(union v128 state);
union v128 crypto_aesimc(union v128 state);

// Carry-less products: PMULL of eight bytes or of one doubleword, and PMUL (low byte of each product).
union v128 crypto_pmull8(uint64_t a, uint64_t b);
union v128 crypto_pmull64(uint64_t a, uint64_t b);
union v128 crypto_pmul8(union v128 a, union v128 b);

// SHA1C, SHA1P, SHA1M: four rounds with choose, parity or majority; e is Sn and w holds schedule plus
// constant.
union v128 crypto_sha1c(union v128 abcd, uint32_t e, union v128 w);
union v128 crypto_sha1p(union v128 abcd, uint32_t e, union v128 w);
union v128 crypto_sha1m(union v128 abcd, uint32_t e, union v128 w);
uint32_t crypto_sha1h(uint32_t a);
union v128 crypto_sha1su0(union v128 d, union v128 n, union v128 m);
union v128 crypto_sha1su1(union v128 d, union v128 n);

// SHA256H, SHA256H2: the two halves of four rounds.
union v128 crypto_sha256h(union v128 abcd, union v128 efgh, union v128 w);
union v128 crypto_sha256h2(union v128 efgh, union v128 abcd, union v128 w);
union v128 crypto_sha256su0(union v128 d, union v128 n);
union v128 crypto_sha256su1(union v128 d, union v128 n, union v128 m);

// The same in the order of lanes that hosts' instructions have, the last variable lowest. Four rounds of SHA-1's stage
// 0..3 with its constant, w holding w3, w2, w1, w0 + e; two of SHA-256, giving f, e, b, a, where those before are the
// new h, g, d, c. s0 and s1 add the schedule's functions to `sum`: crypto_sha256su0, and the last step of su1.
union v128 crypto_sha1_rounds(union v128 dcba, union v128 w, unsigned stage);
union v128 crypto_sha256_rounds(union v128 hgdc, union v128 feba, union v128 w);
union v128 crypto_sha256_s0(union v128 sum, union v128 later);
union v128 crypto_sha256_s1(union v128 sum, union v128 before);

// CRC32 and CRC32C of the low bytes (1, 2, 4 or 8) of value. Neither inverts acc: software does.
uint32_t crypto_crc32(uint32_t acc, uint64_t value, unsigned bytes);
uint32_t crypto_crc32c(uint32_t acc, uint64_t value, unsigned bytes);

#endif
