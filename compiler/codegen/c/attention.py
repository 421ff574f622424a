"""Scaled dot-product attention and its gradient as C text, with no matrix of queries x keys beyond a block of rows.

O = dropout(softmax(scale Q K^T + mask)) V for every (batch, head). The forward pass keeps L = log sum exp of each row;
the backward pass computes the probabilities again from it (Dao et al., "FlashAttention", 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

from compiler.codegen.c.isa import Isa
from compiler.codegen.c.tiles import C_TYPE, CONVERSIONS, FROM_F32, TO_F32, Pack, Tile, address, times

Strides = tuple[int, int, int, int]

_GROUP = 4  # row panels of a block of queries
_KEYS = 256  # keys of a block in the backward pass, at most


@dataclass(frozen=True)
class Mask:
    """What is added to the scores ("f32", "bf16", "f16") or which take part ("bool", a byte); strides (b, h, t, s)."""

    dtype: str
    strides: Strides


@dataclass(frozen=True)
class AttentionSpec:
    """q [B,H,T,D], k and v [B,H,S,D], o [B,H,T,D] of one storage dtype, any strides in elements; f32 arithmetic.

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
        return frozenset({_Layout(isa, self).pack(self.k)})

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
        layout = _Layout(isa, self.forward)
        return layout.forward_tiles() | layout.backward_tiles()

    def packs(self, isa: Isa) -> frozenset[Pack]:
        """Packing functions the kernel calls."""
        layout = _Layout(isa, self.forward)
        return frozenset({layout.pack(self.forward.k), layout.pack(self.forward.v)})

    def prelude_uses(self) -> set[str]:
        """Names of the prelude parts the kernel's own text calls."""
        return _uses(self.forward)


def _uses(spec: AttentionSpec) -> set[str]:
    conversions = {"bf16": {"bf16_to_f32", "f32_to_bf16"}, "f16": {"f16_to_f32", "f32_to_f16"}}
    mask = CONVERSIONS.get(spec.mask.dtype, ()) if spec.mask else ()
    return (
        {"vectors", "gen_expf", *mask}
        | conversions.get(spec.dtype, set())
        | ({"philox_fill"} if spec.dropout else set())
    )


def scratch_bytes(isa: Isa, spec: AttentionSpec | AttentionGradSpec, threads: int) -> int:
    """Bytes of 64-byte aligned scratch the kernel needs when at most `threads` threads run it."""
    if isinstance(spec, AttentionSpec):
        return threads * _Layout(isa, spec).forward_buffers().bytes
    return threads * _Layout(isa, spec.forward).backward_buffers(spec).bytes


