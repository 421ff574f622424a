"""Scatters without atomics: every place of the result looks for what goes to it, in the order of the index."""

from __future__ import annotations

from math import prod

from compiler.codegen.kernel import only_op
from compiler.codegen.sizes import ceil_div, power_of_two
from compiler.codegen.triton.body import Body, Scope
from compiler.codegen.triton.reduction import start
from compiler.codegen.triton.spelling import COMPUTE, TYPES, index_text, spell, variable, widened
from compiler.codegen.triton.task import Argument, Task, task_of, warps_for
from compiler.index import join, split
from compiler.ir.graph import Node, Value
from compiler.ir.types import TensorType
from compiler.sparse import NOWHERE, is_sparse

GLANCE = 1024  # indices that a program looks at together
PICK = 16  # rows that it adds together where one of them is its own
COLUMNS = 256  # columns of such a row
BLOCK = 1024  # elements of a program of a scatter along an axis


def scatter_tasks(node: Node) -> list[Task]:
    """The launches of a ``scatter_rows``, or of a scatter along an axis."""
    scatter = only_op(node)
    kernel = _Scatter(node, scatter)
    sparse, compact = is_sparse(scatter), len(node.outputs) == 2
    if len(scatter.inputs) == 3:
        kernel.along()
    elif sparse:
        kernel.first_rows(compact)
    else:
        kernel.rows()
    part = TensorType(scatter.output.dtype, scatter.inputs[1].shape) if sparse else None
    outputs = [Argument(f"o{i}", v, part=part if i == 0 else None) for i, v in enumerate(node.outputs)]
    name, lines = scatter.op.name, kernel.top.lines
    task = task_of(node, kernel.body, name, kernel.summary, lines, kernel.grid, kernel.warps, (), outputs)
    if compact:
        return [_filled(node, node.outputs[1], NOWHERE), task]
    return [_filled(node, node.outputs[0], 0), task] if sparse else [task]


def _filled(node: Node, result: Value, number: int) -> Task:
    """The launch that fills a result of ``node`` with a number."""
    size, place = result.type.size, Argument("o0", result)
    block = min(BLOCK, power_of_two(size))
    masked = size % block != 0
    lines = [
        f"i = tl.program_id(0){widened(size)} * {block} + tl.arange(0, {block})",
        f"tl.store(o0 + i, tl.full(({block},), {number}, {TYPES[result.dtype]}){f', mask=i < {size}' * masked})",
    ]
    grid = ceil_div(size, block), 1, 1
    return Task("fill", f"{size} times {number}.", lines, [place], grid, warps_for(block), [node], [], [result])


