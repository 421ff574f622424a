"""Spells the body of a fused node in C, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from compiler.codegen import body
from compiler.codegen.c.spelling import COMPUTE, NARROW, STORAGE, literal, spell
from compiler.codegen.c.writer import Writer
from compiler.codegen.indices import bracketed, index_text
from compiler.index import Index
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import OPS
from compiler.ir.types import DType, f64, i64
from compiler.ops.structure import is_constant


class Scope(Writer, body.Scope):
    """A place where C statements go."""

    def __init__(self, inner: str = "", around: body.Scope | None = None) -> None:
        Writer.__init__(self)
        body.Scope.__init__(self, frozenset(inner), around)

    def define(self, kind: str, name: str, text: str) -> str:
        """Give an expression of the C type ``kind`` a name here; returns how it is spelled."""
        self(f"const {kind} {name} = {text};")
        return name


@dataclass(frozen=True)
class Run:
    """Neighbours that a loop goes through: ``element`` is number ``at`` of the ``length`` elements from ``start`` on.

    ``at`` and ``length``, a constant, are C text. Random bits are drawn for all of them at once, in ``scope``.
    """

    element: Index
    start: Index
    at: str
    length: str
    scope: Scope


class Body(body.Body):
    """The expressions of one body graph.

    Values that a loop has produced before (reductions, row buffers) are put into a scope's ``known`` under
    ``(value, index)``. ``run`` is what the loop being written goes through, if that is known. ``aliases`` are results
    that overwrite an input. Checks are called ``CHECK0``, ``CHECK1``, ... until their numbers in the step are known.
    """

    divide = "/"
    zero_outside = True
    run: Run | None = None

    def __init__(self, graph: Graph, aliases: Mapping[int, int] = MappingProxyType({})) -> None:
        super().__init__(graph)
        self.aliases = aliases
        self.count = 0

    def target(self, i: int) -> str:
        """The pointer that result ``i`` is written to."""
        return f"a{self.aliases[i]}" if i in self.aliases else f"o{i}"

    def fresh(self, prefix: str) -> str:
        """The next number behind a reduction's name, ``u`` for uniforms, ``in`` for conditions, ``t`` for the rest."""
        self.count += 1
        is_total = prefix in OPS and OPS[prefix].kind == "reduce"
        letters = prefix if is_total or prefix == "u" else "in" if prefix == "inside" else "t"
        return f"{letters}{self.count}"

    # Spelling

    def kind(self, dtype: DType) -> str:
        return COMPUTE[dtype]

    def literal(self, value: float | int | bool, dtype: DType) -> str:
        return literal(value, dtype)

    def load(self, value: Value, linear: Index, guard: str) -> str:
        text = f"{self.names[value]}[{index_text(linear)}]"
        text = f"{value.dtype.short}_to_f32({text})" if value.dtype.is_half else text
        return f"{guard} ? {text} : 0" if guard else text

    def select(self, condition: str, yes: str, no: str) -> str:
        return f"{condition} ? {yes} : {no}"

    def spelled(self, node: Node, operands: list[str]) -> str:
        return spell(node.op.name, node.inputs[-1].dtype, operands)

    def cast(self, operand: str, source: DType, to: DType) -> str:
        if to.kind == "bool":
            return f"{operand} != 0"
        if source.kind == "float" and to.kind == "int":
            return f"gen_i{64 if to is i64 else 32}_from_{'f64' if source is f64 else 'f32'}({operand})"
        return operand if to in NARROW or COMPUTE[source] == COMPUTE[to] else f"({COMPUTE[to]}){operand}"

    def rounded(self, text: str, node: Node) -> str:
        dtype = node.output.dtype
        if dtype.is_half and node.op.rounds:
            return f"round_{dtype.short}({text})"
        if dtype in NARROW and node.op.name != "where":
            return f"({STORAGE[dtype]}){bracketed(text)}"
        return text

    def checked(self, node: Node, number: int, operand: str, linear: Index, scope: body.Scope) -> str:
        if node.attrs.get("size") is None:
            return f"gen_divisor(status, CHECK{number}, {operand}, {index_text(linear)})"
        return f"gen_bounded(status, CHECK{number}, {operand}, {node.attrs['size']}, {index_text(linear)})"

    def stored(self, value: Value, expression: str) -> str:
        """The text that is written to memory for ``expression``."""
        return f"f32_to_{value.dtype.short}({expression})" if value.dtype.is_half else expression

    def to_store(self, value: Value, linear: Index, scope: body.Scope) -> str:
        """The text written to memory for element ``linear`` of ``value``; a 16-bit result is rounded there, once."""
        node = value.producer
        computed = node is not None and node.op.kind in ("pointwise", "random") and not is_constant(value)
        if not value.dtype.is_half or not computed or self.home(linear, scope).find((value, linear)) is not None:
            return self.stored(value, self.value(value, linear, scope))
        assert node is not None
        text = self.exact(node, linear, scope)
        return self.stored(value, text if text in self.defined else scope.define("float", self.fresh("t"), text))

    def know_sum(self, product: Node, place: Index, scope: Scope) -> None:
        """Element ``place`` of ``product`` is ``acc``, rounded to its type."""
        text, dtype = "acc", product.output.dtype
        if dtype.is_half:
            text = scope.define("float", self.fresh("t"), f"round_{dtype.short}(acc)")
        scope.known[product.output, place] = text

    # Random numbers

    def uniform(self, node: Node, linear: Index, scope: body.Scope) -> str:
        if self.run is not None and linear == self.run.element:
            return f"{self._drawn(node, self.run)}[{self.run.at}]"
        return f"(float)(philox_lane({self._stream(node, scope)}, {index_text(linear)}) >> 8) * 0x1p-24f"

    def _drawn(self, node: Node, run: Run) -> str:
        """The name of the uniforms of a run."""
        known = run.scope.find((node, run.start))
        if known is None:
            known = run.scope.known[node, run.start] = self.fresh("u")
            run.scope(f"float draws_{known}[PHILOX_ROOM({run.length})];")
            run.scope(
                f"const float *const {known} = philox_fill({self._stream(node, run.scope)}, {index_text(run.start)}, "
                f"{run.length}, draws_{known});"
            )
        return known

    def _stream(self, node: Node, scope: body.Scope) -> str:
        """The arguments that say which random numbers a node draws."""
        seed, offset = (self.value(v, Index(), scope) for v in node.inputs)
        return f"(uint64_t){seed}, (uint64_t){offset} + {node.attrs['index']}"
