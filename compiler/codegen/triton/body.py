"""Evaluates the body of a fused node block by block: an index map goes down, the name of a block comes up.

A loop variable stands for a block of places, so the same expression that names one place in a scalar language names
all of them here; shapes follow from the variables by broadcasting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from compiler.codegen.triton.spelling import COMPUTE, HELPED, TYPES, index_text, literal, spell, var_text, variables
from compiler.domain import CHECKS
from compiler.index import Bound, Index, Var, broadcast, join, slide_bounds, split, strides_of, through_view
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.types import DType, f64

INDENT = "    "


class Scope:
    """A place where statements go, and what is known there. Names of the scope around it are known too.

    ``inner`` are the loop variables that exist from this scope on.
    """

    def __init__(self, inner: frozenset[str] = frozenset(), around: Scope | None = None) -> None:
        self.lines: list[str] = []
        self.inner = inner
        self.around = around
        self.known: dict[object, str] = {}

    def __call__(self, *lines: str) -> None:
        self.lines += lines

    def block(self, head: str, inside: list[str]) -> None:
        """A statement with a suite."""
        self(head, *(INDENT + line for line in inside))

    def find(self, key: object) -> str | None:
        scope: Scope | None = self
        while scope is not None:
            if key in scope.known:
                return scope.known[key]
            scope = scope.around
        return None


Reduction = Callable[[Node, Scope], str]


def _unexpected(node: Node, scope: Scope) -> str:
    raise AssertionError(f"{node!r} is read before it is computed")


class Body:
    """The expressions of one body graph.

    ``names`` gives the pointer of each body input, ``masks`` the name of the mask of each loop variable whose blocks
    reach beyond its end. ``reduction`` computes a reduction that later expressions use. ``depends`` has the loop
    variables along which each name varies.

    ``loaded`` collects what was read from memory where, ``checks`` what ``status0``, ``status1`` ... must point to, and
    ``draws`` the same for ``draw0`` ...: the numbers of draws stay out of the text, so that layers share their kernels.
    """

    def __init__(self, graph: Graph, names: Mapping[Value, str], masks: Mapping[str, str]) -> None:
        self.graph = graph
        self.names = names
        self.masks = masks
        self.reduction: Reduction = _unexpected
        self.checks: list[Node] = []
        self.draws: list[int] = []
        self.ops: dict[str, None] = {}
        self.loaded: set[tuple[Value, Index]] = set()
        self.depends: dict[str, frozenset[str]] = {v: frozenset({v}) for v in ("b", "c", "i", "j", "m", "n", "r")}
        self.counts: dict[str, int] = {}

    def fresh(self, prefix: str) -> str:
        number = self.counts[prefix] = self.counts.get(prefix, 0) + 1
        return f"{prefix}{number}"

    def value(self, value: Value, linear: Index, scope: Scope, guard: str = "") -> str:
        """An expression (a name or a literal) for elements ``linear`` of ``value``.

        ``guard`` names a further condition under which memory may be read.
        """
        node = value.producer
        if node is not None and node.op.name == "constant":
            return literal(node.attrs["value"], node.attrs["dtype"])
        scope = scope if guard else self._home(linear, scope)
        known = scope.find((value, linear, guard))
        if known is not None:
            return known
        if node is not None and node.op.name == "slide":
            return self._slide(node, linear, scope, guard)
        if node is not None and node.op.kind == "view":
            return self.value(node.inputs[0], through_view(node, linear), scope, guard)
        if node is None:
            self.loaded.add((value, linear))
            name = self.assign(scope, "x", self._read(value, index_text(linear), variables(linear), guard))
        elif node.op.kind == "reduce":
            name = self.reduction(node, scope)
        elif node.op.name in ("concat", "slice_scatter"):
            name = self._pieces(node, linear, scope, guard)
        else:
            self.ops[node.op.name] = None
            text = self._compute(node, linear, scope, guard)
            name = text if text in self.depends else self.assign(scope, node.op.name, text)
        scope.known[value, linear, guard] = name
        return name

    def _slide(self, node: Node, linear: Index, scope: Scope, guard: str) -> str:
        """Elements of an image, or what stands outside it."""
        place = through_view(node, linear)
        bounds = slide_bounds(node, linear)
        if any(b.size == 0 for b in bounds):
            return literal(node.attrs["fill"], node.output.dtype)
        names = [self._bound(b, scope) for b in bounds if not b.always]
        if not names:
            return self.value(node.inputs[0], place, scope, guard)
        inside = " & ".join([*([guard] if guard else []), *names])
        seen = self.value(node.inputs[0], place, scope, inside)
        fill = literal(node.attrs["fill"], node.output.dtype)
        return self.assign(scope, "seen", f"tl.where({inside}, {seen}, {fill})")

    def _bound(self, bound: Bound, scope: Scope) -> str:
        """The name of a condition."""
        scope = self._home(bound.index, scope)
        known = scope.find(bound)
        if known is None:
            place = index_text(bound.index)
            tests = [f"({place} >= 0)"] * (bound.index.bottom < 0)
            tests += [f"({place} < {bound.size})"] * (bound.index.top >= bound.size)
            tests += [f"(({place}) % {bound.step} == 0)"] * (bound.step > 1)
            known = scope.known[bound] = self.assign(scope, "inside", " & ".join(tests))
        return known

    def assign(self, scope: Scope, prefix: str, text: str) -> str:
        """A new name for ``text``."""
        name = self.fresh(prefix)
        scope(f"{name} = {text}")
        self.depends[name] = self.roots(re.findall(r"[a-z_]\w*", text))
        return name

    def roots(self, names: Iterable[str]) -> frozenset[str]:
        """The loop variables behind ``names``."""
        return frozenset().union(*(self.depends.get(n, frozenset()) for n in names))

    def _home(self, linear: Index, scope: Scope) -> Scope:
        """The outermost scope in which ``linear`` means something."""
        used = self.roots(variables(linear))
        while scope.around is not None and not (scope.inner & used):
            scope = scope.around
        return scope

    def mask(self, names: Iterable[str], guard: str = "") -> str:
        """``, mask=...`` for an access at a place made of ``names``, or nothing."""
        roots = self.roots(names)
        masks = [m for v, m in self.masks.items() if v in roots] + ([guard] if guard else [])
        return f", mask={' & '.join(masks)}" if masks else ""

    def _read(self, value: Value, place: str, names: frozenset[str], guard: str) -> str:
        pointer = self.names[value]
        where = pointer if place == "0" else f"{pointer} + {place}"
        text = f"tl.load({where}{self.mask(names, guard)})"
        return f"{text}.to(tl.float32)" if value.dtype.is_half else text

    def store(self, scope: Scope, pointer: str, value: Value, linear: Index, where: Index | None = None) -> None:
        """Write elements ``linear`` of ``value`` to elements ``where`` (the same, if None) of ``pointer``."""
        text = self.value(value, linear, scope)
        text = self._with_type(text, value.dtype) if value.dtype is f64 else text
        place = index_text(linear if where is None else where)
        target = pointer if place == "0" else f"{pointer} + {place}"
        scope(f"tl.store({target}, {text}{self.mask(variables(linear))})")

    def _compute(self, node: Node, linear: Index, scope: Scope, guard: str) -> str:
        name, shape = node.op.name, node.output.shape
        if name == "iota":
            return self._whole(split(linear, shape)[node.attrs["axis"]])
        if name == "uniform":
            return self._uniform(node, linear, scope)
        if name in ("take", "gather"):
            return self._lookup(node, linear, scope, guard)
        operands = [self.value(v, broadcast(linear, shape, v.shape), scope, guard) for v in node.inputs]
        if name == "cast":
            return self._cast(operands[0], node.inputs[0].dtype, node.output.dtype)
        if name in CHECKS:
            return self._checked(node, operands[0], linear, scope)
        first = 1 if name == "where" else 0
        for k in range(first, len(operands)):
            # A literal has no type of its own: helpers and other literals need one, float64 in all functions.
            helped = name in HELPED or (name in ("maximum", "minimum") and node.output.dtype is f64)
            if helped or not self._typed(operands[first:]):
                operands[k] = self._with_type(operands[k], node.inputs[k].dtype)
        return self.rounded(spell(name, node.inputs[-1].dtype, operands), node.output.dtype)

    def _with_type(self, operand: str, dtype: DType) -> str:
        """A name as it is, a literal as a scalar of ``dtype``."""
        return operand if operand in self.depends else f"tl.full((), {operand}, {COMPUTE[dtype]})"

    def _typed(self, operands: list[str]) -> bool:
        return any(x in self.depends or x.startswith("tl.full(") for x in operands)

    @staticmethod
    def rounded(text: str, dtype: DType) -> str:
        """``text`` rounded to a 16-bit float, as the IR says after every op, and held in float32."""
        if not dtype.is_half:
            return text
        wrapped = text if text.isidentifier() or text.startswith("tl.full(") else f"({text})"
        return f"{wrapped}.to({TYPES[dtype]}).to(tl.float32)"

    def _cast(self, operand: str, source: DType, to: DType) -> str:
        if to.kind == "bool":
            return f"{operand} != 0"
        operand = self._with_type(operand, source)
        if to.is_half:
            return f"{operand}.to({TYPES[to]}).to(tl.float32)"
        if source.kind == "float" and to.kind == "int":
            return f"truncated({operand}, {TYPES[to]})"
        return operand if COMPUTE[source] == COMPUTE[to] else f"{operand}.to({COMPUTE[to]})"

    @staticmethod
    def _whole(index: Index) -> str:
        """An index as a number of type int64."""
        if not index.terms:
            return f"tl.full((), {index.constant}, tl.int64)"
        text = index_text(index)
        if index.top >= 2**31:  # the sum itself needs 64 bits
            terms = [f"{var_text(var)}.to(tl.int64) * {c}" for var, c in index.terms]
            return " + ".join([*terms, str(index.constant)]).replace("+ -", "- ")
        return f"{text}.to(tl.int64)" if text.isidentifier() else f"({text}).to(tl.int64)"

    def _checked(self, node: Node, operand: str, linear: Index, scope: Scope) -> str:
        """Reports the first place that is not as it must be, and goes on with index 0 or divisor 1 there."""
        if node not in self.checks:
            self.checks.append(node)
        mask = self.mask(variables(linear)).removeprefix(", mask=") or "True"
        status = f"status{self.checks.index(node)}"
        right, other = f"{operand} != 0", 1
        if node.op.name == "bounded":
            right, other = f"({operand} >= 0) & ({operand} < {node.attrs['size']})", 0
        name = self.assign(scope, "right", right)
        scope(f"report({status}, {operand}, {self._whole(linear)}, {mask} & ({name} == 0))")
        return f"tl.where({name}, {operand}, {other})"

    def _uniform(self, node: Node, linear: Index, scope: Scope) -> str:
        seed, offset = (self.value(v, Index(), scope) for v in node.inputs)
        element = index_text(linear) if linear.terms and linear.top < 2**31 else self._whole(linear)
        if node.attrs["index"] not in self.draws:
            self.draws.append(node.attrs["index"])
        draw = self.draws.index(node.attrs["index"])
        return f"uniform({seed}, {offset} + tl.load(draw{draw}), {element})"

    def _lookup(self, node: Node, linear: Index, scope: Scope, guard: str) -> str:
        """A read of the first operand at a place that the second one says."""
        table, index = node.inputs
        coordinates = split(linear, node.output.shape)
        axis, at = node.attrs.get("axis", 0), linear
        rest = list(coordinates)
        if node.op.name == "take":
            at = join(coordinates[: index.type.rank], index.shape)
            rest = [Index(), *coordinates[index.type.rank :]]
        rest[axis] = Index()
        name = self.value(index, at, scope, guard)
        place = Index.of(Var(name, table.shape[axis], "=", at)) * strides_of(table.shape)[axis]
        return self.value(table, place + join(rest, table.shape), scope, guard)

    def _pieces(self, node: Node, linear: Index, scope: Scope, guard: str) -> str:
        """``concat`` and ``slice_scatter``: each place reads the one operand it comes from."""
        self.ops[node.op.name] = None
        coordinates = list(split(linear, node.output.shape))
        if node.op.name == "slice_scatter":
            base, part = node.inputs
            if not part.type.size:
                return self.value(base, linear, scope, guard)
            inside, moved = self._in_slice(node, coordinates, part, scope)
            both = f"{guard} & {inside}" if guard else inside
            old = self.value(base, linear, scope, guard)
            new = self.value(part, join(moved, part.shape), scope, both)
            return self.assign(scope, "joined", f"tl.where({inside}, {new}, {old})")
        axis = node.attrs["axis"]
        text, start = "", 0
        for part in node.inputs:
            if not part.type.size:
                continue
            local, inside = self._local(coordinates[axis].shifted(-start), 1, part.shape[axis], scope)
            both = f"{guard} & {inside}" if guard else inside
            moved = [local if a == axis else c for a, c in enumerate(coordinates)]
            piece = self.value(part, join(moved, part.shape), scope, both)
            text = f"tl.where({inside}, {piece}, {text})" if text else piece
            start += part.shape[axis]
        return self.assign(scope, "joined", text)

    def _in_slice(self, node: Node, coordinates: list[Index], part: Value, scope: Scope) -> tuple[str, list[Index]]:
        """The condition that a place lies in a slice, and its coordinates there."""
        moved, conditions = [], []
        steps = zip(coordinates, node.attrs["start"], node.attrs["step"], part.shape, node.output.shape, strict=True)
        for coordinate, start, step, size, whole in steps:
            if (start, step, size) == (0, 1, whole):
                moved.append(coordinate)
                continue
            local, inside = self._local(coordinate.shifted(-start), step, size, scope)
            moved.append(local)
            conditions.append(inside)
        if not conditions:
            return "True", moved
        return self.assign(scope, "inside", " & ".join(conditions)), moved

    def _local(self, distance: Index, step: int, size: int, scope: Scope) -> tuple[Index, str]:
        """Position ``distance / step`` in a slice of ``size`` places, and the name of the condition that it exists."""
        key = (distance, step, size)
        found = scope.find(key)
        if found is None:
            found = self.fresh("at")
            scope.known[key] = found
            text = index_text(distance)
            scope(f"{found} = {text}" if step == 1 else f"{found} = ({text}) // {step}")
            condition = f"({found} >= 0) & ({found} < {size})"
            if abs(step) != 1:
                condition += f" & ({found} * {step} == {text})"
            scope(f"in_{found} = {condition}")
            self.depends[found] = self.depends[f"in_{found}"] = self.roots(variables(distance))
        # Of a single place too many blocks of places are made, all but one outside.
        return Index.of(Var(found, max(size, 2))), f"in_{found}"
