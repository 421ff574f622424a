"""Functions and the points where a formula goes wrong: the table behind ``test_special_points``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, nan
from typing import Any

import ml_dtypes
import numpy as np

Call = Callable[..., Any]

WIDE = ("float32", "float64")
HALVES = ("float16", "bfloat16")
FLOATS = (*WIDE, *HALVES)
INTS = ("int8", "int16", "int32", "int64", "uint8")
ALL = (*FLOATS, *INTS, "bool")

LINES = np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [0.0, -0.0, 0.0, -0.0],
        [2.0, 2.0, 2.0, 2.0],
        [0.1, 0.1, 0.1, 0.1],
        [1.0, 3.0, 3.0, 1.0],
        [-1.0, -3.0, -3.0, -2.0],
        [0.0, 3.0, 0.0, -4.0],
        [2.0, 0.0, 3.0, 0.5],
        [inf, 1.0, 2.0, 3.0],
        [-inf, 1.0, 2.0, 3.0],
        [inf, inf, 1.0, 0.0],
        [-inf, -inf, -inf, -inf],
        [inf, -inf, 0.0, 1.0],
        [nan, 1.0, 2.0, 3.0],
        [nan, inf, 0.0, nan],
        [100.0, -100.0, 99.0, 0.0],
    ]
)
"""Lines for reductions: zeros, all equal, ties, one zero among others, infinities, NaN, far apart."""


@dataclass(frozen=True)
class Row:
    """``call(lib, *tensors)`` with Genesis or PyTorch as ``lib``, on every combination of points of its operands.

    ``operands`` 0 stands for one operand, the ``[16, 4]`` :data:`LINES`. ``extra`` are thresholds beside the common
    points. ``only`` is a mask of the combinations that both libraries take. Sizes below ``floor`` units in the last
    place of 1 count as equal: for functions that cancel. ``grad`` is False where nothing is differentiable.
    """

    name: str
    call: Call
    operands: int = 1
    dtypes: tuple[str, ...] = FLOATS
    extra: tuple[float, ...] = ()
    only: Callable[..., np.ndarray] | None = None
    floor: float = 0.0
    grad: bool = True


def numpy_dtype(name: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def points(dtype: str, extra: tuple[float, ...] = ()) -> np.ndarray:
    """Zeros of both signs, infinities, NaN, the smallest and largest numbers, common thresholds with neighbours."""
    if dtype == "bool":
        return np.array([False, True])
    if dtype in INTS:
        limits = np.iinfo(dtype)
        found = [limits.min, limits.min + 1, -7, -2, -1, 0, 1, 2, 3, 7, limits.max - 1, limits.max]
        return np.array([n for n in found if limits.min <= n <= limits.max], dtype)
    kind, about = numpy_dtype(dtype), ml_dtypes.finfo(numpy_dtype(dtype))
    sizes = [0.0, float(about.smallest_subnormal), float(about.tiny), 0.5, 1.0, 2.0, 2.5, 3.0, 6.0, 20.0, 100.0]
    near = [np.asarray(s, kind) for s in (*sizes, *extra, float(about.max), inf)]
    near += [np.nextafter(a, kind.type(to)) for a in near if 0.4 < a < 30 for to in (-inf, inf)]
    return np.concatenate([near, [-a for a in near], [np.asarray(nan, kind)]]).astype(kind)


def inputs(row: Row, dtype: str) -> list[np.ndarray]:
    """One array per operand."""
    if not row.operands:
        lines = LINES if dtype in FLOATS else LINES[np.isfinite(LINES).all(1)]
        return [(np.abs(lines) if dtype == "uint8" else lines).astype(numpy_dtype(dtype))]
    line = points(dtype, row.extra)
    arrays = [a.reshape(-1) for a in np.meshgrid(*[line] * row.operands, indexing="ij")]
    if row.only is None:
        return arrays
    keep = row.only(*arrays)
    return [a[keep] for a in arrays]


def top(name: str, *args: Any, **options: Any) -> Call:
    """A function of the top level."""
    return lambda lib, *tensors: getattr(lib, name)(*tensors, *args, **options)


def functional(name: str, *args: Any, **options: Any) -> Call:
    """A function of ``nn.functional``."""
    return lambda lib, *tensors: getattr(lib.nn.functional, name)(*tensors, *args, **options)


def reshaped(name: str, *shape: int, **options: Any) -> Call:
    """A function of ``nn.functional`` on the lines in another shape."""
    return lambda lib, x: getattr(lib.nn.functional, name)(x.reshape(*shape), **options)


def divisible(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Without zeros, and without the least number by -1, which ends PyTorch's process."""
    least = np.iinfo(x.dtype).min
    return (y != 0) & ~((x == least) & (y == -1) & (least < 0))


