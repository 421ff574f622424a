"""Evaluates the body of a fused node element by element: an index map goes down, a C expression comes up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compiler.codegen.c.spelling import CHOICES, COMPUTE, NARROW, STORAGE, index_text, literal, spell, variables
from compiler.codegen.c.writer import Writer
from compiler.domain import CHECKS
from compiler.index import Bound, Index, Var, broadcast, join, slide_bounds, split, strides_of, through_view, view_chain
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.types import DType, bf16, f16, f64, i64

LONG = 100  # ops of a body from which on it is evaluated from the bottom


class Scope:
    """A place where statements go, and what is known there. Names of the scope around it are known too."""

    def __init__(self, out: Writer, inner: frozenset[str] = frozenset(), around: Scope | None = None) -> None:
        self.out = out
        self.inner = inner
        self.around = around
        self.known: dict[object, str] = {}

    def define(self, kind: str, name: str, text: str) -> str:
        """Give an expression of the C type ``kind`` a name here; returns how it is spelled."""
        self.out(f"const {kind} {name} = {text};")
        return name

    def find(self, key: object) -> str | None:
        scope: Scope | None = self
        while scope is not None:
            if key in scope.known:
                return scope.known[key]
            scope = scope.around
        return None


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


class Body:
    """The expressions of one body graph.

    ``names`` gives the C name of each body input. Values that a loop has produced before (reductions, row buffers) are
    put into a scope's ``known`` under ``(value, index)``. ``run`` is what the loop being written goes through, if that
    is known.
    """

    run: Run | None = None

    def __init__(self, graph: Graph, names: dict[Value, str], check_base: int = 0) -> None:
        self.graph = graph
        self.names = names
        self.checks: list[Node] = []
        self.check_base = check_base
        self.count = 0
        self.loaded: set[tuple[Value, Index]] = set()
        self.order = {n.outputs[0]: i for i, n in enumerate(graph.nodes)} if len(graph.nodes) > LONG else {}

    def rows_of(self, var: Var, stored: Iterable[tuple[int, Index]] = ()) -> frozenset[tuple[str, int]]:
        """("in", i) and ("out", i) of what is read, and ``stored``, in row ``var`` only, if it has so many rows."""
        inputs, outputs = self.graph.inputs(), self.graph.outputs
        rows = max(var.size, 1)
        elsewhere: set[object] = {v for v, index in self.loaded if not index.within(var, v.type.size // rows)}
        elsewhere |= {i for i, index in stored if not index.within(var, outputs[i].type.size // rows)}
        read = [("in", i) for i, v in enumerate(inputs) if v.type.size % rows == 0 and v not in elsewhere]
        written = [("out", i) for i, v in enumerate(outputs) if v.type.size % rows == 0 and i not in elsewhere]
        return frozenset(read + written)

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def value(self, value: Value, linear: Index, scope: Scope, guard: str = "") -> str:
        """An expression (a name or a literal) for element ``linear`` of ``value``.

        ``guard`` is a condition under which memory may be read. A mere load is zero elsewhere, any other value whatever
        comes of that.
        """
        node = value.producer
        if node is not None and node.op.name == "constant":
            return literal(node.attrs["value"], node.attrs["dtype"])
        scope = scope if guard else self._home(linear, scope)
        known = scope.find((value, linear, guard)) if guard else scope.find((value, linear))
        if known is not None:
            return known
        if node is None:
            text = self._load(value, linear)
            if guard:
                text = f"{guard} ? {text} : 0"
        elif node.op.kind == "reduce":
            raise AssertionError(f"{node!r} is read before the loop that computes it")
        elif node.op.name == "slide":
            return self._slide(node, linear, scope, guard)
        elif node.op.kind == "view":
            return self.value(node.inputs[0], through_view(node, linear), scope, guard)
        elif node.op.name in ("take", "gather"):
            return self._lookup(node, linear, scope)
        else:
            if self.order and not guard:
                self._from_the_bottom(value, linear, scope)
            text = self._compute(node, linear, scope)
        name = scope.define(COMPUTE[value.dtype], self.fresh("t"), text)
        scope.known[(value, linear, guard) if guard else (value, linear)] = name
        return name

    def know(self, value: Value, linear: Index, name: str, scope: Scope) -> None:
        """``name`` is element ``linear`` of ``value`` in ``scope``."""
        self._home(linear, scope).known[value, linear] = name

    def _from_the_bottom(self, value: Value, linear: Index, scope: Scope) -> None:
        """Evaluate what ``value`` is computed from, in program order: a chain may be longer than Python's stack."""
        found: set[tuple[Value, Index]] = set()
        pending = [(value, linear)]
        while pending:
            step, index = pending.pop()
            node = step.producer
            if node is None or (step, index) in found or self._home(index, scope).find((step, index)) is not None:
                continue
            if node.op.kind == "view" and node.op.name != "slide":
                pending.append((node.inputs[0], through_view(node, index)))
            elif node.op.kind == "pointwise" and node.op.name not in ("take", "gather"):
                found.add((step, index))
                pending += [(v, broadcast(index, node.output.shape, v.shape)) for v in node.inputs]
        for step, index in sorted(found - {(value, linear)}, key=lambda f: self.order[f[0]]):
            self.value(step, index, scope)

    def _slide(self, node: Node, linear: Index, scope: Scope, guard: str) -> str:
        """An element of an image, or what stands outside it; each bound is looked at as far out as it is known."""
        place = through_view(node, linear)
        bounds = slide_bounds(node, linear)
        if any(b.size == 0 for b in bounds):
            return literal(node.attrs["fill"], node.output.dtype)
        names = [self._bound(b, scope) for b in bounds if not b.always]
        if not names:
            return self.value(node.inputs[0], place, scope, guard)
        inside = " & ".join([*([guard] if guard else []), *names])
        fill = literal(node.attrs["fill"], node.output.dtype)
        seen = self.value(node.inputs[0], place, scope, inside)
        if node.attrs["fill"] == 0 and _is_load(node.inputs[0]):
            return seen
        return scope.define(COMPUTE[node.output.dtype], self.fresh("t"), f"{inside} ? {seen} : {fill}")

    def _bound(self, bound: Bound, scope: Scope) -> str:
        """The name of a condition."""
        scope = self._home(bound.index, scope)
        known = scope.find(bound)
        if known is None:
            place = index_text(bound.index)
            tests = [f"{place} >= 0"] * (bound.index.bottom < 0) + [f"{place} < {bound.size}"] * (
                bound.index.top >= bound.size
            )
            tests += [f"({place}) % {bound.step} == 0"] * (bound.step > 1)
            known = scope.define("int", self.fresh("in"), " & ".join(f"({t})" for t in tests))
            scope.known[bound] = known
        return known

    def _home(self, linear: Index, scope: Scope) -> Scope:
        """The outermost scope in which ``linear`` means something."""
        used = variables(linear)
        while scope.around is not None and not (scope.inner & used):
            scope = scope.around
        return scope

    def _load(self, value: Value, linear: Index) -> str:
        self.loaded.add((value, linear))
        return self.read(value.dtype, f"{self.names[value]}[{index_text(linear)}]")

    def read(self, dtype: DType, place: str) -> str:
        """The value of a place in memory."""
        if dtype in (bf16, f16):
            return f"{dtype.short}_to_f32({place})"
        return place

    def stored(self, value: Value, expression: str) -> str:
        """What is written to memory for ``expression``."""
        if value.dtype.is_half:
            return f"f32_to_{value.dtype.short}({expression})"
        return expression

    def to_store(self, value: Value, linear: Index, scope: Scope) -> str:
        """What is written to memory for element ``linear`` of ``value``; a 16-bit result is rounded there, once."""
        node = value.producer
        computed = node is not None and node.op.kind in ("pointwise", "random") and node.op.name != "constant"
        if not value.dtype.is_half or not computed or self._home(linear, scope).find((value, linear)) is not None:
            return self.stored(value, self.value(value, linear, scope))
        assert node is not None
        name = self.fresh("t")
        return self.stored(value, scope.define("float", name, self._exact(node, linear, scope)))

    def _compute(self, node: Node, linear: Index, scope: Scope) -> str:
        """The result of ``node``, rounded to its type."""
        text = self._exact(node, linear, scope)
        dtype = node.output.dtype
        if dtype.is_half and node.op.name not in CHOICES:
            return f"round_{dtype.short}({text})"
        if dtype in NARROW and node.op.name != "where":
            return f"({STORAGE[dtype]}){text}" if text.isidentifier() else f"({STORAGE[dtype]})({text})"
        return text

    def _exact(self, node: Node, linear: Index, scope: Scope) -> str:
        """The result of ``node`` before rounding."""
        name, shape = node.op.name, node.output.shape
        if name == "iota":
            return index_text(split(linear, shape)[node.attrs["axis"]])
        if name == "uniform":
            return self._uniform(node, linear, scope)
        operands = [self.value(v, broadcast(linear, shape, v.shape), scope) for v in node.inputs]
        source = node.inputs[-1].dtype
        if name == "cast":
            text = self._cast(operands[0], source, node.output.dtype)
        elif name in CHECKS:
            return self._checked(node, operands[0], linear)
        else:
            text = spell(name, source, operands)
        return text

    @staticmethod
    def _cast(operand: str, source: DType, to: DType) -> str:
        if to.kind == "bool":
            return f"{operand} != 0"
        if source.kind == "float" and to.kind == "int":
            return f"gen_i{64 if to is i64 else 32}_from_{'f64' if source is f64 else 'f32'}({operand})"
        return operand if to in NARROW or COMPUTE[source] == COMPUTE[to] else f"({COMPUTE[to]}){operand}"

    def _checked(self, node: Node, operand: str, linear: Index) -> str:
        """``operand``, or a harmless number in its place after a word to the status."""
        if node not in self.checks:
            self.checks.append(node)
        number, element = self.check_base + self.checks.index(node), index_text(linear)
        if node.op.name == "divisor":
            return f"gen_divisor(status, {number}, {operand}, {element})"
        return f"gen_bounded(status, {number}, {operand}, {node.attrs['size']}, {element})"

    def _uniform(self, node: Node, linear: Index, scope: Scope) -> str:
        if self.run is not None and linear == self.run.element:
            return f"{self._drawn(node, self.run)}[{self.run.at}]"
        return f"(float)(philox_lane({self._stream(node, scope)}, {index_text(linear)}) >> 8) * 0x1p-24f"

    def _drawn(self, node: Node, run: Run) -> str:
        """The name of the uniforms of a run."""
        known = run.scope.find((node, run.start))
        if known is None:
            known = run.scope.known[node, run.start] = self.fresh("u")
            run.scope.out(f"float draws_{known}[PHILOX_ROOM({run.length})];")
            run.scope.out(
                f"const float *const {known} = philox_fill({self._stream(node, run.scope)}, {index_text(run.start)}, "
                f"{run.length}, draws_{known});"
            )
        return known

    def _stream(self, node: Node, scope: Scope) -> str:
        """The arguments that say which random numbers a node draws."""
        seed, offset = (self.value(v, Index(), scope) for v in node.inputs)
        return f"(uint64_t){seed}, (uint64_t){offset} + {node.attrs['index']}"

    def _lookup(self, node: Node, linear: Index, scope: Scope) -> str:
        """The table's value at a place that the index tells at run time."""
        table, index = node.inputs
        axis = node.attrs.get("axis", 0)
        if node.op.name == "take":
            coordinates = split(linear, node.output.shape)
            at = join(coordinates[: index.type.rank], index.shape)
            rest = [Index(), *coordinates[index.type.rank :]]
        else:
            at = linear
            rest = list(split(linear, index.shape))
            rest[axis] = Index()
        name = self.value(index, at, scope)
        place = Index.of(Var(name, table.shape[axis], "=", at)) * strides_of(table.shape)[axis]
        return self.value(table, place + join(rest, table.shape), scope)


def _is_load(value: Value) -> bool:
    """Whether ``value`` is read from memory as it is: views of an input, none of them with a padding of its own."""
    root, chain = view_chain(value)
    return root.producer is None and all(view.op.name != "slide" for view in chain)
