"""How a matrix product is computed, decided from its shapes: register tile, blocking, packed operands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

from compiler.codegen.c.isa import Isa
from compiler.codegen.c.tiles import BYTES, Factors, Pack, Tile, order_of
from compiler.codegen.sizes import ceil_div, round_up

# Measured with AVX-512 on two cores:
#
#   tile          14 x 32 is best. In f32 8 x 48 equals it and 6 x 64 is close; in pairs of bf16 8 x 48 loses up to 20 %
#   even shares   in pairs 12 x 32, where it divides the rows, gains 3 to 5 % of 384 rows and loses nothing of 1536
#   B in place    488 GFLOP/s against 412 packed, where its rows are contiguous and m <= 128 or k <= 800
#   A in place    no worse than packed, but where its rows are a multiple of 4 KB apart
#   packing       1 to 3 % of 600 million multiply-adds in pairs, casts from f32 included
#   blocks of B   of 512 KB to 2 MB make no difference
#   fetching      C and what the next tile reads gains 3 to 9 % of 1024 rows, up to 40 % of 64 rows where B comes from
#                 the third level of caches; with 64 multiply-adds to an element it costs 6 %
#   shares        by rows from four row panels a thread on, by columns below
#   repeated      in loops, 32 rows: 16 x 16 with B packed in front and rows shared out, so that no barrier is left,
#                 gains 4 to 8 % of an LSTM's loop; of 4 MB of B each thread had better read a part

_BLOCK_BYTES = 1 << 21  # of packed B
_K_BYTES = 6144  # one row of a panel's k range, before it is split
_SMALL_B = 1 << 12  # elements every thread may pack for itself
_PRIVATE_B = 1 << 18  # elements of one matrix of a batch that a thread packs for itself
_PAGE_FLOATS = 1024  # rows this far apart compete for the same cache sets
_THIN = 8  # rows or columns up to which dot products along k beat tiles
_LONG = 256  # depth of a product from which a tile's shape counts less than even shares
_GROUP_BYTES = 1 << 18  # of row panels of A that are packed at once: part of a cache of the second level
LINE = 64  # bytes of memory that are fetched at once
_DEEP = 128  # depth from which a tile is long enough to fetch ahead
_FEW = 128  # rows up to which packing all of B costs more than turning the result over


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
    its own element only. Parameters may have any name that the kernels do not use themselves.

    `result` is the parameter, an f32 array [batch..., m, n], that takes the sums themselves, or "": register tiles are
    stored in it directly, and the epilogue runs behind. `totals` are sums over all elements: the parameter for partial
    results, f32[:attr:`Plan.parts`], and the term of one element, in terms of what the epilogue defines.
    `column_totals` are sums over batch and rows, with partial results f32[:attr:`Plan.row_parts`, n]; not for thin
    products. `ahead` are statements run before the epilogue of neighbours in a row, `width` (a constant) columns from
    `j0` on. `streams` are the arrays [batch..., m, n], row-major, of which the epilogue reads or writes its own
    element: name, bytes of one.

    `repeated`: the product runs often with the same B. Where :attr:`Plan.packed_bytes` is not 0, the kernel then takes
    B as ``NAME_pack`` has laid it out.
    """

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
    column_totals: tuple[tuple[str, str], ...] = ()
    ahead: str = ""
    streams: tuple[tuple[str, int], ...] = ()
    repeated: bool = False

    @property
    def all_totals(self) -> tuple[tuple[str, str], ...]:
        """The sums of everything, then the sums of columns."""
        return self.totals + self.column_totals


