"""Loop kernels over rows and columns: fused nodes of kind pointwise, row, column, full and concat.

A program holds a tile of ``R`` rows by ``C`` columns; reductions along a row need the row whole, so there ``C`` covers
it, up to a length from which programs walk along their row instead. Reductions over the rows leave one partial result
per chunk of rows. Chunks depend on shapes only, and partial results are joined in their order: results never vary.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from compiler.codegen import body
from compiler.codegen.kernel import Kernel, Sink
from compiler.codegen.sizes import ceil_div, power_of_two
from compiler.codegen.triton import reduction
from compiler.codegen.triton.body import Body, Scope
from compiler.codegen.triton.combine import Combine
from compiler.codegen.triton.spelling import COMPUTE, widened
from compiler.codegen.triton.task import Argument, Task, kernel_name, task_of, warps_for
from compiler.domain import evaluated
from compiler.ir.graph import Node, Value
from compiler.ir.types import DType, TensorType, f32
from compiler.placement import Scratch
from compiler.sharing import Shareable

TILE = 1024  # elements that a program holds at a time
SUM_TILE = 2048  # the same where it adds up many tiles
WIDEST = 16384  # columns up to which a row is held whole
STEP = 4096  # columns of a longer row that are held at a time
MAX_BLOCKS = 65535  # programs along the second axis of a launch
PROGRAMS = 256  # programs of a launch that leaves partial results, at least where there is that much work
ROW_PROGRAMS = 128  # the same where they hold whole rows, and leave partial results of all columns
AHEAD = 48 * 1024  # bytes of shared memory for the next tile of such a program, which is on its way meanwhile


def tile_tasks(node: Node) -> list[Task | Shareable]:
    """The launches of a loop kernel: the kernel, and one more for each reduction that left partial results."""
    tiles = Tiles(node)
    task = tiles.task()
    return [task, *tiles.combines]


class Tiles:
    """A kernel over ``rows`` x ``columns``: ``r`` and ``c`` are the rows and columns of a tile."""

    def __init__(self, node: Node) -> None:
        self.node, self.kernel = node, Kernel(node)
        kernel = self.kernel
        self.graph, self.outputs = kernel.body, kernel.outputs
        self.rows, self.columns = kernel.rows, kernel.columns
        self.sinks = {sink: value.producer for value, sink in kernel.sinks.items() if value.producer is not None}
        self.combines: list[Task | Shareable] = []
        self._choose_tile()

    # Choosing a tile

    def _choose_tile(self) -> None:
        kernel, width, height = self.kernel, power_of_two(self.columns), power_of_two(self.rows)
        self.long = bool(kernel.along) and width > WIDEST and not any(map(kernel.per_element, self.sinks.values()))
        tile = TILE
        if self.long:
            self.C, self.R = STEP, 1
        elif kernel.along:
            least = max(1, min(TILE // width, height))
            most = min(SUM_TILE // width, self.rows // ROW_PROGRAMS) if self.sinks else 1
            self.C, self.R = width, max(least, power_of_two(most + 1) // 2)
        else:
            if self.sinks:
                tile, widest = SUM_TILE, 128
            else:
                widest = 32 if self._strided() else TILE
            self.C = min(width, max(widest, power_of_two(ceil_div(self.columns, MAX_BLOCKS))))
            self.R = max(1, min(tile // self.C, height))
        self.blocks = 1 if kernel.along else ceil_div(self.columns, self.C)
        tiles = ceil_div(self.rows, self.R)
        programs = ROW_PROGRAMS if kernel.along else max(1, PROGRAMS // self.blocks)
        self.steps = ceil_div(tiles, programs) if self.sinks and not self.long else 1
        self.chunks = ceil_div(tiles, self.steps)
        self.flat = self.R == 1 or self.columns == 1
        values = [*kernel.inputs, *self.outputs]
        self.warps = warps_for(self.R * self.C, sum(v.type.size == kernel.size for v in values))
        self.masks = {}
        if self.rows % (self.R * self.steps):
            self.masks["r"] = "rows"
        if self.columns % self.C and self.columns > 1:
            self.masks["c"] = "cols"

    def _strided(self) -> bool:
        """Whether some input is not read along the columns, so that wide tiles would waste what memory delivers."""
        kernel = self.kernel
        reads = evaluated(((v, kernel.place(v)) for v in self.outputs), kernel.operand_place)
        return any(abs(index.coefficient(kernel.column)) > 1 for v, index in reads if v.producer is None)

    # Writing

    def task(self) -> Task:
        self.body = Body(self.graph, self.masks)
        self.body.reduced = self._reduce
        self.partials: dict[int, Scratch] = {}
        text = self._write()
        outputs = [
            Argument(f"p{i}", self.partials[i]) if i in self.partials else Argument(f"o{i}", v)
            for i, v in enumerate(self.node.outputs)
        ]
        ops = [n.op.name for n in self.graph.nodes if n.op.name in self.body.ops or n.op.kind == "reduce"]
        summary = f"{self.rows} x {self.columns}: {', '.join(dict.fromkeys(ops)) or 'copy'}."
        name, grid = kernel_name(self.kernel.kind, ops), (self.chunks, self.blocks, 1)
        return task_of(
            self.node, self.body, name, summary, text, grid, self.warps, (), outputs, streamed=self._streamed()
        )

    def _streamed(self) -> frozenset[Value]:
        """Inputs that are read only where the results are written, before they are."""
        if self.kernel.kind != "pointwise":
            return frozenset()
        element, elsewhere = self.kernel.element(), {v for v in self.graph.inputs() if self._table(v)}
        elsewhere |= {value for value, index in self.body.loaded if index != element}
        pairs = zip(self.graph.inputs(), self.node.inputs, strict=True)
        return frozenset(value for param, value in pairs if param not in elsewhere)

    def _table(self, value: Value) -> bool:
        """Whether an input is read at computed places only."""
        return any(n.op.is_lookup and n.inputs[0] is value for n in self.graph.nodes)

    def _write(self) -> list[str]:
        """A program walks down its chunk of rows, tile by tile."""
        top = columns = rows = Scope(frozenset({"c"}) if not self.long else frozenset())
        if self.rows > 1:
            top = Scope()
            columns = Scope(frozenset({"c"}), top)
            rows = Scope(frozenset({"r"}), columns)
        if self.columns > 1 and not self.long:
            columns(*self._range("c", self._program(1), self.blocks, self.C, self.columns, "cols", "[None, :]"))
        if self.steps > 1:
            top(f"first = {self._program(0)} * {self.steps * self.R}")
            rows(
                f"r = first + start{self._arange(self.R, '[:, None]')}",
                *[f"rows = r < {self.rows}"] * ("r" in self.masks),
            )
        elif self.rows > 1:
            rows(*self._range("r", self._program(0), self.chunks, self.R, self.rows, "rows", "[:, None]"))
        if self.long:  # a program walks along its row once per level of reductions that build on each other
            for each in self.kernel.passes():
                self._walk(rows, each.reductions, each.stored)
        after = Scope(frozenset(), columns)
        for sink, node in self.sinks.items():
            self._accumulate(sink, node, rows, columns, after)
        done = {s.output for s in self.sinks}
        if self.kernel.kind == "pointwise":  # every load stands before the first store, which may overwrite it
            for value in self.outputs:
                self.body.value(value, self.kernel.place(value), rows)
        for i, value in enumerate(self.outputs):
            if i not in done and not (self.long and value.type.size == self.kernel.size):
                self.body.store(rows, f"o{i}", value, self.kernel.place(value))
        if self.rows == 1:
            return [*rows.lines, *after.lines]
        if self.steps > 1:
            columns.block(f"for start in {self._steps()}:", rows.lines)
        else:
            columns(*rows.lines)
        return [*top.lines, *columns.lines, *after.lines]

    def _steps(self) -> str:
        """The tiles of a chunk. While one tile of whole rows is worked on, the next is loaded."""
        steps = f"0, {self.steps * self.R}, {self.R}"
        operands = [v.dtype.itemsize for v in self.kernel.inputs if v.type.size == self.kernel.size]
        ahead = self.kernel.along and self.R * self.C * sum(operands) <= AHEAD
        return f"tl.range({steps}, num_stages=2)" if ahead else f"range({steps})"

    def _program(self, axis: int) -> str:
        return f"tl.program_id({axis}){widened(max(v.type.size for v in (*self.node.inputs, *self.node.outputs)))}"

    def _arange(self, size: int, axis: str) -> str:
        if size == 1:
            return ""
        return f" + tl.arange(0, {size}){'' if self.flat else axis}"

    def _range(self, name: str, program: str, count: int, block: int, size: int, mask: str, axis: str) -> list[str]:
        """The statements that say which rows or columns a program holds."""
        start = f"{program} * {block}" if block > 1 else program
        text = f"{start}{self._arange(block, axis)}" if count > 1 else self._arange(block, axis)[3:] or "0"
        return [f"{name} = {text}", *[f"{mask} = {name} < {size}"] * (name in self.masks)]

    def _shape(self, per_element: bool) -> tuple[tuple[int, ...], list[str]]:
        """The shape of a block of values, and the masks that apply to it."""
        masks = [self.masks[v] for v in ("r", "c") if v in self.masks and (v == "r" or per_element)]
        if self.flat:
            return (self.C if self.R == 1 and per_element else self.R,), masks
        return (self.R, self.C if per_element else 1), masks

    def _whole_block(self, node: Node, scope: body.Scope, op: str = "", by_column: bool = False) -> str:
        """The operand of a reduction as a whole block, with the neutral element beyond the edges."""
        operand = node.inputs[0]
        per_element = self.kernel.per_element(node)
        name = self.body.value(operand, self.kernel.operand_place(node), scope)
        shape, masks = self._shape(per_element)
        if by_column:  # columns beyond the edge are not stored
            masks = [mask for mask in masks if mask != "cols"]
        wanted = {v for v, n in (("r", self.rows), ("c", self.columns)) if n > 1 and (v == "r" or per_element)}
        if masks:
            neutral = reduction.start(op or node.op.name, operand.dtype)
            name = self.body.assign(scope, "valid", f"tl.where({' & '.join(masks)}, {name}, {neutral})")
        if not wanted <= self.body.roots([name]) and prod(shape) > 1:
            name = self.body.assign(scope, "block", f"tl.zeros({shape}, {COMPUTE[operand.dtype]}) + {name}")
        return name

    def _reduce(self, node: Node, scope: body.Scope) -> str:
        """A reduction along the row."""
        operand, op = node.inputs[0], node.op.name
        if operand.type.size == node.output.type.size:
            if node.op.finds:
                return "tl.full((), 0, tl.int64)"
            return self.body.value(operand, self.kernel.operand_place(node), scope)
        axis = "0" if self.flat else "1, keep_dims=True"
        if node.op.finds:
            return self._argument(node, axis, scope)
        block = self._whole_block(node, scope)
        text = reduction.collapse(op, operand.dtype, block, axis)
        name = self.body.fresh(op)
        scope(f"{name} = {self.body.narrowed(text, node.output.dtype)}")
        self.body.depends[name] = self.body.depends[block] - {"c"}
        return name

    def _argument(self, node: Node, axis: str, scope: body.Scope) -> str:
        """The first place of the extremum; a NaN is one."""
        extremum = node.op.finds
        block = self._whole_block(node, scope, extremum)
        text = reduction.collapse(extremum, node.inputs[0].dtype, block, axis)
        best = self.body.assign(scope, "best", text)
        hit = self.body.assign(scope, "hit", f"({block} == {best}) | ({block} != {block})")
        name = self.body.fresh(node.op.name)
        scope(f"{name} = tl.min(tl.where({hit}, c, {self.columns}), {axis}).to(tl.int64)")
        self.body.depends[name] = self.body.depends[block] - {"c"}
        return name

    # Reductions over the rows

    def _accumulate(self, sink: Sink, node: Node, rows: Scope, before: Scope, after: Scope) -> None:
        """Join a tile's values to those before; at the end store what the chunk came to."""
        op, dtype, by_column = sink.op, node.inputs[0].dtype, sink.width > 1
        block = self._whole_block(node, rows, by_column=by_column)
        shape, _ = self._shape(self.kernel.per_element(node))
        if self.steps > 1:
            total, first = f"total{sink.output}", reduction.start(op, dtype)
            before(f"{total} = tl.full({shape}, {first}, {COMPUTE[dtype]})")
            rows(f"{total} = {reduction.join(op, dtype, total, block)}")
            block = total
        if by_column:
            text = block if self.flat else reduction.collapse(op, dtype, block, "0, keep_dims=True")
        elif prod(shape) > 1 or self.steps > 1:
            text = reduction.collapse(op, dtype, block, "0" if self.flat else "None")
        else:
            text = block
        after(f"tl.store({self._sink_place(sink, dtype)}, {text}{self.body.mask(['c']) if by_column else ''})")

    def _sink_place(self, sink: Sink, dtype: DType) -> str:
        """The memory for a chunk's result: the output if there is one chunk, else a place among the partial results."""
        by_column = sink.width > 1
        column = ["c"] * by_column
        width = sink.width if by_column else self.blocks
        if self.chunks == 1 and (by_column or self.blocks == 1):
            return " + ".join([f"o{sink.output}", *column])
        partial = Scratch(TensorType(f32 if dtype.is_half else dtype, (self.chunks, width)))
        self.partials[sink.output] = partial
        target = self.node.outputs[sink.output]
        self.combines.append(Combine(sink.op, partial, target, by_column, self.node))
        chunk = [f"tl.program_id(0) * {width}" if width > 1 else "tl.program_id(0)"] * (self.chunks > 1)
        block = ["tl.program_id(1)"] * (not by_column and self.blocks > 1)
        return " + ".join([f"p{sink.output}", *chunk, *column, *block])

    # Rows too long to be held

    def _walk(self, rows: Scope, reductions: Iterable[Node], stores: Iterable[int]) -> None:
        columns = Scope(frozenset({"c"}), rows)
        columns(f"c = start + tl.arange(0, {self.C})", *[f"cols = c < {self.columns}"] * ("c" in self.masks))
        after = Scope(frozenset(), rows)
        for node in reductions:
            name = self._walked(node, rows, columns, after)
            rows.known[node.output, self.kernel.row_place(node.output)] = name
        for i in stores:
            self.body.store(columns, f"o{i}", self.outputs[i], self.kernel.element())
        rows.block(f"for start in range(0, {self.columns}, {self.C}):", columns.lines)
        rows(*after.lines)

    def _walked(self, node: Node, rows: Scope, columns: Scope, after: Scope) -> str:
        """A reduction along a row in steps: its name after the walk."""
        op, dtype = node.op.name, node.inputs[0].dtype
        extremum = node.op.finds or op
        name, first = self.body.fresh(op), reduction.start(extremum, dtype)
        block = self._whole_block(node, columns, extremum)
        total = f"{name}_block"
        rows(f"{total} = tl.full(({self.C},), {first}, {COMPUTE[dtype]})")
        joined = reduction.join(extremum, dtype, total, block)
        if node.op.finds:
            rows(f"{name}_at = tl.arange(0, {self.C})")
            columns(f"{name}_at = tl.where(({joined} == {total}) | ({total} != {total}), {name}_at, c)")
        columns(f"{total} = {joined}")
        if node.op.finds:
            after(
                f"{name}_best = {reduction.collapse(extremum, dtype, total, '0')}",
                f"{name}_hit = ({total} == {name}_best) | ({total} != {total})",
                f"{name} = tl.min(tl.where({name}_hit, {name}_at, {self.columns}), 0).to(tl.int64)",
            )
        else:
            after(f"{name} = {self.body.narrowed(reduction.collapse(op, dtype, total, '0'), node.output.dtype)}")
        self.body.depends[name] = frozenset({"r"})
        return name