class _Scatter:
    def __init__(self, node: Node, scatter: Node) -> None:
        self.graph, self.scatter = node.inner, scatter
        self.body = Body(self.graph, {})
        self.top = Scope()
        self.grid = (1, 1, 1)
        self.warps = self.pick = self.glance = 1
        self.summary = ""

    def rows(self) -> None:
        """A program adds up the rows that go to one row of the result.

        It glances at many indices at a time and reads source rows only where one of them is its own.
        """
        rows = self.scatter.attrs["rows"]
        self._start(rows, f"into {rows}; each row of the result is a program's own.")
        self.top(f"row = tl.program_id(0){widened(self.scatter.output.type.size)}")
        self._add_up("0", self.top, "row")

    def first_rows(self, compact: bool) -> None:
        """A program for each source row: the first of those that go to one row of the result adds them all up.

        If the result has more rows than the source, few of them are looked for; the others are zero already. A
        ``compact`` result has a row for each source row, and the number of the one that each row of the table is in.
        """
        index, count = self.scatter.inputs[0], self.scatter.inputs[0].type.size
        self._start(count, f"into some of {self.scatter.attrs['rows']} rows of zeros, by the program of the first.")
        self.top("t = tl.program_id(0)")
        row = self.body.value(index, variable("t", count), self.top)
        self.top(f"row = {row}{widened(self.scatter.output.type.size)}")
        self.top("before = tl.zeros((), tl.int32)")
        look = Scope(frozenset({"m"}), self.top)
        look(f"m = start + tl.arange(0, {self.glance})", *[f"far = m < {count}"] * ("m" in self.body.masks))
        seen = self.body.value(index, variable("m", count), look)
        look(f"before += tl.sum(((m < t) & ({seen} == row)).to(tl.int32), 0)")
        self.top.block(f"for start in range(0, t, {self.glance}):", look.lines)
        first = Scope(frozenset(), self.top)
        self._add_up(
            f"t // {self.glance} * {self.glance}",
            first,
            f"t{widened(self.scatter.inputs[1].type.size)}" if compact else "row",
        )
        first(*["tl.store(o1 + row, t)"] * compact)
        self.top.block("if before == 0:", first.lines)

    def _start(self, programs: int, into: str) -> None:
        """The sizes of blocks, and the columns of a program."""
        index, source = self.scatter.inputs
        count, width = index.type.size, prod(source.shape[index.type.rank :])
        columns = min(COLUMNS, power_of_two(width))
        self.pick = min(PICK, power_of_two(count))
        self.glance = max(min(GLANCE, power_of_two(count)), self.pick)
        ragged = {"c": ("cols", width % columns), "m": ("far", count % self.glance), "n": ("near", count % self.pick)}
        self.body.masks = {v: mask for v, (mask, rest) in ragged.items() if rest}
        self.grid, self.warps = (programs, ceil_div(width, columns), 1), warps_for(self.pick * columns)
        self.summary = f"Adds {count} rows of {width} {into}"
        first = f"tl.program_id(1) * {columns} + " if width > columns else ""
        self.top(f"c = {first}tl.arange(0, {columns})[None, :]", *[f"cols = c < {width}"] * ("c" in self.body.masks))
        self.top(f"total = tl.zeros((1, {columns}), {COMPUTE[source.dtype]})")

    def _add_up(self, begin: str, top: Scope, target: str) -> None:
        """Add up the source rows that go to ``row``, from the one at ``begin`` on, and store them in row ``target``."""
        (index, source), body = self.scatter.inputs, self.body
        count, width = index.type.size, prod(source.shape[index.type.rank :])
        c, m, n = variable("c", width), variable("m", count), variable("n", count)

        far = Scope(frozenset({"m"}), top)
        far(f"m = start + tl.arange(0, {self.glance})", *[f"far = m < {count}"] * ("m" in body.masks))
        seen = body.value(index, m, far)
        here = body.assign(far, "here", f"{'far & ' * ('m' in body.masks)}({seen} == row)")

        near = Scope(frozenset({"n"}), top)
        near(f"n = begin + tl.arange(0, {self.pick})[:, None]", *[f"near = n < {count}"] * ("n" in body.masks))
        mine = body.value(index, n, near)
        hit = body.assign(near, "hit", f"{'near & ' * ('n' in body.masks)}({mine} == row)")
        value = body.value(source, n * width + c, near, hit)
        chosen = f"tl.where({hit}, {value}, {start('sum', source.dtype)})"
        near(f"total += tl.sum({chosen}, 0, keep_dims=True).to(total.dtype)")

        look = Scope()
        look.block(f"for begin in range(start, start + {self.glance}, {self.pick}):", near.lines)
        far.block(f"if tl.max({here}.to(tl.int32), 0) > 0:", look.lines)
        top.block(f"for start in range({begin}, {count}, {self.glance}):", far.lines)
        top(f"tl.store(o0 + {target} * {width} + c, total{body.mask(['c'])})")

    def along(self) -> None:
        """A program goes through all indices along the axis for each place of its block."""
        base, index, source = self.scatter.inputs
        axis, size = self.scatter.attrs["axis"], base.type.size
        block = min(BLOCK, power_of_two(size))
        body = self.body
        body.masks = {"i": "mask"} if size % block else {}
        self.grid, self.warps = (ceil_div(size, block), 1, 1), warps_for(block)
        self.summary = f"{self.scatter.op.name} along axis {axis} of {base.type}."
        i, n = variable("i", size), variable("n", index.shape[axis])

        here = Scope(frozenset({"i"}))
        first = f"tl.program_id(0){widened(size)} * {block} + " if size > block else ""
        here(f"i = {first}tl.arange(0, {block})", *[f"mask = i < {size}"] * bool(body.masks))
        here(f"total = tl.zeros(({block},), {COMPUTE[base.dtype]}) + {body.value(base, i, here)}")
        coordinates = split(i, base.shape)
        shapes = enumerate(zip(index.shape, base.shape, strict=True))
        narrow = [f"({index_text(coordinates[a])} < {k})" for a, (k, whole) in shapes if a != axis and k < whole]
        guard = body.assign(here, "inside", " & ".join(narrow)) if narrow else ""

        along = Scope(frozenset({"n"}), here)
        along("n = tl.zeros((), tl.int32) + step")
        place = join([n if a == axis else c for a, c in enumerate(coordinates)], index.shape)
        mine = body.value(index, place, along, guard)
        match = f"({mine} == {index_text(coordinates[axis])})"
        hit = body.assign(along, "hit", f"{guard} & {match}" if guard else match)
        value = body.value(source, place, along, hit if "i" in body.variables(place) else "")
        joined = spell(self.scatter.op.join, base.dtype, ["total", value]) if self.scatter.op.join else value
        along(f"total = tl.where({hit}, {joined}, total).to(total.dtype)")
        here.block(f"for step in range(0, {index.shape[axis]}):", along.lines)
        here(f"tl.store(o0 + i, total{body.mask(['i'])})")
        self.top = here
