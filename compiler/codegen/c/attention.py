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
from compiler.codegen.c.tiles import C_TYPE, CONVERSIONS, FROM_F32, TO_F32, Pack, Tile, address, times

Strides = tuple[int, int, int, int]

_GROUP = 4  # row panels of a block of queries in the backward pass
_KEYS = 448  # keys of a block in the backward pass, about
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

    def tiles(self, isa: Isa) -> frozenset[Tile]:
        """Register tiles the kernel calls."""
        return _Layout(isa, self).forward_tiles()

    def packs(self, isa: Isa) -> frozenset[Pack]:
        """Packing functions the kernel calls."""
        layout = _Layout(isa, self)
        return frozenset({layout.pack_rows(self.q), layout.pack_keys(self.k), layout.pack_values(self.v)})

    def prelude_uses(self) -> set[str]:
        """Names of the prelude parts the kernel's own text calls."""
        return _uses(self) | {"gen_logf"}


@dataclass(frozen=True)
class AttentionGradSpec:
    """Gradients dq, dk, dv from do, for the attention of `forward`; strides as there."""

    name: str
    forward: AttentionSpec
    do: Strides
    dq: Strides
    dk: Strides
    dv: Strides

    def tiles(self, isa: Isa) -> frozenset[Tile]:
        """Register tiles the kernel calls."""
        return _Layout(isa, self.forward).backward_tiles()

    def packs(self, isa: Isa) -> frozenset[Pack]:
        """Packing functions the kernel calls."""
        layout, q, k, v = _Layout(isa, self.forward), self.forward.q, self.forward.k, self.forward.v
        packs = {layout.pack_rows(s) for s in (q, self.do)} | {layout.pack_keys(s) for s in (k, v)}
        return frozenset(packs | {layout.pack_values(s) for s in (q, k, self.do)})

    def prelude_uses(self) -> set[str]:
        """Names of the prelude parts the kernel's own text calls."""
        return _uses(self.forward)


