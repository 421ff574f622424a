// Elementary functions of f32, branch-free, so that a compiler vectorises the loops they are inlined in.

// exp(f) = 1 + f + f^2 P(f) on [-ln2/2, ln2/2]; the coefficients of P are a minimax fit, relative error 3.3e-9.
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

/* Scaled in two steps, so that neither overflow nor a subnormal result comes early. */
INLINE float gen_expf(float x) {
  int32_t n;
  const float p = exp_reduced(x, &n) + 1.0f;
  const int32_t half = n >> 1;
  float y = p * exp2i(half) * exp2i(n - half);
  y = x < -104.5f ? 0.0f : y;
  return x > 88.8f ? INFINITY : y;
}

// 2^r = 1 + r P(r) on [-1/2, 1/2]; the coefficients of P are a minimax fit, relative error 9.1e-8.
/* 2^x for x < 127.5; a result below 2^-126 becomes zero. */
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

INLINE float gen_expm1f(float x) {
  int32_t n;
  const float p = exp_reduced(x, &n);
  const float half_scale = exp2i(n - 1);
  float y = 2.0f * (half_scale * p + (half_scale - 0.5f));
  y = x < -20.0f ? -1.0f : y;
  y = x > 88.8f ? INFINITY : y;
  return copysignf(y, x); /* of -0.0 too */
}

// log(1 + m) = m - m^2/2 + m^3 P(m) on [sqrt(1/2) - 1, sqrt(2) - 1]; minimax fit, relative error 7.5e-10.
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

/* The logarithm y, or what it is of zero, of negative numbers, of infinity and NaN. */
INLINE float log_edges(float x, float y) {
  y = x == 0.0f ? -INFINITY : y;
  y = x < 0.0f ? NAN : y;
  return x < INFINITY ? y : x;
}

INLINE float gen_logf(float x) {
  float m, e;
  const float cubic = log_reduced(x, &m, &e);
  const float tail = cubic - e * 2.12194440e-4f - 0.5f * (m * m);
  return log_edges(x, (m + tail) + e * 0.693359375f);
}

/* Exact for powers of two, where m is 0. The rounding error of 1/ln2 is added apart. */
INLINE float gen_log2f(float x) {
  float m, e;
  const float cubic = log_reduced(x, &m, &e);
  const float natural = m + (cubic - 0.5f * (m * m));
  return log_edges(x, (natural * 1.92596303e-8f + natural * 1.44269502f) + e);
}

/* log(u) with u = 1 + x, plus the rounding error of u. */
INLINE float gen_log1pf(float x) {
  const float u = 1.0f + x;
  const float lost = x < 1.0f ? x - (u - 1.0f) : 1.0f - (u - x);
  float y = gen_logf(u) + lost / u;
  y = x == -1.0f ? -INFINITY : x < INFINITY ? y : x;
  return copysignf(y, x); /* of -0.0 too */
}

INLINE float gen_tanhf(float x) {
  const float a = fabsf(x);
  const float e = gen_expm1f(2.0f * a);
  const float y = a > 9.1f ? 1.0f : e / (e + 2.0f);
  return copysignf(y, x);
}

// erf(x) = x P(x^2) / Q(x^2) for |x| < 3.92, beyond which erf rounds to one; minimax fit, relative error 3.1e-8.
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
