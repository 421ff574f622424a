"""Op records and their registry: everything the compiler knows about an op stands in its one record.

Only the target spellings live elsewhere, as tables in the renderers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from inspect import Parameter, signature
from math import inf
from typing import Any, Literal, Protocol

import numpy as np

from compiler.errors import OpError, OpTypeError
from compiler.ir import ambient
from compiler.ir.opset import OpSet as OpSet
from compiler.ir.opset import o as o
from compiler.ir.types import DTYPES, DType, TensorType, dtype, f32


class Typed(Protocol):
    """A value, as far as its op asks."""

    @property
    def type(self) -> TensorType: ...


class Application(Protocol):
    """A node, as far as its op asks."""

    @property
    def inputs(self) -> Sequence[Typed]: ...

    @property
    def output(self) -> Typed: ...


REQUIRED: Any = object()
"""Default of an attribute that must be given."""

KINDS = ("pointwise", "view", "reduce", "contract", "index", "random", "composite", "loop", "grad", "fused")

Algebra = Literal["", "sum", "product", "quotient", "negative", "max", "min"]
"""The effect of an elementwise op; ``sum`` is also a difference, ``max`` and ``min`` also "or" and "and"."""

Reads = Literal["place", "memory", "rows", "lookup", "window", "parts", "slice"]
"""The places at which an op reads its operands for an element of its result.

