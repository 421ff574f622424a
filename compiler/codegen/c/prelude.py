"""The head of a generated C file: types, conversions, elementary functions, random bits and the thread-pool ABI.

Functions are branch-free so that a compiler vectorises the loops they are inlined in; none needs -ffast-math or libm.
Arguments out of range are not clamped: what comes of them is replaced, which takes fewer instructions.
"""

from __future__ import annotations

import re

from compiler.codegen.c.isa import Isa
from compiler.codegen.c.library import used

POOL_ABI = """\
typedef struct gen_pool gen_pool;
struct gen_pool {
  void (*run)(gen_pool *, int threads, void (*body)(int tid, int nt, void *ctx), void *ctx);
  void (*barrier)(gen_pool *, int nt);
  int max_threads;
};
"""

MAX_ULP: dict[str, float] = {
    "gen_expf": 1.5,
    "gen_expm1f": 2.0,
    "gen_logf": 1.5,
    "gen_log2f": 2.5,
    "gen_log1pf": 2.0,
    "gen_tanhf": 3.0,
    "gen_erff": 8.5,
    "gen_sinf": 6.0,
    "gen_cosf": 6.0,
}
"""Largest error of each elementary function in units in the last place, with and without fused multiply-add."""


_HEAD = """\
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bf16; /* storage only: arithmetic is in f32 */
typedef uint16_t f16;

#define INLINE static inline __attribute__((always_inline)) /* or the loop around the call is not vectorised */
#ifdef __clang__
#define NOINLINE static __attribute__((noinline))
#define KERNEL __attribute__((noinline, visibility("hidden")))
#define PLAIN __attribute__((noinline, optnone)) /* long, and nothing to gain in it */
#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("nounroll") /* in many places: text that is short compiles fast */
#else
#define NOINLINE static __attribute__((noinline, noclone))
#define KERNEL __attribute__((noinline, noclone, visibility("hidden")))
#define PLAIN __attribute__((noinline, optimize("O0"))) /* long, and nothing to gain in it */
#define UNROLL _Pragma("GCC unroll 32")
#define ROLLED _Pragma("GCC unroll 1") /* in many places: text that is short compiles fast */
#endif

"""

_BITS = """\
INLINE uint32_t float_bits(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

INLINE float bits_float(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}
"""

_FROM_BF16 = """\
INLINE float bf16_to_f32(bf16 h) { return bits_float((uint32_t)h << 16); }
"""

_TO_BF16 = """\
/* In the upper half the nearest bf16, ties to even; a NaN stays a quiet NaN. */
INLINE uint32_t nearest_bf16(float x) {
  const uint32_t u = float_bits(x);
  return x == x ? u + 0x7fffu + (u >> 16 & 1u) : u | 0x400000u;
}

INLINE bf16 f32_to_bf16(float x) { return (bf16)(nearest_bf16(x) >> 16); }
"""

_ROUND_BF16 = """\
INLINE float round_bf16(float x) { return bits_float(nearest_bf16(x) & 0xffff0000u); }
"""

_FROM_F16 = """\
/* Scaling by 2^112 rebiases the exponent and normalises subnormals. */
INLINE float f16_to_f32(f16 h) {
  const float magnitude = bits_float((h & 0x7fffu) << 13) * 0x1p112f;
  const uint32_t special = magnitude >= 65536.0f ? 0x7f800000u : 0u;
  return bits_float(float_bits(magnitude) | special | (h & 0x8000u) << 16);
}
"""

_TO_F16 = """\
/* Round to nearest even: subnormals through the last bits of 0.5 + |x|, overflow to infinity, NaN stays NaN. */
INLINE f16 f32_to_f16(float x) {
  const uint32_t sign = float_bits(x) >> 16 & 0x8000u;
  const uint32_t u = float_bits(x) & 0x7fffffffu;
  const uint32_t normal = (u - 0x38000000u + 0xfffu + (u >> 13 & 1u)) >> 13;
  const uint32_t subnormal = float_bits(bits_float(u) + 0.5f) - 0x3f000000u;
  uint32_t h = u < 0x38800000u ? subnormal : normal;
  h = u >= 0x47800000u ? 0x7c00u : h;
  h = u > 0x7f800000u ? 0x7e00u : h;
  return (f16)(h | sign);
}
"""

