"""A kernel in C: its text, and how the step calls it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from compiler.codegen.c.body import Body
from compiler.codegen.c.spelling import COMPUTE, STORAGE
from compiler.codegen.c.writer import Writer
from compiler.codegen.kernel import Sink, Touched
from compiler.codegen.sizes import ceil_div
from compiler.index import matrix_strides
from compiler.ir.graph import Graph, Node, Value

Operand = tuple[str, int, int]
"""A parameter of a kernel: "in", "out" or "partial", its number, from which element on; or "chunk" or "status", 0, 0.
"""


@dataclass
class LoopKernel:
    """A function over a range of its domain, with NAME for its name, and how to call it.

    ``operands`` are the parameters after ``begin, end``, which the function of a ``single`` element lacks. ``total`` is
    the length of the domain, ``grain`` what a range is a multiple of, ``chunk`` the length of a chunk when there are
    sinks. ``own_rows`` are the inputs and outputs that have as many rows as the domain and of which a call touches the
    rows of its range only.
    """

    text: str
    operands: list[Operand]
    total: int
    grain: int = 1
    chunk: int = 0
    sinks: list[Sink] = field(default_factory=list)
    flat: bool = False
    single: bool = False
    checks: list[Node] = field(default_factory=list)
    own_rows: Touched = frozenset()

    @property
    def chunks(self) -> int:
        return ceil_div(self.total, self.chunk) if self.chunk else 0

    @property
    def even(self) -> int:
        """If the number of threads divides this number, all get equal shares of the domain. 0: no number does."""
        return self.total // self.grain if not self.chunk and self.total % self.grain == 0 else 0


@dataclass
class TeamKernel:
    """A kernel that all threads call with ``pool, tid, nt, scratch``, followed by ``operands``.

    ``sinks`` have one partial result for each of ``chunks``. ``own_rows`` as in :class:`LoopKernel`. If the number of
    threads divides ``even``, all get equal shares of the rows. With ``packed_bytes``, the kernel takes the second
    operand as ``NAME_pack(tid, nt, operand, packed)``, also in ``text``, has laid it out.
    """

    text: str
    operands: list[Operand]
    shared: int
    private: int
    checks: list[Node] = field(default_factory=list)
    own_rows: Touched = frozenset()
    even: int = 0
    sinks: list[Sink] = field(default_factory=list)
    chunks: int = 0
    packed_bytes: int = 0


def window_of(graph: Graph, value: Value, casts: bool = False) -> tuple[Operand, Value, tuple[int, ...]]:
    """The memory that a template reads ``value`` from, seen through ``casts``: operand, input of ``graph``, strides."""
    found = matrix_strides(value, casts)
    assert found is not None, "fuse copies operands that are no strided window"
    root, offset, strides = found
    return ("in", graph.inputs().index(root), offset), root, strides


def range_kernel(body: Body, inside: Writer, total: int, grain: int = 1) -> LoopKernel:
    """The kernel whose statements are ``inside``, over a range of ``total``, with the expressions of ``body``."""
    parameters, operands = parameters_of(body)
    out = Writer()
    out.nest(f"KERNEL void NAME(long begin, long end, {', '.join(parameters)})", inside.lines)
    return LoopKernel(out.text(), operands, total, grain, checks=body.checks)


def parameters_of(body: Body, sinks: Collection[int] = (), chunked: bool = False) -> tuple[list[str], list[Operand]]:
    """Parameters for what the expressions of ``body`` read and the kernel writes, as text and as operands.

    ``sinks``: outputs of which it leaves partial results, those of one chunk at a time if it is ``chunked``. It has a
    status if it checks anything.
    """
    found: list[tuple[str, Operand]] = []
    params = body.graph.inputs()
    for i in body.used:
        constant = "" if i in body.aliases.values() else "const "
        found.append((f"{constant}{STORAGE[params[i].dtype]} *restrict a{i}", ("in", i, 0)))
    for i, value in enumerate(body.graph.outputs):
        if i in sinks:
            found.append((f"{COMPUTE[value.dtype]} *restrict part{i}", ("partial", i, 0)))
        elif i not in body.aliases:
            found.append((f"{STORAGE[value.dtype]} *restrict o{i}", ("out", i, 0)))
    found += [("long chunk", ("chunk", 0, 0))] * chunked
    found += [("long long *status", ("status", 0, 0))] * bool(body.checks)
    return [text for text, _ in found], [operand for _, operand in found]
