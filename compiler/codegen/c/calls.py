"""The calls of a step's kernels, from the placement of its values: what each gets, and what it touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compiler.codegen import work
from compiler.codegen.c.functions import Functions, Kernel
from compiler.codegen.c.kernels import LoopKernel, TeamKernel
from compiler.codegen.c.pointers import Pointers
from compiler.codegen.c.statements import For, Statements
from compiler.codegen.c.tables import Pieces, Shares, Table
from compiler.codegen.kernel import Sink
from compiler.hazards import Access, agreed
from compiler.ir.graph import Node, Value
from compiler.ir.types import TensorType, f32
from compiler.memory import Lifetime
from compiler.placement import BodyPlacement, Move, Placement
from compiler.places import Place
from compiler.schedule import Item, calls


class Frame:
    """The calls of a graph, or of a loop's body, by its placement.

    Attributes:
        items: the calls and loops.
        packs: calls that pack in front of the loop what its body multiplies with.
    """

    def __init__(self, placement: Placement, pointers: Pointers, functions: Functions, prefix: str = "") -> None:
        self.placement, self.pointers, self.functions, self.prefix = placement, pointers, functions, prefix
        self.places = placement.places
        self.items: list[Item] = []
        self.packs: list[Item] = []
        for i, step in enumerate(placement.steps):
            self._step(i, list(step.nodes))
        self.items += [self._copy(Move(v, self.places[v], target)) for v, target in placement.copies]

    def _step(self, i: int, run: list[Node]) -> None:
        if run[0] in self.placement.bodies:
            self._loop(self.placement.bodies[run[0]])
            return
        kernels = [self._kernel(node) for node in run]
        names = {name for _, name in kernels}
        first = kernels[0][0]
        if len(run) > 1 and len(names) == 1 and isinstance(first, LoopKernel) and first.flat:
            self._table_call(i, run, [k for k, _ in kernels if isinstance(k, LoopKernel)], names.pop())
            return
        for node, (kernel, name) in zip(run, kernels, strict=True):
            if isinstance(kernel, TeamKernel):
                self._team_call(i, node, kernel, name)
            else:
                self._loop_call(i, node, kernel, name)

    def _kernel(self, node: Node) -> tuple[Kernel, str]:
        fixed = frozenset(i for i, v in enumerate(node.inputs) if v in self.placement.fixed)
        return self.functions.kernel(node, self.placement.aliases.get(node, {}), fixed)

    def _loop(self, body: BodyPlacement) -> None:
        """The kernels of the body, in a loop around them."""
        inside = Frame(body, self.pointers, self.functions, f"{body.number}_")
        for call in calls(inside.items):
            launch = call.launch
            call.launch = replace(launch, flops=body.length * launch.flops, nbytes=body.length * launch.nbytes)
        self.items += [self._copy(move) for move in body.before]
        self.items += inside.packs
        self.items.append(For(body.number, body.length, inside.items, self.pointers.locals.get(body.number, [])))
        self.items += [self._copy(move) for move in body.after]

    def _copy(self, move: Move) -> Statements:
        source, target = (self.pointers.pointer(p, move.value.type) for p in (move.source, move.target))
        access = Access(self.pointers.buffers_at([move.source]), self.pointers.buffers_at([move.target]))
        line = f"memcpy({target}, {source}, {move.value.type.nbytes});"
        return Statements(access, work.copy(move.value), alone=True, lines=[line])

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
        effects = [self._effects(node) for node in run]
        reads = set().union(*(r for r, _ in effects))
        writes = set().union(*(w for _, w in effects))
        sinks = self._names([n.outputs[s.output] for n in run for s in first.sinks])
        access = Access(reads, (writes - sinks) | set(partials.values()))
        launch = work.launch(name, run, kinds)
        self.items.append(
            Statements(access, launch, lines=[*([] if first.single else cut.arrays()), *lines], table=table)
        )
        if pieces:
            for sink in first.sinks:
                self._table_combine(sink, partials[sink.output], kinds[sink.output], run, pieces)

    def _table_combine(self, sink: Sink, part: str, kind: TensorType, run: list[Node], pieces: Pieces) -> None:
        """Join the partial results of every tensor's pieces."""
        combine = self.functions.combine(sink)
        results = [n.outputs[sink.output] for n in run]
        table = self._table(f"total{pieces.run}_{sink.output}", [[v] for v in results])
        begin, end = f"{pieces.first}[m]", f"{pieces.first}[m + 1]"
        lines = [
            f"for (long m = FROM({len(run)}, 1); m < TO({len(run)}, 1); m++)",
            f"  {combine}(0, 1, {part} + {begin}, {end} - {begin}, 1, {table.pointer(0)});",
        ]
        access = Access({part}, self._names(results))
        launch = work.combine(combine, sink.op, kind, [v.type for v in results], run[-1])
        self.items.append(Statements(access, launch, lines=lines, table=table))

    def _table(self, name: str, rows: Sequence[Sequence[Value]]) -> Table:
        """``rows``: the values of each tensor."""
        places = [[place for v in row if isinstance(place := self.places[v], Place)] for row in rows]
        return Table(name, places, [self._pointer(v) for v in rows[0]])

    def _pointer(self, value: Value, offset: int = 0) -> str:
        """The pointer to element ``offset`` of a value."""
        pointer = self.pointers.pointer(self.places[value], value.type)
        return f"{pointer} + {offset}" if offset else pointer

    def _names(self, values: Sequence[Value]) -> set[str]:
        """The buffers that ``values`` lie in."""
        return self.pointers.buffers_at([self.places[v] for v in values])

    def _operand(self, node: Node, what: tuple[str, int], partials: dict[int, str]) -> str:
        kind, i = what
        if kind in ("in", "out"):
            return self._pointer(_value(node, what))
        if kind == "partial":
            return partials[i]
        return kind

    def _effects(self, node: Node) -> tuple[set[str], set[str]]:
        """The buffers that a node reads and writes."""
        return self._names(node.inputs), self._names(node.outputs)

    def _team_call(self, i: int, node: Node, kernel: TeamKernel, name: str) -> None:
        kinds = _partial_types(kernel)
        partials = self._partials(i, kinds)
        arguments = []
        for kind, k, offset in kernel.pointers:
            if kind == "status":
                arguments.append("status")
            elif kind == "partial":
                arguments.append(partials[k])
            else:
                arguments.append(self._pointer((node.inputs if kind == "in" else node.outputs)[k], offset))
        access = self._access(node, kernel, partials)
        if kernel.packed_bytes:
            arguments[1] = self._pack(i, node, kernel, name, arguments[1])
            access.reads.add(arguments[1])
        if kernel.shared or kernel.private:
            access.writes.add("scratch")
        self._own_rows(node, kernel, access)
        line = f"{name}(pool, tid, nt, scratch, {', '.join(arguments)});"
        launch = work.launch(name, [node], kinds)
        self.items.append(Statements(access, launch, checked=bool(kernel.checks), lines=[line]))
        self._combine(node, kernel, kinds, partials)

    def _pack(self, i: int, node: Node, kernel: TeamKernel, name: str, operand: str) -> str:
        """Pack an operand of a product in front of the loop; returns the name of its memory there."""
        packed = f"packed{self.prefix}{i}"
        self._temporary(packed, TensorType(f32, (kernel.packed_bytes // 4,)), i)
        value = node.inputs[kernel.pointers[1][1]]
        line = f"{name}_pack(tid, nt, {operand}, {packed});"
        launch = work.pack(f"{name}_pack", node, value, kernel.packed_bytes)
        self.packs.append(Statements(Access(self._names([value]), {packed}), launch, lines=[line]))
        return packed

    def _access(self, node: Node, kernel: Kernel, partials: dict[int, str]) -> Access:
        """What a kernel reads and writes: partial results in place of the results of its sinks."""
        reads, writes = self._effects(node)
        sinks = self._names([node.outputs[s.output] for s in kernel.sinks])
        return Access(reads, (writes - sinks) | set(partials.values()))

    def _own_rows(self, node: Node, kernel: Kernel, access: Access) -> None:
        """In a loop: say of which buffers threads that share out a kernel evenly touch rows of their own only."""
        operands = [("in", i) for i in range(len(node.inputs))] + [("out", i) for i in range(len(node.outputs))]
        values = [(_value(node, x), x in kernel.own_rows) for x in operands]
        blocks = agreed((name, v.type.nbytes * own) for v, own in values for name in self._names([v]))
        if not isinstance(self.placement, BodyPlacement) or kernel.even < 2 or not blocks:
            return
        if isinstance(kernel, TeamKernel) and not kernel.shared:
            blocks["scratch"] = kernel.private
        access.blocks, access.even = blocks, kernel.even

    def _loop_call(self, i: int, node: Node, kernel: LoopKernel, name: str) -> None:
        reads, writes = self._effects(node)
        if kernel.chunks == 1 and all(s.partial is s.dtype for s in kernel.sinks):
            direct = {s.output: self._pointer(node.outputs[s.output]) for s in kernel.sinks}
            arguments = ", ".join("0" if x[0] == "chunk" else self._operand(node, x, direct) for x in kernel.operands)
            line = f"{name}(0, {kernel.total}, {arguments});"
            launch = work.launch(name, [node])
            self.items.append(Statements(Access(reads, writes), launch, True, bool(kernel.checks), lines=[line]))
            return
        kinds = _partial_types(kernel)
        partials = self._partials(i, kinds)
        launch = work.launch(name, [node], kinds)
        arguments = ", ".join(self._operand(node, x, partials) for x in kernel.operands)
        if kernel.sinks:
            ranges = f"chunk * {kernel.chunk}, LEAST({kernel.total}, (chunk + 1) * {kernel.chunk})"
            ranges = ranges if kernel.chunk > 1 else "chunk, chunk + 1"
            line = (
                f"for (long chunk = FROM({kernel.chunks}, 1); chunk < TO({kernel.chunks}, 1); chunk++)\n"
                f"    {name}({ranges}, {arguments});"
            )
            access = self._access(node, kernel, partials)
            self.items.append(Statements(access, launch, checked=bool(kernel.checks), lines=[line]))
            self._combine(node, kernel, kinds, partials)
            return
        alone = kernel.total <= kernel.grain
        share = "" if kernel.single else f"{_share(kernel.total, kernel.grain, alone)}, "
        line = f"{name}({share}{arguments});"
        access = Access(reads, writes)
        if not alone:
            self._own_rows(node, kernel, access)
        self.items.append(Statements(access, launch, alone, bool(kernel.checks), lines=[line]))

    def _partials(self, i: int, kinds: dict[int, TensorType]) -> dict[int, str]:
        """Memory for the partial results that stand for outputs, by name."""
        names = {output: f"part{self.prefix}{i}_{output}" for output in kinds}
        for output, kind in kinds.items():
            self._temporary(names[output], kind, i)
        return names

    def _temporary(self, name: str, kind: TensorType, i: int) -> None:
        """Memory in the arena for step ``i``."""
        self.pointers.temporary(name, kind, Lifetime(*self.placement.times[i], kind.nbytes))

    def _combine(self, node: Node, kernel: Kernel, kinds: dict[int, TensorType], partials: dict[int, str]) -> None:
        for sink in kernel.sinks:
            name = self.functions.combine(sink)
            result = node.outputs[sink.output]
            out = self._pointer(result)
            part = partials[sink.output]
            rest = f"{part}, {kinds[sink.output].shape[0]}, {sink.width}, {out}"
            alone = sink.width <= 64
            line = f"{name}({_share(sink.width, 16, alone)}, {rest});"
            launch = work.combine(name, sink.op, kinds[sink.output], [result.type], node)
            self.items.append(Statements(Access({part}, self._names([result])), launch, alone, lines=[line]))


def _share(total: int, grain: int, alone: bool) -> str:
    """The range of [0, total) that a thread runs, as C arguments."""
    return f"0, {total}" if alone else f"FROM({total}, {grain}), TO({total}, {grain})"


def _value(node: Node, operand: tuple[str, int]) -> Value:
    """What an ("in", i) or ("out", i) of a kernel stands for."""
    kind, i = operand
    return (node.inputs if kind == "in" else node.outputs)[i]


def _partial_types(kernel: Kernel) -> dict[int, TensorType]:
    """The types of the partial results that stand for outputs."""
    return {s.output: TensorType(s.partial, (max(s.chunks or kernel.chunks, 1), s.width)) for s in kernel.sinks}