_ROUND_F16 = """\
INLINE float round_f16(float x) { return f16_to_f32(f32_to_f16(x)); }
"""

# exp(f) = 1 + f + f^2 P(f) on [-ln2/2, ln2/2]; the coefficients of P are a minimax fit, relative error 3.3e-9.
_EXP_SERIES = """\
/* x = n ln2 + f; returns (exp(f) - 1) and sets n, which mean nothing unless n fits 22 bits. */
INLINE float exp_reduced(float x, int32_t *n) {
  const float round = 12582912.0f; /* 1.5 * 2^23: the sum keeps no fraction */
  const float shifted = x * 1.44269504f + round;
  const float whole = shifted - round;
  const float f = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  float p = 1.3813144760206342e-3f;
  p = p * f + 8.369418792426586e-3f;
  p = p * f + 4.166845604777336e-2f;
  p = p * f + 1.6666515171527863e-1f;
  p = p * f + 4.999999403953552e-1f;
  *n = (int32_t)(float_bits(shifted) - 0x4b400000u);
  return p * (f * f) + f;
}

INLINE float exp2i(int32_t n) { return bits_float((uint32_t)(n + 127) << 23); }
"""

_EXP = """\
/* Scaled in two steps, so that neither overflow nor a subnormal result comes early. */
INLINE float gen_expf(float x) {
  int32_t n;
  const float p = exp_reduced(x, &n) + 1.0f;
  const int32_t half = n >> 1;
  float y = p * exp2i(half) * exp2i(n - half);
  y = x < -104.5f ? 0.0f : y;
  return x > 88.8f ? INFINITY : y;
}
"""

# 2^r = 1 + r P(r) on [-1/2, 1/2]; the coefficients of P are a minimax fit, relative error 9.1e-8.
_EXP2 = """\
/* 2^x for x < 127.5; what is below 2^-126 becomes zero. */
INLINE float exp2_flushed(float x) {
  const float round = 12583039.0f; /* 1.5 * 2^23 + 127: the last bits of the sum are a biased exponent */
  const float shifted = x + round;
  const float r = x - (shifted - round);
  float p = 1.326472032815218e-3f;
  p = p * r + 9.671513922512531e-3f;
  p = p * r + 5.550733953714371e-2f;
  p = p * r + 2.4022242426872253e-1f;
  p = p * r + 6.931470036506653e-1f;
  p = p * r + 1.0f;
  return x < -126.0f ? 0.0f : p * bits_float(float_bits(shifted) << 23);
}
"""

_EXPM1 = """\
INLINE float gen_expm1f(float x) {
  int32_t n;
  const float p = exp_reduced(x, &n);
  const float half_scale = exp2i(n - 1);
  float y = 2.0f * (half_scale * p + (half_scale - 0.5f));
  y = x < -20.0f ? -1.0f : y;
  y = x > 88.8f ? INFINITY : y;
  return copysignf(y, x); /* of -0.0 too */
}
"""

# log(1 + m) = m - m^2/2 + m^3 P(m) on [sqrt(1/2) - 1, sqrt(2) - 1]; minimax fit, relative error 7.5e-10.
_LOG = """\
/* x = 2^e (1 + m) with 1 + m in [sqrt(1/2), sqrt(2)); returns m^3 P(m). */
INLINE float log_reduced(float x, float *mantissa, float *exponent) {
  const int tiny = x < 0x1p-126f;
  const uint32_t u = float_bits(tiny ? x * 0x1p23f : x);
  const int32_t n = (int32_t)(u - 0x3f3504f3u) >> 23;
  const float m = bits_float(u - ((uint32_t)n << 23)) - 1.0f;
  *mantissa = m;
  *exponent = (float)(tiny ? n - 23 : n);
  float p = 6.74663856625557e-2f;
  p = p * m - 1.1675651371479034e-1f;
  p = p * m + 1.1888162791728973e-1f;
  p = p * m - 1.240558922290802e-1f;
  p = p * m + 1.4219552278518677e-1f;
  p = p * m - 1.666799634695053e-1f;
  p = p * m + 2.000211924314499e-1f;
  p = p * m - 2.5000008940696716e-1f;
  p = p * m + 3.333331346511841e-1f;
  return (m * (m * m)) * p;
}
"""

