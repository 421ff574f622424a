"""Scaled dot-product attention and its gradient as C text, with no matrix of queries x keys beyond a block of rows.

O = dropout(softmax(scale Q K^T + mask)) V for every (batch, head). The forward pass keeps L = log sum exp of each row;
the backward pass computes the probabilities again from it (Dao et al., "FlashAttention", 2022). Where the machine
multiplies bf16, products of bf16 operands run on pairs of them with f32 sums, and the probabilities and the gradients
of the scores are rounded to bf16 for the products they enter; all else is f32.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

from compiler.codegen.c.isa import Isa
from compiler.codegen.c.tiles import C_TYPE, FROM_F32, TO_F32, MicroKernels, Pack, Tile, address, times

Strides = tuple[int, int, int, int]

_GROUP = 4  # row panels of a block of queries in the backward pass
_KEYS = 448  # keys of a block in the backward pass, at most
_FETCHED = 1 << 17  # bytes of an operand's head up to which the next one is fetched ahead
_LOG2_E = 1.4426950408889634
_LN_2 = 0.6931471805599453


@dataclass(frozen=True)
class Mask:
    """What is added to the scores ("f32", "bf16", "f16") or which take part ("bool", a byte); strides (b, h, t, s)."""

    dtype: str
    strides: Strides


@dataclass(frozen=True)
class AttentionSpec:
    """q [B,H,T,D], k and v [B,H,S,D], o [B,H,T,D] of one storage dtype, any strides in elements.

    Element (b, h, t, s) of the dropout mask has the uniform of its row-major index and is kept when that is >= dropout.
    A row without any key that takes part is 0, its log-sum-exp -inf. With `causal`, query t sees keys s <= t.
    """

    name: str
    batch: int
    heads: int
    queries: int
    keys: int
    dim: int
    dtype: str
    q: Strides
    k: Strides
    v: Strides
    o: Strides
    scale: float
    causal: bool = False
    mask: Mask | None = None
    dropout: float = 0.0
    draw: int = 0

    def micro_kernels(self, isa: Isa) -> MicroKernels:
        """The shared functions that the kernel calls."""
        layout = _Layout(isa, self)
        packs = frozenset({layout.pack_left(self.q), layout.pack_keys(self.k), layout.pack_right(self.v)})
        return MicroKernels(layout.forward_tiles(), packs)


@dataclass(frozen=True)
class AttentionGradSpec:
    """Gradients dq, dk, dv from do, for the attention of `forward`; strides as there."""

    name: str
    forward: AttentionSpec
    do: Strides
    dq: Strides
    dk: Strides
    dv: Strides

    def micro_kernels(self, isa: Isa) -> MicroKernels:
        """The shared functions that the kernel calls."""
        layout, q, k, v = _Layout(isa, self.forward), self.forward.q, self.forward.k, self.forward.v
        packs = {layout.pack_left(s) for s in (q, self.do)} | {layout.pack_keys(s) for s in (k, v)}
        packs |= {layout.pack_right(s) for s in (q, k, self.do)}
        return MicroKernels(layout.backward_tiles(), frozenset(packs))


def scratch_bytes(isa: Isa, spec: AttentionSpec | AttentionGradSpec, threads: int) -> int:
    """Bytes of 64-byte aligned scratch the kernel needs when at most `threads` threads run it."""
    if isinstance(spec, AttentionSpec):
        return threads * _Layout(isa, spec).forward_buffers().bytes
    return threads * _Layout(isa, spec.forward).backward_buffers().bytes


class _Buffers:
    """Arrays of one thread, one after the other in the scratch; sizes in elements of four bytes."""

    def __init__(self) -> None:
        self.size = 0
        self.lines: list[str] = []

    def add(self, name: str, size: int, element: str = "float") -> None:
        cast = "" if element == "float" else f"({element} *)"
        place = _column("own", self.size)
        self.lines.append(f"{element} *const {name} = {cast}{f'({place})' if cast and self.size else place};")
        self.size += -(-size // 16) * 16

    @property
    def bytes(self) -> int:
        return 4 * self.size


class _Layout:
    """Tile sizes, packed operands and buffers for one attention.

    Rows of D enter products in three ways: as left side, whose rows go through f32 as they are and as panels of `mr`
    rows of pairs; as columns of the right side, in panels of `nr`; and as rows of the right side, `width` wide.
    """

    def __init__(self, isa: Isa, spec: AttentionSpec):
        self.isa, self.spec = isa, spec
        self.mr, self.nr = isa.mr, isa.nr
        self.pairs = spec.dtype == "bf16" and isa.bf16_dot
        self.element = "uint32_t" if self.pairs else "float"
        self.rows = _GROUP * self.mr
        self.folds = -(-self.mr // isa.lanes) * isa.lanes  # rows that are reduced together
        self.width = -(-spec.dim // isa.lanes) * isa.lanes  # a row of D, padded to vectors
        self.depth = self.half(spec.dim)
        self.key_panels = -(-spec.keys // self.nr)
        self.key_panel = self.depth * self.nr + 16
        unit = lcm(self.rows, self.nr)
        self.key_block = max(_KEYS // unit, 1) * unit
        self.half_panel = spec.causal and self.nr == 2 * isa.lanes
        self.left_panel = self.depth * self.mr + 16 if self.pairs else self.mr * self.width
        self.left_kind, self.left_stride = ("pairs", self.mr) if self.pairs else ("rows", self.width)
        self.rows_kind, self.columns_kind = ("row_pairs", "pairs") if self.pairs else ("rows", "columns")

    def half(self, length: int) -> int:
        """Elements of a packed operand along k: pairs are one."""
        return -(-length // 2) if self.pairs else length

    def halved(self, length: str) -> str:
        return f"({length} + 1) / 2" if self.pairs else length

    def tiles_across(self) -> list[tuple[int, int]]:
        """(first column, vectors) of the tiles across a row of D."""
        lanes, most = self.isa.lanes, self.nr // self.isa.lanes
        return [(c, min(most, (self.width - c) // lanes)) for c in range(0, self.width, self.nr)]

    # Packs

    def _pack(self, width: int, across: int, along: int) -> Pack:
        """The function for panels of an operand with these strides across the panel and along k."""
        order = "rows" if along == 1 else "columns" if across == 1 else "strided"
        return Pack(width, self.spec.dtype, order, "pairs" if self.pairs else "f32")

    def pack_left(self, strides: Strides) -> Pack:
        return self._pack(self.mr, strides[2], strides[3]) if self.pairs else self.pack_right(strides)

    def pack_keys(self, strides: Strides) -> Pack:
        return self._pack(self.nr, strides[2], strides[3])

    def pack_right(self, strides: Strides) -> Pack:
        return self._pack(self.width, strides[3], strides[2])

    def left(self, target: str, rows: str, source: str, strides: Strides) -> str:
        """The call that packs rows of D as a left side."""
        if not self.pairs:
            return self.right(target, rows, source, strides)
        pack, dim = self.pack_left(strides), str(self.spec.dim)
        return pack.call(target, self.left_panel, rows, dim, source, strides[2:])

    def keys(self, target: str, source: str, strides: Strides) -> str:
        """The call that packs the keys' rows of D as columns of a right side."""
        keys, dim = str(self.spec.keys), str(self.spec.dim)
        return self.pack_keys(strides).call(target, self.key_panel, keys, dim, source, strides[2:])

    def right(self, target: str, rows: str, source: str, strides: Strides) -> str:
        """The call that packs rows of D as rows of a right side."""
        dim = str(self.spec.dim)
        return self.pack_right(strides).call(target, 0, dim, rows, source, (strides[3], strides[2]))

    # Tiles

    def _tile_rows(self, length: int) -> set[int]:
        return ({self.mr} if length >= self.mr else set()) | ({length % self.mr} if length % self.mr else set())

    def forward_tiles(self) -> frozenset[Tile]:
        rows = self._tile_rows(self.spec.queries)
        vectors = {self.nr // self.isa.lanes} | ({1} if self.half_panel else set())
        scores = {Tile(r, v, self.left_kind) for r in rows for v in vectors}
        return frozenset(scores | {Tile(r, v, self.rows_kind) for r in rows for _, v in self.tiles_across()})

    def backward_tiles(self) -> frozenset[Tile]:
        keys = self._tile_rows(self.spec.keys)
        return self.forward_tiles() | {Tile(r, v, self.columns_kind) for r in keys for _, v in self.tiles_across()}

    def _calls(self, length: int, rows: str, kind: str, calls: list[tuple[int, str]]) -> list[str]:
        """Calls of tiles (vectors, arguments) with as many rows as `rows` says, one of those that `length` leaves."""
        choices = sorted(self._tile_rows(length), reverse=True)
        texts = [[f"{Tile(r, v, kind).name}({arguments});" for v, arguments in calls] for r in choices]
        if len(texts) == 1:
            return texts[0]
        first, second = (["  " + line for line in text] for text in texts)
        return [f"if ({rows} == {choices[0]}) {{", *first, "} else {", *second, "}"]

    def score_tiles(self, products: list[tuple[str, str, str]], first: str, end: str) -> list[str]:
        """The loop over panels of keys that stores each (left side, keys, target) product up to key `end`.

        Of the last panel only half is computed where that is enough, which counts where few keys are seen.
        """

        def tiles(p: str, vectors: int) -> list[str]:
            calls = [
                f"{self.depth}, {left}, {self.left_stride}, {keys} + {p} * {self.key_panel}, {self.nr}, "
                f"{target.format(f'{p} * {self.nr}')}, {self.row_stride}, 0"
                for left, keys, target in products
            ]
            return self._calls(self.spec.queries, "rows", self.left_kind, [(vectors, call) for call in calls])

        if not self.half_panel:
            loop = f"for (long p = {first}; p * {self.nr} < {end}; ++p) {{"
            return [loop, _indent(tiles("p", self.nr // self.isa.lanes), 1), "}"]
        return [
            f"const long whole = ({end} + LANES - 1) / {self.nr};",
            f"for (long p = {first}; p < whole; ++p) {{",
            _indent(tiles("p", 2), 1),
            "}",
            f"if (whole * {self.nr} < {end}) {{",
            _indent(tiles("whole", 1), 1),
            "}",
        ]

    def _across(self, k: str, left: str, stride: int, right: str, target: str, add: str) -> list[tuple[int, str]]:
        """Vectors and arguments of the tiles that make rows of D `target` (+)= `left` times a right side."""
        rest = f"{self.width}, {add}"
        return [
            (v, f"{k}, {left}, {stride}, {_column(right, c)}, {self.width}, {_column(target, c)}, {rest}")
            for c, v in self.tiles_across()
        ]

    def row_tiles(self, k: str, rows: str, stride: int, right: str, target: str, add: str) -> list[str]:
        """Rows of D `target` (+)= rows of the scratch times a right side."""
        calls = self._across(k, rows, stride, right, target, add)
        return self._calls(self.spec.queries, "rows", self.rows_kind, calls)

    def column_tiles(self, k: str, columns: str, stride: int, right: str, target: str, add: str) -> list[str]:
        """Rows of D `target` (+)= columns of the scratch, one a key, times a right side."""
        calls = self._across(k, columns, stride, right, target, add)
        return self._calls(self.spec.keys, "keys_here", self.columns_kind, calls)

    # Buffers

    def forward_buffers(self) -> _Buffers:
        spec, buffers = self.spec, _Buffers()
        self.row_stride = self.key_panels * self.nr + 16
        buffers.add("keys", self.key_panels * self.key_panel, self.element)
        buffers.add("values", self.half(spec.keys) * self.width, self.element)
        buffers.add("queries", self.left_panel, self.element)
        buffers.add("scores", self.mr * self.row_stride)
        if self.pairs:
            buffers.add("probs", self.mr * self.row_stride // 2, self.element)
        buffers.add("out", self.mr * self.width)
        if spec.dropout:
            buffers.add("draws", self.row_stride + 2 * self.isa.lanes)
        return buffers

    def backward_buffers(self) -> _Buffers:
        spec, buffers = self.spec, _Buffers()
        self.row_stride = -(-min(self.key_block, spec.keys) // self.nr) * self.nr + 16
        buffers.add("keys", self.key_panels * self.key_panel, self.element)
        buffers.add("values", self.key_panels * self.key_panel, self.element)
        buffers.add("key_rows", self.half(spec.keys) * self.width, self.element)
        buffers.add("queries", self.half(self.rows) * self.width, self.element)
        buffers.add("grads", self.half(self.rows) * self.width, self.element)
        if self.pairs:
            buffers.add("query_panels", _GROUP * self.left_panel, self.element)
            buffers.add("grad_panels", _GROUP * self.left_panel, self.element)
            buffers.add("ds_rows", self.mr * self.row_stride // 2, self.element)
            buffers.add("probs_pairs", self.rows // 2 * self.row_stride, self.element)
            buffers.add("ds_pairs", self.rows // 2 * self.row_stride, self.element)
        rows = self.mr if self.pairs else self.rows
        buffers.add("probs", rows * self.row_stride)
        buffers.add("ds", rows * self.row_stride)
        buffers.add("dq_rows", self.rows * self.width)
        buffers.add("dk_rows", spec.keys * self.width)
        buffers.add("dv_rows", spec.keys * self.width)
        buffers.add("delta", self.rows)
        if spec.dropout:
            buffers.add("draws", self.row_stride + 2 * self.isa.lanes)
        return buffers

    # Pieces of text

    def store(self, target: str, source: str, rows: str, strides: Strides, factor: str = "") -> str:
        """The loop that writes f32 rows of the padded width to an output."""
        value = FROM_F32[self.spec.dtype].format(f"{source}[t * {self.width} + d]{factor}")
        place = f"{times('t', strides[2])} + {times('d', strides[3])}"
        return (
            f"for (long t = 0; t < {rows}; ++t)\n#pragma omp simd\n"
            f"  for (long d = 0; d < {self.spec.dim}; ++d) {target}[{place}] = {value};"
        )

    def scale_and_mask(self, row: str, query: str, first: str) -> list[str]:
        """Statements that make raw products `row` of a query, from key `first` on, scores."""
        spec = self.spec
        value, lines = f"{row}[j] * {_float(spec.scale)}", []
        if spec.mask:
            ctype = "uint8_t" if spec.mask.dtype == "bool" else C_TYPE[spec.mask.dtype]
            place = address("mask", *zip(("b", "h", f"({query})", first), spec.mask.strides))
            lines = [f"const {ctype} *mask_row = {place};"]
            element = f"mask_row[{times('j', spec.mask.strides[3])}]"
            if spec.mask.dtype == "bool":
                value = f"{element} ? {value} : -INFINITY"
            else:
                value = f"{value} + {TO_F32[spec.mask.dtype].format(element)}"
        return [*lines, "#pragma omp simd", f"for (long j = 0; j < seen; ++j) {row}[j] = {value};"]

    def reduced(self, name: str) -> str:
        """The statement that reduces the rows of `folded`: `v<name>` of the prelude, to the array `name`."""
        if self.folds == self.isa.lanes:
            return f"vstore({name}, v{name}(folded));"
        return f"for (long r = 0; r < {self.folds}; r += LANES) vstore({name} + r, v{name}(folded + r));"

    def params(self) -> str:
        """Parameters for the operands, the mask and the random state."""
        spec = self.spec
        text = ", ".join(f"const {C_TYPE[spec.dtype]} *{name}" for name in "qkv")
        if spec.mask:
            text += f", const {'uint8_t' if spec.mask.dtype == 'bool' else C_TYPE[spec.mask.dtype]} *mask"
        if spec.dropout:
            text += ", const int64_t *seed, const int64_t *offset"
        return text

    def fetches(self, *operands: tuple[str, Strides]) -> list[str]:
        """Statements that fetch row t of the next head of each operand."""
        size = 4 if self.spec.dtype == "f32" else 2
        if max(self.spec.queries, self.spec.keys) * self.spec.dim * size > _FETCHED:
            return []
        rows = [(address(f"{name}_head", ("t", s[2])), s) for name, s in operands if s[3] == 1 and s[1]]
        return [f"fetch_row({row} + {s[1]}, {self.spec.dim * size});" for row, s in rows]

    def head(self, strides: Strides, name: str) -> str:
        return address(name, ("b", strides[0]), ("h", strides[1]))


def _column(row: str, c: int) -> str:
    return f"{row} + {c}" if c else row


def _float(value: float) -> str:
    text = f"{value:.9g}"
    return (text if any(c in text for c in ".en") else text + ".0") + "f"


def _indent(lines: list[str], depth: int) -> str:
    """Lines of C at a depth of blocks, directives at the margin."""
    flat = [line for text in lines for line in text.split("\n")]
    return "\n".join(line if line.startswith("#") else "  " * depth + line for line in flat)


def _title(spec: AttentionSpec, what: str) -> str:
    options = [what, spec.dtype] + ["causal"] * spec.causal + (["masked"] if spec.mask else [])
    options += [f"dropout {spec.dropout:g}"] if spec.dropout else []
    return f"/* {', '.join(options)}: [{spec.batch},{spec.heads},{spec.queries},{spec.dim}], {spec.keys} keys */"


def forward_kernel(isa: Isa, spec: AttentionSpec) -> str:
    """`void NAME(pool, tid, nt, scratch, q, k, v, [mask,] [seed, offset,] o, lse)`; lse is f32 [B,H,T], row-major.

    All nt threads call it. It ends without a barrier; as for a matrix product the caller waits before scratch or
    outputs are used again. Threads share out the heads, or blocks of queries where heads are few.
    """
    layout = _Layout(isa, spec)
    buffers = layout.forward_buffers()
    ctype, mr, lds, folds = C_TYPE[spec.dtype], layout.mr, layout.row_stride, layout.folds
    heads, blocks = spec.batch * spec.heads, -(-spec.queries // layout.rows)
    limit = f"(t0 + rows < {spec.keys} ? t0 + rows : {spec.keys})" if spec.causal else str(spec.keys)
    scores = layout.score_tiles([("queries", "keys", "scores + {}")], "0", "limit")
    probs, stride = ("probs", lds // 2) if layout.pairs else ("scores", lds)
    products = layout.row_tiles(layout.halved("limit"), probs, stride, "values", "out", "0")
    first = f"(uint64_t)((bh * {spec.queries} + t) * {spec.keys}L)"
    seen = f"t < {spec.keys} ? t + 1 : {spec.keys}" if spec.causal else str(spec.keys)
    query = f"const long t = t0 + r, seen = {seen};"
    hides = spec.causal or spec.keys % isa.lanes > 0
    scaled = bool(spec.mask) or spec.scale <= 0
    score = "vseen(vload(row + j), seen - j)" if hides else "vload(row + j)"
    largest = [
        query if hides or scaled else "const long t = t0 + r;",
        f"float *row = scores + r * {lds};",
        *layout.fetches(("q", spec.q), ("k", spec.k), ("v", spec.v)),
    ]
    # The largest is subtracted first: of two large products the difference would be their rounding errors.
    shift, factor, unit = "peaks[r]", spec.scale * _LOG2_E, f" * {_float(spec.scale)}"
    if scaled:  # before the largest is subtracted, not after: a mask may hold the lowest finite number
        largest += layout.scale_and_mask("row", "t", "0")
        shift = "peaks[r] == -INFINITY ? 0.0f : peaks[r]" if spec.mask else "peaks[r]"
        factor, unit = _LOG2_E, ""
    largest += [
        "vf peak = (vf){0} - INFINITY;",
        "for (long j = 0; j < wide; j += LANES) {",
        f"  const vf x = {score};",
        *["  vstore(row + j, x);"] * hides,
        "  peak = vmax(peak, x);",
        "}",
        "folded[r] = peak;",
    ]
    softmax = [
        f"float *row = scores + r * {lds};",
        f"const float shift = {shift};",
        "#pragma omp simd",
        f"for (long j = 0; j < wide; ++j) row[j] = exp2_flushed((row[j] - shift) * {_float(factor)});",
        "vf sum = {0};",
        "for (long j = 0; j < wide; j += LANES) sum += vload(row + j);",
        "shifts[r] = shift;",
        "folded[r] = sum;",
    ]
    if spec.dropout:
        softmax += [
            query,
            f"const float *const uniform = philox_fill(*seed, *offset + {spec.draw}, {first}, seen, draws);",
            "#pragma omp simd",
            f"for (long j = 0; j < seen; ++j) row[j] = uniform[j] >= {_float(spec.dropout)} ? row[j] : 0.0f;",
        ]
    if layout.pairs:
        softmax += [
            f"float *const pairs = (float *)(probs + r * {lds // 2});",
            "for (long j = 0; j < limit; j += 2 * LANES) vstore(pairs + j / 2, (vf)row_pairs_f32(row + j));",
        ]
    logarithm = f"shifts[r]{unit} + gen_logf(totals[r])"
    return f"""\
{_title(spec, "attention")}
KERNEL void {spec.name}(gen_pool *pool, int tid, int nt, char *scratch, {layout.params()},
    {ctype} *restrict o, float *restrict lse) {{
  (void)pool;
  float *const own = (float *)scratch + (long)tid * {buffers.size};
{_indent(buffers.lines, 1)}
  /* Of a row: its largest score, what is subtracted from all, the sum of the exponentials. */
  float peaks[{folds}], shifts[{folds}], totals[{folds}];
  vf folded[{folds}] = {{{{0}}}}; /* a peak or a total in parts, one a lane */
  const int by_heads = {heads} % nt == 0 || {heads} >= 4 * nt;
  const long head_first = by_heads ? {heads}L * tid / nt : 0, head_end = by_heads ? {heads}L * (tid + 1) / nt : {heads};
  const long block_first = by_heads ? 0 : tid, block_step = by_heads ? 1 : nt;
  for (long bh = head_first; bh < head_end; ++bh) {{
    const long b = bh / {spec.heads}, h = bh % {spec.heads};
    const {ctype} *const q_head = {layout.head(spec.q, "q")};
    const {ctype} *const k_head = {layout.head(spec.k, "k")};
    const {ctype} *const v_head = {layout.head(spec.v, "v")};
    {layout.keys("keys", "k_head", spec.k)}
    {layout.right("values", str(spec.keys), "v_head", spec.v)}
    for (long block = block_first; block < {blocks}; block += block_step) {{
      const long begin = block * {layout.rows};
      const long block_end = begin + {layout.rows} < {spec.queries} ? begin + {layout.rows} : {spec.queries};
      for (long t0 = begin; t0 < block_end; t0 += {mr}) {{
        const long rows = block_end - t0 < {mr} ? block_end - t0 : {mr}, limit = {limit};
        {layout.left("queries", "rows", address("q_head", ("t0", spec.q[2])), spec.q)}
{_indent(scores, 4)}
        const long wide = (limit + LANES - 1) / LANES * LANES;
        for (long r = 0; r < rows; ++r) {{
{_indent(largest, 5)}
        }}
        {layout.reduced("peaks")}
        for (long r = 0; r < rows; ++r) {{
{_indent(softmax, 5)}
        }}
        {layout.reduced("totals")}
{_indent(products, 4)}
        for (long r = 0; r < rows; ++r) {{
          lse[bh * {spec.queries} + t0 + r] = {_guarded(spec, "-INFINITY", logarithm)};
          totals[r] = {_guarded(spec, "0.0f", f"{_float(_keep_scale(spec))} / totals[r]")};
        }}
        {ctype} *const o_rows = {layout.head(spec.o, "o")} + t0 * {spec.o[2]};
{_indent([layout.store("o_rows", "out", "rows", spec.o, " * totals[t]")], 4)}
      }}
    }}
  }}
}}
""".replace("\n\n", "\n")


def _guarded(spec: AttentionSpec, nothing: str, value: str) -> str:
    """`value`, or `nothing` for a row whose keys are all masked."""
    return f"totals[r] == 0.0f ? {nothing} : {value}" if spec.mask else value


def _keep_scale(spec: AttentionSpec) -> float:
    return 1.0 / (1.0 - spec.dropout) if spec.dropout < 1 else 0.0


def backward_kernel(isa: Isa, spec: AttentionGradSpec) -> str:
    """`void NAME(pool, tid, nt, scratch, q, k, v, [mask,] [seed, offset,] o, lse, do_, dq, dk, dv)`.

    Called as the forward kernel is; threads share out the heads.
    """
    f = spec.forward
    layout = _Layout(isa, f)
    buffers = layout.backward_buffers()
    ctype, mr, nr, width, lds = C_TYPE[f.dtype], layout.mr, layout.nr, layout.width, layout.row_stride
    heads, step, pairs = f.batch * f.heads, layout.key_block, layout.pairs
    packs = [
        layout.right("queries", "block", "q_block", f.q),
        layout.right("grads", "block", "do_block", spec.do),
    ]
    if pairs:
        packs += [
            layout.left("query_panels", "block", "q_block", f.q),
            layout.left("grad_panels", "block", "do_block", spec.do),
        ]
    left = f"i / {mr} * {layout.left_panel}" if pairs else f"i * {width}"
    from_i = "" if pairs else f" + i * {lds}"
    sides = ("query_panels", "grad_panels") if pairs else ("queries", "grads")
    raw = [
        (f"{rows} + {left}", keys, f"{target}{from_i} + {{}} - k0")
        for rows, keys, target in zip(sides, ("keys", "values"), ("probs", "ds"))
    ]
    scores = layout.score_tiles(raw, f"k0 / {nr}", "end")
    dq = layout.row_tiles(
        layout.halved("end - k0"),
        "ds_rows" if pairs else f"ds + i * {lds}",
        lds // 2 if pairs else lds,
        f"key_rows + k0 / 2 * {width}" if pairs else f"key_rows + k0 * {width}",
        f"dq_rows + i * {width}",
        "k0 > 0",
    )
    skipped = "skip / 2" if pairs else "skip"
    dkv = [
        line
        for columns, right, target in (("ds", "queries", "dk_rows"), ("probs", "grads", "dv_rows"))
        for line in layout.column_tiles(
            layout.halved("block - skip"),
            f"{columns}{'_pairs' * pairs} + {skipped} * {lds} + s - k0",
            lds,
            f"{right} + {skipped} * {width}",
            f"{target} + s * {width}",
            "s < t0" if f.causal else "t0 > 0",
        )
    ]
    end = "t0 + i + rows < k_end ? t0 + i + rows : k_end" if f.causal else "k_end"
    key_end = f"t0 + block < {f.keys} ? t0 + block : {f.keys}" if f.causal else str(f.keys)
    unseen = []
    if f.causal and f.keys > f.queries:
        size = 4 * (f.keys - f.queries) * width
        unseen = [f"memset({rows} + {f.queries * width}, 0, {size});" for rows in ("dk_rows", "dv_rows")]
    skip = "s > t0 ? s - t0 : 0" if f.causal else "0"
    scale = f" * {_float(f.scale)}"
    return f"""\
{_title(f, "attention gradient")}
KERNEL void {spec.name}(gen_pool *pool, int tid, int nt, char *scratch, {layout.params()},
    const {ctype} *o, const float *lse, const {ctype} *do_,
    {ctype} *restrict dq, {ctype} *restrict dk, {ctype} *restrict dv) {{
  (void)pool;
  float *const own = (float *)scratch + (long)tid * {buffers.size};
{_indent(buffers.lines, 1)}
  for (long bh = {heads}L * tid / nt; bh < {heads}L * (tid + 1) / nt; ++bh) {{
    const long b = bh / {f.heads}, h = bh % {f.heads};
    const {ctype} *const q_head = {layout.head(f.q, "q")};
    const {ctype} *const k_head = {layout.head(f.k, "k")};
    const {ctype} *const v_head = {layout.head(f.v, "v")};
    const {ctype} *const o_head = {layout.head(f.o, "o")};
    const {ctype} *const do_head = {layout.head(spec.do, "do_")};
    {layout.keys("keys", "k_head", f.k)}
    {layout.keys("values", "v_head", f.v)}
    {layout.right("key_rows", str(f.keys), "k_head", f.k)}
{_indent(unseen, 2)}
    for (long t0 = 0; t0 < {f.queries}; t0 += {layout.rows}) {{
      const long block = {f.queries} - t0 < {layout.rows} ? {f.queries} - t0 : {layout.rows};
      const {ctype} *const q_block = {address("q_head", ("t0", f.q[2]))};
      const {ctype} *const do_block = {address("do_head", ("t0", spec.do[2]))};
{_indent(packs, 3)}
{_indent(_delta(layout, spec), 3)}
      const long last = {key_end};
      for (long k0 = 0; k0 < last; k0 += {step}) {{
        const long k_end = last - k0 < {step} ? last : k0 + {step};
        for (long i = 0; i < block; i += {mr}) {{
          const long rows = block - i < {mr} ? block - i : {mr}, end = {end};
          const long filled = (end - k0 + {mr - 1}) / {mr} * {mr}; /* whole tiles of keys: zero where nothing is seen */
{_indent(scores, 5)}
          for (long r = 0; r < rows; ++r) {{
{_indent(_score_gradient(layout, spec), 6)}
          }}
{_indent(_interleaved(layout) if pairs else [], 5)}
{_indent(dq, 5)}
        }}
        for (long s = k0; s < k_end; s += {mr}) {{
          const long keys_here = {f.keys} - s < {mr} ? {f.keys} - s : {mr}, skip = {skip};
{_indent(dkv, 5)}
        }}
      }}
      {ctype} *const dq_block = {layout.head(spec.dq, "dq")} + t0 * {spec.dq[2]};
{_indent([layout.store("dq_block", "dq_rows", "block", spec.dq, scale)], 3)}
    }}
    {ctype} *const dk_head = {layout.head(spec.dk, "dk")};
    {ctype} *const dv_head = {layout.head(spec.dv, "dv")};
{_indent([layout.store("dk_head", "dk_rows", str(f.keys), spec.dk, scale)], 2)}
{_indent([layout.store("dv_head", "dv_rows", str(f.keys), spec.dv)], 2)}
  }}
}}
""".replace("\n\n", "\n")


def _delta(layout: _Layout, spec: AttentionGradSpec) -> list[str]:
    """Of every row of a block of queries the sum of P dP over the keys, which is O . dO."""
    f, width = spec.forward, layout.width
    o_value = TO_F32[f.dtype].format(f"o_row[{times('d', f.o[3])}]")
    do_value = TO_F32[f.dtype].format(f"do_row[{times('d', spec.do[3])}]")
    return [
        "for (long r = 0; r < block; ++r) { /* sum of P dP over the keys = O . dO */",
        f"  const {C_TYPE[f.dtype]} *const o_row = {address('o_head', ('(t0 + r)', f.o[2]))};",
        f"  const {C_TYPE[f.dtype]} *const do_row = {address('do_block', ('r', spec.do[2]))};",
        f"  float terms[{width}]{' = {0}' if f.dim < width else ''};",
        "#pragma omp simd",
        f"  for (long d = 0; d < {f.dim}; ++d) terms[d] = {o_value} * {do_value};",
        "  vf sums = vload(terms);",
        f"  for (long d = LANES; d < {width}; d += LANES) sums += vload(terms + d);",
        "  delta[r] = vtotal(sums);",
        "}",
    ]


def _score_gradient(layout: _Layout, spec: AttentionGradSpec) -> list[str]:
    """Row r of a panel: the probabilities P from the raw scores, dS / scale = P (dP - delta) from dP."""
    f, lds, row = spec.forward, layout.row_stride, "r" if layout.pairs else "(i + r)"
    lines = [
        f"const long t = t0 + i + r, seen = {'(t + 1 < k_end ? t + 1 : k_end) - k0' if f.causal else 'k_end - k0'};",
        "const long wide = (seen + LANES - 1) / LANES * LANES; /* computed in whole vectors */",
        f"float *restrict p_row = probs + {row} * {lds}, *restrict ds_row = ds + {row} * {lds};",
        *layout.fetches(("q", f.q), ("k", f.k), ("v", f.v), ("o", f.o), ("do", spec.do)),
    ]
    shift, score = f"lse[bh * {f.queries} + t]", f"p_row[j] * {_float(f.scale)}"
    if f.mask:
        lines += layout.scale_and_mask("p_row", "t", "k0")
        lines += [f"const float sum = lse[bh * {f.queries} + t];"]
        shift, score = "sum == -INFINITY ? 0.0f : sum", "p_row[j]"
    lines += [f"const float shift = {shift}, d = delta[i + r];"]
    # A score is at most the logarithm of the sum; the choice also has it rounded before the difference is taken.
    body = [
        f"const float score = {score};",
        f"const float e = exp2_flushed(((score > shift ? shift : score) - shift) * {_float(_LOG2_E)});",
    ]
    if f.dropout:
        first = f"(uint64_t)((bh * {f.queries} + t) * {f.keys}L + k0)"
        lines += [f"const float *const uniform = philox_fill(*seed, *offset + {f.draw}, {first}, seen, draws);"]
        body += [f"const float keep = uniform[j] >= {_float(f.dropout)} ? {_float(_keep_scale(f))} : 0.0f;"]
        body += ["p_row[j] = e * keep;", "ds_row[j] = e * (ds_row[j] * keep - d);"]
    else:
        body += ["p_row[j] = e;", "ds_row[j] = e * (ds_row[j] - d);"]
    lines += ["#pragma omp simd", "for (long j = 0; j < wide; ++j) {", *("  " + line for line in body), "}"]
    lines += ["for (long j = seen; j < filled; ++j) p_row[j] = ds_row[j] = 0.0f;"]
    if layout.pairs:
        lines += [
            f"float *const pairs = (float *)(ds_rows + r * {lds // 2});",
            "for (long j = 0; j < end - k0; j += 2 * LANES) vstore(pairs + j / 2, (vf)row_pairs_f32(ds_row + j));",
        ]
    return lines


def _interleaved(layout: _Layout) -> list[str]:
    """P and dS of a panel as pairs of bf16 along the queries."""
    lds = layout.row_stride
    lines = [
        "for (long r = 0; r < rows; r += 2)",
        "  for (long j = 0; j < filled; j += LANES) {",
        f"    const long at = r * {lds} + j, to = (i + r) / 2 * {lds} + j;",
    ]
    for name in ("probs", "ds"):
        odd = f"{name} + at + {lds}"
        if layout.spec.queries % 2:
            odd = f"r + 1 < rows ? {odd} : NULL"
        lines += [f"    vstore((float *)({name}_pairs + to), (vf)pair_f32({name} + at, {odd}, LANES));"]
    return [*lines, "  }"]