class _Buffers:
    """Float arrays of one thread, one after the other in the scratch."""

    def __init__(self) -> None:
        self.floats = 0
        self.lines: list[str] = []

    def add(self, name: str, floats: int) -> None:
        self.lines.append(f"float *const {name} = {_column('own', self.floats)};")
        self.floats += -(-floats // 16) * 16

    @property
    def bytes(self) -> int:
        return 4 * self.floats


class _Layout:
    """Tile sizes and buffers for one attention."""

    def __init__(self, isa: Isa, spec: AttentionSpec):
        self.isa, self.spec = isa, spec
        self.mr, self.nr = isa.mr, isa.nr
        self.rows = _GROUP * self.mr
        self.width = -(-spec.dim // isa.lanes) * isa.lanes  # a row of D, padded to vectors
        self.key_block = _KEYS // lcm(self.mr, self.nr) * lcm(self.mr, self.nr)
        self.key_panels = -(-spec.keys // self.nr)
        self.panel = spec.dim * self.nr + 16

    def direct(self, strides: Strides) -> bool:
        """Whether rows of D can be read in place as f32 vectors."""
        return self.spec.dtype == "f32" and strides[3] == 1 and self.spec.dim % self.isa.lanes == 0

    def pack(self, strides: Strides) -> Pack:
        order = "rows" if strides[3] == 1 else "columns" if strides[2] == 1 else "strided"
        return Pack(self.nr, self.spec.dtype, order, "f32")

    def _tile_rows(self, length: int) -> set[int]:
        return ({self.mr} if length >= self.mr else set()) | ({length % self.mr} if length % self.mr else set())

    def column_tiles(self) -> list[tuple[int, int]]:
        """(first column, vectors) of the tiles across a row of D."""
        lanes, most = self.isa.lanes, self.nr // self.isa.lanes
        return [(c, min(most, (self.width - c) // lanes)) for c in range(0, self.width, self.nr)]

    def forward_tiles(self) -> frozenset[Tile]:
        vectors = {self.nr // self.isa.lanes} | {v for _, v in self.column_tiles()}
        return frozenset(Tile(r, v, "rows") for r in self._tile_rows(self.spec.queries) for v in vectors)

    def backward_tiles(self) -> frozenset[Tile]:
        vectors = {v for _, v in self.column_tiles()}
        return frozenset(Tile(r, v, "columns") for r in self._tile_rows(self.spec.keys) for v in vectors)

    def forward_buffers(self) -> _Buffers:
        spec, buffers = self.spec, _Buffers()
        self.row_stride = self.key_panels * self.nr + 16
        buffers.add("keys", self.key_panels * self.panel)
        if not self.direct(spec.v):
            buffers.add("values", spec.keys * self.width)
        if not self.direct(spec.q):
            buffers.add("queries", self.mr * self.width)
        buffers.add("scores", self.mr * self.row_stride)
        buffers.add("out", self.mr * self.width)
        if spec.dropout:
            buffers.add("uniform", self.row_stride)
        return buffers

    def backward_buffers(self, grad: AttentionGradSpec) -> _Buffers:
        spec, buffers = self.spec, _Buffers()
        self.row_stride = self.key_block + 16
        buffers.add("keys", self.key_panels * self.panel)
        buffers.add("values", self.key_panels * self.panel)
        for name, strides, length in (
            ("queries", spec.q, spec.queries),
            ("grads", grad.do, spec.queries),
            ("key_rows", spec.k, spec.keys),
        ):
            if not self.direct(strides):
                buffers.add(name, length * self.width)
        buffers.add("probs", self.rows * self.row_stride)
        buffers.add("ds", self.rows * self.row_stride)
        buffers.add("dq_rows", self.rows * self.width)
        buffers.add("dk_rows", spec.keys * self.width)
        buffers.add("dv_rows", spec.keys * self.width)
        buffers.add("delta", self.rows)
        if spec.dropout:
            buffers.add("uniform", self.row_stride)
        return buffers

    # Pieces of text

    def tile(self, length: int, rows: str, vectors: int, kind: str, arguments: str) -> str:
        """A call of the tile with as many rows as `rows` says, one of those that `length` leaves."""
        choices = sorted(self._tile_rows(length), reverse=True)
        calls = [f"{Tile(r, vectors, kind).name}({arguments});" for r in choices]
        if len(calls) == 1:
            return calls[0]
        return f"if ({rows} == {choices[0]})\n  {calls[0]}\nelse\n  {calls[1]}"

    def pack_call(self, panels: str, strides: Strides, source: str) -> str:
        """The call that packs one head's rows of D into panels."""
        keys, dim = str(self.spec.keys), str(self.spec.dim)
        return self.pack(strides).call(panels, self.panel, keys, dim, source, strides[2:])

    def copy(self, target: str, source: str, rows: str, strides: Strides) -> str:
        """The loop that converts rows of D to f32 rows of the padded width."""
        value = TO_F32[self.spec.dtype].format(f"{source}[{times('t', strides[2])} + {times('d', strides[3])}]")
        dim = self.spec.dim
        if dim < self.width:
            value = f"d < {dim} ? {value} : 0.0f"
        return (
            f"for (long t = 0; t < {rows}; ++t)\n  for (long d = 0; d < {self.width}; ++d) "
            f"{target}[t * {self.width} + d] = {value};"
        )

    def store(self, target: str, source: str, rows: str, strides: Strides, factor: str = "") -> str:
        """The loop that writes f32 rows of the padded width to an output."""
        value = FROM_F32[self.spec.dtype].format(f"{source}[t * {self.width} + d]{factor}")
        place = f"{times('t', strides[2])} + {times('d', strides[3])}"
        return (
            f"for (long t = 0; t < {rows}; ++t)\n#pragma omp simd\n"
            f"  for (long d = 0; d < {self.spec.dim}; ++d) {target}[{place}] = {value};"
        )

    def score(self, value: str, j: str) -> str:
        """The score of key `j` (an index into `mask_row`) from its raw product."""
        spec = self.spec
        scaled = f"{value} * {_float(spec.scale)}"
        if spec.mask is None:
            return scaled
        element = f"mask_row[{times(j, spec.mask.strides[3])}]"
        if spec.mask.dtype == "bool":
            return f"({element} ? {scaled} : -INFINITY)"
        return f"({scaled} + {TO_F32[spec.mask.dtype].format(element)})"

    def mask_row(self, query: str, first: str) -> list[str]:
        mask = self.spec.mask
        if mask is None:
            return []
        ctype = "uint8_t" if mask.dtype == "bool" else C_TYPE[mask.dtype]
        row = address("mask", *zip(("b", "h", f"({query})", first), mask.strides))
        return [f"const {ctype} *mask_row = {row};"]

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
    ctype, mr, nr, width, lds = C_TYPE[spec.dtype], layout.mr, layout.nr, layout.width, layout.row_stride
    heads, blocks = spec.batch * spec.heads, -(-spec.queries // layout.rows)
    q_direct, v_direct = layout.direct(spec.q), layout.direct(spec.v)
    limit = f"(t0 + rows < {spec.keys} ? t0 + rows : {spec.keys})" if spec.causal else str(spec.keys)
    row_limit = f"t0 + r < {spec.keys} ? t0 + r + 1 : {spec.keys}" if spec.causal else str(spec.keys)
    query_copy = (
        [layout.copy("queries", f"({address('q_head', ('t0', spec.q[2]))})", "rows", spec.q)] if not q_direct else []
    )
    value_copy = [layout.copy("values", "v_head", str(spec.keys), spec.v)] if not v_direct else []
    q_at = address("q_head", ("t0", spec.q[2])) if q_direct else "queries"
    scores = layout.tile(
        spec.queries,
        "rows",
        nr // isa.lanes,
        "rows",
        f"{spec.dim}, {q_at}, {spec.q[2] if q_direct else width}, keys + p * {layout.panel}, {nr}, "
        f"scores + p * {nr}, {lds}, 0",
    )
    v_at, ldv = ("v_head", spec.v[2]) if v_direct else ("values", width)
    products = [
        layout.tile(
            spec.queries,
            "rows",
            v,
            "rows",
            f"limit, scores, {lds}, {_column(v_at, c)}, {ldv}, {_column('out', c)}, {width}, 0",
        )
        for c, v in layout.column_tiles()
    ]
    first = f"(uint64_t)((bh * {spec.queries} + t0 + r) * {spec.keys}L)"
    softmax = [
        f"const long seen = {row_limit}, wide = (seen + LANES - 1) / LANES * LANES;",
        f"float *row = scores + r * {lds};",
        *layout.mask_row("t0 + r", "0"),
    ]
    if spec.mask or spec.scale <= 0:
        softmax += ["#pragma omp simd", f"for (long j = 0; j < seen; ++j) row[j] = {layout.score('row[j]', 'j')};"]
        scaled, shift = "row[j] - shift", "peak == -INFINITY ? 0.0f : peak" if spec.mask else "peak"
    else:
        scaled, shift = f"row[j] * {_float(spec.scale)} - shift", f"peak * {_float(spec.scale)}"
    softmax += [
        "for (long j = seen; j < wide; ++j) row[j] = -INFINITY;",
        "vf peaks = vload(row);",
        "for (long j = LANES; j < wide; j += LANES) peaks = vmax(peaks, vload(row + j));",
        "float peak = peaks[0], total = 0.0f;",
        "for (int l = 1; l < LANES; ++l) peak = peaks[l] > peak ? peaks[l] : peak;",
        f"const float shift = {shift};",
        "#pragma omp simd reduction(+ : total)",
        f"for (long j = 0; j < wide; ++j) total += row[j] = gen_expf({scaled});",
    ]
    if spec.dropout:
        softmax += [
            f"philox_fill(*seed, *offset + {spec.draw}, {first}, seen, uniform);",
            "#pragma omp simd",
            f"for (long j = 0; j < seen; ++j) row[j] = uniform[j] >= {_float(spec.dropout)} ? row[j] : 0.0f;",
        ]
    softmax += [
        "for (long j = wide; j < limit; ++j) row[j] = 0.0f;",
        f"inverse[r] = {_guarded(spec, '0.0f', _float(_keep_scale(spec)) + ' / total')};",
        f"lse[bh * {spec.queries} + t0 + r] = {_guarded(spec, '-INFINITY', 'shift + gen_logf(total)')};",
    ]
    return f"""\
{_title(spec, "attention")}
NOINLINE void {spec.name}(gen_pool *pool, int tid, int nt, char *scratch, {layout.params()},
    {ctype} *restrict o, float *restrict lse) {{
  (void)pool;
  float *const own = (float *)scratch + (long)tid * {buffers.floats};
{_indent(buffers.lines, 1)}
  float inverse[{mr}];
  const int by_heads = {heads} % nt == 0 || {heads} >= 4 * nt;
  const long head_first = by_heads ? {heads}L * tid / nt : 0, head_end = by_heads ? {heads}L * (tid + 1) / nt : {heads};
  const long block_first = by_heads ? 0 : tid, block_step = by_heads ? 1 : nt;
  for (long bh = head_first; bh < head_end; ++bh) {{
    const long b = bh / {spec.heads}, h = bh % {spec.heads};
    const {ctype} *const q_head = {layout.head(spec.q, "q")};
    const {ctype} *const k_head = {layout.head(spec.k, "k")};
    const {ctype} *const v_head = {layout.head(spec.v, "v")};
    {layout.pack_call("keys", spec.k, "k_head")}
{_indent(value_copy, 2)}
    for (long block = block_first; block < {blocks}; block += block_step) {{
      const long begin = block * {layout.rows};
      const long block_end = begin + {layout.rows} < {spec.queries} ? begin + {layout.rows} : {spec.queries};
      for (long t0 = begin; t0 < block_end; t0 += {mr}) {{
        const long rows = block_end - t0 < {mr} ? block_end - t0 : {mr}, limit = {limit};
{_indent(query_copy, 4)}
        for (long p = 0; p * {nr} < limit; ++p) {{
{_indent([scores], 5)}
        }}
        for (long r = 0; r < rows; ++r) {{
{_indent(softmax, 5)}
        }}
{_indent(products, 4)}
        {ctype} *const o_rows = {layout.head(spec.o, "o")} + t0 * {spec.o[2]};
{_indent([layout.store("o_rows", "out", "rows", spec.o, " * inverse[t]")], 4)}
      }}
    }}
  }}
}}
""".replace("\n\n", "\n")


def _guarded(spec: AttentionSpec, nothing: str, value: str) -> str:
    """`value`, or `nothing` for a row whose keys are all masked."""
    return f"total == 0.0f ? {nothing} : {value}" if spec.mask else value


def _keep_scale(spec: AttentionSpec) -> float:
    return 1.0 / (1.0 - spec.dropout) if spec.dropout < 1 else 0.0


def backward_kernel(isa: Isa, spec: AttentionGradSpec) -> str:
    """`void NAME(pool, tid, nt, scratch, q, k, v, [mask,] [seed, offset,] o, lse, do_, dq, dk, dv)`.

    Called as the forward kernel is; threads share out the heads.
    """
    f = spec.forward
    layout = _Layout(isa, f)
    buffers = layout.backward_buffers(spec)
    ctype, mr, nr, width, lds = C_TYPE[f.dtype], layout.mr, layout.nr, layout.width, layout.row_stride
    heads, step = f.batch * f.heads, layout.key_block
    queries, grads, key_rows = (
        (name, strides[2]) if layout.direct(strides) else (buffer, width)
        for name, strides, buffer in (
            ("q_head", f.q, "queries"),
            ("do_head", spec.do, "grads"),
            ("k_head", f.k, "key_rows"),
        )
    )
    copies = [
        layout.copy(buffer, source, str(length), strides)
        for buffer, source, length, strides in (
            ("queries", "q_head", f.queries, f.q),
            ("grads", "do_head", f.queries, spec.do),
            ("key_rows", "k_head", f.keys, f.k),
        )
        if not layout.direct(strides)
    ]
    key_end = f"t0 + block < {f.keys} ? t0 + block : {f.keys}" if f.causal else str(f.keys)
    tile_end = "t0 + i + rows < k_end ? t0 + i + rows : k_end" if f.causal else "k_end"
    vectors = nr // isa.lanes
    raw = [
        layout.tile(
            f.queries,
            "rows",
            vectors,
            "rows",
            f"{f.dim}, {a} + (t0 + i) * {lda}, {lda}, {panels} + p * {layout.panel}, {nr}, "
            f"{target} + i * {lds} + p * {nr} - k0, {lds}, 0",
        )
        for (a, lda), panels, target in ((queries, "keys", "probs"), (grads, "values", "ds"))
    ]
    first = f"(uint64_t)((bh * {f.queries} + t0 + r) * {f.keys}L + k0)"
    row = [
        f"const long seen = {'t0 + r + 1 < k_end ? t0 + r + 1 - k0 : k_end - k0' if f.causal else 'k_end - k0'};",
        "const long wide = seen > 0 ? (seen + LANES - 1) / LANES * LANES : 0; /* computed in whole vectors */",
        f"float *restrict p_row = probs + r * {lds}, *restrict ds_row = ds + r * {lds};",
        f"const float l = lse[bh * {f.queries} + t0 + r], d = delta[r];",
        *layout.mask_row("t0 + r", "k0"),
    ]
    probability = f"gen_expf({layout.score('p_row[j]', 'j')} - l)"
    if f.mask:
        row[3] = f"const float sum = lse[bh * {f.queries} + t0 + r], l = sum == -INFINITY ? 0.0f : sum, d = delta[r];"
        row += ["#pragma omp simd", f"for (long j = 0; j < seen; ++j) p_row[j] = {layout.score('p_row[j]', 'j')};"]
        probability = "gen_expf(p_row[j] - l)"
    if f.dropout:
        row += [f"if (seen > 0) philox_fill(*seed, *offset + {f.draw}, {first}, seen, uniform);"]
        keep = f"const float keep = uniform[j] >= {_float(f.dropout)} ? {_float(_keep_scale(f))} : 0.0f;"
        body = [keep, f"const float e = {probability};", "p_row[j] = e * keep;"]
        body += [f"ds_row[j] = e * (ds_row[j] * keep - d) * {_float(f.scale)};"]
    else:
        body = [
            f"const float e = {probability};",
            "p_row[j] = e;",
            f"ds_row[j] = e * (ds_row[j] - d) * {_float(f.scale)};",
        ]
    row += ["#pragma omp simd", "for (long j = 0; j < wide; ++j) {", *("  " + line for line in body), "}"]
    row += ["for (long j = seen > 0 ? seen : 0; j < filled; ++j) p_row[j] = ds_row[j] = 0.0f;"]
    dq = [
        layout.tile(
            f.queries,
            "rows",
            v,
            "rows",
            f"end - k0, ds + i * {lds}, {lds}, {_column(f'{key_rows[0]} + k0 * {key_rows[1]}', c)}, {key_rows[1]}, "
            f"{_column(f'dq_rows + i * {width}', c)}, {width}, k0 > 0",
        )
        for c, v in layout.column_tiles()
    ]
    skip = "const long skip = s > t0 ? s - t0 : 0;" if f.causal else "const long skip = 0;"
    dkv = [
        layout.tile(
            f.keys,
            "keys_here",
            v,
            "columns",
            f"block - skip, {source} + skip * {lds} + s - k0, {lds}, "
            f"{_column(f'{b} + (t0 + skip) * {ldb}', c)}, {ldb}, "
            f"{_column(f'{target} + s * {width}', c)}, {width}, 1",
        )
        for source, (b, ldb), target in (("ds", queries, "dk_rows"), ("probs", grads, "dv_rows"))
        for c, v in layout.column_tiles()
    ]
    o_value = TO_F32[f.dtype].format(f"o_row[{times('d', f.o[3])}]")
    do_value = TO_F32[f.dtype].format(f"do_row[{times('d', spec.do[3])}]")
    return f"""\
{_title(f, "attention gradient")}
NOINLINE void {spec.name}(gen_pool *pool, int tid, int nt, char *scratch, {layout.params()},
    const {ctype} *o, const float *lse, const {ctype} *do_,
    {ctype} *restrict dq, {ctype} *restrict dk, {ctype} *restrict dv) {{
  (void)pool;
  float *const own = (float *)scratch + (long)tid * {buffers.floats};
{_indent(buffers.lines, 1)}
  for (long bh = {heads}L * tid / nt; bh < {heads}L * (tid + 1) / nt; ++bh) {{
    const long b = bh / {f.heads}, h = bh % {f.heads};
    const {ctype} *const q_head = {layout.head(f.q, "q")};
    const {ctype} *const k_head = {layout.head(f.k, "k")};
    const {ctype} *const v_head = {layout.head(f.v, "v")};
    const {ctype} *const o_head = {layout.head(f.o, "o")};
    const {ctype} *const do_head = {layout.head(spec.do, "do_")};
    {layout.pack_call("keys", f.k, "k_head")}
    {layout.pack_call("values", f.v, "v_head")}
{_indent(copies, 2)}
    memset(dk_rows, 0, {4 * f.keys * width});
    memset(dv_rows, 0, {4 * f.keys * width});
    for (long t0 = 0; t0 < {f.queries}; t0 += {layout.rows}) {{
      const long block = {f.queries} - t0 < {layout.rows} ? {f.queries} - t0 : {layout.rows};
      for (long r = 0; r < block; ++r) {{ /* sum of P dP over the keys = O . dO */
        const {ctype} *const o_row = o_head + (t0 + r) * {f.o[2]}, *const do_row = do_head + (t0 + r) * {spec.do[2]};
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (long d = 0; d < {f.dim}; ++d) sum += {o_value} * {do_value};
        delta[r] = sum;
      }}
      const long last = {key_end};
      for (long k0 = 0; k0 < last; k0 += {step}) {{
        const long k_end = last - k0 < {step} ? last : k0 + {step};
        const long filled = (k_end - k0 + {mr - 1}) / {mr} * {mr}; /* whole tiles of keys: zero where nothing is seen */
        for (long i = 0; i < block; i += {mr}) {{
          const long rows = block - i < {mr} ? block - i : {mr}, end = {tile_end};
          for (long p = k0 / {nr}; p * {nr} < end; ++p) {{
{_indent(raw, 6)}
          }}
          for (long r = i; r < i + rows; ++r) {{
{_indent(row, 6)}
          }}
          if (end > k0) {{
{_indent(dq, 6)}
          }}
        }}
        for (long s = k0; s < k_end; s += {mr}) {{
          const long keys_here = {f.keys} - s < {mr} ? {f.keys} - s : {mr};
          {skip}
{_indent(dkv, 5)}
        }}
      }}
      {ctype} *const dq_head = {layout.head(spec.dq, "dq")} + t0 * {spec.dq[2]};
{_indent([layout.store("dq_head", "dq_rows", "block", spec.dq)], 3)}
    }}
    {ctype} *const dk_head = {layout.head(spec.dk, "dk")};
    {ctype} *const dv_head = {layout.head(spec.dv, "dv")};
{_indent([layout.store("dk_head", "dk_rows", str(f.keys), spec.dk)], 2)}
{_indent([layout.store("dv_head", "dv_rows", str(f.keys), spec.dv)], 2)}
  }}
}}
""".replace("\n\n", "\n")
