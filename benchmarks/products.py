"""How much work the products of a step are: matrix products, convolutions and attention, whoever computes them."""

from __future__ import annotations

from collections import Counter

from compiler.ir.graph import Graph


def products(graph: Graph) -> Counter[str]:
    """Floating-point operations of the products in ``graph``, by the dtype of their operands.

    The graph is one before the pass ``remat``, in which nothing is computed a second time. The gradient of attention
    counts as four products: to compute the scores again is the kernel's choice.
    """
    found: Counter[str] = Counter()
    for node in graph.nodes:
        if node.op.kind == "loop" and node.body is not None:
            found.update({dtype: node.attrs["length"] * flops for dtype, flops in products(node.body).items()})
        elif node.op.is_product or node.op.anchor == "attention":
            flops = node.op.flops(node)
            again = flops // 5 if node.op.name == "attention_backward" else 0
            found[node.inputs[0].dtype.short] += flops - again
    return found
