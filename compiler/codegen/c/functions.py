"""The kernels of a step as C functions: kernels of one text are one function."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from itertools import groupby
from textwrap import wrap
from types import MappingProxyType

from compiler.codegen import kernel as analysis
from compiler.codegen.c import column, convolution, naming, short_rows
from compiler.codegen.c.attention_kernel import attention_kernel
from compiler.codegen.c.concat import concat_kernel
from compiler.codegen.c.contract import contract_kernel
from compiler.codegen.c.folding import folded
from compiler.codegen.c.isa import Isa
from compiler.codegen.c.kernels import LoopKernel, TeamKernel
from compiler.codegen.c.loops import Loops, column_tiling
from compiler.codegen.c.reduction import combine_text
from compiler.codegen.c.scan import scan_kernel
from compiler.codegen.c.scatter import scatter_kernel
from compiler.codegen.c.sort import sort_kernel
from compiler.codegen.c.writer import WIDTH, cut
from compiler.codegen.comments import comment, origins
from compiler.ir.graph import Node, Value
from compiler.plan import Check

Kernel = LoopKernel | TeamKernel
_INDENTED = "\n   "

_PLAIN = {"concat": concat_kernel, "sort": sort_kernel, "scan": scan_kernel, "scatter": scatter_kernel}
"""Kernels that nothing is fused to, by kind."""


class Functions:
    """The things that the kernels of a step need in their file; ``labels`` are the names of the graph's parameters.

    Attributes:
        users: the nodes that run each kernel, by its name.
        helpers: functions that join partial results, by name.
        scratch: bytes of scratch memory of each kernel, for all threads together and per thread.
        checks: what the status codes mean.
    """

    def __init__(self, isa: Isa, labels: Mapping[Value, str] = MappingProxyType({})) -> None:
        self.isa, self.labels = isa, labels
        self.names: dict[str, str] = {}
        self.users: dict[str, dict[Node, None]] = {}
        self._texts: dict[str, tuple[str, Node, bool]] = {}
        self.helpers: dict[str, str] = {}
        self.scratch: set[tuple[int, int]] = set()
        self.checks: list[Check] = []
        self._known: dict[Hashable, tuple[Kernel, str]] = {}

    def kernel(self, node: Node, aliases: dict[int, int], fixed: frozenset[int]) -> tuple[Kernel, str]:
        """The kernel of a node and the name of its function.

        ``aliases``: outputs that overwrite an operand; ``fixed``: operands that every iteration of a loop finds alike.
        """
        key = analysis.structure(node), tuple(sorted(aliases.items())), fixed
        found = self._known.get(key)
        if found is None:
            found = self._new(node, aliases, fixed)
            if not found[0].checks:  # which say where in the user's program they stand
                self._known[key] = found
        self.users.setdefault(found[1], {})[node] = None
        return found

    def texts(self) -> list[str]:
        """The kernels, each under a comment that says what it computes, for which lines and values."""
        return [_commented(*what, list(self.users[name])) for name, what in self._texts.items()]

    def _new(self, node: Node, aliases: dict[int, int], fixed: frozenset[int]) -> tuple[Kernel, str]:
        kernel = self._kernel(node, aliases, fixed)
        base = len(self.checks)
        text = re.sub(r"\bCHECK(\d+)", lambda number: str(base + int(number[1])), kernel.text)
        self.checks += [Check(c.attrs["what"], c.attrs.get("size"), str(c.loc)) for c in kernel.checks]
        if isinstance(kernel, TeamKernel):
            self.scratch.add((kernel.shared, kernel.private))
        any_size = isinstance(kernel, LoopKernel) and kernel.flat
        return kernel, self._function(text, node, any_size)

    def combine(self, sink: analysis.Sink) -> str:
        """The name of the function that joins the partial results of ``sink``."""
        name, text = combine_text(sink.op, sink.dtype)
        self.helpers[name] = text
        return name

    def _kernel(self, node: Node, aliases: dict[int, int], fixed: frozenset[int]) -> Kernel:
        kind = node.attrs["kind"]
        if kind == "contract":
            return contract_kernel(self.isa, node, aliases, fixed)
        if kind == "convolution":
            return convolution.convolution_kernel(self.isa, node, aliases)
        if kind == "attention":
            return attention_kernel(self.isa, node)
        if kind in _PLAIN:
            return _PLAIN[kind](node)
        return _loop_kernel(node, aliases)

    def _function(self, text: str, node: Node, any_size: bool) -> str:
        """The name of the function with the text of a node's kernel; kernels of one text are one function."""
        if text not in self.names:
            self.names[text] = name = f"k{len(self.names)}_{naming.kernel_name(node)}"
            operands = naming.operand_names(node, self.labels, text)
            written = naming.with_names_of_elements(folded(naming.renamed(text, operands)), operands)
            self._texts[name] = _wrapped(written.replace("NAME", name)), node, any_size
        return self.names[text]


def _commented(text: str, node: Node, any_size: bool, users: Sequence[Node]) -> str:
    """``text`` under a comment that says which ops of which lines it computes; ``node`` is the first that runs it."""
    ops = [n.op.name for n in node.inner.nodes if not n.op.is_free]
    shown = " ".join(dict.fromkeys(ops))
    shapes, results = _listed(node.inner.inputs()), _listed(node.inner.outputs)
    if any_size:
        shapes = re.sub(r"\[[\d,]+\]", "[n]", shapes)
        results = re.sub(r"\[[\d,]+\]", "[n]", results)
    types = f"{shapes} -> {results}".lstrip()
    lines = [f"{node.attrs['kind']}: {shown or 'copy'}", types, *map(comment, origins(users))]
    return f"/* {_INDENTED.join(part for line in lines for part in wrap(line, WIDTH - 3))} */\n{text}"


def _listed(values: Sequence[Value]) -> str:
    """The types of ``values``; of neighbours of one type, how many they are."""
    runs = [(kind, len(list(run))) for kind, run in groupby(str(v.type) for v in values)]
    return ", ".join(kind if count == 1 else f"{count} x {kind}" for kind, count in runs)


def _wrapped(text: str) -> str:
    """``text`` with its long lists of parameters on several lines."""
    return re.sub(r"^KERNEL void [^{]* \{$", lambda m: "\n    ".join(cut(m[0], WIDTH - 5)), text, flags=re.M)


def _loop_kernel(node: Node, aliases: dict[int, int]) -> LoopKernel:
    """The kernel of a node of kind pointwise, row, column or full."""
    if node.attrs["kind"] in ("pointwise", "full"):
        flat = analysis.Kernel(node, flat=True)
        if flat.in_place() and not any(n.op.kind == "random" for n in node.inner.nodes):
            return Loops(flat, aliases).write()
    kernel = analysis.Kernel(node)
    if column.claims(kernel):
        return column.ColumnSums(kernel, aliases).write()
    if short_rows.claims(kernel):
        return short_rows.ShortRows(kernel, aliases).write()
    return Loops(kernel, aliases, column_tiling(kernel)).write()
