"""Fused nodes as serial loops, one kernel for each kind; sums run in f64 and are rounded once."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from compiler.codegen.body import Scope as AnyScope
from compiler.codegen.kernel import Kernel
from compiler.index import Index, Var, join, split
from compiler.ir.graph import Node
from compiler.ir.op import OPS
from compiler.ir.types import DType
from tests.serial.spelling import STORAGE, Body, Scope, spell


def loop(variable: str, size: int, inside: Sequence[str]) -> list[str]:
    """A loop from 0 to ``size``."""
    head = f"for (int64_t {variable} = 0; {variable} < {size}; {variable}++) {{"
    return [head, *("  " + line for line in inside), "}"]


def function(node: Node) -> tuple[str, list[Node]]:
    """The kernel of a fused node, with NAME for its name, and its checks; it takes the number of the first of them."""
    printer = _Printer(node)
    own = {"contract": printer.product, "scatter": printer.scatter, "scan": printer.scan, "sort": printer.sort}
    lines = own.get(node.attrs["kind"], printer.loops)()
    parameters = [f"const {STORAGE[v.dtype]} *a{i}" for i, v in enumerate(node.inputs)]
    parameters += [f"{STORAGE[v.dtype]} *o{i}" for i, v in enumerate(node.outputs)]
    head = f"static void NAME({', '.join(parameters)}, long long *status, int check) {{"
    return "\n".join([head, *("  " + line for line in lines), "}\n"]), printer.body.checks


def wide(dtype: DType) -> str:
    """The type of running results."""
    return "double" if dtype.kind == "float" else "int64_t"


def joined(op: str, dtype: DType, total: str, term: str) -> str:
    """The statement that joins ``term`` to a running result, as the record of the reduction says."""
    return f"{total} = {spell(OPS[op].join, dtype, [term, total])};"


class _Printer:
    def __init__(self, node: Node) -> None:
        assert node.body is not None
        self.node, self.graph = node, node.body
        self.body = Body(self.graph)

    # Loops over rows and columns

    def loops(self) -> list[str]:
        kernel = self.kernel = Kernel(self.node)
        top = Scope()
        rows = self.rows = Scope("r", top) if kernel.rows != 1 else top
        inner, body = Scope("c", rows), self.body
        body.reduced = self.reduce
        ends: tuple[list[str], list[str]] = [], []  # of rows and elements: a result may overwrite an operand
        for value, sink in kernel.sinks.items():
            assert value.producer is not None
            each = kernel.per_element(value.producer)
            place = f"s{sink.output}[{'c' if each and sink.width > 1 else 0}]"
            at = kernel.operand_place(value.producer)
            name = body.value(value.producer.inputs[0], at, inner if each else rows)
            ends[each].append(joined(sink.op, sink.dtype, place, name))
        for i, value in [(i, v) for i, v in enumerate(kernel.outputs) if not kernel.is_sink(v)]:
            each = i in kernel.stored
            place = kernel.element() if each else kernel.row_place(value)
            name = body.value(value, place, inner if each else rows)
            ends[each].append(body.stored(f"o{i}[{body.index(place)}]", name, value.dtype))
        rows(*loop("c", kernel.columns, inner.lines + ends[True]), *ends[False])
        lines = top.lines if rows is top else top.lines + loop("r", kernel.rows, rows.lines)
        before, behind = [], []
        for sink in kernel.sinks.values():
            total, rounded = f"s{sink.output}[c]", body.narrowed(f"s{sink.output}[c]", sink.dtype)
            before.append(f"static {wide(sink.dtype)} s{sink.output}[{max(sink.width, 1)}];")
            neutral = body.literal(OPS[sink.op].neutral(sink.dtype), sink.dtype)
            before += loop("c", sink.width, [f"{total} = {neutral};"])
            behind += loop("c", sink.width, [body.stored(f"o{sink.output}[c]", rounded, sink.dtype)])
        return [*before, *lines, *behind]

    def reduce(self, node: Node, scope: AnyScope) -> str:
        """A reduction along a row: a loop of its own in front of the expressions that read it."""
        kernel, inner, result = self.kernel, Scope("c", self.rows), node.output.dtype
        term = self.body.value(node.inputs[0], kernel.operand_place(node), inner)
        name = self.body.fresh("total")
        if node.op.finds:
            better = f"{term} {'>' if OPS[node.op.finds].join == 'maximum' else '<'} best_{name}"
            self.rows(f"{wide(node.inputs[0].dtype)} best_{name} = 0;", f"int64_t {name} = 0;")
            inner(
                f"if (c == 0 || {better} || ({term} != {term} && best_{name} == best_{name}))",
                f"  best_{name} = {term}, {name} = c;",
            )
        else:
            self.rows(f"{wide(result)} {name} = {self.body.literal(node.op.neutral(result), result)};")
            inner(joined(node.op.name, result, name, term))
        self.rows(*loop("c", kernel.columns if kernel.per_element(node) else 1, inner.lines))
        return self.body.assign(self.rows, "reduced", self.body.narrowed(name, result), result)

    # Products, scans and scatters

    def scan(self) -> list[str]:
        (value,) = self.graph.outputs
        node = value.producer
        assert node is not None
        axis, shape = node.attrs["axis"], value.shape
        r, n, c = (
            Index.of(Var(name, size))
            for name, size in zip("rnc", (prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])), strict=True)
        )
        each, place = Scope("n"), (r * shape[axis] + n) * prod(shape[axis + 1 :]) + c
        *factors, term = [self.body.value(v, place, each) for v in node.inputs]
        kind, neutral = wide(value.dtype), self.body.literal(node.op.neutral(value.dtype), value.dtype)
        each(f"total = {spell(node.op.join, value.dtype, [' * '.join(['total', *factors]), term])};")
        each(self.body.stored(f"o0[{self.body.index(place)}]", "total", value.dtype))
        lane = [f"{kind} total = {neutral};", *loop("n", shape[axis], each.lines)]
        return loop("r", prod(shape[:axis]), loop("c", prod(shape[axis + 1 :]), lane))

    def product(self) -> list[str]:
        dot = next(n for n in self.graph.nodes if n.op.kind == "contract")
        left, right = dot.inputs
        *batch, m, k = left.shape
        n = right.shape[-1]
        b, i, j, along = (Index.of(Var(name, size)) for name, size in zip("bijk", (prod(batch), m, n, k), strict=True))
        tile, inner = Scope("bij"), Scope("bijk")
        lead = split(b, tuple(batch))
        x = self.body.value(left, join([*lead, i, along], left.shape), inner)
        y = self.body.value(right, join([*lead, along, j], right.shape), inner)
        inner(f"acc += ({wide(dot.output.dtype)}){x} * {y};")
        tile(f"{wide(dot.output.dtype)} acc = 0;", *loop("k", k, inner.lines))
        place = join([*lead, i, j], dot.output.shape)
        result = self.body.narrowed("acc", dot.output.dtype)
        tile.known[dot.output, place] = self.body.assign(tile, "dot", result, dot.output.dtype)
        names = [self.body.value(value, place, tile) for value in self.graph.outputs]
        for number, (name, value) in enumerate(zip(names, self.graph.outputs, strict=True)):
            tile(self.body.stored(f"o{number}[{self.body.index(place)}]", name, value.dtype))
        return loop("b", prod(batch), loop("i", m, loop("j", n, tile.lines)))

    def sort(self) -> list[str]:
        """The place of each element is the number of those before it."""
        node = self.graph.outputs[0].producer
        assert node is not None
        (x,), count = node.inputs, node.attrs["count"]
        length = x.shape[-1]
        r, each, pair = Index.of(Var("r", x.type.size // max(length, 1))) * length, Scope("c"), Scope("n")
        pair.around = each
        mine, other = (
            self.body.value(x, r + Index.of(Var(name, length)), scope) for name, scope in (("c", each), ("n", pair))
        )
        low, high = (mine, other) if node.attrs["descending"] else (other, mine)
        less, more = (f"{a} < {b} || ({b} != {b} && {a} == {a})" for a, b in ((low, high), (high, low)))
        pair(f"place += {less} || (!({more}) && n < c);")
        each("long place = 0;", *loop("n", length, pair.lines), f"if (place < {count}) o0[r * {count} + place] = c;")
        return loop("r", x.type.size // max(length, 1), loop("c", length, each.lines))

    def scatter(self) -> list[str]:
        """``scatter_rows``, and scatters along an axis, in the order of the index."""
        (value,) = self.graph.outputs
        node = value.producer
        assert node is not None
        size, base, each = value.type.size, Scope("i"), Scope("n")
        index, source = node.inputs[-2:]
        n = Index.of(Var("n", source.type.size))
        first = "0"
        if len(node.inputs) == 2:
            width = prod(source.shape[index.type.rank :])
            row, column = n.divmod(width)
            place = f"{self.body.value(index, row, each)} * {width} + {self.body.index(column)}"
        else:
            first = self.body.value(node.inputs[0], Index.of(Var("i", size)), base)
            axis, coordinates = node.attrs["axis"], list(split(n, source.shape))
            coordinates[axis] = Index()
            rest, step = self.body.index(join(coordinates, value.shape)), prod(value.shape[axis + 1 :])
            place = f"{self.body.value(index, n, each)} * {step} + {rest}"
        term, target = self.body.value(source, n, each), f"sums[{place}]"
        joined = spell(node.op.join, value.dtype, [target, term]) if node.op.join else term
        each(f"{target} = {self.body.narrowed(joined, value.dtype) if value.dtype.kind != 'float' else joined};")
        end = self.body.stored("o0[i]", self.body.narrowed("sums[i]", value.dtype), value.dtype)
        return [
            f"static {wide(value.dtype)} sums[{max(size, 1)}];",
            *loop("i", size, [*base.lines, f"sums[i] = {first};"]),
            *loop("n", source.type.size, each.lines),
            *loop("i", size, [end]),
        ]