_LOG_EDGES = """\
/* The logarithm y, or what it is of zero, of negative numbers, of infinity and NaN. */
INLINE float log_edges(float x, float y) {
  y = x == 0.0f ? -INFINITY : y;
  y = x < 0.0f ? NAN : y;
  return x < INFINITY ? y : x;
}
"""

_LOG_NATURAL = """\
INLINE float gen_logf(float x) {
  float m, e;
  const float cubic = log_reduced(x, &m, &e);
  const float tail = cubic - e * 2.12194440e-4f - 0.5f * (m * m);
  return log_edges(x, (m + tail) + e * 0.693359375f);
}
"""

_LOG2 = """\
/* Exact for powers of two, where m is 0. The rounding error of 1/ln2 is added apart. */
INLINE float gen_log2f(float x) {
  float m, e;
  const float cubic = log_reduced(x, &m, &e);
  const float natural = m + (cubic - 0.5f * (m * m));
  return log_edges(x, (natural * 1.92596303e-8f + natural * 1.44269502f) + e);
}
"""

_LOG1P = """\
/* log(u) with u = 1 + x, plus the rounding error of u. */
INLINE float gen_log1pf(float x) {
  const float u = 1.0f + x;
  const float lost = x < 1.0f ? x - (u - 1.0f) : 1.0f - (u - x);
  float y = gen_logf(u) + lost / u;
  y = x == -1.0f ? -INFINITY : x < INFINITY ? y : x;
  return copysignf(y, x); /* of -0.0 too */
}
"""

_TANH = """\
INLINE float gen_tanhf(float x) {
  const float a = fabsf(x);
  const float e = gen_expm1f(2.0f * a);
  const float y = a > 9.1f ? 1.0f : e / (e + 2.0f);
  return copysignf(y, x);
}
"""

# erf(x) = x P(x^2) / Q(x^2) for |x| < 3.92, beyond which erf rounds to one; minimax fit, relative error 3.1e-8.
_ERF = """\
INLINE float gen_erff(float x) {
  const float z = x * x;
  float p = 2.3103270173e-4f;
  p = p * z + 3.6441592113e-3f;
  p = p * z + 5.1698134291e-2f;
  p = p * z + 1.9133942327e-1f;
  p = p * z + 1.1283791323e0f;
  float q = -1.1037397408e-7f;
  q = q * z + 2.3044679081e-5f;
  q = q * z + 1.0672033423e-3f;
  q = q * z + 1.4556687570e-2f;
  q = q * z + 1.1345564519e-1f;
  q = q * z + 5.0290248977e-1f;
  q = q * z + 1.0f;
  const float y = x * p / q;
  return fabsf(x) >= 3.92f ? copysignf(1.0f, x) : y;
}
"""

_FETCH = """\
/* Brings a line of memory near that will be read soon. What is not there does no harm. */
#define FETCH(place) __builtin_prefetch(place, 0, 2)
"""

_FETCH_ROW = """\
INLINE void fetch_row(const void *row, long bytes) {
  for (long i = 0; i < bytes; i += 64) FETCH((const char *)row + i);
}
"""

_FETCH_ROWS = """\
/* Fetches rows of a tile, `apart` bytes from one another. */
INLINE void fetch_rows(const void *first, long rows, long apart, long bytes) {
  ROLLED for (long row = 0; row < rows; ++row) fetch_row((const char *)first + row * apart, bytes);
}
"""

_PHILOX = """\
/* Philox4x32-10 (Salmon et al., 2011): key = seed, counter = (block, offset), four words. */
typedef struct {
  uint32_t x, y, z, w;
} philox_words;

INLINE philox_words philox_block(uint64_t seed, uint64_t offset, uint64_t block) {
  uint32_t x = (uint32_t)block, y = (uint32_t)(block >> 32), z = (uint32_t)offset, w = (uint32_t)(offset >> 32);
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  UNROLL for (int round = 0; round < 10; ++round) {
    const uint64_t p = (uint64_t)0xD2511F53u * x, q = (uint64_t)0xCD9E8D57u * z;
    x = (uint32_t)(q >> 32) ^ y ^ k0;
    y = (uint32_t)q;
    z = (uint32_t)(p >> 32) ^ w ^ k1;
    w = (uint32_t)p;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return (philox_words){x, y, z, w};
}
"""

