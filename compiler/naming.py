"""Names of values: what a value is called stays its name from stage to stage.

A number is a result of the recorded step. A pass that puts another value in the place of one hands the name on
(:func:`compiler.ir.replay.replay`), and what it makes on the way is called after the composite or the value that it
serves: ``%layer_norm_rsqrt``, ``%model_0_weight_f16``. The gradient of ``%w`` is ``%grad_w``.
"""

from __future__ import annotations

from collections.abc import Container
from functools import cache

from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import OPS
from compiler.ops.structure import made_by

LONGEST = 48
"""Characters of a name that others are made from."""


class Names:
    """Gives every value of the stages of a step a name that no other value of these stages has.

    Values that stand in several stages are the same or were handed their name; of two that claim one in one stage the
    second gets a number to it. The body of a loop has names of its own; those in kernels are left as they are.
    """

    def __init__(self) -> None:
        self._owners: dict[str, dict[str, Value]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._recorded = True

    def settle(self, graph: Graph) -> None:
        """Name the values of the next stage. In the first stage those without a name get numbers."""
        self._settle(graph, "")
        self._recorded = False

    def _settle(self, graph: Graph, loop: str) -> None:
        """``loop``: the name of the loop around."""
        owners = self._owners.setdefault(loop, {})
        owners.update((v.name, v) for v in graph.inputs())  # unique where they were made
        there = {v.name for v in graph.inputs()}
        handed: list[Value] = []
        fresh: list[Value] = []
        for node in graph.nodes:
            for value in node.outputs:
                name = value.name
                if not name:
                    fresh.append(value)
                elif owners.get(name) is value:
                    there.add(name)
                else:
                    handed.append(value)
        for value in handed:
            if value.name in there:
                value.name = self._free(value.name, there, loop)
            there.add(value.name)
            owners[value.name] = value
        for value in fresh:
            value.name = self._free(self._made(value), owners, loop)
            owners[value.name] = value
        for node in graph.nodes:
            if node.body is not None and node.op.kind == "loop":
                self._settle(node.body, f"{loop}/{node.outputs[0].name if node.outputs else ''}")

    def _free(self, wanted: str, taken: Container[str], loop: str) -> str:
        """The name ``wanted``, or one like it that is not in ``taken``; "" asks for a number."""
        name, key = wanted, (loop, wanted)
        while not name or name in taken:
            self._counts[key] = count = self._counts.get(key, 0 if wanted else -1) + 1
            name = f"{wanted}_{count}" if wanted else str(count)
        return name

    def _made(self, value: Value) -> str:
        """The name of a result that stands for no value of the stage before; "" gives it a number."""
        node = value.producer
        assert node is not None
        if node.op.kind == "grad":
            return f"grad_{node.inputs[(2 if node.attrs['seed'] else 1) + node.outputs.index(value)].name}"
        if self._recorded:
            return ""
        operand = node.inputs[0].name if node.inputs else ""
        if operand and len(operand) < LONGEST and (node.op.converts or node.op.kind == "view"):
            return f"{operand}_{node.output.dtype.short if node.op.converts else node.op.name}"
        return f"{'grad_' if node.phase == 'backward' else ''}{derived(node)}"


def name_gradients(adjoints: dict[Value, Value]) -> None:
    """Name what has no name yet among the gradients ``adjoints`` of values after these."""
    for value, gradient in adjoints.items():
        if value.name and not gradient.name:
            gradient.name = f"grad_{value.name}"


def composite(node: Node) -> str:
    """The composite that a node was written as, or ""."""
    return _composite(node.loc.note, node.op.name)


@cache
def _composite(note: str, op: str) -> str:
    return next((w for w in (*note.split(), op) if w in OPS and OPS[w].expand is not None), "")


def derived(node: Node) -> str:
    """The name of an op's result on the way to the result of a composite: ``layer_norm_mean``, ``layer_norm_rsqrt``."""
    is_mean = node.op.name == "div" and made_by(node.inputs[0], "sum")
    parts = composite(node), "mean" if is_mean else node.op.name
    return "_".join(dict.fromkeys(filter(None, parts)))
