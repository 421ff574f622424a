"""A fused graph as one C file, and the plan to run it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from compiler.codegen import work
from compiler.codegen.c import convolution, gemm, helpers, short_rows
from compiler.codegen.c.barriers import Access, agreed
from compiler.codegen.c.isa import Isa
from compiler.codegen.c.library import used
from compiler.codegen.c.loops import LoopKernel, Sink, combine_text, loop_kernel
from compiler.codegen.c.placement import BodyPlacement, Move, Place, Placement, Temporary, offsets_of
from compiler.codegen.c.prelude import prelude
from compiler.codegen.c.schedule import Call, Item, Repeat, Schedule, calls
from compiler.codegen.c.spelling import STORAGE
from compiler.codegen.c.tables import Pieces, Shares, Table
from compiler.codegen.c.templates import (
    TeamKernel,
    attention_kernel,
    concat_kernel,
    contract_kernel,
    scatter_kernel,
)
from compiler.codegen.c.tiles import MicroKernels
from compiler.codegen.c.writer import Writer
from compiler.codegen.comments import comment
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import Op
from compiler.ir.types import TensorType, f32, f64
from compiler.memory import Lifetime
from compiler.plan import Check, Plan, Slot

SERIAL_WORK = 2_000_000  # floating-point operations of a step below which one thread is faster than several
LONG = 100  # calls of a step from which on the list of them is not optimised: gcc takes long over it
HALVED = 10_000  # characters of kernels from which on they are compiled as two parts at the same time


def claims(op: Op, inputs: Sequence[Value], attrs: dict[str, Any]) -> bool:
    """The composites with a C template: convolutions, and attention in f32 or less with values as wide as its keys."""
    if op.name in ("convolve", "convolve_weight"):
        return convolution.claims(inputs, attrs, op.name)
    if op.name not in ("scaled_dot_product_attention", "attention_backward"):
        return False
    query, _, values = inputs[:3]
    fits = query.shape[-1] == values.shape[-1] and query.type.size > 0 and values.type.size > 0
    return fits and query.dtype is not f64


def emit(graph: Graph, isa: Isa, timed: bool = False) -> Plan:
    """C text and plan for a graph of fused nodes; ``timed``: the text takes the time of every launch.

    Raises NotImplementedError for what C has no kernel for.
    """
    return _Unit(graph, isa, timed).plan()


class _Unit:
    def __init__(self, graph: Graph, isa: Isa, timed: bool) -> None:
        self.isa, self.timed = isa, timed
        placement = Placement(graph, isa)
        self.kept_bytes = placement.kept_bytes()
        self._enter(placement)
        self.names: dict[str, str] = {}
        self.texts: list[str] = []
        self.helpers: dict[str, str] = {}
        self.micro_kernels: list[MicroKernels] = []
        self.scratch: set[tuple[int, int]] = set()
        self.checks: list[Check] = []
        self.calls: list[Item] = []
        self.packs: list[Call] = []  # what is packed in front of the loop
        self.loops = 0
        self.at: int | None = None  # the run of the outermost loop around
        self.prefix = ""  # of names that are the loop's own

    def _enter(self, placement: Placement) -> None:
        """From now on, ``placement`` says where values are."""
        self.placement, self.graph = placement, placement.graph
        self.runs, self.places = placement.runs, placement.places
        self.temporaries, self.copies, self.aliases = placement.temporaries, placement.copies, placement.aliases

    def _slots(self) -> list[Slot]:
        slots = [Slot(p.kind, p.label, p.value.dtype.short, p.value.shape) for p in self.graph.params]
        return slots + [Slot("output", f"output {i}", v.dtype.short, v.shape) for i, v in enumerate(self.graph.outputs)]

    # Kernels

    def _function(self, text: str, node: Node, any_size: bool) -> str:
        """Register the text of a node's kernel; kernels of one text are one function, and the first comments on it."""
        if text not in self.names:
            self.names[text] = name = f"k{len(self.names)}_{_main_op(node)}"
            self.texts.append(_commented(text.replace("NAME", name), node, any_size))
        return self.names[text]

    def _emit_runs(self) -> None:
        for i, run in enumerate(self.runs):
            if run[0].op.name == "loop":
                self._loop(i, run[0])
                continue
            kernels = [self._kernel(node) for node in run]
            names = {name for _, name in kernels}
            first = kernels[0][0]
            if len(run) > 1 and len(names) == 1 and isinstance(first, LoopKernel) and first.flat:
                self._table_call(i, run, [k for k, _ in kernels if isinstance(k, LoopKernel)], names.pop())
                continue
            for node, (kernel, name) in zip(run, kernels, strict=True):
                if isinstance(kernel, TeamKernel):
                    self._team_call(i, node, kernel, name)
                else:
                    self._loop_call(i, node, kernel, name)

    def _loop(self, i: int, node: Node) -> None:
        """The kernels of the body, in a loop around them."""
        around, items, packs, outermost, prefix = self.placement, self.calls, self.packs, self.at, self.prefix
        number, length = self.loops, node.attrs["length"]
        wanted = {*around.last_read, *self.graph.results()}
        at = i if outermost is None else outermost
        body = BodyPlacement(node, self.isa, around, at, number, [v in wanted for v in node.outputs])
        self.loops, self.calls, self.packs, self.at, self.prefix = number + 1, [], [], at, f"{number}_"
        self._enter(body)
        self._emit_runs()
        self._emit_copies()
        inside, packed = self.calls, self.packs
        self.calls, self.packs, self.at, self.prefix = items, packs, outermost, prefix
        self._enter(around)
        for call in calls(inside):
            call.access = body.behind(call.access)
            launch = call.launch
            call.launch = replace(launch, flops=length * launch.flops, nbytes=length * launch.nbytes)
        self.calls += [self._copy(move) for move in body.before]
        self.calls += packed
        head = f"for (long i{number} = 0; i{number} < {length}; i{number}++)"
        position = f"{length - 1} - i{number}" if node.attrs["reverse"] else f"i{number}"
        uses = any(f"t{number} " in line or f"t{number})" in line for line in body.locals)
        start = [f"const long t{number} = {position};"] if uses else []
        self.calls.append(Repeat(head, [*start, *body.locals], inside))
        self.calls += [self._copy(move) for move in body.after]

    @staticmethod
    def _copy(move: Move) -> Call:
        target, source = _moved(move.target, move.target_offset), _moved(move.source, move.source_offset)
        line = f"memcpy({target}, {source}, {move.value.type.nbytes});"
        return Call([line], Access({move.source}, {move.target}), work.copy(move.value), alone=True)

    def _kernel(self, node: Node) -> tuple[LoopKernel | TeamKernel, str]:
        """The kernel of a node and the name of its function."""
        kind, base = node.attrs["kind"], len(self.checks)
        aliases = self.aliases.get(node, {})
        kernel: LoopKernel | TeamKernel
        if kind == "contract":
            fixed = frozenset(i for i, v in enumerate(node.inputs) if v in self.placement.fixed)
            kernel = contract_kernel(self.isa, node, aliases, base, fixed)
        elif kind == "convolution":
            kernel = convolution.convolution_kernel(self.isa, node, aliases, base)
        elif kind == "attention":
            kernel = attention_kernel(self.isa, node)
        elif kind == "concat":
            kernel = concat_kernel(node, base)
        elif kind == "scatter":
            kernel = scatter_kernel(node, base)
        elif short_rows.claims(node):
            kernel = short_rows.ShortRows(node, aliases, base, flat=False).kernel()
        else:
            kernel = loop_kernel(node, aliases, base)
        self.checks += [Check(c.attrs["what"], c.attrs.get("size"), str(c.loc)) for c in kernel.checks]
        if isinstance(kernel, TeamKernel):
            self.micro_kernels.append(kernel.micro_kernels)
            self.scratch.add((kernel.shared, kernel.private))
        any_size = isinstance(kernel, LoopKernel) and kernel.flat
        return kernel, self._function(kernel.text, node, any_size)

    def _table_call(self, i: int, run: list[Node], kernels: list[LoopKernel], name: str) -> None:
        """One kernel over several tensors."""
        first, sizes = kernels[0], [k.total for k in kernels]
        pieces = Pieces(i, sizes, first.chunk) if first.sinks else None
        cut = pieces or Shares(i, sizes, first.grain)
        kinds = {s.output: TensorType(s.partial, (pieces.starts[-1],)) for s in first.sinks} if pieces else {}
        partials = self._partials(i, kinds)
        pointers = [x for x in first.operands if x[0] in ("in", "out")]
        table = Table(f"place{i}", [[self.places[_value(node, x)] for x in pointers] for node in run])
        columns = {x: table.pointer(k) for k, x in enumerate(pointers)}
        arguments = ", ".join(
            columns.get(x, "p" if x[0] == "chunk" else self._operand(run[0], x, partials)) for x in first.operands
        )
        lines = cut.loop(lambda begin, end: f"{name}({begin}, {end}, {arguments});")
        effects = [self._effects(node) for node in run]
        reads = set().union(*(r for r, _ in effects))
        writes = set().union(*(w for _, w in effects))
        sinks = {self.places[n.outputs[s.output]].pointer for n in run for s in first.sinks}
        access = Access(reads, (writes - sinks) | set(partials.values()))
        launch = work.launch(name, run, kinds)
        self.calls.append(Call([*cut.arrays(), *lines], access, launch, table=table))
        if pieces:
            for sink in first.sinks:
                self._table_combine(sink, partials[sink.output], kinds[sink.output], run, pieces)

    def _table_combine(self, sink: Sink, part: str, kind: TensorType, run: list[Node], pieces: Pieces) -> None:
        """Join the partial results of every tensor's pieces."""
        combine, text = combine_text(sink.op, sink.dtype)
        self.helpers[combine] = text
        results = [n.outputs[sink.output] for n in run]
        table = Table(f"total{pieces.run}_{sink.output}", [[self.places[v]] for v in results])
        begin, end = f"{pieces.first}[m]", f"{pieces.first}[m + 1]"
        lines = [
            f"for (long m = FROM({len(run)}, 1); m < TO({len(run)}, 1); m++)",
            f"  {combine}(0, 1, {part} + {begin}, {end} - {begin}, 1, {table.pointer(0)});",
        ]
        access = Access({part}, {self.places[v].pointer for v in results})
        launch = work.combine(combine, sink.op, kind, [v.type for v in results], run[-1].loc)
        self.calls.append(Call(lines, access, launch, table=table))

    def _pointer(self, value: Value, offset: int = 0) -> str:
        return _moved(self.places[value].pointer, offset)

    def _operand(self, node: Node, what: tuple[str, int], partials: dict[int, str]) -> str:
        kind, i = what
        if kind in ("in", "out"):
            return self._pointer(_value(node, what))
        if kind == "partial":
            return partials[i]
        return kind

    def _effects(self, node: Node) -> tuple[set[str], set[str]]:
        return {self.places[v].pointer for v in node.inputs}, {self.places[v].pointer for v in node.outputs}

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
        self.calls.append(Call([line], access, launch, checked=bool(kernel.checks)))
        self._combine(node, kernel, kinds, partials)

    def _pack(self, i: int, node: Node, kernel: TeamKernel, name: str, operand: str) -> str:
        """Pack an operand of a product in front of the loop; returns the name of its memory there."""
        assert self.at is not None
        packed = f"packed{self.prefix}{i}"
        kind = TensorType(f32, (kernel.packed_bytes // 4,))
        self.temporaries.append(Temporary(packed, kind, Lifetime(self.at, self.at, kind.nbytes)))
        value = node.inputs[kernel.pointers[1][1]]
        line = f"{name}_pack(tid, nt, {operand}, {packed});"
        access = Access({self.places[value].pointer}, {packed})
        self.packs.append(Call([line], access, work.pack(f"{name}_pack", node, value, kernel.packed_bytes)))
        return packed

    def _access(self, node: Node, kernel: LoopKernel | TeamKernel, partials: dict[int, str]) -> Access:
        """What a kernel reads and writes: partial results in place of the results of its sinks."""
        reads, writes = self._effects(node)
        sinks = {self.places[node.outputs[s.output]].pointer for s in kernel.sinks}
        return Access(reads, (writes - sinks) | set(partials.values()))

    def _own_rows(self, node: Node, kernel: LoopKernel | TeamKernel, access: Access) -> None:
        """In a loop: say of which buffers threads that share out a kernel evenly touch rows of their own only."""
        operands = [("in", i) for i in range(len(node.inputs))] + [("out", i) for i in range(len(node.outputs))]
        values = [(_value(node, x), x in kernel.own_rows) for x in operands]
        blocks = agreed((self.places[v].pointer, v.type.nbytes * own) for v, own in values)
        if self.at is None or kernel.even < 2 or not blocks:
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
            self.calls.append(Call([line], Access(reads, writes), launch, True, bool(kernel.checks)))
            return
        kinds = _partial_types(kernel)
        partials = self._partials(i, kinds)
        launch = work.launch(name, [node], kinds)
        arguments = ", ".join(self._operand(node, x, partials) for x in kernel.operands)
        if kernel.sinks:
            ranges = f"chunk * {kernel.chunk}, LEAST({kernel.total}, (chunk + 1) * {kernel.chunk})"
            line = (
                f"for (long chunk = FROM({kernel.chunks}, 1); chunk < TO({kernel.chunks}, 1); chunk++)\n"
                f"    {name}({ranges}, {arguments});"
            )
            access = self._access(node, kernel, partials)
            self.calls.append(Call([line], access, launch, checked=bool(kernel.checks)))
            self._combine(node, kernel, kinds, partials)
            return
        alone = kernel.total <= kernel.grain
        line = f"{name}({_share(kernel.total, kernel.grain, alone)}, {arguments});"
        access = Access(reads, writes)
        if not alone:
            self._own_rows(node, kernel, access)
        self.calls.append(Call([line], access, launch, alone, bool(kernel.checks)))

    def _partials(self, i: int, kinds: dict[int, TensorType]) -> dict[int, str]:
        """Memory for the partial results that stand for outputs, by name."""
        names = {output: f"part{self.prefix}{i}_{output}" for output in kinds}
        at = i if self.at is None else self.at
        self.temporaries += [Temporary(names[k], kind, Lifetime(at, at, kind.nbytes)) for k, kind in kinds.items()]
        return names

    def _combine(
        self, node: Node, kernel: LoopKernel | TeamKernel, kinds: dict[int, TensorType], partials: dict[int, str]
    ) -> None:
        for sink in kernel.sinks:
            name, text = combine_text(sink.op, sink.dtype)
            self.helpers[name] = text
            result = node.outputs[sink.output]
            out = self.places[result].pointer
            part = partials[sink.output]
            rest = f"{part}, {kinds[sink.output].shape[0]}, {sink.width}, {out}"
            alone = sink.width <= 64
            line = f"{name}({_share(sink.width, 16, alone)}, {rest});"
            launch = work.combine(name, sink.op, kinds[sink.output], [result.type], node.loc)
            self.calls.append(Call([line], Access({part}, {out}), launch, alone))

    def _emit_copies(self) -> None:
        for value, target in self.copies:
            source = self.places[value].pointer
            self.calls.append(self._copy(Move(value, source, target.pointer)))

    # Text

    def plan(self) -> Plan:
        self._emit_runs()
        self._emit_copies()
        offsets, arena = offsets_of(self.temporaries)
        launches = tuple(c.launch for c in calls(self.calls))
        flops = sum(x.flops for x in launches)
        return Plan(
            name=self.graph.name,
            target=f"c/{self.isa.name}",
            source=self._source(offsets),
            slots=tuple(self._slots()),
            arena_bytes=arena,
            scratch=tuple(sorted(self.scratch)),
            threads=1 if flops < SERIAL_WORK else 0,
            launches=launches,
            checks=tuple(self.checks),
            kept_bytes=self.kept_bytes,
        )

    def _source(self, offsets: Sequence[int]) -> str:
        count = len(list(calls(self.calls)))
        shared = "\n".join(
            [*gemm.micro_kernels(self.isa, self.micro_kernels), *(self.helpers[name] for name in sorted(self.helpers))]
        )
        pieces = [
            f"/* {comment(self.graph.name)}: {count} kernel runs of {len(self.texts)} kernels, {self.isa.name}.\n"
            "   Generated by Genesis. */",
            "",
            _FRAME,
            _TIMING if self.timed else "",
            *used(helpers.PIECES, shared + "".join(self.texts)),
            shared,
            *_parts(self.texts, self._step(offsets)),
        ]
        pieces[1] = prelude(self.isa, "".join(pieces))
        return "\n".join(p for p in pieces if p)

    def _step(self, offsets: Sequence[int]) -> str:
        out = Writer()
        out("typedef struct {")
        out("  gen_pool *pool;")
        out("  void *const *args;")
        out("  long long *status;")
        out("} Frame;")
        out()
        out("/* Thread tid of nt runs its share of every kernel. */")
        out.open(f"{'PLAIN ' if len(self.calls) > LONG else ''}static void run(int tid, int nt, void *context)")
        out("const Frame *frame = context;")
        out("gen_pool *pool = frame->pool;")
        out("void *const *args = frame->args;")
        out("long long *status = frame->status;")
        count = len(self.graph.params)
        for param in self.graph.params:
            place = self.places[param.value]
            note = f" /* {comment(f'{param.value.type} {param.label}'.rstrip())} */"
            out(f"{STORAGE[param.value.dtype]} *const {place.pointer} = args[{place.index}];{note}")
        for i, value in enumerate(self.graph.outputs):
            out(f"{STORAGE[value.dtype]} *const out{i} = args[{count + i}]; /* {value.type} */")
        end = count + len(self.graph.outputs)
        out(f"enum {{ ARENA = {end} }};")
        out("char *const arena = args[ARENA];")
        out(f"char *const scratch = args[{end + 1}];")
        for temporary, offset in zip(self.temporaries, offsets, strict=True):
            ctype = STORAGE[temporary.type.dtype]
            out(f"{ctype} *const {temporary.name} = ({ctype} *)(arena + {offset}); /* {temporary.type} */")
        if self.timed:
            out(f"double (*const spent)[2] = (double (*)[2])args[{end + 2}] + tid * {len(list(calls(self.calls)))};")
        out("(void)tid, (void)nt, (void)pool, (void)status, (void)arena, (void)scratch;")
        out()

        def slot(place: Place) -> str:
            if place.kind == "temporary":
                return f"{{ARENA, {offsets[place.index]}}}"
            return f"{{{place.index}, 0}}"

        self._body(offsets).write(out, slot, self.timed)
        out.close()
        out()
        out.open("void step(gen_pool *pool, int threads, void *const *args, long long *status)")
        out("Frame frame = {pool, args, status};")
        out("pool->run(pool, threads, run, &frame);")
        out.close()
        return out.text()

    def _body(self, offsets: Sequence[int]) -> Schedule:
        spans = {
            temporary.name: (offset, offset + max(temporary.type.nbytes, 1))
            for temporary, offset in zip(self.temporaries, offsets, strict=True)
        }
        return Schedule(self.calls, spans, {self.places[v].pointer for v in self.graph.inputs("state")})


def _parts(kernels: Sequence[str], step: str) -> list[str]:
    """The kernels and the step; long ones in two parts that can be compiled apart."""
    ends = list(accumulate(map(len, kernels), initial=0))
    if len(kernels) < 2 or ends[-1] < HALVED:
        return [*kernels, step]
    half = min(range(len(ends)), key=lambda i: abs(2 * ends[i] - ends[-1]))
    heads = re.findall(r"^(KERNEL void [^{]*) \{$", "".join(kernels[:half]), re.M)
    prototypes = "".join(f"{head};\n" for head in heads)
    return [_PARTS, *kernels[:half], f"#else\n{prototypes}#endif\n\n#if PART != 1\n", *kernels[half:], step, "#endif\n"]


def _moved(pointer: str, offset: int) -> str:
    return f"{pointer} + {offset}" if offset else pointer


def _share(total: int, grain: int, alone: bool) -> str:
    """The range of [0, total) that a thread runs, as C arguments."""
    return f"0, {total}" if alone else f"FROM({total}, {grain}), TO({total}, {grain})"


def _value(node: Node, operand: tuple[str, int]) -> Value:
    """What an ("in", i) or ("out", i) of a kernel stands for."""
    kind, i = operand
    return (node.inputs if kind == "in" else node.outputs)[i]


def _partial_types(kernel: LoopKernel | TeamKernel) -> dict[int, TensorType]:
    """The types of the partial results that stand for outputs."""
    return {s.output: TensorType(s.partial, (max(s.chunks or kernel.chunks, 1), s.width)) for s in kernel.sinks}


def _main_op(node: Node) -> str:
    """The op a kernel is named after."""
    assert node.body is not None
    names = [
        n.op.name for n in node.body.nodes if n.op.kind != "view" and n.op.name not in ("constant", "iota", "cast")
    ]
    kind = node.attrs["kind"]
    if kind == "contract":
        return "dot" + "".join("_" + n for n in dict.fromkeys(names) if n in ("maximum", "erf", "tanh", "exp"))
    return f"{kind}_{names[-1]}" if names else f"{kind}_copy"


def _commented(text: str, node: Node, any_size: bool) -> str:
    """``text`` under a comment that says which ops of which lines it computes."""
    assert node.body is not None
    ops = [n.op.name for n in node.body.nodes if n.op.kind != "view" and n.op.name != "constant"]
    shown = " ".join(dict.fromkeys(ops))
    shapes = ", ".join(str(v.type) for v in node.body.inputs())
    results = ", ".join(str(v.type) for v in node.body.outputs)
    if any_size:
        shapes = re.sub(r"\[[\d,]+\]", "[n]", shapes)
        results = re.sub(r"\[[\d,]+\]", "[n]", results)
    return f"/* {node.attrs['kind']}: {shown or 'copy'}\n   {shapes} -> {results} */\n{text}"


_FRAME = """\
/* A place in memory: an argument of the step and an offset into it in bytes. */
typedef struct {
  int argument;
  long offset;
} Slot;
#define AT(slot) ((void *)((char *)args[(slot).argument] + (slot).offset))

/* A thread's share of a range of n, in multiples of a grain. */
#define FROM(n, grain) LEAST(n, ((n) + (grain) - 1) / (grain) * tid / nt * (grain))
#define TO(n, grain) LEAST(n, ((n) + (grain) - 1) / (grain) * (tid + 1) / nt * (grain))
#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define BARRIER if (nt > 1) pool->barrier(pool, nt)
"""

_PARTS = """\
/* Two compilers at the same time are done sooner: -DPART=1 makes the first half of the kernels, -DPART=2 the others
   and the step. Without PART, all of it. */
#define PARTS 2

#if PART != 2
"""

_TIMING = """\
#include <time.h>

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

/* The time since the last mark was spent in a launch (part 0) or in the barrier behind it (part 1). */
#define MARK(launch, part) { const double now = seconds(); spent[launch][part] += now - last; last = now; }
"""