_PHILOX_LANE = """\
INLINE uint32_t philox_lane(uint64_t seed, uint64_t offset, uint64_t element) {
  const philox_words r = philox_block(seed, offset, element >> 2);
  const uint32_t low = element & 1 ? r.y : r.x, high = element & 1 ? r.w : r.z;
  return element & 2 ? high : low;
}
"""

_PHILOX_FILL = """\
#define PHILOX_ROOM(n) (((n) + 3 + 2 * LANES - 1) / (2 * LANES) * (2 * LANES)) /* for n uniforms */
typedef uint64_t vq __attribute__((vector_size(4 * LANES)));

/* Products of the low halves of x and m. */
INLINE vq low_product(vq x, uint64_t m) {{ return {product}; }}

INLINE vf philox_uniforms(vq words) {{ return __builtin_convertvector((vi)((vu)words >> 8), vf) * 0x1p-24f; }}

/* Uniforms of elements first to first + n - 1; returns where in u, which has PHILOX_ROOM(n), the first one stands.
   A block is a 64-bit lane, of which only the low half counts before the last round. */
INLINE const float *philox_fill(uint64_t seed, uint64_t offset, uint64_t first, long n, float *u) {{
  const long skip = (long)(first & 3);
  for (long i = 0; i < skip + n; i += 2 * LANES) {{
    const vq block = ((first + (uint64_t)i) >> 2) + (vq){{{numbers}}};
    vq x = block, y = block >> 32, z = (vq){{0}} + offset, w = z >> 32;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    UNROLL for (int round = 0; round < 10; ++round) {{
      const vq p = low_product(x, 0xD2511F53u), q = low_product(z, 0xCD9E8D57u);
      x = q >> 32 ^ y ^ k0;
      y = q;
      z = p >> 32 ^ w ^ k1;
      w = p;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }}
    const vq xy = (x & 0xffffffffu) | y << 32, zw = (z & 0xffffffffu) | w << 32;
    vstore(u + i, philox_uniforms(__builtin_shufflevector(xy, zw, {low})));
    vstore(u + i + LANES, philox_uniforms(__builtin_shufflevector(xy, zw, {high})));
  }}
  return u + skip;
}}
"""

_LOW_PRODUCT = {
    "avx512bf16": "(vq)_mm512_mul_epu32((__m512i)x, _mm512_set1_epi64((long long)m))",
    "avx512": "(vq)_mm512_mul_epu32((__m512i)x, _mm512_set1_epi64((long long)m))",
    "avx2": "(vq)_mm256_mul_epu32((__m256i)x, _mm256_set1_epi64x((long long)m))",
    "neon": "(vq)vmull_n_u32(vmovn_u64((uint64x2_t)x), (uint32_t)m)",
    "portable": "(x & 0xffffffffu) * m",
}


