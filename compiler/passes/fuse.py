"""Vertical fusion: groups primitives that run as one kernel into ``fused`` nodes with a body graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

from compiler.domain import concat_of, inner_columns, reduction_class
from compiler.errors import VerifyError
from compiler.groups import Group, Groups
from compiler.index import (
    Index,
    Var,
    broadcast,
    concat_starts,
    matrix_strides,
    place_in_concat,
    strides_of,
    through_view,
    view_chain,
)
from compiler.ir.graph import Graph, Node, Update, Value, users
from compiler.ir.op import OPS
from compiler.ir.replay import live_nodes
from compiler.ir.types import TensorType, bf16, f32

ROW_LIMIT = 4096
"""A reduction of everything that keeps its dimensions, one row, is usable in its kernel up to this many elements."""

FEWEST_ROWS = 64
"""Rows of a product from which on it takes in sums of its columns."""

FEWEST_COLUMNS = 16
"""Columns of a product from which on it takes in their sums."""


def fuse(
    graph: Graph, product_sums: bool = False, joins: bool = False, row_sums: bool = False, few_launches: bool = False
) -> Graph:
    """Group nodes into kernels.

    before::

        %1: f32[] = constant() {value=1.0, dtype=f32}
        %2: f32[8,4] = dot(%x, %w)
        %3: f32[8,4] = add(%2, %b)
        %4: f32[8,4] = maximum(%3, %1)

    after::

        %4: f32[8,4] = fused(%x, %w, %b) {kind="contract"} @contract {
          %0: f32[8,4] = dot(%x, %w)
          ...
        }

    A kernel of kind ``pointwise``, ``row``, ``column`` or ``full`` runs over a domain of ``rows`` x ``columns``: values
    in it have one element per place, per row, or one in all. ``row`` reductions run along a row and may be used in the
    same kernel; reductions over the rows (``column``) or over everything (``full``) are results only. Views and
    constants belong to every kernel that reads them. With ``product_sums``, f32 sums over all elements of a product, or
    over its rows, are results of its kernel; with ``joins``, a concatenation of values of one kernel is, too. With
    ``row_sums``, sums over the rows of a product are left to a ``row`` kernel that reads it, which reads the rest of
    what is added up anyway. With ``few_launches``, numbers that do not wait for each other are one kernel's.
    """
    for node in graph.nodes:
        if node.op.kind == "fused":
            raise VerifyError(f"fuse takes a graph that is not fused yet, and this node is\n  at {node.loc}")
    return _Fusion(graph, product_sums, joins, row_sums, few_launches).run()


def _element_map(value: Value, shape: tuple[int, ...], linear: Index) -> tuple[Value, Index]:
    """The root that operand ``value`` of a node of ``shape`` reads, and where, for element ``linear``."""
    index = broadcast(linear, shape, value.shape)
    root, chain = view_chain(value)
    for view in reversed(chain):
        index = through_view(view, index)
    return root, index


class _Fusion:
    def __init__(self, graph: Graph, product_sums: bool, joins: bool, row_sums: bool, few_launches: bool) -> None:
        self.graph = graph
        self.product_sums, self.joins = product_sums, joins
        self.row_sums, self.few_launches = row_sums, few_launches
        self.nodes = live_nodes(graph)
        self.order = {n: i for i, n in enumerate(self.nodes)}
        self.readers = users(Graph(graph.name, nodes=self.nodes))
        self.group: dict[Value, Group] = {}
        self.groups = Groups()
        self.results = set(graph.results())
        self.reshaped: set[Value] = set()

    def run(self) -> Graph:
        for position, node in enumerate(self.nodes):
            if not node.op.is_free and not self._is_lazy_cast(node):
                self._place(node, position)
        if self.few_launches:
            self._gather_numbers()
        return self._assemble()

    # Placing nodes

    def _is_lazy_cast(self, node: Node) -> bool:
        """A cast of an input to bf16 that only contractions read happens where they read it."""
        if not node.op.converts or node.attrs["to"] is not bf16 or node.inputs[0].dtype is not f32:
            return False
        root, _ = view_chain(node.inputs[0])
        if root.producer is not None:
            return False
        pending, dots = [node.output], 0
        while pending:
            value = pending.pop()
            if value in self.results:
                return False
            for reader in self.readers.get(value, ()):
                if reader.op.kind == "view" and reader.op.reads != "window":
                    pending.append(reader.output)
                elif reader.op.kind != "contract":
                    return False
                dots += 1
        return dots > 0

    def _place(self, node: Node, position: int) -> None:
        if self._written_in_place(node, position) or self._joined(node, position):
            return
        if node.op.anchor is not None:
            group = Group(position, node.outputs[0].type.size)
            group.anchor = node
            self._start(group, node)
            self._materialise_operands(node)
            return
        if node.op.kind == "reduce":
            self._place_reduction(node, position)
            return
        shape, size = node.output.shape, node.output.type.size
        tables = node.inputs[:1] if node.op.is_lookup else ()
        ended = self._ended_before(node)
        candidates: dict[Group, None] = {}
        for value in node.inputs:
            if value not in tables:
                linked = self._linked(value, shape)
                if linked is not None and linked not in ended:
                    candidates[linked] = None
        home = self._merge(list(candidates), node, position)
        if home is None:
            self._start(Group(position, size), node)
        else:
            self._join(home, node, position)

    def _ended_before(self, node: Node) -> set[Group]:
        """Groups whose kernels must have ended before ``node`` runs: it does not read at its own place."""
        found = set()
        for position, value in enumerate(node.inputs):
            group = self.group.get(view_chain(value)[0])
            shape = value.shape if node.op.kind == "reduce" else node.outputs[0].shape
            stored = node.op.needs_memory(position)
            if group is not None and (stored or self._linked(value, shape) is None):
                found.add(group)
        return found

    def _written_in_place(self, concat: Node, position: int) -> bool:
        """Whether attention's gradients, packed by ``concat``, can be written to their place in it by attention."""
        roots = [view_chain(v)[0] for v in concat.inputs]
        group = self.group.get(roots[0]) if concat.op.reads == "parts" else None
        if (
            group is None
            or group.anchor is None
            or group.anchor.op.anchor != "attention"
            or not group.anchor.op.gradient
        ):
            return False
        if set(roots) != set(group.anchor.outputs) or len(roots) != len(group.anchor.outputs) or len(group.nodes) > 1:
            return False
        starts = concat_starts(concat)
        for part, root, start in zip(concat.inputs, roots, starts, strict=True):
            alone = root not in self.results and self._only_read_through(root, part)
            if not alone or place_in_concat(root, part, concat, start) is None:
                return False
        self._join(group, concat, position)
        return True

    def _joined(self, node: Node, position: int) -> bool:
        """Whether ``node``, a concatenation of what one kernel makes or a cast of that, is one more of its results."""
        groups = dict.fromkeys(self.group.get(v) for v in node.inputs)
        made = [g for g in groups if g is not None and g.anchor is None]
        if not self.joins or not made or len(made) < len(groups):
            return False
        if node.op.reads == "parts":
            if any(v in self.group[v].sinks or v.type.size != self.group[v].size for v in node.inputs):
                return False
            home = self._merge(made, node, position)
            if home is None or any(self.group[v] is not home for v in node.inputs):
                return False
        elif node.op.converts and concat_of(node.inputs[0]) is not None:
            home = made[0]
        else:
            return False
        self._join(home, node, position)
        home.sinks.add(node.output)
        return True

    def _only_read_through(self, root: Value, part: Value) -> bool:
        """Whether ``part``, a chain of views, is the only use of ``root``."""
        value = part
        while value is not root:
            assert value.producer is not None
            value = value.producer.inputs[0]
            if len(self.readers.get(value, ())) != 1 or value in self.results:
                return False
        return True

    def _linked(self, value: Value, shape: tuple[int, ...]) -> Group | None:
        """The group whose kernel could compute a node of ``shape`` reading ``value`` in the same place."""
        root, chain = view_chain(value)
        group = self.group.get(root)
        if any(view.op.reads == "memory" for view in chain):
            return None
        if group is None or root in group.sinks or (group.anchor is not None and not group.anchor.op.is_product):
            return None
        size = prod(shape)
        if size == group.size and root.type.size == size:
            place = Var("e", size)
            _, index = _element_map(value, shape, Index.of(place))
            return group if index == Index.of(place) else None
        rows, columns = group.rows, group.columns
        if rows is None or columns is None or root.type.size != rows:
            return None
        row, column = Var("r", rows), Var("c", columns)
        if size == rows:
            linear = Index.of(row)
        elif size == group.size:
            linear = Index.of(row) * columns + Index.of(column)
        else:
            return None
        return group if _element_map(value, shape, linear)[1] == Index.of(row) else None

    def _place_reduction(self, node: Node, position: int) -> None:
        value = node.inputs[0]
        axes = node.attrs["axes"]
        kind = reduction_class(value.shape, axes)
        size = value.type.size
        columns = prod(value.shape[a] for a in axes)
        if node.op.finds:
            kind = "mixed"
        elif kind == "full":
            kind = "row" if node.attrs["keepdim"] and size <= ROW_LIMIT else "full"
        elif kind == "column":
            columns = size // columns if columns else 0
        group = self._linked(value, value.shape) if kind != "mixed" and size else None
        if group is not None and kind == "column":
            group = self._row_reader(group, node, columns) or group
        if group is not None and self._fits(group, node, kind, columns):
            if self._acyclic(group, node):
                per_element = root_size(value) == group.size
                if per_element and kind != "full" and group.anchor is None:
                    group.columns = columns
                self._join(group, node, position)
                if kind in ("column", "full") or not per_element:
                    group.sinks.add(node.output)
                return
        fresh = Group(position, size, None if kind == "full" else columns)
        if kind in ("column", "full"):
            fresh.sinks.add(node.output)
        self._start(fresh, node)

    def _row_reader(self, product: Group, node: Node, columns: int) -> Group | None:
        """The kernel over rows that reads what ``product`` makes and may add up its columns in its place."""
        if not self.row_sums or product.anchor is None:
            return None
        for group in sorted(product.readers, key=lambda g: g.first):
            rows = group.anchor is None and (group.size, group.columns) == (product.size, columns)
            if rows and group not in product.ended and self._acyclic(group, node):
                return group
        return None

    def _gather_numbers(self) -> None:
        """Have kernels that compute single numbers, and do not wait for each other, compute them together."""
        numbers: list[Group] = []
        for group in [g for g in self.groups if g.size == 1 and g.anchor is None and not g.sinks and not g.copies]:
            home = next((g for g in numbers if self._mergeable(g, group) and self._independent(g, group)), None)
            if home is None:
                numbers.append(group)
            else:
                self._union(home, group)

    def _fits(self, group: Group, node: Node, kind: str, columns: int) -> bool:
        """Whether a reduction of a value of ``group`` can run in its kernel."""
        if group.anchor is not None:
            adds = self.product_sums and group.anchor.op.kind == "contract"
            wide = kind == "full" or (kind == "column" and _tall(group.anchor.output.shape, columns))
            return adds and wide and node.op.join == "add" and node.output.dtype is f32
        if root_size(node.inputs[0]) == group.size:
            return kind == "full" or group.columns in (None, columns)
        everything = reduction_class(node.inputs[0].shape, node.attrs["axes"]) == "full"
        return everything and group.rows is not None and group.rows > 1

    def _merge(self, candidates: list[Group], node: Node, position: int) -> Group | None:
        """Merge as many of ``candidates`` as possible into one home for ``node``."""
        candidates.sort(key=lambda g: g.last, reverse=True)
        home: Group | None = None
        for group in candidates:
            if home is None:
                if self._acyclic(group, node) and not self._keeps_waiting(group, node):
                    home = group
            elif self._mergeable(home, group) and self._independent(home, group):
                if not any(self.groups.depends(g, group) for g in self._outside(node, home, group)):
                    home = self._union(home, group)
        return home

    def _keeps_waiting(self, group: Group, node: Node) -> bool:
        """Whether ``node`` would have a product wait for another template, with operands larger than its result."""
        anchor = group.anchor
        if anchor is None or not any(g.anchor and g.first > group.last for g in self._outside(node, group)):
            return False
        return sum(v.type.nbytes for v in anchor.inputs) > anchor.outputs[0].type.nbytes

    def _outside(self, node: Node, *inside: Group) -> list[Group]:
        found = [self.group.get(view_chain(v)[0]) for v in node.inputs]
        return [g for g in found if g is not None and g not in inside]

    @staticmethod
    def _mergeable(a: Group, b: Group) -> bool:
        if a.size != b.size or (a.anchor is not None and b.anchor is not None) or a in b.ended or b in a.ended:
            return False
        anchored = a if a.anchor is not None else b if b.anchor is not None else None
        if anchored is not None:
            other = b if anchored is a else a
            return other.columns is None and not other.sinks
        return a.columns is None or b.columns is None or a.columns == b.columns

    def _acyclic(self, group: Group, node: Node) -> bool:
        """Whether ``node`` can join ``group`` without the group depending on itself."""
        return not any(self.groups.depends(g, group) for g in self._outside(node, group))

    def _independent(self, a: Group, b: Group) -> bool:
        """Whether no third group stands between two."""
        through = self.groups.depends_through_another
        return not through(a, b) and not through(b, a)

    def _union(self, a: Group, b: Group) -> Group:
        for node in b.nodes:
            for value in node.outputs:
                self.group[value] = a
        return self.groups.merge(a, b)

    def _start(self, group: Group, node: Node) -> None:
        self.groups.add(group)
        self._join(group, node, group.first)

    def _join(self, group: Group, node: Node, position: int) -> None:
        group.nodes.append(node)
        group.last = max(group.last, position)
        for source in self._outside(node, group):
            self.groups.link(group, source)
        group.ended |= self._ended_before(node)
        for value in node.outputs:
            self.group[value] = group

    def _materialise_operands(self, node: Node) -> None:
        """Operands a template cannot read as a strided window of memory are copied first."""
        home = self.group[node.outputs[0]]
        if node.op.anchor == "convolution":
            for value in node.inputs:
                if not self._as_it_lies(value):
                    self._copy(value, home)
            return
        if home.anchor is not node or node.op.anchor not in ("contract", "attention"):
            return
        product = node.op.kind == "contract"
        for value in node.inputs:
            root, chain = view_chain(value)
            lazy = root.producer is not None and self._is_lazy_cast(root.producer)
            if not chain and not lazy and (root.producer is None or not root.producer.op.is_free):
                continue
            window = matrix_strides(value, casts=lazy and product)
            stored = root.producer is None or lazy or not root.producer.op.is_free
            if window is None or not stored or (product and 1 not in window[2][-2:]):
                self._copy(value, home)

    def _as_it_lies(self, value: Value) -> bool:
        """Whether a value is in memory with its elements in order."""
        root, chain = view_chain(value)
        if root.producer is not None and (root.producer.op.is_free or self._is_lazy_cast(root.producer)):
            return False
        window = matrix_strides(value) if chain else (root, 0, strides_of(value.shape))
        strides = zip(value.shape, window[2] if window else (), strides_of(value.shape), strict=window is not None)
        return window is not None and all(n == 1 or a == b for n, a, b in strides)

    def _copy(self, value: Value, reader: Group | None) -> None:
        """Have a kernel store ``value``, a view, for ``reader``; None is the caller, who reads at the end."""
        if value not in self.group:
            group = Group(len(self.nodes) if reader is None else reader.first, value.type.size)
            group.copies = [value]
            self.groups.add(group)
            source = self.group.get(view_chain(value)[0])
            if source is not None:
                self.groups.link(group, source)
            self.group[value] = group
        if reader is not None:
            self.groups.link(reader, self.group[value])

    # Assembling

    def _assemble(self) -> Graph:
        aliases = self._result_views()
        self._loop_operands(aliases)
        read = self._values_read(aliases)
        self._recompute(read)
        new: dict[Value, Value] = {p.value: p.value for p in self.graph.params}
        nodes = []
        for group in self._ordered():
            if group.anchor is not None and group.anchor.op.kind == "loop":
                nodes.append(_loop_on(group.anchor, new))
                continue
            whole = group.anchor is not None and group.anchor.op.anchor == "attention"
            if whole:
                outputs = list(group.nodes[-1].outputs)
            else:
                outputs = [v for n in group.nodes for v in n.outputs if v in read]
            outputs += group.copies + list(aliases.get(group, ()))
            if outputs:
                nodes.append(self._fused(group, outputs, new))
        return Graph(
            self.graph.name,
            list(self.graph.params),
            nodes,
            [Update(u.state, new[u.value]) for u in self.graph.updates],
            [new[v] for v in self.graph.outputs],
        )

    def _loop_operands(self, aliases: dict[Group, list[Value]]) -> None:
        """Loops read memory: their operands are stored as they are; a mere reshape by the kernel of its root."""
        for home in [g for g in self.groups if g.anchor is not None and g.anchor.op.kind == "loop"]:
            assert home.anchor is not None
            for value in dict.fromkeys(home.anchor.inputs):
                root, chain = view_chain(value)
                group = self.group.get(root)
                if value in self.group or value in self.reshaped or (value.producer is None and not chain):
                    continue
                plain = all(v.op.keeps == "order" for v in chain)
                takes = group is not None and (group.anchor is None or group.anchor.op.is_product)
                if group is not None and takes and plain and root not in group.sinks:
                    aliases.setdefault(group, []).append(value)
                    self.reshaped.add(value)
                else:
                    self._copy(value, home)

    def _result_views(self) -> dict[Group, list[Value]]:
        """Results that are views: stored by the kernel of their root when it is a mere reshape, else copied.

        Inputs are left to the renderer, which may have them where the result should be.
        """
        found: dict[Group, list[Value]] = {}
        states = {u.value for u in self.graph.updates}
        there = set(self.graph.inputs("input")) - states
        for value in dict.fromkeys(self.graph.results()):
            if value in self.group or value in there:
                continue
            root, chain = view_chain(value)
            group = self.group.get(root)
            plain = all(v.op.keeps == "order" for v in chain)
            if group is not None and root in group.sinks and not self._only_reader(root, chain):
                plain = False
            if group is not None and plain and (group.anchor is None or group.anchor.op.is_product):
                found.setdefault(group, []).append(value)
            else:
                self._copy(value, None)
        return found

    def _only_reader(self, root: Value, chain: list[Node]) -> bool:
        """Whether nobody but the last view of ``chain`` wants ``root``: a sink is stored once."""
        values = [root, *(v.output for v in chain)]
        counts = [len(self.readers.get(v, ())) for v in values]
        return counts == [1] * len(chain) + [0] and not self.results.intersection(values[:-1])

    def _values_read(self, aliases: dict[Group, list[Value]]) -> set[Value]:
        """Values that some other kernel, or the caller, reads from memory."""
        read = {v for v in self.results if v in self.group}
        for group in self.groups:
            for value in group.copies:
                read.add(view_chain(value)[0])
            for node in group.nodes:
                for value in node.inputs:
                    read.update(r for r in self._roots(value) if self.group.get(r) is not group)
        return {v for v in read if v in self.group and v not in self.group[v].copies}

    def _roots(self, value: Value) -> list[Value]:
        """What a kernel loads to have ``value``."""
        while value not in self.group and value not in self.reshaped and value.producer is not None:
            node = value.producer
            if not node.inputs:
                return []
            value = node.inputs[0]
        return [value]

    # Recomputing instead of storing

    def _recompute(self, stored: set[Value]) -> None:
        """Take cheap values out of ``stored`` whose readers can compute them from what is in memory anyway."""
        readers: dict[Value, set[Group]] = {}
        fixed: set[Value] = set(self.results)
        for group in self.groups:
            for value in group.copies:
                fixed.add(view_chain(value)[0])
            for node in group.nodes:
                for position, value in enumerate(node.inputs):
                    for root in self._roots(value):
                        if self.group.get(root) is not group:
                            readers.setdefault(root, set()).add(group)
                            if node.op.needs_memory(position) or _slides(value):
                                fixed.add(root)
        for node in reversed(self.nodes):
            value = node.outputs[0]
            if value not in stored or value in fixed or value in self.group[value].sinks:
                continue
            sources = self._cheap_sources(value, stored - {value}, value.type, 6)
            if sources is None or self._dearer(value, sources, stored, readers):
                continue
            stored.remove(value)
            for source in sources:
                if source in self.group:
                    stored.add(source)
                for reader in readers[value]:
                    if source in self.group and self.group[source] is not reader:
                        self.groups.link(reader, self.group[source])
                        readers.setdefault(source, set()).add(reader)

    def _cheap_sources(self, value: Value, stored: set[Value], kind: TensorType, depth: int) -> set[Value] | None:
        """What must be in memory to compute ``value`` by at most ``depth`` levels of cheap ops, or None.

        That is what is there anyway, or takes at most half of the memory of a tensor of ``kind``.
        """
        node = value.producer
        if node is None or value not in self.group or not node.op.is_cheap or depth == 0:
            return None
        found: set[Value] = set()
        for operand in node.inputs:
            for root in self._roots(operand):
                if root.producer is None or root in stored or self._small(root, kind.size):
                    found.add(root)
                    continue
                deeper = self._cheap_sources(root, stored, kind, depth - 1)
                if deeper is None and 2 * root.type.nbytes <= kind.nbytes:
                    deeper = {root}
                if deeper is None:
                    return None
                found |= deeper
        return found

    def _dearer(self, value: Value, sources: set[Value], stored: set[Value], readers: dict[Value, set[Group]]) -> bool:
        """Whether computing ``value`` where it is read costs more than storing it.

        Not where one tensor takes its place for every reader. Else it is a matter of bytes moved (a write counts twice,
        since memory is fetched before it is written) if all are read at the same place, and the forward pass never
        keeps several tensors in place of one.
        """
        size = value.type.size
        moved = sum(2 * s.type.nbytes for s in sources if s in self.group and s not in stored)
        most = 0
        for reader in readers[value]:
            more = [s for s in sources if self.group.get(s) is not reader and reader not in readers.get(s, ())]
            moved += sum(s.type.nbytes for s in more)
            most = max(most, sum(not self._small(s, size) for s in more))
        if most <= 1:
            return False
        moves_more = moved > (2 + len(readers[value])) * value.type.nbytes
        return moves_more or self._kept(value) or any(s.type.size != size and not self._small(s, size) for s in sources)

    def _kept(self, value: Value) -> bool:
        """Whether the backward pass reads it back."""
        return any(
            reader.op.reads == "memory" or (reader.op.kind == "view" and self._kept(reader.output))
            for reader in self.readers.get(value, ())
        )

    def _small(self, value: Value, size: int) -> bool:
        """Storing it costs little next to a tensor of ``size``."""
        return value.type.size * 8 <= size

    def _ordered(self) -> list[Group]:
        """Groups, each after those it reads; those that check an index as early as they can.

        A product runs where it stands, whatever its kernel does with the result for later readers: what it reads need
        not be kept. Where its epilogue waits for a later product, it runs after that.
        """
        position = {n: i for i, n in enumerate(self.nodes)}
        ready = {g: 0 if g.anchor is None else position[g.anchor] for g in self.groups}
        for group in self._after_sources(self.groups, ready):
            ready[group] = max([ready[group], *(ready[source] for source in group.sources)])
        time = {g: g.last if g.anchor is None else ready[g] for g in self.groups}
        starts = sorted(self.groups, key=lambda g: (not _checks(g), time[g], bool(g.nodes)))
        return self._after_sources(starts, time)

    @staticmethod
    def _after_sources(starts: Iterable[Group], time: dict[Group, int]) -> list[Group]:
        """``starts`` in order, each after all it reads, directly or not, the earlier of these first."""
        order: list[Group] = []
        done: set[Group] = set()
        for start in starts:
            stack = [(start, iter(sorted(start.sources, key=time.__getitem__)))]
            while stack:
                group, sources = stack[-1]
                if group in done:
                    stack.pop()
                    continue
                following = next(sources, None)
                if following is None:
                    done.add(group)
                    order.append(group)
                    stack.pop()
                elif following not in done:
                    stack.append((following, iter(sorted(following.sources, key=time.__getitem__))))
        return order

    def _fused(self, group: Group, outputs: list[Value], new: dict[Value, Value]) -> Node:
        body = Graph("body")
        inside: dict[Value, Value] = {}
        operands: list[Value] = []

        def have(value: Value) -> Value:
            if value in inside:
                return inside[value]
            node = value.producer
            outside = self.group.get(value)
            if node is None or (outside is not group and value in new):
                inside[value] = body.add_param(value.type, "input", "", f"a{len(operands)}")
                operands.append(new[value])
            elif node.op.reads == "memory":
                inside[value] = have(node.inputs[0])
            else:
                self._clone(node, body, inside, have)
            return inside[value]

        for node in sorted(group.nodes, key=self.order.__getitem__):
            self._clone(node, body, inside, have)
        body.outputs = [have(v) for v in outputs]
        kind = self._kind(group)
        body.name = kind
        attrs: dict[str, Any] = {"kind": kind, "rows": 0, "columns": 0, "table": 0}
        if group.anchor is None:
            columns = group.columns if group.columns is not None else inner_columns(body, group.size)
            attrs |= {"rows": group.size // columns if columns else 0, "columns": columns}
        types = tuple([v.type for v in outputs])
        fused = Node(OPS["fused"], tuple(operands), types, attrs, body)
        main = group.anchor or (group.nodes[-1] if group.nodes else outputs[0].producer)
        if main is not None:  # else it copies an input
            fused.loc, fused.phase = main.loc, main.phase
        new.update(zip(outputs, fused.outputs, strict=True))
        return fused

    @staticmethod
    def _clone(node: Node, body: Graph, inside: dict[Value, Value], have: Callable[[Value], Value]) -> None:
        if node.outputs[0] in inside:
            return
        inputs = tuple([have(v) for v in node.inputs])
        clone = node.copy(inputs)
        body.nodes.append(clone)
        inside.update(zip(node.outputs, clone.outputs, strict=True))

    @staticmethod
    def _kind(group: Group) -> str:
        if group.anchor is not None:
            assert group.anchor.op.anchor is not None
            return group.anchor.op.anchor
        reductions = [n for n in group.nodes if n.op.kind == "reduce"]
        if any(n.output not in group.sinks for n in reductions):
            return "row"
        if not reductions:
            return "pointwise"
        return "full" if all(n.output.type.size == 1 for n in reductions) else "column"


def _tall(shape: tuple[int, ...], columns: int) -> bool:
    """Whether a product has ``columns`` columns, some, and many rows."""
    return columns == shape[-1] >= FEWEST_COLUMNS and prod(shape[:-1]) >= FEWEST_ROWS


def _slides(value: Value) -> bool:
    """Whether ``value`` reads what is behind it, which must be in memory, at places that may not exist."""
    return any(view.op.reads == "window" for view in view_chain(value)[1])


def _loop_on(loop: Node, new: dict[Value, Value]) -> Node:
    """``loop`` on the values that kernels have made."""
    inputs = tuple([new[v] for v in loop.inputs])
    copied = loop.copy(inputs)
    new.update(zip(loop.outputs, copied.outputs, strict=True))
    return copied


def _checks(group: Group) -> bool:
    return any(n.op.checks for n in group.nodes)


def root_size(value: Value) -> int:
    return view_chain(value)[0].type.size
