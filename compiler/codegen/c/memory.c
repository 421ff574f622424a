// Prefetches, random words and sums.

/* Brings a line of memory near that will be read soon. A line that is not there does no harm. */
#define FETCH(place) __builtin_prefetch(place, 0, 2)

INLINE void fetch_row(const void *row, long bytes) {
  for (long i = 0; i < bytes; i += 64) FETCH((const char *)row + i);
}

/* Fetches rows of a tile, `apart` bytes from one another. */
INLINE void fetch_rows(const void *first, long rows, long apart, long bytes) {
  ROLLED for (long row = 0; row < rows; ++row) fetch_row((const char *)first + row * apart, bytes);
}

/* A word of Philox4x32-10 (Salmon et al., 2011): key = seed, counter = (element / 4, offset). */
INLINE uint32_t philox_lane(uint64_t seed, uint64_t offset, uint64_t element) {
  uint32_t x = (uint32_t)(element >> 2), y = (uint32_t)(element >> 34);
  uint32_t z = (uint32_t)offset, w = (uint32_t)(offset >> 32);
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
  return element & 2 ? (element & 1 ? w : z) : (element & 1 ? y : x);
}

INLINE float sum_of(const float *x, long n) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (long i = 0; i < n; ++i) sum += x[i];
  return sum;
}
