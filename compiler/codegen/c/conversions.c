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

/* Scaling by 2^112 rebiases the exponent and normalises subnormals. */
INLINE float f16_to_f32(f16 h) {
  const float magnitude = bits_float((h & 0x7fffu) << 13) * 0x1p112f;
  const uint32_t special = magnitude >= 65536.0f ? 0x7f800000u : 0u;
  return bits_float(float_bits(magnitude) | special | (h & 0x8000u) << 16);
}

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

INLINE float round_f16(float x) { return f16_to_f32(f32_to_f16(x)); }