def probabilities(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)


def _arithmetic() -> Iterator[Row]:
    for name in (
        "exp expm1 log log1p log2 sqrt rsqrt reciprocal sin cos tanh erf sigmoid neg abs sign floor ceil trunc round "
        "square relu"
    ).split():
        yield Row(name, top(name), floor=name == "expm1")  # whose slope is y + 1
    for name in "neg abs sign floor ceil trunc round square relu".split():
        yield Row(f"{name} of integers", top(name), dtypes=INTS)
    for name in "exp log sqrt reciprocal sin tanh sigmoid".split():
        yield Row(f"{name} of integers", top(name), dtypes=(*INTS, "bool"))
    for name in "add mul maximum minimum".split():
        yield Row(name, top(name), operands=2, dtypes=ALL)
    for name in "sub div pow remainder".split():
        yield Row(name, top(name), operands=2)
    yield Row("floor_divide", top("floor_divide"), operands=2, grad=False)  # PyTorch has no gradient of it
    for name in ("sub", "div"):
        yield Row(f"{name} of integers", top(name), operands=2, dtypes=INTS)
    for name in ("floor_divide", "remainder"):
        yield Row(f"{name} of integers", top(name), operands=2, dtypes=INTS, only=divisible)
    yield Row("pow of integers", top("pow"), operands=2, dtypes=INTS, only=lambda x, y: y >= 0)
    for mode in ("floor", "trunc"):
        yield Row(f"div, {mode}", top("div", rounding_mode=mode), operands=2)
        yield Row(f"div, {mode}, of integers", top("div", rounding_mode=mode), operands=2, dtypes=INTS, only=divisible)
    for y in (0, 1, 2, 3, -1, -2, 0.5, -0.5, 1.5, 2.5, 0.0, 2.0):
        yield Row(f"pow {y}", top("pow", y))
    for x in (0, 1, 2, 0.5, -2):
        yield Row(f"{x} to a power", lambda lib, y, x=x: lib.pow(x, y))
    for low, high in ((0, 1), (-1, None), (None, 2), (2, 1)):
        yield Row(f"clamp {low} {high}", top("clamp", low, high), dtypes=(*FLOATS, *INTS))
    yield Row("clamp by tensors", top("clamp"), operands=3)
    yield Row("lerp", top("lerp"), operands=3, dtypes=WIDE, floor=200)
    yield Row("lerp by 1", top("lerp", 1.0), operands=2, dtypes=WIDE)
    yield Row("addcmul", top("addcmul", value=0.5), operands=3, dtypes=WIDE, floor=200)
    yield Row("addcdiv", top("addcdiv", value=0.5), operands=3, dtypes=WIDE, floor=200)
    yield Row("where", lambda lib, x, y: lib.where(x > y, x, y), operands=2)
    yield Row("masked_fill", lambda lib, x: lib.masked_fill(x, x > 1, -inf))
    for to in ("float16", "bfloat16", "float32", "float64", "bool"):
        yield Row(f"to {to}", lambda lib, x, to=to: x.to(getattr(lib, to)), dtypes=ALL)


