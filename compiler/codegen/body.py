"""The walk of a fused node's body, for every target: an index map goes down, the name of an expression comes up.

A target says how an expression is spelled: it derives from :class:`Body` and gives it what raises NotImplementedError
there. Loop variables may stand for one place or for a block of places: the walk is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.codegen.indices import bracketed, index_text
from compiler.domain import looked_up
from compiler.index import Bound, Index, Var, broadcast, join, slide_bounds, split, through_view, view_chain
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.types import DType, boolean, i64
from compiler.ops.structure import is_constant

LONG = 100  # ops of a body from which on it is evaluated from the bottom


class Scope:
    """A place where statements go, and the names known there. Names of the scope around it are known too.

    ``inner`` are the loop variables that exist from this scope on.
    """

    def __init__(self, inner: frozenset[str] = frozenset(), around: Scope | None = None) -> None:
        self.inner = inner
        self.around = around
        self.known: dict[object, str] = {}

    def __call__(self, *lines: str) -> None:
        """Add statements."""
        raise NotImplementedError

    def define(self, kind: str, name: str, text: str) -> str:
        """Give an expression of the target's type ``kind`` a name here; returns how it is spelled."""
        raise NotImplementedError

    def find(self, key: object) -> str | None:
        """The value under ``key``, here or around."""
        scope: Scope | None = self
        while scope is not None:
            if key in scope.known:
                return scope.known[key]
            scope = scope.around
        return None


