"""The gradient of scaled dot-product attention in C."""

from __future__ import annotations

from compiler.codegen.c.attention_layout import (
    LOG2_E,
    AttentionGradSpec,
    Layout,
    indented,
    keep_scale,
    title,
)
from compiler.codegen.c.isa import Isa
from compiler.codegen.c.spelling import literal
from compiler.codegen.c.tiles import C_TYPE, address, times
from compiler.ir.types import f32


def backward_kernel(isa: Isa, spec: AttentionGradSpec) -> tuple[str, int]:
    """`void NAME(pool, tid, nt, scratch, q, k, v, [mask,] [seed, offset,] delta, lse, do_, dq, dk, dv)`.

    Called as the forward kernel is; threads share out the heads. The number is as there.
    """
    f = spec.forward
    layout = Layout(isa, f)
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
    dq = layout.product_tiles(
        layout.halved("end - k0"),
        "ds_rows" if pairs else f"ds + i * {lds}",
        lds // 2 if pairs else lds,
        f"key_rows + k0 / 2 * {width}" if pairs else f"key_rows + k0 * {width}",
        f"dq_rows + i * {width}",
        "k0 > 0",
        False,
    )
    skipped = "skip / 2" if pairs else "skip"
    dkv = [
        line
        for columns, right, target in (("ds", "queries", "dk_rows"), ("probs", "grads", "dv_rows"))
        for line in layout.product_tiles(
            layout.halved("block - skip"),
            f"{columns}{'_pairs' * pairs} + {skipped} * {lds} + s - k0",
            lds,
            f"{right} + {skipped} * {width}",
            f"{target} + s * {width}",
            "s < t0" if f.causal else "t0 > 0",
            True,
        )
    ]
    end = "t0 + i + rows < k_end ? t0 + i + rows : k_end" if f.causal else "k_end"
    key_end = f"t0 + block < {f.keys} ? t0 + block : {f.keys}" if f.causal else str(f.keys)
    unseen = []
    if f.causal and f.keys > f.queries:
        size = 4 * (f.keys - f.queries) * width
        unseen = [f"memset({rows} + {f.queries * width}, 0, {size});" for rows in ("dk_rows", "dv_rows")]
    skip = "s > t0 ? s - t0 : 0" if f.causal else "0"
    scale = f" * {literal(f.scale, f32)}"
    text = f"""\
{title(f, "attention gradient")}
KERNEL void NAME(gen_pool *pool, int tid, int nt, char *scratch, {layout.params()},
    const float *delta, const float *lse, const {ctype} *do_,
    {ctype} *restrict dq, {ctype} *restrict dk, {ctype} *restrict dv) {{
  float *const own = (float *)scratch + (long)tid * {buffers.size};
{indented(buffers.lines, 1)}
  for (long bh = {heads}L * tid / nt; bh < {heads}L * (tid + 1) / nt; ++bh) {{
    const long b = bh / {f.heads}, h = bh % {f.heads};
    const {ctype} *const q_head = {layout.head(f.q, "q")};
    const {ctype} *const k_head = {layout.head(f.k, "k")};
    const {ctype} *const v_head = {layout.head(f.v, "v")};
    const float *const delta_head = {layout.head(spec.delta, "delta")};
    const {ctype} *const do_head = {layout.head(spec.do, "do_")};
    {layout.keys("keys", "k_head", f.k)}
    {layout.keys("values", "v_head", f.v)}
    {layout.right("key_rows", str(f.keys), "k_head", f.k)}
{indented(unseen, 2)}
    for (long t0 = 0; t0 < {f.queries}; t0 += {layout.rows}) {{
      const long block = {f.queries} - t0 < {layout.rows} ? {f.queries} - t0 : {layout.rows};
      const {ctype} *const q_block = {address("q_head", ("t0", f.q[2]))};
      const {ctype} *const do_block = {address("do_head", ("t0", spec.do[2]))};
{indented(packs, 3)}
      const long last = {key_end};
      for (long k0 = 0; k0 < last; k0 += {step}) {{
        const long k_end = last - k0 < {step} ? last : k0 + {step};
        for (long i = 0; i < block; i += {mr}) {{
          const long rows = block - i < {mr} ? block - i : {mr}, end = {end};
          const long filled = (end - k0 + {mr - 1}) / {mr} * {mr}; /* whole tiles of keys: zero where nothing is seen */
{indented(scores, 5)}
          for (long r = 0; r < rows; ++r) {{
{indented(_score_gradient(layout, spec), 6)}
          }}
{indented(_interleaved(layout) if pairs else [], 5)}
{indented(dq, 5)}
        }}
        for (long s = k0; s < k_end; s += {mr}) {{
          const long keys_here = {f.keys} - s < {mr} ? {f.keys} - s : {mr}, skip = {skip};
{indented(dkv, 5)}
        }}
      }}
      {ctype} *const dq_block = {layout.head(spec.dq, "dq")} + t0 * {spec.dq[2]};
{indented([layout.store("dq_block", "dq_rows", "block", spec.dq, scale)], 3)}
    }}
    {ctype} *const dk_head = {layout.head(spec.dk, "dk")};
    {ctype} *const dv_head = {layout.head(spec.dv, "dv")};
{indented([layout.store("dk_head", "dk_rows", str(f.keys), spec.dk, scale)], 2)}
{indented([layout.store("dv_head", "dv_rows", str(f.keys), spec.dv)], 2)}
  }}
}}
"""
    return text.replace("\n\n", "\n"), 4 * buffers.size


def _score_gradient(layout: Layout, spec: AttentionGradSpec) -> list[str]:
    """Row r of a panel: the probabilities P from the raw scores, dS / scale = P (dP - delta) from dP."""
    f, lds, row = spec.forward, layout.row_stride, "r" if layout.pairs else "(i + r)"
    lines = [
        f"const long t = t0 + i + r, seen = {'(t + 1 < k_end ? t + 1 : k_end) - k0' if f.causal else 'k_end - k0'};",
        "const long wide = (seen + LANES - 1) / LANES * LANES; /* computed in whole vectors */",
        f"float *restrict p_row = probs + {row} * {lds}, *restrict ds_row = ds + {row} * {lds};",
        *layout.fetches(("q", f.q), ("k", f.k), ("v", f.v), ("do", spec.do)),
    ]
    shift, score = f"lse[bh * {f.queries} + t]", f"p_row[j] * {literal(f.scale, f32)}"
    if f.mask:
        lines += layout.scale_and_mask("p_row", "t", "k0")
        lines += [f"const float sum = lse[bh * {f.queries} + t];"]
        shift, score = "sum == -INFINITY ? 0.0f : sum", "p_row[j]"
    lines += [f"const float shift = {shift}, d = delta_head[{times('t', spec.delta[2])}];"]
    # A score is at most the logarithm of the sum; the choice also has it rounded before the difference is taken.
    body = [
        f"const float score = {score};",
        f"const float e = exp2_flushed(((score > shift ? shift : score) - shift) * {literal(LOG2_E, f32)});",
    ]
    if f.dropout:
        first = f"(uint64_t)((bh * {f.queries} + t) * {f.keys}L + k0)"
        lines += [f"const float *const uniform = philox_fill(*seed, *offset + {f.draw}, {first}, seen, draws);"]
        body += [f"const float keep = uniform[j] >= {literal(f.dropout, f32)} ? {literal(keep_scale(f), f32)} : 0.0f;"]
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


def _interleaved(layout: Layout) -> list[str]:
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
