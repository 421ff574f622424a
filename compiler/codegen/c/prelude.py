"""The head of a generated C file: types, conversions, elementary functions, random bits and the thread-pool ABI.

Most of it is C, in files beside this one; what depends on the instruction set or is computed stands here. Functions are
branch-free so that a compiler vectorises the loops they are inlined in; none needs -ffast-math or libm.
Arguments out of range are not clamped: what comes of them is replaced, which takes fewer instructions.
"""

from __future__ import annotations

import re

from compiler.codegen.c.isa import Isa
from compiler.codegen.c.library import read, text_of, used

POOL_ABI = """\
typedef struct gen_pool gen_pool;
struct gen_pool {
  void (*run)(gen_pool *, int threads, void (*body)(int tid, int nt, void *ctx), void *ctx);
  void (*barrier)(gen_pool *, int nt);
  int max_threads;
};
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


_TURNS = 0xA2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE5163ABDEBBC561B7246E3A424DD2E0
"""2 / pi, times 2^320."""
_TURN_BITS = 320
_TURN_SHIFT = 30
_TURN_ENTRIES = 135


def _rows(values: list[str]) -> str:
    return "\n".join("    " + ", ".join(values[i : i + 4]) + "," for i in range(0, len(values), 4))


def _reduction() -> str:
    """Argument reduction for sine and cosine over the full range: 2^e * 2/pi modulo 4, in two doubles an exponent.

    A float is an integer of 24 bits times a power of two, so its product with a table entry of 29 bits is exact in a
    double, and whole turns (multiples of 4 quarters) can be left out of the table (after Payne and Hanek, 1983).
    """
    highs, lows, scale = [], [], 1 << (_TURN_BITS + _TURN_SHIFT)
    for index in range(_TURN_ENTRIES):
        entry = (_TURNS << index) % (4 * scale)
        drop = max(entry.bit_length() - 29, 0)
        high = entry >> drop << drop
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


_PIECES = [
    *read("conversions.c"), *read("elementary.c"), _reduction(), *read("trigonometric.c"), *read("memory.c"),
]  # fmt: skip

_VECTORS = """\
#define LANES {lanes}
typedef float vf __attribute__((vector_size({size})));
typedef int32_t vi __attribute__((vector_size({size})));
typedef uint32_t vu __attribute__((vector_size({size})));
typedef float vf_any __attribute__((vector_size({size}), aligned(1), may_alias)); /* at any address */

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


def prelude(isa: Isa, text: str) -> str:
    """The head of a generated file: in one fixed order, the functions above that ``text`` calls and what they need."""
    pieces = [*_PIECES, _vectors(isa.lanes), _folds(isa.lanes), _philox_fill(isa), *read("bf16_dot.c")]
    head = "\n".join([text_of("head.h") + "\n" + POOL_ABI, *used(pieces, text)])
    header = {"neon": "arm_neon.h", "portable": ""}.get(isa.name, "immintrin.h")
    intrinsics = header and re.search(r"\b(_mm\d*_|vmull)", head + text)
    return f"#include <{header}>\n{head}" if intrinsics else head
