// SPDX-License-Identifier: MIT
// The operations of fp.h with the format fixed, for callers that hold a value of known type (and for tables
// of helper addresses). One line each; fp.h says what they do.
#ifndef BASE_FP_FP_OPS_H
#define BASE_FP_FP_OPS_H

#include "base/fp/fp.h"

static inline uint16_t fp16_add(uint16_t a, uint16_t b, struct fp_env *env)
{
    return (uint16_t)fp_add(&fp_f16, a, b, env);
}
static inline uint16_t fp16_sub(uint16_t a, uint16_t b, struct fp_env *env)
{
    return (uint16_t)fp_sub(&fp_f16, a, b, env);
}
static inline uint16_t fp16_mul(uint16_t a, uint16_t b, struct fp_env *env)
{
    return (uint16_t)fp_mul(&fp_f16, a, b, env);
}
static inline uint16_t fp16_mulx(uint16_t a, uint16_t b, struct fp_env *env)
{
    return (uint16_t)fp_mulx(&fp_f16, a, b, env);
}
static inline uint16_t fp16_div(uint16_t a, uint16_t b, struct fp_env *env)
{
    return (uint16_t)fp_div(&fp_f16, a, b, env);
}
static inline uint16_t fp16_min(uint16_t a, uint16_t b, struct fp_env *env)
{
    return (uint16_t)fp_min(&fp_f16, a, b, env);
}
static inline uint16_t fp16_max(uint16_t a, uint16_t b, struct fp_env *env)
{
    return (uint16_t)fp_max(&fp_f16, a, b, env);
}
static inline uint16_t fp16_minnm(uint16_t a, uint16_t b, struct fp_env *env)
{
    return (uint16_t)fp_minnm(&fp_f16, a, b, env);
}
static inline uint16_t fp16_maxnm(uint16_t a, uint16_t b, struct fp_env *env)
{
    return (uint16_t)fp_maxnm(&fp_f16, a, b, env);
}
static inline uint16_t fp16_recps(uint16_t a, uint16_t b, struct fp_env *env)
{
    return (uint16_t)fp_recps(&fp_f16, a, b, env);
}
static inline uint16_t fp16_rsqrts(uint16_t a, uint16_t b, struct fp_env *env)
{
    return (uint16_t)fp_rsqrts(&fp_f16, a, b, env);
}
static inline uint16_t fp16_muladd(uint16_t addend, uint16_t a, uint16_t b, struct fp_env *env)
{
    return (uint16_t)fp_muladd(&fp_f16, addend, a, b, env);
}
static inline uint16_t fp16_sqrt(uint16_t a, struct fp_env *env)
{
    return (uint16_t)fp_sqrt(&fp_f16, a, env);
}
static inline uint16_t fp16_recpe(uint16_t a, struct fp_env *env)
{
    return (uint16_t)fp_recpe(&fp_f16, a, env);
}
static inline uint16_t fp16_rsqrte(uint16_t a, struct fp_env *env)
{
    return (uint16_t)fp_rsqrte(&fp_f16, a, env);
}
static inline uint16_t fp16_recpx(uint16_t a, struct fp_env *env)
{
    return (uint16_t)fp_recpx(&fp_f16, a, env);
}
static inline uint16_t fp16_neg(uint16_t a)
{
    return (uint16_t)fp_neg(&fp_f16, a);
}
static inline uint16_t fp16_abs(uint16_t a)
{
    return (uint16_t)fp_abs(&fp_f16, a);
}
static inline enum fp_order fp16_compare(uint16_t a, uint16_t b, bool signalling, struct fp_env *env)
{
    return fp_compare(&fp_f16, a, b, signalling, env);
}
static inline uint16_t fp16_round_to_int(uint16_t a, enum fp_round round, bool exact, struct fp_env *env)
{
    return (uint16_t)fp_round_to_int(&fp_f16, a, round, exact, env);
}
static inline uint64_t fp16_to_sint(uint16_t a, unsigned width, unsigned fbits, enum fp_round round,
                                    struct fp_env *env)
{
    return fp_to_sint(&fp_f16, a, width, fbits, round, env);
}
static inline uint64_t fp16_to_uint(uint16_t a, unsigned width, unsigned fbits, enum fp_round round,
                                    struct fp_env *env)
{
    return fp_to_uint(&fp_f16, a, width, fbits, round, env);
}
static inline uint16_t fp16_from_sint(int64_t a, unsigned fbits, enum fp_round round, struct fp_env *env)
{
    return (uint16_t)fp_from_sint(&fp_f16, a, fbits, round, env);
}
static inline uint16_t fp16_from_uint(uint64_t a, unsigned fbits, enum fp_round round, struct fp_env *env)
{
    return (uint16_t)fp_from_uint(&fp_f16, a, fbits, round, env);
}
static inline uint32_t fp16_to_f32(uint16_t a, enum fp_round round, struct fp_env *env)
{
    return (uint32_t)fp_convert(&fp_f16, &fp_f32, a, round, env);
}
static inline uint64_t fp16_to_f64(uint16_t a, enum fp_round round, struct fp_env *env)
{
    return (uint64_t)fp_convert(&fp_f16, &fp_f64, a, round, env);
}