``place``: at the same place, through broadcasting or the map of a view. ``memory``: there, after another kernel has
stored it. ``rows``: in the row of a table, the first operand, that the second one says. ``lookup``: where the second
operand says along the attribute ``axis`` of the first one, else at the same place. ``window``: at a place that may not
exist. ``parts``: in the one operand that has the place. ``slice``: in the second operand where its slice of the first
one is, else in the first.
"""

Anchor = Literal["contract", "convolution", "attention", "concat", "scatter", "scan", "sort", "loop"]
"""The kind of kernel that an op has for itself; it reads its operands from memory."""

CHEAP, COSTLY = 1, 6
"""The cost of an op that is computed again rather than kept, and one from which on that is worth avoiding."""


@dataclass(eq=False, slots=True)
class Op:
    """One op.

    infer: ``(*types, **attrs) -> type or tuple of types``; raises :class:`OpError` for what the op does not accept.
    infer_body: the type rule of an op with a body, ``(types, body, attrs) -> tuple of types``.
    reference: ``(*arrays, **attrs) -> array or tuple``, the definition in NumPy. 16-bit floats arrive as f32 and the
        result is rounded once to the result type, unless ``raw``.
    vjp: ``(o, node, *output_grads) -> one gradient or None per input``, written with the op set ``o``.
        ``None`` instead of a rule: the op has no gradient (or, for a composite, is differentiated through ``expand``).
    expand: ``(o, *values, **attrs) -> value or tuple``: a composite in terms of smaller ops.
    kind: how code generation sees it, one of :data:`KINDS`.
    attrs: attribute schema, name -> default (:data:`REQUIRED` for none).
    autocast: device -> class (``"lower"``, ``"fp32"``, ``"promote"``), after PyTorch's autocast lists.
    prepare: brings operands to a common type before ``infer``; ``None`` takes them as they are.
    differentiable: False for ops whose result carries no gradient (comparisons, ``detach``).
    cost: how many additions an element of the result costs.
    work: ``node -> int``, its floating-point operations, where these are not one for each element.
    reads: where it reads its operands.
    anchor: the kind of its own kernel, None for ops that share one in loops over elements.
    rounds: False where the result is an operand, the negative of one or rounded already: it needs no rounding.
    checks: it gives its first operand back, and reports an element that is not as it must be.
    converts: the result is the operand in another type.
    keeps: of a view, whether it shows each element once (``"elements"``), and in the same order (``"order"``).
    start, join: of a reduction, scan or scatter, the number it starts with, and the op that joins two results. Without
        a ``join``, a scatter writes over elements. A scan of two operands multiplies its running result by the
        first one before the second one joins.
    finds: of a reduction to the place of an extremum, the reduction to the extremum itself.
    gradient: of an op with an anchor, whether it is the gradient of the other one.
    algebra: of a pointwise op, the operation on numbers that it is, where sums or extrema over a batch pass through it.
    statistics: it takes statistics of the batch, all results but the first: of each micro-batch where there are some.
    numbered: an element of the result depends on its number, as counting and draws do.
    updates: it computes new parameters or moments, which a skipped step throws away.
    spreads: an infinity or a NaN in any operand always shows in the result; ``exp(-inf)``, say, hides one.
    """

    name: str
    infer: Callable[..., Any]
    kind: str
    reference: Callable[..., Any] | None = None
    vjp: Callable[..., Any] | None = None
    expand: Callable[..., Any] | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    autocast: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Sequence[Any]], Sequence[Any]] | None = None
    differentiable: bool = True
    raw: bool = False
    infer_body: Callable[..., tuple[TensorType, ...]] | None = None
    cost: int = CHEAP
    work: Callable[[Any], int] | None = None
    reads: Reads = "place"
    anchor: Anchor | None = None
    rounds: bool = True
    checks: bool = False
    converts: bool = False
    keeps: Literal["", "elements", "order"] = ""
    start: float = 0
    join: str = ""
    finds: str = ""
    gradient: bool = False
    algebra: Algebra = ""
    statistics: bool = False
    numbered: bool = False
    updates: bool = False
    spreads: bool = False

    @property
    def is_free(self) -> bool:
        """Whether it costs nothing to have in every kernel that needs it: views, constants, counting."""
        return self.kind == "view" or (self.kind == "pointwise" and arity(self) == (0, 0))

    @property
    def is_cheap(self) -> bool:
        """Whether an element costs less to compute again than to store and load."""
        return self.kind == "pointwise" and self.cost == CHEAP and not self.checks

    @property
    def is_costly(self) -> bool:
        """Whether an element is worth keeping for a second reader of the same kernel."""
        return self.kind == "pointwise" and self.cost >= COSTLY

    @property
    def is_product(self) -> bool:
        """Whether its kernel takes in what follows elementwise: a matrix product or a convolution."""
        return self.anchor in ("contract", "convolution")

    @property
    def is_lookup(self) -> bool:
        """Whether it reads its first operand, a table, at places that the second one says."""
        return self.reads in ("rows", "lookup")

    @property
    def is_structure(self) -> bool:
        """Whether it holds a program together and is never part of a kernel."""
        return self.kind in ("loop", "grad", "fused")

    @property
    def is_shareable(self) -> bool:
        """Whether one node may stand for all with the same operands and attributes."""
        return self.kind != "random" and not self.is_structure

    @property
    def has_no_rule(self) -> bool:
        """Whether gradients go through its expansion, for want of a rule of its own."""
        return self.vjp is None and self.expand is not None and self.differentiable

    def needs_memory(self, position: int) -> bool:
        """Whether the operand at ``position`` must be in memory before a kernel with this op starts."""
        return self.anchor is not None or (self.is_lookup and position == 0)

    def neutral(self, dtype: DType) -> float | int | bool:
        """The number that a reduction of ``dtype`` starts with."""
        if dtype.kind == "float":
            return self.start
        if dtype.kind == "bool":
            return self.start > 0
        if abs(self.start) < inf:
            return int(self.start)
        values = 2**dtype.bits
        lowest = 0 if dtype.numpy.kind == "u" else -values // 2
        return lowest + values - 1 if self.start > 0 else lowest

    def flops(self, node: Application) -> int:
        """Floating-point operations of ``node``, a comparison or an exponential counting as one."""
        if self.work is not None:
            return self.work(node)
        if self.kind == "reduce":
            return node.inputs[0].type.size
        plain = self.kind != "pointwise" or self.is_free or self.checks or self.converts
        return 0 if plain else node.output.type.size

    def many(self, *operands: Any, **attrs: Any) -> tuple[Any, ...]:
        """All results of the op, as :meth:`__call__` records them."""
        return as_tuple(self(*operands, **attrs))

    def expansion(self, *inputs: Any, **attrs: Any) -> tuple[Any, ...]:
        """The results of a composite's expansion, recorded with the ambient builder."""
        assert self.expand is not None, self.name
        return as_tuple(self.expand(o, *inputs, **attrs))

    def __call__(self, *operands: Any, **attrs: Any) -> Any:
        """Record the op with the ambient builder; returns its value, or a tuple when it has several outputs."""
        return ambient.builder().call(self, operands, attrs)

    def complete(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """``attrs`` checked against the schema, with defaults filled in and values :func:`normalised`."""
        unknown = attrs.keys() - self.attrs.keys()
        if unknown:
            has = ", ".join(self.attrs) or "none"
            raise OpError(f"{self.name}: unknown attribute {', '.join(sorted(unknown))}; it has: {has}")
        full = {}
        for key, default in self.attrs.items():
            value = attrs.get(key, default)
            if value is REQUIRED:
                raise OpError(f"{self.name}: attribute {key!r} is missing")
            full[key] = normalised(key, value)
            check = _CHECKS.get(key)
            if check is not None and not check[1](full[key]):
                raise OpTypeError(f"{self.name}: {key} must be {check[0]}, not {value!r}")
        return full

    def check_operands(self, count: int) -> None:
        """Raise :class:`OpError` unless the type rule takes ``count`` operands."""
        low, high = arity(self)
        if not low <= count <= high:
            takes = f"{low}" if low == high else f"at least {low}" if high == inf else f"{low} to {high:.0f}"
            raise OpError(f"{self.name} takes {takes} operand{'' if low == 1 else 's'}, not {count}")

    def result_types(
        self, types: Sequence[TensorType], attrs: dict[str, Any], body: Any = None
    ) -> tuple[TensorType, ...]:
        """The types of the outputs; ``attrs`` may carry the universal attribute ``autocast``.

        Raises :class:`OpError` for what the op does not accept. Any other error is a fault of the type rule.
        """
        if self.infer_body is not None and body is not None:
            return self.infer_body(types, body, attrs)
        types, attrs = as_cast(types, attrs)
        result = self.infer(*types, **attrs)
        return (result,) if isinstance(result, TensorType) else tuple(result)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def normalised(key: str, value: Any) -> Any:
    """An attribute's value as the IR keeps it: NumPy scalars as Python's, lists as tuples, any dtype as a DType."""
    if value is not None and key in ("to", "dtype"):
        try:
            return dtype(value)
        except TypeError:
            raise OpError(f"{key}={value!r} is no dtype; there are {', '.join(DTYPES)}") from None
    if isinstance(value, list | tuple):
        return tuple([normalised("", v) for v in value])
    return value.item() if isinstance(value, np.generic) else value


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _are_integers(value: Any) -> bool:
    return type(value) is tuple and all(type(item) is int for item in value)


_CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "axis": ("an integer", _is_integer),
    "axes": ("integers", _are_integers),
    "shape": ("integers", _are_integers),
    "keepdim": ("True or False", lambda value: isinstance(value, int)),
}
"""Attributes that mean one thing in every op, and the values that they take."""


