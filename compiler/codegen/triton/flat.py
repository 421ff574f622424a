"""Flat kernels: fused nodes whose operands are all read where the results are written, element by element.

They do not see shapes, so one launch can serve many tensors of different sizes: the whole optimizer, say, or the sums
of squares of all gradients. Such a launch finds its tensors through a table of addresses and sizes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from compiler.codegen.kernel import Kernel
from compiler.codegen.sizes import ceil_div, power_of_two
from compiler.codegen.triton import reduction
from compiler.codegen.triton.body import Body, Scope
from compiler.codegen.triton.combine import Combine
from compiler.codegen.triton.spelling import COMPUTE, TYPES, widened
from compiler.codegen.triton.task import Argument, Entry, Table, Task, extra_arguments, kernel_name, warps_for
from compiler.domain import reduction_of
from compiler.ir.graph import Node, Value
from compiler.ir.types import TensorType, f32
from compiler.placement import Memory, Scratch
from compiler.sharing import Shareable

BLOCK = 1024  # elements of a program
SUM_BLOCK = 4096  # the same where they are added up
ALIGNED = 16  # sizes that are multiples of it keep 128-bit accesses in a shared launch


def flat_tasks(node: Node, loose: Collection[Value] = ()) -> list[Task | Shareable] | None:
    """The launches of a node that is flat, else None; see :class:`Flat`."""
    if node.attrs["kind"] not in ("pointwise", "full", "row"):
        return None
    flat = Flat(node, loose)
    if not flat.fits():
        return None
    return [flat.settle() if flat.shareable else flat.alone(), *flat.combines]


class Flat(Shareable):
    """A flat kernel of ``size`` elements and its sums, if any: one partial result per program.

    ``loose`` are values that need not stand at a multiple of 16 bytes: slices of a loop's stacks.
    """

    def __init__(self, node: Node, loose: Collection[Value] = ()) -> None:
        kernel = self.kernel = Kernel(node, flat=True)
        self.node, self.graph, self.params, self.outputs = node, node.inner, kernel.inputs, kernel.outputs
        self.size, self.place = kernel.size, kernel.element()
        self.sums = {i: n for i, n in enumerate(map(reduction_of, self.outputs)) if n is not None}
        self.block = min(SUM_BLOCK if self.sums else BLOCK, power_of_two(self.size))
        self.programs = ceil_div(self.size, self.block)
        self.elements = [v.type.size == self.size > 1 for v in self.params]
        self.combines: list[Combine] = []
        self.targets: list[Memory] = [self._target(i) for i in range(len(self.outputs))]
        self.aligned = not any(v in loose for v in (*node.inputs, *node.outputs))
        super().__init__(None, list(node.inputs), self.targets, [node])

    def _target(self, output: int) -> Memory:
        """The memory that the kernel writes: the output, or partial results of it."""
        value = self.node.outputs[output]
        if output not in self.sums or self.programs == 1:
            return value
        dtype = self.sums[output].inputs[0].dtype
        partial = Scratch(TensorType(f32 if dtype.is_half else dtype, (self.programs, 1)))
        self.combines.append(Combine(self.sums[output].op.name, partial, value, False, self.node))
        return partial

    # Its nature

    def fits(self) -> bool:
        """Whether everything is read and written at the running index, or is one number for all; sums are results."""
        used = {v for n in self.graph.nodes if n.op.kind != "view" for v in n.inputs}
        for node in self.kernel.reductions:
            whole = node.inputs[0].type.size == self.size and node.output.type.size == 1
            if node not in self.sums.values() or node.output in used or not whole or node.op.finds:
                return False
        whole = all(v.type.size in (1, self.size) for v in self.params)
        return whole and self.kernel.in_place() and not any(n.op.anchor == "concat" for n in self.graph.nodes)

    @property
    def shareable(self) -> bool:
        return not any(n.op.numbered or n.op.checks for n in self.graph.nodes)

    def settle(self) -> Flat:
        """Find the key under which launches are shared."""
        _, lines = self._evaluate("mask" if self.size > 1 else "", "", 0)
        types = tuple(v.type.dtype for v in (*self.params, *self.targets))
        self.key = ("flat", tuple(lines), types, tuple(self.elements), self.size % ALIGNED == 0, self.aligned)
        return self

    # Its statements

    def _evaluate(self, mask: str, shift: str, block: int) -> tuple[Body, list[str]]:
        """The statements for a block of elements; ``shift`` is where the block's own sums go."""
        body = Body(self.graph, {"i": mask} if mask else {})
        scope = Scope(frozenset({"i"}))
        stores = []
        for i, node in self.sums.items():
            op, dtype = node.op.name, node.inputs[0].dtype
            name = body.value(node.inputs[0], self.place, scope)
            if mask:
                name = body.assign(scope, "valid", f"tl.where({mask}, {name}, {reduction.start(op, dtype)})")
            if self.size > 1 and "i" not in body.roots([name]):
                name = body.assign(scope, "block", f"tl.zeros(({block},), {COMPUTE[dtype]}) + {name}")
            text = reduction.collapse(op, dtype, name, "0") if self.size > 1 else name
            stores.append(f"tl.store(o{i}{shift}, {text})")
        # Every load stands before the first store, which may overwrite what was loaded.
        written = Scope(frozenset(), scope)
        for i, value in enumerate(self.outputs):
            if i not in self.sums:
                body.value(value, self.place, scope)
                body.store(written, f"o{i}", value, self.place)
        return body, [*scope.lines, *written.lines, *stores]

    def _task(self, members: list[Flat], summary: str, lines: list[str], arguments: list[Argument], grid: int) -> Task:
        ops = [n.op.name for n in self.graph.nodes]
        elements = [m.node.inputs[i] for m in members for i in range(len(m.params)) if m.params[i].type.size == m.size]
        tensors = sum(self.elements) + len(self.outputs) - len(self.sums)
        return Task(
            kernel_name("sum" if self.sums else "flat", [op for op in ops if op != "sum"]),
            summary,
            lines,
            arguments,
            (grid, 1, 1),
            warps_for(max(m.block for m in members), tensors) if self.size > 1 else 1,
            [m.node for m in members],
            [p for m in members for p in m.reads],
            [p for m in members for p in m.writes],
            streamed=frozenset(elements),
        )

    def _ops(self) -> str:
        names = [n.op.name for n in self.graph.nodes if not n.op.is_free]
        return ", ".join(dict.fromkeys(names)) or "copy"

    def alone(self) -> Task:
        """A launch for this tensor, its size written into the text."""
        ragged = self.size % self.block != 0
        several = self.programs > 1
        body, inside = self._evaluate("mask" if ragged else "", " + tl.program_id(0)" if several else "", self.block)
        lines = []
        if self.size > 1:
            first = f"tl.program_id(0){widened(self.size)} * {self.block} + "
            lines = [f"i = {first if several else ''}tl.arange(0, {self.block})", *[f"mask = i < {self.size}"] * ragged]
        arguments = [Argument(f"a{i}", self.node.inputs[i]) for i in body.used]
        arguments += [Argument(f"o{i}", place) for i, place in enumerate(self.targets)]
        arguments += extra_arguments(body)
        return self._task(
            [self],
            f"{self.size} element{'s' * (self.size > 1)}: {self._ops()}.",
            lines + inside,
            arguments,
            self.programs,
        )

    def merged(self, others: Sequence[Shareable]) -> Task:
        """One launch for all, or an ordinary one where there is nothing to share it with."""
        members = [self, *(m for m in others if isinstance(m, Flat))]
        return self.alone() if len(members) == 1 else self._table(members)

    def _table(self, members: list[Flat]) -> Task:
        block = max(m.block for m in members)
        body, inside = self._evaluate("mask" if self.size > 1 else "", "", block)
        common = {i for i in body.used if not self.elements[i] and all(m.reads[i] is self.reads[i] for m in members)}
        columns = [(f"a{i}", i, self.params[i].dtype, self.elements[i]) for i in body.used if i not in common]
        pointers = [(name, TYPES[dtype], " + start" * element) for name, _, dtype, element in columns]
        for i, place in enumerate(self.targets):
            shift = (f" + start // {block}" if i in self.sums else " + start") if self.size > 1 else ""
            pointers.append((f"o{i}", TYPES[place.type.dtype], shift))
        lines = ["entry = table + tl.load(work + 2 * tl.program_id(0))"]
        lines += ["start = tl.load(work + 2 * tl.program_id(0) + 1)"] * (self.size > 1)
        for k, (name, kind, shift) in enumerate(pointers):
            text = f"tl.load(entry{f' + {k}' if k else ''}).to(tl.pointer_type({kind})){shift}"
            lines.append(
                f"{name} = tl.multiple_of({text}, 16)" if shift == " + start" and self.aligned else f"{name} = {text}"
            )
        if self.size > 1:
            size = f"(tl.load(entry + {len(pointers)}) - start).to(tl.int32)"
            size = f"tl.multiple_of({size}, {ALIGNED})" if self.size % ALIGNED == 0 else size
            lines += [f"i = tl.arange(0, {block})", f"mask = i < {size}"]
        table: list[Entry] = []
        work: list[Entry] = []
        for member in members:
            for start in range(0, member.size, block):
                work += [len(table), start]
            table += [(member.reads[i], 0) for _, i, _, _ in columns]
            table += [(place, 0) for place in member.targets]
            table.append(member.size)
        arguments = [Argument("table", Table(table)), Argument("work", Table(work))]
        arguments += [Argument(f"a{i}", self.reads[i]) for i in sorted(common)]
        summary = f"{len(members)} tensors, {block} elements a program: {self._ops()}."
        return self._task(members, summary, lines + inside, arguments, len(work) // 2)
