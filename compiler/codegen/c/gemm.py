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
from compiler.codegen.c.tiles import C_TYPE, Pack, Tile, transpose

_ALIGN = 64
_GROUP = 4  # row panels that share one pass over the columns
_BLOCK_BYTES = 1 << 21  # of packed B
_K_BYTES = 6144  # one row of a panel's k range, before it is split
_SMALL_B = 1 << 12  # elements every thread may pack for itself
_PRIVATE_B = 1 << 18  # elements of one matrix of a batch that a thread packs for itself
_PAGE_FLOATS = 1024  # rows this far apart compete for the same cache sets


@dataclass(frozen=True)
class Operand:
    """A matrix or batch of them: storage dtype ("f32", "bf16", "f16"), strides (batch..., row, column) in elements."""

    dtype: str
    strides: tuple[int, ...]


@dataclass(frozen=True)
class GemmSpec:
    """One product.

    `compute` is "f32" or "bf16" (operands rounded to bf16, f32 sums). `params` is C parameter text for the epilogue.
    `epilogue` is C statements run once for every element, in terms of `b0`, `b1`, ... (batch indices), `i`, `j` (all
    long) and `acc` (float). Different elements run in any order and many at once, so a statement may read and write
    its own element only. The names pool, tid, nt, scratch, a, b and those ending in `_` belong to the kernel.
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

    def tiles(self, isa: Isa) -> frozenset[Tile]:
        """Register tiles the kernel calls."""
        return _Plan(isa, self).tiles

    def packs(self, isa: Isa) -> frozenset[Pack]:
        """Packing functions the kernel calls."""
        return _Plan(isa, self).packs

    def prelude_uses(self) -> set[str]:
        """Names of the prelude parts the kernel's own text calls, without those of the caller's epilogue."""
        return {"vectors"}


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
    texts = [transpose(isa)] if any(pack.order == "rows" for pack in packs) else []
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


def _ceil(x: int, unit: int) -> int:
    return -(-x // unit)


def _round_up(x: int, unit: int) -> int:
    return _ceil(x, unit) * unit


class _Plan:
    """Everything decided from the shapes: tile, blocking, what is packed and by whom."""

    def __init__(self, isa: Isa, spec: GemmSpec):
        self.isa, self.spec = isa, spec
        self.batches = prod(spec.batch)
        self.empty = min(spec.m, spec.n, self.batches) == 0
        self.pairs = spec.compute == "bf16" and isa.bf16_dot
        self.form = "pairs" if self.pairs else "rounded" if spec.compute == "bf16" else "f32"
        self.mr = self._rows()
        self.nv = self._vectors()
        self.nr = self.nv * isa.lanes
        self.row_panels = _ceil(spec.m, self.mr)
        self.direct_b = self._direct_b()
        self.a_order = self._order(spec.a.strides[-2:])
        self.b_order = self._order((spec.b.strides[-1], spec.b.strides[-2]))
        self.direct_a = self._direct_a()
        whole = 1 << 62
        self.depth = _round_up(spec.k, 2) // 2 if self.pairs else spec.k  # k in panel elements
        self.k_step = spec.k if 4 * self.depth <= _K_BYTES else _K_BYTES // 8 * (2 if self.pairs else 1)
        private = self.direct_b or spec.k * spec.n <= _PRIVATE_B
        self.private = (self.batches > 1 and private) or (not self.direct_b and spec.k * spec.n <= _SMALL_B)
        columns = max(_BLOCK_BYTES // (4 * max(self.depth, 1)) // self.nr, 4) * self.nr
        self.n_step = whole if self.direct_b or self.private else columns
        self.n_step = min(self.n_step, _round_up(spec.n, self.nr))

    # Decisions

    def _rows(self) -> int:
        """Rows of the tile: those of the ISA, or fewer where they would leave a thin remainder."""
        m, mr = self.spec.m, self.isa.mr
        if m > 4 * mr or m % mr == 0 or m % mr > mr // 2:
            return max(min(m, mr), 1)
        return _ceil(m, _ceil(m, mr))

    def _vectors(self) -> int:
        """Vectors across the tile: as many as registers allow beside one row of B and a broadcast."""
        needed = _ceil(self.spec.n, self.isa.lanes)
        limit = max(min((self.isa.registers - 1) // (self.mr + 1), 8, needed), 1)
        even = [nv for nv in range(limit, 0, -1) if needed % nv == 0]
        return even[0] if 2 * even[0] > limit else limit

    @staticmethod
    def _order(strides: tuple[int, ...]) -> str:
        along, across = strides
        return "rows" if across == 1 else "columns" if along == 1 else "strided"

    def _direct_b(self) -> bool:
        spec = self.spec
        rows, columns = spec.b.strides[-2:]
        if self.form != "f32" or spec.b.dtype != "f32" or columns != 1 or (spec.n < self.nr):
            return False
        return spec.m <= 128 or (spec.k <= 800 and rows % _PAGE_FLOATS != 0)

    def _direct_a(self) -> bool:
        spec = self.spec
        if self.form != "f32" or spec.a.dtype != "f32" or self.a_order == "strided":
            return False
        distance = spec.a.strides[-2] if self.a_order == "rows" else spec.a.strides[-1]
        few = _ceil(spec.n, self.nr) <= 4
        return few or (self.a_order == "rows" and distance % _PAGE_FLOATS != 0) or spec.k <= 128

    # Shared functions

    @cached_property
    def a_kind(self) -> str:
        return "pairs" if self.pairs else self.a_order if self.direct_a else "columns"

    @cached_property
    def last_vectors(self) -> int:
        """Vectors of the last column tile: fewer than the others where few tiles make the waste count."""
        last = self.spec.n % self.nr
        if self.direct_b or last == 0 or self.spec.n // self.nr >= 8:
            return self.nv
        return _ceil(last, self.isa.lanes)

    @cached_property
    def tiles(self) -> frozenset[Tile]:
        if self.empty:
            return frozenset()
        rows = {min(self.mr, self.spec.m), self.spec.m % self.mr or self.mr}
        vectors = {self.last_vectors} if self.spec.n < self.nr else {self.nv, self.last_vectors}
        return frozenset(Tile(r, v, self.a_kind) for r in rows for v in vectors)

    @cached_property
    def pack_a(self) -> Pack:
        return Pack(self.mr, self.spec.a.dtype, self.a_order, self.form)

    @cached_property
    def pack_b(self) -> Pack:
        return Pack(self.nr, self.spec.b.dtype, self.b_order, self.form)

    @cached_property
    def packs(self) -> frozenset[Pack]:
        if self.empty:
            return frozenset()
        return frozenset(([] if self.direct_a else [self.pack_a]) + ([] if self.direct_b else [self.pack_b]))

    # Scratch, in elements of four bytes: [B blocks] [thread: (own B) A panels, partial sums]

    @cached_property
    def b_panel(self) -> int:
        return _round_up(self.depth * self.nr, 16) + 16

    @cached_property
    def b_block(self) -> int:
        return 0 if self.direct_b else self.n_step // self.nr * self.b_panel

    @cached_property
    def blocks(self) -> int:
        """Blocks of B in turn: two, so that one barrier a block is enough."""
        return 2 if not self.private and (self.n_step < self.spec.n or self.batches > 1) else 1

    @cached_property
    def a_panel(self) -> int:
        step = self.k_step // 2 if self.pairs else self.k_step
        return 0 if self.direct_a else _round_up(min(step + 1, self.depth) * self.mr, 16) + 16

    @cached_property
    def split_k(self) -> bool:
        return self.k_step < self.spec.k

    @cached_property
    def partial(self) -> int:
        return _GROUP * self.mr * self.n_step if self.split_k else 0

    @cached_property
    def shared_bytes(self) -> int:
        return 0 if self.private else 4 * self.blocks * self.b_block

    @cached_property
    def private_bytes(self) -> int:
        return 4 * ((self.b_block if self.private else 0) + _GROUP * self.a_panel + self.partial)


class _Writer:
    """Lines of C, indented by the blocks that are open."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0

    def __call__(self, *lines: str) -> None:
        for line in lines:
            self.lines.append(line if line.startswith("#") else "  " * self.depth + line)

    def open(self, head: str) -> None:
        self(head + " {")
        self.depth += 1

    def close(self, tail: str = "}") -> None:
        self.depth -= 1
        self(tail)

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def gemm_kernel(isa: Isa, spec: GemmSpec) -> str:
    """The function `void NAME(pool, tid, nt, scratch, a, b, PARAMS)`, which all nt threads call.

    It takes the inputs as visible and ends without a barrier. Between two kernels that use the same scratch, and before
    anyone reads the outputs, the caller puts `pool->barrier(pool, nt)`.
    """
    return _Kernel(_Plan(isa, spec)).text()


