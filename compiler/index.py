"""Index maps: where in a buffer an element of a view stands.

An :class:`Index` is a sum of loop variables times whole coefficients plus a constant. Division and remainder by a
constant stay exact where the terms separate; where they do not, the quotient is a new opaque variable that the target
spells with its own division.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd, prod

from compiler.ir.graph import Node, Value
from compiler.ir.types import Shape


@dataclass(frozen=True)
class Var:
    """A loop variable in ``[0, size)``.

    With ``of`` it depends on an index: the quotient or remainder (``op`` "/" or "%") of it by a number, or ("=") what
    the target found there and calls by this name.
    """

    name: str
    size: int
    op: str = ""
    of: Index | None = None
    by: int = 0


@dataclass(frozen=True)
class Index:
    """``sum(coefficient * variable) + constant``; ``terms`` has no zero coefficient and each variable once."""

    terms: tuple[tuple[Var, int], ...] = ()
    constant: int = 0

    @staticmethod
    def of(var: Var) -> Index:
        return Index(((var, 1),)) if var.size > 1 else Index()

    def __add__(self, other: Index) -> Index:
        total = dict(self.terms)
        for var, c in other.terms:
            total[var] = total.get(var, 0) + c
        return _recombined(Index(tuple((v, c) for v, c in total.items() if c), self.constant + other.constant))

    def shifted(self, by: int) -> Index:
        return Index(self.terms, self.constant + by) if by else self

    def __mul__(self, factor: int) -> Index:
        if factor == 1:
            return self
        return Index(tuple((v, c * factor) for v, c in self.terms if factor), self.constant * factor)

    @cached_property
    def top(self) -> int:
        """The largest value it takes."""
        return self.constant + sum(c * (v.size - 1) for v, c in self.terms if c > 0)

    @cached_property
    def bottom(self) -> int:
        """The smallest value it takes."""
        return self.constant + sum(c * (v.size - 1) for v, c in self.terms if c < 0)

    def divmod(self, by: int) -> tuple[Index, Index]:
        """(quotient, remainder) by the size of a dimension; the index is never negative. Nothing reads an empty one."""
        if by <= 1:
            return self, Index()
        whole = Index(tuple((v, c // by) for v, c in self.terms if c % by == 0), self.constant // by)
        rest = Index(tuple((v, c) for v, c in self.terms if c % by), self.constant % by)
        if rest.bottom < 0:
            whole, rest = Index(), self
        if rest.top < by:
            return whole, rest
        step, low = rest._below(by)
        if step > 1:
            high = Index(tuple((v, c // step) for v, c in rest.terms if c % step == 0), rest.constant // step)
            quotient, remainder = high.divmod(by // step)
            return whole + quotient, remainder * step + low
        opaque = Var(f"q{by}", rest.top // by + 1, "/", rest, by), Var(f"r{by}", by, "%", rest, by)
        return whole + Index.of(opaque[0]), Index.of(opaque[1])

    def _below(self, by: int) -> tuple[int, Index]:
        """The largest divisor of ``by`` by which the index goes, but for a part that stays below it; and that part."""
        for step in sorted({gcd(c, by) for _, c in self.terms}, reverse=True):
            low = Index(tuple((v, c) for v, c in self.terms if c % step), self.constant % step)
            if low.bottom >= 0 and low.top < step:
                return step, low
        return 1, Index()

    @property
    def affine(self) -> bool:
        """Whether only true loop variables occur."""
        return all(v.of is None for v, _ in self.terms)

    @cached_property
    def variables(self) -> frozenset[str]:
        """The names of the loop variables it depends on."""
        return frozenset().union(*({v.name} if v.of is None else v.of.variables for v, _ in self.terms))

    def divisors(self, var: Var) -> set[int]:
        """The numbers by which indices that ``var`` occurs in are divided."""
        found: set[int] = set()
        for v, _ in self.terms:
            if v.of is not None:
                found |= v.of.divisors(var) | ({v.by} if v.by > 1 and v.of.coefficient(var) else set())
        return found

    def within(self, var: Var, width: int) -> bool:
        """Whether it lies in row ``var`` of a matrix of so many columns."""
        rest = self + Index.of(var) * -width
        return rest.bottom >= 0 and rest.top < width

    def divided(self, var: Var) -> bool:
        """Whether ``var`` occurs inside a quotient or a remainder."""
        return any(v.of is not None and (v.of.coefficient(var) or v.of.divided(var)) for v, _ in self.terms)

    def coefficient(self, var: Var) -> int:
        return next((c for v, c in self.terms if v == var), 0)


def _recombined(index: Index) -> Index:
    """``(x / n) * n + x % n`` is ``x``."""
    terms = dict(index.terms)
    for var, c in index.terms:
        if var.op != "%" or var.of is None:
            continue
        size = var.of.top // var.by + 1
        quotient = Var(f"q{var.by}", size, "/", var.of, var.by)
        if terms.get(quotient) == c * var.by:
            rest = Index(tuple((v, k) for v, k in index.terms if v not in (var, quotient)), index.constant)
            return rest + var.of * c
    return index


def strides_of(shape: Shape) -> tuple[int, ...]:
    """Row-major element strides."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def split(linear: Index, shape: Shape) -> tuple[Index, ...]:
    """The row-major coordinates of a linear index."""
    result = []
    for n in reversed(shape[1:]):
        linear, last = linear.divmod(n)
        result.append(last)
    return (*((linear,) if shape else ()), *reversed(result))


def join(coordinates: Sequence[Index], shape: Shape) -> Index:
    """The linear index of row-major coordinates."""
    total = Index()
    for coordinate, stride in zip(coordinates, strides_of(shape), strict=True):
        total = total + coordinate * stride
    return total