def _truths() -> Iterator[Row]:
    for name in "eq ne lt le gt ge logical_and logical_or logical_xor".split():
        yield Row(name, top(name), operands=2, dtypes=ALL, grad=False)
    for name in "isnan isinf isfinite logical_not".split():
        yield Row(name, top(name), dtypes=ALL, grad=False)
    for name in "bitwise_and bitwise_or bitwise_xor".split():
        yield Row(name, top(name), operands=2, dtypes=(*INTS, "bool"), grad=False)
    yield Row("bitwise_not", top("bitwise_not"), dtypes=(*INTS, "bool"), grad=False)


def _activations() -> Iterator[Row]:
    def glu(lib: Any, x: Any, y: Any) -> Any:
        return lib.nn.functional.glu(lib.cat([x, y], 0), 0)

    for name in (
        "relu relu6 hardtanh sigmoid tanh silu leaky_relu logsigmoid elu celu selu hardsigmoid hardswish softsign "
        "tanhshrink softshrink hardshrink"
    ).split():
        yield Row(f"F.{name}", functional(name))
    yield Row("mish", functional("mish"), floor=1)
    yield Row("softplus", functional("softplus"), floor=1)
    yield Row("gelu", functional("gelu"), floor=64)
    yield Row("gelu, tanh", functional("gelu", approximate="tanh"), floor=64)
    yield Row("leaky_relu 0", functional("leaky_relu", 0.0))
    yield Row("softplus 2 3", functional("softplus", 2.0, 3.0), extra=(1.5,))
    yield Row("softplus 1 0", functional("softplus", 1.0, 0.0), floor=1)
    for alpha in (0.5, 2.0, -1.0):
        yield Row(f"elu {alpha}", functional("elu", alpha))
        yield Row(f"celu {alpha}", functional("celu", alpha))
    yield Row("hardtanh 0 6", functional("hardtanh", 0.0, 6.0))
    yield Row("softshrink 0", functional("softshrink", 0.0))
    yield Row("hardshrink 0", functional("hardshrink", 0.0))
    yield Row("threshold 1 20", functional("threshold", 1.0, 20.0))
    yield Row("prelu", lambda lib, x: lib.nn.functional.prelu(x, lib.full((1,), 0.25, dtype=x.dtype)))
    yield Row("glu", glu, operands=2, dtypes=WIDE)
    yield Row("glu of 16 bits", glu, operands=2, dtypes=HALVES, grad=False)  # PyTorch rounds inside of its gradient


def _losses() -> Iterator[Row]:
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        yield Row(name, functional(name, reduction="none"), operands=2)
    for beta in (0.0, 2.0):
        yield Row(f"smooth_l1_loss {beta}", functional("smooth_l1_loss", reduction="none", beta=beta), operands=2)
    yield Row("huber_loss 2", functional("huber_loss", reduction="none", delta=2.0), operands=2)
    for name in ("kl_div", "binary_cross_entropy_with_logits"):
        yield Row(name, functional(name, reduction="none"), operands=2, dtypes=WIDE, floor=8)
    yield Row("kl_div, log", functional("kl_div", reduction="none", log_target=True), operands=2, dtypes=WIDE, floor=8)
    yield Row(
        "binary_cross_entropy",
        functional("binary_cross_entropy", reduction="none"),
        operands=2,
        dtypes=WIDE,
        only=probabilities,
        floor=8,
    )
    for smoothing in (0.0, 0.1):
        yield Row(
            f"cross_entropy {smoothing}",
            lambda lib, x, s=smoothing: lib.nn.functional.cross_entropy(
                x, lib.ones(16, dtype=lib.int64), reduction="none", label_smoothing=s
            ),
            operands=0,
        )
    yield Row(
        "cross_entropy, all ignored",
        lambda lib, x: lib.nn.functional.cross_entropy(x, lib.ones(16, dtype=lib.int64), ignore_index=1),
        operands=0,
    )
    yield Row(
        "cross_entropy of probabilities",
        lambda lib, x: lib.nn.functional.cross_entropy(x, lib.full((16, 4), 0.25, dtype=x.dtype), reduction="none"),
        operands=0,
        floor=1,
    )
    yield Row(
        "nll_loss",
        lambda lib, x: lib.nn.functional.nll_loss(x, lib.ones(16, dtype=lib.int64), reduction="none"),
        operands=0,
    )


