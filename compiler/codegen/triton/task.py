"""A template's result for the module: a kernel's text and one launch of it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from compiler import work
from compiler.codegen.triton.body import INDENT, Body
from compiler.codegen.triton.spelling import SIGNATURE
from compiler.ir.graph import Node, Value
from compiler.ir.op import OPS
from compiler.ir.types import TensorType, i64
from compiler.layout import Windows
from compiler.placement import Memory, Scratch, Step

MOST_TENSORS = 6
"""Tensors, read or written, of which a thread holds eight elements each.

They take 48 registers. For sm_80, ptxas gives many a kernel of four warps no more, and spills what does not fit. Four
elements of float32 are 128 bits, still one access.
"""


@dataclass(eq=False)
class Status:
    """The word in which one check reports."""

    check: Node

    @property
    def type(self) -> TensorType:
        return TensorType(i64, ())


@dataclass(eq=False)
class Table:
    """Constants in device memory. Each entry is a number, or the address of some storage plus a number of bytes."""

    entries: list[Entry]

    @property
    def type(self) -> TensorType:
        return TensorType(i64, (len(self.entries),))


class Counts(Table):
    """Numbers that are zero before and after a launch, in which its programs count."""

    def __init__(self, length: int) -> None:
        super().__init__([0] * length)


Storage = Memory | Status | Table
Entry = int | tuple[Memory, int]


@dataclass(eq=False)
class Argument:
    """A parameter of a kernel and what one launch passes: some storage, from element ``offset`` on.

    ``part`` is the type of what the kernel writes there, where it is not the whole place.
    """

    name: str
    place: Storage
    offset: int = 0
    part: TensorType | None = None

    @property
    def nbytes(self) -> int:
        return self.offset * self.place.type.dtype.itemsize

    @property
    def signature(self) -> str:
        return f"*{SIGNATURE[self.place.type.dtype]}"


def output_argument(number: int, value: Value, windows: Windows) -> Argument:
    """The argument for output ``number`` of a kernel: the value's own memory, or its window."""
    window = windows.get(value)
    if window is None:
        return Argument(f"o{number}", value)
    return Argument(f"o{number}", window.place, window.offset, value.type)


def extra_arguments(body: Body) -> list[Argument]:
    """The arguments that the expressions of a body ask for, beyond tensors."""
    draws = [Argument(f"draw{k}", Table([index])) for k, index in enumerate(body.draws)]
    return draws + [Argument(f"status{k}", Status(check)) for k, check in enumerate(body.checks)]


@dataclass(frozen=True)
class Part:
    """The work of those programs of a launch for which ``condition`` holds, or of all others if it is empty.

    ``names`` are its parameters, each with the kernel's argument for it; None stands for all of the kernel's own.
    """

    name: str
    condition: str
    text: list[str]
    summary: str
    names: Mapping[str, str] | None = None


