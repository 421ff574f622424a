"""Functions that Triton lacks. A generated module carries the text of those it uses, so that it stands alone."""
# mypy: disable-error-code="no-untyped-def"

import inspect
import re

import triton
import triton.language as tl

IMPORTS = "import triton\nimport triton.language as tl\n"


@triton.jit
def expm1_of_float64(x):
    """exp(x) - 1 as (u - 1) x / log(u) with u = exp(x), which takes back what u lost in rounding (W. Kahan)."""
    u = tl.exp(x)
    inside = (u != 1.0) & (u > 1e-16) & (u < float("inf"))
    y = tl.where(inside, (u - 1.0) * x / tl.log(tl.where(inside, u, 2.0)), u - 1.0)
    return tl.where(u == 1.0, x, y)


@triton.jit
def tanh(x):
    """Hyperbolic tangent: in float32 to 2 ulp, in float64 to a few.

    Near zero the odd polynomial of Cephes' tanhf (S. Moshier), elsewhere 1 - 2 / (exp(2|x|) + 1).
    """
    if x.dtype == tl.float64:
        e = expm1_of_float64(-2.0 * tl.abs(x))
        return tl.where(x < 0.0, e / (e + 2.0), -e / (e + 2.0))
    else:
        z = x * x
        p = -5.70498872745e-3
        p = p * z + 2.06390887954e-2
        p = p * z - 5.37397155531e-2
        p = p * z + 1.33314422036e-1
        p = p * z - 3.33332819422e-1
        near = x + x * z * p
        far = 1.0 - 2.0 / (tl.exp(2.0 * tl.abs(x)) + 1.0)
        return tl.where(tl.abs(x) < 0.625, near, tl.where(x < 0.0, -far, far))


@triton.jit
def expm1(x):
    """exp(x) - 1, also where exp(x) rounds to 1; in float32 2 t / (1 - t) with t = tanh(x / 2)."""
    if x.dtype == tl.float64:
        return expm1_of_float64(x)
    else:
        t = tanh(0.5 * x)
        return tl.where(tl.abs(x) < 1.0, 2.0 * t / (1.0 - t), tl.exp(x) - 1.0)


@triton.jit
def log1p(x):
    """log(1 + x), also where 1 + x rounds to 1. The quotient takes back what 1 + x lost in rounding (W. Kahan)."""
    u = 1.0 + x
    lost = u - 1.0 != x
    return tl.where(u == 1.0, x, tl.log(u) * tl.where(lost, x / tl.where(lost, u - 1.0, 1.0), 1.0))


@triton.jit
def power(x, y):
    """x to the power y, computed in float64: in float32 the error would grow with the exponent."""
    magnitude = tl.exp2(y.to(tl.float64) * tl.log2(tl.abs(x).to(tl.float64))).to(x.dtype)
    magnitude = tl.where((y == 0.0) | (tl.abs(x) == 1.0), 1.0, magnitude)
    whole = tl.floor(y) == y
    odd = whole & (2.0 * tl.floor(0.5 * y) != y)
    real = whole | (x == float("-inf"))
    negative = (x < 0.0) | (1.0 / x == float("-inf"))  # -0.0 too
    return tl.where(
        negative, tl.where(odd, -magnitude, tl.where(real | (x == 0.0), magnitude, float("nan"))), magnitude
    )


@triton.jit
def whole_power(x, y):
    """x to the power y for integers, wrapping around; a negative power gives 0 but for 1 and -1."""
    y, square = tl.broadcast(y, x)
    result = tl.where((y >= 0) | (square == 1) | (square == -1), 1, 0).to(x.dtype)
    y = tl.where(y < 0, y & 1, y)
    for bit in range(64):
        result = tl.where((y.to(tl.int64) >> bit) & 1 != 0, result * square, result)
        square = square * square
    return result


@triton.jit
def shift_left(x, n):
    """x moved by n bits; by all of its bits or more, or by a negative number, 0."""
    inside = (n >= 0) & (n < x.dtype.primitive_bitwidth)
    return tl.where(inside, x << tl.where(inside, n, 0), 0)


@triton.jit
def shift_right(x, n):
    """x moved by n bits; by all of its bits or more, or by a negative number, its sign: -1 or 0."""
    inside = (n >= 0) & (n < x.dtype.primitive_bitwidth)
    return tl.where(inside, x >> tl.where(inside, n, 0), tl.where(x < 0, -1, 0))


@triton.jit
def larger(x, y):
    """The larger of two numbers; a NaN is the largest."""
    return tl.maximum(x, y, tl.PropagateNan.ALL)


@triton.jit
def smaller(x, y):
    """The smaller of two numbers; a NaN is the smallest."""
    return tl.minimum(x, y, tl.PropagateNan.ALL)


@triton.jit
def product(x, y):
    return x * y


@triton.jit
def chained(a, x, b, y):
    """First ``h -> a h + x``, then ``h -> b h + y``."""
    return a * b, x * b + y


