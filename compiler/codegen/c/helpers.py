"""Functions that kernels call for integers, divisions, indices and windows."""

from __future__ import annotations

from compiler.codegen.c import windows
from compiler.codegen.c.library import filled, read

_TO_INTEGER = """\
/* The whole part; the least integer for what has none that fits. */
static inline intBITS_t gen_iBITS_from_SHORT(REAL x) {
  return x >= -0x1pHALFEND && x < 0x1pHALFEND ? (intBITS_t)x : INTBITS_MIN;
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


_REALS = ({"REAL": "float", "SHORT": "f32", "END": "f"}, {"REAL": "double", "SHORT": "f64", "END": ""})
PIECES = [
    *windows.PIECES,
    *read("integers.c"),
    *(filled(_TO_INTEGER, BITS=bits, HALF=half, **r) for r in _REALS for bits, half in (("32", "31"), ("64", "63"))),
    *(filled(text, **real) for text in (_REMAINDER, _FLOOR_DIVIDE_REAL) for real in _REALS),
]
"""Functions that kernels may call, and a type of theirs, each written where one does."""
