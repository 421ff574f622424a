/* Functions of the serial target. */
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <tgmath.h>

typedef uint16_t bf16;

static inline uint32_t bits(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return u;
}

static inline float from_bits(uint32_t u) {
  float x;
  memcpy(&x, &u, 4);
  return x;
}

static inline float from_bf16(bf16 x) { return from_bits((uint32_t)x << 16); }

static inline bf16 to_bf16(float x) {
  const uint32_t u = bits(x);
  return x != x ? u >> 16 | 64 : (u + 0x7fff + (u >> 16 & 1)) >> 16;
}

static inline float high_half(float x) { return x != x ? x : from_bits(bits(x) - (int16_t)bits(x)); }

static inline int64_t whole(double x, int bits) {
  const double limit = ldexp(1.0, bits - 1);
  return x >= -limit && x < limit ? (int64_t)x : bits == 64 ? INT64_MIN : INT32_MIN;
}

static inline int64_t whole_quotient(int64_t a, int64_t b) {
  return !b ? 0 : b == -1 ? -a : a / b - (a % b && (a % b < 0) != (b < 0));
}

static inline int64_t whole_remainder(int64_t a, int64_t b) {
  return !b || b == -1 ? 0 : a % b && (a % b < 0) != (b < 0) ? a % b + b : a % b;
}

static inline int64_t whole_power(int64_t a, int64_t n) {
  if (n < 0) return a == 1 ? 1 : a == -1 ? (n & 1 ? -1 : 1) : 0;
  int64_t power = 1;
  for (; n; n >>= 1, a *= a) power *= n & 1 ? a : 1;
  return power;
}

static inline int64_t shift_left(int64_t x, int64_t bits) {
  return bits < 0 || bits > 63 ? 0 : (int64_t)((uint64_t)x << bits);
}

static inline int64_t shift_right(int64_t x, int64_t bits) { return x >> (bits < 0 || bits > 63 ? 63 : bits); }

static inline double remainder_(double a, double b) {
  const double rest = fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static inline double floor_divide(double a, double b) {
  if (b == 0) return a / b;
  const double rest = fmod(a, b), exact = (a - rest) / b - (rest != 0 && (rest < 0) != (b < 0));
  return exact != 0 ? rint(exact) : copysign(0.0, a / b);
}

static float uniform(uint64_t seed, uint64_t offset, uint64_t element) {
  uint32_t c[4] = {element >> 2, element >> 34, offset, offset >> 32}, k0 = seed, k1 = seed >> 32;
  for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const uint64_t p = (uint64_t)0xD2511F53u * c[0], q = (uint64_t)0xCD9E8D57u * c[2];
    const uint32_t next[4] = {(q >> 32) ^ c[1] ^ k0, q, (p >> 32) ^ c[3] ^ k1, p};
    memcpy(c, next, sizeof c);
  }
  return (c[element & 3] >> 8) * 0x1p-24f;
}

static int64_t checked(int holds, int64_t x, int64_t other, long long *status, int check, int64_t element) {
  const int first = !status[0] || check < status[1] || (check == status[1] && element < status[2]);
  if (!holds && first) status[0] = 1, status[1] = check, status[2] = element, status[3] = x;
  return holds ? x : other;
}