def _reductions() -> Iterator[Row]:
    orders = (0, 0.5, 1, 1.5, 2, 3, 4, inf, -inf, -1)
    for name in ("sum", "amax", "amin"):
        yield Row(f"{name} of lines", top(name, 1), operands=0, dtypes=ALL)
    for name in ("mean", "std", "var", "logsumexp", "softmax", "log_softmax"):
        yield Row(f"{name} of lines", top(name, 1), operands=0, dtypes=WIDE, floor=1)
    for name in ("sum", "mean", "amax", "amin", "max", "min", "std", "var", "norm"):
        yield Row(
            name,
            lambda lib, x, name=name: lib.stack([getattr(lib, name)(line) for line in x.unbind(0)]),
            operands=0,
            dtypes=WIDE,
        )
    for name in ("max", "min"):
        for place, part in enumerate(("values", "indices")):
            yield Row(
                f"{name}, {part}",
                lambda lib, x, name=name, place=place: getattr(lib, name)(x, 1)[place],
                operands=0,
                dtypes=(*FLOATS, *INTS),
                grad=not place,
            )
    for name in ("argmax", "argmin"):
        yield Row(name, top(name, 1), operands=0, dtypes=(*FLOATS, *INTS), grad=False)
    for name in ("any", "all"):
        yield Row(name, top(name, 1), operands=0, dtypes=(*FLOATS, "int8", "int64", "bool"), grad=False)
    for name in ("std", "var"):
        for c in (0, 1, 4):
            yield Row(f"{name}, correction {c}", top(name, 1, correction=c), operands=0, dtypes=WIDE, floor=1)
    for p in orders:
        yield Row(f"norm {p} of lines", top("norm", p, 1), operands=0, dtypes=WIDE)
        yield Row(f"norm {p} of numbers", lambda lib, x, p=p: lib.norm(x.reshape(-1, 1), p, 1), dtypes=WIDE)
    for p in (1, 2, 3, inf):
        yield Row(f"normalize {p}", functional("normalize", p, 1), operands=0, dtypes=WIDE, floor=32)
    yield Row("softmin", functional("softmin", 1), operands=0, dtypes=WIDE, floor=1)


def _layers() -> Iterator[Row]:
    def attention(lib: Any, x: Any) -> Any:
        return lib.nn.functional.scaled_dot_product_attention(*[x.reshape(16, 1, 4, 1)] * 3)

    yield Row("layer_norm", functional("layer_norm", (4,)), operands=0, dtypes=WIDE, floor=1000)
    yield Row("rms_norm", functional("rms_norm", (4,)), operands=0, dtypes=WIDE, floor=8)
    yield Row("group_norm", functional("group_norm", 2), operands=0, dtypes=WIDE, floor=1000)
    yield Row("batch_norm", reshaped("batch_norm", 4, 16, running_mean=None, running_var=None, training=True),
              operands=0, dtypes=WIDE, floor=1000)  # fmt: skip
    yield Row("instance_norm", reshaped("instance_norm", 4, 4, 4), operands=0, dtypes=WIDE, floor=1000)
    yield Row("max_pool1d", reshaped("max_pool1d", 16, 1, 4, kernel_size=2, stride=1, padding=1), operands=0)
    yield Row("max_pool1d, wide", reshaped("max_pool1d", 2, 32, kernel_size=33, padding=16), operands=0)
    yield Row("avg_pool1d", reshaped("avg_pool1d", 16, 1, 4, kernel_size=2, stride=1, padding=1), operands=0)
    yield Row("adaptive_max_pool1d", reshaped("adaptive_max_pool1d", 16, 1, 4, output_size=3), operands=0)
    yield Row("adaptive_avg_pool1d", reshaped("adaptive_avg_pool1d", 16, 1, 4, output_size=3), operands=0)
    yield Row("attention", attention, operands=0, dtypes=WIDE, floor=8)
    yield Row("matmul", lambda lib, x: lib.matmul(x.reshape(8, 2, 4), x.reshape(8, 4, 2)), operands=0, dtypes=WIDE)


