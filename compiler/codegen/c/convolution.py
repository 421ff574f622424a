"""Convolutions as C text: the register tiles of matrix products, on panels filled from windows of images."""

from __future__ import annotations

from math import prod
from typing import Any

from compiler.codegen.c.body import Body, Scope
from compiler.codegen.c.isa import Isa
from compiler.codegen.c.kernels import TeamKernel, parameters_of, window_of
from compiler.codegen.c.tiles import C_TYPE, Factors, Pack, Tile, by_rows, own_scratch
from compiler.codegen.c.windows import Windows
from compiler.codegen.c.writer import Writer
from compiler.codegen.indices import index_text
from compiler.codegen.sizes import ceil_div, round_up
from compiler.index import Index, Var, join
from compiler.ir.graph import Node
from compiler.ir.types import bf16

_BLOCK_BYTES = 1 << 19  # of panels that a thread fills before it runs the weights over them
_STRIP = 256  # places of a result that a weight gradient adds up at a time
_ENOUGH = 2048  # places of a result that are worth partial sums of their own
_ITEMS = 32  # shares of a weight gradient's work, at most
_BLOCK = 8  # row panels that are worth a share of their own


class _Plan(Factors):
    """One product for each group, cut into tiles: ``rows`` x ``columns``.

    ``params`` is C parameter text for the ``epilogue``, statements run once for every element, in terms of ``acc``
    (float) and of ``n``, ``i``, ``j`` (image, channel, place) or, in a gradient, of ``i`` and ``j`` (channel, place in
    the window).

    Attributes:
        windows: what each group of each image is seen through.
        channels: channels of the result in each group.
        tile_kind: how the left factor of a tile lies.
        other: the second operand: weights ``[groups * channels, depth]``, or the gradient of the result
            ``[images, groups * channels, places]``, whose product with the windows gives the gradient of the weights.
    """

    tile_kind: str
    shared_bytes: int
    private_bytes: int

    def __init__(self, isa: Isa, op: Node, params: str, epilogue: str) -> None:
        x, other = op.inputs[:2]
        super().__init__("bf16" if x.dtype is bf16 else "f32", isa)
        attrs, gradient = op.attrs, op.op.gradient
        self.compute = "f32" if self.form == "f32" else "bf16"
        self.params, self.epilogue = params, epilogue
        self.images, self.groups, self.other = x.shape[0], attrs["groups"], other.dtype.short
        self.channels = other.shape[1 if gradient else 0] // self.groups
        self.windows = Windows(
            x.shape[1] // self.groups,
            x.shape[2:],
            attrs["window"] if gradient else other.shape[2:],
            other.shape[2:] if gradient else attrs["size"],
            attrs["stride"],
            attrs["dilation"],
            attrs["padding"],
            x.dtype.short,
            {"pairs": "bf16"}.get(self.form, self.form),
        )
        self.at_bytes = round_up(4 * self.windows.depth, 64)
        self.stage_bytes = round_up(self.windows.stage_elements * (2 if self.pairs else 4), 64)

    def cut(self, rows: int, columns: int) -> None:
        """Choose the tiles."""
        isa = self.isa
        self.rows, self.columns = rows, columns
        self.row_panels = ceil_div(rows, isa.mr)
        self.mr = ceil_div(rows, self.row_panels)
        self.row_panels = ceil_div(rows, self.mr)
        needed = ceil_div(columns, isa.lanes)
        self.nv = min(max((isa.registers - 1) // (self.mr + 1), 1), needed, 8)
        self.nr = self.nv * isa.lanes
        self.column_panels = ceil_div(columns, self.nr)
        self.last_vectors = ceil_div(columns % self.nr or self.nr, isa.lanes)

    # Text that both kernels share

    def open(self, out: Writer, what: str, other: str) -> None:
        """The functions that the kernel calls, and its head."""
        windows = self.windows
        windows.write_stage(out)
        windows.write_runs(out)
        sizes = " x ".join(map(str, windows.image))
        out(
            f"/* {what}: {self.images} images, {self.groups * windows.channels} x {sizes} {windows.dtype}, windows of "
            f"{' x '.join(map(str, windows.window))}, {self.groups * self.channels} x "
            f"{' x '.join(map(str, windows.size))}, operands in {self.compute} */"
        )
        out("KERNEL void NAME(gen_pool *pool, int tid, int nt, char *scratch,")
        params = f", {self.params}" if self.params else ""
        out.open(f"    const {C_TYPE[windows.dtype]} *x, const {C_TYPE[self.other]} *{other}{params})")

    def own(self, out: Writer) -> None:
        """The thread's own memory: where the windows look, and the stage, zero where no image will be."""
        windows = self.windows
        out(f"char *const own = {own_scratch('char', self.shared_bytes, self.private_bytes)};")
        out("int *const at = (int *)own;")
        out(f"{windows.element} *const stage = ({windows.element} *)(own + {self.at_bytes});")
        out(*windows.at_lines())
        out(f"memset(stage, 0, {windows.stage_elements * (2 if self.pairs else 4)});")

    def tile(self, out: Writer, vectors: int, arguments: str) -> None:
        """The call of the tile of row panel ``p``."""
        last = self.rows % self.mr
        choices = [self.mr, last] if last and self.row_panels > 1 else [self.mr]
        out(*by_rows("rows", choices, lambda r: [f"{Tile(r, vectors, self.tile_kind).name}({arguments});"]))

    def row_count(self) -> str:
        last = self.rows % self.mr
        return f"p < {self.row_panels - 1} ? {self.mr} : {last}" if last else str(self.mr)


class _Forward(_Plan):
    """Weights [channels, depth] times windows [depth, places], for each image and group.

    All threads pack the weights; then each takes panels of the result, stages the image, fills the panel from its
    windows and runs all rows over it.
    """

    def __init__(self, isa: Isa, op: Node, params: str, epilogue: str) -> None:
        super().__init__(isa, op, params, epilogue)
        self.cut(self.channels, self.windows.places)
        self.tile_kind = "pairs" if self.pairs else "columns"
        self.pack = Pack("rows", self.other, self.form, self.mr)
        self.k = self.windows.depth
        self.weight_panel = round_up(self.depth(self.k) * self.mr, 16) + 16
        self.ldb = self.nr + (isa.lanes if self.windows.size[-1] % isa.lanes else 0)
        self.panel = round_up(self.depth(self.k) * self.ldb, 16)
        fitting = max(min(_BLOCK_BYTES // (4 * self.panel), self.column_panels), 1)
        shares = max(_ITEMS // (self.images * self.groups), 1)
        blocks = max(ceil_div(self.column_panels, fitting), min(shares, self.column_panels))
        self.block = ceil_div(self.column_panels, blocks)
        self.blocks = ceil_div(self.column_panels, self.block)
        self.shared_bytes = 4 * self.groups * self.row_panels * self.weight_panel
        self.private_bytes = self.at_bytes + self.stage_bytes + 4 * self.block * self.panel

    def text(self) -> str:
        windows = self.windows
        out = Writer()
        self.open(out, "convolution", "w")
        out(f"{self.element} *const packed = ({self.element} *)scratch;")
        self.own(out)
        out(f"{self.element} *const panels = ({self.element} *)(own + {self.at_bytes + self.stage_bytes});")
        out(f"float tile[{self.mr * self.nr}] __attribute__((aligned(64)));")
        out(f"Run runs[{windows.max_runs(self.nr)}];")
        panels = self.groups * self.row_panels
        with out.block(f"for (long p = {panels}L * tid / nt; p < {panels}L * (tid + 1) / nt; ++p)"):
            group = f"p / {self.row_panels}" if self.groups > 1 else "0"
            first = f"p % {self.row_panels} * {self.mr}" if self.groups > 1 else f"p * {self.mr}"
            out(f"const long first = {first}, rows = LEAST({self.mr}, {self.rows} - first);")
            source = f"w + ({group} * {self.rows} + first) * {self.k}" if self.groups > 1 else f"w + first * {self.k}"
            out(
                self.pack.call(
                    f"packed + p * {self.weight_panel}", self.weight_panel, "rows", str(self.k), source, (self.k, 1)
                )
            )
        out("if (nt > 1) pool->barrier(pool, nt);")
        items = self.images * self.groups * self.blocks
        item, first, end, panel = "n" if self.groups == 1 else "source", "0", str(self.column_panels), "q"
        source, whole = item, self.columns % self.nr == 0
        if self.blocks > 1:
            item, first, end, panel = "item", "q0", "q1", "(q - q0)"
            out("long staged = -1;")
        out.open(f"for (long {item} = {items}L * tid / nt; {item} < {items}L * (tid + 1) / nt; ++{item})")
        if self.blocks > 1:
            out(f"const long {source} = item / {self.blocks}, q0 = item % {self.blocks} * {self.block};")
            out(f"const long q1 = LEAST({self.column_panels}, q0 + {self.block});")
        if self.groups > 1:
            out(f"const long n = source / {self.groups}, group = source % {self.groups};")
        stage = f"NAME_stage(stage, x + {source} * {windows.channels * prod(windows.image)}, {windows.channels});"
        if self.blocks > 1:
            out(f"if (staged != {source}) {stage}")
            out(f"staged = {source};")
        else:
            out(stage)
        with out.block(f"for (long q = {first}; q < {end}; ++q)"):
            last = f"(q + 1) * {self.nr}" if whole else f"LEAST({self.columns}, (q + 1) * {self.nr})"
            out(f"const long count = NAME_runs(runs, q * {self.nr}, {last});")
            copy = "window_pairs" if self.pairs else "window_rows_f32"
            out(f"{copy}(panels + {panel} * {self.panel}, {self.ldb}, {self.k}, stage, at, runs, count);")
        out.open(f"for (long p = 0; p < {self.row_panels}; ++p)")
        out(f"const long i0 = p * {self.mr}, rows = {self.row_count()};")
        row_panel = f"(group * {self.row_panels} + p)" if self.groups > 1 else "p"
        out(f"const {self.element} *a = packed + {row_panel} * {self.weight_panel};")
        out.open(f"for (long q = {first}; q < {end}; ++q)")
        out(f"const long j0 = q * {self.nr};")
        out(f"const {self.element} *b = panels + {panel} * {self.panel};")
        self._panel(out)
        for _ in range(4):
            out.close()
        return out.text()

    def _panel(self, out: Writer) -> None:
        """The tile of row panel ``p`` and column panel ``q``, and its epilogue."""
        ragged = self.columns % self.nr
        widths = [(self.nv, self.nr)] if self.column_panels > 1 or not ragged else []
        widths += [(self.last_vectors, ragged)] if ragged else []
        for number, (vectors, width) in enumerate(widths):
            if len(widths) > 1:
                out.otherwise() if number else out.open(f"if (q < {self.column_panels - 1})")
            self.tile(out, vectors, f"{self.depth(self.k)}, a, {self.mr}, b, {self.ldb}, tile, {self.nr}, 0")
            with out.block("for (long row = 0; row < rows; ++row)"):
                out(f"const long i = {f'group * {self.rows} + ' if self.groups > 1 else ''}i0 + row;")
                out("#pragma omp simd")
                with out.block(f"for (long col = 0; col < {width}; ++col)"):
                    out("const long j = j0 + col;")
                    out(f"float acc = tile[row * {self.nr} + col];")
                    out(*self.epilogue.strip().splitlines())
        if len(widths) > 1:
            out.close()


class _Gradient(_Plan):
    """Windows [depth, images * places] times the result's gradient [images * places, channels], for each group.

    The images are cut into chunks and the depth into blocks, by the shapes alone; each pair of them is one thread's
    work. In the end the chunks' sums are joined in their order: the result never depends on the number of threads.
    """

    def __init__(self, isa: Isa, op: Node, params: str, epilogue: str) -> None:
        super().__init__(isa, op, params, epilogue)
        self.cut(self.windows.depth, self.channels)
        self.tile_kind = "row_pairs" if self.pairs else "rows"
        self.pack = Pack("rows", self.other, self.form, self.nr)
        places = self.windows.places
        self.strip = min(_STRIP, places)
        enough = ceil_div(self.images * places, _ENOUGH)
        self.blocks = max(min(ceil_div(self.row_panels, _BLOCK), ceil_div(_ITEMS, self.groups)), 1)
        self.chunks = max(min(enough, self.images, ceil_div(_ITEMS, self.groups * self.blocks)), 1)
        self.b_panel = round_up(self.depth(self.strip) * self.nr, 16) + 16
        self.width = self.column_panels * self.nr
        self.lda = round_up(self.strip, 2 * isa.lanes) + 2 * isa.lanes
        self.partial = self.rows * self.width  # floats of one chunk's sums
        self.b_bytes = 4 * self.column_panels * self.b_panel
        a_bytes = round_up(self.mr * self.lda * (2 if self.pairs else 4) + 128, 64)
        self.shared_bytes = 4 * self.groups * self.chunks * self.partial
        self.private_bytes = self.at_bytes + self.stage_bytes + self.b_bytes + a_bytes

    def text(self) -> str:
        windows = self.windows
        out = Writer()
        self.open(out, "gradient of a convolution's weights", "g")
        out("float *const partial = (float *)scratch;")
        self.own(out)
        place = self.at_bytes + self.stage_bytes
        out(f"{self.element} *const packed = ({self.element} *)(own + {place});")
        out(f"{windows.element} *const rows_a = ({windows.element} *)(own + {place + self.b_bytes});")
        out(f"Run runs[{windows.max_runs(self.strip)}];")
        pieces = self.chunks * self.blocks
        items = self.groups * pieces
        out.open(f"for (long item = {items}L * tid / nt; item < {items}L * (tid + 1) / nt; ++item)")
        out(f"const long group = item / {pieces}, chunk = item / {self.blocks} % {self.chunks}, "
            f"block = item % {self.blocks};")  # fmt: skip
        for name, last, total, share, count in (
            ("first", "end", self.images, "chunk", self.chunks),
            ("p0", "p1", self.row_panels, "block", self.blocks),
        ):
            out(f"const long {name} = {total}L * {share} / {count}, {last} = {total}L * ({share} + 1) / {count};")
        out(f"float *const sums = partial + (group * {self.chunks} + chunk) * {self.partial}L;")
        taps = prod(windows.window)
        out(f"const long c0 = p0 * {self.mr} / {taps};")
        out(f"const long c1 = LEAST({windows.channels}, (p1 * {self.mr} - 1) / {taps} + 1);")
        out.open("for (long n = first; n < end; ++n)")
        source = f"x + ((n * {self.groups} + group) * {windows.channels} + c0) * {prod(windows.image)}"
        out(f"NAME_stage(stage + c0 * {windows.channel}, {source}, c1 - c0);")
        out.open(f"for (long j0 = 0; j0 < {windows.places}; j0 += {self.strip})")
        out(f"const long depth = LEAST({self.strip}, {windows.places} - j0);")
        source = f"g + (n * {self.groups} + group) * {self.channels * windows.places}L + j0"
        out(self.pack.call("packed", self.b_panel, str(self.columns), "depth", source, (windows.places, 1)))
        out("const long count = NAME_runs(runs, j0, j0 + depth);")
        out.open("for (long p = p0; p < p1; ++p)")
        out(f"const long i0 = p * {self.mr}, rows = {self.row_count()};")
        copy = "window_rows_bf16" if self.pairs else "window_rows_f32"
        out(f"{copy}(rows_a, {self.lda}, rows, stage, at + i0, runs, count);")
        depth = "depth"
        if self.pairs:
            depth = "(depth + 1) / 2"
            out("if (depth % 2)")
            out(f"  for (long row = 0; row < rows; ++row) rows_a[row * {self.lda} + depth] = 0;")
        out.open(f"for (long q = 0; q < {self.column_panels}; ++q)")
        a = "(const uint32_t *)rows_a" if self.pairs else "rows_a"
        lda = self.lda // 2 if self.pairs else self.lda
        arguments = (
            f"{depth}, {a}, {lda}, packed + q * {self.b_panel}, {self.nr}, "
            f"sums + i0 * {self.width} + q * {self.nr}, {self.width}, n > first || j0 > 0"
        )
        if self.last_vectors != self.nv and self.column_panels > 1:
            out.open(f"if (q < {self.column_panels - 1})")
            self.tile(out, self.nv, arguments)
            out.otherwise()
            self.tile(out, self.last_vectors, arguments)
            out.close()
        else:
            self.tile(out, self.last_vectors, arguments)
        for _ in range(5):
            out.close()
        out("if (nt > 1) pool->barrier(pool, nt);")
        self._join(out)
        out.close()
        return out.text()

    def _join(self, out: Writer) -> None:
        """The sums of the chunks, in their order, and the epilogue."""
        total = self.groups * self.rows
        with out.block(f"for (long row = {total}L * tid / nt; row < {total}L * (tid + 1) / nt; ++row)"):
            group = f"row / {self.rows}" if self.groups > 1 else "0"
            out(f"const long group = {group}, j = row - group * {self.rows};")
            out(f"const float *const sums = partial + group * {self.chunks * self.partial}L + j * {self.width};")
            with out.block(f"for (long col = 0; col < {self.columns}; ++col)"):
                out(f"const long i = group * {self.columns} + col;")
                out("float acc = sums[col];")
                if self.chunks > 1:
                    loop = f"for (long chunk = 1; chunk < {self.chunks}; ++chunk)"
                    out(f"{loop} acc += sums[chunk * {self.partial}L + col];")
                out(*self.epilogue.strip().splitlines())


def claims(inputs: Any, attrs: dict[str, Any], gradient: bool) -> bool:
    """Whether a convolution, or the gradient of its weights, is a kernel of its own here.

    Not where every channel is filtered by itself, nor where it is a plain product of matrices.
    """
    x, other = inputs[:2]
    if x.dtype.kind != "float" or x.dtype.itemsize > 4 or any(b != 1 for b in attrs["base"]):
        return False
    window = attrs["window"] if gradient else other.shape[2:]
    size = other.shape[2:] if gradient else attrs["size"]
    groups = attrs["groups"]
    if not x.type.size or not other.type.size or not prod(size) or not prod(window):
        return False
    if groups > 1 and x.shape[1] == groups == other.shape[0 if not gradient else 1]:
        return False
    plain = prod(window) == 1 and all(s == 1 for s in attrs["stride"]) and not any(attrs["padding"])
    return gradient or not (plain and size == x.shape[2:])


def convolution_kernel(isa: Isa, node: Node, aliases: dict[int, int]) -> TeamKernel:
    """A convolution, or the gradient of its weights, with everything fused behind it."""
    graph = node.inner
    op = next(n for n in graph.nodes if n.op.anchor == "convolution")
    gradient = op.op.gradient
    body = Body(graph, aliases)
    shape = op.output.shape
    flat = (shape[0], prod(shape[1:])) if gradient else (*shape[:2], prod(shape[2:]))
    coordinates = ("i", "j") if gradient else ("n", "i", "j")
    place = join([Index.of(Var(x, size)) for x, size in zip(coordinates, flat, strict=True)], flat)
    inner = Scope()
    body.know_sum(op, place, inner)
    texts = [body.to_store(value, place, inner) for value in graph.outputs]
    for i, text in enumerate(texts):
        inner(f"{body.target(i)}[{index_text(place)}] = {text};")
    parameters, operands = parameters_of(body)
    plan = (_Gradient if gradient else _Forward)(isa, op, ", ".join(parameters), inner.text())
    first = [window_of(graph, v)[0] for v in op.inputs[:2]]
    return TeamKernel(plan.text(), [*first, *operands], plan.shared_bytes, plan.private_bytes, body.checks)
