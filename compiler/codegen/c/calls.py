"""The calls of a step's kernels, from the placement of its values: what each gets, and what it touches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compiler import schedule, work
from compiler.codegen.c.functions import Functions, Kernel
from compiler.codegen.c.kernels import LoopKernel, Operand, TeamKernel
from compiler.codegen.c.pointers import Pointers
from compiler.codegen.c.statements import Statements
from compiler.codegen.c.tables import Pieces, Shares, Table
from compiler.codegen.kernel import Sink
from compiler.hazards import SCRATCH, Access, agreed
from compiler.ir.graph import Node, Value
from compiler.ir.types import TensorType, f32
from compiler.memory import Lifetime
from compiler.placement import BodyPlacement, Move, Placement
from compiler.places import Place, buffers_of


class Frame(schedule.Frame):
    """The calls of a graph, or of a loop's body, by its placement; ``front`` packs what the body multiplies with."""

    def __init__(self, placement: Placement, pointers: Pointers, functions: Functions) -> None:
        super().__init__(placement)
        self.pointers, self.functions = pointers, functions
        self.prefix = f"{placement.number}_" if isinstance(placement, BodyPlacement) else ""

    def inside(self, body: BodyPlacement) -> Frame:
        return Frame(body, self.pointers, self.functions)

    def step(self, number: int) -> None:
        run = list(self.placement.steps[number].nodes)
        kernels = [self._kernel(node) for node in run]
        names = {name for _, name in kernels}
        first = kernels[0][0]
        if len(run) > 1 and len(names) == 1 and isinstance(first, LoopKernel) and first.flat:
            self._table_call(number, run, [k for k, _ in kernels if isinstance(k, LoopKernel)], names.pop())
            return
        for node, (kernel, name) in zip(run, kernels, strict=True):
            self._call(number, node, kernel, name)

    def _kernel(self, node: Node) -> tuple[Kernel, str]:
        fixed = frozenset(i for i, v in enumerate(node.inputs) if v in self.placement.fixed)
        return self.functions.kernel(node, self.placement.aliases.get(node, {}), fixed)

    def copy(self, moves: Sequence[Move]) -> None:
        for move in moves:
            source, target = (self.pointers.pointer(p, move.value.type) for p in (move.source, move.target))
            access = Access(buffers_of([move.source]), buffers_of([move.target]))
            line = f"memcpy({target}, {source}, {move.value.type.nbytes});"
            self.items.append(Statements(access, alone=True, launch=work.copy(move.value), lines=[line]))

    def _table_call(self, i: int, run: list[Node], kernels: list[LoopKernel], name: str) -> None:
        """One kernel over several tensors."""
        first, sizes = kernels[0], [k.total for k in kernels]
        pieces = Pieces(i, sizes, first.chunk) if first.sinks else None
        cut = pieces or Shares(i, sizes, first.grain)
        kinds = {s.output: TensorType(s.partial, (pieces.starts[-1],)) for s in first.sinks} if pieces else {}
        partials = self._partials(i, kinds)
        pointers = [x for x in first.operands if x[0] in ("in", "out")]
        table = self._table(f"place{i}", [[_value(node, x) for x in pointers] for node in run])
        columns = {x: table.pointer(k) for k, x in enumerate(pointers)}
        arguments = ", ".join(
            columns.get(x, "p" if x[0] == "chunk" else self._operand(run[0], x, partials)) for x in first.operands
        )
        lines = cut.loop(lambda begin, end: f"{name}({begin}, {end}, {arguments});")
        if first.single:
            lines = [f"for (long m = FROM({len(run)}, 1); m < TO({len(run)}, 1); m++)", f"  {name}({arguments});"]
        lines = lines if first.single else [*cut.arrays(), *lines]
        access, launch = self._access(run, partials), work.launch(name, run, kinds)
        self.items.append(Statements(access, launch=launch, lines=lines, table=table, nodes=run))
        if pieces:
            for sink in first.sinks:
                self._table_combine(sink, partials[sink.output], kinds[sink.output], run, pieces)

    def _table_combine(self, sink: Sink, part: int, kind: TensorType, run: list[Node], pieces: Pieces) -> None:
        """Join the partial results of every tensor's pieces."""
        combine = self.functions.combine(sink)
        results = [n.outputs[sink.output] for n in run]
        table = self._table(f"total{pieces.run}_{sink.output}", [[v] for v in results])
        begin, end, partial = f"{pieces.first}[m]", f"{pieces.first}[m + 1]", self.pointers.name(part)
        lines = [
            f"for (long m = FROM({len(run)}, 1); m < TO({len(run)}, 1); m++)",
            f"  {combine}(0, 1, {partial} + {begin}, {end} - {begin}, 1, {table.pointer(0)});",
        ]
        launch = work.combine(combine, sink.op, kind, results, run[-1])
        access = Access({part}, self.buffers(results))
        self.items.append(Statements(access, launch=launch, lines=lines, table=table, nodes=run))

    def _table(self, name: str, rows: Sequence[Sequence[Value]]) -> Table:
        """``rows``: the values of each tensor."""
        places = [[place for v in row if isinstance(place := self.places[v], Place)] for row in rows]
        return Table(name, places, [self._pointer(v) for v in rows[0]])

    def _pointer(self, value: Value, offset: int = 0) -> str:
        """The pointer to element ``offset`` of a value."""
        pointer = self.pointers.pointer(self.places[value], value.type)
        return f"{pointer} + {offset}" if offset else pointer

    def _operand(self, node: Node, operand: Operand, partials: Mapping[int, int]) -> str:
        """The argument for a parameter; a kernel that leaves no ``partials`` has one chunk."""
        kind, i, offset = operand
        if kind == "partial" and i in partials:
            return self.pointers.name(partials[i])
        if kind == "chunk" and not partials:
            return "0"
        return kind if kind in ("chunk", "status") else self._pointer(_value(node, operand), offset)

    def _call(self, i: int, node: Node, kernel: Kernel, name: str) -> None:
        """One kernel on its own. Where a single chunk makes a sum in its own type, it stores the result itself."""
        looped, alone = isinstance(kernel, LoopKernel), False
        whole = looped and kernel.chunks == 1 and all(s.partial is s.dtype for s in kernel.sinks)
        kinds = {} if whole else _partial_types(kernel)
        partials = self._partials(i, kinds)
        arguments = [self._operand(node, x, partials) for x in kernel.operands]
        access = self._access([node], partials)
        if isinstance(kernel, TeamKernel):
            if kernel.packed_bytes:
                packed = self._pack(i, node, kernel, name, arguments[1])
                arguments[1] = self.pointers.name(packed)
                access.reads.add(packed)
            if kernel.shared or kernel.private:
                access.writes.add(SCRATCH)
            lines = [f"{name}(pool, tid, nt, scratch, {', '.join(arguments)});"]
        elif kinds:
            ranges = f"chunk * {kernel.chunk}, LEAST({kernel.total}, (chunk + 1) * {kernel.chunk})"
            ranges = ranges if kernel.chunk > 1 else "chunk, chunk + 1"
            loop = f"for (long chunk = FROM({kernel.chunks}, 1); chunk < TO({kernel.chunks}, 1); chunk++)"
            lines = [loop, f"  {name}({', '.join([ranges, *arguments])});"]
        else:
            alone = whole or kernel.total <= kernel.grain
            share = [] if kernel.single else [_share(kernel.total, kernel.grain, alone)]
            lines = [f"{name}({', '.join([*share, *arguments])});"]
        self._own_rows(node, kernel, access)
        launch = work.launch(name, [node], kinds)
        self.items.append(Statements(access, alone, bool(kernel.checks), launch=launch, lines=lines, nodes=[node]))
        self._combine(node, kernel, kinds, partials)

    def _pack(self, i: int, node: Node, kernel: TeamKernel, name: str, operand: str) -> int:
        """Pack an operand of a product in front of the loop; returns the buffer that it is packed to."""
        packed = self._temporary("packed", TensorType(f32, (kernel.packed_bytes // 4,)), i)
        value = _value(node, kernel.operands[1])
        line = f"{name}_pack(tid, nt, {operand}, {self.pointers.name(packed)});"
        launch = work.pack(f"{name}_pack", node, value, kernel.packed_bytes)
        self.front.append(
            Statements(Access(self.buffers([value]), {packed}), launch=launch, nodes=[node], lines=[line])
        )
        return packed

    def _access(self, run: Sequence[Node], partials: Mapping[int, int]) -> Access:
        """The values that nodes of one kernel read and write: partial results in place of those they join to."""
        sinks = self.buffers([n.outputs[i] for n in run for i in partials])
        writes = self.buffers([v for n in run for v in n.outputs]) - sinks
        return Access(self.buffers([v for n in run for v in n.inputs]), writes | set(partials.values()))

    def _own_rows(self, node: Node, kernel: Kernel, access: Access) -> None:
        """In a loop: say of which buffers threads that share out a kernel evenly touch rows of their own only."""
        values = [(v, (kind, i)) for kind, vs in (("in", node.inputs), ("out", node.outputs)) for i, v in enumerate(vs)]
        own = [(v, v.type.nbytes * (x in kernel.own_rows)) for v, x in values]
        blocks = agreed((buffer, nbytes) for v, nbytes in own for buffer in self.buffers([v]))
        if not isinstance(self.placement, BodyPlacement) or kernel.even < 2 or not blocks:
            return
        if isinstance(kernel, TeamKernel) and not kernel.shared:
            blocks[SCRATCH] = kernel.private
        access.blocks, access.even = blocks, kernel.even

    def _partials(self, i: int, kinds: Mapping[int, TensorType]) -> dict[int, int]:
        """The buffers of the partial results that stand for outputs."""
        return {output: self._temporary("part", kind, i, f"_{output}") for output, kind in kinds.items()}

    def _temporary(self, name: str, kind: TensorType, i: int, end: str = "") -> int:
        """A buffer in the arena for step ``i``, whose number its name has."""
        life = Lifetime(*self.placement.times[i], kind.nbytes)
        return self.pointers.temporary(f"{name}{self.prefix}{i}{end}", kind, life).buffer

    def _combine(
        self, node: Node, kernel: Kernel, kinds: Mapping[int, TensorType], partials: Mapping[int, int]
    ) -> None:
        for sink in kernel.sinks if partials else ():
            name = self.functions.combine(sink)
            result = node.outputs[sink.output]
            out = self._pointer(result)
            part = partials[sink.output]
            rest = f"{self.pointers.name(part)}, {kinds[sink.output].shape[0]}, {sink.width}, {out}"
            alone = sink.width <= 64
            line = f"{name}({_share(sink.width, 16, alone)}, {rest});"
            launch = work.combine(name, sink.op, kinds[sink.output], [result], node)
            access = Access({part}, self.buffers([result]))
            self.items.append(Statements(access, alone, launch=launch, lines=[line], nodes=[node]))


def _share(total: int, grain: int, alone: bool) -> str:
    """The range of [0, total) that a thread runs, as C arguments."""
    return f"0, {total}" if alone else f"FROM({total}, {grain}), TO({total}, {grain})"


def _value(node: Node, operand: Operand) -> Value:
    """The value whose memory a kernel gets for ``operand``."""
    kind, i, _ = operand
    return (node.inputs if kind == "in" else node.outputs)[i]


def _partial_types(kernel: Kernel) -> dict[int, TensorType]:
    """The types of the partial results that stand for outputs."""
    return {s.output: TensorType(s.partial, (max(s.chunks or kernel.chunks, 1), s.width)) for s in kernel.sinks}
