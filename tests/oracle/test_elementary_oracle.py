"""Elementary and special functions, as users call them, against PyTorch."""

from typing import Any

import numpy as np
import pytest

from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(5)
X = (3, 4)
WHOLE = RNG.integers(-9, 10, (5, 6))
COUNTS = RNG.integers(1, 9, (5, 6))
BITS = np.arange(-3, 70)
POSITIVE = RNG.uniform(0.3, 4, (3, 4)).astype(np.float32)
INSIDE = RNG.uniform(0.05, 0.95, (3, 4)).astype(np.float32)
SPECIAL = np.array([0.0, -0.0, 1.5, -2.5, np.inf, -np.inf, np.nan, 1e-30, -1e30], np.float32)
LEFT, RIGHT = (a.reshape(-1) for a in np.meshgrid(SPECIAL, SPECIAL))

UNARY = "tan sinh cosh exp2 sinc erfc lgamma digamma i0 frac positive deg2rad rad2deg nan_to_num".split()
SCALED = "entr erfcx ndtr log_ndtr i0e i1 i1e expit gammaln psi".split()
BINARY = "hypot atan2 arctan2 fmod logaddexp logaddexp2 fmax fmin ldexp float_power copysign".split()

CASES: dict[str, tuple[Any, ...]] = {
    **{n: (lambda t, x, n=n: getattr(t, n)(x), POSITIVE) for n in UNARY},
    **{f"{n} negative": (lambda t, x, n=n: getattr(x, n)(), -POSITIVE) for n in UNARY},
    **{f"special {n}": (lambda t, x, n=n: getattr(t.special, n)(x), POSITIVE) for n in SCALED},
    **{n: (lambda t, x, y, n=n: getattr(t, n)(x, y), X, POSITIVE) for n in BINARY},
    **{f"{n} broadcasts": (lambda t, x, y, n=n: getattr(x, n)(y), (3, 1), POSITIVE[0]) for n in BINARY},
    "xlogy": (lambda t, x, y: (t.xlogy(x, y), t.special.xlog1py(x, y)), X, POSITIVE),
    "xlogy of a number": (lambda t, y: t.xlogy(2, y), POSITIVE),
    "erfinv": (lambda t, x: (t.erfinv(x), t.special.ndtri(x), t.logit(x), t.special.logit(x, eps=0.2)), INSIDE),
    "polygamma": (lambda t, x: (t.polygamma(1, x), x.polygamma(2), t.special.polygamma(0, x)), POSITIVE),
    "mvlgamma": (lambda t, x: (t.mvlgamma(x + 2, 3), t.special.multigammaln(x + 1, 1)), POSITIVE),
    "specials of two": (
        lambda t, x, y: (t.hypot(x, y), t.atan2(x, y), t.fmod(x, y), t.copysign(x, y), t.logaddexp(x, y)),
        LEFT.astype(np.float64),
        RIGHT.astype(np.float64),
    ),
    "fmax of specials": (lambda t, x, y: (t.fmax(x, y), t.fmin(x, y), t.xlogy(x, y)), LEFT, RIGHT),
    "fmod of ints": (lambda t, x, y: (t.fmod(x, y), x.fmod(3)), WHOLE, COUNTS),
    "shifts": (lambda t, x: (t.bitwise_left_shift(x[:, None], x), x[:, None].bitwise_right_shift(x)), BITS),
    "shifts of int32": (lambda t, x: (x[:, None] << x, x[:, None] >> x, 1 << x[:5], x >> 2), BITS.astype(np.int32)),
    "bits in place": (lambda t, x, y: x.clone().bitwise_and_(y).bitwise_or_(4).bitwise_not_(), WHOLE, COUNTS),
    "comparisons in place": (lambda t, x, y: (x.detach().clone().eq_(y), x.detach().clone().logical_not_()), X, X),
    "gcd": (lambda t, x, y: (t.gcd(x, y), x.lcm(y), t.gcd(x[0], y)), WHOLE, COUNTS),
    "signs": (lambda t, x: (t.signbit(x), t.isposinf(x), x.isneginf(), t.isreal(x), t.sgn(x.detach())), SPECIAL),
    "signs of ints": (lambda t, x: (t.signbit(x), t.isposinf(x), t.positive(x)), WHOLE),
    "nan_to_num": (lambda t, x: t.nan_to_num(x, 1.5, posinf=3.0, neginf=-4.0), SPECIAL),
    "nan_to_num to a negative zero": (lambda t, x: t.signbit(t.nan_to_num(x, -0.0)), SPECIAL),
    "nan_to_num of halves": (lambda t, x: x.half().nan_to_num(), SPECIAL),
    "heaviside": (lambda t, x, y: t.heaviside(x.detach(), y.detach()), LEFT, RIGHT),
    "isclose": (lambda t, x, y: (t.isclose(x, y), t.isclose(x, y, equal_nan=True)), LEFT, RIGHT),
    "isclose of ints": (lambda t, x, y: (t.isclose(x, y, rtol=0.5), t.isclose(x, y, 0, 0)), WHOLE, COUNTS),
    "isclose near": (lambda t, x: t.isclose(x, x * (1 + 1e-5), rtol=1e-5), POSITIVE),
    "frexp": (lambda t, x: t.frexp(x), SPECIAL[:4]),
    "frexp of powers": (lambda t, x: t.frexp(x), 2.0 ** np.arange(-140, 120).astype(np.float32)),
    "nextafter": (lambda t, x, y: t.nextafter(x.detach(), y.detach()), LEFT, RIGHT),
    "round": (lambda t, x: (t.round(x, decimals=1), x.round(decimals=-1), x.round()), POSITIVE * 10),
    "clamp_min": (lambda t, x, y: (t.clamp_min(x, 0.5), t.clamp_max(x, y), x.clamp_max(0)), X, X),
    "rsub": (lambda t, x, y: (t.rsub(x, y), t.rsub(x, 2, alpha=3)), X, X),
    "in place": (lambda t, x: (x * 1).fmod_(2).sinh_().exp2_(), X),
}


@pytest.mark.parametrize("name", CASES)
def test_a_function(name: str) -> None:
    call, *shapes = CASES[name]
    agree(call, *shapes, rtol=2e-5)


ERRORS: dict[str, tuple[Any, ...]] = {
    "heaviside of two types": (lambda t, x, y: t.heaviside(x, y), X, WHOLE[0, :4]),
    "heaviside has no slope": (lambda t, x: t.heaviside(x, x).sum().backward(), X),
    "isclose of two types": (lambda t, x, y: t.isclose(x, y), X, WHOLE[0, :4]),
    "negative tolerance": (lambda t, x: t.isclose(x, x, rtol=-1.0), X),
    "polygamma order": (lambda t, x: t.polygamma(-1, x), X),
    "mvlgamma order": (lambda t, x: t.mvlgamma(x, 0), X),
    "frexp of ints": (lambda t, x: t.frexp(x), WHOLE),
    "positive of bools": (lambda t, x: t.positive(x), WHOLE > 0),
    "shift of floats": (lambda t, x: t.bitwise_left_shift(x, x), X),
    "gcd of floats": (lambda t, x: t.gcd(x, x), X),
    "decimals of ints": (lambda t, x: t.round(x, decimals=1), WHOLE),
    "in place into ints": (lambda t, x: x.sinh_(), WHOLE),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(call, *shapes)
