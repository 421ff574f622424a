// Products of bf16 by AVX-512.

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
