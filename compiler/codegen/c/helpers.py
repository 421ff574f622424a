"""Functions that kernels call for integers, divisions, indices and windows."""

from __future__ import annotations

from compiler.codegen.c import windows

_REPORT = """\
/* Of all findings the first stays in the status: by the number of the check, then of the element. status[0] is -1
   while a thread writes. */
NOINLINE void gen_report(long long *status, int check, long element, int64_t value) {
  long long found;
  while ((found = __atomic_exchange_n(status, -1, __ATOMIC_ACQUIRE)) < 0) {}
  if (!found || check < status[1] || (check == status[1] && element < status[2]))
    status[1] = check, status[2] = element, status[3] = value;
  __atomic_store_n(status, 1, __ATOMIC_RELEASE);
}
"""

_BOUNDED = """\
/* The index if it is in [0, size), else 0. */
static inline int64_t gen_bounded(long long *status, int check, int64_t index, int64_t size, long element) {
  if (index >= 0 && index < size) return index;
  gen_report(status, check, element, index);
  return 0;
}
"""

_DIVISOR = """\
/* The divisor if it is not 0, else 1. */
static inline int64_t gen_divisor(long long *status, int check, int64_t divisor, long element) {
  if (divisor) return divisor;
  gen_report(status, check, element, 0);
  return 1;
}
"""

_TO_INTEGER = """\
/* The whole part; the least integer for what has none that fits. */
static inline intBITS_t gen_iBITS_from_SHORT(REAL x) {
  return x >= -LIMIT && x < LIMIT ? (intBITS_t)x : INTBITS_MIN;
}
"""

_FLOOR_DIVIDE = """\
/* 0 where b is 0; the least integer by -1 wraps around to itself. */
static inline int64_t gen_floor_divide(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return b * a;
  return a / b - (a % b && (a % b < 0) != (b < 0));
}
"""

_IPOW = """\
/* A negative power has a whole value for 1 and -1 only; the others give 0. */
static inline int64_t gen_ipow(int64_t base, int64_t exponent) {
  int64_t result = 1;
  if (exponent < 0) {
    if (base != 1 && base != -1) return 0;
    exponent &= 1;
  }
  for (; exponent > 0; exponent >>= 1, base *= base)
    if (exponent & 1) result *= base;
  return result;
}
"""

_REMAINDER_WHOLE = """\
/* What is left of a, with the sign of b; 0 where b is 0. */
static inline int64_t gen_remainder(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return 0;
  const int64_t rest = a % b;
  return rest && (rest < 0) != (b < 0) ? rest + b : rest;
}
"""

_REMAINDER = """\
/* What is left of a, with the sign of b. */
static inline REAL gen_remainder_SHORT(REAL a, REAL b) {
  const REAL rest = fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
"""

_FLOOR_DIVIDE_REAL = """\
/* Exact where a / b would round up to the next whole number. */
static inline REAL gen_floor_divide_SHORT(REAL a, REAL b) {
  if (b == 0) return a / b;
  const REAL rest = fmod(a, b), whole = (a - rest) / b - (rest != 0 && (rest < 0) != (b < 0));
  return whole != 0 ? rint(whole) : copysign(0, a / b);
}
"""


def _real(text: str, kind: str, short: str) -> str:
    return text.replace("REAL", kind).replace("SHORT", short)


PIECES = [
    windows.RUN,
    *windows.COPIES.values(),
    _REPORT,
    _BOUNDED,
    _DIVISOR,
    *(
        _real(_TO_INTEGER, kind, short)
        .replace("LIMIT", f"0x1p{bits - 1}{'f' * (short == 'f32')}")
        .replace("BITS", str(bits))
        for kind, short in (("float", "f32"), ("double", "f64"))
        for bits in (32, 64)
    ),
    _FLOOR_DIVIDE,
    _REMAINDER_WHOLE,
    _IPOW,
    _real(_REMAINDER, "float", "f32"),
    _real(_REMAINDER, "double", "f64"),
    _real(_FLOOR_DIVIDE_REAL, "float", "f32"),
    _real(_FLOOR_DIVIDE_REAL, "double", "f64"),
]
"""Functions that kernels may call, and a type of theirs, each written where one does."""