class Body:
    """The expressions of one body graph.

    Values that a loop has produced before (reductions, row buffers) are put into a scope's ``known`` under
    ``(value, index)``.

    Attributes:
        names: the pointer of each body input: a0, a1 ...
        loaded: what was read from memory, and where.
        ops: the names of the ops that were evaluated, in order.
        checks: the checks that were evaluated; a check is known by its number here.
    """

    divide: str  # the operator for quotients of whole numbers
    zero_outside = False  # whether a guarded load gives zero where it may not read

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.names = {value: f"a{i}" for i, value in enumerate(graph.inputs())}
        self.loaded: set[tuple[Value, Index]] = set()
        self.ops: dict[str, None] = {}
        self.checks: list[Node] = []
        self.defined: set[str] = set()
        self.counts: dict[str, int] = {}
        self.order = {n.outputs[0]: i for i, n in enumerate(graph.nodes)} if len(graph.nodes) > LONG else {}

    @property
    def used(self) -> list[int]:
        """The inputs that were read from memory, by number."""
        read = {value for value, _ in self.loaded}
        return [i for i, value in enumerate(self.graph.inputs()) if value in read]

    # Left to the target

    def kind(self, dtype: DType) -> str:
        """The type of local variables that hold ``dtype``."""
        raise NotImplementedError

    def literal(self, value: float | int | bool, dtype: DType) -> str:
        """A constant."""
        raise NotImplementedError

    def whole(self, index: Index) -> str:
        """An index as a value of type i64."""
        return self.index(index)

    def load(self, value: Value, linear: Index, guard: str) -> str:
        """Element ``linear`` of a body input, in memory; it may be read where ``guard``, if there is one, holds."""
        raise NotImplementedError

    def select(self, condition: str, yes: str, no: str) -> str:
        """A choice between two expressions."""
        raise NotImplementedError

    def cast(self, operand: str, source: DType, to: DType) -> str:
        """A conversion; :meth:`rounded` follows."""
        raise NotImplementedError

    def spelled(self, node: Node, operands: list[str]) -> str:
        """A pointwise op."""
        raise NotImplementedError

    def rounded(self, text: str, node: Node) -> str:
        """What :meth:`exact` gave for ``node``, as a value of its type."""
        raise NotImplementedError

    def checked(self, node: Node, number: int, operand: str, linear: Index, scope: Scope) -> str:
        """``operand``, or a harmless number in its place after check ``number`` has reported it."""
        raise NotImplementedError

    def uniform(self, node: Node, linear: Index, scope: Scope) -> str:
        """Element ``linear`` of random numbers in [0, 1)."""
        raise NotImplementedError

    def reduction(self, node: Node, scope: Scope) -> str:
        """The result of a reduction that is not known yet."""
        raise AssertionError(f"{node!r} is read before the loop that computes it")

    def variables(self, index: Index) -> frozenset[str]:
        """The loop variables along which an index varies."""
        return index.variables

    def index(self, index: Index) -> str:
        """An index as an expression."""
        return index_text(index, self.divide)

    # The walk

    def value(self, value: Value, linear: Index, scope: Scope, guard: str = "") -> str:
        """An expression (a name or a literal) for element ``linear`` of ``value``.

        ``guard`` is a condition under which memory may be read; elsewhere the result is any number.
        """
        node = value.producer
        if node is not None and is_constant(value):
            return self.literal(node.attrs["value"], node.attrs["dtype"])
        scope = scope if guard else self.home(linear, scope)
        key = (value, linear, guard) if guard else (value, linear)
        known = scope.find(key)
        if known is not None:
            return known
        if node is not None and node.op.kind == "view":
            if node.op.reads == "window":
                return self._slide(node, linear, scope, guard)
            return self.value(node.inputs[0], through_view(node, linear), scope, guard)
        if node is None:
            self.loaded.add((value, linear))
            name = self.assign(scope, "x", self.load(value, linear, guard), value.dtype)
        elif node.op.kind == "reduce":
            name = self.reduction(node, scope)
        else:
            if self.order and not guard:
                self._from_the_bottom(value, linear, scope)
            name = self._computed(node, linear, scope, guard)
        scope.known[key] = name
        return name

    def know(self, value: Value, linear: Index, name: str, scope: Scope) -> None:
        """``name`` is element ``linear`` of ``value`` in ``scope``."""
        self.home(linear, scope).known[value, linear] = name

    def exact(self, node: Node, linear: Index, scope: Scope, guard: str = "") -> str:
        """Element ``linear`` of a pointwise op, before it is rounded to its type."""
        op, shape = node.op, node.output.shape
        if op.is_free:
            return self.whole(split(linear, shape)[node.attrs["axis"]])
        if op.kind == "random":
            return self.uniform(node, linear, scope)
        operands = [self.value(v, broadcast(linear, shape, v.shape), scope, guard) for v in node.inputs]
        if op.converts:
            return self.cast(operands[0], node.inputs[0].dtype, node.output.dtype)
        if op.checks:
            if node not in self.checks:
                self.checks.append(node)
            return self.checked(node, self.checks.index(node), operands[0], linear, scope)
        return self.spelled(node, operands)

    def assign(self, scope: Scope, prefix: str, text: str, dtype: DType) -> str:
        """A new name for ``text``."""
        name = scope.define(self.kind(dtype), self.fresh(prefix), text)
        self.defined.add(name)
        return name

    def fresh(self, prefix: str) -> str:
        """A name that no other has."""
        number = self.counts[prefix] = self.counts.get(prefix, 0) + 1
        return f"{prefix}{number}"

    def home(self, linear: Index, scope: Scope) -> Scope:
        """The outermost scope in which ``linear`` means something."""
        used = self.variables(linear)
        while scope.around is not None and not (scope.inner & used):
            scope = scope.around
        return scope

    def _computed(self, node: Node, linear: Index, scope: Scope, guard: str) -> str:
        self.ops[node.op.name] = None
        if node.op.is_lookup:
            return self._lookup(node, linear, scope, guard)
        if node.op.reads == "parts":
            return self._concat(node, linear, scope, guard)
        if node.op.reads == "slice":
            return self._slice_scatter(node, linear, scope, guard)
        text = self.rounded(self.exact(node, linear, scope, guard), node)
        return text if text in self.defined else self.assign(scope, node.op.name, text, node.output.dtype)

    def _from_the_bottom(self, value: Value, linear: Index, scope: Scope) -> None:
        """Evaluate what ``value`` is computed from, in program order: a chain may be longer than Python's stack."""
        found: set[tuple[Value, Index]] = set()
        pending = [(value, linear)]
        while pending:
            step, index = pending.pop()
            node = step.producer
            if node is None or (step, index) in found or self.home(index, scope).find((step, index)) is not None:
                continue
            if node.op.kind == "view" and node.op.reads != "window":
                pending.append((node.inputs[0], through_view(node, index)))
            elif node.op.kind == "pointwise":
                found.add((step, index))
                pending += [(v, broadcast(index, node.output.shape, v.shape)) for v in node.inputs]
        for step, index in sorted(found - {(value, linear)}, key=lambda f: self.order[f[0]]):
            self.value(step, index, scope)

    # Windows

    def _slide(self, node: Node, linear: Index, scope: Scope, guard: str) -> str:
        """An element of an image, or what stands outside it; each bound is looked at as far out as it is known."""
        source, dtype = node.inputs[0], node.output.dtype
        bounds = slide_bounds(node, linear)
        fill = self.literal(node.attrs["fill"], dtype)
        if any(b.size == 0 for b in bounds):
            return fill
        place = through_view(node, linear)
        inside = " & ".join([*([guard] if guard else []), *(self._bound(b, scope) for b in bounds if not b.always)])
        seen = self.value(source, place, scope, inside)
        if inside == guard or (self.zero_outside and node.attrs["fill"] == 0 and _is_load(source)):
            return seen
        return self.assign(scope, "seen", self.select(inside, seen, fill), dtype)

    def _bound(self, bound: Bound, scope: Scope) -> str:
        """The name of a condition."""
        scope = self.home(bound.index, scope)
        known = scope.find(bound)
        if known is None:
            place = self.index(bound.index)
            tests = [f"{place} >= 0"] * (bound.index.bottom < 0)
            tests += [f"{place} < {bound.size}"] * (bound.index.top >= bound.size)
            tests += [f"{bracketed(place)} % {bound.step} == 0"] * (bound.step > 1)
            known = scope.known[bound] = self._condition(scope, tests)
        return known

    def _condition(self, scope: Scope, tests: Sequence[str]) -> str:
        """The name of the condition that all ``tests`` hold."""
        return self.assign(scope, "inside", " & ".join(f"({t})" for t in tests), boolean)

    # Lookups and concatenations

    def _lookup(self, node: Node, linear: Index, scope: Scope, guard: str) -> str:
        """The table's value at a place that the index tells at run time."""
        table, index = node.inputs
        at, place = looked_up(node, linear)
        return self.value(table, place(self.value(index, at, scope, guard)), scope, guard)

    def _concat(self, node: Node, linear: Index, scope: Scope, guard: str) -> str:
        """Each place reads the one operand it comes from."""
        axis, coordinates = node.attrs["axis"], split(linear, node.output.shape)
        text, start = "", 0
        for part in node.inputs:
            if not part.type.size:
                continue
            local, inside = self._local(coordinates[axis].shifted(-start), 1, part.shape[axis], scope)
            both = f"{guard} & {inside}" if guard else inside
            moved = [local if a == axis else c for a, c in enumerate(coordinates)]
            piece = self.value(part, join(moved, part.shape), scope, both)
            text = self.select(inside, piece, text) if text else piece
            start += part.shape[axis]
        return self.assign(scope, "joined", text, node.output.dtype)

    def _slice_scatter(self, node: Node, linear: Index, scope: Scope, guard: str) -> str:
        """The second operand where its slice of the first one is, the first operand elsewhere."""
        base, part = node.inputs
        old = self.value(base, linear, scope, guard)
        if not part.type.size:
            return old
        moved, tests = [], []
        start, step, shape = node.attrs["start"], node.attrs["step"], node.output.shape
        for c, a, s, n, whole in zip(split(linear, shape), start, step, part.shape, shape, strict=True):
            if (a, s, n) == (0, 1, whole):
                moved.append(c)
                continue
            local, inside = self._local(c.shifted(-a), s, n, scope)
            moved.append(local)
            tests.append(inside)
        inside = " & ".join(tests)
        both = " & ".join([guard] * bool(guard) + tests)
        new = self.value(part, join(moved, part.shape), scope, both)
        return self.assign(scope, "joined", self.select(inside, new, old), node.output.dtype) if inside else new

    def _local(self, distance: Index, step: int, size: int, scope: Scope) -> tuple[Index, str]:
        """Position ``distance / step`` in a slice of ``size`` places, and the name of the condition that it exists."""
        key = (distance, step, size)
        found, condition = scope.find((key, "at")), scope.find((key, "inside"))
        if found is None or condition is None:
            text = self.index(distance)
            found = self.assign(scope, "at", text if step == 1 else f"{bracketed(text)} {self.divide} {step}", i64)
            # If the quotient is not whole, any number near it does: the last test fails then.
            tests = [f"{found} >= 0", f"{found} < {size}"] + [f"{found} * {step} == {text}"] * (abs(step) != 1)
            condition = self._condition(scope, tests)
            scope.known[key, "at"], scope.known[key, "inside"] = found, condition
        # For a single place too many blocks of places are made, all but one outside.
        return Index.of(Var(found, max(size, 2), "=", distance)), condition


def _is_load(value: Value) -> bool:
    """Whether ``value`` is read from memory as it is: views of an input, none of them with a padding of its own."""
    root, chain = view_chain(value)
    return root.producer is None and all(view.op.reads != "window" for view in chain)