@dataclass(eq=False)
class Task:
    """One launch. ``text`` is the kernel's body, ``summary`` its docstring; the same text is the same kernel.

    ``nodes`` are the fused nodes it computes, ``reads`` and ``writes`` what of the step's memory it touches.
    ``streamed`` is memory that each program reads only where it writes: an output may take it. ``parts``, if any,
    follow the text: each program is one of them.
    """

    name: str
    summary: str
    text: list[str]
    arguments: list[Argument]
    grid: tuple[int, int, int]
    warps: int
    nodes: list[Node]
    reads: list[Memory]
    writes: list[Memory]
    stages: int = 3
    streamed: frozenset[Storage] = frozenset()
    parts: tuple[Part, ...] = ()

    def streams(self, node: Node, operand: Value) -> bool:
        """See :class:`compiler.placement.Step`."""
        return operand in self.streamed

    @property
    def steps(self) -> Sequence[Step]:
        """There are none in a kernel."""
        return ()

    @property
    def signature(self) -> tuple[tuple[str, str], ...]:
        """Names and Triton types of the parameters."""
        return tuple((a.name, a.signature) for a in self.arguments)

    def source(self, name: str) -> str:
        """The kernel as the text of a function, and the text of a function for each of its parts."""
        own = {a.name: a.name for a in self.arguments}
        lines, functions = list(self.text), []
        for i, part in enumerate(self.parts):
            names = own if part.names is None else part.names
            test = f"if {part.condition}:" if i == 0 else f"elif {part.condition}:"
            lines += [test if part.condition else "else:", f"{INDENT}{name}_{part.name}({', '.join(names.values())})"]
            functions.append(_function(f"{name}_{part.name}", names, part.summary, part.text))
        return "\n\n".join([_function(name, own, self.summary, lines), *functions])

    def moved(self) -> int:
        """Bytes that the launch reads and writes, each element once: an endless cache, and none between launches."""
        places = set(self.reads)
        found: dict[Memory, int] = {p: p.type.nbytes for p in places if isinstance(p, Scratch) and p not in self.writes}
        for node in self.nodes:
            part = work.read(node.inner)
            for param, value in zip(node.inner.inputs(), node.inputs, strict=True):
                if value in places:
                    found[value] = min(found.get(value, 0) + part[param], value.type.nbytes)
        read = sum(found.values())
        parts = {a.place: 0 for a in self.arguments if a.part is not None}
        for argument in self.arguments:
            if argument.part is not None:
                parts[argument.place] += argument.part.nbytes
        return read + sum(parts.get(place, place.type.nbytes) for place in set(self.writes))

    def checks(self) -> list[Status]:
        """The status words it may write."""
        return [a.place for a in self.arguments if isinstance(a.place, Status)]

    def ops(self) -> tuple[str, ...]:
        """The IR ops it computes, views aside."""
        inner = [n.op for n, _ in work.inside(self.nodes)]
        return tuple(dict.fromkeys(op.name for op in inner if not (op.is_free or op.checks)))


def _function(name: str, parameters: Iterable[str], summary: str, text: list[str]) -> str:
    head = f"def {name}({', '.join(parameters)}):"
    if len(head) > 120:
        head = f"def {name}(\n    {', '.join(parameters)},\n):"
    lines = textwrap.wrap(f'"""{summary}"""', 116) + text
    return "\n".join(["@triton.jit", head, *(INDENT + line for line in lines)]) + "\n"


def task_of(
    node: Node,
    body: Body,
    name: str,
    summary: str,
    lines: list[str],
    grid: tuple[int, int, int],
    warps: int,
    inputs: Sequence[Argument] = (),
    outputs: Sequence[Argument] | None = None,
    shared: Sequence[Argument] = (),
    stages: int = 3,
    streamed: frozenset[Storage] = frozenset(),
) -> Task:
    """The launch of the kernel ``lines`` of ``node``, whose expressions come from ``body``.

    ``inputs`` are read besides what the body reads, ``outputs`` are written, by default the node's own; ``shared`` are
    both.
    """
    read = [*inputs, *(Argument(f"a{i}", node.inputs[i]) for i in body.used)]
    written = [Argument(f"o{i}", v) for i, v in enumerate(node.outputs)] if outputs is None else [*outputs]
    arguments = [*read, *written, *extra_arguments(body), *shared]
    reads, writes = memory([*read, *shared]), memory([*written, *shared])
    return Task(name, summary, lines, arguments, grid, warps, [node], reads, writes, stages, streamed)


def memory(arguments: Sequence[Argument]) -> list[Memory]:
    """The parts of the step's memory that ``arguments`` pass."""
    return [a.place for a in arguments if isinstance(a.place, (Value, Scratch))]


def warps_for(elements: int, tensors: int = 0) -> int:
    """Warps of a program that holds ``elements`` of each of ``tensors`` at a time: eight elements a thread.

    For more than :data:`MOST_TENSORS`, as an optimizer updates them, a thread holds four elements each.
    """
    threads = elements // (8 if tensors <= MOST_TENSORS else 4)
    return max(1, min(16, threads // 32))


def kernel_name(kind: str, ops: Sequence[str]) -> str:
    """A name that says what a kernel does: its kind and up to three telling ops."""
    dull = {"where", *(op.name for op in map(OPS.__getitem__, ops) if op.is_free or op.checks or op.converts)}
    telling = list(dict.fromkeys(op for op in ops if op not in dull))
    return "_".join([kind, *telling[:3]])
