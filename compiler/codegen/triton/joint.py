"""Products that read the same factor share a launch: of a layer's backward pass, the gradients of input and weight.

The factor is read from memory once: the second product begins where the first one ended. The gradient of a weight has
few tiles and a long way along k, the other one many tiles and a short way: side by side they keep all multiprocessors
busy, and k is cut into fewer parts.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from functools import partial
from math import prod

from compiler.codegen.triton.beside import ORDINALS, clash, side_by_side
from compiler.codegen.triton.contract import Product, contraction, product_tasks
from compiler.codegen.triton.last import is_last
from compiler.codegen.triton.matmul import config, work
from compiler.codegen.triton.task import Task
from compiler.ir.graph import Graph, Node, Value
from compiler.layout import Windows
from compiler.placement import Memory
from compiler.processors import GPUS
from compiler.sharing import Shareable

NEAR = 8
"""How many kernels later a product may stand that joins another: what it writes is in memory for longer."""


def together(graph: Graph, target: str, windows: Windows) -> dict[Node, list[Node]]:
    """Products that share a launch: all of them by the first, and for each other one none.

    They read the same factor, which fits the cache of the GPU, and do not wait for each other. Products that run at the
    end find others there.
    """
    groups: dict[Node, list[Node]] = {}
    nodes = graph.nodes
    states: dict[Memory, Memory] = {u.value: u.state for u in graph.updates}
    products = {n: one for n in nodes if not is_last(n, states) and (one := _contraction(n)) is not None}
    taken: set[Node] = set()
    for position, node in enumerate(nodes):
        if node in taken:
            continue
        found = [node]
        lead = products.get(node)
        later: set[Value] = set()
        for other, before in zip(nodes[position + 1 : position + 1 + NEAR], nodes[position:]):
            later.update(before.outputs, (windows[v].place for v in before.outputs if v in windows))
            if lead is None or len(found) == len(ORDINALS):
                break
            one = products.get(other) if other not in taken and later.isdisjoint(other.inputs) else None
            if one is None or not _share(lead, one, GPUS[target].cache):
                continue
            if not any(clash((x.inputs, x.outputs), (other.inputs, other.outputs), states) for x in found):
                found.append(other)
        taken.update(found)
        if len(found) > 1:
            groups.update({other: [] for other in found} | {node: found})
    bodies = (node.body for node in nodes if node.op.kind == "loop" and node.body is not None)
    return dict(ChainMap(groups, *(together(body, target, windows) for body in bodies)))


def joint_tasks(nodes: Sequence[Node], target: str, windows: Windows) -> list[Task | Shareable]:
    """The launch of products that share one, and those that join their sums."""
    products = list(map(contraction, nodes))
    loads = [work(one.spec, config(one.spec, target)) for one in products]
    made: list[list[Task | Shareable]] = []
    for warps in (8, 4):  # fewer only where not all tiles are so large that they take eight
        made = [
            product_tasks(
                "dot", one, partial(config, target=target, beside=sum(loads) - own, most_warps=warps), windows
            )
            for one, own in zip(products, loads, strict=True)
        ]
        members = [task for task, *_ in made if isinstance(task, Task)]
        if len({task.warps for task in members}) == 1:
            break
    longest = sorted(range(len(nodes)), key=lambda i: products[i].spec.k // members[i].grid[2], reverse=True)
    joint = side_by_side([members[i] for i in longest], "Products that share a factor.", members[0].warps, turns=True)
    return [joint, *(task for _, *more in made for task in more)]


def _contraction(node: Node) -> Product | None:
    """The product of a kernel that is one, without a batch and without checks, behind which states are written."""
    if node.attrs.get("kind") != "contract" or node.body is None or any(n.op.checks for n in node.body.nodes):
        return None
    found = contraction(node) if node.outputs[0].type.size else None
    return found if found is not None and prod(found.spec.batch) == 1 else None


def _share(one: Product, other: Product, cache: int) -> bool:
    return any(value.type.nbytes <= cache for value in set(one.operands).intersection(other.operands))
