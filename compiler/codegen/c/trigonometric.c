// Sine and cosine, behind the reduction of their argument.

INLINE float gen_sinf(float x) {
  uint32_t n;
  const float r = quarter_reduced(x, &n);
  const float y = n & 1 ? cos_reduced(r) : sin_reduced(r);
  return x == 0.0f ? x : n & 2 ? -y : y; /* -0.0 stays */
}

INLINE float gen_cosf(float x) {
  uint32_t n;
  const float r = quarter_reduced(x, &n);
  const float y = n & 1 ? sin_reduced(r) : cos_reduced(r);
  return (n + 1) & 2 ? -y : y;
}
