"""How much work a kernel run is: floating-point operations, and bytes of memory that it must read and write.

Bytes are those of a machine with an endless cache: what a kernel reads of its operands and writes, each element once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from compiler.domain import CHECKS, LOOKUPS
from compiler.index import view_chain
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.location import UNKNOWN
from compiler.ir.types import TensorType
from compiler.plan import Launch

_NO_ARITHMETIC = frozenset((*LOOKUPS, "constant", "iota", *CHECKS, "cast"))
_PRODUCTS = {"scaled_dot_product_attention": 2, "attention_backward": 5}
"""Matrix products between queries and keys, or of their size."""


def launch(name: str, nodes: Sequence[Node], partials: Mapping[int, TensorType] = MappingProxyType({})) -> Launch:
    """One run of a kernel over one or more fused nodes; ``partials`` are written in place of outputs."""
    bodies = [node.body for node in nodes if node.body is not None]
    inner = [n for body in bodies for n in body.nodes]
    ops = tuple(dict.fromkeys(n.op.name for n in inner if n.op.kind != "view"))
    written = [v.type for node in nodes for i, v in enumerate(node.outputs) if i not in partials]
    nbytes = sum(sum(read(body).values()) for body in bodies) + sum(t.nbytes for t in (*written, *partials.values()))
    return Launch(name, nodes[-1].attrs["kind"], ops, nodes[-1].loc, sum(map(_flops, inner)), nbytes, nodes[-1].phase)


def combine(name: str, op: str, partial: TensorType, results: Sequence[TensorType], node: Node) -> Launch:
    """The run that joins the partial results of ``node``."""
    nbytes = partial.nbytes + sum(t.nbytes for t in results)
    return Launch(name, "combine", (op,), node.loc, partial.size, nbytes, node.phase)


def copy(value: Value) -> Launch:
    """The run that copies a value to a second place."""
    node, nbytes = value.producer, 2 * value.type.nbytes
    if node is None:
        return Launch("memcpy", "copy", (), UNKNOWN, 0, nbytes)
    return Launch("memcpy", "copy", (), node.loc, 0, nbytes, node.phase)


def pack(name: str, product: Node, operand: Value, packed_bytes: int) -> Launch:
    """The run that packs an operand of a product."""
    return Launch(name, "pack", (), product.loc, 0, operand.type.nbytes + packed_bytes, product.phase)


def read(body: Graph) -> dict[Value, int]:
    """Bytes that a kernel reads of each operand: every element once, of a table at most one for each look-up."""
    windows: dict[Value, dict[Value, int]] = {v: {} for v in body.inputs()}

    def note(value: Value, elements: int) -> None:
        root, _ = view_chain(value)
        if root in windows:
            windows[root][value] = max(elements, windows[root].get(value, 0))

    for node in body.nodes:
        for position, value in enumerate(node.inputs):
            if node.op.name in LOOKUPS and position == 0:
                note(value, node.output.type.size)
            elif node.op.kind != "view":
                note(value, value.type.size)
    for value in body.outputs:
        note(value, value.type.size)
    return {v: min(sum(w.values()), v.type.size) * v.dtype.itemsize for v, w in windows.items()}


def product(node: Node) -> int:
    """Floating-point operations of a matrix product, a convolution or attention; 0 for any other op."""
    name = node.op.name
    if name == "dot":
        return 2 * node.output.type.size * node.inputs[0].shape[-1]
    if name == "convolve":
        return 2 * node.output.type.size * (node.inputs[1].type.size // node.inputs[1].shape[0])
    if name == "convolve_weight":
        return 2 * node.inputs[1].type.size * (node.output.type.size // node.output.shape[0])
    if name in _PRODUCTS:
        query, keys = (v.shape for v in node.inputs[:2])
        pairs = query[-2] * keys[-2]
        if node.attrs["causal"]:
            pairs = sum(min(i + 1, keys[-2]) for i in range(query[-2]))
        return 2 * _PRODUCTS[name] * node.inputs[0].type.size // query[-2] * pairs
    return 0


def _flops(node: Node) -> int:
    """Floating-point operations, a comparison or an exponential counting as one."""
    if flops := product(node):
        return flops
    name = node.op.name
    if node.op.kind == "reduce":
        return node.inputs[0].type.size
    if name in ("scatter_rows", "scatter_add"):
        return node.inputs[-1].type.size
    if node.op.kind == "pointwise" and name not in _NO_ARITHMETIC:
        return node.output.type.size
    return 0
