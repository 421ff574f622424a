"""The forward kernel of scaled dot-product attention in C."""

from __future__ import annotations

from compiler.codegen.c.attention_layout import LOG2_E, AttentionSpec, Layout, indented, keep_scale, title
from compiler.codegen.c.isa import Isa
from compiler.codegen.c.spelling import literal
from compiler.codegen.c.tiles import C_TYPE, address
from compiler.codegen.sizes import ceil_div
from compiler.ir.types import f32


def forward_kernel(isa: Isa, spec: AttentionSpec) -> tuple[str, int]:
    """`void NAME(pool, tid, nt, scratch, q, k, v, [mask,] [seed, offset,] o, lse)`; lse is f32 [B,H,T], row-major.

    All nt threads call it. It ends without a barrier; as for a matrix product the caller waits before scratch or
    outputs are used again. Threads share out the heads, or blocks of queries where heads are few. The number is the
    bytes of 64-byte aligned scratch for each thread.
    """
    layout = Layout(isa, spec)
    buffers = layout.forward_buffers()
    ctype, mr, lds, folds = C_TYPE[spec.dtype], layout.mr, layout.row_stride, layout.folds
    heads, blocks = spec.batch * spec.heads, ceil_div(spec.queries, layout.rows)
    limit = f"(t0 + rows < {spec.keys} ? t0 + rows : {spec.keys})" if spec.causal else str(spec.keys)
    scores = layout.score_tiles([("queries", "keys", "scores + {}")], "0", "limit")
    probs, stride = ("probs", lds // 2) if layout.pairs else ("scores", lds)
    products = layout.product_tiles(layout.halved("limit"), probs, stride, "values", "out", "0", False)
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
    shift, factor, unit = "peaks[r]", spec.scale * LOG2_E, f" * {literal(spec.scale, f32)}"
    if scaled:  # before the largest is subtracted, not after: a mask may hold the lowest finite number
        largest += layout.scale_and_mask("row", "t", "0")
        shift = "peaks[r] == -INFINITY ? 0.0f : peaks[r]" if spec.mask else "peaks[r]"
        factor, unit = LOG2_E, ""
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
        f"for (long j = 0; j < wide; ++j) row[j] = exp2_flushed((row[j] - shift) * {literal(factor, f32)});",
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
            f"for (long j = 0; j < seen; ++j) row[j] = uniform[j] >= {literal(spec.dropout, f32)} ? row[j] : 0.0f;",
        ]
    if layout.pairs:
        softmax += [
            f"float *const pairs = (float *)(probs + r * {lds // 2});",
            "for (long j = 0; j < limit; j += 2 * LANES) vstore(pairs + j / 2, (vf)row_pairs_f32(row + j));",
        ]
    logarithm = f"shifts[r]{unit} + gen_logf(totals[r])"
    text = f"""\
{title(spec, "attention")}
KERNEL void NAME(gen_pool *pool, int tid, int nt, char *scratch, {layout.params()},
    {ctype} *restrict o, float *restrict lse) {{
  float *const own = (float *)scratch + (long)tid * {buffers.size};
{indented(buffers.lines, 1)}
  /* A row's largest score, the number subtracted from all, the sum of the exponentials. */
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
{indented(scores, 4)}
        const long wide = (limit + LANES - 1) / LANES * LANES;
        for (long r = 0; r < rows; ++r) {{
{indented(largest, 5)}
        }}
        {layout.reduced("peaks")}
        for (long r = 0; r < rows; ++r) {{
{indented(softmax, 5)}
        }}
        {layout.reduced("totals")}
{indented(products, 4)}
        for (long r = 0; r < rows; ++r) {{
          lse[bh * {spec.queries} + t0 + r] = {_guarded(spec, "-INFINITY", logarithm)};
          totals[r] = {_guarded(spec, "0.0f", f"{literal(keep_scale(spec), f32)} / totals[r]")};
        }}
        {ctype} *const o_rows = {layout.head(spec.o, "o")} + t0 * {spec.o[2]};
{indented([layout.store("o_rows", "out", "rows", spec.o, " * totals[t]")], 4)}
      }}
    }}
  }}
}}
"""
    return text.replace("\n\n", "\n"), 4 * buffers.size


def _guarded(spec: AttentionSpec, nothing: str, value: str) -> str:
    """`value`, or `nothing` for a row whose keys are all masked."""
    return f"totals[r] == 0.0f ? {nothing} : {value}" if spec.mask else value