ROWS = [*_arithmetic(), *_truths(), *_activations(), *_losses(), *_reductions(), *_layers()]


def _beyond(x: np.ndarray) -> np.ndarray:
    """Far from 1 by more than half the exponents of the type."""
    about, size = np.finfo(x.dtype), np.abs(x)
    return np.isfinite(x) & (x != 0) & ((size < about.tiny**0.4) | (size > about.max**0.4))


def _negative_ends(x: np.ndarray) -> np.ndarray:
    return np.signbit(x) & ((x == 0) | np.isinf(x))


def _odd(lines: np.ndarray) -> np.ndarray:
    return ~np.isfinite(lines).all(1)


DIFFERENT: dict[str, tuple[str, Callable[..., np.ndarray]]] = {
    "remainder": (
        "PyTorch is NaN where the quotient overflows; the remainder is exact",
        lambda x, y: np.isinf(x.astype(np.float32) / y.astype(np.float32)) & np.isfinite(x) & (y != 0),
    ),
    "gelu": (
        "PyTorch's vector functions overflow on some processors, and then give infinity times zero",
        lambda x: np.abs(x.astype(np.float64)) >= float(ml_dtypes.finfo(x.dtype).max),
    ),
    "pow 0.5": ("PyTorch's rsqrt in the gradient, and sqrt in f32; the power of IEEE 754", _negative_ends),
    "pow -0.5": ("PyTorch takes rsqrt; the power of IEEE 754 is positive", _negative_ends),
    "pow 1.5": ("PyTorch takes sqrt in the gradient", _negative_ends),
    "lerp": (
        "PyTorch adds and multiplies with one rounding, and so with one overflow",
        lambda a, b, w: _beyond(a) | _beyond(b),
    ),
    "addcdiv": (
        "PyTorch divides by the square of the divisor in its gradient, which over- or underflows",
        lambda x, a, b: _beyond(b),
    ),
    "max": ("PyTorch's max gives NaN elements the gradient, its amax makes it NaN; amax is meant by both", _odd),
    "min": ("PyTorch's min gives NaN elements the gradient, its amin makes it NaN; amin is meant by both", _odd),
    "norm 3 of numbers": ("PyTorch divides by a power of the norm, which over- or underflows", _beyond),
    "norm 4 of numbers": ("PyTorch divides by a power of the norm, which over- or underflows", _beyond),
    "norm -1 of numbers": ("PyTorch divides by a power of the norm, which over- or underflows", _beyond),
    "cross_entropy, all ignored": ("PyTorch multiplies the NaN of an infinite logit by 0; here the row is out", _odd),
    "erf": ("PyTorch flushes the least normal number in bf16", lambda x: np.abs(x) < 2 * ml_dtypes.finfo(x.dtype).tiny),
    "F.hardsigmoid": ("PyTorch rounds its slope 1/6 to f32", lambda x: (x.dtype == np.float64) & (np.abs(x) < 3)),
    "binary_cross_entropy": (
        "PyTorch rounds the least denominator 1e-12 to f32",
        lambda x, y: (x.dtype == np.float64) & (x * (1 - x) < 1e-12),
    ),
    "addcmul": (
        "PyTorch adds and multiplies with one rounding, and so with one overflow",
        lambda x, a, b: _beyond(a) | _beyond(b),
    ),
}
"""Where Genesis means something else, by row, why, and the points (or lines) at which."""