def _philox_fill(isa: Isa) -> str:
    """Philox with a block in each 64-bit lane of a vector, for the ISA's multiplication of 32 bits to 64."""
    blocks = isa.lanes // 2
    zipped = [i // 2 + i % 2 * blocks for i in range(2 * blocks)]
    numbers, low, high = (", ".join(map(str, x)) for x in (range(blocks), zipped[:blocks], zipped[blocks:]))
    return _PHILOX_FILL.format(product=_LOW_PRODUCT[isa.name], numbers=numbers, low=low, high=high)


_TURN_SHIFT = 30
_TURN_ENTRIES = 135


def _quarter_turns(bits: int) -> int:
    """floor(2^bits * 2 / pi), by Machin's formula pi = 16 atan(1/5) - 4 atan(1/239)."""
    one = 1 << (2 * bits + 64)

    def atan_inverse(n: int) -> int:
        term = one // n
        total, k = term, 1
        while term:
            term //= n * n
            total += (-1) ** k * (term // (2 * k + 1))
            k += 1
        return total

    pi = 16 * atan_inverse(5) - 4 * atan_inverse(239)
    return (one << (bits + 1)) // pi


def _rows(values: list[str]) -> str:
    return "\n".join("    " + ", ".join(values[i : i + 4]) + "," for i in range(0, len(values), 4))


def _reduction() -> str:
    """Argument reduction for sine and cosine over the full range: 2^e * 2/pi modulo 4, in two doubles an exponent.

    A float is an integer of 24 bits times a power of two, so its product with a table entry of 29 bits is exact in a
    double, and whole turns (multiples of 4 quarters) can be left out of the table (after Payne and Hanek, 1983).
    """
    bits = 320
    turns = _quarter_turns(bits)
    highs, lows = [], []
    for index in range(_TURN_ENTRIES):
        entry = (turns << index) % (4 << (bits + _TURN_SHIFT))  # scaled by 2^(bits + _TURN_SHIFT)
        drop = max(entry.bit_length() - 29, 0)
        high = entry >> drop << drop
        scale = 1 << (bits + _TURN_SHIFT)
        highs.append((high / scale).hex())
        lows.append(((entry - high) / scale).hex())
    return f"""\
/* 2^(i - {_TURN_SHIFT}) * 2/pi modulo 4, as a sum of two; the last entry is for infinity and NaN. */
static const double turns_high[] = {{
{_rows(highs)}
    NAN}};
static const double turns_low[] = {{
{_rows(lows)}
    NAN}};

/* x = n pi/2 + r with |r| <= pi/4; returns r and sets n modulo 4. */
INLINE float quarter_reduced(float x, uint32_t *n) {{
  const int64_t exponent = float_bits(x) >> 23 & 0xffu;
  const int64_t i = exponent < 120 ? 0 : exponent - 120;
  const uint64_t scale = (uint64_t)(1023 + {_TURN_SHIFT} - i) << 52;
  double unit;
  memcpy(&unit, &scale, sizeof unit);
  const double m = (double)x * unit;
  const double round = 0x1.8p52;
  const double high = m * turns_high[i];
  const double shifted = high + round;
  uint64_t u;
  memcpy(&u, &shifted, sizeof u);
  *n = (uint32_t)u;
  return (float)(((high - (shifted - round)) + m * turns_low[i]) * 1.5707963267948966);
}}

/* Minimax fits on [-pi/4, pi/4], relative errors 4.1e-9 and 1.3e-10. */
INLINE float sin_reduced(float r) {{
  const float z = r * r;
  float p = -1.9508741388563067e-4f;
  p = p * z + 8.332112804055214e-3f;
  p = p * z - 1.6666653752326965e-1f;
  return p * z * r + r;
}}

INLINE float cos_reduced(float r) {{
  const float z = r * r;
  float p = 2.4425680749118328e-5f;
  p = p * z - 1.3887251261621714e-3f;
  p = p * z + 4.166664555668831e-2f;
  return p * z * z - 0.5f * z + 1.0f;
}}
"""


_SIN = """\
INLINE float gen_sinf(float x) {
  uint32_t n;
  const float r = quarter_reduced(x, &n);
  const float y = n & 1 ? cos_reduced(r) : sin_reduced(r);
  return x == 0.0f ? x : n & 2 ? -y : y; /* -0.0 stays */
}
"""

_COS = """\
INLINE float gen_cosf(float x) {
  uint32_t n;
  const float r = quarter_reduced(x, &n);
  const float y = n & 1 ? sin_reduced(r) : cos_reduced(r);
  return (n + 1) & 2 ? -y : y;
}
"""

_SUM_OF = """\
INLINE float sum_of(const float *x, long n) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (long i = 0; i < n; ++i) sum += x[i];
  return sum;
}
"""

_PIECES = [
    _BITS,
    _FROM_BF16,
    _TO_BF16,
    _ROUND_BF16,
    _FROM_F16,
    _TO_F16,
    _ROUND_F16,
    _EXP_SERIES,
    _EXP,
    _EXP2,
    _EXPM1,
    _LOG,
    _LOG_EDGES,
    _LOG_NATURAL,
    _LOG2,
    _LOG1P,
    _TANH,
    _ERF,
    _reduction(),
    _SIN,
    _COS,
    _FETCH,
    _FETCH_ROW,
    _FETCH_ROWS,
    _PHILOX,
    _PHILOX_LANE,
    _SUM_OF,
]

_VECTORS = """\
#define LANES {lanes}
typedef float vf __attribute__((vector_size({size})));
typedef int32_t vi __attribute__((vector_size({size})));
typedef uint32_t vu __attribute__((vector_size({size})));
typedef float vf_any __attribute__((vector_size({size}), aligned(4), may_alias)); /* at any address */

INLINE vf vload(const float *p) {{ return *(const vf_any *)p; }}
INLINE void vstore(float *p, vf x) {{ *(vf_any *)p = x; }}

/* The sum of the lanes. */
INLINE float vtotal(vf x) {{
{sums}
  return x[0];
}}
"""

_FOLDS = """\
INLINE vf vmax(vf x, vf y) {{
  const vi larger = x > y;
  return (vf)(((vi)x & larger) | ((vi)y & ~larger));
}}

/* The first n lanes, the others -INFINITY. */
INLINE vf vseen(vf x, long n) {{
  const vi seen = (vi){{{numbers}}} < (int32_t)n;
  return (vf)(((vi)x & seen) | ((vi)((vf){{0}} - INFINITY) & ~seen));
}}

/* Lane l: the largest lane of r[l], which is overwritten. */
INLINE vf vpeaks(vf *r) {{
{peaks}
  return r[0];
}}

/* Lane l: the sum of the lanes of r[l], which is overwritten. */
INLINE vf vtotals(vf *r) {{
{sums}
  return r[0];
}}
"""


def _vectors(lanes: int) -> str:
    """Vector types of the ISA; a vector is reduced by halves."""
    swapped = [
        f"__builtin_shufflevector(x, x, {', '.join(str(i ^ step) for i in range(lanes))})" for step in _halves(lanes)
    ]
    return _VECTORS.format(lanes=lanes, size=4 * lanes, sums="\n".join(f"  x += {x};" for x in swapped))


def _folds(lanes: int) -> str:
    """Reductions of as many vectors as there are lanes at once: two become one, until one is left."""
    peaks, sums = [], []
    for step in _halves(lanes):
        kept = [i + lanes if i & step else i for i in range(lanes)]
        x, y = (
            f"__builtin_shufflevector(r[i], r[i + {step}], {', '.join(map(str, p))})"
            for p in (kept, [i ^ step for i in kept])
        )
        loop = f"  UNROLL for (int i = 0; i < {step}; ++i)\n    r[i] ="
        peaks.append(f"{loop} vmax({x},\n                {y});")
        sums.append(f"{loop} {x} +\n           {y};")
    numbers = ", ".join(map(str, range(lanes)))
    return _FOLDS.format(numbers=numbers, peaks="\n".join(peaks), sums="\n".join(sums))


def _halves(lanes: int) -> list[int]:
    return [lanes >> step for step in range(1, lanes.bit_length())]


_BF16_DOT = """\
/* Two rows as pairs of bf16: the first in the low halves. n lanes are read, the others are zero. */
INLINE vu pair_f32(const float *even, const float *odd, int n) {
  const __mmask16 m = (__mmask16)((1u << n) - 1);
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512 o = odd ? _mm512_maskz_loadu_ps(m, odd) : _mm512_setzero_ps();
  return (vu)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(o, _mm512_maskz_loadu_ps(m, even)));
}

INLINE vu pair_bf16(const bf16 *even, const bf16 *odd, int n) {
  const __mmask16 m = (__mmask16)((1u << n) - 1);
  const __m512i e = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, even));
  return odd ? (vu)e | (vu)_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, odd)) << 16 : (vu)e;
}

/* 32 neighbours of one row as 16 pairs. */
INLINE vu row_pairs_f32(const float *p) {
  return (vu)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(p + 16), _mm512_loadu_ps(p));
}

INLINE vu row_pairs_bf16(const bf16 *p) { return (vu)_mm512_loadu_si512(p); }

/* acc[l] += a.low * b[l].low + a.high * b[l].high; subnormals count as zero. */
INLINE vf dot_bf16(vf acc, vu a, vu b) {
  return (vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)a, (__m512bh)b);
}
"""


def prelude(isa: Isa, text: str) -> str:
    """The head of a generated file: in one fixed order, the functions above that ``text`` calls and what they need."""
    pieces = [*_PIECES, _vectors(isa.lanes), _folds(isa.lanes), _philox_fill(isa), _BF16_DOT]
    head = "\n".join([_HEAD + POOL_ABI, *used(pieces, text)])
    header = {"neon": "arm_neon.h", "portable": ""}.get(isa.name, "immintrin.h")
    intrinsics = header and re.search(r"\b(_mm\d*_|vmull)", head + text)
    return f"#include <{header}>\n{head}" if intrinsics else head
