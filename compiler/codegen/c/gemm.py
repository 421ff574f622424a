"""Matrix products as C text: C[b, i, j] = epilogue(sum over k of A[b, i, k] B[b, k, j]), batched, any strides.

The sum over k runs in one fixed order for each element, whatever the number of threads. The result of a register tile
goes to a small buffer, from which a plain loop, which the compiler vectorises, runs the caller's epilogue.
"""

from __future__ import annotations

from math import prod

from compiler.codegen.c.gemm_plan import Plan
from compiler.codegen.c.tiles import C_TYPE, Tile, address, by_rows, converted, own_scratch
from compiler.codegen.c.writer import Writer

_ALIGN = 64


def gemm_kernel(plan: Plan) -> str:
    """The function `void NAME(pool, tid, nt, scratch, a, b, PARAMS)`, which all nt threads call.

    It takes the inputs as visible and ends without a barrier. Between two kernels that use the same scratch, and before
    anyone reads the outputs, the caller puts `pool->barrier(pool, nt)`. If :attr:`Plan.packed_bytes` is not 0,
    `void NAME_pack(tid, nt, b, packed)` stands in front of it, which all nt threads call before.
    """
    return (_Kernel(plan).pack_text() + "\n" if plan.packed_bytes else "") + _Kernel(plan).text()


