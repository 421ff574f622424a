// Between f32 and the 16-bit floats, which are held as whole numbers.

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

INLINE float bf16_to_f32(bf16 h) { return bits_float((uint32_t)h << 16); }

/* In the upper half the nearest bf16, ties to even; a NaN stays a quiet NaN. */
INLINE uint32_t nearest_bf16(float x) {
  const uint32_t u = float_bits(x);
  return x == x ? u + 0x7fffu + (u >> 16 & 1u) : u | 0x400000u;
}

INLINE bf16 f32_to_bf16(float x) { return (bf16)(nearest_bf16(x) >> 16); }

INLINE float round_bf16(float x) { return bits_float(nearest_bf16(x) & 0xffff0000u); }

/* The nearest bf16, ties away from zero: x less its last 16 bits, read as a signed number; a NaN as it is. */
INLINE float gen_high_half(float x) {
  const uint32_t u = float_bits(x);
  return x == x ? bits_float(u - (uint32_t)(int16_t)u) : x;
}

/* Scaling by 2^112 rebiases the exponent and normalises subnormals. */
INLINE float f16_to_f32(f16 h) {
  const float magnitude = bits_float((h & 0x7fffu) << 13) * 0x1p112f;
  const uint32_t special = magnitude >= 65536.0f ? 0x7f800000u : 0u;
  return bits_float(float_bits(magnitude) | special | (h & 0x8000u) << 16);
}

/* The exponent of |x|, not under the exponent of the smallest normal f16 and not over the exponent of infinity. 2^13 times as much is
   a number whose last bit is the last bit of the f16 nearest to x. */
INLINE uint32_t f16_exponent(uint32_t u) {
  u = u > 0x38800000u ? u : 0x38800000u;
  u = u < 0x47800000u ? u : 0x47800000u;
  return u & 0x7f800000u;
}

/* Round to nearest even; overflow to infinity, NaN stays NaN. Minima for branches: gcc gives up on loops with more. */
INLINE f16 f32_to_f16(float x) {
  const uint32_t u = float_bits(x) & 0x7fffffffu;
  const uint32_t e = f16_exponent(u), last = e + (13u << 23);
  uint32_t h = (e - 0x38800000u) / 8192u + float_bits(bits_float(u) + bits_float(last)) - last;
  h = h < 0x7c00u ? h : 0x7c00u;
  h = u > 0x7f800000u ? 0x7e00u : h;
  return (f16)(h | (float_bits(x) >> 16 & 0x8000u));
}

INLINE float round_f16(float x) {
  const uint32_t u = float_bits(x) & 0x7fffffffu;
  const float last = bits_float(f16_exponent(u) + (13u << 23));
  const float y = bits_float(u) + last - last;
  return bits_float((y >= 65536.0f ? 0x7f800000u : float_bits(y)) | (float_bits(x) & 0x80000000u));
}
