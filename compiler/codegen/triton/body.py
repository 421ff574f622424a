"""Spells the body of a fused node in Triton, block by block.

A loop variable stands for a block of places, so the same expression that names one place in a scalar language names
all of them here; shapes follow from the variables by broadcasting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from compiler.codegen import body
from compiler.codegen.indices import bracketed
from compiler.codegen.triton.spelling import COMPUTE, HELPED, TYPES, index_text, literal, names_in, spell, whole
from compiler.index import Index
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.types import DType, boolean, f64

INDENT = "    "


class Scope(body.Scope):
    """A place where Triton statements go."""

    def __init__(self, inner: frozenset[str] = frozenset(), around: body.Scope | None = None) -> None:
        super().__init__(inner, around)
        self.lines: list[str] = []

    def __call__(self, *lines: str) -> None:
        self.lines += lines

    def define(self, kind: str, name: str, text: str) -> str:
        self(f"{name} = {text}")
        return name

    def block(self, head: str, inside: list[str]) -> None:
        """A statement with a suite."""
        self(head, *(INDENT + line for line in inside))


class Body(body.Body):
    """The expressions of one body graph.

    ``masks`` gives the name of the mask of each loop variable whose blocks reach beyond its end. ``reduced`` computes
    a reduction that later expressions use. ``depends`` has the loop variables along which each name varies.

    ``checks`` are what ``status0``, ``status1`` ... must point to, and ``draws`` the same for ``draw0`` ...: the
    numbers of draws stay out of the text, so that layers share their kernels.
    """

    divide = "//"
    reduced: Callable[[Node, body.Scope], str] | None = None

    def __init__(self, graph: Graph, masks: Mapping[str, str]) -> None:
        super().__init__(graph)
        self.masks = masks
        self.draws: list[int] = []
        self.depends: dict[str, frozenset[str]] = {v: frozenset({v}) for v in ("b", "c", "i", "j", "m", "n", "r")}

    def assign(self, scope: body.Scope, prefix: str, text: str, dtype: DType = boolean) -> str:
        name = super().assign(scope, prefix, text, dtype)
        self.depends[name] = self.roots(re.findall(r"[a-z_]\w*", text))
        return name

    def roots(self, names: Iterable[str]) -> frozenset[str]:
        """The loop variables behind ``names``."""
        return frozenset().union(*(self.depends.get(n, frozenset()) for n in names))

    def variables(self, index: Index) -> frozenset[str]:
        return self.roots(names_in(index))

    def mask(self, names: Iterable[str], guard: str = "") -> str:
        """``, mask=...`` for an access at a place made of ``names``, or nothing."""
        roots = self.roots(names)
        masks = [m for v, m in self.masks.items() if v in roots] + ([guard] if guard else [])
        return f", mask={' & '.join(masks)}" if masks else ""

    def block(self, value: Value, linear: Index, scope: Scope, variables: Iterable[str], shape: tuple[int, ...]) -> str:
        """The name of a block's elements; a literal, or what varies along some of ``variables`` only, is spread."""
        name = self.value(value, linear, scope)
        if name not in self.depends:
            return f"tl.full({shape}, {name}, {COMPUTE[value.dtype]})"
        return name if self.roots([name]) >= set(variables) else f"tl.broadcast_to({name}, {shape})"

    def store(self, scope: body.Scope, pointer: str, value: Value, linear: Index, where: Index | None = None) -> None:
        """Write elements ``linear`` of ``value`` to elements ``where`` (the same, if None) of ``pointer``."""
        text = self.value(value, linear, scope)
        text = self._with_type(text, value.dtype) if value.dtype is f64 else text
        place = index_text(linear if where is None else where)
        scope(f"tl.store({_address(pointer, place)}, {text}{self.mask(names_in(linear))})")

    # Spelling

    def kind(self, dtype: DType) -> str:
        return COMPUTE[dtype]

    def literal(self, value: float | int | bool, dtype: DType) -> str:
        return literal(value, dtype)

    def whole(self, index: Index) -> str:
        return whole(index)

    def load(self, value: Value, linear: Index, guard: str) -> str:
        text = f"tl.load({_address(self.names[value], index_text(linear))}{self.mask(names_in(linear), guard)})"
        return f"{text}.to(tl.float32)" if value.dtype.is_half else text

    def select(self, condition: str, yes: str, no: str) -> str:
        return f"tl.where({condition}, {yes}, {no})"

    def spelled(self, node: Node, operands: list[str]) -> str:
        name = node.op.name
        first = 1 if name == "where" else 0
        for k in range(first, len(operands)):
            # A literal has no type: helpers and other literals need one, float64 in all functions.
            helped = name in HELPED or (name in ("maximum", "minimum") and node.output.dtype is f64)
            if helped or not self._typed(operands[first:]):
                operands[k] = self._with_type(operands[k], node.inputs[k].dtype)
        return spell(name, node.inputs[-1].dtype, operands)

    def cast(self, operand: str, source: DType, to: DType) -> str:
        if to.kind == "bool":
            return f"{operand} != 0"
        operand = self._with_type(operand, source)
        if source.kind == "float" and to.kind == "int":
            return f"truncated({operand}, {TYPES[to]})"
        return operand if to.is_half or COMPUTE[source] == COMPUTE[to] else f"{operand}.to({COMPUTE[to]})"

    def rounded(self, text: str, node: Node) -> str:
        return self.narrowed(text, node.output.dtype) if node.op.rounds else text

    @staticmethod
    def narrowed(text: str, dtype: DType) -> str:
        """``text`` rounded to a 16-bit float, as the IR says after every op, and held in float32."""
        if not dtype.is_half:
            return text
        wrapped = text if text.startswith("tl.full(") else bracketed(text)
        return f"{wrapped}.to({TYPES[dtype]}).to(tl.float32)"

    def checked(self, node: Node, number: int, operand: str, linear: Index, scope: body.Scope) -> str:
        mask = self.mask(names_in(linear)).removeprefix(", mask=") or "True"
        right, other = f"{operand} != 0", 1
        if node.attrs.get("size") is not None:
            right, other = f"({operand} >= 0) & ({operand} < {node.attrs['size']})", 0
        name = self.assign(scope, "right", right)
        scope(f"report(status{number}, {operand}, {whole(linear)}, {mask} & ({name} == 0))")
        return self.select(name, operand, str(other))

    def uniform(self, node: Node, linear: Index, scope: body.Scope) -> str:
        seed, offset = (self.value(v, Index(), scope) for v in node.inputs)
        element = index_text(linear) if linear.terms else whole(linear)
        if node.attrs["index"] not in self.draws:
            self.draws.append(node.attrs["index"])
        draw = self.draws.index(node.attrs["index"])
        return f"uniform({seed}, {offset} + tl.load(draw{draw}), {element})"

    def reduction(self, node: Node, scope: body.Scope) -> str:
        return super().reduction(node, scope) if self.reduced is None else self.reduced(node, scope)

    def _with_type(self, operand: str, dtype: DType) -> str:
        """A name as it is, a literal as a scalar of ``dtype``."""
        return operand if operand in self.depends else f"tl.full((), {operand}, {COMPUTE[dtype]})"

    def _typed(self, operands: list[str]) -> bool:
        return any(x in self.depends or x.startswith("tl.full(") for x in operands)


def _address(pointer: str, place: str) -> str:
    return pointer if place == "0" else f"{pointer} + {place}"
