"""Vertical fusion: groups primitives that run as one kernel into ``fused`` nodes with a body graph."""

from __future__ import annotations

from math import prod

from compiler.domain import concat_of, joined_by_product, reduction_class
from compiler.errors import VerifyError
from compiler.fusion.kernels import kernel
from compiler.fusion.order import ordered
from compiler.fusion.placed import Placed
from compiler.fusion.recompute import recompute
from compiler.groups import Group
from compiler.index import (
    Index,
    Var,
    broadcast,
    matrix_strides,
    strides_of,
    through_view,
    view_chain,
)
from compiler.ir.graph import Graph, Node, Update, Value
from compiler.ir.types import TensorType, bf16, f32
from compiler.layout import pieces

ROW_LIMIT = 4096
"""A reduction of everything that keeps its dimensions, one row, is usable in its kernel up to this many elements."""

FEWEST_ROWS = 64
"""Rows of a product from which on it takes in sums of its columns."""

MOST_SOURCES = 128
"""Kernels that one kernel reads: a sum of more terms, one of every step of an unrolled loop say, is cut into several.

Compilers take longer than in proportion for a long expression, and kernels on GPUs have at most some hundred operands.
"""

HEADS = (16, 32, 64, 128)
"""Elements of a head whose sums a product takes in: tiles hold whole heads."""

FEWEST_COLUMNS = 16
"""Columns of a product from which on it takes in their sums."""


