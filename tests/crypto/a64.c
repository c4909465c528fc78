// SPDX-License-Identifier: MIT
// base/crypto.h against libunicorn: each A64 instruction on random registers. The CRC rows read W1 and X2 and
// write X0; the others use V0, V1, V2.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unicorn/unicorn.h>

#include "base/crypto.h"
#include "tests/fp/operands.h"

static union v128 scalar(uint32_t v)
{
    return (union v128){.s = {v}};
}

// INSN(name, text, encoding, what we compute from d, n and m)
// clang-format off
#define INSNS \
    INSN(aese, "aese v0.16b, v1.16b", 0x4e284820, crypto_aese(d, n)) \
    INSN(aesd, "aesd v0.16b, v1.16b", 0x4e285820, crypto_aesd(d, n)) \
    INSN(aesmc, "aesmc v0.16b, v1.16b", 0x4e286820, crypto_aesmc(n)) \
    INSN(aesimc, "aesimc v0.16b, v1.16b", 0x4e287820, crypto_aesimc(n)) \
    INSN(pmull, "pmull v0.8h, v1.8b, v2.8b", 0x0e22e020, crypto_pmull8(n.d[0], m.d[0])) \
    INSN(pmull2, "pmull2 v0.8h, v1.16b, v2.16b", 0x4e22e020, crypto_pmull8(n.d[1], m.d[1])) \
    INSN(pmull_d, "pmull v0.1q, v1.1d, v2.1d", 0x0ee2e020, crypto_pmull64(n.d[0], m.d[0])) \
    INSN(pmull2_d, "pmull2 v0.1q, v1.2d, v2.2d", 0x4ee2e020, crypto_pmull64(n.d[1], m.d[1])) \
    INSN(pmul, "pmul v0.16b, v1.16b, v2.16b", 0x6e229c20, crypto_pmul8(n, m)) \
    INSN(sha1c, "sha1c q0, s1, v2.4s", 0x5e020020, crypto_sha1c(d, n.s[0], m)) \
    INSN(sha1p, "sha1p q0, s1, v2.4s", 0x5e021020, crypto_sha1p(d, n.s[0], m)) \
    INSN(sha1m, "sha1m q0, s1, v2.4s", 0x5e022020, crypto_sha1m(d, n.s[0], m)) \
    INSN(sha1h, "sha1h s0, s1", 0x5e280820, scalar(crypto_sha1h(n.s[0]))) \
    INSN(sha1su0, "sha1su0 v0.4s, v1.4s, v2.4s", 0x5e023020, crypto_sha1su0(d, n, m)) \
    INSN(sha1su1, "sha1su1 v0.4s, v1.4s", 0x5e281820, crypto_sha1su1(d, n)) \
    INSN(sha256h, "sha256h q0, q1, v2.4s", 0x5e024020, crypto_sha256h(d, n, m)) \
    INSN(sha256h2, "sha256h2 q0, q1, v2.4s", 0x5e025020, crypto_sha256h2(d, n, m)) \
    INSN(sha256su0, "sha256su0 v0.4s, v1.4s", 0x5e282820, crypto_sha256su0(d, n)) \
    INSN(sha256su1, "sha256su1 v0.4s, v1.4s, v2.4s", 0x5e026020, crypto_sha256su1(d, n, m)) \
    INSN(crc32b, "crc32b w0, w1, w2", 0x1ac24020, scalar(crypto_crc32(n.s[0], m.d[0], 1))) \
    INSN(crc32h, "crc32h w0, w1, w2", 0x1ac24420, scalar(crypto_crc32(n.s[0], m.d[0], 2))) \
    INSN(crc32w, "crc32w w0, w1, w2", 0x1ac24820, scalar(crypto_crc32(n.s[0], m.d[0], 4))) \
    INSN(crc32x, "crc32x w0, w1, x2", 0x9ac24c20, scalar(crypto_crc32(n.s[0], m.d[0], 8))) \
    INSN(crc32cb, "crc32cb w0, w1, w2", 0x1ac25020, scalar(crypto_crc32c(n.s[0], m.d[0], 1))) \
    INSN(crc32ch, "crc32ch w0, w1, w2", 0x1ac25420, scalar(crypto_crc32c(n.s[0], m.d[0], 2))) \
    INSN(crc32cw, "crc32cw w0, w1, w2", 0x1ac25820, scalar(crypto_crc32c(n.s[0], m.d[0], 4))) \
    INSN(crc32cx, "crc32cx w0, w1, x2", 0x9ac25c20, scalar(crypto_crc32c(n.s[0], m.d[0], 8)))

#define INSN(name, text, code, expression) \
    static union v128 ours_##name(union v128 d, union v128 n, union v128 m) \
    { \
        (void)d, (void)n, (void)m; \
        return expression; \
    }
INSNS
#undef INSN
// clang-format on

static const struct row {
    const char *text;
    uint32_t code;
    union v128 (*ours)(union v128 d, union v128 n, union v128 m);
} rows[] = {
#define INSN(name, text, code, expression) {text, code, ours_##name},
    INSNS
#undef INSN
};

enum { CODE = 0x10000 };

static void must(uc_err err)
{
    cr_assert(err == UC_ERR_OK, "unicorn: %s", uc_strerror(err));
}

static union v128 oracle(uc_engine *uc, const struct row *row, bool crc, union v128 v[3])
{
    uint64_t at = CODE + 4 * (uint64_t)(row - rows);
    union v128 result = {.d = {0, 0}};
    for (int i = 0; i < 3; i++) {
        must(uc_reg_write(uc, UC_ARM64_REG_Q0 + i, &v[i]));
        must(uc_reg_write(uc, UC_ARM64_REG_X0 + i, &v[i].d[0]));
    }
    must(uc_emu_start(uc, at, at + 4, 0, 0));
    must(uc_reg_read(uc, crc ? UC_ARM64_REG_X0 : UC_ARM64_REG_Q0, &result));
    return result;
}

Test(crypto_a64, single_instructions)
{
    struct rng rng = rng_start("crypto a64", 31);
    uc_engine *uc;
    must(uc_open(UC_ARCH_ARM64, UC_MODE_ARM, &uc));
    must(uc_ctl_set_cpu_model(uc, UC_CPU_ARM64_MAX));
    must(uc_mem_map(uc, CODE, 0x1000, UC_PROT_ALL));
    for (const struct row *row = rows; row < rows + ARRAY_SIZE(rows); row++) {
        bool crc = strncmp(row->text, "crc", 3) == 0;
        must(uc_mem_write(uc, CODE + 4 * (uint64_t)(row - rows), &row->code, 4));
        for (int i = 0; i < 200; i++) {
            union v128 v[3];
            for (int k = 0; k < 6; k++)
                v[k / 2].d[k & 1] = rng_next(&rng) >> (rng_below(&rng, 4) ? 0 : rng_below(&rng, 64));
            union v128 got = row->ours(v[0], v[1], v[2]);
            union v128 want = oracle(uc, row, crc, v);
            cr_assert(memcmp(&got, &want, sizeof(got)) == 0, "%s: %016llx%016llx, oracle %016llx%016llx",
                      row->text, (unsigned long long)got.d[1], (unsigned long long)got.d[0],
                      (unsigned long long)want.d[1], (unsigned long long)want.d[0]);
        }
    }
    uc_close(uc);
}