def broadcast(linear: Index, shape: Shape, source: Shape) -> Index:
    """The place at which an element of ``shape`` reads an operand of shape ``source`` that broadcasts to it."""
    if source == shape or prod(source) == 1:
        return linear if source == shape else Index()
    if prod(source) == prod(shape):
        return linear
    coordinates = split(linear, shape)[len(shape) - len(source) :]
    return join([Index() if n == 1 else c for c, n in zip(coordinates, source, strict=True)], source)


def through_view(node: Node, linear: Index) -> Index:
    """The place of element ``linear`` of a view's result in the view's operand."""
    source, shape = node.inputs[0].shape, node.output.shape
    if node.op.keeps == "order" or node.op.reads == "memory":
        return linear
    if node.op.name == "expand":
        return broadcast(linear, shape, source)
    coordinates = split(linear, shape)
    if node.op.keeps == "elements":
        moved = [Index()] * len(shape)
        for coordinate, d in zip(coordinates, node.attrs["dims"], strict=True):
            moved[d] = coordinate
        return join(moved, source)
    if node.op.name == "slice":
        starts, steps = node.attrs["start"], node.attrs["step"]
        return join([(c * s).shifted(a) for c, a, s in zip(coordinates, starts, steps, strict=True)], source)
    if node.op.reads == "window":
        return _through_slide(node, linear)
    raise NotImplementedError(f"the index map of view {node.op.name!r}")


@dataclass(frozen=True)
class Bound:
    """A condition on an index: in ``[0, size)``, which may be nowhere, and, with ``step`` > 1, a multiple of it."""

    index: Index
    size: int
    step: int

    @property
    def always(self) -> bool:
        return self.step == 1 and self.index.bottom >= 0 and self.index.top < self.size


def slide_bounds(node: Node, linear: Index) -> list[Bound]:
    """For each dimension of an image, where in it element ``linear`` of a ``slide`` stands, in steps of its base."""
    attrs, shape = node.attrs, node.output.shape
    rank = len(attrs["size"])
    coordinates = split(linear, shape)[len(shape) - 2 * rank :]
    bounds = []
    for d, (stride, dilation, padding, base) in enumerate(
        zip(attrs["stride"], attrs["dilation"], attrs["padding"], attrs["base"], strict=True)
    ):
        place = (coordinates[rank + d] * stride + coordinates[d] * dilation).shifted(-padding)
        bounds.append(_bound(place, node.inputs[0].shape[-rank + d], base))
    return bounds


def _bound(place: Index, size: int, step: int) -> Bound:
    """The condition that ``place / step`` is in ``[0, size)``, divided now where that is known to leave no rest."""
    if any(c % step for _, c in place.terms):
        return Bound(place, size * step, step)
    if place.constant % step:
        return Bound(Index(), 0, 1)
    return Bound(Index(tuple((v, c // step) for v, c in place.terms), place.constant // step), size, 1)


def _through_slide(node: Node, linear: Index) -> Index:
    """The place that a slide reads, if its bounds hold: a coordinate that might leave the image is a variable in it."""
    source, shape = node.inputs[0].shape, node.output.shape
    bounds = slide_bounds(node, linear)
    inside = [
        bound.index if bound.always else Index.of(Var("p", max(n, 2), "/", bound.index, bound.step))
        for bound, n in zip(bounds, source[-len(bounds) :], strict=True)
    ]
    return join([*split(linear, shape)[: -len(bounds)], *inside], source)


def view_chain(value: Value) -> tuple[Value, list[Node]]:
    """The value behind a chain of views, and the views from it to ``value``."""
    chain: list[Node] = []
    while value.producer is not None and value.producer.op.kind == "view":
        chain.append(value.producer)
        value = value.producer.inputs[0]
    chain.reverse()
    return value, chain


def matrix_strides(value: Value, casts: bool = False) -> tuple[Value, int, tuple[int, ...]] | None:
    """``(root, offset, strides)`` when ``value`` is a strided window of its root's memory, else None.

    Follows views, and ``casts`` that a template applies when it reads.
    """
    variables = [Var(f"d{axis}", n) for axis, n in enumerate(value.shape)]
    linear = join([Index.of(v) for v in variables], value.shape)
    while (node := value.producer) is not None and (node.op.kind == "view" or (casts and node.op.converts)):
        if node.op.kind == "view":
            linear = through_view(node, linear)
        value = node.inputs[0]
    if not linear.affine:
        return None
    return value, linear.constant, tuple(linear.coefficient(v) for v in variables)


def refined(shapes: Sequence[Shape]) -> Shape | None:
    """The coarsest shape of which all ``shapes`` (of one size) are groupings of neighbouring dimensions, or None."""
    cuts: set[int] = set()
    for shape in shapes:
        step = 1
        for n in reversed(shape):
            step *= n
            cuts.add(step)
    ordered = sorted(cuts | {1})
    dims = []
    for low, high in itertools.pairwise(ordered):
        if high % low:
            return None
        dims.append(high // low)
    return tuple(reversed(dims)) or (1,)


def concat_starts(concat: Node) -> list[int]:
    """The beginning of each operand along the axis."""
    starts, position = [], 0
    for value in concat.inputs:
        starts.append(position)
        position += value.shape[concat.attrs["axis"]]
    return starts


def parts_in_concat(concat: Node, linear: Index) -> list[tuple[Value, Index]]:
    """Each operand with the place in the result of its element ``linear``."""
    axis, found = concat.attrs["axis"], []
    for part, start in zip(concat.inputs, concat_starts(concat), strict=True):
        coordinates = list(split(linear, part.shape))
        coordinates[axis] = coordinates[axis].shifted(start)
        found.append((part, join(coordinates, concat.output.shape)))
    return found
