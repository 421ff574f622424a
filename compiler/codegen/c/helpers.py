"""Functions that kernels call for integers, divisions, indices and windows."""

from __future__ import annotations

from compiler.codegen.c import windows

_BOUNDED = """\
/* The index if it is in [0, size); else 0, and the first such finding goes to the status. */
static inline int64_t gen_bounded(long long *status, int check, int64_t index, int64_t size, long element) {
  if (index >= 0 && index < size) return index;
  status[1] = check, status[2] = element, status[3] = index, status[0] = 1;
  return 0;
}
"""

_FLOOR_DIVIDE = """\
static inline int64_t gen_floor_divide(int64_t a, int64_t b) {
  const int64_t q = b ? a / b : 0;
  return q - (b && a % b && (a % b < 0) != (b < 0));
}
"""

_IPOW = """\
static inline int64_t gen_ipow(int64_t base, int64_t exponent) {
  int64_t result = 1;
  for (; exponent > 0; exponent >>= 1, base *= base)
    if (exponent & 1) result *= base;
  return result;
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
  return rint(whole);
}
"""


def _real(text: str, kind: str, short: str) -> str:
    return text.replace("REAL", kind).replace("SHORT", short)


PIECES = [
    windows.RUN,
    *windows.COPIES.values(),
    _BOUNDED,
    _FLOOR_DIVIDE,
    _IPOW,
    _real(_REMAINDER, "float", "f32"),
    _real(_REMAINDER, "double", "f64"),
    _real(_FLOOR_DIVIDE_REAL, "float", "f32"),
    _real(_FLOOR_DIVIDE_REAL, "double", "f64"),
]
"""Functions that kernels may call, and a type of theirs, each written where one does."""