class _Kernel:
    """Writes the loops around the tiles, or dot products, of one product."""

    def __init__(self, plan: Plan):
        self.plan, self.spec = plan, plan.spec
        self.out = Writer()
        self.a, self.b = ("a_matrix", "b_matrix") if plan.batch else ("a", "b")

    def text(self) -> str:
        spec, plan, out = self.spec, self.plan, self.out
        dims = "".join(f"{size}," for size in spec.batch)
        out(
            f"/* [{dims}{spec.m},{spec.n}] = [{dims}{spec.m},{spec.k}] {spec.a.dtype}"
            f" x [{dims}{spec.k},{spec.n}] {spec.b.dtype}, operands in {spec.compute} */"
        )
        out("KERNEL void NAME(gen_pool *pool, int tid, int nt, char *scratch,")
        params = f", {spec.params}" if spec.params else ""
        b = "void *packed" if plan.packed else f"{C_TYPE[spec.b.dtype]} *b"
        with out.block(f"    const {C_TYPE[spec.a.dtype]} *a, const {b}{params})"):
            if not plan.empty:
                loops = [(plan.thin, self._dots), (plan.turned, self._turned), (plan.private, self._private)]
                next((write for applies, write in loops if applies), self._shared)()
        return out.text()

    def pack_text(self) -> str:
        plan, out = self.plan, self.out
        out(f"/* B of NAME, [{plan.k},{plan.n}] {self.spec.b.dtype}, in panels of {plan.nr} columns. */")
        b = f"const {C_TYPE[self.spec.b.dtype]} *b"
        with out.block(f"KERNEL void NAME_pack(int tid, int nt, {b}, void *packed)"):
            out(f"{plan.element} *const packed_b = packed;")
            self._share(plan.block_panels, f"{plan.column_panels}L")
            self._pack_own("packed_b", "0")
        return out.text()

    # Pieces

    def _buffers(self) -> None:
        plan, out, element = self.plan, self.out, self.plan.element
        own, own_floats = (own_scratch(t, plan.shared_bytes, plan.private_bytes) for t in (element, "float"))
        common, floats = (own, own_floats) if plan.private else (f"({element} *)scratch", "(float *)scratch")
        if plan.packed:
            out(f"const {element} *const packed_b = packed;")
        elif not plan.direct_b:
            out(f"{element} *const packed_b = {common};")
        if plan.split_k:
            out(f"float *const partial = {floats} + {(2 if plan.turns else 1) * plan.b_block}L;")
        else:
            out(f"float tile[{plan.mr * plan.nr}] __attribute__((aligned({_ALIGN})));")
        if not plan.direct_a:
            offset = f" + {plan.b_and_partial}" if plan.private else ""
            out(f"{element} *const packed_a = {own}{offset};")

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

    def _ahead(self, width: int) -> None:
        """The statements before the epilogue of `width` neighbours."""
        if self.spec.ahead:
            self.out(f"enum {{ width = {width} }};")
        self.out(*self.spec.ahead.splitlines())

    def _epilogue(self, stored: bool = False, lane: str = "") -> None:
        """The statements for one element; `stored`: the result has it already; `lane`: its place in the totals."""
        if self.spec.result and not stored:
            self.out(f"{self._result_element()} = acc;")
        self.out(*self.spec.epilogue.strip().splitlines())
        for k, (_, term) in enumerate(self.spec.all_totals):
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
                with out.block("if (packed < 0)" if not any(self.spec.b.strides[:-2]) else "if (packed != batch)"):
                    out(pack)
                    out("packed = batch;")
        else:
            if pack:
                out(f"if (first < end) {pack}")
            out.open("for (long p = first; p < end; ++p)")
        self._rows()
        if plan.split_k:
            self._open_k()
        self._pack_a("i0", "rows")
        self._tiles("0", "0", str(plan.column_panels), "packed_b")
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
        first, end = f"{rows}L * tid / nt", f"{rows}L * (tid + 1) / nt"
        always = rows > columns
        if not always:
            even = [f"{rows} % nt == 0"] * (not plan.halves_b) + [f"{rows} >= 4 * nt"] * (rows >= 4)
            out(f"const int by_rows = {' || '.join(even) or '0'};")
            first, end = f"by_rows ? {first} : 0", f"by_rows ? {end} : {rows}"
        out(f"const long first = {first}, end = {end};")
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
        packs = not (plan.direct_b or plan.packed)
        if packs or not always:
            self._share(step, panels)
        left, right = "0", panels.removesuffix("L")
        if not always:
            left, right = "left", "right"
            out(f"const long left = by_rows ? 0 : own, right = by_rows ? {panels} : own_end;")
        if plan.split_k:
            self._open_k()
        if plan.turns:
            block = "block"
            out(f"{plan.element} *const block = packed_b + turn * {plan.b_block}L;")
            out("turn ^= 1;")
        if packs:
            self._pack_own(block, start)
            out(f"if (nt > 1{' && by_rows' * (not always)}) pool->barrier(pool, nt);")
        self._row_panels(start, left, right, block)
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
        width, end = f"(own_end - own) * {plan.nr}", f"own_end * {plan.nr}"
        if plan.n % plan.nr:
            width = f"({end} < {total} ? {end} : {total}) - own * {plan.nr}"
        k0 = "k0" if plan.split_k else "0"
        source = address(self.b, (start, columns), ("own", plan.nr * columns), (k0, rows))
        out(f"const long width = {width};")
        depth = "depth" if plan.split_k else str(plan.k)
        target = f"{block} + own * {plan.b_panel}"
        out(plan.pack_b.call(target, plan.b_panel, "width", depth, source, (columns, rows)))

    def _turned(self) -> None:
        """Threads share out the columns; each packs the few rows of A for itself, and turns its results over."""
        plan, out, lanes = self.plan, self.out, self.plan.isa.lanes
        out(f"float *const packed_a = {own_scratch('float', 0, plan.private_bytes)};")
        out(f"float tile[{lanes * plan.nr}] __attribute__((aligned({_ALIGN}))); /* of the transpose */")
        out(f"float turned[{lanes * plan.nr}] __attribute__((aligned({_ALIGN})));")
        out(f"const long first = {plan.squares}L * tid / nt, end = {plan.squares}L * (tid + 1) / nt;")
        pack = plan.pack_a.call("packed_a", plan.a_panel, str(plan.m), str(plan.k), "a", plan.a_strides)
        out(f"if (first < end) {pack}")
        with out.block("for (long p = first; p < end; ++p)"):
            out(f"const long j0 = p * {lanes};")
            with out.block(f"for (long q = 0; q < {plan.turned_panels}; ++q)"):
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
                with out.block(f"for (long row = 0; row < {plan.nr}; row += LANES)"):
                    out("vf square[LANES];")
                    out(f"UNROLL for (int l = 0; l < LANES; ++l) square[l] = vload(tile + l * {plan.nr} + row);")
                    out("transpose(square);")
                    out("UNROLL for (int l = 0; l < LANES; ++l) vstore(turned + (row + l) * LANES, square[l]);")
                self._finish_tile("turned", lanes, lanes, "q", f"p * {plan.turned_panels} + q")

    # Tiles

    def _row_panels(self, start: str, left: str, right: str, block: str) -> None:
        """The tiles of this thread's row panels, some of which meet each panel of B in turn, packed at once.

        Columns as for :meth:`_tiles`.
        """
        plan, out = self.plan, self.out
        if plan.group == 1:
            out.open("for (long p = first; p < end; ++p)")
            self._rows()
            self._pack_a("i0", "rows")
        else:
            out.open(f"for (long p0 = first; p0 < end; p0 += {plan.group})")
            out(f"const long p_end = p0 + {plan.group} < end ? p0 + {plan.group} : end;")
            rows, last = f"(p_end - p0) * {plan.mr}", f"p_end * {plan.mr}"
            if plan.m % plan.mr:
                rows = f"({last} < {plan.m} ? {last} : {plan.m}) - p0 * {plan.mr}"
            self._pack_a(f"p0 * {plan.mr}", rows)
        self._tiles(start, left, right, block)
        out.close()

    def _rows(self) -> None:
        """Place and number of the rows of row panel `p`."""
        mr, m = self.plan.mr, self.plan.m
        rows = f"p < {m // mr} ? {mr} : {m % mr}" if m % mr else str(mr)
        self.out(f"const long i0 = p * {mr}, rows = {rows};")

    def _pack_a(self, first: str, rows: str) -> None:
        """Packs `rows` rows of A from row `first` on, unless A is read in place."""
        plan = self.plan
        if plan.direct_a:
            return
        source = address(self.a, (first, plan.a_strides[0]), ("k0" if plan.split_k else "0", plan.a_strides[1]))
        depth = "depth" if plan.split_k else str(plan.k)
        self.out(plan.pack_a.call("packed_a", plan.a_panel, rows, depth, source, plan.a_strides))

    def _tiles(self, start: str, left: str, right: str, block: str) -> None:
        """The tiles in column panels [left, right) of the block that begins at column `start`.

        Those of row panel `p`, or of all in [p0, p_end) where these have been packed at once.
        """
        plan, out = self.plan, self.out
        out.open(f"for (long q = {left}; q < {right}; ++q)")
        out(f"const long j0 = {start + ' + ' if start != '0' else ''}q * {plan.nr};")
        if plan.group > 1:
            out.open("for (long p = p0; p < p_end; ++p)")
            self._rows()
        self._fetch(right)
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
            out.otherwise()
            self._tile(plan.last_vectors, block, last, plan.nr - last if plan.direct_b else 0)
            out.close()
        if plan.group > 1:
            out.close()
        out.close()

    def _fetch(self, right: str) -> None:
        """Fetches what the epilogue of the next tile needs; `next` is what will be read after the tile."""
        plan, spec, out = self.plan, self.spec, self.out
        matrix = "batch" if plan.batch else "0"
        for name, size in spec.streams:
            first = address(name, (matrix, plan.m * plan.n), ("i0", plan.n), ("j0", 1))
            out(f"fetch_rows({first}, rows, {plan.n * size}, {plan.nr * size});")
        if not plan.fetches:
            return
        rows, columns = plan.a_strides
        next_a = address(self.a, (f"(i0 + {plan.group * plan.mr})", rows), ("k0" if plan.split_k else "0", columns))
        next_b, b_apart = (f"{self.b} + j0 + {plan.nr}", 4 * plan.b_strides[0]) if plan.direct_b else (self.a, 0)
        if right == "1":
            out(f"const void *const next = {next_a};")
            out(f"const long apart = {plan.a_apart};")
            return
        out(f"const int more = q + 1 < {right};")
        out(f"const void *const next = more ? (const void *)({next_b}) : {next_a};")
        out(f"const long apart = more ? {b_apart} : {plan.a_apart};")

    def _tile(self, vectors: int, block: str, width: int, skip: int) -> None:
        """One tile and its epilogue for `width` columns; an unpacked last tile begins `skip` columns early."""
        plan, spec, out = self.plan, self.spec, self.out
        a, lda = f"packed_a + (p - p0) * {plan.a_panel}" if plan.group > 1 else "packed_a", plan.mr
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
        fetched = f", next, apart, {plan.across}" if plan.fetches else ""
        arguments = f"({depth}, {a}, {lda}, {b}, {ldb}, {c}, {ldc}, {add}{fetched});"
        full, rest = min(plan.mr, plan.m), plan.m % plan.mr
        choices = [full, rest] if rest and plan.m > plan.mr else [full]
        out(*by_rows("rows", choices, lambda rows: [f"{plan.tile(rows, vectors).name}{arguments}"]))
        if plan.split_k:
            out(f"if (k0 + depth < {plan.k}) continue;")
        if stored and not spec.epilogue.strip() and not spec.all_totals:
            return
        panel = part = f"(batch * {plan.row_panels} + p)" if plan.batch else "p"
        if plan.column_panels > 1:
            column = "q" if plan.block_panels == plan.column_panels else f"j0 / {plan.nr}"
            part = f"{panel} * {plan.column_panels} + {column}"
        self._finish_tile("" if stored else "tile", plan.nr, width, panel, part, skip)

    def _finish_tile(self, tile: str, distance: int, width: int, panel: str, part: str, skip: int = 0) -> None:
        """The epilogue for `width` columns of `tile`, whose rows are `distance` apart, or "" if the result has it."""
        spec, out = self.spec, self.out
        for k in range(len(spec.all_totals)):
            out(f"float total{k}[{width}] = {{0}};")
        with out.block("for (long row = 0; row < rows; ++row)"):
            self._element("i0 + row")
            self._ahead(width)
            out("#pragma omp simd")
            with out.block(f"for (long col = 0; col < {width}; ++col)"):
                out("const long j = j0 + col;")
                place = (
                    f"{tile}[row * {distance} + col{f' + {skip}' if skip else ''}]" if tile else self._result_element()
                )
                out(f"float acc = {place};")
                self._epilogue(not tile, "[col]")
        for k, (partial, _) in enumerate(spec.totals):
            out(f"{partial}[{part}] = sum_of(total{k}, {width});")
        for k, (partial, _) in enumerate(spec.column_totals, len(spec.totals)):
            place = address(partial, (panel, self.plan.n), ("j0", 1))
            out(f"memcpy({place}, total{k}, sizeof total{k});")

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
        if self.spec.ahead:
            out("const long j0 = j;")
            self._ahead(1)
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
        with out.block("/* dot products */"):
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
                    form = "rounded" if self.spec.compute == "bf16" else "f32"
                    loads.append(f"{name}{r} = {converted(f'{name}_row{r}[k]', dtype, form)}")
            sums = [(r, c) for r in range(pair) for c in range(4)]
            out(f"float {', '.join(f's{r}{c} = 0.0f' for r, c in sums)};")
            out(f"#pragma omp simd reduction(+ : {', '.join(f's{r}{c}' for r, c in sums)})")
            with out.block(f"for (long k = 0; k < {plan.k}; ++k)"):
                out(f"const float {', '.join(loads)};")
                for r in range(pair):
                    out(" ".join(f"s{r}{c} += x{r} * y{c};" for c in range(4)))
            for r, c in sums:
                out(f"sums[{r}][{c}] = s{r}{c};")
