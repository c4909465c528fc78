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

// x is a to d and y is e to h; afterwards both are four rounds on.
static void sha256_rounds(union v128 *x, union v128 *y, union v128 w)
{
    for (unsigned i = 0; i < 4; i++) {
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
    sha256_rounds(&abcd, &efgh, w);
    return abcd;
}

union v128 crypto_sha256h2(union v128 efgh, union v128 abcd, union v128 w)
{
    sha256_rounds(&abcd, &efgh, w);
    return efgh;
}

union v128 crypto_sha256su0(union v128 d, union v128 n)
{
    const uint32_t later[4] = {d.s[1], d.s[2], d.s[3], n.s[0]};
    for (unsigned i = 0; i < 4; i++)
        d.s[i] += rotr(later[i], 7) ^ rotr(later[i], 18) ^ later[i] >> 3;
    return d;
}

union v128 crypto_sha256su1(union v128 d, union v128 n, union v128 m)
{
    const uint32_t addend[4] = {n.s[1], n.s[2], n.s[3], m.s[0]};
    for (unsigned i = 0; i < 4; i++) {
        uint32_t t = i < 2 ? m.s[i + 2] : d.s[i - 2];
        d.s[i] += addend[i] + (rotr(t, 17) ^ rotr(t, 19) ^ t >> 10);
    }
    return d;
}