def fuse(
    graph: Graph,
    product_sums: bool = False,
    product_tests: bool = False,
    joins: bool = False,
    row_sums: bool = False,
    packed_sums: bool = False,
    few_launches: bool = False,
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
    over its rows, are results of its kernel, with ``product_tests`` whether any element is true; with ``joins``, a
    concatenation of values of one kernel is, too. With ``row_sums``, sums over the rows of a product are left to a
    ``row`` kernel that reads it, which reads the rest of what is added up anyway. With ``packed_sums``, f32 sums over
    the rows of the gradients that attention packs are results of its kernel, and so are those of equal parts of the
    rows of a product, a head each. With ``few_launches``, numbers that do not wait for each other are one kernel's.
    """
    for node in graph.nodes:
        if node.op.kind == "fused":
            raise VerifyError(f"fuse takes a graph that is not fused yet, and this node is\n  at {node.loc}")
    return _Fusion(graph, product_sums, product_tests, joins, row_sums, packed_sums, few_launches).run()


def _element_map(value: Value, shape: tuple[int, ...], linear: Index) -> tuple[Value, Index]:
    """The root that operand ``value`` of a node of ``shape`` reads, and where, for element ``linear``."""
    index = broadcast(linear, shape, value.shape)
    root, chain = view_chain(value)
    for view in reversed(chain):
        index = through_view(view, index)
    return root, index


class _Fusion(Placed):
    def __init__(
        self,
        graph: Graph,
        product_sums: bool,
        product_tests: bool,
        joins: bool,
        row_sums: bool,
        packed_sums: bool,
        few_launches: bool,
    ) -> None:
        super().__init__(graph)
        self.product_sums, self.product_tests, self.joins = product_sums, product_tests, joins
        self.row_sums, self.packed_sums, self.few_launches = row_sums, packed_sums, few_launches

    def run(self) -> Graph:
        for position, node in enumerate(self.nodes):
            if not node.op.is_free and not self._is_lazy_cast(node) and not self._is_added_up(node):
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
        alone = all(
            root not in self.results and self._only_read_through(root, part) for part, root in zip(concat.inputs, roots)
        )
        if not alone or pieces(concat.output) is None:
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

    def _is_added_up(self, cast: Node) -> bool:
        """Whether only the attention that packs the operand of ``cast`` reads it, to add up its rows."""
        readers = self.readers.get(cast.outputs[0], ())
        if not cast.op.converts or not readers or cast.output in self.results:
            return False
        return all(r.op.kind == "reduce" and self._packer(r) is not None for r in readers)

    def _packer(self, reduction: Node) -> Group | None:
        """The attention that packs what ``reduction`` adds up over all rows, and has the sums of its blocks."""
        value, chain = view_chain(reduction.inputs[0])
        if value.producer is not None and value.producer.op.converts and value not in self.group:
            value, more = view_chain(value.producer.inputs[0])
            chain = chain + more
        group, packing = self.group.get(value), value.producer
        if not self.packed_sums or group is None or packing is None or packing.op.reads != "parts":
            return None
        columns = value.shape[-1]
        rows = reduction_class(reduction.inputs[0].shape, reduction.attrs["axes"]) == "column"
        plain = all(view.op.keeps == "order" for view in chain) and reduction.inputs[0].shape[-1] == columns
        if reduction.op.join != "add" or reduction.output.dtype is not f32 or not (rows and plain):
            return None
        if group.anchor is None or group.anchor.op.anchor != "attention" or reduction.output.type.size != columns:
            return None
        places = pieces(value)
        inside = places is not None and all(
            offset < columns and not strides[-2] % columns and strides[-1] == 1 for _, offset, strides in places
        )
        return group if inside else None

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
            if all(view.op.keeps == "order" for view in chain):
                return group
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
        packer = self._packer(node)
        if packer is not None:
            self._join(packer, node, position)
            packer.sinks.add(node.output)
            return
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
                if kind in ("column", "full") or not per_element or group.anchor is not None:
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
            for i, home in enumerate(numbers):
                if self._mergeable(home, group) and self._independent(home, group):
                    numbers[i] = self._union(home, group)
                    break
            else:
                numbers.append(group)

    def _fits(self, group: Group, node: Node, kind: str, columns: int) -> bool:
        """Whether a reduction of a value of ``group`` can run in its kernel."""
        if group.anchor is not None:
            adds = self.product_sums and group.anchor.op.kind == "contract"
            wide = kind == "full" or (kind == "column" and _tall(group.anchor.output.shape, columns))
            wide = wide or (kind == "row" and self.packed_sums and _is_head(group.anchor.output.type, columns))
            return adds and wide and joined_by_product(node, kind) and (self.product_tests or node.op.join == "add")
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
                room = len(group.sources) < MOST_SOURCES
                if room and self._acyclic(group, node) and not self._keeps_waiting(group, node):
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
        if len(a.sources) + len(b.sources) > MOST_SOURCES:
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
        whole = self.groups.merge(a, b)
        for node in (b if whole is a else a).nodes:
            for value in node.outputs:
                self.group[value] = whole
        return whole

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
        recompute(self, read)
        new: dict[Value, Value] = {p.value: p.value for p in self.graph.params}
        nodes = []
        for group in ordered(self):
            if group.anchor is not None and group.anchor.op.kind == "loop":
                nodes.append(_loop_on(group.anchor, new))
                continue
            outputs = [v for n in group.nodes for v in n.outputs if v in read]
            if group.anchor is not None and group.anchor.op.anchor == "attention":
                made = next(n for n in reversed(group.nodes) if n.outputs[0] not in group.sinks)
                outputs = [*made.outputs, *(v for v in outputs if v in group.sinks)]
            outputs += group.copies + list(aliases.get(group, ()))
            if outputs:
                nodes.append(kernel(self, group, outputs, new))
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
                if value in self.reshaped or (not chain and (value in self.group or value.producer is None)):
                    continue
                plain = value not in self.group and all(v.op.keeps == "order" for v in chain)
                takes = group is not None and (group.anchor is None or group.anchor.op.is_product)
                if group is not None and takes and plain and root not in group.sinks:
                    if value not in aliases.setdefault(group, []):
                        aliases[group].append(value)
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
                    read.update(r for r in self.roots(value) if self.group.get(r) is not group)
        return {v for v in read if v in self.group and v not in self.group[v].copies}


def _tall(shape: tuple[int, ...], columns: int) -> bool:
    """Whether a product has ``columns`` columns, some, and many rows."""
    return columns == shape[-1] >= FEWEST_COLUMNS and prod(shape[:-1]) >= FEWEST_ROWS


def _is_head(product: TensorType, columns: int) -> bool:
    """Whether the rows of a product hold several heads of ``columns`` columns."""
    n = product.shape[-1]
    return columns in HEADS and columns < n and n % columns == 0 and (product.dtype.is_half or product.dtype is f32)


def _loop_on(loop: Node, new: dict[Value, Value]) -> Node:
    """``loop`` on the values that kernels have made."""
    inputs = tuple([new[v] for v in loop.inputs])
    copied = loop.copy(inputs)
    new.update(zip(loop.outputs, copied.outputs, strict=True))
    return copied


def root_size(value: Value) -> int:
    return view_chain(value)[0].type.size
