"""Loops as one kernel: a program keeps its rows of the carries, and the weights, from one iteration to the next.

The rows of a batch do not wait for each other, so nothing has to be said between programs. Blocks stay in registers,
from where a product takes its left factor; the right one, which all iterations share, is loaded in front of the loop.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.codegen import body
from compiler.codegen.sizes import ceil_div, power_of_two
from compiler.codegen.triton.body import Body, Scope
from compiler.codegen.triton.spelling import COMPUTE, TYPES, names_in
from compiler.codegen.triton.task import Task, kernel_name, task_of, warps_for
from compiler.index import Index, Var, concat_starts, split
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.types import DType
from compiler.ops.loop import Parts
from compiler.processors import GPUS
from compiler.whole_loops import Unfit

ROWS = 16  # of a program, where there are products: the least that tensor cores multiply
BLOCK = 1024  # elements of a program where there are none
WIDEST = 1024  # columns of a block of so many rows that a program holds

KEPT = 2, 3
"""The part of the shared memory of a program that weights may take; the rows on their way to a product need the rest.

Weights that stay cost nothing after the first iteration. Others would come from the L2 cache each time, to the few
multiprocessors that a batch keeps busy: half a megabyte takes one of them longer (about 5 us, at 64 bytes a clock) than
the launches of an iteration (about 2 us each), which spread it over all.
"""


class LoopKernel(Body):
    """The kernel of the one loop in ``whole``: ``r`` are the rows of a program, ``c8`` the columns of a block of 8.

    Raises :class:`Unfit` where an element of a carry needs other rows than its own, or the weights do not fit.
    """

    def __init__(self, whole: Graph, target: str) -> None:
        self.node = whole.nodes[0]
        parts = self.parts = Parts.of(self.node)
        super().__init__(Graph(whole.name, whole.params, parts.body.nodes, [], whole.outputs), {})
        self.carried, along, fixed = parts.split(parts.body.inputs())
        starts, stacks, invariants = parts.split(self.node.inputs)
        self.stacks, self.invariants = dict(zip(along, stacks)), dict(zip(fixed, invariants))
        self.fixed = {*fixed, *invariants}
        for inner in parts.body.nodes:
            if inner.op.kind == "reduce" or inner.op.anchor not in (None, "contract", "concat"):
                raise Unfit(f"{inner.op.name} in it")
            if all(v in self.fixed for v in inner.inputs):
                self.fixed.update(inner.outputs)
        self.gpu, self.widest = GPUS[target], ROWS
        self.weights: dict[str, int] = {}  # right factors of products, and their bytes
        self.products = [n.output for n in parts.body.nodes if n.op.kind == "contract"]
        sizes = [v.shape[0] for v in self.products[:1]] or [v.type.size for v in (*self.carried, *parts.slices)]
        self.rows = max(sizes, default=1)
        self.R = ROWS if self.products else min(BLOCK, power_of_two(self.rows))
        # As in a product, a dimension of one has a tile's width of places, all but the first masked.
        self.row, self.t = Var("r", max(self.rows, 2)), Var("t", self.node.attrs["length"])
        self.columns: dict[str, str] = {}  # columns, and places along k, and what defines them
        self.masks: dict[str, str] = {"r": "rows"} if self.rows % self.R else {}
        self.top, self.depends["t"] = Scope(), frozenset()
        self.lines = self._write(starts)

    def task(self, node: Node) -> Task:
        """The launch that computes ``node``."""
        ops = [op for op in self.ops if op != "cast"]
        summary = f"{self.t.size} iterations on {self.rows} rows: {', '.join(ops) or 'copy'}."
        grid = (ceil_div(self.rows, self.R), 1, 1)
        warps = warps_for(self.R, len(node.inputs) + len(node.outputs))
        if self.products:  # a warp has eight columns, or sixteen where it has 64 threads
            warps = max(4, min(16, self.widest * 4 // self.gpu.lanes))
        return task_of(node, self, kernel_name("loop", ops), summary, self.lines, grid, warps, stages=1)

    # Writing

    def _write(self, starts: Sequence[Value]) -> list[str]:
        parts, loop, after = self.parts, Scope(), Scope()
        carries = {inner: f"carry{i}" for i, inner in enumerate(self.carried)}
        for inner, name in carries.items():
            place = self._place(inner)
            loop.known[inner, place] = after.known[inner, place] = name
            self.depends[name] = names_in(place)
        for name, value in zip(carries.values(), starts, strict=True):
            self.top(f"{name} = {self._block(value, self.top)}")
        following = [
            f"{self._block(v, loop)}{'' if v.dtype.kind == 'float' else f'.to({COMPUTE[v.dtype]})'}" for v in parts.next
        ]
        for i, value in enumerate(parts.slices, len(carries)):
            whole = Index.of(self.t) * value.type.size + Index.of(self.row) * self._width(value)
            for part, first in self._pieces(value):
                self.store(loop, f"o{i}", part, self._place(part), (whole + self._column(part)).shifted(first))
        if carries:
            loop(f"{', '.join(carries.values())} = {', '.join(following)}")
        for i, inner in enumerate(carries):
            self.store(after, f"o{i}", inner, self._place(inner))
        steps = f"{self.t.size - 1}, -1, -1" if self.node.attrs["reverse"] else f"{self.t.size}"
        self.top.block(f"for t in range({steps}):", loop.lines)
        start = f"tl.program_id(0) * {self.R} + " if self.rows > self.R else ""
        head = [f"r = {start}tl.arange(0, {self.R}){'[:, None]' if self.products else ''}"]
        head += [f"rows = r < {self.rows}"] * ("r" in self.masks)
        for name, text in self.columns.items():
            head += [f"{name} = {text}", *[f"in_{name} = {name} < {name[1:]}"] * (name in self.masks)]
        return [*head, *self.top.lines, *after.lines]

    def _pieces(self, value: Value) -> list[tuple[Value, int]]:
        """The values that ``value`` has side by side, each with its first column."""
        joined = value.producer
        if joined is None or joined.op.reads != "parts" or not self.products or joined.attrs["axis"] != 1:
            return [(value, 0)]
        return list(zip(joined.inputs, concat_starts(joined), strict=True))

    # Blocks

    def _variable(self, letter: str, width: int) -> Index:
        """The columns of so many (``c``), or as many places along k down the rows of a factor (``k``)."""
        name, size = f"{letter}{width}", self._size(width)
        if name not in self.columns:
            if not 1 < width <= WIDEST:
                raise Unfit(f"a program does not hold rows of {width} elements")
            self.widest = max(self.widest, size)
            self.columns[name] = f"tl.arange(0, {size})[{'None, :' if letter == 'c' else ':, None'}]"
            self.depends[name] = frozenset({name})
            self.masks = self.masks | ({name: f"in_{name}"} if size > width else {})
        return Index.of(Var(name, width))

    @staticmethod
    def _size(width: int) -> int:
        """The places of a block of so many."""
        return max(ROWS, power_of_two(width))

    def _width(self, value: Value) -> int:
        """The elements of a row of ``value``, 0 where it has one element for all."""
        if value.type.size == 1:
            return 0
        width, rest = divmod(value.type.size, self.rows)
        if rest or (width > 1 and (not self.products or value.shape[0] != self.rows)):
            raise Unfit(f"{value.type} does not have {self.rows} rows")
        return width

    def _column(self, value: Value) -> Index:
        """The running element of a row of ``value``."""
        width = self._width(value)
        return self._variable("c", width) if width > 1 else Index()

    def _place(self, value: Value) -> Index:
        """The running element of ``value``."""
        return Index.of(self.row) * self._width(value) + self._column(value)

    def _block(self, value: Value, scope: body.Scope) -> str:
        """The name of all elements of ``value`` that a program holds."""
        assert isinstance(scope, Scope)
        width, place = self._width(value), self._place(value)
        columns = [self._size(width) if width > 1 else 1] * bool(self.products)
        return self.block(value, place, scope, names_in(place), (self.R, *columns) if width else ())

    # The walk

    def value(self, value: Value, linear: Index, scope: body.Scope, guard: str = "") -> str:
        value = self.invariants.get(value, value)
        if value in self.carried:
            if scope.find((value, linear)) is None:
                raise Unfit(f"an element of a carry {value.type} needs another one of the iteration before")
            guard = ""
        elif value in self.stacks:
            value, linear = self.stacks[value], Index.of(self.t) * value.type.size + linear
        elif value in self.fixed and not guard and names_in(linear) <= self.columns.keys():
            scope = self.top
        return super().value(value, linear, scope, guard)

    def exact(self, node: Node, linear: Index, scope: body.Scope, guard: str = "") -> str:
        if node.op.kind != "contract":
            return super().exact(node, linear, scope, guard)
        lhs, rhs = node.inputs
        row, column = split(linear, node.output.shape)[-2:]
        if not lhs.dtype.is_half:
            raise Unfit(f"a product in {lhs.dtype.short}, which tensor cores do not have")
        plain = lhs.type.rank == 2 and column.affine and len(column.terms) == 1
        if not plain or row != Index.of(self.row) or rhs not in self.fixed:
            raise Unfit(f"the product {lhs.type} @ {rhs.type} is not one of rows with weights")
        name, total = self.fresh("dot"), ""
        for part, first in self._pieces(lhs):
            x, k = self._block(part, scope), part.shape[1]
            place = self._variable("k", k).shifted(first) * rhs.shape[1] + column
            shape = (self._size(k), self._size(column.terms[0][0].size))
            weight = self.block(rhs, place, self.top, names_in(place), shape)
            self.weights[weight] = shape[0] * shape[1] * rhs.dtype.itemsize
            x, y = self._factor(x, f"c{k}", scope, lhs.dtype), self._factor(weight, f"k{k}", self.top, lhs.dtype)
            scope(f"{name} = tl.dot({x}, {y}{total})")
            total = f", {name}"
        if sum(self.weights.values()) > self.gpu.shared * KEPT[0] // KEPT[1]:
            raise Unfit(
                f"its weights take more than {KEPT[0]}/{KEPT[1]} of the {self.gpu.shared} bytes of shared memory"
            )
        self.depends[name] = names_in(column) | {"r"}
        self.defined.add(name)
        return name

    def _factor(self, name: str, along: str, scope: body.Scope, dtype: DType) -> str:
        """A block as the factor of a product: with zeros beyond the end of k."""
        key = (name, "factor")
        if key not in scope.known:
            inside = f"tl.where({self.masks[along]}, {name}, 0.0)" if along in self.masks else name
            scope.known[key] = self.assign(scope, "factor", f"{inside}.to({TYPES[dtype]})")
        return scope.known[key]
