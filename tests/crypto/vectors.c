// SPDX-License-Identifier: MIT
// base/crypto.h against published values: FIPS 197 appendix C.1 (AES-128), FIPS 180 examples ("abc" under
// SHA-1 and SHA-256), the CRCs' check values, and the AES S-box against its definition.
#include <criterion/criterion.h>
#include <string.h>

#include "base/crypto.h"

static union v128 from_bytes(const uint8_t bytes[16])
{
    union v128 r;
    memcpy(r.b, bytes, 16);
    return r;
}

static union v128 xor128(union v128 a, union v128 b)
{
    return (union v128){.d = {a.d[0] ^ b.d[0], a.d[1] ^ b.d[1]}};
}

// With all columns equal ShiftRows changes nothing: AESE is then SubWord.
static uint32_t sub_word(uint32_t w)
{
    union v128 zero = {.d = {0, 0}};
    return crypto_aese((union v128){.s = {w, w, w, w}}, zero).s[0];
}

static void expand_key(union v128 key, union v128 round_keys[11])
{
    uint32_t rcon = 1;
    round_keys[0] = key;
    for (int i = 1; i <= 10; i++) {
        uint32_t last = key.s[3];
        key.s[0] ^= sub_word(last >> 8 | last << 24) ^ rcon;
        for (int k = 1; k < 4; k++)
            key.s[k] ^= key.s[k - 1];
        round_keys[i] = key;
        rcon = rcon << 1 ^ (rcon >> 7) * 0x11b;
    }
}

Test(crypto, aes128_fips197)
{
    uint8_t key_bytes[16], plain_bytes[16];
    for (int i = 0; i < 16; i++) {
        key_bytes[i] = (uint8_t)i;
        plain_bytes[i] = (uint8_t)(0x11 * i);
    }
    static const uint8_t cipher[16] = {0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
                                       0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a};
    union v128 keys[11], plain = from_bytes(plain_bytes), s = plain;
    expand_key(from_bytes(key_bytes), keys);
    for (int i = 0; i < 9; i++)
        s = crypto_aesmc(crypto_aese(s, keys[i]));
    s = xor128(crypto_aese(s, keys[9]), keys[10]);
    cr_assert(memcmp(s.b, cipher, 16) == 0);

    s = crypto_aesd(s, keys[10]);
    for (int i = 9; i > 0; i--)
        s = crypto_aesd(crypto_aesimc(s), crypto_aesimc(keys[i]));
    s = xor128(s, keys[0]);
    cr_assert(memcmp(s.b, plain.b, 16) == 0);
}

Test(crypto, aes_sbox_definition)
{
    union v128 zero = {.d = {0, 0}};
    for (unsigned v = 1; v < 256; v++) {
        uint8_t s = (uint8_t)sub_word(v), affine = s ^ 0x63;
        // The inverse of the affine map: bit i is the sum of bits i+2, i+5 and i+7.
        uint8_t inverse = (uint8_t)((affine << 1 | affine >> 7) ^ (affine << 3 | affine >> 5) ^
                                    (affine << 6 | affine >> 2));
        uint32_t product = crypto_pmull8(inverse, v).h[0];
        for (int bit = 14; bit >= 8; bit--)
            product ^= (product >> bit & 1) * (0x11bu << (bit - 8));
        cr_assert(product == 1, "S-box of %#x", v);
        union v128 back = crypto_aesd((union v128){.b = {s}}, zero);
        cr_assert(back.b[0] == v, "inverse S-box of %#x", s);
    }
    cr_assert((uint8_t)sub_word(0) == 0x63);
}

// One padded block of "abc".
static void abc_block(union v128 w[4])
{
    memset(w, 0, 4 * sizeof(*w));
    w[0].s[0] = 0x61626380;
    w[3].s[3] = 24;
}

Test(crypto, sha1_abc)
{
    static const uint32_t constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    static const uint32_t start[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    static const uint32_t digest[5] = {0xa9993e36, 0x4706816a, 0xba3e2571, 0x7850c26c, 0x9cd0d89d};
    union v128 w[4], abcd = {.s = {start[0], start[1], start[2], start[3]}};
    uint32_t e = start[4];
    abc_block(w);
    for (int g = 0; g < 20; g++) {
        union v128 wk = w[g & 3];
        for (int i = 0; i < 4; i++)
            wk.s[i] += constants[g / 5];
        uint32_t next_e = crypto_sha1h(abcd.s[0]);
        abcd = g < 5               ? crypto_sha1c(abcd, e, wk)
               : g >= 10 && g < 15 ? crypto_sha1m(abcd, e, wk)
                                   : crypto_sha1p(abcd, e, wk);
        e = next_e;
        union v128 su0 = crypto_sha1su0(w[g & 3], w[(g + 1) & 3], w[(g + 2) & 3]);
        w[g & 3] = crypto_sha1su1(su0, w[(g + 3) & 3]);
    }
    for (int i = 0; i < 4; i++)
        cr_assert(abcd.s[i] + start[i] == digest[i], "word %d", i);
    cr_assert(e + start[4] == digest[4]);
}

Test(crypto, sha256_abc)
{
    // clang-format off
    static const uint32_t constants[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    };
    // clang-format on
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    static const uint32_t digest[8] = {0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223,
                                       0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad};
    union v128 w[4], abcd, efgh;
    memcpy(&abcd, start, 16);
    memcpy(&efgh, start + 4, 16);
    abc_block(w);
    for (int g = 0; g < 16; g++) {
        union v128 wk = w[g & 3], before = abcd;
        for (int i = 0; i < 4; i++)
            wk.s[i] += constants[4 * g + i];
        abcd = crypto_sha256h(abcd, efgh, wk);
        efgh = crypto_sha256h2(efgh, before, wk);
        union v128 su0 = crypto_sha256su0(w[g & 3], w[(g + 1) & 3]);
        w[g & 3] = crypto_sha256su1(su0, w[(g + 2) & 3], w[(g + 3) & 3]);
    }
    for (int i = 0; i < 4; i++) {
        cr_assert(abcd.s[i] + start[i] == digest[i], "word %d", i);
        cr_assert(efgh.s[i] + start[i + 4] == digest[i + 4], "word %d", i + 4);
    }
}

// "123456789", in pieces of each size.
static uint32_t check_value(uint32_t (*crc)(uint32_t, uint64_t, unsigned))
{
    uint32_t acc = ~0u;
    acc = crc(acc, 0x34333231, 4);
    acc = crc(acc, 0x3635, 2);
    acc = crc(acc, 0x37, 1);
    return ~crc(acc, 0x3938, 2);
}

Test(crypto, crc_check_values)
{
    cr_assert(check_value(crypto_crc32) == 0xcbf43926);
    cr_assert(check_value(crypto_crc32c) == 0xe3069283);
    cr_assert(~crypto_crc32(crypto_crc32(~0u, 0x3837363534333231, 8), 0x39, 1) == 0xcbf43926);
}

Test(crypto, carryless_products)
{
    // (x + 1)^2 = x^2 + 1; (2^64 - 1)^2 spreads ones to even places.
    union v128 all = crypto_pmull64(~0ull, ~0ull);
    cr_assert(crypto_pmull8(3, 3).h[0] == 5);
    cr_assert(all.d[0] == 0x5555555555555555 && all.d[1] == 0x5555555555555555);
    cr_assert(crypto_pmul8((union v128){.b = {0xff}}, (union v128){.b = {0xff}}).b[0] == 0x55);
}