class _Kernel:
    """Writes the loops around the tiles of one product."""

    def __init__(self, plan: _Plan):
        self.plan, self.spec = plan, plan.spec
        self.out = _Writer()

    def text(self) -> str:
        spec, plan, out = self.spec, self.plan, self.out
        dims = "".join(f"{size}," for size in spec.batch)
        out(
            f"/* [{dims}{spec.m},{spec.n}] = [{dims}{spec.m},{spec.k}] {spec.a.dtype}"
            f" x [{dims}{spec.k},{spec.n}] {spec.b.dtype}, computed in {spec.compute} */"
        )
        params = f", {spec.params}" if spec.params else ""
        out.open(
            f"NOINLINE void {spec.name}(gen_pool *pool, int tid, int nt, char *scratch, "
            f"const {C_TYPE[spec.a.dtype]} *a, const {C_TYPE[spec.b.dtype]} *b{params})"
        )
        out("(void)pool, (void)tid, (void)nt, (void)scratch;")
        if not plan.empty:
            self._buffers()
            if plan.private:
                self._private()
            else:
                self._shared()
        out.close()
        return out.text()

    def _buffers(self) -> None:
        plan, out = self.plan, self.out
        element = "uint32_t" if plan.pairs else "float"
        own = f"scratch + {plan.shared_bytes} + (long)tid * {plan.private_bytes}"
        if not plan.direct_b:
            out(f"{element} *const packed_b = ({element} *)({own if plan.private else 'scratch'});")
        offset = 4 * plan.b_block if plan.private else 0
        if not plan.direct_a:
            out(f"{element} *const packed_a = ({element} *)({own} + {offset});")
            offset += 4 * _GROUP * plan.a_panel
        if plan.split_k:
            out(f"float *const partial = (float *)({own} + {offset});")
        else:
            out(f"float tile[{plan.mr * plan.nr}] __attribute__((aligned({_ALIGN})));")

    def _batch(self) -> None:
        """Batch indices and the matrices they select."""
        spec, out = self.spec, self.out
        inner = 1
        for axis in reversed(range(len(spec.batch))):
            index = f"batch / {inner}" if inner > 1 else "batch"
            out(f"const long b{axis} = {index}{f' % {spec.batch[axis]}' if axis else ''};")
            inner *= spec.batch[axis]
        for name, operand in (("a", spec.a), ("b", spec.b)):
            terms = [f"b{axis} * {stride}" for axis, stride in enumerate(operand.strides[:-2]) if stride]
            out(f"const {C_TYPE[operand.dtype]} *const {name}_matrix = {' + '.join([name, *terms])};")

    @property
    def _names(self) -> tuple[str, str]:
        return ("a_matrix", "b_matrix") if self.spec.batch else ("a", "b")

    def _private(self) -> None:
        """Threads share out (matrix, row group) pairs; each packs for itself and none waits."""
        spec, plan, out = self.spec, self.plan, self.out
        groups = _ceil(plan.row_panels, _GROUP)
        small = plan.row_panels < 8 * _GROUP and not spec.batch
        step = 1 if small else _GROUP  # few rows: share out single panels
        groups = _ceil(plan.row_panels, step)
        items = plan.batches * groups
        pack = not plan.direct_b
        if pack and spec.batch:
            out("long packed = -1;")
        if pack and not spec.batch:
            out.open(f"if ({items}L * tid / nt < {items}L * (tid + 1) / nt)")
            self._pack_b("0", str(_ceil(spec.n, plan.nr)), "packed_b", "0")
            out.close()
        out.open(f"for (long item = {items}L * tid / nt; item < {items}L * (tid + 1) / nt; ++item)")
        if spec.batch:
            out(f"const long batch = item / {groups}, group = item % {groups} * {step};")
            self._batch()
        else:
            out(f"const long group = item * {step};")
        if pack and spec.batch:
            same = not any(spec.b.strides[:-2])
            out.open("if (packed < 0)" if same else "if (packed != batch)")
            self._pack_b("0", str(_ceil(spec.n, plan.nr)), "packed_b", "0")
            out("packed = batch;")
            out.close()
        self._group(
            f"group + {step} < {plan.row_panels} ? group + {step} : {plan.row_panels}",
            "0",
            "0",
            str(_ceil(spec.n, plan.nr)),
            "packed_b",
        )
        out.close()

    def _shared(self) -> None:
        """Threads split the rows, or the columns where there are few rows; they pack the blocks of B together."""
        spec, plan, out = self.spec, self.plan, self.out
        rows, columns = plan.row_panels, _ceil(spec.n, plan.nr)
        out(f"const int by_rows = {rows} >= 4 * nt || {rows} % nt == 0 || {rows} > {columns};")
        out(f"const long first = by_rows ? {rows}L * tid / nt : 0, end = by_rows ? {rows}L * (tid + 1) / nt : {rows};")
        turns = plan.blocks > 1 and not plan.direct_b
        if turns:
            out("long turn = 0;")
        if spec.batch:
            out.open(f"for (long batch = 0; batch < {plan.batches}; ++batch)")
            self._batch()
        blocked = plan.n_step < spec.n
        start = "start" if blocked else "0"
        if blocked:
            out.open(f"for (long start = 0; start < {spec.n}; start += {plan.n_step})")
            out(
                f"const long panels = {spec.n} - start < {plan.n_step} ? "
                f"({spec.n} - start + {plan.nr - 1}) / {plan.nr} : {plan.n_step // plan.nr};"
            )
        panels = "panels" if blocked else f"{columns}L"
        out(f"const long left = {panels} * tid / nt, right = {panels} * (tid + 1) / nt;")
        block = "packed_b"
        if turns:
            block = "block"
            out(
                f"{'uint32_t' if plan.pairs else 'float'} *const block = packed_b + turn * {plan.b_block};",
                "turn ^= 1;",
            )
        if not plan.direct_b:
            self._pack_b("left", "right", block, start)
            out("if (nt > 1 && by_rows) pool->barrier(pool, nt);")
        out(f"const long j_first = by_rows ? 0 : left, j_end = by_rows ? {panels} : right;")
        out.open(f"for (long group = first; group < end; group += {_GROUP})")
        self._group(f"group + {_GROUP} < end ? group + {_GROUP} : end", start, "j_first", "j_end", block)
        out.close()
        if blocked:
            out.close()
        if spec.batch:
            out.close()

    def _pack_b(self, first: str, end: str, block: str, start: str) -> None:
        """Panels [first, end) of the block of B that begins at column `start`."""
        spec, plan, out = self.spec, self.plan, self.out
        rows, columns = spec.b.strides[-2:]
        if first == "0":
            source, width, target = self._names[1], str(spec.n), block
        else:
            at = f"({start} + {first} * {plan.nr})" if start != "0" else f"{first} * {plan.nr}"
            rest = f"{spec.n} - {at}"
            width = f"({end} - {first}) * {plan.nr}"
            if spec.n % plan.nr:
                width = f"{rest} < {width} ? {rest} : {width}"
            source = f"{self._names[1]} + {at} * {columns}"
            target = f"{block} + {first} * {plan.b_panel}"
        out(plan.pack_b.call(target, plan.b_panel, width, str(spec.k), source, (columns, rows)))

    def _group(self, end: str, start: str, j_first: str, j_end: str, block: str) -> None:
        """All tiles of row panels [group, `end`) and column panels [j_first, j_end) of one block."""
        spec, plan, out = self.spec, self.plan, self.out
        out(f"const long group_end = {end};")
        if plan.split_k:
            out.open(f"for (long k0 = 0; k0 < {spec.k}; k0 += {plan.k_step})")
            out(f"const long depth = {spec.k} - k0 < {plan.k_step} ? {spec.k} - k0 : {plan.k_step};")
        depth = "depth" if plan.split_k else str(spec.k)
        a_rows, a_columns = spec.a.strides[-2:]
        a_start = f" + k0 * {a_columns}" if plan.split_k else ""
        if not plan.direct_a:
            rows = f"(group_end - group) * {plan.mr}"
            if spec.m % plan.mr:
                rest = f"{spec.m} - group * {plan.mr}"
                rows = f"{rest} < {rows} ? {rest} : {rows}"
            source = f"{self._names[0]} + group * {plan.mr * a_rows}{a_start}"
            out(plan.pack_a.call("packed_a", plan.a_panel, rows, depth, source, (a_rows, a_columns)))
        out.open(f"for (long q = {j_first}; q < {j_end}; ++q)")
        out.open("for (long p = group; p < group_end; ++p)")
        out(f"const long i0 = p * {plan.mr}, j0 = {start + ' + ' if start != '0' else ''}q * {plan.nr};")
        out(f"const long rows = {self._rows('p')};")
        if plan.split_k:
            area = plan.mr * plan.nr
            out(f"float *const tile = partial + ((q - {j_first}) * {_GROUP} + p - group) * {area};")
        self._tiles(depth, a_start, block)
        out.close()
        out.close()
        if plan.split_k:
            out.close()

    def _rows(self, panel: str) -> str:
        """Rows of a row panel."""
        plan, m = self.plan, self.spec.m
        if m % plan.mr == 0:
            return str(plan.mr)
        if m < plan.mr:
            return str(m)
        return f"{panel} < {m // plan.mr} ? {plan.mr} : {m % plan.mr}"

    def _tiles(self, depth: str, a_start: str, block: str) -> None:
        spec, plan, out = self.spec, self.plan, self.out
        last = spec.n % plan.nr
        if last == 0:
            self._tile(plan.nv, depth, a_start, block, plan.nr, 0)
        elif spec.n < plan.nr:
            self._tile(plan.last_vectors, depth, a_start, block, last, 0)
        else:
            out.open(f"if (j0 + {plan.nr} <= {spec.n})")
            self._tile(plan.nv, depth, a_start, block, plan.nr, 0)
            out.depth -= 1
            out.open("} else")
            self._tile(plan.last_vectors, depth, a_start, block, last, plan.nr - last if plan.direct_b else 0)
            out.close()

    def _tile(self, vectors: int, depth: str, a_start: str, block: str, width: int, skip: int) -> None:
        """One tile and its epilogue for `width` columns; an unpacked last tile begins `skip` columns early."""
        spec, plan, out = self.spec, self.plan, self.out
        a_rows, a_columns = spec.a.strides[-2:]
        b_rows = spec.b.strides[-2]
        if plan.direct_a:
            a = f"{self._names[0]} + i0 * {a_rows}{a_start}"
            lda = a_rows if plan.a_order == "rows" else a_columns
        else:
            a, lda = f"packed_a + (p - group) * {plan.a_panel}", plan.mr
        if plan.direct_b:
            b = f"{self._names[1]} + j0" + (f" - {skip}" if skip else "")
            b += f" + k0 * {b_rows}" if plan.split_k else ""
            ldb = b_rows
        else:
            b, ldb = f"{block} + q * {plan.b_panel}", plan.nr
            if plan.split_k:
                b += f" + k0 / 2 * {plan.nr}" if plan.pairs else f" + k0 * {plan.nr}"
        if plan.pairs:
            depth = "(depth + 1) / 2" if plan.split_k else str(plan.depth)
        add = "k0 > 0" if plan.split_k else "0"
        arguments = f"({depth}, {a}, {lda}, {b}, {ldb}, tile, {plan.nr}, {add});"
        full, rest = min(plan.mr, spec.m), spec.m % plan.mr or plan.mr
        if rest in (full, plan.mr) or spec.m < plan.mr:
            out(f"{Tile(full, vectors, plan.a_kind).name}{arguments}")
        else:
            out(f"if (rows == {full})")
            out(f"  {Tile(full, vectors, plan.a_kind).name}{arguments}")
            out("else")
            out(f"  {Tile(rest, vectors, plan.a_kind).name}{arguments}")
        if plan.split_k:
            out(f"if (k0 + depth < {spec.k}) continue;")
        out.open("for (long row = 0; row < rows; ++row)")
        out("const long i = i0 + row;")
        out("#pragma omp simd")
        out.open(f"for (long col = 0; col < {width}; ++col)")
        out("const long j = j0 + col;")
        out(f"float acc = tile[row * {plan.nr} + col{f' + {skip}' if skip else ''}];")
        out(*spec.epilogue.strip().splitlines())
        out.close()
        out.close()