class Plan(Factors):
    """Everything decided from the shapes: tile, blocking, packed operands and who packs them."""

    def __init__(self, isa: Isa, spec: GemmSpec):
        super().__init__(spec.compute, isa)
        self.spec = spec
        self.n, self.k = spec.n, spec.k
        self.empty = min(spec.m, spec.n, prod(spec.batch)) == 0
        self.folded = self._folds()
        self.batch = () if self.folded else spec.batch
        self.batches = prod(self.batch)
        self.m = spec.m * prod(spec.batch) if self.folded else spec.m
        self.a_strides, self.b_strides = spec.a.matrix, spec.b.matrix
        self.a_order = order_of(*self.a_strides)
        self.b_order = order_of(*reversed(self.b_strides))
        self.thin = self.a_order == self.b_order == "rows" and min(self.m, self.n) <= _THIN and self.k >= 4 * isa.lanes
        self.packed = spec.repeated and self._packs_ahead()
        self.turned = self._turns()
        self.mr = self._turned_rows() if self.turned else self._rows()
        self.nv = self._vectors(self.mr, self.m if self.turned else self.n)
        self.nr = self.nv * isa.lanes
        self.row_panels, self.column_panels = ceil_div(self.m, self.mr), ceil_div(self.n, self.nr)
        self.direct_a, self.direct_b = self._direct_a(), self._direct_b()
        self.private = self._private()
        self.split_k = 4 * self.depth(self.k) > _K_BYTES
        self.k_step = _K_BYTES // 8 * (2 if self.pairs else 1) if self.split_k else self.k
        self.whole_rows = self.private or self.packed or (self.direct_b and not self.split_k)
        block = _BLOCK_BYTES // (4 * max(self.depth(self.k_step), 1) * self.nr)
        most = self.column_panels if self.whole_rows else max(block, 1)
        blocks = max(ceil_div(self.column_panels, most), 1)
        self.block_panels = ceil_div(self.column_panels, blocks)  # blocks of one size

    def _folds(self) -> bool:
        """Whether the batch is only more rows: one B for all, and rows of A that follow on from matrix to matrix."""
        spec = self.spec
        reach = spec.m * spec.a.strides[-2]
        for size, a, b in reversed(list(zip(spec.batch, spec.a.strides, spec.b.strides))):
            if size > 1 and (a != reach or b != 0):
                return False
            reach *= size
        return True

    def _packs_ahead(self) -> bool:
        """Whether all of B is packed by a function of its own, which need not run as often as the product."""
        fits = 4 * self.depth(self.k) <= _K_BYTES and self.k * self.n > _SMALL_B
        return fits and not (self.empty or self.thin or self.batch)

    def _turns(self) -> bool:
        """Whether to compute the transpose: with few rows of A, these are packed, and B, along k, is read in place."""
        in_place = self.form == "f32" and self.spec.b.dtype == "f32" and self.b_order == "rows"
        flat = not (self.batch or self.thin or self.n % self.isa.lanes or 4 * self.k > _K_BYTES)
        return in_place and flat and not self.packed and self.m <= _FEW and 2 * self.m <= self.n

    def _turned_rows(self) -> int:
        """Rows of a tile of the transpose: some that make up a square of vectors, with room for two vectors across."""
        return next(rows for rows in range(self.isa.registers // 4, 0, -1) if self.isa.lanes % rows == 0)

    def _rows(self) -> int:
        """Rows of the tile: the ISA's, or fewer where they would leave a remainder, thin or of uneven shares."""
        m, mr = self.m, self.isa.mr
        if self.packed and (shared := self._even_rows()):
            return shared
        if m <= 4 * mr and m % mr and m % mr <= mr // 2:
            return ceil_div(m, ceil_div(m, mr))
        if m <= 4 * mr or m % mr == 0 or self.k < _LONG:
            return max(min(m, mr), 1)
        across = {rows: self._vectors(rows, self.n) for rows in range(mr // 2, mr + 1)}
        sums = {rows: rows * vectors for rows, vectors in across.items()}
        even = [rows for rows in sums if m % rows == 0 and 4 * sums[rows] >= 3 * sums[mr]]
        if self.pairs:
            even = [rows for rows in even if across[rows] == across[mr]]
        return max(even, key=lambda rows: (sums[rows], -rows), default=mr)

    def _even_rows(self) -> int:
        """The rows of the largest tile that divides the rows, if there is one; up to one vector across."""
        mr, tallest = self.isa.mr, self.isa.registers // 2
        sums = {rows: rows * self._vectors(rows, self.n) for rows in (*range(mr // 2, mr + 1), tallest)}
        even = [rows for rows in sums if self.m % rows == 0 and 2 * sums[rows] >= sums[mr]]
        return max(even, key=lambda rows: (sums[rows], rows), default=0)

    def _vectors(self, rows: int, columns: int) -> int:
        """Vectors across a tile of `rows`: as many as registers allow beside one row of B and a broadcast."""
        needed = ceil_div(columns, self.isa.lanes)
        limit = max(min((self.isa.registers - 1) // (rows + 1), 8, needed), 1)
        even = next(vectors for vectors in range(limit, 0, -1) if needed % vectors == 0)
        return even if 2 * even > limit else limit

    def _direct_a(self) -> bool:
        if self.form != "f32" or self.spec.a.dtype != "f32" or self.a_order == "strided":
            return False
        near = self.a_order == "rows" and self.a_strides[0] % _PAGE_FLOATS != 0
        return near or self.column_panels <= 4 or self.k <= 128

    def _direct_b(self) -> bool:
        if self.form != "f32" or self.spec.b.dtype != "f32" or self.b_strides[1] != 1 or self.n < self.nr:
            return False
        if self.packed:
            return False
        return self.m <= 128 or (self.k <= 800 and self.b_strides[0] % _PAGE_FLOATS != 0)

    def _private(self) -> bool:
        """Whether threads share out matrices and row panels, and each packs B for itself, so that none waits."""
        small = self.k * self.n <= (_PRIVATE_B if self.batches > 1 else _SMALL_B)
        return small or (self.direct_b and self.batches > 1)

    @cached_property
    def parts(self) -> int:
        """Pieces of the product that add up their share of a total: tiles, or blocks of dot products."""
        if self.empty:
            return 0
        if self.turned:
            return self.squares * self.turned_panels
        return self.batches * (self.dot_blocks if self.thin else self.row_panels * self.column_panels)

    @cached_property
    def row_parts(self) -> int:
        """Pieces of a product that is not thin which add up their share of a column's total: panels of rows."""
        if self.empty:
            return 0
        return self.batches * (self.turned_panels if self.turned else self.row_panels)

    @cached_property
    def even(self) -> int:
        """A number each of whose divisors shares out the rows evenly among as many threads; 0: none."""
        shared = not (self.empty or self.thin or self.turned or self.batch or self.halves_b)
        return self.row_panels if shared and self.m % self.mr == 0 else 0

    @cached_property
    def halves_b(self) -> bool:
        """Whether threads would rather read a part of B each than all of it: so much comes from far away every time."""
        return self.packed and 4 * self.b_block > _BLOCK_BYTES

    @cached_property
    def dot_blocks(self) -> int:
        """Blocks of four rows of the longer side of a thin product."""
        return ceil_div(max(self.m, self.n), 4)

    @cached_property
    def squares(self) -> int:
        """Pieces of a transposed product as wide as a vector is long, which are turned over after the tiles."""
        return self.n // self.isa.lanes

    @cached_property
    def turned_panels(self) -> int:
        """Panels of rows of A of a transposed product."""
        return ceil_div(self.m, self.nr)

    # Shared functions

    @cached_property
    def last_vectors(self) -> int:
        """Vectors of the last column tile: fewer than the others where few tiles make the waste count."""
        last = self.n % self.nr
        return self.nv if self.direct_b or last == 0 or self.column_panels > 8 else ceil_div(last, self.isa.lanes)

    def tile(self, rows: int, vectors: int) -> Tile:
        """The tile of this size."""
        a = "pairs" if self.pairs else self.a_order if self.direct_a else "columns"
        return Tile(rows, vectors, a, self.fetches)

    # Tiles fetch meanwhile: the rows of A that come next, where these are no further apart than k, and B in place

    @cached_property
    def fetches(self) -> bool:
        return self.k >= _DEEP and not self.packed and (self.direct_b or self.a_apart > 0)

    @cached_property
    def a_apart(self) -> int:
        """Bytes between the lines of A that a tile fetches at one step along k and the next; 0: none."""
        size = BYTES[self.spec.a.dtype] * (2 if self.pairs else 1)
        if self.a_order == "columns":
            return size * self.a_strides[1]
        return round_up(size * self.mr, LINE) if self.a_strides == (self.k, 1) else 0

    @cached_property
    def across(self) -> int:
        """Bytes between the lines that are fetched at one step."""
        return self.a_apart // 2 if self.pairs and self.a_order == "columns" else LINE

    @cached_property
    def pack_a(self) -> Pack:
        return Pack(self.a_order, self.spec.a.dtype, self.form, self.nr if self.turned else self.mr)

    @cached_property
    def pack_b(self) -> Pack:
        return Pack(self.b_order, self.spec.b.dtype, self.form, self.nr)

    # Scratch, in elements of four bytes: [blocks of B, partial sums] [thread: its own B and partial sums, a panel of A]

    @cached_property
    def b_panel(self) -> int:
        return round_up(self.depth(self.k if self.private else self.k_step) * self.nr, 16) + 16

    @cached_property
    def b_block(self) -> int:
        return 0 if self.direct_b else self.block_panels * self.b_panel

    @cached_property
    def turns(self) -> bool:
        """Whether blocks of B alternate between two places, so that one barrier a block is enough."""
        more = self.block_panels < self.column_panels or self.batches > 1 or self.split_k
        return more and not (self.private or self.direct_b)

    @cached_property
    def a_panel(self) -> int:
        if self.turned:
            return round_up(self.k * self.nr, 16) + 16
        return 0 if self.direct_a else round_up(self.depth(self.k_step) * self.mr, 16) + 16

    @cached_property
    def group(self) -> int:
        """Row panels of A that meet a panel of B in turn, packed at once: enough to read whole lines of memory."""
        if self.private or self.turned or self.thin or (self.direct_a and not self.packed):
            return 1
        panel = self.a_panel or self.depth(self.k) * self.mr
        return max(min(_GROUP_BYTES // (4 * panel), self.row_panels if self.packed else self.row_panels // 4), 1)

    @cached_property
    def partial(self) -> int:
        rows = 1 if self.private else self.row_panels
        return rows * self.block_panels * self.mr * self.nr if self.split_k else 0

    @cached_property
    def b_and_partial(self) -> int:
        blocks = 0 if self.packed else 2 if self.turns else 1
        return round_up(blocks * self.b_block + self.partial, 16)

    @cached_property
    def shared_bytes(self) -> int:
        return 0 if self.private or self.thin or self.turned or self.empty else 4 * self.b_and_partial

    @cached_property
    def packed_bytes(self) -> int:
        """Bytes of B in panels, where a function of its own packs it for a product that runs often; else 0."""
        return 4 * self.b_block if self.packed else 0

    @cached_property
    def private_bytes(self) -> int:
        if self.thin or self.empty:
            return 0
        if self.turned:
            return 4 * self.turned_panels * self.a_panel
        return 4 * ((self.b_and_partial if self.private else 0) + self.group * self.a_panel)
