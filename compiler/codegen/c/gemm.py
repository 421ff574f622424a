"""Matrix products as C text: C[b, i, j] = epilogue(sum over k of A[b, i, k] B[b, k, j]), batched, any strides.

The sum over k runs in one fixed order for each element, whatever the number of threads. The result of a register tile
goes to a small buffer, from which a plain loop, which the compiler vectorises, runs the caller's epilogue.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Protocol

from compiler.codegen.c.isa import Isa
from compiler.codegen.c.tiles import C_TYPE, CONVERSIONS, TO_F32, Pack, Tile, address, transpose
from compiler.codegen.c.writer import Writer

_ALIGN = 64
_BLOCK_BYTES = 1 << 21  # of packed B
_K_BYTES = 6144  # one row of a panel's k range, before it is split
_SMALL_B = 1 << 12  # elements every thread may pack for itself
_PRIVATE_B = 1 << 18  # elements of one matrix of a batch that a thread packs for itself
_PAGE_FLOATS = 1024  # rows this far apart compete for the same cache sets
_THIN = 8  # rows or columns up to which dot products along k beat tiles
_LONG = 256  # depth of a product from which a tile's shape counts less than even shares
_FEW = 128  # rows up to which packing all of B costs more than turning the result over


RESERVED = frozenset(
    {"pool", "tid", "nt", "scratch", "a", "b", "acc", "i", "j", "batch", "item", "packed", "packed_a", "packed_b"}
    | {"block", "turn", "tile", "partial", "a_matrix", "b_matrix", "by_rows", "first", "end", "left", "right", "panels"}
    | {"own", "own_end", "width"}
    | {"start", "p", "q", "i0", "j0", "k0", "depth", "rows", "row", "col", "flat", "sums", "total0", "total1"}
    | {"turned", "square"}
)
"""Names the kernels use themselves, beside b0, b1, ..."""


@dataclass(frozen=True)
class Operand:
    """A matrix or batch of them: storage dtype ("f32", "bf16", "f16"), strides (batch..., row, column) in elements."""

    dtype: str
    strides: tuple[int, ...]

    @property
    def matrix(self) -> tuple[int, int]:
        """Row and column strides."""
        return self.strides[-2], self.strides[-1]


@dataclass(frozen=True)
class GemmSpec:
    """One product.

    `compute` is "f32" or "bf16" (operands rounded to bf16, f32 sums). `params` is C parameter text for the epilogue.
    `epilogue` is C statements run once for every element, in terms of `b0`, `b1`, ... (batch indices), `i`, `j` (all
    long) and `acc` (float). Different elements run in any order and many at once, so a statement may read and write
    its own element only. Parameters may have any name but those of `RESERVED`.

    `result` is the parameter, an f32 array [batch..., m, n], that takes the sums themselves, or "": register tiles are
    stored in it directly, and the epilogue runs behind. `totals` are sums over all elements: the parameter for partial
    results, f32[:func:`parts`], and the term of one element, in terms of what the epilogue defines.
    """

    name: str
    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    a: Operand
    b: Operand
    compute: str
    params: str
    epilogue: str
    result: str = ""
    totals: tuple[tuple[str, str], ...] = ()

    def tiles(self, isa: Isa) -> frozenset[Tile]:
        """Register tiles the kernel calls."""
        return _Plan(isa, self).tiles

    def packs(self, isa: Isa) -> frozenset[Pack]:
        """Packing functions the kernel calls."""
        return _Plan(isa, self).packs

    def prelude_uses(self) -> set[str]:
        """Names of the prelude parts the kernel's own text calls, without those of the caller's epilogue."""
        conversions = {*CONVERSIONS[self.a.dtype], *CONVERSIONS[self.b.dtype]}
        rounding = {"round_bf16"} if self.compute == "bf16" else set()
        return {"vectors", *conversions, *rounding} | ({"sum_of"} if self.totals else set())


class TileUser(Protocol):
    """A specification whose kernel calls shared tiles and packing functions."""

    def tiles(self, isa: Isa) -> frozenset[Tile]: ...

    def packs(self, isa: Isa) -> frozenset[Pack]: ...

    def prelude_uses(self) -> set[str]: ...


def micro_kernels(isa: Isa, specs: Iterable[TileUser]) -> str:
    """The shared static functions of a file: the tiles and packing variants its specifications need, each once."""
    specs = list(specs)
    packs = sorted({pack for spec in specs for pack in spec.packs(isa)})
    tiles = sorted({tile for spec in specs for tile in spec.tiles(isa)})
    turned = any(isinstance(spec, GemmSpec) and _Plan(isa, spec).turned for spec in specs)
    texts = [transpose(isa)] if turned or any(pack.order == "rows" for pack in packs) else []
    texts += [pack.text(isa) for pack in packs] + [tile.text(isa) for tile in tiles]
    return "\n".join(texts)


def prelude_uses(isa: Isa, specs: Iterable[TileUser]) -> set[str]:
    """Names of the prelude parts that the kernels of the specifications and their micro-kernels call."""
    uses: set[str] = set()
    for spec in specs:
        uses |= spec.prelude_uses()
        uses = uses.union(*(tile.uses() for tile in spec.tiles(isa)), *(pack.uses() for pack in spec.packs(isa)))
    return uses


def scratch_bytes(isa: Isa, spec: GemmSpec, threads: int) -> int:
    """Bytes of 64-byte aligned scratch the kernel needs when at most `threads` threads run it."""
    plan = _Plan(isa, spec)
    return plan.shared_bytes + threads * plan.private_bytes


def parts(isa: Isa, spec: GemmSpec) -> int:
    """The number of partial results of each total. It depends on shapes only."""
    return _Plan(isa, spec).parts


def gemm_kernel(isa: Isa, spec: GemmSpec) -> str:
    """The function `void NAME(pool, tid, nt, scratch, a, b, PARAMS)`, which all nt threads call.

    It takes the inputs as visible and ends without a barrier. Between two kernels that use the same scratch, and before
    anyone reads the outputs, the caller puts `pool->barrier(pool, nt)`.
    """
    return _Kernel(_Plan(isa, spec)).text()


def _ceil(x: int, unit: int) -> int:
    return -(-x // unit)


def _round_up(x: int, unit: int) -> int:
    return _ceil(x, unit) * unit


class _Plan:
    """Everything decided from the shapes: tile, blocking, what is packed and by whom."""

    def __init__(self, isa: Isa, spec: GemmSpec):
        self.isa, self.spec = isa, spec
        self.n, self.k = spec.n, spec.k
        self.empty = min(spec.m, spec.n, prod(spec.batch)) == 0
        self.folded = self._folds()
        self.batch = () if self.folded else spec.batch
        self.batches = prod(self.batch)
        self.m = spec.m * prod(spec.batch) if self.folded else spec.m
        self.a_strides, self.b_strides = spec.a.matrix, spec.b.matrix
        self.a_order = self._order(self.a_strides[0], self.a_strides[1])
        self.b_order = self._order(self.b_strides[1], self.b_strides[0])
        self.thin = self.a_order == self.b_order == "rows" and min(self.m, self.n) <= _THIN and self.k >= 4 * isa.lanes
        self.pairs = spec.compute == "bf16" and isa.bf16_dot
        self.form = "pairs" if self.pairs else "rounded" if spec.compute == "bf16" else "f32"
        self.turned = self._turns()
        self.mr = self._turned_rows() if self.turned else self._rows()
        self.nv = self._vectors(self.mr, self.m if self.turned else self.n)
        self.nr = self.nv * isa.lanes
        self.row_panels, self.column_panels = _ceil(self.m, self.mr), _ceil(self.n, self.nr)
        self.direct_a, self.direct_b = self._direct_a(), self._direct_b()
        self.private = self._private()
        self.split_k = 4 * self.depth(self.k) > _K_BYTES
        self.k_step = _K_BYTES // 8 * (2 if self.pairs else 1) if self.split_k else self.k
        self.whole_rows = self.private or (self.direct_b and not self.split_k)
        block = _BLOCK_BYTES // (4 * max(self.depth(self.k_step), 1) * self.nr)
        most = self.column_panels if self.whole_rows else max(block, 1)
        self.block_panels = _ceil(self.column_panels, max(_ceil(self.column_panels, most), 1))  # blocks of one size

    def _folds(self) -> bool:
        """Whether the batch is only more rows: one B for all, and rows of A that follow on from matrix to matrix."""
        spec = self.spec
        reach = spec.m * spec.a.strides[-2]
        for size, a, b in reversed(list(zip(spec.batch, spec.a.strides, spec.b.strides))):
            if size > 1 and (a != reach or b != 0):
                return False
            reach *= size
        return True

    def _turns(self) -> bool:
        """Whether to compute the transpose: with few rows of A, these are packed, and B, along k, is read in place."""
        in_place = self.form == "f32" and self.spec.b.dtype == "f32" and self.b_order == "rows"
        flat = not (self.batch or self.thin or self.n % self.isa.lanes or 4 * self.k > _K_BYTES)
        return in_place and flat and self.m <= _FEW and 2 * self.m <= self.n

    def _turned_rows(self) -> int:
        """Rows of a tile of the transpose: some that make up a square of vectors, with room for two vectors across."""
        return next(rows for rows in range(self.isa.registers // 4, 0, -1) if self.isa.lanes % rows == 0)

    def _rows(self) -> int:
        """Rows of the tile: those of the ISA, or fewer where they would leave a remainder, thin or of uneven shares."""
        m, mr = self.m, self.isa.mr
        if m <= 4 * mr and m % mr and m % mr <= mr // 2:
            return _ceil(m, _ceil(m, mr))
        if m <= 4 * mr or m % mr == 0 or self.k < _LONG or self.pairs:
            return max(min(m, mr), 1)
        sums = {rows: rows * self._vectors(rows, self.n) for rows in range(mr // 2, mr + 1)}
        even = [rows for rows in sums if m % rows == 0 and 4 * sums[rows] >= 3 * sums[mr]]
        return max(even, key=lambda rows: (sums[rows], -rows), default=mr)

    def _vectors(self, rows: int, columns: int) -> int:
        """Vectors across a tile of `rows`: as many as registers allow beside one row of B and a broadcast."""
        needed = _ceil(columns, self.isa.lanes)
        limit = max(min((self.isa.registers - 1) // (rows + 1), 8, needed), 1)
        even = next(vectors for vectors in range(limit, 0, -1) if needed % vectors == 0)
        return even if 2 * even > limit else limit

    @staticmethod
    def _order(along: int, across: int) -> str:
        """What lies at distance one: neighbours across the panel's rows (along k), or down its columns."""
        return "rows" if across == 1 else "columns" if along == 1 else "strided"

    def _direct_a(self) -> bool:
        if self.form != "f32" or self.spec.a.dtype != "f32" or self.a_order == "strided":
            return False
        near = self.a_order == "rows" and self.a_strides[0] % _PAGE_FLOATS != 0
        return near or self.column_panels <= 4 or self.k <= 128

    def _direct_b(self) -> bool:
        if self.form != "f32" or self.spec.b.dtype != "f32" or self.b_strides[1] != 1 or self.n < self.nr:
            return False
        return self.m <= 128 or (self.k <= 800 and self.b_strides[0] % _PAGE_FLOATS != 0)

    def _private(self) -> bool:
        """Whether threads share out matrices and row panels, and each packs B for itself, so that none waits."""
        small = self.k * self.n <= (_PRIVATE_B if self.batches > 1 else _SMALL_B)
        return small or (self.direct_b and self.batches > 1)

    def depth(self, k: int) -> int:
        """Elements of a panel along k: pairs of bf16 are one."""
        return _ceil(k, 2) if self.pairs else k

    @cached_property
    def parts(self) -> int:
        """Pieces of the product that add up their share of a total: tiles, or blocks of dot products."""
        if self.empty:
            return 0
        if self.turned:
            return self.squares * self.turned_panels
        return self.batches * (self.dot_blocks if self.thin else self.row_panels * self.column_panels)

    @cached_property
    def dot_blocks(self) -> int:
        """Blocks of four rows of the longer side of a thin product."""
        return _ceil(max(self.m, self.n), 4)

    @cached_property
    def squares(self) -> int:
        """Of a transposed product, pieces as wide as a vector is long, which are turned over after the tiles."""
        return self.n // self.isa.lanes

    @cached_property
    def turned_panels(self) -> int:
        """Of a transposed product, panels of rows of A."""
        return _ceil(self.m, self.nr)

    # Shared functions

    @cached_property
    def a_kind(self) -> str:
        return "pairs" if self.pairs else self.a_order if self.direct_a else "columns"

    @cached_property
    def last_vectors(self) -> int:
        """Vectors of the last column tile: fewer than the others where few tiles make the waste count."""
        last = self.n % self.nr
        return self.nv if self.direct_b or last == 0 or self.column_panels > 8 else _ceil(last, self.isa.lanes)

    @cached_property
    def tiles(self) -> frozenset[Tile]:
        if self.empty or self.thin:
            return frozenset()
        if self.turned:
            return frozenset({Tile(self.mr, self.nv, "rows")})
        rows = {min(self.mr, self.m), self.m % self.mr or self.mr}
        vectors = {self.last_vectors} if self.n < self.nr else {self.nv, self.last_vectors}
        return frozenset(Tile(r, v, self.a_kind) for r in rows for v in vectors)

    @cached_property
    def pack_a(self) -> Pack:
        return Pack(self.nr if self.turned else self.mr, self.spec.a.dtype, self.a_order, self.form)

    @cached_property
    def pack_b(self) -> Pack:
        return Pack(self.nr, self.spec.b.dtype, self.b_order, self.form)

    @cached_property
    def packs(self) -> frozenset[Pack]:
        if self.empty or self.thin:
            return frozenset()
        if self.turned:
            return frozenset({self.pack_a})
        return frozenset(([] if self.direct_a else [self.pack_a]) + ([] if self.direct_b else [self.pack_b]))

    # Scratch, in elements of four bytes: [blocks of B, partial sums] [thread: its own B and partial sums, a panel of A]

    @cached_property
    def b_panel(self) -> int:
        return _round_up(self.depth(self.k if self.private else self.k_step) * self.nr, 16) + 16

    @cached_property
    def b_block(self) -> int:
        return 0 if self.direct_b else self.block_panels * self.b_panel

    @cached_property
    def turns(self) -> bool:
        # Scratch in elements of four bytes: [blocks of B, partial sums] [thread: its own B, partial sums, a panel of A]
        more = self.block_panels < self.column_panels or self.batches > 1 or self.split_k
        return more and not (self.private or self.direct_b)

    @cached_property
    def a_panel(self) -> int:
        if self.turned:
            return _round_up(self.k * self.nr, 16) + 16
        return 0 if self.direct_a else _round_up(self.depth(self.k_step) * self.mr, 16) + 16

    @cached_property
    def partial(self) -> int:
        rows = 1 if self.private else self.row_panels
        return rows * self.block_panels * self.mr * self.nr if self.split_k else 0

    @cached_property
    def b_and_partial(self) -> int:
        return _round_up((2 if self.turns else 1) * self.b_block + self.partial, 16)

    @cached_property
    def shared_bytes(self) -> int:
        return 0 if self.private or self.thin or self.turned or self.empty else 4 * self.b_and_partial

    @cached_property
    def private_bytes(self) -> int:
        if self.thin or self.empty:
            return 0
        if self.turned:
            return 4 * self.turned_panels * self.a_panel
        return 4 * ((self.b_and_partial if self.private else 0) + self.a_panel)