static inline uint32_t fp32_add(uint32_t a, uint32_t b, struct fp_env *env)
{
    return (uint32_t)fp_add(&fp_f32, a, b, env);
}
static inline uint32_t fp32_sub(uint32_t a, uint32_t b, struct fp_env *env)
{
    return (uint32_t)fp_sub(&fp_f32, a, b, env);
}
static inline uint32_t fp32_mul(uint32_t a, uint32_t b, struct fp_env *env)
{
    return (uint32_t)fp_mul(&fp_f32, a, b, env);
}
static inline uint32_t fp32_mulx(uint32_t a, uint32_t b, struct fp_env *env)
{
    return (uint32_t)fp_mulx(&fp_f32, a, b, env);
}
static inline uint32_t fp32_div(uint32_t a, uint32_t b, struct fp_env *env)
{
    return (uint32_t)fp_div(&fp_f32, a, b, env);
}
static inline uint32_t fp32_min(uint32_t a, uint32_t b, struct fp_env *env)
{
    return (uint32_t)fp_min(&fp_f32, a, b, env);
}
static inline uint32_t fp32_max(uint32_t a, uint32_t b, struct fp_env *env)
{
    return (uint32_t)fp_max(&fp_f32, a, b, env);
}
static inline uint32_t fp32_minnm(uint32_t a, uint32_t b, struct fp_env *env)
{
    return (uint32_t)fp_minnm(&fp_f32, a, b, env);
}
static inline uint32_t fp32_maxnm(uint32_t a, uint32_t b, struct fp_env *env)
{
    return (uint32_t)fp_maxnm(&fp_f32, a, b, env);
}
static inline uint32_t fp32_recps(uint32_t a, uint32_t b, struct fp_env *env)
{
    return (uint32_t)fp_recps(&fp_f32, a, b, env);
}
static inline uint32_t fp32_rsqrts(uint32_t a, uint32_t b, struct fp_env *env)
{
    return (uint32_t)fp_rsqrts(&fp_f32, a, b, env);
}
static inline uint32_t fp32_muladd(uint32_t addend, uint32_t a, uint32_t b, struct fp_env *env)
{
    return (uint32_t)fp_muladd(&fp_f32, addend, a, b, env);
}
static inline uint32_t fp32_sqrt(uint32_t a, struct fp_env *env)
{
    return (uint32_t)fp_sqrt(&fp_f32, a, env);
}
static inline uint32_t fp32_recpe(uint32_t a, struct fp_env *env)
{
    return (uint32_t)fp_recpe(&fp_f32, a, env);
}
static inline uint32_t fp32_rsqrte(uint32_t a, struct fp_env *env)
{
    return (uint32_t)fp_rsqrte(&fp_f32, a, env);
}
static inline uint32_t fp32_recpx(uint32_t a, struct fp_env *env)
{
    return (uint32_t)fp_recpx(&fp_f32, a, env);
}
static inline uint32_t fp32_neg(uint32_t a)
{
    return (uint32_t)fp_neg(&fp_f32, a);
}
static inline uint32_t fp32_abs(uint32_t a)
{
    return (uint32_t)fp_abs(&fp_f32, a);
}
static inline enum fp_order fp32_compare(uint32_t a, uint32_t b, bool signalling, struct fp_env *env)
{
    return fp_compare(&fp_f32, a, b, signalling, env);
}
static inline uint32_t fp32_round_to_int(uint32_t a, enum fp_round round, bool exact, struct fp_env *env)
{
    return (uint32_t)fp_round_to_int(&fp_f32, a, round, exact, env);
}
static inline uint64_t fp32_to_sint(uint32_t a, unsigned width, unsigned fbits, enum fp_round round,
                                    struct fp_env *env)
{
    return fp_to_sint(&fp_f32, a, width, fbits, round, env);
}
static inline uint64_t fp32_to_uint(uint32_t a, unsigned width, unsigned fbits, enum fp_round round,
                                    struct fp_env *env)
{
    return fp_to_uint(&fp_f32, a, width, fbits, round, env);
}
static inline uint32_t fp32_from_sint(int64_t a, unsigned fbits, enum fp_round round, struct fp_env *env)
{
    return (uint32_t)fp_from_sint(&fp_f32, a, fbits, round, env);
}
static inline uint32_t fp32_from_uint(uint64_t a, unsigned fbits, enum fp_round round, struct fp_env *env)
{
    return (uint32_t)fp_from_uint(&fp_f32, a, fbits, round, env);
}
static inline uint16_t fp32_to_f16(uint32_t a, enum fp_round round, struct fp_env *env)
{
    return (uint16_t)fp_convert(&fp_f32, &fp_f16, a, round, env);
}
static inline uint64_t fp32_to_f64(uint32_t a, enum fp_round round, struct fp_env *env)
{
    return (uint64_t)fp_convert(&fp_f32, &fp_f64, a, round, env);
}

