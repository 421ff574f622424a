"""Functions that kernels call for integers, divisions, indices and windows."""

from __future__ import annotations

from compiler.codegen.c import windows
from compiler.codegen.c.library import read

_TO_INTEGER = """\
/* The whole part; the least integer for what has none that fits. */
static inline intBITS_t gen_iBITS_from_SHORT(REAL x) {
  return x >= -LIMIT && x < LIMIT ? (intBITS_t)x : INTBITS_MIN;
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
    *read("integers.c"),
    *(
        _real(_TO_INTEGER, kind, short)
        .replace("LIMIT", f"0x1p{bits - 1}{'f' * (short == 'f32')}")
        .replace("BITS", str(bits))
        for kind, short in (("float", "f32"), ("double", "f64"))
        for bits in (32, 64)
    ),
    _real(_REMAINDER, "float", "f32"),
    _real(_REMAINDER, "double", "f64"),
    _real(_FLOOR_DIVIDE_REAL, "float", "f32"),
    _real(_FLOOR_DIVIDE_REAL, "double", "f64"),
]
"""Functions that kernels may call, and a type of theirs, each written where one does."""
