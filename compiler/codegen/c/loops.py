"""Loop kernels: fused nodes of kind pointwise, row, column and full as C functions over a range of their domain.

Every function is ``void NAME(long begin, long end, ...)``. The caller cuts the domain: elements (``flat``), rows,
columns (in :mod:`column`), or, where there are sums over the rows, chunks of a grid that depends on shapes only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from compiler.codegen.c.body import Body, Run, Scope
from compiler.codegen.c.kernels import LoopKernel, parameters_of
from compiler.codegen.c.reduction import VectorLoop, join_text, start_text
from compiler.codegen.c.spelling import COMPUTE
from compiler.codegen.c.writer import Writer
from compiler.codegen.indices import index_text
from compiler.codegen.kernel import Kernel, Pass, Sink
from compiler.codegen.sizes import ceil_div
from compiler.domain import concat_of
from compiler.index import Index, Var, parts_in_concat, refined
from compiler.ir.graph import Node, Value
from compiler.ir.op import OPS

FLAT_CHUNK = 8192  # elements of a flat kernel that make one chunk of partial results
ROW_CHUNKS = 16  # partial results of sums over the rows, at most
UNROLLED = 4  # places of a row that are written out next to each other, at most, where that saves divisions
BUFFER_LIMIT = 16384  # columns up to which a row buffer stands on the stack
SHORT_VECTORS = "simdlen(8)"  # of 32 bytes: to write several arrays in 64 bytes each takes Zen 4 up to a third longer

Tiling = tuple[int, int, int]
"""Three sizes whose product is the columns: two nested loops, and statements for each of the third."""


def column_tiling(kernel: Kernel) -> Tiling | None:
    """How to walk along the columns without the divisions that find some place that is read; None: as they are."""
    divisors = set().union(*(index.divisors(kernel.column) for _, index in kernel.reads))
    arguments = any(bool(n.op.finds) for n in kernel.along)
    if not divisors or arguments or kernel.rows == 1:
        return None
    values = [v for n in kernel.body.nodes for v in (*n.inputs, *n.outputs)]
    common = refined(sorted({v.shape for v in values if v.type.size == kernel.size}))
    tail: list[int] = []
    for n in reversed(common or ()):
        if prod(tail) < kernel.columns:
            tail.insert(0, n)
    if prod(tail) != kernel.columns:
        return None
    last = tail[-1]
    if last <= UNROLLED:
        loop, unrolled = (tail[-2] if len(tail) > 1 else 1), last
    else:
        unrolled = min((d for d in divisors if d <= UNROLLED and last % d == 0), default=1)
        loop = last // unrolled
    outer = kernel.columns // (loop * unrolled)
    return None if loop == 1 or outer == unrolled == 1 else (outer, loop, unrolled)


@dataclass
class Kept:
    """Row buffers, by name: values that one pass over a row computes and later ones read again.

    ``filled`` are the values that are in their buffers already.
    """

    names: dict[Value, str]
    filled: set[Value] = field(default_factory=set)


class Loops:
    """Writes one kernel, row by row; with a tiling, ``at`` is the place that statements are being written for."""

    grain = 1  # rows that belong together

    def __init__(self, kernel: Kernel, aliases: dict[int, int], tiling: Tiling | None = None) -> None:
        self.kernel, self.body = kernel, Body(kernel.body, aliases)
        self.column, self.outer = kernel.column, Var("y", tiling[0] if tiling else 1)
        self.places = [Index.of(self.column)]
        if tiling:
            self.column = Var("c", tiling[1])
            start = Index.of(self.outer) * (tiling[1] * tiling[2]) + Index.of(self.column) * tiling[2]
            self.places = [start.shifted(u) for u in range(tiling[2])]
        self.at = self.places[0]

    @property
    def element(self) -> Index:
        """The running element."""
        return self.kernel.element(self.at)

    def write(self) -> LoopKernel:
        """Write the kernel."""
        kernel, top = self.kernel, Scope()
        rows = top if kernel.rows == 1 else Scope("r", top)
        self.row_work(rows)
        if rows is not top:
            top.nest("for (long r = begin; r < end; r++)", rows.lines)
        return self.finish(top)

    def row_work(self, rows: Scope) -> None:
        """Everything that is done for a row."""
        kernel, passes = self.kernel, self.kernel.passes()
        kept = Kept(self._row_buffers(passes))
        self.declare(kept, rows)
        for each in passes:
            self.columns_work(rows, each, kept)
        stores = []  # at the end: a result may overwrite an operand
        for i, value in enumerate(kernel.outputs):
            if i not in kernel.stored and not kernel.is_sink(value):
                linear = kernel.row_place(value)
                stores.append(
                    f"{self.body.target(i)}[{index_text(linear)}] = {self.body.to_store(value, linear, rows)};"
                )
        for value, sink in kernel.sinks.items():
            node = value.producer
            assert node is not None
            if not kernel.per_element(node):
                self.add_row(sink, self.body.value(node.inputs[0], kernel.operand_place(node), rows), rows)
        rows(*stores)

    def declare(self, kept: Kept, rows: Scope) -> None:
        """Declare the row buffers."""
        rows(*(f"{COMPUTE[value.dtype]} {buffer}[{self.kernel.columns}];" for value, buffer in kept.names.items()))

    def add_row(self, sink: Sink, term: str, rows: Scope) -> None:
        """Add what a row gives to a sum over the rows."""
        rows(join_text(sink.op, sink.dtype, f"s{sink.output}", term))

    def _row_buffers(self, passes: list[Pass]) -> dict[Value, str]:
        """Expensive values that more than one pass over the row needs.

        Others are read again from the first cache: to keep them made layer norms of 128 to 1024 columns up to 16 %
        slower, seldom faster (AMD EPYC, AVX2).
        """
        kernel = self.kernel
        if kernel.flat or kernel.columns > BUFFER_LIMIT:
            return {}
        needed: dict[Value, int] = {}
        for each in passes:
            for value in kernel.evaluated_in(each):
                needed[value] = needed.get(value, 0) + 1
        found: dict[Value, str] = {}
        for value in (*kernel.inputs, *(n.outputs[0] for n in kernel.body.nodes)):
            if self.is_expensive(value) and needed.get(value, 0) > 1 and value.type.size == kernel.size:
                found[value] = f"row{len(found)}"
        return found

    def is_expensive(self, value: Value) -> bool:
        """Whether a value is worth a row buffer."""
        return value.producer is not None and value.producer.op.is_costly

    def columns_work(self, rows: Scope, each: Pass, kept: Kept) -> None:
        """One pass over the columns."""
        kernel = self.kernel
        nested = self.outer.size > 1
        outer = Scope(self.outer.name, rows) if nested else rows
        inner = Scope(self.column.name, outer)
        loop = VectorLoop(rows)
        results: dict[Node, str] = {}
        known = set(kept.filled)
        for at in self.places:
            self.at = at
            if kernel.columns <= BUFFER_LIMIT:
                row = Index.of(kernel.row) * kernel.columns
                self.body.run = Run(self.element, row, index_text(self.at), str(kernel.columns), rows)
            for value in known:
                inner.known[value, self.element] = self.kept_place(kept.names[value])
            for node in each.reductions:
                results[node] = self._reduce(node, inner, rows, loop, results.get(node))
            for node in each.sums:
                self._add(kernel.sinks[node.output], self.body.value(node.inputs[0], self.element, inner), loop)
            loop.joins += self.stores(each.stored, inner)
            loop.joins += self.keep(kept, known, inner)
        if nested:
            y = self.outer.name
            rows.open(f"for (long {y} = 0; {y} < {self.outer.size}; {y}++)")
            rows(*outer.lines)
        if kernel.flat and len(each.stored) > 1 and not loop.clauses and self._four_bytes(each.stored):
            loop.clauses.append(SHORT_VECTORS)
        if kernel.columns > 1 and not any(n.op.finds for n in each.reductions):
            rows(loop.pragma)
        start, stop = ("begin", "end") if kernel.flat and not kernel.single else ("0", str(self.column.size))
        c = self.column.name
        rows.nest(f"for (long {c} = {start}; {c} < {stop}; {c}++)", [*inner.lines, *loop.joins])
        if nested:
            rows.close()
        rows(*loop.after)
        for node, name in results.items():
            rows.known[node.output, kernel.row_place(node.output)] = name

    def _four_bytes(self, stored: dict[int, Value]) -> bool:
        """Whether all elements have as many; beside narrow ones gcc makes vectors of 8 bytes of ``simdlen(8)``."""
        read = [v for v, _ in self.body.loaded if v.type.size > 1]
        return all(v.dtype.itemsize == 4 for v in (*read, *stored.values()))

    def kept_place(self, buffer: str) -> str:
        """The place of the running element in a row buffer."""
        return f"{buffer}[{index_text(self.at)}]"

    def keep(self, kept: Kept, known: set[Value], inner: Scope) -> list[str]:
        """Statements that keep the running element of values that were not ``known`` before the pass."""
        lines = []
        for value, buffer in kept.names.items():
            computed = inner.known.get((value, self.element))
            if computed is not None and value not in known:
                lines.append(f"{self.kept_place(buffer)} = {computed};")
                kept.filled.add(value)
        return lines

    def _add(self, sink: Sink, term: str, loop: VectorLoop) -> None:
        """Add an element to a sum over the rows."""
        total = f"s{sink.output}"
        if sink.width > 1:
            loop.joins.append(join_text(sink.op, sink.dtype, f"{total}[{index_text(self.at)}]", term))
            return
        loop.join(sink.op, sink.dtype, total, term)

    def _reduce(self, node: Node, inner: Scope, rows: Scope, loop: VectorLoop, started: str | None) -> str:
        """Start a reduction along the row before the loop, continue it inside; returns the name of its result."""
        term = self.body.value(node.inputs[0], self.kernel.operand_place(node, self.at), inner)
        op, dtype, result = node.op.name, node.inputs[0].dtype, node.output.dtype
        name = started or self.body.fresh(op)
        if node.op.finds and self.kernel.columns == 1:
            return rows.define("int64_t", self.body.fresh("t"), "0")
        if node.op.finds:
            best, c = f"best_{name}", self.column.name
            rows(f"int64_t {name} = 0;", f"{COMPUTE[dtype]} {best} = 0;")
            better = f"{term} {'>' if OPS[node.op.finds].join == 'maximum' else '<'} {best}"
            nan = f" || ({term} != {term} && {best} == {best})" if dtype.kind == "float" else ""
            loop.joins.append(f"if ({c} == 0 || {better}{nan}) {best} = {term}, {name} = {c};")
            return name
        if started is None:
            rows(f"{COMPUTE[result]} {name} = {start_text(op, result)};")
        loop.join(op, result, name, term)
        if started is None and result.is_half:
            loop.after.append(f"{name} = round_{result.short}({name});")
        return name

    def stores(self, stored: dict[int, Value], scope: Scope) -> list[str]:
        """Statements that write results, by number, for the running element: of a concatenation, one for each part."""
        lines = []
        for i, value in stored.items():
            concat, places = concat_of(value), [self.element]
            if concat is not None:
                parts = parts_in_concat(concat, self.element)
                places = [place for _, place in parts]
                for part, place in parts:
                    self.body.know(concat.output, place, self.body.value(part, self.element, scope), scope)
            texts = [(index_text(place), self.body.to_store(value, place, scope)) for place in places]
            lines += [f"{self.body.target(i)}[{place}] = {text};" for place, text in texts]
        return lines

    def finish(self, inside: Writer) -> LoopKernel:
        """The kernel whose statements are ``inside``, between the first and the last words on partial results."""
        kernel, sinks = self.kernel, {s.output: s for s in self.kernel.sinks.values()}
        parameters, operands = parameters_of(self.body, sinks, bool(sinks))
        out = Writer()
        domain = [] if kernel.single else ["long begin", "long end"]
        out.open(f"KERNEL void NAME({', '.join(domain + parameters)})")
        for i, sink in sinks.items():
            kind, start = COMPUTE[sink.dtype], start_text(sink.op, sink.dtype)
            if sink.width == 1:
                out(f"{kind} s{i} = {start};")
            else:
                out(f"{kind} *restrict const s{i} = part{i} + chunk * {sink.width};")
                out(f"for (long c = 0; c < {sink.width}; c++) s{i}[c] = {start};")
        out(*inside.lines)
        for i, sink in sinks.items():
            if sink.width == 1:
                out(f"part{i}[chunk] = s{i};")
        out.close()
        chunk = 0
        if sinks:
            grains = ceil_div(kernel.rows, ROW_CHUNKS * self.grain)
            chunk = FLAT_CHUNK if kernel.flat else max(grains, 1) * self.grain
        return LoopKernel(
            out.text(),
            operands,
            total=kernel.columns if kernel.flat else kernel.rows,
            grain=16 if kernel.flat else self.grain,
            chunk=chunk,
            sinks=list(sinks.values()),
            flat=kernel.flat,
            single=kernel.single,
            checks=self.body.checks,
            own_rows=kernel.own_rows(),
        )