static inline uint64_t fp64_add(uint64_t a, uint64_t b, struct fp_env *env)
{
    return (uint64_t)fp_add(&fp_f64, a, b, env);
}
static inline uint64_t fp64_sub(uint64_t a, uint64_t b, struct fp_env *env)
{
    return (uint64_t)fp_sub(&fp_f64, a, b, env);
}
static inline uint64_t fp64_mul(uint64_t a, uint64_t b, struct fp_env *env)
{
    return (uint64_t)fp_mul(&fp_f64, a, b, env);
}
static inline uint64_t fp64_mulx(uint64_t a, uint64_t b, struct fp_env *env)
{
    return (uint64_t)fp_mulx(&fp_f64, a, b, env);
}
static inline uint64_t fp64_div(uint64_t a, uint64_t b, struct fp_env *env)
{
    return (uint64_t)fp_div(&fp_f64, a, b, env);
}
static inline uint64_t fp64_min(uint64_t a, uint64_t b, struct fp_env *env)
{
    return (uint64_t)fp_min(&fp_f64, a, b, env);
}
static inline uint64_t fp64_max(uint64_t a, uint64_t b, struct fp_env *env)
{
    return (uint64_t)fp_max(&fp_f64, a, b, env);
}
static inline uint64_t fp64_minnm(uint64_t a, uint64_t b, struct fp_env *env)
{
    return (uint64_t)fp_minnm(&fp_f64, a, b, env);
}
static inline uint64_t fp64_maxnm(uint64_t a, uint64_t b, struct fp_env *env)
{
    return (uint64_t)fp_maxnm(&fp_f64, a, b, env);
}
static inline uint64_t fp64_recps(uint64_t a, uint64_t b, struct fp_env *env)
{
    return (uint64_t)fp_recps(&fp_f64, a, b, env);
}
static inline uint64_t fp64_rsqrts(uint64_t a, uint64_t b, struct fp_env *env)
{
    return (uint64_t)fp_rsqrts(&fp_f64, a, b, env);
}
static inline uint64_t fp64_muladd(uint64_t addend, uint64_t a, uint64_t b, struct fp_env *env)
{
    return (uint64_t)fp_muladd(&fp_f64, addend, a, b, env);
}
static inline uint64_t fp64_sqrt(uint64_t a, struct fp_env *env)
{
    return (uint64_t)fp_sqrt(&fp_f64, a, env);
}
static inline uint64_t fp64_recpe(uint64_t a, struct fp_env *env)
{
    return (uint64_t)fp_recpe(&fp_f64, a, env);
}
static inline uint64_t fp64_rsqrte(uint64_t a, struct fp_env *env)
{
    return (uint64_t)fp_rsqrte(&fp_f64, a, env);
}
static inline uint64_t fp64_recpx(uint64_t a, struct fp_env *env)
{
    return (uint64_t)fp_recpx(&fp_f64, a, env);
}
static inline uint64_t fp64_neg(uint64_t a)
{
    return (uint64_t)fp_neg(&fp_f64, a);
}
static inline uint64_t fp64_abs(uint64_t a)
{
    return (uint64_t)fp_abs(&fp_f64, a);
}
static inline enum fp_order fp64_compare(uint64_t a, uint64_t b, bool signalling, struct fp_env *env)
{
    return fp_compare(&fp_f64, a, b, signalling, env);
}
static inline uint64_t fp64_round_to_int(uint64_t a, enum fp_round round, bool exact, struct fp_env *env)
{
    return (uint64_t)fp_round_to_int(&fp_f64, a, round, exact, env);
}
static inline uint64_t fp64_to_sint(uint64_t a, unsigned width, unsigned fbits, enum fp_round round,
                                    struct fp_env *env)
{
    return fp_to_sint(&fp_f64, a, width, fbits, round, env);
}
static inline uint64_t fp64_to_uint(uint64_t a, unsigned width, unsigned fbits, enum fp_round round,
                                    struct fp_env *env)
{
    return fp_to_uint(&fp_f64, a, width, fbits, round, env);
}
static inline uint64_t fp64_from_sint(int64_t a, unsigned fbits, enum fp_round round, struct fp_env *env)
{
    return (uint64_t)fp_from_sint(&fp_f64, a, fbits, round, env);
}
static inline uint64_t fp64_from_uint(uint64_t a, unsigned fbits, enum fp_round round, struct fp_env *env)
{
    return (uint64_t)fp_from_uint(&fp_f64, a, fbits, round, env);
}
static inline uint16_t fp64_to_f16(uint64_t a, enum fp_round round, struct fp_env *env)
{
    return (uint16_t)fp_convert(&fp_f64, &fp_f16, a, round, env);
}
static inline uint32_t fp64_to_f32(uint64_t a, enum fp_round round, struct fp_env *env)
{
    return (uint32_t)fp_convert(&fp_f64, &fp_f32, a, round, env);
}

#endif
