"""Factors of a matrix product: how a program finds its tile of one, and loads it step after step along k.

A factor is strided, as views of a matrix are, or gathered: its elements stand anywhere, as in windows of an image
do, and the tile's load evaluates their places. No copy of such a factor is ever in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from compiler.codegen.triton.spelling import TYPES, index_text, names_in
from compiler.index import Bound, Index, Var
from compiler.ir.types import DType


class Side:
    """The left factor, with tiles ``x`` of ``edge`` rows i by ``step`` places k, or the right one, with tiles ``y``.

    ``length`` is the size of k; the program begins at ``first``. The tile's mask "rows" or "cols" exists if that edge
    is ``ragged``. With ``wide``, places need 64 bits.

    Attributes:
        across, along: the index across k, and the one along it, from the beginning of a step.
        mask, limit: the conditions across k and along it.
    """

    def __init__(self, left: bool, edge: int, step: int, length: int, ragged: bool, wide: bool, first: str) -> None:
        self.left, self.step, self.wide, self.first = left, step, wide, first
        names = ("x", "lhs", "i", "k[None, :]") if left else ("y", "rhs", "j", "k[:, None]")
        self.tile, self.pointer, self.across, self.along = names
        self.shape = (edge, step) if left else (step, edge)
        self.mask = ["rows" if left else "cols"] * ragged
        self.limit = [f"{self.along} < {length} - start"] * bool(length % step)

    def load(self, place: str, conditions: list[str]) -> str:
        """The statement that loads the tile."""
        return f"{self.tile} = tl.load({place}{_mask(conditions if self.left else conditions[::-1])})"

    def broadcast(self) -> str:
        """The statement that gives pointers the shape of the tile."""
        return f"{self.pointer} = tl.broadcast_to({self.pointer}, {self.shape})"


@dataclass(frozen=True)
class Operand:
    """A strided factor: element type and strides in elements.

    `strides` are one for each batch dimension, then (i, k) for the left factor, of (k, j) for the right one.
    `prologue` are statements on each loaded tile, `x` (BM, BK) of the left factor or `y` (BK, BN) of the right one,
    with the indices `i` (BM, 1), `j` (1, BN), `start + k` (BK,) and, in a batch, `b`. Their result is rounded to the
    compute type.
    """

    dtype: DType
    strides: tuple[int, ...]
    prologue: tuple[str, ...] = ()

    @property
    def is_aligned(self) -> bool:
        """Whether every row, along its contiguous dimension, starts at a multiple of 16 bytes."""
        return 1 in self.strides[-2:] and all(
            stride == 1 or stride * self.dtype.itemsize % 16 == 0 for stride in self.strides
        )

    def extent(self, sizes: tuple[int, ...]) -> int:
        """Elements from the first to the last one of all; `sizes` belong to the strided dimensions."""
        return sum(size * abs(stride) for size, stride in zip(sizes, self.strides, strict=True))

    def _along_and_across(self, side: Side) -> tuple[int, int]:
        first, second = self.strides[-2:]
        return (second, first) if side.left else (first, second)

    def top(self, side: Side, batch: tuple[int, ...]) -> list[str]:
        """Statements before the loop: the pointer to the first tile."""
        along, across = self._along_and_across(side)
        begin = f"({side.first} + {side.along})" if side.first else side.along
        terms = [(side.across, across), (f"{begin}.to(tl.int64)" if side.wide else begin, along)]
        lines = self._batch(side.pointer, batch)
        lines.append(f"{side.pointer} += {_sum(*(terms if side.left else terms[::-1]))}")
        return lines + [side.broadcast()] * (0 in (along, across))

    def _batch(self, pointer: str, batch: tuple[int, ...]) -> list[str]:
        terms = []
        inner = prod(batch)
        for size, stride in zip(batch, self.strides, strict=False):
            outer, inner = inner, inner // size
            index = "b" if inner == 1 else f"b // {inner}"
            terms.append((index if outer == prod(batch) else f"{index} % {size}", stride))
        offset = _sum(*terms) if prod(batch) > 1 else "0"
        return [f"{pointer} += {offset}"] * (offset != "0")

    def step(self, side: Side, compute: DType) -> list[str]:
        """Statements of a step: the tile, in the compute type."""
        return [side.load(side.pointer, [*side.mask, *side.limit]), *rounded(side.tile, self, compute)]

    def advance(self, side: Side) -> list[str]:
        """Statements at the end of a step: the pointer to the next tile."""
        return [f"{side.pointer} += {side.step * self._along_and_across(side)[0]}"]


@dataclass(frozen=True)
class Gathered:
    """A factor whose elements stand at ``place``, where ``bounds`` hold, and are zero elsewhere.

    Places are indices in terms of `b`, the number of the product, `i` or `j` across k, and along it ``p`` (left factor)
    or ``q`` (right factor).
    """

    dtype: DType
    place: Index
    bounds: tuple[Bound, ...] = ()
    prologue: tuple[str, ...] = ()

    is_aligned = False

    def extent(self, sizes: tuple[int, ...]) -> int:
        return max(abs(self.place.top), abs(self.place.bottom))

    def top(self, side: Side, batch: tuple[int, ...]) -> list[str]:
        """Statements before the loop: what of the places is the same in all steps."""
        return self._lines(side).top

    def step(self, side: Side, compute: DType) -> list[str]:
        return [*self._lines(side).step, *rounded(side.tile, self, compute)]

    def advance(self, side: Side) -> list[str]:
        return []

    def _lines(self, side: Side) -> _Lines:
        lines = _Lines(side)
        start = f"start + {side.along}"
        lines.step.append(f"{lines.along} = {f'({start}).to(tl.int64)' if side.wide else start}")
        fixed, moving = lines.parts(self.place)
        if fixed.terms or fixed.constant:
            lines.top.append(f"{side.pointer} += {index_text(fixed)}")
        conditions = [*side.mask, *(lines.inside(bound) for bound in self.bounds), *side.limit]
        spread = {side.across, lines.along} <= names_in(self.place)
        where = f"{side.pointer} + {index_text(moving)}" if moving.terms else side.pointer
        where = where if spread else f"tl.broadcast_to({where}, {side.shape})"
        lines.step.append(side.load(where, conditions))
        return lines


@dataclass
class _Lines:
    """Statements before the loop and in a step, with a name for each quotient and remainder."""

    side: Side
    top: list[str] = field(default_factory=list)
    step: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)

    @property
    def along(self) -> str:
        return "p" if self.side.left else "q"

    def parts(self, index: Index) -> tuple[Index, Index]:
        """The part of an index that is the same in all steps, and the part that is not."""
        fixed, moving = Index((), index.constant), Index()
        for var, c in index.terms:
            term = Index(((self._var(var), c),))
            if self.along in names_in(Index(((var, c),))):
                moving = moving + term
            else:
                fixed = fixed + term
        return fixed, moving

    def inside(self, bound: Bound) -> str:
        """The name of a condition."""
        fixed, moving = self.parts(bound.index)
        place = self._name(fixed, self.top)
        if moving.terms:
            both = [place, index_text(moving)] if place != "0" else [index_text(moving)]
            place = self._assign(" + ".join(both), self.step)
        tests = [f"({place} >= 0)"] * (bound.index.bottom < 0) + [f"({place} < {bound.size})"]
        return self._assign(" & ".join(tests), self.step if moving.terms else self.top)

    def _var(self, var: Var) -> Var:
        """A variable for a quotient or a remainder."""
        if var.of is None:
            return var
        place = self.step if self.along in names_in(Index(((var, 1),))) else self.top
        of = Index((), var.of.constant)
        for inner, c in var.of.terms:
            of = of + Index(((self._var(inner), c),))
        text = index_text(Index(((Var(var.name, var.size, var.op, of, var.by), 1),)))
        return Var(self._assign(text, place), var.size)

    def _name(self, index: Index, place: list[str]) -> str:
        text = index_text(index)
        return text if text.isidentifier() or not index.terms else self._assign(text, place)

    def _assign(self, text: str, place: list[str]) -> str:
        if text not in self.named:
            prefix = self.along if place is self.step else self.side.across
            count = sum(name.startswith(prefix) for name in self.named.values())
            self.named[text] = f"{prefix}{count + 1}"
            place.append(f"{self.named[text]} = {text}")
        return self.named[text]


Factor = Operand | Gathered


def rounded(tile: str, factor: Factor, compute: DType) -> list[str]:
    """The rest of the work on a loaded tile: the factor's prologue, and rounding to the compute type."""
    rounding = [f"{tile} = {tile}.to({TYPES[compute]})"] if factor.prologue or factor.dtype is not compute else []
    return [*factor.prologue, *rounding]


def _sum(*terms: tuple[str, int]) -> str:
    """An index expression: "i * 768 + k[None, :]" """
    written = [index if stride == 1 else f"{index} * {stride}" for index, stride in terms if stride]
    return " + ".join(written) or "0"


def _mask(conditions: list[str]) -> str:
    if not conditions:
        return ""
    several = " & ".join(part if part.isidentifier() else f"({part})" for part in conditions)
    return f", mask={conditions[0] if len(conditions) == 1 else several}, other=0.0"
