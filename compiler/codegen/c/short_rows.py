"""Row kernels whose rows are shorter than two vectors: a block of rows at a time, each in a lane.

Softmax and cross-entropy over few classes. Along such a row much would be done outside vectors, and a sum of lanes, the
logarithm of one number and the like would be waited for once per row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from compiler.codegen.c.body import Scope
from compiler.codegen.c.loops import LoopKernel, Loops, Sink, join_text, start_text
from compiler.codegen.c.spelling import COMPUTE
from compiler.codegen.c.writer import Writer
from compiler.ir.graph import Node, Value

LANES = 16  # rows of a block: as many floats as the widest vector has


def claims(node: Node) -> bool:
    """Whether a fused node has short rows, enough of them, and so much to compute that turning them pays off."""
    assert node.body is not None
    rows, columns = node.attrs["rows"], node.attrs["columns"]
    if node.attrs["kind"] != "row" or rows < LANES or not 1 < columns < 2 * LANES:
        return False
    nodes = node.body.nodes
    sizes = {v.type.size for v in node.body.outputs}
    alike = all(n.op.kind != "random" and not n.op.is_lookup and not n.op.finds for n in nodes)
    expensive = any(n.op.is_costly and n.output.type.size == rows * columns for n in nodes)
    return alike and expensive and sizes <= {1, columns, rows, rows * columns}


class Lanes(Scope):
    """Statements for each row ``l`` of a block. What they name is an array: later loops over the rows read it."""

    def __init__(self, block: Writer, around: Scope) -> None:
        super().__init__(Writer(block.depth + 1), frozenset({"r"}), around)
        self.block = block
        self.arrays: list[str] = []
        self.clauses: list[str] = []
        self.after: list[str] = []

    def define(self, kind: str, name: str, text: str) -> str:
        self.arrays.append(f"{kind} {name}[{LANES}];")
        self.out(f"{name}[l] = {text};")
        return f"{name}[l]"

    def flush(self) -> None:
        """Write the loop over the rows that the statements so far make."""
        if self.out.lines:
            loop(self.block, self.clauses, self.out.lines)
            for line in self.after:
                self.block(line)
        self.out, self.clauses, self.after = Writer(self.block.depth + 1), [], []


def loop(out: Writer, clauses: Sequence[str], lines: Sequence[str]) -> None:
    """A loop over the rows of a block, around indented lines."""
    out(f"#pragma omp simd{''.join(' ' + c for c in clauses)}")
    out.open("for (long l = 0; l < lanes; l++)")
    if any(re.search(r"\br\b", line) for line in lines):
        out("const long r = from + l;")
    out.lines += lines
    out.close()


class ShortRows(Loops):
    """The kernel of a node that :func:`claims` accepts."""

    grain = LANES

    def kernel(self) -> LoopKernel:
        function, block = Writer(1), Writer(2)
        rows = Lanes(block, Scope(function))
        self._row_work(rows)
        rows.flush()
        function.open(f"for (long from = begin; from < end; from += {LANES})")
        whole = self.rows % LANES == 0
        function(f"const long lanes = {LANES if whole else f'end - from < {LANES} ? end - from : {LANES}'};")
        for array in rows.arrays:
            function(array)
        function.extend(block)
        function.close()
        if self.chunked:
            self._store_partials(function)
        return self._finish(function)

    def _declare(self, buffers: dict[Value, str], rows: Scope) -> set[Value]:
        assert isinstance(rows, Lanes)
        rows.arrays += [f"{COMPUTE[v.dtype]} {buffer}[{self.columns}][{LANES}];" for v, buffer in buffers.items()]
        turned = [v for v in buffers if v.producer is None]
        if turned:
            inner = Scope(Writer(4), frozenset({"c"}), rows)
            lines = [f"{self._kept(buffers[v])} = {self.body.value(v, self._place(), inner)};" for v in turned]
            self._walk(rows, inner, lines)
        return set(turned)

    def _kept(self, buffer: str) -> str:
        return f"{buffer}[c][l]"

    def _is_expensive(self, value: Value) -> bool:
        """Also what lies in memory: the neighbours of a lane are a row away."""
        return value.producer is None or super()._is_expensive(value)

    def _add_row(self, sink: Sink, term: str, rows: Scope) -> None:
        assert isinstance(rows, Lanes)
        total = f"s{sink.output}"
        self._simd_start(sink.op, sink.dtype, total, rows.block, rows.clauses, rows.after)
        for line in self._simd_join(sink.op, sink.dtype, total, term):
            rows.out(line)

    def _stage(
        self,
        rows: Scope,
        reductions: list[Node],
        sums: list[Node],
        outs: dict[int, Value],
        buffers: dict[Value, str],
        filled: set[Value],
    ) -> None:
        """One pass over the columns, for all rows of the block at each."""
        assert isinstance(rows, Lanes)
        block, element = rows.block, self._place()
        before_lanes, inner = Writer(3), Scope(Writer(4), frozenset({"c"}), rows)
        clauses: list[str] = []
        joins: list[str] = []
        after_lanes: list[str] = []
        after: list[str] = []
        for value in filled:
            inner.known[value, element] = self._kept(buffers[value])
        totals: dict[Node, str] = {}
        for node in reductions:
            op, dtype = node.op.name, node.output.dtype
            term = self.body.value(node.inputs[0], self._operand_place(node), inner)
            totals[node] = rows.define(COMPUTE[dtype], self.body.fresh("m"), start_text(op, dtype))
            joins.append(join_text(op, dtype, totals[node], term))
        for node in sums:
            sink = self.sinks[node.output]
            op, dtype, total = sink.op, sink.dtype, f"s{sink.output}"
            term = self.body.value(node.inputs[0], element, inner)
            if sink.width == 1:
                self._simd_start(op, dtype, total, block, clauses, after)
                joins += self._simd_join(op, dtype, total, term)
                continue
            before_lanes(f"{COMPUTE[dtype]} lanes_{total} = {start_text(op, dtype)};")
            self._simd_start(op, dtype, f"lanes_{total}", before_lanes, clauses, after_lanes)
            joins += self._simd_join(op, dtype, f"lanes_{total}", term)
            after_lanes.append(join_text(op, dtype, f"{total}[c]", f"lanes_{total}"))
        joins += self._stores(outs, element, inner)
        for value, buffer in buffers.items():
            computed = inner.known.get((value, element))
            if computed is not None and value not in filled:
                joins.append(f"{self._kept(buffer)} = {computed};")
                filled.add(value)
        self._walk(rows, inner, joins, clauses, before_lanes, after_lanes)
        for line in after:
            block(line)
        for node, name in totals.items():
            if node.output.dtype.is_half:
                rows.out(f"{name} = round_{node.output.dtype.short}({name});")
            rows.known[node.output, self._row_place(node.output)] = name

    def _walk(
        self,
        rows: Lanes,
        inner: Scope,
        joins: list[str],
        clauses: Sequence[str] = (),
        before: Writer | None = None,
        after: Sequence[str] = (),
    ) -> None:
        """A loop over the columns, and in it one over the rows; ``before`` and ``after`` stand round the latter."""
        block = rows.block
        rows.flush()
        block.open(f"for (long c = 0; c < {self.columns}; c++)")
        if before is not None:
            block.extend(before)
        for line in joins:
            inner.out(line)
        loop(block, clauses, inner.out.lines)
        for line in after:
            block(line)
        block.close()