class _Kernel:
    """Writes the loops around the tiles, or dot products, of one product."""

    def __init__(self, plan: _Plan):
        self.plan, self.spec = plan, plan.spec
        self.out = Writer()
        self.a, self.b = ("a_matrix", "b_matrix") if plan.batch else ("a", "b")

    def text(self) -> str:
        spec, plan, out = self.spec, self.plan, self.out
        dims = "".join(f"{size}," for size in spec.batch)
        out(
            f"/* [{dims}{spec.m},{spec.n}] = [{dims}{spec.m},{spec.k}] {spec.a.dtype}"
            f" x [{dims}{spec.k},{spec.n}] {spec.b.dtype}, computed in {spec.compute} */"
        )
        out(f"NOINLINE void {spec.name}(gen_pool *pool, int tid, int nt, char *scratch,")
        params = f", {spec.params}" if spec.params else ""
        out.open(f"    const {C_TYPE[spec.a.dtype]} *a, const {C_TYPE[spec.b.dtype]} *b{params})")
        out("(void)pool, (void)tid, (void)nt, (void)scratch;")
        if not plan.empty:
            way = "dots" if plan.thin else "turned" if plan.turned else "private" if plan.private else "shared"
            {"dots": self._dots, "turned": self._turned, "private": self._private, "shared": self._shared}[way]()
        out.close()
        return out.text()

    # Pieces

    def _buffers(self) -> None:
        plan, out = self.plan, self.out
        element = "uint32_t" if plan.pairs else "float"
        own = f"scratch + {plan.shared_bytes} + (long)tid * {plan.private_bytes}"
        common = own if plan.private else "scratch"
        if not plan.direct_b:
            out(f"{element} *const packed_b = ({element} *)({common});")
        if plan.split_k:
            out(f"float *const partial = (float *)({common}) + {(2 if plan.turns else 1) * plan.b_block}L;")
        else:
            out(f"float tile[{plan.mr * plan.nr}] __attribute__((aligned({_ALIGN})));")
        if not plan.direct_a:
            offset = f" + {plan.b_and_partial}" if plan.private else ""
            out(f"{element} *const packed_a = ({element} *)({own}){offset};")

    def _indices(self, flat: str, sizes: tuple[int, ...], inner: int = 1) -> None:
        """Batch indices from one row-major index, the last of which takes `inner` steps."""
        for axis in reversed(range(len(sizes))):
            index = f"{flat} / {inner}" if inner > 1 else flat
            self.out(f"const long b{axis} = {index}{f' % {sizes[axis]}' if axis else ''};")
            inner *= sizes[axis]

    def _matrices(self) -> None:
        """Batch indices from `batch`, and the matrices they select."""
        self._indices("batch", self.plan.batch)
        for name, operand in ((self.a, self.spec.a), (self.b, self.spec.b)):
            place = address(name[0], *((f"b{axis}", stride) for axis, stride in enumerate(operand.strides[:-2])))
            self.out(f"const {C_TYPE[operand.dtype]} *const {name} = {place};")

    def _element(self, row: str) -> None:
        """Row and batch indices of an element, from its row among all."""
        if self.plan.folded and self.spec.batch:
            self.out(f"const long flat = {row};")
            self._indices("flat", self.spec.batch, self.spec.m)
            self.out(f"const long i = flat % {self.spec.m};")
        else:
            self.out(f"const long i = {row};")

    def _epilogue(self, stored: bool = False, lane: str = "") -> None:
        """What happens to one element; `stored`: the result has it already; `lane`: its place in the totals."""
        if self.spec.result and not stored:
            self.out(f"{self._result_element()} = acc;")
        for line in self.spec.epilogue.strip().splitlines():
            self.out(line)
        for k, (_, term) in enumerate(self.spec.totals):
            self.out(f"total{k}{lane} += {term};")

    def _result_element(self) -> str:
        """The element of the result, in terms of batch indices, row and column."""
        spec = self.spec
        sizes = (*spec.batch, spec.m, spec.n)
        strides = {f"b{axis}": prod(sizes[axis + 1 :]) for axis in range(len(spec.batch))} | {"i": spec.n}
        return f"{spec.result}[{' + '.join(f'{stride} * {index}' for index, stride in strides.items())} + j]"

    # Who computes what

    def _private(self) -> None:
        """Threads share out row panels of all matrices; each packs B for itself and none waits."""
        plan, out = self.plan, self.out
        self._buffers()
        items = plan.batches * plan.row_panels
        out(f"const long first = {items}L * tid / nt, end = {items}L * (tid + 1) / nt;")
        pack = None
        if not plan.direct_b:
            columns, rows = plan.b_strides[1], plan.b_strides[0]
            pack = plan.pack_b.call("packed_b", plan.b_panel, str(plan.n), str(plan.k), self.b, (columns, rows))
        if plan.batch:
            if pack:
                out("long packed = -1;")
            out.open("for (long item = first; item < end; ++item)")
            out(f"const long batch = item / {plan.row_panels}, p = item % {plan.row_panels};")
            self._matrices()
            if pack:
                out.open("if (packed < 0)" if not any(self.spec.b.strides[:-2]) else "if (packed != batch)")
                out(pack)
                out("packed = batch;")
                out.close()
        else:
            if pack:
                out(f"if (first < end) {pack}")
            out.open("for (long p = first; p < end; ++p)")
        out(f"const long i0 = p * {plan.mr}, rows = {self._rows()};")
        if plan.split_k:
            self._open_k()
        self._row_panel("0", "0", str(plan.column_panels), "packed_b")
        if plan.split_k:
            out.close()
        out.close()

    def _open_k(self) -> None:
        plan, out = self.plan, self.out
        out.open(f"for (long k0 = 0; k0 < {plan.k}; k0 += {plan.k_step})")
        out(f"const long depth = {plan.k} - k0 < {plan.k_step} ? {plan.k} - k0 : {plan.k_step};")

    def _shared(self) -> None:
        """Threads split the rows, or the columns where there are few rows; they pack the blocks of B together."""
        plan, out = self.plan, self.out
        self._buffers()
        rows, columns, step = plan.row_panels, plan.column_panels, plan.block_panels
        out(f"const int by_rows = {rows} >= 4 * nt || {rows} % nt == 0 || {rows} > {columns};")
        out(f"const long first = by_rows ? {rows}L * tid / nt : 0, end = by_rows ? {rows}L * (tid + 1) / nt : {rows};")
        if plan.turns:
            out("int turn = 0;")
        if plan.batch:
            out.open(f"for (long batch = 0; batch < {plan.batches}; ++batch)")
            self._matrices()
        start, panels, block = "0", f"{columns}L", "packed_b"
        if step < columns:
            start, panels = "start", "panels"
            out.open(f"for (long start = 0; start < {plan.n}; start += {step * plan.nr})")
            rest = f"({plan.n} - start + {plan.nr - 1}) / {plan.nr}"
            out(f"const long panels = {plan.n} - start < {step * plan.nr} ? {rest} : {step};")
        self._share(step, panels)
        out(f"const long left = by_rows ? 0 : own, right = by_rows ? {panels} : own_end;")
        if plan.split_k:
            self._open_k()
        if plan.turns:
            block = "block"
            out(f"{'uint32_t' if plan.pairs else 'float'} *const block = packed_b + turn * {plan.b_block}L;")
            out("turn ^= 1;")
        if not plan.direct_b:
            self._pack_own(block, start)
            out("if (nt > 1 && by_rows) pool->barrier(pool, nt);")
        out.open("for (long p = first; p < end; ++p)")
        out(f"const long i0 = p * {plan.mr}, rows = {self._rows()};")
        self._row_panel(start, "left", "right", block)
        out.close()
        for opened in (plan.split_k, step < columns, plan.batch):
            if opened:
                out.close()

    def _share(self, step: int, panels: str) -> None:
        """This thread's column panels, the same in each block, so that it may go on to the next without waiting."""
        own, end = f"{step}L * tid / nt", f"{step}L * (tid + 1) / nt"
        if panels == "panels":
            own, end = (f"{x} < panels ? {x} : panels" for x in (own, end))
        self.out(f"const long own = {own}, own_end = {end};")

    def _pack_own(self, block: str, start: str) -> None:
        """Packs panels [own, own_end) of the block of B that begins at column `start`."""
        plan, out = self.plan, self.out
        rows, columns = plan.b_strides
        total = str(plan.n) if start == "0" else f"({plan.n} - {start})"
        end = f"own_end * {plan.nr}"
        if plan.n % plan.nr:
            end = f"({end} < {total} ? {end} : {total})"
        k0 = "k0" if plan.split_k else "0"
        source = address(self.b, (start, columns), ("own", plan.nr * columns), (k0, rows))
        out(f"const long width = {end} - own * {plan.nr};")
        depth = "depth" if plan.split_k else str(plan.k)
        target = f"{block} + own * {plan.b_panel}"
        out(plan.pack_b.call(target, plan.b_panel, "width", depth, source, (columns, rows)))

    def _turned(self) -> None:
        """Threads share out the columns; each packs the few rows of A for itself, and turns its results over."""
        plan, out, lanes = self.plan, self.out, self.plan.isa.lanes
        out(f"float *const packed_a = (float *)(scratch + (long)tid * {plan.private_bytes});")
        out(f"float tile[{lanes * plan.nr}] __attribute__((aligned({_ALIGN}))); /* of the transpose */")
        out(f"float turned[{lanes * plan.nr}] __attribute__((aligned({_ALIGN})));")
        out(f"const long first = {plan.squares}L * tid / nt, end = {plan.squares}L * (tid + 1) / nt;")
        pack = plan.pack_a.call("packed_a", plan.a_panel, str(plan.m), str(plan.k), "a", plan.a_strides)
        out(f"if (first < end) {pack}")
        out.open("for (long p = first; p < end; ++p)")
        out(f"const long j0 = p * {lanes};")
        out.open(f"for (long q = 0; q < {plan.turned_panels}; ++q)")
        rows = str(plan.nr)
        if plan.m % plan.nr:
            rows = f"{plan.m} - i0 < {plan.nr} ? {plan.m} - i0 : {plan.nr}"
        out(f"const long i0 = q * {plan.nr}, rows = {rows};")
        stride = plan.b_strides[1]
        out(f"for (long col = 0; col < {lanes}; col += {plan.mr})")
        out(
            f"  {Tile(plan.mr, plan.nv, 'rows').name}({plan.k}, b + (j0 + col) * {stride}, {stride}, "
            f"packed_a + q * {plan.a_panel}, {plan.nr}, tile + col * {plan.nr}, {plan.nr}, 0);"
        )
        out.open(f"for (long row = 0; row < {plan.nr}; row += LANES)")
        out("vf square[LANES];")
        out(f"UNROLL for (int l = 0; l < LANES; ++l) square[l] = vload(tile + l * {plan.nr} + row);")
        out("transpose(square);")
        out("UNROLL for (int l = 0; l < LANES; ++l) vstore(turned + (row + l) * LANES, square[l]);")
        out.close()
        self._finish_tile("turned", lanes, lanes, f"p * {plan.turned_panels} + q")
        out.close()
        out.close()

    # Tiles

    def _row_panel(self, start: str, left: str, right: str, block: str) -> None:
        """The tiles of row panel `p` in column panels [left, right) of the block that begins at column `start`."""
        plan, out = self.plan, self.out
        if not plan.direct_a:
            source = address(self.a, ("i0", plan.a_strides[0]), ("k0" if plan.split_k else "0", plan.a_strides[1]))
            depth = "depth" if plan.split_k else str(plan.k)
            out(plan.pack_a.call("packed_a", plan.a_panel, "rows", depth, source, plan.a_strides))
        out.open(f"for (long q = {left}; q < {right}; ++q)")
        out(f"const long j0 = {start + ' + ' if start != '0' else ''}q * {plan.nr};")
        if plan.split_k:
            place = "q" if plan.private else f"(p * {plan.block_panels} + q)"
            out(f"float *const tile = partial + {place} * {plan.mr * plan.nr};")
        last = plan.n % plan.nr
        if last == 0:
            self._tile(plan.nv, block, plan.nr, 0)
        elif plan.n < plan.nr:
            self._tile(plan.last_vectors, block, last, 0)
        else:
            out.open(f"if (j0 + {plan.nr} <= {plan.n})")
            self._tile(plan.nv, block, plan.nr, 0)
            out.depth -= 1
            out.open("} else")
            self._tile(plan.last_vectors, block, last, plan.nr - last if plan.direct_b else 0)
            out.close()
        out.close()

    def _rows(self) -> str:
        """Rows of row panel `p`."""
        mr, m = self.plan.mr, self.plan.m
        return f"p < {m // mr} ? {mr} : {m % mr}" if m % mr else str(mr)

    def _tile(self, vectors: int, block: str, width: int, skip: int) -> None:
        """One tile and its epilogue for `width` columns; an unpacked last tile begins `skip` columns early."""
        plan, spec, out = self.plan, self.spec, self.out
        a, lda = "packed_a", plan.mr
        if plan.direct_a:
            a = address(self.a, ("i0", plan.a_strides[0]), ("k0" if plan.split_k else "0", plan.a_strides[1]))
            lda = plan.a_strides[0] if plan.a_order == "rows" else plan.a_strides[1]
        b, ldb = f"{block} + q * {plan.b_panel}", plan.nr
        if plan.direct_b:
            b, ldb = f"{self.b} + j0" + (f" - {skip}" if skip else ""), plan.b_strides[0]
        stored = bool(spec.result) and not plan.split_k and width == vectors * plan.isa.lanes
        c, ldc = "tile", plan.nr
        if stored:
            matrix = "batch" if plan.batch else "0"
            c, ldc = address(spec.result, (matrix, plan.m * plan.n), ("i0", plan.n), ("j0", 1)), plan.n
        depth, add = str(plan.depth(plan.k)), "0"
        if plan.split_k:
            if plan.direct_b or plan.private:
                b += f" + k0 / 2 * {ldb}" if plan.pairs else f" + k0 * {ldb}"
            depth, add = "(depth + 1) / 2" if plan.pairs else "depth", "k0 > 0"
        arguments = f"({depth}, {a}, {lda}, {b}, {ldb}, {c}, {ldc}, {add});"
        full, rest = min(plan.mr, plan.m), plan.m % plan.mr
        if rest and plan.m > plan.mr:
            out(f"if (rows == {full})")
            out(f"  {Tile(full, vectors, plan.a_kind).name}{arguments}")
            out("else")
            out(f"  {Tile(rest, vectors, plan.a_kind).name}{arguments}")
        else:
            out(f"{Tile(full, vectors, plan.a_kind).name}{arguments}")
        if plan.split_k:
            out(f"if (k0 + depth < {plan.k}) continue;")
        if stored and not spec.epilogue.strip() and not spec.totals:
            return
        panel = f"(batch * {plan.row_panels} + p)" if plan.batch else "p"
        part = f"{panel} * {plan.column_panels} + j0 / {plan.nr}"
        self._finish_tile("" if stored else "tile", plan.nr, width, part, skip)

    def _finish_tile(self, tile: str, distance: int, width: int, part: str, skip: int = 0) -> None:
        """The epilogue for `width` columns of `tile`, whose rows are `distance` apart, or "" if the result has it."""
        spec, out = self.spec, self.out
        for k in range(len(spec.totals)):
            out(f"float total{k}[{width}] = {{0}};")
        out.open("for (long row = 0; row < rows; ++row)")
        self._element("i0 + row")
        out("#pragma omp simd")
        out.open(f"for (long col = 0; col < {width}; ++col)")
        out("const long j = j0 + col;")
        place = f"{tile}[row * {distance} + col{f' + {skip}' if skip else ''}]" if tile else self._result_element()
        out(f"float acc = {place};")
        self._epilogue(not tile, "[col]")
        out.close()
        out.close()
        for k, (partial, _) in enumerate(spec.totals):
            out(f"{partial}[{part}] = sum_of(total{k}, {width});")

    # Thin products

    def _dots(self) -> None:
        """Dot products along k, where one side has few rows and both lie along k: 2 by 4 at once share their reads."""
        plan, out = self.plan, self.out
        by_columns = plan.m <= plan.n
        thin, wide = (plan.m, plan.n) if by_columns else (plan.n, plan.m)
        blocks, pair = plan.dot_blocks, min(thin, 2)
        items = plan.batches * blocks
        out.open(f"for (long item = {items}L * tid / nt; item < {items}L * (tid + 1) / nt; ++item)")
        if plan.batch:
            out(f"const long batch = item / {blocks}, q = item % {blocks} * 4;")
            self._matrices()
        else:
            out("const long q = item * 4;")
        for k in range(len(self.spec.totals)):
            out(f"float total{k} = 0.0f;")
        out.open(f"for (long p = 0; p < {thin}; p += {pair})")
        out(f"float sums[{pair}][4];")
        self._dot_block(by_columns, thin, wide, pair)
        out.open(f"for (long row = 0; row < {pair} && p + row < {thin}; ++row)")
        out.open(f"for (long col = 0; col < 4 && q + col < {wide}; ++col)")
        self._element("p + row" if by_columns else "q + col")
        out(f"const long j = {'q + col' if by_columns else 'p + row'};")
        out("float acc = sums[row][col];")
        self._epilogue()
        for _ in range(3):
            out.close()
        for k, (partial, _) in enumerate(self.spec.totals):
            out(f"{partial}[item] = total{k};")
        out.close()

    def _dot_block(self, by_columns: bool, thin: int, wide: int, pair: int) -> None:
        """`sums` from thin rows p, p + 1 and wide rows q to q + 3; past the end, the last row again."""
        plan, out = self.plan, self.out
        a = (self.a, self.spec.a.dtype, plan.a_strides[0])
        b = (self.b, self.spec.b.dtype, plan.b_strides[1])
        out.open("/* dot products */")
        loads = []
        for (source, dtype, stride), first, count, length, name in (
            (a if by_columns else b, "p", pair, thin, "x"),
            (b if by_columns else a, "q", 4, wide, "y"),
        ):
            for r in range(count):
                row = f"({first} + {r})" if r else first
                if r and length % count:
                    row = f"({first} + {r} < {length} ? {first} + {r} : {length - 1})"
                out(f"const {C_TYPE[dtype]} *const {name}_row{r} = {address(source, (row, stride))};")
                value = TO_F32[dtype].format(f"{name}_row{r}[k]")
                if self.spec.compute == "bf16" and dtype != "bf16":
                    value = f"round_bf16({value})"
                loads.append(f"{name}{r} = {value}")
        sums = [(r, c) for r in range(pair) for c in range(4)]
        out(f"float {', '.join(f's{r}{c} = 0.0f' for r, c in sums)};")
        out(f"#pragma omp simd reduction(+ : {', '.join(f's{r}{c}' for r, c in sums)})")
        out.open(f"for (long k = 0; k < {plan.k}; ++k)")
        out(f"const float {', '.join(loads)};")
        for r in range(pair):
            out(" ".join(f"s{r}{c} += x{r} * y{c};" for c in range(4)))
        out.close()
        for r, c in sums:
            out(f"sums[{r}][{c}] = s{r}{c};")
        out.close()