@triton.jit
def sign(x):
    """-1, 0 or 1; 0 for a NaN."""
    return tl.where(x > 0, 1, tl.where(x < 0, -1, 0)).to(x.dtype)


@triton.jit
def sign_bit(x):
    """Whether the sign is a minus."""
    if x.dtype == tl.float64:
        return x.to(tl.int64, bitcast=True) < 0
    else:
        return x.to(tl.int32, bitcast=True) < 0


@triton.jit
def high_half(x):
    """The nearest bfloat16 number, ties away from zero, in float32: x less its last 16 bits, a signed number."""
    bits = x.to(tl.int32, bitcast=True)
    return tl.where(x == x, (bits - bits.to(tl.int16)).to(tl.float32, bitcast=True), x)


@triton.jit
def low_half(x):
    """The last 16 bits of a float32 number."""
    return x.to(tl.int32, bitcast=True).to(tl.int16)


@triton.jit
def join_halves(high, low):
    """The float32 number of which these are the halves."""
    return (high.to(tl.int32, bitcast=True) + low).to(tl.float32, bitcast=True)


@triton.jit
def trunc(x):
    """Rounds towards zero."""
    return tl.where(x < 0.0, tl.ceil(x), tl.floor(x))


@triton.jit
def round_half_even(x):
    """Rounds to the nearest whole number, halves to the even one; from 2**23 (2**52) on there is nothing to round."""
    large: tl.constexpr = 4503599627370496.0 if x.dtype == tl.float64 else 8388608.0
    a = tl.abs(x)
    whole = (a + large) - large
    return tl.where(a < large, tl.where(x < 0.0, -whole, whole), x)


@triton.jit
def truncated(x, dtype: tl.constexpr):
    """The whole part of a float as an integer; the least i64 (for narrower types: i32) for what has none that fits."""
    wide: tl.constexpr = tl.int64 if dtype == tl.int64 else tl.int32
    limit: tl.constexpr = 9223372036854775808.0 if dtype == tl.int64 else 2147483648.0
    return tl.where((x >= -limit) & (x < limit), x, -limit).to(wide).to(dtype)


@triton.jit
def remainder(x, y):
    """x modulo y with the sign of y, as in Python; for integers 0 where y is 0."""
    if not x.dtype.is_floating():
        y, zero = tl.where(y == 0, 1, y), y == 0
        m = tl.where(zero, 0, x % y)
        return tl.where((m != 0) & ((m < 0) != (y < 0)), m + y, m)
    m = x % y
    return tl.where((m != 0) & ((m < 0) != (y < 0)), m + y, m)


@triton.jit
def floor_divide(x, y):
    """The whole quotient, rounded down, as in Python; for integers 0 where y is 0."""
    if x.dtype.is_floating():
        m = x % y
        q = (x - m) / y
        whole = tl.floor(q)
        whole = tl.where(q - whole > 0.5, whole + 1.0, whole)
        return tl.where(y == 0.0, x / y, tl.where((m != 0.0) & ((m < 0.0) != (y < 0.0)), whole - 1.0, whole))
    else:
        zero = y == 0
        y = tl.where(zero, 1, y)
        m = x % y
        q = (x - m) // y - ((m != 0) & ((m < 0) != (y < 0))).to(x.dtype)
        return tl.where(zero, 0, q)


@triton.jit
def uniform(seed, offset, element):
    """Uniforms in [0, 1), one for each element number: Philox4x32-10 under key `seed`, counter (element // 4, offset).

    J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Each counter gives four words, one for
    each of four elements; a thread that holds all four computes them once.
    """
    group = element.to(tl.int64) >> 2
    low, high = group.to(tl.uint32), (group >> 32).to(tl.uint32)
    w0, w1, w2, w3 = tl.philox(seed, low, high, offset.to(tl.uint32), (offset >> 32).to(tl.uint32))
    lane = element & 3
    word = tl.where(lane < 2, tl.where(lane == 0, w0, w1), tl.where(lane == 2, w2, w3))
    return (word >> 8).to(tl.float32) * 5.9604644775390625e-08


@triton.jit
def report(status, value, element, wrong):
    """Notes the first element that is wrong: its number in the high half, the value in the low, both cut to 32 bits."""
    low = tl.minimum(tl.maximum(value.to(tl.int64), -2147483648), 2147483647)
    word = (tl.minimum(element, 2147483646) << 32) | (low & 0xFFFFFFFF)
    tl.atomic_min(status + word * 0, word, mask=wrong)


HELPERS = {name: inspect.getsource(thing.fn) for name, thing in list(globals().items()) if hasattr(thing, "fn")}
"""The functions above, by name."""


def prelude(body: str) -> str:
    """The text before the kernels in `body`: the imports, then each helper that they or other helpers call."""
    needed: set[str] = set()
    unread = [body]
    while unread:
        text = unread.pop()
        calls = {name for name in HELPERS if re.search(rf"(?<![\w.]){name}[(),]", text)} - needed
        needed |= calls
        unread += [HELPERS[name] for name in calls]
    return "\n\n".join([IMPORTS, *(text for name, text in HELPERS.items() if name in needed)])
