// SPDX-License-Identifier: MIT
// SHA-1 and SHA-256 round and schedule steps. Manual: SHAchoose, SHAparity, SHAmajority, SHA256hash and the
// SHA instructions' own pseudocode; FIPS 180-4. Lane 0 holds the earliest word, or hash variable a or e.
#include "base/crypto.h"

static uint32_t rotl(uint32_t v, unsigned n)
{
    return v << n | v >> (32 - n);
}
static uint32_t rotr(uint32_t v, unsigned n)
{
    return v >> n | v << (32 - n);
}
static uint32_t choose(uint32_t x, uint32_t y, uint32_t z)
{
    return ((y ^ z) & x) ^ z;
}
static uint32_t parity(uint32_t x, uint32_t y, uint32_t z)
{
    return x ^ y ^ z;
}
static uint32_t majority(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) | ((x | y) & z);
}

static union v128 sha1_rounds(union v128 x, uint32_t e, union v128 w,
                              uint32_t (*mix)(uint32_t, uint32_t, uint32_t))
{
    for (unsigned i = 0; i < 4; i++) {
        uint32_t a = e + rotl(x.s[0], 5) + mix(x.s[1], x.s[2], x.s[3]) + w.s[i];
        e = x.s[3];
        x = (union v128){.s = {a, x.s[0], rotl(x.s[1], 30), x.s[2]}};
    }
    return x;
}

union v128 crypto_sha1c(union v128 abcd, uint32_t e, union v128 w)
{
    return sha1_rounds(abcd, e, w, choose);
}

union v128 crypto_sha1p(union v128 abcd, uint32_t e, union v128 w)
{
    return sha1_rounds(abcd, e, w, parity);
}

union v128 crypto_sha1m(union v128 abcd, uint32_t e, union v128 w)
{
    return sha1_rounds(abcd, e, w, majority);
}

uint32_t crypto_sha1h(uint32_t a)
{
    return rotl(a, 30);
}

union v128 crypto_sha1su0(union v128 d, union v128 n, union v128 m)
{
    return (union v128){.d = {d.d[1] ^ d.d[0] ^ m.d[0], n.d[0] ^ d.d[1] ^ m.d[1]}};
}

union v128 crypto_sha1su1(union v128 d, union v128 n)
{
    uint32_t t0 = d.s[0] ^ n.s[1], t1 = d.s[1] ^ n.s[2], t2 = d.s[2] ^ n.s[3], t3 = d.s[3];
    return (union v128){.s = {rotl(t0, 1), rotl(t1, 1), rotl(t2, 1), rotl(t3, 1) ^ rotl(t0, 2)}};
}

union v128 crypto_sha1_rounds(union v128 dcba, union v128 w, unsigned stage)
{
    static uint32_t (*const mix[4])(uint32_t, uint32_t, uint32_t) = {choose, parity, majority, parity};
    static const uint32_t constants[4] = {0x5a827999u, 0x6ed9eba1u, 0x8f1bbcdcu, 0xca62c1d6u};
    const uint32_t k = constants[stage & 3];
    union v128 abcd = {.s = {dcba.s[3], dcba.s[2], dcba.s[1], dcba.s[0]}};
    union v128 words = {.s = {w.s[3] + k, w.s[2] + k, w.s[1] + k, w.s[0] + k}};
    abcd = sha1_rounds(abcd, 0, words, mix[stage & 3]);
    return (union v128){.s = {abcd.s[3], abcd.s[2], abcd.s[1], abcd.s[0]}};
}

// x is a to d and y is e to h; afterwards both are `count` rounds on.
static void sha256_rounds(union v128 *x, union v128 *y, union v128 w, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t a = x->s[0], e = y->s[0];
        uint32_t sum1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
        uint32_t sum0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
        uint32_t t = y->s[3] + sum1 + choose(e, y->s[1], y->s[2]) + w.s[i];
        uint32_t next = t + sum0 + majority(a, x->s[1], x->s[2]);
        *y = (union v128){.s = {x->s[3] + t, e, y->s[1], y->s[2]}};
        *x = (union v128){.s = {next, a, x->s[1], x->s[2]}};
    }
}

union v128 crypto_sha256h(union v128 abcd, union v128 efgh, union v128 w)
{
    sha256_rounds(&abcd, &efgh, w, 4);
    return abcd;
}

union v128 crypto_sha256h2(union v128 efgh, union v128 abcd, union v128 w)
{
    sha256_rounds(&abcd, &efgh, w, 4);
    return efgh;
}

union v128 crypto_sha256_rounds(union v128 hgdc, union v128 feba, union v128 w)
{
    union v128 x = {.s = {feba.s[3], feba.s[2], hgdc.s[3], hgdc.s[2]}};
    union v128 y = {.s = {feba.s[1], feba.s[0], hgdc.s[1], hgdc.s[0]}};
    sha256_rounds(&x, &y, w, 2);
    return (union v128){.s = {y.s[1], y.s[0], x.s[1], x.s[0]}};
}

union v128 crypto_sha256_s0(union v128 sum, union v128 later)
{
    const uint32_t words[4] = {sum.s[1], sum.s[2], sum.s[3], later.s[0]};
    for (unsigned i = 0; i < 4; i++)
        sum.s[i] += rotr(words[i], 7) ^ rotr(words[i], 18) ^ words[i] >> 3;
    return sum;
}

union v128 crypto_sha256_s1(union v128 sum, union v128 before)
{
    for (unsigned i = 0; i < 4; i++) {
        uint32_t t = i < 2 ? before.s[i + 2] : sum.s[i - 2];
        sum.s[i] += rotr(t, 17) ^ rotr(t, 19) ^ t >> 10;
    }
    return sum;
}

union v128 crypto_sha256su0(union v128 d, union v128 n)
{
    return crypto_sha256_s0(d, n);
}

union v128 crypto_sha256su1(union v128 d, union v128 n, union v128 m)
{
    const uint32_t addend[4] = {n.s[1], n.s[2], n.s[3], m.s[0]};
    for (unsigned i = 0; i < 4; i++)
        d.s[i] += addend[i];
    return crypto_sha256_s1(d, m);
}