def as_tuple(results: Any) -> tuple[Any, ...]:
    """One value or several, as rules return them, as a tuple."""
    return tuple(results) if isinstance(results, tuple | list) else (results,)


@cache
def arity(op: Op) -> tuple[int, float]:
    """The fewest and the most operands that the type rule of ``op`` takes."""
    kinds = [p.kind for p in signature(op.infer).parameters.values() if p.name not in op.attrs]
    count = kinds.count(Parameter.POSITIONAL_OR_KEYWORD)
    return count, inf if Parameter.VAR_POSITIONAL in kinds else count


OPS: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Add ``op`` to the registry and to the op set."""
    if op.name in OPS:
        raise ValueError(f"op {op.name!r} is registered twice")
    if op.kind not in KINDS:
        raise ValueError(f"op {op.name!r}: unknown kind {op.kind!r}")
    OPS[op.name] = op
    setattr(o, op.name, op)
    return op


def castable(dtype: DType) -> bool:
    """Whether autocast may touch this type: f16, bf16 and f32 only."""
    return dtype is f32 or dtype.is_half


def as_cast(types: Sequence[TensorType], attrs: dict[str, Any]) -> tuple[Sequence[TensorType], dict[str, Any]]:
    """The types of operands behind the casts that the attribute ``autocast`` stands for, and the other attributes."""
    target = attrs.get("autocast")
    if target is None:
        return types, attrs
    cast = [t.with_dtype(target) if castable(t.dtype) else t for t in types]
    return cast, {k: v for k, v in attrs.items() if k != "autocast"}


def autocast_target(op: Op, types: Sequence[TensorType], low: DType, device: str) -> DType | None:
    """The type autocast brings the floating inputs of ``op`` to, or None when the op is not listed for ``device``.

    Classes: ``lower`` computes in the region's type, ``fp32`` in f32, ``promote`` in the widest type among the
    inputs. Source: the op lists of PyTorch's autocast registrations for CPU and CUDA.
    """
    rule = op.autocast.get(device)
    if rule is None:
        return None
    floats = [t.dtype for t in types if castable(t.dtype)]
    if rule == "lower":
        target = low
    elif rule == "fp32" or any(d is f32 for d in floats):
        target = f32
    else:
        return None
    return target if any(d is not target for d in floats) else None
