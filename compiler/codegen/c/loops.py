"""Loop kernels: fused nodes of kind pointwise, row, column and full as C functions over a range of their domain.

Every function is ``void NAME(long begin, long end, ...)``. The caller cuts the domain: elements (``flat``), rows,
columns (``column``), or, where there are sums over the rows, chunks of a grid that depends on shapes only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from compiler.codegen.c import names
from compiler.codegen.c.body import Body, Run, Scope
from compiler.codegen.c.spelling import COMPUTE, JOINS, STORAGE, index_text, literal, spell
from compiler.codegen.c.writer import Writer
from compiler.domain import Read, concat_of, evaluated, reduction_class, reduction_of
from compiler.index import Index, Var, join, parts_in_concat, refined, split
from compiler.ir.graph import Node, Value
from compiler.ir.op import OPS
from compiler.ir.types import DType, f32, i32

FLAT_CHUNK = 8192  # elements of a flat kernel that make one chunk of partial results
ROW_CHUNKS = 16  # partial results of sums over the rows, at most
UNROLLED = 4  # places of a row that are written out next to each other, at most, where that saves divisions
BUFFER_LIMIT = 16384  # columns up to which a row buffer stands on the stack
SHORT_VECTORS = "simdlen(8)"  # of 32 bytes: to write several arrays in 64 bytes each takes Zen 4 up to a third longer

Pass = tuple[list[Node], list[Node], dict[int, Value]]
"""Reductions along the row, sums over the rows, and the values stored per element, by the number of the result."""


@dataclass
class Sink:
    """A reduction over rows: ``width`` partial results per chunk, then ``combine``.

    ``chunks``: how many these are; 0: as many as those of the kernel.
    """

    output: int
    op: str
    dtype: DType
    width: int
    chunks: int = 0

    @property
    def partial(self) -> DType:
        """The type that partial results have in memory; 16-bit floats are rounded when they are joined."""
        return f32 if self.dtype.is_half else i32 if COMPUTE[self.dtype] == "int" else self.dtype


@dataclass
class LoopKernel:
    """C text with ``NAME`` for the name, and how to call it.

    ``operands`` lists what the parameters after ``begin, end`` are: ("in", i), ("out", i), ("partial", i), "chunk",
    "status". ``total`` is the length of the domain, ``grain`` what a range is a multiple of, ``chunk`` the length of a
    chunk when there are sinks. ``own_rows`` are the ("in", i) and ("out", i) that have as many rows as the domain and
    of which a call touches the rows of its range only.
    """

    text: str
    operands: list[tuple[str, int]]
    total: int
    grain: int = 1
    chunk: int = 0
    sinks: list[Sink] = field(default_factory=list)
    flat: bool = False
    checks: list[Node] = field(default_factory=list)
    own_rows: frozenset[tuple[str, int]] = frozenset()

    @property
    def chunks(self) -> int:
        return -(-self.total // self.chunk) if self.chunk else 0

    @property
    def even(self) -> int:
        """A number each of whose divisors shares out the domain evenly among as many threads; 0: none."""
        return self.total // self.grain if not self.chunk and self.total % self.grain == 0 else 0


def loop_kernel(node: Node, aliases: dict[int, int], check_base: int) -> LoopKernel:
    """The kernel of a fused node. ``aliases``: outputs that share memory with an input, element by element."""
    assert node.body is not None
    if node.attrs["kind"] in ("pointwise", "full"):
        flat = Loops(node, aliases, check_base, flat=True)
        if flat.reads_in_place():
            return flat.kernel()
    loops = Loops(node, aliases, check_base, flat=False)
    walk = loops.better_walk()
    if walk is not None:
        loops = Loops(node, aliases, check_base, flat=False, walk=walk)
    return loops.kernel()


class Loops:
    """``walk`` are three sizes whose product is the columns: two nested loops, and statements for each of the third.

    So places that a division of the column would find are known without one.
    """

    grain = 1  # rows that belong together

    def __init__(
        self,
        node: Node,
        aliases: dict[int, int],
        check_base: int,
        flat: bool,
        walk: tuple[int, int, int] | None = None,
    ) -> None:
        assert node.body is not None
        self.node, self.graph, self.aliases, self.flat = node, node.body, aliases, flat
        self.kind = node.attrs["kind"]
        self.rows, self.columns = node.attrs["rows"], node.attrs["columns"]
        if flat:
            self.rows, self.columns = 1, self.rows * self.columns
        self.outputs = self.graph.outputs
        self.params = self.graph.inputs()
        self.body = Body(self.graph, {v: names.operand(i) for i, v in enumerate(self.params)}, check_base)
        self.size = self.rows * self.columns
        self.row = Var("r", self.rows)
        self.column = Var("i" if flat else "c", self.columns)
        self.outer = Var("y", walk[0] if walk else 1)
        self.places = [Index.of(self.column)]
        if walk:
            self.column = Var("c", walk[1])
            start = Index.of(self.outer) * (walk[1] * walk[2]) + Index.of(self.column) * walk[2]
            self.places = [start.shifted(u) for u in range(walk[2])]
        self.at = self.places[0]
        self.sinks = self._find_sinks()
        self.by_columns = self.kind == "column" and all(s.width > 1 for s in self.sinks.values())
        self.chunked = bool(self.sinks) and not self.by_columns
        self.stored: set[tuple[int, Index]] = set()  # number and place of results

    # Reading the body

    def _find_sinks(self) -> dict[Value, Sink]:
        found = {}
        for i, value in enumerate(self.outputs):
            reduction = reduction_of(value)
            if reduction is None or (self.kind == "row" and not self._over_rows(reduction)):
                continue
            found[reduction.output] = Sink(i, reduction.op.name, reduction.output.dtype, reduction.output.type.size)
        return found

    def _over_rows(self, reduction: Node) -> bool:
        """Whether a reduction in a row kernel runs over the rows instead of along one."""
        if reduction.op.finds:
            return False
        kind = reduction_class(reduction.inputs[0].shape, reduction.attrs["axes"])
        return kind == "column" or (kind == "full" and self.rows > 1)

    def _levels(self) -> dict[Value, int]:
        """How many reductions along the row come before each value."""
        level: dict[Value, int] = dict.fromkeys(self.params, 0)
        for node in self.graph.nodes:
            base = max((level[v] for v in node.inputs), default=0)
            for value in node.outputs:
                level[value] = base + (node.op.kind == "reduce" and value not in self.sinks)
        return level

    def _closure(self, targets: list[Value]) -> set[Value]:
        """Per-element values evaluated for ``targets``, without going through reductions along the row."""
        found: set[Value] = set()
        pending = list(targets)
        while pending:
            value = pending.pop()
            node = value.producer
            if value in found or (node is not None and node.op.kind == "reduce" and value not in self.sinks):
                continue
            found.add(value)
            pending += node.inputs if node is not None else ()
        return found

    # Writing

    def kernel(self) -> LoopKernel:
        """Write the kernel."""
        function = Writer(1)
        top = Scope(function)
        if self.flat or self.rows == 1:
            rows = top
        else:
            rows = Scope(Writer(2), frozenset({"r"}), top)
        if self.by_columns:
            self._column_sums(function)
        else:
            self._row_work(rows)
        if rows is not top and not self.by_columns:
            loop = "begin" if self.chunked or self.rows > 1 else "0"
            function.open(f"for (long r = {loop}; r < end; r++)")
            function.extend(rows.out)
            function.close()
        if self.chunked:
            self._store_partials(function)
        return self._finish(function)

    def better_walk(self) -> tuple[int, int, int] | None:
        """How to walk along the columns where some place read is found by dividing them, or None."""
        divisors = set().union(*(index.divisors(self.column) for _, index in self._read()))
        arguments = any(bool(n.op.finds) for n in self.graph.nodes)
        if not divisors or arguments or self.by_columns or self.rows == 1:
            return None
        values = [v for n in self.graph.nodes for v in (*n.inputs, *n.outputs)]
        common = refined(sorted({v.shape for v in values if v.type.size == self.size}))
        tail: list[int] = []
        for n in reversed(common or ()):
            if prod(tail) < self.columns:
                tail.insert(0, n)
        if prod(tail) != self.columns:
            return None
        last = tail[-1]
        if last <= UNROLLED:
            loop, unrolled = (tail[-2] if len(tail) > 1 else 1), last
        else:
            unrolled = min((d for d in divisors if d <= UNROLLED and last % d == 0), default=1)
            loop = last // unrolled
        outer = self.columns // (loop * unrolled)
        return None if loop == 1 or outer == unrolled == 1 else (outer, loop, unrolled)

    def reads_in_place(self) -> bool:
        """Whether a kernel over one running index, ``flat``, reads and writes everything at that index."""
        stores = all(
            v.type.size == self.size for v in self.outputs if reduction_of(v) not in {s.producer for s in self.sinks}
        )
        lookups = any(n.op.is_lookup or n.op.kind == "random" for n in self.graph.nodes)
        return stores and not lookups and all(i == self.at or v.type.size == 1 for v, i in self._read())

    def _read(self) -> Iterator[Read]:
        """The inputs that the kernel reads, and where, without a walk that avoids divisions."""
        element = self._place()
        starts: list[Read] = []
        per_element = self._stored_per_element()
        for i, value in enumerate(self.outputs):
            concat = concat_of(value) if i in per_element else None
            if not self._is_sink(value):
                place = element if i in per_element else self._row_place(value)
                starts += [(part, place) for part in (concat.inputs if concat is not None else [value])]
        reductions = [n for n in self.graph.nodes if n.op.kind == "reduce"]
        starts += [(n.inputs[0], self._reduced_place(n)) for n in reductions]
        return ((v, index) for v, index in evaluated(starts, self._reduced_place) if v.producer is None)

    def _reduced_place(self, node: Node) -> Index:
        """Where a reduction reads its operand."""
        if node.output not in self.sinks:
            return self._operand_place(node)
        return self._place() if self._per_element(node) else self._row_place(node.inputs[0])

    def _passes(self) -> list[Pass]:
        """What is done in one walk along a row each, in order."""
        level = self._levels()
        along = [n for n in self.graph.nodes if n.op.kind == "reduce" and n.output not in self.sinks]
        over = [s.producer for s in self.sinks]
        per_element = self._stored_per_element()
        stages = sorted(
            {level[n.inputs[0]] for n in along}
            | {level[v] for v in per_element.values()}
            | {level[n.inputs[0]] for n in over if n is not None and self._per_element(n)}
        )
        found = []
        for stage in stages:
            reductions = [n for n in along if level[n.inputs[0]] == stage]
            sums = [n for n in over if n is not None and self._per_element(n) and level[n.inputs[0]] == stage]
            outs = {i: v for i, v in per_element.items() if level[v] == stage}
            found.append((reductions, sums, outs))
        return found

    def _stored_per_element(self) -> dict[int, Value]:
        """The results with a value for every element, by number."""
        stores = {i: v for i, v in enumerate(self.outputs) if not self._is_sink(v) and reduction_of(v) is None}
        if self.columns == 1 or self.size == self.rows:
            return stores
        return {i: v for i, v in stores.items() if v.type.size == self.size or concat_of(v) is not None}

    def _row_work(self, rows: Scope) -> None:
        passes = self._passes()
        buffers = self._row_buffers(passes)
        filled = self._declare(buffers, rows)
        for reductions, sums, outs in passes:
            self._stage(rows, reductions, sums, outs, buffers, filled)
        per_element = self._stored_per_element()
        stores = []  # at the end: a result may overwrite an operand
        for i, value in enumerate(self.outputs):
            if i not in per_element and not self._is_sink(value):
                linear = Index.of(self.row) if value.type.size == self.rows else Index()
                self.stored.add((i, linear))
                stores.append(f"{self._out(i)}[{index_text(linear)}] = {self.body.to_store(value, linear, rows)};")
        for value, sink in self.sinks.items():
            node = value.producer
            assert node is not None
            if not self._per_element(node):
                name = self.body.value(node.inputs[0], self._row_place(node.inputs[0]), rows)
                self._add_row(sink, name, rows)
        for line in stores:
            rows.out(line)

    def _declare(self, buffers: dict[Value, str], rows: Scope) -> set[Value]:
        """Declare the row buffers; returns the values that are in theirs already."""
        for value, buffer in buffers.items():
            rows.out(f"{COMPUTE[value.dtype]} {buffer}[{self.columns}];")
        return set()

    def _add_row(self, sink: Sink, term: str, rows: Scope) -> None:
        """Add what a row gives to a sum over the rows."""
        rows.out(join_text(sink.op, sink.dtype, f"s{sink.output}", term))

    def _row_place(self, value: Value) -> Index:
        return Index.of(self.row) if value.type.size == self.rows else Index()

    def _per_element(self, reduction: Node) -> bool:
        return reduction.inputs[0].type.size == self.size and (self.columns > 1 or self.flat or self.kind != "row")

    def _is_sink(self, value: Value) -> bool:
        reduction = reduction_of(value)
        return reduction is not None and reduction.output in self.sinks

    def _row_buffers(self, passes: list[Pass]) -> dict[Value, str]:
        """Expensive values that more than one pass over the row needs."""
        if self.flat or self.columns > BUFFER_LIMIT:
            return {}
        needed: dict[Value, int] = {}
        for reductions, sums, outs in passes:
            targets = [n.inputs[0] for n in (*reductions, *sums)] + list(outs.values())
            for value in self._closure(targets):
                needed[value] = needed.get(value, 0) + 1
        found: dict[Value, str] = {}
        for value in (*self.params, *(n.outputs[0] for n in self.graph.nodes)):
            if self._is_expensive(value) and needed.get(value, 0) > 1 and value.type.size == self.size:
                found[value] = f"row{len(found)}"
        return found

    def _is_expensive(self, value: Value) -> bool:
        return value.producer is not None and value.producer.op.is_costly

    def _stage(
        self,
        rows: Scope,
        reductions: list[Node],
        sums: list[Node],
        outs: dict[int, Value],
        buffers: dict[Value, str],
        filled: set[Value],
    ) -> None:
        """One pass over the columns: reductions along the row, sums over the rows, stores."""
        out = rows.out
        nested = self.outer.size > 1
        outer = Scope(Writer(out.depth + 1), frozenset({self.outer.name}), rows) if nested else rows
        inner = Scope(Writer(out.depth + 1 + nested), frozenset({self.column.name}), outer)
        clauses: list[str] = []
        joins: list[str] = []
        after: list[str] = []
        names: dict[Node, str] = {}
        known = set(filled)
        for first, place in ((at is self.places[0], at) for at in self.places):
            self.at, element = place, Index.of(self.row) * self.columns + place
            if self.columns <= BUFFER_LIMIT:
                row = Index.of(self.row) * self.columns
                self.body.run = Run(element, row, index_text(place), str(self.columns), rows)
            for value in known:
                inner.known[value, element] = self._kept(buffers[value])
            for node in reductions:
                names[node] = self._reduce(node, inner, rows, clauses, joins, after, names.get(node))
            for node in sums:
                sink = self.sinks[node.output]
                text = self.body.value(node.inputs[0], element, inner)
                if sink.width == 1:
                    if first:
                        self._simd_start(sink.op, sink.dtype, f"s{sink.output}", out, clauses, after)
                    joins += self._simd_join(sink.op, sink.dtype, f"s{sink.output}", text)
                else:
                    joins.append(join_text(sink.op, sink.dtype, f"s{sink.output}[{index_text(self.at)}]", text))
            joins += self._stores(outs, element, inner)
            for value, buffer in buffers.items():
                computed = inner.known.get((value, element))
                if computed is not None and value not in known:
                    joins.append(f"{self._kept(buffer)} = {computed};")
                    filled.add(value)
        scalar = any(bool(n.op.finds) for n in reductions)
        if nested:
            y = self.outer.name
            out.open(f"for (long {y} = 0; {y} < {self.outer.size}; {y}++)")
            out.extend(outer.out)
        if self.flat and len(outs) > 1 and not clauses and self._four_bytes(outs):
            clauses.append(SHORT_VECTORS)
        if not scalar and self.columns > 1:
            out(f"#pragma omp simd{''.join(' ' + c for c in clauses)}")
        start, stop = ("begin", "end") if self.flat else ("0", str(self.column.size))
        c = self.column.name
        out.open(f"for (long {c} = {start}; {c} < {stop}; {c}++)")
        out.extend(inner.out)
        for line in joins:
            out(line)
        out.close()
        if nested:
            out.close()
        for line in after:
            out(line)
        for node, name in names.items():
            rows.known[node.output, self._row_place(node.output)] = name

    def _four_bytes(self, outs: dict[int, Value]) -> bool:
        """Whether all elements have as many; beside narrow ones gcc makes vectors of 8 bytes of ``simdlen(8)``."""
        read = [v for v, _ in self.body.loaded if v.type.size > 1]
        return all(v.dtype.itemsize == 4 for v in (*read, *outs.values()))

    def _kept(self, buffer: str) -> str:
        """The place of the running element in a row buffer."""
        return f"{buffer}[{index_text(self.at)}]"

    def _reduce(
        self,
        node: Node,
        inner: Scope,
        rows: Scope,
        clauses: list[str],
        joins: list[str],
        after: list[str],
        started: str | None,
    ) -> str:
        """Start a reduction along the row before the loop, continue it inside; returns the name of its result."""
        text = self.body.value(node.inputs[0], self._operand_place(node), inner)
        op, dtype = node.op.name, node.inputs[0].dtype
        if started is not None:
            joins += self._simd_join(op, node.output.dtype, started, text)
            return started
        name = self.body.fresh("m")
        if node.op.finds:
            sign = ">" if OPS[node.op.finds].join == "maximum" else "<"
            rows.out(f"int64_t {name} = 0;")
            best = f"best_{name}"
            rows.out(f"{COMPUTE[dtype]} {best} = 0;")
            c = self.column.name
            nan = f" || ({text} != {text} && {best} == {best})" if dtype.kind == "float" else ""
            joins.append(f"if ({c} == 0 || {text} {sign} {best}{nan}) {best} = {text}, {name} = {c};")
            return name
        result = node.output.dtype
        rows.out(f"{COMPUTE[result]} {name} = {start_text(op, result)};")
        self._simd_start(op, result, name, rows.out, clauses, after)
        joins += self._simd_join(op, result, name, text)
        if node.output.dtype.is_half:
            after.append(f"{name} = round_{node.output.dtype.short}({name});")
        return name

    @staticmethod
    def _simd_start(op: str, dtype: DType, total: str, before: Writer, clauses: list[str], after: list[str]) -> None:
        """Prepare to join terms to ``total`` in a vector loop, whose max and min forget a NaN: it goes into a flag."""
        clauses.append(f"reduction({JOINS[OPS[op].join][1]}:{total})")
        if _forgets_nan(op, dtype):
            flag = f"nan_{total}"
            before(f"int {flag} = 0;")
            clauses.append(f"reduction(|:{flag})")
            after.append(f"if ({flag}) {total} = NAN;")

    @staticmethod
    def _simd_join(op: str, dtype: DType, total: str, term: str) -> list[str]:
        """Join ``term`` to ``total`` inside the loop."""
        lines = [JOINS[OPS[op].join][0].format(total, term)]
        if _forgets_nan(op, dtype):
            lines.append(f"nan_{total} |= {term} != {term};")
        return lines

    def _operand_place(self, node: Node) -> Index:
        """Where the operand of a reduction along the row is read, for any position of the reduced axes."""
        shape, axes = node.inputs[0].shape, node.attrs["axes"]
        if _trailing(node):
            return self._place()
        gone = tuple(shape[a] for a in axes)
        kept = tuple(n for a, n in enumerate(shape) if a not in axes)
        inside = iter(split(self.at, gone))
        outside = iter(split(Index.of(self.row), kept))
        return join([next(inside) if a in axes else next(outside) for a in range(len(shape))], shape)

    def _column_sums(self, function: Writer) -> None:
        """Sums over the rows, a range of columns at a time: no partial results, the same order for any range."""
        block = 512
        for value, sink in self.sinks.items():
            function(f"{COMPUTE[value.dtype]} s{sink.output}[{block}];")
        function.open(f"for (long from = begin; from < end; from += {block})")
        function(f"const long to = from + {block} < end ? from + {block} : end;")
        for sink in self.sinks.values():
            function(f"for (long c = from; c < to; c++) s{sink.output}[c - from] = {start_text(sink.op, sink.dtype)};")
        around = Scope(Writer(2))
        rows = Scope(Writer(3), frozenset({"r"}), around)
        inner = Scope(Writer(4), frozenset({"c"}), rows)
        element = self._place()
        joins = []
        for value, sink in self.sinks.items():
            node = value.producer
            assert node is not None
            text = self.body.value(node.inputs[0], element, inner)
            joins.append(join_text(sink.op, sink.dtype, f"s{sink.output}[c - from]", text))
        joins += self._stores({i: v for i, v in enumerate(self.outputs) if not self._is_sink(v)}, element, inner)
        function.extend(around.out)
        function.open(f"for (long r = 0; r < {self.rows}; r++)")
        function.extend(rows.out)
        function("#pragma omp simd")
        function.open("for (long c = from; c < to; c++)")
        function.extend(inner.out)
        for line in joins:
            function(line)
        function.close()
        function.close()
        for value, sink in self.sinks.items():
            stored = self.body.stored(value, f"s{sink.output}[c - from]")
            function(f"for (long c = from; c < to; c++) {names.result(sink.output)}[c] = {stored};")
        function.close()

    def _stores(self, outs: dict[int, Value], element: Index, scope: Scope) -> list[str]:
        """Statements that write results, by number, for the running element: of a concatenation, one for each part."""
        lines = []
        for i, value in outs.items():
            concat, places = concat_of(value), [element]
            if concat is not None:
                parts = parts_in_concat(concat, element)
                places = [place for _, place in parts]
                for part, place in parts:
                    self.body.know(concat.output, place, self.body.value(part, element, scope), scope)
            self.stored |= {(i, place) for place in places}
            texts = [(index_text(place), self.body.to_store(value, place, scope)) for place in places]
            lines += [f"{self._out(i)}[{place}] = {text};" for place, text in texts]
        return lines

    def _store_partials(self, function: Writer) -> None:
        for sink in self.sinks.values():
            if sink.width == 1:
                function(f"{names.partial(sink.output)}[chunk] = s{sink.output};")

    def _out(self, i: int) -> str:
        return names.target(i, self.aliases)

    def _finish(self, function: Writer) -> LoopKernel:
        text = Writer()
        operands: list[tuple[str, int]] = []
        parameters = ["long begin", "long end"]
        written = set(self.aliases.values())
        for i, value in enumerate(self.params):
            constant = "" if i in written else "const "
            parameters.append(f"{constant}{STORAGE[value.dtype]} *restrict {names.operand(i)}")
            operands.append(("in", i))
        sinks = {s.output: s for s in self.sinks.values()} if self.chunked else {}
        for i, value in enumerate(self.outputs):
            if i in self.aliases:
                continue
            sink = sinks.get(i)
            if sink is None:
                parameters.append(f"{STORAGE[value.dtype]} *restrict {names.result(i)}")
                operands.append(("out", i))
            else:
                parameters.append(f"{_partial_type(sink)} *restrict {names.partial(i)}")
                operands.append(("partial", i))
        if sinks:
            parameters.append("long chunk")
            operands.append(("chunk", 0))
        if self.body.checks:
            parameters.append("long long *status")
            operands.append(("status", 0))
        text.open(f"KERNEL void NAME({', '.join(parameters)})")
        for sink in sinks.values():
            if sink.width == 1:
                text(f"{_partial_type(sink)} s{sink.output} = {start_text(sink.op, sink.dtype)};")
            else:
                start = f"{names.partial(sink.output)} + chunk * {sink.width}"
                text(f"{_partial_type(sink)} *restrict const s{sink.output} = {start};")
                text(f"for (long c = 0; c < {sink.width}; c++) s{sink.output}[c] = {start_text(sink.op, sink.dtype)};")
        text.extend(function)
        text.close()
        total, grain, chunk = self.rows, self.grain, 0
        if self.flat:
            total, grain, chunk = self.columns, 16, FLAT_CHUNK if self.chunked else 0
        elif self.by_columns:
            total, grain = self.columns, 16
        elif self.chunked:
            chunk = max(-(-self.rows // (ROW_CHUNKS * self.grain)), 1) * self.grain
        return LoopKernel(
            text.text(),
            operands,
            total,
            grain,
            chunk,
            list(sinks.values()),
            self.flat,
            self.body.checks,
            frozenset() if self.by_columns else self.body.rows_of(self.column if self.flat else self.row, self.stored),
        )

    def _place(self) -> Index:
        """The running element."""
        return Index.of(self.row) * self.columns + self.at


def _trailing(reduction: Node) -> bool:
    shape, axes = reduction.inputs[0].shape, set(reduction.attrs["axes"])
    kept = [a for a, n in enumerate(shape) if a not in axes and n != 1]
    gone = [a for a, n in enumerate(shape) if a in axes and n != 1]
    return not kept or not gone or max(kept) < min(gone)


def join_text(op: str, dtype: DType, total: str, term: str) -> str:
    """Join ``term`` to ``total``, one after the other; a NaN stays."""
    join = OPS[op].join
    if _forgets_nan(op, dtype):
        return f"{total} = {spell(join, dtype, [term, total])};"
    return JOINS[join][0].format(total, term)


def _forgets_nan(op: str, dtype: DType) -> bool:
    """Whether the join of a vector loop does: the extrema of floats."""
    return OPS[op].join in ("maximum", "minimum") and dtype.kind == "float"


def start_text(op: str, dtype: DType) -> str:
    """What a reduction of ``dtype`` starts with."""
    return literal(OPS[op].neutral(dtype), dtype)


def _partial_type(sink: Sink) -> str:
    return COMPUTE[sink.dtype]


def combine_text(op: str, dtype: DType) -> tuple[str, str]:
    """(name, text) of the function that joins partial results in chunk order."""
    name = f"combine_{op}_{dtype.short}"
    kind = COMPUTE[dtype]
    out = Writer()
    out("/* Joins the partial results of chunks, in their order. */")
    out.open(
        f"NOINLINE void {name}(long begin, long end, const {kind} *restrict partial, long chunks, long width, "
        f"{STORAGE[dtype]} *restrict out)"
    )
    out.open("for (long c = begin; c < end; c++)")
    out(f"{kind} total = {start_text(op, dtype)};")
    out.open("for (long chunk = 0; chunk < chunks; chunk++)")
    out(join_text(op, dtype, "total", "partial[chunk * width + c]"))
    out.close()
    out("out[c] = total;" if not dtype.is_half else f"out[c] = f32_to_{dtype.short}(total);")
    out.close()
    out.close()
    return name, out.text()
