"""The layout of scaled dot-product attention in C: operands, blocks, buffers and tiles, for both passes.

No matrix of queries x keys is larger than a block of rows.

O = dropout(softmax(scale Q K^T + mask)) V for every (batch, head). The forward pass keeps L = log sum exp of each row;
the backward pass computes the probabilities again from it (Dao et al., "FlashAttention", 2022). If the machine
multiplies bf16, products of bf16 operands run on pairs of them with f32 sums, and the probabilities and the gradients
of the scores are rounded to bf16 for the products they enter; all else is f32.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

from compiler.codegen.c.gemm_plan import Operand
from compiler.codegen.c.isa import Isa
from compiler.codegen.c.spelling import literal
from compiler.codegen.c.tiles import (
    C_TYPE,
    FROM_F32,
    TO_F32,
    Factors,
    Pack,
    Tile,
    address,
    by_rows,
    order_of,
    times,
)
from compiler.codegen.sizes import ceil_div, round_up
from compiler.ir.types import f32

Strides = tuple[int, int, int, int]

LOG2_E = 1.4426950408889634
_GROUP = 4  # row panels of a block of queries in the backward pass
_KEYS = 448  # keys of a block in the backward pass, at most
_FETCHED = 1 << 17  # bytes of an operand's head up to which the next one is fetched ahead


@dataclass(frozen=True)
class AttentionSpec:
    """q [B,H,T,D], k and v [B,H,S,D], o [B,H,T,D] of one storage dtype, any strides in elements.

    Element (b, h, t, s) of the dropout mask has the uniform of its row-major index and is kept when that is >= dropout.
    `mask` holds numbers added to the scores, or ("bool") whether each counts; it has strides (b, h, t, s).
    A row without any key that takes part is 0, its log-sum-exp -inf. With `causal`, query t sees keys s <= t.
    """

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
    mask: Operand | None = None
    dropout: float = 0.0
    draw: int = 0


@dataclass(frozen=True)
class AttentionGradSpec:
    """Gradients dq, dk, dv from do, for the attention of `forward`; strides as there. `delta` is O . dO."""

    forward: AttentionSpec
    delta: Strides
    do: Strides
    dq: Strides
    dk: Strides
    dv: Strides


class Buffers:
    """Arrays of one thread, one after the other in the scratch; sizes in elements of four bytes."""

    def __init__(self) -> None:
        self.size = 0
        self.lines: list[str] = []

    def add(self, name: str, size: int, element: str = "float") -> None:
        cast = "" if element == "float" else f"({element} *)"
        place = _column("own", self.size)
        self.lines.append(f"{element} *const {name} = {cast}{f'({place})' if cast and self.size else place};")
        self.size += round_up(size, 16)


class Layout(Factors):
    """Tile sizes, packed operands and buffers for one attention.

    Rows of D enter products in three ways: as left side, whose rows go through f32 as they are and as panels of `mr`
    rows of pairs; as columns of the right side, in panels of `nr`; and as rows of the right side, `width` wide.
    """

    def __init__(self, isa: Isa, spec: AttentionSpec):
        super().__init__(spec.dtype, isa)
        self.spec = spec
        self.mr, self.nr = isa.mr, isa.nr
        self.rows = _GROUP * self.mr
        self.folds = ceil_div(self.mr, isa.lanes) * isa.lanes  # rows that are reduced together
        self.width = ceil_div(spec.dim, isa.lanes) * isa.lanes  # a row of D, padded to vectors
        self.dim_depth = self.depth(spec.dim)
        self.key_panels = ceil_div(spec.keys, self.nr)
        self.key_panel = self.dim_depth * self.nr + 16
        unit = lcm(self.rows, self.nr)
        self.key_block = max(_KEYS // unit, 1) * unit
        self.half_panel = spec.causal and self.nr == 2 * isa.lanes
        self.left_panel = self.dim_depth * self.mr + 16 if self.pairs else self.mr * self.width
        self.left_kind, self.left_stride = ("pairs", self.mr) if self.pairs else ("rows", self.width)
        self.rows_kind, self.columns_kind = ("row_pairs", "pairs") if self.pairs else ("rows", "columns")

    def halved(self, length: str) -> str:
        return f"({length} + 1) / 2" if self.pairs else length

    def tiles_across(self) -> list[tuple[int, int]]:
        """(first column, vectors) of the tiles across a row of D."""
        lanes, most = self.isa.lanes, self.nr // self.isa.lanes
        return [(c, min(most, (self.width - c) // lanes)) for c in range(0, self.width, self.nr)]

    # Packs

    def _pack(
        self, width: int, target: str, apart: int, rows: str, k: str, source: str, strides: tuple[int, int]
    ) -> str:
        """The call that packs an operand, whose strides are across a panel and along k, to panels ``apart``."""
        return Pack(order_of(*strides), self.spec.dtype, self.form, width).call(target, apart, rows, k, source, strides)

    def left(self, target: str, rows: str, source: str, strides: Strides) -> str:
        """The call that packs rows of D as a left side."""
        if not self.pairs:
            return self.right(target, rows, source, strides)
        return self._pack(self.mr, target, self.left_panel, rows, str(self.spec.dim), source, strides[2:])

    def keys(self, target: str, source: str, strides: Strides) -> str:
        """The call that packs the keys' rows of D as columns of a right side."""
        keys, dim = str(self.spec.keys), str(self.spec.dim)
        return self._pack(self.nr, target, self.key_panel, keys, dim, source, strides[2:])

    def right(self, target: str, rows: str, source: str, strides: Strides) -> str:
        """The call that packs rows of D as rows of a right side."""
        return self._pack(self.width, target, 0, str(self.spec.dim), rows, source, (strides[3], strides[2]))

    # Tiles

    def _calls(self, length: int, rows: str, kind: str, calls: list[tuple[int, str]]) -> list[str]:
        """Calls of tiles (vectors, arguments) with as many rows as `rows` says, one of those that `length` leaves."""
        choices = [n for n in (self.mr * (length >= self.mr), length % self.mr) if n]
        return by_rows(rows, choices, lambda r: [f"{Tile(r, v, kind).name}({arguments});" for v, arguments in calls])

    def score_tiles(self, products: list[tuple[str, str, str]], first: str, end: str) -> list[str]:
        """The loop over panels of keys that stores each (left side, keys, target) product up to key `end`.

        Only half of the last panel is computed if that is enough, which counts if few keys are seen.
        """

        def tiles(p: str, vectors: int) -> list[str]:
            calls = [
                f"{self.dim_depth}, {left}, {self.left_stride}, {keys} + {p} * {self.key_panel}, {self.nr}, "
                f"{target.format(f'{p} * {self.nr}')}, {self.row_stride}, 0"
                for left, keys, target in products
            ]
            return self._calls(self.spec.queries, "rows", self.left_kind, [(vectors, call) for call in calls])

        if not self.half_panel:
            loop = f"for (long p = {first}; p * {self.nr} < {end}; ++p) {{"
            return [loop, indented(tiles("p", self.nr // self.isa.lanes), 1), "}"]
        return [
            f"const long whole = ({end} + LANES - 1) / {self.nr};",
            f"for (long p = {first}; p < whole; ++p) {{",
            indented(tiles("p", 2), 1),
            "}",
            f"if (whole * {self.nr} < {end}) {{",
            indented(tiles("whole", 1), 1),
            "}",
        ]

    def product_tiles(self, k: str, left: str, stride: int, right: str, to: str, add: str, turned: bool) -> list[str]:
        """Rows of D `to` (+)= rows of the scratch, or if `turned` its columns, one a key, times a right side."""
        calls = [
            (v, f"{k}, {left}, {stride}, {_column(right, c)}, {self.width}, {_column(to, c)}, {self.width}, {add}")
            for c, v in self.tiles_across()
        ]
        if turned:
            return self._calls(self.spec.keys, "keys_here", self.columns_kind, calls)
        return self._calls(self.spec.queries, "rows", self.rows_kind, calls)

    # Buffers

    def forward_buffers(self) -> Buffers:
        spec, buffers = self.spec, Buffers()
        self.row_stride = self.key_panels * self.nr + 16
        buffers.add("keys", self.key_panels * self.key_panel, self.element)
        buffers.add("values", self.depth(spec.keys) * self.width, self.element)
        buffers.add("queries", self.left_panel, self.element)
        buffers.add("scores", self.mr * self.row_stride)
        if self.pairs:
            buffers.add("probs", self.mr * self.row_stride // 2, self.element)
        buffers.add("out", self.mr * self.width)
        if spec.dropout:
            buffers.add("draws", self.row_stride + 2 * self.isa.lanes)
        return buffers

    def backward_buffers(self) -> Buffers:
        spec, buffers = self.spec, Buffers()
        self.row_stride = round_up(min(self.key_block, spec.keys), self.nr) + 16
        buffers.add("keys", self.key_panels * self.key_panel, self.element)
        buffers.add("values", self.key_panels * self.key_panel, self.element)
        buffers.add("key_rows", self.depth(spec.keys) * self.width, self.element)
        buffers.add("queries", self.depth(self.rows) * self.width, self.element)
        buffers.add("grads", self.depth(self.rows) * self.width, self.element)
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
        value, lines = f"{row}[j] * {literal(spec.scale, f32)}", []
        if spec.mask:
            place = address("mask", *zip(("b", "h", f"({query})", first), spec.mask.strides))
            lines = [f"const {C_TYPE[spec.mask.dtype]} *mask_row = {place};"]
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
            text += f", const {C_TYPE[spec.mask.dtype]} *mask"
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


def indented(lines: list[str], depth: int) -> str:
    """Lines of C at a depth of blocks, directives at the margin."""
    flat = [line for text in lines for line in text.split("\n")]
    return "\n".join(line if line.startswith("#") else "  " * depth + line for line in flat)


def title(spec: AttentionSpec, what: str) -> str:
    options = [what, spec.dtype] + ["causal"] * spec.causal + (["masked"] if spec.mask else [])
    options += [f"dropout {spec.dropout:g}"] if spec.dropout else []
    return f"/* {', '.join(options)}: [{spec.batch},{spec.heads},{spec.queries},{spec.dim}], {spec.keys} keys */"


def keep_scale(spec: AttentionSpec) -> float:
    return 1.0 / (1.0 - spec.dropout) if spec.dropout < 1 else 0.0