def _uses(spec: AttentionSpec) -> set[str]:
    conversions = {"bf16": {"bf16_to_f32", "f32_to_bf16"}, "f16": {"f16_to_f32", "f32_to_f16"}}
    mask = CONVERSIONS.get(spec.mask.dtype, ()) if spec.mask else ()
    return (
        {"vectors", "exp2_flushed", *mask}
        | conversions.get(spec.dtype, set())
        | ({"philox_fill"} if spec.dropout else set())
    )


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
    """Tile sizes, panels and buffers for one attention.

    A product's left side is packed in panels of `mr` rows, or lies in rows of the scratch; its right side is packed in
    panels of `nr` columns.
    """

    def __init__(self, isa: Isa, spec: AttentionSpec):
        self.isa, self.spec = isa, spec
        self.mr, self.nr = isa.mr, isa.nr
        self.pairs = spec.dtype == "bf16" and isa.bf16_dot
        self.element = "uint32_t" if self.pairs else "float"
        self.rows = _GROUP * self.mr
        self.width = -(-spec.dim // isa.lanes) * isa.lanes  # a row of D, padded to vectors
        self.key_panels = -(-spec.keys // self.nr)
        unit = lcm(self.rows, self.nr)
        blocks = max(spec.keys // _KEYS, 1)
        self.key_block = -(-spec.keys // blocks // unit) * unit

    def depth(self, length: int) -> int:
        """Elements along k of a packed operand."""
        return -(-length // 2) if self.pairs else length

    def depth_text(self, length: str) -> str:
        return f"({length} + 1) / 2" if self.pairs else length

    def at(self, position: str) -> str:
        """An even position along k in a packed operand."""
        return f"({position}) / 2" if self.pairs else f"({position})"

    def panel(self, length: int) -> int:
        """Elements of a panel of a right side that is `length` long along k."""
        return self.depth(length) * self.nr + 16

    def columns(self) -> list[tuple[int, int, int]]:
        """(panel, first column, vectors) of the tiles across a row of D."""
        lanes, most = self.isa.lanes, self.nr // self.isa.lanes
        return [(c // self.nr, c, min(most, (self.width - c) // lanes)) for c in range(0, self.width, self.nr)]

    # Packs and tiles

    def _pack(self, width: int, across: int, along: int) -> Pack:
        """The function for panels of operands with these strides across the panel and along k."""
        order = "rows" if along == 1 else "columns" if across == 1 else "strided"
        return Pack(width, self.spec.dtype, order, "pairs" if self.pairs else "f32")

    def pack_rows(self, strides: Strides) -> Pack:
        """For rows of D as left side."""
        return self._pack(self.mr, strides[2], strides[3])

    def pack_keys(self, strides: Strides) -> Pack:
        """For rows of D as columns of a right side."""
        return self._pack(self.nr, strides[2], strides[3])

    def pack_values(self, strides: Strides) -> Pack:
        """For rows of D as rows of a right side."""
        return self._pack(self.nr, strides[3], strides[2])

    def pack_rows_call(self, panel: str, rows: str, source: str, strides: Strides) -> str:
        return self.pack_rows(strides).call(panel, 0, rows, str(self.spec.dim), source, strides[2:])

    def pack_keys_call(self, panels: str, keys: str, source: str, strides: Strides) -> str:
        distance = self.panel(self.spec.dim)
        return self.pack_keys(strides).call(panels, distance, keys, str(self.spec.dim), source, strides[2:])

    def pack_values_call(self, panels: str, most: int, length: str, source: str, strides: Strides) -> str:
        pack, distance = self.pack_values(strides), self.panel(most)
        return pack.call(panels, distance, str(self.spec.dim), length, source, (strides[3], strides[2]))

    @property
    def _packed(self) -> str:
        return "pairs" if self.pairs else "columns"

    @property
    def _in_rows(self) -> str:
        return "row_pairs" if self.pairs else "rows"

    def _tile_rows(self, length: int) -> set[int]:
        return ({self.mr} if length >= self.mr else set()) | ({length % self.mr} if length % self.mr else set())

    def forward_tiles(self) -> frozenset[Tile]:
        rows = self._tile_rows(self.spec.queries)
        scores = {Tile(r, self.nr // self.isa.lanes, self._packed) for r in rows}
        return frozenset(scores | {Tile(r, v, self._in_rows) for r in rows for _, _, v in self.columns()})

    def backward_tiles(self) -> frozenset[Tile]:
        keys = self._tile_rows(self.spec.keys)
        return self.forward_tiles() | {Tile(r, v, self._packed) for r in keys for _, _, v in self.columns()}

    def tile(self, length: int, rows: str, vectors: int, kind: str, arguments: str) -> str:
        """A call of the tile with as many rows as `rows` says, one of those that `length` leaves."""
        choices = sorted(self._tile_rows(length), reverse=True)
        calls = [f"{Tile(r, vectors, kind).name}({arguments});" for r in choices]
        if len(calls) == 1:
            return calls[0]
        return f"if ({rows} == {choices[0]})\n  {calls[0]}\nelse\n  {calls[1]}"

    def score_tile(self, left: str, right: str, target: str, stride: int) -> str:
        """`target` = the packed rows `left` times panel `right`."""
        depth, vectors = self.depth(self.spec.dim), self.nr // self.isa.lanes
        arguments = f"{depth}, {left}, {self.mr}, {right}, {self.nr}, {target}, {stride}, 0"
        return self.tile(self.spec.queries, "rows", vectors, self._packed, arguments)

    def row_tiles(self, depth: str, left: str, stride: int, right: str, most: int, target: str, add: str) -> list[str]:
        """Rows of D `target` (+)= rows `left` of the scratch times panels `right`, which are `most` long."""
        return [
            self.tile(
                self.spec.queries, "rows", v, self._in_rows,
                f"{depth}, {left}, {stride}, {_column(right, p * self.panel(most))}, {self.nr}, "
                f"{_column(target, c)}, {self.width}, {add}",
            )
            for p, c, v in self.columns()
        ]  # fmt: skip

    def key_tiles(self, depth: str, left: str, stride: int, right: str, most: int, target: str) -> list[str]:
        """Rows of D `target` += the transpose of `left` times panels `right`, which are `most` long."""
        return [
            self.tile(
                self.spec.keys, "keys_here", v, self._packed,
                f"{depth}, {left}, {stride}, {_column(right, p * self.panel(most))}, {self.nr}, "
                f"{_column(target, c)}, {self.width}, 1",
            )
            for p, c, v in self.columns()
        ]  # fmt: skip

    # Buffers

    def forward_buffers(self) -> _Buffers:
        spec, buffers = self.spec, _Buffers()
        self.row_stride = self.key_panels * self.nr + 16
        buffers.add("keys", self.key_panels * self.panel(spec.dim), self.element)
        buffers.add("values", len(self.columns()) * self.panel(spec.keys), self.element)
        buffers.add("queries", self.depth(spec.dim) * self.mr + 16, self.element)
        buffers.add("scores", self.mr * self.row_stride)
        if self.pairs:
            buffers.add("probs", self.mr * self.row_stride // 2, self.element)
        buffers.add("out", self.mr * self.width)
        if spec.dropout:
            buffers.add("uniform", self.row_stride)
        return buffers

    def backward_buffers(self) -> _Buffers:
        spec, buffers = self.spec, _Buffers()
        panels = -(-min(self.key_block, spec.keys) // self.nr)
        columns = len(self.columns())
        self.row_stride = panels * self.nr + 16
        for name in ("queries", "grads"):
            buffers.add(name, columns * self.panel(spec.queries), self.element)
        for name in ("keys", "values"):
            buffers.add(name, panels * self.panel(spec.dim), self.element)
        buffers.add("key_rows", columns * self.panel(self.key_block), self.element)
        for name in ("q_rows", "do_rows"):
            buffers.add(name, self.depth(spec.dim) * self.mr + 16, self.element)
        rows = self.mr if self.pairs else self.rows
        buffers.add("probs", rows * self.row_stride)
        buffers.add("ds", rows * self.row_stride)
        if self.pairs:
            buffers.add("ds_rows", self.mr * self.row_stride // 2, self.element)
            buffers.add("probs_pairs", self.rows // 2 * self.row_stride, self.element)
            buffers.add("ds_pairs", self.rows // 2 * self.row_stride, self.element)
        buffers.add("dq_rows", spec.queries * self.width)
        buffers.add("dk_rows", self.key_block * self.width)
        buffers.add("dv_rows", self.key_block * self.width)
        buffers.add("delta", spec.queries)
        if spec.dropout:
            buffers.add("uniform", self.row_stride)
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

    def masked_scores(self, row: str, query: str, first: str) -> list[str]:
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

    def params(self) -> str:
        """Parameters for the operands, the mask and the random state."""
        spec = self.spec
        text = ", ".join(f"const {C_TYPE[spec.dtype]} *{name}" for name in "qkv")
        if spec.mask:
            text += f", const {'uint8_t' if spec.mask.dtype == 'bool' else C_TYPE[spec.mask.dtype]} *mask"
        if spec.dropout:
            text += ", const int64_t *seed, const int64_t *offset"
        return text

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
    ctype, mr, nr, lds = C_TYPE[spec.dtype], layout.mr, layout.nr, layout.row_stride
    heads, blocks = spec.batch * spec.heads, -(-spec.queries // layout.rows)
    limit = f"(t0 + rows < {spec.keys} ? t0 + rows : {spec.keys})" if spec.causal else str(spec.keys)
    row_limit = f"t0 + r < {spec.keys} ? t0 + r + 1 : {spec.keys}" if spec.causal else str(spec.keys)
    scores = layout.score_tile("queries", f"keys + p * {layout.panel(spec.dim)}", f"scores + p * {nr}", lds)
    probs, stride = ("probs", lds // 2) if layout.pairs else ("scores", lds)
    products = layout.row_tiles(layout.depth_text("limit"), probs, stride, "values", spec.keys, "out", "0")
    first = f"(uint64_t)((bh * {spec.queries} + t0 + r) * {spec.keys}L)"
    softmax = [
        f"const long seen = {row_limit}, wide = (seen + LANES - 1) / LANES * LANES;",
        f"float *row = scores + r * {lds};",
    ]
    factor, scored = spec.scale * _LOG2_E, spec.mask is not None or spec.scale <= 0
    if scored:
        softmax += layout.masked_scores("row", "t0 + r", "0")
        factor = _LOG2_E
    softmax += [
        "for (long j = seen; j < wide; ++j) row[j] = -INFINITY;",
        "vf peaks = vload(row);",
        "for (long j = LANES; j < wide; j += LANES) peaks = vmax(peaks, vload(row + j));",
        f"const float peak = vpeak(peaks), shift = {'peak == -INFINITY ? 0.0f : ' * bool(spec.mask)}"
        f"peak * {_float(factor)};",
        "float total = 0.0f;",
        "#pragma omp simd reduction(+ : total)",
        f"for (long j = 0; j < wide; ++j) total += row[j] = exp2_flushed(row[j] * {_float(factor)} - shift);",
        "shifts[r] = shift;",
        "totals[r] = total;",
    ]
    if spec.dropout:
        softmax += [
            f"philox_fill(*seed, *offset + {spec.draw}, {first}, seen, uniform);",
            "#pragma omp simd",
            f"for (long j = 0; j < seen; ++j) row[j] = uniform[j] >= {_float(spec.dropout)} ? row[j] : 0.0f;",
        ]
    softmax += [f"for (long j = wide; j < limit{' + 1' * layout.pairs}; ++j) row[j] = 0.0f;"]
    if layout.pairs:
        softmax += [
            f"float *const pairs = (float *)(probs + r * {lds // 2});",
            "for (long j = 0; j < limit; j += 2 * LANES) vstore(pairs + j / 2, (vf)row_pairs_f32(row + j));",
        ]
    return f"""\
{_title(spec, "attention")}
NOINLINE void {spec.name}(gen_pool *pool, int tid, int nt, char *scratch, {layout.params()},
    {ctype} *restrict o, float *restrict lse) {{
  (void)pool;
  float *const own = (float *)scratch + (long)tid * {buffers.size};
{_indent(buffers.lines, 1)}
  float shifts[{mr}], totals[{mr}]; /* of a row, in powers of two: its largest score and the sum of what is under it */
  const int by_heads = {heads} % nt == 0 || {heads} >= 4 * nt;
  const long head_first = by_heads ? {heads}L * tid / nt : 0, head_end = by_heads ? {heads}L * (tid + 1) / nt : {heads};
  const long block_first = by_heads ? 0 : tid, block_step = by_heads ? 1 : nt;
  for (long bh = head_first; bh < head_end; ++bh) {{
    const long b = bh / {spec.heads}, h = bh % {spec.heads};
    const {ctype} *const q_head = {layout.head(spec.q, "q")};
    const {ctype} *const k_head = {layout.head(spec.k, "k")};
    const {ctype} *const v_head = {layout.head(spec.v, "v")};
    {layout.pack_keys_call("keys", str(spec.keys), "k_head", spec.k)}
    {layout.pack_values_call("values", spec.keys, str(spec.keys), "v_head", spec.v)}
    for (long block = block_first; block < {blocks}; block += block_step) {{
      const long begin = block * {layout.rows};
      const long block_end = begin + {layout.rows} < {spec.queries} ? begin + {layout.rows} : {spec.queries};
      for (long t0 = begin; t0 < block_end; t0 += {mr}) {{
        const long rows = block_end - t0 < {mr} ? block_end - t0 : {mr}, limit = {limit};
        {layout.pack_rows_call("queries", "rows", address("q_head", ("t0", spec.q[2])), spec.q)}
        for (long p = 0; p * {nr} < limit; ++p) {{
{_indent([scores], 5)}
        }}
        for (long r = 0; r < rows; ++r) {{
{_indent(softmax, 5)}
        }}
{_indent(products, 4)}
        for (long r = 0; r < rows; ++r) {{
          lse[bh * {spec.queries} + t0 + r] = {_guarded(spec, "-INFINITY", f"shifts[r] * {_float(_LN_2)} + gen_logf(totals[r])")};
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
    heads, step, panel, pairs = f.batch * f.heads, layout.key_block, layout.panel(f.dim), layout.pairs
    row_at = "r" if pairs else "(i + r)"
    here = "" if pairs else f" + i * {lds}"
    raw = [
        layout.score_tile(left, f"{right} + p * {panel}", f"{target}{here} + p * {nr}", lds)
        for left, right, target in (("q_rows", "keys", "probs"), ("do_rows", "values", "ds"))
    ]
    first = f"(uint64_t)((bh * {f.queries} + t0 + i + r) * {f.keys}L + k0)"
    row = [
        f"const long t = t0 + i + r, seen = {'(t + 1 < k_end ? t + 1 : k_end) - k0' if f.causal else 'k_end - k0'};",
        "const long wide = (seen + LANES - 1) / LANES * LANES; /* computed in whole vectors */",
        f"float *restrict p_row = probs + {row_at} * {lds}, *restrict ds_row = ds + {row_at} * {lds};",
    ]
    shift, factor = f"lse[bh * {f.queries} + t] * {_float(_LOG2_E)}", f.scale * _LOG2_E
    if f.mask:
        row += layout.masked_scores("p_row", "t", "k0")
        row += [f"const float sum = lse[bh * {f.queries} + t];"]
        shift, factor = f"sum == -INFINITY ? 0.0f : sum * {_float(_LOG2_E)}", _LOG2_E
    row += [f"const float shift = {shift}, d = delta[t];"]
    probability = f"exp2_flushed(p_row[j] * {_float(factor)} - shift)"
    if f.dropout:
        row += [f"philox_fill(*seed, *offset + {f.draw}, {first}, seen, uniform);"]
        body = [
            f"const float keep = uniform[j] >= {_float(f.dropout)} ? {_float(_keep_scale(f))} : 0.0f;",
            f"const float e = {probability};",
            "p_row[j] = e * keep;",
            "ds_row[j] = e * (ds_row[j] * keep - d);",
        ]
    else:
        body = [f"const float e = {probability};", "p_row[j] = e;", "ds_row[j] = e * (ds_row[j] - d);"]
    row += ["#pragma omp simd", "for (long j = 0; j < wide; ++j) {", *("  " + line for line in body), "}"]
    row += ["for (long j = seen; j < filled; ++j) p_row[j] = ds_row[j] = 0.0f;"]
    if pairs:
        row += [
            f"float *const in_row = (float *)(ds_rows + r * {lds // 2});",
            "for (long j = 0; j < filled; j += 2 * LANES) vstore(in_row + j / 2, (vf)row_pairs_f32(ds_row + j));",
        ]
    interleave = []
    if pairs:
        odd = " + ".join
        interleave = [
            "for (long r = 0; r < rows; r += 2)",
            "  for (long j = 0; j < filled; j += LANES) {",
            f"    const long at = r * {lds} + j, to = (i + r) / 2 * {lds} + j;",
        ]
        for source in ("probs", "ds"):
            odd = f"{source} + at + {lds}"
            odd = f"r + 1 < rows ? {odd} : NULL" if f.queries % 2 else odd
            interleave += [f"    vstore((float *)({source}_pairs + to), (vf)pair_f32({source} + at, {odd}, LANES));"]
        interleave += ["  }"]
    dq = layout.row_tiles(
        layout.depth_text("(end - k0)") if not pairs else "(end - k0 + 1) / 2",
        "ds_rows" if pairs else f"ds + i * {lds}",
        lds // 2 if pairs else lds,
        "key_rows",
        step,
        f"dq_rows + (t0 + i) * {width}",
        "k0 > 0",
    )
    dkv = [
        line
        for left, right, target in (("ds", "queries", "dk_rows"), ("probs", "grads", "dv_rows"))
        for line in layout.key_tiles(
            "(block - skip + 1) / 2" if pairs else "block - skip",
            f"{left}{'_pairs' * pairs} + {'skip / 2' if pairs else 'skip'} * {lds} + s - k0",
            lds,
            f"{right} + {layout.at('t0 + skip')} * {nr}",
            f.queries,
            f"{target} + (s - k0) * {width}",
        )
    ]
    end = "t0 + i + rows < k_end ? t0 + i + rows : k_end" if f.causal else "k_end"
    s_end = "t0 + block < k_end ? t0 + block : k_end" if f.causal else "k_end"
    skip = "s > t0 ? s - t0 : 0" if f.causal else "0"
    o_value = TO_F32[f.dtype].format(f"o_row[{times('d', f.o[3])}]")
    do_value = TO_F32[f.dtype].format(f"do_row[{times('d', spec.do[3])}]")
    scale = f" * {_float(f.scale)}"
    return f"""\
{_title(f, "attention gradient")}
NOINLINE void {spec.name}(gen_pool *pool, int tid, int nt, char *scratch, {layout.params()},
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
    {layout.pack_values_call("queries", f.queries, str(f.queries), "q_head", f.q)}
    {layout.pack_values_call("grads", f.queries, str(f.queries), "do_head", spec.do)}
    for (long t = 0; t < {f.queries}; ++t) {{ /* sum of P dP over the keys = O . dO */
      const {ctype} *const o_row = {address("o_head", ("t", f.o[2]))}, *const do_row = {address("do_head", ("t", spec.do[2]))};
      float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
      for (long d = 0; d < {f.dim}; ++d) sum += {o_value} * {do_value};
      delta[t] = sum;
    }}
    memset(dq_rows, 0, {4 * f.queries * width});
    for (long k0 = 0; k0 < {f.keys}; k0 += {step}) {{
      const long k_end = {f.keys} - k0 < {step} ? {f.keys} : k0 + {step};
      {layout.pack_keys_call("keys", "k_end - k0", address("k_head", ("k0", f.k[2])), f.k)}
      {layout.pack_keys_call("values", "k_end - k0", address("v_head", ("k0", f.v[2])), f.v)}
      {layout.pack_values_call("key_rows", step, "k_end - k0", address("k_head", ("k0", f.k[2])), f.k)}
      memset(dk_rows, 0, {4 * width} * (k_end - k0));
      memset(dv_rows, 0, {4 * width} * (k_end - k0));
      for (long t0 = {"k0" if f.causal else "0"}; t0 < {f.queries}; t0 += {layout.rows}) {{
        const long block = {f.queries} - t0 < {layout.rows} ? {f.queries} - t0 : {layout.rows};
        for (long i = 0; i < block; i += {mr}) {{
          const long rows = block - i < {mr} ? block - i : {mr}, end = {end};
          const long filled = (end - k0 + {mr - 1}) / {mr} * {mr}; /* whole tiles of keys: zero where nothing is seen */
          {layout.pack_rows_call("q_rows", "rows", address("q_head", ("(t0 + i)", f.q[2])), f.q)}
          {layout.pack_rows_call("do_rows", "rows", address("do_head", ("(t0 + i)", spec.do[2])), spec.do)}
          for (long p = 0; k0 + p * {nr} < end; ++p) {{
{_indent(raw, 6)}
          }}
          for (long r = 0; r < rows; ++r) {{
{_indent(row, 6)}
          }}
{_indent(interleave, 5)}
{_indent(dq, 5)}
        }}
        for (long s = k0; s < {"(" + s_end + ")" if f.causal else s_end}; s += {mr}) {{
          const long keys_here = {f.keys} - s < {mr} ? {f.keys} - s : {mr}, skip = {skip};
{_indent(dkv, 5)}
        }}
      }}
      {ctype} *const dk_block = {layout.head(spec.dk, "dk")} + k0 * {spec.dk[2]};
      {ctype} *const dv_block = {layout.head(spec.dv, "dv")} + k0 * {spec.dv[2]};
{_indent([layout.store("dk_block", "dk_rows", "k_end - k0", spec.dk, scale)], 3)}
{_indent([layout.store("dv_block", "dv_rows", "k_end - k0", spec.dv)], 3)}
    }}
    {ctype} *const dq_head = {layout.head(spec.dq, "dq")};
{_indent([layout.store("dq_head", "dq_rows", str(f.queries), spec.dq, scale)], 2)}
  }}
}}
""".replace("\n\n", "\n")
