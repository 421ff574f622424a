"""Attention that never stores its scores, forward and backward.

T. Dao et al., "FlashAttention: fast and memory-efficient exact attention with IO-awareness", 2022, and T. Dao,
"FlashAttention-2", 2023: a program holds a block of queries and walks over the keys, keeping the largest score and the
sum so far of each row; the backward pass computes the scores again from the log-sum-exp. One program writes each
block of a gradient, so nothing is added up by atomics. Exponentials are powers of two, their factor is in the scale.
All gradients are one launch: programs for queries and programs for keys read the same memory at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, prod
from typing import Any

from compiler.codegen.indices import bracketed
from compiler.codegen.sizes import ceil_div, power_of_two
from compiler.codegen.triton.body import Body, Scope
from compiler.codegen.triton.combine import Combine
from compiler.codegen.triton.matmul import numbers, programs
from compiler.codegen.triton.spelling import TYPES, index_text, variable, widened
from compiler.codegen.triton.task import Argument, Part, Task, extra_arguments, memory, task_of
from compiler.domain import reduction_of
from compiler.index import Index, Var, broadcast, matrix_strides, split, view_chain
from compiler.ir.graph import Node, Value
from compiler.ir.op import Op
from compiler.ir.types import TensorType, boolean, f32
from compiler.layout import Window, Windows, pieces
from compiler.ops.contract import attention_scale
from compiler.placement import Scratch
from compiler.processors import GPUS
from compiler.sharing import Shareable

Operand = tuple[str, tuple[int, ...]]
"""A pointer to the rows of a head, and the strides of a row and along it."""

LOG2E = 1 / log(2)
WIDEST = 256  # elements of a head up to which blocks fit into a multiprocessor
NOTHING = 'float("-inf")'


def claims(op: Op, inputs: Sequence[Value], attrs: dict[str, Any]) -> bool:
    """The composites that have a Triton template of their own."""
    if op.anchor != "attention":
        return False
    query, key, values = inputs[:3]
    if not (query.dtype.is_half or query.dtype is f32) or attrs["dropout"] == 1:
        return False
    return max(query.shape[-1], values.shape[-1]) <= WIDEST and min(v.type.size for v in (query, key, values)) > 0


def attention_tasks(node: Node, target: str, windows: Windows) -> list[Task | Shareable]:
    """The launch of an attention node, and those that join its sums."""
    op = next(n for n in node.inner.nodes if n.op.anchor == "attention")
    if not op.op.gradient:
        return [_Kernel(node, op, target, windows, "forward").forward()]
    sums = [_Sum(i, v, node) for i, v in enumerate(node.inner.outputs) if reduction_of(v) is not None]
    queries, keys = (_Kernel(node, op, target, windows, kind, sums) for kind in ("query_gradient", "key_gradients"))
    total = queries.blocks + keys.blocks
    queries.query_gradient(total)
    keys.key_gradients(queries.blocks, total)
    return [_gradients(queries, keys), *(combine for one in sums for combine in one.combines)]


@dataclass(frozen=True)
class Block:
    """Queries and keys that a program holds at a time, and its launch options."""

    queries: int
    keys: int
    warps: int
    stages: int


def block(kind: str, half: bool, dropout: bool, queries: int, keys: int, depth: int, lanes: int = 32) -> Block:
    """Sizes of blocks as in the kernels of FlashAttention-2, less where the problem is small; a warp has ``lanes``.

    The block held throughout is long, the block walked over so short that nothing spills. Products of float32 run
    outside the tensor cores and take more registers, and so do random numbers, and gradients of long heads. AMD's loads
    ahead of their use stay in registers too.
    """
    forward = kind == "forward"
    held, walked = (128, 64 if forward else 32) if half else (64, 32)
    if dropout or (not forward and depth > 64):
        held, walked = 64, 32
    if depth > (128 if half else 64):
        held, walked = (64 if forward and half else 32), (32 if half else 16)
    warps = 8 if held * depth >= (8192 if half else 4096) else 4
    long = depth > 128 and not forward
    if long:
        held, warps = walked, 256 // lanes
    rows, columns = (held, walked) if kind != "key_gradients" else (walked, held)
    rows, columns = max(16, min(rows, power_of_two(queries))), max(16, min(columns, power_of_two(keys)))
    return Block(rows, columns, warps, stages=1 if long and lanes > 32 else 2)


class _Sum:
    """A sum over the rows of packed gradients: every program leaves the sums of its block.

    A row is a query or key of one number of the batch, and has the elements of all its heads.
    """

    def __init__(self, number: int, output: Value, node: Node) -> None:
        reduction = reduction_of(output)
        assert reduction is not None
        self.number, self.node, self.target = number, node, node.outputs[number]
        packed, _ = view_chain(reduction.inputs[0])
        while packed.producer is not None and packed.producer.op.converts:
            packed, _ = view_chain(packed.producer.inputs[0])
        self.width, self.dtype = packed.shape[-1], packed.dtype
        self.parts = {root: (offset, strides) for root, offset, strides in pieces(packed) or ()}
        self.partial: Scratch | None = None
        self.combines: list[Combine] = []

    def argument(self, chunks: int) -> Argument:
        """The memory for the sums of ``chunks`` blocks of rows."""
        if self.partial is None:
            self.partial = Scratch(TensorType(f32, (chunks, self.width)))
            self.combines.append(Combine("sum", self.partial, self.target, True, self.node))
        return Argument(f"p{self.number}", self.partial)


class _Kernel:
    """One kernel in the making, or one part of it.

    ``m`` are the queries of a block and ``n`` its keys, as vectors; ``i`` and ``j`` are the same along the axes of a
    block of scores. ``d`` runs along a key, ``e`` along a value, ``b`` is the number of the head.
    """

    def __init__(
        self, node: Node, op: Node, target: str, windows: Windows, kind: str, sums: Sequence[_Sum] = ()
    ) -> None:
        self.node, self.op, self.windows, self.graph, self.attrs = node, op, windows, node.inner, op.attrs
        *lead, self.T, self.D = op.inputs[0].shape
        self.lead, self.S, self.E = tuple(lead), *op.inputs[2].shape[-2:]
        self.held, self.walked = ("n", "m") if kind == "key_gradients" else ("m", "n")
        self.half = op.inputs[0].dtype.is_half
        deepest = max(self.D, self.E)
        self.block = block(kind, self.half, self.attrs["dropout"] > 0, self.T, self.S, deepest, GPUS[target].lanes)
        self.size = {"m": self.block.queries, "n": self.block.keys}
        self.whole = {"m": self.T, "n": self.S, "d": self.D, "e": self.E}
        self.blocks = ceil_div(self.whole[self.held], self.size[self.held])
        self.rest = op.inputs[6 if op.op.gradient else 3 :]
        self.sums = sums
        self.inputs: list[Argument] = []
        self.outputs: list[Argument] = []
        self.top = Scope()

    # Setting up

    def _start(self, first: int, total: int) -> None:
        """The indices of the program's block, and what every kernel reads.

        ``first`` is the number of the first of its blocks among the ``total`` of the launch.
        """
        ragged = (("i", "rows", self.T % self.block.queries), ("j", "cols", self.S % self.block.keys))
        masks = {v: mask for v, mask, rest in ragged if rest}
        self.body = Body(self.graph, masks)
        b = Index.of(Var("b", prod(self.lead)))
        self.place = b * (self.T * self.S) + variable("i", self.T) * self.S + variable("j", self.S)
        heads = prod(self.lead)
        self.grid, (own, head) = programs(total, heads), numbers(total, heads)
        self.top(*[f"block = {own}{f' - {first}' * (first > 0)}"] * (self.blocks > 1))
        start = f"block * {self.size[self.held]} + " if self.blocks > 1 else ""
        rows = [(v.shape[-2], w[2][-2]) for v in self.op.inputs[:3] if (w := matrix_strides(v)) is not None]
        self.wide = widened(max(count * abs(stride) for count, stride in rows))
        self.top(f"{self.held} = {self._wide(f'{start}{self._arange(self.held)}')}")
        self.top(*[f"{v} = tl.arange(0, {self._padded(v)})" for v in ("d", "e")])
        largest = max(prod(self.lead) * self.T * self.S, *(v.type.size for v in (*self.op.inputs, *self.op.outputs)))
        wide = widened(largest)
        self.top(*[f"b = {bracketed(head) if ' ' in head else head}{wide}"] * (heads > 1))
        self._along(self.top, self.held)
        self.q, self.k, self.v = (self._operand(name, value) for name, value in zip("qkv", self.op.inputs))

    def _wide(self, place: str) -> str:
        """A vector of queries or keys, in 64 bits where places in a head need them."""
        return f"({place}){self.wide}" if self.wide else place

    def _arange(self, variable: str) -> str:
        return f"tl.arange(0, {self.size[variable]})"

    def _padded(self, depth: str) -> int:
        return max(16, power_of_two(self.whole[depth]))

    def _along(self, scope: Scope, variable: str) -> None:
        """The queries or keys along their axis of a block of scores, and which of them exist."""
        name, mask = ("i", "rows") if variable == "m" else ("j", "cols")
        scope(f"{name} = {variable}{'[:, None]' if variable == self.held else '[None, :]'}")
        scope(*[f"{mask} = {name} < {self.whole[variable]}"] * (name in self.body.masks))

    def _operand(self, name: str, value: Value) -> Operand:
        """Make ``name`` a pointer to the head's rows of an operand."""
        window = matrix_strides(value)
        if window is None:
            raise NotImplementedError(f"an operand of attention that is no strided window of memory: {value!r}")
        root, offset, strides = window
        self.inputs.append(Argument(name, self.node.inputs[self.graph.inputs().index(root)], offset))
        return self._head(name, strides)

    def _results(self, number: int) -> list[Operand]:
        """Pointers to the head's rows of the places where a result goes."""
        found = []
        for at, (value, output) in enumerate(zip(self.node.outputs, self.graph.outputs, strict=True)):
            if reduction_of(output) is not None:
                continue
            parts = pieces(output)
            if parts is None:
                raise NotImplementedError(f"a result of attention stored as {value!r}\n  at {self.op.loc}")
            for root, offset, strides in parts:
                if root is self.op.outputs[number]:
                    name = f"o{at}" if len(parts) == 1 else f"o{at}_{number}"
                    window = self.windows.get(value, Window(value, offset, strides))
                    self.outputs.append(Argument(name, window.place, window.offset, root.type))
                    found.append(self._head(name, window.strides))
        return found

    def _head(self, pointer: str, strides: Sequence[int]) -> Operand:
        total = Index()
        for coordinate, stride in zip(self._heads(), strides, strict=False):
            total = total + coordinate * stride
        self.top(*[f"{pointer} += {index_text(total)}"] * bool(total.terms))
        return pointer, tuple(strides[len(self.lead) :])

    def _heads(self) -> Sequence[Index]:
        """The number of the head along each dimension of the batch."""
        return split(Index.of(Var("b", prod(self.lead))), self.lead)

    # Reading and writing

    def _address(self, operand: Operand, rows: str, depth: str) -> tuple[str, str]:
        """The places of a tile with ``rows`` down and the head along, and its mask."""
        pointer, strides = operand
        indices = ((f"{rows}[:, None]", strides[0]), (f"{depth}[None, :]", strides[1]))
        terms = [index if stride == 1 else f"{index} * {stride}" for index, stride in indices]
        limits = [f"({rows}[:, None] < {self.whole[rows]})"] * bool(self.whole[rows] % self.size[rows])
        limits += [f"({depth}[None, :] < {self.whole[depth]})"] * (self.whole[depth] != self._padded(depth))
        return " + ".join([pointer, *terms]), f", mask={' & '.join(limits)}" if limits else ""

    def _tile(self, operand: Operand, rows: str, depth: str) -> str:
        address, mask = self._address(operand, rows, depth)
        return f"tl.load({address}{mask}{', other=0.0' if mask else ''})"

    def _put(self, results: list[Operand], rows: str, depth: str, value: str) -> None:
        for result in results:
            address, mask = self._address(result, rows, depth)
            self.top(f"tl.store({address}, {value}{mask})")

    def _put_gradient(self, number: int, results: list[Operand], depth: str, name: str) -> None:
        """Store a block of gradient ``number``, and what its columns add up to."""
        self._put(results, self.held, depth, name)
        mask = self.body.masks.get("i" if self.held == "m" else "j")
        for one in self.sums:
            offset, strides = one.parts[self.op.outputs[number]]
            chunk, column, chunks = Index.of(Var("block", self.blocks)), Index((), offset), self.blocks
            for coordinate, size, stride in zip(self._heads(), self.lead, strides, strict=False):
                if stride % one.width:
                    column = column + coordinate * stride
                else:
                    chunk, chunks = chunk + coordinate * chunks, chunks * size
            argument = one.argument(chunks)
            self.outputs.append(argument)
            rounded = f"{name}.to({TYPES[one.dtype]}).to(tl.float32)" if one.dtype.is_half else name
            rounded = f"tl.where({mask}, {rounded}, 0.0)" if mask else rounded
            limit = f", mask={depth} < {self.whole[depth]}" * (self.whole[depth] != self._padded(depth))
            place = index_text(chunk * one.width + column)
            self.top(f"tl.store({argument.name} + {place} + {depth}, tl.sum({rounded}, 0){limit})")

    def _each_query(self, operand: Operand) -> str:
        """One number for each query of a block."""
        pointer, (stride, *_) = operand
        place = "i" if stride == 1 else f"i * {stride}"
        return f"tl.load({pointer} + {place}{', mask=rows, other=0.0' if 'i' in self.body.masks else ''})"

    def _dot(self, left: str, right: str, onto: str = "") -> str:
        """A product of tiles; float32 is not cut down for the tensor cores."""
        operands = ", ".join([left, right, *[onto] * bool(onto)])
        return f"tl.dot({operands})" if self.half else f'tl.dot({operands}, input_precision="ieee")'

    def _narrow(self, name: str) -> str:
        """A block of sums as a factor of the next product."""
        return f"{name}.to({TYPES[self.op.inputs[0].dtype]})" if self.half else name

    # Steps of a walk

    def _walk(self, step: Callable[[Scope, bool], None]) -> None:
        """Go over all keys or queries, past those that causality hides; ``step(scope, diagonal)`` writes one step.

        With as many queries as keys, only blocks on the diagonal hide some of their scores.
        """
        size, whole = self.size[self.walked], self.whole[self.walked]
        held = self.size[self.held]
        ranges = [("0", str(whole), False)]
        if self.attrs["causal"]:
            square = self.T == self.S and held % size == 0 and self.whole[self.held] > held
            if self.walked == "n":
                end = f"tl.minimum({whole}, (block + 1) * {held})"
                ranges = [("0", f"block * {held}", False), (f"block * {held}", end, True)]
            else:
                middle = f"tl.minimum({whole}, (block + 1) * {held})"
                ranges = [(f"block * {held}", middle, True), (middle, str(whole), False)]
            if not square:
                ranges = [("0", str(whole), True)]
        for first, last, diagonal in ranges:
            scope = Scope(frozenset({"i", "j"}), self.top)
            scope(f"{self.walked} = {self._wide(f'start + {self._arange(self.walked)}')}")
            self._along(scope, self.walked)
            step(scope, diagonal)
            self.top.block(f"for start in range({first}, {last}, {size}):", scope.lines)

    def _scores(self, scope: Scope, left: str, right: str, diagonal: bool) -> None:
        """``s``: the scaled products of a block, -inf where they are hidden."""
        scope(f"s = {self._dot(left, f'tl.trans({right})')} * {attention_scale(self.attrs['scale'], self.D) * LOG2E!r}")
        mask = "j" if self.walked == "n" else "i"
        hidden = [self.body.masks[mask]] if mask in self.body.masks else []
        hidden += ["(i >= j)"] * diagonal
        if self.attrs["mask"]:
            given = self.rest[0]
            place = broadcast(self.place, (*self.lead, self.T, self.S), given.shape)
            name = self.body.value(given, place, scope)
            if given.dtype is boolean:
                hidden.append(name)
            else:
                scope(f"s += {name} * {LOG2E!r}")
        scope(*[f"s = tl.where({' & '.join(hidden)}, s, {NOTHING})"] * bool(hidden))

    def _drop(self, scope: Scope, name: str) -> None:
        """Drop some entries of a block, and scale the others to make up for it."""
        share = self.attrs["dropout"]
        if not share:
            return
        if scope.find("keep") is None:
            seed, offset = (self.body.value(v, Index(), self.top) for v in self.rest[-2:])
            self.body.draws = [self.attrs["index"]]
            scope(f"keep = uniform({seed}, {offset} + tl.load(draw0), {index_text(self.place)}) >= {share!r}")
            scope.known["keep"] = "keep"
        scope(f"{name} = tl.where(keep, {name} * {1 / (1 - share)!r}, 0.0)")

    def _finite(self, name: str) -> str:
        """0 instead of -inf, which stands for a row whose keys are all masked."""
        return f"tl.where({name} == {NOTHING}, 0.0, {name})" if self.attrs["mask"] else name

    # The kernels

    def forward(self) -> Task:
        """The weighted sums of values, and the logarithm of the sum of exponentials of each row."""
        self._start(0, self.blocks)
        out, sums = self._results(0), self._results(1)
        rows = self.block.queries
        self.top(
            f"query = {self._tile(self.q, 'm', 'd')}",
            f"top = tl.full(({rows}, 1), {NOTHING}, tl.float32)",
            f"total = tl.zeros(({rows}, 1), tl.float32)",
            f"acc = tl.zeros(({rows}, {self._padded('e')}), tl.float32)",
        )

        def step(scope: Scope, diagonal: bool) -> None:
            scope(f"key = {self._tile(self.k, 'n', 'd')}")
            self._scores(scope, "query", "key", diagonal)
            scope(
                f"value = {self._tile(self.v, 'n', 'e')}",
                "largest = tl.maximum(top, tl.max(s, 1, keep_dims=True))",
                f"base = {self._finite('largest')}",
                "p = tl.exp2(s - base)",
                "shrink = tl.exp2(top - base)",
                "total = total * shrink + tl.sum(p, 1, keep_dims=True)",
                "top = largest",
            )
            self._drop(scope, "p")
            scope(f"acc = {self._dot(self._narrow('p'), 'value', 'acc * shrink')}")

        self._walk(step)
        weight = "tl.where(total == 0.0, 1.0, total)" if self.attrs["mask"] else "total"
        self._put(out, "m", "e", f"acc / {weight}")
        for pointer, _ in sums:
            value = f"({self._finite('top')} + tl.log2(total)) * {1 / LOG2E!r}"
            self.top(f"tl.store({pointer} + i, {value}{self.body.mask('i')})")
        return task_of(
            self.node, self.body, "attention", self.summary(), self.top.lines, self.grid, self.block.warps,
            self.inputs, self.outputs, stages=self.block.stages,
        )  # fmt: skip

    def _start_gradient(self, first: int, total: int) -> list[Operand]:
        """:meth:`_start`; the sum of result times gradient of each query, its log-sum-exp, and the gradient."""
        self._start(first, total)
        return [self._operand(name, value) for name, value in zip(("delta", "lse", "g"), self.op.inputs[3:6])]

    def query_gradient(self, total: int) -> None:
        """The gradient of the queries, by the first of ``total`` blocks."""
        delta, sums, gradient = self._start_gradient(0, total)
        result = self._results(0)
        self.top(
            f"query = {self._tile(self.q, 'm', 'd')}",
            f"gradient = {self._tile(gradient, 'm', 'e')}",
            f"inner = {self._each_query(delta)}",
            f"total = {self._each_query(sums)}",
            f"total = {self._finite('total')} * {LOG2E!r}",
            f"acc = tl.zeros(({self.block.queries}, {self._padded('d')}), tl.float32)",
        )

        def step(scope: Scope, diagonal: bool) -> None:
            scope(f"key = {self._tile(self.k, 'n', 'd')}")
            self._scores(scope, "query", "key", diagonal)
            scope(f"value = {self._tile(self.v, 'n', 'e')}", f"dp = {self._dot('gradient', 'tl.trans(value)')}")
            self._drop(scope, "dp")
            scope(
                f"ds = tl.exp2(s - total) * (dp - inner) * {attention_scale(self.attrs['scale'], self.D)!r}",
                f"acc = {self._dot(self._narrow('ds'), 'key', 'acc')}",
            )

        self._walk(step)
        self._put_gradient(0, result, "d", "acc")

    def key_gradients(self, first: int, total: int) -> None:
        """The gradients of keys and values, by the blocks from ``first`` on; blocks of scores stand on their side."""
        delta, sums, gradient = self._start_gradient(first, total)
        results = self._results(1), self._results(2)
        self.top(
            f"key = {self._tile(self.k, 'n', 'd')}",
            f"value = {self._tile(self.v, 'n', 'e')}",
            f"dk = tl.zeros(({self.block.keys}, {self._padded('d')}), tl.float32)",
            f"dv = tl.zeros(({self.block.keys}, {self._padded('e')}), tl.float32)",
        )

        def step(scope: Scope, diagonal: bool) -> None:
            scope(f"query = {self._tile(self.q, 'm', 'd')}")
            self._scores(scope, "key", "query", diagonal)
            scope(f"total = {self._each_query(sums)}", f"p = tl.exp2(s - {self._finite('total')} * {LOG2E!r})")
            scope(f"gradient = {self._tile(gradient, 'm', 'e')}", f"dp = {self._dot('value', 'tl.trans(gradient)')}")
            self._drop(scope, "dp")
            scope(
                f"inner = {self._each_query(delta)}",
                f"ds = p * (dp - inner) * {attention_scale(self.attrs['scale'], self.D)!r}",
                f"dk = {self._dot(self._narrow('ds'), 'query', 'dk')}",
            )
            self._drop(scope, "p")
            scope(f"dv = {self._dot(self._narrow('p'), 'gradient', 'dv')}")

        self._walk(step)
        self._put_gradient(1, results[0], "d", "dk")
        self._put_gradient(2, results[1], "e", "dv")

    def read(self) -> list[Argument]:
        """The arguments that the kernel reads."""
        return [*self.inputs, *(Argument(f"a{k}", self.node.inputs[k]) for k in self.body.used)]

    def summary(self) -> str:
        """The operands of the kernel, in a sentence."""
        heads = f"{prod(self.lead)} heads, {self.T} queries of {self.D}, {self.S} keys"
        causal = ", causal" if self.attrs["causal"] else ""
        return f"{heads}{causal}; blocks of {self.block.queries} x {self.block.keys}."


def _gradients(queries: _Kernel, keys: _Kernel) -> Task:
    """One launch of both: the first programs have queries each, the others keys."""
    parts = (queries, keys)
    inputs = list({a.name: a for part in parts for a in part.read()}.values())
    outputs = list({a.name: a for part in parts for a in part.outputs}.values())
    extra = list({a.name: a for part in parts for a in extra_arguments(part.body)}.values())
    own, _ = numbers(queries.blocks + keys.blocks, prod(queries.lead))
    return Task(
        "attention_gradients",
        queries.summary(),
        [],
        [*inputs, *outputs, *extra],
        queries.grid,
        queries.block.warps,
        [queries.node],
        memory(inputs),
        memory(outputs),
        queries.block.stages,
        parts=(
            Part("queries", f"{own} < {queries.blocks}", queries.top.lines, "Queries."),
            Part("keys", "", keys.top.lines, "Keys."),
        ),
    )
