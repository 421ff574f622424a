"""Row kernels whose rows are shorter than two vectors: a block of rows at a time, each in a lane.

Softmax and cross-entropy over few classes. Along such a row much would be done outside vectors, and a sum of lanes, the
logarithm of one number and the like would be waited for once per row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from compiler.codegen.c.body import Scope
from compiler.codegen.c.kernels import LoopKernel
from compiler.codegen.c.loops import Kept, Loops
from compiler.codegen.c.reduction import VectorLoop, join_text, start_text
from compiler.codegen.c.spelling import COMPUTE
from compiler.codegen.c.writer import Writer
from compiler.codegen.kernel import Kernel, Pass, Sink
from compiler.ir.graph import Node, Value

LANES = 16  # rows of a block: as many floats as the widest vector has


def claims(kernel: Kernel) -> bool:
    """Whether a kernel has short rows, enough of them, and so much to compute that turning them pays off."""
    if kernel.kind != "row" or kernel.rows < LANES or not 1 < kernel.columns < 2 * LANES:
        return False
    nodes, sizes = kernel.body.nodes, {v.type.size for v in kernel.outputs}
    alike = all(n.op.kind != "random" and not n.op.is_lookup and not n.op.finds for n in nodes)
    expensive = any(n.op.is_costly and n.output.type.size == kernel.size for n in nodes)
    return alike and expensive and sizes <= {1, kernel.columns, kernel.rows, kernel.size}


class Lanes(Scope):
    """Statements for each row ``l`` of a block. A name becomes an array if later loops over the rows read it."""

    def __init__(self, block: Writer, around: Scope) -> None:
        super().__init__("r", around)
        self.out = block
        self.arrays: list[str] = []
        self.named: list[tuple[str, str, int]] = []  # type, name, number of the loop
        self.ends: list[int] = []
        self.loop = VectorLoop(block)

    def define(self, kind: str, name: str, text: str) -> str:
        self.named.append((kind, name, len(self.ends)))
        self(f"{name}[l] = {text};")
        return f"{name}[l]"

    def flush(self) -> None:
        """Write the loop over the rows that the statements so far make."""
        self(*self.loop.joins)
        if self.lines:
            write_loop(self.out, self.loop, self.lines)
        self.lines, self.loop = [], VectorLoop(self.out)
        self.ends.append(len(self.out.lines))

    def settle(self) -> None:
        """Declare the arrays; a name that only the loop reads that sets it becomes a variable there."""
        lines, starts = self.out.lines, [0, *self.ends]
        for kind, name, loop in self.named:
            element = f"{name}[l]"
            found = [i for i, line in enumerate(lines) if element in line]
            if not starts[loop] <= found[0] <= found[-1] < self.ends[loop]:
                self.arrays.append(f"{kind} {name}[{LANES}];")
                continue
            for i in found:
                lines[i] = lines[i].replace(f" {element} = ", f" const {kind} {name} = ")
                lines[i] = lines[i].replace(element, name)


def write_loop(out: Writer, loop: VectorLoop, lines: Sequence[str]) -> None:
    """A loop over the rows of a block, around ``lines``, and what follows it."""
    out(loop.pragma)
    row = ["const long r = from + l;"] * any(re.search(r"\br\b", line) for line in lines)
    out.nest("for (long l = 0; l < lanes; l++)", [*row, *lines])
    out(*loop.after)


class ShortRows(Loops):
    """The kernel of a node that :func:`claims` accepts."""

    grain = LANES
    lanes: Lanes

    def write(self) -> LoopKernel:
        function, block = Scope(), Writer()
        rows = self.lanes = Lanes(block, function)
        self.row_work(rows)
        rows.flush()
        rows.settle()
        whole = self.kernel.rows % LANES == 0
        with function.block(f"for (long from = begin; from < end; from += {LANES})"):
            function(f"const long lanes = {LANES if whole else f'end - from < {LANES} ? end - from : {LANES}'};")
            function(*rows.arrays, *block.lines)
        return self.finish(function)

    def declare(self, kept: Kept, rows: Scope) -> None:
        """Declare the row buffers, and fill the buffers of values in memory."""
        columns = self.kernel.columns
        self.lanes.arrays += [f"{COMPUTE[v.dtype]} {buffer}[{columns}][{LANES}];" for v, buffer in kept.names.items()]
        turned = [v for v in kept.names if v.producer is None]
        if turned:
            inner = Scope("c", rows)
            for v in turned:
                inner(f"{self.kept_place(kept.names[v])} = {self.body.value(v, self.element, inner)};")
            self._walk(inner, VectorLoop(self.lanes.out))
        kept.filled.update(turned)

    def kept_place(self, buffer: str) -> str:
        return f"{buffer}[c][l]"

    def is_expensive(self, value: Value) -> bool:
        """Also what lies in memory: the neighbours of a lane are a row away."""
        return value.producer is None or super().is_expensive(value)

    def add_row(self, sink: Sink, term: str, rows: Scope) -> None:
        self.lanes.loop.join(sink.op, sink.dtype, f"s{sink.output}", term)

    def columns_work(self, rows: Scope, each: Pass, kept: Kept) -> None:
        """One pass over the columns, for all rows of the block at each."""
        kernel, inner = self.kernel, Scope("c", rows)
        start = Writer()
        lanes, block = VectorLoop(start), VectorLoop(self.lanes.out)
        for value in kept.filled:
            inner.known[value, self.element] = self.kept_place(kept.names[value])
        totals: dict[Node, str] = {}
        for node in each.reductions:
            op, dtype = node.op.name, node.output.dtype
            term = self.body.value(node.inputs[0], kernel.operand_place(node), inner)
            totals[node] = rows.define(COMPUTE[dtype], self.body.fresh(op), start_text(op, dtype))
            lanes.joins.append(join_text(op, dtype, totals[node], term))
        for node in each.sums:
            sink = kernel.sinks[node.output]
            op, dtype, total = sink.op, sink.dtype, f"s{sink.output}"
            term = self.body.value(node.inputs[0], self.element, inner)
            if sink.width > 1:
                start(f"{COMPUTE[dtype]} lanes_{total} = {start_text(op, dtype)};")
                lanes.join(op, dtype, f"lanes_{total}", term)
                lanes.after.append(join_text(op, dtype, f"{total}[c]", f"lanes_{total}"))
                continue
            block.join(op, dtype, total, term)
        lanes.clauses += block.clauses
        lanes.joins += [*block.joins, *self.stores(each.stored, inner), *self.keep(kept, set(kept.filled), inner)]
        self._walk(inner, lanes, start)
        self.lanes.out(*block.after)
        for node, name in totals.items():
            if node.output.dtype.is_half:
                rows(f"{name} = round_{node.output.dtype.short}({name});")
            rows.known[node.output, kernel.row_place(node.output)] = name

    def _walk(self, inner: Scope, loop: VectorLoop, start: Writer | None = None) -> None:
        """A loop over the columns, and in it ``loop`` over the rows, behind the statements of ``start``."""
        block = self.lanes.out
        self.lanes.flush()
        block.open(f"for (long c = 0; c < {self.kernel.columns}; c++)")
        if start is not None:
            block(*start.lines)
        inner(*loop.joins)
        write_loop(block, loop, inner.lines)
        block.close()
