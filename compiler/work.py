"""How much work a kernel run is: floating-point operations, and bytes of memory that it must read and write.

Bytes are counted as on a machine with an endless cache: a kernel reads and writes each element once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from compiler.index import view_chain
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.location import UNKNOWN
from compiler.ir.types import TensorType
from compiler.plan import Launch

_HELPERS = {"combine": "that join partial results", "pack": "that pack operands", "copy": "that copy"}
"""The work beside kernels, by the kind of the launch."""


def launch(name: str, nodes: Sequence[Node], partials: Mapping[int, TensorType] = MappingProxyType({})) -> Launch:
    """One run of a kernel over one or more fused nodes; ``partials`` are written in place of outputs."""
    bodies = [node.body for node in nodes if node.body is not None]
    inner = [n for body in bodies for n in body.nodes]
    ops = tuple(dict.fromkeys(n.op.name for n in inner if n.op.kind != "view"))
    written = [v.type for node in nodes for i, v in enumerate(node.outputs) if i not in partials]
    nbytes = sum(sum(read(body).values()) for body in bodies) + sum(t.nbytes for t in (*written, *partials.values()))
    last = nodes[-1]
    work = sum(map(flops, nodes))
    return Launch(name, last.attrs["kind"], ops, last.loc, work, nbytes, last.phase, compute=compute(nodes))


def compute(nodes: Sequence[Node]) -> str:
    """The type of the operands of products in fused ``nodes``, "" without products."""
    products = (n for n, _ in inside(nodes) if n.op.is_product or n.op.anchor == "attention")
    return next((n.inputs[0].dtype.short for n in products), "")


def flops(node: Node) -> int:
    """Floating-point operations of a fused node."""
    return sum(times * n.op.flops(n) for n, times in inside([node]))


def inside(nodes: Iterable[Node], times: int = 1) -> Iterator[tuple[Node, int]]:
    """The ops in kernels, and in loops there, each with how often it runs."""
    for inner in (n for node in nodes if node.body is not None for n in node.body.nodes):
        yield from [(inner, times)] if inner.body is None else inside([inner], times * inner.attrs["length"])


def combine(name: str, op: str, partial: TensorType, results: Sequence[Value], node: Node) -> Launch:
    """The run that joins partial results to ``results``, those of ``node`` and of others of its kind."""
    nbytes, names = partial.nbytes + sum(v.type.nbytes for v in results), tuple([v.name for v in results])
    return Launch(name, "combine", (op,), node.loc, partial.size, nbytes, node.phase, values=names)


def copy(value: Value) -> Launch:
    """The run that copies a value to a second place."""
    node, nbytes = value.producer, 2 * value.type.nbytes
    if node is None:
        return Launch("memcpy", "copy", (), UNKNOWN, 0, nbytes, values=(value.name,))
    return Launch("memcpy", "copy", (), node.loc, 0, nbytes, node.phase, values=(value.name,))


def pack(name: str, product: Node, operand: Value, packed_bytes: int) -> Launch:
    """The run that packs an operand of a product."""
    return Launch(name, "pack", (), product.loc, 0, operand.type.nbytes + packed_bytes, product.phase)


def runs_of(launches: Iterable[Launch]) -> str:
    """How many kernels run, and how often; what joins their partial results, packs operands or copies stands apart."""
    kinds, kernels = Counter[str](), set[str]()
    for run in launches:
        kind = run.kind if run.kind in _HELPERS else ""
        kinds[kind] += 1
        kernels.update({run.kernel} if not kind else ())
    rest = [f"{kinds[kind]} {what}" for kind, what in _HELPERS.items() if kinds[kind]]
    return ", ".join([f"{kinds['']} runs of {len(kernels)} kernels", *rest])


def read(body: Graph) -> dict[Value, int]:
    """Bytes that a kernel reads of each operand: every element once, of a table at most one for each look-up."""
    windows: dict[Value, dict[Value, int]] = {v: {} for v in body.inputs()}

    def note(value: Value, elements: int) -> None:
        root, _ = view_chain(value)
        if root in windows:
            windows[root][value] = max(elements, windows[root].get(value, 0))

    for node in body.nodes:
        for position, value in enumerate(node.inputs):
            if node.op.is_lookup and position == 0:
                note(value, node.output.type.size)
            elif node.op.kind != "view":
                note(value, value.type.size)
    for value in body.outputs:
        note(value, value.type.size)
    return {v: min(sum(w.values()), v.type.size) * v.dtype.itemsize for v, w in windows.items()}
